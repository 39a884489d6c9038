//! A node: everything about a machine that decides whether a program starts there.
//! Unknown facts stay unknown; nothing here may guess.

use super::{Arch, Capabilities, CpuFeatures, Fact, Isa, NodeEngine, Platform};

/// How a binfmt_misc handler recognises a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerRule {
    /// `((head[offset + i] ^ magic[i]) & mask[i]) == 0` for every i, over the file's first 256 bytes, zero padded.
    Magic { offset: usize, magic: Vec<u8>, mask: Vec<u8> },
    /// The text after the path's last dot equals this, including case.
    Extension(String),
}

/// One enabled binfmt_misc entry. Source: fs/binfmt_misc.c `entry_status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    pub name: String,
    pub rule: HandlerRule,
    /// Path of the program that the kernel starts instead.
    pub interpreter: String,
    /// F: opened at registration, so a container's root does not need it.
    pub fixed: bool,
    pub preserve_argv0: bool,
    pub open_binary: bool,
    pub credentials: bool,
    /// Whether the interpreter is static; a dynamic one needs its loader inside the container, even with F.
    pub is_static: Fact<bool>,
}

/// A machine that may run a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub arch: Arch,
    /// Page size in bytes.
    pub page_size: Fact<u64>,
    /// Whether an AArch64 node runs 32-bit Arm programs (CPU and kernel).
    pub aarch32: Fact<bool>,
    /// Whether an x86-64 kernel runs i386 programs.
    pub ia32: Fact<bool>,
    /// Whether an x86-64 kernel runs x32 programs.
    pub x32: Fact<bool>,
    pub isa: Fact<Isa>,
    /// Known CPU features beyond the level.
    pub features: CpuFeatures,
    /// Enabled binfmt_misc handlers, newest first, which is the order in which the kernel tries them.
    pub handlers: Vec<Handler>,
    /// Architectures that an emulator with unknown registration runs (`emulates=amd64`), as a user states.
    pub emulates: Vec<Arch>,
    /// Kernel version (major, minor).
    pub kernel: Fact<(u32, u32)>,
    /// The bounding set of containers on the node.
    pub bounding: Capabilities,
}

impl Node {
    /// A node of which only the architecture is known. Other facts have the value on which all of the architecture's
    /// common kernels agree, and are unknown otherwise.
    pub fn plain(arch: Arch) -> Node {
        Node {
            arch,
            page_size: match arch {
                Arch::Amd64 | Arch::I386 | Arch::Arm | Arch::S390x | Arch::Riscv64 => Fact::Known(4096),
                _ => Fact::Unknown,
            },
            aarch32: if arch == Arch::Arm64 { Fact::Unknown } else { Fact::Known(false) },
            ia32: if arch == Arch::Amd64 { Fact::Known(true) } else { Fact::Known(false) },
            x32: Fact::Known(false),
            isa: Fact::Unknown,
            features: CpuFeatures::default(),
            handlers: Vec::new(),
            emulates: Vec::new(),
            kernel: Fact::Unknown,
            bounding: Capabilities::of_docker(),
        }
    }
}

/// A node that an image must run on, with the user's name for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The user's text or the cluster's name: `linux/arm64,page=64k`, `graviton4`, `host`.
    pub name: String,
    /// The platform that an engine on this node requests from a registry.
    pub platform: Platform,
    pub node: Node,
    /// The engine that pulls images there, if known: each engine has its own rules for choosing from an index.
    pub engine: Option<NodeEngine>,
}

impl Target {
    /// The target for a declared platform. `None` if it is not Linux or its architecture is unknown.
    pub fn of_platform(platform: &Platform) -> Option<Target> {
        let arch = platform.arch().filter(|_| platform.os == "linux")?;
        let mut node = Node::plain(arch);
        node.isa = declared_isa(platform);
        Some(Target { name: platform.to_string(), platform: platform.clone(), node, engine: None })
    }
}

/// The level that a platform's variant promises: `amd64/v3`, `arm/v6`, `arm64/v8.2`, `riscv64/rva23u64`.
fn declared_isa(platform: &Platform) -> Fact<Isa> {
    let variant = platform.variant.as_deref();
    let number = |text: &str| text.parse::<u8>().ok();
    let isa = match platform.arch() {
        // Plain amd64 promises v1 by its definition, but every image declares it whatever it is built for, so it
        // reveals nothing about a node.
        Some(Arch::Amd64) => variant.and_then(|v| number(v.trim_start_matches('v'))).map(Isa::X86),
        Some(Arch::Arm) => variant.and_then(|v| number(v.trim_start_matches('v'))).map(Isa::Arm),
        Some(Arch::Arm64) => {
            let (major, minor) = variant
                .unwrap_or("v8")
                .trim_start_matches('v')
                .split_once('.')
                .unwrap_or_else(|| (variant.unwrap_or("8").trim_start_matches('v'), "0"));
            number(major).zip(number(minor)).map(|(major, minor)| Isa::Arm64(major, minor))
        }
        Some(Arch::Ppc64le) => variant.and_then(|v| number(v.trim_start_matches("power"))).map(Isa::Power),
        Some(Arch::Riscv64) => {
            variant.and_then(|v| number(v.trim_start_matches("rva").trim_end_matches("u64"))).map(Isa::Rva)
        }
        _ => None,
    };
    isa.map_or(Fact::Unknown, Fact::Known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isa_of(text: &str) -> Fact<Isa> {
        Target::of_platform(&Platform::parse(text).unwrap()).unwrap().node.isa
    }

    #[test]
    fn a_variant_promises_its_level() {
        assert_eq!(isa_of("linux/amd64"), Fact::Unknown);
        assert_eq!(isa_of("linux/amd64/v3"), Fact::Known(Isa::X86(3)));
        assert_eq!(isa_of("linux/arm/v6"), Fact::Known(Isa::Arm(6)));
        assert_eq!(isa_of("linux/arm64"), Fact::Known(Isa::Arm64(8, 0)));
        assert_eq!(isa_of("linux/arm64/v8.2"), Fact::Known(Isa::Arm64(8, 2)));
        assert_eq!(isa_of("linux/s390x"), Fact::Unknown);
    }
}
