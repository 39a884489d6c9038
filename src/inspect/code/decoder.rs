//! The decoder of each instruction set.

use super::layout::DecodedArch;
use super::steps::{Callee, Decode, DecodedStep, InstructionFlow};
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

    /// Knows that a function is decoded from its start: the registers contain its parameters.
    pub fn of_function(mut self) -> CodeDecoder {
        match &mut self {
            CodeDecoder::X86(decoder) => decoder.enter(),
            CodeDecoder::Arm64(decoder) => decoder.enter(),
            CodeDecoder::Arm(_) => {}
        }
        self
    }

    /// Knows that the function that is decoded is a program's `main`: its first argument is a number.
    pub fn of_main(mut self) -> CodeDecoder {
        match &mut self {
            CodeDecoder::X86(decoder) => decoder.enter_main(),
            CodeDecoder::Arm64(decoder) => decoder.enter_with_handle(),
            CodeDecoder::Arm(_) => {}
        }
        self
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

/// See [`Decode::Run`].
pub struct CodeRun<'b> {
    code: &'b [u8],
    /// The address of `code`, and of the next instruction.
    start: u64,
    next: u64,
    /// Set up once, because that takes as long as decoding an instruction.
    x86: Option<iced_x86::Decoder<'b>>,
}

impl Decode for CodeDecoder {
    type Run<'b> = CodeRun<'b>;

    #[inline]
    fn run<'b>(&self, code: &'b [u8], address: u64) -> CodeRun<'b> {
        let x86 = matches!(self, CodeDecoder::X86(_)).then(|| x86::reader(code, address));
        CodeRun { code, start: address, next: address, x86 }
    }

    #[inline]
    fn step(&mut self, run: &mut CodeRun<'_>) -> Option<DecodedStep> {
        // The lowest bit of an address selects an instruction set of 32-bit Arm.
        let offset = usize::try_from((run.next & !1).checked_sub(run.start & !1)?).ok()?;
        let step = match self {
            CodeDecoder::X86(decoder) => decoder.step(run.x86.as_mut()?),
            CodeDecoder::Arm64(decoder) => decoder.step(run.code.get(offset..)?, run.next),
            CodeDecoder::Arm(decoder) => decoder.step(run.code.get(offset..)?, run.next),
        }?;
        run.next = step.next;
        Some(step)
    }

    fn returned_handle(&mut self) {
        match self {
            CodeDecoder::X86(decoder) => decoder.returned_handle(),
            CodeDecoder::Arm64(decoder) => decoder.enter_with_handle(),
            CodeDecoder::Arm(_) => {}
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
