//! The state of a call between two programs, and the program that starts the next one.

use std::rc::Rc;

use crate::exec::launch::made::MadePaths;
use crate::exec::launch::shells::Shell;
use crate::exec::launch::wrapper::FailureStyle;
use crate::image::NodeId;

/// A program that was started and runs.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The name by which its file was opened, and the name of the file itself: `sh` and `busybox`.
    pub name: String,
    pub file: String,
    /// The file itself, if it is in the image.
    pub id: Option<NodeId>,
    pub argv: Vec<String>,
    /// Whether its libc passes a file that the kernel refuses to /bin/sh, as glibc's execvp does.
    pub falls_back: bool,
    pub emulated: Option<String>,
}

/// The state that one program passes on to the next.
#[derive(Clone, Debug)]
pub(crate) struct StartWalk {
    pub env: Vec<String>,
    pub depth: usize,
    /// An earlier command may have changed files or the environment.
    pub is_open: bool,
    /// If it is open: only commands did that which install no programs.
    pub keeps_programs: bool,
    /// The uid that a wrapper changed to, if any.
    pub user: Option<String>,
    /// An earlier command may have added users or groups.
    pub has_new_accounts: bool,
    /// An earlier command may have created directories.
    pub has_new_directories: bool,
    /// An earlier command may have changed the owners and modes of files.
    pub has_new_modes: bool,
    /// An earlier command may have written the environment or the tables of cron.
    pub has_new_environment: bool,
    /// The paths that earlier commands made.
    pub made: Rc<MadePaths>,
    /// The lines that the program reads from stdin, if it is a shell and they are known.
    pub stdin: Option<Rc<Vec<String>>>,
    /// The image's PATH, in programs that a scheduler starts with another one.
    pub image_path: Option<Rc<str>>,
}

/// Where a shell's commands come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShellText {
    /// `sh -c TEXT`
    Argument,
    Script,
}

/// The program that starts a command: it decides how the command is searched for and how a failure is reported.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'c> {
    Wrapper {
        style: FailureStyle,
        name: &'c str,
        falls_back: bool,
    },
    /// `is_exec`: with the `exec` builtin.
    Shell {
        kind: Shell,
        label: &'c str,
        line: usize,
        is_exec: bool,
        text: ShellText,
    },
}
