//! Writes programs that a test then executes, directly or through another program.
//!
//! A file that is open for writing cannot be executed (ETXTBSY), and a child that another thread forks in the meantime
//! holds all open files of this process until it executes its own program. So this process never opens such a file: a
//! forked child writes it and exits, because no other thread can inherit the child's files.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A file to write: its path, bytes and mode.
pub struct File<'b> {
    path: CString,
    bytes: &'b [u8],
    mode: libc::mode_t,
}

impl<'b> File<'b> {
    pub fn new(path: &Path, bytes: &'b [u8], mode: u32) -> File<'b> {
        let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL in a path");
        File { path, bytes, mode: mode as libc::mode_t }
    }
}

/// Writes an executable file.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    write_all(&[File::new(path, bytes.as_ref(), 0o755)]);
}

/// Copies an executable file.
pub fn copy(from: &Path, to: &Path) {
    write(to, std::fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())));
}

/// Writes files, and replaces existing ones. Their directories must exist.
pub fn write_all(files: &[File<'_>]) {
    if files.is_empty() {
        return;
    }
    // SAFETY: plain system calls on values that outlive them; the child calls nothing but async-signal-safe functions
    // before _exit, as fork in a threaded process demands.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "fork failed");
        if child == 0 {
            let failed = files.iter().position(|file| !write_one(file));
            libc::_exit(failed.map_or(0, |index| 1 + index.min(254) as i32));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child, "waitpid failed");
        let failed = (libc::WEXITSTATUS(status) as usize).checked_sub(1).map(|index| &files[index].path);
        assert!(status == 0, "{failed:?} was not written");
    }
}

/// # Safety
/// Must run in a forked child, or in a process that does not fork.
unsafe fn write_one(file: &File<'_>) -> bool {
    unsafe {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
        let descriptor = libc::open(file.path.as_ptr(), flags, 0o600);
        let mut rest = file.bytes;
        while descriptor >= 0 && !rest.is_empty() {
            match libc::write(descriptor, rest.as_ptr().cast(), rest.len()) {
                count if count > 0 => rest = &rest[count as usize..],
                _ => return false,
            }
        }
        descriptor >= 0 && libc::fchmod(descriptor, file.mode) == 0 && libc::close(descriptor) == 0
    }
}
