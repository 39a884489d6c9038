//! Scans an OCI layout for one node and prints the findings of each platform.
//!
//! `cargo run --example scan_layout -- testdata/incident/wrong graviton4`

use std::process::ExitCode;

use imgarch::{Options, Severity, Target, scan};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(layout) = words.next() else {
        eprintln!("usage: scan_layout DIR [TARGET]");
        return ExitCode::from(2);
    };
    let mut options = Options::default();
    if let Some(text) = words.next() {
        match Target::parse(&text) {
            Ok(targets) => options.targets = targets,
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::from(2);
            }
        }
    }
    let report = scan(&format!("oci:{layout}"), &options);
    for image in &report.images {
        for problem in &image.problems {
            println!("{}: could not tell: {}", image.name, problem.text);
        }
        for (platform, finding) in image.all_findings() {
            let platform = platform.map_or_else(|| "index".to_string(), |platform| platform.name());
            println!("{platform}: {}[{}]: {}", finding.severity.word(), finding.code.name(), finding.message);
        }
    }
    if report.count(Severity::Error) > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
