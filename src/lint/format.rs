//! Determines the format of a file, and its architecture, from its name or else its content.

use std::path::Path;

use crate::platform::{Arch, word};

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFormat {
    Dockerfile,
    Compose,
    BakeHcl,
    BakeJson,
    GithubWorkflow,
}

/// Extensions of programs and documents about Dockerfiles.
const NOT_VARIANTS: &[&str] = &[
    "go",
    "rs",
    "py",
    "js",
    "ts",
    "rb",
    "java",
    "c",
    "h",
    "md",
    "rst",
    "txt",
    "sh",
    "bash",
    "ps1",
    "json",
    "yml",
    "yaml",
    "toml",
    "html",
    "css",
    "lock",
    "golden",
    "orig",
    "bak",
    "swp",
    "patch",
    "diff",
    "log",
    "dockerignore",
    "snap",
];

/// Extensions of templates, which have to be rendered first.
const TEMPLATES: &[&str] = &[
    "j2", "jinja2", "jinja", "tmpl", "tpl", "templ", "erb", "gotmpl", "template", "in", "ejs", "mustache", "hbs",
    "jsonnet", "ncl",
];

/// Returns the format of a file. `None` if it is not supported. YAML files are recognized by their directory or name,
/// or else by their keys in `text`.
pub fn format_of(path: &Path, text: &str) -> Option<SourceFormat> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let in_workflows = path.parent().is_some_and(|directory| directory.ends_with(".github/workflows"));
    let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    let stem = name.split('.').next().unwrap_or("");
    match name.as_str() {
        _ if is_dockerfile_name(&name) => Some(SourceFormat::Dockerfile),
        _ if name.ends_with(".hcl") && stem.starts_with("docker-bake") => Some(SourceFormat::BakeHcl),
        _ if name.ends_with(".json") && stem.starts_with("docker-bake") => Some(SourceFormat::BakeJson),
        _ if is_yaml && in_workflows => Some(SourceFormat::GithubWorkflow),
        _ if is_yaml && (stem.starts_with("docker-compose") || stem.starts_with("compose")) => {
            Some(SourceFormat::Compose)
        }
        // A file named on the command line.
        _ if is_yaml && has_keys(text, &["on:", "jobs:"]) => Some(SourceFormat::GithubWorkflow),
        _ if is_yaml && has_keys(text, &["services:"]) => Some(SourceFormat::Compose),
        _ => None,
    }
}

/// `Dockerfile`, `Dockerfile.dev`, `Dockerfile-8.2`, `Dockerfile_arm`, `app.Dockerfile`, and the same with
/// `Containerfile`.
fn is_dockerfile_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or("");
    if NOT_VARIANTS.contains(&last) {
        return false;
    }
    ["dockerfile", "containerfile"].iter().any(|kind| {
        let is_variant =
            name.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']));
        is_variant || name.strip_suffix(kind).is_some_and(|rest| rest.ends_with('.'))
    })
}

/// Whether a file is a template according to its name: `Dockerfile.j2`, `app.Dockerfile.erb`.
pub fn is_template(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_ascii_lowercase();
    let is_one = |ending: &&str| name.rsplit('.').next() == Some(ending);
    TEMPLATES.iter().any(is_one) && (name.contains("dockerfile") || name.contains("containerfile"))
}

/// Whether a text has placeholders of a template engine: at the start of a line, or in FROM. Shell scripts also use
/// braces.
pub fn has_placeholders(text: &str) -> bool {
    text.lines()
        .map(str::trim_start)
        .any(|line| ["{{", "{%", "<%", "{#", "@@"].iter().any(|mark| line.starts_with(mark)))
        || text.lines().any(|line| {
            line.trim_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case("FROM")) && line.contains("{{")
        })
}

/// Whether a text may be a Dockerfile, because its first instruction is FROM or ARG.
pub fn is_dockerfile_text(text: &str) -> bool {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with('#'));
    let word = first.and_then(|line| line.split_ascii_whitespace().next()).unwrap_or("");
    word.eq_ignore_ascii_case("FROM") || word.eq_ignore_ascii_case("ARG")
}

/// Returns the architectures in a path: `Dockerfile.arm64`, `arm32v7/Dockerfile`, `linux-amd64/Dockerfile`. If the file
/// name contains none, the last three directories count.
pub fn archs_of_path(path: &Path) -> Vec<Arch> {
    let names =
        [path.file_name()].into_iter().flatten().chain(path.parent().into_iter().flat_map(Path::iter).rev().take(3));
    let mut named = names.filter_map(|name| name.to_str()).map(|name| archs_in_name(&name.to_ascii_lowercase()));
    named.find(|archs| !archs.is_empty()).unwrap_or_default()
}

fn archs_in_name(name: &str) -> Vec<Arch> {
    let words = word::find(name);
    if !words.is_empty() {
        return words.into_iter().map(|token| token.arch).collect();
    }
    // A short word counts only alone, as the last part, or next to a word such as `linux`.
    let parts: Vec<&str> = name.split(['.', '-', '_']).collect();
    let is_telling = ["dockerfile", "containerfile", "linux", "docker"].iter().any(|word| parts.contains(word));
    let is_telling = is_telling || parts.len() == 1;
    let last = parts.last().copied();
    let named = parts.into_iter().filter(|part| is_telling || Some(*part) == last);
    // People call both Arms so.
    let archs_of = |part: &str| arch_word(part).into_iter().chain((part == "arm").then_some(Arch::Arm64));
    named.flat_map(archs_of).collect()
}

/// Parses an architecture's name, except ordinary words and numbers.
fn arch_word(text: &str) -> Option<Arch> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_rare = matches!(text, "alpha" | "sh" | "mips" | "ppc" | "parisc" | "sparc" | "68k");
    Arch::parse(text).filter(|_| (!is_number || text == "386") && !is_rare)
}

/// Whether the text has all of these keys in its outermost mapping.
fn has_keys(text: &str, keys: &[&str]) -> bool {
    keys.iter().all(|key| text.lines().any(|line| line.trim_matches(['"', '\'']).starts_with(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: Option<SourceFormat>) {
        assert_eq!(format_of(Path::new(path), text), expected, "{path}");
    }

    #[test]
    fn a_format_is_recognized_by_name_or_content() {
        check("a/Dockerfile", "", Some(SourceFormat::Dockerfile));
        check("Dockerfile.dev", "", Some(SourceFormat::Dockerfile));
        check("dockerfile.go", "", None);
        check("app.Dockerfile", "", Some(SourceFormat::Dockerfile));
        check("Dockerfile.dockerignore", "", None);
        check("Containerfile", "", Some(SourceFormat::Dockerfile));
        check("docker-compose.prod.yml", "", Some(SourceFormat::Compose));
        check("compose.yaml", "", Some(SourceFormat::Compose));
        check("docker-bake.override.hcl", "", Some(SourceFormat::BakeHcl));
        check("docker-bake.json", "", Some(SourceFormat::BakeJson));
        check(".github/workflows/ci.yml", "", Some(SourceFormat::GithubWorkflow));
        check("ci.yml", "on: push\njobs:\n", Some(SourceFormat::GithubWorkflow));
        check("stack.yml", "services:\n  a: {}\n", Some(SourceFormat::Compose));
        check("values.yaml", "image: x\n", None);
        check("main.rs", "", None);
        for name in ["Dockerfile-8.2", "Dockerfile_arm", "php.dockerfile", "Containerfile.dev", "Containerfile-arm64"] {
            check(name, "", Some(SourceFormat::Dockerfile));
        }
        for name in ["dockerfile.json.golden", "Dockerfiles", "dockerfile-build.sh", "Dockerfile.md", "mydockerfile"] {
            check(name, "", None);
        }
    }

    #[test]
    fn a_template_is_recognized_by_its_name_or_its_text() {
        for name in ["Dockerfile.j2", "Dockerfile.alpine.jinja2", "app.Dockerfile.erb", "Dockerfile.gotmpl"] {
            assert!(is_template(Path::new(name)), "{name}");
        }
        assert!(!is_template(Path::new("Dockerfile")) && !is_template(Path::new("values.tmpl")));
        assert!(has_placeholders("{{ if x }}\nFROM a\n") && has_placeholders("FROM {{ base }}\n"));
        assert!(!has_placeholders("FROM a\nRUN docker inspect -f '{{.Id}}' x\n"));
    }

    #[test]
    fn a_path_names_the_architecture_of_its_file() {
        for (path, expected) in [
            ("Dockerfile.arm64", Some(Arch::Arm64)),
            ("Dockerfile_arm", Some(Arch::Arm)),
            ("Dockerfile-armv7", Some(Arch::Arm)),
            ("arm64.Dockerfile", Some(Arch::Arm64)),
            ("Dockerfile.aarch64-unknown-linux-gnu.centos", Some(Arch::Arm64)),
            ("8.0/alpine/arm32v7/Dockerfile", Some(Arch::Arm)),
            ("images/linux-amd64/Dockerfile", Some(Arch::Amd64)),
            ("snort/arm/Dockerfile", Some(Arch::Arm)),
            ("alpha/Dockerfile", None),
            ("php/8.2/alpine3.20/Dockerfile", None),
            ("charm/Dockerfile", None),
            ("rsync-arm/Dockerfile", Some(Arch::Arm)),
            ("arm-tools/Dockerfile", None),
            ("Dockerfile", None),
            ("Dockerfile.armv5te-unknown-linux-gnueabi", Some(Arch::Arm)),
            ("Dockerfile.cross-x64-arm64", Some(Arch::Amd64)),
        ] {
            assert_eq!(archs_of_path(Path::new(path)).first().copied(), expected, "{path}");
        }
    }
}
