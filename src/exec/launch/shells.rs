//! What each shell says, and its exit code, where a command cannot be started. From runs of bash 5.2, dash 0.5.12 and
//! BusyBox 1.35; the words are theirs.

use crate::exec::Errno;

/// The shells that images have, as far as they fail differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Dash,
    Busybox,
}

/// A command that could not be started.
pub(crate) struct Failed<'f> {
    /// What the shell calls itself, and the line of its text.
    pub label: &'f str,
    pub line: usize,
    /// As it is written, and the path that it stands for.
    pub name: &'f str,
    pub path: &'f str,
    pub errno: Errno,
    /// By `exec`.
    pub is_exec: bool,
    /// Its file was not found or may not be executed, as against one that the kernel refused.
    pub is_search: bool,
    pub is_directory: bool,
}

impl Shell {
    /// By the name of the shell's file.
    pub(crate) fn of(file: &str) -> Shell {
        match file {
            "bash" | "sh.distrib" => Shell::Bash,
            "busybox" | "ash" => Shell::Busybox,
            _ => Shell::Dash,
        }
    }

    /// The shell's lines and exit code for a command that could not be started.
    pub(crate) fn failure(self, failed: &Failed<'_>) -> (String, u8) {
        let Failed { label, line, name, path, errno, is_exec, is_search, .. } = *failed;
        let strerror = if failed.is_directory { "Is a directory".to_string() } else { errno.strerror() };
        let exec = if is_exec { "exec: " } else { "" };
        let code = match (self, errno) {
            // A path through a file leads to nothing, for it.
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

    /// A program for another machine, read as if it were a script. What the shell trips over first hangs on its bytes.
    pub(crate) fn reads_binary(self, name: &str) -> (String, u8) {
        match self {
            Shell::Bash => (format!("{name}: {name}: cannot execute binary file"), 126),
            Shell::Dash => (format!("{name}: 1: Syntax error: \"(\" unexpected"), 2),
            Shell::Busybox => (format!("{name}: line 1: syntax error: unexpected \"(\""), 2),
        }
    }

    /// A word of options that holds a blank, as a `#!` line with several options gives it. `next`: the word after it.
    /// `None`: it is taken.
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
            // It leaves by a way that sets no status.
            (Shell::Busybox, _, true) => (format!("{label}: illegal option {sign}o {next}"), 0),
            (Shell::Bash, ..) => {
                // -e, where it comes before, ends bash at its own error.
                let ends_at_error = sign == "-" && before.contains('e');
                (format!("{label}: {sign}{letter}: invalid option"), if ends_at_error { 1 } else { 2 })
            }
            (Shell::Dash, ..) => (format!("{label}: 0: Illegal option -{letter}"), 2),
            (Shell::Busybox, ..) => (format!("{label}: illegal option {sign}{letter}"), 2),
        })
    }

    /// The script that it was given to read is not there.
    pub(crate) fn cannot_open(self, label: &str, path: &str) -> (String, u8) {
        match self {
            Shell::Bash => (format!("{label}: {path}: No such file or directory"), 127),
            Shell::Dash => (format!("{label}: 0: cannot open {path}: No such file"), 2),
            Shell::Busybox => (format!("{label}: can't open '{path}': No such file or directory"), 2),
        }
    }
}
