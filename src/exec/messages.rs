//! The messages and exit codes that runtimes and engines report for an outcome, by version where they differ. The texts
//! are quoted word for word. Sources: runc's libcontainer (generic_error.go, standard_init_linux.go, init_linux.go by
//! tag), crun's container.c, moby's daemon/errors.go, containerd's internal/cri/server, podman's libpod/oci_util.go.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::exec::outcome::{Death, Errno, Exec, Outcome, RootRefusal};
use crate::exec::{AsRoot, CauseKind, Link, Trace};

/// One message that a program prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub speaker: MessageSource,
    /// The program that prints it and the versions that do: "runc 1.2 and newer".
    pub frontend: Cow<'static, str>,
    /// May contain several lines. Empty if the program prints nothing, as for a signal.
    pub text: String,
    /// Exit code of the container's process, or of the client if no process was started. `None` if there is none.
    pub exit_code: Option<u8>,
}

/// The kind of program that prints a message. Users see the engines' messages first; a runtime's own message is only
/// visible if it is in the container's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MessageSource {
    Docker,
    Kubelet,
    Podman,
    Runtime,
}

/// Causes that make a runtime's own search fail, before execve. The error goes to the runtime's caller, not to the
/// container's log.
const SEARCH: &[CauseKind] = &[
    CauseKind::MissingProgram,
    CauseKind::NotInPath,
    CauseKind::RelativeInPath,
    CauseKind::NotExecutable,
    CauseKind::IsDirectory,
    CauseKind::NotAFile,
    CauseKind::NotSearchable,
    CauseKind::NotADirectory,
    CauseKind::SymlinkLoop,
    CauseKind::NameTooLong,
    CauseKind::MountedOver,
];

/// Returns the messages for a trace's outcome. Empty if the program runs or the outcome is unknown.
pub fn messages(trace: &Trace, call: &Exec) -> Vec<Shown> {
    let program = call.argv.first().map_or("", String::as_str);
    let is_first = trace.steps.iter().all(|step| step.link == Link::Call);
    match &trace.outcome {
        Outcome::Runs | Outcome::Emulated { .. } | Outcome::Unknown { .. } => Vec::new(),
        Outcome::Fails { cause, .. } if cause.kind == CauseKind::UnknownUser => unknown_user(&cause.text),
        Outcome::Fails { cause, .. } if cause.kind == CauseKind::RootRefused => {
            let words = call.refused.as_ref().map(RootRefusal::words).unwrap_or_default();
            vec![kubelet("kubelet: CreateContainerConfigError", words, None)]
        }
        Outcome::Fails { cause, .. } if cause.kind == CauseKind::NoCommand => nothing_starts(),
        Outcome::Fails { errno, at, cause } if cause.kind == CauseKind::BadWorkingDir => {
            bad_working_dir(at, call, *errno)
        }
        Outcome::Fails { cause, .. } if cause.kind == CauseKind::RelativeWorkingDir => relative_working_dir(),
        Outcome::Fails { errno, cause, .. } if is_first && SEARCH.contains(&cause.kind) => {
            let failed = FailedSearch { program, errno: *errno, kind: cause.kind };
            let crun = match &trace.as_root {
                AsRoot::Finds(_) if cause.kind == CauseKind::RelativeInPath => Crun::Runs,
                AsRoot::Finds(path) => Crun::Refused(crun_refusals(path, call, Errno::EACCES)),
                AsRoot::FindsNothing => Crun::NotFound(failed.by_crun(call)),
                AsRoot::Refuses(kind, errno) => {
                    Crun::NotFound(FailedSearch { errno: *errno, kind: *kind, ..failed }.by_crun(call))
                }
            };
            not_found(&failed, &crun)
        }
        Outcome::Fails { errno, .. } => {
            let path = trace.steps.first().map_or(program, |step| step.typed.as_str());
            refused(path, call, *errno)
        }
        Outcome::Dies { death, .. } => ended(*death, trace.says.join("\n")),
    }
}

fn runtime(frontend: &'static str, text: impl Into<String>, exit_code: u8) -> Shown {
    Shown { speaker: MessageSource::Runtime, frontend: frontend.into(), text: text.into(), exit_code: Some(exit_code) }
}

fn docker(frontend: &'static str, text: impl Into<String>, exit_code: u8) -> Shown {
    Shown { speaker: MessageSource::Docker, ..runtime(frontend, text, exit_code) }
}

fn podman(frontend: &'static str, text: impl Into<String>, exit_code: u8) -> Shown {
    Shown { speaker: MessageSource::Podman, ..runtime(frontend, text, exit_code) }
}

fn kubelet(frontend: &'static str, text: impl Into<String>, exit_code: Option<u8>) -> Shown {
    Shown { speaker: MessageSource::Kubelet, frontend: frontend.into(), text: text.into(), exit_code }
}

/// Orders the messages if no process was started: those that users see, then those that runtimes print to their
/// callers.
fn never_started(mut rows: Vec<Shown>) -> Vec<Shown> {
    rows.sort_by_key(|row| row.speaker);
    rows
}

/// crun's message for an execve that failed, in its current and its older versions.
fn crun_refusals(path: &str, call: &Exec, errno: Errno) -> [String; 2] {
    let hint = if errno == Errno::ENOENT { " (missing dynamic library?)" } else { "" };
    let line = |path: String| format!("exec container process{hint} `{path}`: {}", errno.strerror());
    let cwd = if call.working_dir.is_empty() { "/" } else { &call.working_dir };
    match path.starts_with('/') {
        true => [line(path.to_string()), line(path.to_string())],
        false => [line(format!("{}/{path}", cwd.trim_end_matches('/'))), line(format!("{cwd}/{path}"))],
    }
}

fn crun_rows([new, old]: &[String; 2]) -> Vec<Shown> {
    if new == old {
        return vec![runtime("crun", new, 1)];
    }
    vec![runtime(CRUN, new, 1), runtime(OLD_CRUN, old, 1)]
}

const CRUN: &str = "crun 1.21 and newer";
const OLD_CRUN: &str = "crun 1.20 and older";

/// Messages for an execve that failed after the runtime had reported the container as started: they are in the
/// container's own log.
fn refused(path: &str, call: &Exec, errno: Errno) -> Vec<Shown> {
    let go = errno.message();
    let runc = format!("exec {path}: {go}");
    let crun = crun_refusals(path, call, errno);
    let mut rows = vec![
        runtime("runc 1.2 and newer", runc.clone(), 255),
        runtime("runc 1.1", runc.clone(), 1),
        runtime("runc 1.0", format!("standard_init_linux.go:228: exec user process caused: {go}"), 1),
        runtime("runc 1.0-rc90 and older", format!("standard_init_linux.go:211: exec user process caused \"{go}\""), 1),
    ];
    rows.extend(crun_rows(&crun));
    rows.extend([
        docker("docker run (27.5 and newer)", runc.clone(), 255),
        docker("docker run (20.10.10 to 27.4)", runc.clone(), 1),
        kubelet("kubectl logs --previous (containerd)", runc.clone(), Some(255)),
    ]);
    rows.extend(podman_refused(&crun));
    rows.extend([podman(PODMAN_RUNC, runc.clone(), 255), podman(PODMAN_OLD_RUNC, runc, 1)]);
    rows
}

const PODMAN: &str = "podman run";
const PODMAN_NEW_CRUN: &str = "podman run (crun 1.28)";
const PODMAN_OLD_CRUN: &str = "podman run (crun 1.20 and older)";
const PODMAN_RUNC: &str = "podman run (runc 1.2 and newer)";
const PODMAN_OLD_RUNC: &str = "podman run (runc 1.1)";
const PODMAN_OLD_GO: &str = "podman run (runc 1.1, Go before 1.20)";

/// podman makes crun log in JSON. The time is that of the failure.
fn podman_refused([new, old]: &[String; 2]) -> Vec<Shown> {
    let row = |frontend, crun: &str| {
        podman(frontend, format!("{{\"msg\":\"{crun}\",\"level\":\"error\",\"time\":\"...\"}}"), 1)
    };
    // crun 1.28 spreads it over several lines, and escapes slashes.
    let spread = podman(PODMAN_NEW_CRUN, format!("\"msg\": \"{}\"", new.replace('/', "\\/")), 1);
    let mut rows = vec![row(PODMAN, new), spread];
    rows.extend((new != old).then(|| row(PODMAN_OLD_CRUN, old)));
    rows
}

/// What crun does if runc's search fails. It searches as root and accepts a program in a relative directory of PATH.
enum Crun {
    Runs,
    Refused([String; 2]),
    NotFound([String; 2]),
}

/// A failed search by a runtime.
#[derive(Clone, Copy)]
struct FailedSearch<'a> {
    program: &'a str,
    errno: Errno,
    kind: CauseKind,
}

impl FailedSearch<'_> {
    /// The messages of Go's os/exec, from Go 1.20 on and before. Older versions treat a directory as a file without
    /// permission, and their runc checks the user's permission itself.
    fn by_go(&self, is_user_refused: bool) -> [String; 2] {
        let FailedSearch { program, errno, kind } = self;
        let go = errno.message();
        let named = |text: &str| format!("exec: \"{program}\": {text}");
        match *kind {
            CauseKind::NotInPath => [(); 2].map(|()| named("executable file not found in $PATH")),
            CauseKind::RelativeInPath => {
                [(); 2].map(|()| named("cannot run executable found relative to current directory"))
            }
            CauseKind::IsDirectory => [named("is a directory"), named("permission denied")],
            CauseKind::NotExecutable if is_user_refused => [named(go), format!("exec {program}: {go}")],
            CauseKind::NotExecutable | CauseKind::NotAFile => [(); 2].map(|()| named(go)),
            _ => [(); 2].map(|()| named(&format!("stat {program}: {go}"))),
        }
    }

    /// The messages of crun's `find_executable`, and of the code that preceded it.
    fn by_crun(&self, call: &Exec) -> [String; 2] {
        let FailedSearch { program, errno, kind } = self;
        let is_relative = program.contains('/') && !program.starts_with('/');
        let cwd = call.working_dir.trim_end_matches('/');
        let path = if is_relative { format!("{cwd}/{program}") } else { program.to_string() };
        let place = if path.starts_with('/') { "" } else { " in $PATH" };
        let absent = Errno::ENOENT.strerror();
        let new = match (*kind, *errno) {
            (CauseKind::NotExecutable, _) => {
                format!("the path `{path}` exists but it is not executable: Operation not permitted")
            }
            (CauseKind::IsDirectory | CauseKind::NotAFile, _) => {
                format!("the path `{path}` is not a regular file: Operation not permitted")
            }
            (_, Errno::ENOENT) => format!("executable file `{path}` not found{place}: {absent}"),
            (_, errno) => format!("open `{path}`: {}", errno.strerror()),
        };
        let old = match (*kind, *errno) {
            (CauseKind::IsDirectory | CauseKind::NotAFile, _) => "open executable: Operation not permitted".to_string(),
            (_, Errno::ENOENT) => format!("executable file `{program}` not found in $PATH: {absent}"),
            (_, errno) => format!("open executable: {}", errno.strerror()),
        };
        [new, old]
    }

    /// The suffix that containerd 2 appends to a message: the class of the error, if the message does not contain it.
    fn sorted(&self) -> &'static str {
        match self.kind {
            CauseKind::IsDirectory => ": permission denied",
            _ => "",
        }
    }

    /// The exit code of the docker client, which depends on the text of the error.
    fn exit_code(&self) -> u8 {
        match (self.errno, self.kind) {
            (_, CauseKind::RelativeInPath) => 125,
            (Errno::ENOENT, _) => 127,
            (Errno::EACCES, _) => 126,
            _ => 125,
        }
    }
}

/// Messages for a runtime's failed search. No process was started.
fn not_found(failed: &FailedSearch<'_>, crun: &Crun) -> Vec<Shown> {
    let [go, old_go] = failed.by_go(matches!(crun, Crun::Refused(_)));
    let code = failed.exit_code();
    let start = "unable to start container process: ";
    let task = "failed to create shim task: OCI runtime create failed: runc create failed";
    let daemon = "docker: Error response from daemon: failed to create task for container";
    let new = format!("{start}error during container init: {go}");
    let old = |go: &str| format!("{start}{go}");
    let mut rows = vec![
        runtime("runc 1.2 and newer", format!("runc run failed: {new}"), 1),
        runtime("runc 1.1", format!("runc run failed: {}", old(&go)), 1),
        docker("docker run (28 and newer, containerd 2)", format!("{daemon}: {task}: {new}{}", failed.sorted()), code),
        docker("docker run (27.5 and newer)", format!("{daemon}: {task}: {new}: unknown"), code),
        docker("docker run (24 to 27.4)", format!("{daemon}: {task}: {}: unknown", old(&go)), code),
        kubelet(
            "kubelet (containerd): StartError",
            format!("failed to create containerd task: {task}: {new}: unknown"),
            Some(128),
        ),
    ];
    if go != old_go {
        let old_docker = format!("{daemon}: {task}: {}: unknown", old(&old_go));
        rows.push(runtime("runc 1.1 (Go before 1.20)", format!("runc run failed: {}", old(&old_go)), 1));
        rows.push(docker("docker run (24 to 27.4, runc of Go before 1.20)", old_docker, code));
        rows.push(podman_not_found(PODMAN_OLD_GO, "runc", &format!("runc create failed: {}", old(&old_go))));
    }
    match crun {
        Crun::Runs => {}
        Crun::Refused(lines) => {
            rows.extend(crun_rows(lines));
            rows.extend(podman_refused(lines));
        }
        Crun::NotFound(lines) => {
            rows.extend(crun_rows(lines));
            rows.push(crio_not_found(&lines[0]));
            rows.push(podman_not_found(PODMAN, "crun", &lines[0]));
            rows.extend((lines[0] != lines[1]).then(|| podman_not_found(PODMAN_OLD_CRUN, "crun", &lines[1])));
        }
    }
    rows.push(podman_not_found(PODMAN_RUNC, "runc", &format!("runc create failed: {new}")));
    rows.push(podman_not_found(PODMAN_OLD_RUNC, "runc", &format!("runc create failed: {}", old(&go))));
    never_started(rows)
}

fn crio_not_found(crun: &str) -> Shown {
    let text = format!("container create failed: {crun}");
    kubelet("kubelet (CRI-O): CreateContainerError", text, None)
}

/// podman classifies a runtime's error by its text. Source: libpod/oci_util.go `getOCIRuntimeError`,
/// libpod/define/exec_codes.go `ExitCode`.
fn podman_not_found(frontend: &'static str, runtime: &str, words: &str) -> Shown {
    let has = |part: &str| words.to_ascii_lowercase().contains(part);
    let is_absent = has("no such file or directory");
    let text = match () {
        () if has("permission denied") || has("operation not permitted") => {
            format!("Error: {runtime}: {words}: OCI permission denied")
        }
        () if is_absent || has("executable file not found in") => {
            format!("Error: {runtime}: {words}: OCI runtime attempted to invoke a command that was not found")
        }
        () => format!("Error: OCI runtime error: {runtime}: {words}"),
    };
    let code = if is_absent || has("not found") { 127 } else { 126 };
    podman(frontend, text, code)
}

/// Messages for a working directory that the runtime could not enter or create. `at` is the path that prevents it.
fn bad_working_dir(at: &str, call: &Exec, errno: Errno) -> Vec<Shown> {
    let made = if errno == Errno::ELOOP { "file exists" } else { errno.message() };
    let runc =
        format!("runc run failed: unable to start container process: error during container init: mkdir {at}: {made}");
    let crun = |to: &str| format!("chdir{to} `{}`: {}", call.working_dir, errno.strerror());
    let mut rows =
        vec![runtime("runc 1.1 and newer", runc, 1), runtime(CRUN, crun(" to"), 1), runtime("crun 1.8", crun(""), 1)];
    if errno == Errno::ENOTDIR {
        // docker and podman check before they call the runtime. The path's prefix is the engine's own.
        let (inside, why) = (call.working_dir.as_str(), errno.message());
        let daemon = format!("docker: Error response from daemon: lstat ...{inside}: {why}");
        rows.push(docker("docker run", daemon, 125));
        let text = format!("Error: detecting workdir \"{inside}\" on container ...: stat ...{inside}: {why}");
        rows.push(podman(PODMAN, text, 126));
    }
    never_started(rows)
}

/// runc refuses it before it creates anything. crun enters it from the root directory.
fn relative_working_dir() -> Vec<Shown> {
    let text = "Cwd must be an absolute path";
    let task = format!("failed to create shim task: OCI runtime create failed: runc create failed: {text}: unknown");
    let daemon = format!("docker: Error response from daemon: failed to create task for container: {task}");
    never_started(vec![
        runtime("runc", format!("runc run failed: {text}"), 1),
        docker("docker run (24 and newer)", daemon, 125),
        kubelet("kubelet (containerd): StartError", format!("failed to create containerd task: {task}"), Some(128)),
        podman("podman run (runc)", format!("Error: OCI runtime error: runc: runc create failed: {text}"), 126),
    ])
}

/// Messages for a program that started and was ended by a signal, its loader, a shell or a wrapper. Every front end
/// reports the process's exit code, or 128 plus the signal's number.
fn ended(death: Death, says: String) -> Vec<Shown> {
    let (codes, says) = match death {
        Death::Signal(number) => (vec![128 + number], String::new()),
        Death::AnyOf { usual, others } => {
            ([&[usual][..], &others].concat().iter().map(|number| 128 + *number).collect(), String::new())
        }
        Death::Exit(code) => (vec![code], says),
    };
    let log = [runtime("runc", "", 0), runtime("crun", "", 0), docker("docker run", "", 0)];
    let log = log.into_iter().chain([kubelet("kubectl logs --previous", "", None), podman(PODMAN, "", 0)]);
    let ends = codes.into_iter().flat_map(|code| log.clone().map(move |row| (row, code)));
    ends.map(|(row, code)| Shown { text: says.clone(), exit_code: Some(code), ..row }).collect()
}

/// The daemon looks up the user before it creates a container. Source: moby, daemon/oci_linux.go `WithUser`; libpod,
/// container_internal_linux.go `generatePasswdAndGroup`.
fn unknown_user(text: &str) -> Vec<Shown> {
    let runc = format!("unable to start container process: {text}");
    let group = text.strip_prefix("unable to find group ").and_then(|rest| rest.split_once(": "));
    let by_podman = match group {
        Some((group, why)) => {
            format!(
                "creating temporary passwd file for container ...: unable to get gid {group} from group file: {why}"
            )
        }
        None => text.to_string(),
    };
    never_started(vec![
        runtime("runc", format!("runc run failed: {runc}"), 1),
        docker("docker run", format!("docker: Error response from daemon: {text}"), 125),
        podman(PODMAN, format!("Error: {by_podman}"), 126),
        kubelet("kubelet (containerd): CreateContainerError", text, None),
    ])
}

/// docker and the kubelet refuse a call without a program. podman lets its runtime search for a program with an empty
/// name.
pub fn nothing_starts() -> Vec<Shown> {
    let go = "unable to start container process: error during container init: exec: \"\": executable file not found in $PATH";
    vec![
        docker("docker run", "docker: Error response from daemon: no command specified", 125),
        kubelet("kubelet: CreateContainerError", "no command specified", None),
        podman_not_found(PODMAN_RUNC, "runc", &format!("runc create failed: {go}")),
    ]
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
