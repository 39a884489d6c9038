//! Rules about FROM: the platform of a stage, its base image, and the files that the final stage copies from stages on
//! the build machine.

use super::compilers::{NativeGoBuild, has_target_variable, native_compiler_of, native_go_build};
use super::dockerfile::{self, BuildStage, BuildVariable, Dockerfile, StepKind};
use super::finding::{Edit, LintFinding, Safety};
use super::flow::{self, BuildMachine, StageFlow};
use super::outside::Outside;
use super::rule::{RuleName, Severity};
use super::shell::PlainWord;
use crate::platform::arch::ARCHES;
use crate::platform::{Arch, word as token};

/// Docker Hub organizations with builds of the official images for one architecture.
/// Source: docker-library/official-images, "Architectures other than amd64?".
const SINGLE_ARCH_OWNERS: &[&str] =
    &["amd64", "i386", "arm32v5", "arm32v6", "arm32v7", "arm64v8", "ppc64le", "s390x", "riscv64", "mips64le"];

pub fn check(file: &Dockerfile<'_>, flow: &StageFlow, outside: &Outside<'_>) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        if flow.places[at].is_one_architectures() {
            continue;
        }
        findings.extend(platform_flag(file, flow, outside, at, stage));
        findings.extend(single_arch_base(file, flow, outside, at, stage));
        findings.extend(native_build(file, flow, at, stage));
        findings.extend(copied_images(file, flow, at, stage));
    }
    findings
}

fn platform_flag(
    file: &Dockerfile<'_>,
    flow: &StageFlow,
    outside: &Outside<'_>,
    at: usize,
    stage: &BuildStage,
) -> Option<LintFinding> {
    let Some(option) = &stage.platform else { return inherited_build_platform(file, flow, at, stage) };
    let is_final = flow.is_in_final_image(file, at);
    let globals = file.global_variables();
    let (_, used) = dockerfile::expand(&option.value, &globals);
    // The build may pass a different value for each platform.
    if used.iter().any(|variable| (outside.passes)(&variable.name)) {
        return None;
    }
    let without_flag = Edit::delete(option.span.start..next_word(file.text, option.span.end));
    match &flow.places[at].machine {
        BuildMachine::Builder if at == flow.final_stage => Some(
            LintFinding::new(
                RuleName::FinalStageOnBuildPlatform,
                option.span.clone(),
                "the final stage is built for the build machine's platform, not for the target's",
                "every platform gets the build machine's programs",
            )
            .weighing(severity_of_final(file, at))
            .fix("build the final stage for the target", Safety::Safe, vec![without_flag]),
        ),
        // Its files are for another operating system, so no node runs them.
        BuildMachine::Constant(platform) if !is_final && platform.os != "linux" => None,
        // Like BuildKit, assume that a stage named for its platform is one of several.
        BuildMachine::Constant(platform) if platform.arch().is_some_and(|arch| flow.is_named_for(at, arch)) => None,
        BuildMachine::Constant(platform) => {
            let place = &flow.places[at];
            let (message, severity) = match is_final {
                true => (format!("the final stage is {platform} in every platform's image"), Severity::Error),
                false if place.gives_data_only => {
                    (format!("this stage is {platform} in every platform's build"), Severity::Note)
                }
                false if gives_programs(file, flow, at) && flow::feeds_target(file, flow, at) => (
                    format!("this stage is {platform}, and every platform's image takes its programs"),
                    Severity::Error,
                ),
                false => (format!("this stage is {platform} in every platform's build"), Severity::Warning),
            };
            let finding = LintFinding::new(
                RuleName::FromPlatformConstant,
                option.span.clone(),
                message,
                format!("always {platform}"),
            );
            let finding = with_origins(finding.weighing(severity).right_for(platform.arch()), &used);
            Some(match is_final {
                true => finding.fix("build the final stage for the target", Safety::Unsafe, vec![without_flag]),
                false => finding.fix(
                    "run the stage on the build machine, and cross-compile",
                    Safety::Unsafe,
                    vec![Edit::replace(option.value_span.clone(), "$BUILDPLATFORM")],
                ),
            })
        }
        BuildMachine::Target if matches!(option.value.as_str(), "$TARGETPLATFORM" | "${TARGETPLATFORM}") => Some(
            LintFinding::new(
                RuleName::RedundantTargetPlatform,
                option.span.clone(),
                "a stage is built for the target platform without this flag",
                "the default",
            )
            .fix("remove the flag", Safety::Safe, vec![without_flag]),
        ),
        BuildMachine::Builder | BuildMachine::Target => None,
    }
}

/// `FROM builder AS final`, where `builder` is built for the build machine's platform.
fn inherited_build_platform(
    file: &Dockerfile<'_>,
    flow: &StageFlow,
    at: usize,
    stage: &BuildStage,
) -> Option<LintFinding> {
    if at != flow.final_stage || flow.places[at].machine != BuildMachine::Builder {
        return None;
    }
    let option = file.lineage(at).find_map(|stage| stage.platform.as_ref())?;
    let without_flag = Edit::delete(option.span.start..next_word(file.text, option.span.end));
    let message =
        format!("the final stage is made from {}, which is built for the build machine's platform", stage.image.text);
    Some(
        LintFinding::new(
            RuleName::FinalStageOnBuildPlatform,
            stage.image.span.clone(),
            message,
            "every platform gets the build machine's programs",
        )
        .weighing(severity_of_final(file, at))
        .related(option.span.clone(), "the platform that it inherits")
        .help("start the final stage from an image for the target platform, and copy the build results into it")
        .fix("build the stage for the target", Safety::Unsafe, vec![without_flag]),
    )
}

/// Returns the severity for a final stage. It is lower for stages that check a project or generate files, whose images
/// are not deployed, and for bases without machine code.
fn severity_of_final(file: &Dockerfile<'_>, at: usize) -> Severity {
    const WITHOUT_CODE: &[&str] = &["distroless/static", "scratch"];
    let is_without_code = |stage: &BuildStage| WITHOUT_CODE.iter().any(|base| stage.image.text.contains(base));
    let is_harmless = is_task(file, at) || file.lineage(at).last().is_some_and(is_without_code);
    if is_harmless { Severity::Warning } else { Severity::Error }
}

/// Whether a stage is named for a task of the project, such as its tests.
pub fn is_task(file: &Dockerfile<'_>, at: usize) -> bool {
    const TASKS: &[&str] = &[
        "lint", "test", "tests", "validate", "vendor", "check", "format", "fmt", "generate", "gen", "update", "verify",
        "coverage", "release", "cross",
    ];
    file.lineage(at).any(|stage| {
        let mut parts = stage.name.iter().flat_map(|name| name.split(['-', '_', '.']));
        parts.any(|part| TASKS.iter().any(|task| part.eq_ignore_ascii_case(task)))
    })
}

/// Whether other stages copy machine code for this stage's platform from it.
fn gives_programs(file: &Dockerfile<'_>, flow: &StageFlow, at: usize) -> bool {
    if flow.places[at].knows_target {
        return false;
    }
    let has_steps = file.lineage(at).any(|stage| stage.steps.iter().any(|step| matches!(step.kind, StepKind::Run(_))));
    // Without steps, the copied files come from the base image.
    compiled_in(file, at).is_some() || !has_steps
}

/// Adds the locations that set the variables of a value.
pub fn with_origins(finding: LintFinding, used: &[&BuildVariable]) -> LintFinding {
    used.iter().fold(finding, |finding, variable| match &variable.value {
        Some((value, span)) => finding.related(span.clone(), format!("{} is {value} by default", variable.name)),
        None => finding,
    })
}

fn next_word(text: &str, at: usize) -> usize {
    at + text[at..].len() - text[at..].trim_start_matches([' ', '\t']).len()
}

fn single_arch_base(
    file: &Dockerfile<'_>,
    flow: &StageFlow,
    outside: &Outside<'_>,
    at: usize,
    stage: &BuildStage,
) -> Option<LintFinding> {
    if stage.parent.is_some() {
        return None;
    }
    // A variable may complete the name of an earlier stage.
    let prefix = stage.image.text.split('$').next().unwrap_or("");
    let is_stage = |name: &str| stage.image.text.contains('$') && !prefix.is_empty() && name.starts_with(prefix);
    if file.stages[..at].iter().filter_map(|stage| stage.name.as_deref()).any(is_stage) {
        return None;
    }
    let globals = file.global_variables();
    let (image, used) = dockerfile::expand(&stage.image.text, &globals);
    // The build may pass a different value for each platform.
    if used.iter().any(|variable| (outside.passes)(&variable.name)) {
        return None;
    }
    let place = &flow.places[at];
    let severity = if place.reaches_final { Severity::Error } else { Severity::Warning };
    let finding = single_arch_image(&stage.image, &image, &used, severity)?;
    // A stage that is named for the architecture uses its image intentionally.
    let is_intended = finding.right_for.is_some_and(|arch| flow.is_named_for(at, arch));
    (!is_intended).then_some(finding)
}

/// `FROM base-${TARGETARCH}` where the file has `base-amd64`, and the project builds another platform, too.
pub fn missing(file: &Dockerfile<'_>, outside: &Outside<'_>) -> Vec<LintFinding> {
    let bases =
        file.stages.iter().enumerate().map(|(at, stage)| (at, stage.image.text.clone(), stage.image.span.clone()));
    let copied = file.stages.iter().enumerate().flat_map(|(at, stage)| {
        let options = stage.steps.iter().flat_map(|step| &step.options).filter(|option| option.name == "from");
        options.map(move |option| (at, option.value.clone(), option.value_span.clone()))
    });
    let mut findings: Vec<LintFinding> = Vec::new();
    for (at, text, span) in bases.chain(copied) {
        let name_for = |arch: &Arch| {
            let name = text.replace("${TARGETARCH}", arch.oci()).replace("$TARGETARCH", arch.oci());
            (name != text && !name.contains('$')).then_some(name)
        };
        let is_stage = |arch: &Arch| name_for(arch).is_some_and(|name| file.stage_named(&name, at).is_some());
        if !ARCHES.iter().any(|row| is_stage(&row.arch)) {
            continue;
        }
        let named = outside.platforms.iter().filter_map(|platform| platform.arch());
        let named = (outside.named_archs)().into_iter().chain(named);
        for arch in named.filter(|arch| !is_stage(arch)).collect::<std::collections::BTreeSet<Arch>>() {
            let Some(name) = name_for(&arch) else { continue };
            let message = format!("linux/{} is built, and there is no stage {name}", arch.oci());
            findings.push(LintFinding::new(
                RuleName::PlatformWithoutStage,
                span.clone(),
                message,
                "chosen by TARGETARCH",
            ));
        }
    }
    findings
}

/// Images, not stages, that COPY and RUN's mounts take files from.
fn copied_images(file: &Dockerfile<'_>, flow: &StageFlow, at: usize, stage: &BuildStage) -> Vec<LintFinding> {
    let globals = file.global_variables();
    let severity = if flow.places[at].reaches_final { Severity::Error } else { Severity::Warning };
    let options = stage.steps.iter().flat_map(|step| &step.options).filter(|option| option.name == "from");
    let images = options.filter(|option| file.stage_named(&option.value, at).is_none() && !option.value.contains('$'));
    images
        .filter_map(|option| {
            let word = PlainWord::literal(file.text, option.value_span.clone());
            let (image, used) = dockerfile::expand(&option.value, &globals);
            single_arch_image(&word, &image, &used, severity)
        })
        .collect()
}

/// Reports an image that is for one architecture according to its name. `image` is the expanded text of `word`.
pub fn single_arch_image(
    word: &PlainWord,
    image: &str,
    used: &[&BuildVariable],
    severity: Severity,
) -> Option<LintFinding> {
    let name = image.trim_start_matches("docker.io/");
    let Some((owner, rest)) = name.split_once('/').filter(|(owner, _)| SINGLE_ARCH_OWNERS.contains(owner)) else {
        return arch_in_tag(word, image, used);
    };
    let message = format!("{image} is for one architecture only");
    let finding = LintFinding::new(RuleName::SingleArchBase, word.span.clone(), message, format!("only {owner}"));
    let finding = with_origins(finding.weighing(severity).right_for(Arch::parse(owner)), used)
        .help(format!("use the multi-platform image {rest}"));
    let literal = format!("{owner}/");
    // The owner is in the word itself, or at the start of the variable that it refers to.
    let span = match (word.text.find(&literal), used) {
        (Some(start), _) => Some(word.source(start..start + literal.len())),
        (None, [BuildVariable { value: Some((value, span)), .. }]) if value.len() == span.len() => {
            value.find(&literal).map(|start| span.start + start..span.start + start + literal.len())
        }
        _ => None,
    };
    Some(match span {
        Some(span) => finding.fix("use the multi-platform image", Safety::Safe, vec![Edit::delete(span)]),
        None => finding,
    })
}

/// `alpine:3.20-amd64`, `example.com/app-arm64:1`: named for one architecture. Names of cross toolchains are intended.
fn arch_in_tag(word: &PlainWord, image: &str, used: &[&BuildVariable]) -> Option<LintFinding> {
    let last = image.rsplit('/').next().unwrap_or(image).split('@').next().unwrap_or_default();
    if image.contains("cross") {
        return None;
    }
    let found = token::find(last).into_iter().next()?;
    let arch = found.arch;
    let offset = image.find(last).unwrap_or(0);
    let spelled = &last[found.range.clone()];
    let message = format!("{image} is named for {arch}, and every platform gets it");
    let span = match word.text == image {
        true => word.source(offset + found.range.start..offset + found.range.end),
        false => word.span.clone(),
    };
    let finding = LintFinding::new(RuleName::SingleArchBase, span, message, format!("only {spelled}"))
        .weighing(Severity::Warning);
    let finding = finding.right_for(Some(arch));
    let finding = with_origins(finding, used);
    let in_tag = last.find(':').is_some_and(|colon| colon + 1 < found.range.start);
    let suffix = format!("-{spelled}");
    if in_tag && last.ends_with(&suffix) && word.text == image {
        let end = offset + last.len();
        let edit = Edit::delete(word.source(end - suffix.len()..end));
        return Some(finding.fix("use the multi-platform tag", Safety::Unsafe, vec![edit]));
    }
    Some(finding)
}

/// Directories in which package managers install native modules.
const NATIVE_DIRECTORIES: &[&str] =
    &["node_modules", "site-packages", "venv", "vendor/bundle", "dist-packages", ".local"];

/// Reports stages that compile on the build machine for it, if the target stage at `at` copies from them.
fn native_build(file: &Dockerfile<'_>, flow: &StageFlow, at: usize, stage: &BuildStage) -> Vec<LintFinding> {
    if flow.places[at].machine != BuildMachine::Target || !flow.places[at].reaches_final {
        return Vec::new();
    }
    let mut findings: Vec<LintFinding> = Vec::new();
    for step in &stage.steps {
        let Some(from) = step.options.iter().find(|option| option.name == "from") else { continue };
        let Some(source) = file.stage_named(&from.value, at) else { continue };
        let place = &flow.places[source];
        if place.machine != BuildMachine::Builder {
            continue;
        }
        let found = match place.knows_target {
            false => compiled_in(file, source).or_else(|| native_packages(file, source, &step.kind)),
            true => go_without_target(file, source, &step.kind),
        };
        let Some(finding) = found else { continue };
        let finding = finding.related(from.span.clone(), "the image gets its result here");
        if !findings.iter().any(|earlier| earlier.span == finding.span) {
            findings.push(finding);
        }
    }
    findings
}

/// Reports a `go build` without a target in a stage that uses the target platform.
fn go_without_target(file: &Dockerfile<'_>, source: usize, copy: &StepKind) -> Option<LintFinding> {
    let StepKind::Copy { sources, .. } = copy else { return None };
    let NativeGoBuild { command, is_set } = native_go_build(file, source, sources)?;
    let span = command.words.iter().find(|word| word.text.ends_with("go"))?.span.clone();
    let (message, help) = match is_set {
        true => (
            "GOARCH is not exported: go build compiles for the build machine",
            "write `export GOARCH=...`: a program sees only exported variables",
        ),
        false => (
            "go build compiles for the build machine, and every platform's image gets the result",
            "write GOARCH=$TARGETARCH before go build",
        ),
    };
    Some(
        LintFinding::new(RuleName::NativeBuildOnBuildPlatform, span, message, "compiles for $BUILDPLATFORM").help(help),
    )
}

fn compiled_in(file: &Dockerfile<'_>, source: usize) -> Option<LintFinding> {
    let steps = file.lineage(source).flat_map(|stage| &stage.steps);
    let runs = steps.filter_map(|step| match &step.kind {
        StepKind::Run(run) => Some((step, run)),
        _ => None,
    });
    let (step, run, command, shown) = runs
        .flat_map(|(step, run)| run.commands.iter().map(move |command| (step, run, command)))
        .filter(|(_, _, command)| !has_target_variable(file, source, command))
        .find_map(|(step, run, command)| native_compiler_of(command).map(|shown| (step, run, command, shown)))?;
    let program = command.words.iter().find(|word| shown.starts_with(word.text.rsplit('/').next().unwrap_or("")))?;
    let finding = LintFinding::new(
        RuleName::NativeBuildOnBuildPlatform,
        program.span.clone(),
        format!("{shown} compiles for the build machine, and every platform's image gets the result"),
        "compiles for $BUILDPLATFORM",
    );
    if program.text != "go" || run.prologue.is_none() {
        return Some(finding);
    }
    let declare = Edit::insert(step.span.start, "ARG TARGETOS TARGETARCH\n");
    let pass_on = Edit::insert(program.span.start, "GOOS=$TARGETOS GOARCH=$TARGETARCH ");
    Some(
        finding
            .help("set GOOS and GOARCH so that Go cross-compiles; cgo also needs a cross compiler (tonistiigi/xx provides them)")
            .fix("cross-compile for the target", Safety::Unsafe, vec![declare, pass_on]),
    )
}

/// `npm ci` on the build machine, and a copy of its node_modules, whose native modules are for the build machine.
fn native_packages(file: &Dockerfile<'_>, source: usize, copy: &StepKind) -> Option<LintFinding> {
    let StepKind::Copy { sources, .. } = copy else { return None };
    let takes_packages =
        sources.iter().any(|word| NATIVE_DIRECTORIES.iter().any(|directory| word.text.contains(directory)));
    if !takes_packages {
        return None;
    }
    let steps = file.lineage(source).flat_map(|stage| &stage.steps);
    let commands = steps.flat_map(|step| match &step.kind {
        StepKind::Run(run) => run.commands.as_slice(),
        _ => &[],
    });
    let command = commands.into_iter().find(|command| {
        let installs = ["install", "ci", "i", "add", "sync"].iter().any(|verb| command.has(verb));
        let is_script_only = command.has("--ignore-scripts");
        let managers = ["npm", "yarn", "pnpm", "pip", "pip3", "poetry", "uv", "bundle", "bun"];
        managers.contains(&command.program()) && (installs || command.program() == "yarn") && !is_script_only
    })?;
    let span = command.words.first()?.span.start..command.words.last()?.span.end;
    let message = format!(
        "{} installs the build machine's native modules, and every platform's image gets them",
        command.program()
    );
    Some(
        LintFinding::new(RuleName::NativeBuildOnBuildPlatform, span, message, "installs for $BUILDPLATFORM")
            .weighing(Severity::Warning)
            .help("install production packages in a stage for the target platform (without --platform), or use packages without native modules"),
    )
}
