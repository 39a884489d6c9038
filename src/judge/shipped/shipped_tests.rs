use std::sync::Arc as Shared;

use super::*;
use crate::image::{Contents, EntryKind, LayerMember, merge};
use crate::inspect::elf_builder::ElfBuilder;
use crate::inspect::{MachO, inspect};

fn rootfs(files: &[(&str, &[u8])]) -> RootFs<FileKind> {
    let mut contents = Contents::default();
    for (path, bytes) in files {
        let kind = inspect(path.as_bytes(), bytes.len() as u64, true, &mut &bytes[..]);
        let entry =
            LayerMember { size: bytes.len() as u64, ..LayerMember::plain(path.as_bytes(), EntryKind::File, 0o755) };
        contents.push(&entry, Some(kind));
    }
    merge([Shared::new(contents)])
}

fn aims(name: &str) -> Vec<Aim> {
    let Stated::Platforms(claims) = claim::of_name(name) else { panic!("{name} names no platform") };
    claims.into_iter().map(|claim| Aim { claim, node: None, stated_by: "its name".to_string() }).collect()
}

/// Error and warning severities with paths, and whether the result is undecided.
fn judged(name: &str, files: &[(&str, &[u8])]) -> (Vec<(Severity, Option<String>)>, bool) {
    let (rootfs, rules_off) = (rootfs(files), BTreeSet::new());
    let shipped = Shipped { rootfs: &rootfs, rules_off: &rules_off };
    let aims = aims(name);
    let mut found = Vec::new();
    let mut is_undecided = false;
    for aim in &aims {
        let judged = judge(&shipped, aim, &aims);
        is_undecided |= judged.undecided.is_some();
        found.extend(judged.findings.into_iter().filter(|finding| finding.severity > Severity::Note));
    }
    (found.into_iter().map(|finding| (finding.severity, finding.path)).collect(), is_undecided)
}

fn healthy(name: &str, files: &[(&str, &[u8])]) {
    assert_eq!(judged(name, files), (Vec::new(), false), "{name}");
}

fn wrong(name: &str, files: &[(&str, &[u8])], path: &str) {
    assert_eq!(judged(name, files).0, [(Severity::Error, Some(path.to_string()))], "{name}");
}

fn amd64() -> Vec<u8> {
    ElfBuilder::amd64().build()
}

fn arm64() -> Vec<u8> {
    ElfBuilder::arm64().build()
}

/// A thin Mach-O program for this CPU.
fn mach(cpu: u32) -> Vec<u8> {
    [0xfeed_facf, cpu, 0, 2].iter().flat_map(|word: &u32| word.to_le_bytes()).chain([0; 64]).collect()
}

const MACH_ARM64: u32 = 0x0100_000c;
const MACH_AMD64: u32 = 0x0100_0007;

fn pe(machine: u16) -> Vec<u8> {
    let mut bytes = vec![0; 0x80 + 24 + 240];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x80;
    bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
    bytes[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
    bytes[0x98..0x9a].copy_from_slice(&0x20b_u16.to_le_bytes());
    bytes
}

#[test]
fn a_file_that_matches_its_name_is_healthy() {
    healthy("tool-linux-arm64.tar.gz", &[("bin/tool", &arm64()), ("README", b"text")]);
    healthy("tool-linux-amd64.tar.gz", &[("tool", &amd64()), ("lib/old", &ElfBuilder::i386().build())]);
    healthy("tool-darwin-arm64.tar.gz", &[("tool", &mach(MACH_ARM64))]);
    healthy("tool-windows-amd64.zip", &[("tool.exe", &pe(0x8664)), ("setup.exe", &pe(0x14c))]);
    healthy("tool-amd64", &[("tool-amd64", &mach(MACH_AMD64))]);
}

#[test]
fn one_finding_reports_that_everything_is_for_another_platform() {
    wrong("tool-linux-arm64.tar.gz", &[("bin/tool", &amd64())], "/bin/tool");
    wrong("tool-linux-arm64.tar.gz", &[("tool", &mach(MACH_ARM64))], "/tool");
    wrong("tool-linux-arm64.zip", &[("tool.exe", &pe(0xaa64))], "/tool.exe");
    wrong("tool-darwin-arm64.tar.gz", &[("tool", &arm64())], "/tool");
    wrong("tool-windows-amd64.zip", &[("tool.exe", &pe(0xaa64))], "/tool.exe");
    // A directory of Debian names its contents, not its purpose.
    wrong("a_1_arm64.deb", &[("usr/lib/x86_64-linux-gnu/liba.so.1", &amd64())], "/usr/lib/x86_64-linux-gnu/liba.so.1");
    wrong("tool-linux-arm64.tgz", &[("x86_64-unknown-linux-gnu/tool", &amd64())], "/x86_64-unknown-linux-gnu/tool");
    let rootfs = rootfs(&[("a", &amd64()), ("b", &amd64())]);
    let rules_off = BTreeSet::new();
    let shipped = Shipped { rootfs: &rootfs, rules_off: &rules_off };
    let judged = judge(&shipped, &aims("tool-linux-arm64.zip")[0], &[]);
    assert_eq!(judged.findings.len(), 1);
    assert_eq!(judged.findings[0].message, "its name claims linux/arm64, but all 2 programs in it are for x86-64");
    assert_eq!(judged.agreement, Agreement::WhollyForeign);
}

#[test]
fn a_compatible_program_is_a_warning() {
    let i386 = ElfBuilder::i386().build();
    let (found, _) = judged("tool-linux-amd64.tar.gz", &[("tool", &i386)]);
    assert_eq!(found, [(Severity::Warning, Some("/tool".to_string()))]);
    let (found, _) = judged("tool-darwin-arm64.tar.gz", &[("tool", &mach(MACH_AMD64))]);
    assert_eq!(found, [(Severity::Warning, Some("/tool".to_string()))]);
    // Many AArch64 processors have no 32-bit mode.
    wrong("tool-linux-arm64.tar.gz", &[("tool", &ElfBuilder::arm().build())], "/tool");
}

#[test]
fn one_program_of_another_platform_is_found_among_others() {
    wrong("tool-linux-arm64.tar.gz", &[("bin/tool", &arm64()), ("bin/helper", &amd64())], "/bin/helper");
    wrong("tool-linux-arm64.tar.gz", &[("bin/tool", &arm64()), ("bin/helper", &mach(MACH_ARM64))], "/bin/helper");
}

#[test]
fn builds_for_many_platforms_side_by_side_are_healthy() {
    let files: [(&str, &[u8]); 4] = [
        ("prebuilds/linux-x64/a.node", &amd64()),
        ("prebuilds/linux-arm64/a.node", &arm64()),
        ("prebuilds/darwin-arm64/a.node", &mach(MACH_ARM64)),
        ("prebuilds/win32-x64/a.dll", &pe(0x8664)),
    ];
    healthy("a-linux-arm64.tgz", &files);
    healthy("a-linux-amd64.tgz", &files);
    let rootfs = rootfs(&files);
    let rules_off = BTreeSet::new();
    let judged = judge_by_paths(&Shipped { rootfs: &rootfs, rules_off: &rules_off });
    assert_eq!((judged.findings.len(), judged.undecided.is_none(), judged.programs), (0, true, 4));
}

#[test]
fn a_name_of_several_platforms_is_checked_for_all_of_them() {
    let both: [(&str, &[u8]); 2] = [("amd64/tool", &amd64()), ("arm64/tool", &arm64())];
    healthy("tool-linux-amd64-arm64.tar.gz", &both);
    let (found, is_undecided) = judged("tool-linux-amd64-arm64.tar.gz", &both[..1]);
    assert_eq!((found.len(), is_undecided), (0, true));
    let fat = [0xcafe_babe_u32, 2, MACH_AMD64, 3, 0x4000, 9, 14, MACH_ARM64, 0, 0x8000, 9, 14];
    let fat: Vec<u8> = fat.iter().flat_map(|word| word.to_be_bytes()).chain([0; 64]).collect();
    assert!(matches!(inspect(b"x", 112, true, &mut &fat[..]), FileKind::MachO(mach) if mach.cpus.len() == 2));
    healthy("tool-darwin-universal.zip", &[("tool", &fat)]);
    let riscv = ElfBuilder::riscv64().build();
    assert_eq!(judged("tool-linux-amd64-arm64.tar.gz", &[both[0], both[1], ("x/tool", &riscv)]).0.len(), 2);
}

#[test]
fn without_a_platform_only_contradicting_paths_are_reported() {
    let judged = |files: &[(&str, &[u8])]| {
        let (rootfs, rules_off) = (rootfs(files), BTreeSet::new());
        let judged = judge_by_paths(&Shipped { rootfs: &rootfs, rules_off: &rules_off });
        (judged.findings.len(), judged.undecided.is_some(), judged.guess.map(|guess| guess.to_string()))
    };
    assert_eq!(judged(&[("bin/tool", &amd64())]), (0, true, Some("linux/amd64".to_string())));
    let swapped: [(&str, &[u8]); 2] =
        [("native/linux-x64/liba.so", &arm64()), ("native/linux-arm64/liba.so", &arm64())];
    assert_eq!(judged(&swapped).0, 1);
    // A toolchain's own programs are in its target's directory.
    assert_eq!(judged(&[("aarch64-none-elf/bin/ld", &amd64())]).0, 0);
    // There is nothing to check.
    assert_eq!(judged(&[("README", b"text")]).0, 1);
}

#[test]
fn a_mach_o_of_the_tests_is_one() {
    let kind = inspect(b"x", 80, true, &mut &mach(MACH_ARM64)[..]);
    assert_eq!(kind, FileKind::MachO(Box::new(MachO { cpus: vec!["arm64"], filetype: 2 })));
}
