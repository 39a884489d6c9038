//! What a reference leads to, and the messages if it leads nowhere.

use super::*;

#[test]
fn an_image_is_read_by_its_tag_with_one_request_per_document() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    let image = image(&fake, options(), "a/b:1");
    let root = image.root().unwrap();
    assert_eq!(
        (&root.digest, root.size, root.media_type.as_str()),
        (&stored.digest, stored.manifest.len() as u64, OCI_MANIFEST)
    );
    assert_eq!(read(&image, &root).unwrap(), stored.manifest);
    assert_eq!(image.root().unwrap(), root);
    assert_eq!(read(&image, &layer_of(&stored)).unwrap(), b"layer");
    let layer = format!("GET /v2/a/b/blobs/{}", stored.layer);
    assert_eq!(fake.asked(), ["GET /v2/a/b/manifests/1", layer.as_str()]);
    let accept = &fake.seen()[0].headers["accept"];
    for part in ["oci.image.index", "oci.image.manifest", "distribution.manifest.list.v2", "distribution.manifest.v2"] {
        assert!(accept.contains(part), "{accept}");
    }
}

#[test]
fn a_digest_takes_precedence_over_its_tag_and_is_verified() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    let pinned = image(&fake, options(), &format!("a/b:moved@{}", stored.digest));
    assert_eq!(pinned.root().unwrap().digest, stored.digest);
    assert_eq!(fake.asked(), [format!("GET /v2/a/b/manifests/{}", stored.digest)]);

    fake.plan("/manifests/", Fault::Instead(b"{}".to_vec()));
    let error = image(&fake, options(), &format!("a/b@{}", stored.digest)).root().unwrap_err();
    let SourceError::WrongDigest { expected, actual, .. } = error.bare() else { panic!("{error}") };
    assert_eq!((expected, actual), (&stored.digest, &Digest::from_bytes(b"{}")));
}

#[test]
fn a_registry_that_contradicts_its_own_digest_is_not_trusted() {
    let fake = FakeRegistry::start();
    fake.put_image("a/b", "1", b"layer");
    fake.plan("/manifests/", Fault::Instead(b"{\"schemaVersion\":2,\"manifests\":[]}".to_vec()));
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    assert!(matches!(error.bare(), SourceError::WrongDigest { .. }), "{error}");
}

#[test]
fn head_gets_a_tags_digest_without_its_content() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    assert_eq!(image(&fake, options(), "a/b:1").head().unwrap().digest, stored.digest);
    fake.plan("/manifests/", Fault::Header("docker-content-digest", None));
    assert_eq!(image(&fake, options(), "a/b:1").head().unwrap().digest, stored.digest);
    let path = "/v2/a/b/manifests/1";
    assert_eq!(fake.asked(), [format!("HEAD {path}"), format!("HEAD {path}"), format!("GET {path}")]);
}

#[test]
fn an_endless_manifest_is_refused() {
    let fake = FakeRegistry::start();
    fake.put_image("a/b", "1", b"layer");
    fake.plan("/manifests/", Fault::Endless);
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    assert!(matches!(error, SourceError::TooLarge { limit: 4_194_304, .. }), "{error}");
}

#[test]
fn content_that_is_not_an_image_is_distinguished() {
    let fake = FakeRegistry::start();
    fake.put_manifest(
        "a/b",
        Some("old"),
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        b"{\"schemaVersion\":1}",
    );
    fake.put_manifest("a/b", Some("page"), "text/html; charset=utf-8", b"<html>Log in</html>");
    let error = image(&fake, options(), "a/b:old").root().unwrap_err();
    assert!(
        matches!(error.bare(), SourceError::Unsupported { .. }) && error.to_string().contains("schema 1"),
        "{error}"
    );
    let error = image(&fake, options(), "a/b:page").root().unwrap_err();
    assert!(error.to_string().contains("the server sent a web page"), "{error}");
}

#[test]
fn a_root_without_a_type_is_recognised_by_its_structure() {
    let fake = FakeRegistry::start();
    let manifest = br#"{"schemaVersion":2,"config":{"mediaType":"x/y","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
    let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    let type_of = |bytes: &[u8]| {
        fake.put_manifest("a/b", Some("1"), "", bytes);
        fake.plan("/manifests/", Fault::Header("content-type", None));
        image(&fake, options(), "a/b:1").root().map(|root| root.media_type).map_err(|error| error.to_string())
    };
    assert_eq!(type_of(manifest).as_deref(), Ok(OCI_MANIFEST));
    assert_eq!(type_of(index).as_deref(), Ok(OCI_INDEX));
    assert!(type_of(b"{}").unwrap_err().contains("neither an index nor a manifest"));
}

#[test]
fn missing_content_is_named() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    let error = image(&fake, options(), "a/b:2").root().unwrap_err();
    assert_eq!(error.to_string(), format!("tag {0}/a/b:2 was not found in {0}", fake.host));
    assert_eq!(error.hint(), Some("check the tag's name"));
    let absent = Descriptor::new(OCI_LAYER, Digest::from_bytes(b"absent"), 6);
    let error = read(&image(&fake, options(), "a/b:1"), &absent).unwrap_err();
    assert_eq!(error, format!("blob {0}/a/b@{1} was not found in {0}", fake.host, absent.digest));
    assert_eq!(fake.blob(&stored.layer).unwrap(), b"layer");
}

#[test]
fn a_refusal_has_a_reason_and_a_hint() {
    let fake = FakeRegistry::start();
    fake.require_basic("u", "p");
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    let expected = format!(
        "{0} refused access to a/b: it is missing, or private and there is no credential for {0} (UNAUTHORIZED: authentication required)",
        fake.host
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.hint(), Some(format!("docker login {}", fake.host).as_str()));

    let error = image(&fake, with_login(&fake.host, basic("u", "hunter2")), "a/b:1").root().unwrap_err();
    assert!(
        matches!(error.bare(), SourceError::Denied { cause, .. } if cause.contains("the credential of u gives no access"))
    );
    assert!(!format!("{error} {error:?}").contains("hunter2"));

    fake.plan("/manifests/", Fault::Status(403, &[], r#"{"errors":[{"code":"DENIED","message":"no"}]}"#));
    let error = image(&fake, options(), "a/b:1").root().unwrap_err();
    assert!(error.to_string().ends_with("(DENIED: no)"), "{error}");
}

#[test]
fn an_unreachable_host_is_reported_after_the_attempts() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let reference = Reference::parse(&format!("127.0.0.1:{port}/a/b")).unwrap();
    let error = RegistryClient::new(options()).unwrap().image(&reference).root().unwrap_err();
    assert!(matches!(error.bare(), SourceError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[test]
fn this_machine_has_several_names() {
    let fake = FakeRegistry::start();
    let stored = fake.put_image("a/b", "1", b"layer");
    for name in ["localhost", "127.0.0.1"] {
        let host = fake.host.replace("127.0.0.1", name);
        let reference = Reference::parse(&format!("{host}/a/b:1")).unwrap();
        assert_eq!(
            RegistryClient::new(options()).unwrap().image(&reference).root().unwrap().digest,
            stored.digest,
            "{name}"
        );
    }
}
