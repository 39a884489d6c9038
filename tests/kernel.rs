//! The model of execve against this machine's own kernel, loaders, shells, container runtimes and Docker Engine: the
//! same trees are judged and executed, and the errno, exit code and words must be the same. Needs root; the programs that
//! are missing are installed where apt is there.

#[path = "support/cases.rs"]
mod cases;
#[path = "support/elf.rs"]
mod elf;
#[path = "support/engines.rs"]
mod engines;
#[path = "support/mutant.rs"]
mod mutant;
#[path = "support/real.rs"]
mod real;
#[path = "support/tree.rs"]
mod tree;

use std::path::{Path, PathBuf};
use std::process::Command;

use imgarch::judge::messages::messages;
use imgarch::judge::{Death, Outcome, Trace, trace};
use imgarch::platform::{Arch, Capabilities, Fact, Node, binfmt};
use real::Answer;
use tree::Tree;

/// This machine as a node. The tests' real programs are x86-64's.
fn node(test: &str) -> Option<Node> {
    if !real::may_chroot(test) {
        return None;
    }
    if std::env::consts::ARCH != "x86_64" {
        eprintln!("SKIPPED {test}: its programs are x86-64's");
        return None;
    }
    let i386 = Tree::call(&["/app"]).file("app", elf::ElfBuilder::i386().build());
    let ia32 = Fact::Known(real::run_alone(&i386).0 == Answer::Exit(42));
    Some(Node { ia32, page_size: Fact::Known(4096), ..Node::plain(Arch::Amd64) })
}

fn judge(tree: &Tree, node: &Node) -> Trace {
    trace(&tree.rootfs(), &tree.exec(), node)
}

fn expected(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Runs | Outcome::Emulated { .. } => "runs".to_string(),
        Outcome::Fails { errno, .. } => errno.to_string(),
        Outcome::Dies { death: Death::Signal(number), .. } => format!("signal {number}"),
        Outcome::Dies { death: Death::Exit(code), .. } => format!("exit {code}"),
        Outcome::Unknown { cause, .. } => format!("unknown: {}", cause.text),
    }
}

/// The model's words for a real answer; a program that runs ends with one of `fine`.
fn seen(answer: Answer, fine: &[i32]) -> String {
    match answer {
        Answer::Exit(code) if fine.contains(&code) => "runs".to_string(),
        answer => answer.to_string(),
    }
}

/// Executes and judges; the outcome and the words must agree.
fn check(tree: &Tree, node: &Node, expect: &str) {
    let trace = judge(tree, node);
    let (answer, said) = real::run_alone(tree);
    assert_eq!(seen(answer, &[0, 42]), expect, "the kernel on {:?}: {said}", tree.argv);
    assert_eq!(expected(&trace.outcome), expect, "the model on {:?}: {trace:?}", tree.argv);
    if !trace.says.is_empty() {
        assert_eq!(trace.says.join("\n"), said.trim_end().replace(['‘', '’'], "'"), "{:?}", tree.argv);
    }
}

#[test]
fn every_tree_of_the_oracle_ends_here_as_the_model_says() {
    let Some(node) = node("oracle") else { return };
    let mut wrong = Vec::new();
    for line in cases::ANSWERS.lines().skip(1) {
        let name = line.split('\t').next().expect("a name");
        // The trees' loaders are stand-ins that load nothing.
        if name.starts_with("dyn-") {
            continue;
        }
        let tree = cases::case(name, "amd64");
        let (model, kernel) = (expected(&judge(&tree, &node).outcome), seen(real::run_alone(&tree).0, &[42]));
        if model != kernel {
            wrong.push(format!("{name}: kernel {kernel}, model {model}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A program that does nothing, compiled and linked by the machine's own compiler.
fn compile(text: &str, arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, out) = (folder.path().join("a.c"), folder.path().join("a"));
    std::fs::write(&source, text).expect("a source file");
    let status = Command::new("cc").args(arguments).arg("-o").arg(&out).arg(&source).status().expect("cc starts");
    assert!(status.success(), "cc {arguments:?}");
    std::fs::read(&out).expect("a program")
}

const MAIN: &str = "int main(void) { return 0; }";
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

fn host(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program of this machine with its loader and the libraries that it names, at their own paths.
fn with_host_program(tree: Tree, path: &str) -> Tree {
    let real = std::fs::canonicalize(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let listed = Command::new("ldd").arg(&real).output().expect("ldd starts");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
    let files = libraries.fold(tree, |tree, library| tree.add_once(&library[1..], host(library)));
    files.add_once(&path[1..], host(path))
}

/// `security.capability` of revision 2 with these bits permitted; `flags`: 1 is effective.
fn capability(flags: u32, permitted: u64) -> Vec<u8> {
    let words = [0x0200_0000 | flags, permitted as u32, 0, (permitted >> 32) as u32, 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

const SYS_ADMIN: u64 = 1 << 21;
const NET_RAW: u64 = 1 << 13;

#[test]
fn file_capabilities_that_are_not_granted_are_refused_as_foreseen() {
    let Some(node) = node("capabilities") else { return };
    let native = elf::ElfBuilder::amd64().build();
    let app = |flags: u32, permitted: u64| Tree::call(&["/app"]).capable("app", &native, &capability(flags, permitted));
    check(&app(1, SYS_ADMIN), &node, "EPERM");
    check(&app(1, SYS_ADMIN | NET_RAW), &node, "EPERM");
    check(&app(1, 1 << 40), &node, "EPERM");
    check(&app(1, 1 << 50), &node, "runs");
    check(&app(0, SYS_ADMIN), &node, "runs");
    check(&app(1, NET_RAW), &node, "runs");
    // A script has its interpreter's, and a program not its loader's.
    let script = |flags| {
        Tree::call(&["/e"]).capable("e", "#!/sh\n", &capability(1, SYS_ADMIN)).capable(
            "sh",
            &native,
            &capability(flags, SYS_ADMIN),
        )
    };
    check(&script(0), &node, "runs");
    check(&script(1), &node, "EPERM");
    let dynamic = elf::ElfBuilder::amd64().pie().interp("/ld").build();
    let loader = elf::ElfBuilder::amd64().e_type(3).build();
    check(
        &Tree::call(&["/app"]).file("app", &dynamic).capable("ld", &loader, &capability(1, SYS_ADMIN)),
        &node,
        "runs",
    );
    // What the kernel checks before comes first.
    check(&Tree::call(&["/app"]).capable("app", &dynamic, &capability(1, SYS_ADMIN)), &node, "ENOENT");
    let mut incongruent = native.clone();
    elf::edit_phdr(&mut incongruent, 0, |load| load.vaddr += 0x10);
    check(&Tree::call(&["/app"]).capable("app", &incongruent, &capability(1, SYS_ADMIN)), &node, "EPERM");
}

#[test]
fn real_programs_miss_their_loader_and_libraries_as_foreseen() {
    let Some(node) = node("libraries") else { return };
    if !engines::has("libraries", &["cc"]) {
        return;
    }
    let app = compile(MAIN, &[]);
    let whole = || Tree::call(&["/app"]).file("app", &app).file(&LOADER[1..], host(LOADER));
    let libc = "lib/x86_64-linux-gnu/libc.so.6";
    let libc_bytes = host("/lib/x86_64-linux-gnu/libc.so.6");
    check(&whole().file(libc, &libc_bytes), &node, "runs");
    check(&whole(), &node, "exit 127");
    check(&Tree::call(&["/app"]).file("app", &app).file(libc, &libc_bytes), &node, "ENOENT");
    check(&whole().file(libc, elf::ElfBuilder::arm64().soname("libc.so.6").build()), &node, "exit 127");
    check(&whole().file(libc, elf::ElfBuilder::i386().soname("libc.so.6").build()), &node, "exit 127");
    check(&whole().file(libc, "not a library"), &node, "exit 127");
    check(&whole().file(libc, vec![b'x'; 4096]), &node, "exit 127");
    check(&whole().file(libc, &app), &node, "exit 127");
    check(&Tree::call(&["/app"]).file("app", compile(MAIN, &["-static"])), &node, "runs");
    check(&Tree::call(&["/app"]).file("app", compile(MAIN, &["-static-pie"])), &node, "runs");
    let library = compile("int f(void) { return 1; }", &["-shared", "-fPIC"]);
    check(&Tree::call(&["/app"]).file("app", &library), &node, "signal 11");
}

#[test]
fn a_symbol_version_that_is_not_there_ends_a_real_program_as_foreseen() {
    let Some(node) = node("versions") else { return };
    if !engines::has("versions", &["cc"]) {
        return;
    }
    // A libq.so.1 with version Q_2 to link against, and one with only Q_1 to run with.
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let build = |versions: &str, script: &str, name: &str| {
        std::fs::write(at("map"), script).expect("a version script");
        let map = format!("-Wl,--version-script={}", at("map").display());
        let bytes = compile(versions, &["-shared", "-fPIC", "-Wl,-soname,libq.so.1", &map]);
        std::fs::write(at(name), &bytes).expect("a library");
        bytes
    };
    build("int q(void) { return 0; }", "Q_1 { }; Q_2 { global: q; local: *; };", "libq.so");
    let library = format!("-L{}", folder.path().display());
    let program = folder.path().join("p.c");
    std::fs::write(&program, "int q(void); int main(void) { return q(); }").expect("a source file");
    let out = at("p");
    let linked = Command::new("cc").arg(&program).args([&library, "-lq", "-o"]).arg(&out).status().expect("cc starts");
    assert!(linked.success());
    let old = build("int q(void) { return 0; }", "Q_1 { global: q; local: *; };", "old.so");
    let tree = Tree::call(&["/app"])
        .file("app", host(out.to_str().expect("a path")))
        .file(&LOADER[1..], host(LOADER))
        .file("lib/x86_64-linux-gnu/libc.so.6", host("/lib/x86_64-linux-gnu/libc.so.6"))
        .file("usr/lib/libq.so.1", &old);
    check(&tree, &node, "exit 1");
}

#[test]
fn shells_and_wrappers_end_and_say_as_foreseen() {
    let Some(node) = node("wrappers") else { return };
    let foreign = elf::ElfBuilder::arm64().build();
    let native = elf::ElfBuilder::amd64().build();
    let base = || {
        let tree = Tree::call(&[]).file("foreign", &foreign).file("app", &native).mode("plain", &native, 0o644);
        let tree = with_host_program(with_host_program(tree, "/bin/sh"), "/bin/bash");
        with_host_program(with_host_program(tree, "/usr/bin/env"), "/usr/bin/timeout")
    };
    let script = |text: &str| base().file("e", text).argv(&["/e", "/foreign"]);
    let call = |words: &[&str]| base().argv(words);
    for shell in ["/bin/sh", "/bin/bash"] {
        check(&call(&[shell, "-c", "/foreign"]), &node, "exit 126");
        check(&call(&[shell, "-c", "/none"]), &node, "exit 127");
        check(&call(&[shell, "-c", "none"]), &node, "exit 127");
        check(&call(&[shell, "-c", "exec /app"]), &node, "runs");
        check(&call(&[shell, "-c", "/plain"]), &node, "exit 126");
    }
    check(&call(&["/bin/sh", "-c", "exec /foreign"]), &node, "exit 126");
    check(&call(&["/bin/sh", "-c", "exec /none"]), &node, "exit 127");
    check(&call(&["/bin/sh", "/none.sh"]), &node, "exit 2");
    check(&call(&["/usr/bin/env", "/app"]), &node, "runs");
    check(&call(&["/usr/bin/env", "/none"]), &node, "exit 127");
    check(&call(&["/usr/bin/env", "A=1", "/plain"]), &node, "exit 126");
    check(&call(&["/usr/bin/timeout", "5", "/none"]), &node, "exit 127");
    check(&script("#!/bin/sh\nset -e\n: one\nexec \"$@\"\n"), &node, "exit 126");
    check(&script("#!/bin/bash\nexec /app\n"), &node, "runs");
    check(&script("#!/bin/sh -e\n/foreign\nexec /app\n"), &node, "exit 126");
    check(&script("#!/bin/sh\n/foreign\nexec /app\n"), &node, "runs");
    check(&script("#!/bin/sh\ntrue && exec /foreign\n"), &node, "exit 126");
}

#[test]
fn glibcs_execvp_hands_a_foreign_program_to_the_shell() {
    let Some(node) = node("fallback") else { return };
    let tree =
        Tree::call(&["/usr/bin/env", "/foreign"]).file("foreign", mutant::program(elf::ElfBuilder::arm64(), 4096));
    let tree = with_host_program(with_host_program(tree, "/bin/sh"), "/usr/bin/env");
    let (answer, _) = real::run_alone(&tree);
    // What the shell makes of a program's bytes hangs on them: a syntax error is 2, a command not found 127.
    assert!(matches!(answer, Answer::Exit(2 | 127)), "{answer}");
    assert_eq!(expected(&judge(&tree, &node).outcome), "exit 2");
}

/// Takes a handler away again, however the test ends, and the mount where it was this test's and nothing is left in it.
struct Registered {
    file: PathBuf,
    is_mounted_here: bool,
}

impl Drop for Registered {
    fn drop(&mut self) {
        std::fs::write(&self.file, "-1").expect("a handler is taken away");
        let folder = self.file.parent().expect("it is in a folder");
        let left = std::fs::read_dir(folder).map_or(0, |entries| entries.count());
        if self.is_mounted_here && left <= 2 {
            Command::new("umount").arg(folder).status().expect("umount starts");
        }
    }
}

/// Registers a handler for arm64 programs that carry eight bytes of this test's own in `e_ident`, so that no other
/// program of the machine meets it. `flags`: binfmt_misc's.
fn register(interpreter: &str, flags: &str) -> Option<Registered> {
    let folder = Path::new("/proc/sys/fs/binfmt_misc");
    let is_mounted_here = !folder.join("register").exists();
    if is_mounted_here {
        let mounted = Command::new("mount").args(["-t", "binfmt_misc", "none"]).arg(folder).status();
        if !mounted.is_ok_and(|status| status.success()) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "binfmt_misc cannot be mounted");
            eprintln!("SKIPPED handlers: binfmt_misc cannot be mounted");
            return None;
        }
    }
    let name = format!("imgarch-test-{}-{flags}", std::process::id());
    std::fs::write(folder.join("register"), handler_line(&name, interpreter, flags)).expect("a handler is registered");
    Some(Registered { file: folder.join(name), is_mounted_here })
}

fn handler_line(name: &str, interpreter: &str, flags: &str) -> String {
    format!(":{name}:M:8:{MARK}::{interpreter}:{flags}")
}

/// In the bytes of `e_ident` that mean nothing.
const MARK: &str = "imgarch";

fn marked(mut program: Vec<u8>) -> Vec<u8> {
    program[8..8 + MARK.len()].copy_from_slice(MARK.as_bytes());
    program
}

#[test]
fn a_handler_of_qemu_runs_what_the_kernel_refuses() {
    let Some(node) = node("handlers") else { return };
    let qemu = "/usr/bin/qemu-aarch64-static";
    if !engines::has("handlers", &["qemu-aarch64-static"]) {
        return;
    }
    let with = |flags: &str| {
        let handler = binfmt::registration(&handler_line("qemu", qemu, flags)).expect("a registration");
        Node { handlers: vec![handler], ..node.clone() }
    };
    let tree = || Tree::call(&["/app"]).file("app", marked(elf::ElfBuilder::arm64().build()));
    let script = || tree().file("e", "#!/app\n").argv(&["/e"]);
    let no_loader =
        || Tree::call(&["/app"]).file("app", marked(elf::ElfBuilder::arm64().pie().interp("/lib/none").build()));
    check(&tree(), &node, "ENOEXEC");
    let fixed = |flags: &str| {
        let Some(_registered) = register(qemu, flags) else { return };
        check(&tree(), &with(flags), "runs");
        check(&script(), &with(flags), "runs");
        check(&no_loader(), &with(flags), "exit 255");
    };
    fixed("F");
    fixed("OCF");
    if let Some(_registered) = register(qemu, "") {
        check(&tree(), &with(""), "ENOENT");
        check(&tree().file(&qemu[1..], host(qemu)), &with(""), "runs");
        let chain = (0..5).fold(tree(), |tree, n| {
            tree.file(&format!("s{n}"), format!("#!/{}\n", ["s1", "s2", "s3", "s4", "app"][n]))
        });
        check(&chain.file(&qemu[1..], host(qemu)).argv(&["/s0"]), &with(""), "ELOOP");
    }
    check(&tree(), &node, "ENOEXEC");
}

/// Runs a tree as a container by an OCI runtime; gives the exit code and what was said.
fn contain(runtime: &str, tree: &Tree) -> (i32, String) {
    let bundle = tempfile::tempdir().expect("a folder");
    let root = bundle.path().join("rootfs");
    std::fs::create_dir(&root).expect("a root");
    for folder in ["proc", "dev", "sys"] {
        std::fs::create_dir(root.join(folder)).expect("a mount point");
    }
    tree.write(&root);
    let granted = Capabilities::of_docker().names();
    let config = serde_json::json!({
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": tree.argv,
            "env": tree.exec().env,
            "cwd": "/",
            "capabilities": {"bounding": granted, "effective": granted, "permitted": granted},
        },
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
    });
    std::fs::write(bundle.path().join("config.json"), config.to_string()).expect("a config");
    let id = format!(
        "imgarch-{}-{}",
        std::process::id(),
        bundle.path().file_name().expect("a name").to_string_lossy().replace('.', "")
    );
    let state = bundle.path().join("state");
    // crun refuses two cgroup versions side by side; a mount namespace of its own shows it one.
    let crun = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec crun \"$@\"";
    let mut command = Command::new(if runtime == "crun" { "unshare" } else { runtime });
    if runtime == "crun" {
        command.args(["-m", "sh", "-c", crun, "crun", "--cgroup-manager", "disabled"]);
    }
    command.arg("--root").arg(&state);
    let output = command.args(["run", "--bundle"]).arg(bundle.path()).arg(&id).output().expect("a runtime starts");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Trees whose outcome runtimes tell in their own words.
fn told_by_runtimes() -> Vec<(&'static str, Tree)> {
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
    ]
}

#[test]
fn runc_and_crun_say_what_the_model_says_they_do() {
    let Some(node) = node("runtimes") else { return };
    if !engines::has("runtimes", &["runc", "crun"]) {
        return;
    }
    let version = String::from_utf8_lossy(&Command::new("runc").arg("--version").output().expect("runc starts").stdout)
        .into_owned();
    let runc = if version.starts_with("runc version 1.1") { "runc 1.1" } else { "runc 1.2 and newer" };
    let version = String::from_utf8_lossy(&Command::new("crun").arg("--version").output().expect("crun starts").stdout)
        .into_owned();
    let is_old = (0..9).any(|minor| {
        version.starts_with(&format!("crun version 1.{minor}\n"))
            || version.starts_with(&format!("crun version 1.{minor}."))
    });
    let crun = if is_old { "crun 1.8 and older" } else { "crun" };
    for (name, tree) in told_by_runtimes() {
        let trace = judge(&tree, &node);
        assert_eq!(expected(&trace.outcome), name, "{:?}", tree.argv);
        let shown = messages(&trace, &tree.exec());
        for (runtime, row) in [("runc", runc), ("crun", crun)] {
            let find = |row: &str| shown.iter().find(|line| line.frontend == row);
            let line = find(row).or_else(|| find(runtime)).unwrap_or_else(|| panic!("{runtime} on {name}: {shown:?}"));
            let (code, said) = contain(runtime, &tree);
            let said = said.replace("\\\"", "\"");
            assert_eq!(Some(code), line.exit_code.map(i32::from), "{runtime} on {name} {:?}: {said}", tree.argv);
            assert!(said.contains(&line.text), "{runtime} on {name} {:?} says {said}, not {}", tree.argv, line.text);
        }
    }
}

#[test]
fn docker_says_what_the_model_says_it_does() {
    let Some(node) = node("docker") else { return };
    let Some(engine) = engines::docker("docker", engines::Store::Classic) else { return };
    for (number, (name, tree)) in told_by_runtimes().into_iter().enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        tree.write(folder.path());
        let archive = folder.path().with_extension("tar");
        engines::run(
            "tar",
            &[
                "--xattrs",
                "--xattrs-include=security.*",
                "-C",
                folder.path().to_str().expect("a path"),
                "-cf",
                archive.to_str().expect("a path"),
                ".",
            ],
        );
        let image = format!("imgarch-kernel-{number}");
        engine.docker(&["import", archive.to_str().expect("a path"), &image]);
        std::fs::remove_file(&archive).expect("an archive");
        let mut arguments = vec!["run", "--rm", "--network=none", &image];
        arguments.extend(tree.argv.iter().map(String::as_str));
        let output = engine.try_docker(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let shown = messages(&judge(&tree, &node), &tree.exec());
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
