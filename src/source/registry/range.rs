//! A part of a blob, in one answer.

use std::io::Read;
use std::ops::Range;

use reqwest::StatusCode;
use reqwest::header::RANGE;

use super::answer::RequestedObject;
use super::body::parse_range;
use super::fault;
use super::{Registry, malformed_blob};
use crate::oci::Descriptor;
use crate::source::SourceError;

impl Registry {
    /// The bytes of a blob in `range`; `None` if the server only sends whole blobs. After an interruption, the range is
    /// requested again.
    pub(super) fn range(&self, descriptor: &Descriptor, range: &Range<u64>) -> Result<Option<Vec<u8>>, SourceError> {
        let rest = format!("blobs/{}", descriptor.digest);
        let subject = RequestedObject { what: "blob", name: self.reference.at(&descriptor.digest) };
        let mut request = self.manifest_request(&rest, subject);
        request.call.headers.remove(reqwest::header::ACCEPT);
        let text = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        request.call.headers.insert(RANGE, text.parse().expect("digits are a header's text"));
        let patience = &self.client.patience;
        let mut attempt = 0;
        loop {
            let (mut answer, server) =
                self.at_each(|line| Ok((line.request(&request)?, line.endpoint.name.clone())))?;
            if answer.status() != StatusCode::PARTIAL_CONTENT {
                return Ok(None);
            }
            let header = answer.header("content-range").unwrap_or_default().to_string();
            let is_right = |(first, last, total): (u64, u64, Option<u64>)| {
                first == range.start && last == range.end - 1 && total.is_none_or(|total| total == descriptor.size)
            };
            if !parse_range(&header).is_some_and(is_right) {
                let cause =
                    format!("{text} was requested, but the server sends {:?}", super::answer::one_line(&header));
                return Err(malformed_blob(descriptor, &server, cause));
            }
            let length = range.end - range.start;
            let mut bytes = Vec::new();
            let cause = match answer.body().take(length).read_to_end(&mut bytes) {
                Ok(_) if bytes.len() as u64 == length => return Ok(Some(bytes)),
                Ok(_) => "the connection ended".to_string(),
                Err(error) => fault::text(&error),
            };
            if attempt >= patience.policy.retries {
                return Err(SourceError::Unreachable { place: server, cause });
            }
            patience.pause(attempt + 1, patience.policy.wait(attempt));
            attempt += 1;
        }
    }
}
