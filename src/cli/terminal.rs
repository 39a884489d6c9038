//! What this process' standard streams are, read once.

use std::io::{IsTerminal, Write};

use super::{ColorChoice, Environment, Global};
use crate::report::PIPED_WIDTH;

/// How the answer and the progress are to look.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Columns of the report.
    pub width: usize,
    pub color: bool,
    /// Progress bars on standard error.
    pub progress: bool,
    pub quiet: bool,
}

impl Terminal {
    /// Says something beside the report, on standard error; not with `--quiet`.
    pub fn note(&self, text: &str) {
        self.notes(&[text.to_string()]);
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that asks what the standard streams are")]
    pub fn of_this_process(global: &Global, environment: &Environment) -> Terminal {
        let is_terminal = std::io::stdout().is_terminal();
        // It says of itself that it knows no control sequences.
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
    /// What the user should know beside the answer, on standard error.
    pub fn notes(&self, notes: &[String]) {
        let mut stderr = std::io::stderr().lock();
        for note in notes.iter().filter(|_| !self.quiet) {
            // Nobody is left to tell that standard error is gone.
            let _ = writeln!(stderr, "note: {}", crate::report::escape::visible(note));
        }
    }
}

/// Says something beside the answer, on standard error. Where nobody reads that, there is nobody to tell.
pub fn tell(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Columns of the terminal on standard output; a user's COLUMNS wins.
fn columns(environment: &Environment) -> Option<usize> {
    let said = environment.text("COLUMNS").and_then(|text| text.parse().ok());
    let size = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    said.or_else(size).filter(|columns| *columns >= 20)
}
