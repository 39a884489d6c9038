//! Recognises a log that ends well after a failure: a job that succeeded, or an alert that was closed.

use super::log_line::{is_end, lines, stream};
use super::symptom::MessageOutcome;

/// Texts with which jobs, builds and package managers report success, in lower case.
const SUCCESS: &[&str] = &[
    "build succeeded",
    "build success",
    "build completed",
    "job succeeded",
    "finished: success",
    "pipeline succeeded",
    "pipeline passed",
    "deployment succeeded",
    "deploy succeeded",
    "deployment complete",
    "successfully rolled out",
    "completed successfully",
    "finished successfully",
    "all checks passed",
    "all tests passed",
    "0 failures",
    "0 failed",
    "apply complete!",
    "failed=0",
    "exit code 0",
    "exit status 0",
    "status: success",
    "result: success",
    "conclusion: success",
    " succeeded in ",
    " built in ",
];

/// Counts of failures that are zero, in lower case. The words are those of a failure.
const ZEROES: &[&str] =
    &["failed=0", "unreachable=0", "0 failed", "0 failures", "failures: 0", "0 errors", "errors: 0", "no errors"];

/// Lines at the end of a log that may report success.
const LAST_LINES: usize = 6;

/// Bytes at the end of a log that contain them.
pub const LAST_BYTES: usize = 4 << 10;

/// Whether the last lines of `text` that are of this stream report success. `None`: `text` has no such line.
pub fn ends_well(text: &[u8], of: &[u8]) -> Option<bool> {
    let tail = &text[text.len().saturating_sub(LAST_BYTES)..];
    let of_stream: Vec<&[u8]> =
        lines(tail).map(|(line, _)| line).filter(|line| !line.trim_ascii().is_empty() && stream(line) == of).collect();
    let last = &of_stream[of_stream.len().saturating_sub(LAST_LINES)..];
    let success = last.iter().rposition(|line| is_success(line));
    let is_well = success.is_some_and(|at| !last[at..].iter().any(|line| fails(line)));
    (!last.is_empty()).then_some(is_well)
}

fn is_success(line: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(line).to_ascii_lowercase();
    let is_count = lower.trim_start().starts_with("added ") && lower.contains(" package");
    let is_stated = SUCCESS.iter().any(|text| {
        lower.match_indices(text).any(|(at, _)| {
            let is_whole = !lower[at + text.len()..].starts_with(|c: char| c.is_ascii_alphanumeric());
            is_whole && !lower[..at].ends_with("not ") && !lower[..at].ends_with("n't ")
        })
    });
    is_count || is_stated
}

fn fails(line: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(line).to_ascii_lowercase();
    // An exit code of zero is not a failure's.
    let zeroes = ZEROES.iter().chain(&["exit code 0", "exit status 0"]);
    let rest = zeroes.fold(lower, |line, zero| line.replace(zero, ""));
    is_end(rest.as_bytes())
}

/// Maximum length of the text of an alert or a mail, in bytes.
const ALERT_BYTES: usize = 16 << 10;

/// Texts with which alerts report that they are over, in lower case.
const CLOSED: &[&str] = &[
    "[resolved]",
    "[closed]",
    "(resolved",
    "(closed",
    "\"status\":\"resolved\"",
    "\"status\": \"resolved\"",
    "status: resolved",
    "marked as resolved",
    "\"resolution\":\"",
    "incident has been resolved",
    "incident has been closed",
    "incident resolved",
    "alert resolved",
];

/// The first words of a line in which an alert or a report states how the failure was fixed.
const FIXES: &[&str] = &["resolution:", "resolved by", "fixed by", "closed by"];

/// Whether the whole `text` is an alert about a failure that is over, or a text that only quotes one.
pub fn outcome_of_text(text: &[u8]) -> MessageOutcome {
    if text.len() > ALERT_BYTES {
        return MessageOutcome::Open;
    }
    let lower = String::from_utf8_lossy(text).to_ascii_lowercase();
    if is_closed(&lower) {
        MessageOutcome::Closed
    } else if is_of_git(&lower) {
        MessageOutcome::Described
    } else {
        MessageOutcome::Open
    }
}

/// Whether git printed the text: commits or a diff.
fn is_of_git(lower: &str) -> bool {
    let is_hash = |word: &str| word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_commit = |line: &str| {
        let hash = line.strip_prefix("commit ").and_then(|rest| rest.split_whitespace().next());
        hash.is_some_and(is_hash) && line.split_whitespace().nth(2).is_none_or(|rest| rest.starts_with('('))
    };
    let is_diff = |line: &str| line.starts_with("diff --git ");
    lower.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| is_commit(line) || is_diff(line))
}

fn is_closed(lower: &str) -> bool {
    CLOSED.iter().any(|mark| lower.contains(mark))
        || lower.lines().any(|line| FIXES.iter().any(|mark| line.trim_start().starts_with(mark)))
}

#[cfg(test)]
mod tests {
    use crate::diagnose::cause::Suspect;
    use crate::diagnose::rank::{Circumstances, rank};
    use crate::diagnose::reader::read_text;

    fn first(log: &str) -> Option<Suspect> {
        rank(&read_text(log).symptoms, &Circumstances::default()).first().map(|first| first.suspect)
    }

    #[test]
    fn a_failure_before_a_success_is_not_blamed() {
        for log in [
            "attempt 1: fork/exec ./bin/tool: exec format error\ndownloading linux/arm64\nattempt 2: tool 1.34\nBuild succeeded in 41s",
            "fatal: [pi]: FAILED! => {\"cmd\": [\"/opt/x\"], \"msg\": \"[Errno 8] Exec format error\"}\n...ignoring\nPLAY RECAP ****\npi : ok=9 changed=3 unreachable=0 failed=0 skipped=0",
            "exec /app: exec format error\nretrying on arm64 ...\nINFO Listening at: http://0.0.0.0:8000\nERROR connection refused",
            "npm error notsup Unsupported platform for fsevents@2.3.3: wanted {\"os\":\"darwin\"}\nadded 812 packages in 12s",
            "ERROR exec ./tool-amd64: exec format error\nINFO falling back to ./tool-arm64\nINFO tool-arm64 2.1 started",
            "[RESOLVED] KubePodCrashLooping\nSummary: exec /app: exec format error",
            "exec /app: exec format error\nResolution: rolled back to 1.8.2",
            "{\"status\":\"resolved\",\"alerts\":[{\"description\":\"exec /srv/web: exec format error\"}]}",
            "INCIDENT 12 (resolved 2026-11-20)\nSummary: pods crashed: exec /srv/web: exec format error",
            "commit 9c1d2e0f (HEAD -> main)\nAuthor: A <a@x>\n\n    exec /app: exec format error",
            "diff --git a/run.md b/run.md\n+exec /app: exec format error",
        ] {
            assert!(matches!(first(log), Some(Suspect::ProgramItself)), "{log}");
        }
    }

    #[test]
    fn a_failure_after_or_without_a_success_is_blamed() {
        for log in [
            "Build succeeded in 41s\nexec /app: exec format error",
            "exec /app: exec format error\nBuild succeeded in 41s\nexec /app: exec format error",
            "exec /app: exec format error\nUploading artifacts: completed successfully\nERROR: Job failed: exit code 1",
            "exec /app: exec format error\nthe step was not completed successfully",
            "web-1  | exec /app: exec format error\ndb-1   | backup completed successfully",
            // Another container in the same log.
            "exec /app: exec format error\nListening at: http://0.0.0.0:15090",
            "exec /app: exec format error\nname resolution: failed",
            "commit 9c1d2e0f deployed\nexec /app: exec format error",
        ] {
            assert_eq!(first(log), Some(Suspect::WrongArchitecture), "{log}");
        }
    }
}
