//! Docker Engine (classic and containerd image store) and podman through their API, without any command. An image is
//! exported as one archive that can be read once, because engines serve no single blobs. Nothing in an engine is ever
//! changed. Source: Docker Engine API, "ImageInspect", "ImageGet"; podman's compatible API.

mod endpoint;
#[cfg(test)]
pub(crate) mod testing;

use std::error::Error as _;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder, RequestBuilder, Response};
use reqwest::{Certificate, Identity, StatusCode};

pub use endpoint::{EngineEndpoint, EngineSettings, Tls, docker_endpoints, podman_endpoints};

use super::registry::fault;
use super::transport::{Origin, Transport};
use super::{SourceError, open_regular, read_bounded};

/// The kind of engine; both implement the same API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    Docker,
    Podman,
}

impl EngineKind {
    fn name(self) -> &'static str {
        match self {
            EngineKind::Docker => "Docker Engine",
            EngineKind::Podman => "podman",
        }
    }

    /// The engine expected at this address, before it has answered.
    fn expected(endpoint: &EngineEndpoint) -> EngineKind {
        match endpoint {
            EngineEndpoint::Unix(path) if path.file_name().is_some_and(|name| name == "podman.sock") => {
                EngineKind::Podman
            }
            EngineEndpoint::Unix(_) | EngineEndpoint::Tcp { .. } => EngineKind::Docker,
        }
    }

    /// The hint for an engine that does not answer.
    fn start_hint(self, endpoint: &EngineEndpoint) -> &'static str {
        let is_roots = matches!(endpoint, EngineEndpoint::Unix(path) if path.starts_with("/run/podman"));
        match (self, is_roots) {
            (EngineKind::Podman, true) => "is podman's service running? sudo systemctl start podman.socket",
            (EngineKind::Podman, false) => "is podman's service running? systemctl --user start podman.socket",
            (EngineKind::Docker, _) => "is the engine running? docker info",
        }
    }

    /// The hint for a socket that this user may not open.
    fn access_hint(self) -> &'static str {
        match self {
            EngineKind::Podman => "the socket is another user's; start your own: systemctl --user start podman.socket",
            EngineKind::Docker => {
                "join the group that owns the socket, then log in again: sudo usermod -aG docker $USER"
            }
        }
    }

    /// The transport for this engine's images.
    pub fn transport(self) -> Transport {
        match self {
            EngineKind::Docker => Transport::DockerDaemon,
            EngineKind::Podman => Transport::ContainersStorage,
        }
    }
}

/// A running engine that has answered.
#[derive(Debug)]
pub struct RunningEngine {
    /// `Docker Engine at unix:///var/run/docker.sock`, for messages and the report.
    pub place: String,
    pub kind: EngineKind,
    endpoint: EngineEndpoint,
    client: Client,
    /// The base URL, with the engine's own API version.
    base: String,
    /// Major and minor part of that version.
    version: Option<(u32, u32)>,
}

/// The first version whose inspection lists the manifests of an index and whose export accepts a platform.
/// Source: moby, docs/api/version-history.md, v1.48.
const PLATFORM_VERSION: (u32, u32) = (1, 48);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole answer other than an export, so that a hanging engine is not waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// For each piece of an export: the classic store writes a whole image to disk before the first byte.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Size limit of an answer other than an export.
const ANSWER_LIMIT: u64 = 4 << 20;
/// Size limit of a PEM file.
const PEM_LIMIT: u64 = 1 << 20;

impl RunningEngine {
    /// Connects and requests the API version.
    pub fn connect(endpoint: &EngineEndpoint) -> Result<RunningEngine, SourceError> {
        // An error means that the process already has a provider, which works as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(EXPORT_TIMEOUT)
            .no_proxy()
            .referer(false)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only();
        let builder = match endpoint {
            EngineEndpoint::Unix(path) => builder.unix_socket(path.as_path()).tls_certs_only([]),
            EngineEndpoint::Tcp { tls: None, .. } => builder.tls_certs_only([]),
            EngineEndpoint::Tcp { tls: Some(tls), .. } => with_tls(builder, tls)?,
        };
        let place = format!("the engine at {endpoint}");
        let kind = EngineKind::expected(endpoint);
        let client = builder.build().map_err(|error| failed(&place, kind, endpoint, &error, "a connection"))?;
        let (endpoint, base) = (endpoint.clone(), root(endpoint));
        let mut engine = RunningEngine { place, kind, endpoint, client, base, version: None };
        let ping = engine.get("/_ping")?;
        if ping.status() != StatusCode::OK {
            return Err(engine.refused("/_ping", ping));
        }
        let header = |name: &str| ping.headers().get(name).and_then(|value| value.to_str().ok());
        engine.kind = match header("Libpod-API-Version") {
            Some(_) => EngineKind::Podman,
            None => EngineKind::Docker,
        };
        engine.place = format!("{} at {}", engine.kind.name(), engine.endpoint);
        let version = header("Api-Version").and_then(|text| text.split_once('.'));
        let version = version.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        if let Some((major, minor)) = version {
            engine.version = Some((major, minor));
            engine.base = format!("{}/v{major}.{minor}", engine.base);
        }
        Ok(engine)
    }

    /// The origin of this engine's images.
    pub fn origin(&self) -> Origin {
        let place = self.place.clone();
        match self.kind {
            EngineKind::Docker => Origin::DockerEngine { place },
            EngineKind::Podman => Origin::Store { place },
        }
    }

    /// The engine's name for this image, if it has the image. podman stores short names below `localhost/`; a name with
    /// a registry is never one of them.
    pub fn find(&self, name: &str) -> Result<Option<String>, SourceError> {
        let own = (self.kind == EngineKind::Podman && is_short(name)).then(|| format!("localhost/{name}"));
        for candidate in [Some(name.to_string()), own].into_iter().flatten() {
            let answer = self.get(&format!("/images/{}/json", checked(&candidate)?))?;
            match answer.status() {
                StatusCode::OK => return Ok(Some(candidate)),
                StatusCode::NOT_FOUND => {}
                _ => return Err(self.refused(&candidate, answer)),
            }
        }
        Ok(None)
    }

    /// Exports the image in the format of `docker save`, by a name from [`RunningEngine::find`]. The containerd store refuses
    /// an image if this machine's platform was never pulled; in that case the platform that was pulled is requested.
    pub fn export(&self, name: &str) -> Result<Box<dyn Read + Send>, SourceError> {
        let path = format!("/images/{}/get", checked(name)?);
        let answer = self.send(&path, self.request(&path))?;
        if answer.status() == StatusCode::OK {
            return Ok(Box::new(EngineExport { answer, has_begun: false }));
        }
        let refused = self.refused(name, answer);
        match self.available(name).as_slice() {
            [] if self.version.is_some_and(|version| version < PLATFORM_VERSION) && is_content_absent(&refused) => {
                Err(refused.with_hint(format!(
                    "Docker before version 28 exports an image only if its platform for this machine was pulled; \
                     imgarch scan docker://{name} reads it from its registry"
                )))
            }
            [] => Err(refused),
            [only] => {
                let answer = self.send(&path, self.request(&path).query(&[("platform", only.to_string())]))?;
                match answer.status() {
                    StatusCode::OK => Ok(Box::new(EngineExport { answer, has_begun: false })),
                    _ => Err(self.refused(name, answer)),
                }
            }
            [first, ..] => {
                let platform =
                    format!("{}/{}", first["os"].as_str().unwrap_or(""), first["architecture"].as_str().unwrap_or(""));
                Err(refused.with_hint(format!("docker save --platform {platform} {name} | imgarch scan -")))
            }
        }
    }

    /// The locally available platforms of an index, in the engine's notation. Empty if the engine does not report them.
    fn available(&self, name: &str) -> Vec<serde_json::Value> {
        if self.version.is_none_or(|version| version < PLATFORM_VERSION) {
            return Vec::new();
        }
        let Ok(answer) = self.get(&format!("/images/{name}/json?manifests=1")) else { return Vec::new() };
        let body = read_bounded(answer, ANSWER_LIMIT, "bytes for an answer", &self.place).unwrap_or_default();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let manifests = value["Manifests"].as_array().map_or(&[][..], Vec::as_slice);
        let here = manifests.iter().filter(|one| one["Available"] == true && one["Kind"] == "image");
        here.map(|one| one["Descriptor"]["platform"].clone()).filter(serde_json::Value::is_object).collect()
    }

    fn get(&self, path: &str) -> Result<Response, SourceError> {
        self.send(path, self.request(path).timeout(ANSWER_TIMEOUT))
    }

    fn request(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    fn send(&self, path: &str, request: RequestBuilder) -> Result<Response, SourceError> {
        tracing::debug!(engine = self.place, path, "requesting");
        request.send().map_err(|error| failed(&self.place, self.kind, &self.endpoint, &error, path))
    }

    fn refused(&self, name: &str, answer: Response) -> SourceError {
        let (place, status) = (self.place.clone(), answer.status().as_u16());
        let body = read_bounded(answer, ANSWER_LIMIT, "bytes for an answer", &place).unwrap_or_default();
        let message = serde_json::from_slice::<serde_json::Value>(&body).ok();
        let cause = message.and_then(|value| value["message"].as_str().map(str::to_string));
        SourceError::Answer { name: name.to_string(), place, status, cause: cause.unwrap_or_default() }
    }
}

/// Whether a blob of the image is not in the engine's store. Source: containerd, core/content, "content digest %v: not
/// found".
fn is_content_absent(refused: &SourceError) -> bool {
    matches!(refused, SourceError::Answer { cause, .. } if cause.contains("content digest") && cause.ends_with("not found"))
}

/// An archive as it arrives. An empty archive is an error.
struct EngineExport {
    answer: Response,
    has_begun: bool,
}

impl Read for EngineExport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.answer.read(buffer) {
            Ok(0) if !self.has_begun && !buffer.is_empty() => Err(io::Error::other("its export is empty")),
            Ok(count) => {
                self.has_begun |= count > 0;
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            // The library's own text does not state the cause.
            Err(error) => Err(io::Error::other(format!("its export was interrupted: {}", fault::text(&error)))),
        }
    }
}

/// Distinguishes a socket that may not be opened from one without a listener.
fn failed(place: &str, kind: EngineKind, endpoint: &EngineEndpoint, error: &reqwest::Error, name: &str) -> SourceError {
    let place = place.to_string();
    let mut source = error.source();
    let mut deepest = error.to_string();
    while let Some(cause) = source {
        deepest = cause.to_string();
        if cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == ErrorKind::PermissionDenied) {
            let denied = SourceError::Denied { name: name.to_string(), place, cause: deepest };
            return denied.with_hint(kind.access_hint());
        }
        source = cause.source();
    }
    SourceError::Unreachable { place, cause: deepest }.with_hint(kind.start_hint(endpoint))
}

/// Whether a name has no registry before its first slash. Source: distribution/reference, `splitDockerDomain`.
fn is_short(name: &str) -> bool {
    let host = name.split_once('/').map(|(host, _)| host);
    !host.is_some_and(|host| host == "localhost" || host.contains(['.', ':', '[']))
}

fn root(endpoint: &EngineEndpoint) -> String {
    match endpoint {
        // The host name is not used: the socket determines the engine.
        EngineEndpoint::Unix(_) => "http://engine".to_string(),
        EngineEndpoint::Tcp { authority, tls: None } => format!("http://{authority}"),
        EngineEndpoint::Tcp { authority, tls: Some(_) } => format!("https://{authority}"),
    }
}

/// Names become part of a URL's path, so they may contain no other character with a meaning there.
fn checked(name: &str) -> Result<&str, SourceError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+[]".contains(&byte);
    if name.bytes().all(is_plain) && !name.is_empty() && !name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Ok(name);
    }
    Err(SourceError::Unsupported {
        what: format!("the name {name:?}"),
        cause: "it is not a valid image name".to_string(),
    })
}

fn with_tls(builder: ClientBuilder, tls: &Tls) -> Result<ClientBuilder, SourceError> {
    let read = |name: &str| read_pem(&tls.directory.join(name));
    let malformed = |name: &str, error: reqwest::Error| SourceError::Malformed {
        place: tls.directory.join(name).display().to_string(),
        cause: error.to_string(),
    };
    let authorities = match read("ca.pem")? {
        Some(pem) => Certificate::from_pem_bundle(&pem).map_err(|error| malformed("ca.pem", error))?,
        None => Vec::new(),
    };
    let builder = match (tls.is_verified, authorities.is_empty()) {
        (false, _) => builder.tls_certs_only([]).tls_danger_accept_invalid_certs(true),
        (true, false) => builder.tls_certs_only(authorities),
        (true, true) => builder,
    };
    match (read("key.pem")?, read("cert.pem")?) {
        (Some(key), Some(certificate)) => {
            let pem = [key, vec![b'\n'], certificate].concat();
            Ok(builder.identity(Identity::from_pem(&pem).map_err(|error| malformed("cert.pem", error))?))
        }
        _ => Ok(builder),
    }
}

fn read_pem(path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    match open_regular(path) {
        Ok(file) => read_bounded(file, PEM_LIMIT, "bytes for a certificate", &path.display().to_string()).map(Some),
        Err(SourceError::File { cause, .. }) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
