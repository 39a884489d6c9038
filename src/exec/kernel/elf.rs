//! The kernel's ELF loaders: exactly the checks that they make, in their order. Source: fs/binfmt_elf.c
//! `load_elf_binary`, fs/compat_binfmt_elf.c, arch/*/include/asm/elf.h of Linux 6.12.

use crate::exec::kernel::assumed::AssumedFacts;
use crate::exec::kernel::exec_error::{ExecError, refuse};
use crate::exec::kernel::property;
use crate::exec::{CauseKind, Errno};
use crate::inspect::{Elf, FileKind, PT_INTERP};
use crate::platform::compat::{Abi, ArchCheck, KernelCompat, LoaderNeed};
use crate::platform::{Arch, Class, Endian};

const MAGIC: &[u8] = b"\x7fELF";
/// Source: include/uapi/linux/limits.h PATH_MAX.
const PATH_MAX: u64 = 4096;
const TABLE_MAX: u64 = 65536;

/// The header's fields as one loader reads them: in its kernel's byte order and its own class, regardless of `e_ident`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub e_type: u16,
    pub machine: u16,
    pub entry: u64,
    pub flags: u32,
    pub phentsize: u16,
    pub phnum: u16,
    /// EI_CLASS.
    pub class: u8,
    pub osabi: u8,
}

impl Header {
    pub(crate) fn read(head: &[u8; 256], class: Class, endian: Endian) -> Header {
        let number = |at: usize, width: usize| {
            let bytes = head[at..at + width].iter();
            let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
            if endian == Endian::Big { bytes.fold(0, push) } else { bytes.rev().fold(0, push) }
        };
        let half = |at| number(at, 2) as u16;
        let (word, flags, phentsize) = if class == Class::Elf64 { (8, 48, 54) } else { (4, 36, 42) };
        Header {
            e_type: half(16),
            machine: half(18),
            entry: number(24, word),
            flags: number(flags, 4) as u32,
            phentsize: half(phentsize),
            phnum: half(phentsize + 2),
            class: head[4],
            osabi: head[7],
        }
    }
}

/// `elf_check_arch`, without the node's properties.
pub(crate) fn is_arch(abi: &Abi, header: &Header) -> bool {
    let class = if abi.class == Class::Elf64 { 2 } else { 1 };
    abi.machines.contains(&header.machine)
        && (!abi.checks_class || header.class == class)
        && match abi.rule {
            ArchCheck::None => true,
            ArchCheck::ArmEabi => header.flags & 0xff00_0000 != 0,
            ArchCheck::Arm => is_arm(header),
            ArchCheck::Mips32 => is_mips32(header.flags),
            ArchCheck::Alpha => header.flags & 1 == 0,
            // EF_SH_FDPIC.
            ArchCheck::SuperH => header.flags & 0x8000 == 0,
        }
}

/// arch/arm/kernel/elf.c `elf_check_arch`, and `elf_check_fdpic` of its asm/elf.h. Every CPU since ARMv4T has Thumb.
/// None since ARMv3 has the 26-bit mode of APCS-26. Old-ABI VFP code needs VFP, which is assumed to exist.
fn is_arm(header: &Header) -> bool {
    let is_aligned = header.entry & 1 == 1 || header.entry & 3 == 0;
    let is_apcs_26 = header.flags & 0xff00_0000 == 0 && header.flags & 0x08 != 0;
    is_aligned && !is_apcs_26 && header.osabi != 65
}

/// Source: arch/mips/include/asm/elf.h `elf32_check_arch`; EF_MIPS_ABI2 is n32, EF_MIPS_ABI_O32 or none is o32.
fn is_mips32(flags: u32) -> bool {
    let abi = flags & 0xf000;
    if flags & 0x20 != 0 { abi == 0 } else { abi == 0 || abi == 0x1000 }
}

/// A program that a loader accepted and maps next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AcceptedProgram {
    pub abi: &'static Abi,
    pub header: Header,
}

/// Runs the native loader's checks, then the 32-bit one's, on a file that may or may not be ELF, up to its PT_INTERP.
pub(crate) fn accept(
    elf: &Elf,
    kernel: &'static KernelCompat,
    facts: &mut AssumedFacts<'_>,
) -> Result<AcceptedProgram, ExecError> {
    let native = std::slice::from_ref(&kernel.native);
    let refusal = match check(elf, native, facts) {
        Err(refusal) if refusal.errno == Errno::ENOEXEC && !kernel.compat.is_empty() => refusal,
        other => return other,
    };
    // The loader that reads files of this class gives the better reason.
    let is_native = elf.class == kernel.native.class;
    match check(elf, kernel.compat, facts) {
        Err(other)
            if other.errno == Errno::ENOEXEC && (is_native || other.cause.kind == CauseKind::ForeignArchitecture) =>
        {
            Err(refusal)
        }
        other => other,
    }
}

/// Runs one loader's checks. `abis` are the ones that its `elf_check_arch` accepts; they share class and byte order.
fn check(elf: &Elf, abis: &'static [Abi], facts: &mut AssumedFacts<'_>) -> Result<AcceptedProgram, ExecError> {
    let first = &abis[0];
    let header = Header::read(&elf.head, first.class, first.endian);
    if &elf.head[..4] != MAGIC {
        return Err(refuse(Errno::ENOEXEC, CauseKind::NotElf, "its first four bytes are not the ELF magic"));
    }
    let matching = || abis.iter().filter(|abi| abi.machines.contains(&header.machine));
    if matching().next().is_none() {
        return Err(refuse(Errno::ENOEXEC, CauseKind::ForeignArchitecture, format!("it is {}", elf.describe())));
    }
    if !matches!(header.e_type, 2 | 3) {
        return Err(refuse(Errno::ENOEXEC, CauseKind::NotAProgram, what_type(header.e_type)));
    }
    let Some(abi) = matching().find(|abi| is_arch(abi, &header) && facts.has(abi.needs)) else {
        return Err(not_taken(matching().next().expect("one matched above"), &header));
    };
    check_table(elf, abi, &header, facts)?;
    Ok(AcceptedProgram { abi, header })
}

/// Explains why a loader that supports the machine refuses the file.
fn not_taken(abi: &Abi, header: &Header) -> ExecError {
    if !is_arch(abi, header) {
        let text = format!(
            "its ELF header declares {}, but with class {}, flags {:#x}, entry {:#x}, which this kernel refuses",
            abi.arch.name(),
            header.class,
            header.flags,
            header.entry
        );
        return refuse(Errno::ENOEXEC, CauseKind::RefusedHeader, text);
    }
    match abi.needs {
        LoaderNeed::Aarch32 => {
            refuse(Errno::ENOEXEC, CauseKind::NoAarch32, "a 32-bit Arm program; this node runs 64-bit programs only")
        }
        LoaderNeed::Ia32 => refuse(
            Errno::ENOEXEC,
            CauseKind::NoIa32,
            "an i386 program; this node's kernel does not run 32-bit programs",
        ),
        LoaderNeed::X32 => {
            refuse(Errno::ENOEXEC, CauseKind::NoX32, "an x32 program; this node's kernel does not run x32 programs")
        }
        _ => refuse(
            Errno::ENOEXEC,
            CauseKind::NoCompat,
            format!("a program for {}; this node's kernel runs 64-bit programs only", abi.arch.name()),
        ),
    }
}

/// `load_elf_phdrs`: the program header table's shape, before anything in it.
fn check_table(elf: &Elf, abi: &Abi, header: &Header, facts: &mut AssumedFacts<'_>) -> Result<(), ExecError> {
    let entry = if abi.class == Class::Elf64 { 56 } else { 32 };
    if header.phentsize != entry {
        let text =
            format!("its program headers are declared as {} bytes each; this kernel expects {entry}", header.phentsize);
        return Err(refuse(Errno::ENOEXEC, CauseKind::CorruptElf, text));
    }
    let bytes = u64::from(header.phnum) * u64::from(entry);
    let is_over = bytes > TABLE_MAX || (bytes > 4096 && bytes > facts.page() && facts.bounds_table_by_page());
    if bytes == 0 || is_over {
        return Err(refuse(Errno::ENOEXEC, CauseKind::CorruptElf, format!("it has {} program headers", header.phnum)));
    }
    if !elf.has_whole_table || (elf.class, elf.endian) != (abi.class, abi.endian) {
        return Err(refuse(
            Errno::ENOEXEC,
            CauseKind::Truncated,
            format!("the file ends (at byte {}) before its program headers do", elf.size),
        ));
    }
    Ok(())
}

/// The path in PT_INTERP, NUL stripped. Only the first PT_INTERP counts.
pub(crate) fn loader_path(elf: &Elf) -> Result<Option<&[u8]>, ExecError> {
    let Some(segment) = elf.segments.iter().find(|segment| segment.p_type == PT_INTERP) else { return Ok(None) };
    if segment.filesz > PATH_MAX || segment.filesz < 2 {
        return Err(refuse(
            Errno::ENOEXEC,
            CauseKind::BadLoaderPath,
            format!("its PT_INTERP is {} bytes long", segment.filesz),
        ));
    }
    // vfs_read checks the position itself, before the file system does.
    if segment.offset > i64::MAX as u64 - segment.filesz {
        return Err(refuse(
            Errno::EINVAL,
            CauseKind::Truncated,
            format!("its PT_INTERP is at offset {:#x}", segment.offset),
        ));
    }
    let Some(bytes) = elf.interp.as_deref().filter(|bytes| bytes.len() as u64 == segment.filesz) else {
        return Err(refuse(Errno::EIO, CauseKind::Truncated, "its PT_INTERP is beyond the end of the file"));
    };
    if bytes.last() != Some(&0) {
        return Err(refuse(Errno::ENOEXEC, CauseKind::BadLoaderPath, "its PT_INTERP does not end in a NUL"));
    }
    Ok(Some(bytes.split(|byte| *byte == 0).next().unwrap_or(b"")))
}

/// Checks the loader's own file. `size` is in bytes; `kind` is `None` if nothing is known about the file.
pub(crate) fn check_loader<'a>(
    kind: Option<&'a FileKind>,
    size: u64,
    program: &AcceptedProgram,
    kernel: &'static KernelCompat,
    facts: &mut AssumedFacts<'_>,
) -> Result<&'a Elf, ExecError> {
    let abi = program.abi;
    let header_size = if abi.class == Class::Elf64 { 64 } else { 52 };
    if size < header_size {
        let text = format!("the loader's file is {size} bytes long, less than an ELF header");
        return Err(refuse(Errno::EIO, CauseKind::TruncatedLoader, text));
    }
    let Some(FileKind::Elf(elf)) = kind else {
        return Err(refuse(Errno::ELIBBAD, CauseKind::BadLoader, "the loader's file is not an ELF file"));
    };
    let header = Header::read(&elf.head, abi.class, abi.endian);
    let group: &[Abi] =
        if std::ptr::eq(abi, &kernel.native) { std::slice::from_ref(&kernel.native) } else { kernel.compat };
    if !group.iter().any(|abi| is_arch(abi, &header) && facts.has(abi.needs)) {
        let text = format!("the loader is {}; the program needs one for {}", elf.describe(), abi.arch.name());
        return Err(refuse(Errno::ELIBBAD, CauseKind::ForeignLoader, text));
    }
    check_table(elf, abi, &header, facts).map_err(|refusal| ExecError { errno: Errno::ELIBBAD, ..refusal })?;
    Ok(elf)
}

/// The architecture's last checks before the point of no return. Source: `parse_elf_properties` (arm64 alone selects
/// ARCH_USE_GNU_PROPERTY), arch/mips/kernel/elf.c.
pub(crate) fn check_last(
    program: &Elf,
    loader: Option<&Elf>,
    abi: &Abi,
    kernel: &KernelCompat,
) -> Result<(), ExecError> {
    if matches!(kernel.arch, Arch::Arm64 | Arch::Arm64be) {
        property::check(loader.unwrap_or(program), abi)?;
    }
    let is_mips = matches!(kernel.arch, Arch::Mips | Arch::Mipsle | Arch::Mips64 | Arch::Mips64le);
    if let (true, Some(loader)) = (is_mips, loader) {
        // EF_MIPS_NAN2008.
        if (program.flags ^ loader.flags) & 0x400 != 0 {
            return Err(refuse(
                Errno::ELIBBAD,
                CauseKind::ForeignLoader,
                "the loader and the program encode NaNs differently",
            ));
        }
    }
    Ok(())
}

fn what_type(e_type: u16) -> String {
    match e_type {
        1 => "an object file (ET_REL), not a program".to_string(),
        4 => "a core dump (ET_CORE), not a program".to_string(),
        other => format!("its ELF type is {other}; programs are 2 or 3"),
    }
}
