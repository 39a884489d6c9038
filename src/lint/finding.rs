//! Findings and their rewrites, as byte ranges of one file. Independent of rules and formats.

use std::ops::Range;

use super::rule::{RuleName, Severity};
use crate::platform::Arch;

/// A problem at one location of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct LintFinding {
    pub code: RuleName,
    pub severity: Severity,
    /// The bytes that cause the problem.
    pub span: Range<usize>,
    /// One-line description of the problem: lower case, no period.
    pub message: String,
    /// The only architecture that the problem does not break. `None` if it concerns no single architecture.
    pub right_for: Option<Arch>,
    /// A few words, shown below the marked bytes.
    pub label: String,
    /// Other locations that explain it, such as where a variable gets its value.
    pub related: Vec<Related>,
    /// What to do here. Replaces the rule's general help.
    pub help: Option<String>,
    pub fix: Option<Fix>,
}

/// Another location in the same file, and how it relates to the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    pub span: Range<usize>,
    pub label: String,
}

/// A rewrite that fixes the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// An imperative clause: "let BuildKit choose".
    pub title: String,
    pub safety: Safety,
    /// Not sorted. They do not overlap.
    pub edits: Vec<Edit>,
}

/// Whether a rewrite may be applied without review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// Correct builds do not change. Wrong builds become correct or fail with an error.
    Safe,
    /// Guesses the author's intent.
    Unsafe,
}

/// Replaces bytes `start..end` of the file with `replacement`. An empty range inserts. Sorts by position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit {
    pub start: usize,
    pub end: usize,
    pub replacement: String,
}

/// A position as editors count it: from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl LintFinding {
    /// Creates a finding with its rule's default severity.
    pub fn new(
        code: RuleName,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> LintFinding {
        LintFinding {
            code,
            severity: code.rule().severity,
            span,
            message: message.into(),
            right_for: None,
            label: label.into(),
            related: Vec::new(),
            help: None,
            fix: None,
        }
    }

    pub fn weighing(mut self, severity: Severity) -> LintFinding {
        self.severity = severity;
        self
    }

    /// Sets the only architecture that the problem does not break.
    pub fn right_for(mut self, arch: Option<Arch>) -> LintFinding {
        self.right_for = arch;
        self
    }

    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> LintFinding {
        self.related.push(Related { span, label: label.into() });
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> LintFinding {
        self.help = Some(help.into());
        self
    }

    pub fn fix(mut self, title: impl Into<String>, safety: Safety, edits: Vec<Edit>) -> LintFinding {
        self.fix = Some(Fix { title: title.into(), safety, edits });
        self
    }

    /// What to do: this finding's help, or its rule's.
    pub fn advice(&self) -> &str {
        self.help.as_deref().unwrap_or(self.code.rule().help)
    }
}

impl Edit {
    pub fn replace(span: Range<usize>, replacement: impl Into<String>) -> Edit {
        Edit { start: span.start, end: span.end, replacement: replacement.into() }
    }

    pub fn insert(at: usize, text: impl Into<String>) -> Edit {
        Edit::replace(at..at, text)
    }

    pub fn delete(span: Range<usize>) -> Edit {
        Edit::replace(span, "")
    }
}

impl Position {
    /// Returns the position of byte `at` of `text`. A byte inside a character has the character's position.
    pub fn from_offset(text: &str, at: usize) -> Position {
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().filter(|c| *c != '\u{feff}').count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let text = "a\nü = x\n";
        assert_eq!(Position::from_offset(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::from_offset(text, text.find('x').unwrap()), Position { line: 2, column: 5 });
        assert_eq!(Position::from_offset(text, 999), Position { line: 3, column: 1 });
        assert_eq!(Position::from_offset(text, 3), Position { line: 2, column: 1 });
    }
}
