//! Checks Dockerfiles, compose files, bake files and workflows for constructs that break other architectures. Rules do
//! no I/O: closures of the caller read the build context and registries.

mod actions;
mod apt;
mod arguments;
mod assets;
mod bake;
mod build_context;
mod builds;
mod compiler_flags;
mod compilers;
mod compose;
mod discover;
pub mod dockerfile;
mod dockerignore;
mod download;
mod entry_script;
mod finding;
mod fix;
mod flow;
mod format;
mod git_index;
mod hcl;
mod heredoc;
mod host_copy;
mod ignore;
mod needs;
mod one_branch;
mod online;
mod outside;
mod pins;
mod project;
mod rule;
mod shell;
mod stages;
mod toolchain;
mod workflow_file;

use std::path::{Path, PathBuf};

pub use actions::{ACTIONS, PinnedAction, pinned};
pub use bake::{BakeRecipe, recipes as bake_recipes, targets as bake_targets};
pub use build_context::{CONTEXT_LIMIT, host_files, is_ignored};
pub use discover::{DiscoverError, Discovered, NOT_READ, SkippedFile, SourceFile, discover, file_archs};
pub use dockerignore::Dockerignore;
pub use finding::{Edit, Fix, LintFinding, Position, Related, Safety};
pub use fix::{FixedText, apply, unified_diff};
pub use format::{SourceFormat, format_of};
pub use git_index::GitIndex;
pub use needs::{BuildNeeds, needs};
pub use outside::{HEAD_BYTES, HostFile, Outside, Pin, PinLookup};
pub use pins::look_up_pin;
pub use project::LintProject;
pub use rule::{Fixable, LintRule, RULES, RuleName, Severity};

use crate::platform::Arch;

use dockerfile::Dockerfile;
use flow::StageFlow;
use ignore::Ignores;

/// A checked file with its findings.
#[derive(Clone, Debug, PartialEq)]
pub struct Linted {
    pub path: PathBuf,
    pub text: String,
    pub format: SourceFormat,
    /// Sorted by position.
    pub findings: Vec<LintFinding>,
    /// Parts that could not be checked. A file with problems does not pass.
    pub problems: Vec<LintProblem>,
    /// Number of findings that comments in the file disable.
    pub ignored: usize,
}

/// A parse error or failed lookup at a byte of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintProblem {
    pub at: usize,
    pub message: String,
}

/// Checks a file. [`format_of`] returns its format.
pub fn lint(path: &Path, text: &str, format: SourceFormat, outside: &Outside<'_>) -> Linted {
    // The rules do not see a byte order mark, so its length is added to every position.
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let offset = text.len() - body.len();
    let (mut findings, mut problems, ignores) = match format {
        SourceFormat::Dockerfile => lint_dockerfile(body, outside),
        SourceFormat::Compose => by_lines(body, compose::check(body, outside)),
        SourceFormat::GithubWorkflow => by_lines(body, workflow_file::check(body, outside)),
        SourceFormat::BakeHcl => by_lines(body, bake::check_hcl(body)),
        SourceFormat::BakeJson => by_lines(body, bake::check_json(body)),
    };
    let found = findings.len();
    // A file for one architecture may name it.
    let is_one = findings.iter().any(|finding| finding.right_for.is_some());
    let archs = [outside.file_archs.clone(), Vec::from_iter(is_one.then(outside.baked_for).flatten())].concat();
    findings.retain(|finding| finding.right_for.is_none_or(|arch| !archs.contains(&arch)));
    weaken_what_is_built_once(&mut findings, outside);
    let found = found.min(findings.len());
    findings.retain(|finding| !ignores.takes(finding));
    let ignored = found - findings.len();
    findings.sort_by_key(|finding| (finding.span.start, finding.span.end, finding.code));
    findings.iter_mut().for_each(|finding| shift(finding, offset));
    problems.iter_mut().for_each(|problem| problem.at += offset);
    Linted { path: path.to_path_buf(), text: text.to_string(), format, findings, problems, ignored }
}

/// An error that breaks only architectures that the project does not build for is a warning.
fn weaken_what_is_built_once(findings: &mut [LintFinding], outside: &Outside<'_>) {
    let is_weakened = |finding: &&mut LintFinding| finding.severity == Severity::Error && finding.right_for.is_some();
    if !findings.iter_mut().any(|finding| is_weakened(&finding)) {
        return;
    }
    let Some(arch) = (outside.built_for)() else { return };
    // Every x86-64 kernel runs i386 too.
    let is_right = |own: Option<Arch>| own == Some(arch) || (own == Some(Arch::I386) && arch == Arch::Amd64);
    for finding in findings.iter_mut().filter(is_weakened).filter(|finding| is_right(finding.right_for)) {
        finding.severity = Severity::Warning;
        finding.help = Some(format!(
            "{}. The project builds this Dockerfile for {arch} only",
            finding.advice().trim_end_matches('.')
        ));
    }
}

fn shift(finding: &mut LintFinding, offset: usize) {
    let by = |span: &mut std::ops::Range<usize>| *span = span.start + offset..span.end + offset;
    by(&mut finding.span);
    finding.related.iter_mut().for_each(|related| by(&mut related.span));
    for edit in finding.fix.iter_mut().flat_map(|fix| &mut fix.edits) {
        (edit.start, edit.end) = (edit.start + offset, edit.end + offset);
    }
}

/// Whether building the image runs programs for the target platform, because a stage that is not on the build platform
/// has a RUN. True if the text cannot be parsed.
pub fn runs_on_target(text: &str, target: Option<&str>) -> bool {
    let Ok(file) = Dockerfile::parse(text.strip_prefix('\u{feff}').unwrap_or(text)) else { return true };
    let flow = StageFlow::from_dockerfile(&file, target);
    let places = flow.places.iter().zip(&file.stages).filter(|(place, _)| place.reaches_final);
    let mut on_target = places.filter(|(place, _)| place.machine != flow::BuildMachine::Builder);
    on_target.any(|(_, stage)| stage.steps.iter().any(|step| matches!(step.kind, dockerfile::StepKind::Run(_))))
}

fn lint_dockerfile(text: &str, outside: &Outside<'_>) -> (Vec<LintFinding>, Vec<LintProblem>, Ignores) {
    let file = match Dockerfile::parse(text) {
        Ok(file) => file,
        Err(error) => {
            return (Vec::new(), vec![LintProblem { at: error.at, message: error.message }], Ignores::default());
        }
    };
    let flow = StageFlow::from_dockerfile(&file, outside.target.as_deref());
    let mut findings = stages::check(&file, &flow, outside);
    findings.extend(stages::missing(&file, outside));
    findings.extend(arguments::check(&file, outside));
    findings.extend(download::check(&file, &flow, outside));
    findings.extend(toolchain::check(&file, &flow, outside));
    findings.extend(host_copy::check(&file, &flow, outside));
    findings.extend(entry_script::check(&file, &flow, outside));
    let (pins, mut problems) = online::digests(&file, outside);
    findings.extend(pins);
    let (lacking, unknown) = online::base_platforms(&file, &flow, outside);
    findings.extend(lacking);
    problems.extend(unknown);
    share_declarations(&file, &mut findings);
    let spans = file.stages.iter().flat_map(|stage| stage.steps.iter().map(|step| &step.span).chain([&stage.span]));
    let spans: Vec<_> = spans.cloned().collect();
    let ignores = Ignores::read(text, |at| spans.iter().find(|span| span.contains(&at)).map_or(at, |span| span.end));
    (findings, problems, ignores)
}

/// Merges rewrites that declare the same ARG in a stage, so that it is declared once before the first step that needs
/// it.
fn share_declarations(file: &Dockerfile<'_>, findings: &mut [LintFinding]) {
    for stage in &file.stages {
        let end = stage.steps.last().map_or(stage.span.end, |step| step.span.end);
        let is_declaration = |edit: &Edit| edit.start == edit.end && edit.replacement.starts_with("ARG ");
        let is_here = |edit: &Edit| is_declaration(edit) && (stage.span.start..end).contains(&edit.start);
        let mut edits: Vec<&mut Edit> =
            findings.iter_mut().flat_map(|finding| &mut finding.fix).flat_map(|fix| &mut fix.edits).collect();
        let mut first: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
        for edit in edits.iter().filter(|edit| is_here(edit)) {
            let at = first.entry(edit.replacement.clone()).or_insert(edit.start);
            *at = edit.start.min(*at);
        }
        for edit in edits.iter_mut().filter(|edit| is_here(edit)) {
            let at = first[&edit.replacement];
            (edit.start, edit.end) = (at, at);
        }
    }
}

/// Reads the ignore comments of YAML and HCL, which apply to the line below or to their own line.
fn by_lines(
    text: &str,
    (findings, problems): (Vec<LintFinding>, Vec<LintProblem>),
) -> (Vec<LintFinding>, Vec<LintProblem>, Ignores) {
    (findings, problems, Ignores::read(text, |at| text[at..].find('\n').map_or(text.len(), |newline| at + newline)))
}

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod proof_tests;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::render_lint;
    use crate::report::terminal::Screen;

    #[test]
    fn a_run_on_the_build_machine_needs_no_emulator() {
        for (text, expected) in [
            ("FROM scratch\nCOPY a /a\n", false),
            ("FROM a\nRUN b\n", true),
            ("FROM --platform=$BUILDPLATFORM a AS b\nRUN c\nFROM scratch\nCOPY --from=b /d /d\n", false),
            ("FROM a AS unused\nRUN b\nFROM scratch\nCOPY c /c\n", false),
            ("NONSENSE", true),
        ] {
            assert_eq!(runs_on_target(text, None), expected, "{text}");
        }
    }

    /// Fragments that the parsers recognize, and some that they do not expect.
    const PIECES: &[&str] = &[
        "FROM ",
        "RUN ",
        "COPY ",
        "ADD ",
        "ENV ",
        "ARG ",
        "ONBUILD ",
        "SHELL ",
        "LABEL ",
        "scratch",
        "amd64/alpine",
        " AS b",
        "--from=b ",
        "--platform=",
        "$BUILDPLATFORM",
        "linux/amd64",
        "<<EOF",
        "<<-'E'",
        "EOF\n",
        "\n",
        "\\\n",
        "\r\n",
        "# escape=`\n",
        "`\n",
        "# imgarch ignore=hard-coded-arch\n",
        "curl -o x ",
        "https://x.io/t-x86_64",
        "tool-linux-amd64.tgz",
        "$(uname -m)",
        "`arch`",
        "${TARGETARCH:-a}",
        "$X",
        "[\"a\", ",
        "\"b\"]",
        "'",
        "\"",
        "(",
        ")",
        "; ",
        " && ",
        "if [ a ]; then ",
        "fi",
        "case $A in amd64) ",
        ";; esac",
        "GOARCH=amd64 ",
        "[arch=amd64] ",
        "Architectures: amd64",
        "ü",
        "\u{feff}",
        "\0",
        "services:\n",
        "  a:\n",
        "    platform: linux/amd64\n",
        "    build: &x {args: {TARGETARCH: a}}\n",
        "*x",
        "jobs:\n",
        "    steps:\n",
        "      - uses: docker/build-push-action@v6\n",
        "        with: {push: true}\n",
        "      - run: |\n",
        "          docker build --push .\n",
        "target \"a\" {\n",
        "  tags = [\"x\"]\n",
        "  args = { TARGETARCH = \"a\" }\n",
        "}\n",
        "@sha256:0000",
    ];

    proptest::proptest! {
        #[test]
        fn no_text_causes_a_panic_and_every_position_is_in_the_text(choice in proptest::collection::vec(0..PIECES.len(), 0..40)) {
            let text: String = choice.into_iter().map(|at| PIECES[at]).collect();
            for format in [SourceFormat::Dockerfile, SourceFormat::Compose, SourceFormat::GithubWorkflow, SourceFormat::BakeHcl, SourceFormat::BakeJson] {
                for text in [text.clone(), format!("FROM a\n{text}")] {
                    let linted = lint(Path::new("f"), &text, format, &Outside::nothing());
                    let drawn = render_lint(&linted, Screen { width: 100, color: false });
                    assert_eq!(drawn.is_empty(), linted.findings.is_empty() && linted.problems.is_empty());
                    for finding in &linted.findings {
                        assert!(text.get(finding.span.clone()).is_some(), "{finding:?} in {text:?}");
                    }
                    apply(&text, &linted.findings, Safety::Unsafe);
                }
            }
        }
    }
}
