//! Writes Markdown for pull request comments and workflow step summaries: the verdict, the matrix, the findings. The
//! first line is a marker with which a later run finds its own comment.

use std::io::{self, Write};

use crate::judge::code::Severity;
use crate::report::diagnostic::{RunResults, Subject};
use crate::report::escape::{plural, visible};
use crate::report::rules::ReportingCommand;
use crate::report::view::{self, FindingGroup};

/// The maximum number of findings. This stays far below the 65,536 characters that a comment may have.
const MAX_FINDINGS: usize = 40;

pub fn write(results: &RunResults<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mark = match results.tool {
        ReportingCommand::Scan => "imgarch",
        ReportingCommand::Lint => "imgarch-lint",
    };
    writeln!(out, "<!-- {mark} -->")?;
    for subject in &results.subjects {
        write_subject(subject, out)?;
    }
    let errors = plural(results.count(Severity::Error), "error");
    let warnings = plural(results.count(Severity::Warning), "warning");
    writeln!(out, "<sub>{} {}: {errors}, {warnings}</sub>", results.tool.name(), env!("CARGO_PKG_VERSION"))
}

fn write_subject(subject: &Subject<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "### {}: {}\n", view::headline(subject.verdict), code(&subject.name))?;
    if let Some(digest) = subject.digest {
        writeln!(out, "{}\n", code(digest.as_str()))?;
    }
    for line in &subject.notes {
        writeln!(out, "{}\n", text(line))?;
    }
    write_matrix(subject, out)?;
    for unread in subject.diagnostics.iter().filter(|one| one.rule.is_unread()) {
        writeln!(out, "**could not tell:** {}\n", text(unread.message))?;
        for hint in &unread.hint {
            writeln!(out, "hint: {}\n", code(hint))?;
        }
    }
    let groups = view::groups(subject);
    for group in groups.iter().take(MAX_FINDINGS) {
        write_group(group, out)?;
    }
    if let Some(rest) = groups.len().checked_sub(MAX_FINDINGS).filter(|rest| *rest > 0) {
        writeln!(out, "and {rest} more: see the full report\n")?;
    }
    let accepted: Vec<_> = subject.diagnostics.iter().filter_map(|one| Some((one, one.accepted?))).collect();
    if !accepted.is_empty() {
        writeln!(out, "<details><summary>{} accepted</summary>\n", plural(accepted.len(), "finding"))?;
        for (finding, reason) in accepted.iter().take(MAX_FINDINGS) {
            let path = finding.path().map_or_else(String::new, |path| format!(" {}", code(path)));
            writeln!(out, "- `{}`{path}: {}", finding.rule.name(), text(reason))?;
        }
        writeln!(out, "\n</details>\n")?;
    }
    Ok(())
}

fn write_matrix(subject: &Subject<'_>, out: &mut dyn Write) -> io::Result<()> {
    if subject.matrix.is_empty() {
        return Ok(());
    }
    let names_targets = subject.names_targets();
    let on = |cell: &str| if names_targets { format!(" {cell} |") } else { String::new() };
    writeln!(out, "| platform |{} says | is | programs | starts | verdict |", on("on"))?;
    writeln!(out, "|---|{}---|---|--:|---|---|", if names_targets { "---|" } else { "" })?;
    for row in &subject.matrix {
        let verdict = if row.is_good { text(&row.verdict) } else { format!("**{}**", text(&row.verdict)) };
        writeln!(
            out,
            "| {} |{} {} | {} | {} | {} | {verdict} |",
            text(&row.platform),
            on(&text(&row.target)),
            text(&row.says),
            text(&row.is),
            row.programs,
            code(&row.starts),
        )?;
    }
    writeln!(out)
}

fn write_group(group: &FindingGroup<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
    let first = group.first();
    let open = if first.severity == Severity::Error { " open" } else { "" };
    let platform = first.platform.map_or_else(String::new, |platform| format!("{}: ", text(&platform.label())));
    let (severity, message, rule) = (first.severity.word(), text(group.message()), first.rule.name());
    writeln!(out, "<details{open}><summary><b>{severity}</b> {rule}: {platform}{message}</summary>\n")?;
    if let Some(span) = first.location.source_line().span {
        writeln!(out, "- line {}, column {}", span.start.line, span.start.column)?;
    }
    for (name, value) in group.details() {
        writeln!(out, "- {name}: {}", code(&value))?;
    }
    for line in &first.hint {
        writeln!(out, "- hint: {}", text(line))?;
    }
    writeln!(out, "\n</details>\n")
}

/// Escapes Markdown, HTML and mentions: writes punctuation as character references, which are never markup.
/// Source: CommonMark, section 2.5.
fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in visible(raw).chars() {
        match c {
            // GitHub finds mentions and issues in the rendered text; a word joiner separates the sign from the name.
            '@' | '#' => safe.push_str(&format!("&#{};\u{2060}", c as u32)),
            ',' | '.' | ':' | ';' | '/' | '-' | '+' | '=' | '%' | '?' | '(' | ')' | '\'' | '"' => safe.push(c),
            c if c.is_ascii_punctuation() => safe.push_str(&format!("&#{};", c as u32)),
            _ => safe.push(c),
        }
    }
    // URLs in an image must not become links.
    safe.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// Escapes text in a code element. Mentions are not recognised there, so names can be copied unchanged.
fn code(raw: &str) -> String {
    format!("<code>{}</code>", text(raw).replace('\u{2060}', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_markup() {
        assert_eq!(text("a|b`c`*d*<img>"), "a&#124;b&#96;c&#96;&#42;d&#42;&#60;img&#62;");
        assert_eq!(text("@user #1"), "&#64;\u{2060}user &#35;\u{2060}1");
        assert_eq!(code("app@sha256:1"), "<code>app&#64;sha256:1</code>");
    }
}
