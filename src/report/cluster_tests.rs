//! Overviews of many images that fail for the same reason.

use super::*;
use crate::exec::{Cause, CauseKind, Errno};
use crate::judge::finding::Finding;
use crate::kube::schedule::PodNarrowing;
use crate::report::PIPED_WIDTH;
use crate::scan::{CallOverride, FailOn, TargetReport};
use crate::source::Origin;

const TARGET: &str = "graviton4";

fn judged(number: usize) -> (ImageUse, ImageReport) {
    let image = format!("r.example/team/app{number}:v1");
    let used_by = vec![format!(
        "{}/deployment/app{number}, container app",
        if number.is_multiple_of(4) { "pay" } else { "shop" }
    )];
    let one = ImageUse {
        image: image.clone(),
        names: vec![image.clone()],
        call: CallOverride::default(),
        narrowing: PodNarrowing::None,
        groups: vec![0],
        used_by,
    };
    let at = format!("/usr/bin/app{number}");
    let cause = Cause { kind: CauseKind::ForeignArchitecture, text: "an x86-64 program".to_string() };
    let mut platform = PlatformReport::new(None, None);
    platform.findings.push(Finding::new(Code::EntrypointWrongArch, "an x86-64 program").at(&at, 0));
    platform.targets.push(TargetReport {
        name: TARGET.to_string(),
        outcome: Outcome::Fails { errno: Errno::ENOEXEC, at, cause },
        steps: Vec::new(),
        shown: Vec::new(),
        undecided: None,
        risks: Vec::new(),
    });
    let mut report = ImageReport::new(image, Origin::Unopened);
    report.platforms.push(platform);
    (one, report)
}

fn trouble_of(number: usize, now: bool) -> Trouble {
    let (one, report) = judged(number);
    let used_by = one.used_by[0].clone();
    let failing = Failing {
        is_judged: true,
        targets: std::collections::BTreeSet::new(),
        namespace: used_by.split('/').next().unwrap().to_string(),
        used_by,
        state: "CrashLoopBackOff".to_string(),
        failing: 2,
        of: 3,
        pod: format!("app{number}-x"),
        subject: format!("deployment/app{number}"),
    };
    Trouble {
        used_by: one.used_by,
        image: report.name,
        digest: None,
        now: if now { vec![failing] } else { Vec::new() },
        places: vec![NodeGroup { target: TARGET.to_string(), nodes: vec!["n1".into(), "n2".into()] }],
        why: format!("/usr/bin/app{number}: an x86-64 program"),
        shown: "exec format error".to_string(),
        act: vec!["build it for arm64".to_string()],
    }
}

fn shown(overview: &Overview, count: usize, width: usize) -> String {
    let (uses, reports): (Vec<ImageUse>, Vec<ImageReport>) = (0..count).map(judged).unzip();
    let style = ReportStyle {
        width,
        color: false,
        all: false,
        explain: false,
        each_image: true,
        fail_on: FailOn::Error,
        took: std::time::Duration::ZERO,
        now: 0,
        dockerfile: None,
    };
    let mut out = Vec::new();
    text(&ClusterReport { overview, uses: &uses, reports: &reports }, 1, &style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn forty_images_of_one_cause_are_one_block_by_namespace_and_owner() {
    let troubles = (0..40).map(|number| trouble_of(number, true)).collect();
    let overview = Overview { images: 40, troubled: 40, troubles, ..Overview::default() };
    let text = shown(&overview, 40, PIPED_WIDTH);
    let title = Code::EntrypointWrongArch.row().title;
    assert!(text.contains(&format!("FAILS NOW  40 images: {title} [entrypoint-wrong-arch]")), "{text}");
    for line in [
        "pods     80 of 120, CrashLoopBackOff",
        "where    shop: deployment/app1, deployment/app10, deployment/app11, and 27 more; pay: ",
        "pay: deployment/app0,\n           deployment/app12, deployment/app16, and 7 more\n",
        "on       graviton4: n1, n2\n",
        "first    r.example/team/app0:v1: /usr/bin/app0: an x86-64 program",
        "do       imgarch diagnose deployment/app0 -n pay\n           build it for arm64\n",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    assert!(text.lines().count() < 20, "{text}");
    // Current failures and future failures are separate blocks.
    let troubles = vec![trouble_of(0, true), trouble_of(1, false), trouble_of(2, false)];
    let text = shown(&Overview { troubles, ..Overview::default() }, 3, PIPED_WIDTH);
    assert!(text.contains("FAILS NOW  pay/deployment/app0, container app: 2 of 3 pods"), "{text}");
    assert!(
        text.contains("WILL FAIL  2 images: ") && text.contains("where    shop: deployment/app1, deployment/app2"),
        "{text}"
    );
}

#[test]
fn the_first_screen_shows_what_to_do_first() {
    let failing = |number: usize, state: &str| Failing {
        is_judged: true,
        targets: std::collections::BTreeSet::new(),
        used_by: format!("shop/statefulset/db{number}, container db"),
        state: state.to_string(),
        failing: 1,
        of: 1,
        namespace: "shop".to_string(),
        pod: format!("db{number}-0"),
        subject: format!("statefulset/db{number}"),
    };
    let unknown = |number: usize| Untold {
        used_by: vec![format!("shop/deployment/secret{number}, container c")],
        image: format!("r.example/secret{number}"),
        why: format!("r.example refused secret{number}"),
        hint: Some("log in".to_string()),
    };
    let overview = Overview {
        troubles: vec![trouble_of(0, false), trouble_of(1, true)],
        others: vec![failing(1, "CrashLoopBackOff"), failing(2, "CrashLoopBackOff"), failing(3, "Error")],
        untold: (0..5).map(unknown).collect(),
        homeless: vec![("job/a".into(), "nodeName wants x".into()), ("job/b".into(), "nodeName wants x".into())],
        ..Overview::default()
    };
    for width in [80, 40] {
        let text = shown(&overview, 2, width);
        let begin: Vec<&str> = text.lines().take(if width == 80 { 12 } else { 22 }).collect();
        assert!(begin.contains(&"DO FIRST") && begin.iter().any(|line| line.trim() == "3 more causes below"), "{text}");
        assert!(begin.contains(&"     imgarch diagnose deployment/app1 -n shop"), "{text}");
        let is_command = |line: &str| line.trim_start().trim_start_matches("do ").trim_start().starts_with("imgarch ");
        let wide: Vec<&str> = text.lines().filter(|line| line.len() > width && !is_command(line)).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }
    let text = shown(&overview, 2, 80);
    for part in [
        "OTHER  2 containers: CrashLoopBackOff\n",
        "OTHER  shop/statefulset/db3, container db: 1 of 1 pod, Error",
        "UNKNOWN  5 images: could not be judged\n",
        "NOWHERE  2 workloads: no eligible node\n  where    job/a, job/b\n  why      nodeName wants x\n",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}
