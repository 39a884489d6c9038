//! Scripts that the kernel does not execute itself: those without a `#!` line, and execline's.

use crate::exec::Outcome;
use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpret::{self, ShellCall};
use crate::exec::launch::services;
use crate::exec::launch::shells::Shell;
use crate::exec::launch::walk::{Caller, Ran, ShellText, StartWalk};
use crate::exec::launch::wrapper::FailureStyle;
use crate::exec::log::Log;
use crate::exec::outcome::lossy;
use crate::image::{NodeId, NodeKind};
use crate::inspect::FileKind;

impl ExecMachine<'_> {
    /// Follows an execline script. s6-overlay's `with-contenv` is one, and execs the words after it.
    pub(super) fn follow_execline(&self, log: &mut Log, ran: &Ran, walk: &StartWalk) -> Option<Outcome> {
        let caller = Caller::Wrapper { style: FailureStyle::S6, name: "execlineb", falls_back: false };
        if let Some(at) = ran.argv.iter().position(|word| word.ends_with("/with-contenv")) {
            let rest = ran.argv.get(at + 1..).filter(|rest| !rest.is_empty())?;
            return Some(self.run_command(log, &rest[0], rest, caller, walk));
        }
        let script = ran.argv.iter().skip(1).find(|word| services::is_execline_script(word))?;
        let id = self.cwd.walk(self.rootfs, script.as_bytes(), &|_| true).ok()?;
        let Some(text) = self.kind(id).and_then(interpret::kept_text) else {
            return log.open_end(script.as_str(), "its full text was not kept");
        };
        let commands = services::execline_commands(&text, &walk.env);
        let command = commands.last()?.clone();
        let changed = command.user.as_deref().and_then(|user| self.as_user(user, walk));
        let machine = changed.as_ref().unwrap_or(self);
        let last = command.words;
        if last.iter().any(|word| word.contains('$')) {
            let unknown =
                |word: &String| if word.contains('$') { interpret::UNKNOWN.to_string() } else { word.clone() };
            let argv: Vec<String> = last.iter().map(unknown).collect();
            if let Some(outcome) = machine.may_start(log, &argv, caller, walk) {
                return Some(outcome);
            }
            return log.open_end(script.as_str(), "it starts a program whose name is only known at run time");
        }
        Some(machine.run_command(log, &last[0], &last, caller, walk))
    }

    /// bash searches PATH for a script that is not in the working directory; dash and BusyBox do not. Source: bash's
    /// shell.c `open_shell_script`.
    pub(super) fn script_on_path(&self, kind: Shell, name: &str, env: &[String]) -> Option<(String, NodeId)> {
        if !kind.is_bash() || name.contains('/') {
            return None;
        }
        let path = variable(env, "PATH").unwrap_or(DEFAULT_PATH);
        path.split(':').filter(|directory| directory.starts_with('/')).find_map(|directory| {
            let path = format!("{}/{name}", directory.trim_end_matches('/'));
            let id = self.rootfs.resolve(&path).ok()?;
            (self.rootfs.view(id).kind == NodeKind::File).then_some((path, id))
        })
    }

    /// Follows a text without a usable first line, which the caller's shell, or the shell that glibc starts, reads.
    pub(super) fn read_as_script(
        &self,
        log: &mut Log,
        (name, path): (&str, &str),
        argv: &[String],
        caller: Caller<'_>,
        walk: &StartWalk,
    ) -> Outcome {
        let kind = match caller {
            Caller::Shell { kind, .. } => Some(kind),
            Caller::Wrapper { .. } => self.shell_of_the_system(),
        };
        let id = self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true).ok();
        let text = id.and_then(|id| self.kind(id)).and_then(interpret::kept_text);
        let (Some(kind), Some(text)) = (kind, text) else {
            log.open_end::<()>(name, "it has no #! line, so a shell reads it, but its text was not kept");
            return Outcome::Runs;
        };
        let mut arguments = argv.to_vec();
        arguments[0] = path.to_string();
        let call = ShellCall {
            text: &text,
            arguments: &arguments,
            kind,
            label: path,
            ends_on_error: false,
            from: ShellText::Script,
        };
        let walk = StartWalk { depth: walk.depth + 1, ..walk.clone() };
        self.interpret(log, &call, &walk).unwrap_or(Outcome::Runs)
    }

    pub(super) fn shell_of_the_system(&self) -> Option<Shell> {
        let id = self.rootfs.resolve("/bin/sh").ok()?;
        Some(self.shell_of(&lossy(self.rootfs.view(id).name), Some(id)))
    }

    /// Returns the shell for the name of its file.
    pub(super) fn shell_of(&self, file: &str, id: Option<NodeId>) -> Shell {
        let elf = id.and_then(|id| self.kind(id)).and_then(|kind| match kind {
            FileKind::Elf(elf) => Some(&**elf),
            _ => None,
        });
        Shell::from_file(file, elf)
    }
}
