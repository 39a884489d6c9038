//! Commands on directories: `cd`, `ls`, and those that start the programs in them, `find` and `run-parts`.

use std::rc::Rc;

use super::command::DIRECTORIES;
use super::expression::RegularExpression;
use super::lines::version_key;
use super::pattern;
use super::state::{ExitStatus, ProgramStart, ShellState, StartKind};
use super::text::{self, HOLE, Truth};
use super::{EXPRESSION_STEPS, MAX_TEXT, ScriptInterpreter, Shell};
use crate::exec::launch::run_parts::RunParts;
use crate::exec::launch::walk::StartWalk;
use crate::exec::log::{Certainty, Risk};
use crate::exec::outcome::{Death, Outcome};
use crate::exec::{Cause, CauseKind};
use crate::image::NodeKind;
use crate::inspect::FileKind;

impl ScriptInterpreter<'_, '_, '_> {
    /// `ls`, as far as it prints names only.
    pub(super) fn list_directory(&mut self, state: &mut ShellState, words: &[String], operands: &[&String]) -> bool {
        let letters: Vec<char> =
            words.iter().filter(|word| word.starts_with('-')).flat_map(|word| word.chars().skip(1)).collect();
        // Other options sort by other facts or print more.
        if state.is_open || !letters.iter().all(|letter| matches!(letter, '1' | 'A' | 'a' | 'd' | 'r' | 'v')) {
            return false;
        }
        let has = |letter: char| letters.contains(&letter);
        let here = ".".to_string();
        let operands = if operands.is_empty() { vec![&here] } else { operands.to_vec() };
        let (mut names, mut is_missing) = (Vec::new(), false);
        for operand in &operands {
            let Some(path) = self.absolute(state, operand) else { return false };
            let Some(id) = self.find_node(path.trim_end_matches('/'), true) else {
                is_missing = true;
                continue;
            };
            if has('d') || self.machine.rootfs.view(id).kind != NodeKind::Directory {
                names.push(operand.to_string());
                continue;
            }
            // With several directories, it prints their names, too.
            let Some(found) = self.below(&path, 1).filter(|_| operands.len() == 1) else { return false };
            let own = found.iter().filter_map(|(path, _)| path.rsplit('/').next());
            names.extend(own.filter(|name| has('A') || !name.starts_with('.')).map(str::to_string));
        }
        if has('a') && !has('d') {
            return false;
        }
        match has('v') {
            true => names.sort_by_cached_key(|name| version_key(name)),
            false => names.sort(),
        }
        if has('r') {
            names.reverse();
        }
        let text: String = names.iter().map(|name| format!("{name}\n")).collect();
        let text = self.bounded(text);
        state.print(&text);
        state.status = ExitStatus::from_truth(if is_missing { Truth::Usually(false) } else { Truth::Yes });
        true
    }

    /// `cd`, `pushd` and `popd`.
    pub(super) fn change_directory(
        &mut self,
        mut state: ShellState,
        name: &str,
        words: &[String],
        line: usize,
    ) -> Vec<ShellState> {
        let target = words.iter().find(|word| !word.starts_with('-') || word.len() == 1).cloned();
        if name == "popd" && words.is_empty() {
            let earlier = Rc::make_mut(&mut state.pushed).pop();
            state.cwd = earlier.flatten();
            state.status = ExitStatus::from_truth(if state.cwd.is_some() { Truth::Yes } else { Truth::Maybe });
            return vec![state];
        }
        if name == "pushd" {
            Rc::make_mut(&mut state.pushed).push(state.cwd.clone());
        }
        let target = match (name, target) {
            ("popd", _) => HOLE.to_string(),
            ("pushd", None) => HOLE.to_string(),
            (_, None) => self.scalar(&state, "HOME"),
            (_, Some(target)) => target,
        };
        if target == "-" || !text::is_known(&target) {
            state.cwd = None;
            state.status = ExitStatus::from_truth(Truth::Maybe);
            return vec![state];
        }
        if text::plain(&target).is_empty() {
            if text::is_soft(&target) {
                state.cwd = None;
            }
            state.status = ExitStatus::from_truth(Truth::Yes);
            return vec![state];
        }
        let path = self.absolute(&state, &target);
        let found = path.as_ref().and_then(|path| self.find_node(path, true));
        let truth = match (&path, found) {
            (Some(_), Some(id)) if self.machine.rootfs.view(id).kind == crate::image::NodeKind::Directory => Truth::Yes,
            (Some(_), Some(_)) => Truth::No,
            (Some(path), None) if self.is_certainly_absent(&state, path) => {
                let refused = self.refused_directory(path, line);
                let (mounted, mut absent) = state.fork(Truth::Usually(false));
                if let Some(absent) = &mut absent {
                    absent.status = refused;
                }
                let mounted = mounted.map(|state| ShellState { cwd: Some(path.as_str().into()), ..state });
                return absent.into_iter().chain(mounted).collect();
            }
            // It is created or mounted, or the script ends.
            (Some(_), None) => Truth::Usually(true),
            (None, _) => Truth::Maybe,
        };
        if truth != Truth::No {
            state.cwd = path.map(|path| path.as_str().into());
        }
        state.status = ExitStatus::from_truth(truth);
        vec![state]
    }

    /// Whether nothing before creates a directory that is not in the image.
    pub(super) fn is_certainly_absent(&self, state: &ShellState, path: &str) -> bool {
        let walk = StartWalk {
            is_open: state.is_open,
            has_new_directories: self.walk.has_new_directories || state.written.contains(DIRECTORIES),
            ..self.walk.clone()
        };
        self.machine.lacks(path, &walk)
    }

    /// Whether a file that a script reads is certain not to be there: its directory is in the image, the file is not, and
    /// it does not look like settings, which users mount.
    pub(super) fn is_lost_file(&self, state: &ShellState, path: &str) -> bool {
        const SETTINGS: [&str; 7] = ["env", "conf", "cfg", "secret", "setting", "var", "local"];
        let Some((directory, name)) = path.rsplit_once('/') else { return false };
        let is_setting = SETTINGS.iter().any(|part| path.to_ascii_lowercase().contains(part));
        let has_directory = !directory.is_empty() && self.find_node(directory, true).is_some();
        let is_made = state.written.contains(path) || crate::exec::kernel::mounts::is_made(self.machine.rootfs, path);
        has_directory && !state.is_open && !is_made && !is_setting && !name.is_empty()
    }

    /// The status of `cd` to a directory that does not exist.
    fn refused_directory(&self, path: &str, line: usize) -> ExitStatus {
        let code = if self.kind.is_bash() || self.kind == Shell::Busybox { 1 } else { 2 };
        let text = format!("line {line} changes to the directory {path}, which is not in the image");
        let cause = Cause { kind: CauseKind::MissingDirectory, text };
        let outcome = Outcome::Dies { death: Death::Exit(code), at: self.source.path.clone(), cause };
        let says = match self.kind {
            Shell::Bash(_) => format!("{}: line {line}: cd: {path}: No such file or directory", self.source.path),
            Shell::Dash | Shell::Other => format!("{}: {line}: cd: can't cd to {path}", self.source.path),
            Shell::Busybox => {
                format!("{}: cd: line {line}: can't cd to {path}: No such file or directory", self.source.path)
            }
        };
        self.failed(outcome, Vec::new(), vec![says], line, false)
    }

    /// `find DIR... TESTS -exec CMD {} ;`
    pub(super) fn find(&mut self, state: &mut ShellState, words: &[String], line: usize) -> bool {
        let is_operator = |word: &&String| word.starts_with(['-', '!', '(']);
        let words: Vec<String> =
            words.iter().skip_while(|word| matches!(word.as_str(), "-L" | "-H" | "-P")).cloned().collect();
        let directories: Vec<&String> = words.iter().take_while(|word| !is_operator(word)).collect();
        let mut rest = &words[directories.len()..];
        let (mut depth, mut least, mut kind, mut name, mut is_executable, mut prints) =
            (32, 0, None, None, false, true);
        let mut command: Option<Vec<String>> = None;
        while let Some((word, after)) = rest.split_first() {
            let value = after.first();
            let number = || value.and_then(|value| value.parse::<usize>().ok());
            let takes = match word.as_str() {
                "-maxdepth" => {
                    depth = number().unwrap_or(32);
                    1
                }
                "-mindepth" => {
                    least = number().unwrap_or(0);
                    1
                }
                "-type" => {
                    kind = value.cloned();
                    1
                }
                "-name" => {
                    name = value.cloned();
                    1
                }
                "-executable" => {
                    is_executable = true;
                    0
                }
                "-follow" | "-print" | "-quit" | "-print0" | "-xdev" | "-mount" => 0,
                "-exec" | "-ok" | "-execdir" => {
                    let end = after.iter().position(|word| word == ";" || word == "+");
                    let Some(end) = end else { return false };
                    command = Some(after[..end].to_vec());
                    prints = false;
                    end + 1
                }
                _ => return false,
            };
            rest = after.get(takes..).unwrap_or_default();
        }
        let tokens = name.map(|name| pattern::pattern(&[(name, false)]));
        let mut text = String::new();
        for directory in directories {
            let Some(path) = self.absolute(state, directory) else { return false };
            // A directory that does not exist may be mounted.
            let Some(found) = self.below(&path, depth) else {
                state.print_unknown();
                state.status = ExitStatus::from_truth(Truth::Maybe);
                return true;
            };
            let base = path.trim_end_matches('/').matches('/').count();
            for (path, id) in found {
                let Some(real) = self.find_node(&path, true) else { continue };
                let view = self.machine.rootfs.view(if kind.as_deref() == Some("l") { id } else { real });
                let fits_kind = match kind.as_deref() {
                    Some("f") => view.kind == NodeKind::File,
                    Some("d") => view.kind == NodeKind::Directory,
                    Some("l") => view.kind == NodeKind::Symlink,
                    Some(_) => false,
                    None => true,
                };
                let file_name = path.rsplit('/').next().unwrap_or("");
                let fits_name = match &tokens {
                    None => true,
                    Some(None) => return false,
                    Some(Some(tokens)) => self.matches(tokens, file_name) == Truth::Yes,
                };
                let below = path.matches('/').count() - base;
                if fits_kind && fits_name && below >= least && (!is_executable || view.mode & 0o111 != 0) {
                    if let Some(command) = &command {
                        self.run_on(state, command, &path, line);
                    }
                    text.push_str(&path);
                    text.push('\n');
                }
            }
        }
        if prints {
            let text = self.bounded(text);
            state.print(&text);
        }
        state.status = ExitStatus::from_truth(Truth::Yes);
        true
    }

    fn run_on(&mut self, state: &mut ShellState, command: &[String], path: &str, line: usize) {
        let is_too_long = |word: &String| word.matches("{}").count().saturating_mul(path.len()) > MAX_TEXT;
        if command.iter().any(is_too_long) {
            return;
        }
        let argv: Vec<String> = command.iter().map(|word| word.replace("{}", path)).collect();
        if argv.is_empty() {
            return;
        }
        let start = ProgramStart { argv, sets: Vec::new(), line, how: StartKind::Call, is_tested: true };
        if let Some(after) = self.start(ShellState { output: None, ..state.clone() }, start).into_iter().next() {
            state.open_as(&after);
            state.written = after.written;
            state.made = after.made;
        }
    }

    /// The end of run-parts on a text without a first line: it does not pass it to a shell, as the caller's would.
    fn refused_text(&self, path: &str, line: usize) -> Option<ExitStatus> {
        let fact = self.machine.rootfs.view(self.find_node(path, true)?).fact;
        if !matches!(fact, Some(FileKind::Text(_) | FileKind::Config(_) | FileKind::OptionalImports(_))) {
            return None;
        }
        let text = "it has no #! line, and run-parts does not pass it to a shell".to_string();
        let cause = Cause { kind: CauseKind::NoShebang, text };
        let outcome = Outcome::Dies { death: Death::Exit(1), at: path.to_string(), cause };
        let says = vec![format!("run-parts: failed to exec {path}: Exec format error")];
        Some(self.failed(outcome, Vec::new(), says, line, true))
    }

    /// debianutils' and BusyBox's run-parts. It exits with 1 if a program does not run. Source: run-parts(8).
    pub(super) fn run_parts(
        &mut self,
        state: &mut ShellState,
        operands: &[&String],
        words: &[String],
        line: usize,
    ) -> bool {
        if regular_expression(words).is_some() && !self.spend(EXPRESSION_STEPS) {
            return false;
        }
        let Some(directory) = operands.last().and_then(|path| self.absolute(state, path)) else { return false };
        let stops = words.iter().any(|word| word == "--exit-on-error");
        let Some(found) = self.below(&directory, 1) else { return false };
        let parts = RunParts::of(self.machine);
        let expression = regular_expression(words);
        let expression = expression.map(|text| RegularExpression::from_extended(text).and_then(|own| own.compile()));
        let mut work = self.work();
        let mut is_name = |name: &str| match &expression {
            None => parts.takes(name),
            Some(Some(compiled)) => compiled.is_match(name, &mut work),
            Some(None) => false,
        };
        let (mut failed, mut ignored, mut has_run) = (None, None, false);
        for (path, _) in found {
            let name = path.rsplit('/').next().unwrap_or("");
            let is_script = self.find_node(&path, true).is_some_and(|id| {
                let view = self.machine.rootfs.view(id);
                view.kind == NodeKind::File && view.mode & 0o111 != 0
            });
            if is_script && expression.is_none() && parts.ignores_program(self.machine, &path) {
                ignored.get_or_insert(path.clone());
            }
            if !is_name(name) || !is_script {
                continue;
            }
            has_run = true;
            let start = ProgramStart {
                argv: vec![path.clone()],
                sets: Vec::new(),
                line,
                how: StartKind::Call,
                is_tested: true,
            };
            let child = ShellState { output: None, ..state.clone() };
            let after = match self.refused_text(&path, line) {
                Some(status) => Some(ShellState { status, ..child }),
                None => self.start(child, start).into_iter().next(),
            };
            if let Some(after) = after {
                state.open_as(&after);
                if after.status.truth == Truth::No && after.status.blame.is_some() && failed.is_none() {
                    failed = Some(after.status);
                    if stops {
                        break;
                    }
                }
            }
        }
        // If it runs another file, its author knows the rule for names.
        if let Some(path) = ignored.filter(|_| !has_run) {
            let text = format!("line {line}: run-parts ignores {path}: it uses names of letters, digits, - and _ only");
            let cause = Cause { kind: CauseKind::BadConfiguration, text };
            let outcome = Outcome::Dies { death: Death::Exit(1), at: path, cause };
            let (by, certainty) = (self.source.path.clone(), Certainty::Certain);
            self.log.risks.push(Risk { outcome, steps: Vec::new(), by, line, certainty });
        }
        state.print_unknown();
        state.status = match failed {
            Some(status) => ExitStatus { code: Some(1), ..status },
            None => ExitStatus::from_truth(Truth::Maybe),
        };
        true
    }
}

/// The expression of `run-parts --regex`, which the names of the programs must match.
fn regular_expression(words: &[String]) -> Option<&str> {
    words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix("--regex") {
        Some("") => words.get(at + 1).map(String::as_str),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    })
}
