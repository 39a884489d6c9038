//! Go's build information in the writable segments. Source: Go's debug/buildinfo.

use goblin::container::Ctx;

use super::kind::{GoBuild, PT_LOAD, Segment};
use super::notes::{is_go, uleb};
use super::window::Window;

/// The linker aligns the blob to 16 bytes.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Bytes before the strings of the blob, in the format with inline strings (Go 1.18).
const HEADER: usize = 32;
/// Go's own reader searches the same number of bytes at the start of a writable segment. If there is a note of Go's
/// linker, the blob may be anywhere in the segment, after the tables of other linkers, so the whole segment is
/// searched.
const SEARCH_BYTES: u64 = 64 << 10;
/// In the blob, module lists precede the settings. The longest known lists have about ten KiB.
const BLOB_BYTES: u64 = 256 << 10;
/// A Go program has about twenty settings.
const SETTINGS: usize = 64;

/// Watches for the blob in the writable segments.
pub fn watch(ctx: Ctx, segments: &[Segment], window: &mut Window<'_>) {
    let limit = if is_go(ctx, segments, window) { u64::MAX } else { SEARCH_BYTES };
    let data = segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.flags & 3 == 2);
    let ranges = data.map(|data| data.offset..data.offset.saturating_add(data.filesz.min(limit)));
    window.watch(MAGIC, ranges, BLOB_BYTES);
}

/// Reads the blob after the segments have passed.
pub fn read(window: &Window<'_>) -> Option<GoBuild> {
    window.from(window.found()?).map(build)
}

/// Parses the blob. Before Go 1.18 it contained pointers and no settings, so the result is empty.
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

/// Reads a length and the string that follows, or as much of it as there is.
fn string<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let len = uleb(rest).unwrap_or(0);
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
    let (value, after) = rest.split_at(len);
    *rest = after;
    value
}
