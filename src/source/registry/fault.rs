//! Failed requests without an answer: the cause in words, and whether another attempt may succeed.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use crate::source::SourceError;

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum RequestFault {
    /// No connection, or one that ended before the answer.
    Passing { place: String, cause: String },
    /// Connected, but no answer.
    Silent { place: String, cause: String },
    /// No TLS connection could be established.
    NoTls { place: String, cause: String },
    /// The server answers, but not in TLS.
    Plain { place: String },
    /// The name cannot be resolved here; a proxy may resolve it.
    NoHost { place: String, cause: String },
    /// Another attempt cannot help.
    Final(SourceError),
}

impl RequestFault {
    /// `place` is the host; `timeout` is the timeout of the request.
    pub(super) fn from_error(error: &reqwest::Error, place: &str, timeout: Duration) -> RequestFault {
        let (place, cause) = (place.to_string(), text(error));
        match find::<rustls::Error>(error) {
            Some(rustls::Error::InvalidCertificate(reason)) => {
                let cause = match reason {
                    CertificateError::UnknownIssuer => "its certificate is from an untrusted authority".to_string(),
                    _ if is_self_signed(error) => "its certificate is self-signed and not trusted".to_string(),
                    _ => cause,
                };
                return RequestFault::Final(SourceError::Unreachable { place, cause }.with_hint(CERTIFICATE_HINT));
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                return RequestFault::Plain { place };
            }
            Some(_) => return RequestFault::Passing { place, cause },
            None => {}
        }
        if error.is_timeout() {
            return match error.is_connect() {
                true => RequestFault::NoTls { place, cause: "no connection in time".to_string() },
                false => RequestFault::Silent { place, cause: format!("no answer within {} s", timeout.as_secs_f32()) },
            };
        }
        // A name that does not exist will not exist a second later either.
        if error.is_dns() && !cause.contains("Temporary failure") {
            return RequestFault::NoHost { place, cause };
        }
        if error.is_builder() {
            return RequestFault::Final(SourceError::Unreachable { place, cause });
        }
        if error.is_connect() { RequestFault::NoTls { place, cause } } else { RequestFault::Passing { place, cause } }
    }

    /// For a TLS client that could not be built.
    pub(super) fn no_tls(error: &reqwest::Error, place: &str) -> RequestFault {
        RequestFault::NoTls { place: place.to_string(), cause: text(error) }
    }

    /// Whether the connection failed before the server showed that it supports TLS.
    pub(super) fn is_before_tls(&self) -> bool {
        matches!(self, RequestFault::NoTls { .. } | RequestFault::Plain { .. } | RequestFault::NoHost { .. })
    }

    /// The host and the cause, if nothing shows that the host exists.
    pub(super) fn absence(&self) -> Option<(&str, &str)> {
        match self {
            RequestFault::NoTls { place, cause } | RequestFault::Silent { place, cause } => Some((place, cause)),
            _ => None,
        }
    }

    pub(super) fn is_passing(&self) -> bool {
        !matches!(self, RequestFault::Final(_) | RequestFault::Plain { .. } | RequestFault::NoHost { .. })
    }
}

/// Whether a server's certificate was rejected because it is an authority's, as most self-signed ones are.
pub(super) fn is_self_signed(error: &reqwest::Error) -> bool {
    // rustls passes webpki's reason on without its type.
    matches!(
        find::<rustls::Error>(error),
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(reason)))
            if format!("{reason:?}").contains("CaUsedAsEndEntity")
    )
}

const CERTIFICATE_HINT: &str =
    "trust the certificate of its authority with --ca-cert FILE, or skip verification with --insecure";
const PLAIN: &str = "it does not speak TLS";
const PLAIN_HINT: &str = "if plain HTTP is intended, allow it with --insecure";
const NO_AUTHORITIES: &str = "No CA certificates were loaded from the system";

impl From<RequestFault> for SourceError {
    fn from(fault: RequestFault) -> SourceError {
        match fault {
            RequestFault::Final(error) => error,
            RequestFault::Plain { place } => {
                SourceError::Unreachable { place, cause: PLAIN.to_string() }.with_hint(PLAIN_HINT)
            }
            RequestFault::Passing { place, cause }
            | RequestFault::Silent { place, cause }
            | RequestFault::NoTls { place, cause }
            | RequestFault::NoHost { place, cause } => SourceError::Unreachable { place, cause },
        }
    }
}

/// Whether building a TLS client failed because the system has no certificate authorities.
pub(super) fn is_without_authorities(error: &reqwest::Error) -> bool {
    // Only the debug text contains the verifier's message.
    format!("{error:?}").contains(NO_AUTHORITIES)
}

impl fmt::Display for RequestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestFault::Final(error) => error.fmt(f),
            RequestFault::Plain { .. } => f.write_str(PLAIN),
            RequestFault::Passing { cause, .. }
            | RequestFault::Silent { cause, .. }
            | RequestFault::NoTls { cause, .. }
            | RequestFault::NoHost { cause, .. } => f.write_str(cause),
        }
    }
}

/// The chain of causes, outermost first. An `io::Error` does not expose its inner error through `source`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// Prefixes that the libraries add for their own layers.
const LAYERS: [&str; 5] =
    ["client error (", "dns error", "error resolving DNS", "tcp connect error", "unexpected error"];

/// An error for display: without the URL, which may contain a secret, and without the libraries' layers.
pub(in crate::source) fn text(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let part = cause.to_string().replacen("tunnel error", "the environment's proxy refused the connection", 1);
        let is_layer = LAYERS.iter().any(|layer| part.starts_with(layer));
        if !is_layer && !is_wrapper(cause) && parts.last() != Some(&part) {
            parts.push(part);
        }
    }
    if parts.is_empty() { "the request failed".to_string() } else { parts.join(": ") }
}

/// Errors that repeat their cause's text, or whose text contains the URL.
fn is_wrapper(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<reqwest::Error>() || cause.downcast_ref::<io::Error>().is_some_and(|error| error.get_ref().is_some())
}
