//! Models how a container runtime finds the program before it calls execve: as the container's user, in its root and
//! working directory, with the container's own PATH. Source: runc's use of Go's os/exec `LookPath`; crun's
//! `find_executable`.

use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::access::OpenRefusal;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::log::{AsRoot, Log};
use crate::exec::{Cause, CauseKind, Errno, Exec, Outcome};

/// Returns the path that the runtime passes to execve, or the outcome of a failed search.
pub(crate) fn program(machine: &ExecMachine<'_>, log: &mut Log, call: &Exec) -> Result<Vec<u8>, Outcome> {
    let fails = |at: &str, kind, text| Err(Outcome::fails(Errno::ENOENT, at.as_bytes(), Cause { kind, text }));
    let Some(name) = call.argv.first() else {
        return fails("", CauseKind::NoCommand, "neither the image nor the call names a program to start".to_string());
    };
    if name.is_empty() {
        // Source: moby's daemon `getEntrypointAndArgs`, podman's specgen `makeCommand`.
        let Some(next) = call.argv.get(1) else {
            return fails("", CauseKind::NotInPath, "the program's name is empty".to_string());
        };
        let text = format!(
            "the program's name is empty: docker and podman skip an empty ENTRYPOINT and start {next}, but \
             containerd fails"
        );
        return Err(Outcome::Unknown { at: String::new(), cause: Cause { kind: CauseKind::EmptyEntrypoint, text } });
    }
    if name.contains('/') {
        return Ok(name.clone().into_bytes());
    }
    search(machine, log, name, variable(&call.env, "PATH").unwrap_or(DEFAULT_PATH))
}

/// Returns the result of crun's search, which runs before the process changes its user. It searches for the path
/// itself, or in each directory of PATH, even a relative one. Source: crun's `find_executable`.
pub(crate) fn as_root(machine: &ExecMachine<'_>, log: &mut Log, call: &Exec) -> AsRoot {
    let name = call.argv.first().map_or("", String::as_str);
    let path = variable(&call.env, "PATH").unwrap_or(DEFAULT_PATH);
    let candidates: Vec<String> = match name.contains('/') {
        true => vec![name.to_string()],
        false => path.split(':').filter(|_| !path.is_empty()).map(|directory| clean(directory, name)).collect(),
    };
    let mut last = AsRoot::FindsNothing;
    for candidate in candidates.into_iter().filter(|_| !name.is_empty()) {
        match machine.open(log, candidate.as_bytes()) {
            Ok(_) => return AsRoot::Finds(candidate),
            Err(OpenRefusal { errno: Some(errno), cause }) if errno != Errno::ENOENT => {
                last = AsRoot::Refuses(cause.kind, errno);
            }
            Err(_) => {}
        }
    }
    last
}

/// Returns the first executable file of that name in the directories of `path`. An empty directory is the working
/// directory.
fn search(machine: &ExecMachine<'_>, log: &mut Log, name: &str, path: &str) -> Result<Vec<u8>, Outcome> {
    let fails = |kind, text| Err(Outcome::fails(Errno::ENOENT, name.as_bytes(), Cause { kind, text }));
    let mut near = None;
    for directory in path.split(':').filter(|_| !path.is_empty()) {
        let candidate = clean(directory, name);
        match machine.open(log, candidate.as_bytes()) {
            Ok(_) if !candidate.starts_with('/') => {
                let text = format!(
                    "{candidate} was found through {directory:?} in PATH ({path}); most runtimes do not run programs \
                     found relative to the working directory, but crun does"
                );
                return fails(CauseKind::RelativeInPath, text);
            }
            Ok(_) => return Ok(candidate.into_bytes()),
            Err(refusal) if refusal.errno.is_none() => {
                return Err(Outcome::Unknown { at: candidate, cause: refusal.cause });
            }
            Err(refusal) if refusal.errno == Some(Errno::EACCES) => near = near.or(Some(refusal.cause.text)),
            Err(_) => {}
        }
    }
    let near = near.map_or_else(String::new, |near| format!("; {near}"));
    fails(CauseKind::NotInPath, format!("no executable {name} in PATH ({path}){near}"))
}

/// Joins a directory of PATH and a name. Normalises the directory lexically. Source: Go's path/filepath `Join`.
fn clean(directory: &str, name: &str) -> String {
    let is_absolute = directory.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    parts.push(name);
    format!("{}{}", if is_absolute { "/" } else { "" }, parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn directories_of_path_are_normalised_lexically() {
        for (directory, path) in [
            ("/bin", "/bin/a"),
            ("/", "/a"),
            ("//usr/./bin//", "/usr/bin/a"),
            ("/x/../..", "/a"),
            ("", "a"),
            (".", "a"),
        ] {
            assert_eq!(clean(directory, "a"), path);
        }
        assert_eq!((clean("b/../..", "a").as_str(), clean("b/", "a").as_str()), ("../a", "b/a"));
    }
}
