//! Packages of a Python that the image no longer has: each version of Python only searches its own directory,
//! `lib/python3.11/site-packages`. Seen after an upgrade of the base image, and in environments whose interpreter is a
//! link to the system's.

use std::collections::{BTreeMap, BTreeSet};

use crate::inspect::FileKind;
use crate::judge::code::{Code, Severity};
use crate::judge::facts::installed::InstalledPackage;
use crate::judge::facts::python::PythonTag;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::files::FileRuleInput;
use crate::judge::finding::Finding;
use crate::judge::rules::natives::PYTHON_HINT;

const PLACES: [&str; 2] = ["site-packages", "dist-packages"];
/// Packages that install others. Virtual environments and images of Python contain them.
const INSTALLERS: [&str; 4] = ["pip", "setuptools", "wheel", "uv"];
/// Maximum number of packages that a message names.
const NAMED: usize = 3;
/// Maximum number of directories to judge: for each one, every text of the image is searched.
const DIRECTORIES: usize = 16;

/// A directory of packages.
struct PackageDirectory {
    packages: BTreeSet<String>,
    layer: usize,
}

/// Findings on directories of packages that no Python of the image searches. `found`: the other rules' findings, which
/// already cover a directory with native modules for another version.
pub fn judge(files: &FileRuleInput<'_>, installed: &[InstalledPackage], found: &[Finding]) -> Vec<Finding> {
    let Some(host) = files.reach.interpreter(RuntimeKind::Python) else { return Vec::new() };
    let mut directories: BTreeMap<String, PackageDirectory> = BTreeMap::new();
    for package in installed.iter().filter(|package| !INSTALLERS.contains(&package.name.as_str())) {
        let own = directories
            .entry(package.place().to_string())
            .or_insert_with(|| PackageDirectory { packages: BTreeSet::new(), layer: package.layer });
        own.packages.insert(package.name.clone());
    }
    let is_stranded = |place: &str| version(place).is_some_and(|(_, tag)| files.reach.lacks_python(&tag));
    let usable: BTreeSet<&String> = directories
        .iter()
        .filter(|(place, _)| !is_stranded(place))
        .flat_map(|(_, directory)| &directory.packages)
        .collect();
    let mut findings = Vec::new();
    for (place, directory) in directories.iter().filter(|(place, _)| is_stranded(place)).take(DIRECTORIES) {
        let lost: Vec<&str> =
            directory.packages.iter().filter(|package| !usable.contains(package)).map(String::as_str).collect();
        let Some((prefix, tag)) = version(place).filter(|_| !lost.is_empty()) else { continue };
        let is_known = found.iter().any(|finding| {
            finding.severity == Severity::Error && finding.group.as_ref().is_some_and(|group| group.starts_with(place))
        });
        if is_known || !is_searched(files, prefix) || is_named(files, place) {
            continue;
        }
        let names = match lost.len() {
            count if count > NAMED => format!("{} and {} more", lost[..NAMED].join(", "), count - NAMED),
            _ => lost.join(", "),
        };
        let message =
            format!("packages are installed for {tag} ({names}); this image's Python does not search {place}");
        let mut finding = Finding::new(Code::PackageOtherPlatform, message).at(place, directory.layer);
        (finding.is, finding.expected) = (format!("for {tag}"), "this image's Python".to_string());
        finding.group = Some(place.clone());
        finding.hint = vec![PYTHON_HINT.to_string()];
        finding.reached_by = files.chain.to_vec();
        finding.reached_by.extend(files.interpreter(RuntimeKind::Python));
        finding.reached_by.push(place.clone());
        let is_started = files.reach.is_chain(host) || files.reach.caller(host).is_some();
        findings.push(if is_started { finding } else { finding.severity(Severity::Warning) });
    }
    findings
}

/// The prefix of a versioned directory of packages and its Python: `/usr/local` and 3.11 of
/// `/usr/local/lib/python3.11/site-packages`. Source: CPython's sysconfig, `posix_prefix`.
fn version(place: &str) -> Option<(&str, PythonTag)> {
    let (library, name) = place.rsplit_once('/')?;
    let (library, version) = library.rsplit_once("/python3.")?;
    let prefix = library.strip_suffix("/lib").or_else(|| library.strip_suffix("/lib64"))?;
    let is_version = version.strip_suffix('t').unwrap_or(version).bytes().all(|byte| byte.is_ascii_digit());
    (PLACES.contains(&name) && is_version).then(|| (prefix, PythonTag::CPython(version.to_string())))
}

/// Whether an interpreter of another version has this prefix, so that its packages are expected there.
fn is_searched(files: &FileRuleInput<'_>, prefix: &str) -> bool {
    let has = |name: &str| files.rootfs.resolve(format!("{prefix}/bin/{name}")).is_ok();
    matches!(prefix, "/usr" | "/usr/local") || prefix.ends_with("/.local") || has("python3") || has("python")
}

/// Whether a variable, a script or configuration names the directory, and may add it to the search.
fn is_named(files: &FileRuleInput<'_>, place: &str) -> bool {
    let is_in = |text: &[u8]| text.windows(place.len()).any(|window| window == place.as_bytes());
    let in_text = |kind: &FileKind| match kind {
        FileKind::Script(script) => is_in(&script.text),
        FileKind::Config(text) => is_in(text),
        _ => false,
    };
    files.env.iter().any(|line| line.contains(place))
        || files.rootfs.files_with_facts().any(|view| view.fact.is_some_and(in_text))
}

#[cfg(test)]
mod tests {
    use crate::inspect::elf_builder::ElfBuilder;
    use crate::judge::rules::later_tests::{Put, found_with, text};

    const INFO: &str = "usr/local/lib/python3.9/site-packages/requests-2.32.dist-info/METADATA";
    const ERROR: [&str; 1] = ["error package-other-platform /usr/local/lib/python3.9/site-packages"];
    const WARNING: [&str; 1] = ["warning package-other-platform /usr/local/lib/python3.9/site-packages"];
    const NONE: [&str; 0] = [];

    fn metadata(path: &'static str) -> Put {
        text(path, "Name: requests\n")
    }

    #[test]
    fn packages_of_a_python_that_is_gone_are_not_found() {
        // The image has Python 3.11 and starts another program.
        assert_eq!(found_with(&[], &[metadata(INFO)]), WARNING);
        let entry = text("usr/bin/run", "");
        let script = Put::Program("app", b"#!/usr/bin/python3.11\nimport requests\n".to_vec());
        assert_eq!(found_with(&[], &[metadata(INFO), entry, script.clone()]), ERROR);
        let own = metadata("usr/local/lib/python3.11/site-packages/requests-2.32.dist-info/METADATA");
        assert_eq!(found_with(&[], &[metadata(INFO), own.clone(), script.clone()]), NONE);
        assert_eq!(found_with(&[], &[own, script.clone()]), NONE);
        let path = ["PYTHONPATH=/usr/local/lib/python3.9/site-packages"];
        assert_eq!(found_with(&path, &[metadata(INFO), script.clone()]), NONE);
        let old = Put::Program("usr/local/bin/python3.9", ElfBuilder::arm64().build());
        assert_eq!(found_with(&[], &[metadata(INFO), old, script.clone()]), NONE);
        let pip = metadata("usr/local/lib/python3.9/site-packages/pip-24.0.dist-info/METADATA");
        assert_eq!(found_with(&[], &[pip, script.clone()]), NONE);
        // A directory without an interpreter is for a layer that is added to another image.
        let layer = metadata("opt/python/lib/python3.9/site-packages/requests-2.32.dist-info/METADATA");
        assert_eq!(found_with(&[], &[layer.clone(), script.clone()]), NONE);
        let link = Put::Link("opt/python/bin/python3", "/usr/bin/python3.11");
        assert_eq!(found_with(&[], &[layer, link, script]).len(), 1);
    }
}
