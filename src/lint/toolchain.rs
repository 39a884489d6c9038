//! Finds constants that set the architecture of a tool: Go, Cargo, npm, pip, dpkg, apt, C compilers. Also finds
//! `uname -m`, which reports the wrong machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::apt;
use super::compiler_flags;
use super::dockerfile::{BuildStep, BuildVariable, Dockerfile, RunStep, StepKind};
use super::download::{declaration, mapping};
use super::finding::{Edit, LintFinding, Safety};
use super::flow::{self, BuildMachine, StageFlow};
use super::one_branch;
use super::outside::Outside;
use super::rule::{RuleName, Severity};
use super::shell::{ConditionKind, PlainWord, SimpleCommand};
use crate::platform::Arch;
use crate::platform::word::{self as token, Spelling};

pub fn check(file: &Dockerfile<'_>, flow: &StageFlow, outside: &Outside<'_>) -> Vec<LintFinding> {
    let mut findings: Vec<(usize, LintFinding)> = Vec::new();
    let mut earlier: BTreeMap<RuleName, BTreeSet<Option<Arch>>> = BTreeMap::new();
    for (at, stage) in file.stages.iter().enumerate() {
        if flow.places[at].is_one_architectures() {
            continue;
        }
        let mut own: Vec<LintFinding> = Vec::new();
        for (index, step) in stage.steps.iter().enumerate() {
            let site = ToolchainSite { file, flow, stage: at, index, outside };
            match &step.kind {
                StepKind::Run(run) => own.extend(site.run(step, run)),
                // An ARG is an environment variable of RUN.
                StepKind::Env(pairs) | StepKind::Arg(pairs) if !is_for_another_system(values_of(pairs)) => {
                    own.extend(pairs.iter().filter_map(|pair| site.variable(pair)));
                }
                StepKind::Copy { heredocs, .. } => {
                    own.extend(heredocs.iter().flat_map(|doc| apt::sources(file.text, doc.body.clone(), false)));
                    own.retain(|finding| !site.is_cross(finding));
                }
                _ => {}
            }
        }
        let copied = copied_archs(file, at, &own);
        // A stage that builds for several architectures in turn names each of them.
        let mut named: BTreeMap<RuleName, BTreeSet<Option<Arch>>> = BTreeMap::new();
        for finding in &own {
            named.entry(finding.code).or_default().insert(finding.right_for);
            let reaches_image = copied.len() != 1 || copied.contains(&finding.right_for);
            if !flow.is_in_final_image(file, at) && reaches_image {
                earlier.entry(finding.code).or_default().insert(finding.right_for);
            }
        }
        let is_intended = |finding: &LintFinding| {
            let is_one_of_several = named.get(&finding.code).is_some_and(|archs| archs.len() > 1)
                && (copied.len() != 1 || !copied.contains(&finding.right_for));
            let is_named_for = finding.right_for.is_some_and(|arch| flow.is_named_for(at, arch));
            finding.right_for.is_some() && (is_one_of_several || is_named_for)
        };
        findings.extend(own.iter().filter(|finding| !is_intended(finding)).cloned().map(|finding| (at, finding)));
    }
    // Stages for several architectures are intended: the image copies the files of each one.
    let is_reported = |(at, finding): &(usize, LintFinding)| {
        let is_one_of_several = earlier.get(&finding.code).is_some_and(|archs| archs.len() > 1);
        flow.is_in_final_image(file, *at) || finding.right_for.is_none() || !is_one_of_several
    };
    findings.into_iter().filter(is_reported).map(|(_, finding)| finding).collect()
}

/// Returns the architectures of the steps that write a path that another stage copies from this one.
fn copied_archs(file: &Dockerfile<'_>, stage: usize, findings: &[LintFinding]) -> BTreeSet<Option<Arch>> {
    let Some(paths) = flow::copied_paths(file, stage) else { return BTreeSet::new() };
    let writes = |finding: &&LintFinding| {
        let mut steps = file.stages[stage].steps.iter();
        let step = steps.find(|step| step.span.contains(&finding.span.start));
        step.is_some_and(|step| paths.iter().any(|path| file.text[step.span.clone()].contains(path)))
    };
    findings.iter().filter(writes).map(|finding| finding.right_for).collect()
}

struct ToolchainSite<'a> {
    file: &'a Dockerfile<'a>,
    flow: &'a StageFlow,
    stage: usize,
    index: usize,
    outside: &'a Outside<'a>,
}

/// Returns the rule about a variable that a build tool reads.
fn rule_of_variable(name: &str) -> Option<RuleName> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "goarch" => Some(RuleName::GoarchConstant),
        "cargo_build_target" => Some(RuleName::CargoTargetConstant),
        "npm_config_arch" | "npm_config_cpu" | "npm_config_target_arch" => Some(RuleName::NpmArchConstant),
        "pip_platform" => Some(RuleName::PipPlatformConstant),
        // Variables of makefiles and scripts: gox, autotools' and Bazel's wrappers, Node's addons.
        "xc_arch"
        | "go_arch"
        | "target_arch"
        | "host_arch"
        | "build_goarch"
        | "goarchs"
        | "rust_target"
        | "cargo_target"
        | "deno_target"
        | "os_arch"
        | "kube_build_platforms"
        | "bun_target" => Some(RuleName::BuildArchConstant),
        _ => None,
    }
}

/// Properties that select native libraries. Source: JavaCPP's "Reducing the Number of Dependencies"; os-maven-plugin.
const JAVA_PROPERTIES: &[&str] =
    &["-Djavacpp.platform", "-PjavacppPlatform", "-Dos.detected.classifier", "-Dos.detected.arch", "-Dos.arch"];

/// `dnf config-manager --set-enabled codeready-builder-for-rhel-9-x86_64-rpms`: a repository with the packages of one
/// architecture. Source: dnf-config-manager(8), subscription-manager(8).
fn repository_of_one(command: &SimpleCommand) -> Option<LintFinding> {
    const PROGRAMS: &[&str] = &["dnf", "yum", "microdnf", "tdnf", "yum-config-manager", "subscription-manager"];
    const OPTIONS: &[&str] = &["--set-enabled", "--enable", "--enablerepo", "--enable-repo", "--repo", "--repoid"];
    let (word, at) = command.option(OPTIONS).filter(|_| PROGRAMS.contains(&command.program()))?;
    let id = &word.text[at..];
    let found = token::find(id).into_iter().next().filter(|_| !id.contains(['$', '/']))?;
    let span = word.source(at + found.range.start..at + found.range.end);
    let message = format!("this repository has only {} packages, on every platform", found.arch.name());
    let finding =
        LintFinding::new(RuleName::HardCodedArch, span, message, format!("only {}", &id[found.range.clone()]));
    Some(finding.right_for(Some(found.arch)).help("write $(uname -m) in the name of the repository"))
}

/// Whether GOOS among these variables is another system than Linux, so that no Linux image runs the program.
fn is_for_another_system<'v>(mut variables: impl Iterator<Item = (&'v str, &'v str)>) -> bool {
    variables.any(|(name, value)| name == "GOOS" && !value.is_empty() && value != "linux" && !value.contains('$'))
}

fn values_of(pairs: &[BuildVariable]) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().filter_map(|pair| Some((pair.name.as_str(), pair.value.as_ref()?.0.as_str())))
}

fn value_of<'t>(text: &'t str, span: &Range<usize>) -> &'t str {
    text[span.clone()].trim_matches(['"', '\''])
}

impl ToolchainSite<'_> {
    fn run(&self, step: &BuildStep, run: &RunStep) -> Vec<LintFinding> {
        let mut findings = Vec::new();
        let commands: Vec<&SimpleCommand> =
            run.commands.iter().filter(|command| command.choice != ConditionKind::ByArchitecture).collect();
        let assigned: Vec<(&SimpleCommand, &PlainWord)> =
            commands.iter().flat_map(|command| command.words.iter().map(move |word| (*command, word))).collect();
        let is_exported = |name: &str| {
            let exports =
                |command: &&&SimpleCommand| matches!(command.program(), "export" | "set" | "declare" | "typeset");
            commands
                .iter()
                .filter(exports)
                .any(|command| command.has(name) || command.program() == "set" && command.has("-a"))
                || self.file.variables_at(self.stage, self.index).contains_key(name)
        };
        for (command, word) in &assigned {
            let Some((name, at)) = word.assignment() else { continue };
            // A variable that is set, but not exported, is not visible to programs.
            if command.program().is_empty() && !is_exported(name) {
                continue;
            }
            let values = command.words.iter().filter_map(|word| {
                let (name, at) = word.assignment()?;
                Some((name, &word.text[at..]))
            });
            if is_for_another_system(values) {
                continue;
            }
            if let (Some(code), Some(arch)) = (rule_of_variable(name), token::arch_of_constant(&word.text[at..])) {
                findings.push(self.constant(code, name, arch, word.source(at..word.text.len()), Some(run)));
            }
        }
        for command in &commands {
            findings.extend(self.command(command, run));
            findings.extend(self.foreign_package(command));
            findings.extend(repository_of_one(command).map(|finding| self.weakened(finding)));
        }
        findings.extend(run.commands.iter().filter_map(|command| self.uname(command, run)));
        let sources = run.ranges.iter().flat_map(|range| apt::sources(self.file.text, range.clone(), true));
        let mut sources: Vec<LintFinding> = sources.collect();
        let chosen: Vec<Range<usize>> = run
            .commands
            .iter()
            .filter(|command| command.choice == ConditionKind::ByArchitecture)
            .filter_map(|command| Some(command.words.first()?.span.start..command.words.last()?.span.end))
            .collect();
        sources.retain(|finding| !self.is_cross(finding));
        sources.retain(|finding| !chosen.iter().any(|span| span.contains(&finding.span.start)));
        let is_one = sources.iter().all(|finding| finding.right_for == sources[0].right_for);
        findings.extend(sources.into_iter().filter(|_| is_one));
        let known = self.file.variables_at(self.stage, self.index);
        let is_known = |name: &str| known.get(name).is_some_and(|variable| variable.value.is_some());
        findings.extend(one_branch::check(run, is_known).into_iter().map(|finding| self.weakened(finding)));
        findings.extend(compiler_flags::native(self.file, step.span.clone()));
        if self.flow.places[self.stage].machine == BuildMachine::Target {
            findings.extend(commands.iter().filter_map(|command| self.refused(compiler_flags::in_command(command)?)));
        }
        findings
    }

    fn variable(&self, pair: &BuildVariable) -> Option<LintFinding> {
        let (value, span) = pair.value.as_ref()?;
        if self.file.text[span.clone()].contains("=native") {
            return compiler_flags::native(self.file, span.clone()).into_iter().next();
        }
        let refused = compiler_flags::in_variable(self.file, pair).and_then(|finding| self.refused(finding));
        if refused.is_some() && self.flow.places[self.stage].machine == BuildMachine::Target {
            return refused;
        }
        let code = rule_of_variable(&pair.name)?;
        if self.file.is_argument(&pair.name) && (self.outside.passes)(&pair.name) {
            return None;
        }
        Some(self.constant(code, &pair.name, token::arch_of_constant(value)?, span.clone(), None))
    }

    fn constant(
        &self,
        code: RuleName,
        name: &str,
        arch: Arch,
        span: Range<usize>,
        run: Option<&RunStep>,
    ) -> LintFinding {
        let message = format!("{name} is {} in every platform's build", arch.name());
        let finding =
            LintFinding::new(code, span.clone(), message, format!("always {}", &self.file.text[span.clone()]))
                .right_for(Some(arch));
        let finding = self.weakened(finding);
        // Only a shell would expand the variable.
        if code != RuleName::GoarchConstant
            || value_of(self.file.text, &span) != arch.oci()
            || run.is_some_and(|run| run.prologue.is_none())
        {
            return finding;
        }
        let declare = declaration(self.file, self.stage, self.index, "TARGETARCH");
        let edits = [Edit::replace(span, "${TARGETARCH}")].into_iter().chain(declare).collect();
        finding.fix("compile for the target", Safety::Safe, edits)
    }

    /// An option that other compilers refuse, unless the stage has the compiler that knows it.
    fn refused(&self, finding: LintFinding) -> Option<LintFinding> {
        let is_cross = finding.right_for.is_some_and(|arch| self.flow.places[self.stage].cross.contains(&arch));
        (!is_cross).then_some(finding)
    }

    /// A stage that does not reach the image breaks none.
    fn weakened(&self, finding: LintFinding) -> LintFinding {
        match self.flow.places[self.stage].reaches_final {
            true => finding,
            false => finding.weighing(Severity::Warning),
        }
    }

    /// Whether the finding is about an apt source in a stage with foreign packages, whose sources have to be
    /// distinguished.
    fn is_cross(&self, finding: &LintFinding) -> bool {
        // i386 does not count: it is added to amd64, and the source still works on amd64 only.
        let cross = &self.flow.places[self.stage].cross;
        finding.code == RuleName::AptArchConstant && cross.iter().any(|arch| *arch != Arch::I386)
    }

    /// Checks the options of cargo, npm, pip, dpkg and others.
    fn command(&self, command: &SimpleCommand, run: &RunStep) -> Option<LintFinding> {
        let program = command.program();
        let is_pip =
            program.starts_with("pip") || (command.has("pip") && (program.starts_with("python") || program == "uv"));
        let (code, names): (RuleName, &[&str]) = match program {
            "cargo" | "cross" if !command.has("target") => (RuleName::CargoTargetConstant, &["--target"]),
            "npm" | "yarn" | "pnpm" | "npx" => {
                (RuleName::NpmArchConstant, &["--arch", "--cpu", "--target_arch", "--target-arch"])
            }
            "docker-php-ext-configure" | "configure" => (RuleName::BuildArchConstant, &["--with-libdir"]),
            _ if is_pip => (RuleName::PipPlatformConstant, &["--platform", "--python-platform"]),
            "dpkg" => (RuleName::DpkgAddArchitecture, &["--add-architecture"]),
            "cmake" => (RuleName::BuildArchConstant, &["-DCMAKE_SYSTEM_PROCESSOR"]),
            "clang" | "clang++" | "zig" | "swift" => {
                (RuleName::BuildArchConstant, &["--target", "-target", "--triple"])
            }
            "deno" | "bun" | "pkg" | "nexe" => (RuleName::BuildArchConstant, &["--target", "-t"]),
            "dotnet" => (RuleName::BuildArchConstant, &["--runtime", "-r", "--arch", "-a"]),
            "make" | "gmake" => (RuleName::BuildArchConstant, &["ARCH"]),
            "mvn" | "mvnw" | "gradle" | "gradlew" => (RuleName::BuildArchConstant, JAVA_PROPERTIES),
            _ => return None,
        };
        let (word, at) = command.option(names)?;
        let arch = token::arch_of_constant(&word.text[at..])?;
        if code == RuleName::BuildArchConstant && self.flow.places[self.stage].cross.contains(&arch) {
            return None;
        }
        let span = word.source(at..word.text.len());
        let value = &word.text[at..];
        let message = match code {
            RuleName::BuildArchConstant if value.contains("lib/") => {
                format!("{program} looks for libraries in {}'s directory on every platform", arch.name())
            }
            RuleName::CargoTargetConstant | RuleName::BuildArchConstant => {
                format!("{program} compiles for {} in every platform's build", arch.name())
            }
            RuleName::DpkgAddArchitecture => format!("{value} packages are foreign on every platform but {arch}"),
            _ => format!("{program} downloads files for {} in every platform's build", arch.name()),
        };
        let finding = LintFinding::new(code, span, message, format!("always {value}")).right_for(Some(arch));
        let is_mapped = matches!(code, RuleName::CargoTargetConstant | RuleName::PipPlatformConstant);
        Some(match is_mapped.then(|| self.mapped(word, at, run)).flatten() {
            Some(mut edits) => {
                edits.extend(self.mapped_toolchains(value));
                edits.sort();
                edits.dedup();
                finding.fix("derive it from TARGETARCH", Safety::Unsafe, edits)
            }
            None => finding,
        })
    }

    /// `apt-get install libfoo:amd64` where dpkg has no foreign architectures.
    fn foreign_package(&self, command: &SimpleCommand) -> Option<LintFinding> {
        let is_install = matches!(command.program(), "apt" | "apt-get" | "aptitude") && command.has("install");
        if !is_install || self.file.lineage(self.stage).any(|stage| flow::adds_architecture(self.file, stage)) {
            return None;
        }
        let cross = &self.flow.places[self.stage].cross;
        let (word, at, arch) = command.arguments().iter().find_map(|word| {
            let (package, name) = word.text.rsplit_once(':').filter(|(package, _)| !package.is_empty())?;
            let arch = Arch::parse(name).filter(|arch| !cross.contains(arch))?;
            (!word.text.contains('/')).then_some((word, package.len() + 1, arch))
        })?;
        let span = word.source(at..word.text.len());
        let message = format!("apt installs the {} package on every platform", &word.text[at..]);
        let finding = LintFinding::new(RuleName::AptArchConstant, span, message, format!("only {}", &word.text[at..]));
        let help = "leave the architecture out: apt then installs the native package";
        Some(finding.weighing(Severity::Warning).right_for(Some(arch)).help(help))
    }

    /// Replaces the architecture in `word.text[at..]` with a variable that is set from TARGETARCH.
    fn mapped(&self, word: &PlainWord, at: usize, run: &RunStep) -> Option<Vec<Edit>> {
        let token = token::find(&word.text[at..])
            .into_iter()
            .find(|token| matches!(token.spelling, Spelling::Uname | Spelling::Triple))?;
        let range = at + token.range.start..at + token.range.end;
        if !word.expands_at(&range) {
            return None;
        }
        let edits = [Edit::replace(word.source(range), "${arch}"), mapping(run, token.spelling, "TARGETARCH", "arch")?];
        Some(edits.into_iter().chain(declaration(self.file, self.stage, self.index, "TARGETARCH")).collect())
    }

    /// Rewrites `rustup target add TRIPLE` in the stage, so that it adds the triple that Cargo compiles for.
    fn mapped_toolchains(&self, triple: &str) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (index, step) in self.file.stages[self.stage].steps.iter().enumerate() {
            let StepKind::Run(run) = &step.kind else { continue };
            let site = ToolchainSite { index, ..*self };
            let added = run.commands.iter().filter(|command| command.program() == "rustup" && command.has("add"));
            let word = added.flat_map(SimpleCommand::arguments).find(|word| word.text == triple);
            edits.extend(word.and_then(|word| site.mapped(word, 0, run)).into_iter().flatten());
        }
        edits
    }

    /// Reports `uname -m` and `arch`. The severity depends on the platform of the stage.
    fn uname(&self, command: &SimpleCommand, run: &RunStep) -> Option<LintFinding> {
        let is_query = match command.program() {
            "uname" => ["-m", "-p", "-i", "--machine", "-sm", "-ms"].iter().any(|option| command.has(option)),
            "arch" => command.arguments().is_empty(),
            _ => false,
        };
        let place = &self.flow.places[self.stage];
        if !is_query || !place.reaches_final {
            return None;
        }
        let span = command.words.first()?.span.start..command.words.last()?.span.end;
        let shown = &self.file.text[span.clone()];
        let builds_32_bit =
            self.outside.platforms.iter().any(|platform| matches!(platform.arch(), Some(Arch::Arm | Arch::I386)));
        let (message, label, severity) = match (&place.machine, builds_32_bit) {
            (BuildMachine::Builder, _) => (
                format!("{shown} reports the build machine's architecture here"),
                "the build machine's architecture",
                Severity::Warning,
            ),
            (_, true) => (
                format!("{shown} reports the 64-bit kernel's architecture in 32-bit builds"),
                "the kernel's architecture",
                Severity::Warning,
            ),
            _ => (
                format!("{shown} reports the kernel's architecture, which is wrong in 32-bit builds"),
                "the kernel's architecture",
                Severity::Note,
            ),
        };
        let finding = LintFinding::new(RuleName::UnameAtBuild, span, message, label).weighing(severity);
        Some(match self.uname_fix(shown, run) {
            Some(edits) => finding.fix("derive it from TARGETARCH", Safety::Unsafe, edits),
            None => finding,
        })
    }

    /// Replaces `$(uname -m)`, or the same in backquotes, with a variable that is set from TARGETARCH.
    fn uname_fix(&self, shown: &str, run: &RunStep) -> Option<Vec<Edit>> {
        let mapping = mapping(run, Spelling::Uname, "TARGETARCH", "arch")?;
        let find = |substitution: &String| {
            let range = run.ranges.iter().find(|range| self.file.text[(*range).clone()].contains(substitution))?;
            Some((substitution.clone(), range))
        };
        let (substitution, range) = [format!("$({shown})"), format!("`{shown}`")].iter().find_map(find)?;
        let places = self.file.text[range.clone()].match_indices(&substitution);
        let mut edits: Vec<Edit> = places
            .map(|(at, found)| Edit::replace(range.start + at..range.start + at + found.len(), "${arch}"))
            .collect();
        edits.push(mapping);
        edits.extend(declaration(self.file, self.stage, self.index, "TARGETARCH"));
        Some(edits)
    }
}
