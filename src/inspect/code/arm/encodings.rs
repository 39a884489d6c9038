//! The 32-bit Arm instructions that need more than ARMv4T, in both instruction sets.

use crate::platform::CpuFeature;

type Need = (CpuFeature, &'static str);

struct ArmEncoding(u32, u32, CpuFeature, &'static str);

/// Encodings of the Arm instruction set whose condition is 1111.
#[rustfmt::skip]
const UNCONDITIONAL: &[ArmEncoding] = &[
    ArmEncoding(0xffff_fff0, 0xf57f_f040, CpuFeature::Armv7, "dsb"),
    ArmEncoding(0xffff_fff0, 0xf57f_f050, CpuFeature::Armv7, "dmb"),
    ArmEncoding(0xffff_fff0, 0xf57f_f060, CpuFeature::Armv7, "isb"),
    ArmEncoding(0xff70_f000, 0xf450_f000, CpuFeature::Armv7, "pli"),
    ArmEncoding(0xff10_0000, 0xf400_0000, CpuFeature::Neon, "vld1"),
    ArmEncoding(0xff80_0f10, 0xf200_0c10, CpuFeature::Vfp4, "vfma"),
    ArmEncoding(0xffbf_0ed0, 0xf3b6_0600, CpuFeature::VfpHalf, "vcvt"),
    ArmEncoding(0xffb3_0f10, 0xf3b0_0300, CpuFeature::Armv8, "aese"),
    ArmEncoding(0xff80_0f10, 0xf300_0f10, CpuFeature::Armv8, "vmaxnm"),
    ArmEncoding(0xfe00_0000, 0xf200_0000, CpuFeature::Neon, "neon"),
    ArmEncoding(0xff00_0e10, 0xfe00_0a00, CpuFeature::Armv8, "vsel"),
    ArmEncoding(0xffff_fdff, 0xf101_0000, CpuFeature::Armv6, "setend"),
];

/// Encodings of the Arm instruction set with a condition, which is not compared.
#[rustfmt::skip]
const CONDITIONAL: &[ArmEncoding] = &[
    ArmEncoding(0x0ff0_0000, 0x0300_0000, CpuFeature::Thumb2, "movw"),
    ArmEncoding(0x0ff0_0000, 0x0340_0000, CpuFeature::Thumb2, "movt"),
    ArmEncoding(0x0ff0_00f0, 0x0060_0090, CpuFeature::Thumb2, "mls"),
    ArmEncoding(0x0fe0_007f, 0x07c0_001f, CpuFeature::Thumb2, "bfc"),
    ArmEncoding(0x0fe0_0070, 0x07c0_0010, CpuFeature::Thumb2, "bfi"),
    ArmEncoding(0x0fe0_0070, 0x07a0_0050, CpuFeature::Thumb2, "sbfx"),
    ArmEncoding(0x0fe0_0070, 0x07e0_0050, CpuFeature::Thumb2, "ubfx"),
    ArmEncoding(0x0fff_0ff0, 0x06ff_0f30, CpuFeature::Thumb2, "rbit"),
    ArmEncoding(0x0ff0_f0f0, 0x0710_f010, CpuFeature::Idiv, "sdiv"),
    ArmEncoding(0x0ff0_f0f0, 0x0730_f010, CpuFeature::Idiv, "udiv"),
    ArmEncoding(0x0f90_0df0, 0x0190_0c90, CpuFeature::Armv8, "lda"),
    ArmEncoding(0x0f90_0df0, 0x0180_0c90, CpuFeature::Armv8, "stl"),
    ArmEncoding(0x0f90_0ff0, 0x0190_0f90, CpuFeature::Armv6, "ldrex"),
    ArmEncoding(0x0f90_0ff0, 0x0180_0f90, CpuFeature::Armv6, "strex"),
    ArmEncoding(0x0ff0_00f0, 0x0040_0090, CpuFeature::Armv6, "umaal"),
    ArmEncoding(0x0fff_0ff0, 0x06bf_0f30, CpuFeature::Armv6, "rev"),
    ArmEncoding(0x0fff_03f0, 0x06af_0070, CpuFeature::Armv6, "sxtb"),
    ArmEncoding(0x0fff_03f0, 0x06bf_0070, CpuFeature::Armv6, "sxth"),
    ArmEncoding(0x0fff_03f0, 0x06ef_0070, CpuFeature::Armv6, "uxtb"),
    ArmEncoding(0x0fff_03f0, 0x06ff_0070, CpuFeature::Armv6, "uxth"),
    ArmEncoding(0x0f90_0df0, 0x0100_0040, CpuFeature::Armv8, "crc32"),
    // VFP: coprocessors 10 and 11.
    ArmEncoding(0x0fbe_0f50, 0x0eb2_0a40, CpuFeature::VfpHalf, "vcvtb"),
    ArmEncoding(0x0fb0_0e50, 0x0eb0_0a00, CpuFeature::Vfp3, "vmov"),
    ArmEncoding(0x0fba_0e50, 0x0eba_0a40, CpuFeature::Vfp3, "vcvt"),
    ArmEncoding(0x0fb0_0e10, 0x0ea0_0a00, CpuFeature::Vfp4, "vfma"),
    ArmEncoding(0x0fb0_0e10, 0x0e90_0a00, CpuFeature::Vfp4, "vfnma"),
    // The registers d16 to d31, which CPUs without NEON lack too.
    ArmEncoding(0x0f70_0f00, 0x0d50_0b00, CpuFeature::Neon, "vldr"),
    ArmEncoding(0x0f70_0f00, 0x0d40_0b00, CpuFeature::Neon, "vstr"),
    ArmEncoding(0x0ff0_0e10, 0x0ef0_0a10, CpuFeature::Vfp, "vmrs"),
    ArmEncoding(0x0ff0_0e10, 0x0ee0_0a10, CpuFeature::Vfp, "vmsr"),
    ArmEncoding(0x0fbf_0e00, 0x0d2d_0a00, CpuFeature::Vfp, "vpush"),
    ArmEncoding(0x0f30_0e00, 0x0d10_0a00, CpuFeature::Vfp, "vldr"),
    ArmEncoding(0x0f30_0e00, 0x0d00_0a00, CpuFeature::Vfp, "vstr"),
    ArmEncoding(0x0e00_0e00, 0x0c00_0a00, CpuFeature::Vfp, "vldm"),
    ArmEncoding(0x0f00_0e10, 0x0e00_0a10, CpuFeature::Vfp, "vmov"),
    ArmEncoding(0x0f00_0e10, 0x0e00_0a00, CpuFeature::Vfp, "vfp"),
];

/// 32-bit encodings of the Thumb instruction set that have no counterpart in [`CONDITIONAL`].
#[rustfmt::skip]
const THUMB: &[ArmEncoding] = &[
    ArmEncoding(0xfff0_f0f0, 0xfb90_f0f0, CpuFeature::Idiv, "sdiv"),
    ArmEncoding(0xfff0_f0f0, 0xfbb0_f0f0, CpuFeature::Idiv, "udiv"),
    ArmEncoding(0xfff0_0f80, 0xe8d0_0f80, CpuFeature::Armv8, "lda"),
    ArmEncoding(0xfff0_0f80, 0xe8c0_0f80, CpuFeature::Armv8, "stl"),
    ArmEncoding(0xffe0_f0c0, 0xfac0_f080, CpuFeature::Armv8, "crc32"),
    ArmEncoding(0xff10_0000, 0xf900_0000, CpuFeature::Neon, "vld1"),
    ArmEncoding(0xff80_0f10, 0xef00_0c10, CpuFeature::Vfp4, "vfma"),
    ArmEncoding(0xffbf_0ed0, 0xffb6_0600, CpuFeature::VfpHalf, "vcvt"),
    ArmEncoding(0xffb3_0f10, 0xffb0_0300, CpuFeature::Armv8, "aese"),
    ArmEncoding(0xff80_0f10, 0xff00_0f10, CpuFeature::Armv8, "vmaxnm"),
    ArmEncoding(0xef00_0000, 0xef00_0000, CpuFeature::Neon, "neon"),
    ArmEncoding(0xfbef_8000, 0xf04f_0000, CpuFeature::Thumb2, "mov.w"),
    ArmEncoding(0xfbf0_8000, 0xf240_0000, CpuFeature::Thumb2, "movw"),
    ArmEncoding(0xfbf0_8000, 0xf2c0_0000, CpuFeature::Thumb2, "movt"),
    ArmEncoding(0xffff_0000, 0xe92d_0000, CpuFeature::Thumb2, "stmdb"),
    ArmEncoding(0xff70_0000, 0xf850_0000, CpuFeature::Thumb2, "ldr.w"),
    ArmEncoding(0xff70_0000, 0xf840_0000, CpuFeature::Thumb2, "str.w"),
    ArmEncoding(0xffff_fff0, 0xf3bf_8f50, CpuFeature::Thumb2, "dmb"),
    ArmEncoding(0xffff_ffff, 0xf3af_8000, CpuFeature::Thumb2, "nop.w"),
    ArmEncoding(0xf800_d000, 0xf000_8000, CpuFeature::Thumb2, "b.w"),
    ArmEncoding(0xf800_d000, 0xf000_9000, CpuFeature::Thumb2, "b.w"),
    ArmEncoding(0xffd0_0000, 0xe880_0000, CpuFeature::Thumb2, "stmia.w"),
    ArmEncoding(0xffd0_0000, 0xe890_0000, CpuFeature::Thumb2, "ldmia.w"),
    ArmEncoding(0xffd0_0000, 0xe900_0000, CpuFeature::Thumb2, "stmdb"),
    ArmEncoding(0xffd0_0000, 0xe910_0000, CpuFeature::Thumb2, "ldmdb"),
    ArmEncoding(0xfff0_0000, 0xe840_0000, CpuFeature::Thumb2, "strex"),
    ArmEncoding(0xfff0_0f00, 0xe850_0f00, CpuFeature::Thumb2, "ldrex"),
    ArmEncoding(0xfff0_fff0, 0xe8d0_f000, CpuFeature::Thumb2, "tbb"),
    ArmEncoding(0xfff0_fff0, 0xe8d0_f010, CpuFeature::Thumb2, "tbh"),
    ArmEncoding(0xfff0_0ff0, 0xe8d0_0f40, CpuFeature::Thumb2, "ldrexb"),
    ArmEncoding(0xfff0_0ff0, 0xe8d0_0f50, CpuFeature::Thumb2, "ldrexh"),
    ArmEncoding(0xfff0_00f0, 0xe8d0_0070, CpuFeature::Thumb2, "ldrexd"),
    ArmEncoding(0xfff0_0ff0, 0xe8c0_0f40, CpuFeature::Thumb2, "strexb"),
    ArmEncoding(0xfff0_0ff0, 0xe8c0_0f50, CpuFeature::Thumb2, "strexh"),
    ArmEncoding(0xfff0_00f0, 0xe8c0_0070, CpuFeature::Thumb2, "strexd"),
    ArmEncoding(0xfe50_0000, 0xe840_0000, CpuFeature::Thumb2, "strd"),
    ArmEncoding(0xfe50_0000, 0xe850_0000, CpuFeature::Thumb2, "ldrd"),
    // Data processing with a shifted register, then with an immediate.
    ArmEncoding(0xffe0_8f00, 0xea00_0f00, CpuFeature::Thumb2, "tst.w"),
    ArmEncoding(0xffe0_8000, 0xea00_0000, CpuFeature::Thumb2, "and.w"),
    ArmEncoding(0xffe0_8000, 0xea20_0000, CpuFeature::Thumb2, "bic.w"),
    ArmEncoding(0xffef_f0f0, 0xea4f_0000, CpuFeature::Thumb2, "mov.w"),
    ArmEncoding(0xffef_8030, 0xea4f_0000, CpuFeature::Thumb2, "lsl.w"),
    ArmEncoding(0xffef_8030, 0xea4f_0010, CpuFeature::Thumb2, "lsr.w"),
    ArmEncoding(0xffef_8030, 0xea4f_0020, CpuFeature::Thumb2, "asr.w"),
    ArmEncoding(0xffef_8030, 0xea4f_0030, CpuFeature::Thumb2, "ror.w"),
    ArmEncoding(0xffe0_8000, 0xea40_0000, CpuFeature::Thumb2, "orr.w"),
    ArmEncoding(0xffef_8000, 0xea6f_0000, CpuFeature::Thumb2, "mvn.w"),
    ArmEncoding(0xffe0_8000, 0xea60_0000, CpuFeature::Thumb2, "orn"),
    ArmEncoding(0xfff0_8f00, 0xea90_0f00, CpuFeature::Thumb2, "teq"),
    ArmEncoding(0xffe0_8000, 0xea80_0000, CpuFeature::Thumb2, "eor.w"),
    ArmEncoding(0xffe0_8010, 0xeac0_0000, CpuFeature::Thumb2, "pkhbt"),
    ArmEncoding(0xfff0_8f00, 0xeb10_0f00, CpuFeature::Thumb2, "cmn.w"),
    ArmEncoding(0xffe0_8000, 0xeb00_0000, CpuFeature::Thumb2, "add.w"),
    ArmEncoding(0xffe0_8000, 0xeb40_0000, CpuFeature::Thumb2, "adc.w"),
    ArmEncoding(0xffe0_8000, 0xeb60_0000, CpuFeature::Thumb2, "sbc.w"),
    ArmEncoding(0xfff0_8f00, 0xebb0_0f00, CpuFeature::Thumb2, "cmp.w"),
    ArmEncoding(0xffe0_8000, 0xeba0_0000, CpuFeature::Thumb2, "sub.w"),
    ArmEncoding(0xffe0_8000, 0xebc0_0000, CpuFeature::Thumb2, "rsb"),
    ArmEncoding(0xfbf0_8f00, 0xf010_0f00, CpuFeature::Thumb2, "tst.w"),
    ArmEncoding(0xfbe0_8000, 0xf000_0000, CpuFeature::Thumb2, "and.w"),
    ArmEncoding(0xfbe0_8000, 0xf020_0000, CpuFeature::Thumb2, "bic.w"),
    ArmEncoding(0xfbe0_8000, 0xf040_0000, CpuFeature::Thumb2, "orr.w"),
    ArmEncoding(0xfbef_8000, 0xf06f_0000, CpuFeature::Thumb2, "mvn.w"),
    ArmEncoding(0xfbe0_8000, 0xf060_0000, CpuFeature::Thumb2, "orn"),
    ArmEncoding(0xfbf0_8f00, 0xf090_0f00, CpuFeature::Thumb2, "teq"),
    ArmEncoding(0xfbe0_8000, 0xf080_0000, CpuFeature::Thumb2, "eor.w"),
    ArmEncoding(0xfbf0_8f00, 0xf110_0f00, CpuFeature::Thumb2, "cmn.w"),
    ArmEncoding(0xfbe0_8000, 0xf100_0000, CpuFeature::Thumb2, "add.w"),
    ArmEncoding(0xfbe0_8000, 0xf140_0000, CpuFeature::Thumb2, "adc.w"),
    ArmEncoding(0xfbe0_8000, 0xf160_0000, CpuFeature::Thumb2, "sbc.w"),
    ArmEncoding(0xfbf0_8f00, 0xf1b0_0f00, CpuFeature::Thumb2, "cmp.w"),
    ArmEncoding(0xfbe0_8000, 0xf1a0_0000, CpuFeature::Thumb2, "sub.w"),
    ArmEncoding(0xfbe0_8000, 0xf1c0_0000, CpuFeature::Thumb2, "rsb"),
    ArmEncoding(0xfbf0_8000, 0xf200_0000, CpuFeature::Thumb2, "addw"),
    ArmEncoding(0xfbf0_8000, 0xf2a0_0000, CpuFeature::Thumb2, "subw"),
    ArmEncoding(0xfff0_8020, 0xf340_0000, CpuFeature::Thumb2, "sbfx"),
    ArmEncoding(0xffff_8020, 0xf36f_0000, CpuFeature::Thumb2, "bfc"),
    ArmEncoding(0xfff0_8020, 0xf360_0000, CpuFeature::Thumb2, "bfi"),
    ArmEncoding(0xfff0_8020, 0xf3c0_0000, CpuFeature::Thumb2, "ubfx"),
    // Loads and stores of one register.
    ArmEncoding(0xff70_f000, 0xf810_f000, CpuFeature::Thumb2, "pld"),
    ArmEncoding(0xff70_0000, 0xf800_0000, CpuFeature::Thumb2, "strb.w"),
    ArmEncoding(0xff70_0000, 0xf810_0000, CpuFeature::Thumb2, "ldrb.w"),
    ArmEncoding(0xff70_0000, 0xf820_0000, CpuFeature::Thumb2, "strh.w"),
    ArmEncoding(0xff70_0000, 0xf830_0000, CpuFeature::Thumb2, "ldrh.w"),
    ArmEncoding(0xff70_0000, 0xf910_0000, CpuFeature::Thumb2, "ldrsb.w"),
    ArmEncoding(0xff70_0000, 0xf930_0000, CpuFeature::Thumb2, "ldrsh.w"),
    // Data processing with registers, multiplications.
    ArmEncoding(0xffff_f080, 0xfa0f_f080, CpuFeature::Thumb2, "sxth.w"),
    ArmEncoding(0xffff_f080, 0xfa1f_f080, CpuFeature::Thumb2, "uxth.w"),
    ArmEncoding(0xffff_f080, 0xfa4f_f080, CpuFeature::Thumb2, "sxtb.w"),
    ArmEncoding(0xffff_f080, 0xfa5f_f080, CpuFeature::Thumb2, "uxtb.w"),
    ArmEncoding(0xffe0_f0f0, 0xfa00_f000, CpuFeature::Thumb2, "lsl.w"),
    ArmEncoding(0xffe0_f0f0, 0xfa20_f000, CpuFeature::Thumb2, "lsr.w"),
    ArmEncoding(0xffe0_f0f0, 0xfa40_f000, CpuFeature::Thumb2, "asr.w"),
    ArmEncoding(0xffe0_f0f0, 0xfa60_f000, CpuFeature::Thumb2, "ror.w"),
    ArmEncoding(0xfff0_f0f0, 0xfa90_f080, CpuFeature::Thumb2, "rev.w"),
    ArmEncoding(0xfff0_f0f0, 0xfa90_f0a0, CpuFeature::Thumb2, "rbit"),
    ArmEncoding(0xfff0_f0f0, 0xfab0_f080, CpuFeature::Thumb2, "clz"),
    ArmEncoding(0xfff0_f0f0, 0xfb00_f000, CpuFeature::Thumb2, "mul.w"),
    ArmEncoding(0xfff0_00f0, 0xfb00_0000, CpuFeature::Thumb2, "mla"),
    ArmEncoding(0xfff0_00f0, 0xfb00_0010, CpuFeature::Thumb2, "mls"),
    ArmEncoding(0xfff0_00f0, 0xfb80_0000, CpuFeature::Thumb2, "smull"),
    ArmEncoding(0xfff0_00f0, 0xfba0_0000, CpuFeature::Thumb2, "umull"),
    ArmEncoding(0xfff0_00f0, 0xfbc0_0000, CpuFeature::Thumb2, "smlal"),
    ArmEncoding(0xfff0_00f0, 0xfbe0_0000, CpuFeature::Thumb2, "umlal"),
    // Coprocessors.
    ArmEncoding(0xef10_0010, 0xee00_0010, CpuFeature::Thumb2, "mcr"),
    ArmEncoding(0xef10_0010, 0xee10_0010, CpuFeature::Thumb2, "mrc"),
    ArmEncoding(0xe000_0000, 0xe000_0000, CpuFeature::Thumb2, "a 32-bit Thumb instruction"),
];

fn first(rows: &[ArmEncoding], word: u32) -> Option<Need> {
    rows.iter()
        .find(|ArmEncoding(mask, value, ..)| word & mask == *value)
        .map(|ArmEncoding(_, _, feature, name)| (*feature, *name))
}

pub fn needs_of_arm(word: u32) -> Option<Need> {
    match word >> 28 {
        0xf => first(UNCONDITIONAL, word),
        0xe => first(CONDITIONAL, word),
        // A CPU may run an instruction whose condition is false as a no-op.
        _ => None,
    }
}

pub fn needs_of_thumb(instruction: Thumb) -> Option<Need> {
    match instruction {
        Thumb::Short(half) if half & 0xf500 == 0xb100 => Some((CpuFeature::Thumb2, "cbz")),
        Thumb::Short(half) if half & 0xff00 == 0xbf00 && half & 0xf != 0 => Some((CpuFeature::Thumb2, "it")),
        Thumb::Short(half) if half & 0xff00 == 0xba00 => Some((CpuFeature::Armv6, "rev")),
        Thumb::Short(half) if half & 0xff00 == 0xb200 => Some((CpuFeature::Armv6, "sxth")),
        Thumb::Short(_) => None,
        // BL and BLX are 32 bits long on every CPU.
        Thumb::Long(word) if word & 0xf800_c000 == 0xf000_c000 => None,
        Thumb::Long(word) => {
            let is_vfp = word & 0xfc00_0c00 == 0xec00_0800 || word & 0xff00_0e10 == 0xfe00_0a00;
            let vfp = is_vfp.then(|| needs_of_arm(word)).flatten();
            vfp.or_else(|| first(THUMB, word))
        }
    }
}

/// An instruction of the Thumb set: one halfword, or two with the first one in the high bits.
#[derive(Clone, Copy)]
pub enum Thumb {
    Short(u16),
    Long(u32),
}

impl Thumb {
    pub fn read(code: &[u8]) -> Option<Thumb> {
        let half = |at: usize| Some(u16::from_le_bytes(code.get(at..at + 2)?.try_into().ok()?));
        let first = half(0)?;
        if first >> 11 < 0b11101 {
            Some(Thumb::Short(first))
        } else {
            Some(Thumb::Long(u32::from(first) << 16 | u32::from(half(2)?)))
        }
    }
}

/// The word at this offset.
pub fn word_at(code: &[u8], at: u32) -> Option<u32> {
    let at = usize::try_from(at).ok()?;
    Some(u32::from_le_bytes(code.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumb_2_instruction_has_its_own_name() {
        for (word, expected) in [
            (0xe92d_4ff0, "stmdb"),   // push {r4-r11,lr}
            (0xe8bd_81f0, "ldmia.w"), // pop {r4-r8,pc}
            (0xe9cd_0100, "strd"),    // strd r0,r1,[sp]
            (0xea4f_0883, "lsl.w"),   // mov.w r8,r3,lsl #2
            (0xeb00_0802, "add.w"),   // add.w r8,r0,r2
            (0xf1b8_0f00, "cmp.w"),   // cmp.w r8,#0
            (0xf108_0801, "add.w"),   // add.w r8,r8,#1
            (0xf3c0_0207, "ubfx"),    // ubfx r2,r0,#0,#8
            (0xf895_3020, "ldrb.w"),  // ldrb.w r3,[r5,#32]
            (0xfab3_f383, "clz"),     // clz r3,r3
            (0xfba3_2302, "umull"),   // umull r2,r3,r3,r2
            (0xf3af_8000, "nop.w"),
        ] {
            assert_eq!(needs_of_thumb(Thumb::Long(word)), Some((CpuFeature::Thumb2, expected)), "{word:#010x}");
        }
    }

    #[test]
    fn every_encoding_can_match() {
        for ArmEncoding(mask, value, _, name) in [UNCONDITIONAL, CONDITIONAL, THUMB].into_iter().flatten() {
            assert_eq!(value & !mask, 0, "{name}: {value:#010x}");
        }
    }
}
