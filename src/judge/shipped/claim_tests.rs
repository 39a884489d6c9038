use super::*;

/// `linux/arm64`, `-/amd64`, `darwin/-`; several are joined by spaces.
fn shown(stated: &Stated) -> String {
    let claim = |claim: &NameClaim| {
        let system = claim.system.map_or("-", |system| system.os().unwrap_or("other"));
        let archs: Vec<&str> = claim.archs.iter().map(|arch| arch.oci()).collect();
        let archs = if archs.is_empty() { "-".to_string() } else { archs.join("|") };
        format!("{system}/{archs}{}", claim.variant.map_or(String::new(), |variant| format!("/{variant}")))
    };
    match stated {
        Stated::Nothing => "nothing".to_string(),
        Stated::Any => "any".to_string(),
        Stated::Platforms(claims) => claims.iter().map(claim).collect::<Vec<_>>().join(" "),
    }
}

fn check(name: &str, expected: &str) {
    assert_eq!(shown(&of_name(name)), expected, "{name}");
}

#[test]
fn release_files_name_one_platform() {
    for (name, expected) in [
        ("tool-linux-arm64.tar.xz", "linux/arm64"),
        ("tool_1.2.3_Linux_x86_64.tar.gz", "linux/amd64"),
        ("tool-v1.2.3-x86_64-unknown-linux-musl.tar.gz", "linux/amd64"),
        ("tool-aarch64-apple-darwin.zip", "darwin/arm64"),
        ("tool-x86_64-pc-windows-msvc.zip", "windows/amd64"),
        ("tool_linux_386.tgz", "linux/386"),
        ("tool-linux-armv7.tar.gz", "linux/arm/v7"),
        ("tool-linux-armv6hf", "linux/arm/v6"),
        ("tool-linux-arm", "linux/arm"),
        ("tool-armv7-unknown-linux-gnueabihf.tar.gz", "linux/arm/v7"),
        ("hugo_0.120_Linux-64bit.tar.gz", "linux/amd64"),
        ("tool-linux64.zip", "-/amd64"),
        ("node-v20.15.0-linux-x64.tar.xz", "linux/amd64"),
        ("tool-linux-ppc64le", "linux/ppc64le"),
        ("Tool-1.0-x86_64.AppImage", "-/amd64"),
        ("tool-amd64", "-/amd64"),
        ("netty-transport-native-epoll-4.1.100.Final-linux-aarch_64.jar", "linux/arm64"),
        ("tool-linux-riscv64.tar.zst", "linux/riscv64"),
        ("tool-freebsd-amd64.tar.gz", "freebsd/amd64"),
        ("android-tools-linux-amd64.tar.gz", "linux/amd64"),
        ("arm-exporter-linux-amd64.tar.gz", "linux/amd64"),
        ("dotnet-sdk-8.0.100-linux-arm64.tar.gz", "linux/arm64"),
        ("tool_linux_amd64_v1", "linux/amd64"),
        ("windows_exporter-0.25-windows-amd64.exe", "windows/amd64"),
    ] {
        check(name, expected);
    }
}

#[test]
fn packages_name_their_architecture_by_their_own_rules() {
    for (name, expected) in [
        ("libc6_2.36-9_arm64.deb", "linux/arm64"),
        ("gcc-aarch64-linux-gnu_12.2.0-3_amd64.deb", "linux/amd64"),
        ("libc6-arm64-cross_2.36-8cross1_all.deb", "any"),
        ("tool_1_armhf.deb", "linux/arm"),
        ("tool-1.0-1.fc39.aarch64.rpm", "linux/arm64"),
        ("tool-1.0-1.noarch.rpm", "any"),
        ("tool-1.0-1.x86_64.rpm", "linux/amd64"),
        ("tool_1.0_linux_arm64.rpm", "linux/arm64"),
        ("tool-linux-arm64.deb", "linux/arm64"),
        ("tool-1.0-x86_64.deb", "-/amd64"),
        ("gcc-aarch64-linux-gnu.deb", "nothing"),
        ("tool-1.0-1.src.rpm", "any"),
        ("numpy-2.3.5-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl", "linux/amd64"),
        ("a-1-cp312-cp312-musllinux_1_2_aarch64.whl", "linux/arm64"),
        ("a-1-cp312-cp312-macosx_11_0_universal2.whl", "darwin/amd64 darwin/arm64"),
        ("a-1-cp312-cp312-win_amd64.whl", "windows/amd64"),
        ("a-1-cp312-cp312-win32.whl", "windows/-"),
        ("a-1-py3-none-any.whl", "any"),
        ("busybox-1.36.1-r15.apk", "nothing"),
    ] {
        check(name, expected);
    }
}

#[test]
fn an_ambiguous_name_states_nothing() {
    for name in [
        "tool.tar.gz",
        "tool-1.386.0.tar.gz",
        "tool-1.0.0-alpha.tar.gz",
        "aarch64-linux-gnu-objdump",
        "aarch64-linux-gnu-gcc-12",
        "qemu-aarch64-static",
        "qemu-system-x86_64",
        "aarch64-linux-musl-cross.tgz",
        "mac-changer-1.0.tar.gz",
        "armory-1.0.tar.gz",
        "window-manager.zip",
    ] {
        check(name, "nothing");
    }
    check("arm-gnu-13.2.rel1-x86_64-aarch64-none-elf.tar.xz", "-/arm|arm64 -/amd64 -/arm64");
    check("tool-linux-amd64-arm64.tar.gz", "linux/amd64 linux/arm64");
    check("tool-darwin-universal.zip", "darwin/amd64 darwin/arm64");
    check("tool_darwin_all.tar.gz", "darwin/amd64 darwin/arm64");
    check("tool-linux.tar.gz", "linux/-");
    // Many projects use this name for the 64-bit build, and `arm` for macOS is AArch64.
    check("tool-linux-x86.tar.gz", "linux/386|amd64");
    check("tool-macos-arm.zip", "darwin/arm|arm64");
}

#[test]
fn directories_count_where_they_are_nothing_but_a_platform() {
    for (name, expected) in [
        ("aarch64-unknown-linux-musl", "linux/arm64"),
        ("linux-arm64", "linux/arm64"),
        ("linux_amd64", "linux/amd64"),
        ("arm64-builder", "nothing"),
        ("release", "nothing"),
        ("", "nothing"),
    ] {
        assert_eq!(shown(&of_directory(name)), expected, "{name}");
    }
}

#[test]
fn a_path_allows_what_any_of_its_parts_names() {
    let check = |path: &str, arch, expected| {
        assert_eq!(path_allows(path, Some(System::Linux), Some(arch)), expected, "{path}");
    };
    check("/org/xerial/snappy/native/Linux/aarch64/libsnappyjava.so", Arch::Arm64, Some(true));
    check("/org/xerial/snappy/native/Linux/aarch64/libsnappyjava.so", Arch::Amd64, Some(false));
    check("/prebuilds/linux-x64/node.napi.node", Arch::Amd64, Some(true));
    check("/prebuilt/linux-x86_64/sysroot/usr/lib/aarch64-linux-android/libc.so", Arch::Amd64, Some(true));
    check("/lib/armeabi-v7a/liba.so", Arch::Arm, Some(true));
    check("/usr/bin/tool", Arch::Amd64, None);
    check("/native/linux/liba.so", Arch::Amd64, None);
    let windows = |path: &str| path_allows(path, Some(System::Windows), Some(Arch::Amd64));
    assert_eq!(windows("/librocksdbjni-win64.dll"), Some(true));
    assert_eq!(windows("/linux-x64/a.dll"), Some(false));
    assert_eq!(windows("/windows/arm64/a.dll"), Some(false));
}
