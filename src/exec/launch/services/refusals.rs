//! Configurations that supervisord refuses, and tables that cron ignores. Seen with supervisord 4.2 and Debian's cron 3.0.

use super::SupervisedService;
use super::files::control_file;
use super::sections::{Expansions, IniSection, split_outside_quotes};
use super::supervisord::{PROGRAMS, RefusedValue};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpret::kept_text;
use crate::exec::launch::walk::StartWalk;
use crate::exec::outcome::{Death, Outcome};
use crate::exec::{Cause, CauseKind};
use crate::image::NodeKind;

/// Why a service does not start, whatever its program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::exec::launch) struct ServiceFault {
    pub cause: Cause,
    pub code: u8,
}

impl ServiceFault {
    pub(super) fn new(kind: CauseKind, code: u8, text: String) -> ServiceFault {
        ServiceFault { cause: Cause { kind, text }, code }
    }

    pub(super) fn of_configuration(text: String) -> ServiceFault {
        ServiceFault::new(CauseKind::BadConfiguration, 1, text)
    }
}

/// The type of a key's value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValueKind {
    Number,
    Boolean,
    BooleanOrUnexpected,
    Signal,
}

const KEYS: &[(&str, ValueKind)] = &[
    ("priority", ValueKind::Number),
    ("numprocs", ValueKind::Number),
    ("numprocs_start", ValueKind::Number),
    ("startsecs", ValueKind::Number),
    ("startretries", ValueKind::Number),
    ("stopwaitsecs", ValueKind::Number),
    ("autostart", ValueKind::Boolean),
    ("autorestart", ValueKind::BooleanOrUnexpected),
    ("redirect_stderr", ValueKind::Boolean),
    ("stopasgroup", ValueKind::Boolean),
    ("killasgroup", ValueKind::Boolean),
    ("stopsignal", ValueKind::Signal),
];
/// The keys whose values supervisord expands.
const EXPANDED: &[&str] =
    &["command", "environment", "directory", "process_name", "stdout_logfile", "stderr_logfile", "user", "priority"];
const BOOLEANS: &[&str] = &["true", "yes", "on", "1", "false", "no", "off", "0"];
const SIGNALS: &[&str] = &[
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "IOT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
    "TERM", "CHLD", "CLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
    "IO", "POLL", "PWR", "SYS",
];

impl ValueKind {
    fn accepts(self, value: &str) -> bool {
        let is_boolean = || BOOLEANS.contains(&value.to_ascii_lowercase().as_str());
        match self {
            ValueKind::Number => value.trim().parse::<i64>().is_ok(),
            ValueKind::Boolean => is_boolean(),
            ValueKind::BooleanOrUnexpected => is_boolean() || value.eq_ignore_ascii_case("unexpected"),
            ValueKind::Signal => {
                let name = value.trim().to_ascii_uppercase();
                let name = name.strip_prefix("SIG").unwrap_or(&name);
                name.parse::<u8>().is_ok() || SIGNALS.contains(&name)
            }
        }
    }
}

/// Returns the first value of a program that supervisord refuses, also if the program is not started.
pub(super) fn refused_value(sections: &[IniSection], env: &[String]) -> Option<RefusedValue> {
    sections.iter().find_map(|section| {
        let (kind, name) = section.name.split_once(':')?;
        if kind == "group" {
            return unknown_member(section, sections);
        }
        if !PROGRAMS.contains(&kind) {
            return None;
        }
        let refused = |text: String| Some(RefusedValue { by: section.path.clone(), text });
        if section.value("command").is_none() {
            return refused(format!("[{}] at line {} has no command", section.name, section.line));
        }
        for (key, value, line) in &section.keys {
            if EXPANDED.contains(&key.as_str())
                && let Some(text) = unexpandable(value, section, name, env)
            {
                return refused(format!("{key} at line {line}: {text}"));
            }
            let kind = KEYS.iter().find(|(known, _)| known == key).map(|(_, kind)| *kind);
            if kind.is_some_and(|kind| !value.contains('%') && !kind.accepts(value)) {
                return refused(format!("{key} at line {line} has the invalid value {value:?}"));
            }
            if key == "environment"
                && let Some(pair) =
                    split_outside_quotes(value).into_iter().find(|pair| !pair.trim().is_empty() && !pair.contains('='))
            {
                return refused(format!("environment at line {line} has {:?} without a value", pair.trim()));
            }
        }
        let number = |key: &str| section.value(key).and_then(|(_, value, _)| value.parse::<usize>().ok());
        let is_numbered = section.value("process_name").is_some_and(|(_, value, _)| value.contains("%(process_num)"));
        if number("numprocs").is_some_and(|count| count > 1) && !is_numbered {
            let line = section.value("numprocs").map_or(section.line, |(_, _, line)| *line);
            return refused(format!("numprocs at line {line} needs %(process_num) in process_name"));
        }
        None
    })
}

/// `[group:x]` names a program that no section defines.
fn unknown_member(section: &IniSection, sections: &[IniSection]) -> Option<RefusedValue> {
    let (_, value, line) = section.value("programs")?;
    let has = |name: &str| {
        let is_it = |other: &IniSection| {
            other.name.split_once(':').is_some_and(|(kind, own)| PROGRAMS.contains(&kind) && own.trim() == name)
        };
        sections.iter().any(is_it)
    };
    let absent = value.split(',').map(str::trim).find(|name| !name.is_empty() && !name.contains('%') && !has(name))?;
    let text = format!("programs at line {line} names {absent}, which no section defines");
    Some(RefusedValue { by: section.path.clone(), text })
}

/// Why `%` in a value cannot be expanded. `None` if it can.
fn unexpandable(value: &str, section: &IniSection, program: &str, env: &[String]) -> Option<String> {
    let here = section.path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let expansions = Expansions::of_section(env, here, Some(program));
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('%') {
        if let Some(after) = after.strip_prefix('%') {
            rest = after;
            continue;
        }
        let Some((name, format)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) else {
            return Some("a % that is not written %% is not the start of a %(NAME)s".to_string());
        };
        // A variable that the image does not set is for the user to set.
        let is_known = name.starts_with("ENV_") || name == "host_node_name" || expansions.value(name).is_some();
        if !is_known {
            return Some(format!("%({name})s is not a name that supervisord expands"));
        }
        rest = format;
    }
    None
}

/// Why Debian's cron ignores a table. `is_spool`: it is in the spool directory. Source: cron's database.c, load_user.
pub(super) fn ignored_table(machine: &ExecMachine<'_>, path: &str, is_spool: bool) -> Option<ServiceFault> {
    let id = machine.rootfs.resolve(path).ok()?;
    let view = machine.rootfs.view(id);
    let text = view.fact.and_then(kept_text)?;
    let mode = machine.changes.applied(machine.rootfs, machine.rootfs.view(id))?.mode & 0o7777;
    let why = match () {
        () if view.kind != NodeKind::File => return None,
        () if is_spool && mode != 0o600 => format!("its mode is {mode:04o}, not 0600"),
        () if !is_spool && mode & 0o022 != 0 => format!("its mode {mode:04o} lets others write it"),
        () if !text.is_empty() && !text.ends_with('\n') => "its last line has no newline".to_string(),
        () => return None,
    };
    Some(ServiceFault::of_configuration(format!("cron ignores the table {path}: {why}")))
}

/// Why cron or run-parts ignores a file: its name.
pub(super) fn ignored_name(path: &str, by: &str) -> ServiceFault {
    let text = format!("{by} ignores {path}: a name with other characters than letters, digits, - and _ is not used");
    ServiceFault::of_configuration(text)
}

impl ExecMachine<'_> {
    /// The end of monit with a control file that others than its owner may read. Seen with monit 5.33.
    pub(super) fn refuses_control_file(&self, argv: &[String], walk: &StartWalk) -> Option<Outcome> {
        let path = control_file(self, argv).filter(|_| !walk.is_open && !walk.has_new_modes)?;
        let view = self.rootfs.view(self.rootfs.resolve(&path).ok()?);
        let mode = self.changes.applied(self.rootfs, view)?.mode & 0o777;
        if mode & 0o077 == 0 {
            return None;
        }
        let text = format!("monit refuses {path}: its mode is {mode:04o}, and only its owner may have access");
        let cause = Cause { kind: CauseKind::BadConfiguration, text };
        Some(Outcome::Dies { death: Death::Exit(1), at: path, cause })
    }
}

/// Marks the jobs of a table that cron ignores.
pub(super) fn with_fault(services: Vec<SupervisedService>, fault: Option<ServiceFault>) -> Vec<SupervisedService> {
    services
        .into_iter()
        .map(|service| SupervisedService { fault: service.fault.clone().or_else(|| fault.clone()), ..service })
        .collect()
}

#[cfg(test)]
#[path = "refusals_tests.rs"]
mod tests;
