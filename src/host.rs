//! Floor 5: reads this machine into a target. Reading is a few lines each; deciding on the texts is `platform`'s.
//! It never changes the machine: the only programs it runs are its own, of a hundred bytes, and `uname`.

mod probe;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use crate::inspect::{self, FileKind};
use crate::platform::{Arch, Fact, Handler, Node, Platform, Target, binfmt, cpu, kernel};

/// /proc/cpuinfo of the largest machines: some 1.5 KiB for each of 2,048 processors.
const CPUINFO_BYTES: u64 = 4 << 20;
/// A binfmt_misc entry: a registration has at most 1,920 bytes, of which magic and mask are printed in hex.
const ENTRY_BYTES: u64 = 8 << 10;
/// Entries of binfmt_misc: a machine has tens.
const ENTRIES: usize = 1024;
/// The auxiliary vector has some twenty pairs of 16 bytes.
const AUXV_BYTES: u64 = 4 << 10;

/// Why this machine is no target.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(
        "this machine runs {0}, and only Linux nodes are judged; name the one that containers run on, for example --target docker-desktop-mac"
    )]
    NotLinux(&'static str),
    #[error("this machine's architecture {0:?} is not known")]
    Architecture(String),
    #[error("reading this machine's architecture: {0}")]
    Uname(std::io::Error),
}

/// This machine, and what of it could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub target: Target,
    /// One sentence each, lower case: "binfmt_misc is not mounted: emulators are not known".
    pub notes: Vec<String>,
}

/// Reads, with probes that are run from `temporary`, the architecture, page size, CPU level, 32-bit support, kernel and binfmt_misc handlers of this machine.
pub fn read(temporary: &Path) -> Result<Reading, HostError> {
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
    let mut ask = |is_asked: bool, probe: probe::Probe, otherwise: Fact<bool>| match is_asked {
        true => probe::run(probe, temporary).unwrap_or_else(|error| {
            notes.push(format!("whether this machine runs {} programs could not be tried: {error}", probe.name()));
            Fact::Unknown
        }),
        false => otherwise,
    };
    let node = Node {
        page_size,
        aarch32: ask(arch == Arch::Arm64, probe::Probe::Arm, plain.aarch32),
        ia32: ask(arch == Arch::Amd64, probe::Probe::I386, plain.ia32),
        x32: ask(arch == Arch::Amd64, probe::Probe::X32, plain.x32),
        isa: cpu::isa(arch, &cpuinfo),
        features: cpu::features(arch, &cpuinfo),
        kernel: kernel::version(release.trim()),
        handlers,
        ..plain
    };
    let variant = if arch == Arch::Arm { cpu::arm_variant(&cpuinfo) } else { None };
    let platform = Platform::new("linux", arch.oci(), variant);
    Ok(Reading { target: Target { name: "host".to_string(), platform, node, engine: None }, notes })
}

/// Whether this machine runs programs of `arch`, by itself or by an emulator: tried with one of a hundred bytes. `None`:
/// there is no such program for this architecture.
pub fn try_program(arch: Arch, temporary: &Path) -> Option<std::io::Result<Fact<bool>>> {
    probe::Probe::of(arch).map(|probe| probe::run(probe, temporary))
}

/// A program of `arch` of a hundred bytes, and the exit code by which it shows that it ran; `None` as for
/// [`try_program`].
pub fn tiny_program(arch: Arch) -> Option<(Vec<u8>, u8)> {
    probe::Probe::of(arch).map(|probe| (probe.program(), probe::RAN))
}

/// This machine's name and its kernel's release, as `uname -n` and `uname -r` tell them; empty where there is no /proc.
pub fn names() -> (String, String) {
    let line = |path: &str| {
        bytes(path, ENTRY_BYTES).map_or(String::new(), |name| String::from_utf8_lossy(&name).trim().to_string())
    };
    (line("/proc/sys/kernel/hostname"), line("/proc/sys/kernel/osrelease"))
}

/// The enabled binfmt_misc handlers of this machine's kernel, the newest first, and why they may not be all.
pub fn emulators() -> (Vec<Handler>, Vec<String>) {
    let mut notes = Vec::new();
    let handlers = handlers(&mut notes);
    (handlers, notes)
}

/// The kernel's architecture, which a 32-bit imgarch on a 64-bit kernel does not share.
fn machine() -> Result<Arch, HostError> {
    // Since Linux 6.1; `uname -m` can be told to lie by a personality.
    let name = match bytes("/proc/sys/kernel/arch", ENTRY_BYTES) {
        Ok(name) => name,
        Err(_) => Command::new("uname").arg("-m").output().map_err(HostError::Uname)?.stdout,
    };
    let name = String::from_utf8_lossy(&name).trim().to_string();
    // A MIPS kernel does not tell its byte order: it is the one that this program was built for.
    let order = if cfg!(target_endian = "little") && name.starts_with("mips") { "el" } else { "" };
    Arch::parse(&format!("{name}{order}")).ok_or(HostError::Architecture(name))
}

/// AT_PAGESZ (6) of an auxiliary vector in this program's own word size. Source: include/uapi/linux/auxvec.h.
fn page_size_of_auxv(auxv: &[u8]) -> Option<u64> {
    const AT_PAGESZ: usize = 6;
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| usize::from_ne_bytes(bytes.try_into().expect("chunks are cut to a word"));
    let mut pairs = auxv.chunks_exact(2 * WORD).map(|pair| (word(&pair[..WORD]), word(&pair[WORD..])));
    pairs.find(|(key, _)| *key == AT_PAGESZ).map(|(_, value)| value as u64)
}

/// Enabled handlers in the kernel's order, which is the directory's own: it must not be sorted.
fn handlers(notes: &mut Vec<String>) -> Vec<Handler> {
    let folder = Path::new("/proc/sys/fs/binfmt_misc");
    let unknown = |why: String| format!("which emulators this machine has is not known: {why}");
    let files: Vec<(String, String)> = match fs::read_dir(folder) {
        Err(error) => {
            notes.push(unknown(format!("{}: {error}", folder.display())));
            return Vec::new();
        }
        Ok(entries) => entries
            .flatten()
            .take(ENTRIES)
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok().filter(|name| name != "register")?;
                let text = bytes(entry.path(), ENTRY_BYTES).ok()?;
                Some((name, String::from_utf8_lossy(&text).into_owned()))
            })
            .collect(),
    };
    if !files.iter().any(|(name, _)| name == "status") {
        notes.push(unknown("binfmt_misc is not mounted here".to_string()));
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

/// Whether the handler's interpreter is static, where its file is to be seen from here.
fn with_linkage(handler: Handler) -> Handler {
    let open = || {
        let file = File::open(&handler.interpreter).ok()?;
        let size = file.metadata().ok()?.len();
        Some((file, size))
    };
    let is_static = match open() {
        Some((mut file, size)) => match inspect::inspect(handler.interpreter.as_bytes(), size, true, &mut file) {
            FileKind::Elf(elf) => Fact::Known(elf.interp.is_none() && !elf.interp_missing),
            _ => Fact::Unknown,
        },
        None => Fact::Unknown,
    };
    Handler { is_static, ..handler }
}

fn bytes(path: impl AsRef<Path>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut content)?;
    Ok(content)
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
