//! Writes files atomically: to a temporary file in the same directory, which is then renamed. If the disk is full or
//! the process is killed, the old file stays.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Permissions of a new file, before the umask applies.
const NEW_FILE: u32 = 0o666;

/// Replaces the contents of the file at `path` and keeps its permissions and owner, or creates it. A symbolic link stays
/// and its target is replaced. A file that is not regular (`/dev/stdout`, a FIFO) is written to directly.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _writing = super::interrupt::writing();
    let (path, metadata) = match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return fs::File::options().write(true).open(path)?.write_all(bytes),
        Ok(metadata) => (fs::canonicalize(path)?, Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (missing_target(path), None),
        Err(error) => return Err(error),
    };
    let file = temporary(&path, bytes)?;
    if let Some(metadata) = metadata {
        let own = file.as_file().metadata()?;
        let (owner, group) = (metadata.uid(), metadata.gid());
        // Who may not give a file away writes into it: its owner counts more than a rename.
        if (own.uid(), own.gid()) != (owner, group) && fchown(file.as_file(), Some(owner), Some(group)).is_err() {
            return fs::File::options().write(true).truncate(true).open(&path)?.write_all(bytes);
        }
        file.as_file().set_permissions(metadata.permissions())?;
    }
    file.persist(&path).map(drop).map_err(|error| error.error)
}

/// Creates the file at `path`. Fails if it already exists.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _writing = super::interrupt::writing();
    temporary(path, bytes)?.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

/// Returns the target of a dangling symbolic link, so that the link stays, or else the path itself.
fn missing_target(path: &Path) -> PathBuf {
    match fs::read_link(path) {
        Ok(target) => path.parent().unwrap_or(Path::new("")).join(target),
        Err(_) => path.to_path_buf(),
    }
}

fn temporary(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    let mut file = builder.prefix(".imgarch-").permissions(Permissions::from_mode(NEW_FILE)).tempfile_in(directory)?;
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_file_keeps_its_permissions_and_the_link_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o751)).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o751);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(directory.path()), ["file", "link"]);
    }

    #[test]
    fn a_replaced_file_keeps_its_owner_and_group() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "old").unwrap();
        // Only root can give a file away; for anyone else the owner is their own.
        let given = std::os::unix::fs::chown(&file, Some(1234), Some(4321)).is_ok();
        let before = fs::metadata(&file).unwrap();
        assert!(!given || (before.uid(), before.gid()) == (1234, 4321));
        replace(&file, b"new").unwrap();
        let after = fs::metadata(&file).unwrap();
        assert_eq!((after.uid(), after.gid(), fs::read(&file).unwrap()), (before.uid(), before.gid(), b"new".to_vec()));
    }

    #[test]
    fn the_target_of_a_dangling_link_is_created() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "old").unwrap();
        assert!(create(&file, b"new").is_err());
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["file"]);
        assert!(replace(&directory.path().join("missing/file"), b"new").is_err());
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        replace(Path::new("/dev/null"), b"new").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
