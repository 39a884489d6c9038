//! The instruction sets that are decoded, and the layout of their ELF files.

/// The instruction sets that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodedArch {
    X86,
    Arm64,
    Arm,
}

impl DecodedArch {
    /// The machine of a file that is searched, by the start of its header.
    pub fn from_ident(ident: &[u8]) -> Option<DecodedArch> {
        let number = u16::from_le_bytes([*ident.get(18)?, *ident.get(19)?]);
        match (ident.get(..6)?, number) {
            (b"\x7fELF\x02\x01", 62) => Some(DecodedArch::X86),
            (b"\x7fELF\x02\x01", 183) => Some(DecodedArch::Arm64),
            (b"\x7fELF\x01\x01", 40) => Some(DecodedArch::Arm),
            _ => None,
        }
    }

    pub fn layout(self) -> &'static ElfLayout {
        match self {
            DecodedArch::X86 | DecodedArch::Arm64 => &ELF64,
            DecodedArch::Arm => &ELF32,
        }
    }

    /// The relocation types that write an address of this file, those that write a symbol's value, and the one that
    /// writes what an IFUNC resolver returns.
    pub fn relocations(self) -> (u32, [u32; 3], u32) {
        match self {
            // R_X86_64_RELATIVE; R_X86_64_{64,GLOB_DAT,JUMP_SLOT}; R_X86_64_IRELATIVE, and so on.
            DecodedArch::X86 => (8, [1, 6, 7], 37),
            DecodedArch::Arm64 => (1027, [257, 1025, 1026], 1032),
            DecodedArch::Arm => (23, [2, 21, 22], 160),
        }
    }

    /// The address of an instruction without the bit that selects an instruction set.
    pub fn plain(self, address: u64) -> u64 {
        match self {
            DecodedArch::X86 | DecodedArch::Arm64 => address,
            DecodedArch::Arm => address & !1,
        }
    }
}

/// The offsets and sizes of the structures of an ELF class. Source: System V ABI, chapters 4 and 5.
#[derive(Debug)]
pub struct ElfLayout {
    /// Bytes of an address.
    pub word: u64,
    pub header: u64,
    pub phoff: u64,
    pub phnum: u64,
    pub phentsize: u64,
    pub p_flags: u64,
    pub p_offset: u64,
    pub p_vaddr: u64,
    pub p_filesz: u64,
    pub p_memsz: u64,
    pub shoff: u64,
    pub shentsize: u64,
    pub shnum: u64,
    pub sh_addr: u64,
    pub sh_offset: u64,
    pub sh_size: u64,
    pub sh_link: u64,
    pub symbol: u64,
    pub st_value: u64,
    pub st_size: u64,
    pub st_info: u64,
    pub st_shndx: u64,
    /// Bytes of a relocation: with an addend in ELF64, without one in ELF32.
    pub relocation: u64,
}

#[rustfmt::skip]
static ELF64: ElfLayout = ElfLayout {
    word: 8, header: 64, phoff: 32, phnum: 56, phentsize: 56, p_flags: 4, p_offset: 8, p_vaddr: 16, p_filesz: 32, p_memsz: 40,
    shoff: 40, shentsize: 58, shnum: 60, sh_addr: 16, sh_offset: 24, sh_size: 32, sh_link: 40,
    symbol: 24, st_value: 8, st_size: 16, st_info: 4, st_shndx: 6, relocation: 24,
};

#[rustfmt::skip]
static ELF32: ElfLayout = ElfLayout {
    word: 4, header: 52, phoff: 28, phnum: 44, phentsize: 32, p_flags: 24, p_offset: 4, p_vaddr: 8, p_filesz: 16, p_memsz: 20,
    shoff: 32, shentsize: 46, shnum: 48, sh_addr: 12, sh_offset: 16, sh_size: 20, sh_link: 24,
    symbol: 16, st_value: 4, st_size: 8, st_info: 12, st_shndx: 14, relocation: 8,
};

/// The little-endian word at this offset.
#[inline]
pub fn word_in(machine: DecodedArch, bytes: &[u8], at: u64) -> Option<u64> {
    match machine {
        DecodedArch::X86 | DecodedArch::Arm64 => u64_at(bytes, at),
        DecodedArch::Arm => u32_at(bytes, at).map(u64::from),
    }
}

#[inline]
pub fn u16_at(bytes: &[u8], at: u64) -> Option<u16> {
    let at = usize::try_from(at).ok()?;
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[inline]
pub fn u32_at(bytes: &[u8], at: u64) -> Option<u32> {
    let at = usize::try_from(at).ok()?;
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[inline]
pub fn u64_at(bytes: &[u8], at: u64) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
