//! Stacks of layers that a real engine unpacks, in both of its stores. The merge must produce the same tree.

use std::collections::BTreeMap;

use super::*;

/// A directory ends in `/`, a link is `name -> target`, and anything else is a file that contains its layer's number.
type Stack = &'static [&'static [&'static str]];

/// Stacks for which overlayfs, the usual driver, differs from copying one layer over the other.
const STACKS: [(&str, Stack); 15] = [
    ("below-a-lower-link", &[&["usr/", "usr/lib/", "usr/lib/a", "lib -> usr/lib"], &["lib/x"]]),
    ("below-a-lower-link-named", &[&["usr/", "usr/lib/", "usr/lib/a", "lib -> usr/lib"], &["lib/", "lib/x"]]),
    ("below-an-own-link", &[&["usr/", "usr/lib/", "usr/lib/a", "lib -> usr/lib", "lib/x"]]),
    ("whiteout-below-a-link", &[&["usr/", "usr/a", "usr/b", "u -> usr"], &["u/.wh.a"]]),
    ("opaque-link", &[&["r/", "r/x", "l -> r"], &["l/.wh..wh..opq", "l/n"]]),
    ("link-then-below", &[&["a/", "a/x", "b/", "b/y"], &["a -> b"], &["a/z"]]),
    ("whiteout", &[&["d/", "d/a", "d/b", "e"], &["d/.wh.a", ".wh.e"]]),
    ("whiteout-of-a-directory", &[&["d/", "d/s/", "d/s/a", "e"], &[".wh.d"], &["d/", "d/c"]]),
    ("opaque-first", &[&["d/", "d/a", "d/s/", "d/s/b"], &["d/", "d/.wh..wh..opq", "d/s/", "d/s/n"]]),
    ("opaque-last", &[&["d/", "d/a", "d/n"], &["d/", "d/n", "d/.wh..wh..opq"]]),
    ("file-to-directory", &[&["a"], &["a/", "a/x"]]),
    ("file-to-directory-unsaid", &[&["a"], &["a/x"]]),
    ("directory-to-file-and-back", &[&["a/", "a/x"], &["a"], &["a/", "a/y"]]),
    ("directory-to-link", &[&["a/", "a/x", "b/", "b/y"], &["a -> b"]]),
    ("nothing-to-hide", &[&["a"], &[".wh.nothing", "q/.wh..wh..opq", "q/x"]]),
];

fn tar_of(layer: usize, entries: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(0);
        if let Some((name, target)) = entry.split_once(" -> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, name, target).unwrap();
        } else if entry.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            builder.append_data(&mut header, entry, std::io::empty()).unwrap();
        } else {
            let content = if entry.contains(".wh.") { String::new() } else { layer.to_string() };
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, entry, content.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn archive_of(stack: Stack, name: &str) -> Vec<u8> {
    let tars: Vec<Vec<u8>> = stack.iter().enumerate().map(|(layer, entries)| tar_of(layer, entries)).collect();
    let names: Vec<String> = (0..tars.len()).map(|layer| format!("{layer}.tar")).collect();
    let diff_ids: Vec<String> = tars.iter().map(|tar| Digest::from_bytes(tar).to_string()).collect();
    let config = json!({"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/a"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let list = json!([{"Config": "config.json", "RepoTags": [name], "Layers": names}]);
    let mut members: Vec<(String, Vec<u8>)> = names.into_iter().zip(tars).collect();
    members.push(("config.json".to_string(), config.to_string().into_bytes()));
    members.push(("manifest.json".to_string(), list.to_string().into_bytes()));
    images::archive(&members)
}

/// Files with their contents and links with their targets, without directories. A container's own files are empty.
fn tree_of_export(export: &[u8]) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    for entry in tar::Archive::new(export).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = format!("/{}", entry.path().unwrap().display());
        let mut content = String::new();
        match entry.link_name().unwrap() {
            Some(target) => content = target.display().to_string(),
            None => drop(entry.read_to_string(&mut content).unwrap()),
        }
        if !content.is_empty() && !name.starts_with("/etc/") {
            tree.insert(name, content);
        }
    }
    tree
}

fn tree_of_merge(path: &str) -> BTreeMap<String, String> {
    let OpenedInput::Image(source) = ImageOpener::default().open(path).unwrap().input else {
        panic!("an archive's file")
    };
    let selection = select(&*source, &Wanted::default()).unwrap();
    let read = |_: &LayerMember<'_>, content: &mut dyn BufRead| {
        let mut text = String::new();
        content.read_to_string(&mut text).unwrap();
        Some(text)
    };
    let layers = selection.images[0].layers.iter();
    let rootfs = merge(
        layers.map(|layer| Arc::new(read_layer(&*source, layer, &Limits::default(), &mut { read }).unwrap().contents)),
    );
    let describe = |file: imgarch::image::FileView<'_, String>| match file.kind {
        NodeKind::File => file.fact.cloned(),
        NodeKind::Symlink => Some(String::from_utf8(file.target.to_vec()).unwrap()),
        _ => None,
    };
    rootfs.all().filter_map(|file| Some((String::from_utf8(rootfs.path(file.id)).unwrap(), describe(file)?))).collect()
}

fn check(docker: &engines::Engine, store: &str) {
    let directory = tempfile::tempdir().unwrap();
    for (name, stack) in STACKS {
        let tag = format!("merged:{name}");
        let path = directory.path().join(name).display().to_string();
        fs::write(&path, archive_of(stack, &tag)).unwrap();
        docker.docker(&["load", "--input", &path]);
        let id = docker.docker(&["create", "--network=none", &tag]);
        let export = directory.path().join("export").display().to_string();
        docker.docker(&["export", "--output", &export, id.trim()]);
        docker.docker(&["rm", id.trim()]);
        assert_eq!(tree_of_merge(&path), tree_of_export(&fs::read(&export).unwrap()), "{name} in the {store} store");
    }
}

#[test]
fn layers_merge_as_docker_engines_classic_store_unpacks_them() {
    let test = "layers_merge_as_docker_engines_classic_store_unpacks_them";
    if let Some(docker) = engines::docker(test, engines::Store::Classic) {
        check(docker, "classic");
    }
}

#[test]
fn layers_merge_as_docker_engines_containerd_store_unpacks_them() {
    let test = "layers_merge_as_docker_engines_containerd_store_unpacks_them";
    if let Some(docker) = engines::docker(test, engines::Store::Containerd) {
        check(docker, "containerd");
    }
}
