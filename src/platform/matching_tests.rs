//! A table of engine, node and index, with the entry that is pulled or the engine's error message. Taken from moby
//! b985e2313a (daemon/internal/distribution/pull_v2_unix.go `filterManifests`, pull_v2.go `noMatchesErr`,
//! `maximumSpec`; daemon/containerd/image_pull.go), containerd 301026e58 (vendored platforms/compare.go
//! `platformVector`; core/images/handlers.go `FilterPlatforms`, `LimitManifests`; core/transfer/image/imagestore.go
//! `ImageFilter`) and containers/image df7e80d2 (internal/pkg/platform/platform_matcher.go `WantedPlatforms`,
//! `compatibility`; internal/manifest/oci_index.go).

use super::*;
use crate::platform::target::{self, TargetText};

use NodeEngine::*;

const CRI_17: NodeEngine = ContainerdCri { major: 1, minor: 7 };
const CRI_20: NodeEngine = ContainerdCri { major: 2, minor: 0 };
const CRI_21: NodeEngine = ContainerdCri { major: 2, minor: 1 };

fn target(text: &str) -> Target {
    match target::parse(text).unwrap() {
        TargetText::Given(mut targets) => targets.remove(0),
        other => panic!("{text} means {other:?}"),
    }
}

fn offers(index: &str) -> Vec<Option<Platform>> {
    index.split_whitespace().map(|text| (text != "-").then(|| platform(text))).collect()
}

/// BuildKit writes `unknown/unknown` for attestations; users cannot type it as a platform.
fn platform(text: &str) -> Platform {
    if text == "unknown/unknown" { Platform::new("unknown", "unknown", None) } else { Platform::parse(text).unwrap() }
}

/// `expected` is the order of the entries as text, or the error message.
fn check(engine: NodeEngine, node: &str, index: &str, expected: &str) {
    let offered = offers(index);
    let words: Vec<&str> = index.split_whitespace().collect();
    let found = match pick(engine, &target(node), &offered) {
        Ok(order) => order.into_iter().map(|at| words[at]).collect::<Vec<_>>().join(" "),
        Err(refusal) => refusal.message,
    };
    assert_eq!(found, expected, "{engine:?} on {node} offered {index}");
}

const USUAL: &str = "linux/386 linux/arm/v6 linux/arm/v7 linux/arm64 linux/amd64 unknown/unknown";

#[test]
fn every_engine_pulls_the_nodes_own_platform_first() {
    for engine in [DockerGraph, DockerContainerd, Containerd, CRI_17, CRI_21, CriO, Podman] {
        for (node, own) in [("amd64", "linux/amd64"), ("arm64", "linux/arm64"), ("arm/v7", "linux/arm/v7")] {
            let order = pick(engine, &target(node), &offers(USUAL)).unwrap();
            assert_eq!(USUAL.split_whitespace().nth(order[0]), Some(own), "{engine:?} on {node}");
        }
    }
}

#[test]
fn docker_and_older_containerd_fall_back_to_32_bit() {
    for engine in [DockerGraph, DockerContainerd, Containerd, CRI_17, CRI_20] {
        check(engine, "amd64", USUAL, "linux/amd64 linux/386");
        check(engine, "arm64", USUAL, "linux/arm64 linux/arm/v7 linux/arm/v6");
        check(engine, "arm64", "linux/amd64 linux/arm/v6", "linux/arm/v6");
        check(engine, "amd64", "linux/arm64 linux/386", "linux/386");
    }
}

#[test]
fn the_transfer_service_and_containers_image_do_not_fall_back() {
    check(CRI_21, "arm64", USUAL, "linux/arm64");
    check(CRI_21, "arm64", "linux/arm/v7", "no match for platform in manifest: not found");
    check(CRI_21, "amd64", "linux/386", "no match for platform in manifest: not found");
    check(CRI_21, "arm/v7", "linux/arm/v6", "no match for platform in manifest: not found");
    check(
        Podman,
        "arm64",
        "linux/arm/v7 linux/amd64",
        "no image found in image index for architecture \"arm64\", variant \"v8\", OS \"linux\"",
    );
    check(
        CriO,
        "amd64",
        "linux/386",
        "no image found in image index for architecture \"amd64\", variant \"\", OS \"linux\"",
    );
    check(CriO, "arm/v7", "linux/arm/v5 linux/arm/v6", "linux/arm/v6 linux/arm/v5");
    // A 32-bit engine on an ARMv8 CPU asks for v8 and accepts all older versions.
    check(Podman, "arm/v8", "linux/arm/v6 linux/arm/v7 linux/arm64", "linux/arm/v7 linux/arm/v6");
    check(CriO, "rpi-zero", "linux/arm/v7 linux/arm/v5", "linux/arm/v5");
    check(CRI_21, "rpi-zero", "linux/arm/v5", "no match for platform in manifest: not found");
    check(CRI_17, "rpi-zero", "linux/arm/v5", "linux/arm/v5");
}

#[test]
fn only_docker_knows_an_x86_64_level() {
    let index = "linux/amd64 linux/amd64/v2 linux/amd64/v3 linux/amd64/v4";
    check(DockerGraph, "x86-64-v3", index, "linux/amd64/v3 linux/amd64/v2 linux/amd64");
    check(CRI_17, "x86-64-v3", index, "linux/amd64");
    check(CriO, "x86-64-v3", index, "linux/amd64");
    check(CRI_17, "x86-64-v3", "linux/amd64/v2", "no match for platform in manifest: not found");
    check(DockerGraph, "x86-64-v3", "linux/amd64/v2", "linux/amd64/v2");
}

#[test]
fn a_platform_without_an_order_only_matches_itself() {
    for engine in [DockerGraph, DockerContainerd, Containerd, CRI_17, CRI_21, CriO, Podman] {
        check(engine, "s390x", "linux/amd64 linux/s390x", "linux/s390x");
        check(engine, "riscv64", "linux/arm64 linux/riscv64", "linux/riscv64");
        assert!(pick(engine, &target("ppc64le"), &offers("linux/ppc64le/power9")).is_err(), "{engine:?}");
    }
}

#[test]
fn an_arm64_node_never_reaches_v8_2_or_v9() {
    for engine in [DockerGraph, CRI_17, CRI_21, Podman] {
        check(engine, "graviton4", "linux/arm64/v9 linux/arm64/v8.2 linux/arm64/v8", "linux/arm64/v8");
    }
    check(
        DockerGraph,
        "linux/arm64/v9",
        "linux/arm64/v9",
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
    );
}

#[test]
fn an_older_arm_never_gets_a_newer_ones_image() {
    check(DockerGraph, "rpi-zero", USUAL, "linux/arm/v6");
    check(
        DockerGraph,
        "rpi-zero",
        "linux/arm/v7 linux/arm64",
        "no matching manifest for linux/arm/v6 in the manifest list entries",
    );
    check(CRI_17, "linux/arm/v7", "linux/arm/v5 linux/arm/v6", "linux/arm/v6 linux/arm/v5");
}

#[test]
fn entries_without_a_platform_fit_everywhere_and_come_last() {
    check(DockerGraph, "arm64", "- linux/arm64", "linux/arm64 -");
    check(CRI_17, "arm64", "linux/amd64 -", "-");
    check(Podman, "s390x", "- linux/amd64", "-");
}

#[test]
fn equal_entries_keep_the_indexs_order() {
    assert_eq!(pick(CRI_17, &target("arm64"), &offers("linux/arm64 linux/arm64/v8 linux/aarch64")).unwrap(), [0, 1, 2]);
}

#[test]
fn a_refusal_is_in_the_engines_words() {
    check(DockerGraph, "arm64", "linux/amd64", "no matching manifest for linux/arm64/v8 in the manifest list entries");
    check(
        DockerGraph,
        "x86-64-v4",
        "linux/arm64",
        "no matching manifest for linux/amd64/v4 in the manifest list entries",
    );
    check(
        DockerContainerd,
        "riscv64",
        "linux/amd64",
        "no matching manifest for linux/riscv64 in the manifest list entries: no match for platform in manifest: not found",
    );
    check(CRI_17, "ppc64le", "unknown/unknown", "no match for platform in manifest: not found");
}

#[test]
fn a_nodes_runtime_version_names_its_engine() {
    for (text, expected) in [
        ("containerd://1.7.27", Some(CRI_17)),
        ("containerd://2.1.4-k3s1", Some(CRI_21)),
        ("containerd://v2.0.0-rc.4", Some(CRI_20)),
        ("cri-o://1.31.2", Some(CriO)),
        ("docker://20.10.25", Some(DockerGraph)),
        ("docker://29.0.1", Some(DockerContainerd)),
        ("frakti://1.0", None),
        ("", None),
    ] {
        assert_eq!(NodeEngine::of_runtime(text), expected, "{text}");
    }
}
