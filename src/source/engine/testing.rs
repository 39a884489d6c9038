//! An engine for tests: it answers each request by its path.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

use super::EngineEndpoint;

/// Starts an engine that runs until the test process ends.
pub(crate) fn engine(answer: fn(&str) -> (u16, &'static str, &'static str)) -> (tempfile::TempDir, EngineEndpoint) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            lines.find(|line| line.as_ref().unwrap().is_empty());
            let (status, headers, body) = answer(request.split(' ').nth(1).unwrap());
            let length = body.len();
            let head = format!("HTTP/1.1 {status} x\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    (directory, EngineEndpoint::Unix(socket))
}
