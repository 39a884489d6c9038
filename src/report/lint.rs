//! Lint findings in their formats: as a compiler shows them, and as CI services and other programs read them.

mod github;
mod gitlab;
mod json;
mod junit;
mod sarif;

use std::io::{self, Write};

use super::escape::{plural, visible};
use super::fingerprint;
use crate::judge::code::Severity;
use crate::lint::{self, Drawing, Finding, Linted, Position, Safety};

/// The formats that `imgarch lint --format` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LintFormat {
    Text,
    Plain,
    Json,
    Sarif,
    Junit,
    Github,
    Gitlab,
}

impl LintFormat {
    /// The first name of a format is the one of help; `table` is what the same is called elsewhere.
    const NAMES: &[(&str, LintFormat)] = &[
        ("text", LintFormat::Text),
        ("plain", LintFormat::Plain),
        ("json", LintFormat::Json),
        ("sarif", LintFormat::Sarif),
        ("junit", LintFormat::Junit),
        ("github", LintFormat::Github),
        ("gitlab", LintFormat::Gitlab),
        ("table", LintFormat::Text),
    ];

    pub fn parse(name: &str) -> Option<LintFormat> {
        LintFormat::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    }

    pub fn names() -> Vec<&'static str> {
        LintFormat::NAMES.iter().map(|(name, _)| *name).collect()
    }
}

/// What could not be checked, where a code must stand; it is no rule's.
const NOT_CHECKED: &str = "not-checked";

/// Writes every file's findings and problems. `exit_code` is what the program will end with.
pub fn write(
    all: &[Linted],
    format: LintFormat,
    drawing: Drawing,
    exit_code: u8,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        LintFormat::Text => text(all, drawing, out),
        LintFormat::Plain => plain(all, out),
        LintFormat::Json => json::write(all, out),
        LintFormat::Sarif => sarif::write(all, exit_code, out),
        LintFormat::Junit => junit::write(all, out),
        LintFormat::Github => github::write(all, out),
        LintFormat::Gitlab => gitlab::write(all, out),
    }
}

/// `PATH:LINE:COLUMN: SEVERITY: MESSAGE [CODE]`, a line each, as editors and grep read compilers.
fn plain(all: &[Linted], out: &mut dyn Write) -> io::Result<()> {
    for file in all {
        let mut line = |at: usize, severity: &str, message: &str, code: &str| {
            let Position { line, column } = Position::of(&file.text, at);
            let path = visible(&file.path.display().to_string());
            writeln!(out, "{path}:{line}:{column}: {severity}: {} [{code}]", visible(message))
        };
        for finding in &file.findings {
            line(finding.span.start, finding.severity.word(), &finding.message, finding.code.name())?;
        }
        for problem in &file.problems {
            line(problem.at, "error", &problem.message, NOT_CHECKED)?;
        }
    }
    Ok(())
}

/// A name that stays the same while lines above are added or taken away: of the code, the marked line and how often that
/// stood before.
fn fingerprint_of(file: &Linted, code: &str, at: usize, earlier: &mut Vec<String>) -> String {
    let line = Position::of(&file.text, at).line;
    let marked = file.text.lines().nth(line - 1).unwrap_or("").trim().to_string();
    let seen = earlier.iter().filter(|other| **other == marked).count();
    let print = fingerprint::of_parts(&path_of(file), None, code, Some(&format!("{marked}#{seen}")));
    earlier.push(marked);
    print
}

/// Relative to the working directory, with `/` between its parts.
fn path_of(file: &Linted) -> String {
    file.path.display().to_string().trim_start_matches("./").to_string()
}

/// What is wrong, and what to do.
fn told(finding: &Finding) -> String {
    format!("{}.\n{}", finding.message, finding.advice())
}

/// The source lines with what is wrong in them, and a summary.
fn text(all: &[Linted], drawing: Drawing, out: &mut dyn Write) -> io::Result<()> {
    for file in all {
        out.write_all(lint::render(file, drawing).as_bytes())?;
    }
    writeln!(out, "{}", summary(all))
}

/// `2 errors, 1 warning; 3 files`, and what to do next.
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
