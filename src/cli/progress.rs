//! Progress bars on standard error: bytes and layers. None where that is no terminal, or --quiet.

use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Terminal;
use crate::scan::Watch;

/// Shows how far the reading is.
pub struct Progress {
    bar: ProgressBar,
    layers: AtomicUsize,
    layers_read: AtomicUsize,
    images: AtomicUsize,
    images_done: AtomicUsize,
}

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
        }
    }

    fn tell_layers(&self) {
        let (read, all) = (self.layers_read.load(Ordering::Relaxed), self.layers.load(Ordering::Relaxed));
        let (done, images) = (self.images_done.load(Ordering::Relaxed), self.images.load(Ordering::Relaxed));
        let of_images = if images > 1 { format!(", {done}/{images} images") } else { String::new() };
        self.bar.set_prefix(format!(", {read}/{all} layers{of_images}"));
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
    }
}
