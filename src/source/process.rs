//! Runs commands of engines without an API that a plain HTTP client can use: `ctr` and `podman save`. A command's
//! output is read as it arrives. If the command fails, the read at the end of its output returns an error with the text
//! from stderr. A command without output for too long is killed with all its children.

use std::io::{ErrorKind, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::{SourceError, read_bounded};

/// The standard output of a running command. Dropping it kills the command and its children.
#[derive(Debug)]
pub(super) struct CommandStdout {
    program: String,
    child: Child,
    output: ChildStdout,
    stderr: Option<JoinHandle<String>>,
    group: Arc<ProcessGroup>,
    waits: Sender<Wait>,
    patience: Duration,
}

/// The process group of a command, until the command has been waited for.
#[derive(Debug)]
struct ProcessGroup {
    leader: Mutex<Option<Pid>>,
    /// Set when the group was killed for lack of output.
    is_silent: Mutex<bool>,
}

/// Marks the begin and end of a read.
enum Wait {
    Begins,
    Ends,
}

/// Groups that would outlive this process.
static RUNNING: Mutex<Vec<Arc<ProcessGroup>>> = Mutex::new(Vec::new());

/// For a list, which is small.
const LIST_PATIENCE: Duration = Duration::from_secs(60);
/// For each piece of an image: engines write it to disk before the first byte.
const EXPORT_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Kills every running command; called when a signal is about to end this process.
pub fn end_all() {
    for group in lock(&RUNNING).drain(..) {
        group.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ProcessGroup {
    fn end(&self) {
        if let Some(leader) = *lock(&self.leader) {
            // The group may have ended by itself.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Kills the group if a read takes longer than `patience`. A slow reader does not count as lack of output.
fn watch(group: &ProcessGroup, waits: &Receiver<Wait>, patience: Duration) {
    while let Ok(wait) = waits.recv() {
        if matches!(wait, Wait::Begins) && matches!(waits.recv_timeout(patience), Err(RecvTimeoutError::Timeout)) {
            *lock(&group.is_silent) = true;
            group.end();
        }
    }
}

/// The last bytes of a command's stderr that are stored: the cause is at the end.
const STDERR_LIMIT: usize = 4096;
/// Size limit of a list.
const LIST_LIMIT: u64 = 16 << 20;

/// Starts `program`. `install` is the hint for a missing program.
pub(super) fn start(program: &str, arguments: &[&str], install: &str) -> Result<CommandStdout, SourceError> {
    start_with(program, arguments, install, EXPORT_PATIENCE)
}

fn start_with(
    program: &str,
    arguments: &[&str],
    install: &str,
    patience: Duration,
) -> Result<CommandStdout, SourceError> {
    tracing::debug!(program, ?arguments, "starting");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => {
            let cause = format!("the command {program} is not installed");
            SourceError::Unsupported { what: "this source".to_string(), cause }.with_hint(install)
        }
        _ => SourceError::File { path: program.into(), cause },
    })?;
    let output = child.stdout.take().expect("standard output is piped");
    let errors = child.stderr.take().expect("standard error is piped");
    let stderr = Some(std::thread::spawn(move || read_cause(errors)));
    let group =
        Arc::new(ProcessGroup { leader: Mutex::new(Some(Pid::from_child(&child))), is_silent: Mutex::new(false) });
    lock(&RUNNING).push(Arc::clone(&group));
    let (waits, received) = channel();
    let watched = Arc::clone(&group);
    std::thread::spawn(move || watch(&watched, &received, patience));
    Ok(CommandStdout { program: program.to_string(), child, output, stderr, group, waits, patience })
}

/// Runs `program` to its end and returns its output.
pub(super) fn list(program: &str, arguments: &[&str], install: &str) -> Result<String, SourceError> {
    let output = start_with(program, arguments, install, LIST_PATIENCE)?;
    let bytes = read_bounded(output, LIST_LIMIT, "bytes for a list", program).map_err(|error| match error {
        SourceError::File { cause, .. } => {
            SourceError::Unreachable { place: program.to_string(), cause: cause.to_string() }
        }
        other => other,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Read for CommandStdout {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // The receiving thread lives as long as this sender.
        let _ = self.waits.send(Wait::Begins);
        let read = self.read_or_end(buffer);
        let _ = self.waits.send(Wait::Ends);
        match *lock(&self.group.is_silent) {
            true => {
                let (program, seconds) = (&self.program, self.patience.as_secs_f32());
                Err(std::io::Error::other(format!("{program} was killed: it wrote nothing for {seconds} s")))
            }
            false => read,
        }
    }
}

impl CommandStdout {
    fn read_or_end(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.output.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let status = self.wait()?;
        let cause = self.stderr.take().map(|thread| thread.join().expect("reading text does not panic"));
        if status.success() {
            return Ok(0);
        }
        let cause = cause.filter(|text| !text.is_empty()).unwrap_or_else(|| status.to_string());
        Err(std::io::Error::other(format!("{} failed: {cause}", self.program)))
    }

    /// Waits for the command. Afterwards its process ID may be reused.
    fn wait(&mut self) -> std::io::Result<std::process::ExitStatus> {
        let status = self.child.wait();
        *lock(&self.group.leader) = None;
        status
    }
}

impl Drop for CommandStdout {
    fn drop(&mut self) {
        self.group.end();
        // If it was waited for before, this returns at once.
        let _ = self.wait();
        lock(&RUNNING).retain(|other| !Arc::ptr_eq(other, &self.group));
    }
}

fn read_cause(mut errors: ChildStderr) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; STDERR_LIMIT]);
    // A read error only shortens the message.
    while let Ok(count @ 1..) = errors.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..count]);
        kept.drain(..kept.len().saturating_sub(STDERR_LIMIT));
    }
    cause(&String::from_utf8_lossy(&kept))
}

/// The lines that state why a command failed. Warnings precede them, such as podman's about an old kernel. If there are
/// only warnings, they are returned.
fn cause(stderr: &str) -> String {
    let lines = || stderr.trim().lines();
    let is_warning = |line: &&str| {
        line.contains("level=warning") || line.contains("level=info") || line.to_ascii_lowercase().starts_with("warn")
    };
    let causes: Vec<&str> = lines().filter(|line| !is_warning(line)).collect();
    match causes.is_empty() {
        true => lines().collect::<Vec<_>>().join("\n"),
        false => causes.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdout_is_read_while_the_command_writes_to_stderr() {
        let script = "i=0; while [ $i -lt 20000 ]; do echo complaint-$i >&2; i=$((i+1)); done; echo data";
        assert_eq!(list("sh", &["-c", script], "").unwrap(), "data\n");
    }

    #[test]
    fn a_command_that_fails_fails_the_read_with_its_stderr() {
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

    fn is_running(pid: &str) -> bool {
        // A process that ended but was not waited for is a zombie and runs nothing.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    fn ends(pid: &str) -> bool {
        (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            !is_running(pid)
        })
    }

    #[test]
    fn children_of_a_command_end_with_it() {
        let mut output = start("sh", &["-c", "sleep 600 & echo $!; wait"], "").unwrap();
        let mut line = [0; 32];
        let count = output.read(&mut line).unwrap();
        let child = String::from_utf8_lossy(&line[..count]).trim().to_string();
        assert!(is_running(&child), "{child}");
        drop(output);
        assert!(ends(&child), "{child} outlived its reader");
    }

    #[test]
    fn a_silent_command_is_killed_and_a_slow_reader_is_not_an_error() {
        let script = "echo $$; sleep 600 & echo $!; wait";
        let mut output = start_with("sh", &["-c", script], "", Duration::from_millis(200)).unwrap();
        let mut text = Vec::new();
        // Both lines have arrived before the reader begins to wait.
        std::thread::sleep(Duration::from_millis(500));
        let error = output.read_to_end(&mut text).unwrap_err();
        assert_eq!(error.to_string(), "sh was killed: it wrote nothing for 0.2 s");
        for pid in String::from_utf8_lossy(&text).lines() {
            assert!(ends(pid), "{pid} is still there");
        }
        assert_eq!(String::from_utf8_lossy(&text).lines().count(), 2);
    }

    #[test]
    fn a_warning_is_the_cause_only_where_there_is_nothing_else() {
        let warning = "time=\"2026-11-29T15:20:33Z\" level=warning msg=\"Using cgroups-v1 which is deprecated\"";
        assert_eq!(cause(&format!("{warning}\nError: x: image not known\n")), "Error: x: image not known");
        assert_eq!(cause(&format!("WARN[0000] old\n{warning}\n")), format!("WARN[0000] old\n{warning}"));
        assert_eq!(cause(""), "");
    }
}
