//! Which commands make machine code, and whether a compiler is told for which architecture.

use super::dockerfile::{Dockerfile, Stage, Step, StepKind};
use super::shell::{Command, Word};

/// Programs that make machine code.
const COMPILERS: &[&str] = &[
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "clang++",
    "make",
    "ninja",
    "cmake",
    "meson",
    "rustc",
    "zig",
    "ghc",
    "stack",
    "cabal",
    "swift",
    "swiftc",
    "nim",
    "crystal",
    "native-image",
    "pyinstaller",
    "tinygo",
    "dub",
    "ldc2",
    "v",
];

/// What a command compiles with: `go build`.
pub fn compiler_of(command: &Command) -> Option<String> {
    let subcommand = command.arguments().first().map_or("", |word| word.text.as_str());
    match (command.program(), subcommand) {
        ("go", "build" | "install") | ("cargo", "build" | "install" | "rustc") => {
            Some(format!("{} {subcommand}", command.program()))
        }
        ("deno", "compile") => Some("deno compile".to_string()),
        ("bun", "build") if command.has("--compile") => Some("bun build --compile".to_string()),
        ("dotnet", "publish") if command.has("--self-contained") => Some("dotnet publish".to_string()),
        (program, _) if COMPILERS.contains(&program) => Some(program.to_string()),
        _ => None,
    }
}

/// Compilers, and what generates or drives them.
pub fn makes_code(command: &Command) -> bool {
    let drivers = ["go", "cargo", "dotnet", "mvn", "gradle", "gradlew", "mvnw", "bazel", "npm", "yarn", "pnpm", "bun"];
    compiler_of(command).is_some() || drivers.contains(&command.program()) || command.program().starts_with("xx-")
}

/// What a stage on the build machine compiles for itself.
pub fn compile_of(command: &Command) -> Option<String> {
    let shown = compiler_of(command)?;
    let is_told = command.words.iter().any(|word| {
        let names_target =
            ["GOARCH=", "--target", "--arch", "-target", "CMAKE_TOOLCHAIN_FILE", "--host=", "--runtime", "-r"];
        names_target.iter().any(|name| word.text.starts_with(name) || word.text.starts_with(&format!("-D{name}")))
    });
    (!is_told).then_some(shown)
}

/// Whether a stage's own steps make machine code.
pub fn compiles(file: &Dockerfile<'_>, stage: usize) -> bool {
    file.stages[stage].steps.iter().any(|step| match &step.kind {
        StepKind::Run(run) => run.commands.iter().any(makes_code),
        _ => false,
    })
}

/// A variable of the stage tells the compiler for what: another rule sees whether that is a constant.
pub fn is_told_by_variable(file: &Dockerfile<'_>, stage: usize, command: &Command) -> bool {
    let name = match command.program() {
        "go" => "GOARCH",
        "cargo" => "CARGO_BUILD_TARGET",
        _ => return false,
    };
    file.variables_at(stage, usize::MAX).get(name).is_some_and(|variable| variable.value.is_some())
}

/// A `go build` of the stage, made for the machine that runs it although the stage mentions the target: GOARCH is not in its
/// environment, and its output is one of the files that are copied. Source: `go help environment`; POSIX XCU 2.9.1, "export".
pub struct UntoldGo<'f> {
    pub command: &'f Command,
    /// The script sets GOARCH, but does not export it.
    pub is_set: bool,
}

pub fn untold_go<'f>(file: &'f Dockerfile<'_>, stage: usize, copied: &[Word]) -> Option<UntoldGo<'f>> {
    let known = file.variables_at(stage, usize::MAX);
    if known.contains_key("GOARCH") || known.contains_key("GOENV") {
        return None;
    }
    let lineage: Vec<&Stage> = file.lineage(stage).collect();
    for step in lineage.iter().flat_map(|stage| &stage.steps) {
        let StepKind::Run(run) = &step.kind else { continue };
        let mut is_exported = false;
        let mut is_set = false;
        for command in &run.commands {
            let words = || command.words.iter();
            let names = words().any(|word| word.text == "GOARCH" || word.text.starts_with("GOARCH="));
            match command.program() {
                "go" if is_output_copied(command, copied) && !is_exported && !names => {
                    return Some(UntoldGo { command, is_set });
                }
                "export" | "declare" | "typeset" | "eval" => is_exported |= names || command.program() == "eval",
                "set" => is_exported |= command.arguments().first().is_some_and(|word| word.text.starts_with("-a")),
                "." | "source" => {
                    let file = command.arguments().first().map_or("", |word| word.text.as_str());
                    // A file that no step writes may export anything.
                    let texts = lineage.iter().flat_map(|stage| &stage.steps).map(|step| written_to(step, file));
                    let written: Vec<String> = texts.flatten().collect();
                    let exports = |text: &String| text.contains("export GOARCH") || !text.contains("GOARCH");
                    is_exported |= file.is_empty() || written.is_empty() || written.iter().all(exports);
                    is_set = true;
                }
                "go" => is_exported |= command.has("-w") && names,
                _ => is_set |= names && command.program().is_empty(),
            }
        }
    }
    None
}

/// What a step's `echo ... > path` and the like write to `path`.
fn written_to(step: &Step, path: &str) -> Vec<String> {
    let StepKind::Run(run) = &step.kind else { return Vec::new() };
    let writes = run.commands.iter().filter(|command| command.outputs.iter().any(|word| word.text == path));
    writes.map(|command| command.words.iter().map(|word| format!("{} ", word.text)).collect()).collect()
}

/// Whether `go build -o NAME` makes a file that is copied by that name.
fn is_output_copied(command: &Command, copied: &[Word]) -> bool {
    let base = |text: &str| text.trim_end_matches('/').rsplit('/').next().unwrap_or("").to_string();
    let is_build = command.arguments().first().is_some_and(|word| word.text == "build");
    let output = command.option(&["-o"]).map(|(word, at)| base(&word.text[at..]));
    is_build && output.is_some_and(|name| !name.is_empty() && copied.iter().any(|word| base(&word.text) == name))
}
