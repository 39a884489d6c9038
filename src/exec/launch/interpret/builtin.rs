//! The builtins of a shell.

use std::rc::Rc;

use super::ending::ScriptEnd;
use super::print::{echoed, printed};
use super::state::{ExitStatus, ProgramStart, ScriptFlow, ShellState, ShellValue, StartKind};
use super::text::{self, HOLE, MANY, Truth};
use super::{ScriptInterpreter, ScriptSource, dialect, options, tools};
use crate::exec::CauseKind;
use crate::exec::environment::DEFAULT_PATH;
use crate::shell;

/// Builtins that neither affect later commands nor start anything. Source: bash(1) and dash(1).
const QUIET: &[&str] = &[
    ":", "true", "bg", "bind", "caller", "complete", "compgen", "compopt", "disown", "enable", "fc", "fg", "hash",
    "help", "history", "jobs", "kill", "logout", "times", "trap", "umask", "ulimit", "suspend", "dirs",
];

impl ScriptInterpreter<'_, '_, '_> {
    /// Runs a command that is not a function: a builtin or a program.
    pub(super) fn dispatch(
        &mut self,
        mut state: ShellState,
        name: &str,
        fields: Vec<String>,
        sets: Vec<(String, String)>,
        line: usize,
        is_tested: bool,
    ) -> Vec<ShellState> {
        let words = &fields[1..];
        let done = |mut state: ShellState, truth: Truth| {
            state.status = ExitStatus::from_truth(truth);
            vec![state]
        };
        if let Some(status) = self.lacks_builtin(name, words, line, is_tested) {
            state.status = status;
            return vec![state];
        }
        if self.refuses_options(&state, name, words, line) {
            return Vec::new();
        }
        match name {
            "exec" => {
                let mut argv: &[String] = words;
                while let Some((first, rest)) = argv.split_first().filter(|(first, _)| first.starts_with('-')) {
                    argv = match first.as_str() {
                        "--" => rest,
                        "-a" => rest.get(1..).unwrap_or_default(),
                        _ => rest,
                    };
                    if first == "--" {
                        break;
                    }
                }
                let mut argv = argv.to_vec();
                while argv.len() > 1 && argv[0].chars().eq([MANY]) {
                    argv.remove(0);
                }
                if argv.is_empty() {
                    return match words.first() {
                        Some(word) if word != "--" => {
                            self.end(&state, ScriptEnd::Unknown(format!("passes exec the option {word}")), line);
                            Vec::new()
                        }
                        _ => done(state, Truth::Yes),
                    };
                }
                let sets = sets.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
                return self.start(state, ProgramStart { argv, sets, line, how: StartKind::Exec, is_tested });
            }
            "command" | "builtin" => return self.command_word(state, words, sets, line, is_tested),
            // bash refuses `--help` and other options with exit code 2; other shells have no such command.
            "type" if words.first().is_some_and(|word| tools::is_bad_option(word)) => return done(state, Truth::No),
            // The file that it names is found without PATH from here on.
            "hash" if words.first().is_some_and(|word| word == "-p") => {
                state.has_unknown_commands = true;
                return done(state, Truth::Yes);
            }
            "type" | "hash" if words.len() > 1 || name == "type" => {
                let truth = words
                    .iter()
                    .filter(|word| !word.starts_with('-'))
                    .fold(Truth::Yes, |truth, word| truth.and(self.is_command(&state, word).0));
                state.print_unknown();
                if let (Truth::No, Some(name)) = (truth, words.iter().find(|word| !word.starts_with('-'))) {
                    state.status = self.absent(&state, name, line);
                    return vec![state];
                }
                return done(state, truth);
            }
            "false" => return done(state, Truth::No),
            "test" | "[" if self.refuses_operator(words) => return done(state, Truth::No),
            "test" => {
                let truth = self.test(&mut state, words);
                state.status = self.tested(truth, line);
                return vec![state];
            }
            "[" => {
                let inner = words.split_last().filter(|(last, _)| *last == "]").map_or(words, |(_, inner)| inner);
                let truth = self.test(&mut state, inner);
                state.status = self.tested(truth, line);
                return vec![state];
            }
            "echo" | "printf" => {
                let variable = words.get(1).filter(|_| name == "printf" && words[0] == "-v");
                let words = if variable.is_some() { &words[2..] } else { words };
                let text = if name == "echo" { echoed(words) } else { printed(words) };
                let text = self.bounded(text);
                if let Some(variable) = variable {
                    state.set_text(variable, text);
                } else {
                    state.print_text(&text);
                }
                return done(state, Truth::Yes);
            }
            "cd" | "chdir" | "pushd" | "popd" => return self.change_directory(state, name, words, line),
            "pwd" => {
                let cwd = state.cwd.as_ref().map_or(HOLE.to_string(), |cwd| cwd.to_string());
                state.print(&format!("{cwd}\n"));
                return done(state, Truth::Yes);
            }
            "export" | "readonly" | "local" | "declare" | "typeset" => {
                self.declare_names(&mut state, name, words);
                return done(state, Truth::Yes);
            }
            "unset" => {
                for word in words.iter().filter(|word| !word.starts_with('-')) {
                    let is_function = words[0] == "-f";
                    if is_function {
                        Rc::make_mut(&mut state.functions).remove(word);
                    } else if let Some((name, key)) = word.strip_suffix(']').and_then(|element| element.split_once('['))
                    {
                        state.unset_element(name, key);
                    } else {
                        state.unset(word);
                    }
                }
                return done(state, Truth::Yes);
            }
            "set" => {
                set(&mut state, words);
                return done(state, Truth::Yes);
            }
            "shopt" => {
                if words.iter().any(|word| word == "nocasematch") {
                    state.ignores_case = words.first().is_some_and(|word| word == "-s");
                }
                let is_set = words.first().is_some_and(|word| word == "-s");
                if words.iter().any(|word| word == "execfail") {
                    state.survives_exec = is_set;
                }
                if words.iter().any(|word| word == "expand_aliases") {
                    state.expands_aliases = is_set;
                }
                if words.iter().any(|word| word == "nullglob") {
                    state.globs_to_nothing = words.first().is_some_and(|word| word == "-s");
                }
                return done(state, Truth::Yes);
            }
            "alias" => {
                for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
                    Rc::make_mut(&mut state.aliases).insert(text::plain(name), text::plain(value));
                }
                return done(state, Truth::Yes);
            }
            "unalias" => {
                let aliases = Rc::make_mut(&mut state.aliases);
                aliases.retain(|name, _| !words.iter().any(|word| word == name || word == "-a"));
                return done(state, Truth::Yes);
            }
            "shift" => {
                let count = words.first().map_or(Some(1), |word| text::plain(word).parse::<usize>().ok());
                let is_vague = state.args.iter().take(count.unwrap_or(0).max(1)).any(|arg| arg.starts_with(MANY));
                match count {
                    _ if is_vague => {}
                    Some(count) if count <= state.args.len() => {
                        state.args = Rc::new(state.args[count..].to_vec());
                    }
                    Some(_) => return done(state, Truth::No),
                    None => state.args = Rc::new(vec![MANY.to_string()]),
                }
                return done(state, Truth::Yes);
            }
            "exit" | "return" => {
                let code = words.first().map(|word| text::plain(word).parse::<i64>().ok());
                let trouble = state.trouble.clone();
                let blame = state.status.blame.clone().or(trouble);
                state.status = match code {
                    None => state.status.clone(),
                    Some(Some(0)) => ExitStatus::from_truth(Truth::Yes),
                    Some(Some(code)) => {
                        ExitStatus { truth: Truth::No, code: Some((code & 0xff) as u8), blame, open: None }
                    }
                    Some(None) if words[0].starts_with(HOLE) && state.trouble.is_some() => {
                        ExitStatus { truth: Truth::No, code: None, blame: state.trouble.clone(), open: None }
                    }
                    Some(None) => ExitStatus::from_truth(Truth::Maybe),
                };
                if name == "exit" {
                    let status = state.status.clone();
                    self.end(&state, ScriptEnd::Quits(status), line);
                    return Vec::new();
                }
                state.flow = ScriptFlow::Return;
                return vec![state];
            }
            "break" | "continue" => {
                let levels = words.first().and_then(|word| word.parse().ok()).unwrap_or(1).max(1);
                state.flow = if name == "break" { ScriptFlow::Break(levels) } else { ScriptFlow::Continue(levels) };
                return vec![state];
            }
            "read" => return self.read(state, words, &sets),
            "mapfile" | "readarray" => {
                let target = words.iter().rfind(|word| !word.starts_with('-')).map_or("MAPFILE", String::as_str);
                let items = state.input.take().map_or(vec![MANY.to_string()], |lines| lines.to_vec());
                state.set(target, ShellValue::List(items));
                return done(state, Truth::Yes);
            }
            "getopts" => {
                options::getopts(&mut state, words);
                return vec![state];
            }
            "let" => {
                for word in words {
                    self.number(&mut state, &shell::expression(word));
                }
                return done(state, Truth::Maybe);
            }
            "eval" => return self.eval(state, words, line, is_tested),
            "." | "source" => return self.source_file(state, words, line, is_tested),
            "wait" => {
                if let Some(blame) = state.background.clone() {
                    state.status = ExitStatus { truth: Truth::No, code: None, blame: Some(blame), open: None };
                    // The script waits for a program that fails, and ends the same way.
                    let status = state.status.clone();
                    self.end(&state, ScriptEnd::Finishes(status), line);
                    return Vec::new();
                }
                return done(state, Truth::Maybe);
            }
            quiet if QUIET.contains(&quiet) => return done(state, Truth::Yes),
            _ => {}
        }
        let sets = sets.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.start(state, ProgramStart { argv: fields, sets, line, how: StartKind::Call, is_tested })
    }

    /// `command` and `builtin`.
    fn command_word(
        &mut self,
        mut state: ShellState,
        words: &[String],
        sets: Vec<(String, String)>,
        line: usize,
        is_tested: bool,
    ) -> Vec<ShellState> {
        let options: Vec<&String> = words.iter().take_while(|word| word.starts_with('-') && word.len() > 1).collect();
        let rest = words[options.len()..].to_vec();
        if options.iter().any(|word| word.contains(['v', 'V'])) {
            let Some(name) = rest.first() else { return vec![state] };
            let (truth, path) = self.is_command(&state, name);
            match path {
                Some(path) if truth == Truth::Yes => state.print(&format!("{path}\n")),
                _ if truth == Truth::No => {}
                _ => state.print_unknown(),
            }
            state.status = match truth {
                Truth::No => self.absent(&state, name, line),
                Truth::Yes | Truth::Maybe | Truth::Usually(_) => ExitStatus::from_truth(truth),
            };
            return vec![state];
        }
        match rest.first().map(|name| text::plain(name)) {
            Some(name) => self.dispatch(state, &name, rest, sets, line, is_tested),
            None => vec![state],
        }
    }

    /// Whether a name is a command, and the path that `command -v` prints.
    pub(super) fn is_command(&mut self, state: &ShellState, name: &str) -> (Truth, Option<String>) {
        let name = &text::plain(name);
        if !text::is_known(name) {
            return (Truth::Maybe, None);
        }
        if state.functions.contains_key(name) || QUIET.contains(&name.as_str()) || is_builtin(name) {
            return (Truth::Yes, Some(name.clone()));
        }
        let env = state.environment();
        let path = match self.search(state, name, &env) {
            Some(path) => return (Truth::Yes, Some(path)),
            None => crate::exec::environment::variable(&env, "PATH").unwrap_or(DEFAULT_PATH),
        };
        if !text::is_known(path) || state.has_unknown_commands {
            return (Truth::Maybe, None);
        }
        (if state.is_open { Truth::Usually(false) } else { Truth::No }, None)
    }

    fn eval(&mut self, mut state: ShellState, words: &[String], line: usize, is_tested: bool) -> Vec<ShellState> {
        let text = words.join(" ");
        if !text::is_known(&text) {
            state.open();
            state.has_unknown_commands = true;
            state.has_unknown_variables = true;
            state.print_unknown();
            state.status = ExitStatus::from_truth(Truth::Maybe);
            return vec![state];
        }
        let text = text::plain(&text);
        self.log.budget.bytes += text.len();
        let path = format!("{} (line {line})", self.source.path);
        self.within(state, (&text, path), line, is_tested)
    }

    /// Runs the commands of another text in this shell.
    fn within(
        &mut self,
        state: ShellState,
        (text, path): (&str, String),
        line: usize,
        is_tested: bool,
    ) -> Vec<ShellState> {
        let script = shell::parse(text);
        let line_ends = dialect::line_ends_fault(text, &script);
        let from = self.source.from;
        if let Some(at) = line_ends {
            let reason = format!("line {at} of {path} ends in a carriage return, which is a syntax error here");
            let outer = Rc::clone(&self.source);
            self.source = Rc::new(ScriptSource { script, path, from, line_ends });
            // bash returns from the file.
            let status = self.own_failure((2, CauseKind::CarriageReturn, reason), at, is_tested);
            self.source = outer;
            if self.kind.is_bash() {
                return vec![ShellState { status, ..state }];
            }
            self.end(&state, ScriptEnd::Quits(status), line);
            return Vec::new();
        }
        if !script.errors.is_empty() {
            let mut state = state;
            state.open();
            state.has_unknown_commands = true;
            state.has_unknown_variables = true;
            state.status = ExitStatus::from_truth(Truth::Maybe);
            return vec![state];
        }
        if !self.spend(1) {
            self.give_up(&state, "it runs too many commands to follow", line);
            return Vec::new();
        }
        let source = Rc::new(ScriptSource { script, path, from, line_ends });
        let outer = std::mem::replace(&mut self.source, Rc::clone(&source));
        self.log.budget.nesting += 1;
        let states = if self.log.budget.nesting > super::MAX_NESTING {
            self.give_up(&state, "its scripts are nested too deeply to follow", line);
            Vec::new()
        } else {
            self.whole(vec![state], &source.script.list, is_tested)
        };
        self.log.budget.nesting -= 1;
        self.source = outer;
        states
    }

    fn source_file(
        &mut self,
        mut state: ShellState,
        words: &[String],
        line: usize,
        is_tested: bool,
    ) -> Vec<ShellState> {
        let Some(word) = words.first().cloned() else { return vec![state] };
        let word = text::plain(&word);
        let path = match (text::is_known(&word), word.contains('/')) {
            (false, _) => None,
            (true, true) => self.absolute(&state, &word),
            (true, false) => {
                let env = state.environment();
                self.search_text(&state, &word, &env).or_else(|| {
                    // bash also searches the working directory.
                    let here = self.absolute(&state, &word)?;
                    (self.kind.is_bash() && self.find_node(&here, true).is_some()).then_some(here)
                })
            }
        };
        let is_there =
            path.as_ref().is_some_and(|path| state.written.contains(path) || self.find_node(path, true).is_some());
        let text = path.as_ref().and_then(|path| self.file_text(&state, path));
        match (path, text) {
            (Some(path), Some(text)) if text::is_known(&text) => {
                self.log.visit_file(&path);
                let outer = (words.len() > 1).then(|| std::mem::replace(&mut state.args, Rc::new(words[1..].to_vec())));
                let mut states = self.within(state, (&text, path), line, is_tested);
                for state in &mut states {
                    if state.flow == ScriptFlow::Return {
                        state.flow = ScriptFlow::Next;
                    }
                    if let Some(outer) = &outer {
                        state.args = Rc::clone(outer);
                    }
                }
                states
            }
            (None, _) if text::is_known(&word) && !word.contains('/') && !state.is_open => {
                self.absent_source(state, format!("line {line} reads {word}, which is not in PATH"), line, is_tested)
            }
            (Some(path), None) if !is_there && self.is_lost_file(&state, &path) => self.absent_source(
                state,
                format!("line {line} reads {path}, which is not in the image"),
                line,
                is_tested,
            ),
            _ => {
                // The variables and functions that it sets are not known. If it does not exist, it may be mounted.
                state.has_unknown_commands = true;
                state.has_unknown_variables |= is_there;
                if is_there {
                    state.open();
                }
                state.status = ExitStatus::from_truth(Truth::Maybe);
                vec![state]
            }
        }
    }
}

fn is_builtin(name: &str) -> bool {
    let builtins = "alias unalias exec command builtin type false test [ echo printf cd pushd popd pwd export readonly local declare typeset \
                    unset set shopt shift exit return break continue read mapfile readarray getopts let eval . source wait";
    builtins.split_whitespace().any(|builtin| builtin == name)
}

fn set(state: &mut ShellState, words: &[String]) {
    let mut words = words;
    while let Some((word, rest)) = words.split_first() {
        match word.as_str() {
            "--" => {
                state.args = Rc::new(rest.to_vec());
                return;
            }
            "-o" | "+o" => {
                if rest.first().is_some_and(|option| option == "errexit") {
                    state.ends_on_error = word == "-o";
                }
                words = rest.get(1..).unwrap_or_default();
                continue;
            }
            "-" => {}
            option if option.starts_with(['-', '+']) && option.len() > 1 => {
                if option.contains('e') {
                    state.ends_on_error = option.starts_with('-');
                }
                if option.ends_with('o') {
                    if rest.first().is_some_and(|option| option == "errexit") {
                        state.ends_on_error = option.starts_with('-');
                    }
                    words = rest.get(1..).unwrap_or_default();
                    continue;
                }
            }
            _ => {
                state.args = Rc::new(words.to_vec());
                return;
            }
        }
        words = rest;
    }
}
