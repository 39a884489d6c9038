//! The rows of the profile table, one per machine. Contains facts and their sources only; `profile` does the lookups.

use super::{Emulation, Profile, ProfileClaim};
use crate::platform::CpuFeature::{
    Adx, Aesni, Amx, ArmCrypto, Avx, Bf16, Bmi1, Crc32, Cx16, DotProd, F16c, Fma, Fma4, Fp16, I8mm, Idiv, Movbe, Neon,
    Pclmulqdq, Popcnt, RiscvV, ShaNi, Sse3, Sse4a, Sse41, Ssse3, Sve, Vfp4, VfpHalf, Xop, Zba, Zbb, Zbc, Zfh, Zicond,
    Zvfh,
};
use crate::platform::{Arch, CpuFeature, Isa};
use ProfileClaim::{Open, Unverified, Verified};

const fn row(
    name: &'static str,
    label: &'static str,
    arch: Arch,
    isa: ProfileClaim<Isa>,
    source: &'static str,
) -> Profile {
    let (aliases, families): (&[&str], &[&str]) = (&[], &[]);
    let (aarch32, page_size, emulation) = (Open, Open, Emulation::None);
    let (has, lacks): (&[CpuFeature], &[CpuFeature]) = (&[], &[]);
    Profile { name, aliases, label, arch, isa, has, lacks, aarch32, page_size, emulation, families, source }
}

const fn x86(name: &'static str, label: &'static str, level: ProfileClaim<Isa>, source: &'static str) -> Profile {
    row(name, label, Arch::Amd64, level, source)
}

const fn arm64(
    name: &'static str,
    label: &'static str,
    isa: ProfileClaim<Isa>,
    aarch32: ProfileClaim<bool>,
    source: &'static str,
) -> Profile {
    Profile { aarch32, ..row(name, label, Arch::Arm64, isa, source) }
}

impl Profile {
    const fn families(self, families: &'static [&'static str]) -> Profile {
        Profile { families, ..self }
    }

    const fn aliases(self, aliases: &'static [&'static str]) -> Profile {
        Profile { aliases, ..self }
    }

    const fn has(self, has: &'static [CpuFeature]) -> Profile {
        Profile { has, ..self }
    }

    const fn lacks(self, lacks: &'static [CpuFeature]) -> Profile {
        Profile { lacks, ..self }
    }

    const fn page(self, page_size: ProfileClaim<u64>) -> Profile {
        Profile { page_size, ..self }
    }

    const fn emulation(self, emulation: Emulation) -> Profile {
        Profile { emulation, ..self }
    }
}

const V1: ProfileClaim<Isa> = Verified(Isa::X86(1));
const V2: ProfileClaim<Isa> = Verified(Isa::X86(2));
const V3: ProfileClaim<Isa> = Verified(Isa::X86(3));
const V4: ProfileClaim<Isa> = Verified(Isa::X86(4));
const V3_UNVERIFIED: ProfileClaim<Isa> = Unverified(Isa::X86(3));
const V4_UNVERIFIED: ProfileClaim<Isa> = Unverified(Isa::X86(4));

const fn armv8(minor: u8) -> ProfileClaim<Isa> {
    Verified(Isa::Arm64(8, minor))
}

const fn armv9(minor: u8) -> ProfileClaim<Isa> {
    Verified(Isa::Arm64(9, minor))
}

const K4: ProfileClaim<u64> = Verified(4 << 10);
const K16: ProfileClaim<u64> = Verified(16 << 10);

const LEVELS: &str = "x86-64 psABI, microarchitecture levels";
const QEMU: &str = "QEMU docs, cpu-models-x86-abi.csv";
const PROXMOX: &str = "Proxmox VE wiki, CPU models; QEMU docs, cpu-models-x86-abi.csv";
const ATOM: &str = "GCC docs, x86 options: bonnell, silvermont, goldmont";
const OLD_AMD: &str = "GCC docs, x86 options: amdfam10, btver1, btver2, bdver1, bdver2";
const GRAVITON: &str = "aws-graviton-getting-started, README and os.md";
const ARCHSPEC: &str = "archspec-json, microarchitectures";
const AWS: &str = "AWS, EC2 instance types (processor names)";
const AWS_PRICES: &str = "AWS price list, physicalProcessor";
const AWS_CDK: &str = "aws-cdk, InstanceClass; AWS, EC2 instance types";
const GCP: &str = "Google Compute Engine docs, CPU platforms";
const AZURE: &str = "azure-compute-docs, the series' host specifications";
const KERNEL_ZONE: &str = "Linux arch/s390/kernel/processor.c; glibc s390 dl-hwcap-check.h";
const POWER: &str = "Power ISA; glibc powerpc64/le dl-hwcap-check.h";
const RISCV: &str = "RISC-V profiles specification";

/// Features of Neoverse-N1 beyond Armv8.2. Source: Arm Neoverse N1 TRM.
const N1: &[CpuFeature] = &[DotProd, Fp16, ArmCrypto, CpuFeature::Rcpc];

/// Features of Neoverse-V1 beyond Armv8.4, and of Neoverse-V2 and N2 beyond Armv9.0. Source: their TRMs.
const V1_CORE: &[CpuFeature] = &[Sve, Bf16, I8mm, Fp16, ArmCrypto];

/// Features that no level includes, and that CPUs before AES-NI lack.
const NO_AES: &[CpuFeature] = &[Aesni, Pclmulqdq, ShaNi, Adx, Amx, Sse4a, Fma4, Xop];
/// The same for Intel CPUs with AES-NI, before ADX.
const NO_ADX: &[CpuFeature] = &[ShaNi, Adx, Amx, Sse4a, Fma4, Xop];
/// The same for CPUs of AMD's families 10h and 14h.
const NO_AES_AMD: &[CpuFeature] = &[Aesni, Pclmulqdq, ShaNi, Adx, Amx, Fma4, Xop];
/// The same for CPUs of AMD's family 15h.
const NO_ADX_AMD: &[CpuFeature] = &[ShaNi, Adx, Amx];

/// Every profile, grouped as `imgarch nodes --profiles` prints them.
#[rustfmt::skip]
pub const PROFILES: &[Profile] = &[
    // x86-64 by level, and by core.
    x86("x86-64-v1", "any x86-64 CPU", V1, LEVELS).aliases(&["x86-64"]),
    x86("x86-64-v2", "x86-64-v2 (2008 on: SSE4.2, POPCNT)", V2, LEVELS),
    x86("x86-64-v3", "x86-64-v3 (2013 on: AVX2, BMI2, FMA)", V3, LEVELS),
    x86("x86-64-v4", "x86-64-v4 (AVX-512 F, BW, CD, DQ, VL)", V4, LEVELS),
    x86("qemu64", "QEMU and libvirt default CPU", V1, QEMU).has(&[Sse3, Cx16]).lacks(NO_AES),
    x86("kvm64", "QEMU kvm64, the default CPU of older Proxmox VE", V1, QEMU).has(&[Sse3, Cx16]).lacks(NO_AES),
    x86("x86-64-v2-aes", "Proxmox VE default CPU (x86-64-v2 and AES-NI)", V2, PROXMOX).has(&[Aesni])
        .lacks(&[Pclmulqdq, ShaNi, Adx, Amx, Sse4a, Fma4, Xop]),
    x86("core2duo", "Intel Core 2, Xeon 5100 to 5300", V1, QEMU).aliases(&["core2"]).has(&[Sse3, Ssse3, Cx16]).lacks(NO_AES),
    x86("conroe", "QEMU Conroe, without CX16", V1, QEMU).has(&[Sse3, Ssse3]).lacks(NO_AES),
    x86("penryn", "Intel Core 2 of 45 nm, Xeon 5400", V1, QEMU).has(&[Sse3, Ssse3, Sse41, Cx16]).lacks(NO_AES),
    x86("bonnell", "Intel Atom of 2008 to 2012 (D525, N2800)", V1, ATOM).aliases(&["atom"]).has(&[Sse3, Ssse3, Cx16, Movbe]).lacks(NO_AES),
    x86("silvermont", "Intel Atom and Celeron without AVX (J1900, J4105, J5005)", V2, ATOM).aliases(&["goldmont", "gemini-lake", "j1900", "j4105"])
        .has(&[Movbe]),
    x86("nehalem", "Intel Nehalem, Xeon 5500", V2, QEMU).lacks(NO_AES),
    x86("westmere", "Intel Westmere, Xeon 5600, E7", V2, QEMU).has(&[Aesni, Pclmulqdq]).lacks(NO_ADX),
    x86("sandybridge", "Intel Sandy Bridge, Xeon E5", V2, QEMU).has(&[Avx, Aesni, Pclmulqdq]).lacks(NO_ADX),
    x86("ivybridge", "Intel Ivy Bridge, Xeon E5 v2", V2, QEMU).has(&[Avx, F16c, Aesni, Pclmulqdq]).lacks(NO_ADX),
    x86("haswell", "Intel Haswell, Broadwell", V3, QEMU).aliases(&["broadwell"]).has(&[Aesni, Pclmulqdq])
        .lacks(&[ShaNi, Amx, Sse4a, Fma4, Xop]),
    x86("skylake-client", "Intel Core, Skylake", V3, QEMU).has(&[Aesni, Pclmulqdq, Adx]).lacks(&[ShaNi, Amx, Sse4a, Fma4, Xop]),
    x86("skylake-server", "Intel Xeon, Skylake to Cooper Lake", V4, QEMU).aliases(&["cascadelake", "cascadelake-server", "cooperlake"]),
    x86("icelake-server", "Intel Xeon, Ice Lake", V4, QEMU).aliases(&["icelake"]),
    x86("sapphirerapids", "Intel Xeon, Sapphire and Granite Rapids", V4, QEMU).aliases(&["graniterapids"]),
    x86("alderlake", "Intel Alder Lake, N100", V3, ARCHSPEC).aliases(&["n100"]),
    x86("sierraforest", "Intel Xeon 6 with E-cores, Sierra Forest", V3_UNVERIFIED, "Intel ARK"),
    x86("denverton", "Intel Atom, Denverton, Snow Ridge", V2, QEMU).aliases(&["snowridge"]).has(&[Movbe, Aesni, Pclmulqdq]),
    x86("k10", "AMD Phenom, Opteron of family 10h, MicroServer N36L to N54L", V1, OLD_AMD)
        .aliases(&["phenom", "barcelona", "n54l", "opteron-g3"]).has(&[Sse3, Cx16, Popcnt, Sse4a]).lacks(NO_AES_AMD),
    x86("bobcat", "AMD Bobcat (E-350, T56N)", V1, OLD_AMD).has(&[Sse3, Ssse3, Cx16, Popcnt, Sse4a]).lacks(NO_AES_AMD),
    x86("bulldozer", "AMD Bulldozer, Opteron 6200", V2, OLD_AMD).aliases(&["opteron-g4"])
        .has(&[Avx, Aesni, Pclmulqdq, Sse4a, Fma4, Xop]).lacks(NO_ADX_AMD),
    x86("opteron-g1", "QEMU Opteron_G1 (Opteron of 2003 on)", V1, QEMU).has(&[Sse3]).lacks(NO_AES),
    x86("opteron-g2", "QEMU Opteron_G2 (Opteron of 2005 on)", V1, QEMU).has(&[Sse3, Cx16]).lacks(NO_AES),
    // Without BMI1, which a Piledriver has.
    x86("opteron-g5", "QEMU Opteron_G5 (Opteron 6300)", V2, QEMU)
        .has(&[Avx, F16c, Fma, Aesni, Pclmulqdq, Sse4a, Fma4, Xop]).lacks(NO_ADX_AMD),
    x86("piledriver", "AMD Piledriver, Opteron 6300", V2, OLD_AMD)
        .has(&[Avx, F16c, Fma, Bmi1, Aesni, Pclmulqdq, Sse4a, Fma4, Xop]).lacks(NO_ADX_AMD),
    x86("jaguar", "AMD Jaguar, Puma (GX-412TC, A4-5000)", V2, OLD_AMD).aliases(&["gx-412tc", "apu2"])
        .has(&[Avx, F16c, Bmi1, Movbe, Aesni, Pclmulqdq, Sse4a]).lacks(&[ShaNi, Adx, Amx, Fma4, Xop]),
    x86("naples", "AMD EPYC 7001 to 7003 (Naples, Rome, Milan)", V3, QEMU).aliases(&["rome", "milan", "epyc", "epyc-rome", "epyc-milan", "zen", "zen2", "zen3", "dhyana"]),
    x86("genoa", "AMD EPYC 9004 (Genoa)", V4, QEMU).aliases(&["epyc-genoa", "zen4"]),
    x86("turin", "AMD EPYC 9005 (Turin)", V4, ARCHSPEC).aliases(&["epyc-turin", "zen5"]),
    x86("bergamo", "AMD EPYC 97x4 (Bergamo)", V4_UNVERIFIED, "AMD product pages"),
    // AWS.
    arm64("graviton1", "AWS Graviton (Cortex-A72)", armv8(0), Verified(true), "archspec-json, an A1's cpuinfo; Arm Cortex-A72 TRM")
        .aliases(&["graviton"]).families(&["a1"]).has(&[Crc32, ArmCrypto]),
    arm64("graviton2", "AWS Graviton2 (Neoverse-N1)", armv8(2), Verified(true), GRAVITON)
        .aliases(&["neoverse-n1"]).families(&["m6g", "m6gd", "c6g", "c6gd", "c6gn", "r6g", "r6gd", "t4g", "x2gd", "g5g", "i4g", "im4gn", "is4gen"]).has(N1),
    arm64("graviton3", "AWS Graviton3 (Neoverse-V1)", armv8(4), Verified(true), GRAVITON)
        .aliases(&["graviton3e", "neoverse-v1"]).families(&["m7g", "m7gd", "c7g", "c7gd", "c7gn", "r7g", "r7gd", "hpc7g"]).has(V1_CORE),
    arm64("graviton4", "AWS Graviton4 (Neoverse-V2)", armv9(0), Verified(false), GRAVITON)
        .aliases(&["neoverse-v2"]).families(&["m8g", "m8gd", "m8gn", "m8gb", "c8g", "c8gd", "c8gn", "c8gb", "r8g", "r8gd", "r8gn", "r8gb", "x8g", "i8g", "i8ge"]).has(V1_CORE),
    arm64("graviton5", "AWS Graviton5 (Neoverse-V3)", armv9(2), Verified(false), GRAVITON)
        .families(&["m9g", "m9gd", "c9g", "c9gd", "r9g", "r9gd"]),
    x86("aws-m1", "AWS m1, m2, c1, t1, i2 (before 2014)", Open, "undocumented").families(&["m1", "m2", "c1", "t1", "i2"]),
    x86("aws-m3", "AWS m3, c3, r3, g2 (Ivy and Sandy Bridge)", V2, AWS_PRICES).families(&["m3", "c3", "r3", "g2"]),
    x86("aws-m4", "AWS t2, m4, c4, r4, i3 (Haswell, Broadwell)", V3, "AWS price list and instance types, physicalProcessor")
        .families(&["t2", "m4", "c4", "r4", "i3", "d2", "h1", "x1", "x1e", "p2", "p3", "g3", "g3s", "f1"]),
    x86("aws-m5", "AWS t3, m5, c5, r5, z1d (Skylake-SP, Cascade Lake)", V4, AWS)
        .families(&["t3", "m5", "m5d", "m5n", "m5dn", "m5zn", "c5", "c5d", "c5n", "r5", "r5d", "r5n", "r5dn", "r5b", "z1d", "g4dn", "p3dn", "p4d", "dl1", "vt1", "x2iezn"]),
    x86("aws-i3en", "AWS i3en, d3, inf1 (Cascade Lake)", V4_UNVERIFIED, AWS).families(&["i3en", "d3", "d3en", "inf1"]),
    x86("aws-m5a", "AWS t3a, m5a, r5a (EPYC Naples)", V3, AWS).families(&["t3a", "m5a", "m5ad", "r5a", "r5ad"]),
    x86("aws-c5a", "AWS c5a, g4ad, g5 (EPYC Rome)", V3, AWS_PRICES).families(&["c5a", "c5ad", "g4ad", "g5"]),
    x86("aws-m6i", "AWS m6i, c6i, r6i, i4i, x2idn (Ice Lake)", V4, AWS)
        .families(&["m6i", "m6id", "m6in", "m6idn", "c6i", "c6id", "c6in", "r6i", "r6id", "r6in", "r6idn", "i4i", "x2idn", "x2iedn"]),
    x86("aws-m6a", "AWS m6a, c6a, r6a, hpc6a, g6 (EPYC Milan)", V3, AWS_CDK).families(&["m6a", "c6a", "r6a", "hpc6a", "g6", "g6e", "gr6", "inf2"]),
    x86("aws-m7i", "AWS m7i, c7i, r7i, r7iz (Sapphire Rapids)", V4, AWS_CDK)
        .families(&["m7i", "m7i-flex", "c7i", "c7i-flex", "r7i", "r7iz"]),
    x86("aws-i7ie", "AWS i7i, i7ie (Emerald Rapids)", V4_UNVERIFIED, AWS).families(&["i7i", "i7ie"]),
    x86("aws-m7a", "AWS m7a, c7a, r7a (EPYC Genoa)", V4, AWS_CDK).families(&["m7a", "c7a", "r7a"]),
    x86("aws-hpc7a", "AWS hpc7a (EPYC Genoa)", V4_UNVERIFIED, AWS).families(&["hpc7a"]),
    x86("aws-m8a", "AWS m8a, c8a, r8a, m8azn (EPYC Turin 9R45)", V4, "lscpu of an r8a; testing-farm, EC2 metal hosts")
        .families(&["m8a", "c8a", "r8a", "m8azn"]),
    x86("aws-m8i", "AWS m8i, c8i, r8i (Granite Rapids)", V4, AWS).families(&["m8i", "m8i-flex", "c8i", "c8i-flex", "r8i", "r8i-flex"]),
    // Google.
    arm64("gcp-t2a", "GCP Tau T2A (Ampere Altra)", armv8(2), Verified(true), "GCP CPU platforms; archspec-json#41, lscpu op-mode")
        .families(&["t2a-"]).has(N1),
    arm64("gcp-c4a", "GCP C4A (Axion, Neoverse-V2)", armv9(0), Verified(false), "Arm: Neoverse V2, as Graviton4 and Axion")
        .aliases(&["axion"]).families(&["c4a-"]).has(V1_CORE),
    arm64("gcp-n4a", "GCP N4A (Axion, Neoverse-N3)", armv9(2), Unverified(false), "LLVM AArch64Processors.td, Neoverse-N3").families(&["n4a-"]),
    x86("gcp-n1", "GCP N1, f1, g1 (Sandy Bridge to Skylake, by zone)", V2, GCP).families(&["n1-", "f1-", "g1-"]),
    x86("gcp-e2", "GCP E2 (Haswell, Broadwell, Skylake or Rome)", V3, GCP).families(&["e2-"]),
    x86("gcp-m1", "GCP M1 (Broadwell, Skylake)", V3, GCP).families(&["m1-"]),
    x86("gcp-n2", "GCP N2, M3 (Cascade Lake, Ice Lake)", V4, GCP).families(&["n2-", "m3-"]),
    x86("gcp-c2", "GCP C2, M2, A2, G2 (Cascade Lake)", V4, GCP).families(&["c2-", "m2-", "a2-", "g2-"]),
    x86("gcp-c3", "GCP C3, H3, Z3, A3 (Sapphire Rapids)", V4, GCP).families(&["c3-", "h3-", "z3-", "a3-"]),
    x86("gcp-c4", "GCP C4, N4, M4 (Emerald and Granite Rapids)", V4, GCP).families(&["c4-", "n4-", "m4-"]),
    x86("gcp-n2d", "GCP N2D, C2D, T2D (EPYC Rome, Milan)", V3, GCP).families(&["n2d-", "c2d-", "t2d-"]),
    x86("gcp-c3d", "GCP C3D, C4D, N4D (EPYC Genoa, Turin)", V4, GCP).families(&["c3d-", "c4d-", "n4d-"]),
    x86("gcp-h4d", "GCP H4D (EPYC Turin)", V4_UNVERIFIED, GCP).families(&["h4d-"]),
    // Azure.
    arm64("azure-dpsv5", "Azure Dpsv5, Dplsv5, Epsv5, Bpsv2 (Ampere Altra)", armv8(2), Verified(true), "azure-compute-docs; archspec-json#41, BenchmarkDotNet#2577, lscpu op-mode")
        .families(&["Dps_v5", "Dpds_v5", "Dpls_v5", "Dplds_v5", "Eps_v5", "Epds_v5", "Bps_v2", "Bpls_v2", "Bpts_v2"]).has(N1),
    arm64("azure-cobalt100", "Azure Cobalt 100 (Neoverse-N2): Dpsv6, Epsv6, GitHub arm64 runners", armv9(0), Verified(true), "azure-compute-docs; EESSI software-layer#1100, lscpu op-mode")
        .aliases(&["cobalt100", "neoverse-n2"]).families(&["Dps_v6", "Dpds_v6", "Dpls_v6", "Dplds_v6", "Eps_v6", "Epds_v6"]).has(V1_CORE),
    arm64("azure-cobalt200", "Azure Cobalt 200 (Neoverse-V3): Dpsv7", armv9(2), Verified(false), "MIDR 0x41/0xd84 seen on Dpsv7; as Graviton5")
        .aliases(&["cobalt200"]).families(&["Dps_v7", "Dpds_v7", "Dpls_v7", "Dplds_v7", "Eps_v7", "Epds_v7"]),
    x86("azure-a", "Azure A, F, first D and G (retired)", Open, "undocumented").families(&["A", "D", "DS", "F", "Fs", "G", "GS"]),
    x86("azure-dsv3", "Azure Av2, B, Dv2, Dv3, Ev3 (Haswell to Emerald Rapids)", V3, AZURE)
        .families(&["A_v2", "Am_v2", "B", "Bs", "Bms", "Bls", "D_v2", "DS_v2", "D_v3", "Ds_v3", "E_v3", "Es_v3"]),
    x86("azure-dsv4", "Azure Dv4, Ev4, Fsv2 (Skylake-SP to Emerald Rapids)", V4, AZURE)
        .families(&["D_v4", "Ds_v4", "Dd_v4", "Dds_v4", "E_v4", "Es_v4", "Ed_v4", "Eds_v4", "Fs_v2"]),
    x86("azure-dsv5", "Azure Dv5, Ev5, Bsv2 (Ice Lake to Emerald Rapids)", V4, AZURE)
        .families(&["D_v5", "Ds_v5", "Dd_v5", "Dds_v5", "Dls_v5", "Dlds_v5", "E_v5", "Es_v5", "Ed_v5", "Eds_v5", "Bs_v2", "Bls_v2", "Bts_v2"]),
    x86("azure-dsv6", "Azure Dsv6, Dlsv6, Esv6 (Emerald Rapids)", V4, AZURE)
        .families(&["Ds_v6", "Dds_v6", "Dls_v6", "Dlds_v6", "Es_v6", "Eds_v6"]),
    x86("azure-dsv7", "Azure Dsv7, Dlsv7 (Granite Rapids)", V4, AZURE).families(&["Ds_v7", "Dds_v7", "Dls_v7", "Dlds_v7"]),
    x86("azure-dasv5", "Azure Dasv4, Dasv5, Easv5, Basv2 (EPYC Rome to Genoa)", V3, AZURE)
        .families(&["Da_v4", "Das_v4", "Ea_v4", "Eas_v4", "Das_v5", "Dads_v5", "Eas_v5", "Eads_v5", "Bas_v2", "Bals_v2", "Bats_v2"]),
    x86("azure-dasv6", "Azure Dasv6, Dalsv6, Easv6 (EPYC Genoa)", V4, AZURE)
        .families(&["Das_v6", "Dads_v6", "Dals_v6", "Dalds_v6", "Eas_v6", "Eads_v6"]),
    x86("azure-dasv7", "Azure Dasv7, Dalsv7 (EPYC Turin)", V4, AZURE).families(&["Das_v7", "Dads_v7", "Dals_v7", "Dalds_v7"]),
    // Oracle, Ampere, NVIDIA.
    arm64("oci-a1", "OCI A1 (Ampere Altra)", armv8(2), Verified(true), "Oracle docs, compute shapes; archspec-json#41").families(&["VM.A1"]).has(N1),
    arm64("oci-a2", "OCI A2 (AmpereOne)", armv8(6), Unverified(false), "archspec-json, cpuinfo of an Ampere-1; believed 64-bit only").families(&["VM.A2"]),
    arm64("ampere-altra", "Ampere Altra (Neoverse-N1)", armv8(2), Verified(true), "archspec-json#41, lscpu op-mode").aliases(&["altra"]).has(N1),
    arm64("ampere-one", "AmpereOne", armv8(6), Unverified(false), "archspec-json, cpuinfo of an Ampere-1; believed 64-bit only").aliases(&["ampereone"]),
    arm64("grace", "NVIDIA Grace, GH200, GB200 (Neoverse-V2)", armv9(0), Verified(false), "archspec-json#83, lscpu op-mode").aliases(&["gh200", "gb200"]).has(V1_CORE),
    arm64("jetson-nano", "NVIDIA Jetson Nano, TX1 (Cortex-A57)", armv8(0), Unverified(true), "NVIDIA docs").aliases(&["jetson-tx1"]).page(K4),
    arm64("jetson-xavier", "NVIDIA Jetson Xavier (Carmel)", armv8(2), Unverified(true), "NVIDIA docs").page(K4),
    arm64("jetson-orin", "NVIDIA Jetson Orin (Cortex-A78AE)", armv8(2), Unverified(true), "NVIDIA docs").page(K4).has(N1),
    arm64("jetson-thor", "NVIDIA Jetson Thor (Neoverse-V3AE)", armv9(2), Unverified(false), "NVIDIA docs"),
    // Apple silicon: the Linux virtual machines of container engines.
    arm64("apple-m", "Apple M1 and later, a Linux VM without emulators", armv8(4), Verified(false), "rr#3150: no 32-bit EL0; LLVM AArch64Processors.td, apple-m1")
        .aliases(&["apple-silicon", "m1", "m2", "m3", "m4"]).page(K4),
    arm64("docker-desktop-mac", "Docker Desktop on Apple silicon, Rosetta on", armv8(4), Verified(false), "LinuxKit kernel config; Docker docs, multi-platform")
        .page(K4).emulation(Emulation::RosettaAndQemu),
    arm64("docker-desktop-mac-qemu", "Docker Desktop on Apple silicon, Rosetta off", armv8(4), Verified(false), "LinuxKit kernel config; Docker docs, multi-platform")
        .page(K4).emulation(Emulation::Qemu),
    arm64("orbstack", "OrbStack on Apple silicon", armv8(4), Verified(false), "OrbStack docs: Rosetta for amd64").page(K4).emulation(Emulation::Rosetta),
    arm64("lima-rosetta", "Lima, Colima or podman machine with Rosetta", armv8(4), Verified(false), "Lima, boot.Linux/05-rosetta-volume.sh")
        .aliases(&["colima-rosetta", "apple-rosetta"]).page(K4).emulation(Emulation::Rosetta),
    arm64("asahi", "Apple silicon with Asahi Linux", armv8(4), Verified(false), "Asahi: 16 KiB pages only").page(K16),
    // Raspberry Pi with Raspberry Pi OS: 64-bit if the board supports it.
    row("rpi-zero", "Raspberry Pi 1, Zero, Zero W (ARM1176)", Arch::Arm, Verified(Isa::Arm(6)), "containerd/platforms, armv6-compatible; Raspberry Pi docs")
        .aliases(&["rpi-1", "rpi0", "raspberry-pi-1", "raspberry-pi-zero"]).page(K4),
    row("rpi-2", "Raspberry Pi 2 v1.1 (Cortex-A7)", Arch::Arm, Verified(Isa::Arm(7)), "Raspberry Pi docs; Arm Cortex-A7 TRM").aliases(&["raspberry-pi-2", "cortex-a7"]).page(K4)
        .has(&[Neon, Vfp4, Idiv]),
    // Other boards with ARMv7.
    row("cortex-a8", "Arm Cortex-A8: BeagleBone, i.MX51, Allwinner A10", Arch::Arm, Verified(Isa::Arm(7)), "Arm Cortex-A8 TRM; QEMU cortex-a8").aliases(&["beaglebone"]).page(K4)
        .has(&[Neon]).lacks(&[VfpHalf, Idiv]),
    // NEON is optional in this core.
    row("cortex-a9", "Arm Cortex-A9: i.MX6, Zynq-7000, Armada 38x", Arch::Arm, Verified(Isa::Arm(7)), "Arm Cortex-A9 TRM; QEMU cortex-a9").aliases(&["imx6", "zynq-7000"]).page(K4)
        .has(&[VfpHalf]).lacks(&[Vfp4, Idiv]),
    row("cortex-a15", "Arm Cortex-A15: ODROID-XU4, Jetson TK1", Arch::Arm, Verified(Isa::Arm(7)), "Arm Cortex-A15 TRM; QEMU cortex-a15").aliases(&["odroid-xu4"]).page(K4)
        .has(&[Neon, Vfp4, Idiv]),
    arm64("rpi-3", "Raspberry Pi 3, Zero 2 W, 2 v1.2 (Cortex-A53)", armv8(0), Verified(true), "Raspberry Pi docs; Arm Cortex-A53 TRM")
        .aliases(&["raspberry-pi-3", "rpi-zero2", "raspberry-pi-zero-2-w"]).page(K4).has(&[Crc32]).lacks(&[ArmCrypto]),
    arm64("rpi-4", "Raspberry Pi 4, 400 (Cortex-A72)", armv8(0), Verified(true), "Raspberry Pi docs; Arm Cortex-A72 TRM").aliases(&["raspberry-pi-4", "raspberry-pi-400"]).page(K4).has(&[Crc32]).lacks(&[ArmCrypto]),
    arm64("rpi-5", "Raspberry Pi 5 (Cortex-A76), kernel_2712", armv8(2), Verified(true), "raspberrypi/bookworm-feedback#107").aliases(&["raspberry-pi-5"]).page(K16)
        .has(&[DotProd, Fp16, ArmCrypto, CpuFeature::Rcpc]),
    // Arm's cores, as QEMU names them. AES and SHA are optional.
    arm64("cortex-a53", "Arm Cortex-A53", armv8(0), Verified(true), "Arm Cortex-A53 TRM").has(&[Crc32]),
    arm64("cortex-a57", "Arm Cortex-A57", armv8(0), Verified(true), "Arm Cortex-A57 TRM").has(&[Crc32]),
    arm64("cortex-a72", "Arm Cortex-A72", armv8(0), Verified(true), "Arm Cortex-A72 TRM").has(&[Crc32]),
    arm64("cortex-a55", "Arm Cortex-A55", armv8(2), Verified(true), "Arm Cortex-A55 TRM").has(&[DotProd, Fp16, CpuFeature::Rcpc]),
    arm64("cortex-a76", "Arm Cortex-A76", armv8(2), Verified(true), "Arm Cortex-A76 TRM").has(&[DotProd, Fp16, CpuFeature::Rcpc]),
    // POWER, Z, RISC-V.
    row("power8", "IBM POWER8", Arch::Ppc64le, Verified(Isa::Power(8)), POWER).page(Unverified(64 << 10)),
    row("power9", "IBM POWER9", Arch::Ppc64le, Verified(Isa::Power(9)), POWER).page(Unverified(64 << 10)),
    row("power10", "IBM POWER10", Arch::Ppc64le, Verified(Isa::Power(10)), POWER).page(Unverified(64 << 10)),
    row("power11", "IBM Power11", Arch::Ppc64le, Verified(Isa::Power(11)), POWER).page(Unverified(64 << 10)),
    row("z13", "IBM z13 (2964, 2965)", Arch::S390x, Verified(Isa::Z(13)), KERNEL_ZONE),
    row("z14", "IBM z14 (3906, 3907)", Arch::S390x, Verified(Isa::Z(14)), KERNEL_ZONE),
    row("z15", "IBM z15 (8561, 8562)", Arch::S390x, Verified(Isa::Z(15)), KERNEL_ZONE),
    row("z16", "IBM z16 (3931, 3932)", Arch::S390x, Verified(Isa::Z(16)), KERNEL_ZONE),
    row("z17", "IBM z17 (9175, 9176)", Arch::S390x, Verified(Isa::Z(17)), "Linux arch/s390/kernel/perf_cpum_cf_events.c"),
    row("rva20", "a RISC-V RVA20 CPU (rv64gc)", Arch::Riscv64, Verified(Isa::Rva(20)), RISCV).aliases(&["rv64gc"]),
    row("rva22", "a RISC-V RVA22 CPU", Arch::Riscv64, Verified(Isa::Rva(22)), RISCV),
    row("rva23", "a RISC-V RVA23 CPU", Arch::Riscv64, Verified(Isa::Rva(23)), RISCV),
    row("visionfive2", "StarFive VisionFive 2 (JH7110, SiFive U74)", Arch::Riscv64, Verified(Isa::Rva(20)), "util-linux, lscpu dump rv64-visionfive2").aliases(&["jh7110"]).has(&[Zba, Zbb]),
    row("hifive-unmatched", "SiFive HiFive Unmatched (U74)", Arch::Riscv64, Verified(Isa::Rva(20)), "archspec-json, cpuinfo linux-sifive-u74mc"),
    row("hifive-p550", "SiFive HiFive Premier P550, Milk-V Megrez", Arch::Riscv64, Unverified(Isa::Rva(20)), "LLVM RISCVProcessors.td, sifive-p550").aliases(&["megrez"]),
    row("milkv-pioneer", "Milk-V Pioneer (SG2042, C920)", Arch::Riscv64, Verified(Isa::Rva(20)), "util-linux, lscpu dump rv64-milkvpioneer").aliases(&["sg2042"]),
    row("bpi-f3", "Banana Pi BPI-F3, Milk-V Jupiter (SpacemiT K1, M1: X60)", Arch::Riscv64, Verified(Isa::Rva(22)), "archspec-json, cpuinfo linux-spacemit-x60")
        .aliases(&["spacemit-k1", "milkv-jupiter"]).has(&[RiscvV, Zfh, Zvfh, Zicond, Zbc]),
];
