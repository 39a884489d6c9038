//! Texts that are partly known. Three characters that no text can contain (they are Unicode noncharacters, and are
//! removed from input) mark the unknown parts.

use crate::exec::log::{Followed, Trace};

/// Any text, including the empty one.
pub const HOLE: char = '\u{10ffff}';
/// If it is a whole field: any number of fields.
pub const MANY: char = '\u{10fffe}';
/// The text has this value unless the user sets a variable that the image leaves unset.
pub const SOFT: char = '\u{10fffd}';

/// The value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Yes,
    No,
    Maybe,
    /// This value, unless the user, a mount or an earlier command changes it.
    Usually(bool),
}

impl Truth {
    pub fn from_bool(value: bool) -> Truth {
        if value { Truth::Yes } else { Truth::No }
    }

    pub fn not(self) -> Truth {
        match self {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            Truth::Maybe => Truth::Maybe,
            Truth::Usually(value) => Truth::Usually(!value),
        }
    }

    pub fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, other) => other,
            (this, Truth::Yes) => this,
            (Truth::Usually(false), _) | (_, Truth::Usually(false)) => Truth::Usually(false),
            (Truth::Maybe, _) | (_, Truth::Maybe) => Truth::Maybe,
            (Truth::Usually(true), Truth::Usually(true)) => Truth::Usually(true),
        }
    }

    pub fn or(self, other: Truth) -> Truth {
        self.not().and(other.not()).not()
    }

    /// Returns a less certain value.
    pub fn soften(self) -> Truth {
        match self {
            Truth::Yes => Truth::Usually(true),
            Truth::No => Truth::Usually(false),
            other => other,
        }
    }
}

pub fn is_mark(c: char) -> bool {
    matches!(c, HOLE | MANY | SOFT)
}

/// Whether no part is unknown.
pub fn is_known(text: &str) -> bool {
    !text.contains([HOLE, MANY])
}

pub fn is_soft(text: &str) -> bool {
    text.contains(SOFT)
}

/// Returns the usual value of the text.
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| *c != SOFT).collect()
}

/// Removes the marks from texts read from files and from the image's config.
pub fn clean(text: &str) -> String {
    if text.contains(is_mark) { text.replace(is_mark, "\u{fffd}") } else { text.to_string() }
}

/// Formats a text for messages, and for programs that get it as an argument.
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| *c != SOFT).map(|c| if is_mark(c) { '?' } else { c }).collect()
}

/// Whether two texts are the same.
pub fn equal(a: &str, b: &str) -> Truth {
    let is_sure = !is_soft(a) && !is_soft(b);
    let (a, b) = (plain(a), plain(b));
    let truth = match (is_known(&a), is_known(&b)) {
        (true, true) => Truth::from_bool(a == b),
        (false, false) => Truth::Maybe,
        (false, true) => may_be(&a, &b),
        (true, false) => may_be(&b, &a),
    };
    if is_sure { truth } else { truth.soften() }
}

/// Compares a text with holes to a known one. The parts before the first hole and after the last must match.
fn may_be(holed: &str, text: &str) -> Truth {
    let start = holed.split([HOLE, MANY]).next().unwrap_or("");
    let end = holed.rsplit([HOLE, MANY]).next().unwrap_or("");
    let fits = text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end);
    if fits { Truth::Maybe } else { Truth::No }
}

/// Whether a text is empty.
pub fn is_empty(text: &str) -> Truth {
    let stripped = plain(text);
    let truth = match stripped.chars().all(is_mark) {
        true if stripped.is_empty() => Truth::Yes,
        true => Truth::Maybe,
        false => Truth::No,
    };
    if is_soft(text) { truth.soften() } else { truth }
}

impl Trace {
    /// Returns the same trace with question marks in place of the marks for unknown text.
    pub(crate) fn shown(mut self) -> Trace {
        let mut show = |text: &mut String| *text = shown(text);
        for step in self.steps.iter_mut().chain(&mut self.visited) {
            show(&mut step.typed);
        }
        self.says.iter_mut().for_each(&mut show);
        self.doubts.iter_mut().for_each(|doubt| show(&mut doubt.text));
        self.outcome.texts(&mut show);
        for risk in &mut self.risks {
            risk.outcome.texts(&mut show);
        }
        if let Followed::Partial { at, why } = &mut self.followed {
            show(at);
            show(why);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_hole_may_be_what_fits_around_it() {
        let holed = format!("/opt/{HOLE}/bin");
        assert_eq!(equal(&holed, "/opt/x/bin"), Truth::Maybe);
        assert_eq!(equal(&holed, "/srv/x/bin"), Truth::No);
        assert_eq!(equal("a", "a"), Truth::Yes);
        assert_eq!(equal(&format!("{SOFT}a"), "b"), Truth::Usually(false));
        assert_eq!(is_empty(&HOLE.to_string()), Truth::Maybe);
        assert_eq!(is_empty(&SOFT.to_string()), Truth::Usually(true));
    }
}
