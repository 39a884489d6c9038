//! The architectures, one row each: every parser, printer and rule reads this table.
//! It must not contain knowledge about files (see `inspect`) or about kernels (see `compat`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Width of an ELF file's fields, by `EI_CLASS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    Elf32,
    Elf64,
}

/// Byte order of an ELF file's fields, by `EI_DATA`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Endian {
    Little,
    Big,
}

/// An instruction set and byte order that a Linux node or a program can have. The names are GOARCH's, which OCI also
/// uses; an architecture that Go does not support has its `uname -m` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Arch {
    Amd64,
    I386,
    Arm64,
    Arm64be,
    Arm,
    Armbe,
    Ppc64le,
    Ppc64,
    Ppc,
    S390x,
    S390,
    Riscv64,
    Riscv32,
    Mips64le,
    Mips64,
    Mipsle,
    Mips,
    Loong64,
    Sparc64,
    Sparc,
    M68k,
    Alpha,
    Parisc,
    Sh4,
    Ia64,
}

/// The names and properties of an architecture.
#[derive(Debug)]
pub struct ArchRow {
    pub arch: Arch,
    /// GOARCH, as `architecture` in an OCI config and index.
    pub oci: &'static str,
    /// The name in messages: "x86-64", "AArch64".
    pub name: &'static str,
    /// `e_machine` values of its programs, the usual one first.
    pub machines: &'static [u16],
    pub class: Class,
    pub endian: Endian,
    /// `uname -m` values, the usual one first.
    pub uname: &'static [&'static str],
    /// Debian's name, as in the suffixes of multiarch packages.
    pub debian: &'static str,
    /// GNU triplet of its directories (`/usr/lib/<triplet>`), the usual one first.
    pub triplets: &'static [&'static str],
    /// Other spellings in user input and file names; lower case, unique among rows.
    pub aliases: &'static [&'static str],
    /// glibc's loader, as in `PT_INTERP`.
    pub glibc_loader: &'static str,
    /// musl's loader; empty if musl has no port.
    pub musl_loader: &'static str,
}

use Arch::*;
use Class::*;
use Endian::*;

macro_rules! row {
    ($arch:ident, $oci:literal, $name:literal, $machines:expr, $class:ident, $endian:ident, $uname:expr, $debian:literal,
     $triplets:expr, $aliases:expr, $glibc:literal, $musl:literal) => {
        ArchRow {
            arch: $arch,
            oci: $oci,
            name: $name,
            machines: &$machines,
            class: $class,
            endian: $endian,
            uname: &$uname,
            debian: $debian,
            triplets: &$triplets,
            aliases: &$aliases,
            glibc_loader: $glibc,
            musl_loader: $musl,
        }
    };
}

/// Source: ELF gABI machine numbers; Go's syslist; dpkg's cputable and tupletable; glibc's shlib-versions.
#[rustfmt::skip]
pub const ARCHES: &[ArchRow] = &[
    row!(Amd64, "amd64", "x86-64", [62], Elf64, Little, ["x86_64"], "amd64", ["x86_64-linux-gnu"],
        ["x86_64", "x86-64", "x64"], "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"),
    row!(I386, "386", "i386", [3, 6], Elf32, Little, ["i686", "i586", "i486", "i386"], "i386", ["i386-linux-gnu", "i686-linux-gnu"],
        ["i386", "i486", "i586", "i686", "ia32", "x86"], "/lib/ld-linux.so.2", "/lib/ld-musl-i386.so.1"),
    row!(Arm64, "arm64", "AArch64", [183], Elf64, Little, ["aarch64"], "arm64", ["aarch64-linux-gnu"],
        ["aarch64", "arm64v8", "armv8"], "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"),
    row!(Arm64be, "arm64be", "AArch64 big-endian", [183], Elf64, Big, ["aarch64_be"], "arm64be", ["aarch64_be-linux-gnu"],
        ["aarch64_be"], "/lib/ld-linux-aarch64_be.so.1", "/lib/ld-musl-aarch64_be.so.1"),
    row!(Arm, "arm", "32-bit Arm", [40], Elf32, Little, ["armv7l", "armv6l", "armv5tel", "armv8l"], "armhf",
        ["arm-linux-gnueabihf", "arm-linux-gnueabi"],
        ["armhf", "armel", "armv5", "armv6", "armv7", "armv6l", "armv7l", "arm32v5", "arm32v6", "arm32v7", "armv5tel", "armv6hl", "armv7hl", "armv8l"],
        "/lib/ld-linux-armhf.so.3", "/lib/ld-musl-armhf.so.1"),
    row!(Armbe, "armbe", "32-bit Arm big-endian", [40], Elf32, Big, ["armv7b", "armv5teb"], "armeb", ["armeb-linux-gnueabi"],
        ["armeb"], "/lib/ld-linux.so.3", "/lib/ld-musl-armeb.so.1"),
    row!(Ppc64le, "ppc64le", "POWER little-endian", [21], Elf64, Little, ["ppc64le"], "ppc64el", ["powerpc64le-linux-gnu"],
        ["ppc64el", "powerpc64le"], "/lib64/ld64.so.2", "/lib/ld-musl-powerpc64le.so.1"),
    row!(Ppc64, "ppc64", "POWER big-endian", [21], Elf64, Big, ["ppc64"], "ppc64", ["powerpc64-linux-gnu"],
        ["powerpc64"], "/lib64/ld64.so.1", "/lib/ld-musl-powerpc64.so.1"),
    row!(Ppc, "ppc", "PowerPC", [20], Elf32, Big, ["ppc"], "powerpc", ["powerpc-linux-gnu"],
        ["powerpc"], "/lib/ld.so.1", "/lib/ld-musl-powerpc.so.1"),
    row!(S390x, "s390x", "IBM Z (s390x)", [22, 0xA390], Elf64, Big, ["s390x"], "s390x", ["s390x-linux-gnu"],
        [], "/lib/ld64.so.1", "/lib/ld-musl-s390x.so.1"),
    row!(S390, "s390", "S/390 31-bit", [22, 0xA390], Elf32, Big, ["s390"], "s390", ["s390-linux-gnu"],
        [], "/lib/ld.so.1", ""),
    row!(Riscv64, "riscv64", "RISC-V 64", [243], Elf64, Little, ["riscv64"], "riscv64", ["riscv64-linux-gnu"],
        ["riscv64gc", "rv64"], "/lib/ld-linux-riscv64-lp64d.so.1", "/lib/ld-musl-riscv64.so.1"),
    row!(Riscv32, "riscv", "RISC-V 32", [243], Elf32, Little, ["riscv32"], "riscv32", ["riscv32-linux-gnu"],
        ["riscv32", "rv32"], "/lib/ld-linux-riscv32-ilp32d.so.1", "/lib/ld-musl-riscv32.so.1"),
    row!(Mips64le, "mips64le", "MIPS64 little-endian", [8], Elf64, Little, ["mips64"], "mips64el", ["mips64el-linux-gnuabi64"],
        ["mips64el"], "/lib64/ld.so.1", "/lib/ld-musl-mips64el.so.1"),
    row!(Mips64, "mips64", "MIPS64", [8], Elf64, Big, ["mips64"], "mips64", ["mips64-linux-gnuabi64"],
        [], "/lib64/ld.so.1", "/lib/ld-musl-mips64.so.1"),
    row!(Mipsle, "mipsle", "MIPS little-endian", [8], Elf32, Little, ["mips"], "mipsel", ["mipsel-linux-gnu"],
        ["mipsel", "mips32el", "mips32le"], "/lib/ld.so.1", "/lib/ld-musl-mipsel.so.1"),
    row!(Mips, "mips", "MIPS", [8], Elf32, Big, ["mips"], "mips", ["mips-linux-gnu"],
        ["mips32"], "/lib/ld.so.1", "/lib/ld-musl-mips.so.1"),
    row!(Loong64, "loong64", "LoongArch", [258], Elf64, Little, ["loongarch64"], "loong64", ["loongarch64-linux-gnu"],
        ["loongarch64"], "/lib64/ld-linux-loongarch-lp64d.so.1", "/lib/ld-musl-loongarch64.so.1"),
    row!(Sparc64, "sparc64", "SPARC64", [43], Elf64, Big, ["sparc64"], "sparc64", ["sparc64-linux-gnu"],
        ["sparcv9"], "/lib64/ld-linux.so.2", ""),
    row!(Sparc, "sparc", "SPARC", [2, 18], Elf32, Big, ["sparc"], "sparc", ["sparc-linux-gnu"],
        [], "/lib/ld-linux.so.2", ""),
    row!(M68k, "m68k", "m68k", [4], Elf32, Big, ["m68k"], "m68k", ["m68k-linux-gnu"],
        ["68k"], "/lib/ld.so.1", "/lib/ld-musl-m68k.so.1"),
    row!(Alpha, "alpha", "Alpha", [0x9026], Elf64, Little, ["alpha"], "alpha", ["alpha-linux-gnu"],
        [], "/lib/ld-linux.so.2", ""),
    row!(Parisc, "parisc", "PA-RISC", [15], Elf32, Big, ["parisc", "parisc64"], "hppa", ["hppa-linux-gnu"],
        ["hppa"], "/lib/ld.so.1", ""),
    row!(Sh4, "sh4", "SuperH", [42], Elf32, Little, ["sh4"], "sh4", ["sh4-linux-gnu"],
        ["sh"], "/lib/ld-linux.so.2", "/lib/ld-musl-sh.so.1"),
    row!(Ia64, "ia64", "Itanium", [50], Elf64, Little, ["ia64"], "ia64", ["ia64-linux-gnu"],
        [], "/lib/ld-linux-ia64.so.2", ""),
];

impl Arch {
    /// This architecture's row.
    pub fn row(self) -> &'static ArchRow {
        ARCHES.iter().find(|row| row.arch == self).expect("every Arch has a row; a test checks them all")
    }

    /// GOARCH and OCI name: `amd64`, `386`, `arm64`.
    pub fn oci(self) -> &'static str {
        self.row().oci
    }

    /// The name in messages: `x86-64`, `AArch64`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Parses any spelling: OCI's, `uname -m`'s, Debian's, a file name's. Case is ignored.
    pub fn parse(text: &str) -> Option<Arch> {
        let text = text.to_ascii_lowercase();
        let text = text.as_str();
        let by = |hit: fn(&ArchRow, &str) -> bool| ARCHES.iter().find(|row| hit(row, text)).map(|row| row.arch);
        // An OCI name wins over another row's alias.
        by(|row, text| row.oci == text)
            .or_else(|| by(|row, text| row.debian == text || row.uname.contains(&text) || row.aliases.contains(&text)))
    }

    /// The architecture of a program with this ELF header. `None` for devices and machines without Linux.
    pub fn of_elf(machine: u16, class: Class, endian: Endian) -> Option<Arch> {
        let rows = || ARCHES.iter().filter(move |row| row.machines.contains(&machine));
        let exact = rows().find(|row| row.class == class && row.endian == endian);
        // x32 and arm64's ILP32 run on a 64-bit machine; they count as its programs, and its kernel judges them.
        let alike = || rows().filter(|row| row.endian == endian);
        exact.or_else(|| alike().next().filter(|_| alike().count() == 1)).map(|row| row.arch)
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.oci())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_name_of_a_row_reads_back_as_that_row() {
        for row in ARCHES {
            // `uname -m` does not show a MIPS kernel's byte order; there the OCI name wins.
            let is_anothers = |text: &str| ARCHES.iter().any(|other| other.oci == text && other.arch != row.arch);
            let unames = row.uname.iter().filter(|text| !is_anothers(text));
            for text in [row.oci, row.debian].iter().chain(row.aliases).chain(unames) {
                assert_eq!(Arch::parse(text), Some(row.arch), "{text}");
                assert_eq!(Arch::parse(&text.to_uppercase()), Some(row.arch), "{text}");
            }
        }
    }

    #[test]
    fn no_alias_is_in_two_rows() {
        let mut seen = BTreeMap::new();
        for row in ARCHES {
            for alias in row.aliases {
                assert_eq!(seen.insert(alias, row.arch), None, "{alias}");
            }
        }
    }

    #[test]
    fn an_elf_header_of_each_row_names_that_row() {
        for row in ARCHES {
            for machine in row.machines {
                assert_eq!(Arch::of_elf(*machine, row.class, row.endian), Some(row.arch), "{}", row.oci);
            }
        }
    }

    #[test]
    fn x32_is_an_amd64_program_and_bpf_has_no_architecture() {
        assert_eq!(Arch::of_elf(62, Class::Elf32, Endian::Little), Some(Arch::Amd64));
        assert_eq!(Arch::of_elf(183, Class::Elf32, Endian::Little), Some(Arch::Arm64));
        assert_eq!(Arch::of_elf(62, Class::Elf64, Endian::Big), None);
        assert_eq!(Arch::of_elf(247, Class::Elf64, Endian::Little), None);
        assert_eq!(Arch::of_elf(190, Class::Elf64, Endian::Little), None);
    }
}
