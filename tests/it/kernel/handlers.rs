//! Temporary binfmt_misc handlers.

use crate::kit::machine;
use std::path::{Path, PathBuf};

use imgarch::platform::binfmt;

use super::*;

/// Removes the handler, however the test ends. Also unmounts binfmt_misc if this test mounted it and no handler is
/// left.
struct Registered {
    file: PathBuf,
    is_mounted_here: bool,
}

impl Drop for Registered {
    fn drop(&mut self) {
        std::fs::write(&self.file, "-1").expect("removing the handler");
        let directory = self.file.parent().expect("the handler's directory");
        let left = std::fs::read_dir(directory).map_or(0, |entries| entries.count());
        if self.is_mounted_here && left <= 2 {
            Command::new("umount").arg(directory).status().expect("umount starts");
        }
    }
}

/// Registers a handler for arm64 programs that have this test's eight bytes in `e_ident`, so that it applies to no
/// other program of the machine. `flags`: the flags of binfmt_misc.
fn register(interpreter: &str, flags: &str) -> Option<Registered> {
    let directory = Path::new("/proc/sys/fs/binfmt_misc");
    let is_mounted_here = !directory.join("register").exists();
    if is_mounted_here {
        let mounted = Command::new("mount").args(["-t", "binfmt_misc", "none"]).arg(directory).status();
        if !mounted.is_ok_and(|status| status.success()) {
            machine::skip("handlers", "binfmt_misc cannot be mounted");
            return None;
        }
    }
    let name = format!("imgarch-test-{}-{flags}", std::process::id());
    std::fs::write(directory.join("register"), handler_line(&name, interpreter, flags))
        .expect("registering the handler");
    Some(Registered { file: directory.join(name), is_mounted_here })
}

fn handler_line(name: &str, interpreter: &str, flags: &str) -> String {
    format!(":{name}:M:8:{MARK}::{interpreter}:{flags}")
}

/// Written to the unused bytes of `e_ident`.
const MARK: &str = "imgarch";

fn marked(mut program: Vec<u8>) -> Vec<u8> {
    program[8..8 + MARK.len()].copy_from_slice(MARK.as_bytes());
    program
}

#[test]
fn a_handler_of_qemu_runs_what_the_kernel_refuses() {
    let Some(node) = node("handlers") else { return };
    let qemu = "/usr/bin/qemu-aarch64-static";
    if !has("handlers", &[Need::Root, Need::BinfmtMisc, Need::QemuArm64]) {
        return;
    }
    let with = |flags: &str| {
        let handler = binfmt::registration(&handler_line("qemu", qemu, flags)).expect("a registration");
        Node { handlers: vec![handler], ..node.clone() }
    };
    let tree = || Tree::call(&["/app"]).file("app", marked(elf::ElfBuilder::arm64().build()));
    let script = || tree().file("e", "#!/app\n").argv(&["/e"]);
    let no_loader =
        || Tree::call(&["/app"]).file("app", marked(elf::ElfBuilder::arm64().pie().interp("/lib/none").build()));
    check(&tree(), &node, "ENOEXEC");
    let fixed = |flags: &str| {
        let Some(_registered) = register(qemu, flags) else { return };
        check(&tree(), &with(flags), "runs");
        check(&script(), &with(flags), "runs");
        check(&no_loader(), &with(flags), "exit 255");
    };
    fixed("F");
    fixed("OCF");
    if let Some(_registered) = register(qemu, "") {
        check(&tree(), &with(""), "ENOENT");
        check(&tree().file(&qemu[1..], host(qemu)), &with(""), "runs");
        let chain = (0..5).fold(tree(), |tree, n| {
            tree.file(&format!("s{n}"), format!("#!/{}\n", ["s1", "s2", "s3", "s4", "app"][n]))
        });
        check(&chain.file(&qemu[1..], host(qemu)).argv(&["/s0"]), &with(""), "ELOOP");
    }
    check(&tree(), &node, "ENOEXEC");
}
