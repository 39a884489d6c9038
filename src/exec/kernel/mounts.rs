//! The part of the image's tree that a container sees: everything except the directories on which every engine mounts
//! its own file systems. Source: moby's oci/defaults.go, containerd's pkg/oci/mounts.go, podman's pkg/specgen/generate.

use crate::image::{NodeId, NodeKind, RootFs};
use crate::inspect::FileKind;

const MOUNTED: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Returns the engine's mount that contains a path.
pub(crate) fn over(path: &[u8]) -> Option<&'static str> {
    let is_below = |mount: &&str| path.strip_prefix(mount.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"));
    MOUNTED.into_iter().find(is_below)
}

/// Whether an engine's mount hides a file of the image. Engines recreate the directories and devices that images have
/// there.
pub(crate) fn is_hidden(rootfs: &RootFs<FileKind>, id: NodeId) -> bool {
    rootfs.view(id).kind == NodeKind::File && over(&rootfs.path(id)).is_some()
}

/// Whether a path can exist only at run time: /dev/stdin, /proc/self/fd/3.
pub(crate) fn is_made(rootfs: &RootFs<FileKind>, path: &str) -> bool {
    over(path.as_bytes()).is_some() && rootfs.resolve(path).is_err()
}
