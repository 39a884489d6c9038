//! Follows the files that a script writes before it starts them.

use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpret::{self, ShellCall, is_known};
use crate::exec::launch::made::WrittenFile;
use crate::exec::launch::shells::Shell;
use crate::exec::launch::walk::{ShellText, StartWalk};
use crate::exec::log::Log;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Errno, Outcome};

impl ExecMachine<'_> {
    /// Executes a file that a script wrote. `reader` is the shell that reads a text without a `#!` line.
    pub(super) fn run_written(
        &self,
        log: &mut Log,
        (path, file): (&str, &WrittenFile),
        argv: &[String],
        reader: Option<Shell>,
        walk: &StartWalk,
    ) -> Outcome {
        let fails = |errno, kind, text: String| Outcome::fails(errno, path.as_bytes(), Cause { kind, text });
        if !file.is_executable {
            let text = format!("{path}, which the script writes, is not made executable");
            return fails(Errno::EACCES, CauseKind::NotExecutable, text);
        }
        let first = file.text.lines().next().unwrap_or_default();
        let Some(line) = first.strip_prefix("#!") else {
            if !is_known(first) {
                log.open_end::<()>(path, "its first line is only known at run time");
                return Outcome::Runs;
            }
            return match reader {
                Some(shell) => self.read_written(log, (path, file), argv, (shell, false), walk),
                None => fails(
                    Errno::ENOEXEC,
                    CauseKind::NoShebang,
                    format!("{path}, which the script writes, has no #! line"),
                ),
            };
        };
        let mut words = line.split_whitespace();
        let (Some(interpreter), option) = (words.next(), words.next().unwrap_or_default()) else {
            return fails(Errno::ENOEXEC, CauseKind::EmptyShebang, format!("the #! line of {path} is empty"));
        };
        if file.text.lines().next().is_some_and(|line| line.ends_with('\r')) || !is_known(line) {
            log.open_end::<()>(path, "its first line is only known at run time");
            return Outcome::Runs;
        }
        let Ok(id) = self.rootfs.resolve(interpreter) else {
            let text = format!(
                "{path}, which the script writes, names the interpreter {interpreter}, which is not in the image"
            );
            return fails(Errno::ENOENT, CauseKind::MissingInterpreter, text);
        };
        let name = lossy(self.rootfs.view(id).name);
        let name = if name == "env" { option.to_string() } else { name };
        let kind = self.shell_of(&name, Some(id));
        let is_shell = kind != Shell::Other || matches!(name.as_str(), "sh" | "zsh" | "ksh");
        if !is_shell {
            log.open_end::<()>(path, format!("the script writes it, and {interpreter} reads it"));
            return Outcome::Runs;
        }
        let ends_on_error = option.starts_with('-') && option.contains('e');
        self.read_written(log, (path, file), argv, (kind, ends_on_error), walk)
    }

    /// Follows a written text in a shell.
    pub(super) fn read_written(
        &self,
        log: &mut Log,
        (path, file): (&str, &WrittenFile),
        argv: &[String],
        (kind, ends_on_error): (Shell, bool),
        walk: &StartWalk,
    ) -> Outcome {
        let Some(text) = known_text(file) else {
            log.open_end::<()>(path, "the script writes it, and its text is only known at run time");
            return Outcome::Runs;
        };
        let arguments: Vec<String> = std::iter::once(path.to_string()).chain(argv.iter().skip(1).cloned()).collect();
        let call =
            ShellCall { text: &text, arguments: &arguments, kind, label: path, ends_on_error, from: ShellText::Script };
        let walk = StartWalk { depth: walk.depth + 1, stdin: None, ..walk.clone() };
        self.interpret(log, &call, &walk).unwrap_or(Outcome::Runs)
    }
}

/// The text of a written file, as far as it is known.
pub(super) fn known_text(file: &WrittenFile) -> Option<String> {
    is_known(&file.text).then(|| interpret::plain_text(&file.text))
}
