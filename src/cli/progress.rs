//! Progress bars on standard error: bytes and layers. None where that is no terminal, or --quiet.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Terminal;
use crate::scan::Watch;

/// Shows how far the reading is.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub fn new(terminal: &Terminal) -> Progress {
        let target =
            if terminal.progress { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{msg:.dim} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}");
        bar.set_style(style.expect("the template is a constant"));
        Progress { bar }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Progress {
    fn image(&self, name: &str) {
        self.bar.set_message(crate::report::escape::visible(name));
    }

    fn expect(&self, bytes: u64) {
        self.bar.inc_length(bytes);
    }

    fn read(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}
