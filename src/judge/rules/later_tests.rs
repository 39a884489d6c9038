//! Files that configuration names, that a runtime loads later, or that a package manager records: each fault with its
//! healthy twin, on an image for arm64 that starts `/app`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::exec::Exec;
use crate::image::{Contents, EntryKind, LayerMember, RootFs, merge};
use crate::inspect::code::{CodeNeeds, CodeRoot, CodeUse};
use crate::inspect::elf_builder::ElfBuilder;
use crate::inspect::{FileKind, ModuleInterface, inspect};
use crate::judge::code::Severity;
use crate::judge::finding::Finding;
use crate::judge::labels::Labels;
use crate::judge::{PlatformCase, judge};
use crate::platform::{Arch, CpuFeature, Fact, Isa, Platform, Target};

const LOADER: &str = "lib/ld-linux-aarch64.so.1";
const PYTHON: &str = "usr/bin/python3.11";
const NODE: &str = "usr/bin/node";

#[derive(Clone)]
pub(super) enum Put {
    Program(&'static str, Vec<u8>),
    Library(&'static str, Vec<u8>),
    Text(&'static str, String),
    /// A library whose code always executes an instruction of this feature.
    Needing(&'static str, Vec<u8>, CpuFeature),
    /// A module that states the interface it was built for.
    Module(&'static str, ModuleInterface),
    Link(&'static str, &'static str),
}
pub(super) use Put::{Library, Link, Module, Needing, Program, Text};

pub(super) fn foreign() -> Vec<u8> {
    ElfBuilder::amd64().build()
}

pub(super) fn own() -> ElfBuilder {
    ElfBuilder::arm64()
}

pub(super) fn text(path: &'static str, text: &str) -> Put {
    Text(path, text.to_string())
}

fn layer(puts: &[Put]) -> Arc<Contents<FileKind>> {
    let mut contents = Contents::default();
    let module = own().build();
    for put in puts {
        let (path, kind, mode, bytes): (_, _, _, &[u8]) = match put {
            Needing(path, bytes, _) | Program(path, bytes) => (path, EntryKind::File, 0o755, bytes),
            Library(path, bytes) => (path, EntryKind::File, 0o644, bytes),
            Module(path, _) => (path, EntryKind::File, 0o755, &module),
            Text(path, text) => (path, EntryKind::File, 0o644, text.as_bytes()),
            Link(path, target) => (path, EntryKind::Symlink(target.as_bytes()), 0o777, b""),
        };
        let is_file = kind == EntryKind::File;
        let size = bytes.len() as u64;
        let mut fact = is_file.then(|| inspect(path.as_bytes(), size, mode & 0o111 != 0, &mut &bytes[..]));
        if let (Needing(.., feature), Some(FileKind::Elf(elf))) = (put, &mut fact) {
            let at =
                CodeUse { address: 0x40, mnemonic: "op".into(), root: CodeRoot::Constructor, symbol: None, order: 0 };
            elf.code = Some(Box::new(CodeNeeds { certain: [(*feature, at)].into(), ..CodeNeeds::default() }));
        }
        if let (Module(_, interface), Some(FileKind::Elf(elf))) = (put, &mut fact) {
            elf.interface = Some(*interface);
        }
        contents.push(&LayerMember { size, ..LayerMember::plain(path.as_bytes(), kind, mode) }, fact);
    }
    Arc::new(contents)
}

/// A base with a loader and the runtimes, and a layer for the application.
pub(super) fn image(puts: &[Put]) -> RootFs<FileKind> {
    let base = [
        Program("app", own().build()),
        Program(LOADER, own().build()),
        Program(PYTHON, own().build()),
        Program(NODE, own().build()),
        Program("usr/lib/libc.so.6", own().soname("libc.so.6").offers("GLIBC_2.17").offers("GLIBC_2.31").build()),
    ];
    merge([layer(&base), layer(puts)])
}

pub(super) fn findings(env: &[&str], argv: &[&str], rootfs: &RootFs<FileKind>) -> Vec<Finding> {
    findings_on(&Target::of_platform(&Platform::linux(Arch::Arm64)).unwrap(), env, argv, rootfs)
}

fn findings_on(target: &Target, env: &[&str], argv: &[&str], rootfs: &RootFs<FileKind>) -> Vec<Finding> {
    let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<String>>();
    let mut env = words(env);
    env.push("PATH=/bin".to_string());
    let call = Exec { argv: words(argv), env, working_dir: "/".to_string(), ..Exec::default() };
    let case = PlatformCase {
        labels: Labels { promised: None, declared: None },
        rootfs,
        call: &call,
        said_by: "ENTRYPOINT [\"/app\"]",
        healthcheck: &[],
        target,
        rules_off: &BTreeSet::new(),
    };
    judge(&case).findings
}

/// `severity code path` of each finding above a note.
pub(super) fn found_with(env: &[&str], puts: &[Put]) -> Vec<String> {
    let loud = findings(env, &["/app"], &image(puts)).into_iter().filter(|finding| finding.severity > Severity::Note);
    loud.map(|f| format!("{} {} {}", f.severity.word(), f.code, f.path.unwrap_or_default())).collect()
}

pub(super) fn found(puts: &[Put]) -> Vec<String> {
    found_with(&[], puts)
}

/// The twin of `puts` with `own` in place of every foreign program.
pub(super) fn healthy(puts: &[Put]) -> Vec<Put> {
    let twin = |put: &Put| match put {
        Program(path, _) | Needing(path, ..) => Program(path, own().build()),
        other => other.clone(),
    };
    puts.iter().map(twin).collect()
}

#[test]
fn a_foreign_file_that_configuration_names_is_in_reach() {
    let cases: &[(&str, Put)] = &[
        ("opt/tds/libtdsodbc.so", text("etc/odbcinst.ini", "[FreeTDS]\nDriver = /opt/tds/libtdsodbc.so\n")),
        ("opt/cl/libcl.so", text("etc/OpenCL/vendors/a.icd", "/opt/cl/libcl.so\n")),
        ("opt/vk/libvk.so", text("usr/share/vulkan/icd.d/a.json", "{\"ICD\":{\"library_path\":\"/opt/vk/libvk.so\"}}")),
        ("opt/tool/server", text("srv/config.yaml", "server:\n  binary: /opt/tool/server\n")),
        ("lib/security/pam_own.so", text("etc/pam.d/login", "auth required pam_own.so\n")),
        ("opt/php/x.so", text("usr/local/etc/php/conf.d/x.ini", "zend_extension=/opt/php/x.so\n")),
    ];
    for (path, config) in cases {
        let puts = [Program(path, foreign()), config.clone()];
        assert_eq!(found(&puts), [format!("error foreign-configured /{path}")]);
        assert_eq!(found(&healthy(&puts)), [""; 0], "{path}");
    }
}

#[test]
fn the_finding_shows_where_the_file_is_named() {
    let puts = [
        Program("opt/tds/libtdsodbc.so", foreign()),
        text("etc/odbcinst.ini", "[FreeTDS]\n\n# the driver\nDriver = /opt/tds/libtdsodbc.so\n"),
    ];
    let findings = findings(&[], &["/app"], &image(&puts));
    let finding = findings.iter().find(|finding| finding.severity == Severity::Error).unwrap();
    assert!(finding.message.starts_with("/etc/odbcinst.ini:4 names this file"), "{}", finding.message);
}

#[test]
fn a_foreign_file_that_the_environment_names_is_in_reach() {
    let chrome = "root/.cache/puppeteer/chrome/linux-119/chrome-linux64/chrome";
    let puts = [Program(chrome, foreign())];
    let named = format!("PUPPETEER_EXECUTABLE_PATH=/{chrome}");
    assert_eq!(found(&puts), [format!("warning foreign-file /{chrome}")]);
    assert_eq!(found_with(&[&named], &puts), [format!("error foreign-configured /{chrome}")]);
    assert_eq!(found_with(&[&named], &healthy(&puts)), [""; 0]);
    let browsers = [Program("ms/chromium-1/chrome-linux/chrome", foreign())];
    let place = ["PLAYWRIGHT_BROWSERS_PATH=/ms"];
    assert_eq!(found_with(&place, &browsers), ["error foreign-configured /ms/chromium-1/chrome-linux/chrome"]);
    assert_eq!(found_with(&place, &healthy(&browsers)), [""; 0]);
    let agent = [Program("opt/agent/libagent.so", foreign())];
    let java = ["JAVA_TOOL_OPTIONS=-Xmx1g -agentpath:/opt/agent/libagent.so=x"];
    assert_eq!(found_with(&java, &agent), ["error foreign-configured /opt/agent/libagent.so"]);
}

#[test]
fn a_library_that_a_loader_skips_is_a_warning() {
    let puts = [Program("opt/libjemalloc.so.2", foreign())];
    assert_eq!(
        found_with(&["LD_PRELOAD=/opt/libjemalloc.so.2"], &puts),
        ["warning foreign-configured /opt/libjemalloc.so.2"]
    );
    let puts = [puts[0].clone(), text("etc/ld.so.preload", "/opt/libjemalloc.so.2\n")];
    assert_eq!(found(&puts), ["warning foreign-configured /opt/libjemalloc.so.2"]);
}

#[test]
fn a_broken_file_that_configuration_names_is_in_reach() {
    let puts = [text("opt/libx.so", ""), text("etc/x.conf", "module /opt/libx.so\n")];
    assert_eq!(found(&puts), ["error broken-configured /opt/libx.so"]);
    let pointer = text("opt/libx.so", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    assert_eq!(found(&[pointer, puts[1].clone()]), ["error broken-configured /opt/libx.so"]);
    assert_eq!(found(&[puts[0].clone()]), [""; 0]);
    // A comment names nothing.
    assert_eq!(found(&[puts[0].clone(), text("etc/x.conf", "# module /opt/libx.so\n")]), [""; 0]);
}

const SHARP: &str = "srv/node_modules/@img/sharp-linux-arm64/lib/sharp-linux-arm64.node";

#[test]
fn a_module_whose_library_is_missing_cannot_be_loaded() {
    let module = || own().needed("libc.so.6").needed("libvips-cpp.so.42").build();
    let vips = Program(
        "srv/node_modules/@img/sharp-libvips-linux-arm64/lib/libvips-cpp.so.42",
        own().soname("libvips-cpp.so.42").needed("libc.so.6").build(),
    );
    let missing = [format!("error extension-missing-library /{SHARP}")];
    assert_eq!(found(&[Program(SHARP, module())]), missing);
    assert_eq!(found(&[Program(SHARP, module()), vips]), [""; 0]);
    // By a library that it needs.
    let indirect = Program("usr/lib/libvips-cpp.so.42", own().needed("libglib-2.0.so.0").build());
    assert_eq!(found(&[Program(SHARP, module()), indirect.clone()]), missing);
    let link = [Program("usr/lib/libglib.so.7", own().build()), Link("usr/lib/libglib-2.0.so.0", "libglib.so.7")];
    assert_eq!(found(&[&[Program(SHARP, module()), indirect], &link[..]].concat()), [""; 0]);
}

#[test]
fn a_module_for_a_newer_c_library_cannot_be_loaded() {
    let module = |version: &str| own().needed("libc.so.6").wants("libc.so.6", version, false).build();
    let path = "usr/local/lib/python3.11/dist-packages/argon2.cpython-311-aarch64-linux-gnu.so";
    assert_eq!(found(&[Program(path, module("GLIBC_2.34"))]), [format!("error extension-missing-library /{path}")]);
    assert_eq!(found(&[Program(path, module("GLIBC_2.17"))]), [""; 0]);
    // A library that is known by its soname and by a link.
    let cxx = || {
        let library = own().soname("libstdc++.so.6").offers("GLIBCXX_3.4.28").build();
        [Program("usr/lib/libstdc++.so.6.0.28", library), Link("usr/lib/libstdc++.so.6", "libstdc++.so.6.0.28")]
    };
    let module =
        |version: &str| Program(path, own().needed("libstdc++.so.6").wants("libstdc++.so.6", version, false).build());
    let broken = [format!("error extension-missing-library /{path}")];
    assert_eq!(found(&[cxx().as_slice(), &[module("GLIBCXX_3.4.30")]].concat()), broken);
    assert_eq!(found(&[cxx().as_slice(), &[module("GLIBCXX_3.4.28")]].concat()), [""; 0]);
}

#[test]
fn the_origin_of_a_module_decides_the_severity() {
    let module = || own().needed("libtk8.6.so").build();
    let severity = |path: &'static str, more: &[Put]| {
        let puts = [&[Program(path, module())], more].concat();
        found(&puts).first().map(|found| found.split(' ').next().unwrap().to_string())
    };
    // Modules of the runtime, of the distribution, of a GPU driver, and a plug-in.
    assert_eq!(severity("usr/local/lib/python3.11/lib-dynload/_tkinter.cpython-311-aarch64-linux-gnu.so", &[]), None);
    assert_eq!(severity("usr/lib/python3/dist-packages/gi/_gi.cpython-311-aarch64-linux-gnu.so", &[]), None);
    assert_eq!(severity("opt/v/lib/python3.11/site-packages/PySide6/Qt/plugins/sqldrivers/libqsqlmimer.so", &[]), None);
    let cuda = Program("srv/node_modules/gpu/build/Release/gpu.node", own().needed("libcuda.so.1").build());
    assert_eq!(found(&[cuda]), [""; 0]);
    // Modules of the application, alone and next to one that loads.
    assert_eq!(severity("opt/v/lib/python3.11/site-packages/lxml/etree.so", &[]).as_deref(), Some("error"));
    let kin = Program("opt/v/lib/python3.11/site-packages/lxml/sax.so", own().build());
    assert_eq!(severity("opt/v/lib/python3.11/site-packages/lxml/etree.so", &[kin]).as_deref(), Some("warning"));
}

const ESBUILD: &str = r#"{"name":"esbuild","bin":{"esbuild":"bin/esbuild"},"optionalDependencies":
    {"@esbuild/linux-x64":"1","@esbuild/linux-arm64":"1","@esbuild/darwin-arm64":"1"}}"#;

#[test]
fn a_package_without_any_native_part_is_reported() {
    let package = || text("srv/node_modules/esbuild/package.json", ESBUILD);
    let bin = || text("srv/node_modules/esbuild/bin/esbuild", "#!/usr/bin/env node\n");
    assert_eq!(found(&[package(), bin()]), ["warning package-part-missing /srv/node_modules/esbuild/package.json"]);
    let part =
        || text("srv/node_modules/@esbuild/linux-arm64/package.json", r#"{"name":"x","os":["linux"],"cpu":["arm64"]}"#);
    assert_eq!(found(&[package(), bin(), part()]), [""; 0]);
    // Higher up, where Node.js also looks.
    let nested = text("srv/node_modules/vite/node_modules/esbuild/package.json", ESBUILD);
    let nested_bin = text("srv/node_modules/vite/node_modules/esbuild/bin/esbuild", "#!/usr/bin/env node\n");
    assert_eq!(found(&[nested, nested_bin, part()]), [""; 0]);
    // A tree that a bundler traced does not contain the command; a package with its own build needs no other.
    assert_eq!(found(&[package()]), [""; 0]);
    assert_eq!(found(&[package(), Program("srv/node_modules/esbuild/bin/esbuild", own().build())]), [""; 0]);
    let one = r#"{"name":"a","optionalDependencies":{"a-linux-arm64":"1","fsevents":"2"}}"#;
    assert_eq!(found(&[text("srv/node_modules/a/package.json", one)]), [""; 0]);
}

#[test]
fn a_wheel_whose_every_module_is_for_another_system_is_an_error() {
    let wheel = |tag: &str| {
        text(
            "usr/local/lib/python3.11/dist-packages/numpy-1.26.4.dist-info/WHEEL",
            &format!("Tag: cp311-cp311-{tag}\n"),
        )
    };
    let mut mac = vec![0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1];
    mac.resize(64, 0);
    let module = Program("usr/local/lib/python3.11/dist-packages/numpy/core/_m.cpython-311-darwin.so", mac);
    let info = "error package-other-platform /usr/local/lib/python3.11/dist-packages/numpy-1.26.4.dist-info/WHEEL";
    assert_eq!(found(&[wheel("macosx_11_0_arm64"), module]), [info]);
    let own =
        Program("usr/local/lib/python3.11/dist-packages/numpy/core/_m.cpython-311-aarch64-linux-gnu.so", own().build());
    assert_eq!(found(&[wheel("manylinux_2_17_aarch64"), own]), [""; 0]);
}

#[test]
fn a_cache_is_excused_only_with_a_program_for_this_platform() {
    let foreign = Program("root/.bun/bin/bun-linux-x64/bun", foreign());
    assert_eq!(found(std::slice::from_ref(&foreign)), ["warning foreign-file /root/.bun/bin/bun-linux-x64/bun"]);
    assert_eq!(found(&[foreign, Program("root/.bun/bin/bun-linux-aarch64/bun2", own().build())]), [""; 0]);
}

#[test]
fn a_release_of_otp_runs_on_its_own_virtual_machine() {
    let script = |text: &str| Program("srv/bin/hello", text.as_bytes().to_vec());
    let puts = |vm: Vec<u8>| {
        [
            Program("bin/sh", own().build()),
            script("#!/bin/sh\nexec \"$ROOT/x\"\n"),
            text("srv/releases/start_erl.data", "13.1.5 0.1.0\n"),
            Program("srv/erts-13.1.5/bin/beam.smp", vm),
        ]
    };
    let severities = |vm: Vec<u8>| {
        let findings = findings(&[], &["/srv/bin/hello"], &image(&puts(vm)));
        let is_vm = |finding: &&Finding| finding.path.as_deref() == Some("/srv/erts-13.1.5/bin/beam.smp");
        findings.iter().filter(is_vm).map(|finding| finding.severity).collect::<Vec<_>>()
    };
    assert_eq!(severities(foreign()), [Severity::Error]);
    assert_eq!(severities(own().build()), []);
}

#[test]
fn modules_in_a_directory_of_their_own_platform_are_excused_by_their_twins_alone() {
    for (host, path) in [
        ("usr/bin/ruby3.1", "usr/local/bundle/extensions/x86_64-linux/3.1.0/bcrypt-3.1.20/bcrypt_ext.so"),
        ("usr/bin/ruby3.1", "usr/local/lib/ruby/3.1.0/x86_64-linux/json/ext/parser.so"),
        ("usr/bin/perl", "srv/local/lib/perl5/x86_64-linux-gnu/auto/DBD/Pg/Pg.so"),
        ("usr/bin/Rscript", "srv/renv/library/R-4.3/x86_64-pc-linux-gnu/rlang/libs/rlang.so"),
    ] {
        let puts = [Program(host, own().build()), Program(path, foreign())];
        assert_eq!(found(&puts), [format!("error foreign-extension /{path}")]);
        let twin = path.replace("x86_64", "aarch64").leak();
        assert_eq!(found(&[puts.as_slice(), &[Program(twin, own().build())]].concat()), [""; 0], "{path}");
    }
    // The runtime of a cross build, and the distribution's packages for another architecture.
    for path in [
        "usr/local/rake-compiler/ruby/x86_64-linux-gnu/ruby-3.1.0/lib/ruby/3.1.0/x86_64-linux/json/ext/parser.so",
        "usr/lib/x86_64-linux-gnu/ruby/3.1.0/json/ext/parser.so",
        "usr/lib/x86_64-linux-gnu/perl5/5.36/auto/DBD/Pg/Pg.so",
    ] {
        let hosts = [Program("usr/bin/ruby3.1", own().build()), Program("usr/bin/perl", own().build())];
        assert_eq!(found(&[hosts.as_slice(), &[Program(path, foreign())]].concat()), [""; 0], "{path}");
    }
}

#[test]
fn an_extension_in_the_configuration_of_php_fpm_needs_its_libraries() {
    let path = "usr/lib/php/20220829/redis.so";
    let puts = |bytes: Vec<u8>| {
        let ini = text("etc/php/8.2/fpm/conf.d/20-redis.ini", "extension=redis.so\n");
        [Program("usr/sbin/php-fpm8.2", own().build()), Program(path, bytes), ini]
    };
    let lacking = own().needed("libzstd.so.1").build();
    assert_eq!(found(&puts(lacking.clone())), [format!("error extension-missing-library /{path}")]);
    assert_eq!(found(&puts(foreign())), [format!("error foreign-configured /{path}")]);
    assert_eq!(found(&puts(own().build())), [""; 0]);
    // Nothing loads it.
    assert_eq!(found(&puts(lacking)[..2]), [""; 0]);
}

#[test]
fn a_provider_is_a_module_of_terraform() {
    let place = "w/.terraform/providers/registry.terraform.io/hashicorp/null/3.2.2/linux_amd64";
    let provider: &'static str = format!("{place}/terraform-provider-null_v3.2.2_x5").leak();
    let twin: &'static str = provider.replace("amd64", "arm64").leak();
    let terraform = Program("usr/bin/terraform", own().build());
    let puts = [Program(provider, foreign()), terraform];
    assert_eq!(found(&puts), [format!("error foreign-extension /{provider}")]);
    assert_eq!(found(&[puts.as_slice(), &[Program(twin, own().build())]].concat()), [""; 0]);
    assert_eq!(found(&puts[..1]), [format!("warning foreign-extension /{provider}")]);
}

#[test]
fn an_engine_of_prisma_next_to_this_platforms_is_a_sibling() {
    let amd64 = Program("srv/node_modules/.prisma/client/libquery_engine-debian-openssl-3.0.x.so.node", foreign());
    let arm64 = "srv/node_modules/.prisma/client/libquery_engine-linux-arm64-openssl-3.0.x.so.node";
    assert_eq!(found(&[amd64.clone(), Program(arm64, own().build())]), [""; 0]);
    let only = found(&[amd64]);
    assert!(only[0].starts_with("error foreign-extension"), "{only:?}");
    // Builds for other distributions than the image's.
    let client = |name: &str, needed: &str| {
        let path = format!("srv/node_modules/.prisma/client/libquery_engine-linux-{name}.so.node");
        Program(path.leak(), own().needed("libc.so.6").needed(needed).build())
    };
    let musl = client("musl-arm64-openssl-3.0.x", "libc.musl-aarch64.so.1");
    let old = client("arm64-openssl-1.1.x", "libssl.so.1.1");
    let fits = client("arm64-openssl-3.0.x", "libc.so.6");
    assert_eq!(found(&[musl.clone(), old.clone(), fits]), [""; 0]);
    assert_eq!(found(&[musl, old]).len(), 2);
}

#[test]
fn a_library_next_to_an_applications_assemblies_is_loaded_by_dotnet() {
    let host = Program("usr/share/dotnet/dotnet", own().build());
    let puts = [text("srv/App.deps.json", "{}"), Program("srv/libe_sqlite3.so", foreign()), host];
    assert_eq!(found(&puts), ["error foreign-extension /srv/libe_sqlite3.so"]);
    assert_eq!(found(&healthy(&puts)), [""; 0]);
}

#[test]
fn a_dangling_or_replaced_link_explains_the_start() {
    let explained = |rootfs: &RootFs<FileKind>, argv: &[&str]| {
        let findings = findings(&[], argv, rootfs);
        (findings[0].message.clone(), findings[0].layer, findings[0].hint.clone())
    };
    let venv = [Link("v/bin/python", "/root/uv/bin/python3.11"), Program("v/bin/tool", b"#!/v/bin/python\n".to_vec())];
    let (message, layer, hint) = explained(&image(&venv), &["/v/bin/tool"]);
    assert!(
        message.contains("/v/bin/python is a link to /root/uv/bin/python3.11, which is not in the image"),
        "{message}"
    );
    assert!(layer == Some(1) && hint[0].starts_with("copy the interpreter"), "{hint:?}");
    let base = layer_of(&[Link("bin", "usr/bin"), Program("usr/bin/tool", own().build())]);
    let higher = layer_of(&[Program("bin/other", own().build())]);
    let (message, layer, _) = explained(&merge([base, higher]), &["/bin/tool"]);
    assert!(message.contains("a layer replaced the link /bin -> usr/bin with a directory"), "{message}");
    assert_eq!(layer, Some(1));
}

fn layer_of(puts: &[Put]) -> Arc<Contents<FileKind>> {
    layer(puts)
}

#[test]
fn a_missing_library_is_in_the_layer_of_what_needs_it() {
    let base = layer(&[Program(LOADER, own().soname("ld-linux-aarch64.so.1").build())]);
    let app = own().interp("/lib/ld-linux-aarch64.so.1").needed("libpq.so.5").build();
    let findings = findings(&[], &["/srv/app"], &merge([base, layer(&[Program("srv/app", app)])]));
    assert_eq!((findings[0].code.name(), findings[0].layer), ("entrypoint-missing-library", Some(1)));
}

#[test]
fn a_module_for_another_version_of_python_is_never_loaded() {
    let of = |version: &str| {
        let path = format!("opt/v/lib/python3.11/site-packages/a/speed.cpython-{version}-aarch64-linux-gnu.so");
        Program(path.leak(), own().build())
    };
    let path = "/opt/v/lib/python3.11/site-packages/a/speed.cpython-39-aarch64-linux-gnu.so";
    assert_eq!(found(&[of("39")]), [format!("error package-other-platform {path}")]);
    assert_eq!(found(&[of("311")]), [""; 0]);
    assert_eq!(found(&[of("39"), of("310"), of("311")]), [""; 0]);
    // A static interpreter of unknown version may be of any version.
    assert_eq!(found(&[of("39"), Program("opt/x/bin/python3", own().build())]), [""; 0]);
}

#[test]
fn a_module_or_its_library_whose_code_the_cpu_lacks_is_found_once() {
    const SITE: &str = "usr/local/lib/python3.11/site-packages/pkg/";
    let path = |name: &str| -> &'static str { Box::leak(format!("{SITE}{name}").into_boxed_str()) };
    let library = own().soname("libown.so").build();
    let puts = |feature| {
        let module = |name| Program(path(name), own().needed("libown.so").build());
        [module("a.so"), module("b.so"), Needing(path("libown.so"), library.clone(), feature)]
    };
    // Plain linux/arm64 is Armv8.0, which has no LSE; whether it has AES is not known.
    assert_eq!(found(&puts(CpuFeature::Lse)), [format!("error extension-cpu-level /{SITE}libown.so")]);
    assert_eq!(found(&puts(CpuFeature::ArmCrypto)), [""; 0]);
    assert_eq!(found(&healthy(&puts(CpuFeature::Lse))), found(&puts(CpuFeature::ArmCrypto)));
}

#[test]
fn a_module_that_checks_the_cpu_itself_is_refused_where_the_feature_is_missing() {
    const GUARD: &str = "usr/local/lib/python3.11/site-packages/jaxlib/cpu_feature_guard.so";
    let x86 = |path| Program(path, foreign());
    let searched = Needing(GUARD, foreign(), CpuFeature::Sse3);
    let rootfs = merge([layer(&[x86("app"), x86(PYTHON), searched])]);
    let on = |level| {
        let mut target = Target::of_platform(&Platform::linux(Arch::Amd64)).unwrap();
        target.node.isa = Fact::Known(Isa::X86(level));
        let findings = findings_on(&target, &[], &["/app"], &rootfs);
        findings.iter().map(|finding| format!("{} {}", finding.code, finding.expected)).collect::<Vec<_>>()
    };
    assert_eq!(on(2), ["extension-cpu-level AVX"]);
    assert_eq!(on(3), [""; 0]);
}

#[test]
fn a_build_for_new_cpus_next_to_one_for_old_cpus_is_not_reported() {
    const NEW: &str = "usr/local/lib/python3.11/site-packages/_polars_runtime_32/_polars_runtime.abi3.so";
    const OLD: &str = "usr/local/lib/python3.11/site-packages/_polars_runtime_compat/_polars_runtime.abi3.so";
    let new = Needing(NEW, own().build(), CpuFeature::Lse);
    assert_eq!(found(std::slice::from_ref(&new)), [format!("error extension-cpu-level /{NEW}")]);
    assert_eq!(found(&[new, Program(OLD, own().build())]), [""; 0]);
}

#[test]
fn a_server_needs_every_module_that_its_configuration_loads() {
    let lacking = own().soname("ngx_a.so").needed("libgone.so.1").build();
    let module = "usr/lib/nginx/modules/ngx_a.so";
    let image = |module_bytes: Vec<u8>, config: Put| {
        let server = Program("usr/sbin/nginx", own().build());
        found(&[server, Program(module, module_bytes), config])
    };
    let broken = [format!("error extension-missing-library /{module}")];
    for line in ["load_module modules/ngx_a.so;\n", "load_module /usr/lib/nginx/modules/ngx_a.so;\n"] {
        assert_eq!(image(lacking.clone(), text("etc/nginx/nginx.conf", line)), broken, "{line}");
        assert_eq!(image(own().build(), text("etc/nginx/nginx.conf", line)), [""; 0], "{line}");
    }
    // The module comes with the distribution's server, and nothing loads it.
    assert_eq!(image(lacking.clone(), text("etc/nginx/nginx.conf", "events {}\n")), [""; 0]);
    let available = text("usr/share/nginx/modules-available/a.conf", "load_module modules/ngx_a.so;\n");
    assert_eq!(image(lacking.clone(), available.clone()), [""; 0]);
    let enabled = Link("etc/nginx/modules-enabled/50-a.conf", "/usr/share/nginx/modules-available/a.conf");
    let server = Program("usr/sbin/nginx", own().build());
    assert_eq!(found(&[server, Program(module, lacking), available, enabled]), broken);
}
