//! Reads which files git records as executable from `.git/index`, versions 2 to 4, with a size limit.
//! Source: git's Documentation/gitformat-index.txt.

use crate::files;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum size of an index, in bytes. One with a million files has about 100 MB.
const INDEX_LIMIT: u64 = 128 << 20;
/// Maximum size of a `.git` file, in bytes. It holds one path.
const GIT_FILE_LIMIT: u64 = 8 << 10;
/// Lengths of object names in bytes: SHA-1 and SHA-256. Only the repository's configuration distinguishes them.
const HASH_BYTES: [usize; 2] = [20, 32];
/// Length of an entry before its object name, in bytes.
const STAT_BYTES: usize = 40;
/// Offset of the mode in an entry.
const MODE_AT: usize = 24;

/// The regular files of a working tree, as git records them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct GitIndex {
    root: PathBuf,
    /// By path from the root: whether the file is executable.
    files: BTreeMap<Vec<u8>, bool>,
}

impl GitIndex {
    /// Reads the index of the working tree that contains `path`. `None` if there is none, or if it cannot be parsed to
    /// its end.
    pub fn find(path: &Path) -> Option<GitIndex> {
        let whole = fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()?;
        let root = whole.ancestors().find(|directory| directory.join(".git").exists())?;
        let bytes = files::read_regular(&git_directory(root)?.join("index"), INDEX_LIMIT).ok()?;
        let files = parse(&bytes)?;
        Some(GitIndex { root: root.to_path_buf(), files })
    }

    /// Whether git records a file as executable. `None` if it does not track the file.
    pub fn is_executable(&self, path: &Path) -> Option<bool> {
        let whole = fs::canonicalize(path).ok()?;
        let relative = whole.strip_prefix(&self.root).ok()?;
        self.files.get(relative.as_os_str().as_encoded_bytes()).copied()
    }
}

/// Returns `.git`, or the directory that a `.git` file of a worktree or submodule names.
fn git_directory(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = files::read_regular_text(&git, GIT_FILE_LIMIT).ok()?;
    Some(root.join(text.strip_prefix("gitdir:")?.trim()))
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<Vec<u8>, bool>> {
    HASH_BYTES.iter().find_map(|hash_bytes| parse_with(bytes, *hash_bytes))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

fn parse_with(bytes: &[u8], hash_bytes: usize) -> Option<BTreeMap<Vec<u8>, bool>> {
    let version = word(bytes, 4).filter(|version| bytes.starts_with(b"DIRC") && (2..=4).contains(version))?;
    let mut files = BTreeMap::new();
    let mut at = 12;
    let mut path: Vec<u8> = Vec::new();
    for _ in 0..word(bytes, 8)? {
        let start = at;
        let mode = word(bytes, start + MODE_AT)?;
        at += STAT_BYTES + hash_bytes;
        let flags = u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
        let is_extended = flags & 0x4000 != 0;
        if is_extended && version < 3 {
            return None;
        }
        at += if is_extended { 4 } else { 2 };
        if version == 4 {
            let (stripped, length) = offset(bytes.get(at..)?)?;
            at += length;
            path.truncate(path.len().checked_sub(stripped)?);
        } else {
            path.clear();
        }
        let name = bytes.get(at..)?;
        let length = name.iter().position(|byte| *byte == 0)?;
        path.extend_from_slice(&name[..length]);
        at += length + 1;
        if version < 4 {
            // Entries are padded to multiples of eight bytes.
            at += (8 - (at - start) % 8) % 8;
        }
        match mode {
            0o100_644 => files.insert(path.clone(), false),
            0o100_755 => files.insert(path.clone(), true),
            // Symbolic links, submodules and the directories of a sparse index.
            0o120_000 | 0o160_000 | 0o040_000 => None,
            _ => return None,
        };
    }
    // A split index keeps most entries in another file.
    let is_split = bytes.get(at..at + 4) == Some(b"link");
    (!is_split).then_some(files)
}

/// Decodes a number as in the offsets of pack files, and returns its length in bytes. Source: git's varint.c,
/// `decode_varint`.
fn offset(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value: usize = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value = (value << 7) | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
        value += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates an index as git writes it. The paths must be sorted.
    fn index(version: u32, hash_bytes: usize, entries: &[(&str, u32)]) -> Vec<u8> {
        let mut bytes = [b"DIRC".as_slice(), &version.to_be_bytes(), &(entries.len() as u32).to_be_bytes()].concat();
        let mut previous = "";
        for (path, mode) in entries {
            let start = bytes.len();
            bytes.extend([0; MODE_AT]);
            bytes.extend(mode.to_be_bytes());
            bytes.resize(start + STAT_BYTES + hash_bytes, 7);
            bytes.extend((path.len() as u16).to_be_bytes());
            if version == 4 {
                let shared = path.bytes().zip(previous.bytes()).take_while(|(a, b)| a == b).count();
                bytes.push((previous.len() - shared) as u8);
                bytes.extend(&path.as_bytes()[shared..]);
                bytes.push(0);
            } else {
                bytes.extend(path.as_bytes());
                bytes.push(0);
                while (bytes.len() - start) % 8 != 0 {
                    bytes.push(0);
                }
            }
            previous = path;
        }
        bytes.extend([0; 32]);
        bytes
    }

    #[test]
    fn modes_are_read_from_every_version_and_hash() {
        let entries = [("a/entry.sh", 0o100_755), ("a/entry.txt", 0o100_644), ("b", 0o120_000), ("c", 0o100_644)];
        for version in 2..=4 {
            for hash_bytes in HASH_BYTES {
                let files = parse(&index(version, hash_bytes, &entries)).unwrap();
                let shown: Vec<(&[u8], bool)> = files.iter().map(|(path, mode)| (path.as_slice(), *mode)).collect();
                assert_eq!(
                    shown,
                    [(&b"a/entry.sh"[..], true), (b"a/entry.txt", false), (b"c", false)],
                    "version {version}, {hash_bytes} bytes"
                );
            }
        }
    }

    #[test]
    fn a_truncated_or_invalid_index_is_rejected() {
        let whole = index(2, 20, &[("a", 0o100_644), ("b", 0o100_755)]);
        for length in 0..whole.len() - 32 - 8 {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
        assert_eq!(parse(&index(5, 20, &[])), None);
        assert_eq!(parse(&index(2, 20, &[("a", 0o100_600)])), None);
        let mut many = whole.clone();
        many[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(parse(&many), None);
        assert_eq!(offset(&[0x80, 0x00]), Some((128, 2)));
        assert_eq!(offset(&[0xff; 9]), None);
    }

    #[test]
    fn the_index_of_a_directory_below_the_root_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("tree/sub")).unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        fs::write(dir.path().join("tree/.git"), "gitdir: ../real\n").unwrap();
        fs::write(dir.path().join("real/index"), index(2, 20, &[("sub/e", 0o100_644)])).unwrap();
        fs::write(dir.path().join("tree/sub/e"), "").unwrap();
        let found = GitIndex::find(&dir.path().join("tree/sub")).unwrap();
        assert_eq!(found.is_executable(&dir.path().join("tree/sub/e")), Some(false));
        assert_eq!(found.is_executable(&dir.path().join("tree/sub/other")), None);
    }
}
