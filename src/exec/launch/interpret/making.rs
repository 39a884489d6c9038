//! Commands that make directories, links and copies, and questions whether a program is there.

use std::rc::Rc;

use super::ScriptInterpreter;
use super::state::{ExitStatus, FailedStart, ShellState};
use super::text::{self, Truth};
use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::changes::ModeChange;
use crate::exec::launch::made::{MadePaths, MakingCall, OldText, WrittenFile};
use crate::exec::outcome::Outcome;
use crate::exec::{Cause, CauseKind, Death};

/// Programs that an engine mounts into containers, so that their absence from the image means nothing.
const MOUNTED: &[&str] = &["docker", "podman", "nvidia-smi", "nvidia-container-cli", "rocm-smi", "kubectl"];

/// Whether a word names a program that reads commands, or words of them, from stdin: a shell, or xargs.
pub(super) fn reads_commands(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("sh" | "bash" | "dash" | "ash" | "su" | "runuser" | "xargs"))
}

/// The mode and the operands of `install -m 755 SOURCE... TARGET`. `None` for directories, and without both.
pub(super) fn installed(argv: &[String]) -> Option<(String, Vec<String>)> {
    let (mut mode, mut words) = ("755".to_string(), Vec::new());
    let mut rest = argv.iter().skip(1);
    while let Some(word) = rest.next() {
        match word.strip_prefix("--") {
            Some(long) if long.starts_with("mode=") => mode = long[5..].to_string(),
            Some("directory") => return None,
            Some(_) => {}
            None if word.starts_with('-') && word.len() > 1 => {
                let letters = &word[1..];
                let at = letters.find(['m', 'o', 'g', 't', 'S']);
                if letters[..at.unwrap_or(letters.len())].contains('d') || letters.starts_with('t') {
                    return None;
                }
                let Some(at) = at else { continue };
                let value = match &letters[at + 1..] {
                    "" => rest.next()?.clone(),
                    attached => attached.to_string(),
                };
                if letters[at..].starts_with('m') {
                    mode = value;
                }
            }
            None => words.push(text::plain(word)),
        }
    }
    (words.len() > 1).then_some((mode, words))
}

impl ScriptInterpreter<'_, '_, '_> {
    /// Records what `mkdir`, `ln`, `cp`, `mv` and `crontab` make. Returns true if the command is known to do nothing
    /// else.
    pub(super) fn make_paths(&self, state: &mut ShellState, name: &str, argv: &[String]) -> bool {
        let base = name.rsplit('/').next().unwrap_or(name);
        if !matches!(base, "mkdir" | "ln" | "cp" | "mv" | "crontab" | "install" | "tee") {
            return false;
        }
        let is_option = |word: &&String| word.starts_with('-') && word.len() > 1;
        if argv.iter().any(|word| !text::is_known(word)) {
            return false;
        }
        if base == "crontab" {
            return self.install_table(state, argv);
        }
        let options: Vec<&str> = argv.iter().skip(1).filter(is_option).map(String::as_str).collect();
        let words: Vec<String> =
            argv.iter().skip(1).filter(|word| !is_option(word)).map(|word| text::plain(word)).collect();
        if base == "tee" {
            self.tee(state, &options, &words);
            return false;
        }
        let is_link = base == "ln";
        let is_install = base == "install";
        let mut mode = None;
        let words = match is_install {
            true => match installed(argv) {
                Some((own, words)) => {
                    mode = ModeChange::parse(&own);
                    words
                }
                None => return false,
            },
            false => words,
        };
        let base = if is_install { "cp" } else { base };
        let mut operands = Vec::new();
        for (at, word) in words.iter().enumerate() {
            // A link's source is relative to the link's own directory.
            if is_link && at + 1 < words.len() && !word.starts_with('/') {
                return false;
            }
            let Some(path) = self.absolute(state, word) else { return false };
            operands.push(path);
        }
        let call = MakingCall { name: base, options: &options, operands: &operands };
        let is_recorded = Rc::make_mut(&mut state.made).record(self.machine.rootfs, &call);
        if let (Some(mode), Some((target, sources))) = (mode, operands.split_last()) {
            for source in sources {
                let name = source.rsplit('/').next().unwrap_or_default();
                let made = Rc::make_mut(&mut state.made);
                let inside = format!("{}/{name}", target.trim_end_matches('/'));
                if !made.change_mode(self.machine.rootfs, &inside, &mode) {
                    made.change_mode(self.machine.rootfs, target, &mode);
                }
            }
        }
        is_recorded && is_link
    }

    /// `tee FILE...`
    fn tee(&self, state: &mut ShellState, options: &[&str], words: &[String]) {
        let rootfs = self.machine.rootfs;
        let text = state.input.as_ref().map(|lines| lines.iter().map(|line| format!("{line}\n")).collect());
        let text: String = text.unwrap_or_else(|| text::HOLE.to_string());
        for path in words.iter().filter_map(|word| self.absolute(state, word)).collect::<Vec<_>>() {
            Rc::make_mut(&mut state.written).insert(path.clone());
            let old_text: Option<OldText> = options.contains(&"-a").then_some(super::files::old_text);
            Rc::make_mut(&mut state.made).write(rootfs, &path, &text, old_text);
        }
    }

    /// Returns the file that a program's name stands for if the script wrote it, with its path.
    pub(super) fn written_program(
        &self,
        state: &ShellState,
        name: &str,
        env: &[String],
    ) -> Option<(String, WrittenFile)> {
        if *state.made == MadePaths::default() {
            return None;
        }
        let written = |path: String| state.made.written(self.machine.rootfs, &path).map(|file| (path, file));
        if name.contains('/') {
            return written(self.absolute(state, name)?);
        }
        let path = text::plain(variable(env, "PATH").unwrap_or(DEFAULT_PATH));
        let directories = path.split(':').filter(|directory| text::is_known(directory));
        let paths = directories.map(|directory| format!("{}/{name}", directory.trim_end_matches('/')));
        let first = paths.into_iter().find_map(|path| match written(path.clone()) {
            Some(file) if file.1.is_executable => Some(Some(file)),
            _ => self.find_node(&path, true).map(|_| None),
        });
        first.flatten()
    }

    /// Returns the file that a program's name stands for if the script linked or copied it.
    pub(super) fn made_program(&self, state: &ShellState, name: &str, env: &[String]) -> Option<String> {
        if *state.made == MadePaths::default() {
            return None;
        }
        let source = |path: String| state.made.source(self.machine.rootfs, &path);
        if name.contains('/') {
            return source(self.absolute(state, name)?);
        }
        let path = text::plain(variable(env, "PATH").unwrap_or(DEFAULT_PATH));
        let directories = path.split(':').filter(|directory| text::is_known(directory));
        let paths = directories.map(|directory| format!("{}/{name}", directory.trim_end_matches('/')));
        let first = paths.into_iter().find_map(|path| match self.find_node(&path, true) {
            Some(_) => Some(None),
            None => source(path).map(Some),
        });
        first.flatten()
    }

    /// `crontab FILE` and `crontab -u USER FILE`
    fn install_table(&self, state: &mut ShellState, argv: &[String]) -> bool {
        if let ([_, word], Some(lines)) = (argv, &state.input)
            && word == "-"
        {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let path = "/var/spool/cron/crontabs/root";
            Rc::make_mut(&mut state.made).write(self.machine.rootfs, path, &text, None);
            return true;
        }
        let (user, file) = match argv {
            [_, file] if !file.starts_with('-') => ("root", file),
            [_, option, user, file] if option == "-u" && !file.starts_with('-') => (user.as_str(), file),
            _ => return false,
        };
        let Some(file) = self.absolute(state, file).filter(|path| !state.written.contains(path)) else { return false };
        let operands = [file, format!("/var/spool/cron/crontabs/{user}")];
        let call = MakingCall { name: "cp", options: &[], operands: &operands };
        Rc::make_mut(&mut state.made).record(self.machine.rootfs, &call)
    }

    /// The status of `command -v`, `which` and similar for a program that is not in the image.
    pub(super) fn absent(&self, state: &ShellState, name: &str, line: usize) -> ExitStatus {
        let status = ExitStatus::from_truth(Truth::No);
        let name = text::plain(name);
        if MOUNTED.contains(&name.rsplit('/').next().unwrap_or(&name)) {
            return status;
        }
        let env = state.environment();
        let path = text::plain(variable(&env, "PATH").unwrap_or(DEFAULT_PATH));
        let absent = match name.contains('/') {
            true => format!("{name}, which is not in the image"),
            false => format!("{name}, which is not in PATH ({path})"),
        };
        let text = format!("line {line} asks for {absent}, and the script ends without it");
        let cause = Cause { kind: CauseKind::NotInPath, text };
        let outcome = Outcome::Dies { death: Death::Exit(1), at: self.source.path.clone(), cause };
        let blame = FailedStart { outcome, steps: Vec::new(), says: Vec::new(), line, is_tested: true, is_query: true };
        ExitStatus { blame: Some(Rc::new(blame)), ..status }
    }
}
