//! Programs that may be started where the path to them is not followed to its end: the words of a command whose own
//! name is only known at run time, the words that a program of unknown meaning is given, and the files whose path fits
//! what is known of a name. Where all of them are broken, so is the start.

use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::binfmt::Machine;
use crate::exec::launch::interpret::{MAX_STEPS, UNKNOWN, is_harmless, is_known, may_be};
use crate::exec::launch::walk::{Caller, Ran, Walk};
use crate::exec::launch::wrapper::Style;
use crate::exec::log::{Certainty, Log, Risk, Step};
use crate::exec::outcome::{Outcome, lossy};
use crate::exec::{Cause, CauseKind, Exec};
use crate::image::{NodeId, NodeKind};

/// Files that may have a name of which only a part is known.
const MAX_CANDIDATES: usize = 16;
/// Words of a command that are looked at.
const MAX_WORDS: usize = 256;
/// Files of one name that are looked at.
const MAX_NAMED: usize = 1024;
/// Words that are commands of their own which are tried.
const MAX_LINES: usize = 16;
/// Directories of PATH that cost a word no more than itself.
const FREE_DIRECTORIES: usize = 16;
/// What trying a program costs of a call's budget, and what looking at a word does.
const TRY_STEPS: usize = 20;

/// Programs that start what their arguments name, by a search or a configuration of their own.
const STARTERS: &[&str] = &[
    "su",
    "runuser",
    "sudo",
    "doas",
    "nsenter",
    "start-stop-daemon",
    "script",
    "aws-lambda-rie",
    "dockerize",
    "chamber",
    "envconsul",
    "consul-template",
    "confd",
    "vault-env",
    "pidproxy",
    "multirun",
    "fixuid",
    "fakeroot",
    "xvfb-run",
    "dbus-run-session",
    "dbus-launch",
    "ssh-agent",
    "watchexec",
    "entr",
    "time",
    "strace",
    "numactl",
    "doppler",
    "infisical",
    "op",
    "berglas",
    "secrets-init",
    "ssm-env",
    "summon",
    "sops",
    "teller",
    "uv",
    "poetry",
    "pipenv",
    "rye",
    "conda",
    "mamba",
    "micromamba",
    "bundle",
    "npx",
    "npm",
    "yarn",
    "pnpm",
    "setarch",
    "linux64",
    "linux32",
    "cgexec",
    "softlimit",
    "envdir",
    "s6-envdir",
    "unbuffer",
    "go-init",
    "pid1",
    "systemd-cat",
    "firejail",
    "bwrap",
    "proot",
    "valgrind",
    "multirun",
    "parallel",
];
/// Interpreters whose scripts are not read: what their words name, the script may start.
const INTERPRETERS: &[&str] = &["lua", "tclsh", "Rscript"];
/// Programs whose arguments are files that they read, copy or emulate.
const READERS: &[&str] = &[
    "cp",
    "mv",
    "ln",
    "install",
    "tar",
    "rsync",
    "rm",
    "file",
    "readelf",
    "objdump",
    "objcopy",
    "nm",
    "strings",
    "strip",
    "patchelf",
    "gdb",
    "gdbserver",
    "ldd",
    "upx",
    "java",
    "scp",
    "zip",
    "gzip",
    "xz",
    "zstd",
    "diff",
];

/// Whether a program runs programs of other machines: its arguments are foreign on purpose.
fn is_emulator(name: &str) -> bool {
    ["qemu", "box64", "box86", "FEX", "wine", "rosetta", "blink", "spike", "gem5", "rvemu"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// Whether the file is not there, may not be executed, or is a text that some callers hand to a shell: what may be
/// started may be made before.
fn is_missing(cause: &Cause) -> bool {
    matches!(
        cause.kind,
        CauseKind::NoShebang
            | CauseKind::NotInPath
            | CauseKind::MissingProgram
            | CauseKind::MissingFile
            | CauseKind::MissingScript
            | CauseKind::MissingModule
            | CauseKind::NotExecutable
    )
}

/// One program that may be started, and what became of it.
pub(super) struct Tried {
    outcome: Outcome,
    steps: Vec<Step>,
    says: Vec<String>,
}

impl Tried {
    pub(super) fn is_broken(&self) -> bool {
        match &self.outcome {
            Outcome::Fails { cause, .. } | Outcome::Dies { cause, .. } => !is_missing(cause),
            Outcome::Runs | Outcome::Emulated { .. } | Outcome::Unknown { .. } => false,
        }
    }

    /// Whether it is for another architecture.
    fn is_foreign(&self) -> bool {
        self.outcome.cause().is_some_and(|cause| cause.kind == CauseKind::ForeignArchitecture)
    }
}

impl Machine<'_> {
    /// A command whose name is not known, with the words that follow it. `None`: nothing that it may start is broken,
    /// or not all of it.
    pub(crate) fn may_start(&self, log: &mut Log, argv: &[String], caller: Caller<'_>, walk: &Walk) -> Option<Outcome> {
        let (name, rest) = argv.split_first()?;
        let by_name: Vec<Vec<String>> = self
            .fitting(name)
            .into_iter()
            .map(|path| std::iter::once(path).chain(rest.iter().cloned()).collect())
            .collect();
        if !by_name.is_empty() {
            let tried: Vec<Tried> = by_name.iter().map(|argv| self.try_out(log, argv, caller, walk)).collect();
            // One of several builds is chosen at run time.
            return tried.iter().all(Tried::is_broken).then(|| settle(log, tried)).flatten();
        }
        self.first_named(log, rest, caller, walk)
    }

    /// The first of the words that names a program of the image, with what follows it.
    pub(crate) fn first_named(
        &self,
        log: &mut Log,
        words: &[String],
        caller: Caller<'_>,
        walk: &Walk,
    ) -> Option<Outcome> {
        let at = self.position(log, words, &walk.env)?;
        if !words[at].contains(char::is_whitespace) {
            let tried = self.try_out(log, &words[at..], caller, walk);
            return if tried.is_broken() { settle(log, vec![tried]) } else { None };
        }
        // `concurrently 'server a' 'worker b'`: each such word is a command of its own.
        for line in words[at..].iter().take(MAX_LINES).filter(|word| self.starts_line(word, &walk.env)) {
            let argv = ["/bin/sh", "-c", line].map(str::to_string);
            let tried = self.try_out(log, &argv, caller, walk);
            if tried.is_broken() {
                return settle(log, vec![tried]);
            }
        }
        None
    }

    /// What becomes of a program that is not known to start others, by the words that it is given. `None`: nothing.
    pub(crate) fn follow_handed(&self, log: &mut Log, ran: &Ran, walk: &Walk) -> Option<Outcome> {
        let name = ran.name.as_str();
        let starts = STARTERS.contains(&name);
        let is_reader = is_emulator(name) || READERS.contains(&name) || is_harmless(name);
        if !starts && (is_reader || ran.emulated.is_some()) {
            return None;
        }
        let words = ran.argv.get(1..).unwrap_or_default();
        let caller = plain(name);
        if INTERPRETERS.contains(&name) {
            let script = words.iter().position(|word| !word.starts_with('-'))?;
            return self.first_named(log, &words[script + 1..], caller, walk);
        }
        if starts && let Some(text) = command_text(words) {
            log.open_end::<()>(name, "it looks up by itself what it starts");
            let argv = ["/bin/sh", "-c", text].map(str::to_string);
            return Some(self.try_out(log, &argv, caller, walk))
                .filter(Tried::is_broken)
                .and_then(|tried| settle(log, vec![tried]));
        }
        if starts {
            log.open_end::<()>(name, "it looks up by itself what it starts");
            return self.first_named(log, words, caller, walk);
        }
        let at = self.position(log, words, &walk.env)?;
        let tried = self.try_out(log, &words[at..], caller, walk);
        if !tried.is_broken() {
            return None;
        }
        // What an init program of any name is there for: its first operand.
        let is_first = words[..at].iter().all(|word| word.starts_with('-'));
        if at > 0 && words[at - 1] == "--" || is_first && tried.is_foreign() {
            return settle(log, vec![tried]);
        }
        let by = ran.argv[0].clone();
        let certainty = Certainty::Possible;
        log.risks.push(Risk { outcome: tried.outcome, steps: tried.steps, by, line: 0, certainty });
        None
    }

    /// A call that was not followed to its end: the first of its words that names a program which was not met.
    pub(crate) fn unfollowed(&self, log: &mut Log, call: &Exec, walk: &Walk) -> Option<Outcome> {
        let is_met = |word: &&String| log.steps.iter().any(|step| step.typed == **word);
        let words: Vec<String> =
            call.argv.iter().skip(1).skip_while(|word| is_met(word) || word.starts_with('-')).cloned().collect();
        self.first_named(log, &words, plain(call.argv.first()?), walk)
    }

    fn position(&self, log: &mut Log, words: &[String], env: &[String]) -> Option<usize> {
        if log.budget.steps >= MAX_STEPS {
            return None;
        }
        // A search of PATH looks at each of its directories, which an image may have many of.
        let directories = variable(env, "PATH").unwrap_or(DEFAULT_PATH).split(':').count();
        log.budget.steps += words.len().min(MAX_WORDS) * (1 + directories / FREE_DIRECTORIES);
        if log.budget.steps >= MAX_STEPS {
            return None;
        }
        let is_start = |word: &String| self.names_program(word, env) || self.starts_line(word, env);
        words.iter().take(MAX_WORDS).position(is_start)
    }

    /// Whether a word is a command line: it begins with the name of a program.
    fn starts_line(&self, word: &str, env: &[String]) -> bool {
        let Some((first, _)) = word.split_once(' ') else { return false };
        !first.contains('=') && !word.contains('\n') && self.names_program(first, env)
    }

    /// Whether a word is the path of an executable file of the image, or the name of one on PATH.
    pub(super) fn names_program(&self, word: &str, env: &[String]) -> bool {
        if !is_known(word) || word.is_empty() || word.starts_with('-') || word.contains(char::is_whitespace) {
            return false;
        }
        if word.contains('/') {
            return self.is_program(word);
        }
        let path = variable(env, "PATH").unwrap_or(DEFAULT_PATH);
        path.split(':')
            .filter(|directory| !directory.is_empty())
            .any(|directory| self.is_program(&format!("{}/{word}", directory.trim_end_matches('/'))))
    }

    fn is_program(&self, path: &str) -> bool {
        self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true).is_ok_and(|id| self.is_executable(id))
    }

    fn is_executable(&self, id: NodeId) -> bool {
        let view = self.rootfs.view(id);
        view.kind == NodeKind::File && view.mode & 0o111 != 0 && view.fact.is_some()
    }

    /// The executable files whose path fits what is known of a name: its last part is.
    fn fitting(&self, name: &str) -> Vec<String> {
        let Some((directory, base)) = name.rsplit_once('/') else { return Vec::new() };
        let is_whole = !base.is_empty() && is_known(base);
        if !is_whole || is_known(name) && directory.starts_with('/') {
            return Vec::new();
        }
        // A relative path is below a directory that is not known.
        let pattern = match name.starts_with('/') {
            true => name.to_string(),
            false => format!("{UNKNOWN}/{}", name.trim_start_matches([UNKNOWN, '.']).trim_start_matches('/')),
        };
        let files = self.rootfs.named(base.as_bytes()).take(MAX_NAMED).filter(|view| self.is_executable(view.id));
        files
            .map(|view| lossy(&self.rootfs.path(view.id)))
            .filter(|path| may_be(&pattern, path))
            .take(MAX_CANDIDATES)
            .collect()
    }

    pub(super) fn try_out(&self, log: &mut Log, argv: &[String], caller: Caller<'_>, walk: &Walk) -> Tried {
        log.budget.steps += TRY_STEPS;
        let mut own = Log { budget: std::mem::take(&mut log.budget), ..Log::default() };
        let walk = Walk { depth: walk.depth + 1, is_open: true, ..walk.clone() };
        let name = argv.first().map_or("", String::as_str);
        let outcome = self.run_command(&mut own, name, argv, caller, &walk);
        log.budget = own.budget;
        log.asked.merge(own.asked);
        log.visited.extend(own.visited);
        Tried { outcome, steps: own.steps, says: own.says }
    }
}

/// A program that starts another in a way and in words of its own.
pub(super) fn plain(name: &str) -> Caller<'_> {
    Caller::Wrapper { style: Style::Plain, name, falls_back: false }
}

/// What all that may be started comes to, which is broken: the first of it stands for the rest.
pub(super) fn settle(log: &mut Log, tried: Vec<Tried>) -> Option<Outcome> {
    let first = tried.into_iter().next()?;
    log.steps.extend(first.steps);
    log.says.extend(first.says);
    Some(first.outcome)
}

/// `su user -c TEXT`
fn command_text(words: &[String]) -> Option<&str> {
    let at = words.iter().position(|word| word == "-c" || word == "--command")?;
    words.get(at + 1).map(String::as_str).filter(|text| is_known(text))
}

#[cfg(test)]
#[path = "perhaps_tests.rs"]
mod tests;
