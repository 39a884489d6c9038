//! The directories with copies of libraries for newer CPUs. glibc's loader searches those that fit its CPU, the highest
//! level first, before the directory itself. Source: glibc's elf/dl-hwcaps.c, sysdeps' dl-hwcaps_subdirs.c.

use crate::exec::kernel::cwd::Cwd;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind};
use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::platform::{Arch, Fact, Isa};

/// The name of a level's directory up to its number, and the lowest and highest number.
fn levels(arch: Arch) -> Option<(&'static str, std::ops::RangeInclusive<u8>)> {
    match arch {
        Arch::Amd64 => Some(("x86-64-v", 2..=4)),
        Arch::Ppc64le => Some(("power", 9..=10)),
        Arch::S390x => Some(("z", 13..=16)),
        _ => None,
    }
}

/// The directories below `directory` that a CPU of this level searches, in search order. All of them if the level is
/// not known. Older glibc's platform directories are left out: they hold copies too, never the only one.
pub(super) fn directories(
    rootfs: &RootFs<FileKind>,
    cwd: &Cwd,
    directory: &str,
    (arch, isa): (Arch, Fact<Isa>),
) -> Vec<String> {
    let Some((start, numbers)) = levels(arch) else { return Vec::new() };
    let hwcaps = format!("{}/glibc-hwcaps", directory.trim_end_matches('/'));
    let Ok(id) = cwd.walk(rootfs, hwcaps.as_bytes(), &|_| true) else { return Vec::new() };
    let is_searched = |level: &u8| match isa {
        Fact::Known(Isa::X86(own) | Isa::Power(own) | Isa::Z(own)) => *level <= own,
        Fact::Known(Isa::Arm(_) | Isa::Arm64(..) | Isa::Rva(_)) => false,
        Fact::Unknown => true,
    };
    let level =
        |name: &[u8]| lossy(name).strip_prefix(start)?.parse::<u8>().ok().filter(|level| numbers.contains(level));
    let mut found: Vec<u8> = rootfs.children(id).filter_map(|child| level(child.name)).filter(is_searched).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.into_iter().map(|level| format!("{hwcaps}/{start}{level}")).collect()
}

/// The doubt about a copy that ends the program on the CPUs whose loader opens it.
pub(super) fn doubt(path: &str) -> Cause {
    let text =
        format!("newer CPUs load the copy {path}, which is not a library; the level of this node's CPU is not known");
    Cause { kind: CauseKind::LibraryUnknown, text }
}
