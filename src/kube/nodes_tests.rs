//! Node objects with the values that EKS, GKE, AKS, k3s, OpenShift and Talos set.

use super::*;
use crate::kube::object::read;
use serde_json::{Value, json};

fn grouped(objects: &[Value]) -> Nodes {
    let objects: Vec<NodeObject> = objects.iter().cloned().map(|object| read(object).unwrap()).collect();
    group(&objects)
}

fn only(object: Value) -> NodesAlike {
    let mut nodes = grouped(&[object]);
    assert_eq!((nodes.groups.len(), nodes.skipped.len()), (1, 0));
    nodes.groups.remove(0)
}

/// A node object with the labels, nodeInfo and capacity that its distribution sets.
fn node(name: &str, labels: Value, info: [&str; 4], capacity: Value) -> Value {
    let [architecture, kernel, os_image, runtime] = info;
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": "x"},
        "status": {"capacity": capacity, "nodeInfo": {
            "architecture": architecture, "operatingSystem": "linux", "kernelVersion": kernel, "osImage": os_image,
            "containerRuntimeVersion": runtime, "kubeletVersion": "v1.33.1"
        }}
    })
}

fn eks(name: &str, instance_type: &str, arch: &str) -> Value {
    let labels = json!({
        "kubernetes.io/arch": arch, "kubernetes.io/os": "linux", "node.kubernetes.io/instance-type": instance_type,
        "eks.amazonaws.com/nodegroup": "ng", "topology.kubernetes.io/zone": "eu-west-1a"
    });
    let release = if arch == "arm64" { "6.12.40-63.114.amzn2023.aarch64" } else { "6.12.40-63.114.amzn2023.x86_64" };
    let capacity = match arch {
        "arm64" => {
            json!({"cpu": "2", "hugepages-1Gi": "0", "hugepages-2Mi": "0", "hugepages-32Mi": "0", "hugepages-64Ki": "0"})
        }
        _ => json!({"cpu": "2", "hugepages-1Gi": "0", "hugepages-2Mi": "0"}),
    };
    node(name, labels, [arch, release, "Amazon Linux 2023.8.20250818", "containerd://2.1.4"], capacity)
}

#[test]
fn eks_nodes_group_by_instance_type() {
    let nodes =
        grouped(&[eks("b", "m7g.large", "arm64"), eks("a", "m7g.large", "arm64"), eks("c", "m5.large", "amd64")]);
    assert_eq!(nodes.groups.len(), 2);
    let graviton = &nodes.groups[0];
    assert_eq!(graviton.nodes, ["a", "b"]);
    assert_eq!(graviton.profile.unwrap().name, "graviton3");
    assert_eq!(graviton.target.node.aarch32, Fact::Known(true));
    assert_eq!(graviton.target.node.page_size, Fact::Known(4096));
    assert_eq!(graviton.target.node.isa, Fact::Known(Isa::Arm64(8, 4)));
    assert_eq!(graviton.target.engine, Some(NodeEngine::ContainerdCri { major: 2, minor: 1 }));
    assert_eq!(graviton.target.node.kernel, Fact::Known((6, 12)));
    assert_eq!(nodes.group_of("c").unwrap().target.node.isa, Fact::Known(Isa::X86(4)), "Skylake-SP at least");
}

#[test]
fn a_gke_arm_node_is_its_machine_series() {
    let labels = json!({
        "kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux", "node.kubernetes.io/instance-type": "t2a-standard-4",
        "cloud.google.com/gke-nodepool": "arm", "cloud.google.com/machine-family": "t2a"
    });
    let info = ["arm64", "6.6.87+", "Container-Optimized OS from Google", "containerd://1.7.27"];
    let capacity = json!({"hugepages-1Gi": "0", "hugepages-2Mi": "0", "hugepages-32Mi": "0", "hugepages-64Ki": "0"});
    let group = only(node("gke-arm-1", labels, info, capacity));
    assert_eq!(group.profile.unwrap().name, "gcp-t2a");
    assert_eq!(group.target.node.page_size, Fact::Known(4096));
    assert_eq!(group.target.engine, Some(NodeEngine::ContainerdCri { major: 1, minor: 7 }));
}

#[test]
fn an_aks_cobalt_node_is_its_vm_size() {
    let labels = json!({
        "kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux", "beta.kubernetes.io/instance-type": "Standard_D4ps_v6",
        "kubernetes.azure.com/agentpool": "arm"
    });
    let info = ["arm64", "5.15.0-1092-azure", "Ubuntu 22.04.5 LTS", "containerd://1.7.27-1"];
    let group = only(node("aks-arm-vmss000000", labels, info, json!({"hugepages-1Gi": "0", "hugepages-2Mi": "0"})));
    assert_eq!(group.profile.unwrap().name, "azure-cobalt100");
    assert_eq!(group.target.node.page_size, Fact::Known(4096), "Ubuntu's azure kernel");
}

#[test]
fn the_kernel_of_a_k3s_raspberry_pi_shows_its_page_size() {
    let labels = json!({
        "kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux", "node.kubernetes.io/instance-type": "k3s"
    });
    let info = ["arm64", "6.12.25+rpt-rpi-2712", "Debian GNU/Linux 12 (bookworm)", "containerd://2.0.5-k3s1"];
    let group = only(node("pi5", labels, info, json!({"cpu": "4"})));
    assert_eq!((group.profile.map(|row| row.name), group.target.name.as_str()), (None, "k3s"));
    assert_eq!(group.target.node.page_size, Fact::Known(16 << 10));
    assert_eq!(group.target.node.aarch32, Fact::Unknown);
}

#[test]
fn an_openshift_64k_node_runs_crio() {
    let labels = json!({"kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux", "node.openshift.io/os_id": "rhel"});
    let info = [
        "arm64",
        "5.14.0-570.42.2.el9_6.aarch64+64k",
        "Red Hat Enterprise Linux CoreOS 9.6.20250826-1 (Plow)",
        "cri-o://1.32.7-3.rhaos4.19",
    ];
    let group = only(node(
        "worker-0",
        labels,
        info,
        json!({"hugepages-16Gi": "0", "hugepages-2Mi": "0", "hugepages-512Mi": "0"}),
    ));
    assert_eq!(group.target.node.page_size, Fact::Known(64 << 10));
    assert_eq!(group.target.engine, Some(NodeEngine::CriO));
}

#[test]
fn nfd_labels_of_a_talos_node_show_its_level() {
    let mut labels = json!({
        "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
        "feature.node.kubernetes.io/cpu-cpuid.X86_64_V1": "true", "feature.node.kubernetes.io/cpu-cpuid.X86_64_V2": "true",
        "feature.node.kubernetes.io/cpu-cpuid.AVX2": "true"
    });
    let info = ["amd64", "6.12.43-talos", "Talos (v1.11.0)", "containerd://2.1.4"];
    let group = only(node("talos-1", labels.clone(), info, json!({})));
    assert_eq!((group.target.node.isa, group.level_source.as_str()), (Fact::Known(Isa::X86(2)), "NFD labels"));
    let features = &group.target.node.features;
    let level = group.target.node.isa;
    assert_eq!(features.has(CpuFeature::Avx2, level), Fact::Known(true), "a label shows what v2 does not have");
    assert_eq!(features.has(CpuFeature::Fma, level), Fact::Known(false));
    labels["feature.node.kubernetes.io/cpu-cpuid.X86_64_V1"] = json!("false");
    labels["feature.node.kubernetes.io/cpu-cpuid.X86_64_V2"] = json!("false");
    assert_eq!(only(node("t", labels.clone(), info, json!({}))).target.node.isa, Fact::Unknown, "AVX2 alone is not v3");
    labels["feature.node.kubernetes.io/cpu-cpuid.FMA3"] = json!("true");
    assert_eq!(only(node("t", labels, info, json!({}))).target.node.isa, Fact::Known(Isa::X86(3)));
}

#[test]
fn windows_nodes_and_unknown_architectures_are_named_and_left_out() {
    let mut windows =
        node("win", json!({}), ["amd64", "10.0.20348", "Windows Server 2022", "containerd://1.7.20"], json!({}));
    windows["status"]["nodeInfo"]["operatingSystem"] = json!("windows");
    let odd = node("odd", json!({}), ["z80", "6.1", "", ""], json!({}));
    let nodes = grouped(&[windows, odd]);
    assert!(nodes.groups.is_empty());
    assert_eq!(
        nodes.skipped,
        [
            ("win".to_string(), "runs windows".to_string()),
            ("odd".to_string(), "unknown architecture \"z80\"".to_string())
        ]
    );
}

#[test]
fn an_instance_type_of_another_architecture_is_ignored() {
    assert!(only(eks("a", "m7g.large", "amd64")).profile.is_none());
}
