//! Which build arguments a project passes: read from its workflows, bake and compose files, Makefiles and scripts.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files of a project that are read for build arguments, and bytes of each.
const FILE_LIMIT: usize = 5_000;
const TEXT_LIMIT: u64 = 512 << 10;
/// Entries of a project's directories that are looked at.
const ENTRY_LIMIT: usize = 100_000;
/// Directories that hold no source of the project itself.
const SKIPPED: &[&str] = &[".git", "node_modules", "target", "vendor", ".venv", "venv", "testdata", "docs"];
const ENDINGS: &[&str] = &[
    "mk", "mak", "sh", "bash", "yml", "yaml", "hcl", "json", "toml", "bzl", "bazel", "py", "go", "groovy", "ps1", "rb",
    "js", "mjs", "ts", "star", "cue",
];
const NAMES: &[&str] =
    &["makefile", "gnumakefile", "jenkinsfile", "justfile", "taskfile", "rakefile", "earthfile", "tiltfile"];

/// The names of the build arguments that the project around `path` passes.
pub fn passed_arguments(path: &Path) -> BTreeSet<String> {
    let mut passed = BTreeSet::new();
    let (mut seen, mut read) = (0, 0);
    let mut pending = vec![root_of(path)];
    while let Some(directory) = pending.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > ENTRY_LIMIT || read > FILE_LIMIT {
                return passed;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
            let is_script = NAMES.iter().any(|known| name.starts_with(known))
                || ENDINGS.iter().any(|ending| name.rsplit_once('.').is_some_and(|(_, last)| last == *ending));
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                pending.push(entry.path());
            } else if kind.is_file() && is_script {
                read += 1;
                let mut bytes = Vec::new();
                let file = fs::File::open(entry.path());
                if file.and_then(|file| file.take(TEXT_LIMIT).read_to_end(&mut bytes)).is_ok() {
                    arguments_in(&name, &String::from_utf8_lossy(&bytes), &mut passed);
                }
            }
        }
    }
    passed
}

/// The repository that `path` is in, or else its own directory.
fn root_of(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let own = if whole.is_dir() { whole.clone() } else { whole.parent().map_or_else(PathBuf::new, Path::to_path_buf) };
    own.ancestors().find(|directory| directory.join(".git").exists()).map_or_else(|| own.clone(), Path::to_path_buf)
}

/// `--build-arg NAME=value`; in YAML, HCL and JSON that have build arguments, every `NAME=` and `NAME:`.
fn arguments_in(name: &str, text: &str, passed: &mut BTreeSet<String>) {
    let identifier = |text: &str| {
        let length = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        text[..length].to_string()
    };
    for (at, found) in text.match_indices("build-arg") {
        let rest = text[at + found.len()..].trim_start_matches([' ', '=', '"', '\'', '\\', '\n', '\t', ',', '[']);
        passed.insert(identifier(rest));
    }
    let is_data = [".yml", ".yaml", ".hcl", ".json"].iter().any(|ending| name.ends_with(ending));
    let has_arguments = ["build-arg", "buildArgs", "build_args", "args"].iter().any(|word| text.contains(word));
    if is_data && has_arguments {
        for line in text.lines() {
            let line = line.trim_start_matches([' ', '\t', '-', '"', '\'', '{']);
            let name = identifier(line);
            let rest = line[name.len()..].trim_start_matches(['"', '\'', ' ']);
            if !name.is_empty() && rest.starts_with(['=', ':']) {
                passed.insert(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_from_scripts_and_data() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("Makefile", "image:\n\tdocker build --build-arg ARCH=$(ARCH) --build-arg=OS=\"x\" .\n\tOTHER=1 true\n");
        write("ci.yml", "      build-args: |\n        RELEASE_ARCH=${{ matrix.arch }}\n");
        write("docker-bake.hcl", "target \"a\" {\n  args = {\n    BAKED = \"1\"\n  }\n}\n");
        write("notes.txt", "--build-arg NOT_READ=1");
        fs::create_dir(dir.path().join(".git")).unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let passed = passed_arguments(&dir.path().join("sub/Dockerfile"));
        for name in ["ARCH", "OS", "RELEASE_ARCH", "BAKED"] {
            assert!(passed.contains(name), "{name}: {passed:?}");
        }
        assert!(!passed.contains("OTHER") && !passed.contains("NOT_READ"), "{passed:?}");
    }
}
