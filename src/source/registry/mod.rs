//! A registry over HTTP: the OCI distribution API, as nodes use it to pull. Nothing here reads the environment. A
//! manifest is checked for its length and, if the reference has a digest, for that digest. Blobs are verified in
//! [`crate::image`]. Source: OCI distribution-spec, "Pull".

mod answer;
mod auth;
mod body;
mod certs;
mod challenge;
mod connect;
mod credential;
mod credentials;
mod endpoint;
mod exchange;
mod exempt;
pub(super) mod fault;
mod gate;
mod helper;
mod http;
mod list;
mod pace;
mod patience;
mod pinned;
mod push;
mod range;
mod retry;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderValue, RANGE};

use self::answer::RequestedObject;
use self::auth::{Keyring, TokenAccess};
use self::body::BlobBody;
use self::connect::HttpOptions;
use self::credentials::Wallet;
use self::endpoint::RegistryEndpoint;
use self::exchange::{RegistryRequest, RepositoryLine, RequestTarget};
use self::http::{Call, Http, HttpAnswer};
use self::patience::Patience;
use crate::oci::{Descriptor, Digest, Document, DocumentError, Reference};
use crate::source::{ImageSource, SourceError, document_type, stated_type};

pub use self::credential::Credential;
pub use self::credentials::{CredentialPaths, CredentialStore, Credentials};
pub use self::endpoint::TlsTrust;
pub use self::gate::{Gate, Permit};
pub use self::push::in_memory;
pub use self::retry::RetryPolicy;

/// The four supported types, in one header: a server may look at the first header only.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// The largest manifest that registries accept, 4 MiB. Source: OCI distribution-spec, "Pushing Manifests".
pub const MANIFEST_LIMIT: u64 = 4 << 20;

/// Settings for registries, fixed before the first request.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    pub trust: TlsTrust,
    /// PEM files of certificate authorities that are trusted in addition to the system's.
    pub ca_certs: Vec<PathBuf>,
    /// Settings for single hosts, by host name, with its port if it has one.
    pub hosts: BTreeMap<String, HostOptions>,
    /// Directories like `/etc/docker/certs.d` with a subdirectory for each host; the first one that has the host
    /// counts.
    pub cert_folders: Vec<PathBuf>,
    pub credentials: Credentials,
    pub retry: RetryPolicy,
    pub connect_timeout: Duration,
    /// Timeout for an answer's headers and for each piece of its body, not for the whole body.
    pub timeout: Duration,
    /// By registry (`docker.io`): mirrors to try first, as `mirror.example` or `https://harbor.example/cache`.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// NO_PROXY: hosts to contact without the environment's proxy.
    pub no_proxy: String,
    pub user_agent: String,
    /// Number of contents to read in parallel, and in addition as many short requests.
    pub parallel: usize,
}

/// Settings for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// Allow plain HTTP and unverified TLS certificates.
    pub is_insecure: bool,
    /// PEM files of certificate authorities that are trusted for this host.
    pub ca_certs: Vec<PathBuf>,
}

/// The trust for a host.
fn trust_of(host: &str, all: TlsTrust, hosts: &BTreeMap<String, HostOptions>) -> TlsTrust {
    if hosts.get(host).is_some_and(|options| options.is_insecure) { TlsTrust::Insecure } else { all }
}

impl Default for RegistryOptions {
    fn default() -> RegistryOptions {
        RegistryOptions {
            trust: TlsTrust::Verified,
            ca_certs: Vec::new(),
            hosts: BTreeMap::new(),
            cert_folders: Vec::new(),
            credentials: Credentials::default(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            mirrors: BTreeMap::new(),
            no_proxy: String::new(),
            user_agent: concat!("imgarch/", env!("CARGO_PKG_VERSION")).to_string(),
            parallel: 16,
        }
    }
}

/// State shared by the images of a run: connections, tokens, and limits for parallel requests.
#[derive(Debug)]
pub struct RegistryClient {
    patience: Patience,
    keyring: Keyring,
    trust: TlsTrust,
    hosts: BTreeMap<String, HostOptions>,
    mirrors: BTreeMap<String, Vec<RegistryEndpoint>>,
    requests: Arc<Gate>,
    contents: Arc<Gate>,
}

/// The image of one reference in its registry.
#[derive(Clone)]
pub struct Registry {
    client: Arc<RegistryClient>,
    reference: Reference,
    /// Mirrors first, the registry itself last.
    endpoints: Arc<[RegistryEndpoint]>,
    /// The endpoint that answered last: a mirror that is down is not tried again for each layer.
    preferred: Arc<AtomicUsize>,
    /// The root's content, requested once, so that a tag that moves during the run does not mix two images.
    root: Arc<Mutex<Option<OpenedRoot>>>,
}

#[derive(Clone)]
struct OpenedRoot {
    descriptor: Descriptor,
    bytes: Arc<[u8]>,
}

impl RegistryClient {
    /// Fails if a file of `ca_certs` is unusable or a mirror is not a valid address.
    pub fn new(options: RegistryOptions) -> Result<Arc<RegistryClient>, SourceError> {
        let RegistryOptions {
            trust,
            ca_certs,
            hosts,
            cert_folders,
            connect_timeout,
            timeout,
            no_proxy,
            user_agent,
            ..
        } = options;
        let of_http = hosts.clone();
        let http = Http::new(HttpOptions {
            trust,
            ca_certs,
            hosts: of_http,
            cert_folders,
            connect_timeout,
            timeout,
            no_proxy,
            user_agent,
        })?;
        let mut mirrors = BTreeMap::new();
        for (host, texts) in &options.mirrors {
            let endpoints =
                texts.iter().map(|text| RegistryEndpoint::of_mirror(text, |host| trust_of(host, trust, &hosts)));
            mirrors.insert(host.clone(), endpoints.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Arc::new(RegistryClient {
            patience: Patience { http, policy: options.retry },
            keyring: Keyring::new(Wallet::new(options.credentials)),
            trust,
            hosts,
            mirrors,
            requests: Gate::new(options.parallel),
            contents: Gate::new(options.parallel),
        }))
    }

    /// The image that `reference` names. Sends no request yet.
    pub fn image(self: &Arc<RegistryClient>, reference: &Reference) -> Registry {
        let mut endpoints = self.mirrors.get(&reference.registry).cloned().unwrap_or_default();
        let host = &reference.registry;
        endpoints.push(RegistryEndpoint::of_registry(host, trust_of(host, self.trust, &self.hosts)));
        Registry {
            client: Arc::clone(self),
            reference: reference.clone(),
            endpoints: endpoints.into(),
            preferred: Arc::default(),
            root: Arc::default(),
        }
    }
}

impl Registry {
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The registry as messages name it.
    fn place(&self) -> String {
        self.reference.registry.clone()
    }

    /// The root's digest, size and type without its content, which Docker Hub does not count as a pull. If the server
    /// omits one of them, the root itself is read.
    pub fn head(&self) -> Result<Descriptor, SourceError> {
        self.request_head()?.map_or_else(|| self.root(), Ok)
    }

    fn request_head(&self) -> Result<Option<Descriptor>, SourceError> {
        let rest = format!("manifests/{}", self.reference.selector());
        let mut request = self.manifest_request(&rest, self.root_subject());
        request.call.method = Method::HEAD;
        let _permit = self.client.requests.enter();
        self.at_each(|line| self.described(line, &line.request(&request)?))
    }

    /// The root's descriptor from the headers; `None` if they are incomplete.
    fn described(&self, line: &RepositoryLine<'_>, answer: &HttpAnswer) -> Result<Option<Descriptor>, SourceError> {
        let digest = answer.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let size = answer.header("content-length").and_then(|text| text.parse::<u64>().ok());
        let (Some(digest), Some(size), Some(media_type)) = (digest, size, media_type(answer)) else {
            return Ok(None);
        };
        if let Some(expected) = self.reference.digest.clone().filter(|expected| *expected != digest) {
            return Err(self.wrong_digest(line, expected, digest));
        }
        Ok(Some(Descriptor::new(&media_type, digest, size)))
    }

    fn manifest_request<'a>(&self, rest: &'a str, subject: RequestedObject) -> RegistryRequest<'a> {
        let mut call = Call::get();
        call.headers.insert(ACCEPT, HeaderValue::from_static(MANIFESTS));
        RegistryRequest { subject, access: TokenAccess::Pull, target: RequestTarget::Below(rest), call }
    }

    fn root_subject(&self) -> RequestedObject {
        let what = if self.reference.digest.is_some() { "manifest" } else { "tag" };
        RequestedObject { what, name: self.reference.to_string() }
    }

    /// The registry itself, as opposed to its mirrors.
    fn own(&self) -> &RegistryEndpoint {
        self.endpoints.last().expect("the registry itself is the last endpoint")
    }

    fn line<'a>(&'a self, endpoint: &'a RegistryEndpoint) -> RepositoryLine<'a> {
        let RegistryClient { patience, keyring, .. } = &*self.client;
        RepositoryLine { patience, keyring, endpoint, repository: &self.reference.repository }
    }

    /// Tries the mirrors and the registry, starting with the one that answered last, until `attempt` succeeds for one
    /// of them. If all fail, returns the registry's own error.
    fn at_each<T>(&self, attempt: impl Fn(&RepositoryLine<'_>) -> Result<T, SourceError>) -> Result<T, SourceError> {
        let first = self.preferred.load(Ordering::Relaxed);
        for (at, endpoint) in self.endpoints.iter().enumerate().skip(first) {
            match attempt(&self.line(endpoint)) {
                Ok(answer) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) if at + 1 < self.endpoints.len() => {
                    tracing::warn!(mirror = endpoint.name, %error, "a mirror failed");
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the registry itself is the last endpoint")
    }

    /// The content of a descriptor, starting at `position` if the server supports ranges, and the server's name.
    fn fetch(&self, descriptor: &Descriptor, position: u64) -> Result<(HttpAnswer, String), SourceError> {
        let digest = &descriptor.digest;
        let (what, rest) = match is_manifest(&descriptor.media_type) {
            true => ("manifest", format!("manifests/{digest}")),
            false => ("blob", format!("blobs/{digest}")),
        };
        let mut request = self.manifest_request(&rest, RequestedObject { what, name: self.reference.at(digest) });
        if what == "blob" {
            request.call.headers.remove(ACCEPT);
        }
        if position > 0 {
            let range = format!("bytes={position}-");
            request.call.headers.insert(RANGE, range.parse().expect("digits are a header's text"));
        }
        self.at_each(|line| {
            let answer = line.request(&request)?;
            let name = line.endpoint.name.clone();
            body::check(&answer, descriptor, position).map_err(|cause| malformed_blob(descriptor, &name, cause))?;
            Ok((answer, name))
        })
    }

    fn read_root(&self) -> Result<OpenedRoot, SourceError> {
        let rest = format!("manifests/{}", self.reference.selector());
        let request = self.manifest_request(&rest, self.root_subject());
        let _permit = self.client.requests.enter();
        self.at_each(|line| {
            let (answer, bytes) = line.read(&request)?;
            self.checked_root(line, &answer, bytes)
        })
    }

    fn checked_root(
        &self,
        line: &RepositoryLine<'_>,
        answer: &HttpAnswer,
        bytes: Vec<u8>,
    ) -> Result<OpenedRoot, SourceError> {
        let claimed = answer.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        for expected in self.reference.digest.iter().chain(&claimed) {
            let actual = expected.of_same_algorithm(&bytes);
            if actual != *expected {
                return Err(self.wrong_digest(line, expected.clone(), actual));
            }
        }
        let media_type = self.root_type(line, media_type(answer), &bytes)?;
        let digest = self.reference.digest.clone().unwrap_or_else(|| Digest::from_bytes(&bytes));
        let descriptor = Descriptor::new(&media_type, digest, bytes.len() as u64);
        Ok(OpenedRoot { descriptor, bytes: bytes.into() })
    }

    /// The root's media type: the one in its content, else the server's, else the one that its structure implies.
    fn root_type(
        &self,
        line: &RepositoryLine<'_>,
        served: Option<String>,
        bytes: &[u8],
    ) -> Result<String, SourceError> {
        let is_mirror = !std::ptr::eq(line.endpoint, self.own());
        let malformed = |cause: String| {
            let place = match is_mirror {
                true => format!("{} from its mirror {}", self.reference, line.endpoint.name),
                false => self.reference.to_string(),
            };
            SourceError::Malformed { place, cause }
        };
        let parsed = match Document::parse(bytes) {
            Err(DocumentError::Schema1) => {
                let what = format!("{}, a Docker schema 1 image,", self.reference);
                let cause = "registries and engines no longer support it".to_string();
                return Err(SourceError::Unsupported { what, cause }
                    .with_hint("pull it with an engine that still supports it, and push it again"));
            }
            Err(DocumentError::Json(_)) if served.as_deref().is_some_and(|served| served.starts_with("text/html")) => {
                return Err(malformed(
                    "the server sent a web page; is there a proxy or a login page in between?".to_string(),
                ));
            }
            // The next endpoint may have a valid one.
            Err(error) if is_mirror => return Err(malformed(error.to_string())),
            parsed => parsed,
        };
        if let Some(stated) = stated_type(bytes).or(served) {
            return Ok(stated);
        }
        parsed.map(|document| document_type(&document, bytes)).map_err(|error| malformed(error.to_string()))
    }

    fn wrong_digest(&self, line: &RepositoryLine<'_>, expected: Digest, actual: Digest) -> SourceError {
        let (name, place) = (self.reference.to_string(), line.endpoint.name.clone());
        SourceError::WrongDigest { name, place, expected, actual }
    }
}

impl ImageSource for Registry {
    fn root(&self) -> Result<Descriptor, SourceError> {
        // Held during the request, so that concurrent callers get the same root.
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*root {
            return Ok(root.descriptor.clone());
        }
        let read = self.read_root()?;
        Ok(root.insert(read).descriptor.clone())
    }

    fn peek_root(&self) -> Result<Option<Descriptor>, SourceError> {
        match self.request_head() {
            Err(error) => match error.bare() {
                SourceError::Unreachable { .. } => Err(error),
                // An answer to HEAD has no body with a reason.
                _ => Ok(None),
            },
            found => found,
        }
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(root) = root.filter(|root| root.descriptor.digest == descriptor.digest) {
            return Ok(Box::new(Cursor::new(root.bytes)));
        }
        let permit = self.client.contents.enter();
        Ok(Box::new(BlobBody::open(self.clone(), descriptor.clone(), permit)?))
    }

    fn read_range(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<Option<Vec<u8>>, SourceError> {
        let _permit = self.client.contents.enter();
        self.range(descriptor, &range)
    }

    fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, SourceError> {
        Registry::referrers(self, digest)
    }

    fn manifest(&self, digest: &Digest) -> Result<Option<Descriptor>, SourceError> {
        let reference = Reference { digest: Some(digest.clone()), ..self.reference.clone() };
        self.client.image(&reference).head().map(Some)
    }

    fn mirror(&self) -> Option<String> {
        let endpoint = &self.endpoints[self.preferred.load(Ordering::Relaxed)];
        (!std::ptr::eq(endpoint, self.own())).then(|| endpoint.name.clone())
    }
}

fn malformed_blob(descriptor: &Descriptor, server: &str, cause: String) -> SourceError {
    SourceError::Malformed { place: format!("{} in {server}", descriptor.digest.short()), cause }
}

/// The `Content-Type` without its parameters, if present.
fn media_type(answer: &HttpAnswer) -> Option<String> {
    let text = answer.header("content-type")?.split(';').next()?.trim();
    Some(text.to_string()).filter(|text| !text.is_empty())
}

/// Manifests and indexes have their own path in the API; everything else is a blob.
fn is_manifest(media_type: &str) -> bool {
    media_type.contains(".manifest.") || media_type.contains(".image.index.")
}
