//! Finds the bake target that builds an image, and its Dockerfile. Pure: parses the output of `docker buildx bake
//! --print` and does not read the bake file.

use serde_json::Value;

use super::docker::CommandLine;
use super::tool::BuildTool;
use crate::oci::Reference;

/// A target of a bake file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BakeTarget {
    pub name: String,
    pub context: String,
    /// Relative to the context.
    pub dockerfile: Option<String>,
    /// The Dockerfile text, if it is inline in the bake file.
    pub inline: Option<String>,
    /// The stage to build.
    pub stage: Option<String>,
    pub tags: Vec<String>,
    pub attests: bool,
    /// Targets used as contexts, directly or indirectly. They are built for the same platform.
    pub linked: Vec<String>,
}

/// Why no target can be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BakeError {
    #[error("only buildx builds bake files; {} does not", .0.name())]
    NotBuildx(BuildTool),
    #[error("parsing the output of buildx bake --print: {0}")]
    Unreadable(String),
    #[error("no target of the bake file is tagged {image}; choose one of {} with --bake", .names.join(", "))]
    Ambiguous { image: String, names: Vec<String> },
}

/// Returns the command that resolves targets and groups, or the default, with the options of the build.
pub fn print_command(extra: &[String], names: &[&str]) -> CommandLine {
    let words = ["buildx", "bake", "--print"].into_iter().chain(extra.iter().map(String::as_str));
    CommandLine::docker(words.chain(names.iter().copied()))
}

/// Chooses the target that builds `reference`: the only target, or else the only one with this tag, or else with this
/// repository.
pub fn choose(printed: &str, reference: &Reference) -> Result<BakeTarget, BakeError> {
    let value: Value = serde_json::from_str(printed).map_err(|error| BakeError::Unreadable(error.to_string()))?;
    let mut built: Vec<BakeTarget> = Vec::new();
    collect(&value, "default", &mut built, &mut Vec::new());
    if let [only] = built.as_slice() {
        return Ok(only.clone());
    }
    let tagged = |is_it: &dyn Fn(&Reference) -> bool| {
        let has_it = |target: &&BakeTarget| {
            target.tags.iter().filter_map(|tag| Reference::parse(tag).ok()).any(|tag| is_it(&tag))
        };
        let found: Vec<&BakeTarget> = built.iter().filter(has_it).collect();
        if let [one] = found.as_slice() { Some((*one).clone()) } else { None }
    };
    let same_repository =
        |tag: &Reference| (&tag.registry, &tag.repository) == (&reference.registry, &reference.repository);
    let found = tagged(&|tag| tag == reference).or_else(|| tagged(&same_repository));
    found.ok_or_else(|| BakeError::Ambiguous {
        image: reference.to_string(),
        names: built.iter().map(|target| target.name.clone()).collect(),
    })
}

/// Collects the targets of a group or target. Groups contain targets and groups. A group can have the name of one of
/// its targets: buildx prints a target called `default` in a group of that name.
fn collect<'a>(value: &'a Value, name: &'a str, found: &mut Vec<BakeTarget>, groups: &mut Vec<&'a str>) {
    let members = value["group"][name]["targets"].as_array().filter(|_| !groups.contains(&name));
    match (members, value["target"].get(name)) {
        (Some(members), _) => {
            groups.push(name);
            members.iter().filter_map(Value::as_str).for_each(|member| collect(value, member, found, groups));
        }
        (None, Some(target)) if !found.iter().any(|known| known.name == name) => found.push(read(value, name, target)),
        (None, _) => {}
    }
}

fn read(value: &Value, name: &str, target: &Value) -> BakeTarget {
    let string = |key: &str| target[key].as_str().map(str::to_string);
    let list = |key: &str| target[key].as_array().map_or(&[][..], Vec::as_slice);
    let mut linked = Vec::new();
    links(value, target, &mut linked);
    BakeTarget {
        name: name.to_string(),
        context: string("context").unwrap_or_else(|| ".".to_string()),
        dockerfile: string("dockerfile"),
        inline: string("dockerfile-inline"),
        stage: string("target"),
        tags: list("tags").iter().filter_map(Value::as_str).map(str::to_string).collect(),
        attests: !list("attest").is_empty(),
        linked,
    }
}

/// Collects the targets that `target` uses as contexts. Source: docker/docs, "Bake file reference", `target.contexts`:
/// `target:NAME` is the result of another target.
fn links(value: &Value, target: &Value, found: &mut Vec<String>) {
    let contexts = target["contexts"].as_object().into_iter().flat_map(|contexts| contexts.values());
    for name in contexts.filter_map(Value::as_str).filter_map(|context| context.strip_prefix("target:")) {
        if !found.iter().any(|known| known == name) {
            found.push(name.to_string());
            links(value, &value["target"][name], found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"{"group": {"all": {"targets": ["app", "web"]}, "default": {"targets": ["all"]}},
        "target": {
          "app": {"attest": ["type=provenance,mode=max"], "context": ".", "contexts": {"b": "target:base", "r": "docker-image://x"},
                  "dockerfile": "Dockerfile", "dockerfile-inline": "FROM b", "tags": ["x/app:v1", "x/app:latest"]},
          "base": {"context": ".", "contexts": {"c": "target:common"}, "dockerfile": "Dockerfile"},
          "common": {"context": "."},
          "web": {"context": "web", "dockerfile": "D", "tags": ["x/web:v1"], "target": "prod"}}}"#;

    fn check(printed: &str, image: &str, expected: Result<&str, BakeError>) {
        let chosen = choose(printed, &Reference::parse(image).unwrap());
        assert_eq!(chosen.as_ref().map(|target| target.name.as_str()), expected.as_ref().map(|name| *name), "{image}");
    }

    #[test]
    fn a_target_is_chosen_by_its_tag_then_by_its_repository_or_is_the_only_one() {
        check(PRINTED, "x/app:v1", Ok("app"));
        check(PRINTED, "docker.io/x/web:v9", Ok("web"));
        check(r#"{"group": {"default": {"targets": ["one"]}}, "target": {"one": {}, "linked": {}}}"#, "y:1", Ok("one"));
        let names = vec!["app".to_string(), "web".to_string()];
        check(
            PRINTED,
            "y/z:1",
            Err(BakeError::Ambiguous { image: Reference::parse("y/z:1").unwrap().to_string(), names }),
        );
    }

    #[test]
    fn a_group_may_have_the_name_of_a_target() {
        // buildx 0.29 on `target "default" {}`.
        let one = r#"{"group": {"default": {"targets": ["default"]}}, "target": {"default": {"tags": ["x/app:v1"]}}}"#;
        check(one, "y:1", Ok("default"));
        let two = r#"{"group": {"default": {"targets": ["app", "default"]}, "app": {"targets": ["app", "default"]}},
            "target": {"default": {"tags": ["x/base:v1"]}, "app": {"tags": ["x/app:v1"]}}}"#;
        check(two, "x/app:v1", Ok("app"));
        check(two, "x/base:v1", Ok("default"));
    }

    #[test]
    fn what_the_build_takes_is_read() {
        let target = choose(PRINTED, &Reference::parse("x/app:v1").unwrap()).unwrap();
        assert!(target.attests && target.inline.as_deref() == Some("FROM b"));
        assert_eq!(target.linked, ["base", "common"]);
        let web = choose(PRINTED, &Reference::parse("x/web:v1").unwrap()).unwrap();
        assert_eq!(
            (web.context.as_str(), web.dockerfile.as_deref(), web.stage.as_deref()),
            ("web", Some("D"), Some("prod"))
        );
    }
}
