//! Transient faults, permanent faults, and many requests at once.

use super::*;

#[test]
fn transient_faults_are_retried() {
    const BUSY: Fault = Fault::Status(500, &[], "");
    let requests = |faults: Vec<Fault>| {
        let (result, asked) = check_blob(100, faults);
        assert_eq!(result, whole(100));
        asked.len()
    };
    assert_eq!(requests(vec![BUSY, BUSY]), 3);
    assert_eq!(requests(vec![Fault::Drop, Fault::Drop]), 3);
    assert_eq!(requests(vec![Fault::Status(429, &[("retry-after", "0")], ""), Fault::Status(503, &[], "")]), 3);
}

#[test]
fn a_manifest_that_breaks_off_is_read_again() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    fake.plan("/manifests/", Fault::Cut(20));
    assert_eq!(image(&fake, options(), "a/b:1").root().unwrap().digest, stored.digest);
    (0..5).for_each(|_| fake.plan("/manifests/", Fault::Cut(20)));
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    assert_eq!(fake.asked().len(), 2 + 5);
}

#[test]
fn retry_after_is_respected() {
    let started = Instant::now();
    let (result, _) = check_blob(100, vec![Fault::Status(429, &[("retry-after", "1")], "")]);
    assert_eq!(result, whole(100));
    assert!(started.elapsed() >= Duration::from_secs(1));
    let dates = &[("date", "Sat, 21 Nov 2026 08:00:00 GMT"), ("retry-after", "Sat, 21 Nov 2026 08:00:01 GMT")];
    let started = Instant::now();
    assert_eq!(check_blob(100, vec![Fault::Status(503, dates, "")]).0, whole(100));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[test]
fn too_long_a_retry_after_is_given_up() {
    let fake = FakeRegistry::start();
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit"}]}"#;
    fake.plan("/manifests/", Fault::Status(429, &[("retry-after", "3600")], body));
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("answered 429") && text.contains("wait 3600 s") && text.contains("pull rate limit"),
        "{text}"
    );
    assert!(error.hint().unwrap().starts_with("docker login"));
}

#[test]
fn a_registry_that_is_busy_for_ever_is_given_up_within_the_longest_wait() {
    let fake = FakeRegistry::start();
    (0..9).for_each(|_| fake.plan("/manifests/", Fault::Status(429, &[("retry-after", "1")], "")));
    let retry = RetryPolicy { retries: 8, longest_wait: Duration::from_secs(1), ..options().retry };
    let error = image(&fake, RegistryOptions { retry, ..options() }, "a/b:1").root().unwrap_err();
    assert!(error.to_string().contains("answered 429"), "{error}");
    assert_eq!(fake.asked().len(), 2);
}

#[test]
fn a_permanent_fault_is_reported() {
    let fake = FakeRegistry::start();
    for _ in 0..5 {
        fake.plan("/manifests/", Fault::Status(500, &[], r#"{"errors":[{"code":"UNKNOWN","message":"disk"}]}"#));
    }
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    assert_eq!(error.to_string(), format!("{0} answered 500 for {0}/a/b:1: UNKNOWN: disk", fake.host));
    assert_eq!(fake.asked().len(), 5);
}

#[test]
fn concurrent_reads_are_limited() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", &noise(1000));
    for _ in 0..10 {
        fake.plan("/blobs/", Fault::Drip(500, Duration::from_millis(20)));
    }
    let image = image(&fake, RegistryOptions { parallel: 3, ..options() }, "a/b:1");
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| assert_eq!(read(&image, &layer_of(&stored)).unwrap(), noise(1000)));
        }
    });
    assert!((2..=3).contains(&fake.most_at_once()), "{}", fake.most_at_once());
}

#[test]
fn a_registry_that_never_answers_is_waited_for_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (timeout, retry) = (Duration::from_millis(300), RetryPolicy { retries: 1, ..options().retry });
    let hasty = RegistryOptions { timeout, connect_timeout: timeout, retry, ..options() };
    let client = RegistryClient::new(hasty).unwrap();
    let error_of = |rest: &str| {
        let started = Instant::now();
        let reference = Reference::parse(&format!("{host}/{rest}")).unwrap();
        (client.image(&reference).root().unwrap_err().to_string(), started.elapsed())
    };
    let (first, long) = error_of("a/b:1");
    assert_eq!(first, format!("{host} could not be reached: no answer within 0.3 s"));
    let (second, short) = error_of("a/c:1");
    assert_eq!(second, first);
    assert!(long >= 2 * timeout && short < timeout, "{long:?}, then {short:?}");
}

#[test]
fn a_registry_that_answered_before_is_asked_again() {
    let fake = FakeRegistry::start();
    fake.put_image("a/b", "1", b"layer");
    let (timeout, retry) = (Duration::from_millis(300), RetryPolicy { retries: 0, ..options().retry });
    let client = RegistryClient::new(RegistryOptions { timeout, retry, ..options() }).unwrap();
    let image = |tag: &str| client.image(&Reference::parse(&format!("{}/a/b:{tag}", fake.host)).unwrap());
    image("1").root().unwrap();
    fake.plan("/manifests/", Fault::Hang(Duration::from_millis(900)));
    assert!(image("1").root().unwrap_err().to_string().contains("no answer within"));
    image("1").root().unwrap();
}

#[test]
fn images_of_one_client_share_its_tokens_by_repository() {
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    fake.put_image("a/b", "1", b"x");
    fake.put_image("a/b", "2", b"y");
    fake.put_image("a/c", "1", b"z");
    fake.require_token(&server, Login::Anybody);
    let client = RegistryClient::new(options()).unwrap();
    for rest in ["a/b:1", "a/b:2", "a/c:1"] {
        let reference = Reference::parse(&format!("{}/{rest}", fake.host)).unwrap();
        Arc::clone(&client).image(&reference).root().unwrap();
    }
    assert_eq!(server.asked().len(), 2);
}
