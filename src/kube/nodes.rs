//! Groups a cluster's nodes into targets. Pure: turns node objects into groups.

use std::collections::{BTreeMap, HashMap};

use super::object::NodeObject;
use crate::platform::{Arch, CpuFeature, Fact, Isa, Node, NodeEngine, Platform, Profile, Target, cpu, kernel, profile};

/// Nodes that do not differ in any fact that decides whether a program starts.
#[derive(Clone, Debug)]
pub struct NodesAlike {
    pub target: Target,
    pub instance_type: Option<String>,
    pub profile: Option<&'static Profile>,
    /// `uname -r`.
    pub kernel: String,
    /// `containerd://2.1.3`.
    pub runtime: String,
    pub os_image: String,
    /// Source of the CPU level: "NFD labels" or a profile's source. Empty if the level is unknown.
    pub level_source: String,
    /// Names, sorted.
    pub nodes: Vec<String>,
    /// See [`Nodes::title`].
    title: String,
}

/// A cluster's nodes.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    /// Sorted by size, the largest first.
    pub groups: Vec<NodesAlike>,
    /// Nodes that are not targets, each with the reason: Windows nodes, unknown architectures.
    pub skipped: Vec<(String, String)>,
    /// Indexes into `groups` by the nodes' names.
    index: HashMap<String, usize>,
}

impl Nodes {
    /// The group of a node by its name.
    pub fn group_of(&self, node: &str) -> Option<&NodesAlike> {
        self.groups.get(self.position(node)?)
    }

    /// The index of a node's group.
    pub fn position(&self, node: &str) -> Option<usize> {
        self.index.get(node).copied()
    }

    /// A group's unique name in its cluster: its target's name, with the shortest suffix that distinguishes it if
    /// another group has the same name.
    pub fn title(&self, group: &NodesAlike) -> String {
        group.title.clone()
    }
}

/// Sets the title of every group.
fn set_titles(groups: &mut [NodesAlike]) {
    let marks: [fn(&NodesAlike) -> String; 5] = [
        |_| String::new(),
        |one| one.kernel.clone(),
        |one| one.runtime.clone(),
        |one| format!("{}, {}", one.kernel, one.runtime),
        |one| format!("{}, {}, {}", one.kernel, one.runtime, one.os_image),
    ];
    let named = |group: &NodesAlike, mark: fn(&NodesAlike) -> String| (group.target.name.clone(), mark(group));
    let counts = marks.map(|mark| {
        let mut counts: HashMap<(String, String), usize> = HashMap::new();
        groups.iter().for_each(|group| *counts.entry(named(group, mark)).or_default() += 1);
        counts
    });
    for group in groups {
        let alone = marks.iter().zip(&counts).find(|(mark, counts)| counts.get(&named(group, **mark)) == Some(&1));
        let mark = alone.map(|(mark, _)| mark(group));
        group.title = match mark.unwrap_or_else(|| group.nodes.first().cloned().unwrap_or_default()) {
            mark if mark.is_empty() => group.target.name.clone(),
            mark => format!("{} ({mark})", group.target.name),
        };
    }
}

/// What makes two nodes different groups.
type NodeKey = (String, Option<String>, String, String, String, String);

/// Groups nodes. Facts that the API does not provide are unknown.
pub fn group(objects: &[NodeObject]) -> Nodes {
    let mut groups: BTreeMap<NodeKey, NodesAlike> = BTreeMap::new();
    let mut skipped = Vec::new();
    for object in objects {
        match one(object) {
            Ok(found) => {
                // All facts about the node, without its name.
                let facts = format!("{:?} {:?}", found.target.node, found.target.platform);
                let runtime = found.runtime.clone();
                let key = (
                    found.target.platform.to_string(),
                    found.instance_type.clone(),
                    found.kernel.clone(),
                    runtime,
                    found.os_image.clone(),
                    facts,
                );
                let group = groups.entry(key).or_insert_with(|| NodesAlike { nodes: Vec::new(), ..found });
                group.nodes.push(object.metadata.name.clone());
            }
            Err(reason) => skipped.push((object.metadata.name.clone(), reason)),
        }
    }
    let mut groups: Vec<NodesAlike> = groups.into_values().collect();
    for group in &mut groups {
        group.nodes.sort();
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.nodes.len()));
    set_titles(&mut groups);
    let names =
        groups.iter().enumerate().flat_map(|(at, group)| group.nodes.iter().map(move |name| (name.clone(), at)));
    let index = names.collect();
    Nodes { groups, skipped, index }
}

fn one(object: &NodeObject) -> Result<NodesAlike, String> {
    let info = &object.status.node_info;
    let labels = &object.metadata.labels;
    let label = |keys: [&str; 2]| keys.iter().find_map(|key| labels.get(*key)).filter(|value| !value.is_empty());
    let stated = |field: &str, keys| match field {
        "" => label(keys).cloned().unwrap_or_default(),
        field => field.to_string(),
    };
    let os = stated(&info.operating_system, ["kubernetes.io/os", "beta.kubernetes.io/os"]);
    if os != "linux" {
        return Err(format!("runs {}", if os.is_empty() { "an unknown operating system" } else { &os }));
    }
    let spelled = stated(&info.architecture, ["kubernetes.io/arch", "beta.kubernetes.io/arch"]);
    let arch = Arch::parse(&spelled).ok_or_else(|| format!("unknown architecture {spelled:?}"))?;
    let instance_type = label(["node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"]).cloned();
    let profile = instance_type.as_deref().and_then(profile::by_instance_type).filter(|row| row.arch == arch);

    let mut node = profile.map_or_else(|| Node::plain(arch), Profile::node);
    node.kernel = kernel::version(&info.kernel_version);
    node.page_size = page_size(arch, object);
    let mut level_source =
        profile.filter(|row| row.isa.fact() != Fact::Unknown).map_or("", |row| row.source).to_string();
    if let Some(isa) = nfd_level(arch, labels) {
        node.isa = Fact::Known(isa);
        level_source = "NFD labels".to_string();
    }
    node.features.present.extend(nfd_features(arch, labels));
    let engine = NodeEngine::of_runtime(&info.container_runtime_version);
    let name = match &instance_type {
        Some(instance_type) => instance_type.clone(),
        None => format!("linux/{arch}"),
    };
    Ok(NodesAlike {
        target: Target { name, platform: Platform::linux(arch), node, engine },
        instance_type,
        profile,
        kernel: info.kernel_version.clone(),
        runtime: info.container_runtime_version.clone(),
        os_image: info.os_image.clone(),
        level_source,
        nodes: Vec::new(),
        title: String::new(),
    })
}

/// The huge page sizes determine the base page size of an AArch64 kernel. Without them, its release is used.
fn page_size(arch: Arch, object: &NodeObject) -> Fact<u64> {
    let sizes = object.status.capacity.keys().filter_map(|key| key.strip_prefix("hugepages-"));
    match (arch, kernel::page_size_of_hugepages(sizes)) {
        (Arch::Arm64, Fact::Known(size)) => Fact::Known(size),
        _ => kernel::page_size(arch, &object.status.node_info.kernel_version),
    }
}

const NFD_CPUID: &str = "feature.node.kubernetes.io/cpu-cpuid.";

/// The CPU level from the labels of Node Feature Discovery. `X86_64_V1` to `V4` exist since NFD 0.19. Older releases
/// only show single features, and their default deny list hides those of v2. Source: NFD docs, features and worker
/// configuration reference.
fn nfd_level(arch: Arch, labels: &BTreeMap<String, String>) -> Option<Isa> {
    let flags: Vec<&str> = labels
        .iter()
        .filter(|(_, value)| *value == "true")
        .filter_map(|(key, _)| key.strip_prefix(NFD_CPUID))
        .collect();
    let has = |names: &[&str]| names.iter().all(|name| flags.contains(name));
    match arch {
        Arch::Amd64 => {
            let levels = ["X86_64_V1", "X86_64_V2", "X86_64_V3", "X86_64_V4"];
            let stated = levels.iter().rposition(|level| flags.contains(level)).map(|at| at as u8 + 1);
            let is_v4 = has(&["AVX512F", "AVX512BW", "AVX512CD", "AVX512DQ", "AVX512VL"]);
            let shown = if is_v4 { Some(4) } else { has(&["AVX2", "FMA3"]).then_some(3) };
            stated.or(shown).map(Isa::X86)
        }
        Arch::Arm64 if flags.len() > 1 => {
            let (major, minor) = cpu::arm64_version(&flags.join(" ").to_ascii_lowercase());
            Some(Isa::Arm64(major, minor))
        }
        _ => None,
    }
}

/// The features that Node Feature Discovery shows. NFD's deny list may hide a feature, so one without a label is
/// unknown.
/// Source: github.com/klauspost/cpuid, `flagNames`, whose spellings differ from the kernel's for the first three.
fn nfd_features(arch: Arch, labels: &BTreeMap<String, String>) -> impl Iterator<Item = CpuFeature> {
    let shown = labels.iter().filter(|(_, value)| *value == "true");
    shown.filter_map(|(key, _)| key.strip_prefix(NFD_CPUID)).filter_map(move |name| match (arch, name) {
        (Arch::Amd64, "FMA3") => Some(CpuFeature::Fma),
        (Arch::Amd64, "CLMUL") => Some(CpuFeature::Pclmulqdq),
        (Arch::Amd64, "SSE4") => Some(CpuFeature::Sse41),
        _ => CpuFeature::parse(arch, name),
    })
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
