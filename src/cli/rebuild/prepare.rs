//! Scans the published image and plans its rebuild.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{RebuildArgs, unknown};
use crate::cli::composed::Job;
use crate::cli::progress::Progress;
use crate::cli::settings::{Settings, Typed};
use crate::cli::terminal::write_message;
use crate::cli::{CliError, Environment, Terminal, attest, interrupt, targets};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::rebuild::plan::{BuildSettings, Delivery, RebuildPlan, RebuildRequest, Scans, Supply};
use crate::rebuild::published::Published;
use crate::rebuild::run::RebuildBackend;
use crate::rebuild::{self, BuildTool, RecipeError, RegistryTag, SupplyError, ThisMachine, survey_this_machine};
use crate::report::attest::PREDICATE_TYPE;
use crate::report::rebuild as report;
use crate::scan::{self, Options, Watch};
use crate::source::{ImageRef, Origin, Transport};

/// A plan that is ready to be carried out.
pub struct Prepared {
    pub registry: RegistryTag,
    pub plan: RebuildPlan,
    pub report: Option<scan::Report>,
    /// Kept until the run is over.
    _work: interrupt::TemporaryDirectory,
}

/// Scans the published image and plans its rebuild.
pub fn prepare(
    args: &RebuildArgs,
    job: &Job,
    tool: BuildTool,
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
                write_message(&format!("{}\n", report::event_text(event)));
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
    let request = RebuildRequest { reference, platforms, targets, also, build };
    let image = report.as_ref().and_then(|report| report.images.first());
    let scans = Scans { asked: image, others: others.as_ref().and_then(|report| report.images.first()) };
    let mut plan = match is_supplied {
        true => RebuildPlan::supplied(request, before, scans, supplies),
        false => built(args, job, tool, request, before, scans, environment)?,
    };
    if plan.delivery != Delivery::Local {
        let (seals, notes) = registry.seals(&plan.replaced(), PREDICATE_TYPE);
        plan.seals = seals;
        terminal.notes(&notes);
    }
    Ok(Prepared { registry, plan, report, _work: work })
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
        let digest = text.parse().map_err(|_| SupplyError::Document(format!("{text} is not a digest")))?;
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
    tool: BuildTool,
    request: RebuildRequest,
    before: Option<Published>,
    scans: Scans<'_>,
    environment: &Environment,
) -> Result<RebuildPlan, CliError> {
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
    let request = RebuildRequest { build, ..request };
    let plan = RebuildPlan::make(request.clone(), before.clone(), scans, &machine, source.recipe.clone());
    let platforms: Vec<Platform> = plan.build.iter().map(|build| build.platform.clone()).collect();
    if platforms.is_empty() {
        return Ok(plan);
    }
    let context = request.build.bake.as_ref().map_or(&request.build.context, |target| &target.context);
    let history = match (&machine.builder, machine.tool) {
        (Ok(builder), BuildTool::Docker) => {
            rebuild::last_builds(&ThisMachine, &builder.name, Path::new(context), &platforms)
        }
        (Ok(_) | Err(_), _) => Vec::new(),
    };
    // If the build runs programs of the platform, test that the builder can run them, as it claims.
    if !source.recipe.runs_on_target {
        return Ok(RebuildPlan { history, ..plan });
    }
    let directory = temporary_directory()?;
    rebuild::prove(&mut machine, &ThisMachine, &platforms, directory.path());
    Ok(RebuildPlan { history, ..RebuildPlan::make(request, before, scans, &machine, source.recipe) })
}

fn temporary_directory() -> Result<interrupt::TemporaryDirectory, CliError> {
    interrupt::TemporaryDirectory::new().map_err(|error| unknown(format!("creating a temporary directory: {error}")))
}

fn unpublished(error: SupplyError) -> CliError {
    match error {
        SupplyError::Source(error) => attest::unknown(&error),
        error @ (SupplyError::Malformed { .. } | SupplyError::Document(_)) => unknown(error.to_string()),
    }
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
