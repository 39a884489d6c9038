//! systemd's units. Source: systemd.service(5), systemd.unit(5).

use std::collections::{BTreeMap, BTreeSet};

use super::{MAX_FILES, Service, entries, is_file, text_of, words_of};
use crate::exec::kernel::binfmt::Machine;

const UNIT_DIRECTORIES: &[&str] = &["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Targets whose services a booted container starts.
const TARGETS: &[&str] = &["default", "multi-user", "basic", "sysinit", "graphical", "sockets", "timers"];

/// Returns the services that the image's author enabled. Those that a distribution's units start are not followed.
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
        let mut unit = Unit::new(name);
        let template = unit.template();
        let own = UNIT_DIRECTORIES.iter().map(|directory| format!("{directory}/{name}"));
        let of_template = UNIT_DIRECTORIES.iter().map(|directory| format!("{directory}/{template}"));
        // A unit is found by its name; where the link leads does not matter. Seen with systemd 252.
        let mut files = own.chain(of_template).chain([path.clone()]);
        let Some((file, text)) = files.find_map(|path| text_of(machine, &path).map(|text| (path, text))) else {
            continue;
        };
        unit.read(&text, &file);
        for path in drop_ins(machine, &[template.as_str(), name]) {
            unit.read(&text_of(machine, &path).unwrap_or_default(), &path);
        }
        services.extend(unit.into_services());
    }
    Some(services)
}

/// The files that extend a unit, in the order in which they are applied: by name, and a name in an earlier directory
/// replaces that name in a later one. Source: systemd.unit(5).
fn drop_ins(machine: &Machine<'_>, names: &[&str]) -> Vec<String> {
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
    before: Vec<Service>,
    main: Vec<Service>,
    env: Vec<String>,
    working_dir: Option<String>,
}

impl Unit {
    fn new(name: &str) -> Unit {
        Unit { name: name.to_string(), before: Vec::new(), main: Vec::new(), env: Vec::new(), working_dir: None }
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
            "WorkingDirectory" => self.working_dir = Some(value.trim_start_matches('-').to_string()),
            "Environment" => self.env.extend(words_of(&format!("x {value}")).into_iter().skip(1)),
            "ExecStart" | "ExecStartPre" => {
                // `-` ignores its failure; the others change how it is executed.
                let prefix: String = value.chars().take_while(|c| matches!(c, '-' | '@' | ':' | '+' | '!')).collect();
                let words = words_of(&value[prefix.len()..]);
                let is_known = !words.first().is_none_or(|word| word.contains(['$', '%']));
                let commands = if key == "ExecStart" { &mut self.main } else { &mut self.before };
                // An empty value removes the earlier ones of its key.
                if words.is_empty() {
                    commands.clear();
                } else if is_known && !prefix.contains(['-', '@']) {
                    commands.push(Service::of_words(words, path, line));
                }
            }
            _ => {}
        }
    }

    fn into_services(self) -> Vec<Service> {
        let Unit { before, main, env, working_dir, .. } = self;
        let with = |service| Service { env: env.clone(), working_dir: working_dir.clone(), ..service };
        before.into_iter().chain(main).map(with).collect()
    }
}
