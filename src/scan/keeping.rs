//! Which facts about a file are kept: most files are plain data, of which only the name counts.

use std::io::BufRead;

use crate::image::{LayerMember, Limits};
use crate::inspect::{Depth, FileKind, TextStart, inspect_to};

/// The facts from a file's headers, if they are worth keeping. Most files are plain data, of which only the name
/// counts.
pub fn keep(entry: &LayerMember<'_>, reader: &mut dyn BufRead) -> Option<FileKind> {
    keep_to(Depth::Headers, entry, reader)
}

/// The same, to this depth.
pub(super) fn keep_to(depth: Depth, entry: &LayerMember<'_>, reader: &mut dyn BufRead) -> Option<FileKind> {
    let is_executable = entry.mode & 0o111 != 0;
    worth_keeping(entry, inspect_to(depth, entry.path, entry.size, is_executable, reader))
}

/// The kind of a file, if it is more than its name shows.
pub(super) fn worth_keeping(entry: &LayerMember<'_>, kind: FileKind) -> Option<FileKind> {
    let is_executable = entry.mode & 0o111 != 0;
    match kind {
        FileKind::Data => None,
        FileKind::Empty if !is_executable && !is_module_name(entry.path) => None,
        FileKind::Text(TextStart::Plain) if !is_executable => None,
        kind => Some(kind),
    }
}

/// [`keep_to`], with the kept facts counted against the image's memory budget.
pub fn counted(depth: Depth, limits: &Limits) -> impl FnMut(&LayerMember<'_>, &mut dyn BufRead) -> Option<FileKind> {
    move |entry, reader| {
        let kind = keep_to(depth, entry, reader)?;
        // The walk checks the budget again, and ends if it is exceeded.
        let _ = limits.memory.reserve(kind.heap_bytes());
        Some(kind)
    }
}

/// Whether an empty file of this name is a missing library.
pub(super) fn is_module_name(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    path.ends_with(b".so") || path.ends_with(b".node") || name.windows(4).any(|part| part == b".so.")
}
