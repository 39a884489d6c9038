//! Judges jars, wheels and NuGet packages by the native code inside them: each native part needs a build for this
//! platform, in the archive or in an archive next to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::FileView;
use crate::inspect::{FileKind, NativeKind, Zip};
use crate::judge::code::{Code, Severity};
use crate::judge::facts::purpose::FAT_ARCHIVE;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::tokens;
use crate::judge::facts::wheel::foreign_tags;
use crate::judge::files::{FileRuleInput, purposeful};
use crate::judge::finding::Finding;
use crate::platform::Arch;

/// An archive, its path, and its native parts.
pub type ArchiveFile<'a> = (FileView<'a, FileKind>, String, &'a Zip);

/// Every archive of the image.
pub fn collect<'a>(files: &FileRuleInput<'a>) -> Vec<ArchiveFile<'a>> {
    files
        .rootfs
        .files_with_facts()
        .filter_map(|view| {
            let zip = match view.fact? {
                FileKind::Zip(zip) => zip,
                FileKind::Script(script) => script.zip.as_ref()?,
                _ => return None,
            };
            let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
            Some((view, path, &**zip))
        })
        .collect()
}

/// Judges every archive.
pub fn judge(files: &FileRuleInput<'_>) -> Vec<Finding> {
    let archives = collect(files);
    // Archives that name this platform and contain its parts excuse the archives next to them that name others.
    let served: BTreeSet<String> = archives
        .iter()
        .filter(|(_, path, zip)| {
            names(path) == Some(files.node.arch) && parts(zip).values().any(|part| part.serves(files))
        })
        .flat_map(|(_, path, _)| tokens::families(path))
        .collect();
    archives.iter().filter_map(|(view, path, zip)| archive(files, view, path, zip, &served)).collect()
}

/// The architecture that an archive's own name states: `netty-transport-native-epoll-linux-x86_64.jar`.
fn names(path: &str) -> Option<Arch> {
    tokens::read(path.rsplit('/').next()?)?.arch
}

/// One native part of an archive: the platforms that it is built for.
#[derive(Default)]
struct NativePart {
    archs: BTreeSet<Arch>,
}

impl NativePart {
    fn serves(&self, files: &FileRuleInput<'_>) -> bool {
        self.archs.contains(&files.node.arch)
    }
}

/// The native parts for Linux. The key is the nested archive that contains a part, and the part's path up to its first
/// word that names a platform: `snappy.jar!/org/xerial/snappy/native/`.
fn parts(zip: &Zip) -> BTreeMap<String, NativePart> {
    let mut parts: BTreeMap<String, NativePart> = BTreeMap::new();
    for (member, native) in &zip.natives {
        let NativeKind::Elf { arch: Some(arch), e_type: 2 | 3, .. } = native else { continue };
        let (holder, path) = member.rsplit_once("!/").unwrap_or(("", member));
        let platform = tokens::read(path);
        if platform.as_ref().is_none_or(|platform| platform.may_be_linux) {
            parts.entry(format!("{holder}!/{}", part_name(path))).or_default().archs.insert(*arch);
        }
    }
    parts
}

/// A path up to its first directory or word that names an architecture or a system; `lib/libx.so` is `lib/libx`.
pub fn part_name(path: &str) -> String {
    let mut end = 0;
    for component in path.split_inclusive('/') {
        // A wheel inside a zipapp is the build of one distribution: `numpy-2.3.5-cp311-cp311-....whl/`.
        if let Some(wheel) = component.strip_suffix(".whl/") {
            return format!("{}{}", &path[..end], wheel.split('-').next().unwrap_or(wheel));
        }
        if tokens::read(component.trim_end_matches('/')).is_some() {
            // In a file name, the words before the platform distinguish parts: `libnetty_tcnative_linux_x86_64.so`.
            let name = path[end..].trim_end_matches('/');
            let is_file = end + component.len() == path.len();
            let own = if is_file { tokens::read(name).map(|platform| platform.key) } else { None };
            return format!("{}{}", &path[..end], own.unwrap_or_default());
        }
        end += component.len();
    }
    path.split_once(".so").map_or(path, |(stem, _)| stem).to_string()
}

fn archive(
    files: &FileRuleInput<'_>,
    view: &FileView<'_, FileKind>,
    path: &str,
    zip: &Zip,
    served: &BTreeSet<String>,
) -> Option<Finding> {
    let here = files.node.arch;
    let parts = parts(zip);
    let lacking: Vec<(&String, &NativePart)> = parts.iter().filter(|(_, part)| !part.serves(files)).collect();
    let is_fat = tokens::families(path).iter().any(|family| served.contains(family)) && names(path) != Some(here);
    let has_others = zip.natives.iter().any(|(_, native)| !is_own(native, here));
    let is_off = files.rules_off.contains(FAT_ARCHIVE.0);
    if (lacking.is_empty() || is_fat) && !is_off {
        if let Some(finding) = wheel(files, view, path, zip).filter(|_| !is_fat) {
            return Some(finding);
        }
        let count = zip.natives.iter().filter(|(_, native)| !is_own(native, here)).count();
        let is = format!("an archive with {count} native parts for other platforms");
        let finding =
            Finding::new(Code::ForeignOnPurpose, "foreign on purpose").at(path, view.layer).is(is, here.name());
        return has_others.then(|| purposeful(finding, FAT_ARCHIVE.0, FAT_ARCHIVE.1));
    }
    if !has_others || (zip.unread > 0 && parts.values().any(|part| part.serves(files))) {
        return None;
    }
    let archs: BTreeSet<Arch> = lacking.iter().flat_map(|(_, part)| part.archs.iter().copied()).collect();
    let names: Vec<&str> = archs.iter().map(|arch| arch.name()).collect();
    let whole = lacking.len() == parts.len();
    let what = lacking.first().map_or("", |(name, _)| name.trim_start_matches("!/").trim_end_matches('/'));
    let message = match (names.is_empty(), whole) {
        (true, _) => "it only has native parts for other systems".to_string(),
        (_, true) => format!("its native parts are for {}, none is for {}", names.join(", "), here.name()),
        (_, false) => format!("its native part {what} is for {}, none is for {}", names.join(", "), here.name()),
    };
    let (code, severity) = weight(files, view, path);
    Some(Finding::new(code, message).at(path, view.layer).is(names.join(", "), here.name()).severity(severity))
}

/// A wheel that is not installed yet, whose name or WHEEL file names only other platforms.
fn wheel(files: &FileRuleInput<'_>, view: &FileView<'_, FileKind>, path: &str, zip: &Zip) -> Option<Finding> {
    let name = path.rsplit('/').next()?.strip_suffix(".whl")?;
    let named = [name.to_string()];
    let foreign = |tags: &[String]| foreign_tags(tags, files.node.arch, &files.programs.libcs);
    let platforms = foreign(&named).or_else(|| foreign(&zip.wheel_tags))?;
    let message = format!("this wheel is built for {platforms}");
    let finding = Finding::new(Code::PackageOtherPlatform, message).at(path, view.layer);
    Some(finding.is(platforms, files.node.arch.name()).severity(Severity::Warning))
}

/// Code and severity by whether something in the image reads the archive. One that nothing reads is data.
pub fn weight(files: &FileRuleInput<'_>, view: &FileView<'_, FileKind>, path: &str) -> (Code, Severity) {
    let has_end = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
    let is_zipapp = matches!(view.fact, Some(FileKind::Script(_))) || has_end(&[".pex", ".pyz", ".pyzw"]);
    if is_zipapp {
        // A zipapp is a program: one that nothing starts is data.
        // `python3 app.pyz`: the file itself need not be executable.
        let is_word = |path: &str| files.argv.iter().any(|word| word == path || path.ends_with(&format!("/{word}")));
        let is_started = files.reach.is_chain(path)
            || files.reach.caller(path).is_some()
            || files.reach.is_on_path(path)
            || is_word(path);
        return (Code::PackageOtherPlatform, if is_started { Severity::Error } else { Severity::Warning });
    }
    // Yarn's Plug'n'Play loads packages from the archives themselves. Source: Yarn's documentation, "Offline cache".
    if let Some((project, _)) = path.split_once(".yarn/cache/") {
        let is_loaded =
            [".pnp.cjs", ".pnp.js"].iter().any(|name| files.rootfs.resolve(format!("{project}{name}")).is_ok());
        let is_error = is_loaded && files.reach.interpreter(RuntimeKind::Node).is_some();
        return (Code::PackageOtherPlatform, if is_error { Severity::Error } else { Severity::Note });
    }
    let is_python = has_end(&[".whl", ".egg"]);
    let code = if is_python { Code::PackageOtherPlatform } else { Code::JarWithoutPlatform };
    let is_jar = matches!(view.fact, Some(FileKind::Zip(zip)) if zip.is_jar) || has_end(&[".jar", ".war", ".ear"]);
    let is_read = is_python || (is_jar && files.reach.interpreter(RuntimeKind::Java).is_some());
    // A NuGet package is a source for restores; nothing loads from it directly. One that is named for another platform
    // is there for publishing to it.
    let is_restored =
        path.ends_with(".nupkg") && files.reach.interpreter(RuntimeKind::DotNet).is_some() && names(path).is_none();
    match (is_read, is_restored) {
        (true, _) => (code, code.row().severity),
        (_, true) => (code, Severity::Warning),
        _ => (code, Severity::Note),
    }
}

fn is_own(native: &NativeKind, here: Arch) -> bool {
    match native {
        NativeKind::Elf { arch, e_type, .. } => *arch == Some(here) || !matches!(e_type, 2 | 3),
        NativeKind::MachO | NativeKind::Pe { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_of_one_part_share_its_name() {
        let check = |a: &str, b: &str| assert_eq!(part_name(a), part_name(b));
        check(
            "org/xerial/snappy/native/Linux/x86_64/libsnappyjava.so",
            "org/xerial/snappy/native/Linux/aarch64/libsnappyjava.so",
        );
        check(
            "META-INF/native/libnetty_tcnative_linux_x86_64.so",
            "META-INF/native/libnetty_tcnative_linux_aarch_64.so",
        );
        check("librocksdbjni-linux64.so", "librocksdbjni-linux-aarch64-musl.so");
        check("com/sun/jna/linux-x86-64/libjnidispatch.so", "com/sun/jna/linux-aarch64/libjnidispatch.so");
        check("native/linux-x64/liba-avx.so", "native/linux-arm64/liba.so");
    }

    #[test]
    fn parts_with_other_names_are_distinguished() {
        let differ = |a: &str, b: &str| assert_ne!(part_name(a), part_name(b));
        differ(
            "META-INF/native/libnetty_tcnative_linux_x86_64.so",
            "META-INF/native/libnetty_transport_native_epoll_aarch_64.so",
        );
        differ("lib/liba.so", "lib/libb.so");
    }
}
