//! GitHub Actions. Source: docker/build-push-action, docker/login-action and docker/setup-buildx-action, action.yml;
//! GitHub's "Choosing the runner for a job" and "Controlling permissions for GITHUB_TOKEN".

use super::{Project, Shape, is_amd64_native, script, slug};
use crate::lint::pinned;
use crate::platform::{Arch, Platform};

/// GitHub's own runner of each architecture.
const AMD64_RUNNER: &str = "ubuntu-24.04";
const ARM64_RUNNER: &str = "ubuntu-24.04-arm";

pub fn write(project: &Project) -> String {
    match project.shape {
        Shape::Matrix => head(project) + &build_job(project) + &merge_job(project),
        Shape::Simple => head(project) + &simple_job(project),
    }
}

fn head(project: &Project) -> String {
    let Project { image, branch, .. } = project;
    format!(
        "# Written by `imgarch workflow github`: every platform is built, pushed without a tag, and scanned; the tag is the
# last thing that moves.
name: image

on:
  push:
    branches: [{branch}]
    tags: [\"v*\"]
  pull_request:

permissions: {{}}

concurrency:
  group: image-${{{{ github.ref }}}}
  cancel-in-progress: ${{{{ github.event_name == 'pull_request' }}}}

env:
  IMAGE: {image}

jobs:
"
    )
}

/// The permissions and the runner of a job that pushes.
fn permissions(project: &Project) -> &'static str {
    match project.registry() {
        Some("ghcr.io") => "    permissions:\n      contents: read\n      packages: write\n",
        _ => "    permissions:\n      contents: read\n",
    }
}

fn runner(platform: &Platform) -> (&'static str, bool) {
    match platform.arch() {
        Some(Arch::Arm64) => (ARM64_RUNNER, false),
        _ => (AMD64_RUNNER, !is_amd64_native(platform)),
    }
}

fn build_job(project: &Project) -> String {
    let mut job = format!("  build:\n    name: build ${{{{ matrix.platform }}}}\n{}", permissions(project));
    job += "    strategy:\n      fail-fast: false\n      matrix:\n        include:\n";
    for platform in &project.platforms {
        let (runner, emulates) = runner(platform);
        job += &format!(
            "          - platform: {platform}\n            name: {}\n            runner: {runner}\n",
            slug(platform)
        );
        job += &format!("            emulates: {emulates}\n");
        let targets = project.target_options(Some(platform));
        if !project.targets.is_empty() {
            job += &format!("            targets: \"{}\"\n", targets.trim_start());
        }
    }
    job += "    runs-on: ${{ matrix.runner }}\n    timeout-minutes: 120\n    steps:\n";
    job += &checkout();
    if project.platforms.iter().any(|platform| runner(platform).1) {
        job += &format!(
            "      - name: Emulate what has no runner of its own\n        if: matrix.emulates\n        uses: {}\n        with:\n          platforms: ${{{{ matrix.platform }}}}\n",
            pinned("docker/setup-qemu-action")
        );
    }
    job += &format!("      - uses: {}\n", pinned("docker/setup-buildx-action"));
    job += &login(project);
    job += &build_step(project, "${{ matrix.platform }}", ",scope=${{ matrix.name }}");
    job += &verify(project, &of_matrix(project));
    job += &format!(
        "      - name: Keep the digest for the merge
        if: github.event_name != 'pull_request'
        env:
          DIGEST: ${{{{ steps.build.outputs.digest }}}}
        run: |
          mkdir digests
          touch \"digests/${{DIGEST#sha256:}}\"
      - if: github.event_name != 'pull_request'
        uses: {}
        with:
          name: digest-${{{{ matrix.name }}}}
          path: digests/*
          if-no-files-found: error
          retention-days: 1
",
        pinned("actions/upload-artifact")
    );
    job
}

/// A pull request's image is kept in an archive; everything else is pushed without a tag. `scope` parts the caches of jobs.
fn build_step(project: &Project, platforms: &str, scope: &str) -> String {
    let Project { context, dockerfile, .. } = project;
    format!(
        "      - name: Build, and push by digest
        id: build
        uses: {}
        with:
          context: {context}
          file: {dockerfile}
          platforms: {platforms}
          outputs: ${{{{ github.event_name == 'pull_request' && 'type=oci,dest=image.tar' || format('type=image,name={{0}},push-by-digest=true,name-canonical=true,push=true', env.IMAGE) }}}}
          cache-from: type=gha{scope}
          cache-to: type=gha,mode=max{scope}
",
        pinned("docker/build-push-action")
    )
}

fn checkout() -> String {
    format!("      - uses: {}\n        with:\n          persist-credentials: false\n", pinned("actions/checkout"))
}

/// A pull request pushes nothing, and a fork's has no secrets.
fn login(project: &Project) -> String {
    let action = pinned("docker/login-action");
    let with = match project.registry() {
        Some("ghcr.io") => {
            "          registry: ghcr.io\n          username: ${{ github.actor }}\n          password: ${{ secrets.GITHUB_TOKEN }}\n".to_string()
        }
        Some(registry) => format!(
            "          registry: {registry}\n          username: ${{{{ secrets.REGISTRY_USERNAME }}}}\n          password: ${{{{ secrets.REGISTRY_PASSWORD }}}}\n"
        ),
        None => "          username: ${{ vars.DOCKERHUB_USERNAME }}\n          password: ${{ secrets.DOCKERHUB_TOKEN }}\n".to_string(),
    };
    format!("      - if: github.event_name != 'pull_request'\n        uses: {action}\n        with:\n{with}")
}

/// What a scan is narrowed to.
#[derive(Default)]
struct Narrowing {
    env: String,
    /// Lines of the script before it.
    before: String,
    options: String,
}

/// The platform of the job, and the targets that it is for: several words, which the script parts.
fn of_matrix(project: &Project) -> Narrowing {
    let env = "          PLATFORM: ${{ matrix.platform }}\n".to_string();
    let options = " --platform \"$PLATFORM\"".to_string();
    match project.targets.is_empty() {
        true => Narrowing { env, options, ..Narrowing::default() },
        false => Narrowing {
            env: env + "          TARGETS: ${{ matrix.targets }}\n",
            before: "          read -ra targets <<< \"$TARGETS\"\n".to_string(),
            options: options + " \"${targets[@]}\"",
        },
    }
}

/// Scans what was pushed, by digest, or the archive of a pull request.
fn verify(project: &Project, narrowing: &Narrowing) -> String {
    let Narrowing { env, before, options } = narrowing;
    format!(
        "{}      - name: Will it run?
        env:
          DIGEST: ${{{{ steps.build.outputs.digest }}}}
{env}        run: |
{before}          if [ \"$GITHUB_EVENT_NAME\" = pull_request ]; then
            ./imgarch scan oci-archive:image.tar{options}
          else
            ./imgarch scan \"docker://$IMAGE@$DIGEST\"{options}
          fi
",
        install(project)
    )
}

fn install(project: &Project) -> String {
    let lines: String = script::install(&project.imgarch).iter().map(|line| format!("          {line}\n")).collect();
    format!("      - name: Get imgarch\n        run: |\n{lines}")
}

fn merge_job(project: &Project) -> String {
    let mut job = format!(
        "
  merge:
    name: merge and tag
    needs: build
    if: github.event_name != 'pull_request'
{}    runs-on: {AMD64_RUNNER}
    timeout-minutes: 15
    steps:
      - uses: {}
        with:
          path: digests
          pattern: digest-*
          merge-multiple: true
      - uses: {}
",
        permissions(project),
        pinned("actions/download-artifact"),
        pinned("docker/setup-buildx-action"),
    );
    job += &login(project);
    job += &install(project);
    job += &format!(
        "      - name: Merge, tag, and read the tag again
        run: |
          set -- digests/*
          if [ $# -ne {count} ]; then echo \"expected {count} digests, there are $#\" >&2; exit 1; fi
          sources=()
          for file in \"$@\"; do sources+=(\"$IMAGE@sha256:${{file#digests/}}\"); done
{tags}          docker buildx imagetools create \"${{tags[@]}}\" \"${{sources[@]}}\"
          digest=$(docker buildx imagetools inspect --format '{{{{json .Manifest}}}}' \"$IMAGE:sha-$GITHUB_SHA\" | jq -r .digest)
          ./imgarch scan \"docker://$IMAGE@$digest\"{targets}
",
        targets = project.target_options(None),
        count = project.platforms.len(),
        tags = tags(project),
    );
    job
}

/// `v1.2.3` is tagged so, the branch is `latest`, and every commit has its own.
fn tags(project: &Project) -> String {
    format!(
        "          tags=(--tag \"$IMAGE:sha-$GITHUB_SHA\")
          if [ \"$GITHUB_REF_TYPE\" = tag ]; then tags+=(--tag \"$IMAGE:$GITHUB_REF_NAME\"); fi
          if [ \"$GITHUB_REF\" = refs/heads/{} ]; then tags+=(--tag \"$IMAGE:latest\"); fi
",
        project.branch
    )
}

fn simple_job(project: &Project) -> String {
    let mut job = format!(
        "  build:\n{}    runs-on: {AMD64_RUNNER}\n    timeout-minutes: 240\n    steps:\n",
        permissions(project)
    );
    job += &checkout();
    if project.platforms.iter().any(|platform| !is_amd64_native(platform)) {
        job += &format!("      - uses: {}\n", pinned("docker/setup-qemu-action"));
    }
    job += &format!("      - uses: {}\n", pinned("docker/setup-buildx-action"));
    job += &login(project);
    job += &build_step(project, &project.platform_list(), "");
    job += &verify(project, &Narrowing { options: project.target_options(None), ..Narrowing::default() });
    job += &format!(
        "      - name: Tag what was verified
        if: github.event_name != 'pull_request'
        env:
          DIGEST: ${{{{ steps.build.outputs.digest }}}}
        run: |
{}          docker buildx imagetools create \"${{tags[@]}}\" \"$IMAGE@$DIGEST\"
",
        tags(project)
    );
    job
}
