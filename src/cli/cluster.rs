//! `imgarch cluster`: judges every image that a cluster runs or may run, on the nodes where it does, reading each once.

use std::collections::HashSet;
use std::io::Write;
use std::time::Instant;

use super::fleet::PartArgs;
use super::settings::{CacheFlags, ConfigArgs, Settings, Typed};
use super::targets::{self, ClusterArgs};
use super::work::{ScanWork, Work};
use super::{CliError, Environment, Terminal, cache, opening};
use crate::diagnose::overview::{self, overview};
use crate::kube::Scope;
use crate::kube::inventory::{Inventory, Secrets};
use crate::report::cluster as report;
use crate::report::{ReportFormat, ReportStyle};
use crate::scan::{FailOn, ImageReport, Options, Problem, Report, Shard};
use crate::source::Origin;

/// Which objects of the cluster to read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The report is a summary: what fails now, what will fail, why and where, and what could not be
judged. --full writes a report for each image instead. Images are read from their registries, each
layer once.

imgarch only uses get and list, on nodes, pods and workloads. Forbidden requests are reported, and
the exit code is 3.

Examples:
  imgarch cluster
  imgarch cluster -n shop -l app=checkout --format json
  imgarch cluster --pull-secrets --full")]
pub struct ClusterCommandArgs {
    /// Read only this namespace [default: all namespaces].
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Read only objects with these labels, as with kubectl's -l.
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    selector: Option<String>,
    /// Use the imagePullSecrets of pods, pod templates and their service accounts; needs permission to get secrets and
    /// serviceaccounts.
    #[arg(long)]
    pull_secrets: bool,
    /// Report each image instead of the summary.
    #[arg(long)]
    full: bool,
    /// Output format, as for `imgarch scan`; json contains both the summary and the reports.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: String,
    /// Exit with 1 on findings of this severity or above [default: error].
    #[arg(long, value_enum)]
    fail_on: Option<ClusterFailOn>,
    /// Number of layers to read in parallel.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    cache: CacheFlags,
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

pub fn run(
    args: &ClusterCommandArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let started = Instant::now();
    let format = ReportFormat::parse(&args.format).ok_or_else(|| CliError::Usage {
        text: format!("unknown format {:?}", args.format),
        hint: Some(format!("expected one of {}", ReportFormat::names().join(", "))),
    })?;
    let typed = Typed {
        fail_on: args.fail_on.map(FailOn::from),
        jobs: args.jobs,
        cache: args.cache.clone(),
        ..Typed::default()
    };
    let settings = Settings::load(&args.config, typed, &args.sources, environment)?;
    let cluster = targets::connect(&args.cluster, environment)?;
    let scope = Scope { namespace: args.namespace.clone(), selector: args.selector.clone() };
    let secrets = if args.pull_secrets { Secrets::Read } else { Secrets::Leave };
    let seen = Inventory::read(&cluster, &scope, secrets);
    terminal.notes(&seen.notes);
    let homeless = seen.survey.homeless.clone();
    let uses = seen.survey.uses();
    if uses.is_empty() && homeless.is_empty() && seen.unread.is_empty() {
        return Err(CliError::Unknown { text: "no pods or workloads found".into(), hint: None });
    }
    let base = Options { cache: cache::open(&settings)?, ..settings.options() };
    let opener = settings.sources.clone().with_credentials(seen.credentials).opener(base.cache.as_ref())?;
    let shard = args.part.shard(environment)?;
    let mut work = Work::new(shard);
    work.add_uses(uses);
    if !seen.unread.is_empty() {
        work.add_separate(unread(cluster.server(), &seen.unread));
    }
    let how = ScanWork {
        opener: &opener,
        settings: &settings,
        options: &base,
        use_options: &base,
        nodes: &seen.nodes,
        leaves_out_artifacts: false,
    };
    let mut judged = work.judge(&how, &args.part, environment, terminal)?;
    let mut found = overview(&overview::ClusterFacts {
        uses: &judged.uses,
        reports: &judged.report.images,
        nodes: &seen.nodes,
        pods: &seen.pods,
        workloads: seen.workloads,
    });
    if shard != Shard::WHOLE {
        // Other shards report the pods of their images.
        let own: HashSet<&str> = judged.uses.iter().flat_map(|one| &one.used_by).map(String::as_str).collect();
        found.others.retain(|failing| own.contains(failing.used_by.as_str()));
    }
    (found.pods, found.homeless, found.unread) = (seen.pod_count, homeless, seen.unread);
    let style = ReportStyle {
        width: terminal.width,
        color: terminal.color,
        all: false,
        explain: false,
        each_image: true,
        fail_on: settings.fail_on.value,
        took: started.elapsed(),
        now: environment.unix_seconds(),
        dockerfile: None,
    };
    let code = exit_code(&judged.report, style.fail_on, &found.unread);
    match format {
        ReportFormat::Json => report::json(&found, cluster.server(), &judged.report, code, &style, out)?,
        ReportFormat::Table if !args.full => {
            let shown = report::ClusterReport { overview: &found, uses: &judged.uses, reports: &judged.report.images };
            report::text(&shown, code, &style, out)?;
        }
        _ => {
            worst_first(&mut judged.report);
            crate::report::write(&judged.report, format, &style, out)?;
            terminal.notes(&found.unread);
        }
    }
    judged.check_kept()?;
    Ok(code)
}

/// Reports what the API server did not return, for merged results.
fn unread(server: &str, texts: &[String]) -> ImageReport {
    let mut report = ImageReport::new(server, Origin::Unopened);
    report.problems.extend(texts.iter().map(|text| Problem::new(text.clone(), None)));
    report
}

/// Returns 3 instead of 0 if parts of the cluster could not be read.
fn exit_code(report: &Report, fail_on: FailOn, unread: &[String]) -> u8 {
    match report.exit_code(fail_on) {
        0 if !unread.is_empty() => 3,
        code => code,
    }
}

/// Sorts broken images last, next to the prompt of a terminal. JSON consumers sort for themselves.
fn worst_first(report: &mut Report) {
    report.images.sort_by_key(|image| image.verdict());
}
