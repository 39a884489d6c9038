//! Tests the documents: every link to a file of this repository and to a heading is valid, the site lists every page,
//! the README stays short, and the tests that SECURITY.md names exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Maximum size of the README in bytes.
const README_BYTES: usize = 9 << 10;

/// README.md and the Markdown files in docs and its subdirectories, relative to the repository.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("README.md")];
    let mut pending = vec![PathBuf::from("docs")];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&directory)).unwrap() {
            let path = directory.join(entry.unwrap().file_name());
            if Path::new(ROOT).join(&path).is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text without fenced code blocks and code spans.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            // The parts at odd positions are between backquotes.
            kept.extend(line.split('`').step_by(2));
            kept.push('\n');
        }
    }
    kept
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_string).collect()
}

/// The fragments that lead to a heading, as GitHub and mdBook form them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        let heading = line.trim_start_matches('#');
        if is_code || heading.len() == line.len() {
            continue;
        }
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        found.insert(kept.collect::<String>().to_lowercase().replace(' ', "-"));
    }
    found
}

#[test]
fn every_link_of_a_document_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(Path::new(ROOT).join(&document)).unwrap();
        for link in links(&prose(&text)) {
            let (file, fragment) = link.split_once('#').map_or((link.as_str(), None), |(file, at)| (file, Some(at)));
            let path = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            let path = Path::new(ROOT).join(path);
            let is_heading =
                |fragment: &str| fs::read_to_string(&path).is_ok_and(|text| anchors(&text).contains(fragment));
            if !path.exists() || !fragment.is_none_or(is_heading) {
                broken.push(format!("{}: {link}", document.display()));
            }
            count += 1;
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(count > 50, "{count} links were found");
}

#[test]
fn the_site_and_the_readme_list_every_page() {
    let read = |path: &str| fs::read_to_string(Path::new(ROOT).join(path)).unwrap();
    let (summary, readme) = (links(&read("docs/SUMMARY.md")), links(&read("README.md")));
    for document in documents() {
        let path = document.display().to_string();
        let Some(page) = path.strip_prefix("docs/").filter(|page| *page != "SUMMARY.md") else { continue };
        assert!(summary.iter().any(|link| link == page), "docs/SUMMARY.md does not list {page}");
        // Pages about the design are linked from CONTRIBUTING.md.
        assert!(page.starts_with("design/") || readme.contains(&path), "README.md does not list {path}");
    }
}

#[test]
fn the_readme_is_short() {
    let size = fs::metadata(Path::new(ROOT).join("README.md")).unwrap().len();
    assert!(size <= README_BYTES as u64, "README.md has {size} bytes; at most {README_BYTES} are allowed");
}

/// The text of all Rust files in a directory and its subdirectories.
fn sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

#[test]
fn every_promise_has_a_test_and_every_test_that_it_names_exists() {
    let code = sources(&Path::new(ROOT).join("src")) + &sources(&Path::new(ROOT).join("tests"));
    let text = fs::read_to_string(Path::new(ROOT).join("docs/SECURITY.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 20, "{} promises", rows.len());
    for row in rows {
        let tests = row.rsplit('|').nth(1).unwrap_or_default();
        // The parts at odd positions are between backquotes.
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test: {row}");
        let missing: Vec<&&str> = names.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
