//! Zip archives (jars, wheels, nupkgs): finds the native code inside. Members are read forward, and only the first
//! bytes of each are decompressed. Archives inside archives are read two levels deep. All limits are below, and members
//! that could not be read are counted. Source: PKWARE's APPNOTE.TXT.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read};

use flate2::Decompress;
use scroll::{LE, Pread};

use super::kind::{FileKind, HEAD_BYTES, NativeKind, Zip};
use super::named::{WHEEL_BYTES, is_wheel_path, wheel_tags};
use super::window::{Window, WindowBuffers};
use super::zip_member::{LOCAL, MemberContent, ZipMember, fill, next_signature, skip};
use super::{elf, foreign};
use crate::platform::Arch;

/// For example a jar in a war in an ear.
const DEPTH: usize = 2;
/// Maximum number of members in one file, including nested archives. The largest jars have about ten thousand.
const MEMBERS: u32 = 200_000;
/// Maximum number of native members to list.
const NATIVES: usize = 4096;
/// Maximum bytes to decompress from one file, so that a zip bomb costs at most a second.
const INFLATE_BYTES: u64 = 512 << 20;
/// Enough bytes of a member to recognise its format. A PE header that is further inside is read too.
const PEEK: usize = 1024;
/// Maximum number of libraries whose tables are read. Of the others only the header is. The largest jars of natives have
/// about a hundred.
const LIBRARIES: u32 = 256;
/// ET_DYN.
const SHARED: u16 = 3;
/// Size of a library whose archive does not state it.
const UNKNOWN_SIZE: u64 = 1 << 30;
/// Maximum length of a member's name, for display.
const NAME_BYTES: usize = 512;
const BUFFER: usize = 64 << 10;

/// Extensions of archives. Other zip files (documents, fonts, source packages) have no native code.
const ARCHIVES: [&[u8]; 14] = [
    b".jar", b".war", b".ear", b".sar", b".whl", b".egg", b".zip", b".nupkg", b".apk", b".aar", b".pex", b".pyz",
    b".hpi", b".jpi",
];
/// Extensions of members that are never native code.
const PLAIN: [&[u8]; 36] = [
    b".class",
    b".java",
    b".kt",
    b".scala",
    b".groovy",
    b".xml",
    b".xsd",
    b".dtd",
    b".properties",
    b".html",
    b".htm",
    b".css",
    b".js",
    b".mjs",
    b".ts",
    b".json",
    b".md",
    b".txt",
    b".rst",
    b".py",
    b".pyi",
    b".pyc",
    b".c",
    b".h",
    b".hpp",
    b".cc",
    b".cpp",
    b".png",
    b".gif",
    b".jpg",
    b".svg",
    b".ttf",
    b".MF",
    b".SF",
    b".yaml",
    b".yml",
];

/// Whether an archive may contain native code, judging by its name or because it is executable.
pub fn is_worth_reading(path: &[u8], is_executable: bool) -> bool {
    is_executable || is_archive(path)
}

/// Reads the archive at the start of `window`.
pub fn inspect(window: &mut Window<'_>) -> Zip {
    inspect_after(window, 0)
}

/// Reads the archive that follows the first `start` bytes.
pub fn inspect_after(window: &mut Window<'_>, start: u64) -> Zip {
    let budget = Cell::new(INFLATE_BYTES);
    let mut zip_reader = ZipReader {
        zip: Zip::default(),
        members: 0,
        budget: &budget,
        spare: Vec::new(),
        libraries: 0,
        buffers: WindowBuffers::default(),
    };
    let mut reader = BufReader::with_capacity(BUFFER, window.stream());
    if skip(&mut reader, start).is_some() {
        zip_reader.archive(&mut reader, "", 0);
    }
    zip_reader.zip
}

fn is_archive(name: &[u8]) -> bool {
    ends_in(name, &ARCHIVES)
}

fn ends_in(name: &[u8], ends: &[&[u8]]) -> bool {
    ends.iter().any(|end| name.len() > end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end))
}

/// State for reading one file: the result and the remaining limits.
struct ZipReader<'b> {
    zip: Zip,
    members: u32,
    /// Bytes that may still be decompressed, over all levels.
    budget: &'b Cell<u64>,
    /// Unused decompressors. Each level of nesting needs one at a time.
    spare: Vec<Decompress>,
    /// Number of libraries that were read whole.
    libraries: u32,
    /// For the library that is being read.
    buffers: WindowBuffers,
}

impl<'b> ZipReader<'b> {
    /// Reads members up to the central directory or the first error.
    fn archive(&mut self, reader: &mut dyn BufRead, within: &str, depth: usize) {
        loop {
            match next_signature(reader) {
                Some(LOCAL) => {}
                Some(_) => return,
                None => return self.count_unread(),
            }
            let Some(member) = ZipMember::read(reader) else { return self.count_unread() };
            self.members += 1;
            if self.members > MEMBERS || self.member(&member, reader, within, depth).is_none() {
                return self.count_unread();
            }
        }
    }

    fn count_unread(&mut self) {
        self.zip.unread += 1;
    }

    /// Reads a member. `None` if the start of the next member cannot be found.
    fn member(&mut self, member: &ZipMember, reader: &mut dyn BufRead, within: &str, depth: usize) -> Option<()> {
        let name = member.name.as_slice();
        self.zip.is_jar |= depth == 0 && (name == b"META-INF/MANIFEST.MF" || name.ends_with(b".class"));
        let is_wheel = depth == 0 && is_wheel_path(name);
        let is_plain = name.ends_with(b"/") || (ends_in(name, &PLAIN) && !is_wheel);
        let Some(mut content) = self.open(member, reader) else {
            self.zip.unread += u32::from(!is_plain);
            return skip(reader, member.size?);
        };
        if is_wheel {
            let mut text = Vec::new();
            let read = (&mut content).take(WHEEL_BYTES).read_to_end(&mut text);
            self.zip.unread += u32::from(read.is_err());
            self.zip.wheel_tags = wheel_tags(&text);
        } else if is_archive(name) && depth < DEPTH {
            let within = format!("{within}{}!/", shown(name));
            self.archive(&mut BufReader::with_capacity(BUFFER, &mut content), &within, depth + 1);
        } else if !is_plain {
            match peek(&mut content) {
                Some(start) => self.native(&start, &mut content, || format!("{within}{}", shown(name))),
                None => self.count_unread(),
            }
        }
        let finished = content.finish();
        self.spare.extend(content.inflater);
        finished
    }

    /// Opens a member. `None` if it is encrypted, has an unsupported compression, or is stored without a size.
    fn open<'r>(&mut self, member: &ZipMember, from: &'r mut dyn BufRead) -> Option<MemberContent<'r, 'b>> {
        let inflater = match member.method {
            0 if member.size.is_some() => None,
            8 => Some(self.spare.pop().unwrap_or_else(|| Decompress::new(false))),
            _ => return None,
        };
        let inflater = inflater.map(|mut inflater| {
            inflater.reset(false);
            inflater
        });
        let content = MemberContent { from, left: member.size, inflater, is_ended: false, budget: self.budget };
        (!member.is_encrypted).then_some(content)
    }

    /// Records a member that starts with `peek`, if it is native code. `rest` are its other bytes.
    fn native(&mut self, peek: &[u8], rest: &mut dyn Read, name: impl FnOnce() -> String) {
        let Some(mut native) = native(peek) else { return };
        if self.zip.natives.len() == NATIVES {
            return self.count_unread();
        }
        let name = name();
        if let NativeKind::Elf { arch: Some(_), e_type: SHARED, library, .. } = &mut native
            && self.libraries < LIBRARIES
        {
            self.libraries += 1;
            let mut whole = BufReader::new(peek.chain(rest));
            let mut window = Window::open(&mut whole, UNKNOWN_SIZE, &mut self.buffers, HEAD_BYTES);
            let elf = elf::inspect_member(name.as_bytes(), &mut window);
            *library = (!window.has_failed()).then(|| Box::new(elf));
        }
        self.zip.natives.push((name, native));
    }
}

/// The first bytes of a member: as many as [`native`] needs. `None` if the reader failed.
fn peek(content: &mut MemberContent<'_, '_>) -> Option<Vec<u8>> {
    let mut start = vec![0; PEEK];
    let mut len = fill(content, &mut start)?;
    if len == PEEK {
        start.resize(foreign::pe_header_end(&start).unwrap_or(PEEK).max(PEEK), 0);
        len += fill(content, &mut start[PEEK..])?;
    }
    start.truncate(len);
    Some(start)
}

/// Recognises native code from the first bytes of a member.
fn native(peek: &[u8]) -> Option<NativeKind> {
    match peek {
        [0x7f, b'E', b'L', b'F', ..] => {
            let (machine, e_type, class, endian) = elf::peek(peek);
            Some(NativeKind::Elf { machine, arch: Arch::of_elf(machine, class, endian), e_type, library: None })
        }
        [b'M', b'Z', ..] => {
            let offset = peek.pread_with::<u32>(0x3c, LE).ok()? as usize;
            foreign::pe_header(peek.get(offset..)?).map(|pe| NativeKind::Pe { machine: pe.machine })
        }
        _ => matches!(foreign::mach_or_java(peek), Some(FileKind::MachO(_))).then_some(NativeKind::MachO),
    }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES)]).into_owned()
}

#[cfg(test)]
#[path = "zip_tests.rs"]
pub(crate) mod tests;
