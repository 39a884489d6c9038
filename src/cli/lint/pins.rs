//! What a registry holds under a digest that a file pins: `imgarch lint --online`.

use std::io::Read;

use super::super::settings::Settings;
use super::super::{CliError, opening};
use super::FILE_LIMIT;
use crate::lint::Pin;
use crate::oci::{Descriptor, Document, Reference};
use crate::platform::Platform;
use crate::source::input::RegistryOpener;

/// Opens references in their registries, as the project's file and the flags say of them.
pub fn registry(settings: &Settings) -> Result<RegistryOpener, CliError> {
    let mut sources = opening::SourceArgs::default();
    settings.apply_to(&mut sources);
    let client = opening::registry_client(&sources)
        .map_err(|error| CliError::Usage { text: error.to_string(), hint: error.hint().map(str::to_string) })?;
    Ok(Box::new(move |reference| Box::new(client.image(reference))))
}

/// A pinned digest as its registry has it: an index, or one platform's manifest.
pub fn ask(registry: Option<&RegistryOpener>, reference: &Reference) -> Result<Pin, String> {
    let open = registry.ok_or("offline")?;
    let document = |reference: &Reference| {
        let source = open(reference);
        let root = source.root().map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        let reader = source.open(&root).map_err(|error| error.to_string())?;
        reader.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Document::parse(&bytes).map(|document| (root, document)).map_err(|error| error.to_string())
    };
    let (root, manifest) = match document(reference)? {
        (_, Document::Index(index)) => {
            return Ok(Pin::Index(index.manifests.into_iter().filter_map(|one| one.platform).collect()));
        }
        (root, Document::Manifest(manifest)) => (root, manifest),
    };
    let platform = config_platform(open(reference).as_ref(), &manifest.config).or(root.platform);
    let by_tag = Reference { digest: None, ..reference.clone() };
    let index = match reference.tag.as_ref().map(|_| document(&by_tag)) {
        Some(Ok((root, Document::Index(_)))) => Some(root.digest),
        _ => None,
    };
    Ok(Pin::Manifest { platform, index })
}

/// What a config declares; `None` where it cannot be read, which only makes the message shorter.
fn config_platform(source: &dyn crate::source::Source, config: &Descriptor) -> Option<Platform> {
    let mut bytes = Vec::new();
    source.open(config).ok()?.take(FILE_LIMIT).read_to_end(&mut bytes).ok()?;
    crate::oci::Config::parse(&bytes).ok()?.platform()
}
