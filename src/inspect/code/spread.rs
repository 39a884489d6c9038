//! Recognises x86-64 code that was compiled for a newer CPU as a whole, by samples from all of it. Code that selects by
//! CPU at run time has most instructions of each level, and the newest ones are not fewer than the older ones.

use std::collections::BTreeMap;

use iced_x86::{DecoderOptions, Instruction, Mnemonic};

use super::x86;
use crate::platform::CpuFeature;
use crate::platform::feature::Since;

/// Number and size of the samples.
const SAMPLES: u64 = 128;
const SAMPLE_BYTES: usize = 4096;
/// Smaller files consist of few functions, which a program may select by CPU as a whole.
const CODE_BYTES: u64 = 4 << 20;
/// Instructions at the start of a sample that may be decoded from the middle of one.
const UNSURE: usize = 16;
/// The share of the samples, in percent, that use AVX if a whole file is compiled for it.
const ALL_AVX: usize = 85;
/// The share that use an instruction between SSSE3 and SSE4.2, which only some functions need.
const ALL_SSE4: usize = 25;
/// Such code has at most this part of its samples with AVX.
const SELECTED_AVX: usize = 3;
/// The share of the samples with a feature, in percent, from which on it is reported.
const OFTEN: usize = 10;

/// The features that all of a file's code uses, each with the first instruction that was found.
/// `code` are the executable segments: address and bytes.
pub fn spread(code: &[(u64, &[u8])]) -> Vec<(CpuFeature, u64)> {
    let total: u64 = code.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    if total < CODE_BYTES {
        return Vec::new();
    }
    let mut found: BTreeMap<CpuFeature, (usize, u64)> = BTreeMap::new();
    let (mut avx, mut sse4) = (0, 0);
    for sample in 0..SAMPLES {
        let features = sample_at(code, total / SAMPLES * sample);
        avx += usize::from(features.contains_key(&CpuFeature::Avx));
        sse4 += usize::from(
            [CpuFeature::Ssse3, CpuFeature::Sse41, CpuFeature::Sse42]
                .iter()
                .any(|feature| features.contains_key(feature)),
        );
        for (feature, address) in features {
            found.entry(feature).or_insert((0, address)).0 += 1;
        }
    }
    let is_share = |count: usize, percent: usize| count * 100 >= percent * SAMPLES as usize;
    let level = match () {
        () if is_share(avx, ALL_AVX) => Since::X86(3),
        () if is_share(sse4, ALL_SSE4) && avx * SELECTED_AVX <= sse4 => Since::X86(2),
        () => return Vec::new(),
    };
    let often = found.into_iter().filter(|(feature, (count, _))| feature.since() == level && is_share(*count, OFTEN));
    often.map(|(feature, (_, address))| (feature, address)).collect()
}

/// The features of the instructions in the sample at this offset into the code.
fn sample_at(code: &[(u64, &[u8])], offset: u64) -> BTreeMap<CpuFeature, u64> {
    let mut features = BTreeMap::new();
    let mut offset = usize::try_from(offset).unwrap_or(usize::MAX);
    for (address, bytes) in code {
        if let Some(bytes) = bytes.get(offset..) {
            let bytes = &bytes[..bytes.len().min(SAMPLE_BYTES)];
            let start = address + offset as u64;
            let mut decoder = iced_x86::Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
            let mut instruction = Instruction::default();
            let mut count = 0;
            while decoder.can_decode() {
                decoder.decode_out(&mut instruction);
                count += 1;
                if count > UNSURE && instruction.mnemonic() != Mnemonic::INVALID {
                    let needs = x86::needs(&instruction);
                    needs.into_iter().for_each(|feature| _ = features.entry(feature).or_insert(instruction.ip()));
                }
            }
            break;
        }
        offset -= bytes.len();
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code whose first `percent` percent have one of `instructions` in every 1024 bytes. The rest is `nop`.
    fn code(percent: usize, instructions: &[&[u8]]) -> Vec<u8> {
        let mut code = vec![0x90; CODE_BYTES as usize];
        let blocks = code.len() / 1024 * percent / 100;
        for (number, block) in code.chunks_mut(1024).take(blocks).enumerate() {
            let instruction = instructions[number % instructions.len()];
            block[512..512 + instruction.len()].copy_from_slice(instruction);
        }
        code
    }

    const VXORPS: &[u8] = &[0xc5, 0xf8, 0x57, 0xc0];
    const PINSRQ: &[u8] = &[0x66, 0x48, 0x0f, 0x3a, 0x22, 0xc0, 1];

    fn features(code: &[u8]) -> Vec<CpuFeature> {
        spread(&[(0x1000, code)]).into_iter().map(|(feature, _)| feature).collect()
    }

    #[test]
    fn code_that_uses_a_feature_everywhere_is_recognised() {
        assert_eq!(features(&code(100, &[VXORPS])), [CpuFeature::Avx]);
        assert_eq!(features(&code(40, &[PINSRQ])), [CpuFeature::Sse41]);
        assert_eq!(spread(&[(0x1000, &code(40, &[PINSRQ]))])[0].1, 0x1000 + 512);
    }

    #[test]
    fn code_that_selects_functions_by_cpu_is_not() {
        assert_eq!(features(&code(70, &[VXORPS, PINSRQ])), []);
        assert_eq!(features(&code(20, &[PINSRQ])), []);
        assert_eq!(features(&code(100, &[VXORPS])[..1 << 20]), []);
    }
}
