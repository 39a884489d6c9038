//! Results in a real S3 server, where `IMGARCH_S3_SERVER` names its program (`pip install 'moto[server]'`, then
//! `moto_server`). Several processes write at once, and a proxy before the server injects faults.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Images;
use crate::kit::machine;

/// What the proxy does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Answers every third request with this status and S3's error code.
    Some(u16, &'static str),
    /// Answers every request so.
    All(u16, &'static str),
    /// Ends every third answer in its middle.
    Cut,
    /// Delays each answer.
    Slow(Duration),
}

struct Server {
    process: Child,
    /// `host:port` of the proxy.
    proxy: String,
    fault: Arc<Mutex<Fault>>,
    requests: Arc<AtomicUsize>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// `None`: the variable names no program, and the test is skipped.
    fn start() -> Option<Server> {
        let program = std::env::var_os("IMGARCH_S3_SERVER").filter(|path| Path::new(path).is_file());
        let Some(program) = program else {
            machine::skip_for_good("fleet::s3", "IMGARCH_S3_SERVER does not name a program");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let upstream = format!("127.0.0.1:{port}");
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&upstream).is_err() {
            assert!(Instant::now() < end, "the S3 server did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        let (fault, requests) = (Arc::new(Mutex::new(Fault::None)), Arc::new(AtomicUsize::new(0)));
        let proxy = proxy(upstream, fault.clone(), requests.clone());
        let server = Server { process, proxy, fault, requests };
        let made = exchange(&server.proxy, "PUT /results HTTP/1.1\r\nhost: s3\r\ncontent-length: 0\r\n\r\n");
        assert!(made.starts_with("HTTP/1.1 200"), "{made}");
        Some(server)
    }

    fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn command(&self, images: &Images, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
        command.args(words).current_dir(images.path()).env_clear().env("HOME", images.path());
        command.env("AWS_ENDPOINT", format!("http://{}", self.proxy)).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "open-sesame");
        command.env("IMGARCH_TIMEOUT", "5").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn scan(&self, images: &Images, place: &str, shard: &str) -> Command {
        let args = ["scan", "--images-from", "images.txt", "--format", "plain", "--results", place, "--shard", shard];
        self.command(images, &args)
    }

    fn merged(&self, images: &Images, place: &str) -> (String, i32) {
        said(&self.command(images, &["merge", place, "--format", "plain"]).output().unwrap())
    }
}

fn said(output: &Output) -> (String, i32) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text, output.status.code().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

/// One request on a separate connection.
fn exchange(host: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 512];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// A request or an answer: its head, and its body by `content-length`. `None` at the end of the connection.
fn message(stream: &mut TcpStream, has_body: bool) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; if has_body { length } else { 0 }];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Starts a proxy that forwards each request on a separate connection. Its threads end with the process.
fn proxy(upstream: String, fault: Arc<Mutex<Fault>>, requests: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let (upstream, fault, requests) = (upstream.clone(), fault.clone(), requests.clone());
            std::thread::spawn(move || {
                while let Some((head, body)) = message(&mut client, true) {
                    let is_third = requests.fetch_add(1, Ordering::SeqCst) % 3 == 0;
                    let fault = *fault.lock().unwrap();
                    match fault {
                        Fault::Some(status, code) if is_third => refuse(&mut client, status, code)?,
                        Fault::All(status, code) => refuse(&mut client, status, code)?,
                        _ => {
                            let mut server = TcpStream::connect(&upstream).ok()?;
                            server.write_all(&[head.as_slice(), &body].concat()).ok()?;
                            let (answer, body) = message(&mut server, !head.starts_with(b"HEAD"))?;
                            if let Fault::Slow(delay) = fault {
                                std::thread::sleep(delay);
                            }
                            let whole = [answer.as_slice(), &body].concat();
                            if fault == Fault::Cut && is_third {
                                client.write_all(&whole[..answer.len() + body.len() / 2]).ok()?;
                                return None;
                            }
                            client.write_all(&whole).ok()?;
                        }
                    }
                }
                Some(())
            });
        }
    });
    address
}

fn refuse(client: &mut TcpStream, status: u16, code: &str) -> Option<()> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>not now</Message></Error>");
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all((head + &body).as_bytes()).ok()
}

#[test]
fn processes_share_a_real_s3_server_and_faults_lose_no_result() {
    let Some(server) = Server::start() else { return };
    let images = Images::new(24);
    let one = images.scan(&[]);
    let faults = [
        Fault::None,
        Fault::Some(500, "InternalError"),
        Fault::Some(503, "SlowDown"),
        Fault::Cut,
        Fault::Slow(Duration::from_millis(100)),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        let place = format!("s3://results/{number}");
        server.set(fault);
        let shards = ["1/3", "2/3", "3/3"].map(|shard| server.scan(&images, &place, shard).spawn().unwrap());
        for shard in shards {
            let output = shard.wait_with_output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 1)), "{fault:?}: {:?} {errors}", output.status);
        }
        assert_eq!(server.merged(&images, &place), one, "{fault:?}");
    }
    assert!(server.requests.load(Ordering::SeqCst) > faults.len() * images.names.len());
    // Credentials that expire while images are scanned: what was judged is reported, and what was not kept is an error.
    server.set(Fault::All(400, "ExpiredToken"));
    let output = server.scan(&images, "s3://results/expired", "1/1").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("ExpiredToken") && !errors.contains("open-sesame"), "{errors}");
    let (_, code) = server.merged(&images, "s3://results/0");
    assert_eq!(code, 3);
    server.set(Fault::None);
    assert_eq!(server.merged(&images, "s3://results/0"), one);
}
