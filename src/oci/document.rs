//! Index, manifest and config: oci-spec's types read them, with its gaps closed (an index's `os.version`, nulls where
//! lists belong, configs without an architecture), because a broken image is what this program is for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{DiffId, Digest};
use crate::platform::Platform;

/// A pointer to content: its digest, size and type. Source: OCI image-spec, descriptor.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    /// Bytes as stored.
    pub size: u64,
    pub platform: Option<Platform>,
    pub annotations: BTreeMap<String, String>,
    /// Where a foreign layer is to be had; never asked with a credential.
    pub urls: Vec<String>,
}

/// What a manifest URL or an `index.json` held.
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
    /// Lowest layer first.
    pub layers: Vec<Descriptor>,
    pub annotations: BTreeMap<String, String>,
    pub artifact_type: Option<String>,
    /// Digest of the manifest that this one refers to (a referrer: signature, SBOM).
    pub subject: Option<Digest>,
}

/// Why bytes are not the document they should be.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("{}", fault_of(.0))]
    Json(#[from] serde_json::Error),
    #[error("neither an index nor a manifest: it has neither \"manifests\" nor \"config\" and \"layers\"")]
    Neither,
    #[error("both an index and a manifest: it has \"manifests\" and \"layers\"")]
    Both,
    #[error("a Docker schema 1 manifest, which no longer runs anywhere; pull and push the image with a current engine")]
    Schema1,
    #[error("{0}")]
    Spec(String),
}

/// Text that is JSON, and not a document's, is told from text that is none.
fn fault_of(error: &serde_json::Error) -> String {
    format!("{}: {error}", if error.is_data() { "JSON of another shape" } else { "not JSON" })
}

/// BuildKit's annotation on a descriptor of an attestation manifest.
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

impl Descriptor {
    /// A descriptor that carries nothing but what names and types the content.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        let (platform, annotations, urls) = (None, BTreeMap::new(), Vec::new());
        Descriptor { media_type: media_type.to_string(), digest, size, platform, annotations, urls }
    }

    /// Attestations are told by their annotation, not by `unknown/unknown` alone.
    pub fn is_attestation(&self) -> bool {
        self.annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == "attestation-manifest")
    }

    /// Layers that a registry need not hold: Windows base layers, with `urls`.
    pub fn is_foreign_layer(&self) -> bool {
        self.media_type.contains("nondistributable") || self.media_type.contains(".foreign.")
    }

    /// Layers under ocicrypt, which only their key's holder can read.
    pub fn is_encrypted(&self) -> bool {
        self.media_type.ends_with("+encrypted")
    }
}

impl Document {
    /// Tells an index from a manifest by its content; the media type of a server may be wrong.
    pub fn parse(bytes: &[u8]) -> Result<Document, DocumentError> {
        let mut value: Value = serde_json::from_slice(bytes)?;
        if value.get("schemaVersion") == Some(&Value::from(1)) {
            return Err(DocumentError::Schema1);
        }
        // Engines do not ask for it, oci-spec does.
        if value.is_object() && value.get("schemaVersion").is_none() {
            value["schemaVersion"] = Value::from(2);
        }
        // containerd refuses these too: one reader would take the index, another the manifest. CVE-2021-41190.
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
    // oci-spec 0.10 drops an index entry's os.version.
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
        annotations: sorted(spec.annotations()),
        urls: spec.urls().clone().unwrap_or_default(),
    })
}

fn sorted(annotations: &Option<std::collections::HashMap<String, String>>) -> BTreeMap<String, String> {
    annotations.iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// An image's config: what it declares, how it starts, and how its layers came to be. Every field may be missing;
/// what is missing is empty. Source: OCI image-spec, config.md.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
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

/// The execution half of a config: what a runtime is told to start.
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

/// One build step. Steps with `empty_layer` made no layer.
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

/// `null` where a value belongs reads as the empty value: Go writes nil slices and maps so.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl Config {
    pub fn parse(bytes: &[u8]) -> Result<Config, DocumentError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// What the config declares; `None` where it names no architecture.
    pub fn platform(&self) -> Option<Platform> {
        if self.architecture.is_empty() {
            return None;
        }
        let os = if self.os.is_empty() { "linux" } else { &self.os };
        let mut platform = Platform::new(os, &self.architecture, Some(&self.variant));
        platform.os_version = Some(self.os_version.clone()).filter(|version| !version.is_empty());
        Some(platform)
    }

    /// The uncompressed layers' digests, lowest first; an entry that is no digest is `None`.
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
        let Ok(Document::Index(index)) = parse(text) else { panic!("no index") };
        let platform = index.manifests[0].platform.clone().unwrap();
        assert_eq!(
            (platform.to_string().as_str(), platform.os_version.as_deref()),
            ("windows/amd64", Some("10.0.17763.1"))
        );
        assert!(index.manifests[0].is_attestation());
    }

    #[test]
    fn nulls_where_lists_belong_are_empty_lists() {
        assert_eq!(
            parse(r#"{"manifests":null}"#).unwrap(),
            Document::Index(Index { manifests: vec![], annotations: BTreeMap::new() })
        );
        let config =
            Config::parse(br#"{"rootfs":{"diff_ids":null},"config":{"Entrypoint":null,"Env":null},"history":null}"#)
                .unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.platform(), None);
    }

    #[test]
    fn what_is_no_document_is_told_apart() {
        assert!(parse("<html>").unwrap_err().to_string().starts_with("not JSON: "));
        let shape = Config::parse(br#"{"config":{"Entrypoint":"app"}}"#).unwrap_err();
        assert!(shape.to_string().starts_with("JSON of another shape: "), "{shape}");
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
        let config = Config::parse(br#"{"architecture":"aarch64","os":"linux","variant":"v8"}"#).unwrap();
        assert_eq!(config.platform().unwrap().to_string(), "linux/arm64");
    }
}
