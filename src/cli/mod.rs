//! Resolves arguments, the environment and the configuration file into settings, and makes the one call that each
//! subcommand is. One file for each subcommand. Only this module and `main` read the environment, the clock and the terminal.

mod attest;
mod cache;
#[cfg(feature = "kube")]
mod cluster;
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
pub use terminal::Terminal;

/// Finds exec format errors in container images before they are deployed, and explains them after.
#[derive(Debug, Parser)]
#[command(name = "imgarch", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 fine; 1 findings at or above --fail-on; 2 wrong usage; 3 could not tell.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// Flags that every subcommand takes.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// Suppress progress and notes.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log to stderr: -v each request and layer, -vv each decision. Never a credential.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

/// When a report is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Will every program of these images start, and keep running, where they must run?
    Scan(Box<scan::ScanArgs>),
    /// What in a Dockerfile, compose file, bake file or workflow will break another architecture?
    Lint(Box<lint::LintArgs>),
    /// Why does this pod, or this log, say exec format error, and what helps?
    Diagnose(Box<diagnose::DiagnoseArgs>),
    /// Every image that a cluster runs or may run, judged on the nodes where it does.
    #[cfg(feature = "kube")]
    Cluster(Box<cluster::ClusterCommandArgs>),
    /// What must an image run on: a cluster's nodes, this machine, or known CPU profiles.
    Nodes(nodes::NodesArgs),
    /// Build the missing or broken platforms of a tag, verify them, and only then move the tag.
    Rebuild(Box<rebuild::RebuildArgs>),
    /// Can this machine build for other architectures?
    Doctor(doctor::DoctorArgs),
    /// Write the CI file that builds every platform, verifies it, and only then tags.
    Workflow(workflow::WorkflowArgs),
    /// What a finding means and what cures it.
    Explain(explain::ExplainArgs),
    /// One report of what all shards of a scan have kept.
    Merge(merge::MergeArgs),
    /// What does a new image change: platforms and findings gained and lost.
    Diff(diff::DiffArgs),
    /// Read back what a scan attested of an image in its registry.
    Verify(verify::VerifyArgs),
    /// Show the cache of read layers, or clear it.
    Cache(cache::CacheArgs),
    /// Show the settings that hold here, and where each comes from.
    Config(config::ConfigCommand),
    /// Print the JSON Schema of `scan --format json`.
    Schema,
    /// Print a completion script for a shell.
    Completions(tools::CompletionsArgs),
    /// Print the manual page, or write one page per command.
    Man(tools::ManArgs),
}

/// Why a command did not come to a report.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Wrong usage or configuration: exit code 2.
    #[error("{text}")]
    Usage { text: String, hint: Option<String> },
    /// Something could not be read: exit code 3.
    #[error("{text}")]
    Unknown { text: String, hint: Option<String> },
    /// Writing the answer failed.
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
        Command::Scan(scan) => scan::run(&scan, environment, terminal, out),
        Command::Rebuild(rebuild) => rebuild::run(&rebuild, environment, terminal, out),
        Command::Doctor(doctor) => doctor::run(&doctor, environment, out),
        Command::Lint(lint) => lint::run(&lint, environment, terminal, out),
        Command::Diagnose(diagnose) => diagnose::run(&diagnose, environment, terminal, out),
        #[cfg(feature = "kube")]
        Command::Cluster(cluster) => cluster::run(&cluster, environment, terminal, out),
        Command::Nodes(nodes) => nodes::run(&nodes, environment, terminal, out),
        Command::Workflow(workflow) => workflow::run(&workflow, environment, out),
        Command::Explain(explain) => explain::run(&explain, out),
        Command::Merge(merge) => merge::run(&merge, environment, terminal, out),
        Command::Diff(diff) => diff::run(&diff, environment, terminal, out),
        Command::Verify(verify) => verify::run(&verify, environment, terminal, out),
        Command::Cache(cache) => cache::run(&cache, environment, out),
        Command::Config(config) => config::run(&config, environment, out),
        Command::Schema => Ok(tools::schema(out)?),
        Command::Completions(completions) => Ok(tools::completions(&completions, out)?),
        Command::Man(man) => Ok(tools::man(&man, out)?),
    }
}
