//! Finds the `node_module` structure of an older module of Node.js. A constructor registers it, and no symbol names its
//! version. Source: Node.js's node.h `struct node_module`, `NODE_MODULE_X`.

use scroll::{LE, Pread};

/// ELFCLASS64 and ELFDATA2LSB.
const START: &[u8] = b"\x7fELF\x02\x01";
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const RELOCATION_BYTES: usize = 24;
/// R_X86_64_RELATIVE and R_AARCH64_RELATIVE by machine.
const RELATIVE: [(u16, u64); 2] = [(62, 8), (183, 1027)];
/// Offsets of the structure's fields: the source file, the function that initialises the module, its variant with a
/// context, and the name.
const FILE: u64 = 16;
const INITIALISERS: [u64; 2] = [24, 32];
const NAME: u64 = 40;
/// NODE_MODULE_VERSION is 11 in Node.js 0.10, and 137 in 24.
const VERSIONS: std::ops::RangeInclusive<u32> = 11..=999;
const SOURCES: [&[u8]; 5] = [b".cc", b".cpp", b".cxx", b".c", b".h"];

/// The version of the module that is the whole file `bytes`. `None` unless exactly one structure is found.
pub fn version(bytes: &[u8]) -> Option<u32> {
    let image = ModuleImage::read(bytes)?;
    let versions: Vec<u32> = image.relative.iter().filter_map(|(at, file)| image.structure(*at, *file)).collect();
    match versions[..] {
        [version] => Some(version),
        _ => None,
    }
}

/// A library as its loader sees it.
struct ModuleImage<'b> {
    bytes: &'b [u8],
    /// Address, file offset and length.
    loads: Vec<(u64, u64, u64)>,
    /// Address of each relative relocation and the address that it writes, sorted.
    relative: Vec<(u64, u64)>,
    /// Addresses of all relocations, sorted.
    relocated: Vec<u64>,
}

impl<'b> ModuleImage<'b> {
    fn read(bytes: &'b [u8]) -> Option<ModuleImage<'b>> {
        bytes.starts_with(START).then_some(())?;
        let machine: u16 = bytes.pread_with(18, LE).ok()?;
        let (_, relative) = RELATIVE.into_iter().find(|(own, _)| *own == machine)?;
        let (table, count): (u64, u16) = (bytes.pread_with(32, LE).ok()?, bytes.pread_with(56, LE).ok()?);
        let mut image = ModuleImage { bytes, loads: Vec::new(), relative: Vec::new(), relocated: Vec::new() };
        let mut dynamic = None;
        for index in 0..usize::from(count) {
            let at = usize::try_from(table).ok()?.checked_add(index * 56)?;
            let word = |offset: usize| bytes.pread_with::<u64>(at.checked_add(offset)?, LE).ok();
            let segment = (word(16)?, word(8)?, word(32)?);
            match bytes.pread_with::<u32>(at, LE).ok()? {
                PT_LOAD => image.loads.push(segment),
                PT_DYNAMIC => dynamic = Some(segment),
                _ => {}
            }
        }
        let (_, offset, len) = dynamic?;
        let section = image.slice(offset, len)?;
        let value = |tag: u64| {
            let mut entries = section.chunks_exact(16).map(|entry| (word(entry, 0), word(entry, 8)));
            entries.find(|(own, _)| *own == tag).map(|(_, value)| value)
        };
        let (address, size) = (value(DT_RELA)?, value(DT_RELASZ)?);
        let start = image.offset(address)?;
        for entry in image.slice(start, size)?.chunks_exact(RELOCATION_BYTES) {
            let (at, kind, addend) = (word(entry, 0), word(entry, 8), word(entry, 16));
            image.relocated.push(at);
            if kind == relative {
                image.relative.push((at, addend));
            }
        }
        image.relative.sort_unstable();
        image.relocated.sort_unstable();
        Some(image)
    }

    /// The version of the structure whose field with the source file is at the address `at`.
    fn structure(&self, at: u64, file: u64) -> Option<u32> {
        let file = self.text(file)?;
        SOURCES.iter().any(|end| file.ends_with(end)).then_some(())?;
        let start = at.checked_sub(FILE)?;
        let head = self.slice(self.offset(start)?, FILE)?;
        let (version, flags, handle): (u32, u32, u64) =
            (head.pread_with(0, LE).ok()?, head.pread_with(4, LE).ok()?, word(head, 8));
        let is_start = VERSIONS.contains(&version) && flags < 16 && handle == 0;
        let has = |offset: u64| self.relocated.binary_search(&start.saturating_add(offset)).is_ok();
        let name = self.relative.binary_search_by_key(&start.saturating_add(NAME), |(at, _)| *at).ok();
        let name = name.and_then(|index| self.text(self.relative[index].1));
        let has_name = name.is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic));
        (is_start && has_name && INITIALISERS.iter().any(|offset| has(*offset))).then_some(version)
    }

    fn offset(&self, address: u64) -> Option<u64> {
        let mut loads = self.loads.iter();
        let (start, offset, _) = loads.find(|(start, _, len)| address >= *start && address - start < *len)?;
        offset.checked_add(address - start)
    }

    fn slice(&self, offset: u64, len: u64) -> Option<&'b [u8]> {
        let start = usize::try_from(offset).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
    }

    /// The text at an address, up to its NUL.
    fn text(&self, address: u64) -> Option<&'b [u8]> {
        let bytes = self.bytes.get(usize::try_from(self.offset(address)?).ok()?..)?;
        let len = bytes.iter().take(4096).position(|byte| *byte == 0)?;
        Some(&bytes[..len])
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.pread_with(at, LE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library with one structure at 0x300. `relocated`: the fields that have a relocation.
    fn module(version: u32, machine: u16, relocated: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, START);
        put(18, &machine.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(56, &2u16.to_le_bytes());
        for (at, kind, place, len) in [(64, PT_LOAD, 0u64, 0x400u64), (120, PT_DYNAMIC, 0x100, 48)] {
            put(at, &kind.to_le_bytes());
            put(at + 8, &place.to_le_bytes());
            put(at + 16, &(place + if kind == PT_LOAD { 0x1000 } else { 0 }).to_le_bytes());
            put(at + 32, &len.to_le_bytes());
        }
        let entries = [DT_RELA, 0x1000 + 0x180, DT_RELASZ, relocated.len() as u64 * 24, 0, 0];
        entries.iter().enumerate().for_each(|(index, word)| put(0x100 + index * 8, &word.to_le_bytes()));
        for (index, field) in relocated.iter().enumerate() {
            let text = if *field == NAME { 0x1000 + 0x220 } else { 0x1000 + 0x200 };
            let kind = RELATIVE.iter().find(|(own, _)| *own == machine).map_or(0, |(_, kind)| *kind);
            for (word, value) in [0x1000 + 0x300 + field, kind, text].iter().enumerate() {
                put(0x180 + index * 24 + word * 8, &value.to_le_bytes());
            }
        }
        put(0x200, b"../src/binding.cc\0");
        put(0x220, b"binding\0");
        put(0x300, &version.to_le_bytes());
        bytes
    }

    #[test]
    fn the_version_is_read_from_the_structure() {
        let fields = [FILE, INITIALISERS[0], NAME];
        for machine in [62, 183] {
            assert_eq!(version(&module(93, machine, &fields)), Some(93));
        }
        // Not a version, without a name, without a function, for another machine, cut off.
        assert_eq!(version(&module(1, 62, &fields)), None);
        assert_eq!(version(&module(93, 62, &[FILE, INITIALISERS[0]])), None);
        assert_eq!(version(&module(93, 62, &[FILE, NAME])), None);
        assert_eq!(version(&module(93, 40, &fields)), None);
        let whole = module(93, 62, &fields);
        for len in 0..0x180 {
            assert_eq!(version(&whole[..len]), None, "{len}");
        }
    }
}
