//! Faults in files that runtimes and servers load: extension modules and their libraries.

use super::*;
use Bytes::{Foreign, ForeignSample, MachO, Native, Text};
use Put::{File, Gone};

pub const PYTHON: &[Fault] = &[
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
    fault("zero bytes instead of a module", &[File(NUMPY, 0o644, Text(""))], &[], ("broken-extension", NUMPY_FOUND)),
    fault(
        "Git LFS pointer instead of a module",
        &[File(NUMPY, 0o644, Text(LFS))],
        &[],
        ("broken-extension", NUMPY_FOUND),
    ),
    fault("HTML instead of a module", &[File(NUMPY, 0o644, Text(HTML))], &[], ("broken-extension", NUMPY_FOUND)),
    fault("Mach-O instead of a module", &[File(NUMPY, 0o644, MachO)], &[], ("broken-extension", NUMPY_FOUND)),
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
];

pub const JAVA: &[Fault] = &[
    fault(
        "a library of the JVM itself",
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

pub const RUBY: &[Fault] = &[fault(
    "a gem's extension",
    &[File("var/lib/gems/3.1.0/gems/nokogiri-1.15.4/lib/nokogiri/nokogiri.so", 0o755, Foreign(LIBZ))],
    &[],
    ("foreign-extension", "/var/lib/gems/3.1.0/gems/nokogiri-1.15.4/lib/nokogiri/nokogiri.so"),
)];

pub const PHP: &[Fault] = &[fault(
    "an extension",
    &[File("usr/lib/php/20220829/redis.so", 0o644, Foreign(LIBZ))],
    &[],
    ("foreign-extension", "/usr/lib/php/20220829/redis.so"),
)];

pub const DOTNET: &[Fault] = &[
    fault(
        "a library of the runtime itself",
        &[File("usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.8/libSystem.Native.so", 0o755, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.8/libSystem.Native.so"),
    ),
    fault(
        "a library of a self-contained application",
        &[File("srv/whole/libSystem.Native.so", 0o755, Foreign(LIBZ))],
        &[],
        ("foreign-extension", "/srv/whole/libSystem.Native.so"),
    ),
];

pub const NGINX: &[Fault] = &[fault(
    "a module of nginx",
    &[File("usr/lib/nginx/modules/ngx_http_brotli_filter_module.so", 0o644, ForeignSample)],
    &[],
    ("foreign-extension", "/usr/lib/nginx/modules/ngx_http_brotli_filter_module.so"),
)];

pub const POSTGRESQL: &[Fault] = &[fault(
    "an extension of PostgreSQL",
    &[File("usr/lib/postgresql/15/lib/vector.so", 0o644, ForeignSample)],
    &[],
    ("foreign-extension", "/usr/lib/postgresql/15/lib/vector.so"),
)];
