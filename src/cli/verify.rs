//! `imgarch verify IMAGE`: reads the statement that a scan pushed, without reading layers.

use std::io::Write;
use std::path::Path;

use super::attest::unknown;
use super::settings::{ConfigArgs, Settings, Typed};
use super::{CliError, Environment, Terminal, opening};
use crate::oci::Reference;
use crate::report::attest;
use crate::report::escape::visible;
use crate::source::{DocumentReadError, ImageRef, ImageSource, Transport};

/// Reads the statement that `imgarch scan --attest-push` pushed for an image. The exit code is that of the attested
/// scan, or 3 without a statement. Only a signature proves who wrote it: `cosign verify-attestation`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Image in a registry.
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
    let refuse = |hint: String| CliError::Usage {
        text: format!("{} is not in a registry; verify reads the statements of images in a registry", args.image),
        hint: Some(hint),
    };
    let reference = match ImageRef::parse(&args.image) {
        ImageRef::Transport { transport: Transport::Registry, rest } => Reference::parse(&rest),
        ImageRef::Bare { text, .. } if Path::new(&text).exists() => {
            return Err(refuse(format!("imgarch verify docker://{text}")));
        }
        ImageRef::Bare { text, .. } => Reference::parse(&text),
        ImageRef::Transport { .. } | ImageRef::Path(_) | ImageRef::Stdin => {
            return Err(refuse(format!("imgarch scan {}", args.image)));
        }
    };
    let reference = reference.map_err(|error| CliError::usage(error.to_string()))?;
    let registry = settings.sources.client().map_err(|error| unknown(&error))?.image(&reference);
    let digest = registry.root().map_err(|error| unknown(&error))?.digest;
    let newest = attest::registry::newest(&registry, &digest).map_err(|error| match error {
        DocumentReadError::Source(error) => unknown(&error),
        error => CliError::Unknown {
            text: format!("reading a statement for {}: {error}", reference.at(&digest)),
            hint: None,
        },
    })?;
    let Some((created, statement)) = newest else {
        return Err(CliError::Unknown {
            text: format!("{reference} ({digest}) has no imgarch statement"),
            hint: Some(format!("imgarch scan --attest-push {}", reference.at(&digest))),
        });
    };
    writeln!(out, "{}  {} ({digest})", statement.verdict, visible(&reference.to_string()))?;
    for (platform, verdict) in &statement.platforms {
        writeln!(out, "  {:20}  {}", visible(platform), visible(verdict))?;
    }
    let (version, created) = (visible(&statement.version), visible(&created));
    writeln!(out, "attested by imgarch {version} at {created}   exit {}", statement.exit_code)?;
    terminal.note("the statement's signature was not checked; check it with cosign verify-attestation");
    Ok(statement.exit_code)
}
