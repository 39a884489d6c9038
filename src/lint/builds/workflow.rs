//! The builds that GitHub workflows describe: actions and commands, with the matrix and the inputs of reusable workflows
//! put in. Source: GitHub's "Workflow syntax", `jobs.<job_id>.strategy.matrix` and "Reusing workflows".

use std::collections::BTreeMap;

use super::{BuiltFor, DockerfileBuild, dockerfile_path, in_script};
use crate::platform::Arch;
use crate::yaml::{self, YamlNode};

/// The workflows and composite actions of a project by their paths from its root.
pub type Workflows = BTreeMap<String, String>;
/// What `matrix.x`, `inputs.x` and `env.X` stand for.
type Values = BTreeMap<String, String>;
type Parsed<'t> = BTreeMap<&'t str, Vec<YamlNode>>;

/// Combinations of a matrix that are looked at; GitHub runs at most 256.
const COMBINATION_LIMIT: usize = 256;
/// Reusable workflows that call each other. GitHub takes ten.
const MAX_DEPTH: usize = 10;

/// The builds of all workflows. One that others call is read with their inputs.
pub fn in_workflows(workflows: &Workflows) -> Vec<DockerfileBuild> {
    let parsed: Parsed<'_> =
        workflows.iter().map(|(path, text)| (path.as_str(), yaml::parse(text).unwrap_or_default())).collect();
    let is_called = |path: &str| parsed.values().flatten().flat_map(jobs).any(|job| called(job) == Some(path));
    let entries = parsed.keys().filter(|path| !is_called(path) && path.contains("workflows"));
    entries.flat_map(|path| in_workflow(path, &parsed, &Values::new(), 0)).collect()
}

fn jobs(root: &YamlNode) -> impl Iterator<Item = &YamlNode> {
    root.value("jobs").map_or(&[][..], YamlNode::pairs).iter().map(|(_, job)| job)
}

/// The path of the project's own workflow that a job calls.
fn called(job: &YamlNode) -> Option<&str> {
    job.value("uses")?.text()?.strip_prefix("./")
}

fn in_workflow(path: &str, parsed: &Parsed<'_>, given: &Values, depth: usize) -> Vec<DockerfileBuild> {
    let mut builds = Vec::new();
    for root in parsed.get(path).into_iter().flatten() {
        let mut values = defaults(root);
        values.extend(given.clone());
        values.extend(texts(root.value("env"), "env."));
        for job in jobs(root) {
            for combination in combinations(job) {
                let mut values = values.clone();
                values.extend(combination);
                values.extend(texts(job.value("env"), "env."));
                match called(job) {
                    Some(other) if depth < MAX_DEPTH => {
                        let inputs = texts(job.value("with"), "inputs.");
                        let inputs = inputs.map(|(name, value)| (name, expand(&value, &values))).collect();
                        builds.extend(in_workflow(other, parsed, &inputs, depth + 1));
                    }
                    Some(_) => {}
                    None => builds.extend(in_job(job, parsed, &values)),
                }
            }
        }
    }
    builds
}

/// The defaults of a reusable or manual workflow's inputs.
fn defaults(root: &YamlNode) -> Values {
    let triggers = ["workflow_call", "workflow_dispatch"];
    triggers.iter().flat_map(|trigger| defaults_in(root.at(&["on", trigger, "inputs"]))).collect()
}

fn defaults_in(inputs: Option<&YamlNode>) -> Values {
    let default = |(name, input): &(YamlNode, YamlNode)| {
        Some((format!("inputs.{}", name.text()?), input.value("default")?.text()?.to_string()))
    };
    inputs.map_or(&[][..], YamlNode::pairs).iter().filter_map(default).collect()
}

/// The keys of a mapping that hold a text, each after `prefix`.
fn texts<'n>(node: Option<&'n YamlNode>, prefix: &'n str) -> impl Iterator<Item = (String, String)> + 'n {
    let pairs = node.map_or(&[][..], YamlNode::pairs).iter();
    pairs.filter_map(move |(key, value)| Some((format!("{prefix}{}", key.text()?), value.text()?.to_string())))
}

fn combinations(job: &YamlNode) -> Vec<Values> {
    let Some(matrix) = job.at(&["strategy", "matrix"]) else { return vec![Values::new()] };
    let mut combinations = vec![Values::new()];
    let mut names: Vec<String> = Vec::new();
    for (key, node) in matrix.pairs() {
        let Some(name) = key.text().filter(|name| !matches!(*name, "include" | "exclude")) else { continue };
        if node.items().is_empty() {
            continue;
        }
        names.push(format!("matrix.{name}"));
        let with_item = |base: &Values, item: &YamlNode| {
            let mut combination = base.clone();
            let whole = item.text().map(|text| (format!("matrix.{name}"), text.to_string()));
            combination.extend(whole);
            combination.extend(texts(Some(item), &format!("matrix.{name}.")));
            combination
        };
        let crossed = combinations.iter().flat_map(|base| node.items().iter().map(move |item| with_item(base, item)));
        combinations = crossed.take(COMBINATION_LIMIT).collect();
    }
    let included: Vec<Values> = matrix
        .value("include")
        .map_or(&[][..], YamlNode::items)
        .iter()
        .take(COMBINATION_LIMIT)
        .map(|item| texts(Some(item), "matrix.").collect())
        .collect();
    if names.is_empty() && !included.is_empty() {
        return included;
    }
    for entry in included {
        // An entry completes the combinations that it does not contradict, or else is one more.
        let fits = |combination: &Values| {
            names.iter().all(|name| entry.get(name).is_none_or(|value| combination.get(name) == Some(value)))
        };
        match combinations.iter().any(fits) {
            true => combinations.iter_mut().filter(|combination| fits(combination)).for_each(|combination| {
                combination.extend(entry.clone());
            }),
            false => combinations.push(entry),
        }
    }
    combinations
}

/// `${{ matrix.file }}` becomes its value; what is not known stays.
fn expand(text: &str, values: &Values) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let Some((expression, tail)) = after.split_once("}}") else { break };
        expanded.push_str(before);
        match values.get(expression.trim()) {
            Some(value) => expanded.push_str(value),
            None => expanded.push_str(&format!("${{{{{expression}}}}}")),
        }
        rest = tail;
    }
    expanded + rest
}

fn in_job(job: &YamlNode, parsed: &Parsed<'_>, values: &Values) -> Vec<DockerfileBuild> {
    let runner = job.value("runs-on").map_or(Vec::new(), YamlNode::texts).join(" ");
    let runner = expand(&runner, values);
    let host = match () {
        () if runner.contains("self-hosted") || runner.contains("${{") => None,
        () if runner.contains("arm") => Some(Arch::Arm64),
        () => Some(Arch::Amd64),
    };
    let default = values.get("env.DOCKER_DEFAULT_PLATFORM").map(|platform| BuiltFor::parse(platform));
    let directory = job.at(&["defaults", "run", "working-directory"]).and_then(YamlNode::text).unwrap_or("");
    let mut builds = in_steps(job.value("steps"), directory, parsed, values, 0);
    let mut runs =
        job.value("steps").map_or(&[][..], YamlNode::items).iter().filter_map(|step| step.value("run")?.text());
    let is_pushed = runs.any(super::pushes);
    for build in &mut builds {
        build.is_pushed |= is_pushed;
        if build.built_for == BuiltFor::Host(None) {
            build.built_for = default.clone().unwrap_or(BuiltFor::Host(host));
        }
    }
    builds
}

/// The steps of a job or of a composite action. Source: GitHub's "Metadata syntax", `runs.steps`.
fn in_steps(
    steps: Option<&YamlNode>,
    directory: &str,
    parsed: &Parsed<'_>,
    values: &Values,
    depth: usize,
) -> Vec<DockerfileBuild> {
    let mut builds: Vec<DockerfileBuild> = Vec::new();
    for step in steps.map_or(&[][..], YamlNode::items) {
        if let Some(run) = step.value("run").and_then(YamlNode::text) {
            let directory = step.value("working-directory").and_then(YamlNode::text).unwrap_or(directory);
            let directory = expand(directory, values);
            builds.extend(in_script(&expand(run, values)).into_iter().map(|build| within(build, &directory)));
        }
        builds.extend(by_action(step, values));
        let Some(action) = called(step).filter(|_| depth < MAX_DEPTH) else { continue };
        let action = action.trim_end_matches('/');
        let files = ["action.yml", "action.yaml"].map(|name| format!("{action}/{name}"));
        for root in files.iter().filter_map(|path| parsed.get(path.as_str())).flatten() {
            let mut inner: Values =
                values.iter().filter(|(name, _)| !name.starts_with("inputs.")).map(clone_pair).collect();
            inner.extend(defaults_in(root.value("inputs")));
            inner.extend(texts(step.value("with"), "inputs.").map(|(name, value)| (name, expand(&value, values))));
            builds.extend(in_steps(root.at(&["runs", "steps"]), "", parsed, &inner, depth + 1));
        }
    }
    builds
}

fn clone_pair((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

fn within(build: DockerfileBuild, directory: &str) -> DockerfileBuild {
    let dockerfile = build.dockerfile.and_then(|path| dockerfile_path(directory, ".", Some(&path)));
    DockerfileBuild { dockerfile, ..build }
}

/// The actions that build an image. Source: each action's action.yml.
fn by_action(step: &YamlNode, values: &Values) -> Option<DockerfileBuild> {
    let action = step.value("uses")?.text()?.split('@').next().unwrap_or("");
    let is_builder = ["build-push-action", "buildah-build", "docker-build-push", "Publish-Docker-Github-Action"]
        .iter()
        .any(|name| action.ends_with(name));
    if !is_builder {
        return None;
    }
    let input = |names: &[&str]| {
        let node = names.iter().find_map(|name| step.at(&["with", name]))?;
        let text = expand(node.text()?, values);
        (!text.trim().is_empty()).then_some(text)
    };
    let context = input(&["context", "directory"]).unwrap_or_else(|| ".".to_string());
    let context = context.trim().replace("{{defaultContext}}:", "").replace("{{defaultContext}}", ".");
    let file = input(&["file", "dockerfile", "containerfiles", "dockerfiles"]);
    let platforms = input(&["platforms", "archs", "platform", "arch"]);
    let push = input(&["push"]).is_some_and(|push| push != "false");
    let is_pushed = push || input(&["outputs"]).is_some_and(|outputs| outputs.contains("push=true"));
    Some(DockerfileBuild {
        is_pushed,
        dockerfile: dockerfile_path("", &context, file.as_deref().map(str::trim)),
        built_for: platforms.map_or(BuiltFor::Host(None), |platforms| BuiltFor::parse(&platforms)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builds(files: &[(&str, &str)]) -> Vec<(Option<String>, BuiltFor)> {
        let files = files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
        in_workflows(&files).into_iter().map(|build| (build.dockerfile, build.built_for)).collect()
    }

    fn named(names: &[Arch]) -> BuiltFor {
        BuiltFor::Named(names.iter().copied().collect())
    }

    #[test]
    fn a_matrix_names_dockerfiles_and_platforms() {
        let text = "jobs:\n  a:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix:\n        image: [x, y]\n        include:\n          - image: y\n            platforms: linux/amd64,linux/arm64\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          context: img/${{ matrix.image }}\n          platforms: ${{ matrix.platforms }}\n";
        assert_eq!(
            builds(&[("workflows/w.yml", text)]),
            [
                (Some("img/x/Dockerfile".to_string()), BuiltFor::Unknown),
                (Some("img/y/Dockerfile".to_string()), named(&[Arch::Amd64, Arch::Arm64])),
            ]
        );
    }

    #[test]
    fn a_reusable_workflow_is_read_with_its_callers_inputs() {
        let called = "on:\n  workflow_call:\n    inputs:\n      file: {type: string}\n      platforms: {default: linux/amd64}\njobs:\n  b:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          file: ${{ inputs.file }}\n          platforms: ${{ inputs.platforms }}\n";
        let caller = "jobs:\n  a:\n    uses: ./.github/workflows/b.yml\n    with: {file: D.x}\n  c:\n    uses: ./.github/workflows/b.yml\n    with: {file: D.y, platforms: linux/arm64}\n";
        assert_eq!(
            builds(&[(".github/workflows/a.yml", caller), (".github/workflows/b.yml", called)]),
            [(Some("D.x".to_string()), named(&[Arch::Amd64])), (Some("D.y".to_string()), named(&[Arch::Arm64])),]
        );
    }

    #[test]
    fn a_composite_action_is_read_with_its_inputs() {
        let action = "inputs:\n  file: {required: true}\n  platforms: {default: linux/amd64}\nruns:\n  using: composite\n  steps:\n    - uses: docker/build-push-action@v6\n      with:\n        file: ${{ inputs.file }}\n        platforms: ${{ inputs.platforms }}\n";
        let text = "jobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: ./.github/actions/b\n        with: {file: x/D}\n";
        assert_eq!(
            builds(&[("workflows/w.yml", text), (".github/actions/b/action.yml", action)]),
            [(Some("x/D".to_string()), named(&[Arch::Amd64]))]
        );
    }

    #[test]
    fn a_build_without_platforms_is_its_runners() {
        let text = |runner: &str| {
            format!(
                "jobs:\n  a:\n    runs-on: {runner}\n    steps:\n      - run: docker build d\n        working-directory: w\n"
            )
        };
        let path = || Some("w/d/Dockerfile".to_string());
        assert_eq!(
            builds(&[("workflows/w.yml", &text("ubuntu-24.04"))]),
            [(path(), BuiltFor::Host(Some(Arch::Amd64)))]
        );
        assert_eq!(
            builds(&[("workflows/w.yml", &text("ubuntu-24.04-arm"))]),
            [(path(), BuiltFor::Host(Some(Arch::Arm64)))]
        );
        assert_eq!(builds(&[("workflows/w.yml", &text("[self-hosted, x]"))]), [(path(), BuiltFor::Host(None))]);
    }

    #[test]
    fn workflows_that_call_each_other_end() {
        let text = "jobs:\n  a:\n    uses: ./workflows/a.yml\n";
        assert_eq!(builds(&[("workflows/a.yml", text)]), []);
    }
}
