//! Faults in the container's start: the program, its loader and libraries, and the programs that wrappers and scripts
//! run.

use super::*;
use Bytes::{Foreign, MachO, Musl, Raw, Same, Text};
use Put::{File, Gone, Link};

pub const PYTHON: &[Fault] = &[
    fault(
        "foreign entrypoint",
        &[File("srv/app", 0o755, Foreign(TRUE))],
        &["/srv/app"],
        ("entrypoint-wrong-arch", "/srv/app"),
    ),
    fault(
        "foreign, through a link",
        &[File("srv/real", 0o755, Foreign(TRUE)), Link("usr/local/bin/app", "../../../srv/real")],
        &["app"],
        ("entrypoint-wrong-arch", "/srv/real"),
    ),
    fault(
        "foreign, through env",
        &[File("srv/app", 0o755, Foreign(TRUE))],
        &["/usr/bin/env", "A=1", "/srv/app"],
        ("entrypoint-wrong-arch", "/srv/app"),
    ),
    fault(
        "foreign, through sh -c",
        &[File("srv/app", 0o755, Foreign(TRUE))],
        &["/bin/sh", "-c", "exec /srv/app --x"],
        ("entrypoint-wrong-arch", "/srv/app"),
    ),
    fault(
        "foreign, through a script",
        &[File("srv/app", 0o755, Foreign(TRUE)), File("entrypoint.sh", 0o755, Text(SCRIPT))],
        &["/entrypoint.sh"],
        ("entrypoint-wrong-arch", "/srv/app"),
    ),
    fault(
        "foreign interpreter",
        &[
            File("srv/interpreter", 0o755, Foreign("usr/bin/python3.11")),
            File("srv/app", 0o755, Text("#!/srv/interpreter\nprint(1)\n")),
        ],
        &["/srv/app"],
        ("entrypoint-wrong-arch", "/srv/interpreter"),
    ),
    fault(
        "foreign library",
        &[File(LIBZ, 0o644, Foreign(LIBZ))],
        &["/usr/bin/python3.11"],
        ("entrypoint-missing-library", "/usr/lib/aarch64-linux-gnu/libz.so.1.2.13"),
    ),
    fault(
        "zero bytes instead of a library",
        &[File(LIBZ, 0o644, Text(""))],
        &["/usr/bin/python3.11"],
        ("entrypoint-missing-library", "/usr/lib/aarch64-linux-gnu/libz.so.1.2.13"),
    ),
    fault(
        "Git LFS pointer instead of a library",
        &[File(LIBZ, 0o644, Text(LFS))],
        &["/usr/bin/python3.11"],
        ("entrypoint-missing-library", "/usr/lib/aarch64-linux-gnu/libz.so.1.2.13"),
    ),
    fault(
        "foreign program that a script finds on PATH",
        &[
            File("usr/bin/python3.11", 0o755, Foreign("usr/bin/python3.11")),
            File("entrypoint.sh", 0o755, Text("#!/bin/sh\nset -e\nexec python3 -m http.server\n")),
        ],
        &["/entrypoint.sh"],
        ("entrypoint-wrong-arch", "/usr/bin/python3.11"),
    ),
    fault("missing library", &[Gone(LIBC)], &["/usr/bin/python3.11"], ("entrypoint-missing-library", "libc.so.6")),
    fault("missing loader", &[Gone(LOADER)], &["/usr/bin/true"], ("entrypoint-no-loader", "/usr/bin/true")),
    fault(
        "foreign loader",
        &[File(LOADER, 0o755, Foreign(LOADER))],
        &["/usr/bin/true"],
        ("entrypoint-bad-loader", "/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"),
    ),
    fault(
        "missing execute bit",
        &[File("usr/bin/python3.11", 0o644, Same)],
        &["/usr/bin/python3.11"],
        ("entrypoint-not-executable", "/usr/bin/python3.11"),
    ),
    fault("no program", &[], &["/srv/gone"], ("entrypoint-not-found", "/srv/gone")),
    fault("zero bytes", &[File("srv/app", 0o755, Text(""))], &["/srv/app"], ("entrypoint-not-a-program", "/srv/app")),
    fault(
        "Git LFS pointer",
        &[File("srv/app", 0o755, Text(LFS))],
        &["/srv/app"],
        ("entrypoint-not-a-program", "/srv/app"),
    ),
    fault("HTML", &[File("srv/app", 0o755, Text(HTML))], &["/srv/app"], ("entrypoint-not-a-program", "/srv/app")),
    fault(
        "Not Found",
        &[File("srv/app", 0o755, Text("Not Found\n"))],
        &["/srv/app"],
        ("entrypoint-not-a-program", "/srv/app"),
    ),
    fault(
        "CRLF",
        &[File("srv/app", 0o755, Text("#!/bin/sh\r\nexit 0\r\n"))],
        &["/srv/app"],
        ("entrypoint-bad-script", "/srv/app"),
    ),
    fault(
        "byte order mark",
        &[File("srv/app", 0o755, Text("\u{feff}#!/bin/sh\n"))],
        &["/srv/app"],
        ("entrypoint-not-a-program", "/srv/app"),
    ),
    fault("Mach-O", &[File("srv/app", 0o755, MachO)], &["/srv/app"], ("entrypoint-not-a-program", "/srv/app")),
    fault(
        "foreign, through tini and a script",
        &[File("srv/app", 0o755, Foreign(TRUE)), File("entrypoint.sh", 0o755, Text(SCRIPT))],
        &["/usr/bin/tini", "-g", "--", "/entrypoint.sh", "run"],
        ("entrypoint-wrong-arch", "/srv/app"),
    ),
    fault(
        "CRLF, through dumb-init",
        &[File("entrypoint.sh", 0o755, Text(CRLF))],
        &["dumb-init", "/entrypoint.sh"],
        ("entrypoint-bad-script", "/entrypoint.sh"),
    ),
    fault(
        "no execute bit, through tini",
        &[File("entrypoint.sh", 0o644, Text(SCRIPT))],
        &["tini", "--", "/entrypoint.sh"],
        ("entrypoint-not-executable", "/entrypoint.sh"),
    ),
    fault(
        "musl in a glibc image",
        &[File("srv/app", 0o755, Musl(TRUE))],
        &["/srv/app"],
        ("entrypoint-no-loader", "/srv/app"),
    ),
    fault(
        "source text as the program",
        &[File("srv/app", 0o755, Text(GO_SOURCE))],
        &["/srv/app"],
        ("entrypoint-not-a-program", "/srv/app"),
    ),
    fault(
        "archive as the program",
        &[File("srv/app", 0o755, Raw(GZIP))],
        &["/srv/app"],
        ("entrypoint-not-a-program", "/srv/app"),
    ),
];

pub const ALPINE: &[Fault] = &[fault(
    "no loader at all",
    &[Gone("usr/lib/ld-musl-aarch64.so.1")],
    &["/usr/bin/app"],
    ("entrypoint-no-loader", "/usr/bin/app"),
)];

pub const RUNNER: &[Fault] = &[fault(
    "the wrong copy among many",
    &[File("opt/agent/binaries/linux-arm64/agent", 0o755, Foreign(TRUE))],
    &[],
    ("entrypoint-wrong-arch", "/opt/agent/binaries/linux-arm64/agent"),
)];
