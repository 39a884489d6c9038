//! What runtimes and engines show of an outcome, and the exit code that they report, by version where it differs. The
//! texts are theirs, word for word. Sources: runc's libcontainer (generic_error.go, standard_init_linux.go, init_linux.go
//! by tag), crun's container.c, moby's daemon/errors.go, containerd's internal/cri/server, podman's libpod/oci_util.go.

use super::exec::{Link, Trace};
use super::outcome::{Death, Errno, Exec, Outcome};

/// One line that somebody sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Who shows it, with the versions that it holds for: "runc 1.2 and newer".
    pub frontend: &'static str,
    /// Several lines where the program prints several; empty where nothing is said, as for a signal.
    pub text: String,
    /// Of the container's process, or of the client where no process was started. `None`: there is none.
    pub exit_code: Option<u8>,
}

/// Causes by which a runtime's own search fails, before execve: the error goes to the runtime's caller, not to the
/// container's log.
const SEARCH: &[&str] = &[
    "missing-program",
    "not-in-path",
    "not-executable",
    "is-directory",
    "not-a-file",
    "not-searchable",
    "not-a-directory",
    "symlink-loop",
    "name-too-long",
];

/// What is shown of a trace's outcome. Nothing where the program runs or where the outcome is not known.
pub fn messages(trace: &Trace, call: &Exec) -> Vec<Shown> {
    let program = call.argv.first().map_or("", String::as_str);
    let is_first = trace.steps.iter().all(|step| step.link == Link::Call);
    match &trace.outcome {
        Outcome::Runs | Outcome::Emulated { .. } | Outcome::Unknown { .. } => Vec::new(),
        Outcome::Fails { cause, .. } if cause.code == "unknown-user" => unknown_user(&cause.text),
        Outcome::Fails { cause, .. } if cause.code == "no-command" => no_command(),
        Outcome::Fails { errno, cause, .. } if is_first && SEARCH.contains(&cause.code) => {
            not_found(program, *errno, cause.code)
        }
        Outcome::Fails { errno, .. } => {
            let path = trace.steps.first().map_or(program, |step| step.typed.as_str());
            refused(path, *errno)
        }
        Outcome::Dies { death, .. } => ended(*death, trace.says.join("\n")),
    }
}

fn shown(frontend: &'static str, text: impl Into<String>, exit_code: u8) -> Shown {
    Shown { frontend, text: text.into(), exit_code: Some(exit_code) }
}

/// execve failed after the runtime had said that the container started: the text is in the container's own log.
fn refused(path: &str, errno: Errno) -> Vec<Shown> {
    let (go, c) = (errno.message(), errno.strerror());
    let runc = format!("exec {path}: {go}");
    let hint = if errno == Errno::ENOENT { " (missing dynamic library?)" } else { "" };
    let crun = format!("exec container process{hint} `{path}`: {c}");
    vec![
        shown("runc 1.2 and newer", runc.clone(), 255),
        shown("runc 1.1", runc.clone(), 1),
        shown("runc 1.0", format!("standard_init_linux.go:228: exec user process caused: {go}"), 1),
        shown("runc 1.0-rc90 and older", format!("standard_init_linux.go:211: exec user process caused \"{go}\""), 1),
        shown("crun", crun.clone(), 1),
        shown("docker run (27.5 and newer)", runc.clone(), 255),
        shown("docker run (20.10.10 to 27.4)", runc.clone(), 1),
        shown("kubectl logs --previous (containerd)", runc, 255),
        shown("podman run", format!("{{\"msg\":\"{crun}\",\"level\":\"error\"}}"), 1),
    ]
}

/// The runtime's own search failed: no process was started.
fn not_found(program: &str, errno: Errno, code: &str) -> Vec<Shown> {
    let go = errno.message();
    let look_path = match code {
        "not-in-path" => format!("exec: \"{program}\": executable file not found in $PATH"),
        "is-directory" => format!("exec: \"{program}\": is a directory"),
        "missing-program" | "not-a-directory" | "symlink-loop" | "name-too-long" | "not-searchable" => {
            format!("exec: \"{program}\": stat {program}: {go}")
        }
        _ => format!("exec: \"{program}\": {go}"),
    };
    // Go before 1.20 took a directory for a file without permission, and runc said less before 1.2.
    let old_look_path =
        if code == "is-directory" { format!("exec: \"{program}\": permission denied") } else { look_path.clone() };
    let crun = match (code, errno) {
        ("not-in-path", _) => format!("executable file `{program}` not found in $PATH: No such file or directory"),
        ("is-directory", _) => "open executable: Operation not permitted".to_string(),
        (_, Errno::ENOENT) => format!("executable file `{program}` not found: No such file or directory"),
        _ => format!("open executable: {}", errno.strerror()),
    };
    // It named PATH for every path.
    let old_crun = crun.replace("` not found:", "` not found in $PATH:");
    let (code, podman) = match errno {
        Errno::ENOENT => (127, "OCI runtime attempted to invoke a command that was not found"),
        Errno::EACCES => (126, "OCI permission denied"),
        _ => (126, "OCI runtime error"),
    };
    let new = format!("unable to start container process: error during container init: {look_path}");
    let old = format!("unable to start container process: {old_look_path}");
    let task = "failed to create shim task: OCI runtime create failed: runc create failed";
    let kubelet = format!("failed to create containerd task: {task}: {new}: unknown");
    vec![
        shown("runc 1.2 and newer", format!("runc run failed: {new}"), 1),
        shown("runc 1.1", format!("runc run failed: {old}"), 1),
        shown("crun", crun.clone(), 1),
        shown("crun 1.8 and older", old_crun, 1),
        shown(
            "docker run (27.5 and newer)",
            format!("docker: Error response from daemon: failed to create task for container: {task}: {new}: unknown"),
            code,
        ),
        shown(
            "docker run (24 to 27.4)",
            format!("docker: Error response from daemon: failed to create task for container: {task}: {old}: unknown"),
            code,
        ),
        shown("kubelet (containerd): StartError", kubelet, 128),
        Shown {
            frontend: "kubelet (CRI-O): CreateContainerError",
            text: format!("container create failed: {crun}"),
            exit_code: None,
        },
        shown("podman run", format!("Error: crun: {crun}: {podman}"), code),
    ]
}

/// The program was started and ended, by a signal or by its loader, a shell or a wrapper. Every front end reports the
/// process's own end, and a signal as 128 and its number.
fn ended(death: Death, says: String) -> Vec<Shown> {
    let (code, says) = match death {
        Death::Signal(number) => (128 + number, String::new()),
        Death::Exit(code) => (code, says),
    };
    let log = ["runc", "crun", "docker run", "kubectl logs --previous", "podman run"];
    log.into_iter().map(|frontend| shown(frontend, says.clone(), code)).collect()
}

fn unknown_user(text: &str) -> Vec<Shown> {
    let runc = format!("unable to start container process: {text}");
    vec![
        shown("runc", format!("runc run failed: {runc}"), 1),
        shown("docker run", format!("docker: Error response from daemon: {text}"), 125),
        Shown { frontend: "kubelet (containerd): CreateContainerError", text: text.to_string(), exit_code: None },
    ]
}

fn no_command() -> Vec<Shown> {
    let kubelet =
        Shown { frontend: "kubelet: CreateContainerError", text: "no command specified".to_string(), exit_code: None };
    vec![shown("docker run", "docker: Error response from daemon: no command specified", 125), kubelet]
}

#[cfg(test)]
mod tests {
    use super::super::exec::tests::{call, tree};
    use super::*;
    use crate::inspect::elf_builder::ElfBuilder;
    use crate::judge::trace;
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
        check(&[], &["/app"], &[("docker run (27.5 and newer)", docker, 127)]);
        check(
            &[],
            &["app"],
            &[(
                "runc 1.1",
                "runc run failed: unable to start container process: exec: \"app\": executable file not found in $PATH",
                1,
            )],
        );
        check(
            &[("app", 0o644, b"x")],
            &["/app"],
            &[("podman run", "Error: crun: open executable: Permission denied: OCI permission denied", 126)],
        );
    }

    #[test]
    fn a_program_that_ends_at_once_ends_so_for_everyone() {
        let mut broken = ElfBuilder::amd64().build();
        crate::inspect::elf_builder::edit_phdr(&mut broken, 0, |load| load.vaddr += 0x10);
        check(&[("app", 0o755, &broken)], &["/app"], &[("docker run", "", 139), ("kubectl logs --previous", "", 139)]);
        let go = ElfBuilder::amd64().go("go1.22", &[("GOAMD64", "v3")]).build();
        let call = call(&["/app"]);
        let node = Node { isa: crate::platform::Fact::Known(crate::platform::Isa::X86(2)), ..Node::plain(Arch::Amd64) };
        let trace = trace(&tree(&[("app", 0o755, &go)]), &call, &node);
        let text = "This program can only be run on AMD64 processors with v3 microarchitecture support.";
        assert!(messages(&trace, &call).contains(&shown("runc", text, 1)));
    }
}
