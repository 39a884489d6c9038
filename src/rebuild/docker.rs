//! The seam to the `docker` command: what was asked of it and what it answered. Reading and deciding are elsewhere;
//! this is rebuild's only way to the outside.

use std::fmt;
use std::io;
use std::process::{Command, Stdio};

/// A command line, program first, as it is shown and run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(pub Vec<String>);

/// What a command wrote and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `None`: killed by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs commands. Tests answer in its place.
pub trait Docker {
    /// Runs and gives what it wrote. An error: the program could not be started.
    fn ask(&self, line: &CommandLine) -> io::Result<Answer>;

    /// Runs with this process' own terminal, so that progress is seen. Gives the exit code, `None` for a signal.
    fn pass(&self, line: &CommandLine) -> io::Result<Option<i32>>;
}

/// The programs of this machine.
pub struct ThisMachine;

impl CommandLine {
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> CommandLine {
        CommandLine(words.into_iter().map(|word| word.as_ref().to_string()).collect())
    }

    /// `docker` and these words.
    pub fn docker<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> CommandLine {
        let mut line = CommandLine::new(["docker"]);
        line.0.extend(words.into_iter().map(|word| word.as_ref().to_string()));
        line
    }
}

impl fmt::Display for CommandLine {
    /// As it can be pasted into a POSIX shell.
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

impl Answer {
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }

    /// What it complained of: the last line that speaks of an error, or else the first line, for `docker` ends its
    /// complaints with advice on its help.
    pub fn complaint(&self) -> String {
        let mut lines = self.stderr.lines().chain(self.stdout.lines()).map(str::trim).filter(|line| !line.is_empty());
        let error = lines.clone().rev().find(|line| line.to_ascii_lowercase().contains("error"));
        let line = error.or_else(|| lines.next()).unwrap_or("it said nothing");
        let line = ["ERROR: ", "error: ", "docker: "].iter().fold(line, |line, lead| line.trim_start_matches(lead));
        line.to_string()
    }
}

impl Docker for ThisMachine {
    fn ask(&self, line: &CommandLine) -> io::Result<Answer> {
        let output = command(line)?.stdin(Stdio::null()).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
    }

    fn pass(&self, line: &CommandLine) -> io::Result<Option<i32>> {
        // Standard output is imgarch's answer; a builder's progress belongs beside it.
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
        let complaint = |stderr: &str, stdout: &str| {
            Answer { code: Some(1), stdout: stdout.to_string(), stderr: stderr.to_string() }.complaint()
        };
        assert_eq!(complaint("#1 x\nERROR: failed to solve: y\n\nView at z\n", ""), "failed to solve: y");
        assert_eq!(
            complaint("docker: unknown command: docker buildx\n\nRun 'docker --help' for more information\n", ""),
            "unknown command: docker buildx"
        );
        assert_eq!(
            complaint("Cannot connect to the Docker daemon\n", "{\"Client\":{}}\n"),
            "Cannot connect to the Docker daemon"
        );
    }
}
