//! `imgarch cluster`: every image that a cluster runs or may run, each once, on the nodes where it does.

use std::io::Write;
use std::time::Instant;

use super::targets::{self, ClusterArgs};
use super::{CliError, Terminal, opening, scan, uses};
use crate::kube::workload::of_object;
use crate::kube::{Cluster, KubeError, Scope, Survey, nodes};
use crate::report::{self, Format, Style};
use crate::scan::{FailOn, Options, Report};

/// What of the cluster to read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only get and list are asked for: nodes, pods and workloads. What is forbidden is said, and makes the exit code 3.

Examples:
  imgarch cluster
  imgarch cluster -n shop -l app=checkout --format json")]
pub struct ClusterCommandArgs {
    /// Only this namespace; otherwise all.
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only what has these labels, as kubectl's -l.
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    selector: Option<String>,
    /// Read the pods' imagePullSecrets and use them; needs the right to get secrets.
    #[arg(long)]
    pull_secrets: bool,
    /// table, json or plain.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: String,
    /// The least severe finding that makes the exit code 1.
    #[arg(long, value_enum, default_value_t = ClusterFailOn::Error)]
    fail_on: ClusterFailOn,
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

/// What was read of a cluster.
struct Seen {
    survey: Survey,
    /// What could not be listed: the answer is not whole.
    unread: Vec<String>,
}

pub fn run(args: ClusterCommandArgs, terminal: &Terminal, out: &mut dyn Write) -> Result<u8, CliError> {
    let started = Instant::now();
    let format = Format::parse(&args.format).ok_or_else(|| CliError::Usage {
        text: format!("there is no format {:?}", args.format),
        hint: Some(format!("formats are {}", Format::names().join(", "))),
    })?;
    let cluster = targets::connect(&args.cluster)?;
    let scope = Scope { namespace: args.namespace.clone(), selector: args.selector.clone() };
    let mut unread = Vec::new();
    let objects = listed("nodes", cluster.nodes(), &mut unread);
    let nodes = nodes::group(&objects);
    let mut seen = Seen { survey: Survey::default(), unread };
    let mut sources = args.sources;
    // The files of pull secrets live as long as images are read.
    let mut secrets = Vec::new();
    let pods = listed("pods", cluster.pods(&scope), &mut seen.unread);
    for pod in &pods {
        seen.survey.add_pod(pod, &nodes);
        if args.pull_secrets {
            let names = pod.spec.image_pull_secrets.iter().map(|secret| secret.name.as_str());
            keep_secrets(&cluster, pod.metadata.namespace.as_deref(), names, &mut secrets, &mut seen.unread)?;
        }
    }
    for (plural, values) in cluster.workloads(&scope) {
        for value in listed(plural, values, &mut seen.unread) {
            match of_object(&value) {
                Ok(Some(workload)) => seen.survey.add_workload(&workload, &objects, &nodes),
                Ok(None) => {}
                Err(error) => seen.unread.push(format!("{plural}: {error}")),
            }
        }
    }
    sources.extra_credentials = secrets.iter().map(|(_, file)| file.path().to_path_buf()).collect();
    uses::homeless(&seen.survey, terminal);
    let uses = seen.survey.uses();
    if uses.is_empty() && seen.unread.is_empty() {
        return Err(CliError::Unknown { text: "no pod and no workload was found".into(), hint: None });
    }
    let base = Options { jobs: scan::default_jobs(), ..Options::default() };
    let mut report = uses::judge(&sources, terminal, &uses, &nodes, &base)?;
    worst_first(&mut report);
    let fail_on = match args.fail_on {
        ClusterFailOn::Error => FailOn::Error,
        ClusterFailOn::Warning => FailOn::Warning,
        ClusterFailOn::Never => FailOn::Never,
    };
    let style = Style {
        width: terminal.width,
        color: terminal.color,
        all: false,
        explain: false,
        fail_on,
        took: started.elapsed(),
        dockerfile: None,
    };
    report::write(&report, format, &style, out)?;
    terminal.notes(&seen.unread);
    let code = report.exit_code(fail_on);
    // A gate never passes what it could not see.
    Ok(if code == 0 && !seen.unread.is_empty() { 3 } else { code })
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

/// A secret's name with its namespace, and the file that holds it.
type Secret = (String, tempfile::NamedTempFile);

/// Writes pull secrets to private files, as a container engine's login would; they are gone with this process.
fn keep_secrets<'a>(
    cluster: &Cluster,
    namespace: Option<&str>,
    names: impl Iterator<Item = &'a str>,
    secrets: &mut Vec<Secret>,
    unread: &mut Vec<String>,
) -> Result<(), CliError> {
    let namespace = namespace.unwrap_or("default");
    for name in names {
        let title = format!("{namespace}/{name}");
        if secrets.iter().any(|(known, _)| *known == title) {
            continue;
        }
        match cluster.pull_secret(namespace, name) {
            Ok(Some(config)) => {
                let mut file = tempfile::NamedTempFile::new()?;
                file.write_all(&config)?;
                secrets.push((title, file));
            }
            Ok(None) => {}
            Err(error) => {
                let text = format!("pull secret {title}: {error}");
                if !unread.contains(&text) {
                    unread.push(text);
                }
            }
        }
    }
    Ok(())
}
