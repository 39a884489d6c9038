//! The command line. Resolves arguments, the environment and the configuration file into settings, and calls the module
//! that implements each subcommand. Each subcommand has its own file. Only this module and `main` read the environment,
//! the clock and the terminal.

mod attest;
mod cache;
#[cfg(feature = "kube")]
mod cluster;
mod composed;
mod config;
mod deadline;
mod diagnose;
mod diff;
mod doctor;
mod environment;
mod explain;
mod fleet;
mod gate;
mod interrupt;
mod lint;
mod manifests;
mod merge;
mod nodes;
mod opening;
mod outputs;
mod peers;
pub mod plugin;
mod progress;
mod rebuild;
mod scan;
mod settings;
mod targets;
mod terminal;
mod tools;
mod tracing;
mod verify;
mod work;
mod workflow;
mod write;

use std::io::Write;

use clap::{Parser, Subcommand};

pub use environment::Environment;
pub use terminal::{Terminal, print_error};

/// Find exec format errors in container images before deployment, and explain them afterwards.
#[derive(Debug, Parser)]
#[command(name = "imgarch", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 fine; 1 findings at or above --fail-on; 2 wrong usage; 3 could not tell.")]
pub struct Args {
    #[command(subcommand)]
    command: CliCommand,
    #[command(flatten)]
    global: Global,
}

/// Flags of every subcommand.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// Suppress progress and notes.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log to stderr: -v logs each request and layer, -vv each decision; credentials are never logged.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

/// When to colour the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Check that the programs of images start and keep running on their platforms and nodes.
    Scan(Box<scan::ScanArgs>),
    /// Find what breaks on other architectures in Dockerfiles, compose files, bake files and workflows.
    Lint(Box<lint::LintArgs>),
    /// Explain why a pod or a log reports an exec format error, and how to fix it.
    Diagnose(Box<diagnose::DiagnoseArgs>),
    /// Judge every image that a cluster runs or may run, on the nodes where it does.
    #[cfg(feature = "kube")]
    Cluster(Box<cluster::ClusterCommandArgs>),
    /// List what an image must run on: a cluster's nodes, this machine, or known CPU profiles.
    Nodes(nodes::NodesArgs),
    /// Build the missing or broken platforms of a tag, verify them, and only then move the tag.
    Rebuild(Box<rebuild::RebuildArgs>),
    /// Check whether this machine can build for other architectures.
    Doctor(doctor::DoctorArgs),
    /// Write the CI file that builds every platform, verifies it, and only then tags.
    Workflow(workflow::WorkflowArgs),
    /// Explain a finding and how to fix it.
    Explain(explain::ExplainArgs),
    /// Merge the saved results of all shards of a scan into one report.
    ///
    /// An image without a result, or a shard that has not run, makes the exit code 3.
    Merge(merge::MergeArgs),
    /// Compare two images: platforms and findings gained and lost.
    ///
    /// Exit codes: 1 the new image gained an error or lost a platform; 3 one of the images could not be read
    /// completely.
    Diff(diff::DiffArgs),
    /// Read the statement that a scan pushed for an image.
    ///
    /// The exit code is that of the attested scan, or 3 without a statement. The signature is not checked:
    /// `cosign verify-attestation` does that.
    Verify(verify::VerifyArgs),
    /// Show or clear the layer cache.
    Cache(cache::CacheArgs),
    /// Show the settings that apply in this directory, and where each comes from.
    Config(config::ConfigCommand),
    /// Print the JSON Schema of `scan --format json`.
    Schema,
    /// Print a shell completion script.
    Completions(tools::CompletionsArgs),
    /// Print the manual page, or write one page per command.
    Man(tools::ManArgs),
}

/// Why a command ended without a report.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Wrong usage or configuration: exit code 2.
    #[error("{text}")]
    Usage { text: String, hint: Option<String> },
    /// Something could not be read: exit code 3.
    #[error("{text}")]
    Unknown { text: String, hint: Option<String> },
    /// Writing the report failed.
    #[error("writing the report: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    pub fn usage(text: impl Into<String>) -> CliError {
        CliError::Usage { text: text.into(), hint: None }
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Usage { .. } => 2,
            CliError::Unknown { .. } | CliError::Output(_) => 3,
        }
    }

    pub fn hint(&self) -> Option<&str> {
        match self {
            CliError::Usage { hint, .. } | CliError::Unknown { hint, .. } => hint.as_deref(),
            CliError::Output(_) => None,
        }
    }
}

/// Runs a command and returns the exit code.
pub fn run(args: Args, out: &mut dyn Write) -> Result<u8, CliError> {
    let environment = &Environment::of_this_process();
    let terminal = &Terminal::of_this_process(&args.global, environment);
    tracing::install(args.global.verbose, terminal);
    interrupt::watch();
    match args.command {
        CliCommand::Scan(scan) => scan::run(&scan, environment, terminal, out),
        CliCommand::Rebuild(rebuild) => rebuild::run(&rebuild, environment, terminal, out),
        CliCommand::Doctor(doctor) => doctor::run(&doctor, environment, terminal, out),
        CliCommand::Lint(lint) => lint::run(&lint, environment, terminal, out),
        CliCommand::Diagnose(diagnose) => diagnose::run(&diagnose, environment, terminal, out),
        #[cfg(feature = "kube")]
        CliCommand::Cluster(cluster) => cluster::run(&cluster, environment, terminal, out),
        CliCommand::Nodes(nodes) => nodes::run(&nodes, environment, terminal, out),
        CliCommand::Workflow(workflow) => workflow::run(&workflow, environment, out),
        CliCommand::Explain(explain) => explain::run(&explain, terminal, out),
        CliCommand::Merge(merge) => merge::run(&merge, environment, terminal, out),
        CliCommand::Diff(diff) => diff::run(&diff, environment, terminal, out),
        CliCommand::Verify(verify) => verify::run(&verify, environment, terminal, out),
        CliCommand::Cache(cache) => terminal.wrap(out, |out| cache::run(&cache, environment, out)),
        CliCommand::Config(config) => {
            terminal.wrap(out, |out| config::run(&config, environment, terminal.screen_width(), out))
        }
        CliCommand::Schema => Ok(tools::schema(out)?),
        CliCommand::Completions(completions) => Ok(tools::completions(&completions, out)?),
        CliCommand::Man(man) => Ok(tools::man(&man, out)?),
    }
}
