//! Measures many images and a large cluster, with a generated registry whose responses are delayed and a generated
//! cluster. Prints times, requests and memory next to their upper limits. Nothing is asserted.
//!
//! `cargo bench --bench fleet`

#![allow(dead_code, reason = "the doubles are those of the tests, which use more of them")]

#[path = "../tests/it/kit/elf/mod.rs"]
mod elf;
#[path = "../tests/it/kit/kube_api.rs"]
mod kube_api;
#[path = "../tests/it/kit/registry/mod.rs"]
mod registry;
#[path = "../tests/it/kit/small.rs"]
mod small;

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use elf::ElfBuilder;
use imgarch::kube::object::{NodeObject, read};
use imgarch::kube::workload::of_object;
use imgarch::kube::{Survey, Workload, nodes};
use kube_api::{KubeApi, State};
use registry::FakeRegistry;
use serde_json::{Value, json};
use small::Small;

const LATENCY: Duration = Duration::from_millis(50);
const IMAGES: usize = 200;
const WORKLOADS: usize = 3750;
const NODES: usize = 5000;
const PODS: usize = 9600;
const PODS_OF_A_DEPLOYMENT: usize = 24;
/// Number of deployments that run each image.
const DEPLOYMENTS_OF_AN_IMAGE: usize = 4;

fn main() -> io::Result<()> {
    println!("{:58} {:>10} {:>10}", "", "measured", "at most");
    images()?;
    placing();
    cluster()?;
    Ok(())
}

fn row(what: &str, measured: String, most: &str) {
    println!("{what:58} {measured:>10} {most:>10}");
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn mebibytes(kib: u64) -> String {
    format!("{:.0} MiB", kib as f64 / 1024.0)
}

/// The resources that a process used.
struct Run {
    took: Duration,
    processor: Duration,
    peak_kib: u64,
    code: Option<i32>,
}

/// Runs the program in `directory` without the environment of this machine.
fn run(directory: &Path, args: &[&str]) -> io::Result<Run> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
    command.args(args).current_dir(directory).env_clear().env("HOME", directory).env("PATH", "/usr/bin:/bin");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    let (mut code, mut usage) = (None, [0; 2]);
    while code.is_none() {
        // The peak so far. The peak from `wait4` would include the parent's.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak_kib = line.and_then(|number| number.parse().ok()).unwrap_or(0).max(peak_kib);
        usage = ticks(child.id()).unwrap_or(usage);
        code = child.try_wait()?;
        std::thread::sleep(Duration::from_millis(2));
    }
    let processor = Duration::from_millis(usage.iter().sum::<u64>() * 1000 / TICKS_A_SECOND);
    Ok(Run { took: started.elapsed(), processor, peak_kib, code: code.and_then(|status| status.code()) })
}

/// Source: proc_pid_stat(5): `utime` and `stime`.
const TICKS_A_SECOND: u64 = 100;

/// CPU time of a process in user mode and in the kernel.
fn ticks(id: u32) -> Option<[u64; 2]> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some([fields.next()?.parse().ok()?, fields.next()?.parse().ok()?])
}

/// A registry with `count` different images, and a file in `directory` that lists them.
fn registry_of(count: usize, directory: &Path) -> io::Result<FakeRegistry> {
    let registry = FakeRegistry::start();
    let mut names = String::new();
    for number in 0..count {
        let own = format!("image {number}\n").into_bytes();
        let layer = Small::new("amd64", ElfBuilder::amd64().build()).file("etc/number", 0o644, own).layer();
        let (repository, tag) = (format!("team/app{:03}", number / 4), format!("v{}", number % 4));
        registry.put_image(&repository, &tag, &layer);
        names += &format!("{}/{repository}:{tag}\n", registry.host);
    }
    std::fs::write(directory.join("images.txt"), names)?;
    Ok(registry)
}

fn images() -> io::Result<()> {
    const ARGS: [&str; 5] = ["scan", "--images-from", "images.txt", "--format", "plain"];
    let machine = tempfile::tempdir()?;
    let registry = registry_of(IMAGES, machine.path())?;
    registry.set_latency(LATENCY);
    let cold = run(machine.path(), &ARGS)?;
    let asked = registry.asked().len();
    let warm = run(machine.path(), &ARGS)?;
    let requests = (registry.asked().len() - asked) as f64 / IMAGES as f64;
    assert_eq!((cold.code, warm.code), (Some(0), Some(0)));
    let few = tempfile::tempdir()?;
    let _registry = registry_of(IMAGES / 8, few.path())?;
    let small = run(few.path(), &ARGS)?;
    let ms = LATENCY.as_millis();
    row(&format!("{IMAGES} images at {ms} ms, cold"), seconds(cold.took), "6 s");
    row(&format!("{IMAGES} images at {ms} ms, warm"), seconds(warm.took), "2 s");
    row("requests a warm image", format!("{requests:.2}"), "1");
    row("processor time, cold", seconds(cold.processor), "");
    row("memory, cold", mebibytes(cold.peak_kib), "96 MiB");
    row(&format!("memory, to that of {} images", IMAGES / 8), ratio(cold.peak_kib, small.peak_kib), "");
    Ok(())
}

fn ratio(one: u64, other: u64) -> String {
    format!("{:.2}", one as f64 / other.max(1) as f64)
}

const ZONES: usize = 3;
const POOLS: usize = 40;

fn node(number: usize) -> Value {
    let arch = if number.is_multiple_of(4) { "arm64" } else { "amd64" };
    let name = format!("node-{number}");
    let taints = match number % POOLS {
        0 => json!([{"key": "dedicated", "value": "batch", "effect": "NoSchedule"}]),
        _ => json!([]),
    };
    json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/arch": arch, "kubernetes.io/os": "linux", "kubernetes.io/hostname": name,
            "topology.kubernetes.io/zone": format!("zone-{}", number % ZONES), "pool": format!("pool-{}", number % POOLS),
        }},
        "spec": {"taints": taints},
        "status": {"nodeInfo": {
            "architecture": arch, "operatingSystem": "linux", "kernelVersion": format!("6.{}.0", number % 5),
            "osImage": "Bottlerocket OS 1.50", "containerRuntimeVersion": "containerd://2.1.4", "kubeletVersion": "v1.33.1",
        }},
    })
}

/// The node constraints of a template. There are many combinations, some of which are unique.
fn constraints(number: usize) -> Value {
    let term = |key: &str, values: Value| {
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": key, "operator": "In", "values": values}]}
        ]}}})
    };
    match number % 5 {
        0 => json!({}),
        1 => json!({"nodeSelector": {"pool": format!("pool-{}", number % POOLS)}}),
        2 => json!({"affinity": term("topology.kubernetes.io/zone", json!([format!("zone-{}", number % ZONES)]))}),
        3 => json!({"affinity": term("kubernetes.io/hostname", json!([format!("node-{number}")]))}),
        _ => json!({"nodeSelector": {"kubernetes.io/arch": "amd64"}, "tolerations": [{"operator": "Exists"}]}),
    }
}

fn deployment(number: usize, image: &str) -> Value {
    let mut spec = constraints(number);
    spec["containers"] = json!([container(number, image)]);
    json!({
        "kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {"name": format!("app{number}"), "namespace": format!("team-{}", number % 30)},
        "spec": {"replicas": 1, "template": {"spec": spec}},
    })
}

/// A container with the variables of its deployment.
fn container(number: usize, image: &str) -> Value {
    let env: Vec<Value> = (0..20)
        .map(|one| json!({"name": format!("VARIABLE_{one}"), "value": format!("value {one} of {number}")}))
        .collect();
    json!({"name": "app", "image": image, "args": ["serve"], "env": env})
}

/// Measures how long it takes to find the nodes of `workloads` templates among `count` nodes.
fn place(workloads: usize, count: usize) -> Duration {
    let objects: Vec<NodeObject> = (0..count).map(|number| read(node(number)).unwrap()).collect();
    let template = |number| of_object(&deployment(number, &format!("r.example/app{number}:v1"))).unwrap().unwrap();
    let templates: Vec<Workload> = (0..workloads).map(template).collect();
    let started = Instant::now();
    let nodes = nodes::group(&objects);
    let mut survey = Survey::default();
    for template in &templates {
        survey.add_workload(template, &objects, &nodes);
    }
    let uses = survey.uses();
    let took = started.elapsed();
    assert_eq!(uses.len(), workloads);
    took
}

fn placing() {
    let (half, all) = (place(WORKLOADS / 2, NODES / 2), place(WORKLOADS, NODES));
    row(&format!("{WORKLOADS} workloads x {NODES} nodes"), seconds(all), "2 s");
    row("the same, to half of both", format!("{:.1}", all.as_secs_f64() / half.as_secs_f64()), "");
}

/// A pod as an API server returns it, with fields that are not needed.
fn pod(number: usize, image: &str, digest: &str) -> Value {
    let owner = number / PODS_OF_A_DEPLOYMENT;
    let (name, namespace) = (format!("app{owner}-7c9d4f5b6-{number}"), format!("team-{}", owner % 30));
    let state = match (owner % 20, number % 2) {
        (0, 0) => {
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}})
        }
        _ => json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}),
    };
    let managed: Value = (0..60).map(|field| (format!("f:field{field}"), json!({"f:of": {}}))).collect();
    json!({
        "metadata": {
            "name": name, "namespace": namespace, "uid": format!("{number:036}"),
            "labels": {"app": format!("app{owner}"), "pod-template-hash": "7c9d4f5b6"},
            "annotations": {"checksum/config": "0".repeat(64)},
            "ownerReferences": [{"kind": "ReplicaSet", "name": format!("app{owner}-7c9d4f5b6")}],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": managed}],
        },
        "spec": {"nodeName": format!("node-{}", number % 100), "containers": [container(owner, image)]},
        "status": {"phase": "Running", "containerStatuses": [{
            "name": "app", "image": image, "imageID": digest, "ready": state["running"].is_object(), "state": state,
        }]},
    })
}

/// A cluster of `pods` pods on a hundred nodes, whose images are in `registry`.
fn cluster_of(pods: usize, registry: &FakeRegistry) -> State {
    let image = |deployment: usize| {
        let number = deployment / DEPLOYMENTS_OF_AN_IMAGE;
        let layer =
            Small::new("amd64", ElfBuilder::amd64().build()).file("n", 0o644, number.to_string().into()).layer();
        let stored = registry.put_image(&format!("team/app{number}"), "v1", &layer);
        let name = format!("{}/team/app{number}", registry.host);
        (format!("{name}:v1"), format!("{name}@{}", stored.digest))
    };
    let images: Vec<(String, String)> = (0..pods.div_ceil(PODS_OF_A_DEPLOYMENT)).map(image).collect();
    let pod = |number: usize| {
        let (image, digest) = &images[number / PODS_OF_A_DEPLOYMENT];
        pod(number, image, digest)
    };
    let deployments = images.iter().enumerate().map(|(number, (image, _))| deployment(number, image)).collect();
    let empty =
        ["/apis/apps/v1/statefulsets", "/apis/apps/v1/daemonsets", "/apis/batch/v1/cronjobs", "/apis/batch/v1/jobs"];
    let mut state = State { page: 500, ..State::default() };
    state.objects.extend(empty.map(|list| (list.to_string(), Vec::new())));
    state.objects.insert("/api/v1/nodes".to_string(), (0..100).map(node).collect());
    state.objects.insert("/api/v1/pods".to_string(), (0..pods).map(pod).collect());
    state.objects.insert("/apis/apps/v1/deployments".to_string(), deployments);
    state
}

/// Runs `imgarch cluster` twice, with a cold and a warm cache.
fn judge(pods: usize) -> io::Result<(Run, Run)> {
    let (machine, registry) = (tempfile::tempdir()?, FakeRegistry::start());
    let api = KubeApi::start(cluster_of(pods, &registry));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": api.url}}], "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    });
    std::fs::write(machine.path().join("config"), config.to_string())?;
    let args = ["cluster", "--kubeconfig", "config"];
    let (cold, warm) = (run(machine.path(), &args)?, run(machine.path(), &args)?);
    assert_eq!((cold.code, warm.code), (Some(1), Some(1)));
    Ok((cold, warm))
}

fn cluster() -> io::Result<()> {
    let (_, few) = judge(PODS / 4)?;
    let (cold, warm) = judge(PODS)?;
    let a_pod = (warm.peak_kib.saturating_sub(few.peak_kib) * 1024) / (PODS - PODS / 4) as u64;
    row(&format!("cluster of {PODS} pods, cold"), seconds(cold.took), "");
    row(&format!("cluster of {PODS} pods, warm"), seconds(warm.took), "");
    row("processor time, warm", seconds(warm.processor), "3 s");
    row(&format!("processor time, to that of {} pods", PODS / 4), ratio(millis(&warm), millis(&few)), "");
    row("memory, warm", mebibytes(warm.peak_kib), "");
    row("memory a pod more", format!("{:.1} KiB", a_pod as f64 / 1024.0), "10 KiB");
    Ok(())
}

fn millis(run: &Run) -> u64 {
    run.processor.as_millis() as u64
}
