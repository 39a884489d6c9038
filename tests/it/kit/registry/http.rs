//! The part of HTTP/1.1 that the registry in the parent module needs: requests, replies, and injected faults.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use imgarch::oci::Digest;

use super::Fault;

/// A received request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// A reply before faults are injected.
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn content(media_type: &str, body: Vec<u8>) -> Reply {
        Reply { status: 200, headers: Vec::new(), body }.header("content-type", media_type)
    }

    pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
        let json = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        Reply::content("application/json", json.into_bytes()).status(status)
    }

    pub(super) fn status(self, status: u16) -> Reply {
        Reply { status, ..self }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    pub(super) fn digest(self) -> Reply {
        let digest = Digest::from_bytes(&self.body);
        self.header("docker-content-digest", digest.as_str())
    }
}

/// The next request of a connection. `None` at its end, or after a TLS greeting.
pub(super) fn read_request(connection: &mut TcpStream) -> Option<Seen> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
        if head[0] == 0x16 {
            // As Go's servers answer.
            let text = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n";
            let _ = connection.write_all(text);
            return None;
        }
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.lines();
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_string()))
        .collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    Some(Seen { method, path, headers, body })
}

/// Sends the reply. Returns whether the connection can be used for another request.
pub(super) fn answer(connection: &mut TcpStream, seen: &Seen, reply: Reply, fault: Option<Fault>) -> bool {
    let ranged = |reply: Reply| match range(seen) {
        Some((first, last)) if reply.status == 200 && first < reply.body.len() => {
            let end = last.map_or(reply.body.len(), |last| reply.body.len().min(last + 1));
            let content_range = format!("bytes {first}-{}/{}", end - 1, reply.body.len());
            Reply { body: reply.body[first..end].to_vec(), ..reply }.status(206).header("content-range", &content_range)
        }
        Some(_) if reply.status == 200 => Reply::error(416, "RANGE_INVALID", "beyond the end"),
        _ => reply,
    };
    let sent = match fault {
        None => send(connection, seen, ranged(reply)),
        Some(Fault::Status(status, headers, body)) => {
            let reply = Reply { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
            send(connection, seen, headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value)))
        }
        Some(Fault::Drop) => Err(std::io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Cut(after)) => {
            let reply = ranged(reply);
            let cut = after.min(reply.body.len());
            let sent = send_head(connection, &reply, Some(reply.body.len()));
            sent.and_then(|()| connection.write_all(&reply.body[..cut]))
                .and_then(|()| connection.shutdown(Shutdown::Both))
                .and(Err(std::io::ErrorKind::ConnectionReset.into()))
        }
        Some(Fault::Instead(body)) => send(connection, seen, Reply { body, ..reply }),
        Some(Fault::Endless) => endless(connection, &ranged(reply)),
        Some(Fault::Drip(piece, pause)) => {
            let reply = ranged(reply);
            send_head(connection, &reply, Some(reply.body.len())).and_then(|()| {
                reply.body.chunks(piece).try_for_each(|bytes| {
                    connection.write_all(bytes)?;
                    std::thread::sleep(pause);
                    Ok(())
                })
            })
        }
        Some(Fault::Hang(time)) => {
            std::thread::sleep(time);
            send(connection, seen, ranged(reply))
        }
        Some(Fault::Redirect(to)) => {
            send(connection, seen, Reply::empty(307).header("location", &to.replace("{path}", &seen.path)))
        }
        Some(Fault::WholeContent) => send(connection, seen, reply),
        Some(Fault::WrongRange(text)) => send(connection, seen, reply.status(206).header("content-range", text)),
        Some(Fault::Header(name, value)) => {
            let mut reply = ranged(reply);
            reply.headers.retain(|(key, _)| key != name);
            send(connection, seen, if let Some(value) = value { reply.header(name, value) } else { reply })
        }
    };
    sent.is_ok()
}

/// The first and, if given, the last byte.
fn range(seen: &Seen) -> Option<(usize, Option<usize>)> {
    let (first, last) = seen.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()))
}

fn send(connection: &mut TcpStream, seen: &Seen, reply: Reply) -> std::io::Result<()> {
    send_head(connection, &reply, Some(reply.body.len()))?;
    if seen.method == "HEAD" { Ok(()) } else { connection.write_all(&reply.body) }
}

fn send_head(connection: &mut TcpStream, reply: &Reply, length: Option<usize>) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Fake\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match length {
        Some(length) => head.push_str(&format!("content-length: {length}\r\n\r\n")),
        None => head.push_str("transfer-encoding: chunked\r\n\r\n"),
    }
    connection.write_all(head.as_bytes())
}

/// Ends when the reader closes the connection.
fn endless(connection: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    send_head(connection, reply, None)?;
    let mut chunk = |bytes: &[u8]| {
        let head = format!("{:x}\r\n", bytes.len());
        [head.as_bytes(), bytes, b"\r\n"].iter().try_for_each(|part| connection.write_all(part))
    };
    chunk(&reply.body)?;
    loop {
        chunk(&[0; 4096])?;
    }
}
