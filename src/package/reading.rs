//! Reads one file and the archives inside it. The members of each archive become one [`Contents`]. Those of nested
//! archives are below `ARCHIVE!/`.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use super::model::{Package, PackageFormat, UnreadPart};
use super::rpm::{RpmArch, RpmFiles};
use super::{cpio, deb, rpm, zip};
use crate::image::{
    ArchiveCompression, Contents, EntryKind, LayerError, LayerMember, Limits, PATH_LIMIT, Visit, looks_like_tar,
    normalise, unpack, walk_tar,
};

/// Enough bytes to detect every format. The magic number of tar is the last, at offset 257.
const HEAD: usize = 512;
const BUFFER: usize = 64 << 10;
/// Maximum size of a control file or a `.PKGINFO`.
const CONTROL_BYTES: u64 = 1 << 20;
const NAME_TOO_LONG: &str = "its name is longer than Linux allows";
/// Maximum depth of nested archives: a jar in a war in the data of a package.
const DEPTH: usize = 5;
/// Maximum number of parts listed as unread.
const UNREAD: usize = 100;
/// The assumed size of a file without a known size. Inspection stops at the end of the file.
const UNKNOWN_SIZE: u64 = 1 << 40;
/// Maximum number of nested compressions.
const PACKINGS: usize = 2;

/// The format according to the first bytes of a file.
enum Kind {
    Packed(ArchiveCompression),
    Tar,
    Zip,
    Deb,
    Rpm,
    Cpio,
    Other,
}

impl Kind {
    fn detect(head: &[u8]) -> Kind {
        if let Some(packing) = ArchiveCompression::from_magic(head) {
            return Kind::Packed(packing);
        }
        match head {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
            _ if deb::is_deb(head) => Kind::Deb,
            _ if head.starts_with(rpm::MAGIC) => Kind::Rpm,
            _ if cpio::is_cpio(head) => Kind::Cpio,
            // A file of zeros is not an archive.
            _ if looks_like_tar(head) && head.iter().any(|byte| *byte != 0) => Kind::Tar,
            _ => Kind::Other,
        }
    }
}

/// Extensions of archives and packages. If one cannot be read, it could contain unseen programs.
const ARCHIVES: [&str; 14] = [
    ".jar", ".war", ".ear", ".whl", ".egg", ".zip", ".nupkg", ".apk", ".aar", ".deb", ".rpm", ".tgz", ".tar.gz",
    ".tar.xz",
];

fn is_archive_name(path: &[u8]) -> bool {
    ARCHIVES
        .iter()
        .any(|end| path.len() > end.len() && path[path.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes()))
}

pub(super) struct PackageReading<'a, 'v, T> {
    limits: &'a Limits,
    /// Bytes that may still be unpacked.
    budget: Rc<Cell<u64>>,
    /// The whole budget, for messages.
    limit: u64,
    visit: &'a mut Visit<'v, T>,
    finished: Vec<Contents<T>>,
    names: u64,
    unread: Vec<UnreadPart>,
    declared: Option<String>,
    /// A fatal error from a closure that cannot return one.
    failed: Option<LayerError>,
    /// The files that the header of the current RPM lists.
    listed: Rc<RpmFiles>,
}

/// A file in an archive, or the outermost file.
struct File<'f> {
    path: &'f [u8],
    mode: u16,
    size: u64,
    /// Number of archives that contain the file.
    depth: usize,
    packings: usize,
}

impl<'a, 'v, T: Clone> PackageReading<'a, 'v, T> {
    pub fn new(limits: &'a Limits, budget: u64, visit: &'a mut Visit<'v, T>) -> Self {
        PackageReading {
            limits,
            budget: Rc::new(Cell::new(budget)),
            limit: budget,
            visit,
            finished: Vec::new(),
            names: 0,
            unread: Vec::new(),
            declared: None,
            failed: None,
            listed: Rc::default(),
        }
    }

    pub fn read(mut self, reader: &mut dyn Read, name: &str, size: u64) -> Result<Package<T>, LayerError> {
        let head = filled(reader, HEAD)?;
        let mut reader = head.as_slice().chain(reader);
        let (packing, format) = match Kind::detect(&head) {
            Kind::Packed(packing) => {
                let mut unpacked = self.unpacked(packing, &mut reader)?;
                let format = self.whole(&mut unpacked, name, UNKNOWN_SIZE)?;
                // The checksum at the end covers everything.
                io::copy(&mut unpacked, &mut io::sink())?;
                (Some(packing), format)
            }
            _ => (None, self.whole(&mut reader, name, size)?),
        };
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let is_packaged = format == PackageFormat::Tar && self.declared.is_some();
        let format = if is_packaged { PackageFormat::PkgInfo } else { format };
        let PackageReading { finished: contents, unread, declared, .. } = self;
        Ok(Package { format, packing, contents, declared, unread })
    }

    /// Reads the outermost archive, or the only file.
    fn whole(&mut self, reader: &mut dyn Read, name: &str, size: u64) -> Result<PackageFormat, LayerError> {
        let head = filled(reader, HEAD)?;
        let mut reader = head.as_slice().chain(reader);
        let kind = Kind::detect(&head);
        let format = match kind {
            Kind::Tar => PackageFormat::Tar,
            Kind::Zip => PackageFormat::Zip,
            Kind::Deb => PackageFormat::Deb,
            Kind::Rpm => PackageFormat::Rpm,
            Kind::Cpio => PackageFormat::Cpio,
            Kind::Packed(_) | Kind::Other => {
                let mut path = Vec::new();
                normalise(name.as_bytes(), &mut path);
                let entry = LayerMember { size, ..LayerMember::plain(&path, EntryKind::File, 0o755) };
                let fact = (self.visit)(&entry, &mut io::BufReader::new(reader));
                let mut contents = Contents::default();
                contents.push(&entry, fact);
                self.finished.push(contents);
                let is_image = head.starts_with(b"\x7fELF") && head.get(8..10) == Some(b"AI");
                if is_image {
                    self.add_unread(b"", "the appended file system image is not supported");
                }
                return Ok(if is_image { PackageFormat::AppImage } else { PackageFormat::Single });
            }
        };
        self.archive(&kind, &mut reader, b"", 1)?;
        Ok(format)
    }

    /// Reads an archive whose members are below `prefix`.
    fn archive(&mut self, kind: &Kind, reader: &mut dyn Read, prefix: &[u8], depth: usize) -> Result<(), LayerError> {
        match kind {
            Kind::Tar => self.tar(reader, prefix, depth),
            Kind::Zip => self.zip(reader, prefix, depth),
            Kind::Deb => self.deb(reader, prefix, depth),
            Kind::Rpm => {
                let (built, listed) = rpm::header(reader)?;
                if depth == 1 {
                    self.declared = match built {
                        RpmArch::For(arch) => Some(arch),
                        RpmArch::Source => Some("src".to_string()),
                        RpmArch::Unknown => None,
                    };
                }
                let outer = std::mem::replace(&mut self.listed, Rc::new(listed));
                let read = self.part(reader, prefix, depth);
                self.listed = outer;
                read
            }
            Kind::Cpio => self.cpio(reader, prefix, depth),
            Kind::Packed(_) | Kind::Other => Ok(()),
        }
    }

    /// Reads a part of a package that is an archive, compressed or not.
    fn part(&mut self, reader: &mut dyn Read, prefix: &[u8], depth: usize) -> Result<(), LayerError> {
        let head = filled(reader, HEAD)?;
        let mut reader = head.as_slice().chain(reader);
        match Kind::detect(&head) {
            Kind::Packed(packing) => {
                let mut unpacked = self.unpacked(packing, &mut reader)?;
                let head = filled(&mut unpacked, HEAD)?;
                let kind = Kind::detect(&head);
                self.archive(&kind, &mut head.as_slice().chain(&mut unpacked), prefix, depth)?;
                io::copy(&mut unpacked, &mut io::sink())?;
                Ok(())
            }
            // A package without files.
            Kind::Other if head.iter().all(|byte| *byte == 0) => Ok(()),
            Kind::Other => {
                self.add_unread(prefix, "its compression is not supported");
                Ok(())
            }
            kind => self.archive(&kind, &mut reader, prefix, depth),
        }
    }

    fn tar(&mut self, reader: &mut dyn Read, prefix: &[u8], depth: usize) -> Result<(), LayerError> {
        let limits = self.limits;
        let mut reader = BufReader::with_capacity(BUFFER, reader);
        let (contents, _) = walk_tar(&mut reader, limits, &mut |entry, content| {
            if self.failed.is_some() {
                return None;
            }
            if depth == 1 && entry.path == b".PKGINFO" {
                let mut text = Vec::new();
                // The tar reader reports the same error again.
                let _ = content.take(CONTROL_BYTES).read_to_end(&mut text);
                self.declared = deb::field(&text, "arch", '=');
                return None;
            }
            let path = [prefix, entry.path].concat();
            let file = File { path: &path, mode: entry.mode, size: entry.size, depth, packings: 0 };
            self.file(&file, content).unwrap_or_else(|error| {
                self.failed = Some(error);
                None
            })
        })?;
        self.failed.take().map_or(Ok(()), Err)?;
        self.finish(contents, prefix)
    }

    fn zip(&mut self, reader: &mut dyn Read, prefix: &[u8], depth: usize) -> Result<(), LayerError> {
        let mut contents = Contents::default();
        let mut reader = BufReader::with_capacity(BUFFER, reader);
        let (budget, limit) = (Rc::clone(&self.budget), self.limit);
        zip::walk(&mut reader, &budget, limit, &mut |name, content| {
            let mut path = prefix.to_vec();
            let mut own = Vec::new();
            normalise(name, &mut own);
            path.extend(&own);
            if own.is_empty() || name.ends_with(b"/") {
                return Ok(());
            }
            match content {
                Ok(content) => {
                    // Local headers do not reliably state the uncompressed size.
                    let file = File { path: &path, mode: 0o644, size: UNKNOWN_SIZE, depth, packings: 0 };
                    let fact = self.file(&file, content)?;
                    self.push(&mut contents, &file, fact)
                }
                Err(why) => {
                    self.add_unread(&path, why);
                    Ok(())
                }
            }
        })?;
        self.finished.push(contents);
        Ok(())
    }

    fn cpio(&mut self, reader: &mut dyn Read, prefix: &[u8], depth: usize) -> Result<(), LayerError> {
        let mut contents = Contents::default();
        let listed = Rc::clone(&self.listed);
        while let Some(member) = cpio::next(reader, &|index| listed.member(index))? {
            let mut own = Vec::new();
            normalise(&member.name, &mut own);
            let path = [prefix, own.as_slice()].concat();
            let mut content = (&mut *reader).take(member.size);
            if member.mode & 0o170_000 == 0o100_000 && !own.is_empty() {
                let mode = (member.mode & 0o7777) as u16;
                let file = File { path: &path, mode, size: member.size, depth, packings: 0 };
                let fact = self.file(&file, &mut content)?;
                self.push(&mut contents, &file, fact)?;
            }
            let left = content.limit();
            cpio::skip(reader, left + cpio::padding(member.size))?;
        }
        self.finished.push(contents);
        Ok(())
    }

    fn deb(&mut self, reader: &mut dyn Read, prefix: &[u8], depth: usize) -> Result<(), LayerError> {
        let mut magic = [0; deb::MAGIC.len()];
        cpio::fill(reader, &mut magic)?;
        while let Some(member) = deb::next(reader)? {
            let mut content = (&mut *reader).take(member.size);
            if member.name.starts_with("control.tar") {
                let declared = control(&mut content, self.limits)?;
                if depth == 1 {
                    self.declared = declared;
                }
            } else if member.name.starts_with("data.tar") {
                self.part(&mut content, prefix, depth)?;
            }
            let left = content.limit();
            let odd = member.size % 2;
            cpio::skip(reader, left)?;
            // The padding of the last member may be missing.
            io::copy(&mut (&mut *reader).take(odd), &mut io::sink())?;
        }
        Ok(())
    }

    /// Handles a file in an archive: reads a nested archive, inspects anything else.
    fn file(&mut self, file: &File<'_>, content: &mut dyn Read) -> Result<Option<T>, LayerError> {
        let mut content = Noted { reader: content, failed: None };
        let head = filled(&mut content, HEAD).unwrap_or_default();
        let kind = Kind::detect(&head);
        let mut reader = io::BufReader::new(head.as_slice().chain(&mut content));
        let read = match &kind {
            Kind::Other => {
                let entry =
                    LayerMember { size: file.size, ..LayerMember::plain(file.path, EntryKind::File, file.mode) };
                Ok((self.visit)(&entry, &mut reader))
            }
            Kind::Packed(packing) if file.packings < PACKINGS => match self.unpacked(*packing, &mut reader) {
                Ok(mut unpacked) => self.packed(file, &mut *unpacked),
                Err(error) => Err(error.into()),
            },
            Kind::Packed(_) => Ok(None),
            _ if file.depth >= DEPTH => {
                self.add_unread(file.path, "archives are nested too deeply");
                Ok(None)
            }
            _ => {
                let prefix = [file.path, b"!/"].concat();
                self.archive(&kind, &mut reader, &prefix, file.depth + 1).map(|()| None)
            }
        };
        match (content.failed, read) {
            (Some(error), _) => Err(error),
            (None, Ok(fact)) => Ok(fact),
            (None, Err(error)) => self.nested_error(file, error),
        }
    }

    /// Handles the content of a compressed file: reads an archive, inspects a program, and ignores other data.
    fn packed(&mut self, file: &File<'_>, unpacked: &mut dyn Read) -> Result<Option<T>, LayerError> {
        let head = filled(unpacked, HEAD)?;
        let is_program = head.starts_with(b"\x7fELF") || head.starts_with(b"MZ") || is_mach(&head);
        match Kind::detect(&head) {
            Kind::Other if !is_program => Ok(None),
            _ => {
                let inner = File { size: UNKNOWN_SIZE, packings: file.packings + 1, ..*file };
                self.file(&inner, &mut head.as_slice().chain(unpacked))
            }
        }
    }

    /// Handles the error of a nested archive that cannot be read. Other files are not affected, and a file that is not
    /// named like an archive is treated as data.
    fn nested_error(&mut self, file: &File<'_>, error: LayerError) -> Result<Option<T>, LayerError> {
        match error {
            LayerError::Read(_)
            | LayerError::Source(_)
            | LayerError::Deadline(_)
            | LayerError::TooLarge(_)
            | LayerError::Bomb { .. }
            | LayerError::TooMuchMemory(_)
            | LayerError::TooManyNames(_)
            | LayerError::TooMuchText(_) => Err(error),
            error => {
                if is_archive_name(file.path) {
                    self.add_unread(file.path, &error.to_string());
                }
                Ok(None)
            }
        }
    }

    fn unpacked<'r>(&self, packing: ArchiveCompression, reader: &'r mut dyn Read) -> io::Result<Box<dyn Read + 'r>> {
        let unpacked = unpack(packing, reader, self.limits)?;
        Ok(Box::new(Budgeted { reader: unpacked, budget: Rc::clone(&self.budget), limit: self.limit }))
    }

    fn push(&mut self, contents: &mut Contents<T>, file: &File<'_>, fact: Option<T>) -> Result<(), LayerError> {
        if file.path.len() > PATH_LIMIT {
            self.add_unread(&file.path[..64], NAME_TOO_LONG);
            return Ok(());
        }
        let size = if file.size == UNKNOWN_SIZE { 0 } else { file.size };
        let before = contents.used_bytes();
        contents.push(&LayerMember { size, ..LayerMember::plain(file.path, EntryKind::File, file.mode) }, fact);
        self.limits.memory.reserve(contents.used_bytes().saturating_sub(before))?;
        self.count(1)
    }

    fn count(&mut self, names: u64) -> Result<(), LayerError> {
        self.names += names;
        if self.names > self.limits.max_names { Err(LayerError::TooManyNames(self.limits.max_names)) } else { Ok(()) }
    }

    /// Keeps the members of a tar, below `prefix`.
    fn finish(&mut self, contents: Contents<T>, prefix: &[u8]) -> Result<(), LayerError> {
        self.count(contents.len() as u64)?;
        if prefix.is_empty() {
            self.finished.push(contents);
            return Ok(());
        }
        let mut below = Contents::default();
        contents.for_each(|entry, fact| {
            // Only files with facts are kept from nested archives.
            let Some(fact) = fact else { return };
            let path = [prefix, entry.path].concat();
            if path.len() > PATH_LIMIT {
                self.add_unread(&path[..64], NAME_TOO_LONG);
            } else {
                below.push(&LayerMember { path: &path, ..entry.clone() }, Some(contents.fact(fact).clone()));
            }
        });
        self.finished.push(below);
        Ok(())
    }

    fn add_unread(&mut self, path: &[u8], why: &str) {
        if self.unread.len() < UNREAD {
            let path = String::from_utf8_lossy(path).trim_end_matches("!/").to_string();
            self.unread.push(UnreadPart { path, why: why.to_string() });
        }
    }
}

/// Reads the `Architecture` field from a control archive.
fn control(reader: &mut dyn Read, limits: &Limits) -> Result<Option<String>, LayerError> {
    let head = filled(reader, HEAD)?;
    let reader = head.as_slice().chain(reader);
    let unpacked: Box<dyn Read + '_> = match ArchiveCompression::from_magic(&head) {
        Some(packing) => unpack(packing, reader, limits)?,
        None => Box::new(reader),
    };
    let mut declared = None;
    // A control archive has some kilobytes, and only its `control` member is read.
    let mut bounded = BufReader::new(unpacked.take(64 << 20));
    walk_tar::<(), _>(&mut bounded, limits, &mut |entry, content| {
        if entry.path == b"control" {
            let mut text = Vec::new();
            let _ = content.take(CONTROL_BYTES).read_to_end(&mut text);
            declared = deb::field(&text, "Architecture", ':');
        }
        None
    })?;
    Ok(declared)
}

fn is_mach(head: &[u8]) -> bool {
    matches!(head, [0xca | 0xfe | 0xce | 0xcf, 0xfe | 0xed | 0xfa, ..])
}

/// Reads the first bytes, at most `limit`.
pub(super) fn filled(reader: &mut dyn Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(limit);
    reader.take(limit as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// A decoder that counts its output against the file's budget.
struct Budgeted<'r> {
    reader: Box<dyn Read + 'r>,
    budget: Rc<Cell<u64>>,
    /// The limit for the error message.
    limit: u64,
}

impl Read for Budgeted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        match self.budget.get().checked_sub(read as u64) {
            Some(left) => self.budget.set(left),
            None => return Err(LayerError::TooLarge(self.limit).into()),
        }
        Ok(read)
    }
}

/// Keeps the read error of a member's content, because inspection treats it like the end of the file.
struct Noted<'r> {
    reader: &'r mut dyn Read,
    failed: Option<LayerError>,
}

impl Read for Noted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.reader.read(into).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error.into());
            }
            kind.into()
        })
    }
}
