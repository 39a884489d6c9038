//! A start that fails because of a link: a dangling one, or one that a higher layer replaced with a directory.

use crate::exec::{Outcome, Trace};
use crate::image::{NodeKind, RootFs};
use crate::inspect::FileKind;
use crate::judge::code::Code;
use crate::judge::finding::Finding;

/// Links that are followed in one path: Linux's limit.
const LINKS: usize = 40;

/// Explains the finding on a start by the link that it fails at, if there is one.
pub fn explain(finding: &mut Finding, trace: &Trace, path: &str, rootfs: &RootFs<FileKind>) {
    let (Outcome::Fails { at, .. } | Outcome::Dies { at, .. }) = &trace.outcome else { return };
    let loader = |path: &str| match rootfs.view(rootfs.resolve(path).ok()?).fact {
        Some(FileKind::Elf(elf)) => elf.loader().map(|loader| String::from_utf8_lossy(loader).into_owned()),
        _ => None,
    };
    let loaders = trace.steps.iter().rev().filter_map(|step| loader(step.path.as_deref()?));
    let typed = trace.steps.iter().rev().map(|step| step.typed.clone());
    let mut candidates: Vec<String> = Vec::new();
    for name in std::iter::once(at.clone()).chain(typed).chain(loaders).filter(|name| !name.is_empty()) {
        if name.starts_with('/') {
            candidates.push(name);
        } else if !name.contains('/') {
            candidates.extend(path.split(':').filter(|dir| dir.starts_with('/')).map(|dir| format!("{dir}/{name}")));
        }
    }
    // Paths that exist need no explanation.
    candidates.retain(|candidate| rootfs.resolve(candidate).is_err());
    let Some(broken) = candidates.iter().find_map(|path| replaced(rootfs, path).or_else(|| dangling(rootfs, path)))
    else {
        return;
    };
    finding.message = format!("{}; {}", finding.message, broken.text);
    // A program without its loader is named itself: links of loaders belong to a C library that is not there.
    if let Some(link) = broken.link.filter(|_| finding.code != Code::EntrypointNoLoader) {
        finding.path = Some(link);
        finding.is = "a link to a file that is not in the image".to_string();
    }
    finding.layer = Some(broken.layer);
    finding.hint = vec![broken.hint];
}

struct BrokenLink {
    text: String,
    hint: String,
    layer: usize,
    /// The dangling link, which the finding is then about.
    link: Option<String>,
}

/// A layer replaced a link on the path with a directory, and the file is still where the link led.
fn replaced(rootfs: &RootFs<FileKind>, path: &str) -> Option<BrokenLink> {
    rootfs.covered_links().iter().find_map(|link| {
        let (place, target) = (String::from_utf8_lossy(&link.path), String::from_utf8_lossy(&link.target));
        let rest = path.strip_prefix(&*place)?.strip_prefix('/')?;
        let parent = place.rsplit_once('/').map_or("", |(parent, _)| parent);
        let led = if target.starts_with('/') { format!("{target}/{rest}") } else { format!("{parent}/{target}/{rest}") };
        rootfs.resolve(&led).ok()?;
        Some(BrokenLink {
            text: format!("a layer replaced the link {place} -> {target} with a directory, so {path} is no longer found; the file is at {led}"),
            hint: format!("copy into {} instead of {place}: a layer that contains a directory {place} replaces the base image's link", led_directory(&led, rest)),
            layer: link.layer,
            link: None,
        })
    })
}

fn led_directory(led: &str, rest: &str) -> String {
    led.strip_suffix(rest).unwrap_or(led).trim_end_matches('/').to_string()
}

/// The last link on the path, if it leads to something that is not in the image.
fn dangling(rootfs: &RootFs<FileKind>, path: &str) -> Option<BrokenLink> {
    let mut at = path.to_string();
    let mut last = None;
    for _ in 0..LINKS {
        let Some((link, target, rest)) = first_link(rootfs, &at) else { break };
        let view_path = String::from_utf8_lossy(&rootfs.path(link)).into_owned();
        let parent = view_path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let led = if target.starts_with('/') { target.clone() } else { format!("{parent}/{target}") };
        at = if rest.is_empty() { led.clone() } else { format!("{led}/{rest}") };
        last = Some((view_path, led, rootfs.view(link).layer, rest));
    }
    let (link, led, layer, rest) = last?;
    // The link itself resolves: the part below is missing, not the link's target.
    if !rest.is_empty() && rootfs.resolve(&led).is_ok() {
        return None;
    }
    let is_interpreter = led.contains("/bin/python") || led.contains("/bin/ruby") || led.contains("/bin/node");
    let hint = match is_interpreter {
        true => format!(
            "copy the interpreter that {link} leads to into the image at the same path, or create the environment in the final stage"
        ),
        false => format!("copy what {link} leads to into the image: {led}"),
    };
    let text = format!("{link} is a link to {led}, which is not in the image");
    Some(BrokenLink { text, hint, layer, link: Some(link) })
}

/// The first symbolic link on the path, with its target and the rest of the path.
fn first_link(rootfs: &RootFs<FileKind>, path: &str) -> Option<(crate::image::NodeId, String, String)> {
    let mut walked = String::new();
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    while let Some(part) = parts.next() {
        walked = format!("{walked}/{part}");
        let id = rootfs.walk(rootfs.root(), walked.as_bytes(), false, &|_| true).ok()?;
        let view = rootfs.view(id);
        if view.kind == NodeKind::Symlink {
            let rest: Vec<&str> = parts.collect();
            return Some((id, String::from_utf8_lossy(view.target).into_owned(), rest.join("/")));
        }
    }
    None
}
