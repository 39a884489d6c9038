//! The packages that package managers of Python recorded, by their `.dist-info` directories.

use crate::image::{NodeKind, RootFs};
use crate::inspect::FileKind;

/// A package of Python.
pub struct InstalledPackage {
    /// In lower case, with underscores.
    pub name: String,
    /// Its `.dist-info` directory.
    pub path: String,
    pub layer: usize,
}

impl InstalledPackage {
    /// The directory that contains the package: `/usr/lib/python3/dist-packages`.
    pub fn place(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(place, _)| place)
    }
}

/// Returns all packages of the image.
pub fn packages(rootfs: &RootFs<FileKind>) -> Vec<InstalledPackage> {
    let directories = rootfs.matching(NodeKind::Directory, |name| name.ends_with(b".dist-info"));
    let found = directories.map(|view| {
        let path = String::from_utf8_lossy(&rootfs.path(view.id)).into_owned();
        let info = path.rsplit('/').next().unwrap_or(&path);
        let name = info.split('-').next().unwrap_or(info).to_ascii_lowercase();
        InstalledPackage { name, path, layer: view.layer }
    });
    found.collect()
}
