//! Reads a root file system in a directory: an unpacked image, a chroot, a mounted disk, or a running system's `/`. The
//! walk uses directory descriptors and follows no link, so it reads nothing outside the directory, even if the tree
//! changes. It does not enter file systems without files, such as /proc and /sys.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, StatxAttributes, StatxFlags, fgetxattr, fstat, fstatvfs, openat,
    readlinkat, statat, statx,
};

use super::SourceError;
use crate::platform::FileCapabilities;

/// Whether file systems mounted below the root are included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mounts {
    #[default]
    Followed,
    LeftOut,
}

/// One entry of the tree.
#[derive(Clone, Copy, Debug)]
pub struct WalkEntry<'a> {
    /// Relative to the root, without a leading slash. At most [`PATH_LIMIT`] bytes.
    pub path: &'a [u8],
    pub kind: WalkEntryKind<'a>,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Size in bytes of a regular file; 0 for every other kind.
    pub size: u64,
    /// The value of `security.capability`, if the file has one.
    pub capabilities: Option<FileCapabilities>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEntryKind<'a> {
    File,
    Directory,
    /// The target as stored.
    Symlink(&'a [u8]),
    /// The path, relative to the root, at which the same file was visited first.
    HardLink(&'a [u8]),
    Special,
}

/// The parts of the tree that were not read, by error or by choice.
#[derive(Debug, Default)]
pub struct Walked {
    pub unread: Vec<UnreadPath>,
    /// Mount points of other file systems with files, which were excluded because they are not the root's own.
    pub left_out: Vec<Vec<u8>>,
    /// Files excluded because another file is mounted over them: a container's `/etc/resolv.conf`, or what a build step
    /// mounts into its root.
    pub covered: Vec<Vec<u8>>,
}

/// An existing file or directory that could not be read.
#[derive(Debug)]
pub struct UnreadPath {
    pub path: Vec<u8>,
    pub cause: io::Error,
}

/// Linux's PATH_MAX.
pub const PATH_LIMIT: usize = 4096;
const NO_FOLLOW: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Visits everything below `root`, each directory before its entries, entries in byte order of their names. The reader
/// delivers a regular file's content, and nothing for every other kind. `visit` can stop the walk.
pub fn walk(
    root: &Path,
    mounts: Mounts,
    visit: &mut dyn FnMut(&WalkEntry<'_>, &mut dyn BufRead) -> ControlFlow<()>,
) -> Result<Walked, SourceError> {
    let refuse = |cause: rustix::io::Errno| SourceError::File { path: root.to_path_buf(), cause: cause.into() };
    // The root itself may be a link, because the user named it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(rustix::fs::CWD, root, flags, Mode::empty()).map_err(refuse)?;
    let device = fstat(&directory).map_err(refuse)?.st_dev;
    let mut walk =
        DirectoryWalk { root: directory, mounts, first_paths: HashMap::new(), walked: Walked::default(), visit };
    let mut pending = vec![PendingDirectory { path: Vec::new(), device }];
    while let Some(next) = pending.pop() {
        if walk.directory(&next, &mut pending).is_break() {
            break;
        }
    }
    Ok(walk.walked)
}

struct DirectoryWalk<'v> {
    root: OwnedFd,
    mounts: Mounts,
    /// The first path of each file with several links, by device and inode.
    first_paths: HashMap<(u64, u64), Vec<u8>>,
    walked: Walked,
    visit: &'v mut dyn FnMut(&WalkEntry<'_>, &mut dyn BufRead) -> ControlFlow<()>,
}

/// A directory that is not visited yet.
struct PendingDirectory {
    path: Vec<u8>,
    /// The device of this directory; it differs from its parent's at a mount point.
    device: u64,
}

impl DirectoryWalk<'_> {
    fn directory(&mut self, directory: &PendingDirectory, pending: &mut Vec<PendingDirectory>) -> ControlFlow<()> {
        let (fd, names) = match self.list(&directory.path) {
            Ok(listed) => listed,
            Err(cause) => {
                self.unread(&directory.path, cause);
                return ControlFlow::Continue(());
            }
        };
        let below = pending.len();
        for name in names {
            let path = join(&directory.path, name.to_bytes());
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
            let is_directory = kind == FileType::Directory;
            self.entry(&fd, &name, &path, &stat)?;
            if is_directory && self.belongs(&fd, &name, &path, &stat, directory.device) {
                pending.push(PendingDirectory { path, device: stat.st_dev });
            }
        }
        // The last one pushed is visited next.
        pending[below..].reverse();
        ControlFlow::Continue(())
    }

    /// Opens a directory component by component from the root: no link is followed, and only one directory is open at a
    /// time.
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
        let mut met = WalkEntry {
            path,
            kind: WalkEntryKind::Special,
            mode: (stat.st_mode & 0o7777) as u16,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: 0,
            capabilities: None,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => (self.visit)(&WalkEntry { kind: WalkEntryKind::Directory, ..met }, &mut io::empty()),
            FileType::Symlink => match readlinkat(fd, name, Vec::new()) {
                Ok(target) => {
                    let kind = WalkEntryKind::Symlink(target.to_bytes());
                    (self.visit)(&WalkEntry { kind, ..met }, &mut io::empty())
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
                        return (self.visit)(
                            &WalkEntry { kind: WalkEntryKind::HardLink(first), ..met },
                            &mut io::empty(),
                        );
                    }
                    self.first_paths.insert(id, path.to_vec());
                }
                met.kind = WalkEntryKind::File;
                met.size = u64::try_from(stat.st_size).unwrap_or(0);
                self.file(fd, name, met)
            }
            _ => (self.visit)(&met, &mut io::empty()),
        }
    }

    /// Visits a file. If it cannot be read, it is visited without content and recorded as unread.
    fn file(&mut self, fd: &OwnedFd, name: &CStr, mut met: WalkEntry<'_>) -> ControlFlow<()> {
        let opened = openat(fd, name, NO_FOLLOW, Mode::empty()).map_err(io::Error::from).and_then(|fd| {
            let file = File::from(fd);
            if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it was replaced during the walk")) }
        });
        let (mut content, mut failed) = match opened {
            Ok(file) => {
                met.capabilities = capabilities(&file);
                (FileBytes { file: Some(file.take(met.size)), failed: None }, None)
            }
            Err(cause) => (FileBytes { file: None, failed: None }, Some(cause)),
        };
        let flow = (self.visit)(&met, &mut io::BufReader::new(&mut content));
        failed = failed.or(content.failed);
        if let Some(cause) = failed {
            self.unread(met.path, cause);
        }
        flow
    }

    /// Whether a directory's content belongs to the tree. Mounted file systems may be excluded. File systems without
    /// blocks, which df(1) also omits, contain no files.
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
        self.walked.unread.push(UnreadPath { path: path.to_vec(), cause });
    }
}

/// Mount points of a running system or a build step; their content is never part of an image.
const KERNEL_PLACES: [&[u8]; 3] = [b"proc", b"sys", b"dev"];

/// Whether this file is a mount point. Devices do not show it: a bind mount may be of the same file system, and files
/// of an overlay have other devices than its directories. Kernels before 5.8 do not report it.
fn is_mount(fd: &OwnedFd, name: &CStr) -> bool {
    let found = statx(fd, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::empty());
    found.is_ok_and(|found| {
        let is_known = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        is_known && found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    })
}

/// The longest revision of the attribute, plus one byte to detect a longer one.
const CAPABILITY_BYTES: usize = 25;

/// `None` on a file system without such attributes, or for another user's file.
fn capabilities(file: &File) -> Option<FileCapabilities> {
    let mut bytes = [0; CAPABILITY_BYTES];
    let length = fgetxattr(file, c"security.capability", &mut bytes).ok().filter(|length| *length > 0)?;
    Some(FileCapabilities::parse(&bytes[..length]))
}

/// A file's content; stores the error that its reader met.
struct FileBytes {
    file: Option<io::Take<File>>,
    failed: Option<io::Error>,
}

impl Read for FileBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else { return Ok(0) };
        file.read(buffer).map_err(|cause| {
            let kind = cause.kind();
            self.failed = Some(cause);
            kind.into()
        })
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

#[cfg(test)]
#[path = "rootfs_dir_tests.rs"]
mod tests;
