//! Writes layers with a table of contents, as the two formats define it.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::TocFormat;
use crate::image::Layer;
use crate::image::testing::{Memory, TestMember, header, padded};
use crate::oci::Digest;

/// A layer under construction.
pub(crate) struct Written {
    pub blob: Vec<u8>,
    pub tar: Vec<u8>,
    pub entries: Vec<Value>,
    format: TocFormat,
}

impl Written {
    /// Writes members, whose content is split into chunks of `chunk` bytes.
    pub fn new(format: TocFormat, members: &[TestMember<'_>], chunk: usize) -> Written {
        let mut written = Written { blob: Vec::new(), tar: Vec::new(), entries: Vec::new(), format };
        for (tag, name, link, content) in members {
            written.compressed(&header(*tag, name, link, content.len() as u64));
            let name = String::from_utf8(name.to_vec()).unwrap();
            let kind = match tag {
                b'5' => "dir",
                b'2' => "symlink",
                b'1' => "hardlink",
                _ => "reg",
            };
            let mut entry = json!({"name": name, "type": kind, "mode": 0o755, "size": content.len(),
                "linkName": String::from_utf8_lossy(link), "offset": written.blob.len(), "digest": Digest::from_bytes(content)});
            let first = written.entries.len();
            for (at, part) in content.chunks(chunk).enumerate() {
                let start = written.blob.len();
                written.compressed(part);
                if at > 0 {
                    entry = json!({"name": name, "type": "chunk", "chunkOffset": at * chunk, "offset": start});
                }
                entry["chunkDigest"] = json!(Digest::from_bytes(part));
                if content.len() > (at + 1) * chunk {
                    entry["chunkSize"] = json!(part.len());
                }
                written.entries.push(entry.clone());
            }
            if content.is_empty() {
                written.entries.push(entry);
            }
            if format == TocFormat::ZstdChunked && !content.is_empty() {
                written.entries[first]["endOffset"] = json!(written.blob.len());
            }
            let padding = padded(content).split_off(content.len());
            if !padding.is_empty() {
                written.compressed(&padding);
            }
        }
        written
    }

    fn compressed(&mut self, bytes: &[u8]) {
        self.tar.extend(bytes);
        match self.format {
            TocFormat::EStargz => {
                let mut encoder = flate2::write::GzEncoder::new(&mut self.blob, flate2::Compression::default());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap();
            }
            TocFormat::ZstdChunked => self.blob.extend(zstd::encode_all(bytes, 3).unwrap()),
            TocFormat::Soci => unreachable!("its table is in another blob"),
        }
    }

    /// Sets the capabilities of the entry at `at`.
    pub fn capable(mut self, at: usize, value: &[u8]) -> Written {
        self.entries[at]["xattrs"] = json!({"security.capability": STANDARD.encode(value)});
        self
    }

    /// Ends the layer with its table, and adds it to `memory`.
    pub fn add_to(mut self, memory: &mut Memory) -> Layer {
        let toc = serde_json::to_vec(&json!({"version": 1, "entries": self.entries})).unwrap();
        let mut annotations = Vec::new();
        match self.format {
            TocFormat::EStargz => {
                let at = self.blob.len();
                let mut end = header(b'0', b"stargz.index.json", b"", toc.len() as u64).to_vec();
                end.extend(padded(&toc));
                end.extend([0; 1024]);
                self.compressed(&end);
                self.blob.extend(b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\0");
                self.blob.extend(format!("{at:016x}STARGZ").bytes());
                self.blob.extend(b"\x01\0\0\xff\xff\0\0\0\0\0\0\0\0");
                annotations.push((super::json::ESTARGZ_DIGEST, Digest::from_bytes(&toc).to_string()));
            }
            TocFormat::ZstdChunked => {
                self.compressed(&[0; 1024]);
                let stored = zstd::encode_all(&*toc, 3).unwrap();
                self.blob.extend(b"\x50\x2a\x4d\x18");
                self.blob.extend((stored.len() as u32).to_le_bytes());
                let position = format!("{}:{}:{}:1", self.blob.len(), stored.len(), toc.len());
                annotations.push((super::json::ZSTD_DIGEST[0], Digest::from_bytes(&stored).to_string()));
                annotations.push((super::json::ZSTD_POSITION[0], position));
                self.blob.extend(stored);
            }
            TocFormat::Soci => unreachable!("its table is in another blob"),
        }
        let mut layer = memory.add_layer(0, &self.tar, self.blob);
        layer.descriptor.annotations.extend(annotations.into_iter().map(|(key, value)| (key.to_string(), value)));
        layer
    }
}
