//! A root file system in a folder: an unpacked image, a chroot, a mounted disk, or a running system's `/`. It is walked
//! by directory descriptors and no link is followed, so that nothing outside the folder is read, whatever changes
//! meanwhile. It never descends into file systems that hold no files, such as /proc and /sys.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, StatxAttributes, StatxFlags, fgetxattr, fstat, fstatvfs, openat,
    readlinkat, statat, statx,
};

use super::SourceError;
use crate::platform::FileCapabilities;

/// Whether file systems that are mounted below the root belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mounts {
    #[default]
    Followed,
    LeftOut,
}

/// One name in the tree.
#[derive(Clone, Copy, Debug)]
pub struct Met<'a> {
    /// Below the root, without a leading slash. At most [`PATH_LIMIT`] bytes.
    pub path: &'a [u8],
    pub kind: MetKind<'a>,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Bytes of a regular file; 0 for all else.
    pub size: u64,
    /// What `security.capability` says of a file that has it.
    pub capabilities: Option<FileCapabilities>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetKind<'a> {
    File,
    Directory,
    /// The target as written.
    Symlink(&'a [u8]),
    /// The path below the root at which the same file was met before.
    HardLink(&'a [u8]),
    Special,
}

/// What could not be read, and what was not meant to be.
#[derive(Debug, Default)]
pub struct Walked {
    pub unread: Vec<Unread>,
    /// Folders at which another file system begins, with files, that was left out because it is not the root's own.
    pub left_out: Vec<Vec<u8>>,
    /// Files on which another file is mounted, which was left out: `/etc/resolv.conf` of a container, or what a build step
    /// mounts into its root.
    pub covered: Vec<Vec<u8>>,
}

/// A file or folder that is there and could not be read.
#[derive(Debug)]
pub struct Unread {
    pub path: Vec<u8>,
    pub cause: io::Error,
}

/// Linux's PATH_MAX.
pub const PATH_LIMIT: usize = 4096;
const NO_FOLLOW: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Visits everything below `root`, each folder before what is in it, names in the order of their bytes. The reader gives
/// a regular file's content and nothing for all else. `visit` may break off.
pub fn walk(
    root: &Path,
    mounts: Mounts,
    visit: &mut dyn FnMut(&Met<'_>, &mut dyn Read) -> ControlFlow<()>,
) -> Result<Walked, SourceError> {
    let refuse = |cause: rustix::io::Errno| SourceError::File { path: root.to_path_buf(), cause: cause.into() };
    // The root itself may be a link: the user named it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(rustix::fs::CWD, root, flags, Mode::empty()).map_err(refuse)?;
    let device = fstat(&folder).map_err(refuse)?.st_dev;
    let mut walk = Walk { root: folder, mounts, first_paths: HashMap::new(), walked: Walked::default(), visit };
    let mut pending = vec![Pending { path: Vec::new(), device }];
    while let Some(next) = pending.pop() {
        if walk.folder(&next, &mut pending).is_break() {
            break;
        }
    }
    Ok(walk.walked)
}

struct Walk<'v> {
    root: OwnedFd,
    mounts: Mounts,
    /// Of files with several links: by device and inode, where they were met first.
    first_paths: HashMap<(u64, u64), Vec<u8>>,
    walked: Walked,
    visit: &'v mut dyn FnMut(&Met<'_>, &mut dyn Read) -> ControlFlow<()>,
}

/// A folder that is still to be walked.
struct Pending {
    path: Vec<u8>,
    /// Its own; differs from its parent's at a mount.
    device: u64,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Pending, pending: &mut Vec<Pending>) -> ControlFlow<()> {
        let (fd, names) = match self.list(&folder.path) {
            Ok(listed) => listed,
            Err(cause) => {
                self.unread(&folder.path, cause);
                return ControlFlow::Continue(());
            }
        };
        let below = pending.len();
        for name in names {
            let path = join(&folder.path, name.to_bytes());
            if path.len() > PATH_LIMIT {
                self.unread(&path, io::Error::from(rustix::io::Errno::NAMETOOLONG));
                continue;
            }
            let stat = match statat(&fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(cause) => {
                    self.unread(&path, cause.into());
                    continue;
                }
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::RegularFile && self.mounts == Mounts::LeftOut && is_mount(&fd, &name) {
                self.walked.covered.push(path);
                continue;
            }
            let is_folder = kind == FileType::Directory;
            self.entry(&fd, &name, &path, &stat)?;
            if is_folder && self.belongs(&fd, &name, &path, &stat, folder.device) {
                pending.push(Pending { path, device: stat.st_dev });
            }
        }
        // The last pushed is the next walked.
        pending[below..].reverse();
        ControlFlow::Continue(())
    }

    /// Opens component by component from the root: no link is followed on the way, and only one folder is open.
    fn list(&self, path: &[u8]) -> io::Result<(OwnedFd, Vec<CString>)> {
        let mut fd = self.root.try_clone()?;
        for component in path.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            fd = openat(&fd, component, NO_FOLLOW | OFlags::DIRECTORY, Mode::empty())?;
        }
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort_unstable();
        Ok((fd, names))
    }

    fn entry(&mut self, fd: &OwnedFd, name: &CStr, path: &[u8], stat: &Stat) -> ControlFlow<()> {
        let mut met = Met {
            path,
            kind: MetKind::Special,
            mode: (stat.st_mode & 0o7777) as u16,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: 0,
            capabilities: None,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => (self.visit)(&Met { kind: MetKind::Directory, ..met }, &mut io::empty()),
            FileType::Symlink => match readlinkat(fd, name, Vec::new()) {
                Ok(target) => {
                    let kind = MetKind::Symlink(target.to_bytes());
                    (self.visit)(&Met { kind, ..met }, &mut io::empty())
                }
                Err(cause) => {
                    self.unread(path, cause.into());
                    ControlFlow::Continue(())
                }
            },
            FileType::RegularFile => {
                if stat.st_nlink > 1 {
                    let id = (stat.st_dev, stat.st_ino);
                    if let Some(first) = self.first_paths.get(&id) {
                        return (self.visit)(&Met { kind: MetKind::HardLink(first), ..met }, &mut io::empty());
                    }
                    self.first_paths.insert(id, path.to_vec());
                }
                met.kind = MetKind::File;
                met.size = u64::try_from(stat.st_size).unwrap_or(0);
                self.file(fd, name, met)
            }
            _ => (self.visit)(&met, &mut io::empty()),
        }
    }

    /// A file that cannot be read is met without content, and is said to be unread.
    fn file(&mut self, fd: &OwnedFd, name: &CStr, mut met: Met<'_>) -> ControlFlow<()> {
        let opened = openat(fd, name, NO_FOLLOW, Mode::empty()).map_err(io::Error::from).and_then(|fd| {
            let file = File::from(fd);
            if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it was replaced meanwhile")) }
        });
        let (mut content, mut failed) = match opened {
            Ok(file) => {
                met.capabilities = capabilities(&file);
                (Content { file: Some(file.take(met.size)), failed: None }, None)
            }
            Err(cause) => (Content { file: None, failed: None }, Some(cause)),
        };
        let flow = (self.visit)(&met, &mut content);
        failed = failed.or(content.failed);
        if let Some(cause) = failed {
            self.unread(met.path, cause);
        }
        flow
    }

    /// Whether a folder's content is part of the tree: what is mounted may not be, and file systems without blocks,
    /// which df(1) leaves out too, have no files.
    fn belongs(&mut self, fd: &OwnedFd, name: &CStr, path: &[u8], stat: &Stat, device: u64) -> bool {
        if stat.st_dev == device {
            return true;
        }
        let opened = openat(fd, name, NO_FOLLOW | OFlags::DIRECTORY, Mode::empty());
        let has_blocks = opened.and_then(fstatvfs).is_ok_and(|system| system.f_blocks > 0);
        if has_blocks && self.mounts == Mounts::LeftOut && !KERNEL_PLACES.contains(&path) {
            self.walked.left_out.push(path.to_vec());
        }
        has_blocks && self.mounts == Mounts::Followed
    }

    fn unread(&mut self, path: &[u8], cause: io::Error) {
        self.walked.unread.push(Unread { path: path.to_vec(), cause });
    }
}

/// Where a running system and a build step mount what is not the root's: nothing of it is ever in an image.
const KERNEL_PLACES: [&[u8]; 3] = [b"proc", b"sys", b"dev"];

/// Whether something is mounted right here. Devices do not tell: a bind mount may be of the same file system, and files of
/// an overlay have other devices than its directories. Kernels before 5.8 do not say.
fn is_mount(fd: &OwnedFd, name: &CStr) -> bool {
    let found = statx(fd, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::empty());
    found.is_ok_and(|found| {
        let is_known = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        is_known && found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    })
}

/// The longest revision of the attribute, and a byte that tells a longer one.
const CAPABILITY_BYTES: usize = 25;

/// A file system that keeps no such attributes, or another user's file, has none to tell of.
fn capabilities(file: &File) -> Option<FileCapabilities> {
    let mut bytes = [0; CAPABILITY_BYTES];
    let length = fgetxattr(file, c"security.capability", &mut bytes).ok().filter(|length| *length > 0)?;
    Some(FileCapabilities::parse(&bytes[..length]))
}

/// A file's content; keeps the error that its reader met.
struct Content {
    file: Option<io::Take<File>>,
    failed: Option<io::Error>,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else { return Ok(0) };
        file.read(buffer).map_err(|cause| {
            let kind = cause.kind();
            self.failed = Some(cause);
            kind.into()
        })
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

#[cfg(test)]
#[path = "rootfs_dir_tests.rs"]
mod tests;
