//! The messages by which engines, runtimes, kernels, shells, loaders and language runtimes report that a program could not
//! start: one row each. Parsers, help and tests read the tables; what a message means is `rank`'s.

use crate::exec::Errno;

mod ending;
mod language;
mod loader;
mod pull;
mod shell;
mod speaker;
mod start;

pub use speaker::Speaker;

/// What a message reports, no matter who prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sign {
    /// execve returned this.
    Exec(Errno),
    /// execve returned ETXTBSY.
    FileBusy,
    /// The runtime found no such file before it called execve.
    ProgramNotFound,
    /// The runtime found no such name on PATH.
    NotOnPath,
    /// The runtime found the file but may not execute it.
    NotExecutable,
    /// Neither the image nor the container names a command.
    NoCommand,
    /// The image has no such user or group.
    UserMissing,
    /// The pod demands a user other than root, and the image has none that is a number.
    RootRefused,
    /// The runtime could not enter the working directory.
    WorkingDirRefused,
    /// Lambda started no program, and gives the reason elsewhere if at all.
    EntrypointInvalid,
    /// An interpreter or shell found no such script.
    ScriptMissing,
    /// java was given a file that is not a jar.
    BadJar,
    /// A shell found no such file: a program, or a text that it was to read.
    ShellFileMissing,
    /// No entry of the index fits the node.
    NoPlatformInIndex,
    /// An engine's warning, or refusal, that image and machine differ.
    PlatformMismatch,
    /// containerd skipped the unpacking: the config names another platform than the index.
    UnpackSkipped,
    /// A shell took a program for a script: its caller fell back to `/bin/sh FILE` after ENOEXEC.
    ProgramReadAsScript,
    /// The interpreter or loader that a file names is missing.
    InterpreterMissing,
    /// `env` found no such program: often a script's `#!/usr/bin/env NAME`.
    EnvNotFound,
    /// `env` was given a program's name and its options as one word by a script's first line.
    ShebangOptions,
    /// A shell found the file but may not execute it.
    ShellDenied,
    /// bash could not start what a script's first line names.
    BadInterpreter,
    /// A carriage return at the end of a script's line.
    CarriageReturn,
    /// A shell found no such command.
    CommandNotFound,
    LibraryMissing,
    /// The dynamic loader itself is missing.
    LoaderMissing,
    /// A library for another architecture, or a file that is not a library.
    LibraryForeign,
    /// A library named by LD_PRELOAD was ignored; the program went on.
    PreloadIgnored,
    LibraryTruncated,
    /// The libc in the image is older than the program wants.
    SymbolVersion,
    /// A symbol is missing: often a glibc program with musl's loader.
    SymbolMissing,
    /// The loader was given a program of another kind.
    LoaderRefuses,
    /// The CPU lacks what the program needs, and the program reports it.
    CpuLevel,
    /// The kernel's pages are larger than the program was built for.
    PageSize,
    /// QEMU, Rosetta or OrbStack runs the program but does not find its loader.
    EmulatedLoaderMissing,
    /// The emulator refuses the program.
    EmulatorRefuses,
    /// The program died under the emulator.
    EmulatorCrash,
    /// A build step under BuildKit's emulator ended with this exit code.
    EmulatedStepFailed,
    /// A package of native code was installed for another platform.
    PackageForeign,
    /// A package's native module is missing: often a package that was installed for another platform.
    ModuleMissing,
    /// The package manager refuses a package for another architecture.
    PackageRefused,
    IllegalInstruction,
    SegmentationFault,
    /// The kernel killed the process because memory ran out.
    OutOfMemory,
    /// A build step ended with this exit code.
    BuildStepFailed,
    /// A supervisor, an engine or a CI service reports this exit code.
    Exited,
    /// The kubelet waits before the next try: something else gives the reason.
    BackOff,
    /// It has the words of an exec failure and reports something else.
    Unrelated,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Literal text and `{holes}`, see `pattern`. `{errno}` holds an error's text, which decides the sign.
    pub pattern: &'static str,
    /// `None`: the `{errno}` hole decides.
    pub sign: Option<Sign>,
    pub speaker: Speaker,
    /// A line as it was seen.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests match each pattern against it"))]
    pub example: &'static str,
}

/// Rows of a table: speaker, sign or `errno`, pattern, example.
macro_rules! message_table {
    (@sign errno) => { None };
    (@sign Exec $errno:ident) => { Some(crate::diagnose::message::Sign::Exec(crate::exec::Errno::$errno)) };
    (@sign $sign:ident) => { Some(crate::diagnose::message::Sign::$sign) };
    ($table:ident: $($speaker:ident $sign:ident $(($errno:ident))?, $pattern:literal, $example:literal;)*) => {
        pub(super) const $table: &[super::Message] = &[$(super::Message {
            pattern: $pattern,
            sign: message_table!(@sign $sign $($errno)?),
            speaker: super::Speaker::$speaker,
            example: $example,
        }),*];
    };
}
use message_table;

/// Every message, the more specific before the more general: the first that matches a line is taken.
pub fn messages() -> impl Iterator<Item = &'static Message> {
    let tables =
        [ending::UNRELATED, start::TABLE, pull::TABLE, loader::TABLE, language::TABLE, shell::TABLE, ending::TABLE];
    tables.into_iter().flatten()
}

/// Error texts as Go (lower case), glibc, musl and djb's programs print them, and the errors' names.
/// Source: include/uapi/asm-generic/errno*.h; Go zerrors; skalibs strerr; Node's and supervisord's `errorcode`.
pub const ERRNO_TEXTS: &[(&str, Sign)] = &[
    ("exec format error", Sign::Exec(Errno::ENOEXEC)),
    ("no such file or directory", Sign::Exec(Errno::ENOENT)),
    ("file does not exist", Sign::Exec(Errno::ENOENT)),
    ("permission denied", Sign::Exec(Errno::EACCES)),
    ("access denied", Sign::Exec(Errno::EACCES)),
    ("accessing a corrupted shared library", Sign::Exec(Errno::ELIBBAD)),
    ("input/output error", Sign::Exec(Errno::EIO)),
    ("i/o error", Sign::Exec(Errno::EIO)),
    ("too many levels of symbolic links", Sign::Exec(Errno::ELOOP)),
    ("symbolic link loop", Sign::Exec(Errno::ELOOP)),
    ("operation not permitted", Sign::Exec(Errno::EPERM)),
    ("text file busy", Sign::FileBusy),
    ("argument list too long", Sign::Exec(Errno::E2BIG)),
    ("cannot allocate memory", Sign::Exec(Errno::ENOMEM)),
    ("not a directory", Sign::Exec(Errno::ENOTDIR)),
    ("file name too long", Sign::Exec(Errno::ENAMETOOLONG)),
    ("enoexec", Sign::Exec(Errno::ENOEXEC)),
    ("enoent", Sign::Exec(Errno::ENOENT)),
    ("eacces", Sign::Exec(Errno::EACCES)),
    ("elibbad", Sign::Exec(Errno::ELIBBAD)),
    ("eperm", Sign::Exec(Errno::EPERM)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_sign_or_an_errno_hole_and_closes_its_holes() {
        for message in messages() {
            let (pattern, opened) = (message.pattern, message.pattern.matches('{').count());
            assert_eq!(opened, pattern.matches('}').count(), "{pattern}");
            assert_eq!(message.sign.is_none(), pattern.contains("{errno}"), "{pattern}");
            assert!(!message.speaker.source().is_empty(), "{pattern}");
        }
    }

    #[test]
    fn no_pattern_is_listed_twice() {
        let mut patterns: Vec<&str> = messages().map(|message| message.pattern).collect();
        patterns.sort_unstable();
        let twice: Vec<_> = patterns.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}
