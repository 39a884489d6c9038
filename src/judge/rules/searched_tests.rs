//! Libraries in directories that options and variables add to a process's search, and programs of environments: each
//! fault with its healthy twin, on an image for arm64.

use super::later_tests::{Library, Link, Program, Put, findings, foreign, healthy, image, own, text};
use crate::judge::code::Severity;

/// `severity code path` of each finding above a note.
fn found(env: &[&str], argv: &[&str], puts: &[Put]) -> Vec<String> {
    let loud = findings(env, argv, &image(puts)).into_iter().filter(|finding| finding.severity > Severity::Note);
    loud.map(|f| format!("{} {} {}", f.severity.word(), f.code, f.path.unwrap_or_default())).collect()
}

fn check(env: &[&str], argv: &[&str], puts: &[Put], expected: &[&str]) {
    assert_eq!(found(env, argv, puts), expected, "{env:?} {argv:?}");
    assert_eq!(found(env, argv, &healthy(puts)), [""; 0], "{env:?} {argv:?}");
}

fn java(puts: &[Put]) -> Vec<Put> {
    let jar = text("srv/lib/a.jar", "PK\u{3}\u{4}");
    [Program("usr/bin/java", own().build()), jar].into_iter().chain(puts.iter().cloned()).collect()
}

#[test]
fn a_library_path_leads_to_libraries() {
    let puts = [Program("opt/own/libx.so", foreign())];
    let error = ["error foreign-configured /opt/own/libx.so"];
    check(&["LD_LIBRARY_PATH=/opt/none:/opt/own"], &["/app"], &puts, &error);
    // A library for this platform is loaded instead.
    let both = [Program("opt/own/libx.so", foreign()), Program("usr/lib/libx.so", own().build())];
    let warning = ["warning foreign-file /opt/own/libx.so"];
    assert_eq!(found(&["LD_LIBRARY_PATH=/opt/own:/usr/lib"], &["/app"], &both), warning);
    check(&[], &["/app"], &puts, &warning);
}

#[test]
fn java_loads_natives_from_its_library_path_and_next_to_its_jars() {
    let puts = java(&[Program("srv/native/libx.so", foreign())]);
    let error = ["error foreign-configured /srv/native/libx.so"];
    let option = "-Djava.library.path=/srv/native";
    check(&[], &["/usr/bin/java", option, "-jar", "/srv/lib/a.jar"], &puts, &error);
    let env = format!("JAVA_TOOL_OPTIONS=-Xmx1g {option}");
    check(&[&env], &["/usr/bin/java", "-jar", "/srv/lib/a.jar"], &puts, &error);
    let next_to_jar = java(&[Program("srv/lib/libx.so", foreign())]);
    let error = ["error foreign-configured /srv/lib/libx.so"];
    check(&[], &["/usr/bin/java", "-jar", "/srv/lib/a.jar"], &next_to_jar, &error);
    check(&[], &["/usr/bin/java", "-cp", "/srv/app.jar:/srv/lib/*", "Main"], &next_to_jar, &error);
    // A name that contains a platform is one of several.
    let named =
        java(&[Program("srv/lib/libx-linux-x64.so", foreign()), Program("srv/lib/libx-linux-arm64.so", own().build())]);
    check(&[], &["/usr/bin/java", "-jar", "/srv/lib/a.jar"], &named, &[]);
}

#[test]
fn a_server_needs_the_modules_that_its_configuration_loads() {
    let server = |path: &'static str, conf: &'static str, line: &str| {
        vec![Program(path, own().build()), Program("opt/own/a.so", own().build()), text(conf, line)]
    };
    let nginx = |line: &str| server("usr/sbin/nginx", "etc/nginx/nginx.conf", line);
    let lacks = ["error broken-configured /etc/nginx/nginx.conf"];
    for (line, expected) in [
        ("load_module modules/b.so;\n", &lacks[..]),
        ("load_module /opt/own/b.so;\n", &lacks),
        ("load_module modules/a.so;\n", &[]),
        ("load_module /opt/own/a.so;\n", &[]),
        ("# load_module modules/b.so;\n", &[]),
    ] {
        assert_eq!(found(&[], &["/usr/sbin/nginx"], &nginx(line)), expected, "{line}");
        // Another program does not read it.
        assert_eq!(found(&[], &["/app"], &nginx(line)), [""; 0], "{line}");
    }
    let httpd = |conf| server("usr/sbin/apache2", conf, "LoadModule b_module /opt/own/b.so\n");
    let available = httpd("etc/apache2/mods-available/b.load");
    assert_eq!(found(&[], &["/usr/sbin/apache2"], &available), [""; 0]);
    let enabled = httpd("etc/apache2/conf.d/b.load");
    assert_eq!(found(&[], &["/usr/sbin/apache2"], &enabled), ["error broken-configured /etc/apache2/conf.d/b.load"]);
}

#[test]
fn a_module_must_be_an_elf_file() {
    // nginx and Apache end with `file too short` or `invalid ELF header`; PHP and glibc's loader print it and continue.
    // Seen with nginx 1.22, Apache 2.4, PHP 8.2 and glibc 2.36. Redis ends if dlopen fails: its src/module.c.
    let rows = [
        ("usr/sbin/nginx", "etc/nginx/nginx.conf", "load_module /opt/own/b.so;\n"),
        ("usr/sbin/nginx", "etc/nginx/nginx.conf", "load_module modules/b.so;\n"),
        ("usr/sbin/apache2", "etc/apache2/apache2.conf", "LoadModule b_module /opt/own/b.so\n"),
        ("usr/bin/redis-server", "etc/redis/redis.conf", "loadmodule /opt/own/b.so\n"),
        ("usr/bin/php8.2", "etc/php/8.2/cli/conf.d/b.ini", "extension=/opt/own/b.so\n"),
        ("usr/bin/php8.2", "etc/php/8.2/cli/conf.d/b.ini", "extension=b\n"),
        ("usr/lib/postgresql/15/bin/postgres", "srv/postgresql.conf", "shared_preload_libraries = 'b'\n"),
    ];
    for (server, conf, line) in rows {
        let image = |module: Put| vec![Program(server, own().build()), module, text(conf, line)];
        let call = format!("/{server}");
        assert_eq!(found(&[], &[&call], &image(Program("opt/own/b.so", own().build()))), [""; 0], "{line}");
        for content in ["a text", "\u{1}\u{2}data", "#!/bin/sh\n"] {
            let broken = image(text("opt/own/b.so", content));
            assert_eq!(found(&[], &[&call], &broken), ["error broken-configured /opt/own/b.so"], "{line}");
        }
        // An error page has one finding.
        let page = image(text("opt/own/b.so", "404: Not Found\n"));
        assert_eq!(found(&[], &[&call], &page).len(), 1, "{line}");
    }
    // Redis needs the permission to execute it.
    let redis = |module| [Program(rows[3].0, own().build()), text(rows[3].1, rows[3].2), module];
    let warning = ["warning broken-configured /opt/own/b.so"];
    assert_eq!(found(&[], &["/usr/bin/redis-server"], &redis(Library("opt/own/b.so", own().build()))), warning);
    let preload = ["LD_PRELOAD=/opt/own/b.so"];
    assert_eq!(found(&preload, &["/app"], &[text("opt/own/b.so", "a text")]), warning);
}

#[test]
fn a_plug_in_that_its_host_does_without_is_a_warning() {
    // gdk-pixbuf, GIO, GTK, MariaDB, glibc's NSS and Linux-PAM print a message at most and continue.
    for (path, by, line) in [
        ("usr/lib/own/a.so", "usr/lib/gdk-pixbuf-2.0/2.10.0/loaders.cache", "\"/usr/lib/own/a.so\"\n"),
        ("usr/lib/own/a.so", "usr/share/vulkan/explicit_layer.d/a.json", "{\"library_path\": \"/usr/lib/own/a.so\"}\n"),
        ("usr/lib/security/pam_own.so", "etc/pam.d/login", "session optional pam_own.so\n"),
        ("opt/mysql/p.so", "etc/my.cnf", "[mysqld]\nplugin-load-add=p.so\n"),
        ("usr/lib/libnss_own.so.2", "etc/nsswitch.conf", "hosts: files own dns\n"),
    ] {
        let puts = [Program(path, foreign()), text(by, line)];
        check(&[], &["/app"], &puts, &[&format!("warning foreign-configured /{path}")]);
    }
    let required = [
        Program("usr/lib/security/pam_own.so", foreign()),
        text("etc/pam.d/login", "session optional pam_own.so\n"),
        text("etc/pam.d/su", "auth required pam_own.so\n"),
    ];
    check(&[], &["/app"], &required, &["error foreign-configured /usr/lib/security/pam_own.so"]);
}

#[test]
fn a_library_on_the_command_line_is_loaded() {
    let puts = [Program("opt/plugin.so", foreign())];
    check(&[], &["/app", "--plugin=/opt/plugin.so"], &puts, &["error foreign-configured /opt/plugin.so"]);
}

#[test]
fn an_environment_runs_its_own_programs() {
    let conda = [
        Program("opt/conda/envs/own/bin/python3.11", foreign()),
        text("opt/conda/envs/own/conda-meta/history", "x"),
        Program("opt/conda/envs/own/lib/libx.so.1", foreign()),
    ];
    let errors = [
        "error foreign-on-path /opt/conda/envs/own/bin/python3.11",
        "error foreign-configured /opt/conda/envs/own/lib/libx.so.1",
    ];
    check(&[], &["/app"], &conda, &errors);
    let venv = [Program("srv/.venv/bin/ruff", foreign()), text("srv/.venv/pyvenv.cfg", "home = /usr/bin\n")];
    check(&[], &["/app"], &venv, &["error foreign-on-path /srv/.venv/bin/ruff"]);
}

#[test]
fn a_preloaded_library_that_is_absent_is_a_warning() {
    let puts = [Program("opt/libjemalloc.so.2", own().build())];
    let named = ["LD_PRELOAD=/opt/libjemalloc.so.2"];
    assert_eq!(found(&named, &["/app"], &puts), [""; 0]);
    assert_eq!(found(&named, &["/app"], &[]), ["warning broken-configured "]);
    assert_eq!(found(&[], &["/app"], &[text("etc/ld.so.preload", "/opt/none.so\n")]), ["warning broken-configured "]);
    // The loader replaces $LIB.
    assert_eq!(found(&["LD_PRELOAD=/usr/$LIB/libx.so"], &["/app"], &[]), [""; 0]);
}

#[test]
fn a_start_is_blamed_on_the_library_or_the_link_at_fault() {
    let needing = own().interp("/lib/ld-linux-aarch64.so.1").needed("libx.so.1").build();
    let loader = Program("lib/ld-linux-aarch64.so.1", own().soname("ld-linux-aarch64.so.1").build());
    let puts = [loader, Program("srv/app", needing), text("usr/lib/libx.so.1", &"INPUT(-lx)\n".repeat(10))];
    assert_eq!(found(&[], &["/srv/app"], &puts)[0], "error entrypoint-missing-library /usr/lib/libx.so.1");
    let puts = [Link("usr/bin/tool", "/usr/bin/tool3"), Program("srv/start", b"#!/usr/bin/tool\n".to_vec())];
    assert_eq!(found(&[], &["/srv/start"], &puts)[0], "error entrypoint-bad-script /usr/bin/tool");
}
