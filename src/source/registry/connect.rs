//! What connections are made with: a client for each kind of them, with its certificates, made when first needed.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{Certificate, Url};
use rustls::pki_types::CertificateDer;

use super::certs::{self, HostCerts};
use super::endpoint::{Trust, shown_host};
use super::exempt::is_exempt;
use super::fault::{self, Fault};
use super::pinned;
use super::{HostOptions, trust_of};
use crate::source::SourceError;

/// What is decided about connections before the first one.
#[derive(Clone, Debug)]
pub(super) struct HttpOptions {
    pub(super) trust: Trust,
    /// PEM files with certificates that are trusted beside the system's.
    pub(super) ca_certs: Vec<PathBuf>,
    /// By host: what holds for that one only.
    pub(super) hosts: BTreeMap<String, HostOptions>,
    /// `certs.d` folders.
    pub(super) cert_folders: Vec<PathBuf>,
    pub(super) connect_timeout: Duration,
    /// For an answer's headers and for each piece of its body, not for the whole of it.
    pub(super) timeout: Duration,
    pub(super) no_proxy: String,
    pub(super) user_agent: String,
}

/// The clients of a run. Each has a pool of connections and a thread of its own.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) options: HttpOptions,
    authorities: Vec<CertificateDer<'static>>,
    clients: Mutex<HashMap<Route, Client>>,
    /// By host and port, what its `certs.d` folder holds.
    certs: Mutex<HashMap<String, HostCerts>>,
}

/// Clients are told apart because one for TLS cannot be made on a machine without certificate authorities, a key is
/// for one host, and this machine is not asked through a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Route {
    Tls(Reach),
    /// To a host with certificates of its own.
    TlsTo(Reach, String),
    /// To a host whose certificate was named by the user as it is.
    Pinned(Reach, String),
    Plain(Reach),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reach {
    Direct,
    ByProxy,
}

impl Connections {
    pub(super) fn new(options: HttpOptions) -> Result<Connections, SourceError> {
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut authorities = Vec::new();
        for path in &options.ca_certs {
            authorities.extend(certs::read_authorities(path)?);
        }
        Ok(Connections { options, authorities, clients: Mutex::default(), certs: Mutex::default() })
    }

    /// What `url` is asked with.
    pub(super) fn client(&self, url: &Url) -> Result<Client, Fault> {
        let (reach, host) = (self.reach(url), shown_host(url));
        if url.scheme() != "https" {
            return self.known_or(Route::Plain(reach), &host, || self.builder(reach).tls_certs_only([]).build());
        }
        let pinned = lock(&self.clients).get(&Route::Pinned(reach, host.clone())).cloned();
        if let Some(client) = pinned {
            return Ok(client);
        }
        let certs = self.certs_of(&host)?;
        let trust = trust_of(&host, self.options.trust, &self.options.hosts);
        let is_own = !certs.is_empty() || trust != self.options.trust;
        let route = if is_own { Route::TlsTo(reach, host.clone()) } else { Route::Tls(reach) };
        self.known_or(route, &host, || {
            let builder = || match &certs.identity {
                None => Ok(self.builder(reach)),
                Some(pem) => reqwest::Identity::from_pem(pem).map(|identity| self.builder(reach).identity(identity)),
            };
            if trust == Trust::Insecure {
                return builder()?.tls_certs_only([]).tls_danger_accept_invalid_certs(true).build();
            }
            let authorities = self.authorities.iter().chain(&certs.authorities);
            let authorities = authorities.map(|der| Certificate::from_der(der)).collect::<reqwest::Result<Vec<_>>>()?;
            match builder()?.tls_certs_merge(authorities.clone()).build() {
                Err(error) if fault::is_without_authorities(&error) => {
                    tracing::debug!("this system has no certificate authorities: Mozilla's are trusted");
                    builder()?.tls_certs_only(mozilla()?.into_iter().chain(authorities)).build()
                }
                built => built,
            }
        })
    }

    /// What a host is asked with from now on whose certificate is its own authority; `None`: the user named none.
    pub(super) fn pinned(&self, url: &Url) -> Result<Option<Client>, Fault> {
        let (reach, host) = (self.reach(url), shown_host(url));
        let certs = self.certs_of(&host)?;
        let named: Vec<_> = self.authorities.iter().chain(&certs.authorities).cloned().collect();
        if named.is_empty() {
            return Ok(None);
        }
        let config = pinned::config(named, certs.identity.as_deref()).map_err(|error| {
            let (place, cause) = (host.clone(), error.to_string());
            Fault::Final(SourceError::Unreachable { place, cause })
        })?;
        let build = || self.builder(reach).tls_backend_preconfigured(config.clone()).build();
        self.known_or(Route::Pinned(reach, host.clone()), &host, build).map(Some)
    }

    fn known_or(
        &self,
        route: Route,
        host: &str,
        build: impl FnOnce() -> reqwest::Result<Client>,
    ) -> Result<Client, Fault> {
        let mut clients = lock(&self.clients);
        if let Some(client) = clients.get(&route) {
            return Ok(client.clone());
        }
        let client = build().map_err(|error| Fault::no_tls(&error, host))?;
        clients.insert(route, client.clone());
        Ok(client)
    }

    fn certs_of(&self, host: &str) -> Result<HostCerts, Fault> {
        let mut certs = lock(&self.certs);
        if let Some(known) = certs.get(host) {
            return Ok(known.clone());
        }
        let mut found = certs::of_host(&self.options.cert_folders, host).map_err(Fault::Final)?;
        for path in self.options.hosts.get(host).iter().flat_map(|options| &options.ca_certs) {
            found.authorities.extend(certs::read_authorities(path).map_err(Fault::Final)?);
        }
        Ok(certs.entry(host.to_string()).or_insert(found).clone())
    }

    fn reach(&self, url: &Url) -> Reach {
        if is_exempt(url, &self.options.no_proxy) { Reach::Direct } else { Reach::ByProxy }
    }

    fn builder(&self, reach: Reach) -> ClientBuilder {
        let options = &self.options;
        let builder = Client::builder()
            .user_agent(options.user_agent.clone())
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .tcp_keepalive(Duration::from_secs(30))
            .referer(false)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A body that was decompressed on the way has another digest.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            // One connection a layer: over HTTP/2 all would share one.
            .http1_only();
        match reach {
            Reach::Direct => builder.no_proxy(),
            Reach::ByProxy => builder,
        }
    }
}

/// The authorities that Mozilla trusts, as they were when this was built.
fn mozilla() -> reqwest::Result<Vec<Certificate>> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| Certificate::from_der(der)).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
