//! Finds the Dockerfile line that created a layer. Pure; returns nothing where the line is ambiguous.

use super::instruction::{self, Instruction};
use crate::lint::dockerfile::Dockerfile;

/// The line of each layer's step in a Dockerfile, counted from 1. Steps and instructions have the same order, and the
/// Dockerfile's steps are the topmost: a step that also occurs in the base is not attributed to the Dockerfile. Uses
/// the stage whose instructions agree best; of several, the last.
pub fn dockerfile_lines(dockerfile: Option<&str>, steps: &[Option<String>]) -> Vec<Option<usize>> {
    let nothing = vec![None; steps.len()];
    let Some(file) = dockerfile.and_then(|text| Dockerfile::parse(text).ok()) else { return nothing };
    let stages = (0..file.stages.len()).map(|stage| Alignment::from_steps(steps, &instruction::of_stage(&file, stage)));
    let best = stages.max_by_key(Alignment::score);
    best.map_or(nothing, |alignment| alignment.lines())
}

/// Agreement first, then how high in the image the layers are.
type Score = (u32, usize);

/// An alignment of layers with instructions that keeps both orders and maximizes agreement.
struct Alignment {
    lines: Vec<usize>,
    /// Indexed by layer, then by instruction.
    agreement: Vec<Vec<u32>>,
    /// `best[l][i]`: the score of the layers from `l` and the instructions from `i`.
    best: Vec<Vec<Score>>,
}

/// Which of several equally good instructions a layer is matched with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MatchChoice {
    Earliest,
    Latest,
}

impl Alignment {
    fn from_steps(steps: &[Option<String>], instructions: &[Instruction]) -> Alignment {
        let agreement: Vec<Vec<u32>> = steps
            .iter()
            .map(|step| {
                let of = |instruction: &Instruction| step.as_ref().map_or(0, |step| instruction.agreement(step));
                instructions.iter().map(of).collect()
            })
            .collect();
        let mut best = vec![vec![(0, 0); instructions.len() + 1]; steps.len() + 1];
        for layer in (0..steps.len()).rev() {
            for at in (0..instructions.len()).rev() {
                let apart = best[layer + 1][at].max(best[layer][at + 1]);
                let matched = join(agreement[layer][at], layer, best[layer + 1][at + 1]);
                best[layer][at] = matched.map_or(apart, |matched| matched.max(apart));
            }
        }
        Alignment { lines: instructions.iter().map(|instruction| instruction.line).collect(), agreement, best }
    }

    fn score(&self) -> Score {
        self.best[0][0]
    }

    /// Matches with a line; `None` for a layer that fits another line equally well.
    fn lines(&self) -> Vec<Option<usize>> {
        let latest = self.trace(MatchChoice::Latest);
        self.trace(MatchChoice::Earliest).into_iter().zip(latest).map(|(a, b)| a.filter(|_| a == b)).collect()
    }

    fn trace(&self, choice: MatchChoice) -> Vec<Option<usize>> {
        let mut found = vec![None; self.agreement.len()];
        let (mut layer, mut at) = (0, 0);
        while layer < self.agreement.len() && at < self.lines.len() {
            let best = self.best[layer][at];
            let is_matched = join(self.agreement[layer][at], layer, self.best[layer + 1][at + 1]) == Some(best);
            let is_later = self.best[layer][at + 1] == best;
            if is_matched && (choice == MatchChoice::Earliest || !is_later) {
                found[layer] = Some(self.lines[at]);
                (layer, at) = (layer + 1, at + 1);
            } else if is_later {
                at += 1;
            } else {
                layer += 1;
            }
        }
        found
    }
}

/// The score with a layer matched to an instruction; `None`: they do not agree.
fn join(agreement: u32, layer: usize, rest: Score) -> Option<Score> {
    (agreement > 0).then_some((rest.0 + agreement, rest.1 + layer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dockerfile: &str, steps: &[&str], expected: &[Option<usize>]) {
        let steps: Vec<Option<String>> =
            steps.iter().map(|step| Some(step.to_string()).filter(|s| !s.is_empty())).collect();
        assert_eq!(dockerfile_lines(Some(dockerfile), &steps), expected, "{dockerfile}");
    }

    #[test]
    fn a_step_is_found_at_its_line() {
        check(
            "FROM debian\n# COPY a /a\nCOPY --chmod=755 bin/app   /usr/local/bin/app\nRUN make && \\\n  # why\n\n  make install\n",
            &["COPY bin/app /usr/local/bin/app", "RUN make && make install", ""],
            &[Some(3), Some(4), None],
        );
        check(
            "FROM a\nADD [\"x\", \"/y/\"]\nRUN [\"/bin/x\", \"y\"]\n",
            &["ADD x /y/", "RUN /bin/x y"],
            &[Some(2), Some(3)],
        );
    }

    #[test]
    fn a_copy_of_the_classic_builder_or_buildah_is_found_by_its_place() {
        check(
            "FROM scratch\nCOPY bin/app /usr/local/bin/app\nADD [\"a\", \"/b/\"]\nCOPY conf ./conf\nWORKDIR /opt\nCOPY x .\n",
            &[
                "COPY file:1f in /usr/local/bin/app",
                "ADD file:2e in /b",
                "COPY dir:3d in /srv/conf",
                "COPY multi:4c in /opt/",
            ],
            &[Some(2), Some(3), Some(4), Some(6)],
        );
        check("FROM a\nENV B=/b\nCOPY x $B/y\nCOPY x /z\n", &["COPY file:1f in $B/y"], &[Some(3)]);
        check("FROM a\nWORKDIR /opt\nCOPY x ./y/\n", &["COPY file:1f in ./y/"], &[Some(3)]);
    }

    #[test]
    fn variables_match_their_expansion() {
        let dockerfile = "FROM a\nARG DIR=/opt\nENV E=/env\nCOPY x ${DIR}/x\nCOPY x $E/x\nRUN echo $DIR done\n";
        check(dockerfile, &["COPY x /opt/x", "COPY x /env/x", "RUN echo $DIR done"], &[Some(4), Some(5), Some(6)]);
        // The value is given at the build, or by the base image.
        check(dockerfile, &["COPY x /given/x", "COPY x /env/x"], &[Some(4), Some(5)]);
        check("FROM a\nCOPY x $BASE/x\n", &["COPY x /b/x"], &[Some(2)]);
        check("FROM a\nCOPY y $BASE/x\n", &["COPY x /b/x"], &[None]);
    }

    #[test]
    fn kanikos_steps_are_the_instructions_themselves() {
        let dockerfile = "FROM a AS build\nRUN x\nFROM a\nARG NAME=n\nCOPY --from=build /src/${NAME} \\\n  /bin/\n";
        check(dockerfile, &["COPY --from=build /src/${NAME} /bin/"], &[Some(5)]);
    }

    #[test]
    fn a_heredocs_body_is_its_command_and_contains_no_instructions() {
        let dockerfile =
            "FROM a\nRUN <<E\nmake\nmake install\nE\nCOPY <<F /x\nCOPY b /b\nF\nRUN sh <<G\necho\nG\nCOPY b /b\n";
        check(
            dockerfile,
            &["RUN make make install", "COPY <<F /x", "RUN sh <<G echo G", "COPY b /b"],
            &[Some(2), Some(6), Some(9), Some(12)],
        );
    }

    #[test]
    fn workdirs_are_relative_to_the_previous_one() {
        let dockerfile = "FROM a\nWORKDIR /opt\nWORKDIR sub\nCOPY x y\nWORKDIR /opt/sub\n";
        check(
            dockerfile,
            &["WORKDIR /opt", "WORKDIR /opt/sub", "COPY file:1 in /opt/sub/y", "WORKDIR /opt/sub"],
            &[Some(2), Some(3), Some(4), Some(5)],
        );
    }

    #[test]
    fn a_stage_of_another_program_does_not_match() {
        let dockerfile = "FROM a AS b\nRUN make\nFROM c\nRUN make\nFROM d AS e\nCOPY x /x\nFROM e\nRUN make\n";
        check(dockerfile, &["COPY x /x", "RUN make"], &[Some(6), Some(8)]);
        // Built with `--target`.
        check("FROM a AS b\nRUN one\nFROM c\nRUN two\n", &["RUN one"], &[Some(2)]);
    }

    #[test]
    fn steps_of_the_base_are_not_attributed_to_the_dockerfile() {
        check("FROM a\nRUN x\nCOPY b /b\n", &["RUN x", "RUN y", "RUN x", "COPY b /b"], &[None, None, Some(2), Some(3)]);
    }

    #[test]
    fn a_repeated_step_is_attributed_if_its_order_is_unique() {
        check("FROM a\nRUN x\nCOPY y /y\nRUN x\n", &["RUN x", "COPY y /y", "RUN x"], &[Some(2), Some(3), Some(4)]);
        check("FROM a\nRUN x\nRUN x\n", &["RUN x"], &[None]);
        check("no Dockerfile", &["RUN x"], &[None]);
    }
}
