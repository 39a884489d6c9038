//! Makes the rewrites of findings, and shows them as a unified diff. Text in, text out: writing a file is the rim's.

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
    let (old, new): (Vec<&str>, Vec<&str>) = (lines_of(before), lines_of(after));
    let steps = script(&old, &new);
    let mut out = String::new();
    let mut at = 0;
    while let Some(first) = steps[at..].iter().position(|step| !step.is_same()).map(|n| at + n) {
        let start = first.saturating_sub(CONTEXT_LINES).max(at);
        let mut end = first;
        let mut quiet = 0;
        while end < steps.len() && quiet <= 2 * CONTEXT_LINES {
            quiet = if steps[end].is_same() { quiet + 1 } else { 0 };
            end += 1;
        }
        let end = (end - quiet + CONTEXT_LINES.min(quiet)).min(steps.len());
        if out.is_empty() {
            out = format!("--- a/{path}\n+++ b/{path}\n");
        }
        out += &hunk(&steps, start..end);
        at = end;
    }
    out
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

impl Step<'_> {
    fn is_same(&self) -> bool {
        matches!(self, Step::Same(_))
    }

    fn is_old(&self) -> bool {
        !matches!(self, Step::New(_))
    }

    fn is_new(&self) -> bool {
        !matches!(self, Step::Gone(_))
    }
}

fn lines_of(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn hunk(steps: &[Step<'_>], range: std::ops::Range<usize>) -> String {
    let before = &steps[..range.start];
    let (old_start, new_start) =
        (before.iter().filter(|s| s.is_old()).count(), before.iter().filter(|s| s.is_new()).count());
    let shown = &steps[range];
    let (old, new) = (shown.iter().filter(|s| s.is_old()).count(), shown.iter().filter(|s| s.is_new()).count());
    // A side without lines is counted from the line before it.
    let from = |start: usize, count: usize| if count == 0 { start } else { start + 1 };
    let mut out = format!("@@ -{},{old} +{},{new} @@\n", from(old_start, old), from(new_start, new));
    for step in shown {
        let (mark, line) = match step {
            Step::Same(line) => (' ', line),
            Step::Gone(line) => ('-', line),
            Step::New(line) => ('+', line),
        };
        out.push(mark);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
    out
}

/// The shortest way from old to new lines. Only the changed middle is compared, so files of any length are quick.
fn script<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Step<'a>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    // common[i][j]: length of the longest common subsequence of a[i..] and b[j..].
    let mut common = vec![vec![0u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let mut steps: Vec<Step<'a>> = old[..head].iter().copied().map(Step::Same).collect();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            steps.push(Step::Same(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            steps.push(Step::Gone(a[i]));
            i += 1;
        } else {
            steps.push(Step::New(b[j]));
            j += 1;
        }
    }
    steps.extend(old[old.len() - tail..].iter().copied().map(Step::Same));
    steps
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
            "--- a/f\n+++ b/f\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n"
        );
    }
}
