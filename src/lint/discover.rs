//! Finds and reads the files to check below a path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::compose::other_files;
use super::dockerfile::Dockerfile;
use super::format::{SourceFormat, archs_of_path, format_of, has_placeholders, is_dockerfile_text, is_template};
use super::hcl;
use crate::files;
use crate::platform::Arch;
use crate::yaml;

/// Maximum size of a file, in bytes. A Dockerfile has a few KiB.
pub(super) const FILE_LIMIT: u64 = 4 << 20;
/// Maximum number of directory entries in a search. A large repository has a few hundred thousand.
const SEARCH_LIMIT: usize = 1_000_000;
/// Directories without the project's own sources, or with its test data.
const SKIPPED: &[&str] =
    &[".git", "node_modules", "target", "vendor", ".venv", "venv", ".terraform", "dist", "testdata"];

/// A file to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub path: PathBuf,
    pub text: String,
    pub format: SourceFormat,
}

/// Why a path cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    #[error("{}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("{} is not a Dockerfile, compose file, bake file or GitHub workflow", path.display())]
    UnknownFormat { path: PathBuf },
    #[error("{} contains more than {SEARCH_LIMIT} files; name the directories to check", path.display())]
    TooManyFiles { path: PathBuf },
}

/// The files to check, and the skipped files.
#[derive(Debug, Default)]
pub struct Discovered {
    pub files: Vec<SourceFile>,
    pub skipped: Vec<SkippedFile>,
}

/// A file that is not checked, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedFile {
    pub path: PathBuf,
    pub why: &'static str,
}

const TEMPLATE: &str = "it is a template; lint the rendered file";
/// The reason for skipping files of other builders.
pub const NOT_READ: &str = "files of this builder are not supported";
/// Source: Earthly's and Depot's documentation.
const OTHER_BUILDERS: &[&str] = &["Earthfile", "depot.json"];
const FRAGMENT: &str = "it has no FROM, so it is not a complete Dockerfile";

/// Finds the files to check below `path`. A path to a file may have any name, but its content must have a known format.
pub fn discover(path: &Path) -> Result<Discovered, DiscoverError> {
    let is_directory = fs::metadata(path).map_err(|error| unreadable(path, error))?.is_dir();
    let mut found = Discovered::default();
    if !is_directory {
        let text = text_of(path)?;
        let by_text = is_dockerfile_text(&text).then_some(SourceFormat::Dockerfile);
        let format = format_of(path, &text).or(by_text);
        let format = format.ok_or_else(|| DiscoverError::UnknownFormat { path: path.to_path_buf() })?;
        found.add(path, text, format, FoundBy::Name);
        return Ok(found);
    }
    let mut seen = 0;
    let mut pending = vec![path.to_path_buf()];
    let mut named: Vec<PathBuf> = Vec::new();
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
            } else if kind.is_file() && (name == "devcontainer.json" || name == ".devcontainer.json") {
                named.extend(devcontainer_dockerfile(&entry.path()));
            } else if kind.is_file() && format_of(&entry.path(), "").is_some() {
                let text = text_of(&entry.path())?;
                if let Some(format) = format_of(&entry.path(), &text) {
                    found.add(&shown(&entry.path()), text, format, FoundBy::Search);
                }
            } else if kind.is_file() && OTHER_BUILDERS.iter().any(|other| name == *other) {
                found.skipped.push(SkippedFile { path: shown(&entry.path()), why: NOT_READ });
            } else if kind.is_file() && is_template(&entry.path()) {
                found.skipped.push(SkippedFile { path: shown(&entry.path()), why: TEMPLATE });
            }
        }
    }
    let composed: Vec<(PathBuf, SourceFormat)> = found
        .files
        .iter()
        .filter(|file| {
            file.format == SourceFormat::Compose && (file.text.contains("include") || file.text.contains("extends"))
        })
        .flat_map(|file| other_files(&file.text).into_iter().map(|name| file.path.with_file_name(name)))
        .map(|path| (path, SourceFormat::Compose))
        .collect();
    for (path, format) in named.into_iter().map(|path| (path, SourceFormat::Dockerfile)).chain(composed) {
        let path = shown(&path);
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            found.add(&path, text_of(&path)?, format, FoundBy::Search);
        }
    }
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    found.files.dedup_by(|a, b| a.path == b.path);
    found.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// How a file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FoundBy {
    Name,
    Search,
}

impl Discovered {
    fn add(&mut self, path: &Path, text: String, format: SourceFormat, by: FoundBy) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_ascii_lowercase();
        let is_plain = matches!(name.as_str(), "dockerfile" | "containerfile");
        let why = match format {
            SourceFormat::Dockerfile if is_template(path) => Some(TEMPLATE),
            SourceFormat::Dockerfile if !is_dockerfile_text(&text) && has_placeholders(&text) => Some(TEMPLATE),
            _ if has_placeholders(&text) && !parses(&text, format) => Some(TEMPLATE),
            SourceFormat::Dockerfile if by == FoundBy::Search && !is_plain && !has_from(&text) => Some(FRAGMENT),
            SourceFormat::Dockerfile
            | SourceFormat::Compose
            | SourceFormat::BakeHcl
            | SourceFormat::BakeJson
            | SourceFormat::GithubWorkflow => None,
        };
        match why {
            Some(why) => self.skipped.push(SkippedFile { path: path.to_path_buf(), why }),
            None => self.files.push(SourceFile { path: path.to_path_buf(), text, format }),
        }
    }
}

fn parses(text: &str, format: SourceFormat) -> bool {
    match format {
        SourceFormat::Dockerfile => Dockerfile::parse(text).is_ok(),
        SourceFormat::Compose | SourceFormat::GithubWorkflow | SourceFormat::BakeJson => yaml::parse(text).is_ok(),
        SourceFormat::BakeHcl => hcl::parse(text).is_ok(),
    }
}

fn has_from(text: &str) -> bool {
    let words = text.lines().filter_map(|line| line.split_ascii_whitespace().next());
    words.into_iter().any(|word| word.trim_start_matches('\u{feff}').eq_ignore_ascii_case("FROM"))
}

/// Returns the Dockerfile that a devcontainer.json names, relative to it. Source: containers.dev, "Dev Container
/// metadata reference": `build.dockerfile`, and the older `dockerFile`. The file may contain comments, so this only
/// searches for the key.
fn devcontainer_dockerfile(path: &Path) -> Option<PathBuf> {
    let text = text_of(path).ok()?;
    let at = ["\"dockerfile\"", "\"dockerFile\""].iter().find_map(|key| text.find(key).map(|at| at + key.len()))?;
    let value = text[at..].trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let name = value.split('"').next().filter(|name| !name.is_empty() && !name.contains('$'))?;
    Some(path.parent()?.join(name))
}

/// Returns the architectures that a Dockerfile is for: those in its path, or x86-64 if a sibling is for another
/// architecture. Empty if its text uses the target and so serves several.
pub fn file_archs(path: &Path, text: &str) -> Vec<Arch> {
    let archs = archs_of_path(&absolute_tail(path));
    if !archs.is_empty() || text.contains("TARGETARCH") || text.contains("TARGETPLATFORM") {
        return archs;
    }
    if has_sibling_of_another_architecture(path) == Some(true) { vec![Arch::Amd64] } else { Vec::new() }
}

fn has_sibling_of_another_architecture(path: &Path) -> Option<bool> {
    let name = path.file_name()?.to_str()?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let siblings = fs::read_dir(directory).ok()?.take(SIBLING_LIMIT).flatten();
    let is_others = |entry: &fs::DirEntry| {
        let own = entry.file_name();
        let Some(own) = own.to_str().filter(|own| *own != name) else { return false };
        let is_variant = own.starts_with(name) && format_of(Path::new(own), "") == Some(SourceFormat::Dockerfile);
        let is_directory = || entry.path().join(name).is_file();
        archs_of_path(Path::new(own)).first().is_some_and(|arch| *arch != Arch::Amd64) && (is_variant || is_directory())
    };
    Some(siblings.into_iter().any(|entry| is_others(&entry)))
}

/// Maximum number of entries next to a Dockerfile that are checked.
const SIBLING_LIMIT: usize = 1_000;

/// Prepends the directories from the repository's root to a short path.
fn absolute_tail(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.components().count() < 2 => {
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
            // Directories above the repository are irrelevant.
            let root = whole.ancestors().skip(1).find(|directory| directory.join(".git").exists());
            root.and_then(|root| whole.strip_prefix(root).ok()).map_or_else(|| path.to_path_buf(), Path::to_path_buf)
        }
        _ => path.to_path_buf(),
    }
}

/// Removes a leading `./`, as other tools do in their output.
fn shown(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_path_buf()
}

fn text_of(path: &Path) -> Result<String, DiscoverError> {
    // A part of a file is not checked and never written back.
    files::read_named_text(path, FILE_LIMIT).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, cause: io::Error) -> DiscoverError {
    DiscoverError::Unreadable { path: path.to_path_buf(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_of_any_format_is_reported_as_skipped() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("Dockerfile.templ", "FROM a\n%%ADD%%\n"),
            ("compose.yaml", "services:\n{% if a %}\n  a: {}\n{% endif %}\n"),
            ("docker-bake.hcl", "{{ $a := list \"b\" }}\ntarget \"{{ $a }}\" {}\n"),
            ("Dockerfile", "FROM a\n"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let found = discover(dir.path()).unwrap();
        assert_eq!((found.files.len(), found.skipped.len()), (1, 3), "{found:?}");
        assert!(found.skipped.iter().all(|skipped| skipped.why == TEMPLATE));
    }

    #[test]
    fn a_search_reads_files_that_compose_files_name_and_reports_other_builders() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("compose.yaml", "include:\n  - infra.yml\n  - absent.yml\nservices: {}\n"),
            ("infra.yml", "services: {}\n"),
            ("other.yml", "services: {}\n"),
            ("Earthfile", "VERSION 0.8\n"),
            ("depot.json", "{}"),
            ("testdata/Dockerfile", "FROM amd64/alpine\n"),
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = discover(dir.path()).unwrap();
        let names = |paths: Vec<&PathBuf>| -> Vec<String> {
            let relative = paths.into_iter().map(|path| path.strip_prefix(dir.path()).unwrap());
            relative.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(names(found.files.iter().map(|file| &file.path).collect()), ["compose.yaml", "infra.yml"]);
        assert_eq!(names(found.skipped.iter().map(|skipped| &skipped.path).collect()), ["Earthfile", "depot.json"]);
        assert!(found.skipped.iter().all(|skipped| skipped.why == NOT_READ));
    }
}
