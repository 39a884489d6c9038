//! The files and directories that supervisors read.

use super::MAX_FILES;
use super::arguments::option;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpret::{self, kept_text};
use crate::exec::launch::made::MadePaths;
use crate::exec::launch::written::known_text;
use crate::exec::outcome::lossy;
use crate::image::{NodeId, NodeKind};

/// Returns a configuration file's text, if it was kept.
pub(super) fn text_of(machine: &ExecMachine<'_>, path: &str) -> Option<String> {
    let id = machine.rootfs.resolve(path).ok()?;
    kept_text(machine.kind(id)?)
}

/// Returns the text of a file that a script wrote, or of the image's.
pub(super) fn text_at(machine: &ExecMachine<'_>, made: &MadePaths, path: &str) -> Option<String> {
    match made.written(machine.rootfs, path) {
        Some(file) => known_text(&file),
        None => text_of(machine, path),
    }
}

/// Returns a directory's entries, sorted by name: their paths, and the nodes that these resolve to.
pub(super) fn entries(machine: &ExecMachine<'_>, directory: &str) -> Vec<(String, NodeId)> {
    let Ok(id) = machine.rootfs.resolve(directory) else { return Vec::new() };
    let path = |name: &[u8]| format!("{}/{}", directory.trim_end_matches('/'), lossy(name));
    let mut found: Vec<(String, NodeId)> = machine
        .rootfs
        .children(id)
        .take(MAX_FILES)
        .filter_map(|child| {
            let path = path(child.name);
            let target = machine.rootfs.resolve(&path).ok()?;
            Some((path, target))
        })
        .collect();
    found.sort();
    found
}

/// Returns the files that match a path pattern, sorted. `*` never matches a slash.
pub(super) fn matching(machine: &ExecMachine<'_>, pattern: &str) -> Vec<(String, NodeId)> {
    let mut found = vec![String::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let is_plain = !part.contains(['*', '?', '[']);
        let fitting = |directory: &String| -> Vec<String> {
            if is_plain {
                return vec![format!("{directory}/{part}")];
            }
            let directory = if directory.is_empty() { "/" } else { directory };
            let inside = entries(machine, directory).into_iter().map(|(path, _)| path);
            inside.filter(|path| interpret::fits(part, path.rsplit('/').next().unwrap_or_default())).collect()
        };
        found = found.iter().flat_map(fitting).take(MAX_FILES).collect();
    }
    let files = found.into_iter().filter_map(|path| Some((path.clone(), machine.rootfs.resolve(&path).ok()?)));
    files.filter(|(_, id)| is_file(machine, *id)).collect()
}

/// Resolves a path against the call's working directory.
pub(in crate::exec::launch) fn from_cwd(machine: &ExecMachine<'_>, name: &str) -> String {
    if name.starts_with('/') {
        return name.to_string();
    }
    let cwd = lossy(&machine.cwd.path(machine.rootfs));
    format!("{}/{}", cwd.trim_end_matches('/'), name.trim_start_matches("./"))
}

/// monit's main file.
pub(super) fn control_file(machine: &ExecMachine<'_>, argv: &[String]) -> Option<String> {
    let usual = || ["/etc/monitrc", "/etc/monit/monitrc"].into_iter().find(|path| machine.rootfs.resolve(path).is_ok());
    match option(argv, &["-c"]) {
        Some(path) => Some(from_cwd(machine, &path)),
        None => usual().map(str::to_string),
    }
}

pub(super) fn is_file(machine: &ExecMachine<'_>, id: NodeId) -> bool {
    machine.rootfs.view(id).kind == NodeKind::File
}

pub(super) fn is_executable(machine: &ExecMachine<'_>, path: &str) -> bool {
    machine.rootfs.resolve(path).is_ok_and(|id| {
        let view = machine.rootfs.view(id);
        view.kind == NodeKind::File && view.mode & 0o111 != 0
    })
}
