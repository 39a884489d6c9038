//! Layers that some engines refuse, or from which they unpack less than the builder intended.

use crate::image::LayerNote;
use crate::judge::code::{Code, Severity};
use crate::judge::finding::Finding;
use crate::oci::History;

/// Observed with podman 4.3 and 5.8, and with both stores of Docker 26.1 and 28.5.
const REFUSED_TAIL: &str =
    "podman and containerd refuse the layer with `gzip: invalid header`, docker's classic store accepts it";

/// The finding for a history in which more steps created a layer than there are layers.
pub(super) fn odd_history(history: &[History], layers: usize) -> Option<Finding> {
    let made = history.iter().filter(|step| !step.empty_layer).count();
    let text = format!(
        "its history has {made} layers and its manifest {layers}: docker's classic store refuses the image with \
         `too many non-empty layers in History section`"
    );
    let hint = vec!["rebuild the image with a tool whose history matches its layers".to_string()];
    (made > layers).then(|| Finding { hint, ..Finding::new(Code::OddLayer, text) })
}

/// The finding for something in a layer's archive that an engine refuses or leaves out.
pub(super) fn odd_layer(note: &LayerNote, layer: usize) -> Finding {
    let shown = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let finding = |text: String| Finding::new(Code::OddLayer, text);
    let mut finding = match note {
        LayerNote::NoEndMarker => finding("its archive has no end marker".to_string()),
        LayerNote::TrailingZeros => finding(format!("zeros follow the compressed stream: {REFUSED_TAIL}")),
        LayerNote::TrailingGarbage => finding(format!("unrelated bytes follow the compressed stream: {REFUSED_TAIL}")),
        LayerNote::NameTooLong(start) => {
            finding(format!("a name that is too long for the kernel: {}...", shown(start)))
        }
        LayerNote::EscapingName(path) => {
            finding(format!("a name that leads out of the root, which docker refuses: {}", shown(path)))
        }
        LayerNote::UnknownType { path, tag } => {
            let text = format!("{} is of type {:?}: engines refuse the layer with", shown(path), char::from(*tag));
            finding(format!("{text} `unhandled tar header type {tag}`")).severity(Severity::Error)
        }
        LayerNote::ImpossibleWhiteout(path) => {
            let text = format!("the whiteout {} does not name a file: engines refuse the layer", shown(path));
            finding(text).severity(Severity::Error)
        }
        LayerNote::MislabelledCompression { media_type, compression } => {
            let compression = format!("{compression:?}").to_lowercase();
            let text =
                format!("its bytes are {compression}, but its media type {media_type} declares them uncompressed");
            finding(format!("{text}: containerd fails to unpack it")).severity(Severity::Error)
        }
    };
    finding.layer = Some(layer);
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As observed with Docker 28.5's classic store, Docker's containerd store and podman 5.8 on five images made for
    /// this.
    #[test]
    fn a_layer_that_one_engine_refuses_is_a_warning_that_names_it() {
        for note in [LayerNote::TrailingZeros, LayerNote::TrailingGarbage] {
            let finding = odd_layer(&note, 1);
            assert_eq!((finding.severity, finding.layer), (Severity::Warning, Some(1)));
            assert!(finding.message.contains("podman and containerd refuse the layer"), "{}", finding.message);
        }
        let step = |empty_layer| History { empty_layer, ..History::default() };
        let odd = odd_history(&[step(false), step(true), step(false)], 1).unwrap();
        assert_eq!(odd.severity, Severity::Warning);
        assert!(odd.message.starts_with("its history has 2 layers and its manifest 1: docker's classic store"));
        // All engines accept fewer steps than layers, and no steps.
        assert_eq!(odd_history(&[step(false), step(true)], 2), None);
        assert_eq!(odd_history(&[], 1), None);
    }
}
