//! Reads how a project builds its Dockerfiles from workflows, bake and compose files, Makefiles and scripts: which
//! build arguments it passes, and which Dockerfiles it builds for one architecture only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::bake::{self, BakedDockerfile};
use super::builds::{self, BuiltFor, DockerfileBuild, Workflows};
use super::format::{SourceFormat, archs_of_path, format_of};
use crate::files;
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
/// Endings of files that build images, rather than mention platforms in a program's own code.
const BUILD_ENDINGS: &[&str] = &["mk", "mak", "sh", "bash", "yml", "yaml", "hcl", "toml", "groovy", "star", "bazel"];
/// Names and directories of CI files. Source: each service's documentation.
const CI_NAMES: &[&str] = &[
    ".gitlab-ci",
    ".travis",
    ".drone",
    ".cirrus",
    ".woodpecker",
    "appveyor",
    "azure-pipelines",
    "bitbucket-pipelines",
    "buildspec",
    "cloudbuild",
    "jenkinsfile",
];
const CI_DIRECTORIES: &[&str] =
    &[".github", ".circleci", ".buildkite", ".woodpecker", ".gitlab", ".azure-pipelines", ".semaphore", ".tekton"];
/// Bytes of CI files that are searched for the names of scripts.
const CI_TEXT_LIMIT: usize = 4 << 20;

/// The project around a path.
#[derive(Debug, Default)]
pub struct LintProject {
    root: PathBuf,
    directories: BTreeMap<PathBuf, ProjectDirectory>,
    /// The Dockerfiles that bake files name, with the architectures that they build; `None` for any.
    baked: BTreeMap<PathBuf, Vec<Option<Arch>>>,
    /// The builds of each Dockerfile.
    builds: BTreeMap<PathBuf, Vec<DockerfileBuild>>,
    /// Builds of Dockerfiles that a variable names.
    builds_of_any: Vec<BuiltFor>,
    /// Whether any file that builds images names another platform than x86-64.
    names_several: bool,
    /// Where a Dockerfile would be without the directory that names another architecture than x86-64.
    plain_places: BTreeSet<PathBuf>,
    /// The architectures that Dockerfiles' names and directories name.
    dockerfile_archs: BTreeSet<Arch>,
}

/// What is read of a project before it is known which scripts its CI runs.
#[derive(Default)]
struct ProjectReading {
    workflows: Workflows,
    ci_text: String,
    scripts: Vec<ProjectScript>,
}

/// The builds of a script or Makefile.
struct ProjectScript {
    directory: PathBuf,
    name: String,
    pushes: bool,
    builds: Vec<DockerfileBuild>,
}

#[derive(Debug, Default)]
struct ProjectDirectory {
    passed: BTreeSet<String>,
    has_dockerfile: bool,
}

impl LintProject {
    pub fn read(path: &Path) -> LintProject {
        let mut project = LintProject { root: root_of(path), ..LintProject::default() };
        let (mut seen, mut read) = (0, 0);
        let mut reading = ProjectReading::default();
        let mut pending = vec![project.root.clone()];
        while let Some(directory) = pending.pop() {
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            let mut own = ProjectDirectory::default();
            for entry in entries.flatten() {
                seen += 1;
                if seen > ENTRY_LIMIT || read > FILE_LIMIT {
                    // What was not read may build for any platform.
                    project.names_several = true;
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
                    if let Ok(bytes) = files::read_start(&entry.path(), TEXT_LIMIT) {
                        let text = String::from_utf8_lossy(&bytes);
                        arguments_in(&name, &text, &mut own.passed);
                        project.add_baked(&directory, &name, &text);
                        project.add_builds(&mut reading, &entry.path(), &name, &text);
                    }
                } else if kind.is_file() && format_of(Path::new(&name), "") == Some(SourceFormat::Dockerfile) {
                    own.has_dockerfile = true;
                    let path = entry.path();
                    let path = path.strip_prefix(&project.root).unwrap_or(&path);
                    project.dockerfile_archs.extend(archs_of_path(path));
                    project.plain_places.extend(without_architecture(path));
                }
            }
            if !own.passed.is_empty() {
                project.directories.insert(directory, own);
            }
        }
        project.finish(reading);
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

    /// The architecture that the project builds a Dockerfile for, where its files show that it is one: each build names
    /// that one, or its CI builds on one machine and nothing in the project names another platform. `text` is the
    /// Dockerfile's.
    pub fn built_for(&self, dockerfile: &Path, text: &str) -> Option<Arch> {
        let own = absolute(dockerfile);
        let builds = match self.builds.get(&own) {
            Some(builds) => builds.iter().collect(),
            // An earlier version that is no longer built is built as the current ones are.
            None => self
                .builds
                .iter()
                .filter(|(other, _)| is_other_version(&own, other))
                .flat_map(|(_, builds)| builds)
                .collect(),
        };
        let builds: Vec<&DockerfileBuild> = builds;
        let (mut named, mut hosts) = (BTreeSet::new(), BTreeSet::new());
        for build in &builds {
            match &build.built_for {
                BuiltFor::Named(archs) => named.extend(archs.iter().copied()),
                BuiltFor::Host(arch) => hosts.extend(*arch),
                BuiltFor::Unknown => return None,
            }
        }
        let mut all: BTreeSet<Arch> = named.union(&hosts).copied().collect();
        if !named.is_empty() {
            return all.first().copied().filter(|_| all.len() == 1);
        }
        let asks_for_target = ["TARGETARCH", "TARGETPLATFORM", "BUILDPLATFORM"].iter().any(|name| text.contains(name));
        // `v1/app/Dockerfile` next to `v1/arm64/app/Dockerfile`.
        let is_plain = own.strip_prefix(&self.root).is_ok_and(|own| self.plain_places.contains(own));
        if is_plain && !asks_for_target && all.iter().all(|arch| *arch == Arch::Amd64) {
            return Some(Arch::Amd64);
        }
        // Builds of Dockerfiles that a variable names: some are for one architecture, and none for another.
        let archs_of = |built_for: &BuiltFor| match built_for {
            BuiltFor::Named(archs) => archs.clone(),
            BuiltFor::Host(_) | BuiltFor::Unknown => BTreeSet::new(),
        };
        let named_any: BTreeSet<Arch> = self.builds_of_any.iter().flat_map(archs_of).collect();
        let fits = |built_for: &BuiltFor| match built_for {
            BuiltFor::Named(_) | BuiltFor::Host(None) => true,
            BuiltFor::Host(Some(arch)) => named_any.contains(arch),
            BuiltFor::Unknown => false,
        };
        let is_one = named_any.len() == 1 && self.builds_of_any.iter().all(fits);
        if builds.is_empty() && !self.names_several && is_one {
            return named_any.first().copied();
        }
        // Where the project builds for several, only what is published without a platform is surely not among them.
        let is_published = builds.iter().any(|build| build.is_pushed);
        if asks_for_target || (self.names_several && !is_published) {
            return None;
        }
        // Any of these may be this Dockerfile's.
        for built_for in &self.builds_of_any {
            match built_for {
                BuiltFor::Named(archs) => all.extend(archs.iter().copied()),
                BuiltFor::Host(arch) => all.extend(*arch),
                BuiltFor::Unknown => return None,
            }
        }
        let is_built = !builds.is_empty() || !self.builds_of_any.is_empty();
        // A project with a Dockerfile for each architecture has the others for x86-64.
        let has_one_for_each = self.dockerfile_archs.len() > 1;
        let host = all.first().copied().unwrap_or(Arch::Amd64);
        (all.len() < 2 && (is_built || has_one_for_each)).then_some(host)
    }

    /// The architectures that the project's builds of a Dockerfile name.
    pub fn named_archs(&self, dockerfile: &Path) -> BTreeSet<Arch> {
        let builds = self.builds.get(&absolute(dockerfile)).into_iter().flatten();
        let archs = builds.filter_map(|build| match &build.built_for {
            BuiltFor::Named(archs) => Some(archs),
            BuiltFor::Host(_) | BuiltFor::Unknown => None,
        });
        archs.flatten().copied().collect()
    }

    /// The text of a file of the project, by its path from the root.
    pub fn file(&self, path: &str) -> Option<String> {
        let is_inside =
            Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        is_inside.then(|| files::read_regular_text(&self.root.join(path), TEXT_LIMIT).ok()).flatten()
    }

    fn add_builds(&mut self, reading: &mut ProjectReading, path: &Path, name: &str, text: &str) {
        let is_build_file = NAMES.iter().any(|known| name.starts_with(known))
            || BUILD_ENDINGS.iter().any(|ending| name.rsplit_once('.').is_some_and(|(_, last)| last == *ending));
        if !is_build_file {
            return;
        }
        self.names_several |= builds::names_several(text);
        let root = self.root.clone();
        let directory = path.parent().unwrap_or(&root);
        let relative = directory.strip_prefix(&root).unwrap_or(directory);
        let in_ci = |part: &std::ffi::OsStr| CI_DIRECTORIES.iter().any(|known| part == *known);
        let is_ci = CI_NAMES.iter().any(|known| name.starts_with(known)) || relative.iter().any(in_ci);
        if is_ci && reading.ci_text.len() < CI_TEXT_LIMIT {
            reading.ci_text.push_str(text);
        }
        let is_action = matches!(name, "action.yml" | "action.yaml");
        if is_action || relative.ends_with(".github/workflows") {
            let path = path.strip_prefix(&root).unwrap_or(path);
            reading.workflows.insert(path.display().to_string(), text.to_string());
            return;
        }
        let mut found = builds::in_script(text);
        if name.starts_with("cloudbuild") {
            found = builds::in_cloudbuild(text);
        }
        if format_of(Path::new(name), text) == Some(SourceFormat::Compose) {
            self.add_all(directory, builds::in_compose(text));
        } else if is_ci {
            self.add_all(directory, found);
        } else if !found.is_empty() {
            let pushes = builds::pushes(text);
            let name = if name.ends_with("makefile") { "make ".to_string() } else { name.to_string() };
            reading.scripts.push(ProjectScript { directory: directory.to_path_buf(), name, pushes, builds: found });
        }
    }

    /// A script's build counts for the Dockerfile that it names. One of any Dockerfile counts where the script pushes images
    /// or CI runs it.
    fn finish(&mut self, reading: ProjectReading) {
        let root = self.root.clone();
        self.add_all(&root, builds::in_workflows(&reading.workflows));
        for script in reading.scripts {
            let is_published = script.pushes || reading.ci_text.contains(&script.name);
            let counts = |build: &DockerfileBuild| is_published || build.dockerfile.is_some();
            self.add_all(&script.directory, script.builds.into_iter().filter(counts).collect());
        }
    }

    /// Paths are relative to where the command runs: the project's root, or the file's own directory.
    fn add_all(&mut self, directory: &Path, builds: Vec<DockerfileBuild>) {
        for build in builds {
            let Some(dockerfile) = &build.dockerfile else {
                self.builds_of_any.push(build.built_for);
                continue;
            };
            let place = [directory, &self.root].map(|base| base.join(dockerfile)).into_iter().find(|at| at.is_file());
            if let Some(place) = place {
                self.builds.entry(absolute(&place)).or_default().push(build);
            }
        }
    }

    fn add_baked(&mut self, directory: &Path, name: &str, text: &str) {
        let is_json = name.ends_with(".json");
        // Other JSON files are common and large.
        if !(name.ends_with(".hcl") || is_json && name.contains("bake")) {
            return;
        }
        for BakedDockerfile { dockerfile, platforms } in bake::built(text, is_json) {
            let is_absent = platforms.as_ref().is_some_and(Vec::is_empty);
            let archs: Option<BTreeSet<Option<Arch>>> = platforms.map(|platforms| {
                let of = |platform: &String| Platform::parse(platform).ok().and_then(|platform| platform.arch());
                platforms.iter().map(of).collect()
            });
            let arch = archs.filter(|archs| archs.len() == 1).and_then(|archs| archs.into_iter().next().flatten());
            // Paths are relative to where bake is run: the project's root, or the file's own directory.
            let places = [&self.root, directory].map(|base| base.join(&dockerfile));
            let built_for = match (arch, is_absent) {
                (Some(arch), _) => BuiltFor::Named([arch].into()),
                (None, true) => BuiltFor::Host(None),
                (None, false) => BuiltFor::Unknown,
            };
            let build = DockerfileBuild { dockerfile: None, built_for, is_pushed: false };
            for place in places.iter().filter(|place| place.is_file()).map(|place| absolute(place)) {
                self.builds.entry(place.clone()).or_default().push(build.clone());
                self.baked.entry(place).or_default().push(arch);
            }
        }
    }
}

/// The path without its directory that names an architecture; none where it names x86-64, or nothing.
fn without_architecture(path: &Path) -> Option<PathBuf> {
    let parts: Vec<Component<'_>> = path.components().collect();
    let directories = parts.len().checked_sub(1)?;
    let names_other = |part: &Component<'_>| {
        let archs = archs_of_path(Path::new(part.as_os_str()));
        archs.first().is_some_and(|arch| *arch != Arch::Amd64)
    };
    let at = parts[..directories].iter().position(names_other)?;
    Some(parts.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, part)| part).collect())
}

/// Whether two paths differ in one directory only, and that is a version: `1.25/browsers/Dockerfile`.
fn is_other_version(path: &Path, other: &Path) -> bool {
    let has_digit = |part: Component<'_>| part.as_os_str().to_string_lossy().contains(|c: char| c.is_ascii_digit());
    let mut differing = path.components().zip(other.components()).filter(|(one, two)| one != two);
    let is_version = differing.next().is_some_and(|(one, two)| has_digit(one) && has_digit(two));
    is_version
        && differing.next().is_none()
        && path.file_name() == other.file_name()
        && path.components().count() == other.components().count()
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
        // Python's f"NAME={value}".
        let is_prefixed =
            rest.get(1..2).is_some_and(|quote| matches!(quote, "\"" | "'")) && rest.starts_with(['f', 'r', 'b']);
        passed.insert(identifier(if is_prefixed { &rest[2..] } else { rest }));
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
#[path = "project_tests.rs"]
mod tests;
