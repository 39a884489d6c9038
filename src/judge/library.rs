//! Which file a missing library is about.

use crate::image::{NodeId, RootFs};
use crate::inspect::FileKind;
use crate::judge::facts::programs::{Fit, Program, Programs};
use crate::judge::finding::Finding;
use crate::judge::rules::others;

/// A loader names a library by its soname; the file of that name which it passed over is the one to replace: one for
/// another architecture, else one that is no library.
pub fn place_library(finding: &mut Finding, programs: &Programs<'_>, rootfs: &RootFs<FileKind>) {
    let Some(soname) = finding.path.clone().filter(|path| !path.contains('/')) else { return };
    let is_named = |program: &Program<'_>| {
        let own = program.elf.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref());
        own == Some(&*soname) || program.name() == soname
    };
    let is_passed_over = |program: &&Program<'_>| program.fit == Fit::Foreign && is_named(program);
    if let Some(program) = programs.all.iter().find(is_passed_over) {
        (finding.path, finding.layer) = (Some(program.path.clone()), Some(program.layer));
        return;
    }
    let named = rootfs.named(soname.as_bytes());
    let files = named.filter_map(|view| rootfs.resolve(String::from_utf8_lossy(&rootfs.path(view.id)).as_ref()).ok());
    let no_library = |id: &NodeId| rootfs.view(*id).fact.and_then(others::not_a_program);
    if let Some((id, is)) = files.filter_map(|id| Some((id, no_library(&id)?))).next() {
        finding.path = Some(String::from_utf8_lossy(&rootfs.path(id)).into_owned());
        finding.layer = Some(rootfs.view(id).layer);
        finding.is = is;
        finding.expected = "a library".to_string();
    }
}
