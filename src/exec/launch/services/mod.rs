//! Programs that start other programs by what their configuration says: supervisors, init systems, schedulers. Each is a
//! row of one table; each service is followed as the call itself is.

mod execline;
mod ini;
mod scanned;
mod scheduled;
mod units;

pub(super) use execline::commands as execline_commands;

use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::binfmt::Machine;
use crate::exec::launch::interpret::{is_known, kept_text};
use crate::exec::launch::walk::Walk;
use crate::exec::log::{Certainty, Followed, Link, Log, Risk};
use crate::exec::outcome::{Outcome, lossy};
use crate::image::{NodeId, NodeKind};

/// Services of one supervisor that are followed.
const MAX_SERVICES: usize = 64;
/// Configuration files of one supervisor that are read.
const MAX_FILES: usize = 256;

/// A kind of supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supervisor {
    Supervisord,
    /// s6-svscan on a scan directory.
    S6Svscan,
    /// s6-overlay's `/init`, versions 2 and 3.
    S6Overlay,
    Runsvdir,
    Systemd,
    OpenRc,
    Cron,
    Procfile,
    Pm2,
    Monit,
}

/// The names of the programs of each kind. s6-overlay is known by its files.
const PROGRAMS: &[(&str, Supervisor)] = &[
    ("supervisord", Supervisor::Supervisord),
    ("s6-svscan", Supervisor::S6Svscan),
    ("runsvdir", Supervisor::Runsvdir),
    ("runit-init", Supervisor::Runsvdir),
    ("runit", Supervisor::Runsvdir),
    ("runsvdir-start", Supervisor::Runsvdir),
    ("systemd", Supervisor::Systemd),
    ("openrc-init", Supervisor::OpenRc),
    ("openrc", Supervisor::OpenRc),
    ("cron", Supervisor::Cron),
    ("crond", Supervisor::Cron),
    ("anacron", Supervisor::Cron),
    ("foreman", Supervisor::Procfile),
    ("honcho", Supervisor::Procfile),
    ("forego", Supervisor::Procfile),
    ("goreman", Supervisor::Procfile),
    ("hivemind", Supervisor::Procfile),
    ("overmind", Supervisor::Procfile),
    ("shoreman", Supervisor::Procfile),
    ("pm2", Supervisor::Pm2),
    ("pm2-runtime", Supervisor::Pm2),
    ("pm2-docker", Supervisor::Pm2),
    ("monit", Supervisor::Monit),
];

/// What a supervisor starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub command: ServiceCommand,
    /// `KEY=VALUE` lines added to the supervisor's environment.
    pub env: Vec<String>,
    pub working_dir: Option<String>,
    /// The file that says so, and the line.
    pub by: String,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServiceCommand {
    /// Executed as it is; a name without a slash is looked for on PATH.
    Words(Vec<String>),
    /// Given to /bin/sh.
    Shell(String),
}

impl Service {
    pub(super) fn of_words(words: Vec<String>, by: &str, line: usize) -> Service {
        let command = ServiceCommand::Words(words);
        Service { command, env: Vec::new(), working_dir: None, by: by.to_string(), line }
    }

    pub(super) fn of_shell(text: &str, by: &str, line: usize) -> Service {
        let command = ServiceCommand::Shell(text.to_string());
        Service { command, env: Vec::new(), working_dir: None, by: by.to_string(), line }
    }
}

/// The supervisor that runs as `name` with these arguments, its own name first. An interpreter's script counts by its
/// own name.
pub(crate) fn supervisor(
    machine: &Machine<'_>,
    name: &str,
    file: &str,
    argv: &[String],
) -> Option<(Supervisor, usize)> {
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_string();
    let by_name = |name: &str| PROGRAMS.iter().find(|(program, _)| *program == name).map(|(_, kind)| *kind);
    if let Some(kind) = by_name(name).or_else(|| by_name(file)) {
        return Some((kind, 0));
    }
    let is_interpreter = ["python", "node", "ruby", "sh", "bash", "dash", "perl", "execlineb", "busybox"]
        .iter()
        .any(|start| name.starts_with(start));
    let at = argv.iter().skip(1).position(|word| !word.starts_with('-')).filter(|_| is_interpreter)? + 1;
    let script = argv.get(at).filter(|script| script.contains('/'))?;
    let is_overlay = |path: &str| machine.rootfs.resolve(path).is_ok();
    if script == "/init"
        && ["/etc/s6-overlay", "/package/admin/s6-overlay", "/etc/s6/init", "/etc/services.d"]
            .into_iter()
            .any(is_overlay)
    {
        return Some((Supervisor::S6Overlay, at));
    }
    by_name(&base(script)).map(|kind| (kind, at))
}

impl Machine<'_> {
    /// Follows what a supervisor starts. `argv`: its own name, and its arguments.
    pub(crate) fn supervise(&self, log: &mut Log, kind: Supervisor, argv: &[String], walk: &Walk) {
        let services = match kind {
            Supervisor::Supervisord => ini::supervisord(self, argv),
            Supervisor::S6Svscan => {
                let directory = argv.iter().skip(1).rfind(|word| !word.starts_with('-'));
                scanned::services(self, directory.map_or(".", String::as_str))
            }
            Supervisor::Runsvdir => scanned::runit(self, argv),
            Supervisor::S6Overlay => scanned::s6_overlay(self, argv),
            Supervisor::Systemd => units::systemd(self),
            Supervisor::OpenRc => units::openrc(self),
            Supervisor::Cron => scheduled::cron(self),
            Supervisor::Procfile => scheduled::procfile(self, argv),
            Supervisor::Pm2 => scheduled::pm2(self, argv),
            Supervisor::Monit => ini::monit(self),
        };
        let Some(services) = services else {
            log.open_end::<()>(argv.first().map_or("", String::as_str), "its configuration was not found in the image");
            return;
        };
        for service in services.into_iter().take(MAX_SERVICES) {
            self.follow_service(log, service, walk);
        }
    }

    fn follow_service(&self, log: &mut Log, service: Service, walk: &Walk) {
        let mut env = walk.env.clone();
        env.extend(service.env);
        let walk = Walk { env, depth: walk.depth + 1, is_open: true, user: None };
        let argv = match service.command {
            ServiceCommand::Words(words) => words,
            ServiceCommand::Shell(text) => vec!["/bin/sh".to_string(), "-c".to_string(), text],
        };
        let Some(name) = argv.first().filter(|name| is_known(name) && !name.is_empty()).cloned() else { return };
        let path = match self.on_path(&name, &walk.env) {
            Some(path) => path,
            // A service of a package that is not there, or one that is made at run time.
            None => return,
        };
        let mut own = Log { budget: std::mem::take(&mut log.budget), ..Log::default() };
        let bytes: Vec<Vec<u8>> = argv.iter().map(|word| word.clone().into_bytes()).collect();
        let outcome = self.walk(&mut own, path.as_bytes(), &bytes, &walk, Link::Command(service.by.clone()));
        log.budget = own.budget;
        log.visited.extend(own.steps.iter().cloned());
        log.visited.extend(own.visited);
        log.asked.merge(own.asked);
        log.risks.extend(own.risks);
        match outcome {
            Outcome::Runs | Outcome::Emulated { .. } => {
                if let Followed::Partial { .. } = own.followed {
                    log.followed = own.followed;
                }
            }
            Outcome::Fails { .. } | Outcome::Dies { .. } | Outcome::Unknown { .. } => {
                let certainty = Certainty::Certain;
                log.risks.push(Risk { outcome, steps: own.steps, by: service.by, line: service.line, certainty });
            }
        }
    }

    /// The path of a program that a service names.
    fn on_path(&self, name: &str, env: &[String]) -> Option<String> {
        let is_there = |path: &str| self.rootfs.resolve(path).is_ok();
        if name.contains('/') {
            return is_there(name).then(|| name.to_string());
        }
        let path = variable(env, "PATH").unwrap_or(DEFAULT_PATH);
        path.split(':')
            .map(|directory| format!("{}/{name}", directory.trim_end_matches('/')))
            .find(|path| is_there(path))
    }
}

/// A configuration file's text, where it was kept.
pub(super) fn text_of(machine: &Machine<'_>, path: &str) -> Option<String> {
    let id = machine.rootfs.resolve(path).ok()?;
    kept_text(machine.kind(id)?)
}

/// A directory's entries by name, sorted: the path and the node that it leads to.
pub(super) fn entries(machine: &Machine<'_>, directory: &str) -> Vec<(String, NodeId)> {
    let Ok(id) = machine.rootfs.resolve(directory) else { return Vec::new() };
    let path = |name: &[u8]| format!("{}/{}", directory.trim_end_matches('/'), lossy(name));
    let mut found: Vec<(String, NodeId)> = machine
        .rootfs
        .children(id)
        .take(MAX_FILES)
        .filter_map(|child| {
            let path = path(child.name);
            let target = machine.rootfs.resolve(&path).ok()?;
            Some((path, target))
        })
        .collect();
    found.sort();
    found
}

pub(super) fn is_file(machine: &Machine<'_>, id: NodeId) -> bool {
    machine.rootfs.view(id).kind == NodeKind::File
}

pub(super) fn is_executable(machine: &Machine<'_>, path: &str) -> bool {
    machine.rootfs.resolve(path).is_ok_and(|id| {
        let view = machine.rootfs.view(id);
        view.kind == NodeKind::File && view.mode & 0o111 != 0
    })
}

/// Words as a shell splits them, quotes taken off; no expansions.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let script = crate::shell::parse(text);
    let Some(command) = script.list.items.first().map(|item| &item.first.commands[0]) else { return Vec::new() };
    match &command.kind {
        crate::shell::CommandKind::Simple(simple) if simple.assignments.is_empty() => {
            simple.words.iter().map(|word| word.literal().unwrap_or(super::interpret::UNKNOWN.to_string())).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
