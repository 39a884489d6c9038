//! Proves safe rewrites with a real shell. For the platform in the original text, a rewritten Dockerfile names the same
//! files as before. For every other platform, it uses the name of the same spelling, or the build stops.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::dockerfile::{Dockerfile, StepKind, expand};
use super::{LintFinding, Outside, RuleName, Safety, SourceFormat, apply, lint};
use crate::platform::Arch;
use crate::platform::word;

const WORDS: &[&str] = &[
    "amd64",
    "arm64",
    "x86_64",
    "aarch64",
    "x64",
    "armhf",
    "armv7l",
    "armv7",
    "ppc64le",
    "ppc64el",
    "s390x",
    "riscv64",
    "AMD64",
    "i386",
    "i686",
    "x86-64",
    "aarch_64",
    "arm64v8",
    "linux-64",
    "x86_64_v3",
    "arm-v7",
];
const NAMES: &[(&str, &str)] = &[
    ("tool-linux-", ".tar.gz"),
    ("tool_1.0_", ".deb"),
    ("tool-1.0.", ".rpm"),
    ("tool_Linux_", ".zip"),
    ("tool-", "-unknown-linux-musl.tar.xz"),
    ("linux/", "/tool"),
    ("Tool-", ".tgz"),
    ("tool-1/", "/latest"),
];
/// Steps. `@` is replaced with the file name.
const STEPS: &[&str] = &[
    "RUN curl -fsSLO https://x.io/@",
    "RUN curl -fsSL \"https://x.io/v1/@\" | tar xz",
    "RUN curl -fsSLO https://x.io/@ && tar xf @ \\\n  && rm @",
    "RUN wget -O t https://x.io/@ \\\n && chmod +x t",
    "RUN V=1 && curl -O 'https://x.io/@'",
    "RUN curl -fsSLO https://x.io/a/@ && curl -fsSLO \"https://y.io/b/@\" && tar xf @",
    "RUN curl -fsSL https://x.io/`echo v1`/@ | tar xz",
    "ADD https://x.io/@ /tmp/",
    "RUN tar xf /tmp/@",
    "RUN <<EOF\ncurl -O https://x.io/@\ndpkg -i @\nEOF",
    "ENV URL=https://x.io/@",
    "RUN if [ -n \"$X\" ]; then curl -O https://x.io/@; fi",
    "RUN arch=mine; curl -O https://x.io/@ && tar --owner $arch -xf @",
    "ARG TARGETARCH",
    "RUN true",
];
const TARGETS: &[Arch] = &[Arch::Amd64, Arch::Arm64, Arch::Arm, Arch::I386, Arch::Ppc64le, Arch::S390x, Arch::Riscv64];

/// Returns the names in each step of a build for `arch`. `None` for a step that stops the build.
fn built(text: &str, arch: Arch) -> Vec<Option<String>> {
    let text = text.replace("\r\n", "\n");
    let file = Dockerfile::parse(&text).unwrap();
    let mut named = Vec::new();
    for stage in &file.stages {
        let mut variables: BTreeMap<String, String> = BTreeMap::new();
        for (index, step) in stage.steps.iter().enumerate() {
            match &step.kind {
                StepKind::Arg(pairs) => pairs.iter().filter(|pair| pair.name == "TARGETARCH").for_each(|pair| {
                    variables.insert(pair.name.clone(), arch.oci().to_string());
                }),
                StepKind::Env(pairs) => {
                    for pair in pairs {
                        let value = pair.value.as_ref().unwrap().0.clone();
                        let value = variables
                            .iter()
                            .fold(value, |value, (name, set)| value.replace(&format!("${{{name}}}"), set));
                        named.push(Some(value.clone()));
                        variables.insert(pair.name.clone(), value);
                    }
                }
                StepKind::Copy { sources, .. } => {
                    let known = file.variables_at(0, index);
                    let text = expand(&sources[0].text, &known).0;
                    named.push(Some(
                        variables.iter().fold(text, |text, (name, set)| text.replace(&format!("${{{name}}}"), set)),
                    ));
                }
                StepKind::Run(_) => {
                    let script = text[step.span.clone()].trim_start_matches("RUN").trim();
                    let script = match script.strip_prefix("<<EOF\n") {
                        Some(body) => body.trim_end_matches("EOF"),
                        None => script,
                    };
                    let tools =
                        "for t in curl wget tar dpkg rm chmod; do eval \"$t() { echo $t \\\"\\$@\\\" >&2; }\"; done; ";
                    let mut shell = Command::new("sh");
                    shell.arg("-c").arg(format!("{tools}{script}")).env_clear().env("X", "1").envs(&variables);
                    let output = shell.output().unwrap();
                    let text = String::from_utf8(output.stderr).unwrap();
                    let mut lines: Vec<&str> = text.lines().collect();
                    // The two sides of a pipe write at the same time.
                    lines.sort_unstable();
                    named.push(output.status.success().then(|| lines.join("\n")));
                }
                StepKind::Start(_) | StepKind::Shell { .. } | StepKind::Other => {}
            }
        }
    }
    named
}

fn fixed(text: &str) -> String {
    let mut text = text.to_string();
    for _ in 0..4 {
        let linted = lint(Path::new("Dockerfile"), &text, SourceFormat::Dockerfile, &Outside::nothing());
        assert_eq!(linted.problems, [], "{text}");
        let after = apply(&text, &linted.findings, Safety::Safe);
        if after.made == 0 {
            return text;
        }
        text = after.text;
    }
    panic!("rewriting does not end:\n{text}");
}

fn check(before: &str, spelled: &str, name: &str) {
    let after = fixed(before);
    if after == before {
        return;
    }
    // What was rewritten is not found again.
    let unsafe_ones = |text: &str| {
        let findings = lint(Path::new("Dockerfile"), text, SourceFormat::Dockerfile, &Outside::nothing()).findings;
        let is_safe = |finding: &LintFinding| finding.fix.as_ref().is_some_and(|fix| fix.safety == Safety::Safe);
        findings.iter().filter(|finding| finding.code == RuleName::HardCodedArch && !is_safe(finding)).count()
    };
    assert!(unsafe_ones(&after) <= unsafe_ones(before), "{before}\n{after}");
    let token = word::find(name).into_iter().find(|token| &name[token.range.clone()] == spelled).unwrap();
    let original = built(before, token.arch);
    assert_eq!(built(&after, token.arch), original, "for {}:\n{before}\n{after}", token.arch);
    // At most one more declaration: the existing one may come too late.
    let declared = after.lines().filter(|line| line.trim() == "ARG TARGETARCH").count();
    let own = before.lines().filter(|line| line.trim() == "ARG TARGETARCH").count();
    assert!(declared <= own + 1 && after.contains("ARG TARGETARCH"), "{after}");
    for arch in TARGETS.iter().filter(|arch| **arch != token.arch) {
        for (was, is) in original.iter().zip(built(&after, *arch)) {
            let (Some(was), Some(is)) = (was, is) else { continue };
            // A step without a file name is the same for every platform.
            let other = if was.contains(spelled) { word::name_in(token.spelling, *arch) } else { Some("") };
            let family = other.map(|other| was.replace(spelled, other));
            assert_eq!(Some(is), family, "for {arch}:\n{before}\n{after}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_safe_rewrite_keeps_the_name_for_its_platform_and_uses_the_same_spelling_for_others(
        word in prop::sample::select(WORDS),
        (before, after) in prop::sample::select(NAMES),
        steps in prop::collection::vec(prop::sample::select(STEPS), 1..5),
        has_carriage_returns: bool,
    ) {
        let name = format!("{before}{word}{after}");
        let lines: Vec<String> = steps.iter().map(|step| step.replace('@', &name)).collect();
        let text = format!("FROM debian\n{}\n", lines.join("\n"));
        let is_heredoc = text.contains("<<EOF");
        let text = if has_carriage_returns && !is_heredoc { text.replace('\n', "\r\n") } else { text };
        if word::find(&name).iter().any(|token| &name[token.range.clone()] == word) {
            check(&text, word, &name);
        }
    }
}

#[test]
fn the_lines_of_one_download_change_together_or_not_at_all() {
    // ADD cannot map names, so the tar command that unpacks the file must not change either.
    let uname = "FROM debian\nADD https://x.io/t-x86_64.tar.xz /tmp\nRUN tar xf /tmp/t-x86_64.tar.xz\n";
    assert_eq!(fixed(uname), uname);
    let oci = "FROM debian\nADD https://x.io/t-amd64.tar.xz /tmp\nRUN tar xf /tmp/t-amd64.tar.xz\n";
    assert_eq!(
        fixed(oci),
        "FROM debian\nARG TARGETARCH\nADD https://x.io/t-${TARGETARCH}.tar.xz /tmp\nRUN tar xf /tmp/t-${TARGETARCH}.tar.xz\n"
    );
    check(oci, "amd64", "t-amd64.tar.xz");
}

#[test]
fn a_debian_package_is_mapped_to_debian_names() {
    let text = "FROM debian\nRUN curl -O https://x.io/t_1_amd64.deb && dpkg -i t_1_amd64.deb\n";
    assert!(fixed(text).contains("arm) deb_arch=armhf;;"), "{}", fixed(text));
    check(text, "amd64", "t_1_amd64.deb");
}

#[test]
fn an_unknown_spelling_is_not_rewritten() {
    for name in ["t-linux-AMD64.tgz", "t-linux-armv7.tgz", "t_linux64.zip"] {
        let text = format!("FROM debian\nRUN curl -O https://x.io/{name}\n");
        assert_eq!(fixed(&text), text);
    }
}
