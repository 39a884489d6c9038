//! Recognizes commands that produce machine code, and whether they get a target architecture.

use super::dockerfile::{BuildStage, BuildStep, Dockerfile, StepKind};
use super::shell::{PlainWord, SimpleCommand};

/// Programs that produce machine code.
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

/// Returns the compiler of a command: `go build`.
pub fn compiler_of(command: &SimpleCommand) -> Option<String> {
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

/// Whether a command is a compiler or drives one.
pub fn makes_code(command: &SimpleCommand) -> bool {
    let drivers = ["go", "cargo", "dotnet", "mvn", "gradle", "gradlew", "mvnw", "bazel", "npm", "yarn", "pnpm", "bun"];
    compiler_of(command).is_some() || drivers.contains(&command.program()) || command.program().starts_with("xx-")
}

/// Returns the compiler of a command that sets no target, so that it compiles for the machine that runs it.
pub fn native_compiler_of(command: &SimpleCommand) -> Option<String> {
    let shown = compiler_of(command)?;
    let sets_target = command.words.iter().any(|word| {
        let names_target = ["GOARCH=", "--target", "--arch", "-target", "CMAKE_TOOLCHAIN_FILE", "--host=", "--runtime"];
        let is_dotnets = command.program() == "dotnet" && word.text == "-r";
        let is_name = |name: &&str| word.text.starts_with(*name) || word.text.starts_with(&format!("-D{name}"));
        is_dotnets || names_target.iter().any(is_name)
    });
    (!sets_target).then_some(shown)
}

/// Whether a stage's own steps produce machine code.
pub fn compiles(file: &Dockerfile<'_>, stage: usize) -> bool {
    file.stages[stage].steps.iter().any(|step| match &step.kind {
        StepKind::Run(run) => run.commands.iter().any(makes_code),
        _ => false,
    })
}

/// Whether a variable of the stage sets the compiler's target. Another rule checks whether it is a constant.
pub fn has_target_variable(file: &Dockerfile<'_>, stage: usize, command: &SimpleCommand) -> bool {
    let name = match command.program() {
        "go" => "GOARCH",
        "cargo" => "CARGO_BUILD_TARGET",
        _ => return false,
    };
    // An ARG without a value is the builder's to pass.
    file.variables_at(stage, usize::MAX).contains_key(name)
}

/// Whether a stage copies the `go` that sets GOARCH from TARGETPLATFORM by itself. Source: tonistiigi/xx, "xx:golang".
fn has_go_wrapper(file: &Dockerfile<'_>, stage: usize) -> bool {
    let options = file.lineage(stage).flat_map(|stage| &stage.steps).flat_map(|step| &step.options);
    options.into_iter().any(|option| option.name == "from" && option.value.contains("xx:golang"))
}

/// A `go build` that compiles for the machine that runs it although the stage mentions the target: GOARCH is not in its
/// environment, and its output is one of the copied files. Source: `go help environment`; POSIX XCU 2.9.1, "export".
pub struct NativeGoBuild<'f> {
    pub command: &'f SimpleCommand,
    /// The script sets GOARCH, but does not export it.
    pub is_set: bool,
}

pub fn native_go_build<'f>(file: &'f Dockerfile<'_>, stage: usize, copied: &[PlainWord]) -> Option<NativeGoBuild<'f>> {
    let known = file.variables_at(stage, usize::MAX);
    if known.contains_key("GOARCH") || known.contains_key("GOENV") || has_go_wrapper(file, stage) {
        return None;
    }
    let lineage: Vec<&BuildStage> = file.lineage(stage).collect();
    for step in lineage.iter().flat_map(|stage| &stage.steps) {
        let StepKind::Run(run) = &step.kind else { continue };
        let mut is_exported = false;
        let mut is_set = false;
        for command in &run.commands {
            // From here on, `go` takes its target from TARGETPLATFORM. Source: tonistiigi/xx, "Go / Cgo".
            if command.program() == "xx-go" && command.has("--wrap") {
                return None;
            }
            let words = || command.words.iter();
            let names = words().any(|word| word.text == "GOARCH" || word.text.starts_with("GOARCH="));
            match command.program() {
                "go" if is_output_copied(command, copied) && !is_exported && !names => {
                    return Some(NativeGoBuild { command, is_set });
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

/// Returns the words of a step's commands that redirect their output to `path`, such as `echo ... > path`.
fn written_to(step: &BuildStep, path: &str) -> Vec<String> {
    let StepKind::Run(run) = &step.kind else { return Vec::new() };
    let writes = run.commands.iter().filter(|command| command.outputs.iter().any(|word| word.text == path));
    writes.map(|command| command.words.iter().map(|word| format!("{} ", word.text)).collect()).collect()
}

/// Whether `go build -o NAME` writes a file that is copied by that name.
fn is_output_copied(command: &SimpleCommand, copied: &[PlainWord]) -> bool {
    let base = |text: &str| text.trim_end_matches('/').rsplit('/').next().unwrap_or("").to_string();
    let is_build = command.arguments().first().is_some_and(|word| word.text == "build");
    let output = command.option(&["-o"]).map(|(word, at)| base(&word.text[at..]));
    is_build && output.is_some_and(|name| !name.is_empty() && copied.iter().any(|word| base(&word.text) == name))
}
