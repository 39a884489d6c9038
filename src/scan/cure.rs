//! The command that builds a platform of an image anew. It must work when it is pasted in the folder of the sources.

use crate::oci::Reference;

/// For an image of this name, read from `origin`, as a report tells both: only a tag in a registry is rebuilt in place.
pub fn rebuild_command(name: &str, origin: &str, platform: &str) -> String {
    let name = name.trim_start_matches("docker://");
    let reference = Reference::parse(name).ok().filter(|_| origin.starts_with("registry"));
    // The digest is what is wrong.
    let bare = name.split('@').next().unwrap_or(name);
    match reference {
        Some(reference) if reference.digest.is_some() && reference.tag.is_none() => {
            format!("imgarch rebuild {bare}:TAG --platform {platform}")
        }
        Some(_) => format!("imgarch rebuild {bare} --platform {platform}"),
        None if origin.starts_with("Docker Engine") => {
            let bare = bare.trim_start_matches("docker-daemon:");
            format!("docker buildx build --platform {platform} --load -t {bare} .")
        }
        None => format!("docker buildx build --platform {platform} --output type=oci,dest=image.tar ."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, origin: &str, expected: &str) {
        assert_eq!(rebuild_command(name, origin, "linux/arm64"), expected, "{name} from {origin}");
    }

    #[test]
    fn only_a_tag_in_a_registry_is_rebuilt_in_place() {
        let digest = format!("sha256:{}", "a".repeat(64));
        check("user/app", "registry docker.io", "imgarch rebuild user/app --platform linux/arm64");
        check("docker://h:5000/a:1", "registry h:5000", "imgarch rebuild h:5000/a:1 --platform linux/arm64");
        check(&format!("a/b:1@{digest}"), "registry docker.io", "imgarch rebuild a/b:1 --platform linux/arm64");
        check(&format!("h:5000/a@{digest}"), "registry h:5000", "imgarch rebuild h:5000/a:TAG --platform linux/arm64");
        let layout = "docker buildx build --platform linux/arm64 --output type=oci,dest=image.tar .";
        check("testdata/incident/wrong", "OCI layout", layout);
        check("-", "standard input", layout);
        let load = "docker buildx build --platform linux/arm64 --load -t app:1 .";
        check("docker-daemon:app:1", "Docker Engine at unix:///var/run/docker.sock", load);
        check("app:1", "Docker Engine at unix:///var/run/docker.sock", load);
    }
}
