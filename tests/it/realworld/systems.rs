//! Trees of whole systems: servers, languages and tools of Debian, and layouts of other distributions built from
//! Debian's files.

use super::expected::{Base, Tree, amd64, arm64};
use super::faults::{Bytes, Put};
use Bytes::{Native, Text};
use Put::{File, Link};

/// Nix: every package in its own directory, programs through links in a profile, the loader in the store. The program
/// is linked to the usual loader, as if `autoPatchelf` had not processed it.
const NIX: &[Put] = &[
    File("nix/store/0a1b-coreutils-9.4/bin/true", 0o755, Native("usr/bin/true")),
    File("nix/store/2c3d-zlib-1.3/lib/libz.so.1", 0o755, Native("usr/lib/aarch64-linux-gnu/libz.so.1.2.13")),
    File(
        "nix/store/4e5f-glibc-2.38/lib/ld-linux-aarch64.so.1",
        0o755,
        Native("usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"),
    ),
    Link("nix/var/nix/profiles/default/bin/true", "/nix/store/0a1b-coreutils-9.4/bin/true"),
    Link("usr/local/bin/true", "/nix/var/nix/profiles/default/bin/true"),
];

/// conda: an interpreter, its libraries and its modules below one directory, and the list of installed packages.
const CONDA: &[Put] = &[
    File("opt/conda/bin/python3.11", 0o755, Native("usr/bin/python3.11")),
    Link("opt/conda/bin/python", "python3.11"),
    File("opt/conda/lib/libz.so.1.2.13", 0o755, Native("usr/lib/aarch64-linux-gnu/libz.so.1.2.13")),
    Link("opt/conda/lib/libz.so.1", "libz.so.1.2.13"),
    File(
        "opt/conda/lib/python3.11/site-packages/numpy/core/_multiarray_umath.cpython-311-aarch64-linux-gnu.so",
        0o755,
        Native("usr/lib/python3/dist-packages/numpy/core/_multiarray_umath.cpython-311-aarch64-linux-gnu.so"),
    ),
    File(
        "opt/conda/conda-meta/numpy-1.24.2-py311h.json",
        0o644,
        Text("{\"name\": \"numpy\", \"subdir\": \"linux-aarch64\"}\n"),
    ),
    File("opt/conda/conda-meta/history", 0o644, Text("==> 2024-01-01 00:00:00 <==\n")),
];

/// An Elixir release from `mix release`, with native libraries in each application's `priv`.
const RELEASE: &[Put] = &[
    File("app/erts-13.1/bin/beam.smp", 0o755, Native("usr/lib/erlang/erts-13.1.5/bin/beam.smp")),
    File("app/lib/bcrypt_elixir-3.1.0/priv/bcrypt_nif.so", 0o755, Native("usr/lib/aarch64-linux-gnu/libz.so.1.2.13")),
    File("app/bin/app", 0o755, Text("#!/bin/sh\nset -e\nexec /app/erts-13.1/bin/beam.smp \"$@\"\n")),
];

/// A runtime from jlink next to an application, in a directory without a known name.
const LINKED: &[Put] = &[
    File("opt/app/runtime/bin/java", 0o755, Native("usr/lib/jvm/java-17-openjdk-arm64/bin/java")),
    File("opt/app/runtime/lib/libjli.so", 0o644, Native("usr/lib/jvm/java-17-openjdk-arm64/lib/libjli.so")),
    File("opt/app/runtime/lib/libnio.so", 0o644, Native("usr/lib/jvm/java-17-openjdk-arm64/lib/libnio.so")),
    File("opt/app/runtime/lib/libnet.so", 0o644, Native("usr/lib/jvm/java-17-openjdk-arm64/lib/libnet.so")),
    File("opt/app/runtime/lib/libjava.so", 0o644, Native("usr/lib/jvm/java-17-openjdk-arm64/lib/libjava.so")),
    File(
        "opt/app/runtime/lib/server/libjvm.so",
        0o644,
        Native("usr/lib/jvm/java-17-openjdk-arm64/lib/server/libjvm.so"),
    ),
];

/// The links that update-alternatives creates when the packages are configured.
const ALTERNATIVES: &[Put] = &[
    Link("usr/lib/x86_64-linux-gnu/libblas.so.3", "blas/libblas.so.3"),
    Link("usr/lib/x86_64-linux-gnu/liblapack.so.3", "lapack/liblapack.so.3"),
];

pub const TREES: &[Tree] = &[
    Tree { made: NIX, ..arm64("nix-like", &["coreutils", "zlib1g"], "/usr/local/bin/true") },
    Tree { made: CONDA, ..arm64("conda-like", &["python3-numpy"], "/opt/conda/bin/python") },
    Tree { made: RELEASE, ..arm64("elixir-release", &["erlang-base", "elixir"], "/app/bin/app") },
    Tree { made: LINKED, ..arm64("jlink-like", &["openjdk-17-jre-headless"], "/opt/app/runtime/bin/java") },
    arm64("rabbitmq", &["erlang", "rabbitmq-server"], "/usr/sbin/rabbitmq-server"),
    arm64(
        "perl-r",
        &["libdbd-pg-perl", "libjson-xs-perl", "libxml-libxml-perl", "r-cran-rcpp", "r-cran-ggplot2", "lua-posix"],
        "/usr/bin/perl",
    ),
    Tree {
        made: ALTERNATIVES,
        ..amd64(
            "media",
            &["ffmpeg", "libgl1-mesa-dri", "vlc-plugin-base", "gstreamer1.0-plugins-good"],
            "/usr/bin/ffmpeg",
        )
    },
    arm64(
        "web-server",
        &["apache2", "libapache2-mod-php", "libapache2-mod-wsgi-py3", "mariadb-server", "nginx-full", "php-redis"],
        "/usr/sbin/apache2",
    ),
    arm64("engines", &["docker.io", "containerd", "podman", "buildah", "crun", "prometheus"], "/usr/sbin/dockerd"),
    amd64("compilers", &["ghc", "ocaml", "sbcl", "gfortran", "gdb-multiarch", "binutils-multiarch"], "/usr/bin/gdb"),
    amd64(
        "boot-loaders",
        &["grub-pc-bin", "shim-signed", "memtest86+", "refind", "dracut-core", "systemd-boot"],
        "/bin/bash",
    ),
    Tree {
        base: Base::Debian,
        ..amd64("desktop", &["firefox-esr", "openbox", "tigervnc-standalone-server"], "/bin/bash")
    },
];
