//! Servers and the modules that their configuration names.

use super::Content::*;
use super::{Group, SERVICE, Service};

pub const GROUPS: &[Group] = &[Group { name: "nginx, Apache, PHP-FPM", services: SERVERS }];

const ECHO: &str = "usr/lib/nginx/modules/ngx_http_echo_module.so";
const STATUS: &str = "usr/lib/apache2/modules/mod_status.so";
const APACHE: &str = "ServerName a\nUser abc\nGroup abc\nListen 8089\nMutex file:/tmp default\nPidFile /tmp/a.pid\nErrorLog /dev/stderr\n\
    LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
    LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
    LoadModule status_module /usr/lib/apache2/modules/mod_status.so\n";
const FPM: &str =
    "[global]\nerror_log = /dev/stderr\n[www]\nlisten = 127.0.0.1:8090\nuser = abc\npm = static\npm.max_children = 1\n";

const SERVERS: &[Service] = &[
    Service {
        name: "a module of nginx",
        files: &[(
            "etc/nginx/nginx.conf",
            Settings(
                "load_module modules/ngx_http_echo_module.so;\nerror_log stderr;\npid /tmp/n.pid;\nevents {}\nhttp { access_log off; \
                 server { listen 8088; } }\n",
            ),
        )],
        call: &["nginx", "-g", "daemon off;"],
        program: "",
        faults: &[
            ("another architecture", &[(ECHO, ForeignOf(ECHO))]),
            ("missing module", &[(ECHO, Gone)]),
            ("a text in its place", &[(ECHO, Settings("a text\n"))]),
        ],
        prints: "ngx_http_echo_module.so",
        ..SERVICE
    },
    Service {
        name: "a module of Apache",
        files: &[("etc/apache2/own.conf", Settings(APACHE))],
        call: &["apache2", "-DFOREGROUND", "-f", "/etc/apache2/own.conf"],
        program: "",
        faults: &[
            ("another architecture", &[(STATUS, ForeignOf(STATUS))]),
            ("missing module", &[(STATUS, Gone)]),
            ("a text in its place", &[(STATUS, Settings("a text\n"))]),
        ],
        prints: "mod_status.so",
        ..SERVICE
    },
    Service {
        name: "PHP-FPM",
        files: &[("etc/php/8.2/fpm/php-fpm.conf", Settings(FPM))],
        call: &["php-fpm8.2", "-F"],
        program: "",
        faults: &[("another architecture", &[("usr/sbin/php-fpm8.2", ForeignOf("usr/sbin/php-fpm8.2"))])],
        prints: "",
        ..SERVICE
    },
];
