//! Messages with and without a scan's report, and the answers that they lead to.

use std::time::Duration;

use super::*;
use crate::diagnose::recognise::recognise;
use crate::exec::Cause;
use crate::judge::labels::Agreement;
use crate::oci::Digest;
use crate::platform::Platform;
use crate::scan::LayerReport;

const LOG: &str = "exec /usr/local/bin/app: exec format error";

fn names() -> Names {
    Names {
        image: Some("user/app:1".into()),
        origin: None,
        target: Some("linux/arm64".into()),
        platform: Some("linux/arm64".into()),
        path: Some("/usr/local/bin/app".into()),
        node: Some("n1".into()),
        pod: Some("app-1 -n shop".into()),
    }
}

/// A report of one platform that is judged for `m7g.large`, with this outcome.
fn report(outcome: Outcome, findings: Vec<Finding>) -> ImageReport {
    let layer = LayerReport {
        index: 0,
        digest: Digest::of(b"layer"),
        diff_id: None,
        size: 1,
        step: Some("COPY bin/app /usr/local/bin/app".into()),
        dockerfile_line: None,
        is_base: None,
    };
    let target =
        TargetReport { name: "m7g.large".into(), outcome, steps: Vec::new(), shown: Vec::new(), undecided: None };
    let platform = PlatformReport {
        digest: Some(Digest::of(b"manifest")),
        layers: vec![layer],
        programs: 1,
        agreement: Agreement::Fits,
        starts: vec!["/usr/local/bin/app".into()],
        targets: vec![target],
        findings,
        ..PlatformReport::new(Some(Platform::parse("linux/arm64").unwrap()), None)
    };
    ImageReport { platforms: vec![platform], ..ImageReport::new("user/app:1", "registry") }
}

fn foreign() -> ImageReport {
    let cause = Cause { code: "foreign-architecture", text: "an x86-64 program".into() };
    let at = "/usr/local/bin/app".to_string();
    let finding = Finding::new(Code::EntrypointWrongArch, "x").at(&at, 0).is("ELF x86-64, static", "AArch64");
    report(Outcome::Fails { errno: Errno::ENOEXEC, at, cause }, vec![finding])
}

fn answered(log: &str, judged: Option<&ImageReport>) -> Answer {
    let symptoms = recognise(log);
    let circumstances =
        Circumstances { exit_code: Some(255), lifetime: Some(Duration::ZERO), ..Circumstances::default() };
    answer(&Evidence {
        subject: "deployment/app".into(),
        symptoms: &symptoms,
        circumstances,
        names: names(),
        place: None,
        judged: judged.map(|report| (report, Some("m7g.large"))),
        now: Vec::new(),
    })
    .unwrap()
}

#[test]
fn a_message_alone_is_likely_and_says_how_to_be_sure() {
    let answer = answered(LOG, None);
    assert_eq!((answer.suspect, answer.likelihood), (Suspect::WrongArchitecture, Likelihood::Likely));
    assert_eq!(answer.check, ["imgarch scan user/app:1 --target linux/arm64"]);
    assert_eq!(answer.then, ["imgarch rebuild user/app:1 --platform linux/arm64"]);
    assert!(answer.others.iter().any(|other| other.suspect == Suspect::NodeCopy));
    assert_eq!(answer.evidence[1], "exit code 255, in its first second");
}

#[test]
fn the_images_own_bytes_make_it_certain_and_name_file_layer_and_step() {
    let answer = answered(LOG, Some(&foreign()));
    assert_eq!((answer.suspect, answer.likelihood), (Suspect::WrongArchitecture, Likelihood::Certain));
    assert!(answer.cause.starts_with("/usr/local/bin/app in sha256:"), "{}", answer.cause);
    assert!(answer.cause.ends_with("an x86-64 program"));
    assert!(answer.evidence.contains(&"/usr/local/bin/app is ELF x86-64, static; expected AArch64".to_string()));
    assert!(
        answer.evidence.iter().any(|line| line.ends_with(", COPY bin/app /usr/local/bin/app")),
        "{:?}",
        answer.evidence
    );
    assert!(answer.excluded[0].contains("the registry's copy has the same fault"));
    assert!(answer.check.is_empty() && answer.others.is_empty());
}

#[test]
fn a_healthy_copy_in_the_registry_makes_the_nodes_copy_suspect() {
    let answer = answered(LOG, Some(&report(Outcome::Runs, Vec::new())));
    assert_eq!((answer.suspect, answer.likelihood), (Suspect::NodeCopy, Likelihood::Likely));
    assert!(
        answer.check[0].contains("kubectl debug node/n1") && answer.check[0].contains("/run/copy/usr/local/bin/app")
    );
    assert!(answer.excluded[0].contains("another architecture"), "{:?}", answer.excluded);
    assert!(answer.then.iter().any(|line| line.contains("crictl rmi user/app:1")));
}

#[test]
fn a_healthy_start_does_not_clear_a_library() {
    let finding =
        Finding::new(Code::ForeignLibrary, "x").at("/usr/lib/libz.so.1", 0).is("ELF x86-64, library", "AArch64");
    let log = "error while loading shared libraries: libz.so.1: wrong ELF class: ELFCLASS32";
    let answer = answered(log, Some(&report(Outcome::Runs, vec![finding])));
    assert_eq!((answer.suspect, answer.likelihood), (Suspect::ForeignLibrary, Likelihood::Certain));
    assert!(answer.evidence.iter().any(|line| line.starts_with("/usr/lib/libz.so.1 is ELF x86-64")));
}

#[test]
fn what_could_not_be_told_leaves_the_messages_word() {
    let cause = Cause { code: "node-unknown", text: "x".into() };
    let unknown = report(Outcome::Unknown { at: "/app".into(), cause }, Vec::new());
    assert_eq!(answered(LOG, Some(&unknown)).likelihood, Likelihood::Likely);
}

#[test]
fn an_index_without_the_nodes_platform_is_the_cause() {
    let mut image = report(Outcome::Runs, Vec::new());
    image.platforms.clear();
    image.findings = vec![Finding::new(Code::NoPlatformForTarget, "m7g.large finds nothing to run in it")];
    let answer = answered("no match for platform in manifest: not found", Some(&image));
    assert_eq!((answer.suspect, answer.likelihood), (Suspect::NoPlatform, Likelihood::Certain));
}

#[test]
fn nothing_seen_is_no_answer() {
    assert_eq!(answer(&Evidence::default()), None);
}
