//! An execve error: the errno that it returns before the point of no return, and why.

use crate::exec::{Cause, CauseKind, Errno};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExecError {
    pub errno: Errno,
    pub cause: Cause,
}

pub(crate) fn refuse(errno: Errno, kind: CauseKind, text: impl Into<String>) -> ExecError {
    ExecError { errno, cause: Cause { kind, text: text.into() } }
}
