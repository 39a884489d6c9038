//! Image references as users type them: `alpine`, `user/app:v1`, `host:5000/x@sha256:...`.

use std::fmt;

use super::Digest;

/// The name of an image in a registry. Short names are Docker Hub's.
/// Source: distribution/reference grammar, by `oci-spec`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// What the user typed, for messages.
    pub text: String,
    /// Registry host with its port: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub registry: String,
    /// `library/alpine`, `user/app`.
    pub repository: String,
    /// The tag; `latest` where neither a tag nor a digest was given.
    pub tag: Option<String>,
    pub digest: Option<Digest>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not an image reference: {cause}")]
pub struct ReferenceError {
    pub text: String,
    pub cause: String,
}

/// Stands for an IPv6 host while oci-spec, which knows no such hosts, reads the rest.
const IPV6_PLACEHOLDER: &str = "ipv6.invalid";

impl Reference {
    pub fn parse(text: &str) -> Result<Reference, ReferenceError> {
        let refuse = |cause: String| ReferenceError { text: text.to_string(), cause };
        let (ipv6, readable) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
                (Some(format!("[{host}]")), format!("{IPV6_PLACEHOLDER}{rest}"))
            }
            _ => (None, text.to_string()),
        };
        let parsed: oci_spec::distribution::Reference = readable.parse().map_err(|error| refuse(format!("{error}")))?;
        let mut registry = match parsed.registry() {
            "index.docker.io" => "docker.io".to_string(),
            other => other.to_string(),
        };
        if let Some(host) = ipv6 {
            registry = registry.replace(IPV6_PLACEHOLDER, &host);
        }
        let repository = parsed.repository().to_string();
        if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refuse("a repository name is lower case".to_string()));
        }
        let digest =
            parsed.digest().map(str::parse::<Digest>).transpose().map_err(|error| refuse(error.to_string()))?;
        let tag = parsed.tag().map(str::to_string).or_else(|| digest.is_none().then(|| "latest".to_string()));
        Ok(Reference { text: text.to_string(), registry, repository, tag, digest })
    }

    /// What a registry is asked for: the digest where there is one, else the tag.
    pub fn selector(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => "latest",
        }
    }

    /// The same repository at another digest, as a command line wants it.
    pub fn at(&self, digest: &Digest) -> String {
        format!("{}@{digest}", self.name())
    }

    /// Registry and repository as a user would type them: Docker Hub's prefix is left out.
    pub fn name(&self) -> String {
        match (self.registry.as_str(), self.repository.strip_prefix("library/")) {
            ("docker.io", Some(short)) => short.to_string(),
            ("docker.io", None) => self.repository.clone(),
            (registry, _) => format!("{registry}/{}", self.repository),
        }
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

#[cfg(test)]
mod tests {
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
    }

    #[test]
    fn a_digest_wins_over_its_tag() {
        let digest = Digest::of(b"x");
        let reference = Reference::parse(&format!("user/app:v1@{digest}")).unwrap();
        assert_eq!(reference.selector(), digest.as_str());
        assert_eq!(reference.tag.as_deref(), Some("v1"));
        assert_eq!(Reference::parse(&format!("user/app@{digest}")).unwrap().tag, None);
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in ["", "User/App", "a b", "app:", "app@sha256:12", "http://x/y", "-x"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
