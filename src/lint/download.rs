//! Architecture names in what RUN downloads and unpacks, in what COPY and ADD name, and in paths that ENV holds.

mod hits;

use std::collections::BTreeMap;

use super::dockerfile::{Dockerfile, Run, Step, StepKind, Variable};
use super::finding::{Edit, Finding, Safety};
use super::flow::{Flow, Machine};
use super::outside::Outside;
use super::rule::{Code, Severity};
use super::shell::Word;
use super::stages::{compiles, with_origins};
use super::token::{self, Spelling};
use crate::platform::Arch;
use hits::{Hit, chooses_for_itself, hits_in, hits_of};

pub fn check(file: &Dockerfile<'_>, flow: &Flow, outside: &Outside<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        if flow.places[at].is_one_architectures() {
            continue;
        }
        let mut is_posix = true;
        for (index, step) in stage.steps.iter().enumerate() {
            let site = Site { file, flow, stage: at, index, step, is_posix };
            match &step.kind {
                StepKind::Run(run) => findings.extend(site.run(run)),
                StepKind::Copy { is_add, sources, .. } => findings.extend(site.copy(*is_add, sources, outside)),
                StepKind::Env(pairs) => findings.extend(site.env(pairs)),
                StepKind::Shell { is_posix: set } => is_posix = *set,
                _ => {}
            }
        }
    }
    findings
}

/// A step within its file.
struct Site<'a> {
    file: &'a Dockerfile<'a>,
    flow: &'a Flow,
    stage: usize,
    index: usize,
    step: &'a Step,
    is_posix: bool,
}

impl Site<'_> {
    fn run(&self, run: &Run) -> Vec<Finding> {
        let mut known = self.file.variables_at(self.stage, self.index);
        known.extend(shell_variables(run));
        let outputs = outputs(run);
        let hits: Vec<Hit<'_>> = run
            .commands
            .iter()
            .filter(|command| !command.is_conditional && !chooses_for_itself(command))
            .flat_map(|command| hits_of(command, &known))
            .filter(|hit| !outputs.contains(&hit.word.text.as_str()) && !self.is_meant(hit))
            .collect();
        let is_checked = ["sha256", "sha512", "md5sum", "gpg --verify"]
            .iter()
            .any(|sum| run.ranges.iter().any(|range| self.file.text[range.clone()].contains(sum)));
        // A script that names several architectures' files takes them all on purpose.
        let several: Vec<Arch> = hits.iter().filter(|hit| hit.origins.is_empty()).map(|hit| hit.token.arch).collect();
        if several.iter().any(|arch| *arch != several[0]) {
            return Vec::new();
        }
        let mut findings = Vec::new();
        for (at, hit) in hits.iter().enumerate() {
            if hits[..at].iter().any(|earlier| earlier.spelled == hit.spelled) {
                continue;
            }
            let alike: Vec<&Hit<'_>> = hits.iter().filter(|other| other.spelled == hit.spelled).collect();
            findings.push(self.finding(hit, &alike, run, is_checked));
        }
        findings
    }

    fn finding(&self, hit: &Hit<'_>, alike: &[&Hit<'_>], run: &Run, is_checked: bool) -> Finding {
        let finding = self.of_hit(hit);
        let how = self.help(hit, is_checked);
        // A program that is started without a shell sees the name as it is written.
        let finding = finding.help(match run.is_exec {
            true => format!("write it in shell form, for exec form expands nothing; {how}"),
            false => how,
        });
        match self.shell_fix(alike, run) {
            Some((title, edits)) => {
                let is_sure =
                    !is_checked && hit.origins.is_empty() && self.flow.places[self.stage].machine == Machine::Target;
                finding.fix(title, if is_sure { Safety::Safe } else { Safety::Unsafe }, edits)
            }
            None => finding,
        }
    }

    /// What is wrong with a name, without what to do about it.
    fn of_hit(&self, hit: &Hit<'_>) -> Finding {
        let arch = hit.token.arch;
        let message = match hit.word.text.contains("://") {
            true => format!("this download is {} on every platform", arch.name()),
            false => format!("this file name is {}'s on every platform", arch.name()),
        };
        let span = hit.word.source(hit.range.clone());
        let finding = Finding::new(Code::HardCodedArch, span, message, format!("always {}", hit.spelled));
        with_origins(finding, &hit.origins.iter().collect::<Vec<_>>())
            .weighing(self.severity(hit))
            .right_for(Some(arch))
    }

    /// A stage that is named for an architecture takes its files; the final stage is every platform's.
    fn is_meant(&self, hit: &Hit<'_>) -> bool {
        self.stage != self.flow.final_stage && self.flow.places[self.stage].named_for == Some(hit.token.arch)
    }

    /// What a stage that the image is not made of gets wrong breaks no image.
    fn severity(&self, hit: &Hit<'_>) -> Severity {
        let is_the_images = self.flow.places[self.stage].reaches_final && !self.is_tool(hit);
        if is_the_images { Severity::Error } else { Severity::Warning }
    }

    /// What is run on the build machine is chosen by BUILDARCH, what the image gets by TARGETARCH.
    fn variable(&self, hit: &Hit<'_>) -> &'static str {
        if self.is_tool(hit) { "BUILDARCH" } else { "TARGETARCH" }
    }

    /// Whether what this stage downloads is run by it: a stage of the build machine that compiles, or that another is made
    /// from to compile in. One that compiles nothing fetches for the image.
    fn is_tool(&self, hit: &Hit<'_>) -> bool {
        let is_lineage = |stage: &usize| {
            std::iter::successors(Some(*stage), |at| self.file.stages[*at].parent).any(|at| at == self.stage)
        };
        let mut made_from_it = (0..self.file.stages.len()).filter(is_lineage);
        match self.flow.places[self.stage].machine {
            Machine::Target => false,
            // What a compiler is told is what it compiles for.
            _ if hit.is_told_to_compiler => false,
            Machine::Constant(_) => true,
            Machine::Builder => made_from_it.any(|stage| compiles(self.file, stage)),
        }
    }

    fn help(&self, hit: &Hit<'_>, is_checked: bool) -> String {
        let (variable, spelling) = (self.variable(hit), hit.token.spelling);
        let names = match spelling {
            Spelling::Oci => format!("put ${{{variable}}} into the name after `ARG {variable}`"),
            Spelling::Uname => {
                format!("choose the name by {variable}: amd64 is x86_64, arm64 is aarch64, arm is armv7l here")
            }
            Spelling::Mixed => format!("choose the name by {variable}: amd64 is x86_64, arm64 stays arm64 here"),
            Spelling::Node => {
                format!("choose the name by {variable}: amd64 is x64, arm64 stays arm64, 386 is ia32 here")
            }
            Spelling::Bits => format!("choose the file by {variable}; see what the project calls the others'"),
        };
        let checksum = match is_checked {
            true => "the checksum in this step is of one architecture's file: each needs its own",
            false => "verify each architecture's file by a checksum of its own",
        };
        format!("{names}; {checksum}")
    }

    /// Declares the variable, maps it where names differ, and uses it at every place; `None` where a shell would not expand it.
    fn shell_fix(&self, alike: &[&Hit<'_>], run: &Run) -> Option<(String, Vec<Edit>)> {
        let hit = alike.first()?;
        let spelling = hit.token.spelling;
        if !self.is_posix || run.prologue.is_none() || !alike.iter().all(|hit| hit.is_replaceable()) {
            return None;
        }
        let mapped = match spelling {
            Spelling::Oci => None,
            Spelling::Uname => Some("arch"),
            Spelling::Mixed => Some("release_arch"),
            Spelling::Node => Some("node_arch"),
            Spelling::Bits => return None,
        };
        let mapping = mapped.map(|into| mapping(run, spelling, self.variable(hit), into));
        if mapping.as_ref().is_some_and(Option::is_none) {
            return None;
        }
        let inserted = format!("${{{}}}", mapped.unwrap_or(self.variable(hit)));
        let mut edits: Vec<Edit> =
            alike.iter().map(|hit| Edit::replace(hit.word.source(hit.range.clone()), inserted.clone())).collect();
        edits.extend(mapping.flatten());
        edits.extend(self.declaration(self.variable(hit)));
        edits.sort();
        edits.dedup();
        Some(("let BuildKit choose".to_string(), edits))
    }

    fn declaration(&self, name: &str) -> Option<Edit> {
        declaration(self.file, self.stage, self.index, name)
    }

    fn copy(&self, is_add: bool, sources: &[Word], outside: &Outside<'_>) -> Vec<Finding> {
        let known = self.file.variables_at(self.stage, self.index);
        let is_from_stage = self.step.options.iter().any(|option| option.name == "from");
        let named = sources.iter().filter(|word| {
            // A file that is there is judged by its own header.
            is_from_stage || word.text.contains("://") || (outside.files)(&word.text).is_empty()
        });
        named
            .filter_map(|word| hits_in(word, &word.text, 0, &known).into_iter().next())
            .filter(|hit| !self.is_meant(hit))
            .map(|hit| self.copied(is_add, hit))
            .collect()
    }

    fn copied(&self, is_add: bool, hit: Hit<'_>) -> Finding {
        let span = hit.word.source(hit.range.clone());
        let is_checked = self.step.options.iter().any(|option| option.name == "checksum");
        let finding = self.of_hit(&hit);
        if hit.token.spelling != Spelling::Oci || !hit.origins.is_empty() {
            let how = match is_add {
                true => "download it in a RUN step, which can map",
                false => "let the stage that makes it put it where every platform's is, after mapping",
            };
            let finding = finding.help(format!("{how} TARGETARCH to {}'s spelling", hit.spelled));
            return match self.any_of_stage(&hit) {
                Some(edit) => finding.fix("take what the stage built, whatever it is for", Safety::Unsafe, vec![edit]),
                None => finding,
            };
        }
        let edits = [Edit::replace(span, "${TARGETARCH}")].into_iter().chain(self.declaration("TARGETARCH")).collect();
        let safety = if is_checked { Safety::Unsafe } else { Safety::Safe };
        finding.help(self.help(&hit, is_checked)).fix("let BuildKit choose", safety, edits)
    }

    /// `COPY --from=build /src/target/x86_64-unknown-linux-musl/release/app`: the stage has one such folder.
    fn any_of_stage(&self, hit: &Hit<'_>) -> Option<Edit> {
        let from = self.step.options.iter().find(|option| option.name == "from")?;
        self.file.stage_named(&from.value, self.stage)?;
        let text = &hit.word.text;
        let start = text[..hit.range.start].rfind('/').map_or(0, |slash| slash + 1);
        let end = hit.range.end + text[hit.range.end..].find('/')?;
        let is_cargo = text[..start].ends_with("target/") && text[start..end].matches('-').count() >= 2;
        is_cargo.then(|| Edit::replace(hit.word.source(start..end), "*"))
    }

    fn env(&self, pairs: &[Variable]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for pair in pairs {
            let Some((value, span)) = &pair.value else { continue };
            let word = Word::literal(self.file.text, span.clone());
            let is_path = value.contains('/') && word.text.contains('/');
            let Some(hit) = is_path
                .then(|| hits_in(&word, &word.text, 0, &BTreeMap::new()))
                .and_then(|hits| hits.into_iter().next())
            else {
                continue;
            };
            let span = word.source(hit.range.clone());
            let is_download = hit.word.text.contains("://");
            let (message, severity) = match is_download {
                true => (format!("this download is {} on every platform", hit.token.arch.name()), self.severity(&hit)),
                false => {
                    let message = format!("{} holds {}'s path on every platform", pair.name, hit.token.arch.name());
                    (message, Severity::Warning)
                }
            };
            let help = match is_download {
                true => format!("name it in the RUN step that downloads it; {}", self.help(&hit, false)),
                false => "the path is another one on other platforms: make a link at a path without the architecture in a RUN step, or use TARGETARCH".to_string(),
            };
            let finding = Finding::new(Code::HardCodedArch, span.clone(), message, format!("always {}", hit.spelled))
                .weighing(severity)
                .right_for(Some(hit.token.arch))
                .help(help);
            findings.push(match hit.token.spelling {
                Spelling::Oci => {
                    let edits = [Edit::replace(span, "${TARGETARCH}")]
                        .into_iter()
                        .chain(self.declaration("TARGETARCH"))
                        .collect();
                    finding.fix("let BuildKit choose", Safety::Safe, edits)
                }
                _ => finding,
            });
        }
        findings
    }
}

/// A statement before a RUN's own that sets `into` by `variable`; `None` where no shell would read it, or no names are known.
pub fn mapping(run: &Run, spelling: Spelling, variable: &str, into: &str) -> Option<Edit> {
    let prologue = run.prologue?;
    let statement = token::case_statement(spelling, variable, into)?;
    Some(Edit::insert(prologue.at, statement + prologue.separator))
}

/// An `ARG name` line before a step, where the stage has none by then.
pub fn declaration(file: &Dockerfile<'_>, stage: usize, index: usize, name: &str) -> Option<Edit> {
    let is_declared = file.variables_at(stage, index).contains_key(name);
    let step = &file.stages[stage].steps[index];
    let line = if step.is_onbuild { format!("ARG {name}\nONBUILD ") } else { format!("ARG {name}\n") };
    (!is_declared).then(|| Edit::insert(step.span.start, line))
}

/// The names that a script itself gives to what it downloads: they say nothing of the content.
fn outputs(run: &Run) -> Vec<&str> {
    const NAMES: &[&str] = &["-o", "-O", "--output", "--output-document", "-fsSLo", "-Lo", "-sSLo"];
    let downloads = run.commands.iter().filter(|command| matches!(command.program(), "curl" | "wget" | "aria2c"));
    let named = downloads.filter_map(|command| command.option(NAMES)).map(|(word, at)| &word.text[at..]);
    // curl's -O takes no name: the URL follows.
    named.filter(|name| !name.contains("://")).collect()
}

/// `NAME=value` words of a script that are set unconditionally to something without expansions.
fn shell_variables(run: &Run) -> BTreeMap<String, Variable> {
    let words = run.commands.iter().filter(|command| !command.is_conditional).flat_map(|command| &command.words);
    let set = words.filter_map(|word| {
        let (name, value_at) = word.assignment()?;
        let value = word.text[value_at..].to_string();
        let is_plain = !value.is_empty() && !value.contains(['$', '`']);
        let span = word.source(value_at..word.text.len());
        is_plain.then(|| Variable {
            name: name.to_string(),
            name_span: word.source(0..name.len()),
            value: Some((value, span)),
        })
    });
    set.map(|variable| (variable.name.clone(), variable)).collect()
}
