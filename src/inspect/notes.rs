//! Reads notes in ELF files about the CPU that they need: GNU properties and build attributes. The absence of a note
//! proves nothing.

use goblin::container::Ctx;
use goblin::elf::note::{NT_GNU_PROPERTY_TYPE_0, NoteDataIterator};
use scroll::Pread;

use super::kind::{ArmAttributes, IsaNotes, PT_GNU_PROPERTY, PT_NOTE, Segment};
use super::window::Window;

/// Source: x86-64 psABI, "Program Property".
const X86_ISA_1_NEEDED: u32 = 0xc000_8002;
const X86_ISA_1_USED: u32 = 0xc001_0002;
/// Source: Go's cmd/link, `ELF_NOTE_GOBUILDID_TAG`.
const NT_GO_BUILD_ID: u32 = 4;
/// Maximum number of notes to read in one segment. Real segments have two or three.
const NOTE_COUNT: usize = 64;

/// Returns type, name and description of the notes in segments of type `p_type`.
fn notes<'a>(
    ctx: Ctx,
    p_type: u32,
    segments: &'a [Segment],
    window: &'a Window<'_>,
) -> impl Iterator<Item = (u32, &'a str, &'a [u8])> {
    let of_type = segments.iter().filter(move |segment| segment.p_type == p_type);
    let data = of_type.filter_map(move |segment| {
        let bytes = window.from(segment.offset)?;
        let size = bytes.len().min(usize::try_from(segment.filesz).ok()?);
        let align = if segment.align == 8 { 8 } else { 4 };
        Some(NoteDataIterator { data: &bytes[..size], size, offset: 0, ctx: (align, ctx) })
    });
    let notes = data.flat_map(|notes| notes.take(NOTE_COUNT).map_while(Result::ok));
    notes.map(|note| (note.n_type, note.name.trim_end_matches('\0'), note.desc))
}

/// Whether the file has the build ID note of Go's linker.
pub fn is_go(ctx: Ctx, segments: &[Segment], window: &Window<'_>) -> bool {
    notes(ctx, PT_NOTE, segments, window).any(|(kind, name, _)| kind == NT_GO_BUILD_ID && name == "Go")
}

/// Reads `NT_GNU_PROPERTY_TYPE_0`, from PT_GNU_PROPERTY if there is one, as in ld.so.
pub fn read_properties(ctx: Ctx, segments: &[Segment], window: &Window<'_>, isa: &mut IsaNotes) {
    let has_own = segments.iter().any(|segment| segment.p_type == PT_GNU_PROPERTY);
    let p_type = if has_own { PT_GNU_PROPERTY } else { PT_NOTE };
    for (kind, name, description) in notes(ctx, p_type, segments, window) {
        if kind == NT_GNU_PROPERTY_TYPE_0 && name == "GNU" {
            properties(ctx, description, isa);
        }
    }
}

fn properties(ctx: Ctx, description: &[u8], isa: &mut IsaNotes) {
    let align = if ctx.is_big() { 8 } else { 4 };
    let mut offset = 0;
    while let (Ok(kind), Ok(size)) =
        (description.gread_with::<u32>(&mut offset, ctx.le), description.gread_with::<u32>(&mut offset, ctx.le))
    {
        let value = description.pread_with::<u32>(offset, ctx.le).ok().filter(|_| size == 4);
        match kind {
            X86_ISA_1_NEEDED => isa.x86_needed = isa.x86_needed.or(value),
            X86_ISA_1_USED => isa.x86_used = isa.x86_used.or(value),
            _ => {}
        }
        let Some(next) = offset.checked_add(size as usize) else { return };
        offset = next.next_multiple_of(align);
    }
}

/// Reads `.ARM.attributes` or `.riscv.attributes`: 'A', then sections of a vendor, then subsections, of which only the
/// file's own (Tag_File, 1) is used. Source: abi-aa addenda32, "Build Attributes"; riscv-elf-psabi, "Attributes".
pub fn read_attributes(machine: u16, ctx: Ctx, bytes: &[u8], isa: &mut IsaNotes) {
    let Some(mut rest) = bytes.strip_prefix(b"A") else { return };
    while let Some((section, after)) = sized(rest, 0, ctx) {
        rest = after;
        let Some(end) = section.iter().position(|byte| *byte == 0) else { return };
        let (vendor, mut subsections) = (&section[..end], &section[end + 1..]);
        while let Some((file, after)) = sized(subsections, 1, ctx) {
            if subsections[0] == 1 {
                match (machine, vendor) {
                    (40, b"aeabi") => arm(file, isa.arm.get_or_insert_default()),
                    (243, b"riscv") => riscv(file, isa),
                    _ => {}
                }
            }
            subsections = after;
        }
    }
}

/// Splits off a part whose length is stored at `skip` and includes everything before and in the length field. Returns
/// the content after the length, and the bytes after the part.
fn sized(bytes: &[u8], skip: usize, ctx: Ctx) -> Option<(&[u8], &[u8])> {
    let len = bytes.pread_with::<u32>(skip, ctx.le).ok()? as usize;
    let content = bytes.get(skip + 4..len)?;
    Some((content, &bytes[len..]))
}

fn arm(mut bytes: &[u8], attributes: &mut ArmAttributes) {
    while let Some(tag) = uleb(&mut bytes) {
        // Tags 4, 5 and the odd tags above 32 have a string. Tag 32 (compatibility) has a number and a string.
        let is_text = matches!(tag, 4 | 5) || (tag > 32 && tag % 2 == 1);
        let value = if is_text { 0 } else { uleb(&mut bytes).unwrap_or(0) };
        if is_text || tag == 32 {
            text(&mut bytes);
        }
        let value = u8::try_from(value).unwrap_or(u8::MAX);
        match tag {
            6 => attributes.cpu_arch = Some(value),
            7 => attributes.profile = value,
            10 => attributes.fp_arch = value,
            12 => attributes.simd = value,
            28 => attributes.vfp_args = value,
            _ => {}
        }
    }
}

/// Even tags have a number, odd tags a string. 5 is Tag_RISCV_arch.
fn riscv(mut bytes: &[u8], isa: &mut IsaNotes) {
    while let Some(tag) = uleb(&mut bytes) {
        if tag % 2 == 0 {
            uleb(&mut bytes);
        } else {
            let value = text(&mut bytes);
            if tag == 5 {
                isa.riscv = Some(String::from_utf8_lossy(value).into_owned());
            }
        }
    }
}

/// Reads a LEB128 number. `None` at the end of the bytes or if the number has more than 63 bits.
pub fn uleb(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn text<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let value = &bytes[..end];
    *bytes = bytes.get(end + 1..).unwrap_or_default();
    value
}
