//! A client of the Kubernetes API that only reads: lists in pages, single objects, events, logs. The only file of this
//! module that uses the network. It blocks on its own async runtime.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::kube::Client;
use ::kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use ::kube::core::Request;
use ::kube::core::params::{GetParams, ListParams};
use ::kube::core::subresource::LogParams;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinSet;

use super::kube_error::{KubeError, chain};
use super::links::{self, BrokenReference, Links, ObjectReference};
use super::object::{self, EventObject, NodeObject, PodObject};
use super::page::{self, PageError, ReadItem};
use crate::files;

/// Objects per page, the same as kubectl's chunk size.
const PAGE: u32 = 500;
/// How often a list is restarted after its continue token expired.
const RESTARTS: u32 = 3;
/// Maximum number of pages of one list: 1,000,000 objects, far above any cluster's limit.
const PAGES: u32 = 2_000;
/// How many single objects are requested at once.
const REQUESTS: usize = 16;
/// Bytes read from the end of a log. A start's failure is in the last lines.
const LOG_BYTES: i64 = 256 << 10;
/// Maximum size of a token file. A service account's token has about 1,500 bytes.
const TOKEN_BYTES: u64 = 64 << 10;
/// Timeout of a request, after which the server counts as unreachable.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How to reach a cluster, decided by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterAccess {
    /// The files in KUBECONFIG, merged in order. Without a context, the current one is used.
    Kubeconfig { files: Vec<PathBuf>, context: Option<String> },
    /// The service account of the pod in which imgarch runs.
    InCluster,
}

/// A connection to one cluster.
pub struct Cluster {
    runtime: tokio::runtime::Runtime,
    client: Client,
    /// The API server's URL.
    server: String,
    /// The context's namespace.
    pub namespace: String,
    links: Mutex<Links>,
}

/// What to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// `None`: every namespace.
    pub namespace: Option<String>,
    /// In the syntax of kubectl's `-l`.
    pub selector: Option<String>,
}

/// Workloads whose templates are read: API group, plural name and kind.
const WORKLOADS: &[(&str, &str, &str)] = &[
    ("apis/apps/v1", "deployments", "Deployment"),
    ("apis/apps/v1", "statefulsets", "StatefulSet"),
    ("apis/apps/v1", "daemonsets", "DaemonSet"),
    ("apis/batch/v1", "cronjobs", "CronJob"),
    ("apis/batch/v1", "jobs", "Job"),
];

impl Cluster {
    /// Reads the configuration. Exec plugins, tokens and certificates are only used by the first request.
    pub fn connect(access: &ClusterAccess) -> Result<Cluster, KubeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| KubeError::InCluster(error.to_string()))?;
        let mut config = match access {
            ClusterAccess::InCluster => Config::incluster().map_err(|error| KubeError::InCluster(error.to_string()))?,
            ClusterAccess::Kubeconfig { files, context } => runtime.block_on(configured(files, context.clone()))?,
        };
        inline_token(&mut config)?;
        config.read_timeout = Some(ANSWER_WITHIN);
        if config.cluster_url.scheme_str() == Some("http") {
            // Without TLS no certificate of this machine is needed, and a minimal one may have none.
            config.root_cert.get_or_insert_default();
        }
        let server = config.cluster_url.to_string().trim_end_matches('/').to_string();
        let namespace = config.default_namespace.clone();
        // The client spawns its queue on the runtime.
        let guard = runtime.enter();
        let client = Client::try_from(config)
            .map_err(|error| KubeError::Unreachable { server: server.clone(), cause: chain(&error) })?;
        drop(guard);
        Ok(Cluster { runtime, client, server, namespace, links: Mutex::default() })
    }

    /// The API server's URL, for messages.
    pub fn server(&self) -> &str {
        &self.server
    }

    pub fn nodes(&self) -> Result<Vec<NodeObject>, KubeError> {
        self.list("nodes", "api/v1/nodes", &Scope::default(), None)
    }

    pub fn pods(&self, scope: &Scope) -> Result<Vec<PodObject>, KubeError> {
        self.read_pods(scope, |pod| pod)
    }

    /// Converts each pod with `needed`. If the list is restarted, `needed` sees the same pods again.
    pub fn read_pods<T>(&self, scope: &Scope, mut needed: impl FnMut(PodObject) -> T) -> Result<Vec<T>, KubeError> {
        self.values("pods", &path("api/v1", scope.namespace.as_deref(), "pods"), scope, None, &mut |value| {
            Ok(needed(self.read("pods", self.linked(value))?))
        })
    }

    pub fn pod(&self, namespace: &str, name: &str) -> Result<PodObject, KubeError> {
        let what = format!("pod {namespace}/{name}");
        self.read(&what, self.linked(self.get(&what, &path("api/v1", Some(namespace), "pods"), name)?))
    }

    /// A pod or a workload, with what other objects say of it.
    fn linked(&self, mut object: Value) -> Value {
        self.request_links(links::references(&object));
        self.links().fill(&mut object);
        object
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests what objects refer to, several at once. After a refusal, no more is requested of that namespace.
    fn request_links(&self, references: BTreeSet<ObjectReference>) {
        let mut missing = self.links().missing(references);
        if let Some(at) = missing.iter().position(|reference| *reference == ObjectReference::RuntimeClasses) {
            let classes = missing.swap_remove(at);
            let answer = self.runtime_classes().map_err(refusal);
            self.links().add(&classes, answer);
        }
        let mut missing = missing.into_iter();
        self.runtime.block_on(async {
            let mut requests = JoinSet::new();
            loop {
                while requests.len() < REQUESTS
                    && let Some(reference) = missing.find(|reference| !self.links().is_refused(reference))
                {
                    let ObjectReference::ConfigMap { namespace, name } = &reference else { continue };
                    let path = path("api/v1", Some(namespace), "configmaps");
                    let request = Request::new(format!("/{path}")).get(name, &GetParams::default());
                    let client = self.client.clone();
                    requests.spawn(async move {
                        let answer = match request {
                            Ok(request) => client.request::<Value>(request).await.map_err(LinkError::Answer),
                            Err(error) => Err(LinkError::Request(error.to_string())),
                        };
                        (reference, answer)
                    });
                }
                match requests.join_next().await {
                    Some(Ok((reference, answer))) => self.add_config_map(&reference, answer),
                    // A request that panicked leaves its variables unknown.
                    Some(Err(_)) => {}
                    None => break,
                }
            }
        });
    }

    fn add_config_map(&self, reference: &ObjectReference, answer: Result<Value, LinkError>) {
        let ObjectReference::ConfigMap { namespace, name } = reference else { return };
        let what = format!("configmap {namespace}/{name}");
        let answer = answer.map(|map| vec![map]).map_err(|error| match error {
            LinkError::Answer(error) => self.error(&what, error),
            LinkError::Request(cause) => self.malformed(&what, &cause),
        });
        self.links().add(reference, answer.map_err(refusal));
    }

    fn runtime_classes(&self) -> Result<Vec<Value>, KubeError> {
        let path = "apis/node.k8s.io/v1/runtimeclasses";
        self.values("runtimeclasses", path, &Scope::default(), None, &mut |mut class| {
            // Items of a list come without their kind.
            class["kind"] = Value::from("RuntimeClass");
            Ok(class)
        })
    }

    /// Why variables of the pods and workloads that were read are not known.
    pub fn unlinked(&self) -> Vec<String> {
        self.links().refused()
    }

    /// Converts the objects of each kind that runs pods with `needed`. A kind that could not be listed has its error.
    pub fn workloads<T>(
        &self,
        scope: &Scope,
        needed: impl Fn(Value) -> T,
    ) -> Vec<(&'static str, Result<Vec<T>, KubeError>)> {
        let list = |group: &str, plural: &str, kind: &str| {
            self.values(plural, &path(group, scope.namespace.as_deref(), plural), scope, None, &mut |mut item| {
                // Items of a list have no kind.
                item["kind"] = Value::from(kind);
                Ok(needed(self.linked(item)))
            })
        };
        let rows = WORKLOADS.iter().map(|(group, plural, kind)| {
            let listed = match list(group, plural, kind) {
                // Kubernetes before 1.21 serves cron jobs in an older API. A server with neither API runs none.
                Err(KubeError::NotFound { .. }) if *kind == "CronJob" => match list("apis/batch/v1beta1", plural, kind)
                {
                    Err(KubeError::NotFound { .. }) => Ok(Vec::new()),
                    answer => answer,
                },
                answer => answer,
            };
            (*plural, listed)
        });
        rows.collect()
    }

    /// One workload by its kind in kubectl's syntax (`deploy`, `statefulset`, `job`).
    pub fn workload(&self, namespace: &str, kind: &str, name: &str) -> Result<Value, KubeError> {
        let what = format!("{kind} {namespace}/{name}");
        let Some((group, plural, kind)) = workload_row(kind) else {
            return Err(KubeError::NotFound {
                server: self.server.clone(),
                what: format!("kind {kind:?} that runs pods"),
            });
        };
        let mut value = self.get(&what, &path(group, Some(namespace), plural), name)?;
        value["kind"] = Value::from(kind);
        Ok(value)
    }

    /// The objects that store revisions of a kind of workload: ReplicaSets for Deployments, otherwise
    /// ControllerRevisions.
    pub fn revisions(&self, namespace: &str, kind: &str) -> Result<Vec<Value>, KubeError> {
        let plural = if kind.eq_ignore_ascii_case("deployment") { "replicasets" } else { "controllerrevisions" };
        let path = path("apis/apps/v1", Some(namespace), plural);
        self.values(plural, &path, &Scope::default(), None, &mut |revision| Ok(self.linked(revision)))
    }

    /// The jobs of a namespace.
    pub fn jobs(&self, namespace: &str) -> Result<Vec<Value>, KubeError> {
        self.values("jobs", &path("apis/batch/v1", Some(namespace), "jobs"), &Scope::default(), None, &mut Ok)
    }

    /// Events about one object.
    pub fn events(&self, namespace: &str, name: &str) -> Result<Vec<EventObject>, KubeError> {
        let fields = format!("involvedObject.name={name}");
        self.list("events", &path("api/v1", Some(namespace), "events"), &Scope::default(), Some(&fields))
    }

    /// The last lines of a container's log. With `previous`, those of its previous run.
    pub fn log_tail(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Result<String, KubeError> {
        const LINES: i64 = 50;
        let what = format!("log of {namespace}/{pod}, container {container}");
        let parameters = LogParams {
            container: Some(container.to_string()),
            previous,
            tail_lines: Some(LINES),
            limit_bytes: Some(LOG_BYTES),
            ..LogParams::default()
        };
        let request = Request::new(format!("/{}", path("api/v1", Some(namespace), "pods")))
            .logs(pod, &parameters)
            .map_err(|error| self.malformed(&what, &error.to_string()))?;
        self.runtime.block_on(self.client.request_text(request)).map_err(|error| self.error(&what, error))
    }

    /// A pull secret in the form of Docker's `config.json`. `None` for a secret of another type.
    /// Source: Kubernetes, secret types kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg.
    pub fn pull_secret(&self, namespace: &str, name: &str) -> Result<Option<Vec<u8>>, KubeError> {
        let what = format!("secret {namespace}/{name}");
        let value = self.get(&what, &path("api/v1", Some(namespace), "secrets"), name)?;
        let decoded = |key: &str| {
            let bytes = value["data"][key].as_str().map(|text| BASE64.decode(text)).transpose();
            bytes.map_err(|error| self.malformed(&what, &format!("{key}: {error}")))
        };
        if let Some(config) = decoded(".dockerconfigjson")? {
            return Ok(Some(config));
        }
        // The older form is the content of `auths`.
        let Some(old) = decoded(".dockercfg")? else { return Ok(None) };
        let auths: Value =
            serde_json::from_slice(&old).map_err(|error| self.malformed(&what, &format!(".dockercfg: {error}")))?;
        Ok(Some(serde_json::json!({"auths": auths}).to_string().into_bytes()))
    }

    /// Names of the imagePullSecrets that a service account adds to its pods.
    pub fn pull_secrets_of_account(&self, namespace: &str, name: &str) -> Result<Vec<String>, KubeError> {
        let what = format!("serviceaccount {namespace}/{name}");
        let value = self.get(&what, &path("api/v1", Some(namespace), "serviceaccounts"), name)?;
        let secrets = value["imagePullSecrets"].as_array().into_iter().flatten();
        Ok(secrets.filter_map(|secret| Some(secret["name"].as_str()?.to_string())).collect())
    }

    fn list<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        scope: &Scope,
        fields: Option<&str>,
    ) -> Result<Vec<T>, KubeError> {
        self.values(what, path, scope, fields, &mut |value| self.read(what, value))
    }

    /// Converts every item of a list with `needed`, page by page. An expired continue token (410) restarts the list.
    /// Source: Kubernetes API concepts, "Retrieving large results sets in chunks".
    fn values<T>(
        &self,
        what: &str,
        path: &str,
        scope: &Scope,
        fields: Option<&str>,
        needed: ReadItem<'_, T, KubeError>,
    ) -> Result<Vec<T>, KubeError> {
        for _ in 0..=RESTARTS {
            match self.pages(what, path, scope, fields, needed) {
                Err(KubeError::Answer { status: 410, .. }) => {}
                answer => return answer,
            }
        }
        Err(KubeError::ListExpired { server: self.server.clone(), what: what.to_string() })
    }

    fn pages<T>(
        &self,
        what: &str,
        path: &str,
        scope: &Scope,
        fields: Option<&str>,
        needed: ReadItem<'_, T, KubeError>,
    ) -> Result<Vec<T>, KubeError> {
        let (mut items, mut token) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let requested = token.take();
            let parameters = ListParams {
                limit: Some(PAGE),
                continue_token: requested.clone(),
                label_selector: scope.selector.clone(),
                field_selector: fields.map(str::to_string),
                ..ListParams::default()
            };
            let request = Request::new(format!("/{path}"))
                .list(&parameters)
                .map_err(|error| self.malformed(what, &error.to_string()))?;
            let text = self.runtime.block_on(self.client.request_text(request));
            let text = text.map_err(|error| self.error(what, error))?;
            // All references of a page before its first item, so that they are requested at once.
            self.request_links(links::references_of_list(&text));
            let page = page::read(&text, needed);
            let page = page.map_err(|error| match error {
                PageError::Malformed(error) => self.malformed(what, &error.to_string()),
                PageError::Item(error) => error,
            })?;
            items.extend(page.items);
            match page.token {
                next @ Some(_) if next == requested => {
                    return Err(self.malformed(what, "the list continues with the same page"));
                }
                Some(next) => token = Some(next),
                None => return Ok(items),
            }
        }
        let limit = u64::from(PAGES) * u64::from(PAGE);
        Err(KubeError::ListTooLong { server: self.server.clone(), what: what.to_string(), limit })
    }

    fn get(&self, what: &str, path: &str, name: &str) -> Result<Value, KubeError> {
        let request = Request::new(format!("/{path}"))
            .get(name, &GetParams::default())
            .map_err(|error| self.malformed(what, &error.to_string()))?;
        self.runtime.block_on(self.client.request(request)).map_err(|error| self.error(what, error))
    }

    fn read<T: DeserializeOwned>(&self, what: &str, value: Value) -> Result<T, KubeError> {
        let name = value["metadata"]["name"].as_str().unwrap_or_default().to_string();
        object::read(value).map_err(|error| self.malformed(&format!("{what} {name}"), &error.to_string()))
    }

    fn malformed(&self, what: &str, cause: &str) -> KubeError {
        KubeError::Malformed { server: self.server.clone(), what: what.to_string(), cause: cause.to_string() }
    }

    fn error(&self, what: &str, error: ::kube::Error) -> KubeError {
        let (server, what) = (self.server.clone(), what.to_string());
        match error {
            ::kube::Error::Api(status) => match status.code {
                401 => KubeError::Unauthorized { server, cause: status.message.clone() },
                403 => KubeError::Forbidden { server, cause: status.message.clone() },
                404 => KubeError::NotFound { server, what },
                code => KubeError::Answer { server, what, status: code, cause: status.message.clone() },
            },
            ::kube::Error::SerdeError(error) => KubeError::Malformed { server, what, cause: error.to_string() },
            other => KubeError::Unreachable { server, cause: chain(&other) },
        }
    }
}

/// Why a request for one of many objects failed.
enum LinkError {
    /// It could not be built.
    Request(String),
    Answer(::kube::Error),
}

fn refusal(error: KubeError) -> BrokenReference {
    match error {
        KubeError::NotFound { .. } => BrokenReference::Absent,
        error => BrokenReference::Error(error.to_string()),
    }
}

async fn configured(files: &[PathBuf], context: Option<String>) -> Result<Config, KubeError> {
    let names = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(":");
    let refuse = |cause: KubeconfigError| KubeError::Config { files: names.clone(), cause: chain(&cause) };
    let mut merged: Option<Kubeconfig> = None;
    // Like kubectl, skip files that do not exist.
    let present: Vec<&PathBuf> = files.iter().filter(|file| file.exists()).collect();
    if present.is_empty() {
        return Err(KubeError::NoConfig { files: names });
    }
    for file in present {
        let next = Kubeconfig::read_from(file).map_err(refuse)?;
        merged = Some(match merged {
            Some(first) => first.merge(next).map_err(refuse)?,
            None => next,
        });
    }
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(merged.unwrap_or_default(), &options).await.map_err(refuse)
}

/// Reads the token file, because kube-rs sends a trailing newline to the server. client-go trims it.
fn inline_token(config: &mut Config) -> Result<(), KubeError> {
    if let Some(file) = config.auth_info.token_file.take() {
        let token =
            read_token(&file).map_err(|error| KubeError::Config { files: file.clone(), cause: error.to_string() })?;
        config.auth_info.token = Some(token.into());
    }
    config.default_namespace.truncate(config.default_namespace.trim_end().len());
    Ok(())
}

fn read_token(file: &str) -> std::io::Result<String> {
    Ok(files::read_named_text(Path::new(file), TOKEN_BYTES)?.trim().to_string())
}

fn path(group: &str, namespace: Option<&str>, plural: &str) -> String {
    match namespace {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
        None => format!("{group}/{plural}"),
    }
}

/// The row of a kind, which may be one of kubectl's short names or plurals.
fn workload_row(kind: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let kind = kind.to_ascii_lowercase();
    let short = match kind.as_str() {
        "deploy" => "deployments",
        "sts" => "statefulsets",
        "ds" => "daemonsets",
        "cj" => "cronjobs",
        "rs" | "replicaset" | "replicasets" => return Some(("apis/apps/v1", "replicasets", "ReplicaSet")),
        "ro" | "rollout" | "rollouts" => return Some(("apis/argoproj.io/v1alpha1", "rollouts", "Rollout")),
        other => other,
    };
    WORKLOADS.iter().find(|(_, plural, kind)| *plural == short || kind.eq_ignore_ascii_case(short)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectls_names_of_workloads_are_accepted() {
        for (text, expected) in
            [("deploy", "Deployment"), ("Job", "Job"), ("sts", "StatefulSet"), ("rollout", "Rollout")]
        {
            assert_eq!(workload_row(text).unwrap().2, expected, "{text}");
        }
        assert!(workload_row("service").is_none());
    }
}
