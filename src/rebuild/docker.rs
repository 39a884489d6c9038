//! Runs `docker`, podman or buildah and returns their output. Parsing and decisions are in other modules.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The maximum duration of a query. buildx waits up to 20 s for each node that does not answer.
pub const QUERY_LIMIT: Duration = Duration::from_secs(60);
/// The maximum duration of a build of a test program, and of resolving a bake file, which may be in a Git repository.
pub const BUILD_LIMIT: Duration = Duration::from_secs(300);
/// How often to check whether a command has ended.
const POLL: Duration = Duration::from_millis(10);
/// The maximum size of each captured stream. The longest is a resolved bake file.
const CAPTURE_BYTES: u64 = 16 << 20;

/// A command line, program first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(pub Vec<String>);

/// The output and exit code of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// `None`: killed by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs commands, several at the same time if needed. Tests substitute their own implementation.
pub trait Docker: Sync {
    /// Runs a command and captures its output. Fails if the program cannot be started, or does not end in time.
    fn output(&self, line: &CommandLine, limit: Duration) -> io::Result<CommandOutput>;

    /// Runs a command on this process's terminal, so that progress is visible. Returns the exit code, `None` for a
    /// signal. With a label, which builds that run at the same time need, each line of its output starts with it.
    fn status(&self, line: &CommandLine, label: Option<&str>) -> io::Result<Option<i32>>;
}

/// Runs the programs of this machine.
pub struct ThisMachine;

impl CommandLine {
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> CommandLine {
        CommandLine(words.into_iter().map(|word| word.as_ref().to_string()).collect())
    }

    /// Returns a `docker` command with these words.
    pub fn docker<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> CommandLine {
        let mut line = CommandLine::new(["docker"]);
        line.0.extend(words.into_iter().map(|word| word.as_ref().to_string()));
        line
    }
}

impl fmt::Display for CommandLine {
    /// Quotes the words for a POSIX shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
            let space = if at > 0 { " " } else { "" };
            match !word.is_empty() && word.chars().all(plain) {
                true => write!(f, "{space}{word}")?,
                false => write!(f, "{space}'{}'", word.replace('\'', "'\\''"))?,
            }
        }
        Ok(())
    }
}

impl CommandOutput {
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// Returns the error message: the last line that contains "error", or else the first line, because `docker` ends
    /// its messages with a pointer to its help.
    pub fn error_line(&self) -> String {
        let mut lines = self.stderr.lines().chain(self.stdout.lines()).map(str::trim).filter(|line| !line.is_empty());
        let error = lines.clone().rev().find(|line| line.to_ascii_lowercase().contains("error"));
        let line = error.or_else(|| lines.next()).unwrap_or("no output");
        let line = ["ERROR: ", "error: ", "docker: "].iter().fold(line, |line, lead| line.trim_start_matches(lead));
        line.to_string()
    }
}

impl Docker for ThisMachine {
    fn output(&self, line: &CommandLine, limit: Duration) -> io::Result<CommandOutput> {
        output_within(line, limit)
    }

    fn status(&self, line: &CommandLine, label: Option<&str>) -> io::Result<Option<i32>> {
        // stdout is reserved for imgarch's report.
        let Some(label) = label else {
            return Ok(command(line)?.stdout(io::stderr()).status()?.code());
        };
        let mut child = command(line)?.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            scope.spawn(move || stdout.map(|stream| write_labelled(stream, label)));
            scope.spawn(move || stderr.map(|stream| write_labelled(stream, label)));
        });
        Ok(child.wait()?.code())
    }
}

/// Copies the lines of a stream to stderr, each with its label.
fn write_labelled(stream: impl Read, label: &str) {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line);
        // A closed stderr does not end the build.
        let _ = io::stderr().write_all(format!("{label}: {}\n", text.trim_end()).as_bytes());
        line.clear();
    }
}

/// Runs a command and captures its output. Kills it if it does not end in time.
fn output_within(line: &CommandLine, limit: Duration) -> io::Result<CommandOutput> {
    let mut child = command(line)?.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (capture(child.stdout.take()), capture(child.stderr.take()));
    let deadline = Instant::now() + limit;
    let late = || {
        let text = format!("`{line}` did not end within {} s", limit.as_secs());
        io::Error::new(io::ErrorKind::TimedOut, text)
    };
    let Some(status) = wait_until(&mut child, deadline)? else {
        // It may have ended just now.
        let _ = child.kill();
        let _ = child.wait();
        return Err(late());
    };
    // A process that the command started may keep its streams open.
    let text = |stream: mpsc::Receiver<Vec<u8>>| {
        let left = deadline.saturating_duration_since(Instant::now());
        let bytes = stream.recv_timeout(left).map_err(|_| late())?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(CommandOutput { code: status.code(), stdout: text(stdout)?, stderr: text(stderr)? })
}

/// Reads a stream in another thread, which ends with the stream. Sends what it read.
fn capture(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.by_ref().take(CAPTURE_BYTES).read_to_end(&mut bytes);
            // The command must not block because nothing reads the rest.
            let _ = io::copy(&mut stream, &mut io::sink());
        }
        // After a timeout nothing receives it.
        let _ = sender.send(bytes);
    });
    receiver
}

/// Waits for a process; `None` if it has not ended by the deadline.
fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() >= deadline => return Ok(None),
            None => thread::sleep(POLL),
        }
    }
}

fn command(line: &CommandLine) -> io::Result<Command> {
    let (program, words) = line.0.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(words);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_pasted() {
        let line = CommandLine::docker(["build", "--build-arg", "A=b c", "it's", "", "type=image,push=true"]);
        assert_eq!(line.to_string(), "docker build --build-arg 'A=b c' 'it'\\''s' '' type=image,push=true");
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let shell = |script: &str| CommandLine::new(["sh", "-c", script]);
        let limit = Duration::from_millis(300);
        let error = output_within(&shell("exec sleep 60"), limit).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("did not end within"), "{error}");
        // The shell ends, but its child keeps the streams open.
        let error = output_within(&shell("sleep 5 & exit 3"), limit).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let output = output_within(&shell("echo out; echo err >&2; exit 3"), QUERY_LIMIT).unwrap();
        assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(3), "out\n", "err\n"));
    }

    #[test]
    fn the_complaint_is_the_error_line_or_the_first() {
        let error_line = |stderr: &str, stdout: &str| {
            CommandOutput { code: Some(1), stdout: stdout.to_string(), stderr: stderr.to_string() }.error_line()
        };
        assert_eq!(error_line("#1 x\nERROR: failed to solve: y\n\nView at z\n", ""), "failed to solve: y");
        assert_eq!(
            error_line("docker: unknown command: docker buildx\n\nRun 'docker --help' for more information\n", ""),
            "unknown command: docker buildx"
        );
        assert_eq!(
            error_line("Cannot connect to the Docker daemon\n", "{\"Client\":{}}\n"),
            "Cannot connect to the Docker daemon"
        );
    }
}
