//! Image archives: oci-archive, and docker-archive of the old layout (`ID/layer.tar`) and the new one, which is an OCI
//! layout with a `manifest.json`. Nothing is unpacked. A file is read by position; of an archive that passed once
//! (standard input, an engine's export, a compressed file) the documents were kept and the layers have been read.

mod docker;
mod members;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

pub use members::{Member, Members};

use super::listing::{Listing, Selector};
use super::{Section, Source, SourceError, Stamp};
use crate::oci::{Descriptor, Digest};

/// An image of an archive, or all of them.
#[derive(Debug)]
pub struct Archive {
    members: Members,
    root: Descriptor,
    /// What is not under `blobs/ALGORITHM/HEX`: documents made in memory, and an old archive's members by digest.
    made: HashMap<Digest, Member>,
    has_saved_list: bool,
}

impl Archive {
    /// Indexes an uncompressed archive. `place` is its name in messages.
    pub fn open(file: File, place: &str, selector: &Selector) -> Result<Archive, SourceError> {
        Archive::of(Members::index(file, place)?, selector)
    }

    /// Finds the images among members. Those of an archive that has passed can be found, but what was not kept as a
    /// [`Member::Document`] cannot be opened again.
    pub fn of(members: Members, selector: &Selector) -> Result<Archive, SourceError> {
        let (index, saved) = (members.document("index.json")?, members.document("manifest.json")?);
        let is_oci = index.is_some();
        let mut listing = match index {
            Some(index) => Listing::from_index(index, &members.place)?,
            None if saved.is_some() => Listing::default(),
            None => return Err(no_image(&members)),
        };
        let mut made = HashMap::new();
        // skopeo's dir: in a tar has a manifest.json too, which is no list.
        let saved = saved.filter(|saved| !is_oci || saved.trim_ascii_start().starts_with(b"["));
        let has_saved_list = saved.is_some();
        if let Some(saved) = saved {
            made = docker::complete(&mut listing, &saved, &members)?;
        }
        let root = listing.root(selector, &members.place)?;
        if let Some(index) = root.index {
            made.insert(root.descriptor.digest.clone(), Member::Document(index.into()));
        }
        Ok(Archive { members, root: root.descriptor, made, has_saved_list })
    }

    /// Whether `docker save`, or something that writes as it does, made it.
    pub fn is_docker(&self) -> bool {
        self.has_saved_list
    }
}

impl Source for Archive {
    fn root(&self) -> Result<Descriptor, SourceError> {
        Ok(self.root.clone())
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let digest = &descriptor.digest;
        let member = self.member(digest).ok_or_else(|| self.members.absent(digest))?;
        let gone = || SourceError::NotPresent { digest: digest.clone(), place: self.members.place.clone() };
        self.members.read(member).ok_or_else(gone)
    }

    fn section(&self, descriptor: &Descriptor) -> Result<Option<Section>, SourceError> {
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
    fn member(&self, digest: &Digest) -> Option<&Member> {
        self.made.get(digest).or_else(|| self.members.find(&blob_name(digest)))
    }
}

/// Where an OCI layout keeps a blob.
fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// The digest that a member's name states.
fn blob_digest(name: &str) -> Option<Digest> {
    name.strip_prefix("blobs/")?.replacen('/', ":", 1).parse().ok()
}

fn no_image(members: &Members) -> SourceError {
    let has = |wanted: &str| members.names().any(|name| name == wanted || name.starts_with(&format!("{wanted}/")));
    let cause = if has("repositories") {
        "an archive of an engine before Docker 1.10, which has no manifest.json; load and save it with a current one"
    } else if has("etc") || has("usr") || has("bin") {
        "the tar of a file system, not of an image; unpack it and read the folder with rootfs:FOLDER"
    } else {
        "neither index.json nor manifest.json is in it, so it is no image archive"
    };
    SourceError::Malformed { place: members.place.clone(), cause: cause.to_string() }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
