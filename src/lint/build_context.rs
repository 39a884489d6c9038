//! Reads the build context for the rules about COPY: the first bytes of the files that a build would get.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::builds::normalized;
use super::discover::FILE_LIMIT;
use super::dockerignore::Dockerignore;
use super::outside::{HEAD_BYTES, HostFile};
use crate::files;

/// Maximum number of files of one COPY source that are read.
pub const CONTEXT_LIMIT: usize = 20_000;

/// Returns the files that a COPY source names, with their first bytes. Reads nothing outside the context. Files that
/// the .dockerignore of the context or the Dockerfile excludes are left out. More than [`CONTEXT_LIMIT`] files mean that
/// there are others.
pub fn host_files(context: &Path, dockerfile: &Path, pattern: &str) -> Vec<HostFile> {
    // The parent of a Dockerfile in the working directory is the empty path.
    let context = if context.as_os_str().is_empty() { Path::new(".") } else { context };
    // BuildKit resolves a source in the same way: `..` does not leave the context.
    let pattern = &normalized(pattern);
    let matcher =
        globset::GlobBuilder::new(pattern).literal_separator(true).build().ok().map(|glob| glob.compile_matcher());
    let is_pattern = pattern.contains(['*', '?', '[']);
    let start = match is_pattern {
        true => context.to_path_buf(),
        false => context.join(pattern),
    };
    let ignore = dockerignore(context, dockerfile);
    let mut found = Vec::new();
    let mut pending = vec![start];
    while let Some(path) = pending.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if found.len() > CONTEXT_LIMIT {
            break;
        }
        if metadata.is_dir() && path.file_name().is_none_or(|name| name != ".git") {
            let Ok(entries) = fs::read_dir(&path) else { continue };
            let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            inside.sort_by(|a, b| b.cmp(a));
            pending.extend(inside);
        } else if metadata.is_file() {
            let Ok(relative) = path.strip_prefix(context) else { continue };
            let is_ignored = relative.to_str().is_some_and(|path| ignore.excludes(path));
            let is_asked = !is_pattern
                || matcher.as_ref().is_some_and(|matcher| relative.ancestors().any(|part| matcher.is_match(part)));
            if is_asked
                && !is_ignored
                && let Ok(head) = files::read_start(&path, HEAD_BYTES as u64)
            {
                let is_executable = metadata.permissions().mode() & 0o111 != 0;
                found.push(HostFile { path: relative.display().to_string(), is_executable, head });
            }
        }
    }
    found
}

/// Whether .dockerignore excludes a path of the context.
pub fn is_ignored(context: &Path, dockerfile: &Path, path: &str) -> bool {
    dockerignore(context, dockerfile).excludes(path)
}

/// Reads `NAME.dockerignore` next to the Dockerfile, or else the context's. Source: Docker's "Build context", "Filename
/// and location".
fn dockerignore(context: &Path, dockerfile: &Path) -> Dockerignore {
    let mut own = dockerfile.as_os_str().to_os_string();
    own.push(".dockerignore");
    let text = [PathBuf::from(own), context.join(".dockerignore")]
        .into_iter()
        .find_map(|path| files::read_regular_text(&path, FILE_LIMIT).ok());
    Dockerignore::parse(&text.unwrap_or_default())
}
