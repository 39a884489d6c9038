//! Finds the binfmt_misc handler that matches a file, as far as its first bytes are known. Handlers are tried in the
//! node's order, the newest first. Source: fs/binfmt_misc.c `search_binfmt_handler`.

use crate::inspect::{FileKind, PackedFormat};
use crate::platform::{Handler, HandlerRule, binfmt};

/// The known part of a file's first 256 bytes.
pub(crate) enum Head<'a> {
    /// All of them (zeros after a short file's end).
    Whole(&'a [u8]),
    /// These. The bytes after them are unknown.
    Start(&'static [u8]),
}

/// Returns the bytes that a file of this kind starts with.
pub(crate) fn head(kind: Option<&FileKind>) -> Head<'_> {
    match kind {
        Some(FileKind::Elf(elf)) => Head::Whole(elf.head.as_slice()),
        Some(FileKind::Script(script)) => Head::Whole(&script.text),
        Some(FileKind::Config(bytes)) => Head::Whole(bytes),
        Some(FileKind::Empty) => Head::Whole(b""),
        Some(FileKind::Pe(_)) => Head::Start(b"MZ"),
        Some(FileKind::Wasm) => Head::Start(b"\0asm"),
        Some(FileKind::JavaClass) => Head::Start(b"\xca\xfe\xba\xbe"),
        Some(FileKind::Ar(_)) => Head::Start(b"!<"),
        Some(FileKind::Zip(_)) => Head::Start(b"PK"),
        Some(FileKind::Packed(PackedFormat::Gzip)) => Head::Start(b"\x1f\x8b"),
        Some(FileKind::Packed(PackedFormat::Xz)) => Head::Start(b"\xfd7zXZ"),
        Some(FileKind::Packed(PackedFormat::Zstd)) => Head::Start(b"\x28\xb5\x2f\xfd"),
        Some(FileKind::Packed(PackedFormat::Bzip2)) => Head::Start(b"BZh"),
        _ => Head::Start(b""),
    }
}

/// The result of matching a file against the handlers.
pub(crate) enum Met<'a> {
    NoHandler,
    Handler(&'a Handler),
    /// It depends on bytes that were not kept whether this handler matches.
    Perhaps(&'a Handler),
}

/// Tries the handlers in order. A file of unknown format counts as data: its bytes were not kept, and it cannot match a
/// handler whose magic belongs to a format that `inspect` recognises.
pub(crate) fn meet<'a>(handlers: &'a [Handler], kind: Option<&FileKind>, path: &[u8]) -> Met<'a> {
    let path = String::from_utf8_lossy(path);
    let head = head(kind);
    for handler in handlers {
        match (&handler.rule, &head) {
            (HandlerRule::Extension(_), _) | (_, Head::Whole(_)) => {
                let bytes = if let Head::Whole(bytes) = head { bytes } else { b"" };
                if binfmt::takes(handler, bytes, &path) {
                    return Met::Handler(handler);
                }
            }
            (HandlerRule::Magic { offset, magic, mask }, Head::Start(start)) => {
                let known = magic.iter().zip(mask).enumerate().filter(|(_, (_, mask))| **mask != 0);
                let mut open = false;
                let mut differs = false;
                for (index, (want, mask)) in known {
                    match start.get(offset + index) {
                        Some(byte) => differs |= (byte ^ want) & mask != 0,
                        None => open = true,
                    }
                }
                match (differs || is_recognised_format(*offset, magic, start), open) {
                    (true, _) => {}
                    (false, true) => return Met::Perhaps(handler),
                    (false, false) => return Met::Handler(handler),
                }
            }
        }
    }
    Met::NoHandler
}

/// Whether `inspect` would have recognised a file that starts with `magic`. It did not recognise this one.
fn is_recognised_format(offset: usize, magic: &[u8], start: &[u8]) -> bool {
    let recognised: [&[u8]; 6] = [b"\x7fELF", b"MZ", b"PK\x03\x04", b"\0asm", b"\xca\xfe\xba\xbe", b"#!"];
    offset == 0 && start.is_empty() && recognised.iter().any(|format| magic.starts_with(format))
}
