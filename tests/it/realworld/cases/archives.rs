//! Faults inside archives: jars, wheels and NuGet packages, up to two levels deep.

use super::*;
use Bytes::{Foreign, Native, Text, Zip};
use Put::File;

pub const WHEELS: &[Fault] = &[fault(
    "an uninstalled wheel for another architecture",
    &[File(
        "wheels/x-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        0o644,
        Zip(&[("x/_x.so", Foreign(TRUE)), ("x-1.0.dist-info/WHEEL", Text("Tag: cp311-cp311-manylinux_2_28_x86_64\n"))]),
    )],
    &[],
    ("package-other-platform", "/wheels/x-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"),
)];

const MANIFEST: (&str, Bytes) = ("META-INF/MANIFEST.MF", Text("Manifest-Version: 1.0\n"));

pub const JAVA: &[Fault] = &[
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
];

/// NuGet packages after a restore, and NuGet packages in an image that restores from them.
pub const DOTNET: &[Fault] = &[fault(
    "a NuGet package without this platform",
    &[File(
        "root/.nuget/packages/sqlite/2.1.0/sqlite.2.1.0.nupkg",
        0o644,
        Zip(&[
            ("runtimes/linux-x64/native/libe_sqlite3.so", Foreign(LIBZ)),
            ("runtimes/win-x64/native/e_sqlite3.dll", Bytes::WindowsLibrary),
        ]),
    )],
    &[],
    ("jar-without-platform", "/root/.nuget/packages/sqlite/2.1.0/sqlite.2.1.0.nupkg"),
)];
