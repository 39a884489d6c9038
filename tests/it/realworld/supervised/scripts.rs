//! Console scripts and entry scripts: services, each with its faults.

use super::Content::*;
use super::{Group, SERVICE, Service};

pub const GROUPS: &[Group] =
    &[Group { name: "console scripts", services: CONSOLE }, Group { name: "entry scripts", services: SCRIPT }];

const CONSOLE: &[Service] = &[
    Service {
        name: "gunicorn",
        files: &[
            (
                "usr/local/bin/gunicorn",
                Script("#!/usr/bin/python3\nimport re, sys, os\nos.execv(\"/srv/app/svc\", [\"svc\"])\n"),
            ),
            ("srv/app/svc", Program),
        ],
        call: &["gunicorn", "-b", ":80", "app:app"],
        program: "",
        faults: &[
            (
                "missing interpreter",
                &[(
                    "usr/local/bin/gunicorn",
                    Script("#!/app/venv/bin/python3.9\nimport re, sys, os\nos.execv(\"/srv/app/svc\", [\"svc\"])\n"),
                )],
            ),
            (
                "CRLF line ends",
                &[(
                    "usr/local/bin/gunicorn",
                    Script("#!/usr/bin/python3\r\nimport re, sys, os\r\nos.execv(\"/srv/app/svc\", [\"svc\"])\r\n"),
                )],
            ),
            (
                "dangling interpreter",
                &[
                    (
                        "usr/local/bin/gunicorn",
                        Script("#!/app/venv/bin/python\nimport re, sys, os\nos.execv(\"/srv/app/svc\", [\"svc\"])\n"),
                    ),
                    ("app/venv/bin/python", Link("/usr/local/bin/python3.12")),
                ],
            ),
        ],
        ..SERVICE
    },
    Service {
        name: "uvicorn",
        files: &[
            (
                "usr/local/bin/uvicorn",
                Script("#!/usr/bin/python3\nimport re, sys, os\nos.execv(\"/srv/app/svc\", [\"svc\"])\n"),
            ),
            ("srv/app/svc", Program),
        ],
        call: &["uvicorn", "app:app"],
        program: "",
        faults: &[
            (
                "missing interpreter",
                &[(
                    "usr/local/bin/uvicorn",
                    Script("#!/app/venv/bin/python3.9\nimport re, sys, os\nos.execv(\"/srv/app/svc\", [\"svc\"])\n"),
                )],
            ),
            (
                "CRLF line ends",
                &[(
                    "usr/local/bin/uvicorn",
                    Script("#!/usr/bin/python3\r\nimport re, sys, os\r\nos.execv(\"/srv/app/svc\", [\"svc\"])\r\n"),
                )],
            ),
            (
                "dangling interpreter",
                &[
                    (
                        "usr/local/bin/uvicorn",
                        Script("#!/app/venv/bin/python\nimport re, sys, os\nos.execv(\"/srv/app/svc\", [\"svc\"])\n"),
                    ),
                    ("app/venv/bin/python", Link("/usr/local/bin/python3.12")),
                ],
            ),
        ],
        ..SERVICE
    },
    Service {
        name: "celery",
        files: &[
            (
                "usr/local/bin/celery",
                Script("#!/usr/bin/python3\nimport re, sys, os\nos.execv(\"/srv/app/svc\", [\"svc\"])\n"),
            ),
            ("srv/app/svc", Program),
        ],
        call: &["celery", "-A", "x", "worker"],
        program: "",
        faults: &[
            (
                "missing interpreter",
                &[(
                    "usr/local/bin/celery",
                    Script("#!/app/venv/bin/python3.9\nimport re, sys, os\nos.execv(\"/srv/app/svc\", [\"svc\"])\n"),
                )],
            ),
            (
                "CRLF line ends",
                &[(
                    "usr/local/bin/celery",
                    Script("#!/usr/bin/python3\r\nimport re, sys, os\r\nos.execv(\"/srv/app/svc\", [\"svc\"])\r\n"),
                )],
            ),
            (
                "dangling interpreter",
                &[
                    (
                        "usr/local/bin/celery",
                        Script("#!/app/venv/bin/python\nimport re, sys, os\nos.execv(\"/srv/app/svc\", [\"svc\"])\n"),
                    ),
                    ("app/venv/bin/python", Link("/usr/local/bin/python3.12")),
                ],
            ),
        ],
        ..SERVICE
    },
    Service {
        name: "gunicorn of supervisord",
        files: &[
            (
                "etc/sv.conf",
                Settings("[supervisord]\nnodaemon=true\n[program:web]\ncommand=/venv/bin/gunicorn app:app\n"),
            ),
            ("venv/bin/gunicorn", Script("#!/usr/bin/python3\nimport os\nos.execv(\"/srv/app/svc\",[\"svc\"])\n")),
            ("srv/app/svc", Program),
        ],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        program: "",
        faults: &[("missing interpreter", &[("venv/bin/gunicorn", Script("#!/build/venv/bin/python\n"))])],
        ..SERVICE
    },
];

const SCRIPT: &[Service] = &[
    Service {
        name: "background jobs",
        files: &[("ep.sh", Script("#!/bin/bash\nset -m\nsleep 3 &\n/srv/app/svc &\nwait -n\nexit $?\n"))],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "a trap",
        files: &[(
            "ep.sh",
            Script(
                "#!/bin/bash\n_term() { kill -TERM \"$child\"; }\ntrap _term TERM INT\n/srv/app/svc &\nchild=$!\nwait \"$child\"\n",
            ),
        )],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "a loop that restarts",
        files: &[("ep.sh", Script("#!/bin/sh\nwhile :; do\n  /srv/app/svc || echo failed\n  sleep 1\ndone\n"))],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "a choice of commands",
        files: &[(
            "ep.sh",
            Script(
                "#!/bin/sh\ncase \"${1:-serve}\" in\n  serve) shift; exec /srv/app/svc \"$@\";;\n  migrate) exec /opt/migrate;;\n  *) exec \"$@\";;\nesac\n",
            ),
        )],
        call: &["/ep.sh", "serve"],
        ..SERVICE
    },
    Service {
        name: "an array",
        files: &[(
            "ep.sh",
            Script(
                "#!/bin/bash\nargs=(--a \"$X\")\n[[ -n ${Y:-} ]] && args+=(--y \"$Y\")\ncmd=(nice -n 3 /srv/app/svc)\nexec \"${cmd[@]}\" \"${args[@]}\"\n",
            ),
        )],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "functions by name",
        files: &[(
            "ep.sh",
            Script(
                "#!/bin/bash\nrun_serve() { exec /srv/app/svc \"$@\"; }\nrun_help() { echo help; }\nmode=${1:-serve}; shift\n\"run_${mode}\" \"$@\"\n",
            ),
        )],
        call: &["/ep.sh", "serve"],
        ..SERVICE
    },
    Service {
        name: "declared functions",
        files: &[(
            "ep.sh",
            Script(
                "#!/bin/bash\nserve() { exec /srv/app/svc; }\nif declare -f \"$1\" > /dev/null; then \"$@\"; else exec \"$@\"; fi\n",
            ),
        )],
        call: &["/ep.sh", "serve"],
        ..SERVICE
    },
    Service {
        name: "printf -v",
        files: &[("ep.sh", Script("#!/bin/bash\nprintf -v bin \"%s/%s\" /srv/app svc\nexec \"$bin\"\n"))],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "a here-document",
        files: &[("ep.sh", Script("#!/bin/bash\nsh <<EOF\nexec /srv/app/svc\nEOF\n"))],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "an associative array",
        files: &[(
            "ep.sh",
            Script("#!/bin/bash\ndeclare -A M=([web]=/srv/app/svc [job]=/opt/job)\nexec \"${M[$1]}\"\n"),
        )],
        call: &["/ep.sh", "web"],
        ..SERVICE
    },
    Service {
        name: "a reference",
        files: &[(
            "ep.sh",
            Script("#!/bin/bash\nget() { local -n out=$1; out=/srv/app/svc; }\nget BIN\nexec \"$BIN\"\n"),
        )],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "an indirect variable",
        files: &[("ep.sh", Script("#!/bin/bash\nWEB_BIN=/srv/app/svc\nv=WEB_BIN\nexec \"${!v}\"\n"))],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "getopts",
        files: &[(
            "ep.sh",
            Script(
                "#!/bin/sh\nwhile getopts \"b:v\" o; do\n case $o in b) BIN=$OPTARG;; v) V=1;; esac\ndone\nshift $((OPTIND-1))\nexec \"$BIN\" \"$@\"\n",
            ),
        )],
        call: &["/ep.sh", "-v", "-b", "/srv/app/svc", "x"],
        ..SERVICE
    },
    Service {
        name: "sed",
        files: &[("ep.sh", Script("#!/bin/sh\nexec $(echo \"@D@/svc\" | sed \"s#@D@#/srv/app#\")\n"))],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "awk",
        files: &[
            ("ep.sh", Script("#!/bin/sh\nexec $(awk -F= '$1==\"bin\"{print $2}' /etc/app.conf)\n")),
            ("etc/app.conf", Settings("port=1\nbin=/srv/app/svc\n")),
        ],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "grep and cut",
        files: &[
            ("ep.sh", Script("#!/bin/sh\nBIN=$(grep \"^bin=\" /etc/app.conf | cut -d= -f2)\nexec \"$BIN\"\n")),
            ("etc/app.conf", Settings("port=1\nbin=/srv/app/svc\n")),
        ],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "read",
        files: &[
            (
                "ep.sh",
                Script(
                    "#!/bin/sh\nwhile IFS=\"=\" read -r k v; do\n [ \"$k\" = bin ] && BIN=$v\ndone < /etc/app.conf\nexec \"$BIN\"\n",
                ),
            ),
            ("etc/app.conf", Settings("port=1\nbin=/srv/app/svc\n")),
        ],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "uname",
        files: &[
            (
                "ep.sh",
                Script(
                    "#!/bin/sh\ncase \"$(uname -m)\" in x86_64) A=amd64;; aarch64) A=arm64;; esac\nexec /srv/app/svc-$A\n",
                ),
            ),
            ("srv/app/svc-arm64", Foreign),
        ],
        call: &["/ep.sh"],
        program: "srv/app/svc-amd64",
        ..SERVICE
    },
    Service {
        name: "ls",
        files: &[("ep.sh", Script("#!/bin/sh\nexec \"$(ls -d /srv/app-*/ | tail -n 1)svc\"\n"))],
        call: &["/ep.sh"],
        program: "srv/app-1.2/svc",
        ..SERVICE
    },
    Service {
        name: "a sourced library",
        files: &[
            (
                "ep.sh",
                Script(
                    "#!/usr/bin/env bash\nset -euo pipefail\nsource \"$(dirname \"${BASH_SOURCE[0]}\")/lib.sh\"\nmain \"$@\"\n",
                ),
            ),
            (
                "lib.sh",
                Settings(
                    "main() { local cmd=\"${1:-/srv/app/svc}\"; log \"starting ${cmd}\"; exec \"${cmd}\"; }\nlog() { printf \"%s\\n\" \"$*\" >&2; }\n",
                ),
            ),
        ],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "Perl",
        files: &[("ep.pl", Script("#!/usr/bin/perl\nexec \"/srv/app/svc\";\n"))],
        call: &["/ep.pl"],
        ..SERVICE
    },
    Service {
        name: "a login shell",
        files: &[
            ("ep.sh", Script("#!/bin/bash -l\nexec appd\n")),
            ("root/.bash_profile", Settings("PATH=\"$PATH:/srv/app\"\n")),
        ],
        call: &["/ep.sh"],
        program: "srv/app/appd",
        faults: &[("not a login shell", &[("ep.sh", Script("#!/bin/bash\nexec appd\n"))])],
        ..SERVICE
    },
    Service {
        name: "a file with variables",
        files: &[
            ("ep.sh", Script("#!/bin/sh\nset -a\n. /app.env\nset +a\nexec $BIN $OPTS\n")),
            ("app.env", Settings("# ours\nBIN=/srv/app/svc\nOPTS=\"--a --b\"\n")),
        ],
        call: &["/ep.sh"],
        faults: &[("CRLF line ends", &[("app.env", Settings("BIN=/srv/app/svc\r\nOPTS=\r\n"))])],
        ..SERVICE
    },
    Service {
        name: "an alias",
        files: &[("ep.sh", Script("#!/bin/sh\nalias launch=\"env X=1 nice\"\nlaunch /srv/app/svc\n"))],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "a directory, then the server",
        files: &[("ep.sh", Script("#!/bin/sh\ncd /srv/app && exec ./svc\n"))],
        call: &["/ep.sh"],
        faults: &[("missing directory", &[("ep.sh", Script("#!/bin/sh\ncd /srv/application && exec ./svc\n"))])],
        ..SERVICE
    },
    Service {
        name: "exec that may fail",
        files: &[("ep.sh", Script("#!/bin/bash\nshopt -s execfail\nexec /opt/none\nexec /srv/app/svc\n"))],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "modes",
        files: &[("ep.sh", Script("#!/bin/sh\nset -e\nchmod 755 /srv/app/svc\nexec gosu abc /srv/app/svc\n"))],
        call: &["/ep.sh"],
        faults: &[
            ("mode 0700", &[("ep.sh", Script("#!/bin/sh\nchmod 700 /srv/app/svc\nexec gosu abc /srv/app/svc\n"))]),
            ("a closed directory", &[("ep.sh", Script("#!/bin/sh\nchmod 700 /srv/app\nexec gosu abc /srv/app/svc\n"))]),
        ],
        ..SERVICE
    },
    Service {
        name: "coproc",
        files: &[("ep.sh", Script("#!/bin/bash\ncoproc JOB { /srv/app/svc; }\nwait \"$JOB_PID\"\n"))],
        call: &["/ep.sh"],
        ..SERVICE
    },
    Service {
        name: "a list of programs",
        files: &[
            ("ep.sh", Script("#!/bin/bash\nmapfile -t list < /srv/list\nfor p in \"${list[@]}\"; do \"$p\"; done\n")),
            ("srv/list", Settings("/srv/app/svc\n")),
        ],
        call: &["/ep.sh"],
        ..SERVICE
    },
];
