//! A Dockerfile as the rules see it: stages, steps, the words of each step with their places, and what variables hold.
//! It reads text only; what is wrong with it is for the rules to say.

mod reader;
mod variables;

use std::collections::BTreeMap;
use std::ops::Range;

use super::heredoc::HereDoc;
use super::shell::{Command, Word};
pub use variables::{AUTOMATIC, Expanded, MAX_EXPANSIONS, expand, expand_pieces, references};

/// A parsed Dockerfile. Every range is in bytes of `text`.
#[derive(Debug)]
pub struct Dockerfile<'a> {
    pub text: &'a str,
    /// ARGs before the first FROM.
    pub globals: Vec<Variable>,
    /// At least one; the last is what a build without `--target` makes.
    pub stages: Vec<Stage>,
}

#[derive(Debug)]
pub struct Stage {
    pub name: Option<String>,
    /// The whole FROM line.
    pub span: Range<usize>,
    pub image: Word,
    pub platform: Option<StepOption>,
    /// The stage that FROM names, where it is one.
    pub parent: Option<usize>,
    pub steps: Vec<Step>,
}

/// `--name=value` of an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOption {
    pub name: String,
    pub value: String,
    pub span: Range<usize>,
    pub value_span: Range<usize>,
}

/// `NAME=value` or `NAME` of an ARG or ENV.
#[derive(Clone, Debug)]
pub struct Variable {
    pub name: String,
    pub name_span: Range<usize>,
    /// The value's text and where it stands.
    pub value: Option<(String, Range<usize>)>,
}

#[derive(Debug)]
pub struct Step {
    /// From the keyword to the end of what belongs to it.
    pub span: Range<usize>,
    pub options: Vec<StepOption>,
    pub kind: StepKind,
    /// It runs in the stage that is made from this image; the span is the inner instruction's.
    pub is_onbuild: bool,
}

#[derive(Debug)]
pub enum StepKind {
    Run(Run),
    /// COPY and ADD.
    Copy {
        is_add: bool,
        sources: Vec<Word>,
        destination: Option<Word>,
        heredocs: Vec<HereDoc>,
    },
    /// ENTRYPOINT and CMD: the words of the exec form, or of the shell form's commands.
    Start(Vec<Word>),
    Arg(Vec<Variable>),
    Env(Vec<Variable>),
    /// The shell is no longer a POSIX one.
    Shell {
        is_posix: bool,
    },
    /// HEALTHCHECK, LABEL and the rest.
    Other,
}

#[derive(Debug)]
pub struct Run {
    pub commands: Vec<Command>,
    /// Where a shell statement can be put in front; `None` for exec form and other interpreters.
    pub prologue: Option<Prologue>,
    /// All bytes that a shell reads.
    pub ranges: Vec<Range<usize>>,
    /// No shell reads it.
    pub is_exec: bool,
}

/// A place for a statement before a RUN's own, and what must follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prologue {
    pub at: usize,
    pub separator: &'static str,
}

/// Why a text is no Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub at: usize,
    pub message: String,
}

impl Dockerfile<'_> {
    /// The stage that a `--from` or a `FROM` names: by name, or by number.
    pub fn stage_named(&self, name: &str, before: usize) -> Option<usize> {
        let by_name = self.stages[..before]
            .iter()
            .position(|stage| stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)));
        by_name.or_else(|| name.parse::<usize>().ok().filter(|number| *number < before))
    }

    /// A stage and those that it is made FROM, the farthest ancestor last.
    pub fn lineage(&self, stage: usize) -> impl Iterator<Item = &Stage> {
        self.lineage_indices(stage).map(|at| &self.stages[at])
    }

    /// As [`Dockerfile::lineage`], by their places in `stages`.
    pub fn lineage_indices(&self, stage: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(stage), |at| self.stages[*at].parent)
    }

    /// What variables hold at the start of a stage's step, as far as the file itself tells: ENV and ARG defaults.
    pub fn variables_at(&self, stage: usize, step: usize) -> BTreeMap<String, Variable> {
        let mut known: BTreeMap<String, Variable> = BTreeMap::new();
        let lineage: Vec<usize> = std::iter::successors(Some(stage), |at| self.stages[*at].parent).collect();
        for at in lineage.into_iter().rev() {
            let steps = &self.stages[at].steps;
            let steps = if at == stage { &steps[..step.min(steps.len())] } else { &steps[..] };
            for step in steps {
                match &step.kind {
                    StepKind::Env(pairs) => known.extend(pairs.iter().map(|pair| (pair.name.clone(), pair.clone()))),
                    StepKind::Arg(pairs) => self.declare(pairs, &mut known),
                    _ => {}
                }
            }
        }
        known
    }

    /// An ARG without a value takes the global one's; a value may name earlier variables.
    fn declare(&self, pairs: &[Variable], known: &mut BTreeMap<String, Variable>) {
        for pair in pairs {
            let global = self.globals.iter().rev().find(|global| global.name == pair.name);
            let chosen = if pair.value.is_some() { pair } else { global.unwrap_or(pair) };
            known.insert(pair.name.clone(), chosen.clone());
        }
    }

    /// Whether a build may pass a value for this variable: it is an ARG, of the file or of a stage.
    pub fn is_argument(&self, name: &str) -> bool {
        let steps = self.stages.iter().flat_map(|stage| &stage.steps);
        let declared = steps.filter_map(|step| match &step.kind {
            StepKind::Arg(pairs) => Some(pairs),
            _ => None,
        });
        declared.flatten().chain(&self.globals).any(|variable| variable.name == name)
    }

    /// Global ARGs by name, the last of a name winning.
    pub fn global_variables(&self) -> BTreeMap<String, Variable> {
        self.globals.iter().map(|variable| (variable.name.clone(), variable.clone())).collect()
    }
}

#[cfg(test)]
#[path = "dockerfile_tests.rs"]
mod tests;
