//! What sets the condition flags of 32-bit Arm, and whether a branch on them may depend on a CPU check.

use crate::inspect::code::steps::BranchGuard;

/// The kind of instruction that set the flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArmFlags {
    /// It may be a CPU check.
    #[default]
    Doubtful,
    /// A comparison of two values, a counter, or a comparison of floating-point numbers.
    Plain,
    /// A comparison with zero: of an error code if the sign bit decides, otherwise perhaps a CPU check.
    Sign,
}

impl ArmFlags {
    /// Whether a branch on this condition may depend on a CPU check. `mi`, `pl`, `ge` and `lt` test the sign bit.
    pub fn guard(self, condition: u32) -> BranchGuard {
        BranchGuard::perhaps(match self {
            ArmFlags::Doubtful => true,
            ArmFlags::Plain => false,
            ArmFlags::Sign => !matches!(condition, 4 | 5 | 10 | 11),
        })
    }
}

/// What sets the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagSetter {
    /// A comparison of a register with zero.
    Zero(usize),
    /// A comparison of two registers.
    Pair(usize, usize),
    /// An addition or subtraction whose result is kept.
    Count(usize),
    FloatingPoint,
    /// A comparison with another number, a test of bits, or another instruction.
    Other,
}

impl FlagSetter {
    /// Source: Arm ARM, A5.2: `vmrs apsr_nzcv, fpscr`, then data-processing instructions with S.
    pub fn of_arm(word: u32) -> Option<FlagSetter> {
        let (rn, rm) = ((word >> 16 & 15) as usize, (word & 15) as usize);
        if word & 0x0fff_ffff == 0x0ef1_fa10 {
            return Some(FlagSetter::FloatingPoint);
        }
        if word & 0x0c10_0000 != 0x0010_0000 || word & 0x0200_0090 == 0x0000_0090 {
            return None;
        }
        let has_number = word >> 25 & 1 == 1;
        Some(match word >> 21 & 15 {
            10 | 11 if word >> 28 != 0xe => FlagSetter::Other,
            10 | 11 if has_number && word & 0xff == 0 => FlagSetter::Zero(rn),
            10 | 11 if has_number => FlagSetter::Other,
            10 | 11 => FlagSetter::Pair(rn, rm),
            2..=7 if word >> 28 == 0xe => FlagSetter::Count(rn),
            _ => FlagSetter::Other,
        })
    }

    /// Source: Arm ARM, A6.2. In an IT block, only comparisons set the flags.
    pub fn of_short(half: u32, is_guarded: bool) -> Option<FlagSetter> {
        let (low, middle) = ((half & 7) as usize, (half >> 3 & 7) as usize);
        match () {
            () if half & 0xf8ff == 0x2800 => Some(FlagSetter::Zero((half >> 8 & 7) as usize)),
            () if half & 0xf800 == 0x2800 => Some(FlagSetter::Other),
            () if half & 0xffc0 == 0x4280 || half & 0xffc0 == 0x42c0 => Some(FlagSetter::Pair(low, middle)),
            () if half & 0xff00 == 0x4500 => {
                Some(FlagSetter::Pair((half >> 4 & 8 | half & 7) as usize, (half >> 3 & 15) as usize))
            }
            () if half & 0xffc0 == 0x4200 => Some(FlagSetter::Other),
            () if is_guarded => None,
            () if half & 0xf800 == 0x1800 => Some(FlagSetter::Count(middle)),
            () if half & 0xf000 == 0x3000 => Some(FlagSetter::Count((half >> 8 & 7) as usize)),
            () if half < 0x2800 || half & 0xfc00 == 0x4000 => Some(FlagSetter::Other),
            () => None,
        }
    }

    /// Source: Arm ARM, A6.3: data-processing instructions with S, which write to the PC if they only compare.
    pub fn of_long(word: u32) -> Option<FlagSetter> {
        let (rn, rm) = ((word >> 16 & 15) as usize, (word & 15) as usize);
        if word == 0xeef1_fa10 {
            return Some(FlagSetter::FloatingPoint);
        }
        let is_register = word & 0xfe10_0000 == 0xea10_0000;
        if !is_register && word & 0xfa10_8000 != 0xf010_0000 {
            return None;
        }
        Some(match (word >> 21 & 15, word >> 8 & 15) {
            (8 | 13, 15) if is_register => FlagSetter::Pair(rn, rm),
            (8 | 13, 15) if word & 0x0400_70ff == 0 => FlagSetter::Zero(rn),
            (8 | 13, 15) => FlagSetter::Other,
            (8 | 13 | 14, _) => FlagSetter::Count(rn),
            _ => FlagSetter::Other,
        })
    }
}
