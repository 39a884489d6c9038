//! Modules that configuration or the command line makes a server or PHP load at start, but that the image lacks or that
//! are not ELF files. A server exits with an error; PHP starts without the module.

use crate::exec::environment::variable;
use crate::exec::kernel::access::config;
use crate::image::{NodeId, NodeKind, ResolveError};
use crate::inspect::{FileKind, Load, Mention, mentions};
use crate::judge::code::{Code, Severity};
use crate::judge::facts::named::settings;
use crate::judge::facts::runtimes::{OnNamed, RUNTIMES, Runtime, RuntimeKind, is_library};
use crate::judge::facts::tokens::Libc;
use crate::judge::files::FileRuleInput;
use crate::judge::finding::Finding;
use crate::judge::rules::others::{not_a_program, runs_nowhere};

/// Parts of a path that mark the configuration of a program, and how its names end.
struct ConfigPlace {
    runtime: RuntimeKind,
    parts: &'static [&'static str],
    ends: &'static [&'static str],
}

const PLACES: &[ConfigPlace] = &[
    ConfigPlace { runtime: RuntimeKind::Nginx, parts: &["/nginx/", "/nginx.conf"], ends: &[".conf"] },
    ConfigPlace {
        runtime: RuntimeKind::Apache,
        parts: &["/apache2/", "/httpd/", "/httpd.conf", "/conf/extra/"],
        ends: &[".conf", ".load"],
    },
    ConfigPlace { runtime: RuntimeKind::Postgres, parts: &["/postgresql.conf"], ends: &[".conf"] },
    ConfigPlace { runtime: RuntimeKind::Redis, parts: &["/redis", "/valkey"], ends: &[".conf"] },
    ConfigPlace { runtime: RuntimeKind::Php, parts: &["/etc/php", "/local/etc/php/"], ends: &[".ini"] },
];

/// Findings on modules that programs of the image load at start.
pub fn judge(files: &FileRuleInput<'_>) -> Vec<Finding> {
    let is_used = |row: &Runtime| match (files.reach.interpreter(row.kind), row.on_named) {
        (Some(host), OnNamed::Ends) => files.reach.is_chain(host),
        (Some(_), OnNamed::Lacks) => true,
        (None, _) | (_, OnNamed::NamesNone) => false,
    };
    let used = RUNTIMES.iter().filter(|row| is_used(row));
    let places: Vec<(&ConfigPlace, OnNamed)> =
        used.filter_map(|row| Some((PLACES.iter().find(|place| place.runtime == row.kind)?, row.on_named))).collect();
    let mut findings: Vec<Finding> = places
        .iter()
        .filter(|(_, on_named)| *on_named == OnNamed::Ends)
        .flat_map(|(place, _)| words(files, place))
        .collect();
    findings.extend(preloads(files));
    if places.is_empty() {
        return findings;
    }
    for view in files.rootfs.files_with_facts() {
        let (Some(FileKind::Mentions(_)) | Some(FileKind::Config(_))) = view.fact else { continue };
        let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        // Skips samples, and copies that a package manager or an editor keeps next to the file.
        let is_its = |place: &ConfigPlace| {
            place.ends.iter().any(|end| path.ends_with(end)) && place.parts.iter().any(|part| path.contains(part))
        };
        let place = places.iter().find(|(place, _)| is_its(place));
        let Some((place, on_named)) = place.filter(|_| files.reach.is_read(files.rootfs, &path, view.id)) else {
            continue;
        };
        let whole;
        let found: &[Mention] = match view.fact {
            Some(FileKind::Mentions(found)) => found,
            Some(FileKind::Config(text)) => {
                whole = mentions(path.trim_start_matches('/').as_bytes(), text);
                &whole
            }
            _ => continue,
        };
        // Since PHP 8.5 opcache is a part of PHP itself.
        let is_loaded = |mention: &&Mention| mention.load == Load::AtStart && mention.name != "opcache.so";
        for mention in found.iter().filter(is_loaded) {
            let by = format!("{path}:{}", mention.line);
            let finding = match module(files, &mention.name) {
                Module::NotExecutable { path, layer } if place.runtime == RuntimeKind::Redis => {
                    not_executable(files, &by).at(&path, layer)
                }
                Module::Present | Module::NotExecutable { .. } => continue,
                Module::Absent => absent(files, place.runtime, &by, &mention.name, *on_named).at(&path, view.layer),
                Module::NotElf { path, layer, is } => {
                    let message = format!("{by} makes {} load this file, but it is {is}", place.runtime);
                    not_elf(files, &by, message).at(&path, layer).is(is, "a library")
                }
            };
            findings.push(finding);
        }
    }
    findings
}

fn absent(files: &FileRuleInput<'_>, program: RuntimeKind, by: &str, name: &str, on_named: OnNamed) -> Finding {
    let (result, severity) = match on_named {
        OnNamed::Ends | OnNamed::NamesNone => ("", Severity::Error),
        OnNamed::Lacks => ("; it prints a warning and starts without it", Severity::Warning),
    };
    let message = format!("{by} makes {program} load {name}, which is not in the image{result}");
    let mut finding = Finding::new(Code::BrokenConfigured, message).severity(severity);
    finding.expected = name.to_string();
    finding.hint = vec!["install the module in the final stage, or do not load it".to_string()];
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.push(by.to_string());
    finding
}

/// Seen with Redis 7.0: `Module ... failed to load: It does not have execute permissions.`
fn not_executable(files: &FileRuleInput<'_>, by: &str) -> Finding {
    let message = format!("{by} makes Redis load this file, but it is not executable; Redis 7 and later do not start");
    let mut finding = not_elf(files, by, message).severity(Severity::Warning);
    finding.hint = vec!["make the module executable: RUN chmod +x FILE".to_string()];
    finding
}

fn not_elf(files: &FileRuleInput<'_>, by: &str, message: String) -> Finding {
    let mut finding = Finding::new(Code::BrokenConfigured, message);
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.push(by.to_string());
    finding
}

/// What the image has of a module.
enum Module {
    Present,
    /// An ELF file without a permission to execute it, which only Redis needs.
    NotExecutable {
        path: String,
        layer: usize,
    },
    Absent,
    /// A file that every loader refuses: `invalid ELF header`, `file too short`.
    NotElf {
        path: String,
        layer: usize,
        is: String,
    },
}

/// A module by its path, or by its file name: servers search for it in a directory that is compiled into them.
fn module(files: &FileRuleInput<'_>, name: &str) -> Module {
    let rootfs = files.rootfs;
    let found: Vec<NodeId> = match name.starts_with('/') {
        true => match rootfs.resolve(name) {
            Ok(id) => vec![id],
            Err(ResolveError::Missing(_)) => return Module::Absent,
            Err(_) => return Module::Present,
        },
        false => {
            let named: Vec<_> = rootfs.named(name.rsplit('/').next().unwrap_or(name).as_bytes()).collect();
            if named.is_empty() {
                return Module::Absent;
            }
            named.iter().filter_map(|view| rootfs.resolve(rootfs.path(view.id)).ok()).collect()
        }
    };
    let mut refused = None;
    for view in found.into_iter().map(|id| rootfs.view(id)) {
        let is = match (view.kind, view.fact) {
            (NodeKind::File, None | Some(FileKind::Data)) => "not an ELF file".to_string(),
            (NodeKind::File, Some(FileKind::Elf(_))) if view.mode & 0o111 == 0 => {
                let path = String::from_utf8_lossy(&rootfs.path(view.id)).into_owned();
                return Module::NotExecutable { path, layer: view.layer };
            }
            (NodeKind::File, Some(FileKind::Elf(_))) => return Module::Present,
            // Every such file that configuration names has a finding.
            (NodeKind::File, Some(kind)) if runs_nowhere(kind) => return Module::Present,
            (NodeKind::File, Some(kind)) => not_a_program(kind).unwrap_or_else(|| "a text".to_string()),
            _ => return Module::Present,
        };
        let path = String::from_utf8_lossy(&rootfs.path(view.id)).into_owned();
        refused.get_or_insert(Module::NotElf { path, layer: view.layer, is });
    }
    refused.unwrap_or(Module::Present)
}

/// Modules that the words of the call name: `postgres -c shared_preload_libraries=pg_cron`, `redis-server --loadmodule
/// /opt/a.so`.
fn words(files: &FileRuleInput<'_>, place: &ConfigPlace) -> Vec<Finding> {
    let mut named = Vec::new();
    for (word, next) in files.argv.iter().zip(files.argv.iter().skip(1).map(Some).chain([None])) {
        match place.runtime {
            RuntimeKind::Postgres => named.extend(settings(word)),
            RuntimeKind::Redis if word == "--loadmodule" => named.extend(next.cloned()),
            _ => {}
        }
    }
    let by = "the command line";
    let finding = |name: String| match module(files, &name) {
        Module::NotExecutable { path, layer } if place.runtime == RuntimeKind::Redis => {
            Some(not_executable(files, by).at(&path, layer))
        }
        Module::Present | Module::NotExecutable { .. } => None,
        Module::Absent => Some(absent(files, place.runtime, by, &name, OnNamed::Ends)),
        Module::NotElf { path, layer, is } => {
            let message = format!("{by} makes {} load this file, but it is {is}", place.runtime);
            Some(not_elf(files, by, message).at(&path, layer).is(is, "a library"))
        }
    };
    named.into_iter().filter(|name| name.ends_with(".so")).filter_map(finding).collect()
}

/// Libraries of `ENV LD_PRELOAD` and /etc/ld.so.preload that the image lacks. glibc's loader prints an error for each
/// program and continues; musl's continues silently. Seen with glibc 2.36 and musl 1.2.3.
fn preloads(files: &FileRuleInput<'_>) -> Vec<Finding> {
    let is_musl = files.programs.libcs == [Libc::Musl];
    let file = config(files.rootfs, "/etc/ld.so.preload").filter(|_| !is_musl).unwrap_or_default();
    let value = variable(files.env, "LD_PRELOAD").unwrap_or_default();
    let named = |text: &str, by: &'static str| -> Vec<(String, &'static str)> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let names = lines.flat_map(|line| line.split([':', ' ', '\t'])).filter(|name| !name.contains('$'));
        names.filter(|name| is_library(name)).map(|name| (name.to_string(), by)).collect()
    };
    let all = [named(value, "ENV LD_PRELOAD"), named(&file, "/etc/ld.so.preload")].concat();
    let finding = |(name, by): (String, &str)| {
        let module = module(files, &name);
        let (what, (result, severity)) = match (&module, is_musl) {
            (Module::Present | Module::NotExecutable { .. }, _) => return None,
            (Module::Absent, true) => ("not in the image".to_string(), ("programs start without it", Severity::Note)),
            (Module::Absent, false) => ("not in the image".to_string(), GLIBC),
            (Module::NotElf { is, .. }, true) => (is.clone(), ("no program starts", Severity::Error)),
            (Module::NotElf { is, .. }, false) => (is.clone(), GLIBC),
        };
        let message = format!("{by} names {name}, which is {what}; {result}");
        let mut finding = Finding::new(Code::BrokenConfigured, message).severity(severity);
        if let Module::NotElf { path, layer, is } = module {
            finding = finding.at(&path, layer).is(is, "a library");
        }
        finding.expected.clone_from(&name);
        finding.hint =
            vec!["install the library in the final stage, or name it by its path on this platform".to_string()];
        finding.reached_by = vec![by.to_string(), name];
        Some(finding)
    };
    all.into_iter().filter_map(finding).collect()
}

/// What glibc's loader does about a library that it cannot preload.
const GLIBC: (&str, Severity) =
    ("the loader prints an error for each program, which starts without it", Severity::Warning);
