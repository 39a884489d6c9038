//! Libraries inside jars and zipapps that are built for this architecture, but that the image's C library or missing
//! libraries keep from being loaded. Their programs extract them to a temporary directory and load them there.

use std::collections::{BTreeMap, BTreeSet};

use crate::inspect::{Elf, FileKind, NativeKind};
use crate::judge::code::Severity;
use crate::judge::facts::libraries::Lack;
use crate::judge::facts::musl::{OnMusl, on_musl};
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::python::PythonTag;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::siblings::fits_libc;
use crate::judge::facts::tokens::{self, Libc};
use crate::judge::files::FileRuleInput;
use crate::judge::finding::Finding;
use crate::judge::rules::archives::{ArchiveFile, collect, part_name, weight};

/// Judges the libraries of each archive that a runtime of the image reads.
pub fn judge(files: &FileRuleInput<'_>) -> Vec<Finding> {
    let archives = collect(files);
    let mut names = BTreeSet::new();
    for (_, _, zip) in &archives {
        for (member, library) in zip.natives.iter().filter_map(|(member, native)| Some((member, library(native)?))) {
            names.insert(member.rsplit('/').next().unwrap_or(member));
            names.extend(library.dynamic.iter().filter_map(|dynamic| dynamic.soname.as_deref()));
        }
    }
    archives.iter().filter_map(|archive| judge_archive(files, archive, &names)).collect()
}

/// The finding on the first part none of whose builds for this architecture can be loaded. `names`: libraries that the
/// archives contain themselves.
fn judge_archive(
    files: &FileRuleInput<'_>,
    (view, path, zip): &ArchiveFile<'_>,
    names: &BTreeSet<&str>,
) -> Option<Finding> {
    let is_jar = matches!(view.fact, Some(FileKind::Zip(zip)) if zip.is_jar);
    let is_zipapp = matches!(view.fact, Some(FileKind::Script(_)))
        || [".pex", ".pyz", ".pyzw"].iter().any(|end| path.ends_with(end));
    let is_read = (is_jar && files.reach.interpreter(RuntimeKind::Java).is_some()) || is_zipapp;
    if !is_read || zip.unread > 0 {
        return None;
    }
    let mut parts: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for (member, native) in &zip.natives {
        let NativeKind::Elf { arch, .. } = native else { continue };
        let (holder, inner) = member.rsplit_once("!/").unwrap_or(("", member));
        if *arch != Some(files.node.arch) || tokens::read(inner).is_some_and(|platform| !platform.may_be_linux) {
            continue;
        }
        let tag = PythonTag::of_file(inner.rsplit('/').next().unwrap_or(inner)).filter(|_| is_zipapp);
        let other = tag.as_ref().filter(|tag| files.reach.lacks_python(tag));
        let lack = match (other, library(native)) {
            (Some(tag), _) => {
                let base = member.rsplit('/').next().unwrap_or(member);
                Some(format!("its native part {base} is built for {tag}, which this image does not have"))
            }
            (None, Some(library)) => lack(files, (view.id, view.layer), (path, member), library, names),
            (None, None) => None,
        };
        // One file of a wheel for each version of Python. A wheel inside a zipapp is already one part.
        let part = match tag {
            Some(_) if !inner.contains(".whl/") => inner.split(".cpython-").next().unwrap_or(inner).to_string(),
            _ => part_name(inner),
        };
        parts.entry(format!("{holder}!/{part}")).or_default().push(lack);
    }
    let lacks = parts.into_values().find(|builds| builds.iter().all(Option::is_some))?;
    let message = lacks.into_iter().flatten().next()?;
    let (code, severity) = weight(files, view, path);
    // Many Java programs do without their native part.
    let severity = if is_zipapp { severity } else { severity.min(Severity::Warning) };
    let mut finding = Finding::new(code, message).at(path, view.layer).severity(severity);
    finding.expected = "a native part for this image's libraries".to_string();
    finding.hint = vec![
        "use a base image with the C library that the native part is built for, or a version of the package that supports this one"
            .to_string(),
    ];
    Some(finding)
}

/// Why the image cannot load a library of an archive.
fn lack(
    files: &FileRuleInput<'_>,
    (id, layer): (crate::image::NodeId, usize),
    (path, member): (&str, &str),
    elf: &Elf,
    names: &BTreeSet<&str>,
) -> Option<String> {
    let inner = member.rsplit_once("!/").map_or(member, |(_, inner)| inner);
    let program = JudgedProgram {
        id,
        path: format!("{path}!/{member}"),
        layer,
        mode: 0o644,
        elf,
        fit: Fit::Native,
        platform: tokens::read(inner),
    };
    let base = member.rsplit('/').next().unwrap_or(member);
    if !fits_libc(&program, &files.programs.libcs) {
        let wanted = format!("{:?}", program.libc()?).to_lowercase();
        match on_musl(files.programs, files.libraries, &program) {
            OnMusl::Loads | OnMusl::Unknown if files.programs.libcs == [Libc::Musl] => {}
            OnMusl::Lacks(name) if files.programs.libcs == [Libc::Musl] => {
                return Some(format!(
                    "its native part {base} is built for {wanted} and needs {name}, which this image's musl does not have"
                ));
            }
            OnMusl::Loads | OnMusl::Lacks(_) | OnMusl::Unknown => {
                return Some(format!("its native part {base} is built for {wanted}, which this image does not have"));
            }
        }
    }
    match files.libraries.lack(&program)? {
        Lack::Library { name, .. } if names.contains(name.as_str()) => None,
        Lack::Library { name, .. } => Some(format!("its native part {base} needs {name}, which is not in the image")),
        Lack::Version { version, library, .. } => {
            Some(format!("its native part {base} was linked against {version}, which {library} does not have"))
        }
        Lack::Unsearched { .. } => None,
    }
}

fn library(native: &NativeKind) -> Option<&Elf> {
    match native {
        NativeKind::Elf { library, .. } => library.as_deref(),
        NativeKind::MachO | NativeKind::Pe { .. } => None,
    }
}
