//! Plain files that real tools write: release archives, packages, and Debian's own packages for two architectures.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::kit::elf::ElfBuilder;
use crate::kit::machine::{self, Need};
use crate::kit::program;

/// A directory with a program for each of two architectures.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Site {
        let directory = tempfile::tempdir().unwrap();
        for (architecture, elf) in [("amd64", ElfBuilder::amd64()), ("arm64", ElfBuilder::arm64())] {
            std::fs::create_dir_all(directory.path().join(format!("{architecture}/bin"))).unwrap();
            program::write(&directory.path().join(format!("{architecture}/bin/tool")), elf.build());
        }
        Site(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn sh(&self, script: &str, words: &[&str]) {
        let mut command = Command::new("/bin/sh");
        command.args(["-euc", script, "sh"]).args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("PATH", machine::PATH).env("HOME", self.0.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The exit code and the output of a scan.
    fn scan(&self, words: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
        command.args(["scan", "--no-cache", "--offline"]).args(words).current_dir(self.0.path());
        let output = command.env("HOME", self.0.path()).stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.code().unwrap(), text)
    }

    fn check(&self, words: &[&str], code: i32) {
        let (found, text) = self.scan(words);
        assert_eq!(found, code, "{words:?}: {text}");
    }
}

/// The file extension, and the command that packs the directory `$1` as `$2`.
const ARCHIVES: &[(&str, &str)] = &[
    ("tar", "tar -cf $2 -C $1 ."),
    ("tar.gz", "tar -czf $2 -C $1 ."),
    ("tar.xz", "tar -cJf $2 -C $1 ."),
    ("tar.bz2", "tar -cjf $2 -C $1 ."),
    ("tar.zst", "tar -c --zstd -f $2 -C $1 ."),
    ("zip", "cd $1; zip -qr ../$2 ."),
    ("9.tar.xz", "tar -c -C $1 . | xz -9e --check=sha256 -T2 > $2"),
    ("gz", "gzip -c $1/bin/tool > $2"),
    ("xz", "xz -c $1/bin/tool > $2"),
];

#[test]
fn release_archives_match_their_names() {
    let test = "release_archives_match_their_names";
    if !machine::has(test, &[Need::Debian, Need::Zip, Need::Xz, Need::Bzip2, Need::Zstd]) {
        return;
    }
    let site = Site::new();
    for (extension, script) in ARCHIVES {
        let (right, wrong) = (format!("tool-linux-arm64.{extension}"), format!("tool_1.0_linux_amd64.{extension}"));
        site.sh(script, &["arm64", &right]);
        site.sh(script, &["arm64", &wrong]);
        site.check(&[&right], 0);
        site.check(&[&wrong], 1);
        site.check(&[&right, "--platform", "linux/amd64"], 1);
        site.check(&[&wrong, "--platform", "linux/arm64"], 0);
    }
    let (_, text) = site.scan(&["tool_1.0_linux_amd64.tar.xz", "--format", "json"]);
    assert!(text.contains("release-wrong-platform") && text.contains("its name claims linux/amd64"), "{text}");
    // Both architectures in one archive.
    site.sh("tar -cJf both.tar.xz amd64 arm64", &[]);
    site.check(&["both.tar.xz", "--platform", "linux/arm64"], 0);
    // A streamed zip has no sizes in its headers.
    site.sh("cd arm64; zip -qr - bin | cat > ../tool-linux-arm64-streamed.zip", &[]);
    site.check(&["tool-linux-arm64-streamed.zip"], 0);
    site.sh("cd arm64; zip -qr -P secret ../tool-linux-arm64-secret.zip bin", &[]);
    site.check(&["tool-linux-arm64-secret.zip"], 3);
    site.sh("head -c 150 tool-linux-arm64.tar.gz > cut-linux-arm64.tar.gz", &[]);
    site.check(&["cut-linux-arm64.tar.gz"], 3);
}

/// An image is often named after its program, which is in the project's directory after a build.
#[test]
fn a_bare_name_is_an_image_rather_than_a_program() {
    let site = Site::new();
    for name in ["tool", "tool-linux-arm64", "tool.bin"] {
        std::fs::copy(site.path("arm64/bin/tool"), site.path(name)).unwrap();
    }
    let (code, text) = site.scan(&["tool"]);
    assert!(code == 3 && text.contains("--offline"), "{text}");
    site.check(&["./tool", "--platform", "linux/arm64"], 0);
    site.check(&["tool-linux-arm64"], 0);
    site.check(&["tool.bin", "--platform", "linux/arm64"], 0);
    site.check(&["arm64/bin/tool"], 0);
    site.check(&["arm64/bin/tool", "--platform", "linux/amd64"], 1);
}

#[test]
fn image_archives_are_images_with_any_compression() {
    let test = "image_archives_are_images_with_any_compression";
    if !machine::has(test, &[Need::Debian, Need::Xz, Need::Bzip2, Need::Zstd]) {
        return;
    }
    let site = Site::new();
    let layout = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/incident/wrong");
    let layout = layout.display().to_string();
    site.sh("tar -cf tool-linux-amd64.tar -C \"$1\" .", &[&layout]);
    for (extension, command) in [("gz", "gzip"), ("xz", "xz"), ("bz2", "bzip2"), ("zst", "zstd")] {
        site.sh("$1 < tool-linux-amd64.tar > tool-linux-amd64.tar.$2", &[command, extension]);
        let (code, text) = site.scan(&[&format!("tool-linux-amd64.tar.{extension}")]);
        let (expected, plain) = site.scan(&["tool-linux-amd64.tar"]);
        assert_eq!(code, expected, "{text}\n{plain}");
        assert!(text.contains("compressed image archive") && text.contains("linux/arm64"), "{text}");
    }
}

const CONTROL: &str = "Package: tool\nVersion: 1\nArchitecture: ARCH\nMaintainer: a <a@example.com>\nDescription: t\n";

#[test]
fn packages_match_their_names_and_their_metadata() {
    let test = "packages_match_their_names_and_their_metadata";
    if !machine::has(test, &[Need::Debian, Need::Rpmbuild]) {
        return;
    }
    let site = Site::new();
    let deb = |architecture: &str, compression: &str, name: &str| {
        std::fs::create_dir_all(site.path("arm64/DEBIAN")).unwrap();
        std::fs::write(site.path("arm64/DEBIAN/control"), CONTROL.replace("ARCH", architecture)).unwrap();
        site.sh("dpkg-deb -Z$1 --root-owner-group --build arm64 $2", &[compression, name]);
        std::fs::remove_dir_all(site.path("arm64/DEBIAN")).unwrap();
    };
    for compression in ["xz", "gzip", "none", "zstd"] {
        deb("arm64", compression, "tool_1_arm64.deb");
        site.check(&["./tool_1_arm64.deb"], 0);
        deb("amd64", compression, "tool_1_amd64.deb");
        site.check(&["./tool_1_amd64.deb"], 1);
        site.check(&["./tool_1_arm64.deb", "--platform", "linux/amd64"], 1);
    }
    // Its control file states the platform if its name does not.
    deb("amd64", "xz", "tool.deb");
    site.check(&["./tool.deb"], 1);
    deb("arm64", "xz", "tool.deb");
    site.check(&["./tool.deb"], 0);
    // The name and the control file disagree.
    deb("amd64", "xz", "tool_1_arm64.deb");
    let (code, text) = site.scan(&["./tool_1_arm64.deb"]);
    assert!(code == 1 && text.contains("its name claims linux/arm64, but its metadata claims linux/amd64"), "{text}");
    deb("all", "xz", "tool_1_all.deb");
    site.check(&["./tool_1_all.deb"], 0);

    let spec = "Name: tool\nVersion: 1\nRelease: 1\nSummary: t\nLicense: MIT\nAutoReqProv: no\n%description\nt\n%install\n\
                mkdir -p %{buildroot}/usr/bin\ncp %{tool} %{buildroot}/usr/bin/tool\n%files\n/usr/bin/tool\n";
    std::fs::write(site.path("tool.spec"), spec).unwrap();
    for payload in ["w9.gzdio", "w6.xzdio", "w3.zstdio", "w9.bzdio"] {
        for (architecture, code) in [("aarch64", 0), ("x86_64", 1)] {
            let script = "rm -rf rpm; rpmbuild -bb --quiet --target $1-linux -D \"_topdir $PWD/rpm\" -D \"_binary_payload $2\" \
                          -D \"tool $PWD/arm64/bin/tool\" -D '__os_install_post %{nil}' tool.spec; \
                          mv rpm/RPMS/$1/tool-1-1.$1.rpm .; cp tool-1-1.$1.rpm renamed.rpm";
            site.sh(script, &[architecture, payload]);
            site.check(&[&format!("./tool-1-1.{architecture}.rpm")], code);
            site.check(&["./renamed.rpm"], code);
        }
    }
}

/// Packages and their exit codes: with programs of their own architecture, with intentionally foreign ones, with none,
/// and for any architecture.
const PACKAGES: &[(&str, i32)] = &[
    ("hello:amd64", 0),
    ("hello:arm64", 0),
    ("libc6:i386", 0),
    ("busybox-static:arm64", 0),
    ("binutils-aarch64-linux-gnu:amd64", 0),
    ("libc6-arm64-cross", 0),
    ("libjna-java", 0),
    ("grub-efi-arm64-bin:arm64", 0),
    ("python3-pip", 0),
];

#[test]
fn debians_packages_are_healthy() {
    let test = "debians_packages_are_healthy";
    if !machine::has(test, &[Need::Debian, Need::PackageMirror]) {
        return;
    }
    let site = Site::new();
    let script = "for foreign in arm64 i386; do dpkg --print-foreign-architectures | grep -qx $foreign || \
                  { dpkg --add-architecture $foreign; apt-get -qq update; }; done";
    site.sh(script, &[]);
    for (package, code) in PACKAGES {
        site.sh("rm -f ./*.deb; apt-get -qq -o APT::Sandbox::User=root download $1", &[package]);
        let found = std::fs::read_dir(site.0.path()).unwrap().map(|entry| entry.unwrap().path());
        let deb = found.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb")).unwrap();
        site.check(&[deb.to_str().unwrap()], *code);
        // Firmware is data: judged for another platform, it is "could not tell".
        if package.ends_with(":arm64") && !package.starts_with("grub") {
            site.check(&[deb.to_str().unwrap(), "--platform", "linux/riscv64"], 1);
            let renamed = site.path("renamed_1_amd64.deb");
            std::fs::rename(&deb, &renamed).unwrap();
            site.check(&[renamed.to_str().unwrap()], 1);
        }
    }
}
