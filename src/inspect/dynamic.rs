//! The dynamic section and its tables: what the dynamic loader will search for, and what this file provides. Only kept
//! bytes are read, and missing parts are reported.

use goblin::container::Ctx;
use goblin::elf::dynamic::{
    DF_1_PIE, DT_FLAGS_1, DT_GNU_HASH, DT_HASH, DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ,
    DT_STRTAB, DT_SYMTAB, DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM, Dyn,
};
use goblin::elf::section_header::{SHT_GNU_VERDEF, SHT_GNU_VERNEED, SectionHeader};
use goblin::elf::symver::{VER_FLG_BASE, VER_FLG_WEAK, VerdefSection, VerneedSection};
use scroll::Pread;

use super::kind::{Dynamic, PT_LOAD, Segment};
use super::symbols::SymbolTable;
use super::window::Window;

/// Source: glibc elf.h.
const DF_1_NODEFLIB: u64 = 0x800;
/// A version table has a few hundred bytes, in the largest C library a few thousand.
const VERSIONS_LIMIT: u64 = 256 << 10;
/// libc.so.6 defines about 40 versions. No real library has more than this limit.
const VERSION_COUNT: usize = 4096;
/// Source: include/uapi/linux/limits.h, PATH_MAX: names and search paths cannot be longer.
const NAME_LIMIT: usize = 4096;
/// String tables of the largest libraries (LLVM, Chromium) have several MiB.
const STRINGS_LIMIT: u64 = 8 << 20;

/// The entries of a dynamic section before their strings are resolved.
#[derive(Debug, Default)]
pub struct DynamicTable {
    /// Tag and string offset of DT_NEEDED, DT_SONAME, DT_RPATH and DT_RUNPATH, in file order.
    names: Vec<(u64, u64)>,
    /// File offset and length. `None` if no segment contains the address.
    strings: Option<(u64, u64)>,
    needs: Option<NeededVersions>,
    defines: Option<NeededVersions>,
    flags_1: u64,
    symbols: SymbolTable,
    has_lost: bool,
}

#[derive(Clone, Copy, Debug)]
struct NeededVersions {
    /// `None` if no segment contains the address.
    offset: Option<u64>,
    count: u64,
}

impl DynamicTable {
    /// Reads the entries up to DT_NULL and converts their addresses to file offsets with `segments`. Entries are lost if
    /// `bytes` is only a part of the section and ends before DT_NULL.
    pub fn read(bytes: &[u8], section_size: u64, ctx: Ctx, segments: &[Segment]) -> DynamicTable {
        let mut table = DynamicTable { has_lost: bytes.is_empty(), ..DynamicTable::default() };
        let (mut strings, mut size, mut needs, mut defines) = (None, 0, (None, 0), (None, 0));
        let (mut offset, mut has_end) = (0, false);
        while let Ok(Dyn { d_tag, d_val }) = bytes.gread_with::<Dyn>(&mut offset, ctx) {
            match d_tag {
                DT_NULL => {
                    has_end = true;
                    break;
                }
                DT_NEEDED | DT_SONAME | DT_RPATH | DT_RUNPATH => table.names.push((d_tag, d_val)),
                DT_STRTAB => strings = Some(d_val),
                DT_STRSZ => size = d_val,
                DT_FLAGS_1 => table.flags_1 = d_val,
                DT_VERNEED => needs.0 = Some(d_val),
                DT_VERNEEDNUM => needs.1 = d_val,
                DT_VERDEF => defines.0 = Some(d_val),
                DT_VERDEFNUM => defines.1 = d_val,
                DT_SYMTAB => table.symbols.entries = file_offset(segments, d_val),
                DT_HASH => table.symbols.hash = file_offset(segments, d_val),
                DT_GNU_HASH => table.symbols.gnu_hash = file_offset(segments, d_val),
                _ => {}
            }
        }
        table.has_lost |= !has_end && (bytes.len() as u64) < section_size;
        let place = |(address, count): (Option<u64>, u64)| {
            address
                .filter(|_| count > 0)
                .map(|address| NeededVersions { offset: file_offset(segments, address), count })
        };
        table.strings = strings.and_then(|address| file_offset(segments, address)).map(|offset| (offset, size));
        (table.needs, table.defines) = (place(needs), place(defines));
        table
    }

    /// Requests the tables that have not passed yet.
    pub fn want(&self, ctx: Ctx, window: &mut Window<'_>) {
        match self.strings {
            Some((offset, size)) if size <= STRINGS_LIMIT.min(window.room()) => window.want(offset, size),
            // If the table is too large, only the names are requested.
            Some((offset, _)) => {
                let mut names: Vec<u64> = self.names.iter().map(|(_, name)| *name).collect();
                names.extend(self.version_names(ctx, window));
                names.sort_unstable();
                let mut end = 0;
                for start in names.into_iter().map(|name| offset.saturating_add(name)) {
                    if start.saturating_add(NAME_LIMIT as u64 / 2) > end {
                        window.want(start, NAME_LIMIT as u64);
                        end = start.saturating_add(NAME_LIMIT as u64);
                    }
                }
            }
            None => {}
        }
        for versions in [self.needs, self.defines].into_iter().flatten() {
            if let Some(offset) = versions.offset {
                window.want(offset, versions.count.saturating_mul(1024).min(VERSIONS_LIMIT));
            }
        }
    }

    /// The kept bytes of the string table.
    pub fn strings<'w>(&self, window: &'w Window<'_>) -> &'w [u8] {
        let Some((start, size)) = self.strings else { return &[] };
        let bytes = window.from(start).unwrap_or_default();
        &bytes[..bytes.len().min(usize::try_from(size).unwrap_or(usize::MAX))]
    }

    /// String offsets of the required versions, if their table has passed and was kept.
    fn version_names(&self, ctx: Ctx, window: &Window<'_>) -> Vec<u64> {
        let Some((bytes, header)) = self.needs.and_then(|needs| table(needs, SHT_GNU_VERNEED, window)) else {
            return Vec::new();
        };
        let Ok(Some(section)) = VerneedSection::parse(bytes, &header, ctx) else { return Vec::new() };
        let mut names = Vec::new();
        for need in section.iter() {
            names.push(need.vn_file as u64);
            let left = VERSION_COUNT.saturating_sub(names.len());
            names.extend(need.iter().take(left).map(|version| version.vna_name as u64));
        }
        names
    }

    /// Resolves the names from the kept bytes. `is_program` is true if the file names a loader, `is_module` if a runtime
    /// loads it by its path.
    pub fn resolve(&self, ctx: Ctx, window: &Window<'_>, is_program: bool, is_module: bool) -> Dynamic {
        let mut names = KeptNames::new(self.strings, window, self.has_lost);
        let mut dynamic = Dynamic {
            is_pie: self.flags_1 & DF_1_PIE != 0,
            no_default_lib: self.flags_1 & DF_1_NODEFLIB != 0,
            ..Dynamic::default()
        };
        for (tag, offset) in &self.names {
            let Some(name) = names.at(*offset) else { continue };
            match *tag {
                DT_NEEDED => dynamic.needed.push(name),
                DT_SONAME => dynamic.soname = Some(name),
                DT_RPATH => dynamic.rpath = Some(name),
                _ => dynamic.runpath = Some(name),
            }
        }
        if let Some(needs) = self.needs {
            match table(needs, SHT_GNU_VERNEED, window) {
                Some((bytes, header)) => dynamic.wants = wanted(bytes, &header, ctx, &mut names),
                None => names.has_lost = true,
            }
        }
        dynamic.offers = match self.defines {
            None => Some(Vec::new()),
            Some(defines) => {
                table(defines, SHT_GNU_VERDEF, window).map(|(bytes, header)| offered(bytes, &header, ctx, &mut names))
            }
        };
        dynamic.is_partial = names.has_lost || dynamic.offers.is_none();
        let is_for_glibc = dynamic.needed.iter().any(|name| name == "libc.so.6");
        let is_kept = is_program || !is_for_glibc;
        if is_kept || is_module {
            let symbols = self.symbols.read(ctx, window, &|offset| names.bytes(offset));
            if is_kept {
                dynamic.symbols = symbols.map(Box::new);
            } else {
                dynamic.undefined = symbols.map(|symbols| symbols.undefined);
            }
        }
        dynamic
    }
}

/// Converts an address to a file offset, using the PT_LOAD that contains it.
fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    let mut loads = segments.iter().filter(|segment| segment.p_type == PT_LOAD);
    let load = loads.find(|load| address >= load.vaddr && address - load.vaddr < load.filesz)?;
    load.offset.checked_add(address - load.vaddr)
}

/// goblin finds version tables by their section. This section is made up from the dynamic section, because section
/// headers may be stripped.
fn table<'a>(versions: NeededVersions, sh_type: u32, window: &'a Window<'_>) -> Option<(&'a [u8], [SectionHeader; 1])> {
    let bytes = window.from(versions.offset?)?;
    let bytes = &bytes[..bytes.len().min(VERSIONS_LIMIT as usize)];
    let sh_info = versions.count.min(VERSION_COUNT as u64) as u32;
    let header =
        SectionHeader { sh_type, sh_offset: 0, sh_size: bytes.len() as u64, sh_info, ..SectionHeader::default() };
    Some((bytes, [header]))
}

fn wanted(
    bytes: &[u8],
    header: &[SectionHeader; 1],
    ctx: Ctx,
    names: &mut KeptNames<'_, '_>,
) -> Vec<(String, Vec<(String, bool)>)> {
    let mut wants = Vec::new();
    let Ok(Some(section)) = VerneedSection::parse(bytes, header, ctx) else {
        names.has_lost = true;
        return wants;
    };
    let mut left = VERSION_COUNT;
    for need in section.iter() {
        let mut versions = Vec::new();
        for version in need.iter().take(left) {
            left -= 1;
            let is_weak = version.vna_flags & VER_FLG_WEAK != 0;
            versions.extend(names.at(version.vna_name as u64).map(|name| (name, is_weak)));
        }
        wants.extend(names.at(need.vn_file as u64).map(|library| (library, versions)));
    }
    wants
}

fn offered(bytes: &[u8], header: &[SectionHeader; 1], ctx: Ctx, names: &mut KeptNames<'_, '_>) -> Vec<String> {
    let Ok(Some(section)) = VerdefSection::parse(bytes, header, ctx) else {
        names.has_lost = true;
        return Vec::new();
    };
    // The first name of a definition is the version. The other names are the versions that it inherits.
    let definitions = section.iter().filter(|definition| definition.vd_flags & VER_FLG_BASE == 0);
    definitions.filter_map(|definition| names.at(definition.iter().next()?.vda_name as u64)).collect()
}

/// The kept part of the string table.
struct KeptNames<'w, 'r> {
    window: &'w Window<'r>,
    /// File offset and length.
    strings: Option<(u64, u64)>,
    has_lost: bool,
}

impl<'w, 'r> KeptNames<'w, 'r> {
    fn new(strings: Option<(u64, u64)>, window: &'w Window<'r>, has_lost: bool) -> KeptNames<'w, 'r> {
        KeptNames { window, strings, has_lost }
    }

    fn at(&mut self, offset: u64) -> Option<String> {
        let name = self.bytes(offset).map(|name| String::from_utf8_lossy(name).into_owned());
        self.has_lost |= name.is_none();
        name
    }

    /// The bytes of a name, if they were kept.
    fn bytes(&self, offset: u64) -> Option<&'w [u8]> {
        let (start, size) = self.strings.filter(|(_, size)| offset < *size)?;
        let bytes = self.window.from(start.checked_add(offset)?)?;
        let len = usize::try_from(size - offset).unwrap_or(usize::MAX).min(NAME_LIMIT).min(bytes.len());
        let end = bytes[..len].iter().position(|byte| *byte == 0)?;
        Some(&bytes[..end])
    }
}
