//! The same trees as containers: the messages and exit codes of runc, crun and Docker Engine.

use std::os::unix::fs::PermissionsExt;

use imgarch::exec::messages::{Shown, messages};
use imgarch::platform::Capabilities;

use super::*;

/// Runs a tree as a container with an OCI runtime. Returns the exit code and stderr.
pub(super) fn contain(runtime: &str, tree: &Tree, granted: Capabilities) -> (i32, String) {
    let bundle = tempfile::tempdir().expect("a temporary directory");
    let root = bundle.path().join("rootfs");
    std::fs::create_dir(&root).expect("creating the root");
    for directory in ["proc", "dev", "sys"] {
        std::fs::create_dir(root.join(directory)).expect("creating a mount point");
    }
    tree.write(&root);
    let granted = granted.names();
    let uid: u32 = tree.user.split(':').next().and_then(|uid| uid.parse().ok()).unwrap_or(0);
    // The container's user must be able to enter the directory.
    std::fs::set_permissions(bundle.path(), std::fs::Permissions::from_mode(0o755)).expect("setting the mode");
    let config = serde_json::json!({
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": uid, "gid": uid},
            "args": tree.argv,
            "env": tree.exec().env,
            "cwd": tree.exec().working_dir,
            "capabilities": {"bounding": granted, "effective": granted, "permitted": granted},
        },
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
    });
    std::fs::write(bundle.path().join("config.json"), config.to_string()).expect("writing the config");
    let id = format!(
        "imgarch-{}-{}",
        std::process::id(),
        bundle.path().file_name().expect("a name").to_string_lossy().replace('.', "")
    );
    let state = bundle.path().join("state");
    // crun refuses a machine with both cgroup versions. A separate mount namespace shows it one.
    let crun = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec crun \"$@\"";
    let mut command = Command::new(if runtime == "crun" { "unshare" } else { runtime });
    if runtime == "crun" {
        command.args(["-m", "sh", "-c", crun, "crun", "--cgroup-manager", "disabled"]);
    }
    command.arg("--root").arg(&state);
    let output = command.args(["run", "--bundle"]).arg(bundle.path()).arg(&id).output().expect("a runtime starts");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Trees for which each runtime has its own message.
fn runtime_messages() -> Vec<(&'static str, Tree)> {
    let native = elf::ElfBuilder::amd64().build();
    let app = |bytes: &[u8]| Tree::call(&["/app"]).file("app", bytes);
    let mut incongruent = native.clone();
    elf::edit_phdr(&mut incongruent, 0, |load| load.vaddr += 0x10);
    vec![
        ("ENOEXEC", app(&elf::ElfBuilder::arm64().build())),
        ("ENOEXEC", app(b"echo\n")),
        ("ENOENT", app(b"#!/bin/sh\r\n").file("bin/sh", &native)),
        ("ENOENT", app(&elf::ElfBuilder::amd64().pie().interp("/lib/none").build())),
        (
            "ELIBBAD",
            app(&elf::ElfBuilder::amd64().pie().interp("/ld").build()).file("ld", elf::ElfBuilder::arm64().build()),
        ),
        ("EIO", app(&elf::ElfBuilder::amd64().pie().interp("/ld").build()).file("ld", "")),
        ("ELOOP", app(b"#!/app\n")),
        ("signal 11", app(&incongruent)),
        ("ENOENT", Tree::call(&["/none"]).file("app", &native)),
        ("ENOENT", Tree::call(&["none"]).file("app", &native)),
        ("EACCES", Tree::call(&["/app"]).mode("app", &native, 0o644)),
        ("EACCES", Tree::call(&["/app"]).directory("app")),
        ("EPERM", Tree::call(&["/app"]).capable("app", &native, &capability(1, SYS_ADMIN))),
        ("ENOEXEC", Tree::call(&["./app"]).working_dir("/srv").file("srv/app", elf::ElfBuilder::arm64().build())),
        ("ENOENT", Tree::call(&["./none"]).working_dir("/srv").directory("srv")),
        ("ENOENT", Tree::call(&["./app"]).working_dir("/none").file("app", &native)),
        ("ENOTDIR", app(&native).argv(&["/app/x"])),
        ("ELOOP", Tree::call(&["/app"]).link("app", "app")),
        ("ENAMETOOLONG", Tree::default().argv(&[&format!("/{}", "n".repeat(256))])),
        ("ENOENT", Tree::call(&["app"]).mode("bin/app", &native, 0o644)),
        ("ENOENT", Tree::call(&["app"]).directory("bin/app")),
        ("ENOENT", Tree::call(&["app"]).env(&["PATH="]).file("bin/app", &native)),
    ]
}

/// Calls that a user without capabilities may not make, but a container's first program with docker's capabilities may.
fn refused_to_users() -> Vec<(&'static str, Tree)> {
    let native = elf::ElfBuilder::amd64().build();
    vec![
        ("EACCES", Tree::call(&["/app"]).user("1000:1000").mode("app", &native, 0o750)),
        ("EACCES", Tree::call(&["/d/app"]).user("1000:1000").file("d/app", &native).closed("d", 0o700)),
        ("ENOENT", Tree::call(&["app"]).user("1000:1000").file("bin/app", &native).closed("bin", 0o700)),
    ]
}

/// Calls that runc refuses and crun accepts, or that fail before a program is looked up.
fn runc_refusals() -> Vec<(&'static str, Tree)> {
    let native = elf::ElfBuilder::amd64().build();
    vec![
        ("ENOENT", Tree::call(&["app"]).env(&["PATH=:/bin"]).file("app", &native)),
        ("ENOENT", Tree::call(&["app"]).env(&["PATH=bin"]).file("bin/app", &native)),
    ]
}

/// The rows of a runtime that apply to its version: "runc 1.1" and "runc 1.1 (Go before 1.20)".
fn rows<'s>(shown: &'s [Shown], runtime: &str, version: &str) -> Vec<&'s Shown> {
    let is_of_version = |row: &&Shown| row.frontend == runtime || row.frontend.starts_with(version);
    shown.iter().filter(is_of_version).collect()
}

fn check_runtime(runtime: &str, version: &str, (name, tree): &(&str, Tree), node: &Node) {
    let trace = judge(tree, node);
    assert_eq!(expected(&trace.outcome), *name, "{:?}", tree.argv);
    let shown = messages(&trace, &tree.exec());
    let (code, said) = contain(runtime, tree, node.bounding);
    let said = said.replace("\\\"", "\"");
    let rows = rows(&shown, runtime, version);
    let is_shown = rows.iter().any(|row| row.exit_code.map(i32::from) == Some(code) && said.contains(&row.text));
    assert!(is_shown, "{version} on {name} {:?}: {code} {said}, not {rows:#?}", tree.argv);
}

#[test]
fn runc_and_crun_messages_match_the_model() {
    let Some(node) = node("runtimes") else { return };
    if !has("runtimes", &[Need::Root, Need::MountNamespaces, Need::Runc, Need::Crun]) {
        return;
    }
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = text.split_whitespace().nth(2).expect("a version").to_string();
        let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    let runc = if version("runc") < (1, 2) { "runc 1.1" } else { "runc 1.2 and newer" };
    let crun = if version("crun") < (1, 21) { "crun 1.20 and older" } else { "crun 1.21 and newer" };
    for case in &runtime_messages() {
        check_runtime("runc", runc, case, &node);
        check_runtime("crun", crun, case, &node);
    }
    let bare = Node { bounding: Capabilities::default(), ..node.clone() };
    for case in &refused_to_users() {
        check_runtime("runc", runc, case, &bare);
        check_runtime("crun", crun, case, &bare);
        for runtime in ["runc", "crun"] {
            assert_eq!(contain(runtime, &case.1, node.bounding).0, 42, "{runtime} {:?}", case.1.argv);
        }
        assert_eq!(expected(&judge(&case.1, &node).outcome), "runs");
    }
    for case in &runc_refusals() {
        check_runtime("runc", runc, case, &node);
        assert_eq!(contain("crun", &case.1, node.bounding), (42, String::new()), "{:?}", case.1.argv);
    }
}

/// Containers lack SYS_RAWIO, so they cannot map addresses below vm.mmap_min_addr, which an image does not state.
#[test]
fn a_container_maps_no_low_addresses_unless_it_is_granted_them() {
    let Some(node) = node("low addresses") else { return };
    if !has("low addresses", &[Need::Root, Need::MountNamespaces, Need::Runc]) {
        return;
    }
    let least = std::fs::read_to_string("/proc/sys/vm/mmap_min_addr").expect("reading mmap_min_addr");
    let mut low = elf::ElfBuilder::amd64().build();
    let (entry, base) = (elf::entry(&low), elf::ElfBuilder::amd64().base());
    for index in 0..elf::phdrs(&low).len() {
        elf::edit_phdr(&mut low, index, |phdr| phdr.vaddr = phdr.vaddr.saturating_sub(base));
    }
    elf::set(&mut low, elf::Field::Entry, entry - base);
    let tree = Tree::call(&["/app"]).file("app", low);
    let everything = Node { bounding: Capabilities::all(), ..node.clone() };
    assert_eq!(expected(&judge(&tree, &everything).outcome), "runs");
    assert_eq!(contain("runc", &tree, Capabilities::parse("sys_rawio").expect("a capability")).0, 42);
    assert!(matches!(judge(&tree, &node).outcome, Outcome::Unknown { .. }));
    if least.trim() != "0" {
        assert_eq!(contain("runc", &tree, node.bounding).0, 139);
    }
}

/// Runs a tree with podman. Returns the exit code and stderr. podman's own directories are in `directory`.
pub(super) fn contain_by_podman(runtime: &str, tree: &Tree, directory: &std::path::Path) -> (i32, String) {
    let bundle = tempfile::tempdir().expect("a temporary directory");
    tree.write(bundle.path());
    // The container's user must be able to enter the directory.
    std::fs::set_permissions(bundle.path(), std::fs::Permissions::from_mode(0o755)).expect("setting the mode");
    // crun refuses a machine with both cgroup versions, and runc needs one.
    let setup = match runtime {
        "crun" => "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; set -- --cgroups=disabled \"$@\";",
        _ => "",
    };
    let script = format!(
        "{setup} exec podman --root \"$F/root\" --runroot \"$F/run\" --tmpdir \"$F/tmp\" --storage-driver vfs \
         --runtime {runtime} run --rm --network none --log-driver none \"$@\""
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, "sh"]);
    command.args(tree.env.iter().flat_map(|line| ["--env", line]));
    for (option, value) in [("--workdir", &tree.working_dir), ("--user", &tree.user)] {
        if !value.is_empty() {
            command.args([option, value]);
        }
    }
    command.arg("--rootfs").arg(bundle.path()).args(&tree.argv);
    command.env("F", directory).env("CONTAINERS_CONF", directory.join("containers.conf"));
    let output = command.output().expect("podman starts");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn podman_messages_match_the_model() {
    let Some(node) = node("podman") else { return };
    if !has("podman", &[Need::Root, Need::MountNamespaces, Need::Podman, Need::Crun, Need::Runc]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\nnetns = \"none\"\n\
                  [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
    std::fs::write(directory.path().join("containers.conf"), config).expect("writing the configuration");
    for (name, tree) in runtime_messages().iter().filter(|(_, tree)| tree.env.is_empty() && tree.working_dir.is_empty())
    {
        let shown = messages(&judge(tree, &node), &tree.exec());
        for (runtime, versions) in [("crun", "podman run (crun"), ("runc", "podman run (runc")] {
            let mut rows: Vec<&Shown> = shown.iter().filter(|row| row.frontend.starts_with(versions)).collect();
            // The row for a program that starts and then exits applies to both runtimes.
            if runtime == "crun" || rows.is_empty() {
                rows.extend(shown.iter().filter(|row| row.frontend == "podman run"));
            }
            let (code, said) = contain_by_podman(runtime, tree, directory.path());
            let said = said.replace("\\\"", "\"");
            let has_text = |row: &Shown| said.contains(row.text.split("\"time\"").next().expect("a first part"));
            let is_shown = rows.iter().any(|row| row.exit_code.map(i32::from) == Some(code) && has_text(row));
            assert!(is_shown, "podman with {runtime} on {name} {:?}: {code} {said}, not {rows:#?}", tree.argv);
        }
    }
}

#[test]
fn docker_messages_match_the_model() {
    let Some(node) = node("docker") else { return };
    let Some(engine) = engines::docker("docker", engines::Store::Classic) else { return };
    let mut trees = runtime_messages();
    trees.extend(runc_refusals());
    trees.extend(refused_to_users().into_iter().map(|(_, tree)| ("runs", tree)));
    for (number, (name, tree)) in trees.into_iter().enumerate() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        tree.write(directory.path());
        let archive = directory.path().with_extension("tar");
        engines::run(
            "tar",
            &[
                "--xattrs",
                "--xattrs-include=security.*",
                "-C",
                directory.path().to_str().expect("a path"),
                "-cf",
                archive.to_str().expect("a path"),
                ".",
            ],
        );
        let image = format!("imgarch-kernel-{number}");
        engine.docker(&["import", archive.to_str().expect("a path"), &image]);
        std::fs::remove_file(&archive).expect("an archive");
        let (env, working_dir) = (tree.env.join("\n"), tree.exec().working_dir);
        let mut arguments = vec!["run", "--rm", "--network=none", "-w", &working_dir];
        if !tree.env.is_empty() {
            arguments.extend(["-e", &env]);
        }
        if !tree.user.is_empty() {
            arguments.extend(["-u", &tree.user]);
        }
        arguments.push(&image);
        arguments.extend(tree.argv.iter().map(String::as_str));
        let output = engine.try_docker(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let trace = judge(&tree, &node);
        if name == "runs" {
            assert_eq!(
                (expected(&trace.outcome).as_str(), output.status.code()),
                ("runs", Some(42)),
                "{:?}",
                tree.argv
            );
            continue;
        }
        let shown = messages(&trace, &tree.exec());
        let runc_version = engine.docker(&["info", "--format", "{{.RuncCommit.ID}} {{.ServerVersion}}"]);
        let rows: Vec<_> = shown.iter().filter(|line| line.frontend.starts_with("docker run")).collect();
        let is_shown = rows.iter().any(|line| {
            output.status.code() == line.exit_code.map(i32::from) && said.replace("\\\"", "\"").contains(&line.text)
        });
        assert!(
            is_shown,
            "docker ({runc_version}) on {name} {:?}: {:?} {said}\nnot {rows:#?}",
            tree.argv,
            output.status.code()
        );
    }
}
