//! The decoder of each instruction set.

use super::blocks::{Callee, Decode, Flow, Step};
use super::layout::Machine;
use super::{arm, arm64, x86};

/// Decodes the instructions of one path. A clone decodes a path that branches off.
#[derive(Clone)]
pub enum CodeDecoder {
    X86(x86::Decoder),
    Arm64(arm64::Decoder),
    Arm(arm::Decoder),
}

impl CodeDecoder {
    pub fn new(machine: Machine) -> CodeDecoder {
        match machine {
            Machine::X86 => CodeDecoder::X86(x86::Decoder::default()),
            Machine::Arm64 => CodeDecoder::Arm64(arm64::Decoder::default()),
            Machine::Arm => CodeDecoder::Arm(arm::Decoder::default()),
        }
    }

    /// The instruction's name: lower case, in the syntax of GNU as.
    pub fn mnemonic(machine: Machine, code: &[u8], address: u64) -> String {
        match machine {
            Machine::X86 => x86::mnemonic(code, address),
            Machine::Arm64 => arm64::mnemonic(code),
            Machine::Arm => arm::mnemonic(code, address),
        }
    }
}

impl Decode for CodeDecoder {
    fn step(&mut self, code: &[u8], address: u64) -> Option<Step> {
        match self {
            CodeDecoder::X86(decoder) => decoder.step(code, address),
            CodeDecoder::Arm64(decoder) => decoder.step(code, address),
            CodeDecoder::Arm(decoder) => decoder.step(code, address),
        }
    }

    fn tail_call(&self, target: u64) -> Flow {
        let arguments = match self {
            CodeDecoder::X86(decoder) => decoder.arguments(),
            CodeDecoder::Arm64(decoder) => decoder.arguments(),
            CodeDecoder::Arm(decoder) => decoder.arguments(),
        };
        Flow::Leave { callee: Callee::At(target), arguments }
    }
}
