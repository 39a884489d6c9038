//! Credential helpers: `docker-credential-NAME get` gets a server's name on its standard input and answers in JSON.
//! A helper that hangs is ended together with its children; what it says is never logged.
//! Source: docker/docker-credential-helpers, "Protocol".

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

use super::credential::Credential;

/// A credential is a few kilobytes at most (cloud tokens); more is no answer of a helper.
const ANSWER_LIMIT: u64 = 1 << 20;
const POLL: Duration = Duration::from_millis(10);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks the helper `name` for the credential of `server`. `None`: it has none. The error's text holds no secret.
pub(super) fn ask(
    name: &str,
    server: &str,
    search_path: Option<&OsStr>,
    timeout: Duration,
) -> Result<Option<Credential>, String> {
    let program = format!("docker-credential-{name}");
    // The name is a part of a program's name, not a way to another folder.
    if name.is_empty() || name.contains(['/', '\\']) {
        return Err(format!("{name:?} cannot be the name of a credential helper"));
    }
    let mut command = Command::new(&program);
    // A group of its own, so that its children can be ended with it.
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
    // The helper has not been waited for, or still has a child that holds its pipe: the group's id is not reused.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // All of them may have ended in the meantime.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// How it ended, and what it said.
fn converse(child: &mut Child, server: &str, timeout: Duration) -> Result<(ExitStatus, String), String> {
    let end = Instant::now() + timeout;
    let mut input = child.stdin.take().expect("standard input is piped");
    let mut output = child.stdout.take().expect("standard output is piped").take(ANSWER_LIMIT);
    let (sender, receiver) = mpsc::channel();
    // A thread each way of the pipe: a grandchild may hold it open after the helper was ended, and is not waited for.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.read_to_string(&mut text).map(|_| text);
        let _ = sender.send(read);
    });
    // A helper that does not read its input has its own reasons, which its answer tells.
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
        let said = output.trim();
        // The protocol has no other sign for it than this text.
        if said.contains("credentials not found") || said.contains("no credentials server URL") {
            return Ok(None);
        }
        // A helper may fail after its answer, of which each part may have the secret in it.
        let is_tellable = !said.is_empty() && !said.contains('{') && !said.contains("\"Secret\"");
        return Err(if is_tellable { super::answer::one_line(said) } else { format!("it failed ({status})") });
    }
    // serde_json's own message would quote the answer.
    let answer: Answer = serde_json::from_str(output).map_err(|_| "its answer is not the protocol's".to_string())?;
    Ok(Credential::from_pair(answer.username, answer.secret))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn check(script: &str, expected: Result<Option<Credential>, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("docker-credential-test");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let answer = ask("test", "registry.example", Some(OsStr::new(&path)), Duration::from_millis(1000));
        match (answer, expected) {
            (Err(cause), Err(part)) => assert!(cause.contains(part), "{cause}"),
            (answer, expected) => assert_eq!(answer, expected.map_err(str::to_string)),
        }
    }

    fn basic(username: &str, password: &str) -> Option<Credential> {
        Some(Credential::Basic { username: username.to_string(), password: password.to_string() })
    }

    #[test]
    fn a_helper_is_asked_by_the_servers_name() {
        check(
            r#"read s; echo "{\"ServerURL\":\"x\",\"Username\":\"$1\",\"Secret\":\"$s\"}""#,
            Ok(basic("get", "registry.example")),
        );
    }

    #[test]
    fn a_helper_without_the_credential_is_no_failure() {
        check("echo 'credentials not found in native keychain'; exit 1", Ok(None));
    }

    #[test]
    fn a_token_users_secret_is_an_identity_token() {
        let token = Credential::IdentityToken { username: String::new(), token: "t".to_string() };
        check(r#"echo '{"Username":"<token>","Secret":"t"}'"#, Ok(Some(token)));
    }

    #[test]
    fn a_failing_helper_says_why_and_keeps_its_secret() {
        check("echo 'the keychain is locked'; exit 1", Err("the keychain is locked"));
        check("exit 3", Err("it failed (exit status: 3)"));
        check("echo '{\"Secret\":\"hunter2\"'", Err("its answer is not the protocol's"));
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
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
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
    fn a_helper_that_is_not_there_is_named() {
        let answer = ask("nowhere", "x", Some(OsStr::new("/nonexistent")), Duration::from_secs(1));
        assert!(answer.unwrap_err().starts_with("docker-credential-nowhere could not be started"));
        assert!(ask("../evil", "x", None, Duration::from_secs(1)).is_err());
    }
}
