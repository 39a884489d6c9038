//! Docker Engine (classic and containerd image store) and podman by their API, without any command. An image comes out
//! as one archive that passes once: an engine gives no single blobs. Nothing in an engine is ever changed.
//! Source: Docker Engine API, "ImageInspect", "ImageGet"; podman's compatible API.

mod endpoint;
#[cfg(test)]
pub(crate) mod testing;

use std::error::Error as _;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder, RequestBuilder, Response};
use reqwest::{Certificate, Identity, StatusCode};

pub use endpoint::{Endpoint, EngineSettings, Tls, docker_endpoints, podman_endpoints};

use super::registry::fault;
use super::transport::{Origin, Transport};
use super::{SourceError, open_regular, read_bounded};

/// Which engine answers: both speak the same API.
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

    /// The transport that names this engine's images.
    pub fn transport(self) -> Transport {
        match self {
            EngineKind::Docker => Transport::DockerDaemon,
            EngineKind::Podman => Transport::ContainersStorage,
        }
    }
}

/// A running engine that answered.
#[derive(Debug)]
pub struct Engine {
    /// `Docker Engine at unix:///var/run/docker.sock`, for messages and the report.
    pub place: String,
    pub kind: EngineKind,
    client: Client,
    /// With the API version that the engine itself speaks.
    base: String,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a whole answer that is not an export: an engine that hangs is not waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// For each piece of an export: the classic store writes a whole image to disk before the first byte.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Bytes of an answer that is not an export.
const ANSWER_LIMIT: u64 = 4 << 20;
/// Bytes of a PEM file.
const PEM_LIMIT: u64 = 1 << 20;

impl Engine {
    /// Connects and asks for the API version.
    pub fn connect(endpoint: &Endpoint) -> Result<Engine, SourceError> {
        // An error means that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(EXPORT_TIMEOUT)
            .no_proxy()
            .referer(false)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only();
        let builder = match endpoint {
            Endpoint::Unix(path) => builder.unix_socket(path.as_path()).tls_certs_only([]),
            Endpoint::Tcp { tls: None, .. } => builder.tls_certs_only([]),
            Endpoint::Tcp { tls: Some(tls), .. } => with_tls(builder, tls)?,
        };
        let place = format!("the engine at {endpoint}");
        let client = builder.build().map_err(|error| failed(&place, &error, "a connection"))?;
        let mut engine = Engine { place, kind: EngineKind::Docker, client, base: root(endpoint) };
        let ping = engine.ask("/_ping")?;
        if ping.status() != StatusCode::OK {
            return Err(engine.refused("/_ping", ping));
        }
        let header = |name: &str| ping.headers().get(name).and_then(|value| value.to_str().ok());
        if header("Libpod-API-Version").is_some() {
            engine.kind = EngineKind::Podman;
        }
        engine.place = format!("{} at {endpoint}", engine.kind.name());
        if let Some(version) =
            header("Api-Version").filter(|text| text.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
        {
            engine.base = format!("{}/v{version}", engine.base);
        }
        Ok(engine)
    }

    /// Where an image of this engine was read.
    pub fn origin(&self) -> Origin {
        let place = self.place.clone();
        match self.kind {
            EngineKind::Docker => Origin::DockerEngine { place },
            EngineKind::Podman => Origin::Store { place },
        }
    }

    /// The name by which the engine has this image, if it has it. podman keeps its own short names below `localhost/`.
    pub fn find(&self, name: &str) -> Result<Option<String>, SourceError> {
        for candidate in [name.to_string(), format!("localhost/{name}")] {
            let answer = self.ask(&format!("/images/{}/json", checked(&candidate)?))?;
            match answer.status() {
                StatusCode::OK => return Ok(Some(candidate)),
                StatusCode::NOT_FOUND => {}
                _ => return Err(self.refused(&candidate, answer)),
            }
        }
        Ok(None)
    }

    /// The image as `docker save` writes it, by a name that [`Engine::find`] gave.
    pub fn export(&self, name: &str) -> Result<Box<dyn Read + Send>, SourceError> {
        let path = format!("/images/{}/get", checked(name)?);
        let answer = self.send(&path, self.request(&path))?;
        match answer.status() {
            StatusCode::OK => Ok(Box::new(Export { answer, has_begun: false })),
            _ => Err(self.refused(name, answer)),
        }
    }

    fn ask(&self, path: &str) -> Result<Response, SourceError> {
        self.send(path, self.request(path).timeout(ANSWER_TIMEOUT))
    }

    fn request(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    fn send(&self, path: &str, request: RequestBuilder) -> Result<Response, SourceError> {
        tracing::debug!(engine = self.place, path, "asking");
        request.send().map_err(|error| failed(&self.place, &error, path))
    }

    fn refused(&self, name: &str, answer: Response) -> SourceError {
        let (place, status) = (self.place.clone(), answer.status().as_u16());
        let body = read_bounded(answer, ANSWER_LIMIT, "an answer", &place).unwrap_or_default();
        let message = serde_json::from_slice::<serde_json::Value>(&body).ok();
        let cause = message.and_then(|value| value["message"].as_str().map(str::to_string));
        SourceError::Answer { name: name.to_string(), place, status, cause: cause.unwrap_or_default() }
    }
}

/// An archive as it comes, whose end before its beginning is an error.
struct Export {
    answer: Response,
    has_begun: bool,
}

impl Read for Export {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.answer.read(buffer) {
            Ok(0) if !self.has_begun && !buffer.is_empty() => Err(io::Error::other("its export is empty")),
            Ok(count) => {
                self.has_begun |= count > 0;
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            // The library's own text does not say why.
            Err(error) => Err(io::Error::other(format!("its export broke off: {}", fault::text(&error)))),
        }
    }
}

/// Tells a socket that may not be opened from one where nobody listens.
fn failed(place: &str, error: &reqwest::Error, name: &str) -> SourceError {
    // Its socket's name tells which engine was meant; `/run/podman/` is root's.
    let (is_podman, is_roots) = (place.contains("podman"), place.contains("unix:///run/podman/"));
    let place = place.to_string();
    let mut source = error.source();
    let mut deepest = error.to_string();
    while let Some(cause) = source {
        deepest = cause.to_string();
        if cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == ErrorKind::PermissionDenied) {
            let denied = SourceError::Denied { name: name.to_string(), place, cause: deepest };
            return denied.with_hint(match is_podman {
                true => "the socket is another user's; start your own: systemctl --user start podman.socket",
                false => "join the group that owns the socket, then log in again: sudo usermod -aG docker $USER",
            });
        }
        source = cause.source();
    }
    SourceError::Unreachable { place, cause: deepest }.with_hint(match (is_podman, is_roots) {
        (true, true) => "is podman's service running? sudo systemctl start podman.socket",
        (true, false) => "is podman's service running? systemctl --user start podman.socket",
        (false, _) => "is the engine running? docker info",
    })
}

fn root(endpoint: &Endpoint) -> String {
    match endpoint {
        // The host's name goes nowhere: the socket is the host.
        Endpoint::Unix(_) => "http://engine".to_string(),
        Endpoint::Tcp { authority, tls: None } => format!("http://{authority}"),
        Endpoint::Tcp { authority, tls: Some(_) } => format!("https://{authority}"),
    }
}

/// Names go into a URL's path, so they hold nothing else that could mean something there.
fn checked(name: &str) -> Result<&str, SourceError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+[]".contains(&byte);
    if name.bytes().all(is_plain) && !name.is_empty() && !name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Ok(name);
    }
    Err(SourceError::Unsupported {
        what: format!("the name {name:?}"),
        cause: "engines have no such images".to_string(),
    })
}

fn with_tls(builder: ClientBuilder, tls: &Tls) -> Result<ClientBuilder, SourceError> {
    let read = |name: &str| read_pem(&tls.folder.join(name));
    let malformed = |name: &str, error: reqwest::Error| SourceError::Malformed {
        place: tls.folder.join(name).display().to_string(),
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
        Ok(file) => read_bounded(file, PEM_LIMIT, "a certificate", &path.display().to_string()).map(Some),
        Err(SourceError::File { cause, .. }) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
