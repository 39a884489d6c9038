//! Maps a registry's name to the host to contact and the schemes to use. Pure.

use std::net::IpAddr;

use reqwest::Url;

use crate::source::SourceError;

/// A server of the distribution API, and the path at which its repositories begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RegistryEndpoint {
    /// The name in references and credentials: `docker.io`, `localhost:5000`.
    pub(super) name: String,
    /// Host and port to connect to.
    authority: String,
    /// Prefix of each repository's name: empty, or `cache/`.
    prefix: String,
    schemes: &'static [&'static str],
}

const TLS: &[&str] = &["https"];
const PLAIN: &[&str] = &["http"];
/// As in Docker for `insecure-registries`, which always include 127.0.0.0/8.
const TLS_THEN_PLAIN: &[&str] = &["https", "http"];

/// Whether connections may be unencrypted or to a server whose certificate is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsTrust {
    /// TLS with a verified certificate; plain HTTP only to this machine.
    Verified,
    /// Plain HTTP if the server does not support TLS, and any certificate: Docker's `insecure-registries`.
    Insecure,
}

impl RegistryEndpoint {
    /// The registry of a reference.
    pub(super) fn of_registry(host: &str, trust: TlsTrust) -> RegistryEndpoint {
        // Docker Hub's registry has another host name.
        let authority = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let schemes = if trust == TlsTrust::Insecure || is_loopback(host) { TLS_THEN_PLAIN } else { TLS };
        RegistryEndpoint { name: host.to_string(), authority: authority.to_string(), prefix: String::new(), schemes }
    }

    /// Parses a mirror from the configuration: `mirror.example`, `http://10.0.0.1:5000`,
    /// `https://harbor.example/hub-cache`.
    pub(super) fn of_mirror(text: &str, trust: impl Fn(&str) -> TlsTrust) -> Result<RegistryEndpoint, SourceError> {
        let malformed = |cause: String| SourceError::Malformed { place: format!("the mirror address {text:?}"), cause };
        let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let url = Url::parse(&format!("https://{authority}/")).map_err(|error| malformed(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SourceError::Malformed {
                place: format!("the mirror address of {}", url.host_str().unwrap_or_default()),
                cause: "it must not contain a credential; log in with docker or podman".to_string(),
            });
        }
        let registry = RegistryEndpoint::of_registry(authority, trust(authority));
        let schemes = match scheme {
            None => registry.schemes,
            Some("https") => TLS,
            Some("http") => PLAIN,
            Some(other) => return Err(malformed(format!("unknown scheme {other}; expected http or https"))),
        };
        let path = path.trim_matches('/');
        // The path may include the API's root, as in containerd's mirrors.
        let below = path.strip_prefix("v2").filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let path = below.unwrap_or(path).trim_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        Ok(RegistryEndpoint { prefix, schemes, ..registry })
    }

    /// The schemes to try, in this order.
    pub(super) fn schemes(&self) -> &'static [&'static str] {
        self.schemes
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// `path` below the API's root, `/v2/`.
    pub(super) fn url(&self, scheme: &str, path: &str) -> Result<Url, SourceError> {
        let text = format!("{scheme}://{}/v2/{path}", self.authority);
        Url::parse(&text)
            .map_err(|error| SourceError::Malformed { place: format!("the address {text}"), cause: error.to_string() })
    }

    /// The name of a repository on this server, and so on its token server.
    pub(super) fn repository(&self, repository: &str) -> String {
        format!("{}{repository}", self.prefix)
    }
}

/// Whether `host`, with or without a port, is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ipv6, _)) => ipv6,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A URL for logs and errors, without its query: signed URLs contain their secret there.
pub(super) fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), shown_host(url), url.path())
}

pub(super) fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: RegistryEndpoint, expected: &[&str]) {
        let urls: Vec<String> = endpoint
            .schemes()
            .iter()
            .map(|scheme| {
                endpoint.url(scheme, &format!("{}/manifests/1", endpoint.repository("a/b"))).unwrap().to_string()
            })
            .collect();
        assert_eq!(urls, expected, "{endpoint:?}");
    }

    #[test]
    fn plain_http_is_for_this_machine_and_on_request() {
        let of = |host, trust| RegistryEndpoint::of_registry(host, trust);
        check(of("ghcr.io", TlsTrust::Verified), &["https://ghcr.io/v2/a/b/manifests/1"]);
        check(of("docker.io", TlsTrust::Verified), &["https://registry-1.docker.io/v2/a/b/manifests/1"]);
        for host in ["localhost:5000", "127.0.0.1:5000", "127.9.9.9:5000", "[::1]:5000"] {
            let urls = [format!("https://{host}/v2/a/b/manifests/1"), format!("http://{host}/v2/a/b/manifests/1")];
            check(of(host, TlsTrust::Verified), &[&urls[0], &urls[1]]);
        }
        for host in ["10.0.0.1:5000", "localhost.example", "127.0.0.1.example:80"] {
            check(of(host, TlsTrust::Verified), &[&format!("https://{host}/v2/a/b/manifests/1")]);
        }
        let insecure = ["https://10.0.0.1:5000/v2/a/b/manifests/1", "http://10.0.0.1:5000/v2/a/b/manifests/1"];
        check(of("10.0.0.1:5000", TlsTrust::Insecure), &insecure);
    }

    #[test]
    fn a_mirror_may_have_a_scheme_and_a_path() {
        let of = |text| RegistryEndpoint::of_mirror(text, |_| TlsTrust::Verified).unwrap();
        check(of("mirror.example"), &["https://mirror.example/v2/a/b/manifests/1"]);
        check(of("http://10.0.0.1:5000/"), &["http://10.0.0.1:5000/v2/a/b/manifests/1"]);
        check(of("https://harbor.example/hub"), &["https://harbor.example/v2/hub/a/b/manifests/1"]);
        check(of("https://harbor.example/v2/hub/"), &["https://harbor.example/v2/hub/a/b/manifests/1"]);
        check(of("https://harbor.example/v2/"), &["https://harbor.example/v2/a/b/manifests/1"]);
        check(of("https://harbor.example/v2cache"), &["https://harbor.example/v2/v2cache/a/b/manifests/1"]);
        check(of("https://harbor.example/v2/v2/v2x"), &["https://harbor.example/v2/v2/v2x/a/b/manifests/1"]);
    }

    #[test]
    fn an_invalid_mirror_is_refused_without_its_secret() {
        assert!(RegistryEndpoint::of_mirror("ftp://x", |_| TlsTrust::Verified).is_err());
        assert!(RegistryEndpoint::of_mirror("https:///x", |_| TlsTrust::Verified).is_err());
        let error = RegistryEndpoint::of_mirror("https://u:hunter2@x.example/", |_| TlsTrust::Verified)
            .unwrap_err()
            .to_string();
        assert!(error.contains("x.example") && !error.contains("hunter2"), "{error}");
    }
}
