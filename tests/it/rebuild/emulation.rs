//! Emulation with a real handler of the kernel: doctor distinguishes a working one from a broken one, and a rebuild
//! that uses it runs. Uses RISC-V, which no other test does, because the handler applies to the whole machine.

use crate::kit::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::site::{RAN, Run, Site, digest_of, program};
use crate::kit::machine::{self, Need};

const DIRECTORY: &str = "/proc/sys/fs/binfmt_misc";
const QEMU: &str = "/usr/bin/qemu-riscv64-static";

/// Removes the handler when dropped, and unmounts binfmt_misc if no other handler is left.
struct Registered {
    file: PathBuf,
    is_mounted_here: bool,
}

impl Drop for Registered {
    fn drop(&mut self) {
        fs::write(&self.file, "-1").unwrap();
        let left = fs::read_dir(DIRECTORY).map_or(0, |entries| entries.count());
        if self.is_mounted_here && left <= 2 {
            Command::new("umount").arg(DIRECTORY).status().unwrap();
        }
    }
}

/// Registers a handler for RISC-V programs with qemu-user-static's magic. `None` if that is not possible here; the test
/// is then skipped.
fn register(test: &str, interpreter: &Path, flags: &str) -> Option<Registered> {
    let is_mounted_here = !Path::new(DIRECTORY).join("register").exists();
    if is_mounted_here {
        let mounted = Command::new("mount").args(["-t", "binfmt_misc", "none", DIRECTORY]).status();
        if !mounted.is_ok_and(|status| status.success()) {
            machine::skip(test, "binfmt_misc cannot be mounted");
            return None;
        }
    }
    let name = format!("imgarch-doctor-{}", std::process::id());
    let magic = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00";
    let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    let line = format!(":{name}:M::{magic}:{mask}:{}:{flags}", interpreter.display());
    fs::write(Path::new(DIRECTORY).join("register"), line).unwrap();
    Some(Registered { file: Path::new(DIRECTORY).join(name), is_mounted_here })
}

const DOCTOR: &[&str] = &["doctor", "--platform", "linux/riscv64"];
const INSTALL: &str = "docker run --privileged --rm tonistiigi/binfmt --install riscv64";
/// The build runs a program of the platform.
const RUNS: &str = "FROM scratch\nARG TARGETARCH\nCOPY --chmod=0755 bin/app-${TARGETARCH} /app\nCOPY --chmod=0755 bin/zero-${TARGETARCH} /zero\nRUN [\"/zero\"]\nENTRYPOINT [\"/app\"]\n";

/// A single test, because the handler applies to the whole machine.
#[test]
fn an_emulator_is_trusted_after_it_ran_a_program_and_a_rebuild_with_it_runs() {
    let test = "an_emulator_is_trusted_after_it_ran_a_program_and_a_rebuild_with_it_runs";
    let Some(site) = Site::new(test).filter(|_| machine::has(test, &[Need::QemuRiscv64, Need::BinfmtMisc])) else {
        return;
    };
    if fs::read_dir(DIRECTORY)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() == "qemu-riscv64")))
    {
        return machine::skip_for_good(test, "this machine emulates riscv64 already");
    }
    for architecture in ["amd64", "riscv64"] {
        site.write(&format!("bin/zero-{architecture}"), program(architecture, 0));
    }
    site.write("Runs.Dockerfile", RUNS);
    let image = site.image("emulated:v1");
    site.docker(&["buildx", "build", "-q", "--platform", "linux/amd64", "-t", &image, "--push", "."]);
    let before = site.index(&image);
    let rebuild = || {
        let words = [
            "rebuild",
            &image,
            "--platform",
            "linux/riscv64",
            "-f",
            "Runs.Dockerfile",
            "--yes",
            "--",
            "--network=none",
        ];
        site.imgarch(&words, None)
    };
    let doctor = || site.imgarch(DOCTOR, None);

    doctor().check(1, &["no node runs its programs", INSTALL]);
    rebuild().check(3, &["no node runs its programs", INSTALL]);

    let copy = site.path("qemu");
    program::copy(Path::new(QEMU), &copy);
    {
        let Some(_registered) = register(test, &copy, "") else { return };
        doctor().check(1, &["(no flags) is registered without flag F, so containers cannot find it", INSTALL]);
        rebuild().check(3, &["is registered without flag F", INSTALL]);
        fs::remove_file(&copy).unwrap();
        doctor().check(1, &["a program of this platform does not start with it", INSTALL]);
        rebuild().check(3, &["does not start with it", INSTALL]);
        assert_eq!(site.index(&image), before);
    }
    {
        // It starts, but is not an emulator.
        let Some(_registered) = register(test, Path::new("/bin/true"), "F") else { return };
        doctor().check(1, &["a program of this platform does not run to completion with it"]);
    }
    let Some(registered) = register(test, Path::new(QEMU), "F") else { return };
    doctor()
        .check(0, &["emulated on node default by /usr/bin/qemu-riscv64-static (flags F), which ran a test program"]);
    rebuild()
        .check(0, &["linux/riscv64 by emulation on node default: expect it to be slow", "is rebuilt and verified"]);
    let after = site.index(&image);
    assert_eq!(digest_of(&before, "amd64"), digest_of(&after, "amd64"));
    for platform in ["linux/amd64", "linux/riscv64"] {
        let words = ["run", "--rm", "--network=none", "--pull=always", "--platform", platform, &image];
        let ran = Run::of(&site.command("docker").args(words).output().unwrap());
        assert_eq!(ran.code, Some(RAN), "{platform}: {ran:#?}");
    }
    // BuildKit lists the platform for 20 s more.
    drop(registered);
    doctor().check(1, &[INSTALL]);
}
