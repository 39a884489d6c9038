//! Follows shells: their options, the files that they read first, and their text or script.

use crate::exec::environment::variable;
use crate::exec::kernel::access::{Who, not_read, unreadable};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::mounts;
use crate::exec::kernel::why::describe;
use crate::exec::launch::follow::{has_known_options, is_binary, is_shebangs_word};
use crate::exec::launch::interpret::{self, ShellCall, is_known};
use crate::exec::launch::services;
use crate::exec::launch::shells::Shell;
use crate::exec::launch::walk::{Ran, ShellText, StartWalk};
use crate::exec::log::Log;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::ResolveError;

/// The options of a shell that affect what it runs.
#[derive(Clone, Copy)]
struct ShellStart {
    /// It reads profiles first.
    is_login: bool,
    /// `-e`
    ends_on_error: bool,
    text: ShellText,
}

impl ExecMachine<'_> {
    /// Follows a shell: the text after `-c`, or its script.
    pub(super) fn follow_shell(&self, log: &mut Log, ran: &Ran, walk: &StartWalk) -> Option<Outcome> {
        let kind = self.shell_of(&ran.file, ran.id);
        let mut words = ran.argv.iter().skip(1).peekable();
        let (mut is_text, mut reads_stdin) = (false, false);
        let mut start =
            ShellStart { is_login: ran.argv[0].starts_with('-'), ends_on_error: false, text: ShellText::Script };
        while let Some(word) = words.next_if(|word| word.starts_with(['-', '+']) && word.len() > 1) {
            if word == "--" {
                break;
            }
            let next = words.peek().map_or("", |next| next.as_str());
            if let Some(message) = kind.bad_option(&ran.argv[0], word, next).filter(|_| has_known_options(&ran.file)) {
                return Some(self.refuse_option(log, ran, false, message));
            }
            let is_long = word.starts_with("--");
            start.ends_on_error |= !is_long && word.starts_with('-') && word.contains('e');
            start.is_login |= word == "--login" || !is_long && word.starts_with('-') && word.contains('l');
            is_text |= !is_long && word.starts_with('-') && word.contains('c');
            let takes_value =
                matches!(word.as_str(), "--rcfile" | "--init-file") || !is_long && word.ends_with(['o', 'O']);
            reads_stdin |= !is_long && word.starts_with('-') && word.contains('s');
            if takes_value {
                words.next();
            }
        }
        let operands: Vec<String> = words.cloned().collect();
        let Some(first) = operands.first().filter(|_| is_text || !reads_stdin) else {
            // A here-document or a pipe may hold its commands.
            let Some(lines) = walk.stdin.as_ref().filter(|_| !is_text) else {
                return match reads_stdin {
                    true => log.open_end(&ran.argv[0], "it reads its commands from standard input"),
                    false => None,
                };
            };
            let text = lines.join("\n");
            let arguments: Vec<String> = std::iter::once(ran.argv[0].clone()).chain(operands).collect();
            return self.follow_text(log, &text, &arguments, (kind, &ran.argv[0]), start, walk);
        };
        if is_text {
            let arguments: Vec<String> = match operands.len() {
                1 => vec![ran.argv[0].clone()],
                _ => operands[1..].to_vec(),
            };
            // `$0`, which is the first word after the text.
            let label = arguments[0].clone();
            start.text = ShellText::Argument;
            if !is_known(first) {
                return log.open_end(&label, "its commands are only known at run time");
            }
            return self.follow_text(log, first, &arguments, (kind, &label), start, walk);
        }
        self.follow_script(log, &operands, (kind, &ran.argv[0]), start, walk)
    }

    /// Follows a script that a shell reads. Its path is the first operand. `by` is the shell and its name in messages.
    fn follow_script(
        &self,
        log: &mut Log,
        operands: &[String],
        by: (Shell, &str),
        start: ShellStart,
        walk: &StartWalk,
    ) -> Option<Outcome> {
        let (path, (kind, label)) = (operands.first()?, by);
        if let Some(file) = walk.made.written(self.rootfs, &services::from_cwd(self, path)) {
            let outcome = self.read_written(log, (path, &file), operands, (kind, start.ends_on_error), walk);
            return Some(outcome).filter(|outcome| *outcome != Outcome::Runs);
        }
        if !is_known(path) {
            return log.open_end(label, "it reads a script whose name is only known at run time");
        }
        let here = self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true);
        let found = here.is_err().then(|| self.script_on_path(kind, path, &walk.env)).flatten();
        let (path, here) = match &found {
            Some((path, id)) => (path, Ok(*id)),
            None => (path, here),
        };
        let id = match here {
            Ok(id) if self.rootfs.is_unread(id) => {
                let cause = Cause { kind: CauseKind::NotRead, text: not_read(path, path.as_bytes()) };
                return Some(Outcome::Unknown { at: path.clone(), cause });
            }
            Ok(id) => id,
            Err(ResolveError::Unread(mount)) => {
                let cause = Cause { kind: CauseKind::NotRead, text: not_read(path, &mount) };
                return Some(Outcome::Unknown { at: path.clone(), cause });
            }
            // A `#!` line with a word that is not an option: the shell reads that word instead of the script.
            Err(_) if walk.is_open || is_shebangs_word(log, path) || mounts::is_made(self.rootfs, path) => {
                return log.open_end(path, "it is not in the image");
            }
            Err(_) => {
                let (line, code) = kind.cannot_open(label, path);
                log.says.push(line);
                let cause = Cause {
                    kind: CauseKind::MissingScript,
                    text: format!("the shell needs {path}, which does not exist"),
                };
                return Some(Outcome::Dies { death: Death::Exit(code), at: path.clone(), cause });
            }
        };
        let may_read = || unreadable(self.rootfs, (&self.who, &self.changes), &self.cwd, path);
        if !walk.is_open
            && !walk.has_new_modes
            && let Some(cause) = may_read()
        {
            let (line, code) = kind.may_not_open(label, path);
            log.says.push(line);
            return Some(Outcome::Dies { death: Death::Exit(code), at: path.clone(), cause });
        }
        match self.kind(id) {
            Some(file) if let Some(text) = interpret::kept_text(file) => {
                self.follow_text(log, &text, operands, (kind, path), start, walk)
            }
            Some(binary) if is_binary(binary) => {
                let (line, code) = kind.reads_binary(path);
                log.says.push(line);
                let text = format!("it is {}, but {label} was given it as a script", describe(Some(binary)));
                let cause = Cause { kind: CauseKind::BinaryAsScript, text };
                Some(Outcome::Dies { death: Death::Exit(code), at: path.clone(), cause })
            }
            _ => log.open_end(path, "its full text was not kept"),
        }
    }

    /// Follows the commands in a shell's text. `arguments` is `$0` and the words after it.
    fn follow_text(
        &self,
        log: &mut Log,
        text: &str,
        arguments: &[String],
        by: (Shell, &str),
        start: ShellStart,
        walk: &StartWalk,
    ) -> Option<Outcome> {
        let home = match (variable(&walk.env, "HOME"), walk.user.as_deref(), &self.who) {
            (Some(home), ..) => Some(home),
            (None, None | Some("0"), Who::Root) => Some("/root"),
            (None, ..) => None,
        };
        let exists = |path: &String| self.rootfs.resolve(path).is_ok();
        let in_home = |path: &&str| match path.strip_prefix('~') {
            Some(rest) => Some(format!("{}{rest}", home?)),
            None => Some(path.to_string()),
        };
        let files: Vec<String> = match variable(&walk.env, "BASH_ENV").filter(|_| by.0.is_bash()) {
            _ if start.is_login => {
                let first = |files: &&[&str]| files.iter().filter_map(in_home).find(exists);
                by.0.profiles().iter().filter_map(first).collect()
            }
            file => file.map(str::to_string).filter(|path| is_known(path)).filter(exists).into_iter().collect(),
        };
        let first: String =
            files.iter().map(|file| format!(". '{}' </dev/null; ", file.replace('\'', r"'\''"))).collect();
        // They are read before the first line.
        let text = format!("{first}{text}");
        let call = ShellCall {
            text: &text,
            arguments,
            kind: by.0,
            label: by.1,
            ends_on_error: start.ends_on_error,
            from: start.text,
        };
        self.interpret(log, &call, walk)
    }
}

#[cfg(test)]
#[path = "shell_calls_tests.rs"]
mod tests;
