//! Faults for every tree and every architecture.

use super::*;
use Bytes::{ForeignSample, MachO, Text, WindowsProgram};
use Put::{File, Link};

/// For every tree and every architecture.
pub const EVERYWHERE: &[Fault] = &[
    fault(
        "foreign entrypoint",
        &[File("srv/bin/main", 0o755, ForeignSample)],
        &["/srv/bin/main"],
        ("entrypoint-wrong-arch", "/srv/bin/main"),
    ),
    fault(
        "foreign on PATH",
        &[File("usr/local/bin/tool", 0o755, ForeignSample)],
        &[],
        ("foreign-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "foreign through a link on PATH",
        &[
            File("opt/tool/1.0/run", 0o755, ForeignSample),
            Link("opt/tool/current", "1.0"),
            Link("usr/local/bin/tool", "/opt/tool/current/run"),
        ],
        &[],
        ("foreign-on-path", "/opt/tool/1.0/run"),
    ),
    fault(
        "foreign, out of reach",
        &[File("opt/tool/run", 0o755, ForeignSample)],
        &[],
        ("foreign-file", "/opt/tool/run"),
    ),
    fault(
        "zero bytes",
        &[File("srv/bin/main", 0o755, Text(""))],
        &["/srv/bin/main"],
        ("entrypoint-not-a-program", "/srv/bin/main"),
    ),
    fault(
        "zero bytes on PATH",
        &[File("usr/local/bin/tool", 0o755, Text(""))],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "Mach-O",
        &[File("srv/bin/main", 0o755, MachO)],
        &["/srv/bin/main"],
        ("entrypoint-not-a-program", "/srv/bin/main"),
    ),
    fault(
        "Mach-O on PATH",
        &[File("usr/local/bin/tool", 0o755, MachO)],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault("Mach-O, out of reach", &[File("opt/tool/run", 0o755, MachO)], &[], ("foreign-file", "/opt/tool/run")),
    fault(
        "PE",
        &[File("srv/bin/main", 0o755, WindowsProgram)],
        &["/srv/bin/main"],
        ("entrypoint-not-a-program", "/srv/bin/main"),
    ),
    fault(
        "HTML on PATH",
        &[File("usr/local/bin/tool", 0o755, Text(HTML))],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "no execute bit",
        &[File("srv/bin/main", 0o644, ForeignSample)],
        &["/srv/bin/main"],
        ("entrypoint-not-executable", "/srv/bin/main"),
    ),
];

/// For every tree with a shell.
pub const IN_A_SHELL: &[Fault] = &[
    fault(
        "foreign, two scripts deep",
        &[
            File("srv/bin/main", 0o755, ForeignSample),
            File("srv/start.sh", 0o755, Text("#!/bin/sh\nexec /srv/bin/main\n")),
            File("entrypoint.sh", 0o755, Text("#!/bin/sh\nset -eu\nexec /srv/start.sh \"$@\"\n")),
        ],
        &["/entrypoint.sh"],
        ("entrypoint-wrong-arch", "/srv/bin/main"),
    ),
    fault(
        "CRLF",
        &[File("srv/bin/main", 0o755, Text(CRLF))],
        &["/srv/bin/main"],
        ("entrypoint-bad-script", "/srv/bin/main"),
    ),
    fault(
        "CRLF on PATH",
        &[File("usr/local/bin/tool", 0o755, Text(CRLF))],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "BOM on PATH",
        &[File("usr/local/bin/tool", 0o755, Text(BOM))],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
];
