//! Programs and libraries that configuration texts name: absolute paths, and file names of shared libraries. Only what
//! names them is kept, with its line, so that a tree's configuration costs some KiB.

use super::kind::Mention;

/// Bytes of a configuration text that are read.
pub const MENTION_BYTES: u64 = 64 << 10;
/// Names that are kept of one text.
const MENTIONS: usize = 64;
/// Bytes of one name.
const NAME_BYTES: usize = 512;
/// Lines longer than this are data.
const LINE_BYTES: usize = 4096;

/// Ends of names of texts that configure something.
const ENDS: [&[u8]; 12] = [
    b".conf",
    b".ini",
    b".cfg",
    b".cnf",
    b".json",
    b".toml",
    b".yaml",
    b".yml",
    b".service",
    b".properties",
    b".desktop",
    b".icd",
];
/// Caches that list plugins by their paths. Source: gdk-pixbuf-query-loaders(1), gtk-query-immodules-3.0(1).
const CACHES: [&[u8]; 3] = [b"/loaders.cache", b"/immodules.cache", b"/giomodule.cache"];
/// Below `usr/share`, texts are data of programs, except these.
const SHARED: [&[u8]; 6] = [b"vulkan/", b"glvnd/", b"OpenCL/", b"applications/", b"php/", b"nginx/"];
/// Trees whose texts describe packages and do not configure the system.
const PACKAGED: [&[u8]; 5] = [b"/node_modules/", b"/site-packages/", b"/dist-packages/", b"/gems/", b"/.git/"];
/// Trees of data in which texts configure no program.
const DATA: [&[u8]; 7] = [
    b"etc/ssl/",
    b"etc/fonts/",
    b"etc/ca-certificates",
    b"usr/include/",
    b"usr/src/",
    b"var/lib/dpkg/",
    b"var/lib/apt/",
];
/// Directories whose files are never programs or libraries.
const ELSEWHERE: [&str; 7] = ["/proc/", "/sys/", "/dev/", "/run/", "/tmp/", "/var/log/", "/var/run/"];

/// Whether the text at `path`, which is below the root without a leading slash, may name programs or libraries.
pub fn is_mention_path(path: &[u8]) -> bool {
    let is_in = |place: &[u8]| path.starts_with(place);
    if !is_in(b"etc/") && !ENDS.iter().chain(&CACHES).any(|end| path.ends_with(end)) {
        return false;
    }
    if let Some(rest) = path.strip_prefix(b"usr/share/") {
        return SHARED.iter().any(|place| rest.starts_with(place));
    }
    let is_data = DATA.iter().any(|place| is_in(place));
    !is_data && !PACKAGED.iter().any(|place| path.windows(place.len()).any(|part| part == *place))
}

/// What the text at `path` names. Lines count from 1; lines that are comments name nothing.
pub fn mentions(path: &[u8], text: &[u8]) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    if text.contains(&0) {
        return found;
    }
    // httpd's sections that count under a condition: <IfModule>, <IfDefine>, <IfVersion>.
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
                let is_loaded = conditions == 0 && name.ends_with(".so") && is_load(line);
                found.push(Mention { line: number, is_loaded, name });
            }
        }
    }
    found
}

/// Absolute paths and file names of shared libraries in a text without line breaks.
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

/// Whether a line makes nginx, httpd or PostgreSQL load modules at start. Source: nginx's load_module, httpd's
/// LoadModule, PostgreSQL's "Shared Library Preloading".
fn is_load(line: &[u8]) -> bool {
    let words: [&[u8]; 3] = [b"load_module", b"LoadModule", b"shared_preload_libraries"];
    let ends = |rest: &[u8]| rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'=');
    words.iter().any(|word| line.strip_prefix(*word).is_some_and(ends))
}

/// Libraries that a known format names without the end of their file name.
fn keyed(path: &[u8], line: &[u8]) -> Vec<String> {
    let Ok(line) = std::str::from_utf8(line) else { return Vec::new() };
    if path.ends_with(b"/nsswitch.conf") {
        // Source: nsswitch.conf(5): `hosts: files dns [NOTFOUND=return]`.
        let Some((_, services)) = line.split_once(':') else { return Vec::new() };
        let is_service = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let words = services.split('#').next().unwrap_or_default().split_ascii_whitespace();
        return words.filter(is_service).map(|service| format!("libnss_{service}.so.2")).collect();
    }
    // Source: nginx's load_module, httpd's LoadModule: a path below the server's own directory.
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
        // Source: php.ini, "Dynamic Extensions"; since PHP 7.2 a name without its end.
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
    fn known_formats_name_libraries_without_their_end() {
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
        let loaded =
            |text: &str| mentions(b"etc/nginx/nginx.conf", text.as_bytes()).iter().any(|mention| mention.is_loaded);
        assert!(loaded("load_module /opt/a.so;\n") && loaded("LoadModule a modules/a.so\n"));
        assert!(!loaded("<IfModule !prefork.c>\n  LoadModule a modules/a.so\n</IfModule>\n"));
        assert!(loaded("<IfModule x>\n</IfModule>\nLoadModule a modules/a.so\n"));
        assert!(!loaded("load_modules_x /opt/a.so;\n") && !loaded("ssl_engine /opt/a.so;\n"));
        let nss = "passwd: files\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n";
        let names: Vec<String> = named("etc/nsswitch.conf", nss).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["libnss_files.so.2", "libnss_mdns4_minimal.so.2", "libnss_dns.so.2"]);
    }

    #[test]
    fn texts_of_packages_and_data_configure_nothing() {
        for path in ["etc/odbcinst.ini", "etc/pam.d/login", "srv/app.json", "usr/lib/systemd/system/a.service"] {
            assert!(is_mention_path(path.as_bytes()), "{path}");
        }
        for path in
            ["srv/node_modules/a/x.json", "usr/share/doc/a.conf", "etc/ssl/a.cnf", "srv/a.txt", "usr/src/a.conf"]
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
