//! Checks the GNU property note as an arm64 kernel does. Only arm64 kernels read it, and they do not run a program
//! whose note is malformed. Pure arithmetic on the note's bytes. Source: fs/binfmt_elf.c `parse_elf_properties`,
//! `parse_elf_property`; arch/arm64/include/asm/elf.h `arch_parse_elf_property` of Linux 6.12.

use crate::exec::kernel::exec_error::{ExecError, refuse};
use crate::exec::{CauseKind, Errno};
use crate::inspect::{Elf, PT_GNU_PROPERTY};
use crate::platform::compat::Abi;
use crate::platform::{Class, Endian};

/// Source: fs/binfmt_elf.c NOTE_DATA_SZ.
const NOTE_MAX: u64 = 1024;
/// `n_namesz`, `n_descsz`, `n_type`, and the name with its NUL.
const NOTE_START: usize = 16;
const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
const GNU_PROPERTY_AARCH64_FEATURE_1_AND: u32 = 0xc000_0000;

/// Checks the last PT_GNU_PROPERTY of `file` for a program of `abi`. `file` is the loader if there is one.
pub(crate) fn check(file: &Elf, abi: &Abi) -> Result<(), ExecError> {
    let Some(segment) = file.segments.iter().rfind(|segment| segment.p_type == PT_GNU_PROPERTY) else { return Ok(()) };
    let bad = |errno, text: String| Err(refuse(errno, CauseKind::BadPropertyNote, text));
    if segment.filesz > NOTE_MAX {
        return bad(Errno::ENOEXEC, format!("its GNU property note is {} bytes long", segment.filesz));
    }
    let in_file = segment.filesz.min(file.size.saturating_sub(segment.offset));
    if in_file < NOTE_START as u64 {
        return bad(Errno::EIO, "its GNU property note cannot be read".to_string());
    }
    let Some(note) = file.property.as_deref().filter(|note| note.len() as u64 == in_file) else { return Ok(()) };
    let number = |at: usize| {
        let word = note.get(at..at + 4)?.try_into().ok()?;
        Some(if abi.endian == Endian::Little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) })
    };
    let malformed =
        |text: &str| bad(Errno::ENOEXEC, format!("its GNU property note {text}, which this kernel refuses"));
    if (number(0), number(8)) != (Some(4), Some(NT_GNU_PROPERTY_TYPE_0)) || &note[12..NOTE_START] != b"GNU\0" {
        return malformed("is a note of another kind");
    }
    let described = number(4).map_or(usize::MAX, |size| size as usize);
    if described > note.len() - NOTE_START {
        return malformed("claims to be longer than its segment");
    }
    let (end, align) = (NOTE_START + described, if abi.class == Class::Elf64 { 8 } else { 4 });
    let (mut at, mut before) = (NOTE_START, None);
    while at != end {
        let header = (end - at >= 8).then(|| number(at).zip(number(at + 4))).flatten();
        let Some((kind, size)) = header else { return malformed("ends inside a property") };
        let (start, size) = (at + 8, size as usize);
        if size > end - start || size.next_multiple_of(align) > end - start {
            return malformed("ends inside a property");
        }
        if before >= Some(kind) {
            return malformed("has properties out of order");
        }
        if kind == GNU_PROPERTY_AARCH64_FEATURE_1_AND && size != 4 && abi.class == Class::Elf64 {
            return malformed("has a feature property of the wrong size");
        }
        (at, before) = (start + size.next_multiple_of(align), Some(kind));
    }
    Ok(())
}

#[cfg(test)]
#[path = "property_tests.rs"]
mod tests;
