//! What a rule found and how to rewrite it: plain data over the bytes of one file. It knows no rule and no format.

use std::ops::Range;

use super::rule::{Code, Severity};
use crate::platform::Arch;

/// One complaint about one place of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub code: Code,
    pub severity: Severity,
    /// Bytes of the file that are wrong.
    pub span: Range<usize>,
    /// What is wrong here, as a title: lower case, no period.
    pub message: String,
    /// The architecture whose image it does not break, where it breaks all others.
    pub right_for: Option<Arch>,
    /// A few words that stand under the marked bytes.
    pub label: String,
    /// Other places that explain it: where a variable got its value.
    pub related: Vec<Related>,
    /// What to do here, where the rule's own help is too general.
    pub help: Option<String>,
    pub fix: Option<Fix>,
}

/// Another place of the same file, and what it has to do with the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    pub span: Range<usize>,
    pub label: String,
}

/// A rewrite that cures the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in an imperative clause: "let BuildKit choose".
    pub title: String,
    pub safety: Safety,
    /// In any order; they do not overlap.
    pub edits: Vec<Edit>,
}

/// Whether a rewrite may be made unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// What was built right stays the same; what was wrong is right or fails loudly.
    Safe,
    /// A guess at what was meant.
    Unsafe,
}

/// Bytes `start..end` of the file become `replacement`; an empty range inserts. Sorts by place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit {
    pub start: usize,
    pub end: usize,
    pub replacement: String,
}

/// A place as editors count it: from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Finding {
    /// A finding with its rule's usual weight.
    pub fn new(code: Code, span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Finding {
        Finding {
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

    pub fn weighing(mut self, severity: Severity) -> Finding {
        self.severity = severity;
        self
    }

    /// The finding breaks every architecture but this.
    pub fn right_for(mut self, arch: Option<Arch>) -> Finding {
        self.right_for = arch;
        self
    }

    pub fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Finding {
        self.related.push(Related { span, label: label.into() });
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }

    pub fn fix(mut self, title: impl Into<String>, safety: Safety, edits: Vec<Edit>) -> Finding {
        self.fix = Some(Fix { title: title.into(), safety, edits });
        self
    }

    /// What to do: this finding's own help, or its rule's.
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
    /// Where byte `at` of `text` is. A byte inside a character counts as the character.
    pub fn of(text: &str, at: usize) -> Position {
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
        assert_eq!(Position::of(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::of(text, text.find('x').unwrap()), Position { line: 2, column: 5 });
        assert_eq!(Position::of(text, 999), Position { line: 3, column: 1 });
        assert_eq!(Position::of(text, 3), Position { line: 2, column: 1 });
    }
}
