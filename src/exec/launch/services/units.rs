//! systemd's units. Source: systemd.service(5), systemd.unit(5).

use std::collections::BTreeSet;

use super::{MAX_FILES, Service, entries, is_file, text_of, words_of};
use crate::exec::kernel::binfmt::Machine;

const UNIT_DIRECTORIES: &[&str] = &["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Targets whose services a booted container starts.
const TARGETS: &[&str] = &["default", "multi-user", "basic", "sysinit", "graphical", "sockets", "timers"];

/// The services that an image's own administrator enabled: what a distribution's units start is the distribution's.
pub(super) fn systemd(machine: &Machine<'_>) -> Option<Vec<Service>> {
    let mut units: BTreeSet<String> = BTreeSet::new();
    for target in TARGETS {
        for kind in ["wants", "requires"] {
            for (path, id) in entries(machine, &format!("/etc/systemd/system/{target}.target.{kind}")) {
                if is_file(machine, id) {
                    units.insert(path);
                }
            }
        }
    }
    let mut services = Vec::new();
    for path in units.iter().take(MAX_FILES) {
        let name = path.rsplit('/').next().unwrap_or("");
        let own = UNIT_DIRECTORIES.iter().map(|directory| format!("{directory}/{name}"));
        let Some(text) = text_of(machine, path).or_else(|| own.into_iter().find_map(|path| text_of(machine, &path)))
        else {
            continue;
        };
        services.extend(unit(&text, path));
    }
    Some(services)
}

fn unit(text: &str, path: &str) -> Vec<Service> {
    let mut services = Vec::new();
    let (mut env, mut working_dir, mut joined) = (Vec::new(), None, String::new());
    for (at, line) in text.lines().enumerate() {
        let line = format!("{}{}", std::mem::take(&mut joined), line.trim());
        if let Some(start) = line.strip_suffix('\\') {
            joined = format!("{start} ");
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        match key.trim() {
            "WorkingDirectory" => working_dir = Some(value.trim().trim_start_matches('-').to_string()),
            "Environment" => env.extend(words_of(&format!("x {value}")).into_iter().skip(1)),
            "ExecStart" | "ExecStartPre" => {
                let value = value.trim();
                // `-`: its failure counts for nothing; the others change how it is executed.
                let prefix: String = value.chars().take_while(|c| matches!(c, '-' | '@' | ':' | '+' | '!')).collect();
                let words = words_of(&value[prefix.len()..]);
                let is_known = !words.first().is_none_or(|word| word.contains(['$', '%']));
                // An empty one takes back those before it.
                if words.is_empty() {
                    services.clear();
                } else if is_known && !prefix.contains(['-', '@']) {
                    services.push(Service::of_words(words, path, at + 1));
                }
            }
            _ => {}
        }
    }
    for service in &mut services {
        service.env.clone_from(&env);
        service.working_dir.clone_from(&working_dir);
    }
    services
}
