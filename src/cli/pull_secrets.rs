//! A cluster's pull secrets as credential files of this run: private, and gone with it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use super::CliError;
use crate::kube::object::PodSpec;
use crate::kube::{Cluster, KubeError};

/// What was read of secrets, each once.
#[derive(Default)]
pub struct PullSecrets {
    /// By `namespace/name`; none where it holds no credentials, or could not be read.
    files: BTreeMap<String, Option<tempfile::NamedTempFile>>,
    accounts: BTreeSet<String>,
}

impl PullSecrets {
    /// Reads what a pod pulls with: its own imagePullSecrets and its service account's. What is forbidden is said once.
    pub fn read_for(
        &mut self,
        cluster: &Cluster,
        namespace: Option<&str>,
        pod: &PodSpec,
        unread: &mut Vec<String>,
    ) -> Result<(), CliError> {
        let namespace = namespace.unwrap_or("default");
        for secret in &pod.image_pull_secrets {
            self.read(cluster, namespace, &secret.name, unread)?;
        }
        let account = pod.service_account_name.as_deref().unwrap_or("default");
        if !self.accounts.insert(format!("{namespace}/{account}")) {
            return Ok(());
        }
        match cluster.pull_secrets_of_account(namespace, account) {
            Ok(names) => {
                for name in names {
                    self.read(cluster, namespace, &name, unread)?;
                }
            }
            // A template may name an account that is made later.
            Err(KubeError::NotFound { .. }) => {}
            Err(error) => say(unread, format!("service account {namespace}/{account}: {error}")),
        }
        Ok(())
    }

    fn read(
        &mut self,
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        unread: &mut Vec<String>,
    ) -> Result<(), CliError> {
        let title = format!("{namespace}/{name}");
        if self.files.contains_key(&title) {
            return Ok(());
        }
        let file = match cluster.pull_secret(namespace, name) {
            Ok(Some(config)) => {
                let mut file = tempfile::NamedTempFile::new()?;
                file.write_all(&config)?;
                Some(file)
            }
            Ok(None) => None,
            Err(error) => {
                say(unread, format!("pull secret {title}: {error}"));
                None
            }
        };
        self.files.insert(title, file);
        Ok(())
    }

    /// Files as a container engine's login would write them.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.values().flatten().map(|file| file.path().to_path_buf()).collect()
    }
}

fn say(unread: &mut Vec<String>, text: String) {
    if !unread.contains(&text) {
        unread.push(text);
    }
}
