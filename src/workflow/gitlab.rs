//! GitLab CI/CD. Source: GitLab's CI/CD YAML syntax reference, and "Hosted runners on Linux" for the runners' tags.

use super::{Project, Shape, is_amd64_native, script, slug};
use crate::platform::{Arch, Platform};

/// GitLab's own runner of each architecture.
const AMD64_RUNNER: &str = "saas-linux-medium-amd64";
const ARM64_RUNNER: &str = "saas-linux-medium-arm64";

/// Docker's own image, for the client and for the daemon beside it.
const DOCKER: &str = "29";

pub fn write(project: &Project) -> String {
    match project.shape {
        Shape::Matrix => head(project, &["build", "merge"]) + &build_jobs(project) + &merge_job(project),
        Shape::Simple => head(project, &["build"]) + &simple_job(project),
    }
}

fn head(project: &Project, stages: &[&str]) -> String {
    let image = &project.image;
    let login = match project.registry() {
        Some(registry) if registry.starts_with("registry.gitlab.") => {
            "echo \"$CI_REGISTRY_PASSWORD\" | docker login --username \"$CI_REGISTRY_USER\" --password-stdin \"$CI_REGISTRY\"".to_string()
        }
        Some(registry) => format!("echo \"$REGISTRY_PASSWORD\" | docker login --username \"$REGISTRY_USERNAME\" --password-stdin {registry}"),
        None => "echo \"$DOCKERHUB_TOKEN\" | docker login --username \"$DOCKERHUB_USERNAME\" --password-stdin".to_string(),
    };
    let install: String =
        script::install(&project.imgarch).iter().map(|line| format!("    - {}\n", quoted(line))).collect();
    format!(
        "# Written by `imgarch workflow gitlab`: every platform is built, pushed without a tag, and scanned; the tag is the
# last thing that moves.
stages: [{}]

variables:
  IMAGE: {image}
  DOCKER_TLS_CERTDIR: /certs

workflow:
  rules:
    - if: $CI_COMMIT_TAG
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH

.docker:
  image: docker:{DOCKER}
  services:
    - docker:{DOCKER}-dind
  before_script:
    - apk add --no-cache curl jq
    - {}
    - docker context create runner
    - docker buildx create --name runner --driver docker-container --bootstrap --use runner
{install}
",
        stages.join(", "),
        quoted(&login)
    )
}

/// A YAML scalar of one line.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn build_jobs(project: &Project) -> String {
    project.platforms.iter().map(|platform| build_job(project, platform)).collect()
}

fn build_job(project: &Project, platform: &Platform) -> String {
    let name = slug(platform);
    let runner = if platform.arch() == Some(Arch::Arm64) { ARM64_RUNNER } else { AMD64_RUNNER };
    let emulates = platform.arch() != Some(Arch::Arm64) && !is_amd64_native(platform);
    let mut job = format!("build {name}:\n  extends: .docker\n  stage: build\n  tags: [{runner}]\n  script:\n");
    if emulates {
        job += &emulator(platform);
    }
    let Project { context, dockerfile, .. } = project;
    let lines = [
        format!(
            "docker buildx build --platform {platform} --file {dockerfile} --metadata-file metadata.json --output \"type=image,name=$IMAGE,push-by-digest=true,name-canonical=true,push=true\" --cache-from \"type=registry,ref=$IMAGE:cache-{name}\" --cache-to \"type=registry,ref=$IMAGE:cache-{name},mode=max\" {context}"
        ),
        "digest=$(jq -r '.\"containerimage.digest\"' metadata.json)".to_string(),
        format!(
            "./imgarch scan \"docker://$IMAGE@$digest\" --platform {platform}{}",
            project.target_options(Some(platform))
        ),
        "mkdir -p digests".to_string(),
        format!("echo \"$digest\" > digests/{name}"),
    ];
    job += &script_lines(&lines);
    job + "  artifacts:\n    paths: [digests/]\n    expire_in: 1 day\n\n"
}

/// The daemon is the job's own: what is registered in it ends with it.
fn emulator(platform: &Platform) -> String {
    let arch = platform.arch().map_or("all", Arch::oci);
    script_lines(&[format!("docker run --privileged --rm tonistiigi/binfmt --install {arch}")])
}

fn script_lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("    - {}\n", quoted(line))).collect()
}

/// `v1.2.3` is tagged so, the default branch is `latest`, and every commit has its own.
fn tags() -> Vec<String> {
    vec![
        "set -- --tag \"$IMAGE:sha-$CI_COMMIT_SHA\"".to_string(),
        "if [ -n \"$CI_COMMIT_TAG\" ]; then set -- \"$@\" --tag \"$IMAGE:$CI_COMMIT_TAG\"; else set -- \"$@\" --tag \"$IMAGE:latest\"; fi".to_string(),
    ]
}

fn merge_job(project: &Project) -> String {
    let mut lines = vec![format!("test \"$(ls digests | wc -l)\" -eq {}", project.platforms.len())];
    lines.extend(tags());
    lines.push("for file in digests/*; do set -- \"$@\" \"$IMAGE@$(cat \"$file\")\"; done".to_string());
    lines.push("docker buildx imagetools create \"$@\"".to_string());
    lines.push(
        "digest=$(docker buildx imagetools inspect --format '{{json .Manifest}}' \"$IMAGE:sha-$CI_COMMIT_SHA\" | jq -r .digest)"
            .to_string(),
    );
    lines.push(format!("./imgarch scan \"docker://$IMAGE@$digest\"{}", project.target_options(None)));
    format!(
        "merge and tag:\n  extends: .docker\n  stage: merge\n  tags: [{AMD64_RUNNER}]\n  script:\n{}",
        script_lines(&lines)
    )
}

fn simple_job(project: &Project) -> String {
    let mut job = format!("build:\n  extends: .docker\n  stage: build\n  tags: [{AMD64_RUNNER}]\n  script:\n");
    for platform in project.platforms.iter().filter(|platform| !is_amd64_native(platform)) {
        job += &emulator(platform);
    }
    let Project { context, dockerfile, .. } = project;
    let platforms = project.platform_list();
    let mut lines = vec![
        format!(
            "docker buildx build --platform {platforms} --file {dockerfile} --metadata-file metadata.json --output \"type=image,name=$IMAGE,push-by-digest=true,name-canonical=true,push=true\" --cache-from \"type=registry,ref=$IMAGE:cache\" --cache-to \"type=registry,ref=$IMAGE:cache,mode=max\" {context}"
        ),
        "digest=$(jq -r '.\"containerimage.digest\"' metadata.json)".to_string(),
        format!("./imgarch scan \"docker://$IMAGE@$digest\"{}", project.target_options(None)),
    ];
    lines.extend(tags());
    lines.push("docker buildx imagetools create \"$@\" \"$IMAGE@$digest\"".to_string());
    job + &script_lines(&lines)
}
