//! Architecture names in what RUN downloads and unpacks, in what COPY and ADD name, and in paths that ENV holds.

use std::collections::BTreeMap;
use std::ops::Range;

use super::dockerfile::{self, Dockerfile, Run, Step, StepKind, Variable};
use super::finding::{Edit, Finding, Safety};
use super::flow::{Flow, Machine};
use super::outside::Outside;
use super::rule::{Code, Severity};
use super::shell::{Command, Word};
use super::stages::with_origins;
use super::token::{self, Spelling, Token};
use crate::platform::Arch;

/// One architecture name at one place.
struct Hit<'a> {
    token: Token,
    spelled: String,
    word: &'a Word,
    /// Bytes of the word's text.
    range: Range<usize>,
    /// Variables that it came from; empty where it stands in the word itself.
    origins: Vec<Variable>,
}

/// Programs whose words are not files that the image gets.
const NOT_FILES: &[&str] = &[
    "sed",
    "grep",
    "egrep",
    "awk",
    "tr",
    "expr",
    "[",
    "[[",
    "test",
    "case",
    "docker",
    "buildah",
    "rustup",
    "uname",
    "dpkg-architecture",
    "qemu-img",
    "git",
    "printf",
];

/// Package managers: their words are files only with a slash or an extension; `gcc-aarch64-linux-gnu` is a cross compiler.
const PACKAGE_MANAGERS: &[&str] = &[
    "apt", "apt-get", "aptitude", "apk", "yum", "dnf", "microdnf", "tdnf", "zypper", "pacman", "cargo", "brew",
    "conda", "mamba", "pip", "pip3", "python", "python3", "uv", "npm", "npx", "yarn", "pnpm", "bun",
];

pub fn check(file: &Dockerfile<'_>, flow: &Flow, outside: &Outside<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        if flow.places[at].chosen_for.is_some() {
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
        let arch = hit.token.arch;
        let is_download = hit.word.text.contains("://");
        let message = match is_download {
            true => format!("this download is {} on every platform", arch.name()),
            false => format!("this file name is {}'s on every platform", arch.name()),
        };
        let finding = Finding::new(
            Code::HardCodedArch,
            hit.word.source(hit.range.clone()),
            message,
            format!("always {}", hit.spelled),
        );
        let finding = with_origins(finding, &hit.origins.iter().collect::<Vec<_>>());
        let finding = finding.weighing(self.severity()).help(self.help(hit.token.spelling, is_checked));
        match self.shell_fix(alike, run) {
            Some((title, edits)) => {
                let is_sure = !is_checked && self.flow.places[self.stage].machine == Machine::Target;
                finding.fix(title, if is_sure { Safety::Safe } else { Safety::Unsafe }, edits)
            }
            None => finding,
        }
    }

    /// A stage that is named for an architecture takes its files; the final stage is every platform's.
    fn is_meant(&self, hit: &Hit<'_>) -> bool {
        self.stage != self.flow.final_stage && self.flow.places[self.stage].named_for == Some(hit.token.arch)
    }

    /// What a stage that the image is not made of gets wrong breaks no image.
    fn severity(&self) -> Severity {
        let place = &self.flow.places[self.stage];
        match place.reaches_final && place.machine == Machine::Target {
            true => Severity::Error,
            false => Severity::Warning,
        }
    }

    /// What runs on the build machine is chosen by BUILDARCH, what the image gets by TARGETARCH.
    fn variable(&self) -> &'static str {
        match self.flow.places[self.stage].machine {
            Machine::Builder => "BUILDARCH",
            _ => "TARGETARCH",
        }
    }

    fn help(&self, spelling: Spelling, is_checked: bool) -> String {
        let variable = self.variable();
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
        let prologue = run.prologue.filter(|_| self.is_posix)?;
        let spelling = alike.first()?.token.spelling;
        if alike.iter().any(|hit| !hit.origins.is_empty() || !hit.word.expands_at(&hit.range)) {
            return None;
        }
        let (inserted, statement) = match spelling {
            Spelling::Oci => (format!("${{{}}}", self.variable()), None),
            Spelling::Uname => ("${arch}".to_string(), token::case_statement(spelling, self.variable(), "arch")),
            Spelling::Mixed => {
                ("${release_arch}".to_string(), token::case_statement(spelling, self.variable(), "release_arch"))
            }
            Spelling::Node => {
                ("${node_arch}".to_string(), token::case_statement(spelling, self.variable(), "node_arch"))
            }
            Spelling::Bits => return None,
        };
        if spelling != Spelling::Oci && statement.is_none() {
            return None;
        }
        let mut edits: Vec<Edit> =
            alike.iter().map(|hit| Edit::replace(hit.word.source(hit.range.clone()), inserted.clone())).collect();
        edits.extend(statement.map(|statement| Edit::insert(prologue.at, statement + prologue.separator)));
        edits.extend(self.declaration(self.variable()));
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
        let arch = hit.token.arch;
        let message = match hit.word.text.contains("://") {
            true => format!("this download is {} on every platform", arch.name()),
            false => format!("this file name is {}'s on every platform", arch.name()),
        };
        let span = hit.word.source(hit.range.clone());
        let is_checked = self.step.options.iter().any(|option| option.name == "checksum");
        let finding = Finding::new(Code::HardCodedArch, span.clone(), message, format!("always {}", hit.spelled));
        let finding = with_origins(finding, &hit.origins.iter().collect::<Vec<_>>()).weighing(self.severity());
        if hit.token.spelling != Spelling::Oci || !hit.origins.is_empty() {
            let how = match is_add {
                true => "download it in a RUN step, which can map",
                false => "let the stage that makes it put it where every platform's is, after mapping",
            };
            return finding.help(format!("{how} TARGETARCH to {}'s spelling", hit.spelled));
        }
        let edits = [Edit::replace(span, "${TARGETARCH}")].into_iter().chain(self.declaration("TARGETARCH")).collect();
        let safety = if is_checked { Safety::Unsafe } else { Safety::Safe };
        finding.help(self.help(Spelling::Oci, is_checked)).fix("let BuildKit choose", safety, edits)
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
            let message = format!("{} holds {}'s path on every platform", pair.name, hit.token.arch.name());
            let finding = Finding::new(Code::HardCodedArch, span.clone(), message, format!("always {}", hit.spelled))
                .weighing(Severity::Warning)
                .help("the path is another one on other platforms: make a link at a path without the architecture in a RUN step, or use TARGETARCH");
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

/// A command that is told the target beside the name, such as `xx-apk` or `docker run --platform`.
fn chooses_for_itself(command: &Command) -> bool {
    let program = command.program();
    NOT_FILES.contains(&program) || program.starts_with("xx-") || program.ends_with("-strip")
}

fn hits_of<'a>(command: &'a Command, known: &BTreeMap<String, Variable>) -> Vec<Hit<'a>> {
    let is_package_manager = PACKAGE_MANAGERS.contains(&command.program());
    let mut hits = Vec::new();
    // A program found by PATH is a tool of the build: `aarch64-linux-gnu-gcc`.
    let is_tool = |word: &Word| word.text.rsplit('/').next() == Some(command.program()) && !word.text.contains('/');
    for word in command.words.iter().filter(|word| !is_tool(word)) {
        if let Some((_, value_at)) = word.assignment() {
            // What a variable holds counts where it is used, unless it is a URL itself.
            if word.text.contains("://") {
                hits.extend(hits_in(word, &word.text[value_at..], value_at, known));
            }
            continue;
        }
        let mut at = 0;
        for piece in word.text.split_inclusive(char::is_whitespace) {
            let text = piece.trim_end();
            let is_option = text.starts_with('-') && !text.contains("://");
            let is_package = is_package_manager && !text.contains('/') && !has_package_extension(text);
            if !is_option && !is_package && !is_toolchain_path(text) {
                hits.extend(hits_in(word, text, at, known));
            }
            at += piece.len();
        }
    }
    hits
}

fn has_package_extension(text: &str) -> bool {
    [".deb", ".rpm", ".apk"].iter().any(|extension| text.ends_with(extension))
}

/// `/usr/aarch64-linux-gnu/...`: where cross compilers keep the target's files; and a bare `linux/amd64`, a platform.
fn is_toolchain_path(text: &str) -> bool {
    let folder = text.strip_prefix("/usr/").and_then(|rest| rest.split('/').next()).unwrap_or("");
    let is_triplet = folder.contains("-linux-") && !token::find(folder).is_empty();
    is_triplet || crate::platform::Platform::parse(text).is_ok()
}

/// The architecture names of one blank-separated piece, `offset` bytes into its word: in the text itself, or else in what
/// its variables hold.
fn hits_in<'a>(word: &'a Word, text: &str, offset: usize, known: &BTreeMap<String, Variable>) -> Vec<Hit<'a>> {
    if !token::is_file_like(text) || mentions_choice(text) {
        return Vec::new();
    }
    let literal = token::find(text).into_iter().filter(|token| !is_within_expansion(text, token.range.start));
    let literal: Vec<Hit<'a>> = literal
        .map(|token| Hit {
            spelled: text[token.range.clone()].to_string(),
            range: offset + token.range.start..offset + token.range.end,
            word,
            token,
            origins: Vec::new(),
        })
        .collect();
    if !literal.is_empty() || !text.contains('$') {
        return literal;
    }
    let (expanded, used) = dockerfile::expand(text, known);
    let found = token::find(&expanded).into_iter().next();
    let origin = |token: &Token| {
        let spelled = &expanded[token.range.clone()];
        used.iter().find(|variable| variable.value.as_ref().is_some_and(|(value, _)| value.contains(spelled))).copied()
    };
    let Some((token, variable)) = found.and_then(|token| origin(&token).map(|variable| (token, variable))) else {
        return Vec::new();
    };
    let at = dockerfile::references(text).into_iter().find(|(_, reference)| reference.name == variable.name);
    let range = at.map_or(0..text.len(), |(at, reference)| at..at + reference.length);
    vec![Hit {
        spelled: expanded[token.range.clone()].to_string(),
        range: offset + range.start..offset + range.end,
        word,
        token,
        origins: vec![variable.clone()],
    }]
}

/// The name is made of what is built for already: another architecture in it is part of a choice.
fn mentions_choice(text: &str) -> bool {
    ["TARGETARCH", "TARGETPLATFORM", "TARGETVARIANT", "BUILDARCH", "uname", "print-arch"]
        .iter()
        .any(|name| text.contains(name))
}

fn is_within_expansion(text: &str, at: usize) -> bool {
    let open = text[..at].rfind("${");
    open.is_some_and(|open| !text[open..at].contains('}'))
}
