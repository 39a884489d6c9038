//! Reads an image archive in one pass: from standard input, or from an engine's export. Documents are kept, layers are
//! read as they arrive, and nothing is written to disk. Blobs come before the index that names them, so only a member's
//! bytes show what it is.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

use super::contents::LayerMember;
use super::error::{ImageError, LayerError};
use super::layer::{Layer, LayerRead, Passed, check, read_stored};
use super::limits::Limits;
use super::pipeline::{Compression, LayerPipeline, MAGIC_BYTES, looks_like_tar};
use super::tar::{Blocks, TarEnd, TarMember, Visit, padding};
use super::unpack::{ArchiveCompression, unpack};
use crate::oci::{Digest, Hasher};
use crate::source::SourceError;
use crate::source::archive::{ArchiveMember, Members};

/// The content of an archive.
#[derive(Debug)]
pub struct Streamed<T> {
    /// For [`crate::source::archive::Archive::from_members`], which finds the archive's images.
    pub members: Members,
    layers: HashMap<Digest, Passed<T>>,
}

/// Size limit of a stored document; the largest that is read later is a config.
const DOCUMENT_LIMIT: u64 = 8 << 20;
/// Size limit of all stored documents: enough for 30 platforms, plus some MiB of unrelated JSON.
const DOCUMENTS_LIMIT: u64 = 32 << 20;
/// Bytes that are read after an archive's end marker; tar pads to 10 KiB.
const TRAILING_LIMIT: u64 = 16 << 20;
/// Size of the buffer between the pipe and the tar reader.
const BUFFER: usize = 128 << 10;

/// Reads a whole archive, which may itself be compressed. `place` is its name in messages; `visit` is called as in
/// [`super::read_layer`]. A layer that cannot be read fails only the images that contain it; a truncated archive is an
/// error.
pub fn read_stream<T>(
    reader: Box<dyn Read + Send>,
    place: &str,
    limits: &Limits,
    visit: &mut dyn FnMut(&LayerMember<'_>, &mut dyn BufRead) -> Option<T>,
) -> Result<Streamed<T>, ImageError> {
    let fault = |cause: LayerError| archive_fault(place, cause);
    let (mut reader, mut start) = (BufReader::with_capacity(BUFFER, Uninterrupted(reader)), Vec::new());
    let read = (&mut reader).take(MAGIC_BYTES as u64).read_to_end(&mut start);
    read.map_err(|error| fault(LayerError::Read(error)))?;
    if start.is_empty() {
        let (place, cause) = (place.to_string(), "it is empty".to_string());
        let error = SourceError::Malformed { place, cause };
        return Err(error.with_hint("check the output of the command that writes it").into());
    }
    let packing = ArchiveCompression::from_magic(&start);
    if packing.is_none() {
        // The error names the actual format.
        Compression::detect(&start).map_err(fault)?;
    }
    let mut reader = (&start[..]).chain(reader);
    let mut passage =
        Passage { members: Members::passing(place), layers: HashMap::new(), kept: 0, limits, visit, place };
    match packing {
        None => passage.read(&mut reader)?,
        Some(packing) => {
            let unpacked = unpack(packing, reader, limits).map_err(|error| fault(error.into()))?;
            passage.read(&mut BufReader::with_capacity(BUFFER, unpacked))?;
        }
    }
    Ok(Streamed { members: passage.members, layers: passage.layers })
}

/// Retries a read that a signal interrupted.
struct Uninterrupted<R>(R);

impl<R: Read> Read for Uninterrupted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

fn archive_fault(place: &str, cause: LayerError) -> ImageError {
    let place = place.to_string();
    ImageError::Source(match cause {
        LayerError::Source(error) => error,
        // The reader failed, and its error states why.
        LayerError::Read(cause) if cause.kind() != io::ErrorKind::UnexpectedEof => {
            SourceError::File { path: place.into(), cause }
        }
        cause => SourceError::Malformed { place, cause: cause.to_string() },
    })
}

impl<T> Streamed<T> {
    /// Returns the layer with this descriptor's digest, checked against the descriptor and its diffID as by
    /// [`super::read_layer`]. Each digest can be taken once; afterwards it is not present.
    pub fn take(&mut self, layer: &Layer) -> Result<LayerRead<T>, ImageError> {
        let descriptor = &layer.descriptor;
        let taken = if descriptor.is_encrypted() {
            Err(LayerError::Encrypted(descriptor.media_type.clone()))
        } else {
            match self.layers.remove(&descriptor.digest) {
                Some(passed) => check(passed, layer),
                None if descriptor.is_foreign_layer() => Err(LayerError::Foreign(descriptor.urls.clone())),
                None => Err(LayerError::Source(self.members.absent(&descriptor.digest))),
            }
        };
        taken.map_err(|cause| cause.in_layer(layer.index, descriptor))
    }
}

/// The state of reading an archive.
struct Passage<'p, 'v, T> {
    members: Members,
    layers: HashMap<Digest, Passed<T>>,
    /// Bytes of documents stored so far.
    kept: u64,
    limits: &'p Limits,
    visit: &'p mut Visit<'v, T>,
    place: &'p str,
}

impl<T> Passage<'_, '_, T> {
    fn read<R: BufRead>(&mut self, reader: &mut R) -> Result<(), ImageError> {
        let mut blocks = Blocks::new(reader);
        let mut member = TarMember::new();
        let place = self.place;
        let fault = |cause| archive_fault(place, cause);
        loop {
            if let Err(end) = blocks.member(&mut member).map_err(fault)? {
                self.members.is_whole = end == TarEnd::Marked;
                break;
            }
            let name = String::from_utf8_lossy(&member.name).into_owned();
            let link = String::from_utf8_lossy(&member.link);
            match member.tag {
                0 if member.name.ends_with(b"/") => {}
                0 | b'0' | b'7' => {
                    let size = member.stored;
                    let section = MemberBytes { reader: &mut *blocks.reader, left: size };
                    let kept = self.file(&name, section, size).map_err(fault)?;
                    self.members.add(&name, kept)?;
                    blocks.at += size;
                    blocks.skip(padding(size)).map_err(fault)?;
                }
                b'1' => self.members.add(&name, ArchiveMember::hard_link(&link))?,
                b'2' => self.members.add(&name, ArchiveMember::symbolic_link(&name, &link))?,
                b'3'..=b'6' => {}
                _ => blocks.skip_data(member.stored).map_err(fault)?,
            }
        }
        // The process that writes to the pipe must not receive SIGPIPE, unless its output never ends.
        io::copy(&mut blocks.reader.take(TRAILING_LIMIT), &mut io::sink()).map_err(|error| fault(error.into()))?;
        Ok(())
    }

    /// Stores a document, reads a layer, and skips anything that is neither.
    fn file(
        &mut self,
        name: &str,
        mut section: MemberBytes<'_, impl BufRead>,
        size: u64,
    ) -> Result<ArchiveMember, LayerError> {
        let mut start = Vec::with_capacity(MAGIC_BYTES);
        (&mut section).take(MAGIC_BYTES as u64).read_to_end(&mut start)?;
        if is_document(&start) && size <= DOCUMENT_LIMIT && self.kept + size <= DOCUMENTS_LIMIT {
            self.kept += size;
            section.read_to_end(&mut start)?;
            return Ok(ArchiveMember::Document(start.into()));
        }
        let stored = (&start[..]).chain(section);
        // The archive's reader stays on this thread, and so do the decoders of its members.
        let is_sha512 = name.contains("blobs/sha512/");
        let hasher = if is_sha512 { Hasher::sha512() } else { Hasher::sha256() };
        let passed = read_stored(stored, hasher, self.limits, LayerPipeline::alone, self.visit)?;
        let (digest, size) = (passed.digest.clone(), passed.bytes);
        self.layers.entry(digest.clone()).or_insert(passed);
        Ok(ArchiveMember::Passed { digest, size })
    }
}

/// JSON, but not an in-toto statement: SBOMs are many megabytes long and belong to no image's documents.
fn is_document(start: &[u8]) -> bool {
    let is_json = matches!(start.trim_ascii_start().first(), None | Some(b'{' | b'['));
    is_json && !looks_like_tar(start) && !start.windows(7).any(|window| window == b"in-toto")
}

/// A member's bytes. It is an error if the archive ends before they do.
struct MemberBytes<'r, R> {
    reader: &'r mut R,
    left: u64,
}

impl<R: BufRead> Read for MemberBytes<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let limit = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if limit == 0 {
            return Ok(0);
        }
        // Any failure here is the archive's fault, not the fault of the layer in it.
        let read = self.reader.read(&mut into[..limit]).map_err(|error| match error.downcast::<SourceError>() {
            Ok(error) => LayerError::Source(error),
            Err(error) => LayerError::Read(error),
        })?;
        if read == 0 {
            let cause = io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected end of the archive");
            return Err(LayerError::Read(cause).into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
