//! Layers that some engines refuse, or unpack to less than the image's builder meant.

use crate::image::LayerNote;
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::oci::History;

/// By podman 5.8, and Docker 28.5 with either store.
const REFUSED_TAIL: &str =
    "podman and containerd refuse the layer with `gzip: invalid header`, docker's classic store takes it";

/// More steps of the history made a layer than there are layers.
pub(super) fn odd_history(history: &[History], layers: usize) -> Option<Finding> {
    let made = history.iter().filter(|step| !step.empty_layer).count();
    let text = format!(
        "its history has {made} layers and its manifest {layers}: docker's classic store refuses the image with \
         `too many non-empty layers in History section`"
    );
    let hint = vec!["build the image again with a tool that writes a history of its own layers".to_string()];
    (made > layers).then(|| Finding { hint, ..Finding::new(Code::OddLayer, text) })
}

/// What a layer's archive holds that an engine refuses, or leaves out.
pub(super) fn odd_layer(note: &LayerNote, layer: usize) -> Finding {
    let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let finding = |text: String| Finding::new(Code::OddLayer, text);
    let mut finding = match note {
        LayerNote::NoEndMarker => finding("its archive ends oddly".to_string()),
        LayerNote::TrailingZeros => finding(format!("zeros follow the compressed stream: {REFUSED_TAIL}")),
        LayerNote::TrailingGarbage => {
            finding(format!("bytes that are no part of it follow the compressed stream: {REFUSED_TAIL}"))
        }
        LayerNote::NameTooLong(start) => finding(format!("a name that no kernel takes: {}...", shown(start))),
        LayerNote::EscapingName(path) => {
            finding(format!("a name that leads out of the root, which docker refuses: {}", shown(path)))
        }
        LayerNote::UnknownType { path, tag } => {
            let text = format!("{} is of type {:?}: engines refuse the layer, with", shown(path), char::from(*tag));
            finding(format!("{text} `unhandled tar header type {tag}`")).severity(Severity::Error)
        }
        LayerNote::ImpossibleWhiteout(path) => {
            let text = format!("the whiteout {} hides nothing that has a name: engines refuse the layer", shown(path));
            finding(text).severity(Severity::Error)
        }
        LayerNote::MislabelledCompression { media_type, compression } => {
            let compression = format!("{compression:?}").to_lowercase();
            let text = format!("its bytes are {compression}, and its media type, {media_type}, says uncompressed");
            finding(format!("{text}: containerd fails to unpack it")).severity(Severity::Error)
        }
    };
    finding.layer = Some(layer);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Docker 28.5's classic store, Docker's containerd store and podman 5.8 took five images made for it.
    #[test]
    fn what_one_engine_refuses_is_a_warning_that_names_it() {
        for note in [LayerNote::TrailingZeros, LayerNote::TrailingGarbage] {
            let finding = odd_layer(&note, 1);
            assert_eq!((finding.severity, finding.layer), (Severity::Warning, Some(1)));
            assert!(finding.message.contains("podman and containerd refuse the layer"), "{}", finding.message);
        }
        let step = |empty_layer| History { empty_layer, ..History::default() };
        let odd = odd_history(&[step(false), step(true), step(false)], 1).unwrap();
        assert_eq!(odd.severity, Severity::Warning);
        assert!(odd.message.starts_with("its history has 2 layers and its manifest 1: docker's classic store"));
        // Fewer steps than layers, and none, are taken by all.
        assert_eq!(odd_history(&[step(false), step(true)], 2), None);
        assert_eq!(odd_history(&[], 1), None);
    }
}
