//! Ignore comments, like hadolint's: `# imgarch ignore=CODE,CODE` above a line, at its end in YAML and HCL, or
//! `# imgarch global ignore=CODE` anywhere. hadolint's own comments apply to the rules that both tools have.

use super::finding::LintFinding;
use super::rule::RuleName;

/// The codes that a file's comments disable, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignores {
    everywhere: Vec<RuleName>,
    /// The byte ranges to which codes apply.
    ranges: Vec<(std::ops::Range<usize>, Vec<RuleName>)>,
}

impl Ignores {
    /// `statement_end` returns the end of the statement that starts at a byte: a Dockerfile instruction or a YAML line.
    pub fn read(text: &str, statement_end: impl Fn(usize) -> usize) -> Ignores {
        let mut ignores = Ignores::default();
        let mut pending: Vec<RuleName> = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let end = start + line.len();
            let (before, comment) = split_comment(line);
            let (is_global, codes) = comment.map_or((false, Vec::new()), codes_of);
            let is_blank = before.trim().is_empty();
            match (is_global, is_blank) {
                (true, _) => ignores.everywhere.extend(codes),
                (false, true) => pending.extend(codes),
                (false, false) => {
                    let own: Vec<RuleName> = std::mem::take(&mut pending);
                    if !own.is_empty() {
                        let first = start + line.len() - line.trim_start().len();
                        ignores.ranges.push((start..statement_end(first).max(end), own));
                    }
                    if !codes.is_empty() {
                        ignores.ranges.push((start..end, codes));
                    }
                }
            }
            start = end;
        }
        ignores
    }

    /// Whether a comment disables this finding.
    pub fn takes(&self, finding: &LintFinding) -> bool {
        let at = finding.span.start;
        let here = self.ranges.iter().filter(|(range, _)| range.contains(&at)).flat_map(|(_, codes)| codes);
        self.everywhere.iter().chain(here).any(|code| *code == finding.code)
    }
}

/// Splits a line at its ignore comment. A comment starts with `#`, or `//` in HCL, at the start of the line or after a
/// blank.
fn split_comment(line: &str) -> (&str, Option<&str>) {
    let marks = line.match_indices('#').chain(line.match_indices("//"));
    let starts = marks.map(|(at, _)| at).filter(|at| line[..*at].is_empty() || line[..*at].ends_with([' ', '\t']));
    match starts.filter(|at| line[*at..].contains("ignore=") || line[*at..].contains("skip=")).min() {
        Some(at) => (&line[..at], Some(line[at..].trim_start_matches(['#', '/']).trim())),
        None if line.trim_start().starts_with('#') => ("", None),
        None => (line, None),
    }
}

/// Returns whether a comment applies to the whole file, and its codes.
fn codes_of(comment: &str) -> (bool, Vec<RuleName>) {
    // BuildKit's syntax: `# check=skip=FromPlatformFlagConstDisallowed`.
    let check = comment
        .strip_prefix("check=")
        .and_then(|rest| rest.split(';').find_map(|part| part.trim().strip_prefix("skip=")));
    let tool = comment.strip_prefix("imgarch").or_else(|| comment.strip_prefix("hadolint")).map(str::trim_start);
    let (is_global, list) = match (check, tool) {
        (Some(list), _) => (true, list),
        (None, Some(rest)) => match rest.strip_prefix("global").map(str::trim_start) {
            Some(rest) => (true, rest.strip_prefix("ignore=").unwrap_or("")),
            None => (false, rest.strip_prefix("ignore=").unwrap_or("")),
        },
        (None, None) => return (false, Vec::new()),
    };
    (is_global, list.split([',', ' ']).filter_map(|name| RuleName::parse(name.trim())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: RuleName, needle: &str) -> bool {
        let at = text.find(needle).unwrap();
        let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |n| at + n);
        Ignores::read(text, line_end).takes(&LintFinding::new(code, at..at + 1, "m", "l"))
    }

    #[test]
    fn a_comment_above_covers_the_next_statement_only() {
        let text = "# imgarch ignore=hard-coded-arch,uname-at-build\n# words\nRUN one\nRUN two\n";
        assert!(check(text, RuleName::HardCodedArch, "one") && check(text, RuleName::UnameAtBuild, "one"));
        assert!(!check(text, RuleName::HardCodedArch, "two") && !check(text, RuleName::GoarchConstant, "one"));
    }

    #[test]
    fn a_comment_at_the_end_covers_its_line() {
        let text = "a: one # imgarch ignore=compose-platforms\nb: two\n";
        assert!(check(text, RuleName::ComposePlatforms, "one") && !check(text, RuleName::ComposePlatforms, "two"));
    }

    #[test]
    fn other_tools_names_count_and_global_is_everywhere() {
        assert!(check("# hadolint ignore=DL3029,DL3008\nFROM one\n", RuleName::FromPlatformConstant, "one"));
        assert!(check(
            "# check=skip=FromPlatformFlagConstDisallowed;error=true\nFROM x\nFROM one\n",
            RuleName::FromPlatformConstant,
            "one"
        ));
        assert!(check("FROM one\n# imgarch global ignore=single-arch-base\n", RuleName::SingleArchBase, "one"));
        assert!(!check("# someone ignore=single-arch-base\nFROM one\n", RuleName::SingleArchBase, "one"));
    }
}
