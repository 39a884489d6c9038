//! What is known about the functions of other files by their names.

/// What happens when a function has been called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    Returns,
    /// It returns a value that never depends on the CPU.
    ReturnsHandle,
    /// It never returns, because something failed.
    Never,
    /// It ends the program with its first argument as the status.
    ByStatus,
    /// It ends the program without an error, or continues with another one.
    Succeeds,
}

impl CallEnd {
    pub fn of_name(name: &str) -> CallEnd {
        match name {
            _ if EXITS.contains(&name) => CallEnd::ByStatus,
            _ if EXECS.contains(&name) => CallEnd::Succeeds,
            _ if NEVER.contains(&name) || name.starts_with("_ZSt") && name.contains("__throw_") => CallEnd::Never,
            _ if HANDLES.contains(&name) || HANDLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => {
                CallEnd::ReturnsHandle
            }
            _ => CallEnd::Returns,
        }
    }
}

/// Functions that end the program. Source: C11 7.22.4, POSIX `_exit`.
const EXITS: &[&str] = &["exit", "_exit", "_Exit", "quick_exit"];

/// Functions that replace the program, unless they fail. Source: exec(3), execve(2), fexecve(3).
const EXECS: &[&str] = &["execl", "execlp", "execle", "execv", "execvp", "execvpe", "execve", "fexecve"];

/// Functions that do not return. Source: C11 7.22.4, the Itanium C++ ABI, glibc.
const NEVER: &[&str] = &[
    "abort",
    "__stack_chk_fail",
    "__assert_fail",
    "__fortify_fail",
    "__chk_fail",
    "longjmp",
    "__longjmp_chk",
    "_Unwind_Resume",
    "__cxa_throw",
    "__cxa_rethrow",
    "__cxa_bad_cast",
    "__cxa_throw_bad_array_new_length",
    "__cxa_pure_virtual",
    "_ZSt9terminatev",
    "pthread_exit",
    "err",
    "errx",
    "Py_FatalError",
    "_Py_FatalErrorFunc",
];

/// Functions that return memory, a file, a process or an option, which they do on every CPU.
const HANDLES: &[&str] = &[
    "malloc",
    "calloc",
    "realloc",
    "strdup",
    "fopen",
    "fopen64",
    "fdopen",
    "opendir",
    "_Znwm",
    "_Znam",
    "fork",
    "pipe",
    "socket",
    "bind",
    "listen",
    "getopt",
    "getopt_long",
    "getopt_long_only",
];

/// Prefixes of the functions of CPython and Node-API, which do not report CPU features.
const HANDLE_PREFIXES: &[&str] = &["Py", "_Py", "napi_"];

/// A function that calls another one always: the argument, counted from 0, with the address of the one that it calls.
/// Source: POSIX `pthread_once`.
pub fn callback(name: &str) -> Option<usize> {
    (name == "pthread_once").then_some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_known_by_their_names() {
        assert_eq!(CallEnd::of_name("_exit"), CallEnd::ByStatus);
        assert_eq!(CallEnd::of_name("_ZSt20__throw_length_errorPKc"), CallEnd::Never);
        assert_eq!(CallEnd::of_name("PyModule_Create2"), CallEnd::ReturnsHandle);
        assert_eq!(CallEnd::of_name("execv"), CallEnd::Succeeds);
        assert_eq!(CallEnd::of_name("getauxval"), CallEnd::Returns);
        assert_eq!((callback("pthread_once"), callback("qsort")), (Some(1), None));
    }
}
