//! Finds the `node_module` structure of an older module of Node.js. A constructor registers it, and no symbol names its
//! version. Source: Node.js's node.h `struct node_module`, `NODE_MODULE_X`.

use super::code::{ElfBinary, Pointer};

/// Offsets of the structure's fields on 64-bit systems: the version, flags, a handle, the source file, the function that
/// initialises the module, its variant with a context, and the name.
const FLAGS: u64 = 4;
const HANDLE: u64 = 8;
const FILE: u64 = 16;
const INITIALISERS: [u64; 2] = [24, 32];
const NAME: u64 = 40;
/// NODE_MODULE_VERSION is 11 in Node.js 0.10, and 137 in 24.
const VERSIONS: std::ops::RangeInclusive<u64> = 11..=999;
const SOURCES: [&[u8]; 5] = [b".cc", b".cpp", b".cxx", b".c", b".h"];

/// The version of the module that is the whole file `bytes`. `None` unless exactly one structure is found.
pub fn version(bytes: &[u8]) -> Option<u32> {
    let binary = ElfBinary::parse(bytes).filter(|binary| binary.word_size() == 8)?;
    let mut versions = binary.own_pointers().filter_map(|(at, file)| structure(&binary, at, file));
    let version = versions.next()?;
    versions.next().is_none().then_some(version)
}

/// The version of the structure whose field with the source file is at the address `at`.
fn structure(binary: &ElfBinary<'_>, at: u64, file: u64) -> Option<u32> {
    let file = binary.text(file)?;
    SOURCES.iter().any(|end| file.ends_with(end)).then_some(())?;
    let start = at.checked_sub(FILE)?;
    let pointer = |offset: u64| binary.pointer(start.checked_add(offset)?).filter(|to| *to != Pointer::Here(0));
    let name = match pointer(NAME)? {
        Pointer::Here(name) => binary.text(name)?,
        Pointer::Import(_) => return None,
    };
    let version = binary.initial(start, 4)?;
    let is_structure = VERSIONS.contains(&version)
        && binary.initial(start + FLAGS, 4)? < 16
        && binary.initial(start + HANDLE, 8)? == 0
        && !name.is_empty()
        && name.iter().all(u8::is_ascii_graphic)
        && INITIALISERS.iter().any(|offset| pointer(*offset).is_some());
    is_structure.then(|| u32::try_from(version).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library with one structure at 0x300. `relocated`: the fields that have a relocation.
    fn module(version: u32, machine: u16, relocated: &[u64]) -> Vec<u8> {
        const PT_LOAD: u32 = 1;
        const PT_DYNAMIC: u32 = 2;
        const DT_RELA: u64 = 7;
        const DT_RELASZ: u64 = 8;
        /// R_X86_64_RELATIVE and R_AARCH64_RELATIVE by machine.
        const RELATIVE: [(u16, u64); 2] = [(62, 8), (183, 1027)];
        let mut bytes = vec![0; 0x400];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, b"\x7fELF\x02\x01");
        put(16, &3u16.to_le_bytes());
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
