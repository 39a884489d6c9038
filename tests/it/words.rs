//! The language of the tree: spelling, and words that this project does not use.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::python;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A phrase that reads as translated, and what to write.
const PHRASES: &[(&str, &str)] = &[
    ("told", "reported, detected, recognised"),
    ("tells apart", "distinguishes"),
    ("nobody", "no one, or the passive"),
    ("somebody", "a user, another process"),
    ("whoever", "anyone who"),
    ("wherever", "everywhere that, where"),
    ("for want of", "without"),
    ("come by", "reached, obtained"),
    ("held to", "checked against"),
    ("is to be", "must be, will be"),
    ("mend", "fix"),
    ("all else", "everything else"),
    ("folder", "directory"),
];

/// Where a phrase is right: a name of others, or one that scripts read.
const EXCEPTIONS: &[&str] =
    &["\"nobody\"", "nobody:", "nobody/home", "opt/folder", "opt/by-folder", "by-folder/", "is to be hidden"];

fn files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_text = [".rs", ".md", ".yml", ".yaml", ".toml"].iter().any(|end| name.ends_with(end));
        if path.is_dir() {
            files(&path, into);
        } else if is_text && name != "words.rs" {
            into.push(path);
        }
    }
}

fn has_phrase(line: &str, phrase: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(phrase).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + phrase.len()..].chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[test]
fn phrases_that_read_as_translated_are_not_used() {
    let mut texts = vec![Path::new(ROOT).join("README.md")];
    for directory in ["src", "docs", "tests", "benches", "examples", "deploy"] {
        files(&Path::new(ROOT).join(directory), &mut texts);
    }
    let mut found = Vec::new();
    for path in texts {
        let text = std::fs::read_to_string(&path).unwrap();
        for (at, line) in text.lines().enumerate() {
            let line = line.to_ascii_lowercase();
            let phrase = PHRASES.iter().find(|(phrase, _)| has_phrase(&line, phrase));
            if let Some((phrase, better)) = phrase.filter(|_| !EXCEPTIONS.iter().any(|known| line.contains(known))) {
                found.push(format!("{}:{}: \"{phrase}\": {better}", path.display(), at + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn spelling_is_right() {
    let Some(typos) = python::program("spelling_is_right", "typos==1.52.0", "typos") else { return };
    let output = Command::new(typos).args(["--format", "brief"]).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
