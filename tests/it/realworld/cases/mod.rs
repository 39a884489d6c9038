//! The faults: the change to a tree, and the finding that must be reported first.

mod archives;
mod entry;
mod everywhere;
mod modules;
mod packages;
mod published;
mod reach;
mod services;
mod systems;

use std::path::Path;

use super::expected::Tree;
use super::faults::{Bytes, Fault, Put};

const fn fault(
    name: &'static str,
    puts: &'static [Put],
    entrypoint: &'static [&'static str],
    first: (&'static str, &'static str),
) -> Fault {
    Fault { name, puts, entrypoint, healthcheck: &[], first }
}

const fn health(
    name: &'static str,
    puts: &'static [Put],
    healthcheck: &'static [&'static str],
    first: (&'static str, &'static str),
) -> Fault {
    Fault { name, puts, entrypoint: &[], healthcheck, first }
}

/// The faults for a tree: the common ones and its own.
pub fn of<'a>(tree: &'a Tree, root: &'a Path) -> impl Iterator<Item = &'static Fault> + 'a {
    let own = OWN.iter().filter(|(name, _)| *name == tree.name).flat_map(|(_, faults)| faults.iter());
    let has_shell = root.join("usr/bin/sh").exists() || root.join("bin/sh").exists();
    everywhere::EVERYWHERE.iter().chain(everywhere::IN_A_SHELL.iter().filter(move |_| has_shell)).chain(own)
}

/// Names of trees that have faults but do not exist.
pub fn without_tree(trees: &[&str]) -> Vec<&'static str> {
    OWN.iter().map(|(name, _)| *name).filter(|name| !trees.contains(name)).collect()
}

const OWN: &[(&str, &[Fault])] = &[
    ("python", entry::PYTHON),
    ("python", reach::PYTHON),
    ("python", modules::PYTHON),
    ("python-wheels", packages::WHEELS),
    ("python-wheels", archives::WHEELS),
    ("node-npm", packages::NODE),
    ("java", archives::JAVA),
    ("java", modules::JAVA),
    ("ruby", packages::RUBY),
    ("ruby", modules::RUBY),
    ("php", modules::PHP),
    ("dotnet-like", packages::DOTNET),
    ("dotnet-like", modules::DOTNET),
    ("dotnet-like", archives::DOTNET),
    ("go", reach::GO),
    ("nginx", modules::NGINX),
    ("postgresql", modules::POSTGRESQL),
    ("alpine-like", entry::ALPINE),
    ("armhf-on-arm64", reach::MULTIARCH),
    ("ci-runner-like", entry::RUNNER),
    ("web", published::WEB),
    ("python-tools", published::TOOLS),
    ("jlink", published::JLINK),
    ("ray", published::RAY),
    ("cuda", published::CUDA),
    ("addons", published::ADDONS),
    ("npm-programs", published::PROGRAMS),
    ("models", published::MODELS),
    ("postgres-service", services::POSTGRES),
    ("redis-service", services::REDIS),
    ("nginx-service", services::NGINX),
    ("httpd-service", services::HTTPD),
    ("mix-release", services::RELEASE),
    ("grafana-like", services::GRAFANA),
    ("airflow-like", services::AIRFLOW),
    ("npm-start", services::NPM),
    ("rails-like", services::RAILS),
    ("nix-like", systems::NIX),
    ("conda-like", systems::CONDA),
    ("elixir-release", systems::RELEASE),
    ("jlink-like", systems::LINKED),
    ("perl-r", systems::PERL_R),
    ("rabbitmq", systems::RABBITMQ),
    ("web-server", systems::WEB_SERVER),
];

pub const SCRIPT: &str = "#!/bin/sh\nset -e\nexec /srv/app \"$@\"\n";
pub const TRUE: &str = "usr/bin/true";
pub const LIBC: &str = "usr/lib/aarch64-linux-gnu/libc.so.6";
pub const LOADER: &str = "usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1";
pub const LIBZ: &str = "usr/lib/aarch64-linux-gnu/libz.so.1.2.13";
pub const PCRE: &str = "usr/lib/aarch64-linux-gnu/libpcre2-8.so.0.11.2";
pub const NUMPY: &str = "usr/lib/python3/dist-packages/numpy/core/_multiarray_umath.cpython-311-aarch64-linux-gnu.so";
pub const NUMPY_FOUND: &str =
    "/usr/lib/python3/dist-packages/numpy/core/_multiarray_umath.cpython-311-aarch64-linux-gnu.so";
pub const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
pub const HTML: &str = "<!DOCTYPE html><html><body>Not Found</body></html>\n";
pub const CRLF: &str = "#!/bin/sh\r\nexit 0\r\n";
pub const BOM: &str = "\u{feff}#!/bin/sh\n";
pub const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
pub const GO_SOURCE: &str = "package main\n\nfunc main() {}\n";
