//! `imgarch merge`: reports the saved results of all shards of a run.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use super::outputs::outputs;
use super::scan::FailOnArg;
use super::settings::{ConfigArgs, Settings, Typed};
use super::{CliError, Environment, Terminal, cache, fleet, gate, opening, scan};
use crate::cache::StoreAccess;
use crate::report::{ReportFormat, ReportStyle};
use crate::scan::{FailOn, results};

/// Reports the results that the shards of a run saved with `scan --results PLACE`, like one scan of all images. If an
/// image has no result or a shard has not run, the exit code is 3.
#[derive(Debug, clap::Args)]
pub struct MergeArgs {
    /// Location of the results: a directory, s3://BUCKET/PREFIX, gs:// or az://.
    place: String,
    #[arg(long, value_name = "NAME[=FILE]", default_value = "table", help = ReportFormat::help())]
    format: Vec<String>,
    /// Write the report to this file instead of stdout.
    #[arg(long, short = 'o', value_name = "FILE")]
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
    /// Reject the results of shards that started more than this many seconds ago.
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
    let outputs = outputs(&args.format, args.output.as_deref(), ReportFormat::parse, &ReportFormat::names())?;
    let typed =
        Typed { fail_on: args.fail_on.map(FailOn::from), baseline: args.gate.baseline.clone(), ..Typed::default() };
    let settings = Settings::load(&args.config, typed, &opening::SourceArgs::default(), environment)?;
    let store = cache::store(&settings, &args.place, StoreAccess::Read)?;
    let oldest = args.max_age.map_or(0, |age| environment.unix_seconds().saturating_sub(age));
    let mut merged = results::merge(&store, &cache::build(), oldest).map_err(|error| CliError::Unknown {
        text: error.to_string(),
        hint: Some("first scan with --results and the same location, using the same version of imgarch".into()),
    })?;
    fleet::note_artifacts(&merged.artifacts, terminal);
    let report = &mut merged.report;
    gate::apply(report, &settings, &args.gate, terminal)?;
    let style = ReportStyle {
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
