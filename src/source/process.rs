//! Commands of engines that have no API a plain HTTP client can speak: `ctr` and `podman save`. A command's output is
//! read as it comes; that it failed is an error of the read that meets its end, with what it said on standard error.

use std::io::{ErrorKind, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use super::{SourceError, read_bounded};

/// The standard output of a running command. Ends the command when dropped.
#[derive(Debug)]
pub(super) struct Output {
    program: String,
    child: Child,
    output: ChildStdout,
    complaint: Option<JoinHandle<String>>,
}

/// Of what a command says on standard error, the end is kept: the cause is there.
const COMPLAINT_LIMIT: usize = 4096;
/// Bytes of a list.
const LIST_LIMIT: u64 = 16 << 20;

/// Starts `program`. `install` is the hint where it is missing.
pub(super) fn start(program: &str, arguments: &[&str], install: &str) -> Result<Output, SourceError> {
    tracing::debug!(program, ?arguments, "starting");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => {
            let cause = format!("the command {program} is not installed");
            SourceError::Unsupported { what: "this source".to_string(), cause }.with_hint(install)
        }
        _ => SourceError::File { path: program.into(), cause },
    })?;
    let output = child.stdout.take().expect("standard output is piped");
    let errors = child.stderr.take().expect("standard error is piped");
    let complaint = Some(std::thread::spawn(move || last_words(errors)));
    Ok(Output { program: program.to_string(), child, output, complaint })
}

/// Runs `program` to its end and gives what it wrote.
pub(super) fn list(program: &str, arguments: &[&str], install: &str) -> Result<String, SourceError> {
    let output = start(program, arguments, install)?;
    let bytes = read_bounded(output, LIST_LIMIT, "a list", program).map_err(|error| match error {
        SourceError::File { cause, .. } => {
            SourceError::Unreachable { place: program.to_string(), cause: cause.to_string() }
        }
        other => other,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.output.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let status = self.child.wait()?;
        let complaint = self.complaint.take().map(|thread| thread.join().expect("reading text does not panic"));
        if status.success() {
            return Ok(0);
        }
        let complaint = complaint.filter(|text| !text.is_empty()).unwrap_or_else(|| status.to_string());
        Err(std::io::Error::other(format!("{} failed: {complaint}", self.program)))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end or to wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_words(mut errors: ChildStderr) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; COMPLAINT_LIMIT]);
    // What cannot be read of a complaint is not complained about.
    while let Ok(count @ 1..) = errors.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..count]);
        kept.drain(..kept.len().saturating_sub(COMPLAINT_LIMIT));
    }
    String::from_utf8_lossy(&kept).trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_writes_is_read_while_it_complains() {
        let script = "i=0; while [ $i -lt 20000 ]; do echo complaint-$i >&2; i=$((i+1)); done; echo data";
        assert_eq!(list("sh", &["-c", script], "").unwrap(), "data\n");
    }

    #[test]
    fn a_command_that_fails_fails_the_read_with_its_last_words() {
        let error = list("sh", &["-c", "echo half; echo no such image >&2; exit 3"], "").unwrap_err();
        assert_eq!(error.to_string(), "sh could not be reached: sh failed: no such image");
    }

    #[test]
    fn a_command_that_is_missing_has_a_hint() {
        let error = start("imgarch-no-such-command", &[], "apt-get install it").unwrap_err();
        assert!(matches!(error.bare(), SourceError::Unsupported { .. }));
        assert_eq!(error.hint(), Some("apt-get install it"));
    }

    #[test]
    fn an_endless_command_ends_with_its_reader() {
        let mut output = start("sh", &["-c", "while :; do echo y; done"], "").unwrap();
        output.read_exact(&mut [0; 1000]).unwrap();
        drop(output);
    }
}
