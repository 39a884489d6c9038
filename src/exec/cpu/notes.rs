//! Compares the CPU level that a program's notes, build settings and distribution state with the node's level. A note
//! that the loader enforces and a check in Go's runtime prove that the program ends. A note that is not enforced, build
//! attributes and a distribution's baseline only raise a doubt. The absence of a note proves nothing.

use crate::exec::kernel::access::config;
use crate::exec::kernel::binfmt::LoadedProgram;
use crate::exec::loader::{Loaded, LoaderFamily};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::RootFs;
use crate::inspect::{Elf, FileKind, GoBuild};
use crate::platform::{Arch, CpuFeature, Fact, Isa, Node, cpu};

/// glibc enforces GNU_PROPERTY_X86_ISA_1_NEEDED from this version on. Source: its NEWS for 2.33.
const ENFORCED_SINCE: (u32, u32) = (2, 33);

/// The effect of the node's CPU on a program.
#[derive(Debug, Default)]
pub(crate) struct CpuEffect {
    /// The certain outcome, with the lines that are printed.
    pub ends: Option<(Outcome, Vec<String>)>,
    pub doubts: Vec<Cause>,
}

/// Checks a loaded program on a node. `loaded` is `None` for a static program.
pub(crate) fn check(
    rootfs: &RootFs<FileKind>,
    started: &LoadedProgram<'_>,
    loaded: Option<&Loaded<'_>>,
    node: &Node,
) -> CpuEffect {
    let mut verdict = CpuEffect::default();
    let baseline = || {
        baseline(rootfs, started.abi.arch).filter(|_| loaded.is_some_and(|loaded| loaded.family == LoaderFamily::Glibc))
    };
    verdict.doubts.extend(riscv(started, node));
    let Fact::Known(isa) = node.isa else {
        verdict.doubts.extend(open_level(started, loaded, baseline()));
        return verdict;
    };
    if let Some(go) = &started.elf.go {
        verdict.ends = go_check(started, go, isa);
        verdict.doubts.extend(go_doubt(started, go, isa));
    }
    match isa {
        Isa::X86(level) => x86(&mut verdict, started, loaded, level),
        Isa::Arm(version) => verdict.doubts.extend(arm(started, version)),
        Isa::Arm64(..) | Isa::Rva(_) | Isa::Power(_) | Isa::Z(_) => {}
    }
    verdict.doubts.extend(baseline().and_then(|baseline| baseline.beyond(isa)));
    verdict
}

/// The doubts if the node's level is unknown. The distribution's own level is expected, so only a higher one raises a
/// [`CauseKind::CpuLevel`] doubt.
fn open_level(
    started: &LoadedProgram<'_>,
    loaded: Option<&Loaded<'_>>,
    baseline: Option<DistributionBaseline>,
) -> Vec<Cause> {
    let mut doubts = Vec::new();
    let mut usual = 1;
    if let Some(DistributionBaseline { name, needed }) = &baseline {
        let text = format!("{name} is built for {needed}; older CPUs do not run its programs");
        doubts.push(Cause { kind: CauseKind::DistributionLevel, text });
        usual = if let Isa::X86(level) = needed { *level } else { usual };
    }
    if started.abi.arch != Arch::Amd64 {
        return doubts;
    }
    let files = files(started, loaded);
    let is_libc = |path: &str| path.ends_with("/libc.so.6") || path.contains("/ld-linux");
    let of_libc = files.iter().filter(|(path, _)| is_libc(path)).filter_map(|(_, elf)| needed_level(elf)).max();
    usual = usual.max(of_libc.unwrap_or(1));
    let goamd64 = started.elf.go.as_ref().and_then(|go| number(setting(go, "GOAMD64")?));
    let notes = files.iter().filter_map(|(path, elf)| Some((needed_level(elf)?, path.clone())));
    let most = notes.chain(goamd64.map(|level| (level, lossy(&started.path)))).max();
    if let Some((needed, path)) = most.filter(|(needed, _)| *needed > usual) {
        let text = format!(
            "{path} needs x86-64-v{needed}, and the node's CPU level is unknown; state it with level=v1 to level=v4"
        );
        doubts.push(Cause { kind: CauseKind::CpuLevel, text });
    }
    doubts
}

/// The files whose notes count: the program and everything mapped for it.
fn files<'a>(started: &'a LoadedProgram<'_>, loaded: Option<&'a Loaded<'_>>) -> Vec<(String, &'a Elf)> {
    match loaded {
        Some(loaded) => loaded.objects.iter().map(|object| (lossy(&object.path), object.elf)).collect(),
        None => vec![(lossy(&started.path), started.elf)],
    }
}

/// The highest bit is the level; the bits below it need not be set. Source: x86-64 psABI, "Program Property".
fn needed_level(elf: &Elf) -> Option<u8> {
    let bits = elf.isa.x86_needed?;
    (0..4).rev().find(|bit| bits & 1 << bit != 0).map(|bit| bit + 1)
}

fn x86(verdict: &mut CpuEffect, started: &LoadedProgram<'_>, loaded: Option<&Loaded<'_>>, level: u8) {
    if started.abi.arch != Arch::Amd64 {
        return;
    }
    let files = files(started, loaded);
    let over = files.iter().filter_map(|(path, elf)| Some((path, needed_level(elf).filter(|needed| *needed > level)?)));
    let Some((path, needed)) = over.max_by_key(|(_, needed)| *needed) else { return };
    let text = format!("{path} is marked as needing x86-64-v{needed}; this node is x86-64-v{level}");
    let is_enforced = loaded
        .is_some_and(|loaded| loaded.family == LoaderFamily::Glibc && glibc_version(loaded) >= Some(ENFORCED_SINCE));
    if is_enforced && verdict.ends.is_none() {
        let cause = Cause { kind: CauseKind::CpuLevel, text };
        let outcome = Outcome::Dies { death: Death::Exit(127), at: path.clone(), cause };
        verdict.ends = Some((outcome, vec![format!("{path}: CPU ISA level is lower than required")]));
    } else {
        verdict.doubts.push(Cause { kind: CauseKind::CpuLevel, text });
    }
}

/// The newest GLIBC_x.y version that the loaded libc defines.
pub(crate) fn glibc_version(loaded: &Loaded<'_>) -> Option<(u32, u32)> {
    let offers = loaded.objects.iter().filter_map(|object| object.elf.dynamic.as_ref()?.offers.as_ref()).flatten();
    let number = |version: &String| {
        let mut parts = version.strip_prefix("GLIBC_")?.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    offers.filter_map(number).max()
}

fn setting<'g>(go: &'g GoBuild, key: &str) -> Option<&'g str> {
    go.settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// The level in `GOAMD64=v3` or `GOARM=7,softfloat`.
fn number(value: &str) -> Option<u8> {
    value.trim_start_matches('v').split([',', '.']).next()?.parse().ok()
}

/// The checks that Go's runtime makes before `main`. Source: runtime/asm_amd64.s, os_linux_arm.go, asm_arm64.s.
fn go_check(started: &LoadedProgram<'_>, go: &GoBuild, isa: Isa) -> Option<(Outcome, Vec<String>)> {
    let end = |text: String, line: String| {
        let outcome = Outcome::Dies {
            death: Death::Exit(1),
            at: lossy(&started.path),
            cause: Cause { kind: CauseKind::CpuLevel, text },
        };
        Some((outcome, vec![line]))
    };
    match (started.abi.arch, isa) {
        (Arch::Amd64, Isa::X86(level)) => {
            let needed = number(setting(go, "GOAMD64")?).filter(|needed| *needed > level)?;
            let text = format!("a Go program built with GOAMD64=v{needed}; this node is x86-64-v{level}");
            end(
                text,
                format!("This program can only be run on AMD64 processors with v{needed} microarchitecture support."),
            )
        }
        (Arch::Arm, Isa::Arm(version)) => {
            let goarm = setting(go, "GOARM").filter(|goarm| !goarm.contains("softfloat"))?;
            let needed = number(goarm).filter(|needed| *needed > version && (*needed == 7 || version < 6))?;
            let (fpu, kind) = if needed == 7 {
                ("VFPv3 floating point", "VFPv3 hard floating point")
            } else {
                ("floating point", "hard floating point")
            };
            let text = format!("a Go program built with GOARM={goarm}; this node is armv{version}");
            end(
                text,
                format!(
                    "runtime: this CPU has no {fpu} hardware, so it cannot run\nthis program built for {kind} (GOARM={needed})."
                ),
            )
        }
        (Arch::Arm64, Isa::Arm64(8, 0)) => {
            let goarm64 = setting(go, "GOARM64")?;
            let needs_lse = goarm64.contains(",lse") || !goarm64.starts_with("v8.0");
            let text =
                format!("a Go program built with GOARM64={goarm64}; this node is armv8-a, which has no LSE atomics");
            needs_lse
                .then(|| end(text, "This program can only run on ARM64 processors with LSE support.".to_string()))?
        }
        _ => None,
    }
}

/// A doubt for levels that Go compiles for but does not check.
fn go_doubt(started: &LoadedProgram<'_>, go: &GoBuild, isa: Isa) -> Option<Cause> {
    let (key, node, needed) = match (started.abi.arch, isa) {
        (Arch::Ppc64le | Arch::Ppc64, Isa::Power(node)) => {
            let needed: u8 = setting(go, "GOPPC64")?.trim_start_matches("power").parse().ok()?;
            ("GOPPC64", node, needed)
        }
        (Arch::Riscv64, Isa::Rva(node)) => {
            let needed: u8 =
                setting(go, "GORISCV64")?.trim_start_matches("rva").trim_end_matches("u64").parse().ok()?;
            ("GORISCV64", node, needed)
        }
        _ => return None,
    };
    let value = setting(go, key)?;
    let text = format!("a Go program built with {key}={value}; this node is {isa}");
    (needed > node).then_some(Cause { kind: CauseKind::CpuLevel, text })
}

/// The Arm version in a file's build attributes. Source: abi-aa addenda32, Tag_CPU_arch. Linux does not run on
/// M-profile CPUs, so their values are ignored.
fn arm_version(elf: &Elf) -> Option<u8> {
    let attributes = elf.isa.arm?;
    match attributes.cpu_arch? {
        0..=5 => Some(5),
        // VFPv3 and NEON imply v7.
        6..=9 if attributes.fp_arch >= 3 || attributes.simd >= 1 => Some(7),
        6..=9 => Some(6),
        10 => Some(7),
        14 | 15 | 18 | 19 | 20 | 22 => Some(8),
        _ => None,
    }
}

/// Checks only the program and its loader, and not the program if all of the code that it starts with has been searched:
/// an instruction that is too new for the node is a finding of [`super::code`], and a part of it that a check guards
/// may be built for a newer CPU. A file's attributes state the highest version that any of its objects was
/// built for, and libraries contain code for newer CPUs that a check at run time guards (libgcrypt of Debian's armv7 is
/// marked as ARMv8).
fn arm(started: &LoadedProgram<'_>, version: u8) -> Option<Cause> {
    if started.abi.arch != Arch::Arm {
        return None;
    }
    let loader = started.loader.as_ref().map(|(path, _, elf)| (lossy(path), *elf));
    let is_searched = started.elf.code.as_ref().is_some_and(|needs| !needs.is_partial);
    let program = (!is_searched).then(|| (lossy(&started.path), started.elf));
    let over = program
        .into_iter()
        .chain(loader)
        .filter_map(|(path, elf)| Some((path, arm_version(elf).filter(|needed| *needed > version)?)));
    let text = match over.max_by_key(|(_, needed)| *needed) {
        Some((path, needed)) => format!(
            "{path} was built for armv{needed}; this node is armv{version}, which ends it with SIGILL at the first newer instruction"
        ),
        // EF_ARM_ABI_FLOAT_HARD.
        None if version < 6 && started.elf.flags & 0x400 != 0 => {
            format!("{} was built for the hard-float ABI; armv{version} CPUs have no VFP", lossy(&started.path))
        }
        None => return None,
    };
    Some(Cause { kind: CauseKind::CpuLevel, text })
}

/// Checks only the program: like Arm's, a library's attributes include the extensions of code that a check guards.
fn riscv(started: &LoadedProgram<'_>, node: &Node) -> Option<Cause> {
    let arch = started.elf.isa.riscv.as_deref().filter(|_| started.abi.arch == Arch::Riscv64)?;
    let lacks = |feature: &CpuFeature| node.features.has(*feature, node.isa) == Fact::Known(false);
    let lacking: Vec<&str> = cpu::extensions(arch).into_iter().filter(lacks).map(CpuFeature::name).collect();
    let (first, rest) = lacking.split_first()?;
    let names = rest.iter().fold((*first).to_string(), |names, name| names + ", " + name);
    let which = node.isa.known().map_or(String::new(), |isa| format!("; this node is {isa}"));
    let text = format!("{} was built for a CPU with {names}, which this node lacks{which}", lossy(&started.path));
    Some(Cause { kind: CauseKind::CpuLevel, text })
}

/// The CPU level that a distribution's own programs are built for.
struct DistributionBaseline {
    name: String,
    needed: Isa,
}

impl DistributionBaseline {
    fn beyond(&self, isa: Isa) -> Option<Cause> {
        let DistributionBaseline { name, needed } = self;
        let text = format!("{name} is built for {needed} and its loader rejects older CPUs; this node is {isa}");
        (std::mem::discriminant(needed) == std::mem::discriminant(&isa) && *needed > isa)
            .then_some(Cause { kind: CauseKind::CpuBaseline, text })
    }
}

/// The baseline by the image's os-release. Source: Red Hat's "minimum CPU" of RHEL 9 and 10, whose ld.so prints "Fatal
/// glibc error: CPU does not support x86-64-v2". AlmaLinux 10 also has a build for x86-64-v2, which its os-release does
/// not show.
fn baseline(rootfs: &RootFs<FileKind>, arch: Arch) -> Option<DistributionBaseline> {
    let text = config(rootfs, "/etc/os-release").or_else(|| config(rootfs, "/usr/lib/os-release"))?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches(['"', '\'']).to_string())
    };
    let id = value("ID")?;
    let is_rhel = id == "rhel" || value("ID_LIKE").is_some_and(|like| like.split(' ').any(|like| like == "rhel"));
    let version: u32 = value("VERSION_ID")?.split('.').next()?.parse().ok()?;
    let needed = match (arch, version) {
        (Arch::Amd64, 9) => Isa::X86(2),
        (Arch::Amd64, 10) => Isa::X86(3),
        (Arch::Ppc64le, 9 | 10) => Isa::Power(9),
        (Arch::S390x, 9 | 10) => Isa::Z(14),
        _ => return None,
    };
    is_rhel.then(|| DistributionBaseline { name: value("PRETTY_NAME").unwrap_or(id), needed })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exec::tests::call;
    use crate::exec::trace;
    use crate::image::{Contents, EntryKind, LayerMember, merge};
    use crate::inspect::code::CodeNeeds;
    use crate::inspect::elf_builder::ElfBuilder;
    use crate::inspect::{ArmAttributes, inspect};
    use crate::platform::CpuFeatures;

    /// The doubts about a static RISC-V program with these attributes.
    fn doubts(attributes: &str, node: &Node) -> Vec<String> {
        let bytes = ElfBuilder::riscv64().riscv_arch(attributes).build();
        let kind = inspect(b"app", bytes.len() as u64, true, &mut &bytes[..]);
        let mut contents = Contents::default();
        contents.push(&LayerMember::plain(b"app", EntryKind::File, 0o755), Some(kind));
        let trace = trace(&merge([Arc::new(contents)]), &call(&["/app"]), node);
        trace.doubts.into_iter().map(|doubt| doubt.text).collect()
    }

    /// QEMU 7.2's rv64 model ends programs with these attributes by SIGILL if the extension is off, and runs them if it
    /// is on: sh1add, bset, vsetvli, clmul, fcvt.s.h.
    #[test]
    fn a_riscv_program_is_doubted_on_a_cpu_that_lacks_an_extension_of_its_attributes() {
        let rva = |profile: u8| Node { isa: Fact::Known(Isa::Rva(profile)), ..Node::plain(Arch::Riscv64) };
        let with = |present: &[CpuFeature]| Node { features: CpuFeatures::from_lists(present, &[]), ..rva(20) };
        let zba = "rv64i2p0_m2p0_a2p0_f2p0_d2p0_c2p0_zmmul1p0_zba1p0";
        assert_eq!(
            doubts(zba, &rva(20)),
            ["/app was built for a CPU with Zba, which this node lacks; this node is rva20u64"]
        );
        let vector = "rv64i2p0_m2p0_a2p0_f2p0_d2p0_c2p0_v1p0_zmmul1p0_zve32f1p0_zve64d1p0_zvl128b1p0_zvl64b1p0";
        for (attributes, lacks, has) in [
            (zba, rva(20), rva(22)),
            (zba, rva(20), with(&[CpuFeature::Zba])),
            ("rv64i2p0_m2p0_zbs1p0", rva(20), rva(23)),
            ("rv64i2p0_f2p0_zfhmin1p0", rva(20), with(&[CpuFeature::Zfh])),
            ("rv64gcv", rva(22), rva(23)),
            (vector, rva(22), with(&[CpuFeature::RiscvV])),
            (vector, rva(20), rva(23)),
        ] {
            assert_eq!((doubts(attributes, &lacks).len(), doubts(attributes, &has).len()), (1, 0), "{attributes}");
        }
        // No profile has Zbc, and nothing is known about a node without a level.
        assert_eq!(doubts("rv64i2p0_zbc1p0", &rva(22)), Vec::<String>::new());
        assert_eq!(doubts(vector, &Node::plain(Arch::Riscv64)), Vec::<String>::new());
        let mut without = Node::plain(Arch::Riscv64);
        without.features.absent.insert(CpuFeature::RiscvV);
        assert_eq!(doubts(vector, &without), ["/app was built for a CPU with V, which this node lacks"]);
        assert_eq!(doubts("rv64i2p0_m2p0_a2p0_f2p0_d2p0_c2p0", &rva(20)), Vec::<String>::new());
    }

    /// A static program for ARMv6 with an object for ARMv7 that is only called if AT_HWCAP has NEON runs on an ARM1176.
    #[test]
    fn the_attributes_of_a_program_whose_code_has_been_searched_raise_no_doubt() {
        let doubts = |code: Option<CodeNeeds>| {
            let bytes = ElfBuilder::arm().build();
            let mut kind = inspect(b"app", bytes.len() as u64, true, &mut &bytes[..]);
            let FileKind::Elf(elf) = &mut kind else { panic!("an ELF file") };
            elf.isa.arm = Some(ArmAttributes { cpu_arch: Some(10), ..ArmAttributes::default() });
            elf.code = code.map(Box::new);
            let mut contents = Contents::default();
            contents.push(&LayerMember::plain(b"app", EntryKind::File, 0o755), Some(kind));
            let node = Node { isa: Fact::Known(Isa::Arm(6)), ..Node::plain(Arch::Arm) };
            trace(&merge([Arc::new(contents)]), &call(&["/app"]), &node).doubts.len()
        };
        assert_eq!(doubts(None), 1);
        assert_eq!(doubts(Some(CodeNeeds::default())), 0);
    }

    /// The kernel does not read the ABI's flags. The CPUs before ARMv6 have no VFP, so the first instruction of one ends
    /// the program with SIGILL. Source: ARM DDI 0100I, part C.
    #[test]
    fn a_hard_float_program_is_doubted_on_arm_before_version_6() {
        const HARD_FLOAT: u32 = 0x0500_0400;
        const SOFT_FLOAT: u32 = 0x0500_0200;
        let doubts = |flags: u32, version: u8| {
            let bytes = ElfBuilder::arm().flags(flags).build();
            let kind = inspect(b"app", bytes.len() as u64, true, &mut &bytes[..]);
            let mut contents = Contents::default();
            contents.push(&LayerMember::plain(b"app", EntryKind::File, 0o755), Some(kind));
            let node = Node { isa: Fact::Known(Isa::Arm(version)), ..Node::plain(Arch::Arm) };
            trace(&merge([Arc::new(contents)]), &call(&["/app"]), &node).doubts.len()
        };
        let counts = |flags: u32| [5, 6, 7].map(|version| doubts(flags, version));
        assert_eq!(counts(HARD_FLOAT), [1, 0, 0]);
        assert_eq!(counts(SOFT_FLOAT), [0, 0, 0]);
    }
}
