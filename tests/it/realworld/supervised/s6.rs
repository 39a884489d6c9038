//! s6 and s6-overlay: services, each with its faults.

use super::Content::*;
use super::{Group, SERVICE, Service};

pub const GROUPS: &[Group] =
    &[Group { name: "s6", services: S6 }, Group { name: "s6-overlay 2 and 3", services: S6OVERLAY }];

const S6: &[Service] = &[
    Service {
        name: "a run script",
        files: &[("etc/s6/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n"))],
        call: &["/usr/bin/s6-svscan", "/etc/s6"],
        faults: &[
            ("not executable", &[("etc/s6/a/run", Settings("#!/bin/sh\nexec /srv/app/svc\n"))]),
            ("a blank line first", &[("etc/s6/a/run", Script("\n#!/bin/sh\nexec /srv/app/svc\n"))]),
        ],
        ..SERVICE
    },
    Service {
        name: "an execline script",
        files: &[("etc/s6/a/run", Script("#!/usr/bin/execlineb -P\nfdmove -c 2 1\ns6-setuidgid abc\n/srv/app/svc\n"))],
        call: &["/usr/bin/s6-svscan", "/etc/s6"],
        ..SERVICE
    },
    Service {
        name: "execline in the foreground, and a directory",
        files: &[(
            "etc/s6/a/run",
            Script("#!/usr/bin/execlineb -P\nforeground { echo hello }\nexport FOO bar\ncd /srv/app\n./svc\n"),
        )],
        call: &["/usr/bin/s6-svscan", "/etc/s6"],
        ..SERVICE
    },
    Service {
        name: "execline's if",
        files: &[("etc/s6/a/run", Script("#!/usr/bin/execlineb -P\nif { /srv/app/svc }\nsleep 100\n"))],
        call: &["/usr/bin/s6-svscan", "/etc/s6"],
        ..SERVICE
    },
    Service {
        name: "a logger",
        files: &[
            ("etc/s6/a/run", Script("#!/bin/sh\nexec sleep 100\n")),
            ("etc/s6/a/log/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
        ],
        call: &["/usr/bin/s6-svscan", "/etc/s6"],
        ..SERVICE
    },
    Service {
        name: "one service",
        files: &[("etc/s6/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n"))],
        call: &["/usr/bin/s6-supervise", "/etc/s6/a"],
        ..SERVICE
    },
    Service {
        name: "a link to a service",
        files: &[("etc/s6/a", Link("/opt/sv/a")), ("opt/sv/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n"))],
        call: &["/usr/bin/s6-svscan", "/etc/s6"],
        ..SERVICE
    },
    Service {
        name: "tini",
        files: &[("etc/s6/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n"))],
        call: &["/usr/bin/tini", "--", "/usr/bin/s6-svscan", "/etc/s6"],
        ..SERVICE
    },
    Service {
        name: "an entry script",
        files: &[
            ("start.sh", Script("#!/bin/sh\nexec s6-svscan /etc/s6\n")),
            ("etc/s6/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
        ],
        call: &["/start.sh"],
        ..SERVICE
    },
    Service { name: "s6-setlock", files: &[], call: &["/usr/bin/s6-setlock", "/tmp/l", "/srv/app/svc"], ..SERVICE },
    Service {
        name: "s6-softlimit",
        files: &[],
        call: &["/usr/bin/s6-softlimit", "-o", "1024", "/srv/app/svc"],
        ..SERVICE
    },
    Service {
        name: "s6-envdir",
        files: &[("etc/env/A", Settings("1"))],
        call: &["/usr/bin/s6-setsid", "/usr/bin/s6-envdir", "/etc/env", "/srv/app/svc"],
        ..SERVICE
    },
];

const S6OVERLAY: &[Service] = &[
    Service {
        name: "a longrun",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/s6-overlay/s6-rc.d/a/type", Settings("longrun\n")),
            ("etc/s6-overlay/s6-rc.d/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
            ("etc/s6-overlay/s6-rc.d/user/contents.d/a", Settings("")),
            ("etc/s6-overlay/s6-rc.d/user/type", Settings("bundle\n")),
        ],
        call: &["/init"],
        faults: &[("no first line", &[("etc/s6-overlay/s6-rc.d/a/run", Script("exec /srv/app/svc\n"))])],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "with-contenv",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/s6-overlay/s6-rc.d/a/type", Settings("longrun\n")),
            (
                "etc/s6-overlay/s6-rc.d/a/run",
                Script("#!/command/with-contenv sh\nexec s6-setuidgid abc /srv/app/svc\n"),
            ),
            ("etc/s6-overlay/s6-rc.d/user/contents.d/a", Settings("")),
            ("etc/s6-overlay/s6-rc.d/user/type", Settings("bundle\n")),
        ],
        call: &["/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "with-contenv and bash",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/s6-overlay/s6-rc.d/a/type", Settings("longrun\n")),
            (
                "etc/s6-overlay/s6-rc.d/a/run",
                Script(
                    "#!/usr/bin/with-contenv bash\nexec \\\n  s6-notifyoncheck -d -n 300 -w 1000 -c \"nc -z localhost 80\" \\\n  s6-setuidgid abc /srv/app/svc\n",
                ),
            ),
            ("etc/s6-overlay/s6-rc.d/user/contents.d/a", Settings("")),
            ("etc/s6-overlay/s6-rc.d/user/type", Settings("bundle\n")),
        ],
        call: &["/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a oneshot script",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/s6-overlay/s6-rc.d/a/type", Settings("oneshot\n")),
            ("etc/s6-overlay/s6-rc.d/a/up", Settings("/etc/s6-overlay/s6-rc.d/a/run\n")),
            ("etc/s6-overlay/s6-rc.d/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
            ("etc/s6-overlay/s6-rc.d/user/contents.d/a", Settings("")),
            ("etc/s6-overlay/s6-rc.d/user/type", Settings("bundle\n")),
        ],
        call: &["/init"],
        faults: &[("no first line", &[("etc/s6-overlay/s6-rc.d/a/run", Script("exec /srv/app/svc\n"))])],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a oneshot in execline",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/s6-overlay/s6-rc.d/a/type", Settings("oneshot\n")),
            (
                "etc/s6-overlay/s6-rc.d/a/up",
                Script("#!/command/execlineb -P\nwith-contenv\nif { mkdir -p /x }\n/srv/app/svc\n"),
            ),
            ("etc/s6-overlay/s6-rc.d/user/contents.d/a", Settings("")),
            ("etc/s6-overlay/s6-rc.d/user/type", Settings("bundle\n")),
        ],
        call: &["/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a bundle in a bundle",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/s6-overlay/s6-rc.d/user/type", Settings("bundle\n")),
            ("etc/s6-overlay/s6-rc.d/user/contents.d/grp", Settings("")),
            ("etc/s6-overlay/s6-rc.d/grp/type", Settings("bundle\n")),
            ("etc/s6-overlay/s6-rc.d/grp/contents.d/a", Settings("")),
            ("etc/s6-overlay/s6-rc.d/a/type", Settings("longrun\n")),
            ("etc/s6-overlay/s6-rc.d/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
        ],
        call: &["/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a dependency",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/s6-overlay/s6-rc.d/user/type", Settings("bundle\n")),
            ("etc/s6-overlay/s6-rc.d/user/contents.d/b", Settings("")),
            ("etc/s6-overlay/s6-rc.d/b/type", Settings("longrun\n")),
            ("etc/s6-overlay/s6-rc.d/b/run", Script("#!/bin/sh\nexec sleep 9\n")),
            ("etc/s6-overlay/s6-rc.d/b/dependencies.d/a", Settings("")),
            ("etc/s6-overlay/s6-rc.d/a/type", Settings("longrun\n")),
            ("etc/s6-overlay/s6-rc.d/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
        ],
        call: &["/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a definition that no bundle names",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/s6-overlay/s6-rc.d/user/type", Settings("bundle\n")),
            ("etc/s6-overlay/s6-rc.d/user/contents.d/a", Settings("")),
            ("etc/s6-overlay/s6-rc.d/a/type", Settings("longrun\n")),
            ("etc/s6-overlay/s6-rc.d/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
            ("etc/s6-overlay/s6-rc.d/z/type", Settings("longrun\n")),
            ("etc/s6-overlay/s6-rc.d/z/run", Script("exec /srv/app/svc\n")),
        ],
        call: &["/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "a pipeline",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/s6-overlay/s6-rc.d/user/type", Settings("bundle\n")),
            ("etc/s6-overlay/s6-rc.d/user/contents.d/a-pipeline", Settings("")),
            ("etc/s6-overlay/s6-rc.d/a/type", Settings("longrun\n")),
            ("etc/s6-overlay/s6-rc.d/a/run", Script("#!/bin/sh\nexec sleep 9\n")),
            ("etc/s6-overlay/s6-rc.d/a/producer-for", Settings("a-log\n")),
            ("etc/s6-overlay/s6-rc.d/a-log/type", Settings("longrun\n")),
            ("etc/s6-overlay/s6-rc.d/a-log/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
            ("etc/s6-overlay/s6-rc.d/a-log/consumer-for", Settings("a\n")),
            ("etc/s6-overlay/s6-rc.d/a-log/pipeline-name", Settings("a-pipeline\n")),
        ],
        call: &["/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "services.d",
        files: &[
            ("init", Script("#!/usr/bin/execlineb -S0\ntrue\n")),
            ("etc/s6/init/x", Settings("x")),
            ("usr/bin/with-contenv", Program),
            ("etc/services.d/a/run", Script("#!/usr/bin/with-contenv sh\nexec /srv/app/svc\n")),
        ],
        call: &["/init"],
        faults: &[("no first line", &[("etc/services.d/a/run", Script("exec /srv/app/svc\n"))])],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "cont-init.d of version 2",
        files: &[
            ("init", Script("#!/usr/bin/execlineb -S0\ntrue\n")),
            ("etc/s6/init/x", Settings("x")),
            ("usr/bin/with-contenv", Program),
            ("etc/cont-init.d/10-a", Script("#!/usr/bin/with-contenv bash\n/srv/app/svc\n")),
        ],
        call: &["/init"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "the command",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
        ],
        call: &["/init", "/srv/app/svc", "x"],
        is_run: false,
        ..SERVICE
    },
    Service {
        name: "cont-init.d of version 3",
        files: &[
            ("init", Script("#!/bin/sh -e\nexec true\n")),
            ("package/admin/s6-overlay/etc/x", Settings("x")),
            ("command/with-contenv", Program),
            ("command/execlineb", Program),
            ("usr/bin/with-contenv", Program),
            ("etc/cont-init.d/10-a.sh", Script("#!/command/with-contenv sh\n/srv/app/svc\n")),
        ],
        call: &["/init"],
        is_run: false,
        ..SERVICE
    },
];
