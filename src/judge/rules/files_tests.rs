//! Findings on files by how they are reached, on trees built in code: an image for arm64 that starts `/app`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::exec::Exec;
use crate::image::{Contents, EntryKind, LayerMember, RootFs, merge};
use crate::inspect::elf_builder::ElfBuilder;
use crate::inspect::{FileKind, inspect};
use crate::judge::code::Severity;
use crate::judge::labels::Labels;
use crate::judge::{PlatformCase, judge};
use crate::platform::{Arch, Platform, Target};

fn amd64() -> Vec<u8> {
    ElfBuilder::amd64().build()
}

fn arm64() -> Vec<u8> {
    ElfBuilder::arm64().build()
}

const LOADER: &str = "lib/ld-linux-aarch64.so.1";

enum Put<'a> {
    File(&'a str, Vec<u8>),
    Link(&'a str, &'a str),
}
use Put::{File, Link};

fn rootfs(puts: &[Put<'_>]) -> RootFs<FileKind> {
    let mut contents = Contents::default();
    let mut all = vec![("app", EntryKind::File, arm64())];
    for put in puts {
        match put {
            File(path, bytes) => all.push((path, EntryKind::File, bytes.clone())),
            Link(path, target) => all.push((path, EntryKind::Symlink(target.as_bytes()), Vec::new())),
        }
    }
    for (path, kind, bytes) in all {
        let is_file = matches!(kind, EntryKind::File);
        let fact = is_file.then(|| inspect(path.as_bytes(), bytes.len() as u64, true, &mut &bytes[..]));
        contents
            .push(&LayerMember { size: bytes.len() as u64, ..LayerMember::plain(path.as_bytes(), kind, 0o755) }, fact);
    }
    merge([Arc::new(contents)])
}

/// `severity code path` of each finding above a note, worst first.
fn found(argv: &[&str], puts: &[Put<'_>]) -> Vec<String> {
    found_on(Arch::Arm64, argv, puts)
}

fn found_on(arch: Arch, argv: &[&str], puts: &[Put<'_>]) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<String>>();
    let call = Exec {
        argv: words(argv),
        env: words(&["PATH=/bin", "HOME=/srv"]),
        working_dir: "/work".to_string(),
        ..Exec::default()
    };
    let target = Target::of_platform(&Platform::linux(arch)).unwrap();
    let case = PlatformCase {
        labels: Labels { promised: None, declared: None },
        rootfs: &rootfs(puts),
        call: &call,
        said_by: "ENTRYPOINT [\"/app\"]",
        healthcheck: &[],
        target: &target,
        rules_off: &BTreeSet::new(),
    };
    let loud = judge(&case).findings.into_iter().filter(|finding| finding.severity > Severity::Note);
    loud.map(|f| format!("{} {} {}", f.severity.word(), f.code, f.path.unwrap_or_default())).collect()
}

fn check(puts: &[Put<'_>], expected: &[&str]) {
    assert_eq!(found(&["/app"], puts), expected);
}

#[test]
fn a_link_on_path_reaches_a_file_elsewhere() {
    let alternatives = [
        Link("bin/tool", "/etc/alternatives/tool"),
        Link("etc/alternatives/tool", "/opt/tool/run"),
        File("opt/tool/run", amd64()),
    ];
    check(&alternatives, &["error foreign-on-path /opt/tool/run"]);
    check(&[File("opt/tool/run", amd64())], &["warning foreign-file /opt/tool/run"]);
    check(&[Link("bin/tool", "/opt/tool"), File("opt/tool", Vec::new())], &["error bad-program-on-path /opt/tool"]);
}

#[test]
fn scripts_are_followed_through_other_scripts() {
    let script = |text: &str| text.as_bytes().to_vec();
    let shell = || File("bin/sh", ElfBuilder::arm64().build());
    let start = |text: &str| File("start", script(text));
    let go = |puts: &[Put<'_>]| found(&["/start"], puts);
    let tool = || File("srv/tool", amd64());
    let called = ["error foreign-called /srv/tool"];
    let deep = [
        shell(),
        start("#!/bin/sh\n. /srv/lib.sh\nexec /app\n"),
        File("srv/lib.sh", script("#!/bin/sh\n/srv/tool\n")),
        tool(),
    ];
    assert_eq!(go(&deep), called);
    assert_eq!(go(&[shell(), start("#!/bin/sh\nT=/srv/tool\n$T || true\nexec /app\n"), tool()]), called);
    assert_eq!(go(&[shell(), start("#!/bin/sh\n$HOME/tool || true\nexec /app\n"), tool()]), called);
    let relative = [shell(), start("#!/bin/sh\n./tool || true\nexec /app\n"), File("work/tool", amd64())];
    assert_eq!(go(&relative), ["error foreign-called /work/tool"]);
    let empty = [shell(), start("#!/bin/sh\n/srv/tool\nexec /app\n"), File("srv/tool", Vec::new())];
    assert_eq!(go(&empty), ["error called-not-a-program /srv/tool"]);
}

#[test]
fn a_script_may_choose_among_programs_for_several_platforms() {
    let go = |text: &str, puts: Vec<Put<'_>>| {
        let shell = File("bin/sh", ElfBuilder::arm64().build());
        let start = File("start", format!("#!/bin/sh\n{text}\n").into_bytes());
        let uname = File("bin/uname", arm64());
        found(&["/start"], &[shell, start, uname].into_iter().chain(puts).collect::<Vec<_>>())
    };
    let both = || vec![File("opt/svc-arm64", arm64()), File("opt/svc-amd64", amd64())];
    let case = "case \"$(uname -m)\" in\n aarch64) exec /opt/svc-arm64 ;;\n x86_64) exec /opt/svc-amd64 ;;\nesac";
    assert_eq!(go(case, both()), [""; 0]);
    assert_eq!(go("M=${M:-$(uname -m)}\nB=arm64\n[ $M != x86_64 ] || B=amd64\nexec /opt/svc-$B", both()), [""; 0]);
    assert_eq!(go("/opt/svc-amd64 || exec /opt/svc-arm64", both()), [""; 0]);
    assert_eq!(go("exec /opt/svc-amd64", both()), ["error entrypoint-wrong-arch /opt/svc-amd64"]);
    assert_eq!(go("/opt/svc-amd64 &\nexec /opt/svc-arm64", both()), ["error foreign-called /opt/svc-amd64"]);
    let named = || vec![File("opt/svc", arm64()), File("opt/svc-amd64", amd64())];
    assert_eq!(go("/opt/svc-amd64 || exec /opt/svc", named()), ["warning foreign-called /opt/svc-amd64"]);
    let other = || vec![File("opt/a/svc", arm64()), File("opt/b/svc", amd64())];
    let case = "case \"$(uname -m)\" in\n aarch64) exec /opt/a/svc ;;\n *) exec /opt/b/svc ;;\nesac";
    assert_eq!(go(case, other()), ["warning foreign-file /opt/b/svc"]);
    // A trap runs later.
    assert_eq!(go("stop() { /opt/b/svc; }\ntrap stop EXIT\n/opt/a/svc", other()), ["error foreign-called /opt/b/svc"]);
}

#[test]
fn a_foreign_library_counts_where_something_in_reach_needs_it() {
    let foreign = || File("usr/lib/x86_64-linux-gnu/libx.so.1", ElfBuilder::amd64().soname("libx.so.1").build());
    let needs = || File("bin/tool", ElfBuilder::arm64().needed("libx.so.1").build());
    check(&[foreign()], &[]);
    check(&[foreign(), needs()], &["error foreign-library /usr/lib/x86_64-linux-gnu/libx.so.1"]);
    let own = File("usr/lib/libx.so.1", ElfBuilder::arm64().soname("libx.so.1").build());
    check(&[foreign(), needs(), own], &[]);
}

#[test]
fn a_program_without_its_loader_is_found_by_how_it_is_reached() {
    let musl = || ElfBuilder::arm64().interp("/lib/ld-musl-aarch64.so.1").pie().build();
    check(&[File(LOADER, arm64()), File("bin/tool", musl())], &["error program-no-loader /bin/tool"]);
    check(&[File(LOADER, arm64()), File("opt/tool", musl())], &["warning program-no-loader /opt/tool"]);
    // A root file system inside this one has its own loader.
    check(&[File("opt/rootfs/lib/ld-musl-aarch64.so.1", arm64()), File("opt/rootfs/bin/tool", musl())], &[]);
    // A 32-bit helper next to the 64-bit one, as in perf, is only for users with 32-bit programs.
    let of_both_widths = |directory: &str| {
        let paths = ["tool", "tool32"].map(|name| format!("{directory}/{name}"));
        let wide = ElfBuilder::amd64().interp("/lib/ld-musl-x86_64.so.1").pie().build();
        let narrow = ElfBuilder::i386().interp("/lib/ld-linux.so.2").pie().build();
        found_on(Arch::Amd64, &[], &[File(&paths[0], wide), File(&paths[1], narrow)])
            .into_iter()
            .filter(|found| found.contains("program-no-loader"))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_both_widths("opt"), ["warning program-no-loader /opt/tool"]);
    let on_path = ["error program-no-loader /bin/tool", "error program-no-loader /bin/tool32"];
    assert_eq!(of_both_widths("bin"), on_path);
}

#[test]
fn pythons_modules_are_known_by_their_names() {
    let python = || File("bin/python3.11", arm64());
    let path = "p/site-packages/a/_x.cpython-311-x86_64-linux-gnu.so";
    check(&[python(), File(path, amd64())], &[&format!("error foreign-extension /{path}")]);
    check(&[python(), File(path, arm64())], &[&format!("error package-other-platform /{path}")]);
    check(&[python(), File(path, arm64()), File("p/site-packages/a/_x.abi3.so", arm64())], &[]);
    check(&[File(path, amd64())], &[&format!("warning foreign-extension /{path}")]);
    check(
        &[python(), File("srv/_x.cpython-311-aarch64-linux-gnu.so", amd64())],
        &["error foreign-extension /srv/_x.cpython-311-aarch64-linux-gnu.so"],
    );
}

#[test]
fn a_module_that_is_not_a_library_is_found() {
    let node = || File("bin/node", arm64());
    let addon = "m/node_modules/a/build/Release/a.node";
    let mach_o: Vec<u8> =
        [0xfeed_facfu32, 0x0100_000c, 0, 8, 0, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n".to_vec();
    for bytes in [Vec::new(), mach_o.clone(), lfs, b"<html><body>".to_vec()] {
        check(&[node(), File(addon, bytes)], &[&format!("error broken-extension /{addon}")]);
    }
    // One for another system that its path names.
    check(&[node(), File("m/node_modules/a/prebuilds/darwin-arm64/a.node", mach_o.clone())], &[]);
    let package = File("m/node_modules/fsevents/package.json", br#"{"name":"fsevents","os":["darwin"]}"#.to_vec());
    check(&[node(), package, File("m/node_modules/fsevents/fsevents.node", mach_o)], &[]);
}

#[test]
fn a_package_for_other_platforms_is_reported_once() {
    let node = || File("bin/node", arm64());
    let files = [
        node(),
        File("m/node_modules/a/prebuilds/linux-x64/a.node", amd64()),
        File("m/node_modules/a/prebuilds/linux-x64/b.node", amd64()),
    ];
    check(&files, &["error package-other-platform /m/node_modules/a/prebuilds/linux-x64/a.node"]);
    let rollup = "m/node_modules/@rollup/rollup-linux-x64-gnu/rollup.linux-x64-gnu.node";
    check(&[node(), File(rollup, amd64())], &[&format!("error package-other-platform /{rollup}")]);
    let own = File("m/node_modules/@rollup/rollup-linux-arm64-gnu/rollup.linux-arm64-gnu.node", arm64());
    check(&[node(), File(rollup, amd64()), own], &[]);
}

#[test]
fn a_module_for_another_c_library_is_found() {
    let musl = ElfBuilder::arm64().needed("libc.musl-aarch64.so.1").build();
    let path = "m/node_modules/@img/sharp-linuxmusl-arm64/lib/sharp.node";
    let puts = |more: Vec<Put<'static>>| {
        let mut puts = vec![File("bin/node", arm64()), File(LOADER, arm64()), File(path, musl.clone())];
        puts.extend(more);
        puts
    };
    check(&puts(Vec::new()), &[&format!("error package-other-platform /{path}")]);
    check(&puts(vec![File("m/node_modules/@img/sharp-linux-arm64/lib/sharp.node", arm64())]), &[]);
    check(&puts(vec![File("lib/ld-musl-aarch64.so.1", arm64())]), &[]);
}
