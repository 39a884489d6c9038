//! Clusters and manifests: turns objects into targets, workloads and failures. Only `client` (feature `kube`) connects
//! to a server, and it only reads.

mod admitted;
#[cfg(feature = "kube")]
pub mod client;
pub mod compose;
mod found;
mod image_text;
#[cfg(feature = "kube")]
pub mod inventory;
#[cfg(feature = "kube")]
mod kube_error;
mod linked;
#[cfg(feature = "kube")]
mod links;
pub mod manifest;
mod manifest_error;
pub mod nodes;
pub mod object;
#[cfg(feature = "kube")]
mod page;
mod parameters;
mod process;
#[cfg(feature = "kube")]
mod pull_secrets;
pub mod revision;
pub mod schedule;
pub mod survey;
pub mod uses;
pub mod workload;

#[cfg(feature = "kube")]
pub use client::{Cluster, ClusterAccess, Scope};
#[cfg(feature = "kube")]
pub use kube_error::KubeError;
pub use manifest::WorkloadManifest;
pub use manifest_error::ManifestError;
pub use nodes::{Nodes, NodesAlike};
pub use revision::{Revision, revisions};
pub use survey::{ImageUse, Survey};
pub use uses::{UseTask, use_tasks};
pub use workload::{ContainerRole, ContainerUse, Workload};
