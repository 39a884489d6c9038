//! Reads ELF files in the same way as the kernel of their machine: the header from the first 256 bytes, the program
//! headers at `e_phoff`, and then their contents, in one forward pass. EI_CLASS and EI_DATA are never trusted alone,
//! because most kernels ignore them. This module makes no judgement.

use goblin::container::{Container, Ctx};
use goblin::elf::header::{EI_CLASS, EI_DATA, ET_DYN, ET_EXEC, Header, header32, header64};
use goblin::elf::program_header::ProgramHeader;
use goblin::elf::section_header::{
    SHF_ALLOC, SHF_EXECINSTR, SHT_GNU_VERDEF, SHT_GNU_VERNEED, SHT_NOBITS, SHT_STRTAB, SectionHeader,
};
use scroll::Pread;

use super::dynamic::DynamicTable;
use super::kind::{
    Dynamic, Elf, GoBuild, HEAD_BYTES, IsaNotes, LoaderDirectories, PT_DYNAMIC, PT_GNU_PROPERTY, PT_INTERP, PT_LOAD,
    PT_NOTE, Segment,
};
use super::window::Window;
use super::{go, interface, notes};
use crate::platform::arch::ARCHES;
use crate::platform::binfmt::BINPRM_BUF_SIZE;
use crate::platform::{Class, Endian};

/// Kernels do not read a larger program header table. Source: fs/binfmt_elf.c `load_elf_phdrs`.
const TABLE_LIMIT: u64 = 64 << 10;
/// Source: fs/binfmt_elf.c, `elf_ppnt->p_filesz > PATH_MAX`.
const INTERP_LIMIT: u64 = 4096;
/// The dynamic symbol, string and version tables are at the start of a file. A program of Go that exports all of its
/// functions has 12 MiB of them. Those of the largest libraries exceed this limit.
const TABLES_LIMIT: u64 = 16 << 20;
/// Bytes to keep before the dynamic section, for tables that tools such as patchelf put there.
const BEFORE_DYNAMIC: u64 = 1 << 20;
const _: () = assert!(TABLES_LIMIT + 2 * BEFORE_DYNAMIC <= super::window::KEEP_LIMIT as u64);
/// Bytes to keep at the start of a file whose program headers come late, and just before them. BOLT puts new headers and
/// code after all other segments, of which the last has the dynamic section.
const BEFORE_LATE_TABLE: u64 = 10 << 20;
const NEAR_LATE_TABLE: u64 = 6 << 20;
/// Go's linker reserves the first 4 KiB for all headers, including section headers. Source: cmd/link/internal/ld
/// ELFRESERVE.
const EARLY_SECTIONS: u64 = 4096;
/// A dynamic section has about thirty entries of 16 bytes.
const DYNAMIC_LIMIT: u64 = 64 << 10;
/// The loader of a C library has about 200 KiB, with debug symbols several MiB.
const LOADER_LIMIT: u64 = 4 << 20;
/// Maximum number of built-in search directories. Debian's loader has four.
const LOADER_DIRECTORIES: usize = 16;
/// Notes have a few hundred bytes. Those of core dumps are not read.
const NOTE_LIMIT: u64 = 64 << 10;
/// Source: fs/binfmt_elf.c NOTE_DATA_SZ.
const PROPERTY_LIMIT: u64 = 1024;
/// Attributes are between the last segment and the section headers, usually next to one of them.
const UNLOADED_HEAD: u64 = 256 << 10;
const UNLOADED_TAIL: u64 = 1 << 20;

const PF_X: u32 = 1;
const PF_W: u32 = 2;
const EM_ARM: u16 = 40;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;
/// Source: abi-aa addenda32 `SHT_ARM_ATTRIBUTES`; riscv-elf-psabi `SHT_RISCV_ATTRIBUTES`, `PT_RISCV_ATTRIBUTES`.
const ATTRIBUTES: u32 = 0x7000_0003;

/// The 256 bytes that the kernel reads first, and their interpretation.
struct ElfStart {
    head: Box<[u8; BINPRM_BUF_SIZE]>,
    header: Header,
    class: Class,
    endian: Endian,
    ctx: Ctx,
}

/// Where a file is: in a tree, or in an archive, from which a runtime loads libraries only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Tree,
    Archive,
}

/// Reads the ELF file at the start of `window`.
pub fn inspect(path: &[u8], window: &mut Window<'_>) -> Elf {
    inspect_at(Place::Tree, path, window)
}

/// Like [`inspect`], for a library that is the member `name` of an archive.
pub fn inspect_member(name: &[u8], window: &mut Window<'_>) -> Elf {
    inspect_at(Place::Archive, name, window)
}

fn inspect_at(place: Place, path: &[u8], window: &mut Window<'_>) -> Elf {
    let start = ElfStart::new(window.head());
    let segments = program_headers(&start, window);
    let is_program = matches!(start.header.e_type, ET_EXEC | ET_DYN);
    let mut isa = IsaNotes::default();
    let (mut dynamic, mut go, mut is_debug_only, mut interface) = (None, None, false, None);
    let may_be_loader = place == Place::Tree && is_loader_path(path) && window.size() <= LOADER_LIMIT;
    if is_program {
        interface::want(path, window);
        if may_be_loader {
            window.want(0, window.size());
        }
        (dynamic, go) = read_segments(&start, &segments, window);
        is_debug_only = read_sections(path, &start, &segments, window, &mut isa);
        notes::read_properties(start.ctx, &segments, window, &mut isa);
        let strings = dynamic.as_ref().map_or(&[][..], |table: &DynamicTable| table.strings(window));
        interface = interface::read(path, strings, window.head(), start.endian);
    }
    let has_interp = segments.iter().any(|segment| segment.p_type == PT_INTERP);
    let dynamic = dynamic.map(|table| {
        let is_module = place == Place::Archive || is_module(path);
        let mut dynamic = table.resolve(start.ctx, window, has_interp || is_host(path), is_module);
        if may_be_loader {
            dynamic.directories = loader_directories(window.head()).map(Box::new);
        }
        Box::new(dynamic)
    });
    Elf { isa, is_debug_only, go: go.map(Box::new), dynamic, interface, ..basics(start, segments, window) }
}

/// Whether rules compare the symbols that a module needs with those of its runtime: addons of Node.js, modules for
/// Python's stable ABI and modules of Lua. Libraries in archives count too.
fn is_module(path: &[u8]) -> bool {
    let is_in_lua = path.ends_with(b".so") && path.windows(5).any(|part| part == b"/lua/");
    path.ends_with(b".node") || path.ends_with(b".abi3.so") || is_in_lua
}

/// Whether a library is the runtime that such modules are loaded into.
fn is_host(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    [&b"libpython3."[..], b"liblua5", b"libluajit"].iter().any(|start| name.starts_with(start))
}

/// Reads only the head of a file that is at the start of `window`. Its dynamic section is not read and marked as
/// partial. A file whose program headers, loader or early notes are not in its head is read like any other.
pub fn inspect_start(path: &[u8], window: &mut Window<'_>) -> Elf {
    let start = ElfStart::new(window.head());
    let kept = window.position()..window.size();
    let is_beyond = |end: Option<u64>| end.is_some_and(|end| end > kept.start && end <= kept.end);
    if is_beyond(table_end(&start.header)) {
        return inspect(path, window);
    }
    let segments = program_headers(&start, window);
    let loader = segments.iter().find(|segment| segment.p_type == PT_INTERP);
    let loader_end = loader.and_then(|segment| segment.offset.checked_add(segment.filesz.min(INTERP_LIMIT)));
    let is_note = |segment: &&Segment| matches!(segment.p_type, PT_NOTE | PT_GNU_PROPERTY);
    let note_ends = segments.iter().filter(is_note).filter_map(|segment| segment.offset.checked_add(segment.filesz));
    // Notes at the end of a file are not read.
    let notes_end = note_ends.filter(|end| *end <= HEAD_BYTES as u64).max();
    if is_beyond(loader_end) || is_beyond(notes_end) || may_be_debug_only(path, &segments, window.size()) {
        return inspect(path, window);
    }
    let is_dynamic = segments.iter().any(|segment| segment.p_type == PT_DYNAMIC && segment.filesz > 0);
    let dynamic = is_dynamic.then(|| Box::new(Dynamic { is_partial: true, ..Dynamic::default() }));
    let mut isa = IsaNotes::default();
    notes::read_properties(start.ctx, &segments, window, &mut isa);
    Elf { isa, dynamic, ..basics(start, segments, window) }
}

/// The facts from the header, the program headers and the kept bytes.
fn basics(start: ElfStart, segments: Vec<Segment>, window: &Window<'_>) -> Elf {
    let (interp, interp_missing) = interp(&segments, window);
    let property = property(&start, &segments, window);
    let Header { e_type, e_machine, e_flags, e_entry, e_phoff, e_phentsize, e_phnum, .. } = start.header;
    Elf {
        size: window.size(),
        class: start.class,
        endian: start.endian,
        e_type,
        machine: e_machine,
        flags: e_flags,
        entry: e_entry,
        phoff: e_phoff,
        phentsize: e_phentsize,
        phnum: e_phnum,
        osabi: start.head[7],
        has_whole_table: table_end(&start.header).is_some_and(|end| end <= window.size()),
        head: start.head,
        segments,
        interp,
        interp_missing,
        dynamic: None,
        isa: IsaNotes::default(),
        property,
        is_debug_only: false,
        go: None,
        code: None,
        interface: None,
        frozen: None,
    }
}

/// Whether the file name is that of glibc's dynamic loader.
fn is_loader_path(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let is_library = name.windows(3).any(|part| part == b".so");
    is_library && (name.starts_with(b"ld-") || name.starts_with(b"ld64.so") || name.starts_with(b"ld.so"))
}

/// Finds the built-in search directories of a loader: adjacent strings with a slash at both ends that have a component
/// starting with "lib". `None` if there are none, as in musl's loader.
fn loader_directories(bytes: &[u8]) -> Option<LoaderDirectories> {
    let mut found = LoaderDirectories::default();
    let texts = bytes.split(|byte| *byte == 0).filter(|text| text.starts_with(b"/") && text.len() < 512);
    for text in texts.filter(|text| text.iter().all(u8::is_ascii_graphic)) {
        let Ok(text) = std::str::from_utf8(text) else { continue };
        if text.ends_with("/ld.so.cache") {
            found.cache = Some(text.to_string());
        }
        let Some(directory) = text.strip_suffix('/') else { continue };
        let is_library = directory.split('/').any(|part| part.starts_with("lib"));
        if is_library && found.search.len() < LOADER_DIRECTORIES && !found.search.iter().any(|known| known == directory)
        {
            found.search.push(directory.to_string());
        }
    }
    (!found.search.is_empty()).then_some(found)
}

/// Returns machine, type and layout from the first bytes of an archive's member.
pub fn peek(bytes: &[u8]) -> (u16, u16, Class, Endian) {
    let start = ElfStart::new(bytes);
    (start.header.e_machine, start.header.e_type, start.class, start.endian)
}

impl ElfStart {
    fn new(bytes: &[u8]) -> ElfStart {
        let mut head = Box::new([0; BINPRM_BUF_SIZE]);
        let len = bytes.len().min(BINPRM_BUF_SIZE);
        head[..len].copy_from_slice(&bytes[..len]);
        let (class, endian) = layout(&head);
        // goblin obeys e_ident, so it gets a copy in which e_ident matches the kernel's interpretation.
        let mut copy = [0; header64::SIZEOF_EHDR];
        copy.copy_from_slice(&head[..header64::SIZEOF_EHDR]);
        copy[EI_DATA] = if endian == Endian::Little { 1 } else { 2 };
        copy[EI_CLASS] = if class == Class::Elf64 { 2 } else { 1 };
        let header = match class {
            Class::Elf64 => header64::Header::parse(&copy).map(Header::from),
            Class::Elf32 => header32::Header::parse(&copy).map(Header::from),
        };
        let header = header.expect("64 bytes with a valid EI_DATA hold a header");
        let container = if class == Class::Elf64 { Container::Big } else { Container::Little };
        let endianness =
            if endian == Endian::Little { goblin::container::Endian::Little } else { goblin::container::Endian::Big };
        ElfStart { head, header, class, endian, ctx: Ctx::new(container, endianness) }
    }
}

/// The layout that a kernel of the file's machine uses. EI_CLASS and EI_DATA decide only if neither the machine nor the
/// size of a program header does.
fn layout(head: &[u8; BINPRM_BUF_SIZE]) -> (Class, Endian) {
    let at = |offset: usize| [head[offset], head[offset + 1]];
    let is_known = |machine: u16| ARCHES.iter().any(|row| row.machines.contains(&machine));
    let (little, big) = (u16::from_le_bytes(at(18)), u16::from_be_bytes(at(18)));
    let endian = match (is_known(little), is_known(big)) {
        (true, false) => Endian::Little,
        (false, true) => Endian::Big,
        _ if head[EI_DATA] == 2 => Endian::Big,
        _ => Endian::Little,
    };
    let (machine, sizes) = match endian {
        Endian::Little => (little, [at(42), at(54)].map(u16::from_le_bytes)),
        Endian::Big => (big, [at(42), at(54)].map(u16::from_be_bytes)),
    };
    let mut classes = ARCHES.iter().filter(|row| row.machines.contains(&machine)).map(|row| row.class);
    let native = classes.next().filter(|native| classes.all(|class| class == *native));
    let stated = match head[EI_CLASS] {
        1 => Some(Class::Elf32),
        2 => Some(Class::Elf64),
        _ => None,
    };
    let class = match sizes {
        // e_shoff has the same offset as e_phentsize of the other class, so both classes may seem to match.
        [32, 56] => native.or(stated).unwrap_or(Class::Elf64),
        [_, 56] => Class::Elf64,
        [32, _] => Class::Elf32,
        _ => stated.or(native).unwrap_or(Class::Elf64),
    };
    (class, endian)
}

fn table_end(header: &Header) -> Option<u64> {
    header.e_phoff.checked_add(u64::from(header.e_phentsize) * u64::from(header.e_phnum))
}

fn program_headers(start: &ElfStart, window: &mut Window<'_>) -> Vec<Segment> {
    let (header, size) = (&start.header, ProgramHeader::size(start.ctx) as u64);
    let len = u64::from(header.e_phnum) * size;
    let is_readable = u64::from(header.e_phentsize) == size && (1..=TABLE_LIMIT).contains(&len);
    let Some(end) = table_end(header).filter(|end| is_readable && *end <= window.size()) else { return Vec::new() };
    if end > window.position() {
        // It is not known yet which bytes before the table are needed.
        window.want(0, end.min(BEFORE_LATE_TABLE));
        let from = header.e_phoff.saturating_sub(NEAR_LATE_TABLE).max(BEFORE_LATE_TABLE);
        window.want(from, header.e_phoff.saturating_sub(from));
        window.want(header.e_phoff, len);
        window.pass(end);
    }
    let Some(table) = window.get(header.e_phoff, len) else { return Vec::new() };
    let parsed = ProgramHeader::parse(table, 0, usize::from(header.e_phnum), start.ctx).unwrap_or_default();
    parsed.iter().map(segment).collect()
}

fn segment(header: &ProgramHeader) -> Segment {
    Segment {
        p_type: header.p_type,
        flags: header.p_flags,
        offset: header.p_offset,
        vaddr: header.p_vaddr,
        filesz: header.p_filesz,
        memsz: header.p_memsz,
        align: header.p_align,
    }
}

/// Requests everything that the program headers refer to, lets it pass, and then requests the tables of the dynamic
/// section.
fn read_segments(
    start: &ElfStart,
    segments: &[Segment],
    window: &mut Window<'_>,
) -> (Option<DynamicTable>, Option<GoBuild>) {
    if let Some(segment) = segments.iter().find(|segment| segment.p_type == PT_INTERP) {
        window.want(segment.offset, segment.filesz.min(INTERP_LIMIT));
    }
    for segment in segments {
        match segment.p_type {
            PT_NOTE | PT_GNU_PROPERTY => window.want(segment.offset, segment.filesz.min(NOTE_LIMIT)),
            ATTRIBUTES if start.header.e_machine == EM_RISCV => {
                window.want(segment.offset, segment.filesz.min(NOTE_LIMIT))
            }
            _ => {}
        }
    }
    let dynamic = segments.iter().find(|segment| segment.p_type == PT_DYNAMIC && segment.filesz > 0);
    if let Some(segment) = dynamic {
        let loads = || segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.filesz > 0);
        if let Some(first) = loads().min_by_key(|load| load.offset) {
            let tables = loads().find(|load| is_go_order(first, load));
            let limit = if tables.is_some() { BEFORE_DYNAMIC } else { TABLES_LIMIT };
            window.want(first.offset, first.filesz.min(limit));
            if let Some(load) = tables {
                window.want(load.offset, load.filesz.min(TABLES_LIMIT));
            }
        }
        want_early_sections(&start.header, start.ctx, window);
        let len = segment.filesz.min(DYNAMIC_LIMIT);
        let holder = loads().find(|load| load.offset <= segment.offset && segment.offset - load.offset < load.filesz);
        let from = holder.map_or(segment.offset, |load| load.offset).max(segment.offset.saturating_sub(BEFORE_DYNAMIC));
        window.want(from, (segment.offset - from).saturating_add(len));
    }
    go::watch(start.ctx, segments, window);
    let table = dynamic.map(|segment| {
        let len = segment.filesz.min(DYNAMIC_LIMIT).min(window.size().saturating_sub(segment.offset));
        window.pass(segment.offset.saturating_add(len));
        let bytes = window.get(segment.offset, len).unwrap_or_default();
        let table = DynamicTable::read(bytes, segment.filesz, start.ctx, segments);
        table.want(start.ctx, window);
        table
    });
    window.pass_wanted();
    (table, go::read(window))
}

/// Whether code comes before read-only data, an order that only Go's linker uses. The tables are in the second segment,
/// after the data.
fn is_go_order(first: &Segment, load: &Segment) -> bool {
    first.flags & PF_X != 0 && load.offset > first.offset && load.flags & (PF_X | PF_W) == 0
}

/// Go's own linker puts the strings and versions of a dynamic program after its read-only data and before the dynamic
/// section that refers to them. Its section headers are at the start of the file and give their offsets.
fn want_early_sections(header: &Header, ctx: Ctx, window: &mut Window<'_>) {
    let (size, count) = (SectionHeader::size(ctx) as u64, usize::from(header.e_shnum));
    let end = header.e_shoff.saturating_add(size * u64::from(header.e_shnum));
    if u64::from(header.e_shentsize) != size || header.e_shoff == 0 || end > EARLY_SECTIONS {
        return;
    }
    window.pass(end);
    let Some(bytes) = window.get(header.e_shoff, end - header.e_shoff) else { return };
    let sections = SectionHeader::parse(bytes, 0, count, ctx).unwrap_or_default();
    let is_table = |section: &&SectionHeader| {
        section.sh_flags & u64::from(SHF_ALLOC) != 0
            && matches!(section.sh_type, SHT_STRTAB | SHT_GNU_VERNEED | SHT_GNU_VERDEF)
    };
    for section in sections.iter().filter(is_table) {
        window.want(section.sh_offset, section.sh_size.min(TABLES_LIMIT));
    }
}

fn interp(segments: &[Segment], window: &Window<'_>) -> (Option<Vec<u8>>, bool) {
    let Some(segment) = segments.iter().find(|segment| segment.p_type == PT_INTERP) else { return (None, false) };
    let len = segment.filesz.min(INTERP_LIMIT);
    let is_missing = segment.offset.checked_add(len).is_none_or(|end| end > window.size());
    let bytes = if len == 0 { Some([].as_slice()) } else { window.get(segment.offset, len) };
    (bytes.map(<[u8]>::to_vec), is_missing)
}

/// Returns the property that arm64 kernels read, which is only the last one.
fn property(start: &ElfStart, segments: &[Segment], window: &Window<'_>) -> Option<Vec<u8>> {
    let is_arm = matches!(start.header.e_machine, EM_ARM | EM_AARCH64);
    let segment = segments.iter().rfind(|segment| is_arm && segment.p_type == PT_GNU_PROPERTY)?;
    let len = segment.filesz.min(PROPERTY_LIMIT).min(window.size().saturating_sub(segment.offset));
    window.get(segment.offset, len).map(<[u8]>::to_vec)
}

/// Reads the attributes of Arm and RISC-V programs, and returns whether the file is a detached debug file. Section
/// headers are at the end of the file, so they are read only in these cases.
fn read_sections(
    path: &[u8],
    start: &ElfStart,
    segments: &[Segment],
    window: &mut Window<'_>,
    isa: &mut IsaNotes,
) -> bool {
    let has_attributes = matches!(start.header.e_machine, EM_ARM | EM_RISCV);
    if !has_attributes && !may_be_debug_only(path, segments, window.size()) {
        return false;
    }
    let header = &start.header;
    let loaded = segments.iter().filter(|segment| segment.p_type == PT_LOAD);
    let loaded_end = loaded.map(|load| load.offset.saturating_add(load.filesz)).max().unwrap_or(0);
    let table_len = u64::from(header.e_shnum) * SectionHeader::size(start.ctx) as u64;
    window.want(loaded_end.min(window.size()), UNLOADED_HEAD);
    window.want(header.e_shoff.saturating_sub(UNLOADED_TAIL), UNLOADED_TAIL.saturating_add(table_len));
    window.pass_wanted();
    let table = window.get(header.e_shoff, table_len).unwrap_or_default();
    let mut offset = 0;
    let sections: Vec<SectionHeader> = std::iter::from_fn(|| table.gread_with(&mut offset, start.ctx).ok())
        .take(usize::from(header.e_shnum))
        .collect();
    if has_attributes {
        let section = sections.iter().find(|section| section.sh_type == ATTRIBUTES);
        let place = section.map(|section| (section.sh_offset, section.sh_size));
        let named = || segments.iter().find(|segment| segment.p_type == ATTRIBUTES && header.e_machine == EM_RISCV);
        let place = place.or_else(|| named().map(|segment| (segment.offset, segment.filesz)));
        if let Some(bytes) = place.and_then(|(offset, len)| window.get(offset, len)) {
            notes::read_attributes(header.e_machine, start.ctx, bytes, isa);
        }
    }
    let code = || {
        sections.iter().filter(|section| {
            section.sh_flags & u64::from(SHF_ALLOC | SHF_EXECINSTR) == u64::from(SHF_ALLOC | SHF_EXECINSTR)
        })
    };
    code().count() > 0 && code().all(|section| section.sh_type == SHT_NOBITS)
}

fn may_be_debug_only(path: &[u8], segments: &[Segment], size: u64) -> bool {
    let named = path.ends_with(b".debug")
        || path.starts_with(b"usr/lib/debug/")
        || path.windows(10).any(|part| part == b".build-id/");
    let code = segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.flags & 1 != 0);
    named || code.clone().any(|load| load.filesz == 0 || load.offset.saturating_add(load.filesz) > size)
}
