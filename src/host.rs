//! Reads the local machine as a target. This module only reads; `platform` interprets the text. It never changes the
//! machine. The only programs that it runs are its own probes of about a hundred bytes and `uname`.

mod probe;

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

use crate::files;
use crate::inspect::{self, FileKind};
use crate::platform::{Arch, Fact, Handler, Node, Platform, Target, binfmt, cpu, kernel};

/// Maximum size of /proc/cpuinfo: about 1.5 KiB for each of 2,048 processors.
const CPUINFO_BYTES: u64 = 4 << 20;
/// Maximum size of a binfmt_misc entry: a registration has at most 1,920 bytes, and magic and mask are printed in hex.
const ENTRY_BYTES: u64 = 8 << 10;
/// Maximum number of binfmt_misc entries. Machines have tens.
const ENTRIES: usize = 1024;
/// The auxiliary vector has about twenty pairs of 16 bytes.
const AUXV_BYTES: u64 = 4 << 10;

/// Error: this machine cannot be a target.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(
        "this machine runs {0}, but targets must run Linux; name the node that runs the containers, for example --target docker-desktop-mac"
    )]
    NotLinux(&'static str),
    #[error("unknown machine architecture {0:?}")]
    Architecture(String),
    #[error("cannot read this machine's architecture: {0}")]
    Uname(std::io::Error),
}

/// The local machine, and notes on what could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct HostReading {
    pub target: Target,
    /// Lower-case messages such as "cannot list this machine's emulators: binfmt_misc is not mounted".
    pub notes: Vec<String>,
}

/// Reads this machine's architecture, page size, CPU level, 32-bit support, kernel and binfmt_misc handlers. Probes are
/// written to `temporary` and run there.
pub fn read(temporary: &Path) -> Result<HostReading, HostError> {
    if std::env::consts::OS != "linux" {
        return Err(HostError::NotLinux(std::env::consts::OS));
    }
    let arch = machine()?;
    let mut notes = Vec::new();
    let cpuinfo = text("/proc/cpuinfo", CPUINFO_BYTES, &mut notes).unwrap_or_default();
    let release = text("/proc/sys/kernel/osrelease", ENTRY_BYTES, &mut notes).unwrap_or_default();
    let page_size = match bytes("/proc/self/auxv", AUXV_BYTES).ok().and_then(|auxv| page_size_of_auxv(&auxv)) {
        Some(size) => Fact::Known(size),
        None => kernel::page_size(arch, release.trim()),
    };
    let plain = Node::plain(arch);
    let handlers = handlers(&mut notes);
    let mut test = |is_needed: bool, probe: probe::Probe, otherwise: Fact<bool>| match is_needed {
        true => probe::run(probe, temporary).unwrap_or_else(|error| {
            notes.push(format!("cannot test whether this machine runs {} programs: {error}", probe.name()));
            Fact::Unknown
        }),
        false => otherwise,
    };
    let node = Node {
        page_size,
        aarch32: test(arch == Arch::Arm64, probe::Probe::Arm, plain.aarch32),
        ia32: test(arch == Arch::Amd64, probe::Probe::I386, plain.ia32),
        x32: test(arch == Arch::Amd64, probe::Probe::X32, plain.x32),
        isa: cpu::isa(arch, &cpuinfo),
        features: cpu::features(arch, &cpuinfo),
        kernel: kernel::version(release.trim()),
        handlers,
        ..plain
    };
    let variant = if arch == Arch::Arm { cpu::arm_variant(&cpuinfo) } else { None };
    let platform = Platform::new("linux", arch.oci(), variant);
    Ok(HostReading { target: Target { name: "host".to_string(), platform, node, engine: None }, notes })
}

/// Runs a probe to find out whether this machine runs programs of `arch`, natively or with an emulator. `None` if there
/// is no probe for this architecture.
pub fn try_program(arch: Arch, temporary: &Path) -> Option<std::io::Result<Fact<bool>>> {
    probe::Probe::for_arch(arch).map(|probe| probe::run(probe, temporary))
}

/// A program of about a hundred bytes for `arch`, and its exit code on success. `None` if there is no probe for this
/// architecture.
pub fn tiny_program(arch: Arch) -> Option<(Vec<u8>, u8)> {
    probe::Probe::for_arch(arch).map(|probe| (probe.program(), probe::RAN))
}

/// The machine's name and kernel release, as from `uname -n` and `uname -r`. Empty without /proc.
pub fn names() -> (String, String) {
    let line = |path: &str| {
        bytes(path, ENTRY_BYTES).map_or(String::new(), |name| String::from_utf8_lossy(&name).trim().to_string())
    };
    (line("/proc/sys/kernel/hostname"), line("/proc/sys/kernel/osrelease"))
}

/// The enabled binfmt_misc handlers of this machine's kernel, newest first, and notes on why the list may be
/// incomplete.
pub fn emulators() -> (Vec<Handler>, Vec<String>) {
    let mut notes = Vec::new();
    let handlers = handlers(&mut notes);
    (handlers, notes)
}

/// The architecture of the kernel. It differs from imgarch's own if a 32-bit build runs on a 64-bit kernel.
fn machine() -> Result<Arch, HostError> {
    // This file exists since Linux 6.1. Unlike it, `uname -m` depends on the process's personality.
    let name = match bytes("/proc/sys/kernel/arch", ENTRY_BYTES) {
        Ok(name) => name,
        Err(_) => Command::new("uname").arg("-m").output().map_err(HostError::Uname)?.stdout,
    };
    let name = String::from_utf8_lossy(&name).trim().to_string();
    // A MIPS kernel does not report its byte order, so use that of this build.
    let order = if cfg!(target_endian = "little") && name.starts_with("mips") { "el" } else { "" };
    Arch::parse(&format!("{name}{order}")).ok_or(HostError::Architecture(name))
}

/// Finds AT_PAGESZ (6) in an auxiliary vector with this program's word size. Source: include/uapi/linux/auxvec.h.
fn page_size_of_auxv(auxv: &[u8]) -> Option<u64> {
    const AT_PAGESZ: usize = 6;
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| usize::from_ne_bytes(bytes.try_into().expect("chunks have the size of a word"));
    let mut pairs = auxv.chunks_exact(2 * WORD).map(|pair| (word(&pair[..WORD]), word(&pair[WORD..])));
    pairs.find(|(key, _)| *key == AT_PAGESZ).map(|(_, value)| value as u64)
}

/// Lists the enabled handlers.
fn handlers(notes: &mut Vec<String>) -> Vec<Handler> {
    let unknown = |why: String| format!("cannot list this machine's emulators: {why}");
    let Some(files) = binfmt_entries(Path::new("/proc/sys/fs/binfmt_misc"), notes) else { return Vec::new() };
    if !files.iter().any(|(name, _)| name == "status") {
        notes.push(unknown("binfmt_misc is not mounted".to_string()));
        return Vec::new();
    }
    match binfmt::handlers(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))) {
        Ok(found) => found.into_iter().map(with_linkage).collect(),
        Err(error) => {
            notes.push(unknown(error.to_string()));
            Vec::new()
        }
    }
}

/// Reads the files of binfmt_misc: names and contents. The order of the directory is the kernel's order and must not be
/// sorted. Files that cannot be read are noted and left out. `None` if the directory cannot be read.
fn binfmt_entries(directory: &Path, notes: &mut Vec<String>) -> Option<Vec<(String, String)>> {
    let mut refuse = |why: String| notes.push(format!("cannot list all of this machine's emulators: {why}"));
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(error) => {
            refuse(format!("{}: {error}", directory.display()));
            return None;
        }
    };
    let mut files = Vec::new();
    for (number, entry) in listed.enumerate() {
        if number == ENTRIES {
            refuse(format!("{} has more than {ENTRIES} entries", directory.display()));
            break;
        }
        // The kernel only writes to `register`.
        let read = match entry {
            Ok(entry) if entry.file_name() == "register" => continue,
            Ok(entry) => bytes(entry.path(), ENTRY_BYTES)
                .map(|text| (entry.file_name(), text))
                .map_err(|error| (entry.path(), error)),
            Err(error) => Err((directory.to_path_buf(), error)),
        };
        match read {
            Ok((name, text)) => {
                files.push((name.to_string_lossy().into_owned(), String::from_utf8_lossy(&text).into_owned()))
            }
            Err((path, error)) => refuse(format!("{}: {error}", path.display())),
        }
    }
    Some(files)
}

/// Adds whether the handler's interpreter is static, if its file is visible from here.
fn with_linkage(handler: Handler) -> Handler {
    let open = || {
        let file = files::open_regular(handler.interpreter.as_ref()).ok()?;
        let size = file.metadata().ok()?.len();
        Some((file, size))
    };
    let is_static = match open() {
        Some((file, size)) => {
            match inspect::inspect(handler.interpreter.as_bytes(), size, true, &mut BufReader::new(file)) {
                FileKind::Elf(elf) => Fact::Known(elf.interp.is_none() && !elf.interp_missing),
                _ => Fact::Unknown,
            }
        }
        None => Fact::Unknown,
    };
    Handler { is_static, ..handler }
}

fn bytes(path: impl AsRef<Path>, limit: u64) -> std::io::Result<Vec<u8>> {
    files::read_start(path.as_ref(), limit)
}

fn text(path: &str, limit: u64, notes: &mut Vec<String>) -> Option<String> {
    match bytes(path, limit) {
        Ok(content) => Some(String::from_utf8_lossy(&content).into_owned()),
        Err(error) => {
            notes.push(format!("{path}: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_size_is_read_from_the_auxiliary_vector() {
        let pairs: Vec<u8> = [3usize, 64, 6, 65536, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(page_size_of_auxv(&pairs), Some(65536));
        assert_eq!(page_size_of_auxv(&pairs[..5]), None);
    }

    #[test]
    fn an_entry_of_binfmt_misc_that_cannot_be_read_is_noted() {
        let directory = tempfile::tempdir().unwrap();
        let mut notes = Vec::new();
        assert_eq!(binfmt_entries(&directory.path().join("absent"), &mut notes), None);
        assert!(notes[0].starts_with("cannot list all of this machine's emulators: /"), "{notes:?}");
        notes.clear();
        for name in ["register", "status", "qemu-arm"] {
            fs::write(directory.path().join(name), "enabled").unwrap();
        }
        // Reading a directory fails for every user, root included.
        fs::create_dir(directory.path().join("broken")).unwrap();
        let mut files = binfmt_entries(directory.path(), &mut notes).unwrap();
        files.sort();
        assert_eq!(
            files,
            [("qemu-arm", "enabled"), ("status", "enabled")].map(|(a, b)| (a.to_string(), b.to_string()))
        );
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("/broken: "), "{notes:?}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_is_a_target_of_its_own_architecture() {
        let reading = read(&std::env::temp_dir()).unwrap();
        assert_eq!(reading.target.name, "host");
        assert!(matches!(reading.target.node.page_size, Fact::Known(4096 | 16384 | 65536)));
        assert_ne!(reading.target.node.kernel, Fact::Unknown);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(reading.target.node.arch, Arch::Amd64);
            assert_ne!(reading.target.node.isa, Fact::Unknown);
            assert_ne!(reading.target.node.ia32, Fact::Unknown, "{:?}", reading.notes);
        }
    }
}
