//! The address space that the kernel makes of an ELF file's PT_LOADs, page by page. Past the point of no return every
//! error is SIGSEGV. Pure arithmetic on program headers; it must never look at a file's name.
//! Source: fs/binfmt_elf.c `elf_load`, `elf_map`, `load_elf_interp` of Linux 6.12.

mod enter;

use std::ops::Range;

use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::inspect::{Elf, PT_DYNAMIC, PT_LOAD, Segment};
use crate::platform::compat::{Abi, ReadImpliesExec};

const SEGV: u8 = 11;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;
const PT_TLS: u32 = 7;
const PT_GNU_STACK: u32 = 0x6474_e551;
const ET_DYN: u16 = 3;
/// Mappings stay this far below the end of the address space at least. Source: mm/util.c `mmap_base`, MIN_GAP.
const STACK_GAP: u64 = 128 << 20;
/// No file is read past this: the largest offset that mmap takes.
const MAX_OFFSET: u64 = i64::MAX as u64;
/// Zeroed or writable memory that every node is taken to have; whether it has more is not the image's to tell. The kernel
/// refuses what is more than all of its memory, unless vm.overcommit_memory is 1. Source: mm/util.c `__vm_enough_memory`.
const MEMORY: u64 = 4 << 30;
/// Page tables for more than this are made by no kernel without being asked for an address there.
const USUAL_TASK: u64 = 1 << 48;

/// An end at start, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Killed {
    /// `None`: whether it ends so is not to be known from the file.
    pub signal: Option<u8>,
    /// Signals that it may end by instead.
    pub others: Option<[u8; 3]>,
    pub cause: Cause,
}

impl Killed {
    /// `at`: the file that was mapped.
    pub(crate) fn outcome(self, at: &[u8]) -> Outcome {
        match (self.signal, self.others) {
            (Some(signal), None) => Outcome::killed(signal, at, self.cause),
            (Some(usual), Some(others)) => {
                Outcome::Dies { death: Death::AnyOf { usual, others }, at: lossy(at), cause: self.cause }
            }
            (None, _) => Outcome::Unknown { at: lossy(at), cause: self.cause },
        }
    }
}

/// What decides how a process's files are mapped, apart from the files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub abi: &'static Abi,
    /// In bytes.
    pub page: u64,
    /// The program (not its loader) decides whether readable pages may be executed.
    pub read_implies_exec: bool,
    /// CAP_SYS_RAWIO, which maps addresses below vm.mmap_min_addr; engines leave it to no container that does not ask.
    /// Source: security/commoncap.c `cap_mmap_addr`.
    pub may_map_low: bool,
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
    /// Where in the file its program headers are.
    headers: Range<u64>,
    /// Whether it has a dynamic section.
    is_linked: bool,
    terms: Terms,
    room: Room,
    /// Why it may be killed and may not, where that hangs on the node.
    open: Option<Cause>,
    /// What the file ends before, where it is cut off and code may need it.
    cut: Option<Cause>,
}

/// The addresses that a file may take, from the first one of its first segment: those below it and those from it on.
#[derive(Clone, Copy, Debug)]
struct Room {
    first: u64,
    below: u64,
    above: u64,
    /// The addresses are the file's own, and nothing moves them.
    is_fixed: bool,
}

fn killed(signal: u8, kind: CauseKind, text: String) -> Killed {
    Killed { signal: Some(signal), others: None, cause: Cause { kind, text } }
}

fn not_known(kind: CauseKind, text: String) -> Killed {
    Killed { signal: None, others: None, cause: Cause { kind, text } }
}

/// Where the kernel puts a file that may lie anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A program with a loader: at ELF_ET_DYN_BASE, two thirds up.
    Program,
    /// A loader, or a program without one: among the mappings, below the stack.
    Alone,
}

/// Maps `elf`.
pub(crate) fn map(elf: &Elf, terms: &Terms, place: Place) -> Result<Space, Killed> {
    let loads: Vec<&Segment> = elf.segments.iter().filter(|segment| segment.p_type == PT_LOAD).collect();
    let first = terms.abi.first_address;
    let mut space = Space {
        mappings: Vec::new(),
        cleared: Vec::new(),
        file_size: elf.size,
        headers: elf.phoff..elf.phoff.saturating_add(u64::from(elf.phnum) * u64::from(elf.phentsize)),
        is_linked: elf.segments.iter().any(|segment| segment.p_type == PT_DYNAMIC),
        terms: *terms,
        room: Room { first, below: 0, above: terms.abi.space.task[1] - first, is_fixed: elf.e_type != ET_DYN },
        open: None,
        cut: None,
    };
    match (elf.e_type, place) {
        // Nothing asks for a place; its loader is started all the same.
        (ET_DYN, Place::Program) if loads.is_empty() => {}
        (ET_DYN, place) => space.reserve(&loads, place)?,
        _ => {}
    }
    for segment in loads {
        space.load(segment)?;
    }
    Ok(space)
}

/// Maps a loader, which has fewer liberties: it must be a program or library with something to map.
pub(crate) fn map_loader(loader: &Elf, terms: &Terms) -> Result<Space, Killed> {
    if !matches!(loader.e_type, 2 | ET_DYN) {
        return Err(killed(SEGV, CauseKind::BadLoader, "the loader is neither a program nor a library".to_string()));
    }
    if !loader.segments.iter().any(|segment| segment.p_type == PT_LOAD) {
        return Err(killed(
            SEGV,
            CauseKind::BadLoader,
            "the loader has no PT_LOAD, so nothing of it is mapped".to_string(),
        ));
    }
    map(loader, terms, Place::Alone)
}

/// A loader that needs libraries itself is none: nobody relocates it, and its first call leads nowhere. A static program
/// in a loader's place is started with the other program's headers, where it looks for its own thread-local data.
pub(crate) fn check_alone(loader: &Elf) -> Result<(), Killed> {
    if let Some(library) = loader.dynamic.as_ref().and_then(|dynamic| dynamic.needed.first()) {
        return Err(killed(SEGV, CauseKind::BadLoader, format!("the loader itself needs a loader, and {library}")));
    }
    match loader.segments.iter().any(|segment| segment.p_type == PT_TLS) {
        true => {
            let text = "the loader is a static program, and what it does in a loader's place is its own".to_string();
            Err(not_known(CauseKind::BadLoader, text))
        }
        false => Ok(()),
    }
}

/// A file that needs libraries and names no loader to load them: nobody relocates it. One that calls itself a library and
/// needs none may have an entry that does something; a loader starts the program that it is given, by `words` after its
/// own name.
pub(crate) fn check_needs_nothing(program: &Elf, words: usize) -> Result<(), Killed> {
    let Some(dynamic) = &program.dynamic else { return Ok(()) };
    if let Some(library) = dynamic.needed.first() {
        let text = format!("it needs {library} and names no loader: it is a library, not a program");
        return Err(killed(SEGV, CauseKind::LibraryAsProgram, text));
    }
    let Some(name) = dynamic.soname.as_ref().filter(|_| program.e_type == ET_DYN && !dynamic.is_pie) else {
        return Ok(());
    };
    let is_loader = name.starts_with("ld") || name.contains("musl");
    let text = match (is_loader, words) {
        (true, 0) => format!("it is the loader {name}, and is given no program to start"),
        (true, _) => return Ok(()),
        (false, _) => format!("it is the library {name}, and what its entry point does is its own"),
    };
    Err(not_known(CauseKind::LibraryAsProgram, text))
}

/// Whether the program makes its readable pages executable ones: no PT_GNU_STACK on an ABI that then says so.
pub(crate) fn read_implies_exec(program: &Elf, abi: &Abi) -> bool {
    match abi.read_implies_exec {
        ReadImpliesExec::Never => false,
        ReadImpliesExec::Always => true,
        ReadImpliesExec::WithoutGnuStack => !program.segments.iter().any(|segment| segment.p_type == PT_GNU_STACK),
    }
}

impl Space {
    /// The whole span of a position-independent file is reserved at once, with the first PT_LOAD's flags.
    fn reserve(&mut self, loads: &[&Segment], place: Place) -> Result<(), Killed> {
        let mask = self.terms.page - 1;
        let Some(start) = loads.iter().map(|segment| segment.vaddr & !mask).min() else {
            return Err(killed(
                SEGV,
                CauseKind::NoLoadSegment,
                "it has no PT_LOAD, so nothing of it is mapped".to_string(),
            ));
        };
        let end = loads.iter().map(|segment| segment.vaddr.wrapping_add(segment.memsz)).max().unwrap_or(0);
        let total = end.wrapping_sub(start);
        let (space, first) = (self.terms.abi.space, loads[0]);
        let [least, most] = match place {
            Place::Program => space.pie.map(|room| room + 1),
            Place::Alone => space.window,
        };
        if total == 0 || total >= most {
            let text = format!("its PT_LOADs span {total:#x} bytes, which cannot be reserved");
            return Err(killed(SEGV, CauseKind::BadSegments, text));
        }
        if total > least.saturating_sub(space.shift + STACK_GAP) {
            self.doubt(
                CauseKind::AddressSpace,
                format!("its PT_LOADs span {total:#x} bytes, for which the CPU or chance may leave no room"),
            );
        }
        if first.flags & PF_W != 0 {
            self.take_memory(total);
        }
        // elf_load reserves nothing for it, and takes the hint, which is 0, for the place.
        if first.filesz == 0 && place == Place::Alone {
            self.doubt(
                CauseKind::AddressSpace,
                "its first PT_LOAD has nothing of the file, so it lies at the lowest addresses".to_string(),
            );
        }
        let below = match place {
            Place::Program => space.window[1] - space.pie[1],
            Place::Alone => space.window[1].saturating_sub(total + STACK_GAP),
        };
        let above = if place == Place::Program { space.pie[1] } else { space.window[1] };
        self.room = Room { first: first.vaddr & !mask, below, above, is_fixed: false };
        Ok(())
    }

    fn load(&mut self, segment: &Segment) -> Result<(), Killed> {
        let mask = self.terms.page - 1;
        let at = segment.vaddr & !mask;
        if segment.filesz != 0 {
            if (segment.offset.wrapping_sub(segment.vaddr)) & mask != 0 {
                return Err(incongruent(segment, self.terms.page));
            }
            let size = segment.filesz.wrapping_add(segment.vaddr & mask).wrapping_add(mask) & !mask;
            let offset = segment.offset.wrapping_sub(segment.vaddr & mask);
            let fits = size != 0 && offset <= MAX_OFFSET && size <= MAX_OFFSET - offset;
            self.take_range(at, size).filter(|()| fits).ok_or_else(|| out_of_reach(segment))?;
            if segment.flags & PF_W != 0 {
                self.take_memory(size);
            }
            if segment.offset.saturating_add(segment.filesz) > self.file_size {
                self.cut = self.cut.take().or(Some(self.cut_off(segment)));
            }
            self.mappings.push(Mapping { start: at, end: at + size, flags: segment.flags, offset: Some(offset) });
        }
        if segment.memsz > segment.filesz {
            self.clear(segment)?;
        }
        let [least, most] = self.terms.abi.space.task;
        let fits =
            |limit: u64| segment.vaddr < limit && segment.memsz <= limit && limit - segment.memsz >= segment.vaddr;
        if segment.filesz > segment.memsz || !fits(most) {
            let text = format!(
                "PT_LOAD at {:#x} has {:#x} bytes in the file and {:#x} in memory",
                segment.vaddr, segment.filesz, segment.memsz
            );
            return Err(killed(SEGV, CauseKind::BadSegments, text));
        }
        if !fits(least) {
            self.doubt(
                CauseKind::AddressSpace,
                format!("PT_LOAD at {:#x} lies beyond the addresses that every CPU has", segment.vaddr),
            );
        }
        Ok(())
    }

    /// The zeros after a segment's file bytes: the rest of its last page, then pages of their own.
    fn clear(&mut self, segment: &Segment) -> Result<(), Killed> {
        let mask = self.terms.page - 1;
        let tail = segment.vaddr.wrapping_add(segment.filesz);
        if segment.filesz != 0 && tail & mask != 0 {
            let last_page = segment.offset.wrapping_add(segment.filesz) & !mask;
            if segment.flags & PF_W != 0 && last_page >= self.file_size {
                let Cause { kind, text } = self.cut_off(segment);
                return Err(killed(SEGV, kind, text));
            }
            if segment.flags & PF_W != 0 {
                self.cleared.push((tail, (tail | mask).wrapping_add(1)));
            }
        }
        let start = if segment.filesz == 0 { segment.vaddr & !mask } else { tail.wrapping_add(mask) & !mask };
        let end = segment.vaddr.wrapping_add(segment.memsz).wrapping_add(mask) & !mask;
        if end > start {
            self.take_range(start, end - start).ok_or_else(|| out_of_reach(segment))?;
            self.take_memory(end - start);
            // vm_brk_flags: anonymous pages are readable and writable whatever the segment says; X is kept.
            let flags = PF_R | PF_W | segment.flags & PF_X;
            self.mappings.push(Mapping { start, end, flags, offset: None });
        }
        Ok(())
    }

    /// Whether mmap finds room at these addresses.
    fn take_range(&mut self, start: u64, size: u64) -> Option<()> {
        let Room { first, below, above, is_fixed } = self.room;
        let distance = start.wrapping_sub(first);
        let is_above = distance.checked_add(size).is_some_and(|end| end <= above);
        let is_below = start < first && first - start <= below;
        let low = self.terms.abi.min_address;
        if is_fixed && start < low && !self.terms.may_map_low {
            let text = format!(
                "it is mapped at {start:#x}, and below {low:#x} a container without SYS_RAWIO maps only what the node's \
                 vm.mmap_min_addr allows"
            );
            self.doubt(CauseKind::LowAddress, text);
        }
        if size > USUAL_TASK {
            self.doubt(
                CauseKind::AddressSpace,
                format!("{size:#x} bytes at {start:#x} are more than most page tables are for"),
            );
        }
        (is_above || is_below).then_some(())
    }

    /// Memory that the kernel counts, for it can be written.
    fn take_memory(&mut self, size: u64) {
        if size > MEMORY {
            let text = format!("it asks for {} GiB of memory at its start, which the node may not have", size >> 30);
            self.doubt(CauseKind::Memory, text);
        }
    }

    fn doubt(&mut self, kind: CauseKind, text: String) {
        self.open.get_or_insert(Cause { kind, text });
    }

    fn cut_off(&self, segment: &Segment) -> Cause {
        let end = segment.offset.saturating_add(segment.filesz);
        let text = format!(
            "the file ends at byte {} and its PT_LOAD at {:#x} needs {end}: it is cut off",
            self.file_size, segment.vaddr
        );
        Cause { kind: CauseKind::Truncated, text }
    }
}

fn incongruent(segment: &Segment, page: u64) -> Killed {
    // A file that fits no page size is broken; one that fits 4 KiB was linked for pages of that size.
    if (segment.offset.wrapping_sub(segment.vaddr)) & 0xfff != 0 {
        let text =
            format!("PT_LOAD at {:#x} lies at offset {:#x}, which no page size can map", segment.vaddr, segment.offset);
        return killed(SEGV, CauseKind::BadSegments, text);
    }
    let text = format!(
        "PT_LOAD at {:#x} lies at offset {:#x}, which {} pages cannot map: it was linked for smaller pages",
        segment.vaddr,
        segment.offset,
        kib(page)
    );
    killed(SEGV, CauseKind::PageSize, text)
}

fn out_of_reach(segment: &Segment) -> Killed {
    killed(
        SEGV,
        CauseKind::BadSegments,
        format!("PT_LOAD at {:#x} lies beyond the address space or the file", segment.vaddr),
    )
}

/// "16 KiB".
pub(crate) fn kib(page: u64) -> String {
    format!("{} KiB", page >> 10)
}

#[cfg(test)]
#[path = "map/tests.rs"]
mod tests;
