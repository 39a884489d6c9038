//! Known and unknown facts about a machine, and the level of its CPU.

use std::fmt;

/// A property of a node that is known or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    Known(T),
    Unknown,
}

impl<T: Copy> Fact<T> {
    pub fn known(self) -> Option<T> {
        match self {
            Fact::Known(value) => Some(value),
            Fact::Unknown => None,
        }
    }
}

/// The instruction-set level of a node's CPU. Ordered within an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// x86-64-v1 to v4.
    X86(u8),
    /// 32-bit Arm architecture version: 5, 6, 7, 8.
    Arm(u8),
    /// AArch64 version, as in v8.2 = (8, 2).
    Arm64(u8, u8),
    /// POWER8 to POWER11.
    Power(u8),
    /// IBM Z generation by its number in names: z13, z14, z15, z16, z17.
    Z(u8),
    /// RISC-V profile: RVA20, RVA22, RVA23.
    Rva(u8),
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Isa::X86(level) => write!(f, "x86-64-v{level}"),
            Isa::Arm(version) => write!(f, "armv{version}"),
            Isa::Arm64(major, 0) => write!(f, "armv{major}-a"),
            Isa::Arm64(major, minor) => write!(f, "armv{major}.{minor}-a"),
            Isa::Power(generation) => write!(f, "POWER{generation}"),
            Isa::Z(generation) => write!(f, "z{generation}"),
            Isa::Rva(profile) => write!(f, "rva{profile}u64"),
        }
    }
}
