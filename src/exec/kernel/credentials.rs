//! Applies a file's capabilities at execve: an effective one that the container may not have makes it fail. Source:
//! security/commoncap.c `get_file_caps`, `bprm_caps_from_vfs_caps`; fs/exec.c `bprm_creds_from_file`.

use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::log::Log;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Errno, Outcome};
use crate::image::NodeId;
use crate::platform::{Capabilities, FileCapabilities};

impl ExecMachine<'_> {
    /// The last check before the point of no return: the capabilities of the program's own file, not those of its
    /// loader or of a script. `path` is the path that was executed.
    pub(crate) fn take_credentials(&self, log: &mut Log, file: NodeId, path: &[u8]) -> Result<(), Outcome> {
        let (permitted, is_effective) = match self.rootfs.view(file).capabilities {
            None => return Ok(()),
            Some(FileCapabilities::Malformed) => {
                let text = "its file capabilities have a format that the kernel does not know".to_string();
                return Err(Outcome::fails(Errno::EINVAL, path, Cause { kind: CauseKind::BadCapabilities, text }));
            }
            // The root user of another namespace set them, so they do not apply here.
            Some(FileCapabilities::Sound { root, .. }) if root != 0 => return Ok(()),
            Some(FileCapabilities::Sound { permitted, is_effective, .. }) => (permitted, is_effective),
        };
        if !is_effective || permitted.is_empty() {
            return Ok(());
        }
        let refused = permitted.beyond(self.node.bounding);
        if !refused.is_empty() {
            let text = format!(
                "its file capabilities require {}, which the container is not granted",
                refused.names().join(", ")
            );
            return Err(Outcome::fails(Errno::EPERM, path, Cause { kind: CauseKind::CapabilitiesNotGranted, text }));
        }
        if self.node.bounding != Capabilities::all() {
            let everywhere = permitted.beyond(Capabilities::of_all_engines()).is_empty();
            let whom = if everywhere { "in a pod that drops" } else { "under CRI-O, and in a pod that drops" };
            let text = format!(
                "{} has the file capabilities {}: {whom} them, execve returns EPERM",
                lossy(path),
                permitted.names().join(", ")
            );
            log.doubt(CauseKind::CapabilitiesNeeded, text);
        }
        Ok(())
    }
}
