//! Recognises the kind of a path from its content, not its name.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::super::{Selector, SourceError, open_regular};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathKind {
    /// The directory of an OCI layout.
    Layout,
    /// skopeo's `dir:`.
    Dir,
    RootFs,
    /// An uncompressed tar.
    Archive,
    /// A file compressed with gzip, zstd, bzip2 or xz: a whole archive, or a program.
    Compressed,
    /// ELF, Mach-O or PE.
    Program,
    /// A zip, a distribution's package, a cpio archive, or a script followed by a zip.
    Package,
    /// A named pipe, or a shell's `<(docker save app)`. It can be read only once, so its content was not inspected.
    Pipe,
    Unknown,
}

/// What a path is that is none of the other kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    Directory,
    Empty,
    LfsPointer,
    WebPage,
    Dockerfile,
    /// A Kubernetes object or a Compose file.
    Manifest,
    Text,
    Binary,
}

impl Stray {
    /// A noun phrase for messages.
    pub(super) fn description(self) -> &'static str {
        match self {
            Stray::Directory => {
                "a directory without `oci-layout`, without `manifest.json` and `version`, and without two directories \
                 of a root (`bin`, `etc`, `lib`, `usr`, ...)"
            }
            Stray::Empty => "an empty file",
            Stray::LfsPointer => "a Git LFS pointer, in place of the file itself",
            Stray::WebPage => "a web page, perhaps of a failed download",
            Stray::Dockerfile => "a Dockerfile",
            Stray::Manifest => "a manifest in YAML",
            Stray::Text => "a text file",
            Stray::Binary => "a file of an unknown kind",
        }
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Stray::Directory => "an OCI layout, a directory of `skopeo copy dir:` or a root file system",
            _ => "an image archive, a program, a release archive or a package",
        }
    }

    /// What to do with it instead. `text` is what the user typed.
    pub(super) fn hint(self, text: &str) -> Option<String> {
        match self {
            Stray::Directory => Some(format!("imgarch scan rootfs:{text}")),
            Stray::LfsPointer => Some("git lfs pull".to_string()),
            Stray::Dockerfile => Some(format!("imgarch lint {text}")),
            Stray::Manifest => Some(format!("imgarch scan --manifest {text}")),
            Stray::Empty | Stray::WebPage | Stray::Text | Stray::Binary => None,
        }
    }
}

/// Describes a path of [`PathKind::Unknown`]. A path that can no longer be read counts as [`Stray::Binary`].
pub(super) fn describe(path: &Path) -> Stray {
    if path.is_dir() {
        return Stray::Directory;
    }
    let mut head = Vec::new();
    let read = open_regular(path).ok().and_then(|file| file.take(4096).read_to_end(&mut head).ok());
    if read == Some(0) {
        return Stray::Empty;
    }
    let is_control = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    // The end of the part that was read can be within a character.
    let is_text = match str::from_utf8(&head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    if read.is_none() || !is_text || head.iter().any(is_control) {
        return Stray::Binary;
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let has_line = |starts: &[&str]| text.lines().any(|line| starts.iter().any(|start| line.starts_with(start)));
    match () {
        () if text.starts_with("version https://git-lfs.github.com/spec/") => Stray::LfsPointer,
        () if text.trim_start().starts_with("<!doctype html") || text.trim_start().starts_with("<html") => {
            Stray::WebPage
        }
        () if has_line(&["apiversion:", "services:"]) => Stray::Manifest,
        () if has_line(&["from "]) && has_line(&["run ", "copy ", "cmd ", "entrypoint ", "# syntax=", "arg "])
            || is_named_as_dockerfile(path) =>
        {
            Stray::Dockerfile
        }
        () => Stray::Text,
    }
}

fn is_named_as_dockerfile(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    ["dockerfile", "containerfile"].iter().any(|word| name.starts_with(word) || name.ends_with(word))
}

/// Names in the top directory of a root file system; an application's own directory rarely has several of them.
const ROOT_NAMES: [&str; 8] = ["bin", "etc", "lib", "sbin", "usr", "proc", "var", "Windows"];

/// Fails if nothing exists at `path`, or if it cannot be inspected.
pub(super) fn recognise(path: &Path) -> Result<PathKind, SourceError> {
    let refuse = |cause| SourceError::File { path: path.to_path_buf(), cause };
    let kind = std::fs::metadata(path).map_err(refuse)?.file_type();
    if kind.is_fifo() {
        return Ok(PathKind::Pipe);
    }
    if !kind.is_dir() {
        let mut head = Vec::new();
        open_regular(path)?.take(512).read_to_end(&mut head).map_err(refuse)?;
        return Ok(from_head(&head));
    }
    let has = |name: &str| match std::fs::symlink_metadata(path.join(name)) {
        Ok(_) => Ok(true),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(refuse(cause)),
    };
    if has("oci-layout")? || (has("index.json")? && has("blobs")?) {
        return Ok(PathKind::Layout);
    }
    if has("manifest.json")? && has("version")? {
        return Ok(PathKind::Dir);
    }
    let mut known = 0;
    for name in ROOT_NAMES {
        known += usize::from(has(name)?);
    }
    // A project's directory may have a bin or a lib; a root file system has several of these names.
    Ok(if known >= 2 { PathKind::RootFs } else { PathKind::Unknown })
}

fn from_head(head: &[u8]) -> PathKind {
    let magics: [&[u8]; 4] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z', 0]];
    if magics.iter().any(|magic| head.starts_with(magic)) {
        return PathKind::Compressed;
    }
    match head {
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] => return PathKind::Program,
        [0xca | 0xfe | 0xce | 0xcf, 0xfe | 0xed | 0xfa, ..] => return PathKind::Program,
        [b'P', b'K', 3 | 5, 4 | 6, ..] | [0xed, 0xab, 0xee, 0xdb, ..] => return PathKind::Package,
        [b'#', b'!', ..] => return PathKind::Package,
        _ if head.starts_with(b"!<arch>\ndebian-binary") || head.starts_with(b"07070") => return PathKind::Package,
        _ => {}
    }
    let is_tar = head.get(257..262) == Some(b"ustar") || is_old_tar(head);
    if is_tar { PathKind::Archive } else { PathKind::Unknown }
}

/// Tars older than POSIX have no magic number, only a checksum.
fn is_old_tar(head: &[u8]) -> bool {
    let Ok(block) = <&[u8; 512]>::try_from(head) else { return false };
    let header = tar::Header::from_byte_slice(block);
    let sum: u32 =
        block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    header.cksum().is_ok_and(|stated| stated == sum) && block[0] != 0
}

/// Splits `PATH[:SELECTOR]`. If the whole text is an existing path, there is no selector; otherwise the path ends at
/// the first colon that follows an existing path, or else at the first colon.
pub(super) fn split_selector(text: &str) -> (&Path, Selector) {
    if Path::new(text).exists() {
        return (Path::new(text), Selector::All);
    }
    let ends = text.match_indices(':').map(|(at, _)| at);
    let end = ends.clone().find(|at| Path::new(&text[..*at]).exists()).or_else(|| ends.clone().next());
    match end {
        Some(end) => (Path::new(&text[..end]), Selector::parse(&text[end + 1..])),
        None => (Path::new(text), Selector::All),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        directory
    }

    fn check_directory(names: &[&str], expected: PathKind) {
        assert_eq!(recognise(directory(names).path()).unwrap(), expected, "{names:?}");
    }

    fn check_file(bytes: &[u8], expected: PathKind) {
        let directory = directory(&[]);
        let path = directory.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(recognise(&path).unwrap(), expected);
    }

    #[test]
    fn a_directory_is_recognised_by_its_content() {
        check_directory(&["oci-layout", "index.json", "blobs"], PathKind::Layout);
        check_directory(&["manifest.json", "version", "etc"], PathKind::Dir);
        check_directory(&["usr", "etc"], PathKind::RootFs);
        check_directory(&["src", "bin"], PathKind::Unknown);
        check_directory(&[], PathKind::Unknown);
    }

    #[test]
    fn a_file_is_recognised_by_its_first_bytes() {
        check_file(&[0x1f, 0x8b, 8, 0], PathKind::Compressed);
        check_file(&[0x28, 0xb5, 0x2f, 0xfd, 0], PathKind::Compressed);
        check_file(b"FROM scratch", PathKind::Unknown);
        check_file(b"\x7fELF\x02\x01", PathKind::Program);
        check_file(&[0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1], PathKind::Program);
        check_file(b"MZ\x90", PathKind::Program);
        check_file(b"PK\x03\x04", PathKind::Package);
        check_file(b"!<arch>\ndebian-binary   ", PathKind::Package);
        check_file(b"!<arch>\nlib.o/          ", PathKind::Unknown);
        check_file(&[0xed, 0xab, 0xee, 0xdb, 3, 0], PathKind::Package);
        check_file(b"", PathKind::Unknown);
        check_file(&[0; 1024], PathKind::Unknown);
        for mut header in [tar::Header::new_ustar(), tar::Header::new_gnu(), tar::Header::new_old()] {
            header.set_path("index.json").unwrap();
            header.set_size(0);
            header.set_cksum();
            check_file(&[header.as_bytes().as_slice(), &[0; 1024]].concat(), PathKind::Archive);
        }
    }

    #[test]
    fn a_path_that_is_not_an_image_is_described() {
        let directory = directory(&["src"]);
        let check = |name: &str, bytes: &[u8], expected: Stray| {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(describe(&path), expected, "{name}");
        };
        check("app.c", b"int main() { return 0; }\n", Stray::Text);
        check("empty", b"", Stray::Empty);
        check("image.tar", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", Stray::LfsPointer);
        check("image.tgz", b"<!DOCTYPE html>\n<html>", Stray::WebPage);
        check("Dockerfile.dev", b"FROM alpine\n", Stray::Dockerfile);
        check("build", b"# base\nFROM alpine\nRUN true\n", Stray::Dockerfile);
        check("deploy.yaml", b"kind: Pod\napiVersion: v1\n", Stray::Manifest);
        check("compose.yaml", b"services:\n  web: {}\n", Stray::Manifest);
        check("letter", "From a friend: größe".as_bytes(), Stray::Text);
        check("data", &[0, 1, 2, 3], Stray::Binary);
        check("long", &"ä".repeat(4000).as_bytes()[1..], Stray::Binary);
        check("whole", format!("x{}", "ä".repeat(4000)).as_bytes(), Stray::Text);
        assert_eq!(describe(&directory.path().join("src")), Stray::Directory);
        assert_eq!(describe(&directory.path().join("absent")), Stray::Binary);
    }

    #[test]
    fn a_selector_is_what_follows_the_path() {
        let directory = directory(&["a", "b:1"]);
        let at = |name: &str| directory.path().join(name).display().to_string();
        let check = |text: &str, path: &str, selector: Selector| {
            assert_eq!(split_selector(text), (Path::new(path), selector), "{text}");
        };
        check(&at("a"), &at("a"), Selector::All);
        check(&at("a:v1"), &at("a"), Selector::Name("v1".to_string()));
        check(&at("a:host:5000/app:v1"), &at("a"), Selector::Name("host:5000/app:v1".to_string()));
        check(&at("b:1"), &at("b:1"), Selector::All);
        check(&at("b:1:@2"), &at("b:1"), Selector::Position(2));
        check("absent:v1", "absent", Selector::Name("v1".to_string()));
    }
}
