//! Programs that start other programs from their configuration: supervisors, init systems, schedulers. Each is a row of
//! one table. Each service is followed like the call itself.

mod arguments;
mod execline;
mod files;
mod ini;
mod inits;
mod pm2;
mod refusals;
mod scanned;
mod scheduled;
mod schedulers;
mod sections;
mod supervisord;
mod units;

use arguments::{option, words_of};
pub(super) use execline::{commands as execline_commands, is_script as is_execline_script};
pub(super) use files::from_cwd;
use files::{control_file, entries, is_executable, is_file, matching, text_at, text_of};
use refusals::ServiceFault;

use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::mounts;
use crate::exec::launch::accounts::Account;
use crate::exec::launch::interpret::is_known;
use crate::exec::launch::perhaps::plain;
use crate::exec::launch::walk::StartWalk;
use crate::exec::log::{Certainty, Followed, Link, Log, Risk};
use crate::exec::outcome::{Outcome, lossy};
use crate::exec::{Cause, CauseKind, Death, Errno};
use crate::image::ResolveError;

/// Maximum number of services of one supervisor that are followed.
const MAX_SERVICES: usize = 64;
/// Maximum number of configuration files of one supervisor that are read.
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
    /// BusyBox's and sysvinit's init, which read /etc/inittab.
    Inittab,
    /// `my_init` of Phusion's base images.
    MyInit,
    /// s6-supervise, runsv or supervise on one service directory.
    One,
    /// Debian's or BusyBox's run-parts, as the call itself.
    RunParts,
}

/// The program names of each kind. s6-overlay is recognised by its files.
const PROGRAMS: &[(&str, Supervisor)] = &[
    ("supervisord", Supervisor::Supervisord),
    ("s6-svscan", Supervisor::S6Svscan),
    ("runsvdir", Supervisor::Runsvdir),
    ("runit-init", Supervisor::Runsvdir),
    ("runit", Supervisor::Runsvdir),
    ("runsvdir-start", Supervisor::Runsvdir),
    ("s6-supervise", Supervisor::One),
    ("runsv", Supervisor::One),
    ("supervise", Supervisor::One),
    ("svscan", Supervisor::S6Svscan),
    ("systemd", Supervisor::Systemd),
    ("openrc-init", Supervisor::OpenRc),
    ("openrc", Supervisor::OpenRc),
    ("cron", Supervisor::Cron),
    ("crond", Supervisor::Cron),
    ("anacron", Supervisor::Cron),
    ("supercronic", Supervisor::Cron),
    ("run-parts", Supervisor::RunParts),
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
    ("my_init", Supervisor::MyInit),
];

impl Supervisor {
    /// Whether a service fails if its program is not in the image. Others start the services that a distribution
    /// enables only if they are installed, or start programs that are created before they are due.
    fn needs_programs(self) -> bool {
        match self {
            Supervisor::Supervisord
            | Supervisor::S6Svscan
            | Supervisor::S6Overlay
            | Supervisor::Runsvdir
            | Supervisor::Pm2
            | Supervisor::Monit
            | Supervisor::MyInit
            | Supervisor::One
            | Supervisor::RunParts => true,
            Supervisor::Systemd
            | Supervisor::OpenRc
            | Supervisor::Cron
            | Supervisor::Procfile
            | Supervisor::Inittab => false,
        }
    }

    /// Whether other programs, which may create files, run before its services start.
    fn is_late(self) -> bool {
        match self {
            Supervisor::Systemd | Supervisor::OpenRc | Supervisor::Cron | Supervisor::Inittab => true,
            Supervisor::Supervisord
            | Supervisor::S6Svscan
            | Supervisor::S6Overlay
            | Supervisor::Runsvdir
            | Supervisor::Procfile
            | Supervisor::Pm2
            | Supervisor::Monit
            | Supervisor::MyInit
            | Supervisor::One
            | Supervisor::RunParts => false,
        }
    }
}

/// A service that a supervisor starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SupervisedService {
    pub command: ServiceCommand,
    /// `KEY=VALUE` lines added to the supervisor's environment.
    pub env: Vec<String>,
    pub working_dir: Option<String>,
    /// The user that it runs as, by name or number.
    pub user: Option<String>,
    /// The configuration file that defines it, and the line.
    pub by: String,
    pub line: usize,
    pub runs: Runs,
    /// Whether it is sure to be started.
    pub start: Certainty,
    /// Whether it fails if its program does not exist, although services of this kind of supervisor need not be
    /// installed: a service of the image's author.
    pub missing: Option<Certainty>,
    /// Why it does not start, whatever its program is.
    pub fault: Option<ServiceFault>,
}

/// How long a service runs, as seen from the services after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    /// To its end, before the next ones start. It may create files that they need.
    Before,
    Alongside,
    /// After another service has ended, which may create files that it needs.
    After,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServiceCommand {
    /// Executed directly. A name without a slash is searched for on PATH.
    Words(Vec<String>),
    /// Passed to /bin/sh.
    Shell(String),
}

impl SupervisedService {
    pub(super) fn of_words(words: Vec<String>, by: &str, line: usize) -> SupervisedService {
        SupervisedService::new(ServiceCommand::Words(words), by, line)
    }

    pub(super) fn of_shell(text: &str, by: &str, line: usize) -> SupervisedService {
        SupervisedService::new(ServiceCommand::Shell(text.to_string()), by, line)
    }

    fn new(command: ServiceCommand, by: &str, line: usize) -> SupervisedService {
        SupervisedService {
            command,
            env: Vec::new(),
            working_dir: None,
            user: None,
            by: by.to_string(),
            line,
            runs: Runs::Alongside,
            start: Certainty::Certain,
            missing: None,
            fault: None,
        }
    }

    /// Returns the same service, for whose end the ones after it wait.
    pub(super) fn before(self) -> SupervisedService {
        SupervisedService { runs: Runs::Before, ..self }
    }

    /// Returns the same service, which starts when another one has ended.
    pub(super) fn after(self) -> SupervisedService {
        SupervisedService { runs: Runs::After, ..self }
    }
}

/// Returns the supervisor that runs as `name` with these arguments, its own name first. A script counts by its own
/// name, not its interpreter's.
pub(crate) fn supervisor(
    machine: &ExecMachine<'_>,
    name: &str,
    file: &str,
    argv: &[String],
) -> Option<(Supervisor, usize)> {
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_string();
    let by_name = |name: &str| PROGRAMS.iter().find(|(program, _)| *program == name).map(|(_, kind)| *kind);
    if let Some(kind) = by_name(name).or_else(|| by_name(file)) {
        return Some((kind, 0));
    }
    if name == "init" && machine.rootfs.resolve("/etc/inittab").is_ok() {
        return Some((Supervisor::Inittab, 0));
    }
    let is_interpreter = ["python", "node", "ruby", "sh", "bash", "dash", "perl", "execlineb", "busybox"]
        .iter()
        .any(|start| name.starts_with(start));
    let at = argv.iter().skip(1).position(|word| is_execline_script(word)).filter(|_| is_interpreter)? + 1;
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

impl ExecMachine<'_> {
    /// Follows the services that a supervisor starts. `argv` is its own name and its arguments. `None` if it runs.
    pub(crate) fn supervise(
        &self,
        log: &mut Log,
        kind: Supervisor,
        argv: &[String],
        walk: &StartWalk,
    ) -> Option<Outcome> {
        let services = match kind {
            Supervisor::Supervisord => match ini::supervisord(self, argv, &walk.env, &walk.made) {
                Some(configuration) => match self.refuses(log, &configuration, walk) {
                    Some(outcome) => return Some(outcome),
                    None => Some(configuration.services),
                },
                None => None,
            },
            Supervisor::S6Svscan => {
                let directory = argv.iter().skip(1).rfind(|word| !word.starts_with('-'));
                scanned::services(self, directory.map_or(".", String::as_str), &walk.made)
            }
            Supervisor::Runsvdir => scanned::runit(self, argv, &walk.made),
            Supervisor::S6Overlay => scanned::s6_overlay(self, argv, walk),
            Supervisor::One => argv.last().map(|directory| scanned::supervised(self, directory, &walk.made)),
            Supervisor::RunParts => scheduled::run_parts(self, argv),
            Supervisor::Systemd => units::systemd(self),
            Supervisor::OpenRc => inits::openrc(self),
            Supervisor::Cron => scheduled::cron(self, argv, &walk.made),
            Supervisor::Procfile => scheduled::procfile(self, argv, &walk.env),
            Supervisor::Pm2 => pm2::services(self, argv, &walk.env),
            Supervisor::Monit => match self.refuses_control_file(argv, walk) {
                Some(outcome) => return Some(outcome),
                None => ini::monit(self, argv),
            },
            Supervisor::Inittab => inits::inittab(self),
            Supervisor::MyInit => scanned::my_init(self, argv, &walk.made),
        };
        let Some(services) = services else {
            return log
                .open_end(argv.first().map_or("", String::as_str), "its configuration was not found in the image");
        };
        let services = match kind {
            Supervisor::Cron | Supervisor::Systemd => self.with_users(log, kind, services, walk),
            _ => services,
        };
        let mut walk = StartWalk { depth: walk.depth + 1, user: None, stdin: None, ..walk.clone() };
        if kind == Supervisor::Cron {
            self.give_path_of_cron(argv, &mut walk);
        }
        let was_open = walk.is_open;
        walk.is_open |= kind.is_late();
        walk.keeps_programs = false;
        if kind == Supervisor::S6Overlay {
            // Source: s6-overlay's README, "/command".
            let path = variable(&walk.env, "PATH").unwrap_or(DEFAULT_PATH).to_string();
            walk.env.push(format!("PATH=/command:{path}"));
        }
        for service in services.into_iter().take(MAX_SERVICES) {
            let runs = service.runs;
            // No service may use more than half of what is left of the budget, so that all are followed.
            let share = log.budget.left() / 2;
            let outer = (log.budget.reserved, log.budget.start);
            (log.budget.reserved, log.budget.start) = (outer.0 + share, log.budget.steps);
            // cron itself starts the commands of its tables, and their author names the programs.
            let is_job = kind == Supervisor::Cron && matches!(service.command, ServiceCommand::Shell(_));
            let own = StartWalk { is_open: was_open || walk.is_open && !is_job, ..walk.clone() };
            self.follow_service(log, kind, service, &own);
            (log.budget.reserved, log.budget.start) = outer;
            log.budget.gave_up = None;
            walk.is_open |= runs == Runs::Before;
        }
        None
    }

    fn follow_service(&self, log: &mut Log, kind: Supervisor, service: SupervisedService, walk: &StartWalk) {
        if let Some(ServiceFault { cause, code }) = service.fault {
            let outcome = Outcome::Dies { death: Death::Exit(code), at: service.by.clone(), cause };
            let (by, line, certainty) = (service.by, service.line, service.start);
            log.risks.push(Risk { outcome, steps: Vec::new(), by, line, certainty });
            return;
        }
        let moved = service.working_dir.as_deref().filter(|directory| is_known(directory));
        let moved = moved.and_then(|directory| self.machine_in(directory));
        let machine = moved.as_ref().unwrap_or(self);
        let changed = service.user.as_deref().and_then(|user| machine.as_user(user, walk));
        let machine = changed.as_ref().unwrap_or(machine);
        let mut walk = walk.clone();
        walk.is_open |= service.runs == Runs::After;
        walk.env.extend(service.env);
        let argv = match service.command {
            ServiceCommand::Words(words) => words,
            ServiceCommand::Shell(text) => {
                let shell = variable(&walk.env, "SHELL").filter(|_| kind == Supervisor::Cron).unwrap_or("/bin/sh");
                vec![shell.to_string(), "-c".to_string(), text]
            }
        };
        let (by, line) = (service.by, service.line);
        if let Some(user) = &service.user {
            match self.account(user, &walk) {
                Account::Uid(uid) => walk.user = Some(uid),
                Account::Missing(text) => {
                    let cause = Cause { kind: CauseKind::UnknownUser, text };
                    // systemd's EXIT_USER. Source: systemd.exec(5), "Process Exit Codes".
                    let outcome = Outcome::Dies { death: Death::Exit(217), at: by.clone(), cause };
                    log.risks.push(Risk { outcome, steps: Vec::new(), by, line, certainty: Certainty::Certain });
                    return;
                }
            }
        }
        let Some(name) = argv.first().filter(|name| !name.is_empty()).cloned() else { return };
        if !is_known(&name) {
            let caller = plain(&by);
            match self.may_start(log, &argv, caller, &walk) {
                Some(outcome) => {
                    log.risks.push(Risk { outcome, steps: Vec::new(), by, line, certainty: Certainty::Certain })
                }
                None => {
                    let why = "starts a program whose name is only known at run time";
                    log.open_end::<()>(format!("{by}:{line}"), why);
                }
            }
            return;
        }
        let full = if name.contains('/') { from_cwd(machine, &name) } else { name.clone() };
        if let Some(file) = walk.made.written(self.rootfs, &full).filter(|_| name.contains('/')) {
            let mut own = Log { budget: std::mem::take(&mut log.budget), ..Log::default() };
            let outcome = machine.run_written(&mut own, (&full, &file), &argv, None, &walk);
            self.conclude(log, own, outcome, (by, line, service.start));
            return;
        }
        // supervisord looks for the program in its own directory before it changes to the service's directory, with the
        // PATH of the service. Seen with supervisord 4.2.
        let is_there = kind != Supervisor::Supervisord || self.on_path(&name, &walk.env).is_some();
        let Some(path) = machine.on_path(&name, &walk.env).filter(|_| is_there) else {
            let is_needed = kind.needs_programs() || service.missing.is_some();
            if is_needed && !mounts::is_made(self.rootfs, &name) {
                let text = match machine.cwd.walk(self.rootfs, name.as_bytes(), &|_| true) {
                    Err(ResolveError::Missing(absent)) if absent != name.as_bytes() && name.contains('/') => {
                        format!("{name} leads to {}, which is not in the image", lossy(&absent))
                    }
                    _ => format!("{name} is not in the image"),
                };
                let cause = Cause { kind: CauseKind::MissingProgram, text };
                let by_state = if walk.is_open { Certainty::Possible } else { Certainty::Certain };
                let certainty = service.missing.unwrap_or(by_state);
                let certainty = if service.start == Certainty::Possible { service.start } else { certainty };
                let outcome = Outcome::fails(Errno::ENOENT, name.as_bytes(), cause);
                log.risks.push(Risk { outcome, steps: Vec::new(), by, line, certainty });
            }
            return;
        };
        if kind == Supervisor::Supervisord
            && let Some(outcome) = self.lacks_directory(service.working_dir.as_deref(), &by, &walk)
        {
            log.risks.push(Risk { outcome, steps: Vec::new(), by, line, certainty: Certainty::Certain });
            return;
        }
        let mut own = Log { budget: std::mem::take(&mut log.budget), ..Log::default() };
        let bytes: Vec<Vec<u8>> = argv.iter().map(|word| word.clone().into_bytes()).collect();
        let outcome = machine.walk(&mut own, path.as_bytes(), &bytes, &walk, Link::Command(by.clone()));
        self.conclude(log, own, outcome, (by, line, service.start));
    }

    /// Records the outcome of a service.
    fn conclude(
        &self,
        log: &mut Log,
        mut own: Log,
        outcome: Outcome,
        (by, line, certainty): (String, usize, Certainty),
    ) {
        log.visited.extend(own.steps.iter().cloned());
        log.absorb(&mut own);
        log.risks.extend(own.risks);
        match outcome {
            Outcome::Runs | Outcome::Emulated { .. } => {
                if let Followed::Partial { .. } = own.followed {
                    log.followed = own.followed;
                }
            }
            Outcome::Fails { .. } | Outcome::Dies { .. } | Outcome::Unknown { .. } => {
                log.risks.push(Risk { outcome, steps: own.steps, by, line, certainty });
            }
        }
    }

    /// Returns the path of a program that a service names.
    fn on_path(&self, name: &str, env: &[String]) -> Option<String> {
        let is_there = |path: &str| self.cwd.walk(self.rootfs, path.as_bytes(), &|_| true).is_ok();
        if name.contains('/') {
            return is_there(name).then(|| name.to_string());
        }
        let path = variable(env, "PATH").unwrap_or(DEFAULT_PATH);
        path.split(':')
            .map(|directory| format!("{}/{name}", directory.trim_end_matches('/')))
            .find(|path| is_there(path))
    }
}

#[cfg(test)]
#[path = "services_tests.rs"]
mod tests;
