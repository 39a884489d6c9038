//! Which ELF programs each architecture's kernel starts: one row per kernel, taken from its `asm/elf.h`.
//! Tables only: other facts about a file, and other reasons for a failure, are outside this module.

use super::{Arch, Class, Endian, Fact, Node};

/// One ELF loader of a kernel: the native one, or the additional 32-bit one (fs/compat_binfmt_elf.c).
#[derive(Debug)]
pub struct Abi {
    /// The architecture of its programs.
    pub arch: Arch,
    pub class: Class,
    pub endian: Endian,
    /// `e_machine` values that `elf_check_arch` accepts.
    pub machines: &'static [u16],
    /// `elf_check_arch` also compares EI_CLASS. Most do not.
    pub checks_class: bool,
    /// Other conditions of `elf_check_arch`.
    pub rule: ArchCheck,
    /// The property that the node needs for this loader to accept anything.
    pub needs: LoaderNeed,
    pub space: AddressSpace,
    /// Lowest address for a program that may map low pages (CAP_SYS_RAWIO).
    /// Source: arch/arm/include/asm/mman.h `arch_mmap_check`.
    pub first_address: u64,
    /// Upper limit of vm.mmap_min_addr, from which on others may map pages. Source: mm/Kconfig DEFAULT_MMAP_MIN_ADDR.
    pub min_address: u64,
    /// When readable pages of a program without PT_GNU_STACK are executable: `elf_read_implies_exec`.
    pub read_implies_exec: ReadImpliesExec,
    pub cpu: Cpu,
}

/// The addresses that a program's files can occupy. Each value is a minimum and a maximum over the architecture's
/// kernels and CPUs: three to five levels of page tables. Source: arch/*/include/asm/processor.h, asm/elf.h of Linux
/// 6.12.
#[derive(Clone, Copy, Debug)]
pub struct AddressSpace {
    /// TASK_SIZE: the first address above the program's.
    pub task: [u64; 2],
    /// DEFAULT_MAP_WINDOW: the end of the range in which mmap chooses addresses.
    pub window: [u64; 2],
    /// Bytes from ELF_ET_DYN_BASE, the base of programs with a loader, to STACK_TOP.
    pub pie: [u64; 2],
    /// Maximum bytes by which randomization moves a program up and the stack down, together: ARCH_MMAP_RND_BITS_MAX of
    /// arch/*/Kconfig in pages, and STACK_RND_MASK.
    pub shift: u64,
}

/// Conditions of `elf_check_arch` in addition to the machine and class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchCheck {
    None,
    /// arch/arm/kernel/elf.c: the entry must be Thumb or word aligned; ELFOSABI_ARM_FDPIC belongs to another loader.
    Arm,
    /// arch/arm64/kernel/process.c `compat_elf_check_arch`: OABI programs (EABI version 0) are rejected.
    ArmEabi,
    /// arch/mips/include/asm/elf.h `elf32_check_arch`: o32 or n32 by `e_flags`.
    Mips32,
    /// arch/alpha/include/asm/elf.h: not EF_ALPHA_32BIT.
    Alpha,
    /// arch/sh/include/asm/elf.h: EF_SH_FDPIC belongs to another loader.
    SuperH,
}

/// The property of a node that a loader depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoaderNeed {
    Nothing,
    Ia32,
    X32,
    Aarch32,
    /// CONFIG_COMPAT of a kernel. Distributions differ on it, and [`Node`] has no property for it.
    Compat,
}

/// When readable pages are executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadImpliesExec {
    Never,
    WithoutGnuStack,
    /// The CPU has no separate execute permission, or may not have one.
    Always,
}

/// How the architecture's CPUs react to invalid code.
#[derive(Debug)]
pub struct Cpu {
    /// Signal for an instruction of zero bytes; `None` if zeros do nothing and execution runs on into the bytes after
    /// them.
    pub zeros: Option<u8>,
    /// Signal for executing the ELF header itself, as a library with an entry of 0 does.
    pub header: u8,
    /// An entry address that is not a multiple of this (Thumb's excepted) raises `misaligned`. 1: any is accepted.
    pub alignment: u64,
    pub misaligned: u8,
    /// The page fault handler reads the file before it checks execute permission, so that a page past the end of the
    /// file raises SIGBUS first. Source: arch/x86/mm/fault.c `access_error`; others check VM_EXEC first.
    pub reads_first: bool,
}

/// The programs that a kernel of one architecture starts.
#[derive(Debug)]
pub struct KernelCompat {
    pub arch: Arch,
    pub native: Abi,
    pub compat: &'static [Abi],
    /// Page sizes that its kernels are built with; the most common one in distributions comes first.
    pub page_sizes: &'static [u64],
}

const SEGV: u8 = 11;
const ILL: u8 = 4;
const BUS: u8 = 7;

const K4: u64 = 4 << 10;
const K8: u64 = 8 << 10;
const K16: u64 = 16 << 10;
const K32: u64 = 32 << 10;
const K64: u64 = 64 << 10;

/// `add %al,(%rax)` on a zero register; the header jumps to the same instruction inside itself.
const X86: Cpu = Cpu { zeros: Some(SEGV), header: SEGV, alignment: 1, misaligned: SEGV, reads_first: true };
const A64: Cpu = Cpu { zeros: Some(ILL), header: ILL, alignment: 4, misaligned: BUS, reads_first: false };
/// Zeros are `andeq r0, r0, r0`; the header is conditional instructions that do nothing, then bad loads. The return to
/// the program drops the address's low bits.
const A32: Cpu = Cpu { zeros: None, header: SEGV, alignment: 1, misaligned: BUS, reads_first: false };
const RISCV: Cpu = Cpu { zeros: Some(ILL), header: ILL, alignment: 2, misaligned: SEGV, reads_first: false };
const POWER: Cpu = Cpu { zeros: Some(ILL), header: ILL, alignment: 1, misaligned: BUS, reads_first: false };
const Z: Cpu = Cpu { zeros: Some(ILL), header: ILL, alignment: 2, misaligned: ILL, reads_first: false };
const MIPS: Cpu = Cpu { zeros: None, header: ILL, alignment: 4, misaligned: BUS, reads_first: false };
const OTHER: Cpu = Cpu { zeros: Some(ILL), header: ILL, alignment: 1, misaligned: BUS, reads_first: false };

use Class::{Elf32, Elf64};
use Endian::{Big, Little};

/// An address space of the same size on every kernel of the architecture.
const fn space(class: Class, task: u64) -> AddressSpace {
    let (pie, shift) = match class {
        Elf64 => (task / 3, task / 4),
        Elf32 => (task - 0x40_0000, 1 << 29),
    };
    AddressSpace { task: [task; 2], window: [task; 2], pie: [pie; 2], shift }
}

const BIT_47: u64 = 1 << 47;
const STACK_SHIFT: u64 = 1 << 34;
/// Four or five levels of page tables; the stack is below the end of four.
const AMD64_SPACE: AddressSpace =
    AddressSpace { task: [BIT_47 - K4, (1 << 56) - K4], shift: (1 << 44) + STACK_SHIFT, ..space(Elf64, BIT_47 - K4) };
/// VA_BITS of 47 (16 KiB pages) to 52.
const ARM64_SPACE: AddressSpace = AddressSpace {
    task: [BIT_47, 1 << 52],
    window: [BIT_47, 1 << 48],
    pie: [BIT_47 / 3, (1 << 48) / 3],
    shift: (1 << 45) + STACK_SHIFT,
};
/// Sv39 to Sv57.
const RISCV64_SPACE: AddressSpace = AddressSpace {
    task: [1 << 38, 1 << 56],
    window: [1 << 38, BIT_47],
    pie: [(1 << 38) / 3, BIT_47 / 3],
    shift: (1 << 36) + STACK_SHIFT,
};
/// Programs with a loader start at 4 GiB.
const PPC64_SPACE: AddressSpace = AddressSpace {
    task: [BIT_47, 1 << 52],
    window: [BIT_47; 2],
    pie: [BIT_47 - (1 << 32); 2],
    shift: (1 << 45) + STACK_SHIFT,
};
/// mmap adds page tables on demand; the stack is below the end of three levels.
const S390X_SPACE: AddressSpace =
    AddressSpace { pie: [(1 << 42) / 3; 2], shift: 1 << 31, ..space(Elf64, 0xffff_ffff_ffff_f000) };

const fn abi(arch: Arch, class: Class, endian: Endian, machines: &'static [u16], task_size: u64, cpu: Cpu) -> Abi {
    let space = space(class, task_size);
    let (rule, needs) = (ArchCheck::None, LoaderNeed::Nothing);
    let read_implies_exec = ReadImpliesExec::Never;
    Abi {
        arch,
        class,
        endian,
        machines,
        checks_class: false,
        rule,
        needs,
        space,
        first_address: 0,
        min_address: K64,
        read_implies_exec,
        cpu,
    }
}

const IA32: Abi = Abi {
    needs: LoaderNeed::Ia32,
    read_implies_exec: ReadImpliesExec::WithoutGnuStack,
    ..abi(Arch::I386, Elf32, Little, &[3, 6], 0xffff_e000, X86)
};
const X32: Abi = Abi { needs: LoaderNeed::X32, ..abi(Arch::Amd64, Elf32, Little, &[62], 0xffff_e000, X86) };
/// The kernel's own page in 32-bit programs. Source: arch/arm64/include/asm/vdso.h AARCH32_VECTORS_BASE.
const VECTORS: u64 = 0xffff_0000;
const AARCH32: Abi = Abi {
    rule: ArchCheck::ArmEabi,
    min_address: K32,
    needs: LoaderNeed::Aarch32,
    read_implies_exec: ReadImpliesExec::WithoutGnuStack,
    ..abi(Arch::Arm, Elf32, Little, &[40], VECTORS, A32)
};
const AARCH32_BE: Abi = Abi { arch: Arch::Armbe, endian: Big, ..AARCH32 };
const fn mips(arch: Arch, class: Class, endian: Endian) -> Abi {
    let (task_size, rule, needs) = match class {
        Elf64 => (1 << 40, ArchCheck::None, LoaderNeed::Nothing),
        Elf32 => (0x7fff_8000, ArchCheck::Mips32, LoaderNeed::Nothing),
    };
    let read_implies_exec = ReadImpliesExec::Always;
    Abi { checks_class: true, rule, needs, read_implies_exec, ..abi(arch, class, endian, &[8], task_size, MIPS) }
}
const MIPS_COMPAT: Abi = Abi { needs: LoaderNeed::Compat, ..mips(Arch::Mips, Elf32, Big) };
const MIPSLE_COMPAT: Abi = Abi { needs: LoaderNeed::Compat, ..mips(Arch::Mipsle, Elf32, Little) };
const RISCV32: Abi =
    Abi { checks_class: true, needs: LoaderNeed::Compat, ..abi(Arch::Riscv32, Elf32, Little, &[243], 1 << 31, RISCV) };
const PPC32: Abi = Abi {
    needs: LoaderNeed::Compat,
    read_implies_exec: ReadImpliesExec::WithoutGnuStack,
    ..abi(Arch::Ppc, Elf32, Big, &[20], 0xffff_f000, POWER)
};
const S390_31: Abi =
    Abi { checks_class: true, needs: LoaderNeed::Compat, ..abi(Arch::S390, Elf32, Big, &[22, 0xA390], 1 << 31, Z) };
const SPARC32: Abi = Abi { needs: LoaderNeed::Nothing, ..abi(Arch::Sparc, Elf32, Big, &[2, 18], 0xf000_0000, OTHER) };

/// One row per kernel. Source: arch/*/include/asm/elf.h, arch/*/kernel/{elf,process}.c of Linux 6.12; page sizes from
/// arch/*/Kconfig.
pub static KERNELS: &[KernelCompat] = &[
    KernelCompat {
        arch: Arch::Amd64,
        native: Abi { space: AMD64_SPACE, ..abi(Arch::Amd64, Elf64, Little, &[62], BIT_47, X86) },
        compat: &[IA32, X32],
        page_sizes: &[K4],
    },
    KernelCompat {
        arch: Arch::I386,
        native: Abi {
            read_implies_exec: ReadImpliesExec::WithoutGnuStack,
            ..abi(Arch::I386, Elf32, Little, &[3, 6], 0xc000_0000, X86)
        },
        compat: &[],
        page_sizes: &[K4],
    },
    KernelCompat {
        arch: Arch::Arm64,
        native: Abi { space: ARM64_SPACE, ..abi(Arch::Arm64, Elf64, Little, &[183], BIT_47, A64) },
        compat: &[AARCH32],
        page_sizes: &[K4, K16, K64],
    },
    KernelCompat {
        arch: Arch::Arm64be,
        native: Abi { space: ARM64_SPACE, ..abi(Arch::Arm64be, Elf64, Big, &[183], BIT_47, A64) },
        compat: &[AARCH32_BE],
        page_sizes: &[K4, K16, K64],
    },
    KernelCompat {
        arch: Arch::Arm,
        native: Abi {
            rule: ArchCheck::Arm,
            first_address: 2 * K4,
            min_address: K32,
            read_implies_exec: ReadImpliesExec::WithoutGnuStack,
            ..abi(Arch::Arm, Elf32, Little, &[40], 0xbf00_0000, A32)
        },
        compat: &[],
        page_sizes: &[K4],
    },
    KernelCompat {
        arch: Arch::Armbe,
        native: Abi {
            rule: ArchCheck::Arm,
            first_address: 2 * K4,
            min_address: K32,
            read_implies_exec: ReadImpliesExec::WithoutGnuStack,
            ..abi(Arch::Armbe, Elf32, Big, &[40], 0xbf00_0000, A32)
        },
        compat: &[],
        page_sizes: &[K4],
    },
    KernelCompat {
        arch: Arch::Ppc64le,
        native: Abi { space: PPC64_SPACE, ..abi(Arch::Ppc64le, Elf64, Little, &[21], BIT_47, POWER) },
        compat: &[],
        page_sizes: &[K64, K4],
    },
    KernelCompat {
        arch: Arch::Ppc64,
        native: Abi { space: PPC64_SPACE, ..abi(Arch::Ppc64, Elf64, Big, &[21], BIT_47, POWER) },
        compat: &[PPC32],
        page_sizes: &[K64, K4],
    },
    KernelCompat {
        arch: Arch::Ppc,
        native: abi(Arch::Ppc, Elf32, Big, &[20], 0xc000_0000, POWER),
        compat: &[],
        page_sizes: &[K4, K16, K64],
    },
    KernelCompat {
        arch: Arch::S390x,
        native: Abi {
            checks_class: true,
            space: S390X_SPACE,
            ..abi(Arch::S390x, Elf64, Big, &[22, 0xA390], BIT_47, Z)
        },
        compat: &[S390_31],
        page_sizes: &[K4],
    },
    // Linux 4.1 removed 31-bit kernels.
    KernelCompat {
        arch: Arch::S390,
        native: Abi { checks_class: true, ..abi(Arch::S390, Elf32, Big, &[22, 0xA390], 1 << 31, Z) },
        compat: &[],
        page_sizes: &[K4],
    },
    KernelCompat {
        arch: Arch::Riscv64,
        native: Abi {
            checks_class: true,
            space: RISCV64_SPACE,
            ..abi(Arch::Riscv64, Elf64, Little, &[243], 1 << 38, RISCV)
        },
        compat: &[RISCV32],
        page_sizes: &[K4],
    },
    KernelCompat {
        arch: Arch::Riscv32,
        native: Abi { checks_class: true, ..abi(Arch::Riscv32, Elf32, Little, &[243], 0x9dc0_0000, RISCV) },
        compat: &[],
        page_sizes: &[K4],
    },
    KernelCompat {
        arch: Arch::Mips64le,
        native: mips(Arch::Mips64le, Elf64, Little),
        compat: &[MIPSLE_COMPAT],
        page_sizes: &[K4, K16, K64],
    },
    KernelCompat {
        arch: Arch::Mips64,
        native: mips(Arch::Mips64, Elf64, Big),
        compat: &[MIPS_COMPAT],
        page_sizes: &[K4, K16, K64],
    },
    KernelCompat {
        arch: Arch::Mipsle,
        native: mips(Arch::Mipsle, Elf32, Little),
        compat: &[],
        page_sizes: &[K4, K16, K64],
    },
    KernelCompat { arch: Arch::Mips, native: mips(Arch::Mips, Elf32, Big), compat: &[], page_sizes: &[K4, K16, K64] },
    KernelCompat {
        arch: Arch::Loong64,
        native: Abi { checks_class: true, ..abi(Arch::Loong64, Elf64, Little, &[258], 1 << 47, OTHER) },
        compat: &[],
        page_sizes: &[K16, K4, K64],
    },
    KernelCompat {
        arch: Arch::Sparc64,
        native: abi(Arch::Sparc64, Elf64, Big, &[43], 1 << 43, OTHER),
        compat: &[SPARC32],
        page_sizes: &[K8],
    },
    KernelCompat { arch: Arch::Sparc, native: SPARC32, compat: &[], page_sizes: &[K4] },
    KernelCompat {
        arch: Arch::M68k,
        native: abi(Arch::M68k, Elf32, Big, &[4], 0xf000_0000, OTHER),
        compat: &[],
        page_sizes: &[K4, K8],
    },
    KernelCompat {
        arch: Arch::Alpha,
        native: Abi { rule: ArchCheck::Alpha, ..abi(Arch::Alpha, Elf64, Little, &[0x9026], 1 << 42, OTHER) },
        compat: &[],
        page_sizes: &[K8],
    },
    KernelCompat {
        arch: Arch::Parisc,
        native: Abi { checks_class: true, ..abi(Arch::Parisc, Elf32, Big, &[15], 0xfff0_0000, OTHER) },
        compat: &[],
        page_sizes: &[K4],
    },
    KernelCompat {
        arch: Arch::Sh4,
        native: Abi { rule: ArchCheck::SuperH, ..abi(Arch::Sh4, Elf32, Little, &[42], 0x7c00_0000, OTHER) },
        compat: &[],
        page_sizes: &[K4, K8, K64],
    },
    KernelCompat {
        arch: Arch::Ia64,
        native: abi(Arch::Ia64, Elf64, Little, &[50], 1 << 53, OTHER),
        compat: &[],
        page_sizes: &[K16, K64],
    },
];

/// The kernel of a node's architecture.
pub fn kernel(arch: Arch) -> &'static KernelCompat {
    KERNELS.iter().find(|row| row.arch == arch).expect("every Arch has a row; a test checks them all")
}

impl LoaderNeed {
    /// Whether the node has the property.
    pub fn met(self, node: &Node) -> Fact<bool> {
        match self {
            LoaderNeed::Nothing => Fact::Known(true),
            LoaderNeed::Ia32 => node.ia32,
            LoaderNeed::X32 => node.x32,
            LoaderNeed::Aarch32 => node.aarch32,
            LoaderNeed::Compat => Fact::Unknown,
        }
    }

    /// The open question if the property is unknown, and how a user can answer it.
    pub fn question(self) -> &'static str {
        match self {
            LoaderNeed::Nothing => "",
            LoaderNeed::Ia32 => {
                "it is not known whether this node's kernel runs i386 programs; set ia32=yes or ia32=no"
            }
            LoaderNeed::X32 => "it is not known whether this node's kernel runs x32 programs",
            LoaderNeed::Aarch32 => {
                "it is not known whether this node's CPU and kernel run 32-bit Arm programs; set aarch32=yes or aarch32=no"
            }
            LoaderNeed::Compat => "it is not known whether this node's kernel runs 32-bit programs (CONFIG_COMPAT)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::arch::ARCHES;
    use super::*;

    #[test]
    fn every_architecture_has_a_kernel_that_takes_its_own_programs() {
        for row in ARCHES {
            let native = &kernel(row.arch).native;
            assert_eq!((native.class, native.endian), (row.class, row.endian), "{}", row.oci);
            assert_eq!(native.machines, row.machines, "{}", row.oci);
            assert!(!kernel(row.arch).page_sizes.is_empty());
        }
    }

    #[test]
    fn a_compat_loader_is_for_another_architectures_programs_or_for_x32() {
        for kernel in KERNELS {
            for abi in kernel.compat {
                assert!(abi.arch != kernel.arch || abi.needs == LoaderNeed::X32, "{}", kernel.arch);
                assert_eq!((abi.class, abi.endian), (Elf32, kernel.native.endian), "{}", kernel.arch);
            }
        }
    }
}
