//! Why a request to a cluster failed, and what helps.

/// Why a request to a cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    #[error("kubeconfig {files}: {cause}")]
    Config { files: String, cause: String },
    #[error("no cluster is configured: no kubeconfig at {files}")]
    NoConfig { files: String },
    #[error("in-cluster configuration: {0}")]
    InCluster(String),
    #[error("{server} could not be reached: {cause}")]
    Unreachable { server: String, cause: String },
    /// 401.
    #[error("{server} rejected the credentials: {cause}")]
    Unauthorized { server: String, cause: String },
    /// 403. Reported, but other requests continue.
    #[error("{server} denied the request: {cause}")]
    Forbidden { server: String, cause: String },
    #[error("{server} has no {what}")]
    NotFound { server: String, what: String },
    #[error("{server} answered {status} for {what}: {cause}")]
    Answer { server: String, what: String, status: u16, cause: String },
    #[error("{server}: {what} cannot be read: {cause}")]
    Malformed { server: String, what: String, cause: String },
    #[error("{server}: the list of {what} kept changing while it was read")]
    ListExpired { server: String, what: String },
    #[error("{server}: the list of {what} has more than {limit} objects")]
    ListTooLong { server: String, what: String, limit: u64 },
}

impl KubeError {
    pub fn is_forbidden(&self) -> bool {
        matches!(self, KubeError::Forbidden { .. })
    }

    pub fn hint(&self) -> Option<&'static str> {
        match self {
            KubeError::Config { .. } => Some("list the contexts with: kubectl config get-contexts"),
            KubeError::NoConfig { .. } => Some(
                "pass --kubeconfig or set KUBECONFIG; without a cluster, use imgarch nodes --profiles or imgarch diagnose --log FILE",
            ),
            KubeError::Unauthorized { .. } => Some("log in again, then check with: kubectl auth whoami"),
            KubeError::Forbidden { .. } => {
                Some("docs/kubernetes.md contains a role with the permissions that imgarch needs")
            }
            _ => None,
        }
    }
}

/// An error and its sources on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        // Most errors of this stack print their cause themselves.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
