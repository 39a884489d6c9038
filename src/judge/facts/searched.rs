//! Whether a process that loads a module may find a library in the image: in a directory that its loader searches, or
//! in the application that the module belongs to, whose code may load the library first. Only a library that is in
//! neither is out of reach.

use std::collections::BTreeSet;

use crate::exec::loader::conf::ld_so_conf;
use crate::image::{NodeKind, RootFs};
use crate::inspect::FileKind;
use crate::judge::facts::programs::{Fit, JudgedProgram, Programs};

/// Directories that loaders search, or in whose subdirectories distributions install what they load by path.
const SYSTEM: &[&str] = &[
    "/lib",
    "/lib64",
    "/lib32",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib32",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/libexec",
];
/// Number of leading components of a path that name an application: `/opt/app`.
const APPLICATION: usize = 2;

/// Directories that the loaders of an image search.
#[derive(Debug, Default)]
pub struct SearchedDirectories {
    /// Real paths.
    directories: BTreeSet<String>,
    /// Values of the image's variables: code may load libraries from directories that they name.
    values: Vec<String>,
    /// Prefixes with their own programs in `bin`, such as conda's: a runtime there has loaded its own libraries.
    prefixes: BTreeSet<String>,
}

impl SearchedDirectories {
    pub fn from_rootfs(rootfs: &RootFs<FileKind>, programs: &Programs<'_>, env: &[String]) -> SearchedDirectories {
        let (configured, _) = ld_so_conf(rootfs);
        let values: Vec<String> = env.iter().filter_map(|line| Some(line.split_once('=')?.1.to_string())).collect();
        let named = values.iter().flat_map(|value| value.split([':', ' ', ';']));
        let real = |path: &str| {
            let id = rootfs.resolve(path).ok().filter(|id| rootfs.view(*id).kind == NodeKind::Directory)?;
            Some(String::from_utf8_lossy(&rootfs.path(id)).into_owned())
        };
        let directories = configured.iter().map(String::as_str).chain(named.filter(|word| word.starts_with('/')));
        let own = |program: &JudgedProgram<'_>| {
            let prefix = program.path.rsplit_once("/bin/")?.0;
            (program.is_executable() && !prefix.is_empty()).then(|| prefix.to_string())
        };
        let prefixes = programs.runnable().filter(|program| program.fit <= Fit::Compat).filter_map(own).collect();
        SearchedDirectories { directories: directories.filter_map(real).collect(), values, prefixes }
    }

    /// Whether a process that loads `object` may find `library`.
    pub fn may_find(&self, rootfs: &RootFs<FileKind>, library: &JudgedProgram<'_>, object: &JudgedProgram<'_>) -> bool {
        let directory = library.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let is_in =
            |place: &&str| directory.strip_prefix(*place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let application = application(&library.path);
        let is_named = |value: &String| !application.is_empty() && value.contains(application);
        SYSTEM.iter().any(is_in)
            || self.directories.contains(directory)
            || application == self::application(&object.path)
            || self.values.iter().any(is_named)
            || self.prefixes.contains(application)
            || is_in_own_path(rootfs, directory, object)
    }
}

/// Whether an object's RPATH or RUNPATH has the directory.
fn is_in_own_path(rootfs: &RootFs<FileKind>, directory: &str, object: &JudgedProgram<'_>) -> bool {
    let Some(dynamic) = &object.elf.dynamic else { return false };
    let origin = object.path.rsplit_once('/').map_or("", |(origin, _)| origin);
    let paths = dynamic.rpath.iter().chain(&dynamic.runpath).flat_map(|list| list.split(':'));
    let expanded = paths.map(|path| path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin));
    expanded
        .filter(|path| path.starts_with('/'))
        .any(|path| path.contains('$') || rootfs.resolve(&path).is_ok_and(|id| rootfs.path(id) == directory.as_bytes()))
}

/// The first components of a path.
fn application(path: &str) -> &str {
    let end = path.match_indices('/').nth(APPLICATION).map_or(path.len(), |(end, _)| end);
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::application;

    #[test]
    fn an_application_is_the_start_of_a_path() {
        assert_eq!(application("/opt/app/lib/liba.so"), "/opt/app");
        assert_eq!(application("/srv/liba.so"), "/srv/liba.so");
    }
}
