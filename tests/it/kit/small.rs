//! A small image in code: one layer, a program, a platform and an entrypoint. For tests of reports.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use imgarch::oci::Digest;
use serde_json::{Value, json};

/// An image of one platform.
pub struct Small {
    pub architecture: &'static str,
    /// Empty for none.
    pub entrypoint: &'static str,
    /// Path, mode and content of each file, lowest layer first.
    pub files: Vec<(String, u32, Vec<u8>)>,
    pub created_by: &'static str,
}

impl Small {
    /// An image for `architecture` that starts `program` as /app.
    pub fn new(architecture: &'static str, program: Vec<u8>) -> Small {
        let files = vec![("app".to_string(), 0o755, program)];
        Small { architecture, entrypoint: "/app", files, created_by: "COPY bin/app /app # buildkit" }
    }

    pub fn file(mut self, path: &str, mode: u32, content: Vec<u8>) -> Small {
        self.files.push((path.to_string(), mode, content));
        self
    }

    /// Its only layer, as a tar.
    pub fn layer(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, mode, content) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(*mode);
            header.set_size(content.len() as u64);
            // `append_data` would normalise the name, and hostile names must be kept.
            builder.append_data(&mut header, path, content.as_slice()).unwrap();
        }
        builder.into_inner().unwrap()
    }
}

/// Writes images as one index to an OCI layout.
pub fn write_layout(directory: &Path, images: &[Small]) {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = Digest::from_bytes(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.as_str(), "size": bytes.len()})
    };
    let mut manifests: Vec<Value> = Vec::new();
    for image in images {
        let layer = image.layer();
        let entrypoint: Vec<&str> = [image.entrypoint].into_iter().filter(|word| !word.is_empty()).collect();
        let config = json!({
            "architecture": image.architecture, "os": "linux",
            "config": {"Entrypoint": entrypoint},
            "rootfs": {"type": "layers", "diff_ids": [Digest::from_bytes(&layer).as_str()]},
            "history": [{"created_by": image.created_by}],
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()),
            "layers": [put("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        let mut entry = put("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
        entry["platform"] = json!({"os": "linux", "architecture": image.architecture});
        manifests.push(entry);
    }
    let index_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": index_type, "manifests": manifests});
    let mut entry = put(index_type, index.to_string().as_bytes());
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    let top = json!({"schemaVersion": 2, "mediaType": index_type, "manifests": [entry]});
    fs::write(directory.join("index.json"), top.to_string()).unwrap();
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// Runs the built binary in `directory`, with only `env` as its environment.
pub fn imgarch(directory: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
    command.args(args).current_dir(directory).env_clear().env("HOME", directory).env("PATH", "/usr/bin:/bin");
    command.envs(env.iter().copied()).output().unwrap()
}

/// Stdout and the exit code.
pub fn said(output: &Output) -> (String, i32) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap())
}
