//! Finds architecture names in the files that RUN downloads and unpacks, in the sources of COPY and ADD, and in the
//! paths of ENV, ENTRYPOINT and CMD.

mod hits;
mod rewrite;

use std::collections::{BTreeMap, BTreeSet};

use super::assets;
use super::compilers::compiles;
use super::dockerfile::{BuildStep, BuildVariable, Dockerfile, RunStep, StepKind};
use super::finding::{Edit, LintFinding, Safety};
use super::flow::{self, BuildMachine, StageFlow};
use super::outside::Outside;
use super::rule::{RuleName, Severity};
use super::shell::{ConditionKind, PlainWord};
use super::stages::{is_task, with_origins};
use crate::platform::word::{self, Spelling};
use crate::platform::{Arch, Platform};
use hits::{Hit, chooses_for_itself, given_names, hits_in, hits_of, is_library_path};
pub use rewrite::{declaration, mapping};

pub fn check(file: &Dockerfile<'_>, flow: &StageFlow, outside: &Outside<'_>) -> Vec<LintFinding> {
    let mut found: Vec<rewrite::NamedFinding> = Vec::new();
    let everywhere = names_given_by(file);
    for (at, stage) in file.stages.iter().enumerate() {
        if flow.places[at].is_one_architectures() {
            continue;
        }
        let mut is_posix = true;
        let is_checked = compares_checksums(file, at);
        let mut sites: Vec<(DownloadSite<'_>, Vec<Hit<'_>>)> = Vec::new();
        for (index, step) in stage.steps.iter().enumerate() {
            if let StepKind::Shell { is_posix: set } = &step.kind {
                is_posix = *set;
            }
            let site = DownloadSite { file, flow, outside, stage: at, index, step, is_posix, is_checked };
            let hits = site.hits(&everywhere);
            sites.push((site, hits));
        }
        // Files for several architectures next to each other are intended.
        let mut skeletons: BTreeMap<String, BTreeSet<Arch>> = BTreeMap::new();
        for hit in sites.iter().flat_map(|(_, hits)| hits).filter(|hit| hit.origins.is_empty()) {
            skeletons.entry(hit.skeleton()).or_default().insert(hit.token.arch);
        }
        for (site, mut hits) in sites {
            hits.retain(|hit| skeletons.get(&hit.skeleton()).is_none_or(|archs| archs.len() < 2));
            found.extend(site.findings(&hits));
        }
    }
    rewrite::whole_downloads(found)
}

fn compares_checksums(file: &Dockerfile<'_>, stage: usize) -> bool {
    let stage = &file.stages[stage];
    let end = stage.steps.last().map_or(stage.span.end, |step| step.span.end);
    let text = file.text[stage.span.start..end.max(stage.span.start)].to_ascii_lowercase();
    let sums = ["sha1sum", "sha256", "sha512", "shasum", "md5sum", "gpg --verify", "--checksum", "cosign", "minisign"];
    sums.iter().any(|sum| text.contains(sum))
}

/// Returns the base names that the Dockerfile itself gives to files that it creates, downloads or copies.
fn names_given_by(file: &Dockerfile<'_>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |text: &str| {
        let name = text.trim_end_matches('/').rsplit('/').next().unwrap_or("");
        if !word::find(text).is_empty() && !name.is_empty() {
            names.insert(name.to_string());
        }
    };
    for step in file.stages.iter().flat_map(|stage| &stage.steps) {
        match &step.kind {
            StepKind::Run(run) => run.commands.iter().flat_map(given_names).for_each(&mut add),
            // A copy that keeps its name does not get one here.
            StepKind::Copy { sources, destination: Some(destination), .. } => {
                let base = |word: &PlainWord| word.text.trim_end_matches('/').rsplit('/').next().map(str::to_string);
                if !sources.iter().any(|source| base(source) == base(destination)) {
                    add(&destination.text);
                }
            }
            _ => {}
        }
    }
    names
}

/// A step, with its stage and file.
struct DownloadSite<'a> {
    file: &'a Dockerfile<'a>,
    flow: &'a StageFlow,
    outside: &'a Outside<'a>,
    stage: usize,
    index: usize,
    step: &'a BuildStep,
    is_posix: bool,
    /// The stage verifies checksums or signatures, which are for one architecture's files.
    is_checked: bool,
}

impl<'a> DownloadSite<'a> {
    /// Returns the architecture names of this step that may select a file.
    fn hits(&self, given: &BTreeSet<String>) -> Vec<Hit<'a>> {
        let known = self.file.variables_at(self.stage, self.index);
        let mut hits: Vec<Hit<'a>> = match &self.step.kind {
            StepKind::Run(run) => self.run_hits(run, known),
            StepKind::Copy { sources, .. } => {
                let is_from_stage = self.step.options.iter().any(|option| option.name == "from");
                // For an existing file, its header is checked instead.
                let is_judged = |word: &&PlainWord| {
                    is_from_stage || word.text.contains("://") || (self.outside.files)(&word.text).is_empty()
                };
                let words = sources.iter().filter(is_judged);
                words.flat_map(|word| hits_in(word, &word.text, 0, &known)).collect()
            }
            StepKind::Start(words) => words.iter().flat_map(|word| hits_in(word, &word.text, 0, &known)).collect(),
            _ => Vec::new(),
        };
        hits.retain(|hit| !self.is_intended(hit) && !self.is_passed(hit) && !self.is_cross(hit.token.arch));
        hits.retain(|hit| hit.is_url() || !given.contains(hit.base_name()));
        hits
    }

    fn run_hits(&self, run: &'a RunStep, mut known: BTreeMap<String, BuildVariable>) -> Vec<Hit<'a>> {
        for (name, value) in shell_variables(run) {
            match value {
                Some(variable) => known.insert(name, variable),
                None => known.remove(&name),
            };
        }
        let commands = run
            .commands
            .iter()
            .filter(|command| command.choice != ConditionKind::ByArchitecture && !chooses_for_itself(command));
        let mut hits: Vec<Hit<'a>> = commands.flat_map(|command| hits_of(command, &known)).collect();
        // `URL=...-amd64; if [ "$(arch)" = aarch64 ]; then URL=...-arm64; fi`
        let decided = run.commands.iter().filter(|command| command.choice == ConditionKind::ByArchitecture);
        let chosen: BTreeSet<&str> =
            decided.flat_map(|command| &command.words).filter_map(|word| Some(word.assignment()?.0)).collect();
        hits.retain(|hit| hit.word.assignment().is_none_or(|(name, _)| !chosen.contains(name)));
        // A script that names files for several architectures uses all of them intentionally.
        let mut named = hits.iter().filter(|hit| hit.origins.is_empty()).map(|hit| hit.token.arch);
        let first = named.next();
        if named.all(|arch| Some(arch) == first) { hits } else { Vec::new() }
    }

    fn findings(&self, hits: &[Hit<'_>]) -> Vec<rewrite::NamedFinding> {
        match &self.step.kind {
            StepKind::Run(run) => {
                let mut found = self.run(run, hits);
                found.extend(run.commands.iter().flat_map(|command| self.assets(&command.words, command.choice)));
                found
            }
            StepKind::Copy { is_add, sources, .. } => {
                let mut found: Vec<_> = self.first_of_each_word(hits).map(|hit| self.copied(*is_add, hit)).collect();
                found.extend(self.assets(sources, ConditionKind::Always));
                found
            }
            StepKind::Start(_) => self.first_of_each_word(hits).map(|hit| self.started(hit)).collect(),
            StepKind::Env(pairs) => self.env(pairs),
            StepKind::Arg(_) | StepKind::Shell { .. } | StepKind::Other => Vec::new(),
        }
    }

    fn first_of_each_word<'h, 'w>(&self, hits: &'h [Hit<'w>]) -> impl Iterator<Item = &'h Hit<'w>> {
        let is_first = move |at: usize| at == 0 || hits[at - 1].word.span != hits[at].word.span;
        hits.iter().enumerate().filter(move |(at, hit)| is_first(*at) && !hit.is_follower).map(|(_, hit)| hit)
    }

    fn run(&self, run: &RunStep, hits: &[Hit<'_>]) -> Vec<rewrite::NamedFinding> {
        let mut findings = Vec::new();
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for hit in hits.iter().filter(|hit| !hit.is_follower) {
            let is_spelled = seen.iter().any(|(spelled, _)| *spelled == hit.spelled);
            // Each URL is a separate download. Other lines unpack or move one that is reported.
            let is_reported = seen.contains(&(&hit.spelled, hit.download())) || is_spelled && !hit.is_url();
            if is_reported || self.is_reported_at_env(hit) {
                continue;
            }
            seen.push((&hit.spelled, hit.download()));
            let alike: Vec<&Hit<'_>> = hits.iter().filter(|other| other.spelled == hit.spelled).collect();
            let stems = alike.iter().map(|hit| hit.stem().to_string()).collect();
            findings.push(rewrite::NamedFinding { finding: self.finding(hit, &alike, run), stems });
        }
        findings
    }

    fn finding(&self, hit: &Hit<'_>, alike: &[&Hit<'_>], run: &RunStep) -> LintFinding {
        let finding = self.of_hit(hit);
        let is_checked = self.is_checked;
        let how = self.help(hit, is_checked);
        // Without a shell, the program gets the name unexpanded.
        let finding = finding.help(match run.is_exec {
            true => format!("use the shell form, because the exec form expands no variables; {how}"),
            false => how,
        });
        match self.shell_fix(alike, run) {
            Some((title, edits)) => {
                let is_proven = word::reads_back(hit.token.spelling, hit.token.arch, &hit.spelled)
                    && alike.iter().all(|hit| hit.origins.is_empty());
                let is_targets = self.flow.places[self.stage].machine == BuildMachine::Target;
                let is_safe = is_proven && is_targets && !is_checked;
                finding.fix(title, if is_safe { Safety::Safe } else { Safety::Unsafe }, edits)
            }
            None => finding,
        }
    }

    /// Creates the finding about a name, without help.
    fn of_hit(&self, hit: &Hit<'_>) -> LintFinding {
        let arch = hit.token.arch;
        let message = match hit.is_url() {
            true => format!("this download is {} on every platform", arch.name()),
            false => format!("this file name is for {} on every platform", arch.name()),
        };
        let span = hit.word.source(hit.range.clone());
        let finding = LintFinding::new(RuleName::HardCodedArch, span, message, format!("always {}", hit.spelled));
        with_origins(finding, &hit.origins.iter().collect::<Vec<_>>())
            .weighing(self.severity(hit))
            .right_for(Some(arch))
    }

    fn is_intended(&self, hit: &Hit<'_>) -> bool {
        self.flow.is_named_for(self.stage, hit.token.arch)
    }

    /// Whether the project passes the build argument that contains the name, possibly a different value for each
    /// platform.
    fn is_passed(&self, hit: &Hit<'_>) -> bool {
        hit.origins.iter().any(|origin| {
            let name = &origin.name;
            self.file.is_argument(name) && (is_branched_on(self.file.text, name) || (self.outside.passes)(name))
        })
    }

    /// Whether this stage or an ancestor has a cross compiler for this architecture. Its files belong to the compiler.
    fn is_cross(&self, arch: Arch) -> bool {
        self.flow.places[self.stage].cross.contains(&arch)
    }

    /// Whether the finding is on the ENV line that contains the whole URL.
    fn is_reported_at_env(&self, hit: &Hit<'_>) -> bool {
        hit.origins.iter().any(|origin| {
            let has_url = origin.value.as_ref().is_some_and(|(value, _)| value.contains("://"));
            let steps = self.file.lineage(self.stage).flat_map(|stage| &stage.steps);
            let mut pairs =
                steps.filter_map(|step| if let StepKind::Env(pairs) = &step.kind { Some(pairs) } else { None });
            has_url
                && !is_one_of_several(&origin.name)
                && pairs.any(|pairs| pairs.iter().any(|pair| pair.name_span == origin.name_span))
        })
    }

    /// Returns the severity. Stages that do not reach the image, or from which only data is copied, break no image.
    fn severity(&self, hit: &Hit<'_>) -> Severity {
        let place = &self.flow.places[self.stage];
        let is_data = place.gives_data_only || self.leaves_programs_out();
        let is_in_image = place.reaches_final && !is_data && !self.is_tool(hit) && !is_task(self.file, self.stage);
        if is_in_image { Severity::Error } else { Severity::Warning }
    }

    /// Whether the step unpacks an archive without its programs: `tar --exclude=*/bin`.
    fn leaves_programs_out(&self) -> bool {
        let StepKind::Run(run) = &self.step.kind else { return false };
        let is_excluded = |word: &PlainWord| {
            word.text.strip_prefix("--exclude=").is_some_and(|path| path.trim_end_matches('/').ends_with("/bin"))
        };
        run.commands.iter().any(|command| command.program() == "tar" && command.arguments().iter().any(is_excluded))
    }

    /// Returns BUILDARCH for tools that run on the build machine, and TARGETARCH for files of the image.
    fn variable(&self, hit: &Hit<'_>) -> &'static str {
        if self.is_tool(hit) { "BUILDARCH" } else { "TARGETARCH" }
    }

    /// Whether this stage downloads tools of the build: it runs on the build machine, and it or a stage made from it
    /// compiles, or only stages on the build machine copy from it. Other stages download files of the image.
    fn is_tool(&self, hit: &Hit<'_>) -> bool {
        let mut made_from_it =
            (0..self.file.stages.len()).filter(|stage| self.file.lineage_indices(*stage).any(|at| at == self.stage));
        match self.flow.places[self.stage].machine {
            BuildMachine::Target => false,
            // A compiler's argument names the target.
            _ if hit.is_compiler_argument => false,
            BuildMachine::Constant(_) => true,
            BuildMachine::Builder => {
                made_from_it.any(|stage| compiles(self.file, stage))
                    || !flow::feeds_target(self.file, self.flow, self.stage)
            }
        }
    }

    fn help(&self, hit: &Hit<'_>, is_checked: bool) -> String {
        let variable = self.variable(hit);
        let checksum = match is_checked {
            true => "the checksum in this stage is for one architecture's file: each file needs its own",
            false => "verify each architecture's file with its own checksum",
        };
        format!("{}; {checksum}", rewrite::how_to_spell(hit.token.spelling, variable))
    }

    /// Declares the variable, maps it if names differ, and replaces every occurrence of the name. `None` if a shell
    /// would not expand it.
    fn shell_fix(&self, alike: &[&Hit<'_>], run: &RunStep) -> Option<(String, Vec<Edit>)> {
        let hit = alike.first()?;
        let spelling = hit.token.spelling;
        let is_one_spelling = alike.iter().all(|other| other.token.spelling == spelling);
        if !self.is_posix || run.prologue.is_none() || !is_one_spelling || !alike.iter().all(|hit| hit.is_replaceable())
        {
            return None;
        }
        let mapped = rewrite::mapped_name(spelling).map(|name| rewrite::free_name(self.file.text, name));
        let mapping = match &mapped {
            Some(into) => Some(mapping(run, spelling, self.variable(hit), into)?),
            None => None,
        };
        let inserted = format!("${{{}}}", mapped.as_deref().unwrap_or(self.variable(hit)));
        let mut edits: Vec<Edit> =
            alike.iter().map(|hit| Edit::replace(hit.word.source(hit.range.clone()), inserted.clone())).collect();
        edits.extend(mapping);
        edits.extend(self.declaration(self.variable(hit)));
        edits.sort();
        edits.dedup();
        Some(("let BuildKit choose".to_string(), edits))
    }

    fn declaration(&self, name: &str) -> Option<Edit> {
        declaration(self.file, self.stage, self.index, name)
    }

    fn copied(&self, is_add: bool, hit: &Hit<'_>) -> rewrite::NamedFinding {
        let stems = vec![hit.stem().to_string()];
        let span = hit.word.source(hit.range.clone());
        let finding = self.of_hit(hit);
        let is_proven = word::reads_back(hit.token.spelling, hit.token.arch, &hit.spelled);
        let names_alike = hit.word.text.matches(hit.spelled.as_str()).count() == 1;
        let finding = if hit.token.spelling != Spelling::Oci || !hit.origins.is_empty() || !is_proven || !names_alike {
            let how = match is_add {
                true => "download it in a RUN step, and map",
                false => "in the stage that builds it, write it to one path for every platform, and map",
            };
            let finding = finding.help(format!("{how} TARGETARCH to names like {}", hit.spelled));
            match self.any_of_stage(hit) {
                Some(edit) => {
                    finding.fix("copy what the stage built, for any architecture", Safety::Unsafe, vec![edit])
                }
                None => finding,
            }
        } else {
            let edits =
                [Edit::replace(span, "${TARGETARCH}")].into_iter().chain(self.declaration("TARGETARCH")).collect();
            let safety = if self.is_checked { Safety::Unsafe } else { Safety::Safe };
            finding.help(self.help(hit, self.is_checked)).fix("let BuildKit choose", safety, edits)
        };
        rewrite::NamedFinding { finding, stems }
    }

    /// A started path that exists in one architecture's image only.
    fn started(&self, hit: &Hit<'_>) -> rewrite::NamedFinding {
        let span = hit.word.source(hit.range.clone());
        let message = format!("the image starts {}, a path for {} only", hit.path, hit.token.arch.name());
        let severity = if is_library_path(hit) { Severity::Error } else { Severity::Warning };
        let finding = LintFinding::new(RuleName::HardCodedArch, span, message, format!("always {}", hit.spelled))
            .weighing(if self.flow.is_in_final_image(self.file, self.stage) { severity } else { Severity::Warning })
            .right_for(Some(hit.token.arch))
            .help("the exec form expands no variables: in a RUN step, create a link at a path without the architecture, and start the link");
        rewrite::NamedFinding { finding, stems: vec![hit.stem().to_string()] }
    }

    /// Known downloads for one architecture whose names do not contain it.
    fn assets(&self, words: &[PlainWord], choice: ConditionKind) -> Vec<rewrite::NamedFinding> {
        let known = self.file.variables_at(self.stage, self.index);
        let place = &self.flow.places[self.stage];
        let urls = words.iter().filter(|word| choice != ConditionKind::ByArchitecture && word.text.contains("://"));
        let found = urls.filter_map(|word| {
            let url = super::dockerfile::expand(&word.text, &known).0;
            let asset = assets::find(&url)?;
            let arch = asset.arch;
            let is_intended = self.flow.is_named_for(self.stage, arch);
            let message = format!("this download is {} on every platform", arch.name());
            let start = word.text.rfind('/').map_or(0, |slash| slash + 1);
            let span = word.source(start..word.text.len());
            let severity =
                if place.reaches_final && !place.gives_data_only { Severity::Error } else { Severity::Warning };
            let finding = LintFinding::new(RuleName::HardCodedArch, span, message, format!("always {}", arch.name()))
                .weighing(severity)
                .right_for(Some(arch))
                .help(format!("choose the file by TARGETARCH; files for other architectures: {}", asset.others));
            (!is_intended).then(|| rewrite::NamedFinding { finding, stems: Vec::new() })
        });
        found.collect()
    }

    /// `COPY --from=build /src/target/x86_64-unknown-linux-musl/release/app`: replaces the triple with `*`, because the
    /// stage has only one such directory.
    fn any_of_stage(&self, hit: &Hit<'_>) -> Option<Edit> {
        let from = self.step.options.iter().find(|option| option.name == "from")?;
        self.file.stage_named(&from.value, self.stage)?;
        let text = &hit.word.text;
        let start = text[..hit.range.start].rfind('/').map_or(0, |slash| slash + 1);
        let end = hit.range.end + text[hit.range.end..].find('/')?;
        let is_cargo = text[..start].ends_with("target/") && text[start..end].matches('-').count() >= 2;
        is_cargo.then(|| Edit::replace(hit.word.source(start..end), "*"))
    }

    fn env(&self, pairs: &[BuildVariable]) -> Vec<rewrite::NamedFinding> {
        let mut findings = Vec::new();
        for pair in pairs {
            let Some((value, span)) = &pair.value else { continue };
            if is_one_of_several(&pair.name) {
                continue;
            }
            let word = PlainWord::literal(self.file.text, span.clone());
            let is_path = value.contains('/') && word.text.contains('/') && Platform::parse(value).is_err();
            let hits = if is_path { hits_in(&word, &word.text, 0, &BTreeMap::new()) } else { Vec::new() };
            // A search path may contain directories for several architectures.
            let is_choice = hits.iter().any(|hit| hit.token.arch != hits[0].token.arch);
            let Some(hit) = hits.into_iter().next() else { continue };
            if is_choice || self.is_intended(&hit) || self.is_cross(hit.token.arch) {
                continue;
            }
            let span = word.source(hit.range.clone());
            let is_download = hit.word.text.contains("://");
            let (message, severity) = match is_download {
                true => (format!("this download is {} on every platform", hit.token.arch.name()), self.severity(&hit)),
                false => {
                    let message = format!("{} contains {}'s path on every platform", pair.name, hit.token.arch.name());
                    (message, Severity::Warning)
                }
            };
            let help = match is_download {
                true => format!("write the URL in the RUN step that downloads it; {}", self.help(&hit, false)),
                false => "the path differs on other platforms: create a link at a path without the architecture in a RUN step, or use TARGETARCH".to_string(),
            };
            let finding =
                LintFinding::new(RuleName::HardCodedArch, span.clone(), message, format!("always {}", hit.spelled))
                    .weighing(severity)
                    .right_for(Some(hit.token.arch))
                    .help(help);
            let stems = vec![hit.stem().to_string()];
            let finding = match hit.token.spelling {
                Spelling::Oci if word::reads_back(Spelling::Oci, hit.token.arch, &hit.spelled) && !self.is_checked => {
                    let edits = [Edit::replace(span, "${TARGETARCH}")]
                        .into_iter()
                        .chain(self.declaration("TARGETARCH"))
                        .collect();
                    finding.fix("let BuildKit choose", Safety::Safe, edits)
                }
                _ => finding,
            };
            findings.push(rewrite::NamedFinding { finding, stems });
        }
        findings
    }
}

/// Whether a variable is named for an architecture, like `TOOL_URL_arm64`. A script may choose among such variables, so
/// the use counts, not the value.
fn is_one_of_several(name: &str) -> bool {
    !word::find(name).is_empty()
}

/// Whether a script of the file branches on this variable: `case "$ARCH" in`, `[ "$ARCH" = arm64 ]`.
fn is_branched_on(text: &str, name: &str) -> bool {
    let forms = [format!("${name}"), format!("${{{name}}}")];
    forms.iter().any(|form| {
        text.match_indices(form.as_str()).any(|(at, found)| {
            let before = text[..at].trim_end_matches('"').trim_end();
            let after = text[at + found.len()..].trim_start_matches('"').trim_start();
            before.ends_with("case") || after.starts_with("= ") || after.starts_with("== ") || after.starts_with("!= ")
        })
    })
}

/// Returns the variables that a script assigns. The value is `None` if the assignment is conditional or runs commands.
fn shell_variables(run: &RunStep) -> BTreeMap<String, Option<BuildVariable>> {
    let mut variables: BTreeMap<String, Option<BuildVariable>> = BTreeMap::new();
    for command in &run.commands {
        for word in &command.words {
            let Some((name, value_at)) = word.assignment() else { continue };
            let value = word.text[value_at..].to_string();
            let is_plain = !value.is_empty()
                && !value.contains("$(")
                && !value.contains('`')
                && command.choice == ConditionKind::Always;
            let variable = is_plain.then(|| BuildVariable {
                name: name.to_string(),
                name_span: word.source(0..name.len()),
                value: Some((value, word.source(value_at..word.text.len()))),
            });
            // After a second assignment, the value is unknown.
            let is_new = !variables.contains_key(name);
            variables.insert(name.to_string(), variable.filter(|_| is_new));
        }
        if command.program() == "read" {
            variables.extend(command.arguments().iter().map(|word| (word.text.clone(), None)));
        }
    }
    variables
}
