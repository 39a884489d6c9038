//! The address space that the kernel makes of an ELF file's PT_LOADs, page by page, and what running its entry point
//! then does. Past the point of no return every error is SIGSEGV. Pure arithmetic on program headers; it must never
//! look at a file's name. Source: fs/binfmt_elf.c `elf_load`, `elf_map`, `load_elf_interp` of Linux 6.12.

use crate::inspect::{Elf, PT_LOAD, Segment};
use crate::judge::Cause;
use crate::platform::Class;
use crate::platform::compat::{Abi, ReadImpliesExec};

const SEGV: u8 = 11;
const BUS: u8 = 7;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;
const PT_GNU_STACK: u32 = 0x6474_e551;
const ET_DYN: u16 = 3;
/// Mappings stay this far below the end of the address space at least. Source: mm/util.c `mmap_base`, MIN_GAP.
const STACK_GAP: u64 = 128 << 20;
/// No file is read past this: the largest offset that mmap takes.
const MAX_OFFSET: u64 = i64::MAX as u64;

/// A death at start: the signal and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Killed {
    pub signal: u8,
    pub cause: Cause,
}

/// One mapping, as addresses of the file (unbiased).
#[derive(Clone, Copy, Debug)]
struct Mapping {
    start: u64,
    end: u64,
    flags: u32,
    /// Offset in the file of `start`; `None`: zeros.
    offset: Option<u64>,
}

/// The pages of one file in memory.
#[derive(Debug)]
pub(crate) struct Space {
    /// In the order in which the kernel maps them: a later one replaces what it covers.
    mappings: Vec<Mapping>,
    /// First address that holds zeros instead of the file's bytes, of each segment with a tail to clear.
    cleared: Vec<(u64, u64)>,
    file_size: u64,
    page: u64,
    read_implies_exec: bool,
    room: Room,
}

/// The addresses that a file may take, from the first one of its first segment: those below it and those from it on.
#[derive(Clone, Copy, Debug)]
struct Room {
    first: u64,
    below: u64,
    above: u64,
}

fn killed(signal: u8, code: &'static str, text: String) -> Killed {
    Killed { signal, cause: Cause { code, text } }
}

/// Where the kernel puts a file that may lie anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A program with a loader: at ELF_ET_DYN_BASE, two thirds up.
    Program,
    /// A loader, or a program without one: among the mappings, below the stack.
    Alone,
}

/// Maps `elf` for `abi` on pages of `page` bytes. `implies`: the program (not its loader) decides whether readable
/// pages may be executed.
pub(crate) fn map(elf: &Elf, abi: &Abi, page: u64, implies: bool, place: Place) -> Result<Space, Killed> {
    let loads: Vec<&Segment> = elf.segments.iter().filter(|segment| segment.p_type == PT_LOAD).collect();
    let first = loads.first().map_or(0, |first| first.vaddr & !(page - 1));
    let limit = abi.task_size;
    let room = match (elf.e_type, place) {
        (ET_DYN, Place::Program) => {
            let total = check_total_size(&loads, abi, page)?;
            // The whole span is reserved from ELF_ET_DYN_BASE up; 32-bit programs have theirs far below.
            if abi.class == Class::Elf64 && total > limit / 3 {
                return Err(cannot_be_reserved(total));
            }
            Room { first, below: limit / 3 * 2, above: limit / 3 }
        }
        (ET_DYN, Place::Alone) => {
            let total = check_total_size(&loads, abi, page)?;
            Room { first, below: limit.saturating_sub(total + STACK_GAP), above: limit }
        }
        _ => Room { first: abi.first_address, below: 0, above: limit - abi.first_address },
    };
    let (mappings, cleared, file_size) = (Vec::new(), Vec::new(), elf.size);
    let mut space = Space { mappings, cleared, file_size, page, read_implies_exec: implies, room };
    for segment in loads {
        space.load(segment, limit)?;
    }
    Ok(space)
}

/// Maps a loader, which has fewer liberties: it must be a program or library with something to map.
pub(crate) fn map_loader(loader: &Elf, abi: &Abi, page: u64, implies: bool) -> Result<Space, Killed> {
    if !matches!(loader.e_type, 2 | ET_DYN) {
        return Err(killed(SEGV, "bad-loader", "the loader is neither a program nor a library".to_string()));
    }
    if !loader.segments.iter().any(|segment| segment.p_type == PT_LOAD) {
        return Err(killed(SEGV, "bad-loader", "the loader has no PT_LOAD, so nothing of it is mapped".to_string()));
    }
    map(loader, abi, page, implies, Place::Alone)
}

/// A loader that needs libraries itself is none: nobody relocates it, and its first call leads nowhere.
pub(crate) fn check_alone(loader: &Elf) -> Result<(), Killed> {
    match loader.dynamic.as_ref().and_then(|dynamic| dynamic.needed.first()) {
        Some(library) => Err(killed(SEGV, "bad-loader", format!("the loader itself needs a loader, and {library}"))),
        None => Ok(()),
    }
}

/// A file that needs libraries and names no loader to load them: nobody relocates it.
pub(crate) fn check_needs_nothing(program: &Elf) -> Result<(), Killed> {
    match program.dynamic.as_ref().and_then(|dynamic| dynamic.needed.first()) {
        Some(library) => {
            let text = format!("it needs {library} and names no loader: it is a library, not a program");
            Err(killed(SEGV, "library-as-program", text))
        }
        None => Ok(()),
    }
}

/// Whether the program makes its readable pages executable ones: no PT_GNU_STACK on an ABI that then says so.
pub(crate) fn read_implies_exec(program: &Elf, abi: &Abi) -> bool {
    match abi.read_implies_exec {
        ReadImpliesExec::Never => false,
        ReadImpliesExec::Always => true,
        ReadImpliesExec::WithoutGnuStack => !program.segments.iter().any(|segment| segment.p_type == PT_GNU_STACK),
    }
}

/// The whole span of a position-independent file is reserved at once.
fn check_total_size(loads: &[&Segment], abi: &Abi, page: u64) -> Result<u64, Killed> {
    let Some(start) = loads.iter().map(|segment| segment.vaddr & !(page - 1)).min() else {
        return Err(killed(SEGV, "no-load-segment", "it has no PT_LOAD, so nothing of it is mapped".to_string()));
    };
    let end = loads.iter().map(|segment| segment.vaddr.wrapping_add(segment.memsz)).max().unwrap_or(0);
    let total = end.wrapping_sub(start);
    if total == 0 || total >= abi.task_size {
        return Err(cannot_be_reserved(total));
    }
    Ok(total)
}

fn cannot_be_reserved(total: u64) -> Killed {
    killed(SEGV, "bad-segments", format!("its PT_LOADs span {total:#x} bytes, which cannot be reserved"))
}

impl Space {
    fn load(&mut self, segment: &Segment, limit: u64) -> Result<(), Killed> {
        let mask = self.page - 1;
        let at = segment.vaddr & !mask;
        if segment.filesz != 0 {
            if (segment.offset.wrapping_sub(segment.vaddr)) & mask != 0 {
                return Err(incongruent(segment, self.page));
            }
            let size = segment.filesz.wrapping_add(segment.vaddr & mask).wrapping_add(mask) & !mask;
            let offset = segment.offset.wrapping_sub(segment.vaddr & mask);
            let fits = size != 0 && offset <= MAX_OFFSET && size <= MAX_OFFSET - offset;
            self.check_range(at, size).filter(|()| fits).ok_or_else(|| out_of_reach(segment))?;
            self.mappings.push(Mapping { start: at, end: at + size, flags: segment.flags, offset: Some(offset) });
        }
        if segment.memsz > segment.filesz {
            self.clear(segment)?;
        }
        let fits = segment.vaddr < limit && segment.memsz <= limit && limit - segment.memsz >= segment.vaddr;
        if segment.filesz > segment.memsz || !fits {
            let text = format!(
                "PT_LOAD at {:#x} has {:#x} bytes in the file and {:#x} in memory",
                segment.vaddr, segment.filesz, segment.memsz
            );
            return Err(killed(SEGV, "bad-segments", text));
        }
        Ok(())
    }

    /// The zeros after a segment's file bytes: the rest of its last page, then pages of their own.
    fn clear(&mut self, segment: &Segment) -> Result<(), Killed> {
        let mask = self.page - 1;
        let tail = segment.vaddr.wrapping_add(segment.filesz);
        if segment.filesz != 0 && tail & mask != 0 {
            let last_page = segment.offset.wrapping_add(segment.filesz) & !mask;
            if segment.flags & PF_W != 0 && last_page >= self.file_size {
                return Err(self.truncated(segment));
            }
            if segment.flags & PF_W != 0 {
                self.cleared.push((tail, (tail | mask).wrapping_add(1)));
            }
        }
        let start = if segment.filesz == 0 { segment.vaddr & !mask } else { tail.wrapping_add(mask) & !mask };
        let end = segment.vaddr.wrapping_add(segment.memsz).wrapping_add(mask) & !mask;
        if end > start {
            self.check_range(start, end - start).ok_or_else(|| out_of_reach(segment))?;
            // vm_brk_flags: anonymous pages are readable and writable whatever the segment says; X is kept.
            self.mappings.push(Mapping { start, end, flags: PF_R | PF_W | segment.flags & PF_X, offset: None });
        }
        Ok(())
    }

    /// Whether mmap finds room at these addresses.
    fn check_range(&self, start: u64, size: u64) -> Option<()> {
        let Room { first, below, above } = self.room;
        let distance = start.wrapping_sub(first);
        let is_above = distance.checked_add(size).is_some_and(|end| end <= above);
        let is_below = start < first && first - start <= below;
        (is_above || is_below).then_some(())
    }

    fn truncated(&self, segment: &Segment) -> Killed {
        let end = segment.offset.saturating_add(segment.filesz);
        let text = format!(
            "the file ends at byte {} and its PT_LOAD at {:#x} needs {end}: it is cut off",
            self.file_size, segment.vaddr
        );
        killed(SEGV, "truncated", text)
    }

    /// The mapping that `address` ends up in.
    fn at(&self, address: u64) -> Option<&Mapping> {
        self.mappings.iter().rev().find(|mapping| mapping.start <= address && address < mapping.end)
    }

    fn is_executable(&self, mapping: &Mapping) -> bool {
        mapping.flags & PF_X != 0 || (self.read_implies_exec && mapping.flags & PF_R != 0)
    }

    /// What jumping to `entry` (an address of the file) does, as far as that is certain.
    pub(crate) fn enter(&self, entry: u64, abi: &Abi) -> Result<(), Killed> {
        let Some(mapping) = self.at(entry) else {
            return Err(killed(SEGV, "bad-entry", format!("its entry point {entry:#x} lies in none of its segments")));
        };
        let offset = mapping.offset.map(|offset| offset + (entry - mapping.start));
        let is_beyond = offset.is_some_and(|offset| offset & !(self.page - 1) >= self.file_size);
        let ends_before = is_beyond && abi.cpu.reads_first;
        if !self.is_executable(mapping) && !ends_before {
            return Err(self.not_executable(entry));
        }
        // An odd address is Thumb code.
        let is_thumb = abi.machines == [40] && entry & 1 == 1;
        if !entry.is_multiple_of(abi.cpu.alignment) && !is_thumb {
            let text = format!("its entry point {entry:#x} is not aligned as instructions of this CPU must be");
            return Err(killed(abi.cpu.misaligned, "bad-entry", text));
        }
        let Some(offset) = offset else { return self.run_zeros(entry, abi) };
        if is_beyond {
            let text = format!(
                "its entry point is byte {offset} of a file that ends at byte {}: it is cut off",
                self.file_size
            );
            return Err(killed(BUS, "truncated", text));
        }
        if offset >= self.file_size || self.cleared.iter().any(|(start, end)| *start <= entry && entry < *end) {
            return self.run_zeros(entry, abi);
        }
        if offset == 0 {
            let text = "its entry point is its own ELF header: it is a library, not a program".to_string();
            return Err(killed(abi.cpu.header, "library-as-program", text));
        }
        Ok(())
    }

    fn run_zeros(&self, entry: u64, abi: &Abi) -> Result<(), Killed> {
        let text = format!("its entry point {entry:#x} holds no code, only zeros");
        match abi.cpu.zeros {
            Some(signal) => Err(killed(signal, "bad-entry", text)),
            None => Err(killed(SEGV, "bad-entry", text)),
        }
    }

    /// Told apart: code that another segment took the page of (page size), and an entry in a data segment.
    fn not_executable(&self, entry: u64) -> Killed {
        let covered = self.mappings.iter().filter(|mapping| mapping.start <= entry && entry < mapping.end);
        if covered.into_iter().any(|mapping| self.is_executable(mapping)) {
            let text = format!(
                "on {} pages a data segment takes the page of its code at {entry:#x}; it was linked for smaller pages",
                kib(self.page)
            );
            return killed(SEGV, "page-size", text);
        }
        let at_header = self.at(entry).and_then(|mapping| Some(mapping.offset? + (entry - mapping.start))) == Some(0);
        if at_header {
            let text = "its entry point is its own ELF header: it is a library, not a program".to_string();
            return killed(SEGV, "library-as-program", text);
        }
        killed(SEGV, "bad-entry", format!("its entry point {entry:#x} lies in a segment that may not be executed"))
    }
}

fn incongruent(segment: &Segment, page: u64) -> Killed {
    // A file that fits no page size is broken; one that fits 4 KiB was linked for pages of that size.
    if (segment.offset.wrapping_sub(segment.vaddr)) & 0xfff != 0 {
        let text =
            format!("PT_LOAD at {:#x} lies at offset {:#x}, which no page size can map", segment.vaddr, segment.offset);
        return killed(SEGV, "bad-segments", text);
    }
    let text = format!(
        "PT_LOAD at {:#x} lies at offset {:#x}, which {} pages cannot map: it was linked for smaller pages",
        segment.vaddr,
        segment.offset,
        kib(page)
    );
    killed(SEGV, "page-size", text)
}

fn out_of_reach(segment: &Segment) -> Killed {
    killed(SEGV, "bad-segments", format!("PT_LOAD at {:#x} lies beyond the address space or the file", segment.vaddr))
}

/// "16 KiB".
pub(crate) fn kib(page: u64) -> String {
    format!("{} KiB", page >> 10)
}
