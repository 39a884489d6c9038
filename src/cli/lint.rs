//! `imgarch lint`: finds files, runs the rules on them, and writes rewritten files.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::outputs::outputs;
use super::settings::{ConfigArgs, Settings, Typed};
use super::terminal::write_message;
use super::{CliError, Environment, Terminal, opening};
use crate::judge::code::Severity;
use crate::lint::{
    self, DiscoverError, GitIndex, LintProject, Linted, Outside, Safety, SourceFile, SourceFormat, host_files,
};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::report::terminal::Screen;
use crate::report::{self, LintRun};

/// Which files to check, and how to fix and report them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All rules: imgarch explain; one rule: imgarch explain hard-coded-arch.
A comment disables a rule: `# imgarch ignore=hard-coded-arch` above an instruction, or
`# imgarch global ignore=CODE` anywhere in the file. hadolint's DL3029 also disables from-platform-constant.

Examples:
  imgarch lint
  imgarch lint Dockerfile --online
  imgarch lint --fix --unsafe deploy/
  imgarch lint --format table --format sarif=lint.sarif")]
pub struct LintArgs {
    /// Files and directories. Directories are searched for Dockerfiles, compose files, bake files and GitHub workflows.
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Build context of the Dockerfiles, from which COPY reads files. Defaults to the directory of each Dockerfile.
    #[arg(long, value_name = "DIR")]
    context: Option<PathBuf>,
    /// A platform that the project builds for; repeatable. Makes rules stricter for 32-bit platforms.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<String>,
    /// The stage to build, as in `docker build --target`. Defaults to the last stage.
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Ask registries whether pinned digests are one platform's manifest, and base images have every platform that is built.
    #[arg(long)]
    online: bool,
    /// Show safe rewrites as a diff, and apply them.
    #[arg(long)]
    fix: bool,
    /// With --fix: also apply rewrites that guess the author's intent.
    #[arg(long, requires = "fix")]
    r#unsafe: bool,
    /// With --fix: only show the diff.
    #[arg(long, requires = "fix")]
    dry_run: bool,
    #[arg(long, value_name = "NAME[=FILE]", default_value = "table", help = report::ReportFormat::help())]
    format: Vec<String>,
    /// Write the report to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The least severe finding that makes the exit code 1.
    #[arg(long, value_enum, default_value_t = LintFailOn::Error)]
    fail_on: LintFailOn,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    sources: opening::SourceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LintFailOn {
    Error,
    Warning,
    Note,
    Never,
}

pub fn run(
    args: &LintArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let started = Instant::now();
    let outputs =
        outputs(&args.format, args.output.as_deref(), report::ReportFormat::parse, &report::ReportFormat::names())?;
    // A diff may only be written to stdout together with the table.
    let shows_diff = !outputs.iter().any(|(format, path)| path.is_none() && *format != report::ReportFormat::Table);
    let platforms =
        args.platform.iter().map(|text| Platform::parse(text).map_err(|error| CliError::usage(error.to_string())));
    let platforms: Vec<Platform> = platforms.collect::<Result<_, _>>()?;
    let settings = Settings::load(&args.config, Typed::default(), &args.sources, environment)?;
    let client = args.online.then(|| settings.sources.client()).transpose();
    let client =
        client.map_err(|error| CliError::Usage { text: error.to_string(), hint: error.hint().map(str::to_string) })?;
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    for path in &args.paths {
        let found = lint::discover(path).map_err(discover_error)?;
        skipped.extend(found.skipped);
        files.extend(found.files);
    }
    let mut seen = BTreeSet::new();
    files.retain(|file| seen.insert(file.path.canonicalize().unwrap_or_else(|_| file.path.clone())));
    for lint::SkippedFile { path, why } in &skipped {
        write_message(&format!("note: {} is skipped: {why}\n", report::escape::visible(&path.display().to_string())));
    }
    if files.is_empty() && skipped.iter().all(|skipped| skipped.why == lint::NOT_READ) {
        return Err(CliError::Usage {
            text: "no files to check".to_string(),
            hint: Some("name a file: imgarch lint path/to/Dockerfile".to_string()),
        });
    }
    // Read when a finding depends on it.
    let projects: OnceCell<Vec<LintProject>> = OnceCell::new();
    let projects = || projects.get_or_init(|| args.paths.iter().map(|path| LintProject::read(path)).collect());
    let indexes: OnceCell<Vec<GitIndex>> = OnceCell::new();
    let indexes = || indexes.get_or_init(|| args.paths.iter().filter_map(|path| GitIndex::find(path)).collect());
    // Many files of a project name the same images.
    let pins: RefCell<BTreeMap<String, Result<lint::Pin, String>>> = RefCell::default();
    // The Dockerfiles that copy more files than are read, each with what it copies.
    let partial: RefCell<BTreeSet<(PathBuf, String)>> = RefCell::default();
    let check = |path: &Path, text: &str, format: SourceFormat| {
        let context = args.context.clone().unwrap_or_else(|| path.parent().unwrap_or(Path::new("")).to_path_buf());
        let passes = |name: &str| projects().iter().any(|project| project.passes(path, name));
        let baked_for = || projects().iter().find_map(|project| project.baked_for(path));
        let built_for = || projects().iter().find_map(|project| project.built_for(path, text));
        let named_archs = || projects().iter().flat_map(|project| project.named_archs(path)).collect();
        let project_file = |file: &str| projects().iter().find_map(|project| project.file(file));
        let host_files = |pattern: &str| {
            let files = host_files(&context, path, pattern);
            if files.len() > lint::CONTEXT_LIMIT {
                partial.borrow_mut().insert((path.to_path_buf(), pattern.to_string()));
            }
            files
        };
        let recorded_mode = |file: &str| {
            let file = context.join(file);
            indexes().iter().find_map(|index| index.is_executable(&file))
        };
        let ignores = |file: &str| lint::is_ignored(&context, path, file);
        let pin = |reference: &Reference| {
            let client = client.as_ref().ok_or("offline")?;
            if let Some(known) = pins.borrow().get(&reference.to_string()) {
                return known.clone();
            }
            let pin = lint::look_up_pin(&|reference| Box::new(client.image(reference)), reference);
            pins.borrow_mut().insert(reference.to_string(), pin.clone());
            pin
        };
        let outside = Outside {
            files: &host_files,
            passes: &passes,
            recorded_mode: &recorded_mode,
            ignores: &ignores,
            baked_for: &baked_for,
            built_for: &built_for,
            named_archs: &named_archs,
            project_file: &project_file,
            file_archs: match format {
                SourceFormat::Dockerfile | SourceFormat::Compose => lint::file_archs(path, text),
                SourceFormat::BakeHcl | SourceFormat::BakeJson | SourceFormat::GithubWorkflow => Vec::new(),
            },
            pin: client.is_some().then_some(&pin as &lint::PinLookup<'_>),
            platforms: platforms.clone(),
            target: args.stage.clone(),
        };
        lint::lint(path, text, format, &outside)
    };
    let mut all = Vec::new();
    for SourceFile { path, text, format } in files {
        let linted = check(&path, &text, format);
        let rewritten = if args.fix { rewrite(&linted, args, shows_diff, out)? } else { None };
        // A dry run does not fix findings.
        let rewritten = rewritten.filter(|_| !args.dry_run);
        all.push(rewritten.map_or(linted, |text| check(&path, &text, format)));
    }
    for (path, copied) in partial.borrow().iter() {
        let text = format!("{}: {copied} has more than {} files", path.display(), lint::CONTEXT_LIMIT);
        write_message(&format!("note: {}; the others are not checked\n", report::escape::visible(&text)));
    }
    let threshold = args.fail_on.threshold();
    let exit_code = exit_code(&all, threshold);
    let run = LintRun { files: &all, exit_code, threshold, took: started.elapsed() };
    let screen = Screen { color: terminal.color, width: terminal.width };
    for (format, path) in &outputs {
        match path {
            None => report::write_lint(&run, *format, screen, out)?,
            Some(path) => {
                let mut text = Vec::new();
                report::write_lint(&run, *format, Screen { color: false, ..screen }, &mut text)?;
                super::write::replace(path, &text).map_err(|error| write_error(path, &error))?;
            }
        }
    }
    Ok(exit_code)
}

impl LintFailOn {
    fn threshold(self) -> Option<Severity> {
        match self {
            LintFailOn::Error => Some(Severity::Error),
            LintFailOn::Warning => Some(Severity::Warning),
            LintFailOn::Note => Some(Severity::Note),
            LintFailOn::Never => None,
        }
    }
}

/// Returns 1 if a finding reaches the threshold, or else 3 if part of a file could not be checked.
fn exit_code(all: &[Linted], threshold: Option<Severity>) -> u8 {
    let worst = all.iter().flat_map(|file| &file.findings).map(|finding| finding.severity).max();
    match () {
        () if threshold.is_some_and(|threshold| worst >= Some(threshold)) => 1,
        () if all.iter().any(|file| !file.problems.is_empty()) => 3,
        () => 0,
    }
}

/// Shows the rewrites of a file as a diff, and applies them unless `--dry-run` is set. The diff goes to stderr if
/// stdout has another format. Returns the rewritten text.
fn rewrite(file: &Linted, args: &LintArgs, shows_diff: bool, out: &mut dyn Write) -> Result<Option<String>, CliError> {
    let safety = if args.r#unsafe { Safety::Unsafe } else { Safety::Safe };
    let fixed = lint::apply(&file.text, &file.findings, safety);
    if fixed.made == 0 {
        return Ok(None);
    }
    let diff = lint::unified_diff(&file.path.display().to_string(), &file.text, &fixed.text);
    match shows_diff {
        true => out.write_all(diff.as_bytes()).and_then(|()| out.flush())?,
        false => write_message(&diff),
    }
    if !args.dry_run {
        super::write::replace(&file.path, fixed.text.as_bytes()).map_err(|error| write_error(&file.path, &error))?;
    }
    Ok(Some(fixed.text))
}

fn write_error(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Unknown { text: format!("{}: {error}", path.display()), hint: None }
}

fn discover_error(error: DiscoverError) -> CliError {
    let text = error.to_string();
    match error {
        DiscoverError::Unreadable { .. } => CliError::Unknown { text, hint: None },
        DiscoverError::TooManyFiles { .. } => CliError::usage(text),
        DiscoverError::UnknownFormat { .. } => CliError::Usage {
            text,
            hint: Some("name it Dockerfile*, *.Dockerfile, compose*.yaml or docker-bake*.hcl".to_string()),
        },
    }
}
