//! The lookup of a repository's credential, and that no secret is displayed.

use super::*;

fn wallet(texts: &[&str]) -> Wallet {
    let text = |json: &&str| CredentialStore::Text { name: "config.json".to_string(), json: json.to_string() };
    Wallet::new(Credentials { stores: texts.iter().map(text).collect(), ..Credentials::default() })
}

fn basic(username: &str, password: &str) -> Option<Credential> {
    Some(Credential::Basic { username: username.to_string(), password: password.to_string() })
}

fn check(texts: &[&str], host: &str, repository: &str, expected: Option<Credential>) {
    let found = wallet(texts).find(host, repository).unwrap();
    assert_eq!(found, CredentialLookup { credential: expected, failure: None }, "{host}/{repository}");
}

// "u:p" and "a:b:c"
const UP: &str = r#"{"auth":"dTpw"}"#;
const ABC: &str = r#"{"auth":"YTpiOmM="}"#;

#[test]
fn docker_hub_is_known_by_its_old_address() {
    for key in ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "https://registry-1.docker.io/v2/"] {
        check(&[&format!(r#"{{"auths":{{"{key}":{UP}}}}}"#)], "docker.io", "library/alpine", basic("u", "p"));
    }
}

#[test]
fn a_host_is_matched_with_its_port() {
    let json = format!(r#"{{"auths":{{"http://localhost:5000/v2/":{UP},"localhost":{ABC}}}}}"#);
    check(&[&json], "localhost:5000", "x", basic("u", "p"));
    check(&[&json], "localhost", "x", basic("a", "b:c"));
    check(&[&json], "localhost:5001", "x", None);
}

#[test]
fn the_narrowest_path_wins() {
    let json = format!(r#"{{"auths":{{"quay.io":{UP},"quay.io/org":{ABC},"quay.io/other":null}}}}"#);
    check(&[&json], "quay.io", "org/app", basic("a", "b:c"));
    check(&[&json], "quay.io", "organ/app", basic("u", "p"));
    check(&[&json], "quay.io", "other/app", basic("u", "p"));
}

#[test]
fn the_first_store_that_has_one_wins() {
    let first = r#"{"auths":{"a.example":{}}}"#;
    let second = format!(r#"{{"auths":{{"a.example":{UP}}}}}"#);
    let third = format!(r#"{{"auths":{{"a.example":{ABC}}}}}"#);
    check(&[first, &second, &third], "a.example", "x", basic("u", "p"));
}

#[test]
fn tokens_are_distinguished_from_passwords() {
    let json = r#"{"auths":{
        "a.example":{"auth":"dTo=","identitytoken":"refresh"},
        "b.example":{"registrytoken":"bearer"},
        "c.example":{"username":"u","password":"p"},
        "d.example":{"auth":"PHRva2VuPjpyZWZyZXNo"},
        "e.example":{"auth":"dTpwAAA="}}}"#;
    let identity = |username: &str| {
        Some(Credential::IdentityToken { username: username.to_string(), token: "refresh".to_string() })
    };
    check(&[json], "a.example", "x", identity("u"));
    check(&[json], "b.example", "x", Some(Credential::RegistryToken("bearer".to_string())));
    check(&[json], "c.example", "x", basic("u", "p"));
    check(&[json], "d.example", "x", identity(""));
    check(&[json], "e.example", "x", basic("u", "p"));
}

#[test]
fn a_missing_helper_is_remembered_and_does_not_hide_the_file() {
    let json = format!(r#"{{"credsStore":"not-installed","auths":{{"a.example":{UP}}}}}"#);
    check(&[&json], "a.example", "x", basic("u", "p"));
    let found = wallet(&[&json]).find("b.example", "x").unwrap();
    assert_eq!(found.credential, None);
    assert!(found.failure.unwrap().starts_with("docker-credential-not-installed could not be started"));
}

#[cfg(unix)]
#[test]
fn a_hosts_own_helper_goes_first_and_is_called_once() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    for name in ["own", "all"] {
        let program = directory.path().join(format!("docker-credential-{name}"));
        let script = format!(
            "#!/bin/sh\nread server\necho \"$server\" >> {}/asked\necho '{{\"Username\":\"{name}\",\"Secret\":\"s\"}}'\n",
            directory.path().display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let json = r#"{"credsStore":"all","credHelpers":{"a.example":"own"}}"#;
    let mut wallet = wallet(&[json]);
    wallet.credentials.helper_path = Some(format!("{}:/usr/bin:/bin", directory.path().display()).into());
    assert_eq!(wallet.find("a.example", "x").unwrap().credential, basic("own", "s"));
    assert_eq!(wallet.find("a.example", "y").unwrap().credential, basic("own", "s"));
    assert_eq!(wallet.find("docker.io", "library/x").unwrap().credential, basic("all", "s"));
    let asked = std::fs::read_to_string(directory.path().join("asked")).unwrap();
    assert_eq!(asked, "a.example\nhttps://index.docker.io/v1/\n");
}

#[test]
fn a_malformed_file_is_named_without_its_secret() {
    for json in [r#"{"auths":"hunter2"}"#, r#"{"auths":{"a.example":{"auth":"hunter2!"}}}"#] {
        let error = wallet(&[json]).find("a.example", "x").unwrap_err().to_string();
        assert!(error.starts_with("config.json is malformed") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_blank_config_holds_nothing() {
    for blank in ["", " \n\t"] {
        check(&[blank], "a.example", "x", None);
    }
}

#[test]
fn debug_text_shows_no_secret() {
    let given = CredentialStore::Given { host: "h".to_string(), credential: basic("u", "hunter2").unwrap() };
    assert_eq!(format!("{given:?}"), r#"Given(h, Basic("u", ***))"#);
    let text = CredentialStore::Text { name: "n".to_string(), json: "hunter2".to_string() };
    assert_eq!(format!("{text:?}"), "Text(n)");
}

#[test]
fn podmans_files_precede_dockers() {
    let paths = CredentialPaths {
        xdg_runtime_dir: Some("/run/user/7".into()),
        home: Some("/home/u".into()),
        ..CredentialPaths::default()
    };
    let shown = |paths: &CredentialPaths| -> Vec<String> {
        paths.files().iter().map(|path| path.display().to_string()).collect()
    };
    assert_eq!(
        shown(&paths),
        ["/run/user/7/containers/auth.json", "/home/u/.config/containers/auth.json", "/home/u/.docker/config.json"]
    );
    let bare = CredentialPaths { uid: Some(7), home: Some("/root".into()), ..CredentialPaths::default() };
    assert_eq!(shown(&bare)[0], "/run/containers/7/auth.json");
    let paths =
        CredentialPaths { registry_auth_file: Some("/a.json".into()), docker_config: Some("/d".into()), ..paths };
    assert_eq!(shown(&paths), ["/a.json", "/d/config.json"]);
}

#[test]
fn a_missing_file_counts_as_empty() {
    let store = CredentialStore::File("/nonexistent/config.json".into());
    let wallet = Wallet::new(Credentials { stores: vec![store], ..Credentials::default() });
    assert_eq!(wallet.find("a.example", "x").unwrap(), CredentialLookup::default());
}

fn wallet_of(path: PathBuf) -> Wallet {
    Wallet::new(Credentials { stores: vec![CredentialStore::File(path)], ..Credentials::default() })
}

#[test]
fn a_file_is_read_once_and_may_be_a_pipe() {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let json = format!(r#"{{"auths":{{"a.example":{UP}}}}}"#);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let wallet = wallet_of(format!("/dev/fd/{}", reader.as_raw_fd()).into());
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        writer.write_all(json.as_bytes()).unwrap();
    });
    for _ in 0..2 {
        assert_eq!(wallet.find("a.example", "x").unwrap().credential, basic("u", "p"));
    }
    late.join().unwrap();
}

#[test]
fn a_fifo_without_a_writer_is_not_waited_for() {
    use rustix::fs::{CWD, FileType, mknodat};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    mknodat(CWD, &path, FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(wallet_of(path).find("a.example", "x").unwrap(), CredentialLookup::default());
    assert_eq!(wallet_of("/dev/null".into()).find("a.example", "x").unwrap(), CredentialLookup::default());
}
