//! Lints the text of a Dockerfile and prints each finding with its line.
//!
//! `cargo run --example lint_text`

use std::path::Path;

use imgarch::lint;

const DOCKERFILE: &str = "\
FROM alpine
RUN wget https://example.com/releases/tool-linux-amd64 -O /usr/local/bin/tool && chmod +x /usr/local/bin/tool
ENTRYPOINT [\"tool\"]
";

fn main() {
    let linted = lint(Path::new("Dockerfile"), DOCKERFILE).expect("the file name identifies a Dockerfile");
    for finding in &linted.findings {
        let line = DOCKERFILE[..finding.span.start].lines().count().max(1);
        println!("Dockerfile:{line}: {}[{}]: {}", finding.severity.word(), finding.code, finding.message);
    }
}
