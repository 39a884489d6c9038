//! Each message of the table in its own example, and lines of real logs.

use super::*;
use crate::exec::Errno;

fn check(line: &str, sign: Sign, path: Option<&str>) {
    let found = recognise(line);
    let first = found.first().unwrap_or_else(|| panic!("nothing recognised in {line:?}"));
    assert_eq!((first.sign, first.path.as_deref()), (sign, path), "{line:?}");
}

#[test]
fn every_message_is_recognised_in_its_own_example_by_its_own_row() {
    let mut wrong = Vec::new();
    for message in messages() {
        let taken = line::parts(message.example).iter().find_map(|part| {
            let lower = part.to_ascii_lowercase();
            PATTERNS.rows.iter().find(|row| symptom(row, part, &lower, part).is_some()).map(|(_, row)| row.pattern)
        });
        if taken != Some(message.pattern) {
            wrong.push(format!("{:?}: taken by {taken:?}, not by {:?}", message.example, message.pattern));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_carriage_return_is_recognised_written_or_raw() {
    let with = messages().filter(|message| message.example.contains("\\r"));
    let mut count = 0;
    for message in with {
        let found = recognise(&message.example.replace("\\r", "\r"));
        assert_eq!(found.first().map(|symptom| symptom.sign), message.sign, "{:?}", message.example);
        count += 1;
    }
    assert!(count > 5, "{count}");
}

#[test]
fn every_pattern_has_an_anchor_that_is_long_enough_to_be_rare() {
    for (pattern, message) in &PATTERNS.rows {
        assert!(pattern.anchor().len() >= 4, "{}: {:?}", message.pattern, pattern.anchor());
    }
}

#[test]
fn every_errno_of_execve_is_read_in_gos_and_glibcs_spelling() {
    for (text, sign) in ERRNO_TEXTS {
        check(&format!("exec /app: {text}"), *sign, Some("/app"));
        let capital = format!("{}{}", text[..1].to_uppercase(), &text[1..]);
        check(&format!("exec container process `/app`: {capital}"), *sign, Some("/app"));
    }
    assert!(recognise("exec /app: everything is fine").is_empty());
}

#[test]
fn the_program_is_named_without_the_text_around_it() {
    let enoexec = Sign::Exec(Errno::ENOEXEC);
    check(
        "exec /usr/local/bin/docker entrypoint.sh: exec format error",
        enoexec,
        Some("/usr/local/bin/docker entrypoint.sh"),
    );
    check("2026-03-01T10:00:00.123Z stderr F exec /app: exec format error", enoexec, Some("/app"));
    check("sh: 1: ./app: Exec format error", enoexec, Some("./app"));
    check("/usr/bin/env: ‘bash\r’: No such file or directory", Sign::CarriageReturn, Some("bash"));
    check("/app: /lib/libc.so.6: version `GLIBC_2.34' not found (required by /app)", Sign::SymbolVersion, Some("/app"));
    check("./app: CPU ISA level is lower than required", Sign::CpuLevel, None);
}

#[test]
fn values_that_a_message_names_are_kept() {
    let found = recognise("Fatal glibc error: CPU does not support x86-64-v2\n");
    assert_eq!(found[0].named, [(Hole::Detail, "x86-64-v2".to_string())]);
    let found = recognise(
        "WARNING: The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8)",
    );
    assert_eq!(found[0].named, [(Hole::Image, "linux/amd64".to_string()), (Hole::Node, "linux/arm64/v8".to_string())]);
}

#[test]
fn a_kubelets_start_error_is_read_through_its_wrapping() {
    check(
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: \
         unable to start container process: error during container init: exec: \"/app\": stat /app: no such file or \
         directory: unknown",
        Sign::ProgramNotFound,
        Some("/app"),
    );
    check(
        "{\"msg\":\"exec container process `/app`: Exec format error\",\"level\":\"error\",\"time\":\"2026-03-01T10:00:00Z\"}",
        Sign::Exec(Errno::ENOEXEC),
        Some("/app"),
    );
    check(
        "Error: container create failed: time=\"2026\" level=error msg=\"exec: \\\"/app\\\": permission denied\"",
        Sign::NotExecutable,
        Some("/app"),
    );
}

#[test]
fn a_whole_log_is_read_and_repeated_messages_are_kept_once() {
    let log =
        "starting\nexec /app: exec format error\r\nexec /app: exec format error\nexec /b: no such file or directory\n";
    let signs: Vec<Sign> = recognise(log).iter().map(|symptom| symptom.sign).collect();
    assert_eq!(signs, [Sign::Exec(Errno::ENOEXEC), Sign::Exec(Errno::ENOENT)]);
    assert_eq!(recognise(log)[0].line, "exec /app: exec format error");
}

#[test]
fn a_message_that_yaml_folds_is_read_as_one() {
    let status = "    lastState:\n      terminated:\n        exitCode: 128\n        message: 'failed to create containerd task: \
                  failed to create shim task: OCI\n          runtime create failed: runc create failed: unable to start \
                  container process:\n          exec: \"/app\": stat /app: no such file or\n          directory: unknown'\n        \
                  reason: StartError\n";
    let found = recognise(status);
    let signs: Vec<_> = found.iter().map(|symptom| (symptom.sign, symptom.path.as_deref())).collect();
    assert_eq!(signs, [(Sign::Exited, None), (Sign::ProgramNotFound, Some("/app"))]);
    assert_eq!(recognise("message: starting\n  exec /app: exec format\nerror\n"), []);
}

#[test]
fn text_without_messages_yields_nothing() {
    for text in ["", "\n\n", "listening on :8080", "executing format checks", "libexec /a fine", "\u{0}\u{1}", "{{{}}}"]
    {
        assert_eq!(recognise(text), [], "{text:?}");
    }
    assert_eq!(recognise(&"é".repeat(LINE_BYTES)), []);
}
