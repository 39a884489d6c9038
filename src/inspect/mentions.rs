//! Finds programs and libraries in configuration text: absolute paths, and file names of shared libraries. Only these
//! names and their lines are kept, so that the configuration of an image costs a few KiB.

use super::kind::{Load, Mention};
use super::named::{extension, is_in_any};
use super::servers;

/// Bytes of a configuration text to read.
pub const MENTION_BYTES: u64 = 64 << 10;
/// Maximum number of names to keep from one text.
const MENTIONS: usize = 64;
/// Maximum length of a name in bytes.
const NAME_BYTES: usize = 512;
/// Longer lines are treated as data.
const LINE_BYTES: usize = 4096;

/// Caches that list plugins by path. Source: gdk-pixbuf-query-loaders(1), gtk-query-immodules-3.0(1).
const CACHES: [&[u8]; 3] = [b"/loaders.cache", b"/immodules.cache", b"/giomodule.cache"];
/// Text below `usr/share` is data, except in these directories,
const SHARED: [&[u8]; 8] =
    [b"vulkan/", b"glvnd/", b"OpenCL/", b"applications/", b"php/", b"nginx/", b"p11-kit/modules/", b"dbus-1/"];
/// and in these of a program that is installed there, such as Elasticsearch.
const SHARED_CONFIG: [&[u8]; 2] = [b"/config/", b"/conf/"];
/// Directories whose text describes packages and does not configure the system.
const PACKAGED: [&[u8]; 5] = [b"node_modules", b"site-packages", b"dist-packages", b"gems", b".git"];
/// Directories of data whose text does not configure programs.
const DATA: [&[u8]; 8] = [
    b"etc/ssl/certs/",
    b"etc/ssl/private/",
    b"etc/fonts/",
    b"etc/ca-certificates",
    b"usr/include/",
    b"usr/src/",
    b"var/lib/dpkg/",
    b"var/lib/apt/",
];
/// Lists of plug-ins whose readers print a message and continue without those that cannot be loaded: gdk-pixbuf, GTK,
/// GIO, glibc's NSS, Vulkan's layers and p11-kit.
/// Source: gdk-pixbuf-io.c, gtkimmodule.c, giomodule.c, glibc's nss/nss_module.c, Vulkan-Loader's LoaderLayerInterface.md,
/// pkcs11.conf(5) `critical`.
const OPTIONAL: [&[u8]; 8] = [
    b"/loaders.cache",
    b"/immodules.cache",
    b"/giomodule.cache",
    b"/nsswitch.conf",
    b"/vulkan/implicit_layer.d/",
    b"/vulkan/explicit_layer.d/",
    b"/p11-kit/modules/",
    b"/pkcs11/modules/",
];

/// Directories that never contain programs or libraries.
const ELSEWHERE: [&str; 7] = ["/proc/", "/sys/", "/dev/", "/run/", "/tmp/", "/var/log/", "/var/run/"];

/// Whether the text at `path` may name programs or libraries. `path` is relative to the root and has no leading slash.
pub fn is_mention_path(path: &[u8]) -> bool {
    let is_in = |place: &[u8]| path.starts_with(place);
    let is_settings = match extension(path) {
        b".conf" | b".ini" | b".cfg" | b".cnf" | b".json" | b".toml" | b".yaml" | b".yml" | b".service"
        | b".properties" | b".desktop" | b".icd" | b".module" => true,
        b".cache" => CACHES.iter().any(|end| path.ends_with(end)),
        _ => false,
    };
    if !is_settings && !is_in(b"etc/") {
        return false;
    }
    if let Some(rest) = path.strip_prefix(b"usr/share/") {
        let has = |place: &&[u8]| rest.windows(place.len()).any(|part| part == *place);
        return SHARED.iter().any(|place| rest.starts_with(place)) || SHARED_CONFIG.iter().any(has);
    }
    let is_data = DATA.iter().any(|place| is_in(place));
    !is_data && !is_in_any(path, &PACKAGED)
}

/// Returns the programs and libraries that the text at `path` names, with line numbers from 1. Comment lines are
/// skipped.
pub fn mentions(path: &[u8], text: &[u8]) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    if text.contains(&0) {
        return found;
    }
    // Conditional sections of httpd: <IfModule>, <IfDefine>, <IfVersion>.
    let mut conditions = 0_usize;
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        conditions += usize::from(line.starts_with(b"<If"));
        conditions -= usize::from(line.starts_with(b"</If")).min(conditions);
        if line.len() > LINE_BYTES || matches!(line, [] | [b'#' | b';', ..] | [b'/', b'/', ..]) {
            continue;
        }
        for name in names(line).into_iter().chain(keyed(path, line)) {
            if found.len() == MENTIONS {
                return found;
            }
            if found.iter().all(|known| known.name != name) {
                let load = match () {
                    () if conditions == 0 && name.ends_with(".so") && is_load(line) => Load::AtStart,
                    () if is_optional(path, line) => Load::Optional,
                    () => Load::WhenUsed,
                };
                found.push(Mention { line: number, load, name });
            }
        }
    }
    found
}

/// Returns the absolute paths and the file names of shared libraries in a single line.
pub fn names(line: &[u8]) -> Vec<String> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@~".contains(&byte) || byte >= 0x80;
    let words = line.split(|byte| !is_word(*byte));
    let named = words.filter_map(|word| {
        let text = std::str::from_utf8(word).ok()?.trim_end_matches(['.', '/']);
        let is_path =
            text.starts_with('/') && !text.starts_with("//") && !ELSEWHERE.iter().any(|place| text.starts_with(place));
        let is_library = !text.contains('/') && (text.ends_with(".so") || text.contains(".so."));
        ((is_path || is_library) && text.len() > 1 && text.len() <= NAME_BYTES).then(|| text.to_string())
    });
    named.collect()
}

/// Whether the line makes nginx, httpd, PostgreSQL, Redis or PHP load modules at start. Source: nginx's load_module,
/// httpd's LoadModule, PostgreSQL's "Shared Library Preloading", Redis's loadmodule, PHP's extension.
fn is_load(line: &[u8]) -> bool {
    let words: [&[u8]; 6] =
        [b"load_module", b"LoadModule", b"shared_preload_libraries", b"loadmodule", b"extension", b"zend_extension"];
    let ends = |rest: &[u8]| rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'=');
    words.iter().any(|word| line.strip_prefix(*word).is_some_and(ends))
}

/// Whether the reader of the text continues without what the line names.
fn is_optional(path: &[u8], line: &[u8]) -> bool {
    let contains = |place: &&[u8]| path.windows(place.len()).any(|part| part == *place);
    if contains(&b"pam.d/".as_slice()) {
        // A module that cannot be loaded fails its line, with a leading `-` too. Seen with Linux-PAM 1.5.2.
        return line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(1) == Some(b"optional");
    }
    // MariaDB prints `Couldn't load plugins` and continues. Seen with MariaDB 10.11.
    line.starts_with(b"plugin-load")
        || line.starts_with(b"plugin_load")
        || OPTIONAL.iter().any(contains)
        || servers::is_optional(path, line)
}

/// Returns libraries that known formats name without a directory or file extension.
fn keyed(path: &[u8], line: &[u8]) -> Vec<String> {
    let Ok(line) = std::str::from_utf8(line) else { return Vec::new() };
    if path.ends_with(b"/nsswitch.conf") {
        // Source: nsswitch.conf(5): `hosts: files dns [NOTFOUND=return]`.
        let Some((_, services)) = line.split_once(':') else { return Vec::new() };
        let is_service = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let words = services.split('#').next().unwrap_or_default().split_ascii_whitespace();
        return words.filter(is_service).map(|service| format!("libnss_{service}.so.2")).collect();
    }
    let own = servers::modules(path, line);
    if !own.is_empty() {
        return own;
    }
    // Source: nginx's load_module, httpd's LoadModule: the path is relative to the server's directory.
    let mut words = line.split_ascii_whitespace();
    let module = match words.next() {
        Some("load_module") => words.next(),
        Some("LoadModule") => words.nth(1),
        _ => None,
    };
    if let Some(module) = module.map(|word| word.trim_matches(['"', '\'', ';'])) {
        let name = module.rsplit('/').next().filter(|name| !module.starts_with('/') && name.ends_with(".so"));
        return name.map(str::to_string).into_iter().collect();
    }
    let Some((key, value)) = line.split_once('=') else { return Vec::new() };
    let value = value.trim().trim_matches(['"', '\'']);
    let libraries = |values: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let plain = values.map(|value| value.trim().trim_start_matches("$libdir/"));
        plain
            .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)))
            .map(|name| format!("{name}.so"))
            .collect()
    };
    match key.trim() {
        // Source: php.ini, "Dynamic Extensions". Since PHP 7.2 the extension may be omitted.
        "extension" | "zend_extension" if path.ends_with(b".ini") => libraries(&mut std::iter::once(value)),
        // Source: PostgreSQL, "Shared Library Preloading".
        "shared_preload_libraries" | "session_preload_libraries" | "local_preload_libraries" => {
            libraries(&mut value.split('#').next().unwrap_or_default().trim_matches([' ', '\'']).split(','))
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str, text: &str) -> Vec<(u32, String)> {
        mentions(path.as_bytes(), text.as_bytes()).into_iter().map(|mention| (mention.line, mention.name)).collect()
    }

    #[test]
    fn paths_and_libraries_are_found_with_their_lines() {
        let text = "[FreeTDS]\n# Driver = /opt/old.so\nDriver = /opt/tds/libtdsodbc.so\nSetup=libtdsS.so\nURL=https://a.b/c.so\n";
        let expected = [(3, "/opt/tds/libtdsodbc.so".to_string()), (4, "libtdsS.so".to_string())];
        assert_eq!(named("etc/odbcinst.ini", text), expected);
        let json = "{\"ICD\": {\"library_path\": \"/usr/lib/libvk.so.1\", \"x\": \"-javaagent:/opt/a.jar=b\"}}";
        let names: Vec<String> =
            named("usr/share/vulkan/icd.d/a.json", json).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["/usr/lib/libvk.so.1", "/opt/a.jar"]);
    }

    #[test]
    fn known_formats_name_libraries_without_their_extension() {
        assert_eq!(named("etc/php/8.2/cli/conf.d/20-redis.ini", "extension=redis\n"), [(1, "redis.so".to_string())]);
        let postgres = "shared_preload_libraries = 'pg_cron, timescaledb'  # (change requires restart)\n";
        assert_eq!(
            named("etc/postgresql/postgresql.conf", postgres),
            [(1, "pg_cron.so".to_string()), (1, "timescaledb.so".to_string())]
        );
        let nginx = "load_module \"modules/ngx_a.so\";\nload_module /opt/ngx_b.so;\n";
        let expected = [(1, "ngx_a.so".to_string()), (2, "/opt/ngx_b.so".to_string())];
        assert_eq!(named("etc/nginx/nginx.conf", nginx), expected);
        let httpd = "LoadModule a_module modules/mod_a.so\n";
        assert_eq!(named("etc/apache2/mods-available/a.load", httpd), [(1, "mod_a.so".to_string())]);
        let loaded = |text: &str| {
            mentions(b"etc/nginx/nginx.conf", text.as_bytes()).iter().any(|mention| mention.load == Load::AtStart)
        };
        assert!(loaded("load_module /opt/a.so;\n") && loaded("LoadModule a modules/a.so\n"));
        assert!(!loaded("<IfModule !prefork.c>\n  LoadModule a modules/a.so\n</IfModule>\n"));
        assert!(loaded("<IfModule x>\n</IfModule>\nLoadModule a modules/a.so\n"));
        assert!(!loaded("load_modules_x /opt/a.so;\n") && !loaded("ssl_engine /opt/a.so;\n"));
        let nss = "passwd: files\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n";
        let names: Vec<String> = named("etc/nsswitch.conf", nss).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["libnss_files.so.2", "libnss_mdns4_minimal.so.2", "libnss_dns.so.2"]);
    }

    #[test]
    fn plug_ins_that_a_program_does_without_are_optional() {
        let optional = |path: &str, text: &str| -> Vec<bool> {
            let found = mentions(path.as_bytes(), text.as_bytes());
            found.into_iter().map(|mention| mention.load == Load::Optional).collect()
        };
        let pam =
            "auth required pam_a.so\nauth sufficient pam_b.so\n-session required pam_c.so\nsession optional pam_d.so\n";
        assert_eq!(optional("etc/pam.d/su", pam), [false, false, false, true]);
        assert_eq!(optional("etc/nsswitch.conf", "hosts: files\n"), [true]);
        assert_eq!(optional("usr/lib/x/gdk-pixbuf-2.0/2.10.0/loaders.cache", "\"/usr/lib/x/a.so\"\n"), [true]);
        assert_eq!(optional("etc/vulkan/icd.d/a.json", "{\"library_path\": \"/opt/a.so\"}\n"), [false]);
        assert_eq!(optional("etc/odbcinst.ini", "Driver=/opt/a.so\n"), [false]);
        assert_eq!(optional("usr/share/p11-kit/modules/a.module", "module: /opt/a.so\n"), [true]);
    }

    #[test]
    fn text_of_packages_and_data_is_not_configuration() {
        for path in [
            "etc/odbcinst.ini",
            "etc/pam.d/login",
            "srv/app.json",
            "usr/lib/systemd/system/a.service",
            "etc/ssl/openssl.cnf",
            "usr/share/p11-kit/modules/a.module",
            "usr/share/dbus-1/system-services/a.service",
            "usr/share/elasticsearch/config/elasticsearch.yml",
        ] {
            assert!(is_mention_path(path.as_bytes()), "{path}");
        }
        for path in
            ["srv/node_modules/a/x.json", "usr/share/doc/a.conf", "etc/ssl/certs/a.cnf", "srv/a.txt", "usr/src/a.conf"]
        {
            assert!(!is_mention_path(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_text_names_a_bounded_number_of_files() {
        let text: String = (0..1000).map(|number| format!("/opt/p{number}\n")).collect();
        assert_eq!(named("etc/a.conf", &text).len(), MENTIONS);
        assert_eq!(named("etc/a.conf", "/opt/a\0/opt/b"), []);
    }
}
