//! Lists, pipelines and subshells.

use std::rc::Rc;

use super::ending::{End, Ending};
use super::expression::Work;
use super::pattern::{self, Token};
use super::state::{Flow, State, Status, WHOLE, joined};
use super::text::{HOLE, Truth};
use super::{Interpreter, MAX_BRANCHES, MAX_BYTES, MAX_STEPS, MAX_TURNS, STEP_COMPARISONS};
use crate::exec::log::Budget;
use crate::exec::outcome::Outcome;
use crate::shell::{Command, Item, Joint, List, Pipeline};

impl Budget {
    /// The steps that are left for the current service.
    pub(crate) fn left(&self) -> usize {
        MAX_STEPS.saturating_sub(self.steps + self.reserved)
    }

    /// How many quarters of the current service's share are spent.
    fn quarters(&self) -> usize {
        let spent = self.steps.saturating_sub(self.start);
        spent * 4 / (spent + self.left()).max(1)
    }
}

impl Interpreter<'_, '_, '_> {
    /// Runs the whole of the current script, from its first command.
    pub(super) fn source(&mut self, state: State) -> Vec<State> {
        let source = Rc::clone(&self.source);
        let Some(error) = source.script.errors.first() else {
            return self.list(vec![state], &source.script.list, false);
        };
        // A shell runs the commands before text that it cannot parse.
        let before = List { items: source.script.list.items[..error.items_before].to_vec() };
        let states = self.list(vec![state], &before, false);
        for state in states {
            let why = format!("its text could not be parsed: {}", error.what);
            self.end(&state, End::Unknown(why), error.line);
        }
        Vec::new()
    }

    /// Ends the branches that reach the end of a script's text.
    pub(super) fn fall_off(&mut self, states: Vec<State>) {
        let line = self.source.script.list.items.last().map_or(1, |item| item.first.commands[0].line);
        for state in states {
            let status = state.status.clone();
            self.end(&state, End::Finishes(status), line);
        }
    }

    pub(super) fn end(&mut self, state: &State, end: End, line: usize) {
        let (weight, output, is_open) = (state.weight, state.output.clone(), state.is_open);
        self.endings.push(Ending { end, weight, output, is_open, line });
    }

    /// Ends a branch at the limit of the budget. Nothing after it is known, not even if only a subshell reached it.
    pub(super) fn give_up(&mut self, state: &State, why: &str, line: usize) {
        if self.log.budget.gave_up.is_none() {
            self.log.budget.gave_up = Some((format!("{}:{line}", self.source.path), why.to_string()));
        }
        self.end(state, End::Unknown(why.to_string()), line);
    }

    /// Whether the budget allows `cost` more.
    pub(super) fn spend(&mut self, cost: usize) -> bool {
        self.log.budget.steps += cost;
        self.log.budget.left() > 0 && self.log.budget.bytes <= MAX_BYTES
    }

    /// The work that the budget allows.
    pub(super) fn work(&self) -> Work {
        Work::up_to(self.log.budget.left().saturating_mul(STEP_COMPARISONS))
    }

    /// Whether the budget allows to compare a text with a pattern.
    pub(super) fn is_affordable(&mut self, tokens: &[Token], text: &str) -> bool {
        self.spend(pattern::weight(tokens).saturating_mul(text.len()) / STEP_COMPARISONS)
    }

    /// The number of branches that are kept apart. The more of the budget is spent, the fewer: less is known then, but
    /// the script is followed to its end.
    pub(super) fn branch_limit(&self) -> usize {
        match self.log.budget.quarters() {
            0 => MAX_BRANCHES,
            1 => MAX_BRANCHES / 2,
            _ => 1,
        }
    }

    /// The number of iterations of a loop that are run one by one. It falls as the budget is spent.
    pub(super) fn turn_limit(&self) -> usize {
        match self.log.budget.quarters() {
            0 | 1 => MAX_TURNS,
            _ => MAX_TURNS / 16,
        }
    }

    pub(super) fn list(&mut self, mut states: Vec<State>, list: &List, is_tested: bool) -> Vec<State> {
        for item in &list.items {
            let mut next = Vec::new();
            for state in states {
                if state.flow == Flow::Next {
                    next.extend(self.item(state, item, is_tested));
                } else {
                    next.push(state);
                }
            }
            states = joined(next, self.branch_limit(), true);
        }
        states
    }

    fn item(&mut self, state: State, item: &Item, is_tested: bool) -> Vec<State> {
        let line = item.first.commands.first().map_or(1, |command| command.line);
        // Each branch keeps its own variables.
        if !self.spend(1 + state.vars.len() / 32) {
            self.give_up(&state, "it runs too many commands to follow", line);
            return Vec::new();
        }
        self.pass_failure(&state);
        if item.is_background {
            return vec![self.background(state, item)];
        }
        let last = item.rest.len();
        // Each branch with the pipeline that ran last on it.
        let mut branches: Vec<(State, usize)> =
            self.pipeline(state, &item.first, is_tested || last > 0).into_iter().map(|state| (state, 0)).collect();
        for (at, (joint, pipeline)) in item.rest.iter().enumerate() {
            let mut next = Vec::new();
            for (state, ran) in branches {
                if state.flow != Flow::Next {
                    next.push((state, ran));
                    continue;
                }
                let truth = state.status.truth;
                let (held, failed) = state.fork(truth);
                let (runs, rests) = match joint {
                    Joint::And => (held, failed.map(|state| settled(state, Truth::No))),
                    Joint::Or => (failed, held.map(|state| settled(state, Truth::Yes))),
                };
                next.extend(rests.map(|state| (state, ran)));
                if let Some(mut state) = runs {
                    state.trouble = state.status.blame.clone().or(state.trouble);
                    let after = self.pipeline(state, pipeline, is_tested || at + 1 < last);
                    next.extend(after.into_iter().map(|state| (State { trouble: None, ..state }, at + 1)));
                }
            }
            branches = next;
            if branches.len() > 2 * MAX_BRANCHES {
                branches = self.fewer(branches, at + 1);
            }
        }
        let is_negated = item.rest.last().map_or(&item.first, |(_, pipeline)| pipeline).is_negated;
        let mut states = Vec::new();
        for (state, ran) in branches {
            let fails = state.status.truth == Truth::No && state.flow == Flow::Next;
            if fails && state.ends_on_error && ran == last && !is_tested && !is_negated {
                let status = state.status.clone();
                self.end(&state, End::Quits(status), line);
            } else {
                states.push(state);
            }
        }
        states
    }

    /// Merges the branches of a long `&&` or `||` list, apart from those that did not run its pipeline `last`.
    fn fewer(&self, branches: Vec<(State, usize)>, last: usize) -> Vec<(State, usize)> {
        let (ran, passed): (Vec<_>, Vec<_>) = branches.into_iter().partition(|(_, ran)| *ran == last);
        let merge = |branches: Vec<(State, usize)>, ran: usize| {
            let states = branches.into_iter().map(|(state, _)| state).collect();
            joined(states, self.branch_limit(), true).into_iter().map(move |state| (state, ran))
        };
        merge(ran, last).chain(merge(passed, 0)).collect()
    }

    /// Records that the previous command failed and that the script continues.
    fn pass_failure(&mut self, state: &State) {
        let Some(blame) = state.status.blame.as_ref().filter(|_| state.status.truth == Truth::No) else { return };
        self.passed = Some(Rc::clone(blame));
        // On an uncertain branch, it may be meant to fail.
        let is_sure = state.weight == WHOLE && !blame.is_tested;
        if let Some(cause) = blame.outcome.cause().filter(|_| is_sure) {
            let text = format!("line {} of {}: {}", blame.line, self.source.path, cause.text);
            if !self.log.doubts.iter().any(|doubt| doubt.text == text) {
                self.log.doubt(cause.kind, text);
            }
        }
    }

    fn background(&mut self, state: State, item: &Item) -> State {
        let foreground = Item { is_background: false, ..item.clone() };
        let children =
            self.subshell(State { output: None, ..state.clone() }, |own, child| own.item(child, &foreground, true));
        let is_broken = |child: &&State| child.status.truth == Truth::No && child.status.blame.is_some();
        let usual: Vec<&State> = children.iter().filter(|child| child.weight > 0).collect();
        let all_fail = !usual.is_empty() && usual.iter().all(is_broken);
        let blame = usual.first().filter(|_| all_fail).and_then(|child| child.status.blame.clone());
        let is_open = children.iter().any(|child| child.is_open);
        State {
            background: state.background.clone().or(blame),
            is_open: state.is_open || is_open,
            status: Status::from_truth(Truth::Yes),
            ..state
        }
    }

    fn pipeline(&mut self, state: State, pipeline: &Pipeline, is_tested: bool) -> Vec<State> {
        let is_tested = is_tested || pipeline.is_negated;
        let mut states = match pipeline.commands.as_slice() {
            [command] => self.command(state, command, is_tested),
            commands => self.pipe(state, commands, is_tested),
        };
        if pipeline.is_negated {
            for state in &mut states {
                let truth = state.status.truth.not();
                state.status = Status { blame: state.status.blame.take(), ..Status::from_truth(truth) };
            }
        }
        states
    }

    fn pipe(&mut self, state: State, commands: &[Command], is_tested: bool) -> Vec<State> {
        let mut input = state.input.clone();
        let (mut is_open, mut written) = (state.is_open, Rc::clone(&state.written));
        for command in &commands[..commands.len() - 1] {
            let child = State { output: Some(String::new()), input, is_open, ..state.clone() };
            let children = self.subshell(child, |own, child| own.command(child, command, true));
            is_open |= children.iter().any(|child| child.is_open);
            if let Some(child) = children.first() {
                written = Rc::clone(&child.written);
            }
            input = lines(&outputs(&children));
        }
        let Some(last) = commands.last() else { return vec![state] };
        let child = State { input, is_open, written, ..state.clone() };
        let children = self.subshell(child, |own, child| own.command(child, last, is_tested));
        let states = children.into_iter().map(|child| state.clone().after(child)).collect();
        joined(states, self.branch_limit(), true)
    }

    /// Runs commands whose `exit` only ends themselves.
    pub(super) fn subshell(&mut self, state: State, run: impl FnOnce(&mut Self, State) -> Vec<State>) -> Vec<State> {
        let outer = std::mem::take(&mut self.endings);
        let parent = state.clone();
        let mut states = run(self, state);
        let endings = std::mem::replace(&mut self.endings, outer);
        for state in &mut states {
            state.flow = Flow::Next;
        }
        for ending in endings {
            let status = match ending.end {
                End::Quits(status) | End::Finishes(status) => status,
                End::Becomes { outcome: Outcome::Runs | Outcome::Emulated { .. }, .. } => {
                    Status::from_truth(Truth::Maybe)
                }
                End::Becomes { outcome, steps, says, .. } => self.failed(outcome, steps, says, ending.line, true),
                End::Unknown(_) => Status::from_truth(Truth::Maybe),
                End::Loops(None) => Status::from_truth(Truth::Maybe),
                End::Loops(Some(blame)) => Status { blame: Some(blame), ..Status::from_truth(Truth::No) },
            };
            let State { is_open, .. } = parent;
            let (weight, output) = (ending.weight, ending.output);
            states.push(State { status, weight, output, is_open: is_open || ending.is_open, ..parent.clone() });
        }
        states
    }

    /// Returns the output of `$(...)`. The status is that of the last command.
    pub(super) fn capture(&mut self, state: &mut State, list: &List) -> String {
        if let Some(text) = self.captured_file(state, list) {
            return text;
        }
        let child = State { output: Some(String::new()), ..state.clone() };
        let children = self.subshell(child, |own, child| own.list(vec![child], list, false));
        state.is_open |= children.iter().any(|child| child.is_open);
        let usual: Vec<&State> = match children.iter().any(|child| child.weight > 0) {
            true => children.iter().filter(|child| child.weight > 0).collect(),
            false => children.iter().collect(),
        };
        let statuses: Vec<Status> = usual.iter().map(|child| child.status.clone()).collect();
        state.status = match statuses.as_slice() {
            [first, rest @ ..] if rest.iter().all(|status| status == first) => first.clone(),
            _ => Status::from_truth(Truth::Maybe),
        };
        let text = outputs(&children);
        self.bounded(text.trim_end_matches('\n').to_string())
    }

    /// Runs commands only for the programs that they start.
    pub(super) fn aside(&mut self, state: &mut State, list: &List) {
        let children =
            self.subshell(State { output: None, ..state.clone() }, |own, child| own.list(vec![child], list, true));
        state.is_open |= children.iter().any(|child| child.is_open);
    }
}

impl State {
    /// Continues after a subshell. Its variables are lost, but its effects on the system are not.
    fn after(self, child: State) -> State {
        State {
            status: child.status,
            output: child.output,
            is_open: self.is_open || child.is_open,
            written: child.written,
            weight: child.weight,
            ..self
        }
    }

    /// Continues after a group in parentheses.
    pub(super) fn after_group(&self, child: State) -> State {
        self.clone().after(child)
    }
}

/// Ends a branch on which the next pipeline of an `&&` or `||` does not run.
fn settled(mut state: State, truth: Truth) -> State {
    if state.status.truth != truth {
        state.status = Status { blame: state.status.blame.take(), ..Status::from_truth(truth) };
    }
    state
}

/// Returns the output of a subshell, if all of its branches print the same.
fn outputs(children: &[State]) -> String {
    let is_usual = children.iter().any(|child| child.weight > 0);
    let mut texts = children.iter().filter(|child| !is_usual || child.weight > 0).map(|child| &child.output);
    let Some(Some(first)) = texts.next() else { return HOLE.to_string() };
    if texts.all(|text| text.as_ref() == Some(first)) { first.clone() } else { HOLE.to_string() }
}

/// Returns the lines of a known text.
pub(super) fn lines(text: &str) -> Option<Rc<Vec<String>>> {
    if text.contains(HOLE) {
        return None;
    }
    Some(Rc::new(text.lines().map(str::to_string).collect()))
}
