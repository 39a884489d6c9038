//! Why a call fails, dies or cannot be judged: one row for each kind of cause. The finding code, the hint and the suspect
//! of a kind belong to `judge` and `diagnose`, which match on [`CauseKind`] without a wildcard.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an outcome is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub kind: CauseKind,
    /// One lower-case sentence without a period: "an AArch64 program; this node runs x86-64 and i386 programs".
    pub text: String,
}

impl Cause {
    /// The kind's code, as JSON shows it.
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

            /// Stable, kebab-case, as JSON shows it.
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
    /// A pod must not run as root, and nothing proves that it does not.
    RootRefused "root-refused";
    /// The config's WorkingDir does not start with a slash.
    RelativeWorkingDir "relative-working-dir";
    /// The working directory is not a directory and cannot be made one.
    BadWorkingDir "bad-working-dir";

    // Finding and opening a file.
    /// A file that the call or a command names by its path.
    MissingProgram "missing-program";
    /// A file that does not exist, before the caller knows what it was for.
    MissingFile "missing-file";
    /// No directory of PATH has an executable file of that name.
    NotInPath "not-in-path";
    /// Found by a relative directory of PATH, which most runtimes refuse.
    RelativeInPath "relative-in-path";
    NotADirectory "not-a-directory";
    SymlinkLoop "symlink-loop";
    NameTooLong "name-too-long";
    /// The file is below /proc, /sys or /dev, where engines mount their own.
    MountedOver "mounted-over";
    NotExecutable "not-executable";
    /// Executable with CAP_DAC_OVERRIDE only, which docker and containerd leave to the first program.
    NeedsOverride "needs-override";
    IsDirectory "is-directory";
    /// A device, fifo or socket.
    NotAFile "not-a-file";
    /// The user may not search a directory on the way.
    NotSearchable "not-searchable";
    /// The path leads into another file system, which was not read.
    NotRead "not-read";
    /// Depends on a user whose number the image does not give.
    UserUnknown "user-unknown";

    // What kind of file it is.
    ForeignArchitecture "foreign-architecture";
    NoAarch32 "no-aarch32";
    NoIa32 "no-ia32";
    NoX32 "no-x32";
    /// A 32-bit program on a kernel of another architecture that runs 64-bit programs only.
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
    /// A line of a script ends in a carriage return, which is taken as part of a program's name.
    CarriageReturn "carriage-return";
    EmptyShebang "empty-shebang";
    LongShebang "long-shebang";
    /// Several options in a first line, which the interpreter receives as one argument.
    ShebangOption "shebang-option";
    MissingInterpreter "missing-interpreter";
    /// More than five interpreters.
    TooManyInterpreters "too-many-interpreters";

    // binfmt_misc.
    MissingHandlerInterpreter "missing-handler-interpreter";
    MissingHandlerLoader "missing-handler-loader";
    TooManyHandlers "too-many-handlers";
    /// Whether a handler takes the file depends on bytes that were not kept.
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
    /// Depends on the size of the CPU's or kernel's address space, or on chance.
    AddressSpace "address-space";
    /// Mapped below the lowest address that every node allows.
    LowAddress "low-address";
    /// More memory at the start than every node has.
    Memory "memory";

    // Credentials.
    BadCapabilities "bad-capabilities";
    CapabilitiesNotGranted "capabilities-not-granted";
    /// Granted by some engines and not by others.
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
    /// musl's loader: no object that is loaded offers a symbol.
    MissingSymbol "missing-symbol";
    /// What the program loads depends on content that was not kept.
    LibraryUnknown "library-unknown";

    // The CPU and the node.
    CpuLevel "cpu-level";
    /// The code executes an instruction that the node's CPU does not have: SIGILL.
    CpuInstruction "cpu-instruction";
    CpuBaseline "cpu-baseline";
    /// The distribution's own baseline, on a node whose level is not known.
    DistributionLevel "distribution-level";
    /// Depends on a property of the node that is not known.
    NodeUnknown "node-unknown";

    // Programs that start programs.
    /// The file that a shell or interpreter is given.
    MissingScript "missing-script";
    /// A module that a script of Python imports at once.
    MissingModule "missing-module";
    /// The file that java is given is not a jar.
    BadScript "bad-script";
    /// A shell is given a program to read as a script.
    BinaryAsScript "binary-as-script";
    /// A wrapper or shell refuses an option that the call gives it.
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
    fn every_kind_has_a_kebab_case_code_of_its_own() {
        let codes: BTreeSet<&str> = CauseKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), CauseKind::ALL.len());
        assert!(
            codes.iter().all(|code| code
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit()))
        );
    }
}
