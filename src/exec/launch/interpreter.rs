//! Interpreters and the file that each is given: whether it is there, and is one that they read. What is in it is run
//! time's. The words are those of OpenJDK 17, Node 18 and CPython 3.11.

use crate::exec::kernel::access::not_read;
use crate::exec::kernel::binfmt::Machine;
use crate::exec::kernel::mounts;
use crate::exec::kernel::why::describe;
use crate::exec::log::Log;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::{NodeId, NodeKind, ResolveError};
use crate::inspect::FileKind;

/// An interpreter that reads a file or, in a directory, one of a certain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interpreter {
    Node,
    Python,
}

/// What an interpreter is given to read.
enum Given<'a> {
    Nothing,
    /// By this option.
    Code(&'a str),
    /// A file, and the words after it.
    File(&'a String, &'a [String]),
}

impl Interpreter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Interpreter::Node => "node",
            Interpreter::Python => "python",
        }
    }

    /// Options whose value is the next word.
    fn valued(self) -> &'static [&'static str] {
        match self {
            Interpreter::Node => &["-r", "--require", "--import", "-C", "--conditions"],
            Interpreter::Python => &["-W", "-X"],
        }
    }

    /// What the arguments give it to read; `argv` has its own name first.
    fn given(self, argv: &[String]) -> Given<'_> {
        let mut at = 1;
        while let Some(word) = argv.get(at) {
            if self.instead().contains(&word.as_str()) {
                return Given::Code(word);
            }
            if !word.starts_with('-') {
                return Given::File(word, &argv[at + 1..]);
            }
            at += if self.valued().contains(&word.as_str()) { 2 } else { 1 };
        }
        Given::Nothing
    }

    /// The words that the file gets, where the arguments give one.
    pub(crate) fn words_for_file(self, argv: &[String]) -> &[String] {
        match self.given(argv) {
            Given::File(_, words) => words,
            Given::Code(_) | Given::Nothing => &[],
        }
    }

    /// Options by which no file is given.
    fn instead(self) -> &'static [&'static str] {
        match self {
            Interpreter::Node => &["-e", "-p", "--eval", "--print"],
            Interpreter::Python => &["-c", "-m"],
        }
    }

    /// What may be missing at the end of the file's name.
    fn endings(self) -> &'static [&'static str] {
        match self {
            Interpreter::Node => &["", ".js", ".mjs", ".cjs", ".json", ".node", ".ts"],
            Interpreter::Python => &[""],
        }
    }

    /// The files of a directory any of which makes it a program.
    fn of_directory(self) -> &'static [&'static str] {
        match self {
            Interpreter::Node => &["package.json", "index.js", "index.json", "index.node"],
            Interpreter::Python => &["__main__.py", "__main__.pyc"],
        }
    }
}

impl<'a> Machine<'a> {
    /// `java -jar FILE` needs FILE; what a class path holds is the JVM's to find.
    pub(crate) fn follow_java(&self, log: &mut Log, argv: &[String]) -> Option<Outcome> {
        let at = argv.iter().position(|word| word == "-jar")?;
        let jar = argv.get(at + 1)?;
        if jar.contains('*') {
            return None;
        }
        let (line, kind, text) = match self.cwd.walk(self.rootfs, jar.as_bytes(), &|_| true) {
            // A jar may begin with a script that starts it; these are never jars.
            Ok(id) => match self.kind(id) {
                Some(
                    FileKind::Elf(_) | FileKind::Empty | FileKind::Html | FileKind::LfsPointer | FileKind::Text(_),
                ) => {
                    let text = format!("{jar} is {}, not a jar", describe(self.kind(id)));
                    (format!("Error: Invalid or corrupt jarfile {jar}"), CauseKind::BadScript, text)
                }
                _ => return None,
            },
            Err(_) => {
                let text = format!("there is no {jar} for java to read");
                (format!("Error: Unable to access jarfile {jar}"), CauseKind::MissingScript, text)
            }
        };
        log.says.push(line);
        Some(Outcome::Dies { death: Death::Exit(1), at: jar.clone(), cause: Cause { kind, text } })
    }

    /// The file that an interpreter is given, where it is given one.
    pub(crate) fn follow_file(&self, log: &mut Log, argv: &[String], interpreter: Interpreter) -> Option<Outcome> {
        let file = match interpreter.given(argv) {
            Given::Nothing => return None,
            Given::Code(word) => return log.open_end(interpreter.name(), format!("{word} gives it the code to run")),
            Given::File(file, _) => file,
        };
        let lookup = |path: &str| self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true).ok();
        let is_directory = |id: &NodeId| self.rootfs.view(*id).kind == NodeKind::Directory;
        let mut files = interpreter.endings().iter().filter_map(|ending| lookup(&format!("{file}{ending}")));
        if file == "inspect" || files.any(|id| !is_directory(&id)) {
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
        if mounts::is_made(self.rootfs, file) {
            return log.open_end(file.as_str(), "it is not in the image");
        }
        match lookup(file) {
            Some(_) if interpreter.of_directory().iter().any(|name| lookup(&format!("{file}/{name}")).is_some()) => {
                None
            }
            found => Some(self.no_program_for(log, interpreter, &argv[0], file, found.is_some())),
        }
    }

    fn no_program_for(
        &self,
        log: &mut Log,
        interpreter: Interpreter,
        name: &str,
        file: &str,
        is_directory: bool,
    ) -> Outcome {
        let path = self.absolute(file);
        let by = interpreter.name();
        let (line, code) = match (interpreter, is_directory) {
            (Interpreter::Node, _) => (format!("Error: Cannot find module '{}'", path.trim_end_matches('/')), 1),
            (Interpreter::Python, true) => (format!("{name}: can't find '__main__' module in '{path}'"), 1),
            (Interpreter::Python, false) => {
                (format!("{name}: can't open file '{path}': [Errno 2] No such file or directory"), 2)
            }
        };
        let text = match is_directory {
            true => {
                format!("{file} is a directory with none of {} for {by} to read", interpreter.of_directory().join(", "))
            }
            false => format!("there is no {file} for {by} to read"),
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
