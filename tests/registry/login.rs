//! In whose name a registry and its token server are asked.

use crate::*;

#[test]
fn basic_authentication_is_used_once_asked_for() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    fake.require_basic("u", "p");
    let image = image(&fake, with_login(&fake.host, basic("u", "p")), "a/b:1");
    assert_eq!(image.root().unwrap().digest, stored.digest);
    assert_eq!(read(&image, &layer_of(&stored)).unwrap(), b"layer");
    let had: Vec<bool> = fake.seen().iter().map(|seen| seen.headers.contains_key("authorization")).collect();
    assert_eq!(had, [false, true, true]);
}

/// Reads an image guarded by tokens, and returns what its token server was asked.
fn check_token(login: Login, credential: Option<Credential>) -> Vec<registry::Seen> {
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", b"layer");
    fake.require_token(&server, login);
    let options = credential.map_or_else(options, |credential| with_login(&fake.host, credential));
    let image = image(&fake, options, "a/b:1");
    assert_eq!(image.root().unwrap().digest, stored.digest);
    assert_eq!(read(&image, &layer_of(&stored)).unwrap(), b"layer");
    server.seen()
}

#[test]
fn one_token_is_fetched_for_a_repository() {
    let asked = check_token(Login::Anybody, None);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/token?service=fake&scope=repository%3Aa%2Fb%3Apull");
    assert!(!asked[0].headers.contains_key("authorization"));
}

#[test]
fn the_token_server_is_shown_the_password() {
    let asked = check_token(Login::Basic("u", "p"), Some(basic("u", "p")));
    assert_eq!(asked[0].headers["authorization"], "Basic dTpw");
}

#[test]
fn an_identity_token_is_posted() {
    let token = Credential::IdentityToken { username: String::new(), token: "refresh+me".to_string() };
    let asked = check_token(Login::Refresh("refresh%2Bme"), Some(token));
    assert_eq!((asked.len(), asked[0].method.as_str()), (1, "POST"));
    assert!(!asked[0].path.contains("refresh"));
}

#[test]
fn a_token_server_without_oauth2_is_asked_the_old_way() {
    let token = Credential::IdentityToken { username: "u".to_string(), token: "p".to_string() };
    let asked = check_token(Login::Basic("u", "p"), Some(token));
    let methods: Vec<&str> = asked.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["POST", "GET"]);
}

#[test]
fn a_token_that_runs_out_on_the_way_is_renewed() {
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", b"layer");
    fake.require_token(&server, Login::Anybody);
    let image = image(&fake, options(), "a/b:1");
    image.root().unwrap();
    fake.revoke_tokens();
    assert_eq!(read(&image, &layer_of(&stored)).unwrap(), b"layer");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn many_threads_share_one_token_request() {
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", b"layer");
    fake.require_token(&server, Login::Anybody);
    let image = image(&fake, options(), "a/b:1");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(read(&image, &layer_of(&stored)).unwrap(), b"layer"));
        }
    });
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_wrong_password_is_told_by_the_token_server() {
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    fake.require_token(&server, Login::Basic("u", "p"));
    let error = image(&fake, with_login(&fake.host, basic("u", "hunter2")), "a/b:1").root().unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("({}: incorrect username or password)", server.host)), "{text}");
    assert!(!text.contains("hunter2") && matches!(error.bare(), SourceError::Denied { .. }));
}

#[test]
fn the_credential_of_another_host_is_not_shown() {
    let fake = FakeRegistry::start();
    fake.require_basic("u", "p");
    image(&fake, with_login("other.example", basic("u", "p")), "a/b:1").root().unwrap_err();
    assert!(fake.seen().iter().all(|seen| !seen.headers.contains_key("authorization")));
}
