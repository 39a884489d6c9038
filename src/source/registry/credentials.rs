//! Finds the credentials for a registry: Docker's `config.json`, podman's `auth.json`, their helpers, and pull secrets,
//! which contain the same JSON. They are read only when a registry requires a credential. A secret never appears in a
//! displayed text.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use serde::Deserialize;

use super::credential::Credential;
use super::helper;
use crate::files;
use crate::source::SourceError;

/// Size limit of a file. Configs with hundreds of registries take a few hundred kilobytes; a larger file is something
/// else.
const FILE_LIMIT: u64 = 4 << 20;

/// A source of credentials.
#[derive(Clone)]
pub enum CredentialStore {
    /// A `config.json` or `auth.json`; a missing file counts as empty.
    File(PathBuf),
    /// The same as a text, such as a Kubernetes pull secret. `name` is used in messages.
    Text { name: String, json: String },
    /// A credential for one host, given by the user.
    Given { host: String, credential: Credential },
}

impl fmt::Debug for CredentialStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CredentialStore::File(path) => write!(f, "File({})", path.display()),
            CredentialStore::Text { name, .. } => write!(f, "Text({name})"),
            CredentialStore::Given { host, credential } => write!(f, "Given({host}, {credential:?})"),
        }
    }
}

/// The sources of credentials; the first match counts.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub stores: Vec<CredentialStore>,
    /// Timeout of a helper program. It is not short, because some helpers prompt the user.
    pub helper_timeout: Duration,
    /// The search path for helper programs, like `PATH`; `None` uses this process's own.
    pub helper_path: Option<OsString>,
}

impl Default for Credentials {
    fn default() -> Credentials {
        Credentials { stores: Vec::new(), helper_timeout: Duration::from_secs(60), helper_path: None }
    }
}

/// The environment variables that locate credentials, each in the field of its name, and the user ID of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialPaths {
    pub registry_auth_file: Option<PathBuf>,
    pub xdg_runtime_dir: Option<PathBuf>,
    pub xdg_config_home: Option<PathBuf>,
    pub docker_config: Option<PathBuf>,
    pub home: Option<PathBuf>,
    pub uid: Option<u32>,
}

impl CredentialPaths {
    /// Podman's files, then Docker's. Source: containers-auth.json(5), "DESCRIPTION".
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        if let Some(path) = &self.registry_auth_file {
            files.push(path.clone());
        } else {
            let by_uid = || Some(PathBuf::from(format!("/run/containers/{}", self.uid?)));
            let run = self.xdg_runtime_dir.as_ref().map(|directory| directory.join("containers")).or_else(by_uid);
            files.extend(run.map(|directory| directory.join("auth.json")));
            let config = self.xdg_config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")));
            files.extend(config.map(|directory| directory.join("containers/auth.json")));
        }
        let docker = self.docker_config.clone().or_else(|| Some(self.home.as_ref()?.join(".docker")));
        files.extend(docker.map(|directory| directory.join("config.json")));
        files
    }
}

impl Credentials {
    pub fn from_paths(paths: &CredentialPaths) -> Credentials {
        let stores = paths.files().into_iter().map(CredentialStore::File).collect();
        Credentials { stores, ..Credentials::default() }
    }
}

/// The result of a lookup for a repository.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CredentialLookup {
    pub(super) credential: Option<Credential>,
    /// The error of a helper, reported if the registry refuses the anonymous request made instead.
    pub(super) failure: Option<String>,
}

/// The stores with a cache of their content: each helper is called once per server, and each file is read once, because
/// it may be a pipe.
pub(super) struct Wallet {
    credentials: Credentials,
    /// The content of the files that exist, by path.
    files: Mutex<HashMap<PathBuf, Option<Arc<str>>>>,
    /// By helper and server.
    answers: Mutex<HashMap<(String, String), HelperResult>>,
}

/// Omits the files, which contain secrets.
impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

type HelperResult = Result<Option<Credential>, String>;

#[derive(Deserialize, Default)]
#[serde(default)]
struct DockerConfig {
    auths: BTreeMap<String, Option<Auth>>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
    #[serde(rename = "credHelpers")]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Wallet {
    pub(super) fn new(credentials: Credentials) -> Wallet {
        Wallet { credentials, files: Mutex::default(), answers: Mutex::default() }
    }

    /// The credential for `repository` of `host` (`docker.io`, `localhost:5000`).
    pub(super) fn find(&self, host: &str, repository: &str) -> Result<CredentialLookup, SourceError> {
        let mut failure = None;
        for store in &self.credentials.stores {
            let found = match store {
                CredentialStore::Given { host: given, credential } => {
                    let credential = (normal_key(given) == host).then(|| credential.clone());
                    CredentialLookup { credential, failure: None }
                }
                CredentialStore::Text { name, json } => self.find_in(&parse(json, name)?, name, host, repository)?,
                CredentialStore::File(path) => match self.read(path)? {
                    Some(text) => {
                        let place = path.display().to_string();
                        self.find_in(&parse(&text, &place)?, &place, host, repository)?
                    }
                    None => CredentialLookup::default(),
                },
            };
            if found.credential.is_some() {
                return Ok(found);
            }
            failure = failure.or(found.failure);
        }
        Ok(CredentialLookup { credential: None, failure })
    }

    /// A helper for this host takes precedence over the default helper, and that over the file's own entries.
    fn find_in(
        &self,
        file: &DockerConfig,
        place: &str,
        host: &str,
        repository: &str,
    ) -> Result<CredentialLookup, SourceError> {
        let of_host = file.cred_helpers.iter().find(|(key, _)| normal_key(key) == host).map(|(_, name)| name);
        let mut failure = None;
        for name in of_host.into_iter().chain(&file.creds_store).filter(|name| !name.is_empty()) {
            match self.call_helper(name, server_name(host)) {
                Ok(Some(credential)) => return Ok(CredentialLookup { credential: Some(credential), failure: None }),
                Ok(None) => {}
                Err(cause) => {
                    tracing::warn!(host, cause, "a credential helper failed");
                    failure = failure.or(Some(cause));
                }
            }
        }
        for scope in scopes(host, repository) {
            let entry = file.auths.iter().find(|(key, auth)| auth.is_some() && normal_key(key) == scope);
            if let Some((key, Some(auth))) = entry {
                let malformed = |cause| SourceError::Malformed { place: place.to_string(), cause };
                let credential = auth.read().map_err(|cause| malformed(format!("auths entry {key:?}: {cause}")))?;
                if credential.is_some() {
                    return Ok(CredentialLookup { credential, failure: None });
                }
            }
        }
        Ok(CredentialLookup { credential: None, failure })
    }

    fn read(&self, path: &Path) -> Result<Option<Arc<str>>, SourceError> {
        // Held during the read: a pipe can be read only once.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(path) {
            return Ok(known.clone());
        }
        let text = read(path)?.map(Arc::from);
        files.insert(path.to_path_buf(), text.clone());
        Ok(text)
    }

    fn call_helper(&self, name: &str, server: &str) -> HelperResult {
        // Held during the call on purpose: a helper that prompts the user must not do so once per layer.
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_string(), server.to_string());
        let Credentials { helper_path, helper_timeout, .. } = &self.credentials;
        answers
            .entry(key)
            .or_insert_with(|| helper::call(name, server, helper_path.as_deref(), *helper_timeout))
            .clone()
    }
}

impl Auth {
    fn read(&self) -> Result<Option<Credential>, String> {
        let text = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = text(&self.registrytoken) {
            return Ok(Some(Credential::RegistryToken(token)));
        }
        let (username, password) = match text(&self.auth) {
            Some(auth) => decode(&auth)?,
            None => (self.username.clone().unwrap_or_default(), self.password.clone().unwrap_or_default()),
        };
        if let Some(token) = text(&self.identitytoken) {
            return Ok(Some(Credential::IdentityToken { username, token }));
        }
        Ok(Credential::from_pair(username, password))
    }
}

/// Decodes `auth`, the base64 of `user:password`; Docker pads the password with NUL bytes.
fn decode(auth: &str) -> Result<(String, String), String> {
    let unreadable = || "\"auth\" is not base64 of user:password".to_string();
    let bytes = base64::engine::general_purpose::STANDARD.decode(auth.trim()).map_err(|_| unreadable())?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable())?;
    let (username, password) = text.split_once(':').ok_or_else(unreadable)?;
    Ok((username.to_string(), password.trim_matches('\0').to_string()))
}

fn parse(text: &str, place: &str) -> Result<DockerConfig, SourceError> {
    // As in the docker command, a blank file counts as empty.
    if text.trim().is_empty() {
        return Ok(DockerConfig::default());
    }
    // serde_json's message may quote a value of the wrong type, so only its line and column are used.
    serde_json::from_str(text).map_err(|error| SourceError::Malformed {
        place: place.to_string(),
        cause: format!("not a Docker config file: line {}, column {}", error.line(), error.column()),
    })
}

fn read(path: &Path) -> Result<Option<String>, SourceError> {
    match files::read_named_text(path, FILE_LIMIT) {
        Ok(text) => Ok(Some(text)),
        // A named pipe without a writer counts as empty.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TimedOut) => Ok(None),
        Err(error) if error.kind() == ErrorKind::FileTooLarge => {
            let place = path.display().to_string();
            Err(SourceError::TooLarge { place, what: "bytes for a credentials file", limit: FILE_LIMIT })
        }
        Err(cause) => Err(SourceError::File { path: path.to_path_buf(), cause }),
    }
}

/// `host/org/repo`, `host/org`, `host`: podman's keys may be as narrow as one repository.
fn scopes(host: &str, repository: &str) -> Vec<String> {
    let whole = format!("{host}/{repository}");
    let ends = whole.match_indices('/').map(|(at, _)| at).chain([whole.len()]);
    let mut scopes: Vec<String> = ends.map(|end| whole[..end].to_string()).collect();
    scopes.reverse();
    scopes
}

/// Normalises a key to host and path: `https://index.docker.io/v1/` is `docker.io`, `http://host:5000/v2/` is
/// `host:5000`.
fn normal_key(key: &str) -> String {
    let bare = key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    let (host, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    format!("{host}{path}")
}

/// The server name that helpers use for a host; Docker Hub has its own.
fn server_name(host: &str) -> &str {
    if host == "docker.io" { "https://index.docker.io/v1/" } else { host }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
