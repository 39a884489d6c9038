//! Logs of programs that went on after a message, and of programs that ended at it.

use crate::diagnose::cause::Suspect;
use crate::diagnose::rank::{Circumstances, rank};
use crate::diagnose::reader::read_text;

fn first(log: &str) -> Option<Suspect> {
    let content = read_text(log);
    rank(&content.symptoms, &Circumstances::default()).first().map(|first| first.suspect)
}

#[test]
fn a_program_that_went_on_did_not_end_at_the_message() {
    for log in [
        // Servers, with and without a level.
        "time=\"10:00\" level=error msg=\"no revision: exec: \\\"git\\\": executable file not found in $PATH\"\nlevel=info msg=\"listening on :8080\"\nlevel=error msg=\"upstream timeout\"",
        "exec: \"git\": executable file not found in $PATH\nserver listening on :80\npanic: dial tcp 10.0.0.1:5432: connect: connection refused",
        "/app/start.sh: line 3: lscpu: command not found\n[2026] [1] [INFO] Starting gunicorn 20.1.0\n[CRITICAL] WORKER TIMEOUT (pid:12)",
        "2026 WARN epoll: /tmp/libnetty.so: Error loading shared library libcrypt.so.1: No such file or directory; using NIO\nStarted Shop in 4.1 seconds (JVM running for 5.0)",
        // Warnings of programs that do not serve.
        "{\"level\":\"warn\",\"msg\":\"exec: \\\"nvidia-smi\\\": executable file not found in $PATH\"}\n{\"level\":\"info\",\"msg\":\"14 targets\"}",
        "W1101 10:00:00.1  1 gpu.go:31] exec: \"nvidia-smi\": executable file not found in $PATH\nI1101 10:00:00.2  1 server.go:88] acquiring the lease",
        "web-1  | sh: git: not found\nweb-1  |  ✓ Ready in 412ms\nweb-1  |  ⨯ Error: connect ECONNREFUSED 172.18.0.2:5432",
        // The program that a script starts afterwards.
        "/start.sh: line 3: nvidia-smi: command not found\nRuntimeError: No CUDA GPUs are available",
        "[WARN] plugin auth: exec format error, skipping plugin\n[INFO] ready\n[INFO] listening on port 8080",
        // Normal work of a job.
        "rosetta error: failed to open elf at /lib64/ld-linux-x86-64.so.2\n Trace/breakpoint trap\nINFO:crawler:page 1\nINFO:crawler:next page\nERROR:crawler:429 Too Many Requests",
        // Each container by itself.
        "web-1  | exec: \"git\": executable file not found in $PATH\ndb-1   | stopping\nweb-1  | listening on :80",
        // The same warning at every start.
        "exec: \"git\": executable file not found in $PATH\nlistening on :80\nexec: \"git\": executable file not found in $PATH\nlistening on :80\n",
    ] {
        assert_eq!(first(log), Some(Suspect::ProgramItself), "{log}");
    }
}

#[test]
fn a_program_that_ended_at_the_message_is_blamed() {
    const GIT: &str = "exec: \"git\": executable file not found in $PATH";
    for log in [
        GIT.to_string(),
        format!("panic: {GIT}\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:31 +0x1a5\nexit status 2"),
        format!("level=error msg=\"{GIT}\"\nlevel=info msg=\"shutting down\"\nlevel=info msg=\"bye\""),
        format!("level=warning msg=\"{GIT}\"\nlevel=info msg=\"exiting\""),
        format!("[ERROR] {GIT}\n[INFO] BUILD FAILURE\n[INFO] Total time: 3 s\n[INFO] Finished at: 10:00"),
        "app: line 1: wkhtmltopdf: command not found\nRuntimeError: wkhtmltopdf exited with 127".to_string(),
        // Another service works.
        format!("web-1  | {GIT}\ndb-1   | ready for connections"),
        format!("[pod/web-1/app] {GIT}\n[pod/db-1/db] listening on 5432"),
        format!("web-7d4b9c-abcde app {GIT}\ndb-0 db listening on 5432"),
        format!("Nov 2 10:00:00 host web[812]: {GIT}\nNov 2 10:00:00 host systemd[1]: Listening on D-Bus Socket"),
        format!(
            "{{\"pod\":\"web-1\",\"log\":\"{}\"}}\n{{\"pod\":\"db-0\",\"log\":\"listening on 5432\"}}",
            GIT.replace('"', "\\\"")
        ),
        format!("2026-11-02T10:00:00Z ecs/web/1f8bb2 {GIT}\n2026-11-02T10:00:00Z ecs/db/77aa listening on 5432"),
        // A restarted program serves, as it did before, until it needs the tool again.
        format!("listening on :80\n{GIT}\nlistening on :80\n{GIT}\nlistening on :80\n"),
        format!("INFO starting 1.2\nINFO reading 7 files\n{GIT}\nINFO starting 1.2\nINFO reading 8 files\n"),
        format!("{GIT}\nerror: not listening on :80"),
    ] {
        assert_eq!(first(&log), Some(Suspect::NotOnPath), "{log}");
    }
}

#[test]
fn a_file_of_another_architecture_is_blamed_even_if_the_program_goes_on() {
    let log = "level=warning msg=\"fork/exec /plugins/auth: exec format error\"\nlevel=info msg=\"listening on :80\"";
    assert_eq!(first(log), Some(Suspect::WrongArchitecture));
    let log = "supervisord: INFO spawnerr: can't find command '/app/web'\nINFO success: nginx entered RUNNING state\nINFO serving on 80";
    assert_ne!(first(log), Some(Suspect::ProgramItself));
}

#[test]
fn what_follows_is_read_in_every_piece_of_a_long_log() {
    let filler = "request served by the worker\n".repeat(40_000);
    let git = "exec: \"git\": executable file not found in $PATH\n";
    assert_eq!(first(&format!("{git}{filler}listening on :80\n{filler}")), Some(Suspect::ProgramItself));
    assert_eq!(first(&format!("{git}{filler}")), Some(Suspect::NotOnPath));
    assert_eq!(first(&format!("{filler}{git}listening on :80\n{filler}{git}")), Some(Suspect::NotOnPath));
}
