//! runit, daemontools and monit: services, each with its faults.

use super::Content::*;
use super::{Group, SERVICE, Service};

pub const GROUPS: &[Group] = &[
    Group { name: "runit", services: RUNIT },
    Group { name: "daemontools", services: DAEMONTOOLS },
    Group { name: "monit", services: MONIT },
];

const RUNIT: &[Service] = &[
    Service {
        name: "a run script with chpst",
        files: &[("opt/service/a/run", Script("#!/bin/sh\nexec 2>&1\nexec chpst -u abc /srv/app/svc\n"))],
        call: &["/usr/bin/runsvdir", "-P", "/opt/service"],
        faults: &[
            ("no first line", &[("opt/service/a/run", Script("exec /srv/app/svc\n"))]),
            ("not executable", &[("opt/service/a/run", Settings("#!/bin/sh\nexec /srv/app/svc\n"))]),
        ],
        ..SERVICE
    },
    Service {
        name: "a logger",
        files: &[
            ("opt/service/a/run", Script("#!/bin/sh\nexec sleep 100\n")),
            ("opt/service/a/log/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
        ],
        call: &["/usr/bin/runsvdir", "-P", "/opt/service"],
        ..SERVICE
    },
    Service {
        name: "one service",
        files: &[("opt/service/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n"))],
        call: &["/usr/bin/runsv", "/opt/service/a"],
        ..SERVICE
    },
    Service {
        name: "chpst",
        files: &[],
        call: &["/usr/bin/chpst", "-u", "abc", "-o", "1024", "/srv/app/svc"],
        ..SERVICE
    },
    Service {
        name: "a service that is down",
        files: &[
            ("opt/service/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
            ("opt/service/b/run", Script("exec /srv/app/svc\n")),
            ("opt/service/b/down", Settings("")),
        ],
        call: &["/usr/bin/runsvdir", "-P", "/opt/service"],
        ..SERVICE
    },
    Service {
        name: "a file with settings",
        files: &[
            ("opt/service/a/run", Script("#!/bin/sh\n. /etc/default/a\nexec $DAEMON $OPTS\n")),
            ("etc/default/a", Settings("DAEMON=/srv/app/svc\nOPTS=\"--x\"\n")),
        ],
        call: &["/usr/bin/runsvdir", "-P", "/opt/service"],
        ..SERVICE
    },
    Service {
        name: "an entry script",
        files: &[
            (
                "usr/local/my_start",
                Script(
                    "#!/bin/bash\nfor f in /etc/pre.d/*; do [ -x \"$f\" ] && \"$f\"; done\nexec env - PATH=$PATH runsvdir -P /opt/service\n",
                ),
            ),
            ("opt/service/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n")),
            ("etc/pre.d/a", Script("#!/bin/sh\necho pre\n")),
        ],
        call: &["/usr/local/my_start"],
        ..SERVICE
    },
    Service {
        name: "a link to a service",
        files: &[("etc/service/a", Link("/etc/sv/a")), ("etc/sv/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n"))],
        call: &["/usr/bin/runsvdir", "-P", "/etc/service"],
        faults: &[
            ("dangling link", &[("etc/service/a", Link("/etc/sv/b"))]),
            ("another name", &[("etc/sv/a/run", Gone), ("etc/sv/a/run.sh", Script("#!/bin/sh\nexec /srv/app/svc\n"))]),
        ],
        ..SERVICE
    },
];

const DAEMONTOOLS: &[Service] = &[
    Service {
        name: "a run script",
        files: &[("opt/service/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n"))],
        call: &["/usr/bin/svscan", "/opt/service"],
        faults: &[("no first line", &[("opt/service/a/run", Script("exec /srv/app/svc\n"))])],
        ..SERVICE
    },
    Service {
        name: "one service",
        files: &[("opt/service/a/run", Script("#!/bin/sh\nexec /srv/app/svc\n"))],
        call: &["/usr/bin/supervise", "/opt/service/a"],
        ..SERVICE
    },
    Service { name: "setuidgid", files: &[], call: &["/usr/bin/setuidgid", "abc", "/srv/app/svc"], ..SERVICE },
    Service {
        name: "envdir",
        files: &[("etc/env/A", Settings("1"))],
        call: &["/usr/bin/envdir", "/etc/env", "/srv/app/svc"],
        ..SERVICE
    },
    Service {
        name: "softlimit",
        files: &[],
        call: &["/usr/bin/softlimit", "-m", "200000000", "/srv/app/svc"],
        ..SERVICE
    },
];

const MONIT: &[Service] = &[
    Service {
        name: "a process",
        files: &[(
            "etc/m.rc",
            Secret(
                "set daemon 2\nset pidfile /run/m.pid\nset idfile /run/m.id\nset statefile /run/m.state\ncheck process a with pidfile /run/a.pid\n  start program = \"/srv/app/svc --x\"\n  stop program = \"/bin/true\"\n",
            ),
        )],
        call: &["/usr/bin/monit", "-I", "-c", "/etc/m.rc"],
        ..SERVICE
    },
    Service {
        name: "an included file and a user",
        files: &[
            (
                "etc/m.rc",
                Secret(
                    "set daemon 2\nset pidfile /run/m.pid\nset idfile /run/m.id\nset statefile /run/m.state\ninclude /etc/mon.d/*.cfg\n",
                ),
            ),
            (
                "etc/mon.d/a.cfg",
                Secret(
                    "check process a matching \"nosuchproc\"\n  start program = \"/srv/run.sh\" as uid abc and gid abc with timeout 3 seconds\n",
                ),
            ),
            ("srv/run.sh", Script("#!/bin/sh\nexec /srv/app/svc\n")),
        ],
        call: &["/usr/bin/monit", "-I", "-c", "/etc/m.rc"],
        faults: &[("no first line", &[("srv/run.sh", Script("exec /srv/app/svc\n"))])],
        ..SERVICE
    },
    Service {
        name: "a program that is checked",
        files: &[(
            "etc/m.rc",
            Secret(
                "set daemon 2\nset pidfile /run/m.pid\nset idfile /run/m.id\nset statefile /run/m.state\ncheck program a with path \"/srv/app/svc --x\"\n  if status != 0 then alert\n",
            ),
        )],
        call: &["/usr/bin/monit", "-I", "-c", "/etc/m.rc"],
        faults: &[(
            "mode 0644",
            &[(
                "etc/m.rc",
                Settings(
                    "set daemon 2\nset pidfile /run/m.pid\nset idfile /run/m.id\nset statefile /run/m.state\ncheck program a with path \"/srv/app/svc --x\"\n  if status != 0 then alert\n",
                ),
            )],
        )],
        ..SERVICE
    },
];
