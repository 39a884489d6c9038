//! The interface to facts outside a linted file, which the caller provides. No I/O happens here.

use std::collections::BTreeSet;

use crate::oci::{Digest, Reference};
use crate::platform::{Arch, Platform};

/// Facts outside the file that rules may request.
pub struct Outside<'a> {
    /// Returns the files in the build context that a COPY source names: a file, a directory or a pattern, relative to
    /// the context. Empty without a context.
    pub files: &'a dyn Fn(&str) -> Vec<HostFile>,
    /// Looks up a pinned reference in its registry. `None` without `--online`.
    pub pin: Option<&'a PinLookup<'a>>,
    /// Whether the project passes a build argument of this name, in a workflow, a bake file, a Makefile or a script.
    pub passes: &'a dyn Fn(&str) -> bool,
    /// Whether git records a file of the context as executable. `None` if git does not track it.
    pub recorded_mode: &'a dyn Fn(&str) -> Option<bool>,
    /// Whether .dockerignore excludes a path of the context.
    pub ignores: &'a dyn Fn(&str) -> bool,
    /// The architecture that the project's bake files build this Dockerfile for, where it is one.
    pub baked_for: &'a dyn Fn() -> Option<Arch>,
    /// The architecture that the project builds this Dockerfile for, where its files show that it is one.
    pub built_for: &'a dyn Fn() -> Option<Arch>,
    /// The architectures that the project's files name where they build this Dockerfile.
    pub named_archs: &'a dyn Fn() -> BTreeSet<Arch>,
    /// The text of a file of the project, by its path from the project's root.
    pub project_file: &'a dyn Fn(&str) -> Option<String>,
    /// The architectures that the file is for, by its name, its directory or the files next to it.
    pub file_archs: Vec<Arch>,
    /// The platforms that the project builds for, if they are known.
    pub platforms: Vec<Platform>,
    /// The stage to build, as in `docker build --target`.
    pub target: Option<String>,
}

/// Looks up a reference with a digest in its registry.
pub type PinLookup<'a> = dyn Fn(&Reference) -> Result<Pin, String> + 'a;

/// A file of the build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFile {
    /// Relative to the context.
    pub path: String,
    /// Whether any execute bit is set.
    pub is_executable: bool,
    /// Its first [`HEAD_BYTES`] bytes, or all of a shorter file.
    pub head: Vec<u8>,
}

/// Number of bytes of a host file that rules read. An ELF header has 64, and a fat Mach-O header with its entries has
/// fewer than this.
pub const HEAD_BYTES: usize = 512;

/// The document that a digest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// An index with these platforms.
    Index(Vec<Platform>),
    /// One platform's manifest. `index` is the digest of the index that the same tag currently names, if there is one.
    Manifest { platform: Option<Platform>, index: Option<Digest> },
}

impl Outside<'_> {
    /// No build context, no registry, no known platforms.
    pub fn nothing() -> Outside<'static> {
        Outside {
            files: &|_| Vec::new(),
            pin: None,
            passes: &|_| false,
            recorded_mode: &|_| None,
            ignores: &|_| false,
            baked_for: &|| None,
            built_for: &|| None,
            named_archs: &BTreeSet::new,
            project_file: &|_| None,
            file_archs: Vec::new(),
            platforms: Vec::new(),
            target: None,
        }
    }
}
