//! `imgarch cluster`: every image that a cluster runs or may run, each once, on the nodes where it does.

use std::io::Write;
use std::time::Instant;

use super::pull_secrets::PullSecrets;
use super::settings::{ConfigArgs, Settings, Typed};
use super::targets::{self, ClusterArgs};
use super::{CliError, Terminal, cache, opening, scan, uses};
use crate::diagnose::overview::{self, overview};
use crate::kube::object::{NodeObject, PodObject};
use crate::kube::workload::of_object;
use crate::kube::{Cluster, KubeError, Scope, Survey, nodes};
use crate::report::cluster as report;
use crate::report::{Format, Style};
use crate::scan::{FailOn, Options, Report};

/// What of the cluster to read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The answer is a summary: what fails now, what will fail, why and where, what could not be told. --full
gives each image's own report instead. Images are read from their registries, each layer once.

Only get and list are asked for: nodes, pods and workloads. What is forbidden is said, and makes the exit code 3.

Examples:
  imgarch cluster
  imgarch cluster -n shop -l app=checkout --format json
  imgarch cluster --pull-secrets --full")]
pub struct ClusterCommandArgs {
    /// Only this namespace; otherwise all.
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only what has these labels, as kubectl's -l.
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    selector: Option<String>,
    /// Read the imagePullSecrets of pods, templates and their service accounts, and use them; needs the right to get
    /// secrets and serviceaccounts.
    #[arg(long)]
    pull_secrets: bool,
    /// Every image's own report instead of the summary.
    #[arg(long)]
    full: bool,
    /// table, json or plain; json has summary and reports both.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: String,
    /// The least severe finding that makes the exit code 1 [default: error].
    #[arg(long, value_enum)]
    fail_on: Option<ClusterFailOn>,
    /// Layers that are read at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    #[command(flatten)]
    cache: cache::CacheFlags,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    sources: opening::SourceArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ClusterFailOn {
    Error,
    Warning,
    Never,
}

impl From<ClusterFailOn> for FailOn {
    fn from(arg: ClusterFailOn) -> FailOn {
        match arg {
            ClusterFailOn::Error => FailOn::Error,
            ClusterFailOn::Warning => FailOn::Warning,
            ClusterFailOn::Never => FailOn::Never,
        }
    }
}

/// What was read of a cluster.
#[derive(Default)]
struct Seen {
    objects: Vec<NodeObject>,
    nodes: nodes::Nodes,
    pods: Vec<PodObject>,
    survey: Survey,
    workloads: usize,
    secrets: PullSecrets,
    /// What could not be listed: the answer is not whole.
    unread: Vec<String>,
}

pub fn run(mut args: ClusterCommandArgs, terminal: &Terminal, out: &mut dyn Write) -> Result<u8, CliError> {
    let started = Instant::now();
    let format = Format::parse(&args.format).ok_or_else(|| CliError::Usage {
        text: format!("there is no format {:?}", args.format),
        hint: Some(format!("formats are {}", Format::names().join(", "))),
    })?;
    let typed = Typed {
        fail_on: args.fail_on.map(FailOn::from),
        jobs: args.jobs,
        cache: args.cache.clone(),
        ..Typed::default()
    };
    let settings = Settings::load(&args.config, typed, &args.sources)?;
    settings.apply_to(&mut args.sources);
    let cluster = targets::connect(&args.cluster)?;
    let seen = see(&args, &cluster);
    args.sources.extra_credentials = seen.secrets.stores();
    let homeless = seen.survey.homeless.clone();
    let uses = seen.survey.uses();
    if uses.is_empty() && homeless.is_empty() && seen.unread.is_empty() {
        return Err(CliError::Unknown { text: "no pod and no workload was found".into(), hint: None });
    }
    let jobs = settings.jobs.value.map_or_else(scan::default_jobs, usize::from);
    let base = Options { jobs, limits: settings.limits(), cache: cache::open(&settings)?, ..Options::default() };
    let mut judged = uses::judge(&args.sources, terminal, uses, &seen.nodes, &base)?;
    let mut found = overview(&overview::Seen {
        uses: &judged.uses,
        reports: &judged.report.images,
        nodes: &seen.nodes,
        pods: &seen.pods,
        workloads: seen.workloads,
    });
    (found.homeless, found.unread) = (homeless, seen.unread);
    let style = Style {
        width: terminal.width,
        color: terminal.color,
        all: false,
        explain: false,
        fail_on: settings.fail_on.value,
        took: started.elapsed(),
        dockerfile: None,
    };
    let code = exit_code(&judged.report, style.fail_on, &found.unread);
    match format {
        Format::Json => report::json(&found, cluster.server(), &judged.report, code, &style, out)?,
        Format::Table if !args.full => report::text(&found, code, &style, out)?,
        _ => {
            worst_first(&mut judged.report);
            crate::report::write(&judged.report, format, &style, out)?;
            terminal.notes(&found.unread);
        }
    }
    Ok(code)
}

/// A gate never passes what it could not see.
fn exit_code(report: &Report, fail_on: FailOn, unread: &[String]) -> u8 {
    match report.exit_code(fail_on) {
        0 if !unread.is_empty() => 3,
        code => code,
    }
}

/// Lists what there is, and what each of it runs.
fn see(args: &ClusterCommandArgs, cluster: &Cluster) -> Seen {
    let scope = Scope { namespace: args.namespace.clone(), selector: args.selector.clone() };
    let mut seen = Seen::default();
    seen.objects = listed("nodes", cluster.nodes(), &mut seen.unread);
    seen.nodes = nodes::group(&seen.objects);
    seen.pods = listed("pods", cluster.pods(&scope), &mut seen.unread);
    for pod in &seen.pods {
        seen.survey.add_pod(pod, &seen.nodes);
        if args.pull_secrets {
            seen.secrets.read_for(cluster, pod.metadata.namespace.as_deref(), &pod.spec, &mut seen.unread);
        }
    }
    for (plural, values) in cluster.workloads(&scope) {
        for value in listed(plural, values, &mut seen.unread) {
            match of_object(&value) {
                Ok(Some(workload)) => {
                    seen.workloads += 1;
                    seen.survey.add_workload(&workload, &seen.objects, &seen.nodes);
                    if args.pull_secrets {
                        let namespace = workload.namespace.as_deref();
                        seen.secrets.read_for(cluster, namespace, &workload.pod, &mut seen.unread);
                    }
                }
                Ok(None) => {}
                Err(error) => seen.unread.push(format!("{plural}: {error}")),
            }
        }
    }
    seen
}

/// What could be listed; what could not is said.
fn listed<T>(what: &str, list: Result<Vec<T>, KubeError>, unread: &mut Vec<String>) -> Vec<T> {
    list.unwrap_or_else(|error| {
        unread.push(format!("{what} were not read: {error}"));
        Vec::new()
    })
}

/// Broken images come last in a terminal, where the eye is; JSON's readers sort by themselves.
fn worst_first(report: &mut Report) {
    report.images.sort_by_key(|image| image.verdict());
}
