//! Rules about GitHub workflows that build and push images.
//! Source: docker/build-push-action and docker/setup-qemu-action, action.yml; GitHub's list of hosted runners.

use std::ops::Range;

use super::LintProblem;
use super::actions::pinned;
use super::compose::check_image;
use super::finding::{Edit, LintFinding, Safety};
use super::outside::Outside;
use super::rule::{RuleName, Severity};
use super::shell::{self, Joining, SimpleCommand};
use crate::platform::{Arch, Platform};
use crate::yaml::{self, Value, YamlNode};

pub fn check(text: &str, outside: &Outside<'_>) -> (Vec<LintFinding>, Vec<LintProblem>) {
    let documents = match yaml::parse(text) {
        Ok(documents) => documents,
        Err(error) => return (Vec::new(), vec![LintProblem { at: error.at, message: error.message }]),
    };
    let (mut findings, mut problems) = (Vec::new(), Vec::new());
    for root in &documents {
        for (_, job) in root.value("jobs").map_or(&[][..], YamlNode::pairs) {
            findings.extend(check_job(text, root, job, outside));
            for image in images(job) {
                let (found, problem) = check_image(text, image, outside);
                findings.extend(found);
                problems.extend(problem);
            }
        }
    }
    (findings, problems)
}

/// Returns the images of a job's container and services.
fn images(job: &YamlNode) -> Vec<&YamlNode> {
    let container = job.value("container").map(|node| node.value("image").unwrap_or(node));
    let services =
        job.value("services").map_or(&[][..], YamlNode::pairs).iter().filter_map(|(_, service)| service.value("image"));
    container.into_iter().chain(services).filter(|node| node.text().is_some()).collect()
}

fn check_job(text: &str, root: &YamlNode, job: &YamlNode, outside: &Outside<'_>) -> Vec<LintFinding> {
    let steps = job.value("steps").map_or(&[][..], YamlNode::items);
    // Each entry of a matrix builds the platform of its runner, and another job merges the images.
    let has_matrix_runner =
        job.value("runs-on").is_some_and(|runner| runner.texts().iter().any(|name| name.contains("matrix")));
    let has_default = |node: &YamlNode| node.at(&["env", "DOCKER_DEFAULT_PLATFORM"]).is_some();
    let has_default_platform = has_default(root) || has_default(job) || steps.iter().any(has_default);
    let mut findings = Vec::new();
    let mut emulates = false;
    for step in steps {
        let uses = step.value("uses").and_then(YamlNode::text).unwrap_or("");
        let run = step.value("run").and_then(YamlNode::text).unwrap_or("");
        emulates |=
            uses.starts_with("docker/setup-qemu-action") || run.contains("binfmt") || run.contains("qemu-user-static");
        emulates |= uses.starts_with("docker/setup-buildx-action") && step.at(&["with", "append"]).is_some();
        if uses.starts_with("docker/build-push-action") {
            if !has_matrix_runner && !has_default_platform {
                findings.extend(missing_platforms(text, step));
            }
            findings.extend((!emulates).then(|| missing_emulator(text, job, step, outside)).flatten());
        }
    }
    if !has_matrix_runner && !has_default_platform {
        findings.extend(pushed_by_commands(text, steps));
    }
    findings.extend(needless_emulator(job, steps));
    findings
}

/// The architecture of a job's runner, and the platforms of a build step that are foreign to it. `None` where an expression
/// decides.
fn platforms_of(job: &YamlNode, step: &YamlNode) -> Option<(Arch, Vec<Platform>)> {
    let runner = job.value("runs-on")?;
    if runner.texts().iter().any(|name| name.contains("${{")) || runner.texts().is_empty() {
        return None;
    }
    let is_arm = runner.texts().iter().any(|name| name.contains("arm"));
    let native = if is_arm { Arch::Arm64 } else { Arch::Amd64 };
    let listed =
        step.at(&["with", "platforms"])?.text()?.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty());
    let platforms = listed.map(|name| Platform::parse(name).ok()).collect::<Option<Vec<Platform>>>()?;
    let is_foreign = |platform: &&Platform| {
        platform.arch().is_some_and(|arch| arch != native && !(arch == Arch::I386 && native == Arch::Amd64))
    };
    let foreign = platforms.iter().filter(is_foreign).cloned().collect();
    Some((native, foreign))
}

/// An emulator in a job whose only builds are for its own runner. What else may need one: a script, another action.
fn needless_emulator(job: &YamlNode, steps: &[YamlNode]) -> Option<LintFinding> {
    let uses = |step: &YamlNode| step.value("uses").and_then(YamlNode::text).unwrap_or("").to_string();
    let (at, step) = steps.iter().enumerate().find(|(_, step)| uses(step).starts_with("docker/setup-qemu-action"))?;
    const PLAIN: &[&str] = &["actions/", "docker/login-action", "docker/setup-buildx-action", "docker/metadata-action"];
    let mut builds = 0;
    for other in &steps[at + 1..] {
        let action = uses(other);
        if action.starts_with("docker/build-push-action") {
            let (_, foreign) = platforms_of(job, other)?;
            if !foreign.is_empty() {
                return None;
            }
            builds += 1;
        } else if !PLAIN.iter().any(|known| action.starts_with(known)) {
            return None;
        }
    }
    let (_, uses) = step.entry("uses").filter(|_| builds > 0)?;
    let message = "an emulator is set up, and this job builds only what its runner can run";
    let finding = LintFinding::new(RuleName::WorkflowQemu, uses.span.clone(), message, "not needed");
    Some(finding.weighing(Severity::Note).help("leave the step out"))
}

/// Whether a build step's Dockerfile runs programs of its target. One that only cross-compiles needs no emulator.
fn needs_emulator(step: &YamlNode, outside: &Outside<'_>) -> bool {
    let input = |name: &str| step.at(&["with", name]).and_then(YamlNode::text);
    let context = input("context").unwrap_or(".");
    let path = input("file").map_or_else(|| format!("{context}/Dockerfile"), str::to_string);
    let text = (outside.project_file)(path.trim_start_matches("./"));
    text.is_none_or(|text| super::runs_on_target(&text, input("target")))
}

fn is_pushed(with: &YamlNode) -> bool {
    let push = with.value("push").and_then(YamlNode::text).is_some_and(|push| push != "false");
    push || with
        .value("outputs")
        .and_then(YamlNode::text)
        .is_some_and(|outputs| outputs.contains("push=true") || outputs.contains("type=registry"))
}

fn missing_platforms(text: &str, step: &YamlNode) -> Option<LintFinding> {
    let with = step.value("with")?;
    if with.value("platforms").is_some() || !is_pushed(with) {
        return None;
    }
    let (key, uses) = step.entry("uses")?;
    let finding = LintFinding::new(
        RuleName::WorkflowPlatforms,
        key.span.start..uses.span.end,
        "the pushed image is for the runner's own platform only",
        "no platforms input",
    );
    let first = with.pairs().first().map(|(key, _)| key.span.start)?;
    if !matches!(with.value, Value::Map { is_block: true, .. }) {
        return Some(finding);
    }
    let insert = Edit::insert(first, format!("platforms: linux/amd64,linux/arm64\n{}", indent_at(text, first)));
    Some(finding.fix("build for linux/amd64 and linux/arm64", Safety::Unsafe, vec![insert]))
}

/// Returns the indentation for a new line below position `at`.
fn indent_at(text: &str, at: usize) -> String {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    " ".repeat(text[line_start..at].chars().count())
}

fn missing_emulator(text: &str, job: &YamlNode, step: &YamlNode, outside: &Outside<'_>) -> Option<LintFinding> {
    let platforms = step.at(&["with", "platforms"])?;
    let (native, foreign) = platforms_of(job, step)?;
    if foreign.is_empty() || !needs_emulator(step, outside) {
        return None;
    }
    let is_arm = native == Arch::Arm64;
    let foreign: Vec<String> = foreign.iter().map(ToString::to_string).collect();
    let message = format!(
        "{} is built on {} runner without an emulator",
        foreign.join(", "),
        if is_arm { "an arm64" } else { "an amd64" }
    );
    let finding = LintFinding::new(RuleName::WorkflowQemu, platforms.span.clone(), message, "foreign to this runner");
    let line_start = text[..step.span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let marker = &text[line_start..step.span.start];
    if marker.trim() != "-" {
        return Some(finding);
    }
    let insert = Edit::insert(line_start, format!("{marker}uses: {}\n", pinned("docker/setup-qemu-action")));
    Some(finding.fix("set up an emulator before the build", Safety::Unsafe, vec![insert]))
}

/// Reports `docker build` and `docker push`, or `docker buildx build --push`, in `run:` steps.
fn pushed_by_commands(text: &str, steps: &[YamlNode]) -> Vec<LintFinding> {
    let runs = steps.iter().filter_map(|step| step.value("run"));
    let commands: Vec<SimpleCommand> =
        runs.flat_map(|run| shell::commands(text, script_of(text, run), Joining::Shell)).collect();
    let is_docker = |command: &&SimpleCommand| matches!(command.program(), "docker" | "podman" | "buildah");
    let docker: Vec<&SimpleCommand> = commands.iter().filter(is_docker).collect();
    let pushes = docker.iter().any(|command| command.has("push"));
    let mut findings = Vec::new();
    for command in docker {
        let words: Vec<&str> = command.arguments().iter().map(|word| word.text.as_str()).collect();
        let is_build =
            matches!(words.as_slice(), ["build" | "bud", ..] | ["buildx", "build", ..] | ["image", "build", ..]);
        let names_platform = words.iter().any(|word| word.starts_with("--platform") || word.starts_with("--arch"));
        let is_pushed = words.contains(&"--push") || words.iter().any(|word| word.contains("push=true")) || pushes;
        if is_build && !names_platform && is_pushed {
            let program = command.words.len() - words.len() - 1;
            let verb = words.iter().position(|word| *word == "build" || *word == "bud").unwrap_or(0);
            let (start, end) = (command.words[program].span.start, command.arguments()[verb].span.end);
            let message = "the pushed image is for the runner's own platform only";
            let finding = LintFinding::new(RuleName::WorkflowPlatforms, start..end, message, "no --platform");
            findings.push(match words.first() {
                Some(&"buildx") => finding.fix(
                    "build for linux/amd64 and linux/arm64",
                    Safety::Unsafe,
                    vec![Edit::insert(end, " --platform linux/amd64,linux/arm64")],
                ),
                _ => finding.help("build with `docker buildx build --platform linux/amd64,linux/arm64 --push`"),
            });
        }
    }
    findings
}

/// Returns the bytes of a script. The lines of a block scalar include their indentation.
fn script_of(text: &str, run: &YamlNode) -> Range<usize> {
    let content = run.content();
    let is_block = text[content.clone()].starts_with(['|', '>']);
    match text[content.clone()].find('\n') {
        Some(newline) if is_block => content.start + newline + 1..content.end,
        _ => content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_after_a_wrapper_is_marked_without_it() {
        let text = "jobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: A=1 sudo -E docker buildx build --push -t x .\n";
        let (findings, problems) = check(text, &Outside::nothing());
        assert_eq!((findings.len(), problems.len()), (1, 0));
        assert_eq!(&text[findings[0].span.clone()], "docker buildx build");
        let fixed = super::super::apply(text, &findings, Safety::Unsafe).text;
        assert!(fixed.contains("docker buildx build --platform linux/amd64,linux/arm64 --push"), "{fixed}");
    }
}
