//! CPU features that a program's code can need beyond its architecture's baseline: one row each.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Arch, Fact, Isa};

/// The first level of an architecture that includes a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// x86-64-vN. Source: x86-64 psABI, "Micro-Architecture Levels".
    X86(u8),
    /// Armv8.N or Armv9.0, where it is mandatory. Source: Arm ARM, A2.
    Arm64(u8, u8),
    /// An extension that versions below Armv8.N lack. CPUs from this version on differ.
    Arm64Extension(u8, u8),
    /// Version N of 32-bit Arm.
    Arm(u8),
    /// An extension of 32-bit Arm that versions below the first lack, and versions from the second on have. CPUs in
    /// between differ.
    ArmExtension(u8, u8),
    /// RVA20, RVA22 or RVA23, where it is mandatory. Source: RISC-V profiles, RVA20U64 to RVA23U64.
    Rva(u8),
    /// No level includes it: only a CPU's own description shows it.
    Never,
}

macro_rules! features {
    ($($feature:ident $arch:ident $name:literal $flag:literal $since:expr;)*) => {
        /// A feature of an x86-64, AArch64, 32-bit Arm or RISC-V CPU.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum CpuFeature { $($feature),* }

        impl CpuFeature {
            /// Every feature, in the order of the table.
            pub const ALL: &[CpuFeature] = &[$(CpuFeature::$feature),*];

            /// The name in the vendor's manual.
            pub fn name(self) -> &'static str {
                match self { $(CpuFeature::$feature => $name),* }
            }

            /// The name in `/proc/cpuinfo`. Source: arch/x86/include/asm/cpufeatures.h, arch/arm64/kernel/cpuinfo.c.
            pub fn flag(self) -> &'static str {
                match self { $(CpuFeature::$feature => $flag),* }
            }

            /// The architecture whose CPUs may have it.
            pub fn arch(self) -> Arch {
                match self { $(CpuFeature::$feature => Arch::$arch),* }
            }

            /// The first level that includes it.
            pub fn since(self) -> Since {
                match self { $(CpuFeature::$feature => $since),* }
            }
        }
    };
}

features! {
    Sse3 Amd64 "SSE3" "pni" Since::X86(2);
    Ssse3 Amd64 "SSSE3" "ssse3" Since::X86(2);
    Sse41 Amd64 "SSE4.1" "sse4_1" Since::X86(2);
    Sse42 Amd64 "SSE4.2" "sse4_2" Since::X86(2);
    Popcnt Amd64 "POPCNT" "popcnt" Since::X86(2);
    Cx16 Amd64 "CX16" "cx16" Since::X86(2);
    Avx Amd64 "AVX" "avx" Since::X86(3);
    Avx2 Amd64 "AVX2" "avx2" Since::X86(3);
    Bmi1 Amd64 "BMI1" "bmi1" Since::X86(3);
    Bmi2 Amd64 "BMI2" "bmi2" Since::X86(3);
    F16c Amd64 "F16C" "f16c" Since::X86(3);
    Fma Amd64 "FMA" "fma" Since::X86(3);
    Movbe Amd64 "MOVBE" "movbe" Since::X86(3);
    Avx512f Amd64 "AVX-512F" "avx512f" Since::X86(4);
    Avx512bw Amd64 "AVX-512BW" "avx512bw" Since::X86(4);
    Avx512cd Amd64 "AVX-512CD" "avx512cd" Since::X86(4);
    Avx512dq Amd64 "AVX-512DQ" "avx512dq" Since::X86(4);
    Avx512vl Amd64 "AVX-512VL" "avx512vl" Since::X86(4);
    Amx Amd64 "AMX" "amx_tile" Since::Never;
    Aesni Amd64 "AES-NI" "aes" Since::Never;
    Pclmulqdq Amd64 "PCLMULQDQ" "pclmulqdq" Since::Never;
    ShaNi Amd64 "SHA" "sha_ni" Since::Never;
    Sse4a Amd64 "SSE4A" "sse4a" Since::Never;
    Fma4 Amd64 "FMA4" "fma4" Since::Never;
    Xop Amd64 "XOP" "xop" Since::Never;
    Adx Amd64 "ADX" "adx" Since::Never;
    Crc32 Arm64 "CRC32" "crc32" Since::Arm64(8, 1);
    Lse Arm64 "LSE" "atomics" Since::Arm64(8, 1);
    Rdm Arm64 "RDM" "asimdrdm" Since::Arm64(8, 1);
    Fp16 Arm64 "FP16" "fphp" Since::Arm64Extension(8, 2);
    Rcpc Arm64 "RCpc" "lrcpc" Since::Arm64(8, 3);
    Pauth Arm64 "PAuth" "paca" Since::Arm64(8, 3);
    Jscvt Arm64 "JSCVT" "jscvt" Since::Arm64(8, 3);
    Fcma Arm64 "FCMA" "fcma" Since::Arm64(8, 3);
    DotProd Arm64 "DotProd" "asimddp" Since::Arm64(8, 4);
    Rcpc2 Arm64 "RCpc2" "ilrcpc" Since::Arm64(8, 4);
    FlagM Arm64 "FlagM" "flagm" Since::Arm64(8, 4);
    Bf16 Arm64 "BF16" "bf16" Since::Arm64(8, 6);
    I8mm Arm64 "I8MM" "i8mm" Since::Arm64(8, 6);
    ArmCrypto Arm64 "AES and SHA" "aes" Since::Never;
    Sve Arm64 "SVE" "sve" Since::Arm64(9, 0);
    Mops Arm64 "MOPS" "mops" Since::Never;
    Armv6 Arm "ARMv6" "armv6" Since::Arm(6);
    Vfp Arm "VFP" "vfp" Since::ArmExtension(6, 6);
    Thumb2 Arm "Thumb-2" "armv6t2" Since::Arm(7);
    Armv7 Arm "ARMv7" "armv7" Since::Arm(7);
    Vfp3 Arm "VFPv3" "vfpv3" Since::ArmExtension(7, 8);
    Neon Arm "NEON" "neon" Since::ArmExtension(7, 8);
    Vfp4 Arm "VFPv4" "vfpv4" Since::ArmExtension(7, 8);
    VfpHalf Arm "VFP half precision" "vfphp" Since::ArmExtension(7, 8);
    Idiv Arm "IDIV" "idiva" Since::ArmExtension(7, 8);
    Armv8 Arm "ARMv8" "armv8" Since::Arm(8);
    // Not the extensions whose instructions other CPUs run as hints: Zihintpause, Zicbop, Zimop, Zicfilp.
    RiscvV Riscv64 "V" "v" Since::Rva(23);
    Zba Riscv64 "Zba" "zba" Since::Rva(22);
    Zbb Riscv64 "Zbb" "zbb" Since::Rva(22);
    Zbs Riscv64 "Zbs" "zbs" Since::Rva(22);
    Zfhmin Riscv64 "Zfhmin" "zfhmin" Since::Rva(22);
    Zcb Riscv64 "Zcb" "zcb" Since::Rva(23);
    Zfa Riscv64 "Zfa" "zfa" Since::Rva(23);
    Zawrs Riscv64 "Zawrs" "zawrs" Since::Rva(23);
    Zicond Riscv64 "Zicond" "zicond" Since::Rva(23);
    Zvbb Riscv64 "Zvbb" "zvbb" Since::Rva(23);
    Zvfhmin Riscv64 "Zvfhmin" "zvfhmin" Since::Rva(23);
    Zbc Riscv64 "Zbc" "zbc" Since::Never;
    Zfh Riscv64 "Zfh" "zfh" Since::Never;
    Zvfh Riscv64 "Zvfh" "zvfh" Since::Never;
    Zacas Riscv64 "Zacas" "zacas" Since::Never;
}

use CpuFeature::{
    Avx, Avx2, Avx512bw, Avx512cd, Avx512dq, Avx512f, Avx512vl, F16c, Fma, Neon, Popcnt, RiscvV, Sse3, Sse41, Sse42,
    Ssse3, Vfp, Vfp3, Vfp4, VfpHalf, Zfh, Zfhmin, Zvbb, Zvfh, Zvfhmin,
};

/// A feature, and the ones that each CPU with it has. Source: Intel SDM volume 1, the detection of each extension;
/// the RISC-V vector extensions, here of RVA profiles.
const IMPLIED: &[(CpuFeature, &[CpuFeature])] = &[
    (Ssse3, &[Sse3]),
    (Sse41, &[Ssse3]),
    (Sse42, &[Sse41, Popcnt]),
    (Avx, &[Sse42]),
    (F16c, &[Avx]),
    (Fma, &[Avx]),
    (Avx2, &[Avx]),
    (Avx512f, &[Avx2, Fma, F16c]),
    (Avx512bw, &[Avx512f]),
    (Avx512cd, &[Avx512f]),
    (Avx512dq, &[Avx512f]),
    (Avx512vl, &[Avx512f]),
    (Vfp3, &[Vfp]),
    (Neon, &[Vfp3]),
    (VfpHalf, &[Vfp3]),
    (Vfp4, &[VfpHalf]),
    (Zfh, &[Zfhmin]),
    (Zvfh, &[Zvfhmin]),
    (Zvfhmin, &[RiscvV]),
    (Zvbb, &[RiscvV]),
];

impl fmt::Display for CpuFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Features that a node is known to have or to lack, regardless of its level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuFeatures {
    pub present: BTreeSet<CpuFeature>,
    pub absent: BTreeSet<CpuFeature>,
}

impl CpuFeatures {
    pub fn from_lists(present: &[CpuFeature], absent: &[CpuFeature]) -> CpuFeatures {
        CpuFeatures { present: present.iter().copied().collect(), absent: absent.iter().copied().collect() }
    }

    /// Whether a CPU of this level has `feature`. A level only decides for features that levels include.
    pub fn has(&self, feature: CpuFeature, isa: Fact<Isa>) -> Fact<bool> {
        if self.absent.iter().any(|absent| feature.implies(*absent)) {
            return Fact::Known(false);
        }
        if self.present.iter().any(|present| present.implies(feature)) {
            return Fact::Known(true);
        }
        match (feature.since(), isa) {
            (Since::X86(since), Fact::Known(Isa::X86(level))) => Fact::Known(level >= since),
            (Since::Arm64(major, minor), Fact::Known(Isa::Arm64(node_major, node_minor))) => {
                // Armv9.N includes Armv8.(N + 5).
                let reached = if node_major >= 9 && major == 8 {
                    node_minor + 5 >= minor
                } else {
                    (node_major, node_minor) >= (major, minor)
                };
                match feature {
                    // Arm's cores for Armv9.0 have them, although only Armv9.1 requires them.
                    CpuFeature::Bf16 | CpuFeature::I8mm if !reached && node_major >= 9 => Fact::Unknown,
                    _ => Fact::Known(reached),
                }
            }
            (Since::Arm64Extension(major, minor), Fact::Known(Isa::Arm64(node_major, node_minor)))
                if (node_major, node_minor) < (major, minor) =>
            {
                Fact::Known(false)
            }
            (Since::Arm(since), Fact::Known(Isa::Arm(version))) => Fact::Known(version >= since),
            (Since::ArmExtension(first, _), Fact::Known(Isa::Arm(version))) if version < first => Fact::Known(false),
            (Since::ArmExtension(_, all), Fact::Known(Isa::Arm(version))) if version >= all => Fact::Known(true),
            (Since::Rva(since), Fact::Known(Isa::Rva(profile))) => Fact::Known(profile >= since),
            _ => Fact::Unknown,
        }
    }

    /// Whether a feature that the node is not known to have is missing on common CPUs of its level: the Cortex-A8 and A9
    /// are ARMv7 without VFPv4 and without division.
    pub fn often_lacks(&self, feature: CpuFeature, isa: Fact<Isa>) -> bool {
        matches!((feature, isa), (CpuFeature::Vfp4 | CpuFeature::Idiv, Fact::Known(Isa::Arm(7))))
            && self.has(feature, isa) == Fact::Unknown
    }

    pub fn is_empty(&self) -> bool {
        self.present.is_empty() && self.absent.is_empty()
    }
}

impl CpuFeature {
    /// Whether every CPU with this feature has `other`.
    fn implies(self, other: CpuFeature) -> bool {
        let implied = IMPLIED.iter().find(|(feature, _)| *feature == self).map_or(&[][..], |(_, implied)| implied);
        self == other || implied.iter().any(|feature| feature.implies(other))
    }

    /// The feature of `arch` by its cpuinfo name, or by its own name; ignores case, `-`, `.`, `_` and spaces.
    pub fn parse(arch: Arch, name: &str) -> Option<CpuFeature> {
        let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '.', '_', ' '], "");
        let of_arch = |feature: &CpuFeature| feature.arch() == arch;
        CpuFeature::ALL
            .iter()
            .copied()
            .filter(of_arch)
            .find(|feature| plain(feature.flag()) == plain(name) || plain(feature.name()) == plain(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_brings_the_ones_that_it_extends_and_goes_with_them() {
        let v1 = Fact::Known(Isa::X86(1));
        let with_avx2 = CpuFeatures::from_lists(&[CpuFeature::Avx2], &[]);
        assert_eq!(with_avx2.has(CpuFeature::Sse3, v1), Fact::Known(true));
        assert_eq!(with_avx2.has(CpuFeature::Bmi2, v1), Fact::Known(false));
        let without_avx = CpuFeatures::from_lists(&[], &[CpuFeature::Avx]);
        assert_eq!(without_avx.has(CpuFeature::Avx512vl, Fact::Known(Isa::X86(4))), Fact::Known(false));
        assert_eq!(without_avx.has(CpuFeature::Sse42, Fact::Known(Isa::X86(4))), Fact::Known(true));
    }

    #[test]
    fn cpus_before_armv8_2_lack_half_precision_and_later_ones_differ() {
        let has = |isa: Isa| CpuFeatures::default().has(CpuFeature::Fp16, Fact::Known(isa));
        assert_eq!(has(Isa::Arm64(8, 1)), Fact::Known(false));
        assert_eq!([Isa::Arm64(8, 2), Isa::Arm64(9, 0)].map(has), [Fact::Unknown, Fact::Unknown]);
        let has = |isa: Isa| CpuFeatures::default().has(CpuFeature::I8mm, Fact::Known(isa));
        assert_eq!(
            [(8, 4), (9, 0), (9, 1)].map(|(major, minor)| has(Isa::Arm64(major, minor))),
            [Fact::Known(false), Fact::Unknown, Fact::Known(true)]
        );
    }

    #[test]
    fn a_version_of_32_bit_arm_decides_for_the_features_that_its_cpus_share() {
        let has =
            |feature: CpuFeature, version: u8| CpuFeatures::default().has(feature, Fact::Known(Isa::Arm(version)));
        assert_eq!(has(CpuFeature::Thumb2, 6), Fact::Known(false));
        assert_eq!(has(CpuFeature::Thumb2, 7), Fact::Known(true));
        assert_eq!(
            [6, 7, 8].map(|version| has(CpuFeature::Neon, version)),
            [Fact::Known(false), Fact::Unknown, Fact::Known(true)]
        );
        assert_eq!(has(CpuFeature::Vfp, 5), Fact::Known(false));
        let often_lacks = |feature: CpuFeature, features: &CpuFeatures, version: u8| {
            features.often_lacks(feature, Fact::Known(Isa::Arm(version)))
        };
        assert!(often_lacks(CpuFeature::Vfp4, &CpuFeatures::default(), 7));
        assert!(!often_lacks(CpuFeature::Vfp4, &CpuFeatures::default(), 8));
        assert!(!often_lacks(CpuFeature::Neon, &CpuFeatures::default(), 7));
        assert!(!often_lacks(CpuFeature::Vfp4, &CpuFeatures::from_lists(&[CpuFeature::Vfp4], &[]), 7));
        assert!(!often_lacks(CpuFeature::Vfp4, &CpuFeatures::from_lists(&[], &[CpuFeature::Vfp4]), 7));
        let with_neon = CpuFeatures::from_lists(&[CpuFeature::Neon], &[]);
        assert_eq!(with_neon.has(CpuFeature::Vfp3, Fact::Known(Isa::Arm(7))), Fact::Known(true));
        // A 64-bit node runs these programs in its 32-bit state.
        assert_eq!(CpuFeatures::default().has(CpuFeature::Neon, Fact::Known(Isa::Arm64(8, 0))), Fact::Unknown);
    }
}
