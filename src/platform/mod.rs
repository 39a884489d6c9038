//! Tier 0: platforms, CPUs and nodes. Tables and pure functions; nothing here reads the machine.

pub mod arch;
pub mod binfmt;
pub mod capability;
pub mod compat;
pub mod cpu;
mod engine;
mod fact;
pub mod feature;
pub mod kernel;
pub mod matching;
pub mod node;
pub mod profile;
pub mod target;
pub mod word;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use arch::{Arch, Class, Endian};
pub use capability::{Capabilities, CapabilityChange, FileCapabilities};
pub use engine::NodeEngine;
pub use fact::{Fact, Isa};
pub use feature::{CpuFeature, CpuFeatures};
pub use node::{Handler, HandlerRule, Node, Target};
pub use profile::{PROFILES, Profile};
pub use target::{TargetError, TargetText};

/// An OCI platform: promised by an index descriptor, declared by a config, or requested by a user.
/// An unknown `architecture` keeps its spelling in lower case, so that it can be shown.
/// Source: OCI image-spec, image-index.md, "platform"; containerd/platforms `normalizeArch`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
    pub os_version: Option<String>,
}

/// Error: the text is not a valid platform.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlatformError {
    #[error("invalid platform {0:?}; expected os/architecture[/variant], such as linux/arm64 or linux/arm/v7")]
    Shape(String),
    #[error("unknown architecture {1:?} in platform {0:?}; expected one of {known}", known = known_architectures())]
    Architecture(String, String),
    #[error("unknown operating system {1:?} in platform {0:?}; expected linux, windows, darwin or freebsd")]
    Os(String, String),
}

fn known_architectures() -> String {
    arch::ARCHES.iter().map(|row| row.oci).collect::<Vec<_>>().join(", ")
}

impl Platform {
    /// A platform from its parts, with the names normalised as containerd/platforms does:
    /// `x86_64` is amd64, `aarch64` is arm64, `arm64/v8` is arm64, `amd64/v1` is amd64, `arm` is arm/v7.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Platform {
        let spelled = architecture.to_ascii_lowercase();
        let implied = match spelled.as_str() {
            "armhf" => Some("v7"),
            "armel" => Some("v5"),
            "armv5tel" | "arm32v5" | "armv5" => Some("v5"),
            "armv6l" | "armv6hl" | "arm32v6" | "armv6" => Some("v6"),
            "armv7l" | "armv7hl" | "arm32v7" | "armv7" => Some("v7"),
            _ => None,
        };
        let arch = Arch::parse(&spelled);
        let architecture = arch.map_or(spelled, |arch| arch.oci().to_string());
        let variant = variant.filter(|variant| !variant.is_empty()).or(implied).map(str::to_ascii_lowercase);
        let variant = match (arch, variant.as_deref()) {
            (Some(Arch::Arm64), Some("8" | "v8" | "8.0" | "v8.0")) => None,
            (Some(Arch::Arm64), Some("9" | "v9" | "9.0" | "v9.0")) => Some("v9".to_string()),
            (Some(Arch::Amd64), Some("v1")) => None,
            (Some(Arch::Arm), None) => Some("v7".to_string()),
            (Some(Arch::Arm), Some(digit @ ("5" | "6" | "7" | "8"))) => Some(format!("v{digit}")),
            _ => variant,
        };
        Platform { os: normal_os(os), architecture, variant, os_version: None }
    }

    /// Linux on `arch`, without a variant.
    pub fn linux(arch: Arch) -> Platform {
        Platform::new("linux", arch.oci(), None)
    }

    /// Parses user input: `linux/arm64`, `arm64`, `linux/arm/v7`, `linux/x86_64`.
    pub fn parse(text: &str) -> Result<Platform, PlatformError> {
        let parts: Vec<&str> = text.trim().split('/').collect();
        let (os, architecture, variant) = match parts.as_slice() {
            [architecture] => ("linux", *architecture, None),
            // `arm/v7`: the first word is an architecture, so the second is its variant.
            [first, second] if Arch::parse(first).is_some() => ("linux", *first, Some(*second)),
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some(*variant)),
            _ => return Err(PlatformError::Shape(text.to_string())),
        };
        if architecture.is_empty() || os.is_empty() {
            return Err(PlatformError::Shape(text.to_string()));
        }
        if Arch::parse(architecture).is_none() {
            return Err(PlatformError::Architecture(text.to_string(), architecture.to_string()));
        }
        let platform = Platform::new(os, architecture, variant);
        match platform.os.as_str() {
            "linux" | "windows" | "darwin" | "freebsd" => Ok(platform),
            _ => Err(PlatformError::Os(text.to_string(), os.to_string())),
        }
    }

    /// The architecture, if it is one of [`arch::ARCHES`].
    pub fn arch(&self) -> Option<Arch> {
        Arch::parse(&self.architecture)
    }

    /// `unknown/unknown`, which BuildKit writes for attestation manifests.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }

    /// Whether this platform matches the user's `wanted`, in which a missing variant matches any.
    pub fn is_wanted_as(&self, wanted: &Platform) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (self.variant == wanted.variant || wanted.variant.is_none())
    }
}

fn normal_os(os: &str) -> String {
    match os.to_ascii_lowercase().as_str() {
        "macos" => "darwin".to_string(),
        other => other.to_string(),
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Platform::parse(text).unwrap().to_string(), expected, "{text}");
    }

    #[test]
    fn spellings_normalise_as_containerd_does() {
        check("linux/amd64", "linux/amd64");
        check("linux/x86_64", "linux/amd64");
        check("linux/amd64/v1", "linux/amd64");
        check("linux/amd64/v3", "linux/amd64/v3");
        check("linux/arm64/v8", "linux/arm64");
        check("aarch64", "linux/arm64");
        check("arm/v6", "linux/arm/v6");
        check("linux/arm", "linux/arm/v7");
        check("linux/arm/7", "linux/arm/v7");
        check("linux/i386", "linux/386");
        check("LINUX/ARM64", "linux/arm64");
        check("windows/amd64", "windows/amd64");
    }

    #[test]
    fn an_invalid_platform_is_refused_with_its_text() {
        assert_eq!(Platform::parse("a/b/c/d"), Err(PlatformError::Shape("a/b/c/d".into())));
        assert!(matches!(Platform::parse("linux/z80"), Err(PlatformError::Architecture(_, arch)) if arch == "z80"));
        assert!(matches!(Platform::parse("beos/amd64"), Err(PlatformError::Os(_, os)) if os == "beos"));
    }

    #[test]
    fn a_wanted_platform_without_variant_matches_every_variant() {
        let v3 = Platform::parse("linux/amd64/v3").unwrap();
        assert!(v3.is_wanted_as(&Platform::parse("linux/amd64").unwrap()));
        assert!(!Platform::parse("linux/amd64").unwrap().is_wanted_as(&v3));
    }
}
