//! Packages whose metadata states their platform: wheels by their tags, npm packages by their optional dependencies.
//! Reported if the build for this platform is missing.

use std::collections::BTreeSet;

use crate::image::FileView;
use crate::inspect::{FileKind, NpmPackage};
use crate::judge::code::{Code, Severity};
use crate::judge::facts::programs::Fit;
use crate::judge::facts::reach::ReachRoute;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::siblings::Siblings;
use crate::judge::facts::tokens;
use crate::judge::facts::wheel::foreign_tags;
use crate::judge::files::FileRuleInput;
use crate::judge::finding::Finding;
use crate::judge::rules::natives::PYTHON_HINT;

/// Findings on packages. `found`: findings of the rules on single files, which are not repeated.
pub fn judge(files: &FileRuleInput<'_>, siblings: &Siblings, found: &[Finding]) -> Vec<Finding> {
    let reported: BTreeSet<&str> = found.iter().filter_map(|finding| finding.group.as_deref()).collect();
    let mut findings = Vec::new();
    for view in files.rootfs.files_with_facts() {
        let Some(kind) = view.fact else { continue };
        if !matches!(kind, FileKind::Wheel(_) | FileKind::NpmPackage(_)) {
            continue;
        }
        let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        let finding = match kind {
            FileKind::Wheel(tags) => installed_wheel(files, &view, &path, tags, &reported),
            FileKind::NpmPackage(package) => platform_parts(files, siblings, &view, &path, package, &reported),
            _ => None,
        };
        findings.extend(finding);
    }
    findings
}

/// `numpy-2.3.5.dist-info/WHEEL` whose tags are all for other platforms. Skipped if its foreign modules are already
/// reported.
fn installed_wheel(
    files: &FileRuleInput<'_>,
    view: &FileView<'_, FileKind>,
    path: &str,
    tags: &[String],
    reported: &BTreeSet<&str>,
) -> Option<Finding> {
    let platforms = foreign_tags(tags, files.node.arch, &files.programs.libcs);
    // An interpreter may load a module for another version: only its own code decides that.
    let is_for_platform = platforms.is_some();
    let platforms = platforms.or_else(|| files.reach.foreign_pythons(tags))?;
    let info = path.strip_suffix("/WHEEL")?;
    let (place, name) = info.rsplit_once('/')?;
    let package = name.split('-').next().unwrap_or(name);
    let is_its = |path: &str| path.strip_prefix(place).is_some_and(|rest| is_package(rest, package));
    if reported.iter().any(|group| is_its(group)) {
        return None;
    }
    let is_used = files.programs.runnable().any(|program| {
        is_its(&program.path)
            && matches!(files.reach.route(program), ReachRoute::Extension { .. } | ReachRoute::Path { .. })
    });
    // Modules for other systems are proof as well, if the package has no others.
    let has_modules = foreign_modules(files, &is_its);
    let is_installed = files.reach.module_of(path).is_some_and(|(_, is_installed)| is_installed);
    // Functions and zipped programs keep packages next to their code: `pip install --target .`.
    let is_started = files.reach.interpreter(RuntimeKind::Python).is_some_and(|host| files.reach.is_chain(host));
    let is_installed = is_installed || (is_started && !has_fitting(files, path, name));
    let message = format!("the Python package {package} was built for {platforms}");
    let mut finding = Finding::new(Code::PackageOtherPlatform, message)
        .at(path, view.layer)
        .is(tags.join(", "), files.node.arch.name());
    finding.group = Some(format!("{place}/{package}"));
    if !is_for_platform {
        finding.expected = "this image's Python".to_string();
        finding.hint = vec![PYTHON_HINT.to_string()];
        return is_used.then(|| finding.severity(Severity::Warning));
    }
    // A package whose native part is not found may not have one that could fail. If it is only for another C library, its
    // programs have findings of their own, unless they are static: ruff's wheel for musl.
    let is_of_other_libc = foreign_tags(tags, files.node.arch, &[]).is_none();
    Some(match is_used || (has_modules && is_installed) {
        true => finding,
        false if is_of_other_libc => finding.severity(Severity::Note),
        false => finding.severity(Severity::Warning),
    })
}

/// Whether another installation of the same package is for this platform. `info`: `psutil-7.2.2.dist-info`.
fn has_fitting(files: &FileRuleInput<'_>, path: &str, info: &str) -> bool {
    let package = info.split('-').next().unwrap_or(info);
    files.rootfs.files_with_facts().any(|view| {
        let Some(FileKind::Wheel(tags)) = view.fact else { return false };
        let other = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        let own = other.strip_suffix("/WHEEL").and_then(|info| info.rsplit('/').next()).unwrap_or_default();
        other != path
            && own.split('-').next() == Some(package)
            && foreign_tags(tags, files.node.arch, &files.programs.libcs).is_none()
    })
}

/// Whether the package has native modules, and all of them are for other systems.
fn foreign_modules(files: &FileRuleInput<'_>, is_its: &dyn Fn(&str) -> bool) -> bool {
    let has_native = files.programs.runnable().any(|program| is_its(&program.path) && program.fit <= Fit::Compat);
    let is_foreign = |view: FileView<'_, FileKind>| {
        let is_module = view.name.ends_with(b".so") || view.name.ends_with(b".pyd") || view.name.ends_with(b".dylib");
        let is_other = matches!(view.fact, Some(FileKind::MachO(_) | FileKind::Pe(_)));
        is_module && is_other && is_its(&String::from_utf8_lossy(&files.rootfs.path(view.id)))
    };
    !has_native && files.rootfs.files_with_facts().any(is_foreign)
}

/// Whether `/numpy`, `/numpy.libs` or `/numpy/core/x.so` belongs to numpy, spelled as in its wheel's name.
fn is_package(rest: &str, package: &str) -> bool {
    let first = rest.trim_start_matches('/').split(['/', '.']).next().unwrap_or_default();
    let plain = |name: &str| name.replace('-', "_").to_ascii_lowercase();
    // `_cffi_backend` and `yaml` do not match: only the dist-info of cffi and PyYAML names them.
    plain(first) == plain(package)
}

/// An npm package that ships its native part as one package per platform, if another platform's is installed but not
/// this one's: `esbuild` with only `@esbuild/darwin-arm64`, from a developer's Mac.
fn platform_parts(
    files: &FileRuleInput<'_>,
    siblings: &Siblings,
    view: &FileView<'_, FileKind>,
    path: &str,
    package: &NpmPackage,
    reported: &BTreeSet<&str>,
) -> Option<Finding> {
    let directory = path.strip_suffix("/package.json")?;
    // Node.js searches the node_modules of every directory above, and npm puts some below the package.
    let above = directory.match_indices("/node_modules/").map(|(at, end)| directory[..at + end.len() - 1].to_string());
    let places: Vec<String> = above.chain([format!("{directory}/node_modules")]).collect();
    let installed: Vec<(&str, String)> = package
        .optional
        .iter()
        .filter_map(|name| {
            let mut usual = places.iter().map(|place| format!("{place}/{name}"));
            let place = usual.find(|path| files.rootfs.resolve(path).is_ok());
            Some((name.as_str(), place.or_else(|| plug_n_play(files, directory, name))?))
        })
        .collect();
    let serves = |name: &str| {
        tokens::read(name).is_some_and(|platform| {
            let fits_libc = files.programs.libcs.is_empty()
                || platform.libc.is_none_or(|libc| files.programs.libcs.contains(&libc));
            platform.may_be_linux && platform.arch.is_none_or(|arch| arch == files.node.arch) && fits_libc
        }) || name.contains("wasm")
    };
    let is_for_platforms = |name: &&String| tokens::read(name).is_some_and(|platform| platform.arch.is_some());
    let has_this = package.optional.iter().filter(is_for_platforms).any(|name| serves(name));
    if installed.is_empty() {
        return nothing_installed(files, siblings, (view, path, directory), package, &serves);
    }
    if !has_this || installed.iter().any(|(name, _)| serves(name)) {
        return None;
    }
    if installed.iter().any(|(_, place)| reported.contains(place.as_str())) {
        return None;
    }
    let names: Vec<&str> = installed.iter().map(|(name, _)| *name).collect();
    let message = format!(
        "of the native parts of {}, only {} is installed, and none for this platform",
        package.name,
        names.join(", ")
    );
    let mut finding = Finding::new(Code::PackageOtherPlatform, message)
        .at(path, view.layer)
        .is(names.join(", "), files.node.arch.name());
    finding.group = Some(directory.to_string());
    Some(finding)
}

/// The place of the package `name` in the project of `directory` if Yarn's Plug'n'Play resolves its packages:
/// `.yarn/unplugged/@esbuild-linux-x64-npm-0.24.0-HASH/node_modules/@esbuild/linux-x64`, or an archive in `.yarn/cache`.
/// Source: Yarn's structUtils `slugifyLocator`.
fn plug_n_play(files: &FileRuleInput<'_>, directory: &str, name: &str) -> Option<String> {
    let (project, _) = directory.split_once("/.yarn/unplugged/")?;
    let start = format!("{}-npm-", name.replace('/', "-"));
    [".yarn/unplugged", ".yarn/cache"].iter().find_map(|place| {
        let id = files.rootfs.resolve(format!("{project}/{place}")).ok()?;
        let found = files.rootfs.children(id).find(|view| view.name.starts_with(start.as_bytes()))?;
        let path = String::from_utf8_lossy(&files.rootfs.path(found.id)).into_owned();
        Some(if path.ends_with(".zip") { path } else { format!("{path}/node_modules/{name}") })
    })
}

/// A package whose optional dependencies are one native part built for several platforms, none of which is installed:
/// npm skips them because of a lock file from another platform, or with `--omit=optional`.
fn nothing_installed(
    files: &FileRuleInput<'_>,
    siblings: &Siblings,
    (view, path, directory): (&FileView<'_, FileKind>, &str, &str),
    package: &NpmPackage,
    serves: &dyn Fn(&str) -> bool,
) -> Option<Finding> {
    files.reach.interpreter(RuntimeKind::Node)?;
    let is_for_platform = |name: &&String| tokens::read(name).is_some_and(|platform| platform.arch.is_some());
    let parts: Vec<&String> = package.optional.iter().filter(is_for_platform).collect();
    let key = |name: &str| tokens::read(name).map(|platform| platform.key);
    let fitting = parts.iter().find(|name| serves(name))?;
    let kin = parts.iter().filter(|name| key(name) == key(fitting)).count();
    // A bundler that traces what a server loads omits the package's own command, and files that only it uses.
    let is_traced = package.bin.as_ref().is_some_and(|bin| files.rootfs.resolve(format!("{directory}/{bin}")).is_err());
    let is_here = |list: &[String], name: &str| {
        list.is_empty() || list.iter().any(|own| own == name || (own.starts_with('!') && own[1..] != *name))
    };
    let is_elsewhere = !is_here(&package.os, "linux");
    let has_own = files.programs.runnable().any(|program| {
        program.fit <= Fit::Compat
            && program.path.starts_with(directory)
            && program.path[directory.len()..].starts_with('/')
    });
    if kin < 2 || is_traced || is_elsewhere || has_own || siblings.is_optional(&format!("{directory}/x")) {
        return None;
    }
    let message = format!(
        "{} ships its native part as one package per platform, but none is installed; this platform needs {fitting}",
        package.name
    );
    let mut finding = Finding::new(Code::PackagePartMissing, message).at(path, view.layer);
    finding.expected = fitting.to_string();
    finding.group = Some(directory.to_string());
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_package_are_distinguished_from_longer_ones() {
        assert!(is_package("/numpy/core/x.so", "numpy") && is_package("/numpy.libs/y.so", "numpy"));
        assert!(!is_package("/numpydoc/x.so", "numpy"));
    }
}
