//! Builds ELF files byte by byte for tests: any machine, class, byte order and type; loader, dynamic section, version
//! tables, notes, attributes, Go build information, detached debug files. Also modifies single fields afterwards. The
//! module does not use `crate::`, so that unit tests and integration tests can both include it by `#[path]`. An
//! unmodified file is one that a kernel of that machine accepts.

#![allow(dead_code, reason = "unit tests and builds without all features use only a part of it")]

mod layout;

use layout::{Layout, number, read, write_phdr};

/// A description of the file to build. Fields can be set directly; methods set more than one field.
#[derive(Clone, Debug)]
pub struct ElfBuilder {
    pub machine: u16,
    pub is_64: bool,
    pub is_big: bool,
    /// ET_EXEC (2) is linked at 0x400000, other types at 0.
    pub e_type: u16,
    pub flags: u32,
    pub osabi: u8,
    /// `p_align` of the PT_LOADs. In memory, the data segment is one such page after the code.
    pub align: u64,
    /// The bytes of PT_INTERP, including the NUL.
    pub interp: Option<Vec<u8>>,
    /// Moves the loader's path to the end of the file, as patchelf does.
    pub has_late_interp: bool,
    /// Moves the program header table to the end of the file.
    pub has_late_table: bool,
    /// Puts the string table and version tables into a second data segment after the dynamic section, as patchelf does.
    pub has_late_strings: bool,
    pub needed: Vec<String>,
    pub soname: Option<String>,
    pub rpath: Option<String>,
    pub runpath: Option<String>,
    /// DT_FLAGS_1.
    pub flags_1: u64,
    pub wants: Vec<(String, Vec<(String, bool)>)>,
    pub offers: Vec<String>,
    /// Adds a dynamic section even if no other field needs one.
    pub is_dynamic: bool,
    /// Properties of the GNU property note, in the order given: type and value.
    pub properties: Vec<(u32, u32)>,
    pub go: Option<Go>,
    /// `.ARM.attributes`: file-scope tags of vendor "aeabi".
    pub arm: Vec<(u8, u8)>,
    /// `.riscv.attributes`: Tag_RISCV_arch.
    pub riscv: Option<String>,
    /// The program's code. The entry point is its first byte.
    pub code: Vec<u8>,
    /// Zero bytes between code and data, which move later parts outwards.
    pub padding: usize,
    /// Omits code and section contents, as in a detached debug file.
    pub is_debug_only: bool,
    /// Further program headers, appended to the table unchanged.
    pub extra: Vec<Phdr>,
}

/// Go's build information.
#[derive(Clone, Debug)]
pub struct Go {
    pub version: String,
    /// Keys and values of the `build` lines.
    pub settings: Vec<(String, String)>,
    /// Number of other bytes before it in the data segment.
    pub before: usize,
}

/// A program header's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phdr {
    pub p_type: u32,
    pub flags: u32,
    pub offset: u64,
    pub vaddr: u64,
    pub filesz: u64,
    pub memsz: u64,
    pub align: u64,
}

/// A field of the ELF header, for [`set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Type,
    Machine,
    Version,
    Entry,
    Phoff,
    Shoff,
    Flags,
    Ehsize,
    Phentsize,
    Phnum,
    Shentsize,
    Shnum,
}

/// Code that makes Linux end the process with status 42, for the machines that tests use.
pub fn exit_42(machine: u16) -> Vec<u8> {
    match machine {
        // mov $60,%eax; mov $42,%edi; syscall
        62 => vec![0xb8, 60, 0, 0, 0, 0xbf, 42, 0, 0, 0, 0x0f, 0x05],
        // mov $1,%eax; mov $42,%ebx; int $0x80
        3 | 6 => vec![0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80],
        // mov x8,#93; mov x0,#42; svc #0
        183 => [0xd280_0ba8_u32, 0xd280_0540, 0xd400_0001].iter().flat_map(|word| word.to_le_bytes()).collect(),
        // mov r7,#1; mov r0,#42; svc #0
        40 => [0xe3a0_7001_u32, 0xe3a0_002a, 0xef00_0000].iter().flat_map(|word| word.to_le_bytes()).collect(),
        // li a7,93; li a0,42; ecall
        243 => [0x05d0_0893_u32, 0x02a0_0513, 0x0000_0073].iter().flat_map(|word| word.to_le_bytes()).collect(),
        // li r0,1; li r3,42; sc
        21 => [0x3800_0001_u32, 0x3860_002a, 0x4400_0002].iter().flat_map(|word| word.to_le_bytes()).collect(),
        // lhi %r2,42; svc 1
        22 => vec![0xa7, 0x28, 0, 42, 0x0a, 0x01],
        _ => vec![0; 16],
    }
}

impl ElfBuilder {
    /// A static ET_EXEC with one PT_LOAD that contains [`exit_42`].
    pub fn new(machine: u16, is_64: bool, is_big: bool) -> ElfBuilder {
        ElfBuilder {
            machine,
            is_64,
            is_big,
            e_type: 2,
            flags: if machine == 40 { 0x0500_0400 } else { 0 },
            osabi: 0,
            align: 0x10000,
            interp: None,
            has_late_interp: false,
            has_late_table: false,
            has_late_strings: false,
            needed: Vec::new(),
            soname: None,
            rpath: None,
            runpath: None,
            flags_1: 0,
            wants: Vec::new(),
            offers: Vec::new(),
            is_dynamic: false,
            properties: Vec::new(),
            go: None,
            arm: Vec::new(),
            riscv: None,
            code: exit_42(machine),
            padding: 0,
            is_debug_only: false,
            extra: Vec::new(),
        }
    }

    pub fn amd64() -> ElfBuilder {
        ElfBuilder::new(62, true, false)
    }
    pub fn i386() -> ElfBuilder {
        ElfBuilder::new(3, false, false)
    }
    pub fn arm64() -> ElfBuilder {
        ElfBuilder::new(183, true, false)
    }
    pub fn arm() -> ElfBuilder {
        ElfBuilder::new(40, false, false)
    }
    pub fn riscv64() -> ElfBuilder {
        ElfBuilder::new(243, true, false)
    }
    pub fn ppc64le() -> ElfBuilder {
        ElfBuilder { flags: 2, ..ElfBuilder::new(21, true, false) }
    }
    pub fn s390x() -> ElfBuilder {
        ElfBuilder::new(22, true, true)
    }

    /// The path of the dynamic loader. Appends a NUL.
    pub fn interp(mut self, path: &str) -> ElfBuilder {
        self.interp = Some([path.as_bytes(), b"\0"].concat());
        self
    }
    pub fn e_type(mut self, e_type: u16) -> ElfBuilder {
        self.e_type = e_type;
        self
    }
    pub fn flags(mut self, flags: u32) -> ElfBuilder {
        self.flags = flags;
        self
    }
    pub fn align(mut self, align: u64) -> ElfBuilder {
        self.align = align;
        self
    }
    pub fn needed(mut self, library: &str) -> ElfBuilder {
        self.needed.push(library.to_string());
        self
    }
    pub fn soname(mut self, name: &str) -> ElfBuilder {
        (self.soname, self.e_type) = (Some(name.to_string()), 3);
        self
    }
    pub fn rpath(mut self, path: &str) -> ElfBuilder {
        self.rpath = Some(path.to_string());
        self
    }
    pub fn runpath(mut self, path: &str) -> ElfBuilder {
        self.runpath = Some(path.to_string());
        self
    }
    /// ET_DYN with DF_1_PIE.
    pub fn pie(mut self) -> ElfBuilder {
        (self.e_type, self.flags_1) = (3, self.flags_1 | 0x0800_0000);
        self
    }
    /// Adds a version that the file needs from `library`. `is_weak` sets VER_FLG_WEAK.
    pub fn wants(mut self, library: &str, version: &str, is_weak: bool) -> ElfBuilder {
        let want = (version.to_string(), is_weak);
        match self.wants.iter_mut().find(|(name, _)| name == library) {
            Some((_, versions)) => versions.push(want),
            None => self.wants.push((library.to_string(), vec![want])),
        }
        self
    }
    pub fn offers(mut self, version: &str) -> ElfBuilder {
        self.offers.push(version.to_string());
        self
    }
    /// GNU_PROPERTY_X86_ISA_1_NEEDED: bits 1 baseline, 2 v2, 4 v3, 8 v4.
    pub fn x86_needed(self, bits: u32) -> ElfBuilder {
        self.property(0xc000_8002, bits)
    }
    pub fn property(mut self, kind: u32, value: u32) -> ElfBuilder {
        self.properties.push((kind, value));
        self
    }
    /// A tag of `.ARM.attributes`: 6 CPU_arch, 7 profile, 10 FP_arch, 12 SIMD, 28 VFP_args. Values below 128.
    pub fn arm_attribute(mut self, tag: u8, value: u8) -> ElfBuilder {
        self.arm.push((tag, value));
        self
    }
    pub fn riscv_arch(mut self, arch: &str) -> ElfBuilder {
        self.riscv = Some(arch.to_string());
        self
    }
    pub fn go(mut self, version: &str, settings: &[(&str, &str)]) -> ElfBuilder {
        let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        self.go = Some(Go { version: version.to_string(), settings, before: 0 });
        self
    }
    pub fn code(mut self, code: &[u8]) -> ElfBuilder {
        self.code = code.to_vec();
        self
    }
    pub fn padding(mut self, bytes: usize) -> ElfBuilder {
        self.padding = bytes;
        self
    }
    pub fn extra(mut self, phdr: Phdr) -> ElfBuilder {
        self.extra.push(phdr);
        self
    }

    /// The file's bytes.
    pub fn build(&self) -> Vec<u8> {
        Layout::new(self).build()
    }

    /// The base address of the first PT_LOAD.
    pub fn base(&self) -> u64 {
        if self.e_type == 2 { 0x40_0000 } else { 0 }
    }

    fn has_dynamic(&self) -> bool {
        let named = self.soname.is_some() || self.rpath.is_some() || self.runpath.is_some();
        let versioned = !self.wants.is_empty() || !self.offers.is_empty();
        self.is_dynamic || named || versioned || !self.needed.is_empty() || self.flags_1 != 0
    }

    fn ehdr_size(&self) -> usize {
        if self.is_64 { 64 } else { 52 }
    }
    fn phdr_size(&self) -> usize {
        if self.is_64 { 56 } else { 32 }
    }
}

/// Writes one header field of a built file, according to its EI_CLASS and EI_DATA.
pub fn set(bytes: &mut [u8], field: Field, value: u64) {
    let (is_64, is_big) = (bytes[4] == 2, bytes[5] == 2);
    let (wide, word) = if is_64 { (true, 8) } else { (false, 4) };
    let pick = |narrow: usize, broad: usize| if wide { broad } else { narrow };
    let (at, width) = match field {
        Field::Type => (16, 2),
        Field::Machine => (18, 2),
        Field::Version => (20, 4),
        Field::Entry => (24, word),
        Field::Phoff => (pick(28, 32), word),
        Field::Shoff => (pick(32, 40), word),
        Field::Flags => (pick(36, 48), 4),
        Field::Ehsize => (pick(40, 52), 2),
        Field::Phentsize => (pick(42, 54), 2),
        Field::Phnum => (pick(44, 56), 2),
        Field::Shentsize => (pick(46, 58), 2),
        Field::Shnum => (pick(48, 60), 2),
    };
    bytes[at..at + width].copy_from_slice(&number(value, width, is_big));
}

/// Reads the program headers of a built file at the offset in its header.
pub fn phdrs(bytes: &[u8]) -> Vec<Phdr> {
    let is_big = bytes[5] == 2;
    let at = |offset: usize, width: usize| read(&bytes[offset..offset + width], is_big);
    let (phoff, phnum, size) = if bytes[4] == 2 { (at(32, 8), at(56, 2), 56) } else { (at(28, 4), at(44, 2), 32) };
    let start = |index: u64| phoff as usize + index as usize * size;
    let wide = |o: usize| [at(o + 8, 8), at(o + 16, 8), at(o + 32, 8), at(o + 40, 8), at(o + 48, 8), at(o + 4, 4)];
    let narrow = |o: usize| [at(o + 4, 4), at(o + 8, 4), at(o + 16, 4), at(o + 20, 4), at(o + 28, 4), at(o + 24, 4)];
    let read = |o: usize| {
        let [offset, vaddr, filesz, memsz, align, flags] = if size == 56 { wide(o) } else { narrow(o) };
        Phdr { p_type: at(o, 4) as u32, flags: flags as u32, offset, vaddr, filesz, memsz, align }
    };
    (0..phnum).map(|index| read(start(index))).collect()
}

/// Changes the program header at `index` of a built file.
pub fn edit_phdr(bytes: &mut [u8], index: usize, edit: impl FnOnce(&mut Phdr)) {
    let mut phdr = phdrs(bytes)[index];
    edit(&mut phdr);
    let builder = ElfBuilder::new(0, bytes[4] == 2, bytes[5] == 2);
    let phoff = if builder.is_64 { read(&bytes[32..40], builder.is_big) } else { read(&bytes[28..32], builder.is_big) };
    write_phdr(bytes, phoff as usize + index * builder.phdr_size(), &phdr, &builder);
}

/// Reads the entry point of a built file, according to its EI_CLASS.
pub fn entry(bytes: &[u8]) -> u64 {
    let end = if bytes[4] == 2 { 32 } else { 28 };
    read(&bytes[24..end], bytes[5] == 2)
}
