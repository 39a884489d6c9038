//! Node.js package managers, which start what a project's `package.json` names: `npm start`, `yarn serve`, `npx next`.
//! Exit codes and messages are those of npm 11. Source: npm-run-script(1), npm-exec(1), @npmcli/run-script.

use std::rc::Rc;

use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::cwd::Cwd;
use crate::exec::kernel::mounts;
use crate::exec::launch::interpret::is_known;
use crate::exec::launch::perhaps::{plain, settle};
use crate::exec::launch::services::from_cwd;
use crate::exec::launch::walk::StartWalk;
use crate::exec::log::Log;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::NodeId;
use crate::inspect::{FileKind, NpmPackage};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    Bun,
    Npm,
    Npx,
    Yarn,
    Pnpm,
}

/// What the arguments of a package manager start.
#[derive(Debug, PartialEq, Eq)]
enum ManagerAction<'a> {
    /// A script in `package.json`. `is_named`: after a command for scripts, so it cannot mean anything else.
    Script { name: &'a str, words: &'a [String], is_named: bool },
    /// A command of an installed package.
    Command(&'a [String]),
    /// Something else, or unknown.
    Other,
}

/// Options without a value that do not select another project.
const FLAGS: &[&str] = &[
    "-s",
    "-q",
    "-d",
    "-y",
    "-b",
    "--bun",
    "--smol",
    "--hot",
    "--watch",
    "--silent",
    "--quiet",
    "--yes",
    "--offline",
    "--no-install",
    "--verbose",
];
/// Options that select another directory or project.
const ELSEWHERE: &[&str] =
    &["--prefix", "-C", "--cwd", "--dir", "-w", "--workspace", "-F", "--filter", "-r", "--recursive", "--workspaces"];
/// Bun's commands that do not start a script. Source: `bun --help`.
const BUNS_OWN: &[&str] = &[
    "test", "repl", "exec", "install", "i", "add", "a", "remove", "rm", "update", "audit", "outdated", "link",
    "unlink", "publish", "patch", "pm", "info", "why", "build", "init", "create", "c", "upgrade",
];
/// Commands that run the script of the same name.
const SCRIPTS: &[&str] = &["start", "test", "stop", "restart"];

impl Manager {
    /// Returns the manager for the file that node reads: a link on PATH, or the manager's own file.
    pub(super) fn from_file_name(file: &str) -> Option<Manager> {
        match file.rsplit('/').next().unwrap_or(file) {
            "npm" | "npm-cli.js" => Some(Manager::Npm),
            "npx" | "npx-cli.js" | "pnpx" | "pnpx.cjs" => Some(Manager::Npx),
            "yarn" | "yarn.js" | "yarnpkg" => Some(Manager::Yarn),
            "pnpm" | "pnpm.js" | "pnpm.cjs" => Some(Manager::Pnpm),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Manager::Bun => "bun",
            Manager::Npm => "npm",
            Manager::Npx => "npx",
            Manager::Yarn => "yarn",
            Manager::Pnpm => "pnpm",
        }
    }

    /// Parses the words after the manager's name.
    fn action(self, words: &[String]) -> ManagerAction<'_> {
        let Some(words) = after_options(words) else { return ManagerAction::Other };
        let Some((command, rest)) = words.split_first() else { return ManagerAction::Other };
        let named = |rest| match after_options(rest).and_then(<[String]>::split_first) {
            Some((name, words)) => ManagerAction::Script { name, words, is_named: true },
            None => ManagerAction::Other,
        };
        let command_of = |rest| after_options(rest).map_or(ManagerAction::Other, ManagerAction::Command);
        match (self, command.as_str()) {
            (Manager::Npx, _) => ManagerAction::Command(words),
            (_, name) if SCRIPTS.contains(&name) => ManagerAction::Script { name, words: rest, is_named: true },
            (_, "run" | "run-script") => named(rest),
            (Manager::Bun, "x") => command_of(rest),
            (Manager::Bun, name) if BUNS_OWN.contains(&name) => ManagerAction::Other,
            (Manager::Npm, "exec" | "x") | (Manager::Pnpm | Manager::Yarn, "exec") => command_of(rest),
            (Manager::Yarn, "node") => ManagerAction::Command(words),
            (Manager::Yarn | Manager::Pnpm | Manager::Bun, name) => {
                ManagerAction::Script { name, words: rest, is_named: false }
            }
            (Manager::Npm, _) => ManagerAction::Other,
        }
    }

    /// Whether it runs `preNAME` first.
    fn runs_before(self) -> bool {
        matches!(self, Manager::Npm | Manager::Yarn | Manager::Bun)
    }

    /// Returns the words, of those after the script's name, that its script receives.
    fn handed(self, words: &[String]) -> Vec<&String> {
        match self {
            Manager::Npm => {
                let own = words.iter().take_while(|word| *word != "--").filter(|word| !word.starts_with('-'));
                own.chain(words.iter().skip_while(|word| *word != "--").skip(1)).collect()
            }
            Manager::Bun | Manager::Npx | Manager::Yarn | Manager::Pnpm => {
                words.iter().filter(|word| *word != "--").collect()
            }
        }
    }
}

/// Options that select another directory, with their value.
const DIRECTORIES: &[&str] = &["--prefix", "-C", "--cwd", "--dir"];

/// Takes an option that selects another directory out of the words before the first operand.
fn directory(words: &[String]) -> Option<(String, Vec<String>)> {
    let at = words
        .iter()
        .take_while(|word| word.starts_with('-') && *word != "--")
        .position(|word| DIRECTORIES.contains(&word.split('=').next().unwrap_or(word)))?;
    let (value, taken) = match words[at].split_once('=') {
        Some((_, value)) => (value.to_string(), 1),
        None => (words.get(at + 1)?.clone(), 2),
    };
    let rest = words[..at].iter().chain(&words[at + taken..]).cloned().collect();
    is_known(&value).then_some((value, rest))
}

/// Returns the words after options that change nothing. `None` if there is another option.
fn after_options(words: &[String]) -> Option<&[String]> {
    let at = words.iter().position(|word| !word.starts_with('-') || word == "--").unwrap_or(words.len());
    let is_plain = |word: &String| {
        let key = word.split('=').next().unwrap_or(word);
        FLAGS.contains(&word.as_str()) || word.contains('=') && word.starts_with("--") && !ELSEWHERE.contains(&key)
    };
    if !words[..at].iter().all(is_plain) {
        return None;
    }
    Some(words[at..].strip_prefix(&["--".to_string()][..]).unwrap_or(&words[at..]))
}

/// A project: the directory of the nearest `package.json`.
struct NpmProject<'a> {
    directory: String,
    id: NodeId,
    /// `None` if it has no scripts or could not be read.
    package: Option<&'a NpmPackage>,
}

impl<'a> ExecMachine<'a> {
    /// Follows a package manager that node runs with these words. `None` if it runs; `log` records how far it was
    /// followed.
    pub(super) fn follow_manager(
        &self,
        log: &mut Log,
        manager: Manager,
        words: &[String],
        walk: &StartWalk,
    ) -> Option<Outcome> {
        if let Some((directory, rest)) = directory(words) {
            // Directories above it are not searched.
            let directory = from_cwd(self, &directory);
            let machine = self.machine_in(&directory);
            return match machine.filter(|_| self.rootfs.resolve(format!("{directory}/package.json")).is_ok()) {
                Some(machine) => machine.follow_manager(log, manager, &rest, walk),
                None => log.open_end(manager.name(), format!("{directory} has no package.json in the image")),
            };
        }
        let action = manager.action(words);
        let here = lossy(&self.cwd.path(self.rootfs));
        let (name, handed, is_named) = match action {
            ManagerAction::Other => return log.open_end(manager.name(), "the program that it starts is not known"),
            ManagerAction::Command(words) => return self.follow_installed(log, manager, &here, words, walk),
            ManagerAction::Script { name, words, is_named } => (name, words, is_named),
        };
        if !is_known(name) {
            return log.open_end(manager.name(), "the name of its script is only known at run time");
        }
        let Some(project) = self.project(&here) else {
            if walk.is_open || mounts::is_made(self.rootfs, &format!("{here}/package.json")) || !is_named {
                return log.open_end(manager.name(), format!("{here} has no package.json in the image"));
            }
            let path = format!("{}/package.json", here.trim_end_matches('/'));
            log.says.push(format!(
                "npm error enoent Could not read package.json: Error: ENOENT: no such file or directory, open '{path}'"
            ));
            return Some(missing(path.clone(), format!("{} needs {path}, which does not exist", manager.name()), 254));
        };
        // Yarn 2 and later run scripts in their own shell, and find commands through their own tables.
        let is_berry = |name: &&str| self.rootfs.resolve(format!("{}/{name}", project.directory)).is_ok();
        if manager == Manager::Yarn && [".yarnrc.yml", ".pnp.cjs"].iter().any(is_berry) {
            return log.open_end(manager.name(), "it runs scripts in its own shell");
        }
        let Some(package) = project.package else {
            return log.open_end(manager.name(), "the scripts of its package.json are not known");
        };
        let script = |name: &str| package.scripts.iter().find(|(own, _)| own == name).map(|(_, text)| text.as_str());
        let Some(text) = script(name) else {
            return self.without_script(log, manager, &project, (name, handed, is_named), walk);
        };
        let machine = self.machine_in(&project.directory)?;
        let mut walk = self.with_bins(&project.directory, walk);
        if let Some(before) = script(&format!("pre{name}")).filter(|_| manager.runs_before()) {
            let argv = ["sh", "-c", before].map(str::to_string);
            let tried = machine.try_out(log, &argv, plain(manager.name()), &walk);
            if tried.is_broken() {
                return settle(log, vec![tried]);
            }
            (walk.is_open, walk.keeps_programs) = (true, false);
        }
        let words = manager.handed(handed);
        let text = std::iter::once(text.to_string())
            .chain(words.into_iter().filter(|word| is_known(word)).map(|word| quoted(word)));
        let argv = ["sh".to_string(), "-c".to_string(), text.collect::<Vec<_>>().join(" ")];
        Some(machine.run_command(log, "sh", &argv, plain(manager.name()), &walk))
    }

    /// Handles a name for which the project has no script.
    fn without_script(
        &self,
        log: &mut Log,
        manager: Manager,
        project: &NpmProject<'_>,
        (name, words, is_named): (&str, &[String], bool),
        walk: &StartWalk,
    ) -> Option<Outcome> {
        let is_there = |file: &str| self.rootfs.resolve(format!("{}/{file}", project.directory)).is_ok();
        // Bun looks for a command if there is no such script.
        let is_installed = || {
            let walk = self.with_bins(&project.directory, walk);
            self.names_program(name, &walk.env)
        };
        if !is_named || manager == Manager::Bun && is_installed() {
            let command: Vec<String> = std::iter::once(name.to_string()).chain(words.iter().cloned()).collect();
            return self.follow_installed(log, manager, &project.directory, &command, walk);
        }
        let is_optional = words.iter().any(|word| word == "--if-present");
        if name != "start" && SCRIPTS.contains(&name) || is_optional || name == "start" && is_there("server.js") {
            return log.open_end(manager.name(), format!("its package.json has no script {name}"));
        }
        let path = lossy(&self.rootfs.path(project.id));
        log.says.push(match manager {
            Manager::Bun => format!("error: Script not found \"{name}\""),
            Manager::Npm | Manager::Npx => format!("npm error Missing script: \"{name}\""),
            Manager::Yarn => format!("error Command \"{name}\" not found."),
            Manager::Pnpm => format!("ERR_PNPM_NO_SCRIPT  Missing script: {name}"),
        });
        Some(missing(path.clone(), format!("{path} has no script {name:?} for {} to run", manager.name()), 1))
    }

    /// Follows a command of an installed package: from `node_modules/.bin`, otherwise from PATH.
    fn follow_installed(
        &self,
        log: &mut Log,
        manager: Manager,
        directory: &str,
        words: &[String],
        walk: &StartWalk,
    ) -> Option<Outcome> {
        let name = words.first()?;
        let walk = self.with_bins(directory, walk);
        let is_plain = is_known(name) && !name.contains(['/', '@']) && !name.starts_with('-');
        if !is_plain || !self.names_program(name, &walk.env) {
            return log.open_end(manager.name(), "it searches for the program to start itself");
        }
        Some(self.run_command(log, name, words, plain(manager.name()), &walk))
    }

    /// Finds the nearest `package.json` in `directory` or above it.
    fn project(&self, directory: &str) -> Option<NpmProject<'a>> {
        let mut directory = directory.trim_end_matches('/');
        loop {
            if let Ok(id) = self.rootfs.resolve(format!("{directory}/package.json")) {
                let package = match self.rootfs.view(id).fact {
                    Some(FileKind::NpmPackage(package)) if !package.scripts.is_empty() => Some(&**package),
                    _ => None,
                };
                return Some(NpmProject { directory: format!("{directory}/"), id, package });
            }
            directory = directory.rsplit_once('/')?.0;
        }
    }

    pub(super) fn machine_in(&self, directory: &str) -> Option<ExecMachine<'a>> {
        let cwd = Cwd::parse(self.rootfs, directory).ok()?;
        Some(ExecMachine {
            rootfs: self.rootfs,
            node: self.node,
            kernel: self.kernel,
            who: self.who.clone(),
            cwd,
            changes: Rc::clone(&self.changes),
            assumed: self.assumed,
        })
    }

    /// Returns the state with the commands of the project's packages first in PATH, followed by those of the
    /// directories above.
    fn with_bins(&self, directory: &str, walk: &StartWalk) -> StartWalk {
        let directory = directory.trim_end_matches('/');
        let ends = directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]).rev();
        let mut path: Vec<String> = ends.map(|end| format!("{}/node_modules/.bin", &directory[..end])).collect();
        path.retain(|bins| self.rootfs.resolve(bins).is_ok());
        path.push(variable(&walk.env, "PATH").unwrap_or(DEFAULT_PATH).to_string());
        let mut walk = StartWalk { depth: walk.depth + 1, ..walk.clone() };
        walk.env.push(format!("PATH={}", path.join(":")));
        walk
    }
}

fn missing(at: String, text: String, code: u8) -> Outcome {
    Outcome::Dies { death: Death::Exit(code), at, cause: Cause { kind: CauseKind::MissingScript, text } }
}

/// Quotes a word so that a shell reads it back.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
#[path = "managers_tests.rs"]
mod tests;
