//! The message and exit code of each shell if a command cannot be started. Taken from runs of bash 5.2, dash 0.5.12 and
//! BusyBox 1.35, word for word.

use crate::exec::Errno;

/// The shells in images, as far as their errors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Dash,
    Busybox,
}

/// A command that could not be started.
pub(crate) struct FailedCommand<'f> {
    /// The shell's name in its messages, and the line of its text.
    pub label: &'f str,
    pub line: usize,
    /// The name as written, and the path that it resolves to.
    pub name: &'f str,
    pub path: &'f str,
    pub errno: Errno,
    /// Started with `exec`.
    pub is_exec: bool,
    /// Its file was not found or is not executable; otherwise, the kernel refused it.
    pub is_search: bool,
    pub is_directory: bool,
}

impl Shell {
    /// Returns the shell for the name of its file.
    pub(crate) fn from_file_name(file: &str) -> Shell {
        match file {
            "bash" | "sh.distrib" => Shell::Bash,
            "busybox" | "ash" => Shell::Busybox,
            _ => Shell::Dash,
        }
    }

    /// Returns the shell's message and exit code for a command that could not be started.
    pub(crate) fn failure(self, failed: &FailedCommand<'_>) -> (String, u8) {
        let FailedCommand { label, line, name, path, errno, is_exec, is_search, .. } = *failed;
        let strerror = if failed.is_directory { "Is a directory".to_string() } else { errno.strerror() };
        let exec = if is_exec { "exec: " } else { "" };
        let code = match (self, errno) {
            // dash does not find a path that goes through a file.
            (_, Errno::ENOENT) | (Shell::Dash, Errno::ENOTDIR) => 127,
            (Shell::Dash, Errno::EACCES) if is_search && !is_exec && !name.contains('/') => 127,
            _ => 126,
        };
        let bash = |text: String| format!("{label}: line {line}: {text}");
        let text = match (self, errno) {
            (Shell::Bash, Errno::ENOEXEC) if is_exec => {
                let refused = bash(format!("{path}: cannot execute binary file: Exec format error"));
                [refused, bash(format!("{path}: Success"))].join("\n")
            }
            (Shell::Bash, Errno::ENOEXEC) => bash(format!("{path}: cannot execute binary file: Exec format error")),
            (Shell::Bash, Errno::ENOENT) if is_search && name.contains('/') => {
                bash(format!("{name}: No such file or directory"))
            }
            (Shell::Bash, Errno::ENOENT) if is_search && is_exec => bash(format!("exec: {name}: not found")),
            (Shell::Bash, Errno::ENOENT) if is_search => bash(format!("{name}: command not found")),
            (Shell::Bash, Errno::ENOENT) => bash(format!("{path}: cannot execute: required file not found")),
            (Shell::Bash, _) if is_exec => {
                let refused = bash(format!("{path}: {strerror}"));
                [refused, bash(format!("exec: {path}: cannot execute: {strerror}"))].join("\n")
            }
            (Shell::Bash, _) => bash(format!("{path}: {strerror}")),
            (Shell::Dash, Errno::ENOENT | Errno::ENOTDIR) => format!("{label}: {line}: {exec}{name}: not found"),
            (Shell::Dash, _) => format!("{label}: {line}: {exec}{name}: {}", errno.strerror()),
            (Shell::Busybox, Errno::ENOEXEC) => return self.reads_binary(name),
            (Shell::Busybox, Errno::ENOENT) if is_exec => format!("{label}: exec: line {line}: {name}: not found"),
            (Shell::Busybox, Errno::ENOENT) => format!("{label}: {name}: not found"),
            (Shell::Busybox, _) => format!("{label}: {exec}{name}: {}", errno.strerror()),
        };
        (text, code)
    }

    /// The message and exit code for a binary that is read as a script. The first syntax error depends on its bytes.
    pub(crate) fn reads_binary(self, name: &str) -> (String, u8) {
        match self {
            Shell::Bash => (format!("{name}: {name}: cannot execute binary file"), 126),
            Shell::Dash => (format!("{name}: 1: Syntax error: \"(\" unexpected"), 2),
            Shell::Busybox => (format!("{name}: line 1: syntax error: unexpected \"(\""), 2),
        }
    }

    /// Checks a word of options that contains a blank, as a `#!` line with several options passes it. `next` is the
    /// word after it. `None` if the shell accepts it.
    pub(crate) fn bad_option(self, label: &str, word: &str, next: &str) -> Option<(String, u8)> {
        let blank = word.find(char::is_whitespace)?;
        let (sign, before) = (&word[..1], &word[1..blank]);
        let letter = word[blank..].chars().next()?;
        Some(match (self, word.starts_with("--"), before.contains('o')) {
            (Shell::Bash, true, _) => (format!("{label}: {word}: invalid option"), 2),
            (Shell::Dash, true, _) => (format!("{label}: 0: Illegal option --"), 2),
            (Shell::Busybox, true, _) => return None,
            (Shell::Bash, _, true) => (format!("{label}: line 0: {label}: {next}: invalid option name"), 2),
            (Shell::Dash, _, true) => (format!("{label}: 0: Illegal option {sign}o {next}"), 2),
            // It exits without setting a status.
            (Shell::Busybox, _, true) => (format!("{label}: illegal option {sign}o {next}"), 0),
            (Shell::Bash, ..) => {
                // An -e before it makes bash exit at its own error.
                let ends_at_error = sign == "-" && before.contains('e');
                (format!("{label}: {sign}{letter}: invalid option"), if ends_at_error { 1 } else { 2 })
            }
            (Shell::Dash, ..) => (format!("{label}: 0: Illegal option -{letter}"), 2),
            (Shell::Busybox, ..) => (format!("{label}: illegal option {sign}{letter}"), 2),
        })
    }

    /// The message and exit code for a script that does not exist.
    pub(crate) fn cannot_open(self, label: &str, path: &str) -> (String, u8) {
        match self {
            Shell::Bash => (format!("{label}: {path}: No such file or directory"), 127),
            Shell::Dash => (format!("{label}: 0: cannot open {path}: No such file"), 2),
            Shell::Busybox => (format!("{label}: can't open '{path}': No such file or directory"), 2),
        }
    }
}
