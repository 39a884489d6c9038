//! A blob as a stream that survives its connections: what breaks off is asked for again from where it broke. It ends
//! after as many bytes as the descriptor says, or with an error; it is not verified here.

use std::io::{self, Read};
use std::time::Instant;

use reqwest::StatusCode;
use reqwest::blocking::Response;

use super::gate::Permit;
use super::http::Answer;
use super::pace::{self, Pace};
use super::{Registry, malformed_blob};
use crate::oci::Descriptor;
use crate::source::SourceError;

/// What a connection has to bring before its break is forgiven: a server that gives a byte a connection would hold a
/// scan for ever.
const PROGRESS: u64 = 64 << 10;
/// What a resumed body that begins at its beginning again is skipped in.
const SKIP_PIECE: usize = 64 << 10;

pub(super) struct BlobBody {
    registry: Registry,
    descriptor: Descriptor,
    response: Option<Response>,
    /// The name of who was connected to last.
    server: String,
    /// Bytes given to the reader.
    position: u64,
    /// Bytes that the connection sends again because the server does not know ranges.
    skip: u64,
    pace: Pace,
    /// Breaks since the last progress, and where the last one was.
    breaks: u32,
    broke_at: u64,
    _permit: Permit,
}

impl BlobBody {
    /// Opens the first connection, so that what is missing or forbidden is known at once.
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

    /// Notes that the connection is lost; an error once that was too often.
    fn break_off(&mut self, cause: String) -> io::Result<()> {
        self.response = None;
        if self.position - self.broke_at >= PROGRESS {
            self.breaks = 0;
        }
        self.broke_at = self.position;
        let (patience, size) = (&self.registry.client.patience, self.descriptor.size);
        if self.breaks >= patience.policy.retries {
            let digest = self.descriptor.digest.short();
            let cause = format!("{digest} broke off after {} of {size} bytes: {cause}", self.position);
            return Err(failed(SourceError::Unreachable { place: self.server.clone(), cause }));
        }
        tracing::debug!(digest = %self.descriptor.digest, at = self.position, cause, "a body broke off");
        patience.rest(self.breaks + 1, patience.policy.wait(self.breaks));
        self.breaks += 1;
        Ok(())
    }

    /// After the last byte: whether the server knows that it was the last.
    fn end(&mut self) -> io::Result<usize> {
        let Some(mut response) = self.response.take() else { return Ok(0) };
        match response.read(&mut [0; 1]) {
            // All bytes are here. What the connection does afterwards does not matter.
            Ok(0) | Err(_) => Ok(0),
            Ok(_) => {
                let cause = format!("it goes on after the {} bytes of its descriptor", self.descriptor.size);
                Err(failed(malformed_blob(&self.descriptor, &self.server, cause)))
            }
        }
    }

    /// One read of the connection, into `buffer` or into nothing while bytes are to be skipped.
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
pub(super) fn check(answer: &Answer, descriptor: &Descriptor, position: u64) -> Result<(), String> {
    let size = descriptor.size;
    match (answer.status(), answer.response.content_length()) {
        (StatusCode::PARTIAL_CONTENT, _) => check_range(answer.header("content-range"), position, size),
        // A whole answer of another length than the descriptor's cannot be it.
        (_, Some(length)) if length != size => {
            Err(format!("it has {length} bytes there, and {size} by its descriptor"))
        }
        _ => Ok(()),
    }
}

/// `bytes 100-199/200` must begin where the reader stands. Source: RFC 9110, 14.4.
fn check_range(header: Option<&str>, position: u64, size: u64) -> Result<(), String> {
    let text = header.unwrap_or_default();
    let parsed = text.strip_prefix("bytes ").and_then(|rest| {
        let (range, total) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = if total == "*" { None } else { Some(total.parse::<u64>().ok()?) };
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, total))
    });
    let Some((first, last, total)) = parsed else {
        return Err(format!("its Content-Range {:?} is none", super::answer::one_line(text)));
    };
    if first != position || last < first || last >= size || total.is_some_and(|total| total != size) {
        return Err(format!("asked for bytes {position}-{} of {size}, it sends {text}", size.saturating_sub(1)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, is_right: bool) {
        assert_eq!(check_range(Some(header), 100, 200).is_ok(), is_right, "{header}");
    }

    #[test]
    fn a_range_must_begin_where_the_reader_stands() {
        check("bytes 100-199/200", true);
        check("bytes 100-199/*", true);
        check("bytes 100-149/200", true);
        for header in ["bytes 0-199/200", "bytes 100-200/200", "bytes 100-199/201", "bytes */200", "100-199/200", ""] {
            check(header, false);
        }
    }
}
