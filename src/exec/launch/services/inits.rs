//! Reads the tables of BusyBox's and sysvinit's init, and OpenRC's scripts. Source: BusyBox's init.c; inittab(5);
//! openrc-run(8).

use super::{MAX_FILES, SupervisedService, entries, text_of, words_of};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::image::NodeId;

/// Actions of an inittab whose process starts when the system does.
const ACTIONS: &[&str] = &["sysinit", "boot", "bootwait", "wait", "once", "respawn"];
/// The functions that openrc-run defines for its scripts, as far as these print or wait with them.
const FUNCTIONS: &[&str] = &[
    "ebegin",
    "eend",
    "einfo",
    "ewarn",
    "eerror",
    "vebegin",
    "veend",
    "veinfo",
    "vewarn",
    "checkpath",
    "yesno",
    "mark_service_started",
    "ewaitfile",
    "service_started",
];

/// Parses `id:levels:action:process`. A container has no terminals, so entries for them are skipped.
pub(super) fn inittab(machine: &ExecMachine<'_>) -> Option<Vec<SupervisedService>> {
    const PATH: &str = "/etc/inittab";
    let text = text_of(machine, PATH)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    let processes = lines.filter_map(|(at, line)| {
        let mut fields = line.trim().splitn(4, ':');
        let (id, _, action, process) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let process = process.trim_start_matches(['-', '+', '@']);
        let is_started = ACTIONS.contains(&action) && !id.starts_with("tty") && !process.is_empty();
        let is_shells = process.contains(['$', ';', '&', '|', '<', '>', '`', '\'', '"', '*', '(', '\\']);
        let service = match is_shells {
            true => SupervisedService::of_shell(process, PATH, at + 1),
            false => SupervisedService::of_words(words_of(process), PATH, at + 1),
        };
        is_started.then_some(service)
    });
    Some(processes.collect())
}

/// Returns the scripts of the default runlevels: their own `start`, or their `command`, as a shell reads them.
pub(super) fn openrc(machine: &ExecMachine<'_>) -> Option<Vec<SupervisedService>> {
    let mut services = Vec::new();
    let levels = ["sysinit", "boot", "default"].into_iter();
    let mut open: Vec<(String, NodeId)> =
        levels.flat_map(|level| entries(machine, &format!("/etc/runlevels/{level}"))).collect();
    let mut at = 0;
    while let Some((link, id)) = open.get(at).filter(|_| at < MAX_FILES).cloned() {
        at += 1;
        let Some(text) = text_of(machine, &link) else { continue };
        // The services that it needs are started first.
        let needs = text.lines().filter_map(|line| line.trim().strip_prefix("need "));
        for needed in needs.flat_map(str::split_whitespace).map(|name| format!("/etc/init.d/{name}")) {
            let is_known = open.iter().any(|(path, _)| path.rsplit('/').next() == needed.rsplit('/').next());
            open.extend(machine.rootfs.resolve(&needed).ok().filter(|_| !is_known).map(|id| (needed, id)));
        }
        let path = String::from_utf8_lossy(&machine.rootfs.path(id)).into_owned();
        let name = link.rsplit('/').next().unwrap_or_default();
        let has = |function: &str| {
            text.lines().any(|line| {
                line.trim_start().strip_prefix(function).is_some_and(|rest| rest.trim_start().starts_with("()"))
            })
        };
        let line = |start: &str| text.lines().position(|line| line.trim_start().starts_with(start));
        let mut script: Vec<String> = FUNCTIONS.iter().map(|name| format!("{name}() {{ :; }}")).collect();
        script.push(format!("RC_SVCNAME={name} SVCNAME={name}"));
        let settings = format!("/etc/conf.d/{name}");
        script.extend(machine.rootfs.resolve(&settings).is_ok().then(|| format!(". {settings}")));
        script.push(format!(". {path}"));
        let (start, at) = match (has("start"), line("command=")) {
            (true, _) => ("start", line("start")),
            (false, at @ Some(_)) => ("exec $command $command_args", at),
            (false, None) => continue,
        };
        script.push(start.to_string());
        services.push(SupervisedService::of_shell(&script.join("\n"), &path, at.map_or(1, |at| at + 1)));
    }
    Some(services)
}
