//! From the environment and the flags to what opens images: where credentials, sockets and certificates are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::CliError;
use crate::source::containerd::Containerd;
use crate::source::engine::EngineSettings;
use crate::source::input::{self, OpenOptions, Opened};
use crate::source::registry::{
    Client, CredentialPaths, CredentialStore, Credentials, HostOptions, RegistryOptions, RetryPolicy, Trust,
};
use crate::source::{Source, SourceError};

/// Flags on where images are read.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Sources")]
pub struct SourceArgs {
    /// Allow plain HTTP and certificates that nobody vouches for, for every registry.
    #[arg(long)]
    pub insecure: bool,
    /// PEM file of a certificate authority to trust beside the system's; repeatable.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Vec<PathBuf>,
    /// Ask no registry: read local engines, archives and directories only.
    #[arg(long)]
    pub offline: bool,
    /// Seconds to wait for one answer: of a registry, for each piece of it, and of a credential helper [default: 30].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: Option<u64>,
    /// Seconds for the whole run; what has not been read by then is reported as not known [default: 21600].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub deadline: Option<u64>,
    /// Root directory of containerd's state, for containerd:NAMESPACE/REF.
    #[arg(long, value_name = "DIR")]
    pub containerd_root: Option<PathBuf>,
    /// Socket of containerd.
    #[arg(long, value_name = "SOCKET")]
    pub containerd_address: Option<PathBuf>,
    /// By registry: mirrors that are asked before it. Only a configuration file says so.
    #[arg(skip)]
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// By host: what holds for that one only. Only a configuration file says so.
    #[arg(skip)]
    pub hosts: BTreeMap<String, HostOptions>,
    /// Credentials that a command adds: pull secrets of a cluster, asked after the user's own.
    #[arg(skip)]
    pub extra_credentials: Vec<CredentialStore>,
}

impl SourceArgs {
    /// Seconds for the whole run.
    pub fn deadline(&self) -> u64 {
        self.deadline.unwrap_or(super::settings::DEADLINE)
    }
}

/// Opens what users name, with everything decided.
pub struct Opener {
    options: OpenOptions,
}

impl Opener {
    pub fn new(args: &SourceArgs) -> Result<Opener, CliError> {
        let registry = match args.offline {
            true => None,
            false => {
                let client = Client::new(registry_options(args)).map_err(|error| CliError::Usage {
                    text: error.to_string(),
                    hint: error.hint().map(str::to_string),
                })?;
                let open: input::RegistryOpener =
                    Box::new(move |reference| Box::new(client.image(reference)) as Box<dyn Source>);
                Some(open)
            }
        };
        Ok(Opener { options: OpenOptions { registry, engines: engine_settings(), containerd: containerd(args) } })
    }

    pub fn open(&self, name: &str) -> Result<Opened, SourceError> {
        input::open(name, &self.options)
    }
}

/// A client of registries with the flags and the user's credential files.
pub fn registry_client(args: &SourceArgs) -> Result<Arc<Client>, SourceError> {
    Client::new(registry_options(args))
}

fn registry_options(args: &SourceArgs) -> RegistryOptions {
    let paths = CredentialPaths {
        registry_auth_file: path("REGISTRY_AUTH_FILE"),
        xdg_runtime_dir: path("XDG_RUNTIME_DIR"),
        xdg_config_home: path("XDG_CONFIG_HOME"),
        docker_config: path("DOCKER_CONFIG"),
        home: path("HOME"),
        uid: uid(),
    };
    let mut credentials = Credentials::from_paths(&paths);
    // As the docker command has it: before its files. CI services set it.
    if let Some(json) = text("DOCKER_AUTH_CONFIG") {
        credentials.stores.insert(0, CredentialStore::Text { name: "DOCKER_AUTH_CONFIG".to_string(), json });
    }
    credentials.stores.extend(args.extra_credentials.iter().cloned());
    let timeout = Duration::from_secs(args.timeout.unwrap_or(super::settings::TIMEOUT));
    credentials.helper_timeout = timeout;
    RegistryOptions {
        trust: if args.insecure { Trust::Insecure } else { Trust::Verified },
        ca_certs: args.ca_cert.clone(),
        hosts: args.hosts.clone(),
        cert_folders: cert_folders(&paths),
        credentials,
        timeout,
        retry: RetryPolicy::within(timeout),
        mirrors: args.mirrors.clone(),
        ..RegistryOptions::default()
    }
}

/// Where podman and Docker keep the certificates of each registry. Source: containers-certs.d(5), dockerd(8).
fn cert_folders(paths: &CredentialPaths) -> Vec<PathBuf> {
    let config = paths.xdg_config_home.clone().or_else(|| Some(paths.home.as_ref()?.join(".config")));
    let own = config.iter().flat_map(|folder| [folder.join("containers/certs.d"), folder.join("docker/certs.d")]);
    own.chain(["/etc/containers/certs.d".into(), "/etc/docker/certs.d".into()]).collect()
}

fn engine_settings() -> EngineSettings {
    let docker_config = path("DOCKER_CONFIG").or_else(|| Some(path("HOME")?.join(".docker")));
    EngineSettings {
        docker_host: text("DOCKER_HOST"),
        docker_context: text("DOCKER_CONTEXT"),
        is_tls_verified: text("DOCKER_TLS_VERIFY").is_some(),
        cert_folder: path("DOCKER_CERT_PATH"),
        docker_config,
        container_host: text("CONTAINER_HOST"),
        runtime_folder: path("XDG_RUNTIME_DIR"),
    }
}

fn containerd(args: &SourceArgs) -> Vec<Containerd> {
    let default = Containerd::default();
    let root = args.containerd_root.clone();
    let address = args.containerd_address.clone().or_else(|| path("CONTAINERD_ADDRESS"));
    if root.is_none() && address.is_none() {
        return Vec::new();
    }
    vec![Containerd { root: root.unwrap_or(default.root), address: address.unwrap_or(default.address) }]
}

/// Whose process this is, where the system has users and tells.
#[cfg(unix)]
fn uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}

#[cfg(not(unix))]
fn uid() -> Option<u32> {
    None
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
