//! Many machines that read each layer once: results are shared through a directory, a web server and S3. A store that
//! fails does not affect a verdict.

use crate::kit::python;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::kit::elf::ElfBuilder;
use crate::kit::registry::FakeRegistry;
use crate::kit::small::{Small, imgarch, said};
use crate::kit::web_store::{Manner, WebStore};
use tempfile::TempDir;

/// A registry with an image whose program is for another architecture than its label states.
struct Fleet {
    registry: FakeRegistry,
    image: String,
    layer: String,
}

impl Fleet {
    fn new() -> Fleet {
        let registry = FakeRegistry::start();
        let stored = registry.put_image("user/app", "v1", &Small::new("amd64", ElfBuilder::arm64().build()).layer());
        Fleet { image: format!("{}/user/app:v1", registry.host), layer: stored.layer.to_string(), registry }
    }

    /// Scans the image on a machine without a cache. Returns stdout, stderr, and whether the layer was read. The
    /// verdict must be the same whatever happens to the store.
    fn scan(&self, args: &[&str], env: &[(&str, &str)]) -> Scanned {
        let machine = tempfile::tempdir().unwrap();
        let before = self.registry.asked().len();
        let args = [&["scan", "--format", "plain", &self.image], args].concat();
        let output = imgarch(machine.path(), &args, env);
        let (text, code) = said(&output);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code, 1, "{text}{errors}");
        assert!(text.contains("entrypoint-wrong-arch"), "{text}");
        let asked = self.registry.asked();
        Scanned { text, errors, has_read_layer: asked[before..].iter().any(|path| path.contains(&self.layer)) }
    }

    /// One machine reads and shares. The next one only reads shared results.
    fn check(&self, place: &str, env: &[(&str, &str)]) {
        let first = self.scan(&["--cache-from", place, "--cache-to", place], env);
        assert_eq!((first.errors.as_str(), first.has_read_layer), ("", true));
        let second = self.scan(&["--cache-from", place], env);
        assert_eq!((second.errors.as_str(), second.has_read_layer), ("", false));
        assert_eq!(first.text, second.text);
        let offline = self.scan(&[], env);
        assert!(offline.has_read_layer);
    }
}

struct Scanned {
    text: String,
    errors: String,
    has_read_layer: bool,
}

/// Results kept in a store are merged from there, and found by the next run.
fn check_results(fleet: &Fleet, place: &str, env: &[(&str, &str)]) {
    let machine = tempfile::tempdir().unwrap();
    let args = ["scan", "--no-cache", "--format", "plain", &fleet.image, "--results", place];
    let first = said(&imgarch(machine.path(), &args, env));
    assert_eq!(first.1, 1, "{}", first.0);
    assert_eq!(said(&imgarch(machine.path(), &["merge", place, "--format", "plain"], env)), first);
    let before = fleet.registry.asked().len();
    assert_eq!(said(&imgarch(machine.path(), &args, env)), first);
    let asked = fleet.registry.asked().split_off(before);
    assert!(asked.iter().all(|asked| !asked.contains("/blobs/")), "{asked:?}");
}

#[test]
fn a_directory_shares_what_one_machine_read() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("shared");
    Fleet::new().check(place.to_str().unwrap(), &[]);
    Fleet::new().check(&format!("file://{}/as-url", directory.path().display()), &[]);
}

#[test]
fn a_web_server_shares_what_one_machine_read_and_gets_the_password_of_its_url() {
    let store = WebStore::start();
    let place = format!("{}/team/cache", store.url.replace("://", "://runner:pass%2Dword@"));
    let fleet = Fleet::new();
    fleet.check(&place, &[]);
    let seen = store.take_seen();
    assert!(seen.iter().all(|(_, login)| login.as_deref() == Some("Basic cnVubmVyOnBhc3Mtd29yZA==")), "{seen:?}");
    assert!(seen.iter().all(|(request, _)| request.contains(" /team/cache/imgarch-")), "{seen:?}");
    // Once for the layer, the blob, the manifest and the config. A result that was found in a store is not written.
    assert_eq!(seen.iter().filter(|(request, _)| request.starts_with("PUT")).count(), 4, "{seen:?}");
    let loud = fleet.scan(&["--cache-from", &place, "-vv"], &[]);
    assert!(
        loud.errors.contains("/team/cache")
            && !loud.errors.contains("pass%2Dword")
            && !loud.errors.contains("pass-word"),
        "{}",
        loud.errors
    );
    let (text, _) = said(&imgarch(&std::env::temp_dir(), &["config"], &[("IMGARCH_CACHE_TO", &place)]));
    assert!(text.contains("/team/cache") && !text.contains("pass-word"), "{text}");
}

#[test]
fn a_result_found_in_a_store_is_not_written_to_another() {
    let (first, second) = (WebStore::start(), WebStore::start());
    let fleet = Fleet::new();
    fleet.scan(&["--cache-to", &first.url], &[]);
    fleet.scan(&["--cache-from", &first.url, "--cache-to", &second.url], &[]);
    assert_eq!((first.paths().len(), second.paths().len()), (4, 0));
    // The second store is read if the first has nothing.
    let read = fleet.scan(&["--cache-from", &second.url, "--cache-from", &first.url], &[]);
    assert!(!read.has_read_layer);
}

#[test]
fn stores_can_be_set_in_the_environment_and_the_file() {
    let fleet = Fleet::new();
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("shared");
    let place = place.to_str().unwrap();
    fleet.scan(&[], &[("IMGARCH_CACHE_TO", place)]);
    assert!(!fleet.scan(&[], &[("IMGARCH_CACHE_FROM", place)]).has_read_layer);
    assert!(fleet.scan(&["--no-cache"], &[("IMGARCH_CACHE_FROM", place)]).has_read_layer);
    // A relative directory in the file is relative to the file's directory.
    let config = directory.path().join("imgarch.toml");
    std::fs::write(&config, "[cache]\nfrom = [\"shared\"]\n").unwrap();
    assert!(!fleet.scan(&["--config", config.to_str().unwrap()], &[]).has_read_layer);
    std::fs::write(&config, "[cache]\nform = [\"shared\"]\n").unwrap();
    let output = imgarch(directory.path(), &["scan", "--config", "imgarch.toml", "x"], &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("did you mean `from`?"), "{errors}");
    let (_, code) = said(&imgarch(directory.path(), &["scan", "--cache-from", "ftp://host/x", "x"], &[]));
    assert_eq!(code, 2);
}

/// A store that misbehaves: the verdict does not change, and stderr contains these words.
fn check_failing(manner: Manner, words: &str) {
    let (fleet, store) = (Fleet::new(), WebStore::start());
    fleet.scan(&["--cache-to", &store.url], &[]);
    store.behave(manner);
    let started = Instant::now();
    let read = fleet.scan(&["--cache-from", &store.url, "--cache-to", &store.url], &[("IMGARCH_TIMEOUT", "1")]);
    assert!(read.has_read_layer, "{manner:?}");
    assert!(read.errors.contains(words), "{manner:?}: {}", read.errors);
    assert!(!read.errors.contains("sesame"), "{}", read.errors);
    assert!(started.elapsed() < Duration::from_secs(30), "{manner:?}: {:?}", started.elapsed());
    assert_eq!(fleet.scan(&["--cache-from", &store.url, "--quiet"], &[("IMGARCH_TIMEOUT", "1")]).errors, "");
}

#[test]
fn a_failing_store_does_not_affect_the_verdict_and_is_reported() {
    check_failing(Manner::Status(500), "500 Internal Server Error; continuing without this cache");
    check_failing(Manner::Status(403), "403 Forbidden; continuing without this record");
    check_failing(Manner::Status(401), "401 Unauthorized; continuing without this");
    check_failing(Manner::Hangs, "operation timed out; continuing without this cache");
    check_failing(Manner::Boasts, "a record has 1099511627776 bytes; the limit is 8388608");
    check_failing(Manner::Halves, "is damaged; it was not used");
}

#[test]
fn offline_uses_no_network_store() {
    let (fleet, store, directory) = (Fleet::new(), WebStore::start(), tempfile::tempdir().unwrap());
    fleet.scan(&["--cache-to", &store.url], &[]);
    store.take_seen();
    std::fs::create_dir(directory.path().join("root")).unwrap();
    imgarch(directory.path(), &["scan", "--offline", "--cache-from", &store.url, "rootfs:root"], &[]);
    assert!(store.take_seen().is_empty());
}

/// Against a fake that accepts everything: URLs, credentials and names are those of the real services.
#[test]
fn google_cloud_storage_and_azure_share_what_one_machine_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = WebStore::start();
    let account = directory.path().join("account.json");
    let json = format!(
        r#"{{"gcs_base_url":"{}","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}}"#,
        store.url
    );
    std::fs::write(&account, json).unwrap();
    Fleet::new().check("gs://fleet/team", &[("GOOGLE_SERVICE_ACCOUNT", account.to_str().unwrap())]);
    let seen = store.take_seen();
    assert!(seen.iter().all(|(request, _)| request.contains(" /fleet/team%2Fimgarch")), "{seen:?}");
    let endpoint = format!("{}/sesame", store.url);
    let env = [
        ("AZURE_ENDPOINT", endpoint.as_str()),
        ("AZURE_STORAGE_ACCOUNT_NAME", "sesame"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "b3BlbiBzZXNhbWU="),
    ];
    let fleet = Fleet::new();
    fleet.check("az://fleet/team", &env);
    for (request, login) in store.take_seen() {
        assert!(request.contains(" /sesame/fleet/team/imgarch-"), "{request}");
        assert!(login.as_ref().is_some_and(|login| login.starts_with("SharedKey sesame:")), "{login:?}");
    }
    check_results(&fleet, "az://fleet/team", &env);
    let loud = fleet.scan(&["--cache-from", "az://fleet/team", "-vv"], &env);
    assert!(!loud.errors.contains("b3BlbiBzZXNhbWU="), "{}", loud.errors);
}

/// moto's S3 server, with a bucket.
struct S3 {
    endpoint: String,
    child: Child,
    _directory: TempDir,
}

impl S3 {
    fn start(program: &std::path::Path) -> S3 {
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let port = host.port().to_string();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port]).env("TMPDIR", directory.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let s3 = S3 { endpoint: format!("http://{host}"), child, _directory: directory };
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(host).is_err() {
            assert!(Instant::now() < end, "moto_server did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        let http = reqwest::blocking::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        http.put(format!("{}/fleet", s3.endpoint)).send().unwrap().error_for_status().unwrap();
        s3
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn s3_shares_what_one_machine_read() {
    let test = "s3_shares_what_one_machine_read";
    let Some(program) = python::program(test, "moto[server]==5.2.1", "moto_server") else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let s3 = S3::start(&program);
    let env = [
        ("AWS_ENDPOINT_URL", s3.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIASESAME"),
        ("AWS_SECRET_ACCESS_KEY", "open-sesame"),
    ];
    let fleet = Fleet::new();
    fleet.check("s3://fleet/team/cache", &env);
    let loud = fleet.scan(&["--cache-from", "s3://fleet/team/cache", "-vv"], &env);
    assert!(loud.errors.contains("s3://fleet/team/cache"), "{}", loud.errors);
    assert!(!loud.errors.contains("open-sesame") && !loud.errors.contains("AKIASESAME"), "{}", loud.errors);
    check_results(&fleet, "s3://fleet/results", &env);
    let missing = fleet.scan(&["--cache-from", "s3://no-such-bucket/x"], &env);
    assert!(missing.has_read_layer && missing.errors.contains("NoSuchBucket"), "{}", missing.errors);
}
