//! CPU profiles: machines by their common names and by cloud providers' names, with the known facts about each.
//! A fact without proof is kept as unverified and reaches a node as unknown; nothing here may guess.

mod rows;

pub use rows::PROFILES;

use super::binfmt;
use super::{Arch, CpuFeature, CpuFeatures, Fact, Isa, Node, Platform, Target};

/// A fact of a profile and how reliable it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileClaim<T> {
    /// Proven by the row's source.
    Verified(T),
    /// Claimed without proof: printed with a mark, and unknown to every verdict.
    Unverified(T),
    /// Depends on other properties of the machine (the kernel's page size), or is undocumented.
    Open,
}

impl<T: Copy> ProfileClaim<T> {
    /// The fact that verdicts use.
    pub fn fact(self) -> Fact<T> {
        match self {
            ProfileClaim::Verified(value) => Fact::Known(value),
            ProfileClaim::Unverified(_) | ProfileClaim::Open => Fact::Unknown,
        }
    }
}

/// The emulation of foreign programs that a machine ships with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulation {
    None,
    /// Apple's translator, registered for x86-64 programs.
    Rosetta,
    /// QEMU's user mode for every other architecture that its image includes.
    Qemu,
    /// Rosetta for x86-64 and QEMU for the others.
    RosettaAndQemu,
}

/// A machine by name.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// The name that users type: `graviton4`, `rpi-5`, `x86-64-v3`. Lower case.
    pub name: &'static str,
    /// Other spellings of the same row.
    pub aliases: &'static [&'static str],
    /// The name in reports: "AWS Graviton4 (Neoverse-V2)".
    pub label: &'static str,
    pub arch: Arch,
    /// The level that every machine of the row has: the lowest one if a family spans several CPUs.
    pub isa: ProfileClaim<Isa>,
    /// Features that every machine of the row has beyond its level.
    pub has: &'static [CpuFeature],
    /// Features that a machine of the row lacks or may lack, although its level or a similar machine has them.
    pub lacks: &'static [CpuFeature],
    /// Whether an AArch64 machine runs 32-bit Arm programs: CPU and usual kernel together.
    pub aarch32: ProfileClaim<bool>,
    /// Bytes.
    pub page_size: ProfileClaim<u64>,
    pub emulation: Emulation,
    /// Instance families, in the form that [`family`] returns.
    pub families: &'static [&'static str],
    /// The sources of the facts.
    pub source: &'static str,
}

/// The row with this name or alias, or the one whose QEMU model has this version or mitigation: `SandyBridge-IBRS`,
/// `Haswell-v4`. Ignores case, spaces, `-` and `_`.
pub fn by_name(name: &str) -> Option<&'static Profile> {
    let plain = |name: &str| name.to_ascii_lowercase().replace([' ', '-', '_'], "");
    let find = |name: &str| {
        let wanted = plain(name);
        PROFILES.iter().find(|row| std::iter::once(&row.name).chain(row.aliases).any(|name| plain(name) == wanted))
    };
    // `x86-64-v9` is not a variant of a model named x86-64.
    let is_model = |row: &&Profile| row.arch == Arch::Amd64 && !row.name.starts_with("x86-64");
    find(name).or_else(|| find(qemu_model(name)).filter(is_model))
}

/// A name without the endings of QEMU's variants of a model.
fn qemu_model(name: &str) -> &str {
    let is_variant = |end: &str| {
        let is_version = |version: &str| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        matches!(end, "ibrs" | "ibpb" | "notsx") || end.strip_prefix('v').is_some_and(is_version)
    };
    let mut model = name;
    while let Some((start, end)) = model.rsplit_once('-')
        && is_variant(&end.to_ascii_lowercase())
    {
        model = start;
    }
    model
}

/// The row for a cloud instance type, as in a node's label `node.kubernetes.io/instance-type`: `m7g.large`,
/// `t2a-standard-4`, `Standard_D4ps_v5`.
pub fn by_instance_type(instance_type: &str) -> Option<&'static Profile> {
    let family = family(instance_type)?;
    PROFILES.iter().find(|row| row.families.contains(&family.as_str()))
}

/// The part of an instance type that decides its CPU: `m7g` of AWS's `m7g.large`, `t2a-` of Google's `t2a-standard-4`
/// (both have a `c3`), `Dps_v5` of Azure's `Standard_D4ps_v5` and `Standard_D32-16ps_v5`, `VM.A1` of Oracle's
/// `VM.Standard.A1.Flex`.
pub fn family(instance_type: &str) -> Option<String> {
    if let Some(size) = instance_type.strip_prefix("Standard_").or_else(|| instance_type.strip_prefix("Basic_")) {
        let (series, version) = size.split_once('_').map_or((size, ""), |(series, version)| (series, version));
        let letters: String = series.chars().filter(char::is_ascii_alphabetic).collect();
        return Some(if version.is_empty() { letters } else { format!("{letters}_{version}") });
    }
    if let Some(shape) = instance_type.strip_prefix("VM.").or_else(|| instance_type.strip_prefix("BM.")) {
        return shape.split('.').nth(1).map(|name| format!("VM.{name}"));
    }
    let family = match instance_type.split_once('.') {
        Some((family, _)) => family.to_ascii_lowercase(),
        None => format!("{}-", instance_type.split_once('-')?.0.to_ascii_lowercase()),
    };
    (family.len() > 1).then_some(family)
}

impl Profile {
    /// The node that this row describes; unverified facts are unknown.
    pub fn node(&self) -> Node {
        let plain = Node::plain(self.arch);
        let or = |claim: Fact<u64>, other: Fact<u64>| if claim == Fact::Unknown { other } else { claim };
        let handlers = match self.emulation {
            Emulation::None => Vec::new(),
            Emulation::Rosetta => vec![binfmt::rosetta()],
            Emulation::Qemu => binfmt::tonistiigi(self.arch),
            // Rosetta is registered last, so the kernel tries it first.
            Emulation::RosettaAndQemu => {
                std::iter::once(binfmt::rosetta()).chain(binfmt::tonistiigi(self.arch)).collect()
            }
        };
        Node {
            page_size: or(self.page_size.fact(), plain.page_size),
            aarch32: if self.arch == Arch::Arm64 { self.aarch32.fact() } else { plain.aarch32 },
            isa: self.isa.fact(),
            features: CpuFeatures::from_lists(self.has, self.lacks),
            handlers,
            ..plain
        }
    }

    /// The platform that an engine on this machine requests from a registry.
    pub fn platform(&self) -> Platform {
        match self.isa {
            ProfileClaim::Verified(Isa::Arm(version)) | ProfileClaim::Unverified(Isa::Arm(version)) => {
                Platform::new("linux", "arm", Some(&format!("v{version}")))
            }
            _ => Platform::linux(self.arch),
        }
    }

    pub fn target(&self) -> Target {
        Target { name: self.name.to_string(), platform: self.platform(), node: self.node(), engine: None }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_name_and_alias_finds_its_own_row() {
        let mut seen = BTreeMap::new();
        for row in PROFILES {
            for name in std::iter::once(&row.name).chain(row.aliases) {
                assert_eq!(seen.insert(*name, row.name), None, "{name} is listed twice");
                assert_eq!(*name, name.to_ascii_lowercase(), "names are lower case");
                assert_eq!(by_name(&name.to_uppercase()).unwrap().name, row.name);
            }
        }
    }

    #[test]
    fn a_cpu_is_found_by_its_usual_spellings_and_by_the_variants_of_its_model() {
        let name = |text: &str| by_name(text).map(|row| row.name);
        for spelling in ["SandyBridge", "Sandy Bridge", "sandy-bridge", "SandyBridge-IBRS", "SandyBridge-v2"] {
            assert_eq!(name(spelling), Some("sandybridge"), "{spelling}");
        }
        assert_eq!(name("Skylake-Client-noTSX-IBRS"), Some("skylake-client"));
        assert_eq!(name("Cascadelake-Server"), Some("skylake-server"));
        assert_eq!(name("EPYC-Milan-v2"), Some("naples"));
        assert_eq!(name("Raspberry Pi 4"), Some("rpi-4"));
        assert_eq!(name("x86-64-v2-AES"), Some("x86-64-v2-aes"));
        assert_eq!(name("x86-64-v9"), None);
        assert_eq!(name("graviton4-v2"), None);
    }

    #[test]
    fn every_instance_family_belongs_to_one_row() {
        let mut seen = BTreeMap::new();
        for row in PROFILES {
            for family in row.families {
                assert_eq!(seen.insert(*family, row.name), None, "{family} is listed twice");
            }
        }
    }

    #[test]
    fn every_row_names_its_source_and_fits_its_architecture() {
        for row in PROFILES {
            assert!(row.source.len() > 3 && !row.label.is_empty(), "{}", row.name);
            assert!(Platform::parse(&row.platform().to_string()).is_ok(), "{}", row.name);
            let fits = match row.isa.fact() {
                Fact::Known(Isa::X86(_)) => row.arch == Arch::Amd64,
                Fact::Known(Isa::Arm(_)) => row.arch == Arch::Arm,
                Fact::Known(Isa::Arm64(..)) => row.arch == Arch::Arm64,
                Fact::Known(Isa::Power(_)) => row.arch == Arch::Ppc64le,
                Fact::Known(Isa::Z(_)) => row.arch == Arch::S390x,
                Fact::Known(Isa::Rva(_)) => row.arch == Arch::Riscv64,
                Fact::Unknown => true,
            };
            assert!(fits, "{}", row.name);
            assert!(row.arch == Arch::Arm64 || row.aarch32 == ProfileClaim::Open, "{}", row.name);
        }
    }

    fn check(instance_type: &str, expected: Option<&str>) {
        assert_eq!(by_instance_type(instance_type).map(|row| row.name), expected, "{instance_type}");
    }

    #[test]
    fn instance_types_find_their_machines() {
        check("a1.xlarge", Some("graviton1"));
        check("t4g.medium", Some("graviton2"));
        check("m7g.large", Some("graviton3"));
        check("c8g.metal-24xl", Some("graviton4"));
        check("m9g.large", Some("graviton5"));
        check("m5.large", Some("aws-m5"));
        check("m7i-flex.large", Some("aws-m7i"));
        check("r8a.4xlarge", Some("aws-m8a"));
        check("g5.2xlarge", Some("aws-c5a"));
        check("m1.small", Some("aws-m1"));
        check("c3.large", Some("aws-m3"));
        check("c3-standard-4", Some("gcp-c3"));
        check("n4-standard-2", Some("gcp-c4"));
        check("t3a.small", Some("aws-m5a"));
        check("t2a-standard-4", Some("gcp-t2a"));
        check("e2-medium", Some("gcp-e2"));
        check("Standard_D4ps_v5", Some("azure-dpsv5"));
        check("Standard_D4pls_v6", Some("azure-cobalt100"));
        check("Standard_D32-16s_v5", Some("azure-dsv5"));
        check("Standard_DS2_v2", Some("azure-dsv3"));
        check("Standard_B2als_v2", Some("azure-dasv5"));
        check("Standard_B4ms", Some("azure-dsv3"));
        check("Standard_D16ads_v7", Some("azure-dasv7"));
        check("VM.Standard.A1.Flex", Some("oci-a1"));
        check("kwok", None);
        check("x99z.large", None);
        check("", None);
    }

    #[test]
    fn unverified_facts_are_unknown_to_a_node() {
        let row = by_name("gcp-h4d").unwrap();
        assert_eq!(row.isa, ProfileClaim::Unverified(Isa::X86(4)));
        assert_eq!(row.node().isa, Fact::Unknown);
        assert_eq!(by_name("graviton4").unwrap().node().aarch32, Fact::Known(false));
        assert_eq!(by_name("graviton3").unwrap().node().aarch32, Fact::Known(true));
        assert_eq!(by_name("graviton3").unwrap().node().page_size, Fact::Unknown);
        assert_eq!(by_name("rpi-5").unwrap().node().page_size, Fact::Known(16 << 10));
        assert_eq!(by_name("rpi-zero").unwrap().platform().to_string(), "linux/arm/v6");
    }

    #[test]
    fn rosetta_is_asked_before_qemu() {
        let node = by_name("docker-desktop-mac").unwrap().node();
        assert_eq!(node.handlers[0].name, "rosetta");
        assert!(node.handlers.iter().any(|handler| handler.name == "qemu-arm"));
        assert!(by_name("apple-m").unwrap().node().handlers.is_empty());
    }
}
