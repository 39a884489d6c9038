//! Programs whose output or effect is known without running them.

use std::rc::Rc;

use super::lines::{self, sorted};
use super::state::{ExitStatus, ShellState};
use super::text::{self, HOLE, MANY, Truth};
use super::{MAX_TEXT, ScriptInterpreter};
use crate::image::NodeKind;

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

/// Whether a program may add users or groups.
pub(super) fn adds_accounts(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    ["useradd", "adduser", "usermod", "groupadd", "addgroup", "groupmod", "newusers", "chpasswd"].contains(&base)
}

/// Whether a word of a command, as in `find -exec chown`, changes owners or modes.
pub(super) fn changes_modes(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("chown" | "chmod" | "chgrp" | "setfacl" | "install" | "usermod"))
}

/// Whether a program may create directories, itself or by a command that it runs.
pub(super) fn makes_directories(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    ["mkdir", "mktemp", "useradd", "adduser", "env", "find", "ionice", "nice", "timeout", "xargs"].contains(&base)
}

/// Whether a program does not create other programs.
pub(crate) fn is_harmless(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    HARMLESS.contains(&base)
}

impl ScriptInterpreter<'_, '_, '_> {
    /// Models the output and effect of a program that starts. `false` if they are not known.
    pub(super) fn tool(&mut self, state: &mut ShellState, name: &str, argv: &[String], line: usize) -> bool {
        let base = name.rsplit('/').next().unwrap_or(name);
        let words: Vec<String> = argv[1..].to_vec();
        if words.iter().any(|word| word.starts_with(MANY)) {
            return false;
        }
        let operands: Vec<&String> = words.iter().filter(|word| !word.starts_with('-') || *word == "-").collect();
        let first = operands.first().map(|word| text::plain(word));
        let row = self.arch.row();
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
                    state.status = ExitStatus::from_truth(Truth::No);
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
                    (Truth::No, _) => {
                        state.status = self.absent(state, &name, line);
                        return true;
                    }
                    (truth, _) => {
                        state.print_unknown();
                        state.status = ExitStatus::from_truth(truth);
                        return true;
                    }
                },
                None => return false,
            },
            ("sort", _) if operands.is_empty() => {
                match state.input.as_deref().and_then(|lines| sorted(lines, &words)) {
                    Some(text) => text,
                    None => return false,
                }
            }
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
            ("sed" | "gsed", _) if edits_files(&words) => {
                let paths: Vec<String> = operands.iter().filter_map(|path| self.absolute(state, path)).collect();
                let made: Vec<&String> = paths.iter().filter(|path| state.made.may_have(path)).collect();
                for path in made {
                    Rc::make_mut(&mut state.made).write(self.machine.rootfs, path, &HOLE.to_string(), None);
                }
                Rc::make_mut(&mut state.written).extend(paths);
                String::new()
            }
            ("sed" | "gsed" | "grep" | "egrep" | "fgrep" | "tr" | "awk" | "gawk" | "mawk" | "uniq" | "wc", _) => {
                let Some((text, truth)) = self.filtered(state, base, &words) else { return false };
                state.print(&text);
                state.status = ExitStatus::from_truth(truth);
                return true;
            }
            ("envsubst", []) => match state.input.as_deref() {
                Some(lines) => substituted(&lines.join("\n"), &state.environment()) + "\n",
                None => return false,
            },
            ("xargs", []) => match state.input.as_deref() {
                Some(lines) => {
                    lines.iter().flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ") + "\n"
                }
                None => return false,
            },
            ("tee", _) => match state.input.as_deref() {
                Some(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
                None => return false,
            },
            ("ls", _) => return self.list_directory(state, &words, &operands),
            ("find", _) => return self.find(state, &words, line),
            ("run-parts", _) => return self.run_parts(state, &operands, &words, line),
            _ => return false,
        };
        state.print(&printed);
        state.status = ExitStatus::from_truth(Truth::Yes);
        true
    }

    fn real(&mut self, state: &ShellState, path: Option<String>) -> Option<String> {
        let path = self.absolute(state, &path?)?;
        match self.find_node(&path, true) {
            Some(id) => Some(text::clean(&String::from_utf8_lossy(&self.machine.rootfs.path(id)))),
            None => None,
        }
    }
}

/// Replaces `$NAME` and `${NAME}` as gettext's envsubst does. Unset variables are empty.
fn substituted(text: &str, env: &[String]) -> String {
    let (mut result, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        let is_braced = after.starts_with('{');
        let name = after.strip_prefix('{').unwrap_or(after);
        let length = name.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        let (name, tail) = name.split_at(length);
        let tail = if is_braced { tail.strip_prefix('}') } else { Some(tail) };
        rest = match tail.filter(|_| !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())) {
            Some(tail) => {
                result.push_str(crate::exec::environment::variable(env, name).unwrap_or_default());
                tail
            }
            None => {
                result.push('$');
                after
            }
        };
    }
    result + rest
}

/// Whether sed changes its files instead of printing them.
fn edits_files(words: &[String]) -> bool {
    words.iter().any(|word| {
        word.starts_with("--in-place") || word.starts_with('-') && !word.starts_with("--") && word.contains('i')
    })
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

/// Whether bash's `type` refuses a word as an option.
pub(super) fn is_bad_option(word: &str) -> bool {
    word.len() > 1
        && word != "--"
        && word.strip_prefix('-').is_some_and(|letters| !letters.chars().all(|c| "afptP".contains(c)))
}
