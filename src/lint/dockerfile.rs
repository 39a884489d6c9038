//! The model of a Dockerfile: stages, steps, the words of each step with their positions, and variable values.

mod reader;
mod variables;

use std::collections::BTreeMap;
use std::ops::Range;

use super::heredoc::HereDoc;
use super::shell::{PlainWord, SimpleCommand};
pub use variables::{AUTOMATIC, Expanded, MAX_EXPANSIONS, expand, expand_pieces, is_automatic, references};

/// A parsed Dockerfile. Every range is in bytes of `text`.
#[derive(Debug)]
pub struct Dockerfile<'a> {
    pub text: &'a str,
    /// ARGs before the first FROM.
    pub globals: Vec<BuildVariable>,
    /// At least one. A build without `--target` builds the last one.
    pub stages: Vec<BuildStage>,
}

#[derive(Debug)]
pub struct BuildStage {
    pub name: Option<String>,
    /// The whole FROM line.
    pub span: Range<usize>,
    pub image: PlainWord,
    pub platform: Option<StepOption>,
    /// The stage that FROM names. `None` if it names an image.
    pub parent: Option<usize>,
    pub steps: Vec<BuildStep>,
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
pub struct BuildVariable {
    pub name: String,
    pub name_span: Range<usize>,
    /// The value and its position.
    pub value: Option<(String, Range<usize>)>,
}

#[derive(Debug)]
pub struct BuildStep {
    /// From the keyword to the end of the instruction, with its heredocs.
    pub span: Range<usize>,
    pub options: Vec<StepOption>,
    pub kind: StepKind,
    /// ONBUILD: it runs in a stage made from this image. The span is that of the inner instruction.
    pub is_onbuild: bool,
}

#[derive(Debug)]
pub enum StepKind {
    Run(RunStep),
    /// COPY and ADD.
    Copy {
        is_add: bool,
        sources: Vec<PlainWord>,
        destination: Option<PlainWord>,
        heredocs: Vec<HereDoc>,
    },
    /// ENTRYPOINT and CMD: the words of the exec form, or of the shell form's commands.
    Start(Vec<PlainWord>),
    Arg(Vec<BuildVariable>),
    Env(Vec<BuildVariable>),
    /// SHELL: sets the shell of the following steps.
    Shell {
        is_posix: bool,
    },
    /// HEALTHCHECK, LABEL and the rest.
    Other,
}

#[derive(Debug)]
pub struct RunStep {
    pub commands: Vec<SimpleCommand>,
    /// Where a shell statement can be inserted. `None` for the exec form and other interpreters.
    pub prologue: Option<Prologue>,
    /// The byte ranges that a shell reads.
    pub ranges: Vec<Range<usize>>,
    /// The exec form, which no shell reads.
    pub is_exec: bool,
}

/// The position for a statement before those of a RUN, and the separator after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prologue {
    pub at: usize,
    pub separator: &'static str,
}

/// A parse error of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerfileError {
    pub at: usize,
    pub message: String,
}

impl Dockerfile<'_> {
    /// Returns the stage that `--from` or `FROM` names, by its name or number, among the first `before` stages.
    pub fn stage_named(&self, name: &str, before: usize) -> Option<usize> {
        let by_name = self.stages[..before]
            .iter()
            .position(|stage| stage.name.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)));
        by_name.or_else(|| name.parse::<usize>().ok().filter(|number| *number < before))
    }

    /// Returns a stage and its ancestors by FROM, the farthest last.
    pub fn lineage(&self, stage: usize) -> impl Iterator<Item = &BuildStage> {
        self.lineage_indices(stage).map(|at| &self.stages[at])
    }

    /// Like [`Dockerfile::lineage`], as indices of `stages`.
    pub fn lineage_indices(&self, stage: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(stage), |at| self.stages[*at].parent)
    }

    /// Returns the variables before a step of a stage, with the values that the file sets: ENV and ARG defaults.
    pub fn variables_at(&self, stage: usize, step: usize) -> BTreeMap<String, BuildVariable> {
        let mut known: BTreeMap<String, BuildVariable> = BTreeMap::new();
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

    /// Declares ARGs. One without a value inherits the value of the global ARG.
    fn declare(&self, pairs: &[BuildVariable], known: &mut BTreeMap<String, BuildVariable>) {
        for pair in pairs {
            let global = self.globals.iter().rev().find(|global| global.name == pair.name);
            let chosen = if pair.value.is_some() { pair } else { global.unwrap_or(pair) };
            known.insert(pair.name.clone(), chosen.clone());
        }
    }

    /// Whether a build may pass this variable, because an ARG of the file or of a stage declares it.
    pub fn is_argument(&self, name: &str) -> bool {
        let steps = self.stages.iter().flat_map(|stage| &stage.steps);
        let declared = steps.filter_map(|step| match &step.kind {
            StepKind::Arg(pairs) => Some(pairs),
            _ => None,
        });
        declared.flatten().chain(&self.globals).any(|variable| variable.name == name)
    }

    /// Returns the global ARGs by name. The last one of a name wins.
    pub fn global_variables(&self) -> BTreeMap<String, BuildVariable> {
        self.globals.iter().map(|variable| (variable.name.clone(), variable.clone())).collect()
    }
}

#[cfg(test)]
#[path = "dockerfile_tests.rs"]
mod tests;
