//! Builds a tree: packages extracted and not configured, so that no emulator is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::expected::Tree;

/// The root file system of `tree`'s packages and what they depend on, by the machine's own Debian mirror.
pub fn build(folder: &Path, tree: &Tree) -> PathBuf {
    let root = folder.join(tree.name);
    let mirror = "awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources";
    let include: String = tree.packages.iter().map(|package| format!(" --include={package}")).collect();
    let script = format!(
        "mmdebstrap --quiet --variant=extract --architectures={} --mode=root --aptopt='Acquire::Languages \"none\"' \
         --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include='?and(?priority(required),?architecture(arm64))'{include} bookworm {} \
         \"$({mirror})\"",
        tree.architectures,
        root.display()
    );
    let output = Command::new("sh").args(["-c", &script]).env("TMPDIR", folder).output().unwrap();
    assert!(output.status.success(), "mmdebstrap {}: {}", tree.name, String::from_utf8_lossy(&output.stderr));
    root
}
