//! Compiled C programs on qemu's CPU models: `imgarch scan` must refuse a program for a level if and only if it ends
//! with SIGILL on a CPU of that level.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::machine::{self, Need};

const SIGILL: i32 = 4;
const AVX: &str = "__asm__ volatile(\"vxorps %xmm0,%xmm0,%xmm0\")";

/// A program, and whether it ends with SIGILL on a CPU without AVX.
struct Case {
    name: &'static str,
    source: String,
    needs_avx: bool,
}

fn cases() -> [Case; 13] {
    let case = |name, source: String, needs_avx| Case { name, source, needs_avx };
    let call = "__attribute__((noinline)) static void work(void)";
    [
        case("plain", "int main(void) { return 0; }".to_string(), false),
        case("in-main", format!("int main(void) {{ {AVX}; return 0; }}"), true),
        case("in-a-call", format!("{call} {{ {AVX}; }} int main(void) {{ work(); return 0; }}"), true),
        case(
            "in-a-constructor",
            format!("__attribute__((constructor)) static void early(void) {{ {AVX}; }} int main(void) {{ return 0; }}"),
            true,
        ),
        case(
            "guarded",
            format!("int main(void) {{ if (__builtin_cpu_supports(\"avx\")) {{ {AVX}; }} return 0; }}"),
            false,
        ),
        case(
            "guarded-by-a-level",
            format!(
                "__attribute__((noinline)) static long level(void) {{ return __builtin_cpu_supports(\"avx\") ? 3 : 1; }} \
                 {call} {{ {AVX}; }} int main(void) {{ if (level() > 2) work(); return 0; }}"
            ),
            false,
        ),
        case(
            "guarded-by-a-flag-on-the-stack",
            format!(
                "struct cpu {{ unsigned long avx, sse; }}; __attribute__((noinline)) static void detect(struct cpu *cpu) \
                 {{ cpu->avx = __builtin_cpu_supports(\"avx\") != 0; cpu->sse = 1; }} {call} {{ {AVX}; }} \
                 int main(void) {{ struct cpu cpu; detect(&cpu); if (cpu.avx) work(); return 0; }}"
            ),
            false,
        ),
        case(
            "guarded-by-a-parameter",
            format!(
                "{call} {{ {AVX}; }} __attribute__((noinline)) static void run(long count, long level) {{ if (level > 2) \
                 work(); else __asm__ volatile(\"nop\"); }} int main(void) {{ run(3, __builtin_cpu_supports(\"avx\") ? 3 : 1); \
                 return 0; }}"
            ),
            false,
        ),
        case(
            "guarded-by-a-local-variable",
            format!(
                "#include <stdio.h>\n{call} {{ {AVX}; }} int main(void) {{ void (*fast)(void) = 0; \
                 if (__builtin_cpu_supports(\"avx\")) fast = work; for (int i = 0; i < 3; i++) {{ puts(\"x\"); \
                 if (fast) work(); }} return 0; }}"
            ),
            false,
        ),
        case(
            "ends-after-its-slow-path",
            format!(
                "#include <stdlib.h>\n{call} {{ {AVX}; }} __attribute__((noinline)) static void slow(void) \
                 {{ __asm__ volatile(\"nop\"); }} int main(void) {{ if (!__builtin_cpu_supports(\"avx\")) \
                 {{ slow(); exit(0); }} work(); return 0; }}"
            ),
            false,
        ),
        case(
            "starts-another-program",
            format!(
                "#include <unistd.h>\nint main(int count, char **words) {{ if (!__builtin_cpu_supports(\"avx\")) \
                 {{ execl(\"/bin/true\", \"true\", (char *)0); _exit(127); }} {AVX}; return 0; }}"
            ),
            false,
        ),
        case(
            "refuses-in-another-function",
            format!(
                "#include <stdlib.h>\n__attribute__((noinline)) static void check(int count) {{ if (count < 0) exit(2); }} \
                 int main(int count, char **words) {{ check(count); if (!words) exit(1); {AVX}; return 0; }}"
            ),
            true,
        ),
        case(
            "guarded-call",
            format!("{call} {{ {AVX}; }} int main(void) {{ if (__builtin_cpu_supports(\"avx\")) work(); return 0; }}"),
            false,
        ),
    ]
}

/// Whether the program ends with SIGILL on qemu's model of `cpu`.
fn is_ended(program: &Path, cpu: &str) -> bool {
    let status = Command::new("qemu-x86_64-static").args(["-cpu", cpu]).arg(program).status().unwrap();
    let is_illegal = status.signal() == Some(SIGILL) || status.code() == Some(128 + SIGILL);
    assert!(is_illegal || status.success(), "{}: {status}", program.display());
    is_illegal
}

/// Compiles a static program for `root`.
fn compile(directory: &Path, root: &Path, source: &str) -> PathBuf {
    let (text, program) = (directory.join("app.c"), root.join("app"));
    std::fs::create_dir(root).unwrap();
    std::fs::write(&text, source).unwrap();
    let built = Command::new("cc").args(["-O2", "-static", "-o"]).args([&program, &text]).status().unwrap();
    assert!(built.success(), "cannot compile {source}");
    program
}

fn scan(root: &Path, target: &str, fail_on: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
    command.args(["scan", "--no-cache", "--no-config", "--entrypoint", "/app", "--fail-on", fail_on, "--target"]);
    command.arg(format!("linux/amd64{target}")).arg(format!("rootfs:{}", root.display()));
    let output = command.env("HOME", root).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn programs_are_refused_exactly_for_the_cpus_that_cannot_run_them() {
    let test = "programs_are_refused_exactly_for_the_cpus_that_cannot_run_them";
    if !machine::has(test, &[Need::X86_64, Need::Compiler, Need::QemuAmd64]) {
        return;
    }
    for Case { name, source, needs_avx } in cases() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        let program = compile(directory.path(), &root, &source);
        for (cpu, level, has_avx) in [("core2duo", "v1", false), ("Nehalem", "v2", false), ("Haswell", "v3", true)] {
            let ends = is_ended(&program, cpu);
            assert_eq!(ends, needs_avx && !has_avx, "{name} on {cpu}");
            let (code, text) = scan(&root, &format!(",level={level}"), "warning");
            assert_eq!(code, i32::from(ends), "{name} on {level}: {text}");
            assert_eq!(text.contains("vxorps at 0x") && text.contains("AVX"), ends, "{name} on {level}: {text}");
        }
    }
}

/// Rust's entry passes the program's own `main` to its runtime, in a closure on the stack.
const RUST: &str = "
#[inline(never)]
fn work() { unsafe { std::arch::asm!(\"vxorps xmm0, xmm0, xmm0\", out(\"xmm0\") _) } }
fn main() { work(); println!(\"done\") }
";

#[test]
fn a_rust_program_is_searched_from_its_own_main() {
    let test = "a_rust_program_is_searched_from_its_own_main";
    if !machine::has(test, &[Need::X86_64, Need::Compiler, Need::QemuAmd64]) {
        return;
    }
    let finding = "entrypoint-cpu-level";
    for options in [
        &["-Crelocation-model=static"][..],
        &["-Crelocation-model=pie"],
        &["-Cstrip=symbols"],
        &["-Cstrip=symbols", "-Copt-level=0"],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (root, source) = (directory.path().join("root"), directory.path().join("app.rs"));
        std::fs::create_dir(&root).unwrap();
        std::fs::write(&source, RUST).unwrap();
        let mut compiler = Command::new("rustc");
        compiler.args(["-O", "-Ctarget-feature=+crt-static", "-o"]).arg(root.join("app")).args(options);
        assert!(compiler.arg(&source).status().unwrap().success(), "{options:?}");
        for (cpu, level, has_avx) in [("Nehalem", "v2", false), ("Haswell", "v3", true)] {
            assert_eq!(is_ended(&root.join("app"), cpu), !has_avx, "{options:?} on {cpu}");
            let (code, text) = scan(&root, &format!(",level={level}"), "warning");
            assert_eq!(
                (code, text.contains(finding)),
                (i32::from(!has_avx), !has_avx),
                "{options:?} on {level}: {text}"
            );
        }
    }
}

#[test]
fn a_start_is_unknown_if_its_code_is_too_large_to_search() {
    let test = "a_start_is_unknown_if_its_code_is_too_large_to_search";
    if !machine::has(test, &[Need::X86_64, Need::Compiler, Need::QemuAmd64]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let source = format!("int main(void) {{ __asm__ volatile(\".rept 300000\\n nop\\n .endr\"); {AVX}; return 0; }}");
    let program = compile(directory.path(), &root, &source);
    assert!(is_ended(&program, "Nehalem") && !is_ended(&program, "Haswell"));
    // Only a target that lacks something can be in doubt.
    for (target, expected) in [("", 0), (",level=v1", 3), (",level=v2", 3), (",features=-avx", 3), (",level=v4", 0)] {
        let (code, text) = scan(&root, target, "error");
        assert_eq!(code, expected, "{target}: {text}");
    }
}
