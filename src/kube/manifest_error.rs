//! Why a manifest, a Compose file or a saved list of nodes could not be read.

/// Why a manifest could not be read. `document` counts from 1.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{name}, document {document}: {cause}")]
    Yaml { name: String, document: usize, cause: String },
    #[error("{name}, document {document}: {what}: {cause}")]
    Object { name: String, document: usize, what: String, cause: serde_json::Error },
    #[error("{name}, service {service:?}: {cause}")]
    Service { name: String, service: String, cause: String },
    #[error("{name}: {cause}")]
    Compose { name: String, cause: String },
    #[error("{name} has more than {limit} documents")]
    TooMany { name: String, limit: usize },
    #[error("{0} contains neither Kubernetes objects nor Compose services")]
    Nothing(String),
    #[error("{0} is not a list of nodes; save one with: kubectl get nodes -o json")]
    NoNodes(String),
}
