//! Proxies from the environment. A process must not change its environment while it has threads, so each of these tests
//! runs itself again as a child.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;

#[test]
fn a_proxy_from_the_environment_is_used_for_other_machines_only() {
    if let Ok(host) = std::env::var("TEST_BEHIND_A_PROXY") {
        let mirrors = [(host.clone(), vec!["http://mirror.invalid".to_string()])].into();
        let client = RegistryClient::new(RegistryOptions { mirrors, ..options() }).unwrap();
        let image = |tag: &str| client.image(&Reference::parse(&format!("{host}/a/b:{tag}")).unwrap());
        image("proxied").root().unwrap();
        image("direct").root().unwrap();
        // Only the proxy can resolve the name, and only for plain HTTP.
        let trust = imgarch::source::registry::TlsTrust::Insecure;
        let no_proxy = std::env::var("NO_PROXY").unwrap();
        let client = RegistryClient::new(RegistryOptions { trust, no_proxy, ..options() }).unwrap();
        client.image(&Reference::parse("registry.invalid/a/b:proxied").unwrap()).root().unwrap();
        // NO_PROXY lists this host with its port, and the host does not resolve here.
        let error = client.image(&Reference::parse("exempt.invalid:5000/a/b:proxied").unwrap()).root().unwrap_err();
        assert!(error.to_string().contains("exempt.invalid:5000"), "{error}");
        return;
    }
    let (proxy, fake) = (FakeRegistry::start(), FakeRegistry::start());
    proxy.put_image("a/b", "proxied", b"layer");
    fake.put_image("a/b", "direct", b"layer");
    let name = "registry::proxies::a_proxy_from_the_environment_is_used_for_other_machines_only";
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args([name, "--exact"]).env("TEST_BEHIND_A_PROXY", &fake.host).env_remove("no_proxy");
    again.env("NO_PROXY", "other.invalid,exempt.invalid:5000");
    let status = again.env("http_proxy", format!("http://{}", proxy.host)).status().unwrap();
    assert!(status.success());
    let through = |tag: &str| format!("GET http://mirror.invalid/v2/a/b/manifests/{tag}");
    let of_no_mirror = through("proxied").replace("mirror", "registry");
    assert_eq!(proxy.asked(), [through("proxied"), through("direct"), of_no_mirror]);
    assert_eq!(fake.asked(), ["GET /v2/a/b/manifests/direct"]);
}

/// The same with SOCKS: the proxy resolves the name.
#[test]
fn a_socks_proxy_from_the_environment_is_used() {
    if std::env::var_os("TEST_BEHIND_SOCKS").is_some() {
        let trust = imgarch::source::registry::TlsTrust::Insecure;
        let client = RegistryClient::new(RegistryOptions { trust, ..options() }).unwrap();
        client.image(&Reference::parse("registry.invalid/a/b:1").unwrap()).root().unwrap();
        return;
    }
    let fake = FakeRegistry::start();
    fake.put_image("a/b", "1", b"layer");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let host = fake.host.clone();
    let proxy = std::thread::spawn(move || {
        let mut names = Vec::new();
        // TLS is tried first, which this registry does not support.
        for client in listener.incoming().take(2) {
            names.push(serve_socks(client.unwrap(), &host));
        }
        names
    });
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again
        .args(["registry::proxies::a_socks_proxy_from_the_environment_is_used", "--exact"])
        .env("TEST_BEHIND_SOCKS", "1");
    for name in ["NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "all_proxy"] {
        again.env_remove(name);
    }
    assert!(again.env("ALL_PROXY", format!("socks5h://{address}")).status().unwrap().success());
    assert_eq!(proxy.join().unwrap(), ["registry.invalid:443", "registry.invalid:80"]);
}

/// Forwards one connection to `host`. Returns the requested name and port. Source: RFC 1928.
fn serve_socks(mut client: TcpStream, host: &str) -> String {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).unwrap();
    client.read_exact(&mut vec![0; usize::from(greeting[1])]).unwrap();
    client.write_all(&[5, 0]).unwrap();
    let mut request = [0; 5];
    client.read_exact(&mut request).unwrap();
    assert_eq!(request[..4], [5, 1, 0, 3], "a connection to a name");
    let mut name = vec![0; usize::from(request[4]) + 2];
    client.read_exact(&mut name).unwrap();
    let port = u16::from_be_bytes(name.split_off(name.len() - 2).try_into().unwrap());
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let server = TcpStream::connect(host).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || io::copy(&mut from, &mut to).and_then(|_| to.shutdown(std::net::Shutdown::Write)));
    std::thread::spawn(move || {
        io::copy(&mut &server, &mut client).and_then(|_| client.shutdown(std::net::Shutdown::Both))
    });
    format!("{}:{port}", String::from_utf8(name).unwrap())
}
