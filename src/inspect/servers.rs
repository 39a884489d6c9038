//! The modules that the configuration of a server names without a directory or file extension. The server looks for them
//! in its own directory. Run with modules for another architecture: the packages of Debian 12.

use super::named::extension;

/// How a server's settings name its modules.
struct ServerModules {
    /// Part of the path of the server's configuration.
    path: &'static [u8],
    /// The start of a line that names modules.
    key: &'static str,
    form: Form,
    /// Whether the server ends if it cannot load one. Others print a message and continue.
    ends: bool,
}

#[derive(Clone, Copy)]
enum Form {
    /// The next word: `LoadPlugin redis` for `redis.so`.
    Word,
    /// Each word in quotes: `server.modules = ( "mod_openssl" )` for `mod_openssl.so`.
    Quoted,
    /// A list after an equals sign: `plugins = python3,http` for `python3_plugin.so`.
    Plugins,
}

/// Source: rsyslog's "Modules", lighttpd's "server.modules", collectd.conf(5), slapd.conf(5), ProFTPD's mod_dso,
/// uWSGI's "plugins", OpenSSL's config(5) "Provider Configuration".
const SERVERS: &[ServerModules] = &[
    ServerModules { path: b"rsyslog", key: "module(", form: Form::Quoted, ends: false },
    ServerModules { path: b"rsyslog", key: "$ModLoad ", form: Form::Word, ends: false },
    ServerModules { path: b"lighttpd", key: "server.modules", form: Form::Quoted, ends: true },
    ServerModules { path: b"lighttpd", key: "\"mod_", form: Form::Quoted, ends: true },
    ServerModules { path: b"collectd", key: "LoadPlugin ", form: Form::Word, ends: true },
    ServerModules { path: b"collectd", key: "<LoadPlugin ", form: Form::Word, ends: true },
    ServerModules { path: b"slapd", key: "moduleload ", form: Form::Word, ends: true },
    ServerModules { path: b"proftpd", key: "LoadModule ", form: Form::Word, ends: true },
    ServerModules { path: b"uwsgi", key: "plugin", form: Form::Plugins, ends: false },
    ServerModules { path: b"openssl.cnf", key: "legacy ", form: Form::Word, ends: false },
];

fn row(path: &[u8], line: &[u8]) -> Option<&'static ServerModules> {
    let is_of = |row: &&ServerModules| {
        line.starts_with(row.key.as_bytes()) && path.windows(row.path.len()).any(|window| window == row.path)
    };
    SERVERS.iter().find(is_of)
}

/// Whether the server continues without the modules that a line names.
pub fn is_optional(path: &[u8], line: &[u8]) -> bool {
    row(path, line).is_some_and(|row| !row.ends)
}

/// Returns the file names of the modules that a line names.
pub fn modules(path: &[u8], line: &str) -> Vec<String> {
    let Some(row) = row(path, line.as_bytes()) else { return Vec::new() };
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let library = |name: &str| format!("{name}.so");
    let rest = &line[row.key.len()..];
    match row.form {
        // OpenSSL's provider is the key itself.
        Form::Word if extension(path) == b".cnf" => vec![library(row.key.trim())],
        Form::Word => {
            let word = rest.split(|c: char| c.is_whitespace() || c == '>').find(|word| !word.is_empty());
            let name = word.map(|word| word.trim_matches('"')).map(|word| word.split('.').next().unwrap_or(word));
            name.filter(is_name).map(library).into_iter().collect()
        }
        Form::Quoted => line.split('"').skip(1).step_by(2).filter(is_name).map(library).collect(),
        Form::Plugins => {
            let values = rest.trim_start_matches('s').trim_start().strip_prefix('=').unwrap_or_default();
            let names = values.split(',').map(str::trim).filter(is_name);
            names.map(|name| format!("{name}_plugin.so")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_servers_continue_without_a_module() {
        assert!(is_optional(b"etc/rsyslog.conf", b"module(load=\"ommysql\")"));
        assert!(is_optional(b"etc/uwsgi/app.ini", b"plugins = python311"));
        assert!(!is_optional(b"etc/collectd/collectd.conf", b"LoadPlugin cpu"));
        assert!(!is_optional(b"etc/rsyslog.conf", b"*.* /var/log/all"));
    }

    #[test]
    fn modules_of_servers_are_named_without_a_directory() {
        for (path, line, expected) in [
            ("etc/rsyslog.conf", "module(load=\"ommysql\")", "ommysql.so"),
            ("etc/rsyslog.d/a.conf", "$ModLoad imtcp.so # x", "imtcp.so"),
            ("etc/lighttpd/lighttpd.conf", "server.modules += ( \"mod_openssl\" )", "mod_openssl.so"),
            ("etc/lighttpd/lighttpd.conf", "\"mod_rewrite\",", "mod_rewrite.so"),
            ("etc/collectd/collectd.conf", "LoadPlugin redis", "redis.so"),
            ("etc/collectd/collectd.conf", "<LoadPlugin \"python\">", "python.so"),
            ("etc/ldap/slapd.conf", "moduleload  back_mdb.la", "back_mdb.so"),
            ("etc/proftpd/modules.conf", "LoadModule mod_sql_mysql.c", "mod_sql_mysql.so"),
            ("etc/uwsgi/app.ini", "plugins = python3, http", "python3_plugin.so http_plugin.so"),
            ("srv/uwsgi.ini", "plugin=python3", "python3_plugin.so"),
            ("etc/ssl/openssl.cnf", "legacy = legacy_sect", "legacy.so"),
            ("etc/apache2/apache2.conf", "LoadModule rewrite_module modules/mod_rewrite.so", ""),
            ("srv/uwsgi.ini", "plugin-dir = /usr/lib/uwsgi", ""),
            ("etc/rsyslog.conf", "action(type=\"omfile\")", ""),
        ] {
            assert_eq!(modules(path.as_bytes(), line).join(" "), expected, "{line}");
        }
    }
}
