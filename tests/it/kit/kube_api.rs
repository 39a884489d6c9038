//! A Kubernetes API server for tests: paginated lists, single objects and logs over real HTTP and TLS, with tokens,
//! client certificates, 403 responses, and 410 for an expired continue token.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// The content of the server and its behaviour.
#[derive(Default)]
pub struct State {
    /// Objects by the path of their list over all namespaces: `/api/v1/pods`.
    pub objects: BTreeMap<String, Vec<Value>>,
    /// Logs of the previous run, by `namespace/pod/container`.
    pub logs: BTreeMap<String, String>,
    /// The bearer token that is required. `None` admits every client.
    pub token: Option<String>,
    /// Lists and objects that this user may not read, by the path of their list.
    pub forbidden: Vec<String>,
    /// Items per page, regardless of the client's limit.
    pub page: usize,
    /// How many more continue tokens are answered with 410.
    pub gone: usize,
    /// What is wrong with the continue tokens of lists.
    pub endless: Endless,
    /// How long the server takes for one ConfigMap.
    pub delay: Duration,
}

/// A list without an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endless {
    #[default]
    Never,
    /// Every page continues with the same token.
    SameToken,
    /// Every page has a new token.
    NewToken,
}

/// A received request: path with query, and the authorization header.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub authorization: Option<String>,
}

pub struct KubeApi {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    at_once: Arc<AtOnce>,
}

/// Requests for ConfigMaps that the server works on.
#[derive(Default)]
struct AtOnce {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl KubeApi {
    pub fn start(state: State) -> KubeApi {
        Self::serve(state, None)
    }

    pub fn start_tls(state: State, tls: Arc<rustls::ServerConfig>) -> KubeApi {
        Self::serve(state, Some(tls))
    }

    fn serve(state: State, tls: Option<Arc<rustls::ServerConfig>>) -> KubeApi {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (state, seen) = (Arc::new(Mutex::new(state)), Arc::new(Mutex::new(Vec::new())));
        let for_seen = seen.clone();
        let at_once = Arc::new(AtOnce::default());
        let for_at_once = at_once.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (state, seen, tls) = (state.clone(), for_seen.clone(), tls.clone());
                let at_once = for_at_once.clone();
                std::thread::spawn(move || match tls {
                    None => converse(connection, &state, &seen, &at_once),
                    Some(config) => {
                        let session = rustls::ServerConnection::new(config).unwrap();
                        converse(
                            rustls::StreamOwned::<_, TcpStream>::new(session, connection),
                            &state,
                            &seen,
                            &at_once,
                        );
                    }
                });
            }
        });
        KubeApi { url, seen, at_once }
    }

    /// Requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The most requests for ConfigMaps that the server worked on at the same time.
    pub fn most_at_once(&self) -> usize {
        self.at_once.most.load(Ordering::SeqCst)
    }
}

/// Serves one connection until it ends or a handshake fails.
fn converse<S: Read + Write>(stream: S, state: &Mutex<State>, seen: &Mutex<Vec<Seen>>, at_once: &AtOnce) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream) {
        seen.lock().unwrap().push(request.clone());
        if request.path.contains("/configmaps/") {
            let now = at_once.now.fetch_add(1, Ordering::SeqCst) + 1;
            at_once.most.fetch_max(now, Ordering::SeqCst);
            let delay = state.lock().unwrap().delay;
            std::thread::sleep(delay);
            at_once.now.fetch_sub(1, Ordering::SeqCst);
        }
        let (status, content_type, body) = answer(&request, &mut state.lock().unwrap());
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
        let writer = stream.get_mut();
        // In one piece: a second one would wait until the client has confirmed the first.
        let answer = [head.as_bytes(), &body].concat();
        if writer.write_all(&answer).and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
}

fn read_request(stream: &mut impl BufRead) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let path = line.split(' ').nth(1)?.to_string();
    let mut authorization = None;
    loop {
        line.clear();
        stream.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                authorization = Some(value.to_string());
            }
            Some(_) => {}
            None => return Some(Seen { path, authorization }),
        }
    }
}

/// A failure in the words of the API server. Source: apimachinery `Status`.
fn failure(code: u16, reason: &str, message: &str) -> (u16, &'static str, Vec<u8>) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
        "code": code
    });
    (code, "application/json", status.to_string().into_bytes())
}

fn answer(request: &Seen, state: &mut State) -> (u16, &'static str, Vec<u8>) {
    let wanted = state.token.as_ref().map(|token| format!("Bearer {token}"));
    if wanted.is_some() && request.authorization != wanted {
        return failure(401, "Unauthorized", "Unauthorized");
    }
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let parameter = |name: &str| {
        let pair = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        pair.map(|(_, value)| value.replace("%3D", "=").replace("%2F", "/").replace("%2C", ","))
    };
    let (namespace, general) = without_namespace(path);
    let list = state.objects.keys().find(|list| general == **list || general.starts_with(&format!("{list}/"))).cloned();
    let Some(list) = list else {
        return failure(404, "NotFound", "the server could not find the requested resource");
    };
    if state.forbidden.contains(&list) {
        let resource = list.rsplit('/').next().unwrap();
        let message = format!("{resource} is forbidden: User \"system:anonymous\" cannot list resource \"{resource}\"");
        return failure(403, "Forbidden", &message);
    }
    let is_here = |object: &&Value| namespace.as_deref().is_none_or(|name| object["metadata"]["namespace"] == name);
    match general[list.len()..].trim_start_matches('/').split('/').collect::<Vec<_>>().as_slice() {
        [pod, "log"] => {
            let key = format!("{}/{pod}/{}", namespace.unwrap_or_default(), parameter("container").unwrap_or_default());
            match state.logs.get(&key) {
                Some(log) if parameter("previous").as_deref() == Some("true") => {
                    (200, "text/plain", log.clone().into_bytes())
                }
                _ => failure(400, "BadRequest", "previous terminated container not found"),
            }
        }
        [""] => {
            let here = state.objects[&list].iter().enumerate().filter(|(_, object)| is_here(object));
            let chosen: Vec<usize> = here
                .filter(|(_, object)| has_labels(object, parameter("labelSelector").as_deref()))
                .filter(|(_, object)| is_involved(object, parameter("fieldSelector").as_deref()))
                .map(|(at, _)| at)
                .collect();
            page(&list, &chosen, parameter("continue"), state)
        }
        [name] => {
            match state.objects[&list].iter().filter(is_here).find(|object| object["metadata"]["name"] == *name) {
                Some(object) => (200, "application/json", object.to_string().into_bytes()),
                None => failure(404, "NotFound", &format!("{list} \"{name}\" not found")),
            }
        }
        _ => failure(404, "NotFound", "no such subresource"),
    }
}

/// A page of the selected objects of a list.
fn page(list: &str, chosen: &[usize], token: Option<String>, state: &mut State) -> (u16, &'static str, Vec<u8>) {
    let start: usize = match token {
        None => 0,
        Some(_) if state.gone > 0 => {
            state.gone -= 1;
            return failure(
                410,
                "Expired",
                "The provided continue parameter is too old to display a consistent list result.",
            );
        }
        Some(token) => token.parse().unwrap(),
    };
    match state.endless {
        Endless::Never => {}
        Endless::SameToken => return list_of(&[], "1"),
        Endless::NewToken => return list_of(&[], &(start + 1).to_string()),
    }
    let size = if state.page == 0 { chosen.len() } else { state.page };
    let end = (start + size).min(chosen.len());
    let next = if end < chosen.len() { end.to_string() } else { String::new() };
    let items: Vec<&Value> = chosen[start..end].iter().map(|at| &state.objects[list][*at]).collect();
    list_of(&items, &next)
}

fn list_of(items: &[&Value], next: &str) -> (u16, &'static str, Vec<u8>) {
    let list = json!({"kind": "List", "apiVersion": "v1", "metadata": {"continue": next}, "items": items});
    (200, "application/json", list.to_string().into_bytes())
}

fn without_namespace(path: &str) -> (Option<String>, String) {
    match path.split_once("/namespaces/") {
        Some((group, rest)) => {
            let (namespace, rest) = rest.split_once('/').unwrap_or((rest, ""));
            (Some(namespace.to_string()), format!("{group}/{rest}"))
        }
        None => (None, path.to_string()),
    }
}

fn has_labels(object: &Value, selector: Option<&str>) -> bool {
    let wanted = selector.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
    wanted.into_iter().all(|(key, value)| object["metadata"]["labels"][key] == value)
}

fn is_involved(object: &Value, selector: Option<&str>) -> bool {
    selector.is_none_or(|selector| match selector.split_once('=') {
        Some(("involvedObject.name", name)) => object["involvedObject"]["name"] == name,
        _ => panic!("the test server does not know the field selector {selector}"),
    })
}
