//! Follows a call from the program that it starts to the program that it is for: through init wrappers, `env`, shells
//! and their scripts, interpreters and their files, as far as the image determines them. Stops where the rest depends
//! on run time, and records why.

use std::borrow::Cow;

use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::access::config;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::accounts;
use crate::exec::launch::by_loader::is_loader;
use crate::exec::launch::interpret;
use crate::exec::launch::interpreter::FileInterpreter;
use crate::exec::launch::services;
use crate::exec::launch::shells;
use crate::exec::launch::walk::{Caller, Ran, StartWalk};
use crate::exec::launch::wrapper::{self, FailureStyle};
use crate::exec::loader::LoaderFamily;
use crate::exec::log::{Link, Log, OpenedFile};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Errno, Outcome};
use crate::inspect::FileKind;

/// Maximum number of programs that start one another by their arguments; real chains have two or three.
const MAX_DEPTH: usize = 12;
/// Causes of ENOEXEC after which a shell reads the file as a script.
const TEXTS: &[CauseKind] = &[
    CauseKind::NoShebang,
    CauseKind::EmptyFile,
    CauseKind::ScriptBlank,
    CauseKind::ScriptBom,
    CauseKind::EmptyShebang,
    CauseKind::LongShebang,
];
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "ksh", "zsh", "mksh"];

/// A command that cannot be executed, and the file of that name that was found, if any.
struct Missing {
    errno: Errno,
    cause: Cause,
    met: Option<String>,
}

/// The result of a search for a command.
#[derive(Clone, Copy)]
enum SearchResult<'f> {
    At(&'f str),
    /// No executable file; the file of that name, if there is one.
    Not(Option<&'f str>),
}

/// Whether shells stop reading a file of this format: it has NUL bytes before the end of its first line. A PE file may
/// also be a script, as Cosmopolitan's are.
pub(super) fn is_binary(kind: &FileKind) -> bool {
    matches!(kind, FileKind::Elf(_) | FileKind::MachO(_) | FileKind::Wasm | FileKind::JavaClass | FileKind::Zip(_))
}

/// Whether the shell with this file name has the options of a known shell. zsh and ksh have their own.
pub(super) fn has_known_options(file: &str) -> bool {
    !["zsh", "ksh", "mksh", "rksh", "lksh"].iter().any(|name| file.starts_with(name))
}

/// Returns the fault in a script's first line that makes `env` search for the wrong name: the script, and why.
fn first_line_fault(log: &Log, name: &str) -> Option<(String, Cause)> {
    let (kind, text) = match () {
        () if name.ends_with('\r') => {
            let text = format!("its first line ends in a carriage return, so env looks for {name:?}");
            (CauseKind::CarriageReturn, text)
        }
        () if name.contains(char::is_whitespace) => {
            (CauseKind::ShebangOption, format!("its first line passes {name:?} to env as one program name"))
        }
        () => return None,
    };
    Some((shebangs_script(log)?, Cause { kind, text }))
}

/// Whether a `#!` line started the running program, and this word is not its script but an option in that line.
pub(super) fn is_shebangs_word(log: &Log, word: &str) -> bool {
    shebangs_script(log).is_some_and(|script| script != word)
}

/// Returns the script whose `#!` line started the running program.
fn shebangs_script(log: &Log) -> Option<String> {
    let started = log.steps.iter().rposition(|step| step.link == Link::Shebang)?;
    let only_loaders = log.steps[started + 1..].iter().all(|step| step.link == Link::Loader);
    log.steps.get(started.checked_sub(1)?).filter(|_| only_loaders).map(|script| script.typed.clone())
}

impl Caller<'_> {
    /// The caller's name in its messages.
    fn name(&self) -> String {
        match self {
            Caller::Wrapper { name, .. } => name.to_string(),
            Caller::Shell { label, .. } => label.to_string(),
        }
    }

    /// The environment in which the caller searches for a command. Without PATH, execvp has a default of its C library.
    /// Source: glibc's confstr(3), `_CS_PATH`; musl's src/process/execvp.c.
    fn search_env<'w>(self, walk: &'w StartWalk) -> Cow<'w, [String]> {
        let path = match self {
            Caller::Shell { .. } => None,
            Caller::Wrapper { falls_back: true, .. } => Some("PATH=/bin:/usr/bin"),
            Caller::Wrapper { falls_back: false, .. } => Some("PATH=/usr/local/bin:/bin:/usr/bin"),
        };
        match path.filter(|_| variable(&walk.env, "PATH").is_none()) {
            Some(path) => vec![path.to_string()].into(),
            None => (&walk.env[..]).into(),
        }
    }

    /// How the caller ends if its child ends like this.
    fn reported(self, death: Death) -> Death {
        match self {
            Caller::Wrapper { style, .. } => style.reported(death),
            Caller::Shell { .. } => death,
        }
    }
}

impl<'a> ExecMachine<'a> {
    /// Starts a program and follows the programs that it starts.
    pub(crate) fn walk(&self, log: &mut Log, path: &[u8], argv: &[Vec<u8>], walk: &StartWalk, link: Link) -> Outcome {
        match self.start(log, path, argv, &walk.env, link) {
            Ok(ran) => {
                let alive = ran.emulated.clone().map_or(Outcome::Runs, |by| Outcome::Emulated { by });
                let outcome = self.follow(log, ran, walk).unwrap_or(Outcome::Runs);
                if outcome == Outcome::Runs { alive } else { outcome }
            }
            Err(outcome) => outcome,
        }
    }

    /// Follows the programs that a running program starts. `None` if the call is for the program itself.
    pub(super) fn follow(&self, log: &mut Log, ran: Ran, walk: &StartWalk) -> Option<Outcome> {
        if walk.depth >= MAX_DEPTH {
            // `#!/usr/bin/env NAME=VALUE program` without `-S` starts the script itself.
            let is_again = |step: &OpenedFile| log.steps.iter().filter(|other| other.path == step.path).count() > 3;
            let mut scripts = log.steps.windows(2).filter(|pair| pair[1].link == Link::Shebang).map(|pair| &pair[0]);
            if let Some(step) = scripts.find(|step| is_again(step)) {
                let text = format!("{} starts itself again, without end", step.typed);
                let cause = Cause { kind: CauseKind::ShebangOption, text };
                return Some(Outcome::Unknown { at: step.typed.clone(), cause });
            }
            return log.open_end(ran.name, "its chain of programs is too long to follow");
        }
        let is_applet = ran.file.starts_with("busybox");
        let ran = match (ran.name.as_str(), ran.argv.get(1)) {
            // `busybox sh -c ...` names the applet in its first argument.
            ("busybox", Some(applet)) => Ran { name: applet.clone(), argv: ran.argv[1..].to_vec(), ..ran },
            _ => ran,
        };
        let mut walk = StartWalk { depth: walk.depth + 1, ..walk.clone() };
        // A script's run-parts is followed by the interpreter.
        let is_own = |kind| kind != services::Supervisor::RunParts || walk.depth == 1;
        if let Some((kind, at)) =
            services::supervisor(self, &ran.name, &ran.file, &ran.argv).filter(|(kind, _)| is_own(*kind))
        {
            return self.supervise(log, kind, &ran.argv[at..], &walk);
        }
        if let Some(call) = accounts::AccountCall::parse(&ran.name, &ran.argv) {
            return self.follow_account(log, &ran, &call, walk);
        }
        if let Some((row, style)) = wrapper::wrapper(&ran.name, is_applet) {
            let wrapped = wrapper::parse(row, style, &ran.argv);
            if let Some(bad) = &wrapped.refused {
                let message = wrapper::refusal(&ran.argv[0], bad, style == FailureStyle::Busybox, ran.falls_back);
                return Some(self.refuse_option(log, &ran, style == FailureStyle::Busybox, message));
            }
            if let Some(user) = &wrapped.user {
                match self.account(user, &walk) {
                    accounts::Account::Uid(uid) => walk.user = Some(uid),
                    accounts::Account::Missing(text) => {
                        return Some(self.refuse_user(log, style, &ran.name, (user, text)));
                    }
                }
            }
            // The GNU programs use argv[0] as their name in messages.
            let name = match style {
                FailureStyle::Quoted | FailureStyle::FailedToRun | FailureStyle::Xargs => ran.argv[0].as_str(),
                _ => ran.name.as_str(),
            };
            // setpriv may keep capabilities.
            let user = wrapped.user.as_deref().filter(|_| ran.name != "setpriv");
            let machine = user.and_then(|user| self.as_user(user, &walk));
            let machine = machine.as_ref().unwrap_or(self);
            let caller = Caller::Wrapper { style, name, falls_back: ran.falls_back && style.uses_execvp() };
            if ran.name == "xargs" {
                return machine.follow_xargs(log, (&ran, wrapped), caller, &walk);
            }
            if ran.name == "sudo" {
                self.enter_sudo(&ran.argv, &mut walk);
            }
            return machine.run_wrapped(log, wrapped, caller, walk);
        }
        match ran.name.as_str() {
            name if SHELLS.contains(&name) => self.follow_shell(log, &ran, &walk),
            "java" => self.follow_java(log, &ran.argv, &walk),
            "dotnet" => self.follow_dotnet(log, &ran, &walk),
            name if let Some(interpreter) = FileInterpreter::from_file_name(name) => {
                self.follow_interpreted(log, &ran, interpreter, &walk)
            }
            name if is_loader(name) && ran.argv.len() > 1 => self.follow_loader(log, &ran, &walk),
            "execlineb" => self.follow_execline(log, &ran, &walk),
            _ => self
                .lacking_runtime(log, &ran, &walk)
                .or_else(|| self.lacks_python_library(log))
                .or_else(|| self.follow_handed(log, &ran, &walk)),
        }
    }

    fn run_wrapped(
        &self,
        log: &mut Log,
        mut wrapped: wrapper::Wrapped,
        caller: Caller<'_>,
        mut walk: StartWalk,
    ) -> Option<Outcome> {
        if wrapped.clears {
            walk.env.clear();
        }
        walk.env.retain(|line| !wrapped.unsets.iter().any(|name| line.split('=').next() == Some(name)));
        walk.env.extend(std::mem::take(&mut wrapped.sets));
        if let Some(directory) = wrapped.chdir {
            return log.open_end(caller.name(), format!("it changes to {directory} first"));
        }
        if let Some(why) = wrapped.refused_by_some.take() {
            let by = caller.name();
            let outcome = self.run_wrapped(log, wrapped, caller, walk);
            return outcome.filter(|outcome| !outcome.is_alive()).or_else(|| log.open_end(by, why));
        }
        if let Some(directory) = wrapped.working_dir.take() {
            return match self.machine_in(&services::from_cwd(self, &directory)) {
                Some(machine) => machine.run_wrapped(log, wrapped, caller, walk),
                None => log.open_end(caller.name(), format!("it changes to {directory}, which is not in the image")),
            };
        }
        if let Some(text) = wrapped.text {
            let shell = variable(&walk.env, "SHELL").unwrap_or("/bin/sh").to_string();
            return Some(self.run_command(log, &shell, &[shell.clone(), "-c".to_string(), text], caller, &walk));
        }
        let name = wrapped.command.first()?.clone();
        Some(self.run_command(log, &name, &wrapped.command, caller, &walk))
    }

    /// Runs a command that a running program names.
    pub(crate) fn run_command(
        &self,
        log: &mut Log,
        name: &str,
        argv: &[String],
        caller: Caller<'_>,
        walk: &StartWalk,
    ) -> Outcome {
        let by = caller.name();
        if !interpret::is_known(name) {
            if let Some(outcome) = self.may_start(log, argv, caller, walk) {
                return outcome;
            }
            return log
                .open_end(by, "it starts a program whose name is only known at run time")
                .unwrap_or(Outcome::Runs);
        }
        let path = match self.find(log, name, &caller.search_env(walk)) {
            Ok(path) => path,
            Err(Missing { errno: Errno::ENOENT, cause, .. })
                if let Some(text) = self.lost_on_path(&cause, name, caller, walk) =>
            {
                let cause = Cause { text, ..cause };
                return self.fail(log, name, (Errno::ENOENT, cause), (caller, walk), (argv, SearchResult::Not(None)));
            }
            Err(Missing { errno: Errno::ENOENT, cause, .. })
                if walk.is_open && (!walk.keeps_programs || name.contains('/')) =>
            {
                let text = format!("{}, unless an earlier command created it", cause.text);
                log.doubt(CauseKind::MissingProgram, text);
                log.open_end::<()>(name, "it is not in the image, but an earlier command may create it");
                return Outcome::Runs;
            }
            Err(Missing { errno: Errno::EACCES, cause: Cause { kind: CauseKind::NotExecutable, .. }, .. })
                if walk.has_new_modes =>
            {
                log.open_end::<()>(name, "it is not executable in the image, but an earlier command may change that");
                return Outcome::Runs;
            }
            Err(Missing { cause: cause @ Cause { kind: CauseKind::NotRead, .. }, met, .. }) => {
                return Outcome::Unknown { at: met.unwrap_or_else(|| name.to_string()), cause };
            }
            Err(missing) => {
                let found = SearchResult::Not(missing.met.as_deref());
                return self.fail(log, name, (missing.errno, missing.cause), (caller, walk), (argv, found));
            }
        };
        self.run_found(log, (name, &path), argv, caller, walk)
    }

    /// Runs a command whose file was found.
    fn run_found(
        &self,
        log: &mut Log,
        (name, path): (&str, &[u8]),
        argv: &[String],
        caller: Caller<'_>,
        walk: &StartWalk,
    ) -> Outcome {
        let bytes: Vec<Vec<u8>> = argv.iter().map(|word| word.clone().into_bytes()).collect();
        let (steps, says) = (log.steps.len(), log.says.len());
        match self.walk(log, path, &bytes, walk, Link::Command(caller.name())) {
            Outcome::Fails { cause, .. }
                if !TEXTS.contains(&cause.kind)
                    && let Some(later) = self.later_on_path(log, (name, path), caller, &walk.env) =>
            {
                log.steps.truncate(steps);
                log.says.truncate(says);
                self.run_found(log, (name, &later), argv, caller, walk)
            }
            Outcome::Fails { errno, at, cause } => {
                let is_missing_program = at.as_bytes() == path;
                let found = SearchResult::At(&lossy(path));
                let outcome = self.fail(log, name, (errno, cause), (caller, walk), (argv, found));
                match outcome {
                    Outcome::Dies { death, cause, .. } if !is_missing_program => Outcome::Dies { death, at, cause },
                    other => other,
                }
            }
            Outcome::Dies { death, at, cause } => Outcome::Dies { death: caller.reported(death), at, cause },
            outcome => outcome,
        }
    }

    /// The search of execvp and of shells, which use the first executable file. Source: posix/execvpe.c.
    fn find(&self, log: &mut Log, name: &str, env: &[String]) -> Result<Vec<u8>, Missing> {
        let refused = |refusal: crate::exec::kernel::access::OpenRefusal, path: &[u8]| Missing {
            errno: refusal.errno.unwrap_or(Errno::EACCES),
            cause: refusal.cause,
            met: Some(lossy(path)),
        };
        if name.contains('/') {
            let opened = self.open(log, name.as_bytes());
            return opened.map(|_| name.as_bytes().to_vec()).map_err(|error| refused(error, name.as_bytes()));
        }
        let path = variable(env, "PATH").unwrap_or(DEFAULT_PATH);
        let mut denied = None;
        for directory in path.split(':') {
            let directory = if directory.is_empty() { "." } else { directory };
            let candidate = format!("{}/{name}", directory.trim_end_matches('/')).into_bytes();
            match self.open(log, &candidate) {
                Ok(_) => return Ok(candidate),
                Err(refusal) if refusal.cause.kind == CauseKind::NotRead => return Err(refused(refusal, &candidate)),
                Err(refusal) if refusal.errno == Some(Errno::EACCES) => {
                    denied = denied.or(Some(refused(refusal, &candidate)));
                }
                Err(_) => {}
            }
        }
        let text = format!("{name} is not in PATH ({path})");
        let cause = Cause { kind: CauseKind::NotInPath, text };
        Err(denied.unwrap_or(Missing { errno: Errno::ENOENT, cause, met: None }))
    }

    /// How the caller ends if its command could not be started, and its message. `found` is the result of its search.
    fn fail(
        &self,
        log: &mut Log,
        name: &str,
        (errno, cause): (Errno, Cause),
        (caller, walk): (Caller<'_>, &StartWalk),
        (argv, found): (&[String], SearchResult<'_>),
    ) -> Outcome {
        let (path, is_search) = match found {
            SearchResult::At(path) => (path, false),
            SearchResult::Not(met) => (met.unwrap_or(name), true),
        };
        let reads_texts = !matches!(caller, Caller::Wrapper { falls_back: false, .. });
        if errno == Errno::ENOEXEC && reads_texts && TEXTS.contains(&cause.kind) {
            return self.read_as_script(log, (name, path), argv, caller, walk);
        }
        // The shell was started by glibc and is the wrapper's child.
        let reads_binary = errno == Errno::ENOEXEC && matches!(caller, Caller::Wrapper { falls_back: true, .. });
        let (line, code, text) = match caller {
            Caller::Wrapper { name: by, .. } if reads_binary => {
                let Some(shell) = self.shell_of_the_system() else {
                    let caller = Caller::Wrapper { falls_back: false, style: FailureStyle::Plain, name: by };
                    return self.fail(log, name, (errno, cause), (caller, walk), (argv, found));
                };
                let (line, code) = shell.reads_binary(path);
                (line, code, format!("{}; {by} passes it to /bin/sh, which cannot read it", cause.text))
            }
            Caller::Wrapper { style, name: by, .. } => {
                let (line, code) = wrapper::failure(style, by, name, errno, is_search);
                if let Some((at, cause)) = first_line_fault(log, name).filter(|_| is_search) {
                    log.says.push(line);
                    return Outcome::Dies { death: Death::Exit(code), at, cause };
                }
                (line, code, cause.text)
            }
            Caller::Shell { kind, label, line, is_exec, .. } => {
                let is_directory = cause.kind == CauseKind::IsDirectory;
                let interpreter = self.first_line_program(path).filter(|_| !is_search);
                let interpreter = interpreter.as_deref();
                let failed = shells::FailedCommand {
                    label,
                    line,
                    name,
                    path,
                    errno,
                    is_exec,
                    is_search,
                    is_directory,
                    interpreter,
                };
                let (message, code) = kind.failure(&failed);
                if is_search && name.ends_with('\r') {
                    log.says.push(message);
                    let text = format!("its line {line} ends in a carriage return, which is part of the word {name:?}");
                    let cause = Cause { kind: CauseKind::CarriageReturn, text };
                    return Outcome::Dies { death: Death::Exit(code), at: label.to_string(), cause };
                }
                (message, code, cause.text)
            }
        };
        log.says.push(line);
        let death = if reads_binary { caller.reported(Death::Exit(code)) } else { Death::Exit(code) };
        Outcome::Dies { death, at: name.to_string(), cause: Cause { text, ..cause } }
    }

    /// Returns the program in the first line of a script.
    fn first_line_program(&self, path: &str) -> Option<String> {
        let id = self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true).ok()?;
        match self.kind(id)? {
            FileKind::Script(script) => Some(lossy(&script.shebang.as_ref().ok()?.interpreter)),
            _ => None,
        }
    }

    /// Ends a program that rejects its options. A `#!` line passes everything after the interpreter as one argument.
    pub(super) fn refuse_option(
        &self,
        log: &mut Log,
        ran: &Ran,
        is_busybox: bool,
        (line, code): (String, u8),
    ) -> Outcome {
        log.says.push(line);
        let (name, word) = (&ran.argv[0], ran.argv.get(1).map_or("", String::as_str));
        let lacks = if is_busybox { ": BusyBox's env has no such option" } else { "" };
        let (at, kind, giver) = match shebangs_script(log) {
            Some(script) => (script, CauseKind::ShebangOption, "its first line passes"),
            None => (name.clone(), CauseKind::BadOption, "the call passes"),
        };
        let text = format!("{giver} {word:?} to {name} as one argument, which it rejects{lacks}");
        Outcome::Dies { death: Death::Exit(code), at, cause: Cause { kind, text } }
    }

    /// Whether a program's libc falls back to /bin/sh: glibc does, musl does not. A static program is assumed to use
    /// its distribution's libc.
    pub(crate) fn falls_back(&self, loader: Option<LoaderFamily>) -> bool {
        match loader {
            Some(family) => family == LoaderFamily::Glibc,
            None => {
                let release = config(self.rootfs, "/etc/os-release").unwrap_or_default();
                !release.lines().any(|line| line == "ID=alpine")
            }
        }
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
