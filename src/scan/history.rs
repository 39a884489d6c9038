//! Which build step made which layer. Pure: history entries in, a step a layer out.

use crate::oci::History;

/// The step of each of `layers` layers, lowest first. Builders differ: BuildKit, the classic builder and buildah mark
/// steps that made no layer with `empty_layer`; kaniko and ko list one entry a layer; some tools drop old entries.
/// Where the entries cannot be counted out to the layers, the topmost ones are matched from the top if every remaining
/// entry made a layer; otherwise nothing is claimed. Source: OCI image-spec, config.md, "history".
pub fn steps(history: &[History], layers: usize) -> Vec<Option<String>> {
    let made: Vec<&History> = history.iter().filter(|entry| !entry.empty_layer).collect();
    let text = |entry: &&History| Some(clean(&entry.created_by, &entry.comment)).filter(|text| !text.is_empty());
    if made.len() == layers {
        return made.iter().map(text).collect();
    }
    // A history that forgot to mark its empty steps is told by its words.
    let acting: Vec<&History> = made.iter().copied().filter(|entry| !is_metadata_step(&entry.created_by)).collect();
    if acting.len() == layers {
        return acting.iter().map(text).collect();
    }
    if made.len() < layers && !made.is_empty() && acting.len() == made.len() {
        let mut steps = vec![None; layers - made.len()];
        steps.extend(made.iter().map(text));
        return steps;
    }
    vec![None; layers]
}

/// Instructions that never make a layer.
fn is_metadata_step(created_by: &str) -> bool {
    const WORDS: &[&str] = &[
        "CMD",
        "ENTRYPOINT",
        "ENV",
        "LABEL",
        "EXPOSE",
        "USER",
        "ARG",
        "VOLUME",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "SHELL",
        "MAINTAINER",
        "ONBUILD",
    ];
    let step = clean(created_by, "");
    step.split_whitespace().next().is_some_and(|word| WORDS.contains(&word))
}

/// A step as its Dockerfile has it: without the shell, the markers and the build arguments that builders put around it.
fn clean(created_by: &str, comment: &str) -> String {
    let text = created_by.trim();
    // Classic builder with build arguments: `|2 A=1 B=2 /bin/sh -c make`.
    if let Some((_, command)) = text.strip_prefix('|').and_then(|rest| rest.split_once("/bin/sh -c ")) {
        return run(command);
    }
    // BuildKit with build arguments: `RUN |1 TARGETARCH=arm64 /bin/sh -c make # buildkit`.
    if let Some((_, command)) = text.strip_prefix("RUN |").and_then(|rest| rest.split_once("/bin/sh -c ")) {
        return run(command);
    }
    if let Some(rest) = text.strip_prefix("RUN /bin/sh -c ") {
        return run(rest);
    }
    if let Some(rest) = text.strip_prefix("/bin/sh -c #(nop)") {
        return squeeze(rest);
    }
    if let Some(rest) = text.strip_prefix("/bin/sh -c ") {
        return run(rest);
    }
    if text.is_empty() { squeeze(comment) } else { squeeze(text) }
}

fn run(command: &str) -> String {
    format!("RUN {}", squeeze(command))
}

fn squeeze(text: &str) -> String {
    let text = text.trim().trim_end_matches("# buildkit").trim_end_matches("# buildah");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(created_by: &str, empty_layer: bool) -> History {
        History { created_by: created_by.into(), empty_layer, ..History::default() }
    }

    fn check(history: &[History], layers: usize, expected: &[Option<&str>]) {
        let expected: Vec<Option<String>> = expected.iter().map(|step| step.map(str::to_string)).collect();
        assert_eq!(steps(history, layers), expected);
    }

    #[test]
    fn buildkit_steps_lose_their_wrapping() {
        let history = [
            entry("COPY bin/app /usr/local/bin/app # buildkit", false),
            entry("ENV A=1", true),
            entry("RUN |1 TARGETARCH=arm64 /bin/sh -c make   install # buildkit", false),
            entry("ENTRYPOINT [\"app\"]", true),
        ];
        check(&history, 2, &[Some("COPY bin/app /usr/local/bin/app"), Some("RUN make install")]);
    }

    #[test]
    fn the_classic_builders_steps_too() {
        let history = [
            entry("/bin/sh -c #(nop) ADD file:1234 in / ", false),
            entry("/bin/sh -c #(nop)  CMD [\"bash\"]", true),
            entry("|1 V=2 /bin/sh -c apt-get update", false),
        ];
        check(&history, 2, &[Some("ADD file:1234 in /"), Some("RUN apt-get update")]);
    }

    #[test]
    fn a_history_that_marks_no_empty_step_is_counted_by_its_words() {
        let history = [entry("COPY a /a", false), entry("ENTRYPOINT [\"/a\"]", false)];
        check(&history, 1, &[Some("COPY a /a")]);
    }

    #[test]
    fn a_shortened_history_belongs_to_the_topmost_layers() {
        check(&[entry("COPY a /a", false)], 2, &[None, Some("COPY a /a")]);
    }

    #[test]
    fn what_cannot_be_counted_out_claims_nothing() {
        check(&[entry("COPY a /a", false), entry("COPY b /b", false)], 1, &[None]);
        check(&[], 2, &[None, None]);
    }
}
