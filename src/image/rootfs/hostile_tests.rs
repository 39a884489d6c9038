//! Hostile trees: any order of entries, a million entries, endless links.

use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::*;
use crate::image::contents::{EntryKind, LayerMember};

/// One entry of a test's layer.
#[derive(Clone, Debug)]
struct Made {
    path: String,
    /// f, d, l (symbolic), h (hard), w (whiteout), o (opaque)
    kind: char,
    target: String,
    mode: u16,
}

fn contents(entries: &[Made]) -> Arc<Contents<usize>> {
    let mut contents = Contents::default();
    for (number, made) in entries.iter().enumerate() {
        let target = made.target.as_bytes();
        let kind = match made.kind {
            'f' => EntryKind::File,
            'd' => EntryKind::Directory,
            'l' => EntryKind::Symlink(target),
            'h' => EntryKind::HardLink(target),
            'w' => EntryKind::Whiteout,
            _ => EntryKind::Opaque,
        };
        let fact = (kind == EntryKind::File).then_some(number);
        contents.push(
            &LayerMember { uid: u32::from(made.mode), ..LayerMember::plain(made.path.as_bytes(), kind, made.mode) },
            fact,
        );
    }
    Arc::new(contents)
}

/// Every node with its metadata. Only the presence of a fact is listed, because fact numbers depend on the order.
fn listing(rootfs: &RootFs<usize>) -> Vec<String> {
    let line = |view: FileView<'_, usize>| {
        let path = String::from_utf8(rootfs.path(view.id)).unwrap();
        let target = view.target.escape_ascii().to_string();
        format!("{path} {:?} {:o} {} {target} {} {}", view.kind, view.mode, view.uid, view.layer, view.fact.is_some())
    };
    let mut lines: Vec<String> = rootfs.all().map(line).collect();
    let lost = rootfs.dangling().iter().filter(|link| link.fault == LinkFault::Nowhere);
    lines.extend(lost.map(|link| format!("dangling {}", String::from_utf8_lossy(&link.path))));
    lines.sort();
    lines
}

/// Directories are named a and b, so that no file has the path of a directory of the same layer; whiteouts and opaque
/// markers may use any name.
fn entry() -> impl Strategy<Value = Made> {
    let directory = prop::collection::vec(prop_oneof!["a", "b"], 0..4).prop_map(|names| names.join("/"));
    (directory, prop_oneof!["x", "y", "z"], "[fdlhwo]", prop_oneof!["a", "a/x", "y", "../b"], 0..0o777u16).prop_map(
        |(directory, name, kind, target, mode)| {
            let kind = kind.chars().next().unwrap();
            let path = match kind {
                'd' | 'o' => directory,
                _ if directory.is_empty() => name,
                _ => format!("{directory}/{name}"),
            };
            Made { path, kind, target, mode }
        },
    )
}

/// A layer whose entries differ in path and mark, and whose hard links refer to its own files.
fn layer() -> impl Strategy<Value = Vec<Made>> {
    (prop::collection::vec(entry(), 0..25), any::<Index>()).prop_map(|(entries, chosen)| {
        let mut layer: Vec<Made> = Vec::new();
        for made in entries {
            let is_mark = |made: &Made| matches!(made.kind, 'w' | 'o');
            if !layer.iter().any(|other| other.path == made.path && is_mark(other) == is_mark(&made)) {
                layer.push(made);
            }
        }
        let files: Vec<Made> = layer.iter().filter(|made| made.kind == 'f').cloned().collect();
        for made in layer.iter_mut().filter(|made| made.kind == 'h') {
            // The last entry of an inode sets its mode, so the modes must agree for the order not to matter.
            (made.target, made.mode) = match files.is_empty() {
                true => ("nowhere".into(), made.mode),
                false => (chosen.get(&files).path.clone(), chosen.get(&files).mode),
            };
        }
        layer
    })
}

proptest! {
    #[test]
    fn any_order_of_a_layers_entries_makes_the_same_tree(
        lower in layer(),
        (upper, shuffled) in layer().prop_flat_map(|layer| (Just(layer.clone()), Just(layer).prop_shuffle())),
        top in layer(),
    ) {
        let [lower, top] = [lower, top].map(|layer| contents(&layer));
        let below = merge([lower.clone()]);
        // A link that precedes the replacement of its lower target gets the lower inode: there the order matters.
        let ordered = |layer: &[Made]| -> Vec<Made> {
            let is_below = |path: &str| below.walk(below.root(), path.as_bytes(), false, &|_| true).is_ok();
            layer.iter().filter(|made| made.kind != 'h' || !is_below(&made.target)).cloned().collect()
        };
        let first = merge([lower.clone(), contents(&ordered(&upper)), top.clone()]);
        let second = merge([lower, contents(&ordered(&shuffled)), top]);
        prop_assert_eq!(listing(&first), listing(&second));
    }

    #[test]
    fn every_node_is_found_by_its_own_path(layers in prop::collection::vec(layer(), 1..5)) {
        let rootfs = merge(layers.iter().map(|layer| contents(layer)));
        for view in rootfs.all() {
            let found = rootfs.walk(rootfs.root(), &rootfs.path(view.id), false, &|_| true);
            prop_assert_eq!(found, Ok(view.id));
        }
        prop_assert_eq!(rootfs.left_out(), 0);
    }

    #[test]
    fn any_names_merge_without_panic(
        names in prop::collection::vec(("[./abw]{0,12}|\\PC{0,6}", "[fdlhwo]", "[./ab]{0,12}"), 0..60),
        keep in subsequence((0..60).collect::<Vec<usize>>(), 0..60),
    ) {
        let entries: Vec<Made> = names
            .into_iter()
            .map(|(path, kind, target)| Made { path, kind: kind.chars().next().unwrap(), target, mode: 0o644 })
            .collect();
        let upper: Vec<Made> = keep.iter().filter_map(|at| entries.get(*at).cloned()).collect();
        let rootfs = merge([contents(&entries), contents(&upper)]);
        for view in rootfs.all() {
            let _ = rootfs.resolve(rootfs.path(view.id));
        }
    }
}

#[test]
fn a_million_entries_take_bounded_memory() {
    let mut contents = Contents::<()>::default();
    for number in 0..1_000_000 {
        // 87 bytes. A directory's path is stored once.
        let directory =
            format!("usr/local/lib/python3.12/site-packages/package-{:04}/internal/modules/part", number / 500);
        let path = format!("{directory}/file-{:03}.js", number % 500);
        assert_eq!(path.len(), 85);
        contents.push(&LayerMember::plain(path.as_bytes(), EntryKind::File, 0o644), None);
    }
    contents.shrink();
    let kept = contents.heap_bytes();
    let rootfs = merge([Arc::new(contents)]);
    assert_eq!(rootfs.all().count(), 1_000_000 + 5 + 4 * 2000);
    assert!(kept < 17 << 20, "contents take {kept} bytes");
    assert!(kept + rootfs.heap_bytes() < 48 << 20, "the tree takes {} bytes", rootfs.heap_bytes());
}

#[test]
fn a_million_names_of_thirty_bytes_that_share_nothing_take_64_mib() {
    let mut contents = Contents::<()>::default();
    for number in 0..1_000_000u64 {
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let path = format!("{noise:016x}{:014x}", noise >> 8);
        contents.push(&LayerMember { size: 7, ..LayerMember::plain(path.as_bytes(), EntryKind::File, 0o644) }, None);
    }
    contents.shrink();
    let kept = contents.heap_bytes();
    let rootfs = merge([Arc::new(contents)]);
    assert_eq!(rootfs.all().count(), 1_000_000);
    assert!(kept + rootfs.heap_bytes() < 64 << 20, "{kept} and {} bytes", rootfs.heap_bytes());
}

#[test]
fn links_that_lead_around_for_ever_end() {
    // Forty links of two thousand components each; every entry requires all of them again, from another directory.
    let around = "d/../".repeat(800);
    let mut contents = Contents::<()>::default();
    contents.push(&LayerMember::plain(b"d", EntryKind::Directory, 0o755), None);
    for link in 0..39 {
        let target = format!("{around}l{}", link + 1);
        let path = format!("l{link}");
        contents.push(&LayerMember::plain(path.as_bytes(), EntryKind::Symlink(target.as_bytes()), 0o777), None);
    }
    contents.push(&LayerMember::plain(b"l39", EntryKind::Directory, 0o755), None);
    for number in 0..1000 {
        contents.push(&LayerMember::plain(format!("l0/{number}/x").as_bytes(), EntryKind::File, 0o644), None);
        contents.push(&LayerMember::plain(format!("d/{number}/x").as_bytes(), EntryKind::File, 0o644), None);
    }
    let start = Instant::now();
    let rootfs = merge([Arc::new(contents)]);
    assert!(rootfs.left_out() > 0);
    assert!(rootfs.steps <= MAX_STEPS_TESTED, "{} steps in {:?}", rootfs.steps, start.elapsed());
}

const MAX_STEPS_TESTED: u64 = 21_000_000;

#[test]
fn ten_thousand_owners_are_kept_apart() {
    let mut contents = Contents::<()>::default();
    for number in 0..10_000u32 {
        let path = number.to_string();
        contents
            .push(&LayerMember { uid: number, ..LayerMember::plain(path.as_bytes(), EntryKind::File, 0o644) }, None);
    }
    let rootfs = merge([Arc::new(contents)]);
    assert_eq!(rootfs.view(rootfs.resolve("/9876").unwrap()).uid, 9876);
}

#[test]
fn the_deepest_names_merge_and_resolve() {
    let deep = "d/".repeat(2047);
    let mut contents = Contents::<()>::default();
    contents.push(&LayerMember::plain(&deep.as_bytes()[..deep.len() - 1], EntryKind::Directory, 0o755), None);
    let rootfs = merge([Arc::new(contents)]);
    assert_eq!(rootfs.all().count(), 2047);
    assert!(rootfs.resolve(&deep).is_ok());
    let hidden = {
        let mut contents = Contents::<()>::default();
        contents.push(&LayerMember::plain(b"d", EntryKind::Whiteout, 0), None);
        contents
    };
    let mut rootfs = rootfs;
    rootfs.apply(Arc::new(hidden));
    assert_eq!(rootfs.all().count(), 0);
}
