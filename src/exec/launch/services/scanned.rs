//! Supervisors that start what they find in a directory: s6, s6-overlay and runit. Each executes `run` by itself, so a
//! script without a first line fails. Source: s6-supervise.c, runsv.c, s6-overlay's README.

use super::{Service, entries, execline, is_executable, text_of};
use crate::exec::kernel::binfmt::Machine;

/// The services of a scan directory.
pub(super) fn services(machine: &Machine<'_>, directory: &str) -> Option<Vec<Service>> {
    machine.rootfs.resolve(directory).ok()?;
    let mut services = Vec::new();
    for (path, _) in entries(machine, directory) {
        let name = path.rsplit('/').next().unwrap_or("");
        // `down` keeps a service from being started.
        if name.starts_with('.') || machine.rootfs.resolve(format!("{path}/down")).is_ok() {
            continue;
        }
        for run in [format!("{path}/run"), format!("{path}/log/run")] {
            if machine.rootfs.resolve(&run).is_ok() {
                services.push(Service::of_words(vec![run.clone()], &run, 1));
            }
        }
    }
    Some(services)
}

pub(super) fn runit(machine: &Machine<'_>, argv: &[String]) -> Option<Vec<Service>> {
    let named = argv.iter().skip(1).find(|word| !word.starts_with('-') && word.starts_with('/'));
    if let Some(directory) = named {
        return services(machine, directory);
    }
    let mut found = Vec::new();
    for stage in ["/etc/runit/1", "/etc/runit/2"] {
        if is_executable(machine, stage) {
            found.push(Service::of_words(vec![stage.to_string()], stage, 1));
        }
    }
    for directory in ["/etc/service", "/service", "/var/service", "/etc/runit/runsvdir/default"] {
        found.extend(services(machine, directory).unwrap_or_default());
    }
    (!found.is_empty()).then_some(found)
}

/// Versions 2 and 3: scripts of `cont-init.d`, services of `services.d` and s6-rc, and the call's own command.
pub(super) fn s6_overlay(machine: &Machine<'_>, argv: &[String]) -> Option<Vec<Service>> {
    let mut found = Vec::new();
    for directory in ["/etc/cont-init.d", "/custom-cont-init.d"] {
        for (path, _) in entries(machine, directory) {
            if is_executable(machine, &path) {
                found.push(Service::of_words(vec![path.clone()], &path, 1));
            }
        }
    }
    found.extend(services(machine, "/etc/services.d").unwrap_or_default());
    for (path, _) in entries(machine, "/etc/s6-overlay/s6-rc.d") {
        let kind = text_of(machine, &format!("{path}/type")).unwrap_or_default();
        match kind.trim() {
            "longrun" => {
                let run = format!("{path}/run");
                if machine.rootfs.resolve(&run).is_ok() {
                    found.push(Service::of_words(vec![run.clone()], &run, 1));
                }
            }
            "oneshot" => {
                let up = format!("{path}/up");
                if let Some(text) = text_of(machine, &up) {
                    found.extend(
                        execline::commands(&text).into_iter().map(|(words, line)| Service::of_words(words, &up, line)),
                    );
                }
            }
            _ => {}
        }
    }
    let command = &argv[1..];
    if !command.is_empty() {
        found.push(Service::of_words(command.to_vec(), "CMD", 1));
    }
    Some(found)
}
