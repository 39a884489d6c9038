//! What a registry's refusals mean, in words, with what to do about them.
//! Source: OCI distribution-spec, "Error Codes".

use std::io::Read;

use reqwest::Url;
use serde::Deserialize;

use super::endpoint::shown_host;
use super::http::Answer;
use super::retry::asked_wait;
use crate::source::SourceError;

/// Error bodies are a few hundred bytes; a proxy's HTML page is some kilobytes.
const BODY_LIMIT: u64 = 64 << 10;
/// The longest text of a server that is shown.
const SHOWN_CHARS: usize = 300;

/// What was asked for: `tag`, `manifest`, `blob`, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) what: &'static str,
    pub(super) name: String,
}

/// In whose name it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Identity {
    #[default]
    Anonymous,
    /// Anonymous, because a credential helper failed so.
    Helpless(String),
    /// A user's name, or empty where the credential has none.
    User(String),
}

/// Which server refused, of those that one request may meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Registry,
    TokenServer,
    /// Where a registry keeps its contents, and sends whoever asks for them.
    Store,
}

impl Role {
    /// The server at `url` as messages name it: people know the registry, `host`, only.
    pub(super) fn place(self, url: &Url, host: &str) -> String {
        match self {
            Role::Registry => host.to_string(),
            Role::TokenServer => format!("the token server {} of {host}", shown_host(url)),
            Role::Store => format!("the storage host {} that {host} redirected to", shown_host(url)),
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

/// Token servers have no envelope of their own; these are Hub's, Go's and OAuth2's.
#[derive(Deserialize)]
struct TokenError {
    #[serde(alias = "error_description", alias = "message")]
    details: Option<String>,
    error: Option<String>,
}

/// Turns the refusal into the error that says it. `host` is the registry as people call it.
pub(super) fn refusal(host: &str, role: Role, subject: &Subject, identity: &Identity, answer: Answer) -> SourceError {
    let status = answer.status().as_u16();
    let place = role.place(&answer.url, host);
    let wait = asked_wait(answer.response.headers());
    let said = read_message(answer);
    let name = subject.name.clone();
    match status {
        // A store knows no users, only the addresses that the registry signs.
        401 | 403 if role == Role::Store => {
            let cause = if said.is_empty() { format!("it answered {status}") } else { said };
            SourceError::Denied { name, place, cause }.with_hint("try again: the address may have run out on the way")
        }
        401 | 403 => denied(host, name, identity, &said),
        404 | 410 => {
            let error = SourceError::NotFound { what: subject.what, name, place };
            match said.as_str() {
                said if said.contains("NAME_UNKNOWN") => error.with_hint("check the repository's name"),
                _ if subject.what == "tag" => error.with_hint("check the tag's name"),
                _ => error,
            }
        }
        429 => {
            let asked = wait.map(|wait| format!("it asks to wait {} s", wait.as_secs()));
            let cause = [Some("too many requests".to_string()), asked, Some(said)];
            let cause = cause.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
            SourceError::Answer { name, place, status, cause }.with_hint(match (identity, role) {
                (Identity::User(_), _) | (_, Role::Store) => "try again later, or use a mirror".to_string(),
                _ => format!("{} (limits are higher for users), or try again later", login(host)),
            })
        }
        _ => SourceError::Answer { name, place, status, cause: said },
    }
}

/// A refusal for want of rights. Registries that hide what is private answer the same for what does not exist.
pub(super) fn denied(place: &str, name: String, identity: &Identity, said: &str) -> SourceError {
    let why = match identity {
        Identity::Anonymous => format!("it is missing, or private and there is no credential for {place}"),
        Identity::Helpless(failure) => {
            format!("it is missing, or private and the credential could not be had: {failure}")
        }
        Identity::User(user) if user.is_empty() => "it is missing, or the credential gives no access".to_string(),
        Identity::User(user) => format!("it is missing, or the credential of {user} gives no access"),
    };
    let cause = if said.is_empty() { why } else { format!("{why} ({said})") };
    SourceError::Denied { name, place: place.to_string(), cause }.with_hint(login(place))
}

fn login(place: &str) -> String {
    if place == "docker.io" { "docker login".to_string() } else { format!("docker login {place}") }
}

/// The server's own words, from its JSON; empty where it has none.
pub(super) fn read_message(mut answer: Answer) -> String {
    let mut body = Vec::new();
    // Only an ornament of an error that is told anyway: what cannot be read is left out.
    let _ = answer.body().take(BODY_LIMIT).read_to_end(&mut body);
    message(&body)
}

fn message(body: &[u8]) -> String {
    if let Ok(envelope) = serde_json::from_slice::<Envelope>(body) {
        let said = envelope.errors.iter().map(|error| {
            let parts = [error.code.as_str(), error.message.as_str()];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
        });
        return one_line(&said.collect::<Vec<_>>().join("; "));
    }
    let token = serde_json::from_slice::<TokenError>(body).ok();
    one_line(&token.and_then(|error| error.details.or(error.error)).unwrap_or_default())
}

/// A stranger's text as one line of bounded length without control characters.
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
    fn the_servers_own_words_are_found() {
        check(r#"{"errors":[{"code":"DENIED","message":"no\naccess"}]}"#, "DENIED: no access");
        check(r#"{"errors":[{"code":"A"},{"message":"b","detail":{"x":1}}]}"#, "A; b");
        check(r#"{"details":"incorrect username or password"}"#, "incorrect username or password");
        check(r#"{"error":"invalid_grant","error_description":"expired"}"#, "expired");
        check(r#"{"error":"invalid_grant"}"#, "invalid_grant");
    }

    #[test]
    fn what_is_no_message_is_left_out() {
        check("", "");
        check("<html>Login</html>", "");
        check(r#"{"errors":null}"#, "");
        check("[]", "");
    }

    #[test]
    fn a_strangers_text_cannot_move_the_cursor() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\nc"), "a [2Jb c");
        assert_eq!(one_line(&"x".repeat(1000)).len(), SHOWN_CHARS);
    }

    #[test]
    fn a_denial_says_why_and_what_to_do() {
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
