//! Checks of typical machines.

use super::super::machine::BuilderNode;
use super::*;
use crate::platform::{Fact, Handler, binfmt};

fn platforms(texts: &[&str]) -> Vec<Platform> {
    texts.iter().map(|text| Platform::parse(text).unwrap()).collect()
}

fn machine(driver: &str, store: ImageStore, node: &[&str]) -> BuildHost {
    let node = BuilderNode {
        name: "default".into(),
        endpoint: "default".into(),
        status: "running".into(),
        buildkit: "v0.13.2".into(),
        platforms: platforms(node),
        by_hand: Vec::new(),
        error: None,
    };
    BuildHost {
        tool: BuildTool::Docker,
        client: Ok(BuildClient::Docker("26.1.5".into())),
        daemon: Ok(Daemon {
            version: "26.1.5".into(),
            arch: Some(Arch::Amd64),
            store,
            is_desktop: false,
            is_here: true,
        }),
        buildx: Ok("0.13.1".into()),
        builder: Ok(BuildxBuilder { name: "default".into(), driver: Driver::parse(driver), nodes: vec![node] }),
        has_own_builder: false,
        handlers: Some(Vec::new()),
        tried: Vec::new(),
        proofs: Vec::new(),
    }
}

/// Each check as `subject: state: first command`.
fn check(machine: &BuildHost, wanted: &[&str], expected: &[&str]) {
    let checks = examine(machine, &platforms(wanted));
    let shown: Vec<String> = checks
        .iter()
        .filter(|check| check.state != CheckState::Good)
        .map(|check| {
            let command = check.remedies.first().map_or(String::new(), |remedy| remedy.command.to_string());
            format!("{} {:?}: {command}", check.subject, check.state)
        })
        .collect();
    assert_eq!(shown, expected, "{checks:#?}");
}

const CREATE: &str = "docker buildx create --name imgarch --driver docker-container --bootstrap --use";
const INSTALL: &str = "docker run --privileged --rm tonistiigi/binfmt --install arm64";

#[test]
fn the_docker_driver_is_judged_by_its_store() {
    let classic = machine("docker", ImageStore::Classic, &["linux/amd64", "linux/arm64"]);
    check(
        &classic,
        &["linux/amd64", "linux/arm64"],
        &[
            &format!("builder Missing: {CREATE}"),
            "linux/arm64 Slow: docker buildx create --append --name imgarch --platform linux/arm64 ssh://user@native-host",
        ],
    );
    let containerd = machine("docker", ImageStore::Containerd, &["linux/amd64"]);
    check(&containerd, &["linux/amd64"], &[&format!("builder Slow: {CREATE}")]);
}

#[test]
fn a_platform_that_no_node_runs_needs_a_privileged_emulator() {
    let machine = machine("docker-container", ImageStore::Classic, &["linux/amd64"]);
    check(&machine, &["linux/amd64", "linux/386", "linux/arm64"], &[&format!("linux/arm64 Missing: {INSTALL}")]);
    let checks = examine(&machine, &platforms(&["linux/arm64"]));
    assert_eq!(checks.last().unwrap().remedies[0].power, Power::Privileged);
}

#[test]
fn a_registered_emulator_may_not_work() {
    let mut machine = machine("docker-container", ImageStore::Classic, &["linux/amd64", "linux/arm64"]);
    let line = r":qemu-aarch64:M:0:\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:";
    let handler = binfmt::registration(line).unwrap();
    let with = |fixed: bool, is_static: Fact<bool>, ran: Fact<bool>| BuildHost {
        handlers: Some(vec![Handler { fixed, is_static, ..handler.clone() }]),
        tried: vec![(Arch::Arm64, ran)],
        ..machine.clone()
    };
    let checked = |machine: &BuildHost| examine(machine, &platforms(&["linux/arm64"])).pop().unwrap();
    let (yes, no) = (Fact::Known(true), Fact::Known(false));
    for (machine, text) in [
        (with(true, yes, no), "(flags F) is registered, but a program of this platform does not start with it"),
        (with(true, yes, Fact::Unknown), "does not run to completion with it"),
        (with(false, yes, yes), "(no flags) is registered without flag F"),
        (with(true, no, yes), "containers do not have its loader"),
    ] {
        let check = checked(&machine);
        assert!(check.state == CheckState::Missing && check.text.contains(text), "{check:#?}");
        assert_eq!(check.remedies[0].command.to_string(), INSTALL);
    }
    let works = checked(&with(true, yes, yes));
    assert_eq!(works.state, CheckState::Slow);
    assert!(works.text.contains("by /usr/bin/qemu-aarch64-static (flags F), which ran a test program"), "{works:#?}");
    // The emulator was registered after BuildKit made its list.
    let mut stale = with(true, yes, yes);
    stale.builder.as_mut().unwrap().nodes[0].platforms = platforms(&["linux/amd64"]);
    let check_of_stale = checked(&stale);
    assert_eq!(check_of_stale.state, CheckState::Slow);
    assert!(check_of_stale.text.ends_with("; builder default does not list it yet"), "{check_of_stale:#?}");
    let support = |machine: &BuildHost| emulator::support(machine, &platforms(&["linux/arm64"])[0]);
    assert_eq!(support(&stale), Some(Support::Emulated { node: "default".into() }));
    // It is not proved by a program that ran here if containers do not find the emulator.
    stale.handlers.as_mut().unwrap()[0].fixed = false;
    assert_eq!(support(&stale), Some(Support::Foreign));
    // This machine's kernel does not matter if the builder is on another machine.
    let mut elsewhere = with(false, yes, no);
    elsewhere.daemon = elsewhere.daemon.map(|daemon| Daemon { is_here: false, ..daemon });
    assert_eq!(checked(&elsewhere).state, CheckState::Slow);
    machine.builder = Err("x".into());
    check(&machine, &["linux/arm64"], &[&format!("builder Missing: {CREATE}")]);
}

#[test]
fn a_docker_command_that_is_podman_is_reported() {
    let mut machine = machine("docker", ImageStore::Classic, &["linux/amd64"]);
    machine.client = Ok(BuildClient::Podman("5.8.6".into()));
    machine.daemon = Err("Emulate Docker CLI using podman.".into());
    let checks = examine(&machine, &platforms(&["linux/arm64"]));
    assert_eq!((checks.len(), checks[0].state), (1, CheckState::Missing));
    assert_eq!(checks[0].text, "the docker command is podman 5.8.6, which has no buildx");
    let remedy = &checks[0].remedies[0];
    assert!(remedy.text.ends_with("or build with podman: --with podman"), "{remedy:?}");
}

#[test]
fn podman_and_buildah_are_checked_without_docker() {
    let here = |tool: BuildTool, driver: Driver, node: &[&str]| {
        let mut machine = machine("docker", ImageStore::Classic, node);
        machine.builder = machine.builder.map(|builder| BuildxBuilder { driver, ..builder });
        machine.builder.as_mut().unwrap().nodes[0].endpoint = super::super::machine::HERE.into();
        BuildHost { tool, client: Ok(BuildClient::Podman("4.3.1".into())), daemon: Err("none".into()), ..machine }
    };
    let podman = here(BuildTool::Podman, Driver::Podman, &["linux/amd64"]);
    let install = "podman run --privileged --rm docker.io/tonistiigi/binfmt --install arm64";
    check(&podman, &["linux/amd64", "linux/386", "linux/arm64"], &[&format!("linux/arm64 Missing: {install}")]);
    let checks = examine(&podman, &[]);
    assert_eq!(checks[0].text, "version 4.3.1; it writes OCI layouts, which imgarch pushes by digest");
    assert_eq!((checks.len(), checks[1].text.as_str()), (2, "none registered"));
    let buildah = here(BuildTool::Buildah, Driver::Buildah, &["linux/amd64"]);
    let install = "sudo apt-get install qemu-user-static binfmt-support";
    check(&buildah, &["linux/arm64"], &[&format!("linux/arm64 Missing: {install}")]);
    let absent = BuildHost { client: Err("No such file".into()), ..buildah.clone() };
    check(&absent, &["linux/arm64"], &["buildah Missing: sudo apt-get install buildah"]);
    let failed = BuildHost { builder: Err("cannot clone".into()), ..buildah };
    check(&failed, &["linux/arm64"], &["buildah Missing: "]);
}

#[test]
fn a_claim_that_was_refuted_is_a_gap() {
    let mut machine = machine("remote", ImageStore::Classic, &["linux/amd64", "linux/arm64"]);
    let arm64 = platforms(&["linux/arm64"]);
    let mut checked = |proof: Proof| {
        machine.proofs = vec![(arm64[0].clone(), proof)];
        examine(&machine, &arm64).pop().unwrap()
    };
    let refused = checked(Proof::Refused("exec format error".into()));
    assert_eq!((refused.state, refused.remedies[0].command.to_string().as_str()), (CheckState::Missing, INSTALL));
    assert_eq!(
        refused.text,
        "builder default claims to support it, but a test program does not run there: exec format error"
    );
    let ran = checked(Proof::Ran);
    assert!(ran.state == CheckState::Slow && ran.text.ends_with("; a test program ran there"), "{ran:#?}");
    let unknown = checked(Proof::Unknown("no space left".into()));
    assert!(
        unknown.state == CheckState::Slow && unknown.text.ends_with("whether its programs run there: no space left"),
        "{unknown:#?}"
    );
}

#[test]
fn only_the_first_missing_tools_are_reported() {
    let mut machine = machine("docker", ImageStore::Containerd, &["linux/amd64"]);
    machine.buildx = Err("docker: 'buildx' is not a docker command".into());
    check(&machine, &["linux/arm64"], &["buildx Missing: sudo apt-get install docker-buildx"]);
    machine.daemon = Err("Cannot connect".into());
    check(
        &machine,
        &["linux/arm64"],
        &["daemon Missing: sudo systemctl start docker", "buildx Missing: sudo apt-get install docker-buildx"],
    );
}

#[test]
fn the_containerd_store_is_not_proposed_to_an_old_engine() {
    let mut machine = machine("docker", ImageStore::Classic, &["linux/amd64"]);
    let remedies =
        |machine: &BuildHost| examine(machine, &platforms(&["linux/amd64", "linux/arm64"]))[3].remedies.len();
    assert_eq!(remedies(&machine), 2);
    machine.daemon = machine.daemon.map(|daemon| Daemon { version: "20.10.24+dfsg1".into(), ..daemon });
    assert_eq!(remedies(&machine), 1);
    let text = no_layouts(&machine).unwrap().text;
    assert!(text.ends_with("Engine 20.10.24+dfsg1 has no containerd image store, which was added in 24"), "{text}");
}

#[test]
fn a_builder_elsewhere_needs_no_daemon() {
    let mut machine = machine("remote", ImageStore::Classic, &["linux/amd64", "linux/arm64"]);
    machine.daemon = Err("Cannot connect".into());
    check(&machine, &["linux/amd64"], &[]);
    machine.builder = machine.builder.map(|builder| BuildxBuilder { driver: Driver::DockerContainer, ..builder });
    check(&machine, &["linux/amd64"], &["daemon Missing: sudo systemctl start docker"]);
}

#[test]
fn a_stopped_builder_can_be_started() {
    let machine = machine("docker-container", ImageStore::Classic, &[]);
    check(&machine, &["linux/arm64"], &["linux/arm64 Missing: docker buildx inspect --bootstrap default"]);
}

#[test]
fn a_builder_of_the_proposed_name_is_selected_if_it_exists() {
    let select = "builder Slow: docker buildx use imgarch";
    let mut machine = machine("docker", ImageStore::Containerd, &["linux/amd64"]);
    machine.has_own_builder = true;
    check(&machine, &["linux/amd64"], &[select]);
    // A builder that does not work is replaced by it, and it by itself only by hand.
    let mut broken = machine.clone();
    let builder = broken.builder.as_mut().unwrap();
    (builder.driver, builder.nodes[0].error) = (Driver::DockerContainer, Some("no such host".into()));
    check(&broken, &["linux/amd64"], &["builder Missing: docker buildx use imgarch"]);
    broken.builder.as_mut().unwrap().name = BUILDER.into();
    check(&broken, &["linux/amd64"], &["builder Missing: docker buildx rm imgarch"]);
}

#[test]
fn a_remote_builder_that_does_not_answer_is_replaced() {
    let mut machine = machine("remote", ImageStore::Containerd, &[]);
    machine.builder.as_mut().unwrap().nodes[0].endpoint = "tcp://127.0.0.1:9".into();
    check(&machine, &["linux/arm64"], &[&format!("builder Missing: {CREATE}"), "linux/arm64 Missing: "]);
    let text = &examine(&machine, &platforms(&["linux/arm64"]))[3].text;
    assert_eq!(text, "default (remote): BuildKit does not answer at tcp://127.0.0.1:9");
}
