//! The tags of a repository. Source: OCI distribution-spec, "Listing Tags".

use reqwest::header::ACCEPT;
use serde::Deserialize;

use super::Registry;
use super::answer::Subject;
use super::exchange::Target;
use super::push::next_page;
use crate::source::SourceError;

/// A list is a page or two; one without an end is an attack.
const MAX_PAGES: usize = 64;

#[derive(Deserialize)]
struct TagList {
    /// `null` for a repository without tags.
    tags: Option<Vec<String>>,
}

impl Registry {
    /// The tags of the repository, in the registry's order.
    pub fn tags(&self) -> Result<Vec<String>, SourceError> {
        let place = format!("the tags of {}", self.reference.name());
        let mut found = Vec::new();
        let mut next = Some(Target::Below("tags/list"));
        for _ in 0..MAX_PAGES {
            let Some(target) = next else { return Ok(found) };
            let subject = Subject { what: "list of tags", name: self.reference.name() };
            let mut request = self.manifest_request("", subject);
            request.call.headers.remove(ACCEPT);
            request.target = target;
            let _permit = self.client.requests.enter();
            let (answer, bytes) = self.line(self.own()).read(&request)?;
            let malformed =
                |error: serde_json::Error| SourceError::Malformed { place: place.clone(), cause: error.to_string() };
            let list: TagList = serde_json::from_slice(&bytes).map_err(malformed)?;
            found.extend(list.tags.into_iter().flatten());
            next = next_page(&answer).map(|url| Target::of_location(url, &answer));
        }
        Err(SourceError::TooLarge { place, what: "a list of tags", limit: MAX_PAGES as u64 * super::MANIFEST_LIMIT })
    }
}
