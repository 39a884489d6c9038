//! Follows interpreters to the programs that their file or arguments start: a package manager's script, a console
//! script's module, a Bundler command.

use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpreter::FileInterpreter;
use crate::exec::launch::managers::Manager;
use crate::exec::launch::perhaps::plain;
use crate::exec::launch::walk::{Ran, StartWalk};
use crate::exec::log::Log;
use crate::exec::outcome::Outcome;

impl ExecMachine<'_> {
    /// Follows `bundle exec`: to a program on PATH, or to one that a gem contains, which it finds itself.
    fn follow_bundled(&self, log: &mut Log, command: &[String], walk: &StartWalk) -> Option<Outcome> {
        if !self.names_program(command.first()?, &walk.env) {
            return log.open_end("bundle", "it searches for the program to start itself");
        }
        Some(self.run_command(log, &command[0], command, plain("bundle"), walk))
    }

    /// Follows an interpreter and its file, which may start the programs that its arguments name.
    pub(crate) fn follow_interpreted(
        &self,
        log: &mut Log,
        ran: &Ran,
        interpreter: FileInterpreter,
        walk: &StartWalk,
    ) -> Option<Outcome> {
        let outcome = self.follow_file(log, &ran.argv, interpreter, walk);
        if outcome.is_some() {
            return outcome;
        }
        let file = interpreter.file(&ran.argv);
        let found = match (interpreter, file) {
            (FileInterpreter::Node, Some((file, words))) if let Some(manager) = Manager::from_file_name(file) => {
                return self.follow_manager(log, manager, words, walk);
            }
            (FileInterpreter::Perl | FileInterpreter::Ruby, Some((file, words)))
                if let Some(command) = bundled(file, words) =>
            {
                return self.follow_bundled(log, command, walk);
            }
            (FileInterpreter::Python, _) => self.follow_module(log, ran, walk),
            (FileInterpreter::Bun, None) => return self.follow_manager(log, Manager::Bun, &ran.argv[1..], walk),
            (
                FileInterpreter::Bun
                | FileInterpreter::Deno
                | FileInterpreter::Node
                | FileInterpreter::Perl
                | FileInterpreter::Php
                | FileInterpreter::Ruby,
                _,
            ) => None,
        };
        let words = file.map(|(_, words)| words).unwrap_or_default();
        found.or_else(|| self.first_named(log, words, plain(interpreter.name()), walk))
    }
}

/// Returns the command of `bundle exec COMMAND`, from the script that the interpreter reads and its arguments.
fn bundled<'w>(script: &str, words: &'w [String]) -> Option<&'w [String]> {
    let is_bundler = matches!(script.rsplit('/').next(), Some("bundle" | "bundler"));
    let rest = words.strip_prefix(&["exec".to_string()][..]).filter(|_| is_bundler)?;
    let at = rest.iter().position(|word| !word.starts_with('-'))?;
    Some(&rest[at..])
}
