//! Builders with several nodes, and what a builder remembers of earlier builds. Without `IMGARCH_BUILDKIT`, each node is
//! a connection to the engine's own BuildKit.

use super::buildkit::{self, BuildKit};
use super::site::{Site, digest_of};
use crate::kit::machine;

/// Waits, for each build that pushes, until the build of the other platform has started, too.
const MEET: &str = r#"
case "$*" in
*push-by-digest*linux/386*|*linux/386*push-by-digest*) me=386 other=amd64 ;;
*push-by-digest*) me=amd64 other=386 ;;
esac
if [ -n "$me" ]; then
  touch "started-$me"
  for i in $(seq 300); do [ -e "started-$other" ] && break; sleep 0.1; done
  [ -e "started-$other" ] || { echo "the other build did not start" >&2; exit 9; }
fi
exec $docker "$@""#;

/// Creates a builder whose second node was set to build for 32-bit x86. An x86-64 CPU runs both platforms.
fn two_nodes(site: &Site) -> Vec<BuildKit> {
    let Some(directory) = buildkit::directory() else {
        let [first, second] = ["first", "second"].map(|name| site.bridge(&format!("{name}.sock")));
        create(site, &first, &second);
        return Vec::new();
    };
    let servers: Vec<BuildKit> =
        ["first", "second"].iter().map(|name| BuildKit::start(site, &directory, name, "")).collect();
    create(site, &servers[0].address, &servers[1].address);
    servers
}

fn create(site: &Site, first: &str, second: &str) {
    let create = ["buildx", "create", "--name", "two", "--driver", "remote"];
    site.docker(&[&create[..], &["--node", "first", first]].concat());
    site.docker(&[&create[..], &["--append", "--node", "second", "--platform", "linux/386", second]].concat());
}

#[test]
fn native_nodes_build_at_the_same_time() {
    let Some(site) = Site::new("native_nodes_build_at_the_same_time") else { return };
    let _servers = two_nodes(&site);
    // Both platforms have an arm64 program.
    site.write("Foreign.Dockerfile", "FROM scratch\nCOPY --chmod=0755 bin/app-arm64 /app\nENTRYPOINT [\"/app\"]\n");
    let image = site.image("nodes:v1");
    let build = ["buildx", "build", "-q", "-f", "Foreign.Dockerfile", "--platform", "linux/amd64,linux/386"];
    site.docker(&[&build[..], &["-t", &image, "--push", "."]].concat());
    let before = site.index(&image);
    let said = site.imgarch(&["rebuild", &image, "--yes", "--", "--builder", "two"], Some(&site.own_docker(MEET)));
    said.check(
        0,
        &[
            "linux/amd64 natively on node first, in parallel",
            "linux/386 natively on node second, in parallel",
            "linux/amd64: #1",
            "linux/386: #1",
            "is rebuilt and verified",
        ],
    );
    site.imgarch(&["scan", &image], None).check(0, &["2 platforms"]);
    let after = site.index(&image);
    for architecture in ["amd64", "386"] {
        assert_ne!(digest_of(&before, architecture), digest_of(&after, architecture));
    }
    site.docker(&["buildx", "rm", "two"]);
}

#[test]
fn the_plan_names_the_duration_of_the_last_build() {
    let test = "the_plan_names_the_duration_of_the_last_build";
    let Some(site) = Site::new(test) else { return };
    // Earlier versions print their help.
    let list = ["buildx", "history", "ls", "--format", "json"];
    if !site.command("docker").args(list).output().unwrap().status.success() {
        return machine::skip_for_good(test, "buildx has no history before version 0.21");
    }
    let image = site.publish_fault("remembered:v1");
    let plan = || site.imgarch(&["rebuild", &image, "--dry-run"], None);
    let both = "linux/amd64,linux/arm64";
    site.docker(&["buildx", "build", "-q", "--platform", both, "--output", "type=cacheonly", "."]);
    plan().check(0, &["without running its programs; the last build with 1 other platform took "]);
    site.docker(&["buildx", "build", "-q", "--platform", "linux/arm64", "--output", "type=cacheonly", "."]);
    plan().check(0, &["; the last build took "]);
    // A build of another directory says nothing.
    site.write("elsewhere/Dockerfile", super::site::GOOD);
    let other = ["rebuild", &image, "--dry-run", "--context", "elsewhere"];
    let said = site.imgarch(&other, None);
    assert!(said.code == Some(0) && !said.out.contains("the last build"), "{said:#?}");
}
