//! Resolves where images are read: flags, files and the environment become the options of registries and engines.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{CliError, Environment};
use crate::cache::{Cache, Remembered};
use crate::source::containerd::Containerd;
use crate::source::engine::EngineSettings;
use crate::source::input::{Opener, RegistryOpener};
use crate::source::registry::{
    Client, CredentialPaths, CredentialStore, Credentials, HostOptions, RegistryOptions, RetryPolicy, Trust,
};
use crate::source::{Source, SourceError};

/// Flags on where images are read.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Sources")]
pub struct SourceArgs {
    /// Allow plain HTTP and unverified TLS certificates, for every registry.
    #[arg(long)]
    pub insecure: bool,
    /// PEM file of an additional certificate authority to trust; repeatable.
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
    /// Root directory of containerd's state, for containerd:NAMESPACE/NAME.
    #[arg(long, value_name = "DIR")]
    pub containerd_root: Option<PathBuf>,
    /// Socket of containerd.
    #[arg(long, value_name = "SOCKET")]
    pub containerd_address: Option<PathBuf>,
}

/// Where images are read, resolved: credentials, sockets and certificates.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    pub is_offline: bool,
    registries: RegistryOptions,
    engines: EngineSettings,
    containerd: Vec<Containerd>,
}

/// What a file, the environment or flags set for registries.
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

    /// The same without mirrors: a mirror may not know yet what a tag names now.
    pub fn without_mirrors(mut self) -> SourceSettings {
        self.registries.mirrors.clear();
        self
    }

    /// The same with more credentials, asked after the user's own.
    #[cfg(feature = "kube")]
    pub fn with_credentials(mut self, stores: Vec<CredentialStore>) -> SourceSettings {
        self.registries.credentials.stores.extend(stores);
        self
    }

    /// What opens the images that users name. With a cache, documents of registries are remembered there.
    pub fn opener(&self, cache: Option<&Arc<Cache>>) -> Result<Opener, CliError> {
        let registry = match self.is_offline {
            true => None,
            false => {
                let client = self.client().map_err(|error| CliError::Usage {
                    text: error.to_string(),
                    hint: error.hint().map(str::to_string),
                })?;
                let cache = cache.cloned();
                let open: RegistryOpener = Box::new(move |reference| {
                    let image: Box<dyn Source> = Box::new(client.image(reference));
                    match &cache {
                        Some(cache) => Box::new(Remembered::new(image, cache)),
                        None => image,
                    }
                });
                Some(open)
            }
        };
        Ok(Opener { registry, engines: self.engines.clone(), containerd: self.containerd.clone() })
    }

    /// A client of registries.
    pub fn client(&self) -> Result<Arc<Client>, SourceError> {
        Client::new(self.registries.clone())
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
    // The docker command reads it before its files. CI services set it.
    if let Some(json) = environment.text("DOCKER_AUTH_CONFIG") {
        credentials.stores.insert(0, CredentialStore::Text { name: "DOCKER_AUTH_CONFIG".to_string(), json });
    }
    credentials.helper_timeout = settings.timeout;
    RegistryOptions {
        trust: if settings.is_insecure { Trust::Insecure } else { Trust::Verified },
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

/// Where podman and Docker keep the certificates of each registry. Source: containers-certs.d(5), dockerd(8).
fn cert_folders(paths: &CredentialPaths) -> Vec<PathBuf> {
    let config = paths.xdg_config_home.clone().or_else(|| Some(paths.home.as_ref()?.join(".config")));
    let own = config.iter().flat_map(|folder| [folder.join("containers/certs.d"), folder.join("docker/certs.d")]);
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

/// The user of this process, where the system has users and a /proc.
#[cfg(unix)]
fn uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}

#[cfg(not(unix))]
fn uid() -> Option<u32> {
    None
}
