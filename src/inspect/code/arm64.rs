//! Decodes the AArch64 instructions that matter for the search: branches, instructions that set the flags, and those
//! that need a feature.
//! Source: Arm Architecture Reference Manual, C4 "A64 instruction set encoding".

use super::steps::{BranchGuard, Callee, DecodedStep, InstructionFlow};
use crate::platform::CpuFeature;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Arm64Value {
    #[default]
    Unknown,
    Constant(u64),
    /// A number of which only some bits are known.
    Number,
    /// The function's parameter with this index, perhaps a CPU flag.
    Parameter(u8),
    /// The pointer stored at this address.
    Slot(u64),
    /// Read from memory outside the stack.
    Memory,
    /// What a call returned, perhaps a CPU flag.
    Returned,
    /// What a call returned that never depends on the CPU, or the number of arguments of `main`.
    Handle,
}

impl Arm64Value {
    /// Whether it may be a CPU flag, or computed from one.
    fn is_doubtful(self) -> bool {
        matches!(self, Arm64Value::Slot(_) | Arm64Value::Memory | Arm64Value::Returned)
    }

    fn pointer(self) -> Callee {
        match self {
            Arm64Value::Constant(address) => Callee::At(address),
            Arm64Value::Slot(slot) => Callee::Slot(slot),
            Arm64Value::Unknown
            | Arm64Value::Number
            | Arm64Value::Parameter(_)
            | Arm64Value::Memory
            | Arm64Value::Returned
            | Arm64Value::Handle => Callee::Unknown,
        }
    }
}

#[derive(Clone, Default)]
pub struct Arm64Decoder {
    values: [Arm64Value; 32],
    /// Whether a 64-bit comparison of values that are not from memory set the flags.
    has_plain_flags: bool,
    /// The same for a 32-bit comparison.
    has_word_flags: bool,
    /// Whether a comparison with zero of what a call returned did, so that the sign bit is an error's.
    has_sign_flags: bool,
    /// The parameter whose comparison with a number set the flags, and whether it was a 64-bit one.
    parameter: Option<(u8, bool)>,
}

/// An encoding: a mask of fixed bits, and their values.
struct Arm64Encoding {
    mask: u32,
    value: u32,
    /// Without the suffixes that [`name`] adds.
    mnemonic: &'static str,
    suffix: Suffix,
    feature: CpuFeature,
}

/// The suffixes of a mnemonic that depend on the instruction's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suffix {
    Nothing,
    /// `a` (bit 23) and `l` (bit 22) for the order, then `b` or `h` for the size.
    AtomicOrder,
    /// `a` (bit 22) and `l` (bit 15), then the size.
    CompareOrder,
    /// `b` or `h` for the size.
    Size,
    /// `a` or `b` by bit 10: the key of a pointer authentication.
    Key,
    /// The key, then `z` if bit 24 is clear: the modifier is zero.
    KeyAndZero,
    /// `b`, `h`, `w` or `x` by bits 11 and 10, after `c` if bit 12 is set.
    Checksum,
}

const fn row(mask: u32, value: u32, mnemonic: &'static str, suffix: Suffix, feature: CpuFeature) -> Arm64Encoding {
    Arm64Encoding { mask, value, mnemonic, suffix, feature }
}

/// Encodings that raise an undefined-instruction exception if the CPU lacks the feature.
#[rustfmt::skip]
const ROWS: &[Arm64Encoding] = &[
    row(0x3fa0_7c00, 0x08a0_7c00, "cas", Suffix::CompareOrder, CpuFeature::Lse),
    row(0xbfa0_7c00, 0x0820_7c00, "casp", Suffix::CompareOrder, CpuFeature::Lse),
    // LDAPR has Rs=11111, A=1, R=0, o3=1, opc=100.
    row(0x3fff_fc00, 0x38bf_c000, "ldapr", Suffix::Size, CpuFeature::Rcpc),
    row(0x3f20_fc00, 0x3820_0000, "ldadd", Suffix::AtomicOrder, CpuFeature::Lse),
    row(0x3f20_fc00, 0x3820_1000, "ldclr", Suffix::AtomicOrder, CpuFeature::Lse),
    row(0x3f20_fc00, 0x3820_2000, "ldeor", Suffix::AtomicOrder, CpuFeature::Lse),
    row(0x3f20_fc00, 0x3820_3000, "ldset", Suffix::AtomicOrder, CpuFeature::Lse),
    row(0x3f20_fc00, 0x3820_4000, "ldsmax", Suffix::AtomicOrder, CpuFeature::Lse),
    row(0x3f20_fc00, 0x3820_5000, "ldsmin", Suffix::AtomicOrder, CpuFeature::Lse),
    row(0x3f20_fc00, 0x3820_6000, "ldumax", Suffix::AtomicOrder, CpuFeature::Lse),
    row(0x3f20_fc00, 0x3820_7000, "ldumin", Suffix::AtomicOrder, CpuFeature::Lse),
    row(0x3f20_fc00, 0x3820_8000, "swp", Suffix::AtomicOrder, CpuFeature::Lse),
    row(0x3fe0_0c00, 0x1900_0000, "stlur", Suffix::Size, CpuFeature::Rcpc2),
    row(0x3fe0_0c00, 0x1940_0000, "ldapur", Suffix::Size, CpuFeature::Rcpc2),
    row(0x3f20_0c00, 0x1900_0000, "ldapurs", Suffix::Nothing, CpuFeature::Rcpc2),
    row(0x7fe0_e000, 0x1ac0_4000, "crc32", Suffix::Checksum, CpuFeature::Crc32),
    row(0xbf20_fc00, 0x2e00_8400, "sqrdmlah", Suffix::Nothing, CpuFeature::Rdm),
    row(0xbf20_fc00, 0x2e00_8c00, "sqrdmlsh", Suffix::Nothing, CpuFeature::Rdm),
    row(0xbf20_fc00, 0x0e00_9400, "sdot", Suffix::Nothing, CpuFeature::DotProd),
    row(0xbf20_fc00, 0x2e00_9400, "udot", Suffix::Nothing, CpuFeature::DotProd),
    row(0xbf00_f400, 0x0f00_e000, "sdot", Suffix::Nothing, CpuFeature::DotProd),
    row(0xbf00_f400, 0x2f00_e000, "udot", Suffix::Nothing, CpuFeature::DotProd),
    row(0xbf20_ec00, 0x2e00_e400, "fcadd", Suffix::Nothing, CpuFeature::Fcma),
    row(0xbf20_e400, 0x2e00_c400, "fcmla", Suffix::Nothing, CpuFeature::Fcma),
    // Half precision: ftype 11 of the scalar floating-point classes, and the three-same class of vectors.
    row(0xffe0_fc00, 0x1ee0_0800, "fmul", Suffix::Nothing, CpuFeature::Fp16),
    row(0xffe0_fc00, 0x1ee0_1800, "fdiv", Suffix::Nothing, CpuFeature::Fp16),
    row(0xffe0_fc00, 0x1ee0_2800, "fadd", Suffix::Nothing, CpuFeature::Fp16),
    row(0xffe0_fc00, 0x1ee0_3800, "fsub", Suffix::Nothing, CpuFeature::Fp16),
    row(0xffe0_0c00, 0x1ee0_0800, "fp16", Suffix::Nothing, CpuFeature::Fp16),
    row(0xffe0_fc00, 0x1ee0_2000, "fcmp", Suffix::Nothing, CpuFeature::Fp16),
    row(0x9f60_c400, 0x0e40_0400, "fp16", Suffix::Nothing, CpuFeature::Fp16),
    row(0xffff_fc00, 0x1e7e_0000, "fjcvtzs", Suffix::Nothing, CpuFeature::Jscvt),
    row(0xffff_fc00, 0x4e28_4800, "aese", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xffff_fc00, 0x4e28_5800, "aesd", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xffff_fc00, 0x4e28_6800, "aesmc", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xffff_fc00, 0x4e28_7800, "aesimc", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xffe0_fc00, 0x5e00_0000, "sha1c", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xffe0_fc00, 0x5e00_4000, "sha256h", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xffe0_8c00, 0x5e00_0000, "sha", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xffff_fc00, 0x5e28_0800, "sha1h", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xffff_cc00, 0x5e28_0800, "sha", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xbfe0_fc00, 0x0ee0_e000, "pmull", Suffix::Nothing, CpuFeature::ArmCrypto),
    row(0xffe0_fc00, 0x4e80_a400, "smmla", Suffix::Nothing, CpuFeature::I8mm),
    row(0xffe0_fc00, 0x6e80_a400, "ummla", Suffix::Nothing, CpuFeature::I8mm),
    row(0xffe0_fc00, 0x4e80_ac00, "usmmla", Suffix::Nothing, CpuFeature::I8mm),
    row(0xbfe0_fc00, 0x0e80_9c00, "usdot", Suffix::Nothing, CpuFeature::I8mm),
    row(0xffe0_fc00, 0x6e40_ec00, "bfmmla", Suffix::Nothing, CpuFeature::Bf16),
    row(0xbfe0_fc00, 0x2e40_fc00, "bfdot", Suffix::Nothing, CpuFeature::Bf16),
    row(0xffff_fc00, 0x1e63_4000, "bfcvt", Suffix::Nothing, CpuFeature::Bf16),
    row(0xffff_f800, 0xdac1_0000, "pac", Suffix::Nothing, CpuFeature::Pauth),
    row(0xffe0_fc00, 0x9ac0_3000, "pacga", Suffix::Nothing, CpuFeature::Pauth),
    row(0xfeff_f800, 0xd61f_0800, "bra", Suffix::KeyAndZero, CpuFeature::Pauth),
    row(0xfeff_f800, 0xd63f_0800, "blra", Suffix::KeyAndZero, CpuFeature::Pauth),
    row(0xffff_fbff, 0xd65f_0bff, "reta", Suffix::Key, CpuFeature::Pauth),
    row(0xffa0_0400, 0xf820_0400, "ldraa", Suffix::Nothing, CpuFeature::Pauth),
    row(0xffa0_0400, 0xf8a0_0400, "ldrab", Suffix::Nothing, CpuFeature::Pauth),
    row(0xffe0_7c10, 0xba00_0400, "rmif", Suffix::Nothing, CpuFeature::FlagM),
    row(0xffff_bc1f, 0x3a00_080d, "setf", Suffix::Nothing, CpuFeature::FlagM),
    row(0x3f20_0c00, 0x1900_0400, "cpyf", Suffix::Nothing, CpuFeature::Mops),
    // SVE: the instructions with which functions usually start. Its encoding groups are 0010 at bits 28 to 25.
    row(0xff3f_fc10, 0x2518_e000, "ptrue", Suffix::Nothing, CpuFeature::Sve),
    row(0xfff0_fc00, 0x0420_e000, "cntb", Suffix::Nothing, CpuFeature::Sve),
    row(0xfff0_fc00, 0x0460_e000, "cnth", Suffix::Nothing, CpuFeature::Sve),
    row(0xfff0_fc00, 0x04a0_e000, "cntw", Suffix::Nothing, CpuFeature::Sve),
    row(0xfff0_fc00, 0x04e0_e000, "cntd", Suffix::Nothing, CpuFeature::Sve),
    row(0xffff_f800, 0x04bf_5000, "rdvl", Suffix::Nothing, CpuFeature::Sve),
    row(0xffe0_f800, 0x0420_5000, "addvl", Suffix::Nothing, CpuFeature::Sve),
    row(0xff20_ec10, 0x2520_0c00, "whilelo", Suffix::Nothing, CpuFeature::Sve),
    row(0xff20_ec10, 0x2520_0400, "whilelt", Suffix::Nothing, CpuFeature::Sve),
    row(0x1e00_0000, 0x0400_0000, "sve", Suffix::Nothing, CpuFeature::Sve),
];

fn word(code: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(code.get(..4)?.try_into().ok()?))
}

fn needs(word: u32) -> Option<&'static Arm64Encoding> {
    ROWS.iter().find(|row| word & row.mask == row.value)
}

/// The mnemonic of an instruction with its suffixes: `ldaddal`, `ldaprb`, `retaa`.
fn name(row: &Arm64Encoding, word: u32) -> String {
    let letter = |bit: u32, letter: &'static str| if word >> bit & 1 == 1 { letter } else { "" };
    let size = ["b", "h", "", ""][(word >> 30) as usize];
    let key = if word >> 10 & 1 == 1 { "b" } else { "a" };
    let suffix = match row.suffix {
        Suffix::Nothing => String::new(),
        Suffix::AtomicOrder => [letter(23, "a"), letter(22, "l"), size].concat(),
        // CASP has its size in bit 30, without a letter.
        Suffix::CompareOrder if word >> 23 & 1 == 0 => [letter(22, "a"), letter(15, "l")].concat(),
        Suffix::CompareOrder => [letter(22, "a"), letter(15, "l"), size].concat(),
        Suffix::Size => size.to_string(),
        Suffix::Key => key.to_string(),
        Suffix::KeyAndZero => [key, if word >> 24 & 1 == 0 { "z" } else { "" }].concat(),
        Suffix::Checksum => [letter(12, "c"), ["b", "h", "w", "x"][(word >> 10 & 3) as usize]].concat(),
    };
    // Without a result and without acquire semantics, `ldadd` is written `stadd`.
    match row.mnemonic.strip_prefix("ld") {
        Some(operation) if row.suffix == Suffix::AtomicOrder && word & 0x80_001f == 0x1f => {
            ["st", operation, &suffix].concat()
        }
        _ => [row.mnemonic, &suffix].concat(),
    }
}

/// A signed field that counts instructions, converted to bytes.
fn displacement(word: u32, low: u32, bits: u32) -> u64 {
    let field = i64::from(word >> low & ((1 << bits) - 1));
    let signed = (field << (64 - bits)) >> (64 - bits);
    (signed * 4) as u64
}

impl Arm64Decoder {
    /// The constants in the registers.
    pub fn constants(&self) -> Vec<u64> {
        let constant = |value: &Arm64Value| match value {
            Arm64Value::Constant(value) => Some(*value),
            Arm64Value::Unknown
            | Arm64Value::Number
            | Arm64Value::Parameter(_)
            | Arm64Value::Slot(_)
            | Arm64Value::Memory
            | Arm64Value::Returned
            | Arm64Value::Handle => None,
        };
        self.values.iter().filter_map(constant).collect()
    }

    pub fn arguments(&self) -> [Callee; 2] {
        [0, 1].map(|register: usize| self.values[register].pointer())
    }

    /// The target of `br` or `blr`.
    fn target(&self, word: u32) -> Callee {
        self.values[(word >> 5 & 31) as usize].pointer()
    }

    fn called(&mut self, callee: Callee) -> InstructionFlow {
        let arguments = self.arguments();
        self.values = Default::default();
        self.values[0] = Arm64Value::Returned;
        self.forget_flags();
        InstructionFlow::Call { callee, arguments }
    }

    fn forget_flags(&mut self) {
        (self.has_plain_flags, self.has_word_flags, self.has_sign_flags) = (false, false, false);
        self.parameter = None;
    }

    /// Knows that a function is decoded from its start. Source: AAPCS64, 6.8.2.
    pub fn enter(&mut self) {
        for (index, value) in self.values.iter_mut().take(8).enumerate() {
            *value = Arm64Value::Parameter(index as u8);
        }
    }

    fn is_number(&self, register: usize) -> bool {
        register == 31 || matches!(self.values[register], Arm64Value::Constant(_) | Arm64Value::Number)
    }

    /// The parameters that an instruction uses as a pointer or in arithmetic. A comparison with a number is neither.
    fn numbers(&self, word: u32) -> u8 {
        let bit = |shift: u32| match self.values[(word >> shift & 31) as usize] {
            Arm64Value::Parameter(index) => 1 << index,
            _ => 0,
        };
        let is_compared = [word >> 5 & 31, word >> 16 & 31].iter().any(|register| self.is_number(*register as usize));
        match () {
            // Loads and stores, with a register as the offset.
            () if word & 0x3b20_0c00 == 0x3820_0800 => bit(5) | bit(16),
            () if word & 0x0a00_0000 == 0x0800_0000 => bit(5),
            // ADD, SUB and their comparisons with a register, MADD.
            () if matches!(word & 0x1f00_0000, 0x0b00_0000 | 0x1b00_0000) && !is_compared => bit(5) | bit(16),
            () => 0,
        }
    }

    /// Knows that what the last call returned does not depend on the CPU, or that the function that is decoded is a
    /// program's `main`, whose first argument does not.
    pub fn enter_with_handle(&mut self) {
        self.values[0] = Arm64Value::Handle;
    }

    /// Updates registers and flags after an instruction that does not branch.
    fn note(&mut self, word: u32, address: u64) {
        let (rd, rn, rm) = ((word & 31) as usize, (word >> 5 & 31) as usize, (word >> 16 & 31) as usize);
        let is_wide = word >> 31 == 1;
        // Data processing with S: ADDS, SUBS (CMP), ANDS (TST), immediate or register.
        let is_arithmetic = word & 0x3f00_0000 == 0x3100_0000 || word & 0x3f00_0000 == 0x2b00_0000;
        if is_arithmetic {
            let is_register = word & 0x1f00_0000 == 0x0b00_0000;
            let is_tainted = self.values[rn].is_doubtful() || (is_register && self.values[rm].is_doubtful());
            let is_handle = self.values[rn] == Arm64Value::Handle;
            let is_zero = !is_register && word >> 10 & 0xfff == 0;
            // A local variable may contain what a branch on a CPU flag has set, so a comparison with a number is a guard.
            let is_pair = is_register && !is_tainted && !self.is_number(rn) && !self.is_number(rm);
            self.has_plain_flags = is_handle || is_wide && is_pair;
            self.has_word_flags = !is_wide && is_pair;
            self.parameter = match self.values[rn] {
                Arm64Value::Parameter(index) if !is_pair => Some((index, is_wide)),
                _ => None,
            };
            self.has_sign_flags = is_zero && self.values[rn] == Arm64Value::Returned;
        } else if word & 0x7f80_0000 == 0x7200_0000
            || word & 0x7f00_0000 == 0x6a00_0000
            || word & 0x3fe0_0000 == 0x3a40_0000
        {
            // TST and CCMP test bits or depend on an earlier comparison.
            self.forget_flags();
        }
        let value = if word & 0x9f00_0000 == 0x9000_0000 {
            let (high, low) = (u64::from(word >> 5 & 0x7_ffff), u64::from(word >> 29 & 3));
            let pages = ((high << 2 | low) << 43) as i64 >> 43;
            Arm64Value::Constant((address & !0xfff).wrapping_add((pages << 12) as u64))
        } else if word & 0x9f00_0000 == 0x1000_0000 {
            let (high, low) = (u64::from(word >> 5 & 0x7_ffff), u64::from(word >> 29 & 3));
            Arm64Value::Constant(address.wrapping_add((((high << 2 | low) << 43) as i64 >> 43) as u64))
        } else if word & 0xff80_0000 == 0x9100_0000 {
            let shift = if word >> 22 & 1 == 1 { 12 } else { 0 };
            match self.values[rn] {
                Arm64Value::Constant(base) => {
                    Arm64Value::Constant(base.wrapping_add(u64::from(word >> 10 & 0xfff) << shift))
                }
                Arm64Value::Slot(_) | Arm64Value::Returned => Arm64Value::Memory,
                Arm64Value::Unknown | Arm64Value::Number | Arm64Value::Parameter(_) | Arm64Value::Handle => {
                    Arm64Value::Unknown
                }
                Arm64Value::Memory => Arm64Value::Memory,
            }
        } else if word & 0x7fe0_ffe0 == 0x2a00_03e0 && rm != 31 {
            self.values[rm]
        } else if matches!(word & 0x7f80_0000, 0x5280_0000 | 0x1280_0000 | 0x7280_0000)
            || word & 0x7f80_03e0 == 0x3200_03e0
        {
            // MOVZ, MOVN, MOVK, and ORR of a bit mask.
            Arm64Value::Number
        } else if let (0xf940_0000, Arm64Value::Constant(base)) = (word & 0xffc0_0000, self.values[rn]) {
            Arm64Value::Slot(base.wrapping_add(u64::from(word >> 10 & 0xfff) * 8))
        } else if word & 0x0a00_0000 == 0x0800_0000 {
            // Loads and stores. Values on the stack are the function's own.
            if rn == 31 { Arm64Value::Unknown } else { Arm64Value::Memory }
        } else if self.values[rn].is_doubtful() {
            Arm64Value::Memory
        } else {
            Arm64Value::Unknown
        };
        if rd != 31 {
            self.values[rd] = value;
        }
    }
}

impl Arm64Decoder {
    /// The instruction at `address`. `None` if the bytes are not an instruction.
    pub fn step(&mut self, code: &[u8], address: u64) -> Option<DecodedStep> {
        let word = word(code)?;
        let relative = |low, bits| address.wrapping_add(displacement(word, low, bits));
        let (register, numbers) = ((word & 31) as usize, self.numbers(word));
        let flow = if word & 0xfc00_0000 == 0x1400_0000 {
            InstructionFlow::Jump(relative(0, 26))
        } else if word & 0xfc00_0000 == 0x9400_0000 {
            self.called(Callee::At(relative(0, 26)))
        } else if word & 0xff00_0010 == 0x5400_0000 {
            // B.cond: mi, pl, ge, lt, gt and le test the sign.
            let by_sign = matches!(word & 15, 4 | 5 | 10..=13);
            let by_sign_bit = matches!(word & 15, 4 | 5 | 10 | 11);
            let is_plain = self.has_plain_flags || self.has_word_flags && by_sign || self.has_sign_flags && by_sign_bit;
            let guard = match self.parameter {
                Some((index, is_wide)) if !is_plain && (is_wide || by_sign) => BranchGuard::Parameter(index),
                Some(_) | None => BranchGuard::perhaps(!is_plain),
            };
            InstructionFlow::Branch { target: relative(5, 19), guard }
        } else if word & 0x7e00_0000 == 0x3400_0000 {
            let is_wide = word >> 31 == 1;
            let value = self.values[register];
            let guard = match value {
                Arm64Value::Parameter(index) if is_wide => BranchGuard::Parameter(index),
                value => BranchGuard::perhaps(value != Arm64Value::Handle),
            };
            InstructionFlow::Branch { target: relative(5, 19), guard }
        } else if word & 0x7e00_0000 == 0x3600_0000 {
            // TBZ of bit 31 or 63 tests the sign.
            let bit = word >> 26 & 0x20 | word >> 19 & 31;
            let is_sign = matches!(bit, 31 | 63)
                && (!self.values[register].is_doubtful() || self.values[register] == Arm64Value::Returned);
            InstructionFlow::Branch { target: relative(5, 14), guard: BranchGuard::perhaps(!is_sign) }
        } else if word & 0xffff_fc1f == 0xd61f_0000 || word & 0xfeff_f800 == 0xd61f_0800 {
            InstructionFlow::Leave { callee: self.target(word), arguments: self.arguments() }
        } else if word & 0xffff_fc1f == 0xd63f_0000 || word & 0xfeff_f800 == 0xd63f_0800 {
            self.called(self.target(word))
        } else if word & 0xffff_fc1f == 0xd65f_0000 || word & 0xffff_fbff == 0xd65f_0bff {
            InstructionFlow::Return
        } else if word & 0xffe0_001f == 0xd420_0000 || word >> 16 == 0 {
            InstructionFlow::Trap
        } else {
            self.note(word, address);
            InstructionFlow::Next
        };
        // MRS of an ID register, which Linux emulates.
        let queries_cpu = word & 0xffff_0000 == 0xd538_0000;
        Some(DecodedStep {
            next: address.wrapping_add(4),
            flow,
            needs: needs(word).map(|row| row.feature),
            queries_cpu,
            test: None,
            stores: None,
            numbers,
        })
    }
}

/// The name of an instruction that needs a feature.
pub fn mnemonic(code: &[u8]) -> String {
    let found = word(code).and_then(|word| Some((needs(word)?, word)));
    found.map_or(String::new(), |(row, word)| name(row, word))
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

#[cfg(test)]
mod tests {
    use super::ROWS;

    #[test]
    fn every_encoding_can_match() {
        for row in ROWS {
            assert_eq!(row.value & !row.mask, 0, "{}: {:#010x}", row.mnemonic, row.value);
        }
    }
}
