//! Composes the commands that build one platform.

use std::path::{Path, PathBuf};

use super::bake::BakeTarget;
use super::docker::CommandLine;
use super::request::{BuildSettings, Delivery, RebuildRequest};
use super::tool::BuildTool;
use crate::oci::Digest;
use crate::platform::Platform;

/// The commands that build one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildCommands {
    pub build: CommandLine,
    /// Writes the result to the layout. buildx does that as part of the build.
    pub export: Option<CommandLine>,
    /// Removes what the build left in the tool's storage, even if a command before it failed.
    pub cleanup: Option<CommandLine>,
    /// The file that buildx writes its metadata to.
    pub metadata: PathBuf,
}

/// Returns the platform in a form for file names, such as `linux-arm-v7`.
pub fn file_name(platform: &Platform) -> String {
    platform.to_string().replace('/', "-")
}

/// Returns the directory that this platform's layout is written to.
pub fn layout_directory(build: &BuildSettings, platform: &Platform) -> PathBuf {
    build.work.join(file_name(platform))
}

/// Returns the commands that build `platform` with `tool`.
pub fn build_commands(
    tool: BuildTool,
    request: &RebuildRequest,
    platform: &Platform,
    delivery: Delivery,
) -> BuildCommands {
    let metadata = request.build.work.join(format!("{}.json", file_name(platform)));
    match tool {
        BuildTool::Docker => {
            let build = buildx_command(request, platform, delivery, &metadata);
            BuildCommands { build, export: None, cleanup: None, metadata }
        }
        BuildTool::Podman | BuildTool::Buildah => container_commands(tool, request, platform, metadata),
    }
}

/// Returns the commands of podman or buildah: they build into a manifest list of their own storage, and write that to
/// the layout. Removing the list leaves the layers, which are the cache of the next build.
fn container_commands(
    tool: BuildTool,
    request: &RebuildRequest,
    platform: &Platform,
    metadata: PathBuf,
) -> BuildCommands {
    let build = &request.build;
    // Other runs may build at the same time.
    let run = Digest::from_bytes(build.work.display().to_string().as_bytes());
    let list = format!("localhost/imgarch-rebuild:{}-{}", &run.hex()[..12], file_name(platform));
    let layout = format!("oci:{}", layout_directory(build, platform).display());
    let line = |words: &[&str]| CommandLine::new([tool.name()].iter().chain(words));
    let mut command = line(&["build", "--platform", &platform.to_string(), "--manifest", &list]);
    if let Some(dockerfile) = &build.dockerfile {
        command.0.extend(["--file".to_string(), dockerfile.display().to_string()]);
    }
    command.0.extend(build.extra.iter().cloned());
    command.0.push(build.context.clone());
    BuildCommands {
        build: command,
        export: Some(line(&["manifest", "push", "--all", &list, &layout])),
        cleanup: Some(line(&["manifest", "rm", &list])),
        metadata,
    }
}

/// Returns the buildx command that builds `platform` and writes buildx's metadata to `metadata`.
fn buildx_command(request: &RebuildRequest, platform: &Platform, delivery: Delivery, metadata: &Path) -> CommandLine {
    let build = &request.build;
    let name = format!("{}/{}", request.reference.registry, request.reference.repository);
    let directory = layout_directory(build, platform);
    let output = match delivery {
        Delivery::ByDigest => format!("type=image,name={name},push-by-digest=true,name-canonical=true,push=true"),
        Delivery::ByLayout | Delivery::Local | Delivery::Supplied => {
            format!("type=oci,dest={},tar=false", directory.display())
        }
    };
    let (platform, metadata) = (platform.to_string(), metadata.display().to_string());
    let mut words: Vec<String> = Vec::new();
    let mut add = |more: &[&str]| words.extend(more.iter().map(|word| word.to_string()));
    // By default, BuildKit attests only what it pushes.
    let has_option = |name: &str| build.extra.iter().any(|word| word.starts_with(name));
    let attests = has_option("--provenance")
        || has_option("--attest")
        || build.bake.as_ref().is_some_and(|target| target.attests);
    let provenance: &[&str] =
        if delivery == Delivery::ByLayout && !attests { &["--provenance", "mode=min"] } else { &[] };
    match &build.bake {
        Some(BakeTarget { name: target, linked, .. }) => {
            add(&["buildx", "bake", "--metadata-file", &metadata]);
            for one in std::iter::once(target).chain(linked) {
                add(&["--set", &format!("{one}.platform={platform}")]);
            }
            add(&["--set", &format!("{target}.output={output}")]);
            // Replaces the file's tags, which would be pushed, by the bare name. docker/bake-action does this in digest
            // builds.
            let tag = if delivery == Delivery::ByDigest { name.as_str() } else { "" };
            add(&["--set", &format!("{target}.tags={tag}")]);
            add(provenance);
            words.extend(build.extra.iter().cloned());
            words.push(target.clone());
        }
        None => {
            add(&["buildx", "build", "--platform", &platform, "--output", &output, "--metadata-file", &metadata]);
            add(provenance);
            if let Some(dockerfile) = &build.dockerfile {
                add(&["--file", &dockerfile.display().to_string()]);
            }
            words.extend(build.extra.iter().cloned());
            words.push(build.context.clone());
        }
    }
    CommandLine::docker(words)
}
