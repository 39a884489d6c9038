//! Resolves `--target` into nodes: this machine, a saved list of nodes, or a cluster.

use std::path::{Path, PathBuf};

use super::{CliError, Environment, Terminal};
use crate::files;
use crate::host;
use crate::kube::object::NodeObject;
use crate::kube::{Nodes, manifest, nodes};
use crate::platform::target::{self, TargetText};
use crate::platform::{Platform, Target};

/// The maximum size of a list of nodes. The largest clusters have 15,000 nodes of about 20 KiB each.
const NODES_BYTES: u64 = 512 << 20;

/// The targets of one `--target` value, and notes for the user.
#[derive(Debug, Default)]
pub struct ResolvedTargets {
    pub targets: Vec<Target>,
    pub notes: Vec<String>,
}

/// Resolves one value of `--target`.
pub fn of_text(text: &str, environment: &Environment) -> Result<ResolvedTargets, CliError> {
    let usage =
        |text: String| CliError::Usage { text, hint: Some("imgarch nodes --profiles lists the CPU profiles".into()) };
    match target::parse(text).map_err(|error| usage(error.to_string()))? {
        TargetText::Given(targets) => Ok(ResolvedTargets { targets, notes: Vec::new() }),
        TargetText::Host => {
            let reading = host::read(&environment.temporary).map_err(|error| usage(error.to_string()))?;
            Ok(ResolvedTargets { targets: vec![reading.target], notes: reading.notes })
        }
        TargetText::File(path) => Ok(of_nodes(&of_file(&path)?)),
        TargetText::Cluster(context) => {
            Ok(of_nodes(&of_cluster(&ClusterArgs { context, kubeconfig: None }, environment)?))
        }
    }
}

/// Resolves all values of `--target`. Notes go to stderr.
pub fn of_texts(texts: &[String], environment: &Environment, terminal: &Terminal) -> Result<Vec<Target>, CliError> {
    let mut targets = Vec::new();
    for text in texts {
        let found = of_text(text, environment)?;
        terminal.notes(&found.notes);
        targets.extend(found.targets);
    }
    Ok(targets)
}

/// Returns the values with a target for one of these platforms, or all values without platforms. Keeps values that only
/// a cluster or this machine can resolve.
pub fn within(texts: &[String], platforms: &[Platform]) -> Vec<String> {
    let is_wanted = |target: &Target| {
        platforms.iter().any(|p| (&p.os, &p.architecture) == (&target.platform.os, &target.platform.architecture))
    };
    let is_within = |text: &&String| match target::parse(text) {
        Ok(TargetText::Given(targets)) => targets.iter().any(is_wanted),
        _ => true,
    };
    if platforms.is_empty() {
        return texts.to_vec();
    }
    texts.iter().filter(is_within).cloned().collect()
}

fn of_nodes(nodes: &Nodes) -> ResolvedTargets {
    let targets =
        nodes.groups.iter().map(|group| Target { name: nodes.title(group), ..group.target.clone() }).collect();
    let notes = nodes.skipped.iter().map(|(name, reason)| format!("skipping node {name}: it {reason}")).collect();
    ResolvedTargets { targets, notes }
}

/// Returns the nodes of a value that names a cluster or a saved list; `None` for other targets.
pub fn objects_of_text(text: &str, environment: &Environment) -> Result<Option<Vec<NodeObject>>, CliError> {
    match target::parse(text) {
        Ok(TargetText::File(path)) => objects_of_file(&path).map(Some),
        Ok(TargetText::Cluster(context)) => {
            objects_of_cluster(&ClusterArgs { context, kubeconfig: None }, environment).map(Some)
        }
        _ => Ok(None),
    }
}

/// Returns the groups of a saved list of nodes; `-` is stdin.
pub fn of_file(path: &Path) -> Result<Nodes, CliError> {
    Ok(nodes::group(&objects_of_file(path)?))
}

fn objects_of_file(path: &Path) -> Result<Vec<NodeObject>, CliError> {
    let text = read_text(path, NODES_BYTES)?;
    manifest::read_nodes(&path.display().to_string(), &text)
        .map_err(|error| CliError::Usage { text: error.to_string(), hint: None })
}

/// Reads a text file, or stdin for `-`.
pub fn read_text(path: &Path, limit: u64) -> Result<String, CliError> {
    let refuse = |cause: String| CliError::usage(format!("reading {}: {cause}", path.display()));
    let read = match path.as_os_str() == "-" {
        true => files::read_to_limit(std::io::stdin(), limit),
        false => files::read_named(path, limit),
    };
    Ok(String::from_utf8_lossy(&read.map_err(|error| refuse(error.to_string()))?).into_owned())
}

/// Flags that select a cluster.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Kubeconfig context [default: the current context].
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// Kubeconfig file [default: KUBECONFIG, then ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// Returns the groups of a cluster's nodes.
pub fn of_cluster(args: &ClusterArgs, environment: &Environment) -> Result<Nodes, CliError> {
    Ok(nodes::group(&objects_of_cluster(args, environment)?))
}

#[cfg(feature = "kube")]
fn objects_of_cluster(args: &ClusterArgs, environment: &Environment) -> Result<Vec<NodeObject>, CliError> {
    connect(args, environment)?.nodes().map_err(|error| refused(&error))
}

#[cfg(not(feature = "kube"))]
fn objects_of_cluster(_: &ClusterArgs, _: &Environment) -> Result<Vec<NodeObject>, CliError> {
    Err(without_kube())
}

#[cfg(not(feature = "kube"))]
pub fn without_kube() -> CliError {
    CliError::Usage {
        text: "this imgarch was built without the kube feature and cannot query clusters".to_string(),
        hint: Some(
            "save the nodes first: kubectl get nodes -o json > nodes.json, then --target nodes.json".to_string(),
        ),
    }
}

/// Connects as kubectl would: --kubeconfig, then KUBECONFIG, then ~/.kube/config, then the pod's service account.
#[cfg(feature = "kube")]
pub fn connect(args: &ClusterArgs, environment: &Environment) -> Result<crate::kube::Cluster, CliError> {
    use crate::kube::{Cluster, ClusterAccess};
    let home = environment.path("HOME").map(|home| home.join(".kube/config"));
    let is_in_cluster = environment.path("KUBERNETES_SERVICE_HOST").is_some();
    let files = match (&args.kubeconfig, environment.paths("KUBECONFIG")) {
        (Some(file), _) => vec![file.clone()],
        (None, Some(listed)) => listed,
        (None, None) => home.into_iter().collect::<Vec<_>>(),
    };
    let has_file = files.iter().any(|file| file.exists());
    let access = match !has_file && is_in_cluster && args.kubeconfig.is_none() {
        true => ClusterAccess::InCluster,
        false => ClusterAccess::Kubeconfig { files, context: args.context.clone() },
    };
    Cluster::connect(&access).map_err(|error| refused(&error))
}

/// Converts a cluster's refusal: something could not be read.
#[cfg(feature = "kube")]
pub fn refused(error: &crate::kube::KubeError) -> CliError {
    CliError::Unknown { text: error.to_string(), hint: error.hint().map(str::to_string) }
}
