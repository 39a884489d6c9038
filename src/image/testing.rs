//! Layers and a source built in code, for the tests of this module and of modules that use it.

use std::collections::HashMap;
use std::io::{Cursor, Read, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Compression, Layer};
use crate::oci::{Descriptor, DiffId, Digest};
use crate::source::{ImageSource, SourceError};

/// Blobs by digest.
#[derive(Default)]
pub(crate) struct Memory {
    pub root: Option<Descriptor>,
    pub blobs: HashMap<Digest, Vec<u8>>,
    /// Bytes that were read by [`ImageSource::read_range`]; `None`: ranges are not supported.
    pub ranged: Option<AtomicU64>,
}

impl Memory {
    /// Adds a blob and returns its descriptor.
    pub fn add(&mut self, media_type: &str, bytes: impl Into<Vec<u8>>) -> Descriptor {
        let bytes = bytes.into();
        let descriptor = Descriptor::new(media_type, Digest::from_bytes(&bytes), bytes.len() as u64);
        self.blobs.insert(descriptor.digest.clone(), bytes);
        descriptor
    }

    /// Adds a layer with the bytes `stored` and the diffID of `tar`.
    pub fn add_layer(&mut self, index: usize, tar: &[u8], stored: Vec<u8>) -> Layer {
        let descriptor = self.add("application/vnd.docker.image.rootfs.diff.tar", stored);
        Layer { index, descriptor, diff_id: Some(DiffId(Digest::from_bytes(tar))), ztoc: None }
    }
}

impl ImageSource for Memory {
    fn root(&self) -> Result<Descriptor, SourceError> {
        Ok(self.root.clone().expect("the test sets a root"))
    }

    fn read_range(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<Option<Vec<u8>>, SourceError> {
        let Some(ranged) = &self.ranged else { return Ok(None) };
        ranged.fetch_add(range.end - range.start, Ordering::Relaxed);
        Ok(Some(self.blobs[&descriptor.digest][range.start as usize..range.end as usize].to_vec()))
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        match self.blobs.get(&descriptor.digest) {
            Some(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
            None => {
                Err(SourceError::NotPresent { digest: descriptor.digest.clone(), place: "the test's memory".into() })
            }
        }
    }
}

pub(crate) fn compress(tar: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => tar.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(tar).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(tar, 1).unwrap(),
    }
}

/// A member for [`tar_of`]: tag, name, link target, content.
pub(crate) type TestMember<'a> = (u8, &'a [u8], &'a [u8], &'a [u8]);

pub(crate) fn file<'a>(name: &'a str, content: &'a [u8]) -> TestMember<'a> {
    (b'0', name.as_bytes(), b"", content)
}

/// A ustar header with a name of up to 100 bytes and an arbitrary size.
pub(crate) fn header(tag: u8, name: &[u8], link: &[u8], size: u64) -> [u8; 512] {
    let mut header = tar::Header::new_ustar();
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name);
    old.linkname[..link.len()].copy_from_slice(link);
    header.as_old_mut().linkflag = [tag];
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

/// Data and its padding.
pub(crate) fn padded(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(512), 0);
    data
}

/// A whole tar, end marker included.
pub(crate) fn tar_of(members: &[TestMember<'_>]) -> Vec<u8> {
    let mut tar = open_tar_of(members);
    tar.extend_from_slice(&[0; 1024]);
    tar
}

/// A tar without its end marker.
pub(crate) fn open_tar_of(members: &[TestMember<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (tag, name, link, content) in members {
        tar.extend_from_slice(&header(*tag, name, link, content.len() as u64));
        tar.extend_from_slice(&padded(content));
    }
    tar
}

/// A PAX header for the next member.
pub(crate) fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length =
            (1..).map(|digits| rest + digits).find(|length| rest + length.to_string().len() == *length).unwrap();
        data.extend_from_slice(format!("{length} {key}=").as_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    let mut tar = header(b'x', b"PaxHeaders/x", b"", data.len() as u64).to_vec();
    tar.extend_from_slice(&padded(&data));
    tar
}
