//! The builds of Dockerfiles that a project's scripts, workflows and compose files describe, and for which architectures.
//! Text in, builds out. What a variable hides is reported as unknown, which never counts as one architecture.

mod workflow;

use std::collections::BTreeSet;

use crate::platform::{Arch, Platform};
use crate::yaml::{self, YamlNode};

pub use workflow::{Workflows, in_workflows};

/// One build of one Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerfileBuild {
    /// Relative to the directory in which the build runs; `None` where a variable names it, so that it may be any.
    pub dockerfile: Option<String>,
    pub built_for: BuiltFor,
    /// Its result is pushed to a registry.
    pub is_pushed: bool,
}

/// The architectures of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuiltFor {
    Named(BTreeSet<Arch>),
    /// Nothing is named, so the build is for the machine that runs it, where its architecture is known.
    Host(Option<Arch>),
    /// A variable decides.
    Unknown,
}

/// Lines and words of a script that are looked at.
const LINE_LIMIT: usize = 50_000;
const WORD_LIMIT: usize = 500;
/// Bytes of the directory that a script changes to; directories of real projects have shorter paths.
const PATH_LIMIT: usize = 512;

impl BuiltFor {
    /// `linux/amd64,linux/arm64`, as `--platform` takes it; also `amd64, arm64`, as buildah's `archs` does.
    pub fn parse(text: &str) -> BuiltFor {
        if text.contains(['$', '{', '%', '<', '*']) {
            return BuiltFor::Unknown;
        }
        let names = text.split(|c: char| c == ',' || c.is_whitespace()).map(|name| name.trim_matches(['"', '\'']));
        let names = names.filter(|name| !name.is_empty());
        let arch_of = |name: &str| match name.contains('/') {
            true => Platform::parse(name).ok().and_then(|platform| platform.arch()),
            false => Arch::parse(name),
        };
        match names.map(arch_of).collect::<Option<BTreeSet<Arch>>>() {
            Some(archs) if !archs.is_empty() => BuiltFor::Named(archs),
            _ => BuiltFor::Unknown,
        }
    }
}

/// Options of the build commands that take a value as the next word.
/// Source: `docker buildx build --help`, `podman build --help`, `buildah build --help`, kaniko's README.
const WITH_VALUE: &[&str] = &[
    "-t",
    "--tag",
    "--build-arg",
    "--target",
    "--label",
    "-o",
    "--output",
    "--cache-from",
    "--cache-to",
    "--secret",
    "--ssh",
    "--network",
    "--progress",
    "--builder",
    "--metadata-file",
    "--iidfile",
    "--add-host",
    "-m",
    "--memory",
    "--shm-size",
    "--ulimit",
    "--security-opt",
    "--format",
    "--authfile",
    "--manifest",
    "--annotation",
    "--attest",
    "--allow",
    "--build-context",
    "--isolation",
    "--cgroup-parent",
    "--cpuset-cpus",
    "-d",
    "--destination",
    "--volume",
    "-v",
    "--cache-repo",
    "--ignorefile",
    "--retry",
];

/// The `docker build` commands of a script, a Makefile or a CI file, by its lines.
pub fn in_script(text: &str) -> Vec<DockerfileBuild> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let is_pushed = pushes(text);
    let mut directory = String::new();
    let mut builds = Vec::new();
    for line in joined.lines().take(LINE_LIMIT) {
        let line = line.trim_start().trim_start_matches("- ");
        if let Some(target) = line.strip_prefix("cd ").filter(|target| !target.contains([';', '&', '|', '$'])) {
            directory = normalized(&format!("{directory}/{}", target.trim().trim_matches(['"', '\''])));
            // Each line reads it again.
            if directory.len() > PATH_LIMIT {
                directory.clear();
            }
            continue;
        }
        for build in in_line(line) {
            // The line may run in the directory of an earlier one, or a new shell runs it.
            let moved = build.dockerfile.as_ref().filter(|_| !directory.is_empty());
            let moved = moved.map(|path| DockerfileBuild {
                dockerfile: Some(normalized(&format!("{directory}/{path}"))),
                ..build.clone()
            });
            builds
                .extend([Some(build), moved].into_iter().flatten().map(|build| DockerfileBuild { is_pushed, ..build }));
        }
    }
    builds
}

/// Whether a script pushes images.
pub fn pushes(text: &str) -> bool {
    ["docker push", "podman push", "buildah push", "--push", "push=true", "--destination"]
        .iter()
        .any(|word| text.contains(word))
}

/// A relative path without `.` and `..`, as far as it does not leave its start.
pub fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn in_line(line: &str) -> Vec<DockerfileBuild> {
    if line.starts_with('#') || !(line.contains("build") || line.contains("bud") || line.contains("executor")) {
        return Vec::new();
    }
    let mut builds = Vec::new();
    let mut directory = "";
    for command in line.split([';', '|', '&']) {
        let words: Vec<&str> = command
            .split_ascii_whitespace()
            .take(WORD_LIMIT)
            .map(|word| word.trim_matches(['"', '\'', '(', ')', '`', ',', '[', ']']))
            .collect();
        if let Some(at) = words.iter().position(|word| *word == "cd" || *word == "pushd") {
            directory = words.get(at + 1).copied().unwrap_or("");
        }
        let Some(engine) = words.iter().position(|word| is_engine(word)) else { continue };
        let rest = &words[engine + 1..];
        let options = match rest {
            _ if words[engine].ends_with("executor") => rest,
            ["build" | "bud", options @ ..] | ["buildx" | "image" | "builder", "build" | "b", options @ ..] => options,
            _ => continue,
        };
        builds.extend(of_options(directory, options));
    }
    builds
}

/// `docker`, `/usr/bin/podman`, `$(DOCKER)`, kaniko's `executor`.
fn is_engine(word: &str) -> bool {
    let name = word.trim_matches(['@', '$', '(', ')', '{', '}', '-', '+']).rsplit('/').next().unwrap_or("");
    let known = ["docker", "podman", "buildah", "nerdctl", "container_engine", "container_tool", "container_runtime"];
    known.iter().any(|engine| name.eq_ignore_ascii_case(engine)) || word.ends_with("kaniko/executor")
}

fn of_options(directory: &str, words: &[&str]) -> Option<DockerfileBuild> {
    let (mut file, mut context, mut platforms) = (None, None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((*word, None), |(name, value)| (name, Some(value)));
        let mut value = || value.or_else(|| words.next().copied()).unwrap_or("").trim_matches(['"', '\'']);
        match name {
            "-f" | "--file" | "--dockerfile" => file = Some(value()),
            "--platform" | "--platforms" | "--arch" | "--custom-platform" | "--customPlatform" => {
                platforms = Some(value());
            }
            "-c" | "--context" => context = Some(value()),
            _ if WITH_VALUE.contains(&name) => {
                value();
            }
            _ if name.starts_with('-') && name.len() > 1 => {}
            _ if word.starts_with(['>', '<', '#']) => break,
            _ if context.is_none() => context = Some(*word),
            _ => {}
        }
    }
    // The Dockerfile comes from a pipe.
    if file == Some("-") || (file.is_none() && context == Some("-")) {
        return None;
    }
    let built_for = platforms.map_or(BuiltFor::Host(None), BuiltFor::parse);
    let dockerfile = dockerfile_path(directory, context.unwrap_or("."), file);
    Some(DockerfileBuild { dockerfile, built_for, is_pushed: false })
}

/// The Dockerfile that a build reads: `file` is relative to the directory of the command, the usual name to the context.
fn dockerfile_path(directory: &str, context: &str, file: Option<&str>) -> Option<String> {
    let path = match file {
        Some(file) => format!("{directory}/{file}"),
        None => format!("{directory}/{context}/Dockerfile"),
    };
    let mut path = path.trim_start_matches('/').to_string();
    for root in PROJECT_ROOTS {
        path = path.replace(root, "");
    }
    let path = normalized(&path);
    (!path.contains(['$', '{', '%', '*', '`', ':'])).then_some(path)
}

/// Expressions for the checked-out project's directory in scripts and CI files.
const PROJECT_ROOTS: &[&str] = &[
    "$(CURDIR)",
    "$(PWD)",
    "$(pwd)",
    "${PWD}",
    "$PWD",
    "${{ github.workspace }}",
    "${{github.workspace}}",
    "${GITHUB_WORKSPACE}",
    "$GITHUB_WORKSPACE",
    "${CI_PROJECT_DIR}",
    "$CI_PROJECT_DIR",
    "$(Build.SourcesDirectory)",
    "${WORKSPACE}",
    "$WORKSPACE",
    "dir:///workspace",
];

/// Services that name the platform of their build. What names none is built on every developer's machine.
/// Source: compose-spec, build.md and 05-services.md.
pub fn in_compose(text: &str) -> Vec<DockerfileBuild> {
    let documents = yaml::parse(text).unwrap_or_default();
    let services = documents.iter().filter_map(|root| root.value("services")).flat_map(YamlNode::pairs);
    let build_of = |(_, service): &(YamlNode, YamlNode)| {
        let build = service.value("build")?;
        let named = build.value("platforms").map(YamlNode::texts).filter(|names| !names.is_empty());
        let named = named.or_else(|| Some(service.value("platform")?.texts()))?;
        let context = build.text().or_else(|| build.value("context").and_then(YamlNode::text)).unwrap_or(".");
        let dockerfile = build.value("dockerfile").and_then(YamlNode::text).unwrap_or("Dockerfile");
        let dockerfile = dockerfile_path(context, ".", Some(dockerfile));
        Some(DockerfileBuild { dockerfile, built_for: BuiltFor::parse(&named.join(",")), is_pushed: false })
    };
    services.filter_map(build_of).collect()
}

/// The Docker steps of Google Cloud Build. Source: Cloud Build's "Build configuration file schema".
pub fn in_cloudbuild(text: &str) -> Vec<DockerfileBuild> {
    let documents = yaml::parse(text).unwrap_or_default();
    let steps = documents.iter().filter_map(|root| root.value("steps")).flat_map(YamlNode::items);
    let builds_of = |step: &YamlNode| {
        let name = step.value("name").and_then(YamlNode::text).unwrap_or("");
        let directory = step.value("dir").and_then(YamlNode::text).unwrap_or("");
        let words = step.value("args").map_or(Vec::new(), YamlNode::texts);
        match words.as_slice() {
            ["build" | "buildx", options @ ..] if name.contains("docker") => {
                of_options(directory, options.strip_prefix(&["build"]).unwrap_or(options)).into_iter().collect()
            }
            _ => words.into_iter().flat_map(in_script).collect::<Vec<_>>(),
        }
    };
    // `images:` are pushed at the end.
    let is_pushed = pushes(text) || documents.iter().any(|root| root.value("images").is_some());
    steps.flat_map(builds_of).map(|build| DockerfileBuild { is_pushed, ..build }).collect()
}

/// Whether a CI file or script shows that images of the project are built for several architectures.
pub fn names_several(text: &str) -> bool {
    const SIGNS: &[&str] = &[
        "linux/arm",
        "linux/aarch64",
        "linux/ppc64le",
        "linux/s390x",
        "linux/riscv64",
        "linux/386",
        "setup-qemu-action",
        "qemu-user-static",
        "tonistiigi/binfmt",
        "manifest create",
        "manifest-tool",
        "imagetools create",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[Arch]) -> BuiltFor {
        BuiltFor::Named(names.iter().copied().collect())
    }

    fn build(dockerfile: Option<&str>, built_for: BuiltFor) -> DockerfileBuild {
        DockerfileBuild { dockerfile: dockerfile.map(str::to_string), built_for, is_pushed: false }
    }

    #[test]
    fn a_directory_is_bounded_and_stays_within_its_start() {
        let deep = format!("{}docker build -f x .\n", "cd abc\n".repeat(LINE_LIMIT - 1));
        let builds = in_script(&deep);
        assert!(builds.iter().all(|build| build.dockerfile.as_ref().is_some_and(|path| path.len() <= 2 * PATH_LIMIT)));
        assert_eq!(builds.len(), 2);
        for (path, expected) in [("./a", "a"), (".b/a", ".b/a"), ("/a/../../b/", "b"), (".", ""), ("a//*.x", "a/*.x")] {
            assert_eq!(normalized(path), expected);
        }
    }

    #[test]
    fn commands_name_a_dockerfile_and_platforms() {
        let host = || BuiltFor::Host(None);
        for (line, expected) in [
            ("docker build .", build(Some("Dockerfile"), host())),
            ("\t@$(DOCKER) build -t x --build-arg A=b img", build(Some("img/Dockerfile"), host())),
            (
                "- docker buildx build --platform=linux/amd64 -f a/D.dev a",
                build(Some("a/D.dev"), named(&[Arch::Amd64])),
            ),
            (
                "cd img && podman build --platform linux/amd64,linux/arm64 .",
                build(Some("img/Dockerfile"), named(&[Arch::Amd64, Arch::Arm64])),
            ),
            ("docker build --platform \\\n  $P -f $F .", build(None, BuiltFor::Unknown)),
            ("/kaniko/executor --context $CI_PROJECT_DIR/b --no-push", build(Some("b/Dockerfile"), host())),
            ("buildah bud --arch arm64 -f ./C .", build(Some("C"), named(&[Arch::Arm64]))),
        ] {
            assert_eq!(in_script(line), [expected], "{line}");
        }
        for line in
            ["docker build - < Dockerfile", "# docker build .", "docker push x", "docker compose build", "make build"]
        {
            assert_eq!(in_script(line), [], "{line}");
        }
    }

    #[test]
    fn compose_services_and_cloud_builds_are_builds() {
        let compose = "services:\n  a:\n    build: {context: img, platforms: [linux/amd64]}\n  b:\n    build: .\n  c:\n    platform: linux/arm64\n    build: ./c\n";
        let expected =
            [build(Some("img/Dockerfile"), named(&[Arch::Amd64])), build(Some("c/Dockerfile"), named(&[Arch::Arm64]))];
        assert_eq!(in_compose(compose), expected);
        let steps = "steps:\n- name: gcr.io/cloud-builders/docker\n  dir: x\n  args: ['build', '-t', 'y', '.']\n";
        assert_eq!(in_cloudbuild(steps), [build(Some("x/Dockerfile"), BuiltFor::Host(None))]);
    }
}
