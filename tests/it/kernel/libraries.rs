//! How the dynamic loader handles the libraries of real programs.

use super::*;

#[test]
fn real_programs_without_loader_or_libraries_end_as_predicted() {
    let Some(node) = node("libraries") else { return };
    if !has("libraries", &[Need::Compiler, Need::Debian]) {
        return;
    }
    let app = compile(MAIN, &[]);
    let whole = || Tree::call(&["/app"]).file("app", &app).file(&LOADER[1..], host(LOADER));
    let libc = "lib/x86_64-linux-gnu/libc.so.6";
    let libc_bytes = host("/lib/x86_64-linux-gnu/libc.so.6");
    check(&whole().file(libc, &libc_bytes), &node, "runs");
    check(&whole(), &node, "exit 127");
    check(&Tree::call(&["/app"]).file("app", &app).file(libc, &libc_bytes), &node, "ENOENT");
    check(&whole().file(libc, elf::ElfBuilder::arm64().soname("libc.so.6").build()), &node, "exit 127");
    check(&whole().file(libc, elf::ElfBuilder::i386().soname("libc.so.6").build()), &node, "exit 127");
    check(&whole().file(libc, "not a library"), &node, "exit 127");
    check(&whole().file(libc, vec![b'x'; 4096]), &node, "exit 127");
    check(&whole().file(libc, &app), &node, "exit 127");
    check(&Tree::call(&["/app"]).file("app", compile(MAIN, &["-static"])), &node, "runs");
    check(&Tree::call(&["/app"]).file("app", compile(MAIN, &["-static-pie"])), &node, "runs");
    let library = compile("int f(void) { return 1; }", &["-shared", "-fPIC"]);
    check(&Tree::call(&["/app"]).file("app", &library), &node, "signal 11");
}

#[test]
fn a_missing_symbol_version_ends_a_real_program_as_predicted() {
    let Some(node) = node("versions") else { return };
    if !has("versions", &[Need::Compiler, Need::Debian]) {
        return;
    }
    // Link against a libq.so.1 with version Q_2, and run with one that only has Q_1.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let build = |versions: &str, script: &str, name: &str| {
        std::fs::write(at("map"), script).expect("writing the version script");
        let map = format!("-Wl,--version-script={}", at("map").display());
        let bytes = compile(versions, &["-shared", "-fPIC", "-Wl,-soname,libq.so.1", &map]);
        std::fs::write(at(name), &bytes).expect("writing the library");
        bytes
    };
    build("int q(void) { return 0; }", "Q_1 { }; Q_2 { global: q; local: *; };", "libq.so");
    let library = format!("-L{}", directory.path().display());
    let program = directory.path().join("p.c");
    std::fs::write(&program, "int q(void); int main(void) { return q(); }").expect("writing the source file");
    let out = at("p");
    let linked = Command::new("cc").arg(&program).args([&library, "-lq", "-o"]).arg(&out).status().expect("cc starts");
    assert!(linked.success());
    let old = build("int q(void) { return 0; }", "Q_1 { global: q; local: *; };", "old.so");
    let tree = Tree::call(&["/app"])
        .file("app", host(out.to_str().expect("a path")))
        .file(&LOADER[1..], host(LOADER))
        .file("lib/x86_64-linux-gnu/libc.so.6", host("/lib/x86_64-linux-gnu/libc.so.6"))
        .file("usr/lib/libq.so.1", &old);
    check(&tree, &node, "exit 1");
}

#[test]
fn preloaded_libraries_and_copies_for_newer_cpus_are_loaded_as_predicted() {
    let Some(node) = node("preload") else { return };
    if !has("preload", &[Need::Compiler, Need::Debian]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let library = |more: &[&str]| compile("int q(void) { return 0; }", &[&["-shared", "-fPIC"], more].concat());
    let q = library(&["-Wl,-soname,libq.so.1"]);
    std::fs::write(directory.path().join("libq.so"), &q).expect("writing the library");
    let link = format!("-L{}", directory.path().display());
    let linked = |text: &str, more: &[&str]| compile(text, &[more, &[&link, "-Wl,--no-as-needed", "-lq"]].concat());
    let app = linked("int main(void) { return 0; }", &[]);
    let needing = linked("int r(void) { return 0; }", &["-shared", "-fPIC"]);
    let plain = compile(MAIN, &[]);
    let with = |app: &[u8], preload: &str, files: &[(&str, &[u8])]| {
        let mut tree = Tree::call(&["/app"])
            .file("app", app)
            .file(&LOADER[1..], host(LOADER))
            .file("lib/x86_64-linux-gnu/libc.so.6", host("/lib/x86_64-linux-gnu/libc.so.6"));
        if !preload.is_empty() {
            tree = tree.env(&[&format!("LD_PRELOAD={preload}")]);
        }
        files.iter().fold(tree, |tree, (path, bytes)| tree.file(path, *bytes))
    };
    check(&with(&app, "", &[]), &node, "exit 127");
    check(&with(&app, "/opt/any.so", &[("opt/any.so", &q)]), &node, "runs");
    check(&with(&app, "", &[("opt/any.so", &q), ("etc/ld.so.preload", b"/opt/any.so\n")]), &node, "runs");
    check(&with(&app, "/opt/libq.so.1", &[("opt/libq.so.1", &library(&["-Wl,-soname,other.so"]))]), &node, "exit 127");
    check(&with(&plain, "/opt/any.so", &[("opt/any.so", &needing)]), &node, "exit 127");
    for unusable in [b"".as_slice(), b"text", &elf::ElfBuilder::arm64().soname("any.so").build()] {
        check(&with(&plain, "/none.so:/opt/any.so", &[("opt/any.so", unusable)]), &node, "runs");
    }
    // This machine has at least level v2.
    let copy = |place: &str, bytes: &[u8]| {
        with(&app, "", &[("lib/libq.so.1", &q), (&format!("lib/{place}/libq.so.1"), bytes)])
    };
    let v2 = Node { isa: Fact::Known(imgarch::platform::Isa::X86(2)), ..node.clone() };
    check(&copy("glibc-hwcaps/x86-64-v2", b"text"), &v2, "exit 127");
    check(&copy("glibc-hwcaps/x86-64-v2", &elf::ElfBuilder::arm64().soname("libq.so.1").build()), &v2, "runs");
    check(&copy("glibc-hwcaps/power10", b"text"), &v2, "runs");
    check(&with(&app, "", &[("lib/glibc-hwcaps/x86-64-v2/libq.so.1", &q)]), &v2, "runs");
}
