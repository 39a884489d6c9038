//! Faults in trees of whole systems: files that their runtimes load, and files in their special layouts.

use super::*;
use Bytes::{Foreign, ForeignSample};
use Put::File;

pub const NIX: &[Fault] = &[
    fault(
        "a program of the store, through its profile",
        &[File("nix/store/0a1b-coreutils-9.4/bin/true", 0o755, ForeignSample)],
        &[],
        ("entrypoint-wrong-arch", "/nix/store/0a1b-coreutils-9.4/bin/true"),
    ),
    fault(
        "a library of the store",
        &[File("nix/store/2c3d-zlib-1.3/lib/libz.so.1", 0o755, ForeignSample)],
        &[],
        ("foreign-file", "/nix/store/2c3d-zlib-1.3/lib/libz.so.1"),
    ),
];

pub const CONDA: &[Fault] = &[
    fault(
        "the interpreter of an environment",
        &[File("opt/conda/bin/python3.11", 0o755, Foreign("usr/bin/python3.11"))],
        &[],
        ("entrypoint-wrong-arch", "/opt/conda/bin/python3.11"),
    ),
    fault(
        "a module of an environment",
        &[File("opt/conda/lib/python3.11/site-packages/x/_x.cpython-311-aarch64-linux-gnu.so", 0o755, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/opt/conda/lib/python3.11/site-packages/x/_x.cpython-311-aarch64-linux-gnu.so"),
    ),
];

pub const RELEASE: &[Fault] = &[
    fault(
        "the virtual machine of a release",
        &[File("app/erts-13.1/bin/beam.smp", 0o755, ForeignSample)],
        &[],
        ("entrypoint-wrong-arch", "/app/erts-13.1/bin/beam.smp"),
    ),
    fault(
        "a native function of a release",
        &[File("app/lib/bcrypt_elixir-3.1.0/priv/bcrypt_nif.so", 0o755, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/app/lib/bcrypt_elixir-3.1.0/priv/bcrypt_nif.so"),
    ),
];

pub const LINKED: &[Fault] = &[fault(
    "a library of a linked runtime",
    &[File("opt/app/runtime/lib/libnio.so", 0o644, Foreign(LIBZ))],
    &[],
    ("foreign-extension", "/opt/app/runtime/lib/libnio.so"),
)];

pub const PERL_R: &[Fault] = &[
    fault(
        "a module of Perl",
        &[File("usr/lib/aarch64-linux-gnu/perl5/5.36/auto/DBD/Pg/Pg.so", 0o644, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/usr/lib/aarch64-linux-gnu/perl5/5.36/auto/DBD/Pg/Pg.so"),
    ),
    fault(
        "a package of R",
        &[File("usr/local/lib/R/site-library/fast/libs/fast.so", 0o644, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/usr/local/lib/R/site-library/fast/libs/fast.so"),
    ),
];

pub const RABBITMQ: &[Fault] = &[fault(
    "a native function of Erlang",
    &[File("usr/lib/erlang/lib/fast-1.0/priv/lib/fast.so", 0o644, Foreign(LIBZ))],
    &[],
    ("foreign-extension", "/usr/lib/erlang/lib/fast-1.0/priv/lib/fast.so"),
)];

pub const WEB_SERVER: &[Fault] = &[
    fault(
        "a module of Apache",
        &[File("usr/lib/apache2/modules/mod_fast.so", 0o644, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/usr/lib/apache2/modules/mod_fast.so"),
    ),
    fault(
        "an extension of PHP",
        &[File("usr/lib/php/20220829/fast.so", 0o644, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/usr/lib/php/20220829/fast.so"),
    ),
];
