//! The message and exit code of each shell if a command cannot be started. Taken from runs of bash 5.1, 5.2 and 5.3,
//! dash 0.5.12 and BusyBox 1.35, word for word.

use crate::exec::Errno;
use crate::inspect::{Elf, symbol_hash};

/// The shells in images, as far as their errors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash(BashRelease),
    Dash,
    Busybox,
    /// zsh, ksh and others. They count as dash, except for their language.
    Other,
}

/// The releases of bash whose errors differ. Before 5.2 and since 5.3, bash names an interpreter that does not exist,
/// and ends with code 126. 5.2 ends with 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BashRelease {
    Before52,
    V52,
    Since53,
}

impl BashRelease {
    /// Returns the release by the functions that bash exports for loadable builtins. Seen in 5.1.4, 5.2.15 and 5.3.15.
    fn from_elf(elf: Option<&Elf>) -> BashRelease {
        let symbols = elf.and_then(|elf| elf.dynamic.as_ref()?.symbols.as_ref());
        let exports = |name: &str| {
            symbols.is_some_and(|symbols| symbols.defined.binary_search(&symbol_hash(name.as_bytes())).is_ok())
        };
        match () {
            () if exports("function_substitute") => BashRelease::Since53,
            () if exports("can_optimize_cat_file") || !exports("shell_execve") => BashRelease::V52,
            () => BashRelease::Before52,
        }
    }
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
    /// The program in the first line of a script that the kernel refused.
    pub interpreter: Option<&'f str>,
}

impl Shell {
    /// Returns the shell for its file.
    pub(crate) fn from_file(name: &str, elf: Option<&Elf>) -> Shell {
        match name {
            "bash" | "sh.distrib" => Shell::Bash(BashRelease::from_elf(elf)),
            "ash" => Shell::Busybox,
            name if name.starts_with("busybox") => Shell::Busybox,
            "dash" => Shell::Dash,
            _ => Shell::Other,
        }
    }

    pub(crate) fn is_bash(self) -> bool {
        matches!(self, Shell::Bash(_))
    }

    /// The files that a login shell reads, with alternatives, of which it reads the first one that exists. Source:
    /// bash(1), "INVOCATION"; dash(1), "Invocation".
    pub(crate) fn profiles(self) -> [&'static [&'static str]; 2] {
        match self {
            Shell::Bash(_) => [&["/etc/profile"], &["~/.bash_profile", "~/.bash_login", "~/.profile"]],
            Shell::Dash | Shell::Other | Shell::Busybox => [&["/etc/profile"], &["~/.profile"]],
        }
    }

    /// Returns the shell's message and exit code for a command that could not be started.
    pub(crate) fn failure(self, failed: &FailedCommand<'_>) -> (String, u8) {
        let FailedCommand { label, line, name, path, errno, is_exec, is_search, .. } = *failed;
        let strerror = if failed.is_directory { "Is a directory".to_string() } else { errno.strerror() };
        let exec = if is_exec { "exec: " } else { "" };
        let names_interpreter = match self {
            Shell::Bash(BashRelease::V52) => errno != Errno::ENOENT,
            Shell::Bash(BashRelease::Before52 | BashRelease::Since53) => true,
            Shell::Dash | Shell::Other | Shell::Busybox => false,
        };
        let interpreter = failed.interpreter.filter(|_| names_interpreter && errno != Errno::ENOEXEC);
        let code = match (self, errno) {
            _ if interpreter.is_some() => 126,
            // dash does not find a path that goes through a file.
            (_, Errno::ENOENT) | (Shell::Dash | Shell::Other, Errno::ENOTDIR) => 127,
            (Shell::Dash | Shell::Other, Errno::EACCES) if is_search && !is_exec && !name.contains('/') => 127,
            _ => 126,
        };
        let bash = |text: String| format!("{label}: line {line}: {text}");
        // Before 5.3, the builtin repeats a refusal.
        let is_repeated = is_exec && matches!(self, Shell::Bash(release) if release < BashRelease::Since53);
        let text = match (self, errno) {
            _ if let Some(interpreter) = interpreter => {
                let interpreter =
                    interpreter.strip_suffix('\r').map_or(interpreter.to_string(), |own| format!("{own}^M"));
                let refused = format!("{label}: {path}: {interpreter}: bad interpreter: {}", errno.strerror());
                if is_repeated { [refused, bash(format!("{path}: Success"))].join("\n") } else { refused }
            }
            (Shell::Bash(_), Errno::ENOEXEC) if is_repeated => {
                let refused = bash(format!("{path}: cannot execute binary file: Exec format error"));
                [refused, bash(format!("{path}: Success"))].join("\n")
            }
            (Shell::Bash(_), Errno::ENOEXEC) => bash(format!("{path}: cannot execute binary file: Exec format error")),
            (Shell::Bash(_), Errno::ENOENT) if is_search && name.contains('/') => {
                bash(format!("{name}: No such file or directory"))
            }
            (Shell::Bash(_), Errno::ENOENT) if is_search && is_exec => bash(format!("exec: {name}: not found")),
            (Shell::Bash(_), Errno::ENOENT) if is_search => bash(format!("{name}: command not found")),
            (Shell::Bash(BashRelease::Before52), Errno::ENOENT) => bash(format!("{path}: No such file or directory")),
            (Shell::Bash(_), Errno::ENOENT) => bash(format!("{path}: cannot execute: required file not found")),
            (Shell::Bash(_), _) if is_repeated => {
                let refused = bash(format!("{path}: {strerror}"));
                [refused, bash(format!("exec: {path}: cannot execute: {strerror}"))].join("\n")
            }
            (Shell::Bash(_), _) => bash(format!("{path}: {strerror}")),
            (Shell::Dash | Shell::Other, Errno::ENOENT | Errno::ENOTDIR) => {
                format!("{label}: {line}: {exec}{name}: not found")
            }
            (Shell::Dash | Shell::Other, _) => format!("{label}: {line}: {exec}{name}: {}", errno.strerror()),
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
            Shell::Bash(_) => (format!("{name}: {name}: cannot execute binary file"), 126),
            Shell::Dash | Shell::Other => (format!("{name}: 1: Syntax error: \"(\" unexpected"), 2),
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
            (Shell::Bash(_), true, _) => (format!("{label}: {word}: invalid option"), 2),
            (Shell::Dash | Shell::Other, true, _) => (format!("{label}: 0: Illegal option --"), 2),
            (Shell::Busybox, true, _) => return None,
            (Shell::Bash(_), _, true) => (format!("{label}: line 0: {label}: {next}: invalid option name"), 2),
            (Shell::Dash | Shell::Other, _, true) => (format!("{label}: 0: Illegal option {sign}o {next}"), 2),
            // It exits without setting a status.
            (Shell::Busybox, _, true) => (format!("{label}: illegal option {sign}o {next}"), 0),
            (Shell::Bash(_), ..) => {
                // An -e before it makes bash exit at its own error.
                let ends_at_error = sign == "-" && before.contains('e');
                (format!("{label}: {sign}{letter}: invalid option"), if ends_at_error { 1 } else { 2 })
            }
            (Shell::Dash | Shell::Other, ..) => (format!("{label}: 0: Illegal option -{letter}"), 2),
            (Shell::Busybox, ..) => (format!("{label}: illegal option {sign}{letter}"), 2),
        })
    }

    /// The message and the exit code for a script that the user may not read. Seen with bash 5.2, dash 0.5.12 and BusyBox
    /// 1.35.
    pub(crate) fn may_not_open(self, label: &str, path: &str) -> (String, u8) {
        match self {
            Shell::Bash(_) => (format!("{label}: {path}: Permission denied"), 126),
            Shell::Dash | Shell::Other => (format!("{label}: 0: cannot open {path}: Permission denied"), 2),
            Shell::Busybox => (format!("{label}: can't open '{path}': Permission denied"), 2),
        }
    }

    /// The message and the exit code for a script that does not exist.
    pub(crate) fn cannot_open(self, label: &str, path: &str) -> (String, u8) {
        match self {
            Shell::Bash(_) => (format!("{label}: {path}: No such file or directory"), 127),
            Shell::Dash | Shell::Other => (format!("{label}: 0: cannot open {path}: No such file"), 2),
            Shell::Busybox => (format!("{label}: can't open '{path}': No such file or directory"), 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BashRelease, FailedCommand, Shell};
    use crate::exec::Errno;

    /// What bash 5.1, 5.2 and 5.3 print and return for `exec /e`.
    fn check(errno: Errno, interpreter: Option<&str>, expected: [(&str, u8); 3]) {
        let releases = [BashRelease::Before52, BashRelease::V52, BashRelease::Since53];
        for (release, (message, code)) in releases.into_iter().zip(expected) {
            let failed = FailedCommand {
                label: "sh",
                line: 1,
                name: "/e",
                path: "/e",
                errno,
                is_exec: true,
                is_search: false,
                is_directory: false,
                interpreter,
            };
            assert_eq!(Shell::Bash(release).failure(&failed), (message.to_string(), code), "{release:?}");
        }
    }

    #[test]
    fn releases_of_bash_report_a_failed_exec_differently() {
        let bad = "sh: /e: /no/such: bad interpreter: No such file or directory";
        let required = "sh: line 1: /e: cannot execute: required file not found";
        let repeated = format!("{bad}\nsh: line 1: /e: Success");
        check(Errno::ENOENT, Some("/no/such"), [(&repeated, 126), (required, 127), (bad, 126)]);
        let absent = "sh: line 1: /e: No such file or directory";
        check(Errno::ENOENT, None, [(absent, 127), (required, 127), (required, 127)]);
        let refused = "sh: line 1: /e: cannot execute binary file: Exec format error";
        let repeated = format!("{refused}\nsh: line 1: /e: Success");
        check(Errno::ENOEXEC, None, [(&repeated, 126), (&repeated, 126), (refused, 126)]);
        let denied = "sh: line 1: /e: Permission denied";
        let repeated = format!("{denied}\nsh: line 1: exec: /e: cannot execute: Permission denied");
        check(Errno::EACCES, None, [(&repeated, 126), (&repeated, 126), (denied, 126)]);
    }
}
