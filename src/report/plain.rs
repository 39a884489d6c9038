//! One line a fact, tab separated, for grep and cut. The first word is the kind of line: image, platform, finding, problem.

use std::io::{self, Write};

use super::Style;
use super::escape::visible;
use crate::judge::code::Code;
use crate::scan::Report;

pub fn write(report: &Report, style: &Style, out: &mut dyn Write) -> io::Result<()> {
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
        let problems = image.problems.iter().chain(image.platforms.iter().flat_map(|platform| &platform.problems));
        for problem in problems {
            writeln!(out, "problem\t{name}\t{}", visible(&problem.text))?;
        }
        for (platform, finding) in image.all_findings() {
            if finding.code == Code::ForeignOnPurpose && !style.all {
                continue;
            }
            let platform = platform.map_or_else(String::new, |platform| platform.name());
            let path = finding.path.as_deref().map_or_else(String::new, visible);
            let (severity, code) = (finding.severity.word(), finding.code);
            writeln!(out, "finding\t{name}\t{platform}\t{severity}\t{code}\t{path}\t{}", visible(&finding.message))?;
        }
    }
    Ok(())
}
