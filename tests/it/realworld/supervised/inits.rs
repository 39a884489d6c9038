//! Init wrappers, programs that wait, directories of scripts, and runners of Procfiles: services, each with its faults.

use super::Content::*;
use super::{Group, SERVICE, Service};

pub const GROUPS: &[Group] = &[
    Group { name: "tini, dumb-init, catatonit", services: INIT },
    Group { name: "wait-for-it and relatives", services: WAIT },
    Group { name: "directories of scripts", services: DIRECTORY },
    Group { name: "Procfile runners", services: PROCFILE },
];

const INIT: &[Service] = &[
    Service { name: "tini", files: &[], call: &["/usr/bin/tini", "-s", "--", "/srv/app/svc"], ..SERVICE },
    Service {
        name: "tini-static",
        files: &[],
        call: &["/usr/bin/tini-static", "-g", "-v", "--", "/srv/app/svc"],
        ..SERVICE
    },
    Service { name: "dumb-init", files: &[], call: &["/usr/bin/dumb-init", "-v", "--", "/srv/app/svc"], ..SERVICE },
    Service {
        name: "dumb-init for a single child",
        files: &[],
        call: &["/usr/bin/dumb-init", "--single-child", "--rewrite", "15:2", "--", "/srv/app/svc"],
        ..SERVICE
    },
    Service { name: "catatonit", files: &[], call: &["/usr/bin/catatonit", "--", "/srv/app/svc"], ..SERVICE },
    Service {
        name: "catatonit with -g",
        files: &[],
        call: &["/usr/bin/catatonit", "-g", "--", "/srv/app/svc"],
        ..SERVICE
    },
    Service {
        name: "an entry script after tini",
        files: &[("entry.sh", Script("#!/bin/sh\nset -e\nexec \"$@\"\n"))],
        call: &["/usr/bin/tini", "--", "/entry.sh", "/srv/app/svc", "--x"],
        ..SERVICE
    },
    Service {
        name: "an entry script after dumb-init",
        files: &[("entry.sh", Script("#!/bin/sh\nexec \"$@\"\n"))],
        call: &["/usr/bin/dumb-init", "--", "/entry.sh", "/srv/app/svc"],
        ..SERVICE
    },
    Service {
        name: "dumb-init in the first line",
        files: &[("entry.sh", Script("#!/usr/bin/dumb-init /bin/sh\nset -e\nexec \"$@\"\n"))],
        call: &["/entry.sh", "/srv/app/svc"],
        ..SERVICE
    },
];

const WAIT: &[Service] = &[
    Service {
        name: "wait-for-it",
        files: &[],
        call: &["/usr/bin/wait-for-it", "-t", "1", "localhost:1", "--", "/srv/app/svc"],
        ..SERVICE
    },
    Service {
        name: "wait-for-it as entrypoint",
        files: &[],
        call: &["wait-for-it", "localhost:9", "--timeout=1", "--", "/srv/app/svc", "x"],
        ..SERVICE
    },
    Service {
        name: "a script that takes options",
        files: &[(
            "wait-for",
            Script(
                "#!/bin/sh\nset -e\nTIMEOUT=1\nwhile [ $# -gt 0 ]; do\n  case \"$1\" in\n    *:* ) HOST=$(printf \"%s\\n\" \"$1\" | cut -d : -f 1); PORT=$(printf \"%s\\n\" \"$1\" | cut -d : -f 2); shift 1;;\n    -t) TIMEOUT=\"$2\"; shift 2;;\n    --) shift; break;;\n    *) exit 1;;\n  esac\ndone\nfor i in $(seq $TIMEOUT); do\n  if false; then break; fi\ndone\nexec \"$@\"\n",
            ),
        )],
        call: &["/wait-for", "db:1", "-t", "1", "--", "/srv/app/svc"],
        ..SERVICE
    },
    Service {
        name: "dockerize",
        files: &[("usr/local/bin/dockerize", Program)],
        call: &["dockerize", "-wait", "tcp://db:1", "-timeout", "1s", "/srv/app/svc", "-x"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a program, then the server",
        files: &[("wait", Link("/usr/bin/true"))],
        call: &["/bin/sh", "-c", "/wait && /srv/app/svc"],
        ..SERVICE
    },
];

const DIRECTORY: &[Service] = &[
    Service {
        name: "executable scripts",
        files: &[
            (
                "ep.sh",
                Script(
                    "#!/bin/sh\nset -e\nfor f in /docker-entrypoint.d/*; do\n  case \"$f\" in\n    *.sh) if [ -x \"$f\" ]; then \"$f\"; else . \"$f\"; fi;;\n  esac\ndone\nexec \"$@\"\n",
                ),
            ),
            ("docker-entrypoint.d/10-a.sh", Script("#!/bin/sh\n/srv/app/svc\n")),
        ],
        call: &["/ep.sh", "true"],
        faults: &[("CRLF line ends", &[("docker-entrypoint.d/10-a.sh", Script("#!/bin/sh\r\n/srv/app/svc\r\n"))])],
        ..SERVICE
    },
    Service {
        name: "sourced scripts",
        files: &[
            (
                "ep.sh",
                Script(
                    "#!/bin/sh\nset -e\nfor f in /docker-entrypoint.d/*; do\n  case \"$f\" in\n    *.sh) if [ -x \"$f\" ]; then \"$f\"; else . \"$f\"; fi;;\n  esac\ndone\nexec \"$@\"\n",
                ),
            ),
            ("docker-entrypoint.d/10-a.sh", Settings("/srv/app/svc\n")),
        ],
        call: &["/ep.sh", "true"],
        ..SERVICE
    },
    Service {
        name: "find, sort and read",
        files: &[
            (
                "ep.sh",
                Script(
                    "#!/bin/sh\nset -e\nfind /docker-entrypoint.d/ -follow -type f -print | sort -V | while read -r f; do\n  case \"$f\" in\n  *.sh) if [ -x \"$f\" ]; then \"$f\"; fi;;\n esac\ndone\nexec \"$@\"\n",
                ),
            ),
            ("docker-entrypoint.d/10-a.sh", Script("#!/bin/sh\n/srv/app/svc\n")),
        ],
        call: &["/ep.sh", "true"],
        ..SERVICE
    },
    Service {
        name: "run-parts in a script",
        files: &[
            ("ep.sh", Script("#!/bin/sh\nset -e\nrun-parts --exit-on-error /etc/start.d\nexec \"$@\"\n")),
            ("etc/start.d/10-a", Script("#!/bin/sh\n/srv/app/svc\n")),
            ("etc/start.d/README.txt", Script("x")),
        ],
        call: &["/ep.sh", "true"],
        faults: &[("no first line", &[("etc/start.d/10-a", Script("/srv/app/svc\n"))])],
        ..SERVICE
    },
    Service {
        name: "run-parts",
        files: &[("etc/start.d/a.sh", Script("#!/bin/sh\n/srv/app/svc\n"))],
        call: &["/usr/bin/run-parts", "--regex=.*", "/etc/start.d"],
        ..SERVICE
    },
    Service {
        name: "sourced variables",
        files: &[
            (
                "ep.sh",
                Script(
                    "#!/bin/bash\nshopt -s nullglob\nfor f in /etc/ep.d/*.env; do set -a; source \"$f\"; set +a; done\nexec \"$APP\" \"$@\"\n",
                ),
            ),
            ("etc/ep.d/a.env", Settings("APP=/srv/app/svc\n")),
        ],
        call: &["/ep.sh"],
        ..SERVICE
    },
];

const PROCFILE: &[Service] = &[
    Service {
        name: "foreman",
        files: &[("app/Procfile", Settings("web: /srv/app/svc --port $PORT\n"))],
        call: &["foreman", "start", "-f", "/app/Procfile"],
        ..SERVICE
    },
    Service {
        name: "one process of foreman",
        files: &[("app/Procfile", Settings("web: bin/svc\nworker: /opt/none\n"))],
        call: &["foreman", "start", "web"],
        program: "app/bin/svc",
        working_dir: "/app",
        ..SERVICE
    },
    Service {
        name: "foreman's variables",
        files: &[("app/Procfile", Settings("web: $BIN --x\n")), ("app/.env", Settings("BIN=/srv/app/svc\n"))],
        call: &["foreman", "start", "-f", "/app/Procfile"],
        working_dir: "/app",
        ..SERVICE
    },
    Service {
        name: "foreman run",
        files: &[("app/Procfile", Settings("web: sleep 1\n"))],
        call: &["foreman", "run", "-f", "/app/Procfile", "/srv/app/svc"],
        ..SERVICE
    },
    Service {
        name: "honcho",
        files: &[("app/Procfile", Settings("web: exec /srv/app/svc\n")), ("usr/local/bin/honcho", Program)],
        call: &["honcho", "-f", "/app/Procfile", "start"],
        faults: &[(
            "another architecture",
            &[("app/Procfile", Settings("web: cd /srv && ./app/svc\n")), ("srv/app/svc", Foreign)],
        )],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "forego",
        files: &[("app/Procfile", Settings("web: exec /srv/app/svc\n")), ("usr/local/bin/forego", Program)],
        call: &["forego", "start", "-f", "/app/Procfile", "-r"],
        faults: &[(
            "another architecture",
            &[("app/Procfile", Settings("web: cd /srv && ./app/svc\n")), ("srv/app/svc", Foreign)],
        )],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "goreman",
        files: &[("app/Procfile", Settings("web: exec /srv/app/svc\n")), ("usr/local/bin/goreman", Program)],
        call: &["goreman", "-f", "/app/Procfile", "start"],
        faults: &[(
            "another architecture",
            &[("app/Procfile", Settings("web: cd /srv && ./app/svc\n")), ("srv/app/svc", Foreign)],
        )],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "hivemind",
        files: &[("app/Procfile", Settings("web: exec /srv/app/svc\n")), ("usr/local/bin/hivemind", Program)],
        call: &["hivemind", "/app/Procfile"],
        faults: &[(
            "another architecture",
            &[("app/Procfile", Settings("web: cd /srv && ./app/svc\n")), ("srv/app/svc", Foreign)],
        )],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "overmind",
        files: &[("app/Procfile", Settings("web: exec /srv/app/svc\n")), ("usr/local/bin/overmind", Program)],
        call: &["overmind", "start", "-f", "/app/Procfile"],
        faults: &[(
            "another architecture",
            &[("app/Procfile", Settings("web: cd /srv && ./app/svc\n")), ("srv/app/svc", Foreign)],
        )],
        is_run: false,
        ..SERVICE
    },
];
