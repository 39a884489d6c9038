//! Connections to a cluster: contexts, tokens, token files, exec plugins, client certificates.

use crate::kit::machine::{self, Need};
use crate::kit::program;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use imgarch::kube::{Cluster, ClusterAccess, KubeError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::kit::kube_api::{KubeApi, State};

fn empty_cluster(token: Option<&str>) -> State {
    let objects = [("/api/v1/nodes".to_string(), Vec::new())].into();
    State { objects, token: token.map(str::to_string), ..State::default() }
}

/// A kubeconfig with one cluster and one user.
fn write_config(directory: &Path, cluster: Value, user: Value) -> PathBuf {
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}]
    });
    let path = directory.join("config");
    std::fs::write(&path, text.to_string()).unwrap();
    path
}

fn connect(path: PathBuf) -> Result<Cluster, KubeError> {
    Cluster::connect(&ClusterAccess::Kubeconfig { files: vec![path], context: None })
}

#[test]
fn a_token_file_is_read() {
    let api = KubeApi::start(empty_cluster(Some("from-file")));
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "from-file\n").unwrap();
    let user = json!({"tokenFile": directory.path().join("token")});
    let path = write_config(directory.path(), json!({"server": api.url}), user);
    assert_eq!(connect(path).unwrap().nodes().unwrap().len(), 0);
    assert_eq!(api.seen()[0].authorization.as_deref(), Some("Bearer from-file"));
}

#[test]
fn a_wrong_token_is_an_error_with_a_hint() {
    let api = KubeApi::start(empty_cluster(Some("right")));
    let directory = tempfile::tempdir().unwrap();
    let path = write_config(directory.path(), json!({"server": api.url}), json!({"token": "wrong"}));
    let error = connect(path).unwrap().nodes().unwrap_err();
    assert!(matches!(error, KubeError::Unauthorized { .. }), "{error}");
    assert!(!error.to_string().contains("wrong"), "the message contains a credential: {error}");
}

#[test]
fn an_exec_plugin_provides_a_token() {
    let api = KubeApi::start(empty_cluster(Some("from-plugin")));
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("plugin");
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "from-plugin"}
    });
    let script = format!("#!/bin/sh\n[ \"$1\" = get-token ] && [ \"$REGION\" = eu ] && echo '{credential}'\n");
    program::write(&plugin, script);
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "args": ["get-token"],
        "env": [{"name": "REGION", "value": "eu"}], "interactiveMode": "Never"
    });
    let path = write_config(directory.path(), json!({"server": api.url}), json!({"exec": exec}));
    connect(path).unwrap().nodes().unwrap();
    assert_eq!(api.seen()[0].authorization.as_deref(), Some("Bearer from-plugin"));
}

#[test]
fn a_context_chooses_its_cluster_and_files_are_merged() {
    let (first, second) = (KubeApi::start(empty_cluster(None)), KubeApi::start(empty_cluster(Some("t"))));
    let directory = tempfile::tempdir().unwrap();
    let path = write_config(directory.path(), json!({"server": first.url}), json!({}));
    let other = directory.path().join("other");
    let text = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "c2", "cluster": {"server": second.url}}],
        "users": [{"name": "u2", "user": {"token": "t"}}],
        "contexts": [{"name": "b", "context": {"cluster": "c2", "user": "u2", "namespace": "bank"}}]
    });
    std::fs::write(&other, text.to_string()).unwrap();
    let files = vec![directory.path().join("missing"), path, other];
    let of = |context: Option<&str>| {
        Cluster::connect(&ClusterAccess::Kubeconfig { files: files.clone(), context: context.map(str::to_string) })
    };
    of(None).unwrap().nodes().unwrap();
    let bank = of(Some("b")).unwrap();
    bank.nodes().unwrap();
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
    assert_eq!(bank.namespace, "bank");
    let error = of(Some("nowhere")).err().unwrap();
    assert!(matches!(&error, KubeError::Config { cause, .. } if cause.contains("nowhere")), "{error}");
}

#[test]
fn a_missing_kubeconfig_is_named() {
    let error = connect(PathBuf::from("/nonexistent/kubeconfig")).err().unwrap();
    assert_eq!(error.to_string(), "no cluster is configured: no kubeconfig at /nonexistent/kubeconfig");
    assert!(error.hint().unwrap().contains("imgarch nodes --profiles"));
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let output = output.expect("running openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Creates an authority, and a certificate of it for a server and for a client.
fn certificates(directory: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(directory, &format!("req -x509 {key} -subj /CN=authority -days 2 -keyout ca.key -out ca.pem"));
    for (name, extension) in [("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")] {
        std::fs::write(directory.join(format!("{name}.ext")), extension).unwrap();
        openssl(directory, &format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        openssl(
            directory,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile {name}.ext -out {name}.pem"
            ),
        );
    }
}

/// A TLS server that requires a client certificate of the authority.
fn mutual_tls(directory: &Path) -> Arc<rustls::ServerConfig> {
    let pem = |name: &str| CertificateDer::from_pem_file(directory.join(name)).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pem("ca.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![pem("server.pem")], PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap());
    Arc::new(config.unwrap())
}

#[test]
fn a_client_certificate_is_sent_to_a_server_that_requires_one() {
    if !machine::has("a_client_certificate", &[Need::Openssl]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let api = KubeApi::start_tls(empty_cluster(None), mutual_tls(directory.path()));
    let cluster = json!({"server": api.url, "certificate-authority": directory.path().join("ca.pem")});
    let user = json!({
        "client-certificate": directory.path().join("client.pem"), "client-key": directory.path().join("client.key")
    });
    let path = write_config(directory.path(), cluster.clone(), user);
    connect(path).unwrap().nodes().unwrap();

    let without = write_config(directory.path(), cluster, json!({}));
    assert!(matches!(connect(without).unwrap().nodes(), Err(KubeError::Unreachable { .. })));
    let stranger = json!({"server": api.url});
    let untrusted = write_config(directory.path(), stranger, json!({}));
    let error = connect(untrusted).and_then(|cluster| cluster.nodes()).unwrap_err();
    assert!(matches!(error, KubeError::Unreachable { .. }), "{error}");
}

/// The name of the API server inside a cluster, and the files that the kubelet puts into each pod.
#[test]
fn in_a_pod_its_service_account_is_used_and_its_token_may_end_in_a_newline() {
    if !machine::has("in_a_pod", &[Need::Root, Need::MountNamespaces, Need::Openssl]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let pem = |name: &str| CertificateDer::from_pem_file(directory.path().join(name)).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.path().join("server.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pem("server.pem")], key)
        .unwrap();
    let api = KubeApi::start_tls(empty_cluster(Some("of-the-pod")), Arc::new(config));
    std::fs::write(directory.path().join("token"), "of-the-pod\n").unwrap();
    std::fs::write(directory.path().join("namespace"), "shop\n").unwrap();
    // A separate mount namespace, so that nothing is left on this machine.
    let script = "mount -t tmpfs none /run && d=/run/secrets/kubernetes.io/serviceaccount && mkdir -p $d \
        && cp token namespace $d && cp ca.pem $d/ca.crt && exec \"$0\" nodes";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_imgarch")])
        .current_dir(directory.path())
        .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .env("KUBERNETES_SERVICE_PORT", api.url.rsplit(':').next().unwrap())
        .env("HOME", directory.path())
        .env_remove("KUBECONFIG")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        api.seen().first().and_then(|seen| seen.authorization.clone()).as_deref(),
        Some("Bearer of-the-pod"),
        "{errors}"
    );
}
