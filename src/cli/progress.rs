//! Progress on stderr: a bar with bytes, layers and images, or a line now and then where stderr is not a terminal. Nothing
//! with --quiet.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Terminal;
use super::terminal::tell;
use crate::scan::Watch;

/// Shows how far the reading is.
pub struct Progress {
    bar: ProgressBar,
    layers: AtomicUsize,
    layers_read: AtomicUsize,
    images: AtomicUsize,
    images_done: AtomicUsize,
    started: Instant,
    /// Lines are written instead of a bar; how many were.
    lines: Option<AtomicU64>,
}

/// Between two lines where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Progress {
    pub fn new(terminal: &Terminal) -> Progress {
        let target =
            if terminal.progress { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style =
            ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes} {bytes_per_sec}{prefix}  {wide_msg:.dim}");
        bar.set_style(style.expect("the template is a constant"));
        Progress {
            bar,
            layers: AtomicUsize::new(0),
            layers_read: AtomicUsize::new(0),
            images: AtomicUsize::new(0),
            images_done: AtomicUsize::new(0),
            started: Instant::now(),
            lines: (!terminal.progress && !terminal.quiet).then(AtomicU64::default),
        }
    }

    fn tell_layers(&self) {
        let (read, all) = (self.layers_read.load(Ordering::Relaxed), self.layers.load(Ordering::Relaxed));
        let (done, images) = (self.images_done.load(Ordering::Relaxed), self.images.load(Ordering::Relaxed));
        let of_images = match images {
            0 | 1 => String::new(),
            _ => format!(", {}", images_text(done, images, self.started.elapsed())),
        };
        self.bar.set_prefix(format!(", {read}/{all} layers{of_images}"));
    }

    /// Writes a line if the last one is long enough ago.
    fn tick(&self) {
        let Some(lines) = &self.lines else { return };
        let elapsed = self.started.elapsed();
        let (due, told) = (elapsed.as_secs() / LINE_EVERY.as_secs(), lines.load(Ordering::Relaxed));
        let is_ours = due > told && lines.compare_exchange(told, due, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !is_ours {
            return;
        }
        let (done, images) = (self.images_done.load(Ordering::Relaxed), self.images.load(Ordering::Relaxed));
        match images {
            0 | 1 => tell(&format!("note: {}\n", self.text())),
            _ => tell(&format!("note: {}\n", images_text(done, images, elapsed))),
        }
    }

    /// How far the reading is, in words.
    pub fn text(&self) -> String {
        let (read, all) = (self.layers_read.load(Ordering::Relaxed), self.layers.load(Ordering::Relaxed));
        let (bytes, of) = (self.bar.position(), self.bar.length().unwrap_or(0));
        format!("{read} of {all} layers ({bytes} of {of} bytes) were read")
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// `120/2000 images, 12.0/s, 2 min 37 s left`.
fn images_text(done: usize, images: usize, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let mut text = format!("{done}/{images} images");
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
        self.tick();
    }

    fn expect_layers(&self, layers: usize) {
        self.layers.fetch_add(layers, Ordering::Relaxed);
        self.tell_layers();
    }

    fn layer(&self) {
        self.layers_read.fetch_add(1, Ordering::Relaxed);
        self.tell_layers();
    }

    fn expect_images(&self, images: usize) {
        self.images.fetch_add(images, Ordering::Relaxed);
        self.tell_layers();
    }

    fn image_done(&self) {
        self.images_done.fetch_add(1, Ordering::Relaxed);
        self.tell_layers();
        self.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_a_rate_and_a_time_left() {
        let text = |done, seconds| images_text(done, 2000, Duration::from_secs(seconds));
        assert_eq!(text(0, 30), "0/2000 images");
        assert_eq!(text(3, 0), "3/2000 images");
        assert_eq!(text(120, 10), "120/2000 images, 12.0/s, 2 min 37 s left");
        assert_eq!(text(1990, 100), "1990/2000 images, 19.9/s, 1 s left");
        assert_eq!(text(2000, 100), "2000/2000 images, 20.0/s");
    }
}
