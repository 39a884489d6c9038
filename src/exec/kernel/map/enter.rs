//! Predicts what running a mapped file's entry point does, as far as its headers show. Must never judge the code
//! itself.

use crate::exec::kernel::map::{Killed, Mapping, PF_R, PF_X, SEGV, Space, kib, killed, not_known};
use crate::exec::{Cause, CauseKind};
use crate::platform::Class;

const BUS: u8 = 7;
/// Signals other than SIGSEGV that may kill a process that jumps into pages of the kernel: SIGILL and SIGTRAP in the
/// middle of `[vdso]` and between its functions, SIGBUS in a page of `[vvar]` that does not exist. Source:
/// arch/x86/entry/vdso/vma.c `vvar_fault`, `map_vdso`.
const KERNEL_PAGES: [u8; 3] = [4, 5, BUS];
const EM_ARM: u16 = 40;

impl Space {
    /// Predicts a jump to `entry`, an address of the file.
    pub(crate) fn enter(&self, entry: u64) -> Result<(), Killed> {
        match self.run(entry) {
            // It ends this way whether or not it could be mapped.
            Err(killed) if killed.signal == Some(SEGV) => Err(killed),
            result => self.check_sure().and(result),
        }
    }

    /// Fails if it is not certain that the file can be mapped.
    pub(crate) fn check_sure(&self) -> Result<(), Killed> {
        self.open.clone().map_or(Ok(()), |Cause { kind, text }| Err(not_known(kind, text)))
    }

    /// The mapping that `address` is in, after replacements.
    fn at(&self, address: u64) -> Option<&Mapping> {
        self.mappings.iter().rev().find(|mapping| mapping.start <= address && address < mapping.end)
    }

    fn is_executable(&self, mapping: &Mapping) -> bool {
        mapping.flags & PF_X != 0 || (self.terms.read_implies_exec && mapping.flags & PF_R != 0)
    }

    /// Whether an address outside all segments may be in one of the pages that the kernel maps where it finds room:
    /// near a position-independent file, and elsewhere from the address where mmap begins to search
    /// (TASK_UNMAPPED_BASE, a third of the way up). Source: mm/util.c `arch_pick_mmap_layout`.
    fn may_be_the_kernels(&self, address: u64) -> bool {
        !self.room.is_fixed || address >= self.terms.abi.space.window[0] / 3
    }

    fn run(&self, entry: u64) -> Result<(), Killed> {
        let cpu = &self.terms.abi.cpu;
        let Some(mapping) = self.at(entry) else {
            let text = format!("its entry point {entry:#x} is outside all of its segments");
            let others = self.may_be_the_kernels(entry).then_some(KERNEL_PAGES);
            return Err(Killed { others, ..killed(SEGV, CauseKind::BadEntry, text) });
        };
        let offset = mapping.offset.map(|offset| offset + (entry - mapping.start));
        let is_beyond = offset.is_some_and(|offset| offset & !(self.terms.page - 1) >= self.file_size);
        let is_read_first = is_beyond && cpu.reads_first;
        if !self.is_executable(mapping) && !is_read_first {
            return Err(self.not_executable(entry));
        }
        // An odd address is Thumb code.
        let is_thumb = self.terms.abi.machines == [EM_ARM] && entry & 1 == 1;
        if !entry.is_multiple_of(cpu.alignment) && !is_thumb {
            let text = format!("its entry point {entry:#x} is not aligned as this CPU requires");
            return Err(killed(cpu.misaligned, CauseKind::BadEntry, text));
        }
        match offset {
            None => Err(self.run_zeros(entry)),
            Some(offset) if is_beyond => {
                let text = format!(
                    "its entry point is byte {offset} of a file that ends at byte {}: it is truncated",
                    self.file_size
                );
                Err(killed(BUS, CauseKind::Truncated, text))
            }
            Some(offset) if offset >= self.file_size || self.is_cleared(entry) => Err(self.run_zeros(entry)),
            Some(offset) => self.run_file(offset),
        }
    }

    fn is_cleared(&self, address: u64) -> bool {
        self.cleared.iter().any(|(start, end)| *start <= address && address < *end)
    }

    /// Code at this offset of the file.
    fn run_file(&self, offset: u64) -> Result<(), Killed> {
        let header = if self.terms.abi.class == Class::Elf64 { 64 } else { 52 };
        if self.headers.contains(&offset) {
            return Err(not_known(
                CauseKind::BadEntry,
                format!("its entry point is byte {offset}, in its program headers"),
            ));
        }
        if offset >= header {
            return self.cut.clone().map_or(Ok(()), |Cause { kind, text }| Err(not_known(kind, text)));
        }
        let cpu = &self.terms.abi.cpu;
        if offset == 0 && (cpu.zeros.is_some() || self.is_linked) {
            // Which byte is the first instruction to be executed depends on all of them.
            let either = if cpu.zeros.is_none() { "; running it ends in SIGSEGV or SIGILL" } else { "" };
            return Err(killed(cpu.header, CauseKind::LibraryAsProgram, format!("{AT_HEADER}{either}")));
        }
        Err(not_known(CauseKind::BadEntry, format!("its entry point is byte {offset} of its own ELF header")))
    }

    /// On CPUs where zeros do nothing, it runs on to the end of the mapping.
    fn run_zeros(&self, entry: u64) -> Killed {
        let text = format!("its entry point {entry:#x} contains no code, only zeros");
        killed(self.terms.abi.cpu.zeros.unwrap_or(SEGV), CauseKind::BadEntry, text)
    }

    /// Distinguishes code whose page another segment replaced (page size) from an entry point in a data segment.
    fn not_executable(&self, entry: u64) -> Killed {
        let covered = self.mappings.iter().filter(|mapping| mapping.start <= entry && entry < mapping.end);
        if covered.into_iter().any(|mapping| self.is_executable(mapping)) {
            let text = format!(
                "on {} pages a data segment replaces its code at {entry:#x}; it was linked for smaller pages",
                kib(self.terms.page)
            );
            return killed(SEGV, CauseKind::PageSize, text);
        }
        let at_header = self.at(entry).and_then(|mapping| Some(mapping.offset? + (entry - mapping.start))) == Some(0);
        if at_header {
            return killed(SEGV, CauseKind::LibraryAsProgram, AT_HEADER.to_string());
        }
        killed(SEGV, CauseKind::BadEntry, format!("its entry point {entry:#x} is in a segment that is not executable"))
    }
}

const AT_HEADER: &str = "its entry point is its own ELF header: it is a library, not a program";
