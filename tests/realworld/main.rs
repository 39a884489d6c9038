//! No false alarm, no silence: root file systems of real Debian packages for linux/arm64, healthy and with one fault put
//! in. Each healthy tree gives no error and no warning; each fault is the first finding.
//!
//! A small part runs always; the whole of it by
//!
//!     IMGARCH_REALWORLD=all cargo test --test realworld -- --nocapture
//!
//! which prints the table of results as markdown. It needs root, mmdebstrap and the machine's own Debian sources.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../support/engines.rs"]
mod engines;
mod expected;
mod faults;
mod trees;

use expected::{FAULTS, Part, TREES};

/// The loud findings of a tree: `code path`, most severe first.
fn scan(root: &Path, entrypoint: &[&str]) -> Vec<(String, String)> {
    let rootfs = format!("rootfs:{}", root.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
    command.args(["scan", &rootfs, "--target", "linux/arm64", "--format", "json"]);
    command.args(entrypoint.iter().flat_map(|word| ["--entrypoint".to_string(), word.to_string()]));
    let output = command.env("NO_COLOR", "1").output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{entrypoint:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings = report["images"][0]["platforms"][0]["findings"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let loud = findings.iter().filter(|finding| finding["severity"] != "note");
    loud.map(|finding| (text(&finding["code"]), text(&finding["path"]))).collect()
}

fn is_whole() -> bool {
    std::env::var("IMGARCH_REALWORLD").is_ok_and(|value| value == "all")
}

fn check(folder: &Path, tree: &expected::Tree) -> Vec<String> {
    let root: PathBuf = trees::build(folder, tree);
    let found = scan(&root, &[tree.entrypoint]);
    println!(
        "| {} | healthy | {} |",
        tree.name,
        if found.is_empty() { "no finding".into() } else { format!("{found:?}") }
    );
    let mut wrong = Vec::new();
    if !found.is_empty() {
        wrong.push(format!("{}: {found:?}", tree.name));
    }
    for fault in FAULTS.iter().filter(|fault| fault.tree == tree.name) {
        let undo = faults::put(&root, fault);
        let found = scan(&root, fault.entrypoint);
        undo.run();
        let first = found.first().map(|(code, path)| (code.as_str(), path.as_str()));
        println!("| {} | {} | {first:?} |", tree.name, fault.name);
        if first != Some(fault.first) {
            wrong.push(format!("{}: {}: expected {:?}, found {found:?}", tree.name, fault.name, fault.first));
        }
    }
    std::fs::remove_dir_all(&root).unwrap();
    wrong
}

#[test]
fn healthy_trees_are_silent_and_each_fault_comes_first() {
    if !engines::has("healthy_trees_are_silent", &["mmdebstrap"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rows = TREES.iter().filter(|tree| is_whole() || tree.part == Part::Always);
    let wrong: Vec<String> = rows.flat_map(|tree| check(folder.path(), tree)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
