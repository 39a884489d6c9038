//! The known state of a shell at one point of its script, on one branch.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::MAX_TEXT;
use super::text::{HOLE, MANY, SOFT, Truth, is_known, plain};
use crate::exec::launch::made::MadePaths;
use crate::exec::log::OpenedFile;
use crate::exec::outcome::Outcome;
use crate::shell::ShellCommand;

/// The table of users. Tools that add users count as writing it.
pub const PASSWD: &str = "/etc/passwd";
/// The weight of the single branch at the start of a script. Each fork halves it.
pub const WHOLE: u64 = 1 << 40;

/// A shell's variables, arguments and options.
#[derive(Clone, Debug, PartialEq)]
pub struct ShellState {
    pub vars: Rc<BTreeMap<String, Var>>,
    /// `$0`
    pub zero: Rc<str>,
    /// `$1` and the words after it.
    pub args: Rc<Vec<String>>,
    pub functions: Rc<BTreeMap<String, ShellFunction>>,
    /// An absolute path. `None` if not known.
    pub cwd: Option<Rc<str>>,
    /// The directories that `pushd` left.
    pub pushed: Rc<Vec<Option<Rc<str>>>>,
    pub ends_on_error: bool,
    /// An earlier command may have created or changed any file.
    pub is_open: bool,
    /// If it is open: only commands did that which install no programs.
    pub keeps_programs: bool,
    /// The script ran the commands of a file that is not known, so names may be functions.
    pub has_unknown_commands: bool,
    /// The script ran commands that are not known, so unset variables may be set.
    pub has_unknown_variables: bool,
    /// `shopt -s execfail`: a failed `exec` does not end the script.
    pub survives_exec: bool,
    /// What `alias` replaces names with. bash does so only after `shopt -s expand_aliases`.
    pub aliases: Rc<BTreeMap<String, String>>,
    pub expands_aliases: bool,
    pub globs_to_nothing: bool,
    /// `shopt -s nocasematch`
    pub ignores_case: bool,
    /// Files that the script itself wrote.
    pub written: Rc<BTreeSet<String>>,
    /// Directories, links and copies that the script made.
    pub made: Rc<MadePaths>,
    pub status: ExitStatus,
    pub flow: ScriptFlow,
    /// Stdout, if `$(...)` or a pipe captures it.
    pub output: Option<String>,
    /// The last text that `echo` or `printf` wrote to the container's log.
    pub logged: Rc<str>,
    /// The lines that `read` has not read yet. `None` if not known.
    pub input: Option<Rc<Vec<String>>>,
    /// Where `getopts` is in a word of several options: the character that it reads next. `None` if not known.
    pub option_offset: Option<usize>,
    /// The failure of a background job.
    pub background: Option<Rc<FailedStart>>,
    /// The program whose failure leads to this branch.
    pub trouble: Option<Rc<FailedStart>>,
    /// The earlier values of the running functions' local variables, one frame for each function.
    pub locals: Vec<Vec<(String, Option<Var>)>>,
    pub weight: u64,
}

impl Default for ShellState {
    /// A shell without variables and arguments, before its first command.
    fn default() -> ShellState {
        ShellState {
            vars: Rc::default(),
            zero: "sh".into(),
            args: Rc::default(),
            functions: Rc::default(),
            cwd: None,
            pushed: Rc::default(),
            ends_on_error: false,
            is_open: false,
            keeps_programs: false,
            has_unknown_commands: false,
            has_unknown_variables: false,
            survives_exec: false,
            aliases: Rc::default(),
            expands_aliases: false,
            globs_to_nothing: false,
            ignores_case: false,
            written: Rc::default(),
            made: Rc::default(),
            status: ExitStatus::from_truth(Truth::Yes),
            flow: ScriptFlow::Next,
            output: None,
            logged: "".into(),
            input: None,
            option_offset: Some(1),
            background: None,
            trouble: None,
            locals: Vec::new(),
            weight: WHOLE,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Var {
    /// `None` if unset.
    pub value: Option<ShellValue>,
    pub is_exported: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ShellValue {
    Text(String),
    List(Vec<String>),
    /// An associative array. With the key [`MANY`], it may have others.
    Map(BTreeMap<String, String>),
}

#[derive(Clone, Debug)]
pub struct ShellFunction {
    pub body: Rc<ShellCommand>,
    /// Bodies of the here-documents of the script that defines it.
    pub script: Rc<super::ScriptSource>,
}

impl PartialEq for ShellFunction {
    fn eq(&self, other: &ShellFunction) -> bool {
        Rc::ptr_eq(&self.body, &other.body)
    }
}

/// How the last command ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ExitStatus {
    pub truth: Truth,
    pub code: Option<u8>,
    /// The program that could not run, if that is the reason.
    pub blame: Option<Rc<FailedStart>>,
    /// Where following the program that ran stopped, and why.
    pub open: Option<Rc<(String, String)>>,
}

impl ExitStatus {
    pub fn from_truth(truth: Truth) -> ExitStatus {
        let code = match truth {
            Truth::Yes => Some(0),
            Truth::No => Some(1),
            Truth::Maybe | Truth::Usually(_) => None,
        };
        ExitStatus { truth, code, blame: None, open: None }
    }
}

/// A program that was started and could not run.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedStart {
    pub outcome: Outcome,
    pub steps: Vec<OpenedFile>,
    pub says: Vec<String>,
    pub line: usize,
    /// It was started as a test, as in `if` and before `||`.
    pub is_tested: bool,
    /// The script only asked for it, as with `command -v`.
    pub is_query: bool,
}

/// Where a script continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptFlow {
    Next,
    Break(usize),
    Continue(usize),
    Return,
}

impl ShellState {
    /// Notes that any file may be changed from here on, as on another branch or in a subshell.
    pub fn open_as(&mut self, other: &ShellState) {
        let installs = |state: &ShellState| state.is_open && !state.keeps_programs;
        let keeps = !installs(self) && !installs(other);
        self.is_open |= other.is_open;
        self.keeps_programs = self.is_open && keeps;
    }

    /// Notes that any file may be changed from here on.
    pub fn open(&mut self) {
        self.is_open = true;
        self.keeps_programs = false;
    }

    pub fn var(&self, name: &str) -> Option<&Var> {
        self.vars.get(name)
    }

    pub fn set(&mut self, name: &str, value: ShellValue) {
        let vars = Rc::make_mut(&mut self.vars);
        match vars.get_mut(name) {
            Some(var) => var.value = Some(value),
            None => {
                vars.insert(name.to_string(), Var { value: Some(value), is_exported: false });
            }
        }
    }

    pub fn set_text(&mut self, name: &str, text: impl Into<String>) {
        self.set(name, ShellValue::Text(text.into()));
    }

    pub fn export(&mut self, name: &str) {
        let vars = Rc::make_mut(&mut self.vars);
        let var = vars.entry(name.to_string()).or_insert(Var { value: None, is_exported: false });
        var.is_exported = true;
    }

    pub fn unset(&mut self, name: &str) {
        Rc::make_mut(&mut self.vars).insert(name.to_string(), Var { value: None, is_exported: false });
    }

    /// Makes the values unknown that differ from these.
    pub fn forget_changes(mut self, earlier: &BTreeMap<String, Var>) -> ShellState {
        for (name, var) in Rc::make_mut(&mut self.vars).iter_mut() {
            if earlier.get(name).is_none_or(|own| own.value != var.value) {
                var.value = either(&var.value, false);
            }
        }
        self
    }

    /// Removes an element of an array.
    pub fn unset_element(&mut self, name: &str, key: &str) {
        let known = is_known(key);
        if let Some(Var { value: Some(value), .. }) = Rc::make_mut(&mut self.vars).get_mut(name) {
            match value {
                ShellValue::Map(items) if known => _ = items.remove(&plain(key)),
                ShellValue::Map(_) | ShellValue::List(_) | ShellValue::Text(_) => {
                    *value = ShellValue::List(vec![MANY.to_string()])
                }
            }
        }
    }

    /// Returns the environment of a program that is started here.
    pub fn environment(&self) -> Vec<String> {
        let exported = self.vars.iter().filter(|(_, var)| var.is_exported);
        exported
            .filter_map(|(name, var)| match &var.value {
                Some(ShellValue::Text(text)) => Some(format!("{name}={text}")),
                Some(ShellValue::List(_) | ShellValue::Map(_)) | None => None,
            })
            .collect()
    }

    /// Writes a text of `echo` or `printf` to the output, or to the container's log if nothing captures it.
    pub fn print_text(&mut self, text: &str) {
        if self.output.is_none() {
            self.logged = text.trim_end().into();
        }
        self.print(text);
    }

    /// Adds to the output. An output longer than [`MAX_TEXT`] becomes unknown.
    pub fn print(&mut self, text: &str) {
        if let Some(output) = &mut self.output {
            if output.len() + text.len() > MAX_TEXT {
                *output = HOLE.to_string();
            } else {
                output.push_str(text);
            }
        }
    }

    /// Adds a command's output that is not known.
    pub fn print_unknown(&mut self) {
        if let Some(output) = &mut self.output
            && !output.ends_with(HOLE)
        {
            output.push(HOLE);
        }
    }

    /// Splits into the branches of a condition: the one where it holds, and the one where it does not.
    pub fn fork(self, truth: Truth) -> (Option<ShellState>, Option<ShellState>) {
        let with = |weight: u64| ShellState { weight, ..self.clone() };
        match truth {
            Truth::Yes => (Some(self), None),
            Truth::No => (None, Some(self)),
            Truth::Maybe => (Some(with(self.weight - self.weight / 2)), Some(with(self.weight / 2))),
            Truth::Usually(true) => (Some(with(self.weight)), Some(with(0))),
            Truth::Usually(false) => (Some(with(0)), Some(with(self.weight))),
        }
    }

    /// Merges another branch into this one. Values that differ become unknown.
    fn absorb(&mut self, other: &ShellState) {
        // A branch that depends on a user's choice does not change the usual values.
        let is_rare = other.weight == 0 && self.weight > 0;
        self.weight += other.weight;
        if self.vars != other.vars {
            let vars = Rc::make_mut(&mut self.vars);
            for (name, var) in other.vars.iter() {
                match vars.get_mut(name) {
                    Some(own) if own.value == var.value => own.is_exported |= var.is_exported,
                    Some(own) => {
                        own.value = either(&own.value, is_rare);
                        own.is_exported |= var.is_exported;
                    }
                    None if is_rare => {}
                    None => {
                        let value = either(&var.value, false);
                        vars.insert(name.clone(), Var { value, is_exported: var.is_exported });
                    }
                }
            }
            for (name, own) in vars.iter_mut() {
                if !other.vars.contains_key(name) {
                    own.value = either(&own.value, is_rare);
                }
            }
        }
        if self.args != other.args && !is_rare {
            self.args = Rc::new(match self.args.len() == other.args.len() {
                true => {
                    let pairs = self.args.iter().zip(other.args.iter());
                    pairs.map(|(a, b)| if a == b { a.clone() } else { HOLE.to_string() }).collect()
                }
                false => vec![MANY.to_string()],
            });
        }
        if self.logged != other.logged && !is_rare {
            self.logged = HOLE.to_string().into();
        }
        if self.functions != other.functions {
            let functions = Rc::make_mut(&mut self.functions);
            for (name, function) in other.functions.iter() {
                functions.entry(name.clone()).or_insert_with(|| function.clone());
            }
        }
        if self.cwd != other.cwd && !is_rare {
            self.cwd = None;
        }
        if self.pushed != other.pushed {
            self.pushed = Rc::default();
        }
        self.ends_on_error &= other.ends_on_error;
        self.open_as(other);
        self.has_unknown_commands |= other.has_unknown_commands;
        self.has_unknown_variables |= other.has_unknown_variables;
        self.survives_exec |= other.survives_exec;
        self.expands_aliases |= other.expands_aliases;
        if self.aliases != other.aliases {
            Rc::make_mut(&mut self.aliases).extend(other.aliases.as_ref().clone());
        }
        self.globs_to_nothing |= other.globs_to_nothing;
        self.ignores_case |= other.ignores_case;
        if self.written != other.written {
            let written = Rc::make_mut(&mut self.written);
            written.extend(other.written.iter().cloned());
        }
        if self.made != other.made {
            Rc::make_mut(&mut self.made).absorb(&other.made, is_rare);
        }
        if self.status != other.status && !is_rare {
            let blame = self.status.blame.take().filter(|_| other.status.blame.is_some());
            let open = self.status.open.take().or_else(|| other.status.open.clone());
            self.status = ExitStatus { truth: Truth::Maybe, code: None, blame, open };
        }
        if self.output != other.output {
            self.output = self.output.as_ref().map(|_| HOLE.to_string());
        }
        if self.input != other.input {
            self.input = None;
        }
        if self.option_offset != other.option_offset && !is_rare {
            self.option_offset = None;
        }
        self.background = self.background.take().or_else(|| other.background.clone());
    }

    /// Whether both continue in the same way. The certainty of the file system and the last command do not matter.
    pub fn is_alike(&self, other: &ShellState) -> bool {
        self.flow == other.flow
            && self.vars == other.vars
            && self.args == other.args
            && self.functions == other.functions
            && self.cwd == other.cwd
            && self.pushed == other.pushed
            && self.ends_on_error == other.ends_on_error
            && self.ignores_case == other.ignores_case
            && self.globs_to_nothing == other.globs_to_nothing
            && self.output == other.output
            && self.input == other.input
            && self.zero == other.zero
    }
}

/// Returns a value that differs on another branch.
fn either(value: &Option<ShellValue>, is_usual: bool) -> Option<ShellValue> {
    match value {
        Some(ShellValue::Text(text)) if is_usual && text.contains(SOFT) => value.clone(),
        Some(ShellValue::Text(text)) if is_usual => Some(ShellValue::Text(format!("{SOFT}{text}"))),
        _ if is_usual => value.clone(),
        Some(ShellValue::List(_)) => Some(ShellValue::List(vec![MANY.to_string()])),
        Some(ShellValue::Map(items)) => {
            let unknown = items.keys().cloned().chain([MANY.to_string()]).map(|key| (key, HOLE.to_string()));
            Some(ShellValue::Map(unknown.collect()))
        }
        Some(ShellValue::Text(_)) | None => Some(ShellValue::Text(HOLE.to_string())),
    }
}

/// Merges equal branches, and keeps at most `limit`. `keeps_status`: the status of the last command is still needed.
pub fn joined(states: Vec<ShellState>, limit: usize, keeps_status: bool) -> Vec<ShellState> {
    let mut kept: Vec<ShellState> = Vec::new();
    let (usual, rare): (Vec<ShellState>, Vec<ShellState>) = states.into_iter().partition(|state| state.weight > 0);
    for state in usual.into_iter().chain(rare) {
        let is_same =
            |other: &&mut ShellState| other.is_alike(&state) && (!keeps_status || other.status == state.status);
        match kept.iter_mut().find(is_same) {
            Some(same) => same.absorb(&state),
            None => kept.push(state),
        }
    }
    while kept.len() > limit {
        // Merges branches with the same arguments first, because arguments decide what runs.
        let last = kept.pop().expect("more than the limit are kept");
        let fits = |other: &ShellState| other.flow == last.flow && other.args == last.args;
        match kept.iter().position(fits).or_else(|| kept.iter().position(|other| other.flow == last.flow)) {
            Some(at) => kept[at].absorb(&last),
            None => {
                // Only branches with another flow are left. There are at most four kinds of flow.
                kept.insert(0, last);
                if kept.len() > limit + 4 {
                    kept.truncate(limit);
                }
                break;
            }
        }
    }
    kept
}

/// How a script starts a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartKind {
    Exec,
    Call,
}

/// A program that a script starts: its words, the variables that are set only for it, and the line.
pub(super) struct ProgramStart {
    pub argv: Vec<String>,
    pub sets: Vec<String>,
    pub line: usize,
    pub how: StartKind,
    pub is_tested: bool,
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
