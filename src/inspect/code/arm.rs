//! Decodes the 32-bit Arm instructions that matter for the search, in both instruction sets: branches, instructions
//! that compute addresses, and those that need more than ARMv4T. Bit 0 of an address selects Thumb, as in a pointer.
//! Source: Arm Architecture Reference Manual, ARMv7-A edition, A5 to A7; Armv8 edition, F2 to F4.

mod encodings;
mod flags;

use super::steps::{BranchGuard, Callee, DecodedStep, InstructionFlow};
use encodings::{Thumb, needs_of_arm, needs_of_thumb, word_at};
use flags::{ArmFlags, FlagSetter};

const SP: usize = 13;
const LR: usize = 14;
const PC: usize = 15;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ArmValue {
    #[default]
    Unknown,
    Constant(u32),
    /// The pointer stored at this address.
    Slot(u32),
    /// Read from memory outside the stack, where programs store CPU flags, or computed from such a value.
    Memory,
}

impl ArmValue {
    fn pointer(self) -> Callee {
        match self {
            ArmValue::Constant(address) => Callee::At(u64::from(address)),
            ArmValue::Slot(slot) => Callee::Slot(u64::from(slot)),
            ArmValue::Unknown | ArmValue::Memory => Callee::Unknown,
        }
    }

    fn is_memory(self) -> bool {
        matches!(self, ArmValue::Slot(_) | ArmValue::Memory)
    }

    fn plus(self, other: ArmValue) -> ArmValue {
        match (self, other) {
            (ArmValue::Constant(a), ArmValue::Constant(b)) => ArmValue::Constant(a.wrapping_add(b)),
            (a, b) if a.is_memory() || b.is_memory() => ArmValue::Memory,
            _ => ArmValue::Unknown,
        }
    }

    /// The value that a load from this address reads.
    fn loaded(self) -> ArmValue {
        match self {
            ArmValue::Constant(address) => ArmValue::Slot(address),
            ArmValue::Slot(_) | ArmValue::Unknown | ArmValue::Memory => ArmValue::Memory,
        }
    }
}

#[derive(Clone, Default)]
pub struct ArmDecoder {
    values: [ArmValue; 16],
    /// Number of the following instructions that are in an IT block, so that a condition guards them.
    guarded: u32,
    flags: ArmFlags,
}

/// The low `bits` bits of `field` as a signed number, times `unit`.
fn signed(field: u32, bits: u32, unit: u32) -> u32 {
    ((((field << (32 - bits)) as i32) >> (32 - bits)) as u32).wrapping_mul(unit)
}

fn thumb_address(address: u32) -> u64 {
    u64::from(address | 1)
}

impl ArmDecoder {
    /// The constants in the registers.
    pub fn constants(&self) -> Vec<u64> {
        let constant = |value: &ArmValue| match value {
            ArmValue::Constant(value) => Some(u64::from(*value)),
            ArmValue::Unknown | ArmValue::Slot(_) | ArmValue::Memory => None,
        };
        self.values.iter().filter_map(constant).collect()
    }

    pub fn arguments(&self) -> [Callee; 2] {
        [0, 1].map(|register: usize| self.values[register].pointer())
    }

    fn called(&mut self, callee: Callee) -> InstructionFlow {
        let arguments = self.arguments();
        self.forget_call();
        InstructionFlow::Call { callee, arguments }
    }

    /// A call clobbers r0 to r3, r12 and lr. Source: AAPCS32, 6.1.1.
    fn forget_call(&mut self) {
        [0, 1, 2, 3, 12, LR].iter().for_each(|register: &usize| self.values[*register] = ArmValue::Unknown);
        self.flags = ArmFlags::Doubtful;
    }

    /// The flags after an instruction that sets them.
    fn compare(&mut self, setter: FlagSetter) {
        let is_tainted = |register: usize| self.values[register].is_memory();
        // A CPU check compares with a number, never two values with each other.
        let is_number = |register: usize| matches!(self.values[register], ArmValue::Constant(_));
        self.flags = match setter {
            FlagSetter::Zero(rn) if !is_tainted(rn) => ArmFlags::Sign,
            FlagSetter::Pair(rn, rm) if ![rn, rm].iter().any(|at| is_tainted(*at) || is_number(*at)) => ArmFlags::Plain,
            FlagSetter::Count(rn) if !is_tainted(rn) => ArmFlags::Plain,
            FlagSetter::FloatingPoint => ArmFlags::Plain,
            FlagSetter::Zero(_) | FlagSetter::Pair(..) | FlagSetter::Count(_) | FlagSetter::Other => ArmFlags::Doubtful,
        };
    }

    fn left(&self, register: usize) -> InstructionFlow {
        match register {
            LR => InstructionFlow::Return,
            register => InstructionFlow::Leave { callee: self.values[register].pointer(), arguments: self.arguments() },
        }
    }

    fn step_arm(&mut self, code: &[u8], at: u32) -> Option<DecodedStep> {
        let word = word_at(code, 0)?;
        let (rn, rd, rm) = ((word >> 16 & 15) as usize, (word >> 12 & 15) as usize, (word & 15) as usize);
        let (is_always, here) = (word >> 28 == 0xe, at.wrapping_add(8));
        let branch = here.wrapping_add(signed(word & 0xff_ffff, 24, 4));
        let is_test = word & 0x0d90_0000 == 0x0110_0000;
        let flow = if word & 0xfe00_0000 == 0xfa00_0000 {
            self.called(Callee::At(thumb_address(branch.wrapping_add(word >> 23 & 2))))
        } else if word >> 28 == 0xf {
            InstructionFlow::Next
        } else if word & 0x0f00_0000 == 0x0a00_0000 {
            let target = u64::from(branch);
            let guard = self.flags.guard(word >> 28);
            if is_always { InstructionFlow::Jump(target) } else { InstructionFlow::Branch { target, guard } }
        } else if word & 0x0f00_0000 == 0x0b00_0000 && is_always {
            self.called(Callee::At(u64::from(branch)))
        } else if word & 0x0fff_fff0 == 0x012f_ff30 && is_always {
            self.called(self.values[rm].pointer())
        } else if word & 0x0f00_0000 == 0x0b00_0000 || word & 0x0fff_fff0 == 0x012f_ff30 {
            self.forget_call();
            InstructionFlow::Next
        } else if word & 0x0fff_fff0 == 0x012f_ff10 {
            // A return on a condition ends the search too.
            if is_always { self.left(rm) } else { InstructionFlow::Return }
        } else if word & 0xfff0_00f0 == 0xe7f0_00f0 {
            InstructionFlow::Trap
        } else if word & 0x0e10_8000 == 0x0810_8000 {
            InstructionFlow::Return
        } else if word & 0x0c10_f000 == 0x0410_f000 && word & 0x0200_0010 != 0x0200_0010 {
            if rn == SP {
                InstructionFlow::Return
            } else {
                InstructionFlow::Leave { callee: Callee::Unknown, arguments: self.arguments() }
            }
        } else if word & 0x0c00_f000 == 0x0000_f000 && word & 0x0200_0090 != 0x0000_0090 && !is_test {
            if word & 0x0fff_0fff == 0x01a0_000e { InstructionFlow::Return } else { self.left(PC) }
        } else {
            if let Some(setter) = FlagSetter::of_arm(word) {
                self.compare(setter);
            }
            // A comparison has no destination.
            let compares = is_test && word & 0x0c10_0000 == 0x0010_0000;
            let value = self.value_of_arm(word, code, here).filter(|_| is_always);
            // Loads of words and bytes, halfwords and pairs, and lists. Values on the stack are the function's own.
            let is_load = word & 0x0c10_0000 == 0x0410_0000
                || word & 0x0e10_0090 == 0x0010_0090
                || word & 0x0e10_0000 == 0x0810_0000;
            let is_memory = if is_load { rn != SP } else { [rn, rm].iter().any(|at| self.values[*at].is_memory()) };
            let other = if is_memory { ArmValue::Memory } else { ArmValue::Unknown };
            match value {
                Some(value) => self.values[rd] = value,
                None if compares => {}
                // A store changes no register but its base.
                None if word & 0x0e10_0000 == 0x0800_0000 || word & 0x0c10_0000 == 0x0400_0000 => {
                    self.values[rn] = ArmValue::Unknown;
                }
                None => (self.values[rd], self.values[rn]) = (other, ArmValue::Unknown),
            }
            InstructionFlow::Next
        };
        let needs = needs_of_arm(word).map(|(feature, _)| feature);
        Some(DecodedStep {
            next: u64::from(at.wrapping_add(4)),
            flow,
            needs,
            queries_cpu: false,
            test: None,
            stores: None,
            numbers: 0,
        })
    }

    /// The value that an instruction of the Arm set writes into its destination, if it is known.
    fn value_of_arm(&self, word: u32, code: &[u8], here: u32) -> Option<ArmValue> {
        let register = |shift: u32| match (word >> shift & 15) as usize {
            PC => ArmValue::Constant(here),
            register => self.values[register],
        };
        let (rn, rm) = (register(16), register(0));
        let rotated = (word & 0xff).rotate_right(word >> 7 & 0x1e);
        let offset = if word >> 23 & 1 == 1 { word & 0xfff } else { (word & 0xfff).wrapping_neg() };
        let half = word >> 4 & 0xf000 | word & 0xfff;
        match () {
            // ldr rd, [pc, #n]: the literal is part of the code.
            () if word & 0x0f7f_0000 == 0x051f_0000 => word_at(code, 8u32.wrapping_add(offset)).map(ArmValue::Constant),
            () if word & 0x0f7f_0000 == 0x051d_0000 => None,
            () if word & 0x0f70_0000 == 0x0510_0000 => Some(rn.plus(ArmValue::Constant(offset)).loaded()),
            () if word & 0x0ff0_0ff0 == 0x0790_0000 => Some(rn.plus(rm).loaded()),
            () if word & 0x0ff0_0ff0 == 0x0080_0000 => Some(rn.plus(rm)),
            () if word & 0x0ff0_0000 == 0x0280_0000 => Some(rn.plus(ArmValue::Constant(rotated))),
            () if word & 0x0ff0_0000 == 0x0240_0000 => Some(rn.plus(ArmValue::Constant(rotated.wrapping_neg()))),
            () if word & 0x0fff_0ff0 == 0x01a0_0000 => Some(rm),
            () if word & 0x0fff_0000 == 0x03a0_0000 => Some(ArmValue::Constant(rotated)),
            () if word & 0x0ff0_0000 == 0x0300_0000 => Some(ArmValue::Constant(half)),
            () if word & 0x0ff0_0000 == 0x0340_0000 => Some(match self.values[(word >> 12 & 15) as usize] {
                ArmValue::Constant(low) => ArmValue::Constant(low & 0xffff | half << 16),
                ArmValue::Slot(_) | ArmValue::Unknown | ArmValue::Memory => ArmValue::Unknown,
            }),
            () => None,
        }
    }

    fn step_thumb(&mut self, code: &[u8], at: u32) -> Option<DecodedStep> {
        let instruction = Thumb::read(code)?;
        let is_guarded = self.guarded > 0;
        self.guarded = self.guarded.saturating_sub(1);
        let setter = match instruction {
            Thumb::Short(half) => FlagSetter::of_short(u32::from(half), is_guarded),
            Thumb::Long(word) => FlagSetter::of_long(word),
        };
        if let Some(setter) = setter {
            self.compare(if is_guarded { FlagSetter::Other } else { setter });
        }
        let (len, flow) = match instruction {
            Thumb::Short(half) => (2, self.flow_of_short(u32::from(half), code, at)),
            Thumb::Long(word) => (4, self.flow_of_long(word, code, at)),
        };
        let flow = match flow {
            InstructionFlow::Jump(target) if is_guarded => {
                InstructionFlow::Branch { target, guard: BranchGuard::Perhaps }
            }
            // A return or a call on a condition.
            InstructionFlow::Leave { .. } | InstructionFlow::Trap if is_guarded => InstructionFlow::Return,
            InstructionFlow::Call { .. } if is_guarded => InstructionFlow::Next,
            flow => flow,
        };
        let needs = needs_of_thumb(instruction).filter(|_| !is_guarded).map(|(feature, _)| feature);
        Some(DecodedStep {
            next: thumb_address(at.wrapping_add(len)),
            flow,
            needs,
            queries_cpu: false,
            test: None,
            stores: None,
            numbers: 0,
        })
    }

    fn flow_of_short(&mut self, half: u32, code: &[u8], at: u32) -> InstructionFlow {
        let here = at.wrapping_add(4);
        let (high, rm) = ((half >> 4 & 8 | half & 7) as usize, (half >> 3 & 15) as usize);
        let operand = |values: &[ArmValue; 16], register: usize| match register {
            PC => ArmValue::Constant(here),
            register => values[register],
        };
        let (low, middle, upper) = ((half & 7) as usize, (half >> 3 & 7) as usize, (half >> 8 & 7) as usize);
        let (rd, value) = match () {
            () if half & 0xf000 == 0xd000 && half >> 8 & 15 < 14 => {
                let target = thumb_address(here.wrapping_add(signed(half & 0xff, 8, 2)));
                return InstructionFlow::Branch { target, guard: self.flags.guard(half >> 8 & 15) };
            }
            () if half & 0xff00 == 0xde00 => return InstructionFlow::Trap,
            () if half & 0xf800 == 0xe000 => {
                return InstructionFlow::Jump(thumb_address(here.wrapping_add(signed(half & 0x7ff, 11, 2))));
            }
            () if half & 0xf500 == 0xb100 => {
                let target = here.wrapping_add(half >> 3 & 0x40 | half >> 2 & 0x3e);
                return InstructionFlow::Branch { target: thumb_address(target), guard: BranchGuard::Perhaps };
            }
            // bx pc: continues as Arm code.
            () if half == 0x4778 => return InstructionFlow::Jump(u64::from(here & !3)),
            () if half & 0xff87 == 0x4700 => return self.left(rm),
            () if half & 0xff87 == 0x4780 => return self.called(self.values[rm].pointer()),
            () if half & 0xff00 == 0xbd00 => return InstructionFlow::Return,
            () if half & 0xff00 == 0xbf00 => {
                self.guarded = if half & 15 == 0 { 0 } else { 4 - (half & 15).trailing_zeros() };
                return InstructionFlow::Next;
            }
            () if half & 0xff00 == 0x4600 || half & 0xff00 == 0x4400 => {
                if high == PC {
                    return if half & 0xff00 == 0x4600 { self.left(rm) } else { self.left(PC) };
                }
                let moved = operand(&self.values, rm);
                (high, if half & 0xff00 == 0x4600 { moved } else { self.values[high].plus(moved) })
            }
            () if half & 0xf800 == 0x4800 => {
                let literal = (here & !3).wrapping_add((half & 0xff) * 4).wrapping_sub(at);
                (upper, word_at(code, literal).map_or(ArmValue::Unknown, ArmValue::Constant))
            }
            () if half & 0xf800 == 0xa000 => (upper, ArmValue::Constant((here & !3).wrapping_add((half & 0xff) * 4))),
            () if half & 0xf800 == 0x2000 => (upper, ArmValue::Constant(half & 0xff)),
            () if half & 0xfe00 == 0x5800 => {
                (low, self.values[middle].plus(self.values[(half >> 6 & 7) as usize]).loaded())
            }
            () if half & 0xf800 == 0x6800 => {
                (low, self.values[middle].plus(ArmValue::Constant(half >> 4 & 0x7c)).loaded())
            }
            // push and stores change no register that is tracked.
            () if half & 0xfe00 == 0xb400 || half & 0xf800 == 0x6000 || half & 0xf800 == 0x9000 => {
                return InstructionFlow::Next;
            }
            () => {
                // Loads of bytes and halfwords, and loads with two registers. `ldr` from the stack is not among them.
                let is_load = matches!(half >> 12, 5 | 7 | 8);
                let is_memory = is_load || [low, middle, upper].iter().any(|at| self.values[*at].is_memory());
                self.values[upper] = ArmValue::Unknown;
                (low, if is_memory { ArmValue::Memory } else { ArmValue::Unknown })
            }
        };
        self.values[rd] = value;
        InstructionFlow::Next
    }

    fn flow_of_long(&mut self, word: u32, code: &[u8], at: u32) -> InstructionFlow {
        let here = at.wrapping_add(4);
        let sign = word >> 26 & 1;
        let bits = |bit: u32| !(word >> bit ^ sign) & 1;
        let far = sign << 24 | bits(13) << 23 | bits(11) << 22 | (word >> 16 & 0x3ff) << 12 | (word & 0x7ff) << 1;
        let far = here.wrapping_add(signed(far, 25, 1));
        let (rn, rt, rd, rm) =
            ((word >> 16 & 15) as usize, (word >> 12 & 15) as usize, (word >> 8 & 15) as usize, (word & 15) as usize);
        let half = word >> 4 & 0xf000 | word >> 15 & 0x800 | word >> 4 & 0x700 | word & 0xff;
        let (to, value) = match () {
            () if word & 0xf800_d000 == 0xf000_d000 => return self.called(Callee::At(thumb_address(far))),
            () if word & 0xf800_d000 == 0xf000_c000 => {
                let from_aligned = far.wrapping_sub(here & 3) & !3;
                return self.called(Callee::At(u64::from(from_aligned)));
            }
            () if word & 0xf800_d000 == 0xf000_9000 => return InstructionFlow::Jump(thumb_address(far)),
            () if word & 0xfff0_f000 == 0xf7f0_a000 => return InstructionFlow::Trap,
            () if word & 0xf800_d000 == 0xf000_8000 && word >> 22 & 15 < 14 => {
                let near = sign << 20 | (word >> 11 & 1) << 19 | (word >> 13 & 1) << 18;
                let near = near | (word >> 16 & 0x3f) << 12 | (word & 0x7ff) << 1;
                let target = thumb_address(here.wrapping_add(signed(near, 21, 1)));
                return InstructionFlow::Branch { target, guard: self.flags.guard(word >> 22 & 15) };
            }
            // tbb, tbh
            () if word & 0xfff0_ffe0 == 0xe8d0_f000 => return self.left(PC),
            () if word & 0xff70_f000 == 0xf850_f000 && rn == SP => return InstructionFlow::Return,
            () if word & 0xff70_f000 == 0xf850_f000 => return self.left(PC),
            () if matches!(word & 0xffd0_8000, 0xe890_8000 | 0xe910_8000) => return InstructionFlow::Return,
            () if word & 0xfbf0_8000 == 0xf240_0000 => (rd, ArmValue::Constant(half)),
            () if word & 0xfbf0_8000 == 0xf2c0_0000 => (
                rd,
                match self.values[rd] {
                    ArmValue::Constant(low) => ArmValue::Constant(low & 0xffff | half << 16),
                    ArmValue::Slot(_) | ArmValue::Unknown | ArmValue::Memory => ArmValue::Unknown,
                },
            ),
            () if word & 0xffff_0000 == 0xf8df_0000 => {
                let literal = (here & !3).wrapping_add(word & 0xfff).wrapping_sub(at);
                (rt, word_at(code, literal).map_or(ArmValue::Unknown, ArmValue::Constant))
            }
            () if word & 0xfff0_0ff0 == 0xf850_0000 => (rt, self.values[rn].plus(self.values[rm]).loaded()),
            () if word & 0xfff0_0000 == 0xf8d0_0000 && rn != SP => {
                (rt, self.values[rn].plus(ArmValue::Constant(word & 0xfff)).loaded())
            }
            () => {
                let is_load = matches!(word & 0xfe10_0000, 0xf810_0000 | 0xe810_0000) && rn != SP;
                let is_memory = is_load || [rn, rm].iter().any(|at| self.values[*at].is_memory());
                let value = if is_memory { ArmValue::Memory } else { ArmValue::Unknown };
                self.values[rt] = value;
                (rd, value)
            }
        };
        self.values[to] = value;
        InstructionFlow::Next
    }
}

impl ArmDecoder {
    /// The instruction at `address`. `None` if the bytes are not an instruction.
    pub fn step(&mut self, code: &[u8], address: u64) -> Option<DecodedStep> {
        let at = u32::try_from(address & !1).ok()?;
        if address & 1 == 1 { self.step_thumb(code, at) } else { self.step_arm(code, at) }
    }
}

/// The name of an instruction that needs a feature.
pub fn mnemonic(code: &[u8], address: u64) -> String {
    let need = match address & 1 {
        1 => Thumb::read(code).and_then(needs_of_thumb),
        _ => word_at(code, 0).and_then(needs_of_arm),
    };
    need.map_or(String::new(), |(_, name)| name.to_string())
}

/// The slot of a PLT entry: `add ip, pc, #n; add ip, ip, #n; ldr pc, [ip, #n]!`, after `bx pc; nop` in Thumb code.
pub fn stub(code: &[u8], address: u64) -> Option<u64> {
    if address & 1 == 1 {
        let jump = u32::from_le_bytes(code.get(..4)?.try_into().ok()?);
        return (jump == 0x46c0_4778).then(|| stub(code.get(4..)?, (address & !1) + 4)).flatten();
    }
    let (first, second, load) = (word_at(code, 0)?, word_at(code, 4)?, word_at(code, 8)?);
    if first & 0xffff_f000 != 0xe28f_c000 || second & 0xffff_f000 != 0xe28c_c000 || load & 0xffff_f000 != 0xe5bc_f000 {
        return None;
    }
    let rotated = |word: u32| (word & 0xff).rotate_right((word >> 8 & 15) << 1);
    let start = u32::try_from(address).ok()?.wrapping_add(8);
    Some(u64::from(start.wrapping_add(rotated(first)).wrapping_add(rotated(second)).wrapping_add(load & 0xfff)))
}
