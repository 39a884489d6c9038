//! Decodes the AArch64 instructions that matter for the search: branches, instructions that set the flags, and those
//! that need a feature.
//! Source: Arm Architecture Reference Manual, C4 "A64 instruction set encoding".

use super::blocks::{Callee, Decode, Flow, Step};
use crate::platform::CpuFeature;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Value {
    #[default]
    Unknown,
    Constant(u64),
    /// Read from memory outside the stack.
    Memory,
}

#[derive(Default)]
pub struct Decoder {
    values: [Value; 32],
    /// Whether a 64-bit comparison of values that are not from memory set the flags.
    has_plain_flags: bool,
    /// The same for a 32-bit comparison.
    has_word_flags: bool,
}

/// An encoding: a mask of fixed bits, and their values.
struct Row {
    mask: u32,
    value: u32,
    mnemonic: &'static str,
    feature: CpuFeature,
}

const fn row(mask: u32, value: u32, mnemonic: &'static str, feature: CpuFeature) -> Row {
    Row { mask, value, mnemonic, feature }
}

/// Encodings that raise an undefined-instruction exception if the CPU lacks the feature.
const ROWS: &[Row] = &[
    row(0x3fa0_7c00, 0x08a0_7c00, "cas", CpuFeature::Lse),
    row(0xbfa0_7c00, 0x0820_7c00, "casp", CpuFeature::Lse),
    // LDAPR has Rs=11111, A=1, R=0, o3=1, opc=100.
    row(0x3fff_fc00, 0x38bf_c000, "ldapr", CpuFeature::Rcpc),
    row(0x3f20_8c00, 0x3820_0000, "ldadd", CpuFeature::Lse),
    row(0x3f20_fc00, 0x3820_8000, "swp", CpuFeature::Lse),
    row(0x3f20_0c00, 0x1900_0000, "ldapur", CpuFeature::Rcpc2),
    row(0x7fe0_f000, 0x1ac0_4000, "crc32", CpuFeature::Crc32),
    row(0xbf20_fc00, 0x2e00_8400, "sqrdmlah", CpuFeature::Rdm),
    row(0xbf20_fc00, 0x2e00_8c00, "sqrdmlsh", CpuFeature::Rdm),
    row(0xbf20_fc00, 0x0e00_9400, "sdot", CpuFeature::DotProd),
    row(0xbf20_fc00, 0x2e00_9400, "udot", CpuFeature::DotProd),
    row(0xbf00_f400, 0x0f00_e000, "sdot", CpuFeature::DotProd),
    row(0xbf00_f400, 0x2f00_e000, "udot", CpuFeature::DotProd),
    row(0xbf20_f400, 0x2e00_e400, "fcadd", CpuFeature::Fcma),
    row(0xbf20_e400, 0x2e00_c400, "fcmla", CpuFeature::Fcma),
    // Half precision: ftype 11 of the scalar floating-point classes, and the three-same class of vectors.
    row(0xffe0_0c00, 0x1ee0_0800, "fp16", CpuFeature::Fp16),
    row(0xffe0_fc00, 0x1ee0_2000, "fcmp", CpuFeature::Fp16),
    row(0xbf60_c400, 0x0e40_0400, "fp16", CpuFeature::Fp16),
    row(0xffff_fc00, 0x1e7e_0000, "fjcvtzs", CpuFeature::Jscvt),
    row(0xff3e_0c00, 0x4e28_0800, "aes", CpuFeature::ArmCrypto),
    row(0xffe0_8c00, 0x5e00_0000, "sha", CpuFeature::ArmCrypto),
    row(0xffff_cc00, 0x5e28_0800, "sha", CpuFeature::ArmCrypto),
    row(0xbfe0_fc00, 0x0ee0_e000, "pmull", CpuFeature::ArmCrypto),
    row(0xbf20_fc00, 0x0e80_a400, "smmla", CpuFeature::I8mm),
    row(0xbf20_fc00, 0x2e40_ec00, "bfmmla", CpuFeature::Bf16),
    row(0xffff_f800, 0xdac1_0000, "pac", CpuFeature::Pauth),
    row(0xffe0_fc00, 0x9ac0_3000, "pacga", CpuFeature::Pauth),
    row(0xff3f_f800, 0xd61f_0800, "bra", CpuFeature::Pauth),
    row(0xfe1f_f800, 0xd61f_0800, "bra", CpuFeature::Pauth),
    row(0xffff_fbff, 0xd65f_0bff, "reta", CpuFeature::Pauth),
    row(0xff20_0400, 0xf820_0400, "ldra", CpuFeature::Pauth),
    row(0xffe0_7c10, 0xba00_0400, "rmif", CpuFeature::FlagM),
    row(0xffff_bc1f, 0x3a00_080d, "setf", CpuFeature::FlagM),
    row(0x3f20_0c00, 0x1900_0400, "cpyf", CpuFeature::Mops),
];

/// SVE's three encoding groups: op0 0010 at bits 28..25.
fn is_sve(word: u32) -> bool {
    word >> 25 & 0xf == 0b0010
}

fn word(code: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(code.get(..4)?.try_into().ok()?))
}

fn needs(word: u32) -> Option<(CpuFeature, &'static str)> {
    if is_sve(word) {
        return Some((CpuFeature::Sve, "sve"));
    }
    ROWS.iter().find(|row| word & row.mask == row.value).map(|row| (row.feature, row.mnemonic))
}

/// A signed field that counts instructions, converted to bytes.
fn displacement(word: u32, low: u32, bits: u32) -> u64 {
    let field = i64::from(word >> low & ((1 << bits) - 1));
    let signed = (field << (64 - bits)) >> (64 - bits);
    (signed * 4) as u64
}

impl Decoder {
    fn arguments(&self) -> [Option<u64>; 2] {
        [0, 1].map(|register: usize| match self.values[register] {
            Value::Constant(value) => Some(value),
            Value::Unknown | Value::Memory => None,
        })
    }

    fn called(&mut self, callee: Callee) -> Flow {
        let arguments = self.arguments();
        self.values = Default::default();
        (self.has_plain_flags, self.has_word_flags) = (false, false);
        Flow::Call { callee, arguments }
    }

    /// Updates registers and flags after an instruction that does not branch.
    fn note(&mut self, word: u32, address: u64) {
        let (rd, rn, rm) = ((word & 31) as usize, (word >> 5 & 31) as usize, (word >> 16 & 31) as usize);
        let is_wide = word >> 31 == 1;
        // Data processing with S: ADDS, SUBS (CMP), ANDS (TST), immediate or register.
        let is_arithmetic = word & 0x3f00_0000 == 0x3100_0000 || word & 0x3f00_0000 == 0x2b00_0000;
        if is_arithmetic {
            let is_register = word & 0x1f00_0000 == 0x0b00_0000;
            let is_tainted = self.values[rn] == Value::Memory || (is_register && self.values[rm] == Value::Memory);
            self.has_plain_flags = is_wide && !is_tainted;
            self.has_word_flags = !is_wide && !is_tainted;
        } else if word & 0x7f80_0000 == 0x7200_0000
            || word & 0x7f00_0000 == 0x6a00_0000
            || word & 0x3fe0_0000 == 0x3a40_0000
        {
            // TST and CCMP test bits or depend on an earlier comparison.
            (self.has_plain_flags, self.has_word_flags) = (false, false);
        }
        let value = if word & 0x9f00_0000 == 0x9000_0000 {
            let (high, low) = (u64::from(word >> 5 & 0x7_ffff), u64::from(word >> 29 & 3));
            let pages = ((high << 2 | low) << 43) as i64 >> 43;
            Value::Constant((address & !0xfff).wrapping_add((pages << 12) as u64))
        } else if word & 0x9f00_0000 == 0x1000_0000 {
            let (high, low) = (u64::from(word >> 5 & 0x7_ffff), u64::from(word >> 29 & 3));
            Value::Constant(address.wrapping_add((((high << 2 | low) << 43) as i64 >> 43) as u64))
        } else if word & 0xff80_0000 == 0x9100_0000 {
            let shift = if word >> 22 & 1 == 1 { 12 } else { 0 };
            match self.values[rn] {
                Value::Constant(base) => Value::Constant(base.wrapping_add(u64::from(word >> 10 & 0xfff) << shift)),
                other => other,
            }
        } else if word & 0xffe0_ffe0 == 0xaa00_03e0 {
            self.values[rm]
        } else if word & 0x0a00_0000 == 0x0800_0000 {
            // Loads and stores. Values on the stack are the function's own.
            if rn == 31 { Value::Unknown } else { Value::Memory }
        } else if self.values[rn] == Value::Memory {
            Value::Memory
        } else {
            Value::Unknown
        };
        if rd != 31 {
            self.values[rd] = value;
        }
    }
}

impl Decode for Decoder {
    fn reset(&mut self) {
        *self = Decoder::default();
    }

    fn step(&mut self, code: &[u8], address: u64) -> Option<Step> {
        let word = word(code)?;
        let relative = |low, bits| address.wrapping_add(displacement(word, low, bits));
        let register = (word & 31) as usize;
        let flow = if word & 0xfc00_0000 == 0x1400_0000 {
            Flow::Jump(relative(0, 26))
        } else if word & 0xfc00_0000 == 0x9400_0000 {
            self.called(Callee::At(relative(0, 26)))
        } else if word & 0xff00_0010 == 0x5400_0000 {
            // B.cond: mi, pl, ge, lt, gt and le test the sign.
            let by_sign = matches!(word & 15, 4 | 5 | 10..=13);
            let is_guard = !(self.has_plain_flags || self.has_word_flags && by_sign);
            Flow::Branch { target: relative(5, 19), is_guard }
        } else if word & 0x7e00_0000 == 0x3400_0000 {
            let is_wide = word >> 31 == 1;
            Flow::Branch { target: relative(5, 19), is_guard: !is_wide || self.values[register] == Value::Memory }
        } else if word & 0x7e00_0000 == 0x3600_0000 {
            // TBZ of bit 31 or 63 tests the sign.
            let bit = word >> 26 & 0x20 | word >> 19 & 31;
            let is_sign = matches!(bit, 31 | 63) && self.values[register] != Value::Memory;
            Flow::Branch { target: relative(5, 14), is_guard: !is_sign }
        } else if word & 0xffff_fc1f == 0xd61f_0000 || word & 0xfe1f_f800 == 0xd61f_0800 && word >> 21 & 1 == 0 {
            Flow::Leave { callee: Callee::Unknown, arguments: self.arguments() }
        } else if word & 0xffff_fc1f == 0xd63f_0000 || word & 0xfe1f_f800 == 0xd63f_0800 & 0xfe1f_f800 {
            self.called(Callee::Unknown)
        } else if word & 0xffff_fc1f == 0xd65f_0000 || word & 0xffff_fbff == 0xd65f_0bff {
            Flow::Return
        } else if word & 0xffe0_001f == 0xd420_0000 || word >> 16 == 0 {
            Flow::Trap
        } else {
            self.note(word, address);
            Flow::Next
        };
        // MRS of an ID register, which Linux emulates.
        let queries_cpu = word & 0xffff_0000 == 0xd538_0000;
        Some(Step { next: address.wrapping_add(4), flow, needs: needs(word).map(|(feature, _)| feature), queries_cpu })
    }

    fn mnemonic(&self, code: &[u8], _: u64) -> String {
        word(code).and_then(needs).map_or(String::new(), |(_, mnemonic)| mnemonic.to_string())
    }
}

/// The slot of a PLT entry: `[bti c] adrp x16; ldr x17, [x16, #n]; add; br x17`.
pub fn stub(code: &[u8], address: u64) -> Option<u64> {
    let (first, at) = match word(code)? {
        0xd503_245f => (word(code.get(4..)?)?, address + 4),
        first => (first, address),
    };
    let load = word(code.get((at - address) as usize + 4..)?)?;
    if first & 0x9f00_001f != 0x9000_0010 || load & 0xffc0_03ff != 0xf940_0211 {
        return None;
    }
    let (high, low) = (u64::from(first >> 5 & 0x7_ffff), u64::from(first >> 29 & 3));
    let pages = ((high << 2 | low) << 43) as i64 >> 43;
    Some((at & !0xfff).wrapping_add((pages << 12) as u64).wrapping_add(u64::from(load >> 10 & 0xfff) * 8))
}
