//! Rules about compose files. Source: compose-spec, 05-services.md (`platform`, `image`) and build.md (`platforms`).

use super::finding::{Edit, LintFinding, Safety};
use super::outside::Outside;
use super::rule::{RuleName, Severity};
use super::shell::PlainWord;
use super::{LintProblem, dockerfile, online, stages};
use crate::platform::Platform;
use crate::yaml::{self, YamlNode};

pub fn check(text: &str, outside: &Outside<'_>) -> (Vec<LintFinding>, Vec<LintProblem>) {
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(error) => return (Vec::new(), vec![LintProblem { at: error.at, message: error.message }]),
    };
    let (mut findings, mut problems) = (Vec::new(), Vec::new());
    let services: Vec<&(YamlNode, YamlNode)> =
        documents.iter().filter_map(|root| root.value("services")).flat_map(YamlNode::pairs).collect();
    for (name, service) in &services {
        findings.extend(platform(text, service));
        findings.extend(build(name, service, &services));
        if let Some(image) = service.value("image") {
            let (found, problem) = check_image(text, image, outside);
            findings.extend(found);
            problems.extend(problem);
        }
    }
    // A node that several services share through an anchor is reported once.
    findings.sort_by_key(|finding: &LintFinding| (finding.span.start, finding.code));
    findings.dedup_by_key(|finding| (finding.span.start, finding.code));
    (findings, problems)
}

fn platform(text: &str, service: &YamlNode) -> Option<LintFinding> {
    let (key, value) = service.entry("platform")?;
    let platform = Platform::parse(value.text()?).ok()?;
    let message = format!("this service is {platform} on every machine");
    let finding =
        LintFinding::new(RuleName::ComposePlatformConstant, value.span.clone(), message, format!("always {platform}"));
    let line_start = text[..key.span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[value.span.end..].find('\n').map_or(text.len(), |newline| value.span.end + newline + 1);
    let is_own_line = text[line_start..key.span.start].trim().is_empty() && service.pairs().len() > 1;
    Some(match is_own_line {
        true => finding.fix("use the machine's own platform", Safety::Unsafe, vec![Edit::delete(line_start..line_end)]),
        false => finding,
    })
}

fn build(name: &YamlNode, service: &YamlNode, services: &[&(YamlNode, YamlNode)]) -> Vec<LintFinding> {
    let Some((key, build)) = service.entry("build") else { return Vec::new() };
    let mut findings = overridden_arguments(build.value("args"));
    if !names_platforms(service, services, 0) {
        let message = format!("{} is built for this machine's platform only", name.text().unwrap_or("the service"));
        findings.push(LintFinding::new(RuleName::ComposePlatforms, key.span.clone(), message, "names no platforms"));
    }
    findings
}

/// Maximum depth of `extends`.
const MAX_EXTENDS: usize = 10;

/// Whether a service or one that it extends names platforms. A service of another file is assumed to name some.
fn names_platforms(service: &YamlNode, services: &[&(YamlNode, YamlNode)], depth: usize) -> bool {
    let is_named = service.value("platform").is_some()
        || service.at(&["build", "platforms"]).is_some()
        || service.at(&["build", "x-bake", "platforms"]).is_some();
    let Some(extends) = service.value("extends").filter(|_| !is_named && depth < MAX_EXTENDS) else { return is_named };
    let name = extends.text().or_else(|| extends.value("service").and_then(YamlNode::text));
    let parent = services.iter().find(|(key, _)| key.text() == name).map(|(_, service)| service);
    extends.value("file").is_some() || parent.is_some_and(|parent| names_platforms(parent, services, depth + 1))
}

/// Returns the files that a compose file includes or extends, relative to it. Source: compose-spec, 14-include.md and
/// 05-services.md.
pub fn other_files(text: &str) -> Vec<String> {
    let documents = yaml::parse(text).unwrap_or_default();
    let roots = || documents.iter();
    let included = roots().filter_map(|root| root.value("include")).flat_map(YamlNode::items);
    let included = included.flat_map(|item| item.value("path").unwrap_or(item).texts());
    let services = roots().filter_map(|root| root.value("services")).flat_map(YamlNode::pairs);
    let extended = services.filter_map(|(_, service)| service.at(&["extends", "file"])).filter_map(YamlNode::text);
    let is_local = |name: &&str| !name.contains(['$', ':']);
    included.chain(extended).filter(is_local).map(str::to_string).collect()
}

/// `args: {TARGETARCH: amd64}` or `- TARGETARCH=amd64`: a build argument overrides the builder's value.
pub fn overridden_arguments(arguments: Option<&YamlNode>) -> Vec<LintFinding> {
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
        LintFinding::new(RuleName::TargetArgDefault, span, message, "overrides the builder's value")
            .help("leave it out: the builder sets it")
    };
    found.map(finding).collect()
}

/// Applies the rules of FROM to an image that a YAML file names.
pub fn check_image(text: &str, image: &YamlNode, outside: &Outside<'_>) -> (Option<LintFinding>, Option<LintProblem>) {
    let Some(name) = image.text().filter(|name| !name.contains('$')) else { return (None, None) };
    let span = image.content();
    let word = PlainWord::literal(text, span.clone());
    let by_name = (word.text == name).then(|| stages::single_arch_image(&word, name, &[], Severity::Warning)).flatten();
    match online::pinned(name, span, word.text == name, outside) {
        Ok(pinned) => (pinned.or(by_name), None),
        Err(problem) => (by_name, Some(problem)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_the_platforms_of_the_one_that_it_extends() {
        let notes = |text: &str| check(text, &Outside::nothing()).0.len();
        let base = "services:\n  b:\n    build: {platforms: [linux/arm64]}\n";
        assert_eq!(notes("services:\n  a:\n    build: .\n"), 1);
        assert_eq!(notes(&format!("{base}  a:\n    build: .\n    extends: b\n")), 0);
        assert_eq!(notes(&format!("{base}  a:\n    build: .\n    extends: {{service: b}}\n")), 0);
        assert_eq!(notes("services:\n  a:\n    build: .\n    extends: {file: b.yml, service: b}\n"), 0);
        assert_eq!(notes("services:\n  a:\n    build: .\n    extends: a\n"), 1);
    }

    #[test]
    fn included_and_extended_files_are_named() {
        let text = "include:\n  - a.yml\n  - path: [b.yml, c.yml]\n  - oci://x.io/a\nservices:\n  s:\n    extends: {file: d.yml, service: s}\n";
        assert_eq!(other_files(text), ["a.yml", "b.yml", "c.yml", "d.yml"]);
        assert_eq!(other_files("include: ["), [""; 0]);
    }
}
