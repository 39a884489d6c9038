//! Compound commands: conditions and loops over known and unknown values.

use std::rc::Rc;

use super::ending::ScriptEnd;
use super::state::{ExitStatus, FailedStart, ScriptFlow, ShellFunction, ShellState, joined};
use super::text::{self, HOLE, MANY, Truth};
use super::{MAX_BRANCHES, MAX_NESTING, ScriptInterpreter};
use crate::exec::launch::shells::Shell;
use crate::shell::{
    self, Arm, ArmEnd, CommandKind, CommandList, Condition, FunctionStyle, ShellCommand, ShellWord, UnaryTest, WordPart,
};

/// Number of iterations of a loop with an unknown condition, after which the values that it changes are unknown.
const VAGUE_ITERATIONS: usize = 2;

impl ScriptInterpreter<'_, '_, '_> {
    pub(super) fn command(&mut self, state: ShellState, command: &ShellCommand, is_tested: bool) -> Vec<ShellState> {
        self.log.run_line(&self.source.path, command.line);
        if self.log.budget.nesting >= MAX_NESTING {
            self.give_up(&state, "its commands are nested too deeply to follow", command.line);
            return Vec::new();
        }
        self.log.budget.nesting += 1;
        let states = self.redirected(state, command, is_tested);
        self.log.budget.nesting -= 1;
        states
    }

    pub(super) fn kind(&mut self, mut state: ShellState, command: &ShellCommand, is_tested: bool) -> Vec<ShellState> {
        match &command.kind {
            CommandKind::Simple(simple) => self.simple(state, simple, command.line, is_tested),
            CommandKind::Group(list) => self.list(vec![state], list, is_tested),
            CommandKind::Subshell(list) => {
                let children = self.subshell(state.clone(), |own, child| own.list(vec![child], list, is_tested));
                children.into_iter().map(|child| state.after_group(child)).collect()
            }
            CommandKind::If { branches, otherwise } => self.branches(state, branches, otherwise.as_ref(), is_tested),
            CommandKind::Loop { is_until, condition, body } => {
                self.repeat(state, *is_until, condition, body, command.line, is_tested)
            }
            CommandKind::For { words: Some(words), .. } if self.refuses_words(&state, words, command.line) => {
                Vec::new()
            }
            CommandKind::For { name, words, body } => {
                let values = match words {
                    Some(words) => self.fields(&mut state, words),
                    None => state.args.to_vec(),
                };
                self.for_each(state, name, values, body, is_tested)
            }
            CommandKind::ForArithmetic { header, body } => {
                let text = self.text(&mut state, header);
                self.number(&mut state, &shell::expression(&format!("{text} ++")));
                self.for_each(state, "", vec![MANY.to_string()], body, is_tested)
            }
            CommandKind::Case { word, .. } if self.refuses_words(&state, [word], command.line) => Vec::new(),
            CommandKind::Case { word, arms } => {
                let subject = self.text(&mut state, word);
                self.case(state, &subject, arms, is_tested)
            }
            CommandKind::Function { body, style: FunctionStyle::Keyword, .. } if self.kind == Shell::Dash => {
                self.runs_function_now(state, body, command.line, is_tested)
            }
            CommandKind::Function { name, body, .. } => {
                let function = ShellFunction { body: Rc::clone(body), script: Rc::clone(&self.source) };
                Rc::make_mut(&mut state.functions).insert(name.clone(), function);
                state.status = ExitStatus::from_truth(Truth::Yes);
                vec![state]
            }
            CommandKind::Test(_) | CommandKind::Arithmetic(_)
                if let Some(status) = self.lacks_keyword(&command.kind, command.line, is_tested) =>
            {
                vec![ShellState { status, ..state }]
            }
            CommandKind::Test(condition) => {
                let truth = self.condition(&mut state, condition);
                state.status = self.tested(truth, command.line);
                vec![state]
            }
            CommandKind::Arithmetic(word) => {
                let text = self.text(&mut state, word);
                let number = self.number(&mut state, &shell::expression(&text::plain(&text)));
                state.status =
                    ExitStatus::from_truth(number.map_or(Truth::Maybe, |number| Truth::from_bool(number != 0)));
                vec![state]
            }
        }
    }

    fn branches(
        &mut self,
        state: ShellState,
        branches: &[(CommandList, CommandList)],
        otherwise: Option<&CommandList>,
        is_tested: bool,
    ) -> Vec<ShellState> {
        let mut done = Vec::new();
        let mut open = vec![state];
        for (condition, body) in branches {
            let mut held = Vec::new();
            let mut failed = Vec::new();
            for state in self.list(open, condition, true) {
                if state.flow != ScriptFlow::Next {
                    done.push(state);
                    continue;
                }
                let (yes, no) = self.decide(state, condition);
                held.extend(yes);
                failed.extend(no);
            }
            let held = joined(held, self.branch_limit(), false);
            done.extend(self.list(held, body, is_tested));
            open = joined(failed, self.branch_limit(), false);
        }
        match otherwise {
            Some(body) => done.extend(self.list(open, body, is_tested)),
            None => done.extend(
                open.into_iter().map(|state| ShellState { status: ExitStatus::from_truth(Truth::Yes), ..state }),
            ),
        }
        done.into_iter().map(|state| ShellState { trouble: None, ..state }).collect()
    }

    /// Returns the two branches after a condition. A variable that only a user sets is unknown on the branch on which
    /// it is set.
    fn decide(&mut self, state: ShellState, condition: &CommandList) -> (Option<ShellState>, Option<ShellState>) {
        let truth = state.status.truth;
        let blame = state.status.blame.clone();
        let (mut yes, mut no) = state.fork(truth);
        if let Truth::Usually(usual) = truth
            && let Some(name) = tested_variable(condition)
            && let Some(rare) = if usual { &mut no } else { &mut yes }
            && text::is_soft(&self.scalar(rare, name))
        {
            // A user may set it in the environment.
            rare.set_text(name, HOLE.to_string());
            rare.export(name);
        }
        for branch in [&mut yes, &mut no].into_iter().flatten() {
            branch.trouble = blame.clone();
            branch.status = ExitStatus::from_truth(Truth::Yes);
        }
        (yes, no)
    }

    fn for_each(
        &mut self,
        state: ShellState,
        name: &str,
        values: Vec<String>,
        body: &CommandList,
        is_tested: bool,
    ) -> Vec<ShellState> {
        let mut done = Vec::new();
        let mut open = vec![ShellState { status: ExitStatus::from_truth(Truth::Yes), ..state }];
        for (turn, value) in values.into_iter().enumerate() {
            if turn > self.turn_limit() || open.is_empty() {
                break;
            }
            // The rest of a long list is one value that is not known.
            let value = if turn == self.turn_limit() { MANY.to_string() } else { value };
            let is_many = value.starts_with(MANY);
            let mut next = Vec::new();
            for mut state in open {
                if is_many {
                    // No iteration, or some.
                    let (some, none) = state.fork(Truth::Maybe);
                    next.extend(none);
                    let Some(some) = some else { continue };
                    state = some;
                }
                if !name.is_empty() {
                    let value = if is_many { HOLE.to_string() } else { value.clone() };
                    state.set_text(name, value);
                }
                next.extend(self.turn(state, body, is_tested, &mut done));
            }
            open = joined(next, self.branch_limit(), false);
        }
        done.extend(open);
        done
    }

    /// Runs one iteration of a loop's body. Returns the branches that continue the loop. Those that leave it are added
    /// to `done`.
    fn turn(
        &mut self,
        state: ShellState,
        body: &CommandList,
        is_tested: bool,
        done: &mut Vec<ShellState>,
    ) -> Vec<ShellState> {
        let mut next = Vec::new();
        for mut state in self.list(vec![state], body, is_tested) {
            match state.flow {
                ScriptFlow::Next => next.push(state),
                ScriptFlow::Break(levels) | ScriptFlow::Continue(levels) if levels > 1 => {
                    state.flow = match state.flow {
                        ScriptFlow::Break(_) => ScriptFlow::Break(levels - 1),
                        _ => ScriptFlow::Continue(levels - 1),
                    };
                    done.push(state);
                }
                ScriptFlow::Break(_) => {
                    state.flow = ScriptFlow::Next;
                    done.push(state);
                }
                ScriptFlow::Continue(_) => {
                    state.flow = ScriptFlow::Next;
                    next.push(state);
                }
                ScriptFlow::Return => done.push(state),
            }
        }
        next
    }

    fn repeat(
        &mut self,
        state: ShellState,
        is_until: bool,
        condition: &CommandList,
        body: &CommandList,
        line: usize,
        is_tested: bool,
    ) -> Vec<ShellState> {
        let mut done = Vec::new();
        let entry = Rc::clone(&state.vars);
        let mut open = vec![state];
        let mut vague = 0;
        let mut blame: Option<Rc<FailedStart>> = None;
        self.passed = None;
        for turn in 0.. {
            if turn >= self.turn_limit() {
                break;
            }
            let before = open.clone();
            let mut held = Vec::new();
            let mut is_vague = false;
            for mut state in self.list(std::mem::take(&mut open), condition, true) {
                if state.flow != ScriptFlow::Next {
                    done.push(state);
                    continue;
                }
                blame = blame.or_else(|| state.status.blame.clone());
                let truth = if is_until { state.status.truth.not() } else { state.status.truth };
                is_vague |= !matches!(truth, Truth::Yes | Truth::No);
                state.status = ExitStatus::from_truth(Truth::Yes);
                let (yes, no) = state.fork(truth);
                held.extend(yes);
                done.extend(no);
            }
            let mut next = Vec::new();
            for state in held {
                next.extend(self.turn(state, body, is_tested, &mut done));
            }
            blame = blame.or_else(|| next.iter().find_map(|state| state.status.blame.clone()));
            blame = blame.or_else(|| self.passed.clone());
            open = joined(next, self.branch_limit(), false);
            if open.is_empty() {
                return joined(done, self.branch_limit(), false);
            }
            // A loop that returns to an earlier state never ends by itself.
            let goes_round =
                !is_vague && open.len() == before.len() && open.iter().zip(&before).all(|(a, b)| a.is_alike(b));
            if goes_round {
                for state in &open {
                    self.end(state, ScriptEnd::Loops(blame.clone()), line);
                }
                return joined(done, self.branch_limit(), false);
            }
            vague += usize::from(is_vague);
            if vague >= VAGUE_ITERATIONS {
                // One more iteration, then the end. The values that the loop changes are not known after it.
                done.extend(open);
                return joined(done, self.branch_limit().min(2), false);
            }
        }
        if !self.spend(1) {
            for state in &open {
                self.give_up(state, "a loop has too many iterations to follow", line);
            }
            return joined(done, self.branch_limit(), false);
        }
        // The values that the loop changes are not known after so many iterations.
        let open = open.into_iter().map(|state| state.forget_changes(&entry)).collect();
        for state in self.list(open, condition, true) {
            let truth = if is_until { state.status.truth.not() } else { state.status.truth };
            if truth == Truth::Yes || state.flow != ScriptFlow::Next {
                self.end(&state, ScriptEnd::Loops(blame.clone()), line);
            } else {
                done.push(ShellState { status: ExitStatus::from_truth(Truth::Yes), ..state });
            }
        }
        joined(done, self.branch_limit(), false)
    }

    fn case(&mut self, state: ShellState, subject: &str, arms: &[Arm], is_tested: bool) -> Vec<ShellState> {
        let mut done = Vec::new();
        let mut open = Some(state);
        // Branches that fall through into the next arm's body.
        let mut falling: Vec<ShellState> = Vec::new();
        for arm in arms {
            let mut entering = std::mem::take(&mut falling);
            if let Some(mut state) = open.take() {
                let mut truth = Truth::No;
                for word in &arm.patterns {
                    let tokens = self.pattern(&mut state, word);
                    truth = truth.or(tokens.map_or(Truth::Maybe, |tokens| self.compares(&state, &tokens, subject)));
                }
                let (held, failed) = state.fork(truth);
                open = failed;
                entering.extend(held);
            }
            let entering = entering
                .into_iter()
                .map(|state| ShellState { status: ExitStatus::from_truth(Truth::Yes), ..state })
                .collect();
            let after = self.list(entering, &arm.body, is_tested);
            match arm.end {
                ArmEnd::FallThrough => falling = after,
                ArmEnd::Leave | ArmEnd::TryNext => done.extend(after),
            }
            if done.len() > 2 * MAX_BRANCHES {
                done = joined(done, self.branch_limit(), true);
            }
        }
        done.extend(falling);
        done.extend(open.map(|state| ShellState { status: ExitStatus::from_truth(Truth::Yes), ..state }));
        joined(done, self.branch_limit(), true)
    }

    fn condition(&mut self, state: &mut ShellState, condition: &Condition) -> Truth {
        match condition {
            Condition::Unary(test, word) => {
                let operand = self.text(state, word);
                self.unary(state, *test, &operand)
            }
            Condition::Binary(left, test, right) => {
                let subject = self.text(state, left);
                match test {
                    shell::BinaryTest::Equal | shell::BinaryTest::NotEqual => {
                        let tokens = self.pattern(state, right);
                        let truth = tokens.map_or(Truth::Maybe, |tokens| self.compares(state, &tokens, &subject));
                        if *test == shell::BinaryTest::Equal { truth } else { truth.not() }
                    }
                    shell::BinaryTest::Matches => self.matches_expression(state, &subject, right),
                    test => {
                        let other = self.text(state, right);
                        self.binary(&subject, *test, &other)
                    }
                }
            }
            Condition::Not(inner) => self.condition(state, inner).not(),
            Condition::And(left, right) => match self.condition(state, left) {
                Truth::No => Truth::No,
                truth => truth.and(self.condition(state, right)),
            },
            Condition::Or(left, right) => match self.condition(state, left) {
                Truth::Yes => Truth::Yes,
                truth => truth.or(self.condition(state, right)),
            },
        }
    }
}

/// Returns the variable whose emptiness a condition tests, if it is a plain test of one.
fn tested_variable(condition: &CommandList) -> Option<&str> {
    let [item] = condition.items.as_slice() else { return None };
    let [command] = item.first.commands.as_slice() else { return None };
    let word = match &command.kind {
        CommandKind::Simple(simple) => match simple.words.as_slice() {
            [bracket, operator, word, _] if bracket.bare() == Some("[") => {
                matches!(operator.bare(), Some("-z" | "-n")).then_some(word)?
            }
            [bracket, word, _] if bracket.bare() == Some("[") => word,
            _ => return None,
        },
        CommandKind::Test(Condition::Unary(UnaryTest::IsEmpty | UnaryTest::IsNotEmpty, word)) => word,
        _ => return None,
    };
    variable_of(word)
}

fn variable_of(word: &ShellWord) -> Option<&str> {
    let part = match word.parts.as_slice() {
        [WordPart::DoubleQuoted(inner)] => match inner.as_slice() {
            [part] => part,
            _ => return None,
        },
        [part] => part,
        _ => return None,
    };
    match part {
        WordPart::Parameter(parameter)
            if !parameter.is_indirect && !parameter.is_length && parameter.index.is_none() =>
        {
            let is_name = parameter.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            is_name.then_some(parameter.name.as_str())
        }
        _ => None,
    }
}
