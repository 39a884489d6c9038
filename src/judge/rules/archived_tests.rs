//! Native parts of archives that this image cannot load, vendored libraries, and packages of Plug'n'Play: each fault with
//! its healthy twin, on an image for arm64 that starts `/app`.

use super::later_tests::{Library, Program, Put, foreign, found, own, text};
use crate::inspect::deflated;
use crate::inspect::elf_builder::ElfBuilder;

const NONE: [&str; 0] = [];

fn java() -> Put {
    Program("usr/bin/java", own().build())
}

fn jar(members: &[(&str, ElfBuilder)]) -> Put {
    let natives: Vec<(&str, Vec<u8>)> = members.iter().map(|(name, builder)| (*name, builder.build())).collect();
    let manifest: (&str, &[u8]) = ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0");
    let all: Vec<(&str, &[u8])> =
        [manifest].into_iter().chain(natives.iter().map(|(name, b)| (*name, &b[..]))).collect();
    Library("srv/lib/a.jar", deflated(&all))
}

#[test]
fn a_jars_only_library_for_this_architecture_must_be_loadable() {
    const WARNING: [&str; 1] = ["warning jar-without-platform /srv/lib/a.jar"];
    let glibc = || own().soname("libx.so").needed("libc.so.6");
    let musl = || own().soname("libx.so").needed("libc.musl-aarch64.so.1");
    let check = |members: &[(&str, ElfBuilder)], expected: &[&str]| {
        assert_eq!(found(&[java(), jar(members)]), expected);
        // Nothing in the image reads it.
        assert_eq!(found(&[jar(members)]), NONE);
    };
    check(&[("a/Linux/aarch64/libx.so", glibc())], &NONE);
    check(&[("a/Linux/aarch64/libx.so", musl())], &WARNING);
    check(&[("a/Linux/aarch64/libx.so", glibc().needed("libstdc++.so.6"))], &WARNING);
    check(&[("a/Linux/aarch64/libx.so", glibc().wants("libc.so.6", "GLIBC_2.38", false))], &WARNING);
    check(&[("a/Linux/aarch64/libx.so", glibc().wants("libc.so.6", "GLIBC_2.31", false))], &NONE);
    // The build for another C library is next to one that fits.
    check(&[("a/Linux/aarch64/libx.so", glibc()), ("a/Linux-Musl/aarch64/libx.so", musl())], &NONE);
    // The archive contains the library that it needs.
    let both = [("n/libx.so", glibc().needed("liby.so")), ("n/liby.so", glibc().soname("liby.so"))];
    check(&both, &NONE);
}

#[test]
fn a_zipapp_needs_modules_for_a_python_of_the_image() {
    let app = |modules: &[&str]| {
        let module = own().build();
        let zip = deflated(&modules.iter().map(|name| (*name, &module[..])).collect::<Vec<_>>());
        let script = Program("srv/app.pyz", [&b"#!/usr/bin/env python3\n"[..], &zip].concat());
        found(&[Program("usr/bin/python3.11", own().build()), script])
    };
    let (fits, other) = ("a/_a.cpython-311-aarch64-linux-gnu.so", "a/_a.cpython-312-aarch64-linux-gnu.so");
    let broken = ["warning package-other-platform /srv/app.pyz"];
    assert_eq!(app(&[fits]), NONE);
    assert_eq!(app(&[other]), broken);
    assert_eq!(app(&[fits, other]), NONE);
    // pex: one wheel for each version.
    let wheel = |minor: u8, name: &str| {
        let place = format!(".deps/a-1.0-cp3{minor}-cp3{minor}-manylinux_2_17_aarch64.whl");
        &*Box::leak(format!("{place}/{name}").into_boxed_str())
    };
    assert_eq!(app(&[wheel(12, other)]), broken);
    assert_eq!(app(&[wheel(11, fits), wheel(12, other)]), NONE);
}

#[test]
fn a_library_of_a_wheel_is_nowhere_else() {
    let place = "usr/local/lib/python3.11/dist-packages";
    let file = |name: &str| -> &'static str { Box::leak(format!("{place}/{name}").into_boxed_str()) };
    let needing = |library: &str| {
        [
            Program(file("numpy/core/_a.so"), own().needed(library).build()),
            Program(file("numpy/core/_b.so"), own().needed("libc.so.6").build()),
        ]
    };
    let path = format!("extension-missing-library /{place}/numpy/core/_a.so");
    assert_eq!(found(&needing("libopenblas-0cf96a72.3.23.so")), [format!("error {path}")]);
    assert_eq!(found(&needing("libodbc.so.2")), [format!("warning {path}")]);
}

#[test]
fn a_library_that_configuration_names_needs_its_libraries() {
    let driver = |needed: &str| {
        [
            Program("usr/lib/odbc/psqlodbcw.so", own().needed(needed).build()),
            text("etc/odbcinst.ini", "[PostgreSQL]\nDriver = /usr/lib/odbc/psqlodbcw.so\n"),
        ]
    };
    assert_eq!(found(&driver("libpq.so.5")), ["error extension-missing-library /usr/lib/odbc/psqlodbcw.so"]);
    assert_eq!(found(&driver("libc.so.6")), NONE);
}

#[test]
fn plug_n_play_finds_parts_of_a_package_in_their_own_directories() {
    let package = || {
        text(
            "srv/.yarn/unplugged/esbuild-npm-0.24.0-1/node_modules/esbuild/package.json",
            r#"{"name":"esbuild","optionalDependencies":{"@esbuild/linux-arm64":"1","@esbuild/linux-x64":"1"}}"#,
        )
    };
    const PART: &str =
        "srv/.yarn/unplugged/@esbuild-linux-arm64-npm-0.24.0-2/node_modules/@esbuild/linux-arm64/bin/esbuild";
    let path = "/srv/.yarn/unplugged/esbuild-npm-0.24.0-1/node_modules/esbuild/package.json";
    assert_eq!(found(&[package()]), [format!("warning package-part-missing {path}")]);
    assert_eq!(found(&[package(), Program(PART, own().build())]), NONE);
    assert_eq!(found(&[package(), text("srv/.yarn/cache/@esbuild-linux-arm64-npm-0.24.0-3.zip", "x")]), NONE);
    // The names of a project's packages differ in their hash.
    let other = "srv/.yarn/unplugged/@esbuild-linux-x64-npm-0.24.0-4/node_modules/@esbuild/linux-x64/bin/esbuild";
    assert_eq!(found(&[package(), Program(PART, own().build()), Program(other, foreign())]), NONE);
}

#[test]
fn modules_in_a_frozen_programs_directory_are_pythons() {
    let frozen = |module: Vec<u8>| {
        [
            Program("srv/main.dist/libpython3.11.so.1.0", own().soname("libpython3.11.so.1.0").build()),
            Program("srv/main.dist/pydantic_core/_pydantic_core.so", module),
        ]
    };
    let expected = ["error foreign-extension /srv/main.dist/pydantic_core/_pydantic_core.so"];
    assert_eq!(found(&frozen(foreign())), expected);
    assert_eq!(found(&frozen(own().build())), NONE);
    // Its unused modules may lack libraries.
    assert_eq!(found(&frozen(own().needed("libtk8.6.so").build())), NONE);
}
