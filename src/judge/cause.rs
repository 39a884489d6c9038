//! Maps a cause from `exec` to its finding: code, hint, the file to name, and the severity as a doubt. One match lists
//! every kind, so a new kind does not compile until it has a row.

use crate::exec::{CauseKind, Outcome};
use crate::judge::code::{Code, Severity};

/// How a finding presents a cause.
struct CauseRow {
    /// `None`: the code only reports whether execve failed or the process died.
    code: Option<Code>,
    /// `None`: the hint of the code applies.
    hint: Option<&'static str>,
    blame: BlamedFile,
    /// Code and severity of a doubt about a start that is judged to work. `None`: other findings report it.
    doubt: Option<(Code, Severity)>,
}

/// Which file a finding on a failed start names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlamedFile {
    /// The file at which the start failed.
    Failed,
    /// The file that names the missing or unusable file: a script naming its interpreter, a program naming its loader.
    Naming,
    /// No file: a user or a setting is at fault, even if a file has that name.
    Nothing,
}

/// A row that uses the hint of its code.
const fn row(code: Code) -> CauseRow {
    CauseRow { code: Some(code), ..plain() }
}

/// A row without a code.
const fn plain() -> CauseRow {
    CauseRow { code: None, hint: None, blame: BlamedFile::Failed, doubt: Some((Code::ScriptLineFails, Severity::Note)) }
}

const fn row_of(kind: CauseKind) -> CauseRow {
    use CauseKind::*;
    match kind {
        // The rules on files report a foreign program that a script calls.
        ForeignArchitecture => CauseRow { doubt: None, ..row(Code::EntrypointWrongArch) },
        NoAarch32 | NoIa32 | NoX32 | NoCompat => row(Code::EntrypointWrongArch),

        MissingFile
        | MissingProgram
        | NotInPath
        | RelativeInPath
        | NotADirectory
        | SymlinkLoop
        | NameTooLong
        | MissingHandlerInterpreter
        | MissingScript
        | BadScript
        | NoCommand => row(Code::EntrypointNotFound),
        MissingModule => CauseRow {
            hint: Some(
                "install the package with the Python that runs the script, in the final stage, or copy it and the \
                 script from a stage with the same version of Python",
            ),
            doubt: Some((Code::EntrypointNotFound, Severity::Warning)),
            ..row(Code::EntrypointNotFound)
        },
        BadWorkingDir => CauseRow {
            hint: Some("set WORKDIR to a directory that is in the image or that the runtime can create"),
            ..row(Code::EntrypointNotFound)
        },
        MissingDirectory => CauseRow {
            hint: Some(
                "create the directory in the image (RUN mkdir -p DIRECTORY), or declare it with VOLUME if it is mounted",
            ),
            blame: BlamedFile::Nothing,
            ..plain()
        },
        BadConfiguration => CauseRow {
            hint: Some("fix that setting, and start the container once in the tests of the build"),
            blame: BlamedFile::Nothing,
            ..plain()
        },
        RefusedArchitecture => CauseRow {
            hint: Some("let the script support this architecture, or publish no image for this platform"),
            ..plain()
        },
        MountedOver => CauseRow {
            hint: Some("copy it to a directory that engines do not mount over: /usr/local/bin"),
            ..row(Code::EntrypointNotFound)
        },

        NotExecutable | IsDirectory | NotAFile | NotSearchable => row(Code::EntrypointNotExecutable),
        NeedsOverride => CauseRow {
            doubt: Some((Code::EntrypointNotExecutable, Severity::Warning)),
            ..row(Code::EntrypointNotExecutable)
        },

        NotAProgram | NotElf | CorruptElf | RefusedHeader | Truncated | ForeignFormat | LibraryAsProgram => {
            row(Code::EntrypointNotAProgram)
        }
        EmptyFile => CauseRow {
            hint: Some("find the build step that left it empty: a failed download, or a redirection without output"),
            ..row(Code::EntrypointNotAProgram)
        },
        ErrorPage => CauseRow {
            hint: Some("fix the URL of its download, and let a failed download fail the build: curl --fail"),
            ..row(Code::EntrypointNotAProgram)
        },
        LfsPointer => CauseRow {
            hint: Some("fetch the file's content before the build: git lfs pull"),
            ..row(Code::EntrypointNotAProgram)
        },
        NoShebang => CauseRow {
            hint: Some("start the script with a first line that names its interpreter: #!/bin/sh"),
            ..row(Code::EntrypointNotAProgram)
        },
        ScriptBlank => CauseRow {
            hint: Some("delete the blanks and lines before `#!`: it must be the file's first two bytes"),
            ..row(Code::EntrypointNotAProgram)
        },
        ScriptBom => CauseRow {
            hint: Some("save the script as UTF-8 without a byte order mark: `#!` must be its first two bytes"),
            ..row(Code::EntrypointNotAProgram)
        },

        MissingInterpreter | TooManyInterpreters | EmptyShebang | LongShebang => {
            CauseRow { blame: BlamedFile::Naming, ..row(Code::EntrypointBadScript) }
        }
        ScriptCrlf => CauseRow {
            hint: Some("convert its line endings (dos2unix), and keep them: *.sh text eol=lf in .gitattributes"),
            blame: BlamedFile::Naming,
            ..row(Code::EntrypointBadScript)
        },
        CarriageReturn => CauseRow {
            hint: Some("convert its line endings (dos2unix), and keep them: *.sh text eol=lf in .gitattributes"),
            ..row(Code::EntrypointBadScript)
        },
        ShebangOption => CauseRow {
            hint: Some(
                "set options in the script itself (set -eu), or use an interpreter that accepts the argument as \
                 written: env -S works with GNU env, not with BusyBox",
            ),
            ..row(Code::EntrypointBadScript)
        },
        ShellDialect => CauseRow {
            hint: Some(
                "run the script with bash (`#!/bin/bash`, and install it), or write it in the language of POSIX",
            ),
            ..row(Code::EntrypointBadScript)
        },
        BinaryAsScript => CauseRow {
            hint: Some("start the program directly, not as an argument of a shell"),
            ..row(Code::EntrypointBadScript)
        },

        MissingLoader => CauseRow { blame: BlamedFile::Naming, ..row(Code::EntrypointNoLoader) },
        BadLoader | ForeignLoader | TruncatedLoader | BadLoaderPath => row(Code::EntrypointBadLoader),
        MissingLibrary | ForeignLibrary | SymbolVersion => row(Code::EntrypointMissingLibrary),
        BrokenLibrary => CauseRow {
            hint: Some(
                "put the library itself at that path: a failed download, a Git LFS pointer, a linker script or a \
                 truncated copy may have taken its place",
            ),
            ..row(Code::EntrypointMissingLibrary)
        },
        MissingSymbol => CauseRow {
            hint: Some(
                "use a build for musl, or packages from this image's own distribution release: a program for glibc \
                 does not run on musl's loader",
            ),
            ..row(Code::EntrypointMissingLibrary)
        },
        LibraryUnknown => CauseRow {
            hint: Some(
                "set the libraries' directory in ENV LD_LIBRARY_PATH, which every loader searches before its defaults",
            ),
            ..plain()
        },

        BadCapabilities | CapabilitiesNotGranted => row(Code::EntrypointCapabilities),
        CapabilitiesNeeded => CauseRow {
            doubt: Some((Code::EntrypointCapabilities, Severity::Note)),
            ..row(Code::EntrypointCapabilities)
        },

        CpuLevel | CpuBaseline | CpuInstruction => {
            CauseRow { doubt: Some((Code::EntrypointCpuDoubt, Severity::Warning)), ..row(Code::EntrypointCpuLevel) }
        }
        CodeUnsearched => CauseRow {
            hint: Some(
                "run the program once on the oldest CPU that it must support, or on QEMU's model of it: \
                 qemu-x86_64 -cpu Nehalem PROGRAM",
            ),
            ..plain()
        },
        // The user chose the distribution and its CPUs; a node that is known to be older has its own cause.
        DistributionLevel => {
            CauseRow { doubt: Some((Code::EntrypointCpuDoubt, Severity::Note)), ..row(Code::EntrypointCpuLevel) }
        }
        // As a doubt: the node's page size was not stated. That is worth knowing, but not a reason to fail.
        PageSize => CauseRow { doubt: Some((Code::EntrypointCpuDoubt, Severity::Note)), ..plain() },

        UnknownUser => CauseRow {
            hint: Some(
                "create the user and group in the image (RUN adduser, RUN addgroup), or use numeric IDs: \
                 USER 1000:1000",
            ),
            blame: BlamedFile::Nothing,
            ..plain()
        },
        RootRefused => CauseRow {
            hint: Some("end the Dockerfile with a numeric user: USER 1000:1000, or set `runAsUser: 1000` in the pod"),
            blame: BlamedFile::Nothing,
            ..plain()
        },
        RelativeWorkingDir => {
            CauseRow { hint: Some("write WORKDIR with a leading slash"), blame: BlamedFile::Nothing, ..plain() }
        }
        EmptyEntrypoint => CauseRow { hint: Some("remove the empty word from ENTRYPOINT"), ..plain() },
        NotRead => CauseRow {
            hint: Some("also read the file systems that are mounted below the root: --cross-file-systems"),
            blame: BlamedFile::Nothing,
            ..plain()
        },
        BadOption => CauseRow { hint: Some("pass each option as a separate word"), ..plain() },

        UserUnknown | MissingHandlerLoader | TooManyHandlers | HandlerUnknown | BadPropertyNote | NoLoadSegment
        | BadSegments | BadEntry | AddressSpace | LowAddress | Memory | NodeUnknown => plain(),
    }
}

/// The code of the finding for `outcome`. `None`: the program runs.
pub fn code(outcome: &Outcome) -> Option<Code> {
    match outcome {
        Outcome::Runs | Outcome::Emulated { .. } => None,
        Outcome::Unknown { .. } => Some(Code::EntrypointUnknown),
        Outcome::Fails { cause, .. } => Some(row_of(cause.kind).code.unwrap_or(Code::EntrypointFails)),
        Outcome::Dies { cause, .. } => Some(row_of(cause.kind).code.unwrap_or(Code::EntrypointDies)),
    }
}

/// The hint for a cause. `None`: use the hint of the finding's code.
pub(super) fn hint(kind: CauseKind) -> Option<&'static str> {
    row_of(kind).hint
}

pub(super) fn blame(kind: CauseKind) -> BlamedFile {
    row_of(kind).blame
}

/// Code and severity of a doubt about a start that is judged to work. `None`: other findings report it.
pub(super) fn doubt(kind: CauseKind) -> Option<(Code, Severity)> {
    row_of(kind).doubt
}
