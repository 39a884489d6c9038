//! Language runtimes and servers that load native modules: the programs that identify them, and their module
//! directories.

use std::collections::BTreeSet;
use std::fmt;

use crate::image::{NodeKind, RootFs};
use crate::inspect::FileKind;
use crate::judge::facts::programs::{Fit, JudgedProgram, Programs};
use crate::judge::facts::versions::Versioned;
use crate::platform::Arch;

/// A row of [`RUNTIMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuntimeKind {
    Python,
    Node,
    Ruby,
    Php,
    Perl,
    Java,
    DotNet,
    R,
    Terraform,
    Lua,
    Julia,
    Erlang,
    Apache,
    Nginx,
    Postgres,
    Redis,
    MySql,
}

/// A runtime: the names of its interpreter, and the directories of its native modules.
pub struct Runtime {
    pub kind: RuntimeKind,
    pub name: &'static str,
    /// Names of programs or libraries, without versions; one of them is present where the runtime is.
    hosts: &'static [&'static str],
    is_module: fn(&str) -> bool,
    /// The version that its modules must have, if they have one.
    pub versions: Option<Versioned>,
    pub on_named: OnNamed,
}

/// What happens to a runtime that cannot load a module which its configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNamed {
    /// It does not start: a server.
    Ends,
    /// It starts without the module; code that needs the module fails.
    Lacks,
    /// Configuration does not name its modules.
    NamesNone,
}

pub const RUNTIMES: &[Runtime] = &[
    Runtime {
        kind: RuntimeKind::Python,
        name: "Python",
        hosts: &["python", "pypy", "libpython"],
        is_module: is_python,
        versions: None,
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::Node,
        name: "Node.js",
        hosts: &["node", "nodejs", "bun", "deno", "electron"],
        is_module: |path| path.ends_with(".node") || path.contains("/node_modules/"),
        versions: Some(Versioned::Node),
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::Ruby,
        name: "Ruby",
        hosts: &["ruby", "libruby"],
        is_module: |path| {
            in_any(path, &["/gems/", "/ruby/", "/vendor_ruby/", "/site_ruby/", "/bundle/extensions/"])
                && is_library(path)
        },
        versions: Some(Versioned::Ruby),
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::Php,
        name: "PHP",
        hosts: &["php", "php-fpm", "php-cgi", "libphp"],
        // Alpine's directory is `/usr/lib/php82/modules`.
        is_module: |path| {
            let is_place = in_any(path, &["/php/extensions/", "/lib/php/"])
                || (path.contains("/php") && in_any(path, &["/modules/", "/extensions/"]));
            is_place && is_library(path)
        },
        versions: Some(Versioned::Php),
        on_named: OnNamed::Lacks,
    },
    Runtime {
        kind: RuntimeKind::Perl,
        name: "Perl",
        hosts: &["perl"],
        is_module: |path| path.contains("/perl") && path.contains("/auto/") && is_library(path),
        versions: Some(Versioned::Perl),
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::Java,
        name: "Java",
        hosts: &["java", "libjvm.so"],
        is_module: |path| in_any(path, &["/jni/", "/jvm/", "/jre/", "/openjdk"]) && is_library(path),
        versions: None,
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::DotNet,
        name: ".NET",
        hosts: &["dotnet", "libcoreclr.so", "libhostfxr.so"],
        is_module: |path| in_any(path, &["/runtimes/", "/Microsoft.NETCore.App/", "/host/fxr/"]) && is_library(path),
        versions: None,
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::R,
        name: "R",
        hosts: &["R", "Rscript"],
        // renv's directory is `renv/library/linux-ubuntu-jammy/R-4.3/x86_64-pc-linux-gnu`.
        is_module: |path| in_any(path, &["/R/", "/R-", "/renv/"]) && path.contains("/libs/") && is_library(path),
        versions: None,
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::Terraform,
        name: "Terraform",
        hosts: &["terraform", "tofu"],
        is_module: |path| path.rsplit('/').next().is_some_and(|name| name.starts_with("terraform-provider-")),
        versions: None,
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::Lua,
        name: "Lua",
        hosts: &["lua", "luajit", "libluajit"],
        is_module: |path| in_any(path, &["/lua/", "/lualib/"]) && is_library(path),
        versions: Some(Versioned::Lua),
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::Julia,
        name: "Julia",
        hosts: &["julia", "libjulia"],
        is_module: |path| in_any(path, &["/julia/", "/.julia/"]) && is_library(path),
        versions: None,
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::Erlang,
        name: "Erlang",
        hosts: &["erl", "beam.smp"],
        is_module: |path| in_any(path, &["/erlang/", "/priv/"]) && is_library(path),
        versions: None,
        on_named: OnNamed::NamesNone,
    },
    Runtime {
        kind: RuntimeKind::Apache,
        name: "Apache",
        hosts: &["apache", "httpd"],
        is_module: |path| in_any(path, &["/apache2/modules/", "/httpd/modules/"]) && is_library(path),
        versions: None,
        on_named: OnNamed::Ends,
    },
    Runtime {
        kind: RuntimeKind::Nginx,
        name: "nginx",
        hosts: &["nginx"],
        is_module: |path| path.contains("/nginx/modules/") && is_library(path),
        versions: Some(Versioned::Nginx),
        on_named: OnNamed::Ends,
    },
    Runtime {
        kind: RuntimeKind::Postgres,
        name: "PostgreSQL",
        hosts: &["postgres"],
        is_module: |path| path.contains("/postgresql/") && path.contains("/lib/") && is_library(path),
        versions: Some(Versioned::Postgres),
        on_named: OnNamed::Ends,
    },
    Runtime {
        kind: RuntimeKind::Redis,
        name: "Redis",
        // Debian's `redis-server` is a link to the checker.
        hosts: &["redis-server", "redis-check-rdb", "valkey-server", "valkey-check-rdb", "keydb-server"],
        is_module: |path| {
            in_any(path, &["/redis/modules/", "/valkey/modules/", "/redis-stack/lib/"]) && is_library(path)
        },
        versions: None,
        on_named: OnNamed::Ends,
    },
    Runtime {
        kind: RuntimeKind::MySql,
        name: "MySQL",
        hosts: &["mysqld", "mariadbd"],
        is_module: |path| in_any(path, &["/mysql/plugin/", "/mariadb/plugin/", "/mysql/private/"]) && is_library(path),
        versions: None,
        on_named: OnNamed::NamesNone,
    },
];

impl RuntimeKind {
    pub fn row(self) -> &'static Runtime {
        RUNTIMES.iter().find(|row| row.kind == self).expect("each kind has a row")
    }
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

/// Whether a file name is the name of a library.
pub fn is_library(path: &str) -> bool {
    path.ends_with(".so") || path.contains(".so.")
}

fn in_any(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.contains(place))
}

/// Every native file of an installed package; elsewhere the files that CPython's naming scheme marks as modules.
fn is_python(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    in_any(path, &["/site-packages/", "/dist-packages/", "/lib-dynload/"])
        || (name.ends_with(".so") && (name.contains(".cpython-") || name.contains(".abi3.") || name.contains(".pypy")))
}

/// The runtimes that an image has for its own platform, each with its host's path. `python3.11` counts as python.
pub fn installed(programs: &Programs<'_>) -> Vec<(RuntimeKind, String)> {
    let mut found: Vec<(RuntimeKind, String)> = Vec::new();
    for program in programs.runnable().filter(|program| program.fit <= Fit::Compat) {
        for runtime in RUNTIMES {
            let is_host = runtime.hosts.iter().any(|host| is_named(program.name(), host))
                || (runtime.kind == RuntimeKind::Python && is_standalone(&program.path));
            let is_usable = is_library(program.name()) || program.is_executable();
            if is_host && is_usable && !found.iter().any(|(other, _)| *other == runtime.kind) {
                found.push((runtime.kind, program.path.clone()));
            }
        }
    }
    found
}

/// The architectures of each runtime's hosts. A process loads only libraries of the same architecture, although a node
/// may run programs of another one.
pub fn architectures(programs: &Programs<'_>) -> BTreeSet<(RuntimeKind, Arch)> {
    let mut found = BTreeSet::new();
    for program in programs.runnable().filter(|program| program.fit <= Fit::Emulated) {
        let hosts = RUNTIMES.iter().filter(|row| {
            row.hosts.iter().any(|host| is_named(program.name(), host))
                || (row.kind == RuntimeKind::Python && is_standalone(&program.path))
        });
        found.extend(hosts.filter_map(|row| Some((row.kind, program.elf.arch()?))));
    }
    found
}

/// `python3.11`, `php-fpm8.2` and `libpython3.11.so.1.0` are named after python, php-fpm and libpython.
fn is_named(name: &str, host: &str) -> bool {
    let Some(rest) = name.strip_prefix(host) else { return false };
    let rest = rest.split_once(".so").map_or(rest, |(before, _)| before);
    rest.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'))
}

/// Whether a program is one that Nuitka made, which contains Python itself: `app.dist/app.bin`. Source: Nuitka's
/// documentation, "Standalone".
fn is_standalone(path: &str) -> bool {
    let Some((directory, name)) = path.rsplit_once('/') else { return false };
    let directory = directory.rsplit('/').next().and_then(|directory| directory.strip_suffix(".dist"));
    name.strip_suffix(".bin").is_some_and(|stem| Some(stem) == directory)
}

/// Library directories of runtimes that can be anywhere, detected by the library that each has: `jlink` and
/// self-contained .NET applications use a directory of any name. Each directory has a trailing slash.
pub fn homes(programs: &Programs<'_>) -> Vec<(RuntimeKind, String)> {
    let own = |program: &JudgedProgram<'_>| {
        let (directory, name) = program.path.rsplit_once('/')?;
        let (runtime, directory) = match name {
            // `lib/server/libjvm.so` is below the directory of `lib/libnio.so`.
            "libjvm.so" => (RuntimeKind::Java, directory.rsplit_once('/')?.0),
            "libcoreclr.so" => (RuntimeKind::DotNet, directory),
            _ => return None,
        };
        (!directory.is_empty()).then(|| (runtime, format!("{directory}/")))
    };
    programs.runnable().filter_map(own).collect()
}

/// Directories of published .NET applications, whose native libraries are next to their assemblies, and of programs
/// that Nuitka or PyInstaller made from Python code. Each has a trailing slash. Source: .NET's "deps.json" and
/// "runtimeconfig.json" files; Nuitka's documentation, "Standalone"; PyInstaller's, "What PyInstaller Does".
pub fn applications(rootfs: &RootFs<FileKind>) -> Vec<(RuntimeKind, String)> {
    let is_record = |name: &[u8]| name.ends_with(b".deps.json") || name.ends_with(b".runtimeconfig.json");
    let is_python = |name: &[u8]| name.starts_with(b"libpython") || name.ends_with(b".bin");
    let (mut published, mut frozen) = (BTreeSet::new(), BTreeSet::new());
    for view in rootfs.matching(NodeKind::File, |name| is_record(name) || is_python(name)) {
        let (is_record, is_python) = (is_record(view.name), is_python(view.name));
        let directory = String::from_utf8_lossy(&rootfs.path(rootfs.parent(view.id))).into_owned();
        if is_record && directory != "/" {
            published.insert(format!("{directory}/"));
        }
        let is_frozen = match view.name.strip_suffix(b".bin") {
            Some(_) => is_standalone(&format!("{directory}/{}", String::from_utf8_lossy(view.name))),
            None => directory.ends_with(".dist") || directory.ends_with("/_internal"),
        };
        if is_python && is_frozen {
            frozen.insert(format!("{directory}/"));
        }
    }
    let published = published.into_iter().map(|directory| (RuntimeKind::DotNet, directory));
    published.chain(frozen.into_iter().map(|directory| (RuntimeKind::Python, directory))).collect()
}

/// The runtime that loads modules from this path, installed ones first, and whether it is installed.
pub fn of_module(
    path: &str,
    installed: &[(RuntimeKind, String)],
    homes: &[(RuntimeKind, String)],
) -> Option<(RuntimeKind, bool)> {
    let is_at_home =
        |kind: RuntimeKind| is_library(path) && homes.iter().any(|(own, home)| *own == kind && path.starts_with(home));
    let is_module = |row: &Runtime| (row.is_module)(path) || is_at_home(row.kind);
    let own = installed.iter().find(|(kind, _)| is_module(kind.row())).map(|(kind, _)| (*kind, true));
    own.or_else(|| RUNTIMES.iter().find(|row| is_module(row)).map(|row| (row.kind, false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_with_its_version() {
        for (name, host) in [
            ("python3.11", "python"),
            ("php-fpm8.2", "php-fpm"),
            ("ruby3.1", "ruby"),
            ("libpython3.11.so.1.0", "libpython"),
            ("libphp8.2.so", "libphp"),
            ("libjvm.so", "libjvm.so"),
            ("node", "node"),
        ] {
            assert!(is_named(name, host), "{name}");
        }
        for (name, host) in [("pythonw", "python"), ("nodejs", "node"), ("rubyfoo", "ruby"), ("perlbug", "perl")] {
            assert!(!is_named(name, host), "{name}");
        }
    }

    #[test]
    fn modules_are_in_their_runtimes_directories() {
        let check = |path: &str, expected: RuntimeKind| {
            assert_eq!(of_module(path, &[], &[]), Some((expected, false)), "{path}")
        };
        check("/usr/lib/python3/dist-packages/numpy.libs/libopenblas.so.0", RuntimeKind::Python);
        check("/opt/venv/lib/python3.12/site-packages/ruff/bin/ruff", RuntimeKind::Python);
        check("/app/speed.cpython-312-x86_64-linux-gnu.so", RuntimeKind::Python);
        check("/app/node_modules/better-sqlite3/build/Release/better_sqlite3.node", RuntimeKind::Node);
        check("/usr/lib/aarch64-linux-gnu/ruby/3.1.0/json/ext/parser.so", RuntimeKind::Ruby);
        check("/usr/local/lib/php/extensions/no-debug-non-zts-20220829/redis.so", RuntimeKind::Php);
        check("/usr/lib/aarch64-linux-gnu/jni/libsnappyjava.so", RuntimeKind::Java);
        check("/app/runtimes/linux-x64/native/libe_sqlite3.so", RuntimeKind::DotNet);
        check("/usr/lib/apache2/modules/mod_rewrite.so", RuntimeKind::Apache);
        check("/usr/local/bundle/extensions/aarch64-linux/3.3.0/bcrypt-3.1.20/bcrypt_ext.so", RuntimeKind::Ruby);
        check("/usr/local/openresty/lualib/cjson.so", RuntimeKind::Lua);
        check("/srv/renv/library/R-4.3/x86_64-pc-linux-gnu/rlang/libs/rlang.so", RuntimeKind::R);
        check("/w/.terraform/providers/r/h/null/3/linux_amd64/terraform-provider-null_v3", RuntimeKind::Terraform);
        check("/root/.julia/artifacts/0a1b/lib/libz.so.1", RuntimeKind::Julia);
        assert_eq!(of_module("/opt/tool/libtool.so", &[], &[]), None);
    }

    #[test]
    fn servers_end_where_a_configured_module_is_missing() {
        for (kind, expected) in [
            (RuntimeKind::Nginx, OnNamed::Ends),
            (RuntimeKind::Php, OnNamed::Lacks),
            (RuntimeKind::Python, OnNamed::NamesNone),
        ] {
            assert_eq!(kind.row().on_named, expected);
        }
    }

    #[test]
    fn a_runtime_in_any_directory_is_detected_by_its_library() {
        let homes = [(RuntimeKind::Java, "/opt/app/lib/".to_string()), (RuntimeKind::DotNet, "/srv/".to_string())];
        let of = |path: &str| of_module(path, &[(RuntimeKind::Java, "/opt/app/bin/java".to_string())], &homes);
        assert_eq!(of("/opt/app/lib/libnio.so"), Some((RuntimeKind::Java, true)));
        assert_eq!(of("/srv/libSystem.Native.so"), Some((RuntimeKind::DotNet, false)));
        assert_eq!((of("/opt/app/bin/java"), of("/opt/other/lib/libnio.so")), (None, None));
    }
}
