//! Matches build steps with layers. Pure: takes history entries, returns one step per layer.

use crate::oci::History;

/// The step of each of `layers` layers, lowest first. Builders differ: BuildKit and the classic builder mark steps
/// without a layer with `empty_layer`; buildah without `--layers` marks all but the last step of a build, whose layer
/// contains the results of all; kaniko and ko list one entry per layer; some tools drop old entries. If the counts do
/// not match, the topmost entries are matched from the top, provided that every remaining entry created a layer;
/// otherwise nothing is claimed. Source: OCI image-spec, config.md, "history".
pub fn steps(history: &[History], layers: usize) -> Vec<Option<String>> {
    let made: Vec<&History> = history.iter().filter(|entry| !entry.empty_layer).collect();
    let text = |entry: &&History| Some(clean(&entry.created_by, &entry.comment)).filter(|text| !text.is_empty());
    if made.len() == layers {
        return committed(history).into_iter().map(|text| Some(text).filter(|text| !text.is_empty())).collect();
    }
    // In a history that does not mark its empty steps, the instructions' names identify them.
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

/// The step of each layer; for buildah's single commit of a build, all steps before it.
fn committed(history: &[History]) -> Vec<String> {
    let (mut found, mut waiting) = (Vec::new(), Vec::new());
    for entry in history {
        let text = clean(&entry.created_by, &entry.comment);
        if entry.empty_layer {
            waiting.extend((!is_metadata_step(&entry.created_by)).then_some(text));
            continue;
        }
        let is_metadata = is_metadata_step(&entry.created_by);
        // buildah records in a commit's comment what it was built from.
        let is_buildah = entry.comment.starts_with("FROM ") || is_metadata;
        // If WORKDIR and a COPY share a layer, the layer belongs to the copy rather than to WORKDIR's directory.
        if !is_metadata || waiting.iter().any(|step: &String| !step.starts_with("WORKDIR ")) {
            waiting.retain(|step| !step.starts_with("WORKDIR "));
        }
        found.push(match (is_buildah && !waiting.is_empty(), is_metadata) {
            (true, true) => waiting.join("; "),
            (true, false) => format!("{}; {text}", waiting.join("; ")),
            (false, _) => text,
        });
        waiting.clear();
    }
    found
}

/// Instructions that never create a layer.
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

/// A step as in its Dockerfile: without the shell, the markers and the build arguments that builders add.
fn clean(created_by: &str, comment: &str) -> String {
    let text = created_by.trim();
    if text.is_empty() {
        return squeeze(comment);
    }
    if let Some((shell, rest)) = text.split_once("#(nop)")
        && (shell.is_empty() || command(shell.trim()).is_some_and(str::is_empty))
    {
        return squeeze(rest);
    }
    match text.strip_prefix("RUN ") {
        Some(rest) => run(without_arguments(rest)),
        // The classic builder and buildah only record the command of a RUN; no instruction starts with a path.
        None if text.starts_with(['/', '|']) => run(without_arguments(text)),
        None => squeeze(text),
    }
}

/// `|2 A=1 B=2 /bin/sh -c make`: the build arguments of a RUN, and its command. A value may contain spaces.
fn without_arguments(text: &str) -> &str {
    let Some((count, rest)) = text.strip_prefix('|').and_then(|rest| rest.split_once(' ')) else { return text };
    let shell = rest.match_indices(" /").map(|(at, _)| &rest[at + 1..]).find(|rest| command(rest).is_some());
    let words = || {
        let count: usize = count.parse().ok()?;
        let (at, _) = rest.match_indices(' ').nth(count.checked_sub(1)?)?;
        Some(&rest[at + 1..])
    };
    shell.or_else(words).unwrap_or(rest)
}

/// The command that a shell runs: `make` in `/bin/bash -o pipefail -c make`. `None`: not a call of a shell.
fn command(text: &str) -> Option<&str> {
    let (shell, mut rest) = text.split_once(' ')?;
    let name = shell.strip_prefix('/')?.rsplit('/').next()?;
    if !matches!(name, "sh" | "bash" | "ash" | "dash" | "zsh" | "ksh") {
        return None;
    }
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        match word {
            // `-ec` and `-lc` also end the options.
            _ if word.starts_with('-') && !word.starts_with("--") && word.ends_with('c') => return Some(rest.trim()),
            _ if word.starts_with('-') || word == "pipefail" => {}
            _ => return None,
        }
    }
}

/// The step of a RUN, from the command line that was run.
fn run(line: &str) -> String {
    format!("RUN {}", squeeze(command(line).unwrap_or(line)))
}

fn squeeze(text: &str) -> String {
    let text = text.trim().trim_end_matches("# buildkit").trim_end_matches("# buildah");
    text.split_whitespace().map(shortened).collect::<Vec<_>>().join(" ")
}

/// Shortens `file:9ffe13ff133d...`, the name of copied content in the classic builder and buildah.
fn shortened(word: &str) -> &str {
    let hash = ["file:", "dir:", "multi:"].iter().find_map(|kind| Some((kind.len(), word.strip_prefix(kind)?)));
    match hash {
        Some((at, hash)) if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => &word[..at + 12],
        _ => word,
    }
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
        check(&[entry("RUN |2 A=1 B=a b /bin/sh -e -c make # buildkit", false)], 1, &[Some("RUN make")]);
        check(&[entry("|1 A=1 /bin/bash -o pipefail -c make", false)], 1, &[Some("RUN make")]);
        check(&[entry("|1 A=1 /bin/busybox cp a b", false)], 1, &[Some("RUN /bin/busybox cp a b")]);
        check(&[entry("/bin/bash -lc #(nop) COPY file:1 in /a ", false)], 1, &[Some("COPY file:1 in /a")]);
    }

    #[test]
    fn a_single_commit_of_buildah_contains_all_steps_of_its_build() {
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
    fn copied_content_is_shown_by_the_start_of_its_hash() {
        let hash = "d88cac749fd838a3c3cecd4c0d6b69ceac74178d60259e07e7073cf5012013e0";
        let step = entry(&format!("/bin/sh -c #(nop) ADD dir:{hash} in / "), false);
        check(&[step], 1, &[Some("ADD dir:d88cac749fd8 in /")]);
    }

    #[test]
    fn buildah_with_layers_lists_one_entry_per_layer() {
        let from =
            |created_by: &str, empty| History { comment: "FROM 7a7a0e68ef89".into(), ..entry(created_by, empty) };
        let history = [
            entry("/bin/sh -c #(nop) ADD file:0 in / ", false),
            from("/bin/sh -c #(nop) ENV A=1", true),
            from("/bin/sh -c #(nop) COPY file:1 in /one ", false),
            from("/bin/sh -c #(nop) WORKDIR /opt", true),
            from("/bin/sh -c #(nop) COPY file:2 in . ", false),
        ];
        check(&history, 3, &[Some("ADD file:0 in /"), Some("COPY file:1 in /one"), Some("COPY file:2 in .")]);
    }

    /// Source: kaniko, pkg/executor/build.go: a layer's history is its instruction as written in the Dockerfile,
    /// variables and flags included; instructions that change no file are left out; `--single-snapshot` names the last
    /// instruction.
    #[test]
    fn kaniko_lists_the_dockerfiles_own_text_for_each_layer() {
        let base =
            [entry("/bin/sh -c #(nop) ADD file:0 in / ", false), entry("/bin/sh -c #(nop)  CMD [\"bash\"]", true)];
        let own = [
            entry("RUN apt-get update &&     apt-get install -y x", false),
            entry("COPY --from=build /src/${NAME} /usr/local/bin/", false),
        ];
        let own_steps = [
            Some("RUN apt-get update && apt-get install -y x"),
            Some("COPY --from=build /src/${NAME} /usr/local/bin/"),
        ];
        let all: Vec<History> = base.iter().chain(&own).cloned().collect();
        check(&all, 3, &[&[Some("ADD file:0 in /")][..], &own_steps].concat());
        let single: Vec<History> = base.iter().cloned().chain([entry("ENTRYPOINT [\"/x\"]", false)]).collect();
        check(&single, 2, &[Some("ADD file:0 in /"), Some("ENTRYPOINT [\"/x\"]")]);
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
    fn mismatched_counts_claim_nothing() {
        check(&[entry("COPY a /a", false), entry("COPY b /b", false)], 1, &[None]);
        check(&[], 2, &[None, None]);
    }
}
