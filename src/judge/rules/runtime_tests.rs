//! Modules for another version or build of their runtime: each fault with its healthy twin, on an image for arm64 that
//! starts `/app`. What each runtime does was seen with Debian 12's builds.

use super::later_tests::{Link, Module, Program, Put, findings, found, found_with, image, own, text};
use crate::inspect::ModuleInterface::{Node, Perl, Php, Postgres};
use crate::inspect::elf_builder::ElfBuilder;
use crate::judge::code::Severity;
use crate::judge::rules::modules::MOST;

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

const NONE: [&str; 0] = [];
const NODE_20: &[&str] = &["NODE_VERSION=20.11.1"];

#[test]
fn a_module_for_another_version_of_node_is_refused() {
    let path = "srv/node_modules/better-sqlite3/build/Release/better_sqlite3.node";
    let broken = [format!("error package-other-platform /{path}")];
    assert_eq!(found_with(NODE_20, &[Module(path, Node(93))]), broken);
    assert_eq!(found_with(NODE_20, &[Module(path, Node(115))]), NONE);
    // The version of Node.js is in its library's name, in its headers, or not known.
    let library = Program("usr/lib/libnode.so.108", own().build());
    assert_eq!(found(&[Module(path, Node(93)), library]), broken);
    let header = text("usr/local/include/node/node_version.h", "#ifndef A\n#define NODE_MODULE_VERSION 115\n");
    assert_eq!(found(&[Module(path, Node(93)), header]), broken);
    assert_eq!(found(&[Module(path, Node(93))]), NONE);
    // node-pre-gyp keeps a directory for each version.
    let of =
        |abi: u32| Module(leak(format!("srv/node_modules/a/lib/binding/node-v{abi}-linux-arm64/a.node")), Node(abi));
    assert_eq!(found_with(NODE_20, &[of(93), of(115)]), NONE);
    assert_eq!(found_with(NODE_20, &[of(93), of(108)]).len(), 2);
    let finding = findings(NODE_20, &["/app"], &image(&[Module(path, Node(93))]));
    let message = &finding.iter().find(|finding| finding.severity == Severity::Error).unwrap().message;
    assert!(message.contains("Node.js 16 (NODE_MODULE_VERSION 93)") && message.contains("Node.js 20"), "{message}");
}

#[test]
fn node_gyp_build_takes_a_prebuilt_module_that_fits() {
    let of = |name: &str| Program(leak(format!("srv/node_modules/a/prebuilds/linux-arm64/{name}.node")), own().build());
    let first =
        |name: &str| [format!("error package-other-platform /srv/node_modules/a/prebuilds/linux-arm64/{name}.node")];
    for name in ["node.abi93", "electron.napi", "electron.abi115"] {
        assert_eq!(found_with(NODE_20, &[of(name)]), first(name));
    }
    assert_eq!(found_with(NODE_20, &[of("electron.napi"), of("node.abi93")]), first("electron.napi"));
    for name in ["node.napi", "node.abi115", "a.glibc", "node.napi.armv8"] {
        assert_eq!(found_with(NODE_20, &[of("electron.napi"), of("node.abi93"), of(name)]), NONE, "{name}");
    }
    assert_eq!(found(&[of("node.abi93")]), NONE);
    let built = Program("srv/node_modules/a/build/Release/a.node", own().build());
    assert_eq!(found_with(NODE_20, &[of("node.abi93"), built]), NONE);
}

#[test]
fn a_package_takes_a_prebuilt_module_from_any_of_its_directories() {
    // @datadog/pprof 5 names its modules so.
    let of = |name: &str| Program(leak(format!("srv/node_modules/a/prebuilds/{name}.node")), own().build());
    let puts = [of("linuxglibc-arm64/node-83"), of("linuxglibc-arm64/node-115"), of("linuxmusl-arm64/node-83")];
    assert_eq!(found_with(NODE_20, &puts), NONE);
    let broken = ["error package-other-platform /srv/node_modules/a/prebuilds/linuxglibc-arm64/node-83.node"];
    assert_eq!(found_with(NODE_20, &[of("linuxglibc-arm64/node-83"), of("linuxmusl-arm64/node-115")]), broken);
    assert_eq!(found_with(NODE_20, &[of("linuxglibc-arm64/node-napi"), of("linuxglibc-arm64/node-83")]), NONE);
}

#[test]
fn a_package_that_is_prebuilt_for_other_systems_only_is_to_be_built() {
    let mach_o: Vec<u8> =
        [0xfeed_facfu32, 0x0100_000c, 0, 8, 0, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let mac = || Program("srv/node_modules/node-pty/prebuilds/darwin-arm64/pty.node", mach_o.clone());
    let gyp = || text("srv/node_modules/node-pty/binding.gyp", "{}");
    let broken = ["error package-other-platform /srv/node_modules/node-pty/prebuilds"];
    assert_eq!(found(&[mac(), gyp()]), broken);
    assert_eq!(found(&[mac()]), NONE);
    let built = Program("srv/node_modules/node-pty/build/Release/pty.node", own().build());
    assert_eq!(found(&[mac(), gyp(), built]), NONE);
    let linux = Program("srv/node_modules/node-pty/prebuilds/linux-arm64/pty.node", own().build());
    assert_eq!(found(&[mac(), gyp(), linux]), NONE);
    let fallback = text("srv/node_modules/node-pty/fallback.js", "");
    assert_eq!(found(&[mac(), gyp(), fallback]), NONE);
}

#[test]
fn perl_refuses_modules_of_another_version_in_any_directory() {
    let path = "opt/perl5/lib/perl5/aarch64-linux-gnu-thread-multi/auto/Clone/Clone.so";
    let perl = |path: &'static str| Program(path, own().build());
    let error = [format!("error package-other-platform /{path}")];
    assert_eq!(found(&[perl("usr/bin/perl5.36.0"), Module(path, Perl(40))]), error);
    assert_eq!(found(&[perl("usr/bin/perl5.40.1"), Module(path, Perl(40))]), NONE);
    assert_eq!(found(&[perl("usr/bin/perl"), Module(path, Perl(40))]), NONE);
    // Debian's own modules are in a directory that only one version searches.
    let debian = "usr/lib/aarch64-linux-gnu/perl5/5.40/auto/Clone/Clone.so";
    assert_eq!(found(&[perl("usr/bin/perl5.36.0"), Module(debian, Perl(40))]), NONE);
}

#[test]
fn python_imports_the_source_next_to_a_foreign_module() {
    let site = "usr/local/lib/python3.11/site-packages/black";
    let module = |name: &str| {
        Program(leak(format!("{site}/{name}.cpython-311-x86_64-linux-gnu.so")), ElfBuilder::amd64().build())
    };
    let finding =
        |severity: &str| [format!("{severity} foreign-extension /{site}/mode.cpython-311-x86_64-linux-gnu.so")];
    assert_eq!(found(&[module("mode")]), finding("error"));
    let source = || text(leak(format!("{site}/mode.py")), "");
    assert_eq!(found(&[module("mode"), source()]), finding("warning"));
    assert_eq!(
        found(&[module("mode"), source(), module("a__mypyc")]).iter().filter(|f| f.starts_with("error")).count(),
        0
    );
}

#[test]
fn a_wheel_for_another_system_next_to_its_application_is_an_error() {
    let info = "var/task/psutil-7.0.dist-info/WHEEL";
    let tag = || text(info, "Tag: cp36-abi3-macosx_11_0_arm64\n");
    let mach_o: Vec<u8> =
        [0xfeed_facfu32, 0x0100_000c, 0, 8, 0, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let module = || Program("var/task/psutil/_psutil_osx.abi3.so", mach_o.clone());
    let wheel = |puts: &[Put]| found(puts).into_iter().filter(|found| found.contains("/WHEEL")).collect::<Vec<_>>();
    assert_eq!(wheel(&[tag(), module()]), [format!("warning package-other-platform /{info}")]);
    let script = || Program("app", b"#!/usr/bin/python3.11\nimport psutil\n".to_vec());
    assert_eq!(wheel(&[tag(), module(), script()]), [format!("error package-other-platform /{info}")]);
}

#[test]
fn the_python_library_of_a_frozen_program_is_always_loaded() {
    let library = |version: &str| {
        Program(
            "opt/app/_internal/libpython3.11.so.1.0",
            own().wants("libc.so.6", version, false).needed("libc.so.6").build(),
        )
    };
    let path = "/opt/app/_internal/libpython3.11.so.1.0";
    assert_eq!(found(&[library("GLIBC_2.35")]), [format!("error extension-missing-library {path}")]);
    assert_eq!(found(&[library("GLIBC_2.31")]), NONE);
}

#[test]
fn nuitkas_programs_contain_python() {
    let app = |path: &'static str| Program(path, own().build());
    let module = || Program("opt/app.dist/_bz2.so", ElfBuilder::amd64().build());
    let finding = "error foreign-extension /opt/app.dist/_bz2.so";
    assert_eq!(found(&[app("opt/app.dist/app.bin"), module()]), [finding]);
    assert_ne!(found(&[app("opt/app.dist/other.bin"), module()]), [finding]);
}

#[test]
fn a_foreign_module_that_no_configuration_names_is_a_warning() {
    let php = || Program("usr/bin/php8.2", own().build());
    let module = || Program("usr/lib/php/20220829/redis.so", ElfBuilder::amd64().build());
    let ini = |line: &str| text("etc/php/8.2/cli/conf.d/20-redis.ini", line);
    assert_eq!(
        found(&[php(), module(), ini(";extension=redis\n")]),
        ["warning foreign-extension /usr/lib/php/20220829/redis.so"]
    );
    assert_eq!(found(&[php(), module(), ini("extension=redis\n")]).len(), 1);
    assert!(found(&[php(), module(), ini("extension=redis\n")])[0].starts_with("error "));
}

#[test]
fn an_image_of_one_layer_still_has_modules_of_the_application() {
    // `image` adds a layer, and Lua is in the same one as the modules.
    let lua = || Program("usr/bin/lua5.4", own().build());
    let module = |path: &'static str| Program(path, own().needed("libyaml-0.so.2").build());
    let path = "srv/app/lua/yaml.so";
    assert_eq!(found(&[lua(), module(path)]), [format!("error extension-missing-library /{path}")]);
    assert_eq!(found(&[lua(), module("usr/lib/lua/5.4/yaml.so")]), NONE);
}

#[test]
fn a_library_that_java_searches_lacks_another() {
    let library = || Program("opt/native/libsnappyjava.so", own().needed("libsnappy.so.1").build());
    let env = ["JAVA_TOOL_OPTIONS=-Dorg.xerial.snappy.lib.path=/opt/native"];
    let finding = |severity: &str| [format!("{severity} extension-missing-library /opt/native/libsnappyjava.so")];
    assert_eq!(found_with(&env, &[library()]), finding("error"));
    let other = Program("opt/native/libother.so", own().build());
    assert_eq!(found_with(&env, &[library(), other]), finding("warning"));
    assert_eq!(found(&[library()]), NONE);
    let snappy = Program("usr/lib/libsnappy.so.1", own().build());
    assert_eq!(found_with(&env, &[library(), snappy]), NONE);
}

#[test]
fn php_loads_modules_of_its_own_api_and_thread_safety() {
    let php = || Program("usr/bin/php8.2", own().build());
    let module = |place: &str, api: u32, is_zts: bool| Module(leak(format!("{place}/redis.so")), Php { api, is_zts });
    let ini = || text("etc/php/8.2/cli/conf.d/20-redis.ini", "extension=redis\n");
    let (place, old) = ("usr/lib/php/20220829", "usr/lib/php/20210902");
    let error = |place: &str| [format!("error package-other-platform /{place}/redis.so")];
    assert_eq!(found(&[php(), ini(), module(place, 20_210_902, false)]), error(place));
    assert_eq!(found(&[php(), ini(), module(place, 20_220_829, true)]), error(place));
    assert_eq!(found(&[php(), ini(), module(place, 20_220_829, false)]), NONE);
    assert_eq!(found(&[php(), module(place, 20_210_902, false)]), NONE);
    assert_eq!(found(&[php(), ini(), module(old, 20_210_902, false)]), error(old));
    assert_eq!(found(&[php(), ini(), module(old, 20_210_902, false), module(place, 20_220_829, false)]), NONE);
    // An image of another version of PHP, and one of an unknown version.
    let own_php = |place: &str| [Program("usr/local/bin/php", own().build()), ini(), module(place, 20_220_829, false)];
    let place = "usr/local/lib/php/extensions/no-debug-non-zts-20220829";
    assert_eq!(found_with(&["PHP_VERSION=8.3.4"], &own_php(place)), error(place));
    assert_eq!(found_with(&["PHP_VERSION=8.2.4"], &own_php(place)), NONE);
    assert_eq!(found(&own_php(place)), NONE);
}

#[test]
fn a_module_that_configuration_names_is_to_be_there() {
    let php = || Program("usr/bin/php8.2", own().build());
    let available = |line: &str| text("etc/php/8.2/mods-available/redis.ini", line);
    let enabled = || Link("etc/php/8.2/cli/conf.d/20-redis.ini", "/etc/php/8.2/mods-available/redis.ini");
    let warning = ["warning broken-configured /etc/php/8.2/mods-available/redis.ini"];
    assert_eq!(found(&[php(), available("extension=redis.so\n"), enabled()]), warning);
    assert_eq!(found(&[php(), available("extension=redis.so\n")]), NONE);
    assert_eq!(found(&[php(), available(";extension=redis.so\n"), enabled()]), NONE);
    assert_eq!(found(&[php(), available("zend_extension=opcache\n"), enabled()]), NONE);
    let module = Program("usr/lib/php/20220829/redis.so", own().build());
    assert_eq!(found(&[php(), available("extension=redis.so\n"), enabled(), module]), NONE);
    let server = |name: &'static str, words: &[&str], puts: &[Put]| {
        let puts = [&[Program(name, own().build())], puts].concat();
        let loud = findings(&[], words, &image(&puts)).into_iter().filter(|found| found.severity > Severity::Note);
        loud.map(|found| format!("{} {}", found.code, found.expected)).collect::<Vec<_>>()
    };
    let redis = ["/usr/bin/redis-server", "/etc/redis/redis.conf"];
    let config = text("etc/redis/redis.conf", "loadmodule /opt/a.so x\n");
    assert_eq!(server("usr/bin/redis-server", &redis, std::slice::from_ref(&config)), ["broken-configured /opt/a.so"]);
    assert_eq!(server("usr/bin/redis-server", &redis, &[config, Program("opt/a.so", own().build())]), NONE);
    let words = ["/usr/bin/redis-server", "--loadmodule", "/opt/a.so"];
    assert_eq!(server("usr/bin/redis-server", &words, &[]), ["broken-configured /opt/a.so"]);
    let postgres = "usr/lib/postgresql/15/bin/postgres";
    let words = ["/usr/lib/postgresql/15/bin/postgres", "-c", "shared_preload_libraries=pg_cron"];
    let cron = Program("usr/lib/postgresql/15/lib/pg_cron.so", own().build());
    assert_eq!(server(postgres, &words, &[]), ["broken-configured pg_cron.so"]);
    assert_eq!(server(postgres, &words, &[cron]), NONE);
}

#[test]
fn a_module_in_the_directory_of_another_version_is_not_found() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "usr/lib/ruby/3.1.0/rbconfig.rb",
            "srv/vendor/bundle/ruby/2.7.0/gems/a-1/lib/a.so",
            "srv/vendor/bundle/ruby/3.1.0/gems/a-1/lib/a.so",
        ),
        ("usr/lib/ruby/3.1.0/rbconfig.rb", "srv/gems/a-1/lib/a/3.0/a.so", "srv/gems/a-1/lib/a/3.1/a.so"),
        ("usr/bin/perl5.36.0", "usr/local/lib/perl5/5.30.0/x/auto/A/A.so", "usr/local/lib/perl5/5.36.0/x/auto/A/A.so"),
        ("usr/bin/lua5.4", "usr/local/lib/lua/5.1/cjson.so", "usr/local/lib/lua/5.4/cjson.so"),
    ];
    for (mark, wrong, right) in cases {
        let hosts = ["usr/bin/ruby", "usr/bin/perl", mark].map(|host| Program(host, own().build()));
        let with = |paths: &[&'static str]| {
            let modules = paths.iter().map(|path| Program(path, own().build()));
            found(&hosts.iter().cloned().chain(modules).collect::<Vec<_>>())
        };
        assert_eq!(with(&[*wrong]), [format!("error package-other-platform /{wrong}")]);
        assert_eq!(with(&[*right]), NONE);
        assert_eq!(with(&[*wrong, *right]), NONE, "{wrong}");
    }
}

#[test]
fn an_extension_for_another_version_of_postgresql_is_refused() {
    let server = || Program("usr/lib/postgresql/15/bin/postgres", own().build());
    let path = "usr/lib/postgresql/15/lib/vector.so";
    assert_eq!(found(&[server(), Module(path, Postgres(16))]), [format!("warning package-other-platform /{path}")]);
    let config = text("etc/postgresql/postgresql.conf", "shared_preload_libraries = 'vector'\n");
    assert_eq!(
        found(&[server(), Module(path, Postgres(16)), config.clone()]),
        [format!("error package-other-platform /{path}")]
    );
    assert_eq!(found(&[server(), Module(path, Postgres(15)), config]), NONE);
}

#[test]
fn a_runtime_loads_modules_of_its_own_width() {
    let module = "srv/node_modules/a/build/Release/a.node";
    let narrow = || Program(module, ElfBuilder::arm().build());
    assert_eq!(found(&[narrow()]), [format!("error foreign-extension /{module}")]);
    // A 32-bit Node.js in a 64-bit image.
    assert_eq!(found(&[narrow(), Program("opt/node/bin/node", ElfBuilder::arm().build())]), NONE);
    let tool = Program("srv/node_modules/a/bin/tool", ElfBuilder::arm().pie().build());
    assert_eq!(found(&[tool]), NONE);
}

#[test]
fn a_suffix_of_another_interpreter_of_python_is_not_looked_for() {
    let of =
        |suffix: &str| Program(leak(format!("opt/v/lib/python3.11/site-packages/a/speed.{suffix}.so")), own().build());
    for suffix in ["cpython-313t-aarch64-linux-gnu", "cpython-311d-aarch64-linux-gnu", "pypy39-pp73-aarch64-linux-gnu"]
    {
        let error = format!("error package-other-platform /opt/v/lib/python3.11/site-packages/a/speed.{suffix}.so");
        assert_eq!(found(&[of(suffix)]), [error]);
        assert_eq!(found(&[of(suffix), of("cpython-311-aarch64-linux-gnu")]), NONE);
    }
    assert_eq!(found(&[of("pypy39-pp73-aarch64-linux-gnu"), Program("opt/pypy/bin/pypy3.9", own().build())]), NONE);
}

#[test]
fn the_interpreter_of_a_wheel_is_one_of_the_images() {
    const SITE: &str = "usr/local/lib/python3.11/dist-packages/";
    let wheel = |tag: &str| {
        text(leak(format!("{SITE}speed-1.0.dist-info/WHEEL")), &format!("Tag: {tag}-manylinux_2_17_aarch64\n"))
    };
    let module = || Program(leak(format!("{SITE}speed/_c.so")), own().build());
    let warning = [format!("warning package-other-platform /{SITE}speed-1.0.dist-info/WHEEL")];
    for tag in ["cp39-cp39", "cp312-abi3"] {
        assert_eq!(found(&[wheel(tag), module()]), warning);
    }
    for tag in ["cp311-cp311", "cp37-abi3", "py3-none"] {
        assert_eq!(found(&[wheel(tag), module()]), NONE, "{tag}");
    }
}

#[test]
fn a_library_outside_of_every_search_is_not_found() {
    let module = |needs: fn() -> ElfBuilder| Program("srv/node_modules/a/build/Release/a.node", needs().build());
    let needing = || own().needed("libclntsh.so.21.1");
    let at = |path: &'static str| Program(path, own().soname("libclntsh.so.21.1").build());
    let oracle = "opt/oracle/client/libclntsh.so.21.1";
    let warning = ["warning extension-missing-library /srv/node_modules/a/build/Release/a.node"];
    assert_eq!(found(&[module(needing), at(oracle)]), warning);
    // In a directory that loaders, the module, the application, a variable or a script names.
    for path in ["usr/lib/oracle/libclntsh.so.21.1", "srv/node_modules/b/libclntsh.so.21.1"] {
        assert_eq!(found(&[module(needing), at(path)]), NONE, "{path}");
    }
    assert_eq!(found(&[module(|| own().needed("libclntsh.so.21.1").runpath("/opt/oracle/client")), at(oracle)]), NONE);
    assert_eq!(found_with(&["LD_LIBRARY_PATH=/opt/oracle/client"], &[module(needing), at(oracle)]), NONE);
    assert_eq!(found_with(&["ORACLE_HOME=/opt/oracle"], &[module(needing), at(oracle)]), NONE);
    let conf = [
        text("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n"),
        text("etc/ld.so.conf.d/o.conf", "/opt/oracle/client\n"),
    ];
    assert_eq!(found(&[&[module(needing), at(oracle)], &conf[..]].concat()), NONE);
    let script = Program("usr/bin/start", b"#!/bin/sh\nexport LD_LIBRARY_PATH=/opt/oracle/client\n".to_vec());
    assert_eq!(found(&[module(needing), at(oracle), script]), NONE);
}

#[test]
fn a_program_that_something_starts_needs_its_libraries() {
    let lacking = || own().interp("/lib/ld-linux-aarch64.so.1").needed("libnss3.so").build();
    let chrome = "root/.cache/puppeteer/chrome";
    let named = ["PUPPETEER_EXECUTABLE_PATH=/root/.cache/puppeteer/chrome"];
    let nss = || Program("usr/lib/libnss3.so", own().build());
    assert_eq!(found_with(&named, &[Program(chrome, lacking())]), [format!("error program-missing-library /{chrome}")]);
    assert_eq!(found_with(&named, &[Program(chrome, lacking()), nss()]), NONE);
    assert_eq!(found(&[Program(chrome, lacking())]), NONE);
    let driver = "usr/local/lib/python3.11/site-packages/playwright/driver/node";
    let error = format!("error program-missing-library /{driver}");
    assert_eq!(found(&[Program(driver, lacking())]), [error]);
    assert_eq!(found(&[Program(driver, lacking()), nss()]), NONE);
    let on_path = found(&[Program("bin/tool", lacking())]);
    assert_eq!(on_path, NONE, "a program of the distribution");
}

#[test]
fn a_package_works_without_its_plugins_and_spare_back_ends() {
    let place = "usr/local/lib/python3.11/site-packages";
    let at = |name: &str, needed: &[&str]| {
        let elf = needed.iter().fold(own(), |elf, name| elf.needed(name));
        Program(leak(format!("{place}/{name}")), elf.build())
    };
    let module = || at("openvino/_pyopenvino.cpython-311-aarch64-linux-gnu.so", &[]);
    let plugin = || at("openvino/libs/libopenvino_intel_gpu_plugin.so", &["libOpenCL.so.1"]);
    let other = || at("openvino/libs/libreader.so", &["libprotobuf.so.32"]);
    assert_eq!(found(&[module(), plugin(), other()]), NONE);
    // Another module needs it, or there is nothing else.
    let using = at("openvino/_reader.cpython-311-aarch64-linux-gnu.so", &["libreader.so"]);
    let error = |name: &str, severity: &str| format!("{severity} extension-missing-library /{place}/{name}");
    let used = ["openvino/_reader.cpython-311-aarch64-linux-gnu.so", "openvino/libs/libreader.so"];
    assert_eq!(found(&[module(), other(), using]), used.map(|name| error(name, "warning")));
    assert_eq!(found(&[other()]), [error("openvino/libs/libreader.so", "error")]);
    // One of several back ends.
    let pool =
        |name: &str, needed: &[&str]| at(&format!("numba/np/ufunc/{name}.cpython-311-aarch64-linux-gnu.so"), needed);
    let pools = || [pool("workqueue", &[]), pool("tbbpool", &["libtbb.so.12"])];
    assert_eq!(found(&pools()), NONE);
    let imaging = [pool("workqueue", &[]), pool("_imaging", &["libjpeg.so.62"])];
    let name = "numba/np/ufunc/_imaging.cpython-311-aarch64-linux-gnu.so";
    assert_eq!(found(&imaging), [error(name, "warning")]);
    // Another build of the addon.
    let build = |name: &str, needed: &str| {
        let path = format!("srv/node_modules/zeromq/build/linux/arm64/node/{name}/addon.node");
        Program(leak(path), own().needed("libc.so.6").wants("libc.so.6", needed, false).build())
    };
    assert_eq!(found(&[build("glibc-115", "GLIBC_2.38"), build("glibc-127", "GLIBC_2.17")]), NONE);
    assert_eq!(found(&[build("glibc-115", "GLIBC_2.38")]).len(), 1);
    // Nearly all of the package.
    let names = ["A", "B", "C", "D", "E", "F", "G", "H"].map(|name| format!("PyQt6/Qt{name}.abi3.so"));
    let qt = names.iter().map(|name| at(name, &["libglib-2.0.so.0"])).chain([at("PyQt6/sip.so", &[])]);
    assert!(found(&qt.collect::<Vec<_>>()).iter().all(|found| found.starts_with("error ")));
    let libraries = (0..MOST).map(|number| at(&format!("openvino/libs/libreader{number}.so"), &["libprotobuf.so.32"]));
    assert_eq!(found(&libraries.chain([module()]).collect::<Vec<_>>()).len(), MOST);
}
