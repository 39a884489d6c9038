//! binfmt_misc: which handler a file meets, as far as its first bytes are known. Handlers are asked in the node's order,
//! the newest first. Source: fs/binfmt_misc.c `search_binfmt_handler`.

use crate::inspect::{FileKind, Packing};
use crate::platform::{Handler, HandlerRule, binfmt};

/// What is known of a file's first 256 bytes.
pub(crate) enum Head<'a> {
    /// All of them (zeros after a short file's end).
    Whole(&'a [u8]),
    /// These, and nothing of what follows.
    Start(&'static [u8]),
}

/// The bytes that a file of this kind starts with.
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
        Some(FileKind::Packed(Packing::Gzip)) => Head::Start(b"\x1f\x8b"),
        Some(FileKind::Packed(Packing::Xz)) => Head::Start(b"\xfd7zXZ"),
        Some(FileKind::Packed(Packing::Zstd)) => Head::Start(b"\x28\xb5\x2f\xfd"),
        Some(FileKind::Packed(Packing::Bzip2)) => Head::Start(b"BZh"),
        _ => Head::Start(b""),
    }
}

/// The handler that takes the file.
pub(crate) enum Met<'a> {
    Nobody,
    Handler(&'a Handler),
    /// Only bytes that were not kept can tell whether this one takes it.
    Perhaps(&'a Handler),
}

/// Asks the handlers in order. Files of no known format are data that no usual handler takes: their bytes were not
/// kept, and a handler whose magic is that of a format which `inspect` tells by itself does not take them.
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
                match (differs || is_told_format(*offset, magic, start), open) {
                    (true, _) => {}
                    (false, true) => return Met::Perhaps(handler),
                    (false, false) => return Met::Handler(handler),
                }
            }
        }
    }
    Met::Nobody
}

/// Whether a file that starts with `magic` would have been told as a format of its own, which this one was not.
fn is_told_format(offset: usize, magic: &[u8], start: &[u8]) -> bool {
    let told: [&[u8]; 6] = [b"\x7fELF", b"MZ", b"PK\x03\x04", b"\0asm", b"\xca\xfe\xba\xbe", b"#!"];
    offset == 0 && start.is_empty() && told.iter().any(|format| magic.starts_with(format))
}
