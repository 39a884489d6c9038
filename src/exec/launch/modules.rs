//! Checks the module that a console script of Python imports, as pip and uv write it: `from gunicorn.app.wsgiapp import
//! run`. Source: distlib's and uv's templates of scripts; Python's site module.

use crate::exec::environment::variable;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpreter::FileInterpreter;
use crate::exec::launch::walk::{Ran, StartWalk};
use crate::exec::log::{Link, Log};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::{NodeId, NodeKind};
use crate::inspect::FileKind;

/// Number of tree nodes that cost one of a call's steps.
const STEP_NODES: usize = 1024;

/// The location of a module, as far as file names show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whereabouts {
    /// Where this Python may find it, or unknown.
    Perhaps,
    /// Nowhere in the image.
    Nowhere,
    /// Only among the packages of this other minor version of Python 3.
    Other(u32),
}

impl ExecMachine<'_> {
    /// Ends a console script, or `-m`, whose module this Python cannot find. `None` if it may find it.
    pub(super) fn follow_module(&self, log: &mut Log, ran: &Ran, walk: &StartWalk) -> Option<Outcome> {
        if walk.is_open || variable(&walk.env, "PYTHONHOME").is_some() {
            return None;
        }
        self.doubt_environment(log, &ran.file);
        let (by, whole, line) = match FileInterpreter::Python.file(&ran.argv) {
            Some((file, _)) => {
                let id = self.cwd.walk(self.rootfs, file.as_bytes(), &|_| true).ok()?;
                let Some(FileKind::Script(script)) = self.kind(id) else { return None };
                let whole = imported(&String::from_utf8_lossy(&script.text), script.is_whole)?.to_string();
                let line = format!("ModuleNotFoundError: No module named '{}'", top(&whole));
                (file.clone(), whole, line)
            }
            None => {
                let whole = FileInterpreter::Python.module(&ran.argv).filter(|module| is_name(top(module)))?;
                (ran.argv[0].clone(), whole.to_string(), format!("{}: No module named {whole}", ran.argv[0]))
            }
        };
        log.budget.steps += self.rootfs.entries() / STEP_NODES;
        let path = variable(&walk.env, "PYTHONPATH").unwrap_or_default();
        let module = top(&whole);
        let text = match self.whereabouts(&whole, minor(&ran.file), path) {
            Whereabouts::Perhaps => return None,
            Whereabouts::Nowhere => format!("{by} imports {module}, which is not in the image"),
            Whereabouts::Other(other) => {
                format!(
                    "{by} imports {module}, which is only installed for Python 3.{other}; it runs with {}",
                    ran.file
                )
            }
        };
        log.says.push(line);
        let cause = Cause { kind: CauseKind::MissingModule, text };
        Some(Outcome::Dies { death: Death::Exit(1), at: by, cause })
    }

    /// Records a doubt about a virtual environment whose packages are for another version than its interpreter, as
    /// happens if a build stage had another one. Source: PEP 405.
    fn doubt_environment(&self, log: &mut Log, file: &str) {
        let Some(own) = minor(file) else { return };
        let started = log.steps.iter().rev().find(|step| step.link != Link::Loader);
        let root = started.and_then(|step| step.typed.rsplit_once("/bin/")).map(|(root, _)| root.to_string());
        let Some(root) = root.filter(|root| self.rootfs.resolve(format!("{root}/pyvenv.cfg")).is_ok()) else { return };
        let Ok(library) = self.rootfs.resolve(format!("{root}/lib")) else { return };
        let found: Vec<u32> = self.rootfs.children(library).filter_map(|view| minor(&lossy(view.name))).collect();
        if let Some(other) = found.first().filter(|_| !found.contains(&own)) {
            let text = format!(
                "{root} has packages for Python 3.{other}, but its interpreter is {file}, which does not find them"
            );
            log.doubt(CauseKind::MissingModule, text);
        }
    }

    /// Whether a directory with a module's first name contains the module, and not something else of that name.
    fn is_package(&self, directory: NodeId, whole: &str) -> bool {
        let below = whole.split('.').nth(1);
        self.rootfs.children(directory).any(|view| {
            let name = lossy(view.name);
            let stem = name.split('.').next().unwrap_or_default();
            stem == "__init__" || stem == "__main__" || Some(stem) == below
        })
    }

    /// Locates the module `whole`: `gunicorn.app.wsgiapp` is below gunicorn.
    fn whereabouts(&self, whole: &str, own: Option<u32>, path: &str) -> Whereabouts {
        let module = top(whole);
        let mut has_library = false;
        let mut other = None;
        for view in self.rootfs.all() {
            let name = lossy(view.name);
            has_library |= matches!(&*name, "os.py" | "os.pyc");
            // Editable packages and eggs have their own tables.
            if name.starts_with("__editable__") || name.ends_with(".egg") || name.ends_with(".egg-link") {
                return Whereabouts::Perhaps;
            }
            let is_module = match name.strip_prefix(module) {
                // The script itself usually has its package's name.
                Some("") => match view.kind {
                    NodeKind::Directory => self.is_package(view.id, whole),
                    NodeKind::File => false,
                    _ => true,
                },
                Some(rest) => rest.starts_with('.'),
                None => false,
            };
            if !is_module {
                continue;
            }
            let directory = lossy(&self.rootfs.path(self.rootfs.parent(view.id)));
            let is_named = path.split(':').any(|named| named.trim_end_matches('/') == directory);
            match (version_of(&directory), own) {
                (Some(found), Some(own)) if found != own && !is_named => other = Some(found),
                _ => return Whereabouts::Perhaps,
            }
        }
        match (has_library, other) {
            // A Python whose library is not visible may have other modules that are not.
            (false, _) => Whereabouts::Perhaps,
            (true, Some(other)) => Whereabouts::Other(other),
            (true, None) => Whereabouts::Nowhere,
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns `gunicorn` for `gunicorn.app.wsgiapp`.
fn top(module: &str) -> &str {
    module.split('.').next().unwrap_or(module)
}

/// Returns the module that a console script imports its function from. `None` if it is another kind of script.
fn imported(text: &str, is_whole: bool) -> Option<&str> {
    let whole = if is_whole { text } else { &text[..text.rfind('\n')?] };
    for line in whole.lines().skip(1).map(str::trim_end) {
        match line {
            "" | "import re" | "import sys" => {}
            comment if comment.starts_with('#') => {}
            // If the interpreter's path is too long for the first line, a shell starts it.
            shell if shell.starts_with("'''exec' ") || shell == "' '''" => {}
            _ => {
                let (module, function) = line.strip_prefix("from ")?.split_once(" import ")?;
                let top = top(module);
                let is_name =
                    |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                let is_own =
                    is_name(top) && is_name(function) && !["importlib", "re", "sys", "__future__"].contains(&top);
                return is_own.then_some(module);
            }
        }
    }
    None
}

/// Returns the minor version in the name of an interpreter's file: `python3.11`.
fn minor(file: &str) -> Option<u32> {
    file.strip_prefix("python3.")?.trim_end_matches('t').parse().ok()
}

/// Returns the minor version of the Python whose packages are in a directory:
/// `/usr/local/lib/python3.11/site-packages`.
fn version_of(directory: &str) -> Option<u32> {
    let library = directory.strip_suffix("/site-packages").or_else(|| directory.strip_suffix("/dist-packages"))?;
    minor(library.rsplit('/').next()?)
}

#[cfg(test)]
#[path = "modules_tests.rs"]
mod tests;
