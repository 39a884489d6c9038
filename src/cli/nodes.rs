//! `imgarch nodes`: lists what an image must run on: a cluster's nodes, a saved list of them, this machine, or known
//! CPU profiles.

use std::io::Write;
use std::path::PathBuf;

use super::targets::{self, ClusterArgs};
use super::{CliError, Environment, Terminal};
use crate::platform::PROFILES;
use crate::report::nodes as report;

/// Which nodes to show.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  imgarch nodes                              the current context's cluster
  imgarch nodes --context prod --format json
  kubectl get nodes -o json | imgarch nodes -f -
  imgarch nodes --profiles")]
pub struct NodesArgs {
    /// List the known CPU profiles, with each fact, its certainty and its source.
    #[arg(long, conflicts_with_all = ["file", "context", "kubeconfig", "host"])]
    profiles: bool,
    /// Show this machine.
    #[arg(long, conflicts_with_all = ["file", "context", "kubeconfig"])]
    host: bool,
    /// Read a saved `kubectl get nodes -o json` (or -o yaml); `-` is stdin.
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with_all = ["context", "kubeconfig"])]
    file: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = report::NodesFormat::Table)]
    format: report::NodesFormat,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub fn run(
    args: &NodesArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    if args.profiles {
        report::profiles(PROFILES, args.format, terminal.width, out)?;
        return Ok(0);
    }
    if args.host {
        let found = targets::of_text("host", environment)?;
        report::targets(&found.targets, args.format, terminal.width, out)?;
        terminal.notes(&found.notes);
        return Ok(0);
    }
    let nodes = match &args.file {
        Some(path) => targets::of_file(path)?,
        None => targets::of_cluster(&args.cluster, environment)?,
    };
    report::groups(&nodes, args.format, terminal.width, out)?;
    Ok(0)
}
