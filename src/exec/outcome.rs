//! The input and output types of the execve model: calls, errnos, deaths and outcomes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exec::cause::Cause;

/// The call that a runtime makes to start a container's process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments, from Entrypoint and Cmd (or Kubernetes' command and args).
    pub argv: Vec<String>,
    /// `KEY=VALUE`, as in the config's Env; PATH and LD_LIBRARY_PATH are read from it.
    pub env: Vec<String>,
    /// An absolute path; `/` if the config has none.
    pub working_dir: String,
    /// The config's User: root if empty or `0`, otherwise `uid[:gid]` or a name in the image's /etc/passwd.
    pub user: String,
    /// Groups of the process in addition to the user's own: a pod's `fsGroup` and `supplementalGroups`.
    pub groups: Vec<u32>,
    /// Set if a kubelet refuses to create the container.
    pub refused: Option<RootRefusal>,
}

/// Why a kubelet refuses a container that must not run as root.
/// Source: Kubernetes' pkg/kubelet/kuberuntime/security_context_others.go `verifyRunAsNonRoot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootRefusal {
    /// The image's USER is root, or it has none.
    ImageIsRoot,
    /// The image's USER is a name, which the kubelet does not resolve.
    ImageNamesUser(String),
    /// The pod's own `runAsUser` is 0.
    PodIsRoot,
}

impl RootRefusal {
    /// The kubelet's message, without the names of pod and container.
    pub fn words(&self) -> String {
        match self {
            RootRefusal::ImageIsRoot => "container has runAsNonRoot and image will run as root".to_string(),
            RootRefusal::ImageNamesUser(user) => format!(
                "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root"
            ),
            RootRefusal::PodIsRoot => "container's runAsUser breaks non-root policy".to_string(),
        }
    }
}

impl fmt::Display for RootRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootRefusal::ImageIsRoot => f.write_str("the pod sets runAsNonRoot, but the image's USER is root"),
            RootRefusal::ImageNamesUser(user) => write!(
                f,
                "the pod sets runAsNonRoot, but the image's USER is a name, {user}, which the kubelet does not resolve"
            ),
            RootRefusal::PodIsRoot => f.write_str("the pod sets runAsNonRoot and runAsUser: 0"),
        }
    }
}

/// An errno that execve returns. Source: include/uapi/asm-generic/errno-base.h, errno.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Errno {
    ENOENT,
    EACCES,
    ENOEXEC,
    EIO,
    ELIBBAD,
    ELOOP,
    ENOTDIR,
    ENAMETOOLONG,
    EPERM,
    EINVAL,
    ENOMEM,
    E2BIG,
}

/// How a process ends right after it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Death {
    /// Killed by this signal: 11 SIGSEGV, 4 SIGILL, 5 SIGTRAP.
    Signal(u8),
    /// Killed by one of these signals, usually by `usual`. It depends on where the kernel mapped its own pages.
    AnyOf { usual: u8, others: [u8; 3] },
    /// Its loader, or a shell or wrapper that starts it, exits with this code (127, 126, 255, 2, 1).
    Exit(u8),
}

/// The result of a call on a node: of `execve`, and of the steps right after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Runs,
    /// Runs under a binfmt_misc handler or an emulator that the user declared.
    Emulated {
        by: String,
    },
    /// execve returns `errno`. `at` is the path that failed: the program, its interpreter or its loader.
    Fails {
        errno: Errno,
        at: String,
        cause: Cause,
    },
    /// It starts, and is killed or exits in its loader at once.
    Dies {
        death: Death,
        at: String,
        cause: Cause,
    },
    /// Cannot be determined from the content that was read. Never a pass.
    Unknown {
        at: String,
        cause: Cause,
    },
}

impl Outcome {
    pub(crate) fn fails(errno: Errno, at: &[u8], cause: Cause) -> Outcome {
        Outcome::Fails { errno, at: lossy(at), cause }
    }

    pub(crate) fn killed(signal: u8, at: &[u8], cause: Cause) -> Outcome {
        Outcome::Dies { death: Death::Signal(signal), at: lossy(at), cause }
    }

    /// The name used in JSON: `runs`, `emulated`, `fails`, `dies`, `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Runs => "runs",
            Outcome::Emulated { .. } => "emulated",
            Outcome::Fails { .. } => "fails",
            Outcome::Dies { .. } => "dies",
            Outcome::Unknown { .. } => "unknown",
        }
    }

    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Outcome::Runs | Outcome::Emulated { .. } => None,
            Outcome::Fails { cause, .. } | Outcome::Dies { cause, .. } | Outcome::Unknown { cause, .. } => Some(cause),
        }
    }

    /// Applies `change` to each of its texts.
    pub(crate) fn texts(&mut self, change: &mut dyn FnMut(&mut String)) {
        match self {
            Outcome::Runs | Outcome::Emulated { .. } => {}
            Outcome::Fails { at, cause, .. } | Outcome::Dies { at, cause, .. } | Outcome::Unknown { at, cause } => {
                change(at);
                change(&mut cause.text);
            }
        }
    }

    /// Whether the process gets as far as running its own code.
    pub fn is_alive(&self) -> bool {
        matches!(self, Outcome::Runs | Outcome::Emulated { .. })
    }
}

impl Errno {
    /// `strerror` as Go prints it (runc): lower case.
    pub fn message(self) -> &'static str {
        match self {
            Errno::ENOENT => "no such file or directory",
            Errno::EACCES => "permission denied",
            Errno::ENOEXEC => "exec format error",
            Errno::EIO => "input/output error",
            Errno::ELIBBAD => "accessing a corrupted shared library",
            Errno::ELOOP => "too many levels of symbolic links",
            Errno::ENOTDIR => "not a directory",
            Errno::ENAMETOOLONG => "file name too long",
            Errno::EPERM => "operation not permitted",
            Errno::EINVAL => "invalid argument",
            Errno::ENOMEM => "cannot allocate memory",
            Errno::E2BIG => "argument list too long",
        }
    }

    /// `strerror` as C libraries print it (crun, shells, loaders): capitalised.
    pub fn strerror(self) -> String {
        let message = self.message();
        message[..1].to_uppercase() + &message[1..]
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Decodes a path or word for display. Invalid UTF-8 is replaced.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
