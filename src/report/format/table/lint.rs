//! Writes lint findings like compiler messages: the source line, the problem below it, and the change that fixes it.
//! Then a summary with the next step.

use std::io::{self, Write};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use crate::judge::code::Severity;
use crate::lint::{LintFinding, LintProblem, Linted, Position, Safety};
use crate::report::LintRun;
use crate::report::escape::{plural, visible};
use crate::report::rules::RuleId;
use crate::report::terminal::{Color, Screen, fill, severity_color};

pub fn write_lint(run: &LintRun<'_>, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    for file in run.files {
        out.write_all(render(file, screen).as_bytes())?;
    }
    writeln!(out, "{}", summary(run.files))
}

/// Returns the summary, such as `2 errors, 1 warning; 3 files`, and the commands that apply fixes.
fn summary(all: &[Linted]) -> String {
    let count =
        |severity| all.iter().flat_map(|file| &file.findings).filter(|finding| finding.severity == severity).count();
    let mut parts = vec![plural(count(Severity::Error), "error"), plural(count(Severity::Warning), "warning")];
    let notes = count(Severity::Note);
    let problems: usize = all.iter().map(|file| file.problems.len()).sum();
    let ignored: usize = all.iter().map(|file| file.ignored).sum();
    parts.extend((notes > 0).then(|| plural(notes, "note")));
    parts.extend((problems > 0).then(|| format!("{problems} not checked")));
    parts.extend((ignored > 0).then(|| format!("{ignored} ignored")));
    let fixable = |safety| {
        all.iter()
            .flat_map(|file| &file.findings)
            .filter(|finding| finding.fix.as_ref().is_some_and(|fix| fix.safety == safety))
            .count()
    };
    let hint = match (fixable(Safety::Safe), fixable(Safety::Unsafe)) {
        (0, 0) => String::new(),
        (0, guessed) => format!("\n{guessed} can be rewritten: imgarch lint --fix --unsafe"),
        (safe, 0) => format!("\n{safe} can be rewritten: imgarch lint --fix"),
        (safe, guessed) => format!("\n{safe} can be rewritten: imgarch lint --fix; {guessed} more with --unsafe"),
    };
    format!("{}; {}{hint}", parts.join(", "), plural(all.len(), "file"))
}

/// Renders the findings of a file in order of position, then its problems, each followed by a blank line.
pub fn render(linted: &Linted, screen: Screen) -> String {
    if screen.is_narrow() {
        return render_narrow(linted, screen);
    }
    let renderer = if screen.color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(screen.width);
    let path = visible(&linted.path.display().to_string());
    let findings = linted.findings.iter().map(|finding| renderer.render(&groups(finding, &path, &linted.text, screen)));
    let problems =
        linted.problems.iter().map(|problem| renderer.render(&[problem_group(problem, &path, &linted.text, screen)]));
    findings.chain(problems).map(|text| text + "\n\n").collect()
}

/// Renders findings and problems without source lines, which would not fit a narrow screen.
fn render_narrow(linted: &Linted, screen: Screen) -> String {
    let path = visible(&linted.path.display().to_string());
    let mut text = String::new();
    let mut line = |lead: &str, value: &str| text.push_str(&(fill(lead, &visible(value), 2, screen.width) + "\n"));
    let place = |at: usize| {
        let Position { line, column } = Position::from_offset(&linted.text, at);
        format!("{path}:{line}:{column}")
    };
    for finding in &linted.findings {
        let head = format!("{}[{}]", finding.severity.word(), finding.code.name());
        line(&format!("{}: ", screen.paint(&head, severity_color(finding.severity))), &finding.message);
        line("  at ", &place(finding.span.start));
        line("  help: ", finding.advice());
        match finding.fix.as_ref().map(|fix| fix.safety) {
            Some(Safety::Safe) => line("  ", "imgarch lint --fix"),
            Some(Safety::Unsafe) => line("  ", "imgarch lint --fix --unsafe"),
            None => {}
        }
        line("", "");
    }
    for problem in &linted.problems {
        let head = format!("error[{}]", RuleId::NotChecked.name());
        line(&format!("{}: ", screen.paint(&head, Color::Red)), &problem.message);
        line("  at ", &place(problem.at));
        line("", "");
    }
    text
}

/// The minimum width of text next to a label, in columns.
const LEAST_WIDTH: usize = 20;

/// Wraps text that follows a label of `label` columns.
fn wrapped(text: &str, label: usize, screen: Screen) -> String {
    fill("", text, 0, screen.width.saturating_sub(label).max(LEAST_WIDTH))
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

fn groups<'a>(finding: &'a LintFinding, path: &'a str, text: &'a str, screen: Screen) -> Vec<Group<'a>> {
    let primary = AnnotationKind::Primary.span(clamped(&finding.span, text)).label(&finding.label);
    let related = finding
        .related
        .iter()
        .map(|other| AnnotationKind::Context.span(clamped(&other.span, text)).label(&other.label));
    let snippet = Snippet::source(text).path(path).annotation(primary).annotations(related);
    let label = finding.severity.word().len() + finding.code.name().len() + "[]: ".len();
    let title = wrapped(&finding.message, label, screen);
    let advice = |label: &str| wrapped(finding.advice(), label.len(), screen);
    let mut groups = vec![level(finding.severity).primary_title(title).id(finding.code.name()).element(snippet)];
    match &finding.fix {
        Some(fix) => {
            let patches = fix.edits.iter().map(|edit| Patch::new(edit.start..edit.end, edit.replacement.as_str()));
            let title = match fix.safety {
                Safety::Safe => fix.title.clone(),
                Safety::Unsafe => format!("{} (--fix --unsafe)", fix.title),
            };
            groups.push(
                Level::HELP
                    .secondary_title(wrapped(&title, "help: ".len(), screen))
                    .element(Snippet::source(text).path(path).patches(patches)),
            );
            groups.push(Group::with_title(Level::NOTE.secondary_title(advice("note: "))));
        }
        None => groups.push(Group::with_title(Level::HELP.secondary_title(advice("help: ")))),
    }
    groups
}

fn problem_group<'a>(problem: &'a LintProblem, path: &'a str, text: &'a str, screen: Screen) -> Group<'a> {
    let label = "error[]: ".len() + RuleId::NotChecked.name().len();
    let title = wrapped(&problem.message, label, screen);
    let at = clamped(&(problem.at..problem.at + 1), text);
    let snippet = Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(at));
    Level::ERROR.primary_title(title).id(RuleId::NotChecked.name()).element(snippet)
}

/// Limits a span to the text and to character boundaries.
fn clamped(span: &Range<usize>, text: &str) -> Range<usize> {
    let boundary = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = boundary(span.start);
    start..boundary(span.end).max(start)
}
