//! Pushes to a registry, and lists of an image's referrers.

use super::*;

#[test]
fn a_pushed_image_is_read_back_from_the_fake() {
    let fake = FakeRegistry::start();
    check_push(&image(&fake, options(), "team/app:pushed"));
}

#[test]
fn an_existing_blob_is_not_sent_again() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    let image = image(&fake, options(), "a/b:1");
    image.push_blob(&layer_of(&stored), &|| panic!("must not be opened")).unwrap();
    assert_eq!(fake.asked(), [format!("HEAD /v2/a/b/blobs/{}", stored.layer)]);
}

#[test]
fn a_push_requests_push_access() {
    let (fake, server) = (FakeRegistry::start(), FakeRegistry::start());
    fake.require_token(&server, Login::Basic("u", "p"));
    let image = image(&fake, with_login(&fake.host, basic("u", "p")), "a/b:1");
    check_push(&image);
    let scopes: Vec<String> =
        server.asked().iter().map(|asked| asked.split_once("scope=").unwrap().1.to_string()).collect();
    assert!(scopes.contains(&"repository%3Aa%2Fb%3Apull%2Cpush".to_string()), "{scopes:?}");
}

#[test]
fn an_upload_that_fails_is_sent_whole_again() {
    let fake = FakeRegistry::start();
    fake.plan("/blobs/uploads/1", Fault::Status(503, &[], ""));
    check_push(&image(&fake, options(), "a/b:1"));
}

#[test]
fn the_credential_is_not_sent_with_an_upload_to_another_host() {
    let (fake, other) = (FakeRegistry::start(), FakeRegistry::start());
    fake.require_basic("u", "p");
    let bytes = b"layer";
    let descriptor = Descriptor::new(OCI_LAYER, Digest::from_bytes(bytes), bytes.len() as u64);
    let location: &'static str = format!("http://{}/v2/a/b/blobs/uploads/9", other.host).leak();
    let headers: &'static [(&str, &str)] = vec![("location", location)].leak();
    fake.plan("/blobs/uploads/", Fault::Status(202, headers, ""));
    let image = image(&fake, with_login(&fake.host, basic("u", "p")), "a/b:1");
    image.push_blob(&descriptor, &in_memory(bytes)).unwrap();
    assert_eq!(other.blob(&descriptor.digest).unwrap(), bytes);
    assert!(other.seen().iter().all(|seen| !seen.headers.contains_key("authorization")));
}

#[test]
fn referrers_are_listed_by_the_api_and_by_the_tag() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":1}}]}}"#,
        stored.config
    );
    let image = image(&fake, options(), "a/b:1");
    let list =
        || -> Vec<Digest> { image.referrers(&stored.digest).unwrap().into_iter().map(|one| one.digest).collect() };
    assert_eq!(list(), []);
    fake.put_manifest("a/b", Some(&format!("sha256-{}", stored.digest.hex())), OCI_INDEX, index.as_bytes());
    assert_eq!(list(), std::slice::from_ref(&stored.config));
    fake.list_referrers();
    assert_eq!(list(), []);
    fake.put_manifest("a/b", Some(&format!("referrers-{}", stored.digest)), OCI_INDEX, index.as_bytes());
    let next: &'static str = format!("</v2/a/b/referrers/{}?page=2>; rel=\"next\"", stored.digest).leak();
    fake.plan("/referrers/", Fault::Header("link", Some(next)));
    assert_eq!(list(), [stored.config.clone(), stored.config.clone()]);
}

#[test]
fn a_blob_is_copied_between_registries_without_storing_it() {
    let (from, to) = (FakeRegistry::start(), FakeRegistry::start());
    let stored = from.put_image("a/b", "1", &noise(3_000_000));
    from.plan("/blobs/", Fault::Cut(1_000_000));
    let source = image(&from, options(), "a/b:1");
    let layer = layer_of(&stored);
    image(&to, options(), "c/d:1").push_blob(&layer, &|| source.open(&layer)).unwrap();
    assert_eq!(to.blob(&layer.digest).unwrap(), stored.layer_bytes);
}
