//! The state of a file that contains a blob. It identifies unchanged content as long as the file is not written to. It
//! proves nothing about the bytes; a caller that verified them may remember it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

/// A position in a local file and the time of the file's last change. Equal stamps mean equal bytes: every write to a
/// file updates its change time, and no program can set that back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds, as are those of `modified`.
    changed: (i64, i64),
    modified: (i64, i64),
    length: u64,
    /// Offset of the blob in the file.
    offset: u64,
}

impl Stamp {
    pub(crate) fn from_file(file: &File, offset: u64) -> io::Result<Stamp> {
        let metadata = file.metadata()?;
        Ok(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            length: metadata.len(),
            offset,
        })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stamp { device, inode, changed, modified, length, offset } = self;
        write!(f, "{device}:{inode} {}.{} {}.{} {length} {offset}", changed.0, changed.1, modified.0, modified.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_changes_the_stamp_even_if_the_modification_time_is_reset() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blob");
        std::fs::write(&path, "one").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let (first, time) = (Stamp::from_file(&file, 0).unwrap(), file.metadata().unwrap().modified().unwrap());
        assert_eq!(Stamp::from_file(&File::open(&path).unwrap(), 0).unwrap(), first);
        assert_ne!(Stamp::from_file(&file, 512).unwrap(), first);
        // A file system's clock may be as coarse as 10 ms.
        std::thread::sleep(std::time::Duration::from_millis(30));
        std::fs::write(&path, "two").unwrap();
        file.set_modified(time).unwrap();
        assert_ne!(Stamp::from_file(&file, 0).unwrap(), first);
    }
}
