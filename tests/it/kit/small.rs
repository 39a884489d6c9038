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

/// An OCI layout that is being written: blobs first, then the index.
pub struct LayoutWriter<'d>(&'d Path);

impl<'d> LayoutWriter<'d> {
    pub fn new(directory: &'d Path) -> LayoutWriter<'d> {
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        LayoutWriter(directory)
    }

    /// Writes a blob, and returns its descriptor.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::from_bytes(bytes);
        fs::write(self.0.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.as_str(), "size": bytes.len()})
    }

    /// Writes a config of linux/`architecture`. `fields` are its other fields.
    pub fn config(&self, architecture: &str, fields: Value) -> Value {
        let mut config = json!({"architecture": architecture, "os": "linux"});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes())
    }

    /// Writes a manifest. `annotations` may be null.
    pub fn manifest(&self, config: Value, layers: Vec<Value>, annotations: Value) -> Value {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": config, "layers": layers, "annotations": annotations,
        });
        self.put(MANIFEST, manifest.to_string().as_bytes())
    }

    /// Writes the index, which ends the layout.
    pub fn finish(&self, manifests: Vec<Value>) {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        fs::write(self.0.join("index.json"), index.to_string()).unwrap();
        fs::write(self.0.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }
}

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const TAR_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Writes images as one index to an OCI layout.
pub fn write_layout(directory: &Path, images: &[Small]) {
    let layout = LayoutWriter::new(directory);
    let written = images.iter().map(|image| {
        let layer = image.layer();
        let entrypoint: Vec<&str> = [image.entrypoint].into_iter().filter(|word| !word.is_empty()).collect();
        let fields = json!({
            "config": {"Entrypoint": entrypoint},
            "rootfs": {"type": "layers", "diff_ids": [Digest::from_bytes(&layer).as_str()]},
            "history": [{"created_by": image.created_by}],
        });
        let config = layout.config(image.architecture, fields);
        let mut entry = layout.manifest(config, vec![layout.put(TAR, &layer)], Value::Null);
        entry["platform"] = json!({"os": "linux", "architecture": image.architecture});
        entry
    });
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": written.collect::<Vec<_>>()});
    let mut entry = layout.put(INDEX, index.to_string().as_bytes());
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    layout.finish(vec![entry]);
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
