//! `imgarch scan`: reads images, reports findings, and returns the exit code for CI.

use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::manifests::Manifests;
use super::outputs::{ReportOutput, outputs};
use super::progress::Progress;
use super::settings::{self, Settings, Typed};
use super::work::{ScanWork, Work};
use super::{CliError, Environment, Terminal, attest, cache, deadline, fleet, gate, opening, targets};
use crate::files;
use crate::judge::facts::purpose;
use crate::platform::{Platform, Target};
use crate::report::{self, ReportFormat, ReportStyle};
use crate::scan::{self, CallOverride, DigestTrust, FailOn, ImageReport, Mounts, Options, ReadDepth, Report, Watch};
use crate::source::input::ImageOpener;
use crate::source::transport::TRANSPORTS;

/// What to scan, what to judge it against, and how to report it.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct ScanArgs {
    /// Images, or files: programs, release archives, packages.
    #[arg(value_name = "IMAGE", required_unless_present_any = ["images_from", "manifest", "registry"])]
    images: Vec<String>,
    /// Scan the images of a manifest: Kubernetes objects of any kind (also Helm or kustomize output) or a Compose file,
    /// with the commands of its spec; `-` is stdin; repeatable. With nodes as targets (k8s, nodes.json), each image is
    /// judged on the nodes that nodeSelector, affinity and tolerations allow; otherwise on the platforms that these
    /// name.
    #[arg(long, short = 'f', value_name = "FILE")]
    manifest: Vec<PathBuf>,
    /// Read image names from a file, one per line; `-` is stdin. `#` starts a comment.
    #[arg(long, value_name = "FILE")]
    images_from: Option<PathBuf>,
    /// Read only this platform of an index; repeatable [default: all platforms]. A file that is not an image is judged
    /// against this platform, or by default against the platform in its name.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<String>,
    /// Judge for this node: a platform with properties (linux/arm64,page=64k,aarch32=no), a CPU profile (graviton4),
    /// `host`, a cluster's nodes (k8s, k8s:CONTEXT), or a saved `kubectl get nodes -o json`; repeatable. By default
    /// each platform is judged as declared.
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// Run this instead of the image's ENTRYPOINT, like `command` in Kubernetes; repeat for each word.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// Use this argument instead of the image's CMD, like `args` in Kubernetes; repeat for each word.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    arg: Vec<String>,
    #[arg(long, value_name = "NAME[=FILE]", default_value = "table", help = ReportFormat::help())]
    format: Vec<String>,
    /// Write the report to this file instead of stdout.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Exit with 1 on findings of this severity or above [default: error].
    #[arg(long, value_enum)]
    fail_on: Option<FailOnArg>,
    /// Exit with 3 if the startup of an image could not be followed to its main program.
    #[arg(long)]
    strict: bool,
    /// Report every image, and list every file in each group, including intentionally foreign files.
    #[arg(long)]
    all: bool,
    /// Show the chain from the entrypoint, and the errors that container tools print.
    #[arg(long)]
    explain: bool,
    /// Disable a rule that excuses foreign files; repeatable. `imgarch explain foreign-on-purpose` lists the rules.
    #[arg(long, value_name = "RULE")]
    off: Vec<String>,
    /// Dockerfile that built the image, so that findings can name its lines.
    #[arg(long, value_name = "PATH")]
    dockerfile: Option<PathBuf>,
    /// With a root filesystem: also read the filesystems mounted below it.
    #[arg(long)]
    cross_file_systems: bool,
    /// Read uncompressed layers of local archives and layouts only in part, without verifying their digests. Much
    /// faster.
    #[arg(long, conflicts_with_all = ["attest", "attest_push"])]
    trust_local: bool,
    /// Read eStargz and zstd:chunked layers, and gzip layers with a SOCI index, only in part, with range requests. Their
    /// diffIDs are not verified.
    #[arg(long, conflicts_with_all = ["attest", "attest_push"])]
    lazy: bool,
    /// Number of layers to read in parallel.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    #[command(flatten)]
    fleet: fleet::FleetArgs,
    #[command(flatten)]
    cache: settings::CacheFlags,
    #[command(flatten)]
    config: settings::ConfigArgs,
    #[command(flatten)]
    gate: gate::GateArgs,
    #[command(flatten)]
    attest: attest::AttestArgs,
    #[command(flatten)]
    pub sources: opening::SourceArgs,
}

/// Builds the end of the help: the forms of IMAGE, from the table of transports, and examples.
fn after_help() -> String {
    let mut text = "\
IMAGE is a reference (user/app:v1), a path to an archive, layout or directory, `-` for an archive on
stdin, or a transport:
"
    .to_string();
    for row in TRANSPORTS {
        text += &format!("  {:<32} {}\n", format!("{}{}", row.prefix, row.argument), row.help);
    }
    text + "
Other files are also read: a program (ELF, Mach-O, PE), a release archive (zip, or tar compressed
with gzip, xz, zstd or bzip2), a .deb, .rpm, .apk, wheel, jar or AppImage. Each program in it must
be for --platform, or for the platform in the file's name.

Examples:
  imgarch scan user/app:latest
  imgarch scan --target graviton4 --target linux/amd64 user/app:v1
  docker save user/app | imgarch scan -
  imgarch scan dist/tool-linux-arm64.tar.xz dist/*.deb
  helm template shop | imgarch scan -f - --target k8s:prod
  imgarch scan rootfs:./rootfs --entrypoint /app --target linux/arm64,page=16k --format json"
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOnArg {
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

pub fn run(
    args: &ScanArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let started = Instant::now();
    let outputs = outputs(&args.format, args.output.as_deref(), ReportFormat::parse, &ReportFormat::names())?;
    let mut images = images(args)?;
    let typed = Typed {
        targets: args.target.clone(),
        fail_on: args.fail_on.map(FailOn::from),
        jobs: args.jobs,
        baseline: args.gate.baseline.clone(),
        cache: args.cache.clone(),
    };
    let settings = Settings::load(&args.config, typed, &args.sources, environment)?;
    let platforms = platforms(args)?;
    let target_texts = settings.targets_for(&platforms);
    let targets = targets::of_texts(&target_texts, environment, terminal)?;
    let options = Options { cache: cache::open(&settings)?, ..options(args, &settings, platforms, targets)? };
    let opener = settings.sources.opener(options.cache.as_ref())?;
    if args.fleet.registry.is_some() {
        if settings.offline.value {
            return Err(CliError::usage("--registry cannot be used offline"));
        }
        let client = settings.sources.client().map_err(|error| CliError::usage(error.to_string()))?;
        images.extend(fleet::images_of_registry(&args.fleet, &client, &opener, terminal)?);
    }
    let mut work = Work::new(args.fleet.part.shard(environment)?);
    work.add_images(images);
    let manifests = Manifests { files: &args.manifest, targets: &target_texts };
    let (nodes, others) = manifests.add_to(&mut work, environment, terminal)?;
    let how = ScanWork {
        opener: &opener,
        settings: &settings,
        options: &options,
        use_options: &Options { targets: others, ..options.clone() },
        nodes: &nodes,
        leaves_out_artifacts: args.fleet.registry.is_some(),
    };
    let mut judged = work.judge(&how, &args.fleet.part, environment, terminal)?;
    let report = &mut judged.report;
    if args.fleet.registry.is_some() {
        fleet::note_artifacts(&report.take_artifacts(), terminal);
    }
    gate::apply(report, &settings, &args.gate, terminal)?;
    let fail_on = settings.fail_on.value;
    let style = ReportStyle {
        width: terminal.width,
        color: terminal.color,
        all: args.all,
        explain: args.explain,
        each_image: args.all || args.explain,
        fail_on,
        took: started.elapsed(),
        now: environment.unix_seconds(),
        dockerfile: args.dockerfile.as_deref().and_then(std::path::Path::to_str),
    };
    write_outputs(report, &outputs, &style, out)?;
    if outputs.iter().any(|(format, _)| *format == ReportFormat::Github) {
        gate::write_step_summary(report, &style, environment)?;
    }
    attest::run(report, &style, &args.attest, &settings, environment, terminal)?;
    let code = exit_code(report, fail_on, args.strict);
    judged.check_kept()?;
    Ok(code)
}

/// Returns the exit code. With `strict`, a start that could not be followed to its end counts as unknown.
pub fn exit_code(report: &Report, fail_on: FailOn, strict: bool) -> u8 {
    match report.exit_code(fail_on) {
        0 if strict && report.is_partial() => 3,
        code => code,
    }
}

/// Reads and judges these images within the run's deadline, showing progress.
pub fn read(
    opener: &ImageOpener,
    settings: &Settings,
    terminal: &Terminal,
    images: &[String],
    options: &Options,
) -> Report {
    watched(settings, terminal, options, |options, watch| scan::scan(images, &|name| opener.open(name), options, watch))
}

/// Reads and judges one image, like [`read`].
pub fn read_one(
    opener: &ImageOpener,
    settings: &Settings,
    terminal: &Terminal,
    image: &str,
    options: &Options,
) -> ImageReport {
    let mut report = read(opener, settings, terminal, &[image.to_string()], options);
    report.images.pop().expect("a scan reports each image that was named")
}

fn watched<T>(
    settings: &Settings,
    terminal: &Terminal,
    options: &Options,
    run: impl FnOnce(&Options, &Arc<dyn Watch>) -> T,
) -> T {
    let progress = Progress::new(terminal);
    let watch: Arc<dyn Watch> = progress.clone();
    let options = Options { deadline: deadline::begin(settings.deadline.value, &progress), ..options.clone() };
    let done = run(&options, &watch);
    progress.finish();
    cache::trim(&options, terminal);
    done
}

pub fn write_outputs(
    report: &Report,
    outputs: &[ReportOutput<ReportFormat>],
    style: &ReportStyle,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    for (format, path) in outputs {
        match path {
            None => report::write(report, *format, style, out)?,
            Some(path) => {
                let mut text = Vec::new();
                report::write(report, *format, &ReportStyle { color: false, ..*style }, &mut text)?;
                super::write::replace(path, &text).map_err(|error| CliError::Unknown {
                    text: format!("writing {}: {error}", path.display()),
                    hint: None,
                })?;
            }
        }
    }
    Ok(())
}

/// The maximum size of a Dockerfile, in bytes.
const DOCKERFILE_LIMIT: u64 = 4 << 20;

/// The maximum size of a list of image names, in bytes. The list may come from an untrusted source.
const LIST_LIMIT: u64 = 16 << 20;

fn images(args: &ScanArgs) -> Result<Vec<String>, CliError> {
    let manifests = args.manifest.iter().chain(&args.images_from).filter(|path| path.as_os_str() == "-").count();
    if manifests + args.images.iter().filter(|name| *name == "-").count() > 1 {
        return Err(CliError::usage("`-` was given more than once, but stdin can only be read once"));
    }
    let mut images = args.images.clone();
    if let Some(path) = &args.images_from {
        let refuse = |error: std::io::Error| CliError::Usage {
            text: format!("reading the image list {}: {error}", path.display()),
            hint: None,
        };
        let reader: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(std::io::stdin())
        } else {
            files::open_named(path).map_err(refuse)?
        };
        let mut list = reader.take(LIST_LIMIT + 1);
        for line in std::io::BufReader::new(&mut list).lines() {
            let line = line.map_err(refuse)?;
            // Windows editors may begin a file with a byte order mark.
            let name = line.trim_start_matches('\u{feff}').split('#').next().unwrap_or_default().trim();
            if !name.is_empty() {
                images.push(name.to_string());
            }
        }
        if list.limit() == 0 {
            let limit = LIST_LIMIT >> 20;
            return Err(CliError::usage(format!("the image list {} exceeds {limit} MiB", path.display())));
        }
    }
    if images.is_empty() && args.manifest.is_empty() && args.fleet.registry.is_none() {
        return Err(CliError::usage("no image given"));
    }
    Ok(images)
}

fn platforms(args: &ScanArgs) -> Result<Vec<Platform>, CliError> {
    let parse = |text: &String| Platform::parse(text).map_err(|error| CliError::usage(error.to_string()));
    args.platform.iter().map(parse).collect()
}

fn options(
    args: &ScanArgs,
    settings: &Settings,
    platforms: Vec<Platform>,
    targets: Vec<Target>,
) -> Result<Options, CliError> {
    let known = purpose::rule_names();
    if let Some(unknown) = args.off.iter().find(|name| !known.contains_key(name.as_str())) {
        let names: Vec<&str> = known.keys().copied().collect();
        return Err(CliError::Usage {
            text: format!("unknown rule {unknown:?}"),
            hint: Some(format!("expected one of {}", names.join(", "))),
        });
    }
    let dockerfile = args.dockerfile.as_deref().map(|path| targets::read_text(path, DOCKERFILE_LIMIT)).transpose()?;
    let given = |words: &[String]| (!words.is_empty()).then(|| words.to_vec());
    Ok(Options {
        platforms,
        targets,
        call: CallOverride { entrypoint: given(&args.entrypoint), args: given(&args.arg), ..CallOverride::default() },
        rules_off: args.off.iter().cloned().collect::<BTreeSet<_>>(),
        dockerfile,
        mounts: if args.cross_file_systems { Mounts::Followed } else { Mounts::LeftOut },
        trust: if args.trust_local { DigestTrust::Local } else { DigestTrust::None },
        reading: if args.lazy { ReadDepth::Lazy } else { ReadDepth::Full },
        ..settings.options()
    })
}
