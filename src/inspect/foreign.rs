//! Programs of other systems: Mach-O and PE. The magic number alone is not enough: Java classes share one of them, and
//! any text may start with the other.

use scroll::{BE, LE, Pread};

use super::kind::{FileKind, MachO, Pe, mach_cpu_of};
use super::window::Window;
use crate::platform::Arch;

/// More slices than any universal file has. A Java class has its version (at least 45) in these bytes.
const FAT_LIMIT: u32 = 40;
/// The PE header follows a DOS stub of a few hundred bytes.
const PE_OFFSET_LIMIT: u64 = 64 << 10;
/// COFF header and optional header with its data directories.
const PE_HEADER_BYTES: u64 = 24 + 240;
/// Source: Microsoft's PE format, `IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR`.
const CLR_DIRECTORY: usize = 14;

/// Reads a file that starts with a magic number of Mach-O or Java. `None` if it is neither.
pub fn mach_or_java(head: &[u8]) -> Option<FileKind> {
    let word = |at: usize| head.pread_with::<u32>(at, BE).ok();
    match word(0)? {
        0xcafe_babe | 0xcafe_babf => {
            let count = word(4)?;
            if count > FAT_LIMIT || count == 0 {
                return (count >> 16 <= 0xff && count & 0xffff >= 45).then_some(FileKind::JavaClass);
            }
            let stride = if head[3] == 0xbf { 32 } else { 20 };
            let cpus = (0..count as usize).map_while(|slice| word(8 + slice * stride)).map(mach_cpu_of).collect();
            Some(FileKind::MachO(Box::new(MachO { cpus, filetype: 0 })))
        }
        magic @ (0xfeed_face | 0xfeed_facf | 0xcefa_edfe | 0xcffa_edfe) => {
            let endian = if magic >> 24 == 0xfe { BE } else { LE };
            let word = |at: usize| head.pread_with::<u32>(at, endian).ok();
            Some(FileKind::MachO(Box::new(MachO {
                cpus: vec![mach_cpu_of(word(4)?)],
                filetype: word(12).unwrap_or(0),
            })))
        }
        _ => None,
    }
}

/// Reads a file that starts with `MZ`. `None` if it is not a PE file.
pub fn pe(window: &mut Window<'_>) -> Option<Pe> {
    let offset = pe_offset(window.head())?;
    window.want(offset, PE_HEADER_BYTES);
    window.pass_wanted();
    pe_header(window.from(offset)?)
}

/// The offset of the PE header of a file that starts with `MZ`.
fn pe_offset(head: &[u8]) -> Option<u64> {
    let offset = u64::from(head.pread_with::<u32>(0x3c, LE).ok()?);
    (offset <= PE_OFFSET_LIMIT).then_some(offset)
}

/// The number of bytes up to the end of the PE header, for a file that starts with `MZ`.
pub fn pe_header_end(head: &[u8]) -> Option<usize> {
    let offset = head.strip_prefix(b"MZ").and_then(|_| pe_offset(head))?;
    usize::try_from(offset + PE_HEADER_BYTES).ok()
}

/// Reads the header that starts with `PE\0\0`.
pub fn pe_header(bytes: &[u8]) -> Option<Pe> {
    let rest = bytes.strip_prefix(b"PE\0\0")?;
    let machine = rest.pread_with::<u16>(0, LE).ok()?;
    let flags = rest.pread_with::<u16>(18, LE).unwrap_or(0);
    let optional = rest.get(20..).unwrap_or_default();
    // Data directories are at 96 in PE32 and at 112 in PE32+. The word before them is their number.
    let directories = match optional.pread_with::<u16>(0, LE) {
        Ok(0x10b) => Some(96),
        Ok(0x20b) => Some(112),
        _ => None,
    };
    let clr = directories.and_then(|at| {
        let count = optional.pread_with::<u32>(at - 4, LE).ok()? as usize;
        optional.pread_with::<u32>(at + CLR_DIRECTORY * 8, LE).ok().filter(|_| count > CLR_DIRECTORY)
    });
    let (arch, is_dotnet) = (pe_arch(machine), clr.is_some_and(|address| address != 0));
    // At the same offset in PE32 and PE32+.
    let subsystem = directories.and_then(|_| optional.pread_with::<u16>(68, LE).ok()).unwrap_or(0);
    // SizeOfCode and AddressOfEntryPoint. Without an optional header the file is assumed to have code.
    let word = |at: usize| optional.pread_with::<u32>(at, LE).unwrap_or(1);
    let has_code = word(4) != 0 || word(16) != 0;
    Some(Pe { machine, arch, is_dll: flags & 0x2000 != 0, is_dotnet, subsystem, has_code })
}

/// Source: Microsoft's PE format, "Machine Types".
fn pe_arch(machine: u16) -> Option<Arch> {
    match machine {
        0x14c => Some(Arch::I386),
        0x8664 => Some(Arch::Amd64),
        0xaa64 | 0xa641 | 0xa64e => Some(Arch::Arm64),
        0x1c0 | 0x1c2 | 0x1c4 => Some(Arch::Arm),
        0x200 => Some(Arch::Ia64),
        0x5032 => Some(Arch::Riscv32),
        0x5064 => Some(Arch::Riscv64),
        0x6264 => Some(Arch::Loong64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mach(words: &[u32], to_bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
        words.iter().flat_map(|word| to_bytes(*word)).collect()
    }

    #[test]
    fn thin_and_fat_mach_o_name_their_cpus() {
        let check = |bytes: &[u8], expected: (&[&'static str], u32)| {
            let kind = FileKind::MachO(Box::new(MachO { cpus: expected.0.to_vec(), filetype: expected.1 }));
            assert_eq!(mach_or_java(bytes), Some(kind));
        };
        check(&mach(&[0xfeed_facf, 0x0100_000c, 0, 2], u32::to_le_bytes), (&["arm64"], 2));
        check(&mach(&[0xfeed_facf, 0x0100_0007, 3, 6], u32::to_le_bytes), (&["x86_64"], 6));
        check(&mach(&[0xfeed_face, 18, 0, 2], u32::to_be_bytes), (&["ppc"], 2));
        let fat = [0xcafe_babe, 2, 0x0100_0007, 3, 0x4000, 9, 14, 0x0100_000c, 0, 0x8000, 9, 14];
        check(&mach(&fat, u32::to_be_bytes), (&["x86_64", "arm64"], 0));
    }

    #[test]
    fn a_java_class_is_not_mach_o() {
        assert_eq!(mach_or_java(&mach(&[0xcafe_babe, 52, 0, 0], u32::to_be_bytes)), Some(FileKind::JavaClass));
        // Preview features: minor version 65535.
        assert_eq!(mach_or_java(&mach(&[0xcafe_babe, 0x0003_002d], u32::to_be_bytes)), Some(FileKind::JavaClass));
        assert_eq!(mach_or_java(&mach(&[0xcafe_babe, 0], u32::to_be_bytes)), None);
    }

    #[test]
    fn a_pe_file_has_machine_library_and_clr() {
        let check = |machine: u16, flags: u16, is_plus: bool, clr: u32, expected: Pe| {
            let mut bytes = vec![0; 4 + 20 + 240];
            bytes[..4].copy_from_slice(b"PE\0\0");
            bytes[4..6].copy_from_slice(&machine.to_le_bytes());
            bytes[22..24].copy_from_slice(&flags.to_le_bytes());
            let (magic, at) = if is_plus { (0x20b_u16, 112) } else { (0x10b, 96) };
            bytes[24..26].copy_from_slice(&magic.to_le_bytes());
            bytes[24 + 68] = 10;
            bytes[24 + 4] = u8::from(expected.has_code);
            bytes[24 + at - 4..24 + at].copy_from_slice(&16_u32.to_le_bytes());
            bytes[24 + at + 14 * 8..24 + at + 14 * 8 + 4].copy_from_slice(&clr.to_le_bytes());
            assert_eq!(pe_header(&bytes), Some(expected));
        };
        check(
            0x8664,
            0x22,
            true,
            0,
            Pe {
                machine: 0x8664,
                arch: Some(Arch::Amd64),
                is_dll: false,
                is_dotnet: false,
                subsystem: 10,
                has_code: true,
            },
        );
        check(
            0xaa64,
            0x2022,
            true,
            0,
            Pe {
                machine: 0xaa64,
                arch: Some(Arch::Arm64),
                is_dll: true,
                is_dotnet: false,
                subsystem: 10,
                has_code: true,
            },
        );
        check(
            0x14c,
            0x2102,
            false,
            0x2008,
            Pe {
                machine: 0x14c,
                arch: Some(Arch::I386),
                is_dll: true,
                is_dotnet: true,
                subsystem: 10,
                has_code: false,
            },
        );
        assert_eq!(pe_header(b"PE\0"), None);
    }
}
