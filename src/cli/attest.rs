//! `--attest` and `--attest-push`: write the verdict as an in-toto statement to a file, or push it to the registry.

use std::path::PathBuf;

use super::settings::Settings;
use super::{CliError, Environment, Terminal, gate};
use crate::oci::Reference;
use crate::report::{ReportStyle, attest};
use crate::scan::Report;
use crate::source::SourceError;

/// Flags for attestations.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Attestation")]
pub struct AttestArgs {
    /// Write an in-toto statement of the verdict, for `cosign attest`.
    #[arg(long, value_name = "FILE")]
    attest: Option<PathBuf>,
    /// Push the statement to the registry as a referrer of the image; `imgarch verify` reads it back. It is not signed.
    #[arg(long)]
    attest_push: bool,
}

/// Writes and pushes the requested statements.
pub fn run(
    report: &Report,
    style: &ReportStyle<'_>,
    args: &AttestArgs,
    settings: &Settings,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<(), CliError> {
    if args.attest.is_none() && !args.attest_push {
        return Ok(());
    }
    let statement = attest::statement(report, style)?.ok_or_else(|| CliError::Unknown {
        text: "nothing to attest: no image with a digest was read".into(),
        hint: None,
    })?;
    if let Some(path) = &args.attest {
        gate::write_whole(path, &statement)?;
    }
    if args.attest_push {
        let client = settings.sources.client().map_err(|error| unknown(&error))?;
        let created = environment.rfc3339();
        for image in &report.images {
            let Some(digest) = &image.digest else { continue };
            let Some(reference) = image.origin.registry() else {
                terminal.note(&format!("{} is not in a registry, so its statement is not pushed", image.name));
                continue;
            };
            let reference = Reference::parse(&reference.at(digest)).expect("a name and a digest form a reference");
            let pushed = attest::registry::push(&client.image(&reference), digest, &statement, &created);
            let pushed = pushed.map_err(|error| unknown(&error))?;
            terminal.note(&format!("pushed the statement for {reference}: {pushed}"));
        }
    }
    Ok(())
}

pub fn unknown(error: &SourceError) -> CliError {
    CliError::Unknown { text: error.to_string(), hint: error.hint().map(str::to_string) }
}
