//! Programs whose output or effect is known without running them.

use super::lines;
use super::pattern;
use super::state::{How, Start, State, Status};
use super::text::{self, HOLE, MANY, Truth};
use super::{Interpreter, MAX_TEXT};
use crate::exec::outcome::{Death, Outcome};
use crate::exec::{Cause, CauseKind};
use crate::image::NodeKind;
use crate::inspect::FileKind;

/// Programs that do not create other programs. A program that is missing before they run is still missing after them.
const HARMLESS: &[&str] = &[
    "awk",
    "base64",
    "basename",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "cmp",
    "cut",
    "date",
    "dirname",
    "du",
    "df",
    "echo",
    "env",
    "expr",
    "find",
    "free",
    "gawk",
    "getconf",
    "getent",
    "grep",
    "egrep",
    "fgrep",
    "head",
    "hostname",
    "id",
    "ionice",
    "jq",
    "kill",
    "ls",
    "mkdir",
    "mawk",
    "md5sum",
    "mktemp",
    "nc",
    "netstat",
    "nice",
    "nproc",
    "pgrep",
    "pidof",
    "pkill",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "renice",
    "rmdir",
    "sed",
    "seq",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "stty",
    "sync",
    "sysctl",
    "tail",
    "tee",
    "test",
    "timeout",
    "touch",
    "tput",
    "tr",
    "true",
    "tty",
    "umask",
    "uname",
    "uniq",
    "uptime",
    "usermod",
    "groupmod",
    "useradd",
    "groupadd",
    "adduser",
    "addgroup",
    "wc",
    "which",
    "who",
    "whoami",
    "xargs",
    "yes",
    "openssl",
    "nslookup",
    "dig",
    "host",
    "ping",
    "ip",
    "ifconfig",
    "run-parts",
    "logger",
    "hexdump",
    "od",
    "xxd",
    "ulimit",
    "setcap",
    "getcap",
    "envsubst",
    "dpkg-query",
    "dpkg",
    "locale",
    "ldconfig",
    "update-ca-certificates",
];

/// Programs that are run as a query. The answer may well be no.
const QUESTIONS: &[&str] = &[
    "awk",
    "cmp",
    "curl",
    "diff",
    "egrep",
    "expr",
    "fgrep",
    "find",
    "getent",
    "grep",
    "id",
    "jq",
    "kill",
    "ls",
    "mountpoint",
    "mysql",
    "mysqladmin",
    "mariadb-admin",
    "nc",
    "nslookup",
    "pg_isready",
    "pgrep",
    "pidof",
    "ping",
    "psql",
    "redis-cli",
    "sed",
    "stat",
    "tty",
    "wget",
    "which",
];

/// Whether a program is run for its answer, not for its effect.
pub(super) fn is_question(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    QUESTIONS.contains(&base)
}

/// Whether a program does not create other programs.
pub(crate) fn is_harmless(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    HARMLESS.contains(&base)
}

impl Interpreter<'_, '_, '_> {
    /// Models the output and effect of a program that starts. `false` if they are not known.
    pub(super) fn tool(&mut self, state: &mut State, name: &str, argv: &[String], line: usize) -> bool {
        let base = name.rsplit('/').next().unwrap_or(name);
        let words: Vec<String> = argv[1..].to_vec();
        if words.iter().any(|word| word.starts_with(MANY)) {
            return false;
        }
        let operands: Vec<&String> = words.iter().filter(|word| !word.starts_with('-') || *word == "-").collect();
        let first = operands.first().map(|word| text::plain(word));
        let row = self.machine.node.arch.row();
        let printed = match (base, words.as_slice()) {
            ("dirname", _) => operands.iter().map(|path| directory_of(path) + "\n").collect::<String>(),
            ("basename", _) => match (first, operands.get(1)) {
                (Some(path), suffix) if text::is_known(&path) => {
                    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or("").to_string();
                    let suffix = suffix.map_or("", |suffix| suffix.as_str());
                    let name =
                        name.strip_suffix(suffix).filter(|rest| !rest.is_empty()).map_or(name.clone(), str::to_string);
                    format!("{name}\n")
                }
                _ => return false,
            },
            // It prints nothing for a path that is not a link.
            ("readlink", [path]) if !path.starts_with('-') => {
                let found = first.and_then(|path| self.absolute(state, &path)).map(|path| self.find_node(&path, false));
                let Some(id) = found.filter(|_| !state.is_open) else { return false };
                let view = id.map(|id| self.machine.rootfs.view(id)).filter(|view| view.kind == NodeKind::Symlink);
                let Some(target) = view.map(|view| text::clean(&String::from_utf8_lossy(view.target))) else {
                    state.status = Status::from_truth(Truth::No);
                    return true;
                };
                target + "\n"
            }
            ("readlink", [option, ..]) if matches!(option.as_str(), "-f" | "-e" | "-m") => {
                match self.real(state, first) {
                    Some(path) => path + "\n",
                    None => return false,
                }
            }
            ("realpath", _) => match self.real(state, first) {
                Some(path) => path + "\n",
                None => return false,
            },
            ("cat", _) if operands.is_empty() => match &state.input {
                Some(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
                None => return false,
            },
            ("cat", _) => {
                let mut all = String::new();
                for path in &operands {
                    match self.file_text(state, path) {
                        Some(text) if all.len() + text.len() <= MAX_TEXT => all.push_str(&text),
                        Some(_) | None => return false,
                    }
                }
                all
            }
            ("uname", [option]) if option == "-m" || option == "-p" => format!("{}\n", row.uname[0]),
            ("uname", []) => "Linux\n".to_string(),
            ("uname", [option]) if option == "-s" => "Linux\n".to_string(),
            ("arch", []) => format!("{}\n", row.uname[0]),
            ("dpkg", [option]) if option == "--print-architecture" => format!("{}\n", row.debian),
            ("getconf", [what]) if what == "LONG_BIT" => {
                format!("{}\n", if row.class == crate::platform::Class::Elf64 { 64 } else { 32 })
            }
            ("id", [option]) if option == "-u" => format!("{}\n", self.user_number()),
            ("whoami", []) | ("id", [_]) if self.user_number() == "0" && (base == "whoami" || words[0] == "-un") => {
                "root\n".to_string()
            }
            ("which", _) => match first {
                Some(name) => match self.is_command(state, &name) {
                    (Truth::Yes, Some(path)) => path + "\n",
                    (truth, _) => {
                        if truth != Truth::No {
                            state.print_unknown();
                        }
                        state.status = Status::from_truth(truth);
                        return true;
                    }
                },
                None => return false,
            },
            ("sort", _) if operands.is_empty() => match &state.input {
                Some(lines) => {
                    let mut lines = lines.to_vec();
                    lines.sort();
                    lines.iter().map(|line| format!("{line}\n")).collect()
                }
                None => return false,
            },
            ("cut", _) => match self.cut(state, &words) {
                Some(text) => text,
                None => return false,
            },
            ("head" | "tail", _) => {
                match lines::ends(state.input.as_deref().map(Vec::as_slice), base == "head", &words) {
                    Some(text) => text,
                    None => return false,
                }
            }
            ("true", _) => String::new(),
            ("ls", _) => return self.list_directory(state, &words, &operands),
            ("find", _) => return self.find(state, &words, line),
            ("run-parts", _) => return self.run_parts(state, &operands, &words, line),
            _ => return false,
        };
        state.print(&printed);
        state.status = Status::from_truth(Truth::Yes);
        true
    }

    fn real(&mut self, state: &State, path: Option<String>) -> Option<String> {
        let path = self.absolute(state, &path?)?;
        match self.find_node(&path, true) {
            Some(id) => Some(text::clean(&String::from_utf8_lossy(&self.machine.rootfs.path(id)))),
            None => None,
        }
    }

    fn list_directory(&mut self, state: &mut State, words: &[String], operands: &[&String]) -> bool {
        let is_plain = words.iter().all(|word| !word.starts_with('-') || word == "-1");
        let is_file = |own: &Self, path: &String| {
            let id = own.absolute(state, path).and_then(|path| own.find_node(&path, true));
            id.is_some_and(|id| own.machine.rootfs.view(id).kind == NodeKind::File)
        };
        // The files that a shell pattern expands to.
        if is_plain && !operands.is_empty() && !state.is_open && operands.iter().all(|path| is_file(self, path)) {
            let text: String = operands.iter().map(|path| format!("{path}\n")).collect();
            state.print(&text);
            state.status = Status::from_truth(Truth::Yes);
            return true;
        }
        let [directory] = operands else { return false };
        let has_plain_output = words.iter().all(|word| matches!(word.as_str(), "-1" | "-A") || word == *directory);
        let Some(path) = self.absolute(state, directory).filter(|_| has_plain_output && !state.is_open) else {
            return false;
        };
        let is_directory =
            self.find_node(&path, true).is_some_and(|id| self.machine.rootfs.view(id).kind == NodeKind::Directory);
        let Some(found) = is_directory.then(|| self.below(&path, 1)).flatten() else { return false };
        let names = found.iter().filter_map(|(path, _)| path.rsplit('/').next()).filter(|name| !name.starts_with('.'));
        let text: String = names.map(|name| format!("{name}\n")).collect();
        state.print(&text);
        state.status = Status::from_truth(Truth::Yes);
        true
    }

    /// `find DIR... TESTS -exec CMD {} ;`
    fn find(&mut self, state: &mut State, words: &[String], line: usize) -> bool {
        let is_operator = |word: &&String| word.starts_with(['-', '!', '(']);
        let words: Vec<String> =
            words.iter().skip_while(|word| matches!(word.as_str(), "-L" | "-H" | "-P")).cloned().collect();
        let directories: Vec<&String> = words.iter().take_while(|word| !is_operator(word)).collect();
        let mut rest = &words[directories.len()..];
        let (mut depth, mut least, mut kind, mut name, mut is_executable, mut prints) =
            (32, 0, None, None, false, true);
        let mut command: Option<Vec<String>> = None;
        while let Some((word, after)) = rest.split_first() {
            let value = after.first();
            let number = || value.and_then(|value| value.parse::<usize>().ok());
            let takes = match word.as_str() {
                "-maxdepth" => {
                    depth = number().unwrap_or(32);
                    1
                }
                "-mindepth" => {
                    least = number().unwrap_or(0);
                    1
                }
                "-type" => {
                    kind = value.cloned();
                    1
                }
                "-name" => {
                    name = value.cloned();
                    1
                }
                "-executable" => {
                    is_executable = true;
                    0
                }
                "-follow" | "-print" | "-quit" | "-print0" | "-xdev" | "-mount" => 0,
                "-exec" | "-ok" | "-execdir" => {
                    let end = after.iter().position(|word| word == ";" || word == "+");
                    let Some(end) = end else { return false };
                    command = Some(after[..end].to_vec());
                    prints = false;
                    end + 1
                }
                _ => return false,
            };
            rest = after.get(takes..).unwrap_or_default();
        }
        let tokens = name.map(|name| pattern::pattern(&[(name, false)]));
        let mut text = String::new();
        for directory in directories {
            let Some(path) = self.absolute(state, directory) else { return false };
            // A directory that does not exist may be mounted.
            let Some(found) = self.below(&path, depth) else {
                state.print_unknown();
                state.status = Status::from_truth(Truth::Maybe);
                return true;
            };
            let base = path.trim_end_matches('/').matches('/').count();
            for (path, id) in found {
                let Some(real) = self.find_node(&path, true) else { continue };
                let view = self.machine.rootfs.view(if kind.as_deref() == Some("l") { id } else { real });
                let fits_kind = match kind.as_deref() {
                    Some("f") => view.kind == NodeKind::File,
                    Some("d") => view.kind == NodeKind::Directory,
                    Some("l") => view.kind == NodeKind::Symlink,
                    Some(_) => false,
                    None => true,
                };
                let file_name = path.rsplit('/').next().unwrap_or("");
                let fits_name = match &tokens {
                    None => true,
                    Some(None) => return false,
                    Some(Some(tokens)) => self.matches(tokens, file_name) == Truth::Yes,
                };
                let below = path.matches('/').count() - base;
                if fits_kind && fits_name && below >= least && (!is_executable || view.mode & 0o111 != 0) {
                    if let Some(command) = &command {
                        self.run_on(state, command, &path, line);
                    }
                    text.push_str(&path);
                    text.push('\n');
                }
            }
        }
        if prints {
            let text = self.bounded(text);
            state.print(&text);
        }
        state.status = Status::from_truth(Truth::Yes);
        true
    }

    fn run_on(&mut self, state: &mut State, command: &[String], path: &str, line: usize) {
        let is_too_long = |word: &String| word.matches("{}").count().saturating_mul(path.len()) > MAX_TEXT;
        if command.iter().any(is_too_long) {
            return;
        }
        let argv: Vec<String> = command.iter().map(|word| word.replace("{}", path)).collect();
        if argv.is_empty() {
            return;
        }
        let start = Start { argv, sets: Vec::new(), line, how: How::Call, is_tested: true };
        if let Some(after) = self.start(State { output: None, ..state.clone() }, start).into_iter().next() {
            state.is_open |= after.is_open;
        }
    }

    /// debianutils' and BusyBox's run-parts. It exits with 1 if a program does not run. Source: run-parts(8).
    /// The end of run-parts on a text without a first line: it does not pass it to a shell, as the caller's would.
    fn refused_text(&self, path: &str, line: usize) -> Option<Status> {
        let fact = self.machine.rootfs.view(self.find_node(path, true)?).fact;
        if !matches!(fact, Some(FileKind::Text(_) | FileKind::Config(_))) {
            return None;
        }
        let text = "it has no #! line, and run-parts does not pass it to a shell".to_string();
        let cause = Cause { kind: CauseKind::NoShebang, text };
        let outcome = Outcome::Dies { death: Death::Exit(1), at: path.to_string(), cause };
        let says = vec![format!("run-parts: failed to exec {path}: Exec format error")];
        Some(self.failed(outcome, Vec::new(), says, line, true))
    }

    fn run_parts(&mut self, state: &mut State, operands: &[&String], words: &[String], line: usize) -> bool {
        let Some(directory) = operands.last().and_then(|path| self.absolute(state, path)) else { return false };
        let stops = words.iter().any(|word| word == "--exit-on-error");
        let Some(found) = self.below(&directory, 1) else { return false };
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let mut failed = None;
        for (path, _) in found {
            let name = path.rsplit('/').next().unwrap_or("");
            let is_script = self.find_node(&path, true).is_some_and(|id| {
                let view = self.machine.rootfs.view(id);
                view.kind == NodeKind::File && view.mode & 0o111 != 0
            });
            if !is_name(name) || !is_script {
                continue;
            }
            let start = Start { argv: vec![path.clone()], sets: Vec::new(), line, how: How::Call, is_tested: true };
            let child = State { output: None, ..state.clone() };
            let after = match self.refused_text(&path, line) {
                Some(status) => Some(State { status, ..child }),
                None => self.start(child, start).into_iter().next(),
            };
            if let Some(after) = after {
                state.is_open |= after.is_open;
                if after.status.truth == Truth::No && after.status.blame.is_some() && failed.is_none() {
                    failed = Some(after.status);
                    if stops {
                        break;
                    }
                }
            }
        }
        state.print_unknown();
        state.status = match failed {
            Some(status) => Status { code: Some(1), ..status },
            None => Status::from_truth(Truth::Maybe),
        };
        true
    }
}

fn directory_of(path: &str) -> String {
    if !text::is_known(path) {
        // The last part may be in the unknown text.
        return match path.rsplit_once('/') {
            Some((directory, _)) if !directory.ends_with([HOLE, MANY]) || directory.contains('/') => {
                directory.to_string()
            }
            _ => HOLE.to_string(),
        };
    }
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit_once('/') {
        Some(("", _)) => "/".to_string(),
        Some((directory, _)) => directory.trim_end_matches('/').to_string(),
        None if path.starts_with('/') => "/".to_string(),
        None => ".".to_string(),
    }
}
