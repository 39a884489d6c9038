//! The messages of docker, podman, kubelets and runtimes for outcomes.

use super::*;
use crate::exec::tests::{call, tree};
use crate::exec::trace;
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

fn check(files: &[(&str, u16, &[u8])], words: &[&str], expected: &[(&str, &str, u8)]) {
    let call = call(words);
    let shown = messages(&trace(&tree(files), &call, &Node::plain(Arch::Amd64)), &call);
    for (frontend, text, code) in expected {
        let found = shown.iter().find(|line| line.frontend == *frontend).unwrap_or_else(|| panic!("{shown:#?}"));
        assert_eq!((found.text.as_str(), found.exit_code), (*text, Some(*code)), "{frontend}");
    }
}

#[test]
fn a_refused_program_is_in_the_containers_log() {
    let arm64 = ElfBuilder::arm64().build();
    check(
        &[("usr/bin/app", 0o755, &arm64)],
        &["app"],
        &[
            ("runc 1.2 and newer", "exec /usr/bin/app: exec format error", 255),
            ("runc 1.1", "exec /usr/bin/app: exec format error", 1),
            ("runc 1.0", "standard_init_linux.go:228: exec user process caused: exec format error", 1),
            ("crun", "exec container process `/usr/bin/app`: Exec format error", 1),
        ],
    );
    check(
        &[("app", 0o755, b"#!/bin/sh\n")],
        &["/app"],
        &[("crun", "exec container process (missing dynamic library?) `/app`: No such file or directory", 1)],
    );
}

#[test]
fn a_program_that_is_not_found_is_the_runtimes_error() {
    let docker = "docker: Error response from daemon: failed to create task for container: failed to create shim task: \
                  OCI runtime create failed: runc create failed: unable to start container process: error during \
                  container init: exec: \"/app\": stat /app: no such file or directory: unknown";
    check(
        &[],
        &["/app"],
        &[
            ("docker run (27.5 and newer)", docker, 127),
            ("docker run (28 and newer, containerd 2)", docker.strip_suffix(": unknown").unwrap(), 127),
        ],
    );
    let directory = "docker: Error response from daemon: failed to create task for container: failed to create shim \
                     task: OCI runtime create failed: runc create failed: unable to start container process: error \
                     during container init: exec: \"/\": is a directory: permission denied";
    check(&[], &["/"], &[("docker run (28 and newer, containerd 2)", directory, 126)]);
    check(
        &[],
        &["app"],
        &[(
            "runc 1.1",
            "runc run failed: unable to start container process: exec: \"app\": executable file not found in $PATH",
            1,
        )],
    );
    let empty = "docker: Error response from daemon: failed to create task for container: failed to create shim task: \
                 OCI runtime create failed: runc create failed: unable to start container process: exec: \"\": \
                 executable file not found in $PATH: unknown";
    check(&[], &[""], &[("docker run (24 to 27.4)", empty, 127)]);
    check(
        &[("app", 0o644, b"x")],
        &["/app"],
        &[
            ("crun 1.20 and older", "open executable: Permission denied", 1),
            (
                "podman run",
                "Error: crun: the path `/app` exists but it is not executable: Operation not permitted: OCI permission denied",
                126,
            ),
        ],
    );
}

/// Observed with docker 28.5, runc 1.3 and podman 5.8.
#[test]
fn engines_that_start_nothing_report_before_the_runtime() {
    let speakers =
        |rows: &[Shown]| -> Vec<_> { rows.iter().map(|row| (row.frontend.to_string(), row.exit_code)).collect() };
    let user = unknown_user("unable to find user nobodyhere: no matching entries in passwd file");
    assert_eq!(user[2].text, "Error: unable to find user nobodyhere: no matching entries in passwd file");
    assert_eq!(
        speakers(&user),
        [
            ("docker run".to_string(), Some(125)),
            ("kubelet (containerd): CreateContainerError".to_string(), None),
            ("podman run".to_string(), Some(126)),
            ("runc".to_string(), Some(1)),
        ]
    );
    let group = unknown_user("unable to find group nogroup: no matching entries in group file");
    assert!(group[2].text.ends_with(": unable to get gid nogroup from group file: no matching entries in group file"));
    let empty = nothing_starts();
    assert_eq!((empty[0].exit_code, empty[2].exit_code), (Some(125), Some(127)));
    assert_eq!(
        empty[2].text,
        "Error: runc: runc create failed: unable to start container process: error during container init: exec: \"\": \
         executable file not found in $PATH: OCI runtime attempted to invoke a command that was not found"
    );
    let call = call(&["/app"]);
    let missing = messages(&trace(&tree(&[]), &call, &Node::plain(Arch::Amd64)), &call);
    let exit_code_of = |speaker| missing.iter().find(|row| row.speaker == speaker).and_then(|row| row.exit_code);
    assert_eq!(missing[0].speaker, MessageSource::Docker);
    assert_eq!(
        [MessageSource::Docker, MessageSource::Kubelet, MessageSource::Podman].map(exit_code_of),
        [Some(127), Some(128), Some(127)]
    );
}

#[test]
fn a_working_directory_that_cannot_be_entered_is_named() {
    let files: &[(&str, u16, &[u8])] = &[("app", 0o755, &ElfBuilder::amd64().build())];
    let message_of = |working_dir: &str, frontend: &str| {
        let call = Exec { working_dir: working_dir.to_string(), ..call(&["/app"]) };
        let shown = messages(&trace(&tree(files), &call, &Node::plain(Arch::Amd64)), &call);
        shown.into_iter().find(|row| row.frontend == frontend).map(|row| row.text)
    };
    let runc = "runc run failed: unable to start container process: error during container init: \
                mkdir /app: not a directory";
    assert_eq!(message_of("/app/x", "runc 1.1 and newer").as_deref(), Some(runc));
    let docker = "docker: Error response from daemon: lstat .../app/x: not a directory";
    assert_eq!(message_of("/app/x", "docker run").as_deref(), Some(docker));
    assert_eq!(message_of("/app/x", "crun 1.8").as_deref(), Some("chdir `/app/x`: Not a directory"));
    assert_eq!(message_of("srv", "runc").as_deref(), Some("runc run failed: Cwd must be an absolute path"));
}

#[test]
fn every_front_end_reports_a_program_that_ends_at_once() {
    let mut broken = ElfBuilder::amd64().build();
    crate::inspect::elf_builder::edit_phdr(&mut broken, 0, |load| load.vaddr += 0x10);
    check(&[("app", 0o755, &broken)], &["/app"], &[("docker run", "", 139), ("kubectl logs --previous", "", 139)]);
    let go = ElfBuilder::amd64().go("go1.22", &[("GOAMD64", "v3")]).build();
    let call = call(&["/app"]);
    let node = Node { isa: crate::platform::Fact::Known(crate::platform::Isa::X86(2)), ..Node::plain(Arch::Amd64) };
    let trace = trace(&tree(&[("app", 0o755, &go)]), &call, &node);
    let text = "This program can only be run on AMD64 processors with v3 microarchitecture support.";
    assert!(messages(&trace, &call).contains(&runtime("runc", text, 1)));
}
