//! Which machine each stage of a Dockerfile runs on, and which stages the final image is made of.

use super::dockerfile::{self, Dockerfile, Stage, StepKind};
use super::token;
use crate::platform::{Arch, Platform};

/// Whose programs a stage's RUN steps are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Machine {
    /// The platform that is built for.
    Target,
    /// `$BUILDPLATFORM`.
    Builder,
    /// One platform, whatever is built for.
    Constant(Platform),
}

/// A stage as the final image sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub machine: Machine,
    /// Whether the final stage is made from it or copies from it, however far.
    pub reaches_final: bool,
    /// Whether it, or one that it is made from, asks what it builds for.
    pub knows_target: bool,
    /// The architecture that its name stands for, where a FROM or a COPY chooses among such stages by TARGETARCH.
    pub chosen_for: Option<Arch>,
    /// The architecture in its name: what it does for that one is meant.
    pub named_for: Option<Arch>,
    /// Made from a Windows image, of which nearly all are for one architecture.
    pub is_windows: bool,
}

impl Place {
    /// What names one architecture in it is no fault.
    pub fn is_one_architectures(&self) -> bool {
        self.chosen_for.is_some() || self.is_windows
    }
}

#[derive(Debug)]
pub struct Flow {
    pub final_stage: usize,
    /// One for each stage.
    pub places: Vec<Place>,
}

impl Flow {
    /// `target` is the stage that is built; unknown or absent means the last.
    pub fn of(file: &Dockerfile<'_>, target: Option<&str>) -> Flow {
        let count = file.stages.len();
        let final_stage = target.and_then(|name| file.stage_named(name, count)).unwrap_or(count - 1);
        let chooses = chooses_stage_by_target(file);
        let mut places: Vec<Place> = Vec::new();
        for (at, stage) in file.stages.iter().enumerate() {
            let own = machine_of(file, stage);
            let inherited = stage.parent.map(|parent| places[parent].machine.clone());
            places.push(Place {
                machine: inherited.unwrap_or(own),
                reaches_final: false,
                knows_target: file.lineage(at).any(|stage| asks_for_target(file, stage)),
                chosen_for: chooses.then(|| arch_in_name(stage)).flatten(),
                named_for: arch_in_name(stage),
                is_windows: is_windows(file, at),
            });
        }
        let mut flow = Flow { final_stage, places };
        flow.mark(file, final_stage);
        flow
    }

    fn mark(&mut self, file: &Dockerfile<'_>, stage: usize) {
        if std::mem::replace(&mut self.places[stage].reaches_final, true) {
            return;
        }
        let copied = sources_of(file, stage);
        for source in copied.into_iter().chain(file.stages[stage].parent) {
            self.mark(file, source);
        }
        // A name with a variable may mean any of the stages that are there to be chosen.
        for at in 0..stage {
            if self.places[at].chosen_for.is_some() {
                self.mark(file, at);
            }
        }
    }
}

/// The stages that a stage copies from or mounts.
fn sources_of(file: &Dockerfile<'_>, stage: usize) -> Vec<usize> {
    let steps = file.stages[stage].steps.iter();
    let options = steps.flat_map(|step| &step.options);
    let names = options.filter_map(|option| match option.name.as_str() {
        "from" => Some(option.value.as_str()),
        "mount" => option.value.split(',').find_map(|part| part.strip_prefix("from=")),
        _ => None,
    });
    names.filter_map(|name| file.stage_named(name, stage)).collect()
}

/// Source: Microsoft's container base images.
fn is_windows(file: &Dockerfile<'_>, stage: usize) -> bool {
    let globals = file.global_variables();
    let root = file.lineage(stage).last().map_or("", |root| root.image.text.as_str());
    let image = dockerfile::expand(root, &globals).0.to_ascii_lowercase();
    ["/windows", "nanoserver", "servercore", "windowsservercore"].iter().any(|name| image.contains(name))
}

fn machine_of(file: &Dockerfile<'_>, stage: &Stage) -> Machine {
    let Some(option) = &stage.platform else { return Machine::Target };
    let (value, _) = dockerfile::expand(&option.value, &file.global_variables());
    if dockerfile::references(&value).iter().any(|(_, reference)| reference.name.starts_with("BUILD")) {
        return Machine::Builder;
    }
    Platform::parse(&value).map_or(Machine::Target, Machine::Constant)
}

/// A stage cross-compiles where it mentions what it builds for, or uses the xx helpers.
fn asks_for_target(file: &Dockerfile<'_>, stage: &Stage) -> bool {
    stage.steps.iter().any(|step| {
        let text = &file.text[step.span.clone()];
        let mentions =
            ["TARGETARCH", "TARGETPLATFORM", "TARGETOS", "TARGETVARIANT"].iter().any(|name| text.contains(name));
        let uses_xx = match &step.kind {
            StepKind::Run(run) => run.commands.iter().any(|c| c.words.iter().any(|w| w.text.starts_with("xx-"))),
            _ => false,
        };
        mentions || uses_xx
    })
}

/// Whether a FROM or a `--from` names a stage by TARGETARCH: `FROM base-${TARGETARCH}`.
fn chooses_stage_by_target(file: &Dockerfile<'_>) -> bool {
    let names = file.stages.iter().map(|stage| stage.image.text.as_str());
    let options = file.stages.iter().flat_map(|stage| &stage.steps).flat_map(|step| &step.options);
    let copied = options.filter(|option| option.name == "from" || option.name == "mount").map(|o| o.value.as_str());
    names.chain(copied).any(|name| name.contains("TARGETARCH") || name.contains("TARGETPLATFORM"))
}

fn arch_in_name(stage: &Stage) -> Option<Arch> {
    let name = stage.name.as_deref()?;
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or(name);
    token::find(name).last().map(|token| token.arch).or_else(|| Arch::parse(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(Machine, bool, bool)]) {
        let file = Dockerfile::parse(text).unwrap();
        let places = Flow::of(&file, None).places;
        let shown: Vec<_> = places.into_iter().map(|p| (p.machine, p.reaches_final, p.knows_target)).collect();
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_stage_runs_where_its_root_says() {
        let amd64 = Machine::Constant(Platform::parse("linux/amd64").unwrap());
        check(
            "FROM --platform=$BUILDPLATFORM a AS b\nFROM b AS c\nFROM d\nCOPY --from=c x y\n",
            &[(Machine::Builder, true, false), (Machine::Builder, true, false), (Machine::Target, true, false)],
        );
        check("ARG P=linux/amd64\nFROM --platform=$P a\n", &[(amd64, true, false)]);
        check("FROM --platform=linux/${TARGETARCH} a\n", &[(Machine::Target, true, false)]);
        check("FROM --platform=${BUILDPLATFORM:-linux/amd64} a\n", &[(Machine::Builder, true, false)]);
        check("FROM --platform=${TARGETPLATFORM:-linux/amd64} a\n", &[(Machine::Target, true, false)]);
    }

    #[test]
    fn a_stage_that_nothing_takes_from_does_not_reach_the_image() {
        check(
            "FROM a AS t\nRUN xx-go build\nFROM b AS m\nFROM c\nRUN --mount=type=bind,from=m x\n",
            &[(Machine::Target, false, true), (Machine::Target, true, false), (Machine::Target, true, false)],
        );
    }

    #[test]
    fn stages_named_for_architectures_are_a_choice() {
        let file = Dockerfile::parse("FROM a AS base-amd64\nFROM b AS base-arm64\nFROM base-${TARGETARCH}\n").unwrap();
        let flow = Flow::of(&file, None);
        assert_eq!(flow.places[0].chosen_for, Some(Arch::Amd64));
        assert!(flow.places[1].reaches_final);
        assert_eq!(Flow::of(&file, Some("base-arm64")).final_stage, 1);
    }
}
