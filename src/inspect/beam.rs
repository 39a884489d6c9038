//! Compiled modules of Erlang and Elixir. A virtual machine refuses a module whose code has instructions that it does not
//! know. Source: Erlang/OTP's beam_file.c `parse_code_chunk`, lib/compiler/src/beam_asm.erl `build_file`.

use super::window::Window;

/// Maximum bytes of the table of atoms, which precedes the code.
const ATOMS: u64 = 1 << 20;
/// Size of the chunk's name, its length, and the fields up to the highest instruction.
const CODE: u64 = 20;

/// The highest number of an instruction in the module at the start of `window`. `None` if it could not be read.
pub fn highest_instruction(window: &mut Window<'_>) -> Option<u32> {
    let word = |bytes: &[u8], at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let head = window.head();
    if !(head.starts_with(b"FOR1") && matches!(head.get(8..16), Some(b"BEAMAtU8" | b"BEAMAtom"))) {
        return None;
    }
    let code = 20 + u64::from(word(head, 16)?).checked_next_multiple_of(4)?;
    if code > ATOMS {
        return None;
    }
    window.want(0, code + CODE);
    window.pass_wanted();
    let chunk = window.get(code, CODE)?;
    if !chunk.starts_with(b"Code") {
        return None;
    }
    word(chunk, 16)
}

#[cfg(test)]
pub mod tests {
    use crate::inspect::{FileKind, inspect};

    /// A module whose highest instruction has this number.
    pub fn beam(highest: u32) -> Vec<u8> {
        let atoms = [7; 1000];
        let mut file = b"FOR1\0\0\0\0BEAMAtU8".to_vec();
        file.extend(998u32.to_be_bytes());
        file.extend(atoms);
        file.extend(b"Code\0\0\0\x40");
        for field in [16, 0, highest, 1, 1] {
            file.extend(u32::to_be_bytes(field));
        }
        file
    }

    #[test]
    fn the_highest_instruction_of_a_module_is_read() {
        let read = |bytes: &[u8]| inspect(b"a/ebin/a.beam", bytes.len() as u64, false, &mut &bytes[..]);
        assert_eq!(read(&beam(182)), FileKind::Beam(182));
        assert_eq!(read(b"FOR1\0\0\0\0BEAMAtU8\xff\xff\xff\xff"), FileKind::Data);
        assert_eq!(read(&beam(182)[..1020]), FileKind::Data);
    }
}
