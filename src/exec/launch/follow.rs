//! From the program that a call starts to the program that it is for: through init wrappers, `env`, shells and their
//! scripts, interpreters and their files, as far as the image tells. Where only run time tells, it says so and stops.

use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::access::{config, not_read};
use crate::exec::kernel::binfmt::Machine;
use crate::exec::kernel::mounts;
use crate::exec::kernel::why::describe;
use crate::exec::launch::interpret::{self, ShellCall};
use crate::exec::launch::interpreter::Interpreter;
use crate::exec::launch::services;
use crate::exec::launch::shells::{self, Shell};
use crate::exec::launch::walk::{Caller, Ran, Walk};
use crate::exec::launch::wrapper::{self, Style};
use crate::exec::loader::Family;
use crate::exec::log::{Link, Log};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Errno, Outcome};
use crate::image::ResolveError;
use crate::inspect::FileKind;

/// Programs that start one another by their arguments; real chains have two or three.
const MAX_DEPTH: usize = 12;
/// Causes of ENOEXEC for which a file is text that a shell reads as its own.
const TEXTS: &[CauseKind] = &[
    CauseKind::NoShebang,
    CauseKind::EmptyFile,
    CauseKind::ScriptBlank,
    CauseKind::ScriptBom,
    CauseKind::EmptyShebang,
    CauseKind::LongShebang,
];
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "ksh", "zsh", "mksh"];

/// A command that cannot be executed, and the file of its name that was met.
struct Missing {
    errno: Errno,
    cause: Cause,
    met: Option<String>,
}

/// What a search for a command came to.
#[derive(Clone, Copy)]
enum Found<'f> {
    At(&'f str),
    /// Nothing that may be executed; a file of that name where there is one.
    Not(Option<&'f str>),
}

/// Whether a file is of a format that no shell reads on: zeros come before its first line's end. A PE file may be a
/// script besides, as Cosmopolitan's are.
fn is_binary(kind: &FileKind) -> bool {
    matches!(kind, FileKind::Elf(_) | FileKind::MachO(_) | FileKind::Wasm | FileKind::JavaClass | FileKind::Zip(_))
}

/// Whether a program of this name is a C library's loader, which takes a program as its argument.
fn is_loader(name: &str) -> bool {
    ["ld-linux", "ld-musl-", "ld64.so", "ld.so"].iter().any(|start| name.starts_with(start))
}

/// Whether the options of the shell with this file are those of one that is known: zsh and ksh have words of their own.
fn is_told(file: &str) -> bool {
    !["zsh", "ksh", "mksh", "rksh", "lksh"].iter().any(|name| file.starts_with(name))
}

/// What is wrong with a script's first line where `env` does not find the name that it gives: the script, and why.
fn first_line_fault(log: &Log, name: &str) -> Option<(String, Cause)> {
    let (kind, text) = match () {
        () if name.ends_with('\r') => {
            let text = format!("its first line ends in a carriage return, so env looks for {name:?}");
            (CauseKind::CarriageReturn, text)
        }
        () if name.contains(char::is_whitespace) => {
            (CauseKind::ShebangOption, format!("its first line gives env {name:?} as the name of one program"))
        }
        () => return None,
    };
    Some((shebangs_script(log)?, Cause { kind, text }))
}

/// Whether the program that runs was started for a script, by a line that names this word after it.
fn is_shebangs_word(log: &Log, word: &str) -> bool {
    shebangs_script(log).is_some_and(|script| script != word)
}

/// The script that the program which runs was started for, by its first line.
fn shebangs_script(log: &Log) -> Option<String> {
    let started = log.steps.iter().rposition(|step| step.link == Link::Shebang)?;
    let only_loaders = log.steps[started + 1..].iter().all(|step| step.link == Link::Loader);
    log.steps.get(started.checked_sub(1)?).filter(|_| only_loaders).map(|script| script.typed.clone())
}

impl Caller<'_> {
    /// What the caller calls itself.
    fn name(&self) -> String {
        match self {
            Caller::Wrapper { name, .. } => name.to_string(),
            Caller::Shell { label, .. } => label.to_string(),
        }
    }

    /// How the caller ends whose child ended so.
    fn reported(self, death: Death) -> Death {
        match self {
            Caller::Wrapper { style, .. } => style.reported(death),
            Caller::Shell { .. } => death,
        }
    }
}

impl<'a> Machine<'a> {
    /// Starts a program and follows what it starts in its turn.
    pub(crate) fn walk(&self, log: &mut Log, path: &[u8], argv: &[Vec<u8>], walk: &Walk, link: Link) -> Outcome {
        match self.start(log, path, argv, &walk.env, link) {
            Ok(ran) => {
                let alive = ran.emulated.clone().map_or(Outcome::Runs, |by| Outcome::Emulated { by });
                let outcome = self.follow(log, ran, walk).unwrap_or(Outcome::Runs);
                if outcome == Outcome::Runs { alive } else { outcome }
            }
            Err(outcome) => outcome,
        }
    }

    /// What becomes of a running program by what it starts. `None`: it is the program itself that the call is for.
    fn follow(&self, log: &mut Log, ran: Ran, walk: &Walk) -> Option<Outcome> {
        if walk.depth >= MAX_DEPTH {
            return log.open_end(ran.name, "its programs start one another too often to follow");
        }
        let is_applet = ran.file.starts_with("busybox");
        let ran = match (ran.name.as_str(), ran.argv.get(1)) {
            // `busybox sh -c ...` names the applet by its first argument.
            ("busybox", Some(applet)) => Ran { name: applet.clone(), argv: ran.argv[1..].to_vec(), ..ran },
            _ => ran,
        };
        let mut walk = Walk { depth: walk.depth + 1, ..walk.clone() };
        if let Some((kind, at)) = services::supervisor(self, &ran.name, &ran.file, &ran.argv) {
            self.supervise(log, kind, &ran.argv[at..], &walk);
            return None;
        }
        if let Some((row, style)) = wrapper::wrapper(&ran.name, is_applet) {
            let rest = wrapper::rest(row, style, &ran.argv);
            if let Some(bad) = &rest.refused {
                let said = wrapper::refusal(&ran.argv[0], bad, style == Style::Busybox, ran.falls_back);
                return Some(self.refuse_option(log, &ran, style == Style::Busybox, said));
            }
            if let Some(user) = &rest.user {
                walk.user = Some(self.number_of(user));
            }
            // The GNU programs call themselves what they were called.
            let name = match style {
                Style::Quoted | Style::FailedToRun | Style::Xargs => ran.argv[0].as_str(),
                _ => ran.name.as_str(),
            };
            return self.run_rest(
                log,
                rest,
                Caller::Wrapper { style, name, falls_back: ran.falls_back && style.uses_execvp() },
                walk,
            );
        }
        match ran.name.as_str() {
            name if SHELLS.contains(&name) => self.follow_shell(log, &ran, &walk),
            "java" => self.follow_java(log, &ran.argv, &walk),
            "dotnet" => self.follow_dotnet(log, &ran, &walk),
            name if let Some(interpreter) = Interpreter::of(name) => {
                self.follow_interpreted(log, &ran, interpreter, &walk)
            }
            name if is_loader(name) && ran.argv.len() > 1 => {
                log.open_end(name, "the loader maps the program that it is given by itself")
            }
            "execlineb" => self.follow_execline(log, &ran, &walk),
            _ => self.lacking_runtime(log, &ran, &walk).or_else(|| self.follow_handed(log, &ran, &walk)),
        }
    }

    fn run_rest(&self, log: &mut Log, rest: wrapper::Rest, caller: Caller<'_>, mut walk: Walk) -> Option<Outcome> {
        if rest.clears {
            walk.env.clear();
        }
        walk.env.retain(|line| !rest.unsets.iter().any(|name| line.split('=').next() == Some(name)));
        walk.env.extend(rest.sets);
        if let Some(folder) = rest.chdir {
            return log.open_end(caller.name(), format!("it changes to {folder} first"));
        }
        if let Some(text) = rest.text {
            let shell = variable(&walk.env, "SHELL").unwrap_or("/bin/sh").to_string();
            return Some(self.run_command(log, &shell, &[shell.clone(), "-c".to_string(), text], caller, &walk));
        }
        let name = rest.command.first()?.clone();
        Some(self.run_command(log, &name, &rest.command, caller, &walk))
    }

    /// Runs a command that a running program names.
    pub(crate) fn run_command(
        &self,
        log: &mut Log,
        name: &str,
        argv: &[String],
        caller: Caller<'_>,
        walk: &Walk,
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
        let path = match self.find(log, name, &walk.env) {
            Ok(path) => path,
            Err(Missing { errno: Errno::ENOENT, cause, .. }) if walk.is_open => {
                let text = format!("{}, unless a command before made it", cause.text);
                log.doubt(CauseKind::MissingProgram, text);
                log.open_end::<()>(name, "it is not in the image, and a command before may make it");
                return Outcome::Runs;
            }
            Err(Missing { cause: cause @ Cause { kind: CauseKind::NotRead, .. }, met, .. }) => {
                return Outcome::Unknown { at: met.unwrap_or_else(|| name.to_string()), cause };
            }
            Err(missing) => {
                let found = Found::Not(missing.met.as_deref());
                return self.fail(log, name, (missing.errno, missing.cause), (caller, walk), (argv, found));
            }
        };
        let bytes: Vec<Vec<u8>> = argv.iter().map(|word| word.clone().into_bytes()).collect();
        match self.walk(log, &path, &bytes, walk, Link::Command(by)) {
            Outcome::Fails { errno, at, cause } => {
                let is_missing_program = at.as_bytes() == path;
                let found = Found::At(&lossy(&path));
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

    /// execvp's and the shells' search. Source: posix/execvpe.c; the first file that may be executed is taken.
    fn find(&self, log: &mut Log, name: &str, env: &[String]) -> Result<Vec<u8>, Missing> {
        let refused = |refusal: crate::exec::kernel::access::Refusal, path: &[u8]| Missing {
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
        let text = format!("no {name} in PATH ({path})");
        let cause = Cause { kind: CauseKind::NotInPath, text };
        Err(denied.unwrap_or(Missing { errno: Errno::ENOENT, cause, met: None }))
    }

    /// How the caller ends whose command could not be started, and what it says. `found`: what its search came to.
    fn fail(
        &self,
        log: &mut Log,
        name: &str,
        (errno, cause): (Errno, Cause),
        (caller, walk): (Caller<'_>, &Walk),
        (argv, found): (&[String], Found<'_>),
    ) -> Outcome {
        let (path, is_search) = match found {
            Found::At(path) => (path, false),
            Found::Not(met) => (met.unwrap_or(name), true),
        };
        let reads_texts = !matches!(caller, Caller::Wrapper { falls_back: false, .. });
        if errno == Errno::ENOEXEC && reads_texts && TEXTS.contains(&cause.kind) {
            return self.read_as_script(log, (name, path), argv, caller, walk);
        }
        // A shell that glibc started, and that is the wrapper's child.
        let reads_binary = errno == Errno::ENOEXEC && matches!(caller, Caller::Wrapper { falls_back: true, .. });
        let (line, code, text) = match caller {
            Caller::Wrapper { name: by, .. } if reads_binary => {
                let Some(shell) = self.shell_of_the_system() else {
                    let caller = Caller::Wrapper { falls_back: false, style: Style::Plain, name: by };
                    return self.fail(log, name, (errno, cause), (caller, walk), (argv, found));
                };
                let (line, code) = shell.reads_binary(path);
                (line, code, format!("{}; {by} hands it to /bin/sh, which cannot read it", cause.text))
            }
            Caller::Wrapper { style, name: by, .. } => {
                let (line, code) = wrapper::failure(style, by, name, errno, is_search);
                if let Some((at, cause)) = first_line_fault(log, name).filter(|_| is_search) {
                    log.says.push(line);
                    return Outcome::Dies { death: Death::Exit(code), at, cause };
                }
                (line, code, cause.text)
            }
            Caller::Shell { kind, label, line, is_exec } => {
                let is_directory = cause.kind == CauseKind::IsDirectory;
                let failed = shells::Failed { label, line, name, path, errno, is_exec, is_search, is_directory };
                let (said, code) = kind.failure(&failed);
                if is_search && name.ends_with('\r') {
                    log.says.push(said);
                    let text =
                        format!("line {line} of it ends in a carriage return, which is part of the word {name:?}");
                    let cause = Cause { kind: CauseKind::CarriageReturn, text };
                    return Outcome::Dies { death: Death::Exit(code), at: label.to_string(), cause };
                }
                (said, code, cause.text)
            }
        };
        log.says.push(line);
        let death = if reads_binary { caller.reported(Death::Exit(code)) } else { Death::Exit(code) };
        Outcome::Dies { death, at: name.to_string(), cause: Cause { text, ..cause } }
    }

    fn follow_shell(&self, log: &mut Log, ran: &Ran, walk: &Walk) -> Option<Outcome> {
        let kind = if ran.file.starts_with("busybox") { Shell::Busybox } else { Shell::of(&ran.file) };
        let mut words = ran.argv.iter().skip(1).peekable();
        let (mut is_text, mut ends_on_error) = (false, false);
        while let Some(word) = words.next_if(|word| word.starts_with(['-', '+']) && word.len() > 1) {
            if word == "--" {
                break;
            }
            let next = words.peek().map_or("", |next| next.as_str());
            if let Some(said) = kind.bad_option(&ran.argv[0], word, next).filter(|_| is_told(&ran.file)) {
                return Some(self.refuse_option(log, ran, false, said));
            }
            let is_long = word.starts_with("--");
            ends_on_error |= !is_long && word.starts_with('-') && word.contains('e');
            is_text |= !is_long && word.starts_with('-') && word.contains('c');
            if !is_long && word.ends_with('o') {
                words.next();
            }
        }
        let operands: Vec<String> = words.cloned().collect();
        let first = operands.first()?;
        if is_text {
            let arguments: Vec<String> = match operands.len() {
                1 => vec![ran.argv[0].clone()],
                _ => operands[1..].to_vec(),
            };
            // `$0`, which is the first word after the text.
            let label = arguments[0].clone();
            return self.follow_text(log, first, &arguments, (kind, &label), ends_on_error, walk);
        }
        self.follow_script(log, &operands, (kind, &ran.argv[0]), ends_on_error, walk)
    }

    /// A script that a shell reads: its path is the first operand. `label`: what the shell calls itself.
    fn follow_script(
        &self,
        log: &mut Log,
        operands: &[String],
        by: (Shell, &str),
        ends_on_error: bool,
        walk: &Walk,
    ) -> Option<Outcome> {
        let (path, (kind, label)) = (operands.first()?, by);
        let here = self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true);
        let found = here.is_err().then(|| self.script_on_path(kind, path, &walk.env)).flatten();
        let (path, here) = match &found {
            Some((path, id)) => (path, Ok(*id)),
            None => (path, here),
        };
        let id = match here {
            Ok(id) if self.rootfs.is_unread(id) => {
                let cause = Cause { kind: CauseKind::NotRead, text: not_read(path, path.as_bytes()) };
                return Some(Outcome::Unknown { at: path.clone(), cause });
            }
            Ok(id) => id,
            Err(ResolveError::Unread(mount)) => {
                let cause = Cause { kind: CauseKind::NotRead, text: not_read(path, &mount) };
                return Some(Outcome::Unknown { at: path.clone(), cause });
            }
            // A `#!` line with a word that is no option: the shell is not given the script that has it.
            Err(_) if walk.is_open || is_shebangs_word(log, path) || mounts::is_made(self.rootfs, path) => {
                return log.open_end(path, "it is not in the image");
            }
            Err(_) => {
                let (line, code) = kind.cannot_open(label, path);
                log.says.push(line);
                let cause =
                    Cause { kind: CauseKind::MissingScript, text: format!("there is no {path} for the shell to read") };
                return Some(Outcome::Dies { death: Death::Exit(code), at: path.clone(), cause });
            }
        };
        match self.kind(id) {
            Some(file) if let Some(text) = interpret::kept_text(file) => {
                self.follow_text(log, &text, operands, (kind, path), ends_on_error, walk)
            }
            Some(binary) if is_binary(binary) => {
                let (line, code) = kind.reads_binary(path);
                log.says.push(line);
                let text = format!("it is {}, and {label} is to read it as a script", describe(Some(binary)));
                let cause = Cause { kind: CauseKind::BinaryAsScript, text };
                Some(Outcome::Dies { death: Death::Exit(code), at: path.clone(), cause })
            }
            _ => log.open_end(path, "its text was not kept whole"),
        }
    }

    /// A program that ends at once, for it refuses its options. A `#!` line gives all that follows the interpreter as
    /// one argument.
    fn refuse_option(&self, log: &mut Log, ran: &Ran, is_busybox: bool, (line, code): (String, u8)) -> Outcome {
        log.says.push(line);
        let (name, word) = (&ran.argv[0], ran.argv.get(1).map_or("", String::as_str));
        let lacks = if is_busybox { ": BusyBox's env has no such option" } else { "" };
        let (at, kind, giver) = match shebangs_script(log) {
            Some(script) => (script, CauseKind::ShebangOption, "its first line gives"),
            None => (name.clone(), CauseKind::BadOption, "the call gives"),
        };
        let text = format!("{giver} {name} {word:?} as one argument, which it refuses{lacks}");
        Outcome::Dies { death: Death::Exit(code), at, cause: Cause { kind, text } }
    }

    /// The commands of a shell's text. `arguments`: `$0` and what follows it.
    fn follow_text(
        &self,
        log: &mut Log,
        text: &str,
        arguments: &[String],
        by: (Shell, &str),
        ends_on_error: bool,
        walk: &Walk,
    ) -> Option<Outcome> {
        let call = ShellCall { text, arguments, kind: by.0, label: by.1, ends_on_error };
        self.interpret(log, &call, walk)
    }

    /// Whether a program's libc falls back to /bin/sh: glibc's does, musl's does not. A static program has the libc of
    /// its distribution, as far as one can tell.
    pub(crate) fn falls_back(&self, loader: Option<Family>) -> bool {
        match loader {
            Some(family) => family == Family::Glibc,
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
