//! Floor 3: what a file is, from a bounded part of its bytes as they pass. Total: no bytes make it fail or panic.

mod ar;
pub mod code;
mod dynamic;
mod elf;
#[cfg(test)]
#[path = "../../tests/it/kit/elf/mod.rs"]
pub(crate) mod elf_builder;
mod foreign;
mod go;
mod kind;
mod memory;
mod mentions;
mod named;
mod notes;
mod script;
mod symbols;
mod text;
mod window;
mod zip;
pub mod zip_member;

use std::cell::Cell;
use std::io::Read;

pub use kind::*;
pub use mentions::{mentions, names};
pub use named::is_config_path;
use window::{Store, Window};
#[cfg(test)]
pub(crate) use zip::tests::deflated;

thread_local! {
    /// Taken while a file is read, so that a reader that inspects by itself finds an empty one and no borrow.
    static STORE: Cell<Option<Box<Store>>> = const { Cell::new(None) };
}

/// Bytes that tell a text and every magic number, of which tar's is the last, at 257. Of most files no more is copied.
const TELLING_BYTES: usize = 512;

/// Whether a file starts with a byte that no format has which is looked into, and no near miss of a shebang.
fn starts_plainly(head: &[u8]) -> bool {
    matches!(head, [b'"' | b'$'..=b'@' | b'C'..=b'L' | b'N' | b'O' | b'Q'..=b'~', ..])
}

/// Tells what the file at `path` is. `path` is below the root, without a leading slash; `size` is what the archive says
/// (bytes); `reader` gives the content and is read only as far as needed. An error of `reader` ends in
/// [`FileKind::Data`]: its owner meets the same error when it goes on, and reports it.
pub fn inspect(path: &[u8], size: u64, is_executable: bool, reader: &mut dyn Read) -> FileKind {
    if size == 0 {
        return FileKind::Empty;
    }
    let mut store = STORE.take().unwrap_or_default();
    let mut window = Window::open(reader, size, &mut store, TELLING_BYTES);
    if !starts_plainly(window.head()) {
        window.extend_head(HEAD_BYTES);
    }
    let kind = classify(path, is_executable, &mut window);
    let kind = match (window.has_failed(), window.size()) {
        (true, _) => FileKind::Data,
        (false, 0) => FileKind::Empty,
        (false, _) => kind,
    };
    store.shrink();
    STORE.set(Some(store));
    kind
}

/// How deep a file is looked into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Depth {
    /// Headers, tables and texts.
    #[default]
    Headers,
    /// The code of programs and libraries, too: which CPU features it needs.
    Code,
}

/// Like [`inspect`]; at [`Depth::Code`] a program's or library's code is searched as well, which reads it whole.
pub fn inspect_to(depth: Depth, path: &[u8], size: u64, is_executable: bool, reader: &mut dyn Read) -> FileKind {
    match depth {
        Depth::Headers => inspect(path, size, is_executable, reader),
        Depth::Code => {
            let mut kept = code::Kept::new(reader);
            let mut kind = inspect(path, size, is_executable, &mut kept);
            if let FileKind::Elf(elf) = &mut kind {
                elf.code = kept.needs().map(Box::new);
            }
            kind
        }
    }
}

fn classify(path: &[u8], is_executable: bool, window: &mut Window<'_>) -> FileKind {
    let head = window.head();
    match head {
        [0x7f, b'E', b'L', b'F', ..] => FileKind::Elf(Box::new(elf::inspect(path, window))),
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
        [0x1f, 0x8b, 8, ..] => FileKind::Packed(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => FileKind::Packed(Packing::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => FileKind::Packed(Packing::Xz),
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', ..] => FileKind::Packed(Packing::Bzip2),
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => match zip::is_worth_reading(path, is_executable) {
            true => FileKind::Zip(Box::new(zip::inspect(window))),
            false => FileKind::Packed(Packing::Zip),
        },
        [b'!', b'<', b'a' | b't', ..] if head.starts_with(b"!<arch>\n") || head.starts_with(b"!<thin>\n") => {
            FileKind::Ar(Box::new(ar::inspect(window)))
        }
        _ if head.get(257..262) == Some(b"ustar") => FileKind::Packed(Packing::Tar),
        _ => by_name(path, window).unwrap_or_else(|| text(path, is_executable, window)),
    }
}

/// A text: one that a service manager or a shell reads is kept, of another configuration text what it names. An executable
/// one may be meant to be run, which counts for more.
fn text(path: &[u8], is_executable: bool, window: &mut Window<'_>) -> FileKind {
    let kind = text::inspect(window.head(), window.size(), is_executable);
    if kind != FileKind::Text(TextStart::Plain) {
        return kind;
    }
    if named::is_followed_path(path, is_executable) {
        return FileKind::Config(Box::new(read(window, SCRIPT_BYTES as u64).into()));
    }
    if is_executable || !mentions::is_mention_path(path) {
        return kind;
    }
    let found = mentions::mentions(path, &read(window, mentions::MENTION_BYTES));
    if found.is_empty() { kind } else { FileKind::Mentions(Box::new(found)) }
}

/// A file's first bytes, at most `limit`.
fn read(window: &mut Window<'_>, limit: u64) -> Vec<u8> {
    window.want(0, limit);
    window.pass_wanted();
    let text = window.head();
    text[..text.len().min(limit as usize)].to_vec()
}

/// Texts that count for where they are.
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
