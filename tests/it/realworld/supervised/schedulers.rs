//! cron, OpenRC and PM2: services, each with its faults.

use super::Content::*;
use super::{Group, SERVICE, Service};

pub const GROUPS: &[Group] = &[
    Group { name: "cron and relatives", services: CRON },
    Group { name: "OpenRC", services: OPENRC },
    Group { name: "PM2", services: PM2 },
];

const CRON: &[Service] = &[
    Service {
        name: "cron.d",
        files: &[("etc/cron.d/app", Settings("@reboot root /srv/app/svc >/dev/null 2>&1\n"))],
        call: &["/usr/sbin/cron", "-f"],
        faults: &[(
            "a dot in its name",
            &[("etc/cron.d/app", Gone), ("etc/cron.d/app.cron", Settings("@reboot root /srv/app/svc\n"))],
        )],
        ..SERVICE
    },
    Service {
        name: "a script in cron.d",
        files: &[
            ("etc/cron.d/app", Settings("SHELL=/bin/bash\n@reboot root /srv/job\n")),
            ("srv/job", Script("#!/bin/sh\nset -e\n/srv/app/svc\n")),
        ],
        call: &["/usr/sbin/cron", "-f"],
        faults: &[("CRLF line ends", &[("srv/job", Script("#!/bin/sh\r\n/srv/app/svc\r\n"))])],
        ..SERVICE
    },
    Service {
        name: "BusyBox's crond",
        files: &[("var/spool/cron/crontabs/root", Secret("* * * * * /srv/app/svc\n"))],
        call: &["/usr/bin/busybox", "crond", "-f", "-c", "/var/spool/cron/crontabs"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "@reboot",
        files: &[("etc/cron.d/app", Settings("@reboot root /srv/app/svc\n"))],
        call: &["/usr/sbin/cron", "-f"],
        ..SERVICE
    },
    Service {
        name: "an entry script",
        files: &[
            ("ep.sh", Script("#!/bin/sh\nset -e\ncron\nexec \"$@\"\n")),
            ("etc/cron.d/app", Settings("@reboot root /srv/app/svc\n")),
        ],
        call: &["/ep.sh", "sleep", "4"],
        ..SERVICE
    },
    Service {
        name: "flock",
        files: &[("etc/cron.d/app", Settings("@reboot root cd /srv/app && flock -n /tmp/l ./svc\n"))],
        call: &["/usr/sbin/cron", "-f"],
        ..SERVICE
    },
    Service {
        name: "supercronic",
        files: &[("app/crontab", Settings("*/5 * * * * /srv/app/svc\n")), ("usr/local/bin/supercronic", Program)],
        call: &["supercronic", "/app/crontab"],
        is_run: false,
        ..SERVICE
    },
];

/// The container must not end before the programs in the background run.
const OPENRC_CALL: &[&str] = &["/bin/sh", "-c", "/sbin/openrc default && sleep 9"];

const OPENRC: &[Service] = &[
    Service {
        name: "a program in the background",
        files: &[
            (
                "etc/init.d/a",
                Script(
                    "#!/sbin/openrc-run\nname=a\ncommand=/srv/app/svc\ncommand_args=\"--x\"\ncommand_background=yes\npidfile=/run/a.pid\n",
                ),
            ),
            ("etc/runlevels/default/a", Link("/etc/init.d/a")),
        ],
        call: OPENRC_CALL,
        ..SERVICE
    },
    Service {
        name: "its own start function",
        files: &[
            (
                "etc/init.d/a",
                Script(
                    "#!/sbin/openrc-run\nstart() {\n  ebegin \"x\"\n  start-stop-daemon --start --background --make-pidfile --pidfile /run/a.pid --exec /srv/app/svc -- --x\n  eend $?\n}\n",
                ),
            ),
            ("etc/runlevels/default/a", Link("/etc/init.d/a")),
        ],
        call: OPENRC_CALL,
        ..SERVICE
    },
    Service {
        name: "a service that another needs",
        files: &[
            ("etc/init.d/a", Script("#!/sbin/openrc-run\ncommand=/bin/true\ndepend() {\n  need b\n}\n")),
            (
                "etc/init.d/b",
                Script(
                    "#!/sbin/openrc-run\nname=a\ncommand=/srv/app/svc\ncommand_args=\"--x\"\ncommand_background=yes\npidfile=/run/a.pid\n",
                ),
            ),
            ("etc/runlevels/default/a", Link("/etc/init.d/a")),
        ],
        call: OPENRC_CALL,
        ..SERVICE
    },
    Service {
        name: "conf.d",
        files: &[
            ("etc/init.d/a", Script("#!/sbin/openrc-run\ncommand=\"${APP_BIN:-/bin/true}\"\ncommand_args=\"$ARGS\"\n")),
            ("etc/conf.d/a", Settings("APP_BIN=/srv/app/svc\nARGS=x\n")),
            ("etc/runlevels/default/a", Link("/etc/init.d/a")),
        ],
        call: OPENRC_CALL,
        ..SERVICE
    },
    Service {
        name: "supervise-daemon",
        files: &[
            ("etc/init.d/a", Script("#!/sbin/openrc-run\nsupervisor=supervise-daemon\ncommand=/srv/app/svc\n")),
            ("etc/runlevels/default/a", Link("/etc/init.d/a")),
        ],
        call: OPENRC_CALL,
        ..SERVICE
    },
];

const PM2: &[Service] = &[
    Service {
        name: "ecosystem.config.js",
        files: &[
            ("usr/local/bin/pm2-runtime", Program),
            ("usr/local/bin/pm2", Program),
            ("usr/local/bin/node", Program),
            (
                "app/ecosystem.config.js",
                Settings(
                    "module.exports = {\n  apps: [{\n    name: 'a',\n    script: '/srv/app/svc',\n    interpreter: 'none',\n    env: { X: '1' },\n  }],\n};\n",
                ),
            ),
        ],
        call: &["pm2-runtime", "start", "ecosystem.config.js"],
        working_dir: "/app",
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "process.json",
        files: &[
            ("usr/local/bin/pm2-runtime", Program),
            ("usr/local/bin/pm2", Program),
            ("usr/local/bin/node", Program),
            (
                "app/process.json",
                Settings("{\"apps\":[{\"name\":\"a\",\"script\":\"./bin/svc\",\"exec_interpreter\":\"none\"}]}\n"),
            ),
        ],
        call: &["pm2-runtime", "process.json"],
        program: "app/bin/svc",
        working_dir: "/app",
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "process.yml",
        files: &[
            ("usr/local/bin/pm2-runtime", Program),
            ("usr/local/bin/pm2", Program),
            ("usr/local/bin/node", Program),
            ("app/process.yml", Settings("apps:\n  - name: a\n    script: ./bin/svc\n    interpreter: none\n")),
        ],
        call: &["pm2-runtime", "start", "process.yml"],
        program: "app/bin/svc",
        working_dir: "/app",
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a script",
        files: &[
            ("usr/local/bin/pm2-runtime", Program),
            ("usr/local/bin/pm2", Program),
            ("usr/local/bin/node", Program),
            ("app/run.sh", Script("#!/bin/bash\nexec /srv/app/svc\n")),
            ("app/x", Settings("x")),
        ],
        call: &["pm2-runtime", "start", "/app/run.sh"],
        working_dir: "/app",
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a program",
        files: &[
            ("usr/local/bin/pm2-runtime", Program),
            ("usr/local/bin/pm2", Program),
            ("usr/local/bin/node", Program),
        ],
        call: &["pm2-runtime", "/srv/app/svc", "--", "--port", "80"],
        working_dir: "/app",
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a directory",
        files: &[
            ("usr/local/bin/pm2-runtime", Program),
            ("usr/local/bin/pm2", Program),
            ("usr/local/bin/node", Program),
            (
                "app/ecosystem.config.cjs",
                Settings(
                    "module.exports = { apps: [{ name: \"a\", cwd: \"/srv/app\", script: \"./svc\", interpreter: \"none\" }] }\n",
                ),
            ),
        ],
        call: &["pm2-runtime", "ecosystem.config.cjs"],
        working_dir: "/app",
        is_run: false,
        ..SERVICE
    },
];
