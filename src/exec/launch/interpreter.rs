//! Checks the file that an interpreter is given: whether it exists and is one that the interpreter reads. The file's
//! contents are not modelled. The messages are those of Node 18, CPython 3.11, Perl 5.36, PHP 8.2, Ruby 3.1, Bun 1.4
//! and Deno 2.

use crate::exec::environment::variable;
use crate::exec::kernel::access::{not_read, unreadable};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::mounts;
use crate::exec::launch::interpret::is_known;
use crate::exec::launch::walk::StartWalk;
use crate::exec::log::Log;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::{NodeId, NodeKind, ResolveError};

/// An interpreter that reads a file or, in a directory, a file of a certain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileInterpreter {
    Bun,
    Deno,
    Node,
    Perl,
    Php,
    Python,
    Ruby,
}

/// The input of an interpreter.
#[derive(Debug, PartialEq, Eq)]
enum InterpreterInput<'a> {
    Nothing,
    /// Code from this option, and the words after it.
    Code(&'a str, &'a [String]),
    /// A file, and the words after it.
    File(&'a String, &'a [String]),
}

/// How an interpreter parses options with one dash, whose letters may be joined.
struct Letters {
    /// Letters with which no file is read: code, a module, or its own search.
    code: &'static str,
    /// Letters whose value is the rest of the word, or the next word.
    next: &'static str,
    /// Letters whose value is the rest of the word.
    attached: &'static str,
}

impl FileInterpreter {
    /// Returns the interpreter for the name of its file, which may contain a version: `python3.11`.
    pub(crate) fn from_file_name(name: &str) -> Option<FileInterpreter> {
        match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
            "bun" => Some(FileInterpreter::Bun),
            "deno" => Some(FileInterpreter::Deno),
            "node" | "nodejs" => Some(FileInterpreter::Node),
            "perl" => Some(FileInterpreter::Perl),
            "php" => Some(FileInterpreter::Php),
            "python" => Some(FileInterpreter::Python),
            "ruby" => Some(FileInterpreter::Ruby),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            FileInterpreter::Bun => "bun",
            FileInterpreter::Deno => "deno",
            FileInterpreter::Node => "node",
            FileInterpreter::Perl => "perl",
            FileInterpreter::Php => "php",
            FileInterpreter::Python => "python",
            FileInterpreter::Ruby => "ruby",
        }
    }

    /// Source: node(1), perlrun(1), php(1), python(1), ruby(1), the help of bun and deno.
    fn letters(self) -> Letters {
        let letters = |code, next, attached| Letters { code, next, attached };
        match self {
            FileInterpreter::Bun => letters("epF", "rdlc", ""),
            FileInterpreter::Deno => letters("", "cL", "ARWNESI"),
            FileInterpreter::Node => letters("ep", "rC", ""),
            FileInterpreter::Perl => letters("eESx", "I", "MmCDFidV"),
            FileInterpreter::Php => letters("rafimvhBREF", "dcztTS", ""),
            FileInterpreter::Python => letters("cm", "WX", ""),
            FileInterpreter::Ruby => letters("eSxC", "IrE", "KTWFi"),
        }
    }

    /// Options with two dashes whose value is the next word.
    fn valued(self) -> &'static [&'static str] {
        match self {
            FileInterpreter::Bun => {
                &["--preload", "--require", "--import", "--define", "--loader", "--env-file", "--port", "--conditions"]
            }
            FileInterpreter::Deno => &[
                "--config",
                "--import-map",
                "--location",
                "--cert",
                "--seed",
                "--ext",
                "--log-level",
                "--preload",
                "--port",
                "--host",
                "--conditions",
            ],
            FileInterpreter::Node => &[
                "--require",
                "--import",
                "--conditions",
                "--env-file",
                "--env-file-if-exists",
                "--loader",
                "--experimental-loader",
                "--input-type",
                "--experimental-default-type",
                "--title",
                "--icu-data-dir",
                "--openssl-config",
                "--unhandled-rejections",
                "--dns-result-order",
                "--disable-warning",
                "--redirect-warnings",
                "--diagnostic-dir",
                "--report-dir",
                "--report-directory",
                "--report-filename",
                "--report-signal",
                "--heapsnapshot-signal",
                "--inspect-port",
                "--debug-port",
                "--max-http-header-size",
                "--secure-heap",
                "--secure-heap-min",
                "--watch-path",
                "--trace-event-categories",
                "--trace-event-file-pattern",
                "--test-reporter",
                "--test-reporter-destination",
                "--test-name-pattern",
            ],
            FileInterpreter::Php => &["--define", "--php-ini", "--docroot", "--zend-extension", "--server"],
            FileInterpreter::Python => &["--check-hash-based-pycs"],
            FileInterpreter::Ruby => &["--encoding", "--external-encoding", "--internal-encoding"],
            FileInterpreter::Perl => &[],
        }
    }

    /// Options with two dashes with which no file is read.
    fn instead(self) -> &'static [&'static str] {
        match self {
            FileInterpreter::Bun => &["--eval", "--print", "--cwd", "--filter", "--version", "--revision", "--help"],
            FileInterpreter::Deno => &["--version", "--help"],
            FileInterpreter::Node => &["--eval", "--print", "--run", "--test"],
            FileInterpreter::Php => &["--run", "--file", "--interactive", "--process-code", "--process-file"],
            FileInterpreter::Perl | FileInterpreter::Python | FileInterpreter::Ruby => &[],
        }
    }

    /// Parses the arguments into its input. `argv` starts with its own name.
    fn input(self, argv: &[String]) -> InterpreterInput<'_> {
        let letters = self.letters();
        let mut at = 1;
        let mut has_command = false;
        while let Some(word) = argv.get(at) {
            let rest = &argv[at + 1..];
            match word.strip_prefix('-') {
                None if self.takes_command() && !has_command && matches!(word.as_str(), "run" | "serve") => {
                    has_command = true;
                    at += 1;
                }
                None if self.takes_command() && !is_source(word) => return InterpreterInput::Nothing,
                None => return InterpreterInput::File(word, rest),
                Some("") => return InterpreterInput::Nothing,
                Some(long) if long.starts_with('-') => {
                    let key = word.split('=').next().unwrap_or(word);
                    if self.instead().contains(&key) {
                        return InterpreterInput::Code(word, rest);
                    }
                    at += if self.valued().contains(&word.as_str()) { 2 } else { 1 };
                }
                Some(joined) => {
                    at += 1;
                    for (index, letter) in joined.char_indices() {
                        if letters.code.contains(letter) {
                            return InterpreterInput::Code(word, rest);
                        }
                        if letters.next.contains(letter) {
                            at += usize::from(index + letter.len_utf8() == joined.len());
                            break;
                        }
                        if letters.attached.contains(letter) {
                            break;
                        }
                    }
                }
            }
        }
        InterpreterInput::Nothing
    }

    /// Whether its first word may be one of its commands: `deno run`.
    fn takes_command(self) -> bool {
        match self {
            FileInterpreter::Bun | FileInterpreter::Deno => true,
            FileInterpreter::Node
            | FileInterpreter::Perl
            | FileInterpreter::Php
            | FileInterpreter::Python
            | FileInterpreter::Ruby => false,
        }
    }

    /// Returns the file in the arguments, and the arguments that the file gets.
    pub(crate) fn file(self, argv: &[String]) -> Option<(&String, &[String])> {
        match self.input(argv) {
            InterpreterInput::File(file, words) => Some((file, words)),
            InterpreterInput::Code(..) | InterpreterInput::Nothing => None,
        }
    }

    /// Returns the code of `python -c CODE` or `node -e CODE`.
    pub(crate) fn code(self, argv: &[String]) -> Option<&str> {
        let InterpreterInput::Code(word, rest) = self.input(argv) else { return None };
        let is_alone = word.ends_with(['c', 'e', 'r']) || word.starts_with("--");
        rest.first().map(String::as_str).filter(|_| is_alone && self.module(argv).is_none())
    }

    /// Returns the module of `python -m MODULE`.
    pub(crate) fn module(self, argv: &[String]) -> Option<&str> {
        let InterpreterInput::Code(word, rest) = self.input(argv) else { return None };
        let (before, attached) = word.split_once('m').filter(|_| self == FileInterpreter::Python)?;
        let is_module = !before.contains('c');
        if attached.is_empty() { rest.first().map(String::as_str) } else { Some(attached) }.filter(|_| is_module)
    }

    /// The exit code if the user may not read the file. Seen with Python 3.11, perl 5.36 and node 20.
    fn exit_of_denied(self) -> u8 {
        match self {
            FileInterpreter::Python => 2,
            FileInterpreter::Perl => 13,
            FileInterpreter::Node
            | FileInterpreter::Bun
            | FileInterpreter::Deno
            | FileInterpreter::Php
            | FileInterpreter::Ruby => 1,
        }
    }

    /// Endings that the file's name may omit.
    fn endings(self) -> &'static [&'static str] {
        match self {
            FileInterpreter::Bun => &["", ".tsx", ".jsx", ".ts", ".mjs", ".js", ".cjs", ".json"],
            FileInterpreter::Node => &["", ".js", ".mjs", ".cjs", ".json", ".node", ".ts"],
            FileInterpreter::Deno
            | FileInterpreter::Perl
            | FileInterpreter::Php
            | FileInterpreter::Python
            | FileInterpreter::Ruby => &[""],
        }
    }

    /// Files any of which makes a directory a program. Empty if directories are not modelled.
    pub(super) fn in_directory(self) -> &'static [&'static str] {
        match self {
            FileInterpreter::Node => &["package.json", "index.js", "index.json", "index.node"],
            FileInterpreter::Python => &["__main__.py", "__main__.pyc"],
            FileInterpreter::Bun
            | FileInterpreter::Deno
            | FileInterpreter::Perl
            | FileInterpreter::Php
            | FileInterpreter::Ruby => &[],
        }
    }
}

/// Options with which node reads a file before the program. Source: node(1).
const PRELOADS: &[&str] = &["-r", "--require", "--import", "--loader", "--experimental-loader"];

/// Whether a word is a file for Bun or Deno to run, not a command, a script's name or a package.
fn is_source(word: &str) -> bool {
    const ENDS: &[&str] = &[".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts"];
    !word.contains(':') && ENDS.iter().any(|end| word.ends_with(end))
}

impl<'a> ExecMachine<'a> {
    /// Checks the file that an interpreter is given, if any.
    pub(crate) fn follow_file(
        &self,
        log: &mut Log,
        argv: &[String],
        interpreter: FileInterpreter,
        walk: &StartWalk,
    ) -> Option<Outcome> {
        if interpreter == FileInterpreter::Node
            && let Some(outcome) = self.lacking_preload(log, argv, walk)
        {
            return Some(outcome);
        }
        let file = match interpreter.input(argv) {
            InterpreterInput::Nothing => return None,
            InterpreterInput::Code(word, _) => {
                return log.open_end(interpreter.name(), format!("{word} passes it the code to run"));
            }
            InterpreterInput::File(file, _) => file,
        };
        if !walk.is_open
            && !walk.has_new_modes
            && let Some(cause) = unreadable(self.rootfs, (&self.who, &self.changes), &self.cwd, file)
        {
            let death = Death::Exit(interpreter.exit_of_denied());
            return Some(Outcome::Dies { death, at: self.absolute(file), cause });
        }
        let lookup = |path: &str| self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true).ok();
        let is_directory = |id: &NodeId| self.rootfs.view(*id).kind == NodeKind::Directory;
        let mut files = interpreter.endings().iter().filter_map(|ending| lookup(&format!("{file}{ending}")));
        if interpreter == FileInterpreter::Node && file == "inspect" || files.any(|id| !is_directory(&id)) {
            return None;
        }
        if let Err(ResolveError::Unread(mount)) = self.cwd.walk(self.rootfs, file.as_bytes(), &|_| true) {
            let cause = Cause { kind: CauseKind::NotRead, text: not_read(file, &mount) };
            return Some(Outcome::Unknown { at: self.absolute(file), cause });
        }
        if lookup(file).is_some_and(|id| self.rootfs.is_unread(id)) {
            let cause = Cause { kind: CauseKind::NotRead, text: not_read(file, file.as_bytes()) };
            return Some(Outcome::Unknown { at: self.absolute(file), cause });
        }
        if walk.is_open || mounts::is_made(self.rootfs, file) {
            return log.open_end(file.as_str(), "it is not in the image");
        }
        match lookup(file) {
            Some(_) if interpreter.in_directory().is_empty() => None,
            Some(_) if interpreter.in_directory().iter().any(|name| lookup(&format!("{file}/{name}")).is_some()) => {
                None
            }
            found => Some(self.no_program_for(log, interpreter, &argv[0], file, found.is_some())),
        }
    }

    /// Ends node if a file that its options load before its program does not exist. Node resolves a package's name
    /// itself.
    fn lacking_preload(&self, log: &mut Log, argv: &[String], walk: &StartWalk) -> Option<Outcome> {
        if walk.is_open {
            return None;
        }
        let preset = variable(&walk.env, "NODE_OPTIONS").unwrap_or_default().split_whitespace().map(str::to_string);
        let program = FileInterpreter::Node.file(argv).map_or(argv.len(), |(_, rest)| argv.len() - rest.len() - 1);
        let words: Vec<String> = preset.chain(argv[1..program.max(1)].iter().cloned()).collect();
        for (at, word) in words.iter().enumerate() {
            let (key, attached) = word.split_once('=').map_or((word.as_str(), None), |(key, value)| (key, Some(value)));
            if !PRELOADS.contains(&key) {
                continue;
            }
            let Some(file) = attached.or_else(|| words.get(at + 1).map(String::as_str)) else { continue };
            let is_path = ["/", "./", "../"].iter().any(|start| file.starts_with(start)) && is_known(file);
            let is_there = |ending: &&str| {
                let path = format!("{file}{ending}");
                !matches!(self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true), Err(ResolveError::Missing(_)))
            };
            if is_path && !mounts::is_made(self.rootfs, file) && !FileInterpreter::Node.endings().iter().any(is_there) {
                return Some(self.no_program_for(log, FileInterpreter::Node, &argv[0], file, false));
            }
        }
        None
    }

    fn no_program_for(
        &self,
        log: &mut Log,
        interpreter: FileInterpreter,
        name: &str,
        file: &str,
        is_directory: bool,
    ) -> Outcome {
        let path = self.absolute(file);
        let by = interpreter.name();
        let (line, code) = match (interpreter, is_directory) {
            (FileInterpreter::Node, _) => (format!("Error: Cannot find module '{}'", path.trim_end_matches('/')), 1),
            (FileInterpreter::Bun, _) => (format!("error: Module not found \"{file}\""), 1),
            (FileInterpreter::Deno, _) => (format!("error: Module not found \"file://{path}\"."), 1),
            (FileInterpreter::Python, true) => (format!("{name}: can't find '__main__' module in '{path}'"), 1),
            (FileInterpreter::Perl, _) => (format!("Can't open perl script \"{file}\": No such file or directory"), 2),
            (FileInterpreter::Php, _) => (format!("Could not open input file: {file}"), 1),
            (FileInterpreter::Ruby, _) => (format!("{name}: No such file or directory -- {file} (LoadError)"), 1),
            (FileInterpreter::Python, false) => {
                (format!("{name}: can't open file '{path}': [Errno 2] No such file or directory"), 2)
            }
        };
        let text = match is_directory {
            true => {
                format!(
                    "{file} is a directory with none of the files that {by} reads ({})",
                    interpreter.in_directory().join(", ")
                )
            }
            false => format!("{by} needs {file}, which does not exist"),
        };
        log.says.push(line);
        Outcome::Dies {
            death: Death::Exit(code),
            at: file.to_string(),
            cause: Cause { kind: CauseKind::MissingScript, text },
        }
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_string();
        }
        format!("{}/{path}", lossy(&self.cwd.path(self.rootfs)).trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_after_the_options_and_their_values() {
        let file = |interpreter: FileInterpreter, line: &str| {
            let argv: Vec<String> = line.split(' ').map(str::to_string).collect();
            interpreter.file(&argv).map(|(file, _)| file.clone())
        };
        for (interpreter, line, expected) in [
            (FileInterpreter::Node, "node --env-file .env -r x --enable-source-maps app.js y", Some("app.js")),
            (FileInterpreter::Node, "node --env-file=.env app.js", Some("app.js")),
            (FileInterpreter::Node, "node -pe 1", None),
            (FileInterpreter::Node, "node --run start", None),
            (FileInterpreter::Python, "python -u -W ignore -Xdev app.py", Some("app.py")),
            (FileInterpreter::Python, "python -um app", None),
            (FileInterpreter::Python, "python -", None),
            (FileInterpreter::Perl, "perl -w -I lib -MCarp app.pl", Some("app.pl")),
            (FileInterpreter::Perl, "perl -lane print", None),
            (FileInterpreter::Php, "php -d a=b artisan serve", Some("artisan")),
            (FileInterpreter::Php, "php -S 0.0.0.0:80 -t public", None),
            (FileInterpreter::Php, "php -S 0.0.0.0:80 router.php", Some("router.php")),
            (FileInterpreter::Php, "php -da=b artisan", Some("artisan")),
            (FileInterpreter::Php, "php -S 0.0.0.0:80 -t public", None),
            (FileInterpreter::Ruby, "ruby -w -I lib -rjson app.rb", Some("app.rb")),
            (FileInterpreter::Ruby, "ruby -S rails", None),
            (FileInterpreter::Bun, "bun --smol src/a.ts x", Some("src/a.ts")),
            (FileInterpreter::Bun, "bun --bun run --hot a.tsx", Some("a.tsx")),
            (FileInterpreter::Bun, "bun run start", None),
            (FileInterpreter::Bun, "bun install", None),
            (FileInterpreter::Deno, "deno run -A --config deno.json --allow-net=a.b main.ts", Some("main.ts")),
            (FileInterpreter::Deno, "deno serve --port 80 main.ts", Some("main.ts")),
            (FileInterpreter::Deno, "deno task start", None),
            (FileInterpreter::Deno, "deno run npm:vite.js", None),
            (FileInterpreter::Deno, "deno run https://a.b/c.ts", None),
        ] {
            assert_eq!(file(interpreter, line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn modules_are_named_next_to_the_option_or_after_it() {
        let module = |line: &str| {
            let argv: Vec<String> = line.split(' ').map(str::to_string).collect();
            FileInterpreter::Python.module(&argv).map(str::to_string)
        };
        assert_eq!(module("python -m http.server 80").as_deref(), Some("http.server"));
        assert_eq!(module("python -Imflask run").as_deref(), Some("flask"));
        assert_eq!((module("python -c import"), module("python app.py")), (None, None));
    }

    #[test]
    fn interpreters_are_known_with_their_versions() {
        for (name, expected) in [
            ("python3.11", Some(FileInterpreter::Python)),
            ("php8.2", Some(FileInterpreter::Php)),
            ("ruby", Some(FileInterpreter::Ruby)),
            ("perl5.36.0", Some(FileInterpreter::Perl)),
            ("php-fpm8.2", None),
            ("pythonw", None),
        ] {
            assert_eq!(FileInterpreter::from_file_name(name), expected, "{name}");
        }
    }
}
