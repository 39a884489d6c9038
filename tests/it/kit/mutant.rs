//! Programs for mutation: they consist of traps, so that any instruction at which they start shows that they ran. Also
//! a small deterministic generator of mutations.

use super::elf::{ElfBuilder, Field, Phdr, edit_phdr, set};

const PT_GNU_STACK: u32 = 0x6474_e551;
/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    /// Returns a value that tends to break formats: a flipped bit, a neighbouring value, an extreme, or a random one.
    pub fn change(&mut self, byte: u8) -> u8 {
        match self.below(6) {
            0 => byte ^ 1 << self.below(8),
            1 => byte.wrapping_add(1),
            2 => byte.wrapping_sub(1),
            3 => 0,
            4 => 0xff,
            _ => self.roll() as u8,
        }
    }

    /// Changes one to three bytes among the first `len`.
    pub fn mutate(&mut self, bytes: &mut [u8], len: usize) {
        for _ in 0..1 + self.below(3) {
            let at = self.below(len.min(bytes.len()));
            bytes[at] = self.change(bytes[at]);
        }
    }
}

/// An instruction that ends the process with a distinctive signal, and that signal.
pub fn trap(machine: u16) -> (Vec<u8>, i32) {
    match machine {
        // int3, of every width.
        62 | 3 | 6 => (vec![0xcc; 4], libc::SIGTRAP),
        // brk #0
        183 => (0xd420_0000_u32.to_le_bytes().to_vec(), libc::SIGTRAP),
        // udf in Arm and in Thumb code
        40 => (0xe7ff_defe_u32.to_le_bytes().to_vec(), libc::SIGILL),
        // c.ebreak; c.ebreak
        243 => (vec![0x02, 0x90, 0x02, 0x90], libc::SIGTRAP),
        // trap
        21 => (0x7fe0_0008_u32.to_le_bytes().to_vec(), libc::SIGTRAP),
        // .insn of zeros: not a valid operation
        22 => (vec![0, 0, 0, 0], libc::SIGILL),
        other => panic!("no trap for machine {other}"),
    }
}

/// A program with one readable page of headers and one page of traps.
pub fn program(builder: ElfBuilder, page: usize) -> Vec<u8> {
    let machine = builder.machine;
    let base = if builder.e_type == 2 { 0x40_0000 } else { 0 };
    let vaddr = base + page as u64;
    let size = page as u64;
    let code = Phdr { p_type: 1, flags: 5, offset: size, vaddr, filesz: size, memsz: size, align: size };
    let stack = Phdr { p_type: PT_GNU_STACK, flags: 6, align: 16, ..Phdr::default() };
    let mut bytes = builder.extra(code).extra(stack).build();
    let first = super::elf::phdrs(&bytes).iter().position(|phdr| phdr.p_type == 1).expect("a PT_LOAD");
    edit_phdr(&mut bytes, first, |phdr| (phdr.flags, phdr.filesz, phdr.memsz) = (4, size, size));
    assert!(bytes.len() < page, "the headers fit into the first page");
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let trap = trap(machine).0;
    let rest = 2 * page - bytes.len();
    bytes.extend(trap.iter().cycle().take(rest));
    set(&mut bytes, Field::Entry, vaddr);
    bytes
}
