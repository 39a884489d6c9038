//! Other inputs and outputs: bake files, and a layout instead of the registry.

use super::site::{Site, attestation_of, digest_of};
use crate::kit::engines::run;

#[test]
fn a_layout_is_built_and_verified_without_writing_to_a_registry() {
    let Some(site) = Site::new("a_layout_is_built_and_verified_without_writing_to_a_registry") else { return };
    let image = site.image("local:v1");
    let words =
        ["rebuild", &image, "--platform", "linux/amd64", "--platform", "linux/arm64", "--output", "out", "--yes"];
    site.imgarch(&words, None).check(0, &["built linux/arm64 in oci:out"]);
    site.imgarch(&["scan", "oci:out"], None).check(0, &["2 platforms"]);
    site.imgarch(&words, None).check(2, &["out is not empty"]);
    // Other tools read the result: the whole image, under its tag.
    let copy = site.image("copied:v1");
    let copied = format!("docker://{copy}");
    let said =
        site.command("skopeo").args(["copy", "-q", "--all", "--dest-tls-verify=false", "oci:out:v1", &copied]).output();
    assert!(said.as_ref().is_ok_and(|output| output.status.success()), "{said:?}");
    site.imgarch(&["scan", &copy], None).check(0, &["linux/arm64", "linux/amd64"]);
    let listed = site
        .command("skopeo")
        .args(["list-tags", "--tls-verify=false", &format!("docker://{}", site.image("local"))])
        .output()
        .unwrap();
    assert!(!listed.status.success(), "the registry has no such repository");
}

/// A target that uses another as its context, one for a different image, and a Dockerfile outside the context.
const BAKE: &str = r#"
variable "TAG" { default = "v1" }
group "default" { targets = ["app", "other"] }
target "base" {
  dockerfile = "docker/Dockerfile"
}
target "app" {
  contexts = { base = "target:base" }
  dockerfile-inline = "FROM base"
  platforms = ["linux/amd64", "linux/arm64"]
  tags = ["IMAGE:${TAG}", "IMAGE:latest"]
}
target "other" {
  dockerfile = "Absent.Dockerfile"
  tags = ["example.com/other"]
}
"#;

#[test]
fn a_bake_file_builds_with_the_target_that_has_the_tag() {
    let Some(site) = Site::new("a_bake_file_builds_with_the_target_that_has_the_tag") else { return };
    site.write("docker/Dockerfile", super::site::GOOD);
    std::fs::remove_file(site.path("Dockerfile")).unwrap();
    site.write("docker-bake.hcl", BAKE.replace("IMAGE", &site.image("bake")));
    site.remote_builder("remote");
    for (words, builder) in [
        (["--bake", "docker-bake.hcl", "--yes"].as_slice(), ["--"].as_slice()),
        (&["--bake", "app", "--yes"], &["--", "--no-cache"]),
        // By digest, with the file among buildx's options.
        (&["--yes"], &["--", "--file", "docker-bake.hcl", "--builder", "remote"]),
    ] {
        let image = site.publish_fault("bake:v1");
        let before = site.index(&image);
        let words: Vec<&str> = ["rebuild", &image].into_iter().chain(words.iter().chain(builder).copied()).collect();
        site.imgarch(&words, None)
            .check(0, &["docker buildx bake", "is rebuilt and verified", "linux/amd64", "unchanged"]);
        let after = site.index(&image);
        assert_eq!(digest_of(&before, "amd64"), digest_of(&after, "amd64"), "{words:?}");
        assert!(attestation_of(&after, digest_of(&after, "arm64")).is_some(), "{words:?}: {after:#}");
    }
    let tags = run("skopeo", &["list-tags", "--tls-verify=false", &format!("docker://{}", site.image("bake"))]);
    assert!(!tags.contains("latest"), "the file's own tags are not pushed: {tags}");
    let image = site.image("bake:v1");
    site.imgarch(&["rebuild", &image, "--bake", "nonsense", "--dry-run"], None)
        .check(3, &["failed to find target nonsense"]);
}

#[test]
fn a_bake_target_that_is_called_default_is_built() {
    let Some(site) = Site::new("a_bake_target_that_is_called_default_is_built") else { return };
    let image = site.publish_fault("defaults:v1");
    site.write("docker-bake.hcl", format!("target \"default\" {{\n  tags = [\"{image}\"]\n}}\n"));
    site.imgarch(&["rebuild", &image, "--bake", "docker-bake.hcl", "--yes"], None)
        .check(0, &["docker buildx bake", "is rebuilt and verified"]);
    site.imgarch(&["scan", &image], None).check(0, &["2 platforms"]);
}

#[test]
fn a_bake_target_that_repeats_the_fault_is_stopped_at_its_own_dockerfile() {
    let Some(site) = Site::new("a_bake_target_that_repeats_the_fault_is_stopped_at_its_own_dockerfile") else { return };
    let image = site.publish_fault("baked:v1");
    let json = serde_json::json!({"target": {"app": {"dockerfile": "Faulty.Dockerfile", "tags": [image]}}});
    site.write("bake.json", json.to_string());
    site.imgarch(&["rebuild", &image, "--yes", "--", "-f", "bake.json"], None)
        .check(1, &["stopped: the Dockerfile would cause the same fault again (1 lint error)", "Faulty.Dockerfile:2"]);
    // The same Dockerfile is correct for x86-64.
    let words =
        ["rebuild", &site.image("absent:v1"), "--platform", "linux/amd64", "--dry-run", "-f", "Faulty.Dockerfile"];
    let said = site.imgarch(&words, None);
    assert!(said.code == Some(0) && !said.out.contains("lint "), "{said:#?}");
}

#[test]
fn the_hint_for_a_path_works_when_it_is_pasted() {
    let Some(site) = Site::new("the_hint_for_a_path_works_when_it_is_pasted") else { return };
    let image = site.publish_fault("pasted:v1");
    let layout = format!("oci:{}", site.path("wrong").display());
    let copied = site
        .command("skopeo")
        .args(["copy", "-q", "--all", "--src-tls-verify=false", &format!("docker://{image}"), &layout])
        .output();
    assert!(copied.as_ref().is_ok_and(|output| output.status.success()), "{copied:?}");
    let command = "docker buildx build --platform linux/arm64 --output type=oci,dest=image.tar .";
    site.imgarch(&["scan", "wrong"], None).check(1, &[command]);
    site.imgarch(&["rebuild", "wrong", "--platform", "linux/arm64"], None)
        .check(2, &["wrong is not a registry tag", command, "imgarch scan image.tar"]);
    site.docker(&command.split(' ').skip(1).collect::<Vec<_>>());
    site.imgarch(&["scan", "image.tar"], None).check(0, &["linux/arm64"]);
    // The hint for a tag is the command that fixes it.
    let said = site.imgarch(&["scan", &image], None);
    let hint = format!("imgarch rebuild {image} --platform linux/arm64");
    said.check(1, &[&hint]);
    let words: Vec<&str> = hint.split(' ').skip(1).chain(["--yes"]).collect();
    site.imgarch(&words, None).check(0, &["is rebuilt and verified"]);
}
