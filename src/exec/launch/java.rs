//! Checks what Java reads and loads at startup: its jar, its class path, its agents. The messages are those of OpenJDK
//! 17.

use crate::exec::environment::variable;
use crate::exec::kernel::access::not_read;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::why::describe;
use crate::exec::launch::interpret::is_known;
use crate::exec::launch::walk::StartWalk;
use crate::exec::log::Log;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::ResolveError;
use crate::inspect::FileKind;

/// Variables whose words Java reads as its first options. Source: the JVM TI's documentation; java(1).
const VARIABLES: &[&str] = &["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];

/// An agent. Java exits if it cannot load one. Source: java(1), "-agentpath", "-javaagent".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agent {
    /// A library by its path.
    Native,
    /// A library by its name, which is searched for in Java's own directories and on its library path.
    Named,
    Jar,
}

const AGENTS: &[(&str, Agent)] =
    &[("-agentpath:", Agent::Native), ("-agentlib:", Agent::Named), ("-javaagent:", Agent::Jar)];

/// Whether a file of this kind can be neither a library nor a jar.
fn not_a_library(kind: &FileKind) -> bool {
    matches!(kind, FileKind::Empty | FileKind::Html | FileKind::LfsPointer | FileKind::Text(_))
}

impl<'a> ExecMachine<'a> {
    /// `java -jar FILE` needs FILE, and `java -cp A:B MAIN` needs A or B. The contents of a class path are not checked.
    pub(crate) fn follow_java(&self, log: &mut Log, argv: &[String], walk: &StartWalk) -> Option<Outcome> {
        if let Some(outcome) = self.lacking_agent(log, argv, walk) {
            return Some(outcome);
        }
        let Some(at) = argv.iter().position(|word| word == "-jar") else {
            return self.follow_class_path(log, argv, walk);
        };
        let jar = argv.get(at + 1)?;
        if jar.contains('*') {
            return None;
        }
        let (line, kind, text) = match self.cwd.walk(self.rootfs, jar.as_bytes(), &|_| true) {
            // A jar may begin with a script that starts it. These kinds are never jars.
            Ok(id) => match self.kind(id) {
                Some(
                    FileKind::Elf(_) | FileKind::Empty | FileKind::Html | FileKind::LfsPointer | FileKind::Text(_),
                ) => {
                    let text = format!("{jar} is {}, not a jar", describe(self.kind(id)));
                    (format!("Error: Invalid or corrupt jarfile {jar}"), CauseKind::BadScript, text)
                }
                _ => return None,
            },
            Err(_) if walk.is_open => return log.open_end(jar.as_str(), "it is not in the image"),
            Err(_) => {
                let text = format!("java needs {jar}, which does not exist");
                (format!("Error: Unable to access jarfile {jar}"), CauseKind::MissingScript, text)
            }
        };
        log.says.push(line);
        Some(Outcome::Dies { death: Death::Exit(1), at: jar.clone(), cause: Cause { kind, text } })
    }

    /// Ends java if nothing in its class path is in the image. Source: java(1), "--class-path".
    fn follow_class_path(&self, log: &mut Log, argv: &[String], walk: &StartWalk) -> Option<Outcome> {
        const NAMES: &[&str] = &["-cp", "-classpath", "--class-path"];
        let at = argv.iter().rposition(|word| NAMES.contains(&word.as_str()))?;
        let path = argv.get(at + 1)?;
        let is_module = |word: &String| word == "-m" || word == "--module" || word.starts_with('@');
        if !is_known(path) || walk.is_open || argv[1..].iter().any(is_module) {
            return None;
        }
        let is_there = |entry: &str| {
            let entry = entry.strip_suffix('*').unwrap_or(entry);
            let found = self.cwd.walk(self.rootfs, if entry.is_empty() { b"." } else { entry.as_bytes() }, &|_| true);
            !matches!(found, Err(ResolveError::Missing(_)))
        };
        let main = argv[at + 2..].iter().find(|word| !word.starts_with('-'))?;
        if path.is_empty() || path.split(':').any(is_there) {
            return None;
        }
        log.says.push(format!("Error: Could not find or load main class {main}"));
        let text = format!("nothing in java's class path {path} is in the image");
        let cause = Cause { kind: CauseKind::MissingScript, text };
        Some(Outcome::Dies { death: Death::Exit(1), at: path.clone(), cause })
    }

    /// Ends java if it cannot load one of its agents.
    fn lacking_agent(&self, log: &mut Log, argv: &[String], walk: &StartWalk) -> Option<Outcome> {
        let preset = VARIABLES.iter().filter_map(|name| variable(&walk.env, name));
        let options = argv.iter().skip(1).take_while(|word| *word != "-jar").map(String::as_str);
        for word in preset.flat_map(str::split_whitespace).chain(options) {
            let found = AGENTS.iter().find_map(|(start, agent)| Some((word.strip_prefix(start)?, *agent)));
            let Some((rest, agent)) = found.filter(|_| is_known(word)) else { continue };
            let name = rest.split('=').next().unwrap_or(rest);
            let outcome = match agent {
                Agent::Native | Agent::Jar => self.agent_file(log, name, agent, walk),
                Agent::Named => self.agent_library(log, name),
            };
            if outcome.is_some() {
                return outcome;
            }
        }
        None
    }

    fn agent_file(&self, log: &mut Log, path: &str, agent: Agent, walk: &StartWalk) -> Option<Outcome> {
        let dies = |log: &mut Log, line: String, kind, text| {
            log.says.push(line);
            Some(Outcome::Dies { death: Death::Exit(1), at: path.to_string(), cause: Cause { kind, text } })
        };
        let could_not = |why: &str| format!("Could not find agent library {path} in absolute path, with error: {why}");
        let id = match self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true) {
            Ok(id) => id,
            Err(ResolveError::Unread(mount)) => {
                let cause = Cause { kind: CauseKind::NotRead, text: not_read(path, &mount) };
                return Some(Outcome::Unknown { at: path.to_string(), cause });
            }
            Err(_) if walk.is_open => return log.open_end(path, "it is not in the image"),
            Err(_) => {
                let line = match agent {
                    Agent::Jar => format!("Error opening zip file or JAR manifest missing : {path}"),
                    Agent::Native | Agent::Named => {
                        could_not(&format!("{path}: cannot open shared object file: No such file or directory"))
                    }
                };
                let text = format!("java must load the agent {path}, which is not in the image");
                return dies(log, line, CauseKind::MissingLibrary, text);
            }
        };
        match (agent, self.kind(id)) {
            (Agent::Native | Agent::Named, Some(FileKind::Elf(elf))) if elf.arch() == Some(self.node.arch) => None,
            (Agent::Native | Agent::Named, Some(kind @ FileKind::Elf(_))) => {
                let line = could_not(&format!("{path}: cannot open shared object file: No such file or directory"));
                let text = format!("java must load the agent {path}, but it is {}", describe(Some(kind)));
                dies(log, line, CauseKind::ForeignLibrary, text)
            }
            (Agent::Native | Agent::Named, Some(kind)) if not_a_library(kind) => {
                let text = format!("java must load the agent {path}, but it is {}", describe(Some(kind)));
                dies(log, could_not(&format!("{path}: invalid ELF header")), CauseKind::BrokenLibrary, text)
            }
            (Agent::Jar, Some(kind)) if not_a_library(kind) || matches!(kind, FileKind::Elf(_)) => {
                let line = format!("Error opening zip file or JAR manifest missing : {path}");
                let text = format!("java must load the agent {path}, but it is {}", describe(Some(kind)));
                dies(log, line, CauseKind::BrokenLibrary, text)
            }
            (Agent::Native | Agent::Named | Agent::Jar, _) => None,
        }
    }

    /// Ends java if no file in the image has the name of an agent's library.
    fn agent_library(&self, log: &mut Log, name: &str) -> Option<Outcome> {
        let file = format!("lib{name}.so");
        // Java's own agents are built into it if it is statically linked.
        if ["jdwp", "hprof", "instrument"].contains(&name) || self.rootfs.named(file.as_bytes()).next().is_some() {
            return None;
        }
        log.says.push(format!(
            "Could not find agent library {name} on the library path, with error: {file}: cannot open shared object \
             file: No such file or directory"
        ));
        let text = format!("java must load the agent {name}, but {file} is not in the image");
        let cause = Cause { kind: CauseKind::MissingLibrary, text };
        Some(Outcome::Dies { death: Death::Exit(1), at: file, cause })
    }
}

#[cfg(test)]
mod tests {
    use crate::exec::tests::{call, short, tree};
    use crate::exec::{Exec, trace};
    use crate::inspect::elf_builder::ElfBuilder;
    use crate::platform::{Arch, Node};

    fn check(words: &[&str], variable: &str, expected: &str) {
        let (own, foreign) = (ElfBuilder::amd64().build(), ElfBuilder::arm64().build());
        let files: &[(&str, u16, &[u8])] = &[
            ("usr/bin/java", 0o755, &own),
            ("bin/sh", 0o755, &own),
            ("app.jar", 0o644, b"PK\x03\x04"),
            ("libown.so", 0o644, &own),
            ("libforeign.so", 0o644, &foreign),
            ("page.so", 0o644, b"<html><body>moved</body></html>"),
        ];
        let env = vec!["PATH=/usr/bin:/bin".to_string(), variable.to_string()];
        let trace = trace(&tree(files), &Exec { env, ..call(words) }, &Node::plain(Arch::Amd64));
        assert_eq!(short(&trace.outcome), expected, "{words:?} {variable}");
    }

    #[test]
    fn an_agent_that_cannot_be_loaded_ends_java() {
        let java = |option: &str, expected: &str| {
            check(&["java", "-Xmx1g", option, "-jar", "/app.jar"], "A=", expected);
            check(&["java", "-jar", "/app.jar"], &format!("JAVA_TOOL_OPTIONS=-Xss1m {option}"), expected);
            check(&["java", "-jar", "/app.jar", option], "A=", "runs");
        };
        java("-agentpath:/libown.so=a=b", "runs");
        java("-agentpath:/libforeign.so=a=b", "exit 1 foreign-library");
        java("-agentpath:/page.so", "exit 1 broken-library");
        java("-agentpath:/none.so", "exit 1 missing-library");
        java("-agentlib:jdwp=transport=dt_socket", "runs");
        java("-agentlib:own", "runs");
        java("-agentlib:none", "exit 1 missing-library");
        java("-javaagent:/app.jar=x", "runs");
        java("-javaagent:/none.jar", "exit 1 missing-library");
        java("-javaagent:/libown.so", "exit 1 broken-library");
    }

    #[test]
    fn what_a_command_before_may_have_made_is_left_to_run_time() {
        check(&["sh", "-c", "java -version; wget -O /x.jar http://a.b; exec java -jar /x.jar"], "A=", "runs");
        check(&["sh", "-c", "exec java -jar /x.jar"], "A=", "exit 1 missing-script");
        check(&["sh", "-c", "exec java -javaagent:/x.jar -jar /app.jar"], "A=", "exit 1 missing-library");
    }
}
