//! Where a call stands on its way from program to program, and who starts the next one.

use crate::exec::launch::shells::Shell;
use crate::exec::launch::wrapper::Style;

/// A program that was started and runs.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The name by which its file was opened, and the name of the file itself: `sh` and `busybox`.
    pub name: String,
    pub file: String,
    pub argv: Vec<String>,
    /// Whether its libc hands a file that the kernel refuses to /bin/sh, as glibc's execvp does.
    pub falls_back: bool,
    pub emulated: Option<String>,
}

/// Where the way stands.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub env: Vec<String>,
    pub depth: usize,
    /// Something that ran before may have changed files or the environment.
    pub is_open: bool,
    /// The number of the user that a wrapper changed to, where one did.
    pub user: Option<String>,
}

/// How a command is looked for and how its failure is told.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'c> {
    Wrapper {
        style: Style,
        name: &'c str,
        falls_back: bool,
    },
    /// `is_exec`: by its `exec`.
    Shell {
        kind: Shell,
        label: &'c str,
        line: usize,
        is_exec: bool,
    },
}
