//! Modules that a server's configuration loads at start but that the image lacks: the server exits with an error.

use crate::image::ResolveError;
use crate::inspect::{FileKind, Mention, mentions};
use crate::judge::code::Code;
use crate::judge::facts::runtimes::{OnNamed, RUNTIMES};
use crate::judge::files::Files;
use crate::judge::finding::Finding;

/// Parts of a path that mark a server's own configuration.
const PLACES: &[(&str, &[&str])] = &[
    ("nginx", &["/nginx/", "/nginx.conf"]),
    ("Apache", &["/apache2/", "/httpd/", "/httpd.conf", "/conf/extra/"]),
    ("PostgreSQL", &["/postgresql.conf"]),
];

/// Findings on the configuration of servers that the container starts.
pub fn judge(files: &Files<'_>) -> Vec<Finding> {
    let is_started = |name: &str| files.reach.interpreter(name).is_some_and(|host| files.reach.is_chain(host));
    let servers = RUNTIMES.iter().filter(|row| row.on_named == OnNamed::Ends && is_started(row.name));
    let places: Vec<(&str, &[&str])> =
        servers.filter_map(|row| PLACES.iter().find(|(name, _)| *name == row.name)).copied().collect();
    let mut findings = Vec::new();
    if places.is_empty() {
        return findings;
    }
    for view in files.rootfs.files_with_facts() {
        let (Some(FileKind::Mentions(_)) | Some(FileKind::Config(_))) = view.fact else { continue };
        let path = String::from_utf8_lossy(&files.rootfs.path(view.id)).into_owned();
        // Skips samples, and copies that a package manager or an editor keeps next to the file.
        if !path.ends_with(".conf") && !path.ends_with(".load") {
            continue;
        }
        let server = places.iter().find(|(_, parts)| parts.iter().any(|part| path.contains(part)));
        let Some((server, _)) = server.filter(|_| files.reach.is_read(&path, view.id)) else { continue };
        let whole;
        let found: &[Mention] = match view.fact {
            Some(FileKind::Mentions(found)) => found,
            Some(FileKind::Config(text)) => {
                whole = mentions(path.trim_start_matches('/').as_bytes(), text);
                &whole
            }
            _ => continue,
        };
        for mention in found.iter().filter(|mention| mention.is_loaded && !is_there(files, &mention.name)) {
            let place = format!("{path}:{}", mention.line);
            let message = format!("{place} makes {server} load {}, which is not in the image", mention.name);
            let mut finding = Finding::new(Code::BrokenConfigured, message).at(&path, view.layer);
            finding.expected.clone_from(&mention.name);
            finding.hint = vec!["install the module in the final stage, or remove the line".to_string()];
            finding.reached_by = files.chain.to_vec();
            finding.reached_by.push(place);
            findings.push(finding);
        }
    }
    findings
}

/// Whether the image has the module. A name without a directory is searched for in a directory compiled into the
/// server.
fn is_there(files: &Files<'_>, name: &str) -> bool {
    match name.starts_with('/') {
        true => !matches!(files.rootfs.resolve(name), Err(ResolveError::Missing(_))),
        false => files.rootfs.named(name.as_bytes()).next().is_some(),
    }
}
