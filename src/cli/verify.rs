//! `imgarch verify IMAGE`: reads back what a scan attested, without reading a layer.

use std::io::Write;

use super::attest::unknown;
use super::settings::{ConfigArgs, Settings, Typed};
use super::{CliError, Environment, Terminal, opening};
use crate::oci::Reference;
use crate::report::attest;
use crate::report::escape::visible;
use crate::source::{DocumentReadError, ImageRef, Source, Transport};

/// Reads the statement that `imgarch scan --attest-push` put beside an image. Its exit code is that of the attested
/// scan; 3 where there is no statement. Who wrote it is told by a signature only: `cosign verify-attestation`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The image in its registry.
    image: String,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    sources: opening::SourceArgs,
}

pub fn run(
    args: &VerifyArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let settings = Settings::load(&args.config, Typed::default(), &args.sources, environment)?;
    let reference = match ImageRef::parse(&args.image) {
        ImageRef::Transport { transport: Transport::Registry, rest } => Reference::parse(&rest),
        ImageRef::Transport { .. } | ImageRef::Path(_) | ImageRef::Stdin | ImageRef::Bare { .. } => {
            Reference::parse(&args.image)
        }
    };
    let reference = reference.map_err(|error| CliError::usage(error.to_string()))?;
    let registry = settings.sources.client().map_err(|error| unknown(&error))?.image(&reference);
    let digest = registry.root().map_err(|error| unknown(&error))?.digest;
    let newest = attest::registry::newest(&registry, &digest).map_err(|error| match error {
        DocumentReadError::Source(error) => unknown(&error),
        error => {
            CliError::Unknown { text: format!("reading a statement on {}: {error}", reference.at(&digest)), hint: None }
        }
    })?;
    let Some((created, said)) = newest else {
        return Err(CliError::Unknown {
            text: format!("{reference} ({digest}) has no statement of imgarch"),
            hint: Some(format!("imgarch scan --attest-push {}", reference.at(&digest))),
        });
    };
    writeln!(out, "{}  {} ({digest})", said.verdict, visible(&reference.to_string()))?;
    for (platform, verdict) in &said.platforms {
        writeln!(out, "  {:20}  {}", visible(platform), visible(verdict))?;
    }
    writeln!(out, "attested by imgarch {} at {}   exit {}", visible(&said.version), visible(&created), said.exit_code)?;
    terminal.note("the statement's signature was not checked: cosign verify-attestation does that");
    Ok(said.exit_code)
}
