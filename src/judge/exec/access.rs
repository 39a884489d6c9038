//! Who runs a container's process, and what that user may search and execute. Reads nothing but the merged file system;
//! it must never take an unknown user for root.

use std::cell::Cell;

use crate::image::{FileView, NodeId, NodeKind, ResolveError, RootFs};
use crate::inspect::FileKind;
use crate::judge::{Cause, Errno};

/// The user of a process, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Root with the capabilities that engines grant: CAP_DAC_OVERRIDE among them.
    Root,
    User {
        uid: u32,
        gids: Vec<u32>,
    },
    /// A name that the image's /etc/passwd could not be asked for.
    Unknown,
}

/// A yes, a no, or a question that only the user's number answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    Yes,
    No,
    Depends,
}

/// Why the config's User means nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchUser(pub String);

impl Who {
    /// Reads a config's User as runtimes do: `user[:group]`, each a number or a name of the image's tables; no user is
    /// root. Source: github.com/moby/sys/user `GetExecUser`.
    pub(crate) fn parse(user: &str, rootfs: &RootFs<FileKind>) -> Result<Who, NoSuchUser> {
        let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
        let name = if name.is_empty() { "0" } else { name };
        let passwd = config(rootfs, "/etc/passwd");
        let entry = passwd
            .as_deref()
            .and_then(|text| rows(text).find(|row| row.first() == Some(&name) || row.get(2) == Some(&name)));
        let number = |at: usize| entry.as_ref().and_then(|row| row.get(at)?.parse::<u32>().ok());
        let uid = match number(2).or_else(|| name.parse().ok()) {
            Some(0) => return Ok(Who::Root),
            Some(uid) => uid,
            None if passwd.is_some() => {
                return Err(NoSuchUser(format!("unable to find user {name}: no matching entries in passwd file")));
            }
            None => return Ok(Who::Unknown),
        };
        let groups = config(rootfs, "/etc/group");
        let mut gids = match group.filter(|group| !group.is_empty()) {
            None => vec![number(3).unwrap_or(0)],
            Some(group) => vec![group_number(group, groups.as_deref()).ok_or_else(|| {
                NoSuchUser(format!("unable to find group {group}: no matching entries in group file"))
            })?],
        };
        if group.is_none() {
            let login = entry.as_ref().and_then(|row| row.first().copied()).unwrap_or(name);
            gids.extend(memberships(login, groups.as_deref()));
        }
        Ok(Who::User { uid, gids })
    }

    /// Whether this user may execute a file. Source: fs/namei.c `generic_permission`.
    pub(crate) fn may_execute(&self, file: &FileView<'_, FileKind>) -> May {
        let bits = file.mode & 0o111;
        match self {
            Who::Root if bits != 0 => May::Yes,
            Who::Root => May::No,
            _ => self.may_by_mode(file),
        }
    }

    /// Whether this user may pass through a directory.
    pub(crate) fn may_search(&self, directory: &FileView<'_, FileKind>) -> May {
        match self {
            Who::Root => May::Yes,
            _ => self.may_by_mode(directory),
        }
    }

    fn may_by_mode(&self, file: &FileView<'_, FileKind>) -> May {
        let bit = match self {
            Who::User { uid, .. } if *uid == file.uid => 0o100,
            Who::User { gids, .. } if gids.contains(&file.gid) => 0o010,
            Who::User { .. } => 0o001,
            Who::Root | Who::Unknown => {
                return match file.mode & 0o111 {
                    0o111 => May::Yes,
                    0 => May::No,
                    _ => May::Depends,
                };
            }
        };
        if file.mode & bit != 0 { May::Yes } else { May::No }
    }
}

/// Opens `path` for execution as the kernel does, from the directory `start`.
/// Source: fs/exec.c `do_open_execat`, fs/namei.c `may_open`.
pub(crate) fn open_exec(rootfs: &RootFs<FileKind>, who: &Who, start: NodeId, path: &[u8]) -> Result<NodeId, Refusal> {
    let depends = Cell::new(false);
    let may_search = |directory: FileView<'_, FileKind>| match who.may_search(&directory) {
        May::Yes => true,
        May::No => false,
        May::Depends => {
            depends.set(true);
            true
        }
    };
    let shown = String::from_utf8_lossy(path).into_owned();
    let id = rootfs.walk(start, path, true, &may_search).map_err(|error| Refusal::of_walk(&error, &shown))?;
    let file = rootfs.view(id);
    match file.kind {
        NodeKind::File => {}
        NodeKind::Directory => {
            return Err(Refusal::new(Errno::EACCES, "is-directory", format!("{shown} is a directory")));
        }
        _ => return Err(Refusal::new(Errno::EACCES, "not-a-file", format!("{shown} is a device, fifo or socket"))),
    }
    match who.may_execute(&file) {
        May::No => {
            let text = if file.mode & 0o111 == 0 {
                format!("{shown} is not executable (mode {:04o})", file.mode & 0o7777)
            } else {
                format!(
                    "{shown} may not be executed by this user (mode {:04o}, owner {}:{})",
                    file.mode & 0o7777,
                    file.uid,
                    file.gid
                )
            };
            Err(Refusal::new(Errno::EACCES, "not-executable", text))
        }
        May::Depends => Err(Refusal::user_unknown(&shown)),
        May::Yes if depends.get() => Err(Refusal::user_unknown(&shown)),
        May::Yes => Ok(id),
    }
}

/// Why a file could not be opened for execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `None`: it hangs on a user whose number is not known.
    pub errno: Option<Errno>,
    pub cause: Cause,
}

impl Refusal {
    pub(crate) fn new(errno: Errno, code: &'static str, text: String) -> Refusal {
        Refusal { errno: Some(errno), cause: Cause { code, text } }
    }

    fn user_unknown(path: &str) -> Refusal {
        let text = format!("whether {path} may be executed hangs on a user whose number the image does not tell");
        Refusal { errno: None, cause: Cause { code: "user-unknown", text } }
    }

    fn of_walk(error: &ResolveError, path: &str) -> Refusal {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match error {
            ResolveError::Missing(at) if lossy(at) == path => {
                Refusal::new(Errno::ENOENT, "missing-file", format!("there is no {path}"))
            }
            ResolveError::Missing(at) => Refusal::new(
                Errno::ENOENT,
                "missing-file",
                format!("{path} leads to {}, which is not there", lossy(at)),
            ),
            ResolveError::NotDirectory(at) => Refusal::new(
                Errno::ENOTDIR,
                "not-a-directory",
                format!("{} on the way to {path} is no directory", lossy(at)),
            ),
            ResolveError::Loop => {
                Refusal::new(Errno::ELOOP, "symlink-loop", format!("{path} is a circle of symbolic links"))
            }
            ResolveError::NameTooLong => Refusal::new(
                Errno::ENAMETOOLONG,
                "name-too-long",
                "the path is longer than the kernel takes".to_string(),
            ),
            ResolveError::Denied(at) => {
                Refusal::new(Errno::EACCES, "not-searchable", format!("this user may not pass through {}", lossy(at)))
            }
        }
    }
}

/// The text of a configuration file of the image, where it was kept.
pub(crate) fn config(rootfs: &RootFs<FileKind>, path: &str) -> Option<String> {
    let view = rootfs.view(rootfs.resolve(path).ok()?);
    match view.fact {
        Some(FileKind::Config(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.is_empty()).map(|line| line.split(':').collect())
}

fn group_number(group: &str, groups: Option<&str>) -> Option<u32> {
    let named = groups.and_then(|text| rows(text).find(|row| row.first() == Some(&group))?.get(2)?.parse().ok());
    named.or_else(|| group.parse().ok())
}

fn memberships(login: &str, groups: Option<&str>) -> Vec<u32> {
    let is_member =
        |row: &Vec<&str>| row.get(3).is_some_and(|members| members.split(',').any(|member| member == login));
    groups
        .map_or_else(Vec::new, |text| rows(text).filter(is_member).filter_map(|row| row.get(2)?.parse().ok()).collect())
}
