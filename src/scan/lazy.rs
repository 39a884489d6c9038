//! Reads a layer in part (`--lazy`): at first the starts of its programs and libraries, and the files that configure
//! them. If the judgement looks at a file of which that is not enough, the file is read in full, and the image is judged
//! again.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, OnceLock};

use super::keeping::{counted, is_module_name, keep_to, worth_keeping};
use super::model::Problem;
use super::pool::{Bounds, lock, side_by_side};
use crate::image::{
    Contents, EntryKind, Extent, FileStart, Layer, LayerMember, LazyLayer, Limits, Portion, SociBinding, TocFormat,
    read_layer,
};
use crate::inspect::{Depth, FileKind, HEAD_BYTES, SCRIPT_BYTES, inspect_start, is_read_by_name};
use crate::source::ImageSource;

/// A layer that is read in part, with what is known about its files so far.
#[derive(Debug)]
pub struct LazyRead {
    /// The layer as the image lists it.
    listed: Layer,
    layer: LazyLayer,
    /// All of it, if it had to be read in full after all.
    whole: OnceLock<Arc<Contents<FileKind>>>,
    facts: Mutex<HashMap<usize, FileFact>>,
}

/// A file's kind. A file without a fact was not read.
#[derive(Clone, Debug)]
enum FileFact {
    /// Derived from its start only, or from bytes that were not verified.
    Start(Option<FileKind>),
    Final(Option<FileKind>),
}

/// The parts of a layer that were read, for the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub format: TocFormat,
    pub fetched: u64,
    pub size: u64,
    /// Files of which only the start was read.
    pub started: usize,
    /// How the index of its table is bound to the image, if the table is SOCI's.
    pub soci: Option<SociBinding>,
}

/// The first bytes of a program, which contain the headers of almost every ELF file and its loader's name: in a Debian
/// image of 1,700 ELF files, 99 % have them in 828 bytes.
const FIRST_BYTES: usize = 1 << 10;
/// Files that are read in full at once.
const AT_ONCE: usize = 4;

impl LazyRead {
    /// Reads the table of contents and the starts of files. Returns `None` if the layer must be read in full.
    pub fn begin(source: &dyn ImageSource, layer: &Layer, limits: &Limits, depth: Depth) -> Option<LazyRead> {
        let lazy = LazyLayer::open(source, layer, limits)?;
        let read = LazyRead { listed: layer.clone(), layer: lazy, whole: OnceLock::new(), facts: Mutex::default() };
        let mut portions: Vec<(usize, Portion)> =
            (0..read.layer.entries()).map(|file| (file, portion(&read.layer.entry(file)))).collect();
        portions.retain(|(_, portion)| *portion != Portion::Nothing);
        // A request for half of the layer is slower than one for all of it.
        if read.layer.cost(&portions) > layer.descriptor.size / 2 {
            tracing::debug!(digest = %layer.descriptor.digest, "most of the layer is needed, so it is read in full");
            return None;
        }
        let mut longer = Vec::new();
        let mut started = read.layer.read_starts(source, &portions, &mut |start| {
            let is_enough = read.add(&start, FIRST_BYTES, depth);
            longer.extend((!is_enough).then(|| longer_portion(&start, read.layer.entry(start.file).size)).flatten());
        });
        if started.is_ok() && read.layer.cost(&longer) <= layer.descriptor.size / 4 {
            started = read.layer.read_starts(source, &longer, &mut |start| _ = read.add(&start, HEAD_BYTES, depth));
        }
        match started {
            Ok(()) => Some(read),
            Err(error) => {
                tracing::debug!(digest = %layer.descriptor.digest, %error, "the layer is read in full");
                None
            }
        }
    }

    /// Stores the fact that a file's start shows, of which `head` bytes are read if it is an ELF file. Returns false if the
    /// start is too short.
    fn add(&self, start: &FileStart, head: usize, depth: Depth) -> bool {
        let entry = self.layer.entry(start.file);
        let is_whole = start.bytes.len() as u64 == entry.size;
        let head = if start.bytes.len() >= HEAD_BYTES { HEAD_BYTES } else { head };
        let mut reader = StartReader { bytes: &start.bytes, is_whole, has_ended: false };
        let kind = match is_whole {
            true => keep_to(depth, &entry, &mut reader),
            false => {
                let kind = inspect_start(head, entry.path, entry.size, is_executable(&entry), &mut reader);
                worth_keeping(&entry, kind)
            }
        };
        let (is_enough, is_elf) = (!reader.has_ended, matches!(kind, Some(FileKind::Elf(_))));
        let fact = match kind {
            _ if !is_enough => FileFact::Start(None),
            kind if start.is_verified && (is_whole || !is_elf) => FileFact::Final(kind),
            kind => FileFact::Start(kind),
        };
        lock(&self.facts).insert(start.file, fact);
        is_enough
    }

    /// The layer's contents as far as they are known. Preliminary facts are marked.
    pub fn contents(&self, limits: &Limits) -> Result<Arc<Contents<FileKind>>, Problem> {
        if let Some(whole) = self.whole.get() {
            return Ok(Arc::clone(whole));
        }
        let facts = lock(&self.facts);
        let contents = self.layer.contents(limits, |file, entry| self.fact(&facts, file, entry));
        contents.map(Arc::new).map_err(|cause| Problem::from(self.layer.in_layer(cause)))
    }

    fn fact(
        &self,
        facts: &HashMap<usize, FileFact>,
        file: usize,
        entry: &LayerMember<'_>,
    ) -> Option<(FileKind, Extent)> {
        if entry.size == 0 {
            return worth_keeping(entry, FileKind::Empty).map(|kind| (kind, Extent::Final));
        }
        match facts.get(&file) {
            Some(FileFact::Final(kind)) => kind.clone().map(|kind| (kind, Extent::Final)),
            Some(FileFact::Start(Some(kind))) => Some((kind.clone(), Extent::Preliminary)),
            Some(FileFact::Start(None)) | None => Some((FileKind::Data, Extent::Preliminary)),
        }
    }

    /// Reads the files with these facts in full. `missed`: indexes of facts in [`LazyRead::contents`]. If a file cannot be
    /// read, the whole layer is read instead: its table may be wrong.
    pub fn complete(
        &self,
        source: &dyn ImageSource,
        missed: &BTreeSet<u32>,
        limits: &Limits,
        depth: Depth,
    ) -> Result<(), Problem> {
        let Err(problem) = self.complete_files(source, missed, depth) else { return Ok(()) };
        tracing::debug!(digest = %self.listed.descriptor.digest, why = problem.text, "the layer is read in full");
        let read = read_layer(source, &self.listed, limits, &mut counted(depth, limits)).map_err(Problem::from)?;
        // Another image with this layer may have done the same.
        let _ = self.whole.set(Arc::new(read.contents));
        Ok(())
    }

    fn complete_files(&self, source: &dyn ImageSource, missed: &BTreeSet<u32>, depth: Depth) -> Result<(), Problem> {
        let mut files = Vec::new();
        {
            let facts = lock(&self.facts);
            let known = (0..self.layer.entries()).filter(|file| self.layer.entry(*file).kind == EntryKind::File);
            let with_facts = known.filter(|file| self.fact(&facts, *file, &self.layer.entry(*file)).is_some());
            files.extend(with_facts.zip(0..).filter(|(_, fact)| missed.contains(fact)).map(|(file, _)| file));
        }
        let bounds = Bounds { width: AT_ONCE, weight: u64::MAX };
        let read = |_, file: usize| -> Result<(), Problem> {
            let entry = self.layer.entry(file);
            let kind =
                self.layer.read_file(source, file, |reader| keep_to(depth, &entry, reader)).map_err(Problem::from)?;
            // A file that had a preliminary fact always keeps one, so that the indexes of facts do not change.
            lock(&self.facts).insert(file, FileFact::Final(kind.or(Some(FileKind::Data))));
            Ok(())
        };
        side_by_side(files, bounds, |_| 0, read).into_iter().collect()
    }

    /// `None` if all of it was read and verified.
    pub fn tally(&self) -> Option<Tally> {
        if self.whole.get().is_some() {
            return None;
        }
        let facts = lock(&self.facts);
        let started = facts.values().filter(|fact| matches!(fact, FileFact::Start(_))).count();
        let (format, fetched, size) = (self.layer.format(), self.layer.fetched(), self.layer.size());
        let soci = self.listed.ztoc.as_ref().map(|ztoc| ztoc.binding);
        Some(Tally { format, fetched, size, started, soci })
    }
}

fn is_executable(entry: &LayerMember<'_>) -> bool {
    entry.mode & 0o111 != 0
}

/// How much of a file decides its kind, judging by its name.
fn portion(entry: &LayerMember<'_>) -> Portion {
    if entry.kind != EntryKind::File || entry.size == 0 {
        return Portion::Nothing;
    }
    let is_program = is_executable(entry) || is_module_name(entry.path);
    let bytes = match is_program {
        // If it is something else than an ELF file, more of it is read later.
        true => FIRST_BYTES,
        false if is_read_by_name(entry.path, false) => SCRIPT_BYTES,
        false => return Portion::Nothing,
    };
    Portion::ProbableStart(entry.size.min(bytes as u64))
}

/// How much to read of a file of which too little was read at first: more if it may be a script or text. `None` if that
/// much was read.
fn longer_portion(start: &FileStart, size: u64) -> Option<(usize, Portion)> {
    let is_text = !start.bytes.is_empty() && is_text(&start.bytes);
    let wanted = size.min(if is_text { SCRIPT_BYTES } else { HEAD_BYTES } as u64);
    ((start.bytes.len() as u64) < wanted).then_some((start.file, Portion::Start(wanted)))
}

/// Whether a file that starts like this may be a script or text, of which more is read than the head.
fn is_text(bytes: &[u8]) -> bool {
    !bytes[..bytes.len().min(512)].contains(&0)
}

/// The start of a file. Fails at its end, unless it is the end of the file.
struct StartReader<'b> {
    bytes: &'b [u8],
    is_whole: bool,
    has_ended: bool,
}

impl Read for StartReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(into)?;
        self.consume(amount);
        Ok(amount)
    }
}

impl BufRead for StartReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() && !self.is_whole {
            self.has_ended = true;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.bytes)
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

/// A line about layers that were read in part.
pub fn describe(tallies: &[Tally], layers: usize) -> Option<String> {
    let sum = |part: fn(&Tally) -> u64| tallies.iter().map(part).sum::<u64>();
    let mut formats: Vec<&str> = tallies.iter().map(|tally| tally.format.name()).collect();
    formats.sort_unstable();
    formats.dedup();
    let (fetched, size, started) =
        (sum(|tally| tally.fetched), sum(|tally| tally.size), sum(|tally| tally.started as u64));
    let is_referrer = tallies.iter().any(|tally| tally.soci == Some(SociBinding::Referrer));
    let referrer = "; the SOCI index is not part of the image, and anyone who can push to its repository can add one";
    (!tallies.is_empty()).then(|| {
        format!(
            "{} of {layers} layers were read in part ({}, {fetched} of {size} bytes) and not verified against their \
             diffIDs; of {started} files outside the start, only the beginning was read (--lazy){}",
            tallies.len(),
            formats.join(", "),
            if is_referrer { referrer } else { "" },
        )
    })
}

#[cfg(test)]
#[path = "lazy_tests.rs"]
mod tests;
