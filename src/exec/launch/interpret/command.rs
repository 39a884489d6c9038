//! Simple commands: redirections, assignments, functions and the programs that a script starts.

use std::hash::BuildHasher;
use std::rc::Rc;

use super::ending::{ScriptEnd, is_missing};
use super::making::reads_commands;
use super::modes::AccessChange;
use super::refused::refused_by_shell;
use super::run::lines;
use super::state::{ExitStatus, PASSWD, ProgramStart, ScriptFlow, ShellState, StartKind};
use super::text::{self, HOLE, MANY, Truth};
use super::{START_STEPS, ScriptInterpreter, installers, tools};
use crate::exec::CauseKind;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::cwd::Cwd;
use crate::exec::launch::walk::{Caller, StartWalk};
use crate::exec::log::{Followed, KnownCall};
use crate::shell::{AssignedValue, CommandKind, RedirectKind, ShellCommand, Simple};

/// Files in which cron finds the environment of its jobs.
const CRON_FILES: &[&str] = &["/etc/environment", "/etc/security/", "/etc/cron", "/var/spool/cron"];
/// Stands for the owners and modes of all files, in the set of the paths that a script writes.
const MODES: &str = "/*mode";
/// Stands for all directories that a script creates, in the set of the paths that it writes.
pub(super) const DIRECTORIES: &str = "/*/";

impl<'a> ScriptInterpreter<'_, 'a, '_> {
    /// The script as the caller of a program. `label` is its path.
    pub(super) fn caller<'c>(&self, label: &'c str, line: usize, how: StartKind) -> Caller<'c> {
        Caller::Shell { kind: self.kind, label, line, is_exec: how == StartKind::Exec, text: self.source.from }
    }

    /// Runs a command with its redirections.
    pub(super) fn redirected(
        &mut self,
        mut state: ShellState,
        command: &ShellCommand,
        is_tested: bool,
    ) -> Vec<ShellState> {
        if command.redirects.is_empty() {
            return self.kind(state, command, is_tested);
        }
        let (mut hides_output, mut hides_errors, mut discards, mut input) = (false, false, false, None);
        let mut is_to_file = false;
        // The file that receives the output, and whether it is appended to.
        let mut target_file: Option<(String, bool)> = None;
        for redirect in &command.redirects {
            let is_output = redirect.fd.is_none_or(|fd| fd == 1);
            match redirect.kind {
                RedirectKind::Output | RedirectKind::Append => {
                    hides_output |= is_output;
                    let target = self.text(&mut state, &redirect.target);
                    // A command whose message is discarded is expected to fail.
                    discards |= is_output && target == "/dev/null";
                    is_to_file |= is_output && !target.starts_with("/dev/std");
                    hides_errors |= redirect.fd == Some(2) && target == "/dev/null";
                    if let Some(path) = self.absolute(&state, &target) {
                        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory).to_string();
                        if self.is_lost_directory(&state, &directory) {
                            let text = format!(
                                "line {} writes {path}, but the directory {directory} is not in the image",
                                command.line
                            );
                            let error = (CauseKind::MissingDirectory, text);
                            return self.refused_file(state, command, error, is_tested);
                        }
                        if is_output {
                            target_file = Some((path.clone(), redirect.kind == RedirectKind::Append));
                        }
                        Rc::make_mut(&mut state.written).insert(path);
                    }
                }
                RedirectKind::Duplicate => {
                    hides_output |= is_output;
                    hides_errors |= discards && redirect.fd == Some(2);
                }
                RedirectKind::ReadWrite => {}
                RedirectKind::Input if redirect.fd.is_none_or(|fd| fd == 0) => {
                    let target = self.text(&mut state, &redirect.target);
                    let path = self.absolute(&state, &target);
                    if let Some(path) = path
                        && self.find_node(&path, true).is_none()
                        && self.is_lost_file(&state, &path)
                    {
                        let text = format!("line {} reads {path}, which is not in the image", command.line);
                        return self.refused_file(state, command, (CauseKind::MissingFile, text), is_tested);
                    }
                    input = Some(self.file_text(&state, &target).and_then(|text| lines(&text)));
                }
                RedirectKind::Input => {}
                RedirectKind::HereString => {
                    let text = self.text(&mut state, &redirect.target);
                    input = Some(lines(&text));
                }
                RedirectKind::HereDocument => {
                    let source = Rc::clone(&self.source);
                    let body = redirect.here.and_then(|slot| source.script.documents.get(slot));
                    let text = body.map(|word| self.text(&mut state, word));
                    input = Some(text.and_then(|text| lines(&text)));
                }
            }
        }
        // `exec` with only redirections affects the whole shell.
        let is_permanent = matches!(&command.kind, CommandKind::Simple(simple) if simple.words.len() == 1 && simple.words[0].bare() == Some("exec"));
        if is_permanent {
            if let Some(input) = input {
                state.input = input;
            }
            state.status = ExitStatus::from_truth(Truth::Yes);
            return vec![state];
        }
        let saved_output = if hides_output { state.output.take() } else { None };
        let target_file = target_file.filter(|(path, _)| hides_output && !path.starts_with("/dev/"));
        if target_file.is_some() {
            state.output = Some(String::new());
        }
        let (saved_input, saved_log) = (state.input.clone(), Rc::clone(&state.logged));
        let has_input = input.is_some();
        if let Some(input) = input {
            state.input = input;
        }
        let mut states = self.kind(state, command, is_tested);
        for state in &mut states {
            if hides_errors && let Some(blame) = &mut state.status.blame {
                Rc::make_mut(blame).is_tested = true;
            }
            if let Some((path, appends)) = &target_file {
                let text = state.output.take().unwrap_or_else(|| HOLE.to_string());
                Rc::make_mut(&mut state.made).write(
                    self.machine.rootfs,
                    path,
                    &text,
                    appends.then_some(super::files::old_text),
                );
            }
            if hides_output {
                state.output.clone_from(&saved_output);
            }
            if is_to_file {
                state.logged = Rc::clone(&saved_log);
            }
            if has_input {
                state.input.clone_from(&saved_input);
            }
        }
        states
    }

    pub(super) fn simple(
        &mut self,
        mut state: ShellState,
        simple: &Simple,
        line: usize,
        is_tested: bool,
    ) -> Vec<ShellState> {
        // Without a command name, the status is that of a substitution.
        let before = state.status.clone();
        let scalars =
            simple.assignments.iter().chain(&simple.declared).filter_map(|assignment| match &assignment.value {
                AssignedValue::Scalar(word) => Some(word),
                AssignedValue::Array(_) => None,
            });
        if self.refuses_words(&state, simple.words.iter().chain(scalars), line) {
            return Vec::new();
        }
        if simple.assignments.iter().any(|assignment| assignment.appends)
            && let Some(status) = self.lacks_builtin("+=", &[], line, is_tested)
        {
            return vec![ShellState { status, ..state }];
        }
        state.status = ExitStatus::from_truth(Truth::Yes);
        let mut fields = self.with_status(&mut state, &before, |own, state| own.fields(state, &simple.words));
        // Words that are usually absent, as in `$WRAPPER app`.
        while fields.len() > 1 && fields[0].chars().eq([MANY]) {
            fields.remove(0);
        }
        if fields.is_empty() {
            for assignment in &simple.assignments {
                self.with_status(&mut state, &before, |own, state| own.assign(state, assignment));
            }
            if simple.assignments.is_empty() {
                state.status = before;
            }
            return vec![state];
        }
        if !self.expand_alias(&mut state, &mut fields) {
            return vec![state];
        }
        let name = text::plain(&fields[0]);
        if !simple.words.is_empty() && !simple.declared.is_empty() {
            if let Some(status) = self.lacks_builtin(&name, &fields[1..], line, is_tested) {
                return vec![ShellState { status, ..state }];
            }
            if self.refuses_options(&state, &name, &fields[1..], line) {
                return Vec::new();
            }
            return self.declare(state, &name, &fields[1..], &simple.declared);
        }
        let mut sets = Vec::new();
        for assignment in &simple.assignments {
            if let AssignedValue::Scalar(word) = &assignment.value {
                let value = self.text(&mut state, word);
                sets.push((assignment.name.clone(), value));
            }
        }
        if let Some(function) = state.functions.get(&name).cloned() {
            for (name, value) in sets {
                state.set_text(&name, value);
            }
            return self.call(state, &function.body, &function.script, fields, line, is_tested);
        }
        if matches!(name.as_str(), "exit" | "return") {
            state.status = before;
        }
        self.dispatch(state, &name, fields, sets, line, is_tested)
    }

    /// Replaces the name of a command by its alias. Returns false if what the alias runs is not known.
    fn expand_alias(&self, state: &mut ShellState, fields: &mut Vec<String>) -> bool {
        let name = text::plain(&fields[0]);
        let Some(value) = state.aliases.get(&name).filter(|_| state.expands_aliases) else { return true };
        // Quotes and operators would have to be parsed again.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || " \t-_./:=,+%@".contains(c);
        if !value.chars().all(is_plain) || value.trim().is_empty() || value.contains('=') {
            state.open();
            state.has_unknown_commands = true;
            state.status = ExitStatus::from_truth(Truth::Maybe);
            return false;
        }
        let words: Vec<String> = value.split_whitespace().map(str::to_string).collect();
        fields.splice(..1, words);
        true
    }

    /// Expands with the earlier `$?`, and keeps the status of a substitution.
    fn with_status<T>(
        &mut self,
        state: &mut ShellState,
        before: &ExitStatus,
        expand: impl FnOnce(&mut Self, &mut ShellState) -> T,
    ) -> T {
        let own = std::mem::replace(&mut state.status, before.clone());
        let marker = state.status.clone();
        let result = expand(self, state);
        if state.status == marker {
            state.status = own;
        }
        result
    }

    fn call(
        &mut self,
        mut state: ShellState,
        body: &Rc<ShellCommand>,
        script: &Rc<super::ScriptSource>,
        fields: Vec<String>,
        line: usize,
        is_tested: bool,
    ) -> Vec<ShellState> {
        if !self.spend(1) {
            self.give_up(&state, "it runs too many commands to follow", line);
            return Vec::new();
        }
        let outer_args = std::mem::replace(&mut state.args, Rc::new(fields[1..].to_vec()));
        let outer_source = std::mem::replace(&mut self.source, Rc::clone(script));
        state.locals.push(Vec::new());
        state.status = ExitStatus::from_truth(Truth::Yes);
        let mut states = self.command(state, body, is_tested);
        self.source = outer_source;
        for state in &mut states {
            state.args = Rc::clone(&outer_args);
            if state.flow == ScriptFlow::Return {
                state.flow = ScriptFlow::Next;
            }
            for (name, var) in state.locals.pop().unwrap_or_default().into_iter().rev() {
                let vars = Rc::make_mut(&mut state.vars);
                match var {
                    Some(var) => vars.insert(name, var),
                    None => vars.remove(&name),
                };
            }
        }
        states
    }

    /// Returns the machine with the script's current directory.
    pub(super) fn machine_at(&self, state: &ShellState) -> Option<ExecMachine<'a>> {
        let cwd = state.cwd.as_ref()?;
        let here = Cwd::parse(self.machine.rootfs, &text::plain(cwd)).ok()?;
        Some(ExecMachine {
            rootfs: self.machine.rootfs,
            node: self.machine.node,
            kernel: self.machine.kernel,
            who: self.machine.who.clone(),
            cwd: here,
            changes: state.made.changes(),
            assumed: self.machine.assumed,
        })
    }

    /// Starts a program.
    pub(super) fn start(&mut self, mut state: ShellState, start: ProgramStart) -> Vec<ShellState> {
        let ProgramStart { argv, sets, line, how, is_tested } = start;
        let name = text::plain(&argv[0]);
        let is_relative = |word: &str| word.contains('/') && !word.starts_with(['/', '-', HOLE, MANY]);
        let is_lost = state.cwd.is_none() && (is_relative(&name) || argv.iter().skip(1).any(|word| is_relative(word)));
        let unknown = match () {
            () if !text::is_known(&name) => Some("starts a program whose name is only known at run time".to_string()),
            () if is_lost => Some(format!("starts {name} in a directory that is only known at run time")),
            () if name.is_empty() => Some("runs an empty word".to_string()),
            () => None,
        };
        let machine = self.machine_at(&state);
        let (Some(machine), None) = (machine, &unknown) else {
            let why = unknown.unwrap_or_else(|| format!("starts {name} in a directory that is only known at run time"));
            if let Some(KnownCall { outcome, steps, says, followed, .. }) =
                self.perhaps(&state, &argv, &sets, (line, how))
            {
                if how == StartKind::Exec {
                    self.end(&state, ScriptEnd::Becomes { outcome, steps, says, followed }, line);
                    return Vec::new();
                }
                state.status = self.failed(outcome, steps, says, line, is_tested);
                return vec![state];
            }
            if how == StartKind::Exec {
                self.end(&state, ScriptEnd::Unknown(why), line);
                return Vec::new();
            }
            state.open();
            state.print_unknown();
            state.status = ExitStatus::from_truth(Truth::Maybe);
            self.vague.get_or_insert((format!("{}:{line}", self.source.path), why));
            return vec![state];
        };
        if !self.spend(1) {
            self.give_up(&state, "it runs too many commands to follow", line);
            return Vec::new();
        }
        self.pass_arguments(&state, &argv);
        let mut env = state.environment();
        env.extend(sets);
        for entry in env.iter_mut().filter(|entry| entry.starts_with("PATH=") || entry.starts_with("LD_")) {
            *entry = text::plain(entry);
        }
        let is_written = |path: &str| self.absolute(&state, path).is_some_and(|path| state.written.contains(&path));
        let written = self.written_program(&state, &name, &env);
        if name.contains('/') && is_written(&name) && written.is_none() {
            let why = format!("starts {name}, which the script itself writes");
            if how == StartKind::Exec {
                self.end(&state, ScriptEnd::Unknown(why), line);
                return Vec::new();
            }
            state.status = ExitStatus::from_truth(Truth::Maybe);
            return vec![state];
        }
        let has_new_accounts = self.walk.has_new_accounts || state.written.contains(PASSWD);
        let has_new_directories = self.walk.has_new_directories || state.written.contains(DIRECTORIES);
        let has_new_modes = self.walk.has_new_modes || state.written.contains(MODES);
        let is_of_cron = |path: &String| CRON_FILES.iter().any(|start| path.starts_with(start));
        let has_new_environment = self.walk.has_new_environment || state.written.iter().any(is_of_cron);
        let walk = StartWalk {
            has_new_environment,
            env,
            is_open: state.is_open,
            keeps_programs: state.keeps_programs,
            has_new_accounts,
            has_new_directories,
            has_new_modes,
            made: Rc::clone(&state.made),
            stdin: state.input.clone().filter(|_| argv.iter().any(|word| reads_commands(word))),
            ..self.walk.clone()
        };
        let label = self.source.path.clone();
        let caller = self.caller(&label, line, how);
        let new = (has_new_accounts, has_new_directories, has_new_modes, has_new_environment);
        let flags = (walk.is_open, walk.keeps_programs, new, walk.depth, how as u8, line);
        let call = (&argv, &walk.env, flags, &walk.user, &state.cwd, &label, &walk.made, &walk.stdin);
        // The map's own keys are random, so no image can hold two calls that are known to collide.
        let key = self.log.budget.memo.hasher().hash_one(call);
        let followed = match self.log.budget.memo.get(&key) {
            Some(known) => known.clone(),
            None => {
                self.spend(START_STEPS);
                let (steps, says) = (std::mem::take(&mut self.log.steps), std::mem::take(&mut self.log.says));
                let before = std::mem::take(&mut self.log.followed);
                self.log.made = None;
                let doubts = self.log.doubts.len();
                let file = self.made_program(&state, &name, &walk.env).unwrap_or_else(|| name.clone());
                let outcome = match &written {
                    Some((path, file)) => {
                        let outcome = machine.run_written(self.log, (path, file), &argv, Some(self.kind), &walk);
                        refused_by_shell(outcome)
                    }
                    None => machine.run_command(self.log, &file, &argv, caller, &walk),
                };
                let steps = std::mem::replace(&mut self.log.steps, steps);
                let says = std::mem::replace(&mut self.log.says, says);
                let followed = std::mem::replace(&mut self.log.followed, before);
                if how == StartKind::Call && steps.is_empty() || state.weight == 0 {
                    // It is not in the image, but an earlier command may have created it; or only a rare branch starts it.
                    self.log.doubts.truncate(doubts);
                }
                let known = KnownCall { outcome, steps, says, followed, made: self.log.made.take() };
                self.log.budget.memo.insert(key, known.clone());
                known
            }
        };
        let KnownCall { outcome, steps, says, followed, made } = followed;
        // A script that it waits for has made paths for it.
        if let Some(made) = made {
            state.made = made;
        }
        if tools::adds_accounts(&name) {
            Rc::make_mut(&mut state.written).insert(PASSWD.to_string());
        }
        if tools::makes_directories(&name) {
            Rc::make_mut(&mut state.written).insert(DIRECTORIES.to_string());
        }
        if outcome.is_alive() {
            if let Some(status) = self.lacks_operand(&state, &name, &argv, line) {
                state.status = status;
                state.print_unknown();
                return vec![state];
            }
            match self.changed(&mut state, &name, &argv, (line, is_tested)) {
                None | Some(AccessChange::Known) => {}
                Some(AccessChange::Unknown) => _ = Rc::make_mut(&mut state.written).insert(MODES.to_string()),
                Some(AccessChange::Failed(status)) => {
                    state.status = status;
                    return vec![state];
                }
            }
        }
        let is_missing = outcome.cause().is_some_and(|cause| is_missing(cause.kind));
        if is_missing && state.has_unknown_commands && !name.contains('/') {
            if how == StartKind::Exec {
                self.end(&state, ScriptEnd::Unknown(format!("starts {name}, which is not in the image")), line);
                return Vec::new();
            }
            state.status = ExitStatus::from_truth(Truth::Maybe);
            let why = format!("calls {name}, which is not in the image");
            state.status.open = Some(Rc::new((format!("{label}:{line}"), why)));
            return vec![state];
        }
        if how == StartKind::Exec && (outcome.is_alive() || !state.survives_exec) {
            self.end(&state, ScriptEnd::Becomes { outcome, steps, says, followed }, line);
            return Vec::new();
        }
        let is_tested = is_tested || state.survives_exec && !outcome.is_alive();
        match is_tested && !outcome.is_alive() {
            true => self.log.tried.extend(steps.iter().cloned()),
            false => self.log.visited.extend(steps.iter().cloned()),
        }
        if outcome.is_alive() {
            let is_recorded = self.make_paths(&mut state, &name, &argv);
            let is_absent = matches!(followed, Followed::Partial { .. }) && steps.is_empty();
            if is_absent || !self.tool(&mut state, &name, &argv, line) {
                state.print_unknown();
                if name.ends_with("find") && argv.iter().any(|word| tools::changes_modes(word)) {
                    Rc::make_mut(&mut state.written).insert(MODES.to_string());
                }
                let is_asked = is_absent || tools::is_question(&name);
                state.status = ExitStatus::from_truth(if is_asked { Truth::Maybe } else { Truth::Usually(true) });
            }
            if let Followed::Partial { at, why } = followed {
                state.status.open = Some(Rc::new((at, why)));
            }
            if !tools::is_harmless(&name) && !is_recorded {
                let keeps_programs = !installers::may_install(&argv, &steps);
                state.open_as(&ShellState { is_open: true, keeps_programs, ..ShellState::default() });
            }
            return vec![state];
        }
        state.status = self.failed(outcome, steps, says, line, is_tested);
        vec![state]
    }
}
