//! systemd's units. Source: systemd.service(5), systemd.unit(5).

use std::collections::{BTreeMap, BTreeSet};

use super::refusals::ServiceFault;
use super::{MAX_FILES, ServiceCommand, SupervisedService, entries, text_of, words_of};
use crate::exec::CauseKind;
use crate::exec::environment::variable;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::log::Certainty;
use crate::exec::outcome::lossy;
use crate::image::ResolveError;

const UNIT_DIRECTORIES: &[&str] = &["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Targets whose services a booted container starts.
const TARGETS: &[&str] = &["default", "multi-user", "basic", "sysinit", "graphical", "sockets", "timers"];

/// Targets whose `.wants` directories in /usr/lib are read as well. Others there hold the distribution's own units.
const VENDOR_TARGETS: &[&str] = &["multi-user", "default"];

/// Returns the services that the image's author enabled, and the units that these require. Those that a distribution's
/// targets start are not followed.
pub(super) fn systemd(machine: &ExecMachine<'_>) -> Option<Vec<SupervisedService>> {
    let mut names = BTreeSet::from(["default.target".to_string()]);
    for target in TARGETS {
        let vendor = UNIT_DIRECTORIES.iter().filter(|_| VENDOR_TARGETS.contains(target));
        for directory in UNIT_DIRECTORIES[..1].iter().chain(vendor) {
            for kind in ["wants", "requires"] {
                names.extend(listed(machine, &format!("{directory}/{target}.target.{kind}")));
            }
        }
    }
    let mut open: Vec<String> = names.iter().cloned().collect();
    let mut services = Vec::new();
    while let Some(name) = open.pop().filter(|_| names.len() <= MAX_FILES) {
        let Some(unit) = load(machine, &name) else { continue };
        let pulled = unit.pulls.iter().cloned().chain(unit.triggered());
        // A distribution's targets are not followed.
        let is_own = name != "default.target" || unit.is_own;
        let pulled: Vec<String> = pulled.filter(|name| is_own && names.insert(name.clone())).collect();
        open.extend(pulled);
        services.extend(unit.into_services(machine));
    }
    services.sort_by(|a, b| (&a.by, a.line).cmp(&(&b.by, b.line)));
    Some(services)
}

/// Returns the units that a `.wants` or `.requires` directory names.
fn listed(machine: &ExecMachine<'_>, directory: &str) -> Vec<String> {
    let Ok(id) = machine.rootfs.resolve(directory) else { return Vec::new() };
    machine.rootfs.children(id).take(MAX_FILES).map(|child| String::from_utf8_lossy(child.name).into_owned()).collect()
}

/// Reads a unit with its drop-ins. `None` if it does not exist or is masked.
fn load(machine: &ExecMachine<'_>, name: &str) -> Option<Unit> {
    let mut unit = Unit::new(name);
    let template = unit.template();
    // A unit is found by its name; where the link leads does not matter. Seen with systemd 252.
    let paths = [name, template.as_str()]
        .into_iter()
        .flat_map(|name| UNIT_DIRECTORIES.iter().map(move |directory| format!("{directory}/{name}")));
    let wanted = TARGETS.iter().flat_map(|target| {
        ["wants", "requires"].map(|kind| format!("/etc/systemd/system/{target}.target.{kind}/{name}"))
    });
    let root = machine.rootfs.root();
    let exists = |path: &String| machine.rootfs.walk(root, path.as_bytes(), false, &|_| true).is_ok();
    let path = paths.chain(wanted).find(exists)?;
    // The first file of that name decides, also if it is a link to /dev/null, which masks the unit.
    let text = text_of(machine, &path)?;
    // A link there may be an alias of a unit of the distribution.
    let real = machine.rootfs.resolve(&path).map(|id| lossy(&machine.rootfs.path(id))).unwrap_or_default();
    unit.is_own = real.starts_with(UNIT_DIRECTORIES[0]);
    unit.read(&text, &path);
    for path in drop_ins(machine, &[template.as_str(), name]) {
        unit.read(&text_of(machine, &path).unwrap_or_default(), &path);
    }
    if unit.is_own {
        for kind in ["wants", "requires"] {
            unit.pulls.extend(listed(machine, &format!("{}/{name}.{kind}", UNIT_DIRECTORIES[0])));
        }
    }
    Some(unit)
}

/// The files that extend a unit, in the order in which they are applied: by name, and a name in an earlier directory
/// replaces that name in a later one. Source: systemd.unit(5).
fn drop_ins(machine: &ExecMachine<'_>, names: &[&str]) -> Vec<String> {
    let mut found = BTreeMap::new();
    for directory in UNIT_DIRECTORIES {
        for name in names {
            for (path, _) in entries(machine, &format!("{directory}/{name}.d")) {
                if let Some(file) = path.rsplit('/').next().filter(|file| file.ends_with(".conf")) {
                    found.entry(file.to_string()).or_insert(path);
                }
            }
        }
    }
    found.into_values().collect()
}

/// A service's unit with its drop-ins.
struct Unit {
    name: String,
    before: Vec<SupervisedService>,
    main: Vec<SupervisedService>,
    env: Vec<String>,
    /// Files with further variables.
    env_files: Vec<String>,
    /// Those without which it does not start, and the lines.
    needed_files: Vec<(String, usize)>,
    /// It does not start without its working directory.
    needs_directory: bool,
    /// The units without which it does not start.
    requires: Vec<String>,
    working_dir: Option<String>,
    user: Option<String>,
    /// The units that it starts: `Requires=` and similar.
    pulls: Vec<String>,
    /// `Unit=` of a timer and `Service=` of a socket.
    names: Option<String>,
    /// It is in the directory of the image's author.
    is_own: bool,
    /// It is only started under conditions.
    has_condition: bool,
}

impl Unit {
    fn new(name: &str) -> Unit {
        Unit {
            name: name.to_string(),
            before: Vec::new(),
            main: Vec::new(),
            env: Vec::new(),
            env_files: Vec::new(),
            needed_files: Vec::new(),
            needs_directory: false,
            requires: Vec::new(),
            working_dir: None,
            user: None,
            pulls: Vec::new(),
            names: None,
            is_own: false,
            has_condition: false,
        }
    }

    /// The service that a timer, a socket or a path starts.
    fn triggered(&self) -> Option<String> {
        let (stem, kind) = self.name.rsplit_once('.')?;
        let is_trigger = matches!(kind, "timer" | "socket" | "path");
        is_trigger.then(|| self.names.clone().unwrap_or_else(|| format!("{stem}.service")))
    }

    /// `getty@.service` of `getty@tty1.service`; other names are their own.
    fn template(&self) -> String {
        match (self.name.split_once('@'), self.name.rsplit_once('.')) {
            (Some((prefix, _)), Some((_, kind))) => format!("{prefix}@.{kind}"),
            (None, _) | (_, None) => self.name.clone(),
        }
    }

    /// With the specifiers that the unit's name decides.
    fn expand(&self, value: &str) -> String {
        let (stem, _) = self.name.rsplit_once('.').unwrap_or((&self.name, ""));
        let instance = stem.split_once('@').map_or("", |(_, instance)| instance);
        value.replace("%i", instance).replace("%I", instance).replace("%n", &self.name).replace("%N", stem)
    }

    fn read(&mut self, text: &str, path: &str) {
        let mut joined = String::new();
        for (at, line) in text.lines().enumerate() {
            let line = format!("{}{}", std::mem::take(&mut joined), line.trim());
            if let Some(start) = line.strip_suffix('\\') {
                joined = format!("{start} ");
                continue;
            }
            if let Some((key, value)) = line.split_once('=') {
                let value = self.expand(value.trim());
                self.set(key.trim(), &value, path, at + 1);
            }
        }
    }

    fn set(&mut self, key: &str, value: &str, path: &str, line: usize) {
        match key {
            "WorkingDirectory" => {
                self.needs_directory = !value.starts_with(['-', '~']);
                self.working_dir = Some(value.trim_start_matches('-').to_string());
            }
            "User" => self.user = Some(value.to_string()).filter(|user| !user.is_empty()),
            "DynamicUser" => self.user = None,
            "Requires" | "BindsTo" | "Requisite" => {
                self.requires.extend(value.split_whitespace().map(str::to_string));
                self.pulls.extend(value.split_whitespace().map(str::to_string));
            }
            "Wants" | "Upholds" => {
                self.pulls.extend(value.split_whitespace().map(str::to_string));
            }
            key if key.starts_with("Condition") || key.starts_with("Assert") => self.has_condition = true,
            "Unit" | "Service" => self.names = Some(value.to_string()),
            "EnvironmentFile" if value.is_empty() => {
                self.env_files.clear();
                self.needed_files.clear();
            }
            "EnvironmentFile" => {
                if !value.starts_with('-') {
                    self.needed_files.push((value.to_string(), line));
                }
                self.env_files.push(value.trim_start_matches('-').to_string());
            }
            "Environment" => self.env.extend(words_of(&format!("x {value}")).into_iter().skip(1)),
            "ExecStart" | "ExecStartPre" => {
                // `-` ignores its failure; the others change how it is executed.
                let prefix: String = value.chars().take_while(|c| matches!(c, '-' | '@' | ':' | '+' | '!')).collect();
                let mut words = words_of(&value[prefix.len()..]);
                if prefix.contains('@') && words.len() > 1 {
                    words.remove(1);
                }
                let is_known = !words.first().is_none_or(|word| word.contains(['$', '%']));
                let commands = if key == "ExecStart" { &mut self.main } else { &mut self.before };
                // An empty value removes the earlier ones of its key.
                if words.is_empty() {
                    commands.clear();
                } else if let Some(program) = words.first().filter(|word| is_no_program(word)) {
                    let text =
                        format!("{key} at line {line} names {program}: not an absolute path, nor a name in PATH");
                    let fault = Some(ServiceFault::of_configuration(text));
                    commands.push(SupervisedService { fault, ..SupervisedService::of_words(words, path, line) });
                } else if is_known && !prefix.contains('-') {
                    commands.push(SupervisedService::of_words(words, path, line));
                }
            }
            _ => {}
        }
    }

    /// Why a unit of the image's author does not start. Seen with systemd 252.
    fn fault(&self, machine: &ExecMachine<'_>) -> Option<ServiceFault> {
        if !self.is_own || self.has_condition {
            return None;
        }
        // Programs that run before may create files, and other units mount and create what is below these.
        let is_absent = |path: &str| {
            let is_late = ["/run/", "/tmp/", "/var/run/", "/proc/", "/sys/", "/dev/", "/var/lib/private/"];
            let is_plain = path.starts_with('/') && !path.contains(['%', '$', '*']);
            is_plain
                && self.before.is_empty()
                && !is_late.iter().any(|start| path.starts_with(start))
                && matches!(machine.rootfs.resolve(path), Err(ResolveError::Missing(_)))
        };
        if let Some((path, line)) = self.needed_files.iter().find(|(path, _)| is_absent(path)) {
            let text = format!("EnvironmentFile at line {line} names {path}, which is not in the image");
            return Some(ServiceFault::of_configuration(text));
        }
        // systemd's EXIT_CHDIR. Source: systemd.exec(5), "Process Exit Codes".
        if let Some(directory) = self.working_dir.as_deref().filter(|path| self.needs_directory && is_absent(path)) {
            let text = format!("it cannot change to the directory {directory}, which is not in the image");
            return Some(ServiceFault::new(CauseKind::MissingDirectory, 200, text));
        }
        let is_lost = |name: &&String| {
            let is_plain = name.ends_with(".service") && !name.contains(['@', '%']);
            let exists = |directory: &&str| {
                machine
                    .rootfs
                    .walk(machine.rootfs.root(), format!("{directory}/{name}").as_bytes(), false, &|_| true)
                    .is_ok()
            };
            is_plain && !UNIT_DIRECTORIES.iter().any(exists)
        };
        let name = self.requires.iter().find(is_lost)?;
        Some(ServiceFault::of_configuration(format!("it requires {name}, a unit that is not in the image")))
    }

    fn into_services(self, machine: &ExecMachine<'_>) -> Vec<SupervisedService> {
        let fault = self.fault(machine);
        let Unit { before, main, mut env, env_files, working_dir, user, is_own, has_condition, .. } = self;
        // Programs that run before may create files.
        let certainty = if before.is_empty() { Certainty::Certain } else { Certainty::Possible };
        let missing = (is_own && !has_condition).then_some(certainty);
        for path in env_files {
            let text = text_of(machine, &path).unwrap_or_default();
            let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
            env.extend(lines.filter_map(|line| {
                let (name, value) = line.split_once('=')?;
                Some(format!("{}={}", name.trim(), value.trim().trim_matches(['"', '\''])))
            }));
        }
        let with = |mut service: SupervisedService| {
            if let ServiceCommand::Words(words) = &mut service.command {
                *words = std::mem::take(words).into_iter().flat_map(|word| expanded(word, &env)).collect();
            }
            let (env, working_dir, user) = (env.clone(), working_dir.clone(), user.clone());
            let fault = service.fault.take().filter(|_| is_own).or_else(|| fault.clone());
            SupervisedService { env, working_dir, user, missing, fault, ..service }
        };
        before.into_iter().chain(main).map(with).collect()
    }
}

/// Whether systemd refuses a word as a program: it is a path that is not absolute, or it starts with a variable.
fn is_no_program(word: &str) -> bool {
    word.starts_with('$') || word.contains('/') && !word.starts_with(['/', '%'])
}

/// Expands the variables of a word: `$NAME` is split into words, `${NAME}` is not. Source: systemd.service(5), "Command
/// lines".
fn expanded(word: String, env: &[String]) -> Vec<String> {
    if let Some(name) = word
        .strip_prefix('$')
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    {
        return variable(env, name).map_or_else(Vec::new, words_of);
    }
    let (mut text, mut rest) = (String::new(), word.as_str());
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        rest = match (after.strip_prefix('$'), after.strip_prefix('{').and_then(|after| after.split_once('}'))) {
            (Some(after), _) => {
                text.push('$');
                after
            }
            (None, Some((name, after))) => {
                text.push_str(variable(env, name).unwrap_or_default());
                after
            }
            (None, None) => {
                text.push('$');
                after
            }
        };
    }
    vec![text + rest]
}
