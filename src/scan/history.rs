//! Which build step made which layer. Pure: history entries in, a step a layer out.

use crate::oci::History;

/// The step of each of `layers` layers, lowest first. Builders differ: BuildKit and the classic builder mark steps that
/// made no layer with `empty_layer`; buildah without `--layers` marks all but the last step of a build, whose layer holds
/// what all of them did; kaniko and ko list one entry a layer; some tools drop old entries.
/// Where the entries cannot be counted out to the layers, the topmost ones are matched from the top if every remaining
/// entry made a layer; otherwise nothing is claimed. Source: OCI image-spec, config.md, "history".
pub fn steps(history: &[History], layers: usize) -> Vec<Option<String>> {
    let made: Vec<&History> = history.iter().filter(|entry| !entry.empty_layer).collect();
    let text = |entry: &&History| Some(clean(&entry.created_by, &entry.comment)).filter(|text| !text.is_empty());
    if made.len() == layers {
        return committed(history).into_iter().map(|text| Some(text).filter(|text| !text.is_empty())).collect();
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

/// What each layer's commit holds: its own step, or those before it where it is buildah's single commit of a build.
fn committed(history: &[History]) -> Vec<String> {
    let (mut found, mut waiting) = (Vec::new(), Vec::new());
    for entry in history {
        let text = clean(&entry.created_by, &entry.comment);
        if entry.empty_layer {
            waiting.extend((!is_metadata_step(&entry.created_by)).then_some(text));
            continue;
        }
        let is_metadata = is_metadata_step(&entry.created_by);
        // buildah says at a commit what it was made from.
        let is_buildah = entry.comment.starts_with("FROM ") || is_metadata;
        found.push(match (is_buildah && !waiting.is_empty(), is_metadata) {
            (true, true) => waiting.join("; "),
            (true, false) => format!("{}; {text}", waiting.join("; ")),
            (false, _) => text,
        });
        waiting.clear();
    }
    found
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
    // `RUN /bin/bash -o pipefail -c make # buildkit`: whatever SHELL says.
    if let Some((shell, rest)) = text.strip_prefix("RUN /").and_then(|rest| rest.split_once(" -c "))
        && shell.split(' ').skip(1).all(|word| word.starts_with('-') || word == "pipefail")
    {
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
    fn a_shell_of_the_dockerfiles_own_is_left_out() {
        check(&[entry("RUN /bin/bash -o pipefail -c make # buildkit", false)], 1, &[Some("RUN make")]);
        check(&[entry("RUN /usr/bin/cc -o a -c b.c # buildkit", false)], 1, &[Some("RUN /usr/bin/cc -o a -c b.c")]);
    }

    #[test]
    fn a_single_commit_of_buildah_holds_all_steps_of_its_build() {
        let from =
            |created_by: &str| History { comment: "FROM localhost/base:latest".into(), ..entry(created_by, false) };
        let history = [
            entry("/bin/sh -c #(nop) ADD file:0 in / ", false),
            entry("/bin/sh -c #(nop) ENV A=1", true),
            entry("/bin/sh -c #(nop) COPY file:1 in /one ", true),
            entry("/bin/sh -c make", true),
            from("/bin/sh -c #(nop) ENTRYPOINT [\"/one\"]"),
        ];
        check(&history, 2, &[Some("ADD file:0 in /"), Some("COPY file:1 in /one; RUN make")]);
    }

    #[test]
    fn buildah_with_layers_and_kaniko_list_one_entry_a_layer() {
        let from =
            |created_by: &str, empty| History { comment: "FROM 7a7a0e68ef89".into(), ..entry(created_by, empty) };
        let history = [
            entry("/bin/sh -c #(nop) ADD file:0 in / ", false),
            from("/bin/sh -c #(nop) ENV A=1", true),
            from("/bin/sh -c #(nop) COPY file:1 in /one ", false),
        ];
        check(&history, 2, &[Some("ADD file:0 in /"), Some("COPY file:1 in /one")]);
        let kaniko = [
            entry("/bin/sh -c #(nop) ADD file:0 in / ", false),
            entry("/bin/sh -c #(nop)  CMD [\"bash\"]", true),
            entry("RUN make", false),
            entry("COPY a /a", false),
        ];
        check(&kaniko, 3, &[Some("ADD file:0 in /"), Some("RUN make"), Some("COPY a /a")]);
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
