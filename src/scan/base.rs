//! Finds out how many of an image's lowest layers belong to its base image: by BuildKit's provenance, by annotations
//! that name the base, by buildah's history. Never guesses; the result does not affect verdicts.

use serde_json::Value;

use super::Open;
use crate::image::{Image, Layer, Selection, Wanted, Why, select, statements};
use crate::oci::{Digest, History, Reference};
use crate::source::ImageSource;
use crate::source::input::{Opened, OpenedInput};

const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// BuildKit's annotation on an attestation: the digest of the manifest that it describes.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// The key of BuildKit's own metadata in provenance v0.2, for fields that SLSA does not have.
const BUILDKIT: &str = "https://mobyproject.org/buildkit@v1#metadata";

/// The number of layers of the base. Requests attestations and the base's manifest from `source`; for a base in another
/// repository, asks the registry that the image came from. No other host is contacted.
pub fn layers(image: &Image, selection: &Selection, source: &dyn ImageSource, from: &From<'_>) -> Option<usize> {
    let digests: Vec<&Digest> = image.layers.iter().map(|layer| &layer.descriptor.digest).collect();
    provenance(image, selection, source, &digests)
        .or_else(|| by_manifest(image, from, &digests))
        .or_else(|| by_history(&image.config.history, annotation(image, BASE_NAME)?, image.layers.len()))
}

/// The origin of the image.
pub struct From<'a> {
    pub open: Open<'a>,
    /// Its reference, if it came from a registry.
    pub registry: Option<&'a Reference>,
}

fn annotation<'a>(image: &'a Image, key: &str) -> Option<&'a str> {
    let text = image.annotations.get(key).or_else(|| image.config.run.labels.get(key))?;
    (!text.is_empty()).then_some(text.as_str())
}

fn provenance(image: &Image, selection: &Selection, source: &dyn ImageSource, layers: &[&Digest]) -> Option<usize> {
    let own = image.manifest.digest.to_string();
    let is_own = |annotation: Option<&String>| annotation.is_some_and(|digest| *digest == own);
    let attestations = selection
        .skipped
        .iter()
        .filter(|entry| entry.why == Why::Attestation && is_own(entry.descriptor.annotations.get(REFERENCE_DIGEST)));
    for entry in attestations {
        match statements(source, &entry.descriptor, "https://slsa.dev/provenance/") {
            Ok(found) => {
                if let Some(count) = found.iter().find_map(|statement| by_statement(&statement["predicate"], layers)) {
                    return Some(count);
                }
            }
            // It only shows which layers are the base's; the verdict does not depend on it.
            Err(error) => tracing::debug!(%error, "could not read an attestation"),
        }
    }
    None
}

/// Reads the steps of provenance in BuildKit's mode "max": steps whose operation is an image source, with the layers of
/// each. The base is the source whose layers this image starts with; `FROM scratch` has none.
/// Source: BuildKit, docs/attestations/slsa-definitions.md.
fn by_statement(predicate: &Value, layers: &[&Digest]) -> Option<usize> {
    let older = (&predicate["buildConfig"]["llbDefinition"], &predicate["metadata"][BUILDKIT]["layers"]);
    let newer = (
        &predicate["buildDefinition"]["internalParameters"]["buildConfig"]["llbDefinition"],
        &predicate["runDetails"]["metadata"]["buildkit_metadata"]["layers"],
    );
    let (steps, made) = [older, newer].into_iter().find(|(steps, _)| steps.is_array())?;
    let is_image = |step: &&Value| {
        let identifier = step.pointer("/op/Op/source/identifier").or_else(|| step.pointer("/op/source/identifier"));
        identifier.and_then(Value::as_str).is_some_and(|name| name.starts_with("docker-image://"))
    };
    let mut base = None;
    for id in steps.as_array()?.iter().filter(is_image).filter_map(|step| step["id"].as_str()) {
        let chains = made[format!("{id}:0")].as_array().into_iter().flatten().filter_map(Value::as_array);
        for chain in chains {
            let digests: Vec<&str> = chain.iter().filter_map(|layer| layer["digest"].as_str()).collect();
            if starts_with(layers, &digests) {
                base = base.max(Some(digests.len()));
            }
        }
    }
    base
}

/// Whether an image starts with all layers of a base.
fn starts_with(layers: &[&Digest], base: &[&str]) -> bool {
    base.len() <= layers.len() && base.iter().zip(layers).all(|(base, own)| *base == own.as_str())
}

/// By the manifest digest that buildah, ko, crane and others record, if the image's own registry has that manifest.
fn by_manifest(image: &Image, from: &From<'_>, layers: &[&Digest]) -> Option<usize> {
    let digest: Digest = annotation(image, BASE_DIGEST)?.parse().ok()?;
    let base = Reference::parse(annotation(image, BASE_NAME)?).ok()?;
    if from.registry?.registry != base.registry {
        return None;
    }
    let Opened { input: OpenedInput::Image(source), .. } = (from.open)(&base.at(&digest)).ok()? else { return None };
    let wanted = Wanted { platforms: image.declared.iter().cloned().collect(), ..Wanted::default() };
    let bases = select(&*source, &wanted).ok()?.images;
    bases.iter().filter(|base| is_below(base, image, layers)).map(|base| base.layers.len()).max()
}

/// Whether an image starts with all layers of `base`. Recompressed layers are compared by their content.
fn is_below(base: &Image, image: &Image, layers: &[&Digest]) -> bool {
    let digests: Vec<&str> = base.layers.iter().map(|layer| layer.descriptor.digest.as_str()).collect();
    let is_same = |(base, own): (&Layer, &Layer)| base.diff_id.is_some() && base.diff_id == own.diff_id;
    starts_with(layers, &digests)
        || (base.layers.len() <= image.layers.len() && base.layers.iter().zip(&image.layers).all(is_same))
}

/// By buildah's history: the commit on top of the base has the comment `FROM NAME`; later commits name the intermediate
/// images by their ids.
fn by_history(history: &[History], name: &str, layers: usize) -> Option<usize> {
    let at = history.iter().rposition(|entry| entry.comment.strip_prefix("FROM ") == Some(name))?;
    let made = |entries: &[History]| entries.iter().filter(|entry| !entry.empty_layer).count();
    (made(history) == layers).then(|| made(&history[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digests(seeds: &[&str]) -> Vec<Digest> {
        seeds.iter().map(|seed| Digest::from_bytes(seed.as_bytes())).collect()
    }

    fn entry(created_by: &str, comment: &str, empty_layer: bool) -> History {
        History { created_by: created_by.into(), comment: comment.into(), empty_layer }
    }

    #[test]
    fn provenance_identifies_the_base_by_its_source_steps() {
        let layers = digests(&["a", "b", "c"]);
        let layers: Vec<&Digest> = layers.iter().collect();
        let layer = |seed: &str| json!({"digest": Digest::from_bytes(seed.as_bytes()).to_string()});
        let steps = json!([
            {"id": "step0", "op": {"Op": {"source": {"identifier": "docker-image://docker.io/library/golang:1"}}}},
            {"id": "step1", "op": {"Op": {"source": {"identifier": "docker-image://docker.io/library/debian:12"}}}},
            {"id": "step2", "op": {"Op": {"file": {}}}},
        ]);
        let made = json!({"step0:0": [[layer("x")]], "step1:0": [[layer("a"), layer("b")]], "step2:0": [[layer("a"), layer("b"), layer("c")]]});
        let older = json!({"buildConfig": {"llbDefinition": steps}, "metadata": {BUILDKIT: {"layers": made}}});
        assert_eq!(by_statement(&older, &layers), Some(2));
        let newer = json!({
            "buildDefinition": {"internalParameters": {"buildConfig": {"llbDefinition": steps}}},
            "runDetails": {"metadata": {"buildkit_metadata": {"layers": made}}}
        });
        assert_eq!(by_statement(&newer, &layers), Some(2));
        // Mode "min" contains neither.
        assert_eq!(by_statement(&json!({"materials": []}), &layers), None);
    }

    #[test]
    fn buildahs_history_names_the_base_where_it_was_left() {
        let history = [
            entry("/bin/sh -c #(nop) COPY file:1 in /base ", "", true),
            entry("/bin/sh -c #(nop) CMD [\"/base\"]", "FROM docker.io/library/debian:12", false),
            entry("/bin/sh -c #(nop) ENV A=1", "FROM localhost/base:latest", true),
            entry("/bin/sh -c #(nop) COPY file:2 in /one ", "FROM 7a7a0e68ef89", false),
        ];
        assert_eq!(by_history(&history, "localhost/base:latest", 2), Some(1));
        assert_eq!(by_history(&history, "localhost/other:latest", 2), None);
        assert_eq!(by_history(&history, "localhost/base:latest", 3), None);
    }
}
