//! `imgarch rebuild`: scans, plans and asks for confirmation. [`mod@crate::rebuild::run`] carries out the plans.

mod prepare;

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::composed::{self, Job};
use super::outputs::AnswerFormat;
use super::settings::ConfigArgs;
use super::terminal::write_message;
use super::{CliError, Environment, Terminal, interrupt, opening};
use crate::rebuild::plan::{Doubt, RebuildPlan};
use crate::rebuild::run::{RebuildBackend, StopCause};
use crate::rebuild::{self, BakeChoice, BuildTool, Done, RebuildError, RecipeRequest, ThisMachine};
use crate::report::rebuild as report;
use crate::scan;
use prepare::{Prepared, prepare};

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
    #[arg(long, value_name = "TOOL", value_parser = BuildTool::parse)]
    with: Option<BuildTool>,
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
    let prepare_job = |job: &Job| prepare(args, job, tool, &interrupted, environment, terminal);
    let prepared = jobs.iter().map(prepare_job).collect::<Result<Vec<Prepared>, CliError>>()?;
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
    tool: BuildTool,
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
    plan: &RebuildPlan,
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
                1 => write_message(
                    "error: a kept platform is broken; rebuild it with --platform, or accept it with --only\n",
                ),
                _ => write_message("error: a kept platform could not be judged; accept that with --only\n"),
            }
            Ok(code)
        }
        Err(error) => {
            write_message(&format!("error: {error}\n"));
            // A faulty build result is a finding. For all other errors the outcome is unknown.
            Ok(if matches!(*error.cause, StopCause::Faulty { .. }) { 1 } else { 3 })
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

/// Returns the exit code if there is nothing to build: 0, or 3 if something could not be judged.
fn unread(image: Option<&scan::ImageReport>) -> u8 {
    let is_unknown = image.is_some_and(|image| {
        !image.problems.is_empty() || image.platforms.iter().any(scan::PlatformReport::is_unknown)
    });
    if is_unknown { 3 } else { 0 }
}

/// Returns the exit code that the kept platforms would cause in the next scan.
fn still(args: &RebuildArgs, plan: &RebuildPlan) -> u8 {
    let code = |doubt: &Doubt| match doubt {
        Doubt::Broken(_) => 1,
        Doubt::Unjudged | Doubt::Unread => 3,
        Doubt::NotAsked => 0,
    };
    let codes: Vec<u8> = plan.doubts().filter(|_| !args.only).map(|(_, doubt)| code(doubt)).collect();
    // As for a scan, a finding takes precedence over an unknown.
    if codes.contains(&1) { 1 } else { codes.into_iter().max().unwrap_or(0) }
}

/// Fails if this machine lacks something that the build needs.
fn obstacle(plan: &RebuildPlan) -> Result<(), CliError> {
    let Some(check) = plan.obstacles().into_iter().next() else { return Ok(()) };
    let hint = check.remedies.first().map(|remedy| format!("{}\n      see imgarch doctor", remedy.command));
    Err(CliError::Unknown { text: format!("this machine cannot build it: {}: {}", check.subject, check.text), hint })
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
    write_message("Proceed? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().take(64).read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(unknown("cancelled")),
    }
}
