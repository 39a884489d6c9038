//! Reads `/proc/cpuinfo`: the level of the instruction set, the core, and the variant that engines derive.
//! Pure: takes text and returns facts; a fact that the text does not contain is unknown.

use std::collections::BTreeSet;

use super::feature::Since;
use super::profile::ProfileClaim;
use super::{Arch, CpuFeature, CpuFeatures, Fact, Isa};

/// An Arm core by its MIDR (`CPU implementer` and `CPU part`).
#[derive(Clone, Copy, Debug)]
pub struct Core {
    pub implementer: u16,
    pub part: u16,
    pub name: &'static str,
    pub isa: Isa,
    /// Whether EL0 runs AArch32. This is the hardware's part; the kernel's is CONFIG_COMPAT.
    pub aarch32: ProfileClaim<bool>,
}

const fn core(part: u16, name: &'static str, isa: Isa, aarch32: ProfileClaim<bool>) -> Core {
    Core { implementer: 0x41, part, name, isa, aarch32 }
}

const YES: ProfileClaim<bool> = ProfileClaim::Verified(true);
const NO: ProfileClaim<bool> = ProfileClaim::Verified(false);

/// Source: util-linux lscpu-arm.c for the numbers; Arm's technical reference manuals and lscpu's "CPU op-mode(s)" for
/// AArch32.
#[rustfmt::skip]
pub const CORES: &[Core] = &[
    core(0xb76, "ARM1176", Isa::Arm(6), ProfileClaim::Open),
    core(0xc07, "Cortex-A7", Isa::Arm(7), ProfileClaim::Open),
    core(0xc08, "Cortex-A8", Isa::Arm(7), ProfileClaim::Open),
    core(0xc09, "Cortex-A9", Isa::Arm(7), ProfileClaim::Open),
    core(0xc0f, "Cortex-A15", Isa::Arm(7), ProfileClaim::Open),
    core(0xd03, "Cortex-A53", Isa::Arm64(8, 0), YES),
    core(0xd05, "Cortex-A55", Isa::Arm64(8, 2), YES),
    core(0xd07, "Cortex-A57", Isa::Arm64(8, 0), YES),
    core(0xd08, "Cortex-A72", Isa::Arm64(8, 0), YES),
    core(0xd0b, "Cortex-A76", Isa::Arm64(8, 2), YES),
    core(0xd41, "Cortex-A78", Isa::Arm64(8, 2), YES),
    core(0xd42, "Cortex-A78AE", Isa::Arm64(8, 2), ProfileClaim::Unverified(true)),
    core(0xd0c, "Neoverse-N1", Isa::Arm64(8, 2), YES),
    core(0xd40, "Neoverse-V1", Isa::Arm64(8, 4), YES),
    core(0xd49, "Neoverse-N2", Isa::Arm64(9, 0), YES),
    core(0xd4f, "Neoverse-V2", Isa::Arm64(9, 0), NO),
    core(0xd83, "Neoverse-V3AE", Isa::Arm64(9, 2), ProfileClaim::Unverified(false)),
    core(0xd84, "Neoverse-V3", Isa::Arm64(9, 2), NO),
    core(0xd8e, "Neoverse-N3", Isa::Arm64(9, 2), ProfileClaim::Unverified(false)),
    Core { implementer: 0xc0, part: 0xac3, name: "Ampere-1", isa: Isa::Arm64(8, 6), aarch32: ProfileClaim::Unverified(false) },
    Core { implementer: 0xc0, part: 0xac4, name: "Ampere-1a", isa: Isa::Arm64(8, 6), aarch32: ProfileClaim::Unverified(false) },
    Core { implementer: 0x61, part: 0x022, name: "Apple M1", isa: Isa::Arm64(8, 4), aarch32: NO },
    Core { implementer: 0x61, part: 0x023, name: "Apple M1", isa: Isa::Arm64(8, 4), aarch32: NO },
    Core { implementer: 0x61, part: 0x032, name: "Apple M2", isa: Isa::Arm64(8, 6), aarch32: NO },
    Core { implementer: 0x61, part: 0x033, name: "Apple M2", isa: Isa::Arm64(8, 6), aarch32: NO },
    // Apple's hypervisor shows this to a Linux guest on every chip.
    Core { implementer: 0x61, part: 0x000, name: "Apple silicon", isa: Isa::Arm64(8, 4), aarch32: NO },
    Core { implementer: 0x6d, part: 0xd49, name: "Azure Cobalt 100", isa: Isa::Arm64(9, 0), aarch32: YES },
];

/// The value of the first line `key : value`; keys are compared without case, as in engines.
pub fn value<'a>(cpuinfo: &'a str, key: &str) -> Option<&'a str> {
    let pairs = cpuinfo.lines().filter_map(|line| line.split_once([':', '=']));
    pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case(key)).map(|(_, value)| value.trim()).next()
}

/// The core of the first processor.
pub fn arm_core(cpuinfo: &str) -> Option<&'static Core> {
    let number = |key| u16::from_str_radix(value(cpuinfo, key)?.trim_start_matches("0x"), 16).ok();
    let (implementer, part) = (number("CPU implementer")?, number("CPU part")?);
    CORES.iter().find(|core| (core.implementer, core.part) == (implementer, part))
}

/// The lowest level among the processors of `cpuinfo`.
pub fn isa(arch: Arch, cpuinfo: &str) -> Fact<Isa> {
    let lists = |key: &'static str| {
        let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        lines.filter(move |(name, _)| name.trim().eq_ignore_ascii_case(key)).map(|(_, flags)| flags)
    };
    let found = match arch {
        Arch::Amd64 => lists("flags").map(x86_level).min().map(Isa::X86),
        Arch::Arm64 => lists("Features").map(arm64_version).min().map(|(major, minor)| Isa::Arm64(major, minor)),
        Arch::Arm => arm_variant(cpuinfo).and_then(|variant| variant[1..].parse().ok()).map(Isa::Arm),
        Arch::Ppc64le | Arch::Ppc64 => value(cpuinfo, "cpu").and_then(power),
        Arch::S390x => machine(cpuinfo).and_then(z),
        Arch::Riscv64 => lists("isa").map(rva).min().flatten(),
        _ => None,
    };
    found.map_or(Fact::Unknown, Fact::Known)
}

/// Features that every processor of `cpuinfo` lists are present; others are absent, except on RISC-V, where older kernels
/// do not print every extension. Both sets are empty for a text without a list.
pub fn features(arch: Arch, cpuinfo: &str) -> CpuFeatures {
    if arch == Arch::Riscv64 {
        // T-Head's C920 lists the draft 0.7.1 of V, which does not run programs for V.
        let is_draft = value(cpuinfo, "mvendorid") == Some("0x5b7");
        let lists = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        let isa = lists.filter(|(name, _)| name.trim().eq_ignore_ascii_case("isa")).map(|(_, isa)| extensions(isa));
        let common = isa.reduce(|a, b| a.intersection(&b).copied().collect());
        let mut present = common.unwrap_or_default();
        if is_draft {
            present.remove(&CpuFeature::RiscvV);
        }
        return CpuFeatures { present, absent: BTreeSet::new() };
    }
    let key = if arch == Arch::Amd64 { "flags" } else { "Features" };
    let lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let lists: Vec<Vec<&str>> = lines
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case(key))
        .map(|(_, flags)| flags.split_whitespace().collect())
        .collect();
    let mut features = CpuFeatures::default();
    if lists.is_empty() || !matches!(arch, Arch::Amd64 | Arch::Arm64 | Arch::Arm) {
        return features;
    }
    // Linux lists neither the version of 32-bit Arm nor half precision.
    let is_listed = |feature: &&CpuFeature| {
        feature.arch() == arch && !matches!(feature.since(), Since::Arm(_)) && **feature != CpuFeature::VfpHalf
    };
    for feature in CpuFeature::ALL.iter().filter(is_listed) {
        let is_everywhere = lists.iter().all(|flags| flags.contains(&feature.flag()));
        let set = if is_everywhere { &mut features.present } else { &mut features.absent };
        set.insert(*feature);
    }
    features
}

/// x86-64's levels with the names of cpuinfo. Source: x86-64 psABI; arch/x86/include/asm/cpufeatures.h.
const X86_LEVELS: &[&[&str]] = &[
    &["cmov", "cx8", "fpu", "fxsr", "mmx", "sse", "sse2"],
    &["cx16", "lahf_lm", "popcnt", "pni", "ssse3", "sse4_1", "sse4_2"],
    &["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"],
    &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
];

/// The level of a `flags` line, or of any list of cpuinfo names; 0 for a CPU without SSE2.
pub fn x86_level(flags: &str) -> u8 {
    let flags: Vec<&str> = flags.split_whitespace().collect();
    X86_LEVELS.iter().take_while(|level| level.iter().all(|flag| flags.contains(flag))).count() as u8
}

/// The features that each Armv8.x makes mandatory and Linux shows. Source: Arm ARM A2;
/// Documentation/arch/arm64/elf_hwcaps.rst.
const ARM64_MINORS: &[&[&str]] = &[
    &["atomics", "asimdrdm", "crc32"],
    &["dcpop"],
    &["jscvt", "fcma", "lrcpc"],
    &["dit", "uscat", "ilrcpc", "flagm", "asimddp"],
    &["flagm2", "frint", "sb", "bti"],
    &["bf16", "i8mm"],
];

/// (8, minor), or (9, 0) if SVE2 comes with v8.5's instructions: kernels without BTI support hide `bti`, and Apple's M1
/// has all of v8.5 except BTI. A missing name makes the result too low, never too high.
pub fn arm64_version(features: &str) -> (u8, u8) {
    let features: Vec<&str> = features.split_whitespace().collect();
    let has = |flags: &&[&str]| flags.iter().all(|flag| features.contains(flag));
    let minor = ARM64_MINORS.iter().take_while(|flags| has(flags)).count() as u8;
    if minor >= 4 && has(&["sve2", "flagm2", "frint", "sb"].as_slice()) { (9, 0) } else { (8, minor) }
}

/// The variant that containerd and Docker derive for an Arm machine: `v5` to `v8`.
/// Source: containerd/platforms cpuinfo_linux.go, with its workaround for ARMv6 machines that report version 7.
pub fn arm_variant(cpuinfo: &str) -> Option<&'static str> {
    let is_v6 =
        value(cpuinfo, "model name").is_some_and(|name| name.to_ascii_lowercase().starts_with("armv6-compatible"));
    match value(cpuinfo, "CPU architecture")?.to_ascii_lowercase().as_str() {
        "8" | "aarch64" => Some("v8"),
        "7" if is_v6 => Some("v6"),
        "7" | "7m" | "?(12)" | "?(13)" | "?(14)" | "?(15)" | "?(16)" | "?(17)" => Some("v7"),
        "6" | "6tej" => Some("v6"),
        "5" | "5t" | "5te" | "5tej" => Some("v5"),
        _ => None,
    }
}

/// `POWER9 (architected), altivec supported`.
fn power(cpu: &str) -> Option<Isa> {
    let digits =
        cpu.to_ascii_uppercase().strip_prefix("POWER")?.chars().take_while(char::is_ascii_digit).collect::<String>();
    digits.parse().ok().filter(|generation| *generation >= 8).map(Isa::Power)
}

/// `processor 0: version = 00,  identification = 0133E8,  machine = 3906`.
fn machine(cpuinfo: &str) -> Option<u16> {
    let tail = cpuinfo.split("machine = ").nth(1)?;
    tail.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// Source: arch/s390/kernel/processor.c `setup_elf_platform`.
fn z(machine: u16) -> Option<Isa> {
    match machine {
        2964 | 2965 => Some(Isa::Z(13)),
        3906 | 3907 => Some(Isa::Z(14)),
        8561 | 8562 => Some(Isa::Z(15)),
        3931 | 3932 => Some(Isa::Z(16)),
        9175 | 9176 => Some(Isa::Z(17)),
        _ => None,
    }
}

/// The features in a RISC-V ISA string such as `rv64gcv_zba`, or with versions: `rv64i2p1_v1p0_zba1p0`.
pub fn extensions(isa: &str) -> BTreeSet<CpuFeature> {
    let text = isa.trim().to_ascii_lowercase();
    let is_version = |c: char| c.is_ascii_digit() || c == 'p';
    let mut found = BTreeSet::new();
    for (position, part) in text.split('_').enumerate() {
        let name = part.trim_end_matches(is_version);
        match position {
            // Single letters follow the base, all in one word: `rv64imafdcv`.
            0 if name.strip_prefix("rv64").is_some_and(|letters| letters.contains('v')) => {
                found.insert(CpuFeature::RiscvV);
            }
            0 => {}
            _ => found.extend(CpuFeature::parse(Arch::Riscv64, name)),
        }
    }
    found
}

/// `rv64imafdc_zicsr_zba_zbb`: the highest profile whose user-mode extensions are all present. Older kernels do not
/// print every extension, so the result may be too low, never too high. Source: RISC-V profiles, RVA20U64 to RVA23U64.
fn rva(isa: &str) -> Option<Isa> {
    let text = isa.trim().to_ascii_lowercase();
    let mut parts = text.split('_');
    let single = parts.next()?.strip_prefix("rv64")?.replace('g', "imafd");
    let multi: Vec<&str> = parts.collect();
    let base = |letters: &str| letters.chars().all(|letter| single.contains(letter));
    let all = |names: &[&str]| names.iter().all(|name| multi.contains(name));
    let is_22 = base("imafdc") && all(&["zba", "zbb", "zbs", "zicbom", "zicboz"]);
    let is_23 = is_22 && base("v") && all(&["zcb", "zfa", "zicond", "zvbb"]);
    match (is_23, is_22, base("imafdc")) {
        (true, ..) => Some(Isa::Rva(23)),
        (_, true, _) => Some(Isa::Rva(22)),
        (.., true) => Some(Isa::Rva(20)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "cpu_tests.rs"]
mod tests;
