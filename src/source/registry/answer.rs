//! Translates a registry's refusals into errors with hints. Source: OCI distribution-spec, "Error Codes".

use std::io::Read;

use reqwest::Url;
use serde::Deserialize;

use super::endpoint::shown_host;
use super::http::HttpAnswer;
use super::retry::asked_wait;
use crate::source::SourceError;

/// Size limit of an error body. Error bodies take a few hundred bytes; a proxy's HTML page takes a few kilobytes.
const BODY_LIMIT: u64 = 64 << 10;
/// Limit for the characters of a server's text that are displayed.
const SHOWN_CHARS: usize = 300;

/// The requested object: its kind (`tag`, `manifest`, `blob`) and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestedObject {
    pub(super) what: &'static str,
    pub(super) name: String,
}

/// The identity that a request was made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Identity {
    #[default]
    Anonymous,
    /// Anonymous, because a credential helper failed with this error.
    Helpless(String),
    /// A user name, empty if the credential has none.
    User(String),
}

/// The server that refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerRole {
    Registry,
    TokenServer,
    /// The storage host that a registry redirects to for its contents.
    Store,
}

impl ServerRole {
    /// The server's name in messages. Users know only the registry, `host`, so it is always included.
    pub(super) fn place(self, url: &Url, host: &str) -> String {
        match self {
            ServerRole::Registry => host.to_string(),
            ServerRole::TokenServer => format!("the token server {} of {host}", shown_host(url)),
            ServerRole::Store => format!("the storage host {} that {host} redirected to", shown_host(url)),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    errors: Vec<RegistryError>,
}

#[derive(Deserialize)]
struct RegistryError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Error bodies of token servers, which are not standardised; these are Hub's, Go's and OAuth2's.
#[derive(Deserialize)]
struct TokenError {
    #[serde(alias = "error_description", alias = "message")]
    details: Option<String>,
    error: Option<String>,
}

/// Converts a refusal into an error. `host` is the registry's name as in references.
pub(super) fn refusal(
    host: &str,
    role: ServerRole,
    subject: &RequestedObject,
    identity: &Identity,
    answer: HttpAnswer,
) -> SourceError {
    let status = answer.status().as_u16();
    let place = role.place(&answer.url, host);
    let wait = asked_wait(answer.response.headers());
    let message = read_message(answer);
    let name = subject.name.clone();
    match status {
        // A storage host knows no users, only the URLs that the registry signs.
        401 | 403 if role == ServerRole::Store => {
            let cause = if message.is_empty() { format!("it answered {status}") } else { message };
            SourceError::Denied { name, place, cause }.with_hint("try again: the signed URL may have expired")
        }
        401 | 403 => denied(host, name, identity, &message),
        404 | 410 => {
            let error = SourceError::NotFound { what: subject.what, name, place };
            match message.as_str() {
                message if message.contains("NAME_UNKNOWN") => error.with_hint("check the repository's name"),
                _ if subject.what == "tag" => error.with_hint("check the tag's name"),
                _ => error,
            }
        }
        429 => {
            let asked = wait.map(|wait| format!("it asks to wait {} s", wait.as_secs()));
            let cause = [Some("too many requests".to_string()), asked, Some(message)];
            let cause = cause.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
            SourceError::Answer { name, place, status, cause }.with_hint(match (identity, role) {
                (Identity::User(_), _) | (_, ServerRole::Store) => "try again later, or use a mirror".to_string(),
                _ => format!("{} (limits are higher for users), or try again later", login(host)),
            })
        }
        _ => SourceError::Answer { name, place, status, cause: message },
    }
}

/// The error for a 401 or 403. Registries return the same status for private and missing repositories.
pub(super) fn denied(place: &str, name: String, identity: &Identity, message: &str) -> SourceError {
    let why = match identity {
        Identity::Anonymous => format!("it is missing, or private and there is no credential for {place}"),
        Identity::Helpless(failure) => {
            format!("it is missing, or private and the credential could not be obtained: {failure}")
        }
        Identity::User(user) if user.is_empty() => "it is missing, or the credential gives no access".to_string(),
        Identity::User(user) => format!("it is missing, or the credential of {user} gives no access"),
    };
    let cause = if message.is_empty() { why } else { format!("{why} ({message})") };
    SourceError::Denied { name, place: place.to_string(), cause }.with_hint(login(place))
}

fn login(place: &str) -> String {
    if place == "docker.io" { "docker login".to_string() } else { format!("docker login {place}") }
}

/// The message in the server's JSON body; empty if there is none.
pub(super) fn read_message(mut answer: HttpAnswer) -> String {
    let mut body = Vec::new();
    // The message only supplements an error that is reported anyway, so a read error is ignored.
    let _ = answer.body().take(BODY_LIMIT).read_to_end(&mut body);
    message(&body)
}

fn message(body: &[u8]) -> String {
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(body) {
        let messages = envelope.errors.iter().map(|error| {
            let parts = [error.code.as_str(), error.message.as_str()];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
        });
        return one_line(&messages.collect::<Vec<_>>().join("; "));
    }
    let token = serde_json::from_slice::<TokenError>(body).ok();
    one_line(&token.and_then(|error| error.details.or(error.error)).unwrap_or_default())
}

/// Untrusted text on one line, with bounded length and without control characters.
pub(super) fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        assert_eq!(message(body.as_bytes()), expected, "{body}");
    }

    #[test]
    fn the_servers_own_message_is_found() {
        check(r#"{"errors":[{"code":"DENIED","message":"no\naccess"}]}"#, "DENIED: no access");
        check(r#"{"errors":[{"code":"A"},{"message":"b","detail":{"x":1}}]}"#, "A; b");
        check(r#"{"details":"incorrect username or password"}"#, "incorrect username or password");
        check(r#"{"error":"invalid_grant","error_description":"expired"}"#, "expired");
        check(r#"{"error":"invalid_grant"}"#, "invalid_grant");
    }

    #[test]
    fn bodies_without_a_message_are_ignored() {
        check("", "");
        check("<html>Login</html>", "");
        check(r#"{"errors":null}"#, "");
        check("[]", "");
    }

    #[test]
    fn untrusted_text_cannot_move_the_cursor() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\nc"), "a [2Jb c");
        assert_eq!(one_line(&"x".repeat(1000)).len(), SHOWN_CHARS);
    }

    #[test]
    fn a_denial_states_the_cause_and_has_a_hint() {
        let error = denied("docker.io", "user/app".to_string(), &Identity::Anonymous, "");
        assert_eq!(
            error.to_string(),
            "docker.io refused access to user/app: it is missing, or private and there is no credential for docker.io"
        );
        assert_eq!(error.hint(), Some("docker login"));
        let error = denied("ghcr.io", "a/b".to_string(), &Identity::User("u".to_string()), "DENIED: denied");
        assert!(error.to_string().ends_with("the credential of u gives no access (DENIED: denied)"));
        assert_eq!(error.hint(), Some("docker login ghcr.io"));
    }
}
