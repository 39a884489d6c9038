//! Builds HTTP clients, one for each kind of connection, with its certificates, on first use.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{Certificate, Url};
use rustls::pki_types::CertificateDer;

use super::certs::{self, HostCerts};
use super::endpoint::{TlsTrust, shown_host};
use super::exempt::is_exempt;
use super::fault::{self, RequestFault};
use super::pinned;
use super::{HostOptions, trust_of};
use crate::source::SourceError;

/// Settings for connections, fixed before the first one.
#[derive(Clone, Debug)]
pub(super) struct HttpOptions {
    pub(super) trust: TlsTrust,
    /// PEM files of certificates that are trusted in addition to the system's.
    pub(super) ca_certs: Vec<PathBuf>,
    /// Settings for single hosts, by host name.
    pub(super) hosts: BTreeMap<String, HostOptions>,
    /// `certs.d` directories.
    pub(super) cert_folders: Vec<PathBuf>,
    pub(super) connect_timeout: Duration,
    /// Timeout for an answer's headers and for each piece of its body, not for the whole body.
    pub(super) timeout: Duration,
    pub(super) no_proxy: String,
    pub(super) user_agent: String,
}

/// The clients of a run. Each has a separate connection pool and thread.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) options: HttpOptions,
    authorities: Vec<CertificateDer<'static>>,
    clients: Mutex<HashMap<ClientKey, Client>>,
    /// The content of `certs.d`, by host and port.
    certs: Mutex<HashMap<String, HostCerts>>,
}

/// The key of a client. Clients are separate because a TLS client cannot be built on a machine without certificate
/// authorities, because a key is for one host, and because connections to this machine bypass the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ClientKey {
    Tls(ProxyUse),
    /// To a host with its own certificates.
    TlsTo(ProxyUse, String),
    /// To a host whose certificate itself was named by the user.
    Pinned(ProxyUse, String),
    Plain(ProxyUse),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ProxyUse {
    Direct,
    Proxied,
}

impl Connections {
    pub(super) fn new(options: HttpOptions) -> Result<Connections, SourceError> {
        // An error means that the process already has a provider, which works as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut authorities = Vec::new();
        for path in &options.ca_certs {
            authorities.extend(certs::read_authorities(path)?);
        }
        Ok(Connections { options, authorities, clients: Mutex::default(), certs: Mutex::default() })
    }

    /// The client for `url`.
    pub(super) fn client(&self, url: &Url) -> Result<Client, RequestFault> {
        let (via, host) = (self.via(url), shown_host(url));
        if url.scheme() != "https" {
            return self.known_or(ClientKey::Plain(via), &host, || self.builder(via).tls_certs_only([]).build());
        }
        let pinned = lock(&self.clients).get(&ClientKey::Pinned(via, host.clone())).cloned();
        if let Some(client) = pinned {
            return Ok(client);
        }
        let certs = self.certs_of(&host)?;
        let trust = trust_of(&host, self.options.trust, &self.options.hosts);
        let is_own = !certs.is_empty() || trust != self.options.trust;
        let route = if is_own { ClientKey::TlsTo(via, host.clone()) } else { ClientKey::Tls(via) };
        self.known_or(route, &host, || {
            let builder = || match &certs.identity {
                None => Ok(self.builder(via)),
                Some(pem) => reqwest::Identity::from_pem(pem).map(|identity| self.builder(via).identity(identity)),
            };
            if trust == TlsTrust::Insecure {
                return builder()?.tls_certs_only([]).tls_danger_accept_invalid_certs(true).build();
            }
            let authorities = self.authorities.iter().chain(&certs.authorities);
            let authorities = authorities.map(|der| Certificate::from_der(der)).collect::<reqwest::Result<Vec<_>>>()?;
            match builder()?.tls_certs_merge(authorities.clone()).build() {
                Err(error) if fault::is_without_authorities(&error) => {
                    tracing::debug!("this system has no certificate authorities: Mozilla's are used");
                    builder()?.tls_certs_only(mozilla()?.into_iter().chain(authorities)).build()
                }
                built => built,
            }
        })
    }

    /// The client for a host whose certificate is its own authority, also used for later requests. `None` if the user
    /// named no certificate.
    pub(super) fn pinned(&self, url: &Url) -> Result<Option<Client>, RequestFault> {
        let (via, host) = (self.via(url), shown_host(url));
        let certs = self.certs_of(&host)?;
        let named: Vec<_> = self.authorities.iter().chain(&certs.authorities).cloned().collect();
        if named.is_empty() {
            return Ok(None);
        }
        let config = pinned::config(named, certs.identity.as_deref()).map_err(|error| {
            let (place, cause) = (host.clone(), error.to_string());
            RequestFault::Final(SourceError::Unreachable { place, cause })
        })?;
        let build = || self.builder(via).tls_backend_preconfigured(config.clone()).build();
        self.known_or(ClientKey::Pinned(via, host.clone()), &host, build).map(Some)
    }

    fn known_or(
        &self,
        route: ClientKey,
        host: &str,
        build: impl FnOnce() -> reqwest::Result<Client>,
    ) -> Result<Client, RequestFault> {
        let mut clients = lock(&self.clients);
        if let Some(client) = clients.get(&route) {
            return Ok(client.clone());
        }
        let client = build().map_err(|error| RequestFault::no_tls(&error, host))?;
        clients.insert(route, client.clone());
        Ok(client)
    }

    fn certs_of(&self, host: &str) -> Result<HostCerts, RequestFault> {
        let mut certs = lock(&self.certs);
        if let Some(known) = certs.get(host) {
            return Ok(known.clone());
        }
        let mut found = certs::read_host(&self.options.cert_folders, host).map_err(RequestFault::Final)?;
        for path in self.options.hosts.get(host).iter().flat_map(|options| &options.ca_certs) {
            found.authorities.extend(certs::read_authorities(path).map_err(RequestFault::Final)?);
        }
        Ok(certs.entry(host.to_string()).or_insert(found).clone())
    }

    fn via(&self, url: &Url) -> ProxyUse {
        if is_exempt(url, &self.options.no_proxy) { ProxyUse::Direct } else { ProxyUse::Proxied }
    }

    fn builder(&self, via: ProxyUse) -> ClientBuilder {
        let options = &self.options;
        let builder = Client::builder()
            .user_agent(options.user_agent.clone())
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .tcp_keepalive(Duration::from_secs(30))
            .referer(false)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // Automatic decompression would change the digest.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            // One connection per layer: over HTTP/2 all layers would share one.
            .http1_only();
        match via {
            ProxyUse::Direct => builder.no_proxy(),
            ProxyUse::Proxied => builder,
        }
    }
}

/// The authorities that Mozilla trusted when this program was built.
fn mozilla() -> reqwest::Result<Vec<Certificate>> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
