//! Calls credential helpers: `docker-credential-NAME get` reads a server's name from stdin and answers in JSON. A
//! helper that hangs is killed with its children. Its output is never logged. Source: docker/docker-credential-helpers,
//! "Protocol".

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

use super::credential::Credential;

/// Size limit of an answer. A credential takes a few kilobytes at most (cloud tokens).
const ANSWER_LIMIT: u64 = 1 << 20;
const POLL: Duration = Duration::from_millis(10);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Gets the credential for `server` from the helper `name`; `None` if the helper has none. The error contains no
/// secret.
pub(super) fn call(
    name: &str,
    server: &str,
    search_path: Option<&OsStr>,
    timeout: Duration,
) -> Result<Option<Credential>, String> {
    let program = format!("docker-credential-{name}");
    // The name is part of a program's name and must not lead to another directory.
    if name.is_empty() || name.contains(['/', '\\']) {
        return Err(format!("{name:?} cannot be the name of a credential helper"));
    }
    let mut command = Command::new(&program);
    // A separate process group, so that the helper's children can be killed with it.
    command.process_group(0);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(path) = search_path {
        command.env("PATH", path);
    }
    let mut child = command.spawn().map_err(|error| format!("{program} could not be started: {error}"))?;
    let answered = converse(&mut child, server, timeout);
    if answered.is_err() {
        end(&mut child);
    }
    let (status, output) = answered.map_err(|cause| format!("{program}: {cause}"))?;
    read_answer(status, &output).map_err(|cause| format!("{program}: {cause}"))
}

/// Kills a helper and the children that it left in its process group.
fn end(child: &mut Child) {
    // The helper has not been waited for, or still has a child that holds its pipe, so the group's ID is not reused.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // All of them may have ended in the meantime.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// Runs the helper and returns its exit status and output.
fn converse(child: &mut Child, server: &str, timeout: Duration) -> Result<(ExitStatus, String), String> {
    let end = Instant::now() + timeout;
    let mut input = child.stdin.take().expect("standard input is piped");
    let mut output = child.stdout.take().expect("standard output is piped").take(ANSWER_LIMIT);
    let (sender, receiver) = mpsc::channel();
    // A separate thread reads the output: a grandchild may keep the pipe open after the helper was killed, and is not
    // waited for.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text).map(|_| text);
        let _ = sender.send(read);
    });
    // If a helper does not read its input, its answer shows the reason.
    let _ = input.write_all(server.as_bytes());
    drop(input);
    let late = || format!("no answer within {} s", timeout.as_secs_f32());
    let text = receiver.recv_timeout(timeout).map_err(|_| late())?.map_err(|error| error.to_string())?;
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => return Ok((status, text)),
            None if Instant::now() >= end => return Err(late()),
            None => std::thread::sleep(POLL),
        }
    }
}

fn read_answer(status: ExitStatus, output: &str) -> Result<Option<Credential>, String> {
    if !status.success() {
        let message = output.trim();
        // The protocol's only sign for this case is this text.
        if message.contains("credentials not found") || message.contains("no credentials server URL") {
            return Ok(None);
        }
        // A helper may fail after printing its answer, any part of which may contain the secret.
        let is_safe = !message.is_empty() && !message.contains('{') && !message.contains("\"Secret\"");
        return Err(if is_safe { super::answer::one_line(message) } else { format!("it failed ({status})") });
    }
    // serde_json's own message would quote the answer.
    let answer: HelperAnswer =
        serde_json::from_str(output).map_err(|_| "its answer does not follow the protocol".to_string())?;
    Ok(Credential::from_pair(answer.username, answer.secret))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn check(script: &str, expected: Result<Option<Credential>, &str>) {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("docker-credential-test");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        let answer = call("test", "registry.example", Some(OsStr::new(&path)), Duration::from_millis(1000));
        match (answer, expected) {
            (Err(cause), Err(part)) => assert!(cause.contains(part), "{cause}"),
            (answer, expected) => assert_eq!(answer, expected.map_err(str::to_string)),
        }
    }

    fn basic(username: &str, password: &str) -> Option<Credential> {
        Some(Credential::Basic { username: username.to_string(), password: password.to_string() })
    }

    #[test]
    fn a_helper_gets_the_servers_name() {
        check(
            r#"read s; echo "{\"ServerURL\":\"x\",\"Username\":\"$1\",\"Secret\":\"$s\"}""#,
            Ok(basic("get", "registry.example")),
        );
    }

    #[test]
    fn a_helper_without_the_credential_is_not_a_failure() {
        check("echo 'credentials not found in native keychain'; exit 1", Ok(None));
    }

    #[test]
    fn a_token_users_secret_is_an_identity_token() {
        let token = Credential::IdentityToken { username: String::new(), token: "t".to_string() };
        check(r#"echo '{"Username":"<token>","Secret":"t"}'"#, Ok(Some(token)));
    }

    #[test]
    fn a_failing_helper_reports_its_cause_without_the_secret() {
        check("echo 'the keychain is locked'; exit 1", Err("the keychain is locked"));
        check("exit 3", Err("it failed (exit status: 3)"));
        check("echo '{\"Secret\":\"hunter2\"'", Err("its answer does not follow the protocol"));
    }

    #[test]
    fn a_helper_that_fails_after_its_answer_keeps_its_secret() {
        for answer in [r#"{"Username":"u","Secret":"hunter2"}"#, r#""Secret": "hunter2""#] {
            check(&format!("echo '{answer}'; exit 1"), Err("docker-credential-test: it failed (exit status: 1)"));
        }
    }

    #[test]
    fn a_helper_that_hangs_is_ended() {
        check("exec sleep 20", Err("no answer within"));
        check("sleep 20 & wait", Err("no answer within"));
    }

    #[test]
    fn the_children_of_a_helper_that_hangs_are_ended_too() {
        let directory = tempfile::tempdir().unwrap();
        let pid = directory.path().join("pid");
        check(&format!("sleep 20 & echo $! > {}; wait", pid.display()), Err("no answer within"));
        let pid = std::fs::read_to_string(pid).unwrap();
        let is_running = || match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
            // A zombie that init has not collected yet has ended.
            Ok(stat) => !stat.contains(") Z "),
            Err(_) => false,
        };
        let end = Instant::now() + Duration::from_secs(2);
        while is_running() && Instant::now() < end {
            std::thread::sleep(POLL);
        }
        assert!(!is_running());
    }

    #[test]
    fn a_missing_helper_is_named() {
        let answer = call("nowhere", "x", Some(OsStr::new("/nonexistent")), Duration::from_secs(1));
        assert!(answer.unwrap_err().starts_with("docker-credential-nowhere could not be started"));
        assert!(call("../evil", "x", None, Duration::from_secs(1)).is_err());
    }
}
