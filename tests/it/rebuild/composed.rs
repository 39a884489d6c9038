//! Images of Compose files and manifests, and builds without Docker.

use std::os::unix::fs::symlink;

use serde_json::Value;

use super::site::{GOOD, Run, Site};
use crate::kit::machine::{self, Need};
use crate::kit::program;

const COMPOSE: &str = r#"
services:
  app:
    image: APP
    build: {context: ., platforms: [linux/amd64, linux/arm64]}
  web.site:
    image: WEB
    build:
      context: web
      dockerfile: Web.Dockerfile
      args: {KIND: app}
  database: {image: "example.com/database:1"}
  tool: {build: .}
"#;

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
        - {name: web, image: "WEB"}
        - {name: other, image: "example.com/other:1"}
"#;

/// Publishes two faulty images, and writes the files that build them.
fn composed(site: &Site, name: &str) -> (String, String) {
    let (app, web) = (site.publish_fault(&format!("{name}-app:v1")), site.publish_fault(&format!("{name}-web:v1")));
    let fill = |text: &str| text.replace("APP", &app).replace("WEB", &web);
    site.write("compose.yaml", fill(COMPOSE));
    site.write("deployment.yaml", fill(DEPLOYMENT));
    site.write(
        "web/Web.Dockerfile",
        GOOD.replace("ARG TARGETARCH", "ARG TARGETARCH\nARG KIND").replace("bin/app", "bin/${KIND}"),
    );
    for architecture in ["amd64", "arm64"] {
        let name = format!("bin/app-{architecture}");
        site.write(&format!("web/{name}"), std::fs::read(site.path(&name)).unwrap());
    }
    (app, web)
}

#[test]
fn every_image_that_a_compose_file_builds_is_rebuilt() {
    let Some(site) = Site::new("every_image_that_a_compose_file_builds_is_rebuilt") else { return };
    let (app, web) = composed(&site, "composed");
    let before = [site.index(&app), site.index(&web)];
    let plan = site.imgarch(&["rebuild", "-f", "compose.yaml", "--dry-run", "--format", "json"], None);
    plan.check(0, &["service tool names no image"]);
    let plans: Value = serde_json::from_str(&plan.out).unwrap();
    let images: Vec<&str> =
        plans["images"].as_array().unwrap().iter().filter_map(|one| one["image"].as_str()).collect();
    assert_eq!(images, [app.as_str(), &web]);
    // Nothing is built if one of the Dockerfiles would cause the same fault again.
    assert_eq!([site.index(&app), site.index(&web)], before);
    site.imgarch(&["rebuild", "-f", "deployment.yaml", "--yes"], None)
        .check(0, &["no service builds example.com/other:1", &format!("{web} is rebuilt and verified")]);
    assert_eq!(site.index(&app), before[0]);
    site.imgarch(&["rebuild", "-f", "compose.yaml", "--yes"], None)
        .check(0, &["nothing to do", &format!("{app} is rebuilt and verified")]);
    for image in [&app, &web] {
        site.imgarch(&["scan", image], None).check(0, &["2 platforms"]);
    }
    site.imgarch(&["rebuild", "example.com/none:1", "-f", "compose.yaml"], None)
        .check(2, &["is not among the images that these files build"]);
}

#[test]
fn podman_builds_where_docker_is_not_installed() {
    let test = "podman_builds_where_docker_is_not_installed";
    let Some(site) = Site::new(test).filter(|_| machine::has(test, &[Need::Podman, Need::Runc])) else { return };
    let (app, web) = composed(&site, "podman");
    site.podman_configuration();
    let only = site.path("only-podman");
    std::fs::create_dir(&only).unwrap();
    symlink("/usr/bin/podman", only.join("podman")).unwrap();
    let imgarch = |words: &[&str]| {
        let mut command = site.command(env!("CARGO_BIN_EXE_imgarch"));
        command.env("PATH", &only).env("CONTAINERS_STORAGE_CONF", site.path("storage.conf"));
        command.env("CONTAINERS_CONF", site.path("containers.conf")).env("TMPDIR", site.temporary());
        Run::of(&command.args(words).output().unwrap())
    };
    imgarch(&["doctor", "--platform", "linux/amd64"]).check(0, &["podman", "it writes OCI layouts", "native on node"]);
    // The `docker` command of Debian's podman-docker.
    program::write(&only.join("docker"), "#!/bin/sh\nexec /usr/bin/podman \"$@\"\n");
    imgarch(&["doctor", "--platform", "linux/amd64"]).check(0, &["it writes OCI layouts"]);
    imgarch(&["doctor", "--with", "docker"]).check(1, &["the docker command is podman ", "which has no buildx"]);
    std::fs::remove_file(only.join("docker")).unwrap();
    imgarch(&["doctor", "--platform", "linux/s390x"])
        .check(1, &["podman run --privileged --rm docker.io/tonistiigi/binfmt --install s390x"]);
    imgarch(&["rebuild", &app, "--dry-run"]).check(0, &["builder podman (podman)", "podman manifest push --all"]);
    imgarch(&["rebuild", &app, "--yes", "-f", "Faulty.Dockerfile", "--despite-lint"]).check(1, &["is unchanged"]);
    imgarch(&["rebuild", "-f", "compose.yaml", "--yes"]).check(
        0,
        &[&format!("{app} is rebuilt and verified"), &format!("{web} is rebuilt and verified"), "--build-arg KIND=app"],
    );
    for image in [&app, &web] {
        site.imgarch(&["scan", image], None).check(0, &["2 platforms"]);
    }
    imgarch(&["rebuild", &app, "--bake", "app", "--dry-run"]).check(2, &["only buildx builds bake files"]);
    let out = ["rebuild", &site.image("podman-out:v1"), "--platform", "linux/arm64", "--output", "out", "--yes"];
    imgarch(&out).check(0, &["built linux/arm64 in oci:out"]);
    // No manifest list is left.
    let listed = site
        .command("podman")
        .args(["images", "--format", "{{.Repository}}"])
        .env("CONTAINERS_STORAGE_CONF", site.path("storage.conf"))
        .env("CONTAINERS_CONF", site.path("containers.conf"))
        .output()
        .unwrap();
    let listed = Run::of(&listed);
    assert!(listed.code == Some(0) && !listed.out.contains("imgarch-rebuild"), "{listed:#?}");
}
