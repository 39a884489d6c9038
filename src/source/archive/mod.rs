//! Image archives: oci-archive, and docker-archive in its old layout (`ID/layer.tar`) and its new one, an OCI layout
//! with a `manifest.json`. Nothing is unpacked. A file is read by position. Of an archive that was read in one pass
//! (standard input, an engine's export, a compressed file), the documents were kept and the layers are already read.

mod docker;
mod members;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

pub use members::{ArchiveMember, Members};

use super::listing::{Listing, Selector};
use super::{FileSection, ImageSource, SourceError, Stamp};
use crate::oci::{Descriptor, Digest};

/// An image of an archive, or all of them.
#[derive(Debug)]
pub struct Archive {
    members: Members,
    root: Descriptor,
    /// Content that is not under `blobs/ALGORITHM/HEX`: documents built in memory, and an old archive's members by
    /// digest.
    made: HashMap<Digest, ArchiveMember>,
    has_saved_list: bool,
}

impl Archive {
    /// Indexes an uncompressed archive. `place` is its name in messages.
    pub fn open(file: File, place: &str, selector: &Selector) -> Result<Archive, SourceError> {
        Archive::from_members(Members::index(file, place)?, selector)
    }

    /// Finds the images among the members. In an archive that was read in one pass, only content kept as
    /// [`ArchiveMember::Document`] can be opened again.
    pub fn from_members(members: Members, selector: &Selector) -> Result<Archive, SourceError> {
        let (index, saved) = (members.document("index.json")?, members.document("manifest.json")?);
        let is_oci = index.is_some();
        let mut listing = match index {
            Some(index) => Listing::from_index(index, &members.place)?,
            None if saved.is_some() => Listing::default(),
            None => return Err(no_image(&members)),
        };
        let mut made = HashMap::new();
        // skopeo's dir: in a tar also has a manifest.json, but that one is not a list.
        let saved = saved.filter(|saved| !is_oci || saved.trim_ascii_start().starts_with(b"["));
        let has_saved_list = saved.is_some();
        if let Some(saved) = saved {
            made = docker::complete(&mut listing, &saved, &members)?;
        }
        let root = listing.root(selector, &members.place)?;
        if let Some(index) = root.index {
            made.insert(root.descriptor.digest.clone(), ArchiveMember::Document(index.into()));
        }
        Ok(Archive { members, root: root.descriptor, made, has_saved_list })
    }

    /// Whether the archive is in the format of `docker save`.
    pub fn is_docker(&self) -> bool {
        self.has_saved_list
    }
}

impl ImageSource for Archive {
    fn root(&self) -> Result<Descriptor, SourceError> {
        Ok(self.root.clone())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let digest = &descriptor.digest;
        let member = self.member(digest).ok_or_else(|| self.members.absent(digest))?;
        let gone = || SourceError::NotPresent { digest: digest.clone(), place: self.members.place.clone() };
        self.members.read(member).ok_or_else(gone)
    }

    fn section(&self, descriptor: &Descriptor) -> Result<Option<FileSection>, SourceError> {
        let member = self.member(&descriptor.digest).ok_or_else(|| self.members.absent(&descriptor.digest))?;
        Ok(self.members.section(member))
    }

    fn stamp(&self, descriptor: &Descriptor) -> Result<Option<Stamp>, SourceError> {
        let member = self.member(&descriptor.digest).ok_or_else(|| self.members.absent(&descriptor.digest))?;
        self.members
            .stamp(member)
            .transpose()
            .map_err(|cause| SourceError::File { path: self.members.place.clone().into(), cause })
    }
}

impl Archive {
    fn member(&self, digest: &Digest) -> Option<&ArchiveMember> {
        self.made.get(digest).or_else(|| self.members.find(&blob_name(digest)))
    }
}

/// The path of a blob in an OCI layout.
fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// The digest in a member's name.
fn blob_digest(name: &str) -> Option<Digest> {
    name.strip_prefix("blobs/")?.replacen('/', ":", 1).parse().ok()
}

fn no_image(members: &Members) -> SourceError {
    let has = |wanted: &str| members.names().any(|name| name == wanted || name.starts_with(&format!("{wanted}/")));
    let cause = if has("repositories") {
        "it is from an engine before Docker 1.10 and has no manifest.json; load and save it with a current engine"
    } else if has("etc") || has("usr") || has("bin") {
        "it is the tar of a file system, not of an image; unpack it and scan the directory with rootfs:DIR"
    } else {
        "it has neither index.json nor manifest.json, so it is not an image archive"
    };
    SourceError::Malformed { place: members.place.clone(), cause: cause.to_string() }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
