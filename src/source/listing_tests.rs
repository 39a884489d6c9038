use super::*;

fn listing() -> Listing {
    let entry = |content: &str, name: &str| {
        json!({
            "mediaType": MANIFEST_TYPE, "digest": Digest::from_bytes(content.as_bytes()).as_str(), "size": 1,
            "platform": {"os": "linux", "architecture": "arm64", "os.features": ["x"]},
            "annotations": {"org.opencontainers.image.ref.name": name},
        })
    };
    let manifests =
        [entry("a", "1"), entry("b", "docker.io/library/app:2"), entry("c", "localhost/app:3"), entry("a", "again")];
    let text = json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    Listing::from_index(text.into_bytes(), "here").unwrap()
}

fn check(selector: &str, content: &str) {
    let root = listing().root(&Selector::parse(selector), "here").unwrap();
    assert_eq!(root.descriptor.digest, Digest::from_bytes(content.as_bytes()), "{selector}");
    assert!(root.index.is_none());
}

#[test]
fn a_tag_a_name_a_digest_and_a_position_select() {
    check("1", "a");
    check("app:2", "b");
    check("docker.io/library/app:2", "b");
    check("app:3", "c");
    check("@2", "c");
    check(Digest::from_bytes(b"b").as_str(), "b");
    check(&format!("@{}", Digest::from_bytes(b"b")), "b");
}

#[test]
fn a_selector_without_a_match_is_not_found() {
    for selector in ["nothing", "@9", Digest::from_bytes(b"z").as_str(), "other:2"] {
        let error = listing().root(&Selector::parse(selector), "here").unwrap_err();
        let SourceError::NotFound { name, place, .. } = error.bare() else { panic!("{error}") };
        assert_eq!((name.as_str(), place.as_str()), (selector, "here"));
        assert_eq!(error.hint(), Some("it contains 1, docker.io/library/app:2, localhost/app:3, again"));
    }
}

#[test]
fn several_images_make_an_index_that_keeps_the_original_entries() {
    let root = listing().root(&Selector::All, "here").unwrap();
    let index = root.index.unwrap();
    assert_eq!(Digest::from_bytes(&index), root.descriptor.digest);
    let Document::Index(index) = Document::parse(&index).unwrap() else { panic!("an index") };
    assert_eq!(index.manifests.len(), 3, "one of two names of one image");
    assert_eq!(index.manifests[0].platform.as_ref().unwrap().to_string(), "linux/arm64");
}

#[test]
fn an_index_of_distinct_images_stays_byte_for_byte() {
    let entry = |content: &str| json!({"mediaType": MANIFEST_TYPE, "digest": Digest::from_bytes(content.as_bytes()).as_str(), "size": 1});
    let text = format!("{:#}", json!({"schemaVersion": 2, "manifests": [entry("a"), entry("b")]}));
    let root = Listing::from_index(text.clone().into_bytes(), "here").unwrap().root(&Selector::All, "here").unwrap();
    assert_eq!(root.index.unwrap(), text.as_bytes());
    assert_eq!(root.descriptor.digest, Digest::from_bytes(text.as_bytes()));
}

#[test]
fn an_empty_or_broken_index_is_malformed() {
    let empty = Listing::from_index(br#"{"manifests":null}"#.to_vec(), "here").unwrap();
    assert!(matches!(empty.root(&Selector::All, "here"), Err(SourceError::Malformed { .. })));
    for text in ["", "{}", r#"{"config":{}}"#] {
        assert!(matches!(Listing::from_index(text.into(), "here"), Err(SourceError::Malformed { .. })), "{text}");
    }
}
