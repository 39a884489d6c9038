//! Each rule that excuses a foreign file: the note that it makes, and the finding when the rule is disabled.

use super::*;
use crate::exec::tests::{call, tree};
use crate::inspect::deflated;
use crate::inspect::elf_builder::ElfBuilder;
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::judge::labels::Labels;
use crate::judge::{PlatformCase, judge};
use crate::platform::{Platform, Target};

type File<'a> = (&'a str, Vec<u8>);

fn amd64() -> Vec<u8> {
    ElfBuilder::amd64().build()
}

fn arm64() -> Vec<u8> {
    ElfBuilder::arm64().build()
}

/// A PE file of this subsystem: 3 is a Windows program, 10 is EFI.
fn pe(subsystem: u8) -> Vec<u8> {
    let mut pe = vec![0; 0x80 + 24 + 240];
    pe[..2].copy_from_slice(b"MZ");
    pe[0x3c] = 0x80;
    pe[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
    pe[0x80 + 24..0x80 + 26].copy_from_slice(&0x20b_u16.to_le_bytes());
    // SizeOfCode.
    pe[0x80 + 24 + 4] = 1;
    pe[0x80 + 24 + 68] = subsystem;
    pe
}

/// An assembly of intermediate language.
fn assembly() -> Vec<u8> {
    let mut pe = pe(3);
    // The optional header's number of directories, and the CLR header's.
    pe[0x80 + 24 + 108] = 16;
    pe[0x80 + 24 + 112 + 14 * 8] = 1;
    pe[0x80 + 24 + 112 + 14 * 8 + 4] = 72;
    pe
}

/// A library for this machine, as archives contain them.
fn library(machine: u16) -> Vec<u8> {
    ElfBuilder::new(machine, true, false).e_type(3).soname("liba.so").build()
}

fn ar(member: &[u8]) -> Vec<u8> {
    let header = format!("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", "a.o/", 0, 0, 0, "644", member.len());
    [b"!<arch>\n", header.as_bytes(), member].concat()
}

/// Findings on an arm64 image that starts `/app`.
fn found(files: &[File<'_>], off: &[&str]) -> Vec<Finding> {
    let app = arm64();
    let mut entries = vec![("app", 0o755, app.as_slice())];
    entries.extend(files.iter().map(|(path, bytes)| (*path, 0o755, bytes.as_slice())));
    let target = Target::of_platform(&Platform::linux(Arch::Arm64)).unwrap();
    let case = PlatformCase {
        labels: Labels { promised: None, declared: None },
        rootfs: &tree(&entries),
        call: &call(&["/app"]),
        said_by: "ENTRYPOINT [\"/app\"]",
        healthcheck: &[],
        target: &target,
        rules_off: &off.iter().map(|name| name.to_string()).collect(),
    };
    judge(&case).findings
}

/// With the rule, the first file becomes a note and nothing else is found; without any rule it is a warning or an
/// error.
fn check(rule: &str, files: &[File<'_>]) {
    let path = format!("/{}", files[0].0);
    let with = found(files, &[]);
    let own = with.iter().find(|finding| finding.path.as_deref() == Some(&path));
    let name = own.and_then(|finding| finding.purpose.as_ref()).map(|(name, _)| name.to_string());
    assert_eq!(name.as_deref(), Some(rule), "{path}: {with:?}");
    assert!(with.iter().all(|finding| finding.severity == Severity::Note), "{with:?}");
    // Another rule may hold for the same file; with all rules disabled it is reported.
    let own = |off: &[&str]| found(files, off).into_iter().find(|finding| finding.path.as_deref() == Some(&path));
    let name = own(&[rule]).and_then(|finding| finding.purpose).map(|(name, _)| name.to_string());
    assert_ne!(name.as_deref(), Some(rule), "{path}");
    let all: Vec<&str> = rule_names().into_keys().collect();
    let severity = own(&all).map(|finding| finding.severity);
    assert!(severity > Some(Severity::Note), "{path}: {severity:?}");
}

#[test]
fn every_rule_makes_a_note_and_can_be_disabled() {
    let object = ElfBuilder::amd64().e_type(1).build();
    let wheel = b"Tag: py2.py3-none-any\n".to_vec();
    let manifest = ("META-INF/MANIFEST.MF", &b"Manifest-Version: 1.0\n"[..]);
    let fat = deflated(&[
        manifest,
        ("native/linux-x64/liba.so", &library(62)),
        ("native/linux-arm64/liba.so", &library(183)),
    ]);
    let thin = |machine: u16| deflated(&[manifest, ("META-INF/native/liba.so", &library(machine))]);
    let cases: &[(&str, &[File<'_>])] = &[
        ("object-file", &[("usr/lib/modules/6.1/x.ko", object.clone())]),
        ("core-dump", &[("var/crash/core", ElfBuilder::amd64().e_type(4).build())]),
        ("device-code", &[("usr/lib/bpf/probe.bin", ElfBuilder::new(247, true, false).build())]),
        ("device-code", &[("opt/cuda/kernel.cubin", ElfBuilder::new(190, true, false).build())]),
        ("device-code", &[("opt/rocm/lib/kernel.co", ElfBuilder::new(224, true, false).build())]),
        ("static-library", &[("usr/local/lib/libx.a", ar(&object))]),
        ("debug-file", &[("usr/lib/debug/app.debug", amd64())]),
        ("test-data", &[("usr/lib/go/src/debug/elf/testdata/exe", amd64())]),
        ("test-data", &[("usr/src/llvm/test/tools/readobj/Inputs/exe", amd64())]),
        ("sibling", &[("m/prebuilds/linux-x64/a.node", amd64()), ("m/prebuilds/linux-arm64/a.node", arm64())]),
        ("sibling", &[("m/native/linux-x64/a-avx.so", amd64()), ("m/native/linux-arm64/a.so", arm64())]),
        (
            "own-build",
            &[
                ("m/node_modules/a/prebuilds/linux-x64/a.node", amd64()),
                ("m/node_modules/a/build/Release/a.node", arm64()),
            ],
        ),
        (
            "optional-native",
            &[
                ("m/node_modules/a/prebuilds/linux-x64/a.node", amd64()),
                ("m/node_modules/a/fallback.js", b"1\n".to_vec()),
            ],
        ),
        (
            "optional-native",
            &[("p/site-packages/a/attach_linux_amd64.so", amd64()), ("p/site-packages/a-1.dist-info/WHEEL", wheel)],
        ),
        ("cross-toolchain", &[("usr/x86_64-linux-gnu/lib/libc.so.6", amd64())]),
        ("cross-toolchain", &[("usr/lib/rustlib/x86_64-unknown-linux-musl/lib/libstd.so", amd64())]),
        ("cross-toolchain", &[("opt/sdk/sysroot/lib/libc.so.6", amd64())]),
        ("multiarch", &[("usr/lib/x86_64-linux-gnu/libz.so.1", amd64())]),
        ("firmware", &[("usr/share/qemu/openbios", amd64())]),
        ("firmware", &[("boot/vmlinuz-6.1", pe(10))]),
        ("firmware", &[("usr/lib/shim/shimx64", pe(10))]),
        ("windows-launcher", &[("p/site-packages/pip/_vendor/distlib/t64.exe", pe(3))]),
        ("wine", &[("usr/lib/wine/notepad", pe(3))]),
        ("no-linux-program", &[("opt/x/tool.exe", pe(3))]),
        ("no-linux-program", &[("opt/x/tool-freebsd-x64", amd64())]),
        ("fat-archive", &[("srv/a.jar", fat), ("usr/bin/java", arm64())]),
        (
            "fat-archive",
            &[("srv/a-linux-x86_64.jar", thin(62)), ("srv/a-linux-aarch_64.jar", thin(183)), ("usr/bin/java", arm64())],
        ),
        (
            "tool-cache",
            &[
                ("w/.terraform/providers/r/h/null/3/linux_amd64/p", amd64()),
                ("w/.terraform/providers/r/h/null/4/linux_arm64/q", arm64()),
            ],
        ),
        (
            "tool-cache",
            &[
                ("root/.krew/store/ns/1/linux-amd64/kubectl-ns", amd64()),
                ("root/.krew/store/ns/v1.2/linux-arm64/kubectl-ns2", arm64()),
            ],
        ),
        (
            "dotnet-launcher",
            &[("srv/App", amd64()), ("srv/App.dll", assembly()), ("srv/App.runtimeconfig.json", b"{}\n".to_vec())],
        ),
    ];
    for (rule, files) in cases {
        check(rule, files);
    }
    let tried: BTreeSet<&str> = cases.iter().map(|(rule, _)| *rule).collect();
    let untried: Vec<&str> = rule_names().into_keys().filter(|name| !tried.contains(name)).collect();
    assert_eq!(untried, [""; 0]);
}

#[test]
fn a_path_that_misstates_the_platform_excuses_nothing() {
    let loud = |files: &[File<'_>]| {
        let found = found(files, &[]);
        found
            .into_iter()
            .filter(|finding| finding.severity > Severity::Note)
            .map(|finding| finding.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(loud(&[("m/prebuilds/linux-arm64/a.so", amd64()), ("m/prebuilds/linux-x64/a.so", amd64())]).len(), 2);
    assert_eq!(loud(&[("usr/lib/aarch64-linux-gnu/libz.so.1", amd64())]), [Code::ForeignFile]);
    assert_eq!(loud(&[("usr/aarch64-linux-gnu/bin/tool", amd64())]), [Code::ForeignFile]);
    assert_eq!(loud(&[("srv/arm-billing-service/tool", amd64())]), [Code::ForeignFile]);
    // A package below a tool's directory is loaded, too.
    assert_eq!(
        loud(&[("a/.yarn/unplugged/x/node_modules/@esbuild/linux-x64/bin/esbuild", amd64())]),
        [Code::PackageOtherPlatform]
    );
    // A cache that holds something else for this platform.
    let krew = |name: &'static str, path: &'static str| -> Vec<Code> { loud(&[(path, amd64()), (name, arm64())]) };
    assert_eq!(
        krew("root/.krew/store/ctx/1/linux-arm64/kubectl-ctx", "root/.krew/store/ns/1/linux-amd64/kubectl-ns"),
        [Code::ForeignFile]
    );
    assert_eq!(
        krew("w/.terraform/providers/r/h/tls/4/linux_arm64/q", "w/.terraform/providers/r/h/null/3/linux_amd64/p"),
        [Code::ForeignFile]
    );
    // A launcher that is the only part of an application.
    assert_eq!(loud(&[("srv/App", amd64()), ("srv/App.dll", assembly())]), [Code::ForeignFile]);
    // A fallback to nothing prebuilt excuses nothing.
    assert_eq!(
        loud(&[("m/node_modules/a/lib/linux-x64/a.node", amd64()), ("m/node_modules/a/fallback.js", b"1\n".to_vec())]),
        [Code::PackageOtherPlatform]
    );
    // A program on PATH is not data, whatever its directory is called.
    assert_eq!(
        loud(&[("usr/bin/tool-linux-x64", amd64()), ("usr/bin/tool-linux-arm64", arm64())]),
        [Code::ForeignOnPath]
    );
}

#[test]
fn names_are_loose_among_kin() {
    assert!(is_kin(Some(Arch::Ppc64), Some(Arch::Ppc64le)) && is_kin(Some(Arch::Amd64), Some(Arch::Amd64)));
    assert!(!is_kin(Some(Arch::Amd64), Some(Arch::Arm64)) && !is_kin(None, Some(Arch::Arm64)));
}
