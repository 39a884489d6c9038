//! Packages of Node.js whose prebuilt modules are for other runtimes, versions or systems: node-gyp-build takes the one
//! in `prebuilds/PLATFORM-ARCH` whose name fits. Source: node-gyp-build's `parseTags`, `matchTags`.

use crate::image::NodeKind;
use crate::inspect::{FileKind, ModuleInterface};
use crate::judge::code::Code;
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::siblings::{Siblings, fits_libc, package_directory};
use crate::judge::facts::tokens;
use crate::judge::facts::versions::Versioned;
use crate::judge::files::{FileRuleInput, foreign};
use crate::judge::finding::Finding;

const DIRECTORY: &str = "/prebuilds/";
/// Maximum number of modules that a message names.
const NAMED: usize = 6;

/// The place of a prebuilt module for Linux: its package's directory of them, and the platform's directory in it.
fn place(path: &str) -> Option<(&str, &str)> {
    let (directory, name) = path.rsplit_once('/')?;
    let (package, tuple) = directory.rsplit_once(DIRECTORY)?;
    let is_linux = tokens::read(tuple).is_some_and(|platform| platform.may_be_linux);
    (name.ends_with(".node") && !tuple.contains('/') && is_linux).then_some((package, tuple))
}

/// Whether a module is one of several, of which its package's loader chooses.
pub fn is_prebuilt(path: &str) -> bool {
    place(path).is_some()
}

/// The finding on the first prebuilt module of a package if none of them fits.
pub fn judge(files: &FileRuleInput<'_>, siblings: &Siblings, program: &JudgedProgram<'_>) -> Option<Finding> {
    let (package, _) = place(&program.path)?;
    if siblings.has_own_build(&program.path) || siblings.is_optional(&program.path) {
        return None;
    }
    // Directories such as `linuxmusl-x64` are only for one C library.
    let fits_directory = |module: &JudgedProgram<'_>, tuple: &str| {
        let libc = tokens::read(tuple).and_then(|platform| platform.libc);
        let has_libc = libc.is_none_or(|libc| files.programs.libcs.contains(&libc));
        module.fit == program.fit && (files.programs.libcs.is_empty() || has_libc)
    };
    let is_its = |other: &&JudgedProgram<'_>| {
        place(&other.path).is_some_and(|(own, tuple)| own == package && fits_directory(other, tuple))
    };
    let all: Vec<&JudgedProgram<'_>> = files.programs.runnable().filter(is_its).collect();
    let is_first = all.first().is_some_and(|first| first.path == program.path);
    if !is_first || all.iter().any(|module| fits(files, module)) {
        return None;
    }
    let mut names: Vec<String> =
        all.iter().filter_map(|module| Some(format!("{}/{}", place(&module.path)?.1, module.name()))).collect();
    if names.len() > NAMED {
        let more = names.len() - NAMED;
        names.truncate(NAMED);
        names.push(format!("{more} more"));
    }
    let names = names.join(", ");
    let message = format!("a package has no prebuilt module for this image's Node.js: prebuilds has {names}");
    let mut finding = foreign(files, program, Code::PackageOtherPlatform, message);
    (finding.is, finding.expected) = (names, "a module for this image's Node.js".to_string());
    finding.hint = vec![
        "build the package for the Node.js of the final stage: npm rebuild --build-from-source, or update the package"
            .to_string(),
    ];
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.push(program.path.clone());
    Some(finding)
}

/// Whether the package's loader takes a module of this name in Node.js: node-gyp-build from `node.abi115.glibc.node`,
/// others from `node-115.node`.
fn fits(files: &FileRuleInput<'_>, module: &JudgedProgram<'_>) -> bool {
    let tags: Vec<&str> = module.name().trim_end_matches(".node").split('.').collect();
    let has = |tag: &str| tags.iter().any(|own| own.split('-').next() == Some(tag));
    let is_for_node = has("node") || !(has("electron") || has("node-webkit"));
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let named = tags.iter().find_map(|tag| tag.strip_prefix("abi").or_else(|| tag.strip_prefix("node-")));
    let stated = match module.elf.interface {
        Some(ModuleInterface::Node(version)) => Some(version.to_string()),
        _ => None,
    };
    let abi = named.filter(is_number).filter(|_| !has("napi")).map(str::to_string).or(stated);
    let fits_abi = abi.is_none_or(|abi| files.reach.versions().without(Versioned::Node, &abi).is_none());
    is_for_node && fits_abi && fits_libc(module, &files.programs.libcs)
}

/// Findings on packages whose prebuilt modules are all for other systems, and that were not built for this one. A
/// package with a `binding.gyp` is built where no prebuilt module fits, unless npm ignores its scripts.
pub fn elsewhere(files: &FileRuleInput<'_>, siblings: &Siblings) -> Vec<Finding> {
    if files.reach.interpreter(RuntimeKind::Node).is_none() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for view in files.rootfs.matching(NodeKind::Directory, |name| name == b"prebuilds") {
        let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        let Some(package) = path.strip_suffix("/prebuilds") else { continue };
        let inside = format!("{package}/prebuilds");
        let names: Vec<String> = files
            .rootfs
            .children(view.id)
            .filter(|child| child.kind == NodeKind::Directory)
            .map(|child| String::from_utf8_lossy(child.name).into_owned())
            .collect();
        let is_elsewhere = |name: &String| tokens::read(name).is_some_and(|platform| !platform.may_be_linux);
        if package_directory(&inside) != Some(package) || names.is_empty() || !names.iter().all(is_elsewhere) {
            continue;
        }
        let is_usable = |program: &JudgedProgram<'_>| {
            program.fit <= Fit::Compat && program.path.ends_with(".node") && is_below(&program.path, package)
        };
        let has_own = files.programs.runnable().any(is_usable);
        // Without one, the package is only for these systems.
        let is_built = files.rootfs.resolve(format!("{package}/binding.gyp")).is_ok();
        let is_excused = has_own || siblings.is_optional(&inside) || siblings.is_elsewhere(&inside);
        if !is_built || is_excused || !has_module(files, &path) {
            continue;
        }
        let name = package.rsplit_once("/node_modules/").map_or(package, |(_, name)| name);
        let message =
            format!("the package {name} has prebuilt modules for {}, but none for this platform", names.join(", "));
        let mut finding = Finding::new(Code::PackageOtherPlatform, message).at(&path, view.layer);
        (finding.is, finding.expected) = (names.join(", "), format!("linux-{}", files.node.arch.name()));
        finding.group = Some(package.to_string());
        finding.hint = vec![
            "build the package in the final stage: npm rebuild without --ignore-scripts, with a C++ compiler"
                .to_string(),
        ];
        findings.push(finding);
    }
    findings
}

/// Whether the directory contains addons of other systems.
fn has_module(files: &FileRuleInput<'_>, directory: &str) -> bool {
    files.rootfs.files_with_facts().any(|view| {
        matches!(view.fact, Some(FileKind::MachO(_) | FileKind::Pe(_)))
            && view.name.ends_with(b".node")
            && is_below(&String::from_utf8_lossy(&files.rootfs.path(view.id)), directory)
    })
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}
