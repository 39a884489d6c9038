//! A web server with GET and PUT over real sockets, as a store of cache records. It records requests, and can
//! misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the server answers every request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Well,
    /// Responds with this status.
    Status(u16),
    /// Reads the request and never responds.
    Hangs,
    /// Announces more bytes than any record may have.
    Boasts,
    /// Truncates content to half, with a matching length.
    Halves,
}

#[derive(Default)]
struct Shared {
    objects: BTreeMap<String, Vec<u8>>,
    /// Method, path and the authorization header of each request.
    seen: Vec<(String, String, Option<String>)>,
    manner: Manner,
}

/// The running server. Its thread ends with the process.
#[derive(Clone)]
pub struct WebStore {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

impl WebStore {
    pub fn start() -> WebStore {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let store = WebStore { url: format!("http://{}", listener.local_addr().unwrap()), shared: Arc::default() };
        let server = store.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(connection.unwrap()));
            }
        });
        store
    }

    pub fn behave(&self, manner: Manner) {
        self.shared.lock().unwrap().manner = manner;
    }

    /// Paths of the stored records.
    pub fn paths(&self) -> Vec<String> {
        self.shared.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Requests since the last call: `PUT /path`.
    pub fn take_seen(&self) -> Vec<(String, Option<String>)> {
        let seen = std::mem::take(&mut self.shared.lock().unwrap().seen);
        seen.into_iter().map(|(method, path, login)| (format!("{method} {path}"), login)).collect()
    }

    /// Serves the requests of a connection. `None` at its end.
    fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(connection.try_clone().ok()?);
        let mut out = connection;
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).ok()? == 0 {
                    return None;
                }
            }
            let mut words = head.split(' ');
            let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
            let header = |name: &str| {
                let lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.clone().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_string())
            };
            let mut body = vec![0; header("content-length").map_or(0, |text| text.parse().unwrap())];
            reader.read_exact(&mut body).ok()?;
            let (status, length, body) = self.answer(method, path, header("authorization"), body);
            // Cloud clients require a version of each object that they write or read.
            let version = "etag: \"1\"\r\nx-goog-generation: 1\r\nlast-modified: Sat, 21 Nov 2026 12:00:00 GMT";
            let head = format!("HTTP/1.1 {status} Fake\r\ncontent-length: {length}\r\n{version}\r\n\r\n");
            out.write_all(head.as_bytes()).and_then(|()| out.write_all(&body)).ok()?;
            if length > body.len() {
                return None;
            }
        }
    }

    fn answer(&self, method: String, path: String, login: Option<String>, body: Vec<u8>) -> (u16, usize, Vec<u8>) {
        let mut shared = self.shared.lock().unwrap();
        shared.seen.push((method.clone(), path.clone(), login));
        let whole = |status, body: Vec<u8>| (status, body.len(), body);
        match (shared.manner, method.as_str()) {
            (Manner::Status(status), _) => whole(status, b"<Error><Key>sesame</Key></Error>".to_vec()),
            (Manner::Hangs, _) => {
                drop(shared);
                std::thread::sleep(Duration::from_secs(600));
                whole(500, Vec::new())
            }
            (_, "PUT") => {
                shared.objects.insert(path, body);
                whole(201, Vec::new())
            }
            (manner, "GET") => match shared.objects.get(&path) {
                None => whole(404, Vec::new()),
                Some(_) if manner == Manner::Boasts => (200, 1 << 40, Vec::new()),
                Some(bytes) if manner == Manner::Halves => whole(200, bytes[..bytes.len() / 2].to_vec()),
                Some(bytes) => whole(200, bytes.clone()),
            },
            _ => whole(405, Vec::new()),
        }
    }
}
