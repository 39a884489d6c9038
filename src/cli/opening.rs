//! Resolves flags, files and the environment into the options of registries and engines that images are read from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{CliError, Environment};
use crate::cache::{Cache, Remembered};
use crate::source::containerd::Containerd;
use crate::source::engine::EngineSettings;
use crate::source::input::{ImageOpener, RegistryOpener};
use crate::source::registry::{
    CredentialPaths, CredentialStore, Credentials, HostOptions, RegistryClient, RegistryOptions, RetryPolicy, TlsTrust,
};
use crate::source::{ImageSource, SourceError};

/// Flags for image sources.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Sources")]
pub struct SourceArgs {
    /// Allow plain HTTP and unverified TLS certificates for every registry.
    #[arg(long)]
    pub insecure: bool,
    /// PEM file of an additional certificate authority to trust; repeatable.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Vec<PathBuf>,
    /// Do not contact registries; read only local engines, archives and directories.
    #[arg(long)]
    pub offline: bool,
    /// Seconds to wait for a response from a registry, for each part of its body, and for a credential helper [default:
    /// 30].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: Option<u64>,
    /// Seconds for the whole run; content unread by then is reported as unknown [default: 21600].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub deadline: Option<u64>,
    /// Root directory of containerd, for containerd:NAMESPACE/NAME.
    #[arg(long, value_name = "DIR")]
    pub containerd_root: Option<PathBuf>,
    /// Socket of containerd.
    #[arg(long, value_name = "SOCKET")]
    pub containerd_address: Option<PathBuf>,
}

/// Resolved image sources: credentials, sockets and certificates.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    pub is_offline: bool,
    registries: RegistryOptions,
    engines: EngineSettings,
    containerd: Vec<Containerd>,
}

/// Registry settings from a file, the environment or flags.
pub struct RegistrySettings {
    pub is_offline: bool,
    pub is_insecure: bool,
    pub ca_certs: Vec<PathBuf>,
    pub timeout: Duration,
    pub mirrors: BTreeMap<String, Vec<String>>,
    pub hosts: BTreeMap<String, HostOptions>,
}

impl SourceSettings {
    pub fn new(registries: RegistrySettings, args: &SourceArgs, environment: &Environment) -> SourceSettings {
        SourceSettings {
            is_offline: registries.is_offline,
            registries: registry_options(registries, environment),
            engines: engine_settings(environment),
            containerd: containerd(args, environment),
        }
    }

    /// Removes the mirrors, because a mirror can return an outdated digest for a tag.
    pub fn without_mirrors(mut self) -> SourceSettings {
        self.registries.mirrors.clear();
        self
    }

    /// Adds credentials that are tried after the user's own.
    #[cfg(feature = "kube")]
    pub fn with_credentials(mut self, stores: Vec<CredentialStore>) -> SourceSettings {
        self.registries.credentials.stores.extend(stores);
        self
    }

    /// Returns the opener for the images that users name. With a cache, registry documents are cached.
    pub fn opener(&self, cache: Option<&Arc<Cache>>) -> Result<ImageOpener, CliError> {
        let registry = match self.is_offline {
            true => None,
            false => {
                let client = self.client().map_err(|error| CliError::Usage {
                    text: error.to_string(),
                    hint: error.hint().map(str::to_string),
                })?;
                let cache = cache.cloned();
                let open: RegistryOpener = Box::new(move |reference| {
                    let image: Box<dyn ImageSource> = Box::new(client.image(reference));
                    match &cache {
                        Some(cache) => Box::new(Remembered::new(image, cache)),
                        None => image,
                    }
                });
                Some(open)
            }
        };
        Ok(ImageOpener { registry, engines: self.engines.clone(), containerd: self.containerd.clone() })
    }

    /// Creates a registry client.
    pub fn client(&self) -> Result<Arc<RegistryClient>, SourceError> {
        RegistryClient::new(self.registries.clone())
    }
}

fn registry_options(settings: RegistrySettings, environment: &Environment) -> RegistryOptions {
    let paths = CredentialPaths {
        registry_auth_file: environment.path("REGISTRY_AUTH_FILE"),
        xdg_runtime_dir: environment.path("XDG_RUNTIME_DIR"),
        xdg_config_home: environment.path("XDG_CONFIG_HOME"),
        docker_config: environment.path("DOCKER_CONFIG"),
        home: environment.path("HOME"),
        uid: uid(),
    };
    let mut credentials = Credentials::from_paths(&paths);
    // The docker command prefers it to its configuration files. CI services set it.
    if let Some(json) = environment.text("DOCKER_AUTH_CONFIG") {
        credentials.stores.insert(0, CredentialStore::Text { name: "DOCKER_AUTH_CONFIG".to_string(), json });
    }
    credentials.helper_timeout = settings.timeout;
    RegistryOptions {
        trust: if settings.is_insecure { TlsTrust::Insecure } else { TlsTrust::Verified },
        ca_certs: settings.ca_certs,
        hosts: settings.hosts,
        cert_folders: cert_folders(&paths),
        credentials,
        timeout: settings.timeout,
        retry: RetryPolicy::within(settings.timeout),
        mirrors: settings.mirrors,
        no_proxy: environment.text("NO_PROXY").or_else(|| environment.text("no_proxy")).unwrap_or_default(),
        ..RegistryOptions::default()
    }
}

/// Returns the directories where podman and Docker keep certificates by registry. Source: containers-certs.d(5),
/// dockerd(8).
fn cert_folders(paths: &CredentialPaths) -> Vec<PathBuf> {
    let config = paths.xdg_config_home.clone().or_else(|| Some(paths.home.as_ref()?.join(".config")));
    let own = config.iter().flat_map(|path| [path.join("containers/certs.d"), path.join("docker/certs.d")]);
    own.chain(["/etc/containers/certs.d".into(), "/etc/docker/certs.d".into()]).collect()
}

fn engine_settings(environment: &Environment) -> EngineSettings {
    let in_home = || Some(environment.path("HOME")?.join(".docker"));
    EngineSettings {
        docker_host: environment.text("DOCKER_HOST"),
        docker_context: environment.text("DOCKER_CONTEXT"),
        is_tls_verified: environment.text("DOCKER_TLS_VERIFY").is_some(),
        cert_folder: environment.path("DOCKER_CERT_PATH"),
        docker_config: environment.path("DOCKER_CONFIG").or_else(in_home),
        container_host: environment.text("CONTAINER_HOST"),
        runtime_folder: environment.path("XDG_RUNTIME_DIR"),
        podman_command: Some("podman".to_string()),
    }
}

fn containerd(args: &SourceArgs, environment: &Environment) -> Vec<Containerd> {
    let default = Containerd::default();
    let root = args.containerd_root.clone();
    let address = args.containerd_address.clone().or_else(|| environment.path("CONTAINERD_ADDRESS"));
    if root.is_none() && address.is_none() {
        return Vec::new();
    }
    vec![Containerd { root: root.unwrap_or(default.root), address: address.unwrap_or(default.address) }]
}

/// The user ID of this process, on a system that has user IDs and /proc.
#[cfg(unix)]
fn uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}

#[cfg(not(unix))]
fn uid() -> Option<u32> {
    None
}
