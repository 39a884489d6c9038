//! Formats lines for a terminal: prose wrapped to the width, names with values, grids of cells. Words are never broken,
//! so that paths and commands can be copied. Widths are in display columns.

use std::io::{self, Write};

use comfy_table::{Attribute, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use unicode_width::UnicodeWidthStr;

use crate::judge::code::Severity;

/// Colours of the report, as SGR parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Red,
    Yellow,
    Green,
    Cyan,
    /// Less prominent than other text.
    Dim,
}

impl Color {
    fn parameters(self) -> &'static str {
        match self {
            Color::Red => "1;31",
            Color::Yellow => "1;33",
            Color::Green => "1;32",
            Color::Cyan => "1;36",
            Color::Dim => "2",
        }
    }
}

pub fn severity_color(severity: Severity) -> Color {
    match severity {
        Severity::Error => Color::Red,
        Severity::Warning => Color::Yellow,
        Severity::Note => Color::Cyan,
    }
}

/// The properties of the output device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Width in display columns.
    pub width: usize,
    pub color: bool,
}

/// Below this width in columns, tables become lists, and values go below their names.
pub const NARROW: usize = 60;

impl Screen {
    pub fn is_narrow(self) -> bool {
        self.width < NARROW
    }

    pub fn paint(self, text: &str, color: Color) -> String {
        match self.color {
            true => format!("\x1b[{}m{text}\x1b[0m", color.parameters()),
            false => text.to_string(),
        }
    }

    /// Writes a name, indented by two columns, and its value after `name_width` more columns. The value goes below the
    /// name if the name is too long, the screen is narrow, or one of the value's words would not fit.
    pub fn pair(self, name: &str, value: &str, name_width: usize, out: &mut dyn Write) -> io::Result<()> {
        let indent = name_width + 4;
        let longest = value.split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0);
        match () {
            () if self.is_narrow() || indent + longest > self.width => {
                if !name.is_empty() {
                    writeln!(out, "  {name}")?;
                }
                writeln!(out, "{}", fill("    ", value, 4, self.width))
            }
            () if name.width() > name_width => {
                writeln!(out, "  {name}")?;
                writeln!(out, "{}", fill(&" ".repeat(indent), value, indent, self.width))
            }
            () => {
                let padding = " ".repeat(name_width - name.width());
                writeln!(out, "{}", fill(&format!("  {name}{padding}  "), value, indent, self.width))
            }
        }
    }

    /// Writes a hint: the first line is prose, further lines are commands.
    pub fn hint(self, lines: &[impl AsRef<str>], out: &mut dyn Write) -> io::Result<()> {
        let indent = if self.is_narrow() { 4 } else { 8 };
        for (index, line) in lines.iter().enumerate() {
            match index {
                0 => writeln!(out, "{}", fill("  hint: ", line.as_ref(), indent, self.width))?,
                _ => writeln!(out, "{}", fill_command(line.as_ref(), indent, self.width))?,
            }
        }
        Ok(())
    }
}

/// A cell of a grid.
pub struct Cell {
    pub text: String,
    pub color: Option<Color>,
    pub is_number: bool,
}

impl Cell {
    pub fn new(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), color: None, is_number: false }
    }

    pub fn number(number: usize) -> Cell {
        Cell { is_number: true, ..Cell::new(super::escape::thousands(number)) }
    }

    pub fn color(self, color: Color) -> Cell {
        Cell { color: Some(color), ..self }
    }

    /// Returns the cell with its text wrapped to `width`.
    fn drawn(&self, width: usize, screen: Screen) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new(fill("", &self.text, 0, width));
        let cell = if self.is_number { cell.set_alignment(CellAlignment::Right) } else { cell };
        match self.color.filter(|_| screen.color) {
            Some(Color::Red) => cell.fg(comfy_table::Color::Red).add_attribute(Attribute::Bold),
            Some(Color::Yellow) => cell.fg(comfy_table::Color::Yellow).add_attribute(Attribute::Bold),
            Some(Color::Green) => cell.fg(comfy_table::Color::Green).add_attribute(Attribute::Bold),
            Some(Color::Cyan) => cell.fg(comfy_table::Color::Cyan).add_attribute(Attribute::Bold),
            Some(Color::Dim) => cell.add_attribute(Attribute::Dim),
            None => cell,
        }
    }
}

/// Width of the gap before a grid and between its columns.
const GAP: usize = 2;

/// Returns the width that a grid needs if no cell is wrapped.
pub fn natural_width(rows: &[Vec<Cell>]) -> usize {
    column_widths(rows, |text| text.width()).iter().map(|width| width + GAP).sum()
}

/// Lays out rows in aligned columns and wraps wide cells between words. `None` if the longest words do not fit side by
/// side.
pub fn grid(rows: &[Vec<Cell>], screen: Screen) -> Option<Vec<String>> {
    let mut widths = column_widths(rows, |text| text.width());
    let least = column_widths(rows, |text| text.split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0));
    let total = |widths: &[usize]| widths.iter().map(|width| width + GAP).sum::<usize>();
    while total(&widths) > screen.width {
        let widest = (0..widths.len()).filter(|at| widths[*at] > least[*at]).max_by_key(|at| widths[*at])?;
        widths[widest] -= 1;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    if screen.color {
        table.enforce_styling().style_text_only();
    }
    for row in rows {
        table.add_row(row.iter().zip(&widths).map(|(cell, width)| cell.drawn(*width, screen)));
    }
    for (column, width) in table.column_iter_mut().zip(&widths) {
        let whole = u16::try_from(width + GAP).unwrap_or(u16::MAX);
        column.set_padding((GAP as u16, 0)).set_constraint(ColumnConstraint::Absolute(Width::Fixed(whole)));
    }
    Some(table.lines().map(|line| line.trim_end().to_string()).collect())
}

fn column_widths(rows: &[Vec<Cell>], measure: impl Fn(&str) -> usize) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let of = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| measure(&cell.text)).max();
    (0..columns).map(|column| of(column).unwrap_or(0)).collect()
}

/// Wraps each line of a text between words. Further lines are indented as far as the line's last column, which follows
/// two spaces, if that leaves room.
pub fn fill_lines(text: &str, width: usize) -> String {
    let mut filled = String::with_capacity(text.len());
    for line in text.lines() {
        let start = line.len() - line.trim_start().len();
        let (lead, rest) = line.split_at(start);
        let column = rest.rfind("  ").map(|at| lead.len() + rest[..at].width() + 2);
        let indent = column.filter(|column| width >= NARROW && column * 3 <= width * 2).unwrap_or(lead.len() + 4);
        filled.push_str(&fill(lead, rest, indent.min(width / 2), width));
        filled.push('\n');
    }
    filled
}

/// Wraps `text` after `lead` at `width` columns and indents further lines by `indent` columns. Escape sequences in
/// `lead` do not count as columns.
pub fn fill(lead: &str, text: &str, indent: usize, width: usize) -> String {
    let mut filled = lead.to_string();
    let mut column = columns(lead);
    let mut is_start = true;
    for word in text.split(' ') {
        let length = word.width();
        if word.is_empty() && is_start {
            continue;
        }
        let breaks_after_lead = is_start && column > indent && column + length > width && indent + length <= width;
        if breaks_after_lead || (!is_start && column + 1 + length > width) {
            filled.truncate(filled.trim_end_matches(' ').len());
            filled.push('\n');
            filled.extend(std::iter::repeat_n(' ', indent));
            (column, is_start) = (indent, true);
            if word.is_empty() {
                continue;
            }
        }
        if !is_start {
            filled.push(' ');
            column += 1;
        }
        filled.push_str(word);
        column += length;
        is_start = false;
    }
    filled
}

/// Wraps a command at `width` columns so that it can still be pasted: each line except the last ends with a backslash,
/// and text in quotes is not broken. Indents by `indent` columns.
pub fn fill_command(command: &str, indent: usize, width: usize) -> String {
    let mut filled = " ".repeat(indent);
    let (mut column, mut is_start, mut quote) = (indent, true, None);
    let words: Vec<&str> = command.split(' ').collect();
    let takes_value = |at: usize| {
        words[at].starts_with("--")
            && !words[at].contains('=')
            && words.get(at + 1).is_some_and(|next| !next.starts_with('-'))
    };
    for (at, word) in words.iter().enumerate() {
        let length = word.width();
        // An option and its value stay on one line if both fit.
        let pair = length + 1 + words.get(at + 1).map_or(0, |next| next.width());
        let has_room = |pair: usize| indent + 2 + pair + 2 <= width;
        let whole = if takes_value(at) && has_room(pair) { pair } else { length };
        let is_value = at > 0 && takes_value(at - 1) && has_room(words[at - 1].width() + 1 + length);
        // Leaves room for the backslash.
        if !is_start && !is_value && quote.is_none() && column + 1 + whole + 2 > width {
            filled.push_str(" \\\n");
            filled.extend(std::iter::repeat_n(' ', indent + 2));
            column = indent + 2;
        } else if !is_start {
            filled.push(' ');
            column += 1;
        }
        filled.push_str(word);
        (column, is_start) = (column + length, false);
        for c in word.chars().filter(|c| matches!(c, '\'' | '"')) {
            match quote {
                None => quote = Some(c),
                Some(open) if open == c => quote = None,
                Some(_) => {}
            }
        }
    }
    filled
}

/// Returns the width of a text in columns, without its colours.
fn columns(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let plain = parts.next().map_or(0, UnicodeWidthStr::width);
    plain + parts.map(|part| part.split_once('m').map_or(0, |(_, shown)| shown.width())).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_and_commands_are_wrapped_between_words() {
        assert_eq!(fill("  hint: ", "one two three", 8, 16), "  hint: one two\n        three");
        assert_eq!(
            fill("", "/a/very/long/path/that/cannot/be/broken x", 2, 10),
            "/a/very/long/path/that/cannot/be/broken\n  x"
        );
        assert_eq!(fill_command("a bc --d=e f", 2, 13), "  a bc \\\n    --d=e f");
        assert_eq!(fill_command("short one", 2, 80), "  short one");
        assert_eq!(
            fill_command("build --platform arm64 --push .", 2, 24),
            "  build \\\n    --platform arm64 \\\n    --push ."
        );
        assert_eq!(fill_command("a --long-option value", 2, 16), "  a \\\n    --long-option \\\n    value");
        assert_eq!(fill_command("k -p '{a b c d}' x", 0, 10), "k -p '{a b c d}' \\\n  x");
        assert_eq!(fill("\x1b[1;31merror\x1b[0m: ", "a b", 2, 9), "\x1b[1;31merror\x1b[0m: a\n  b");
        // A word that only fits below the lead goes there.
        assert_eq!(fill("a longer lead: ", "/usr/bin/app", 2, 18), "a longer lead:\n  /usr/bin/app");
        // Spaces before a line break are removed.
        assert_eq!(fill("", "one two   exit 1", 2, 8), "one two\n  exit 1");
        // A wide character takes two columns.
        assert_eq!(fill("", "/srv/数据 /opt/本", 2, 16), "/srv/数据\n  /opt/本");
    }

    fn shown(rows: &[&[&str]], width: usize) -> Option<Vec<String>> {
        let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().map(|text| Cell::new(*text)).collect()).collect();
        grid(&rows, Screen { width, color: false })
    }

    #[test]
    fn a_grid_wraps_between_words_or_is_none() {
        let rows: &[&[&str]] = &[&["a", "is"], &["/srv/数据", "exec format error"]];
        assert_eq!(shown(rows, 80).unwrap(), ["  a          is", "  /srv/数据  exec format error"]);
        assert_eq!(shown(rows, 24).unwrap()[1..], ["  /srv/数据  exec format", "             error"]);
        assert_eq!(shown(rows, 18), None);
    }

    #[test]
    fn a_value_goes_below_its_name_on_a_narrow_screen() {
        let text = |width| {
            let mut out = Vec::new();
            Screen { width, color: false }.pair("came in with", "one two", 14, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(80), "  came in with    one two\n");
        assert_eq!(text(40), "  came in with\n    one two\n");
        let mut out = Vec::new();
        let word = "x".repeat(50);
        Screen { width: 60, color: false }.pair("is", &word, 14, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("  is\n    {word}\n"));
    }
}
