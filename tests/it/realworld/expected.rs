//! The trees: their content, their platform, and the command that is started in them.

use super::faults::{Bytes, Put};

/// When a tree is tested.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Always,
    Whole,
}

/// The content of a tree in addition to its packages and their dependencies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Debian's packages of priority "required": a shell, coreutils, apt.
    Debian,
    /// Nothing, as in images without a shell.
    Bare,
}

/// The builds to request from PyPI and npm.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Libc {
    Glibc,
    Musl,
}

/// A healthy root file system.
pub struct Tree {
    pub name: &'static str,
    /// In the form of `--target`.
    pub target: &'static str,
    /// Debian's names of the architectures, the image's own first.
    pub architectures: &'static str,
    pub suite: &'static str,
    pub base: Base,
    pub libc: Libc,
    pub packages: &'static [&'static str],
    /// From PyPI, as wheels for the tree's platform.
    pub pip: &'static [&'static str],
    /// From npm, for the tree's platform.
    pub npm: &'static [&'static str],
    /// Files that do not come from a package.
    pub made: &'static [Put],
    /// A program of the tree, from which faults are built.
    pub sample: &'static str,
    pub entrypoint: &'static str,
    /// The arguments of the entrypoint.
    pub cmd: &'static [&'static str],
    pub part: Part,
}

const fn tree(
    name: &'static str,
    target: &'static str,
    architectures: &'static str,
    packages: &'static [&'static str],
    entrypoint: &'static str,
) -> Tree {
    Tree {
        name,
        target,
        architectures,
        suite: "bookworm",
        base: Base::Debian,
        libc: Libc::Glibc,
        packages,
        pip: &[],
        npm: &[],
        made: &[],
        sample: "usr/bin/true",
        entrypoint,
        cmd: &[],
        part: Part::Whole,
    }
}

pub const fn arm64(name: &'static str, packages: &'static [&'static str], entrypoint: &'static str) -> Tree {
    tree(name, "linux/arm64", "arm64", packages, entrypoint)
}

pub const fn amd64(name: &'static str, packages: &'static [&'static str], entrypoint: &'static str) -> Tree {
    tree(name, "linux/amd64", "amd64", packages, entrypoint)
}

const LIBZ: &str = "usr/lib/aarch64-linux-gnu/libz.so.1.2.13";
const TRUE: &str = "usr/bin/true";

/// The output of `dotnet publish` next to the runtime: native libraries for each platform that the packages support.
const DOTNET: &[Put] = &[
    Put::File("usr/share/dotnet/dotnet", 0o755, Bytes::Native(TRUE)),
    Put::File("usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.8/libcoreclr.so", 0o755, Bytes::Native(LIBZ)),
    Put::File("srv/whole/libcoreclr.so", 0o755, Bytes::Native(LIBZ)),
    Put::File("srv/whole/libSystem.Native.so", 0o755, Bytes::Native(LIBZ)),
    Put::File("srv/whole/whole", 0o755, Bytes::Native(TRUE)),
    Put::File("app/app.dll", 0o644, Bytes::Assembly),
    Put::File("app/app.runtimeconfig.json", 0o644, Bytes::Text("{}\n")),
    Put::File("app/runtimes/linux-x64/native/libe_sqlite3.so", 0o644, Bytes::Foreign(LIBZ)),
    Put::File("app/runtimes/linux-arm64/native/libe_sqlite3.so", 0o644, Bytes::Native(LIBZ)),
    Put::File("app/runtimes/win-x64/native/e_sqlite3.dll", 0o644, Bytes::WindowsLibrary),
    Put::File("app/runtimes/osx-arm64/native/libe_sqlite3.dylib", 0o644, Bytes::MachO),
    Put::File(
        "root/.nuget/packages/lib/1.0.0/lib.1.0.0.nupkg",
        0o644,
        Bytes::Zip(&[
            ("runtimes/linux-x64/native/liba.so", Bytes::Foreign(LIBZ)),
            ("runtimes/linux-arm64/native/liba.so", Bytes::Native(LIBZ)),
        ]),
    ),
];

/// The working directory of `terraform init` and kubectl plugins, for this platform and for others.
const TERRAFORM: &[Put] = &[
    Put::File(
        "work/.terraform/providers/registry.terraform.io/hashicorp/null/3.2.2/linux_amd64/terraform-provider-null_v3.2.2_x5",
        0o755,
        Bytes::Foreign(TRUE),
    ),
    Put::File(
        "work/.terraform/providers/registry.terraform.io/hashicorp/null/3.2.2/linux_arm64/terraform-provider-null_v3.2.2_x5",
        0o755,
        Bytes::Native(TRUE),
    ),
    Put::File(
        "usr/share/terraform/plugins/registry.terraform.io/hashicorp/tls/4.0.5/linux_arm64/terraform-provider-tls_v4.0.5_x5",
        0o755,
        Bytes::Native(TRUE),
    ),
    Put::File("root/.krew/store/ns/v0.9.5/linux-arm64/kubectl-ns", 0o755, Bytes::Native(TRUE)),
    Put::File(
        "work/.terraform/providers/registry.terraform.io/hashicorp/null/3.2.2/darwin_arm64/terraform-provider-null_v3.2.2_x5",
        0o755,
        Bytes::MachO,
    ),
    Put::File(
        "usr/share/terraform/plugins/registry.terraform.io/hashicorp/tls/4.0.5/linux_amd64/terraform-provider-tls_v4.0.5_x5",
        0o755,
        Bytes::Foreign(TRUE),
    ),
    Put::File("root/.krew/store/ns/v0.9.5/linux-amd64/kubectl-ns", 0o755, Bytes::Foreign(TRUE)),
];

/// The files of a CI runner: a copy of its helper for each platform.
const RUNNER: &[Put] = &[
    Put::File("usr/lib/runner/helpers/helper.x86_64", 0o755, Bytes::Foreign(TRUE)),
    Put::File("usr/lib/runner/helpers/helper.arm64", 0o755, Bytes::Native(TRUE)),
    Put::File("opt/agent/binaries/windows-amd64/agent.exe", 0o755, Bytes::WindowsProgram),
    Put::File("opt/agent/binaries/linux-amd64/agent", 0o755, Bytes::Foreign(TRUE)),
    Put::File("opt/agent/binaries/linux-arm64/agent", 0o755, Bytes::Native(TRUE)),
];

const SQLITE: &[Put] = &[Put::File(
    "srv/app/node_modules/better-sqlite3/build/Release/better_sqlite3.node",
    0o755,
    Bytes::Native("usr/lib/aarch64-linux-gnu/libz.so.1.2.13"),
)];

/// Jars as Maven resolves them: one for each platform, and one that contains others.
const JARS: &[Put] = &[
    Put::File(
        "app/lib/netty-transport-native-epoll-4.1.100-linux-x86_64.jar",
        0o644,
        Bytes::Zip(&[
            ("META-INF/MANIFEST.MF", Bytes::Text("")),
            ("META-INF/native/libnetty_epoll_x86_64.so", Bytes::Foreign(LIBZ)),
        ]),
    ),
    Put::File(
        "app/lib/netty-transport-native-epoll-4.1.100-linux-aarch_64.jar",
        0o644,
        Bytes::Zip(&[
            ("META-INF/MANIFEST.MF", Bytes::Text("")),
            ("META-INF/native/libnetty_epoll_aarch_64.so", Bytes::Native(LIBZ)),
        ]),
    ),
    Put::File(
        "app/app.jar",
        0o644,
        Bytes::Zip(&[
            ("META-INF/MANIFEST.MF", Bytes::Text("")),
            (
                "BOOT-INF/lib/rocksdbjni-8.jar",
                Bytes::Zip(&[
                    ("librocksdbjni-linux64.so", Bytes::Foreign(LIBZ)),
                    ("librocksdbjni-linux-aarch64.so", Bytes::Native(LIBZ)),
                    ("librocksdbjni-osx-arm64.jnilib", Bytes::MachO),
                ]),
            ),
        ]),
    ),
];

/// All trees. Those that are always tested come first.
pub fn trees() -> impl Iterator<Item = &'static Tree> {
    TREES.iter().chain(super::published::TREES).chain(super::systems::TREES).chain(super::services::TREES)
}

const TREES: &[Tree] = &[
    Tree {
        part: Part::Always,
        ..arm64(
            "python",
            &["python3-numpy", "python3-pip", "python3-setuptools", "tini", "dumb-init"],
            "/usr/bin/python3.11",
        )
    },
    Tree { part: Part::Always, ..arm64("go", &["golang-go"], "/usr/lib/go-1.19/bin/go") },
    Tree {
        pip: &[
            "numpy",
            "pandas",
            "cryptography",
            "cffi",
            "pydantic-core",
            "lxml",
            "pillow",
            "orjson",
            "debugpy",
            "pip",
            "setuptools",
            "ruff",
        ],
        ..arm64("python-wheels", &["python3"], "/usr/bin/python3.11")
    },
    Tree {
        pip: &["numpy", "scipy", "psycopg2-binary", "PyYAML"],
        ..amd64("python-wheels-amd64", &["python3"], "/usr/bin/python3.11")
    },
    Tree {
        npm: &[
            "esbuild",
            "@swc/core",
            "sharp",
            "rollup",
            "bcrypt",
            "better-sqlite3",
            "lightningcss",
            "@parcel/watcher",
            "bufferutil",
            "argon2",
            "7zip-bin",
            "node-notifier",
        ],
        made: SQLITE,
        ..arm64("node-npm", &["nodejs"], "/usr/bin/node")
    },
    Tree {
        npm: &["next", "turbo", "classic-level", "@sentry/cli", "node-pty", "utf-8-validate"],
        ..amd64("node-next", &["nodejs"], "/usr/bin/node")
    },
    Tree {
        made: JARS,
        ..arm64(
            "java",
            &[
                "openjdk-17-jre-headless",
                "libnetty-java",
                "libsnappy-java",
                "libjna-java",
                "libjffi-java",
                "libjansi-java",
            ],
            "/usr/lib/jvm/java-17-openjdk-arm64/bin/java",
        )
    },
    arm64("maven", &["default-jdk-headless", "maven", "ant"], "/usr/share/maven/bin/mvn"),
    arm64("ruby", &["ruby", "ruby-nokogiri", "ruby-ffi", "ruby-sqlite3"], "/usr/bin/ruby3.1"),
    arm64("php", &["php-cli", "php-mysql", "php-gd", "php-fpm"], "/usr/bin/php8.2"),
    Tree { made: DOTNET, ..arm64("dotnet-like", &["zlib1g"], "/usr/share/dotnet/dotnet") },
    amd64("rust", &["rustc", "libstd-rust-dev-wasm32", "libstd-rust-dev-windows"], "/usr/bin/rustc"),
    arm64("cross-gcc", &["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"], "/usr/bin/x86_64-linux-gnu-gcc-12"),
    amd64(
        "cross-embedded",
        &["gcc-avr", "avr-libc", "gcc-arm-none-eabi", "gcc-riscv64-unknown-elf"],
        "/usr/bin/avr-gcc",
    ),
    amd64("mingw-wine", &["gcc-mingw-w64-x86-64", "wine64"], "/bin/bash"),
    arm64("llvm", &["clang", "llvm", "lld"], "/usr/lib/llvm-14/bin/clang"),
    arm64("qemu", &["qemu-user-static", "qemu-system-arm"], "/usr/bin/qemu-x86_64-static"),
    arm64("kernel", &["linux-image-arm64", "grub-efi-arm64-bin", "u-boot-rpi", "firmware-linux-free"], "/bin/bash"),
    amd64(
        "boot-roms",
        &["ovmf", "seabios", "ipxe-qemu", "syslinux-common", "opensbi", "qemu-efi-aarch64", "u-boot-qemu"],
        "/bin/bash",
    ),
    arm64("ebpf", &["bpfcc-tools", "bpftrace", "libbpf-dev"], "/usr/bin/bpftrace"),
    Tree { base: Base::Bare, sample: "usr/bin/busybox", ..arm64("busybox", &["busybox-static"], "/bin/busybox") },
    Tree {
        base: Base::Bare,
        sample: "usr/bin/busybox",
        made: &[Put::File("usr/bin/app", 0o755, Bytes::MuslProgram), Put::Link("bin/sh", "busybox")],
        ..arm64("alpine-like", &["musl", "busybox-static"], "/bin/busybox")
    },
    Tree {
        base: Base::Bare,
        sample: "usr/lib/x86_64-linux-gnu/libc.so.6",
        // The C library can be executed, too, and is the only program here.
        made: &[Put::File("app/main", 0o755, Bytes::Native("usr/lib/x86_64-linux-gnu/libc.so.6"))],
        ..amd64("distroless-like", &["libc6", "ca-certificates", "tzdata", "libssl3"], "/app/main")
    },
    Tree {
        suite: "trixie",
        base: Base::Bare,
        sample: "usr/bin/busybox",
        ..tree("busybox-riscv64", "linux/riscv64", "riscv64", &["busybox-static"], "/usr/bin/busybox")
    },
    tree(
        "nginx",
        "linux/s390x",
        "s390x",
        &["nginx-light", "libnginx-mod-http-geoip", "tini", "curl", "haproxy"],
        "/usr/sbin/nginx",
    ),
    tree("postgresql", "linux/ppc64le", "ppc64el", &["postgresql-15"], "/usr/lib/postgresql/15/bin/postgres"),
    tree("redis", "linux/arm/v7", "armhf", &["redis-server", "memcached"], "/usr/bin/redis-server"),
    arm64("git", &["git", "openssh-server", "man-db", "systemd"], "/usr/bin/git"),
    arm64("s6", &["s6", "runit", "supervisor", "gosu", "dumb-init"], "/usr/bin/s6-svscan"),
    Tree {
        packages: &["libc6:armhf", "libstdc++6:armhf", "zlib1g:armhf"],
        ..tree("armhf-on-arm64", "linux/arm64", "arm64,armhf", &[], "/bin/bash")
    },
    amd64("multilib", &["gcc-multilib", "valgrind", "gdb", "libc6-dbg"], "/usr/bin/valgrind.bin"),
    amd64("android", &["adb", "fastboot", "aapt"], "/usr/lib/android-sdk/platform-tools/adb"),
    amd64("chromium", &["chromium", "xvfb"], "/usr/lib/chromium/chromium"),
    amd64("mono", &["mono-runtime", "libmono-cil-dev"], "/usr/bin/mono-sgen"),
    arm64("languages", &["r-base-core", "lua5.4", "lua-socket", "erlang-base", "guile-3.0", "tcl"], "/usr/bin/lua5.4"),
    Tree { made: TERRAFORM, ..arm64("terraform-like", &["git"], "/usr/bin/git") },
    Tree { made: RUNNER, ..arm64("ci-runner-like", &["git", "curl"], "/opt/agent/binaries/linux-arm64/agent") },
];
