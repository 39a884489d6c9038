//! A tree as an OCI layout: its files in one layer and a fault in the next, as if added by a Dockerfile's last COPY.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::expected::Tree;
use super::faults::{self, Fault, Put};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub struct Image<'a> {
    tree: &'a Tree,
    root: &'a Path,
    layout: PathBuf,
    base: Value,
}

impl<'a> Image<'a> {
    /// Packs the tree at `root` into a layout next to it.
    pub fn pack(tree: &'a Tree, root: &'a Path) -> Image<'a> {
        let layout = root.with_extension("layout");
        let _ = fs::remove_dir_all(&layout);
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        let tar = layout.join("base.tar");
        let packed =
            Command::new("tar").arg("--numeric-owner").arg("-C").arg(root).arg("-cf").arg(&tar).arg(".").status();
        assert!(packed.unwrap().success(), "{}: tar", tree.name);
        let sum = Command::new("sha256sum").arg(&tar).output().unwrap().stdout;
        let hex = String::from_utf8(sum[..64].to_vec()).unwrap();
        let size = fs::metadata(&tar).unwrap().len();
        fs::rename(&tar, layout.join("blobs/sha256").join(&hex)).unwrap();
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
        Image { tree, root, layout, base: json!({"mediaType": LAYER, "digest": format!("sha256:{hex}"), "size": size}) }
    }

    /// The path of the layout after writing the healthy image to it, or the image with one fault.
    pub fn with(&self, fault: Option<&Fault>) -> &Path {
        let own = [self.tree.entrypoint];
        let mut run = match fault {
            Some(fault) if !fault.entrypoint.is_empty() => json!({"Entrypoint": fault.entrypoint}),
            _ => json!({"Entrypoint": own, "Cmd": self.tree.cmd}),
        };
        if let Some(test) = fault.map(|fault| fault.healthcheck).filter(|test| !test.is_empty()) {
            run["Healthcheck"] = json!({"Test": test});
        }
        let puts: Option<Vec<&Put>> = fault.map(|fault| fault.puts.iter().collect());
        self.write(puts.as_deref(), run)
    }

    /// The path of the layout after writing the image with these files and this call to it.
    pub fn with_call(&self, puts: &[&Put], call: &[&str]) -> &Path {
        self.write(Some(puts), json!({"Entrypoint": call}))
    }

    /// The path of the layout after writing the image with these files and this part of its config to it.
    pub fn with_config(&self, puts: &[&Put], config: Value) -> &Path {
        self.write(Some(puts), config)
    }

    fn write(&self, puts: Option<&[&Put]>, mut run: Value) -> &Path {
        let mut layers = vec![self.base.clone()];
        let mut history = vec![json!({"created_by": "/bin/sh -c #(nop) ADD file:0 in / "})];
        if let Some(puts) = puts {
            layers.push(self.blob(LAYER, &self.layer(puts)));
            history.push(json!({"created_by": "COPY fault / # buildkit"}));
        }
        let mut env = vec![json!("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")];
        env.extend(run["Env"].as_array().into_iter().flatten().cloned());
        run["Env"] = Value::Array(env);
        let mut words = self.tree.target.split('/');
        let (os, architecture, variant) = (words.next(), words.next(), words.next());
        let platform = json!({"os": os, "architecture": architecture, "variant": variant.unwrap_or_default()});
        let config = json!({
            "os": os, "architecture": architecture, "variant": variant.unwrap_or_default(), "config": run,
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| &layer["digest"]).collect::<Vec<_>>()},
            "history": history,
        });
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let mut entry = self.blob(MANIFEST, manifest.to_string().as_bytes());
        entry["platform"] = platform;
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        fs::write(self.layout.join("index.json"), index.to_string()).unwrap();
        &self.layout
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(self.layout.join("blobs/sha256").join(&hex), bytes).unwrap();
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
    }

    fn layer(&self, puts: &[&Put]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for put in puts {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o755);
            match put {
                Put::File(path, mode, _) => {
                    let bytes = faults::content(self.root, self.tree, put);
                    header.set_mode(*mode);
                    header.set_size(bytes.len() as u64);
                    builder.append_data(&mut header, path, bytes.as_slice()).unwrap();
                }
                Put::Link(path, target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    builder.append_link(&mut header, path, target).unwrap();
                }
                Put::Gone(path) => {
                    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
                    header.set_size(0);
                    builder.append_data(&mut header, format!("{directory}/.wh.{name}"), std::io::empty()).unwrap();
                }
            }
        }
        builder.into_inner().unwrap()
    }
}
