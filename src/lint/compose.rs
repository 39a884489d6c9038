//! Rules about compose files. Source: compose-spec, 05-services.md (`platform`, `image`) and build.md (`platforms`).

use super::finding::{Edit, Finding, Safety};
use super::outside::Outside;
use super::rule::{Code, Severity};
use super::shell::Word;
use super::{Problem, dockerfile, stages};
use crate::platform::Platform;
use crate::yaml::{self, Node};

pub fn check(text: &str, outside: &Outside<'_>) -> (Vec<Finding>, Vec<Problem>) {
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(error) => return (Vec::new(), vec![Problem { at: error.at, message: error.message }]),
    };
    let (mut findings, mut problems) = (Vec::new(), Vec::new());
    for (name, service) in documents.iter().filter_map(|root| root.value("services")).flat_map(Node::pairs) {
        findings.extend(platform(text, service));
        findings.extend(build(name, service));
        if let Some(image) = service.value("image") {
            let (found, problem) = check_image(text, image, outside);
            findings.extend(found);
            problems.extend(problem);
        }
    }
    // A node that several services share through an anchor is one place.
    findings.sort_by_key(|finding: &Finding| (finding.span.start, finding.code));
    findings.dedup_by_key(|finding| (finding.span.start, finding.code));
    (findings, problems)
}

fn platform(text: &str, service: &Node) -> Option<Finding> {
    let (key, value) = service.entry("platform")?;
    let platform = Platform::parse(value.text()?).ok()?;
    let message = format!("this service is {platform} on every machine");
    let finding =
        Finding::new(Code::ComposePlatformConstant, value.span.clone(), message, format!("always {platform}"));
    let line_start = text[..key.span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[value.span.end..].find('\n').map_or(text.len(), |newline| value.span.end + newline + 1);
    let is_own_line = text[line_start..key.span.start].trim().is_empty() && service.pairs().len() > 1;
    Some(match is_own_line {
        true => finding.fix("use the machine's own platform", Safety::Unsafe, vec![Edit::delete(line_start..line_end)]),
        false => finding,
    })
}

fn build(name: &Node, service: &Node) -> Vec<Finding> {
    let Some((key, build)) = service.entry("build") else { return Vec::new() };
    let mut findings = overridden_arguments(build.value("args"));
    let names_platforms = build.value("platforms").is_some()
        || build.value("x-bake").is_some_and(|bake| bake.value("platforms").is_some());
    if !names_platforms && service.value("platform").is_none() {
        let message = format!("{} is built for this machine's platform only", name.text().unwrap_or("the service"));
        findings.push(Finding::new(Code::ComposePlatforms, key.span.clone(), message, "no platforms in it"));
    }
    findings
}

/// `args: {TARGETARCH: amd64}` or `- TARGETARCH=amd64`: a build argument hides the builder's own value.
pub fn overridden_arguments(arguments: Option<&Node>) -> Vec<Finding> {
    let Some(arguments) = arguments else { return Vec::new() };
    let mapped =
        arguments.pairs().iter().filter_map(|(key, value)| Some((key.text()?, value.text()?, value.span.clone())));
    let listed = arguments.items().iter().filter_map(|item| {
        let (name, value) = item.text()?.split_once('=')?;
        Some((name, value, item.span.clone()))
    });
    let found =
        mapped.chain(listed).filter(|(name, value, _)| dockerfile::AUTOMATIC.contains(name) && !value.contains('$'));
    let finding = |(name, value, span)| {
        let message = format!("{name} is {value} in every platform's build");
        Finding::new(Code::TargetArgDefault, span, message, "hides the builder's value")
            .help("leave it out: the builder sets it")
    };
    found.map(finding).collect()
}

/// What FROM's rules say about an image that a YAML file names.
pub fn check_image(text: &str, image: &Node, outside: &Outside<'_>) -> (Option<Finding>, Option<Problem>) {
    let Some(name) = image.text().filter(|name| !name.contains('$')) else { return (None, None) };
    let span = image.content();
    let word = Word::literal(text, span.clone());
    let by_name = (word.text == name).then(|| stages::single_arch_image(&word, name, &[], Severity::Warning)).flatten();
    match stages::pinned(name, span, word.text == name, outside) {
        Ok(pinned) => (pinned.or(by_name), None),
        Err(problem) => (by_name, Some(problem)),
    }
}
