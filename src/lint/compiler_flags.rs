//! Finds options of C compilers that fit only some of the machines that the image is built for.

use std::ops::Range;

use super::compilers;
use super::dockerfile::{BuildVariable, Dockerfile};
use super::finding::LintFinding;
use super::rule::{RuleName, Severity};
use super::shell::{PlainWord, SimpleCommand};
use crate::platform::Arch;

/// Options that select the CPU of the build machine, in `file.text[range]`.
pub fn native(file: &Dockerfile<'_>, range: Range<usize>) -> Vec<LintFinding> {
    let text = &file.text[range.clone()];
    let flags = ["-march=native", "-mcpu=native", "target-cpu=native"];
    let found = flags.iter().flat_map(|flag| text.match_indices(flag));
    found
        .map(|(at, flag)| {
            let start = range.start + at;
            let message = "the program needs CPU features of the build machine".to_string();
            LintFinding::new(RuleName::NativeCpuFlags, start..start + flag.len(), message, "the CPU that builds it")
        })
        .collect()
}

/// The first option of a command that compilers for other architectures refuse.
pub fn in_command(command: &SimpleCommand) -> Option<LintFinding> {
    let is_compiler = compilers::compiler_of(command).is_some();
    let is_read = |word: &&PlainWord| is_compiler || word.text.contains("FLAGS");
    command.words.iter().filter(is_read).find_map(|word| {
        let (range, arch) = find(&word.text)?;
        Some(refused(&word.text[range.clone()], arch, word.source(range)))
    })
}

/// The first option in a variable of flags, such as `ENV CFLAGS=-mavx2`, that compilers for other architectures refuse.
pub fn in_variable(file: &Dockerfile<'_>, pair: &BuildVariable) -> Option<LintFinding> {
    let (_, span) = pair.value.as_ref().filter(|_| pair.name.contains("FLAGS"))?;
    let text = &file.text[span.clone()];
    let (range, arch) = find(text)?;
    Some(refused(&text[range.clone()], arch, span.start + range.start..span.start + range.end))
}

fn refused(flag: &str, arch: Arch, span: Range<usize>) -> LintFinding {
    let message = format!("compilers for other platforms than {arch} refuse {flag}");
    let finding = LintFinding::new(RuleName::BuildArchConstant, span, message, format!("only {arch}"));
    finding.weighing(Severity::Warning).right_for(Some(arch)).help("set it for this architecture only, by TARGETARCH")
}

/// The place of the first such option in a text with options.
fn find(text: &str) -> Option<(Range<usize>, Arch)> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '$');
    text.match_indices("-m").find_map(|(at, _)| {
        let is_start = at == 0 || text[..at].ends_with([' ', '\t', '\n', '=', '"', '\'', ';']);
        let end = at + text[at..].find(is_end).unwrap_or(text.len() - at);
        let arch = arch_of_option(&text[at..end]).filter(|_| is_start)?;
        Some((at..end, arch))
    })
}

/// The architecture whose compilers know the option. Seen with GCC 12 for x86-64 and AArch64.
/// Source: GCC's "x86 Options" and "ARM Options".
fn arch_of_option(option: &str) -> Option<Arch> {
    const X86: &[&str] = &[
        "-mavx",
        "-mno-avx",
        "-msse",
        "-mno-sse",
        "-mssse3",
        "-mfma",
        "-mbmi",
        "-maes",
        "-mpclmul",
        "-mpopcnt",
        "-mf16c",
        "-mlzcnt",
        "-mfpmath=",
    ];
    const X86_CPUS: &[&str] = &[
        "x86-64",
        "haswell",
        "broadwell",
        "skylake",
        "nehalem",
        "westmere",
        "sandybridge",
        "ivybridge",
        "core2",
        "corei7",
        "core-avx",
        "znver",
        "icelake",
        "cascadelake",
        "cooperlake",
        "sapphirerapids",
        "alderlake",
        "i686",
        "i586",
        "i486",
        "i386",
        "pentium",
        "k8",
        "opteron",
        "bdver",
        "silvermont",
        "atom",
    ];
    const ARM: &[&str] = &["-mfpu=", "-mfloat-abi=", "-mthumb"];
    if let Some(cpu) = ["-march=", "-mtune="].iter().find_map(|name| option.strip_prefix(name)) {
        return match () {
            () if X86_CPUS.iter().any(|start| cpu.starts_with(start)) => Some(Arch::Amd64),
            () if cpu.starts_with("armv8") || cpu.starts_with("armv9") => Some(Arch::Arm64),
            () if cpu.starts_with("armv") => Some(Arch::Arm),
            () => None,
        };
    }
    match () {
        () if X86.iter().any(|start| option.starts_with(start)) || option == "-m64" => Some(Arch::Amd64),
        () if option == "-m32" => Some(Arch::Amd64),
        () if ARM.iter().any(|start| option.starts_with(start)) => Some(Arch::Arm),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_one_architecture_are_found_between_others() {
        let found = |text: &str| find(text).map(|(range, arch)| (text[range].to_string(), arch));
        let is = |text: &str, option: &str, arch| assert_eq!(found(text), Some((option.to_string(), arch)), "{text}");
        is("-O3 -march=x86-64-v3 -g", "-march=x86-64-v3", Arch::Amd64);
        is("CFLAGS=\"-O2 -mavx2\"", "-mavx2", Arch::Amd64);
        is("-DCMAKE_CXX_FLAGS=-msse4.2", "-msse4.2", Arch::Amd64);
        is("-mtune=generic -mfpu=neon", "-mfpu=neon", Arch::Arm);
        is("-march=armv8.2-a+crypto", "-march=armv8.2-a+crypto", Arch::Arm64);
        for text in ["-march=native", "-mtune=generic", "-O3 -mllvm", "x-m64", "--mavx2", "-march=$MARCH", ""] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
