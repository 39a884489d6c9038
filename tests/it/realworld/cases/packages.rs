//! Packages that are installed for another platform: wheels, npm packages, gems.

use super::*;
use Bytes::{Foreign, MachO, Native, Text};
use Put::{File, Gone};

const WHEEL: &str = "usr/local/lib/python3.11/dist-packages/numpy-0.dist-info/WHEEL";
const WHEEL_FOUND: (&str, &str) =
    ("package-other-platform", "/usr/local/lib/python3.11/dist-packages/numpy-0.dist-info/WHEEL");

pub const WHEELS: &[Fault] = &[
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
];

pub const NODE: &[Fault] = &[
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
        "the right directory and the wrong architecture",
        &[
            Gone("srv/app/node_modules/bcrypt/prebuilds/linux-arm64/bcrypt.musl.node"),
            File("srv/app/node_modules/bcrypt/prebuilds/linux-arm64/bcrypt.glibc.node", 0o644, Foreign(TRUE)),
        ],
        &[],
        ("foreign-extension", "/srv/app/node_modules/bcrypt/prebuilds/linux-arm64/bcrypt.glibc.node"),
    ),
];

pub const RUBY: &[Fault] = &[
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
    // Ruby 3.1: "Ignoring bcrypt-3.1.20 because its extensions are not built".
    fault(
        "a gem that was not built",
        &[
            File("var/lib/gems/3.1.0/gems/bcrypt-3.1.20/ext/mri/extconf.rb", 0o644, Text("require \"mkmf\"\n")),
            File("var/lib/gems/3.1.0/specifications/bcrypt-3.1.20.gemspec", 0o644, Text("Gem::Specification.new\n")),
        ],
        &[],
        ("package-part-missing", "/var/lib/gems/3.1.0/gems/bcrypt-3.1.20"),
    ),
];

pub const DOTNET: &[Fault] = &[fault(
    "natives without this platform",
    &[Gone("app/runtimes/linux-arm64")],
    &[],
    ("package-other-platform", "/app/runtimes/linux-x64/native/libe_sqlite3.so"),
)];
