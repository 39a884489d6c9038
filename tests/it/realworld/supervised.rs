//! Services of supervisors, init systems and schedulers: each image and its faults is started in a chroot, and its
//! program must be started exactly if imgarch finds no error. The groups are the table of services in
//! docs/real-images.md.
//!
//!     IMGARCH_ENGINES=1 IMGARCH_REALWORLD=services cargo test --test it services -- --nocapture

mod inits;
mod runit;
mod s6;
mod schedulers;
mod scripts;
mod servers;
mod supervisord;
mod systemd;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::chroot::Chroot;
use super::expected::{Tree, amd64};
use super::faults::{Bytes, Put};
use super::{image, scan, trees};
use crate::kit::machine::{self, Need};

/// A service and its faults.
struct Service {
    name: &'static str,
    files: &'static [(&'static str, Content)],
    call: &'static [&'static str],
    /// The path of the program that the service starts. Empty if the faults are in other files.
    program: &'static str,
    env: &'static [&'static str],
    working_dir: &'static str,
    /// Faults other than a program for another architecture, each with the files that differ.
    faults: &'static [(&'static str, &'static [(&'static str, Content)])],
    /// False if its manager is not in Debian or cannot run in a chroot. Its sources or documentation say what happens.
    is_run: bool,
    /// A server that runs without starting a program: part of what it prints with a fault.
    prints: &'static str,
}

/// The content of a file.
#[derive(Clone, Copy)]
enum Content {
    /// A text with mode 0755.
    Script(&'static str),
    /// A text with mode 0644.
    Settings(&'static str),
    /// A text with mode 0600.
    Secret(&'static str),
    Link(&'static str),
    /// A program that records that it ran.
    Program,
    /// The same for another architecture.
    Foreign,
    /// A file of the tree for another architecture.
    ForeignOf(&'static str),
    Gone,
}

/// Services of one kind of manager: a row of the table.
struct Group {
    name: &'static str,
    services: &'static [Service],
}

/// The defaults of a row.
const SERVICE: Service = Service {
    name: "",
    files: &[],
    call: &[],
    program: "srv/app/svc",
    env: &[],
    working_dir: "/",
    faults: &[],
    is_run: true,
    prints: "",
};

const PACKAGES: &[&str] = &[
    "s6",
    "execline",
    "runit",
    "supervisor",
    "cron",
    "openrc",
    "monit",
    "tini",
    "dumb-init",
    "catatonit",
    "gosu",
    "nginx-light",
    "libnginx-mod-http-echo",
    "apache2",
    "php-fpm",
    "ruby-foreman",
    "daemontools",
    "wait-for-it",
    "busybox",
    "perl",
];
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/sh\nabc:x:911:911::/:/bin/sh\n";
const PAM: &str = "auth sufficient pam_permit.so\naccount sufficient pam_permit.so\nsession optional pam_permit.so\n";
/// Creates `/mark/ran`.
const MARK: &str = "int creat(const char *, unsigned); int close(int); int main(void) { close(creat(\"/mark/ran\", 0666)); \
    return 0; }";
const TREE: Tree = Tree {
    // Files that the packages create when they are configured.
    made: &[
        Put::File("usr/lib/mark", 0o755, Bytes::CompiledProgram(MARK, &[])),
        Put::File("etc/passwd", 0o644, Bytes::Text(PASSWD)),
        Put::File("etc/group", 0o644, Bytes::Text("root:x:0:\nnogroup:x:65534:\nabc:x:911:\n")),
        Put::File("etc/pam.d/cron", 0o644, Bytes::Text(PAM)),
        Put::File("etc/pam.d/other", 0o644, Bytes::Text(PAM)),
        // Without it, glibc's getgrent reports ENOENT.
        Put::File("etc/nsswitch.conf", 0o644, Bytes::Text("passwd: files\ngroup: files\nshadow: files\n")),
        Put::Link("usr/bin/awk", "mawk"),
    ],
    ..amd64("services", PACKAGES, "/bin/sh")
};

/// Time for a healthy service to start. A broken one gets three times what its twin took, within these bounds. A
/// scheduler starts its programs at the next full minute.
const PATIENCE: Duration = Duration::from_secs(90);
const LEAST: Duration = Duration::from_secs(3);
const MOST: Duration = Duration::from_secs(70);
/// Images between two lines of progress.
const PROGRESS: usize = 20;
const WORKERS: usize = 8;

fn groups() -> impl Iterator<Item = &'static Group> {
    let all: [&'static [Group]; 8] = [
        supervisord::GROUPS,
        s6::GROUPS,
        runit::GROUPS,
        inits::GROUPS,
        servers::GROUPS,
        scripts::GROUPS,
        schedulers::GROUPS,
        systemd::GROUPS,
    ];
    all.into_iter().flatten()
}

/// An image of a service: the healthy one, or one with a fault.
struct Variant {
    service: &'static Service,
    /// `None`: healthy.
    fault: Option<&'static str>,
    files: Vec<(&'static str, Content)>,
}

impl Service {
    fn variants(&'static self) -> Vec<Variant> {
        let with = |fault: Option<&'static str>, own: &[(&'static str, Content)]| {
            let mut files: Vec<(&'static str, Content)> = self.files.to_vec();
            if !self.program.is_empty() && !files.iter().any(|(path, _)| *path == self.program) {
                files.push((self.program, Content::Program));
            }
            for (path, content) in own {
                files.retain(|(other, _)| other != path);
                files.push((*path, *content));
            }
            Variant { service: self, fault, files }
        };
        let foreign =
            (!self.program.is_empty()).then(|| with(Some("another architecture"), &[(self.program, Content::Foreign)]));
        let faults = self.faults.iter().map(|(fault, own)| with(Some(fault), own));
        std::iter::once(with(None, &[])).chain(foreign).chain(faults).collect()
    }
}

fn put((path, content): &(&'static str, Content)) -> Put {
    match *content {
        Content::Script(text) => Put::File(path, 0o755, Bytes::Text(text)),
        Content::Settings(text) => Put::File(path, 0o644, Bytes::Text(text)),
        Content::Secret(text) => Put::File(path, 0o600, Bytes::Text(text)),
        Content::Link(target) => Put::Link(path, target),
        Content::Program => Put::File(path, 0o755, Bytes::Native("usr/lib/mark")),
        Content::Foreign => Put::File(path, 0o755, Bytes::Foreign("usr/lib/mark")),
        Content::ForeignOf(source) => Put::File(path, 0o755, Bytes::Foreign(source)),
        Content::Gone => Put::Gone(path),
    }
}

/// The table in docs/real-images.md.
fn table() -> String {
    let mut text = "| manager and its services | images | healthy | with a fault | executed |\n|---|---|---|---|---|\n"
        .to_string();
    for group in groups() {
        let names: Vec<&str> = group.services.iter().map(|service| service.name).collect();
        let images = |service: &'static Service| service.variants().len();
        let all: usize = group.services.iter().map(images).sum();
        let executed: usize = group.services.iter().filter(|service| service.is_run).map(images).sum();
        let (healthy, names) = (group.services.len(), names.join(", "));
        text += &format!("| {}: {names} | {all} | {healthy} | {} | {executed} |\n", group.name, all - healthy);
    }
    text
}

#[test]
fn the_documentation_has_the_table_of_services() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/real-images.md");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&table()), "docs/real-images.md should contain:\n{}", table());
}

/// Starts an image in a chroot. Returns how long it took until its program ran, or what was printed instead.
fn run(directory: &Path, root: &Path, variant: &Variant, patience: Duration) -> Result<Duration, String> {
    let service = variant.service;
    let chroot = Chroot::new(directory, root, &TREE, &variant.files.iter().map(put).collect::<Vec<_>>());
    let upper = chroot.upper();
    std::fs::create_dir_all(upper.join("mark")).unwrap();
    std::fs::set_permissions(upper.join("mark"), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let printed = tempfile::NamedTempFile::new_in(directory).unwrap();
    let output = printed.reopen().unwrap();
    let mut command = chroot.command(service.env, service.working_dir, service.call);
    command.stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let has_run = || upper.join("mark/ran").exists();
    let is_server = service.program.is_empty() && !service.files.iter().any(|(_, own)| matches!(own, Content::Program));
    let (mut ran, mut is_over) = (false, false);
    while !ran && !is_over && start.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(50));
        is_over = child.try_wait().unwrap().is_some();
        // A server runs if it has not ended after a while.
        ran = has_run() || is_server && !is_over && start.elapsed() > LEAST;
    }
    let _ = child.kill();
    child.wait().unwrap();
    let printed = String::from_utf8_lossy(&std::fs::read(printed.path()).unwrap()).into_owned();
    if ran { Ok(start.elapsed()) } else { Err(printed) }
}

/// What to start, and for how long it may take to run its program.
struct Start {
    service: usize,
    variant: Variant,
    patience: Duration,
}

/// Starts images in parallel. Returns the result of each.
fn run_all(directory: &Path, root: &Path, starts: Vec<Start>) -> Vec<(Start, Result<Duration, String>)> {
    let done = Progress { what: "started", of: starts.len(), count: AtomicUsize::new(0) };
    let next = Mutex::new(starts.into_iter());
    let work = || {
        let mut results = Vec::new();
        loop {
            let Some(start) = next.lock().unwrap().next() else { return results };
            let result = run(directory, root, &start.variant, start.patience);
            results.push((start, result));
            done.add();
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// Runs every service that can run here and its variants. Returns where they differ from what is expected.
fn executed(directory: &Path, root: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut blame = |variant: &Variant, result: &Result<Duration, String>| {
        wrong.push(format!("{}: fault: {:?}, result: {result:?}", variant.service.name, variant.fault));
    };
    let services: Vec<&Service> = groups().flat_map(|group| group.services).filter(|service| service.is_run).collect();
    let (mut healthy, mut faulty) = (Vec::new(), Vec::new());
    for (service, row) in services.iter().enumerate() {
        for variant in row.variants() {
            let starts = if variant.fault.is_none() { &mut healthy } else { &mut faulty };
            starts.push(Start { service, variant, patience: PATIENCE });
        }
    }
    let mut patience = vec![LEAST; services.len()];
    for (start, result) in run_all(directory, root, healthy) {
        match result {
            Ok(took) => patience[start.service] = (took * 3).clamp(LEAST, MOST),
            Err(_) => blame(&start.variant, &result),
        }
    }
    faulty.iter_mut().for_each(|start| start.patience = patience[start.service]);
    // Those that take longest go first.
    faulty.sort_by_key(|start| std::cmp::Reverse(start.patience));
    for (start, result) in run_all(directory, root, faulty) {
        match &result {
            Err(printed) if printed.contains(start.variant.service.prints) => {}
            _ => blame(&start.variant, &result),
        }
    }
    wrong
}

/// Writes a line to stderr for every few images, even if the output of tests is captured.
struct Progress {
    what: &'static str,
    of: usize,
    count: AtomicUsize,
}

impl Progress {
    fn add(&self) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(PROGRESS) || count == self.of {
            let _ = writeln!(std::io::stderr(), "services: {count} of {} images {}", self.of, self.what);
        }
    }
}

/// Scans every service and its variants. Returns where the findings differ from what is expected.
fn scanned(directory: &Path, root: &Path) -> Vec<String> {
    let image = image::Image::pack(&TREE, root);
    let cache = directory.join("cache");
    let variants: Vec<Variant> = groups().flat_map(|group| group.services).flat_map(Service::variants).collect();
    let done = Progress { what: "scanned", of: variants.len(), count: AtomicUsize::new(0) };
    let mut wrong = Vec::new();
    for variant in variants {
        let service = variant.service;
        let puts: Vec<Put> = variant.files.iter().map(put).collect();
        let config = json!({"Entrypoint": service.call, "Env": service.env, "WorkingDir": service.working_dir});
        let found = scan(&cache, image.with_config(&puts.iter().collect::<Vec<_>>(), config));
        let is_right = if variant.fault.is_some() { found.has_error } else { found.loud.is_empty() };
        if !is_right {
            wrong.push(format!("{}: fault: {:?}, found {:?}", service.name, variant.fault, found.loud));
        }
        done.add();
    }
    wrong
}

#[test]
fn services_start_unless_an_error_is_found() {
    let is_wanted = matches!(std::env::var("IMGARCH_REALWORLD").as_deref(), Ok("all" | "services"));
    let needs = [Need::Root, Need::Mmdebstrap, Need::PackageMirror, Need::Compiler, Need::X86_64];
    if !is_wanted || !machine::has("services_start_unless", &needs) {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let directory = std::env::var_os("IMGARCH_REALWORLD_DIR").map_or(temporary.path().to_path_buf(), Into::into);
    let root = trees::build(&directory, &TREE);
    let wrong = std::thread::scope(|scope| {
        let run = scope.spawn(|| executed(&directory, &root));
        let mut wrong = scanned(&directory, &root);
        wrong.extend(run.join().unwrap());
        wrong
    });
    println!("{}", table());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
