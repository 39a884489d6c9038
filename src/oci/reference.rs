//! Image references as users type them: `alpine`, `user/app:v1`, `host:5000/x@sha256:...`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Digest;

/// The name of an image in a registry. Short names refer to Docker Hub.
/// Source: distribution/reference's grammar, `reference := name [ ":" tag ] [ "@" digest ]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// The text that the user typed, for messages.
    pub text: String,
    /// Registry host with its port: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub registry: String,
    /// `library/alpine`, `user/app`.
    pub repository: String,
    /// `latest` if the text has neither a tag nor a digest.
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not an image reference: {cause}")]
pub struct ReferenceError {
    pub text: String,
    pub cause: String,
}

/// Maximum length of a repository name. Source: distribution/reference, `RepositoryNameTotalLengthMax`.
const REPOSITORY_BYTES: usize = 255;
/// Source: distribution/reference, `tag`.
const TAG_BYTES: usize = 128;

impl Reference {
    /// Parses the grammar by hand: the regular expression of oci-spec takes 20 ms and 12 MB to build in every process
    /// and does not support IPv6 hosts. A test checks that both give the same results.
    pub fn parse(text: &str) -> Result<Reference, ReferenceError> {
        let shown = without_credentials(text);
        let refuse = |cause: &str| ReferenceError { text: shown.to_string(), cause: cause.to_string() };
        if shown.len() < text.len() {
            return Err(refuse("it contains credentials; remove them and log in with `docker login`"));
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return Err(refuse("it has a URL scheme; remove `http://` or `https://`"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>().map_err(|error| refuse(&error.to_string()))?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(refuse(
                "a tag has at most 128 letters, digits, `_`, `.` and `-`, and cannot start with `.` or `-`",
            ));
        }
        let (host, path) = split_host(name);
        if !host.is_none_or(|host| is_host(host) || is_component(host)) {
            return Err(refuse("the registry is not a valid host name"));
        }
        if has_capitals(path) {
            return Err(refuse("the repository name must be lower case"));
        }
        if path.split('/').any(|part| !is_component(part)) {
            return Err(refuse("each part of the name must be letters and digits, separated by `.`, `_`, `__` or `-`"));
        }
        let registry = host.filter(|host| *host != "index.docker.io").unwrap_or("docker.io").to_string();
        let is_official = registry == "docker.io" && !path.contains('/');
        let repository = if is_official { format!("library/{path}") } else { path.to_string() };
        if repository.len() > REPOSITORY_BYTES {
            return Err(refuse("the repository name is longer than 255 characters"));
        }
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None }).map(str::to_string);
        Ok(Reference { text: text.to_string(), registry, repository, tag, digest })
    }

    /// The digest or tag to request from a registry. The digest takes precedence.
    pub fn selector(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => "latest",
        }
    }

    /// Whether the registry was recognised only by its capital letters: `MyOrg/app`.
    pub fn has_registry_by_capitals(&self) -> bool {
        has_capitals(&self.registry) && !self.registry.contains(['.', ':', '['])
    }

    /// The name of the same repository at another digest.
    pub fn at(&self, digest: &Digest) -> String {
        format!("{}@{digest}", self.name())
    }

    /// Registry and repository as a user would type them, without the prefix of Docker Hub. Source:
    /// distribution/reference, `familiarizeName`.
    pub fn name(&self) -> String {
        let official = self.repository.strip_prefix("library/").filter(|short| !short.contains('/'));
        match (self.registry.as_str(), official) {
            ("docker.io", Some(short)) => short.to_string(),
            ("docker.io", None) => self.repository.clone(),
            (registry, _) => format!("{registry}/{}", self.repository),
        }
    }
}

/// Serialises the text that the user typed, which is parsed again.
impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.text
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Reference, ReferenceError> {
        Reference::parse(&text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Removes credentials that a user may have typed before the host: `user:password@host/app` becomes `host/app`. Returns
/// any other text unchanged: `app:v1@sha256:...` has no credentials.
pub fn without_credentials(text: &str) -> &str {
    let end = text.rfind('@').filter(|at| is_digest_like(&text[at + 1..])).unwrap_or(text.len());
    let start = text.find("://").map_or(0, |scheme| scheme + 3);
    let Some((user, host)) = text.get(start..end).and_then(|name| name.rsplit_once('@')) else { return text };
    let is_user = match user.split_once('/') {
        // A mistaken tag such as `app@v1.2` is not a host.
        None => !user.is_empty() && (user.contains(':') || host.contains(['/', ':'])),
        // A password may contain a slash, but a path such as `node_modules/@scope/app` has no colon before it.
        Some((first, _)) => first.contains(':') && host.contains('/'),
    };
    if is_user { &text[start + user.len() + 1..] } else { text }
}

/// Whether this looks like a digest, complete or not.
fn is_digest_like(text: &str) -> bool {
    let Some((algorithm, _)) = text.split_once(':') else { return false };
    let digits = algorithm.strip_prefix("sha");
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The tag follows a colon in the last part. An earlier colon precedes a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[last..].find(':') {
        Some(colon) => (&text[..last + colon], Some(&text[last + colon + 1..])),
        None => (text, None),
    }
}

/// The first part is a registry if it looks like a host or has capital letters, which names on Docker Hub cannot have;
/// otherwise the whole text is a name on Docker Hub. Source: distribution/reference, `splitDockerDomain`.
fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((host, path)) if host == "localhost" || host.contains(['.', ':', '[']) || has_capitals(host) => {
            (Some(host), path)
        }
        _ => (None, name),
    }
}

fn has_capitals(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_inner = |byte: u8| is_word(byte) || matches!(byte, b'.' | b'-');
    tag.len() <= TAG_BYTES && tag.bytes().next().is_some_and(is_word) && tag.bytes().all(is_inner)
}

/// `path-component := alpha-numeric [ separator alpha-numeric ]*`, `separator := /[_.]|__|[-]*/`.
fn is_component(part: &str) -> bool {
    let mut separators = part.split(|char: char| char.is_ascii_lowercase() || char.is_ascii_digit());
    let starts = separators.next() == Some("");
    let is_right = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    !part.is_empty() && starts && separators.next_back() == Some("") && separators.all(is_right)
}

/// A domain name or an IPv6 address in brackets, with an optional port.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':').filter(|(name, _)| !name.starts_with('[') || name.ends_with(']')) {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let is_label = |label: &str| {
        let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        is_edge(label.bytes().next())
            && is_edge(label.bytes().next_back())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_name = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(is_label),
    };
    is_name && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, registry: &str, repository: &str, shown: &str) {
        let reference = Reference::parse(text).unwrap();
        assert_eq!((reference.registry.as_str(), reference.repository.as_str()), (registry, repository), "{text}");
        assert_eq!(reference.to_string(), shown, "{text}");
    }

    #[test]
    fn names_read_as_docker_reads_them() {
        check("alpine", "docker.io", "library/alpine", "alpine:latest");
        check("user/app:v1", "docker.io", "user/app", "user/app:v1");
        check("docker.io/user/app", "docker.io", "user/app", "user/app:latest");
        check("localhost:5000/x", "localhost:5000", "x", "localhost:5000/x:latest");
        check("ghcr.io/a/b/c:1", "ghcr.io", "a/b/c", "ghcr.io/a/b/c:1");
        check("[::1]:5000/x:2", "[::1]:5000", "x", "[::1]:5000/x:2");
        check("[fe80::1]/x", "[fe80::1]", "x", "[fe80::1]/x:latest");
        check("index.docker.io/app", "docker.io", "library/app", "app:latest");
        check("app:5000", "docker.io", "library/app", "app:5000");
        check("MyOrg/app:v1", "MyOrg", "app", "MyOrg/app:v1");
        check("Localhost/x", "Localhost", "x", "Localhost/x:latest");
    }

    #[test]
    fn a_digest_wins_over_its_tag() {
        let digest = Digest::from_bytes(b"x");
        let reference = Reference::parse(&format!("user/app:v1@{digest}")).unwrap();
        assert_eq!(reference.selector(), digest.as_str());
        assert_eq!(reference.tag.as_deref(), Some("v1"));
        assert_eq!(Reference::parse(&format!("user/app@{digest}")).unwrap().tag, None);
    }

    #[test]
    fn invalid_references_are_refused() {
        let names = [
            "",
            "User/App",
            "User",
            "A_b/c",
            "A-/c",
            "a b",
            "app:",
            "app@sha256:12",
            "http://x/y",
            "-x",
            "[::1]",
            "[::x]/y",
            "x..y/z",
            "a/ü",
        ];
        for text in names {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_are_refused_and_never_repeated() {
        let digest = Digest::from_bytes(b"x");
        for text in [
            "user:hunter2@registry.example/app",
            "user:hunter2@registry.example:5000/app:v1",
            "hunter2@registry.example/app",
            "user:hunter2@localhost:5000/app",
            "user:hunter2@localhost:5000",
            "user:hunter2@registry.example",
            "user:hun/ter2@registry.example/app",
            "user:hunter2@p@registry.example/app",
            "https://user:hunter2@registry.example/app",
            &format!("user:hunter2@registry.example/app@{digest}"),
        ] {
            let error = Reference::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hun") && !error.contains("ter2"), "{error}");
            assert!(error.contains("docker login"), "{error}");
        }
    }

    #[test]
    fn a_name_without_credentials_stays_whole() {
        let digest = Digest::from_bytes(b"x");
        for text in [
            "user/app:v1",
            &format!("app:v1@{digest}"),
            "app@sha256:12",
            "node_modules/@scope/app",
            "app@v1.2",
            "@x",
            "",
        ] {
            assert_eq!(without_credentials(text), text);
        }
    }

    /// Parses the text with oci-spec's regular expression. It does not recognise a host by its capital letters, so such
    /// a host gets a port.
    fn by_oci_spec(text: &str) -> Option<(String, String, Option<String>, Option<Digest>)> {
        let first = text.split_once('/').map_or("", |(first, _)| first);
        let is_by_capitals = has_capitals(first) && !first.contains(['.', ':', '@']);
        let with_port = if is_by_capitals { text.replacen('/', ":1/", 1) } else { text.to_string() };
        let parsed: oci_spec::distribution::Reference = with_port.parse().ok()?;
        let digest = parsed.digest().map(str::parse::<Digest>).transpose().ok()?;
        let (registry, repository) = (parsed.registry().to_string(), parsed.repository().to_string());
        let registry = if is_by_capitals { first.to_string() } else { registry };
        (!has_capitals(&repository)).then(|| (registry, repository, parsed.tag().map(str::to_string), digest))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_grammar_is_that_of_oci_spec(text in prop_oneof![
            "[a-cA0-1._:/@-]{0,12}",
            "((localhost|a-b|[a-bA.:_-]{1,6}|index\\.docker\\.io|docker\\.io)(:[0-9]{0,2})?/)?[ab0._-]{1,6}(/[ab_-]{1,4})?(:[aA0._-]{0,4})?(@sha(256|384|512):([0-9a]{64}|[0-9A]{64}|b{96}|b{128}))?",
        ]) {
            let own = Reference::parse(&text).ok();
            let own = own.map(|own| (own.registry, own.repository, own.tag, own.digest));
            prop_assert_eq!(own, by_oci_spec(&text), "{}", text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            let _ = Reference::parse(&text);
        }
    }
}
