//! Cases that are executed: the broken image and its healthy twin run in a chroot of real runtimes, and what happens
//! there must agree with the first finding. The rows are the table of docs/real-images.md.
//!
//!     IMGARCH_ENGINES=1 IMGARCH_REALWORLD=agreement cargo test --test it agree -- --nocapture

use std::path::Path;

use super::chroot::Chroot;
use super::expected::{Tree, amd64};
use super::faults::{Bytes, Put};
use super::{image, scan, trees};
use crate::kit::machine::{self, Need};
use Bytes::{Compiled, Foreign, Narrow, Text};
use Put::{File, Link};

/// An image that fails and the same without the fault.
struct Agreement {
    kind: &'static str,
    /// Files of both.
    common: &'static [Put],
    broken: &'static [Put],
    healthy: &'static [Put],
    call: &'static [&'static str],
    /// Part of what the broken one prints.
    prints: &'static str,
    /// Code and path of its first finding.
    first: (&'static str, &'static str),
}

const RUNTIMES: &[&str] = &["python3", "nodejs", "php8.2-cli", "ruby", "perl", "lua5.4", "redis-server", "zlib1g"];
const TREE: Tree = amd64("agreement", RUNTIMES, "/bin/sh");

const LIBZ: &str = "usr/lib/x86_64-linux-gnu/libz.so.1.2.13";
const NODE: &[&str] = &["/usr/bin/node", "/srv/app.js"];
const ADDON: &str = "srv/node_modules/a/build/Release/a.node";
const ADDON_FOUND: &str = "/srv/node_modules/a/build/Release/a.node";
const NAPI: Bytes = Compiled("void *napi_register_module_v1(void *e, void *x) { return x; }", &[]);
const NODE_FILES: &[Put] = &[
    File("srv/app.js", 0o644, Text("require('a')\n")),
    File("srv/node_modules/a/package.json", 0o644, Text("{\"name\": \"a\"}\n")),
    File("srv/node_modules/a/index.js", 0o644, Text("module.exports = require('./build/Release/a.node')\n")),
];

const PYTHON: &[&str] = &["/usr/bin/python3", "/srv/app.py"];
const PYTHON_FILES: &[Put] = &[File("srv/app.py", 0o644, Text("import speed\n"))];
const SITE: &str = "usr/local/lib/python3.11/dist-packages/speed.cpython-311-x86_64-linux-gnu.so";
const SITE_FOUND: &str = "/usr/local/lib/python3.11/dist-packages/speed.cpython-311-x86_64-linux-gnu.so";
const PYTHON_SOURCE: &str = "static struct { long a[2]; void *b; long c[2]; const char *name, *doc; long size; void *d[5]; } \
    module = {.a = {1}, .name = \"speed\", .size = -1}; void *PyModule_Create2(void *, int); \
    void *PyInit_speed(void) { return PyModule_Create2(&module, 1013); }";
const SPEED: Bytes = Compiled(PYTHON_SOURCE, &[]);

const PHP: &[&str] = &["/usr/bin/php8.2", "/srv/app.php"];
const PHP_FILES: &[Put] = &[
    File("srv/app.php", 0o644, Text("<?php exit(extension_loaded('redis') ? 0 : 3);\n")),
    File("etc/php/8.2/cli/conf.d/20-redis.ini", 0o644, Text("extension=redis\n")),
];
const PHP_MODULE: &str = "usr/lib/php/20220829/redis.so";
macro_rules! php_module {
    ($api:literal, $threads:literal) => {
        concat!(
            "struct { unsigned short size; unsigned api; unsigned char debug, zts; void *a[2]; const char *name; void \
             *b[6]; const char *version; unsigned long c; void *d[4]; int e; unsigned char f; void *g; int h; const \
             char *build; } module = {sizeof module, ",
            $api,
            ", 0, 0, {0}, \"redis\", {0}, \"1\", 0, {0}, 0, 0, 0, 0, \"API",
            $api,
            ",",
            $threads,
            "\"}; void *get_module(void) { return &module; }"
        )
    };
}
const PHP_OWN: Bytes = Compiled(php_module!("20220829", "NTS"), &[]);

const RUBY: &[&str] = &["/usr/bin/ruby", "/srv/app.rb"];
const RUBY_SOURCE: &str = "void Init_fast(void) {}";
const PERL: &[&str] =
    &["/usr/bin/perl", "-e", "package Fast; require DynaLoader; @Fast::ISA = ('DynaLoader'); bootstrap Fast;"];
const PERL_SOURCE: &str = "void boot_Fast(void) {}";
const LUA: &[&str] = &["/usr/bin/lua5.4", "-e", "require 'fast'"];
const LUA_SOURCE: &str = "int luaopen_fast(void *state) { return 0; }";

/// A program that needs libq.so.1, which LD_PRELOAD may provide.
const NEEDING: Put = File("srv/app", 0o755, Bytes::CompiledProgram("int main(void) { return 0; }", &["libq.so.1"]));
const PRELOADED: &[&str] = &["/usr/bin/env", "LD_PRELOAD=/opt/own.so", "/srv/app"];

const AGREEMENTS: &[Agreement] = &[
    Agreement {
        kind: "addon of Node.js for another architecture",
        common: NODE_FILES,
        broken: &[File(ADDON, 0o644, Foreign(LIBZ))],
        healthy: &[File(ADDON, 0o644, NAPI)],
        call: NODE,
        prints: "cannot open shared object file",
        first: ("foreign-extension", ADDON_FOUND),
    },
    Agreement {
        kind: "32-bit addon in a 64-bit Node.js",
        common: NODE_FILES,
        broken: &[File(ADDON, 0o644, Narrow)],
        healthy: &[File(ADDON, 0o644, NAPI)],
        call: NODE,
        prints: "wrong ELF class: ELFCLASS32",
        first: ("foreign-extension", ADDON_FOUND),
    },
    Agreement {
        kind: "addon for another NODE_MODULE_VERSION",
        common: NODE_FILES,
        broken: &[File(ADDON, 0o644, Compiled("void node_register_module_v93(void) {}", &[]))],
        healthy: &[File(ADDON, 0o644, Compiled("void node_register_module_v108(void) {}", &[]))],
        call: NODE,
        prints: "Module did not self-register",
        first: ("package-other-platform", ADDON_FOUND),
    },
    Agreement {
        kind: "addon whose library is missing",
        common: NODE_FILES,
        broken: &[File(
            ADDON,
            0o644,
            Compiled("void *napi_register_module_v1(void *e, void *x) { return x; }", &["libvips-cpp.so.42"]),
        )],
        healthy: &[File(ADDON, 0o644, NAPI)],
        call: NODE,
        prints: "libvips-cpp.so.42: cannot open shared object file",
        first: ("extension-missing-library", ADDON_FOUND),
    },
    Agreement {
        kind: "module of Python for another architecture",
        common: PYTHON_FILES,
        broken: &[File(SITE, 0o644, Foreign(LIBZ))],
        healthy: &[File(SITE, 0o644, SPEED)],
        call: PYTHON,
        prints: "cannot open shared object file",
        first: ("foreign-extension", SITE_FOUND),
    },
    Agreement {
        kind: "module of Python with PyPy's suffix",
        common: PYTHON_FILES,
        broken: &[File("usr/local/lib/python3.11/dist-packages/speed.pypy39-pp73-x86_64-linux-gnu.so", 0o644, SPEED)],
        healthy: &[File(SITE, 0o644, SPEED)],
        call: PYTHON,
        prints: "ModuleNotFoundError: No module named 'speed'",
        first: (
            "package-other-platform",
            "/usr/local/lib/python3.11/dist-packages/speed.pypy39-pp73-x86_64-linux-gnu.so",
        ),
    },
    Agreement {
        kind: "module of Python whose library is missing",
        common: PYTHON_FILES,
        broken: &[File(SITE, 0o644, Compiled(PYTHON_SOURCE, &["libpython3.9.so.1.0"]))],
        healthy: &[File(SITE, 0o644, SPEED)],
        call: PYTHON,
        prints: "ImportError: libpython3.9.so.1.0: cannot open shared object file",
        first: ("extension-missing-library", SITE_FOUND),
    },
    Agreement {
        kind: "extension of PHP for another architecture",
        common: PHP_FILES,
        broken: &[File(PHP_MODULE, 0o644, Foreign(LIBZ))],
        healthy: &[File(PHP_MODULE, 0o644, PHP_OWN)],
        call: PHP,
        prints: "Unable to load dynamic library 'redis'",
        first: ("foreign-configured", "/usr/lib/php/20220829/redis.so"),
    },
    Agreement {
        kind: "extension of PHP for another module API",
        common: PHP_FILES,
        broken: &[File(PHP_MODULE, 0o644, Compiled(php_module!("20210902", "NTS"), &[]))],
        healthy: &[File(PHP_MODULE, 0o644, PHP_OWN)],
        call: PHP,
        prints: "Module compiled with module API=20210902",
        first: ("package-other-platform", "/usr/lib/php/20220829/redis.so"),
    },
    Agreement {
        kind: "extension of thread-safe PHP",
        common: PHP_FILES,
        broken: &[File(PHP_MODULE, 0o644, Compiled(php_module!("20220829", "TS"), &[]))],
        healthy: &[File(PHP_MODULE, 0o644, PHP_OWN)],
        call: PHP,
        prints: "Module compiled with build ID=API20220829,TS",
        first: ("package-other-platform", "/usr/lib/php/20220829/redis.so"),
    },
    Agreement {
        kind: "extension of PHP that only configuration names",
        common: PHP_FILES,
        broken: &[],
        healthy: &[File(PHP_MODULE, 0o644, PHP_OWN)],
        call: PHP,
        prints: "Unable to load dynamic library 'redis'",
        first: ("broken-configured", "/etc/php/8.2/cli/conf.d/20-redis.ini"),
    },
    Agreement {
        kind: "gem for another version of Ruby",
        common: &[File(
            "srv/app.rb",
            0o644,
            Text("require \"/srv/gems/fast-1.0/lib/fast/#{RUBY_VERSION[/\\d+\\.\\d+/]}/fast\"\n"),
        )],
        broken: &[File("srv/gems/fast-1.0/lib/fast/2.7/fast.so", 0o644, Compiled(RUBY_SOURCE, &[]))],
        healthy: &[File("srv/gems/fast-1.0/lib/fast/3.1/fast.so", 0o644, Compiled(RUBY_SOURCE, &[]))],
        call: RUBY,
        prints: "cannot load such file",
        first: ("package-other-platform", "/srv/gems/fast-1.0/lib/fast/2.7/fast.so"),
    },
    Agreement {
        kind: "XS module of Perl whose library is missing",
        common: &[],
        broken: &[File(
            "usr/local/lib/x86_64-linux-gnu/perl/5.36.0/auto/Fast/Fast.so",
            0o644,
            Compiled(PERL_SOURCE, &["libmysqlclient.so.18"]),
        )],
        healthy: &[File(
            "usr/local/lib/x86_64-linux-gnu/perl/5.36.0/auto/Fast/Fast.so",
            0o644,
            Compiled(PERL_SOURCE, &[]),
        )],
        call: PERL,
        prints: "libmysqlclient.so.18: cannot open shared object file",
        first: ("extension-missing-library", "/usr/local/lib/x86_64-linux-gnu/perl/5.36.0/auto/Fast/Fast.so"),
    },
    Agreement {
        kind: "C module of Lua in another version's directory",
        common: &[],
        broken: &[File("usr/local/lib/lua/5.1/fast.so", 0o644, Compiled(LUA_SOURCE, &[]))],
        healthy: &[File("usr/local/lib/lua/5.4/fast.so", 0o644, Compiled(LUA_SOURCE, &[]))],
        call: LUA,
        prints: "module 'fast' not found",
        first: ("package-other-platform", "/usr/local/lib/lua/5.1/fast.so"),
    },
    Agreement {
        kind: "LD_PRELOAD of a library that does not provide what the program needs",
        common: &[NEEDING],
        broken: &[File("opt/own.so", 0o644, Compiled("int q;", &[]))],
        healthy: &[File("opt/own.so", 0o644, Bytes::CompiledAs("int q;", "libq.so.1"))],
        call: PRELOADED,
        prints: "error while loading shared libraries: libq.so.1",
        first: ("entrypoint-missing-library", "libq.so.1"),
    },
    Agreement {
        kind: "LD_PRELOAD of a library that needs a missing one",
        common: &[File("srv/app", 0o755, Bytes::CompiledProgram("int main(void) { return 0; }", &[]))],
        broken: &[File("opt/own.so", 0o644, Compiled("int q;", &["libgone.so.7"]))],
        healthy: &[File("opt/own.so", 0o644, Compiled("int q;", &[]))],
        call: PRELOADED,
        prints: "error while loading shared libraries: libgone.so.7",
        first: ("entrypoint-missing-library", "libgone.so.7"),
    },
    Agreement {
        kind: "virtual environment without its interpreter",
        common: &[
            File("app/bin/tool", 0o755, Text("#!/app/bin/python\nprint(1)\n")),
            File("app/pyvenv.cfg", 0o644, Text("home = /usr/bin\nversion = 3.11.2\n")),
        ],
        broken: &[Link("app/bin/python", "/root/uv/bin/python3.11")],
        healthy: &[Link("app/bin/python", "/usr/bin/python3.11")],
        call: &["/app/bin/tool"],
        prints: "No such file or directory",
        first: ("entrypoint-bad-script", "/app/bin/python"),
    },
];

/// The table in docs/real-images.md.
fn table() -> String {
    let head = "| kind of fault | what happens in a chroot | first finding | healthy twin |\n|---|---|---|---|\n";
    let row = |case: &Agreement| {
        format!("| {} | `{}` | `{}` | runs, no error, no warning |\n", case.kind, case.prints, case.first.0)
    };
    AGREEMENTS.iter().map(row).fold(head.to_string(), |text, row| text + &row)
}

#[test]
fn the_documentation_has_the_table_of_agreement() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/real-images.md");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&table()), "docs/real-images.md should contain:\n{}", table());
}

/// Runs the call of a case on the tree with these files on top. Returns whether it succeeded, and what it printed.
fn run(directory: &Path, root: &Path, case: &Agreement, puts: &[&Put]) -> (bool, String) {
    let chroot = Chroot::new(directory, root, &TREE, puts.iter().copied());
    let output = chroot.command(&[], "/", case.call).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn what_happens_agrees_with_the_first_finding() {
    let is_wanted = matches!(std::env::var("IMGARCH_REALWORLD").as_deref(), Ok("all" | "agreement"));
    let needs = [Need::Root, Need::Mmdebstrap, Need::PackageMirror, Need::Compiler, Need::X86_64];
    if !is_wanted || !machine::has("what_happens_agrees", &needs) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let directory = std::env::var_os("IMGARCH_REALWORLD_DIR").map_or(temporary.path().to_path_buf(), Into::into);
    let root = trees::build(&directory, &TREE);
    let image = image::Image::pack(&TREE, &root);
    let cache = directory.join("cache");
    let mut wrong = Vec::new();
    for case in AGREEMENTS {
        for (own, is_broken) in [(case.broken, true), (case.healthy, false)] {
            let puts: Vec<&Put> = case.common.iter().chain(own).collect();
            let (succeeds, said) = run(&directory, &root, case, &puts);
            if succeeds == is_broken || (is_broken && !said.contains(case.prints)) {
                wrong.push(format!("{}: broken: {is_broken}, succeeds: {succeeds}, printed {said}", case.kind));
            }
            let found = scan(&cache, image.with_call(&puts, case.call)).loud;
            let first = found.first().map(|(code, path, _)| (code.as_str(), path.as_str()));
            if first != is_broken.then_some(case.first) {
                wrong.push(format!("{}: broken: {is_broken}, found {found:?}", case.kind));
            }
        }
    }
    println!("{}", table());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
