//! Makes the rewrites of findings, and shows them as a unified diff. Text in, text out: writing a file is the rim's.

use std::time::Duration;

use similar::TextDiff;

use super::finding::{Edit, Finding, Safety};

/// A file's text after its rewrites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    pub text: String,
    /// Findings whose rewrites were made.
    pub made: usize,
    /// Findings whose rewrites touch what another has rewritten: a second run makes them.
    pub postponed: usize,
}

/// Lines of context around a change, as `diff -u` shows.
const CONTEXT_LINES: usize = 3;
/// After this time a diff need not be the shortest one.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// Makes every rewrite up to `safety`, first come first served where two touch the same bytes.
pub fn apply(text: &str, findings: &[Finding], safety: Safety) -> Fixed {
    let mut edits: Vec<Edit> = Vec::new();
    let (mut made, mut postponed) = (0, 0);
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()).filter(|fix| fix.safety <= safety) {
        if fix.edits.iter().any(|edit| edits.iter().any(|other| conflict(edit, other))) {
            postponed += 1;
            continue;
        }
        made += 1;
        edits.extend(fix.edits.iter().cloned());
    }
    edits.sort();
    edits.dedup();
    let mut fixed = text.to_string();
    for edit in edits.iter().rev() {
        fixed.replace_range(edit.start..edit.end, &edit.replacement);
    }
    Fixed { text: fixed, made, postponed }
}

/// Two rewrites of the same bytes that are not the same rewrite. Insertions at one place stand beside each other.
fn conflict(one: &Edit, other: &Edit) -> bool {
    let is_insertion = |edit: &Edit| edit.start == edit.end;
    let overlaps = one.start < other.end && other.start < one.end;
    let is_inside =
        |inner: &Edit, outer: &Edit| is_insertion(inner) && outer.start < inner.start && inner.start < outer.end;
    one != other && (overlaps || is_inside(one, other) || is_inside(other, one))
}

/// The change of one file as a unified diff, empty where there is none.
pub fn unified_diff(path: &str, before: &str, after: &str) -> String {
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(before, after);
    let (old, new) = (format!("a/{path}"), format!("b/{path}"));
    diff.unified_diff().context_radius(CONTEXT_LINES).header(&old, &new).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::rule::Code;
    use super::*;

    fn finding(safety: Safety, edits: Vec<Edit>) -> Finding {
        Finding::new(Code::HardCodedArch, 0..1, "m", "l").fix("t", safety, edits)
    }

    #[test]
    fn the_same_insertion_of_two_findings_is_made_once() {
        let insert = Edit::insert(2, "ARG T\n");
        let all = [
            finding(Safety::Safe, vec![insert.clone(), Edit::replace(4..5, "X")]),
            finding(Safety::Safe, vec![insert, Edit::replace(6..7, "Y")]),
            finding(Safety::Unsafe, vec![Edit::delete(0..1)]),
        ];
        let fixed = apply("a\nb c d\n", &all, Safety::Safe);
        assert_eq!((fixed.text.as_str(), fixed.made, fixed.postponed), ("a\nARG T\nb X Y\n", 2, 0));
    }

    #[test]
    fn a_rewrite_of_rewritten_bytes_waits_for_the_next_run() {
        let all = [
            finding(Safety::Safe, vec![Edit::replace(0..3, "x")]),
            finding(Safety::Safe, vec![Edit::replace(2..4, "y")]),
        ];
        let fixed = apply("abcd", &all, Safety::Unsafe);
        assert_eq!((fixed.text.as_str(), fixed.made, fixed.postponed), ("xd", 1, 1));
    }

    #[test]
    fn a_diff_shows_hunks_with_context() {
        let before: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let after = before.replace("\n5\n", "\n5\nnew\n").replace("18\n", "");
        assert_eq!(
            unified_diff("f", &before, &after),
            "--- a/f\n+++ b/f\n@@ -3,6 +3,7 @@\n 3\n 4\n 5\n+new\n 6\n 7\n 8\n@@ -15,6 +16,5 @@\n 15\n 16\n 17\n-18\n 19\n 20\n"
        );
        assert_eq!(unified_diff("f", "a", "a"), "");
        assert_eq!(
            unified_diff("f", "a", "b"),
            "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n"
        );
    }
}
