//! Finds downloads whose name contains a variable that only the branch for x86-64 sets. On other architectures it is
//! empty: `case $TARGETARCH in amd64) A=x64 ;; esac; curl .../tool-$A.tgz`.

use std::ops::Range;

use super::dockerfile::{self, RunStep};
use super::finding::LintFinding;
use super::rule::{RuleName, Severity};
use super::shell::{ConditionKind, PlainWord, SimpleCommand};
use crate::platform::Arch;
use crate::platform::word as token;

/// `is_known`: whether a variable has a value from outside of the step.
pub fn check(run: &RunStep, is_known: impl Fn(&str) -> bool) -> Vec<LintFinding> {
    let mut findings: Vec<LintFinding> = Vec::new();
    for (at, command) in run.commands.iter().enumerate() {
        let set = command.words.iter().filter(|_| command.choice == ConditionKind::ByArchitecture);
        for word in set {
            let Some((name, start)) = word.assignment() else { continue };
            // A suffix, `-x64`, may be what only this platform's files have.
            let is_x86 = token::arch_of_constant(&word.text[start..]) == Some(Arch::Amd64)
                && word.text[start..].starts_with(|c: char| c.is_ascii_alphanumeric());
            if !is_x86 || is_known(name) || assignments(&run.commands, name) != 1 {
                continue;
            }
            let is_url = word.text.contains("://");
            let later = run.commands[at + 1..].iter().find_map(|later| use_of(later, name, is_url));
            let Some((used, range)) = later else { continue };
            let message = format!("{name} is empty here on every other platform than {}", Arch::Amd64);
            let finding = LintFinding::new(RuleName::HardCodedArch, used.source(range), message, "empty elsewhere");
            let help = format!("set {name} for each platform, and end the build for others: `*) exit 1`");
            findings.push(finding.weighing(Severity::Warning).right_for(Some(Arch::Amd64)).help(help));
        }
    }
    findings
}

fn assignments(commands: &[SimpleCommand], name: &str) -> usize {
    let is_it = |word: &&PlainWord| word.assignment().is_some_and(|(set, _)| set == name);
    commands.iter().flat_map(|command| &command.words).filter(is_it).count()
}

/// The URL in which a command for every architecture uses the variable, and the place of the variable in it. `is_url`:
/// the variable contains the whole URL.
fn use_of<'c>(command: &'c SimpleCommand, name: &str, is_url: bool) -> Option<(&'c PlainWord, Range<usize>)> {
    let words = command.words.iter().filter(|_| command.choice != ConditionKind::ByArchitecture);
    words.filter(|word| is_url || word.text.contains("://")).find_map(|word| {
        let references = dockerfile::references(&word.text);
        let mut plain = references.iter().filter(|(_, reference)| reference.operator.is_empty());
        let (at, reference) = plain.find(|(_, reference)| reference.name == name)?;
        Some((word, *at..*at + reference.length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::dockerfile::{Dockerfile, StepKind};

    fn marked(script: &str) -> Vec<String> {
        let text = format!("FROM a\nRUN {script}\n");
        let file = Dockerfile::parse(&text).unwrap();
        let StepKind::Run(run) = &file.stages[0].steps[0].kind else { panic!("a RUN step") };
        check(run, |name| name == "KNOWN").into_iter().map(|finding| text[finding.span].to_string()).collect()
    }

    #[test]
    fn a_variable_that_one_branch_sets_is_empty_on_other_platforms() {
        assert_eq!(marked("case $TARGETARCH in amd64) A=x64 ;; esac; curl -O https://e.com/t-$A.tgz"), ["$A"]);
        assert_eq!(marked("if [ $(uname -m) = x86_64 ]; then A=amd64; fi; curl https://e.com/${A}/t"), ["${A}"]);
        assert_eq!(marked("[ $TARGETARCH = amd64 ] && U=https://e.com/x64; curl -O \"$U\""), ["$U"]);
    }

    #[test]
    fn a_variable_with_a_value_for_others_is_not_reported() {
        for script in [
            "case $TARGETARCH in amd64) A=x64 ;; arm64) A=arm64 ;; esac; curl -O https://e.com/t-$A.tgz",
            "case $TARGETARCH in amd64) A=x64 ;; *) exit 1 ;; esac; curl -O https://e.com/t-$A.tgz",
            "A=arm64; [ $TARGETARCH = amd64 ] && A=x64; curl -O https://e.com/t-$A.tgz",
            "[ $TARGETARCH = amd64 ] && KNOWN=x64; curl -O https://e.com/t-$KNOWN.tgz",
            "[ $TARGETARCH = arm64 ] && S=-arm64; curl -O https://e.com/t$S.tgz",
            "[ $TARGETARCH = amd64 ] && S=-x64; curl -O https://e.com/t$S.tgz",
            "[ $TARGETARCH = amd64 ] && A=x64; curl -O https://e.com/t-${A:-arm64}.tgz",
            "if [ $TARGETARCH = amd64 ]; then A=x64; curl -O https://e.com/t-$A.tgz; fi",
        ] {
            assert_eq!(marked(script), [""; 0], "{script}");
        }
    }
}
