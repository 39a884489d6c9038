//! The finding that a cause of `exec` becomes: code, hint, the file to name, and the weight of the cause as a doubt. One
//! match lists every kind, so a new kind does not compile before it has its row.

use crate::exec::{CauseKind, Outcome};
use crate::judge::code::{Code, Severity};

/// What findings say of a cause.
struct Row {
    /// `None`: the code says whether execve failed or the process died, and nothing more.
    code: Option<Code>,
    /// `None`: the code's own cure.
    hint: Option<&'static str>,
    blame: Blame,
    /// Code and severity of what speaks against a start that is judged to work. `None`: other findings report it.
    doubt: Option<(Code, Severity)>,
}

/// Which file a finding on a failed start names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The file at which it failed.
    Failed,
    /// The file that names the one which is absent or unfit: a script its interpreter, a program its loader.
    Naming,
    /// None: a user or a setting is at fault, though a file may have that name.
    Nothing,
}

/// A row whose hint is the cure of its code.
const fn row(code: Code) -> Row {
    Row { code: Some(code), ..plain() }
}

/// A row without a code.
const fn plain() -> Row {
    Row { code: None, hint: None, blame: Blame::Failed, doubt: Some((Code::ScriptLineFails, Severity::Note)) }
}

const fn row_of(kind: CauseKind) -> Row {
    use CauseKind::*;
    match kind {
        // A foreign program that a script calls is found with the files.
        ForeignArchitecture => Row { doubt: None, ..row(Code::EntrypointWrongArch) },
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
        MissingModule => Row {
            hint: Some(
                "install the package with the Python that runs the script, in the final stage, or copy it and the \
                 script from a stage with the same version of Python",
            ),
            doubt: Some((Code::EntrypointNotFound, Severity::Warning)),
            ..row(Code::EntrypointNotFound)
        },
        BadWorkingDir => Row {
            hint: Some("make WORKDIR a directory of the image, or one that can be made"),
            ..row(Code::EntrypointNotFound)
        },
        MountedOver => Row {
            hint: Some("copy it to a directory that engines do not mount over: /usr/local/bin"),
            ..row(Code::EntrypointNotFound)
        },

        NotExecutable | IsDirectory | NotAFile | NotSearchable => row(Code::EntrypointNotExecutable),
        NeedsOverride => Row {
            doubt: Some((Code::EntrypointNotExecutable, Severity::Warning)),
            ..row(Code::EntrypointNotExecutable)
        },

        NotAProgram | NotElf | CorruptElf | RefusedHeader | Truncated | EmptyFile | ErrorPage | ForeignFormat
        | LfsPointer | NoShebang | ScriptBlank | ScriptBom | LibraryAsProgram => row(Code::EntrypointNotAProgram),

        MissingInterpreter | TooManyInterpreters | EmptyShebang | LongShebang => {
            Row { blame: Blame::Naming, ..row(Code::EntrypointBadScript) }
        }
        ScriptCrlf => Row {
            hint: Some("convert its line ends (dos2unix), and keep them: *.sh text eol=lf in .gitattributes"),
            blame: Blame::Naming,
            ..row(Code::EntrypointBadScript)
        },
        CarriageReturn => Row {
            hint: Some("convert its line ends (dos2unix), and keep them: *.sh text eol=lf in .gitattributes"),
            ..row(Code::EntrypointBadScript)
        },
        ShebangOption => Row {
            hint: Some(
                "set options in the script itself (set -eu), or name one interpreter that takes the argument as it \
                 stands: env -S is GNU's, not BusyBox's",
            ),
            ..row(Code::EntrypointBadScript)
        },
        BinaryAsScript => Row {
            hint: Some("start the program by itself, with no shell's name before it"),
            ..row(Code::EntrypointBadScript)
        },

        MissingLoader => Row { blame: Blame::Naming, ..row(Code::EntrypointNoLoader) },
        BadLoader | ForeignLoader | TruncatedLoader | BadLoaderPath => row(Code::EntrypointBadLoader),
        MissingLibrary | ForeignLibrary | BrokenLibrary | SymbolVersion => row(Code::EntrypointMissingLibrary),
        MissingSymbol => Row {
            hint: Some(
                "take the build for musl, or packages of this image's own release: a program for glibc does not run on \
                 musl's loader",
            ),
            ..row(Code::EntrypointMissingLibrary)
        },
        LibraryUnknown => Row {
            hint: Some(
                "name the libraries' directory by ENV LD_LIBRARY_PATH, which every loader searches before its own",
            ),
            ..plain()
        },

        BadCapabilities | CapabilitiesNotGranted => row(Code::EntrypointCapabilities),
        CapabilitiesNeeded => {
            Row { doubt: Some((Code::EntrypointCapabilities, Severity::Note)), ..row(Code::EntrypointCapabilities) }
        }

        CpuLevel | CpuBaseline | CpuInstruction => {
            Row { doubt: Some((Code::EntrypointCpuDoubt, Severity::Warning)), ..row(Code::EntrypointCpuLevel) }
        }
        // Whoever chose the distribution chose its CPUs; a node that is known to be older has a kind of its own.
        DistributionLevel => {
            Row { doubt: Some((Code::EntrypointCpuDoubt, Severity::Note)), ..row(Code::EntrypointCpuLevel) }
        }
        // As a doubt: the node's page size was not stated, which is worth knowing and no reason to stop.
        PageSize => Row { doubt: Some((Code::EntrypointCpuDoubt, Severity::Note)), ..plain() },

        UnknownUser => Row {
            hint: Some(
                "make the user and group in the image (RUN adduser, RUN addgroup), or give numbers: USER 1000:1000",
            ),
            blame: Blame::Nothing,
            ..plain()
        },
        RootRefused => Row {
            hint: Some("end the Dockerfile with a number: USER 1000:1000, or set `runAsUser: 1000` in the pod"),
            blame: Blame::Nothing,
            ..plain()
        },
        RelativeWorkingDir => {
            Row { hint: Some("write WORKDIR with a leading slash"), blame: Blame::Nothing, ..plain() }
        }
        EmptyEntrypoint => Row { hint: Some("take the empty word out of ENTRYPOINT"), ..plain() },
        NotRead => Row {
            hint: Some("read other file systems that are mounted below the root too: --cross-file-systems"),
            blame: Blame::Nothing,
            ..plain()
        },
        BadOption => Row { hint: Some("give each option as a word of its own"), ..plain() },

        UserUnknown | MissingHandlerLoader | TooManyHandlers | HandlerUnknown | BadPropertyNote | NoLoadSegment
        | BadSegments | BadEntry | AddressSpace | LowAddress | Memory | NodeUnknown => plain(),
    }
}

/// The code of the finding on a start that ends in `outcome`. `None`: the program runs.
pub fn code(outcome: &Outcome) -> Option<Code> {
    match outcome {
        Outcome::Runs | Outcome::Emulated { .. } => None,
        Outcome::Unknown { .. } => Some(Code::EntrypointUnknown),
        Outcome::Fails { cause, .. } => Some(row_of(cause.kind).code.unwrap_or(Code::EntrypointFails)),
        Outcome::Dies { cause, .. } => Some(row_of(cause.kind).code.unwrap_or(Code::EntrypointDies)),
    }
}

/// What to do about a cause. `None`: the cure of the finding's code says it.
pub(super) fn hint(kind: CauseKind) -> Option<&'static str> {
    row_of(kind).hint
}

pub(super) fn blame(kind: CauseKind) -> Blame {
    row_of(kind).blame
}

/// Code and severity of what speaks against a start that is judged to work. `None`: other findings report it.
pub(super) fn doubt(kind: CauseKind) -> Option<(Code, Severity)> {
    row_of(kind).doubt
}
