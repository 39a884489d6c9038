//! Lists, pipelines and subshells.

use std::rc::Rc;

use super::ending::{Ending, ScriptEnd};
use super::expression::MatchWork;
use super::pattern::{self, PatternToken};
use super::state::{ExitStatus, ScriptFlow, ShellState, WHOLE, joined};
use super::text::{HOLE, Truth};
use super::{MAX_BRANCHES, MAX_BYTES, MAX_STEPS, MAX_TURNS, STEP_COMPARISONS, ScriptInterpreter};
use crate::exec::CauseKind;
use crate::exec::log::FollowBudget;
use crate::exec::outcome::Outcome;
use crate::shell::{CommandList, Item, Joint, ShellCommand, ShellPipeline};

impl FollowBudget {
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

impl ScriptInterpreter<'_, '_, '_> {
    /// Runs the whole of the current script, from its first command.
    pub(super) fn source(&mut self, state: ShellState) -> Vec<ShellState> {
        let source = Rc::clone(&self.source);
        let Some(error) = source.script.errors.first() else {
            return self.whole(vec![state], &source.script.list, false);
        };
        // A shell runs the commands before text that it cannot parse.
        let before = CommandList { items: source.script.list.items[..error.items_before].to_vec() };
        let states = self.whole(vec![state], &before, false);
        for state in states {
            if let Some(line) = source.line_ends {
                let text = format!("line {line} ends in a carriage return, which is a syntax error here");
                self.refuse(&state, (2, CauseKind::CarriageReturn, text), line);
                continue;
            }
            let why = format!("its text could not be parsed: {}", error.what);
            self.end(&state, ScriptEnd::Unknown(why), error.line);
        }
        Vec::new()
    }

    /// Ends the branches that reach the end of a script's text.
    pub(super) fn fall_off(&mut self, states: Vec<ShellState>) {
        let line = self.source.script.list.items.last().map_or(1, |item| item.first.commands[0].line);
        for state in states {
            let status = state.status.clone();
            self.end(&state, ScriptEnd::Finishes(status), line);
        }
    }

    pub(super) fn end(&mut self, state: &ShellState, end: ScriptEnd, line: usize) {
        let (weight, output) = (state.weight, state.output.clone());
        let (is_open, keeps_programs) = (state.is_open, state.keeps_programs);
        let made = Rc::clone(&state.made);
        let logged = Rc::clone(&state.logged);
        self.endings.push(Ending { end, weight, output, logged, is_open, keeps_programs, made, line });
    }

    /// Ends a branch at the limit of the budget. Nothing after it is known, not even if only a subshell reached it.
    pub(super) fn give_up(&mut self, state: &ShellState, why: &str, line: usize) {
        if self.log.budget.gave_up.is_none() {
            self.log.budget.gave_up = Some((format!("{}:{line}", self.source.path), why.to_string()));
        }
        self.end(state, ScriptEnd::Unknown(why.to_string()), line);
    }

    /// Whether the budget allows `cost` more.
    pub(super) fn spend(&mut self, cost: usize) -> bool {
        self.log.budget.steps += cost;
        self.log.budget.left() > 0 && self.log.budget.bytes <= MAX_BYTES
    }

    /// The work that the budget allows.
    pub(super) fn work(&self) -> MatchWork {
        MatchWork::up_to(self.log.budget.left().saturating_mul(STEP_COMPARISONS))
    }

    /// Whether the budget allows to compare a text with a pattern.
    pub(super) fn is_affordable(&mut self, tokens: &[PatternToken], text: &str) -> bool {
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

    pub(super) fn list(&mut self, mut states: Vec<ShellState>, list: &CommandList, is_tested: bool) -> Vec<ShellState> {
        for item in &list.items {
            let mut next = Vec::new();
            for state in states {
                if state.flow == ScriptFlow::Next {
                    next.extend(self.item(state, item, is_tested));
                } else {
                    next.push(state);
                }
            }
            states = joined(next, self.branch_limit(), true);
        }
        states
    }

    fn item(&mut self, state: ShellState, item: &Item, is_tested: bool) -> Vec<ShellState> {
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
        let mut branches: Vec<(ShellState, usize)> =
            self.pipeline(state, &item.first, is_tested || last > 0).into_iter().map(|state| (state, 0)).collect();
        for (at, (joint, pipeline)) in item.rest.iter().enumerate() {
            let mut next = Vec::new();
            for (state, ran) in branches {
                if state.flow != ScriptFlow::Next {
                    next.push((state, ran));
                    continue;
                }
                let truth = state.status.truth;
                let (held, failed) = state.fork(truth);
                let (runs, rests) = match joint {
                    Joint::And => (held, failed.map(|state| settled(state, Truth::No))),
                    // `exit` ends with the status of what failed.
                    Joint::Or => {
                        (failed.map(|state| settled(state, Truth::No)), held.map(|state| settled(state, Truth::Yes)))
                    }
                };
                next.extend(rests.map(|state| (state, ran)));
                if let Some(mut state) = runs {
                    state.trouble = state.status.blame.clone().or(state.trouble);
                    let after = self.pipeline(state, pipeline, is_tested || at + 1 < last);
                    next.extend(after.into_iter().map(|state| (ShellState { trouble: None, ..state }, at + 1)));
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
            let fails = state.status.truth == Truth::No && state.flow == ScriptFlow::Next;
            if fails && state.ends_on_error && ran == last && !is_tested && !is_negated {
                let status = state.status.clone();
                self.end(&state, ScriptEnd::Quits(status), line);
            } else {
                states.push(state);
            }
        }
        states
    }

    /// Merges the branches of a long `&&` or `||` list, apart from those that did not run its pipeline `last`.
    fn fewer(&self, branches: Vec<(ShellState, usize)>, last: usize) -> Vec<(ShellState, usize)> {
        let (ran, passed): (Vec<_>, Vec<_>) = branches.into_iter().partition(|(_, ran)| *ran == last);
        let merge = |branches: Vec<(ShellState, usize)>, ran: usize| {
            let states = branches.into_iter().map(|(state, _)| state).collect();
            joined(states, self.branch_limit(), true).into_iter().map(move |state| (state, ran))
        };
        merge(ran, last).chain(merge(passed, 0)).collect()
    }

    /// Records that the previous command failed and that the script continues.
    fn pass_failure(&mut self, state: &ShellState) {
        let Some(blame) = state.status.blame.as_ref().filter(|_| state.status.truth == Truth::No) else { return };
        if blame.is_query {
            return;
        }
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

    fn background(&mut self, state: ShellState, item: &Item) -> ShellState {
        let foreground = Item { is_background: false, ..item.clone() };
        let before = self.log.tried.len();
        let children = self
            .subshell(ShellState { output: None, ..state.clone() }, |own, child| own.item(child, &foreground, true));
        // Nothing tests whether a job in the background starts.
        self.log.visited.extend(self.log.tried.drain(before..));
        let is_broken = |child: &&ShellState| child.status.truth == Truth::No && child.status.blame.is_some();
        let usual: Vec<&ShellState> = children.iter().filter(|child| child.weight > 0).collect();
        let all_fail = !usual.is_empty() && usual.iter().all(is_broken);
        let blame = usual.first().filter(|_| all_fail).and_then(|child| child.status.blame.clone());
        let mut state = state;
        children.iter().for_each(|child| state.open_as(child));
        ShellState {
            background: state.background.clone().or(blame),
            status: ExitStatus::from_truth(Truth::Yes),
            ..state
        }
    }

    fn pipeline(&mut self, state: ShellState, pipeline: &ShellPipeline, is_tested: bool) -> Vec<ShellState> {
        let is_tested = is_tested || pipeline.is_negated;
        let mut states = match pipeline.commands.as_slice() {
            [command] => self.command(state, command, is_tested),
            commands => self.pipe(state, commands, is_tested),
        };
        if pipeline.is_negated {
            for state in &mut states {
                let truth = state.status.truth.not();
                state.status = ExitStatus { blame: state.status.blame.take(), ..ExitStatus::from_truth(truth) };
            }
        }
        states
    }

    fn pipe(&mut self, state: ShellState, commands: &[ShellCommand], is_tested: bool) -> Vec<ShellState> {
        let mut input = state.input.clone();
        let mut opened = state.clone();
        for command in &commands[..commands.len() - 1] {
            let child = ShellState { output: Some(String::new()), input, ..opened.clone() };
            let child = ShellState { written: Rc::clone(&state.written), made: Rc::clone(&state.made), ..child };
            let children = self.subshell(child, |own, child| own.command(child, command, true));
            children.iter().for_each(|child| opened.open_as(child));
            if let Some(child) = children.first() {
                opened.written = Rc::clone(&child.written);
                opened.made = Rc::clone(&child.made);
            }
            input = lines(&outputs(&children));
        }
        let Some(last) = commands.last() else { return vec![state] };
        let child = ShellState { input, ..opened };
        let children = self.subshell(child, |own, child| own.command(child, last, is_tested));
        let states = children.into_iter().map(|child| state.clone().after(child)).collect();
        joined(states, self.branch_limit(), true)
    }

    /// Runs commands whose `exit` only ends themselves.
    pub(super) fn subshell(
        &mut self,
        state: ShellState,
        run: impl FnOnce(&mut Self, ShellState) -> Vec<ShellState>,
    ) -> Vec<ShellState> {
        let outer = std::mem::take(&mut self.endings);
        let parent = state.clone();
        let mut states = run(self, state);
        let endings = std::mem::replace(&mut self.endings, outer);
        for state in &mut states {
            state.flow = ScriptFlow::Next;
        }
        for ending in endings {
            let status = match ending.end {
                ScriptEnd::Quits(status) | ScriptEnd::Finishes(status) => status,
                ScriptEnd::Becomes { outcome: Outcome::Runs | Outcome::Emulated { .. }, .. } => {
                    ExitStatus::from_truth(Truth::Maybe)
                }
                ScriptEnd::Becomes { outcome, steps, says, .. } => self.failed(outcome, steps, says, ending.line, true),
                ScriptEnd::Unknown(_) => ExitStatus::from_truth(Truth::Maybe),
                ScriptEnd::Loops(None) => ExitStatus::from_truth(Truth::Maybe),
                ScriptEnd::Loops(Some(blame)) => ExitStatus { blame: Some(blame), ..ExitStatus::from_truth(Truth::No) },
            };
            let (weight, output) = (ending.weight, ending.output);
            let mut state = ShellState { status, weight, output, ..parent.clone() };
            let (is_open, keeps_programs) = (ending.is_open, ending.keeps_programs);
            state.open_as(&ShellState { is_open, keeps_programs, ..ShellState::default() });
            states.push(state);
        }
        states
    }

    /// Returns the output of `$(...)`. The status is that of the last command.
    pub(super) fn capture(&mut self, state: &mut ShellState, list: &CommandList) -> String {
        if let Some(text) = self.captured_file(state, list) {
            return text;
        }
        let child = ShellState { output: Some(String::new()), ..state.clone() };
        let children = self.subshell(child, |own, child| own.list(vec![child], list, false));
        children.iter().for_each(|child| state.open_as(child));
        let usual: Vec<&ShellState> = match children.iter().any(|child| child.weight > 0) {
            true => children.iter().filter(|child| child.weight > 0).collect(),
            false => children.iter().collect(),
        };
        let statuses: Vec<ExitStatus> = usual.iter().map(|child| child.status.clone()).collect();
        state.status = match statuses.as_slice() {
            [first, rest @ ..] if rest.iter().all(|status| status == first) => first.clone(),
            _ => ExitStatus::from_truth(Truth::Maybe),
        };
        let text = outputs(&children);
        self.bounded(text.trim_end_matches('\n').to_string())
    }

    /// Runs commands only for the programs that they start.
    pub(super) fn aside(&mut self, state: &mut ShellState, list: &CommandList) {
        let children =
            self.subshell(ShellState { output: None, ..state.clone() }, |own, child| own.list(vec![child], list, true));
        children.iter().for_each(|child| state.open_as(child));
    }
}

impl ShellState {
    /// Continues after a subshell. Its variables are lost, but its effects on the system are not.
    fn after(self, child: ShellState) -> ShellState {
        let mut opened =
            ShellState { is_open: self.is_open, keeps_programs: self.keeps_programs, ..ShellState::default() };
        opened.open_as(&child);
        ShellState {
            status: child.status,
            output: child.output,
            is_open: opened.is_open,
            keeps_programs: opened.keeps_programs,
            written: child.written,
            made: child.made,
            weight: child.weight,
            ..self
        }
    }

    /// Continues after a group in parentheses.
    pub(super) fn after_group(&self, child: ShellState) -> ShellState {
        self.clone().after(child)
    }
}

/// Ends a branch on which the next pipeline of an `&&` or `||` does not run.
fn settled(mut state: ShellState, truth: Truth) -> ShellState {
    if state.status.truth != truth {
        state.status = ExitStatus { blame: state.status.blame.take(), ..ExitStatus::from_truth(truth) };
    }
    state
}

/// Returns the output of a subshell, if all of its branches print the same.
fn outputs(children: &[ShellState]) -> String {
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
    // A carriage return is a part of its line.
    Some(Rc::new(text.split_terminator('\n').map(str::to_string).collect()))
}
