//! `imgarch verify IMAGE`: reads back what a scan attested, without reading a layer.

use std::io::{Read, Write};

use serde_json::Value;

use super::attest::{STATEMENT_TYPE, unknown};
use super::settings::{ConfigArgs, Settings};
use super::{CliError, Terminal, opening};
use crate::oci::{Descriptor, Digest, Reference};
use crate::report::attest::{self, Said};
use crate::report::escape::visible;
use crate::source::registry::Registry;
use crate::source::{Source, SourceError};

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

/// Referrers that are looked at: signatures and SBOMs of the busiest images are some ten.
const MAX_REFERRERS: usize = 256;

/// Bytes of a statement or its manifest; the report of a large image is some hundred KiB.
const STATEMENT_LIMIT: u64 = 64 << 20;

pub fn run(mut args: VerifyArgs, terminal: &Terminal, out: &mut dyn Write) -> Result<u8, CliError> {
    Settings::of_sources(&args.config, &mut args.sources)?;
    let name = args.image.strip_prefix("docker://").unwrap_or(&args.image);
    let reference = Reference::parse(name).map_err(|error| CliError::usage(error.to_string()))?;
    let registry = opening::registry_client(&args.sources).map_err(unknown)?.image(&reference);
    let digest = registry.root().map_err(unknown)?.digest;
    let mut newest: Option<(String, Said)> = None;
    for referrer in registry.referrers(&digest).map_err(unknown)?.iter().take(MAX_REFERRERS) {
        let Some((created, said)) = statement(&registry, referrer, &digest).map_err(unknown)? else { continue };
        if newest.as_ref().is_none_or(|(known, _)| *known <= created) {
            newest = Some((created, said));
        }
    }
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

/// What a referrer states, and when it was made; nothing where it is something else.
fn statement(
    registry: &Registry,
    referrer: &Descriptor,
    digest: &Digest,
) -> Result<Option<(String, Said)>, SourceError> {
    let Ok(manifest) = serde_json::from_slice::<Value>(&content(registry, referrer)?) else { return Ok(None) };
    let layer = &manifest["layers"][0];
    if manifest["artifactType"] != STATEMENT_TYPE || layer["mediaType"] != STATEMENT_TYPE {
        return Ok(None);
    }
    let created = manifest["annotations"]["org.opencontainers.image.created"].as_str().unwrap_or_default();
    let named = layer["digest"].as_str().and_then(|text| text.parse::<Digest>().ok()).zip(layer["size"].as_u64());
    let Some((of_layer, size)) = named else { return Ok(None) };
    let bytes = content(registry, &Descriptor::new(STATEMENT_TYPE, of_layer, size))?;
    Ok(attest::read(&bytes, digest).map(|said| (created.to_string(), said)))
}

/// The content that a descriptor names, held to its digest.
fn content(registry: &Registry, descriptor: &Descriptor) -> Result<Vec<u8>, SourceError> {
    let place = registry.reference().at(&descriptor.digest);
    let mut bytes = Vec::new();
    let mut reader = registry.open(descriptor)?.take(STATEMENT_LIMIT + 1);
    let read = reader.read_to_end(&mut bytes);
    read.map_err(|error| SourceError::Unreachable { place: place.clone(), cause: error.to_string() })?;
    if bytes.len() as u64 > STATEMENT_LIMIT {
        return Err(SourceError::TooLarge { place, what: "a statement", limit: STATEMENT_LIMIT });
    }
    let mut hasher = descriptor.digest.hasher();
    hasher.update(&bytes);
    let actual = hasher.finish();
    if actual != descriptor.digest {
        let (name, expected) = (place, descriptor.digest.clone());
        let place = registry.reference().registry.clone();
        return Err(SourceError::WrongDigest { name, place, expected, actual });
    }
    Ok(bytes)
}
