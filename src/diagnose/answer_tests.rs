//! Messages with and without a scan's report, and the expected answers.

use std::time::Duration;

use super::*;
use crate::diagnose::recognise::recognise;
use crate::exec::tests::{call, tree};
use crate::exec::{self, Cause, CauseKind, Exec, RootRefusal, messages};
use crate::inspect::elf_builder::ElfBuilder;
use crate::judge::entry::{self, JudgedCall};
use crate::judge::labels::Agreement;
use crate::oci::Digest;
use crate::platform::{Arch, Platform, Target};
use crate::scan::{LayerReport, NamedFile, StepReport};

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

/// A report of one platform, judged for `m7g.large`, with this outcome.
fn report(outcome: Outcome, findings: Vec<Finding>) -> ImageReport {
    let layer = LayerReport {
        index: 0,
        digest: Digest::from_bytes(b"layer"),
        diff_id: None,
        size: 1,
        step: Some("COPY bin/app /usr/local/bin/app".into()),
        dockerfile_line: None,
        is_base: None,
    };
    let target = TargetReport {
        name: "m7g.large".into(),
        outcome,
        steps: Vec::new(),
        shown: Vec::new(),
        undecided: None,
        risks: Vec::new(),
    };
    let platform = PlatformReport {
        digest: Some(Digest::from_bytes(b"manifest")),
        layers: vec![layer],
        programs: 1,
        agreement: Agreement::Fits,
        starts: vec!["/usr/local/bin/app".into()],
        targets: vec![target],
        findings,
        ..PlatformReport::new(Some(Platform::parse("linux/arm64").unwrap()), None)
    };
    ImageReport { platforms: vec![platform], ..ImageReport::new("user/app:1", Origin::Unopened) }
}

fn foreign() -> ImageReport {
    let cause = Cause { kind: CauseKind::ForeignArchitecture, text: "an x86-64 program".into() };
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
        source: LogSource::Kubernetes,
        place: None,
        judged: judged.map(|report| (report, Some("m7g.large"))),
        file: None,
        has_newest_cpu: false,
        now: Vec::new(),
    })
    .unwrap()
}

#[test]
fn a_message_alone_is_likely_and_names_a_check() {
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
    assert!(answer.excluded[0].contains("the image itself has this fault"));
    assert!(answer.check.is_empty() && answer.others.is_empty());
}

/// A healthy start through this program.
fn started(path: &str) -> ImageReport {
    let mut image = report(Outcome::Runs, Vec::new());
    let step = StepReport { how: "entrypoint".into(), path: path.into(), is: "ELF AArch64, static".into() };
    image.platforms[0].targets[0].steps = vec![step];
    image
}

fn answered_with_file(log: &str, image: &ImageReport, file: Option<&ImageReport>) -> Answer {
    let judged = Some((image, Some("m7g.large")));
    answer(&Evidence { symptoms: &recognise(log), names: names(), judged, file, ..Evidence::default() }).unwrap()
}

#[test]
fn the_file_that_a_message_names_is_judged_by_itself() {
    let image = started("/wait-for-it.sh");
    let log = "/wait-for-it.sh: line 178: /usr/local/bin/app: cannot execute binary file: Exec format error";
    let symptoms = recognise(log);
    assert_eq!(file::to_judge(&symptoms, &image, Some("m7g.large")).as_deref(), Some("/usr/local/bin/app"));
    let answer = answered_with_file(log, &image, Some(&foreign()));
    assert_eq!((answer.suspect, answer.likelihood), (Suspect::WrongArchitecture, Likelihood::Certain));
    assert!(answer.cause.starts_with("/usr/local/bin/app in sha256:"), "{}", answer.cause);
    assert!(answer.evidence.contains(&"/usr/local/bin/app is ELF x86-64, static; expected AArch64".to_string()));
}

#[test]
fn a_base_name_is_found_at_the_path_that_a_scan_names() {
    let mut image = started("/usr/bin/s6-svscan");
    let finding = Finding::new(Code::CalledNotAProgram, "a script without `#!`").at("/etc/s6/web/run", 0);
    image.platforms[0].findings = vec![finding];
    let log = "s6-supervise web: fatal: unable to exec run: Exec format error";
    assert_eq!(file::to_judge(&recognise(log), &image, None).as_deref(), Some("/etc/s6/web/run"));
    let answer = answered_with_file(log, &image, None);
    assert_ne!(answer.suspect, Suspect::NodeCopy);
    assert!(answer.cause.starts_with("/etc/s6/web/run in sha256:"), "{}", answer.cause);
}

#[test]
fn a_script_is_found_by_the_interpreter_that_it_cannot_start() {
    let mut image = started("/usr/bin/s6-svscan");
    let reached = ["ENTRYPOINT", "/usr/bin/s6-svscan", "/etc/s6/web/run", "/opt/bash"].map(str::to_string);
    let finding = Finding::new(Code::EntrypointWrongArch, "it cannot start").at("/opt/bash", 0);
    image.platforms[0].findings = vec![Finding { reached_by: reached.to_vec(), ..finding }];
    let log = "s6-supervise web: fatal: unable to exec run: Exec format error";
    assert_eq!(file::to_judge(&recognise(log), &image, None).as_deref(), Some("/etc/s6/web/run"));
}

#[test]
fn a_file_that_was_not_judged_does_not_make_the_nodes_copy_suspect() {
    let answer = answered_with_file("sh: 1: /opt/tool: Exec format error", &started("/usr/local/bin/app"), None);
    assert_eq!((answer.suspect, answer.likelihood), (Suspect::WrongArchitecture, Likelihood::Likely));
}

#[test]
fn the_pin_is_the_cause_where_the_name_is_one_platforms_digest() {
    let mut image = foreign();
    image.findings = vec![Finding::new(Code::DigestPinsPlatform, "the digest pins one platform only")];
    let symptoms = recognise(LOG);
    let pinned = format!("user/app:1@sha256:{}", "a".repeat(64));
    let named = |name: &str| {
        let names = Names { image: Some(name.to_string()), ..names() };
        let judged = Some((&image, Some("m7g.large")));
        answer(&Evidence { symptoms: &symptoms, names, judged, ..Evidence::default() }).unwrap()
    };
    assert_eq!(named("user/app:1").suspect, Suspect::WrongArchitecture, "the node's digest is not a pin");
    let answer = named(&pinned);
    assert_eq!((answer.suspect, answer.likelihood), (Suspect::PinnedToOne, Likelihood::Certain));
    assert!(answer.then[0].contains("imagetools inspect user/app:1"), "{:?}", answer.then);
    let mut image = foreign();
    let index = format!("pin the index, which has linux/arm64: user/app:1@sha256:{}", "b".repeat(64));
    let pin = Finding { hint: vec![index.clone()], ..Finding::new(Code::DigestPinsPlatform, "one platform's") };
    image.findings = vec![pin];
    let names = Names { image: Some(pinned), ..names() };
    let judged = Some((&image, Some("m7g.large")));
    let answer = super::answer(&Evidence { symptoms: &symptoms, names, judged, ..Evidence::default() }).unwrap();
    assert_eq!(answer.then, [index]);
}

#[cfg(feature = "kube")]
#[test]
fn answers_of_one_cause_are_adjacent_and_the_worst_is_first() {
    let one = |log: &str, pods: usize| {
        let symptoms = recognise(log);
        Answer { pods, ..answer(&Evidence { symptoms: &symptoms, ..Evidence::default() }).unwrap() }
    };
    let library = "error while loading shared libraries: libx.so.1: cannot open shared object file: No such file";
    let mut answers = vec![one(LOG, 3), one(library, 4), one(LOG, 2), one(LOG, 5)];
    by_cause(&mut answers);
    assert_eq!(answers.iter().map(|answer| answer.pods).collect::<Vec<_>>(), [5, 3, 2, 4]);
}

#[test]
fn a_healthy_copy_in_the_registry_makes_the_nodes_copy_suspect() {
    let answer = answered(LOG, Some(&started("/usr/local/bin/app")));
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
fn a_library_for_another_architecture_that_is_reported_as_missing_is_foreign() {
    let plug = Finding::new(Code::ForeignFile, "an AArch64 file in an image for x86-64").at("/opt/plug.so", 0);
    let image = report(Outcome::Runs, vec![plug]);
    let missing = "load: /opt/plug.so: cannot open shared object file: No such file or directory";
    let answer = answered(missing, Some(&image));
    assert_eq!((answer.suspect, answer.likelihood), (Suspect::ForeignLibrary, Likelihood::Certain));
    // A file that was too short for a library is not started as a program.
    let symptoms = recognise("load: /opt/plug.so: file too short");
    assert_eq!(file::to_judge(&symptoms, &image, None), None);
}

#[test]
fn an_unknown_outcome_leaves_the_message_likely() {
    let cause = Cause { kind: CauseKind::NodeUnknown, text: "x".into() };
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
fn without_evidence_there_is_no_answer() {
    assert_eq!(answer(&Evidence::default()), None);
}

/// The answers for a call that fails in an image of these files, each with the message that a front end shows.
fn judged_answers(files: &[(&str, u16, &[u8])], call: &Exec) -> Vec<(String, Answer)> {
    let target = Target::of_platform(&Platform::linux(Arch::Amd64)).expect("a target");
    let (rootfs, trace) = (tree(files), exec::trace(&tree(files), call, &target.node));
    let start = JudgedCall { call, said_by: "CMD", target: &target };
    let mut image = report(trace.outcome.clone(), entry::findings(&start, &trace, &rootfs));
    let shown = messages::messages(&trace, call);
    image.platforms[0].targets[0].shown = shown.clone();
    shown.into_iter().map(|shown| (shown.text.clone(), answered(&shown.text, Some(&image)))).collect()
}

#[test]
fn images_that_fail_for_reasons_other_than_the_architecture_get_the_right_suspect() {
    use Suspect::*;
    let app = ElfBuilder::amd64().build();
    let [cut, script] = [&app[..100], b"#!/bin/sh -e -u\n".as_slice()];
    let files: &[(&str, u16, &[u8])] = &[
        ("app", 0o755, &app),
        ("cut", 0o755, cut),
        ("start", 0o755, script),
        ("bin/sh", 0o755, &app),
        ("dev/shm/app", 0o755, &app),
        ("program", 0o644, &app),
    ];
    let plain = call(&["/app"]);
    let rows = [
        (Exec { user: "web".into(), ..plain.clone() }, MissingUser),
        (Exec { refused: Some(RootRefusal::ImageIsRoot), ..plain.clone() }, RunAsNonRoot),
        (Exec { working_dir: "srv".into(), ..plain.clone() }, BadWorkingDirectory),
        (Exec { working_dir: "/app/srv".into(), ..plain.clone() }, BadWorkingDirectory),
        (call(&["/cut"]), Truncated),
        (call(&["sh", "/app"]), BinaryAsScript),
        (call(&["/start"]), ShebangOptions),
        (Exec { env: vec!["PATH=.".into()], ..call(&["app"]) }, RelativePath),
        (call(&["/dev/shm/app"]), MountedOver),
        (call(&["sh", "/absent"]), MissingScript),
        (call(&["/program"]), NotExecutable),
        (call(&[]), NothingToStart),
    ];
    for (call, suspect) in rows {
        let answers = judged_answers(files, &call);
        assert!(!answers.is_empty(), "{call:?}");
        for (text, answer) in answers {
            assert_eq!((answer.suspect, answer.likelihood), (suspect, Likelihood::Certain), "{call:?}: {text}");
        }
    }
}

#[test]
fn every_kind_of_cause_has_a_suspect_and_only_foreign_programs_are_for_another_architecture() {
    let foreign = CauseKind::ALL.iter().filter(|kind| Suspect::from_cause(**kind) == Suspect::WrongArchitecture);
    assert_eq!(foreign.collect::<Vec<_>>(), [&CauseKind::ForeignArchitecture]);
}

#[test]
fn a_library_that_is_not_one_is_judged_by_its_content() {
    let image = started("/usr/bin/python3");
    let log = "ImportError: /app/_x.so: file too short";
    assert_eq!(file::to_judge(&recognise(log), &image, Some("m7g.large")).as_deref(), Some("/app/_x.so"));
    let fails = |kind| {
        let cause = Cause { kind, text: "a text".into() };
        Outcome::Fails { errno: Errno::ENOEXEC, at: "/app/_x.so".into(), cause }
    };
    // Whether it starts as a program does not matter.
    let alone = report(fails(CauseKind::NotExecutable), Vec::new());
    assert_eq!(answered_with_file(log, &image, Some(&alone)).suspect, Suspect::Truncated);
    let alone = report(fails(CauseKind::LfsPointer), Vec::new());
    let answer = answered_with_file(log, &image, Some(&alone));
    assert_eq!(answer.suspect, Suspect::NotAProgram);
    assert!(answer.cause.contains(" in sha256:"), "{}", answer.cause);
}

#[test]
fn a_text_that_a_loader_reads_as_a_library_is_named_with_its_layer() {
    let mut judged = report(Outcome::Runs, Vec::new());
    judged.platforms[0].named = Some(NamedFile {
        path: "/app/node_modules/x/x.node".into(),
        is: "a Git LFS pointer".into(),
        is_elf: false,
        layer: 0,
    });
    for log in ["Error: /app/node_modules/x/x.node: invalid ELF header", "Error: x.node: invalid ELF header"] {
        let answer = answered(log, Some(&judged));
        assert_eq!((answer.suspect, answer.likelihood), (Suspect::ForeignLibrary, Likelihood::Certain), "{log}");
        assert!(answer.evidence.contains(&"/app/node_modules/x/x.node is a Git LFS pointer".to_string()), "{answer:?}");
        assert!(answer.evidence.iter().any(|line| line.starts_with("layer 1 of 1 ")), "{answer:?}");
    }
    // Another file, and a library for this platform.
    let other = "Error: /app/y.node: invalid ELF header";
    assert_ne!(answered(other, Some(&judged)).evidence.len(), 3, "{other}");
    judged.platforms[0].named.as_mut().unwrap().is_elf = true;
    let elf = answered("Error: x.node: invalid ELF header", Some(&judged));
    assert!(!elf.evidence.iter().any(|line| line.contains("LFS")), "{elf:?}");
}

#[test]
fn a_node_with_the_newest_cpu_is_not_suspected_before_the_program() {
    let first = |log: &str, has_newest_cpu| {
        let symptoms = recognise(log);
        let answer = answer(&Evidence { symptoms: &symptoms, has_newest_cpu, ..Evidence::default() }).unwrap();
        (answer.suspect, answer.then.join(" "), answer.others.iter().any(|other| other.suspect == Suspect::CpuLevel))
    };
    let log = "Illegal instruction (core dumped)";
    assert_eq!(first(log, false).0, Suspect::CpuLevel);
    let (suspect, then, has_cpu) = first(log, true);
    assert!(suspect == Suspect::ProgramItself && has_cpu && then.contains("ud2"), "{then}");
    assert_eq!(first("Fatal glibc error: CPU does not support x86-64-v4", true).0, Suspect::CpuLevel);
}
