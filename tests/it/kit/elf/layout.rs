//! The layout of a built ELF file, and its bytes. Tests use the parent module.

use super::{ElfBuilder, Go, Phdr};

/// The file under construction.
pub(super) struct Layout<'a> {
    elf: &'a ElfBuilder,
    out: Vec<u8>,
    phdrs: Vec<Phdr>,
    /// Section name, type, offset, size.
    sections: Vec<(&'static str, u32, usize, usize)>,
}

/// The tables that the dynamic section points to, with the string table they share.
#[derive(Default)]
struct Tables {
    strings: Vec<u8>,
    verneed: Vec<u8>,
    verdef: Vec<u8>,
    /// Tag and value of the entries that are string offsets.
    names: Vec<(u64, u64)>,
}

/// Addresses of the tables after they are placed.
#[derive(Clone, Copy, Default)]
struct Placed {
    strings: u64,
    verneed: u64,
    verdef: u64,
}

impl<'a> Layout<'a> {
    pub(super) fn new(elf: &'a ElfBuilder) -> Layout<'a> {
        Layout { elf, out: Vec::new(), phdrs: Vec::new(), sections: Vec::new() }
    }

    pub(super) fn build(mut self) -> Vec<u8> {
        let elf = self.elf;
        let count = self.count_phdrs();
        let table = if elf.has_late_table { 0 } else { count * elf.phdr_size() };
        self.out = vec![0; elf.ehdr_size() + table];
        if let (Some(interp), false) = (&elf.interp, elf.has_late_interp) {
            self.segment(3, 4, elf.base(), 1, interp);
        }
        self.notes();
        let tables = elf.has_dynamic().then(|| Tables::new(elf));
        let mut placed = Placed::default();
        if let (Some(tables), false) = (&tables, elf.has_late_strings) {
            placed = self.place(tables, elf.base());
        }
        self.pad(16);
        let entry = elf.base() + self.out.len() as u64;
        if !elf.is_debug_only {
            self.out.extend_from_slice(&elf.code);
        }
        self.out.extend(std::iter::repeat_n(0, elf.padding));
        self.text_segment();
        self.data_segment(tables.as_ref(), placed);
        if let (Some(interp), true) = (&elf.interp, elf.has_late_interp) {
            self.segment(3, 4, elf.base(), 1, interp);
        }
        self.attributes();
        self.phdrs.extend(&elf.extra);
        let phoff = if elf.has_late_table { self.late_table() } else { elf.ehdr_size() };
        self.phdrs.resize(count, Phdr::default());
        for (index, phdr) in self.phdrs.clone().iter().enumerate() {
            let at = phoff + index * elf.phdr_size();
            write_phdr(&mut self.out, at, phdr, elf);
        }
        let (shoff, shnum) = self.section_table();
        self.header(entry, phoff, count, shoff, shnum);
        self.out
    }

    fn count_phdrs(&self) -> usize {
        let elf = self.elf;
        let data = elf.has_dynamic() || elf.go.is_some();
        let notes = if elf.properties.is_empty() { 0 } else { 2 } + usize::from(elf.go.is_some());
        let late = usize::from(elf.has_late_strings && elf.has_dynamic());
        let dynamic = usize::from(elf.has_dynamic());
        1 + usize::from(elf.interp.is_some())
            + notes
            + usize::from(data)
            + dynamic
            + late
            + elf.extra.len()
            + usize::from(elf.riscv.is_some())
    }

    fn pad(&mut self, to: usize) {
        let len = self.out.len().next_multiple_of(to);
        self.out.resize(len, 0);
    }

    /// Appends `bytes` and a program header for them. Returns the offset.
    fn segment(&mut self, p_type: u32, align: usize, base: u64, flags: u32, bytes: &[u8]) -> usize {
        self.pad(align);
        let offset = self.out.len();
        self.out.extend_from_slice(bytes);
        let (at, size) = (offset as u64, bytes.len() as u64);
        let align = align as u64;
        self.phdrs.push(Phdr {
            p_type,
            flags: flags | 4,
            offset: at,
            vaddr: base + at,
            filesz: size,
            memsz: size,
            align,
        });
        offset
    }

    fn notes(&mut self) {
        let (elf, base) = (self.elf, self.elf.base());
        if !elf.properties.is_empty() {
            let align = if elf.is_64 { 8 } else { 4 };
            let mut description = Vec::new();
            for (kind, value) in &elf.properties {
                for word in [*kind, 4, *value] {
                    description.extend(number(u64::from(word), 4, elf.is_big));
                }
                description.resize(description.len().next_multiple_of(align), 0);
            }
            let note = note(5, b"GNU\0", &description, elf.is_big);
            self.segment(4, align, base, 0, &note);
            let phdr = *self.phdrs.last().expect("just pushed");
            self.phdrs.push(Phdr { p_type: 0x6474_e553, ..phdr });
        }
        if elf.go.is_some() {
            let note = note(4, b"Go\0\0", b"build/id/of/go!!", elf.is_big);
            self.segment(4, 4, base, 0, &note);
        }
    }

    /// Appends the string and version tables. Addresses count from `base`.
    fn place(&mut self, tables: &Tables, base: u64) -> Placed {
        self.pad(8);
        let mut put = |bytes: &[u8]| {
            let at = base + self.out.len() as u64;
            self.out.extend_from_slice(bytes);
            let len = self.out.len().next_multiple_of(8);
            self.out.resize(len, 0);
            at
        };
        Placed { strings: put(&tables.strings), verneed: put(&tables.verneed), verdef: put(&tables.verdef) }
    }

    fn text_segment(&mut self) {
        let (elf, size) = (self.elf, self.out.len() as u64);
        let filesz = if elf.is_debug_only { 0 } else { size };
        let base = elf.base();
        self.phdrs.push(Phdr { p_type: 1, flags: 5, offset: 0, vaddr: base, filesz, memsz: size, align: elf.align });
    }

    fn data_segment(&mut self, tables: Option<&Tables>, mut placed: Placed) {
        let elf = self.elf;
        if tables.is_none() && elf.go.is_none() {
            return;
        }
        self.pad(16);
        let (start, base) = (self.out.len(), elf.base() + elf.align);
        let index = self.phdrs.len();
        self.phdrs.push(Phdr::default());
        if let Some(Go { version, settings, before }) = &elf.go {
            self.out.extend(std::iter::repeat_n(0x55, *before));
            self.pad(16);
            self.out.extend(go_blob(version, settings));
            self.pad(16);
        }
        if let Some(tables) = tables {
            let word = if elf.is_64 { 8 } else { 4 };
            let mut entries = tables.names.clone();
            if elf.flags_1 != 0 {
                entries.push((0x6fff_fffb, elf.flags_1));
            }
            let fixed = if elf.wants.is_empty() { 0 } else { 2 } + if elf.offers.is_empty() { 0 } else { 2 } + 3;
            let size = (entries.len() + fixed) * 2 * word;
            let offset = self.segment(2, 8, base, 2, &vec![0; size]);
            if elf.has_late_strings {
                self.pad(16);
                let (start, base) = (self.out.len(), elf.base() + 2 * elf.align);
                placed = self.place(tables, base);
                self.load(start, base, self.phdrs.len());
            }
            entries.extend([(5, placed.strings), (10, tables.strings.len() as u64)]);
            if !elf.wants.is_empty() {
                entries.extend([(0x6fff_fffe, placed.verneed), (0x6fff_ffff, elf.wants.len() as u64)]);
            }
            if !elf.offers.is_empty() {
                entries.extend([(0x6fff_fffc, placed.verdef), (0x6fff_fffd, elf.offers.len() as u64)]);
            }
            entries.push((0, 0));
            for (number_of, (tag, value)) in entries.iter().enumerate() {
                let at = offset + number_of * 2 * word;
                self.out[at..at + word].copy_from_slice(&number(*tag, word, elf.is_big));
                self.out[at + word..at + 2 * word].copy_from_slice(&number(*value, word, elf.is_big));
            }
        }
        let end = if elf.has_late_strings { self.phdrs.last().map_or(0, |late| late.offset as usize) } else { 0 };
        let size = if end > start { end - start } else { self.out.len() - start } as u64;
        let vaddr = base + start as u64;
        let (offset, align) = (start as u64, elf.align);
        self.phdrs[index] = Phdr { p_type: 1, flags: 6, offset, vaddr, filesz: size, memsz: size, align };
    }

    /// Adds a writable PT_LOAD for the bytes appended since `start`.
    fn load(&mut self, start: usize, base: u64, index: usize) {
        let (offset, size) = (start as u64, (self.out.len() - start) as u64);
        let align = self.elf.align;
        let phdr = Phdr { p_type: 1, flags: 6, offset, vaddr: base + offset, filesz: size, memsz: size, align };
        self.phdrs.insert(index, phdr);
    }

    fn attributes(&mut self) {
        let elf = self.elf;
        if !elf.arm.is_empty() {
            let tags: Vec<u8> = elf.arm.iter().flat_map(|(tag, value)| [*tag, *value]).collect();
            let bytes = attributes(b"aeabi\0", &tags, elf.is_big);
            self.sections.push((".ARM.attributes", 0x7000_0003, self.out.len(), bytes.len()));
            self.out.extend(bytes);
        }
        if let Some(arch) = &elf.riscv {
            let tags = [&[4, 16, 5], arch.as_bytes(), &[0]].concat();
            let bytes = attributes(b"riscv\0", &tags, elf.is_big);
            let offset = self.segment(0x7000_0003, 1, 0, 0, &bytes);
            self.phdrs.last_mut().expect("just pushed").memsz = 0;
            self.sections.push((".riscv.attributes", 0x7000_0003, offset, bytes.len()));
        }
        if elf.is_debug_only {
            self.sections.push((".text", 8, self.out.len(), 4096));
            self.sections.push((".debug_info", 1, self.out.len(), 64));
            self.out.extend([0xdb; 64]);
        }
    }

    fn late_table(&mut self) -> usize {
        self.pad(16);
        let at = self.out.len();
        self.out.resize(at + self.count_phdrs() * self.elf.phdr_size(), 0);
        at
    }

    fn section_table(&mut self) -> (usize, usize) {
        if self.sections.is_empty() {
            return (0, 0);
        }
        let mut names = vec![0];
        let mut rows = vec![(0, 0, 0, 0, 0)];
        for (name, kind, offset, size) in self.sections.clone() {
            let flags = if name == ".text" { 6 } else { 0 };
            rows.push((names.len(), kind, flags, offset, size));
            names.extend([name.as_bytes(), b"\0"].concat());
        }
        rows.push((names.len(), 3, 0, self.out.len(), names.len() + 10));
        names.extend(b".shstrtab\0");
        self.out.extend(names);
        self.pad(8);
        let (at, word, big) = (self.out.len(), if self.elf.is_64 { 8 } else { 4 }, self.elf.is_big);
        for (name, kind, flags, offset, size) in &rows {
            let fields = [(*name, 4), (*kind as usize, 4), (*flags, word), (0, word), (*offset, word), (*size, word)];
            let rest = [(0, 4), (0, 4), (1, word), (0, word)];
            for (value, width) in fields.into_iter().chain(rest) {
                self.out.extend(number(value as u64, width, big));
            }
        }
        (at, rows.len())
    }

    fn header(&mut self, entry: u64, phoff: usize, phnum: usize, shoff: usize, shnum: usize) {
        let elf = self.elf;
        let class = if elf.is_64 { 2 } else { 1 };
        self.out[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, if elf.is_big { 2 } else { 1 }, 1, elf.osabi]);
        let (shentsize, word) = if elf.is_64 { (64, 8) } else { (40, 4) };
        let fields = [(u64::from(elf.e_type), 2), (u64::from(elf.machine), 2), (1, 4), (entry, word)];
        let offsets = [(phoff as u64, word), (shoff as u64, word), (u64::from(elf.flags), 4)];
        let sizes = [elf.ehdr_size(), elf.phdr_size(), phnum, shentsize, shnum, shnum.saturating_sub(1)];
        let mut at = 16;
        let sizes = sizes.map(|size| (size as u64, 2));
        for (value, width) in fields.into_iter().chain(offsets).chain(sizes) {
            self.out[at..at + width].copy_from_slice(&number(value, width, elf.is_big));
            at += width;
        }
    }
}

impl Tables {
    fn new(elf: &ElfBuilder) -> Tables {
        let mut tables = Tables { strings: vec![0], ..Tables::default() };
        for library in &elf.needed {
            tables.name(1, library);
        }
        for (tag, name) in [(14, &elf.soname), (15, &elf.rpath), (29, &elf.runpath)] {
            if let Some(name) = name {
                tables.name(tag, name);
            }
        }
        tables.needs(elf);
        tables.definitions(elf);
        tables
    }

    fn string(&mut self, text: &str) -> u64 {
        let at = self.strings.len() as u64;
        self.strings.extend([text.as_bytes(), b"\0"].concat());
        at
    }

    fn name(&mut self, tag: u64, text: &str) {
        let at = self.string(text);
        self.names.push((tag, at));
    }

    /// Elfw(Verneed) followed by its Elfw(Vernaux) records. The layout is the same in both classes.
    fn needs(&mut self, elf: &ElfBuilder) {
        for (index, (library, versions)) in elf.wants.iter().enumerate() {
            let (file, count) = (self.string(library), versions.len() as u64);
            let next = if index + 1 == elf.wants.len() { 0 } else { 16 + 16 * count };
            let record = [(1, 2), (count, 2), (file, 4), (16, 4), (next, 4)];
            self.verneed.extend(record.iter().flat_map(|(value, width)| number(*value, *width, elf.is_big)));
            for (place, (version, is_weak)) in versions.iter().enumerate() {
                let name = self.string(version);
                let next = if place + 1 == versions.len() { 0 } else { 16 };
                let record = [(0, 4), (if *is_weak { 2 } else { 0 }, 2), (2, 2), (name, 4), (next, 4)];
                self.verneed.extend(record.iter().flat_map(|(value, width)| number(*value, *width, elf.is_big)));
            }
        }
    }

    /// Elfw(Verdef) with one Elfw(Verdaux) after it. The first names the library itself (VER_FLG_BASE).
    fn definitions(&mut self, elf: &ElfBuilder) {
        for (index, version) in elf.offers.iter().enumerate() {
            let name = self.string(version);
            let next = if index + 1 == elf.offers.len() { 0 } else { 28 };
            let record = [(1, 2), (0, 2), (index as u64 + 2, 2), (1, 2), (0, 4), (20, 4), (next, 4), (name, 4), (0, 4)];
            self.verdef.extend(record.iter().flat_map(|(value, width)| number(*value, *width, elf.is_big)));
        }
    }
}

pub(super) fn write_phdr(out: &mut [u8], at: usize, phdr: &Phdr, elf: &ElfBuilder) {
    let (kind, flags) = (u64::from(phdr.p_type), u64::from(phdr.flags));
    let Phdr { offset, vaddr, filesz, memsz, align, .. } = *phdr;
    let wide = [(kind, 4), (flags, 4), (offset, 8), (vaddr, 8), (vaddr, 8), (filesz, 8), (memsz, 8), (align, 8)];
    let narrow = [(kind, 4), (offset, 4), (vaddr, 4), (vaddr, 4), (filesz, 4), (memsz, 4), (flags, 4), (align, 4)];
    let mut at = at;
    for (value, width) in if elf.is_64 { wide } else { narrow } {
        out[at..at + width].copy_from_slice(&number(value, width, elf.is_big));
        at += width;
    }
}

pub(super) fn number(value: u64, width: usize, is_big: bool) -> Vec<u8> {
    if is_big { value.to_be_bytes()[8 - width..].to_vec() } else { value.to_le_bytes()[..width].to_vec() }
}

pub(super) fn read(bytes: &[u8], is_big: bool) -> u64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if is_big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
}

fn note(kind: u32, name: &[u8; 4], description: &[u8], is_big: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [4, description.len() as u64, u64::from(kind)] {
        bytes.extend(number(word, 4, is_big));
    }
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(description);
    bytes
}

/// Build attributes: format version 'A', one vendor section, one file-scope subsection (Tag_File).
fn attributes(vendor: &[u8], tags: &[u8], is_big: bool) -> Vec<u8> {
    let file = 5 + tags.len();
    let section = 4 + vendor.len() + file;
    let mut bytes = vec![b'A'];
    bytes.extend(number(section as u64, 4, is_big));
    bytes.extend_from_slice(vendor);
    bytes.push(1);
    bytes.extend(number(file as u64, 4, is_big));
    bytes.extend_from_slice(tags);
    bytes
}

/// Build information as written by Go 1.18 and later: magic, pointer size, flags, then two varint-prefixed strings.
fn go_blob(version: &str, settings: &[(String, String)]) -> Vec<u8> {
    let mut module = b"0123456789abcdef".to_vec();
    module.extend(b"path\texample.com/app\nmod\texample.com/app\t(devel)\t\n");
    for (key, value) in settings {
        module.extend(format!("build\t{key}={value}\n").bytes());
    }
    module.extend(b"fedcba9876543210");
    let mut blob = b"\xff Go buildinf:\x08\x02".to_vec();
    blob.resize(32, 0);
    for text in [version.as_bytes(), &module] {
        let mut left = text.len();
        while left >= 0x80 {
            blob.push(left as u8 | 0x80);
            left >>= 7;
        }
        blob.push(left as u8);
        blob.extend_from_slice(text);
    }
    blob
}
