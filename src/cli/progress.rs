//! Progress on stderr: a bar with bytes, layers and images, or a line every 10 seconds if stderr is not a terminal.
//! With --quiet, nothing is written.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::write_message;
use super::{Terminal, interrupt};
use crate::scan::Watch;

/// Shows the progress of a run.
pub struct Progress {
    bar: ProgressBar,
    layers: AtomicUsize,
    layers_read: AtomicUsize,
    images: AtomicUsize,
    images_opened: AtomicUsize,
    images_done: AtomicUsize,
    started: Instant,
    /// When judging began, that is, when the last image was opened. The rate is computed from this time.
    judging: OnceLock<Instant>,
    is_finished: AtomicBool,
    is_narrow: bool,
    /// If lines are written instead of a bar, the number of intervals that have been reported.
    lines: Option<AtomicU64>,
}

/// Below this many columns, layers are not shown next to images.
const NARROW: usize = 60;

/// The time between two lines if there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    /// If lines are written, starts a thread for them, so that they appear even while a server does not respond.
    pub fn new(terminal: &Terminal) -> Arc<Progress> {
        let progress = Arc::new(Progress::unwatched(terminal));
        let weak = Arc::downgrade(&progress);
        interrupt::report_progress(move || weak.upgrade()?.state());
        if progress.lines.is_some() {
            let weak = Arc::downgrade(&progress);
            // Without a thread there are no lines.
            let _ = std::thread::Builder::new().name("progress".to_string()).spawn(move || tick_on(&weak));
        }
        progress
    }

    fn unwatched(terminal: &Terminal) -> Progress {
        let target =
            if terminal.progress { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let is_narrow = terminal.width < NARROW;
        let style = style(match is_narrow {
            true => "{bar:8} {bytes}/{total_bytes}, {eta} left  {wide_msg:.dim}",
            false => "{bar:24} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left{prefix}  {wide_msg:.dim}",
        });
        bar.set_style(if terminal.is_utf8 { style } else { style.progress_chars("=>-") });
        Progress {
            bar,
            layers: AtomicUsize::new(0),
            layers_read: AtomicUsize::new(0),
            images: AtomicUsize::new(0),
            images_opened: AtomicUsize::new(0),
            images_done: AtomicUsize::new(0),
            started: Instant::now(),
            judging: OnceLock::new(),
            is_finished: AtomicBool::new(false),
            is_narrow,
            lines: (!terminal.progress && !terminal.quiet).then(AtomicU64::default),
        }
    }

    fn update_prefix(&self) {
        let (read, all) = (self.layers_read.load(Ordering::Relaxed), self.layers.load(Ordering::Relaxed));
        match self.images_text() {
            None => self.bar.set_prefix(format!(", {read}/{all} layers")),
            Some(text) if self.is_narrow || all == 0 => self.bar.set_prefix(text),
            Some(text) => self.bar.set_prefix(format!("{text}, {read}/{all} layers")),
        }
    }

    /// The progress by images, if there is more than one.
    fn images_text(&self) -> Option<String> {
        let images = self.images.load(Ordering::Relaxed);
        let (opened, done) = (self.images_opened.load(Ordering::Relaxed), self.images_done.load(Ordering::Relaxed));
        (images > 1).then(|| match self.judging.get() {
            None => images_text(opened, images, "images opened", self.started.elapsed()),
            Some(since) => images_text(done, images, "images", since.elapsed()),
        })
    }

    /// Writes a line if [`LINE_EVERY`] has passed since the last one.
    fn tick(&self) {
        let Some(lines) = &self.lines else { return };
        let (due, written) = (self.started.elapsed().as_secs() / LINE_EVERY.as_secs(), lines.load(Ordering::Relaxed));
        if due > written {
            lines.store(due, Ordering::Relaxed);
            write_message(&format!("note: {}\n", self.state().as_deref().unwrap_or("opening images")));
        }
    }

    /// The progress by images or layers. `None` before the first image is open, and after the run.
    fn state(&self) -> Option<String> {
        let is_reading = self.layers.load(Ordering::Relaxed) > 0 && !self.is_finished.load(Ordering::Relaxed);
        self.images_text().or_else(|| is_reading.then(|| self.text()))
    }

    /// The progress by layers and bytes, as text.
    pub fn text(&self) -> String {
        let (read, all) = (self.layers_read.load(Ordering::Relaxed), self.layers.load(Ordering::Relaxed));
        let (bytes, of) = (self.bar.position(), self.bar.length().unwrap_or(0));
        format!("read {read} of {all} layers ({bytes} of {of} bytes)")
    }

    pub fn finish(&self) {
        self.is_finished.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants")
}

/// Writes progress lines until the run ends.
fn tick_on(progress: &Weak<Progress>) {
    const LOOK_EVERY: Duration = Duration::from_millis(500);
    while let Some(progress) = progress.upgrade().filter(|one| !one.is_finished.load(Ordering::Relaxed)) {
        progress.tick();
        drop(progress);
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Formats the progress by images, as in `120/2000 images, 12.0/s, 2 min 37 s left`.
fn images_text(done: usize, images: usize, what: &str, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let mut text = format!("{done}/{images} {what}");
    if done == 0 || seconds < 1.0 {
        return text;
    }
    let rate = done as f64 / seconds;
    text += &format!(", {rate:.1}/s");
    let left = (images.saturating_sub(done) as f64 / rate).round() as u64;
    match (left / 60, left % 60) {
        (0, 0) => {}
        (0, seconds) => text += &format!(", {seconds} s left"),
        (minutes, seconds) => text += &format!(", {minutes} min {seconds} s left"),
    }
    text
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

    fn expect_layers(&self, layers: usize) {
        self.layers.fetch_add(layers, Ordering::Relaxed);
        self.update_prefix();
    }

    fn layer(&self) {
        self.layers_read.fetch_add(1, Ordering::Relaxed);
        self.update_prefix();
    }

    fn expect_images(&self, images: usize) {
        let before = self.images.fetch_add(images, Ordering::Relaxed);
        if before + images > 1 {
            // Byte counts are known only for images that are open.
            self.bar.set_style(style("{prefix}  {wide_msg:.dim}"));
        }
        self.update_prefix();
    }

    fn image_opened(&self) {
        let opened = self.images_opened.fetch_add(1, Ordering::Relaxed) + 1;
        if opened == self.images.load(Ordering::Relaxed) {
            let _ = self.judging.set(Instant::now());
        }
        self.update_prefix();
    }

    fn image_done(&self) {
        self.images_done.fetch_add(1, Ordering::Relaxed);
        self.update_prefix();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_opened_before_they_have_a_rate() {
        let terminal = Terminal { width: 80, color: false, progress: false, is_utf8: true, quiet: true };
        let progress = Progress::new(&terminal);
        assert_eq!((progress.images_text(), progress.state()), (None, None));
        progress.expect_images(3);
        progress.image_opened();
        assert_eq!(progress.state().as_deref(), Some("1/3 images opened"));
        progress.image_opened();
        progress.image_opened();
        assert_eq!(progress.images_text().as_deref(), Some("0/3 images"));
        progress.image_done();
        assert_eq!(progress.images_text().as_deref(), Some("1/3 images"));
    }

    #[test]
    fn images_have_a_rate_and_a_time_left() {
        let text = |done, seconds| images_text(done, 2000, "images", Duration::from_secs(seconds));
        assert_eq!(text(0, 30), "0/2000 images");
        assert_eq!(text(3, 0), "3/2000 images");
        assert_eq!(text(120, 10), "120/2000 images, 12.0/s, 2 min 37 s left");
        assert_eq!(text(1990, 100), "1990/2000 images, 19.9/s, 1 s left");
        assert_eq!(text(2000, 100), "2000/2000 images, 20.0/s");
    }
}
