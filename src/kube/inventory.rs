//! Lists a cluster: its nodes, its pods, its workloads, and what each of them runs.

use super::client::{Cluster, KubeError, Scope};
use super::nodes::{self, Nodes};
use super::object::{NodeObject, PodObject};
use super::pull_secrets::PullSecrets;
use super::survey::Survey;
use super::workload::of_object;
use crate::source::registry::CredentialStore;

/// What was read of a cluster.
#[derive(Default)]
pub struct Inventory {
    pub nodes: Nodes,
    pub pods: Vec<PodObject>,
    pub survey: Survey,
    pub workloads: usize,
    /// What pods pull with, where it was asked for.
    pub credentials: Vec<CredentialStore>,
    /// What could not be listed: the inventory is incomplete.
    pub unread: Vec<String>,
}

/// Whether imagePullSecrets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    Read,
    Leave,
}

impl Inventory {
    /// Lists everything in `scope`. What is forbidden is noted and does not end the listing.
    pub fn read(cluster: &Cluster, scope: &Scope, secrets: Secrets) -> Inventory {
        let mut found = Inventory::default();
        let mut pull_secrets = PullSecrets::default();
        let objects: Vec<NodeObject> = listed("nodes", cluster.nodes(), &mut found.unread);
        found.nodes = nodes::group(&objects);
        found.pods = listed("pods", cluster.pods(scope), &mut found.unread);
        for pod in &found.pods {
            found.survey.add_pod(pod, &found.nodes);
            if secrets == Secrets::Read {
                pull_secrets.read_for(cluster, pod.metadata.namespace.as_deref(), &pod.spec, &mut found.unread);
            }
        }
        for (plural, values) in cluster.workloads(scope) {
            for value in listed(plural, values, &mut found.unread) {
                match of_object(&value) {
                    Ok(Some(workload)) => {
                        found.workloads += 1;
                        found.survey.add_workload(&workload, &objects, &found.nodes);
                        if secrets == Secrets::Read {
                            let namespace = workload.namespace.as_deref();
                            pull_secrets.read_for(cluster, namespace, &workload.pod, &mut found.unread);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => found.unread.push(format!("{plural}: {error}")),
                }
            }
        }
        found.credentials = pull_secrets.stores();
        found
    }
}

/// What could be listed; a refusal is noted.
fn listed<T>(what: &str, list: Result<Vec<T>, KubeError>, unread: &mut Vec<String>) -> Vec<T> {
    list.unwrap_or_else(|error| {
        unread.push(format!("{what} were not read: {error}"));
        Vec::new()
    })
}
