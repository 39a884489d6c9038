//! Ends a run at its deadline. Reading stops there and the report lists what is missing. If a server or another program
//! blocks the run beyond that, the process ends without a report.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::interrupt;
use super::progress::Progress;
use super::terminal::write_message;
use crate::scan::Deadline;

/// Time to judge and report what was read.
const GRACE: Duration = Duration::from_secs(5);
/// The exit code for an unknown verdict.
const EXIT_CODE: i32 = 3;

/// Returns the deadline of this process, `seconds` after the first call. If the process has to be ended, `progress`
/// supplies how much was read.
pub fn begin(seconds: u64, progress: &Arc<Progress>) -> Option<Deadline> {
    static BEGUN: OnceLock<Option<Deadline>> = OnceLock::new();
    *BEGUN.get_or_init(|| {
        let deadline = Deadline::after(Instant::now(), seconds)?;
        let progress = Arc::clone(progress);
        std::thread::spawn(move || {
            std::thread::sleep(deadline.left().saturating_add(GRACE));
            progress.finish();
            write_message(&format!(
                "error: the run exceeded its deadline of {seconds} s: {}\nhint: {}\n",
                progress.text(),
                crate::image::EXTEND_DEADLINE
            ));
            interrupt::end(EXIT_CODE);
        });
        Some(deadline)
    })
}
