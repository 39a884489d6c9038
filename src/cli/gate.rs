//! Applies the project's policy and baseline to a scan, and writes the summary of a GitHub workflow step.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::settings::Settings;
use super::{CliError, Environment, Terminal, write};
use crate::config::{self, Baseline, Policy};
use crate::files;
use crate::report::{self, ReportFormat, ReportStyle};
use crate::scan::Report;

/// Flags for accepted findings.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct GateArgs {
    /// Accept the findings listed in this file and fail only on new ones [env: IMGARCH_BASELINE].
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write all findings of this run to the baseline.
    #[arg(long)]
    pub update_baseline: bool,
}

/// The maximum size of a baseline, in bytes: enough for about a million findings.
const BASELINE_LIMIT: u64 = 256 << 20;

/// Applies the project's policy to a report. Notes about the policy go to stderr.
pub fn apply(report: &mut Report, settings: &Settings, args: &GateArgs, terminal: &Terminal) -> Result<(), CliError> {
    let path = settings.baseline.value.as_deref();
    let mut policy = settings.policy();
    if args.update_baseline {
        let path = path.ok_or_else(|| CliError::Usage {
            text: "--update-baseline needs --baseline".into(),
            hint: Some("--baseline imgarch-baseline.json --update-baseline".into()),
        })?;
        for note in config::apply(report, &policy, settings.today) {
            terminal.note(&note);
        }
        let text = Baseline::text_of(report);
        write_whole(path, text.as_bytes())?;
        let baseline = Baseline::parse(&text).expect("a written baseline can be parsed");
        terminal.note(&format!("wrote {} findings to {}", baseline.len(), path.display()));
        policy = Policy { baseline: Some(baseline), ..Policy::default() };
    } else if let Some(path) = path {
        policy.baseline = Some(read_baseline(path)?);
    }
    for note in config::apply(report, &policy, settings.today) {
        terminal.note(&note);
    }
    Ok(())
}

fn read_baseline(path: &Path) -> Result<Baseline, CliError> {
    let text = files::read_named_text(path, BASELINE_LIMIT).map_err(|error| CliError::Usage {
        text: format!("reading the baseline {}: {error}", path.display()),
        hint: Some("--update-baseline writes it".into()),
    })?;
    Baseline::parse(&text).map_err(|error| CliError::usage(format!("{}: {error}", path.display())))
}

/// Writes a file atomically.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    write::replace(path, bytes)
        .map_err(|error| CliError::Unknown { text: format!("writing {}: {error}", path.display()), hint: None })
}

/// Appends the Markdown report to the step summary if this runs in a GitHub workflow.
pub fn write_step_summary(report: &Report, style: &ReportStyle<'_>, environment: &Environment) -> Result<(), CliError> {
    let Some(path) = environment.path("GITHUB_STEP_SUMMARY") else { return Ok(()) };
    let mut text = Vec::new();
    report::write(report, ReportFormat::Markdown, style, &mut text)?;
    let file = std::fs::File::options().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(&text)).map_err(|error| CliError::Unknown {
        text: format!("writing the step summary {}: {error}", path.display()),
        hint: None,
    })
}
