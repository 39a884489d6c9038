//! Reads how a project builds its Dockerfiles from workflows, bake and compose files, Makefiles and scripts: which
//! build arguments it passes, and which Dockerfiles it builds for one architecture only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::bake::{self, Built};
use super::format::{Format, format_of};
use crate::platform::{Arch, Platform};

/// Maximum number of files to read, and of bytes per file.
const FILE_LIMIT: usize = 5_000;
const TEXT_LIMIT: u64 = 512 << 10;
/// Maximum number of directory entries to visit.
const ENTRY_LIMIT: usize = 100_000;
/// Directories without the project's own sources.
const SKIPPED: &[&str] = &[".git", "node_modules", "target", "vendor", ".venv", "venv", "testdata", "docs"];
const ENDINGS: &[&str] = &[
    "mk", "mak", "sh", "bash", "yml", "yaml", "hcl", "json", "toml", "bzl", "bazel", "py", "go", "groovy", "ps1", "rb",
    "js", "mjs", "ts", "star", "cue",
];
const NAMES: &[&str] =
    &["makefile", "gnumakefile", "jenkinsfile", "justfile", "taskfile", "rakefile", "earthfile", "tiltfile"];

/// The project around a path.
#[derive(Debug, Default)]
pub struct Project {
    root: PathBuf,
    directories: BTreeMap<PathBuf, ProjectDirectory>,
    /// The Dockerfiles that bake files name, with the architectures that they build; `None` for any.
    baked: BTreeMap<PathBuf, Vec<Option<Arch>>>,
}

#[derive(Debug, Default)]
struct ProjectDirectory {
    passed: BTreeSet<String>,
    has_dockerfile: bool,
}

impl Project {
    pub fn read(path: &Path) -> Project {
        let mut project = Project { root: root_of(path), ..Project::default() };
        let (mut seen, mut read) = (0, 0);
        let mut pending = vec![project.root.clone()];
        while let Some(directory) = pending.pop() {
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            let mut own = ProjectDirectory::default();
            for entry in entries.flatten() {
                seen += 1;
                if seen > ENTRY_LIMIT || read > FILE_LIMIT {
                    return project;
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
                        let text = String::from_utf8_lossy(&bytes);
                        arguments_in(&name, &text, &mut own.passed);
                        project.add_baked(&directory, &name, &text);
                    }
                } else if kind.is_file() {
                    own.has_dockerfile |= format_of(Path::new(&name), "") == Some(Format::Dockerfile);
                }
            }
            if !own.passed.is_empty() {
                project.directories.insert(directory, own);
            }
        }
        project
    }

    /// Whether the project passes a build argument of this name to a Dockerfile. A file next to another Dockerfile only
    /// passes arguments to that one.
    pub fn passes(&self, dockerfile: &Path, name: &str) -> bool {
        let whole = absolute(dockerfile);
        let reaches = |(directory, own): &(&PathBuf, &ProjectDirectory)| {
            whole.starts_with(directory) || !own.has_dockerfile || **directory == self.root
        };
        self.directories.iter().filter(reaches).any(|(_, own)| own.passed.contains(name))
    }

    /// Returns the architecture of a Dockerfile's bake targets, if all of them name the same one.
    pub fn baked_for(&self, dockerfile: &Path) -> Option<Arch> {
        let targets = self.baked.get(&absolute(dockerfile))?;
        let first = *targets.first()?;
        first.filter(|_| targets.iter().all(|arch| *arch == first))
    }

    fn add_baked(&mut self, directory: &Path, name: &str, text: &str) {
        let is_json = name.ends_with(".json");
        // Other JSON files are common and large.
        if !(name.ends_with(".hcl") || is_json && name.contains("bake")) {
            return;
        }
        for Built { dockerfile, platforms } in bake::built(text, is_json) {
            let archs: Option<BTreeSet<Option<Arch>>> = platforms.map(|platforms| {
                let of = |platform: &String| Platform::parse(platform).ok().and_then(|platform| platform.arch());
                platforms.iter().map(of).collect()
            });
            let arch = archs.filter(|archs| archs.len() == 1).and_then(|archs| archs.into_iter().next().flatten());
            // Paths are relative to where bake is run: the project's root, or the file's own directory.
            let places = [&self.root, directory].map(|base| base.join(&dockerfile));
            for place in places.iter().filter(|place| place.is_file()).map(|place| absolute(place)) {
                self.baked.entry(place).or_default().push(arch);
            }
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf())
}

/// Returns the repository that contains `path`, or else its directory.
fn root_of(path: &Path) -> PathBuf {
    let whole = absolute(path);
    let own = if whole.is_dir() { whole.clone() } else { whole.parent().map_or_else(PathBuf::new, Path::to_path_buf) };
    own.ancestors().find(|directory| directory.join(".git").exists()).map_or_else(|| own.clone(), Path::to_path_buf)
}

/// Adds the names of `--build-arg NAME=value`, and of every `NAME=` and `NAME:` in YAML, HCL and JSON files with build
/// arguments.
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

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".git")).unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn arguments_are_read_from_scripts_and_data() {
        let dir = project(&[
            ("Makefile", "image:\n\tdocker build --build-arg ARCH=$(ARCH) --build-arg=OS=\"x\" .\n\tOTHER=1 true\n"),
            ("ci.yml", "      build-args: |\n        RELEASE_ARCH=${{ matrix.arch }}\n"),
            ("docker-bake.hcl", "target \"a\" {\n  args = {\n    BAKED = \"1\"\n  }\n}\n"),
            ("notes.txt", "--build-arg NOT_READ=1"),
            ("sub/Dockerfile", ""),
        ]);
        let dockerfile = dir.path().join("sub/Dockerfile");
        let read = Project::read(&dockerfile);
        for name in ["ARCH", "OS", "RELEASE_ARCH", "BAKED"] {
            assert!(read.passes(&dockerfile, name), "{name}: {read:?}");
        }
        assert!(!read.passes(&dockerfile, "OTHER") && !read.passes(&dockerfile, "NOT_READ"), "{read:?}");
    }

    #[test]
    fn a_file_next_to_another_dockerfile_passes_its_own_arguments() {
        let dir = project(&[
            ("a/Dockerfile", ""),
            ("a/build.sh", "docker build --build-arg ARCH=arm64 .\n"),
            ("b/Dockerfile", ""),
            ("hack/all.sh", "docker build --build-arg OTHER=arm64 b\n"),
        ]);
        let read = Project::read(dir.path());
        let passes = |file: &str, name: &str| read.passes(&dir.path().join(file), name);
        assert!(passes("a/Dockerfile", "ARCH") && !passes("b/Dockerfile", "ARCH"));
        assert!(passes("a/Dockerfile", "OTHER") && passes("b/Dockerfile", "OTHER"));
    }

    #[test]
    fn a_dockerfile_may_be_baked_for_one_architecture() {
        let target = |name: &str, lines: &str| format!("target \"{name}\" {{\n{lines}\n}}\n");
        let bake = [
            "variable \"ARCHS\" {\n default = [\"linux/arm64\"]\n}\n".to_string(),
            target("base", "platforms = [\"linux/arm64\"]"),
            target("board", "dockerfile = \"board/Dockerfile\"\ninherits = [\"base\"]"),
            target("any", "dockerfile = \"any/Dockerfile\""),
            target("both", "context = \"both\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]"),
            target("unknown", "context = \"unknown\"\nplatforms = ARCHS"),
        ]
        .concat();
        let dir = project(&[
            ("docker/board.hcl", bake.as_str()),
            ("board/Dockerfile", ""),
            ("any/Dockerfile", ""),
            ("both/Dockerfile", ""),
            ("unknown/Dockerfile", ""),
        ]);
        let read = Project::read(dir.path());
        let baked = |name: &str| read.baked_for(&dir.path().join(name).join("Dockerfile"));
        assert_eq!(baked("board"), Some(Arch::Arm64), "{read:?}");
        assert_eq!((baked("any"), baked("both"), baked("unknown")), (None, None, None));
    }
}
