//! The address space that the kernel builds from an ELF file's PT_LOADs, page by page. Every error past the point of no
//! return is SIGSEGV. Pure arithmetic on program headers; must never look at a file's name. Source: fs/binfmt_elf.c
//! `elf_load`, `elf_map`, `load_elf_interp` of Linux 6.12.

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
/// Mappings stay at least this far below the end of the address space. Source: mm/util.c `mmap_base`, MIN_GAP.
const STACK_GAP: u64 = 128 << 20;
/// The largest file offset that mmap accepts.
const MAX_OFFSET: u64 = i64::MAX as u64;
/// Zeroed or writable memory that every node is assumed to have, in bytes; the image does not show whether a node has
/// more. The kernel refuses more than all of its memory, unless vm.overcommit_memory is 1. Source: mm/util.c
/// `__vm_enough_memory`.
const MEMORY: u64 = 4 << 30;
/// No kernel uses page tables for more than this unless an address beyond it is requested.
const USUAL_TASK: u64 = 1 << 48;

/// A process that is killed at its start, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Killed {
    /// `None` if the file does not determine whether it is killed.
    pub signal: Option<u8>,
    /// Other signals that may kill it instead.
    pub others: Option<[u8; 3]>,
    pub cause: Cause,
}

impl Killed {
    /// `at` is the file that was mapped.
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

/// The parameters, other than the files, that decide how a process's files are mapped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub abi: &'static Abi,
    /// In bytes.
    pub page: u64,
    /// Whether readable pages are executable. The program decides this, not its loader.
    pub read_implies_exec: bool,
    /// Whether the process has CAP_SYS_RAWIO, which allows it to map addresses below vm.mmap_min_addr. Engines grant it
    /// only on request. Source: security/commoncap.c `cap_mmap_addr`.
    pub may_map_low: bool,
}

/// One mapping, in the file's own (unbiased) addresses.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    start: u64,
    end: u64,
    flags: u32,
    /// The file offset of `start`; `None` for zeros.
    offset: Option<u64>,
}

/// The pages of one file in memory.
#[derive(Debug)]
pub(crate) struct Space {
    /// In the order in which the kernel maps them. A later one replaces what it covers.
    mappings: Vec<Mapping>,
    /// Address ranges that hold zeros instead of the file's bytes, one for each segment with a tail to clear.
    cleared: Vec<(u64, u64)>,
    file_size: u64,
    /// The range of the file that holds its program headers.
    headers: Range<u64>,
    /// Whether it has a dynamic section.
    is_linked: bool,
    terms: Terms,
    room: Room,
    /// Why it may be killed, if that depends on the node.
    open: Option<Cause>,
    /// What is missing from a truncated file, if code may need it.
    cut: Option<Cause>,
}

/// The number of bytes that a file may use below the first address of its first segment, and from that address on.
#[derive(Clone, Copy, Debug)]
struct Room {
    first: u64,
    below: u64,
    above: u64,
    /// The file's addresses are fixed: the kernel does not relocate it.
    is_fixed: bool,
}

fn killed(signal: u8, kind: CauseKind, text: String) -> Killed {
    Killed { signal: Some(signal), others: None, cause: Cause { kind, text } }
}

fn not_known(kind: CauseKind, text: String) -> Killed {
    Killed { signal: None, others: None, cause: Cause { kind, text } }
}

/// Where the kernel maps a position-independent file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// A program with a loader: at ELF_ET_DYN_BASE, two thirds up.
    Program,
    /// A loader, or a program without one: among the mappings, below the stack.
    Alone,
}

/// Builds the address space of `elf`.
pub(crate) fn map(elf: &Elf, terms: &Terms, place: Placement) -> Result<Space, Killed> {
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
        // There is nothing to reserve. Its loader starts all the same.
        (ET_DYN, Placement::Program) if loads.is_empty() => {}
        (ET_DYN, place) => space.reserve(&loads, place)?,
        _ => {}
    }
    for segment in loads {
        space.load(segment)?;
    }
    Ok(space)
}

/// Maps a loader. It must be a program or library, and have something to map.
pub(crate) fn map_loader(loader: &Elf, terms: &Terms) -> Result<Space, Killed> {
    if !matches!(loader.e_type, 2 | ET_DYN) {
        return Err(killed(SEGV, CauseKind::BadLoader, "the loader is neither a program nor a library".to_string()));
    }
    if !loader.segments.iter().any(|segment| segment.p_type == PT_LOAD) {
        return Err(killed(SEGV, CauseKind::BadLoader, "the loader has no PT_LOAD, so nothing is mapped".to_string()));
    }
    map(loader, terms, Placement::Alone)
}

/// Rejects a loader that needs libraries itself: nothing relocates it, so its first call fails. A static program in
/// place of a loader starts with the other program's headers and looks there for its own thread-local data.
pub(crate) fn check_alone(loader: &Elf) -> Result<(), Killed> {
    if let Some(library) = loader.dynamic.as_ref().and_then(|dynamic| dynamic.needed.first()) {
        return Err(killed(SEGV, CauseKind::BadLoader, format!("the loader itself needs a loader and {library}")));
    }
    match loader.segments.iter().any(|segment| segment.p_type == PT_TLS) {
        true => {
            let text = "the loader is a static program; what it does in place of a loader is not known".to_string();
            Err(not_known(CauseKind::BadLoader, text))
        }
        false => Ok(()),
    }
}

/// Rejects a file that needs libraries but does not name a loader: nothing relocates it. A file that has a library's
/// DT_SONAME and needs nothing may have a working entry point. A loader starts the program that it is given; `words` is
/// the number of arguments after its own name.
pub(crate) fn check_needs_nothing(program: &Elf, words: usize) -> Result<(), Killed> {
    let Some(dynamic) = &program.dynamic else { return Ok(()) };
    if let Some(library) = dynamic.needed.first() {
        let text = format!("it needs {library} but does not name a loader: it is a library, not a program");
        return Err(killed(SEGV, CauseKind::LibraryAsProgram, text));
    }
    let Some(name) = dynamic.soname.as_ref().filter(|_| program.e_type == ET_DYN && !dynamic.is_pie) else {
        return Ok(());
    };
    let is_loader = name.starts_with("ld") || name.contains("musl");
    let text = match (is_loader, words) {
        (true, 0) => format!("it is the loader {name}, but it is not given a program to start"),
        (true, _) => return Ok(()),
        (false, _) => format!("it is the library {name}; what its entry point does is not known"),
    };
    Err(not_known(CauseKind::LibraryAsProgram, text))
}

/// Whether the program's readable pages are executable too: on some ABIs, those of a program without PT_GNU_STACK are.
pub(crate) fn read_implies_exec(program: &Elf, abi: &Abi) -> bool {
    match abi.read_implies_exec {
        ReadImpliesExec::Never => false,
        ReadImpliesExec::Always => true,
        ReadImpliesExec::WithoutGnuStack => !program.segments.iter().any(|segment| segment.p_type == PT_GNU_STACK),
    }
}

impl Space {
    /// Reserves the whole span of a position-independent file at once, with the first PT_LOAD's flags.
    fn reserve(&mut self, loads: &[&Segment], place: Placement) -> Result<(), Killed> {
        let mask = self.terms.page - 1;
        let Some(start) = loads.iter().map(|segment| segment.vaddr & !mask).min() else {
            return Err(killed(SEGV, CauseKind::NoLoadSegment, "it has no PT_LOAD, so nothing is mapped".to_string()));
        };
        let end = loads.iter().map(|segment| segment.vaddr.wrapping_add(segment.memsz)).max().unwrap_or(0);
        let total = end.wrapping_sub(start);
        let (space, first) = (self.terms.abi.space, loads[0]);
        let [least, most] = match place {
            Placement::Program => space.pie.map(|room| room + 1),
            Placement::Alone => space.window,
        };
        if total == 0 || total >= most {
            let text = format!("its PT_LOADs span {total:#x} bytes, which cannot be reserved");
            return Err(killed(SEGV, CauseKind::BadSegments, text));
        }
        if total > least.saturating_sub(space.shift + STACK_GAP) {
            self.doubt(
                CauseKind::AddressSpace,
                format!(
                    "its PT_LOADs span {total:#x} bytes, which may not fit, depending on the CPU and randomisation"
                ),
            );
        }
        if first.flags & PF_W != 0 {
            self.take_memory(total);
        }
        // elf_load reserves nothing for it, and uses the hint, which is 0, as the address.
        if first.filesz == 0 && place == Placement::Alone {
            self.doubt(
                CauseKind::AddressSpace,
                "its first PT_LOAD has no bytes in the file, so it is mapped at the lowest addresses".to_string(),
            );
        }
        let below = match place {
            Placement::Program => space.window[1] - space.pie[1],
            Placement::Alone => space.window[1].saturating_sub(total + STACK_GAP),
        };
        let above = if place == Placement::Program { space.pie[1] } else { space.window[1] };
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
                self.cut = self.cut.take().or(Some(self.truncated(segment)));
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
                format!("PT_LOAD at {:#x} is beyond the addresses that every CPU has", segment.vaddr),
            );
        }
        Ok(())
    }

    /// Maps the zeros after a segment's file bytes: the rest of its last page, then separate pages.
    fn clear(&mut self, segment: &Segment) -> Result<(), Killed> {
        let mask = self.terms.page - 1;
        let tail = segment.vaddr.wrapping_add(segment.filesz);
        if segment.filesz != 0 && tail & mask != 0 {
            let last_page = segment.offset.wrapping_add(segment.filesz) & !mask;
            if segment.flags & PF_W != 0 && last_page >= self.file_size {
                let Cause { kind, text } = self.truncated(segment);
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
            // vm_brk_flags: anonymous pages are readable and writable regardless of the segment's flags. X is kept.
            let flags = PF_R | PF_W | segment.flags & PF_X;
            self.mappings.push(Mapping { start, end, flags, offset: None });
        }
        Ok(())
    }

    /// Returns `None` if mmap finds no room at these addresses.
    fn take_range(&mut self, start: u64, size: u64) -> Option<()> {
        let Room { first, below, above, is_fixed } = self.room;
        let distance = start.wrapping_sub(first);
        let is_above = distance.checked_add(size).is_some_and(|end| end <= above);
        let is_below = start < first && first - start <= below;
        let low = self.terms.abi.min_address;
        if is_fixed && start < low && !self.terms.may_map_low {
            let text = format!(
                "it is mapped at {start:#x}; below {low:#x}, a container without SYS_RAWIO can only map what the \
                 node's vm.mmap_min_addr allows"
            );
            self.doubt(CauseKind::LowAddress, text);
        }
        if size > USUAL_TASK {
            self.doubt(
                CauseKind::AddressSpace,
                format!("{size:#x} bytes at {start:#x} are more than most page tables cover"),
            );
        }
        (is_above || is_below).then_some(())
    }

    /// Counts memory that can be written, which the kernel accounts for.
    fn take_memory(&mut self, size: u64) {
        if size > MEMORY {
            let text = format!("it needs {} GiB of memory at startup, which the node may not have", size >> 30);
            self.doubt(CauseKind::Memory, text);
        }
    }

    fn doubt(&mut self, kind: CauseKind, text: String) {
        self.open.get_or_insert(Cause { kind, text });
    }

    fn truncated(&self, segment: &Segment) -> Cause {
        let end = segment.offset.saturating_add(segment.filesz);
        let text = format!(
            "the file ends at byte {}, but its PT_LOAD at {:#x} needs {end}: it is truncated",
            self.file_size, segment.vaddr
        );
        Cause { kind: CauseKind::Truncated, text }
    }
}

fn incongruent(segment: &Segment, page: u64) -> Killed {
    // A file that fits no page size is broken; one that fits 4 KiB was linked for pages of that size.
    if (segment.offset.wrapping_sub(segment.vaddr)) & 0xfff != 0 {
        let text =
            format!("PT_LOAD at {:#x} is at offset {:#x}, which no page size can map", segment.vaddr, segment.offset);
        return killed(SEGV, CauseKind::BadSegments, text);
    }
    let text = format!(
        "PT_LOAD at {:#x} is at offset {:#x}, which {} pages cannot map: it was linked for smaller pages",
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
        format!("PT_LOAD at {:#x} is beyond the address space or the file", segment.vaddr),
    )
}

/// "16 KiB".
pub(crate) fn kib(page: u64) -> String {
    format!("{} KiB", page >> 10)
}

#[cfg(test)]
#[path = "map/tests.rs"]
mod tests;
