//! Commands that change the owners and modes of files.

use std::rc::Rc;

use super::making::installed;
use super::state::{ExitStatus, PASSWD, ShellState};
use super::text::{self, MANY};
use super::{ScriptInterpreter, tools};
use crate::exec::kernel::access::{self, Who};
use crate::exec::kernel::changes::{ChangeEffect, ModeChange};
use crate::exec::launch::accounts::Account;
use crate::exec::launch::interpret::is_changeable;
use crate::exec::launch::walk::StartWalk;
use crate::exec::{Cause, CauseKind, Death, Outcome};

/// The effect of a command on owners and modes.
pub(super) enum AccessChange {
    /// Recorded in the state.
    Known,
    /// Any file may have another owner or mode.
    Unknown,
    /// The command fails and changes nothing.
    Failed(ExitStatus),
}

impl ScriptInterpreter<'_, '_, '_> {
    /// Records what a command changes, if it changes owners or modes. `None` for other commands.
    pub(super) fn changed(
        &self,
        state: &mut ShellState,
        name: &str,
        argv: &[String],
        (line, is_tested): (usize, bool),
    ) -> Option<AccessChange> {
        if !argv.iter().any(|word| tools::changes_modes(word)) {
            return None;
        }
        let base = name.rsplit('/').next().unwrap_or(name);
        Some(match base {
            "chmod" | "chown" | "chgrp" => self.change(state, base, argv, (line, is_tested)),
            // Its copies have their own modes.
            "install" if installed(argv).is_some() && argv.iter().all(|word| text::is_known(word)) => {
                AccessChange::Known
            }
            // The commands that it runs are followed.
            "find" => return None,
            _ => AccessChange::Unknown,
        })
    }

    /// `chmod MODE FILE...`, `chown OWNER FILE...`, `chgrp GROUP FILE...`
    fn change(
        &self,
        state: &mut ShellState,
        base: &str,
        argv: &[String],
        (line, is_tested): (usize, bool),
    ) -> AccessChange {
        let is_mode = |word: &str| word.len() > 1 && word[1..].chars().all(|letter| "rwxXst,+=ugoa".contains(letter));
        let (mut is_recursive, mut operands, mut takes_options) = (false, Vec::new(), true);
        for word in argv.iter().skip(1) {
            if word.starts_with(MANY) {
                return AccessChange::Unknown;
            }
            match word.as_str() {
                "--" => takes_options = false,
                "--recursive" => is_recursive = true,
                // `-x` is a mode.
                _ if !takes_options || !word.starts_with('-') || word.len() == 1 => operands.push(word.clone()),
                _ if base == "chmod" && operands.is_empty() && is_mode(word) => operands.push(word.clone()),
                _ if word.starts_with("--reference") || word.starts_with("--from") => return AccessChange::Unknown,
                _ => is_recursive |= !word.starts_with("--") && word.contains('R'),
            }
        }
        let Some((what, files)) = operands.split_first() else { return AccessChange::Unknown };
        let effect = match (base, text::is_known(what) && !is_changeable(what)) {
            (_, false) => ChangeEffect::Unknown,
            ("chmod", true) => match ModeChange::parse(&text::plain(what)) {
                Some(mode) => ChangeEffect::Mode(mode),
                None => return AccessChange::Unknown,
            },
            (_, true) => {
                let what = text::plain(what);
                let owner = if base == "chgrp" { format!(":{what}") } else { what };
                match self.owner(state, &owner) {
                    Ok(effect) => effect,
                    Err(text) => return AccessChange::Failed(self.refused_change(base, text, line, is_tested)),
                }
            }
        };
        for word in files {
            let Some(path) = self.absolute(state, word) else { return AccessChange::Unknown };
            let rootfs = self.machine.rootfs;
            let made = Rc::make_mut(&mut state.made);
            if let ChangeEffect::Mode(mode) = &effect
                && made.change_mode(rootfs, &path, mode)
            {
                continue;
            }
            let Some(id) = self.find_node(&path, true) else { continue };
            if !made.change(id, is_recursive, effect.clone()) {
                return AccessChange::Unknown;
            }
        }
        AccessChange::Known
    }

    /// The owner and group that chown sets. `Err` if the image has no such user.
    fn owner(&self, state: &ShellState, what: &str) -> Result<ChangeEffect, String> {
        let (user, group) = match what.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (what, None),
        };
        let rootfs = self.machine.rootfs;
        let (mut uid, mut gid) = (None, None);
        if !user.is_empty() {
            let walk = StartWalk {
                is_open: state.is_open,
                has_new_accounts: self.walk.has_new_accounts || state.written.contains(PASSWD),
                ..self.walk.clone()
            };
            if let Account::Missing(text) = self.machine.account(user, &walk)
                && !user.contains('.')
            {
                return Err(format!("cannot change the owner to the user {user}: {text}"));
            }
            match Who::parse(user, rootfs) {
                Ok(Who::Root) => uid = Some(0),
                Ok(Who::User { uid: found, gids }) => {
                    uid = Some(found);
                    // `chown user:` also sets the user's group.
                    gid = gids.first().copied().filter(|_| group == Some(""));
                }
                Ok(Who::Unknown) | Err(_) => return Ok(ChangeEffect::Unknown),
            }
        }
        if let Some(group) = group.filter(|group| !group.is_empty()) {
            match access::gid(rootfs, group) {
                Some(found) => gid = Some(found),
                None => return Ok(ChangeEffect::Unknown),
            }
        }
        Ok(ChangeEffect::Owner { uid, gid })
    }

    /// The status of a command that reads or changes a file which is certain not to be there. The scripts that continue
    /// expect that, so nothing is noted.
    pub(super) fn lacks_operand(
        &self,
        state: &ShellState,
        name: &str,
        argv: &[String],
        line: usize,
    ) -> Option<ExitStatus> {
        let base = name.rsplit('/').next().unwrap_or(name);
        let words: Vec<&String> = argv.iter().skip(1).filter(|word| !word.starts_with('-')).collect();
        let is_quiet = || argv.iter().skip(1).any(|word| word == "-f" || word == "--silent" || word == "-t");
        let files: &[&String] = match (base, words.as_slice()) {
            ("cp" | "mv", [sources @ .., _]) => sources,
            ("chmod" | "chown" | "chgrp", [_, files @ ..]) if !is_quiet() => files,
            ("cat", files) => files,
            _ => return None,
        };
        let is_lost = |word: &&&String| {
            let is_plain = text::is_known(word) && !is_changeable(word) && !word.contains(['*', '?', '[']);
            let path = self.absolute(state, word).filter(|_| is_plain);
            path.is_some_and(|path| {
                self.find_node(path.trim_end_matches('/'), false).is_none()
                    && !state.made.may_have(&path)
                    && self.is_lost_file(state, path.trim_end_matches('/'))
            })
        };
        let file = files.iter().find(is_lost)?;
        let text = format!("line {line}: {base} needs {file}, which is not in the image");
        Some(self.own_failure((1, CauseKind::MissingFile, text), line, true))
    }

    fn refused_change(&self, base: &str, text: String, line: usize, is_tested: bool) -> ExitStatus {
        let cause = Cause { kind: CauseKind::UnknownUser, text: format!("line {line}: {base} {text}") };
        let outcome = Outcome::Dies { death: Death::Exit(1), at: self.source.path.clone(), cause };
        self.failed(outcome, Vec::new(), Vec::new(), line, is_tested)
    }
}
