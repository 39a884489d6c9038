//! Ctrl-C and SIGTERM: what this process has put aside is removed, and then it ends as the signal ends a program. Whatever
//! was in work is not worth finishing, a rebuild apart: that one is asked to end between two steps, and to say what it
//! leaves in a registry.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, RwLock, RwLockReadGuard};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::TempDir;

use super::terminal::tell;

/// Folders that would be left behind.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Signals that a run answers itself: one, once it has asked for that.
static ANSWERED: AtomicUsize = AtomicUsize::new(0);

/// From here on the first signal only sets `interrupted`, for the run to end between two steps; a second one ends it.
pub fn ask_first(interrupted: &Arc<AtomicBool>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // Set as the signal comes, not when a thread is told of it: the next step asks at once.
        signal_hook::flag::register(signal, Arc::clone(interrupted))?;
    }
    ANSWERED.store(1, Ordering::SeqCst);
    Ok(())
}

/// Whether the run answers this signal itself.
fn is_answered() -> bool {
    ANSWERED.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// Held by those who have a file half written.
static WRITING: RwLock<()> = RwLock::new(());

/// While this is held, a signal waits: for as long as a file takes to be put in place.
pub fn writing() -> RwLockReadGuard<'static, ()> {
    WRITING.read().unwrap_or_else(PoisonError::into_inner)
}

/// From now on a signal leaves nothing behind. Where it cannot be so, it is as if this were not there.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if is_answered() {
                    continue;
                }
                say_so();
                leave_nothing(|| {
                    let _ = emulate_default_handler(signal);
                });
            }
        });
    });
}

/// Says that the run was interrupted. A reader of standard error that has stopped does not keep the process alive.
fn say_so() {
    let (said, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tell("error: interrupted\n");
        // The process may be gone.
        let _ = said.send(());
    });
    let _ = heard.recv_timeout(std::time::Duration::from_millis(200));
}

/// Ends the process as a signal does, with this exit code.
#[expect(clippy::disallowed_methods, reason = "ends the process as a signal does")]
pub fn end(code: i32) -> ! {
    leave_nothing(|| std::process::exit(code));
    unreachable!("the process has ended")
}

fn leave_nothing(end: impl FnOnce()) {
    crate::source::end_commands();
    for folder in folders().drain(..) {
        // It is gone already, or cannot be removed.
        let _ = std::fs::remove_dir_all(folder);
    }
    // Files that are being written are put in place first, and no other is begun.
    let _held = (WRITING.write(), crate::cache::hold_writes());
    end();
}

/// A temporary folder that a signal removes too.
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    pub fn new() -> std::io::Result<Folder> {
        let folder = tempfile::tempdir()?;
        folders().push(folder.path().to_path_buf());
        Ok(Folder { folder })
    }

    pub fn path(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        folders().retain(|path| path != self.folder.path());
    }
}

fn folders() -> MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}
