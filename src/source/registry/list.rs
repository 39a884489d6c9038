//! Lists a registry's repositories and their tags. A list may come from a hostile server, so pages and names are
//! bounded, and each page must contain something new. Source: OCI distribution-spec, "Listing Tags"; CNCF Distribution,
//! "Listing Repositories".

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::RequestedObject;
use super::auth::TokenAccess;
use super::endpoint::RegistryEndpoint;
use super::exchange::{RegistryRequest, RepositoryLine, RequestTarget};
use super::http::Call;
use super::push::next_page;
use super::{RegistryClient, trust_of};
use crate::source::SourceError;

/// Limit for the names of one list: the largest public registries have fewer repositories per owner.
const MOST_NAMES: usize = 1_000_000;

#[derive(Deserialize)]
struct Catalog {
    /// Some registries write null for an empty list.
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

/// The list to request.
struct ListRequest<'a> {
    endpoint: &'a RegistryEndpoint,
    /// Empty for the catalog.
    repository: &'a str,
    subject: RequestedObject,
    access: TokenAccess,
}

impl RegistryClient {
    /// All repositories of a registry, sorted.
    pub fn repositories(self: &Arc<RegistryClient>, host: &str) -> Result<Vec<String>, SourceError> {
        let endpoint = self.listing_endpoint(host);
        let subject = RequestedObject { what: "list of repositories", name: format!("{host}/v2/_catalog") };
        let list = ListRequest { endpoint: &endpoint, repository: "", subject, access: TokenAccess::Catalog };
        self.pages(&list, RequestTarget::Api("_catalog?n=1000"), |page: Catalog| page.repositories.unwrap_or_default())
    }

    /// All tags of a repository, sorted. Empty for a repository that does not exist or has no tags.
    pub fn tags(self: &Arc<RegistryClient>, host: &str, repository: &str) -> Result<Vec<String>, SourceError> {
        let endpoint = self.listing_endpoint(host);
        let subject = RequestedObject { what: "repository", name: format!("{host}/{repository}") };
        let list = ListRequest { endpoint: &endpoint, repository, subject, access: TokenAccess::Pull };
        match self.pages(&list, RequestTarget::Below("tags/list?n=1000"), |page: Tags| page.tags.unwrap_or_default()) {
            // Distribution forgets the repository with its last tag.
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => Ok(Vec::new()),
            tags => tags,
        }
    }

    fn listing_endpoint(&self, host: &str) -> RegistryEndpoint {
        RegistryEndpoint::of_registry(host, trust_of(host, self.trust, &self.hosts))
    }

    fn pages<T: DeserializeOwned>(
        &self,
        list: &ListRequest<'_>,
        first: RequestTarget<'_>,
        names: impl Fn(T) -> Vec<String>,
    ) -> Result<Vec<String>, SourceError> {
        let ListRequest { endpoint, repository, subject, access } = list;
        let line = RepositoryLine { patience: &self.patience, keyring: &self.keyring, endpoint, repository };
        let malformed = |cause: &str| SourceError::Malformed { place: subject.name.clone(), cause: cause.to_string() };
        let (mut found, mut target) = (BTreeSet::new(), first);
        loop {
            let request = RegistryRequest { subject: subject.clone(), access: *access, target, call: Call::get() };
            let (answer, bytes) = {
                let _permit = self.requests.enter();
                line.read(&request)?
            };
            let page: T = serde_json::from_slice(&bytes).map_err(|error| malformed(&error.to_string()))?;
            let before = found.len();
            found.extend(names(page));
            if found.len() > MOST_NAMES {
                let (place, what, limit) = (subject.name.clone(), "names", MOST_NAMES as u64);
                return Err(SourceError::TooLarge { place, what, limit });
            }
            let Some(next) = next_page(&answer) else { return Ok(found.into_iter().collect()) };
            if found.len() == before {
                return Err(malformed("a page contains nothing new, but another page follows"));
            }
            target = RequestTarget::of_location(next, &answer);
        }
    }
}
