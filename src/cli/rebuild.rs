//! `imgarch rebuild`: scan, plan, ask, and let [`mod@crate::rebuild::run`] do it, with the registry and the scan behind it.

mod layout;
mod recipe;
mod registry;

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::machine::{AnswerFormat, machine_and_notes};
use super::settings::{ConfigArgs, Origin, Settings, Typed};
use super::terminal::tell;
use super::{CliError, Terminal, interrupt, opening};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::rebuild::plan::{BuildSettings, Plan, Request};
use crate::rebuild::run::Cause;
use crate::rebuild::{self, ThisMachine};
use crate::report::rebuild as report;
use crate::scan;
use crate::source::SourceError;
use recipe::value_of;
use registry::Registry;

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
    /// The tag to make whole.
    image: String,
    /// The build context: a folder, or a URL that buildx takes. Without it the working directory, or the bake file's.
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
    /// Put what is built into an OCI layout in this folder, which must be empty or absent, and push nothing.
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

fn source_error(error: &SourceError) -> CliError {
    CliError::Unknown { text: error.to_string(), hint: error.hint().map(str::to_string) }
}

pub fn run(mut args: RebuildArgs, terminal: &Terminal, out: &mut dyn Write) -> Result<u8, CliError> {
    let reference = tag_of(&args.image)?;
    let platforms = args.platform.iter().map(|text| Platform::parse(text)).collect::<Result<Vec<_>, _>>();
    let platforms = platforms.map_err(|error| CliError::usage(error.to_string()))?;
    let settings = settings(&mut args, &platforms)?;
    let mut targets = Vec::new();
    for text in &args.target {
        let found = super::targets::of_text(text)?;
        terminal.notes(&found.notes);
        targets.extend(found.targets);
    }
    let client = opening::registry_client(&args.sources).map_err(|error| source_error(&error))?;
    let opener = opening::Opener::new(&args.sources)?;
    let registry = Registry {
        client,
        opener,
        reference: reference.clone(),
        targets: targets.clone(),
        settings,
        interrupted: Arc::default(),
        quiet: terminal.quiet,
    };
    let before = registry.published()?;
    let report = before.as_ref().map(|before| registry.scan(&reference.at(&before.digest), terminal));
    if before.is_none() && platforms.is_empty() && targets.is_empty() {
        return Err(CliError::Usage {
            text: format!("{reference} is not in the registry, and no platform is named"),
            hint: Some("name what it is for: --platform linux/amd64 --platform linux/arm64".to_string()),
        });
    }
    if let Some(folder) =
        args.output.as_ref().filter(|folder| folder.read_dir().is_ok_and(|mut files| files.next().is_some()))
    {
        return Err(CliError::usage(format!("{} is not empty: name a folder for a new layout", folder.display())));
    }
    let published = before.iter().flat_map(|before| &before.entries);
    let published = published.filter_map(|entry| entry.descriptor.platform.clone());
    let wanted: Vec<Platform> = published
        .chain(platforms.iter().cloned())
        .chain(targets.iter().map(|target| target.platform.clone()))
        .collect();
    let builder = value_of(&args.extra, &["--builder"]);
    let (machine, _) = machine_and_notes(&ThisMachine, builder.as_deref(), &wanted);
    let source = recipe::source(&args, &reference, &ThisMachine, &machine)?;
    let work = interrupt::Folder::new().map_err(|error| unknown(format!("making a temporary folder: {error}")))?;
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
    ask(&args)?;
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

/// What holds, written back to the flags that the file and the environment may give too.
fn settings(args: &mut RebuildArgs, platforms: &[Platform]) -> Result<Settings, CliError> {
    let typed = Typed { targets: args.target.clone(), ..Typed::default() };
    let settings = Settings::load(&args.config, typed, &args.sources)?;
    args.target = match settings.targets.origin {
        Origin::Flag => settings.targets.value.clone(),
        _ => super::targets::within(&settings.targets.value, platforms),
    };
    settings.apply_to(&mut args.sources);
    // A mirror may not have heard yet what the tag names.
    args.sources.mirrors.clear();
    Ok(settings)
}

/// The tag that is named; with a digest beside it, what the tag names now is what counts.
fn tag_of(image: &str) -> Result<Reference, CliError> {
    let is_elsewhere = [
        "oci:",
        "oci-archive:",
        "docker-archive:",
        "docker-daemon:",
        "containers-storage:",
        "containerd:",
        "dir:",
        "rootfs:",
    ]
    .iter()
    .any(|kind| image.starts_with(kind));
    let path = Path::new(image);
    let is_layout = ["oci-layout", "manifest.json"].iter().any(|name| path.join(name).exists());
    let is_path = image == "-" || image.starts_with(['.', '/']) || path.is_file() || is_layout;
    if is_elsewhere || is_path {
        return Err(CliError::Usage {
            text: format!("{image} is no tag in a registry, which is what is made whole"),
            hint: Some(format!(
                "in the folder of the sources, build the platform into an archive, and scan it:\n      {}\n      imgarch scan image.tar",
                scan::rebuild_command(image, "", "linux/arm64")
            )),
        });
    }
    let reference =
        Reference::parse(image.trim_start_matches("docker://")).map_err(|error| CliError::usage(error.to_string()))?;
    if reference.digest.is_some() && reference.tag.is_none() {
        return Err(CliError::Usage {
            text: format!("{image} is pinned by digest, and what is rebuilt gets another"),
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

fn ask(args: &RebuildArgs) -> Result<(), CliError> {
    if args.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Usage {
            text: "nobody is there to agree to the plan".to_string(),
            hint: Some("--yes carries it out, --dry-run only shows it".to_string()),
        });
    }
    tell("carry it out? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().take(64).read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(unknown("not carried out")),
    }
}
