//! Applies the rewrites of findings to a text, and formats them as a unified diff. The caller writes files.

use std::time::Duration;

use similar::TextDiff;

use super::finding::{Edit, LintFinding, Safety};

/// A text after its rewrites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedText {
    pub text: String,
    /// Number of findings whose rewrites were applied.
    pub made: usize,
    /// Number of findings whose rewrites overlap an applied one. A second run applies them.
    pub postponed: usize,
}

/// Lines of context around a change, as `diff -u` shows.
const CONTEXT_LINES: usize = 3;
/// After this time the diff may be longer than necessary.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// Applies the rewrites up to `safety`. Of two that overlap, the first is applied.
pub fn apply(text: &str, findings: &[LintFinding], safety: Safety) -> FixedText {
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
    // Inserted lines use the line ending of the file.
    let first_end = text.find('\n').unwrap_or(0);
    let has_carriage_returns = text[..first_end].ends_with('\r');
    let mut fixed = String::with_capacity(text.len());
    let mut at = 0;
    for edit in &edits {
        fixed.push_str(&text[at..edit.start.max(at)]);
        match has_carriage_returns {
            true => fixed.push_str(&edit.replacement.replace('\n', "\r\n")),
            false => fixed.push_str(&edit.replacement),
        }
        at = edit.end.max(at);
    }
    fixed.push_str(&text[at..]);
    FixedText { text: fixed, made, postponed }
}

/// Whether two different rewrites overlap. Insertions at the same position do not.
fn conflict(one: &Edit, other: &Edit) -> bool {
    let is_insertion = |edit: &Edit| edit.start == edit.end;
    let overlaps = one.start < other.end && other.start < one.end;
    let is_inside =
        |inner: &Edit, outer: &Edit| is_insertion(inner) && outer.start < inner.start && inner.start < outer.end;
    one != other && (overlaps || is_inside(one, other) || is_inside(other, one))
}

/// Formats the change of a file as a unified diff. Empty if nothing changed.
pub fn unified_diff(path: &str, before: &str, after: &str) -> String {
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(before, after);
    // `patch -p1` rejects absolute names.
    let path = path.trim_start_matches('/');
    let (old, new) = (quoted(&format!("a/{path}")), quoted(&format!("b/{path}")));
    diff.unified_diff().context_radius(CONTEXT_LINES).header(&old, &new).to_string()
}

/// Quotes a name as git and patch do, if a byte in it would end it. Source: git-diff(1), "core.quotePath".
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| !c.is_control() && !matches!(c, '"' | '\\'));
    if is_plain {
        // With a tab after the name, a blank does not end it.
        return if name.contains(' ') { format!("{name}\t") } else { name.to_string() };
    }
    let mut text = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::super::rule::RuleName;
    use super::*;

    fn finding(safety: Safety, edits: Vec<Edit>) -> LintFinding {
        LintFinding::new(RuleName::HardCodedArch, 0..1, "m", "l").fix("t", safety, edits)
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
    fn an_overlapping_rewrite_is_postponed_to_the_next_run() {
        let all = [
            finding(Safety::Safe, vec![Edit::replace(0..3, "x")]),
            finding(Safety::Safe, vec![Edit::replace(2..4, "y")]),
        ];
        let fixed = apply("abcd", &all, Safety::Unsafe);
        assert_eq!((fixed.text.as_str(), fixed.made, fixed.postponed), ("xd", 1, 1));
    }

    #[test]
    fn an_inserted_line_has_the_line_ending_of_the_file() {
        let all = [finding(Safety::Safe, vec![Edit::insert(3, "ARG T\n")])];
        assert_eq!(apply("a\r\nb\r\n", &all, Safety::Safe).text, "a\r\nARG T\r\nb\r\n");
    }

    #[test]
    fn a_name_that_would_end_early_is_quoted() {
        assert_eq!(quoted("a/Dockerfile"), "a/Dockerfile");
        assert_eq!(quoted("a/my file"), "a/my file\t");
        assert_eq!(quoted("a/x\u{1b}\"y"), "\"a/x\\033\\\"y\"");
        assert!(unified_diff("/tmp/f", "a\n", "b\n").starts_with("--- a/tmp/f\n+++ b/tmp/f\n"));
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
