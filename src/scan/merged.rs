//! Merges the layers of an image, and judges the result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::create_volumes;
use super::layers::{ReadExtent, ReadLayer, Watched};
use super::model::{LayerReport, PlatformReport, Problem};
use super::platform::{ScannedPlatform, judge_platform};
use super::{Options, attribution, lazy, odd_layer};
use crate::image::{Contents, Image, Layer, RootFs, raise_memory};
use crate::inspect::FileKind;
use crate::oci::Digest;
use crate::platform::Target;

/// Limit for how often an image is judged again after more of its files were read: each file on the way to the program may
/// name the next.
const MAX_ROUNDS: usize = 64;

/// Lines about layers whose digests were not checked.
pub fn unverified(layers: &[Layer], find: impl Fn(&Layer) -> Result<ReadLayer, Problem>) -> Vec<String> {
    let digests: BTreeMap<&Digest, &Layer> = layers.iter().map(|layer| (&layer.descriptor.digest, layer)).collect();
    let (mut trusted, mut tallies) = (0, Vec::new());
    for read in digests.values().filter_map(|layer| find(layer).ok()) {
        match read.extent {
            ReadExtent::Verified => {}
            ReadExtent::Trusted => trusted += 1,
            ReadExtent::Lazy(lazy) => tallies.extend(lazy.tally()),
        }
    }
    let noun = if trusted == 1 { "layer was" } else { "layers were" };
    let trusted = (trusted > 0)
        .then(|| format!("{trusted} {noun} read in part and not verified against a digest (--trust-local)"));
    trusted.into_iter().chain(lazy::describe(&tallies, digests.len())).collect()
}

/// Judges an image. If that depends on files that were read in part, they are read in full, and it is judged again.
pub fn on_image(
    image: &Image,
    targets: &[Target],
    find: &dyn Fn(&Layer) -> Result<ReadLayer, Problem>,
    source: &Watched<'_>,
    options: &Options,
) -> PlatformReport {
    let mut problems = Vec::new();
    for round in 0.. {
        let (report, missed) = on_layers(image, targets, find, problems.clone(), options);
        if missed.is_empty() || !problems.is_empty() {
            return report;
        }
        let completed = match round < MAX_ROUNDS {
            true => complete(image, find, source, &missed, options),
            false => Err(Problem::new("its start leads through too many files to be read in part", None)),
        };
        problems.extend(completed.err());
    }
    unreachable!("the loop ends after its last round")
}

/// Reads the files whose preliminary facts were looked up.
fn complete(
    image: &Image,
    find: &dyn Fn(&Layer) -> Result<ReadLayer, Problem>,
    source: &Watched<'_>,
    missed: &BTreeSet<(usize, u32)>,
    options: &Options,
) -> Result<(), Problem> {
    for (at, layer) in image.layers.iter().enumerate() {
        let facts: BTreeSet<u32> = missed.iter().filter(|(layer, _)| *layer == at).map(|(_, fact)| *fact).collect();
        if let (false, ReadExtent::Lazy(lazy)) = (facts.is_empty(), find(layer)?.extent) {
            lazy.complete(source, &facts, &options.limits, options.depth())?;
        }
    }
    Ok(())
}

/// Merges the layers and judges them. Also returns the preliminary facts that were looked up, by layer.
fn on_layers(
    image: &Image,
    targets: &[Target],
    find: &dyn Fn(&Layer) -> Result<ReadLayer, Problem>,
    mut problems: Vec<Problem>,
    options: &Options,
) -> (PlatformReport, BTreeSet<(usize, u32)>) {
    let mut odd = Vec::new();
    let memory = options.limits.memory.limit();
    let mut rootfs: RootFs<FileKind> = RootFs::bounded(memory);
    for layer in &image.layers {
        match find(layer).and_then(|read| Ok((current(&read, options)?, read.notes))) {
            Ok((contents, notes)) => {
                odd.extend(notes.iter().map(|note| odd_layer::odd_layer(note, layer.index)));
                rootfs.apply(contents);
            }
            Err(problem) => {
                problems.push(problem);
                // An empty layer takes its place, so that the layers above keep their numbers.
                rootfs.apply(Arc::new(Contents::default()));
            }
        }
    }
    if rootfs.left_out() > 0 {
        let why = match rootfs.has_filled_memory() {
            true => format!("the names and files of this image take more than {memory} bytes of memory"),
            false => "its layers contain more than can be merged".to_string(),
        };
        let hint = rootfs.has_filled_memory().then(raise_memory);
        problems.push(Problem::new(format!("{why}: {} entries were left out", rootfs.left_out()), hint));
    }
    create_volumes(&mut rootfs, &image.config.run);
    options.call.mount(&mut rootfs);
    odd.extend(odd_layer::odd_history(&image.config.history, image.layers.len()));
    let layers = layer_reports(image, options);
    let subject = ScannedPlatform {
        promised: image.promised.as_ref(),
        declared: image.declared.as_ref(),
        digest: Some(&image.manifest.digest),
        config: &image.config,
        rootfs: &rootfs,
        layers,
        problems,
    };
    let mut report = PlatformReport { image: image.name.clone(), ..judge_platform(subject, targets, options) };
    report.findings.extend(odd);
    crate::judge::finding::sort(&mut report.findings);
    (report, rootfs.missed())
}

/// The contents of a layer as far as they are known now.
fn current(read: &ReadLayer, options: &Options) -> Result<Arc<Contents<FileKind>>, Problem> {
    match &read.extent {
        ReadExtent::Verified | ReadExtent::Trusted => Ok(Arc::clone(&read.contents)),
        ReadExtent::Lazy(lazy) => lazy.contents(&options.limits),
    }
}

fn layer_reports(image: &Image, options: &Options) -> Vec<LayerReport> {
    let steps = super::history::steps(&image.config.history, image.layers.len());
    let lines = attribution::dockerfile_lines(options.dockerfile.as_deref(), &steps);
    let reports = image.layers.iter().zip(steps).zip(lines).map(|((layer, step), dockerfile_line)| LayerReport {
        index: layer.index,
        digest: layer.descriptor.digest.clone(),
        diff_id: layer.diff_id.clone(),
        size: layer.descriptor.size,
        step,
        dockerfile_line,
        is_base: None,
    });
    reports.collect()
}
