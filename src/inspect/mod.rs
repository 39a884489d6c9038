//! Determines the kind of a file from a bounded part of its bytes, in one forward pass. Inspection is total: no input
//! makes it fail or panic.

mod ar;
pub(crate) mod beam;
pub mod code;
mod dynamic;
mod elf;
#[cfg(test)]
#[path = "../../tests/it/kit/elf/mod.rs"]
pub(crate) mod elf_builder;
mod fallback;
mod foreign;
mod frozen;
mod go;
mod interface;
mod kind;
mod launcher;
mod listed;
mod memory;
mod mentions;
mod named;
mod node_module;
mod notes;
mod optional;
mod script;
mod servers;
mod symbols;
mod text;
mod window;
mod zip;
pub mod zip_member;

use std::cell::Cell;
use std::io::BufRead;

pub use kind::*;
pub use launcher::is_only_followed;
pub use mentions::{mentions, names};
pub use named::is_config_path;
pub use script::is_shell;
use window::{Window, WindowBuffers};
#[cfg(test)]
pub(crate) use zip::tests::deflated;

thread_local! {
    /// Taken while a file is inspected, so that a reader that calls `inspect` itself gets an empty store and not a
    /// borrow error.
    static STORE: Cell<Option<Box<WindowBuffers>>> = const { Cell::new(None) };
}

/// Enough bytes to recognise text and every magic number, of which tar's is the last, at 257. For most files no more is
/// copied.
const SNIFF_BYTES: usize = 512;

/// Whether the first byte rules out every format that is inspected and every near miss of a shebang.
fn starts_plainly(head: &[u8]) -> bool {
    matches!(head, [b'"' | b'$'..=b'@' | b'C'..=b'L' | b'N' | b'O' | b'Q'..=b'~', ..])
}

/// Determines the kind of the file at `path`, which is relative to the root and has no leading slash. `size` is the
/// size in bytes according to the archive. `reader` returns the content and is read only as far as necessary. A read
/// error results in [`FileKind::Data`]: the owner of the reader gets the same error when it continues and reports it.
pub fn inspect(path: &[u8], size: u64, is_executable: bool, reader: &mut dyn BufRead) -> FileKind {
    inspect_with(elf::inspect, HEAD_BYTES, path, size, is_executable, reader)
}

/// Like [`inspect`], but reads nothing after the first `head` bytes of most ELF files: their dynamic sections remain
/// unknown. `reader` may fail after that.
pub fn inspect_start(head: usize, path: &[u8], size: u64, is_executable: bool, reader: &mut dyn BufRead) -> FileKind {
    inspect_with(elf::inspect_start, head, path, size, is_executable, reader)
}

/// Whether the text at `path` is read because of its name, whatever its first bytes are.
pub fn is_read_by_name(path: &[u8], is_executable: bool) -> bool {
    named::is_npm_path(path)
        || named::is_project_path(path)
        || named::is_wheel_path(path)
        || named::is_config_path(path)
        || named::is_followed_path(path, is_executable)
        || mentions::is_mention_path(path)
}

fn inspect_with(
    inspect_elf: fn(&[u8], &mut Window<'_>) -> Elf,
    elf_head: usize,
    path: &[u8],
    size: u64,
    is_executable: bool,
    reader: &mut dyn BufRead,
) -> FileKind {
    if size == 0 {
        return FileKind::Empty;
    }
    let mut store = STORE.take().unwrap_or_default();
    let mut window = Window::open(reader, size, &mut store, SNIFF_BYTES);
    if !starts_plainly(window.head()) {
        let is_elf = window.head().starts_with(b"\x7fELF");
        window.extend_head(if is_elf { elf_head } else { HEAD_BYTES });
    }
    let kind = classify(inspect_elf, path, is_executable, &mut window);
    let kind = match (window.has_failed(), window.size()) {
        (true, _) => FileKind::Data,
        (false, 0) => FileKind::Empty,
        (false, _) => kind,
    };
    store.shrink();
    STORE.set(Some(store));
    kind
}

/// How thoroughly a file is inspected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Depth {
    /// Headers, tables and text.
    #[default]
    Headers,
    /// Also the code of programs and libraries, for the CPU features that it needs.
    Code,
}

/// Like [`inspect`]. At [`Depth::Code`] the code of programs and libraries is searched too, which reads the whole file.
/// GCC's compilers are not searched: they are large, and no image starts them directly.
pub fn inspect_to(depth: Depth, path: &[u8], size: u64, is_executable: bool, reader: &mut dyn BufRead) -> FileKind {
    match depth {
        Depth::Headers => inspect(path, size, is_executable, reader),
        Depth::Code if named::is_gcc_compiler(path) => {
            let mut kind = inspect(path, size, is_executable, reader);
            if let FileKind::Elf(elf) = &mut kind {
                elf.code = Some(Box::new(code::CodeNeeds { is_partial: true, ..code::CodeNeeds::default() }));
            }
            kind
        }
        Depth::Code => {
            let mut kept = code::KeptCode::new(reader);
            let mut kind = inspect(path, size, is_executable, &mut kept);
            if let FileKind::Elf(elf) = &mut kind {
                elf.code = kept.needs().map(Box::new);
            }
            kind
        }
    }
}

fn classify(
    inspect_elf: fn(&[u8], &mut Window<'_>) -> Elf,
    path: &[u8],
    is_executable: bool,
    window: &mut Window<'_>,
) -> FileKind {
    let head = window.head();
    match head {
        [0x7f, b'E', b'L', b'F', ..] => {
            let mut elf = Box::new(inspect_elf(path, window));
            elf.frozen = frozen::read(&elf, window);
            FileKind::Elf(elf)
        }
        [b'#', b'!', ..] => {
            FileKind::Script(Box::new(script::inspect(is_executable || named::is_commands_path(path), window)))
        }
        [0xca | 0xfe | 0xce | 0xcf, 0xfe | 0xed | 0xfa, ..] => foreign::mach_or_java(head).unwrap_or(FileKind::Data),
        [b'M', b'Z', ..] => match foreign::pe(window) {
            Some(pe) => FileKind::Pe(Box::new(pe)),
            None => text::inspect(window.head(), window.size(), is_executable),
        },
        [0, b'a', b's', b'm', ..] => FileKind::Wasm,
        [b'B', b'C', 0xc0, 0xde, ..] | [0xde, 0xc0, 0x17, 0x0b, ..] => FileKind::LlvmBitcode,
        [0x1f, 0x8b, 8, ..] => FileKind::Packed(PackedFormat::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => FileKind::Packed(PackedFormat::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => FileKind::Packed(PackedFormat::Xz),
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', ..] => FileKind::Packed(PackedFormat::Bzip2),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => match zip::is_worth_reading(path, is_executable) {
            true => FileKind::Zip(Box::new(zip::inspect(window))),
            false => FileKind::Packed(PackedFormat::Zip),
        },
        [b'!', b'<', b'a' | b't', ..] if head.starts_with(b"!<arch>\n") || head.starts_with(b"!<thin>\n") => {
            FileKind::Ar(Box::new(ar::inspect(window)))
        }
        [b'F', b'O', b'R', b'1', ..] if path.ends_with(b".beam") => {
            beam::highest_instruction(window).map_or(FileKind::Data, FileKind::Beam)
        }
        _ if head.get(257..262) == Some(b"ustar") => FileKind::Packed(PackedFormat::Tar),
        _ => by_name(path, window).unwrap_or_else(|| text(path, is_executable, window)),
    }
}

/// Handles text. Text that a service manager or a shell reads is kept. Of other configuration text only the mentions
/// are kept. Executable text may be meant to be run, so its kind is returned instead.
fn text(path: &[u8], is_executable: bool, window: &mut Window<'_>) -> FileKind {
    let kind = text::inspect(window.head(), window.size(), is_executable);
    if kind != FileKind::Text(TextStart::Plain) {
        return kind;
    }
    let is_followed = named::is_followed_path(path, is_executable)
        || named::is_services_text(path, window.head())
        || is_executable && launcher::is_own_program(path)
        || launcher::is_shell_text(path, window.head());
    if is_followed {
        return FileKind::Config(Box::new(read(window, SCRIPT_BYTES as u64).into()));
    }
    if launcher::may_be_launcher(path, window.size()) {
        let text = read(window, launcher::LAUNCHER_BYTES);
        if launcher::is_launcher(path, &text) {
            return FileKind::Config(Box::new(text.into()));
        }
    }
    if optional::is_package_path(path) {
        // Packages have many such files, so their text is not copied again.
        window.want(0, optional::BYTES);
        window.pass_wanted();
        let found = optional::imports(path, window.head());
        return if found.is_empty() { kind } else { FileKind::OptionalImports(Box::new(found)) };
    }
    if fallback::is_package_path(path, window.size()) {
        window.want(0, fallback::BYTES);
        window.pass_wanted();
        let package = fallback::package(path, window.head());
        return package.map_or(kind, |package| FileKind::OptionalImports(Box::new(vec![package])));
    }
    let is_listed = !is_executable && listed::is_listed(path, window.size());
    let whole = |window: &mut Window<'_>| FileKind::Config(Box::new(read(window, listed::LISTED_BYTES).into()));
    if is_executable || !mentions::is_mention_path(path) {
        return if is_listed { whole(window) } else { kind };
    }
    let found = mentions::mentions(path, &read(window, mentions::MENTION_BYTES));
    match found.is_empty() {
        true if is_listed => whole(window),
        true => kind,
        false => FileKind::Mentions(Box::new(found)),
    }
}

/// Reads the first bytes of the file, at most `limit`.
fn read(window: &mut Window<'_>, limit: u64) -> Vec<u8> {
    window.want(0, limit);
    window.pass_wanted();
    let text = window.head();
    text[..text.len().min(limit as usize)].to_vec()
}

/// Handles text whose meaning depends on its path.
fn by_name(path: &[u8], window: &mut Window<'_>) -> Option<FileKind> {
    match path.last()? {
        b'n' if named::is_npm_path(path) => {
            let package = named::npm_package(&read(window, named::PACKAGE_JSON_BYTES))?;
            Some(FileKind::NpmPackage(Box::new(package)))
        }
        b'n' if named::is_project_path(path) => {
            let package = named::npm_project(&read(window, named::PACKAGE_JSON_BYTES))?;
            Some(FileKind::NpmPackage(Box::new(package)))
        }
        b'L' if named::is_wheel_path(path) => {
            Some(FileKind::Wheel(Box::new(named::wheel_tags(&read(window, named::WHEEL_BYTES)))))
        }
        _ if path.first() == Some(&b'e') || path.first() == Some(&b'u') => {
            named::is_config_path(path).then(|| FileKind::Config(Box::new(read(window, CONFIG_BYTES as u64).into())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
