//! Supervisors that start the services in a directory: s6, s6-overlay and runit. Each executes `run` itself, so a
//! script without a `#!` line fails. Source: s6-supervise.c, runsv.c, s6-overlay's README.

use std::collections::BTreeSet;

use super::{MAX_FILES, SupervisedService, entries, execline, from_cwd, is_executable, text_of};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::mounts;
use crate::exec::launch::made::MadePaths;
use crate::exec::launch::walk::StartWalk;
use crate::exec::log::Certainty;
use crate::exec::outcome::lossy;
use crate::image::NodeKind;

/// The directory of s6-overlay 3's service definitions.
const S6_RC: &str = "/etc/s6-overlay/s6-rc.d";
/// The directories of its bundles. Since 3.2.3, bundles have their own directory.
const BUNDLES: &[&str] = &[S6_RC, "/etc/s6-overlay/user-bundles.d"];

/// Returns the services of a scan directory.
pub(super) fn services(machine: &ExecMachine<'_>, directory: &str, made: &MadePaths) -> Option<Vec<SupervisedService>> {
    let made_paths = made;
    let made = made.entries(machine.rootfs, directory);
    if made.is_empty() {
        machine.rootfs.resolve(directory).ok()?;
    }
    let mut services = Vec::new();
    let own = names(machine, directory).into_iter().map(|path| (path, Certainty::Certain));
    let linked = made
        .into_iter()
        .filter(|entry| !entry.name.starts_with('.'))
        .map(|entry| (entry.source, if entry.is_sure { Certainty::Certain } else { Certainty::Possible }));
    for (path, start) in own.chain(linked) {
        // A `down` file keeps a service from being started.
        if machine.rootfs.resolve(format!("{path}/down")).is_ok() {
            continue;
        }
        let mut own = supervised(machine, &path, made_paths);
        let run = format!("{path}/run");
        if own.iter().all(|service| service.by != from_cwd(machine, &run)) && is_service(machine, &path) {
            own.insert(0, SupervisedService::of_words(vec![run.clone()], &run, 1));
        }
        services.extend(own.into_iter().map(|service| SupervisedService { start, ..service }));
    }
    Some(services)
}

/// Files of service directories besides `run`. Source: s6's servicedir.html, runsv(8).
const PARTS: &[&str] = &[
    "finish",
    "type",
    "check",
    "conf",
    "control",
    "data",
    "env",
    "log",
    "notification-fd",
    "down-signal",
    "flag-newpidns",
    "max-death-tally",
    "timeout-kill",
    "timeout-finish",
    "lock-fd",
    "start",
];

/// Whether a path without `run` is meant to be a service: a directory with other parts of one, or with a `run` of another
/// name, such as `run.sh`, or a link that leads nowhere.
fn is_service(machine: &ExecMachine<'_>, path: &str) -> bool {
    let Ok(id) = machine.rootfs.resolve(path) else { return true };
    machine.rootfs.children(id).take(MAX_FILES).any(|child| {
        let name = lossy(child.name).to_ascii_lowercase();
        name.starts_with("run") || PARTS.contains(&name.as_str())
    })
}

/// Returns the entries of a scan directory that are directories, and the links that lead nowhere.
fn names(machine: &ExecMachine<'_>, directory: &str) -> Vec<String> {
    let Ok(id) = machine.rootfs.resolve(directory) else { return Vec::new() };
    let mut found: Vec<String> = machine
        .rootfs
        .children(id)
        .take(MAX_FILES)
        .filter(|child| !child.name.starts_with(b"."))
        .map(|child| (format!("{}/{}", directory.trim_end_matches('/'), lossy(child.name)), child.target))
        .filter(|(path, target)| match machine.rootfs.resolve(path) {
            Ok(id) => machine.rootfs.view(id).kind == NodeKind::Directory,
            // What it leads to may be made at run time.
            Err(_) => !mounts::is_made(machine.rootfs, &lossy(target)),
        })
        .map(|(path, _)| path)
        .collect();
    found.sort();
    found
}

/// Returns the programs of one service directory: its own, its logger's, and those that run when these end. Source:
/// s6's servicedir.html; runsv(8).
pub(super) fn supervised(machine: &ExecMachine<'_>, directory: &str, made: &MadePaths) -> Vec<SupervisedService> {
    let directory = from_cwd(machine, directory.trim_end_matches('/'));
    let runs = [format!("{directory}/run"), format!("{directory}/log/run")].into_iter();
    let mut services = Vec::new();
    let is_there = |run: &String| {
        let is_made = made.written(machine.rootfs, run).is_some() || made.source(machine.rootfs, run).is_some();
        is_made || machine.rootfs.resolve(run).is_ok()
    };
    for run in runs.filter(is_there) {
        let Some(working_dir) = run.strip_suffix("/run").map(str::to_string) else { continue };
        let finish = format!("{working_dir}/finish");
        let of = |path: &String| {
            let working_dir = Some(working_dir.clone());
            SupervisedService { working_dir, ..SupervisedService::of_words(vec![path.clone()], path, 1) }
        };
        services.push(of(&run));
        services.extend(is_executable(machine, &finish).then(|| of(&finish).after()));
    }
    services
}

/// Returns the scripts of `/etc/my_init.d`, runit's services, and the call's own command. Source: Phusion's
/// image/bin/my_init.
pub(super) fn my_init(machine: &ExecMachine<'_>, argv: &[String], made: &MadePaths) -> Option<Vec<SupervisedService>> {
    let words = &argv[1..];
    let command = words.iter().position(|word| !word.starts_with('-') || word == "--");
    let (options, command) = words.split_at(command.unwrap_or(words.len()));
    let has = |name: &str| options.iter().any(|option| option == name);
    let mut found = Vec::new();
    let scripts = entries(machine, "/etc/my_init.d").into_iter().map(|(path, _)| path);
    for path in scripts.chain(["/etc/rc.local".to_string()]).filter(|_| !has("--skip-startup-files")) {
        if is_executable(machine, &path) {
            found.push(SupervisedService::of_words(vec![path.clone()], &path, 1).before());
        }
    }
    if !has("--skip-runit") {
        found.extend(services(machine, "/etc/service", made).unwrap_or_default());
    }
    let command: Vec<String> = command.iter().filter(|word| *word != "--").cloned().collect();
    if !command.is_empty() {
        found.push(SupervisedService::of_words(command, "CMD", 1));
    }
    Some(found)
}

/// Returns the s6-rc services that the bundle `user` starts: its contents, their contents in turn, and all
/// dependencies. `None` if there is no such bundle. Source: s6-rc-compile, "Source definition directories".
fn bundled(machine: &ExecMachine<'_>) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut open = vec!["user".to_string(), "user2".to_string()];
    while let Some(name) = open.pop() {
        let lists = |names: &[&str]| -> Vec<String> {
            let of_root = |root: &&str| names.iter().map(|list| format!("{root}/{name}/{list}")).collect::<Vec<_>>();
            BUNDLES.iter().flat_map(of_root).collect()
        };
        for list in lists(&["contents.d", "dependencies.d"]) {
            let inside = entries(machine, &list);
            open.extend(inside.iter().filter_map(|(path, _)| {
                let name = path.rsplit('/').next()?.to_string();
                found.insert(name.clone()).then_some(name)
            }));
        }
        for list in lists(&["contents", "dependencies", "producer-for", "consumer-for"]) {
            let text = text_of(machine, &list).unwrap_or_default();
            let names = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            open.extend(names.filter(|name| found.insert(name.to_string())).map(str::to_string));
        }
    }
    (!found.is_empty()).then_some(found)
}

pub(super) fn runit(machine: &ExecMachine<'_>, argv: &[String], made: &MadePaths) -> Option<Vec<SupervisedService>> {
    let named = argv.iter().skip(1).find(|word| !word.starts_with('-') && word.starts_with('/'));
    if let Some(directory) = named {
        return services(machine, directory, made);
    }
    let mut found = Vec::new();
    for stage in ["/etc/runit/1", "/etc/runit/2"] {
        if is_executable(machine, stage) {
            found.push(SupervisedService::of_words(vec![stage.to_string()], stage, 1));
        }
    }
    for directory in ["/etc/service", "/service", "/var/service", "/etc/runit/runsvdir/default"] {
        found.extend(services(machine, directory, made).unwrap_or_default());
    }
    (!found.is_empty()).then_some(found)
}

/// Versions 2 and 3. Returns the scripts of `cont-init.d`, the services of `services.d` and s6-rc, and the call's own
/// command.
pub(super) fn s6_overlay(
    machine: &ExecMachine<'_>,
    argv: &[String],
    walk: &StartWalk,
) -> Option<Vec<SupervisedService>> {
    let mut found = Vec::new();
    for directory in ["/etc/cont-init.d", "/custom-cont-init.d"] {
        for (path, _) in entries(machine, directory) {
            if is_executable(machine, &path) {
                found.push(SupervisedService::of_words(vec![path.clone()], &path, 1).before());
            }
        }
    }
    found.extend(services(machine, "/etc/services.d", &walk.made).unwrap_or_default());
    let bundled = bundled(machine);
    let is_started = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_piped = || {
            let has = |list: &&str| machine.rootfs.resolve(format!("{path}/{list}")).is_ok();
            ["producer-for", "consumer-for", "pipeline-name"].iter().any(has)
        };
        bundled.as_ref().is_none_or(|bundled| bundled.contains(name)) || is_piped()
    };
    let mut tasks = Vec::new();
    for (path, _) in entries(machine, S6_RC).into_iter().filter(|(path, _)| is_started(path)) {
        let kind = text_of(machine, &format!("{path}/type")).unwrap_or_default();
        match kind.trim() {
            "longrun" => {
                let run = format!("{path}/run");
                if machine.rootfs.resolve(&run).is_ok() {
                    found.push(SupervisedService::of_words(vec![run.clone()], &run, 1));
                }
                let finish = format!("{path}/finish");
                if is_executable(machine, &finish) {
                    found.push(SupervisedService::of_words(vec![finish.clone()], &finish, 1).after());
                }
            }
            "oneshot" => {
                let up = format!("{path}/up");
                if let Some(text) = text_of(machine, &up) {
                    let commands = execline::commands(&text, &walk.env).into_iter();
                    tasks.extend(commands.map(|command| {
                        let service = SupervisedService::of_words(command.words, &up, command.line);
                        SupervisedService { user: command.user, ..service }.before()
                    }));
                }
            }
            _ => {}
        }
    }
    let command = &argv[1..];
    if !command.is_empty() {
        found.push(SupervisedService::of_words(command.to_vec(), "CMD", 1));
    }
    Some(tasks.into_iter().chain(found).collect())
}
