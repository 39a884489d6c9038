//! Markdown for a pull request's comment and for a workflow's step summary: the answer, the matrix, the findings. The
//! first line is a mark by which a later run finds its own comment.

use std::io::{self, Write};

use super::escape::{plural, visible};
use super::{Style, matrix, place, table};
use crate::judge::code::Severity;
use crate::scan::{ImageReport, Report};

/// A comment may have 65,536 characters; so many findings stay far below it.
const MAX_FINDINGS: usize = 40;

pub fn write(report: &Report, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<!-- imgarch -->")?;
    for image in &report.images {
        write_image(image, style, out)?;
    }
    let errors = plural(report.count(Severity::Error), "error");
    let warnings = plural(report.count(Severity::Warning), "warning");
    writeln!(out, "<sub>imgarch {}: {errors}, {warnings}</sub>", env!("CARGO_PKG_VERSION"))
}

fn write_image(image: &ImageReport, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "### {}: {}\n", matrix::headline(image.verdict()), code(&image.name))?;
    if let Some(digest) = &image.digest {
        writeln!(out, "{}\n", code(digest.as_str()))?;
    }
    for line in image.note.iter().chain(&image.skipped) {
        writeln!(out, "{}\n", text(line))?;
    }
    let rows = matrix::rows(image);
    if !rows.is_empty() {
        writeln!(out, "| platform | on | says | is | programs | starts | verdict |\n|---|---|---|---|--:|---|---|")?;
        for row in &rows {
            let verdict = if row.is_good { text(&row.verdict) } else { format!("**{}**", text(&row.verdict)) };
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {verdict} |",
                text(&row.platform),
                text(&row.target),
                text(&row.says),
                text(&row.is),
                row.programs,
                code(&row.starts),
            )?;
        }
        writeln!(out)?;
    }
    for problem in image.problems.iter().chain(image.platforms.iter().flat_map(|platform| &platform.problems)) {
        writeln!(out, "**could not tell:** {}\n", text(&problem.text))?;
        if let Some(hint) = &problem.hint {
            writeln!(out, "hint: {}\n", code(hint))?;
        }
    }
    let groups = table::groups(image, style);
    for group in groups.iter().take(MAX_FINDINGS) {
        write_group(group, out)?;
    }
    if let Some(rest) = groups.len().checked_sub(MAX_FINDINGS).filter(|rest| *rest > 0) {
        writeln!(out, "and {rest} more: see the full report\n")?;
    }
    if !image.accepted.is_empty() {
        writeln!(out, "<details><summary>{} accepted</summary>\n", plural(image.accepted.len(), "finding"))?;
        for accepted in image.accepted.iter().take(MAX_FINDINGS) {
            let path = accepted.finding.path.as_deref().map_or_else(String::new, |path| format!(" {}", code(path)));
            writeln!(out, "- `{}`{path}: {}", accepted.finding.code, text(&accepted.reason))?;
        }
        writeln!(out, "\n</details>\n")?;
    }
    Ok(())
}

fn write_group(group: &table::Group<'_>, out: &mut dyn Write) -> io::Result<()> {
    let finding = group.findings[0];
    let open = if finding.severity == Severity::Error { " open" } else { "" };
    let platform = group.platform.map_or_else(String::new, |platform| format!("{}: ", text(&platform.label())));
    let (severity, message) = (finding.severity.word(), text(&finding.message));
    writeln!(out, "<details{open}><summary><b>{severity}</b> {}: {platform}{message}</summary>\n", finding.code)?;
    for (name, value) in place::facts(group.platform, finding, group.findings.len()) {
        writeln!(out, "- {name}: {}", code(&value))?;
    }
    for line in &finding.hint {
        writeln!(out, "- hint: {}", text(line))?;
    }
    writeln!(out, "\n</details>\n")
}

/// Text that no Markdown, HTML or mention is made of: punctuation as character references, which are never markup.
/// Source: CommonMark, section 2.5.
fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in visible(raw).chars() {
        match c {
            // GitHub finds mentions and issues in the rendered text; a word joiner parts the sign from the name.
            '@' | '#' => safe.push_str(&format!("&#{};\u{2060}", c as u32)),
            ',' | '.' | ':' | ';' | '/' | '-' | '+' | '=' | '%' | '?' | '(' | ')' | '\'' | '"' => safe.push(c),
            c if c.is_ascii_punctuation() => safe.push_str(&format!("&#{};", c as u32)),
            _ => safe.push(c),
        }
    }
    // No address in an image becomes a link.
    safe.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// The same in a code element, where mentions are not looked for and names can be copied as they are.
fn code(raw: &str) -> String {
    format!("<code>{}</code>", text(raw).replace('\u{2060}', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_markup() {
        assert_eq!(text("a|b`c`*d*<img>"), "a&#124;b&#96;c&#96;&#42;d&#42;&#60;img&#62;");
        assert_eq!(text("@user #1"), "&#64;\u{2060}user &#35;\u{2060}1");
        assert_eq!(code("app@sha256:1"), "<code>app&#64;sha256:1</code>");
    }
}
