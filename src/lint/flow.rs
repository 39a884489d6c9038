//! Determines the platform that each stage of a Dockerfile runs on, and the stages that reach the final image.

use std::collections::BTreeSet;

use super::compilers;
use super::dockerfile::{self, BuildStage, Dockerfile, StepKind};
use super::shell::PlainWord;
use crate::platform::{Arch, Platform, word as token};

/// The platform of a stage's RUN steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildMachine {
    /// The target platform.
    Target,
    /// `$BUILDPLATFORM`.
    Builder,
    /// A constant platform, regardless of the target.
    Constant(Platform),
}

/// The role of a stage in the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePlace {
    pub machine: BuildMachine,
    /// Whether the final stage is made from it or copies from it, directly or through other stages.
    pub reaches_final: bool,
    /// The final stage is this one or is made from it.
    pub is_in_final_image: bool,
    /// It reaches the final stage only through stages that are chosen for this architecture.
    pub reaches_through: Option<Arch>,
    /// Whether it or an ancestor uses the target platform.
    pub knows_target: bool,
    /// The architecture in its name, if a FROM or a COPY chooses among such stages by TARGETARCH.
    pub chosen_for: Option<Arch>,
    /// The architecture in its name. Constants for this architecture are intended.
    pub named_for: Option<Arch>,
    /// Made from a Windows image. Nearly all of these are for one architecture.
    pub is_windows: bool,
    /// Architectures for which it or an ancestor has a cross compiler or foreign packages.
    pub cross: Vec<Arch>,
    /// It compiles nothing, and other stages copy only files without machine code from it.
    pub gives_data_only: bool,
}

impl StagePlace {
    /// Whether the stage is for one architecture, so that it may name it.
    pub fn is_one_architectures(&self) -> bool {
        self.chosen_for.is_some() || self.is_windows
    }
}

#[derive(Debug)]
pub struct StageFlow {
    pub final_stage: usize,
    /// One entry per stage.
    pub places: Vec<StagePlace>,
}

impl StageFlow {
    /// `target` is the stage to build. If it is unknown or absent, the last stage is built.
    pub fn from_dockerfile(file: &Dockerfile<'_>, target: Option<&str>) -> StageFlow {
        let count = file.stages.len();
        let final_stage = target.and_then(|name| file.stage_named(name, count)).unwrap_or(count - 1);
        let chooses = chooses_stage_by_target(file);
        let mut places: Vec<StagePlace> = Vec::new();
        for (at, stage) in file.stages.iter().enumerate() {
            let has_foreign = file.lineage(at).any(|stage| adds_architecture(file, stage));
            let own = machine_of(file, stage);
            let inherited = stage.parent.map(|parent| places[parent].machine.clone());
            places.push(StagePlace {
                machine: inherited.unwrap_or(own),
                reaches_final: false,
                is_in_final_image: file.lineage_indices(final_stage).any(|stage| stage == at),
                reaches_through: None,
                knows_target: file.lineage(at).any(|stage| asks_for_target(file, stage)),
                chosen_for: chooses.then(|| arch_in_name(stage)).flatten(),
                named_for: arch_in_name(stage),
                is_windows: is_windows(file, at) || is_for_windows(&machine_of(file, stage)),
                cross: file.lineage(at).flat_map(|stage| cross_architectures(file, stage, has_foreign)).collect(),
                gives_data_only: false,
            });
        }
        let mut flow = StageFlow { final_stage, places };
        let mut reached = vec![Reached::default(); count];
        mark(file, &flow.places, final_stage, None, &mut reached);
        for (place, reached) in flow.places.iter_mut().zip(&reached) {
            place.reaches_final = reached.is_plain || !reached.through.is_empty();
            let one = reached.through.first().copied().filter(|_| reached.through.len() == 1);
            place.reaches_through = one.filter(|_| !reached.is_plain);
        }
        for at in 0..count {
            flow.places[at].gives_data_only = flow.gives_data_only(file, at);
        }
        flow
    }

    /// Whether the final stage is this stage or is made from it.
    pub fn is_in_final_image(&self, file: &Dockerfile<'_>, stage: usize) -> bool {
        std::iter::successors(Some(self.final_stage), |at| file.stages[*at].parent).any(|at| at == stage)
    }

    /// Whether a stage, or every stage that takes from it, is named for an architecture, so that it may name it. The final
    /// image is for every platform, unless there is a stage that is named for another architecture.
    pub fn is_named_for(&self, stage: usize, arch: Arch) -> bool {
        let is_one_of_several = || self.places.iter().filter_map(|place| place.named_for).any(|other| other != arch);
        let place = &self.places[stage];
        let is_named = place.named_for == Some(arch) && (!place.is_in_final_image || is_one_of_several());
        is_named || place.reaches_through == Some(arch)
    }

    fn gives_data_only(&self, file: &Dockerfile<'_>, at: usize) -> bool {
        if self.is_in_final_image(file, at) || file.lineage(at).any(makes_machine_code) {
            return false;
        }
        let is_taken = |copied: &Copied<'_>| copied.stage == at;
        let consumers = (0..file.stages.len()).filter(|other| self.places[*other].reaches_final);
        let mut copied = consumers.clone().flat_map(|other| copies_of(file, other)).filter(is_taken).peekable();
        let is_base = consumers.into_iter().any(|other| file.stages[other].parent == Some(at));
        copied.peek().is_some()
            && !is_base
            && copied.all(|copied| copied.paths.is_some_and(|paths| paths.iter().all(is_data)))
    }
}

/// How a stage reaches the final one.
#[derive(Clone, Default)]
struct Reached {
    /// Through stages for every platform.
    is_plain: bool,
    /// Through stages that are chosen for these architectures.
    through: BTreeSet<Arch>,
}

fn mark(file: &Dockerfile<'_>, places: &[StagePlace], stage: usize, through: Option<Arch>, reached: &mut [Reached]) {
    let through = places[stage].chosen_for.or(through);
    let is_new = match through {
        Some(arch) => reached[stage].through.insert(arch),
        None => !std::mem::replace(&mut reached[stage].is_plain, true),
    };
    if !is_new {
        return;
    }
    for source in sources_of(file, stage).into_iter().chain(file.stages[stage].parent) {
        mark(file, places, source, through, reached);
    }
    // A name with a variable may select any of the stages that are named for an architecture.
    for at in (0..stage).filter(|at| places[*at].chosen_for.is_some()) {
        mark(file, places, at, through, reached);
    }
}

/// The files that a stage copies from an earlier one.
struct Copied<'f> {
    stage: usize,
    /// `None` for a mount, which contains everything.
    paths: Option<&'f [PlainWord]>,
}

fn copies_of<'f>(file: &'f Dockerfile<'_>, stage: usize) -> Vec<Copied<'f>> {
    let mut copies = Vec::new();
    for step in &file.stages[stage].steps {
        for option in &step.options {
            let (name, paths) = match (option.name.as_str(), &step.kind) {
                ("from", StepKind::Copy { sources, .. }) => (option.value.as_str(), Some(sources.as_slice())),
                ("mount", _) => match option.value.split(',').find_map(|part| part.strip_prefix("from=")) {
                    Some(name) => (name, None),
                    None => continue,
                },
                _ => continue,
            };
            copies.extend(file.stage_named(name, stage).map(|stage| Copied { stage, paths }));
        }
    }
    copies
}

/// Extensions of files that are the same for every architecture.
const DATA_ENDINGS: &[&str] = &[
    ".jar", ".war", ".ear", ".dll", ".js", ".css", ".html", ".json", ".txt", ".md", ".pem", ".crt", ".yml", ".yaml",
    ".xml", ".php", ".py", ".rb", ".sh", ".conf", ".sql", ".svg", ".png", ".wasm", ".map", ".proto", ".ini", ".toml",
];
/// Directories of files that are the same for every architecture.
const DATA_DIRECTORIES: &[&str] = &[
    "dist",
    "build",
    "public",
    "static",
    "html",
    "site",
    "_site",
    "www",
    "wwwroot",
    "htdocs",
    "assets",
    "docs",
    "doc",
    "locale",
    "locales",
    "templates",
    "out",
    "ui",
    "web",
    "frontend",
    "client",
    "fonts",
    "certs",
    "zoneinfo",
    "licenses",
    "build-resources",
    "storybook-static",
    "webapp",
];

/// Whether a copied path contains no machine code, according to its name.
fn is_data(path: &PlainWord) -> bool {
    let path = path.text.trim_end_matches(['/', '*', '.']).to_ascii_lowercase();
    let parts: Vec<&str> = path.split('/').collect();
    let has_programs = parts.iter().any(|part| ["bin", "sbin", "lib", "lib64", "node_modules"].contains(part));
    let is_data = DATA_ENDINGS.iter().any(|ending| path.ends_with(ending))
        || parts.iter().any(|part| DATA_DIRECTORIES.contains(part));
    is_data && !has_programs
}

fn makes_machine_code(stage: &BuildStage) -> bool {
    let runs = stage.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Run(run) => Some(&run.commands),
        _ => None,
    });
    runs.flatten().any(|command| compilers::compiler_of(command).is_some())
}

/// Returns the architectures of packages and programs of cross compilers: `gcc-aarch64-linux-gnu`,
/// `crossbuild-essential-arm64`, `libc6-dev-armhf-cross`, `zlib1g-dev:arm64`, `riscv64-linux-gnu-gcc`,
/// `dpkg --add-architecture i386`. Without foreign packages, `zlib1g-dev:amd64` is the native one of most machines.
/// Source: Debian's cross toolchain packages.
fn cross_architectures(file: &Dockerfile<'_>, stage: &BuildStage, has_foreign: bool) -> Vec<Arch> {
    const PACKAGES: &[&str] =
        &["gcc-", "g++-", "gfortran-", "binutils-", "cpp-", "crossbuild-essential-", "clang-", "gdb-"];
    const TOOLS: &[&str] = &["-gcc", "-g++", "-cc", "-c++", "-ld", "-ar", "-strip", "-cross", "-clang", "-as"];
    let mut found = Vec::new();
    for step in &stage.steps {
        if !matches!(step.kind, StepKind::Run(_) | StepKind::Env(_) | StepKind::Arg(_)) {
            continue;
        }
        let text = &file.text[step.span.clone()];
        let mut is_added = false;
        for word in
            text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | ';' | '&' | '|' | '(' | ')'))
        {
            let name = word.rsplit('/').next().unwrap_or(word);
            let is_package = PACKAGES.iter().any(|prefix| name.starts_with(prefix));
            let is_tool = TOOLS.iter().any(|suffix| name.ends_with(suffix));
            let arch = match name.rsplit_once(':') {
                _ if is_added => Arch::parse(name),
                Some((package, arch)) if !package.is_empty() && !word.contains('/') => {
                    Arch::parse(arch).filter(|arch| has_foreign || *arch != Arch::Amd64)
                }
                _ if is_package || is_tool => token::find(name).first().map(|token| token.arch),
                _ => None,
            };
            is_added = word == "--add-architecture";
            found.extend(arch);
        }
    }
    found
}

/// Whether a stage adds an architecture to dpkg's, from which apt then installs packages.
pub fn adds_architecture(file: &Dockerfile<'_>, stage: &BuildStage) -> bool {
    stage.steps.iter().any(|step| file.text[step.span.clone()].contains("--add-architecture"))
}

/// Returns the paths that other stages copy from `stage`. `None` if some are unknown, because of a mount, a variable in
/// a path, or a stage made from it.
pub fn copied_paths<'f>(file: &'f Dockerfile<'_>, stage: usize) -> Option<Vec<&'f str>> {
    let mut paths = Vec::new();
    for (other, one) in file.stages.iter().enumerate() {
        if one.parent == Some(stage) {
            return None;
        }
        for copied in copies_of(file, other).into_iter().filter(|copied| copied.stage == stage) {
            paths.extend(copied.paths?.iter().map(|path| path.text.as_str()));
        }
    }
    let is_known = |path: &&str| !path.contains(['$', '*', '?', '[']) && !path.ends_with('/');
    paths.iter().all(is_known).then_some(paths)
}

/// Whether a stage for the target copies files from `stage`, or from a stage made from it.
pub fn feeds_target(file: &Dockerfile<'_>, flow: &StageFlow, stage: usize) -> bool {
    let is_made_from_it = |source: usize| file.lineage_indices(source).any(|at| at == stage);
    // Programs for Windows are taken from a stage on Linux only if it cross-compiles.
    let is_target = |at: &usize| flow.places[*at].machine == BuildMachine::Target && !flow.places[*at].is_windows;
    let targets = (0..file.stages.len()).filter(is_target);
    targets.flat_map(|at| copies_of(file, at)).any(|copied| is_made_from_it(copied.stage))
        || is_made_from_it(flow.final_stage)
}

/// Returns the stages that a stage copies from or mounts.
fn sources_of(file: &Dockerfile<'_>, stage: usize) -> Vec<usize> {
    copies_of(file, stage).into_iter().map(|copied| copied.stage).collect()
}

/// Source: Microsoft's container base images.
fn is_windows(file: &Dockerfile<'_>, stage: usize) -> bool {
    let globals = file.global_variables();
    let root = file.lineage(stage).last().map_or("", |root| root.image.text.as_str());
    let image = dockerfile::expand(root, &globals).0.to_ascii_lowercase();
    ["/windows", "nanoserver", "servercore", "windowsservercore"].iter().any(|name| image.contains(name))
}

fn machine_of(file: &Dockerfile<'_>, stage: &BuildStage) -> BuildMachine {
    let Some(option) = &stage.platform else { return BuildMachine::Target };
    let (value, _) = dockerfile::expand(&option.value, &file.global_variables());
    if dockerfile::references(&value).iter().any(|(_, reference)| dockerfile::is_automatic(reference.name, "BUILD")) {
        return BuildMachine::Builder;
    }
    Platform::parse(&value).map_or(BuildMachine::Target, BuildMachine::Constant)
}

fn is_for_windows(machine: &BuildMachine) -> bool {
    match machine {
        BuildMachine::Constant(platform) => platform.os == "windows",
        BuildMachine::Target | BuildMachine::Builder => false,
    }
}

/// A stage cross-compiles where it mentions what it builds for, or uses the xx helpers.
fn asks_for_target(file: &Dockerfile<'_>, stage: &BuildStage) -> bool {
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

fn arch_in_name(stage: &BuildStage) -> Option<Arch> {
    let name = stage.name.as_deref()?;
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or(name);
    let is_amd = name.split(['-', '_', '.']).any(|part| part.eq_ignore_ascii_case("amd"));
    let found = token::find(name).last().map(|token| token.arch).or_else(|| Arch::parse(last));
    found.or(is_amd.then_some(Arch::Amd64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(BuildMachine, bool, bool)]) {
        let file = Dockerfile::parse(text).unwrap();
        let places = StageFlow::from_dockerfile(&file, None).places;
        let shown: Vec<_> = places.into_iter().map(|p| (p.machine, p.reaches_final, p.knows_target)).collect();
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_stage_runs_on_the_platform_of_its_root() {
        let amd64 = BuildMachine::Constant(Platform::parse("linux/amd64").unwrap());
        check(
            "FROM --platform=$BUILDPLATFORM a AS b\nFROM b AS c\nFROM d\nCOPY --from=c x y\n",
            &[
                (BuildMachine::Builder, true, false),
                (BuildMachine::Builder, true, false),
                (BuildMachine::Target, true, false),
            ],
        );
        check("ARG P=linux/amd64\nFROM --platform=$P a\n", &[(amd64, true, false)]);
        check("FROM --platform=linux/${TARGETARCH} a\n", &[(BuildMachine::Target, true, false)]);
        check("FROM --platform=${BUILDPLATFORM:-linux/amd64} a\n", &[(BuildMachine::Builder, true, false)]);
        check("FROM --platform=${TARGETPLATFORM:-linux/amd64} a\n", &[(BuildMachine::Target, true, false)]);
    }

    #[test]
    fn a_stage_that_nothing_takes_from_does_not_reach_the_image() {
        check(
            "FROM a AS t\nRUN xx-go build\nFROM b AS m\nFROM c\nRUN --mount=type=bind,from=m x\n",
            &[
                (BuildMachine::Target, false, true),
                (BuildMachine::Target, true, false),
                (BuildMachine::Target, true, false),
            ],
        );
    }

    #[test]
    fn stages_named_for_architectures_are_a_choice() {
        let file = Dockerfile::parse("FROM a AS base-amd64\nFROM b AS base-arm64\nFROM base-${TARGETARCH}\n").unwrap();
        let flow = StageFlow::from_dockerfile(&file, None);
        assert_eq!(flow.places[0].chosen_for, Some(Arch::Amd64));
        assert!(flow.places[1].reaches_final);
        assert_eq!(StageFlow::from_dockerfile(&file, Some("base-arm64")).final_stage, 1);
    }
}
