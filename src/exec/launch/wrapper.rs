//! Programs that start another program from their arguments: init wrappers, `env`, `nice`, `su-exec`. Each row
//! describes how the arguments are parsed and which error is printed. Taken from their sources and from runs of their
//! Debian builds.

use std::collections::VecDeque;

use crate::exec::{Death, Errno};

/// A program that runs the rest of its arguments as a command.
pub(crate) struct Wrapper {
    pub names: &'static [&'static str],
    /// Options whose value is the next word.
    pub valued: &'static [&'static str],
    /// Number of words between its options and the command: timeout's duration, su-exec's user.
    pub words: usize,
    pub style: FailureStyle,
}

/// How a wrapper ends when its command cannot be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureStyle {
    Tini,
    DumbInit,
    Catatonit,
    /// coreutils' env and nice.
    Quoted,
    /// coreutils' timeout, stdbuf, nohup.
    FailedToRun,
    UtilLinux,
    /// util-linux's flock, which keeps its lock and waits.
    Flock,
    /// findutils' xargs, which waits for its command and reports its end in its own exit code.
    Xargs,
    /// Searches for the program and calls execve itself: no fallback to a shell.
    Gosu,
    SuExec,
    /// runit's chpst.
    Runit,
    /// s6's programs, which start one another.
    S6,
    /// Others, whose messages are not known.
    Plain,
    /// The same commands as applets of BusyBox.
    Busybox,
}

const fn row(
    names: &'static [&'static str],
    valued: &'static [&'static str],
    words: usize,
    style: FailureStyle,
) -> Wrapper {
    Wrapper { names, valued, words, style }
}

pub(crate) static WRAPPERS: &[Wrapper] = &[
    row(&["tini", "tini-static", "docker-init", "tini-amd64", "tini-arm64"], &["-p", "-e"], 0, FailureStyle::Tini),
    row(&["dumb-init"], &["-r", "--rewrite"], 0, FailureStyle::DumbInit),
    row(&["catatonit"], &["-g"], 0, FailureStyle::Catatonit),
    row(&["env"], &[], 0, FailureStyle::Quoted),
    row(&["nice"], &["-n", "--adjustment"], 0, FailureStyle::Quoted),
    row(&["nohup"], &[], 0, FailureStyle::FailedToRun),
    row(&["timeout"], &["-s", "--signal", "-k", "--kill-after"], 1, FailureStyle::FailedToRun),
    row(&["stdbuf"], &["-i", "-o", "-e", "--input", "--output", "--error"], 0, FailureStyle::FailedToRun),
    row(&["chroot"], &[], 1, FailureStyle::FailedToRun),
    row(&["xargs"], &["-a", "-d", "-E", "-I", "-L", "-n", "-P", "-s"], 0, FailureStyle::Xargs),
    row(&["flock"], &["-w", "--timeout", "--wait", "-E", "--conflict-exit-code"], 1, FailureStyle::Flock),
    row(&["setsid"], &[], 0, FailureStyle::UtilLinux),
    row(&["unshare"], &["-S", "--setuid", "-G", "--setgid", "--map-user", "--map-group"], 0, FailureStyle::UtilLinux),
    row(
        &["chrt"],
        &["-T", "-P", "-D", "--sched-runtime", "--sched-period", "--sched-deadline"],
        1,
        FailureStyle::UtilLinux,
    ),
    row(&["taskset"], &[], 1, FailureStyle::UtilLinux),
    row(&["prlimit"], &["-o", "--output"], 0, FailureStyle::UtilLinux),
    row(&["choom"], &["-n", "--adjust"], 0, FailureStyle::UtilLinux),
    row(&["ionice"], &["-c", "--class", "-n", "--classdata"], 0, FailureStyle::UtilLinux),
    row(
        &["setpriv"],
        &[
            "--reuid",
            "--regid",
            "--ruid",
            "--rgid",
            "--euid",
            "--egid",
            "--groups",
            "--inh-caps",
            "--ambient-caps",
            "--bounding-set",
            "--securebits",
        ],
        0,
        FailureStyle::UtilLinux,
    ),
    row(&["gosu"], &[], 1, FailureStyle::Gosu),
    row(&["su-exec"], &[], 1, FailureStyle::SuExec),
    row(&["s6-setuidgid"], &[], 1, FailureStyle::S6),
    row(&["s6-setsid", "s6-applyuidgid", "s6-fghack"], &["-u", "-g", "-G"], 0, FailureStyle::S6),
    row(&["s6-envuidgid"], &[], 1, FailureStyle::S6),
    row(&["s6-envdir"], &["-c"], 1, FailureStyle::S6),
    row(&["s6-setlock"], &["-t"], 1, FailureStyle::S6),
    row(
        &["s6-softlimit"],
        &["-a", "-c", "-d", "-f", "-h", "-l", "-m", "-o", "-p", "-r", "-s", "-t"],
        0,
        FailureStyle::S6,
    ),
    row(&["s6-notifyoncheck"], &["-3", "-s", "-T", "-t", "-w", "-n", "-c"], 0, FailureStyle::S6),
    row(&["setuidgid", "setuser"], &[], 1, FailureStyle::Plain),
    row(&["envuidgid", "envdir", "setlock"], &[], 1, FailureStyle::Plain),
    row(&["fghack", "pgrphack"], &[], 0, FailureStyle::Plain),
    row(&["softlimit"], &["-a", "-c", "-d", "-f", "-l", "-m", "-o", "-p", "-r", "-s", "-t"], 0, FailureStyle::Plain),
    row(&["start-stop-daemon"], DAEMON_OPTIONS, 0, FailureStyle::Plain),
    row(&["dbus-run-session"], &["--config-file", "--dbus-daemon"], 0, FailureStyle::Plain),
    row(&["ssh-agent"], &["-a", "-E", "-O", "-P", "-t"], 0, FailureStyle::Plain),
    row(&["runuser", "sudo"], RUN_OPTIONS, 0, FailureStyle::UtilLinux),
    row(
        &["chpst"],
        &["-u", "-U", "-b", "-e", "-/", "-n", "-l", "-L", "-m", "-d", "-o", "-p", "-f", "-c", "-t", "-C"],
        0,
        FailureStyle::Runit,
    ),
];

/// Options of start-stop-daemon with a value. Source: start-stop-daemon(8), and OpenRC's.
const DAEMON_OPTIONS: &[&str] = &[
    "-p",
    "--pidfile",
    "-x",
    "--exec",
    "-n",
    "--name",
    "-u",
    "--user",
    "-g",
    "--group",
    "-c",
    "--chuid",
    "-r",
    "--chroot",
    "-d",
    "--chdir",
    "-a",
    "--startas",
    "-N",
    "--nicelevel",
    "-P",
    "--procsched",
    "-I",
    "--iosched",
    "-k",
    "--umask",
    "-R",
    "--retry",
    "-s",
    "--signal",
    "-O",
    "--output",
    "-1",
    "--stdout",
    "-2",
    "--stderr",
    "-e",
    "--env",
    "-w",
    "--wait",
];
/// Options of sudo and `runuser -u` with a value. Source: sudo(8), runuser(1).
const RUN_OPTIONS: &[&str] = &[
    "-u",
    "--user",
    "-g",
    "--group",
    "-G",
    "--supp-group",
    "-C",
    "--close-from",
    "-D",
    "--chdir",
    "-p",
    "--prompt",
    "-R",
    "--chroot",
    "-T",
    "--command-timeout",
    "-U",
    "--other-user",
    "-w",
    "--whitelist-environment",
    "-h",
    "--host",
];

impl FailureStyle {
    /// Whether the wrapper starts the program with the C library's execvp instead of its own search.
    pub(crate) fn uses_execvp(self) -> bool {
        !matches!(self, FailureStyle::Gosu | FailureStyle::Runit | FailureStyle::S6)
    }

    /// How the wrapper ends if the command that it waits for ends like this.
    pub(crate) fn reported(self, death: Death) -> Death {
        match (self, death) {
            (FailureStyle::Xargs, Death::Exit(255)) => Death::Exit(124),
            (FailureStyle::Xargs, Death::Exit(_)) => Death::Exit(123),
            (FailureStyle::Xargs, Death::Signal(_) | Death::AnyOf { .. }) => Death::Exit(125),
            (_, death) => death,
        }
    }
}

/// Returns the row of a program by its name. `is_applet`: its file is BusyBox's.
pub(crate) fn wrapper(name: &str, is_applet: bool) -> Option<(&'static Wrapper, FailureStyle)> {
    let row = WRAPPERS.iter().find(|row| row.names.contains(&name))?;
    Some((row, if is_applet { FailureStyle::Busybox } else { row.style }))
}

/// A wrapper's arguments, parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrapped {
    pub command: Vec<String>,
    /// `KEY=VALUE` that it sets, as env does.
    pub sets: Vec<String>,
    pub unsets: Vec<String>,
    /// `env -i`.
    pub clears: bool,
    /// The directory of `env -C` and `chpst -C`.
    pub working_dir: Option<String>,
    /// Why some versions of the wrapper reject its options.
    pub refused_by_some: Option<&'static str>,
    /// Another root directory, or one that only some versions change to.
    pub chdir: Option<String>,
    /// A text for a shell instead of a command: `flock -c`.
    pub text: Option<String>,
    /// The user that the command runs as: gosu's, setpriv's, chpst's.
    pub user: Option<String>,
    /// The text that xargs replaces by each line of its input.
    pub replaced: Option<String>,
    /// An option that env rejects.
    pub refused: Option<BadOption>,
}

/// Parses `argv` (its own name first) up to the command.
pub(crate) fn parse(wrapper: &Wrapper, style: FailureStyle, argv: &[String]) -> Wrapped {
    let mut wrapped = Wrapped::default();
    let is_env = wrapper.names.contains(&"env");
    let mut words = argv.iter().skip(1).cloned().collect::<VecDeque<String>>();
    // The program that start-stop-daemon starts is an option's value.
    let (mut program, mut startas, mut replaced) = (None, None, None);
    while let Some(word) = words.front().cloned() {
        if word == "--" {
            words.pop_front();
            break;
        }
        if !word.starts_with('-') || (word == "-" && !is_env) {
            break;
        }
        words.pop_front();
        if is_env {
            parse_env_option(&word, style == FailureStyle::Busybox, &mut words, &mut wrapped);
            continue;
        }
        let moves = ["-R", "--root", "-w", "--wd"].contains(&word.split('=').next().unwrap_or(&word));
        if wrapper.names.contains(&"unshare") && moves {
            wrapped.chdir = Some(
                word.split_once('=').map_or_else(|| words.pop_front().unwrap_or_default(), |(_, to)| to.to_string()),
            );
            continue;
        }
        let sets_user =
            matches!((wrapper.names[0], word.split('=').next()), ("setpriv", Some("--reuid")) | ("chpst", Some("-u")));
        if sets_user {
            wrapped.user = word.split_once('=').map(|(_, user)| user.to_string()).or_else(|| words.front().cloned());
        }
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) if word.starts_with("--") => (name, Some(value.to_string())),
            _ => (word.as_str(), None),
        };
        let value = inline.or_else(|| words.front().cloned());
        match (wrapper.names[0], name) {
            ("chpst", "-C") => {
                wrapped.working_dir = value;
                // Source: runit 2.2.0's changes. Version 2.1.2 exits with 100.
                wrapped.refused_by_some = Some("versions before runit 2.2 reject its option -C");
            }
            ("start-stop-daemon", "-d" | "--chdir") => wrapped.working_dir = value,
            ("start-stop-daemon", "-x" | "--exec") => program = value,
            ("start-stop-daemon", "-a" | "--startas") => startas = value,
            ("start-stop-daemon", "-r" | "--chroot") | ("runuser", "-R" | "--chroot") => wrapped.chdir = value,
            ("runuser", "-u" | "--user") | ("start-stop-daemon", "-u" | "--user" | "-c" | "--chuid") => {
                wrapped.user = value.map(|user| user.split(':').next().unwrap_or_default().to_string());
            }
            _ => {}
        }
        if wrapper.names.contains(&"xargs") && (name == "--replace" || word.starts_with("-I") || word.starts_with("-i"))
        {
            let own = word.strip_prefix("-I").or(word.strip_prefix("-i")).filter(|own| !own.is_empty());
            let next = words.front().cloned().filter(|_| word == "-I");
            replaced = own.map(str::to_string).or(next).or(Some("{}".to_string()));
        }
        if wrapper.valued.contains(&word.as_str()) {
            words.pop_front();
        }
    }
    let takes_variables = is_env || argv.first().is_some_and(|name| name.rsplit('/').next() == Some("sudo"));
    while let Some(word) = words.front().filter(|word| takes_variables && word.contains('=')).cloned() {
        words.pop_front();
        wrapped.sets.push(word);
    }
    let mut words = words.into_iter();
    let between: Vec<String> = words.by_ref().take(wrapper.words).collect();
    wrapped.command = startas.or(program).into_iter().chain(words).collect();
    wrapped.replaced = replaced;
    match (wrapper.names[0], between.first(), wrapped.command.first().map(String::as_str)) {
        ("chroot", Some(root), _) if root != "/" => wrapped.chdir = Some(root.clone()),
        ("gosu" | "su-exec" | "s6-setuidgid" | "setuidgid", Some(user), _) => wrapped.user = Some(user.clone()),
        ("flock", _, Some("-c" | "--command")) => wrapped.text = wrapped.command.get(1).cloned(),
        _ => {}
    }
    wrapped
}

/// An option that a program rejects, as its C library's getopt reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadOption {
    Letter(char),
    Word(String),
}

/// Parses one of env's options, with its value. `words` are the words after it.
fn parse_env_option(word: &str, is_busybox: bool, words: &mut VecDeque<String>, wrapped: &mut Wrapped) {
    let Some(long) = word.strip_prefix("--") else { return parse_env_letters(&word[1..], is_busybox, words, wrapped) };
    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_string())));
    match name {
        "ignore-environment" => wrapped.clears = true,
        "unset" => wrapped.unsets.extend(value.or_else(|| words.pop_front())),
        "chdir" if !is_busybox => wrapped.working_dir = value.or_else(|| words.pop_front()),
        "split-string" if !is_busybox => split(value.or_else(|| words.pop_front()), words),
        "chdir" | "split-string" => wrapped.refused = Some(BadOption::Word(word.to_string())),
        _ if name.contains(char::is_whitespace) => wrapped.refused = Some(BadOption::Word(word.to_string())),
        _ => {}
    }
}

/// Parses the letters after one `-`. A letter that no version knows is rejected. BusyBox has no -C, -S and -v, up to
/// 1.37.
fn parse_env_letters(letters: &str, is_busybox: bool, words: &mut VecDeque<String>, wrapped: &mut Wrapped) {
    wrapped.clears |= letters.is_empty();
    for (at, letter) in letters.char_indices() {
        let tail = &letters[at + letter.len_utf8()..];
        let mut value = || if tail.is_empty() { words.pop_front() } else { Some(tail.to_string()) };
        match letter {
            'C' | 'S' | 'v' if is_busybox => {
                wrapped.refused = Some(BadOption::Letter(letter));
                return;
            }
            'i' => wrapped.clears = true,
            'u' => return wrapped.unsets.extend(value()),
            'C' => {
                wrapped.working_dir = value();
                return;
            }
            // The string's words replace the option: `#!/usr/bin/env -S node --trace`.
            'S' => {
                let text = value();
                return split(text, words);
            }
            _ if letter.is_whitespace() => {
                wrapped.refused = Some(BadOption::Letter(letter));
                return;
            }
            _ => {}
        }
    }
}

/// Returns env's message and exit code for an option that it rejects, without BusyBox's usage text. `is_glibc`: glibc's
/// getopt reports it.
pub(crate) fn refusal(name: &str, bad: &BadOption, is_busybox: bool, is_glibc: bool) -> (String, u8) {
    let line = match bad {
        BadOption::Letter(letter) if is_glibc => format!("{name}: invalid option -- '{letter}'"),
        BadOption::Word(word) if is_glibc => format!("{name}: unrecognized option '{word}'"),
        BadOption::Letter(letter) => format!("{name}: unrecognized option: {letter}"),
        BadOption::Word(word) => format!("{name}: unrecognized option: {}", word.trim_start_matches('-')),
    };
    if is_busybox {
        return (line, 1);
    }
    let mut lines = vec![line];
    if *bad == BadOption::Letter(' ') {
        lines.push(format!("{name}: use -[v]S to pass options in shebang lines"));
    }
    lines.push(format!("Try '{name} --help' for more information."));
    (lines.join("\n"), 125)
}

fn split(text: Option<String>, words: &mut VecDeque<String>) {
    let text = text.unwrap_or_default();
    for word in text.split_ascii_whitespace().rev() {
        words.push_front(word.trim_matches(['"', '\'']).to_string());
    }
}

/// Returns the wrapper's message and exit code for a user who does not exist. Seen with gosu 1.14, runit 2.1.2, s6 2.11,
/// util-linux 2.38, dpkg 1.21, daemontools 0.76.
pub(crate) fn unknown_user(style: FailureStyle, wrapper: &str, user: &str) -> (String, u8) {
    match (style, wrapper) {
        (FailureStyle::Gosu, _) => {
            let why = format!("unable to find user {user}: no matching entries in passwd file");
            (format!("error: failed switching to \"{user}\": {why}"), 1)
        }
        (FailureStyle::Runit, _) => (format!("{wrapper}: fatal: unknown user/group: {user}"), 111),
        (FailureStyle::S6, _) => (format!("s6-envuidgid: fatal: unknown user: {user}"), 1),
        (_, "setpriv") => (format!("setpriv: failed to parse reuid: '{user}'"), 1),
        (_, "start-stop-daemon") => (format!("start-stop-daemon: user '{user}' not found"), 2),
        (_, "sudo") => (format!("sudo: unknown user {user}"), 1),
        (FailureStyle::UtilLinux, _) => {
            let why = "does not exist or the user entry does not contain all the required fields";
            (format!("{wrapper}: user {user} {why}"), 1)
        }
        (FailureStyle::Busybox, _) => (format!("{wrapper}: unknown user {user}"), 1),
        (FailureStyle::Plain, _) => (format!("{wrapper}: fatal: unknown account {user}"), 111),
        _ => (format!("{wrapper}: unknown user {user}"), 1),
    }
}

/// Returns the wrapper's message and exit code for a command that could not be started.
pub(crate) fn failure(
    style: FailureStyle,
    wrapper: &str,
    command: &str,
    errno: Errno,
    is_search: bool,
) -> (String, u8) {
    let strerror = errno.strerror();
    let by_errno = match errno {
        Errno::ENOENT => 127,
        _ => 126,
    };
    match style {
        FailureStyle::Tini => {
            let code = if matches!(errno, Errno::ENOENT | Errno::EACCES) { by_errno } else { 1 };
            (format!("[FATAL tini (7)] exec {command} failed: {strerror}"), code)
        }
        FailureStyle::DumbInit => (format!("[dumb-init] {command}: {strerror}"), 2),
        FailureStyle::Catatonit => (format!("ERROR (catatonit:2): failed to exec pid1: {strerror}"), 1),
        FailureStyle::Quoted => {
            let line = format!("{wrapper}: '{}': {strerror}", command.replace('\r', "\\r"));
            // Source: coreutils' env.c.
            let is_env = wrapper.rsplit('/').next() == Some("env") && errno == Errno::ENOENT;
            match is_env && command.contains(char::is_whitespace) {
                true => (format!("{line}\n{wrapper}: use -[v]S to pass options in shebang lines"), by_errno),
                false => (line, by_errno),
            }
        }
        FailureStyle::FailedToRun => (format!("{wrapper}: failed to run command '{command}': {strerror}"), by_errno),
        FailureStyle::Flock => (format!("{wrapper}: failed to execute {command}: {strerror}"), 69),
        FailureStyle::Xargs => (format!("{wrapper}: {command}: {strerror}"), by_errno),
        FailureStyle::UtilLinux if wrapper == "sudo" => (format!("sudo: {command}: command not found"), 1),
        FailureStyle::UtilLinux => (format!("{wrapper}: failed to execute {command}: {strerror}"), by_errno),
        FailureStyle::Gosu if is_search => {
            let why = match errno {
                _ if !command.contains('/') => "executable file not found in $PATH".to_string(),
                Errno::EACCES => errno.message().to_string(),
                _ => format!("stat {command}: {}", errno.message()),
            };
            (format!("error: exec: \"{command}\": {why}"), 1)
        }
        FailureStyle::Gosu => (format!("error: exec failed: {}", errno.message()), 1),
        FailureStyle::SuExec => (format!("su-exec: {command}: {strerror}"), 1),
        FailureStyle::Runit => {
            // error_str of djb's libraries.
            let text = match errno {
                Errno::ENOENT => "file does not exist",
                Errno::EACCES => "access denied",
                errno => errno.message(),
            };
            (format!("{wrapper}: fatal: unable to run: {command}: {text}"), 111)
        }
        FailureStyle::S6 => (format!("s6-applyuidgid: fatal: unable to exec {command}: {strerror}"), by_errno),
        FailureStyle::Plain => (format!("{wrapper}: {command}: {strerror}"), by_errno),
        FailureStyle::Busybox => (format!("{wrapper}: can't execute '{command}': {strerror}"), by_errno),
    }
}

#[cfg(test)]
#[path = "wrapper_tests.rs"]
mod tests;
