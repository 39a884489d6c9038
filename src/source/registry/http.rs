//! One HTTP request and its redirects, over as few connections as can be. The credential goes to the host that was
//! asked and nowhere else; no Referer is sent; https never leads to http; no URL's query or user is ever logged.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::blocking::{Body, Client, Response};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::connect::{Connections, HttpOptions};
use super::endpoint::{Endpoint, shown, shown_host};
use super::fault::{self, Fault};
use super::pace::Paced;
use crate::source::SourceError;

/// Registries redirect once, to their store; a store may redirect again.
const MAX_REDIRECTS: usize = 5;
/// Bytes a second that an upload is allowed to be as slow as.
const LEAST_UPLOAD_PACE: u64 = 32 << 10;

#[derive(Debug)]
pub(super) struct Http {
    connections: Connections,
    /// Hosts that were found to speak plain HTTP only.
    plain: Mutex<HashSet<String>>,
    /// What is known of the hosts that were asked.
    presences: Mutex<HashMap<String, Presence>>,
}

#[derive(Debug)]
enum Presence {
    Answered,
    /// Not once, for all the attempts that a request has.
    Absent {
        cause: String,
    },
}

/// Opens a payload from its beginning, for each attempt.
pub(super) type Opener<'a> = &'a (dyn Fn() -> Result<Box<dyn Read + Send>, SourceError> + Sync);

pub(super) enum Payload<'a> {
    Empty,
    Bytes(&'a [u8]),
    /// `size` bytes.
    Stream {
        open: Opener<'a>,
        size: u64,
    },
}

pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload<'a>,
}

impl Call<'_> {
    pub(super) fn get() -> Call<'static> {
        Call { method: Method::GET, headers: HeaderMap::new(), payload: Payload::Empty }
    }
}

/// A response and where it came from.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    /// After the redirects.
    pub(super) url: Url,
    /// Whether the redirects led to another origin than the one that was asked.
    pub(super) is_elsewhere: bool,
    /// What the request was given.
    timeout: Duration,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header's text; `None` also where it is no text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The body of a document, which has to come at a pace.
    pub(super) fn body(&mut self) -> Paced<'_> {
        Paced::new(&mut self.response, self.timeout)
    }
}

impl Http {
    pub(super) fn new(options: HttpOptions) -> Result<Http, SourceError> {
        Ok(Http { connections: Connections::new(options)?, plain: Mutex::default(), presences: Mutex::default() })
    }

    pub(super) fn timeout(&self) -> Duration {
        self.connections.options.timeout
    }

    /// Asks `path` below the API's root, by the schemes that the endpoint allows.
    pub(super) fn ask(
        &self,
        endpoint: &Endpoint,
        path: &str,
        call: &Call<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let plain = |this: &Http| lock(&this.plain).contains(endpoint.authority());
        let mut schemes = endpoint.schemes();
        if schemes.len() > 1 && plain(self) {
            schemes = &schemes[1..];
        }
        let (last, before) = schemes.split_last().expect("an endpoint has a scheme");
        for scheme in before {
            let url = endpoint.url(scheme, path).map_err(Fault::Final)?;
            match self.follow(&url, call, authorization) {
                // A server that speaks TLS, though not as it should, is not asked in the clear.
                Err(fault) if fault.is_before_tls() => tracing::debug!(%fault, "no TLS at {}", endpoint.authority()),
                answered => return answered,
            }
        }
        let url = endpoint.url(last, path).map_err(Fault::Final)?;
        let answer = self.follow(&url, call, authorization)?;
        // Go's TLS servers answer plain HTTP with 400.
        if !before.is_empty() && answer.status() != StatusCode::BAD_REQUEST {
            lock(&self.plain).insert(endpoint.authority().to_string());
        }
        Ok(answer)
    }

    /// Asks one URL and follows its redirects.
    pub(super) fn follow(
        &self,
        first: &Url,
        call: &Call<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let is_elsewhere = url.origin() != first.origin();
            let authorization = authorization.filter(|_| !is_elsewhere);
            let response = self.once(&url, call, authorization)?;
            let may_follow = matches!(call.method, Method::GET | Method::HEAD);
            if !may_follow || !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer { response, url, is_elsewhere, timeout: self.timeout() });
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            url = redirection(&url, location).map_err(Fault::Final)?;
        }
        Err(Fault::Final(SourceError::Unreachable {
            place: shown(first),
            cause: format!("more than {MAX_REDIRECTS} redirects"),
        }))
    }

    /// After the last attempt: where the host never answered, no other image waits for it as long.
    pub(super) fn give_up(&self, fault: &Fault) {
        if let Some((host, cause)) = fault.absence() {
            let absent = || Presence::Absent { cause: cause.to_string() };
            lock(&self.presences).entry(host.to_string()).or_insert_with(absent);
        }
    }

    fn once(&self, url: &Url, call: &Call<'_>, authorization: Option<&HeaderValue>) -> Result<Response, Fault> {
        let place = shown_host(url);
        if let Some(Presence::Absent { cause }) = lock(&self.presences).get(&place) {
            let cause = cause.clone();
            return Err(Fault::Final(SourceError::Unreachable { place, cause }));
        }
        let mut outcome = self.send(&self.connections.client(url)?, url, call, authorization)?;
        if let Err(error) = &outcome
            && fault::is_self_signed(error)
            && let Some(client) = self.connections.pinned(url)?
        {
            outcome = self.send(&client, url, call, authorization)?;
        }
        match outcome {
            Ok(response) => {
                lock(&self.presences).insert(place, Presence::Answered);
                Ok(response)
            }
            Err(error) => Err(Fault::of(&error, &place, self.timeout())),
        }
    }

    fn send(
        &self,
        client: &Client,
        url: &Url,
        call: &Call<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::Result<Response>, Fault> {
        let mut request = client.request(call.method.clone(), url.clone()).headers(call.headers.clone());
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        request = match &call.payload {
            Payload::Empty => request,
            Payload::Bytes(bytes) => request.body(bytes.to_vec()),
            Payload::Stream { open, size } => {
                let body = Body::sized(open().map_err(Fault::Final)?, *size);
                // Here the time-out is for the whole of it.
                request.body(body).timeout(self.timeout() + Duration::from_secs(size / LEAST_UPLOAD_PACE))
            }
        };
        let outcome = request.send();
        match &outcome {
            Ok(response) => {
                tracing::debug!(method = %call.method, url = shown(url), status = response.status().as_u16())
            }
            Err(error) => tracing::debug!(method = %call.method, url = shown(url), failed = fault::text(error)),
        }
        Ok(outcome)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a redirect leads, if anybody may be led there.
fn redirection(url: &Url, location: Option<&str>) -> Result<Url, SourceError> {
    let refuse = |cause: String| SourceError::Unreachable { place: shown(url), cause };
    let next = location.and_then(|text| url.join(text).ok());
    let mut next = next.ok_or_else(|| refuse("a redirect to something that is no address".to_string()))?;
    if !matches!(next.scheme(), "http" | "https") || next.host_str().is_none() {
        return Err(refuse(format!("a redirect to {}, which is not http", next.scheme())));
    }
    if url.scheme() == "https" && next.scheme() == "http" {
        return Err(refuse(format!("a redirect from https to {}, in the clear", shown(&next))));
    }
    // Neither can fail for a URL with a host.
    let _ = next.set_username("");
    let _ = next.set_password(None);
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, location: &str, expected: Result<&str, &str>) {
        let result = redirection(&Url::parse(from).unwrap(), Some(location));
        match (result, expected) {
            (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (result, _) => panic!("{location}: {result:?}"),
        }
    }

    #[test]
    fn a_redirect_leads_on_but_never_from_https_to_http() {
        check("https://a.example/v2/x", "https://b.example/y?s=1", Ok("https://b.example/y?s=1"));
        check("http://a.example/v2/x", "https://b.example/y", Ok("https://b.example/y"));
        check("https://a.example/v2/x", "/z", Ok("https://a.example/z"));
        check("https://a.example/v2/x", "https://u:p@b.example/", Ok("https://b.example/"));
        check("https://a.example/v2/x", "http://b.example/y?s=hunter2", Err("in the clear"));
        check("https://a.example/v2/x", "file:///etc/passwd", Err("which is not http"));
        check("https://a.example/v2/x", "https://", Err("no address"));
    }

    #[test]
    fn neither_logs_nor_errors_show_a_urls_secrets() {
        let url = Url::parse("https://u:hunter2@a.example:8443/v2/x?signature=hunter2").unwrap();
        assert_eq!(shown(&url), "https://a.example:8443/v2/x");
        let error = redirection(&url, Some("http://u:hunter2@b.example/?s=hunter2")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
