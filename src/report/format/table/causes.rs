//! Writes one block per cause instead of a report per image, if there are many images. The cause that affects most
//! images comes first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::report::ReportStyle;
use crate::report::diagnostic::{Diagnostic, Subject};
use crate::report::escape::{thousands, visible};
use crate::report::terminal::{Screen, fill};
use crate::report::view::{self, FindingGroup};
use crate::scan::Verdict;

/// Above this many images, the report is grouped by cause.
const MANY: usize = 20;
/// How many images of one owner are named.
const NAMED: usize = 6;
/// How many owners of a block are named.
const OWNERS: usize = 3;

/// Whether the report is grouped by cause.
pub fn are_many(subjects: &[Subject<'_>], style: &ReportStyle<'_>) -> bool {
    subjects.len() > MANY && !style.each_image
}

/// Returns the most important diagnostic of an image.
pub fn worst<'a, 'd>(subject: &'d Subject<'a>) -> Option<&'d Diagnostic<'a>> {
    let groups = view::groups(subject);
    let first = || groups.first().map(FindingGroup::first);
    match subject.verdict {
        Verdict::Fine => None,
        Verdict::Unknown => subject.diagnostics.iter().find(|one| one.rule.is_unread()).or_else(first),
        Verdict::Warned | Verdict::Broken => first(),
    }
}

/// Images with the same verdict and cause, each with its diagnostic.
type ImageBlock<'a, 'd> = Vec<(&'d Subject<'a>, Option<&'d Diagnostic<'a>>)>;

pub fn write(
    subjects: &[Subject<'_>],
    headline: fn(Verdict, Screen) -> String,
    style: &ReportStyle<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut blocks: BTreeMap<(Reverse<Verdict>, &str), ImageBlock<'_, '_>> = BTreeMap::new();
    for subject in subjects {
        let worst = worst(subject);
        let cause = worst.map_or("", |worst| worst.rule.name());
        blocks.entry((Reverse(subject.verdict), cause)).or_default().push((subject, worst));
    }
    let mut blocks: Vec<_> = blocks.into_iter().collect();
    blocks.sort_by_key(|((verdict, cause), block)| (*verdict, Reverse(block.len()), *cause));
    for ((Reverse(verdict), cause), block) in &blocks {
        let lead = format!("{}  ", headline(*verdict, style.screen()));
        let count = if block.len() == 1 { "1 image".to_string() } else { format!("{} images", thousands(block.len())) };
        let Some((_, Some(first))) = block.first() else {
            writeln!(out, "{}\n", fill(&lead, &count, 6, style.width))?;
            continue;
        };
        writeln!(out, "{}", fill(&lead, &format!("{count}: {} [{cause}]", first.rule.title()), 6, style.width))?;
        let owners = by_owner(block.iter().map(|(subject, _)| subject.name.as_str()));
        for (owner, names) in owners.iter().take(OWNERS) {
            writeln!(out, "{}", fill("      ", &format!("{owner}{names}"), 8, style.width))?;
        }
        if owners.len() > OWNERS {
            let rest = thousands(owners.len() - OWNERS);
            writeln!(out, "{}", fill("      ", &format!("and {rest} more"), 8, style.width))?;
        }
        writeln!(out, "{}", fill("      ", &format!("first: {}", visible(first.message)), 6, style.width))?;
        style.screen().hint(&first.hint, out)?;
        writeln!(out)?;
    }
    writeln!(
        out,
        "{}\n",
        fill("", "use --all to report each image, or --format plain for a line per image", 0, style.width)
    )
}

/// Groups images by the part of their names before the last slash, as in `r.example/team: a:1, b:2`. Owners with most
/// images come first.
fn by_owner<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in names {
        // Digests and tags do not contain a slash.
        let (owner, name) = name.rsplit_once('/').unwrap_or(("", name));
        owners.entry(owner).or_default().push(name);
    }
    let mut owners: Vec<_> = owners.into_iter().collect();
    owners.sort_by_key(|(_, names)| Reverse(names.len()));
    let listed = owners.into_iter().map(|(owner, names)| {
        let mut shown = names.iter().take(NAMED).map(|name| visible(name)).collect::<Vec<_>>();
        if names.len() > NAMED {
            shown.push(format!("and {} more", thousands(names.len() - NAMED)));
        }
        let owner = if owner.is_empty() { String::new() } else { format!("{}: ", visible(owner)) };
        (owner, shown.join(", "))
    });
    listed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::{Cause, CauseKind, Errno, Outcome};
    use crate::judge::code::{Code, Severity};
    use crate::report::{PIPED_WIDTH, ReportFormat};
    use crate::scan::{FailOn, ImageReport, PlatformReport, Problem, Report, RiskReport, StepReport, TargetReport};
    use crate::source::Origin;

    #[test]
    fn images_are_grouped_by_owner_with_most_first() {
        let names = ["r.example/team/a:1", "b:2", "r.example/team/c@sha256:12", "r.example/shop/d"];
        let places = by_owner(names.into_iter());
        let text = |(owner, names): &(String, String)| format!("{owner}{names}");
        let texts: Vec<String> = places.iter().map(text).collect();
        assert_eq!(texts, ["r.example/team: a:1, c@sha256:12", "b:2", "r.example/shop: d"]);
    }

    fn table(image: ImageReport, explain: bool) -> String {
        let report = Report { images: vec![image], ..Report::default() };
        let style = ReportStyle {
            width: PIPED_WIDTH,
            color: false,
            all: false,
            explain,
            each_image: false,
            fail_on: FailOn::Error,
            took: std::time::Duration::ZERO,
            now: 0,
            dockerfile: None,
        };
        let mut out = Vec::new();
        crate::report::write(&report, ReportFormat::Table, &style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_digest_that_pins_the_wrong_platform_comes_first() {
        let error = |code| crate::judge::finding::Finding::new(code, "x").severity(Severity::Error);
        let mut image = ImageReport::new("r.example/app@sha256:12".to_string(), Origin::Unopened);
        let mut platform = PlatformReport::new(None, None);
        platform.findings.push(error(Code::EntrypointWrongArch));
        image.platforms.push(platform);
        image.findings.push(error(Code::DigestPinsPlatform));
        let text = table(image, false);
        let at = |code: &str| text.find(code).unwrap_or_else(|| panic!("{text}"));
        assert!(at("[digest-pins-platform]") < at("[entrypoint-wrong-arch]"), "{text}");
    }

    #[test]
    fn explain_shows_what_a_supervisor_starts() {
        let cause = Cause { kind: CauseKind::ForeignArchitecture, text: "it is an AArch64 program".to_string() };
        let step = |how: &str, path: &str| StepReport { how: how.into(), path: path.into(), is: "ELF".into() };
        let risk = RiskReport {
            by: "/etc/sv.conf:2".to_string(),
            is_certain: true,
            steps: vec![step("by supervisord", "/opt/server")],
            outcome: Outcome::Fails { errno: Errno::ENOEXEC, at: "/opt/server".to_string(), cause },
        };
        let mut platform = PlatformReport::new(None, None);
        platform.targets.push(TargetReport {
            name: "linux/amd64".to_string(),
            outcome: Outcome::Runs,
            steps: vec![step("program", "/usr/bin/supervisord")],
            shown: Vec::new(),
            undecided: None,
            risks: vec![risk],
        });
        let mut image = ImageReport::new("r.example/app".to_string(), Origin::Unopened);
        image.platforms.push(platform);
        let text = table(image, true);
        let story = [
            "linux/amd64: runs, but not everything that it starts",
            "/usr/bin/supervisord   ELF",
            "then                /etc/sv.conf:2",
            "/opt/server   ELF",
            "it is an AArch64 program (foreign-architecture)",
        ];
        let at: Vec<Option<usize>> = story.iter().map(|line| text.find(line)).collect();
        assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{text}");
    }

    #[test]
    fn forty_images_of_one_cause_are_one_block() {
        let image = |number: usize, problem: bool| {
            let mut image = ImageReport::new(format!("r.example/app{number}:v1"), Origin::Unopened);
            let code = crate::judge::code::Code::EntrypointWrongArch;
            match problem {
                true => image.problems.push(Problem::new("r.example could not be reached", None)),
                false => image.findings.push(crate::judge::finding::Finding::new(code, format!("case {number}"))),
            }
            image
        };
        let report =
            Report { images: (0..43).map(|number| image(number, number >= 40)).collect(), ..Report::default() };
        let mut style = ReportStyle {
            width: PIPED_WIDTH,
            color: false,
            all: false,
            explain: false,
            each_image: false,
            fail_on: FailOn::Error,
            took: std::time::Duration::ZERO,
            now: 0,
            dockerfile: None,
        };
        let text = |style: &ReportStyle<'_>| {
            let mut out = Vec::new();
            crate::report::write(&report, ReportFormat::Table, style, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let by_cause = text(&style);
        assert!(by_cause.starts_with("FAIL  40 images: "), "{by_cause}");
        assert!(by_cause.contains("[entrypoint-wrong-arch]") && by_cause.contains("and 34 more"), "{by_cause}");
        assert!(by_cause.contains("      r.example: app0:v1, app1:v1, "), "{by_cause}");
        assert!(by_cause.contains("first: case 0") && !by_cause.contains("case 1"), "{by_cause}");
        assert!(by_cause.contains("????  3 images: ") && by_cause.lines().count() < 40, "{by_cause}");
        style.each_image = true;
        assert!(text(&style).contains("case 39"));
    }
}
