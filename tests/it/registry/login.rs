//! Credentials for registries and their token servers.

use super::*;

#[test]
fn basic_authentication_is_used_after_a_challenge() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    fake.require_basic("u", "p");
    let image = image(&fake, with_login(&fake.host, basic("u", "p")), "a/b:1");
    assert_eq!(image.root().unwrap().digest, stored.digest);
    assert_eq!(read(&image, &layer_of(&stored)).unwrap(), b"layer");
    let had: Vec<bool> = fake.seen().iter().map(|seen| seen.headers.contains_key("authorization")).collect();
    assert_eq!(had, [false, true, true]);
}

/// Reads an image that requires a token. Returns the requests to the token server.
fn check_token(login: Login, credential: Option<Credential>) -> Vec<crate::kit::registry::Seen> {
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
fn the_password_is_sent_to_the_token_server() {
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
fn a_token_server_without_oauth2_gets_the_older_request() {
    let token = Credential::IdentityToken { username: "u".to_string(), token: "p".to_string() };
    let asked = check_token(Login::Basic("u", "p"), Some(token));
    let methods: Vec<&str> = asked.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["POST", "GET"]);
}

#[test]
fn an_expired_token_is_renewed() {
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
fn a_wrong_password_is_reported_with_the_token_servers_message() {
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    fake.require_token(&server, Login::Basic("u", "p"));
    let error = image(&fake, with_login(&fake.host, basic("u", "hunter2")), "a/b:1").root().unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("({}: incorrect username or password)", server.host)), "{text}");
    assert!(!text.contains("hunter2") && matches!(error.bare(), SourceError::Denied { .. }));
}

#[test]
fn a_failing_token_server_is_reported_with_its_registry() {
    let fake = FakeRegistry::start();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fake.require_token_of(&format!("http://127.0.0.1:{port}/token"));
    let error = image(&fake, options(), "a/b:1").root().unwrap_err().to_string();
    let expected = format!("the token server 127.0.0.1:{port} of {} could not be reached: ", fake.host);
    assert!(error.starts_with(&expected), "{error}");
    let server = FakeRegistry::start();
    fake.require_token(&server, Login::Anybody);
    (0..5).for_each(|_| server.plan("/token", Fault::Status(429, &[], "")));
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    let expected = format!("the token server {} of {} answered 429 for a token for a/b", server.host, fake.host);
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(error.hint().unwrap().starts_with(&format!("docker login {} (", fake.host)), "{error:?}");
}

#[test]
fn the_credential_of_another_host_is_not_sent() {
    let fake = FakeRegistry::start();
    fake.require_basic("u", "p");
    image(&fake, with_login("other.example", basic("u", "p")), "a/b:1").root().unwrap_err();
    assert!(fake.seen().iter().all(|seen| !seen.headers.contains_key("authorization")));
}

#[test]
fn an_image_hidden_from_anonymous_clients_is_requested_with_a_login() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    let hidden = Fault::Status(404, &[], r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#);
    fake.plan("/manifests/", hidden.clone());
    fake.plan_at("/v2/", Fault::Status(401, &[("www-authenticate", "Basic realm=x")], ""));
    let image_of = |options| image(&fake, options, "a/b:1");
    assert_eq!(image_of(with_login(&fake.host, basic("u", "p"))).root().unwrap().digest, stored.digest);
    let path = "/v2/a/b/manifests/1";
    assert_eq!(fake.asked(), [format!("GET {path}"), "GET /v2/".to_string(), format!("GET {path}")]);
    assert_eq!(fake.seen()[2].headers["authorization"], "Basic dTpw");
    // Without a credential, no login is attempted.
    fake.plan("/manifests/", hidden);
    assert!(matches!(image_of(options()).root().unwrap_err().bare(), SourceError::NotFound { .. }));
}

#[test]
fn an_unusable_challenge_is_reported() {
    let fake = FakeRegistry::start();
    let error_of = || image(&fake, with_login(&fake.host, basic("u", "p")), "a/b:1").root().unwrap_err().to_string();
    fake.require_token_of("ftp://fake/token");
    assert!(error_of().contains("its token server \"ftp://fake/token\" is not an http or https URL"), "{}", error_of());
    fake.plan("/manifests/", Fault::Status(401, &[("www-authenticate", "Negotiate, NTLM")], ""));
    assert!(error_of().ends_with("is not supported: it offers negotiate, ntlm"), "{}", error_of());
    fake.plan("/manifests/", Fault::Status(401, &[], ""));
    assert!(error_of().contains("refused access"));
}

#[test]
fn invalid_tokens_are_reported_without_their_content() {
    for answer in ["hunter2", r#"{"token":7}"#, r#"{"token":""}"#, r#"{"token":"hunter2\n"}"#] {
        let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
        fake.require_token(&server, Login::Anybody);
        server.plan("/token", Fault::Instead(answer.as_bytes().to_vec()));
        let error = image(&fake, options(), "a/b:1").root().unwrap_err();
        assert!(matches!(error.bare(), SourceError::Malformed { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn an_empty_token_is_ignored_next_to_an_access_token() {
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    fake.put_image("a/b", "1", b"layer");
    fake.require_token(&server, Login::Anybody);
    server.plan("/token", Fault::Instead(br#"{"token":"","access_token":"token-1"}"#.to_vec()));
    image(&fake, options(), "a/b:1").root().unwrap();
}

#[test]
fn a_busy_token_server_is_asked_again() {
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    fake.put_image("a/b", "1", b"layer");
    fake.require_token(&server, Login::Anybody);
    server.plan("/token", Fault::Status(503, &[], ""));
    image(&fake, options(), "a/b:1").root().unwrap();
    assert_eq!(server.asked().len(), 2);
}
