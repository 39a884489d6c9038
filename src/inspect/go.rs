//! Go's build information, found in the writable segments. Source: Go's debug/buildinfo.

use goblin::container::Ctx;

use super::kind::{GoBuild, PT_LOAD, Segment};
use super::notes::{is_go, uleb};
use super::window::Window;

/// The linker aligns the blob to 16 bytes.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Bytes from the blob's start to its strings, in the form that holds them inline (Go 1.18).
const HEADER: usize = 32;
/// Go's own reader searches as much of a writable segment's start. Where Go's linker left a note the blob is somewhere
/// in it, behind other linkers' tables, and all of it is searched.
const SEARCH_BYTES: u64 = 64 << 10;
/// Module lists come before the settings in the blob; the longest known are some ten KiB.
const BLOB_BYTES: u64 = 256 << 10;
/// The settings of a Go program are some twenty lines.
const SETTINGS: usize = 64;

/// Has the writable segments searched as they pass.
pub fn watch(ctx: Ctx, segments: &[Segment], window: &mut Window<'_>) {
    let limit = if is_go(ctx, segments, window) { u64::MAX } else { SEARCH_BYTES };
    let data = segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.flags & 3 == 2);
    let ranges = data.map(|data| data.offset..data.offset.saturating_add(data.filesz.min(limit)));
    window.watch(MAGIC, ranges, BLOB_BYTES);
}

/// What the blob says, once all has passed.
pub fn read(window: &Window<'_>) -> Option<GoBuild> {
    window.from(window.found()?).map(build)
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
