//! Finds the files to check below a path, and reads them.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::format::{Format, format_of};

/// A Dockerfile is a few KiB; a larger file was not written by a person.
pub(super) const FILE_LIMIT: u64 = 4 << 20;
/// Files that a search looks at: a large repository has some hundred thousand.
const SEARCH_LIMIT: usize = 1_000_000;
/// Directories that hold no source of the project itself.
const SKIPPED: &[&str] = &[".git", "node_modules", "target", "vendor", ".venv", "venv", ".terraform", "dist"];

/// A file to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub path: PathBuf,
    pub text: String,
    pub format: Format,
}

/// Why a path cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    #[error("{}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("{} is not a Dockerfile, compose file, bake file or GitHub workflow", path.display())]
    UnknownFormat { path: PathBuf },
    #[error("{} holds more than {SEARCH_LIMIT} files; name the directories to check", path.display())]
    TooManyFiles { path: PathBuf },
}

/// The files to check below `path`. A file that is named must be in one of the formats.
pub fn discover(path: &Path) -> Result<Vec<SourceFile>, DiscoverError> {
    let is_file = fs::metadata(path).map_err(|error| unreadable(path, error))?.is_file();
    if is_file {
        let text = text_of(path)?;
        let format = format_of(path, &text);
        let format = format.ok_or_else(|| DiscoverError::UnknownFormat { path: path.to_path_buf() })?;
        return Ok(vec![SourceFile { path: path.to_path_buf(), text, format }]);
    }
    let mut found = Vec::new();
    let mut seen = 0;
    let mut pending = vec![path.to_path_buf()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(&directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(|error| unreadable(&directory, error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            seen += 1;
            if seen > SEARCH_LIMIT {
                return Err(DiscoverError::TooManyFiles { path: path.to_path_buf() });
            }
            let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), error))?;
            let name = entry.file_name();
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
                pending.push(entry.path());
            } else if kind.is_file() && format_of(&entry.path(), "").is_some() {
                let text = text_of(&entry.path())?;
                let format = format_of(&entry.path(), &text);
                found.extend(format.map(|format| SourceFile { path: shown(&entry.path()), text, format }));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// `./Dockerfile` is shown, and compared with what a tool prints, as `Dockerfile`.
fn shown(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_path_buf()
}

fn text_of(path: &Path) -> Result<String, DiscoverError> {
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(FILE_LIMIT).read_to_string(&mut text));
    read.map_err(|error| unreadable(path, error))?;
    Ok(text)
}

fn unreadable(path: &Path, cause: io::Error) -> DiscoverError {
    DiscoverError::Unreadable { path: path.to_path_buf(), cause }
}
