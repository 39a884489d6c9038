//! What each shell says, and its exit code, where a command cannot be started. From runs of bash 5.2, dash 0.5.12 and
//! BusyBox 1.35; the words are theirs.

use crate::judge::Errno;

/// The shells that images have, as far as they fail differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shell {
    Bash,
    Dash,
    Busybox,
}

impl Shell {
    /// By the name of the shell's file.
    pub(super) fn of(file: &str) -> Shell {
        match file {
            "bash" | "sh.distrib" => Shell::Bash,
            "busybox" | "ash" => Shell::Busybox,
            _ => Shell::Dash,
        }
    }

    /// The shell's line and exit code for a command that could not be started. From runs of bash 5.2, dash 0.5.12 and
    /// BusyBox 1.35.
    pub(super) fn failure(
        self,
        label: &str,
        line: usize,
        name: &str,
        errno: Errno,
        is_exec: bool,
        is_search: bool,
    ) -> (String, u8) {
        let code = if errno == Errno::ENOENT { 127 } else { 126 };
        let strerror = errno.strerror();
        let exec = if is_exec { "exec: " } else { "" };
        let text = match (self, errno) {
            (Shell::Bash, Errno::ENOEXEC) => {
                format!("{label}: line {line}: {name}: cannot execute binary file: Exec format error")
            }
            (Shell::Bash, Errno::ENOENT) if is_search && name.contains('/') => {
                format!("{label}: line {line}: {name}: No such file or directory")
            }
            (Shell::Bash, Errno::ENOENT) if is_search && is_exec => {
                format!("{label}: line {line}: exec: {name}: not found")
            }
            (Shell::Bash, Errno::ENOENT) if is_search => format!("{label}: line {line}: {name}: command not found"),
            (Shell::Bash, Errno::ENOENT) => {
                format!("{label}: line {line}: {name}: cannot execute: required file not found")
            }
            (Shell::Bash, _) => format!("{label}: line {line}: {name}: {strerror}"),
            (Shell::Dash, Errno::ENOENT) => format!("{label}: {line}: {exec}{name}: not found"),
            (Shell::Dash, _) => format!("{label}: {line}: {exec}{name}: {strerror}"),
            (Shell::Busybox, Errno::ENOEXEC) => return self.reads_binary(name),
            (Shell::Busybox, Errno::ENOENT) if is_exec => format!("{label}: exec: line {line}: {name}: not found"),
            (Shell::Busybox, Errno::ENOENT) => format!("{label}: {name}: not found"),
            (Shell::Busybox, _) => format!("{label}: {exec}{name}: {strerror}"),
        };
        (text, code)
    }

    /// A program for another machine, read as if it were a script. What the shell trips over first hangs on its bytes.
    pub(super) fn reads_binary(self, name: &str) -> (String, u8) {
        match self {
            Shell::Bash => (format!("{name}: {name}: cannot execute binary file"), 126),
            Shell::Dash => (format!("{name}: 1: Syntax error: \"(\" unexpected"), 2),
            Shell::Busybox => (format!("{name}: line 1: syntax error: unexpected \"(\""), 2),
        }
    }

    /// The script that it was given to read is not there.
    pub(super) fn cannot_open(self, label: &str, path: &str) -> (String, u8) {
        match self {
            Shell::Bash => (format!("{label}: {path}: No such file or directory"), 127),
            Shell::Dash => (format!("{label}: 0: cannot open {path}: No such file"), 2),
            Shell::Busybox => (format!("{label}: can't open '{path}': No such file or directory"), 2),
        }
    }
}
