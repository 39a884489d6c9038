//! Faults in files that may be executed: on PATH, by a script, by the health check, or not known to be used.

use super::*;
use Bytes::{Foreign, MachO, Musl, Native, Raw, Text, WindowsProgram, Zip};
use Put::File;

pub const PYTHON: &[Fault] = &[
    fault(
        "foreign program below a directory that a script changes to",
        &[
            File("srv/tool", 0o755, Foreign(TRUE)),
            File("entrypoint.sh", 0o755, Text("#!/bin/sh\ncd /srv && ./tool --once\nexec /usr/bin/true\n")),
        ],
        &["/entrypoint.sh"],
        ("foreign-called", "/srv/tool"),
    ),
    fault(
        "a script on PATH whose interpreter is foreign",
        &[
            File("usr/local/bin/lint", 0o755, Text("#!/opt/node/bin/node\n")),
            File("opt/node/bin/node", 0o755, Foreign(TRUE)),
        ],
        &[],
        ("foreign-called", "/opt/node/bin/node"),
    ),
    fault(
        "foreign program on PATH",
        &[File("usr/local/bin/tool", 0o755, Foreign(TRUE))],
        &["/usr/bin/python3.11"],
        ("foreign-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "foreign program that a script calls",
        &[
            File("srv/tool", 0o755, Foreign(TRUE)),
            File("srv/app", 0o755, Native(TRUE)),
            File("entrypoint.sh", 0o755, Text("#!/bin/sh\n/srv/tool --once\nexec /srv/app\n")),
        ],
        &["/entrypoint.sh"],
        ("foreign-called", "/srv/tool"),
    ),
    fault(
        "foreign file out of reach",
        &[File("opt/tool/run", 0o755, Foreign(TRUE))],
        &["/usr/bin/python3.11"],
        ("foreign-file", "/opt/tool/run"),
    ),
    fault(
        "archive on PATH",
        &[File("usr/local/bin/tool", 0o755, Raw(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"))],
        &["/usr/bin/python3.11"],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "Git LFS pointer on PATH",
        &[File("usr/local/bin/tool", 0o755, Text(LFS))],
        &["/usr/bin/python3.11"],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "musl on PATH in a glibc image",
        &[File("usr/local/bin/tool", 0o755, Musl(TRUE))],
        &[],
        ("program-no-loader", "/usr/local/bin/tool"),
    ),
    fault("musl out of reach", &[File("opt/tool/run", 0o755, Musl(TRUE))], &[], ("program-no-loader", "/opt/tool/run")),
    fault(
        "PE on PATH",
        &[File("usr/local/bin/tool", 0o755, WindowsProgram)],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "source text on PATH",
        &[File("usr/local/bin/tool", 0o755, Text(GO_SOURCE))],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "zip on PATH",
        &[File("usr/local/bin/tool", 0o755, Zip(&[("tool", Text("x"))]))],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "Not Found on PATH",
        &[File("usr/local/bin/tool", 0o755, Text("404: Not Found"))],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "foreign library that a program on PATH needs",
        &[File(PCRE, 0o644, Foreign(PCRE))],
        &[],
        ("foreign-library", "/usr/lib/aarch64-linux-gnu/libpcre2-8.so.0.11.2"),
    ),
    fault(
        "foreign program that a called script calls",
        &[
            File("srv/tool", 0o755, Foreign(TRUE)),
            File("srv/app", 0o755, Native(TRUE)),
            File("srv/migrate.sh", 0o755, Text("#!/bin/sh\nTOOL=/srv/tool\n$TOOL --once || true\n")),
            File("entrypoint.sh", 0o755, Text("#!/bin/sh\n/srv/migrate.sh\nexec /srv/app\n")),
        ],
        &["/entrypoint.sh"],
        ("foreign-called", "/srv/tool"),
    ),
    health(
        "foreign health check",
        &[File("srv/check", 0o755, Foreign(TRUE))],
        &["CMD", "/srv/check", "--fast"],
        ("healthcheck-fails", "/srv/check"),
    ),
    health(
        "foreign health check on PATH",
        &[File("usr/local/bin/check", 0o755, Foreign(TRUE))],
        &["CMD-SHELL", "check --fast || exit 1"],
        ("foreign-on-path", "/usr/local/bin/check"),
    ),
    health(
        "foreign program that a health check's script calls",
        &[
            File("srv/probe", 0o755, Foreign(TRUE)),
            File("srv/check.sh", 0o755, Text("#!/bin/sh\n/srv/probe && exit 0\nexit 1\n")),
        ],
        &["CMD", "/srv/check.sh"],
        ("healthcheck-fails", "/srv/probe"),
    ),
    health("missing health check", &[], &["CMD", "/srv/check"], ("healthcheck-fails", "/srv/check")),
    fault(
        "zero bytes instead of a called program",
        &[
            File("srv/tool", 0o755, Text("")),
            File("srv/app", 0o755, Native(TRUE)),
            File("entrypoint.sh", 0o755, Text("#!/bin/sh\n/srv/tool --once\nexec /srv/app\n")),
        ],
        &["/entrypoint.sh"],
        ("called-not-a-program", "/srv/tool"),
    ),
    fault(
        "Mach-O instead of a called program",
        &[
            File("srv/tool", 0o755, MachO),
            File("srv/app", 0o755, Native(TRUE)),
            File("entrypoint.sh", 0o755, Text("#!/bin/sh\nif /srv/tool; then echo; fi\nexec /srv/app\n")),
        ],
        &["/entrypoint.sh"],
        ("called-not-a-program", "/srv/tool"),
    ),
];

/// Go's source tree is full of foreign files. One more must still be found.
pub const GO: &[Fault] = &[
    fault(
        "the compiler itself",
        &[File("usr/lib/go-1.19/bin/go", 0o755, Foreign(TRUE))],
        &[],
        ("entrypoint-wrong-arch", "/usr/lib/go-1.19/bin/go"),
    ),
    fault(
        "a tool of the toolchain",
        &[File("usr/lib/go-1.19/pkg/tool/linux_arm64/compile", 0o755, Foreign(TRUE))],
        &[],
        ("foreign-file", "/usr/lib/go-1.19/pkg/tool/linux_arm64/compile"),
    ),
];

pub const MULTIARCH: &[Fault] = &[fault(
    "a library of a third architecture",
    &[File("usr/lib/aarch64-linux-gnu/libextra.so.1", 0o644, Foreign("usr/bin/true"))],
    &[],
    ("foreign-file", "/usr/lib/aarch64-linux-gnu/libextra.so.1"),
)];
