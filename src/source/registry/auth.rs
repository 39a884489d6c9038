//! Authentication: answers a registry's challenge with basic authentication or with a token from its token server. A
//! credential is sent only to the registry that it is stored for, and to the token server that this registry names over
//! TLS. Source: CNCF Distribution, "Token Authentication Specification" and "Oauth2 Token Authentication".

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::answer::{self, Identity, RequestedObject, ServerRole};
use super::challenge::{self, Challenge};
use super::credential::Credential;
use super::credentials::Wallet;
use super::endpoint::shown_host;
use super::http::{Call, HttpAnswer, Payload};
use super::patience::Patience;
use crate::source::SourceError;

/// Size limit of an answer. Tokens with long lists of rights take about ten kilobytes.
const TOKEN_LIMIT: u64 = 1 << 20;
/// The specification's default for a missing `expires_in`, and the minimum that is assumed.
const LEAST_VALIDITY: Duration = Duration::from_secs(60);
/// A token is not used in its last seconds, because the request must arrive before it expires.
const MARGIN: Duration = Duration::from_secs(10);

/// The right that a token grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TokenAccess {
    Pull,
    Push,
    /// To list the registry's repositories.
    Catalog,
}

/// The scope of a grant. `host` is the registry's name as in references and credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Realm {
    pub(super) host: String,
    pub(super) repository: String,
    pub(super) access: TokenAccess,
}

/// An authorization that a registry accepted, or is expected to accept.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) header: HeaderValue,
    pub(super) identity: Identity,
    until: Option<Instant>,
}

/// The grants of a run. Each has a separate lock, held during its renewal, so that a token is requested once and not
/// once per layer.
#[derive(Debug)]
pub(super) struct Keyring {
    wallet: Wallet,
    grants: Mutex<HashMap<Realm, Arc<Mutex<Option<Grant>>>>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Realm {
    /// The scopes to request from the token server: those that the registry names, widened by push if that is needed.
    fn scopes(&self, named: Option<&str>) -> Vec<String> {
        let own = match self.access {
            TokenAccess::Pull | TokenAccess::Push => format!("repository:{}:pull", self.repository),
            TokenAccess::Catalog => "registry:catalog:*".to_string(),
        };
        let named = named.filter(|scopes| !scopes.trim().is_empty()).unwrap_or(&own);
        let widened = |scope: &str| match self.access {
            TokenAccess::Push if scope.ends_with(":pull") => format!("{scope},push"),
            TokenAccess::Push | TokenAccess::Pull | TokenAccess::Catalog => scope.to_string(),
        };
        named.split_ascii_whitespace().map(widened).collect()
    }
}

impl Grant {
    fn new(scheme: &str, secret: &str, identity: Identity, until: Option<Instant>) -> Option<Grant> {
        let mut header = HeaderValue::from_str(&format!("{scheme} {secret}")).ok()?;
        header.set_sensitive(true);
        Some(Grant { header, identity, until })
    }

    /// Whether it has not expired, by the local clock.
    fn holds(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Whether it is worth sending after `refused` (or nothing) was sent.
    fn replaces(&self, refused: Option<&Grant>) -> bool {
        self.holds() && refused.is_none_or(|refused| refused.header != self.header)
    }
}

impl Keyring {
    pub(super) fn new(wallet: Wallet) -> Keyring {
        Keyring { wallet, grants: Mutex::default() }
    }

    /// The current grant, unless it has expired.
    pub(super) fn current(&self, realm: &Realm) -> Option<Grant> {
        let slot = self.slot(realm);
        let grant = lock(&slot);
        grant.clone().filter(Grant::holds)
    }

    /// Whether there is a credential to answer a challenge with.
    pub(super) fn has_credential(&self, realm: &Realm) -> Result<bool, SourceError> {
        Ok(self.wallet.find(&realm.host, &realm.repository)?.credential.is_some())
    }

    /// Answers the challenge in `refusal`, which `refused` did not satisfy.
    pub(super) fn renew(
        &self,
        patience: &Patience,
        realm: &Realm,
        refused: Option<&Grant>,
        refusal: HttpAnswer,
    ) -> Result<Grant, SourceError> {
        let slot = self.slot(realm);
        let mut grant = lock(&slot);
        // Another thread may have renewed it in the meantime.
        if let Some(renewed) = grant.as_ref().filter(|grant| grant.replaces(refused)) {
            return Ok(renewed.clone());
        }
        *grant = None;
        let renewed = self.answer(patience, realm, refusal)?;
        *grant = Some(renewed.clone());
        Ok(renewed)
    }

    fn slot(&self, realm: &Realm) -> Arc<Mutex<Option<Grant>>> {
        Arc::clone(lock(&self.grants).entry(realm.clone()).or_default())
    }

    fn answer(&self, patience: &Patience, realm: &Realm, refusal: HttpAnswer) -> Result<Grant, SourceError> {
        let challenges = challenges(&refusal);
        let find = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        let found = self.wallet.find(&realm.host, &realm.repository)?;
        let identity = match (&found.credential, found.failure) {
            (Some(Credential::Basic { username, .. } | Credential::IdentityToken { username, .. }), _) => {
                Identity::User(username.clone())
            }
            (Some(Credential::RegistryToken(_)), _) => Identity::User(String::new()),
            (None, Some(failure)) => Identity::Helpless(failure),
            (None, None) => Identity::Anonymous,
        };
        let login = Login { patience, realm, identity, credential: found.credential.as_ref() };
        match (find("bearer"), find("basic")) {
            (Some(challenge), _) => login.bearer(challenge, refusal.url),
            (None, Some(_)) => login.basic(refusal),
            (None, None) if challenges.is_empty() => Err(answer::denied(
                &realm.host,
                realm.repository.clone(),
                &login.identity,
                &answer::read_message(refusal),
            )),
            (None, None) => {
                let offered: Vec<&str> = challenges.iter().map(|challenge| challenge.scheme.as_str()).collect();
                let what = format!("the authentication that {} requires", realm.host);
                Err(SourceError::Unsupported {
                    what,
                    cause: format!("it offers {}", answer::one_line(&offered.join(", "))),
                })
            }
        }
    }
}

fn challenges(refusal: &HttpAnswer) -> Vec<Challenge> {
    let headers = refusal.response.headers().get_all("www-authenticate");
    headers.iter().flat_map(|value| challenge::parse(&String::from_utf8_lossy(value.as_bytes()))).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Login<'a> {
    patience: &'a Patience,
    realm: &'a Realm,
    identity: Identity,
    credential: Option<&'a Credential>,
}

impl Login<'_> {
    fn basic(&self, refusal: HttpAnswer) -> Result<Grant, SourceError> {
        let credential = self.credential.and_then(basic_text);
        let grant = credential.and_then(|text| Grant::new("Basic", &text, self.identity.clone(), None));
        grant.ok_or_else(|| self.denied(&answer::read_message(refusal)))
    }

    fn bearer(&self, challenge: &Challenge, asked: Url) -> Result<Grant, SourceError> {
        if let Some(Credential::RegistryToken(token)) = self.credential {
            return Grant::new("Bearer", token, self.identity.clone(), None).ok_or_else(|| self.denied(""));
        }
        let url = self.token_server(challenge, &asked)?;
        let service = challenge.param("service").unwrap_or_default();
        let scopes = self.realm.scopes(challenge.param("scope"));
        if let Some(Credential::IdentityToken { token, .. }) = self.credential {
            let answer = self.post(&url, service, &scopes, token)?;
            // Not every token server supports OAuth2; Distribution's specification requires this fallback.
            if !matches!(answer.status().as_u16(), 401 | 404 | 405 | 501) {
                return self.read_token(answer);
            }
        }
        self.read_token(self.get(&url, service, &scopes)?)
    }

    /// The token server that the registry names. If the registry uses TLS, its token server must use TLS too.
    fn token_server(&self, challenge: &Challenge, asked: &Url) -> Result<Url, SourceError> {
        let place = self.realm.host.clone();
        let named = challenge.param("realm").unwrap_or_default();
        let malformed = || SourceError::Malformed {
            place: format!("the challenge of {place}"),
            cause: format!("its token server {:?} is not an http or https URL", answer::one_line(named)),
        };
        let mut url = Url::parse(named).map_err(|_| malformed())?;
        let _ = url.set_username("");
        let _ = url.set_password(None);
        match (asked.scheme(), url.scheme()) {
            (_, "https") | ("http", "http") => Ok(url),
            (_, "http") => Err(SourceError::Denied {
                name: self.realm.repository.clone(),
                place,
                cause: format!("its token server {} does not use TLS", shown_host(&url)),
            }),
            _ => Err(malformed()),
        }
    }

    fn get(&self, url: &Url, service: &str, scopes: &[String]) -> Result<HttpAnswer, SourceError> {
        let mut url = url.clone();
        {
            let mut query = url.query_pairs_mut();
            if !service.is_empty() {
                query.append_pair("service", service);
            }
            for scope in scopes {
                query.append_pair("scope", scope);
            }
        }
        let basic = self.credential.and_then(basic_text);
        let basic = basic.and_then(|text| Grant::new("Basic", &text, self.identity.clone(), None));
        let mut call = Call::get();
        call.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.patience.insist(|http| http.follow(&url, &call, basic.as_ref().map(|grant| &grant.header)));
        answer.map_err(|error| self.of_token_server(&url, error))
    }

    fn post(&self, url: &Url, service: &str, scopes: &[String], token: &str) -> Result<HttpAnswer, SourceError> {
        let scope = scopes.join(" ");
        let fields = [
            ("grant_type", "refresh_token"),
            ("service", service),
            ("scope", &scope),
            ("client_id", "imgarch"),
            ("refresh_token", token),
        ];
        let form = Url::parse_with_params("form:", fields).expect("a scheme alone is an address");
        let body = form.query().unwrap_or_default().as_bytes();
        let mut call = Call { method: Method::POST, payload: Payload::Bytes(body), ..Call::get() };
        call.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let answer = self.patience.insist(|http| http.follow(url, &call, None));
        answer.map_err(|error| self.of_token_server(url, error))
    }

    /// Replaces the place of an error with the token server and the registry it belongs to, because users know only the
    /// registry.
    fn of_token_server(&self, url: &Url, error: SourceError) -> SourceError {
        match error {
            SourceError::Unreachable { cause, .. } => {
                SourceError::Unreachable { place: ServerRole::TokenServer.place(url, &self.realm.host), cause }
            }
            SourceError::Hinted { error, hint } => self.of_token_server(url, *error).with_hint(hint),
            other => other,
        }
    }

    fn read_token(&self, mut answer: HttpAnswer) -> Result<Grant, SourceError> {
        let asked_at = Instant::now();
        let place = ServerRole::TokenServer.place(&answer.url, &self.realm.host);
        match answer.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let server = shown_host(&answer.url);
                return Err(self.denied(&format!("{server}: {}", answer::read_message(answer))));
            }
            status if !status.is_success() => {
                let subject = RequestedObject { what: "token", name: format!("a token for {}", self.realm.repository) };
                return Err(answer::refusal(
                    &self.realm.host,
                    ServerRole::TokenServer,
                    &subject,
                    &self.identity,
                    answer,
                ));
            }
            _ => {}
        }
        let malformed =
            |cause: &str| SourceError::Malformed { place: format!("the answer of {place}"), cause: cause.to_string() };
        let mut body = Vec::new();
        let read = answer.body().take(TOKEN_LIMIT).read_to_end(&mut body);
        read.map_err(|error| SourceError::Unreachable { place: place.clone(), cause: super::fault::text(&error) })?;
        // serde_json's own message could quote the token.
        let token: TokenAnswer =
            serde_json::from_slice(&body).map_err(|_| malformed("it is not a JSON token response"))?;
        // One of the two may be present but empty.
        let text = [token.token, token.access_token].into_iter().flatten().find(|text| !text.is_empty());
        let text = text.ok_or_else(|| malformed("it contains no token"))?;
        let validity = token.expires_in.map_or(LEAST_VALIDITY, Duration::from_secs).max(LEAST_VALIDITY) - MARGIN;
        // A validity beyond the range of the clock counts as unlimited.
        let until = asked_at.checked_add(validity);
        Grant::new("Bearer", &text, self.identity.clone(), until).ok_or_else(|| malformed("its token is not printable"))
    }

    fn denied(&self, message: &str) -> SourceError {
        answer::denied(&self.realm.host, self.realm.repository.clone(), &self.identity, message)
    }
}

/// The value for basic authentication; `None` if the credential does not support it.
fn basic_text(credential: &Credential) -> Option<String> {
    let (username, password) = match credential {
        Credential::Basic { username, password } => (username.as_str(), password),
        Credential::IdentityToken { username, token } if username.is_empty() => ("<token>", token),
        Credential::IdentityToken { username, token } => (username.as_str(), token),
        Credential::RegistryToken(_) => return None,
    };
    Some(base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(token: &str, until: Option<Instant>) -> Grant {
        Grant::new("Bearer", token, Identity::Anonymous, until).unwrap()
    }

    #[test]
    fn neither_a_refused_nor_an_expired_grant_is_sent_again() {
        let now = Instant::now();
        let later = grant("a", now.checked_add(LEAST_VALIDITY));
        assert!(later.replaces(None) && later.replaces(Some(&grant("b", None))));
        assert!(!later.replaces(Some(&later)));
        assert!(grant("a", None).replaces(None));
        assert!(!grant("a", Some(now)).replaces(None));
    }
}
