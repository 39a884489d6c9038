//! Puts one fault into a tree and takes it out again.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::expected::{Bytes, Fault, Put};

/// What was there before, last put first.
pub struct Undo(Vec<(PathBuf, Option<PathBuf>)>);

impl Undo {
    pub fn run(self) {
        for (path, aside) in self.0.into_iter().rev() {
            if fs::symlink_metadata(&path).is_ok() {
                fs::remove_file(&path).unwrap();
            }
            if let Some(aside) = aside {
                fs::rename(aside, path).unwrap();
            }
        }
    }
}

pub fn put(root: &Path, fault: &Fault) -> Undo {
    // What is read of the tree is read before anything is moved aside.
    let puts: Vec<(&Put, Vec<u8>)> = fault.puts.iter().map(|put| (put, bytes(root, put))).collect();
    let mut undo = Vec::new();
    for (index, (put, bytes)) in puts.into_iter().enumerate() {
        let path = root.join(put.path());
        let aside = root.parent().unwrap().join(format!("aside-{index}"));
        let was_there = fs::symlink_metadata(&path).is_ok();
        if was_there {
            fs::rename(&path, &aside).unwrap();
        }
        undo.push((path.clone(), was_there.then_some(aside)));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match put {
            Put::File(_, mode, _) => {
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Put::Link(_, target) => symlink(target, &path).unwrap(),
            Put::Gone(_) => {}
        }
    }
    Undo(undo)
}

fn bytes(root: &Path, put: &Put) -> Vec<u8> {
    let Put::File(path, _, bytes) = put else { return Vec::new() };
    let of = |path: &str| fs::read(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    match bytes {
        Bytes::Text(text) => text.as_bytes().to_vec(),
        Bytes::Raw(raw) => raw.to_vec(),
        Bytes::Same => of(path),
        Bytes::Native(source) => of(source),
        Bytes::Foreign(source) => foreign(of(source)),
    }
}

/// The same file as if it were linked for x86-64: e_machine is all that the kernel and the loader ask.
fn foreign(mut elf: Vec<u8>) -> Vec<u8> {
    assert!(elf.starts_with(b"\x7fELF"));
    elf[18..20].copy_from_slice(&62u16.to_le_bytes());
    elf
}
