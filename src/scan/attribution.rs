//! Where a layer comes from: the Dockerfile's line, the base image. Pure, and silent where it cannot be told.

use std::collections::BTreeMap;

use crate::oci::Config;

/// The line of each step in a Dockerfile, counted from 1. A step is found by its text, blanks and flags aside; one that
/// stands twice is found nowhere.
pub fn dockerfile_lines(dockerfile: Option<&str>, steps: &[Option<String>]) -> Vec<Option<usize>> {
    let instructions = dockerfile.map(instructions).unwrap_or_default();
    let line_of = |step: &String| {
        let wanted = key(step);
        let mut found = instructions.iter().filter(|(_, text)| *text == wanted);
        match (found.next(), found.next()) {
            (Some((line, _)), None) => Some(*line),
            _ => None,
        }
    };
    steps.iter().map(|step| step.as_ref().and_then(line_of)).collect()
}

/// Each instruction with its first line, continuation lines joined.
fn instructions(dockerfile: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in dockerfile.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') || (line.is_empty() && open.is_none()) {
            continue;
        }
        let (start, mut text) = open.take().unwrap_or((index + 1, String::new()));
        text.push_str(line.trim_end_matches('\\'));
        text.push(' ');
        if line.ends_with('\\') {
            open = Some((start, text));
        } else {
            found.push((start, key(&text)));
        }
    }
    found
}

/// An instruction without blanks and without flags, which builders leave out of the history.
fn key(text: &str) -> String {
    let mut words = text.split_whitespace();
    let instruction = words.next().unwrap_or_default().to_ascii_uppercase();
    let rest: Vec<&str> = words.skip_while(|word| word.starts_with("--")).collect();
    format!("{instruction} {}", rest.join(" "))
}

/// How many of the lowest layers are the base image's. Told by BuildKit's and buildah's own annotation of the base
/// where the config carries its diffIDs' number; none of them is guessed from history.
pub fn base_layers(annotations: &BTreeMap<String, String>, config: &Config, layers: usize) -> Option<usize> {
    let text = annotations
        .get("org.opencontainers.image.base.layers")
        .or_else(|| config.run.labels.get("org.opencontainers.image.base.layers"))?;
    text.parse().ok().filter(|count| *count <= layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_at_its_line() {
        let dockerfile = "FROM debian\n# COPY a /a\nCOPY --chmod=755 bin/app   /usr/local/bin/app\nRUN make && \\\n    make install\n";
        let steps =
            [Some("COPY bin/app /usr/local/bin/app".to_string()), Some("RUN make && make install".to_string()), None];
        assert_eq!(dockerfile_lines(Some(dockerfile), &steps), [Some(3), Some(4), None]);
    }

    #[test]
    fn a_step_that_stands_twice_is_claimed_nowhere() {
        let steps = [Some("RUN x".to_string())];
        assert_eq!(dockerfile_lines(Some("FROM a\nRUN x\nFROM b\nRUN x\n"), &steps), [None]);
    }
}
