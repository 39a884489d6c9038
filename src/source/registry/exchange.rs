//! Sends a request and does everything that its answer may require: retries after a wait, a login, a renewed token, a
//! fresh redirect. Every answer that it returns is a success.

use reqwest::Url;
use std::io::Read;

use super::MANIFEST_LIMIT;
use super::answer::{self, Identity, RequestedObject, ServerRole};
use super::auth::{Grant, Keyring, Realm, TokenAccess};
use super::endpoint::RegistryEndpoint;
use super::fault;
use super::http::{Call, HttpAnswer};
use super::patience::Patience;
use crate::source::SourceError;

/// A request to a registry.
pub(super) struct RegistryRequest<'a> {
    pub(super) subject: RequestedObject,
    pub(super) access: TokenAccess,
    pub(super) target: RequestTarget<'a>,
    pub(super) call: Call<'a>,
}

/// The destination of a request.
#[derive(Clone, Debug)]
pub(super) enum RequestTarget<'a> {
    /// A path below the repository: `manifests/latest`.
    Below(&'a str),
    /// A path below the API's root: `_catalog`.
    Api(&'a str),
    /// A URL from the registry for a further request, on the registry's own origin.
    Own(Url),
    /// The same on another origin, which does not receive the credential.
    Foreign(Url),
}

impl RequestTarget<'_> {
    /// The target for `url`, a location in `answer`.
    pub(super) fn of_location(url: Url, answer: &HttpAnswer) -> RequestTarget<'static> {
        let is_own = !answer.is_elsewhere && url.origin() == answer.url.origin();
        if is_own { RequestTarget::Own(url) } else { RequestTarget::Foreign(url) }
    }
}

/// One repository at one endpoint, with the means to send requests to it.
pub(super) struct RepositoryLine<'a> {
    pub(super) patience: &'a Patience,
    pub(super) keyring: &'a Keyring,
    pub(super) endpoint: &'a RegistryEndpoint,
    pub(super) repository: &'a str,
}

impl RepositoryLine<'_> {
    /// Sends a request until the answer is a success or a permanent error.
    pub(super) fn request(&self, request: &RegistryRequest<'_>) -> Result<HttpAnswer, SourceError> {
        let repository = self.endpoint.repository(self.repository);
        let realm = Realm { host: self.endpoint.name.clone(), repository, access: request.access };
        let mut grant = self.keyring.current(&realm);
        let (mut has_renewed, mut has_restarted) = (false, false);
        loop {
            let answer = self.send(request, grant.as_ref())?;
            let is_own = !answer.is_elsewhere && !matches!(request.target, RequestTarget::Foreign(_));
            match answer.status().as_u16() {
                200..=299 => return Ok(answer),
                401 if is_own && !has_renewed => {
                    has_renewed = true;
                    grant = Some(self.keyring.renew(self.patience, &realm, grant.as_ref(), answer)?);
                }
                // The signed URL of a storage host may have expired; the registry provides a new one.
                401 | 403 if !is_own && !has_restarted => has_restarted = true,
                status => {
                    let may_log_in = is_own && grant.is_none() && matches!(status, 403 | 404);
                    if may_log_in && !has_renewed && self.keyring.has_credential(&realm)? {
                        has_renewed = true;
                        grant = self.log_in(&realm)?;
                        if grant.is_some() {
                            continue;
                        }
                    }
                    let identity = grant.map_or(Identity::Anonymous, |grant| grant.identity);
                    let role = if is_own { ServerRole::Registry } else { ServerRole::Store };
                    return Err(answer::refusal(&self.endpoint.name, role, &request.subject, &identity, answer));
                }
            }
        }
    }

    /// Reads a whole manifest or index. After an interruption it is requested again from its beginning.
    pub(super) fn read(&self, request: &RegistryRequest<'_>) -> Result<(HttpAnswer, Vec<u8>), SourceError> {
        let patience = self.patience;
        let mut attempt = 0;
        loop {
            let mut answer = self.request(request)?;
            let mut bytes = Vec::new();
            match answer.body().take(MANIFEST_LIMIT + 1).read_to_end(&mut bytes) {
                Ok(_) if bytes.len() as u64 > MANIFEST_LIMIT => {
                    let place = request.subject.name.clone();
                    return Err(SourceError::TooLarge { place, what: "bytes for a manifest", limit: MANIFEST_LIMIT });
                }
                Ok(_) => return Ok((answer, bytes)),
                Err(error) if attempt >= patience.policy.retries => {
                    let place = self.endpoint.name.clone();
                    return Err(SourceError::Unreachable { place, cause: fault::text(&error) });
                }
                Err(_) => patience.pause(attempt + 1, patience.policy.wait(attempt)),
            }
            attempt += 1;
        }
    }

    fn send(&self, request: &RegistryRequest<'_>, grant: Option<&Grant>) -> Result<HttpAnswer, SourceError> {
        let header = grant.map(|grant| &grant.header);
        let path = |rest: &str| format!("{}/{rest}", self.endpoint.repository(self.repository));
        self.patience.insist(|http| match &request.target {
            RequestTarget::Below(rest) => http.request(self.endpoint, &path(rest), &request.call, header),
            RequestTarget::Api(path) => http.request(self.endpoint, path, &request.call, header),
            RequestTarget::Own(url) => http.follow(url, &request.call, header),
            RequestTarget::Foreign(url) => http.follow(url, &request.call, None),
        })
    }

    /// Logs in without a challenge for the repository: registries with anonymous access report private repositories as
    /// missing, without a challenge, but the API's root has one.
    fn log_in(&self, realm: &Realm) -> Result<Option<Grant>, SourceError> {
        let answer = self.patience.insist(|http| http.request(self.endpoint, "", &Call::get(), None))?;
        match answer.status().as_u16() {
            401 if !answer.is_elsewhere => self.keyring.renew(self.patience, realm, None, answer).map(Some),
            _ => Ok(None),
        }
    }
}
