//! The loaders' search and their messages, on trees built in code.

use crate::exec::tests::{call, short, tree};
use crate::exec::{Exec, Trace, trace};
use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Fact, Isa, Node};

const GLIBC: &str = "lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "lib/ld-musl-x86_64.so.1";

fn program(loader: &str) -> ElfBuilder {
    ElfBuilder::amd64().pie().interp(&format!("/{loader}"))
}

fn library(name: &str) -> ElfBuilder {
    ElfBuilder::amd64().soname(name)
}

/// Files of mode 0755, and both loaders.
fn image(files: &[(&str, Vec<u8>)]) -> RootFs<FileKind> {
    let (glibc, musl) = (library("ld-linux-x86-64.so.2").build(), library("libc.musl-x86_64.so.1").build());
    let mut all: Vec<(&str, u16, &[u8])> = vec![(GLIBC, 0o755, &glibc), (MUSL, 0o755, &musl)];
    all.extend(files.iter().map(|(path, bytes)| (*path, 0o755, bytes.as_slice())));
    tree(&all)
}

fn run(files: &[(&str, Vec<u8>)], call: &Exec, node: &Node) -> Trace {
    trace(&image(files), call, node)
}

fn check(files: &[(&str, Vec<u8>)], env: &[&str], expected: &str, says: &str) {
    let call = Exec { env: env.iter().map(|line| line.to_string()).collect(), ..call(&["/app"]) };
    let trace = run(files, &call, &Node::plain(Arch::Amd64));
    assert_eq!((short(&trace.outcome).as_str(), trace.says.join("\n").as_str()), (expected, says), "{trace:?}");
}

#[test]
fn each_loader_reports_a_missing_library_in_its_own_words() {
    check(
        &[("app", program(GLIBC).needed("libq.so.1").build())],
        &[],
        "exit 127 missing-library",
        "/app: error while loading shared libraries: libq.so.1: cannot open shared object file: No such file or directory",
    );
    check(
        &[("app", program(MUSL).needed("libq.so.1").build())],
        &[],
        "exit 127 missing-library",
        "Error loading shared library libq.so.1: No such file or directory (needed by /app)",
    );
}

#[test]
fn musl_is_its_own_libc_and_glibc_is_not() {
    check(&[("app", program(MUSL).needed("libc.so").needed("libpthread.so.0").build())], &[], "runs", "");
    let says = "/app: error while loading shared libraries: libc.so: cannot open shared object file: No such file or directory";
    check(&[("app", program(GLIBC).needed("libc.so").build())], &[], "exit 127 missing-library", says);
}

#[test]
fn debians_loader_and_each_architecture_have_their_own_directories() {
    let app = || ("app", program(GLIBC).needed("libq.so.1").runpath("/opt/$LIB").build());
    let q = |path: &'static str| (path, library("libq.so.1").build());
    let debian = || ("etc/debian_version", b"12.5\n".to_vec());
    let fedora = || ("etc/os-release", b"ID=fedora\n".to_vec());
    let says = "/app: error while loading shared libraries: libq.so.1: cannot open shared object file: No such file or directory";
    for path in ["usr/lib64/libq.so.1", "opt/lib64/libq.so.1"] {
        check(&[app(), q(path), fedora()], &[], "runs", "");
        check(&[app(), q(path), debian()], &[], "exit 127 missing-library", says);
    }
    // The loader may have been copied from any distribution.
    check(&[app(), q("usr/lib64/libq.so.1")], &[], "unknown library-unknown", "");
    check(&[app(), q("usr/lib64/libq.so.1"), q("lib/libq.so.1")], &[], "runs", "");
    let foreign = ("lib64/libq.so.1", ElfBuilder::arm64().soname("libq.so.1").build());
    check(&[app(), foreign], &[], "exit 127 missing-library", says);
    let ubuntu = ("usr/lib/os-release", b"ID=neon\nID_LIKE=\"ubuntu debian\"\n".to_vec());
    check(&[app(), q("usr/lib64/libq.so.1"), ubuntu], &[], "exit 127 missing-library", says);
    for path in ["usr/lib/x86_64-linux-gnu/libq.so.1", "opt/lib/x86_64-linux-gnu/libq.so.1", "usr/lib/libq.so.1"] {
        check(&[app(), q(path), debian()], &[], "runs", "");
    }
    check(&[app(), q("usr/lib/glibc-hwcaps/x86-64-v3/libq.so.1")], &[], "runs", "");
    check(&[app(), q("usr/lib/glibc-hwcaps/power10/libq.so.1")], &[], "exit 127 missing-library", says);
}

/// Checked with glibc 2.36 on this machine and under qemu-user with CPUs of each level.
#[test]
fn copies_for_newer_cpus_come_before_the_directory_on_cpus_that_fit() {
    let app = || ("app", program(GLIBC).needed("libq.so.1").build());
    let at =
        |place: &str, bytes: Vec<u8>| -> (&'static str, Vec<u8>) { (format!("lib/{place}libq.so.1").leak(), bytes) };
    let q = || library("libq.so.1").build();
    let (v3, text) = ("glibc-hwcaps/x86-64-v3/", b"INPUT(libq.so.1)".to_vec());
    let on = |isa: Fact<Isa>, files: &[(&str, Vec<u8>)]| {
        let node = Node { isa, ..Node::plain(Arch::Amd64) };
        short(&run(files, &call(&["/app"]), &node).outcome)
    };
    let level = |level: u8| Fact::Known(Isa::X86(level));
    let broken = [app(), at("", q()), at(v3, text)];
    assert_eq!(on(level(2), &broken), "runs");
    assert_eq!(on(level(3), &broken), "exit 127 broken-library");
    assert_eq!(on(Fact::Unknown, &broken), "unknown library-unknown");
    let only = [app(), at(v3, q())];
    assert_eq!(on(level(2), &only), "exit 127 missing-library");
    assert_eq!((on(level(4), &only), on(Fact::Unknown, &only)), ("runs".to_string(), "runs".to_string()));
    // A copy for another architecture is skipped, and the best copy for the CPU is taken.
    let foreign = ElfBuilder::arm64().soname("libq.so.1").build();
    assert_eq!(on(level(4), &[app(), at("", q()), at(v3, foreign)]), "runs");
    let newer = library("libq.so.1").x86_needed(8).build();
    let both = [app(), at("", q()), at("glibc-hwcaps/x86-64-v4/", newer)];
    assert_eq!((on(level(3), &both), on(Fact::Unknown, &both)), ("runs".to_string(), "runs".to_string()));
}

/// Checked with glibc 2.36 and musl 1.2.3.
#[test]
fn a_preloaded_library_provides_its_name_and_needs_its_own() {
    let app = |loader| ("app", program(loader).needed("libq.so.1").build());
    let q = || library("libq.so.1").build();
    let missing = "/app: error while loading shared libraries: libq.so.1: cannot open shared object file: No such file or directory";
    check(&[app(GLIBC), ("opt/q.so", q())], &["LD_PRELOAD=/opt/q.so"], "runs", "");
    check(&[app(GLIBC), ("opt/q.so", q()), ("etc/ld.so.preload", b"# mine\n/opt/q.so\n".to_vec())], &[], "runs", "");
    check(
        &[app(GLIBC), ("opt/libq.so.1", library("q").build())],
        &["LD_PRELOAD=/opt/libq.so.1"],
        "exit 127 missing-library",
        missing,
    );
    check(&[app(GLIBC), ("opt/q.so", q())], &["LD_PRELOAD=/opt/none.so"], "exit 127 missing-library", missing);
    // musl compares file names, and only of libraries that it searched for.
    let says = "Error loading shared library libq.so.1: No such file or directory (needed by /app)";
    for file in ["opt/q.so", "opt/libq.so.1"] {
        let env = format!("LD_PRELOAD=/{file}");
        check(&[app(MUSL), (file, q())], &[&env], "exit 127 missing-library", says);
    }
    // A library that cannot be opened is ignored; one that needs another ends every program.
    let plain = |loader| ("app", program(loader).build());
    let foreign = ElfBuilder::arm64().soname("q").build();
    for bytes in [foreign, Vec::new(), b"junk".to_vec()] {
        check(&[plain(GLIBC), ("opt/q.so", bytes)], &["LD_PRELOAD=/none.so /opt/q.so"], "runs", "");
    }
    let needing = || ("opt/q.so", library("q").needed("libgone.so").build());
    let says = "/app: error while loading shared libraries: libgone.so: cannot open shared object file: No such file or directory";
    check(&[plain(GLIBC), needing()], &["LD_PRELOAD=/opt/q.so"], "exit 127 missing-library", says);
    let says = "Error loading shared library libgone.so: No such file or directory (needed by /opt/q.so)";
    check(&[plain(MUSL), needing()], &["LD_PRELOAD=/opt/q.so"], "exit 127 missing-library", says);
    // A value that only run time knows may name it.
    let unknown = format!("LD_PRELOAD={}", crate::exec::UNKNOWN_TEXT);
    check(&[app(GLIBC), ("opt/libq.so.1", q())], &[&unknown], "unknown library-unknown", "");
}

#[test]
fn a_library_that_the_user_may_not_read_is_missing() {
    let says = "/app: error while loading shared libraries: libq.so.1: cannot open shared object file: No such file or directory";
    let musl_says = "Error loading shared library libq.so.1: No such file or directory (needed by /app)";
    for (loader, says) in [(GLIBC, says), (MUSL, musl_says)] {
        let (app, q) = (program(loader).needed("libq.so.1").build(), library("libq.so.1").build());
        let soname = if loader == GLIBC { "ld-linux-x86-64.so.2" } else { "libc.musl-x86_64.so.1" };
        let own = library(soname).build();
        let run = |user: &str, mode: u16, more: &[(&str, u16, &[u8])]| {
            let files = [&[("app", 0o755, &*app), (loader, 0o755, &own), ("lib/libq.so.1", mode, &q)], more].concat();
            let call = Exec { user: user.to_string(), ..call(&["/app"]) };
            let trace = trace(&tree(&files), &call, &Node::plain(Arch::Amd64));
            (short(&trace.outcome), trace.says.join("\n"))
        };
        let (runs, ends) = (("runs".into(), String::new()), ("exit 127 missing-library".to_string(), says.to_string()));
        assert_eq!(run("12:12", 0o600, &[]), ends);
        assert_eq!(run("12:12", 0o640, &[]), ends);
        assert_eq!(run("12:0", 0o640, &[]), runs);
        assert_eq!(run("", 0o600, &[]), runs);
        assert_eq!(run("12:12", 0o644, &[]), runs);
        assert_eq!(run("12:12", 0o600, &[("usr/lib/libq.so.1", 0o644, &q)]), runs);
    }
}

#[test]
fn the_search_follows_each_list_that_the_loader_has() {
    let q = library("libq.so.1").build();
    let needing = || program(GLIBC).needed("libq.so.1");
    let app = || ("app", needing().build());
    check(&[app(), ("usr/lib/x86_64-linux-gnu/libq.so.1", q.clone())], &[], "runs", "");
    check(&[app(), ("opt/libq.so.1", q.clone())], &["LD_LIBRARY_PATH=/a:/opt"], "runs", "");
    check(&[("app", needing().rpath("/opt").build()), ("opt/libq.so.1", q.clone())], &[], "runs", "");
    check(&[("app", needing().runpath("$ORIGIN/opt").build()), ("opt/libq.so.1", q.clone())], &[], "runs", "");
    check(&[("app", needing().runpath("${ORIGIN}/$LIB").build()), ("lib64/libq.so.1", q.clone())], &[], "runs", "");
    let conf = [
        ("etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n".to_vec()),
        ("etc/ld.so.conf.d/a.conf", b"# mine\n/opt/q\n".to_vec()),
        ("etc/ld.so.cache", b"glibc-ld.so.cache1.1".to_vec()),
    ];
    let ordered = [
        ("etc/ld.so.conf", b"/opt/a\ninclude /etc/ld.so.conf.d/*.conf\n/opt/z\n".to_vec()),
        ("etc/ld.so.conf.d/q.conf", b"/opt/q\ninclude /etc/ld.so.conf\n".to_vec()),
    ];
    let (directories, gap) = super::conf::ld_so_conf(&image(&ordered));
    assert_eq!(directories[..3], ["/opt/a", "/opt/q", "/opt/a"]);
    assert!(gap.is_some(), "the files include each other");
    let with_conf: Vec<_> = conf.iter().cloned().chain([app(), ("opt/q/libq.so.1", q.clone())]).collect();
    check(&with_conf, &[], "runs", "");
    // Without a cache nothing reads ld.so.conf.
    let without = [&with_conf[..2], &with_conf[3..]].concat();
    let says = "/app: error while loading shared libraries: libq.so.1: cannot open shared object file: No such file or directory";
    check(&without, &[], "exit 127 missing-library", says);
    let musl = ("app", program(MUSL).needed("libq.so.1").build());
    check(&[musl.clone(), ("usr/local/lib/libq.so.1", q.clone())], &[], "runs", "");
    let path = ("etc/ld-musl-x86_64.path", b"/opt\n/usr/lib".to_vec());
    check(&[musl.clone(), path.clone(), ("opt/libq.so.1", q.clone())], &[], "runs", "");
    let says = "Error loading shared library libq.so.1: No such file or directory (needed by /app)";
    check(&[musl, path, ("lib/libq.so.1", q)], &[], "exit 127 missing-library", says);
}

#[test]
fn a_runpath_is_for_its_own_object_and_an_rpath_for_those_below_it() {
    let files = |app: ElfBuilder| {
        let a = library("liba.so").needed("libb.so").build();
        [("app", app.needed("liba.so").build()), ("opt/liba.so", a), ("opt/libb.so", library("libb.so").build())]
    };
    check(&files(program(GLIBC).rpath("/opt")), &[], "runs", "");
    let says = "/app: error while loading shared libraries: libb.so: cannot open shared object file: No such file or directory";
    check(&files(program(GLIBC).runpath("/opt")), &[], "exit 127 missing-library", says);
}

#[test]
fn another_architectures_library_is_skipped_and_another_class_is_reported() {
    let app = || ("app", program(GLIBC).needed("libq.so").build());
    let foreign = ElfBuilder::arm64().soname("libq.so").build();
    let absent = "/app: error while loading shared libraries: libq.so: cannot open shared object file: No such file or directory";
    check(&[app(), ("lib/libq.so", foreign.clone())], &[], "exit 127 foreign-library", absent);
    check(&[app(), ("lib/libq.so", foreign), ("usr/lib/libq.so", library("libq.so").build())], &[], "runs", "");
    let narrow = ElfBuilder::i386().soname("libq.so").build();
    let class = "/app: error while loading shared libraries: libq.so: wrong ELF class: ELFCLASS32";
    check(&[app(), ("lib/libq.so", narrow)], &[], "exit 127 foreign-library", class);
    let text = "/app: error while loading shared libraries: /lib/libq.so: file too short";
    check(&[app(), ("lib/libq.so", b"INPUT(libq.so.1)".to_vec())], &[], "exit 127 broken-library", text);
    let pie =
        "/app: error while loading shared libraries: libq.so: cannot dynamically load position-independent executable";
    check(&[app(), ("lib/libq.so", library("libq.so").pie().build())], &[], "exit 127 broken-library", pie);
}

#[test]
fn a_version_that_the_libc_lacks_ends_the_program_with_1() {
    let libc = || ("lib/libc.so.6", library("libc.so.6").offers("GLIBC_2.17").offers("GLIBC_2.9").build());
    let app = |weak| ("app", program(GLIBC).needed("libc.so.6").wants("libc.so.6", "GLIBC_2.38", weak).build());
    let says = "/app: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /app)";
    check(&[app(false), libc()], &[], "exit 1 symbol-version", says);
    check(&[app(true), libc()], &[], "runs", "");
    let trace = run(&[app(false), libc()], &call(&["/app"]), &Node::plain(Arch::Amd64));
    let text = &trace.outcome.cause().unwrap().text;
    assert_eq!(text, "/app was linked against GLIBC_2.38; the image has /lib/libc.so.6, whose newest is GLIBC_2.17");
}

#[test]
fn a_note_that_the_loader_enforces_is_proof_and_any_other_is_a_doubt() {
    let node = Node { isa: Fact::Known(Isa::X86(2)), ..Node::plain(Arch::Amd64) };
    let app = |loader| program(loader).x86_needed(7).needed("libc.so.6").build();
    let libc = |version| ("lib/libc.so.6", library("libc.so.6").offers(version).build());
    let judge = |files: &[(&str, Vec<u8>)]| {
        let trace = run(files, &call(&["/app"]), &node);
        (
            short(&trace.outcome),
            trace.doubts.iter().map(|doubt| doubt.code()).collect::<Vec<_>>(),
            trace.says.join("\n"),
        )
    };
    let says = "/app: CPU ISA level is lower than required".to_string();
    assert_eq!(judge(&[("app", app(GLIBC)), libc("GLIBC_2.36")]), ("exit 127 cpu-level".to_string(), vec![], says));
    let doubt = ("runs".to_string(), vec!["cpu-level"], String::new());
    assert_eq!(judge(&[("app", app(GLIBC)), libc("GLIBC_2.31")]), doubt);
    assert_eq!(judge(&[("app", app(MUSL))]), doubt);
    assert_eq!(judge(&[("app", ElfBuilder::amd64().x86_needed(9).build())]), doubt);
    let go = ElfBuilder::amd64().go("go1.22", &[("GOAMD64", "v3")]).build();
    let says = "This program can only be run on AMD64 processors with v3 microarchitecture support.".to_string();
    assert_eq!(judge(&[("app", go)]), ("exit 1 cpu-level".to_string(), vec![], says));
}

#[test]
fn a_library_that_no_file_provides_is_missing_in_every_directory() {
    let app = ElfBuilder::amd64().pie().interp("/nix/ld.so").needed("libq.so.1").build();
    let loader = library("ld-linux-x86-64.so.2").build();
    let run = |files: &[(&str, Vec<u8>)]| {
        let files = [files, &[("app", app.clone()), ("nix/ld.so", loader.clone())]].concat();
        short(&self::run(&files, &call(&["/app"]), &Node::plain(Arch::Amd64)).outcome)
    };
    assert_eq!(run(&[]), "exit 127 missing-library");
    assert_eq!(run(&[("nix/store/lib/libq.so.1", library("libq.so.1").build())]), "unknown library-unknown");
}

#[test]
fn a_truncated_library_kills_the_program_in_its_loader() {
    let whole = library("libq.so.1").padding(0x3000).build();
    let app = program(GLIBC).needed("libq.so.1").build();
    let run = |bytes: &[u8]| {
        let files = [("app", app.clone()), ("lib/libq.so.1", bytes.to_vec())];
        short(&self::run(&files, &call(&["/app"]), &Node::plain(Arch::Amd64)).outcome)
    };
    assert_eq!(run(&whole), "runs");
    assert_eq!(run(&whole[..0x1000]), "signal 7 truncated");
}

#[test]
fn a_level_above_the_distributions_is_a_doubt_if_the_nodes_is_unknown() {
    let release = b"ID=almalinux\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.5\"\nPRETTY_NAME=\"AlmaLinux 9.5\"\n";
    let doubts = |bits: u32, release: &[u8], isa: Fact<Isa>| {
        let app = program(GLIBC).x86_needed(bits).needed("libc.so.6").build();
        let libc = library("libc.so.6").offers("GLIBC_2.34").x86_needed(if release.is_empty() { 1 } else { 2 }).build();
        let files = [("app", app), ("lib/libc.so.6", libc), ("etc/os-release", release.to_vec())];
        let node = Node { isa, ..Node::plain(Arch::Amd64) };
        let trace = run(&files, &call(&["/app"]), &node);
        (short(&trace.outcome), trace.doubts.iter().map(|doubt| doubt.code()).collect::<Vec<_>>())
    };
    let runs = |codes: &[&'static str]| ("runs".to_string(), codes.to_vec());
    assert_eq!(doubts(1, b"", Fact::Unknown), runs(&[]));
    assert_eq!(doubts(2, release, Fact::Unknown), runs(&["distribution-level"]));
    assert_eq!(doubts(4, release, Fact::Unknown), runs(&["distribution-level", "cpu-level"]));
    assert_eq!(doubts(4, b"", Fact::Unknown), runs(&["cpu-level"]));
    assert_eq!(doubts(2, release, Fact::Known(Isa::X86(2))), runs(&[]));
    assert_eq!(doubts(4, b"", Fact::Known(Isa::X86(2))).0, "exit 127 cpu-level");
    assert_eq!(doubts(1, release, Fact::Known(Isa::X86(1))).0, "exit 127 cpu-level");
}

#[test]
fn arm_attributes_of_the_program_and_its_loader_count_but_not_of_libraries() {
    const TAG_CPU_ARCH: u8 = 6;
    const LOADER: &str = "lib/ld-linux-armhf.so.3";
    let doubts = |own: u8, of_library: u8| {
        let part = |name: &str, cpu: u8| ElfBuilder::arm().soname(name).arm_attribute(TAG_CPU_ARCH, cpu).build();
        let app = ElfBuilder::arm().pie().interp(&format!("/{LOADER}")).needed("libq.so.1");
        let app = app.arm_attribute(TAG_CPU_ARCH, own).build();
        let files =
            [("app", app), (LOADER, part("ld-linux-armhf.so.3", 10)), ("lib/libq.so.1", part("libq.so.1", of_library))];
        let node = Node { isa: Fact::Known(Isa::Arm(7)), ..Node::plain(Arch::Arm) };
        let trace = run(&files, &call(&["/app"]), &node);
        (short(&trace.outcome), trace.doubts.iter().map(|doubt| doubt.code()).collect::<Vec<_>>())
    };
    assert_eq!(doubts(10, 14), ("runs".to_string(), vec![]));
    assert_eq!(doubts(14, 10), ("runs".to_string(), vec!["cpu-level"]));
}
