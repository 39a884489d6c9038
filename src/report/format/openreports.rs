//! Writes Reports of openreports.io, one for each image or linted file, as a List for `kubectl apply -f -`.
//! Source: openreports/reports-api, apis/openreports.io/v1alpha1.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::judge::code::Severity;
use crate::oci::Digest;
use crate::report::diagnostic::{CheckEnd, Diagnostic, RunResults, StartCheck, Subject};
use crate::report::escape::visible;
use crate::report::terminal::Screen;
use crate::report::{LintRun, ReportStyle, from_lint, from_scan};
use crate::scan::{PlatformReport, Report};

/// The maximum number of results per report. An object in etcd has at most 1.5 MB. The summary counts all results.
const MAX_RESULTS: usize = 200;
/// The maximum number of characters in a text.
const MAX_TEXT: usize = 1024;

/// The status of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ResultStatus {
    Fail,
    /// The check had no result.
    Error,
    Warn,
    /// A finding that the user accepted.
    Skip,
    Pass,
}

impl ResultStatus {
    const ALL: [ResultStatus; 5] =
        [ResultStatus::Fail, ResultStatus::Error, ResultStatus::Warn, ResultStatus::Skip, ResultStatus::Pass];

    fn word(self) -> &'static str {
        match self {
            ResultStatus::Fail => "fail",
            ResultStatus::Error => "error",
            ResultStatus::Warn => "warn",
            ResultStatus::Skip => "skip",
            ResultStatus::Pass => "pass",
        }
    }
}

pub fn write(report: &Report, style: &ReportStyle<'_>, out: &mut dyn Write) -> io::Result<()> {
    list(&from_scan::results(report, style), style.now, out)
}

pub fn write_lint(run: &LintRun<'_>, _: Screen, out: &mut dyn Write) -> io::Result<()> {
    list(&from_lint::results(run), 0, out)
}

/// Writes the list. `now` is in seconds since 1970; 0 if unknown.
fn list(results: &RunResults<'_>, now: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut names: HashMap<&str, usize> = HashMap::new();
    let items: Vec<Value> = results
        .subjects
        .iter()
        .map(|subject| {
            let count = names.entry(&subject.name).or_default();
            *count += 1;
            report(subject, *count, now)
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &json!({"apiVersion": "v1", "kind": "List", "items": items}))?;
    writeln!(out)
}

/// Returns the Report of one subject. `number` counts subjects with the same name, from 1.
fn report(subject: &Subject<'_>, number: usize, now: u64) -> Value {
    let diagnostics = subject.diagnostics.iter().map(diagnostic);
    let mut all: Vec<(ResultStatus, Value)> = diagnostics.chain(subject.checks.iter().map(check)).collect();
    all.sort_by_key(|(status, _)| *status);
    let count = |wanted: ResultStatus| all.iter().filter(|(status, _)| *status == wanted).count();
    let summary: BTreeMap<&str, usize> =
        ResultStatus::ALL.iter().map(|status| (status.word(), count(*status))).collect();
    let finish = |(status, mut result): (ResultStatus, Value)| {
        result["policy"] = json!("imgarch");
        result["result"] = json!(status.word());
        if now > 0 {
            result["timestamp"] = json!({"seconds": now, "nanos": 0});
        }
        result
    };
    let name = match number {
        1 => format!("imgarch-{}", &Digest::from_bytes(subject.name.as_bytes()).hex()[..16]),
        number => format!("imgarch-{}-{number}", &Digest::from_bytes(subject.name.as_bytes()).hex()[..16]),
    };
    let mut annotations = json!({"imgarch/subject": text(&subject.name)});
    if let Some(digest) = subject.digest {
        annotations["imgarch/digest"] = json!(digest.to_string());
    }
    json!({
        "apiVersion": "openreports.io/v1alpha1",
        "kind": "Report",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "imgarch"},
            "annotations": annotations,
        },
        "source": "imgarch",
        "configuration": {"limits": {"maxResults": MAX_RESULTS}},
        "summary": summary,
        "results": all.into_iter().take(MAX_RESULTS).map(finish).collect::<Vec<_>>(),
    })
}

fn diagnostic(one: &Diagnostic<'_>) -> (ResultStatus, Value) {
    let (status, severity) = match (one.accepted, one.severity) {
        (Some(_), _) => (ResultStatus::Skip, "info"),
        (None, _) if one.rule.is_unread() => (ResultStatus::Error, "high"),
        (None, Severity::Error) => (ResultStatus::Fail, "high"),
        (None, Severity::Warning) => (ResultStatus::Warn, "medium"),
        (None, Severity::Note) => (ResultStatus::Pass, "info"),
    };
    let mut properties = BTreeMap::from([("fingerprint", one.fingerprint.clone())]);
    let mut add = |name, value: Option<String>| properties.extend(value.map(|value| (name, text(&value))));
    add("platform", one.platform.map(PlatformReport::name));
    add("path", one.path().map(str::to_string));
    add("accepted", one.accepted.map(str::to_string));
    add("hint", Some(one.hint.join("\n")).filter(|hint| !hint.is_empty()));
    let result = json!({
        "rule": one.rule.name(),
        "severity": severity,
        "scored": status == ResultStatus::Fail,
        "message": text(one.message),
        "properties": properties,
    });
    (status, result)
}

fn check(one: &StartCheck<'_>) -> (ResultStatus, Value) {
    let (status, message) = match &one.end {
        CheckEnd::Passed(remark) => (ResultStatus::Pass, remark),
        CheckEnd::CouldNotTell(message) => (ResultStatus::Error, message),
    };
    let message = if message.is_empty() { one.name.clone() } else { format!("{}: {message}", one.name) };
    let properties: BTreeMap<&str, String> =
        one.platform.iter().map(|platform| ("platform", text(&platform.name()))).collect();
    (status, json!({"rule": "check", "message": text(&message), "properties": properties}))
}

fn text(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n").chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::code::Code;
    use crate::judge::finding::Finding;
    use crate::report::{PIPED_WIDTH, ReportFormat};
    use crate::scan::{FailOn, ImageReport};
    use crate::source::Origin;

    fn reports(images: Vec<ImageReport>) -> Vec<Value> {
        let style = ReportStyle {
            width: PIPED_WIDTH,
            color: false,
            all: false,
            explain: false,
            each_image: true,
            fail_on: FailOn::Error,
            took: std::time::Duration::ZERO,
            now: 7,
            dockerfile: None,
        };
        let mut out = Vec::new();
        let report = Report { images, ..Report::default() };
        crate::report::write(&report, ReportFormat::OpenReports, &style, &mut out).unwrap();
        let list: Value = serde_json::from_slice(&out).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    #[test]
    fn an_image_that_is_judged_twice_has_two_reports() {
        let image = |name: &str| ImageReport::new(name, Origin::Unopened);
        let reports = reports(vec![image("R.example/A_b:v1"), image("other"), image("R.example/A_b:v1")]);
        let names: Vec<&str> = reports.iter().map(|one| one["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!(names[2], format!("{}-2", names[0]));
        let is_dns = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(names[0] != names[1] && names.iter().all(|name| name.chars().all(is_dns)), "{names:?}");
    }

    #[test]
    fn a_report_is_bounded_and_its_summary_counts_all() {
        let mut image = ImageReport::new("x", Origin::Unopened);
        let notes = (0..300).map(|number| Finding::new(Code::ScriptLineFails, format!("{number}")));
        image.findings.extend(notes);
        image.findings.push(Finding::new(Code::EntrypointWrongArch, "é".repeat(5000)));
        let report = &reports(vec![image])[0];
        let results = report["results"].as_array().unwrap();
        assert_eq!((results.len(), &report["summary"]["fail"]), (MAX_RESULTS, &json!(1)));
        assert!(report["summary"]["pass"].as_u64().unwrap() >= 300, "{}", report["summary"]);
        // Failures are kept, but long texts are truncated.
        assert_eq!((&results[0]["result"], &results[0]["rule"]), (&json!("fail"), &json!("entrypoint-wrong-arch")));
        assert_eq!(results[0]["message"].as_str().unwrap().chars().count(), MAX_TEXT);
        assert_eq!(results[0]["timestamp"], json!({"seconds": 7, "nanos": 0}));
    }
}
