//! Limits how slow a body may be. No link for pulling images is slower, and per-read timeouts do not detect a server
//! that sends one byte just in time.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use reqwest::blocking::Response;

/// Bytes per second below which a connection counts as broken.
const LEAST_PACE: u64 = 1 << 10;

/// Bytes that arrived in the current window, and the time that the reader waited for them.
#[derive(Default)]
pub(super) struct Pace {
    bytes: u64,
    waited: Duration,
}

/// A document's body; reading fails if it is too slow.
pub(super) struct Paced<'a> {
    response: &'a mut Response,
    window: Duration,
    pace: Pace,
}

impl Pace {
    /// Only waiting time counts: the reader may be slower than any link.
    pub(super) fn is_too_slow(&mut self, bytes: usize, waited: Duration, window: Duration) -> bool {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.waited < window {
            return false;
        }
        let least = (LEAST_PACE as f64 * self.waited.as_secs_f64()) as u64;
        let is_too_slow = self.bytes < least;
        *self = Pace::default();
        is_too_slow
    }
}

/// The error text for a body that is too slow.
pub(super) fn too_slow() -> String {
    format!("less than {LEAST_PACE} bytes per second")
}

impl<'a> Paced<'a> {
    /// The pace is measured in each `window`.
    pub(super) fn new(response: &'a mut Response, window: Duration) -> Paced<'a> {
        Paced { response, window, pace: Pace::default() }
    }
}

impl Read for Paced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let started = Instant::now();
        let count = self.response.read(buffer)?;
        if count > 0 && self.pace.is_too_slow(count, started.elapsed(), self.window) {
            return Err(io::Error::other(too_slow()));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_makes_a_pace_slow() {
        let (second, mut pace) = (Duration::from_secs(1), Pace::default());
        assert!(!pace.is_too_slow(10, Duration::from_millis(900), second));
        assert!(pace.is_too_slow(10, Duration::from_millis(200), second));
        assert!(!pace.is_too_slow(10, Duration::from_millis(900), second));
        assert!(!pace.is_too_slow(2000, Duration::from_millis(200), second));
    }
}
