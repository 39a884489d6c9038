//! Signatures, attestations and SBOMs of a digest. They refer to the old digest and must be made again for the new one.
//! This module lists them and the commands for that.

use serde_json::Value;

use super::docker::CommandLine;
use crate::oci::{Digest, Reference};

/// An artifact in the registry that refers to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    pub kind: SealKind,
    /// Its digest or its tag.
    pub name: String,
    /// The manifest that it refers to.
    pub subject: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealKind {
    CosignSignature,
    CosignAttestation,
    CosignSbom,
    /// A signature or an attestation as a Sigstore bundle.
    SigstoreBundle,
    NotationSignature,
    /// A statement from `imgarch scan --attest-push`.
    Verdict,
    /// Any other artifact, with its type and the files that `oras` attached.
    Artifact {
        artifact_type: String,
        files: Vec<AttachedFile>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedFile {
    pub name: String,
    pub media_type: String,
}

/// Returns the tags that cosign uses for a digest. Source: sigstore/cosign, pkg/oci/remote, `SignatureTag`.
pub fn cosign_tags(digest: &Digest) -> [(SealKind, String); 3] {
    let tag = |end: &str| format!("{}-{}.{end}", digest.algorithm(), digest.hex());
    [
        (SealKind::CosignSignature, tag("sig")),
        (SealKind::CosignAttestation, tag("att")),
        (SealKind::CosignSbom, tag("sbom")),
    ]
}

/// Returns the kind of a referrer from its manifest. `verdict_type` is the predicate type of imgarch's statements.
pub fn kind_of(manifest: &[u8], verdict_type: &str) -> SealKind {
    let value: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let config = value["config"]["mediaType"].as_str();
    let artifact_type = value["artifactType"].as_str().filter(|text| !text.is_empty()).or(config).unwrap_or("unknown");
    if value["annotations"]["in-toto.io/predicate-type"] == verdict_type {
        return SealKind::Verdict;
    }
    match artifact_type {
        "application/vnd.dev.cosign.artifact.sig.v1+json" => return SealKind::CosignSignature,
        "application/vnd.cncf.notary.signature" => return SealKind::NotationSignature,
        other if other.starts_with("application/vnd.dev.sigstore.bundle") => return SealKind::SigstoreBundle,
        _ => {}
    }
    let layers = value["layers"].as_array().map_or(&[][..], Vec::as_slice);
    let file = |layer: &Value| {
        let name = layer["annotations"]["org.opencontainers.image.title"].as_str()?.to_string();
        Some(AttachedFile { name, media_type: layer["mediaType"].as_str()?.to_string() })
    };
    let files = layers.iter().filter_map(file).collect();
    SealKind::Artifact { artifact_type: artifact_type.to_string(), files }
}

impl Seal {
    /// A short description of the artifact.
    pub fn label(&self) -> String {
        match &self.kind {
            SealKind::CosignSignature => "cosign signature".to_string(),
            SealKind::CosignAttestation => "cosign attestation".to_string(),
            SealKind::CosignSbom => "cosign SBOM".to_string(),
            SealKind::SigstoreBundle => "Sigstore bundle".to_string(),
            SealKind::NotationSignature => "notation signature".to_string(),
            SealKind::Verdict => "verdict of imgarch".to_string(),
            SealKind::Artifact { artifact_type, .. } => artifact_type.clone(),
        }
    }

    /// Returns the commands that make the artifact again for the image `successor`. Empty if only the original tool can
    /// do that: the content of an SBOM or a provenance does not apply to the new image.
    pub fn commands(&self, repository: &Reference, successor: &str) -> Vec<CommandLine> {
        match &self.kind {
            SealKind::CosignSignature | SealKind::SigstoreBundle => {
                vec![CommandLine::new(["cosign", "sign", successor])]
            }
            SealKind::NotationSignature => vec![CommandLine::new(["notation", "sign", successor])],
            SealKind::Verdict => vec![CommandLine::new(["imgarch", "scan", "--attest-push", successor])],
            SealKind::CosignAttestation | SealKind::CosignSbom => Vec::new(),
            SealKind::Artifact { files, .. } if files.is_empty() => Vec::new(),
            SealKind::Artifact { artifact_type, files } => {
                let from = format!("{}@{}", full_name(repository), self.name);
                let named = files.iter().map(|file| format!("{}:{}", file.name, file.media_type));
                let attach = ["oras", "attach", "--artifact-type", artifact_type, successor].map(str::to_string);
                vec![CommandLine::new(["oras", "pull", &from]), CommandLine::new(attach.into_iter().chain(named))]
            }
        }
    }
}

/// Returns the full name of the repository, because oras does not support short names.
fn full_name(reference: &Reference) -> String {
    format!("{}/{}", reference.registry, reference.repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERDICT: &str = "https://example.com/verdict/v1";

    fn check(manifest: Value, label: &str, commands: &[&str]) {
        let kind = kind_of(manifest.to_string().as_bytes(), VERDICT);
        let subject = Digest::from_bytes(b"old");
        let seal = Seal { kind, name: Digest::from_bytes(b"artifact").to_string(), subject };
        let repository = Reference::parse("user/app:v1").unwrap();
        let made: Vec<String> =
            seal.commands(&repository, "docker.io/user/app@sha256:new").iter().map(ToString::to_string).collect();
        assert_eq!(seal.label(), label);
        assert_eq!(made, commands);
    }

    #[test]
    fn each_kind_has_the_command_to_make_it_again() {
        let typed = |text: &str| serde_json::json!({"artifactType": text, "layers": []});
        let sign = ["cosign sign docker.io/user/app@sha256:new"];
        check(typed("application/vnd.dev.cosign.artifact.sig.v1+json"), "cosign signature", &sign);
        check(typed("application/vnd.dev.sigstore.bundle.v0.3+json"), "Sigstore bundle", &sign);
        check(
            typed("application/vnd.cncf.notary.signature"),
            "notation signature",
            &["notation sign docker.io/user/app@sha256:new"],
        );
        let own = serde_json::json!({"artifactType": "application/vnd.in-toto+json",
            "annotations": {"in-toto.io/predicate-type": VERDICT}});
        check(own, "verdict of imgarch", &["imgarch scan --attest-push docker.io/user/app@sha256:new"]);
        check(serde_json::json!({"config": {"mediaType": "a/b"}}), "a/b", &[]);
        let sbom = serde_json::json!({"artifactType": "application/spdx+json", "layers": [
            {"mediaType": "application/spdx+json", "annotations": {"org.opencontainers.image.title": "it's.json"}}]});
        let pull = format!("oras pull docker.io/user/app@{}", Digest::from_bytes(b"artifact"));
        let attach = "oras attach --artifact-type application/spdx+json docker.io/user/app@sha256:new 'it'\\''s.json:application/spdx+json'";
        check(sbom, "application/spdx+json", &[&pull, attach]);
    }

    #[test]
    fn cosign_stores_signatures_under_tags() {
        let digest = Digest::from_bytes(b"x");
        let tags = cosign_tags(&digest).map(|(_, tag)| tag);
        assert_eq!(tags, ["sig", "att", "sbom"].map(|end| format!("sha256-{}.{end}", digest.hex())));
    }
}
