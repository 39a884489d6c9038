//! Modules that configuration or the command line makes a server or PHP load at start, but that the image lacks. A
//! server exits with an error; PHP starts without the module.

use crate::image::ResolveError;
use crate::inspect::{FileKind, Mention, mentions};
use crate::judge::code::{Code, Severity};
use crate::judge::facts::named::settings;
use crate::judge::facts::runtimes::{OnNamed, RUNTIMES};
use crate::judge::files::Files;
use crate::judge::finding::Finding;

/// Parts of a path that mark the configuration of a program, and how its names end.
struct Place {
    name: &'static str,
    parts: &'static [&'static str],
    ends: &'static [&'static str],
}

const PLACES: &[Place] = &[
    Place { name: "nginx", parts: &["/nginx/", "/nginx.conf"], ends: &[".conf"] },
    Place {
        name: "Apache",
        parts: &["/apache2/", "/httpd/", "/httpd.conf", "/conf/extra/"],
        ends: &[".conf", ".load"],
    },
    Place { name: "PostgreSQL", parts: &["/postgresql.conf"], ends: &[".conf"] },
    Place { name: "Redis", parts: &["/redis", "/valkey"], ends: &[".conf"] },
    Place { name: "PHP", parts: &["/etc/php", "/local/etc/php/"], ends: &[".ini"] },
];

/// Findings on modules that programs of the image load at start.
pub fn judge(files: &Files<'_>) -> Vec<Finding> {
    let is_used = |name: &str, on_named: OnNamed| match (files.reach.interpreter(name), on_named) {
        (Some(host), OnNamed::Ends) => files.reach.is_chain(host),
        (Some(_), OnNamed::Lacks) => true,
        (None, _) | (_, OnNamed::NamesNone) => false,
    };
    let used = RUNTIMES.iter().filter(|row| is_used(row.name, row.on_named));
    let places: Vec<(&Place, OnNamed)> =
        used.filter_map(|row| Some((PLACES.iter().find(|place| place.name == row.name)?, row.on_named))).collect();
    let mut findings: Vec<Finding> = places
        .iter()
        .filter(|(_, on_named)| *on_named == OnNamed::Ends)
        .flat_map(|(place, _)| words(files, place))
        .collect();
    if places.is_empty() {
        return findings;
    }
    for view in files.rootfs.files_with_facts() {
        let (Some(FileKind::Mentions(_)) | Some(FileKind::Config(_))) = view.fact else { continue };
        let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        // Skips samples, and copies that a package manager or an editor keeps next to the file.
        let is_its = |place: &Place| {
            place.ends.iter().any(|end| path.ends_with(end)) && place.parts.iter().any(|part| path.contains(part))
        };
        let place = places.iter().find(|(place, _)| is_its(place));
        let Some((place, on_named)) = place.filter(|_| files.reach.is_read(&path, view.id)) else { continue };
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
        let is_loaded = |mention: &&Mention| mention.is_loaded && mention.name != "opcache.so";
        for mention in found.iter().filter(is_loaded).filter(|mention| !is_there(files, &mention.name)) {
            let by = format!("{path}:{}", mention.line);
            findings.push(absent(files, place.name, &by, &mention.name, *on_named).at(&path, view.layer));
        }
    }
    findings
}

fn absent(files: &Files<'_>, program: &str, by: &str, name: &str, on_named: OnNamed) -> Finding {
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

/// Modules that the words of the call name: `postgres -c shared_preload_libraries=pg_cron`, `redis-server --loadmodule
/// /opt/a.so`.
fn words(files: &Files<'_>, place: &Place) -> Vec<Finding> {
    let mut named = Vec::new();
    for (word, next) in files.argv.iter().zip(files.argv.iter().skip(1).map(Some).chain([None])) {
        match place.name {
            "PostgreSQL" => named.extend(settings(word)),
            "Redis" if word == "--loadmodule" => named.extend(next.cloned()),
            _ => {}
        }
    }
    let is_absent = |name: &String| name.ends_with(".so") && !is_there(files, name);
    let absent = |name: String| absent(files, place.name, "the command line", &name, OnNamed::Ends);
    named.into_iter().filter(is_absent).map(absent).collect()
}

/// Whether the image has the module. A name without a directory is searched for in a directory compiled into the
/// server.
fn is_there(files: &Files<'_>, name: &str) -> bool {
    match name.starts_with('/') {
        true => !matches!(files.rootfs.resolve(name), Err(ResolveError::Missing(_))),
        false => files.rootfs.named(name.rsplit('/').next().unwrap_or(name).as_bytes()).next().is_some(),
    }
}
