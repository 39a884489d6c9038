//! The merge and the walk, checked against the spec.

use super::*;
use crate::image::contents::{Contents, EntryKind, LayerMember};
use EntryKind::*;

type TestLayer<'a> = &'a [(&'a str, EntryKind<'a>)];

fn layers(layers: &[TestLayer<'_>]) -> RootFs<usize> {
    merge(layers.iter().enumerate().map(|(number, layer)| {
        let mut contents = Contents::default();
        for (path, kind) in *layer {
            let fact = (*kind == File).then_some(number);
            contents.push(&LayerMember::plain(path.as_bytes(), *kind, 0o755), fact);
        }
        Arc::new(contents)
    }))
}

/// Every path, with the number of the layer that provides a file's bytes, sorted.
fn listing(rootfs: &RootFs<usize>) -> Vec<String> {
    let mut lines: Vec<String> = rootfs
        .all()
        .map(|view| {
            let path = String::from_utf8(rootfs.path(view.id)).unwrap();
            match view.kind {
                NodeKind::File => format!("{path} {}", view.fact.unwrap()),
                NodeKind::Directory => format!("{path}/"),
                NodeKind::Symlink => format!("{path} -> {}", String::from_utf8_lossy(view.target)),
                _ => path,
            }
        })
        .collect();
    lines.sort();
    lines
}

fn check(stack: &[TestLayer<'_>], expected: &[&str]) {
    assert_eq!(listing(&layers(stack)), expected);
}

#[test]
fn a_higher_layers_file_replaces_a_lower_ones() {
    check(&[&[("a", File)], &[("a", File)]], &["/a 1"]);
}

#[test]
fn a_whiteout_hides_a_lower_file_and_a_lower_tree() {
    check(&[&[("d/a", File), ("d/b", File)], &[("d/a", Whiteout)]], &["/d/", "/d/b 0"]);
    check(&[&[("d/a", File), ("e", File)], &[("d", Whiteout)]], &["/e 0"]);
}

#[test]
fn a_whiteout_spares_its_own_layer_in_any_order() {
    check(&[&[("a", File)], &[("a", Whiteout), ("a", File)]], &["/a 1"]);
    check(&[&[("a", File)], &[("a", File), ("a", Whiteout)]], &["/a 1"]);
}

#[test]
fn an_opaque_marker_hides_lower_siblings_and_spares_its_own_layer() {
    let lower: TestLayer<'_> = &[("d/old", File), ("d/s/x", File), ("o", File)];
    check(&[lower, &[("d", Opaque), ("d/new", File)]], &["/d/", "/d/new 1", "/o 0"]);
    check(&[lower, &[("d/new", File), ("d", Opaque)]], &["/d/", "/d/new 1", "/o 0"]);
    check(&[lower, &[("", Opaque), ("n", File)]], &["/n 1"]);
}

#[test]
fn marks_below_a_lower_link_cover_it_and_hide_nothing_in_its_target() {
    let lower: TestLayer<'_> = &[("real/x", File), ("d", Symlink(b"real"))];
    check(&[lower, &[("d", Opaque)]], &["/d/", "/real/", "/real/x 0"]);
    check(&[lower, &[("d/x", Whiteout)]], &["/d/", "/real/", "/real/x 0"]);
    check(&[lower, &[("d", Whiteout)]], &["/real/", "/real/x 0"]);
    check(&[lower, &[("real/e/x", Whiteout)]], &["/d -> real", "/real/", "/real/x 0"]);
}

#[test]
fn a_directory_becomes_a_file_or_link_and_a_directory_again() {
    check(&[&[("d/a", File)], &[("d", File)]], &["/d 1"]);
    check(&[&[("d/a", File)], &[("d", Symlink(b"e"))]], &["/d -> e"]);
    check(&[&[("d/a", File)], &[("d", File)], &[("d", Directory), ("d/b", File)]], &["/d/", "/d/b 2"]);
    check(&[&[("d", Symlink(b"e"))], &[("d", Directory), ("d/b", File)]], &["/d/", "/d/b 1"]);
}

#[test]
fn a_name_that_was_cleared_can_come_back() {
    check(&[&[("d/a", File)], &[("d", Opaque)], &[("d/a", File)]], &["/d/", "/d/a 2"]);
    check(&[&[("d/a/x", File)], &[("d", Whiteout)], &[("d/a/y", File)]], &["/d/", "/d/a/", "/d/a/y 2"]);
}

#[test]
fn an_entry_below_a_lower_link_covers_it_and_one_below_its_own_layers_link_follows_it() {
    let lower: TestLayer<'_> = &[("usr/lib/a", File), ("lib", Symlink(b"usr/lib")), ("void", Symlink(b"nowhere"))];
    let covered = ["/lib/", "/lib/x 1", "/usr/", "/usr/lib/", "/usr/lib/a 0", "/void -> nowhere"];
    check(&[lower, &[("lib/x", File)]], &covered);
    check(&[lower, &[("lib", Directory), ("lib/x", File)]], &covered);
    check(
        &[&[("usr/lib/a", File), ("lib", Symlink(b"usr/lib")), ("lib/x", File)]],
        &["/lib -> usr/lib", "/usr/", "/usr/lib/", "/usr/lib/a 0", "/usr/lib/x 0"],
    );
    let links = |of: &[TestLayer<'_>]| {
        let rootfs = layers(of);
        let covered = rootfs.covered_links().iter();
        covered.map(|link| (link.layer, String::from_utf8(link.path.clone()).unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(links(&[lower, &[("void/x", File)], &[("lib/x", File)]]), [(2, "/lib".to_string())]);
    let listed = layers(&[lower, &[("lib", Directory), ("lib/x", File)]]);
    assert_eq!(listed.covered_links().iter().map(|link| link.covering).collect::<Vec<_>>(), [Covering::Listed]);
}

#[test]
fn a_hard_link_shares_a_lower_layers_file_and_outlives_it() {
    let rootfs = layers(&[&[("a", File)], &[("b", HardLink(b"a")), ("a", Whiteout)]]);
    // The whiteout is applied before the layer's own entries, so the target is gone; the engine's unpacking fails as
    // well.
    assert_eq!(rootfs.dangling().iter().map(|link| link.fault).collect::<Vec<_>>(), [LinkFault::Nowhere]);
    let faults = |of: &[TestLayer<'_>]| layers(of).dangling().iter().map(|link| link.fault).collect::<Vec<_>>();
    assert_eq!(faults(&[&[("a", File)], &[("b", HardLink(b"a"))]]), [LinkFault::LowerLayer]);
    assert_eq!(faults(&[&[("a", File)], &[("a", File), ("b", HardLink(b"a")), ("c", HardLink(b"b"))]]), []);
    assert_eq!(faults(&[&[("b", HardLink(b"a")), ("a", File)]]), [LinkFault::TargetLater]);
    check(&[&[("a", File)], &[("b", HardLink(b"a"))], &[("a", Whiteout)]], &["/b 0"]);
    check(&[&[("b", HardLink(b"a")), ("a", File)]], &["/a 0", "/b 0"]);
}

#[test]
fn a_later_entry_changes_the_mode() {
    let mut lower = Contents::<usize>::default();
    lower.push(&LayerMember::plain(b"a", File, 0o644), Some(0));
    let mut upper = Contents::default();
    upper.push(&LayerMember::plain(b"a", File, 0o755), Some(1));
    let rootfs = merge([Arc::new(lower), Arc::new(upper)]);
    assert_eq!(rootfs.view(rootfs.resolve("/a").unwrap()).mode, 0o755);
}

#[test]
fn links_resolve_inside_the_root() {
    let rootfs = layers(&[&[
        ("usr/bin/app", File),
        ("bin", Symlink(b"usr/bin")),
        ("up", Symlink(b"../../../../usr/bin/app")),
        ("abs", Symlink(b"/bin/app")),
        ("loop", Symlink(b"loop")),
        ("dangling", Symlink(b"/nowhere/x")),
    ]]);
    let at = |path: &str| rootfs.resolve(path).map(|id| String::from_utf8(rootfs.path(id)).unwrap());
    assert_eq!(at("/bin/app"), Ok("/usr/bin/app".into()));
    assert_eq!(at("/up"), Ok("/usr/bin/app".into()));
    assert_eq!(at("/abs"), Ok("/usr/bin/app".into()));
    assert_eq!(at("/../bin/../bin/./app"), Ok("/usr/bin/app".into()));
    assert_eq!(at("/loop"), Err(ResolveError::Loop));
    assert_eq!(at("/dangling"), Err(ResolveError::Missing(b"/nowhere".to_vec())));
    assert_eq!(at("/bin/app/"), Err(ResolveError::NotDirectory(b"/usr/bin/app".to_vec())));
    assert_eq!(at(&format!("/{}", "n".repeat(256))), Err(ResolveError::NameTooLong));
    assert_eq!(at("/bin/"), Ok("/usr/bin".into()));
}

#[test]
fn a_directory_that_may_not_be_searched_stops_the_walk() {
    let rootfs = layers(&[&[("d/a", File)]]);
    let denied = rootfs.walk(rootfs.root(), b"/d/a", true, &|view| view.name != b"d");
    assert_eq!(denied, Err(ResolveError::Denied(b"/d".to_vec())));
}

#[test]
fn a_hard_link_gives_its_inode_its_own_mode_and_owner() {
    let mut contents = Contents::default();
    contents.push(&LayerMember::plain(b"a", File, 0o644), Some(0));
    contents.push(&LayerMember { uid: 7, ..LayerMember::plain(b"b", HardLink(b"a"), 0o755) }, None);
    let rootfs: RootFs<usize> = merge([Arc::new(contents)]);
    for path in ["/a", "/b"] {
        let view = rootfs.view(rootfs.resolve(path).unwrap());
        assert_eq!((view.mode, view.uid, view.fact), (0o755, 7, Some(&0)), "{path}");
    }
}

#[test]
fn entries_that_engines_reject_are_noted_with_their_layer() {
    let refused = |stack: &[TestLayer<'_>]| {
        let rootfs = layers(stack);
        rootfs
            .refused()
            .map(|entry| (entry.layer, String::from_utf8(entry.path.clone()).unwrap(), entry.why))
            .collect::<Vec<_>>()
    };
    let twice = |path: &str| vec![(1, path.to_string(), EngineRefusal::Twice)];
    let hidden = |path: &str| vec![(1, path.to_string(), EngineRefusal::HiddenHere)];
    let lower: TestLayer<'_> = &[("d", Directory), ("d/a", File)];
    assert_eq!(refused(&[lower, &[("d/a", File), ("d/a", File)]]), twice("d/a"));
    assert_eq!(refused(&[lower, &[("d/a", File), ("d", Directory), ("d", Directory)]]), twice("d"));
    assert_eq!(refused(&[lower, &[("x", File), ("y", HardLink(b"x")), ("y", HardLink(b"x"))]]), twice("y"));
    assert_eq!(refused(&[lower, &[("d/a", File), ("d/a", Whiteout)]]), hidden("d/a"));
    assert_eq!(refused(&[lower, &[("d/a", Whiteout), ("d/a", Whiteout)]]), hidden("d/a"));
    // Valid layers: a directory listed after its contents, a directory that replaces a hidden one, and a path that each
    // layer has once.
    assert_eq!(refused(&[lower, &[("d/b/c", File), ("d/b", Directory), ("d", Directory)]]), []);
    assert_eq!(refused(&[lower, &[("d", Whiteout), ("d", Directory), ("d/a", File)]]), []);
    assert_eq!(refused(&[lower, lower, &[("d/a", Whiteout)], lower]), []);
    // A link to a lower layer's file, replacing another lower file.
    assert_eq!(refused(&[&[("a", File), ("b", File)], &[("b", HardLink(b"a"))]]), []);
}
