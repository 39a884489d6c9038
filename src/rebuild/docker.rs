//! Runs the `docker` command and returns its output. Parsing and decisions are in other modules.

use std::fmt;
use std::io;
use std::process::{Command, Stdio};

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

/// Runs commands. Tests substitute their own implementation.
pub trait Docker {
    /// Runs a command and captures its output. Fails if the program cannot be started.
    fn output(&self, line: &CommandLine) -> io::Result<CommandOutput>;

    /// Runs a command on this process's terminal, so that progress is visible. Returns the exit code, `None` for a
    /// signal.
    fn status(&self, line: &CommandLine) -> io::Result<Option<i32>>;
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
    fn output(&self, line: &CommandLine) -> io::Result<CommandOutput> {
        let output = command(line)?.stdin(Stdio::null()).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(CommandOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
    }

    fn status(&self, line: &CommandLine) -> io::Result<Option<i32>> {
        // stdout is reserved for imgarch's report.
        let status = command(line)?.stdout(io::stderr()).status()?;
        Ok(status.code())
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
