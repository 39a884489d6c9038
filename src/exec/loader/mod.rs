//! Models the dynamic loader, between execve and the program's own code: it follows DT_NEEDED and ends the program if a
//! library is missing, foreign or too old. Never reports a library as missing if a list that decides it was truncated.
//!
//! ld.so.cache is not read. If it exists, it is assumed to hold what ldconfig would find in the directories of
//! ld.so.conf. Source: elf/dl-load.c, dl-version.c and rtld.c of glibc 2.36; ldso/dynlink.c of musl 1.2.

use std::rc::Rc;

use crate::exec::kernel::access::Who;
use crate::exec::kernel::binfmt::LoadedProgram;
use crate::exec::kernel::changes::FileChanges;
use crate::exec::kernel::cwd::Cwd;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::{NodeId, NodeKind, RootFs};
use crate::inspect::{Elf, FileKind, PT_DYNAMIC};
use crate::platform::{Arch, Class, Fact, Isa};

pub(crate) mod conf;
mod hwcaps;
mod preload;
mod search;
mod symbols;
mod versions;

use search::{LibrarySearch, SkippedCandidates};

/// Maximum number of libraries of one program that are followed; the largest programs in use load about a hundred.
const MAX_LIBRARIES: usize = 4096;
/// Exit code if the loader refuses a shared object. Source: elf/dl-error-skeleton.c, dynlink.c.
const EXIT: u8 = 127;
/// Exit code if `_dl_check_all_versions` fails. Source: elf/rtld.c `version_check_doit`.
const VERSION_EXIT: u8 = 1;
const SIGBUS: u8 = 7;
const PF_W: u32 = 2;

/// The C library whose loader a program names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoaderFamily {
    Glibc,
    Musl,
}

/// A file that the loader has mapped.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    /// As the loader names it in messages: the path by which it was found.
    pub path: Vec<u8>,
    /// The directory that $ORIGIN expands to.
    pub origin: Vec<u8>,
    /// The DT_NEEDED name that requested it.
    pub name: Vec<u8>,
    pub id: NodeId,
    pub elf: &'a Elf,
    /// Index of the object that requested it.
    pub parent: Option<usize>,
}

/// All objects that are mapped once a program's libraries are found.
#[derive(Debug)]
pub(crate) struct Loaded<'a> {
    pub family: LoaderFamily,
    pub objects: Vec<Object<'a>>,
}

/// A program that its loader ends, with the lines that the loader prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub outcome: Outcome,
    pub says: Vec<String>,
}

/// Identifies the loader: musl's by its name, glibc's by its DT_SONAME. Others (a compatibility layer's, Android's) are
/// not modelled, and their programs are not checked.
pub(crate) fn family(rootfs: &RootFs<FileKind>, (path, id, loader): &(Vec<u8>, NodeId, &Elf)) -> Option<LoaderFamily> {
    let is_musl = |path: &[u8]| {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        name.starts_with(b"ld-musl-") || name.starts_with(b"libc.musl-")
    };
    let soname = loader.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref()).unwrap_or("");
    // A symlink may give musl's loader the name of glibc's.
    if is_musl(path) || is_musl(&rootfs.path(*id)) || is_musl(soname.as_bytes()) {
        return Some(LoaderFamily::Musl);
    }
    let is_glibc = ["ld-linux", "ld64.so", "ld.so", "ld-2."].iter().any(|start| soname.starts_with(start));
    is_glibc.then_some(LoaderFamily::Glibc)
}

/// Loads the libraries that `started` needs. `None` if its loader is not one that this model knows. `page`: bytes.
pub(crate) fn load<'a>(
    rootfs: &'a RootFs<FileKind>,
    started: &LoadedProgram<'a>,
    (cwd, who, changes): (&Cwd, &Who, &Rc<FileChanges>),
    env: &[String],
    (page, isa): (u64, Fact<Isa>),
) -> Result<Option<Loaded<'a>>, Ended> {
    let Some(named) = &started.loader else { return Ok(None) };
    let (loader_path, loader_id, loader) = named;
    let Some(family) = family(rootfs, named) else { return Ok(None) };
    let search = LibrarySearch::new(rootfs, started, family, (cwd, who, changes), (env, isa));
    let own_path = rootfs.path(started.id);
    let origin = parent(&own_path).to_vec();
    let program =
        Object { path: started.path.clone(), origin, name: Vec::new(), id: started.id, elf: started.elf, parent: None };
    let interpreter = Object {
        path: loader_path.clone(),
        origin: parent(loader_path).to_vec(),
        name: soname(loader).unwrap_or_default(),
        id: *loader_id,
        elf: loader,
        parent: None,
    };
    let mut objects = vec![program, interpreter];
    let are_known = preload::add(rootfs, &mut objects, &search, env);
    for object in &objects[2..] {
        check_whole(object, page)?;
    }
    let preloaded = objects.len();
    let mut next = 0;
    while next < objects.len() && objects.len() < MAX_LIBRARIES {
        let needed = objects[next].elf.dynamic.as_ref().map_or(&[][..], |dynamic| dynamic.needed.as_slice());
        for name in needed {
            if is_loaded(&objects, name.as_bytes(), family) || (family == LoaderFamily::Musl && is_musl_itself(name)) {
                continue;
            }
            match search.find(name, next, &objects) {
                Ok(found) => {
                    check_pages(&found, (started, family), page)?;
                    check_whole(&found, page)?;
                    if !objects.iter().any(|object| object.id == found.id) {
                        objects.push(found);
                    }
                }
                Err(skipped) => {
                    let mut ended = missing(name, next, &objects, &search, skipped);
                    if (2..preloaded).contains(&next) {
                        preload::blame(&mut ended);
                    }
                    return Err(ended);
                }
            }
        }
        next += 1;
    }
    let loaded = Loaded { family, objects };
    match family {
        LoaderFamily::Glibc => versions::check(&loaded)?,
        // A preloaded library that is not known may define any symbol.
        LoaderFamily::Musl if are_known => symbols::check(&loaded)?,
        LoaderFamily::Musl => {}
    }
    Ok(Some(loaded))
}

/// Matches the name that requested it or, in glibc, its DT_SONAME. Source: elf/dl-load.c `_dl_map_object`;
/// ldso/dynlink.c `load_library`, which never reads DT_SONAME.
fn is_loaded(objects: &[Object<'_>], name: &[u8], family: LoaderFamily) -> bool {
    let is_soname =
        |object: &Object<'_>| family == LoaderFamily::Glibc && soname(object.elf).is_some_and(|soname| soname == name);
    objects.iter().any(|object| object.name == name || is_soname(object))
}

/// musl is its own libc, libpthread, librt, libm, libdl, libutil and libxnet. Source: ldso/dynlink.c `load_library`.
fn is_musl_itself(name: &str) -> bool {
    let reserved = ["c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."];
    name.strip_prefix("lib").is_some_and(|rest| reserved.iter().any(|own| rest.starts_with(own)))
}

pub(crate) fn soname(elf: &Elf) -> Option<Vec<u8>> {
    Some(elf.dynamic.as_ref()?.soname.as_ref()?.clone().into_bytes())
}

pub(crate) fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(0) | None => b"/",
        Some(at) => &path[..at],
    }
}

/// The loader's message and exit for a library that was not found or was refused.
fn missing(
    name: &str,
    by: usize,
    objects: &[Object<'_>],
    search: &LibrarySearch<'_>,
    skipped: SkippedCandidates,
) -> Ended {
    let program = lossy(&objects[0].path);
    let needed_by = lossy(&objects[by].path);
    if let Some(why) = search.doubt(name, by, objects) {
        let text = format!("{name}, which {needed_by} needs, was not found, but {why}");
        let outcome = Outcome::Unknown { at: name.to_string(), cause: Cause { kind: CauseKind::LibraryUnknown, text } };
        return Ended { outcome, says: Vec::new() };
    }
    if let Some(cause) = skipped.undecided {
        let outcome = Outcome::Unknown { at: name.to_string(), cause };
        return Ended { outcome, says: Vec::new() };
    }
    let fault = skipped.fault();
    let (shown, reason) = match search.family {
        LoaderFamily::Glibc => (fault.glibc_name(name), fault.glibc()),
        LoaderFamily::Musl => (name.to_string(), fault.musl()),
    };
    let line = match search.family {
        LoaderFamily::Glibc => format!("{program}: error while loading shared libraries: {shown}: {reason}"),
        LoaderFamily::Musl => format!("Error loading shared library {shown}: {reason} (needed by {needed_by})"),
    };
    let (kind, text) = fault.cause(name, &needed_by, search.arch);
    let outcome = Outcome::Dies { death: Death::Exit(EXIT), at: name.to_string(), cause: Cause { kind, text } };
    Ended { outcome, says: vec![line] }
}

/// A library's segments must fit the node's pages, as the program's must. The loader reports a misfit as an error.
/// Source: elf/dl-load.c `_dl_map_object_from_fd`; before glibc 2.35 it checked p_align.
pub(crate) fn check_pages(
    found: &Object<'_>,
    (started, family): (&LoadedProgram<'_>, LoaderFamily),
    page: u64,
) -> Result<(), Ended> {
    let misfit = found.elf.loads().find(|load| load.vaddr.wrapping_sub(load.offset) & (page - 1) != 0);
    let Some(load) = misfit else { return Ok(()) };
    let path = lossy(&found.path);
    let text = format!(
        "the library {path} was linked for smaller pages: its segment at {:#x} cannot be mapped on {} KiB pages",
        load.vaddr,
        page >> 10
    );
    let program = lossy(&started.path);
    let says = match family {
        LoaderFamily::Musl => {
            format!("Error loading shared library {}: Invalid argument (needed by {program})", lossy(&found.name))
        }
        LoaderFamily::Glibc => format!(
            "{program}: error while loading shared libraries: {path}: ELF load command address/offset not page-aligned"
        ),
    };
    let cause = Cause { kind: CauseKind::PageSize, text };
    Err(Ended { outcome: Outcome::Dies { death: Death::Exit(EXIT), at: path, cause }, says: vec![says] })
}

/// Detects a truncated library. Data that the loader always reads or clears is then on mapped pages that are beyond the
/// end of the file. Source: elf/dl-load.h `_dl_map_segments` (the rest of a data segment's last page is cleared),
/// elf/get-dynamic-info.h.
fn check_whole(found: &Object<'_>, page: u64) -> Result<(), Ended> {
    let elf = found.elf;
    let is_missing = |offset: u64| offset & !(page - 1) >= elf.size;
    let dynamic = elf.segments.iter().filter(|segment| segment.p_type == PT_DYNAMIC).map(|segment| segment.offset);
    let cleared = elf.loads().filter(|load| load.memsz > load.filesz && load.filesz > 0 && load.flags & PF_W != 0);
    let cleared = cleared
        .filter(|load| !load.vaddr.wrapping_add(load.filesz).is_multiple_of(page))
        .map(|load| load.offset.saturating_add(load.filesz));
    let Some(needed) = dynamic.chain(cleared).filter(|offset| is_missing(*offset)).max() else { return Ok(()) };
    let path = lossy(&found.path);
    let text =
        format!("the library {path} ends at byte {}, but its loader needs byte {needed}: it is truncated", elf.size);
    let cause = Cause { kind: CauseKind::Truncated, text };
    Err(Ended { outcome: Outcome::Dies { death: Death::Signal(SIGBUS), at: path, cause }, says: Vec::new() })
}

/// Why the loader did not accept a candidate file, by its own checks of a file that it opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LibraryFault {
    /// No file of that name anywhere.
    Absent,
    /// A file of that name that the user may not open. It is skipped as if it did not exist.
    Denied(String),
    /// A file of that name for another architecture, which is skipped silently: its path and its description.
    Foreign(String, String),
    /// A file of another class. The loader reports the class.
    OtherClass(String, Class),
    /// A file that ends the search, with the loader's message.
    Refused(String, &'static str),
}

impl LibraryFault {
    fn glibc_name(&self, name: &str) -> String {
        match self {
            LibraryFault::Refused(path, words) if *words != PIE => path.clone(),
            _ => name.to_string(),
        }
    }

    fn glibc(&self) -> String {
        match self {
            LibraryFault::Absent | LibraryFault::Denied(_) | LibraryFault::Foreign(..) => {
                "cannot open shared object file: No such file or directory".to_string()
            }
            LibraryFault::OtherClass(_, Class::Elf32) => "wrong ELF class: ELFCLASS32".to_string(),
            LibraryFault::OtherClass(_, Class::Elf64) => "wrong ELF class: ELFCLASS64".to_string(),
            LibraryFault::Refused(_, words) => words.to_string(),
        }
    }

    fn musl(&self) -> String {
        match self {
            LibraryFault::Absent | LibraryFault::Denied(_) | LibraryFault::Foreign(..) => {
                "No such file or directory".to_string()
            }
            LibraryFault::OtherClass(..) | LibraryFault::Refused(..) => "Exec format error".to_string(),
        }
    }

    fn cause(&self, name: &str, needed_by: &str, arch: Arch) -> (CauseKind, String) {
        match self {
            LibraryFault::Absent => (
                CauseKind::MissingLibrary,
                format!("{needed_by} needs {name}, which is not in any directory that the loader searches"),
            ),
            LibraryFault::Denied(path) => {
                (CauseKind::MissingLibrary, format!("{needed_by} needs {name}, but this user may not read {path}"))
            }
            LibraryFault::Foreign(path, what) => {
                let want = arch.name();
                (
                    CauseKind::ForeignLibrary,
                    format!("{needed_by} needs {name} for {want}; {path} is {what}, which the loader skips"),
                )
            }
            LibraryFault::OtherClass(path, class) => {
                let bits = if *class == Class::Elf32 { 32 } else { 64 };
                (CauseKind::ForeignLibrary, format!("{needed_by} needs {name}; {path} is a {bits}-bit library"))
            }
            LibraryFault::Refused(path, words) => {
                (CauseKind::BrokenLibrary, format!("{needed_by} needs {name}; {path}: {words}"))
            }
        }
    }
}

pub(crate) const PIE: &str = "cannot dynamically load position-independent executable";

/// Whether the loader accepts this file as the library. Source: elf/dl-load.c `open_verify`, `_dl_map_object_from_fd`.
pub(crate) fn verify(
    kind: Option<&FileKind>,
    size: u64,
    node: NodeKind,
    path: &str,
    arch: Arch,
) -> Result<(), LibraryFault> {
    let refused = |words| Err(LibraryFault::Refused(path.to_string(), words));
    let class = arch.row().class;
    let header = if class == Class::Elf64 { 64 } else { 52 };
    if node == NodeKind::Directory {
        return refused("cannot read file data: Error 21");
    }
    let Some(FileKind::Elf(elf)) = kind else {
        return refused(if size < header { "file too short" } else { "invalid ELF header" });
    };
    if size < header {
        return refused("file too short");
    }
    match elf.ident().0 {
        1 if class == Class::Elf64 => return Err(LibraryFault::OtherClass(path.to_string(), Class::Elf32)),
        2 if class == Class::Elf32 => return Err(LibraryFault::OtherClass(path.to_string(), Class::Elf64)),
        _ => {}
    }
    if elf.arch() != Some(arch) {
        return Err(LibraryFault::Foreign(path.to_string(), elf.describe()));
    }
    if !matches!(elf.e_type, 2 | 3) {
        return refused("only ET_DYN and ET_EXEC can be loaded");
    }
    if !elf.has_whole_table {
        return refused("cannot read file data");
    }
    let is_pie = elf.dynamic.as_ref().is_some_and(|dynamic| dynamic.is_pie);
    match elf.e_type {
        2 => refused("cannot dynamically load executable"),
        _ if is_pie => refused(PIE),
        _ if elf.dynamic.is_none() && !elf.segments.iter().any(|segment| segment.p_type == 2) => {
            refused("object file has no dynamic section")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
