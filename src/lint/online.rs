//! Rules that ask a registry: base images that lack a platform, and pins of one platform's manifest.

use super::LintProblem;
use super::dockerfile::{self, Dockerfile};
use super::finding::{Edit, LintFinding, Safety};
use super::flow::{BuildMachine, StageFlow};
use super::outside::{Outside, Pin};
use super::rule::RuleName;
use crate::oci::Reference;
use crate::platform::Platform;

/// Base images that lack a platform that is built: BuildKit's InvalidBaseImagePlatform, for every platform at once.
pub fn base_platforms(
    file: &Dockerfile<'_>,
    flow: &StageFlow,
    outside: &Outside<'_>,
) -> (Vec<LintFinding>, Vec<LintProblem>) {
    let (mut findings, mut problems) = (Vec::new(), Vec::new());
    let named = (outside.named_archs)().into_iter().map(Platform::linux);
    let wanted: Vec<Platform> = outside.platforms.iter().cloned().chain(named).collect();
    let Some(lookup) = outside.pin.filter(|_| !wanted.is_empty()) else { return (findings, problems) };
    let globals = file.global_variables();
    for (at, stage) in file.stages.iter().enumerate() {
        let place = &flow.places[at];
        let (image, _) = dockerfile::expand(&stage.image.text, &globals);
        let is_asked = stage.parent.is_none() && place.machine == BuildMachine::Target && place.reaches_final;
        if !is_asked || image.contains('$') || image == "scratch" {
            continue;
        }
        let Ok(reference) = Reference::parse(&image) else { continue };
        let held = match lookup(&reference) {
            Ok(Pin::Index(platforms)) => platforms,
            // A pinned manifest has a finding of its own.
            Ok(Pin::Manifest { .. }) if reference.digest.is_some() => continue,
            Ok(Pin::Manifest { platform, .. }) => Vec::from_iter(platform),
            Err(_) if reference.digest.is_some() => continue,
            Err(cause) => {
                let message = format!("{image} could not be checked: {cause}");
                problems.push(LintProblem { at: stage.image.span.start, message });
                continue;
            }
        };
        let is_held = |wanted: &&Platform| held.iter().any(|own| own.os == wanted.os && own.arch() == wanted.arch());
        let mut missing: Vec<String> =
            wanted.iter().filter(|wanted| !is_held(wanted)).map(ToString::to_string).collect();
        missing.sort();
        missing.dedup();
        if !missing.is_empty() && !held.is_empty() {
            let message = format!("{image} has no {}, which is built", missing.join(", "));
            let finding =
                LintFinding::new(RuleName::SingleArchBase, stage.image.span.clone(), message, "lacks a platform");
            findings
                .push(finding.help("name an image that has every platform, or do not build the ones that it lacks"));
        }
    }
    (findings, problems)
}

/// Asks the registry about the digests that FROM and `COPY --from` pin.
pub fn digests(file: &Dockerfile<'_>, outside: &Outside<'_>) -> (Vec<LintFinding>, Vec<LintProblem>) {
    let (mut findings, mut problems) = (Vec::new(), Vec::new());
    let globals = file.global_variables();
    let bases = file.stages.iter().map(|stage| (stage.image.text.clone(), stage.image.span.clone()));
    let options = file.stages.iter().flat_map(|stage| &stage.steps).flat_map(|step| &step.options);
    let copied = options.filter(|option| option.name == "from").map(|o| (o.value.clone(), o.value_span.clone()));
    for (text, span) in bases.chain(copied) {
        let (image, _) = dockerfile::expand(&text, &globals);
        let literal = file.text[span.clone()].contains("@sha256:");
        match pinned(&image, span, literal, outside) {
            Ok(found) => findings.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    (findings, problems)
}

/// Reports an image that is pinned to one platform's manifest.
pub fn pinned(
    image: &str,
    span: std::ops::Range<usize>,
    is_literal: bool,
    outside: &Outside<'_>,
) -> Result<Option<LintFinding>, LintProblem> {
    let (Some(lookup), Ok(reference)) = (outside.pin, Reference::parse(image)) else { return Ok(None) };
    let Some(digest) = reference.digest.clone() else { return Ok(None) };
    let pin = lookup(&reference)
        .map_err(|cause| LintProblem { at: span.start, message: format!("{image} could not be checked: {cause}") })?;
    let Pin::Manifest { platform, index } = pin else { return Ok(None) };
    let which = platform.map_or("one platform".to_string(), |platform| platform.to_string());
    let finding = LintFinding::new(
        RuleName::SinglePlatformDigest,
        span.clone(),
        format!("this digest is the manifest of {which}, and every platform gets it"),
        format!("only {which}"),
    );
    Ok(Some(match index.filter(|index| is_literal && *index != digest) {
        Some(index) => {
            let help = format!("pin the index that the tag names now: {index}");
            let edit = Edit::replace(span.end - digest.as_str().len()..span.end, index.as_str());
            finding.help(help).fix("pin the index", Safety::Unsafe, vec![edit])
        }
        None => finding,
    }))
}
