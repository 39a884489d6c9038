//! Decides which hosts are contacted without the environment's proxy.

use reqwest::Url;

use super::endpoint::is_loopback;

/// Follows Go's `ProxyFromEnvironment`, which docker and containerd use: connections to this machine and to the entries
/// of `NO_PROXY` bypass the proxy. reqwest handles hosts, domains and networks in that list; this function handles a
/// host with its port, such as `registry.example:5000`, and `*.example`. Source: golang.org/x/net/http/httpproxy.
pub(super) fn is_exempt(url: &Url, no_proxy: &str) -> bool {
    is_loopback(url.authority()) || is_named(no_proxy, url)
}

/// Whether an entry of `listed` that has a port or begins with `*.` matches the URL's host or one of its parent
/// domains.
fn is_named(listed: &str, url: &Url) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    listed.split(',').map(str::trim).any(|entry| {
        let (name, wanted) = match entry.rsplit_once(':') {
            Some((name, wanted)) => (name, wanted.parse().ok()),
            None if entry.starts_with("*.") => (entry, Some(port)),
            None => return false,
        };
        let name = name.to_ascii_lowercase();
        let (name, is_domain_only) = match name.strip_prefix('*').unwrap_or(&name).strip_prefix('.') {
            Some(domain) => (domain, true),
            None => (name.as_str(), false),
        };
        let below = host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        wanted == Some(port) && (below || !is_domain_only && host == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listed: &str, url: &str, expected: bool) {
        assert_eq!(is_named(listed, &Url::parse(url).unwrap()), expected, "{listed} {url}");
    }

    #[test]
    fn a_host_with_its_port_and_a_starred_domain_bypass_the_proxy() {
        check("other, Registry.example:5000", "https://registry.example:5000/v2/", true);
        check("registry.example:5000", "https://registry.example/v2/", false);
        check("registry.example:443", "https://registry.example/v2/", true);
        check("example:5000", "http://registry.example:5000/", true);
        check("example:5000", "http://myexample:5000/", false);
        check(".example:5000", "http://example:5000/", false);
        check("*.example:5000", "http://a.example:5000/", true);
        check("*.Example", "http://a.b.example:5000/", true);
        check("*.example", "http://example:5000/", false);
        check("*.example", "http://myexample/", false);
        check("10.0.0.1:5000", "http://10.0.0.1:5000/", true);
        check("[fd00::1]:5000", "http://[fd00::1]:5000/", true);
        check("fd00::1", "http://[fd00::1]:5000/", false);
        check("", "http://registry.example:5000/", false);
    }
}
