//! Findings on the layers: links that no engine can create, entries that engines reject, links that a layer covers.

use std::collections::BTreeMap;

use crate::image::{Covering, Dangling, EngineRefusal, LinkFault, Refused, RootFs};
use crate::inspect::FileKind;
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;

/// Judges the problems that the merge recorded for layers.
pub fn judge(rootfs: &RootFs<FileKind>) -> Vec<Finding> {
    let mut findings = dangling(rootfs);
    findings.extend(covered(rootfs));
    findings.extend(refused(rootfs));
    findings
}

/// Hard links that engines cannot create when they unpack the image: one finding for each layer and reason.
fn dangling(rootfs: &RootFs<FileKind>) -> Vec<Finding> {
    let mut met: BTreeMap<(usize, LinkFault), (usize, &Dangling)> = BTreeMap::new();
    for link in rootfs.dangling() {
        met.entry((link.layer, link.fault)).or_insert((0, link)).0 += 1;
    }
    let finding = |((layer, fault), (count, link)): ((usize, LinkFault), (usize, &Dangling))| {
        let (path, target) = (String::from_utf8_lossy(&link.path), String::from_utf8_lossy(&link.target));
        let (code, severity, place) = match fault {
            LinkFault::Nowhere => (Code::HardLinkToNothing, Severity::Error, "is not in the image"),
            // Some drivers unpack a layer on top of those below it.
            LinkFault::LowerLayer => (Code::HardLinkAcrossLayers, Severity::Warning, "is only in a lower layer"),
            LinkFault::TargetLater => (Code::HardLinkAcrossLayers, Severity::Error, "comes after it in the layer"),
        };
        let others = others(count as u64 - 1, "link", "links");
        let text = format!("a hard link to /{target}, which {place}{others}");
        Finding::new(code, text).at(&format!("/{path}"), layer).severity(severity)
    };
    met.into_iter().map(finding).collect()
}

/// Entries that engines reject: one finding for each layer and reason.
fn refused(rootfs: &RootFs<FileKind>) -> impl Iterator<Item = Finding> {
    rootfs.refused().map(|Refused { layer, why, path, count }| {
        let (text, severity) = match why {
            EngineRefusal::Twice => (
                "the layer lists it twice: docker's classic store, podman and CRI-O reject that, containerd does not",
                Severity::Warning,
            ),
            EngineRefusal::HiddenHere => (
                "the layer contains both the file and a whiteout for it: on overlayfs, engines fail with `file exists`",
                Severity::Error,
            ),
        };
        let others = others(count - 1, "entry", "entries");
        let path = format!("/{}", String::from_utf8_lossy(path));
        Finding::new(Code::OddLayer, format!("{text}{others}")).at(&path, *layer).severity(severity)
    })
}

/// Layers that write below a link of a lower layer, which hides the files that were reached through it.
fn covered(rootfs: &RootFs<FileKind>) -> impl Iterator<Item = Finding> {
    // A layer that lists the directory itself may well intend to replace the link.
    let implied = rootfs.covered_links().iter().filter(|link| link.covering == Covering::Implied);
    implied.map(|link| {
        let (path, target) = (String::from_utf8_lossy(&link.path), String::from_utf8_lossy(&link.target));
        let text =
            format!("it has entries below {path}, a link to {target} in a lower layer: engines replace the link with a directory");
        // Files that break because of it have their own findings.
        let mut finding = Finding::new(Code::OddLayer, text).at(&path, link.layer).severity(Severity::Note);
        finding.hint = vec!["rebuild the layer with the path that the link leads to".to_string()];
        finding
    })
}

/// "; 2 more links in this layer have the same fault"; nothing for none.
fn others(count: u64, one: &str, many: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!("; 1 more {one} in this layer has the same fault"),
        _ => format!("; {count} more {many} in this layer have the same fault"),
    }
}
