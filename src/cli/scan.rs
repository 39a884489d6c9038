//! `imgarch scan`: reads images and reports; the exit code is a gate's answer.

use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outputs::{Output, outputs};
use super::progress::Progress;
use super::settings::{self, Settings, Typed};
use super::{CliError, Terminal, attest, cache, deadline, gate, opening, targets, uses};
use crate::judge::purpose;
use crate::platform::Platform;
use crate::report::{self, Format, Style};
use crate::scan::{self, CallOverride, FailOn, Options, Report, Watch};

/// What to scan, against what, and how to say it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
IMAGE is a reference (user/app:v1), a path to an archive, layout or directory, `-` for an archive on
standard input, or a transport: docker://, docker-daemon:, containers-storage:, oci:, oci-archive:,
docker-archive:, dir:, containerd:NAMESPACE/REF, rootfs:DIR.

Examples:
  imgarch scan user/app:latest
  imgarch scan --target graviton4 --target linux/amd64 user/app:v1
  docker save user/app | imgarch scan -
  helm template shop | imgarch scan -f - --target k8s:prod
  imgarch scan rootfs:./rootfs --entrypoint /app --target linux/arm64,page=16k --format json")]
pub struct ScanArgs {
    /// Images to scan.
    #[arg(value_name = "IMAGE", required_unless_present_any = ["images_from", "manifest"])]
    images: Vec<String>,
    /// Scan what a manifest runs: Kubernetes objects (Helm's and kustomize's output too) or a Compose file, with its
    /// commands and arguments; `-` is standard input; repeatable. With nodes as targets (k8s, nodes.json), each image is
    /// judged on those that nodeSelector, affinity and tolerations leave.
    #[arg(long, short = 'f', value_name = "FILE")]
    manifest: Vec<PathBuf>,
    /// Read image names from a file, one a line; `-` is standard input. `#` starts a comment.
    #[arg(long, value_name = "FILE")]
    images_from: Option<PathBuf>,
    /// Read only this platform of an index; repeatable. Without it every platform is read.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<String>,
    /// Judge for this node: a platform with properties (linux/arm64,page=64k,aarch32=no), a CPU profile
    /// (graviton4), `host`, a cluster's nodes (k8s, k8s:CONTEXT), or a saved `kubectl get nodes -o json`; repeatable. Without it each platform is judged as declared.
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// Start this instead of the image's ENTRYPOINT, as Kubernetes' `command` does; repeat for each word.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// Arguments instead of the image's CMD, as Kubernetes' `args`; repeat for each word.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    arg: Vec<String>,
    #[arg(long, value_name = "NAME[=FILE]", default_value = "table", help = Format::help())]
    format: Vec<String>,
    /// The least severe finding that makes the exit code 1 [default: error].
    #[arg(long, value_enum)]
    fail_on: Option<FailOnArg>,
    /// List every file of a group, and what is foreign on purpose.
    #[arg(long)]
    all: bool,
    /// Show the chain from the entrypoint, and what each front end prints.
    #[arg(long)]
    explain: bool,
    /// Switch off a rule by which files are foreign on purpose; repeatable. `imgarch explain foreign-on-purpose` lists them.
    #[arg(long, value_name = "RULE")]
    off: Vec<String>,
    /// The Dockerfile that built the image: findings name its line.
    #[arg(long, value_name = "PATH")]
    dockerfile: Option<PathBuf>,
    /// Layers that are read at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    #[command(flatten)]
    cache: cache::CacheFlags,
    #[command(flatten)]
    config: settings::ConfigArgs,
    #[command(flatten)]
    gate: gate::GateArgs,
    #[command(flatten)]
    attest: attest::AttestArgs,
    #[command(flatten)]
    pub sources: opening::SourceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FailOnArg {
    Error,
    Warning,
    Never,
}

impl From<FailOnArg> for FailOn {
    fn from(arg: FailOnArg) -> FailOn {
        match arg {
            FailOnArg::Error => FailOn::Error,
            FailOnArg::Warning => FailOn::Warning,
            FailOnArg::Never => FailOn::Never,
        }
    }
}

pub fn run(mut args: ScanArgs, terminal: &Terminal, out: &mut dyn Write) -> Result<u8, CliError> {
    let started = Instant::now();
    let outputs = outputs(&args.format, Format::parse, &Format::names())?;
    let images = images(&args)?;
    let settings = settings(&mut args)?;
    let options = Options { limits: settings.limits(), cache: cache::open(&settings)?, ..options(&args, terminal)? };
    let mut report = match images.as_slice() {
        [] => Report::default(),
        images => read(&args.sources, terminal, images, &options)?,
    };
    if !args.manifest.is_empty() {
        report.images.append(&mut of_manifests(&args, terminal, options)?.images);
    }
    gate::apply(&mut report, &settings, &args.gate, terminal)?;
    let fail_on = settings.fail_on.value;
    let style = |took: Duration| Style {
        width: terminal.width,
        color: terminal.color,
        all: args.all,
        explain: args.explain,
        fail_on,
        took,
        dockerfile: args.dockerfile.as_deref().and_then(std::path::Path::to_str),
    };
    let style = style(started.elapsed());
    write_outputs(&report, &outputs, &style, out)?;
    if outputs.iter().any(|(format, _)| *format == Format::Github) {
        gate::write_step_summary(&report, &style)?;
    }
    attest::run(&report, &style, &args.attest, &args.sources, terminal)?;
    Ok(report.exit_code(fail_on))
}

/// What manifests run, each image with its own start, on the nodes that it may be given.
fn of_manifests(args: &ScanArgs, terminal: &Terminal, options: Options) -> Result<Report, CliError> {
    let mut objects = Vec::new();
    let mut others = Vec::new();
    for text in &args.target {
        match targets::objects_of_text(text)? {
            Some(nodes) => objects.extend(nodes),
            None => others.extend(targets::of_text(text)?.targets),
        }
    }
    let nodes = crate::kube::nodes::group(&objects);
    let uses = uses::of_manifests(&args.manifest, terminal, &objects, &nodes)?;
    let judged = uses::judge(&args.sources, terminal, uses, &nodes, &Options { targets: others, ..options })?;
    Ok(judged.report)
}

/// Reads and judges these images with the flags on where images are, showing how far it is.
pub fn read(
    sources: &opening::SourceArgs,
    terminal: &Terminal,
    images: &[String],
    options: &Options,
) -> Result<Report, CliError> {
    let opener = opening::Opener::new(sources)?;
    let progress = Arc::new(Progress::new(terminal));
    let watch: Arc<dyn Watch> = progress.clone();
    let options = &Options { deadline: deadline::begin(sources.deadline(), &progress), ..options.clone() };
    let report = scan::scan(images, &|name| opener.open(name), options, &watch);
    progress.finish();
    cache::trim(options, terminal);
    Ok(report)
}

/// What holds, written back to the flags that the file and the environment may give too.
fn settings(args: &mut ScanArgs) -> Result<Settings, CliError> {
    let typed = Typed {
        targets: args.target.clone(),
        fail_on: args.fail_on.map(FailOn::from),
        jobs: args.jobs,
        baseline: args.gate.baseline.clone(),
        cache: args.cache.clone(),
    };
    let settings = Settings::load(&args.config, typed, &args.sources)?;
    args.target = match settings.targets.origin {
        settings::Origin::Flag => settings.targets.value.clone(),
        // What a project says of all its nodes holds for those of the platforms that are looked at.
        _ => targets::within(&settings.targets.value, &platforms(args)?),
    };
    args.jobs = settings.jobs.value;
    settings.apply_to(&mut args.sources);
    Ok(settings)
}

fn write_outputs(
    report: &Report,
    outputs: &[Output<Format>],
    style: &Style,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    for (format, path) in outputs {
        match path {
            None => report::write(report, *format, style, out)?,
            Some(path) => {
                let mut text = Vec::new();
                report::write(report, *format, &Style { color: false, ..*style }, &mut text)?;
                super::write::replace(path, &text).map_err(|error| CliError::Unknown {
                    text: format!("writing {}: {error}", path.display()),
                    hint: None,
                })?;
            }
        }
    }
    Ok(())
}

/// Names of a list of images are bounded: it is text that somebody else may have written.
const LIST_LIMIT: u64 = 16 << 20;

fn images(args: &ScanArgs) -> Result<Vec<String>, CliError> {
    let manifests = args.manifest.iter().chain(&args.images_from).filter(|path| path.as_os_str() == "-").count();
    if manifests + args.images.iter().filter(|name| *name == "-").count() > 1 {
        return Err(CliError::usage("`-` is there more than once, and standard input can be read once"));
    }
    let mut images = args.images.clone();
    if let Some(path) = &args.images_from {
        let refuse = |error: std::io::Error| CliError::Usage {
            text: format!("reading the list of images {}: {error}", path.display()),
            hint: None,
        };
        let reader: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(path).map_err(refuse)?)
        };
        for line in std::io::BufReader::new(reader.take(LIST_LIMIT)).lines() {
            let line = line.map_err(refuse)?;
            // Windows' editors begin a file with a mark.
            let name = line.trim_start_matches('\u{feff}').split('#').next().unwrap_or_default().trim();
            if !name.is_empty() {
                images.push(name.to_string());
            }
        }
    }
    if images.is_empty() && args.manifest.is_empty() {
        return Err(CliError::usage("no image was named"));
    }
    Ok(images)
}

fn platforms(args: &ScanArgs) -> Result<Vec<Platform>, CliError> {
    let parse = |text: &String| Platform::parse(text).map_err(|error| CliError::usage(error.to_string()));
    args.platform.iter().map(parse).collect()
}

fn options(args: &ScanArgs, terminal: &Terminal) -> Result<Options, CliError> {
    let platforms = platforms(args)?;
    let mut targets = Vec::new();
    for text in &args.target {
        let found = targets::of_text(text)?;
        terminal.notes(&found.notes);
        targets.extend(found.targets);
    }
    let known = purpose::rule_names();
    if let Some(unknown) = args.off.iter().find(|name| !known.contains_key(name.as_str())) {
        let names: Vec<&str> = known.keys().copied().collect();
        return Err(CliError::Usage {
            text: format!("there is no rule {unknown:?}"),
            hint: Some(format!("rules are {}", names.join(", "))),
        });
    }
    let dockerfile = match &args.dockerfile {
        None => None,
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|error| CliError::usage(format!("reading {}: {error}", path.display())))?,
        ),
    };
    let given = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    Ok(Options {
        platforms,
        targets,
        call: CallOverride { entrypoint: given(&args.entrypoint), args: given(&args.arg) },
        rules_off: args.off.iter().cloned().collect::<BTreeSet<_>>(),
        dockerfile,
        jobs: args.jobs.map_or_else(default_jobs, usize::from),
        ..Options::default()
    })
}

/// Layers are the unit of parallel work; more than 16 at once only cost memory.
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(4, usize::from).clamp(2, 16)
}
