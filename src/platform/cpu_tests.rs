//! cpuinfo texts of real machines.

use super::*;

fn check(arch: Arch, cpuinfo: &str, expected: Isa) {
    assert_eq!(isa(arch, cpuinfo), Fact::Known(expected), "{cpuinfo}");
}

const EPYC_GENOA: &str = "processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ht syscall nx mmxext fxsr_opt pdpe1gb rdtscp lm constant_tsc rep_good nopl cpuid pni pclmulqdq ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt aes xsave avx f16c rdrand hypervisor lahf_lm abm sse4a bmi1 avx2 smep bmi2 erms avx512f avx512dq rdseed adx avx512cd sha_ni avx512bw avx512vl
bogomips\t: 5192.28
";

/// QEMU's default `qemu64`.
const QEMU64: &str = "processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: QEMU Virtual CPU version 2.5+
flags\t\t: fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ht syscall nx lm nopl cpuid extd_apicid pni cx16 x2apic hypervisor lahf_lm svm 3dnowprefetch vmmcall
";

const GRAVITON4: &str = "processor\t: 0
BogoMIPS\t: 2000.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp sve2 sveaes svepmull svebitperm svesha3 flagm2 frint svei8mm svebf16 i8mm bf16 dgh rng bti
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd4f
CPU revision\t: 1
";

const PI_ZERO: &str = "processor\t: 0
model name\t: ARMv6-compatible processor rev 7 (v6l)
BogoMIPS\t: 997.08
Features\t: half thumb fastmult vfp edsp java tls
CPU implementer\t: 0x41
CPU architecture: 7
CPU variant\t: 0x0
CPU part\t: 0xb76
CPU revision\t: 7
";

const Z14: &str = "vendor_id       : IBM/S390
# processors    : 2
features\t: esan3 zarch stfle msa ldisp eimm dfp edat etf3eh highgprs te vx vxd vxe gs sie
processor 0: version = 00,  identification = 0133E8,  machine = 3906
";

/// A file of testdata/cpuinfo; the README there names the source of each.
macro_rules! machine {
    ($name:literal) => {
        include_str!(concat!("../../testdata/cpuinfo/", $name, ".txt"))
    };
}

#[test]
fn real_x86_machines_have_their_level() {
    for (cpuinfo, level) in [
        (machine!("opteron-k10"), 1),
        (machine!("core-westmere"), 2),
        (machine!("xeon-ivybridge"), 2),
        (machine!("opteron-bulldozer"), 2),
        (machine!("xeon-haswell"), 3),
        (machine!("alderlake"), 3),
        (machine!("epyc-naples"), 3),
        (machine!("ryzen-zen3"), 3),
        (machine!("xeon-skylake"), 4),
        (machine!("xeon-cascadelake"), 4),
        (machine!("xeon-sapphirerapids"), 4),
        (machine!("epyc-genoa"), 4),
        (machine!("ryzen-zen5"), 4),
        (EPYC_GENOA, 4),
        (QEMU64, 1),
    ] {
        check(Arch::Amd64, cpuinfo, Isa::X86(level));
    }
}

#[test]
fn real_arm_machines_have_their_level_and_core() {
    for (cpuinfo, isa, core) in [
        (machine!("graviton1"), (8, 0), "Cortex-A72"),
        (machine!("graviton2"), (8, 2), "Neoverse-N1"),
        (machine!("graviton3"), (8, 4), "Neoverse-V1"),
        (machine!("neoverse-v2"), (9, 0), "Neoverse-V2"),
        (machine!("neoverse-n2"), (9, 0), "Neoverse-N2"),
        (machine!("neoverse-v3ae"), (9, 0), "Neoverse-V3AE"),
        (machine!("apple-m1"), (8, 4), "Apple M1"),
        (machine!("apple-m2"), (8, 6), "Apple M2"),
        (machine!("ampere-1"), (8, 6), "Ampere-1"),
        (machine!("ampere-1a"), (8, 6), "Ampere-1a"),
        (machine!("rpi-3"), (8, 0), "Cortex-A53"),
        (machine!("rpi-4"), (8, 0), "Cortex-A72"),
        (machine!("rpi-5"), (8, 2), "Cortex-A76"),
        (GRAVITON4, (9, 0), "Neoverse-V2"),
    ] {
        check(Arch::Arm64, cpuinfo, Isa::Arm64(isa.0, isa.1));
        assert_eq!(arm_core(cpuinfo).map(|core| core.name), Some(core));
        assert_eq!(arm_variant(cpuinfo), Some("v8"), "{core}");
    }
    check(Arch::Arm, PI_ZERO, Isa::Arm(6));
    check(Arch::Arm, machine!("rpi-2"), Isa::Arm(7));
    check(Arch::Arm, machine!("cortex-a15"), Isa::Arm(7));
    // An ARMv8 core with a 32-bit kernel reports an ARMv7 machine.
    check(Arch::Arm, machine!("rpi-4-32-bit"), Isa::Arm(7));
}

#[test]
fn real_power_z_and_riscv_machines_have_their_level() {
    check(Arch::Ppc64le, machine!("power8"), Isa::Power(8));
    check(Arch::Ppc64le, machine!("power9"), Isa::Power(9));
    check(Arch::Ppc64le, machine!("power10"), Isa::Power(10));
    assert_eq!(isa(Arch::Ppc64, machine!("power7")), Fact::Unknown, "older than every known level");
    check(Arch::S390x, machine!("z13"), Isa::Z(13));
    check(Arch::S390x, Z14, Isa::Z(14));
    check(Arch::S390x, &Z14.replace("3906", "9175"), Isa::Z(17));
    assert_eq!(isa(Arch::S390x, machine!("z196")), Fact::Unknown, "older than every known level");
    check(Arch::Riscv64, machine!("visionfive2"), Isa::Rva(20));
    check(Arch::Riscv64, machine!("hifive-u74"), Isa::Rva(20));
    check(Arch::Riscv64, machine!("milkv-pioneer"), Isa::Rva(20));
    check(Arch::Riscv64, machine!("spacemit-x60"), Isa::Rva(22));
}

/// A machine's cpuinfo and the profile with its name must agree.
#[test]
fn profiles_agree_with_the_machines_that_they_name() {
    for (name, arch, cpuinfo) in [
        ("graviton1", Arch::Arm64, machine!("graviton1")),
        ("graviton2", Arch::Arm64, machine!("graviton2")),
        ("graviton3", Arch::Arm64, machine!("graviton3")),
        ("graviton4", Arch::Arm64, machine!("neoverse-v2")),
        ("azure-cobalt100", Arch::Arm64, machine!("neoverse-n2")),
        ("apple-m", Arch::Arm64, machine!("apple-m1")),
        ("ampere-one", Arch::Arm64, machine!("ampere-1")),
        ("rpi-3", Arch::Arm64, machine!("rpi-3")),
        ("rpi-4", Arch::Arm64, machine!("rpi-4")),
        ("rpi-5", Arch::Arm64, machine!("rpi-5")),
        ("rpi-2", Arch::Arm, machine!("rpi-2")),
        ("haswell", Arch::Amd64, machine!("xeon-haswell")),
        ("ivybridge", Arch::Amd64, machine!("xeon-ivybridge")),
        ("skylake-server", Arch::Amd64, machine!("xeon-cascadelake")),
        ("sapphirerapids", Arch::Amd64, machine!("xeon-sapphirerapids")),
        ("alderlake", Arch::Amd64, machine!("alderlake")),
        ("naples", Arch::Amd64, machine!("epyc-naples")),
        ("genoa", Arch::Amd64, machine!("epyc-genoa")),
        ("turin", Arch::Amd64, machine!("ryzen-zen5")),
        ("power9", Arch::Ppc64le, machine!("power9")),
        ("z13", Arch::S390x, machine!("z13")),
        ("visionfive2", Arch::Riscv64, machine!("visionfive2")),
        ("bpi-f3", Arch::Riscv64, machine!("spacemit-x60")),
    ] {
        let row = super::super::profile::by_name(name).unwrap();
        assert_eq!(row.isa.fact(), isa(arch, cpuinfo), "{name}");
        let has_aarch32 = arm_core(cpuinfo).map_or(Fact::Unknown, |core| core.aarch32.fact());
        if let (Arch::Arm64, Fact::Known(_)) = (arch, has_aarch32) {
            assert_eq!(row.aarch32.fact(), has_aarch32, "{name}");
        }
    }
}

#[test]
fn the_weakest_processor_decides() {
    let both = format!("{EPYC_GENOA}\n{QEMU64}");
    check(Arch::Amd64, &both, Isa::X86(1));
}

#[test]
fn an_arm_core_decides_whether_32_bit_programs_run() {
    for (cpuinfo, name, aarch32) in [
        (machine!("graviton2"), "Neoverse-N1", Fact::Known(true)),
        (GRAVITON4, "Neoverse-V2", Fact::Known(false)),
        (machine!("rpi-4"), "Cortex-A72", Fact::Known(true)),
    ] {
        let core = arm_core(cpuinfo).unwrap();
        assert_eq!((core.name, core.aarch32.fact()), (name, aarch32));
    }
    assert!(arm_core(EPYC_GENOA).is_none());
}

#[test]
fn an_armv6_machine_that_calls_itself_7_is_v6() {
    assert_eq!(arm_variant(PI_ZERO), Some("v6"));
    assert_eq!(arm_variant(machine!("rpi-2")), Some("v7"));
    assert_eq!(arm_variant(machine!("rpi-4")), Some("v8"));
    assert_eq!(arm_variant("CPU architecture: 5TEJ"), Some("v5"));
    assert_eq!(arm_variant(EPYC_GENOA), None);
}

#[test]
fn a_text_without_the_fact_leaves_it_unknown() {
    for arch in [Arch::Amd64, Arch::Arm64, Arch::Arm, Arch::Ppc64le, Arch::S390x, Arch::Riscv64, Arch::Loong64] {
        assert_eq!(isa(arch, ""), Fact::Unknown, "{arch}");
        assert_eq!(isa(arch, "flags\nmachine = \nisa: x\ncpu: 604"), Fact::Unknown, "{arch}");
    }
}

#[test]
fn rva22_and_rva23_want_their_extensions() {
    let k1 = "isa : rv64imafdcv_zicbom_zicboz_zicntr_zicond_zicsr_zba_zbb_zbc_zbs_zkt";
    check(Arch::Riscv64, k1, Isa::Rva(22));
    let rva23 = "isa : rv64imafdcv_zicbom_zicboz_zicond_zcb_zfa_zba_zbb_zbs_zvbb";
    check(Arch::Riscv64, rva23, Isa::Rva(23));
}

#[test]
fn riscv_extensions_are_read_from_machines_and_attributes() {
    use CpuFeature::{RiscvV, Zba, Zbb, Zbc, Zbs, Zfh, Zfhmin, Zicond, Zvfh, Zvfhmin};
    let present = |cpuinfo: &str| features(Arch::Riscv64, cpuinfo).present.into_iter().collect::<Vec<_>>();
    assert_eq!(present(machine!("visionfive2")), [Zba, Zbb]);
    assert_eq!(present(machine!("spacemit-x60")), [RiscvV, Zba, Zbb, Zbs, Zfhmin, Zicond, Zvfhmin, Zbc, Zfh, Zvfh]);
    assert_eq!(present(machine!("milkv-pioneer")), [], "a draft of V");
    assert_eq!(present(machine!("hifive-u74")), []);
    let of = |isa: &str| extensions(isa).into_iter().collect::<Vec<_>>();
    assert_eq!(of("rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_v1p0_zicsr2p0_zba1p0_zve32f1p0_zvl128b1p0"), [RiscvV, Zba]);
    assert_eq!(of("rv64gcv"), [RiscvV]);
    assert_eq!(of("rv64gc_zbs"), [Zbs]);
    assert_eq!(of("rv64i2p1_m2p0_c2p0_zifencei2p0"), []);
}

#[test]
fn the_features_of_32_bit_arm_do_not_include_its_version() {
    let features = features(Arch::Arm, "Features : half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt\n");
    let present = [CpuFeature::Vfp, CpuFeature::Vfp3, CpuFeature::Neon, CpuFeature::Vfp4, CpuFeature::Idiv];
    assert_eq!(features, CpuFeatures::from_lists(&present, &[]));
    assert_eq!(features_of_arm1176().absent.len(), 4);
}

fn features_of_arm1176() -> CpuFeatures {
    features(Arch::Arm, "Features : half thumb fastmult vfp edsp java tls\n")
}
