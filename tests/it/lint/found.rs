//! Dockerfiles like those of public repositories. Healthy ones have no findings. Faults in the others are found at the
//! right position, and are no longer found after the rewrites.

use std::fs;
use std::path::{Path, PathBuf};

use imgarch::judge::code::Severity;
use imgarch::lint::{self, Linted, Outside, Position, Safety, SourceFormat};

fn dockerfiles(kind: &str) -> Vec<(String, PathBuf)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dockerfiles").join(kind);
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        paths.map(|path| (path.file_stem().unwrap().to_str().unwrap().replace(".Dockerfile", ""), path)).collect();
    found.sort();
    found
}

fn check(text: &str) -> Linted {
    let linted = lint::lint(Path::new("Dockerfile"), text, SourceFormat::Dockerfile, &Outside::nothing());
    assert_eq!(linted.problems, []);
    linted
}

#[test]
fn healthy_ones_have_no_findings() {
    for (name, path) in dockerfiles("healthy") {
        let linted = check(&fs::read_to_string(path).unwrap());
        let heavy: Vec<_> = linted.findings.iter().filter(|finding| finding.severity > Severity::Note).collect();
        assert!(heavy.is_empty(), "{name}: {heavy:#?}");
    }
}

#[test]
fn faulty_ones_are_found_and_their_rewrites_fix_them() {
    for (name, path) in dockerfiles("ill") {
        let first = check(&fs::read_to_string(path).unwrap());
        let lines = first.findings.iter().map(|finding| {
            let Position { line, column } = Position::from_offset(&first.text, finding.span.start);
            format!("{line}:{column} {} {}: {}\n", finding.severity.word(), finding.code, finding.message)
        });
        let found: String = lines.collect();
        assert!(found.lines().count() > 0, "{name}");
        let mut linted = first.clone();
        for round in 0.. {
            assert!(round < 5, "{name}: rewriting does not end:\n{}", linted.text);
            let fixed = lint::apply(&linted.text, &linted.findings, Safety::Unsafe);
            if fixed.made == 0 {
                break;
            }
            linted = check(&fixed.text);
        }
        let left: Vec<_> = linted.findings.iter().filter(|finding| finding.fix.is_some()).collect();
        assert!(left.is_empty(), "{name}: {left:#?}");
        let diff = lint::unified_diff("Dockerfile", &first.text, &linted.text);
        insta::assert_snapshot!(name, format!("{found}\n{diff}"));
    }
}
