//! The command that rebuilds a platform of an image. It must work when it is pasted in the source directory.

use crate::source::{ImageRef, Origin};

/// The command for an image with this name in a report. Only a registry tag can be repaired in place.
pub fn rebuild_command(name: &str, origin: &Origin, platform: &str) -> String {
    let name = match ImageRef::parse(name) {
        ImageRef::Transport { rest, .. } => rest,
        ImageRef::Bare { .. } | ImageRef::Path(_) | ImageRef::Stdin => name.to_string(),
    };
    // Drop the digest: it names the broken image.
    let bare = name.split('@').next().unwrap_or(&name);
    let archive = format!("docker buildx build --platform {platform} --output type=oci,dest=image.tar .");
    match origin {
        // A digest has no tag to repair.
        Origin::Registry { reference, .. } if reference.digest.is_some() && reference.tag.is_none() => archive,
        Origin::Registry { .. } => format!("imgarch rebuild {bare} --platform {platform}"),
        Origin::DockerEngine { .. } => format!("docker buildx build --platform {platform} --load -t {bare} ."),
        Origin::Store { .. } | Origin::Local { .. } | Origin::Unopened => archive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::oci::Reference;

    fn check(name: &str, origin: &Origin, expected: &str) {
        assert_eq!(rebuild_command(name, origin, "linux/arm64"), expected, "{name} from {origin}");
    }

    fn check_registry(name: &str, expected: &str) {
        let reference = Reference::parse(name.trim_start_matches("docker://")).unwrap();
        check(name, &Origin::Registry { reference, mirror: None }, expected);
    }

    #[test]
    fn only_a_tag_in_a_registry_is_rebuilt_in_place() {
        let digest = format!("sha256:{}", "a".repeat(64));
        check_registry("user/app", "imgarch rebuild user/app --platform linux/arm64");
        check_registry("docker://h:5000/a:1", "imgarch rebuild h:5000/a:1 --platform linux/arm64");
        check_registry(&format!("a/b:1@{digest}"), "imgarch rebuild a/b:1 --platform linux/arm64");
        let layout = "docker buildx build --platform linux/arm64 --output type=oci,dest=image.tar .";
        check_registry(&format!("h:5000/a@{digest}"), layout);
        check("testdata/incident/wrong", &Origin::local("OCI layout"), layout);
        check("-", &Origin::local("standard input"), layout);
        let load = "docker buildx build --platform linux/arm64 --load -t app:1 .";
        let engine = Origin::DockerEngine { place: "Docker Engine at unix:///var/run/docker.sock".to_string() };
        check("docker-daemon:app:1", &engine, load);
        check("app:1", &engine, load);
    }
}
