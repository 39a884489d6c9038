//! Finds programs that may be started where following stops before the program: the words of a command whose own name
//! is only known at run time, the arguments of a program whose effect is unknown, and the files whose path matches the
//! known part of a name. If all of them are broken, so is the start.

use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpret::{UNKNOWN, is_harmless, is_known, may_be};
use crate::exec::launch::walk::{Caller, Ran, StartWalk};
use crate::exec::launch::wrapper::FailureStyle;
use crate::exec::log::{Certainty, Log, OpenedFile, Risk};
use crate::exec::outcome::{Outcome, lossy};
use crate::exec::{Cause, CauseKind, Exec};
use crate::image::{NodeId, NodeKind};

/// Maximum number of files that may have a partly known name.
const MAX_CANDIDATES: usize = 16;
/// Maximum number of words of a command that are examined.
const MAX_WORDS: usize = 256;
/// Maximum number of files of one name that are examined.
const MAX_NAMED: usize = 1024;
/// Maximum number of words that are tried as command lines.
const MAX_LINES: usize = 16;
/// This many directories of PATH add as much to the cost of a word as the word itself.
const FREE_DIRECTORIES: usize = 16;
/// The cost of trying a program, in steps of a call's budget.
const TRY_STEPS: usize = 20;

/// Programs that start a program named in their arguments, with their own search or configuration.
const STARTERS: &[&str] = &[
    "doas",
    "nsenter",
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
    "dbus-launch",
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
    "unbuffer",
    "go-init",
    "pid1",
    "systemd-cat",
    "firejail",
    "bwrap",
    "proot",
    "valgrind",
    "parallel",
    "daemonize",
    "sg",
    "newgrp",
    "capsh",
    "chronic",
    "ifne",
    "faketime",
    "cpulimit",
    "proxychains",
    "proxychains4",
    "torsocks",
    "runcon",
    "ltrace",
    "wait4x",
    "wait-for",
    "wait-for-it",
    "godotenv",
    "cross-env",
    "env-cmd",
    "dotenv",
    "dotenvx",
    "concurrently",
    "nodemon",
    "ddtrace-run",
    "opentelemetry-instrument",
    "newrelic-admin",
    "aws-vault",
];
/// Interpreters whose scripts are not read. A script may start the programs that its arguments name.
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

/// Whether a program runs programs of other architectures, so its arguments are foreign on purpose.
fn is_emulator(name: &str) -> bool {
    ["qemu", "box64", "box86", "FEX", "wine", "rosetta", "blink", "spike", "gem5", "rvemu"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// Whether the file does not exist, is not executable, or is text that some callers pass to a shell. An earlier command
/// may create such a file.
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

/// One program that may be started, and its outcome.
pub(super) struct Tried {
    outcome: Outcome,
    steps: Vec<OpenedFile>,
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

impl ExecMachine<'_> {
    /// Judges a command whose name is not known, with the words after it. `None` unless everything that it may start is
    /// broken.
    pub(crate) fn may_start(
        &self,
        log: &mut Log,
        argv: &[String],
        caller: Caller<'_>,
        walk: &StartWalk,
    ) -> Option<Outcome> {
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

    /// Judges the first word that names a program of the image, with the words after it.
    pub(crate) fn first_named(
        &self,
        log: &mut Log,
        words: &[String],
        caller: Caller<'_>,
        walk: &StartWalk,
    ) -> Option<Outcome> {
        let at = self.position(log, words, &walk.env)?;
        if !words[at].contains(char::is_whitespace) {
            let tried = self.try_out(log, &words[at..], caller, walk);
            return if tried.is_broken() { settle(log, vec![tried]) } else { None };
        }
        // `concurrently 'server --port 1' worker`: each word is a separate command.
        let is_command = |word: &&String| self.starts_line(word, &walk.env) || self.names_program(word, &walk.env);
        for line in words[at..].iter().take(MAX_LINES).filter(is_command) {
            let argv = ["/bin/sh", "-c", line].map(str::to_string);
            let tried = self.try_out(log, &argv, caller, walk);
            if tried.is_broken() {
                return settle(log, vec![tried]);
            }
        }
        None
    }

    /// Judges the program that the arguments of a program name. `None` if it does not decide the outcome.
    pub(crate) fn follow_handed(&self, log: &mut Log, ran: &Ran, walk: &StartWalk) -> Option<Outcome> {
        let name = ran.name.as_str();
        let starts = STARTERS.contains(&name);
        let is_reader = is_emulator(name) || READERS.contains(&name) || is_harmless(name);
        if !starts && (is_reader || ran.emulated.is_some()) {
            return None;
        }
        let words = ran.argv.get(1..).unwrap_or_default();
        let caller = plain(name);
        // `lua5.4`
        if INTERPRETERS.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')) {
            let script = words.iter().position(|word| !word.starts_with('-'))?;
            let found = self.first_named(log, &words[script + 1..], caller, walk);
            return found.or_else(|| self.follow_quoted(log, name, &words[script], walk));
        }
        if starts && let Some(text) = command_text(words) {
            log.open_end::<()>(name, "it searches for the program to start itself");
            let argv = ["/bin/sh", "-c", text].map(str::to_string);
            return Some(self.try_out(log, &argv, caller, walk))
                .filter(Tried::is_broken)
                .and_then(|tried| settle(log, vec![tried]));
        }
        if starts {
            log.open_end::<()>(name, "it searches for the program to start itself");
            return self.first_named(log, words, caller, walk);
        }
        if name == "socat" {
            return self.follow_addresses(log, words, walk);
        }
        let at = self.position(log, words, &walk.env)?;
        let tried = self.try_out(log, &words[at..], caller, walk);
        if !tried.is_broken() {
            return None;
        }
        // The purpose of an init program of any name: its first operand.
        let is_first = words[..at].iter().all(|word| word.starts_with('-'));
        if at > 0 && words[at - 1] == "--" || is_first && tried.is_foreign() {
            return settle(log, vec![tried]);
        }
        let by = ran.argv[0].clone();
        let certainty = Certainty::Possible;
        log.risks.push(Risk { outcome: tried.outcome, steps: tried.steps, by, line: 0, certainty });
        None
    }

    /// `socat TCP-LISTEN:7,fork EXEC:/app`
    fn follow_addresses(&self, log: &mut Log, words: &[String], walk: &StartWalk) -> Option<Outcome> {
        for word in words {
            let Some((kind, rest)) = word.split_once(':') else { continue };
            let text = rest.split(',').next().unwrap_or_default().trim_matches(['"', '\'']);
            let argv: Vec<String> = match kind.to_ascii_uppercase().as_str() {
                "EXEC" => text.split_whitespace().map(str::to_string).collect(),
                "SYSTEM" | "SHELL" => ["/bin/sh", "-c", text].map(str::to_string).to_vec(),
                _ => continue,
            };
            let tried = self.try_out(log, &argv, plain("socat"), walk);
            if tried.is_broken() {
                return settle(log, vec![tried]);
            }
        }
        None
    }

    /// Judges the first word, of a call that was not followed to its end, that names a program not yet seen.
    pub(crate) fn unfollowed(&self, log: &mut Log, call: &Exec, walk: &StartWalk) -> Option<Outcome> {
        let is_met = |word: &&String| log.steps.iter().any(|step| step.typed == **word);
        let words: Vec<String> =
            call.argv.iter().skip(1).skip_while(|word| is_met(word) || word.starts_with('-')).cloned().collect();
        self.first_named(log, &words, plain(call.argv.first()?), walk)
    }

    fn position(&self, log: &mut Log, words: &[String], env: &[String]) -> Option<usize> {
        if log.budget.left() == 0 {
            return None;
        }
        // A search of PATH examines each of its directories, and an image may have many.
        let directories = variable(env, "PATH").unwrap_or(DEFAULT_PATH).split(':').count();
        log.budget.steps += words.len().min(MAX_WORDS) * (1 + directories / FREE_DIRECTORIES);
        if log.budget.left() == 0 {
            return None;
        }
        let is_start = |word: &String| self.names_program(word, env) || self.starts_line(word, env);
        words.iter().take(MAX_WORDS).position(is_start)
    }

    /// Whether a word is a command line: it begins with a program's name.
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
        let name = path.rsplit('/').next().unwrap_or(path);
        // A library among the arguments is loaded, not started.
        if name.ends_with(".so") || name.contains(".so.") {
            return false;
        }
        self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true).is_ok_and(|id| self.is_executable(id))
    }

    fn is_executable(&self, id: NodeId) -> bool {
        let view = self.rootfs.view(id);
        view.kind == NodeKind::File && view.mode & 0o111 != 0 && view.fact.is_some()
    }

    /// Returns the executable files whose path matches a partly known name. The last part of the name must be known.
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

    pub(super) fn try_out(&self, log: &mut Log, argv: &[String], caller: Caller<'_>, walk: &StartWalk) -> Tried {
        log.budget.steps += TRY_STEPS;
        let mut own = Log { budget: std::mem::take(&mut log.budget), ..Log::default() };
        let walk = StartWalk { depth: walk.depth + 1, is_open: true, keeps_programs: false, ..walk.clone() };
        let name = argv.first().map_or("", String::as_str);
        let outcome = self.run_command(&mut own, name, argv, caller, &walk);
        log.absorb(&mut own);
        Tried { outcome, steps: own.steps, says: own.says }
    }
}

/// A program that starts another with its own search and its own messages.
pub(super) fn plain(name: &str) -> Caller<'_> {
    Caller::Wrapper { style: FailureStyle::Plain, name, falls_back: false }
}

/// Ends the call with the first of several programs, all of which are broken.
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
