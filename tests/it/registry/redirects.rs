//! Redirects: to a storage host, in loops, and to forbidden places.

use super::*;

#[test]
fn a_redirect_gets_neither_the_credential_nor_a_referer() {
    let (fake, store) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", &noise(5000));
    store.put_image("a/b", "1", &noise(5000));
    fake.require_basic("u", "p");
    let image = image(&fake, with_login(&fake.host, basic("u", "p")), "a/b:1");
    image.root().unwrap();
    for _ in 0..2 {
        fake.plan("/blobs/", Fault::Redirect(format!("http://{}{{path}}?signature=hunter2", store.host)));
    }
    store.plan("/blobs/", Fault::Cut(2000));
    assert_eq!(read(&image, &layer_of(&stored)).unwrap(), noise(5000));
    let seen = store.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter().all(|seen| !seen.headers.contains_key("authorization") && !seen.headers.contains_key("referer"))
    );
    assert_eq!(seen[1].headers["range"], "bytes=2000-");
    assert!(fake.seen().last().unwrap().headers.contains_key("authorization"));
}

#[test]
fn a_refusal_of_the_storage_host_is_not_mistaken_for_one_of_the_registry() {
    let (fake, store) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", b"layer");
    store.require_basic("other", "other");
    fake.plan("/blobs/", Fault::Redirect(format!("http://{}{{path}}?run=out", store.host)));
    assert_eq!(
        read(&image(&fake, with_login(&fake.host, basic("u", "p")), "a/b:1"), &layer_of(&stored)).unwrap(),
        b"layer"
    );
    assert!(store.seen().iter().all(|seen| !seen.headers.contains_key("authorization")));
}

#[test]
fn a_storage_host_that_refuses_is_distinguished_from_the_registry() {
    let (fake, store) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", b"layer");
    let image = image(&fake, with_login(&fake.host, basic("u", "p")), "a/b:1");
    image.root().unwrap();
    for _ in 0..2 {
        fake.plan("/blobs/", Fault::Redirect(format!("http://{}{{path}}", store.host)));
        store.plan("/blobs/", Fault::Status(403, &[], "<Error>AccessDenied</Error>"));
    }
    let error = image.open(&layer_of(&stored)).err().unwrap();
    let place = format!("the storage host {} that {} redirected to refused access", store.host, fake.host);
    assert!(error.to_string().starts_with(&place) && error.to_string().ends_with(": it answered 403"), "{error}");
    assert!(error.hint().unwrap().starts_with("try again"), "{error:?}");
}

#[test]
fn redirects_are_limited() {
    let fake = FakeRegistry::start();
    for _ in 0..7 {
        fake.plan("/manifests/", Fault::Redirect(format!("http://{}{{path}}", fake.host)));
    }
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    assert!(error.to_string().ends_with("more than 5 redirects"), "{error}");
    fake.plan("/manifests/", Fault::Redirect("file:///etc/passwd".to_string()));
    // Two of the seven planned redirects are left.
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    assert!(error.to_string().contains("a redirect to file, which is not http"), "{error}");
}

#[test]
fn a_registry_without_tls_is_asked_once_and_the_hint_names_insecure() {
    let (fake, plain) = (FakeRegistry::start(), FakeRegistry::start());
    (0..2).for_each(|_| fake.plan("/manifests/", Fault::Redirect(format!("https://{}{{path}}", plain.host))));
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    assert_eq!(error.to_string(), format!("{} could not be reached: it does not speak TLS", plain.host));
    assert!(error.hint().unwrap().ends_with("--insecure"), "{error:?}");
    assert_eq!(fake.asked().len(), 1);
}

thread_local! {
    static LOG: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Writes to the log of its own thread. The process has one subscriber: with one for each test, the activity of other
/// threads would decide whether an event is recorded.
struct OwnLog;

impl std::io::Write for OwnLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_names_every_request_and_no_secret() {
    let (fake, server, store) = (FakeRegistry::start(), FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", b"layer");
    store.put_image("a/b", "1", b"layer");
    fake.require_token(&server, Login::Basic("u", "hunter2"));
    fake.plan("/blobs/", Fault::Redirect(format!("http://x:hunter2@{}{{path}}?signature=hunter2", store.host)));
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| OwnLog);
    tracing::subscriber::set_global_default(subscriber.finish()).expect("no other test sets one");
    let image = image(&fake, with_login(&fake.host, basic("u", "hunter2")), "a/b:1");
    image.root().unwrap();
    read(&image, &layer_of(&stored)).unwrap();
    let text = String::from_utf8(LOG.take()).unwrap();
    for part in [format!("http://{}/v2/a/b/manifests/1", fake.host), format!("http://{}/token", server.host)] {
        assert!(text.contains(&part), "{text}");
    }
    for secret in ["hunter2", "dTpodW50ZXIy", "token-1"] {
        assert!(!text.contains(secret), "{text}");
    }
}
