//! Checks COPY of programs that were built outside the Dockerfile, whose headers contain their architecture.

use super::dockerfile::{self, BuildStep, Dockerfile, StepKind};
use super::download::declaration;
use super::finding::{Edit, LintFinding, Safety};
use super::flow::StageFlow;
use super::outside::{HostFile, Outside};
use super::rule::{RuleName, Severity};
use super::shell::PlainWord;
use crate::platform::word::{self as token, Spelling};
use crate::platform::{Arch, Class, Endian, Platform};

/// The platforms for which a name with `${TARGETARCH}` is expanded.
const TRIED: &[&str] = &[
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/386",
    "linux/ppc64le",
    "linux/s390x",
    "linux/riscv64",
];

/// The operating system and architecture of a program or library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CopiedProgram {
    Linux(Arch),
    MacOs,
    Windows,
}

pub fn check(file: &Dockerfile<'_>, flow: &StageFlow, outside: &Outside<'_>) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        if flow.places[at].is_one_architectures() || !flow.places[at].reaches_final {
            continue;
        }
        for (index, step) in stage.steps.iter().enumerate() {
            let StepKind::Copy { sources, .. } = &step.kind else { continue };
            if step.options.iter().any(|option| option.name == "from") {
                continue;
            }
            for source in sources.iter().filter(|source| !source.text.contains("://")) {
                let found = copied(file, at, index, step, source, outside);
                findings.extend(found.or_else(|| installed_on_host(source, outside)));
                findings.extend(overwritten(file, at, source, outside));
            }
        }
    }
    findings
}

/// Where a package manager of the host installs, native modules among the rest, and Cargo builds.
fn installed_on_host(source: &PlainWord, outside: &Outside<'_>) -> Option<LintFinding> {
    let path = source.text.trim_start_matches("./").trim_end_matches(['/', '*', '.']);
    let name = path.rsplit('/').next().unwrap_or("");
    if ["target/release/", "target/debug/"].iter().any(|built| path.contains(built)) && !name.contains('.') {
        let message = format!("{} was built by Cargo on the host, and every platform's image gets it", source.text);
        let finding =
            LintFinding::new(RuleName::HostBuiltCopy, source.span.clone(), message, "built outside the Dockerfile");
        return Some(finding.weighing(Severity::Warning));
    }
    let has = |names: &[&str]| names.iter().any(|name| !(outside.files)(name).is_empty());
    let builder = match name {
        "target" if has(&["Cargo.toml"]) => Some("Cargo"),
        "dist" if has(&[".goreleaser.yml", ".goreleaser.yaml"]) => Some("GoReleaser"),
        _ => None,
    };
    if let Some(builder) = builder {
        let message =
            format!("{} is what {builder} built on the host, and every platform's image gets it", source.text);
        let finding =
            LintFinding::new(RuleName::HostBuiltCopy, source.span.clone(), message, "built outside the Dockerfile");
        return Some(finding.weighing(Severity::Warning));
    }
    let manager = match name {
        "node_modules" => "npm install",
        ".venv" | "venv" => "pip install",
        _ => return None,
    };
    let message =
        format!("{} comes from the build host, and every platform's image gets its native modules", source.text);
    Some(
        LintFinding::new(RuleName::HostBuiltCopy, source.span.clone(), message, "installed outside the Dockerfile")
            .weighing(Severity::Warning)
            .help(format!("run {manager} in a stage for the target platform, and list {name} in .dockerignore")),
    )
}

/// A directory into which package managers install native modules, and the lock files of projects that use them.
struct Installed {
    directory: &'static str,
    managers: &'static [&'static str],
    locks: &'static [&'static str],
}

/// Source: the package managers' documentation. For Python, only managers that create the environment are listed.
const INSTALLED: &[Installed] = &[
    Installed {
        directory: "node_modules",
        managers: &["npm", "yarn", "pnpm", "bun"],
        locks: &["package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"],
    },
    Installed {
        directory: ".venv",
        managers: &["uv", "poetry", "pipenv", "pdm"],
        locks: &["uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock"],
    },
];

/// `COPY . .` in a stage that installs packages: the host's modules also reach the image, unless .dockerignore excludes
/// them.
fn overwritten(file: &Dockerfile<'_>, stage: usize, source: &PlainWord, outside: &Outside<'_>) -> Option<LintFinding> {
    let directory = source.text.trim_start_matches("./").trim_end_matches(['/', '.']);
    let within = |name: &str| match directory {
        "" => name.to_string(),
        _ => format!("{directory}/{name}"),
    };
    let has = |name: &&str| !(outside.files)(&within(name)).is_empty();
    let installed = INSTALLED.iter().find(|installed| {
        let steps = file.lineage(stage).flat_map(|stage| &stage.steps);
        let mut commands = steps.flat_map(|step| match &step.kind {
            StepKind::Run(run) => run.commands.iter().map(|command| (step.span.start, command)).collect(),
            _ => Vec::new(),
        });
        let is_installed = commands.any(|(at, command)| {
            // `npm ci` removes existing modules first.
            if at > source.span.start && command.has("ci") {
                return false;
            }
            let verbs = ["install", "ci", "i", "add", "sync"];
            let is_yarn = command.program() == "yarn" && command.arguments().is_empty();
            installed.managers.contains(&command.program()) && (is_yarn || verbs.iter().any(|verb| command.has(verb)))
        });
        is_installed && !(outside.ignores)(&within(installed.directory)) && installed.locks.iter().any(has)
    })?;
    let name = installed.directory;
    let message = format!("the host's {name} is copied into an image that installs its own");
    Some(
        LintFinding::new(
            RuleName::HostBuiltCopy,
            source.span.clone(),
            message,
            format!(".dockerignore does not list {name}"),
        )
        .weighing(Severity::Warning)
        .help(format!("list {name} in .dockerignore so that no native modules of the host reach the image")),
    )
}

fn copied(
    file: &Dockerfile<'_>,
    stage: usize,
    index: usize,
    step: &BuildStep,
    source: &PlainWord,
    outside: &Outside<'_>,
) -> Option<LintFinding> {
    let mut known = file.variables_at(stage, index);
    let is_chosen = dockerfile::references(&source.text)
        .iter()
        .any(|(_, reference)| dockerfile::is_automatic(reference.name, "TARGET"));
    if is_chosen {
        return misnamed(source, outside);
    }
    known.retain(|_, variable| variable.value.is_some());
    let (path, _) = dockerfile::expand(&source.text, &known);
    let programs: Vec<(HostFile, CopiedProgram)> = (outside.files)(&path)
        .into_iter()
        .filter_map(|host| program_of(&host.head).map(|program| (host, program)))
        .collect();
    let (host, program) = programs.first()?;
    // A tree with programs for several platforms is intended: prebuilt modules, or the output of a cross build.
    if programs.iter().any(|(_, other)| other != program) {
        return None;
    }
    let is_named = programs.len() == 1 && host.path.trim_start_matches("./") == path.trim_start_matches(['.', '/']);
    let more = programs.len() - 1;
    let message = match (is_named, more) {
        (true, _) => format!("{} is {}, and every platform's image gets it", host.path, shown(*program)),
        (false, 0) => format!("{} in it is {}, and every platform's image gets it", host.path, shown(*program)),
        (false, _) => format!(
            "{} and {more} more in it are {}s, and every platform's image gets them",
            host.path,
            shown(*program)
        ),
    };
    let message = message.replace(" are an ", " are ").replace(" are a ", " are ");
    let severity = if is_named || *program == CopiedProgram::MacOs { Severity::Error } else { Severity::Warning };
    let finding =
        LintFinding::new(RuleName::HostBuiltCopy, source.span.clone(), message, label(*program)).weighing(severity);
    let finding = finding.right_for(if let CopiedProgram::Linux(arch) = program { Some(*arch) } else { None });
    let token = token::find(&source.text).into_iter().find(|token| token.spelling == Spelling::Oci);
    Some(match token.filter(|_| is_named) {
        Some(token) => {
            let edit = Edit::replace(source.source(token.range), "${TARGETARCH}");
            let edits = [edit].into_iter().chain(declaration(file, stage, index, "TARGETARCH")).collect();
            finding.fix("copy each platform's own file", Safety::Safe, edits)
        }
        None => finding.help(format!(
            "build it in a stage of this Dockerfile, or keep one file per architecture and write `ARG TARGETARCH` and COPY {}-${{TARGETARCH}}{}",
            source.text.trim_end_matches('/'),
            &file.text[source.span.end..step.span.end].lines().next().unwrap_or(""),
        )),
    })
}

/// `bin/app-${TARGETARCH}`: reports a file that is not for the architecture in its name.
fn misnamed(source: &PlainWord, outside: &Outside<'_>) -> Option<LintFinding> {
    for platform in TRIED.iter().filter_map(|text| Platform::parse(text).ok()) {
        let path = path_for(&source.text, &platform);
        let Some((host, program)) =
            (outside.files)(&path).into_iter().find_map(|host| program_of(&host.head).map(|program| (host, program)))
        else {
            continue;
        };
        if Some(program) != platform.arch().map(CopiedProgram::Linux) {
            let message = format!("{} is {}, and {platform}'s image gets it", host.path, shown(program));
            let help = format!("rebuild {} for {platform}", host.path);
            return Some(
                LintFinding::new(RuleName::HostBuiltCopy, source.span.clone(), message, label(program)).help(help),
            );
        }
    }
    None
}

fn path_for(text: &str, platform: &Platform) -> String {
    let variant = platform.variant.clone().unwrap_or_default();
    let values = [
        ("TARGETPLATFORM", platform.to_string()),
        ("TARGETOS", platform.os.clone()),
        ("TARGETARCH", platform.architecture.clone()),
        ("TARGETVARIANT", variant),
    ];
    values.iter().fold(text.to_string(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
    })
}

fn shown(program: CopiedProgram) -> String {
    match program {
        CopiedProgram::Linux(arch) => {
            let article = if arch.name().starts_with(['A', 'a', 'x', 'i', 'm', '3']) { "an" } else { "a" };
            let article = if arch.name().starts_with('3') || arch.name().starts_with("m68") { "a" } else { article };
            format!("{article} {} program", arch.name())
        }
        CopiedProgram::MacOs => "a macOS program".to_string(),
        CopiedProgram::Windows => "a Windows program".to_string(),
    }
}

fn label(program: CopiedProgram) -> String {
    match program {
        CopiedProgram::Linux(arch) => format!("always {}", arch.name()),
        CopiedProgram::MacOs => "runs on macOS only".to_string(),
        CopiedProgram::Windows => "runs on Windows only".to_string(),
    }
}

/// Recognizes ELF programs and shared libraries, Mach-O and PE by their headers. Object files and core dumps are data.
fn program_of(head: &[u8]) -> Option<CopiedProgram> {
    const ET_EXEC: u16 = 2;
    const ET_DYN: u16 = 3;
    match head {
        [0x7f, b'E', b'L', b'F', class, data, ..] if head.len() >= 20 => {
            let class = if *class == 1 { Class::Elf32 } else { Class::Elf64 };
            let endian = if *data == 2 { Endian::Big } else { Endian::Little };
            let half = |at: usize| match endian {
                Endian::Little => u16::from_le_bytes([head[at], head[at + 1]]),
                Endian::Big => u16::from_be_bytes([head[at], head[at + 1]]),
            };
            matches!(half(16), ET_EXEC | ET_DYN)
                .then(|| Arch::of_elf(half(18), class, endian))
                .flatten()
                .map(CopiedProgram::Linux)
        }
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => Some(CopiedProgram::MacOs),
        // 0xcafebabe is also a Java class, whose version is above 43. A fat binary contains few architectures.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, count, ..] if *count < 20 => Some(CopiedProgram::MacOs),
        [b'M', b'Z', ..] => Some(CopiedProgram::Windows),
        _ => None,
    }
}
