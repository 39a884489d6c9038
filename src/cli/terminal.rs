//! The properties of this process's standard streams, read once.

use std::io::{IsTerminal, Write};

use super::{ColorChoice, Environment, Global};
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
    pub quiet: bool,
}

impl Terminal {
    /// Writes a note to stderr, unless `--quiet` is set.
    pub fn note(&self, text: &str) {
        self.notes(&[text.to_string()]);
    }

    /// The screen of a report whose lines are not wrapped without a terminal.
    pub fn unbroken_if_piped(&self) -> Screen {
        let width = if self.width == PIPED_WIDTH { usize::MAX } else { self.width };
        Screen { width, color: self.color }
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
            quiet: global.quiet,
        }
    }
}

impl Terminal {
    /// Writes notes to stderr, unless `--quiet` is set.
    pub fn notes(&self, notes: &[String]) {
        let mut stderr = std::io::stderr().lock();
        for note in notes.iter().filter(|_| !self.quiet) {
            // A failure to write to stderr cannot be reported.
            let _ = writeln!(stderr, "note: {}", crate::report::escape::visible(note));
        }
    }
}

/// Writes `text` to stderr and ignores errors, which could not be reported.
pub fn tell(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Returns the width of the terminal on stdout. COLUMNS takes precedence.
fn columns(environment: &Environment) -> Option<usize> {
    let set = environment.text("COLUMNS").and_then(|text| text.parse().ok());
    let size = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    set.or_else(size).filter(|columns| *columns >= 20)
}
