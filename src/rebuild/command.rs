//! The command that builds one platform.

use std::path::{Path, PathBuf};

use super::bake::BakeTarget;
use super::docker::CommandLine;
use super::request::{BuildSettings, Delivery, Request};
use crate::platform::Platform;

/// `linux-arm-v7`.
pub fn file_name(platform: &Platform) -> String {
    platform.to_string().replace('/', "-")
}

/// Where a layout of this platform is written.
pub fn layout_folder(build: &BuildSettings, platform: &Platform) -> PathBuf {
    build.work.join(file_name(platform))
}

/// Builds `platform` and writes what buildx says of it to `metadata`.
pub fn build_command(request: &Request, platform: &Platform, delivery: Delivery, metadata: &Path) -> CommandLine {
    let build = &request.build;
    let name = format!("{}/{}", request.reference.registry, request.reference.repository);
    let folder = layout_folder(build, platform);
    let output = match delivery {
        Delivery::ByDigest => format!("type=image,name={name},push-by-digest=true,name-canonical=true,push=true"),
        Delivery::ByLayout | Delivery::Local | Delivery::Supplied => {
            format!("type=oci,dest={},tar=false", folder.display())
        }
    };
    let (platform, metadata) = (platform.to_string(), metadata.display().to_string());
    let mut words: Vec<String> = Vec::new();
    let mut say = |more: &[&str]| words.extend(more.iter().map(|word| word.to_string()));
    // BuildKit attests by itself only what it pushes.
    let says = |name: &str| build.extra.iter().any(|word| word.starts_with(name));
    let attests = says("--provenance") || says("--attest") || build.bake.as_ref().is_some_and(|target| target.attests);
    let provenance: &[&str] =
        if delivery == Delivery::ByLayout && !attests { &["--provenance", "mode=min"] } else { &[] };
    match &build.bake {
        Some(BakeTarget { name: target, linked, .. }) => {
            say(&["buildx", "bake", "--metadata-file", &metadata]);
            for one in std::iter::once(target).chain(linked) {
                say(&["--set", &format!("{one}.platform={platform}")]);
            }
            say(&["--set", &format!("{target}.output={output}")]);
            // The tags of the file would be pushed; this is the name alone, as docker/bake-action's digest builds have it.
            let tag = if delivery == Delivery::ByDigest { name.as_str() } else { "" };
            say(&["--set", &format!("{target}.tags={tag}")]);
            say(provenance);
            words.extend(build.extra.iter().cloned());
            words.push(target.clone());
        }
        None => {
            say(&["buildx", "build", "--platform", &platform, "--output", &output, "--metadata-file", &metadata]);
            say(provenance);
            if let Some(dockerfile) = &build.dockerfile {
                say(&["--file", &dockerfile.display().to_string()]);
            }
            words.extend(build.extra.iter().cloned());
            words.push(build.context.clone());
        }
    }
    CommandLine::docker(words)
}
