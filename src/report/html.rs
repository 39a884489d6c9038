//! One page that needs nothing else: no script, no font, no request. The answer first, then the matrix, the findings and
//! the layers; readable on a phone, in the dark and on paper. Everything that comes from an image is escaped.

use std::io::{self, Write};

use super::escape::{plural, thousands};
use super::xml::escape;
use super::{Style, matrix, place, table};
use crate::exec::outcome::Outcome;
use crate::judge::code::Severity;
use crate::scan::{ImageReport, PlatformReport, Problem, Report, TargetReport, Verdict};

const STYLE: &str = include_str!("html.css");

/// Groups of findings on the page for one image; a page of ten thousand opens in no browser.
const MAX_FINDINGS: usize = 500;

/// Files that are listed for one group.
const MAX_FILES: usize = 200;

pub fn write(report: &Report, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    let worst = report.images.iter().map(ImageReport::verdict).max().unwrap_or(Verdict::Unknown);
    writeln!(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    // Nothing may be loaded or run, whatever slipped through.
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(out, "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">")?;
    writeln!(out, "<title>{}: {}</title>", matrix::headline(worst), escape(&title(report)))?;
    writeln!(out, "<style>\n{STYLE}</style>\n</head>\n<body>\n<header>")?;
    writeln!(out, "<h1>{} Will it run?</h1>", mark(worst))?;
    let counts = [
        plural(report.images.len(), "image"),
        plural(report.images.iter().map(|image| image.platforms.len()).sum(), "platform"),
        plural(report.count(Severity::Error), "error"),
        plural(report.count(Severity::Warning), "warning"),
    ];
    writeln!(out, "<p class=\"soft\">{}</p>", counts.join(", "))?;
    if report.images.len() > 1 {
        write_contents(report, out)?;
    }
    writeln!(out, "</header>\n<main>")?;
    for (index, image) in report.images.iter().enumerate() {
        write_image(index, image, style, out)?;
    }
    let (version, took, exit) = (env!("CARGO_PKG_VERSION"), style.took.as_secs_f64(), report.exit_code(style.fail_on));
    writeln!(out, "</main>\n<footer>imgarch {version}; read in {took:.1} s; exit code {exit}</footer>")?;
    writeln!(out, "</body>\n</html>")
}

fn title(report: &Report) -> String {
    match report.images.as_slice() {
        [image] => image.name.clone(),
        images => plural(images.len(), "image"),
    }
}

fn mark(verdict: Verdict) -> String {
    let class = match verdict {
        Verdict::Fine => "good",
        Verdict::Warned | Verdict::Unknown => "warn",
        Verdict::Broken => "bad",
    };
    format!("<span class=\"mark {class}\">{}</span>", matrix::headline(verdict))
}

fn write_contents(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<nav aria-label=\"Images\"><ul>")?;
    for (index, image) in report.images.iter().enumerate() {
        let name = escape(&image.name);
        writeln!(out, "<li>{} <a href=\"#image-{index}\">{name}</a></li>", mark(image.verdict()))?;
    }
    writeln!(out, "</ul></nav>")
}

fn write_image(index: usize, image: &ImageReport, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<section class=\"image\" id=\"image-{index}\">")?;
    writeln!(out, "<h2>{} {}</h2>", mark(image.verdict()), escape(&image.name))?;
    if let Some(digest) = &image.digest {
        writeln!(out, "<p class=\"mono soft\">{digest}</p>")?;
    }
    if !image.origin.is_empty() {
        writeln!(out, "<p class=\"soft\">read from {}</p>", escape(&image.origin))?;
    }
    for line in image.note.iter().chain(&image.skipped) {
        writeln!(out, "<p class=\"soft\">{}</p>", escape(line))?;
    }
    write_matrix(image, out)?;
    for problem in image.problems.iter().chain(image.platforms.iter().flat_map(|platform| &platform.problems)) {
        write_problem(problem, out)?;
    }
    let groups = table::groups(image, style);
    if !groups.is_empty() {
        writeln!(out, "<h3>Findings</h3>")?;
    }
    for group in groups.iter().take(MAX_FINDINGS) {
        write_group(group, image.platforms.len() > 1, out)?;
    }
    if let Some(rest) = groups.len().checked_sub(MAX_FINDINGS).filter(|rest| *rest > 0) {
        writeln!(out, "<p>and {} more</p>", thousands(rest))?;
    }
    write_accepted(image, out)?;
    for platform in &image.platforms {
        write_platform(platform, out)?;
    }
    writeln!(out, "</section>")
}

fn write_matrix(image: &ImageReport, out: &mut dyn Write) -> io::Result<()> {
    let rows = matrix::rows(image);
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "<table class=\"matrix\"><thead><tr><th scope=\"col\">platform</th><th scope=\"col\">on</th>")?;
    writeln!(
        out,
        "<th scope=\"col\">says</th><th scope=\"col\">is</th><th scope=\"col\" class=\"number\">programs</th>"
    )?;
    writeln!(out, "<th scope=\"col\">starts</th><th scope=\"col\">verdict</th></tr></thead><tbody>")?;
    for row in &rows {
        let cell = |name: &str, text: &str| format!("<td data-name=\"{name}\"><span>{}</span></td>", escape(text));
        let class = if row.is_good { "good" } else { "bad" };
        write!(out, "<tr>{}{}", cell("platform", &row.platform), cell("on", &row.target))?;
        write!(out, "{}{}", cell("says", &row.says), cell("is", &row.is))?;
        write!(out, "<td data-name=\"programs\" class=\"number\"><span>{}</span></td>", thousands(row.programs))?;
        write!(out, "<td data-name=\"starts\"><span class=\"mono\">{}</span></td>", escape(&row.starts))?;
        let verdict = escape(&row.verdict);
        writeln!(
            out,
            "<td data-name=\"verdict\"><span><span class=\"mark {class}\">{verdict}</span></span></td></tr>"
        )?;
    }
    writeln!(out, "</tbody></table>")
}

fn write_problem(problem: &Problem, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<p><span class=\"mark warn\">could not tell</span> {}</p>", escape(&problem.text))?;
    match &problem.hint {
        Some(hint) => writeln!(out, "<pre>{}</pre>", escape(hint)),
        None => Ok(()),
    }
}

fn write_group(group: &table::Group<'_>, several: bool, out: &mut dyn Write) -> io::Result<()> {
    let finding = group.findings[0];
    let (class, open) = match finding.severity {
        Severity::Error => ("bad", " open"),
        Severity::Warning => ("warn", ""),
        Severity::Note => ("note", ""),
    };
    let platform = group.platform.filter(|_| several).map_or_else(String::new, |p| format!("{}: ", escape(&p.label())));
    write!(out, "<details{open}><summary><span class=\"mark {class}\">{}</span> ", finding.severity.word())?;
    writeln!(
        out,
        "<code>{}</code> {platform}{}</summary><div class=\"body\">",
        finding.code,
        escape(&finding.message)
    )?;
    writeln!(out, "<dl>")?;
    for (name, value) in place::facts(group.platform, finding, group.findings.len()) {
        writeln!(out, "<dt>{name}</dt><dd class=\"mono\">{}</dd>", escape(&value))?;
    }
    writeln!(out, "<dt>why it matters</dt><dd>{}</dd>", prose(finding.code.row().why))?;
    if !finding.hint.is_empty() {
        let hint: Vec<String> = finding.hint.iter().map(|line| escape(line)).collect();
        writeln!(out, "<dt>what to do</dt><dd><pre>{}</pre></dd>", hint.join("\n"))?;
    }
    writeln!(out, "</dl>")?;
    if group.findings.len() > 1 {
        writeln!(out, "<details><summary>{}</summary><div class=\"body\">", plural(group.findings.len(), "file"))?;
        for finding in group.findings.iter().take(MAX_FILES) {
            let path = finding.path.as_deref().unwrap_or_default();
            writeln!(
                out,
                "<p class=\"mono\">{} <span class=\"soft\">{}</span></p>",
                escape(path),
                escape(&finding.is)
            )?;
        }
        if let Some(rest) = group.findings.len().checked_sub(MAX_FILES).filter(|rest| *rest > 0) {
            writeln!(out, "<p>and {} more</p>", thousands(rest))?;
        }
        writeln!(out, "</div></details>")?;
    }
    writeln!(out, "</div></details>")
}

/// The table's own words, in which backquotes set off what is seen on a terminal.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }).collect()
}

fn write_accepted(image: &ImageReport, out: &mut dyn Write) -> io::Result<()> {
    if image.accepted.is_empty() {
        return Ok(());
    }
    let count = plural(image.accepted.len(), "finding");
    writeln!(out, "<details><summary>{count} accepted</summary><div class=\"body\"><dl>")?;
    for accepted in image.accepted.iter().take(MAX_FINDINGS) {
        let path = accepted.finding.path.as_deref().unwrap_or_default();
        let (code, path, reason) = (accepted.finding.code, escape(path), escape(&accepted.reason));
        writeln!(out, "<dt>{code}</dt><dd><span class=\"mono\">{path}</span> {reason}</dd>")?;
    }
    writeln!(out, "</dl></div></details>")
}

/// What starts, step by step, and the layers, for those who look closer.
fn write_platform(platform: &PlatformReport, out: &mut dyn Write) -> io::Result<()> {
    let name = escape(&platform.label());
    writeln!(out, "<details><summary>{name}: how it starts, and its layers</summary><div class=\"body\">")?;
    if let Some(digest) = &platform.digest {
        writeln!(out, "<p class=\"mono soft\">{digest}</p>")?;
    }
    for target in &platform.targets {
        write_target(target, out)?;
    }
    if !platform.layers.is_empty() {
        writeln!(out, "<h3>Layers, lowest first</h3>\n<ol class=\"layers\">")?;
        for layer in &platform.layers {
            let step = layer.step.as_deref().unwrap_or("build step not known");
            let base = if layer.is_base == Some(true) { ", of the base image" } else { "" };
            let line = layer.dockerfile_line.map_or_else(String::new, |line| format!(", Dockerfile line {line}"));
            let size = indicatif::BinaryBytes(layer.size);
            writeln!(out, "<li><code>{}</code><br>", escape(step))?;
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

fn write_target(target: &TargetReport, out: &mut dyn Write) -> io::Result<()> {
    let class = if target.outcome.is_alive() { "good" } else { "bad" };
    let outcome = match &target.outcome {
        Outcome::Runs => "runs".to_string(),
        Outcome::Emulated { by } => format!("runs by {by}"),
        other => other.cause().map_or_else(|| other.word().to_string(), |cause| cause.text.clone()),
    };
    let (name, outcome) = (escape(&target.name), escape(&outcome));
    writeln!(out, "<h3>On {name} <span class=\"mark {class}\">{}</span></h3>", target.outcome.word())?;
    writeln!(out, "<p>{outcome}</p>\n<dl>")?;
    for step in &target.steps {
        let (how, path, is) = (escape(&step.how), escape(&step.path), escape(&step.is));
        writeln!(out, "<dt>{how}</dt><dd><span class=\"mono\">{path}</span> <span class=\"soft\">{is}</span></dd>")?;
    }
    if let Some(why) = &target.undecided {
        writeln!(out, "<dt>not followed</dt><dd>{}</dd>", escape(why))?;
    }
    for shown in &target.shown {
        let code = shown.exit_code.map_or_else(String::new, |code| format!(" (exit {code})"));
        writeln!(out, "<dt>{}</dt><dd class=\"mono\">{}{code}</dd>", escape(shown.frontend), escape(&shown.text))?;
    }
    writeln!(out, "</dl>")
}
