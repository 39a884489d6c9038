//! The incident is fixed by one rebuild. If a rebuild ends early, the tag does not change.

use crate::kit::machine::{self, Need};
use std::fs;

use serde_json::Value;

use super::site::{RAN, Site, attestation_of, digest_of};
use crate::kit::engines;

#[test]
fn one_rebuild_fixes_the_incident() {
    let Some(site) = Site::new("one_rebuild_fixes_the_incident") else { return };
    let image = site.publish_fault("incident:v1");
    let before = site.index(&image);
    site.imgarch(&["scan", &image], None).check(1, &["entrypoint-wrong-arch"]);
    site.imgarch(&["rebuild", &image, "--dry-run"], None).check(0, &["keep     linux/amd64", "build    linux/arm64"]);
    assert_eq!(site.index(&image), before, "a dry run changes nothing");
    site.imgarch(&["rebuild", &image, "--yes"], None)
        .check(0, &["is rebuilt and verified", "linux/amd64", "unchanged"]);
    site.imgarch(&["scan", &image], None).check(0, &["linux/arm64"]);
    let after = site.index(&image);
    let (old, new) = (digest_of(&before, "arm64"), digest_of(&after, "arm64"));
    assert_ne!(old, new);
    assert_eq!(digest_of(&before, "amd64"), digest_of(&after, "amd64"));
    assert_eq!(
        attestation_of(&before, digest_of(&before, "amd64")),
        attestation_of(&after, digest_of(&after, "amd64"))
    );
    assert!(attestation_of(&after, digest_of(&after, "amd64")).is_some() && attestation_of(&after, new).is_some());
    assert!(attestation_of(&after, old).is_none(), "the attestation of the old manifest is removed with it");
    site.imgarch(&["rebuild", &image, "--yes"], None).check(0, &["nothing to do"]);
    assert_eq!(site.index(&image), after);
    really_runs(&site, &image);
}

/// Runs both platforms: one natively, the foreign one under qemu's user-mode emulation.
fn really_runs(site: &Site, image: &str) {
    let native = site
        .command("docker")
        .args(["run", "--rm", "--network=none", "--platform", "linux/amd64", image])
        .output()
        .unwrap();
    assert_eq!(native.status.code(), Some(RAN), "{native:?}");
    if !machine::has("really_runs", &[Need::QemuArm64]) {
        return;
    }
    let container = site.docker(&["create", "--pull=always", "--platform", "linux/arm64", image]);
    site.docker(&["cp", &format!("{}:/app", container.trim()), "emulated"]);
    let emulated = site.command("qemu-aarch64-static").arg(site.path("emulated")).status().unwrap();
    assert_eq!(emulated.code(), Some(RAN));
}

#[test]
fn a_missing_platform_is_pushed_by_digest_and_added_to_the_tag() {
    let Some(site) = Site::new("a_missing_platform_is_pushed_by_digest_and_added_to_the_tag") else { return };
    let image = site.image("lacking:v1");
    site.docker(&["buildx", "build", "-q", "--platform", "linux/amd64", "-t", &image, "--push", "."]);
    let before = site.index(&image);
    site.remote_builder("remote");
    let said =
        site.imgarch(&["rebuild", &image, "--target", "linux/arm64", "--yes", "--", "--builder", "remote"], None);
    said.check(0, &["push-by-digest=true", "builder remote (remote)", "absent ->"]);
    let after = site.index(&image);
    assert_eq!(digest_of(&before, "amd64"), digest_of(&after, "amd64"));
    assert!(attestation_of(&after, digest_of(&after, "arm64")).is_some());
    let tags =
        engines::run("skopeo", &["list-tags", "--tls-verify=false", &format!("docker://{}", site.image("lacking"))]);
    let tags: Value = serde_json::from_str(&tags).unwrap();
    assert_eq!(tags["Tags"], serde_json::json!(["v1"]), "no other tag was pushed");
}

#[test]
fn a_dockerfile_that_repeats_the_fault_is_stopped_before_the_tag_moves() {
    let Some(site) = Site::new("a_dockerfile_that_repeats_the_fault_is_stopped_before_the_tag_moves") else { return };
    let image = site.publish_fault("repeated:v1");
    let before = site.index(&image);
    let words = ["rebuild", &image, "-f", "Faulty.Dockerfile", "--yes"];
    site.imgarch(&words, None)
        .check(1, &["stopped: the Dockerfile would cause the same fault again (1 lint error)", "Faulty.Dockerfile:2"]);
    let despite: Vec<&str> = words.into_iter().chain(["--despite-lint"]).collect();
    site.imgarch(&despite, None).check(1, &["has a fault", "repeated:v1 is unchanged"]);
    assert_eq!(site.index(&image), before);
}

#[test]
fn a_tag_that_moved_during_the_build_is_noticed() {
    let Some(site) = Site::new("a_tag_that_moved_during_the_build_is_noticed") else { return };
    let image = site.publish_fault("moved:v1");
    let other = site.image("moved:other");
    site.docker(&["buildx", "build", "-q", "--platform", "linux/amd64", "-t", &other, "--push", "."]);
    // Something else pushes during the build.
    let script = format!(
        "$docker \"$@\" || exit\ncase \"$*\" in 'buildx build'*) $docker buildx imagetools create --tag {image} {other};; esac"
    );
    let directory = site.own_docker(&script);
    let said = site.imgarch(&["rebuild", &image, "--yes"], Some(&directory));
    said.check(3, &["moved during the build", "pushed without a tag: "]);
    assert_eq!(site.index(&image), site.index(&other), "the other push stays");
}

#[test]
fn a_killed_rebuild_leaves_the_tag_and_has_reported_its_progress() {
    let Some(site) = Site::new("a_killed_rebuild_leaves_the_tag_and_has_reported_its_progress") else { return };
    let image = site.publish_fault("killed:v1");
    let before = site.index(&image);
    let steps = [
        ("case \"$*\" in 'buildx build'*) kill -9 $PPID; exit 1;; esac\nexec $docker \"$@\"", "building linux/arm64"),
        ("$docker \"$@\" || exit\ncase \"$*\" in 'buildx build'*) kill -9 $PPID;; esac", "building linux/arm64"),
    ];
    for (script, said_before) in steps {
        let directory = site.own_docker(script);
        let said = site.imgarch(&["rebuild", &image, "--yes"], Some(&directory));
        assert_eq!(said.code, None, "it was killed: {said:#?}");
        assert!(said.err.contains(said_before), "{said:#?}");
        assert_eq!(site.index(&image), before);
    }
    site.imgarch(&["rebuild", &image, "--yes"], None).check(0, &["is rebuilt and verified"]);
}

#[test]
fn an_interrupted_rebuild_reports_what_it_pushed() {
    let Some(site) = Site::new("an_interrupted_rebuild_reports_what_it_pushed") else { return };
    let image = site.publish_fault("interrupted:v1");
    let before = site.index(&image);
    let words = ["rebuild", &image, "--platform", "linux/arm64", "--platform", "linux/riscv64", "--yes"];
    // As a terminal does: every foreground process gets the signal.
    let at_second =
        "case \"$*\" in *build*linux/riscv64*) kill -INT $PPID; sleep 0.3; exit 130;; esac\nexec $docker \"$@\"";
    site.imgarch(&words, Some(&site.own_docker(at_second)))
        .check(3, &["error: interrupted", "interrupted:v1 is unchanged", "pushed without a tag: "]);
    let after_build = "$docker \"$@\" || exit\ncase \"$*\" in 'buildx build'*) kill -TERM $PPID;; esac";
    site.imgarch(&words, Some(&site.own_docker(after_build)))
        .check(3, &["error: interrupted", "interrupted:v1 is unchanged"]);
    // The second signal ends it at once.
    let twice = "case \"$*\" in 'buildx build'*) ls -A $TMPDIR > seen; kill -INT $PPID; sleep 0.3; kill -INT $PPID; sleep 1; \
                 exit 130;; esac\nexec $docker \"$@\"";
    let said = site.imgarch(&words, Some(&site.own_docker(twice)));
    assert_eq!(said.code, None, "it ends by the signal: {said:#?}");
    let seen = fs::read_to_string(site.path("seen")).unwrap();
    assert_eq!((seen.lines().count(), fs::read_dir(site.temporary()).unwrap().count()), (1, 0), "{seen}");
    assert_eq!(site.index(&image), before);
}

#[test]
fn other_tags_move_too_and_broken_platforms_are_reported() {
    let Some(site) = Site::new("other_tags_move_too_and_broken_platforms_are_reported") else { return };
    let image = site.publish_fault("several:v1");
    // Both platforms are broken: x86-64 programs, and no file at all.
    site.write("Empty.Dockerfile", "FROM scratch\nCOPY bin/app-arm64 /other\nENTRYPOINT [\"/app\"]\n");
    let both = "linux/amd64,linux/arm64";
    let build = ["buildx", "build", "-q", "-f", "Empty.Dockerfile", "--platform", both, "--push", "."];
    site.docker(&[&build[..], &["-t", &image, "-t", &site.image("several:latest")]].concat());
    let other = site.image("several:other");
    site.docker(&["buildx", "build", "-q", "--platform", "linux/amd64", "-t", &other, "--push", "."]);
    let before = site.index(&image);
    let words = ["rebuild", &image, "--platform", "linux/arm64", "--yes"];
    site.imgarch(&[&words[..], &["--also-tag", "other"]].concat(), None).check(2, &["are different images"]);
    let also = ["--also-tag", "latest", "--also-tag", "new"];
    site.imgarch(&[&words[..], &also].concat(), None)
        .check(1, &["linux/amd64", "still broken: ", "several:latest", "a kept platform is broken"]);
    let after = site.index(&image);
    assert_ne!(before, after);
    for tag in ["several:latest", "several:new"] {
        assert_eq!(site.index(&site.image(tag)), after, "{tag}");
    }
    // Every tag that points to the same index moves with it, and no other.
    let again = ["rebuild", &image, "--platform", "linux/riscv64", "--all-tags", "--only", "--yes"];
    site.imgarch(&again, None).check(0, &["tag      ", "several:latest", "several:new"]);
    let after = site.index(&image);
    for tag in ["several:latest", "several:new"] {
        assert_eq!(site.index(&site.image(tag)), after, "{tag}");
    }
    assert_ne!(site.index(&other), after);
    let only = ["rebuild", &image, "--target", "linux/arm64", "--yes"];
    site.imgarch(&only, None).check(1, &["nothing to do", "linux/amd64", "still broken"]);
    site.imgarch(&[&only[..], &["--only"]].concat(), None).check(0, &["nothing to do"]);
    site.imgarch(&["rebuild", &image, "--yes"], None).check(0, &["is rebuilt and verified"]);
    site.imgarch(&["scan", &image], None).check(0, &["3 platforms"]);
}

#[test]
fn an_image_built_by_another_tool_is_verified_and_merged() {
    let Some(site) = Site::new("an_image_built_by_another_tool_is_verified_and_merged") else { return };
    let image = site.publish_fault("supplied:v1");
    let before = site.index(&image);
    let layout = |file: &str, output: &str| {
        // An archive for docker load cannot contain attestations.
        let platform = ["buildx", "build", "-q", "-f", file, "--platform", "linux/arm64", "--provenance=false"];
        site.docker(&[&platform[..], &["--output", output, "."]].concat());
    };
    layout("Faulty.Dockerfile", "type=oci,dest=faulty.tar");
    layout("Dockerfile", "type=oci,dest=good,tar=false");
    layout("Dockerfile", "type=docker,dest=docker.tar");
    site.imgarch(&["rebuild", &image, "--layout", "nothing", "--yes"], None).check(3, &["nothing"]);
    // When built again, the faulty image may have the digest that is already in the index.
    site.imgarch(&["rebuild", &image, "--layout", "faulty.tar", "--yes"], None)
        .check(1, &["linux/arm64", "the program that linux/arm64 starts is an x86-64 program"]);
    assert_eq!(site.index(&image), before);
    site.imgarch(&["rebuild", &image, "--layout", "good", "--yes"], None)
        .check(0, &["join     linux/arm64", "is rebuilt and verified"]);
    let after = site.index(&image);
    assert_eq!(digest_of(&before, "amd64"), digest_of(&after, "amd64"));
    let joined = digest_of(&after, "arm64").to_string();
    site.imgarch(&["rebuild", &image, "--layout", "good", "--yes"], None).check(0, &["nothing to do"]);
    // From an archive of docker save, and from a manifest that is already in the repository.
    for words in [["--layout", "docker.tar"], ["--join", &joined]] {
        let image = site.publish_fault("supplied:v1");
        site.imgarch(&[&["rebuild", &image, "--yes"], &words[..]].concat(), None)
            .check(0, &["is rebuilt and verified"]);
        site.imgarch(&["scan", &image], None).check(0, &["2 platforms"]);
    }
    assert_eq!(digest_of(&site.index(&image), "arm64"), joined);
}

#[test]
fn lint_looks_up_what_a_digest_pins_in_the_registry() {
    let Some(site) = Site::new("lint_looks_up_what_a_digest_pins_in_the_registry") else { return };
    let image = site.publish_fault("pinned:v1");
    let index = site.index(&image);
    let manifest = site.docker(&["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", &image]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let whole = manifest["digest"].as_str().unwrap();
    let lint = |name: &str, from: &str| {
        fs::write(site.path(name), format!("FROM {from}\nLABEL a=b\n")).unwrap();
        site.imgarch(&["lint", name, "--online", "--format", "json"], None)
    };
    let one = lint("One.Dockerfile", &format!("{image}@{}", digest_of(&index, "arm64")));
    one.check(1, &["single-platform-digest", "linux/arm64", whole]);
    lint("All.Dockerfile", &format!("{image}@{}", whole)).check(0, &[]);
    let gone = format!("{}@sha256:{}", site.image("pinned"), "0".repeat(64));
    lint("Gone.Dockerfile", &gone).check(3, &["could not be checked", "not found"]);
}
