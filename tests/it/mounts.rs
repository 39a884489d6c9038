//! A root file system with another file system mounted in it, as on a build machine or a server. By default, the
//! mounted file system is not read, and files that may be in it are not reported as missing.

use std::process::Command;

use crate::kit::elf::ElfBuilder;
use crate::kit::machine::{self, Need};
use crate::kit::program;

/// Scans a call in a root with a shell, a program, and a mount at /opt that contains a program and a library.
fn scan(test: &str, call: &[&str], flags: &[&str]) -> Option<(String, i32)> {
    if !machine::has(test, &[Need::Root, Need::MountNamespaces]) {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| directory.path().join(path);
    for path in ["root/bin", "root/lib64", "root/lib", "root/opt", "put"] {
        std::fs::create_dir_all(at(path)).unwrap();
    }
    let static_program = || ElfBuilder::amd64().build();
    program::write(&at("root/bin/sh"), static_program());
    program::write(&at("root/bin/app"), static_program());
    let linked = ElfBuilder::amd64().pie().interp("/lib64/ld-linux-x86-64.so.2").needed("libx.so").runpath("/opt/lib");
    program::write(&at("root/bin/linked"), linked.build());
    program::write(
        &at("root/lib64/ld-linux-x86-64.so.2"),
        ElfBuilder::amd64().e_type(3).soname("ld-linux-x86-64.so.2").build(),
    );
    program::write(&at("root/bin/foreign-interpreter"), "#!/opt/app\n");
    program::write(&at("root/bin/script"), "#!/bin/sh\nexec /opt/app\n");
    std::os::unix::fs::symlink("/opt/app", at("root/bin/link")).unwrap();
    program::write(&at("put/app"), static_program());
    program::write(&at("put/libx.so"), ElfBuilder::amd64().e_type(3).soname("libx.so").build());
    // A separate mount namespace, so that nothing is left on this machine.
    let script = "mount -t tmpfs none root/opt && mkdir root/opt/lib && cp put/app root/opt && cp put/libx.so root/opt/lib \
                  && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_imgarch"), "scan", "rootfs:root", "--no-cache"]);
    command.args(["--target", "linux/amd64"]).args(flags).current_dir(directory.path()).env("HOME", directory.path());
    command.args(call.iter().flat_map(|word| ["--entrypoint", word]));
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Some((text, output.status.code().unwrap()))
}

const OPTION: &str = "--cross-file-systems";

#[test]
fn files_in_a_file_system_that_was_not_read_are_unknown() {
    let test = "files_in_a_file_system_that_was_not_read_are_unknown";
    let calls: [&[&str]; 8] = [
        &["/opt/app"],
        &["/opt/bin/none"],
        &["/bin/link"],
        &["/bin/linked"],
        &["/bin/foreign-interpreter"],
        &["/bin/script"],
        &["/bin/sh", "/opt/run.sh"],
        &["/bin/sh", "-c", "exec /opt/app"],
    ];
    for call in calls {
        let Some((text, code)) = scan(test, call, &[]) else { return };
        assert_eq!(code, 3, "{call:?}: {text}");
        assert!(text.contains("the file system mounted at /opt") && text.contains(OPTION), "{call:?}: {text}");
        assert!(!text.contains("error["), "{call:?}: {text}");
    }
}

#[test]
fn files_outside_a_mount_are_judged_as_usual() {
    let test = "files_outside_a_mount_are_judged_as_usual";
    let Some((text, code)) = scan(test, &["/bin/app"], &[]) else { return };
    assert!(code == 0 && text.contains("the file system mounted at /opt"), "{code}: {text}");
    let Some((text, code)) = scan(test, &["/bin/none"], &[]) else { return };
    assert!(code == 1 && text.contains("error["), "{code}: {text}");
}

#[test]
fn other_file_systems_are_read_if_requested() {
    let test = "other_file_systems_are_read_if_requested";
    for call in ["/opt/app", "/bin/link", "/bin/linked", "/bin/script"] {
        let Some((text, code)) = scan(test, &[call], &[OPTION]) else { return };
        assert_eq!(code, 0, "{call}: {text}");
    }
    let Some((text, code)) = scan(test, &["/opt/bin/none"], &[OPTION]) else { return };
    assert!(code == 1 && text.contains("error["), "{code}: {text}");
}
