//! The names of the files that `run-parts` and cron use. They ignore the others without a message.

use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::outcome::lossy;
use crate::inspect::FileKind;

/// A `run-parts` by its rule for names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunParts {
    /// Debian's, and Debian's cron for its tables. Source: run-parts(8), cron(8).
    Debianutils,
    /// Seen with BusyBox 1.35.
    Busybox,
    /// A script, as cronie's.
    Other,
}

/// The ends of names of files that are left or switched off on purpose.
const LEFT: &[&str] = &[".disabled", ".off", ".bak", ".orig", ".old", ".save", ".sample", ".example", ".swp", ".md"];

impl RunParts {
    /// Returns the image's.
    pub(super) fn of(machine: &ExecMachine<'_>) -> RunParts {
        let paths = ["/usr/bin/run-parts", "/bin/run-parts", "/usr/sbin/run-parts", "/sbin/run-parts"];
        let found = paths.into_iter().find_map(|path| machine.rootfs.resolve(path).ok());
        let Some(id) = found else { return RunParts::Other };
        match machine.kind(id) {
            Some(FileKind::Elf(_)) if lossy(machine.rootfs.view(id).name).starts_with("busybox") => RunParts::Busybox,
            Some(FileKind::Elf(_)) => RunParts::Debianutils,
            _ => RunParts::Other,
        }
    }

    /// Whether it uses a file of this name.
    pub(super) fn takes(self, name: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        match self {
            RunParts::Debianutils => name.chars().all(is_plain),
            RunParts::Busybox => !name.starts_with('.') && name.chars().all(|c| is_plain(c) || c == '.'),
            RunParts::Other => !name.starts_with('.') && !name.ends_with(['~', ',']),
        }
    }

    /// Whether it ignores a program because of its name.
    pub(super) fn ignores_program(self, machine: &ExecMachine<'_>, path: &str) -> bool {
        let kind = machine.rootfs.resolve(path).ok().and_then(|id| machine.kind(id));
        let is_program = matches!(kind, Some(FileKind::Elf(_) | FileKind::Script(_)));
        is_program && self.ignores(path.rsplit('/').next().unwrap_or(path))
    }

    /// Whether it ignores a file that its author meant to be used: `backup.sh`.
    pub(super) fn ignores(self, name: &str) -> bool {
        let is_left = || name.starts_with('.') || name.ends_with('~') || name.contains(".dpkg-");
        !self.takes(name) && !is_left() && !LEFT.iter().any(|end| name.ends_with(end))
    }
}

#[cfg(test)]
mod tests {
    use super::RunParts;

    #[test]
    fn a_dot_in_a_name_matters_to_debian_only() {
        let names = ["a", "a-b_c", "backup.sh", "a~", "a.bak", ".placeholder", "a.dpkg-old"];
        let check = |kind: RunParts, taken: &[&str], ignored: &[&str]| {
            let found: Vec<&str> = names.into_iter().filter(|name| kind.takes(name)).collect();
            assert_eq!(found, taken, "{kind:?}");
            let found: Vec<&str> = names.into_iter().filter(|name| kind.ignores(name)).collect();
            assert_eq!(found, ignored, "{kind:?}");
        };
        check(RunParts::Debianutils, &["a", "a-b_c"], &["backup.sh"]);
        check(RunParts::Busybox, &["a", "a-b_c", "backup.sh", "a.bak", "a.dpkg-old"], &[]);
        check(RunParts::Other, &["a", "a-b_c", "backup.sh", "a.bak", "a.dpkg-old"], &[]);
    }
}
