//! Commands whose program is only known at run time.

use super::state::{ShellState, StartKind};
use super::{START_STEPS, ScriptInterpreter, text};
use crate::exec::launch::walk::StartWalk;
use crate::exec::log::{Followed, KnownCall};

impl ScriptInterpreter<'_, '_, '_> {
    /// Returns the outcome of a command whose program is only known at run time, if everything that it may start is
    /// broken.
    pub(super) fn perhaps(
        &mut self,
        state: &ShellState,
        argv: &[String],
        sets: &[String],
        (line, how): (usize, StartKind),
    ) -> Option<KnownCall> {
        if !self.spend(START_STEPS) {
            return None;
        }
        let here = self.machine_at(state);
        let machine = here.as_ref().unwrap_or(self.machine);
        // Without a directory, relative words do not name a file.
        let is_lost = |word: &&String| here.is_some() || !word.contains('/') || word.starts_with('/');
        let words: Vec<String> = match argv.split_first() {
            Some((name, rest)) => std::iter::once(name).chain(rest.iter().filter(is_lost)).cloned().collect(),
            None => return None,
        };
        let mut env = state.environment();
        env.extend(sets.iter().cloned());
        for entry in env.iter_mut().filter(|entry| entry.starts_with("PATH=") || entry.starts_with("LD_")) {
            *entry = text::plain(entry);
        }
        let walk = StartWalk { env, is_open: true, keeps_programs: false, ..self.walk.clone() };
        let label = self.source.path.clone();
        let caller = self.caller(&label, line, how);
        let (steps, says) = (std::mem::take(&mut self.log.steps), std::mem::take(&mut self.log.says));
        let outcome = machine.may_start(self.log, &words, caller, &walk);
        let steps = std::mem::replace(&mut self.log.steps, steps);
        let says = std::mem::replace(&mut self.log.says, says);
        Some(KnownCall { outcome: outcome?, steps, says, followed: Followed::Full, made: None })
    }
}
