//! Rules about automatic platform arguments: used without an ARG, or overridden by a default.

use super::dockerfile::{self, AUTOMATIC, BuildStep, BuildVariable, Dockerfile, StepKind};
use super::finding::{Edit, LintFinding, Safety};
use super::outside::Outside;
use super::rule::{RuleName, Severity};

pub fn check(file: &Dockerfile<'_>, outside: &Outside<'_>) -> Vec<LintFinding> {
    let mut findings = defaults(file, outside);
    for at in 0..file.stages.len() {
        findings.extend(undeclared(file, at));
    }
    findings
}

fn defaults(file: &Dockerfile<'_>, outside: &Outside<'_>) -> Vec<LintFinding> {
    let in_stages = file.stages.iter().flat_map(|stage| &stage.steps).filter_map(|step| match &step.kind {
        StepKind::Arg(pairs) => Some(pairs),
        _ => None,
    });
    // A project that passes the argument itself does not need the builder's value.
    let pairs = in_stages.flatten().filter(|pair| !(outside.passes)(&pair.name));
    pairs.filter_map(|pair| overridden(file, pair)).collect()
}

/// `ARG TARGETARCH=amd64` in a stage. A default that refers to a variable, or `linux`, is harmless.
fn overridden(file: &Dockerfile<'_>, pair: &BuildVariable) -> Option<LintFinding> {
    let (value, span) = pair.value.as_ref()?;
    let is_every_image = pair.name.ends_with("OS") && value == "linux";
    if !AUTOMATIC.contains(&pair.name.as_str()) || value.contains('$') || is_every_image {
        return None;
    }
    // Only 32-bit Arm has variants that BuildKit passes to a build.
    let severity = if pair.name.ends_with("VARIANT") { Severity::Warning } else { Severity::Error };
    let message = format!("{} is {value:?} in every platform's build", pair.name);
    let finding = LintFinding::new(RuleName::TargetArgDefault, span.clone(), message, "overrides the builder's value")
        .weighing(severity);
    let whole = pair.name_span.end..span.end;
    let is_plain = file.text[whole.clone()].starts_with('=');
    Some(match is_plain {
        true => finding.fix("use the builder's value", Safety::Safe, vec![Edit::delete(whole)]),
        false => finding,
    })
}

fn undeclared(file: &Dockerfile<'_>, stage: usize) -> Vec<LintFinding> {
    let mut findings: Vec<LintFinding> = Vec::new();
    let mut reported: Vec<&str> = Vec::new();
    for (index, step) in file.stages[stage].steps.iter().enumerate() {
        // An ONBUILD step runs in a stage of another file.
        if matches!(step.kind, StepKind::Arg(_)) || step.is_onbuild {
            continue;
        }
        let known = file.variables_at(stage, index);
        for (at, name) in uses(file, step) {
            let is_new = !known.contains_key(name) && !reported.contains(&name);
            if !is_new {
                continue;
            }
            reported.push(name);
            let message = format!("{name} is empty here: this stage does not declare it");
            let mut finding = LintFinding::new(
                RuleName::TargetArgUndeclared,
                at..at + name.len(),
                message,
                "no ARG before it in this stage",
            );
            if let Some(global) = file.globals.iter().find(|global| global.name == name) {
                finding = finding.related(global.name_span.clone(), "an ARG before FROM applies to FROM lines only");
            }
            let edits = vec![Edit::insert(step.span.start, format!("ARG {name}\n"))];
            findings.push(finding.fix(format!("declare {name} in this stage"), Safety::Safe, edits));
        }
    }
    findings
}

/// Returns the automatic arguments that a step refers to, unless it handles empty values (`${TARGETARCH:?}`) or its
/// shell sets them.
fn uses<'a>(file: &'a Dockerfile<'a>, step: &BuildStep) -> Vec<(usize, &'a str)> {
    let text = &file.text[step.span.clone()];
    let mut found = Vec::new();
    for (at, reference) in dockerfile::references(text) {
        let line = &text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..at];
        let is_comment = line.trim_start().starts_with('#');
        let is_set =
            text.contains(&format!("{}=", reference.name)) || text.contains(&format!("read {}", reference.name));
        let is_escaped = text[..at].ends_with('\\');
        // Every image of Linux has this value, declared or not.
        let is_every_image =
            reference.name.ends_with("OS") && reference.operator.ends_with('-') && reference.operand == "linux";
        if AUTOMATIC.contains(&reference.name)
            && !reference.operator.contains('?')
            && !is_comment
            && !is_set
            && !is_escaped
            && !is_every_image
        {
            let name_at = at + text[at..].find(reference.name).unwrap_or(0);
            found.push((step.span.start + name_at, &text[name_at..name_at + reference.name.len()]));
        }
    }
    found
}
