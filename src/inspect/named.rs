//! Files whose meaning depends on their path: files that affect loading and users, and platform information of
//! packages. Paths are relative to the root and have no leading slash.

use serde::Deserialize;

use super::kind::NpmPackage;

/// Bytes of a `package.json` to read. npm's own files have a few KiB.
pub const PACKAGE_JSON_BYTES: u64 = 256 << 10;
/// Bytes of a `WHEEL` file to read. It has about ten lines.
pub const WHEEL_BYTES: u64 = 64 << 10;
/// Maximum number of scripts to keep from one project, and maximum bytes of their names and texts.
const SCRIPTS: usize = 256;
const SCRIPTS_BYTES: usize = 16 << 10;
/// Maximum number of tags to keep from one wheel.
const TAGS: usize = 256;

/// Files that name the distribution, that loaders use to find libraries, or that runtimes use to find users.
pub fn is_config_path(path: &[u8]) -> bool {
    match path {
        b"etc/passwd" | b"etc/group" | b"etc/os-release" | b"usr/lib/os-release" | b"etc/ld.so.conf" => true,
        b"etc/ld.so.preload" | b"etc/nsswitch.conf" => true,
        _ if path.ends_with(b"/include/node/node_version.h") => true,
        _ => {
            let is_in = |dir: &[u8], suffix: &[u8]| {
                path.strip_prefix(dir).is_some_and(|name| name.ends_with(suffix) && !name.contains(&b'/'))
            };
            is_in(b"etc/ld.so.conf.d/", b".conf") || is_in(b"etc/ld-musl-", b".path")
        }
    }
}

/// Shell commands that shells and other scripts source: `lib.sh`, `app.env`, `.profile`.
pub fn is_commands_path(path: &[u8]) -> bool {
    is_commands_extension(extension(path))
}

fn is_commands_extension(extension: &[u8]) -> bool {
    matches!(
        extension,
        b".sh"
            | b".bash"
            | b".ash"
            | b".envsh"
            | b".env"
            | b".profile"
            | b".bash_profile"
            | b".bash_login"
            | b".bashrc"
    )
}

/// What follows the last dot of a file name, with the dot; empty without a dot. Most names have none of the extensions
/// that matter, and one match finds that out faster than a comparison with each.
#[inline]
pub fn extension(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| matches!(byte, b'.' | b'/')) {
        Some(at) if path[at] == b'.' => &path[at..],
        _ => b"",
    }
}

/// Whether a file is in a directory with one of these names, at any depth.
#[inline]
pub fn is_in_any(path: &[u8], names: &[&[u8]]) -> bool {
    let mut start = 0;
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').any(|(end, _)| {
        let part = &path[start..end];
        start = end + 1;
        names.iter().any(|name| name.len() == part.len() && *name == part)
    })
}

/// Text that starts programs: shell scripts without a first line, and the configuration of supervisors.
pub fn is_followed_path(path: &[u8], is_executable: bool) -> bool {
    let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&b""[..], path),
    };
    let extension = extension(name);
    let is_unit = || match extension {
        b".service" | b".timer" | b".socket" | b".path" | b".target" => true,
        b".conf" => directory.ends_with(b".service.d"),
        _ => false,
    };
    let is_program = || {
        let is_bin = directory.ends_with(b"bin") || !directory.contains(&b'/');
        is_executable && is_bin && !name.contains(&b'.')
    };
    if is_commands_extension(extension)
        || is_program()
        || extension == b".json" && name.ends_with(b".runtimeconfig.json")
    {
        return true;
    }
    let is_of_services = match path {
        [b'e', b't', b'c', b'/', rest @ ..] => {
            let is_in = |start: &[u8]| rest.starts_with(start);
            let directories: [&[u8]; 13] = [
                b"s6",
                b"services.d/",
                b"service/",
                b"sv/",
                b"runit/",
                b"cont-init.d/",
                b"cron",
                b"supervisor",
                b"monit",
                b"init.d/",
                b"runlevels/",
                b"default/",
                b"conf.d/",
            ];
            matches!(rest, b"profile" | b"bash.bashrc" | b"environment" | b"sudoers")
                || is_in(b"sudoers.d/")
                || directories.into_iter().any(is_in)
                || is_in(b"systemd/system/") && is_unit()
        }
        [b'v', b'a', b'r', b'/', rest @ ..] => rest.starts_with(b"spool/cron/") || rest.starts_with(b"service/"),
        _ => path.starts_with(b"service/"),
    };
    if is_of_services {
        return true;
    }
    if is_unit() {
        return path.starts_with(b"usr/lib/systemd/system/") || path.starts_with(b"lib/systemd/system/");
    }
    let is_named = matches!(
        name,
        b"inittab"
            | b"anacrontab"
            | b"crontab"
            | b"monitrc"
            // Variables of the processes in a Procfile.
            | b".env"
            // The version of an OTP release, which the start script of the release reads.
            | b"start_erl.data"
            | b"supervisord.conf"
            | b"supervisor.conf"
            | b"ecosystem.config.js"
            | b"ecosystem.config.cjs"
            | b"ecosystem.json"
            | b"pm2.config.js"
            | b"process.json"
    );
    let is_supervisors = |text: &[u8]| text.windows(10).any(|part| part == b"supervisor");
    let is_settings = matches!(extension, b".conf" | b".ini");
    is_named || name.starts_with(b"Procfile") || is_settings && is_supervisors(path)
}

/// Whether a text of any name starts services, by the text at its start: supervisord's, monit's and PM2's settings, and
/// tables of cron.
pub fn is_services_text(path: &[u8], head: &[u8]) -> bool {
    let has = |part: &[u8]| head.windows(part.len()).any(|window| window == part);
    // Packages' own files of these kinds are samples.
    let is_own = || !path.starts_with(b"usr/share/") && !is_in_any(path, &[b"node_modules"]);
    match extension(path) {
        b".conf" | b".ini" | b".cfg" | b".rc" | b".monit" | b"" if is_own() => {
            let parts: [&[u8]; 6] = [
                b"[program:",
                b"[supervisord]",
                b"[eventlistener:",
                b"check process ",
                b"check program ",
                b"set daemon ",
            ];
            parts.into_iter().any(has) || is_cron_table(head)
        }
        b".cron" | b".crontab" | b".txt" | b".tab" => is_own() && is_cron_table(head),
        b".js" | b".cjs" | b".mjs" | b".json" | b".yml" | b".yaml" => {
            head.len() < PM2_BYTES && is_own() && has(b"apps") && has(b"script")
        }
        _ => false,
    }
}

/// PM2's files are small, and programs of JavaScript are not.
const PM2_BYTES: usize = 4 << 10;

/// Whether a line starts with five fields of cron, two of them stars next to each other, or with `@daily` or similar.
fn is_cron_table(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').take(64).any(|line| {
        let mut fields = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|field| !field.is_empty());
        let first = fields.next().unwrap_or_default();
        if [b"@daily".as_slice(), b"@hourly", b"@reboot", b"@weekly", b"@monthly"].contains(&first) {
            return fields.next().is_some();
        }
        let fields: Vec<&[u8]> = std::iter::once(first).chain(fields).take(6).collect();
        let is_field = |field: &&[u8]| {
            !field.is_empty()
                && field.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'/' | b',' | b'-'))
        };
        let stars = fields.iter().take(5).filter(|field| **field == b"*").count();
        fields.len() == 6 && fields.iter().take(5).all(is_field) && stars >= 2
    })
}

/// `NAME.dist-info/WHEEL` of an installed package.
pub fn is_wheel_path(path: &[u8]) -> bool {
    path.ends_with(b".dist-info/WHEEL")
}

/// `node_modules/NAME/package.json` or `node_modules/@SCOPE/NAME/package.json`, at any depth.
pub fn is_npm_path(path: &[u8]) -> bool {
    let Some(dir) = path.strip_suffix(b"/package.json") else { return false };
    let mut parts = dir.rsplit(|byte| *byte == b'/').skip(1);
    match parts.next() {
        Some(b"node_modules") => true,
        Some(scope) if scope.starts_with(b"@") => parts.next() == Some(b"node_modules"),
        _ => false,
    }
}

/// The `package.json` of a project itself, not of an installed package.
pub fn is_project_path(path: &[u8]) -> bool {
    let is_named = path == b"package.json" || path.ends_with(b"/package.json");
    is_named && !is_in_any(path, &[b"node_modules"]) && !path.starts_with(b"usr/share/")
}

/// Reads the scripts in a project's `package.json`. `None` if there are none or too many to keep.
pub fn npm_project(text: &[u8]) -> Option<NpmPackage> {
    let wire: PackageScripts = serde_json::from_slice(text).ok()?;
    let scripts: Vec<(String, String)> =
        wire.scripts.into_iter().filter_map(|(name, text)| Some((name, text.as_str()?.to_string()))).collect();
    let bytes: usize = scripts.iter().map(|(name, text)| name.len() + text.len()).sum();
    let soft: Vec<String> = wire.optional_dependencies.into_keys().collect();
    let is_kept = !(scripts.is_empty() && soft.is_empty()) && scripts.len() <= SCRIPTS && bytes <= SCRIPTS_BYTES;
    is_kept.then(|| NpmPackage { name: wire.name.unwrap_or_default(), soft, scripts, ..NpmPackage::default() })
}

/// The `Tag:` values of a WHEEL file. Source: the Python binary distribution format (PEP 427).
pub fn wheel_tags(text: &[u8]) -> Vec<String> {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"Tag:"));
    lines.take(TAGS).map(|tag| String::from_utf8_lossy(tag.trim_ascii()).into_owned()).collect()
}

/// Reads a package's platform information. `None` if it has none or the JSON is invalid.
pub fn npm_package(text: &[u8]) -> Option<NpmPackage> {
    // Most packages have no platform information, and searching for these words is cheaper than parsing JSON.
    let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    if !has(b"\"os\"") && !has(b"\"cpu\"") && !has(b"\"libc\"") && !has(b"\"optionalDependencies\"") {
        return None;
    }
    let wire: PackageJson = serde_json::from_slice(text).ok()?;
    let strings = |value: Option<OneOrMany>| match value {
        None => Vec::new(),
        Some(OneOrMany::One(text)) => vec![text],
        Some(OneOrMany::Many(texts)) => texts,
    };
    let (optional, soft) = wire.optional_dependencies.into_keys().partition(|name| names_platform(name));
    let package = NpmPackage {
        name: wire.name.unwrap_or_default(),
        os: strings(wire.os),
        cpu: strings(wire.cpu),
        libc: strings(wire.libc),
        optional,
        soft,
        bin: match wire.bin {
            Some(Bin::One(path)) => Some(path),
            Some(Bin::Named(paths)) => paths.into_values().next(),
            None => None,
        },
        scripts: Vec::new(),
    };
    let has_platform = [&package.os, &package.cpu, &package.libc, &package.optional, &package.soft]
        .iter()
        .any(|list| !list.is_empty());
    has_platform.then_some(package)
}

/// Whether a package's name contains a platform, as in packages of napi and esbuild: `@esbuild/linux-x64`,
/// `x-darwin-arm64`.
fn names_platform(name: &str) -> bool {
    let mut words = name.rsplit(['/', '-', '.', '_']);
    let systems =
        ["linux", "linuxmusl", "darwin", "win32", "windows", "freebsd", "android", "openbsd", "sunos", "wasm32"];
    words.any(|word| systems.contains(&word))
}

#[derive(Deserialize)]
struct PackageJson {
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    os: Option<OneOrMany>,
    #[serde(default, deserialize_with = "lenient")]
    cpu: Option<OneOrMany>,
    #[serde(default, deserialize_with = "lenient")]
    libc: Option<OneOrMany>,
    #[serde(default, rename = "optionalDependencies", deserialize_with = "lenient")]
    optional_dependencies: std::collections::BTreeMap<String, serde_json::Value>,
    #[serde(default, deserialize_with = "lenient")]
    bin: Option<Bin>,
}

/// Source: npm's package.json(5), "scripts".
#[derive(Deserialize)]
struct PackageScripts {
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    scripts: std::collections::BTreeMap<String, serde_json::Value>,
    #[serde(default, rename = "optionalDependencies", deserialize_with = "lenient")]
    optional_dependencies: std::collections::BTreeMap<String, serde_json::Value>,
}

/// Source: npm's package.json(5), "bin".
#[derive(Deserialize)]
#[serde(untagged)]
enum Bin {
    One(String),
    Named(std::collections::BTreeMap<String, String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Treats a field with an unexpected type like a missing field.
fn lenient<'de, D: serde::Deserializer<'de>, T: serde::de::DeserializeOwned + Default>(from: D) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// The programs of GCC that compile a language, which only its drivers start. Source: GCC's `COMPILER_NAMES`.
const GCC_COMPILERS: &[&[u8]] =
    &[b"cc1", b"cc1plus", b"cc1obj", b"cc1objplus", b"d21", b"f951", b"gnat1", b"go1", b"lto1"];

/// Whether a path is that of one of GCC's compilers, or of its `lto-dump`, which contains one.
pub(crate) fn is_gcc_compiler(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let is_in_gcc = || is_in_any(path, &[b"gcc"]);
    let dump = b"lto-dump";
    GCC_COMPILERS.contains(&name) && is_in_gcc() || name.windows(dump.len()).any(|part| part == dump)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compilers_of_gcc_are_recognised_by_their_names() {
        for path in ["usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", "usr/libexec/gcc/x86_64-redhat-linux/14/lto1"] {
            assert!(is_gcc_compiler(path.as_bytes()), "{path}");
        }
        assert!(is_gcc_compiler(b"usr/bin/x86_64-linux-gnu-lto-dump-12"));
        for path in ["usr/lib/gcc/x86_64-pc-linux-gnu/13/libstdc++.so.6", "opt/app/cc1", "usr/bin/gcc-12"] {
            assert!(!is_gcc_compiler(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn only_files_that_affect_loading_and_users_are_kept_whole() {
        for path in ["etc/passwd", "etc/ld.so.conf", "etc/ld.so.conf.d/libc.conf", "etc/ld-musl-x86_64.path"] {
            assert!(is_config_path(path.as_bytes()), "{path}");
        }
        for path in ["etc/passwd-", "opt/etc/passwd", "etc/ld.so.cache", "etc/ld.so.conf.d/x/y.conf", "etc/shadow"] {
            assert!(!is_config_path(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_package_is_directly_in_node_modules() {
        for path in ["node_modules/a/package.json", "app/node_modules/@s/a/package.json"] {
            assert!(is_npm_path(path.as_bytes()), "{path}");
        }
        for path in
            ["package.json", "node_modules/a/dist/package.json", "node_modules/a/package.jsonx", "a/package.json"]
        {
            assert!(!is_npm_path(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn scripts_of_a_project_are_read() {
        for path in ["package.json", "srv/app/package.json"] {
            assert!(is_project_path(path.as_bytes()), "{path}");
        }
        for path in
            ["srv/node_modules/a/package.json", "srv/node_modules/a/dist/package.json", "usr/share/a/package.json"]
        {
            assert!(!is_project_path(path.as_bytes()), "{path}");
        }
        let project = npm_project(br#"{"name":"app","scripts":{"start":"node server.js","odd":1}}"#).unwrap();
        assert_eq!(project.scripts, [("start".to_string(), "node server.js".to_string())]);
        assert_eq!(npm_project(br#"{"name":"app"}"#), None);
        assert_eq!(npm_project(format!("{{\"scripts\":{{\"a\":\"{}\"}}}}", "x".repeat(20_000)).as_bytes()), None);
    }

    #[test]
    fn tags_of_a_wheel_are_read() {
        let text =
            b"Wheel-Version: 1.0\nTag: cp312-cp312-manylinux_2_17_x86_64\r\nTag: cp312-cp312-manylinux2014_x86_64\n";
        assert_eq!(wheel_tags(text), ["cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-manylinux2014_x86_64"]);
    }

    #[test]
    fn npm_platform_fields_are_read_in_any_shape() {
        let package = npm_package(br#"{"name":"@esbuild/linux-x64","os":["linux"],"cpu":"x64","libc":3}"#).unwrap();
        let expected = NpmPackage {
            name: "@esbuild/linux-x64".into(),
            os: vec!["linux".into()],
            cpu: vec!["x64".into()],
            ..NpmPackage::default()
        };
        assert_eq!(package, expected);
        let text = br#"{"name":"esbuild","optionalDependencies":{"@esbuild/linux-x64":"1","fsevents":"2","x-win32-arm64-msvc":"1"}}"#;
        let package = npm_package(text).unwrap();
        assert_eq!(package.optional, ["@esbuild/linux-x64", "x-win32-arm64-msvc"]);
        assert_eq!(package.soft, ["fsevents"]);
    }

    #[test]
    fn a_package_without_a_platform_is_skipped() {
        assert_eq!(npm_package(br#"{"name":"left-pad","dependencies":{}}"#), None);
        assert_eq!(npm_package(br#"{"name":"x","optionalDependencies":{}}"#), None);
        assert_eq!(npm_package(br#"{"os": ["linux"#), None);
    }
}
