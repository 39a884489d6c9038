//! Reads the segments, symbols and relocated pointers of a program or library by address. Missing or malformed parts
//! are `None`.

use std::collections::HashMap;

use super::CodeRoot;
use super::entries::is_module_entry;
use super::layout::{DecodedArch, ElfLayout, u16_at, u32_at, u64_at, word_in};

/// Maximum number of entries that are read from a symbol or relocation table.
const TABLE: usize = 4 << 20;
/// Maximum number of constructors that are searched.
const CONSTRUCTORS: usize = 4096;
/// Maximum number of roots of a file.
const ROOTS: usize = 2 * CONSTRUCTORS;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PF_X: u32 = 1;
const SHT_RELA: u32 = 4;
const SHT_REL: u32 = 9;
const SHT_DYNSYM: u32 = 11;
const SHT_INIT_ARRAY: u32 = 14;
const SHT_PREINIT_ARRAY: u32 = 16;
const DT_NULL: u64 = 0;
const DT_PLTRELSZ: u64 = 2;
const DT_SYMTAB: u64 = 6;
const DT_STRTAB: u64 = 5;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_REL: u64 = 17;
const DT_RELSZ: u64 = 18;
const DT_INIT: u64 = 12;
const DT_JMPREL: u64 = 23;
const DT_INIT_ARRAY: u64 = 25;
const DT_INIT_ARRAYSZ: u64 = 27;
const DT_PREINIT_ARRAY: u64 = 32;
const DT_PREINIT_ARRAYSZ: u64 = 33;
const DT_SONAME: u64 = 14;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;

#[derive(Clone, Copy, Debug)]
struct LoadedSegment {
    vaddr: u64,
    offset: u64,
    /// Bytes in the file, and in memory, where the rest is zero.
    len: u64,
    memory: u64,
    is_code: bool,
}

/// The target of a pointer in memory after relocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer<'b> {
    Here(u64),
    /// A symbol of another file.
    Import(&'b str),
}

#[derive(Debug)]
pub struct ElfBinary<'b> {
    bytes: &'b [u8],
    pub machine: DecodedArch,
    layout: &'static ElfLayout,
    entry: u64,
    is_program: bool,
    /// Whether a loader runs the constructors before the program's entry point.
    is_interpreted: bool,
    loads: Vec<LoadedSegment>,
    dynamic: HashMap<u64, u64>,
    /// Relocations, sorted by slot address. The last one for an address applies.
    slots: Vec<(u64, RelocatedValue)>,
    pub dynsym: SymbolOffsets,
    /// The unwind table's address, and the offset and number of its sorted entries.
    unwind: Option<(u64, u64, u64)>,
}

/// The value that a relocation writes into its slot.
#[derive(Clone, Copy, Debug)]
enum RelocatedValue {
    /// An address in this file.
    Address(u64),
    /// The value of the dynamic symbol with this index.
    Symbol(u32),
    /// What an IFUNC resolver returns, which depends on the CPU.
    Resolved,
}

/// The file offsets of a symbol table and its strings.
#[derive(Clone, Copy, Debug, Default)]
pub struct SymbolOffsets {
    symbols: u64,
    pub count: u64,
    strings: u64,
}

pub struct Symbol {
    pub name: u32,
    pub info: u8,
    section: u16,
    pub value: u64,
    pub size: u64,
}

impl<'b> ElfBinary<'b> {
    pub fn parse(bytes: &'b [u8]) -> Option<ElfBinary<'b>> {
        let machine = DecodedArch::from_ident(bytes)?;
        let layout = machine.layout();
        bytes.get(..usize::try_from(layout.header).ok()?)?;
        let kind = u16_at(bytes, 16)?;
        if !matches!(kind, 2 | 3) {
            return None;
        }
        let mut binary = ElfBinary {
            bytes,
            machine,
            layout,
            entry: 0,
            is_program: false,
            is_interpreted: false,
            loads: Vec::new(),
            dynamic: HashMap::new(),
            slots: Vec::new(),
            dynsym: SymbolOffsets::default(),
            unwind: None,
        };
        binary.entry = binary.word_at(24)?;
        let (phoff, phnum) = (binary.word_at(layout.phoff)?, u16_at(bytes, layout.phnum)?);
        let mut dynamic = None;
        for index in 0..u64::from(phnum) {
            let at = phoff.checked_add(index * layout.phentsize)?;
            let (kind, flags) = (u32_at(bytes, at)?, u32_at(bytes, at.checked_add(layout.p_flags)?)?);
            let field = |offset: u64| binary.word_at(at.checked_add(offset)?);
            let (offset, vaddr, len) = (field(layout.p_offset)?, field(layout.p_vaddr)?, field(layout.p_filesz)?);
            match kind {
                PT_LOAD => {
                    let memory = field(layout.p_memsz)?;
                    binary.loads.push(LoadedSegment { vaddr, offset, len, memory, is_code: flags & PF_X != 0 });
                }
                PT_DYNAMIC => dynamic = Some((offset, len)),
                // Version 1, a count in four bytes, entries relative to the table in four bytes each.
                PT_GNU_EH_FRAME if bytes.get(usize::try_from(offset).ok()?..)?.starts_with(&[1, 0x1b, 3, 0x3b]) => {
                    let count = u64::from(u32_at(bytes, offset.checked_add(8)?)?);
                    binary.unwind = Some((vaddr, offset.checked_add(12)?, count.min(len / 8)));
                }
                PT_INTERP => binary.is_interpreted = true,
                _ => {}
            }
        }
        if let Some((offset, len)) = dynamic {
            let word = layout.word;
            for index in 0..(len / (2 * word)).min(4096) {
                let Some(at) = offset.checked_add(index * 2 * word) else { break };
                let (Some(tag), Some(value)) =
                    (binary.word_at(at), at.checked_add(word).and_then(|at| binary.word_at(at)))
                else {
                    break;
                };
                if tag == DT_NULL {
                    break;
                }
                binary.dynamic.insert(tag, value);
            }
        }
        // A static PIE has no interpreter.
        let is_pie = binary.tag(DT_FLAGS_1).is_some_and(|flags| flags & DF_1_PIE != 0);
        // A library that can also be run, such as libc.so.6, is entered only if it is the program.
        let is_library = binary.tag(DT_SONAME).is_some();
        binary.is_program = kind == 2 || (binary.is_interpreted && !is_library) || is_pie;
        binary.dynsym = binary.dynamic_symbols().unwrap_or_default();
        binary.read_slots();
        Some(binary)
    }

    fn tag(&self, tag: u64) -> Option<u64> {
        self.dynamic.get(&tag).copied()
    }

    /// The file offset of an address, if the file contains its bytes.
    fn offset(&self, address: u64) -> Option<u64> {
        let load = self.loads.iter().find(|load| address >= load.vaddr && address - load.vaddr < load.len)?;
        load.offset.checked_add(address - load.vaddr)
    }

    /// The size of a pointer in bytes.
    pub fn word_size(&self) -> u64 {
        self.layout.word
    }

    /// The word in the file at this offset.
    fn word_at(&self, at: u64) -> Option<u64> {
        word_in(self.machine, self.bytes, at)
    }

    /// The word in the file at `address`.
    pub fn word(&self, address: u64) -> Option<u64> {
        self.word_at(self.offset(address)?)
    }

    /// The number that the variable at `address` contains after the file is loaded. `None` for pointers.
    pub fn initial(&self, address: u64, size: u64) -> Option<u64> {
        let next = self.slots.partition_point(|(slot, _)| *slot < address);
        if self.slots.get(next).is_some_and(|(slot, _)| slot - address < size) {
            return None;
        }
        let is_zero = |load: &LoadedSegment| {
            address >= load.vaddr + load.len.min(load.memory) && address - load.vaddr < load.memory
        };
        match self.offset(address) {
            Some(at) => {
                let at = usize::try_from(at).ok()?;
                let bytes = self.bytes.get(at..at.checked_add(usize::try_from(size).ok()?)?)?;
                Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
            }
            None => self.loads.iter().any(is_zero).then_some(0),
        }
    }

    /// Whether it contains the C library that it runs with.
    pub fn is_static_program(&self) -> bool {
        self.is_program && !self.is_interpreted
    }

    /// Whether the file lists where its functions start.
    pub fn lists_functions(&self) -> bool {
        self.unwind.is_some()
    }

    /// Whether a function starts at `address` according to the unwind table. Source: LSB, ".eh_frame_hdr".
    pub fn is_function_start(&self, address: u64) -> bool {
        address > 0 && self.function_after(address - 1) == Some(address)
    }

    /// The start of the first function after `address` according to the unwind table.
    pub fn function_after(&self, address: u64) -> Option<u64> {
        let (header, table, count) = self.unwind?;
        let start = |index: u64| {
            let relative = u32_at(self.bytes, table + index * 8)? as i32;
            Some(header.wrapping_add_signed(i64::from(relative)))
        };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if start(middle)? <= address { low = middle + 1 } else { high = middle }
        }
        if low < count { start(low) } else { None }
    }

    /// The bytes of code from `address` to the end of its segment.
    pub fn code(&self, address: u64) -> Option<&'b [u8]> {
        let address = self.machine.plain(address);
        let load =
            self.loads.iter().find(|load| load.is_code && address >= load.vaddr && address - load.vaddr < load.len)?;
        let start = load.offset.checked_add(address - load.vaddr)?;
        let end = load.offset.checked_add(load.len)?.min(self.bytes.len() as u64);
        self.bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }

    /// The file offset at which the last segment ends.
    pub fn loaded_end(&self) -> u64 {
        self.loads.iter().map(|load| load.offset.saturating_add(load.len)).max().unwrap_or(0)
    }

    /// The addresses and bytes of the executable segments.
    pub fn segments(&self) -> Vec<(u64, &'b [u8])> {
        let code = self.loads.iter().filter(|load| load.is_code);
        code.filter_map(|load| Some((load.vaddr, self.code(load.vaddr)?))).collect()
    }

    fn dynamic_symbols(&self) -> Option<SymbolOffsets> {
        let symbols = self.offset(self.tag(DT_SYMTAB)?)?;
        let strings = self.offset(self.tag(DT_STRTAB)?)?;
        let counted = self.section(SHT_DYNSYM).map(|table| table.count);
        // Without section headers: every linker places the string table right after the symbols.
        let count = counted.unwrap_or_else(|| strings.saturating_sub(symbols) / self.layout.symbol);
        Some(SymbolOffsets { symbols, count: count.min(TABLE as u64), strings })
    }

    /// The address and length of the first section of a type.
    fn section_range(&self, wanted: u32) -> Option<(u64, u64)> {
        let at = self.section_header(wanted)?;
        let field = |offset: u64| self.word_at(at.checked_add(offset)?);
        Some((field(self.layout.sh_addr)?, field(self.layout.sh_size)?))
    }

    /// The offset of the header with this index.
    fn header(&self, index: u64) -> Option<u64> {
        let (shoff, size) = (self.word_at(self.layout.shoff)?, u16_at(self.bytes, self.layout.shentsize)?);
        shoff.checked_add(index * u64::from(size))
    }

    /// The offset of the header of the first section of a type.
    fn section_header(&self, wanted: u32) -> Option<u64> {
        let count = u16_at(self.bytes, self.layout.shnum)?;
        let mut headers = (0..u64::from(count)).filter_map(|index| self.header(index));
        headers.find(|at| at.checked_add(4).and_then(|at| u32_at(self.bytes, at)) == Some(wanted))
    }

    pub fn section(&self, wanted: u32) -> Option<SymbolOffsets> {
        let at = self.section_header(wanted)?;
        let field = |at: u64, offset: u64| self.word_at(at.checked_add(offset)?);
        let strings = self.header(u64::from(u32_at(self.bytes, at.checked_add(self.layout.sh_link)?)?))?;
        Some(SymbolOffsets {
            symbols: field(at, self.layout.sh_offset)?,
            count: (field(at, self.layout.sh_size)? / self.layout.symbol).min(TABLE as u64),
            strings: field(strings, self.layout.sh_offset)?,
        })
    }

    pub fn symbol(&self, table: SymbolOffsets, index: u64) -> Option<Symbol> {
        let layout = self.layout;
        let at = usize::try_from(table.symbols.checked_add(index.checked_mul(layout.symbol)?)?).ok()?;
        let entry = self.bytes.get(at..at.checked_add(layout.symbol as usize)?)?;
        Some(Symbol {
            name: u32_at(entry, 0)?,
            info: entry[layout.st_info as usize],
            section: u16_at(entry, layout.st_shndx)?,
            value: word_in(self.machine, entry, layout.st_value)?,
            size: word_in(self.machine, entry, layout.st_size)?,
        })
    }

    pub fn name(&self, table: SymbolOffsets, name: u32) -> Option<&'b str> {
        std::str::from_utf8(self.text_at(table.strings.checked_add(u64::from(name))?)?).ok()
    }

    fn text_at(&self, at: u64) -> Option<&'b [u8]> {
        let rest = self.bytes.get(usize::try_from(at).ok()?..)?;
        let end = rest.iter().take(4096).position(|byte| *byte == 0)?;
        Some(&rest[..end])
    }

    /// The text at `address` in the file, up to its NUL.
    pub fn text(&self, address: u64) -> Option<&'b [u8]> {
        self.text_at(self.offset(address)?)
    }

    /// The relocated pointers into this file: the address of each, and the one that it contains.
    pub fn own_pointers(&self) -> impl Iterator<Item = (u64, u64)> {
        self.slots.iter().filter_map(|(slot, value)| match value {
            RelocatedValue::Address(address) => Some((*slot, *address)),
            RelocatedValue::Symbol(_) | RelocatedValue::Resolved => None,
        })
    }

    /// The file offsets and sizes of the relocation tables. A static program has only the one for its IFUNCs.
    fn relocation_tables(&self) -> Vec<(u64, u64)> {
        let (data, section) = match self.machine {
            DecodedArch::X86 | DecodedArch::Arm64 => ((DT_RELA, DT_RELASZ), SHT_RELA),
            DecodedArch::Arm => ((DT_REL, DT_RELSZ), SHT_REL),
        };
        if self.dynamic.is_empty() {
            let range = self.section_range(section).and_then(|(start, size)| Some((self.offset(start)?, size)));
            return range.into_iter().collect();
        }
        let table = |(table, size): (u64, u64)| Some((self.offset(self.tag(table)?)?, self.tag(size)?));
        [data, (DT_JMPREL, DT_PLTRELSZ)].into_iter().filter_map(table).collect()
    }

    /// The relocations of a table: slot, type, symbol, addend.
    fn relocations(&self, start: u64, size: u64) -> impl Iterator<Item = (u64, u32, u32, u64)> {
        let start = usize::try_from(start).ok();
        let entries = start.and_then(|start| self.bytes.get(start..)).unwrap_or_default();
        let count = size / self.layout.relocation;
        let entries = entries.chunks_exact(self.layout.relocation as usize).take(count.min(TABLE as u64) as usize);
        entries.filter_map(|entry| match self.machine {
            DecodedArch::X86 | DecodedArch::Arm64 => {
                let info = u64_at(entry, 8)?;
                Some((u64_at(entry, 0)?, info as u32, (info >> 32) as u32, u64_at(entry, 16)?))
            }
            // The addend is in the slot.
            DecodedArch::Arm => {
                let (slot, info) = (u64::from(u32_at(entry, 0)?), u32_at(entry, 4)?);
                Some((slot, info & 0xff, info >> 8, self.word(slot)?))
            }
        })
    }

    fn read_slots(&mut self) {
        let mut slots: Vec<(u64, RelocatedValue)> = Vec::new();
        let (relative, symbolic, resolved) = self.machine.relocations();
        for (start, size) in self.relocation_tables() {
            let bytes = size.min(self.bytes.len() as u64);
            slots.reserve((bytes / self.layout.relocation).min(TABLE as u64) as usize);
            for (slot, kind, symbol, addend) in self.relocations(start, size) {
                if kind == relative {
                    slots.push((slot, RelocatedValue::Address(addend)));
                } else if symbolic.contains(&kind) {
                    slots.push((slot, RelocatedValue::Symbol(symbol)));
                } else if kind == resolved {
                    slots.push((slot, RelocatedValue::Resolved));
                }
            }
        }
        slots.sort_by_key(|(slot, _)| *slot);
        self.slots = slots;
    }

    fn slot(&self, address: u64) -> Option<RelocatedValue> {
        let after = self.slots.partition_point(|(slot, _)| *slot <= address);
        let (slot, value) = self.slots.get(after.checked_sub(1)?)?;
        (*slot == address).then_some(*value)
    }

    /// The pointer at `address` after the file is loaded.
    pub fn pointer(&self, address: u64) -> Option<Pointer<'b>> {
        match self.slot(address) {
            Some(RelocatedValue::Address(value)) => Some(Pointer::Here(value)),
            Some(RelocatedValue::Symbol(index)) => {
                let symbol = self.symbol(self.dynsym, u64::from(index))?;
                match symbol.section {
                    0 => Some(Pointer::Import(self.name(self.dynsym, symbol.name)?)),
                    // STT_GNU_IFUNC: the resolver decides by the CPU.
                    _ if symbol.info & 0xf == 10 => None,
                    _ => Some(Pointer::Here(symbol.value)),
                }
            }
            Some(RelocatedValue::Resolved) => None,
            // A static program, or a slot of DT_RELR, whose addend is in the file.
            None => self.word(address).map(Pointer::Here),
        }
    }

    /// The functions of this file that the pointers in `[start, start + len)` point to.
    fn functions(&self, start: u64, len: u64) -> Vec<u64> {
        let word = self.layout.word;
        let count = (len / word).min(CONSTRUCTORS as u64);
        let pointers = (0..count).filter_map(|index| self.pointer(start.checked_add(index * word)?));
        let here = pointers.filter_map(|pointer| match pointer {
            Pointer::Here(address) => Some(address),
            Pointer::Import(_) => None,
        });
        let end = if word == 8 { u64::MAX } else { u64::from(u32::MAX) };
        here.filter(|address| *address != 0 && *address != end).collect()
    }

    /// The roots of the file, in the order in which a runtime enters them.
    pub fn roots(&self) -> Vec<(CodeRoot, u64)> {
        let mut roots = Vec::new();
        for (array, size) in [(DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ), (DT_INIT_ARRAY, DT_INIT_ARRAYSZ)] {
            if array == DT_INIT_ARRAY {
                roots.extend(self.tag(DT_INIT).map(|address| (CodeRoot::Constructor, address)));
            }
            let dynamic = self.tag(array).zip(self.tag(size));
            // A static program has no dynamic section. Its start code reads the array from the section.
            let section =
                || self.section_range(if array == DT_INIT_ARRAY { SHT_INIT_ARRAY } else { SHT_PREINIT_ARRAY });
            if let Some((start, len)) = dynamic.or_else(section) {
                roots.extend(self.functions(start, len).into_iter().map(|address| (CodeRoot::Constructor, address)));
            }
        }
        if self.is_program {
            // The start code of a static program calls its constructors.
            let at = if self.is_interpreted { roots.len() } else { 0 };
            roots.insert(at, (CodeRoot::Entry, self.entry));
        }
        for index in 1..self.dynsym.count {
            let Some(symbol) = self.symbol(self.dynsym, index) else { break };
            if symbol.section == 0 || symbol.info & 0xf != 2 {
                continue;
            }
            if roots.len() < ROOTS && self.is_module_entry(symbol.name) {
                let name = self.name(self.dynsym, symbol.name).unwrap_or_default().to_string();
                roots.push((CodeRoot::Module(name), symbol.value));
            }
        }
        roots
    }

    /// Whether a name of the dynamic symbols is a module's entry.
    fn is_module_entry(&self, name: u32) -> bool {
        let start = self.dynsym.strings.checked_add(u64::from(name)).and_then(|start| usize::try_from(start).ok());
        start.and_then(|start| self.bytes.get(start..)).is_some_and(is_module_entry)
    }
}
