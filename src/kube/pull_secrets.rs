//! Reads a cluster's pull secrets as credentials for this run. They stay in memory and are never written to disk.

use std::collections::{BTreeMap, BTreeSet};

use super::object::PodSpec;
use super::{Cluster, KubeError};
use crate::source::registry::CredentialStore;

/// The secrets that were read, each once.
#[derive(Default)]
pub struct PullSecrets {
    /// By `namespace/name`. `None` if the secret has no credentials or could not be read.
    texts: BTreeMap<String, Option<String>>,
    accounts: BTreeSet<String>,
}

impl PullSecrets {
    /// Reads the secrets that a pod pulls with: its own imagePullSecrets and its service account's. Each error is
    /// reported once.
    pub fn read_for(&mut self, cluster: &Cluster, namespace: Option<&str>, pod: &PodSpec, unread: &mut Vec<String>) {
        let namespace = namespace.unwrap_or("default");
        for secret in &pod.image_pull_secrets {
            self.read(cluster, namespace, &secret.name, unread);
        }
        let account = pod.service_account_name.as_deref().unwrap_or("default");
        if !self.accounts.insert(format!("{namespace}/{account}")) {
            return;
        }
        match cluster.pull_secrets_of_account(namespace, account) {
            Ok(names) => {
                for name in names {
                    self.read(cluster, namespace, &name, unread);
                }
            }
            // A template may name an account that is created later.
            Err(KubeError::NotFound { .. }) => {}
            Err(error) => push_once(unread, format!("service account {namespace}/{account}: {error}")),
        }
    }

    fn read(&mut self, cluster: &Cluster, namespace: &str, name: &str, unread: &mut Vec<String>) {
        let title = format!("{namespace}/{name}");
        if self.texts.contains_key(&title) {
            return;
        }
        let text = match cluster.pull_secret(namespace, name) {
            Ok(Some(config)) => Some(String::from_utf8_lossy(&config).into_owned()),
            Ok(None) => None,
            Err(error) => {
                push_once(unread, format!("pull secret {title}: {error}"));
                None
            }
        };
        self.texts.insert(title, text);
    }

    /// The secrets in the form that `docker login` writes.
    pub fn stores(self) -> Vec<CredentialStore> {
        let named = self.texts.into_iter().filter_map(|(title, text)| Some((title, text?)));
        named.map(|(title, json)| CredentialStore::Text { name: format!("pull secret {title}"), json }).collect()
    }
}

fn push_once(unread: &mut Vec<String>, text: String) {
    if !unread.contains(&text) {
        unread.push(text);
    }
}
