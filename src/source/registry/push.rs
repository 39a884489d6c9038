//! Writes to a registry: blobs, manifests and tags; also lists the referrers of an image. Only the registry itself is
//! written to, never a mirror. Source: OCI distribution-spec, "Push" and "Listing Referrers".

use std::io::Read;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};

use super::answer::RequestedObject;
use super::auth::TokenAccess;
use super::exchange::{RegistryRequest, RequestTarget};
use super::http::{Call, HttpAnswer, Payload, PayloadOpener};
use super::{MANIFEST_LIMIT, Registry};
use crate::oci::{Descriptor, Digest, Document};
use crate::source::SourceError;

/// Limit for the pages of a list of referrers. A list has one or two pages; an endless one is an attack.
const MAX_PAGES: usize = 64;

impl Registry {
    /// Writes a blob, unless the repository already has it. `open` is called once per attempt.
    pub fn push_blob(&self, descriptor: &Descriptor, open: PayloadOpener<'_>) -> Result<(), SourceError> {
        let digest = &descriptor.digest;
        let subject = || RequestedObject { what: "blob", name: self.reference.at(digest) };
        let rest = format!("blobs/{digest}");
        let _permit = self.client.requests.enter();
        let there = Call { method: Method::HEAD, ..Call::get() };
        match self.write(RequestTarget::Below(&rest), subject(), there) {
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut start = Call { method: Method::POST, ..Call::get() };
        start.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let started = self.write(RequestTarget::Below("blobs/uploads/"), subject(), start)?;
        let target = self.upload_target(&started, digest)?;
        let mut put =
            Call { method: Method::PUT, payload: Payload::Stream { open, size: descriptor.size }, ..Call::get() };
        put.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        self.write(target, subject(), put).map(drop)
    }

    /// Writes a manifest or index under `selector`, a tag or its own digest, and returns its digest.
    pub fn push_manifest(&self, selector: &str, media_type: &str, bytes: &[u8]) -> Result<Digest, SourceError> {
        let digest = Digest::from_bytes(bytes);
        let name = format!("{}:{selector}", self.reference.name());
        let media_type = media_type.parse().map_err(|_| SourceError::Malformed {
            place: name.clone(),
            cause: "its media type is not a valid header value".to_string(),
        })?;
        let mut call = Call { method: Method::PUT, payload: Payload::Bytes(bytes), ..Call::get() };
        call.headers.insert(CONTENT_TYPE, media_type);
        let rest = format!("manifests/{selector}");
        let _permit = self.client.requests.enter();
        let answer =
            self.write(RequestTarget::Below(&rest), RequestedObject { what: "manifest", name: name.clone() }, call)?;
        match answer.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok()) {
            Some(actual) if actual.algorithm() == digest.algorithm() && actual != digest => {
                Err(SourceError::WrongDigest { name, place: self.place(), expected: digest, actual })
            }
            _ => Ok(digest),
        }
    }

    /// Lists the referrers of `digest`, such as signatures and SBOMs. Registries without this API store the list under
    /// a tag.
    pub fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        let rest = format!("referrers/{digest}");
        let subject = RequestedObject { what: "list of referrers", name: self.reference.at(digest) };
        let mut found = Vec::new();
        let mut next = Some(RequestTarget::Below(&rest));
        for _ in 0..MAX_PAGES {
            let Some(target) = next else { return Ok(found) };
            let mut request = self.manifest_request("", subject.clone());
            request.target = target;
            let _permit = self.client.requests.enter();
            let (answer, bytes) = match self.at_each(|line| line.read(&request)) {
                Ok(read) => read,
                Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) && found.is_empty() => {
                    return self.referrers_by_tag(digest);
                }
                Err(error) => return Err(error),
            };
            next = next_page(&answer).map(|url| RequestTarget::of_location(url, &answer));
            found.extend(self.read_referrers(&bytes)?);
        }
        let limit = MANIFEST_LIMIT * MAX_PAGES as u64;
        Err(SourceError::TooLarge { place: subject.name, what: "bytes for a list of referrers", limit })
    }

    fn referrers_by_tag(&self, digest: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        self.referrers_index(digest)?.map_or(Ok(Vec::new()), |bytes| self.read_referrers(&bytes))
    }

    /// The index that a registry without the API stores under a tag, unmodified: a caller that adds to it must keep the
    /// fields of the other entries. Source: OCI distribution-spec, "Referrers Tag Schema".
    pub fn referrers_index(&self, digest: &Digest) -> Result<Option<Vec<u8>>, SourceError> {
        let rest = format!("manifests/{}-{}", digest.algorithm(), digest.hex());
        let subject = RequestedObject { what: "list of referrers", name: self.reference.at(digest) };
        let request = self.manifest_request(&rest, subject);
        match self.at_each(|line| line.read(&request)) {
            Ok((_, bytes)) => Ok(Some(bytes)),
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_referrers(&self, bytes: &[u8]) -> Result<Vec<Descriptor>, SourceError> {
        let place = format!("the list of referrers of {}", self.reference.name());
        match Document::parse(bytes) {
            Ok(Document::Index(index)) => Ok(index.manifests),
            Ok(Document::Manifest(_)) => Err(SourceError::Malformed { place, cause: "it is not an index".to_string() }),
            Err(error) => Err(SourceError::Malformed { place, cause: error.to_string() }),
        }
    }

    fn write(
        &self,
        target: RequestTarget<'_>,
        subject: RequestedObject,
        call: Call<'_>,
    ) -> Result<HttpAnswer, SourceError> {
        self.line(self.own()).request(&RegistryRequest { subject, access: TokenAccess::Push, target, call })
    }

    /// The URL for the upload. It may be on another host, which does not receive the credential.
    fn upload_target(&self, started: &HttpAnswer, digest: &Digest) -> Result<RequestTarget<'static>, SourceError> {
        let malformed = || SourceError::Malformed {
            place: format!("the upload started by {}", self.place()),
            cause: "it has no valid Location header".to_string(),
        };
        let location = started.header("location").ok_or_else(malformed)?;
        let mut url = started.url.join(location).map_err(|_| malformed())?;
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        Ok(RequestTarget::of_location(url, started))
    }
}

/// The URL in `Link: </v2/...>; rel="next"`. Source: RFC 8288.
pub(super) fn next_page(answer: &HttpAnswer) -> Option<Url> {
    let link = answer.header("link")?;
    let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    parameters.replace([' ', '"'], "").contains("rel=next").then(|| answer.url.join(address).ok())?
}

/// Opens bytes in memory, for [`Registry::push_blob`].
pub fn in_memory(bytes: &[u8]) -> impl Fn() -> Result<Box<dyn Read + Send>, SourceError> + Sync {
    let shared: std::sync::Arc<[u8]> = bytes.into();
    move || Ok(Box::new(std::io::Cursor::new(std::sync::Arc::clone(&shared))))
}
