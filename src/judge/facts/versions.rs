//! Versions of the interfaces between runtimes and their native modules: those that an image's runtimes have, and the
//! one that a module is for. A runtime only looks for modules of its own version, or refuses others.

use std::collections::{BTreeMap, BTreeSet};

use crate::exec::kernel::access::config;
use crate::image::RootFs;
use crate::inspect::{Dynamic, FileKind, ModuleInterface, symbol_hash};
use crate::judge::facts::programs::{Fit, Programs};

/// Runtimes whose modules have a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Versioned {
    Node,
    Php,
    Ruby,
    Perl,
    Lua,
    Postgres,
    Nginx,
}

/// Major versions of Node.js and their NODE_MODULE_VERSION. Source: Node.js's doc/abi_version_registry.json.
const NODE: &[(u32, u32)] = &[
    (8, 57),
    (10, 64),
    (11, 67),
    (12, 72),
    (13, 79),
    (14, 83),
    (15, 88),
    (16, 93),
    (17, 102),
    (18, 108),
    (19, 111),
    (20, 115),
    (21, 120),
    (22, 127),
    (23, 131),
    (24, 137),
    (25, 141),
];

/// Versions of PHP and the dates of their module API. Source: PHP's Zend/zend_modules.h `ZEND_MODULE_API_NO`.
const PHP: &[(&str, &str)] = &[
    ("7.0", "20151012"),
    ("7.1", "20160303"),
    ("7.2", "20170718"),
    ("7.3", "20180731"),
    ("7.4", "20190902"),
    ("8.0", "20200930"),
    ("8.1", "20210902"),
    ("8.2", "20220829"),
    ("8.3", "20230831"),
    ("8.4", "20240924"),
    ("8.5", "20250925"),
];

/// The versions of an image's runtimes. A runtime of which one version is not known is left out.
#[derive(Debug, Default)]
pub struct RuntimeVersions(BTreeMap<Versioned, BTreeSet<String>>);

impl RuntimeVersions {
    pub fn from_rootfs(rootfs: &RootFs<FileKind>, programs: &Programs<'_>, env: &[String]) -> RuntimeVersions {
        let mut found = RuntimeVersions::default();
        let mut unknown = BTreeSet::new();
        let mut note = |runtime: Versioned, version: Option<String>| match version {
            Some(version) => _ = found.0.entry(runtime).or_default().insert(version),
            None => _ = unknown.insert(runtime),
        };
        for program in programs.runnable().filter(|program| program.fit <= Fit::Compat) {
            if matches!(program.name(), "nginx" | "openresty") && program.is_executable() {
                let version = match program.elf.interface {
                    Some(ModuleInterface::Nginx(version)) => Some(version.to_string()),
                    _ => None,
                };
                note(Versioned::Nginx, version);
            } else if let Some((runtime, version)) = of_host(program.name(), &program.path) {
                note(runtime, version);
            } else if let Some(version) = program.elf.dynamic.as_ref().and_then(|dynamic| embedded_lua(dynamic)) {
                note(Versioned::Lua, Some(version.to_string()));
            }
        }
        for view in rootfs.named(b"rbconfig.rb") {
            let path = String::from_utf8_lossy(&rootfs.path(view.id)).into_owned();
            note(Versioned::Ruby, ruby(&path));
        }
        for view in rootfs.named(b"node_version.h") {
            let path = String::from_utf8_lossy(&rootfs.path(view.id)).into_owned();
            let defined = config(rootfs, &path).and_then(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix("#define NODE_MODULE_VERSION "));
                line.map(|version| version.trim().to_string())
            });
            if defined.is_some() {
                note(Versioned::Node, defined);
            }
        }
        // Official images state the versions of their runtime, whose files do not.
        for line in env {
            let Some((key, value)) = line.split_once('=') else { continue };
            match key {
                "NODE_VERSION" => note(Versioned::Node, node_abi(value)),
                "PG_MAJOR" => note(Versioned::Postgres, is_number(value).then(|| value.to_string())),
                "PHP_VERSION" => note(Versioned::Php, php_api(value)),
                _ => {}
            }
        }
        // Editors and packages bring their own Node.js, whose version its files do not state.
        let is_node = |name: &str| matches!(name, "node" | "nodejs");
        let nodes = programs.runnable().filter(|program| is_node(program.name()) && program.is_executable()).count();
        if found.0.get(&Versioned::Node).is_some_and(|known| known.len() < nodes) {
            unknown.insert(Versioned::Node);
        }
        unknown.iter().for_each(|runtime| _ = found.0.remove(runtime));
        found
    }

    /// The versions of a runtime, if all are known and none of them is `wanted`.
    pub fn without(&self, runtime: Versioned, wanted: &str) -> Option<&BTreeSet<String>> {
        self.0.get(&runtime).filter(|own| !own.contains(wanted))
    }
}

impl Versioned {
    /// What a version of its interface is called.
    pub fn noun(self) -> &'static str {
        match self {
            Versioned::Node => "NODE_MODULE_VERSION",
            Versioned::Php => "PHP's module API",
            Versioned::Ruby => "Ruby",
            Versioned::Perl => "Perl",
            Versioned::Lua => "Lua",
            Versioned::Postgres => "PostgreSQL",
            Versioned::Nginx => "nginx",
        }
    }
}

/// The runtime that a file name is the name of, and its version if the name or the path states it.
fn of_host(name: &str, path: &str) -> Option<(Versioned, Option<String>)> {
    let of = |start: &str| name.strip_prefix(start);
    let found = |runtime, rest: &str| Some((runtime, two_numbers(rest)));
    match name {
        "postgres" => {
            let version = path.split("/postgresql/").nth(1)?.split('/').next()?;
            return Some((Versioned::Postgres, is_number(version).then(|| version.to_string())));
        }
        "lua" | "luac" => return Some((Versioned::Lua, None)),
        "bun" | "deno" | "electron" => return Some((Versioned::Node, None)),
        _ => {}
    }
    if let Some(rest) = of("libnode.so.") {
        return Some((Versioned::Node, is_number(rest).then(|| rest.to_string())));
    }
    if of("luajit").is_some() || of("libluajit").is_some() {
        return Some((Versioned::Lua, Some("5.1".to_string())));
    }
    if let Some(rest) = of("liblua5.").or_else(|| of("lua5.")) {
        let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
        return Some((Versioned::Lua, Some(format!("5.{minor}"))));
    }
    if let Some(rest) = of("libperl.so.").or_else(|| of("perl")).filter(|rest| rest.starts_with("5.")) {
        return found(Versioned::Perl, rest);
    }
    let php = ["php-fpm", "php-cgi", "libphp", "php"].iter().find_map(|start| of(start))?;
    let digits = php.split(".so").next().unwrap_or(php);
    match digits.len() {
        // `php82` of Alpine.
        2 if is_number(digits) => Some((Versioned::Php, php_api(&format!("{}.{}", &digits[..1], &digits[1..])))),
        3 if digits.contains('.') => Some((Versioned::Php, php_api(digits))),
        _ => None,
    }
}

/// The version of the Lua that a program contains, by the functions that it exports to modules. Each is new in its
/// version. Redis contains Lua without `require`, and so without modules. Source: the manuals of Lua 5.1 to 5.4, "The
/// Application Program Interface".
fn embedded_lua(dynamic: &Dynamic) -> Option<&'static str> {
    let symbols = dynamic.symbols.as_ref()?;
    let has = |name: &str| symbols.defined.binary_search(&symbol_hash(name.as_bytes())).is_ok();
    if !has("lua_pushcclosure") || !has("luaopen_package") {
        return None;
    }
    let newest = [("lua_newuserdatauv", "5.4"), ("lua_isinteger", "5.3"), ("lua_callk", "5.2")];
    Some(newest.iter().find(|(name, _)| has(name)).map_or("5.1", |(_, version)| version))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `5.36` of `5.36.0`.
fn two_numbers(text: &str) -> Option<String> {
    let mut parts = text.split(['.', '-']);
    let (major, minor) = (parts.next()?, parts.next()?);
    (is_number(major) && is_number(minor)).then(|| format!("{major}.{minor}"))
}

fn node_abi(version: &str) -> Option<String> {
    let major: u32 = version.trim_start_matches('v').split('.').next()?.parse().ok()?;
    NODE.iter().find(|(own, _)| *own == major).map(|(_, abi)| abi.to_string())
}

fn php_api(version: &str) -> Option<String> {
    let version = two_numbers(version)?;
    PHP.iter().find(|(own, _)| *own == version).map(|(_, api)| api.to_string())
}

/// The version of PHP with this module API.
pub fn php_of(api: &str) -> Option<&'static str> {
    PHP.iter().find(|(_, own)| *own == api).map(|(version, _)| *version)
}

/// The version of Node.js with this NODE_MODULE_VERSION.
pub fn node_of(abi: &str) -> Option<u32> {
    NODE.iter().find(|(_, own)| own.to_string() == abi).map(|(major, _)| *major)
}

/// nginx's version from its number: `1.22.1`.
pub fn nginx_of(number: &str) -> Option<String> {
    let number: u32 = number.parse().ok()?;
    Some(format!("nginx {}.{}.{}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000))
}

/// The version in a directory of Ruby's libraries or of gems: `/usr/lib/ruby/3.1.0/`.
fn ruby(path: &str) -> Option<String> {
    let mut parts = path.split('/').rev();
    parts.find_map(|part| {
        part.strip_suffix(".0").and_then(two_numbers).filter(|version| version.len() == part.len() - 2)
    })
}

/// The version that a module is for: by its own statement, else by the directories where only that version looks.
pub fn wanted(runtime: Versioned, path: &str, interface: Option<ModuleInterface>) -> Option<String> {
    match (runtime, interface) {
        (Versioned::Node, Some(ModuleInterface::Node(version))) => return Some(version.to_string()),
        (Versioned::Php, Some(ModuleInterface::Php { api, .. })) => return Some(api.to_string()),
        (Versioned::Postgres, Some(ModuleInterface::Postgres(version))) => return Some(version.to_string()),
        (Versioned::Nginx, Some(ModuleInterface::Nginx(version))) => return Some(version.to_string()),
        (Versioned::Perl, Some(ModuleInterface::Perl(minor))) => return Some(format!("5.{minor}")),
        _ => {}
    }
    let directories: Vec<&str> = path.rsplit_once('/').map_or("", |(directory, _)| directory).split('/').collect();
    let after = |names: &[&str], read: &dyn Fn(&str) -> Option<String>| {
        directories.windows(2).rev().find_map(|pair| read(pair[1]).filter(|_| names.contains(&pair[0])))
    };
    match runtime {
        Versioned::Node | Versioned::Nginx => None,
        Versioned::Php => directories.iter().rev().find_map(|directory| php_directory(directory)),
        Versioned::Ruby => {
            let release = |part: &str| part.strip_suffix(".0").and_then(two_numbers);
            // A precompiled gem has a directory of modules for each version: `nokogiri/3.1/nokogiri.so`.
            let own = directories.last().filter(|last| last.len() == 3 && path.contains("/gems/"));
            own.and_then(|last| two_numbers(last)).or_else(|| after(&["ruby", "gems"], &release)).or_else(|| {
                let at = directories.iter().rposition(|directory| *directory == "extensions")?;
                release(directories.get(at + 2)?)
            })
        }
        Versioned::Perl => {
            after(&["perl", "perl5"], &|part| two_numbers(part).filter(|version| version.starts_with("5.")))
        }
        Versioned::Lua => {
            after(&["lua"], &|part| Some(part.to_string()).filter(|part| part.starts_with("5.") && part.len() == 3))
        }
        Versioned::Postgres => after(&["postgresql"], &|part| is_number(part).then(|| part.to_string())),
    }
}

/// `20220829` and `no-debug-non-zts-20220829`: the directory of one module API. Source: PHP's configure.ac `extbasedir`.
fn php_directory(directory: &str) -> Option<String> {
    const DIGITS: usize = 8;
    let api = directory.rsplit('-').next()?;
    (api.len() == DIGITS && is_number(api) && api.starts_with("20")).then(|| api.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::Symbols;

    #[test]
    fn a_runtimes_version_is_read_from_its_files() {
        let host = |path: &str| {
            of_host(path.rsplit('/').next().unwrap(), path)
                .map(|(runtime, version)| (runtime, version.unwrap_or_default()))
        };
        for (path, runtime, version) in [
            ("/usr/lib/x86_64-linux-gnu/libnode.so.108", Versioned::Node, "108"),
            ("/usr/bin/php8.2", Versioned::Php, "20220829"),
            ("/usr/sbin/php-fpm82", Versioned::Php, "20220829"),
            ("/usr/lib/libphp8.3.so", Versioned::Php, "20230831"),
            ("/usr/bin/perl5.36.0", Versioned::Perl, "5.36"),
            ("/usr/lib/libperl.so.5.36.0", Versioned::Perl, "5.36"),
            ("/usr/bin/lua5.4", Versioned::Lua, "5.4"),
            ("/usr/local/openresty/luajit/bin/luajit-2.1", Versioned::Lua, "5.1"),
            ("/usr/bin/lua", Versioned::Lua, ""),
            ("/usr/lib/postgresql/15/bin/postgres", Versioned::Postgres, "15"),
        ] {
            assert_eq!(host(path), Some((runtime, version.to_string())), "{path}");
        }
        for path in ["/usr/bin/php", "/usr/bin/perl", "/usr/local/bin/postgres", "/usr/bin/phpize8.2", "/usr/bin/ls"] {
            assert_eq!(host(path), None, "{path}");
        }
        assert_eq!(node_abi("20.11.1").as_deref(), Some("115"));
        assert_eq!(ruby("/usr/lib/x86_64-linux-gnu/ruby/3.1.0/rbconfig.rb").as_deref(), Some("3.1"));
    }

    #[test]
    fn a_program_that_contains_lua_exports_its_functions() {
        let check = |names: &[&str], expected: Option<&str>| {
            let mut defined: Vec<u32> = names.iter().map(|name| symbol_hash(name.as_bytes())).collect();
            defined.sort_unstable();
            let symbols = Symbols { defined: defined.into(), ..Symbols::default() };
            let dynamic = Dynamic { symbols: Some(Box::new(symbols)), ..Dynamic::default() };
            assert_eq!(embedded_lua(&dynamic), expected, "{names:?}");
        };
        check(&["lua_pushcclosure", "luaopen_package", "luaJIT_setmode"], Some("5.1"));
        check(&["lua_pushcclosure", "luaopen_table"], None);
        let newest = ["lua_pushcclosure", "luaopen_package", "lua_callk", "lua_isinteger", "lua_newuserdatauv"];
        check(&newest, Some("5.4"));
        check(&newest[..4], Some("5.3"));
        check(&["lua_callk"], None);
    }

    #[test]
    fn the_version_of_a_module_is_in_its_path() {
        let of = |runtime, path: &str| wanted(runtime, path, None).unwrap_or_default();
        for (runtime, path, version) in [
            (Versioned::Php, "/usr/local/lib/php/extensions/no-debug-non-zts-20220829/redis.so", "20220829"),
            (Versioned::Php, "/usr/lib/php/20210902/redis.so", "20210902"),
            (Versioned::Php, "/usr/lib/php82/modules/redis.so", ""),
            (Versioned::Ruby, "/usr/local/bundle/extensions/x86_64-linux/3.1.0/bcrypt-3.1.20/bcrypt_ext.so", "3.1"),
            (Versioned::Ruby, "/srv/vendor/bundle/ruby/2.7.0/gems/a-3.1.0/lib/a.so", "2.7"),
            (
                Versioned::Ruby,
                "/usr/local/bundle/gems/nokogiri-1.16.2-x86_64-linux/lib/nokogiri/3.3/nokogiri.so",
                "3.3",
            ),
            (Versioned::Ruby, "/usr/local/bundle/gems/a-3.1.0/lib/a.so", ""),
            (Versioned::Perl, "/usr/local/lib/perl5/5.36.0/x86_64-linux-gnu/auto/A/A.so", "5.36"),
            (Versioned::Perl, "/root/perl5/lib/perl5/x86_64-linux-gnu/auto/A/A.so", ""),
            (Versioned::Lua, "/usr/local/lib/lua/5.1/cjson.so", "5.1"),
            (Versioned::Lua, "/usr/local/openresty/lualib/cjson.so", ""),
            (Versioned::Postgres, "/usr/lib/postgresql/16/lib/vector.so", "16"),
        ] {
            assert_eq!(of(runtime, path), version, "{path}");
        }
    }
}
