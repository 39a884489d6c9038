//! Programs of a few instructions, assembled by hand: code that always runs, and code that a CPU check guards.

use super::*;

const TEXT: u64 = 0x1000;

/// A static program whose code and entry point are at [`TEXT`].
fn program(machine: u16, code: &[u8]) -> Vec<u8> {
    let mut file = vec![0; TEXT as usize];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16..18].copy_from_slice(&2u16.to_le_bytes());
    file[18..20].copy_from_slice(&machine.to_le_bytes());
    file[24..32].copy_from_slice(&TEXT.to_le_bytes());
    file[32..40].copy_from_slice(&64u64.to_le_bytes());
    file[54..56].copy_from_slice(&56u16.to_le_bytes());
    file[56..58].copy_from_slice(&1u16.to_le_bytes());
    let header = [(64, 1u32, 4), (68, 5, 4)];
    for (at, value, len) in header {
        file[at..at + len].copy_from_slice(&value.to_le_bytes());
    }
    let size = TEXT + code.len() as u64;
    for (at, value) in [(72, 0u64), (80, 0), (96, size), (104, size), (112, 0x1000)] {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    file.extend_from_slice(code);
    file
}

fn x86(code: &[u8]) -> CodeNeeds {
    needs(&program(62, code)).expect("an x86-64 program")
}

fn arm64(words: &[u32]) -> CodeNeeds {
    let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    needs(&program(183, &code)).expect("an AArch64 program")
}

fn certain(needs: &CodeNeeds) -> Vec<(CpuFeature, u64, &str)> {
    needs.certain.iter().map(|(feature, at)| (*feature, at.address, at.mnemonic.as_str())).collect()
}

/// vxorps %xmm0,%xmm0,%xmm0; ret
const AVX: [u8; 4] = [0xc5, 0xf8, 0x57, 0xc0];

#[test]
fn an_instruction_on_the_straight_path_is_certain() {
    let code = [&AVX[..], &[0xc3]].concat();
    assert_eq!(certain(&x86(&code)), [(CpuFeature::Avx, TEXT, "vxorps")]);
}

#[test]
fn an_instruction_after_a_direct_call_is_certain() {
    // call +1; ret; vxorps; ret
    let code = [&[0xe8, 1, 0, 0, 0, 0xc3][..], &AVX, &[0xc3]].concat();
    assert_eq!(certain(&x86(&code)), [(CpuFeature::Avx, TEXT + 6, "vxorps")]);
}

#[test]
fn an_instruction_that_a_flag_in_memory_guards_does_not_count() {
    // cmpb $0,0x100(%rip); je +4; vxorps; ret
    let code = [&[0x80, 0x3d, 0, 1, 0, 0, 0, 0x74, 4][..], &AVX, &[0xc3]].concat();
    let needs = x86(&code);
    assert!(needs.certain.is_empty() && needs.probable.is_empty(), "{needs:?}");
}

#[test]
fn an_instruction_after_the_join_of_a_cpu_check_is_certain() {
    // cmpb $0,0x100(%rip); je +1; nop; vxorps; ret
    let code = [&[0x80, 0x3d, 0, 1, 0, 0, 0, 0x74, 1, 0x90][..], &AVX, &[0xc3]].concat();
    assert_eq!(certain(&x86(&code)), [(CpuFeature::Avx, TEXT + 10, "vxorps")]);
}

#[test]
fn an_instruction_after_a_pointer_test_is_probable() {
    // test %rdi,%rdi; je +6; mov (%rdi),%eax; vxorps; ret
    let code = [&[0x48, 0x85, 0xff, 0x74, 6, 0x8b, 0x07][..], &AVX, &[0xc3]].concat();
    let needs = x86(&code);
    assert!(needs.certain.is_empty());
    assert_eq!(needs.probable.keys().collect::<Vec<_>>(), [&CpuFeature::Avx]);
}

#[test]
fn a_parameter_that_is_only_compared_and_a_local_variable_may_be_cpu_flags() {
    // What is before je +4; vxorps; ret
    let probable = |condition: &[u8]| {
        let needs = x86(&[condition, &[0x74, 4], &AVX, &[0xc3]].concat());
        assert!(needs.certain.is_empty(), "{needs:?}");
        needs.probable.contains_key(&CpuFeature::Avx)
    };
    // test %rdi,%rdi; mov %rsi,%rbx and test %rbx,%rbx; cmpq $2,-8(%rbp); mov $1,%eax and cmp $3,%rax
    assert!(!probable(&[0x48, 0x85, 0xff]));
    assert!(!probable(&[0x48, 0x89, 0xf3, 0x48, 0x85, 0xdb]));
    assert!(!probable(&[0x48, 0x83, 0x7d, 0xf8, 2]));
    assert!(!probable(&[0xb8, 1, 0, 0, 0, 0x48, 0x83, 0xf8, 3]));
    // add %rdi,%rax, then test %rdi,%rdi; cmp %rsi,%rdi
    assert!(probable(&[0x48, 0x01, 0xf8, 0x48, 0x85, 0xff]));
    assert!(probable(&[0x48, 0x39, 0xf7]));
}

#[test]
fn an_arm64_parameter_that_is_only_compared_and_a_local_variable_may_be_cpu_flags() {
    const LDADDAL: u32 = 0xf8e8_0128;
    const RET: u32 = 0xd65f_03c0;
    let probable = |condition: &[u32]| {
        let needs = arm64(&[condition, &[LDADDAL, RET, RET]].concat());
        assert!(needs.certain.is_empty(), "{needs:?}");
        needs.probable.contains_key(&CpuFeature::Lse)
    };
    let (beq, ble) = (0x5400_0040, 0x5400_004d);
    // cbz x1,+8; cmp x1,#2; cmp w1,#2; ldr x2,[sp,#8] and cmp x2,#2; mov x2,#5 and cmp x1,x2
    assert!(!probable(&[0xb400_0041]));
    assert!(!probable(&[0xf100_083f, beq]));
    assert!(!probable(&[0x7100_083f, ble]));
    assert!(!probable(&[0xf940_07e2, 0xf100_085f, ble]));
    assert!(!probable(&[0xd280_00a2, 0xeb02_003f, beq]));
    // The same with ldr x3,[x1]; cmp x1,x2
    assert!(probable(&[0xf940_0023, 0xb400_0041]));
    assert!(probable(&[0xf940_0023, 0x7100_083f, ble]));
    assert!(probable(&[0xeb02_003f, beq]));
}

#[test]
fn an_entry_of_a_procedure_linkage_table_is_known_by_its_jump() {
    let slot = |code: &[u8]| super::x86::stub(code, TEXT);
    // jmp *0x10(%rip), alone, with bnd, after endbr64, with both; jmp *%rax; mov 0x10(%rip),%rax; push %rbp
    let jump = [0xff, 0x25, 0x10, 0, 0, 0];
    let endbr64 = [0xf3, 0x0f, 0x1e, 0xfa];
    assert_eq!(slot(&jump), Some(TEXT + 0x16));
    assert_eq!(slot(&[&[0xf2][..], &jump].concat()), Some(TEXT + 0x17));
    assert_eq!(slot(&[&endbr64[..], &jump].concat()), Some(TEXT + 0x1a));
    assert_eq!(slot(&[&endbr64[..], &[0xf2], &jump].concat()), Some(TEXT + 0x1b));
    for code in [&[0xff, 0xe0][..], &[0x48, 0x8b, 5, 0x10, 0, 0, 0], &[0x55], &[]] {
        assert_eq!(slot(code), None);
    }
}

/// Whether AVX code that follows `condition`, and a jump past it, is probable. The code starts with a call of a function
/// that returns.
fn is_probable_after_call(condition: &[u8], jump: u8) -> bool {
    let tail = [&[jump, 4][..], &AVX, &[0xc3]].concat();
    let distance = (condition.len() + tail.len()) as u8;
    let needs = x86(&[&[0xe8, distance, 0, 0, 0][..], condition, &tail, &[0xc3]].concat());
    assert!(needs.certain.is_empty(), "{needs:?}");
    needs.probable.contains_key(&CpuFeature::Avx)
}

#[test]
fn a_number_that_a_function_returned_may_be_a_cpu_s_level_and_its_sign_is_an_error() {
    let (je, jle, jl, js) = (0x74, 0x7e, 0x7c, 0x78);
    // test %rax,%rax; cmp $2,%rax; cmp $2,%eax; test %ax,%ax; mov %rax,%rbx and test %rbx,%rbx; sub $16,%rax
    assert!(!is_probable_after_call(&[0x48, 0x85, 0xc0], je));
    assert!(!is_probable_after_call(&[0x48, 0x83, 0xf8, 2], jle));
    assert!(!is_probable_after_call(&[0x83, 0xf8, 2], jl));
    assert!(!is_probable_after_call(&[0x66, 0x85, 0xc0], js));
    assert!(!is_probable_after_call(&[0x48, 0x89, 0xc3, 0x48, 0x85, 0xdb], je));
    assert!(!is_probable_after_call(&[0x48, 0x83, 0xe8, 16], jl));
    // test %eax,%eax; test %rax,%rax
    assert!(is_probable_after_call(&[0x85, 0xc0], js));
    assert!(is_probable_after_call(&[0x48, 0x85, 0xc0], jl));
}

#[test]
fn the_number_of_arguments_is_not_a_cpu_flag() {
    // lea main(%rip),%rdi; call *0x100(%rip); hlt; main: cmp $2,%edi; jne +4; vxorps; ret
    let main = [&[0x83, 0xff, 2, 0x75, 4][..], &AVX, &[0xc3]].concat();
    let program = [&[0x48, 0x8d, 0x3d, 7, 0, 0, 0, 0xff, 0x15, 0, 1, 0, 0, 0xf4][..], &main].concat();
    assert!(x86(&program).probable.contains_key(&CpuFeature::Avx));
    // Another function's first argument may be one.
    assert!(x86(&main).probable.is_empty());
}

#[test]
fn a_loop_over_a_container_is_probable_and_a_choice_between_tables_is_a_guard() {
    // mov 0x110(%rip),%rdi; lea DISTANCE(%rip),%rbx; cmp %rbx,%rdi; je +4; vxorps; ret
    let code = |distance: u32| {
        let lea = [&[0x48, 0x8d, 0x1d][..], &distance.to_le_bytes()].concat();
        [&[0x48, 0x8b, 0x3d, 0x10, 1, 0, 0][..], &lea, &[0x48, 0x39, 0xdf, 0x74, 4], &AVX, &[0xc3]].concat()
    };
    assert_eq!(x86(&code(0x100)).probable.keys().collect::<Vec<_>>(), [&CpuFeature::Avx]);
    assert!(x86(&code(0x4000)).probable.is_empty());
}

#[test]
fn every_branch_of_a_function_that_queries_the_cpu_is_a_guard() {
    // cpuid; test %rbx,%rbx; je +4; vxorps; ret
    let code = [&[0x0f, 0xa2, 0x48, 0x85, 0xdb, 0x74, 4][..], &AVX, &[0xc3]].concat();
    let needs = x86(&code);
    assert!(needs.certain.is_empty() && needs.probable.is_empty(), "{needs:?}");
}

#[test]
fn instructions_that_old_cpus_run_as_something_else_need_nothing() {
    // tzcnt %eax,%eax; endbr64; ret
    let needs = x86(&[0xf3, 0x0f, 0xbc, 0xc0, 0xf3, 0x0f, 0x1e, 0xfa, 0xc3]);
    assert!(needs.certain.is_empty(), "{needs:?}");
}

#[test]
fn the_first_argument_of_the_entry_s_call_is_main() {
    // lea 0x5+1(%rip),%rdi -> main; call *0x100(%rip); hlt; main: vxorps; ret
    let code = [&[0x48, 0x8d, 0x3d, 7, 0, 0, 0, 0xff, 0x15, 0, 1, 0, 0, 0xf4][..], &AVX, &[0xc3]].concat();
    assert_eq!(certain(&x86(&code)), [(CpuFeature::Avx, TEXT + 14, "vxorps")]);
}

#[test]
fn arm64_atomics_are_certain_and_guarded_ones_are_not() {
    const LDADDAL: u32 = 0xf8e8_0128;
    const RET: u32 = 0xd65f_03c0;
    assert_eq!(certain(&arm64(&[LDADDAL, RET])), [(CpuFeature::Lse, TEXT, "ldaddal")]);
    // adrp x16,.; ldrb w16,[x16]; cbz w16,+8; ldaddal; ret
    let guarded = arm64(&[0x9000_0010, 0x3940_0210, 0x3400_0050, LDADDAL, RET]);
    assert!(guarded.certain.is_empty() && guarded.probable.is_empty(), "{guarded:?}");
}

#[test]
fn a_number_that_an_arm64_function_returned_may_be_a_cpu_s_level_and_its_sign_is_an_error() {
    const LDADDAL: u32 = 0xf8e8_0128;
    const RET: u32 = 0xd65f_03c0;
    // bl past the end; the condition; a branch past ldaddal
    let probable = |condition: &[u32]| {
        let call = 0x9400_0000 | (condition.len() as u32 + 3);
        let needs = arm64(&[&[call], condition, &[LDADDAL, RET, RET]].concat());
        needs.probable.contains_key(&CpuFeature::Lse)
    };
    // cbz x0,+8; cmp x0,#2 and b.lt +8; mov x19,x0 and cbz x19,+8
    assert!(!probable(&[0xb400_0040]));
    assert!(!probable(&[0xf100_081f, 0x5400_004b]));
    assert!(!probable(&[0xaa00_03f3, 0xb400_0053]));
    // tbnz w0,#31,+8; cmp w0,#0 and b.lt +8
    assert!(probable(&[0x37f8_0040]));
    assert!(probable(&[0x7100_001f, 0x5400_004b]));
}

#[test]
fn arm64_encodings_are_distinguished() {
    const RET: u32 = 0xd65f_03c0;
    for (word, expected) in [
        (0x38bf_c108, Some((CpuFeature::Rcpc, "ldaprb"))),    // ldaprb w8,[x8]
        (0x88e0_fc41, Some((CpuFeature::Lse, "casal"))),      // casal w0,w1,[x2]
        (0xb8a0_8041, Some((CpuFeature::Lse, "swpa"))),       // swpa w0,w1,[x2]
        (0x4e82_9420, Some((CpuFeature::DotProd, "sdot"))),   // sdot v0.4s,v1.16b,v2.16b
        (0x9ac0_4c20, Some((CpuFeature::Crc32, "crc32x"))),   // crc32x w0,w1,x0
        (0x2598_e3e0, Some((CpuFeature::Sve, "ptrue"))),      // ptrue p0.s
        (0x4e28_4820, Some((CpuFeature::ArmCrypto, "aese"))), // aese v0.16b,v1.16b
        (0xd65f_0bff, Some((CpuFeature::Pauth, "retaa"))),
        (0xd65f_0fff, Some((CpuFeature::Pauth, "retab"))),
        (0xd71f_0822, Some((CpuFeature::Pauth, "braa"))),   // braa x1,x2
        (0xd63f_0c3f, Some((CpuFeature::Pauth, "blrabz"))), // blrabz x1
        (0x0820_7c82, Some((CpuFeature::Lse, "casp"))),     // casp w0,w1,w2,w3,[x4]
        (0x7862_0020, Some((CpuFeature::Lse, "ldaddlh"))),  // ldaddlh w2,w0,[x1]
        (0x4e82_a420, Some((CpuFeature::I8mm, "smmla"))),   // smmla v0.4s,v1.16b,v2.16b
        (0x0e82_9c20, Some((CpuFeature::I8mm, "usdot"))),   // usdot v0.2s,v1.8b,v2.8b
        (0x6e42_ec20, Some((CpuFeature::Bf16, "bfmmla"))),  // bfmmla v0.4s,v1.8h,v2.8h
        (0x2e42_fc20, Some((CpuFeature::Bf16, "bfdot"))),   // bfdot v0.2s,v1.4h,v2.4h
        (0x1e63_4020, Some((CpuFeature::Bf16, "bfcvt"))),   // bfcvt h0,s1
        (0x6e42_1c20, Some((CpuFeature::Fp16, "fp16"))),    // fmul v0.8h,v1.8h,v2.8h
        (0xc85f_fc20, None),                                // ldaxr x0,[x1]
        (0xf940_0020, None),                                // ldr x0,[x1]
        (0xa9bf_7bfd, None),                                // stp x29,x30,[sp,#-16]!
        (0x4ea1_8420, None),                                // add v0.4s,v1.4s,v1.4s
        (0xd503_233f, None),                                // paciasp: a hint
        (0x9b02_7c20, None),                                // mul x0,x1,x2
        (0x1e61_2820, None),                                // fadd d0,d1,d1
    ] {
        let needs = arm64(&[word, RET]);
        let found = needs.certain.iter().map(|(feature, at)| (*feature, at.mnemonic.as_str())).next();
        assert_eq!(found, expected, "{word:#010x}");
    }
}

/// `cmpl $3,variable(%rip); jne +5; vxorps; ret; jmp .+4` with the variable 0x100 bytes after the entry point.
fn guarded_by(variable: u32, branch: u8) -> CodeNeeds {
    let mut code = [&[0x83, 0x3d, 0xf9, 0, 0, 0, 3, branch, 4][..], &AVX, &[0xc3]].concat();
    code.resize(0x100, 0x90);
    code.extend_from_slice(&variable.to_le_bytes());
    x86(&code)
}

#[test]
fn a_variable_that_nothing_has_set_has_its_value_in_the_file() {
    let (je, jne) = (0x74, 0x75);
    assert_eq!(certain(&guarded_by(3, jne)), [(CpuFeature::Avx, TEXT + 9, "vxorps")]);
    assert_eq!(certain(&guarded_by(0, jne)), []);
    assert_eq!(certain(&guarded_by(3, je)), []);
    assert_eq!(certain(&guarded_by(0, je)), [(CpuFeature::Avx, TEXT + 9, "vxorps")]);
}

#[test]
fn a_variable_that_the_function_has_set_is_not_known() {
    // movl $1,0xf6(%rip); cmpl $3,0xef(%rip); je +4; vxorps; ret
    let code = [&[0xc7, 5, 0xf6, 0, 0, 0, 1, 0, 0, 0, 0x83, 0x3d, 0xef, 0, 0, 0, 3, 0x74, 4][..], &AVX, &[0xc3]];
    let mut code = code.concat();
    code.resize(0x200, 0);
    let needs = x86(&code);
    assert!(needs.certain.is_empty() && needs.probable.is_empty(), "{needs:?}");
}

#[test]
fn instructions_are_listed_in_the_order_of_execution() {
    // jmp +6; popcnt %eax,%eax; ret; nop; vxorps; jmp back
    let code = [&[0xeb, 6, 0xf3, 0x0f, 0xb8, 0xc0, 0xc3, 0x90][..], &AVX, &[0xeb, 0xf4]].concat();
    let needs = x86(&code);
    assert_eq!(needs.certain[&CpuFeature::Avx].order, 0);
    assert_eq!(needs.certain[&CpuFeature::Popcnt].order, 1);
}

/// A static 32-bit program whose code is at [`TEXT`].
fn arm(entry: u64, code: &[u8]) -> CodeNeeds {
    let mut file = vec![0; TEXT as usize];
    file[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    let size = TEXT as u32 + code.len() as u32;
    let fields = [(24, entry as u32), (28, 52), (52, 1), (56, 0), (60, 0), (68, size), (72, size), (76, 5)];
    for (at, value) in fields {
        file[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    for (at, value) in [(16, 2u16), (18, 40), (42, 32), (44, 1)] {
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    file.extend_from_slice(code);
    needs(&file).expect("a 32-bit Arm program")
}

#[test]
fn arm_encodings_are_distinguished() {
    for (word, expected) in [
        (0xe304_0567u32, Some((CpuFeature::Thumb2, "movw"))), // movw r0,#0x4567
        (0xe7e0_0051, Some((CpuFeature::Thumb2, "ubfx"))),    // ubfx r0,r1,#0,#1
        (0xf57f_f05b, Some((CpuFeature::Armv7, "dmb"))),      // dmb ish
        (0xe191_0f9f, Some((CpuFeature::Armv6, "ldrex"))),    // ldrex r0,[r1]
        (0xe6bf_0f31, Some((CpuFeature::Armv6, "rev"))),      // rev r0,r1
        (0xe711_f210, Some((CpuFeature::Idiv, "sdiv"))),      // sdiv r1,r0,r2
        (0xed91_0b00, Some((CpuFeature::Vfp, "vldr"))),       // vldr d0,[r1]
        (0xeef7_0a00, Some((CpuFeature::Vfp3, "vmov"))),      // vmov.f32 s1,#1.0
        (0xf220_0d40, Some((CpuFeature::Neon, "neon"))),      // vadd.f32 q0,q0,q0
        (0xf242_0cfe, Some((CpuFeature::Vfp4, "vfma"))),      // vfma.f32 q8,q9,q15
        (0xeea0_1a20, Some((CpuFeature::Vfp4, "vfma"))),      // vfma.f32 s2,s0,s1
        (0xeeb3_0a60, Some((CpuFeature::VfpHalf, "vcvtb"))),  // vcvtb.f16.f32 s0,s1
        (0xf3b6_0602, Some((CpuFeature::VfpHalf, "vcvt"))),   // vcvt.f16.f32 d0,q1
        (0xf3b0_0302, Some((CpuFeature::Armv8, "aese"))),     // aese.8 q0,q1
        (0xf300_0f12, Some((CpuFeature::Armv8, "vmaxnm"))),   // vmaxnm.f32 d0,d0,d2
        (0xe101_0040, Some((CpuFeature::Armv8, "crc32"))),    // crc32b r0,r1,r0
        (0xe1d1_0c9f, Some((CpuFeature::Armv8, "lda"))),      // ldab r0,[r1]
        (0x0304_0567, None),                                  // movweq r0,#0x4567
        (0xe101_0092, None),                                  // swp r0,r2,[r1]
        (0xe320_f000, None),                                  // nop
        (0xe000_0291, None),                                  // mul r0,r1,r2
        (0xee07_0fba, None),                                  // mcr p15: a barrier of ARMv6
    ] {
        let code: Vec<u8> = [word, 0xe12f_ff1e].iter().flat_map(|word| word.to_le_bytes()).collect();
        let needs = arm(TEXT, &code);
        let found = needs.certain.iter().map(|(feature, at)| (*feature, at.mnemonic.as_str())).next();
        assert_eq!(found, expected, "{word:#010x}");
    }
}

#[test]
fn thumb_code_is_decoded_and_calls_between_the_instruction_sets_are_followed() {
    // mov.w r0,#0; bx lr
    assert_eq!(certain(&arm(TEXT + 1, &[0x4f, 0xf0, 0, 0, 0x70, 0x47])), [(CpuFeature::Thumb2, TEXT, "mov.w")]);
    // movs r0,#0; bx lr
    assert_eq!(certain(&arm(TEXT + 1, &[0, 0x20, 0x70, 0x47])), []);
    // blx +4 (to Thumb); bx lr; then in Thumb: cbz r0,+0; bx lr
    let code = [0xfa00_0000u32, 0xe12f_ff1e].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let code = [&code[..], &[0, 0xb1, 0x70, 0x47, 0x70, 0x47]].concat();
    assert_eq!(certain(&arm(TEXT, &code)), [(CpuFeature::Thumb2, TEXT + 8, "cbz")]);
    // cmp r0,#0; beq +8; movw; bx lr; bx lr: not on every path
    let words = [0xe350_0000u32, 0x0a00_0001, 0xe304_0567, 0xe12f_ff1e, 0xe12f_ff1e];
    let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(certain(&arm(TEXT, &code)), []);
}

#[test]
fn a_branch_on_32_bit_arm_guards_if_it_may_depend_on_a_cpu_check() {
    let probable = |words: &[u32]| {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        arm(TEXT, &code).probable.contains_key(&CpuFeature::Thumb2)
    };
    // The branch skips movw. Each function ends with two returns.
    let after =
        |words: &[u32], branch: u32| probable(&[words, &[branch, 0xe304_0567, 0xe12f_ff1e, 0xe12f_ff1e]].concat());
    let (beq, blt) = (0x0a00_0001, 0xba00_0001);
    // cmp r0,#0; cmp r0,r1; tst r0,#4096; ldr r0,[r1]; cmp r0,#0; subs r0,r0,#1; vmrs apsr_nzcv,fpscr
    assert!(!after(&[0xe350_0000], beq));
    assert!(after(&[0xe350_0000], blt));
    assert!(after(&[0xe150_0001], beq));
    assert!(!after(&[0xe310_0a01], beq));
    assert!(!after(&[0xe591_0000, 0xe350_0000], blt));
    assert!(after(&[0xe250_0001], beq));
    assert!(after(&[0xeef1_fa10], beq));
    // In Thumb: cmp r0,#0; beq or blt past mov.w r0,#0; bx lr
    let thumb = |branch: u8| {
        let code = [0x00, 0x28, 0x00, branch, 0x4f, 0xf0, 0, 0, 0x70, 0x47, 0x70, 0x47];
        arm(TEXT + 1, &[&code[..2], &[1, branch], &code[4..]].concat()).probable.contains_key(&CpuFeature::Thumb2)
    };
    assert!(!thumb(0xd0));
    assert!(thumb(0xdb));
}

#[test]
fn endless_and_recursive_code_ends() {
    // jmp .
    assert!(x86(&[0xeb, 0xfe]).certain.is_empty());
    // call .; ret
    assert!(x86(&[0xe8, 0xfb, 0xff, 0xff, 0xff, 0xc3]).certain.is_empty());
    // Each call's target is a function that makes all of the following calls too.
    assert!(x86(&[0xe8, 0, 0, 0, 0].repeat(8000)).is_partial);
}

#[test]
fn an_instruction_beyond_the_budget_is_not_missed_silently() {
    let search = |code: &[u8]| {
        let found = needs_within(&program(62, code), DecodeBudget { certain: 5000, probable: 100 }).expect("a program");
        (certain(&found).len(), found.is_partial)
    };
    let end = [&AVX[..], &[0xc3]].concat();
    assert_eq!(search(&[&[0x90; 4000][..], &end].concat()), (1, false));
    assert_eq!(search(&[&[0x90; 5000][..], &end].concat()), (0, true));
    // test %rdi,%rdi; je past the instruction: what follows there may return, so the instruction is not certain.
    let branch = [&[0x48, 0x85, 0xff, 0x0f, 0x84, 5, 0, 0, 0][..], &end, &[0x90; 6000]].concat();
    assert_eq!(search(&branch), (0, true));
}

#[test]
fn a_long_chain_of_calls_is_followed_to_its_end() {
    // call +1; ret; call +1; ret; ... vxorps; ret
    let mut code = [0xe8, 1, 0, 0, 0, 0xc3].repeat(1000);
    code.extend([&AVX[..], &[0xc3]].concat());
    let found = x86(&code);
    assert_eq!((certain(&found), found.is_partial), (vec![(CpuFeature::Avx, TEXT + 6000, "vxorps")], false));
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_searched_without_a_panic() {
    let whole = program(62, &[&AVX[..], &[0xc3]].concat());
    for len in (0..whole.len()).step_by(7) {
        let _ = needs(&whole[..len]);
    }
}

#[test]
fn only_files_of_the_searched_architectures_are_kept() {
    let mut text: &[u8] = b"#!/bin/sh\necho a long enough text\n";
    let mut kept = KeptCode::new(&mut text);
    std::io::copy(&mut kept, &mut std::io::sink()).expect("reading from memory does not fail");
    assert_eq!(kept.needs(), None);
    let file = program(62, &[&AVX[..], &[0xc3]].concat());
    let mut reader = file.as_slice();
    let mut kept = KeptCode::new(&mut reader);
    kept.read_exact(&mut [0; 64]).expect("a header");
    assert_eq!(kept.needs().map(|needs| needs.certain.len()), Some(1));
}

#[test]
fn a_file_that_is_too_large_is_searched_without_what_follows_its_segments() {
    let code = program(62, &[&AVX[..], &[0xc3]].concat());
    let file = [&code[..], &[0; 3 << 16]].concat();
    let search = |limit: usize| {
        let mut reader = file.as_slice();
        let mut kept = KeptCode::new(&mut reader);
        kept.limit = limit;
        std::io::copy(&mut kept, &mut std::io::sink()).expect("reading from memory does not fail");
        kept.needs().expect("a program")
    };
    assert_eq!(search(2 << 16).certain.len(), 1);
    let unread = search(code.len() - 1);
    assert!(unread.certain.is_empty() && unread.is_partial);
}

#[test]
fn one_large_file_is_kept_at_a_time() {
    let file = [&program(62, &[0xc3])[..], &[0; 1 << 16]].concat();
    for (large, read, is_large) in [(1 << 12, 64, true), (1 << 12, file.len(), true), (file.len() + 1, 64, false)] {
        let mut reader = file.as_slice();
        let mut kept = KeptCode::new(&mut reader);
        kept.large = large;
        kept.read_exact(&mut vec![0; read]).expect("the start of the file");
        assert!(kept.needs().is_some_and(|needs| !needs.is_partial));
        assert_eq!((kept.turn.is_some(), LARGE_FILE.try_lock().is_err()), (is_large, is_large));
        drop(kept);
        assert!(LARGE_FILE.try_lock().is_ok());
    }
}

#[test]
fn a_library_that_can_be_run_is_not_entered() {
    let mut file = program(62, &[&AVX[..], &[0xc3]].concat());
    // ET_DYN with PT_INTERP and, at 0x800, a dynamic section.
    for (at, value) in [(16, 3u8), (56, 3), (120, 3), (176, 2), (185, 8), (208, 32)] {
        file[at] = value;
    }
    let certain = |file: &[u8]| needs(file).expect("an x86-64 file").certain.len();
    assert_eq!(certain(&file), 1);
    // DT_SONAME
    file[0x800] = 14;
    assert_eq!(certain(&file), 0);
}
