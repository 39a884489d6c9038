//! Handles SIGINT and SIGTERM: removes temporary directories, then ends the process with the signal's default action.
//! Unfinished work is dropped, except in a rebuild: it stops between two steps and reports what it leaves in a
//! registry.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, RwLock, RwLockReadGuard};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::TempDir;

use super::terminal::write_message;

/// Temporary directories to remove.
static DIRECTORIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Returns how far the run is.
type ProgressText = Box<dyn Fn() -> Option<String> + Send>;

static PROGRESS: Mutex<Option<ProgressText>> = Mutex::new(None);

/// Makes the message of an interruption say how far the run was. `text` must not block.
pub fn report_progress(text: impl Fn() -> Option<String> + Send + 'static) {
    *PROGRESS.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(text));
}

/// How many more signals the run handles itself: one after [`handle_first`], otherwise none.
static LEFT_TO_RUN: AtomicUsize = AtomicUsize::new(0);

/// Makes the next signal only set `interrupted`, so that the run can stop between two steps. A second signal ends it.
pub fn handle_first(interrupted: &Arc<AtomicBool>) -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // Set by the signal handler itself and not by the thread in `watch`, so that the next step sees it at once.
        signal_hook::flag::register(signal, Arc::clone(interrupted))?;
    }
    LEFT_TO_RUN.store(1, Ordering::SeqCst);
    Ok(())
}

/// Returns whether the run handles this signal itself.
fn is_handled_by_run() -> bool {
    LEFT_TO_RUN.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// Held for reading while a file is being written.
static WRITING: RwLock<()> = RwLock::new(());

/// Delays signals until the guard is dropped. Held only while a file is written and renamed.
pub fn writing() -> RwLockReadGuard<'static, ()> {
    WRITING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread that cleans up on a signal. Does nothing if the signals cannot be handled.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if is_handled_by_run() {
                    continue;
                }
                report_interrupted();
                clean_up_and(|| {
                    let _ = emulate_default_handler(signal);
                });
            }
        });
    });
}

/// Reports that the run was interrupted. Waits at most 200 ms, so a blocked stderr does not keep the process alive.
fn report_interrupted() {
    let (written, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let progress = PROGRESS.lock().unwrap_or_else(PoisonError::into_inner);
        let text = progress.as_ref().and_then(|text| text());
        write_message(&text.map_or("error: interrupted\n".to_string(), |text| format!("error: interrupted: {text}\n")));
        // The process may be gone.
        let _ = written.send(());
    });
    let _ = wait.recv_timeout(std::time::Duration::from_millis(200));
}

/// Cleans up as on a signal, then ends the process with this exit code.
#[expect(clippy::disallowed_methods, reason = "ends the process as a signal does")]
pub fn end(code: i32) -> ! {
    clean_up_and(|| std::process::exit(code));
    unreachable!("the process has ended")
}

fn clean_up_and(end: impl FnOnce()) {
    crate::source::end_commands();
    for directory in directories().drain(..) {
        // It is gone already, or cannot be removed.
        let _ = std::fs::remove_dir_all(directory);
    }
    // Waits for the files that are being written, and blocks new writes.
    let _held = (WRITING.write(), crate::cache::hold_writes());
    end();
}

/// A temporary directory that is removed on drop and on a signal.
pub struct TemporaryDirectory {
    directory: TempDir,
}

impl TemporaryDirectory {
    pub fn new() -> std::io::Result<TemporaryDirectory> {
        let directory = tempfile::tempdir()?;
        directories().push(directory.path().to_path_buf());
        Ok(TemporaryDirectory { directory })
    }

    pub fn path(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        directories().retain(|path| path != self.directory.path());
    }
}

fn directories() -> MutexGuard<'static, Vec<PathBuf>> {
    DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner)
}
