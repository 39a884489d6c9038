//! Searches of PATH that differ from a plain one: dash's, after a refused file, and those of cron's jobs.

use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::shells::Shell;
use crate::exec::launch::walk::{Caller, ShellText, StartWalk};
use crate::exec::log::Log;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind};
use crate::image::NodeKind;

impl ExecMachine<'_> {
    /// Returns the next file of PATH for a command whose file the kernel refused: dash goes on there. Seen with dash
    /// 0.5.12; bash and BusyBox do not.
    pub(super) fn later_on_path(
        &self,
        log: &mut Log,
        (name, path): (&str, &[u8]),
        caller: Caller<'_>,
        env: &[String],
    ) -> Option<Vec<u8>> {
        if name.contains('/') || !matches!(caller, Caller::Shell { kind: Shell::Dash, .. }) {
            return None;
        }
        let directories = variable(env, "PATH").unwrap_or(DEFAULT_PATH).split(':');
        let candidates = directories.map(|directory| {
            let directory = if directory.is_empty() { "." } else { directory };
            format!("{}/{name}", directory.trim_end_matches('/')).into_bytes()
        });
        candidates
            .skip_while(|other| other != path)
            .skip(1)
            .filter(|other| other != path)
            .find(|other| self.open(log, other).is_ok())
    }

    /// Why a program that the image's PATH has is not on that of a scheduler's job. `None` if it is not so.
    pub(super) fn lost_on_path(
        &self,
        cause: &Cause,
        name: &str,
        caller: Caller<'_>,
        walk: &StartWalk,
    ) -> Option<String> {
        let image_path = walk.image_path.as_deref().filter(|_| cause.kind == CauseKind::NotInPath)?;
        let own = variable(&walk.env, "PATH").unwrap_or(DEFAULT_PATH);
        let found = image_path.split(':').map(|directory| format!("{}/{name}", directory.trim_end_matches('/')));
        let on_path = found.into_iter().find(|path| self.rootfs.resolve(path).is_ok());
        let cure = "set PATH in the table, or name the program by its path";
        let Some(found) = on_path else {
            // The job itself, not a script that it runs, names a program of the image that no PATH has.
            let is_job = matches!(caller, Caller::Shell { text: ShellText::Argument, .. });
            let mut programs = self.rootfs.named(name.as_bytes()).filter(|view| view.mode & 0o111 != 0);
            let view = programs.find(|view| is_job && view.kind == NodeKind::File && view.fact.is_some())?;
            let path = lossy(&self.rootfs.path(view.id));
            return Some(format!("{name} is not in PATH ({own}), but the image has {path}; {cure}"));
        };
        Some(format!(
            "{name} is not in PATH ({own}): cron does not pass on the image's PATH, which has {found}; {cure}"
        ))
    }
}
