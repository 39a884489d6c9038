//! What a lint cannot read from the file itself, and how the rim answers it. No I/O happens here.

use crate::oci::{Digest, Reference};
use crate::platform::{Arch, Platform};

/// Everything beside the file that the rules may ask for.
pub struct Outside<'a> {
    /// The programs in the build context that a COPY's source names: a file, a folder or a pattern, relative to the
    /// context. Where there is no context, nothing.
    pub files: &'a dyn Fn(&str) -> Vec<HostFile>,
    /// What a registry holds under a pinned reference; `None` without `--online`.
    pub pin: Option<&'a PinLookup<'a>>,
    /// Whether the project passes a build argument of this name, in a workflow, a bake file, a Makefile or a script.
    pub passes: &'a dyn Fn(&str) -> bool,
    /// Whether git records a file of the context as executable; `None` where git does not track it.
    pub recorded_mode: &'a dyn Fn(&str) -> Option<bool>,
    /// Whether the context's .dockerignore keeps a path from the build.
    pub ignores: &'a dyn Fn(&str) -> bool,
    /// The architecture that the project's bake files build this Dockerfile for, where it is one.
    pub baked_for: &'a dyn Fn() -> Option<Arch>,
    /// The architectures that the file is for, by its name, its directory or the files next to it.
    pub file_archs: Vec<Arch>,
    /// Platforms that the project builds for, where they are known.
    pub platforms: Vec<Platform>,
    /// The stage that is built, as `docker build --target` names it.
    pub target: Option<String>,
}

/// Asks a registry what a reference with a digest is.
pub type PinLookup<'a> = dyn Fn(&Reference) -> Result<Pin, String> + 'a;

/// A file of the build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFile {
    /// Relative to the context.
    pub path: String,
    /// Whether a user may execute it.
    pub is_executable: bool,
    /// Its first [`HEAD_BYTES`] bytes, or all where it is shorter.
    pub head: Vec<u8>,
}

/// Bytes of a host file that a rule looks at: an ELF header is 64, a Mach-O's fat header with its rows less than this.
pub const HEAD_BYTES: usize = 512;

/// What a digest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// An index of these platforms.
    Index(Vec<Platform>),
    /// One platform's manifest; `index` is the digest of the index that the same tag names now, where there is one.
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
            file_archs: Vec::new(),
            platforms: Vec::new(),
            target: None,
        }
    }
}
