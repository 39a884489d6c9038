//! Reads the files that list library directories: /etc/ld.so.conf with its includes, and musl's path file.

use crate::exec::kernel::access::config;
use crate::exec::outcome::lossy;
use crate::image::{NodeKind, RootFs};
use crate::inspect::{CONFIG_BYTES, FileKind};

/// Maximum number of files that one ld.so.conf may include; distributions have about ten.
const MAX_INCLUDES: usize = 256;
/// Maximum number of files that include each other in a chain.
const MAX_DEPTH: usize = 16;

/// Returns the directories of /etc/ld.so.conf in ldconfig's order, and why some may be missing. Source: elf/ldconfig.c
/// `parse_conf`.
pub(crate) fn ld_so_conf(rootfs: &RootFs<FileKind>) -> (Vec<String>, Option<String>) {
    let mut reading = ConfReading { rootfs, directories: Vec::new(), gap: None, files: 0 };
    reading.file("/etc/ld.so.conf", 0);
    (reading.directories, reading.gap)
}

/// ldconfig's state while it reads a file and what that includes.
struct ConfReading<'r> {
    rootfs: &'r RootFs<FileKind>,
    directories: Vec<String>,
    gap: Option<String>,
    files: usize,
}

impl ConfReading<'_> {
    fn file(&mut self, path: &str, depth: usize) {
        self.files += 1;
        if self.files > MAX_INCLUDES || depth > MAX_DEPTH {
            self.gap = Some("/etc/ld.so.conf includes too many files".to_string());
            return;
        }
        let Some(text) = config(self.rootfs, path) else {
            if self.rootfs.resolve(path).is_ok() {
                self.gap = Some(format!("{path} was not read"));
            }
            return;
        };
        if text.len() >= CONFIG_BYTES {
            self.gap = Some(format!("{path} was not read completely"));
        }
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("").trim();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                None | Some("hwcap") => {}
                Some("include") => {
                    for included in words.flat_map(|pattern| matches(self.rootfs, pattern)) {
                        self.file(&included, depth + 1);
                    }
                }
                // A directory may have the `=TYPE` suffix of an older ldconfig.
                Some(_) => self.directories.extend(line.split([':', ' ', '\t', ',']).filter_map(|word| {
                    word.split('=').next().filter(|word| word.starts_with('/')).map(str::to_string)
                })),
            }
        }
    }
}

/// Returns the files that an include's pattern matches. Only its last part may contain a `*`. A relative pattern is
/// below /etc.
fn matches(rootfs: &RootFs<FileKind>, pattern: &str) -> Vec<String> {
    let pattern = if pattern.starts_with('/') { pattern.to_string() } else { format!("/etc/{pattern}") };
    let Some((directory, name)) = pattern.rsplit_once('/') else { return Vec::new() };
    let Some((start, end)) = name.split_once('*') else { return vec![pattern.clone()] };
    let Ok(directory_id) = rootfs.resolve(directory) else { return Vec::new() };
    let is_match = |name: &str| name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end);
    let mut files: Vec<String> = rootfs
        .children(directory_id)
        .filter(|child| child.kind != NodeKind::Directory)
        .map(|child| lossy(child.name))
        .filter(|name| is_match(name))
        .map(|name| format!("{directory}/{name}"))
        .collect();
    files.sort();
    files
}

/// musl's directories: those in /etc/ld-musl-ARCH.path, otherwise its three defaults. musl looks for the file next to
/// the loader's `lib` directory. Source: ldso/dynlink.c `load_library`.
pub(crate) fn musl_path(rootfs: &RootFs<FileKind>, loader: &[u8]) -> Vec<String> {
    let loader = lossy(loader);
    let name = loader.rsplit('/').next().unwrap_or("").trim_end_matches(".so.1");
    match config(rootfs, &format!("/etc/{name}.path")) {
        Some(text) => text.split([':', '\n']).filter(|path| !path.is_empty()).map(str::to_string).collect(),
        None => ["/lib", "/usr/local/lib", "/usr/lib"].map(str::to_string).to_vec(),
    }
}
