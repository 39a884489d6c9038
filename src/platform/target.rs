//! Parses targets: a platform or a profile, with properties. Pure: a target that needs the machine, a file or a cluster
//! is only named here (`TargetText::Host` and others), for a higher tier to read.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::profile;
use super::{Arch, Capabilities, CpuFeature, CpuFeatures, Fact, Isa, NodeEngine, Platform, PlatformError, Target};

/// The parsed value of `--target`.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetText {
    /// The text describes the target completely.
    Given(Vec<Target>),
    /// `host`: this machine.
    Host,
    /// `k8s[:CONTEXT]`: the nodes of a cluster; without a name, of the current context.
    Cluster(Option<String>),
    /// A saved `kubectl get nodes -o json`; `-` is stdin.
    File(PathBuf),
}

/// Error: the text is not a valid target.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TargetError {
    #[error("target {0:?} is empty")]
    Empty(String),
    #[error(
        "unknown target {text:?}; expected a platform, a profile, host, k8s[:CONTEXT] or a file of nodes{}",
        suggestion(.similar)
    )]
    Unknown { text: String, similar: Vec<&'static str> },
    #[error("target {text:?}: {cause}")]
    Platform { text: String, cause: PlatformError },
    #[error("target {0:?} is not a Linux platform; only Linux nodes are supported")]
    NotLinux(String),
    #[error("target {text:?}: unknown property {property:?}; expected one of {known}", known = PROPERTIES.join(", "))]
    Property { text: String, property: String },
    #[error("target {text:?}: invalid {property}={value}; expected {allowed}")]
    Value { text: String, property: &'static str, value: String, allowed: String },
    #[error("target {text:?}: {property} does not apply to {arch}, only to {only}")]
    Inapplicable { text: String, property: &'static str, arch: Arch, only: &'static str },
    #[error("target {text:?} cannot have properties: they come from {what}")]
    Fixed { text: String, what: &'static str },
    #[error("target {0:?} names a machine, a cluster or a file of nodes, not a kind of node")]
    Elsewhere(String),
}

impl Target {
    /// Parses a text that describes nodes completely: `linux/arm64`, `linux/arm64,page=64k`, `graviton4`.
    pub fn parse(text: &str) -> Result<Vec<Target>, TargetError> {
        match parse(text)? {
            TargetText::Given(targets) => Ok(targets),
            TargetText::Host | TargetText::Cluster(_) | TargetText::File(_) => {
                Err(TargetError::Elsewhere(text.to_string()))
            }
        }
    }
}

fn suggestion(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("; similar: {}", names.join(", ")) }
}

const PROPERTIES: &[&str] =
    &["page", "aarch32", "ia32", "x32", "cpu", "level", "features", "emulates", "kernel", "engine", "caps"];

/// Parses `linux/arm64`, `linux/arm64,aarch32=no,page=64k`, `graviton4,page=64k`, `x86-64-v3`, `host`, `k8s:prod`,
/// `nodes.json`.
pub fn parse(text: &str) -> Result<TargetText, TargetError> {
    let trimmed = text.trim();
    let (head, properties) = trimmed.split_once(',').map_or((trimmed, None), |(head, rest)| (head, Some(rest)));
    let fixed = |what, meaning| match properties {
        None => Ok(meaning),
        Some(_) => Err(TargetError::Fixed { text: text.to_string(), what }),
    };
    if head.is_empty() {
        return Err(TargetError::Empty(text.to_string()));
    }
    match head.split_once(':') {
        Some(("k8s", context)) if !context.is_empty() => {
            return fixed("a cluster", TargetText::Cluster(Some(context.to_string())));
        }
        Some(("file", path)) => return fixed("a file of nodes", TargetText::File(path.into())),
        _ if head == "k8s" => return fixed("a cluster", TargetText::Cluster(None)),
        _ if head == "host" => return fixed("the machine", TargetText::Host),
        _ if is_file(head) => return fixed("a file of nodes", TargetText::File(head.into())),
        _ => {}
    }
    let mut target = base(text, head)?;
    for property in properties.into_iter().flat_map(|rest| rest.split(',')) {
        match property.trim() {
            // `features=+avx,-avx2`: the list continues after the comma.
            more if more.starts_with(['+', '-']) => apply(text, &mut target, &format!("features={more}"))?,
            property => apply(text, &mut target, property)?,
        }
    }
    target.name = trimmed.to_string();
    Ok(TargetText::Given(vec![target]))
}

/// Recognises paths by their form, not by files on disk: a target must mean the same on every machine.
fn is_file(head: &str) -> bool {
    let is_named = [".json", ".yaml", ".yml"].iter().any(|end| head.ends_with(end));
    is_named || head == "-" || head.starts_with('/') || head.starts_with("./") || head.starts_with("../")
}

fn base(text: &str, head: &str) -> Result<Target, TargetError> {
    if let Some(row) = profile::by_name(head).or_else(|| profile::by_instance_type(head)) {
        return Ok(row.target());
    }
    match Platform::parse(head) {
        Ok(platform) => Target::of_platform(&platform).ok_or_else(|| TargetError::NotLinux(text.to_string())),
        Err(cause) if head.contains('/') => Err(TargetError::Platform { text: text.to_string(), cause }),
        Err(_) => Err(TargetError::Unknown { text: text.to_string(), similar: similar_names(head) }),
    }
}

/// Profiles that share the longest prefix with the input, at least three letters.
fn similar_names(head: &str) -> Vec<&'static str> {
    let head = head.to_ascii_lowercase();
    let shared = |name: &str| name.bytes().zip(head.bytes()).take_while(|(a, b)| a == b).count();
    let names = || super::PROFILES.iter().map(|row| row.name);
    let longest = names().map(shared).max().unwrap_or(0);
    if longest < 3 { Vec::new() } else { names().filter(|name| shared(name) == longest).take(5).collect() }
}

/// Some profiles of an architecture.
fn examples(arch: Arch) -> String {
    let names = super::PROFILES.iter().filter(|row| row.arch == arch).map(|row| row.name);
    names.take(5).collect::<Vec<_>>().join(", ")
}

fn apply(text: &str, target: &mut Target, property: &str) -> Result<(), TargetError> {
    let (key, value) = property.split_once('=').unwrap_or((property, ""));
    let arch = target.node.arch;
    let only = |property, is_for: bool, only| match is_for {
        true => Ok(()),
        false => Err(TargetError::Inapplicable { text: text.to_string(), property, arch, only }),
    };
    let refuse = |property, allowed: &str| TargetError::Value {
        text: text.to_string(),
        property,
        value: value.to_string(),
        allowed: allowed.to_string(),
    };
    let yes_or_no = |property| match value {
        "yes" | "true" | "on" => Ok(Fact::Known(true)),
        "no" | "false" | "off" => Ok(Fact::Known(false)),
        _ => Err(refuse(property, "yes or no")),
    };
    match key {
        "page" => {
            let bytes = match value.to_ascii_lowercase().trim_end_matches('b').trim_end_matches("ki") {
                "4k" | "4" | "4096" => 4 << 10,
                "16k" | "16" | "16384" => 16 << 10,
                "64k" | "64" | "65536" => 64 << 10,
                _ => return Err(refuse("page", "4k, 16k or 64k")),
            };
            target.node.page_size = Fact::Known(bytes);
        }
        "aarch32" => {
            only("aarch32", arch == Arch::Arm64, "arm64")?;
            target.node.aarch32 = yes_or_no("aarch32")?;
        }
        "ia32" => {
            only("ia32", arch == Arch::Amd64, "amd64")?;
            target.node.ia32 = yes_or_no("ia32")?;
        }
        "x32" => {
            only("x32", arch == Arch::Amd64, "amd64")?;
            target.node.x32 = yes_or_no("x32")?;
        }
        "cpu" => {
            let row = profile::by_name(value).filter(|row| row.arch == arch);
            let row = row.ok_or_else(|| refuse("cpu", &format!("a profile of {arch}, such as {}", examples(arch))))?;
            let described = row.node();
            (target.node.isa, target.node.features) = (described.isa, described.features);
            target.node.aarch32 = described.aarch32;
        }
        "level" => {
            let levels = levels(arch);
            only("level", !levels.is_empty(), "amd64, arm64, arm, ppc64le, s390x, riscv64")?;
            let wanted = value.to_ascii_lowercase();
            let wanted = wanted.strip_prefix("x86-64-").unwrap_or(&wanted);
            let found = levels.iter().find(|(name, _)| name == wanted || name.strip_suffix("u64") == Some(wanted));
            let allowed = || levels.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            target.node.isa = Fact::Known(found.ok_or_else(|| refuse("level", &allowed()))?.1);
        }
        "features" => {
            let has_features = CpuFeature::ALL.iter().any(|feature| feature.arch() == arch);
            only("features", has_features, "amd64, arm64, arm, riscv64")?;
            let (is_absent, name) = match value.strip_prefix('-') {
                Some(name) => (true, name),
                None => (false, value.strip_prefix('+').unwrap_or(value)),
            };
            let names = || {
                let of_arch = CpuFeature::ALL.iter().filter(|feature| feature.arch() == arch);
                of_arch.map(|feature| feature.flag()).collect::<Vec<_>>().join(", ")
            };
            let feature = CpuFeature::parse(arch, name).ok_or_else(|| refuse("features", &names()))?;
            let CpuFeatures { present, absent } = &mut target.node.features;
            let (into, other) = if is_absent { (absent, present) } else { (present, absent) };
            other.remove(&feature);
            into.insert(feature);
        }
        "emulates" => {
            for name in value.split('+') {
                let known = || super::arch::ARCHES.iter().map(|row| row.oci).collect::<Vec<_>>().join(", ");
                let guest = Arch::parse(name).ok_or_else(|| refuse("emulates", &known()))?;
                if !target.node.emulates.contains(&guest) {
                    target.node.emulates.push(guest);
                }
            }
        }
        "kernel" => {
            let number = |text: &str| text.parse::<u32>().ok();
            let mut parts = value.split('.');
            let version = parts.next().and_then(number).zip(parts.next().and_then(number));
            target.node.kernel = Fact::Known(version.ok_or_else(|| refuse("kernel", "a version such as 6.1"))?);
        }
        "engine" => {
            let engine = NodeEngine::parse(value).ok_or_else(|| refuse("engine", NodeEngine::NAMES))?;
            target.engine = Some(engine);
        }
        "caps" => {
            target.node.bounding = match value {
                "default" => Capabilities::of_docker(),
                "all" => Capabilities::all(),
                "none" => Capabilities::default(),
                _ => return Err(refuse("caps", "default, all or none")),
            };
        }
        _ => return Err(TargetError::Property { text: text.to_string(), property: key.to_string() }),
    }
    Ok(())
}

/// A node in the syntax of `--target`, with every known fact: `linux/arm64,page=4k,aarch32=yes,level=v8.4`. Handlers
/// are written as the architectures that they run.
pub fn text(target: &Target) -> String {
    let node = &target.node;
    let plain = super::Node::plain(node.arch);
    let mut text = target.platform.to_string();
    let mut add = |property: &str, value: String| text.push_str(&format!(",{property}={value}"));
    let yes = |fact: bool| if fact { "yes" } else { "no" }.to_string();
    if let (Fact::Known(bytes), true) = (node.page_size, node.page_size != plain.page_size) {
        add("page", format!("{}k", bytes >> 10));
    }
    for (property, fact, usual) in
        [("aarch32", node.aarch32, plain.aarch32), ("ia32", node.ia32, plain.ia32), ("x32", node.x32, plain.x32)]
    {
        if let (Fact::Known(known), true) = (fact, fact != usual) {
            add(property, yes(known));
        }
    }
    if let Fact::Known(isa) = node.isa
        && let Some((name, _)) = levels(node.arch).into_iter().find(|(_, level)| *level == isa)
    {
        add("level", name);
    }
    let CpuFeatures { present, absent } = &node.features;
    let signed = present.iter().map(|feature| ('+', feature)).chain(absent.iter().map(|feature| ('-', feature)));
    for (sign, feature) in signed {
        add("features", format!("{sign}{}", feature.flag()));
    }
    let handled = super::arch::ARCHES.iter().map(|row| row.arch).filter(|guest| {
        *guest != node.arch && node.handlers.iter().any(|handler| super::binfmt::takes_arch(handler, *guest))
    });
    let mut guests: Vec<&str> = node.emulates.iter().copied().chain(handled).map(Arch::oci).collect();
    let mut seen = BTreeSet::new();
    guests.retain(|guest| seen.insert(*guest));
    if !guests.is_empty() {
        add("emulates", guests.join("+"));
    }
    if let Fact::Known((major, minor)) = node.kernel {
        add("kernel", format!("{major}.{minor}"));
    }
    for (name, set) in [("all", Capabilities::all()), ("none", Capabilities::default())] {
        if node.bounding == set {
            add("caps", name.to_string());
        }
    }
    if let Some(engine) = target.engine {
        add("engine", engine.to_string());
    }
    text
}

/// The names of an architecture's levels in `level=` and in OCI variants.
fn levels(arch: Arch) -> Vec<(String, Isa)> {
    let dotted = |major: u8, minor: u8| if minor == 0 { format!("v{major}") } else { format!("v{major}.{minor}") };
    match arch {
        Arch::Amd64 => (1..=4).map(|level| (format!("v{level}"), Isa::X86(level))).collect(),
        Arch::Arm => (5..=8).map(|version| (format!("v{version}"), Isa::Arm(version))).collect(),
        Arch::Arm64 => {
            let versions = (0..=9).map(|minor| (8, minor)).chain((0..=7).map(|minor| (9, minor)));
            let zeros = [("v8.0".to_string(), Isa::Arm64(8, 0)), ("v9.0".to_string(), Isa::Arm64(9, 0))];
            versions.map(|(major, minor)| (dotted(major, minor), Isa::Arm64(major, minor))).chain(zeros).collect()
        }
        Arch::Ppc64le => (8..=11).map(|number| (format!("power{number}"), Isa::Power(number))).collect(),
        Arch::S390x => (13..=17).map(|number| (format!("z{number}"), Isa::Z(number))).collect(),
        Arch::Riscv64 => [20, 22, 23].map(|profile| (format!("rva{profile}u64"), Isa::Rva(profile))).to_vec(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
