//! Writes one line per fact, for grep and cut. Lines of a scan are tab-separated and start with their kind: image,
//! platform, finding or problem. Lines of a lint have the format of compiler messages, which editors parse.

use std::io::{self, Write};

use crate::report::diagnostic::RunResults;
use crate::report::escape::visible;
use crate::report::terminal::Screen;
use crate::report::{LintRun, ReportStyle, from_lint, from_scan};
use crate::scan::{PlatformReport, Report};

pub fn write(report: &Report, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    for image in &report.images {
        let name = visible(&image.name);
        let digest = image.digest.as_ref().map_or_else(String::new, ToString::to_string);
        writeln!(out, "image\t{name}\t{digest}\t{}", super::json::verdict_word(image.verdict()))?;
        for platform in &image.platforms {
            for target in &platform.targets {
                let start = platform.starts.first().map_or_else(String::new, |start| visible(start));
                writeln!(
                    out,
                    "platform\t{name}\t{}\t{}\t{}\t{start}",
                    platform.name(),
                    visible(&target.name),
                    target.outcome.word()
                )?;
            }
        }
        let subject = from_scan::subject(image, style);
        for unread in subject.diagnostics.iter().filter(|one| one.rule.is_unread()) {
            writeln!(out, "problem\t{name}\t{}", visible(unread.message))?;
        }
        for finding in subject.diagnostics.iter().filter(|one| one.counts()) {
            let platform = finding.platform.map_or_else(String::new, PlatformReport::name);
            let path = finding.path().map_or_else(String::new, visible);
            let (severity, code) = (finding.severity.word(), finding.rule.name());
            writeln!(out, "finding\t{name}\t{platform}\t{severity}\t{code}\t{path}\t{}", visible(finding.message))?;
        }
    }
    Ok(())
}

/// Writes lines of the form `PATH:LINE:COLUMN: SEVERITY: MESSAGE [CODE]`.
pub fn write_lint(run: &LintRun<'_>, _: Screen, out: &mut dyn Write) -> io::Result<()> {
    let results: RunResults<'_> = from_lint::results(run);
    for diagnostic in results.subjects.iter().flat_map(|file| &file.diagnostics) {
        let line = diagnostic.location.source_line();
        let column = line.span.map_or(1, |span| span.start.column);
        let (path, line) = (line.path, line.line);
        let (severity, code) = (diagnostic.severity.word(), diagnostic.rule.name());
        writeln!(out, "{path}:{line}:{column}: {severity}: {} [{code}]", visible(diagnostic.message))?;
    }
    Ok(())
}
