//! Signatures and other artifacts of the old digest are named, with the commands that make them again.

use serde_json::{Value, json};

use super::site::{Site, digest_of};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[test]
fn signatures_of_the_old_digests_are_named_with_commands() {
    let Some(site) = Site::new("signatures_of_the_old_digests_are_named_with_commands") else { return };
    let image = site.publish_fault("signed:v1");
    let before = site.index(&image);
    let (index, arm64) = (digest(&site, &image), digest_of(&before, "arm64").to_string());
    // cosign signs the index, under a tag. Another tool attaches a file to the arm64 manifest, as a referrer. The
    // registry has no list of referrers, so that tool keeps it under a tag.
    let manifest = site.docker(&["buildx", "imagetools", "inspect", "--raw", &format!("{image}@{arm64}")]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let artifact = |artifact_type: &str, subject: Option<&str>| {
        let subject = subject.map(|digest| json!({"mediaType": MANIFEST, "digest": digest, "size": 1}));
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type, "config": manifest["config"],
            "layers": [], "subject": subject})
        .to_string()
    };
    site.put("signed", &format!("{}.sig", index.replace(':', "-")), MANIFEST, &artifact("a/b", None));
    let notation = "application/vnd.cncf.notary.signature";
    let signature = artifact(notation, Some(&arm64));
    let name = imgarch::oci::Digest::from_bytes(signature.as_bytes()).to_string();
    site.put("signed", &name, MANIFEST, &signature);
    let descriptor = json!({"mediaType": MANIFEST, "digest": name, "size": signature.len(), "artifactType": notation});
    let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]}).to_string();
    site.put("signed", &arm64.replace(':', "-"), INDEX, &list);

    let named = ["cosign signature of ", &format!("notation signature of {}", &arm64[..19]), &name];
    let plan = site.imgarch(&["rebuild", &image, "--dry-run"], None);
    plan.check(0, &named);
    plan.check(0, &[&format!("cosign sign {image}"), &format!("notation sign {image}")]);
    let done = site.imgarch(&["rebuild", &image, "--yes"], None);
    let after = site.index(&image);
    let repository = image.trim_end_matches(":v1");
    done.check(0, &named);
    done.check(
        0,
        &[
            &format!("cosign sign {repository}@{}", digest(&site, &image)),
            &format!("notation sign {repository}@{}", digest_of(&after, "arm64")),
        ],
    );
}

/// The digest of the index that a tag points to.
fn digest(site: &Site, image: &str) -> String {
    let manifest = site.docker(&["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", image]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    manifest["digest"].as_str().unwrap().to_string()
}
