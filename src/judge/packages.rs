//! Packages that say of themselves for which platform they were built: wheels by their tags, npm packages by os, cpu and
//! libc, jars by the native parts inside. Found where the platform's own build is not there.

use std::collections::BTreeSet;

use super::code::{Code, Severity};
use super::files::Files;
use super::finding::Finding;
use super::reach::Reach;
use super::tokens;
use crate::image::{FileView, NodeKind};
use crate::inspect::{FileKind, Native, NpmPackage, Zip};
use crate::platform::{Arch, Node};

/// Findings on packages. `found`: what the rules on single files found, so that nothing is said twice.
pub fn judge_packages(files: &Files<'_>, found: &[Finding]) -> Vec<Finding> {
    let told: BTreeSet<&str> = found.iter().filter_map(|finding| finding.group.as_deref()).collect();
    let has_java = Reach::has_java(files.programs);
    let mut findings = Vec::new();
    for view in files.rootfs.all().filter(|view| view.kind == NodeKind::File) {
        let Some(kind) = view.fact else { continue };
        if !matches!(kind, FileKind::Wheel(_) | FileKind::Zip(_) | FileKind::NpmPackage(_)) {
            continue;
        }
        let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        let finding = match kind {
            FileKind::Wheel(tags) => installed_wheel(files, &view, &path, tags, &told),
            FileKind::Zip(zip) => archive(files, &view, &path, zip, has_java),
            FileKind::NpmPackage(package) => platform_parts(files, &view, &path, package, &told),
            _ => None,
        };
        findings.extend(finding);
    }
    findings
}

/// `numpy-2.3.5.dist-info/WHEEL` whose every tag is for other architectures. Its modules, where they are foreign, tell
/// of it themselves.
fn installed_wheel(
    files: &Files<'_>,
    view: &FileView<'_, FileKind>,
    path: &str,
    tags: &[String],
    told: &BTreeSet<&str>,
) -> Option<Finding> {
    let archs = foreign_tags(tags, files.node)?;
    let info = path.strip_suffix("/WHEEL")?;
    let (place, name) = info.rsplit_once('/')?;
    let package = name.split('-').next().unwrap_or(name);
    let is_told = told.iter().any(|group| group.strip_prefix(place).is_some_and(|rest| is_package(rest, package)));
    // A pure package with a native tag has nothing that could fail.
    let has_native = files
        .programs
        .runnable()
        .any(|program| program.path.strip_prefix(place).is_some_and(|rest| is_package(rest, package)));
    if is_told || !has_native {
        return None;
    }
    let message = format!("the Python package {package} was built for {archs}");
    Some(
        Finding::new(Code::PackageOtherPlatform, message)
            .at(path, view.layer)
            .is(tags.join(", "), files.node.arch.name()),
    )
}

/// Whether `/numpy`, `/numpy.libs` or `/numpy/core/x.so` belongs to numpy.
fn is_package(rest: &str, package: &str) -> bool {
    let first = rest.trim_start_matches('/').split(['/', '.']).next().unwrap_or_default();
    first.eq_ignore_ascii_case(package)
}

/// The architectures of a wheel's tags, where all of them are others than the node's. `any` and tags of other systems
/// say nothing.
fn foreign_tags(tags: &[String], node: &Node) -> Option<String> {
    let archs: BTreeSet<Arch> = tags.iter().filter_map(|tag| tag.rsplit('-').next()).filter_map(tag_arch).collect();
    let is_foreign = !archs.is_empty() && archs.iter().all(|arch| *arch != node.arch);
    is_foreign.then(|| archs.iter().map(|arch| arch.name()).collect::<Vec<_>>().join(", "))
}

/// `manylinux_2_17_x86_64` and `linux_aarch64`; source: PEP 600, PEP 656.
fn tag_arch(platform: &str) -> Option<Arch> {
    let platform = platform.split('.').next().unwrap_or(platform);
    if !platform.contains("linux") {
        return None;
    }
    crate::platform::arch::ARCHES
        .iter()
        .flat_map(|row| row.uname.iter().chain(row.aliases).map(move |name| (row.arch, *name)))
        .find(|(_, name)| platform.ends_with(&format!("_{name}")))
        .map(|(arch, _)| arch)
}

/// An npm package that keeps its native part in one package a platform, where another platform's is installed and this
/// one's is not: `esbuild` beside `@esbuild/darwin-arm64` alone, from a developer's Mac.
fn platform_parts(
    files: &Files<'_>,
    view: &FileView<'_, FileKind>,
    path: &str,
    package: &NpmPackage,
    told: &BTreeSet<&str>,
) -> Option<Finding> {
    let folder = path.strip_suffix("/package.json")?;
    let modules = &folder[..folder.rfind("/node_modules/")? + "/node_modules".len()];
    // npm puts them beside the package, or below it.
    let places = [modules.to_string(), format!("{folder}/node_modules")];
    let installed: Vec<(&str, String)> = package
        .optional
        .iter()
        .filter_map(|name| {
            let place =
                places.iter().map(|place| format!("{place}/{name}")).find(|path| files.rootfs.resolve(path).is_ok())?;
            Some((name.as_str(), place))
        })
        .collect();
    let serves = |name: &str| {
        tokens::read(name).is_some_and(|platform| {
            let fits_libc = files.programs.libcs.is_empty()
                || platform.libc.is_none_or(|libc| files.programs.libcs.contains(&libc));
            platform.may_be_linux && platform.arch.is_none_or(|arch| arch == files.node.arch) && fits_libc
        })
    };
    let is_for_platforms = |name: &&String| tokens::read(name).is_some_and(|platform| platform.arch.is_some());
    let has_this = package.optional.iter().filter(is_for_platforms).any(|name| serves(name));
    if installed.is_empty() || !has_this || installed.iter().any(|(name, _)| serves(name)) {
        return None;
    }
    if installed.iter().any(|(_, place)| told.contains(place.as_str())) {
        return None;
    }
    let names: Vec<&str> = installed.iter().map(|(name, _)| *name).collect();
    let message = format!(
        "of {}'s native parts only {} is installed, and none for this platform",
        package.name,
        names.join(", ")
    );
    let mut finding = Finding::new(Code::PackageOtherPlatform, message)
        .at(path, view.layer)
        .is(names.join(", "), files.node.arch.name());
    finding.group = Some(folder.to_string());
    Some(finding)
}

/// A jar, wheel or nupkg with Linux parts for other architectures and none for this one.
fn archive(files: &Files<'_>, view: &FileView<'_, FileKind>, path: &str, zip: &Zip, has_java: bool) -> Option<Finding> {
    let here = files.node.arch;
    let mut archs: BTreeSet<Arch> = BTreeSet::new();
    for (member, native) in &zip.natives {
        let Native::Elf { arch: Some(arch), e_type: 2 | 3, .. } = native else { continue };
        if tokens::read(member).is_none_or(|platform| platform.may_be_linux) {
            archs.insert(*arch);
        }
    }
    if archs.is_empty() || archs.contains(&here) || zip.unread > 0 {
        return None;
    }
    let names: Vec<&str> = archs.iter().map(|arch| arch.name()).collect();
    let message = format!("its native parts are for {}, none is for {}", names.join(", "), here.name());
    let mut finding =
        Finding::new(Code::JarWithoutPlatform, message).at(path, view.layer).is(names.join(", "), here.name());
    // An archive that nothing in the image reads is data.
    let is_read = (zip.is_jar && has_java) || path.ends_with(".whl");
    if !is_read {
        finding.severity = Severity::Note;
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheels_tags_name_its_architectures() {
        let tags = |text: &str| foreign_tags(&[text.to_string()], &Node::plain(Arch::Arm64));
        assert_eq!(tags("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"), Some("x86-64".into()));
        assert_eq!(tags("cp311-cp311-musllinux_1_2_armv7l"), Some("32-bit Arm".into()));
        assert_eq!(tags("cp311-cp311-manylinux_2_28_aarch64"), None);
        assert_eq!(tags("py3-none-any"), None);
        assert_eq!(tags("cp311-cp311-macosx_11_0_x86_64"), None);
    }

    #[test]
    fn names_of_a_package_are_told_from_longer_ones() {
        assert!(is_package("/numpy/core/x.so", "numpy") && is_package("/numpy.libs/y.so", "numpy"));
        assert!(!is_package("/numpydoc/x.so", "numpy"));
    }
}
