//! Parses a [`Dockerfile`]: `parse-dockerfile` finds the instructions, this module their words and positions.

use std::ops::Range;

use parse_dockerfile::{Command as Form, Flag, Instruction, Source, UnescapedString};

use super::{
    BuildStage, BuildStep, BuildVariable, Dockerfile, DockerfileError, Prologue, RunStep, StepKind, StepOption,
};
use crate::lint::heredoc::{self, HereDoc};
use crate::lint::shell::{self, Joining, PlainWord};

impl<'a> Dockerfile<'a> {
    pub fn parse(text: &'a str) -> Result<Dockerfile<'a>, DockerfileError> {
        let escape = escape_of(text);
        let masked = heredoc::mask(text, escape);
        if let Some(operator) = masked.unclosed {
            let message = format!("heredoc {} is not terminated", &text[operator.clone()]);
            return Err(DockerfileError { at: operator.start, message });
        }
        let masked_text = without_empty_lists(&masked.text);
        let parsed = parse_dockerfile::parse(&masked_text).map_err(|error| syntax_error(text, &error))?;
        let reader = DockerfileReader { text, masked: &masked_text, heredocs: &masked.heredocs, escape };
        let globals =
            parsed.global_args().flat_map(|arg| reader.variables(arg.arguments.span.clone(), false)).collect();
        let mut stages: Vec<BuildStage> = Vec::new();
        for stage in parsed.stages() {
            let image = reader.word(stage.from.image.span.clone());
            let parent = stages
                .iter()
                .position(|earlier| earlier.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(&image.text)));
            stages.push(BuildStage {
                name: stage.from.as_.as_ref().map(|(_, name)| name.value.to_string()),
                span: stage.from.from.span.start..end_of(&stage.from.as_, &image),
                platform: reader.options(&stage.from.options).into_iter().find(|option| option.name == "platform"),
                image,
                parent,
                steps: stage.instructions.iter().map(|instruction| reader.step(instruction)).collect(),
            });
        }
        Ok(Dockerfile { text, globals, stages })
    }
}

/// Replaces empty lists with other bytes of the same length. `ENTRYPOINT []` and `CMD []` clear what the base image
/// starts, but the parser rejects them. Source: moby/buildkit, frontend/dockerfile/parser, `parseJSON`.
fn without_empty_lists(masked: &str) -> String {
    let is_cleared = |line: &str| {
        let (keyword, rest) = line.trim().split_once([' ', '\t']).unwrap_or_default();
        let is_start = keyword.eq_ignore_ascii_case("ENTRYPOINT") || keyword.eq_ignore_ascii_case("CMD");
        is_start && is_empty_list(rest)
    };
    let lines = masked.split_inclusive('\n');
    lines.map(|line| if is_cleared(line) { line.replace(['[', ']'], "_") } else { line.to_string() }).collect()
}

fn is_empty_list(text: &str) -> bool {
    text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| inner.trim().is_empty())
}

/// Returns the escape character that `# escape=` sets. Source: Dockerfile reference, "Parser directives".
fn escape_of(text: &str) -> u8 {
    let directives =
        text.lines().map_while(|line| line.trim().strip_prefix('#')).map_while(|line| line.split_once('='));
    let set = directives.filter(|(name, _)| name.trim().eq_ignore_ascii_case("escape")).map(|(_, value)| value.trim());
    if set.last() == Some("`") { b'`' } else { b'\\' }
}

fn syntax_error(text: &str, error: &parse_dockerfile::Error) -> DockerfileError {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let shown = error.to_string();
    let message = shown.split_once(" at line ").map_or(shown.as_str(), |(before, _)| before).to_string();
    DockerfileError { at: (line_start + error.column().saturating_sub(1)).min(text.len()), message }
}

fn end_of<K>(name: &Option<(K, parse_dockerfile::UnescapedString<'_>)>, image: &PlainWord) -> usize {
    name.as_ref().map_or(image.span.end, |(_, name)| name.span.end)
}

/// Returns the start of an instruction that no rule inspects.
fn start_of(instruction: &Instruction<'_>) -> usize {
    match instruction {
        Instruction::Label(label) => label.label.span.start,
        Instruction::User(user) => user.user.span.start,
        Instruction::Workdir(workdir) => workdir.workdir.span.start,
        Instruction::Healthcheck(check) => check.healthcheck.span.start,
        Instruction::Expose(expose) => expose.expose.span.start,
        Instruction::Volume(volume) => volume.volume.span.start,
        Instruction::Stopsignal(signal) => signal.stopsignal.span.start,
        Instruction::Maintainer(maintainer) => maintainer.maintainer.span.start,
        _ => 0,
    }
}

struct DockerfileReader<'a> {
    text: &'a str,
    masked: &'a str,
    heredocs: &'a [HereDoc],
    escape: u8,
}

impl DockerfileReader<'_> {
    fn joining(&self) -> Joining {
        Joining::Instruction(self.escape)
    }

    /// Returns the first word of a range. Empty if the range is blank.
    fn word(&self, span: Range<usize>) -> PlainWord {
        let is_json_string = self.text[..span.start].ends_with('"') && self.text[span.end..].starts_with('"');
        if is_json_string {
            return PlainWord::literal(self.text, span);
        }
        shell::words(self.text, span.clone(), self.joining())
            .into_iter()
            .next()
            .unwrap_or_else(|| PlainWord::empty(span))
    }

    fn options(&self, flags: &[Flag<'_>]) -> Vec<StepOption> {
        let read = |flag: &Flag<'_>| {
            let value_span = flag.value.as_ref().map_or(flag.span().end..flag.span().end, |value| value.span.clone());
            let value = self.word(value_span.clone()).text;
            StepOption { name: flag.name.value.to_string(), value, span: flag.span(), value_span }
        };
        flags.iter().map(read).collect()
    }

    fn step(&self, instruction: &Instruction<'_>) -> BuildStep {
        let (start, options, kind) = match instruction {
            Instruction::Run(run) => (run.run.span.start, self.options(&run.options), self.run(&run.arguments)),
            Instruction::Copy(copy) => {
                (copy.copy.span.start, self.options(&copy.options), self.copy(false, &copy.src, &copy.dest))
            }
            Instruction::Add(add) => {
                (add.add.span.start, self.options(&add.options), self.copy(true, &add.src, &add.dest))
            }
            Instruction::Arg(arg) => {
                (arg.arg.span.start, vec![], StepKind::Arg(self.variables(arg.arguments.span.clone(), false)))
            }
            Instruction::Env(env) => {
                (env.env.span.start, vec![], StepKind::Env(self.variables(env.arguments.span.clone(), true)))
            }
            Instruction::Shell(set) => {
                let program = set.arguments.first().map_or("", |word| word.value.as_ref());
                let is_posix =
                    matches!(program.rsplit('/').next(), Some("sh" | "bash" | "ash" | "dash" | "ksh" | "zsh"));
                (set.shell.span.start, vec![], StepKind::Shell { is_posix })
            }
            Instruction::Entrypoint(start) => (start.entrypoint.span.start, vec![], self.start(&start.arguments)),
            Instruction::Cmd(start) => (start.cmd.span.start, vec![], self.start(&start.arguments)),
            Instruction::Onbuild(onbuild) => return BuildStep { is_onbuild: true, ..self.step(&onbuild.instruction) },
            other => (start_of(other), vec![], StepKind::Other),
        };
        let end = self.end_of_step(start);
        BuildStep { span: start..end, options, kind, is_onbuild: false }
    }

    /// Returns the end of the logical line at `start`, including its heredocs, without the line break.
    fn end_of_step(&self, start: usize) -> usize {
        let mut at = start;
        let line_end = loop {
            let end = self.masked[at..].find('\n').map_or(self.masked.len(), |newline| at + newline);
            let line = self.masked[at..end].trim();
            let is_joined = line.as_bytes().last() == Some(&self.escape) && !line.starts_with('#');
            let is_skipped = at > start && (line.is_empty() || line.starts_with('#'));
            if end >= self.masked.len() || !(is_joined || is_skipped) {
                break end;
            }
            at = end + 1;
        };
        let own = self.heredocs.iter().filter(|doc| (start..line_end).contains(&doc.operator.start));
        own.map(|doc| self.text[doc.body.end..].find('\n').map_or(self.text.len(), |n| doc.body.end + n))
            .fold(line_end, usize::max)
    }

    fn heredocs_in(&self, span: &Range<usize>) -> Vec<HereDoc> {
        self.heredocs.iter().filter(|doc| span.contains(&doc.operator.start)).cloned().collect()
    }

    fn run(&self, form: &Form<'_>) -> StepKind {
        let span = match form {
            Form::Exec(exec) => {
                let words: Vec<PlainWord> = exec.value.iter().map(|word| self.word(word.span.clone())).collect();
                let commands = shell::exec_commands(words);
                return StepKind::Run(RunStep {
                    commands,
                    prologue: None,
                    ranges: vec![exec.span.clone()],
                    is_exec: true,
                });
            }
            Form::Shell(shell) => shell.span.clone(),
            _ => 0..0,
        };
        let heredocs = self.heredocs_in(&span);
        let line = &self.text[span.clone()];
        let mut commands = shell::commands(self.text, span.clone(), self.joining());
        let mut ranges = vec![span.clone()];
        let mut prologue = Some(Prologue { at: span.start, separator: "; " });
        if let Some(first) = heredocs.first().filter(|doc| doc.operator.start == span.start) {
            let body = &self.text[first.body.clone()];
            let rest = self.text[first.operator.end..span.end].trim();
            let shebang = body.strip_prefix("#!").and_then(|line| line.lines().next()).unwrap_or("/bin/sh");
            let is_posix = shebang.trim().ends_with("sh") || shebang.contains("sh -");
            let skipped = if body.starts_with("#!") { body.find('\n').map_or(body.len(), |n| n + 1) } else { 0 };
            prologue =
                (rest.is_empty() && is_posix).then_some(Prologue { at: first.body.start + skipped, separator: "\n" });
            if rest.is_empty() && is_posix {
                commands = Vec::new();
            }
        }
        // A heredoc is the stdin of a command. It is a script only if that command is a shell, or if there is none.
        let feeds_shell = commands.iter().all(|command| matches!(command.program(), "sh" | "bash" | "ash" | ""));
        for doc in heredocs.iter().filter(|_| feeds_shell && !line.is_empty()) {
            commands.extend(shell::commands(self.text, doc.body.clone(), Joining::Shell));
            ranges.push(doc.body.clone());
        }
        StepKind::Run(RunStep { commands, prologue, ranges, is_exec: false })
    }

    fn start(&self, form: &Form<'_>) -> StepKind {
        StepKind::Start(match form {
            Form::Exec(exec) => exec.value.iter().map(|word| self.word(word.span.clone())).collect(),
            Form::Shell(shell) if is_empty_list(&self.text[shell.span.clone()]) => Vec::new(),
            Form::Shell(shell) => {
                let commands = shell::commands(self.text, shell.span.clone(), self.joining());
                commands.into_iter().flat_map(|command| command.words).collect()
            }
            _ => Vec::new(),
        })
    }

    fn copy(&self, is_add: bool, sources: &[Source<'_>], destination: &UnescapedString<'_>) -> StepKind {
        let paths = sources.iter().filter_map(|source| match source {
            Source::Path(path) => Some(path.span.clone()),
            _ => None,
        });
        let (documents, paths): (Vec<_>, Vec<_>) = paths.partition(|span| !self.heredocs_in(span).is_empty());
        StepKind::Copy {
            is_add,
            sources: paths.into_iter().map(|span| self.word(span)).collect(),
            destination: Some(self.word(destination.span.clone())),
            heredocs: documents.iter().flat_map(|span| self.heredocs_in(span)).collect(),
        }
    }

    /// Parses `NAME=value NAME2`, or the legacy `NAME value` of ENV.
    fn variables(&self, span: Range<usize>, is_env: bool) -> Vec<BuildVariable> {
        let words = shell::words(self.text, span, self.joining());
        if let [first, rest @ ..] = words.as_slice()
            && is_env
            && first.assignment().is_none()
            && let (Some(start), Some(end)) = (rest.first(), rest.last())
        {
            let value_span = start.span.start..end.span.end;
            let value = Some((self.text[value_span.clone()].to_string(), value_span));
            return vec![BuildVariable { name: first.text.clone(), name_span: first.span.clone(), value }];
        }
        let read = |word: &PlainWord| match word.assignment() {
            Some((name, value_at)) => BuildVariable {
                name: name.to_string(),
                name_span: word.source(0..name.len()),
                value: Some((word.text[value_at..].to_string(), word.source(value_at..word.text.len()))),
            },
            None => BuildVariable { name: word.text.clone(), name_span: word.span.clone(), value: None },
        };
        words.iter().map(read).collect()
    }
}
