//! Writes a self-contained page without fonts or requests. Its only script adds buttons that copy commands. The verdict
//! comes first, then the matrix, the findings and the layers. The page is readable on phones, in dark mode and in
//! print. All text from an image is escaped.

use std::collections::BTreeSet;
use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use crate::exec::outcome::Outcome;
use crate::judge::code::Severity;
use crate::oci::Digest;
use crate::report::diagnostic::{Diagnostic, RunResults, Subject};
use crate::report::escape::{plural, thousands};
use crate::report::rules::ReportingCommand;
use crate::report::view::{self, FindingGroup};
use crate::report::xml::escape;
use crate::scan::{PlatformReport, TargetReport, Verdict};

const STYLE: &str = include_str!("html.css");
const SCRIPT: &str = include_str!("html.js");

/// The maximum number of finding groups per image. Browsers cannot open a page with ten thousand.
const MAX_FINDINGS: usize = 500;

/// The maximum number of platform columns in the table of several images.
const MAX_COLUMNS: usize = 12;

/// The maximum number of files listed per group.
const MAX_FILES: usize = 200;

pub fn write(results: &RunResults<'_>, out: &mut dyn Write) -> io::Result<()> {
    let worst = results.subjects.iter().map(|subject| subject.verdict).max().unwrap_or(Verdict::Unknown);
    writeln!(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    // Blocks loading anything, and running any script but the page's own, even if something was not escaped.
    let script = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src \
         'sha256-{script}'\">"
    )?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(out, "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">")?;
    writeln!(out, "<title>{}: {}</title>", view::headline(worst), escape(&title(results)))?;
    writeln!(out, "<style>\n{STYLE}</style>\n</head>\n<body>\n<header>")?;
    writeln!(out, "<h1>{} {}</h1>", mark(worst), question(results.tool))?;
    writeln!(out, "<p class=\"soft\">{}</p>", counts(results).join(", "))?;
    match results.tool {
        _ if results.subjects.len() < 2 => {}
        ReportingCommand::Scan => write_heat_map(results, out)?,
        ReportingCommand::Lint => write_contents(results, out)?,
    }
    writeln!(out, "</header>\n<main>")?;
    for (index, subject) in results.subjects.iter().enumerate() {
        write_subject(index, subject, out)?;
    }
    let (name, version) = (results.tool.name(), env!("CARGO_PKG_VERSION"));
    let (took, exit) = (results.took.as_secs_f64(), results.exit_code);
    writeln!(out, "</main>\n<footer>{name} {version}; read in {took:.1} s; exit code {exit}</footer>")?;
    writeln!(out, "<script>{SCRIPT}</script>\n</body>\n</html>")
}

fn question(tool: ReportingCommand) -> &'static str {
    match tool {
        ReportingCommand::Scan => "Will it run?",
        ReportingCommand::Lint => "Will it build for every platform?",
    }
}

fn subjects(results: &RunResults<'_>) -> String {
    let word = match results.tool {
        ReportingCommand::Scan => "image",
        ReportingCommand::Lint => "file",
    };
    plural(results.subjects.len(), word)
}

fn counts(results: &RunResults<'_>) -> Vec<String> {
    let mut counts = vec![subjects(results)];
    let platforms: usize = results.subjects.iter().map(|subject| subject.platforms.len()).sum();
    counts.extend((results.tool == ReportingCommand::Scan).then(|| plural(platforms, "platform")));
    counts.push(plural(results.count(Severity::Error), "error"));
    counts.push(plural(results.count(Severity::Warning), "warning"));
    counts
}

fn title(results: &RunResults<'_>) -> String {
    match results.subjects.as_slice() {
        [subject] => subject.name.clone(),
        _ => subjects(results),
    }
}

fn mark(verdict: Verdict) -> String {
    let class = match verdict {
        Verdict::Fine => "good",
        Verdict::Warned | Verdict::Unknown => "warn",
        Verdict::Broken => "bad",
    };
    format!("<span class=\"mark {class}\">{}</span>", view::headline(verdict))
}

fn write_contents(results: &RunResults<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<nav aria-label=\"Contents\"><ul>")?;
    for (index, subject) in results.subjects.iter().enumerate() {
        let name = escape(&subject.name);
        writeln!(out, "<li>{} <a href=\"#image-{index}\">{name}</a></li>", mark(subject.verdict))?;
    }
    writeln!(out, "</ul></nav>")
}

/// Writes an overview table with a row per image and a column per platform.
fn write_heat_map(results: &RunResults<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rows = results.subjects.iter().flat_map(|subject| &subject.matrix);
    let platforms: BTreeSet<&str> = rows.map(|row| row.platform_name.as_str()).collect();
    let platforms: Vec<&str> = platforms.into_iter().take(MAX_COLUMNS).collect();
    writeln!(out, "<div class=\"wide\"><table class=\"heat\"><thead><tr><th scope=\"col\">image</th>")?;
    for platform in &platforms {
        writeln!(out, "<th scope=\"col\">{}</th>", escape(platform))?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for (index, subject) in results.subjects.iter().enumerate() {
        let name = escape(&subject.name);
        write!(out, "<tr><th scope=\"row\">{} <a href=\"#image-{index}\">{name}</a></th>", mark(subject.verdict))?;
        for platform in &platforms {
            // Narrow screens show a list instead of columns.
            let title = escape(platform);
            let rows: Vec<_> = subject.matrix.iter().filter(|row| row.platform_name == *platform).collect();
            let bad = rows.iter().find(|row| !row.is_good);
            match bad.or(rows.first()) {
                Some(row) => {
                    let class = if row.is_good { "good" } else { "bad" };
                    write!(out, "<td class=\"{class}\" data-name=\"{title}\">{}</td>", escape(&row.verdict))?;
                }
                None => write!(out, "<td class=\"soft\" data-name=\"{title}\">not included</td>")?,
            }
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn write_subject(index: usize, subject: &Subject<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<section class=\"image\" id=\"image-{index}\">")?;
    writeln!(out, "<h2>{} {}</h2>", mark(subject.verdict), escape(&subject.name))?;
    if let Some(digest) = subject.digest {
        writeln!(out, "<p class=\"mono soft\">{digest}</p>")?;
    }
    if !subject.origin.is_empty() {
        writeln!(out, "<p class=\"soft\">read from {}</p>", escape(&subject.origin))?;
    }
    for line in &subject.notes {
        writeln!(out, "<p class=\"soft\">{}</p>", escape(line))?;
    }
    write_matrix(subject, out)?;
    for unread in subject.diagnostics.iter().filter(|one| one.rule.is_unread()) {
        write_unread(unread, out)?;
    }
    let groups = view::groups(subject);
    if !groups.is_empty() {
        writeln!(out, "<h3>Findings</h3>")?;
    }
    for group in groups.iter().take(MAX_FINDINGS) {
        write_group(group, subject.platforms.len() > 1, out)?;
    }
    if let Some(rest) = groups.len().checked_sub(MAX_FINDINGS).filter(|rest| *rest > 0) {
        writeln!(out, "<p>and {} more</p>", thousands(rest))?;
    }
    write_accepted(subject, out)?;
    for platform in subject.platforms {
        write_platform(platform, subject, out)?;
    }
    writeln!(out, "</section>")
}

fn write_matrix(subject: &Subject<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rows = &subject.matrix;
    if rows.is_empty() {
        return Ok(());
    }
    let names_targets = subject.names_targets();
    writeln!(out, "<div class=\"wide\"><table class=\"matrix\"><thead><tr><th scope=\"col\">platform</th>")?;
    if names_targets {
        writeln!(out, "<th scope=\"col\">on</th>")?;
    }
    writeln!(
        out,
        "<th scope=\"col\">says</th><th scope=\"col\">is</th><th scope=\"col\" class=\"number\">programs</th>"
    )?;
    writeln!(out, "<th scope=\"col\">starts</th><th scope=\"col\">verdict</th></tr></thead><tbody>")?;
    for row in rows {
        let cell = |name: &str, text: &str| format!("<td data-name=\"{name}\"><span>{}</span></td>", escape(text));
        let class = if row.is_good { "good" } else { "bad" };
        write!(out, "<tr>{}", cell("platform", &row.platform))?;
        if names_targets {
            write!(out, "{}", cell("on", &row.target))?;
        }
        write!(out, "{}{}", cell("says", &row.says), cell("is", &row.is))?;
        write!(out, "<td data-name=\"programs\" class=\"number\"><span>{}</span></td>", thousands(row.programs))?;
        write!(out, "<td data-name=\"starts\"><span class=\"mono\">{}</span></td>", escape(&row.starts))?;
        let verdict = escape(&row.verdict);
        writeln!(
            out,
            "<td data-name=\"verdict\"><span><span class=\"mark {class}\">{verdict}</span></span></td></tr>"
        )?;
    }
    writeln!(out, "</tbody></table></div>")
}

fn write_unread(unread: &Diagnostic<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "<p><span class=\"mark warn\">could not tell</span> {}{}</p>",
        place(unread),
        escape(unread.message)
    )?;
    write!(out, "{}", hint(unread))
}

/// Formats a hint with prose as paragraphs and each command in its own block, so that it can be copied.
fn hint(diagnostic: &Diagnostic<'_>) -> String {
    let line = |line: &&str| match view::is_command(line) {
        true => format!("<pre>{}</pre>\n", escape(line)),
        false => format!("<p>{}</p>\n", escape(line)),
    };
    diagnostic.hint.iter().map(line).collect()
}

/// Returns the position in a linted file, as in `line 5, column 34: `.
fn place(diagnostic: &Diagnostic<'_>) -> String {
    match diagnostic.location.source_line().span {
        Some(span) => format!("line {}, column {}: ", span.start.line, span.start.column),
        None => String::new(),
    }
}

fn write_group(group: &FindingGroup<'_, '_>, several: bool, out: &mut dyn Write) -> io::Result<()> {
    let first = group.first();
    let (class, open) = match first.severity {
        Severity::Error => ("bad", " open"),
        Severity::Warning => ("warn", ""),
        Severity::Note => ("note", ""),
    };
    let platform = first.platform.filter(|_| several).map_or_else(String::new, |p| format!("{}: ", escape(&p.label())));
    let files = match group.paths() {
        paths if paths.is_empty() || !first.is_in_image() => String::new(),
        paths => format!(" <span class=\"mono soft\">{}</span>", escape(&paths)),
    };
    write!(out, "<details{open}><summary><span class=\"mark {class}\">{}</span> ", first.severity.word())?;
    writeln!(
        out,
        "<code>{}</code> {platform}{}{}{files}</summary><div class=\"body\">",
        first.rule.name(),
        place(first),
        escape(group.message())
    )?;
    writeln!(out, "<dl>")?;
    for (name, value) in group.details() {
        writeln!(out, "<dt>{name}</dt><dd class=\"mono\">{}</dd>", escape(&value))?;
    }
    writeln!(out, "<dt>why it matters</dt><dd>{}</dd>", prose(&first.rule.why()))?;
    if !first.hint.is_empty() {
        writeln!(out, "<dt>what to do</dt><dd>{}</dd>", hint(first))?;
    }
    writeln!(out, "</dl>")?;
    if group.members.len() > 1 {
        write_files(group, out)?;
    }
    writeln!(out, "</div></details>")
}

fn write_files(group: &FindingGroup<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<details><summary>{}</summary><div class=\"body\">", plural(group.members.len(), "file"))?;
    for member in group.members.iter().take(MAX_FILES) {
        let (path, difference) = (escape(member.path().unwrap_or_default()), escape(&group.difference(member)));
        writeln!(out, "<p class=\"mono\">{path} <span class=\"soft\">{difference}</span></p>")?;
    }
    if let Some(rest) = group.members.len().checked_sub(MAX_FILES).filter(|rest| *rest > 0) {
        writeln!(out, "<p>and {} more</p>", thousands(rest))?;
    }
    writeln!(out, "</div></details>")
}

/// Escapes a text of the tables and converts its backquotes to code elements.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }).collect()
}

fn write_accepted(subject: &Subject<'_>, out: &mut dyn Write) -> io::Result<()> {
    let accepted: Vec<_> = subject.diagnostics.iter().filter_map(|one| Some((one, one.accepted?))).collect();
    if accepted.is_empty() {
        return Ok(());
    }
    let count = plural(accepted.len(), "finding");
    writeln!(out, "<details><summary>{count} accepted</summary><div class=\"body\"><dl>")?;
    for (finding, reason) in accepted.iter().take(MAX_FINDINGS) {
        let (code, path, reason) = (finding.rule.name(), escape(finding.path().unwrap_or_default()), escape(reason));
        writeln!(out, "<dt>{code}</dt><dd><span class=\"mono\">{path}</span> {reason}</dd>")?;
    }
    writeln!(out, "</dl></div></details>")
}

/// Writes the details of a platform: how it starts, step by step, and its layers.
fn write_platform(platform: &PlatformReport, subject: &Subject<'_>, out: &mut dyn Write) -> io::Result<()> {
    let name = escape(&platform.label());
    writeln!(out, "<details><summary>{name}: how it starts, and its layers</summary><div class=\"body\">")?;
    if let Some(digest) = &platform.digest {
        writeln!(out, "<p class=\"mono soft\">{digest}</p>")?;
    }
    for target in &platform.targets {
        write_target(target, out)?;
    }
    if !platform.layers.is_empty() {
        writeln!(out, "<h3>Layers, lowest first</h3>")?;
        let guilty = guilty(platform, subject);
        write_bar(platform, &guilty, out)?;
        writeln!(out, "<ol class=\"layers\">")?;
        for layer in &platform.layers {
            let step = layer.step.as_deref().unwrap_or("unknown build step");
            let base = if layer.is_base == Some(true) { ", of the base image" } else { "" };
            let line = layer.dockerfile_line.map_or_else(String::new, |line| format!(", Dockerfile line {line}"));
            let size = indicatif::BinaryBytes(layer.size);
            let blame = match guilty.contains(&layer.digest) {
                true => "<span class=\"mark bad\">introduced an error</span> ",
                false => "",
            };
            writeln!(out, "<li>{blame}<code>{}</code><br>", escape(step))?;
            writeln!(
                out,
                "<span class=\"soft\">{size}{base}{line}; <span class=\"mono\">{}</span></span></li>",
                layer.digest
            )?;
        }
        writeln!(out, "</ol>")?;
    }
    writeln!(out, "</div></details>")
}

/// Returns the layers that introduced an error of the platform.
fn guilty<'s>(platform: &PlatformReport, subject: &'s Subject<'_>) -> BTreeSet<&'s Digest> {
    let errors = subject.diagnostics.iter().filter(|one| one.severity == Severity::Error && one.counts());
    let here = errors.filter(|one| one.platform.is_some_and(|other| std::ptr::eq(other, platform)));
    here.filter_map(Diagnostic::layer).map(|layer| &layer.digest).collect()
}

/// Writes a bar of the layers, with widths in proportion to their sizes.
fn write_bar(platform: &PlatformReport, guilty: &BTreeSet<&Digest>, out: &mut dyn Write) -> io::Result<()> {
    let numbers: Vec<String> = (1..)
        .zip(&platform.layers)
        .filter(|(_, layer)| guilty.contains(&layer.digest))
        .map(|(number, _)| number.to_string())
        .collect();
    let count = plural(platform.layers.len(), "layer");
    let label = match numbers.is_empty() {
        true => count,
        false => format!("{count}; errors in layer {}", numbers.join(", ")),
    };
    write!(out, "<div class=\"bar\" role=\"img\" aria-label=\"{label}\">")?;
    for layer in &platform.layers {
        let class = if guilty.contains(&layer.digest) { "guilty" } else { "fair" };
        write!(out, "<span class=\"{class}\" style=\"flex-grow:{}\"></span>", layer.size.max(1))?;
    }
    writeln!(out, "</div>")
}

fn write_target(target: &TargetReport, out: &mut dyn Write) -> io::Result<()> {
    let class = if target.outcome.is_alive() { "good" } else { "bad" };
    let outcome = match &target.outcome {
        Outcome::Runs => "runs".to_string(),
        Outcome::Emulated { by } => format!("runs by {by}"),
        other => other.cause().map_or_else(|| other.word().to_string(), |cause| cause.text.clone()),
    };
    let (name, outcome) = (escape(&target.name), escape(&outcome));
    writeln!(out, "<h3>On {name} <span class=\"mark {class}\">{}</span></h3>", target.outcome.word())?;
    writeln!(out, "<p>{outcome}</p>\n<ol class=\"path\">")?;
    for (at, step) in target.steps.iter().enumerate() {
        let (how, path, is) = (escape(&step.how), escape(&step.path), escape(&step.is));
        let class = if at + 1 == target.steps.len() { class } else { "plain" };
        writeln!(
            out,
            "<li class=\"{class}\"><span class=\"soft\">{how}</span> <span class=\"mono\">{path}</span> <span \
             class=\"soft\">{is}</span></li>"
        )?;
    }
    writeln!(out, "</ol>\n<dl>")?;
    if let Some(undecided) = &target.undecided {
        writeln!(out, "<dt>followed to</dt><dd>{}</dd>", escape(&undecided.to_string()))?;
    }
    for shown in &target.shown {
        let code = shown.exit_code.map_or_else(String::new, |code| format!(" (exit {code})"));
        writeln!(out, "<dt>{}</dt><dd class=\"mono\">{}{code}</dd>", escape(&shown.frontend), escape(&shown.text))?;
    }
    writeln!(out, "</dl>")
}
