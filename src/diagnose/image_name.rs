//! Finds the image that a log is about: in messages of engines and services, and in the commands that people typed.

use super::pattern::{Hole, Pattern};

/// The role of an image in the text that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// The image that fails.
    Failing,
    /// An image that the log mentions, failing or not: the one that fails, if it is the only one.
    Mentioned,
    /// `kubectl describe` names the image of each container of a pod in this way.
    Described,
    /// The arguments of a command that runs or pulls an image.
    Command,
}

/// Texts that name an image, anywhere in a line. Source: kubelet images, containerd, containers/image, moby, GitLab
/// Runner, gcloud, Azure's deployment errors, Nomad's docker driver.
pub const IMAGE_NAMES: &[(&str, NameKind)] = &[
    ("Failed to pull image \"{=image}\"", NameKind::Failing),
    ("Failed to pull `{=image}`", NameKind::Failing),
    ("Back-off pulling image \"{=image}\"", NameKind::Failing),
    ("pull and unpack image \"{=image}\"", NameKind::Failing),
    ("image with reference {=image} was found", NameKind::Failing),
    ("docker://{=image}: no image found", NameKind::Failing),
    ("Trying to pull {=image}...", NameKind::Failing),
    ("Base image {=image} was pulled", NameKind::Failing),
    ("Using docker image {=id} for {=image} with digest", NameKind::Failing),
    ("does not support image '{=image}'", NameKind::Failing),
    ("of image '{=image}' does not match the OS type", NameKind::Failing),
    ("Invalid value: \"{=image}\": image OS", NameKind::Failing),
    ("failed to solve: {=image}: no match for platform", NameKind::Failing),
    ("{=image} \"{command}\" {age} Restarting (", NameKind::Failing),
    ("Unable to find image '{=image}' locally", NameKind::Mentioned),
    ("Downloaded newer image for {=image}", NameKind::Mentioned),
    ("Container image \"{=image}\" already present", NameKind::Mentioned),
    ("Successfully pulled image \"{=image}\"", NameKind::Mentioned),
    ("Pulling image \"{=image}\"", NameKind::Mentioned),
    ("Image: {=image}", NameKind::Described),
    ("docker run {command}", NameKind::Command),
    ("docker pull {command}", NameKind::Command),
    ("podman run {command}", NameKind::Command),
    ("podman pull {command}", NameKind::Command),
    ("nerdctl run {command}", NameKind::Command),
    ("nerdctl pull {command}", NameKind::Command),
];

/// Images that prepare a machine for builds. They are not the one that fails.
const HELPERS: &[&str] = &["tonistiigi/binfmt", "multiarch/qemu-user-static", "moby/buildkit"];

/// The image that `pattern`, a row of the given kind, finds in a line.
pub fn named(pattern: &Pattern, kind: NameKind, line: &str, lower: &str) -> Option<String> {
    let holes = pattern.find(line, lower, |_| true)?.holes;
    let value = |wanted: Hole| holes.iter().rfind(|(hole, _)| *hole == wanted).map(|(_, value)| *value);
    let image = match kind {
        NameKind::Failing | NameKind::Mentioned | NameKind::Described => value(Hole::Image)?,
        NameKind::Command => of_command(value(Hole::Command)?)?,
    };
    let image = image.trim_end_matches(['.', ',', ':', ';']);
    let is_name = !image.is_empty() && (kind == NameKind::Failing || image.contains([':', '/', '@']));
    (is_name && !HELPERS.iter().any(|helper| image.contains(helper))).then(|| image.to_string())
}

/// Options of `run` and `pull` that take no value.
const FLAGS: &[&str] = &[
    "--rm",
    "--init",
    "--privileged",
    "--interactive",
    "--tty",
    "--detach",
    "--read-only",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--publish-all",
    "--disable-content-trust",
    "--quiet",
    "--all-tags",
    "--replace",
];

/// The image among the arguments of `run` or `pull`: the first that is neither an option nor the value of one.
fn of_command(arguments: &str) -> Option<&str> {
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            let is_name = word.starts_with(|c: char| c.is_ascii_alphanumeric())
                && word.contains(|c: char| c.is_ascii_lowercase())
                && word.chars().all(|c| c.is_ascii_alphanumeric() || "./:@_-".contains(c));
            return is_name.then_some(word);
        }
        let is_flag = match word.strip_prefix("--") {
            Some(long) => long.contains('=') || FLAGS.contains(&word),
            // `-it`, or an attached value: `-p80:80`. The value of `-itp` is the next word.
            None => word[1..].trim_start_matches(['d', 'i', 't', 'P', 'q', 'a']).len() != 1,
        };
        if !is_flag {
            let value = words.next()?;
            let quote = value.chars().find(|c| "\"'".contains(*c));
            if let Some(quote) = quote.filter(|quote| value.matches(*quote).count() % 2 == 1) {
                words.find(|word| word.contains(quote))?;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::diagnose::recognise::Recogniser;

    fn check(text: &str, image: Option<&str>) {
        let mut found = Recogniser::default();
        found.feed(text.as_bytes());
        assert_eq!(found.image(), image, "{text}");
    }

    #[test]
    fn the_image_that_fails_is_named_by_pulls_warnings_services_and_runners() {
        check(
            "Failed to pull image \"r.example.com/user/app:1\": rpc error: code = NotFound",
            Some("r.example.com/user/app:1"),
        );
        check("Normal   BackOff    20s   kubelet  Back-off pulling image \"user/app\"", Some("user/app"));
        check(
            "choosing an image from manifest list docker://user/app:2: no image found in manifest list",
            Some("user/app:2"),
        );
        check("image with reference user/app:1 was found but does not provide any platform", Some("user/app:1"));
        check("Using docker image sha256:d2dd for org/img:1.0 with digest org/img@sha256:a6 ...", Some("org/img:1.0"));
        check("The OS type 'null' of image 'r.io/app:1' does not match the OS type 'Linux'", Some("r.io/app:1"));
        check("'Invalid value: \"r.io/web:7\": image OS/Arc must be linux/amd64'", Some("r.io/web:7"));
        check("Driver Failure  Failed to pull `redis:7-alpine`: no matching manifest", Some("redis:7-alpine"));
        check(
            "305264c3d123   mongo:latest   \"docker-entrypoint.s…\"   2 weeks ago   Restarting (132) 37 seconds ago",
            Some("mongo:latest"),
        );
    }

    #[test]
    fn the_only_image_of_a_described_pod_is_the_one_that_fails() {
        let one =
            "Containers:\n  app:\n    Image:          r.example/app:3\n    Image ID:       r.example/app@sha256:1\n";
        check(one, Some("r.example/app:3"));
        check(&format!("{one}  side:\n    Image:         side:1\n"), None);
        check("Image: loaded", None);
        let pull = "Failed to pull image \"r.example/side:1\": no match for platform in manifest: not found";
        check(&format!("{one}  {pull}"), Some("r.example/side:1"));
    }

    #[test]
    fn the_only_image_of_a_pods_events_is_the_one_that_fails() {
        let events = "Normal  Pulling  2m  kubelet  Pulling image \"r.io/app:1\"\n\
                      Normal  Pulled  2m  kubelet  Successfully pulled image \"r.io/app:1\" in 1.2s (1.2s including waiting)\n\
                      Normal  Pulled  1m  kubelet  Container image \"r.io/app:1\" already present on machine\n";
        check(events, Some("r.io/app:1"));
        check(&format!("{events}Normal  Pulled  1m  kubelet  Container image \"r.io/b:1\" already present\n"), None);
    }

    #[test]
    fn commands_name_the_image_after_their_options() {
        check("$ docker run --rm -it r.io/app:1 bash", Some("r.io/app:1"));
        check("% docker pull acme/app", Some("acme/app"));
        check("$ sudo podman run --rm --volume ${PWD}:/workspace acme/app:latest --verbose", Some("acme/app:latest"));
        check("docker run -d --name app -p 80:80 -e \"A=b c\" --platform=linux/amd64 acme/app:2", Some("acme/app:2"));
        check("$ sudo docker run -itp 8080:8080 --name app acme/app:2", Some("acme/app:2"));
        check("docker run -p80:80 acme/app:2\nUnable to find image 'acme/app:2' locally", Some("acme/app:2"));
        for text in [
            "docker run --rm --privileged tonistiigi/binfmt --install all",
            "use docker run to start it",
            "docker run -d \\",
            "docker run $IMAGE",
            "docker run -v \"/a b",
            "docker pull a/b:1\ndocker pull a/c:1",
        ] {
            check(text, None);
        }
    }
}
