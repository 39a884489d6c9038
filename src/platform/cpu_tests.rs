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

const GRAVITON2: &str = "processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1
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

const PI4: &str = "processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

Hardware\t: BCM2835
Model\t\t: Raspberry Pi 4 Model B Rev 1.1
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

const PI2: &str = "processor\t: 0
model name\t: ARMv7 Processor rev 5 (v7l)
Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm
CPU implementer\t: 0x41
CPU architecture: 7
CPU part\t: 0xc07
";

const POWER9: &str = "processor\t: 0
cpu\t\t: POWER9 (architected), altivec supported
clock\t\t: 2500.000000MHz
revision\t: 2.2 (pvr 004e 0202)
";

const Z14: &str = "vendor_id       : IBM/S390
# processors    : 2
features\t: esan3 zarch stfle msa ldisp eimm dfp edat etf3eh highgprs te vx vxd vxe gs sie
processor 0: version = 00,  identification = 0133E8,  machine = 3906
";

const VISIONFIVE2: &str = "processor\t: 0
hart\t\t: 1
isa\t\t: rv64imafdc_zicntr_zicsr_zifencei_zihpm_zba_zbb
mmu\t\t: sv39
uarch\t\t: sifive,u74-mc
";

#[test]
fn real_machines_say_their_level() {
    check(Arch::Amd64, EPYC_GENOA, Isa::X86(4));
    check(Arch::Amd64, QEMU64, Isa::X86(1));
    check(Arch::Arm64, GRAVITON2, Isa::Arm64(8, 2));
    check(Arch::Arm64, GRAVITON4, Isa::Arm64(9, 0));
    check(Arch::Arm64, PI4, Isa::Arm64(8, 0));
    check(Arch::Arm, PI_ZERO, Isa::Arm(6));
    check(Arch::Arm, PI2, Isa::Arm(7));
    check(Arch::Ppc64le, POWER9, Isa::Power(9));
    check(Arch::S390x, Z14, Isa::Z(14));
    check(Arch::Riscv64, VISIONFIVE2, Isa::Rva(20));
}

#[test]
fn the_weakest_processor_decides() {
    let both = format!("{EPYC_GENOA}\n{QEMU64}");
    check(Arch::Amd64, &both, Isa::X86(1));
}

#[test]
fn an_arm_core_says_whether_it_has_32_bit_programs() {
    for (cpuinfo, name, aarch32) in [
        (GRAVITON2, "Neoverse-N1", Fact::Known(true)),
        (GRAVITON4, "Neoverse-V2", Fact::Known(false)),
        (PI4, "Cortex-A72", Fact::Known(true)),
    ] {
        let core = arm_core(cpuinfo).unwrap();
        assert_eq!((core.name, core.aarch32.fact()), (name, aarch32));
    }
    assert!(arm_core(EPYC_GENOA).is_none());
}

#[test]
fn an_armv6_machine_that_calls_itself_7_is_v6() {
    assert_eq!(arm_variant(PI_ZERO), Some("v6"));
    assert_eq!(arm_variant(PI2), Some("v7"));
    assert_eq!(arm_variant(PI4), Some("v8"));
    assert_eq!(arm_variant("CPU architecture: 5TEJ"), Some("v5"));
    assert_eq!(arm_variant(EPYC_GENOA), None);
}

#[test]
fn a_text_that_does_not_say_leaves_it_unknown() {
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
