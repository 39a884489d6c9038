//! `imgarch rebuild`: scans, plans and asks for confirmation. [`mod@crate::rebuild::run`] carries out the plans.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::composed::{self, Job};
use super::outputs::AnswerFormat;
use super::progress::Progress;
use super::settings::{ConfigArgs, Settings, Typed};
use super::terminal::tell;
use super::{CliError, Environment, Terminal, attest, interrupt, opening, targets};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::rebuild::plan::{BuildSettings, Delivery, Doubt, Plan, Request, Scans, Supply};
use crate::rebuild::published::Published;
use crate::rebuild::run::{Backend, Cause};
use crate::rebuild::{
    self, BakeChoice, Done, RebuildError, RecipeError, RecipeRequest, RegistryError, RegistryTag, ThisMachine, Tool,
    survey_this_machine,
};
use crate::report::attest::PREDICATE_TYPE;
use crate::report::rebuild as report;
use crate::scan::{self, Options, Watch};
use crate::source::{ImageRef, Origin, Transport};

/// What to rebuild, and from which sources.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Arguments after -- go to the build command: cache, build arguments, secrets, contexts, --target, and
buildx's --builder.

Examples:
  imgarch rebuild user/app:v1.0.2
  imgarch rebuild user/app:v1.0.2 --platform linux/arm64 --dry-run
  imgarch rebuild ghcr.io/user/app:v1 --yes -- --build-arg VERSION=1 --secret id=token,env=TOKEN
  imgarch rebuild user/app:v1 --bake docker-bake.hcl
  imgarch rebuild user/app:v1 --bake app -- --file docker-bake.hcl --set '*.args.VERSION=1'
  imgarch rebuild user/app:v1 --platform linux/arm64 --output layout
  imgarch rebuild user/app:v1 --also-tag latest --also-tag v1.0
  imgarch rebuild user/app:v1 --layout arm64.tar --layout build/riscv64
  imgarch rebuild user/app:v1 --with podman
  imgarch rebuild -f compose.yaml --dry-run
  imgarch rebuild user/app:v1 --join sha256:...")]
pub struct RebuildArgs {
    /// Tag to repair [default: with a Compose file or a manifest, every image in it that is built].
    #[arg(required_unless_present = "file")]
    image: Option<String>,
    /// Build context: a directory, or a URL that buildx accepts [default: the bake file's, or the working directory].
    #[arg(long, value_name = "DIR")]
    context: Option<String>,
    /// Dockerfile [default: the one in the context]. Or a Compose file, or a Kubernetes manifest whose images a Compose
    /// file builds; these are repeatable.
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Program that builds: docker (with buildx), podman or buildah [default: docker, or podman or buildah if docker is
    /// not installed].
    #[arg(long, value_name = "TOOL", value_parser = Tool::parse)]
    with: Option<Tool>,
    /// Build with a bake file: the file, whose target with the image's tag is built, or the name of a target.
    #[arg(long, value_name = "FILE|TARGET", conflicts_with = "file")]
    bake: Option<String>,
    /// Rebuild only this platform, if it is missing or broken; repeatable.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<String>,
    /// Node that the image must run on, as for `imgarch scan`; repeatable.
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// Also move this tag of the repository; repeatable.
    #[arg(long, value_name = "TAG")]
    also_tag: Vec<String>,
    /// Move every tag of the repository that points to the same index.
    #[arg(long, conflicts_with = "also_tag")]
    all_tags: bool,
    /// Exit with 0 even if a platform that was not requested is still broken.
    #[arg(long)]
    only: bool,
    /// Merge the platforms of this OCI layout or image archive, built with another tool, instead of building;
    /// repeatable.
    #[arg(long, value_name = "DIR|ARCHIVE", num_args = 1.., conflicts_with_all = ["bake", "file", "context", "output"])]
    layout: Vec<String>,
    /// Merge a manifest or index that is already in the repository instead of building; repeatable.
    #[arg(long, value_name = "DIGEST", num_args = 1.., conflicts_with_all = ["bake", "file", "context", "output"])]
    join: Vec<String>,
    /// Show the plan and stop.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation, for example in CI.
    #[arg(long, short)]
    yes: bool,
    /// Build even if the Dockerfile would cause the same problem again.
    #[arg(long)]
    despite_lint: bool,
    /// Write the build to an OCI layout in this directory, which must be empty or missing, and push nothing.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
    format: AnswerFormat,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    sources: opening::SourceArgs,
    /// Options for the build command, such as docker buildx build.
    #[arg(last = true, value_name = "BUILD OPTION")]
    extra: Vec<String>,
}

fn unknown(text: impl Into<String>) -> CliError {
    CliError::Unknown { text: text.into(), hint: None }
}

/// A plan that is ready to be carried out.
struct Prepared {
    registry: RegistryTag,
    plan: Plan,
    report: Option<scan::Report>,
    /// Kept until the run is over.
    _work: interrupt::TemporaryDirectory,
}

/// What to do with a plan.
enum Decision {
    CarryOut,
    /// There is nothing to do, or the user only wants to see the plan.
    End(u8),
    /// The Dockerfile would cause the same fault again.
    Stopped,
}

pub fn run(
    args: &RebuildArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let tool = args.with.unwrap_or_else(|| rebuild::detect(&ThisMachine));
    let is_text = args.format == AnswerFormat::Text;
    let (jobs, is_one) = jobs(args, tool, environment, terminal)?;
    let interrupted: Arc<AtomicBool> = Arc::default();
    let prepare = |job: &Job| prepare(args, job, tool, &interrupted, environment, terminal);
    let prepared = jobs.iter().map(prepare).collect::<Result<Vec<Prepared>, CliError>>()?;
    if is_text {
        for one in &prepared {
            report::plan_text(&one.plan, out)?;
        }
        out.flush()?;
    }
    // Either all plans can be carried out, or none is.
    let decisions = prepared.iter().map(|one| one.decide(args)).collect::<Result<Vec<Decision>, CliError>>();
    let is_ready = decisions.as_ref().is_ok_and(|all| all.iter().any(|one| matches!(one, Decision::CarryOut)));
    if is_ready {
        confirm(args)?;
        interrupt::handle_first(&interrupted)?;
    } else if !is_text && (decisions.is_ok() || args.dry_run) {
        write_json(&prepared, &[], is_one, out)?;
    }
    let mut codes = Vec::new();
    let mut results: Vec<Option<Result<Done, RebuildError>>> = Vec::new();
    for (one, decision) in prepared.iter().zip(decisions?) {
        let result = match decision {
            Decision::End(code) => Err(code),
            Decision::Stopped if is_text => {
                report::stopped_text(&one.plan, out)?;
                Err(1)
            }
            Decision::Stopped => Err(1),
            Decision::CarryOut if one.registry.is_interrupted() => Err(3),
            Decision::CarryOut => Ok(rebuild::run(&one.plan, &ThisMachine, &one.registry)),
        };
        match &result {
            Ok(result) => codes.push(finish(args, &one.plan, result, out)?),
            Err(code) => codes.push(*code),
        }
        results.push(result.ok());
    }
    if !is_text && is_ready {
        write_json(&prepared, &results, is_one, out)?;
    }
    // As for a scan, a finding takes precedence over an unknown.
    Ok(if codes.contains(&1) { 1 } else { codes.into_iter().max().unwrap_or(0) })
}

/// Returns the image that the arguments name, or those of a Compose file or manifest; and whether it is only one.
fn jobs(
    args: &RebuildArgs,
    tool: Tool,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<(Vec<Job>, bool), CliError> {
    let image = args.image.as_deref();
    let recipe = RecipeRequest {
        context: args.context.clone(),
        dockerfile: args.file.first().cloned(),
        bake: args.bake.as_deref().map(BakeChoice::parse),
        extra: Vec::new(),
    };
    match (image, args.file.as_slice()) {
        (Some(image), [] | [_]) if !args.file.iter().any(|file| composed::is_manifest(file)) => {
            Ok((vec![Job { image: image.to_string(), platforms: Vec::new(), recipe }], true))
        }
        (_, files) if files.iter().all(|file| composed::is_manifest(file)) => {
            if args.output.is_some() {
                return Err(CliError::usage("--output writes one image; name it, and build it with --context"));
            }
            let jobs = composed::jobs(files, image, args.context.as_deref(), tool, environment, terminal)?;
            Ok((jobs, false))
        }
        (Some(_), _) => Err(CliError::usage("an image is built with one Dockerfile")),
        (None, _) => Err(CliError::Usage {
            text: "no image is named, and -f is not a Compose file or a manifest (.yaml, .yml, .json)".to_string(),
            hint: Some("imgarch rebuild IMAGE -f Dockerfile".to_string()),
        }),
    }
}

/// Scans the published image and plans its rebuild.
fn prepare(
    args: &RebuildArgs,
    job: &Job,
    tool: Tool,
    interrupted: &Arc<AtomicBool>,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Prepared, CliError> {
    let reference = tag_of(&job.image)?;
    let named = if args.platform.is_empty() { &job.platforms } else { &args.platform };
    let platforms = named.iter().map(|text| Platform::parse(text)).collect::<Result<Vec<_>, _>>();
    let platforms = platforms.map_err(|error| CliError::usage(error.to_string()))?;
    let typed = Typed { targets: args.target.clone(), ..Typed::default() };
    let settings = Settings::load(&args.config, typed, &args.sources, environment)?;
    let targets = targets::of_texts(&settings.targets_for(&platforms), environment, terminal)?;
    // A mirror can return an outdated digest for the tag.
    let sources = settings.sources.clone().without_mirrors();
    let quiet = terminal.quiet;
    let registry = RegistryTag {
        client: sources.client().map_err(|error| attest::unknown(&error))?,
        opener: sources.opener(None)?,
        reference: reference.clone(),
        options: Options { targets: targets.clone(), ..settings.options() },
        policy: settings.policy(),
        today: settings.today,
        interrupted: interrupted.clone(),
        on_event: Box::new(move |event| {
            if !quiet {
                tell(&format!("{}\n", report::event_text(event)));
            }
        }),
    };
    let before = registry.published().map_err(unpublished)?;
    let also = match before.as_ref().filter(|_| args.all_tags) {
        Some(before) => {
            let (same, note) = registry.same_tags(&before.digest).map_err(|error| attest::unknown(&error))?;
            terminal.notes(note.as_slice());
            same
        }
        None => also_tags(args, &reference, &registry, before.as_ref())?,
    };
    let scan_with = |options: Options| {
        let before = before.as_ref()?;
        let progress = Progress::new(terminal);
        let watch: Arc<dyn Watch> = progress.clone();
        let report = registry.scan_on(&reference.at(&before.digest), options, &watch);
        progress.finish();
        Some(report)
    };
    let report = scan_with(registry.options.clone());
    // The platforms that a later scan checks, although this run did not request them.
    let others = match targets.is_empty() || args.target.is_empty() {
        true => None,
        false => {
            let usual = Settings::load(&args.config, Typed::default(), &args.sources, environment)?;
            let targets = targets::of_texts(&usual.targets_for(&[]), environment, terminal)?;
            let platforms = if targets.is_empty() { left_out(before.as_ref(), report.as_ref()) } else { Vec::new() };
            match targets.is_empty() && platforms.is_empty() {
                true => None,
                false => scan_with(Options { targets, platforms, ..registry.options.clone() }),
            }
        }
    };
    let supplies = supplies(args, &registry)?;
    let is_supplied = !(args.layout.is_empty() && args.join.is_empty());
    if before.is_none() && platforms.is_empty() && targets.is_empty() && !is_supplied {
        return Err(CliError::Usage {
            text: format!("{reference} is not in the registry, and no platform is named"),
            hint: Some("name its platforms: --platform linux/amd64 --platform linux/arm64".to_string()),
        });
    }
    if let Some(output) =
        args.output.as_ref().filter(|output| output.read_dir().is_ok_and(|mut files| files.next().is_some()))
    {
        return Err(CliError::usage(format!("{} is not empty; name a new or empty directory", output.display())));
    }
    let work = temporary_directory()?;
    let build = BuildSettings {
        dockerfile: job.recipe.dockerfile.clone(),
        output: args.output.clone(),
        work: work.path().to_path_buf(),
        ..BuildSettings::default()
    };
    let request = Request { reference, platforms, targets, also, build };
    let image = report.as_ref().and_then(|report| report.images.first());
    let scans = Scans { asked: image, others: others.as_ref().and_then(|report| report.images.first()) };
    let mut plan = match is_supplied {
        true => Plan::supplied(request, before, scans, supplies),
        false => built(args, job, tool, request, before, scans, environment)?,
    };
    if plan.delivery != Delivery::Local {
        let (seals, notes) = registry.seals(&plan.replaced(), PREDICATE_TYPE);
        plan.seals = seals;
        terminal.notes(&notes);
    }
    Ok(Prepared { registry, plan, report, _work: work })
}

impl Prepared {
    /// Decides what to do with the plan. Fails if this machine lacks something that the build needs.
    fn decide(&self, args: &RebuildArgs) -> Result<Decision, CliError> {
        let plan = &self.plan;
        let is_stopped = !plan.lint.is_empty() && !args.despite_lint;
        if plan.is_done() {
            let image = self.report.as_ref().and_then(|report| report.images.first());
            return Ok(Decision::End(still(args, plan).max(unread(image))));
        }
        obstacle(plan)?;
        Ok(match (args.dry_run, is_stopped) {
            (true, _) => Decision::End(u8::from(is_stopped)),
            (false, true) => Decision::Stopped,
            (false, false) => Decision::CarryOut,
        })
    }
}

/// Reports the result of a run, and returns the exit code.
fn finish(
    args: &RebuildArgs,
    plan: &Plan,
    result: &Result<Done, RebuildError>,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    match result {
        Ok(done) => {
            if args.format == AnswerFormat::Text {
                report::done_text(plan, done, out)?;
                out.flush()?;
            }
            let code = if done.after.is_some() { still(args, plan) } else { 0 };
            match code {
                0 => {}
                1 => tell("error: a kept platform is broken; rebuild it with --platform, or accept it with --only\n"),
                _ => tell("error: a kept platform could not be judged; accept that with --only\n"),
            }
            Ok(code)
        }
        Err(error) => {
            tell(&format!("error: {error}\n"));
            // A faulty build result is a finding. For all other errors the outcome is unknown.
            Ok(if matches!(*error.cause, Cause::Faulty { .. }) { 1 } else { 3 })
        }
    }
}

/// Writes one document for the named image, or one for all images of a file. `results` is empty if nothing was done.
fn write_json(
    prepared: &[Prepared],
    results: &[Option<Result<Done, RebuildError>>],
    is_one: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let results = results.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    let plans: Vec<_> = prepared.iter().map(|one| &one.plan).zip(results).collect();
    match plans.as_slice() {
        [(plan, result)] if is_one => report::json(plan, *result, out)?,
        plans => report::json_of_all(plans, out)?,
    }
    Ok(())
}

/// Returns the named tag. A digest next to the tag is dropped: the tag's current digest counts.
fn tag_of(image: &str) -> Result<Reference, CliError> {
    let path = Path::new(image);
    let is_path = || path.is_file() || ["oci-layout", "manifest.json"].iter().any(|name| path.join(name).exists());
    let reference = match ImageRef::parse(image) {
        ImageRef::Transport { transport: Transport::Registry, rest } => Some(Reference::parse(&rest)),
        ImageRef::Bare { reference, .. } if !is_path() => Some(reference),
        ImageRef::Bare { .. } | ImageRef::Transport { .. } | ImageRef::Path(_) | ImageRef::Stdin => None,
    };
    let Some(reference) = reference else {
        return Err(CliError::Usage {
            text: format!("{image} is not a registry tag; rebuild can only repair registry tags"),
            hint: Some(format!(
                "in the source directory, build the platform into an archive, then scan it:\n      {}\n      \
                 imgarch scan image.tar",
                scan::rebuild_command(image, &Origin::Unopened, "linux/arm64")
            )),
        });
    };
    let reference = reference.map_err(|error| CliError::usage(error.to_string()))?;
    if reference.digest.is_some() && reference.tag.is_none() {
        return Err(CliError::Usage {
            text: format!("{image} is pinned by digest, but a rebuild produces a new digest"),
            hint: Some(format!(
                "name one of its tags: skopeo list-tags docker://{}/{}",
                reference.registry, reference.repository
            )),
        });
    }
    Ok(Reference { digest: None, ..reference })
}

/// Returns the exit code if there is nothing to build: 0, or 3 if something could not be judged.
fn unread(image: Option<&scan::ImageReport>) -> u8 {
    let is_unknown = image.is_some_and(|image| {
        !image.problems.is_empty() || image.platforms.iter().any(scan::PlatformReport::is_unknown)
    });
    if is_unknown { 3 } else { 0 }
}

/// Returns the exit code that the kept platforms would cause in the next scan.
fn still(args: &RebuildArgs, plan: &Plan) -> u8 {
    let code = |doubt: &Doubt| match doubt {
        Doubt::Broken(_) => 1,
        Doubt::Unjudged | Doubt::Unread => 3,
        Doubt::NotAsked => 0,
    };
    let codes: Vec<u8> = plan.doubts().filter(|_| !args.only).map(|(_, doubt)| code(doubt)).collect();
    // As for a scan, a finding takes precedence over an unknown.
    if codes.contains(&1) { 1 } else { codes.into_iter().max().unwrap_or(0) }
}

/// Returns the other tags to move. Each points to the same digest as the reference, or is new.
fn also_tags(
    args: &RebuildArgs,
    reference: &Reference,
    registry: &RegistryTag,
    before: Option<&Published>,
) -> Result<Vec<Reference>, CliError> {
    let mut also: Vec<Reference> = Vec::new();
    for tag in &args.also_tag {
        let other = Reference::parse(&format!("{}:{tag}", reference.name()));
        let other = other.map_err(|error| CliError::usage(error.to_string()))?;
        if other.digest.is_some() {
            return Err(CliError::usage(format!("{tag} is not a tag")));
        }
        if other.tag == reference.tag || also.iter().any(|known| known.tag == other.tag) {
            continue;
        }
        let is = registry.tag(&other).map_err(unknown)?;
        if is.as_ref().is_some_and(|is| before.is_none_or(|before| before.digest != *is)) {
            return Err(CliError::Usage {
                text: format!("{other} and {reference} are different images, so they cannot move together"),
                hint: Some(format!("imgarch rebuild {other}")),
            });
        }
        also.push(other);
    }
    Ok(also)
}

/// Returns the platforms that a scan for the given targets skipped.
fn left_out(before: Option<&Published>, report: Option<&scan::Report>) -> Vec<Platform> {
    let judged: Vec<_> = report
        .into_iter()
        .flat_map(|report| &report.images)
        .flat_map(|image| &image.platforms)
        .filter_map(|platform| platform.digest.as_ref())
        .collect();
    let leaves = before.map_or(Vec::new(), Published::leaves);
    let left_out = leaves.iter().filter(|entry| entry.is_image() && !judged.contains(&&entry.descriptor.digest));
    left_out.filter_map(|entry| entry.platform.clone()).collect()
}

/// Returns the manifests that other tools built: those of `--layout` and `--join`.
fn supplies(args: &RebuildArgs, registry: &RegistryTag) -> Result<Vec<Supply>, CliError> {
    let mut found: Vec<Supply> = Vec::new();
    let here = args.layout.iter().map(|name| registry.supplies_here(name));
    let joined = args.join.iter().map(|text| {
        let digest = text.parse().map_err(|_| RegistryError::Document(format!("{text} is not a digest")))?;
        registry.supplies_of(&digest)
    });
    for one in here.chain(joined) {
        for supply in one.map_err(unpublished)? {
            if let Some(other) = found.iter().find(|other| other.platform == supply.platform) {
                let text = format!("{} is both in {} and in {}", supply.platform, other.name, supply.name);
                return Err(CliError::usage(text));
            }
            found.push(supply);
        }
    }
    Ok(found)
}

/// Plans a build with docker, podman or buildah.
fn built(
    args: &RebuildArgs,
    job: &Job,
    tool: Tool,
    request: Request,
    before: Option<Published>,
    scans: Scans<'_>,
    environment: &Environment,
) -> Result<Plan, CliError> {
    let published = before.as_ref().map_or(Vec::new(), Published::leaves);
    let published = published.iter().filter_map(|entry| entry.platform.clone());
    let wanted: Vec<Platform> = published
        .chain(request.platforms.iter().cloned())
        .chain(request.targets.iter().map(|target| target.platform.clone()))
        .collect();
    let builder = rebuild::option_value(&args.extra, &["--builder"]);
    let (mut machine, _) =
        survey_this_machine(&ThisMachine, Some(tool), builder.as_deref(), &wanted, &environment.temporary);
    let mut asked = job.recipe.clone();
    asked.extra.extend(args.extra.iter().cloned());
    let source = rebuild::read_recipe(&asked, &request.reference, &ThisMachine, &machine).map_err(unreadable)?;
    let build =
        BuildSettings { context: source.context, bake: source.bake, extra: source.extra, ..request.build.clone() };
    let request = Request { build, ..request };
    let plan = Plan::make(request.clone(), before.clone(), scans, &machine, source.recipe.clone());
    let platforms: Vec<Platform> = plan.build.iter().map(|build| build.platform.clone()).collect();
    if platforms.is_empty() {
        return Ok(plan);
    }
    let context = request.build.bake.as_ref().map_or(&request.build.context, |target| &target.context);
    let history = match (&machine.builder, machine.tool) {
        (Ok(builder), Tool::Docker) => {
            rebuild::last_builds(&ThisMachine, &builder.name, Path::new(context), &platforms)
        }
        (Ok(_) | Err(_), _) => Vec::new(),
    };
    // If the build runs programs of the platform, test that the builder can run them, as it claims.
    if !source.recipe.runs_on_target {
        return Ok(Plan { history, ..plan });
    }
    let directory = temporary_directory()?;
    rebuild::prove(&mut machine, &ThisMachine, &platforms, directory.path());
    Ok(Plan { history, ..Plan::make(request, before, scans, &machine, source.recipe) })
}

fn temporary_directory() -> Result<interrupt::TemporaryDirectory, CliError> {
    interrupt::TemporaryDirectory::new().map_err(|error| unknown(format!("creating a temporary directory: {error}")))
}

fn unpublished(error: RegistryError) -> CliError {
    match error {
        RegistryError::Source(error) => attest::unknown(&error),
        error @ (RegistryError::Malformed { .. } | RegistryError::Document(_)) => unknown(error.to_string()),
    }
}

/// Fails if this machine lacks something that the build needs.
fn obstacle(plan: &Plan) -> Result<(), CliError> {
    let Some(check) = plan.obstacles().into_iter().next() else { return Ok(()) };
    let hint = check.remedies.first().map(|remedy| format!("{}\n      see imgarch doctor", remedy.command));
    Err(CliError::Unknown { text: format!("this machine cannot build it: {}: {}", check.subject, check.text), hint })
}

fn unreadable(error: RecipeError) -> CliError {
    let text = error.to_string();
    match error {
        RecipeError::Buildx { .. } => unknown(text),
        RecipeError::Bake(_) | RecipeError::Context(_) => CliError::usage(text),
        RecipeError::Dockerfile { .. } => CliError::Usage {
            text,
            hint: Some("name the source directory with --context, or the Dockerfile with --file".to_string()),
        },
    }
}

#[expect(clippy::disallowed_methods, reason = "asking for confirmation needs a terminal")]
fn confirm(args: &RebuildArgs) -> Result<(), CliError> {
    if args.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Usage {
            text: "stdin is not a terminal, so the plan cannot be confirmed".to_string(),
            hint: Some("--yes skips the confirmation, --dry-run only shows the plan".to_string()),
        });
    }
    tell("Proceed? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().take(64).read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(unknown("cancelled")),
    }
}
