//! A registry in this process with the faults of real ones: it truncates bodies, sends slowly, redirects, and requires
//! tokens. It implements enough of the distribution API for reads and pushes. A fault is planned for a part of the
//! path, and each planned fault affects one request. Requests are recorded for the tests.

#![allow(dead_code, reason = "unit tests and builds without all features use only a part of it")]

mod http;

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use imgarch::oci::Digest;

pub use http::Seen;
use http::{Reply, answer, read_request};

pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A fault of one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another response than the content.
    Status(u16, &'static [(&'static str, &'static str)], &'static str),
    /// The connection is closed without a response.
    Drop,
    /// The body ends after this many bytes, although more were announced.
    Cut(usize),
    /// A complete response with these bytes instead of the content.
    Instead(Vec<u8>),
    /// An endless body without a length: the content, then zeros.
    Endless,
    /// The body in pieces of this many bytes, with a pause after each.
    Drip(usize, Duration),
    /// No response for this long.
    Hang(Duration),
    /// A redirect to this address. `{path}` in it is replaced by the requested path.
    Redirect(String),
    /// `Range` is ignored: the whole content is sent, with 200.
    WholeContent,
    /// 206 with a range that was not requested.
    WrongRange(&'static str),
    /// A response header is omitted or replaced.
    Header(&'static str, Option<&'static str>),
}

/// The login that the token server accepts.
#[derive(Clone, Debug)]
pub enum Login {
    Anybody,
    Basic(&'static str, &'static str),
    /// An OAuth2 refresh token, by POST.
    Refresh(&'static str),
}

#[derive(Clone, Debug, Default)]
enum Guard {
    #[default]
    Open,
    Basic(String),
    /// The challenge's realm, and the tokens that it has issued.
    Bearer(String, Arc<Mutex<Vec<String>>>),
}

/// Creates a token for a scope.
pub type Signature = Box<dyn Fn(&str) -> String + Send + Sync>;

enum Issuer {
    /// Numbered tokens, which the registry looks up here.
    Numbered(Arc<Mutex<Vec<String>>>),
    Signed(Signature),
}

/// Repository, and tag or digest.
type ManifestKey = (String, String);

#[derive(Default)]
struct State {
    manifests: Mutex<BTreeMap<ManifestKey, (String, Vec<u8>)>>,
    blobs: Mutex<BTreeMap<String, Vec<u8>>>,
    faults: Mutex<Vec<(String, Fault)>>,
    guard: Mutex<Guard>,
    tokens: Mutex<Option<(Login, Issuer)>>,
    seen: Mutex<Vec<Seen>>,
    has_referrers: AtomicBool,
    is_stopped: AtomicBool,
    running: AtomicUsize,
    most: AtomicUsize,
    connections: AtomicUsize,
    /// Milliseconds before each response.
    latency: AtomicU64,
    catalog: Mutex<Option<Catalog>>,
}

/// How the registry lists its content.
struct Catalog {
    /// Names per page.
    page: usize,
}

/// The registry. Dropping it ends the server.
pub struct FakeRegistry {
    /// `127.0.0.1:PORT`
    pub host: String,
    state: Arc<State>,
}

/// A stored image: one manifest with a config and a layer.
pub struct Stored {
    pub digest: Digest,
    pub manifest: Vec<u8>,
    pub config: Digest,
    pub layer: Digest,
    pub layer_bytes: Vec<u8>,
}

impl FakeRegistry {
    pub fn start() -> FakeRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if shared.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(&state, connection.unwrap()));
            }
        });
        FakeRegistry { host, state }
    }

    pub fn put_blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::from_bytes(bytes);
        self.state.blobs.lock().unwrap().insert(digest.to_string(), bytes.to_vec());
        digest
    }

    /// Stores a manifest or index under its digest and, if given, a tag.
    pub fn put_manifest(&self, repository: &str, tag: Option<&str>, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::from_bytes(bytes);
        let mut manifests = self.state.manifests.lock().unwrap();
        for selector in [Some(digest.as_str()), tag].into_iter().flatten() {
            manifests.insert((repository.to_string(), selector.to_string()), (media_type.to_string(), bytes.to_vec()));
        }
        digest
    }

    /// Stores an image with one uncompressed layer of these bytes.
    pub fn put_image(&self, repository: &str, tag: &str, layer: &[u8]) -> Stored {
        let (config, manifest) = image_json(layer);
        self.put_blob(&config);
        self.put_blob(layer);
        let digest = self.put_manifest(repository, Some(tag), OCI_MANIFEST, &manifest);
        Stored {
            digest,
            manifest,
            config: Digest::from_bytes(&config),
            layer: Digest::from_bytes(layer),
            layer_bytes: layer.to_vec(),
        }
    }

    pub fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.state.blobs.lock().unwrap().get(digest.as_str()).cloned()
    }

    pub fn manifest(&self, repository: &str, selector: &str) -> Option<Vec<u8>> {
        let key = (repository.to_string(), selector.to_string());
        self.state.manifests.lock().unwrap().get(&key).map(|(_, bytes)| bytes.clone())
    }

    /// Plans `fault` for the next request whose path contains `part`. Several faults apply to successive requests.
    pub fn plan(&self, part: &str, fault: Fault) {
        self.state.faults.lock().unwrap().push((part.to_string(), fault));
    }

    /// The same for a path that ends in `end`.
    pub fn plan_at(&self, end: &str, fault: Fault) {
        self.plan(&format!("{end}\n"), fault);
    }

    pub fn require_basic(&self, username: &str, password: &str) {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
        *self.state.guard.lock().unwrap() = Guard::Basic(format!("Basic {text}"));
    }

    /// Requires tokens that `server` issues for `login`.
    pub fn require_token(&self, server: &FakeRegistry, login: Login) {
        let issued = Arc::<Mutex<Vec<String>>>::default();
        *server.state.tokens.lock().unwrap() = Some((login, Issuer::Numbered(Arc::clone(&issued))));
        *self.state.guard.lock().unwrap() = Guard::Bearer(format!("http://{}/token", server.host), issued);
    }

    /// Issues tokens with this signature at `/token` for `login`, on behalf of another registry.
    pub fn sign_tokens(&self, login: Login, signature: Signature) {
        *self.state.tokens.lock().unwrap() = Some((login, Issuer::Signed(signature)));
    }

    /// Sets the challenge's realm verbatim, without a token server.
    pub fn require_token_of(&self, realm: &str) {
        *self.state.guard.lock().unwrap() = Guard::Bearer(realm.to_string(), Arc::default());
    }

    /// Invalidates all issued tokens.
    pub fn revoke_tokens(&self) {
        if let Guard::Bearer(_, issued) = &*self.state.guard.lock().unwrap() {
            issued.lock().unwrap().clear();
        }
    }

    /// Implements the referrers API, instead of 404 as in older registries.
    pub fn list_referrers(&self) {
        self.state.has_referrers.store(true, Ordering::SeqCst);
    }

    /// Delays every response by this long, as a network does.
    pub fn set_latency(&self, latency: Duration) {
        self.state.latency.store(latency.as_millis() as u64, Ordering::SeqCst);
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Serves `_catalog` and lists of tags, with this many names per page. Without it, `_catalog` is not found, as on
    /// Docker Hub.
    pub fn list_repositories(&self, page: usize) {
        *self.state.catalog.lock().unwrap() = Some(Catalog { page });
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// One line per request: `GET /v2/a/manifests/1`.
    pub fn asked(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    /// The largest number of requests that were handled at the same time.
    pub fn most_at_once(&self) -> usize {
        self.state.most.load(Ordering::SeqCst)
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.state.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then ends.
        let _ = TcpStream::connect(&self.host);
    }
}

/// Config and manifest of an image with one uncompressed layer.
pub fn image_json(layer: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let layer_digest = Digest::from_bytes(layer);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Entrypoint":["/app"]}},"rootfs":{{"type":"layers","diff_ids":["{layer_digest}"]}}}}"#
    );
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"{OCI_CONFIG}","digest":"{}","size":{}}},"layers":[{{"mediaType":"{OCI_LAYER}","digest":"{layer_digest}","size":{}}}]}}"#,
        Digest::from_bytes(config.as_bytes()),
        config.len(),
        layer.len(),
    );
    (config.into_bytes(), manifest.into_bytes())
}

/// Bytes without nearby repetitions, so that a misplaced piece is noticed.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

fn serve(state: &State, mut connection: TcpStream) {
    // Heads and bodies are written separately: a body must not wait for the client to acknowledge its head.
    connection.set_nodelay(true).unwrap();
    let mut is_counted = false;
    while let Some(seen) = read_request(&mut connection) {
        if !std::mem::replace(&mut is_counted, true) {
            state.connections.fetch_add(1, Ordering::SeqCst);
        }
        std::thread::sleep(Duration::from_millis(state.latency.load(Ordering::SeqCst)));
        state.seen.lock().unwrap().push(seen.clone());
        let running = state.running.fetch_add(1, Ordering::SeqCst) + 1;
        state.most.fetch_max(running, Ordering::SeqCst);
        let fault = {
            let mut faults = state.faults.lock().unwrap();
            let at = faults.iter().position(|(part, _)| format!("{}\n", seen.path).contains(part.as_str()));
            at.map(|at| faults.remove(at).1)
        };
        let is_open = answer(&mut connection, &seen, reply(state, &seen), fault);
        state.running.fetch_sub(1, Ordering::SeqCst);
        if !is_open {
            return;
        }
    }
}

fn reply(state: &State, seen: &Seen) -> Reply {
    // A proxy receives the full URL.
    let path = seen.path.strip_prefix("http://").and_then(|rest| Some(&rest[rest.find('/')?..])).unwrap_or(&seen.path);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if path == "/token" {
        return token(state, seen);
    }
    if let Some(refusal) = refusal(state, seen) {
        return refusal;
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return Reply::error(404, "UNSUPPORTED", "no such path") };
    if let Some(list) = listed(state, rest, query) {
        return list;
    }
    let part =
        |kind: &str| rest.rsplit_once(&format!("/{kind}/")).map(|(name, end)| (name.to_string(), end.to_string()));
    match (seen.method.as_str(), part("manifests"), part("blobs"), part("referrers")) {
        ("GET" | "HEAD", Some(key), ..) => match state.manifests.lock().unwrap().get(&key) {
            Some((media_type, bytes)) => Reply::content(media_type, bytes.clone()).digest(),
            None => Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        },
        ("PUT", Some((name, selector)), ..) => {
            let media_type = seen.headers.get("content-type").cloned().unwrap_or_default();
            let digest = Digest::from_bytes(&seen.body).to_string();
            let mut manifests = state.manifests.lock().unwrap();
            for key in [selector, digest.clone()] {
                manifests.insert((name.clone(), key), (media_type.clone(), seen.body.clone()));
            }
            if state.has_referrers.load(Ordering::SeqCst) {
                note_subject(&mut manifests, &name, &digest, seen);
            }
            Reply::empty(201).header("docker-content-digest", &digest)
        }
        ("POST", _, Some((name, _)), _) => {
            Reply::empty(202).header("location", &format!("/v2/{name}/blobs/uploads/1?state=x"))
        }
        ("PUT", _, Some(_), _) => {
            let digest = Digest::from_bytes(&seen.body).to_string();
            if !query.replace("%3A", ":").contains(&format!("digest={digest}")) {
                return Reply::error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
            }
            state.blobs.lock().unwrap().insert(digest, seen.body.clone());
            Reply::empty(201)
        }
        ("GET" | "HEAD", _, Some((_, digest)), _) => match state.blobs.lock().unwrap().get(&digest) {
            Some(bytes) => Reply::content("application/octet-stream", bytes.clone()),
            None => Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        },
        ("GET", _, _, Some((name, digest))) if state.has_referrers.load(Ordering::SeqCst) => {
            let key = (name, format!("referrers-{digest}"));
            let manifests = state.manifests.lock().unwrap();
            let empty = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
            Reply::content(OCI_INDEX, manifests.get(&key).map_or(empty, |(_, bytes)| bytes.clone()))
        }
        _ => Reply::error(404, "NOT_FOUND", "not found"),
    }
}

/// A page of repositories, or of a repository's tags.
fn listed(state: &State, rest: &str, query: &str) -> Option<Reply> {
    let repository = rest.strip_suffix("/tags/list");
    if rest != "_catalog" && repository.is_none() {
        return None;
    }
    let catalog = state.catalog.lock().unwrap();
    let page = match &*catalog {
        Some(catalog) => catalog.page,
        None if repository.is_some() => usize::MAX,
        None => return Some(Reply::error(404, "NOT_FOUND", "no catalog here")),
    };
    let manifests = state.manifests.lock().unwrap();
    let of_tags = manifests.keys().filter(|(_, selector)| !selector.contains(':'));
    let mut names: Vec<String> = match repository {
        None => manifests.keys().map(|(name, _)| name.clone()).collect(),
        Some(repository) => of_tags.filter(|(name, _)| name == repository).map(|(_, tag)| tag.clone()).collect(),
    };
    names.sort();
    names.dedup();
    if repository.is_some() && names.is_empty() {
        return Some(Reply::error(404, "NAME_UNKNOWN", "repository name not known to registry"));
    }
    let last = query.split('&').find_map(|part| part.strip_prefix("last=")).unwrap_or_default().replace("%2F", "/");
    let mut left: Vec<String> = names.into_iter().filter(|name| *name > last).collect();
    let is_last = left.len() <= page;
    left.truncate(page);
    let body = match repository {
        None => serde_json::json!({"repositories": left}),
        Some(repository) => serde_json::json!({"name": repository, "tags": left}),
    };
    let reply = Reply::content("application/json", body.to_string().into_bytes());
    Some(match left.last().filter(|_| !is_last) {
        None => reply,
        Some(last) => {
            let next = format!(r#"</v2/{rest}?last={}>; rel="next""#, last.replace('/', "%2F"));
            reply.header("link", &next)
        }
    })
}

/// With the referrers API, a registry adds a manifest to the referrers of its subject.
fn note_subject(manifests: &mut BTreeMap<ManifestKey, (String, Vec<u8>)>, name: &str, digest: &str, seen: &Seen) {
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let Some(subject) = body["subject"]["digest"].as_str() else { return };
    let key = (name.to_string(), format!("referrers-{subject}"));
    let known = manifests.get(&key).and_then(|(_, bytes)| serde_json::from_slice::<serde_json::Value>(bytes).ok());
    let mut index = known.unwrap_or_else(|| serde_json::json!({"schemaVersion": 2, "manifests": []}));
    let entry = serde_json::json!({"mediaType": body["mediaType"], "digest": digest, "size": seen.body.len()});
    index["manifests"].as_array_mut().expect("the manifests of an index").push(entry);
    manifests.insert(key, (OCI_INDEX.to_string(), index.to_string().into_bytes()));
}

fn refusal(state: &State, seen: &Seen) -> Option<Reply> {
    let shown = seen.headers.get("authorization").map(String::as_str);
    let challenge = match &*state.guard.lock().unwrap() {
        Guard::Open => return None,
        Guard::Basic(expected) if shown == Some(expected) => return None,
        Guard::Basic(_) => r#"Basic realm="fake, of course""#.to_string(),
        Guard::Bearer(realm, issued) => {
            let token = shown.and_then(|text| text.strip_prefix("Bearer "));
            if token.is_some_and(|token| issued.lock().unwrap().iter().any(|one| one == token)) {
                return None;
            }
            let name = seen.path.trim_start_matches("/v2/");
            let name = ["/manifests/", "/blobs/", "/referrers/"].iter().find_map(|kind| Some(name.split_once(kind)?.0));
            let actions = if matches!(seen.method.as_str(), "GET" | "HEAD") { "pull" } else { "pull,push" };
            let scope = format!("repository:{}:{actions}", name.unwrap_or_default());
            format!(r#"Bearer realm="{realm}",service="fake",scope="{scope}""#)
        }
    };
    Some(Reply::error(401, "UNAUTHORIZED", "authentication required").header("www-authenticate", &challenge))
}

fn token(state: &State, seen: &Seen) -> Reply {
    use base64::Engine as _;
    let tokens = state.tokens.lock().unwrap();
    let Some((login, issuer)) = &*tokens else { return Reply::error(404, "NOT_FOUND", "no token server") };
    let body = String::from_utf8_lossy(&seen.body).into_owned();
    let is_trusted = match login {
        Login::Anybody => seen.method == "GET",
        Login::Basic(username, password) => {
            let text = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
            seen.headers.get("authorization") == Some(&format!("Basic {text}"))
        }
        Login::Refresh(token) => {
            seen.method == "POST"
                && body.contains("grant_type=refresh_token")
                && body.contains(&format!("refresh_token={token}"))
        }
    };
    if seen.method == "POST" && !matches!(login, Login::Refresh(_)) {
        return Reply::error(405, "UNSUPPORTED", "method not allowed");
    }
    if !is_trusted {
        return Reply::content("application/json", br#"{"details":"incorrect username or password"}"#.to_vec())
            .status(401);
    }
    let token = match issuer {
        Issuer::Numbered(issued) => {
            let mut issued = issued.lock().unwrap();
            let token = format!("token-{}", issued.len() + 1);
            issued.push(token.clone());
            token
        }
        Issuer::Signed(signature) => {
            let scope = seen.path.split(['?', '&']).find_map(|part| part.strip_prefix("scope=")).unwrap_or_default();
            signature(&scope.replace("%3A", ":").replace("%2F", "/").replace("%2C", ","))
        }
    };
    let field = if seen.method == "POST" { "access_token" } else { "token" };
    let json = format!(r#"{{"{field}":"{token}","expires_in":300}}"#);
    Reply::content("application/json", json.into_bytes())
}
