//! Follows interpreters to the programs that their file or arguments start: a package manager's script, a console
//! script's module, a Bundler command.

use std::collections::BTreeSet;

use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpret::kept_text;
use crate::exec::launch::interpreter::FileInterpreter;
use crate::exec::launch::managers::Manager;
use crate::exec::launch::perhaps::{Tried, plain, settle};
use crate::exec::launch::walk::{Caller, Ran, StartWalk};
use crate::exec::log::Log;
use crate::exec::outcome::Outcome;

/// Maximum number of quoted paths of one script that are examined.
const MAX_QUOTED: usize = 16;

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
        let caller = plain(interpreter.name());
        let found = found.or_else(|| self.first_named(log, words, caller, walk));
        let found = found.or_else(|| {
            let code = interpreter.code(&ran.argv)?;
            self.quoted_programs(log, code, caller, walk)
        });
        found.or_else(|| {
            let text = match file {
                Some((file, _)) => self.program_text(interpreter, file)?,
                None => {
                    // Python searches the working directory first.
                    let module = interpreter.module(&ran.argv)?.replace('.', "/");
                    self.program_text(interpreter, &module)
                        .or_else(|| self.program_text(interpreter, &format!("{module}.py")))?
                }
            };
            self.quoted_programs(log, &text, caller, walk)
        })
    }

    /// Returns the text of a program, which may be a directory.
    fn program_text(&self, interpreter: FileInterpreter, file: &str) -> Option<String> {
        let read = |path: &str| {
            let id = self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true).ok()?;
            self.kind(id).and_then(kept_text)
        };
        let names = interpreter.in_directory().iter();
        read(file).or_else(|| names.into_iter().find_map(|name| read(&format!("{file}/{name}"))))
    }

    /// Follows an interpreter whose scripts are not followed, but whose quoted programs are known.
    pub(crate) fn follow_quoted(&self, log: &mut Log, name: &str, script: &str, walk: &StartWalk) -> Option<Outcome> {
        let id = self.cwd.walk(self.rootfs, script.as_bytes(), &|_| true).ok()?;
        let text = self.kind(id).and_then(kept_text)?;
        self.quoted_programs(log, &text, plain(name), walk)
    }

    /// Judges the programs that a program's text names in quotes, by their whole path. `None` unless all of them are
    /// broken.
    fn quoted_programs(&self, log: &mut Log, text: &str, caller: Caller<'_>, walk: &StartWalk) -> Option<Outcome> {
        let quoted = text.split(['"', '\'', '`']).skip(1).filter(|part| part.starts_with('/'));
        // `os.system("/opt/app --once")`
        let names: BTreeSet<&str> = quoted.filter_map(|part| part.split_whitespace().next()).collect();
        let programs: Vec<&str> =
            names.into_iter().take(MAX_QUOTED).filter(|name| self.names_program(name, &walk.env)).collect();
        let tried: Vec<Tried> =
            programs.iter().map(|name| self.try_out(log, &[name.to_string()], caller, walk)).collect();
        tried.iter().all(Tried::is_broken).then(|| settle(log, tried)).flatten()
    }
}

/// Returns the command of `bundle exec COMMAND`, from the script that the interpreter reads and its arguments.
fn bundled<'w>(script: &str, words: &'w [String]) -> Option<&'w [String]> {
    let is_bundler = matches!(script.rsplit('/').next(), Some("bundle" | "bundler"));
    let rest = words.strip_prefix(&["exec".to_string()][..]).filter(|_| is_bundler)?;
    let at = rest.iter().position(|word| !word.starts_with('-'))?;
    Some(&rest[at..])
}
