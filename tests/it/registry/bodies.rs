//! Blobs that break off, arrive slowly, never end or have the wrong content.

use super::*;

#[test]
fn a_broken_body_resumes_where_it_broke_off() {
    let (result, ranges) = check_blob(300_000, vec![Fault::Cut(100_000), Fault::Drop, Fault::Cut(100_000)]);
    assert_eq!(result, whole(300_000));
    let range = |first: usize| Some(format!("bytes={first}-"));
    assert_eq!(ranges, [None, range(100_000), range(100_000), range(200_000)]);
}

#[test]
fn a_server_without_ranges_is_read_from_the_start_again() {
    let (result, _) = check_blob(300_000, vec![Fault::Cut(200_000), Fault::WholeContent]);
    assert_eq!(result, whole(300_000));
}

#[test]
fn a_range_that_was_not_requested_is_refused() {
    for range in ["bytes 0-999/1000", "bytes 500-999/2000", "bytes 500-1999/1000", "nonsense"] {
        let (result, _) = check_blob(1000, vec![Fault::Cut(500), Fault::WrongRange(range)]);
        let error = result.unwrap_err();
        assert!(error.contains("is malformed") && error.contains(range), "{error}");
    }
}

#[test]
fn breaks_without_progress_end_after_some_attempts() {
    let (result, ranges) = check_blob(1000, vec![Fault::Cut(1); 9]);
    let error = result.unwrap_err();
    assert!(error.contains("was interrupted after 5 of 1000 bytes"), "{error}");
    assert_eq!(ranges.len(), 5);
}

#[test]
fn breaks_with_progress_do_not() {
    let (result, ranges) = check_blob(1_000_000, vec![Fault::Cut(100_000); 9]);
    assert_eq!((result, ranges.len()), (whole(1_000_000), 10));
}

#[test]
fn content_of_another_length_is_refused_at_once() {
    for other in [noise(999), noise(1001), Vec::new()] {
        let length = other.len();
        let (result, ranges) = check_blob(1000, vec![Fault::Instead(other)]);
        let error = result.unwrap_err();
        assert!(error.contains(&format!("the server sends {length} bytes, but its descriptor states 1000")), "{error}");
        assert_eq!(ranges.len(), 1);
    }
}

#[test]
fn a_body_without_an_end_is_cut_at_its_size() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", &noise(1000));
    fake.plan("/blobs/", Fault::Endless);
    let mut content = image(&fake, options(), "a/b:1").open(&layer_of(&stored)).unwrap();
    let mut bytes = Vec::new();
    let error = content.read_to_end(&mut bytes).unwrap_err().to_string();
    assert!(error.contains("it is longer than the 1000 bytes of its descriptor"), "{error}");
    assert_eq!(bytes, noise(1000));
}

#[test]
fn wrong_bytes_of_the_right_length_are_left_to_the_callers_digest_check() {
    let (result, _) = check_blob(1000, vec![Fault::Instead(vec![0; 1000])]);
    assert_eq!(result, Ok(vec![0; 1000]));
}

#[test]
fn a_slow_body_is_read_and_a_trickling_one_is_not() {
    let read_with = |piece: usize, pause: u64, timeout: u64| {
        let fake = FakeRegistry::start();
        let stored = fake.put_image("a/b", "1", &noise(20_000));
        (0..5).for_each(|_| fake.plan("/blobs/", Fault::Drip(piece, Duration::from_millis(pause))));
        let hasty = RegistryOptions { timeout: Duration::from_millis(timeout), ..options() };
        (read(&image(&fake, hasty, "a/b:1"), &layer_of(&stored)), fake.asked().len())
    };
    // 2.5 s in total, with a timeout of 1 s that applies to each piece.
    assert_eq!(read_with(2000, 250, 1000), (whole(20_000), 1));
    let error = read_with(10, 50, 500).0.unwrap_err();
    assert!(error.contains("less than 1024 bytes per second"), "{error}");
}

#[test]
fn a_trickling_document_is_given_up() {
    let drip = || Fault::Drip(1, Duration::from_millis(20));
    let hasty = || {
        let retry = RetryPolicy { retries: 1, ..options().retry };
        RegistryOptions { timeout: Duration::from_millis(300), retry, ..options() }
    };
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    fake.put_image("a/b", "1", b"layer");
    let error_of = || image(&fake, hasty(), "a/b:1").root().unwrap_err().to_string();
    (0..2).for_each(|_| fake.plan("/manifests/", drip()));
    assert!(error_of().ends_with("could not be reached: less than 1024 bytes per second"));
    fake.require_token(&server, Login::Basic("u", "p"));
    // The text of a refusal is optional: the refusal is reported without it.
    server.plan("/token", drip());
    assert!(error_of().contains("refused access"));
    fake.require_token(&server, Login::Anybody);
    server.plan("/token", drip());
    assert!(error_of().ends_with("could not be reached: less than 1024 bytes per second"));
}

#[test]
fn a_silent_server_is_given_up() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    fake.plan("/blobs/", Fault::Hang(Duration::from_secs(8)));
    let hasty = RegistryOptions { timeout: Duration::from_secs(1), ..options() };
    assert_eq!(read(&image(&fake, hasty, "a/b:1"), &layer_of(&stored)).unwrap(), b"layer");
    // The first request times out, and is retried once.
    assert_eq!(fake.asked().len(), 2);
}
