//! Runs the real registry server, CNCF Distribution (Debian's `docker-registry`), on a free port, with its content in
//! memory.

#![allow(dead_code, reason = "unit tests and builds without all features use only a part of it")]

mod token;

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use imgarch::oci::Digest;

use super::machine::{self, Need, PATH};
use super::registry::{FakeRegistry, Login, OCI_MANIFEST, Stored, image_json};
use token::Signer;

pub const USER: &str = "user";
pub const PASSWORD: &str = "secret";
/// bcrypt, the only format that the server accepts: `htpasswd -Bbn user secret`.
const HTPASSWD: &str = "user:$2y$04$RqVuF.WAizGLK7yetzg3wuUbn/FGz3sQNG/0MdObLyalwyX7AFB4a\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Plain,
    Htpasswd,
    /// With a certificate of an untrusted authority.
    Tls,
    /// With a self-signed certificate, as `openssl req -x509` creates it.
    SelfSigned,
    /// As [`Mode::Tls`], and requires a client certificate of that authority.
    MutualTls,
    /// With a token server that trusts [`USER`].
    Token,
}

impl Mode {
    fn is_tls(self) -> bool {
        matches!(self, Mode::Tls | Mode::SelfSigned | Mode::MutualTls)
    }
}

/// The running server. Dropping it ends the server.
pub struct Distribution {
    /// `127.0.0.1:PORT`
    pub host: String,
    /// The authority's certificate, for [`Mode::Tls`].
    pub ca_cert: PathBuf,
    /// For [`Mode::Token`].
    pub token_server: FakeRegistry,
    signer: Option<Arc<Signer>>,
    mode: Mode,
    http: reqwest::blocking::Client,
    child: Child,
    directory: tempfile::TempDir,
}

impl Distribution {
    /// Returns `None` if the test is skipped.
    pub fn start(test: &str, mode: Mode) -> Option<Distribution> {
        let needs_openssl = mode.is_tls() || mode == Mode::Token;
        let needs = [Need::Registry, Need::Openssl];
        if !machine::has(test, if needs_openssl { &needs } else { &needs[..1] }) {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        match mode {
            Mode::SelfSigned => make_self_signed(directory.path()),
            _ if mode.is_tls() => make_certificates(directory.path()),
            _ => {}
        }
        std::fs::write(directory.path().join("htpasswd"), HTPASSWD).unwrap();
        let token_server = FakeRegistry::start();
        let signer = (mode == Mode::Token).then(|| Arc::new(Signer::new(directory.path())));
        if let Some(signer) = signer.clone() {
            token_server.sign_tokens(Login::Basic(USER, PASSWORD), Box::new(move |scope| signer.sign(scope)));
        }
        // Another process may take the port before the server starts.
        let (host, child) =
            (0..5).find_map(|_| run(directory.path(), mode, &token_server.host)).expect("docker-registry starts");
        let ca_cert = directory.path().join("ca.pem");
        let http = http_client(directory.path(), mode);
        Some(Distribution { host, ca_cert, token_server, signer, mode, http, child, directory })
    }

    /// Pushes an image with one uncompressed layer of these bytes.
    pub fn put_image(&self, repository: &str, tag: &str, layer: &[u8]) -> Stored {
        let (config, manifest) = image_json(layer);
        self.put_blob(repository, &config);
        self.put_blob(repository, layer);
        let digest = self.put_manifest(repository, tag, OCI_MANIFEST, &manifest);
        Stored {
            digest,
            manifest,
            config: Digest::from_bytes(&config),
            layer: Digest::from_bytes(layer),
            layer_bytes: layer.to_vec(),
        }
    }

    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::from_bytes(bytes);
        let start = self.http.post(self.url(repository, "blobs/uploads/"));
        let started = self.as_user(repository, start).send().unwrap().error_for_status().unwrap();
        let mut target = started.url().join(started.headers()["location"].to_str().unwrap()).unwrap();
        target.query_pairs_mut().append_pair("digest", digest.as_str());
        let put = self.http.put(target).body(bytes.to_vec());
        self.as_user(repository, put).send().unwrap().error_for_status().unwrap();
        digest
    }

    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let put = self.http.put(self.url(repository, &format!("manifests/{tag}")));
        let put = put.header("content-type", media_type).body(bytes.to_vec());
        self.as_user(repository, put).send().unwrap().error_for_status().unwrap();
        Digest::from_bytes(bytes)
    }

    fn url(&self, repository: &str, rest: &str) -> String {
        let scheme = if self.mode.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}/v2/{repository}/{rest}", self.host)
    }

    fn as_user(
        &self,
        repository: &str,
        request: reqwest::blocking::RequestBuilder,
    ) -> reqwest::blocking::RequestBuilder {
        match (self.mode, &self.signer) {
            (Mode::Htpasswd, _) => request.basic_auth(USER, Some(PASSWORD)),
            (_, Some(signer)) => request.bearer_auth(signer.sign(&format!("repository:{repository}:pull,push"))),
            (_, None) => request,
        }
    }

    /// The certificate and key of a client that the server trusts.
    pub fn identity(&self) -> (PathBuf, PathBuf) {
        (self.directory.path().join("client.pem"), self.directory.path().join("client.key"))
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(directory: &Path, mode: Mode, token_server: &str) -> Option<(String, Child)> {
    let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let shown = directory.display();
    let tls = format!("\n  tls:\n    certificate: {shown}/server.pem\n    key: {shown}/server.key");
    let client_authority = format!("\n    clientcas: [{shown}/ca.pem]");
    let auth = match mode {
        Mode::Plain | Mode::Tls | Mode::SelfSigned | Mode::MutualTls => String::new(),
        Mode::Htpasswd => format!("auth:\n  htpasswd:\n    realm: test, of course\n    path: {shown}/htpasswd\n"),
        Mode::Token => format!(
            "auth:\n  token:\n    realm: http://{token_server}/token\n    service: {}\n    issuer: {}\n    \
             rootcertbundle: {shown}/token.pem\n",
            token::SERVICE,
            token::ISSUER
        ),
    };
    let config = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n  inmemory: {{}}\n\
         http:\n  addr: {host}\n  secret: test{}{}\n{auth}",
        if mode.is_tls() { &tls } else { "" },
        if mode == Mode::MutualTls { &client_authority } else { "" },
    );
    std::fs::write(directory.join("config.yml"), config).unwrap();
    let log = File::create(directory.join("log")).unwrap();
    let mut command = Command::new("docker-registry");
    command.env("PATH", PATH);
    command.arg("serve").arg(directory.join("config.yml")).stdin(Stdio::null());
    let mut child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end && child.try_wait().unwrap().is_none() {
        if TcpStream::connect(&host).is_ok() {
            return Some((host, child));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("docker-registry: {}", std::fs::read_to_string(directory.join("log")).unwrap());
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// A separate client, so that pushing does not use the code under test.
fn http_client(directory: &Path, mode: Mode) -> reqwest::blocking::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::blocking::Client::builder().no_proxy();
    if !mode.is_tls() {
        return builder.tls_certs_only([]).build().unwrap();
    }
    let pem = |name: &str| std::fs::read(directory.join(name)).unwrap();
    if mode == Mode::MutualTls {
        builder =
            builder.identity(reqwest::Identity::from_pem(&[pem("client.key"), pem("client.pem")].concat()).unwrap());
    }
    if mode == Mode::SelfSigned {
        return builder.tls_certs_only([]).tls_danger_accept_invalid_certs(true).build().unwrap();
    }
    builder.tls_certs_only([reqwest::Certificate::from_pem(&pem("ca.pem")).unwrap()]).build().unwrap()
}

/// Creates an authority, and its certificates for this machine and for a client.
fn make_certificates(directory: &Path) {
    let extension = "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    std::fs::write(directory.join("leaf.ext"), extension).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(directory, &format!("req -x509 {key} -subj /CN=authority -days 2 -keyout ca.key -out ca.pem"));
    for name in ["server", "client"] {
        openssl(directory, &format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let sign = format!("x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile leaf.ext");
        openssl(directory, &format!("{sign} -days 2 -out {name}.pem"));
    }
}

fn make_self_signed(directory: &Path) {
    let names = "subjectAltName=IP:127.0.0.1";
    let request = "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 -keyout server.key -out server.pem";
    openssl(directory, &format!("{request} -addext {names}"));
    std::fs::copy(directory.join("server.pem"), directory.join("ca.pem")).unwrap();
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let output = output.expect("running openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
