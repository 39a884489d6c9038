//! Reads the segments, symbols and relocated pointers of a program or library by address. Missing or malformed parts
//! are `None`.

use std::collections::HashMap;

use super::Root;

/// Maximum number of entries that are read from a symbol or relocation table.
const TABLE: usize = 4 << 20;
/// Maximum number of constructors that are searched.
const CONSTRUCTORS: usize = 4096;
/// Maximum number of roots of a file.
const ROOTS: usize = 2 * CONSTRUCTORS;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PF_X: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;
const SHT_INIT_ARRAY: u32 = 14;
const SHT_PREINIT_ARRAY: u32 = 16;
const DT_NULL: u64 = 0;
const DT_PLTRELSZ: u64 = 2;
const DT_SYMTAB: u64 = 6;
const DT_STRTAB: u64 = 5;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_INIT: u64 = 12;
const DT_JMPREL: u64 = 23;
const DT_INIT_ARRAY: u64 = 25;
const DT_INIT_ARRAYSZ: u64 = 27;
const DT_PREINIT_ARRAY: u64 = 32;
const DT_PREINIT_ARRAYSZ: u64 = 33;
/// R_X86_64_RELATIVE, R_AARCH64_RELATIVE.
const RELATIVE: [u32; 2] = [8, 1027];
/// R_X86_64_{64,GLOB_DAT,JUMP_SLOT}, R_AARCH64_{ABS64,GLOB_DAT,JUMP_SLOT}.
const SYMBOLIC: [u32; 6] = [1, 6, 7, 257, 1025, 1026];

/// Prefixes of the functions that a language's runtime calls when it loads a module. Source: CPython's
/// import_find_shared, Node-API's and Node's module headers, JNI, MRI's dln.c, R's Rdynload.c, Lua's loadlib.c, PHP's
/// `get_module`, erl_nif.h.
const MODULE_ENTRIES: &[(&str, Rest)] = &[
    ("PyInit_", Rest::Anything),
    ("napi_register_module_v", Rest::Anything),
    ("node_register_module_v", Rest::Anything),
    ("JNI_OnLoad", Rest::Nothing),
    ("Init_", Rest::Anything),
    ("R_init_", Rest::Anything),
    ("luaopen_", Rest::Anything),
    ("get_module", Rest::Nothing),
    ("nif_init", Rest::Nothing),
    ("_PG_init", Rest::Nothing),
];

/// What may follow the prefix of an entry's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// The module's name or version.
    Anything,
}

/// The instruction sets that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    X86,
    Arm64,
}

#[derive(Clone, Copy, Debug)]
struct Load {
    vaddr: u64,
    offset: u64,
    len: u64,
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
pub struct Binary<'b> {
    bytes: &'b [u8],
    pub machine: Machine,
    entry: u64,
    is_program: bool,
    loads: Vec<Load>,
    dynamic: HashMap<u64, u64>,
    /// Relocations by slot address.
    slots: HashMap<u64, Slot>,
    dynsym: Table,
    /// The unwind table's address, and the offset and number of its sorted entries.
    unwind: Option<(u64, u64, u64)>,
}

/// The value that a relocation writes into its slot.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// An address in this file.
    Address(u64),
    /// The value of the dynamic symbol with this index.
    Symbol(u32),
}

/// The file offsets of a symbol table and its strings.
#[derive(Clone, Copy, Debug, Default)]
struct Table {
    symbols: u64,
    count: u64,
    strings: u64,
}

struct Symbol {
    name: u32,
    info: u8,
    section: u16,
    value: u64,
    size: u64,
}

impl<'b> Binary<'b> {
    pub fn parse(bytes: &'b [u8]) -> Option<Binary<'b>> {
        let header = bytes.get(..64)?;
        let is_elf64le = header.starts_with(b"\x7fELF\x02\x01");
        let machine = match u16::from_le_bytes([header[18], header[19]]) {
            62 => Machine::X86,
            183 => Machine::Arm64,
            _ => return None,
        };
        let kind = u16::from_le_bytes([header[16], header[17]]);
        if !is_elf64le || !matches!(kind, 2 | 3) {
            return None;
        }
        let mut binary = Binary {
            bytes,
            machine,
            entry: u64_at(bytes, 24)?,
            is_program: false,
            loads: Vec::new(),
            dynamic: HashMap::new(),
            slots: HashMap::new(),
            dynsym: Table::default(),
            unwind: None,
        };
        let (phoff, phnum) = (u64_at(bytes, 32)?, u16_at(bytes, 56)?);
        let mut dynamic = None;
        for index in 0..u64::from(phnum) {
            let at = phoff.checked_add(index * 56)?;
            let (kind, flags) = (u32_at(bytes, at)?, u32_at(bytes, at + 4)?);
            let (offset, vaddr, len) = (u64_at(bytes, at + 8)?, u64_at(bytes, at + 16)?, u64_at(bytes, at + 32)?);
            match kind {
                PT_LOAD => binary.loads.push(Load { vaddr, offset, len, is_code: flags & PF_X != 0 }),
                PT_DYNAMIC => dynamic = Some((offset, len)),
                // Version 1, a count in four bytes, entries relative to the table in four bytes each.
                PT_GNU_EH_FRAME if bytes.get(usize::try_from(offset).ok()?..)?.starts_with(&[1, 0x1b, 3, 0x3b]) => {
                    let count = u64::from(u32_at(bytes, offset + 8)?);
                    binary.unwind = Some((vaddr, offset + 12, count.min(len / 8)));
                }
                3 => binary.is_program = true,
                _ => {}
            }
        }
        binary.is_program |= kind == 2;
        if let Some((offset, len)) = dynamic {
            for index in 0..(len / 16).min(4096) {
                let (Some(tag), Some(value)) =
                    (u64_at(bytes, offset + index * 16), u64_at(bytes, offset + index * 16 + 8))
                else {
                    break;
                };
                if tag == DT_NULL {
                    break;
                }
                binary.dynamic.insert(tag, value);
            }
        }
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

    /// The 64-bit word in the file at `address`.
    pub fn word(&self, address: u64) -> Option<u64> {
        u64_at(self.bytes, self.offset(address)?)
    }

    /// Whether a function starts at `address` according to the unwind table. Source: LSB, ".eh_frame_hdr".
    pub fn is_function_start(&self, address: u64) -> bool {
        let Some((header, table, count)) = self.unwind else { return false };
        let start = |index: u64| {
            let relative = u32_at(self.bytes, table + index * 8)? as i32;
            Some(header.wrapping_add_signed(i64::from(relative)))
        };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match start(middle) {
                Some(found) if found == address => return true,
                Some(found) if found < address => low = middle + 1,
                Some(_) => high = middle,
                None => return false,
            }
        }
        false
    }

    /// The bytes of code from `address` to the end of its segment.
    pub fn code(&self, address: u64) -> Option<&'b [u8]> {
        let load =
            self.loads.iter().find(|load| load.is_code && address >= load.vaddr && address - load.vaddr < load.len)?;
        let start = load.offset.checked_add(address - load.vaddr)?;
        let end = load.offset.checked_add(load.len)?.min(self.bytes.len() as u64);
        self.bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }

    fn dynamic_symbols(&self) -> Option<Table> {
        let symbols = self.offset(self.tag(DT_SYMTAB)?)?;
        let strings = self.offset(self.tag(DT_STRTAB)?)?;
        let counted = self.section(SHT_DYNSYM).map(|table| table.count);
        // Without section headers: every linker places the string table right after the symbols.
        let count = counted.unwrap_or_else(|| strings.saturating_sub(symbols) / 24);
        Some(Table { symbols, count: count.min(TABLE as u64), strings })
    }

    /// The address and length of the first section of a type.
    fn section_range(&self, wanted: u32) -> Option<(u64, u64)> {
        let at = self.section_header(wanted)?;
        Some((u64_at(self.bytes, at.checked_add(16)?)?, u64_at(self.bytes, at.checked_add(32)?)?))
    }

    /// The offset of the header with this index.
    fn header(&self, index: u64) -> Option<u64> {
        let (shoff, size) = (u64_at(self.bytes, 40)?, u16_at(self.bytes, 58)?);
        shoff.checked_add(index * u64::from(size))
    }

    /// The offset of the header of the first section of a type.
    fn section_header(&self, wanted: u32) -> Option<u64> {
        let count = u16_at(self.bytes, 60)?;
        let mut headers = (0..u64::from(count)).filter_map(|index| self.header(index));
        headers.find(|at| at.checked_add(4).and_then(|at| u32_at(self.bytes, at)) == Some(wanted))
    }

    fn section(&self, wanted: u32) -> Option<Table> {
        let at = self.section_header(wanted)?;
        let strings = self.header(u64::from(u32_at(self.bytes, at.checked_add(40)?)?))?;
        Some(Table {
            symbols: u64_at(self.bytes, at + 24)?,
            count: (u64_at(self.bytes, at + 32)? / 24).min(TABLE as u64),
            strings: u64_at(self.bytes, strings.checked_add(24)?)?,
        })
    }

    fn symbol(&self, table: Table, index: u64) -> Option<Symbol> {
        let at = table.symbols.checked_add(index.checked_mul(24)?)?;
        Some(Symbol {
            name: u32_at(self.bytes, at)?,
            info: *self.bytes.get(usize::try_from(at + 4).ok()?)?,
            section: u16_at(self.bytes, at + 6)?,
            value: u64_at(self.bytes, at + 8)?,
            size: u64_at(self.bytes, at + 16)?,
        })
    }

    fn name(&self, table: Table, name: u32) -> Option<&'b str> {
        let start = usize::try_from(table.strings.checked_add(u64::from(name))?).ok()?;
        let rest = self.bytes.get(start..)?;
        let end = rest.iter().take(4096).position(|byte| *byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }

    fn relocations(&self, table: u64, size: u64) -> impl Iterator<Item = (u64, u32, u32, u64)> {
        let start = self.tag(table).and_then(|address| self.offset(address));
        let count = self.tag(size).unwrap_or(0) / 24;
        let bytes = self.bytes;
        (0..count.min(TABLE as u64)).filter_map(move |index| {
            let at = start?.checked_add(index * 24)?;
            let info = u64_at(bytes, at + 8)?;
            Some((u64_at(bytes, at)?, info as u32, (info >> 32) as u32, u64_at(bytes, at + 16)?))
        })
    }

    fn read_slots(&mut self) {
        let mut slots = HashMap::new();
        for (table, size) in [(DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)] {
            slots.extend(self.relocations(table, size).filter_map(|(slot, kind, symbol, addend)| match kind {
                kind if RELATIVE.contains(&kind) => Some((slot, Slot::Address(addend))),
                kind if SYMBOLIC.contains(&kind) => Some((slot, Slot::Symbol(symbol))),
                _ => None,
            }));
        }
        self.slots = slots;
    }

    /// The pointer at `address` after the file is loaded.
    pub fn pointer(&self, address: u64) -> Option<Pointer<'b>> {
        match self.slots.get(&address) {
            Some(Slot::Address(value)) => Some(Pointer::Here(*value)),
            Some(Slot::Symbol(index)) => {
                let symbol = self.symbol(self.dynsym, u64::from(*index))?;
                match symbol.section {
                    0 => Some(Pointer::Import(self.name(self.dynsym, symbol.name)?)),
                    // STT_GNU_IFUNC: the resolver decides by the CPU.
                    _ if symbol.info & 0xf == 10 => None,
                    _ => Some(Pointer::Here(symbol.value)),
                }
            }
            // A static program, or a slot of DT_RELR, whose addend is in the file.
            None => self.word(address).map(Pointer::Here),
        }
    }

    /// The functions of this file that the pointers in `[start, start + len)` point to.
    fn functions(&self, start: u64, len: u64) -> Vec<u64> {
        let count = (len / 8).min(CONSTRUCTORS as u64);
        let pointers = (0..count).filter_map(|index| self.pointer(start.checked_add(index * 8)?));
        let here = pointers.filter_map(|pointer| match pointer {
            Pointer::Here(address) => Some(address),
            Pointer::Import(_) => None,
        });
        here.filter(|address| *address != 0 && *address != u64::MAX).collect()
    }

    /// The roots of the file, in the order in which a runtime enters them.
    pub fn roots(&self) -> Vec<(Root, u64)> {
        let mut roots = Vec::new();
        for (array, size) in [(DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ), (DT_INIT_ARRAY, DT_INIT_ARRAYSZ)] {
            if array == DT_INIT_ARRAY {
                roots.extend(self.tag(DT_INIT).map(|address| (Root::Constructor, address)));
            }
            let dynamic = self.tag(array).zip(self.tag(size));
            // A static program has no dynamic section. Its start code reads the array from the section.
            let section =
                || self.section_range(if array == DT_INIT_ARRAY { SHT_INIT_ARRAY } else { SHT_PREINIT_ARRAY });
            if let Some((start, len)) = dynamic.or_else(section) {
                roots.extend(self.functions(start, len).into_iter().map(|address| (Root::Constructor, address)));
            }
        }
        if self.is_program {
            roots.push((Root::Entry, self.entry));
        }
        for index in 1..self.dynsym.count {
            let Some(symbol) = self.symbol(self.dynsym, index) else { break };
            if symbol.section == 0 || symbol.info & 0xf != 2 {
                continue;
            }
            if roots.len() < ROOTS && self.is_module_entry(symbol.name) {
                let name = self.name(self.dynsym, symbol.name).unwrap_or_default().to_string();
                roots.push((Root::Module(name), symbol.value));
            }
        }
        roots
    }

    /// Whether a name of the dynamic symbols is a module's entry.
    fn is_module_entry(&self, name: u32) -> bool {
        let start = self.dynsym.strings.checked_add(u64::from(name)).and_then(|start| usize::try_from(start).ok());
        let Some(text) = start.and_then(|start| self.bytes.get(start..)) else { return false };
        MODULE_ENTRIES.iter().any(|(entry, rest)| match rest {
            Rest::Nothing => text.strip_prefix(entry.as_bytes()).is_some_and(|text| text.starts_with(&[0])),
            Rest::Anything => text.starts_with(entry.as_bytes()),
        })
    }

    /// The function that contains `address`, according to the symbol tables.
    pub fn function(&self, address: u64) -> Option<&'b str> {
        let tables = [self.section(SHT_SYMTAB), Some(self.dynsym)];
        tables.into_iter().flatten().find_map(|table| {
            (0..table.count).map_while(|index| self.symbol(table, index)).find_map(|symbol| {
                let is_inside =
                    symbol.info & 0xf == 2 && address >= symbol.value && address - symbol.value < symbol.size;
                is_inside.then(|| self.name(table, symbol.name)).flatten()
            })
        })
    }
}

fn u16_at(bytes: &[u8], at: u64) -> Option<u16> {
    let at = usize::try_from(at).ok()?;
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: u64) -> Option<u32> {
    let at = usize::try_from(at).ok()?;
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: u64) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
