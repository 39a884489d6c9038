//! The kernel's part, on trees built in code: cases in addition to the eight kernels' table (tests/it/oracle.rs).

use std::sync::Arc;

use super::*;
use crate::image::{Contents, EntryKind, LayerMember, merge};
use crate::inspect::elf_builder::ElfBuilder;
use crate::inspect::inspect;
use crate::platform::{Arch, Handler, HandlerRule};

/// Files by path, mode and bytes, all owned by root.
pub(crate) fn tree(files: &[(&str, u16, &[u8])]) -> RootFs<FileKind> {
    merge([layer(files)])
}

pub(crate) fn layer(files: &[(&str, u16, &[u8])]) -> Arc<Contents<FileKind>> {
    let mut contents = Contents::default();
    for (path, mode, bytes) in files {
        let path = path.as_bytes();
        let kind = inspect(path, bytes.len() as u64, mode & 0o111 != 0, &mut &bytes[..]);
        let size = bytes.len() as u64;
        contents.push(&LayerMember { size, ..LayerMember::plain(path, EntryKind::File, *mode) }, Some(kind));
    }
    Arc::new(contents)
}

pub(crate) fn call(words: &[&str]) -> Exec {
    let argv = words.iter().map(|word| word.to_string()).collect();
    Exec { argv, env: Vec::new(), working_dir: "/".to_string(), ..Exec::default() }
}

fn check(files: &[(&str, u16, &[u8])], words: &[&str], node: &Node, expected: &str) {
    let outcome = execve(&tree(files), &call(words), node);
    assert_eq!(short(&outcome), expected, "{outcome:?}");
}

/// "ENOEXEC foreign-architecture", "signal 11 page-size", "runs".
pub(crate) fn short(outcome: &Outcome) -> String {
    let code = outcome.cause().map_or("", |cause| cause.code());
    match outcome {
        Outcome::Fails { errno, .. } => format!("{errno} {code}"),
        Outcome::Dies { death: crate::exec::Death::Signal(number), .. } => format!("signal {number} {code}"),
        Outcome::Dies { death: crate::exec::Death::AnyOf { usual, .. }, .. } => format!("signal {usual} {code}"),
        Outcome::Dies { death: crate::exec::Death::Exit(number), .. } => format!("exit {number} {code}"),
        Outcome::Unknown { .. } => format!("unknown {code}"),
        Outcome::Emulated { by } => format!("emulated by {by}"),
        Outcome::Runs => "runs".to_string(),
    }
}

#[test]
fn an_unknown_property_matters_only_if_the_outcome_depends_on_it() {
    let node = Node::plain(Arch::Arm64);
    check(&[("app", 0o755, &ElfBuilder::arm64().build())], &["/app"], &node, "runs");
    check(&[("app", 0o755, &ElfBuilder::amd64().build())], &["/app"], &node, "ENOEXEC foreign-architecture");
    check(&[("app", 0o755, &ElfBuilder::arm().build())], &["/app"], &node, "unknown node-unknown");
    let broken = ElfBuilder::arm().interp("/lib/none").build();
    check(&[("app", 0o755, &broken)], &["/app"], &Node { aarch32: Fact::Known(true), ..node }, "ENOENT missing-loader");
}

#[test]
fn an_unknown_page_size_is_only_a_doubt() {
    let small = ElfBuilder { align: 0x1000, ..ElfBuilder::arm64().go("go1.22", &[]) }.build();
    let trace = trace(&tree(&[("app", 0o755, &small)]), &call(&["/app"]), &Node::plain(Arch::Arm64));
    assert_eq!(trace.outcome, Outcome::Runs);
    assert_eq!(trace.doubts.iter().map(|doubt| doubt.code()).collect::<Vec<_>>(), ["page-size"]);
    let large = Node { page_size: Fact::Known(65536), ..Node::plain(Arch::Arm64) };
    check(&[("app", 0o755, &small)], &["/app"], &large, "signal 11 page-size");
}

#[test]
fn the_path_is_searched_as_the_containers_user() {
    let app = ElfBuilder::amd64().build();
    let node = Node::plain(Arch::Amd64);
    check(&[("usr/bin/app", 0o755, &app)], &["app"], &node, "runs");
    check(&[("opt/app", 0o755, &app)], &["app"], &node, "ENOENT not-in-path");
    check(&[("usr/bin/app", 0o644, &app), ("bin/app", 0o755, &app)], &["app"], &node, "runs");
    check(&[("usr/bin/app", 0o644, &app)], &["app"], &node, "ENOENT not-in-path");
    check(&[], &["/app"], &node, "ENOENT missing-program");
    check(&[], &[], &node, "ENOENT no-command");
    check(&[], &[""], &node, "ENOENT not-in-path");
    // Docker and podman start the second word. Containerd starts nothing.
    check(&[("app", 0o755, &app)], &["", "/app"], &node, "unknown empty-entrypoint");
    let bare = Node { bounding: crate::platform::Capabilities::default(), ..node.clone() };
    let as_user = |user: &str| {
        let files: &[(&str, u16, &[u8])] =
            &[("app", 0o750, &app), ("etc/passwd", 0o644, b"me:x:7:0::/:/bin/sh\nyou:x:8:9::/:\n")];
        let call = Exec { user: user.to_string(), ..call(&["/app"]) };
        let with_override = trace(&tree(files), &call, &node);
        let doubts = with_override.doubts.len();
        (short(&execve(&tree(files), &call, &bare)), short(&with_override.outcome), doubts)
    };
    let (runs, refused) = ("runs".to_string(), "EACCES not-executable".to_string());
    assert_eq!(as_user("me"), (runs.clone(), runs.clone(), 0));
    // Docker and containerd let the first program keep CAP_DAC_OVERRIDE, regardless of its user.
    assert_eq!(as_user("you"), (refused.clone(), runs.clone(), 1));
    assert_eq!(as_user("1000:0"), (runs.clone(), runs.clone(), 0));
    assert_eq!(as_user("1000:1000"), (refused, runs, 1));
    let unknown = "ENOENT unknown-user".to_string();
    assert_eq!(as_user("nobody"), (unknown.clone(), unknown, 0));
}

#[test]
fn a_process_has_its_pods_groups() {
    let app = ElfBuilder::amd64().build();
    let node = Node { bounding: Capabilities::default(), ..Node::plain(Arch::Amd64) };
    let tree = tree(&[("app", 0o750, &app)]);
    let with = |groups: &[u32]| {
        let call = Exec { user: "1000:1000".to_string(), groups: groups.to_vec(), ..call(&["/app"]) };
        short(&execve(&tree, &call, &node))
    };
    assert_eq!((with(&[5]), with(&[5, 0])), ("EACCES not-executable".to_string(), "runs".to_string()));
}

#[test]
fn a_call_that_the_kubelet_refuses_is_not_followed() {
    let refused = RootRefusal::ImageNamesUser("web".to_string());
    let call = Exec { user: "web".to_string(), refused: Some(refused), ..call(&["/none"]) };
    let node = Node::plain(Arch::Amd64);
    let trace = trace(&tree(&[]), &call, &node);
    assert_eq!(short(&trace.outcome), "EPERM root-refused");
    let shown = messages::messages(&trace, &call);
    assert_eq!(shown.len(), 1);
    assert_eq!(
        (shown[0].frontend.as_ref(), shown[0].text.as_str()),
        (
            "kubelet: CreateContainerConfigError",
            "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root"
        )
    );
}

#[test]
fn a_user_without_a_table_is_refused_as_one_without_an_entry() {
    let app = ElfBuilder::amd64().build();
    let with = |extra: &[(&str, u16, &[u8])], user: &str| {
        let call = Exec { user: user.to_string(), ..call(&["/app"]) };
        let files = [&[("app", 0o755, app.as_slice())], extra].concat();
        let outcome = execve(&tree(&files), &call, &Node::plain(Arch::Amd64));
        outcome.cause().map_or("runs".to_string(), |cause| format!("{}: {}", cause.code(), cause.text))
    };
    let user = |name: &str| format!("unknown-user: unable to find user {name}: no matching entries in passwd file");
    let group = |name: &str| format!("unknown-user: unable to find group {name}: no matching entries in group file");
    let range = "unknown-user: uids and gids must be in range 0-2147483647";
    assert_eq!(with(&[], "nonroot"), user("nonroot"));
    assert_eq!(with(&[], "root"), user("root"));
    assert_eq!(with(&[("etc/passwd", 0o644, b"")], "root"), user("root"));
    assert_eq!(with(&[("etc/passwd", 0o644, b"root:x:0:0:::\n")], "root"), "runs");
    assert_eq!(with(&[], "1000:staff"), group("staff"));
    assert_eq!(with(&[], "0:staff"), group("staff"));
    assert_eq!(with(&[("etc/group", 0o644, b"staff:x:50:\n")], "1000:staff"), "runs");
    assert_eq!(with(&[], "2147483647:2147483647"), "runs");
    for beyond in ["2147483648", "4000000000", "-1", "0:2147483648"] {
        assert_eq!(with(&[], beyond), range, "{beyond}");
    }
    // A number in the table is used unchanged, and a name may be in the part of a long table that was not kept.
    assert_eq!(with(&[("etc/passwd", 0o644, b"me:x:4000000000:0:::\n")], "me"), "runs");
    let long = "x:x:1:1:::\n".repeat(10_000);
    assert_eq!(with(&[("etc/passwd", 0o644, long.as_bytes())], "me"), "runs");
}

/// A tree of executable files, with symlinks from one path to another.
pub(crate) fn linked_to(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> RootFs<FileKind> {
    let mut contents = Contents::default();
    for (path, bytes) in files {
        let kind = inspect(path.as_bytes(), bytes.len() as u64, true, &mut &bytes[..]);
        let plain = LayerMember::plain(path.as_bytes(), EntryKind::File, 0o755);
        contents.push(&LayerMember { size: bytes.len() as u64, ..plain }, Some(kind));
    }
    for (path, target) in links {
        contents.push(&LayerMember::plain(path.as_bytes(), EntryKind::Symlink(target.as_bytes()), 0o777), None);
    }
    merge([Arc::new(contents)])
}

/// A tree of programs, with symlinks from one path to another.
fn linked(programs: &[&str], links: &[(&str, &str)]) -> RootFs<FileKind> {
    let app = ElfBuilder::amd64().build();
    let mut contents = Contents::default();
    for path in programs {
        let kind = inspect(path.as_bytes(), app.len() as u64, true, &mut &app[..]);
        let plain = LayerMember::plain(path.as_bytes(), EntryKind::File, 0o755);
        contents.push(&LayerMember { size: app.len() as u64, ..plain }, Some(kind));
    }
    for (path, target) in links {
        let kind = EntryKind::Symlink(target.as_bytes());
        contents.push(&LayerMember::plain(path.as_bytes(), kind, 0o777), None);
    }
    merge([Arc::new(contents)])
}

#[test]
fn a_missing_working_directory_is_created() {
    let rootfs = linked(
        &["app", "bin/app", "real/x"],
        &[("w", "/nope"), ("to", "real"), ("round", "round"), ("up", "nope/below")],
    );
    let from = |working_dir: &str, program: &str| {
        let call = Exec { working_dir: working_dir.to_string(), ..call(&[program]) };
        short(&execve(&rootfs, &call, &Node::plain(Arch::Amd64)))
    };
    for (working_dir, program) in [
        ("/work", "../bin/app"),
        ("/a/b/../c", "./../../app"),
        ("/to/new", "../../app"),
        ("/real", "./x"),
        ("", "./app"),
    ] {
        assert_eq!(from(working_dir, program), "runs", "{working_dir} {program}");
    }
    assert_eq!(from("/to/new", "../x"), "runs");
    for (working_dir, program) in [("/work", "./app"), ("/work", "../work/app"), ("/a/b", "../app")] {
        assert_eq!(from(working_dir, program), "ENOENT missing-program", "{working_dir} {program}");
    }
    assert_eq!(from("srv", "/app"), "EINVAL relative-working-dir");
    assert_eq!(from("/app/x", "/app"), "ENOTDIR bad-working-dir");
    assert_eq!(from("/round/x", "/app"), "ELOOP bad-working-dir");
    // Docker creates the link's target. Other engines fail.
    for working_dir in ["/w", "/w/x", "/up/x"] {
        assert_eq!(from(working_dir, "/app"), "unknown bad-working-dir", "{working_dir}");
    }
}

#[test]
fn files_that_engines_mount_over_are_missing() {
    let files = ["dev/shm/app", "proc/app", "sys/app", "device/app", "lib/x"];
    let rootfs = linked(&files, &[("app", "dev/shm/app"), ("x", "/dev/../lib/x")]);
    let at = |words: &[&str], path: &str| {
        let call = Exec { env: vec![format!("PATH={path}")], ..call(words) };
        short(&execve(&rootfs, &call, &Node::plain(Arch::Amd64)))
    };
    for hidden in ["/dev/shm/app", "/proc/app", "/sys/app", "/app", "/lib/../dev/shm/app"] {
        assert_eq!(at(&[hidden], ""), "ENOENT mounted-over", "{hidden}");
    }
    assert_eq!(at(&["app"], "/dev/shm"), "ENOENT not-in-path");
    assert_eq!(at(&["app"], "/dev/shm:/device"), "runs");
    for there in ["/device/app", "/lib/x", "/x"] {
        assert_eq!(at(&[there], ""), "runs", "{there}");
    }
    assert_eq!(at(&["/dev/none"], ""), "ENOENT missing-program");
}

fn qemu(fixed: bool, interpreter: &str) -> Handler {
    let magic = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 9], &[2, 0, 183, 0]].concat();
    let mask = [[0xff; 7].as_slice(), &[0], &[0xff; 8], &[0xfe, 0xff, 0xff, 0xff]].concat();
    Handler {
        name: "qemu-aarch64".to_string(),
        rule: HandlerRule::Magic { offset: 0, magic, mask },
        interpreter: interpreter.to_string(),
        fixed,
        preserve_argv0: false,
        open_binary: false,
        credentials: false,
        is_static: Fact::Unknown,
    }
}

#[test]
fn a_handler_runs_files_that_it_matches_and_a_fixed_one_needs_nothing_in_the_image() {
    let (arm64, amd64) = (ElfBuilder::arm64().build(), ElfBuilder::amd64().build());
    let with = |handlers: Vec<Handler>| Node { handlers, ..Node::plain(Arch::Amd64) };
    let node = with(vec![qemu(true, "/usr/bin/qemu")]);
    check(&[("app", 0o755, &arm64)], &["/app"], &node, "emulated by qemu-aarch64");
    check(&[("app", 0o755, &amd64)], &["/app"], &node, "runs");
    let loose = with(vec![qemu(false, "/usr/bin/qemu")]);
    check(&[("app", 0o755, &arm64)], &["/app"], &loose, "ENOENT missing-handler-interpreter");
    check(&[("app", 0o755, &arm64), ("usr/bin/qemu", 0o755, &amd64)], &["/app"], &loose, "runs");
    // The handler's interpreter matches the handler itself, in an endless loop.
    check(&[("app", 0o755, &arm64), ("usr/bin/qemu", 0o755, &arm64)], &["/app"], &loose, "ELOOP too-many-interpreters");
}

/// With the flag P, the interpreter's arguments are the file, the program's own name and its arguments, and without it
/// the name is missing. Source: Documentation/admin-guide/binfmt-misc.rst.
#[test]
fn a_handler_that_preserves_the_programs_name_passes_one_more_argument() {
    let (arm64, amd64) = (ElfBuilder::arm64().build(), ElfBuilder::amd64().build());
    let files: [(&str, u16, &[u8]); 4] = [
        ("app", 0o755, &arm64),
        ("bin/sh", 0o755, &amd64),
        ("second", 0o755, &amd64),
        ("run", 0o755, b"#!/bin/sh\nexec \"${3:-/missing}\"\n"),
    ];
    for (preserve_argv0, expected) in [(true, "runs"), (false, "exit 127 missing-file")] {
        let handler = Handler { preserve_argv0, ..qemu(false, "/run") };
        let node = Node { handlers: vec![handler], ..Node::plain(Arch::Amd64) };
        let outcome = trace(&tree(&files), &call(&["/app", "/second"]), &node).outcome;
        assert_eq!(short(&outcome), expected, "{preserve_argv0}");
    }
}

/// Linux 6.1 ran a program with 1,170 program headers of 56 bytes, and refused one with 1,171 (ENOEXEC).
#[test]
fn a_table_of_program_headers_has_at_most_64_kib() {
    let with = |count: usize| {
        let mut bytes = ElfBuilder::amd64().build();
        let (start, own) = (bytes.len().next_multiple_of(16), u16::from_le_bytes([bytes[56], bytes[57]]));
        let old = u64::from_le_bytes(bytes[32..40].try_into().unwrap()) as usize;
        let table = bytes[old..old + 56 * usize::from(own)].to_vec();
        bytes.resize(start, 0);
        bytes.extend(table);
        bytes.resize(start + 56 * count, 0);
        bytes[32..40].copy_from_slice(&(start as u64).to_le_bytes());
        bytes[56..58].copy_from_slice(&(count as u16).to_le_bytes());
        bytes
    };
    let node = Node::plain(Arch::Amd64);
    let outcome = |count: usize| short(&execve(&tree(&[("app", 0o755, &with(count))]), &call(&["/app"]), &node));
    assert_eq!(outcome(1171), "ENOEXEC corrupt-elf");
    assert_ne!(outcome(1170), "ENOEXEC corrupt-elf");
}

#[test]
fn a_declared_emulator_runs_files_that_the_kernel_refuses() {
    let node = Node { emulates: vec![Arch::Arm64], ..Node::plain(Arch::Amd64) };
    let files = [("app", 0o755, ElfBuilder::arm64().build())];
    let files: Vec<(&str, u16, &[u8])> =
        files.iter().map(|(path, mode, bytes)| (*path, *mode, bytes.as_slice())).collect();
    check(&files, &["/app"], &node, "emulated by an emulator declared for arm64");
}

#[test]
fn an_effective_capability_that_is_not_granted_is_refused() {
    use crate::platform::{Capabilities, FileCapabilities};
    let (app, script) = (ElfBuilder::amd64().build(), b"#!/app\n");
    let judge = |path: &str, permitted: &str, is_effective: bool, root: u32, node: &Node| {
        let permitted = Capabilities::parse(permitted).unwrap();
        let capabilities = Some(FileCapabilities::Sound { permitted, is_effective, root });
        let mut contents = Contents::default();
        for (name, bytes) in [("app", app.as_slice()), ("run", script)] {
            let kind = inspect(name.as_bytes(), bytes.len() as u64, true, &mut &bytes[..]);
            let plain = LayerMember::plain(name.as_bytes(), EntryKind::File, 0o755);
            let capabilities = capabilities.filter(|_| path == name || name == "app" && path == "both");
            contents.push(&LayerMember { size: bytes.len() as u64, capabilities, ..plain }, Some(kind));
        }
        let word = if path == "app" { "/app" } else { "/run" };
        let trace = trace(&merge([Arc::new(contents)]), &call(&[word]), node);
        (short(&trace.outcome), trace.doubts.len())
    };
    let node = Node::plain(Arch::Amd64);
    let refused = ("EPERM capabilities-not-granted".to_string(), 0);
    let runs = |doubts: usize| ("runs".to_string(), doubts);
    assert_eq!(judge("app", "sys_admin", true, 0, &node), refused);
    assert_eq!(judge("app", "sys_admin", false, 0, &node), runs(0));
    assert_eq!(judge("app", "sys_admin", true, 1000, &node), runs(0));
    // A script's own capabilities have no effect. Its interpreter's do.
    assert_eq!(judge("run", "sys_admin", true, 0, &node), runs(0));
    assert_eq!(judge("both", "sys_admin", true, 0, &node), refused);
    assert_eq!(judge("app", "net_bind_service", true, 0, &node), runs(1));
    let none = Node { bounding: Capabilities::default(), ..node.clone() };
    assert_eq!(judge("app", "net_bind_service", true, 0, &none), refused);
    assert_eq!(judge("app", "sys_admin", true, 0, &Node { bounding: Capabilities::all(), ..node }), runs(0));
}

#[test]
fn a_file_that_nothing_relocates_dies() {
    let node = Node::plain(Arch::Amd64);
    let app = ElfBuilder::amd64().pie().interp("/ld").build();
    let (library, alone) = (ElfBuilder::amd64().pie().needed("libc.so.6").build(), ElfBuilder::amd64().pie().build());
    check(&[("app", 0o755, &app), ("ld", 0o755, &library)], &["/app"], &node, "signal 11 bad-loader");
    check(&[("app", 0o755, &app), ("ld", 0o755, &alone)], &["/app"], &node, "runs");
    check(&[("app", 0o755, &library)], &["/app"], &node, "signal 11 library-as-program");
}
