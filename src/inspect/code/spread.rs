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
/// Libraries with variants for AVX: the shares of the other samples with such an instruction, and with POPCNT, if all code
/// outside the variants is compiled for x86-64-v2. Variants for SSE4 do not count bits: 24 % and none in SVT-AV1.
const BASE_SSE4: usize = 40;
const BASE_POPCNT: usize = 5;
/// The share of the samples that must be outside the variants.
const BASE: usize = 25;
/// The share of the samples with a feature, in percent, from which on it is reported.
const OFTEN: usize = 10;

/// The features that all of a file's code uses, each with the first instruction that was found.
/// `code` are the executable segments: address and bytes.
pub fn spread(code: &[(u64, &[u8])]) -> Vec<(CpuFeature, u64)> {
    let total: u64 = code.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    if total < CODE_BYTES {
        return Vec::new();
    }
    let sample = |number: u64| sample_at(code, total / SAMPLES * number);
    // A quarter of the samples shows most files that need neither AVX nor SSE4.
    let (some, rest): (Vec<u64>, Vec<u64>) = (0..SAMPLES).partition(|number| number % 4 == 0);
    let mut samples: Vec<(u64, Sample)> = some.into_iter().map(|number| (number, sample(number))).collect();
    if !samples.iter().any(|(_, features)| features.contains_key(&CpuFeature::Avx) || has_sse4(features)) {
        return Vec::new();
    }
    samples.extend(rest.into_iter().map(|number| (number, sample(number))));
    samples.sort_by_key(|(number, _)| *number);
    let samples = samples.into_iter().map(|(_, features)| features);
    let (avx, base): (Vec<Sample>, Vec<Sample>) = samples.partition(|features| features.contains_key(&CpuFeature::Avx));
    let sse4 = |samples: &[Sample]| samples.iter().filter(|features| has_sse4(features)).count();
    let popcnt = base.iter().filter(|features| features.contains_key(&CpuFeature::Popcnt)).count();
    let is_share = |count: usize, percent: usize, of: usize| count * 100 >= percent * of;
    let all = SAMPLES as usize;
    let everywhere = sse4(&avx) + sse4(&base);
    match () {
        () if is_share(avx.len(), ALL_AVX, all) => often(avx.iter().chain(&base), Since::X86(3)),
        () if is_share(everywhere, ALL_SSE4, all) && avx.len() * SELECTED_AVX <= everywhere => {
            often(base.iter().chain(&avx), Since::X86(2))
        }
        () if is_share(base.len(), BASE, all)
            && is_share(sse4(&base), BASE_SSE4, base.len())
            && is_share(popcnt, BASE_POPCNT, base.len()) =>
        {
            often(base.iter(), Since::X86(2))
        }
        () => Vec::new(),
    }
}

/// The features of a sample, each with the first instruction.
type Sample = BTreeMap<CpuFeature, u64>;

const SSE4: &[CpuFeature] = &[CpuFeature::Ssse3, CpuFeature::Sse41, CpuFeature::Sse42];

fn has_sse4(features: &Sample) -> bool {
    SSE4.iter().any(|feature| features.contains_key(feature))
}

/// The features of a level that many of the samples need.
fn often<'s>(samples: impl Iterator<Item = &'s Sample>, level: Since) -> Vec<(CpuFeature, u64)> {
    let mut found: BTreeMap<CpuFeature, (usize, u64)> = BTreeMap::new();
    for (feature, address) in samples.flatten() {
        let (count, first) = found.entry(*feature).or_insert((0, *address));
        (*count, *first) = (*count + 1, (*first).min(*address));
    }
    let is_often = |count: usize| count * 100 >= OFTEN * SAMPLES as usize;
    let often = found.into_iter().filter(|(feature, (count, _))| feature.since() == level && is_often(*count));
    often.map(|(feature, (_, address))| (feature, address)).collect()
}

/// The features of the instructions in the sample at this offset into the code.
fn sample_at(code: &[(u64, &[u8])], offset: u64) -> Sample {
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
    const POPCNT: &[u8] = &[0xf3, 0x0f, 0xb8, 0xc0];
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

    #[test]
    fn code_for_sse4_with_variants_for_avx_is_recognised_if_it_also_counts_bits() {
        // Half of the file are variants for AVX. faiss 1.14 is such a file; SVT-AV1 is not.
        let file = |instructions: &[&[u8]]| {
            let mut file = code(100, &[VXORPS]);
            let half = file.len() / 2;
            file[..half].copy_from_slice(&code(100, instructions)[..half]);
            features(&file)
        };
        assert_eq!(file(&[PINSRQ, POPCNT]), [CpuFeature::Sse41, CpuFeature::Popcnt]);
        assert_eq!(file(&[PINSRQ]), []);
        assert_eq!(file(&[POPCNT]), []);
    }
}
