//! `imgarch rebuild`: scan, plan, ask, and let [`mod@crate::rebuild::run`] carry the plan out.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::outputs::AnswerFormat;
use super::progress::Progress;
use super::settings::{ConfigArgs, Settings, Typed};
use super::terminal::tell;
use super::{CliError, Environment, Terminal, attest, interrupt, opening, targets};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::rebuild::plan::{BuildSettings, Plan, Request};
use crate::rebuild::run::Cause;
use crate::rebuild::{self, RecipeError, RecipeRequest, RegistryError, RegistryTag, ThisMachine, survey_this_machine};
use crate::report::rebuild as report;
use crate::scan::{self, Options, Watch};
use crate::source::{ImageRef, Origin, Transport};

/// What to rebuild, from what.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What stands after -- goes to docker buildx build: cache, build arguments, secrets, contexts, --builder, --target.

Examples:
  imgarch rebuild user/app:v1.0.2
  imgarch rebuild user/app:v1.0.2 --platform linux/arm64 --dry-run
  imgarch rebuild ghcr.io/user/app:v1 --yes -- --build-arg VERSION=1 --secret id=token,env=TOKEN
  imgarch rebuild user/app:v1 --bake docker-bake.hcl
  imgarch rebuild user/app:v1 --bake app -- --file docker-bake.hcl --set '*.args.VERSION=1'
  imgarch rebuild user/app:v1 --platform linux/arm64 --output layout")]
pub struct RebuildArgs {
    /// Tag to repair.
    image: String,
    /// The build context: a directory, or a URL that buildx takes. Without it the working directory, or the bake file's.
    #[arg(long, value_name = "DIR")]
    context: Option<String>,
    /// The Dockerfile; without it the context's own.
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// Build by a bake file: the file, of which the target is taken that has the image's tag, or the target's name.
    #[arg(long, value_name = "FILE|TARGET", conflicts_with = "file")]
    bake: Option<String>,
    /// Rebuild only this platform, if it is missing or broken; repeatable.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<String>,
    /// A node that the image must run on, as for `imgarch scan`; repeatable.
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// Show the plan and stop.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask: for CI.
    #[arg(long, short)]
    yes: bool,
    /// Build even where the Dockerfile would repeat the fault.
    #[arg(long)]
    despite_lint: bool,
    /// Write the build into an OCI layout in this directory, which must be empty or absent, and push nothing.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// text or json.
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
    format: AnswerFormat,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    sources: opening::SourceArgs,
    /// Options of docker buildx build.
    #[arg(last = true, value_name = "BUILDX OPTION")]
    extra: Vec<String>,
}

fn unknown(text: impl Into<String>) -> CliError {
    CliError::Unknown { text: text.into(), hint: None }
}

pub fn run(
    args: &RebuildArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let reference = tag_of(&args.image)?;
    let platforms = args.platform.iter().map(|text| Platform::parse(text)).collect::<Result<Vec<_>, _>>();
    let platforms = platforms.map_err(|error| CliError::usage(error.to_string()))?;
    let typed = Typed { targets: args.target.clone(), ..Typed::default() };
    let settings = Settings::load(&args.config, typed, &args.sources, environment)?;
    let targets = targets::of_texts(&settings.targets_for(&platforms), environment, terminal)?;
    // A mirror may not know yet what the tag names.
    let sources = settings.sources.clone().without_mirrors();
    let quiet = terminal.quiet;
    let registry = RegistryTag {
        client: sources.client().map_err(|error| attest::unknown(&error))?,
        opener: sources.opener(None)?,
        reference: reference.clone(),
        options: Options { targets: targets.clone(), ..settings.options() },
        policy: settings.policy(),
        today: settings.today,
        interrupted: Arc::default(),
        say: Box::new(move |event| {
            if !quiet {
                tell(&format!("{}\n", report::event_text(event)));
            }
        }),
    };
    let before = registry.published().map_err(|error| match error {
        RegistryError::Source(error) => attest::unknown(&error),
        error @ (RegistryError::Malformed { .. } | RegistryError::Document(_)) => unknown(error.to_string()),
    })?;
    let report = before.as_ref().map(|before| {
        let progress = Arc::new(Progress::new(terminal));
        let watch: Arc<dyn Watch> = progress.clone();
        let report = registry.scan(&reference.at(&before.digest), &watch);
        progress.finish();
        report
    });
    if before.is_none() && platforms.is_empty() && targets.is_empty() {
        return Err(CliError::Usage {
            text: format!("{reference} is not in the registry, and no platform is named"),
            hint: Some("name what it is for: --platform linux/amd64 --platform linux/arm64".to_string()),
        });
    }
    if let Some(folder) =
        args.output.as_ref().filter(|folder| folder.read_dir().is_ok_and(|mut files| files.next().is_some()))
    {
        return Err(CliError::usage(format!("{} is not empty: name a directory for a new layout", folder.display())));
    }
    let published = before.iter().flat_map(|before| &before.entries);
    let published = published.filter_map(|entry| entry.descriptor.platform.clone());
    let wanted: Vec<Platform> = published
        .chain(platforms.iter().cloned())
        .chain(targets.iter().map(|target| target.platform.clone()))
        .collect();
    let builder = rebuild::option_value(&args.extra, &["--builder"]);
    let (machine, _) = survey_this_machine(&ThisMachine, builder.as_deref(), &wanted, &environment.temporary);
    let asked = RecipeRequest {
        context: args.context.clone(),
        dockerfile: args.file.clone(),
        bake: args.bake.clone(),
        extra: args.extra.clone(),
    };
    let source = rebuild::read_recipe(&asked, &reference, &ThisMachine, &machine).map_err(unreadable)?;
    let work = interrupt::Folder::new().map_err(|error| unknown(format!("making a temporary directory: {error}")))?;
    let request = Request {
        reference,
        platforms,
        targets,
        build: BuildSettings {
            context: source.context,
            dockerfile: args.file.clone(),
            bake: source.bake,
            extra: source.extra,
            output: args.output.clone(),
            work: work.path().to_path_buf(),
        },
    };
    let image = report.as_ref().and_then(|report| report.images.first());
    let plan = Plan::make(request, before, image, &machine, source.recipe);
    let is_text = args.format == AnswerFormat::Text;
    if is_text {
        report::plan_text(&plan, out)?;
        out.flush()?;
    }
    if plan.is_done() || args.dry_run {
        if !is_text {
            report::json(&plan, None, out)?;
        }
        return unread(image, &plan);
    }
    obstacle(&plan)?;
    if !plan.lint.is_empty() && !args.despite_lint {
        match is_text {
            true => report::stopped_text(&plan, out)?,
            false => report::json(&plan, None, out)?,
        }
        return Ok(1);
    }
    ask(args)?;
    interrupt::ask_first(&registry.interrupted)?;
    let result = rebuild::run(&plan, &ThisMachine, &registry);
    if !is_text {
        report::json(&plan, Some(&result), out)?;
    }
    match result {
        Ok(done) => {
            if is_text {
                report::done_text(&plan, &done, out)?;
            }
            Ok(0)
        }
        // A fault in what was built is a finding; everything else is not knowing.
        Err(error) if matches!(*error.cause, Cause::Faulty { .. }) => {
            tell(&format!("error: {error}\n"));
            Ok(1)
        }
        Err(error) => Err(unknown(error.to_string())),
    }
}

/// The tag that is named; with a digest beside it, what the tag names now is what counts.
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
                "in the directory of the sources, build the platform into an archive, and scan it:\n      {}\n      imgarch scan image.tar",
                scan::rebuild_command(image, &Origin::Unopened, "linux/arm64")
            )),
        });
    };
    let reference = reference.map_err(|error| CliError::usage(error.to_string()))?;
    if reference.digest.is_some() && reference.tag.is_none() {
        return Err(CliError::Usage {
            text: format!("{image} is pinned by digest, but a rebuild produces a new digest"),
            hint: Some(format!("name the tag: imgarch rebuild {}:TAG", reference.name())),
        });
    }
    Ok(Reference { digest: None, ..reference })
}

/// Nothing to build is fine only where everything could be judged.
fn unread(image: Option<&scan::ImageReport>, plan: &Plan) -> Result<u8, CliError> {
    let is_unknown = image.is_some_and(|image| {
        !image.problems.is_empty() || image.platforms.iter().any(scan::PlatformReport::is_unknown)
    });
    Ok(if plan.is_done() && is_unknown { 3 } else { 0 })
}

/// A gap of this machine, because of which the build would fail.
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
            hint: Some("name the directory of the sources with --context, or the Dockerfile with --file".to_string()),
        },
    }
}

#[expect(clippy::disallowed_methods, reason = "a question needs a terminal")]
fn ask(args: &RebuildArgs) -> Result<(), CliError> {
    if args.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Usage {
            text: "stdin is not a terminal, so the plan cannot be confirmed".to_string(),
            hint: Some("--yes carries the plan out, --dry-run only shows it".to_string()),
        });
    }
    tell("Proceed? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().take(64).read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(unknown("not carried out")),
    }
}
