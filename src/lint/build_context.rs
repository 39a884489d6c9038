//! The build context, as the rules about COPY ask for it: the first bytes of the files that a build would get.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::discover::FILE_LIMIT;
use super::dockerignore::Dockerignore;
use super::outside::{HEAD_BYTES, HostFile};

/// Files of the context that one COPY may be asked about.
const CONTEXT_LIMIT: usize = 20_000;

/// What a COPY's source names in the context, with the first bytes of each file. Nothing outside the context is read.
/// What the context's .dockerignore, or the Dockerfile's own, keeps from the build is not there.
pub fn host_files(context: &Path, dockerfile: &Path, pattern: &str) -> Vec<HostFile> {
    // A Dockerfile of the working directory has a folder without a name.
    let context = if context.as_os_str().is_empty() { Path::new(".") } else { context };
    let pattern = pattern.trim_start_matches(['/', '.']).trim_end_matches('/');
    if Path::new(pattern).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
        return Vec::new();
    }
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
            let mut head = Vec::new();
            let read = fs::File::open(&path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head));
            if is_asked && !is_ignored && read.is_ok() {
                let is_executable = metadata.permissions().mode() & 0o111 != 0;
                found.push(HostFile { path: relative.display().to_string(), is_executable, head });
            }
        }
    }
    found
}

/// Whether the build does not get a path of the context.
pub fn is_ignored(context: &Path, dockerfile: &Path, path: &str) -> bool {
    dockerignore(context, dockerfile).excludes(path)
}

/// `NAME.dockerignore` beside the Dockerfile, or else the context's. Source: Docker's "Build context", "Filename and location".
fn dockerignore(context: &Path, dockerfile: &Path) -> Dockerignore {
    let mut own = dockerfile.as_os_str().to_os_string();
    own.push(".dockerignore");
    let text = [PathBuf::from(own), context.join(".dockerignore")].into_iter().find_map(|path| {
        let mut text = String::new();
        fs::File::open(path).and_then(|file| file.take(FILE_LIMIT).read_to_string(&mut text)).ok().map(|_| text)
    });
    Dockerignore::parse(&text.unwrap_or_default())
}
