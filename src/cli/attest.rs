//! `--attest` and `--attest-push`: the verdict as an in-toto statement, in a file and beside the image in its registry.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{CliError, Terminal, gate, opening};
use crate::oci::{Descriptor, Digest, Reference};
use crate::report::{Style, attest};
use crate::scan::Report;
use crate::source::registry::{Registry, in_memory};
use crate::source::{Source, SourceError};

/// Flags on attestations.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Attestation")]
pub struct AttestArgs {
    /// Write an in-toto statement of the verdict, for `cosign attest`.
    #[arg(long, value_name = "FILE")]
    attest: Option<PathBuf>,
    /// Put the statement beside the image in its registry; `imgarch verify` reads it back. It is not signed.
    #[arg(long)]
    attest_push: bool,
}

/// Media type of a statement, and so of the artifact that carries it.
pub const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// Source: OCI image-spec, manifest.md, "Guidance for an Empty Descriptor".
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// Writes and pushes what was asked for.
pub fn run(
    report: &Report,
    style: &Style<'_>,
    args: &AttestArgs,
    sources: &opening::SourceArgs,
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
        let client = opening::registry_client(sources).map_err(unknown)?;
        for image in &report.images {
            let Some(digest) = &image.digest else { continue };
            let name = image.name.strip_prefix("docker://").unwrap_or(&image.name);
            let reference = Reference::parse(name).ok().filter(|_| image.origin.starts_with("registry"));
            let Some(reference) = reference else {
                terminal.note(&format!("{} is in no registry: its statement is not pushed", image.name));
                continue;
            };
            let reference = Reference::parse(&reference.at(digest)).expect("a name and a digest are a reference");
            let pushed = push(&client.image(&reference), digest, &statement).map_err(unknown)?;
            terminal.note(&format!("the statement on {reference} is {pushed}"));
        }
    }
    Ok(())
}

pub fn unknown(error: SourceError) -> CliError {
    CliError::Unknown { text: error.to_string(), hint: error.hint().map(str::to_string) }
}

/// Pushes a statement as a referrer of `digest`. Source: OCI distribution-spec, "Pushing Manifests with Subject".
fn push(registry: &Registry, digest: &Digest, statement: &[u8]) -> Result<Digest, SourceError> {
    let subject = registry.root()?;
    let put = |media_type: &str, bytes: &[u8]| {
        let descriptor = Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64);
        registry.push_blob(&descriptor, &in_memory(bytes))?;
        Ok::<Value, SourceError>(described(&descriptor))
    };
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let created =
        jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or_default()).unwrap_or_default().to_string();
    let annotations = json!({
        "org.opencontainers.image.created": created,
        "in-toto.io/predicate-type": attest::PREDICATE_TYPE,
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": STATEMENT_TYPE,
        "config": put(EMPTY_TYPE, EMPTY)?,
        "layers": [put(STATEMENT_TYPE, statement)?],
        "subject": described(&subject),
        "annotations": annotations,
    });
    let bytes = manifest.to_string().into_bytes();
    let own = Digest::of(&bytes);
    registry.push_manifest(own.as_str(), MANIFEST_TYPE, &bytes)?;
    let known = registry.referrers(digest)?;
    if !known.iter().any(|referrer| referrer.digest == own) {
        // A registry without the API leaves the list to its clients.
        let mut entry = described(&Descriptor::new(MANIFEST_TYPE, own.clone(), bytes.len() as u64));
        entry["artifactType"] = json!(STATEMENT_TYPE);
        entry["annotations"] = annotations;
        let index = registry.referrers_index(digest)?.and_then(|index| serde_json::from_slice(&index).ok());
        let mut index: Value =
            index.unwrap_or_else(|| json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []}));
        match &mut index["manifests"] {
            Value::Array(manifests) => manifests.push(entry),
            missing => *missing = json!([entry]),
        }
        let tag = format!("{}-{}", digest.algorithm(), digest.hex());
        registry.push_manifest(&tag, INDEX_TYPE, index.to_string().as_bytes())?;
    }
    Ok(own)
}

fn described(descriptor: &Descriptor) -> Value {
    let mut value = json!({
        "mediaType": descriptor.media_type, "digest": descriptor.digest.as_str(), "size": descriptor.size,
    });
    if !descriptor.annotations.is_empty() {
        value["annotations"] = json!(descriptor.annotations);
    }
    value
}
