//! systemd: services, each with its faults.

use super::Content::*;
use super::{Group, SERVICE, Service};

pub const GROUPS: &[Group] = &[Group { name: "systemd", services: SYSTEMD }];

const SYSTEMD: &[Service] = &[
    Service {
        name: "ExecStart",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/srv/app/svc --x\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "another argv[0]",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=@/srv/app/svc other --x\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "ExecStartPre",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStartPre=/srv/app/svc\nExecStart=/bin/sleep 100\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a text for a shell",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/bin/sh -c \"exec /srv/app/svc\"\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "Environment",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nEnvironment=BIN=/srv/app/svc\nExecStart=/bin/sh -c \"exec $BIN\"\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "EnvironmentFile",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nEnvironmentFile=-/etc/default/a\nExecStart=/srv/app/svc $OPTS\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("etc/default/a", Settings("OPTS=\"--x\"\n")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a drop-in",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/opt/none\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("etc/systemd/system/a.service.d/x.conf", Settings("[Service]\nExecStart=\nExecStart=/srv/app/svc\n")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "Requires",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings("[Unit]\nRequires=b.service\nAfter=b.service\n[Service]\nExecStart=/bin/sleep 9\n"),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("etc/systemd/system/b.service", Settings("[Service]\nExecStart=/srv/app/svc\n")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a timer",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/bin/sleep 9\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("etc/systemd/system/t.timer", Settings("[Timer]\nOnBootSec=1\n")),
            ("etc/systemd/system/t.service", Settings("[Service]\nType=oneshot\nExecStart=/srv/app/svc\n")),
            ("etc/systemd/system/timers.target.wants/t.timer", Link("/etc/systemd/system/t.timer")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a socket",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/bin/sleep 9\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("etc/systemd/system/t.socket", Settings("[Socket]\nListenStream=80\n")),
            ("etc/systemd/system/t.service", Settings("[Service]\nExecStart=/srv/app/svc\n")),
            ("etc/systemd/system/sockets.target.wants/t.socket", Link("/etc/systemd/system/t.socket")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a template",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/bin/sleep 9\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("etc/systemd/system/w@.service", Settings("[Service]\nExecStart=/srv/app/svc --i %i\n")),
            ("etc/systemd/system/multi-user.target.wants/w@1.service", Link("/etc/systemd/system/w@.service")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "its own target",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/bin/sleep 9\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("etc/systemd/system/default.target", Link("/etc/systemd/system/app.target")),
            ("etc/systemd/system/app.target", Settings("[Unit]\nWants=b.service\n")),
            ("etc/systemd/system/b.service", Settings("[Service]\nExecStart=/srv/app/svc\n")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a script",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/srv/run.sh\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("srv/run.sh", Script("#!/bin/sh\nexec /srv/app/svc\n")),
        ],
        call: &["/sbin/init"],
        faults: &[("no first line", &[("srv/run.sh", Script("exec /srv/app/svc\n"))])],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a command on several lines",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/srv/app/svc \\\n  --one \\\n  --two\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a unit of the vendor",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings(
                    "[Unit]\nDescription=a\n[Service]\nExecStart=/bin/sleep 9\n[Install]\nWantedBy=multi-user.target\n",
                ),
            ),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("usr/lib/systemd/system/multi-user.target.wants/c.service", Link("../c.service")),
            ("usr/lib/systemd/system/c.service", Settings("[Service]\nExecStart=/srv/app/svc\n")),
        ],
        call: &["/sbin/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a program and a dollar sign",
        files: &[
            ("usr/lib/systemd/systemd", Program),
            ("usr/sbin/init", Link("/lib/systemd/systemd")),
            (
                "etc/systemd/system/a.service",
                Settings("[Service]\nExecStart=/bin/sh -c \"D=/srv/app; exec $${D}/svc\"\n"),
            ),
            ("etc/systemd/system/b.service", Settings("[Service]\nExecStart=/usr/bin/true\n")),
            ("etc/systemd/system/multi-user.target.wants/a.service", Link("/etc/systemd/system/a.service")),
            ("etc/systemd/system/multi-user.target.wants/b.service", Link("/etc/systemd/system/b.service")),
        ],
        call: &["/sbin/init"],
        faults: &[(
            "missing program",
            &[("etc/systemd/system/b.service", Settings("[Service]\nExecStart=/srv/app/none\n"))],
        )],
        is_run: false,
        ..SERVICE
    },
];
