//! What a container sees of the image's tree: all but the directories that every engine mounts file systems of its own on.
//! Source: moby's oci/defaults.go, containerd's pkg/oci/mounts.go, podman's pkg/specgen/generate.

use crate::image::{NodeId, NodeKind, RootFs};
use crate::inspect::FileKind;

const MOUNTED: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The mount that a path of the container is in.
pub(crate) fn over(path: &[u8]) -> Option<&'static str> {
    let is_below = |mount: &&str| path.strip_prefix(mount.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"));
    MOUNTED.into_iter().find(is_below)
}

/// Whether a file of the image is not there in the container. Directories and devices that images have there engines
/// make again.
pub(crate) fn is_hidden(rootfs: &RootFs<FileKind>, id: NodeId) -> bool {
    rootfs.view(id).kind == NodeKind::File && over(&rootfs.path(id)).is_some()
}

/// Whether a path is one that may be there at run time only: /dev/stdin, /proc/self/fd/3.
pub(crate) fn is_made(rootfs: &RootFs<FileKind>, path: &str) -> bool {
    over(path.as_bytes()).is_some() && rootfs.resolve(path).is_err()
}
