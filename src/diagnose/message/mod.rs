//! The messages with which engines, runtimes, kernels, shells, loaders and language runtimes report that a program
//! could not start, one row each. `rank` defines their meaning.

use crate::exec::Errno;

mod ending;
mod language;
mod loader;
mod module;
mod pull;
mod shell;
mod speaker;
mod start;

pub use speaker::Speaker;

/// The event that a message reports, regardless of the program that prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sign {
    /// execve returned this error.
    Exec(Errno),
    /// execve returned ETXTBSY.
    FileBusy,
    /// The runtime did not find the file, before it called execve.
    ProgramNotFound,
    /// The runtime did not find the name on PATH.
    NotOnPath,
    /// The runtime found the file but may not execute it.
    NotExecutable,
    /// Neither the image nor the container names a command.
    NoCommand,
    /// The image has no such user or group.
    UserMissing,
    /// The pod requires a user other than root, and the image does not name one by number.
    RootRefused,
    /// The runtime could not enter the working directory.
    WorkingDirRefused,
    /// Lambda could not start a program. Its reason, if any, is in another message.
    EntrypointInvalid,
    /// An interpreter or shell did not find the script.
    ScriptMissing,
    /// java was given a file that is not a jar.
    BadJar,
    /// A shell did not find the file: a program, or a file to read.
    ShellFileMissing,
    /// No entry of the index matches the node.
    NoPlatformInIndex,
    /// An engine's warning that image and machine differ: it starts the program all the same.
    PlatformMismatch,
    /// An engine's refusal of an image that is not for the requested platform.
    PlatformRefused,
    /// containerd skipped unpacking, because the config and the index name different platforms.
    UnpackSkipped,
    /// A shell read a program as a script, because its caller fell back to `/bin/sh FILE` after ENOEXEC.
    ProgramReadAsScript,
    /// The interpreter or loader that a file names is missing.
    InterpreterMissing,
    /// `env` did not find the program, often that of a script's `#!/usr/bin/env NAME`.
    EnvNotFound,
    /// A script's first line passed a program's name and its options to `env` as one word.
    ShebangOptions,
    /// A shell found the file but may not execute it.
    ShellDenied,
    /// bash could not start the interpreter of a script's first line.
    BadInterpreter,
    /// A carriage return at the end of a script's line.
    CarriageReturn,
    /// A shell did not find the command.
    CommandNotFound,
    /// A probe or hook calls a command that is not in the container, which has started.
    ProbeCommandMissing,
    /// A command that was to run in a running container, by `docker exec` or `kubectl exec`, is not in it.
    ExecCommandMissing,
    /// SELinux or AppArmor refused to execute a file.
    PolicyDenied,
    LibraryMissing,
    /// The dynamic loader itself is missing.
    LoaderMissing,
    /// A library for another architecture, or a file that is not a library.
    LibraryForeign,
    /// A library in LD_PRELOAD was ignored, and the program continued.
    PreloadIgnored,
    LibraryTruncated,
    /// A library whose headers the loader rejects.
    LibraryCorrupt,
    /// A library may not be mapped: its file system is mounted noexec.
    LibraryNotMapped,
    /// The libc in the image is older than the program requires.
    SymbolVersion,
    /// A symbol is missing, often because musl's loader runs a glibc program.
    SymbolMissing,
    /// The loader rejects the program because it is of another kind.
    LoaderRefuses,
    /// A library that is loaded late needs thread-local storage that the loader reserves only at the start.
    StaticTls,
    /// A native module was built for another version or build of its runtime.
    ModuleVersion,
    /// The program needs address space that the kernel or its limits do not give.
    AddressSpaceMissing,
    /// The program's libc needs a newer kernel.
    KernelTooOld,
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
    /// The emulator lacks a system call; the program went on, or did not.
    EmulatorIncomplete,
    /// The kernel refused to register an emulator.
    EmulatorNotRegistered,
    /// A build step under BuildKit's emulator ended with this exit code.
    EmulatedStepFailed,
    /// A package of native code was installed for another platform.
    PackageForeign,
    /// A package's native module is missing, often because the package was installed for another platform.
    ModuleMissing,
    /// The package manager refuses a package for another architecture.
    PackageRefused,
    /// A script, an installer or a program has nothing for the machine's architecture.
    ArchitectureUnsupported,
    IllegalInstruction,
    SegmentationFault,
    /// The kernel killed the process because memory ran out.
    OutOfMemory,
    /// A build step ended with this exit code.
    BuildStepFailed,
    /// A supervisor, an engine or a CI service reports this exit code.
    Exited,
    /// The kubelet waits before it tries again. Another message states the reason.
    BackOff,
    /// It contains the words of an exec failure but reports something else.
    Unrelated,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Literal text and `{holes}`, see `pattern`. `{errno}` matches an error text, which decides the sign.
    pub pattern: &'static str,
    /// `None`: the `{errno}` hole decides.
    pub sign: Option<Sign>,
    pub speaker: Speaker,
    /// A real line.
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

/// All messages, the more specific before the more general, because the first match is used.
pub fn messages() -> impl Iterator<Item = &'static Message> {
    let tables = [
        ending::UNRELATED,
        start::TABLE,
        pull::TABLE,
        module::TABLE,
        loader::TABLE,
        language::TABLE,
        shell::TABLE,
        ending::TABLE,
    ];
    tables.into_iter().flatten()
}

/// Error texts of Go (lower case), glibc, musl and djb's programs, and the names of errors.
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
