//! Compares the model of execve with this machine's kernel, dynamic loaders, shells, container runtimes and Docker
//! Engine. Each tree is judged and executed, and the errno, exit code and messages must agree. Needs root. Installs
//! missing programs if apt is available.

mod agreement;
mod handlers;
mod libraries;
mod runtimes;
mod wrappers;

use crate::kit::machine::{Need, has};
use crate::kit::{cases, elf, engines, mutant, real};
use std::process::Command;

use crate::kit::real::Answer;
use crate::kit::tree::Tree;
use imgarch::exec::{Death, Outcome, Trace, trace};
use imgarch::platform::{Arch, Fact, Node};

/// This machine as a node. The tests' real programs are for x86-64.
fn node(test: &str) -> Option<Node> {
    if !has(test, &[Need::Chroot, Need::X86_64]) {
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
        Outcome::Dies { death: Death::AnyOf { usual, .. }, .. } => format!("signal {usual}"),
        Outcome::Dies { death: Death::Exit(code), .. } => format!("exit {code}"),
        Outcome::Unknown { cause, .. } => format!("unknown: {}", cause.text),
    }
}

/// A real answer in the words of the model. A program that runs ends with one of the codes `fine`.
fn seen(answer: Answer, fine: &[i32]) -> String {
    match answer {
        Answer::Exit(code) if fine.contains(&code) => "runs".to_string(),
        answer => answer.to_string(),
    }
}

/// Messages in the same words for each release of the wrappers. Since coreutils 9.10 a program names itself without
/// directories, since findutils 4.11 xargs says what failed, as coreutils does, and since 5.3 bash does not repeat a
/// refusal in a second line.
fn of_any_release(said: &str) -> String {
    let line = |line: &str| {
        let (program, rest) = line.split_once(": ").unwrap_or((line, ""));
        let name = if program.contains(' ') { program } else { program.rsplit('/').next().unwrap_or(program) };
        match rest.strip_prefix("failed to run command '").and_then(|rest| rest.split_once("': ")) {
            Some((command, reason)) if name == "xargs" => format!("{name}: {command}: {reason}"),
            _ => format!("{name}: {rest}"),
        }
    };
    let is_repeated =
        |line: &&str| line.ends_with(": Success") || (line.contains(": exec: ") && line.contains(": cannot execute: "));
    said.trim_end().lines().filter(|line| !is_repeated(line)).map(line).collect::<Vec<_>>().join("\n")
}

/// Executes and judges the tree. The outcome and the messages must agree.
fn check(tree: &Tree, node: &Node, expect: &str) {
    let trace = judge(tree, node);
    let (answer, said) = real::run_alone(tree);
    assert_eq!(seen(answer, &[0, 42]), expect, "the kernel on {:?}: {said}", tree.argv);
    assert_eq!(expected(&trace.outcome), expect, "the model on {:?}: {trace:?}", tree.argv);
    if !trace.says.is_empty() {
        let (model, real) = (trace.says.join("\n"), said.replace(['‘', '’'], "'"));
        assert_eq!(of_any_release(&model), of_any_release(&real), "{:?}", tree.argv);
    }
}

#[test]
fn every_tree_of_the_oracle_ends_here_as_the_model_predicts() {
    let Some(node) = node("oracle") else { return };
    let mut wrong = Vec::new();
    for line in cases::ANSWERS.lines().skip(1) {
        let name = line.split('\t').next().expect("a name");
        // The dynamic loaders in these trees are stand-ins that load nothing.
        if name.starts_with("dyn-") {
            continue;
        }
        let tree = cases::case(name, "amd64");
        let (outcome, kernel) = (judge(&tree, &node).outcome, seen(real::run_alone(&tree).0, &[42]));
        let model = expected(&outcome);
        let is_other = |number: &u8| kernel == format!("signal {number}");
        let is_one_of =
            matches!(&outcome, Outcome::Dies { death: Death::AnyOf { others, .. }, .. } if others.iter().any(is_other));
        if model != kernel && !is_one_of {
            wrong.push(format!("{name}: kernel {kernel}, model {model}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A program that does nothing, compiled and linked by the machine's compiler.
fn compile(text: &str, arguments: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (source, out) = (directory.path().join("a.c"), directory.path().join("a"));
    std::fs::write(&source, text).expect("writing the source file");
    let status = Command::new("cc").args(arguments).arg("-o").arg(&out).arg(&source).status().expect("cc starts");
    assert!(status.success(), "cc {arguments:?}");
    std::fs::read(&out).expect("reading the program")
}

const MAIN: &str = "int main(void) { return 0; }";
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

fn host(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program of this machine with its dynamic loader and libraries, at their usual paths.
fn with_host_program(tree: Tree, path: &str) -> Tree {
    let real = std::fs::canonicalize(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let listed = Command::new("ldd").arg(&real).output().expect("ldd starts");
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
    let files = libraries.fold(tree, |tree, library| tree.add_once(&library[1..], host(library)));
    files.add_once(&path[1..], host(path))
}

/// A revision 2 `security.capability` attribute with these bits permitted. Flag 1 is "effective".
fn capability(flags: u32, permitted: u64) -> Vec<u8> {
    let words = [0x0200_0000 | flags, permitted as u32, 0, (permitted >> 32) as u32, 0];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

const SYS_ADMIN: u64 = 1 << 21;
const NET_RAW: u64 = 1 << 13;

#[test]
fn file_capabilities_that_are_not_granted_are_refused_as_predicted() {
    let Some(node) = node("capabilities") else { return };
    let native = elf::ElfBuilder::amd64().build();
    let app = |flags: u32, permitted: u64| Tree::call(&["/app"]).capable("app", &native, &capability(flags, permitted));
    check(&app(1, SYS_ADMIN), &node, "EPERM");
    check(&app(1, SYS_ADMIN | NET_RAW), &node, "EPERM");
    check(&app(1, 1 << 40), &node, "EPERM");
    check(&app(1, 1 << 50), &node, "runs");
    check(&app(0, SYS_ADMIN), &node, "runs");
    check(&app(1, NET_RAW), &node, "runs");
    // A script gets its interpreter's capabilities. A program does not get its loader's.
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
    // Earlier checks of the kernel come first.
    check(&Tree::call(&["/app"]).capable("app", &dynamic, &capability(1, SYS_ADMIN)), &node, "ENOENT");
    let mut incongruent = native.clone();
    elf::edit_phdr(&mut incongruent, 0, |load| load.vaddr += 0x10);
    check(&Tree::call(&["/app"]).capable("app", &incongruent, &capability(1, SYS_ADMIN)), &node, "EPERM");
}
