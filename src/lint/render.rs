//! Findings as a compiler shows them: the source line, what is wrong under it, and the change that cures it.

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::finding::Finding;
use super::rule::Severity;
use super::{Linted, Problem};

/// How the text is drawn. Decided at the rim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawing {
    pub is_styled: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// Every finding and problem of a file, the first place first, each followed by a blank line.
pub fn render(linted: &Linted, drawing: Drawing) -> String {
    let renderer = if drawing.is_styled { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(drawing.width);
    let path = linted.path.display().to_string();
    let findings = linted.findings.iter().map(|finding| renderer.render(&groups(finding, &path, &linted.text)));
    let problems =
        linted.problems.iter().map(|problem| renderer.render(&[problem_group(problem, &path, &linted.text)]));
    findings.chain(problems).map(|text| text + "\n\n").collect()
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

fn groups<'a>(finding: &'a Finding, path: &'a str, text: &'a str) -> Vec<Group<'a>> {
    let primary = AnnotationKind::Primary.span(clamped(&finding.span, text)).label(&finding.label);
    let related = finding
        .related
        .iter()
        .map(|other| AnnotationKind::Context.span(clamped(&other.span, text)).label(&other.label));
    let snippet = Snippet::source(text).path(path).annotation(primary).annotations(related);
    let mut groups =
        vec![level(finding.severity).primary_title(&finding.message).id(finding.code.name()).element(snippet)];
    match &finding.fix {
        Some(fix) => {
            let patches = fix.edits.iter().map(|edit| Patch::new(edit.start..edit.end, edit.replacement.as_str()));
            let title = match fix.safety {
                super::Safety::Safe => fix.title.clone(),
                super::Safety::Unsafe => format!("{} (--fix --unsafe)", fix.title),
            };
            groups.push(Level::HELP.secondary_title(title).element(Snippet::source(text).path(path).patches(patches)));
            groups.push(Group::with_title(Level::NOTE.secondary_title(finding.advice())));
        }
        None => groups.push(Group::with_title(Level::HELP.secondary_title(finding.advice()))),
    }
    groups
}

fn problem_group<'a>(problem: &'a Problem, path: &'a str, text: &'a str) -> Group<'a> {
    let at = clamped(&(problem.at..problem.at + 1), text);
    let snippet = Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(at));
    Level::ERROR.primary_title(&problem.message).id("not-checked").element(snippet)
}

/// A span within the text and on character boundaries.
fn clamped(span: &std::ops::Range<usize>, text: &str) -> std::ops::Range<usize> {
    let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = floor(span.start);
    start..floor(span.end).max(start)
}
