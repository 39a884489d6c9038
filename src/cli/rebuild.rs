//! `imgarch rebuild`: scan, plan, ask, and let [`mod@crate::rebuild::run`] do it, with the registry and the scan behind it.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lint::host_files;
use super::progress::Progress;
use super::terminal::tell;
use super::{CliError, Terminal, doctor, opening, scan as scan_command};
use crate::judge::code::Severity;
use crate::lint::{self, Format, Outside, Position};
use crate::oci::{Config, Descriptor, Digest, Document, Reference};
use crate::platform::{Platform, Target};
use crate::rebuild::plan::{BuildSettings, Plan, Published, Recipe, Request};
use crate::rebuild::run::Cause;
use crate::rebuild::{self, Docker, Event, ThisMachine, World};
use crate::report::rebuild as report;
use crate::scan::{self, Options, Report, Unwatched, Verdict, Watch};
use crate::source::layout::Layout;
use crate::source::registry::{Client, in_memory};
use crate::source::{Selector, Source, SourceError};

/// What to rebuild, from what.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What stands after -- goes to docker buildx build: cache, build arguments, secrets, contexts, --builder, --target.

Examples:
  imgarch rebuild user/app:v1.0.2
  imgarch rebuild user/app:v1.0.2 --platform linux/arm64 --dry-run
  imgarch rebuild ghcr.io/user/app:v1 --yes -- --build-arg VERSION=1 --secret id=token,env=TOKEN
  imgarch rebuild user/app:v1 --bake app -- --file docker-bake.hcl")]
pub struct RebuildArgs {
    /// The tag to make whole.
    image: String,
    /// The build context: a folder, or a URL that buildx takes.
    #[arg(long, value_name = "DIR", default_value = ".")]
    context: String,
    /// The Dockerfile; without it the context's own.
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// Build by this target of a bake file; the file goes after --.
    #[arg(long, value_name = "TARGET", conflicts_with = "file")]
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
    /// Make OCI layouts in this folder, one for each platform, and push nothing.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// text or json.
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    format: PlanFormat,
    #[command(flatten)]
    sources: opening::SourceArgs,
    /// Options of docker buildx build.
    #[arg(last = true, value_name = "BUILDX OPTION")]
    extra: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PlanFormat {
    Text,
    Json,
}

/// A manifest, an index or a config: registries refuse larger ones.
const DOCUMENT_LIMIT: u64 = 8 << 20;

fn unknown(text: impl Into<String>) -> CliError {
    CliError::Unknown { text: text.into(), hint: None }
}

fn source_error(error: &SourceError) -> CliError {
    CliError::Unknown { text: error.to_string(), hint: error.hint().map(str::to_string) }
}

pub fn run(args: RebuildArgs, terminal: &Terminal, out: &mut dyn Write) -> Result<u8, CliError> {
    let reference = Reference::parse(args.image.trim_start_matches("docker://"))
        .map_err(|error| CliError::usage(error.to_string()))?;
    if reference.digest.is_some() {
        return Err(CliError::usage(format!(
            "{} is pinned by digest; name the tag that is to be made whole",
            args.image
        )));
    }
    let platforms = args.platform.iter().map(|text| Platform::parse(text)).collect::<Result<Vec<_>, _>>();
    let platforms = platforms.map_err(|error| CliError::usage(error.to_string()))?;
    let mut targets = Vec::new();
    for text in &args.target {
        let found = super::targets::of_text(text)?;
        terminal.notes(&found.notes);
        targets.extend(found.targets);
    }
    let client = opening::registry_client(&args.sources).map_err(|error| source_error(&error))?;
    let opener = opening::Opener::new(&args.sources)?;
    let registry =
        Registry { client, opener, reference: reference.clone(), targets: targets.clone(), quiet: terminal.quiet };
    let before = registry.published()?;
    let report = before.as_ref().map(|before| registry.scan(&reference.at(&before.digest), terminal));
    if before.is_none() && platforms.is_empty() && targets.is_empty() {
        return Err(CliError::Usage {
            text: format!("{reference} is not in the registry, and no platform is named"),
            hint: Some("name what it is for: --platform linux/amd64 --platform linux/arm64".to_string()),
        });
    }
    let work = tempfile::tempdir().map_err(|error| unknown(format!("making a temporary folder: {error}")))?;
    let request = Request {
        reference,
        platforms,
        targets,
        build: BuildSettings {
            context: args.context.clone(),
            dockerfile: args.file.clone(),
            bake: args.bake.clone(),
            extra: args.extra.clone(),
            output: args.output.clone(),
            work: work.path().to_path_buf(),
        },
    };
    let wanted: Vec<Platform> =
        before.iter().flat_map(|b| &b.entries).filter_map(|entry| entry.descriptor.platform.clone()).collect();
    let (machine, _) = doctor::examine(&ThisMachine, value_of(&args.extra, "--builder").as_deref(), &wanted);
    let image = report.as_ref().and_then(|report| report.images.first());
    let plan = Plan::make(request, before, image, &machine, recipe(&args)?);
    let is_text = args.format == PlanFormat::Text;
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
    let result = rebuild::run(&plan, &ThisMachine as &dyn Docker, &registry);
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

/// The value of an option among those after `--`.
fn value_of(extra: &[String], name: &str) -> Option<String> {
    let at = extra.iter().position(|word| word == name || word.starts_with(&format!("{name}=")))?;
    match extra[at].split_once('=') {
        Some((_, value)) => Some(value.to_string()),
        None => extra.get(at + 1).cloned(),
    }
}

/// What the Dockerfile says. Where there is none to read (a URL, a bake file's own), nothing is known against it.
fn recipe(args: &RebuildArgs) -> Result<Recipe, CliError> {
    let file = args
        .file
        .clone()
        .or_else(|| value_of(&args.extra, "--file").map(PathBuf::from).filter(|_| args.bake.is_none()));
    let path = file.clone().unwrap_or_else(|| Path::new(&args.context).join("Dockerfile"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if file.is_some() => return Err(unknown(format!("{}: {error}", path.display()))),
        Err(_) => return Ok(Recipe { runs_on_target: true, lint: Vec::new() }),
    };
    let stage = value_of(&args.extra, "--target");
    let context = PathBuf::from(&args.context);
    let files = |pattern: &str| host_files(&context, pattern);
    let outside = Outside { files: &files, pin: None, platforms: Vec::new(), target: stage.clone() };
    let linted = lint::lint(&path, &text, Format::Dockerfile, &outside);
    let errors = linted.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let lint = errors.map(|finding| {
        let line = Position::of(&text, finding.span.start).line;
        let fix = if finding.fix.is_some() { "; imgarch lint shows the fix" } else { "" };
        format!("{}:{line}: {} [{}]{fix}", path.display(), finding.message, finding.code)
    });
    Ok(Recipe { runs_on_target: lint::runs_on_target(&text, stage.as_deref()), lint: lint.collect() })
}

/// The registry that holds the tag, and the scan of what is in it.
struct Registry {
    client: Arc<Client>,
    opener: opening::Opener,
    reference: Reference,
    targets: Vec<Target>,
    quiet: bool,
}

impl Registry {
    fn published(&self) -> Result<Option<Published>, CliError> {
        let source = self.client.image(&self.reference);
        let root = match source.root() {
            Ok(root) => root,
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(source_error(&error)),
        };
        let bytes = read(&source, &root).map_err(unknown)?;
        let declared = declared(&source, &bytes);
        let published = Published::read(&root, &bytes, declared.as_ref());
        published.map(Some).map_err(|error| unknown(format!("{}: {error}", self.reference)))
    }

    fn scan(&self, name: &str, terminal: &Terminal) -> Report {
        let progress = Arc::new(Progress::new(terminal));
        let watch: Arc<dyn Watch> = progress.clone();
        let report = self.scan_watched(name, &[], self.targets.clone(), &watch);
        progress.finish();
        report
    }

    fn scan_watched(&self, name: &str, platforms: &[Platform], targets: Vec<Target>, watch: &Arc<dyn Watch>) -> Report {
        let options = Options {
            platforms: platforms.to_vec(),
            targets,
            jobs: scan_command::default_jobs(),
            ..Options::default()
        };
        // A bare name could be an engine's; only what the registry has is meant.
        let name = if name.starts_with("oci:") { name.to_string() } else { format!("docker://{name}") };
        scan::scan(&[name], &|name| self.opener.open(name), &options, watch)
    }
}

/// The platform that a single manifest's config declares.
fn declared(source: &dyn Source, bytes: &[u8]) -> Option<Platform> {
    let Ok(Document::Manifest(manifest)) = Document::parse(bytes) else { return None };
    let config = read(source, &manifest.config).ok()?;
    Config::parse(&config).ok()?.platform()
}

/// A document's bytes, which must be those of its digest.
fn read(source: &dyn Source, descriptor: &Descriptor) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let reader = source.open(descriptor).map_err(|error| error.to_string())?;
    reader.take(DOCUMENT_LIMIT).read_to_end(&mut bytes).map_err(|error| format!("{}: {error}", descriptor.digest))?;
    let mut hasher = descriptor.digest.hasher();
    hasher.update(&bytes);
    let actual = hasher.finish();
    if actual == descriptor.digest {
        Ok(bytes)
    } else {
        Err(format!("{} has other bytes: {actual}", descriptor.digest))
    }
}

impl World for Registry {
    fn tag(&self) -> Result<Option<Digest>, String> {
        // A client of its own, so that no answer of before is given again.
        match self.client.image(&self.reference).root() {
            Ok(root) => Ok(Some(root.digest)),
            Err(error) if matches!(error.bare(), SourceError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn document(&self, digest: &Digest) -> Result<(Descriptor, Vec<u8>), String> {
        let reference = Reference { tag: None, digest: Some(digest.clone()), ..self.reference.clone() };
        let source = self.client.image(&reference);
        let root = source.root().map_err(|error| error.to_string())?;
        let bytes = read(&source, &root)?;
        Ok((root, bytes))
    }

    fn verify(&self, name: &str, platform: Option<&Platform>) -> Result<Vec<String>, String> {
        let targets = self
            .targets
            .iter()
            .filter(|target| platform.is_none_or(|platform| target.platform.architecture == platform.architecture));
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        let platforms: Vec<Platform> = platform.into_iter().cloned().collect();
        let report = self.scan_watched(name, &platforms, targets.cloned().collect(), &watch);
        judged(&report, platform)
    }

    fn push_layout(&self, folder: &Path) -> Result<Digest, String> {
        let layout = Layout::open(folder, &Selector::All).map_err(|error| error.to_string())?;
        let root = layout.root().map_err(|error| error.to_string())?;
        let registry = self.client.image(&self.reference);
        push(&registry, &layout, &root, 0)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::write(path, bytes)
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn say(&self, event: &Event) {
        if !self.quiet {
            tell(&format!("{}\n", report::event_text(event)));
        }
    }
}

/// An index of a layout holds manifests; deeper nesting is nothing that a builder writes.
const MAX_NESTING: usize = 3;

/// Pushes a manifest or index with everything below it, by digest.
fn push(
    registry: &crate::source::registry::Registry,
    layout: &Layout,
    root: &Descriptor,
    depth: usize,
) -> Result<Digest, String> {
    let bytes = read(layout, root)?;
    let below = match Document::parse(&bytes).map_err(|error| format!("{}: {error}", root.digest))? {
        Document::Index(_) if depth >= MAX_NESTING => {
            return Err(format!("{}: indexes nested too deeply", root.digest));
        }
        Document::Index(index) => {
            for manifest in &index.manifests {
                push(registry, layout, manifest, depth + 1)?;
            }
            Vec::new()
        }
        Document::Manifest(manifest) => std::iter::once(manifest.config).chain(manifest.layers).collect(),
    };
    for blob in below {
        let pushed = match blob.size <= DOCUMENT_LIMIT {
            true => registry.push_blob(&blob, &in_memory(&read(layout, &blob)?)),
            false => registry.push_blob(&blob, &|| layout.open(&blob)),
        };
        pushed.map_err(|error| error.to_string())?;
    }
    registry.push_manifest(root.digest.as_str(), &root.media_type, &bytes).map_err(|error| error.to_string())
}

/// What a scan says against an image; what it could not tell is an error.
fn judged(report: &Report, wanted: Option<&Platform>) -> Result<Vec<String>, String> {
    let image = report.images.first().ok_or("nothing was scanned")?;
    let mut faults = Vec::new();
    for (platform, finding) in image.all_findings().filter(|(_, finding)| finding.severity == Severity::Error) {
        let on = platform.map_or(String::new(), |platform| format!("{}: ", platform.name()));
        faults.push(format!("{on}{} [{}]", finding.message, finding.code.row().name));
    }
    let problems = image.problems.iter().chain(image.platforms.iter().flat_map(|platform| &platform.problems));
    let problems: Vec<&str> = problems.map(|problem| problem.text.as_str()).collect();
    let is_there = image
        .platforms
        .iter()
        .any(|platform| wanted.is_none_or(|wanted| platform.published().is_some_and(|one| one == wanted)));
    match () {
        _ if !faults.is_empty() => Ok(faults),
        _ if !problems.is_empty() => Err(problems.join("; ")),
        _ if !is_there => Err(format!("it holds no {}", wanted.map_or("platform".to_string(), ToString::to_string))),
        _ if image.verdict() == Verdict::Unknown => Err("whether it starts could not be told".to_string()),
        _ => Ok(faults),
    }
}
