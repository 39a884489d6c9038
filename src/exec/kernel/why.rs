//! The texts of causes: why a file could not be opened, is not a program for this node, or is not a program at all.

use crate::exec::kernel::access::OpenRefusal;
use crate::exec::kernel::elf::AcceptedProgram;
use crate::exec::log::Link;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Errno, Outcome};
use crate::inspect::{FileKind, TextStart};
use crate::platform::Node;
use crate::platform::compat::KernelCompat;

pub(crate) fn refused(refusal: OpenRefusal, path: &[u8], link: &Link) -> Outcome {
    let OpenRefusal { errno, cause } = refusal;
    let Some(errno) = errno else { return Outcome::Unknown { at: lossy(path), cause } };
    let text = match link {
        Link::Shebang if path.ends_with(b"\r") => {
            format!("its first line ends in CR LF, so the kernel looks for {:?}", lossy(path))
        }
        Link::Handler(name) => format!("the handler {name} needs {} in the image, but {}", lossy(path), cause.text),
        _ => cause.text,
    };
    let kind = match (link, cause.kind) {
        (Link::Shebang, CauseKind::MissingFile) if path.ends_with(b"\r") => CauseKind::ScriptCrlf,
        (Link::Shebang | Link::Loader, CauseKind::MissingFile) => CauseKind::MissingInterpreter,
        (Link::Handler(_), CauseKind::MissingFile) => CauseKind::MissingHandlerInterpreter,
        (Link::Call | Link::Command(_), CauseKind::MissingFile) => CauseKind::MissingProgram,
        (_, kind) => kind,
    };
    Outcome::fails(errno, path, Cause { kind, text })
}

pub(crate) fn missing_loader(outcome: Outcome, path: &[u8], program: &AcceptedProgram) -> Outcome {
    match outcome {
        Outcome::Fails { errno: Errno::ENOENT, at, .. } => {
            let row = program.abi.arch.row();
            let family = if lossy(path).contains("ld-musl") { "musl" } else { "glibc" };
            let text =
                format!("its loader {} is not in the image; it was built for {family} on {}", lossy(path), row.name);
            Outcome::Fails { errno: Errno::ENOENT, at, cause: Cause { kind: CauseKind::MissingLoader, text } }
        }
        other => other,
    }
}

/// "it is ELF AArch64, static; this node runs x86-64 and i386 programs".
pub(crate) fn with_node(cause: Cause, kernel: &KernelCompat, node: &Node) -> Cause {
    if cause.kind != CauseKind::ForeignArchitecture {
        return cause;
    }
    let mut runs = vec![kernel.arch.name()];
    let met = kernel.compat.iter().filter(|abi| abi.needs.met(node).known() == Some(true));
    runs.extend(met.map(|abi| abi.arch.name()));
    Cause { text: format!("{}; this node runs {} programs", cause.text, runs.join(" and ")), ..cause }
}

/// Explains why a file that no binary format accepts is not a program.
pub(crate) fn not_a_program(kind: Option<&FileKind>) -> Cause {
    let (cause, text) = match kind {
        Some(FileKind::Empty) => (CauseKind::EmptyFile, "the file is empty".to_string()),
        Some(FileKind::Text(TextStart::BomShebang)) => {
            (CauseKind::ScriptBom, "a byte order mark precedes its #!".to_string())
        }
        Some(FileKind::Text(TextStart::BlankShebang)) => {
            (CauseKind::ScriptBlank, "blanks or empty lines precede its #!".to_string())
        }
        Some(FileKind::Text(TextStart::ErrorPage(line))) => {
            (CauseKind::ErrorPage, format!("it is an error page: {line}"))
        }
        Some(FileKind::Text(TextStart::Source(language))) => {
            (CauseKind::NoShebang, format!("{language} source code, not a compiled program"))
        }
        Some(
            FileKind::Text(TextStart::Plain)
            | FileKind::Config(_)
            | FileKind::Mentions(_)
            | FileKind::OptionalImports(_),
        ) => (
            CauseKind::NoShebang,
            "a text file without a #! line; unlike a shell, the kernel does not run it".to_string(),
        ),
        Some(FileKind::LfsPointer) => {
            (CauseKind::LfsPointer, "a Git LFS pointer instead of the file's content".to_string())
        }
        Some(FileKind::Html) => (CauseKind::ErrorPage, "it is an HTML page".to_string()),
        Some(FileKind::MachO(_)) => (CauseKind::ForeignFormat, "a macOS program (Mach-O)".to_string()),
        Some(FileKind::Pe(_)) => (CauseKind::ForeignFormat, "a Windows program (PE)".to_string()),
        Some(FileKind::Wasm) => (CauseKind::ForeignFormat, "a WebAssembly module".to_string()),
        other => (CauseKind::NotAProgram, format!("it is {}, neither a program nor a script", describe(other))),
    };
    Cause { kind: cause, text }
}

/// Describes a file in a few words: "ELF x86-64, static", "script for /bin/sh".
pub(crate) fn describe(kind: Option<&FileKind>) -> String {
    match kind {
        Some(FileKind::Elf(elf)) => elf.describe(),
        Some(FileKind::Script(script)) => match &script.shebang {
            Ok(shebang) => format!("script for {}", lossy(&shebang.interpreter)),
            Err(_) => "script without an interpreter".to_string(),
        },
        Some(FileKind::Empty) => "an empty file".to_string(),
        Some(FileKind::MachO(_)) => "Mach-O".to_string(),
        Some(FileKind::Pe(_)) => "PE".to_string(),
        Some(FileKind::Wasm) => "WebAssembly".to_string(),
        Some(FileKind::JavaClass) => "a Java class".to_string(),
        Some(FileKind::Ar(_)) => "an ar archive".to_string(),
        Some(FileKind::Zip(_)) => "a zip archive".to_string(),
        Some(FileKind::Packed(packing)) => format!("a {} file", format!("{packing:?}").to_lowercase()),
        Some(FileKind::LlvmBitcode) => "LLVM bitcode".to_string(),
        Some(FileKind::LfsPointer) => "a Git LFS pointer".to_string(),
        Some(FileKind::Html) => "an HTML page".to_string(),
        Some(
            FileKind::Text(_)
            | FileKind::Config(_)
            | FileKind::Mentions(_)
            | FileKind::Wheel(_)
            | FileKind::NpmPackage(_)
            | FileKind::OptionalImports(_),
        ) => "text".to_string(),
        Some(FileKind::Beam(_)) => "a module of Erlang".to_string(),
        Some(FileKind::Data) | None => "data".to_string(),
    }
}
