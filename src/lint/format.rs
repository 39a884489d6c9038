//! Which files the lint reads, told by name and, where a name does not tell, by content.

use std::path::Path;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Dockerfile,
    Compose,
    BakeHcl,
    BakeJson,
    GithubWorkflow,
}

/// What follows `dockerfile.` in the names of programs and texts about Dockerfiles.
const NOT_VARIANTS: &[&str] = &[
    "go", "rs", "py", "js", "ts", "rb", "java", "c", "h", "md", "txt", "sh", "json", "yml", "yaml", "toml", "html",
    "css", "lock",
];

/// The format of a file; `None` where it is none of ours. YAML is told by its place or its name.
pub fn format_of(path: &Path, text: &str) -> Option<Format> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let in_workflows = path.parent().is_some_and(|folder| folder.ends_with(".github/workflows"));
    let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    let stem = name.split('.').next().unwrap_or("");
    match name.as_str() {
        _ if name.ends_with(".dockerignore") => None,
        "dockerfile" | "containerfile" => Some(Format::Dockerfile),
        _ if name.starts_with("dockerfile.") || name.starts_with("containerfile.") => {
            let last = name.rsplit('.').next().unwrap_or("");
            (!NOT_VARIANTS.contains(&last)).then_some(Format::Dockerfile)
        }
        _ if name.ends_with(".dockerfile") || name.ends_with(".containerfile") => Some(Format::Dockerfile),
        _ if name.ends_with(".hcl") && stem.starts_with("docker-bake") => Some(Format::BakeHcl),
        _ if name.ends_with(".json") && stem.starts_with("docker-bake") => Some(Format::BakeJson),
        _ if is_yaml && in_workflows => Some(Format::GithubWorkflow),
        _ if is_yaml && (stem.starts_with("docker-compose") || stem.starts_with("compose")) => Some(Format::Compose),
        // A file that the user named himself.
        _ if is_yaml && has_keys(text, &["on:", "jobs:"]) => Some(Format::GithubWorkflow),
        _ if is_yaml && has_keys(text, &["services:"]) => Some(Format::Compose),
        _ => None,
    }
}

/// Whether the text has all of these as keys of its outermost mapping.
fn has_keys(text: &str, keys: &[&str]) -> bool {
    keys.iter().all(|key| text.lines().any(|line| line.trim_matches(['"', '\'']).starts_with(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: Option<Format>) {
        assert_eq!(format_of(Path::new(path), text), expected, "{path}");
    }

    #[test]
    fn names_tell_and_content_helps() {
        check("a/Dockerfile", "", Some(Format::Dockerfile));
        check("Dockerfile.dev", "", Some(Format::Dockerfile));
        check("dockerfile.go", "", None);
        check("app.Dockerfile", "", Some(Format::Dockerfile));
        check("Dockerfile.dockerignore", "", None);
        check("Containerfile", "", Some(Format::Dockerfile));
        check("docker-compose.prod.yml", "", Some(Format::Compose));
        check("compose.yaml", "", Some(Format::Compose));
        check("docker-bake.override.hcl", "", Some(Format::BakeHcl));
        check("docker-bake.json", "", Some(Format::BakeJson));
        check(".github/workflows/ci.yml", "", Some(Format::GithubWorkflow));
        check("ci.yml", "on: push\njobs:\n", Some(Format::GithubWorkflow));
        check("stack.yml", "services:\n  a: {}\n", Some(Format::Compose));
        check("values.yaml", "image: x\n", None);
        check("main.rs", "", None);
    }
}
