//! Packages of Node.js whose prebuilt modules are for other runtimes or versions: node-gyp-build takes the one in
//! `prebuilds/PLATFORM-ARCH` whose name fits. Source: node-gyp-build's `parseTags`, `matchTags`.

use crate::judge::code::Code;
use crate::judge::facts::programs::JudgedProgram;
use crate::judge::facts::siblings::{Siblings, fits_libc};
use crate::judge::facts::versions::Versioned;
use crate::judge::files::{FileRuleInput, foreign};
use crate::judge::finding::Finding;

const DIRECTORY: &str = "/prebuilds/";

/// The directory that contains a prebuilt module. Packages with other names for platforms, such as `linuxglibc-x64`,
/// choose the module themselves.
fn directory(path: &str) -> Option<&str> {
    let (directory, name) = path.rsplit_once('/')?;
    let (_, tuple) = directory.rsplit_once(DIRECTORY)?;
    (name.ends_with(".node") && !tuple.contains('/') && tuple.starts_with("linux-")).then_some(directory)
}

/// Whether a module is one of several, of which node-gyp-build chooses.
pub fn is_prebuilt(path: &str) -> bool {
    directory(path).is_some()
}

/// The finding on the first module of a directory in which none fits.
pub fn judge(files: &FileRuleInput<'_>, siblings: &Siblings, program: &JudgedProgram<'_>) -> Option<Finding> {
    let own = directory(&program.path)?;
    if siblings.has_own_build(&program.path) || siblings.is_optional(&program.path) {
        return None;
    }
    let is_its = |other: &&JudgedProgram<'_>| other.fit == program.fit && directory(&other.path) == Some(own);
    let all: Vec<&JudgedProgram<'_>> = files.programs.runnable().filter(is_its).collect();
    let is_first = all.first().is_some_and(|first| first.path == program.path);
    if !is_first || all.iter().any(|module| fits(files, module)) {
        return None;
    }
    let names: Vec<&str> = all.iter().map(|module| module.name()).collect();
    let place = own.rsplit_once(DIRECTORY).map_or(own, |(_, tuple)| tuple);
    let message = format!(
        "a package has no prebuilt module for this image's Node.js: prebuilds/{place} has {}",
        names.join(", ")
    );
    let mut finding = foreign(files, program, Code::PackageOtherPlatform, message);
    (finding.is, finding.expected) = (names.join(", "), "a module for this image's Node.js".to_string());
    finding.hint = vec![
        "build the package for the Node.js of the final stage: npm rebuild --build-from-source, or update the package"
            .to_string(),
    ];
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.push(program.path.clone());
    Some(finding)
}

/// Whether node-gyp-build takes a module of this name in Node.js.
fn fits(files: &FileRuleInput<'_>, module: &JudgedProgram<'_>) -> bool {
    let tags: Vec<&str> = module.name().trim_end_matches(".node").split('.').collect();
    let has = |tag: &str| tags.contains(&tag);
    let is_for_node = has("node") || !(has("electron") || has("node-webkit"));
    let abi = tags.iter().find_map(|tag| tag.strip_prefix("abi")).filter(|_| !has("napi"));
    let fits_abi = abi.is_none_or(|abi| files.reach.versions().without(Versioned::Node, abi).is_none());
    is_for_node && fits_abi && fits_libc(module, &files.programs.libcs)
}
