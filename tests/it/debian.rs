//! No false alarms: root file systems of Debian, extracted by mmdebstrap, judged for their own platform and for others.
//! Every program of /bin, /usr/bin and /sbin runs on its own platform; on others the kernel refuses it.

use crate::kit::engines::MIRROR;
use crate::kit::machine::{self, Need};
use std::path::{Path, PathBuf};
use std::process::Command;

use imgarch::exec::{Errno, Exec, Outcome, execve};
use imgarch::image::{Limits, NodeKind, RootFs, merge, read_directory};
use imgarch::inspect::FileKind;
use imgarch::judge::labels::Labels;
use imgarch::judge::{PlatformCase, judge};
use imgarch::platform::{Arch, Fact, Platform, Target};
use imgarch::scan::keep;
use imgarch::source::rootfs_dir::Mounts;

/// Debian's architecture, its platform, and the first release that has it.
const ARCHITECTURES: &[(&str, &str, &str)] = &[
    ("amd64", "linux/amd64", "bookworm"),
    ("arm64", "linux/arm64", "bookworm"),
    ("armhf", "linux/arm/v7", "bookworm"),
    ("i386", "linux/386", "bookworm"),
    ("ppc64el", "linux/ppc64le", "bookworm"),
    ("s390x", "linux/s390x", "bookworm"),
    ("riscv64", "linux/riscv64", "trixie"),
];

/// Extracts a root file system without configuring it, so that no emulator is needed.
fn debootstrap(directory: &Path, arch: &str, suite: &str) -> PathBuf {
    let root = directory.join(arch);
    let script = format!(
        "mmdebstrap --quiet --variant=extract --architectures={arch} --mode=root --aptopt='Acquire::Languages \"none\"' \
         --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include='?priority(required)' {suite} {} \"$({MIRROR})\"",
        root.display()
    );
    let output = Command::new("sh").args(["-c", &script]).env("TMPDIR", directory).output().unwrap();
    assert!(output.status.success(), "mmdebstrap {arch}: {}", String::from_utf8_lossy(&output.stderr));
    root
}

fn read(root: &Path) -> RootFs<FileKind> {
    let read = read_directory(root, Mounts::LeftOut, &Limits::default(), &mut keep).unwrap();
    assert!(read.is_whole && read.walked.unread.is_empty());
    merge([std::sync::Arc::new(read.contents)])
}

fn target(platform: &str) -> Target {
    Target::of_platform(&Platform::parse(platform).unwrap()).unwrap()
}

fn call(program: &str) -> Exec {
    Exec { argv: vec![program.to_string()], env: Vec::new(), working_dir: "/".into(), ..Exec::default() }
}

/// Paths of the ELF programs on a shell's PATH.
fn programs(rootfs: &RootFs<FileKind>) -> Vec<String> {
    let mut found = Vec::new();
    for directory in ["/bin", "/usr/bin", "/sbin", "/usr/sbin"] {
        let Ok(id) = rootfs.resolve(directory) else { continue };
        for view in rootfs.children(id) {
            let is_program = view.kind == NodeKind::File && view.mode & 0o111 != 0;
            if is_program && matches!(view.fact, Some(FileKind::Elf(_))) {
                found.push(String::from_utf8(rootfs.path(view.id)).unwrap());
            }
        }
    }
    found
}

fn check_home(arch: &str, rootfs: &RootFs<FileKind>, home: &Target) {
    let platform = home.platform.clone();
    let (rules_off, call) = (Default::default(), call("/bin/sh"));
    let labels = Labels { promised: Some(&platform), declared: Some(&platform) };
    let case = PlatformCase {
        labels,
        rootfs,
        call: &call,
        said_by: "CMD",
        healthcheck: &[],
        target: home,
        rules_off: &rules_off,
    };
    let judgement = judge(&case);
    let loud: Vec<_> =
        judgement.findings.iter().filter(|f| f.severity > imgarch::judge::code::Severity::Note).collect();
    assert!(loud.is_empty(), "{arch}: {loud:#?}");
    assert!(judgement.programs > 300, "{arch}: {} programs", judgement.programs);
}

fn check_programs(arch: &str, rootfs: &RootFs<FileKind>, home: &Target) {
    let programs = programs(rootfs);
    assert!(programs.len() > 200, "{arch}: {} programs", programs.len());
    for program in &programs {
        let outcome = execve(rootfs, &call(program), &home.node);
        assert_eq!(outcome, Outcome::Runs, "{arch}: {program} at home");
    }
    for (_, other, _) in ARCHITECTURES.iter().filter(|(other, ..)| *other != arch) {
        let mut node = target(other).node;
        // Pairs that one kernel can run: with the property known they run, and without it the outcome is unknown.
        let is_pair = matches!((home.node.arch, node.arch), (Arch::I386, Arch::Amd64) | (Arch::Arm, Arch::Arm64));
        (node.aarch32, node.ia32) = (Fact::Known(true), Fact::Known(true));
        for program in &programs {
            match execve(rootfs, &call(program), &node) {
                Outcome::Runs if is_pair => {}
                Outcome::Fails { errno: Errno::ENOEXEC, .. } if !is_pair => {}
                outcome => panic!("{arch}: {program} on {other}: {outcome:?}"),
            }
        }
    }
}

#[test]
fn debians_root_file_systems_are_fine_on_their_own_platform_only() {
    let needs = [Need::Root, Need::Mmdebstrap, Need::PackageMirror];
    if !machine::has("debians_root_file_systems", &needs) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for (arch, platform, suite) in ARCHITECTURES {
        let root = debootstrap(directory.path(), arch, suite);
        let rootfs = read(&root);
        let home = target(platform);
        check_home(arch, &rootfs, &home);
        check_programs(arch, &rootfs, &home);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
