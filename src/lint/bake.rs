//! Rules about bake files, in HCL and in JSON. Source: docker/docs, "Bake file reference", target attributes.

use std::ops::Range;

use super::Problem;
use super::compose::overridden_arguments;
use super::dockerfile;
use super::finding::Finding;
use super::hcl::{self, Block};
use super::rule::Code;
use crate::yaml;

/// What the rule needs of a target, from either syntax.
#[derive(Debug)]
struct Target {
    name: String,
    span: Range<usize>,
    inherits: Vec<String>,
    has_platforms: bool,
    has_tags: bool,
    /// Where it goes, as `output` or `outputs` say.
    output: Vec<String>,
}

pub fn check_hcl(text: &str) -> (Vec<Finding>, Vec<Problem>) {
    let blocks = match hcl::parse(text) {
        Ok(blocks) => blocks,
        Err(error) => return (Vec::new(), vec![Problem { at: error.at, message: error.message }]),
    };
    let targets: Vec<&Block> = blocks.iter().filter(|block| block.kind == "target").collect();
    let mut findings = missing_platforms(&targets.iter().map(|block| of_block(block)).collect::<Vec<_>>());
    for argument in targets.iter().filter_map(|block| block.attribute("args")).flat_map(|args| &args.entries) {
        let (name, value, span) = argument;
        if dockerfile::AUTOMATIC.contains(&name.as_str()) && !value.contains('$') {
            let message = format!("{name} is {value} in every platform's build");
            findings.push(
                Finding::new(Code::TargetArgDefault, span.clone(), message, "hides the builder's value")
                    .help("leave it out: the builder sets it"),
            );
        }
    }
    (findings, Vec::new())
}

/// The names of a bake file's targets, in HCL or JSON; none where it cannot be read.
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

fn of_block(block: &Block) -> Target {
    let strings = |name: &str| block.attribute(name).map_or(Vec::new(), |attribute| attribute.strings.clone());
    Target {
        name: block.labels.first().cloned().unwrap_or_default(),
        span: block.span.clone(),
        inherits: strings("inherits"),
        has_platforms: block.attribute("platforms").is_some(),
        has_tags: block.attribute("tags").is_some(),
        output: strings("output").into_iter().chain(strings("outputs")).collect(),
    }
}

/// JSON is YAML, and the YAML reader keeps places.
pub fn check_json(text: &str) -> (Vec<Finding>, Vec<Problem>) {
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(error) => return (Vec::new(), vec![Problem { at: error.at, message: error.message }]),
    };
    let entries = documents.iter().filter_map(|root| root.value("target")).flat_map(yaml::Node::pairs);
    let entries: Vec<_> = entries.collect();
    let targets: Vec<Target> = entries
        .iter()
        .map(|(key, target)| {
            let strings = |name: &str| {
                target.value(name).map_or(Vec::new(), |node| node.texts().into_iter().map(str::to_string).collect())
            };
            Target {
                name: key.text().unwrap_or("").to_string(),
                span: key.span.clone(),
                inherits: strings("inherits"),
                has_platforms: target.value("platforms").is_some(),
                has_tags: target.value("tags").is_some(),
                output: strings("output").into_iter().chain(strings("outputs")).collect(),
            }
        })
        .collect();
    let mut findings = missing_platforms(&targets);
    findings.extend(entries.iter().flat_map(|(_, target)| overridden_arguments(target.value("args"))));
    (findings, Vec::new())
}

fn missing_platforms(targets: &[Target]) -> Vec<Finding> {
    let is_pushed = |target: &&Target| {
        let is_local = ["type=local", "type=docker", "type=tar", "type=cacheonly"]
            .iter()
            .any(|kind| target.output.iter().any(|output| output.contains(kind)));
        // What others inherit is completed by them, or by a file that is given beside this one.
        let is_base = targets.iter().any(|other| other.inherits.contains(&target.name));
        target.has_tags && !is_local && !is_base
    };
    let finding = |target: &Target| {
        let message = format!("target {} is built for the builder's own platform only", target.name);
        Finding::new(Code::BakePlatforms, target.span.clone(), message, "has tags, but no platforms")
    };
    targets.iter().filter(is_pushed).filter(|target| !has_platforms(target, targets, 0)).map(finding).collect()
}

/// By itself or by inheritance; a target of another file (docker-metadata-action's) is taken to bring none.
fn has_platforms(target: &Target, targets: &[Target], depth: usize) -> bool {
    // Bake refuses circles; this only must not hang on one.
    if target.has_platforms || depth > targets.len() {
        return target.has_platforms;
    }
    let parents = target.inherits.iter().filter_map(|name| targets.iter().find(|other| other.name == *name));
    parents.into_iter().any(|parent| has_platforms(parent, targets, depth + 1))
}
