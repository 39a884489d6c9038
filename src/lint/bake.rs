//! Rules about bake files in HCL and JSON. Source: docker/docs, "Bake file reference", target attributes.

use std::ops::Range;

use super::LintProblem;
use super::compose::overridden_arguments;
use super::dockerfile;
use super::finding::LintFinding;
use super::hcl::{self, HclBlock};
use super::rule::RuleName;
use crate::yaml;

/// A target, as far as the rules need it, from either syntax.
#[derive(Debug)]
struct LintedTarget {
    name: String,
    /// The common prefix of its names if a matrix creates several: `app-` of `name = "app-${tgt}"`.
    name_prefix: Option<String>,
    span: Range<usize>,
    inherits: Setting,
    platforms: Setting,
    context: Setting,
    dockerfile: Setting,
    stage: Setting,
    args: Setting,
    /// The ids of its secrets.
    secrets: Setting,
    tags: Setting,
    has_tags: bool,
    is_inline: bool,
    /// The values of `output` and `outputs`.
    output: Vec<String>,
}

/// An attribute's strings.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Setting {
    Absent,
    Known(Vec<String>),
    /// Variables, functions or a matrix decide.
    Unknown,
}

/// A Dockerfile that a target builds.
#[derive(Debug, PartialEq, Eq)]
pub struct BakedDockerfile {
    /// Relative to the directory in which bake runs.
    pub dockerfile: String,
    /// Empty if the builder decides; `None` if an expression does.
    pub platforms: Option<Vec<String>>,
}

/// Returns the Dockerfiles of a bake file's targets with their platforms. Empty if the file cannot be parsed.
pub fn built(text: &str, is_json: bool) -> Vec<BakedDockerfile> {
    let targets = match is_json {
        true => yaml::parse(text).map(|documents| documents.iter().flat_map(targets_of_json).collect()).ok(),
        false => hcl::parse(text).map(|blocks| targets_of(&blocks)).ok(),
    };
    let targets: Vec<LintedTarget> = targets.unwrap_or_default();
    let one = |setting: Setting, default: &str| match setting {
        Setting::Absent => Some(default.to_string()),
        Setting::Known(strings) => strings.into_iter().next(),
        Setting::Unknown => None,
    };
    let read = |target: &LintedTarget| {
        let context = one(inherited(target, &targets, |target| &target.context, 0), ".")?;
        let dockerfile = one(inherited(target, &targets, |target| &target.dockerfile, 0), "Dockerfile")?;
        let is_here = !target.is_inline && !context.contains(':');
        let platforms = match inherited(target, &targets, |target| &target.platforms, 0) {
            Setting::Known(platforms) => Some(platforms),
            Setting::Absent => Some(Vec::new()),
            Setting::Unknown => None,
        };
        is_here.then(|| BakedDockerfile { dockerfile: format!("{context}/{dockerfile}"), platforms })
    };
    // A target that others inherit from is built through them.
    let is_built =
        |target: &&LintedTarget| !is_base(target, &targets) || matches!(target.dockerfile, Setting::Known(_));
    targets.iter().filter(is_built).filter_map(read).collect()
}

/// What a workflow takes over from a bake target. What an expression decides is named in `unread`.
#[derive(Debug, PartialEq, Eq)]
pub struct BakeRecipe {
    pub name: String,
    pub context: String,
    /// Relative to where bake is run.
    pub dockerfile: String,
    pub platforms: Vec<String>,
    pub stage: Option<String>,
    /// `NAME=value`.
    pub build_args: Vec<String>,
    /// The ids of the secrets that the target passes.
    pub secrets: Vec<String>,
    /// The names of the image, without their tags.
    pub images: Vec<String>,
    pub unread: Vec<&'static str>,
}

/// The targets of a bake file that build something, as far as literals say; none where it cannot be read.
pub fn recipes(text: &str) -> Vec<BakeRecipe> {
    let is_json = text.trim_start().starts_with('{');
    let targets: Vec<LintedTarget> = match is_json {
        true => yaml::parse(text).map(|documents| documents.iter().flat_map(targets_of_json).collect()).ok(),
        false => hcl::parse(text).map(|blocks| targets_of(&blocks)).ok(),
    }
    .unwrap_or_default();
    let recipe = |target: &LintedTarget| {
        let mut unread = Vec::new();
        let mut strings = |name: &'static str, attribute: fn(&LintedTarget) -> &Setting| match inherited(
            target, &targets, attribute, 0,
        ) {
            Setting::Known(strings) => strings,
            Setting::Absent => Vec::new(),
            Setting::Unknown => {
                unread.push(name);
                Vec::new()
            }
        };
        let context = strings("context", |target| &target.context).into_iter().next();
        let context = context.unwrap_or_else(|| ".".to_string());
        let dockerfile = strings("dockerfile", |target| &target.dockerfile).into_iter().next();
        let dockerfile = dockerfile.unwrap_or_else(|| "Dockerfile".to_string());
        let platforms = strings("platforms", |target| &target.platforms);
        let stage = strings("target", |target| &target.stage).into_iter().next();
        let build_args = strings("args", |target| &target.args);
        let secrets = strings("secret", |target| &target.secrets);
        let tags = strings("tags", |target| &target.tags);
        let mut images: Vec<String> = Vec::new();
        for tag in tags {
            let name =
                tag.rfind(':').filter(|colon| !tag[*colon..].contains('/')).map_or(tag.as_str(), |at| &tag[..at]);
            if !images.iter().any(|image| image == name) {
                images.push(name.to_string());
            }
        }
        let path = match context.as_str() {
            "." | "./" => dockerfile,
            _ => format!("{}/{dockerfile}", context.trim_end_matches('/')),
        };
        let name = target.name.clone();
        BakeRecipe { name, context, dockerfile: path, platforms, stage, build_args, secrets, images, unread }
    };
    targets.iter().filter(|target| !is_base(target, &targets) && !target.is_inline).map(recipe).collect()
}

/// A target's own attribute, or the one of the last target that it inherits from and that has it.
fn inherited<'t>(
    target: &'t LintedTarget,
    targets: &'t [LintedTarget],
    attribute: fn(&'t LintedTarget) -> &'t Setting,
    depth: usize,
) -> Setting {
    let own = attribute(target);
    // Bake rejects cycles. This only prevents endless recursion.
    if *own != Setting::Absent || depth > MAX_DEPTH {
        return own.clone();
    }
    let parents = match &target.inherits {
        Setting::Absent => return Setting::Absent,
        Setting::Unknown => return Setting::Unknown,
        Setting::Known(parents) => parents,
    };
    let known = parents.iter().rev().filter_map(|name| targets.iter().find(|other| other.name == *name));
    let mut settings = known.map(|parent| inherited(parent, targets, attribute, depth + 1));
    settings.find(|setting| *setting != Setting::Absent).unwrap_or(Setting::Absent)
}

/// Maximum depth of inheritance.
const MAX_DEPTH: usize = 10;

pub fn check_hcl(text: &str) -> (Vec<LintFinding>, Vec<LintProblem>) {
    let blocks = match hcl::parse(text) {
        Ok(blocks) => blocks,
        Err(error) => return (Vec::new(), vec![LintProblem { at: error.at, message: error.message }]),
    };
    let mut findings = missing_platforms(&targets_of(&blocks));
    let targets = blocks.iter().filter(|block| block.kind == "target");
    for argument in targets.filter_map(|block| block.attribute("args")).flat_map(|args| &args.entries) {
        let (name, value, span) = argument;
        if dockerfile::AUTOMATIC.contains(&name.as_str()) && !value.contains('$') {
            let message = format!("{name} is {value} in every platform's build");
            findings.push(
                LintFinding::new(RuleName::TargetArgDefault, span.clone(), message, "overrides the builder's value")
                    .help("leave it out: the builder sets it"),
            );
        }
    }
    (findings, Vec::new())
}

/// Returns the names of a bake file's targets, in HCL or JSON. Empty if the file cannot be parsed.
pub fn targets(text: &str) -> Vec<String> {
    let of_hcl = |text| {
        let blocks = hcl::parse(text).ok()?;
        let targets = blocks.iter().filter(|block| block.kind == "target");
        Some(targets.filter_map(|block| block.labels.first().cloned()).collect::<Vec<_>>())
    };
    let of_json = |text| {
        let documents = yaml::parse(text).ok()?;
        let targets = documents.first()?.value("target")?;
        Some(targets.pairs().iter().filter_map(|(key, _)| key.text().map(str::to_string)).collect())
    };
    let is_json = text.trim_start().starts_with('{');
    if is_json { of_json(text) } else { of_hcl(text) }.unwrap_or_default()
}

/// Creates a target from its attributes, which closures read from either syntax.
fn target(
    name: &str,
    span: Range<usize>,
    has: impl Fn(&str) -> bool,
    strings: impl Fn(&str) -> Vec<String>,
    setting: impl Fn(&str) -> Setting,
    arguments: Setting,
    secrets: Setting,
) -> LintedTarget {
    let made_name = strings("name").into_iter().next();
    LintedTarget {
        name: name.to_string(),
        name_prefix: made_name.map(|name| name.split("${").next().unwrap_or("").to_string()),
        span,
        inherits: setting("inherits"),
        platforms: setting("platforms"),
        context: setting("context"),
        dockerfile: setting("dockerfile"),
        stage: setting("target"),
        args: arguments,
        secrets,
        tags: setting("tags"),
        has_tags: has("tags"),
        is_inline: has("dockerfile-inline"),
        output: strings("output").into_iter().chain(strings("outputs")).collect(),
    }
}

/// `NAME=value`, where every value is a literal.
fn arguments_of(entries: Vec<(&str, &str)>) -> Setting {
    match entries.iter().any(|(_, value)| value.contains("${") || value.is_empty()) {
        true => Setting::Unknown,
        false => Setting::Known(entries.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
    }
}

/// The ids of secrets, where all of them are known. Source: Docker's "Bake file reference", `target.secret`.
fn secrets_of(ids: Vec<Option<String>>) -> Setting {
    let known = ids.into_iter().map(|id| id.filter(|id| !id.contains('$'))).collect::<Option<Vec<String>>>();
    known.map_or(Setting::Unknown, Setting::Known)
}

/// `aws` of `type=env,id=aws,env=TOKEN`.
fn secret_id(text: &str) -> Option<String> {
    let fields: Vec<&str> = text.split(',').collect();
    let field = |name: &str| fields.iter().find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
    field("id").map(str::to_string)
}

fn targets_of(blocks: &[HclBlock]) -> Vec<LintedTarget> {
    let of_block = |block: &HclBlock| {
        let setting = |name: &str| match block.attribute(name) {
            None => Setting::Absent,
            Some(attribute) if attribute.is_literal => Setting::Known(attribute.strings.clone()),
            Some(_) => Setting::Unknown,
        };
        let strings = |name: &str| block.attribute(name).map_or(Vec::new(), |attribute| attribute.strings.clone());
        let name = block.labels.first().map_or("", String::as_str);
        let arguments = block.attribute("args").map_or(Setting::Absent, |attribute| {
            let entries = attribute.entries.iter().map(|(name, value, _)| (name.as_str(), value.as_str()));
            if attribute.has_computed_entries { Setting::Unknown } else { arguments_of(entries.collect()) }
        });
        let secrets = block.attribute("secret").map_or(Setting::Absent, |attribute| {
            let of_objects = attribute.entries.iter().filter(|(name, _, _)| name == "id");
            let of_objects: Vec<Option<String>> = of_objects.map(|(_, id, _)| Some(id.clone())).collect();
            match attribute.is_literal {
                true => secrets_of(attribute.strings.iter().map(|text| secret_id(text)).collect()),
                false if attribute.has_computed_entries || of_objects.is_empty() => Setting::Unknown,
                false => secrets_of(of_objects),
            }
        });
        let has = |name: &str| block.attribute(name).is_some();
        target(name, block.span.clone(), has, strings, setting, arguments, secrets)
    };
    blocks.iter().filter(|block| block.kind == "target").map(of_block).collect()
}

fn targets_of_json(root: &yaml::YamlNode) -> Vec<LintedTarget> {
    let of_pair = |(key, node): &(yaml::YamlNode, yaml::YamlNode)| {
        let strings = |name: &str| {
            node.value(name).map_or(Vec::new(), |node| node.texts().into_iter().map(str::to_string).collect())
        };
        let setting = |name: &str| match node.value(name) {
            None => Setting::Absent,
            Some(_) if strings(name).iter().any(|text| text.contains("${")) => Setting::Unknown,
            Some(_) => Setting::Known(strings(name)),
        };
        let arguments = node.value("args").map_or(Setting::Absent, |args| {
            arguments_of(args.pairs().iter().filter_map(|(name, value)| Some((name.text()?, value.text()?))).collect())
        });
        let secrets = node.value("secret").map_or(Setting::Absent, |list| {
            let id = |item: &yaml::YamlNode| match item.text() {
                Some(text) => secret_id(text),
                None => item.value("id").and_then(yaml::YamlNode::text).map(str::to_string),
            };
            secrets_of(list.items().iter().map(id).collect())
        });
        let has = |name: &str| node.value(name).is_some();
        target(key.text().unwrap_or(""), key.span.clone(), has, strings, setting, arguments, secrets)
    };
    root.value("target").map_or(&[][..], yaml::YamlNode::pairs).iter().map(of_pair).collect()
}

/// Reads JSON as YAML, because the YAML parser keeps positions.
pub fn check_json(text: &str) -> (Vec<LintFinding>, Vec<LintProblem>) {
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(error) => return (Vec::new(), vec![LintProblem { at: error.at, message: error.message }]),
    };
    let mut findings = missing_platforms(&documents.iter().flat_map(targets_of_json).collect::<Vec<_>>());
    let entries: Vec<_> =
        documents.iter().filter_map(|root| root.value("target")).flat_map(yaml::YamlNode::pairs).collect();
    findings.extend(entries.iter().flat_map(|(_, target)| overridden_arguments(target.value("args"))));
    (findings, Vec::new())
}

fn missing_platforms(targets: &[LintedTarget]) -> Vec<LintFinding> {
    let is_pushed = |target: &&LintedTarget| {
        let is_local = ["type=local", "type=docker", "type=tar", "type=cacheonly"]
            .iter()
            .any(|kind| target.output.iter().any(|output| output.contains(kind)));
        target.has_tags && !is_local && !is_base(target, targets)
    };
    let finding = |target: &LintedTarget| {
        let message = format!("target {} is built for the builder's own platform only", target.name);
        LintFinding::new(RuleName::BakePlatforms, target.span.clone(), message, "has tags, but no platforms")
    };
    // A target of another file (docker-metadata-action's) is assumed to set no platforms.
    let has_none =
        |target: &&LintedTarget| inherited(target, targets, |target| &target.platforms, 0) == Setting::Absent;
    targets.iter().filter(is_pushed).filter(has_none).map(finding).collect()
}

/// Whether other targets inherit from this one. They, or another bake file, complete it.
fn is_base(target: &LintedTarget, targets: &[LintedTarget]) -> bool {
    let is_it = |name: &String| {
        let is_made = target.name_prefix.as_ref().is_some_and(|prefix| name.starts_with(prefix.as_str()));
        *name == target.name || is_made
    };
    targets.iter().any(|other| match &other.inherits {
        Setting::Known(parents) => parents.iter().any(is_it),
        Setting::Absent | Setting::Unknown => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let (findings, problems) = check_hcl(text);
        assert_eq!(problems, [], "{text}");
        let shown: Vec<&str> = findings.iter().map(|finding| &text[finding.span.clone()]).collect();
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn platforms_may_come_from_another_target_or_an_expression() {
        check("target \"a\" {\n tags = [\"x\"]\n}\n", &["target \"a\""]);
        check("target \"a\" {\n tags = [\"x\"]\n platforms = PLATFORMS\n}\n", &[]);
        check(
            "target \"p\" {\n platforms = [\"linux/arm64\"]\n}\ntarget \"m\" {\n inherits = [\"p\"]\n}\ntarget \"a\" {\n inherits = [\"m\"]\n tags = [\"x\"]\n}\n",
            &[],
        );
        // The target that a matrix inherits from is unknown.
        check(
            "target \"a\" {\n matrix = { t = [\"p\"] }\n name = \"a-${t}\"\n inherits = [t]\n tags = [\"x\"]\n}\n",
            &[],
        );
        check("target \"a\" {\n inherits = concat([\"p\"], MORE)\n tags = [\"x\"]\n}\n", &[]);
        check(
            "target \"a\" {\n matrix = { t = [\"p\"] }\n name = \"a-${t}\"\n tags = [\"x\"]\n}\ntarget \"b\" {\n inherits = [\"a-p\"]\n platforms = [\"linux/arm64\"]\n}\n",
            &[],
        );
    }

    #[test]
    fn a_recipe_has_what_literals_say() {
        let text = "variable \"V\" {}\ntarget \"base\" {\n platforms = [\"linux/arm64\"]\n}\ntarget \"app\" {\n inherits = [\"base\"]\n context = \"img\"\n target = \"run\"\n args = { A = \"1\" }\n tags = [\"ghcr.io/u/a:1\", \"u/a:latest\"]\n}\n";
        let expected = BakeRecipe {
            name: "app".to_string(),
            context: "img".to_string(),
            dockerfile: "img/Dockerfile".to_string(),
            platforms: vec!["linux/arm64".to_string()],
            stage: Some("run".to_string()),
            build_args: vec!["A=1".to_string()],
            secrets: Vec::new(),
            images: vec!["ghcr.io/u/a".to_string(), "u/a".to_string()],
            unread: Vec::new(),
        };
        assert_eq!(recipes(text), [expected]);
        let made = recipes("target \"a\" {\n args = { A = V }\n tags = [\"x:${V}\"]\n}\n");
        assert_eq!(made[0].unread, ["args", "tags"]);
    }

    #[test]
    fn a_recipe_names_the_secrets_that_its_target_passes() {
        let secrets = |text: &str| recipes(text).pop().map(|recipe| (recipe.secrets, recipe.unread)).unwrap();
        let known = (vec!["aws".to_string(), "npm".to_string()], Vec::new());
        for text in [
            "target \"a\" {\n secret = [\"type=file,id=aws,src=k\", \"id=npm\"]\n}\n",
            "target \"p\" {\n secret = [{ type = \"env\", id = \"aws\" }, { id = \"npm\" }]\n}\ntarget \"a\" {\n inherits = [\"p\"]\n}\n",
            r#"{"target": {"a": {"secret": ["type=env,id=aws", {"type": "env", "id": "npm"}]}}}"#,
        ] {
            assert_eq!(secrets(text), known, "{text}");
        }
        for text in ["target \"a\" {\n secret = [\"id=${X}\"]\n}\n", "target \"a\" {\n secret = S\n}\n"] {
            assert_eq!(secrets(text), (Vec::new(), vec!["secret"]), "{text}");
        }
    }

    #[test]
    fn circles_end() {
        check("target \"a\" {\n inherits = [\"a\"]\n}\n", &[]);
        assert_eq!(
            built("target \"a\" {\n inherits = [\"b\"]\n}\ntarget \"b\" {\n inherits = [\"a\"]\n}\n", false),
            []
        );
    }

    #[test]
    fn a_target_names_its_dockerfile_and_platforms() {
        let hcl = "target \"p\" {\n context = \"img\"\n platforms = [\"linux/arm64\"]\n}\ntarget \"a\" {\n inherits = [\"p\"]\n dockerfile = \"D.arm\"\n}\n";
        let json = r#"{"target": {"p": {"context": "img", "platforms": ["linux/arm64"]}, "a": {"inherits": ["p"], "dockerfile": "D.arm"}}}"#;
        let expected =
            [BakedDockerfile { dockerfile: "img/D.arm".to_string(), platforms: Some(vec!["linux/arm64".to_string()]) }];
        assert_eq!(built(hcl, false), expected);
        assert_eq!(built(json, true), expected);
        assert_eq!(built("target \"a\" {\n context = \"https://x.io/a.git\"\n}\n", false), []);
    }
}
