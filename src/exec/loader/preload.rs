//! Libraries that the loader maps before those that the program needs: LD_PRELOAD and, in glibc, /etc/ld.so.preload. One
//! that cannot be opened is ignored. The libraries that a preloaded library needs are not optional. Source: elf/rtld.c
//! `do_preload`, `handle_preload_list`; ldso/dynlink.c `load_preload`.

use crate::exec::environment::variable;
use crate::exec::kernel::access::config;
use crate::exec::loader::search::LibrarySearch;
use crate::exec::loader::{Ended, LoaderFamily, Object};
use crate::exec::{Outcome, UNKNOWN_TEXT};
use crate::image::RootFs;
use crate::inspect::FileKind;

/// Maximum number of preloaded libraries that are followed.
const MAX_PRELOADS: usize = 64;

/// Adds the preloaded libraries to `objects`. Returns whether all that the process maps are known.
pub(super) fn add<'a>(
    rootfs: &RootFs<FileKind>,
    objects: &mut Vec<Object<'a>>,
    search: &LibrarySearch<'a>,
    env: &[String],
) -> bool {
    let value = variable(env, "LD_PRELOAD").unwrap_or_default();
    let file = match search.family {
        LoaderFamily::Glibc => config(rootfs, "/etc/ld.so.preload").unwrap_or_default(),
        LoaderFamily::Musl => String::new(),
    };
    let is_separator = |c: char| c == ':' || c.is_ascii_whitespace();
    let lines = file.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split(is_separator));
    let names: Vec<&str> = value.split(is_separator).chain(lines).filter(|name| !name.is_empty()).collect();
    for name in names.iter().take(MAX_PRELOADS).filter(|name| !name.contains(UNKNOWN_TEXT)) {
        let Ok(found) = search.find(name, 0, objects) else { continue };
        if !objects.iter().any(|object| object.id == found.id) {
            objects.push(found);
        }
    }
    // musl maps a library without a look at its machine.
    let is_mapped =
        |name: &&str| objects.iter().any(|object| object.name == name.as_bytes()) || is_absent(rootfs, name);
    names.len() <= MAX_PRELOADS && names.iter().all(is_mapped)
}

/// Whether nothing of that name exists, so that the loader cannot map it.
fn is_absent(rootfs: &RootFs<FileKind>, name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    !name.contains(UNKNOWN_TEXT) && rootfs.named(base.as_bytes()).next().is_none()
}

/// Adds to the cause that the library in need is a preloaded one.
pub(super) fn blame(ended: &mut Ended) {
    if let Outcome::Dies { cause, .. } = &mut ended.outcome {
        cause.text.push_str("; LD_PRELOAD or /etc/ld.so.preload names the library that needs it");
    }
}
