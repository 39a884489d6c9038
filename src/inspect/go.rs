//! Go's build information, found in the writable segments. Source: Go's debug/buildinfo.

use goblin::container::Ctx;

use super::kind::{GoBuild, PT_LOAD, Segment};
use super::notes::{is_go, uleb};
use super::window::Window;

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The linker aligns the blob to this.
const ALIGN: usize = 16;
/// Bytes from the blob's start to its strings, in the form that holds them inline (Go 1.18).
const HEADER: usize = 32;
/// Go's own reader searches as much of a writable segment's start.
const SEARCH_BYTES: u64 = 64 << 10;
/// Where Go's linker left a note, the blob is there, maybe behind another linker's tables.
const NOTED_SEARCH_BYTES: u64 = 4 << 20;
/// Module lists come before the settings in the blob; the longest known are some ten KiB.
const BLOB_BYTES: u64 = 256 << 10;
/// The settings of a Go program are some twenty lines.
const SETTINGS: usize = 64;

/// The search through the segments as they pass.
pub struct Search {
    /// File ranges to search, in the file's order, not yet searched.
    ranges: Vec<(u64, u64)>,
    found: Option<u64>,
}

impl Search {
    /// Asks for the start of each writable segment.
    pub fn plan(ctx: Ctx, segments: &[Segment], window: &mut Window<'_>) -> Search {
        let limit = if is_go(ctx, segments, window) { NOTED_SEARCH_BYTES } else { SEARCH_BYTES };
        // Go's data is neither executable nor, before relocation, read-only.
        let data = segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.flags & 3 == 2);
        let mut ranges: Vec<_> = data.map(|segment| (segment.offset, segment.filesz.min(limit))).collect();
        ranges.retain(|(_, len)| *len >= HEADER as u64);
        ranges.sort_unstable();
        for (offset, len) in &ranges {
            window.want(*offset, *len);
        }
        Search { ranges, found: None }
    }

    /// Where the ranges not yet searched end.
    pub fn stops(&self) -> impl Iterator<Item = u64> {
        self.ranges.iter().map(|(offset, len)| offset.saturating_add(*len))
    }

    /// Searches what has passed; where the blob is found, asks for the rest of it.
    pub fn look(&mut self, window: &mut Window<'_>) {
        let passed = window.position().min(window.size());
        let is_past = |(offset, len): &(u64, u64)| offset.saturating_add(*len) <= passed;
        for (offset, len) in self.ranges.iter().filter(|range| is_past(range)) {
            let bytes = window.get(*offset, *len).filter(|_| self.found.is_none());
            if let Some(within) = bytes.and_then(find) {
                let at = offset + within as u64;
                self.found = Some(at);
                window.want(at, BLOB_BYTES);
            }
        }
        self.ranges.retain(|range| !is_past(range));
    }

    /// What the blob says, once all has passed.
    pub fn finish(&self, window: &Window<'_>) -> Option<GoBuild> {
        window.from(self.found?).map(build)
    }
}

fn find(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).step_by(ALIGN).find(|at| bytes[*at] == MAGIC[0] && bytes[*at..].starts_with(MAGIC))
}

/// Before Go 1.18 the blob held pointers, and no settings: then all is empty.
fn build(blob: &[u8]) -> GoBuild {
    let mut build = GoBuild::default();
    if blob.get(15).is_none_or(|flags| flags & 2 == 0) {
        return build;
    }
    let mut rest = blob.get(HEADER..).unwrap_or_default();
    build.version = String::from_utf8_lossy(string(&mut rest)).into_owned();
    let module = string(&mut rest);
    let is_framed = module.len() >= 33 && module[module.len() - 17] == b'\n';
    let module = if is_framed { &module[16..module.len() - 16] } else { module };
    let lines = module.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"build\t"));
    for line in lines.take(SETTINGS) {
        let line = String::from_utf8_lossy(line);
        if let Some((key, value)) = line.split_once('=') {
            build.settings.push((key.to_string(), value.to_string()));
        }
    }
    build
}

/// A string after its length; cut where the bytes end.
fn string<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let len = uleb(rest).unwrap_or(0);
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
    let (value, after) = rest.split_at(len);
    *rest = after;
    value
}
