//! Opens and reads files that others may have written. A read is bounded, nothing that is not a regular file can block
//! it, and a file that is too large is an error instead of a part of it. clippy.toml forbids the standard library's
//! functions elsewhere.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;

/// How long to wait until a program opens a named pipe for writing.
const WRITER_WAIT: Duration = Duration::from_secs(1);
const WRITER_POLL: Duration = Duration::from_millis(10);

/// The file system of pipes without a name. Source: include/uapi/linux/magic.h, PIPEFS_MAGIC.
const PIPEFS: u64 = 0x5049_5045;

/// The device number of /dev/null. Source: Documentation/admin-guide/devices.txt.
const NULL_DEVICE: (u32, u32) = (1, 3);

/// Opens a regular file. Anything else at `path` is an error of the kind [`ErrorKind::InvalidInput`], and a named pipe
/// does not block.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = open_without_waiting(path)?;
    match file.metadata()? {
        metadata if metadata.is_file() => Ok(file),
        metadata if metadata.is_dir() => Err(Errno::ISDIR.into()),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// Reads a regular file of at most `limit` bytes.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_to_limit(open_regular(path)?, limit)
}

/// Like [`read_regular`], for a file that must be UTF-8.
pub fn read_regular_text(path: &Path, limit: u64) -> io::Result<String> {
    utf8(read_regular(path, limit)?)
}

/// Reads the first bytes of a regular file, at most `limit`.
pub fn read_start(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file that the user named, to be read once: it may also be a device or a pipe, such as a shell's
/// `<(command)`. Fails if no program opens a named pipe for writing within a second.
pub fn open_named(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let mut file = open_without_waiting(path)?;
    let metadata = file.metadata()?;
    let mut first = Vec::new();
    if is_named_pipe(&file, &metadata)? {
        first = wait_for_writer(&mut file)?;
    }
    let flags = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(Box::new(io::Cursor::new(first).chain(file)))
}

/// Like [`open_named`], for a reader without a limit: a device that never ends is an error.
pub fn open_endless(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    let file = open_without_waiting(path)?;
    let metadata = file.metadata()?;
    let device = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
    if metadata.file_type().is_char_device() && device != NULL_DEVICE && !rustix::termios::isatty(&file) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is a device"));
    }
    open_named(path)
}

/// Reads a file that the user named, see [`open_named`]; at most `limit` bytes.
pub fn read_named(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_to_limit(open_named(path)?, limit)
}

/// Like [`read_named`], for a file that must be UTF-8.
pub fn read_named_text(path: &Path, limit: u64) -> io::Result<String> {
    utf8(read_named(path, limit)?)
}

/// Reads to the end. More than `limit` bytes are an error.
pub fn read_to_limit(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

fn utf8(bytes: Vec<u8>) -> io::Result<String> {
    let invalid = |_| io::Error::new(ErrorKind::InvalidData, "it is not valid UTF-8");
    String::from_utf8(bytes).map_err(invalid)
}

/// Opening a named pipe for reading would otherwise wait for a writer.
fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)
}

/// Whether this is a pipe that a writer may still open by its name.
fn is_named_pipe(file: &File, metadata: &Metadata) -> io::Result<bool> {
    Ok(metadata.file_type().is_fifo() && rustix::fs::fstatfs(file)?.f_type as u64 != PIPEFS)
}

/// Waits until a program has opened the pipe for writing. Returns the bytes that this took from it.
fn wait_for_writer(pipe: &mut File) -> io::Result<Vec<u8>> {
    let start = Instant::now();
    let mut first = [0];
    loop {
        match pipe.read(&mut first) {
            Ok(0) if start.elapsed() > WRITER_WAIT => {
                return Err(io::Error::new(ErrorKind::TimedOut, "no program writes to this named pipe"));
            }
            Ok(0) => std::thread::sleep(WRITER_POLL),
            Ok(_) => return Ok(first.to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Vec::new()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn pipe(directory: &Path) -> std::path::PathBuf {
        let path = directory.join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        path
    }

    #[test]
    fn a_pipe_without_a_writer_never_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let path = pipe(directory.path());
        assert_eq!(open_regular(&path).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(read_named(&path, 10).unwrap_err().to_string(), "no program writes to this named pipe");
    }

    #[test]
    fn a_pipe_is_read_from_its_first_byte_to_its_writers_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = pipe(directory.path());
        let writer = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut file = File::options().write(true).open(path).unwrap();
                file.write_all(b"first").unwrap();
                std::thread::sleep(3 * WRITER_POLL);
                file.write_all(b", second").unwrap();
            }
        });
        assert_eq!(read_named_text(&path, 100).unwrap(), "first, second");
        writer.join().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        writer.write_all(b"unnamed").unwrap();
        drop(writer);
        assert_eq!(read_named_text(Path::new(&path), 100).unwrap(), "unnamed");
    }

    #[test]
    fn more_than_the_limit_is_an_error_and_never_a_part() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_regular(&path, 5).unwrap(), b"12345");
        assert_eq!(read_start(&path, 4).unwrap(), b"1234");
        for read in [read_regular, read_named] {
            assert_eq!(read(&path, 4).unwrap_err().to_string(), "it is larger than 4 bytes");
        }
        assert_eq!(read_named(Path::new("/dev/zero"), 9).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(open_regular(directory.path()).unwrap_err().kind(), ErrorKind::IsADirectory);
    }

    #[test]
    fn a_device_is_not_a_stream_without_a_limit() {
        assert_eq!(open_endless(Path::new("/dev/zero")).err().unwrap().to_string(), "it is a device");
        assert!(open_endless(Path::new("/dev/null")).is_ok());
    }
}
