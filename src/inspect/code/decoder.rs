//! The decoder of each instruction set.

use super::blocks::{Callee, Decode, DecodedStep, InstructionFlow};
use super::layout::DecodedArch;
use super::{arm, arm64, x86};

/// Decodes the instructions of one path. A clone decodes a path that branches off.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "it is cloned at every branch, and a box would be allocated every time")]
pub enum CodeDecoder {
    X86(x86::X86Decoder),
    Arm64(arm64::Arm64Decoder),
    Arm(arm::ArmDecoder),
}

impl CodeDecoder {
    pub fn new(machine: DecodedArch) -> CodeDecoder {
        match machine {
            DecodedArch::X86 => CodeDecoder::X86(x86::X86Decoder::default()),
            DecodedArch::Arm64 => CodeDecoder::Arm64(arm64::Arm64Decoder::default()),
            DecodedArch::Arm => CodeDecoder::Arm(arm::ArmDecoder::default()),
        }
    }

    /// The constants in the registers, and the one that the instruction at `address` stores.
    pub fn constants(&self, code: &[u8], address: u64) -> Vec<u64> {
        match self {
            CodeDecoder::X86(decoder) => decoder.constants(code, address),
            CodeDecoder::Arm64(decoder) => decoder.constants(),
            CodeDecoder::Arm(decoder) => decoder.constants(),
        }
    }

    /// The instruction's name: lower case, in the syntax of GNU as.
    pub fn mnemonic(machine: DecodedArch, code: &[u8], address: u64) -> String {
        match machine {
            DecodedArch::X86 => x86::mnemonic(code, address),
            DecodedArch::Arm64 => arm64::mnemonic(code),
            DecodedArch::Arm => arm::mnemonic(code, address),
        }
    }
}

impl Decode for CodeDecoder {
    fn step(&mut self, code: &[u8], address: u64) -> Option<DecodedStep> {
        match self {
            CodeDecoder::X86(decoder) => decoder.step(code, address),
            CodeDecoder::Arm64(decoder) => decoder.step(code, address),
            CodeDecoder::Arm(decoder) => decoder.step(code, address),
        }
    }

    fn tail_call(&self, target: u64) -> InstructionFlow {
        let arguments = match self {
            CodeDecoder::X86(decoder) => decoder.arguments(),
            CodeDecoder::Arm64(decoder) => decoder.arguments(),
            CodeDecoder::Arm(decoder) => decoder.arguments(),
        };
        InstructionFlow::Leave { callee: Callee::At(target), arguments }
    }
}
