//! Tests for false alarms and missed faults: root file systems of real packages (Debian, PyPI, npm) for seven
//! architectures, healthy and with one fault added. A healthy tree must have no errors and no warnings. A fault must be
//! the first finding.
//!
//! A small part always runs. All of it runs with
//!
//!     IMGARCH_ENGINES=1 IMGARCH_REALWORLD=all cargo test --test it realworld -- --nocapture
//!
//! which prints the table of results as Markdown. It needs root, mmdebstrap, pip, npm and the machine's own package
//! sources. `IMGARCH_REALWORLD=python,java` tests only these trees. `IMGARCH_REALWORLD_DIR=DIR` keeps the trees in DIR.

use crate::kit::machine::{self, Need};
use std::path::{Path, PathBuf};
use std::process::Command;

mod agreement;
mod cases;
mod chroot;
mod expected;
mod faults;
mod image;
mod published;
mod services;
mod supervised;
mod systems;
mod trees;

use expected::{Part, Tree};
use faults::Fault;

/// The result of a scan of an image.
struct Scan {
    /// Code, path and layer of each error and warning, most severe first.
    loud: Vec<(String, String, Option<u64>)>,
    has_error: bool,
    programs: u64,
}

fn scan(cache: &Path, layout: &Path) -> Scan {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
    command.arg("scan").arg(layout).args(["--format", "json"]).env("NO_COLOR", "1").env("XDG_CACHE_HOME", cache);
    let output = command.output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{}: {error}: {}", layout.display(), String::from_utf8_lossy(&output.stderr)));
    let platform = &report["images"][0]["platforms"][0];
    assert_eq!(platform["problems"], serde_json::json!([]), "{}", layout.display());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let has_error = platform["findings"].as_array().unwrap().iter().any(|finding| finding["severity"] == "error");
    let loud = platform["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] != "note");
    let loud = loud.map(|finding| (text(&finding["code"]), text(&finding["path"]), finding["layer"]["index"].as_u64()));
    Scan { loud: loud.collect(), has_error, programs: platform["programs"].as_u64().unwrap() }
}

/// Whether this run tests a tree.
fn is_wanted(tree: &Tree) -> bool {
    match std::env::var("IMGARCH_REALWORLD").as_deref() {
        Ok("all") => true,
        Ok(names) if !names.is_empty() => names.split(',').any(|name| name == tree.name),
        _ => tree.part == Part::Always,
    }
}

/// Tests a tree. Returns what went wrong, and prints its row of the table.
fn check(directory: &Path, tree: &Tree) -> Vec<String> {
    let root: PathBuf = trees::build(directory, tree);
    let image = image::Image::pack(tree, &root);
    let cache = directory.join("cache");
    let healthy = scan(&cache, image.with(None));
    let mut wrong = Vec::new();
    if !healthy.loud.is_empty() {
        wrong.push(format!("{}: healthy, but found {:?}", tree.name, healthy.loud));
    }
    let faults: Vec<&Fault> = cases::of(tree, &root).collect();
    let mut seen = 0;
    for fault in &faults {
        let found = scan(&cache, image.with(Some(fault))).loud;
        let first = found.first().map(|(code, path, _)| (code.as_str(), path.as_str()));
        // A file from the fault's own layer must be attributed to that layer.
        let is_put = fault.puts.iter().any(|put| format!("/{}", put.path()) == fault.first.1);
        let is_placed = !is_put || found.first().is_some_and(|(_, _, layer)| *layer == Some(1));
        if first == Some(fault.first) && is_placed {
            seen += 1;
        } else {
            wrong.push(format!("{}: {}: expected {:?}, found {found:?}", tree.name, fault.name, fault.first));
        }
    }
    let loud = if healthy.loud.is_empty() { "no error, no warning".to_string() } else { format!("{:?}", healthy.loud) };
    println!("| {} | {} | {} | {loud} | {seen} of {} |", tree.name, tree.target, healthy.programs, faults.len());
    std::fs::remove_dir_all(root.with_extension("layout")).unwrap();
    if std::env::var_os("IMGARCH_REALWORLD_DIR").is_none() {
        std::fs::remove_dir_all(&root).unwrap();
    }
    wrong
}

#[test]
fn healthy_trees_have_no_findings_and_each_fault_comes_first() {
    let trees: Vec<&Tree> = expected::trees().filter(|tree| is_wanted(tree)).collect();
    let mut needs = vec![Need::Root, Need::Mmdebstrap, Need::PackageMirror];
    needs.extend(trees.iter().any(|tree| !tree.pip.is_empty()).then_some(Need::Pip));
    needs.extend(trees.iter().any(|tree| !tree.npm.is_empty()).then_some(Need::Npm));
    if !machine::has("healthy_trees_have_no_findings", &needs) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let directory = std::env::var_os("IMGARCH_REALWORLD_DIR").map_or(temporary.path().to_path_buf(), PathBuf::from);
    std::fs::create_dir_all(&directory).unwrap();
    println!("| image | platform | programs | healthy image | faults reported first |\n|---|---|---|---|---|");
    // Two at a time: one is downloaded while the other is read.
    let next = std::sync::Mutex::new(trees.into_iter());
    let work = || {
        let mut wrong = Vec::new();
        loop {
            let Some(tree) = next.lock().unwrap().next() else { return wrong };
            wrong.extend(check(&directory, tree));
        }
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_belongs_to_an_existing_tree() {
    let names: Vec<&str> = expected::trees().map(|tree| tree.name).collect();
    assert_eq!(cases::without_tree(&names), [""; 0]);
    assert_eq!(names.len(), names.iter().collect::<std::collections::BTreeSet<_>>().len(), "each has its own name");
}
