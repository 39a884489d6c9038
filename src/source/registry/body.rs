//! A blob as a stream that survives broken connections: after an interruption, the rest is requested again. It ends
//! after the number of bytes in the descriptor, or with an error. Its content is not verified here.

use std::io::{self, Read};
use std::time::Instant;

use reqwest::StatusCode;
use reqwest::blocking::Response;

use super::gate::Permit;
use super::http::HttpAnswer;
use super::pace::{self, Pace};
use super::{Registry, malformed_blob};
use crate::oci::Descriptor;
use crate::source::SourceError;

/// Bytes that a connection must deliver for its interruption not to count: otherwise a server that sends one byte per
/// connection could block a scan forever.
const PROGRESS: u64 = 64 << 10;
/// Buffer size for skipping the start of a body that was resumed from its beginning.
const SKIP_PIECE: usize = 64 << 10;

pub(super) struct BlobBody {
    registry: Registry,
    descriptor: Descriptor,
    response: Option<Response>,
    /// The name of the server that was connected last.
    server: String,
    /// Bytes returned to the reader.
    position: u64,
    /// Bytes that the connection repeats because the server does not support ranges.
    skip: u64,
    pace: Pace,
    /// Interruptions since the last progress, and the position of the last one.
    breaks: u32,
    broke_at: u64,
    _permit: Permit,
}

impl BlobBody {
    /// Opens the first connection, so that missing or forbidden content is reported at once.
    pub(super) fn open(registry: Registry, descriptor: Descriptor, permit: Permit) -> Result<BlobBody, SourceError> {
        let (server, pace) = (registry.place(), Pace::default());
        let mut body = BlobBody {
            registry,
            descriptor,
            response: None,
            server,
            position: 0,
            skip: 0,
            pace,
            breaks: 0,
            broke_at: 0,
            _permit: permit,
        };
        body.connect()?;
        Ok(body)
    }

    fn connect(&mut self) -> Result<(), SourceError> {
        let (answer, server) = self.registry.fetch(&self.descriptor, self.position)?;
        self.skip = if answer.status() == StatusCode::PARTIAL_CONTENT { 0 } else { self.position };
        self.pace = Pace::default();
        self.server = server;
        self.response = Some(answer.response);
        Ok(())
    }

    /// Records an interruption. Fails after too many of them.
    fn break_off(&mut self, cause: String) -> io::Result<()> {
        self.response = None;
        if self.position - self.broke_at >= PROGRESS {
            self.breaks = 0;
        }
        self.broke_at = self.position;
        let (patience, size) = (&self.registry.client.patience, self.descriptor.size);
        if self.breaks >= patience.policy.retries {
            let digest = self.descriptor.digest.short();
            let cause = format!("{digest} was interrupted after {} of {size} bytes: {cause}", self.position);
            return Err(failed(SourceError::Unreachable { place: self.server.clone(), cause }));
        }
        tracing::debug!(digest = %self.descriptor.digest, at = self.position, cause, "a body was interrupted");
        patience.pause(self.breaks + 1, patience.policy.wait(self.breaks));
        self.breaks += 1;
        Ok(())
    }

    /// Called after the last byte: checks that the server sends no more.
    fn end(&mut self) -> io::Result<usize> {
        let Some(mut response) = self.response.take() else { return Ok(0) };
        match response.read(&mut [0; 1]) {
            // The content is complete, so later errors of the connection do not matter.
            Ok(0) | Err(_) => Ok(0),
            Ok(_) => {
                let cause = format!("it is longer than the {} bytes of its descriptor", self.descriptor.size);
                Err(failed(malformed_blob(&self.descriptor, &self.server, cause)))
            }
        }
    }

    /// Reads once from the connection: into `buffer`, or into nothing while bytes are skipped.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let Some(response) = &mut self.response else { return Ok(Received::Lost("no connection".to_string())) };
        let started = Instant::now();
        let read = match usize::try_from(self.skip) {
            Ok(0) => response.read(buffer),
            skip => response.read(&mut [0; SKIP_PIECE][..skip.unwrap_or(SKIP_PIECE).min(SKIP_PIECE)]),
        };
        let window = self.registry.client.patience.http.timeout();
        match read {
            Ok(0) => Ok(Received::Lost("the connection ended".to_string())),
            Ok(count) if self.pace.is_too_slow(count, started.elapsed(), window) => {
                Ok(Received::Lost(pace::too_slow()))
            }
            Ok(count) if self.skip > 0 => {
                self.skip -= count as u64;
                Ok(Received::Skipped)
            }
            Ok(count) => Ok(Received::Bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Ok(Received::Lost(super::fault::text(&error))),
        }
    }
}

enum Received {
    Bytes(usize),
    Skipped,
    Lost(String),
}

impl Read for BlobBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.descriptor.size - self.position;
            if left == 0 {
                return self.end();
            }
            if buffer.is_empty() {
                return Ok(0);
            }
            if self.response.is_none() {
                self.connect().map_err(failed)?;
            }
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            match self.receive(&mut buffer[..room])? {
                Received::Bytes(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                Received::Skipped => {}
                Received::Lost(cause) => self.break_off(cause)?,
            }
        }
    }
}

fn failed(error: SourceError) -> io::Error {
    io::Error::other(error)
}

/// Whether an answer can be the content from `position` on.
pub(super) fn check(answer: &HttpAnswer, descriptor: &Descriptor, position: u64) -> Result<(), String> {
    let size = descriptor.size;
    match (answer.status(), answer.response.content_length()) {
        (StatusCode::PARTIAL_CONTENT, _) => check_range(answer.header("content-range"), position, size),
        // A complete answer must have the length that the descriptor states.
        (_, Some(length)) if length != size => {
            Err(format!("the server sends {length} bytes, but its descriptor states {size}"))
        }
        _ => Ok(()),
    }
}

/// A range such as `bytes 100-199/200` must begin at the reader's position. Source: RFC 9110, 14.4.
fn check_range(header: Option<&str>, position: u64, size: u64) -> Result<(), String> {
    let text = header.unwrap_or_default();
    let Some((first, last, total)) = parse_range(text) else {
        return Err(format!("invalid Content-Range {:?}", super::answer::one_line(text)));
    };
    if first != position || last < first || last >= size || total.is_some_and(|total| total != size) {
        return Err(format!(
            "bytes {position}-{} of {size} were requested, but the server sends {text}",
            size.saturating_sub(1)
        ));
    }
    Ok(())
}

/// The first and the last byte of a range, and the size of the whole.
pub(super) fn parse_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, is_right: bool) {
        assert_eq!(check_range(Some(header), 100, 200).is_ok(), is_right, "{header}");
    }

    #[test]
    fn a_range_must_begin_at_the_readers_position() {
        check("bytes 100-199/200", true);
        check("bytes 100-199/*", true);
        check("bytes 100-149/200", true);
        for header in ["bytes 0-199/200", "bytes 100-200/200", "bytes 100-199/201", "bytes */200", "100-199/200", ""] {
            check(header, false);
        }
    }
}
