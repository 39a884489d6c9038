//! supervisord: services, each with its faults.

use super::Content::*;
use super::{Group, SERVICE, Service};

pub const GROUPS: &[Group] = &[Group { name: "supervisord", services: SUPERVISORD }];

const SUPERVISORD: &[Service] = &[
    Service {
        name: "the program in a variable of the image",
        files: &[(
            "etc/sv.conf",
            Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=%(ENV_APP_BIN)s --x\nautorestart=true\n"),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        env: &["APP_BIN=/srv/app/svc"],
        ..SERVICE
    },
    Service {
        name: "the directory of the file",
        files: &[("srv/sv.conf", Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=%(here)s/app/svc\n"))],
        call: &["/usr/bin/supervisord", "-n", "-c", "/srv/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "the name of the program in its command",
        files: &[(
            "etc/sv.conf",
            Settings("[supervisord]\nnodaemon=true\n[program:svc]\ncommand=/srv/app/%(program_name)s\n"),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "several processes",
        files: &[(
            "etc/sv.conf",
            Settings(
                "[supervisord]\nnodaemon=true\n[program:a]\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d\ncommand=/srv/app/svc --n=%(process_num)d\n",
            ),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "included files",
        files: &[
            ("etc/sv.conf", Settings("[supervisord]\nnodaemon=true\n[include]\nfiles = conf.d/*.ini more/*.conf\n")),
            ("etc/conf.d/a.ini", Settings("[program:a]\ncommand=/srv/app/svc\n")),
        ],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "included files in a directory that a variable names",
        files: &[
            ("etc/sv.conf", Settings("[supervisord]\nnodaemon=true\n[include]\nfiles = %(ENV_CONF)s/*.conf\n")),
            ("opt/sup/a.conf", Settings("[program:a]\ncommand=/srv/app/svc\n")),
        ],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        env: &["CONF=/opt/sup"],
        ..SERVICE
    },
    Service {
        name: "a text for a shell",
        files: &[(
            "etc/sv.conf",
            Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=/bin/sh -c \"cd /srv/app && exec ./svc\"\n"),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "variables for all programs",
        files: &[(
            "etc/sv.conf",
            Settings(
                "[supervisord]\nnodaemon=true\nenvironment=APP=\"/srv/app\"\n[program:a]\ncommand=sh -c 'exec \"$APP/svc\"'\n",
            ),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "variables for one program",
        files: &[(
            "etc/sv.conf",
            Settings(
                "[supervisord]\nnodaemon=true\n[program:a]\nenvironment=APP=\"/srv/app\",X=\"%(ENV_HOME)s\"\ncommand=sh -c 'exec $APP/svc'\n",
            ),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        env: &["HOME=/root"],
        ..SERVICE
    },
    Service {
        name: "a script",
        files: &[
            ("etc/sv.conf", Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=/srv/run.sh\n")),
            ("srv/run.sh", Script("#!/bin/sh\nexec /srv/app/svc\n")),
        ],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        faults: &[
            ("no first line", &[("srv/run.sh", Script("exec /srv/app/svc\n"))]),
            ("CRLF line ends", &[("srv/run.sh", Script("#!/bin/sh\r\nexec /srv/app/svc\r\n"))]),
            ("not executable", &[("srv/run.sh", Settings("#!/bin/sh\nexec /srv/app/svc\n"))]),
            ("missing program", &[("srv/app/svc", Gone)]),
        ],
        ..SERVICE
    },
    Service {
        name: "a group",
        files: &[(
            "etc/sv.conf",
            Settings(
                "[supervisord]\nnodaemon=true\n[group:g]\nprograms=a,b\n[program:a]\ncommand=/srv/app/svc\n[program:b]\ncommand=sleep 100\n",
            ),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "a command on several lines",
        files: &[(
            "etc/sv.conf",
            Settings(
                "[supervisord]\nnodaemon=true\n[program:a]\ncommand=/srv/app/svc\n    --one\n    --two ; a comment\n",
            ),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "an event listener",
        files: &[(
            "etc/sv.conf",
            Settings("[supervisord]\nnodaemon=true\n[eventlistener:e]\nevents=TICK_5\ncommand=/srv/app/svc\n"),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "its default file",
        files: &[(
            "etc/supervisor/supervisord.conf",
            Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=svc\n"),
        )],
        call: &["supervisord"],
        program: "usr/local/bin/svc",
        ..SERVICE
    },
    Service {
        name: "gosu",
        files: &[(
            "etc/sv.conf",
            Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=gosu abc /srv/app/svc\n"),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "a login shell",
        files: &[(
            "etc/sv.conf",
            Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=bash -lc \"exec /srv/app/svc\"\n"),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "pidproxy",
        files: &[(
            "etc/sv.conf",
            Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=/usr/bin/pidproxy /tmp/x.pid /srv/app/svc\n"),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        ..SERVICE
    },
    Service {
        name: "an entry script",
        files: &[
            ("etc/sv.conf", Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=/srv/app/svc\n")),
            ("start.sh", Script("#!/bin/sh\nset -e\nmkdir -p /run/x\nexec /usr/bin/supervisord -n -c /etc/sv.conf\n")),
        ],
        call: &["/start.sh"],
        ..SERVICE
    },
    Service {
        name: "a user",
        files: &[(
            "etc/sv.conf",
            Settings("[supervisord]\nnodaemon=true\n[program:a]\nuser=abc\ncommand=/srv/app/svc\n"),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        faults: &[(
            "a user who does not exist",
            &[(
                "etc/sv.conf",
                Settings("[supervisord]\nnodaemon=true\n[program:a]\nuser=nosuch\ncommand=/srv/app/svc\n"),
            )],
        )],
        ..SERVICE
    },
    Service {
        name: "a log file",
        files: &[(
            "etc/sv.conf",
            Settings(
                "[supervisord]\nnodaemon=true\n[program:a]\ncommand=/srv/app/svc\nstdout_logfile=/var/log/a.log\n",
            ),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        faults: &[(
            "missing directory",
            &[(
                "etc/sv.conf",
                Settings(
                    "[supervisord]\nnodaemon=true\n[program:a]\ncommand=/srv/app/svc\nstdout_logfile=/var/log/none/a.log\n",
                ),
            )],
        )],
        ..SERVICE
    },
    Service {
        name: "a log file whose directory the entry script creates",
        files: &[
            (
                "etc/sv.conf",
                Settings(
                    "[supervisord]\nnodaemon=true\n[program:a]\ncommand=/srv/app/svc\nstdout_logfile=/var/log/app/a.log\n",
                ),
            ),
            ("start.sh", Script("#!/bin/sh\nmkdir -p /var/log/app\nexec /usr/bin/supervisord -n -c /etc/sv.conf\n")),
        ],
        call: &["/start.sh"],
        faults: &[(
            "missing directory",
            &[("start.sh", Script("#!/bin/sh\nexec /usr/bin/supervisord -n -c /etc/sv.conf\n"))],
        )],
        ..SERVICE
    },
    Service {
        name: "the directory of a program",
        files: &[(
            "etc/sv.conf",
            Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=/srv/app/svc\ndirectory=/srv/app\n"),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        faults: &[(
            "missing directory",
            &[(
                "etc/sv.conf",
                Settings("[supervisord]\nnodaemon=true\n[program:a]\ncommand=/srv/app/svc\ndirectory=/srv/none\n"),
            )],
        )],
        ..SERVICE
    },
    Service {
        name: "its own PATH",
        files: &[(
            "etc/sv.conf",
            Settings(
                "[supervisord]\nnodaemon=true\n[program:a]\nenvironment=PATH=\"/srv/app:%(ENV_PATH)s\"\ncommand=appd --x\n",
            ),
        )],
        call: &["/usr/bin/supervisord", "-n", "-c", "/etc/sv.conf"],
        program: "srv/app/appd",
        ..SERVICE
    },
];
