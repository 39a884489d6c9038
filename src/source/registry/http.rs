//! Sends one HTTP request and follows its redirects, reusing connections. The credential is sent only to the host that
//! was requested. No Referer is sent, https never redirects to http, and no URL's query or user is ever logged.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::blocking::{Body, Client, Response};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::connect::{Connections, HttpOptions};
use super::endpoint::{RegistryEndpoint, shown, shown_host};
use super::fault::{self, RequestFault};
use super::pace::Paced;
use crate::source::SourceError;

/// Registries redirect once, to their storage host, which may redirect again.
const MAX_REDIRECTS: usize = 5;
/// The slowest upload that is allowed, in bytes per second.
const LEAST_UPLOAD_PACE: u64 = 32 << 10;

#[derive(Debug)]
pub(super) struct Http {
    connections: Connections,
    /// Hosts that only support plain HTTP.
    plain: Mutex<HashSet<String>>,
    /// Which hosts have answered so far.
    presences: Mutex<HashMap<String, Presence>>,
}

#[derive(Debug)]
enum Presence {
    Answered,
    /// Never answered, through all attempts of one request.
    Absent {
        cause: String,
    },
}

/// Opens a payload from its beginning, for each attempt.
pub(super) type PayloadOpener<'a> = &'a (dyn Fn() -> Result<Box<dyn Read + Send>, SourceError> + Sync);

pub(super) enum Payload<'a> {
    Empty,
    Bytes(&'a [u8]),
    /// A stream of `size` bytes.
    Stream {
        open: PayloadOpener<'a>,
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

/// A response and its origin.
#[derive(Debug)]
pub(super) struct HttpAnswer {
    pub(super) response: Response,
    /// The final URL, after redirects.
    pub(super) url: Url,
    /// Whether redirects led to another origin than the requested one.
    pub(super) is_elsewhere: bool,
    /// The timeout of the request.
    timeout: Duration,
}

impl HttpAnswer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header's text; also `None` if it is not valid text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The body of a document, with a minimum pace.
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

    /// Requests `path` below the API's root, with the schemes that the endpoint allows.
    pub(super) fn request(
        &self,
        endpoint: &RegistryEndpoint,
        path: &str,
        call: &Call<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<HttpAnswer, RequestFault> {
        let plain = |this: &Http| lock(&this.plain).contains(endpoint.authority());
        let mut schemes = endpoint.schemes();
        if schemes.len() > 1 && plain(self) {
            schemes = &schemes[1..];
        }
        let (last, before) = schemes.split_last().expect("an endpoint has a scheme");
        for scheme in before {
            let url = endpoint.url(scheme, path).map_err(RequestFault::Final)?;
            match self.follow(&url, call, authorization) {
                // A server that supports TLS, even if it fails, is not contacted without TLS.
                Err(fault) if fault.is_before_tls() => tracing::debug!(%fault, "no TLS at {}", endpoint.authority()),
                answered => return answered,
            }
        }
        let url = endpoint.url(last, path).map_err(RequestFault::Final)?;
        let answer = self.follow(&url, call, authorization)?;
        // Go's TLS servers answer plain HTTP with 400.
        if !before.is_empty() && answer.status() != StatusCode::BAD_REQUEST {
            lock(&self.plain).insert(endpoint.authority().to_string());
        }
        Ok(answer)
    }

    /// Requests one URL and follows its redirects.
    pub(super) fn follow(
        &self,
        first: &Url,
        call: &Call<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<HttpAnswer, RequestFault> {
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let is_elsewhere = url.origin() != first.origin();
            let authorization = authorization.filter(|_| !is_elsewhere);
            let response = self.once(&url, call, authorization)?;
            let may_follow = matches!(call.method, Method::GET | Method::HEAD);
            if !may_follow || !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(HttpAnswer { response, url, is_elsewhere, timeout: self.timeout() });
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            url = redirection(&url, location).map_err(RequestFault::Final)?;
        }
        Err(RequestFault::Final(SourceError::Unreachable {
            place: shown(first),
            cause: format!("more than {MAX_REDIRECTS} redirects"),
        }))
    }

    /// Called after the last attempt. If the host never answered, later requests to it fail at once.
    pub(super) fn give_up(&self, fault: &RequestFault) {
        if let Some((host, cause)) = fault.absence() {
            let absent = || Presence::Absent { cause: cause.to_string() };
            lock(&self.presences).entry(host.to_string()).or_insert_with(absent);
        }
    }

    fn once(&self, url: &Url, call: &Call<'_>, authorization: Option<&HeaderValue>) -> Result<Response, RequestFault> {
        let place = shown_host(url);
        if let Some(Presence::Absent { cause }) = lock(&self.presences).get(&place) {
            let cause = cause.clone();
            return Err(RequestFault::Final(SourceError::Unreachable { place, cause }));
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
            Err(error) => Err(RequestFault::from_error(&error, &place, self.timeout())),
        }
    }

    fn send(
        &self,
        client: &Client,
        url: &Url,
        call: &Call<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<reqwest::Result<Response>, RequestFault> {
        let mut request = client.request(call.method.clone(), url.clone()).headers(call.headers.clone());
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        request = match &call.payload {
            Payload::Empty => request,
            Payload::Bytes(bytes) => request.body(bytes.to_vec()),
            Payload::Stream { open, size } => {
                let body = Body::sized(open().map_err(RequestFault::Final)?, *size);
                // For an upload, the timeout covers the whole body.
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

/// The target of a redirect, if it may be followed.
fn redirection(url: &Url, location: Option<&str>) -> Result<Url, SourceError> {
    let refuse = |cause: String| SourceError::Unreachable { place: shown(url), cause };
    let next = location.and_then(|text| url.join(text).ok());
    let mut next = next.ok_or_else(|| refuse("a redirect to an invalid URL".to_string()))?;
    if !matches!(next.scheme(), "http" | "https") || next.host_str().is_none() {
        return Err(refuse(format!("a redirect to {}, which is not http", next.scheme())));
    }
    if url.scheme() == "https" && next.scheme() == "http" {
        return Err(refuse(format!("a redirect from https to plain {}", shown(&next))));
    }
    // Neither call can fail for a URL with a host.
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
        check("https://a.example/v2/x", "http://b.example/y?s=hunter2", Err("from https to plain http://"));
        check("https://a.example/v2/x", "file:///etc/passwd", Err("which is not http"));
        check("https://a.example/v2/x", "https://", Err("invalid URL"));
    }

    #[test]
    fn neither_logs_nor_errors_show_a_urls_secrets() {
        let url = Url::parse("https://u:hunter2@a.example:8443/v2/x?signature=hunter2").unwrap();
        assert_eq!(shown(&url), "https://a.example:8443/v2/x");
        let error = redirection(&url, Some("http://u:hunter2@b.example/?s=hunter2")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
