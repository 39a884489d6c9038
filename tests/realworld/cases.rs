//! The faults: what is put into which tree, and the finding that must come first.

use std::path::Path;

use super::expected::Tree;
use super::faults::{Bytes, Fault, Put};
use Bytes::{Foreign, ForeignSample, MachO, Musl, Native, Raw, Same, Text, WindowsProgram, Zip};
use Put::{File, Gone, Link};

const fn fault(
    name: &'static str,
    puts: &'static [Put],
    entrypoint: &'static [&'static str],
    first: (&'static str, &'static str),
) -> Fault {
    Fault { name, puts, entrypoint, healthcheck: &[], first }
}

/// The faults of a tree: those of every tree, and its own.
pub fn of<'a>(tree: &'a Tree, root: &'a Path) -> impl Iterator<Item = &'static Fault> + 'a {
    let own = OWN.iter().filter(|(name, _)| *name == tree.name).flat_map(|(_, faults)| faults.iter());
    let has_shell = root.join("usr/bin/sh").exists() || root.join("bin/sh").exists();
    EVERYWHERE.iter().chain(IN_A_SHELL.iter().filter(move |_| has_shell)).chain(own)
}

const OWN: &[(&str, &[Fault])] = &[
    ("python", PYTHON),
    ("python-wheels", WHEELS),
    ("node-npm", NODE),
    ("java", JAVA),
    ("ruby", RUBY),
    ("php", PHP),
    ("dotnet-like", DOTNET),
    ("go", GO),
    ("nginx", NGINX),
    ("postgresql", POSTGRESQL),
    ("alpine-like", ALPINE),
    ("armhf-on-arm64", MULTIARCH),
    ("ci-runner-like", RUNNER),
];

const SCRIPT: &str = "#!/bin/sh\nset -e\nexec /srv/app \"$@\"\n";
const TRUE: &str = "usr/bin/true";
const LIBC: &str = "usr/lib/aarch64-linux-gnu/libc.so.6";
const LOADER: &str = "usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1";
const LIBZ: &str = "usr/lib/aarch64-linux-gnu/libz.so.1.2.13";
const PCRE: &str = "usr/lib/aarch64-linux-gnu/libpcre2-8.so.0.11.2";
const NUMPY: &str = "usr/lib/python3/dist-packages/numpy/core/_multiarray_umath.cpython-311-aarch64-linux-gnu.so";
const NUMPY_FOUND: &str =
    "/usr/lib/python3/dist-packages/numpy/core/_multiarray_umath.cpython-311-aarch64-linux-gnu.so";
const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
const HTML: &str = "<!DOCTYPE html><html><body>Not Found</body></html>\n";
const CRLF: &str = "#!/bin/sh\r\nexit 0\r\n";
const BOM: &str = "\u{feff}#!/bin/sh\n";
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
const GO_SOURCE: &str = "package main\n\nfunc main() {}\n";

/// In every tree, for every architecture.
const EVERYWHERE: &[Fault] = &[
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
        "foreign behind a link on PATH",
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

const fn health(
    name: &'static str,
    puts: &'static [Put],
    healthcheck: &'static [&'static str],
    first: (&'static str, &'static str),
) -> Fault {
    Fault { name, puts, entrypoint: &[], healthcheck, first }
}

/// In every tree with a shell.
const IN_A_SHELL: &[Fault] = &[
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

const PYTHON: &[Fault] = &[
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
    fault("missing library", &[Gone(LIBC)], &["/usr/bin/python3.11"], ("entrypoint-missing-library", "libc.so.6")),
    fault("missing loader", &[Gone(LOADER)], &["/usr/bin/true"], ("entrypoint-no-loader", "/usr/bin/true")),
    fault(
        "foreign loader",
        &[File(LOADER, 0o755, Foreign(LOADER))],
        &["/usr/bin/true"],
        ("entrypoint-bad-loader", "/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"),
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
        "foreign extension module",
        &[File(NUMPY, 0o644, Foreign(NUMPY))],
        &["/usr/bin/python3.11"],
        (
            "foreign-extension",
            "/usr/lib/python3/dist-packages/numpy/core/_multiarray_umath.cpython-311-aarch64-linux-gnu.so",
        ),
    ),
    fault(
        "npm package of another platform",
        &[File("srv/node_modules/@rollup/rollup-linux-x64-gnu/rollup.linux-x64-gnu.node", 0o644, Foreign(LIBZ))],
        &["/usr/bin/python3.11"],
        ("package-other-platform", "/srv/node_modules/@rollup/rollup-linux-x64-gnu/rollup.linux-x64-gnu.node"),
    ),
    fault(
        "foreign file out of reach",
        &[File("opt/tool/run", 0o755, Foreign(TRUE))],
        &["/usr/bin/python3.11"],
        ("foreign-file", "/opt/tool/run"),
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
        "musl, where glibc is",
        &[File("srv/app", 0o755, Musl(TRUE))],
        &["/srv/app"],
        ("entrypoint-no-loader", "/srv/app"),
    ),
    fault(
        "musl on PATH, where glibc is",
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
        "source text as the program",
        &[File("srv/app", 0o755, Text(GO_SOURCE))],
        &["/srv/app"],
        ("entrypoint-not-a-program", "/srv/app"),
    ),
    fault(
        "zip on PATH",
        &[File("usr/local/bin/tool", 0o755, Zip(&[("tool", Text("x"))]))],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault(
        "archive as the program",
        &[File("srv/app", 0o755, Raw(GZIP))],
        &["/srv/app"],
        ("entrypoint-not-a-program", "/srv/app"),
    ),
    fault(
        "Not Found on PATH",
        &[File("usr/local/bin/tool", 0o755, Text("404: Not Found"))],
        &[],
        ("bad-program-on-path", "/usr/local/bin/tool"),
    ),
    fault("zero bytes where a module was", &[File(NUMPY, 0o644, Text(""))], &[], ("broken-extension", NUMPY_FOUND)),
    fault(
        "Git LFS pointer where a module was",
        &[File(NUMPY, 0o644, Text(LFS))],
        &[],
        ("broken-extension", NUMPY_FOUND),
    ),
    fault("HTML where a module was", &[File(NUMPY, 0o644, Text(HTML))], &[], ("broken-extension", NUMPY_FOUND)),
    fault("Mach-O where a module was", &[File(NUMPY, 0o644, MachO)], &[], ("broken-extension", NUMPY_FOUND)),
    fault(
        "a module named for another machine",
        &[
            Gone(NUMPY),
            File(
                "usr/lib/python3/dist-packages/numpy/core/_multiarray_umath.cpython-311-x86_64-linux-gnu.so",
                0o644,
                Native(NUMPY),
            ),
        ],
        &[],
        (
            "package-other-platform",
            "/usr/lib/python3/dist-packages/numpy/core/_multiarray_umath.cpython-311-x86_64-linux-gnu.so",
        ),
    ),
    fault(
        "foreign library deep in site-packages",
        &[File("usr/local/lib/python3.11/dist-packages/pillow.libs/libjpeg-bf8e.so.62.4.0", 0o644, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/usr/local/lib/python3.11/dist-packages/pillow.libs/libjpeg-bf8e.so.62.4.0"),
    ),
    fault(
        "foreign module of an application",
        &[File("srv/app/fast.cpython-311-x86_64-linux-gnu.so", 0o644, Foreign(NUMPY))],
        &[],
        ("foreign-extension", "/srv/app/fast.cpython-311-x86_64-linux-gnu.so"),
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
        ("foreign-called", "/srv/probe"),
    ),
    health("health check that is not there", &[], &["CMD", "/srv/check"], ("healthcheck-fails", "/srv/check")),
    fault(
        "zero bytes where a script calls",
        &[
            File("srv/tool", 0o755, Text("")),
            File("srv/app", 0o755, Native(TRUE)),
            File("entrypoint.sh", 0o755, Text("#!/bin/sh\n/srv/tool --once\nexec /srv/app\n")),
        ],
        &["/entrypoint.sh"],
        ("called-not-a-program", "/srv/tool"),
    ),
    fault(
        "Mach-O where a script calls",
        &[
            File("srv/tool", 0o755, MachO),
            File("srv/app", 0o755, Native(TRUE)),
            File("entrypoint.sh", 0o755, Text("#!/bin/sh\nif /srv/tool; then echo; fi\nexec /srv/app\n")),
        ],
        &["/entrypoint.sh"],
        ("called-not-a-program", "/srv/tool"),
    ),
];

const WHEEL: &str = "usr/local/lib/python3.11/dist-packages/numpy-0.dist-info/WHEEL";
const WHEEL_FOUND: (&str, &str) =
    ("package-other-platform", "/usr/local/lib/python3.11/dist-packages/numpy-0.dist-info/WHEEL");

const WHEELS: &[Fault] = &[
    fault(
        "WHEEL of another architecture",
        &[File(WHEEL, 0o644, Text("Tag: cp311-cp311-manylinux_2_28_x86_64\n"))],
        &[],
        WHEEL_FOUND,
    ),
    fault(
        "WHEEL of another system",
        &[File(WHEEL, 0o644, Text("Tag: cp311-cp311-macosx_11_0_arm64\n"))],
        &[],
        WHEEL_FOUND,
    ),
    fault(
        "WHEEL of another C library",
        &[File(WHEEL, 0o644, Text("Tag: cp311-cp311-musllinux_1_2_aarch64\n"))],
        &[],
        WHEEL_FOUND,
    ),
    fault(
        "a wheel that waits, of another architecture",
        &[File(
            "wheels/x-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",
            0o644,
            Zip(&[
                ("x/_x.so", Foreign(TRUE)),
                ("x-1.0.dist-info/WHEEL", Text("Tag: cp311-cp311-manylinux_2_28_x86_64\n")),
            ]),
        )],
        &[],
        ("package-other-platform", "/wheels/x-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"),
    ),
];

const NODE: &[Fault] = &[
    fault(
        "an addon for another architecture",
        &[File("srv/app/node_modules/better-sqlite3/build/Release/better_sqlite3.node", 0o755, Foreign(TRUE))],
        &[],
        ("foreign-extension", "/srv/app/node_modules/better-sqlite3/build/Release/better_sqlite3.node"),
    ),
    fault(
        "an addon from a Mac",
        &[File("srv/app/node_modules/better-sqlite3/build/Release/better_sqlite3.node", 0o755, MachO)],
        &[],
        ("broken-extension", "/srv/app/node_modules/better-sqlite3/build/Release/better_sqlite3.node"),
    ),
    fault(
        "rollup for another architecture only",
        &[
            Gone("srv/app/node_modules/@rollup/rollup-linux-arm64-gnu"),
            File("srv/app/node_modules/@rollup/rollup-linux-x64-gnu/rollup.linux-x64-gnu.node", 0o755, Foreign(TRUE)),
        ],
        &[],
        ("package-other-platform", "/srv/app/node_modules/@rollup/rollup-linux-x64-gnu/rollup.linux-x64-gnu.node"),
    ),
    fault(
        "esbuild from a Mac only",
        &[
            Gone("srv/app/node_modules/@esbuild/linux-arm64"),
            File("srv/app/node_modules/@esbuild/darwin-arm64/bin/esbuild", 0o755, MachO),
            File(
                "srv/app/node_modules/@esbuild/darwin-arm64/package.json",
                0o644,
                Text("{\"name\":\"@esbuild/darwin-arm64\",\"os\":[\"darwin\"],\"cpu\":[\"arm64\"]}"),
            ),
        ],
        &[],
        ("package-other-platform", "/srv/app/node_modules/esbuild/package.json"),
    ),
    fault(
        "lightningcss for musl only",
        &[
            Gone("srv/app/node_modules/lightningcss-linux-arm64-gnu"),
            File(
                "srv/app/node_modules/lightningcss-linux-arm64-musl/lightningcss.linux-arm64-musl.node",
                0o755,
                Native(LIBZ),
            ),
        ],
        &[],
        ("package-other-platform", "/srv/app/node_modules/lightningcss/package.json"),
    ),
    fault(
        "prebuilds without this platform",
        &[Gone("srv/app/node_modules/bcrypt/prebuilds/linux-arm64")],
        &[],
        ("package-other-platform", "/srv/app/node_modules/bcrypt/prebuilds/linux-x64/bcrypt.glibc.node"),
    ),
    fault(
        "the right place and the wrong bytes",
        &[
            Gone("srv/app/node_modules/bcrypt/prebuilds/linux-arm64/bcrypt.musl.node"),
            File("srv/app/node_modules/bcrypt/prebuilds/linux-arm64/bcrypt.glibc.node", 0o644, Foreign(TRUE)),
        ],
        &[],
        ("foreign-extension", "/srv/app/node_modules/bcrypt/prebuilds/linux-arm64/bcrypt.glibc.node"),
    ),
];

const MANIFEST: (&str, Bytes) = ("META-INF/MANIFEST.MF", Text("Manifest-Version: 1.0\n"));

const JAVA: &[Fault] = &[
    fault(
        "a jar without this platform",
        &[File(
            "app/lib/snappy.jar",
            0o644,
            Zip(&[MANIFEST, ("org/xerial/snappy/native/Linux/x86_64/libsnappyjava.so", Foreign(LIBZ))]),
        )],
        &[],
        ("jar-without-platform", "/app/lib/snappy.jar"),
    ),
    fault(
        "one of two parts of a fat jar without this platform",
        &[File(
            "app/all.jar",
            0o644,
            Zip(&[
                MANIFEST,
                (
                    "BOOT-INF/lib/a.jar",
                    Zip(&[("native/linux-x64/liba.so", Foreign(LIBZ)), ("native/linux-arm64/liba.so", Native(LIBZ))]),
                ),
                ("BOOT-INF/lib/b.jar", Zip(&[("native/linux-x64/libb.so", Foreign(LIBZ))])),
            ]),
        )],
        &[],
        ("jar-without-platform", "/app/all.jar"),
    ),
    fault(
        "a library of the JVM's own",
        &[File("usr/lib/jvm/java-17-openjdk-arm64/lib/libnio.so", 0o644, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/usr/lib/jvm/java-17-openjdk-arm64/lib/libnio.so"),
    ),
    fault(
        "a JNI library",
        &[File("usr/lib/aarch64-linux-gnu/jni/libother.so", 0o644, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/usr/lib/aarch64-linux-gnu/jni/libother.so"),
    ),
];

const RUBY: &[Fault] = &[
    fault(
        "a gem's extension",
        &[File("var/lib/gems/3.1.0/gems/nokogiri-1.15.4/lib/nokogiri/nokogiri.so", 0o755, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/var/lib/gems/3.1.0/gems/nokogiri-1.15.4/lib/nokogiri/nokogiri.so"),
    ),
    fault(
        "a gem for another platform",
        &[File(
            "var/lib/gems/3.1.0/gems/nokogiri-1.15.4-x86_64-linux/lib/nokogiri/3.1/nokogiri.so",
            0o755,
            Foreign(LIBZ),
        )],
        &[],
        (
            "package-other-platform",
            "/var/lib/gems/3.1.0/gems/nokogiri-1.15.4-x86_64-linux/lib/nokogiri/3.1/nokogiri.so",
        ),
    ),
];

const PHP: &[Fault] = &[fault(
    "an extension",
    &[File("usr/lib/php/20220829/redis.so", 0o644, Foreign(LIBZ))],
    &[],
    ("foreign-extension", "/usr/lib/php/20220829/redis.so"),
)];

const DOTNET: &[Fault] = &[
    fault(
        "natives without this platform",
        &[Gone("app/runtimes/linux-arm64")],
        &[],
        ("package-other-platform", "/app/runtimes/linux-x64/native/libe_sqlite3.so"),
    ),
    fault(
        "a library of the run-time's own",
        &[File("usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.8/libSystem.Native.so", 0o755, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.8/libSystem.Native.so"),
    ),
];

/// Go's own tree is full of foreign files; one more is seen all the same.
const GO: &[Fault] = &[
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

const NGINX: &[Fault] = &[fault(
    "a module of nginx",
    &[File("usr/lib/nginx/modules/ngx_http_brotli_filter_module.so", 0o644, ForeignSample)],
    &[],
    ("foreign-extension", "/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so"),
)];

const POSTGRESQL: &[Fault] = &[fault(
    "an extension of PostgreSQL",
    &[File("usr/lib/postgresql/15/lib/vector.so", 0o644, ForeignSample)],
    &[],
    ("foreign-extension", "/usr/lib/postgresql/15/lib/vector.so"),
)];

const ALPINE: &[Fault] = &[fault(
    "no loader at all",
    &[Gone("usr/lib/ld-musl-aarch64.so.1")],
    &["/usr/bin/app"],
    ("entrypoint-no-loader", "/usr/bin/app"),
)];

const MULTIARCH: &[Fault] = &[fault(
    "a library of a third architecture",
    &[File("usr/lib/aarch64-linux-gnu/libextra.so.1", 0o644, Foreign("usr/bin/true"))],
    &[],
    ("foreign-file", "/usr/lib/aarch64-linux-gnu/libextra.so.1"),
)];

const RUNNER: &[Fault] = &[fault(
    "the wrong copy of many",
    &[File("opt/agent/binaries/linux-arm64/agent", 0o755, Foreign(TRUE))],
    &[],
    ("entrypoint-wrong-arch", "/opt/agent/binaries/linux-arm64/agent"),
)];
