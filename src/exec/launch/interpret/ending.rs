//! The ends of a script's branches, and their combined outcome.

use std::rc::Rc;

use super::state::{ExitStatus, FailedStart};
use super::text::Truth;
use crate::exec::CauseKind;
use crate::exec::launch::made::MadePaths;
use crate::exec::log::{Certainty, Followed, Log, OpenedFile, Risk};
use crate::exec::outcome::{Death, Outcome};

/// The end of one branch of a script.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub end: ScriptEnd,
    pub weight: u64,
    pub output: Option<String>,
    /// The last text that the script itself wrote to the container's log.
    pub logged: Rc<str>,
    pub is_open: bool,
    pub keeps_programs: bool,
    pub made: Rc<MadePaths>,
    pub line: usize,
}

#[derive(Clone, Debug)]
pub(super) enum ScriptEnd {
    /// The script ends itself: `exit`, or `set -e` after a test that fails.
    Quits(ExitStatus),
    /// Its last command ended.
    Finishes(ExitStatus),
    /// It execs this program.
    Becomes {
        outcome: Outcome,
        steps: Vec<OpenedFile>,
        says: Vec<String>,
        followed: Followed,
    },
    Unknown(String),
    /// An endless loop, and the program that fails in it.
    Loops(Option<Rc<FailedStart>>),
}

impl Ending {
    /// Whether the script becomes another program.
    pub(super) fn is_exec(&self) -> bool {
        matches!(self.end, ScriptEnd::Becomes { .. })
    }

    /// Whether the script ends itself with an error, not because of a program.
    fn is_own(&self) -> bool {
        matches!(&self.end, ScriptEnd::Quits(status) if status.truth == Truth::No) && self.broken().is_none()
    }

    /// Returns the failure, if there is one.
    fn broken(&self) -> Option<(Outcome, &[OpenedFile], &[String])> {
        // A script may end with a query that finds nothing.
        let is_last = matches!(self.end, ScriptEnd::Finishes(_));
        let of_status = |status: &ExitStatus| {
            let blame = status.blame.clone().filter(|_| status.truth == Truth::No)?;
            if is_last && blame.is_query {
                return None;
            }
            let mut outcome = blame.outcome.clone();
            if let (Outcome::Dies { death, .. }, Some(code)) = (&mut outcome, status.code) {
                *death = Death::Exit(code);
            }
            Some(outcome)
        };
        match &self.end {
            ScriptEnd::Quits(status) | ScriptEnd::Finishes(status) => {
                let outcome = of_status(status)?;
                let blame = status.blame.as_ref()?;
                Some((outcome, &blame.steps, &blame.says))
            }
            ScriptEnd::Becomes { outcome, steps, says, .. } => match outcome {
                Outcome::Runs | Outcome::Emulated { .. } => None,
                Outcome::Fails { .. } | Outcome::Dies { .. } | Outcome::Unknown { .. } => {
                    Some((outcome.clone(), steps, says))
                }
            },
            ScriptEnd::Loops(Some(blame)) => Some((blame.outcome.clone(), &blame.steps, &blame.says)),
            ScriptEnd::Unknown(_) | ScriptEnd::Loops(None) => None,
        }
    }
}

/// Whether the cause is a program that does not exist or is not executable. On an uncertain branch, an earlier command
/// may change that.
pub(super) fn is_missing(kind: CauseKind) -> bool {
    matches!(
        kind,
        CauseKind::NotInPath
            | CauseKind::MissingProgram
            | CauseKind::MissingFile
            | CauseKind::MissingScript
            | CauseKind::MissingModule
            | CauseKind::NotExecutable
            | CauseKind::IsDirectory
    )
}

/// The exit code and its branch, if a script ends itself with an error on every branch.
pub(super) fn own_exit(endings: &[Ending]) -> Option<(u8, &Ending)> {
    if !endings.iter().all(Ending::is_own) {
        return None;
    }
    let last = endings.iter().max_by_key(|ending| ending.weight)?;
    match &last.end {
        ScriptEnd::Quits(ExitStatus { code: Some(code @ 1..), .. }) => Some((*code, last)),
        _ => None,
    }
}

/// Returns the outcome of a script's branches. `None` if it runs; `log` records how far it was followed.
pub(super) fn combined(log: &mut Log, endings: Vec<Ending>, path: &str) -> Option<Outcome> {
    // A branch that ends with a usage error is not a start.
    let (quits, others): (Vec<&Ending>, Vec<&Ending>) = endings.iter().partition(|ending| ending.is_own());
    let (broken, alive): (Vec<&Ending>, Vec<&Ending>) =
        others.into_iter().partition(|ending| ending.broken().is_some());
    let is_unknown = |ending: &&&Ending| matches!(ending.end, ScriptEnd::Unknown(_));
    let heaviest = |list: &[&Ending]| list.iter().map(|ending| ending.weight).max().unwrap_or(0);
    let fine: Vec<&Ending> = alive.iter().filter(|ending| !is_unknown(ending)).copied().collect();
    if !broken.is_empty() && (fine.is_empty() || heaviest(&alive) == 0 && heaviest(&broken) > 0) {
        let first = broken.iter().rev().max_by_key(|ending| ending.weight)?;
        let (outcome, steps, says) = first.broken()?;
        log.steps.extend_from_slice(steps);
        log.says.extend_from_slice(says);
        return Some(outcome);
    }
    for ending in &broken {
        // A program that is missing on an uncertain branch may be missing on purpose.
        let is_there = |outcome: &Outcome| !outcome.cause().is_none_or(|cause| is_missing(cause.kind));
        let is_new = |log: &Log| !log.risks.iter().any(|risk| (risk.by.as_str(), risk.line) == (path, ending.line));
        if let Some((outcome, steps, _)) = ending.broken().filter(|(outcome, ..)| is_there(outcome) && is_new(log)) {
            log.risks.push(Risk {
                outcome,
                steps: steps.to_vec(),
                by: path.to_string(),
                line: ending.line,
                certainty: Certainty::Possible,
            });
        }
    }
    let usual: Vec<&Ending> = match heaviest(&alive) {
        0 => alive.clone(),
        _ => alive.iter().filter(|ending| ending.weight > 0).copied().collect(),
    };
    if let Some((first, rest)) = usual.split_first() {
        let mut made = Rc::clone(&first.made);
        for ending in rest.iter().filter(|ending| ending.made != first.made) {
            Rc::make_mut(&mut made).absorb(&ending.made, false);
        }
        log.made = Some(made);
    }
    let becomes = |ending: &&&Ending| matches!(ending.end, ScriptEnd::Becomes { .. });
    log.has_program |=
        usual.iter().any(|ending| matches!(ending.end, ScriptEnd::Becomes { followed: Followed::Full, .. }));
    if let Some(main) = usual.iter().filter(becomes).rev().max_by_key(|ending| ending.weight)
        && let ScriptEnd::Becomes { steps, says, .. } = &main.end
    {
        log.steps.extend_from_slice(steps);
        log.says.extend_from_slice(says);
    }
    for ending in &usual {
        match &ending.end {
            ScriptEnd::Unknown(why) => {
                log.open_end::<()>(format!("{path}:{}", ending.line), why);
            }
            ScriptEnd::Becomes { followed: Followed::Partial { at, why }, .. } => {
                log.open_end::<()>(at.clone(), why);
            }
            ScriptEnd::Finishes(ExitStatus { open: Some(open), .. }) => {
                log.open_end::<()>(open.0.clone(), &open.1);
            }
            _ => {}
        }
    }
    if usual.is_empty()
        && let Some(quit) = quits.iter().max_by_key(|ending| ending.weight)
        && let ScriptEnd::Quits(ExitStatus { code: Some(code @ 1..), .. }) = &quit.end
    {
        log.open_end::<()>(format!("{path}:{}", quit.line), &format!("it exits with code {code}"));
    }
    None
}
