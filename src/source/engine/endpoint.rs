//! Finds the address of Docker Engine or podman as the docker and podman commands do, from settings and files. The
//! caller has read the environment. Source: docker/cli, cli/context/store and cli/command/cli.go `resolveContextName`;
//! podman-system-service(1) for containers-storage's socket.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::Digest as _;

use super::super::{SourceError, open_regular, read_bounded};

/// The environment's settings for engines.
#[derive(Clone, Debug, Default)]
pub struct EngineSettings {
    /// DOCKER_HOST.
    pub docker_host: Option<String>,
    /// DOCKER_CONTEXT.
    pub docker_context: Option<String>,
    /// DOCKER_TLS_VERIFY is set, to any value.
    pub is_tls_verified: bool,
    /// DOCKER_CERT_PATH, or else `docker_config`.
    pub cert_folder: Option<PathBuf>,
    /// DOCKER_CONFIG, or else `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// CONTAINER_HOST: podman's.
    pub container_host: Option<String>,
    /// XDG_RUNTIME_DIR, which contains the sockets of rootless engines.
    pub runtime_folder: Option<PathBuf>,
    /// The podman command, used for a bare name that no other source has if podman runs no service. `None` disables it.
    pub podman_command: Option<String>,
}

/// An address of an engine's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEndpoint {
    Unix(PathBuf),
    /// `authority` is host and port.
    Tcp {
        authority: String,
        tls: Option<Tls>,
    },
}

/// TLS settings for an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The directory of `ca.pem`, `cert.pem` and `key.pem`, any of which may be missing.
    pub directory: PathBuf,
    pub is_verified: bool,
}

/// A context's `meta.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Debug, Default, Deserialize)]
struct Endpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// Size limit of `config.json` and `meta.json`, which contain credentials and a few names.
const CONFIG_LIMIT: u64 = 4 << 20;
const DOCKER_SOCKETS: [&str; 1] = ["/var/run/docker.sock"];
const PODMAN_SOCKETS: [&str; 1] = ["/run/podman/podman.sock"];

impl fmt::Display for EngineEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineEndpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            EngineEndpoint::Tcp { authority, .. } => write!(f, "tcp://{authority}"),
        }
    }
}

impl EngineEndpoint {
    /// Parses `unix:///run/docker.sock`, `tcp://host:2376` or `host:2376`.
    pub fn parse(text: &str, tls: Option<Tls>) -> Result<EngineEndpoint, SourceError> {
        let refuse = |cause: &str| SourceError::Unsupported {
            what: format!("the engine address {}", shown(text)),
            cause: cause.to_string(),
        };
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(EngineEndpoint::Unix(PathBuf::from(path))),
            Some(("tcp" | "http" | "https", rest)) => {
                let authority = rest.trim_end_matches('/');
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
                if authority.is_empty() || !authority.bytes().all(is_plain) {
                    return Err(refuse("expected tcp://HOST:PORT"));
                }
                let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                // The default ports of Docker's clients.
                let port = if tls.is_some() { 2376 } else { 2375 };
                let authority = if has_port { authority.to_string() } else { format!("{authority}:{port}") };
                Ok(EngineEndpoint::Tcp { authority, tls })
            }
            // As in docker, an address without a scheme uses tcp.
            None if text.contains(':') && !text.contains('/') => EngineEndpoint::parse(&format!("tcp://{text}"), tls),
            Some(("ssh", _)) => Err(refuse("imgarch cannot connect to engines over ssh")
                .with_hint("run docker save on that machine and pipe its output into: imgarch scan -")),
            _ => Err(refuse("expected unix:///PATH or tcp://HOST:PORT")),
        }
    }
}

/// An address without its password, for errors.
fn shown(address: &str) -> String {
    let (scheme, rest) = address.find("://").map_or(("", address), |at| address.split_at(at + 3));
    match rest.rsplit_once('@') {
        Some((login, host)) if login.contains(':') => format!("{scheme}***@{host}"),
        _ => address.to_string(),
    }
}

/// The addresses that the `docker` command would use: DOCKER_HOST, then the context, then the usual sockets. Only the
/// last case can return several.
pub fn docker_endpoints(settings: &EngineSettings) -> Result<Vec<EngineEndpoint>, SourceError> {
    if let Some(host) = given(&settings.docker_host) {
        return Ok(vec![EngineEndpoint::parse(host, environment_tls(settings))?]);
    }
    let config = match &settings.docker_config {
        Some(directory) => directory.as_path(),
        None => return Ok(usual(&DOCKER_SOCKETS, "docker.sock", settings)),
    };
    let name = match given(&settings.docker_context) {
        Some(name) => Some(name.to_string()),
        None => current_context(config)?,
    };
    match name.filter(|name| name != "default") {
        Some(name) => Ok(vec![context_endpoint(config, &name)?]),
        None => Ok(usual(&DOCKER_SOCKETS, "docker.sock", settings)),
    }
}

/// The address of podman's service: CONTAINER_HOST, or else the usual sockets.
pub fn podman_endpoints(settings: &EngineSettings) -> Result<Vec<EngineEndpoint>, SourceError> {
    match given(&settings.container_host) {
        Some(host) => Ok(vec![EngineEndpoint::parse(host, None)?]),
        None => Ok(usual(&PODMAN_SOCKETS, "podman/podman.sock", settings)),
    }
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// The user's own engine comes before the system's.
fn usual(system: &[&str], own: &str, settings: &EngineSettings) -> Vec<EngineEndpoint> {
    let own = settings.runtime_folder.iter().map(|directory| directory.join(own));
    own.chain(system.iter().map(PathBuf::from)).filter(|path| path.exists()).map(EngineEndpoint::Unix).collect()
}

fn environment_tls(settings: &EngineSettings) -> Option<Tls> {
    let directory = settings.cert_folder.clone().or_else(|| settings.docker_config.clone());
    // Without DOCKER_TLS_VERIFY, the docker command uses plain HTTP for a tcp address, even if certificates exist.
    settings.is_tls_verified.then(|| Tls { directory: directory.unwrap_or_default(), is_verified: true })
}

fn current_context(config: &Path) -> Result<Option<String>, SourceError> {
    #[derive(Deserialize)]
    struct ConfigFile {
        #[serde(default, rename = "currentContext")]
        current_context: Option<String>,
    }
    match read_json::<ConfigFile>(&config.join("config.json"))? {
        Some(file) => Ok(file.current_context.filter(|name| !name.is_empty())),
        None => Ok(None),
    }
}

fn context_endpoint(config: &Path, name: &str) -> Result<EngineEndpoint, SourceError> {
    let id: String = sha2::Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let contexts = config.join("contexts");
    let missing = || {
        let place = contexts.display().to_string();
        SourceError::NotFound { what: "docker context", name: name.to_string(), place }.with_hint("docker context ls")
    };
    let meta: Meta = read_json(&contexts.join("meta").join(&id).join("meta.json"))?.ok_or_else(missing)?;
    let endpoint = meta.endpoints.docker.ok_or_else(missing)?;
    let directory = contexts.join("tls").join(&id).join("docker");
    let tls = directory.is_dir().then_some(Tls { directory, is_verified: !endpoint.skip_tls_verify });
    EngineEndpoint::parse(&endpoint.host, tls)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, SourceError> {
    let place = path.display().to_string();
    let file = match open_regular(path) {
        Err(SourceError::File { cause, .. }) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let bytes = read_bounded(file, CONFIG_LIMIT, "bytes for a configuration", &place)?;
    // As in the docker command, a blank file counts as empty.
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| SourceError::Malformed { place, cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sha256 of "remote", the directory that `docker context create remote` uses.
    const REMOTE: &str = "b71199ebd070b36beab7317920c2c2f1d777df8d05e5527d8458fda57cb17a7a";

    fn config(current: &str, host: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let meta = directory.path().join("contexts/meta").join(REMOTE);
        std::fs::create_dir_all(&meta).unwrap();
        let text = format!(
            r#"{{"Name":"remote","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        );
        std::fs::write(meta.join("meta.json"), text).unwrap();
        std::fs::write(directory.path().join("config.json"), format!(r#"{{"auths":{{}}{current}}}"#)).unwrap();
        directory
    }

    fn check(settings: &EngineSettings, expected: &str) {
        let endpoints = docker_endpoints(settings).unwrap();
        assert_eq!(endpoints.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected], "{settings:?}");
    }

    #[test]
    fn docker_host_goes_before_the_context_and_the_variable_before_the_file() {
        let directory = config(r#","currentContext":"remote""#, "tcp://build.example:2375");
        let docker_config = Some(directory.path().to_path_buf());
        let settings = EngineSettings { docker_config, ..EngineSettings::default() };
        check(&settings, "tcp://build.example:2375");
        let docker_host = Some("unix:///run/other.sock".to_string());
        check(&EngineSettings { docker_host, ..settings.clone() }, "unix:///run/other.sock");
        let docker_context = Some("nowhere".to_string());
        let error = docker_endpoints(&EngineSettings { docker_context, ..settings }).unwrap_err();
        assert!(error.to_string().contains("docker context nowhere was not found"), "{error}");
    }

    #[test]
    fn a_blank_config_has_no_context() {
        let directory = tempfile::tempdir().unwrap();
        for blank in ["", " \n"] {
            std::fs::write(directory.path().join("config.json"), blank).unwrap();
            assert_eq!(current_context(directory.path()).unwrap(), None);
        }
    }

    #[test]
    fn a_context_named_by_the_variable_is_read() {
        let directory = config("", "unix:///run/remote.sock");
        let settings = EngineSettings {
            docker_config: Some(directory.path().to_path_buf()),
            docker_context: Some("remote".to_string()),
            ..EngineSettings::default()
        };
        check(&settings, "unix:///run/remote.sock");
    }

    #[test]
    fn rootless_sockets_are_found_where_they_exist() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("docker.sock"), "").unwrap();
        let runtime_folder = Some(directory.path().to_path_buf());
        let settings = EngineSettings { runtime_folder, ..EngineSettings::default() };
        let own = EngineEndpoint::Unix(directory.path().join("docker.sock"));
        assert_eq!(docker_endpoints(&settings).unwrap().first(), Some(&own));
        assert!(podman_endpoints(&settings).unwrap().iter().all(|endpoint| *endpoint != own));
    }

    #[test]
    fn tls_is_used_as_by_docker() {
        let settings = EngineSettings {
            docker_host: Some("tcp://build.example".to_string()),
            cert_folder: Some("/certs".into()),
            ..EngineSettings::default()
        };
        check(&settings, "tcp://build.example:2375");
        let settings = EngineSettings { is_tls_verified: true, ..settings };
        check(&settings, "tcp://build.example:2376");
        let tls = Some(Tls { directory: "/certs".into(), is_verified: true });
        let authority = "build.example:2376".to_string();
        assert_eq!(docker_endpoints(&settings).unwrap(), [EngineEndpoint::Tcp { authority, tls }]);
    }

    #[test]
    fn an_unsupported_address_is_an_error() {
        assert_eq!(EngineEndpoint::parse("10.0.0.1:2375", None).unwrap().to_string(), "tcp://10.0.0.1:2375");
        for text in ["ssh://me@host", "npipe:////./pipe/docker_engine", "unix://relative", "tcp://a/b", "nonsense"] {
            assert!(
                matches!(EngineEndpoint::parse(text, None).unwrap_err().bare(), SourceError::Unsupported { .. }),
                "{text}"
            );
        }
        assert!(EngineEndpoint::parse("ssh://me@host", None).unwrap_err().hint().unwrap().contains("docker save"));
    }
    #[test]
    fn an_address_is_refused_without_its_secret() {
        for text in ["tcp://u:hunter2@h:2375", "ssh://u:hunter2@h", "u:hunter2@h:2375", "tcp://u:hunter/2@h"] {
            let error = EngineEndpoint::parse(text, None).unwrap_err().to_string();
            assert!(error.contains("***@h") && !error.contains("hunter"), "{error}");
        }
    }
}
