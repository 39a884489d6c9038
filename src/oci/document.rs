//! Index, manifest and config. The types of oci-spec read them. This module fills its gaps (`os.version` of an index,
//! nulls in place of lists, configs without an architecture), because broken images must be readable too.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{DiffId, Digest};
use crate::platform::Platform;

/// A reference to content by digest, size and type. Source: OCI image-spec, descriptor.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    /// Size in bytes as stored.
    pub size: u64,
    pub platform: Option<Platform>,
    /// The type of an artifact's manifest, in an index or a list of referrers.
    pub artifact_type: Option<String>,
    pub annotations: BTreeMap<String, String>,
    /// Download locations of a foreign layer. Requests to them never carry credentials.
    pub urls: Vec<String>,
}

/// The content of a manifest URL or an `index.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "few exist, and none for long")]
pub enum Document {
    Index(Index),
    Manifest(Manifest),
}

/// Source: OCI image-spec, image-index.md; Docker's manifest list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub manifests: Vec<Descriptor>,
    pub annotations: BTreeMap<String, String>,
}

/// Source: OCI image-spec, manifest.md; Docker's schema 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub config: Descriptor,
    /// The lowest layer comes first.
    pub layers: Vec<Descriptor>,
    pub annotations: BTreeMap<String, String>,
    pub artifact_type: Option<String>,
    /// Digest of the manifest that this one refers to, for referrers such as signatures and SBOMs.
    pub subject: Option<Digest>,
}

/// Error: the bytes are not the expected document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("{}", describe_fault(.0))]
    Json(#[from] serde_json::Error),
    #[error("neither an index nor a manifest: both \"manifests\" and \"config\" are missing")]
    Neither,
    #[error("both an index and a manifest: \"manifests\" and \"layers\" are both present")]
    Both,
    #[error("a Docker schema 1 manifest, which current engines do not support; rebuild and push the image")]
    Schema1,
    #[error("{0}")]
    Spec(String),
}

/// Distinguishes JSON with an unexpected structure from text that is not JSON.
fn describe_fault(error: &serde_json::Error) -> String {
    format!("{}: {error}", if error.is_data() { "unexpected JSON" } else { "not JSON" })
}

/// BuildKit's annotation on the descriptor of an attestation manifest.
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

impl Descriptor {
    /// Creates a descriptor without a platform, annotations or URLs.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.to_string(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
            urls: Vec::new(),
        }
    }

    /// Attestations are recognised by their annotation, not by the platform `unknown/unknown` alone.
    pub fn is_attestation(&self) -> bool {
        self.annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == "attestation-manifest")
    }

    /// Whether the registry may lack this layer: Windows base layers, which have `urls`.
    pub fn is_foreign_layer(&self) -> bool {
        self.media_type.contains("nondistributable") || self.media_type.contains(".foreign.")
    }

    /// Whether the layer is encrypted with ocicrypt, so that only the holder of the key can read it.
    pub fn is_encrypted(&self) -> bool {
        self.media_type.ends_with("+encrypted")
    }
}

impl Document {
    /// Distinguishes an index from a manifest by content, because a server's media type may be wrong.
    pub fn parse(bytes: &[u8]) -> Result<Document, DocumentError> {
        let mut value: Value = serde_json::from_slice(bytes)?;
        if value.get("schemaVersion") == Some(&Value::from(1)) {
            return Err(DocumentError::Schema1);
        }
        // oci-spec requires this field, container engines do not.
        if value.is_object() && value.get("schemaVersion").is_none() {
            value["schemaVersion"] = Value::from(2);
        }
        // containerd refuses such documents too, because readers could disagree on whether it is an index or a
        // manifest. CVE-2021-41190.
        if value.get("manifests").is_some() && value.get("layers").is_some() {
            return Err(DocumentError::Both);
        }
        if value.get("manifests").is_some() {
            return Ok(Document::Index(read_index(value)?));
        }
        if value.get("config").is_some() {
            fill_null(&mut value, "layers");
            return Ok(Document::Manifest(read_manifest(value)?));
        }
        Err(DocumentError::Neither)
    }
}

fn fill_null(value: &mut Value, key: &str) {
    if value.get(key).is_none_or(Value::is_null) {
        value[key] = Value::Array(Vec::new());
    }
}

fn read_index(mut value: Value) -> Result<Index, DocumentError> {
    fill_null(&mut value, "manifests");
    let os_versions: Vec<Option<String>> = value["manifests"]
        .as_array()
        .map(|all| all.iter().map(|one| one["platform"]["os.version"].as_str().map(str::to_string)).collect())
        .unwrap_or_default();
    let index: oci_spec::image::ImageIndex = from_spec(value)?;
    let mut manifests = index.manifests().iter().map(read_descriptor).collect::<Result<Vec<_>, _>>()?;
    // oci-spec 0.10 drops the os.version of an index entry.
    for (descriptor, os_version) in manifests.iter_mut().zip(os_versions) {
        if let Some(platform) = &mut descriptor.platform {
            platform.os_version = os_version;
        }
    }
    Ok(Index { manifests, annotations: sorted(index.annotations()) })
}

fn read_manifest(value: Value) -> Result<Manifest, DocumentError> {
    let manifest: oci_spec::image::ImageManifest = from_spec(value)?;
    Ok(Manifest {
        config: read_descriptor(manifest.config())?,
        layers: manifest.layers().iter().map(read_descriptor).collect::<Result<_, _>>()?,
        annotations: sorted(manifest.annotations()),
        artifact_type: manifest.artifact_type().as_ref().map(ToString::to_string),
        subject: manifest.subject().as_ref().map(read_descriptor).transpose()?.map(|subject| subject.digest),
    })
}

fn from_spec<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, DocumentError> {
    serde_json::from_value(value).map_err(|error| DocumentError::Spec(error.to_string()))
}

fn read_descriptor(spec: &oci_spec::image::Descriptor) -> Result<Descriptor, DocumentError> {
    let platform = spec.platform().as_ref().map(|platform| {
        Platform::new(&platform.os().to_string(), &platform.architecture().to_string(), platform.variant().as_deref())
    });
    Ok(Descriptor {
        media_type: spec.media_type().to_string(),
        digest: spec
            .digest()
            .to_string()
            .parse()
            .map_err(|e: super::DigestError| DocumentError::Spec(e.to_string()))?,
        size: spec.size(),
        platform,
        artifact_type: spec.artifact_type().as_ref().map(ToString::to_string),
        annotations: sorted(spec.annotations()),
        urls: spec.urls().clone().unwrap_or_default(),
    })
}

fn sorted(annotations: &Option<std::collections::HashMap<String, String>>) -> BTreeMap<String, String> {
    annotations.iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// An image's config: its platform, its start command and the history of its layers. Missing fields are empty. Source:
/// OCI image-spec, config.md.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    #[serde(deserialize_with = "or_default")]
    pub os: String,
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    #[serde(deserialize_with = "or_default")]
    pub variant: String,
    #[serde(rename = "os.version", deserialize_with = "or_default")]
    pub os_version: String,
    #[serde(deserialize_with = "or_default")]
    pub created: String,
    #[serde(rename = "config", deserialize_with = "or_default")]
    pub run: RunConfig,
    #[serde(deserialize_with = "or_default")]
    pub rootfs: RootFsIds,
    #[serde(deserialize_with = "or_default")]
    pub history: Vec<History>,
}

/// The part of the config that a runtime executes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RunConfig {
    #[serde(deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub working_dir: String,
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// The keys are paths of directories.
    #[serde(deserialize_with = "or_default")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "or_default")]
    pub healthcheck: Healthcheck,
    #[serde(deserialize_with = "or_default")]
    pub shell: Vec<String>,
}

/// Docker's HEALTHCHECK: `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", text]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    #[serde(deserialize_with = "or_default")]
    pub test: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RootFsIds {
    #[serde(deserialize_with = "or_default")]
    pub diff_ids: Vec<String>,
}

/// One build step. Steps with `empty_layer` did not create a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct History {
    #[serde(deserialize_with = "or_default")]
    pub created_by: String,
    #[serde(deserialize_with = "or_default")]
    pub comment: String,
    #[serde(deserialize_with = "or_default")]
    pub empty_layer: bool,
}

/// Reads `null` as the empty value, because Go writes nil slices and maps as `null`.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl ImageConfig {
    pub fn parse(bytes: &[u8]) -> Result<ImageConfig, DocumentError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The declared platform. `None` if the config has no architecture.
    pub fn platform(&self) -> Option<Platform> {
        if self.architecture.is_empty() {
            return None;
        }
        let os = if self.os.is_empty() { "linux" } else { &self.os };
        let mut platform = Platform::new(os, &self.architecture, Some(&self.variant));
        platform.os_version = Some(self.os_version.clone()).filter(|version| !version.is_empty());
        Some(platform)
    }

    /// The digests of the uncompressed layers, lowest first. An invalid digest is `None`.
    pub fn diff_ids(&self) -> Vec<Option<DiffId>> {
        self.rootfs.diff_ids.iter().map(|text| text.parse().ok().map(DiffId)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn parse(text: &str) -> Result<Document, DocumentError> {
        Document::parse(text.replace("DIGEST", DIGEST).as_bytes())
    }

    #[test]
    fn an_index_keeps_platform_variant_and_os_version() {
        let text = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"DIGEST","size":7,
            "platform":{"os":"windows","architecture":"amd64","os.version":"10.0.17763.1"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}"#;
        let Ok(Document::Index(index)) = parse(text) else { panic!("not an index") };
        let platform = index.manifests[0].platform.clone().unwrap();
        assert_eq!(
            (platform.to_string().as_str(), platform.os_version.as_deref()),
            ("windows/amd64", Some("10.0.17763.1"))
        );
        assert!(index.manifests[0].is_attestation());
    }

    #[test]
    fn nulls_in_place_of_lists_are_empty_lists() {
        assert_eq!(
            parse(r#"{"manifests":null}"#).unwrap(),
            Document::Index(Index { manifests: vec![], annotations: BTreeMap::new() })
        );
        let config = ImageConfig::parse(
            br#"{"rootfs":{"diff_ids":null},"config":{"Entrypoint":null,"Env":null},"history":null}"#,
        )
        .unwrap();
        assert_eq!(config, ImageConfig::default());
        assert_eq!(config.platform(), None);
    }

    #[test]
    fn invalid_documents_have_distinct_errors() {
        assert!(parse("<html>").unwrap_err().to_string().starts_with("not JSON: "));
        let shape = ImageConfig::parse(br#"{"config":{"Entrypoint":"app"}}"#).unwrap_err();
        assert!(shape.to_string().starts_with("unexpected JSON: "), "{shape}");
        assert!(matches!(parse("{}"), Err(DocumentError::Neither)));
        let both = parse(r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#);
        assert!(matches!(both, Err(DocumentError::Both)));
        assert!(matches!(parse(r#"{"schemaVersion":1,"fsLayers":[]}"#), Err(DocumentError::Schema1)));
        assert!(matches!(
            parse(r#"{"schemaVersion":2,"manifests":[{"digest":"nonsense"}]}"#),
            Err(DocumentError::Spec(_))
        ));
    }

    #[test]
    fn a_config_declares_its_platform_normalised() {
        let config = ImageConfig::parse(br#"{"architecture":"aarch64","os":"linux","variant":"v8"}"#).unwrap();
        assert_eq!(config.platform().unwrap().to_string(), "linux/arm64");
    }
}
