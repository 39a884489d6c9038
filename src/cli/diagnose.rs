//! `imgarch diagnose`: explains why a container does not start, from a message, a log, or a pod and its cluster.

use std::io::Write;
use std::path::{Path, PathBuf};
#[cfg(feature = "kube")]
use std::time::{Duration, Instant};

use super::settings::{ConfigArgs, Settings, Typed};
use super::targets::{self, ClusterArgs};
use super::{CliError, Environment, Terminal, opening, scan};
use crate::diagnose::{
    Answer, Circumstances, Evidence, Hole, LIMIT_TEXT, LogContent, Names, Symptom, answer, file, newest_cpu, read_log,
    read_text,
};
use crate::files;
use crate::platform::{Arch, Platform, Target, target};
use crate::report::answer as report;
use crate::scan::{CallOverride, ImageReport, Options};

/// What to diagnose.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  imgarch diagnose checkout-7c9d-x2v4k -n shop      a pod; also deploy/NAME, sts/NAME, job/NAME
  imgarch diagnose --failing -A                     every failing pod
  imgarch diagnose 'exec /app: exec format error'   a message
  kubectl logs checkout-7c9d-x2v4k --previous | imgarch diagnose --log -
  imgarch diagnose --log build.log --image user/app:v1 --target graviton3

Exit codes: 0 a cause was found; 2 wrong usage; 3 could not tell.")]
pub struct DiagnoseArgs {
    /// A pod, a workload as KIND/NAME, or the text of an error.
    #[arg(value_name = "POD|KIND/NAME|MESSAGE", required_unless_present_any = ["log", "failing", "exit_code"])]
    subject: Option<String>,
    /// Read a log; `-` is stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subject", "failing"])]
    log: Option<PathBuf>,
    /// Exit code of the container, alone or in addition to a message or a log.
    #[arg(long, value_name = "CODE", conflicts_with = "failing")]
    exit_code: Option<i32>,
    /// Read this failing image, so that the answer names the file, layer and build step.
    #[arg(long, value_name = "IMAGE", conflicts_with = "failing")]
    image: Option<String>,
    /// The node on which it fails, as for `imgarch scan`.
    #[arg(long, value_name = "TARGET", conflicts_with = "failing")]
    target: Option<String>,
    /// Run this instead of the image's ENTRYPOINT, like `command` in Kubernetes; repeat for each word.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// Diagnose every failing pod in the namespace, or with -A in all namespaces.
    #[arg(long, conflicts_with = "subject")]
    failing: bool,
    /// Read this namespace [default: the kubeconfig context's].
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// With --failing: read all namespaces.
    #[arg(long, short = 'A', requires = "failing", conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Do not read the image; use only what the cluster reports.
    #[arg(long, conflicts_with = "image")]
    no_image: bool,
    /// Output format.
    #[arg(long, value_enum, default_value_t = report::AnswerStyle::Text)]
    format: report::AnswerStyle,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    sources: opening::SourceArgs,
}

pub fn run(
    args: &DiagnoseArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let is_cluster = args.log.is_none()
        && match &args.subject {
            Some(subject) => !is_message(subject),
            None => args.failing,
        };
    refuse_unused(args, is_cluster)?;
    let settings = Settings::load(&args.config, Typed::default(), &args.sources, environment)?;
    let log = match (&args.log, &args.subject) {
        (Some(path), _) => Some(read(path)?),
        _ if is_cluster => None,
        (None, Some(subject)) => Some(read_text(subject)),
        (None, None) => Some(LogContent::default()),
    };
    let is_cut = log.as_ref().is_some_and(|log| log.is_cut);
    let pod = log.as_ref().and_then(|log| log.pod.clone());
    let answers = match log {
        Some(log) => of_log(args, &settings, environment, terminal, &log)?,
        None => match of_cluster(args, &settings, environment, terminal)? {
            Some(answers) => answers,
            // Nothing fails, which is a success.
            None => return Ok(0),
        },
    };
    if answers.is_empty() && is_cut {
        return Err(CliError::Unknown {
            text: format!("no message in the first {LIMIT_TEXT} of the log explains why a program did not start"),
            hint: args
                .log
                .as_ref()
                .filter(|path| path.is_file())
                .map(|path| format!("pass its end: tail -c 100M {} | imgarch diagnose --log -", path.display())),
        });
    }
    if is_cut {
        terminal.notes(&[format!("the log is longer than {LIMIT_TEXT}; the rest was not read")]);
    }
    if answers.is_empty() {
        return Err(CliError::Unknown {
            text: "no message in the input explains why a program did not start".to_string(),
            hint: Some(match (pod, &args.image) {
                (Some(pod), _) => format!("imgarch diagnose {pod}   # reads its image, node and log from the cluster"),
                (None, Some(image)) => format!("imgarch scan {image}   # lists what is wrong with the image itself"),
                (None, None) => {
                    "pass the container's log, from kubectl logs --previous or docker logs, or --image and --target"
                        .to_string()
                }
            }),
        });
    }
    report::write(&answers, args.format, terminal.width, out)?;
    Ok(0)
}

/// Answers that take longer are noted one by one, before the report that groups them.
#[cfg(feature = "kube")]
const PATIENCE: Duration = Duration::from_secs(1);

/// Names of pods and workloads contain neither whitespace nor colons.
fn is_message(subject: &str) -> bool {
    subject.contains(char::is_whitespace) || subject.contains(':')
}

/// Refuses options that would have no effect: those about a message with a pod, and those about a cluster with a message.
fn refuse_unused(args: &DiagnoseArgs, is_cluster: bool) -> Result<(), CliError> {
    let refused = |given: &[(bool, &str)], why: &str, hint: &str| match given.iter().find(|(is_given, _)| *is_given) {
        Some((_, option)) => {
            Err(CliError::Usage { text: format!("{option} has no effect {why}"), hint: Some(hint.to_string()) })
        }
        None => Ok(()),
    };
    let of_message = [
        (args.image.is_some(), "--image"),
        (args.target.is_some(), "--target"),
        (args.exit_code.is_some(), "--exit-code"),
        (!args.entrypoint.is_empty(), "--entrypoint"),
    ];
    let of_cluster = [
        (args.namespace.is_some(), "--namespace"),
        (args.cluster.context.is_some(), "--context"),
        (args.cluster.kubeconfig.is_some(), "--kubeconfig"),
    ];
    if is_cluster {
        let hint = match (&args.subject, &args.namespace) {
            (Some(subject), None) => format!("kubectl logs {subject} --previous | imgarch diagnose --log -"),
            (Some(subject), Some(namespace)) => {
                format!("kubectl logs {subject} -n {namespace} --previous | imgarch diagnose --log -")
            }
            (None, _) => "pass the log of one container with --log".to_string(),
        };
        let why = "on pods: the cluster states their images, commands, nodes and exit codes";
        return refused(&of_message, why, &hint);
    }
    refused(&of_cluster, "on a message or a log", "name a pod or a workload to read the cluster")?;
    let without_image = [(args.no_image, "--no-image"), (!args.entrypoint.is_empty(), "--entrypoint")];
    match args.image {
        None => refused(&without_image, "without an image", "name the failing image with --image"),
        Some(_) => Ok(()),
    }
}

/// Reads a log of any size; `-` is stdin.
fn read(path: &Path) -> Result<LogContent, CliError> {
    let read = match path.as_os_str() == "-" {
        true => read_log(std::io::stdin().lock()),
        false => files::open_endless(path).and_then(read_log),
    };
    read.map_err(|error| CliError::usage(format!("reading {}: {error}", path.display())))
}

fn of_log(
    args: &DiagnoseArgs,
    settings: &Settings,
    environment: &Environment,
    terminal: &Terminal,
    log: &LogContent,
) -> Result<Vec<Answer>, CliError> {
    let symptoms = &log.symptoms;
    let circumstances = Circumstances {
        exit_code: args.exit_code,
        has_output: args.log.as_ref().map(|_| log.has_text),
        goes_on: log.goes_on,
        ..Circumstances::default()
    };
    let found = args.target.as_deref().map(|text| targets::of_text(text, environment)).transpose()?.unwrap_or_default();
    terminal.notes(&found.notes);
    let target = found.targets.into_iter().next().or_else(|| named_target(symptoms));
    let given = (!args.entrypoint.is_empty()).then(|| args.entrypoint.clone());
    let read =
        |image: &str, call: CallOverride| read_image(settings, terminal, image, target.iter().cloned().collect(), call);
    let target_name = target.as_ref().map(|target| target.name.as_str());
    let (mut image, mut file) = (None, None);
    if let Some(name) = args.image.as_deref() {
        let named = file::read_as_library(symptoms);
        let report = read(name, CallOverride { entrypoint: given, named, ..CallOverride::default() })?;
        // If the start path does not lead through the file that the log names, the file is judged separately.
        if let Some(path) = file::to_judge(symptoms, &report, target_name) {
            let call = CallOverride { entrypoint: Some(vec![path]), args: Some(Vec::new()), ..CallOverride::default() };
            file = Some(read(name, call)?);
        }
        image = Some(report);
    }
    let names = Names {
        image: args.image.clone().or_else(|| log.image.clone()),
        target: target.as_ref().map(target::text),
        platform: target.as_ref().map(|target| to_build(target).to_string()),
        path: file::named_path(symptoms),
        pod: log.pod.clone(),
        ..Names::default()
    };
    let judged = image.as_ref().map(|report| (report, target_name));
    let source = log.source.clone();
    let evidence = Evidence {
        symptoms,
        circumstances,
        names,
        source,
        judged,
        file: file.as_ref(),
        has_newest_cpu: target.as_ref().is_some_and(|target| newest_cpu::has_every_level(&target.node)),
        ..Evidence::default()
    };
    Ok(answer(&evidence).into_iter().collect())
}

/// The node's platform, if a message names it: `linux/arm64/v8`, `arm64`, or podman's `arm64", variant "v8"`.
fn named_target(symptoms: &[Symptom]) -> Option<Target> {
    let named = symptoms.iter().flat_map(|symptom| &symptom.named).filter(|(hole, _)| *hole == Hole::Node);
    let platforms =
        named.filter_map(|(_, text)| Platform::parse(&text.split(['"', ',', ' ']).next()?.to_ascii_lowercase()).ok());
    platforms.filter_map(|platform| Target::of_platform(&platform)).next()
}

/// The platform to build for. The variant of amd64 is the level of the node's CPU, which few images have.
fn to_build(target: &Target) -> Platform {
    let is_level = target.node.arch == Arch::Amd64;
    Platform { variant: target.platform.variant.clone().filter(|_| !is_level), ..target.platform.clone() }
}

/// Reads and judges one image on these targets. Parts that cannot be read become notes.
fn read_image(
    settings: &Settings,
    terminal: &Terminal,
    image: &str,
    targets: Vec<Target>,
    call: CallOverride,
) -> Result<ImageReport, CliError> {
    let options = Options { targets, call, ..settings.options() };
    let report = scan::read_one(&settings.sources.opener(options.cache.as_ref())?, settings, terminal, image, &options);
    let notes: Vec<String> = report.problems.iter().map(|problem| format!("{image}: {}", problem.text)).collect();
    terminal.notes(&notes);
    Ok(report)
}

#[cfg(not(feature = "kube"))]
fn of_cluster(_: &DiagnoseArgs, _: &Settings, _: &Environment, _: &Terminal) -> Result<Option<Vec<Answer>>, CliError> {
    Err(targets::without_kube())
}

/// Answers for the pods of a cluster. `None` if `--failing` found no failing pod.
#[cfg(feature = "kube")]
fn of_cluster(
    args: &DiagnoseArgs,
    settings: &Settings,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Option<Vec<Answer>>, CliError> {
    use crate::diagnose::cluster::{self, ClusterError, PodQuestion};
    let connected = targets::connect(&args.cluster, environment)?;
    let question = PodQuestion {
        subject: args.subject.as_deref(),
        namespace: args.namespace.as_deref(),
        all_namespaces: args.all_namespaces,
    };
    let opener = match args.no_image || settings.sources.is_offline {
        true => None,
        false => Some(settings.sources.opener(None)?),
    };
    // Bars of images that are read side by side would overwrite each other.
    let bars = if args.failing { Terminal { progress: false, quiet: true, ..*terminal } } else { *terminal };
    let read = |image: &str, targets: Vec<Target>, call: CallOverride| {
        let options = Options { targets, call, ..settings.options() };
        scan::read_one(opener.as_ref().expect("images are read only with an opener"), settings, &bars, image, &options)
    };
    let started = Instant::now();
    let show = |answer: &Answer| {
        if args.failing && started.elapsed() >= PATIENCE {
            terminal.note(&format!("{}: {}", report::subject(answer), answer.suspect.row().sentence));
        }
    };
    let read = opener.as_ref().map(|_| &read as cluster::ReadImage<'_>);
    let mut notes = Vec::new();
    let answers = cluster::diagnose(&connected, question, read, &show, &mut notes);
    terminal.notes(&notes);
    match answers {
        Ok(answers) => Ok(Some(answers)),
        Err(error @ ClusterError::NothingFails { .. }) if args.failing => {
            terminal.note(&error.to_string());
            Ok(None)
        }
        Err(ClusterError::Kube(error)) => Err(targets::refused(&error)),
        Err(error @ ClusterError::NoSelector { .. }) => Err(CliError::usage(error.to_string())),
        Err(error @ ClusterError::NothingFails { .. }) => Err(CliError::Unknown {
            text: error.to_string(),
            hint: Some("to look in every namespace: imgarch diagnose --failing -A".to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_for_every_cpu_of_its_architecture() {
        for (node, built) in [("linux/amd64/v4", "linux/amd64"), ("linux/arm/v7", "linux/arm/v7")] {
            let target = Target::of_platform(&Platform::parse(node).unwrap()).unwrap();
            assert_eq!(to_build(&target).to_string(), built);
        }
    }
}
