use super::*;
use crate::config::ConfigSettings;
use crate::scan::{FailOn, ImageReport, Problem};
use crate::source::Origin;

fn report(findings: Vec<Finding>) -> Report {
    let image = ImageReport { findings, ..ImageReport::new("ghcr.io/user/app:v1", Origin::Unopened) };
    Report { images: vec![image], ..Report::default() }
}

fn policy(text: &str) -> Policy {
    let config = ConfigSettings::parse(text).unwrap();
    Policy { severities: config.severities, ignores: config.ignores, baseline: None }
}

fn foreign(path: &str) -> Finding {
    Finding::new(Code::ForeignFile, "foreign").at(path, 0)
}

/// Checks which of the two findings remain, and the notes.
fn check(text: &str, expected: &[&str], notes: &[&str]) {
    let mut packaged = foreign("/app/node_modules/@img/sharp/x.node");
    packaged.group = Some("/app/node_modules/@img/sharp".into());
    let mut report = report(vec![foreign("/opt/vendor/a/tool"), packaged]);
    let returned = apply(&mut report, &policy(text), Date::parse("2026-11-21").unwrap());
    let left: Vec<&str> = report.images[0].findings.iter().filter_map(|finding| finding.path.as_deref()).collect();
    assert_eq!(left, expected, "{text}");
    assert_eq!(returned, notes, "{text}");
    assert_eq!(report.images[0].accepted.len(), 2 - expected.len());
}

const TOOL: &str = "/opt/vendor/a/tool";
const SHARP: &str = "/app/node_modules/@img/sharp/x.node";

#[test]
fn all_conditions_of_an_ignore_must_hold() {
    check("[[ignore]]\npath = \"/opt/**\"\nreason = \"r\"", &[SHARP], &[]);
    check(
        "[[ignore]]\npath = \"/opt/*\"\nreason = \"r\"",
        &[TOOL, SHARP],
        &["ignore 1 (/opt/*: r) matches no finding"],
    );
    check("[[ignore]]\npackage = \"@img/*\"\nreason = \"r\"", &[TOOL], &[]);
    check("[[ignore]]\npackage = \"sharp\"\nreason = \"r\"", &[TOOL], &[]);
    check("[[ignore]]\ncode = \"foreign-file\"\nimage = \"ghcr.io/user/*\"\nreason = \"r\"", &[], &[]);
    check(
        "[[ignore]]\ncode = \"mislabelled\"\npath = \"/opt/**\"\nreason = \"r\"",
        &[TOOL, SHARP],
        &["ignore 1 (mislabelled, /opt/**: r) matches no finding"],
    );
}

#[test]
fn an_expired_ignore_no_longer_applies_and_is_reported() {
    let text = |day| format!("[[ignore]]\npath = \"/opt/**\"\nreason = \"r\"\nexpires = \"{day}\"");
    check(&text("2026-11-20"), &[TOOL, SHARP], &["ignore 1 (/opt/** until 2026-11-20: r) has expired"]);
    check(&text("2026-11-21"), &[SHARP], &[]);
}

#[test]
fn a_baseline_accepts_old_findings_and_no_new_ones() {
    let old = report(vec![foreign("/a")]);
    let baseline = Baseline::parse(&Baseline::text_of(&old)).unwrap();
    let policy = Policy { baseline: Some(baseline), ..Policy::default() };
    let mut now = report(vec![foreign("/a"), foreign("/b")]);
    let today = Date::parse("2026-11-21").unwrap();
    assert!(apply(&mut now, &policy, today).is_empty());
    assert_eq!(now.images[0].findings.len(), 1);
    assert_eq!(now.images[0].accepted[0].reason, "in the baseline");
    // Accepted for two reasons, and twice by one fingerprint: neither makes it, or another finding, seem to be gone.
    let ignoring = Policy { ignores: self::policy("[[ignore]]\npath = \"/a\"\nreason = \"r\"").ignores, ..policy };
    assert!(apply(&mut report(vec![foreign("/a")]), &ignoring, today).is_empty());
    let two = Baseline::parse(&Baseline::text_of(&report(vec![foreign("/a"), foreign("/c")]))).unwrap();
    let policy = Policy { baseline: Some(two), ..Policy::default() };
    assert_eq!(apply(&mut report(vec![foreign("/a"), foreign("/a")]), &policy, today).len(), 1);
    let mut fixed = report(vec![]);
    assert_eq!(
        apply(&mut fixed, &policy, today),
        ["2 of the baseline's findings no longer appear; --update-baseline removes them"]
    );
    assert!(Baseline::parse("{\"schema\": 2, \"findings\": []}").is_err());
    assert!(Baseline::parse("[]").is_err());
}

#[test]
fn a_severity_of_the_project_decides_the_exit_code_and_problems_cannot_be_accepted() {
    let mut raised = report(vec![foreign("/a")]);
    let today = Date::parse("2026-11-21").unwrap();
    apply(&mut raised, &policy("[severity]\nforeign-file = \"error\""), today);
    assert_eq!(raised.exit_code(FailOn::Error), 1);
    let mut unread = report(vec![foreign("/a")]);
    unread.images[0].problems.push(Problem::new("x", None));
    apply(&mut unread, &policy("[[ignore]]\nimage = \"**\"\nreason = \"r\""), today);
    assert_eq!(unread.exit_code(FailOn::Error), 3);
}
