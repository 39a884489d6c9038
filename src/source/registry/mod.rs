//! A registry over HTTP: the OCI distribution API, as nodes pull from it. Nothing here reads the environment; what is
//! sent is checked for its length and, where the reference has a digest, for that. Blobs are verified a floor above.
//! Source: OCI distribution-spec, "Pull".

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
mod retry;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderValue, RANGE};

use self::answer::Subject;
use self::auth::{Access, Keyring};
use self::body::BlobBody;
use self::connect::HttpOptions;
use self::credentials::Wallet;
use self::endpoint::Endpoint;
use self::exchange::{Line, Request, Target};
use self::http::{Answer, Call, Http};
use self::patience::Patience;
use crate::oci::{Descriptor, Digest, Document, DocumentError, Reference};
use crate::source::{Source, SourceError, document_type, stated_type};

pub use self::credential::Credential;
pub use self::credentials::{CredentialPaths, CredentialStore, Credentials};
pub use self::endpoint::Trust;
pub use self::gate::{Gate, Permit};
pub use self::push::in_memory;
pub use self::retry::RetryPolicy;

/// The four types that are read. One header: a server may look at the first only.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// Registries accept manifests of up to 4 MiB. Source: OCI distribution-spec, "Pushing Manifests".
pub const MANIFEST_LIMIT: u64 = 4 << 20;

/// What is decided about registries before the first request.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    pub trust: Trust,
    /// PEM files of certificate authorities that are trusted beside the system's.
    pub ca_certs: Vec<PathBuf>,
    /// By host, with its port where it has one: what holds for that one only.
    pub hosts: BTreeMap<String, HostOptions>,
    /// Folders like `/etc/docker/certs.d`, with one a host inside; the first that has the host counts.
    pub cert_folders: Vec<PathBuf>,
    pub credentials: Credentials,
    pub retry: RetryPolicy,
    pub connect_timeout: Duration,
    /// For an answer's headers and for each piece of its body, not for the whole of it.
    pub timeout: Duration,
    /// By registry (`docker.io`): mirrors asked before it, as `mirror.example` or `https://harbor.example/cache`.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// NO_PROXY: hosts that are not asked through the environment's proxy.
    pub no_proxy: String,
    pub user_agent: String,
    /// Contents that are read at once, and beside them as many short requests.
    pub parallel: usize,
}

/// What is decided about one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// Allow plain HTTP and certificates that nobody vouches for.
    pub is_insecure: bool,
    /// PEM files of certificate authorities that are trusted for this host.
    pub ca_certs: Vec<PathBuf>,
}

/// How far a host is trusted.
fn trust_of(host: &str, all: Trust, hosts: &BTreeMap<String, HostOptions>) -> Trust {
    if hosts.get(host).is_some_and(|options| options.is_insecure) { Trust::Insecure } else { all }
}

impl Default for RegistryOptions {
    fn default() -> RegistryOptions {
        RegistryOptions {
            trust: Trust::Verified,
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

/// What the images of a run share: connections, tokens, and how many requests run at once.
#[derive(Debug)]
pub struct Client {
    patience: Patience,
    keyring: Keyring,
    trust: Trust,
    hosts: BTreeMap<String, HostOptions>,
    mirrors: BTreeMap<String, Vec<Endpoint>>,
    requests: Arc<Gate>,
    contents: Arc<Gate>,
}

/// One reference's image in its registry.
#[derive(Clone)]
pub struct Registry {
    client: Arc<Client>,
    reference: Reference,
    /// Mirrors first, the registry itself last.
    endpoints: Arc<[Endpoint]>,
    /// The endpoint that answered last: where one is down, it is not asked again for each layer.
    preferred: Arc<AtomicUsize>,
    /// The root's bytes: one request is enough for it, and a tag that moves in mid-run does not mix two images.
    root: Arc<Mutex<Option<Root>>>,
}

#[derive(Clone)]
struct Root {
    descriptor: Descriptor,
    bytes: Arc<[u8]>,
}

impl Client {
    /// Errors: a file of `ca_certs` that cannot be used, a mirror that is no address.
    pub fn new(options: RegistryOptions) -> Result<Arc<Client>, SourceError> {
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
            let endpoints = texts.iter().map(|text| Endpoint::of_mirror(text, |host| trust_of(host, trust, &hosts)));
            mirrors.insert(host.clone(), endpoints.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Arc::new(Client {
            patience: Patience { http, policy: options.retry },
            keyring: Keyring::new(Wallet::new(options.credentials)),
            trust,
            hosts,
            mirrors,
            requests: Gate::new(options.parallel),
            contents: Gate::new(options.parallel),
        }))
    }

    /// The image that `reference` names. Nothing is asked yet.
    pub fn image(self: &Arc<Client>, reference: &Reference) -> Registry {
        let mut endpoints = self.mirrors.get(&reference.registry).cloned().unwrap_or_default();
        let host = &reference.registry;
        endpoints.push(Endpoint::of_registry(host, trust_of(host, self.trust, &self.hosts)));
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

    /// The root's digest, size and type without its content: Docker Hub does not count it as a pull. Where the server
    /// leaves one of them out, the root itself is read.
    pub fn head(&self) -> Result<Descriptor, SourceError> {
        self.ask_head()?.map_or_else(|| self.root(), Ok)
    }

    fn ask_head(&self) -> Result<Option<Descriptor>, SourceError> {
        let rest = format!("manifests/{}", self.reference.selector());
        let mut request = self.manifest_request(&rest, self.root_subject());
        request.call.method = Method::HEAD;
        let _permit = self.client.requests.enter();
        self.at_each(|line| self.described(line, &line.ask(&request)?))
    }

    /// What the headers say of the root, where they say all of it.
    fn described(&self, line: &Line<'_>, answer: &Answer) -> Result<Option<Descriptor>, SourceError> {
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

    fn manifest_request<'a>(&self, rest: &'a str, subject: Subject) -> Request<'a> {
        let mut call = Call::get();
        call.headers.insert(ACCEPT, HeaderValue::from_static(MANIFESTS));
        Request { subject, access: Access::Pull, target: Target::Below(rest), call }
    }

    fn root_subject(&self) -> Subject {
        let what = if self.reference.digest.is_some() { "manifest" } else { "tag" };
        Subject { what, name: self.reference.to_string() }
    }

    /// The registry itself, which is the last endpoint.
    fn own(&self) -> &Endpoint {
        self.endpoints.last().expect("the registry itself is the last endpoint")
    }

    fn line<'a>(&'a self, endpoint: &'a Endpoint) -> Line<'a> {
        let Client { patience, keyring, .. } = &*self.client;
        Line { patience, keyring, endpoint, repository: &self.reference.repository }
    }

    /// Asks the mirrors and the registry, the one that answered last first, until one gives what `ask` wants; the
    /// registry's own error counts.
    fn at_each<T>(&self, ask: impl Fn(&Line<'_>) -> Result<T, SourceError>) -> Result<T, SourceError> {
        let first = self.preferred.load(Ordering::Relaxed);
        for (at, endpoint) in self.endpoints.iter().enumerate().skip(first) {
            match ask(&self.line(endpoint)) {
                Ok(answer) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) if at + 1 < self.endpoints.len() => {
                    tracing::warn!(mirror = endpoint.name, %error, "a mirror did not give it");
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the registry itself is the last endpoint")
    }

    /// The content of a descriptor, from `position` on where the server knows ranges, and the name of who gives it.
    fn fetch(&self, descriptor: &Descriptor, position: u64) -> Result<(Answer, String), SourceError> {
        let digest = &descriptor.digest;
        let (what, rest) = match is_manifest(&descriptor.media_type) {
            true => ("manifest", format!("manifests/{digest}")),
            false => ("blob", format!("blobs/{digest}")),
        };
        let mut request = self.manifest_request(&rest, Subject { what, name: self.reference.at(digest) });
        if what == "blob" {
            request.call.headers.remove(ACCEPT);
        }
        if position > 0 {
            let range = format!("bytes={position}-");
            request.call.headers.insert(RANGE, range.parse().expect("digits are a header's text"));
        }
        self.at_each(|line| {
            let answer = line.ask(&request)?;
            let name = line.endpoint.name.clone();
            body::check(&answer, descriptor, position).map_err(|cause| malformed_blob(descriptor, &name, cause))?;
            Ok((answer, name))
        })
    }

    fn read_root(&self) -> Result<Root, SourceError> {
        let rest = format!("manifests/{}", self.reference.selector());
        let request = self.manifest_request(&rest, self.root_subject());
        let _permit = self.client.requests.enter();
        self.at_each(|line| {
            let (answer, bytes) = line.read(&request)?;
            self.checked_root(line, &answer, bytes)
        })
    }

    fn checked_root(&self, line: &Line<'_>, answer: &Answer, bytes: Vec<u8>) -> Result<Root, SourceError> {
        let claimed = answer.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        for expected in self.reference.digest.iter().chain(&claimed) {
            let actual = expected.of_same_algorithm(&bytes);
            if actual != *expected {
                return Err(self.wrong_digest(line, expected.clone(), actual));
            }
        }
        let media_type = self.root_type(line, media_type(answer), &bytes)?;
        let digest = self.reference.digest.clone().unwrap_or_else(|| Digest::of(&bytes));
        let descriptor = Descriptor::new(&media_type, digest, bytes.len() as u64);
        Ok(Root { descriptor, bytes: bytes.into() })
    }

    /// The root's media type: its own word before the server's, and that before what it looks like.
    fn root_type(&self, line: &Line<'_>, served: Option<String>, bytes: &[u8]) -> Result<String, SourceError> {
        let is_mirror = !std::ptr::eq(line.endpoint, self.own());
        let malformed = |cause: String| {
            let place = match is_mirror {
                true => format!("{} as its mirror {} gives it", self.reference, line.endpoint.name),
                false => self.reference.to_string(),
            };
            SourceError::Malformed { place, cause }
        };
        let parsed = match Document::parse(bytes) {
            Err(DocumentError::Schema1) => {
                let what = format!("{}, a Docker schema 1 image,", self.reference);
                let cause = "registries and engines have given it up".to_string();
                return Err(SourceError::Unsupported { what, cause }
                    .with_hint("pull it with an engine that still can, and push it again"));
            }
            Err(DocumentError::Json(_)) if served.as_deref().is_some_and(|served| served.starts_with("text/html")) => {
                return Err(malformed(
                    "a web page came in its place; is there a proxy or a login in between?".to_string(),
                ));
            }
            // There is somebody else to ask.
            Err(error) if is_mirror => return Err(malformed(error.to_string())),
            parsed => parsed,
        };
        if let Some(stated) = stated_type(bytes).or(served) {
            return Ok(stated);
        }
        parsed.map(|document| document_type(&document, bytes)).map_err(|error| malformed(error.to_string()))
    }

    fn wrong_digest(&self, line: &Line<'_>, expected: Digest, actual: Digest) -> SourceError {
        let (name, place) = (self.reference.to_string(), line.endpoint.name.clone());
        SourceError::WrongDigest { name, place, expected, actual }
    }
}

impl Source for Registry {
    fn root(&self) -> Result<Descriptor, SourceError> {
        // Held over the request: who asks at the same time gets the same root.
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*root {
            return Ok(root.descriptor.clone());
        }
        let read = self.read_root()?;
        Ok(root.insert(read).descriptor.clone())
    }

    fn peek_root(&self) -> Result<Option<Descriptor>, SourceError> {
        match self.ask_head() {
            Err(error) => match error.bare() {
                SourceError::Unreachable { .. } => Err(error),
                // An answer to HEAD has no body that says why.
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

    fn mirror(&self) -> Option<String> {
        let endpoint = &self.endpoints[self.preferred.load(Ordering::Relaxed)];
        (!std::ptr::eq(endpoint, self.own())).then(|| endpoint.name.clone())
    }
}

fn malformed_blob(descriptor: &Descriptor, server: &str, cause: String) -> SourceError {
    SourceError::Malformed { place: format!("{} in {server}", descriptor.digest.short()), cause }
}

/// The `Content-Type` without its parameters, where there is one.
fn media_type(answer: &Answer) -> Option<String> {
    let text = answer.header("content-type")?.split(';').next()?.trim();
    Some(text.to_string()).filter(|text| !text.is_empty())
}

/// Manifests and indexes have a path of their own in the API; all else is a blob.
fn is_manifest(media_type: &str) -> bool {
    media_type.contains(".manifest.") || media_type.contains(".image.index.")
}
