//! Writes OpenMetrics for a textfile collector or a push gateway. The number of series does not depend on the number of
//! images. Images that could not be judged have a separate series, and the time of the last success is only written if
//! there are none. Source: OpenMetrics 1.0, "Text format".

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::json::verdict_word;
use crate::judge::code::Severity;
use crate::report::terminal::Screen;
use crate::report::{LintRun, ReportStyle, from_lint};
use crate::scan::{ImageReport, PlatformReport, Report, Verdict};

/// The number of findings by severity and code.
type Counts = BTreeMap<(Severity, &'static str), usize>;

pub fn write(report: &Report, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    family(out, "imgarch_images", "Images by verdict; unknown ones could not be judged.")?;
    for verdict in [Verdict::Fine, Verdict::Warned, Verdict::Broken, Verdict::Unknown] {
        let count = report.images.iter().filter(|image| image.verdict() == verdict).count();
        writeln!(out, "imgarch_images{{verdict=\"{}\"}} {count}", verdict_word(verdict))?;
    }
    let unknown = report.images.iter().filter(|image| could_not_tell(image)).count();
    let help = "Images with parts that could not be read or decided, regardless of verdict.";
    family(out, "imgarch_images_could_not_tell", help)?;
    writeln!(out, "imgarch_images_could_not_tell {unknown}")?;
    let mut counts = Counts::new();
    for (_, finding) in report.images.iter().flat_map(ImageReport::all_findings) {
        *counts.entry((finding.severity, finding.code.name())).or_default() += 1;
    }
    findings(out, &counts)?;
    let code = report.exit_code(style.fail_on);
    family(out, "imgarch_exit_code", "0 fine, 1 findings at or above the threshold, 3 could not tell.")?;
    writeln!(out, "imgarch_exit_code {code}")?;
    if style.now > 0 {
        family(out, "imgarch_last_run_timestamp_seconds", "When the last run started.")?;
        writeln!(out, "imgarch_last_run_timestamp_seconds {}", style.now)?;
        if unknown == 0 && (!report.images.is_empty() || report.empty_shard.is_some()) {
            let help = "When the last run started, if it could judge everything; absent otherwise.";
            family(out, "imgarch_last_success_timestamp_seconds", help)?;
            writeln!(out, "imgarch_last_success_timestamp_seconds {}", style.now)?;
        }
    }
    writeln!(out, "# EOF")
}

fn could_not_tell(image: &ImageReport) -> bool {
    let is_unread = !image.problems.is_empty() || image.platforms.is_empty();
    is_unread || image.platforms.iter().any(PlatformReport::is_unknown)
}

pub fn write_lint(run: &LintRun<'_>, _: Screen, out: &mut dyn Write) -> io::Result<()> {
    let results = from_lint::results(run);
    let mut counts = Counts::new();
    for diagnostic in results.subjects.iter().flat_map(|file| &file.diagnostics).filter(|one| one.counts()) {
        *counts.entry((diagnostic.severity, diagnostic.rule.name())).or_default() += 1;
    }
    findings(out, &counts)?;
    writeln!(out, "# EOF")
}

fn findings(out: &mut dyn Write, counts: &Counts) -> io::Result<()> {
    family(out, "imgarch_findings", "Findings by severity and code; accepted ones are excluded.")?;
    for ((severity, code), count) in counts.iter().rev() {
        writeln!(out, "imgarch_findings{{severity=\"{}\",code=\"{code}\"}} {count}", severity.word())?;
    }
    Ok(())
}

fn family(out: &mut dyn Write, name: &str, help: &str) -> io::Result<()> {
    writeln!(out, "# TYPE {name} gauge\n# HELP {name} {help}")
}
