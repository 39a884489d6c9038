//! Plans for typical images.

use super::super::bake::BakeTarget;
use super::super::machine::{BuildClient, BuilderNode, BuildxBuilder, Daemon, ImageStore};
use super::super::tool::{BuildTool, Driver};
use super::*;
use crate::judge::code::Code;
use crate::judge::finding::Finding;
use crate::judge::labels::Agreement;
use crate::oci::{Descriptor, Reference};
use crate::platform::Arch;
use crate::source::Origin;

fn platform(text: &str) -> Platform {
    Platform::parse(text).unwrap()
}

fn machine(driver: &str, node: &[&str]) -> BuildHost {
    let node = BuilderNode {
        name: "n".into(),
        endpoint: String::new(),
        status: "running".into(),
        buildkit: String::new(),
        platforms: node.iter().map(|text| platform(text)).collect(),
        by_hand: Vec::new(),
        error: None,
    };
    BuildHost {
        tool: BuildTool::Docker,
        client: Ok(BuildClient::Docker("26".into())),
        daemon: Ok(Daemon {
            version: "26".into(),
            arch: Some(Arch::Amd64),
            store: ImageStore::Containerd,
            is_desktop: false,
            is_here: true,
        }),
        buildx: Ok("0.13".into()),
        builder: Ok(BuildxBuilder { name: "b".into(), driver: Driver::parse(driver), nodes: vec![node] }),
        has_own_builder: false,
        handlers: Some(Vec::new()),
        tried: Vec::new(),
        proofs: Vec::new(),
    }
}

/// An index of these platforms, each with its attestation, and one artifact that belongs to none.
fn published(platforms: &[&str]) -> Published {
    let digest = |text: &str| Digest::from_bytes(text.as_bytes()).to_string();
    let mut manifests = Vec::new();
    for name in platforms {
        let p = platform(name);
        manifests.push(serde_json::json!({"mediaType": "m", "digest": digest(name), "size": 1, "unknownField": name,
            "platform": {"os": p.os, "architecture": p.architecture}}));
        manifests.push(serde_json::json!({"mediaType": "m", "digest": digest(&format!("att {name}")), "size": 1,
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest(name)}}));
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": manifests, "annotations": {"k": "v"}}).to_string();
    Published::read(&Descriptor::new("i", Digest::from_bytes(index.as_bytes()), 1), index.as_bytes(), None).unwrap()
}

/// A report in which the platforms in `broken` have a fault.
fn report(platforms: &[&str], broken: &[&str]) -> ImageReport {
    let fault = || Finding::new(Code::EntrypointWrongArch, "its entrypoint is x86-64");
    let one = |name: &&str| PlatformReport {
        digest: Some(Digest::from_bytes(name.as_bytes())),
        programs: 1,
        agreement: Agreement::Fits,
        findings: broken.contains(name).then(fault).into_iter().collect(),
        ..PlatformReport::new(Some(platform(name)), None)
    };
    ImageReport { platforms: platforms.iter().map(one).collect(), ..ImageReport::new("x", Origin::Unopened) }
}

fn request(platforms: &[&str], targets: &[&str]) -> RebuildRequest {
    RebuildRequest {
        reference: Reference::parse("example.com/user/app:v1").unwrap(),
        platforms: platforms.iter().map(|text| platform(text)).collect(),
        also: Vec::new(),
        targets: targets.iter().filter_map(|text| Target::of_platform(&platform(text))).collect(),
        build: BuildSettings {
            context: ".".into(),
            work: "/w".into(),
            extra: vec!["--pull".into()],
            ..BuildSettings::default()
        },
    }
}

/// Checks the plan: the kept platforms, the number of other kept manifests, and the builds as `platform: reason`.
fn check(request: RebuildRequest, there: &[&str], broken: &[&str], expected: (&[&str], usize, &[&str])) -> RebuildPlan {
    let before = (!there.is_empty()).then(|| published(there));
    let report = (!there.is_empty()).then(|| report(there, broken));
    let scans = Scans { asked: report.as_ref(), others: None };
    let plan = RebuildPlan::make(
        request,
        before,
        scans,
        &machine("docker-container", &["linux/amd64"]),
        DockerfileFacts::default(),
    );
    let keep: Vec<String> =
        plan.keep.iter().filter_map(|kept| kept.platform.as_ref()).map(ToString::to_string).collect();
    let others = plan.keep.iter().filter(|kept| kept.platform.is_none()).count();
    let build: Vec<String> = plan.build.iter().map(|build| format!("{}: {}", build.platform, build.reason)).collect();
    assert_eq!(
        (keep, others, build),
        (
            expected.0.iter().map(|t| t.to_string()).collect(),
            expected.1,
            expected.2.iter().map(|t| t.to_string()).collect()
        )
    );
    plan
}

fn cost_of(plan: &RebuildPlan) -> &Cost {
    match &plan.build[0].means {
        Means::Built { cost, .. } => cost,
        Means::Supplied(_) => panic!("nothing is supplied"),
    }
}

fn command(plan: &RebuildPlan) -> String {
    match &plan.build[0].means {
        Means::Built { commands, .. } => commands.build.to_string(),
        Means::Supplied(_) => panic!("nothing is supplied"),
    }
}

const BOTH: &[&str] = &["linux/amd64", "linux/arm64"];

#[test]
fn only_what_is_broken_is_built_and_its_attestation_goes() {
    let plan = check(
        request(&[], &[]),
        BOTH,
        &["linux/arm64"],
        (&["linux/amd64"], 1, &["linux/arm64: its entrypoint is x86-64"]),
    );
    let raw = &plan.keep[0].entry.raw;
    assert!(raw.contains(r#""unknownField":"linux/amd64""#), "{raw}");
    assert_eq!(plan.staying, [raw, &plan.keep[1].entry.raw].map(String::clone));
}

#[test]
fn what_a_target_or_the_user_needs_and_is_missing_is_built() {
    check(request(&[], &["linux/arm64"]), &["linux/amd64"], &[], (&["linux/amd64"], 1, &["linux/arm64: missing"]));
    check(request(&["linux/s390x"], &[]), BOTH, &["linux/arm64"], (BOTH, 2, &["linux/s390x: missing"]));
    check(request(BOTH, &[]), &[], &[], (&[], 0, &["linux/amd64: missing", "linux/arm64: missing"]));
}

#[test]
fn a_healthy_image_leaves_nothing_to_do() {
    assert!(check(request(&[], &[]), BOTH, &[], (BOTH, 2, &[])).is_done());
    assert!(check(request(&["linux/arm64"], &["linux/arm64"]), BOTH, &["linux/amd64"], (BOTH, 2, &[])).is_done());
}

#[test]
fn the_commands_are_exact() {
    let plan =
        check(request(&["linux/arm64"], &[]), &["linux/amd64"], &[], (&["linux/amd64"], 1, &["linux/arm64: missing"]));
    assert_eq!(
        command(&plan),
        "docker buildx build --platform linux/arm64 --output type=image,name=example.com/user/app,push-by-digest=true,name-canonical=true,push=true --metadata-file /w/linux-arm64.json --pull ."
    );
    let bake = RebuildRequest {
        build: BuildSettings {
            bake: Some(BakeTarget { name: "app".into(), linked: vec!["base".into()], ..BakeTarget::default() }),
            ..plan.request.build.clone()
        },
        ..request(&["linux/arm64"], &[])
    };
    let plan = RebuildPlan::make(
        bake,
        None,
        Scans::default(),
        &machine("docker", &["linux/amd64"]),
        DockerfileFacts::default(),
    );
    assert_eq!(plan.delivery, Delivery::ByLayout);
    assert_eq!(
        command(&plan),
        "docker buildx bake --metadata-file /w/linux-arm64.json --set app.platform=linux/arm64 --set base.platform=linux/arm64 --set app.output=type=oci,dest=/w/linux-arm64,tar=false --set app.tags= --provenance mode=min --pull app"
    );
}

#[test]
fn podman_builds_into_a_manifest_list_and_writes_a_layout() {
    let mut podman = machine("docker", &["linux/amd64"]);
    podman.tool = BuildTool::Podman;
    podman.builder = podman.builder.map(|builder| BuildxBuilder { driver: Driver::Podman, ..builder });
    let mut wanted = request(&["linux/arm/v7"], &[]);
    wanted.build.dockerfile = Some("D".into());
    let plan = RebuildPlan::make(wanted, None, Scans::default(), &podman, DockerfileFacts::default());
    let Means::Built { commands, .. } = &plan.build[0].means else { panic!("it is built") };
    // The first digits of the working directory's digest make the name unique.
    let list = format!("localhost/imgarch-rebuild:{}-linux-arm-v7", &Digest::from_bytes(b"/w").hex()[..12]);
    let shown = [Some(&commands.build), commands.export.as_ref(), commands.cleanup.as_ref()];
    let shown = shown.map(|line| line.unwrap().to_string());
    let expected = [
        format!("podman build --platform linux/arm/v7 --manifest {list} --file D --pull ."),
        format!("podman manifest push --all {list} oci:/w/linux-arm-v7"),
        format!("podman manifest rm {list}"),
    ];
    assert_eq!((plan.delivery, shown), (Delivery::ByLayout, expected));
    assert!(plan.obstacles().is_empty());
}

#[test]
fn only_native_builds_on_different_nodes_run_at_the_same_time() {
    let mut machine = machine("remote", &["linux/amd64", "linux/riscv64"]);
    let builder = machine.builder.as_mut().unwrap();
    builder.nodes.push(BuilderNode { name: "other".into(), ..builder.nodes[0].clone() });
    builder.nodes[1].platforms = vec![platform("linux/arm64")];
    let names = ["linux/riscv64", "linux/arm64", "linux/amd64", "linux/386"];
    let recipe = DockerfileFacts { runs_on_target: true, lint: Vec::new() };
    let plan = RebuildPlan::make(request(&names, &[]), None, Scans::default(), &machine, recipe);
    let batches: Vec<Vec<String>> =
        plan.batches().iter().map(|batch| batch.iter().map(|one| one.platform.to_string()).collect()).collect();
    let expected: [&[&str]; 3] = [&["linux/arm64", "linux/amd64"], &["linux/riscv64"], &["linux/386"]];
    assert_eq!(batches, expected);
}

#[test]
fn emulation_is_an_obstacle_only_where_something_is_run() {
    let make = |node: &[&str], runs_on_target| {
        let recipe = DockerfileFacts { runs_on_target, lint: Vec::new() };
        RebuildPlan::make(
            request(&["linux/arm64"], &[]),
            None,
            Scans::default(),
            &machine("docker-container", node),
            recipe,
        )
    };
    let plan = make(&["linux/amd64"], true);
    assert_eq!((cost_of(&plan), plan.obstacles().len()), (&Cost::Impossible, 1));
    let plan = make(&["linux/amd64"], false);
    assert_eq!((cost_of(&plan), plan.obstacles().len()), (&Cost::CrossCompiled, 0));
    let plan = make(&["linux/amd64", "linux/arm64"], true);
    assert_eq!(cost_of(&plan), &Cost::Emulated { node: "n".into() });
    let plan = make(&["linux/arm64"], true);
    assert_eq!(cost_of(&plan), &Cost::Native { node: "n".into() });
}

#[test]
fn a_single_manifest_is_an_index_of_one() {
    let bytes = serde_json::json!({"schemaVersion": 2, "config": {"mediaType": "c", "digest": Digest::from_bytes(b"c").to_string(), "size": 1}, "layers": []}).to_string();
    let root = Descriptor::new("application/vnd.oci.image.manifest.v1+json", Digest::from_bytes(bytes.as_bytes()), 5);
    let single = Published::read(&root, bytes.as_bytes(), Some(&platform("linux/arm/v7"))).unwrap();
    let raw: serde_json::Value = serde_json::from_str(&single.entries[0].raw).unwrap();
    assert_eq!(raw["platform"], serde_json::json!({"os": "linux", "architecture": "arm", "variant": "v7"}));
    assert_eq!(raw["size"], bytes.len());
}

#[test]
fn the_classic_image_store_needs_another_builder() {
    let mut machine = machine("docker", &["linux/amd64"]);
    machine.daemon.as_mut().unwrap().store = ImageStore::Classic;
    let plan =
        RebuildPlan::make(request(&["linux/amd64"], &[]), None, Scans::default(), &machine, DockerfileFacts::default());
    let obstacles = plan.obstacles();
    assert_eq!((obstacles.len(), obstacles[0].subject.as_str()), (1, "builder"));
    assert!(obstacles[0].remedies[0].command.to_string().starts_with("docker buildx create --name imgarch"));
}

/// The platforms that make the next scan fail.
fn doubts(plan: &RebuildPlan) -> Vec<String> {
    plan.doubts().map(|(platform, doubt)| format!("{platform}: {doubt}")).collect()
}

#[test]
fn platforms_that_stay_broken_are_reported() {
    let broken = ["linux/amd64: still broken: its entrypoint is x86-64"];
    let named = check(
        request(&["linux/arm64"], &[]),
        BOTH,
        BOTH,
        (&["linux/amd64"], 1, &["linux/arm64: its entrypoint is x86-64"]),
    );
    assert_eq!(doubts(&named), broken);
    // A scan for one target skips the other platform. Another scan covers it.
    let of = |targets: &[&str], others: Option<&ImageReport>| {
        let asked = report(&["linux/arm64"], &["linux/arm64"]);
        let scans = Scans { asked: Some(&asked), others };
        let machine = machine("docker-container", &["linux/amd64"]);
        RebuildPlan::make(request(&[], targets), Some(published(BOTH)), scans, &machine, DockerfileFacts::default())
    };
    let plan = of(&["linux/arm64"], Some(&report(&["linux/amd64"], &["linux/amd64"])));
    assert_eq!((plan.build.len(), doubts(&plan)), (1, broken.map(String::from).to_vec()));
    assert!(doubts(&of(&["linux/arm64"], Some(&report(&["linux/amd64"], &[])))).is_empty());
    assert_eq!(doubts(&of(&["linux/arm64"], None)), ["linux/amd64: not scanned: no target runs it"]);
    // Without targets every platform is judged, so one that was not is unreadable.
    assert_eq!(doubts(&of(&[], None)), ["linux/amd64: it could not be read"]);
}

#[test]
fn a_platform_that_cannot_be_read_is_built_where_it_is_named() {
    let asked = report(&["linux/amd64"], &[]);
    let scans = Scans { asked: Some(&asked), others: None };
    let machine = machine("docker-container", &["linux/amd64"]);
    let make = |platforms| {
        RebuildPlan::make(request(platforms, &[]), Some(published(BOTH)), scans, &machine, DockerfileFacts::default())
    };
    assert_eq!(make(&["linux/arm64"]).build[0].reason, "it could not be read");
    assert!(make(&[]).is_done());
}

#[test]
fn a_supplied_image_replaces_its_platform() {
    let supply = |name: &str, digest: &str| Supply {
        platform: platform(name),
        name: "oci:x".into(),
        digest: Digest::from_bytes(digest.as_bytes()),
        descriptors: Vec::new(),
        place: SupplyPlace::Here,
    };
    let asked = report(BOTH, &["linux/arm64"]);
    let scans = Scans { asked: Some(&asked), others: None };
    // The first is in the index already.
    let supplies =
        vec![supply("linux/amd64", "linux/amd64"), supply("linux/arm64", "new"), supply("linux/s390x", "new too")];
    let plan = RebuildPlan::supplied(request(&[], &[]), Some(published(BOTH)), scans, supplies.clone());
    let build: Vec<String> = plan.build.iter().map(|build| format!("{}: {}", build.platform, build.reason)).collect();
    assert_eq!(build, ["linux/arm64: its entrypoint is x86-64", "linux/s390x: missing"]);
    assert_eq!((plan.staying.len(), plan.delivery, plan.obstacles().len()), (2, Delivery::Supplied, 0));
    let named = RebuildPlan::supplied(request(&["linux/s390x"], &[]), Some(published(BOTH)), scans, supplies);
    assert_eq!((named.build.len(), named.staying.len(), doubts(&named).len()), (1, 4, 1));
}
