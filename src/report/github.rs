//! GitHub's workflow commands: an annotation for each finding, the most severe first, because only the first ten errors
//! and ten warnings of a step are shown. The step summary is the Markdown format, which the command line appends.

use std::io::{self, Write};

use super::escape::{plural, visible};
use super::{Style, place, table};
use crate::judge::code::Severity;
use crate::scan::Report;

pub fn write(report: &Report, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    for image in &report.images {
        let problems = image.problems.iter().chain(image.platforms.iter().flat_map(|platform| &platform.problems));
        for problem in problems {
            let title = format!("imgarch: could not tell: {}", image.name);
            let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("\nhint: {}", visible(hint)));
            let text = format!("{}{hint}", visible(&problem.text));
            writeln!(out, "::error title={}::{}", property(&title), data(&text))?;
        }
        for group in table::groups(image, style) {
            let finding = group.findings[0];
            let command = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "notice",
            };
            let place = place::of(image, group.platform, Some(finding), style);
            let at = match place.is_dockerfile {
                true => format!("file={},line={},", property(&place.path), place.line),
                false => String::new(),
            };
            let platform = group.platform.map_or_else(String::new, |platform| format!(" {}", platform.label()));
            let title = format!("imgarch[{}] {}{platform}", finding.code, image.name);
            let mut text = visible(&finding.message);
            for (name, value) in place::facts(group.platform, finding, group.findings.len()) {
                text.push_str(&format!("\n{name}: {value}"));
            }
            for line in &finding.hint {
                text.push_str(&format!("\nhint: {}", visible(line)));
            }
            writeln!(out, "::{command} {at}title={}::{}", property(&title), data(&text))?;
        }
    }
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    let (errors, warnings) = (plural(errors, "error"), plural(warnings, "warning"));
    writeln!(out, "imgarch: {errors}, {warnings}; exit {}", report.exit_code(style.fail_on))
}

/// A command's message. Source: actions/toolkit, `escapeData`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A command's property. Source: actions/toolkit, `escapeProperty`.
fn property(text: &str) -> String {
    data(&visible(text)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_neither_end_a_property_nor_begin_a_command() {
        assert_eq!(property("a,b:c%\n::error::x"), "a%2Cb%3Ac%25\\n%3A%3Aerror%3A%3Ax");
        assert_eq!(data("100%\nnext"), "100%25%0Anext");
    }
}
