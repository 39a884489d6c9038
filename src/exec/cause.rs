//! The reasons why a call fails, dies or has an unknown outcome, one row per kind. `judge` and `diagnose` assign each
//! kind its finding code, hint and suspect; they match on [`CauseKind`] without a wildcard.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason for an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub kind: CauseKind,
    /// One lower-case sentence without a period: "an AArch64 program; this node runs x86-64 and i386 programs".
    pub text: String,
}

impl Cause {
    /// The kind's code, as JSON contains it.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $kind:ident $code:literal;)*) => {
        /// A kind of cause. Kinds are only ever added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum CauseKind { $($(#[$doc])* $kind),* }

        impl CauseKind {
            /// Every kind.
            pub const ALL: &[CauseKind] = &[$(CauseKind::$kind),*];

            /// The stable kebab-case code used in JSON.
            pub fn code(self) -> &'static str {
                match self { $(CauseKind::$kind => $code),* }
            }
        }
    };
}

causes! {
    // The call itself.
    /// Neither the image nor the call names a program.
    NoCommand "no-command";
    /// The first word of ENTRYPOINT is empty: some engines drop it, others fail.
    EmptyEntrypoint "empty-entrypoint";
    /// The config's User is not in the image's /etc/passwd or /etc/group.
    UnknownUser "unknown-user";
    /// The pod sets runAsNonRoot, and the user is root or cannot be verified.
    RootRefused "root-refused";
    /// The config's WorkingDir does not start with a slash.
    RelativeWorkingDir "relative-working-dir";
    /// The working directory is not a directory and cannot be created.
    BadWorkingDir "bad-working-dir";
    /// A supervisor's configuration names a directory that does not exist: of a log, a socket or a service.
    MissingDirectory "missing-directory";

    /// A supervisor or scheduler rejects its configuration, or ignores a part of it.
    BadConfiguration "bad-configuration";

    /// A script ends itself because of the machine's architecture.
    RefusedArchitecture "refused-architecture";

    // Finding and opening a file.
    /// A program that the call or a command names by its path does not exist.
    MissingProgram "missing-program";
    /// A file does not exist. Callers that know its role replace this kind.
    MissingFile "missing-file";
    /// No directory of PATH has an executable file of that name.
    NotInPath "not-in-path";
    /// Found through a relative directory in PATH, which most runtimes refuse.
    RelativeInPath "relative-in-path";
    NotADirectory "not-a-directory";
    SymlinkLoop "symlink-loop";
    NameTooLong "name-too-long";
    /// The file is below /proc, /sys or /dev, where engines mount their own file systems.
    MountedOver "mounted-over";
    NotExecutable "not-executable";
    /// Executable only with CAP_DAC_OVERRIDE, which docker and containerd let the first program keep.
    NeedsOverride "needs-override";
    IsDirectory "is-directory";
    /// A device, fifo or socket.
    NotAFile "not-a-file";
    /// The user has no search permission on a directory in the path.
    NotSearchable "not-searchable";
    /// The path leads into a file system that was not read.
    NotRead "not-read";
    /// Depends on a user whose uid is not known.
    UserUnknown "user-unknown";

    // What kind of file it is.
    ForeignArchitecture "foreign-architecture";
    NoAarch32 "no-aarch32";
    NoIa32 "no-ia32";
    NoX32 "no-x32";
    /// A 32-bit program on a kernel that only runs 64-bit programs, of an architecture other than x86 and Arm.
    NoCompat "no-compat";
    NotAProgram "not-a-program";
    NotElf "not-elf";
    /// Mach-O, PE or WebAssembly.
    ForeignFormat "foreign-format";
    EmptyFile "empty-file";
    ErrorPage "error-page";
    LfsPointer "lfs-pointer";
    LibraryAsProgram "library-as-program";

    // Scripts and their first line.
    NoShebang "no-shebang";
    ScriptBom "script-bom";
    ScriptBlank "script-blank";
    ScriptCrlf "script-crlf";
    /// A script line ends in a carriage return, which becomes part of a program's name.
    CarriageReturn "carriage-return";
    EmptyShebang "empty-shebang";
    LongShebang "long-shebang";
    /// Several options on a #! line, which the interpreter receives as one argument.
    ShebangOption "shebang-option";
    MissingInterpreter "missing-interpreter";
    /// More than five interpreters.
    TooManyInterpreters "too-many-interpreters";

    // binfmt_misc.
    MissingHandlerInterpreter "missing-handler-interpreter";
    MissingHandlerLoader "missing-handler-loader";
    TooManyHandlers "too-many-handlers";
    /// Whether a handler matches the file depends on bytes that were not kept.
    HandlerUnknown "handler-unknown";

    // The ELF file and its mapping.
    CorruptElf "corrupt-elf";
    RefusedHeader "refused-header";
    BadPropertyNote "bad-property-note";
    Truncated "truncated";
    NoLoadSegment "no-load-segment";
    BadSegments "bad-segments";
    BadEntry "bad-entry";
    PageSize "page-size";
    /// Depends on the address-space size of the CPU or kernel, or on address-space randomisation.
    AddressSpace "address-space";
    /// Mapped below the lowest address that every node allows.
    LowAddress "low-address";
    /// Needs more memory at startup than every node is sure to have.
    Memory "memory";

    // Credentials.
    BadCapabilities "bad-capabilities";
    CapabilitiesNotGranted "capabilities-not-granted";
    /// Needs capabilities that only some engines grant.
    CapabilitiesNeeded "capabilities-needed";

    // The loader and the libraries.
    BadLoaderPath "bad-loader-path";
    MissingLoader "missing-loader";
    BadLoader "bad-loader";
    ForeignLoader "foreign-loader";
    TruncatedLoader "truncated-loader";
    MissingLibrary "missing-library";
    ForeignLibrary "foreign-library";
    BrokenLibrary "broken-library";
    SymbolVersion "symbol-version";
    /// musl's loader: no loaded object defines a symbol.
    MissingSymbol "missing-symbol";
    /// The libraries that the program loads depend on content that was not kept.
    LibraryUnknown "library-unknown";

    // The CPU and the node.
    CpuLevel "cpu-level";
    /// The code executes an instruction that the node's CPU lacks: SIGILL.
    CpuInstruction "cpu-instruction";
    /// The code that the program executes at startup was not searched to its end.
    CodeUnsearched "code-unsearched";
    CpuBaseline "cpu-baseline";
    /// The distribution's CPU baseline, on a node whose CPU level is not known.
    DistributionLevel "distribution-level";
    /// Depends on a node property that is not known.
    NodeUnknown "node-unknown";

    // Programs that start programs.
    /// The script passed to a shell or interpreter does not exist.
    MissingScript "missing-script";
    /// A module that a Python script imports at startup does not exist.
    MissingModule "missing-module";
    /// The script uses constructs of bash, and its shell is dash or BusyBox's.
    ShellDialect "shell-dialect";
    /// The file passed to java is not a jar.
    BadScript "bad-script";
    /// A shell was given a binary to run as a script.
    BinaryAsScript "binary-as-script";
    /// A wrapper or shell rejects an option in the call.
    BadOption "bad-option";
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_a_unique_kebab_case_code() {
        let codes: BTreeSet<&str> = CauseKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), CauseKind::ALL.len());
        assert!(
            codes.iter().all(|code| code
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit()))
        );
    }
}
