//! Recognises names of images in the texts of objects, and the words that run a script. Pure.

use serde_json::{Map, Value};

use crate::exec::UNKNOWN_TEXT;
use crate::oci::Reference;

/// `imageName`, `proxyImage`, `baseImage` of a custom resource.
pub fn is_image_field(key: &str) -> bool {
    key == "imageName" || key.len() > "Image".len() && key.ends_with("Image")
}

/// Whether the text looks like `team/app:v1` or `app@sha256:...`, unlike a description or a path.
pub fn is_tagged(text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or(text);
    name.contains([':', '@']) || text.contains("$(") || text.contains("{{")
}

/// Whether a field, variable or option called `name` names an image that another program starts: the text has a
/// registry's host, and a tag or digest.
pub fn is_operand(name: &str, text: &str) -> bool {
    let has_host = text.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) && !host.ends_with(':'));
    let is_alone = || !text.contains(char::is_whitespace) && !text.contains(['{', '$', '*', '=', ',']);
    let is_about_images = || name.to_ascii_lowercase().contains("image");
    has_host && is_about_images() && is_alone() && is_tagged(text) && Reference::parse(text).is_ok()
}

/// Whether a variable's name alone shows that its value is the name of an image.
pub fn is_image_variable(name: &str) -> bool {
    name == "IMAGE" || name.ends_with("_IMAGE") || name.starts_with("RELATED_IMAGE_")
}

/// Whether an image contains a value that is not known.
pub fn is_unknown(image: &str) -> bool {
    image.contains([UNKNOWN_TEXT, '$', '{'])
}

/// Whether an image is a name, not a pattern, a URL or a sentence.
pub fn is_name(image: &str) -> bool {
    !is_unknown(image) && !image.contains(['*', '?', '!', ' ', '\n']) && !image.contains("://")
}

/// `image` with the repository or the tag that are in fields next to it.
pub fn joined(fields: &Map<String, Value>, image: &str) -> String {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let repository = text("repository");
    let tag = text("tag").or_else(|| text("imageTag")).or_else(|| repository.and_then(|_| text("version")));
    match (repository, tag) {
        _ if image.is_empty() || is_tagged(image) => image.to_string(),
        (Some(repository), Some(digest)) if digest.starts_with("sha256:") => format!("{repository}/{image}@{digest}"),
        (Some(repository), Some(tag)) => format!("{repository}/{image}:{tag}"),
        (None, Some(tag)) => format!("{image}:{tag}"),
        (_, None) => image.to_string(),
    }
}

/// The command that runs a script: its `#!` line, or /bin/sh.
/// Source: Tekton's pkg/pod/script.go `convertListOfSteps`, `defaultScriptPreamble`.
pub fn script_words(script: &str) -> Vec<String> {
    let line = script.trim_start().lines().next().and_then(|line| line.strip_prefix("#!")).unwrap_or("/bin/sh");
    with_text(line.split_whitespace().map(str::to_string).collect(), script)
}

/// Passes the text to a shell with `-c`, unless it still contains a template. For other interpreters, only the
/// interpreter's own start is judged.
pub fn with_text(mut words: Vec<String>, text: &str) -> Vec<String> {
    let name = words.last().map_or("", |word| word.rsplit('/').next().unwrap_or_default());
    let is_shell = matches!(name, "sh" | "bash" | "dash" | "ash" | "ksh" | "zsh");
    if is_shell && !text.contains(UNKNOWN_TEXT) && !text.contains("$(") && !text.contains("{{") {
        words.extend(["-c".to_string(), text.to_string()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_have_a_host_and_a_tag() {
        let digest = format!("gcr.io/a/b@sha256:{}", "0".repeat(64));
        for (name, text, expected) in [
            ("RELATED_IMAGE_A", "quay.io/a/b:v1", true),
            ("--sidecar-image", digest.as_str(), true),
            ("image", "localhost:5000/a:1", true),
            ("image", "a/b:1", false),
            ("image", "quay.io/a/b", false),
            ("URL", "quay.io/a/b:v1", false),
            ("IMAGE_URL", "https://x.io/a.png:1", false),
            ("IMAGE", "${REGISTRY}.io/a:1", false),
        ] {
            assert_eq!(is_operand(name, text), expected, "{name} {text}");
        }
    }
}
