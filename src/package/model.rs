//! The result of reading a plain file.

use crate::image::{ArchiveCompression, Contents};

/// The format of a file, detected from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageFormat {
    /// Not an archive: a program, or any other file.
    Single,
    /// A program followed by a file system image.
    AppImage,
    Tar,
    /// A tar with a `.PKGINFO`, for the package manager of Alpine or Arch Linux.
    PkgInfo,
    Zip,
    Deb,
    Rpm,
    Cpio,
}

impl PackageFormat {
    pub fn name(self) -> &'static str {
        match self {
            PackageFormat::Single => "file",
            PackageFormat::AppImage => "AppImage",
            PackageFormat::Tar => "tar archive",
            PackageFormat::PkgInfo => "package with .PKGINFO",
            PackageFormat::Zip => "zip archive",
            PackageFormat::Deb => "Debian package",
            PackageFormat::Rpm => "RPM package",
            PackageFormat::Cpio => "cpio archive",
        }
    }
}

/// A part of a file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadPart {
    /// The path inside the file; empty for the file itself.
    pub path: String,
    pub why: String,
}

/// The content of a file. If `unread` is not empty, the file must not be reported as healthy.
#[derive(Debug)]
pub struct Package<T> {
    pub format: PackageFormat,
    pub packing: Option<ArchiveCompression>,
    /// The members. Those of nested archives are below `ARCHIVE!/`. A file that is not an archive is its only member.
    pub contents: Vec<Contents<T>>,
    /// The architecture in the package's own metadata, in the package manager's terms.
    pub declared: Option<String>,
    pub unread: Vec<UnreadPart>,
}
