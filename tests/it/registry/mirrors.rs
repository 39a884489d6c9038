//! Mirrors: tried first, named in reports, and skipped if they return nothing usable.

use super::*;

fn client_of(fake: &FakeRegistry, mirror: &str) -> Arc<RegistryClient> {
    let mirrors = [(fake.host.clone(), vec![mirror.to_string()])].into();
    RegistryClient::new(RegistryOptions { mirrors, ..options() }).unwrap()
}

#[test]
fn a_mirror_is_tried_first_and_the_registry_if_it_has_nothing() {
    let (fake, mirror) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", b"layer");
    let other = fake.put_image("a/b", "2", b"other");
    mirror.put_image("cache/a/b", "1", b"layer");
    let client = client_of(&fake, &format!("http://{}/cache", mirror.host));
    let of = |tag: &str| client.image(&Reference::parse(&format!("{}/a/b:{tag}", fake.host)).unwrap());
    let first = of("1");
    assert_eq!(first.root().unwrap().digest, stored.digest);
    assert_eq!(first.mirror(), Some(mirror.host.clone()));
    assert!(fake.asked().is_empty());
    let second = of("2");
    assert_eq!(second.root().unwrap().digest, other.digest);
    assert_eq!(second.mirror(), None);
    assert_eq!(read(&second, &layer_of(&other)).unwrap(), b"other");
    assert_eq!(mirror.asked(), ["GET /v2/cache/a/b/manifests/1", "GET /v2/cache/a/b/manifests/2"]);
}

#[test]
fn a_mirrors_response_that_is_not_an_image_is_read_from_the_registry() {
    for (media_type, content) in [("text/html", "<html>Log in</html>"), ("application/json", "{}")] {
        let (fake, mirror) = (FakeRegistry::start(), FakeRegistry::start());
        let stored = fake.put_image("a/b", "1", b"layer");
        mirror.put_manifest("a/b", Some("1"), media_type, content.as_bytes());
        let client = client_of(&fake, &format!("http://{}", mirror.host));
        let image = client.image(&Reference::parse(&format!("{}/a/b:1", fake.host)).unwrap());
        assert_eq!(image.root().unwrap().digest, stored.digest);
        assert_eq!(image.mirror(), None);
        assert_eq!(mirror.asked(), ["GET /v2/a/b/manifests/1"]);
    }
}

#[test]
fn a_mirrors_blob_of_another_length_is_read_from_the_registry() {
    let (fake, mirror) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", &noise(1000));
    mirror.put_image("a/b", "1", &noise(1000));
    mirror.plan("/blobs/", Fault::Instead(b"short".to_vec()));
    let client = client_of(&fake, &format!("http://{}", mirror.host));
    let image = client.image(&Reference::parse(&format!("{}/a/b:1", fake.host)).unwrap());
    image.root().unwrap();
    assert_eq!(read(&image, &layer_of(&stored)), whole(1000));
    assert_eq!(fake.asked(), [format!("GET /v2/a/b/blobs/{}", stored.layer)]);
}

#[test]
fn a_mirror_that_breaks_off_is_named() {
    let (fake, mirror) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = fake.put_image("a/b", "1", &noise(1000));
    mirror.put_image("a/b", "1", &noise(1000));
    (0..5).for_each(|_| mirror.plan("/blobs/", Fault::Cut(1)));
    let client = client_of(&fake, &format!("http://{}", mirror.host));
    let image = client.image(&Reference::parse(&format!("{}/a/b:1", fake.host)).unwrap());
    image.root().unwrap();
    let error = read(&image, &layer_of(&stored)).unwrap_err();
    assert!(error.starts_with(&format!("{} could not be reached", mirror.host)), "{error}");
}
