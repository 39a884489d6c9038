//! The properties of this process's standard streams, read once.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use super::{CliError, ColorChoice, Environment, Global};
use crate::report::PIPED_WIDTH;
use crate::report::terminal::{Screen, fill_lines};

/// How to show reports and progress.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Width of the report, in columns.
    pub width: usize,
    pub color: bool,
    /// Whether to show progress bars on stderr.
    pub progress: bool,
    /// Whether stderr shows characters outside ASCII.
    pub is_utf8: bool,
    pub quiet: bool,
}

impl Terminal {
    /// Writes a note to stderr, unless `--quiet` is set.
    pub fn note(&self, text: &str) {
        self.notes(&[text.to_string()]);
    }

    /// The screen of a report whose lines are not wrapped without a terminal.
    pub fn unbroken_if_piped(&self) -> Screen {
        Screen { width: self.screen_width(), color: self.color }
    }

    /// The width of the terminal; without a terminal, lines have no limit.
    pub fn screen_width(&self) -> usize {
        if self.width == PIPED_WIDTH { usize::MAX } else { self.width }
    }

    /// Writes what `write` writes. On a terminal, its lines are wrapped.
    pub fn wrap<T, E: From<std::io::Error>>(
        &self,
        out: &mut dyn Write,
        write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.width == PIPED_WIDTH {
            return write(out);
        }
        let mut text = Vec::new();
        let result = write(&mut text)?;
        out.write_all(fill_lines(&String::from_utf8_lossy(&text), self.width).as_bytes())?;
        Ok(result)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that inspects the standard streams")]
    pub fn of_this_process(global: &Global, environment: &Environment) -> Terminal {
        let is_terminal = std::io::stdout().is_terminal();
        // TERM=dumb: the terminal does not support control sequences.
        let is_dumb = environment.text("TERM").is_some_and(|name| name == "dumb");
        // https://no-color.org: set and not empty.
        let is_plain = is_dumb || environment.path("NO_COLOR").is_some();
        Terminal {
            width: if is_terminal { columns(environment).unwrap_or(80) } else { PIPED_WIDTH },
            color: match global.color {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => is_terminal && !is_plain,
            },
            progress: std::io::stderr().is_terminal() && !is_dumb && !global.quiet,
            is_utf8: is_utf8(environment),
            quiet: global.quiet,
        }
    }
}

impl Terminal {
    /// Writes notes to stderr, unless `--quiet` is set.
    pub fn notes(&self, notes: &[String]) {
        for note in notes.iter().filter(|_| !self.quiet) {
            write_message(&format!("note: {}\n", crate::report::escape::visible(note)));
        }
    }
}

/// Writes why a command failed to stderr, and how to fix it.
pub fn print_error(error: &CliError) {
    write_message(&format!("error: {error}\n"));
    if let Some(hint) = error.hint() {
        write_message(&format!("hint: {hint}\n"));
    }
}

/// Writes `text` to stderr and ignores errors, which could not be reported. On a terminal, sentences are wrapped.
pub fn write_message(text: &str) {
    let width = stderr_width();
    let is_sentence = ["error: ", "note: ", "hint: "].iter().any(|label| text.starts_with(label));
    let text = match width {
        Some(width) if is_sentence => Cow::Owned(fill_lines(text, width)),
        Some(_) | None => Cow::Borrowed(text),
    };
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Returns the width of the terminal on stderr; `None` if there is no terminal.
#[expect(clippy::disallowed_methods, reason = "messages depend on the stream that they are written to")]
fn stderr_width() -> Option<usize> {
    let stderr = std::io::stderr();
    if !stderr.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(stderr).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns >= 20)
}

/// Whether the locale's encoding is UTF-8, as POSIX determines it: from the first variable that is set.
fn is_utf8(environment: &Environment) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| environment.text(name));
    locale.is_some_and(|name| {
        let name = name.to_ascii_lowercase();
        name.contains("utf-8") || name.contains("utf8")
    })
}

/// Returns the width of the terminal on stdout. COLUMNS takes precedence.
fn columns(environment: &Environment) -> Option<usize> {
    let set = environment.text("COLUMNS").and_then(|text| text.parse().ok());
    let size = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    set.or_else(size).filter(|columns| *columns >= 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_decides_on_the_encoding() {
        let utf8 = |variables: &[(&str, &str)]| is_utf8(&Environment::of_variables(variables));
        assert!(!utf8(&[]));
        assert!(!utf8(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!utf8(&[("LC_ALL", ""), ("LANG", "de_DE.ISO-8859-1")]));
        assert!(utf8(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")]));
        assert!(utf8(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
    }
}
