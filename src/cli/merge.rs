//! `imgarch merge`: one report of what all shards of a run have kept.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use super::outputs::outputs;
use super::scan::FailOnArg;
use super::settings::{ConfigArgs, Settings, Typed};
use super::{CliError, Environment, Terminal, cache, fleet, gate, opening, scan};
use crate::cache::Access;
use crate::report::{Format, Style};
use crate::scan::{FailOn, results};

/// Reports what the shards of a run kept with `scan --results PLACE`, as one scan of all images would. An image that has no
/// result and a shard that has not run make the exit code 3.
#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// Where the results are: a directory, s3://BUCKET/PREFIX, gs:// or az://.
    place: String,
    #[arg(long, value_name = "NAME[=FILE]", default_value = "table", help = Format::help())]
    format: Vec<String>,
    /// Write the report to this file instead of standard output.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// The least severe finding that makes the exit code 1 [default: error].
    #[arg(long, value_enum)]
    fail_on: Option<FailOnArg>,
    /// Exit with 3 where the start of an image could not be followed to its end.
    #[arg(long)]
    strict: bool,
    /// Report each image, however many there are; list every file of a group, and what is foreign on purpose.
    #[arg(long)]
    all: bool,
    /// Show the chain from the entrypoint, and what each front end prints.
    #[arg(long)]
    explain: bool,
    /// Take no shard's results that was started longer ago.
    #[arg(long, value_name = "SECONDS")]
    max_age: Option<u64>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    gate: gate::GateArgs,
}

pub fn run(
    args: &MergeArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let started = Instant::now();
    let outputs = outputs(&args.format, args.output.as_deref(), Format::parse, &Format::names())?;
    let typed =
        Typed { fail_on: args.fail_on.map(FailOn::from), baseline: args.gate.baseline.clone(), ..Typed::default() };
    let settings = Settings::load(&args.config, typed, &opening::SourceArgs::default(), environment)?;
    let store = cache::store(&settings, &args.place, Access::Read)?;
    let oldest = args.max_age.map_or(0, |age| environment.unix_seconds().saturating_sub(age));
    let mut merged = results::merge(&store, &cache::build(), oldest).map_err(|error| CliError::Unknown {
        text: error.to_string(),
        hint: Some("scan with --results of the same place first, by the same imgarch".into()),
    })?;
    fleet::note_artifacts(&merged.artifacts, terminal);
    let report = &mut merged.report;
    gate::apply(report, &settings, &args.gate, terminal)?;
    let style = Style {
        width: terminal.width,
        color: terminal.color,
        all: args.all,
        explain: args.explain,
        each_image: args.all || args.explain,
        fail_on: settings.fail_on.value,
        took: started.elapsed(),
        now: environment.unix_seconds(),
        dockerfile: None,
    };
    scan::write_outputs(report, &outputs, &style, out)?;
    Ok(scan::exit_code(report, style.fail_on, args.strict))
}
