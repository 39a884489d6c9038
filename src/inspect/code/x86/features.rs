//! The CPU features that x86-64 instructions need.

use std::sync::LazyLock;

use iced_x86::{Code, CpuidFeature, Instruction, Mnemonic};

use crate::platform::CpuFeature;

/// The feature without which a CPU raises #UD. Older CPUs run `tzcnt`, `lzcnt`, `endbr64` and the like as other
/// instructions.
pub fn needs(instruction: &Instruction) -> Option<CpuFeature> {
    static NEEDS: LazyLock<Vec<Option<CpuFeature>>> = LazyLock::new(|| Code::values().map(needs_of).collect());
    NEEDS[instruction.code() as usize]
}

fn needs_of(code: Code) -> Option<CpuFeature> {
    if matches!(code.mnemonic(), Mnemonic::Tzcnt | Mnemonic::Lzcnt) {
        return None;
    }
    let features = code.cpuid_features();
    let found = features.iter().filter_map(|feature| match feature {
        CpuidFeature::SSE3 => Some(CpuFeature::Sse3),
        CpuidFeature::SSSE3 => Some(CpuFeature::Ssse3),
        CpuidFeature::SSE4_1 => Some(CpuFeature::Sse41),
        CpuidFeature::SSE4_2 => Some(CpuFeature::Sse42),
        CpuidFeature::SSE4A => Some(CpuFeature::Sse4a),
        CpuidFeature::POPCNT => Some(CpuFeature::Popcnt),
        CpuidFeature::CMPXCHG16B => Some(CpuFeature::Cx16),
        CpuidFeature::AVX => Some(CpuFeature::Avx),
        CpuidFeature::AVX2 => Some(CpuFeature::Avx2),
        CpuidFeature::BMI1 => Some(CpuFeature::Bmi1),
        CpuidFeature::BMI2 => Some(CpuFeature::Bmi2),
        CpuidFeature::F16C => Some(CpuFeature::F16c),
        CpuidFeature::FMA => Some(CpuFeature::Fma),
        CpuidFeature::FMA4 => Some(CpuFeature::Fma4),
        CpuidFeature::XOP => Some(CpuFeature::Xop),
        CpuidFeature::MOVBE => Some(CpuFeature::Movbe),
        CpuidFeature::ADX => Some(CpuFeature::Adx),
        CpuidFeature::AES => Some(CpuFeature::Aesni),
        CpuidFeature::PCLMULQDQ => Some(CpuFeature::Pclmulqdq),
        CpuidFeature::SHA => Some(CpuFeature::ShaNi),
        CpuidFeature::AVX512F => Some(CpuFeature::Avx512f),
        CpuidFeature::AVX512BW => Some(CpuFeature::Avx512bw),
        CpuidFeature::AVX512CD => Some(CpuFeature::Avx512cd),
        CpuidFeature::AVX512DQ => Some(CpuFeature::Avx512dq),
        CpuidFeature::AVX512VL => Some(CpuFeature::Avx512vl),
        CpuidFeature::AMX_TILE | CpuidFeature::AMX_INT8 | CpuidFeature::AMX_BF16 => Some(CpuFeature::Amx),
        _ => None,
    });
    found.max_by_key(|feature| (matches!(feature.since(), crate::platform::feature::Since::Never), *feature))
}
