//! imgarch as a check in a project: its configuration file, its baseline, and the messages about both.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::kit::elf::ElfBuilder;
use crate::kit::small::{Small, imgarch, said, write_layout};
use tempfile::TempDir;

/// A project whose image starts, and has a foreign program in /opt/vendor.
fn project() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let image = Small::new("amd64", ElfBuilder::amd64().build());
    write_layout(&directory.path().join("old"), &[image]);
    let image = Small::new("amd64", ElfBuilder::amd64().build());
    let image = image.file("opt/vendor/tool", 0o755, ElfBuilder::arm64().build());
    write_layout(&directory.path().join("image"), &[image]);
    directory
}

fn scan(directory: &TempDir, args: &[&str], env: &[(&str, &str)]) -> (String, String, i32) {
    let args = [&["scan", "oci:image"], args].concat();
    let output = imgarch(directory.path(), &args, env);
    let (text, code) = said(&output);
    (text, String::from_utf8_lossy(&output.stderr).into_owned(), code)
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let directory = project();
    assert_eq!(scan(&directory, &[], &[]).2, 0, "{}", scan(&directory, &[], &[]).0);
    fs::write(directory.path().join(".imgarch.toml"), "fail-on = \"warning\"").unwrap();
    assert_eq!(scan(&directory, &[], &[]).2, 1);
    assert_eq!(scan(&directory, &[], &[("IMGARCH_FAIL_ON", "error")]).2, 0);
    assert_eq!(scan(&directory, &["--fail-on", "warning"], &[("IMGARCH_FAIL_ON", "error")]).2, 1);
    assert_eq!(scan(&directory, &["--no-config"], &[]).2, 0);
    let (text, _) = said(&imgarch(directory.path(), &["config"], &[("IMGARCH_TIMEOUT", "7")]));
    let line =
        |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(line("fail-on"), vec!["fail-on", "warning", ".imgarch.toml"]);
    assert_eq!(line("limits.timeout"), vec!["limits.timeout", "7", "IMGARCH_TIMEOUT"]);
    assert_eq!(line("offline"), vec!["offline", "false", "default"]);
}

#[test]
fn settings_of_one_registry_are_shown_and_unknown_keys_are_errors() {
    let directory = project();
    let file = "[registries]\nca-cert = [\"all.pem\"]\n[registries.hosts.\"registry.example.com:5000\"]\ninsecure = true\n\
                ca-cert = [\"certs/one.pem\"]\n[registries.mirrors]\n\"docker.io\" = [\"mirror.example.com\"]\n";
    fs::write(directory.path().join(".imgarch.toml"), file).unwrap();
    let (text, _) = said(&imgarch(directory.path(), &["config"], &[]));
    let shown = |name: &str, value: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(line.contains(value) && line.ends_with(".imgarch.toml"), "{line}");
    };
    shown("registries.hosts.registry.example.com:5000.insecure ", "true");
    shown("registries.hosts.registry.example.com:5000.ca-cert ", "/certs/one.pem");
    shown("registries.ca-cert ", "/all.pem");
    shown("registries.mirrors.docker.io ", "mirror.example.com");
    fs::write(directory.path().join(".imgarch.toml"), file.replace("insecure =", "insceure =")).unwrap();
    let (_, errors, code) = scan(&directory, &[], &[]);
    assert!(code == 2 && errors.contains("did you mean `insecure`?"), "{errors}");
}

#[test]
fn the_file_is_found_from_below() {
    let directory = project();
    fs::write(directory.path().join(".imgarch.toml"), "fail-on = \"warning\"").unwrap();
    let below = directory.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let (text, _) = said(&imgarch(&below, &["config"], &[]));
    assert!(text.contains("fail-on") && text.contains("warning"), "{text}");
}

#[test]
fn a_file_of_another_name_is_named_as_the_origin() {
    let directory = project();
    fs::write(directory.path().join("gate.toml"), "fail-on = \"warning\"").unwrap();
    let (text, _) = said(&imgarch(directory.path(), &["config", "--config", "gate.toml"], &[]));
    let line = text.lines().find(|line| line.starts_with("fail-on")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["fail-on", "warning", "gate.toml"]);
}

#[test]
fn a_file_with_an_unknown_key_stops_the_run() {
    let directory = project();
    fs::write(directory.path().join(".imgarch.toml"), "fial-on = \"warning\"").unwrap();
    let (_, errors, code) = scan(&directory, &[], &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("did you mean `fail-on`?"), "{errors}");
}

#[test]
fn ignored_findings_are_shown_with_their_reason_and_unused_ignores_are_reported() {
    let directory = project();
    let ignore =
        "[severity]\nforeign-file = \"error\"\n[[ignore]]\npath = \"/opt/**\"\nreason = \"for the other side\"\n";
    fs::write(directory.path().join(".imgarch.toml"), ignore).unwrap();
    let (text, errors, code) = scan(&directory, &[], &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("/opt/vendor/tool (for the other side)"), "{text}");
    assert_eq!(errors, "");
    fs::write(directory.path().join(".imgarch.toml"), ignore.replace("/opt", "/srv")).unwrap();
    let (_, errors, code) = scan(&directory, &[], &[]);
    assert_eq!(code, 1);
    assert!(errors.contains("ignore 1 (/srv/**: for the other side) matches no finding"), "{errors}");
    assert_eq!(scan(&directory, &["--quiet"], &[]).1, "");
}

#[test]
fn an_image_of_data_passes_if_its_project_ignores_no_programs() {
    let directory = project();
    let files = vec![("data".to_string(), 0o644, b"no program".to_vec())];
    let image = Small { entrypoint: "", files, ..Small::new("amd64", Vec::new()) };
    write_layout(&directory.path().join("image"), &[image]);
    let (text, _, code) = scan(&directory, &[], &[]);
    assert!(code == 3 && text.contains("no-programs"), "{text}");
    let ignore = "[[ignore]]\ncode = \"no-programs\"\nreason = \"a data volume\"\n";
    fs::write(directory.path().join(".imgarch.toml"), ignore).unwrap();
    let (text, _, code) = scan(&directory, &[], &[]);
    assert!(code == 0 && text.contains("data only") && text.contains("a data volume"), "{text}");
}

#[test]
fn a_baseline_lets_old_findings_pass_and_fails_on_new_ones() {
    let directory = project();
    let strict = ["--fail-on", "warning", "--baseline", "base.json"];
    let (_, errors, code) = scan(&directory, &strict, &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("--update-baseline writes it"), "{errors}");
    assert_eq!(scan(&directory, &[&strict[..], &["--update-baseline"]].concat(), &[]).2, 0);
    assert_eq!(scan(&directory, &strict, &[]).2, 0);
    let image = Small::new("amd64", ElfBuilder::amd64().build());
    let image = image.file("opt/vendor/tool", 0o755, ElfBuilder::arm64().build());
    let image = image.file("opt/vendor/second", 0o755, ElfBuilder::arm64().build());
    write_layout(&directory.path().join("image"), &[image]);
    assert_eq!(scan(&directory, &strict, &[]).2, 1);
}

#[test]
fn verbose_names_layers_and_decisions_on_stderr_only() {
    let directory = project();
    let (plain, errors, _) = scan(&directory, &["--format", "plain"], &[]);
    assert_eq!(errors, "");
    let (same, errors, _) = scan(&directory, &["--format", "plain", "-vv"], &[]);
    assert_eq!(plain, same);
    assert!(errors.contains("layer"), "{errors}");
}

/// The layer blobs of the project's image.
fn layer_files(directory: &Path) -> Vec<PathBuf> {
    let blobs = fs::read_dir(directory.join("image/blobs/sha256")).unwrap().map(|blob| blob.unwrap().path());
    blobs.filter(|path| fs::read(path).unwrap().first() != Some(&b'{')).collect()
}

#[test]
fn a_second_scan_reads_only_manifests_and_has_the_same_output() {
    let directory = project();
    let (first, errors, _) = scan(&directory, &["--format", "plain", "-vv"], &[]);
    assert!(errors.contains(": read entries="), "{errors}");
    let (shown, _) = said(&imgarch(directory.path(), &["cache"], &[]));
    assert!(shown.contains("1 layer,"), "{shown}");
    let (second, errors, _) = scan(&directory, &["--format", "plain", "-vv"], &[]);
    assert!(errors.contains("found in the cache") && !errors.contains(": read entries="), "{errors}");
    assert_eq!(second, first);
    for (flags, env) in [(&["--no-cache"][..], &[][..]), (&[], &[("IMGARCH_NO_CACHE", "1")])] {
        let (_, errors, _) = scan(&directory, &[flags, &["-vv"]].concat(), env);
        assert!(errors.contains(": read entries="), "{errors}");
    }
    assert!(said(&imgarch(directory.path(), &["cache", "clear"], &[])).0.starts_with("deleted 1 layer"));
    assert!(scan(&directory, &["-vv"], &[]).1.contains(": read entries="));
}

#[test]
fn a_local_layer_that_was_deleted_or_changed_is_not_taken_from_the_cache() {
    let directory = project();
    let (first, _, _) = scan(&directory, &["--format", "plain"], &[]);
    let layer = layer_files(directory.path()).remove(0);
    let mut bytes = fs::read(&layer).unwrap();
    // Another file with the same bytes is recognised after its digest was computed.
    fs::remove_file(&layer).unwrap();
    assert!(scan(&directory, &[], &[]).0.contains("is not present in"));
    fs::write(&layer, &bytes).unwrap();
    let (again, errors, _) = scan(&directory, &["--format", "plain", "-vv"], &[]);
    assert!(again == first && !errors.contains(": read entries="), "{errors}");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, &bytes).unwrap();
    let (text, _, code) = scan(&directory, &[], &[]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("reading layer 1"), "{text}");
}

#[test]
fn a_directory_is_judged_for_the_given_platform() {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, program: ElfBuilder| {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, program.build()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("root/bin/app", ElfBuilder::arm64());
    let scan = |flags: &[&str]| {
        said(&imgarch(directory.path(), &[&["scan", "rootfs:root", "--entrypoint", "/bin/app"], flags].concat(), &[]))
    };
    assert_eq!(scan(&[]).1, 0);
    assert_eq!(scan(&["--platform", "linux/arm64"]).1, 0);
    let (text, code) = scan(&["--platform", "linux/amd64"]);
    assert!(code == 1 && text.contains("exec format error"), "{text}");
    // As many programs for one platform as for the other: the platform is unknown.
    write("root/bin/other", ElfBuilder::amd64());
    let (text, code) = scan(&[]);
    assert!(code == 3 && text.contains("--platform linux/arm64"), "{text}");
}

#[test]
fn two_images_for_one_platform_are_distinguished_by_their_digests() {
    let directory = tempfile::tempdir().unwrap();
    let programs = [ElfBuilder::amd64(), ElfBuilder::arm64()];
    write_layout(&directory.path().join("image"), &programs.map(|program| Small::new("amd64", program.build())));
    let (text, _, code) = scan(&directory, &[], &[]);
    assert_eq!((code, text.matches("  sha256:").count()), (1, 2), "{text}");
    assert!(text.contains("]: sha256:"), "{text}");
}

#[test]
fn a_target_whose_image_is_listed_but_not_present_is_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let images = [("amd64", ElfBuilder::amd64()), ("arm64", ElfBuilder::arm64())];
    write_layout(&directory.path().join("image"), &images.map(|(arch, program)| Small::new(arch, program.build())));
    let blob = |digest: &serde_json::Value| {
        directory.path().join("image/blobs").join(digest.as_str().unwrap().replace(':', "/"))
    };
    let read = |path: PathBuf| serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).unwrap();
    let top = read(directory.path().join("image/index.json"));
    let index = read(blob(&top["manifests"][0]["digest"]));
    fs::remove_file(blob(&index["manifests"][1]["digest"])).unwrap();
    let (text, _, code) = scan(&directory, &["--target", "linux/arm64"], &[]);
    assert!(code == 3 && text.contains("linux/arm64 is listed, but its content is not present in"), "{text}");
    let (text, _, code) = scan(&directory, &["--target", "linux/s390x"], &[]);
    assert!(code == 1 && text.contains("no-platform-for-target"), "{text}");
}

#[test]
fn diff_shows_what_a_new_image_changes() {
    let directory = project();
    let diff = |old, new| said(&imgarch(directory.path(), &["diff", old, new, "--no-cache"], &[]));
    let (text, code) = diff("oci:old", "oci:image");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("+ warning[foreign-file]") && text.contains("/opt/vendor/tool"), "{text}");
    let (text, _) = diff("oci:image", "oci:old");
    assert!(text.contains("- warning[foreign-file]"), "{text}");
    write_layout(&directory.path().join("broken"), &[Small::new("amd64", ElfBuilder::arm64().build())]);
    let (text, code) = diff("oci:old", "oci:broken");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("~ platform linux/amd64: fine -> broken"), "{text}");
    write_layout(&directory.path().join("other"), &[Small::new("arm64", ElfBuilder::arm64().build())]);
    let (text, code) = diff("oci:old", "oci:other");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("- platform linux/amd64") && text.contains("+ platform linux/arm64"), "{text}");
    assert_eq!(diff("oci:old", "oci:nothing").1, 3);
}

/// Runs the action's script with its inputs.
fn action(directory: &TempDir, inputs: &[(&str, &str)]) -> (String, i32) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/.github/action.sh");
    let outputs = directory.path().join("outputs");
    let mut command = std::process::Command::new("bash");
    command
        .arg(script)
        .current_dir(directory.path())
        .env_clear()
        .env("HOME", directory.path())
        .env("PATH", "/usr/bin:/bin");
    command.env("RUNNER_TEMP", directory.path()).env("GITHUB_OUTPUT", &outputs);
    command.env("GITHUB_STEP_SUMMARY", directory.path().join("summary.md"));
    command.env("INPUT_BINARY", env!("CARGO_BIN_EXE_imgarch")).envs(inputs.iter().copied());
    let code = command.output().unwrap().status.code().unwrap();
    (fs::read_to_string(outputs).unwrap(), code)
}

#[test]
fn the_action_fails_on_a_bad_image_and_passes_on_a_good_one() {
    let directory = project();
    write_layout(&directory.path().join("bad"), &[Small::new("amd64", ElfBuilder::arm64().build())]);
    let (outputs, code) =
        action(&directory, &[("INPUT_IMAGE", "oci:old\n\noci:image\n"), ("INPUT_TARGET", "linux/amd64")]);
    assert_eq!((outputs.lines().next(), code), (Some("exit-code=0"), 0));
    let (outputs, code) = action(&directory, &[("INPUT_IMAGE", "oci:bad; touch owned"), ("INPUT_ARGS", "--no-config")]);
    assert_eq!(code, 3, "{outputs}");
    let (outputs, code) = action(&directory, &[("INPUT_IMAGE", "oci:bad")]);
    assert_eq!(code, 1);
    assert!(outputs.ends_with(&format!("report={}\n", directory.path().join("imgarch.json").display())), "{outputs}");
    assert!(fs::read_to_string(directory.path().join("imgarch.sarif")).unwrap().contains("entrypoint-wrong-arch"));
    assert!(fs::read_to_string(directory.path().join("summary.md")).unwrap().contains("### FAIL"));
    assert!(!directory.path().join("owned").exists());
}

#[test]
fn the_action_passes_every_input_to_its_script() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/action.yml")).unwrap();
    let action: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
    let env = &action["runs"]["steps"][0]["env"];
    for name in action["inputs"].as_object().unwrap().keys() {
        let variable = format!("INPUT_{}", name.to_uppercase().replace('-', "_"));
        assert_eq!(env[&variable], format!("${{{{ inputs.{name} }}}}"), "{name}");
    }
    assert!(!action["runs"]["steps"][0]["run"].as_str().unwrap().contains("${{"), "no expression in a script");
}
