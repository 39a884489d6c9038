//! The user of a container's process, and what that user may search and execute. Reads nothing but the merged file
//! system. Must never treat an unknown user as root.

use crate::exec::kernel::changes::FileChanges;
use crate::exec::kernel::cwd::Cwd;
use crate::exec::kernel::mounts;
use crate::exec::{Cause, CauseKind, Errno};
use crate::image::{FileView, NodeId, NodeKind, ResolveError, RootFs};
use crate::inspect::{CONFIG_BYTES, FileKind};

/// The user of a process, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Root with the capabilities that engines grant, including CAP_DAC_OVERRIDE.
    Root,
    User {
        uid: u32,
        gids: Vec<u32>,
    },
    /// A name whose entry may be in the part of the image's /etc/passwd or /etc/group that was not kept.
    Unknown,
}

/// Whether access is allowed. `Depends`: only the user's uid and groups decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    Yes,
    No,
    Depends,
}

/// Why the config's User does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchUser(pub String);

/// The largest uid or gid that runtimes accept. Source: github.com/moby/sys/user `maxID`.
const MAX_ID: i64 = (1 << 31) - 1;

impl Who {
    /// Parses a config's User as runtimes do: `user[:group]`, each a number or a name in the image's tables. An empty
    /// user is root. Source: github.com/moby/sys/user `GetExecUser`.
    pub(crate) fn parse(user: &str, rootfs: &RootFs<FileKind>) -> Result<Who, NoSuchUser> {
        let (name, group) = user.split_once(':').map_or((user, ""), |(name, group)| (name, group));
        let name = if name.is_empty() { "0" } else { name };
        let (passwd, groups) = (AccountFile::read(rootfs, "/etc/passwd"), AccountFile::read(rootfs, "/etc/group"));
        let entry = passwd.entry(name);
        let field = |at: usize| entry.as_ref().and_then(|row| row.get(at)?.parse::<u32>().ok());
        let uid = match field(2) {
            Some(uid) => Some(uid),
            None => passwd.number("user", name, "passwd")?,
        };
        let explicit = match group {
            "" => None,
            group => match groups.entry(group).and_then(|row| row.get(2)?.parse().ok()) {
                Some(gid) => Some(Some(gid)),
                None => Some(groups.number("group", group, "group")?),
            },
        };
        let gids = match explicit {
            None => {
                let login = entry.as_ref().and_then(|row| row.first().copied()).unwrap_or(name);
                let own = field(3).unwrap_or(0);
                Some(std::iter::once(own).chain(memberships(login, groups.text())).collect())
            }
            Some(gid) => gid.map(|gid| vec![gid]),
        };
        Ok(match (uid, gids) {
            (Some(0), _) => Who::Root,
            (Some(uid), Some(gids)) => Who::User { uid, gids },
            _ => Who::Unknown,
        })
    }

    /// Adds supplementary groups to the user.
    pub(crate) fn joined_to(self, groups: &[u32]) -> Who {
        match self {
            Who::User { uid, gids } => Who::User { uid, gids: [&gids, groups].concat() },
            Who::Root | Who::Unknown => self,
        }
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

    /// Whether this user may search a directory.
    pub(crate) fn may_search(&self, directory: &FileView<'_, FileKind>) -> May {
        match self {
            Who::Root => May::Yes,
            _ => self.may_by_mode(directory),
        }
    }

    /// Whether this user may read a file.
    pub(crate) fn may_read(&self, file: &FileView<'_, FileKind>) -> May {
        match self {
            Who::Root => May::Yes,
            _ => self.may(file, 0o4),
        }
    }

    fn may_by_mode(&self, file: &FileView<'_, FileKind>) -> May {
        self.may(file, 0o1)
    }

    /// Checks the bits of the owner, the group or others: 4 to read, 1 to execute or search.
    fn may(&self, file: &FileView<'_, FileKind>, bit: u16) -> May {
        let (owner, group) = (bit << 6, bit << 3);
        let bit = match self {
            Who::User { uid, .. } if *uid == file.uid => owner,
            Who::User { gids, .. } if gids.contains(&file.gid) => group,
            Who::User { .. } => bit,
            Who::Root | Who::Unknown => {
                let all = owner | group | bit;
                return match file.mode & all {
                    bits if bits == all => May::Yes,
                    0 => May::No,
                    _ => May::Depends,
                };
            }
        };
        if file.mode & bit != 0 { May::Yes } else { May::No }
    }
}

/// Opens `path` for execution as the kernel does, from the directory `cwd`.
/// Source: fs/exec.c `do_open_execat`, fs/namei.c `may_open`.
pub(crate) fn open_exec(
    rootfs: &RootFs<FileKind>,
    (who, changes): (&Who, &FileChanges),
    cwd: &Cwd,
    path: &[u8],
) -> Result<NodeId, OpenRefusal> {
    let search = |directory: FileView<'_, FileKind>| {
        changes.applied(rootfs, directory).map_or(May::Yes, |directory| who.may_search(&directory))
    };
    let may_search = |directory: FileView<'_, FileKind>| search(directory) != May::No;
    let must_search = |directory: FileView<'_, FileKind>| search(directory) == May::Yes;
    let shown = String::from_utf8_lossy(path).into_owned();
    let id = cwd.walk(rootfs, path, &may_search).map_err(|error| OpenRefusal::of_walk(rootfs, &error, &shown))?;
    let file = rootfs.view(id);
    match file.kind {
        NodeKind::File => {}
        // A single file may be mounted there.
        NodeKind::Directory if rootfs.is_unread(id) => {
            let text = not_read(&shown, &rootfs.path(id));
            return Err(OpenRefusal { errno: None, cause: Cause { kind: CauseKind::NotRead, text } });
        }
        NodeKind::Directory => {
            return Err(OpenRefusal::new(Errno::EACCES, CauseKind::IsDirectory, format!("{shown} is a directory")));
        }
        _ => {
            return Err(OpenRefusal::new(
                Errno::EACCES,
                CauseKind::NotAFile,
                format!("{shown} is a device, fifo or socket"),
            ));
        }
    }
    // A file whose mode a command changes in an unknown way is assumed to be executable.
    let Some(file) = changes.applied(rootfs, file) else { return Ok(id) };
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
            Err(OpenRefusal::new(Errno::EACCES, CauseKind::NotExecutable, text))
        }
        May::Depends => Err(OpenRefusal::user_unknown(&shown)),
        May::Yes if cwd.walk(rootfs, path, &must_search).is_err() => Err(OpenRefusal::user_unknown(&shown)),
        May::Yes => Ok(id),
    }
}

/// Why a user may not read a file that exists, as interpreters read their scripts. `None` if it may, or if that is not
/// known.
pub(crate) fn unreadable(
    rootfs: &RootFs<FileKind>,
    (who, changes): (&Who, &FileChanges),
    cwd: &Cwd,
    path: &str,
) -> Option<Cause> {
    let may_search = |directory: FileView<'_, FileKind>| {
        changes.applied(rootfs, directory).is_none_or(|directory| who.may_search(&directory) != May::No)
    };
    let text = match cwd.walk(rootfs, path.as_bytes(), &may_search) {
        Ok(id) => {
            let file = changes.applied(rootfs, rootfs.view(id)).filter(|file| who.may_read(file) == May::No)?;
            let (mode, uid, gid) = (file.mode & 0o7777, file.uid, file.gid);
            format!("{path} may not be read by this user (mode {mode:04o}, owner {uid}:{gid})")
        }
        Err(ResolveError::Denied(at)) => format!("this user may not search {}", String::from_utf8_lossy(&at)),
        Err(_) => return None,
    };
    Some(Cause { kind: CauseKind::NotSearchable, text })
}

/// A blank at the start or the end of a name, which a quoted word keeps.
fn blank_at_an_end(path: &str) -> Option<&'static str> {
    match (path.starts_with([' ', '\t']), path.ends_with([' ', '\t'])) {
        (true, _) => Some("begins with a blank"),
        (false, true) => Some("ends with a blank"),
        (false, false) => None,
    }
}

/// Why a file could not be opened for execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenRefusal {
    /// `None` if it depends on an unknown user or on a file system that was not read.
    pub errno: Option<Errno>,
    pub cause: Cause,
}

impl OpenRefusal {
    pub(crate) fn new(errno: Errno, kind: CauseKind, text: String) -> OpenRefusal {
        OpenRefusal { errno: Some(errno), cause: Cause { kind, text } }
    }

    fn user_unknown(path: &str) -> OpenRefusal {
        let text = format!("whether {path} may be executed depends on a user whose uid the image does not give");
        OpenRefusal { errno: None, cause: Cause { kind: CauseKind::UserUnknown, text } }
    }

    fn of_walk(rootfs: &RootFs<FileKind>, error: &ResolveError, path: &str) -> OpenRefusal {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let Some((at, mount)) = hidden_by(rootfs, error) {
            let leads = if lossy(at) == path { String::new() } else { format!("{path} leads to {}: ", lossy(at)) };
            let text = format!("{leads}engines mount their own {mount}, which hides the image's files there");
            return OpenRefusal::new(Errno::ENOENT, CauseKind::MountedOver, text);
        }
        match error {
            ResolveError::Missing(_) if let Some(blank) = blank_at_an_end(path) => {
                let trimmed = path.trim();
                let there = if rootfs.resolve(trimmed).is_ok() { format!("; {trimmed} exists") } else { String::new() };
                let text = format!("{path:?} {blank}, which is part of the name, and no file has that name{there}");
                OpenRefusal::new(Errno::ENOENT, CauseKind::MissingFile, text)
            }
            ResolveError::Missing(at) if lossy(at) == path => {
                OpenRefusal::new(Errno::ENOENT, CauseKind::MissingFile, format!("{path} does not exist"))
            }
            ResolveError::Unread(mount) => {
                OpenRefusal { errno: None, cause: Cause { kind: CauseKind::NotRead, text: not_read(path, mount) } }
            }
            ResolveError::Missing(at) => OpenRefusal::new(
                Errno::ENOENT,
                CauseKind::MissingFile,
                format!("{path} leads to {}, which does not exist", lossy(at)),
            ),
            ResolveError::NotDirectory(at) => OpenRefusal::new(
                Errno::ENOTDIR,
                CauseKind::NotADirectory,
                format!("{} on the way to {path} is not a directory", lossy(at)),
            ),
            ResolveError::Loop => {
                OpenRefusal::new(Errno::ELOOP, CauseKind::SymlinkLoop, format!("{path} is a loop of symbolic links"))
            }
            ResolveError::NameTooLong => OpenRefusal::new(
                Errno::ENAMETOOLONG,
                CauseKind::NameTooLong,
                "the path is longer than the kernel accepts".to_string(),
            ),
            ResolveError::Denied(at) => OpenRefusal::new(
                Errno::EACCES,
                CauseKind::NotSearchable,
                format!("this user may not search {}", lossy(at)),
            ),
        }
    }
}

/// The text for a path below a file system that was not read.
pub(crate) fn not_read(path: &str, mount: &[u8]) -> String {
    format!("{path} is in the file system mounted at {}, which was not read", String::from_utf8_lossy(mount))
}

/// The image's file that a walk did not find, and the mount that hides it.
fn hidden_by<'e>(rootfs: &RootFs<FileKind>, error: &'e ResolveError) -> Option<(&'e [u8], &'static str)> {
    let ResolveError::Missing(at) = error else { return None };
    Some((at, mounts::over(at).filter(|_| rootfs.resolve(at).is_ok())?))
}

/// Returns the text of a configuration file of the image, if it was kept.
pub(crate) fn config(rootfs: &RootFs<FileKind>, path: &str) -> Option<String> {
    let view = rootfs.view(rootfs.resolve(path).ok()?);
    match view.fact {
        Some(FileKind::Config(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

/// Returns the number of a group: a name in the image's table, or the number itself.
pub(crate) fn gid(rootfs: &RootFs<FileKind>, group: &str) -> Option<u32> {
    let groups = AccountFile::read(rootfs, "/etc/group");
    let named = groups.entry(group).and_then(|row| row.get(2)?.parse().ok());
    named.or_else(|| group.parse().ok())
}

/// /etc/passwd or /etc/group, as far as it was kept.
enum AccountFile {
    /// The file is not in the image, so no name is defined.
    Absent,
    /// `is_whole`: every line was kept.
    Text { text: String, is_whole: bool },
    /// The path is a symlink to a file that was not kept.
    Unread,
}

impl AccountFile {
    fn read(rootfs: &RootFs<FileKind>, path: &str) -> AccountFile {
        let Ok(id) = rootfs.resolve(path) else { return AccountFile::Absent };
        match rootfs.view(id).fact {
            Some(FileKind::Config(bytes)) => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                AccountFile::Text { text, is_whole: bytes.len() < CONFIG_BYTES }
            }
            Some(FileKind::Empty) => AccountFile::Text { text: String::new(), is_whole: true },
            _ => AccountFile::Unread,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            AccountFile::Text { text, .. } => Some(text),
            AccountFile::Absent | AccountFile::Unread => None,
        }
    }

    /// Returns the first entry for a name, or for a number if `word` is one.
    fn entry(&self, word: &str) -> Option<Vec<&str>> {
        let number = word.parse::<i64>().ok();
        rows(self.text()?).find(|row| match number {
            Some(_) => row.get(2).and_then(|field| field.parse().ok()) == number,
            None => row.first() == Some(&word),
        })
    }

    /// Returns the id that a word without an entry denotes: the number itself. `None` if an entry may be in the part
    /// that was not kept.
    fn number(&self, what: &str, word: &str, file: &str) -> Result<Option<u32>, NoSuchUser> {
        match (word.parse::<i64>(), self) {
            (Ok(number), _) if (0..=MAX_ID).contains(&number) => Ok(u32::try_from(number).ok()),
            (Ok(_), _) => Err(NoSuchUser(format!("uids and gids must be in range 0-{MAX_ID}"))),
            (Err(_), AccountFile::Absent | AccountFile::Text { is_whole: true, .. }) => {
                Err(NoSuchUser(format!("unable to find {what} {word}: no matching entries in {file} file")))
            }
            (Err(_), AccountFile::Text { is_whole: false, .. } | AccountFile::Unread) => Ok(None),
        }
    }
}

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.is_empty()).map(|line| line.split(':').collect())
}

fn memberships(login: &str, groups: Option<&str>) -> Vec<u32> {
    let is_member =
        |row: &Vec<&str>| row.get(3).is_some_and(|members| members.split(',').any(|member| member == login));
    groups
        .map_or_else(Vec::new, |text| rows(text).filter(is_member).filter_map(|row| row.get(2)?.parse().ok()).collect())
}
