//! How a container runtime finds the program before it calls execve: as the container's user, in its root and working
//! directory, by the container's own PATH. Source: runc's use of Go's os/exec `LookPath`; crun's `find_executable`.

use super::binfmt::{Machine, lossy};
use crate::image::NodeId;
use crate::judge::{Cause, Errno, Exec, Outcome};

/// What engines put in the environment of a container that has no PATH.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The value of a variable in `KEY=VALUE` lines; the last one counts.
pub(crate) fn variable<'e>(env: &'e [String], key: &str) -> Option<&'e str> {
    env.iter().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// The path that the runtime gives to execve, or how its search ends.
pub(crate) fn program(machine: &Machine<'_>, call: &Exec) -> Result<Vec<u8>, Outcome> {
    let Some(name) = call.argv.first().filter(|name| !name.is_empty()) else {
        let text = "the image names no program to start, and the call none either".to_string();
        return Err(Outcome::Fails {
            errno: Errno::ENOENT,
            at: String::new(),
            cause: Cause { code: "no-command", text },
        });
    };
    if name.contains('/') {
        return Ok(name.clone().into_bytes());
    }
    let path = variable(&call.env, "PATH").filter(|path| !path.is_empty()).unwrap_or(DEFAULT_PATH);
    search(machine, name, path).map(|(path, _)| path)
}

/// The first executable file of that name in the directories of `path`.
pub(crate) fn search(machine: &Machine<'_>, name: &str, path: &str) -> Result<(Vec<u8>, NodeId), Outcome> {
    let mut near = None;
    for directory in path.split(':').filter(|directory| directory.starts_with('/')) {
        let candidate = [directory.trim_end_matches('/').as_bytes(), b"/", name.as_bytes()].concat();
        match machine.open(&candidate) {
            Ok(id) => return Ok((candidate, id)),
            Err(refusal) if refusal.errno.is_none() => {
                return Err(Outcome::Unknown { at: lossy(&candidate), cause: refusal.cause });
            }
            Err(refusal) if refusal.errno == Some(Errno::EACCES) => near = near.or(Some(refusal.cause.text)),
            Err(_) => {}
        }
    }
    let near = near.map_or_else(String::new, |near| format!("; {near}"));
    let text = format!("no executable {name} in PATH ({path}){near}");
    Err(Outcome::Fails { errno: Errno::ENOENT, at: name.to_string(), cause: Cause { code: "not-in-path", text } })
}
