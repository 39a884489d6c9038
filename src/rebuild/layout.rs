//! Joins the OCI layouts of single platforms into one, for `imgarch rebuild --output`. Source: image-spec,
//! image-layout.md.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::files;
use crate::oci::Digest;

/// The maximum size of a document, in bytes. The `index.json` that a builder writes has a few hundred.
const INDEX_LIMIT: u64 = 1 << 20;
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// Creates the layout `into` from the layouts in `directories`: one index, tagged `tag`, of all their manifests.
pub fn join(directories: &[&Path], into: &Path, tag: &str) -> Result<(), String> {
    let blobs = into.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(|error| failed(&blobs, &error))?;
    let mut manifests: Vec<Value> = Vec::new();
    for directory in directories {
        let from = directory.join("blobs/sha256");
        for entry in fs::read_dir(&from).map_err(|error| failed(&from, &error))? {
            let entry = entry.map_err(|error| failed(&from, &error))?;
            let to = blobs.join(entry.file_name());
            fs::copy(entry.path(), &to).map_err(|error| failed(&to, &error))?;
        }
        let index = read(&directory.join("index.json"))?;
        for root in index["manifests"].as_array().into_iter().flatten() {
            manifests.extend(below(root, &from)?);
        }
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}).to_string();
    let digest = Digest::from_bytes(index.as_bytes());
    write(&blobs.join(digest.hex()), &index)?;
    let root = json!({"mediaType": INDEX_TYPE, "digest": digest.as_str(), "size": index.len(),
        "annotations": {"org.opencontainers.image.ref.name": tag}});
    write(&into.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    write(
        &into.join("index.json"),
        &json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [root]}).to_string(),
    )
}

/// Returns the manifests below a root: those of an index, or the single manifest with the platform of its config.
fn below(root: &Value, blobs: &Path) -> Result<Vec<Value>, String> {
    let blob = |descriptor: &Value| {
        let digest: Digest = descriptor["digest"].as_str().unwrap_or("").parse().map_err(|error| format!("{error}"))?;
        read(&blobs.join(digest.hex()))
    };
    let document: Value = blob(root)?;
    if let Some(manifests) = document["manifests"].as_array() {
        return Ok(manifests.clone());
    }
    let config = blob(&document["config"])?;
    let mut platform = json!({"os": config["os"], "architecture": config["architecture"]});
    if !config["variant"].is_null() {
        platform["variant"] = config["variant"].clone();
    }
    Ok(vec![
        json!({"mediaType": root["mediaType"], "digest": root["digest"], "size": root["size"], "platform": platform}),
    ])
}

fn read(path: &Path) -> Result<Value, String> {
    let bytes = files::read_regular(path, INDEX_LIMIT).map_err(|error| failed(path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
