//! The trees, the faults that are put into them, and the finding that must come first.

/// When a tree is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Always,
    Whole,
}

/// A healthy root file system.
pub struct Tree {
    pub name: &'static str,
    /// Debian's architectures, the image's own first.
    pub architectures: &'static str,
    pub packages: &'static [&'static str],
    pub entrypoint: &'static str,
    pub part: Part,
}

const fn tree(name: &'static str, packages: &'static [&'static str], entrypoint: &'static str, part: Part) -> Tree {
    Tree { name, architectures: "arm64", packages, entrypoint, part }
}

pub const TREES: &[Tree] = &[
    tree("python", &["python3-numpy", "python3-pip", "python3-setuptools"], "/usr/bin/python3.11", Part::Always),
    tree("go", &["golang-go"], "/usr/lib/go-1.19/bin/go", Part::Always),
    tree("cross-gcc", &["gcc-x86-64-linux-gnu"], "/usr/bin/x86_64-linux-gnu-gcc-12", Part::Whole),
    tree("node", &["nodejs"], "/usr/bin/nodejs", Part::Whole),
    tree(
        "java",
        &["openjdk-17-jre-headless", "libnetty-java", "libsnappy-java", "libjna-java", "libjffi-java"],
        "/usr/lib/jvm/java-17-openjdk-arm64/bin/java",
        Part::Whole,
    ),
    tree("ruby", &["ruby", "ruby-nokogiri", "ruby-ffi"], "/usr/bin/ruby3.1", Part::Whole),
    tree("php", &["php-cli", "php-mysql", "php-gd", "php-fpm"], "/usr/bin/php8.2", Part::Whole),
    tree("rust", &["rustc", "libstd-rust-dev-wasm32"], "/usr/bin/rustc", Part::Whole),
    tree("llvm", &["clang", "llvm", "lld"], "/usr/lib/llvm-14/bin/clang", Part::Whole),
    tree("qemu", &["qemu-user-static", "qemu-system-arm"], "/usr/bin/qemu-x86_64-static", Part::Whole),
    tree("kernel", &["linux-image-arm64", "grub-efi-arm64-bin", "u-boot-rpi"], "/bin/bash", Part::Whole),
    tree("busybox", &["busybox-static"], "/bin/busybox", Part::Whole),
    tree("nginx", &["nginx-light", "tini", "curl"], "/usr/sbin/nginx", Part::Whole),
    tree("postgresql", &["postgresql-15"], "/usr/lib/postgresql/15/bin/postgres", Part::Whole),
    tree("redis", &["redis-server", "memcached", "haproxy"], "/usr/bin/redis-server", Part::Whole),
    tree("git", &["git", "openssh-server", "man-db", "systemd"], "/usr/bin/git", Part::Whole),
    tree("boot-roms", &["ovmf", "seabios", "ipxe-qemu", "syslinux-common"], "/bin/bash", Part::Whole),
    Tree {
        name: "armhf-on-arm64",
        architectures: "arm64,armhf",
        packages: &["libc6:armhf", "libstdc++6:armhf", "zlib1g:armhf"],
        entrypoint: "/bin/bash",
        part: Part::Whole,
    },
];

/// What a file is made of.
pub enum Bytes {
    Text(&'static str),
    Raw(&'static [u8]),
    /// The file that was at this path.
    Same,
    /// A copy of another file of the tree.
    Native(&'static str),
    /// A copy of another file of the tree, for another architecture.
    Foreign(&'static str),
}

/// One change to a tree. Paths are relative to its root.
pub enum Put {
    File(&'static str, u32, Bytes),
    Link(&'static str, &'static str),
    Gone(&'static str),
}

impl Put {
    pub fn path(&self) -> &'static str {
        match self {
            Put::File(path, ..) | Put::Link(path, _) | Put::Gone(path) => path,
        }
    }
}

pub struct Fault {
    pub tree: &'static str,
    pub name: &'static str,
    pub puts: &'static [Put],
    pub entrypoint: &'static [&'static str],
    /// Code and path of the first finding.
    pub first: (&'static str, &'static str),
}

/// A fault in the tree that is always built.
const fn fault(
    name: &'static str,
    puts: &'static [Put],
    entrypoint: &'static [&'static str],
    first: (&'static str, &'static str),
) -> Fault {
    Fault { tree: "python", name, puts, entrypoint, first }
}

use Bytes::{Foreign, Native, Raw, Same, Text};
use Put::{File, Gone, Link};

const SCRIPT: &str = "#!/bin/sh\nset -e\nexec /srv/app \"$@\"\n";
const TRUE: &str = "usr/bin/true";
const LIBC: &str = "usr/lib/aarch64-linux-gnu/libc.so.6";
const LOADER: &str = "usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1";
const LIBZ: &str = "usr/lib/aarch64-linux-gnu/libz.so.1.2.13";
const NUMPY: &str = "usr/lib/python3/dist-packages/numpy/core/_multiarray_umath.cpython-311-aarch64-linux-gnu.so";
const MACH_O: &[u8] = b"\xcf\xfa\xed\xfe\x07\x00\x00\x01\x03\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
const HTML: &str = "<!DOCTYPE html><html><body>Not Found</body></html>\n";

pub const FAULTS: &[Fault] = &[
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
    fault("Mach-O", &[File("srv/app", 0o755, Raw(MACH_O))], &["/srv/app"], ("entrypoint-not-a-program", "/srv/app")),
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
];
