//! Finds apt sources that provide one architecture's packages on every platform. Source: sources.list(5).

use std::ops::Range;

use super::finding::{Edit, LintFinding, Safety};
use super::rule::RuleName;
use crate::platform::{Arch, word};

/// Returns findings about apt sources in `text[range]`: `[arch=amd64 ...]` of one-line sources, `Architectures: amd64`
/// of deb822 sources, and flat repositories in a directory for one architecture.
pub fn sources(text: &str, range: Range<usize>, is_shell: bool) -> Vec<LintFinding> {
    let part = &text[range.clone()];
    let mut findings: Vec<(LintFinding, &str)> = Vec::new();
    for (open, _) in part.match_indices('[') {
        let Some(options) = part[open + 1..].split(']').next().filter(|options| !options.contains('\n')) else {
            continue;
        };
        let Some(at) = options.find("arch=").filter(|at| *at == 0 || options[..*at].ends_with([' ', ','])) else {
            continue;
        };
        let value = options[at + 5..].split([' ', ']']).next().unwrap_or("");
        if !value.contains(',') && Arch::parse(value).is_some() {
            let start = range.start + open + 1 + at;
            let source = part[open..].split(['"', '\'', '\n']).next().unwrap_or("");
            findings.push((limited(text, start..start + 5 + value.len(), value, is_shell), source));
        }
    }
    for (at, found) in part.match_indices("Architectures:") {
        let line = part[at + found.len()..].lines().next().unwrap_or("");
        let value = line.split("\\n").next().unwrap_or("").trim().trim_matches(['"', '\'']);
        if Arch::parse(value).is_some() {
            let start = range.start + at;
            let span = start..start + found.len() + line.find(value).unwrap_or(0) + value.len();
            let message = format!("apt installs only {value} packages from this source, on every platform");
            let finding = LintFinding::new(RuleName::AptArchConstant, span, message, format!("only {value}"));
            findings.push((finding.right_for(Arch::parse(value)), line));
        }
    }
    findings.extend(flat_repositories(part, range.start));
    merge_same_source(findings)
}

/// Merges findings about the same source. A script that adds a source and removes it again has one problem, and both
/// lines change together.
fn merge_same_source(findings: Vec<(LintFinding, &str)>) -> Vec<LintFinding> {
    let mut once: Vec<(LintFinding, &str)> = Vec::new();
    for (finding, source) in findings {
        match once.iter_mut().find(|(_, earlier)| *earlier == source) {
            Some((earlier, _)) => {
                let fix = earlier.fix.as_mut().zip(finding.fix);
                fix.into_iter().for_each(|(fix, other)| fix.edits.extend(other.edits));
            }
            None => once.push((finding, source)),
        }
    }
    once.into_iter().map(|(finding, _)| finding).collect()
}

/// `deb https://x.io/ubuntu x64/`: a suite that ends in a slash is a directory without suites and components.
fn flat_repositories(part: &str, offset: usize) -> Vec<(LintFinding, &str)> {
    let mut findings = Vec::new();
    for (at, found) in part.match_indices("deb ") {
        let line = part[at + found.len()..].split(['"', '\'', '\n', ';']).next().unwrap_or("");
        let words: Vec<&str> = line.split_whitespace().skip_while(|word| !word.contains("://")).take(2).collect();
        let [url, suite] = words.as_slice() else { continue };
        let directory = match *suite {
            "/" | "./" => url.trim_end_matches('/').rsplit('/').next().unwrap_or(""),
            suite => suite.strip_suffix('/').unwrap_or(""),
        };
        let Some(arch) = Some(directory).filter(|directory| !directory.is_empty()).and_then(word::arch_of_constant)
        else {
            continue;
        };
        let start = offset + at + found.len() + line.find(directory).unwrap_or(0);
        let message = format!("this apt source has only {} packages, on every platform", arch.name());
        let finding = LintFinding::new(
            RuleName::AptArchConstant,
            start..start + directory.len(),
            message,
            format!("only {directory}"),
        )
        .right_for(Some(arch))
        .help("choose the directory with `dpkg --print-architecture`; check how the repository names the others");
        findings.push((finding, line));
    }
    findings
}

fn limited(text: &str, span: Range<usize>, value: &str, is_shell: bool) -> LintFinding {
    let message = format!("apt installs only {value} packages from this source, on every platform");
    let finding = LintFinding::new(RuleName::AptArchConstant, span.clone(), message, format!("only {value}"))
        .right_for(Arch::parse(value));
    // Without arch=, apt uses dpkg's architectures: the native one.
    let options_end = span.end + text[span.end..].find(']').unwrap_or(0);
    let is_alone = text[..span.start].ends_with('[') && options_end == span.end;
    let edit = match is_alone {
        true => Edit::delete(span.start - 1..options_end + 1 + usize::from(text[options_end + 1..].starts_with(' '))),
        false if text[span.end..].starts_with(' ') => Edit::delete(span.start..span.end + 1),
        false => Edit::delete(span.start - usize::from(text[..span.start].ends_with(' '))..span.end),
    };
    let safety = if is_shell || is_alone { Safety::Safe } else { Safety::Unsafe };
    finding.fix("use the native packages", safety, vec![edit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let shown: Vec<&str> =
            sources(text, 0..text.len(), true).into_iter().map(|finding| &text[finding.span]).collect();
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_source_is_limited_by_an_option_or_a_field() {
        check("echo \"deb [arch=amd64] https://x.io/a b c\" > /l", &["arch=amd64"]);
        check("echo \"deb [arch=amd64,arm64] https://x.io/a b c\" > /l", &[]);
        check("printf 'Types: deb\\nArchitectures: arm64\\n' > /l", &["Architectures: arm64"]);
    }

    #[test]
    fn a_flat_repository_may_be_an_architectures_directory() {
        check("echo 'deb https://x.io/apt/22.04/ x64/' > /l", &["x64"]);
        check("echo \"deb [signed-by=/k] https://x.io/ubuntu2004/x86_64 /\" > /l", &["x86_64"]);
        check("echo 'deb https://x.io/apt/22.04/ all/' > /l; echo deb https://x.io/apt stable main", &[]);
        check("echo \"deb https://x.io/apt $(dpkg --print-architecture)/\"", &[]);
    }

    #[test]
    fn a_source_that_is_added_and_removed_is_one_finding_with_one_rewrite() {
        let text = "add \"deb [arch=amd64] http://x y\" && add --remove \"deb [arch=amd64] http://x y\"; add \"deb [arch=amd64] http://z y\"";
        let found = sources(text, 0..text.len(), true);
        assert_eq!(found.iter().map(|finding| finding.fix.as_ref().unwrap().edits.len()).collect::<Vec<_>>(), [2, 1]);
    }
}
