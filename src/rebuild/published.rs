//! Reads the index that a tag points to, and composes the new one. Everything that stays is copied from the text of the
//! old index: descriptors, annotations, `artifactType`, `urls` and unknown fields keep their bytes.

use std::collections::HashSet;

use serde::de::{Error as _, IgnoredAny};
use serde_json::Value;

use crate::oci::{Descriptor, Digest, Document, DocumentError};
use crate::platform::Platform;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const MANIFESTS: &str = "manifests";
const MEDIA_TYPE: &str = "mediaType";

/// The index or single manifest that a tag points to.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub digest: Digest,
    pub entries: Vec<PublishedManifest>,
    /// The members of the index in order, with their JSON texts; that of `manifests` is empty. No members for a single
    /// manifest.
    members: Vec<(String, String)>,
}

/// One manifest of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedManifest {
    pub descriptor: Descriptor,
    /// The platform of the descriptor, or else of the config.
    pub platform: Option<Platform>,
    /// The descriptor's JSON text.
    pub raw: String,
    /// The entries of a nested index, as far as it could be read.
    pub nested: Vec<PublishedManifest>,
}

/// An index that is ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexText {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

impl Published {
    /// Parses an index or manifest. A single manifest counts as an index of one, with the platform that its config
    /// declares. Nested indexes are not read.
    pub fn read(root: &Descriptor, bytes: &[u8], declared: Option<&Platform>) -> Result<Published, DocumentError> {
        let digest = root.digest.clone();
        match Document::parse(bytes)? {
            Document::Index(index) => {
                let text = std::str::from_utf8(bytes).map_err(|error| DocumentError::Spec(error.to_string()))?;
                let mut members = JsonText::members(text)?;
                let manifests = members.iter().rev().find(|(name, _)| name == MANIFESTS).map(|(_, text)| *text);
                let raws = manifests.map_or(Ok(Vec::new()), JsonText::elements)?;
                let entry = |(descriptor, raw): (Descriptor, &str)| PublishedManifest {
                    platform: descriptor.platform.clone(),
                    descriptor,
                    raw: raw.to_string(),
                    nested: Vec::new(),
                };
                let entries = index.manifests.into_iter().zip(raws).map(entry).collect();
                // If two members have the same name, JSON parsers use the last.
                let mut seen = HashSet::new();
                members.reverse();
                members.retain(|(name, _)| seen.insert(name.clone()));
                members.reverse();
                let own = |(name, text): (String, &str)| {
                    let text = if name == MANIFESTS { String::new() } else { text.to_string() };
                    (name, text)
                };
                Ok(Published { digest, entries, members: members.into_iter().map(own).collect() })
            }
            Document::Manifest(_) => {
                let sized = Descriptor { size: bytes.len() as u64, ..root.clone() };
                let raw = descriptor_text(&sized, declared);
                let entry = PublishedManifest {
                    descriptor: Descriptor { platform: declared.cloned(), ..root.clone() },
                    platform: declared.cloned(),
                    raw,
                    nested: Vec::new(),
                };
                Ok(Published { digest, entries: vec![entry], members: Vec::new() })
            }
        }
    }

    /// Returns all manifests, including those of nested indexes.
    pub fn leaves(&self) -> Vec<&PublishedManifest> {
        let mut found = Vec::new();
        self.entries.iter().for_each(|entry| entry.collect_leaves(&mut found));
        found
    }

    /// Copies the entries and platforms of nested indexes that `before` also contains.
    pub fn know_nested(&mut self, before: &Published) {
        for entry in &mut self.entries {
            let same = before.entries.iter().find(|other| other.descriptor.digest == entry.descriptor.digest);
            if let Some(same) = same {
                entry.nested.clone_from(&same.nested);
                entry.platform.clone_from(&same.platform);
            }
        }
    }

    /// Returns the texts of the descriptors that stay if those matching `is_gone` are removed. A nested index is kept
    /// whole, unless something in it is removed. Then its remaining descriptors move up.
    pub fn staying(&self, is_gone: &dyn Fn(&PublishedManifest) -> bool) -> Vec<String> {
        let mut staying = Vec::new();
        self.entries.iter().for_each(|entry| entry.collect_staying(is_gone, &mut staying));
        staying
    }
}

impl PublishedManifest {
    pub fn is_image(&self) -> bool {
        let is_known = self.platform.as_ref().is_some_and(|platform| !platform.is_unknown());
        is_known && !self.descriptor.is_attestation()
    }

    /// Returns the digest of the manifest that this one attests.
    pub fn attests(&self) -> Option<&str> {
        self.descriptor.annotations.get("vnd.docker.reference.digest").map(String::as_str)
    }

    pub fn is_index(&self) -> bool {
        matches!(self.descriptor.media_type.as_str(), OCI_INDEX | DOCKER_LIST)
    }

    fn collect_leaves<'a>(&'a self, found: &mut Vec<&'a PublishedManifest>) {
        match self.nested.is_empty() {
            true => found.push(self),
            false => self.nested.iter().for_each(|entry| entry.collect_leaves(found)),
        }
    }

    fn collect_staying(&self, is_gone: &dyn Fn(&PublishedManifest) -> bool, staying: &mut Vec<String>) {
        let mut leaves = Vec::new();
        self.collect_leaves(&mut leaves);
        match leaves.into_iter().any(is_gone) {
            false => staying.push(self.raw.clone()),
            true => self.nested.iter().for_each(|entry| entry.collect_staying(is_gone, staying)),
        }
    }
}

impl IndexText {
    /// Composes the index `before` with these descriptors instead of its own, or a new index.
    pub fn compose(before: Option<&Published>, descriptors: &[String]) -> IndexText {
        let default = || vec![("schemaVersion".to_string(), "2".to_string())];
        let mut members =
            before.map(|before| before.members.clone()).filter(|all| !all.is_empty()).unwrap_or_else(default);
        let old_type = members.iter().find(|(name, _)| name == MEDIA_TYPE).map(|(_, text)| text.clone());
        // Old engines refuse a Docker list of OCI manifests, but accept an OCI index of Docker manifests.
        let is_docker = |raw: &String| {
            let descriptor: Value = serde_json::from_str(raw).unwrap_or_default();
            descriptor[MEDIA_TYPE] == DOCKER_MANIFEST
        };
        let was_docker = old_type.as_deref() == Some(quoted(DOCKER_LIST).as_str());
        let media_type = if was_docker && descriptors.iter().all(is_docker) { DOCKER_LIST } else { OCI_INDEX };
        match members.iter_mut().find(|(name, _)| name == MEDIA_TYPE) {
            Some((_, text)) => *text = quoted(media_type),
            None => members.insert(usize::from(!members.is_empty()), (MEDIA_TYPE.to_string(), quoted(media_type))),
        }
        if !members.iter().any(|(name, _)| name == MANIFESTS) {
            members.push((MANIFESTS.to_string(), String::new()));
        }
        let member = |(name, text): &(String, String)| match name == MANIFESTS {
            true => format!("{}:[{}]", quoted(name), descriptors.join(",")),
            false => format!("{}:{text}", quoted(name)),
        };
        let text = format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","));
        IndexText { media_type: media_type.to_string(), bytes: text.into_bytes() }
    }
}

/// Returns the JSON text of a descriptor, with its platform if known.
pub fn descriptor_text(descriptor: &Descriptor, platform: Option<&Platform>) -> String {
    let mut value = serde_json::json!({
        MEDIA_TYPE: descriptor.media_type, "digest": descriptor.digest.as_str(), "size": descriptor.size,
    });
    if let Some(platform) = platform {
        value["platform"] = serde_json::json!({"architecture": platform.architecture, "os": platform.os});
        for (name, field) in [("variant", &platform.variant), ("os.version", &platform.os_version)] {
            if let Some(field) = field {
                value["platform"][name] = Value::from(field.as_str());
            }
        }
    }
    value.to_string()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A position in JSON text. Returns the text of each value, which serde_json cannot without `raw_value`.
struct JsonText<'a> {
    text: &'a str,
}

impl<'a> JsonText<'a> {
    /// Returns the members of an object, in order.
    fn members(text: &'a str) -> Result<Vec<(String, &'a str)>, serde_json::Error> {
        let mut json = JsonText { text };
        let mut members = Vec::new();
        json.skip('{');
        while !json.skip('}') {
            let name = serde_json::from_str(json.value()?)?;
            json.skip(':');
            members.push((name, json.value()?));
            json.skip(',');
        }
        Ok(members)
    }

    /// Returns the elements of an array; none for `null`.
    fn elements(text: &'a str) -> Result<Vec<&'a str>, serde_json::Error> {
        let mut json = JsonText { text };
        let mut elements = Vec::new();
        if !json.skip('[') {
            return Ok(elements);
        }
        while !json.skip(']') {
            elements.push(json.value()?);
            json.skip(',');
        }
        Ok(elements)
    }

    fn blank(&mut self) {
        self.text = self.text.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn skip(&mut self, wanted: char) -> bool {
        self.blank();
        let rest = self.text.strip_prefix(wanted);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    /// Returns the next value. Fails at the end of the text, or if it is not JSON.
    fn value(&mut self) -> Result<&'a str, serde_json::Error> {
        self.blank();
        let mut values = serde_json::Deserializer::from_str(self.text).into_iter::<IgnoredAny>();
        match values.next() {
            Some(value) => value?,
            None => return Err(serde_json::Error::custom("unexpected end of text, expected a value")),
        };
        let (value, rest) = self.text.split_at(values.byte_offset());
        self.text = rest;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{ "schemaVersion": 2,
      "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
      "manifests": [ {"mediaType":"application/vnd.docker.distribution.manifest.v2+json", "digest" : "D1", "size":7,
        "urls":["https://x/\"y\\"], "artifactType":"a/b", "data":"e30=", "new":1e2,
        "platform":{"os":"linux","architecture":"amd64","features":["sse4"]}},
        {"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"D2","size":7,"platform":{"os":"linux","architecture":"arm64"}} ],
      "subject": {"digest":"D1","size":1,"mediaType":"m"}, "annotations": {"a":"\u00e9"} , "x": -1.50 }"#;

    fn digest(of: &str) -> String {
        Digest::from_bytes(of.as_bytes()).to_string()
    }

    fn read(text: &str) -> Published {
        Published::read(&Descriptor::new("i", Digest::from_bytes(text.as_bytes()), 1), text.as_bytes(), None).unwrap()
    }

    fn list() -> String {
        LIST.replace("D1", &digest("1")).replace("D2", &digest("2"))
    }

    #[test]
    fn what_stays_keeps_its_bytes() {
        let published = read(&list());
        let staying = published.staying(&|entry| entry.descriptor.digest.as_str() == digest("2"));
        let first = &list()[list().find("{\"mediaType").unwrap()..list().find(",\n        {\"mediaType\"").unwrap()];
        assert_eq!(staying, [first]);
        let docker = IndexText::compose(Some(&published), &staying);
        let text = String::from_utf8(docker.bytes).unwrap();
        assert_eq!(docker.media_type, DOCKER_LIST);
        let start =
            format!("{{\"schemaVersion\":2,\"mediaType\":\"{DOCKER_LIST}\",\"manifests\":[{first}],\"subject\":{{");
        assert!(text.starts_with(&start), "{text}");
        assert!(text.ends_with(r#""annotations":{"a":"\u00e9"},"x":-1.50}"#), "{text}");
        let oci = r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"d","size":1}"#.to_string();
        let mixed = IndexText::compose(Some(&published), &[staying[0].clone(), oci]);
        assert_eq!(mixed.media_type, OCI_INDEX);
        let value: Value = serde_json::from_slice(&mixed.bytes).unwrap();
        assert_eq!(
            (value["mediaType"].as_str(), value["manifests"].as_array().map(Vec::len)),
            (Some(OCI_INDEX), Some(2))
        );
    }

    #[test]
    fn a_new_index_states_its_media_type() {
        let composed = IndexText::compose(None, &["{}".to_string()]);
        let text = format!("{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[{{}}]}}");
        assert_eq!(String::from_utf8(composed.bytes).unwrap(), text);
        // An index without a media type gets one, because the server's Content-Type is not stored with it.
        let composed = IndexText::compose(Some(&read(r#"{"manifests":null,"schemaVersion":2}"#)), &["{}".to_string()]);
        let text = format!("{{\"manifests\":[{{}}],\"mediaType\":\"{OCI_INDEX}\",\"schemaVersion\":2}}");
        assert_eq!(String::from_utf8(composed.bytes).unwrap(), text);
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let one = format!(r#"{{"digest":"{}","size":1,"mediaType":"m"}}"#, digest("1"));
        let two = one.replace(&digest("1"), &digest("2"));
        let published = read(&format!(r#"{{"manifests":[{one}],"a":1,"manifests":[{two}],"a":2}}"#));
        assert_eq!((published.entries.len(), &published.entries[0].raw), (1, &two));
        let text = String::from_utf8(IndexText::compose(Some(&published), &[two]).bytes).unwrap();
        assert_eq!(
            (text.matches("manifests").count(), text.matches("\"a\":2").count(), text.matches("\"a\"").count()),
            (1, 1, 1)
        );
    }

    #[test]
    fn a_nested_index_is_kept_whole_or_its_remaining_entries_move_up() {
        let child = |name: &str, arch: &str| {
            format!(
                r#"{{"mediaType":"m","digest":"{}","size":1,"platform":{{"os":"linux","architecture":"{arch}"}}}}"#,
                digest(name)
            )
        };
        let (amd64, arm64) = (child("1", "amd64"), child("2", "arm64"));
        let nested = format!(r#"{{"mediaType":"{OCI_INDEX}","digest":"{}","size":1}}"#, digest("n"));
        let mut published = read(&format!(r#"{{"schemaVersion":2,"manifests":[{nested}]}}"#));
        assert!(published.entries[0].is_index());
        published.entries[0].nested = read(&format!(r#"{{"manifests":[{amd64},{arm64}]}}"#)).entries;
        assert_eq!(published.leaves().len(), 2);
        assert_eq!(published.staying(&|_| false), [nested]);
        assert_eq!(published.staying(&|entry| entry.descriptor.digest.as_str() == digest("2")), [amd64]);
    }

    #[test]
    fn text_that_is_not_json_is_an_error_and_not_an_endless_loop() {
        for text in ["{", "{\"a\"", "{\"a\":", "{\"a\":1", "{1:2", "{]"] {
            assert!(JsonText::members(text).is_err(), "{text}");
        }
        assert!(JsonText::elements("[1,2").is_err());
    }
}
