//! Snapshots of every format for four images and a lint. After an intended change, run `INSTA_UPDATE=always cargo test
//! --lib snapshot`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::terminal::Screen;
use super::{LintRun, PIPED_WIDTH, ReportFormat, ReportStyle, write, write_lint};
use crate::exec::messages::{MessageSource, Shown};
use crate::exec::outcome::Outcome;
use crate::judge::code::{Code, Severity};
use crate::judge::finding::{Finding, sort};
use crate::lint::{self, Outside};
use crate::oci::Digest;
use crate::platform::{Arch, Platform};
use crate::scan::{
    AcceptedFinding, FailOn, ImageReport, LayerReport, PlatformReport, Problem, Report, StepReport, TargetReport,
};
use crate::source::Origin;

/// A name that tries to control a terminal, a workflow, a table, a page and an XML file.
const HOSTILE: &str = "/opt/a\u{1b}[2J\n::error::x%|`<script>&\"'@user,b:c";

fn layer(index: usize, step: &str, line: usize) -> LayerReport {
    LayerReport {
        index,
        digest: Digest::from_bytes(step.as_bytes()),
        diff_id: None,
        size: 4096,
        step: Some(step.to_string()),
        dockerfile_line: Some(line),
        is_base: Some(index == 0),
    }
}

fn target(arch: Arch, outcome: Outcome) -> TargetReport {
    let is = format!("ELF {}, static", arch.name());
    let step = StepReport { how: "entrypoint".to_string(), path: "/usr/local/bin/app".to_string(), is };
    let name = Platform::linux(arch).to_string();
    TargetReport { name, outcome, steps: vec![step], shown: Vec::new(), undecided: None, risks: Vec::new() }
}

fn platform(arch: Arch, is: Arch) -> PlatformReport {
    PlatformReport {
        digest: Some(Digest::from_bytes(arch.name().as_bytes())),
        layers: vec![layer(0, "ADD rootfs.tar.xz / # buildkit", 1), layer(1, "COPY bin/app /usr/local/bin/app", 7)],
        entries: 1200,
        programs: 1388,
        architectures: BTreeMap::from([(is, 1388)]),
        starts: vec!["/usr/local/bin/app".to_string()],
        targets: vec![target(is, Outcome::Runs)],
        ..PlatformReport::new(Some(Platform::linux(arch)), Some(Platform::linux(arch)))
    }
}

fn image(name: &str, platforms: Vec<PlatformReport>) -> ImageReport {
    ImageReport {
        digest: Some(Digest::from_bytes(name.as_bytes())),
        platforms,
        ..ImageReport::new(format!("registry.example.com/user/{name}:v1.0.2"), Origin::local("registry"))
    }
}

fn healthy() -> ImageReport {
    image("healthy", vec![platform(Arch::Amd64, Arch::Amd64), platform(Arch::Arm64, Arch::Arm64)])
}

fn wrong_architecture() -> ImageReport {
    let message = "the program that linux/arm64 starts is an x86-64 program";
    let mut finding = Finding::new(Code::EntrypointWrongArch, message).at("/usr/local/bin/app", 1);
    finding = finding.is("ELF x86-64, static", "AArch64");
    finding.reached_by = vec!["ENTRYPOINT [\"app\"]".to_string(), "/usr/local/bin/app".to_string()];
    let text = "exec /usr/local/bin/app: exec format error".to_string();
    finding.shown = vec![
        Shown {
            speaker: MessageSource::Runtime,
            frontend: "runc 1.2 and newer".into(),
            text: text.clone(),
            exit_code: Some(255),
        },
        Shown { speaker: MessageSource::Runtime, frontend: "runc 1.1".into(), text, exit_code: Some(1) },
    ];
    finding.hint = vec![
        "build this platform from source for TARGETARCH, then:".to_string(),
        "imgarch rebuild registry.example.com/user/wrong:v1.0.2 --platform linux/arm64".to_string(),
    ];
    let mut arm64 = platform(Arch::Arm64, Arch::Amd64);
    arm64.targets = Vec::new();
    arm64.findings = vec![finding];
    image("wrong", vec![platform(Arch::Amd64, Arch::Amd64), arm64])
}

/// 50 findings in 40 directories with one cause, two with another, one accepted, one on purpose.
fn many_findings() -> ImageReport {
    let hint = || vec!["leave it out of this platform's image".to_string()];
    let foreign = |code: Code, path: &str| {
        let mut finding = Finding::new(code, "an x86-64 program in an image for AArch64").at(path, 1);
        finding.hint = hint();
        finding.is("ELF x86-64, dynamic", "AArch64")
    };
    let mut arm64 = platform(Arch::Arm64, Arch::Arm64);
    arm64.findings = (0..50)
        .map(|number| foreign(Code::ForeignFile, &format!("/opt/d{:02}/tool-{number:02}", number % 40)))
        .collect();
    arm64.findings.push(foreign(Code::ForeignFile, HOSTILE));
    for path in ["/usr/local/bin/helm", "/usr/local/bin/kubectl"] {
        let mut finding = foreign(Code::ForeignOnPath, path);
        finding.message = "on PATH: an x86-64 program; this platform is AArch64".to_string();
        arm64.findings.push(finding);
    }
    let mut purpose = foreign(Code::ForeignOnPurpose, "/usr/x86_64-linux-gnu/lib/libc.so.6");
    purpose.purpose = Some(("cross-toolchain".into(), "part of a cross toolchain".to_string()));
    arm64.findings.push(purpose);
    sort(&mut arm64.findings);
    let accepted = AcceptedFinding {
        platform: Some("linux/arm64".to_string()),
        finding: foreign(Code::ForeignFile, "/opt/known"),
        reason: "a data file of the emulator".to_string(),
    };
    ImageReport { accepted: vec![accepted], ..image("many", vec![arm64]) }
}

fn could_not_tell() -> ImageReport {
    let hint = "raise --max-layer, or scan the image where there is room".to_string();
    let mut amd64 = platform(Arch::Amd64, Arch::Amd64);
    amd64.problems = vec![
        Problem::new("reading layer 2 failed: sha256:51e0 does not match its digest", Some(hint)),
        Problem::new("the layer ends within a file", None),
    ];
    let note = Some("not in the registry; read from Docker Engine".to_string());
    ImageReport { note, ..image("unknown", vec![amd64]) }
}

fn report(images: Vec<ImageReport>) -> Report {
    Report { images, ..Report::default() }
}

fn style(width: usize, all: bool) -> ReportStyle<'static> {
    let took = Duration::from_millis(900);
    ReportStyle {
        width,
        color: false,
        all,
        explain: false,
        each_image: false,
        fail_on: FailOn::Error,
        took,
        now: 1_790_000_000,
        dockerfile: None,
    }
}

fn scanned(images: Vec<ImageReport>, format: ReportFormat, style: &ReportStyle<'_>) -> String {
    let mut out = Vec::new();
    write(&report(images), format, style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const DOCKERFILE: &str = "FROM --platform=linux/amd64 alpine AS base\nRUN echo \"ü<&\" && wget https://x.io/t-x86_64\nFROM alpine\nCOPY --from=base /t /t\nRUN curl -O https://x.io/v-linux-amd64; uname -m\n";

fn linted(format: ReportFormat, threshold: Option<Severity>, screen: Screen) -> String {
    let lint =
        |path: &str, text: &str| lint::lint(Path::new(path), text, lint::SourceFormat::Dockerfile, &Outside::nothing());
    let files = [
        lint("Dockerfile", DOCKERFILE),
        lint("broken\u{1b}[2J\n::error::x.Dockerfile", "FROM alpine\nNONSENSE\u{1b}[2J\n"),
        lint("good.Dockerfile", "FROM alpine\n"),
    ];
    let mut out = Vec::new();
    let run = LintRun { files: &files, exit_code: 1, threshold, took: Duration::ZERO };
    write_lint(&run, format, screen, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Replaces text that changes with each new rule or version.
fn stable(format: ReportFormat, text: &str) -> String {
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    match format {
        ReportFormat::Sarif => {
            let mut log: serde_json::Value = serde_json::from_str(&text).unwrap();
            log["runs"][0]["tool"]["driver"]["rules"] = "every rule".into();
            for result in log["runs"][0]["results"].as_array_mut().unwrap() {
                result["ruleIndex"] = "index".into();
            }
            serde_json::to_string_pretty(&log).unwrap()
        }
        ReportFormat::Html => {
            let (head, rest) = text.split_once("<style>").unwrap();
            let (_, body) = rest.split_once("</style>").unwrap();
            format!("{head}<style></style>{body}")
        }
        ReportFormat::Table
        | ReportFormat::Json
        | ReportFormat::Plain
        | ReportFormat::Junit
        | ReportFormat::Github
        | ReportFormat::Gitlab
        | ReportFormat::Markdown
        | ReportFormat::OpenMetrics
        | ReportFormat::OpenReports
        | ReportFormat::Verdicts => text,
    }
}

#[test]
fn a_saved_report_is_read_back_unchanged() {
    for of in [healthy, wrong_architecture, many_findings, could_not_tell] {
        let kept = serde_json::to_vec(&of()).unwrap();
        let read: ImageReport = serde_json::from_slice(&kept).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", of()));
        for end in 0..kept.len() {
            assert!(serde_json::from_slice::<ImageReport>(&kept[..end]).is_err());
        }
    }
}

const PIPED: Screen = Screen { width: PIPED_WIDTH, color: false };

#[test]
fn every_format_writes_four_images_and_a_lint() {
    for name in ReportFormat::names() {
        let format = ReportFormat::parse(name).unwrap();
        let style = style(PIPED_WIDTH, false);
        for (image, of) in [
            ("healthy", healthy as fn() -> ImageReport),
            ("wrong-architecture", wrong_architecture),
            ("many-findings", many_findings),
            ("could-not-tell", could_not_tell),
        ] {
            insta::assert_snapshot!(format!("{name}-{image}"), stable(format, &scanned(vec![of()], format, &style)));
        }
        insta::assert_snapshot!(format!("{name}-lint"), stable(format, &linted(format, Some(Severity::Error), PIPED)));
    }
}

#[test]
fn the_table_fits_80_and_40_columns_and_ends_with_a_line_for_each_image() {
    for width in [80, 40] {
        let images = vec![healthy(), wrong_architecture(), many_findings(), could_not_tell()];
        let text = scanned(images, ReportFormat::Table, &style(width, false));
        insta::assert_snapshot!(format!("table-several-{width}"), text);
    }
}

#[test]
fn a_lint_fits_80_and_40_columns() {
    for width in [80, 40] {
        let text = linted(ReportFormat::Table, None, Screen { width, color: false });
        insta::assert_snapshot!(format!("table-lint-{width}"), text);
    }
}

#[test]
fn fifty_findings_in_forty_directories_fit_two_screens() {
    let text = scanned(vec![many_findings()], ReportFormat::Table, &style(80, false));
    assert!(text.lines().count() <= 46, "{text}");
    assert!(text.contains("48 more (--all)"), "{text}");
    assert_eq!(text.matches("hint: leave it out").count(), 2, "once for each cause: {text}");
    let all = scanned(vec![many_findings()], ReportFormat::Table, &style(80, true));
    assert!((0..50).all(|number| all.contains(&format!("tool-{number:02}"))), "{all}");
}

#[test]
fn no_line_is_wider_than_the_screen_unless_one_word_is() {
    for width in [40, 60, 80, 120] {
        for image in [healthy, wrong_architecture, many_findings, could_not_tell] {
            let text = scanned(vec![image()], ReportFormat::Table, &style(width, false));
            for line in text.lines().filter(|line| unicode_width::UnicodeWidthStr::width(*line) > width) {
                let longest = line.split(' ').map(unicode_width::UnicodeWidthStr::width).max().unwrap();
                assert!(longest + 12 > width, "{width} columns: {line}");
            }
        }
    }
}

#[test]
fn no_format_passes_a_control_byte_on() {
    for format in ReportFormat::names().into_iter().filter_map(ReportFormat::parse) {
        let texts = [
            scanned(vec![many_findings()], format, &style(PIPED_WIDTH, true)),
            linted(format, Some(Severity::Error), PIPED),
        ];
        for text in texts {
            assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{format:?}: {text}");
            assert!(!text.lines().any(|line| line.starts_with("::error::x")), "{format:?}: {text}");
        }
    }
}

#[test]
fn junit_fails_a_lint_case_at_the_threshold() {
    let failures = |threshold| linted(ReportFormat::Junit, threshold, PIPED).matches("<failure ").count();
    let (error, warning, never) = (failures(Some(Severity::Error)), failures(Some(Severity::Warning)), failures(None));
    assert!(error > 0 && warning > error && never == 0, "{error} {warning} {never}");
}

#[test]
fn gitlab_shows_the_cure() {
    let text = scanned(vec![wrong_architecture()], ReportFormat::Gitlab, &style(PIPED_WIDTH, false));
    assert!(text.contains("What to do: build this platform from source for TARGETARCH"), "{text}");
    let text = linted(ReportFormat::Gitlab, None, PIPED);
    assert!(text.contains("What to do: "), "{text}");
}
