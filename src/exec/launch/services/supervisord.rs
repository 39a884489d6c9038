//! What makes supervisord refuse its configuration: users and directories that do not exist. Seen with supervisord 4.2.

use super::SupervisedService;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::mounts;
use crate::exec::launch::accounts::Account;
use crate::exec::launch::interpret::is_known;
use crate::exec::launch::walk::StartWalk;
use crate::exec::log::Log;
use crate::exec::outcome::{Outcome, lossy};
use crate::exec::{Cause, CauseKind, Death};
use crate::image::{NodeKind, ResolveError};

/// A key whose value is, or is in, a directory that must exist.
pub(super) struct DirectoryKey {
    /// Sections, without the name of the program.
    pub sections: &'static [&'static str],
    pub key: &'static str,
    /// Options of the command line that replace the value.
    pub options: &'static [&'static str],
    kind: DirectoryKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DirectoryKind {
    Itself,
    /// The directory of a file that it creates.
    OfFile,
    OfLog,
    OfSocket,
}

pub(super) const PROGRAMS: &[&str] = &["program", "eventlistener", "fcgi-program"];

pub(super) const DIRECTORIES: &[DirectoryKey] = &[
    row(&["supervisord"], "logfile", &["--logfile", "-l"], DirectoryKind::OfFile),
    row(&["supervisord"], "pidfile", &["--pidfile", "-j"], DirectoryKind::OfFile),
    row(&["supervisord"], "childlogdir", &["--childlogdir", "-q"], DirectoryKind::Itself),
    row(&["supervisord"], "directory", &["--directory", "-d"], DirectoryKind::Itself),
    row(PROGRAMS, "stdout_logfile", &[], DirectoryKind::OfLog),
    row(PROGRAMS, "stderr_logfile", &[], DirectoryKind::OfLog),
    row(&["unix_http_server"], "file", &[], DirectoryKind::OfSocket),
];

const fn row(
    sections: &'static [&'static str],
    key: &'static str,
    options: &'static [&'static str],
    kind: DirectoryKind,
) -> DirectoryKey {
    DirectoryKey { sections, key, options, kind }
}

/// The configuration.
pub(super) struct Configuration {
    pub services: Vec<SupervisedService>,
    pub directories: Vec<CheckedDirectory>,
    pub refused: Option<RefusedValue>,
}

/// A value that supervisord refuses when it reads its configuration.
pub(super) struct RefusedValue {
    pub by: String,
    pub text: String,
}

/// A value of such a key.
pub(super) struct CheckedDirectory {
    pub row: &'static DirectoryKey,
    /// With its variables expanded.
    pub value: String,
    pub section: String,
    /// The file, and the line.
    pub by: String,
    pub line: usize,
}

impl CheckedDirectory {
    /// The directory, if the value names one.
    fn path(&self) -> Option<&str> {
        let is_word = matches!(&*self.value.to_ascii_lowercase(), "" | "none" | "off" | "auto" | "syslog");
        match self.row.kind {
            DirectoryKind::Itself => Some(&self.value),
            DirectoryKind::OfLog if is_word => None,
            DirectoryKind::OfFile | DirectoryKind::OfLog | DirectoryKind::OfSocket => {
                let (directory, _) = self.value.rsplit_once('/')?;
                Some(if directory.is_empty() { "/" } else { directory })
            }
        }
    }

    /// The line that supervisord prints.
    fn message(&self) -> String {
        let CheckedDirectory { value, section, by, .. } = self;
        let absent = format!("Error: The directory named as part of the path {value} does not exist");
        match self.row.kind {
            DirectoryKind::Itself => format!("Error: {value} is not an existing directory"),
            DirectoryKind::OfFile => absent,
            DirectoryKind::OfLog => format!("{absent} in section '{section}' (file: '{by}')"),
            DirectoryKind::OfSocket => {
                "Error: Cannot open an HTTP server: socket.error reported errno.ENOENT (2)".to_string()
            }
        }
    }
}

impl ExecMachine<'_> {
    /// How supervisord ends when it reads its configuration. `None`: it starts.
    pub(super) fn refuses(&self, log: &mut Log, configuration: &Configuration, walk: &StartWalk) -> Option<Outcome> {
        let ends = |at: &str, kind, text| {
            let cause = Cause { kind, text };
            Some(Outcome::Dies { death: Death::Exit(2), at: at.to_string(), cause })
        };
        if let Some(refused) = configuration.refused.as_ref().filter(|_| !walk.is_open) {
            log.says.push(format!("Error: {} (file: '{}')", refused.text, refused.by));
            return ends(
                &refused.by,
                CauseKind::BadConfiguration,
                format!("supervisord refuses its configuration: {}", refused.text),
            );
        }
        let lacks = |directory: &&CheckedDirectory| directory.path().is_some_and(|path| self.lacks(path, walk));
        if let Some(directory) = configuration.directories.iter().find(lacks) {
            log.says.push(directory.message());
            let (path, line) = (directory.path().unwrap_or_default(), directory.line);
            let text =
                format!("{} at line {line} needs the directory {path}, which is not in the image", directory.row.key);
            return ends(&directory.by, CauseKind::MissingDirectory, text);
        }
        let (service, text) = configuration.services.iter().find_map(|service| self.lacks_user(service, walk))?;
        // It accepts no number without an entry either.
        let user = service.user.clone().unwrap_or_default();
        log.says.push(format!("Error: Invalid user name {user} in section (file: '{}')", service.by));
        let text = format!("the program at line {} runs as {user}: {text}", service.line);
        ends(&service.by, CauseKind::UnknownUser, text)
    }

    /// How a service ends whose `directory` does not exist: supervisord prints `exited: NAME (exit status 127; not
    /// expected)` and starts it again.
    pub(super) fn lacks_directory(&self, directory: Option<&str>, by: &str, walk: &StartWalk) -> Option<Outcome> {
        let directory = directory.filter(|directory| self.lacks(directory, walk))?;
        let text = format!("it cannot change to the directory {directory}, which is not in the image");
        let cause = Cause { kind: CauseKind::MissingDirectory, text };
        Some(Outcome::Dies { death: Death::Exit(127), at: by.to_string(), cause })
    }

    /// A service whose user is not in the image, and why.
    fn lacks_user<'s>(
        &self,
        service: &'s SupervisedService,
        walk: &StartWalk,
    ) -> Option<(&'s SupervisedService, String)> {
        let user = service.user.as_deref()?;
        match self.account(user, walk) {
            Account::Missing(text) => Some((service, text)),
            Account::Uid(_) => None,
        }
    }

    /// Whether a path is certain not to be a directory when a program needs it.
    pub(in crate::exec::launch) fn lacks(&self, path: &str, walk: &StartWalk) -> bool {
        // Engines create these.
        const MADE: [&str; 6] = ["/", "/dev", "/etc", "/proc", "/run", "/sys"];
        let is_open = walk.is_open || walk.has_new_directories;
        let path = match path.trim_end_matches('/') {
            "" if path.starts_with('/') => "/",
            path => path,
        };
        if is_open || path.is_empty() || path.starts_with('~') || !is_known(path) {
            return false;
        }
        let cwd = lossy(&self.cwd.path(self.rootfs));
        let absolute =
            if path.starts_with('/') { path.to_string() } else { format!("{}/{path}", cwd.trim_end_matches('/')) };
        let is_cwd = cwd == absolute || cwd.strip_prefix(&absolute).is_some_and(|rest| rest.starts_with('/'));
        if MADE.contains(&absolute.as_str()) || mounts::over(absolute.as_bytes()).is_some() || is_cwd {
            return false;
        }
        match self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true) {
            Ok(id) => self.rootfs.view(id).kind != NodeKind::Directory && !self.rootfs.is_unread(id),
            // The target of /var/run.
            Err(ResolveError::Missing(absent)) if absent == b"/run" => false,
            Err(ResolveError::Missing(_) | ResolveError::NotDirectory(_) | ResolveError::Loop) => true,
            Err(ResolveError::Unread(_) | ResolveError::Denied(_) | ResolveError::NameTooLong) => false,
        }
    }
}
