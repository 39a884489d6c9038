//! What was read of a plain file.

use crate::image::{Contents, Packing};

/// The format of a file, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not an archive: a program, or any other file.
    Single,
    /// A program that a file system image follows.
    AppImage,
    Tar,
    /// A tar that Alpine's or Arch Linux's package manager reads, by its `.PKGINFO`.
    PkgInfo,
    Zip,
    Deb,
    Rpm,
    Cpio,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Format::Single => "file",
            Format::AppImage => "AppImage",
            Format::Tar => "tar archive",
            Format::PkgInfo => "package with .PKGINFO",
            Format::Zip => "zip archive",
            Format::Deb => "Debian package",
            Format::Rpm => "RPM package",
            Format::Cpio => "cpio archive",
        }
    }
}

/// A part of a file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Below the file; empty for the file itself.
    pub path: String,
    pub why: String,
}

/// What a file holds. Where `unread` is not empty, it cannot be called healthy.
#[derive(Debug)]
pub struct Package<T> {
    pub format: Format,
    pub packing: Option<Packing>,
    /// The members, those of archives within it below `ARCHIVE!/`. A file that is not an archive is one member.
    pub contents: Vec<Contents<T>>,
    /// The architecture that the package's own metadata names, in the package manager's words.
    pub declared: Option<String>,
    pub unread: Vec<Unread>,
}
