//! Valid targets and the errors for invalid ones.

use super::*;

fn given(text: &str) -> Target {
    match parse(text).unwrap() {
        TargetText::Given(mut targets) => targets.remove(0),
        other => panic!("{text} means {other:?}"),
    }
}

fn check_error(text: &str, expected: &str) {
    assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
}

#[test]
fn a_platform_is_its_own_target() {
    let target = given("linux/arm64");
    assert_eq!((target.name.as_str(), target.node.arch), ("linux/arm64", Arch::Arm64));
    assert_eq!(target.node.page_size, Fact::Unknown);
    assert_eq!(given("linux/amd64/v3").node.isa, Fact::Known(Isa::X86(3)));
    assert_eq!(given("arm/v6").node.isa, Fact::Known(Isa::Arm(6)));
}

#[test]
fn properties_refine_a_platform() {
    let target = given("linux/arm64,aarch32=no,page=64k,kernel=6.1");
    assert_eq!(target.name, "linux/arm64,aarch32=no,page=64k,kernel=6.1");
    assert_eq!(target.platform, Platform::linux(Arch::Arm64));
    assert_eq!(target.node.aarch32, Fact::Known(false));
    assert_eq!(target.node.page_size, Fact::Known(65536));
    assert_eq!(target.node.kernel, Fact::Known((6, 1)));
    let target = given("arm64,page=16K,level=v8.2,emulates=amd64+386,emulates=riscv64");
    assert_eq!(target.node.isa, Fact::Known(Isa::Arm64(8, 2)));
    assert_eq!(target.node.emulates, [Arch::Amd64, Arch::I386, Arch::Riscv64]);
    assert_eq!(given("amd64,caps=none").node.bounding, Capabilities::default());
    assert_eq!(text(&given("amd64,caps=all,ia32=no")), "linux/amd64,ia32=no,caps=all");
    let target = given("amd64,ia32=no,x32=yes,level=v3");
    assert_eq!((target.node.ia32, target.node.x32), (Fact::Known(false), Fact::Known(true)));
}

#[test]
fn a_level_has_its_architectures_names() {
    for (text, isa) in [
        ("amd64,level=x86-64-v2", Isa::X86(2)),
        ("arm,level=v6", Isa::Arm(6)),
        ("arm64,level=v8", Isa::Arm64(8, 0)),
        ("arm64,level=v9.2", Isa::Arm64(9, 2)),
        ("ppc64le,level=power9", Isa::Power(9)),
        ("s390x,level=z14", Isa::Z(14)),
        ("riscv64,level=rva22", Isa::Rva(22)),
        ("riscv64,level=rva23u64", Isa::Rva(23)),
    ] {
        assert_eq!(given(text).node.isa, Fact::Known(isa), "{text}");
    }
}

#[test]
fn a_profile_takes_the_same_properties() {
    let target = given("graviton4,page=64k");
    assert_eq!((target.name.as_str(), target.node.page_size), ("graviton4,page=64k", Fact::Known(65536)));
    assert_eq!(target.node.aarch32, Fact::Known(false));
    assert_eq!(given("x86-64-v3").node.isa, Fact::Known(Isa::X86(3)));
    assert_eq!(given("RPI-Zero").platform.to_string(), "linux/arm/v6");
}

#[test]
fn targets_that_need_io_are_only_named() {
    for (text, expected) in [
        ("host", TargetText::Host),
        ("k8s", TargetText::Cluster(None)),
        ("k8s:arn:aws:eks:eu-west-1:1:cluster/prod", {
            TargetText::Cluster(Some("arn:aws:eks:eu-west-1:1:cluster/prod".into()))
        }),
        ("nodes.json", TargetText::File("nodes.json".into())),
        ("./nodes", TargetText::File("./nodes".into())),
        ("file:nodes", TargetText::File("nodes".into())),
        ("-", TargetText::File("-".into())),
    ] {
        assert_eq!(parse(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn an_error_names_the_property_and_what_it_may_be() {
    check_error("arm64,page=8k", "target \"arm64,page=8k\": invalid page=8k; expected 4k, 16k or 64k");
    check_error(
        "arm64,aarch32=perhaps",
        "target \"arm64,aarch32=perhaps\": invalid aarch32=perhaps; expected yes or no",
    );
    check_error("amd64,level=v5", "target \"amd64,level=v5\": invalid level=v5; expected v1, v2, v3, v4");
    check_error("amd64,aarch32=no", "target \"amd64,aarch32=no\": aarch32 does not apply to amd64, only to arm64");
    check_error("arm64,kernel=six", "target \"arm64,kernel=six\": invalid kernel=six; expected a version such as 6.1");
    check_error("host,page=4k", "target \"host,page=4k\" cannot have properties: they come from the machine");
    check_error(
        "arm64,pages=4k",
        "target \"arm64,pages=4k\": unknown property \"pages\"; \
         expected one of page, aarch32, ia32, x32, cpu, level, features, emulates, kernel, engine, caps",
    );
    check_error("windows/amd64", "target \"windows/amd64\" is not a Linux platform; only Linux nodes are supported");
    check_error(
        "graviton9",
        "unknown target \"graviton9\"; expected a platform, a profile, host, k8s[:CONTEXT] or a file of nodes; \
         similar: graviton1, graviton2, graviton3, graviton4, graviton5",
    );
    assert!(matches!(parse(""), Err(TargetError::Empty(_))));
    assert!(matches!(parse("linux/z80"), Err(TargetError::Platform { .. })));
    assert!(matches!(parse("arm64,emulates=z80"), Err(TargetError::Value { property: "emulates", .. })));
}

#[test]
fn a_node_is_written_as_it_is_read() {
    for text in [
        "linux/arm64,page=64k,aarch32=no,level=v8.2,emulates=amd64+386,kernel=6.1",
        "linux/amd64,ia32=no,x32=yes,level=v3",
        "linux/arm64,level=v8,engine=cri-containerd-2.1",
        "linux/amd64,level=v1,engine=docker",
        "linux/arm/v6,level=v6",
        "linux/riscv64,level=rva22u64",
    ] {
        assert_eq!(super::text(&given(text)), text);
    }
    assert_eq!(
        super::text(&given("graviton3")),
        "linux/arm64,aarch32=yes,level=v8.4,features=+fphp,features=+bf16,features=+i8mm,features=+aes,features=+sve"
    );
    assert_eq!(super::text(&given("lima-rosetta")), "linux/arm64,page=4k,aarch32=no,level=v8.4,emulates=amd64");
}

#[test]
fn an_instance_type_is_its_profile() {
    let target = given("m7g.large,page=4k");
    assert_eq!((target.name.as_str(), target.node.aarch32), ("m7g.large,page=4k", Fact::Known(true)));
}

#[test]
fn a_cpu_refines_a_platform_and_can_be_refined() {
    let target = given("linux/amd64,cpu=kvm64");
    assert_eq!((target.node.isa, target.platform), (Fact::Known(Isa::X86(1)), Platform::linux(Arch::Amd64)));
    assert_eq!(target.node.features.has(CpuFeature::Cx16, target.node.isa), Fact::Known(true));
    let target = given("linux/amd64,cpu=SandyBridge-IBRS,page=4k,features=-aes");
    assert_eq!(target.node.features.has(CpuFeature::Avx, target.node.isa), Fact::Known(true));
    assert_eq!(target.node.features.has(CpuFeature::Aesni, target.node.isa), Fact::Known(false));
    assert_eq!(given("arm64,cpu=rpi-4").node.isa, Fact::Known(Isa::Arm64(8, 0)));
    check_error(
        "linux/amd64,cpu=rpi-4",
        "target \"linux/amd64,cpu=rpi-4\": invalid cpu=rpi-4; expected a profile of amd64, such as x86-64-v1, x86-64-v2, x86-64-v3, x86-64-v4, qemu64",
    );
}

#[test]
fn a_risc_v_cpu_has_features() {
    let target = given("riscv64,level=rva20,features=+zba,-zbb");
    assert_eq!(target.node.features.has(CpuFeature::Zba, target.node.isa), Fact::Known(true));
    assert_eq!(target.node.features.has(CpuFeature::Zbb, target.node.isa), Fact::Known(false));
}
