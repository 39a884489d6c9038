//! The kinds of files as they are written. A field that is added to a kind does not compile here until it is written too;
//! then the cache's version changes with it.

use super::wire::Wire;
use crate::inspect::{
    Ar, ArmAttributes, Dynamic, Elf, FileKind, GoBuild, IsaNotes, Language, MachO, Native, NpmPackage, Packing, Pe,
    Script, Segment, Shebang, ShebangError, TextStart, Zip, mach_cpu,
};
use crate::platform::{Arch, Capabilities, Class, Endian, FileCapabilities};

macro_rules! record {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let $name { $($field),* } = self;
                $($field.put(out);)*
            }

            fn take(from: &mut &[u8]) -> Option<$name> {
                $(let $field = Wire::take(from)?;)*
                Some($name { $($field),* })
            }
        }
    )*};
}

macro_rules! choice {
    ($($name:ident { $($tag:literal $variant:ident $(($value:ident))? $({ $($field:ident),* })?;)* })*) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($name::$variant $(($value))? $({ $($field),* })? => {
                        out.push($tag);
                        $($value.put(out);)?
                        $($($field.put(out);)*)?
                    })*
                }
            }

            fn take(from: &mut &[u8]) -> Option<$name> {
                match u8::take(from)? {
                    $($tag => {
                        $(let $value = Wire::take(from)?;)?
                        $($(let $field = Wire::take(from)?;)*)?
                        Some($name::$variant $(($value))? $({ $($field),* })?)
                    })*
                    _ => None,
                }
            }
        }
    )*};
}

choice! {
    FileKind {
        0 Empty;
        1 Elf(elf);
        2 Script(script);
        3 MachO(macho);
        4 Pe(pe);
        5 Wasm;
        6 JavaClass;
        7 Ar(ar);
        8 Zip(zip);
        9 Packed(packing);
        10 LlvmBitcode;
        11 LfsPointer;
        12 Html;
        13 Text(start);
        14 Wheel(tags);
        15 NpmPackage(package);
        16 Config(text);
        17 Data;
    }
    TextStart {
        0 Plain;
        1 BomShebang;
        2 BlankShebang;
        3 ErrorPage(line);
        4 Source(language);
    }
    Language {
        0 C;
        1 Go;
        2 Java;
        3 JavaScript;
        4 Php;
        5 Python;
        6 Rust;
    }
    Packing {
        0 Gzip;
        1 Xz;
        2 Zstd;
        3 Bzip2;
        4 Tar;
        5 Zip;
    }
    ShebangError {
        0 Empty;
        1 TooLong;
    }
    Native {
        0 Elf { machine, arch, e_type };
        1 MachO;
        2 Pe { machine };
    }
    Class {
        0 Elf32;
        1 Elf64;
    }
    Endian {
        0 Little;
        1 Big;
    }
    FileCapabilities {
        0 Sound { permitted, is_effective, root };
        1 Malformed;
    }
}

record! {
    Elf {
        head, size, class, endian, e_type, machine, flags, entry, phoff, phentsize, phnum, osabi, segments, has_whole_table,
        interp, interp_missing, dynamic, isa, property, is_debug_only, go
    }
    Segment { p_type, flags, offset, vaddr, filesz, memsz, align }
    Dynamic { needed, soname, rpath, runpath, is_pie, no_default_lib, wants, offers, is_partial }
    IsaNotes { x86_needed, x86_used, arm, riscv }
    ArmAttributes { cpu_arch, profile, fp_arch, simd, vfp_args }
    GoBuild { version, settings }
    Script { shebang, text, is_whole }
    Shebang { interpreter, argument }
    MachO { cpus, filetype }
    Pe { machine, arch, is_dll, is_dotnet, subsystem }
    Ar { arches, is_thin, is_deb }
    Zip { natives, wheel_tags, is_jar, unread }
    NpmPackage { name, os, cpu, libc, optional }
}

impl Wire for Capabilities {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Capabilities> {
        u64::take(from).map(Capabilities)
    }
}

/// By its OCI name, which no release changes.
impl Wire for Arch {
    fn put(&self, out: &mut Vec<u8>) {
        self.oci().to_string().put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Arch> {
        let name = String::take(from)?;
        Arch::parse(&name).filter(|arch| arch.oci() == name)
    }
}

/// A name of a Mach-O's CPU, which is one of a table.
impl Wire for &'static str {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_string().put(out);
    }

    fn take(from: &mut &[u8]) -> Option<&'static str> {
        let name = String::take(from)?;
        mach_cpu(&name)
    }
}
