//! Mutations of ELF headers and of the first lines of scripts, executed by this machine's kernel in a chroot and judged
//! by the model through the real `inspect`. Both must agree on every mutation. A disagreement is a bug in the model.
//!
//! The seed is fixed, and each test tries a few thousand mutations. A longer run, as root: `IMGARCH_MUTATIONS=200000
//! IMGARCH_SEED=7 cargo test --test it mutation::`.
//!
//! To compare with other machines' kernels, run the ignored test `other_kernels_agree` twice with IMGARCH_ASK=DIR. The
//! first run writes DIR/NODE/CASE/{root,argv}. Then boot each node's kernel. For each case, chroot to `root`, call
//! execve on the first line of `argv` with all of its lines as arguments, and write the line "CASE errno ENAME|exit
//! N|signal N" to DIR/NODE.answers. The second run compares.

use crate::kit::elf::{ElfBuilder, phdrs};
use crate::kit::machine::{self, Need};
use crate::kit::mutant::Dice;
use crate::kit::real::Answer;
use crate::kit::tree::Tree;
use crate::kit::{mutant, real};
use imgarch::exec::{Death, Outcome, execve};
use imgarch::platform::{Arch, Capabilities, Fact, Node};

const MUTATIONS: usize = 2000;
const SEED: u64 = 2026;

fn count() -> usize {
    std::env::var("IMGARCH_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MUTATIONS)
}

fn dice() -> Dice {
    Dice(std::env::var("IMGARCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED))
}

/// Traps on pages of this machine's size.
fn program(builder: ElfBuilder) -> Vec<u8> {
    // SAFETY: sysconf has no preconditions.
    mutant::program(builder, unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize)
}

/// This machine as a node, and the builder for its native programs. `None` if there are no traps for its architecture.
fn this_machine() -> Option<(Node, ElfBuilder)> {
    let (arch, builder) = match std::env::consts::ARCH {
        "x86_64" => (Arch::Amd64, ElfBuilder::amd64()),
        "aarch64" => (Arch::Arm64, ElfBuilder::arm64()),
        _ => return None,
    };
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("reading the kernel release");
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    let kernel = Fact::Known((numbers.next()?, numbers.next()?));
    // SAFETY: sysconf has no preconditions.
    let page_size = Fact::Known(unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64);
    let node = Node { page_size, kernel, bounding: real::own_capabilities(), ..Node::plain(arch) };
    let runs = |builder: ElfBuilder| {
        let tree = Tree::call(&["/app"]).file("app", program(builder));
        matches!(for_real(&tree), Answer::Signal(_))
    };
    let (aarch32, ia32) =
        (Fact::Known(arch == Arch::Arm64 && runs(ElfBuilder::arm())), Fact::Known(runs(ElfBuilder::i386())));
    Some((Node { aarch32, ia32, ..node }, builder))
}

fn for_real(tree: &Tree) -> Answer {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    real::run(tree, root.path(), &mut Tree::default())
}

/// Whether the model allows the kernel's answer. `ran` is the signal of the trap. If the model's outcome is unknown,
/// the program may run or be killed: because memory or address space is too small, or because execution reaches
/// truncated code or a header.
fn is_predicted(outcome: &Outcome, answer: &str, ran: i32) -> bool {
    let is_signal = |number: &u8| answer == format!("signal {number}");
    match outcome {
        Outcome::Unknown { cause, .. } => {
            let codes = ["memory", "address-space", "truncated", "bad-entry", "low-address"];
            codes.contains(&cause.code()) && answer.starts_with("signal")
        }
        Outcome::Runs => answer == format!("signal {ran}"),
        Outcome::Fails { errno, .. } => answer == errno.to_string(),
        Outcome::Dies { death: Death::Signal(number), .. } => is_signal(number),
        Outcome::Dies { death: Death::AnyOf { usual, others }, .. } => is_signal(usual) || others.iter().any(is_signal),
        Outcome::Dies { death: Death::Exit(_), .. } | Outcome::Emulated { .. } => false,
    }
}

/// Runs the mutants of `tree(bytes)` with the kernel and the model. `mutate` changes the bytes.
fn agree(test: &str, base: &[u8], mutate: impl Fn(&mut Dice, &mut Vec<u8>), tree: impl Fn(&[u8]) -> Tree) {
    if !machine::has(test, &[Need::Chroot]) {
        return;
    }
    let Some((node, builder)) = this_machine() else {
        return machine::skip_for_good(test, "no traps are written for this architecture");
    };
    let ran = mutant::trap(builder.machine).1;
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let mut written = Tree::default();
    let (mut dice, mut wrong, mut seen) = (dice(), Vec::new(), std::collections::BTreeMap::new());
    let mut unknown = 0;
    for number in 0..count() {
        let mut bytes = base.to_vec();
        mutate(&mut dice, &mut bytes);
        let tree = tree(&bytes);
        let outcome = execve(&tree.rootfs(), &tree.exec(), &node);
        let answer = real::run(&tree, root.path(), &mut written).to_string();
        unknown += usize::from(matches!(outcome, Outcome::Unknown { .. }));
        if !is_predicted(&outcome, &answer, ran) {
            wrong.push(format!("{number}: kernel {answer}, model {outcome:?}\n    {}", changes(base, &bytes)));
        }
        *seen.entry(answer).or_insert(0) += 1;
    }
    eprintln!("{test}: {seen:?}, {unknown} unknown");
    assert!(seen.len() > 2, "the mutations have varied outcomes: {seen:?}");
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), count(), wrong[..wrong.len().min(12)].join("\n"));
}

/// The differences between a mutant and its base: "offset: old -> new", or the whole script.
fn changes(base: &[u8], bytes: &[u8]) -> String {
    if base.is_empty() {
        return format!("{:?}", String::from_utf8_lossy(bytes));
    }
    let differing = base.iter().zip(bytes).enumerate().filter(|(_, (old, new))| old != new);
    let list: Vec<String> = differing.map(|(at, (old, new))| format!("{at}: {old:02x} -> {new:02x}")).collect();
    format!("{} of {} bytes; {}", bytes.len(), base.len(), list.join(", "))
}

fn alone(bytes: &[u8]) -> Tree {
    Tree::call(&["/app"]).file("app", bytes)
}

fn own() -> ElfBuilder {
    this_machine().map_or_else(ElfBuilder::amd64, |(_, builder)| builder)
}

#[test]
fn mutated_headers_of_a_static_program_end_as_predicted() {
    agree("header", &program(own()), |dice, bytes| dice.mutate(bytes, 64), alone);
}

#[test]
fn mutated_headers_of_a_position_independent_program_end_as_predicted() {
    agree("pie", &program(own().pie()), |dice, bytes| dice.mutate(bytes, 64), alone);
}

#[test]
fn mutated_headers_of_a_32_bit_program_end_as_predicted() {
    let narrow = if own().machine == 183 { ElfBuilder::arm() } else { ElfBuilder::i386() };
    agree("32 bit", &program(narrow), |dice, bytes| dice.mutate(bytes, 52), alone);
}

#[test]
fn mutated_program_headers_end_as_predicted() {
    let base = program(own().pie());
    let len = 64 + 56 * phdrs(&base).len();
    let mutate = |dice: &mut Dice, bytes: &mut Vec<u8>| dice.mutate(&mut bytes[64..], len - 64);
    agree("program headers", &base, mutate, alone);
}

#[test]
fn truncated_programs_end_as_predicted() {
    let cut = |dice: &mut Dice, bytes: &mut Vec<u8>| {
        let len = if dice.below(2) == 0 { dice.below(512) } else { dice.below(bytes.len() + 1) };
        bytes.truncate(len);
    };
    agree("cut off", &program(own()), cut, alone);
}

#[test]
fn mutated_loaders_end_as_predicted() {
    let dynamic = program(own().pie().interp("/ld"));
    let with_loader = |bytes: &[u8]| Tree::call(&["/app"]).file("app", &dynamic).file("ld", bytes);
    let mutate = |dice: &mut Dice, bytes: &mut Vec<u8>| {
        dice.mutate(bytes, 64);
        if dice.below(8) == 0 {
            bytes.truncate(dice.below(200));
        }
    };
    agree("loader", &program(own().e_type(3)), mutate, with_loader);
}

#[test]
fn mutated_headers_of_a_dynamic_program_end_as_predicted() {
    let loader = program(own().e_type(3));
    let with_loader = |bytes: &[u8]| Tree::call(&["/app"]).file("app", bytes).file("ld", &loader);
    let base = program(own().pie().interp("/ld"));
    agree("dynamic", &base, |dice, bytes| dice.mutate(bytes, 400), with_loader);
}

#[test]
fn mutated_scripts_end_as_predicted() {
    let shell = program(own());
    let tree = |bytes: &[u8]| {
        let long = format!("{}sh", "s/".repeat(60));
        let tree = Tree::call(&["/app"]).file("app", bytes).file("bin/sh", &shell).file("bin/s", "#!/bin/sh\n");
        tree.file("b", "#!/bin/s -x\n").file(&long, &shell).mode("bin/si", &shell, 0o644)
    };
    let lines = [
        "#!/bin/sh\nexit 0\n".to_string(),
        "#! /bin/sh -e \n".to_string(),
        "#!/bin/s\t-x\t\n".to_string(),
        format!("#!/{}sh -a\n", "s/".repeat(60)),
        format!("#!{}/bin/sh\n", " ".repeat(240)),
        format!("#!/bin/sh {}\n", "a".repeat(240)),
        format!("#!/{}bin/sh\n", "/".repeat(244)),
        format!("#!/{}bin/sh", "/".repeat(250)),
        "#!".to_string(),
        "#!/b".to_string(),
    ];
    let mutate = |dice: &mut Dice, bytes: &mut Vec<u8>| {
        let line = &lines[dice.below(lines.len())];
        *bytes = line.clone().into_bytes();
        if dice.below(2) == 0 {
            bytes.resize(300, b"\n x"[dice.below(3)]);
        }
        let len = bytes.len();
        let reach = if dice.below(2) == 0 { 12 } else { len };
        dice.mutate(bytes, reach);
        if dice.below(4) == 0 {
            let interesting = [b' ', b'\t', b'\n', b'\r', 0, b'/', b'#', b'!'];
            let at = dice.below(len);
            bytes[at] = interesting[dice.below(interesting.len())];
        }
        if dice.below(6) == 0 {
            bytes.truncate(dice.below(len));
        }
    };
    agree("script", b"", mutate, tree);
}

/// Kernels of other machines, each with the programs to run there.
fn other_nodes() -> Vec<(&'static str, Node, Vec<ElfBuilder>)> {
    let node = |arch: Arch, page: u64| Node {
        page_size: Fact::Known(page),
        kernel: Fact::Known((6, 12)),
        bounding: Capabilities::all(),
        ..Node::plain(arch)
    };
    let arm64 = |aarch32: bool, page: u64| Node { aarch32: Fact::Known(aarch32), ..node(Arch::Arm64, page) };
    let arm = || vec![ElfBuilder::arm64(), ElfBuilder::arm()];
    vec![
        ("arm64-a72", arm64(true, 4096), arm()),
        ("arm64-only", arm64(false, 4096), arm()),
        ("arm64-16k", arm64(true, 16384), arm()),
        ("armv7", node(Arch::Arm, 4096), vec![ElfBuilder::arm()]),
        ("ppc64le", node(Arch::Ppc64le, 65536), vec![ElfBuilder::ppc64le()]),
        ("s390x", node(Arch::S390x, 4096), vec![ElfBuilder::s390x()]),
        ("riscv64", node(Arch::Riscv64, 4096), vec![ElfBuilder::riscv64()]),
    ]
}

/// A case for another machine's kernel: its name, the tree, and the trap's signal.
struct Mutant {
    note: String,
    tree: Tree,
    ran: i32,
}

/// Mutants of each kind, for each builder.
fn mutants(builders: &[ElfBuilder], page: usize) -> Vec<Mutant> {
    let (mut dice, mut all) = (dice(), Vec::new());
    let make = |builder: ElfBuilder| mutant::program(builder, page);
    for builder in builders {
        let (machine, header) = (builder.machine, if builder.is_64 { 64 } else { 52 });
        let entry = if builder.is_64 { 56 } else { 32 };
        let (fixed, pie) = (make(builder.clone()), make(builder.clone().pie()));
        let (dynamic, loader) = (make(builder.clone().pie().interp("/ld")), make(builder.clone().e_type(3)));
        let bases = [
            ("static", &fixed),
            ("pie", &pie),
            ("table", &pie),
            ("cut", &fixed),
            ("dynamic", &dynamic),
            ("loader", &loader),
        ];
        for (kind, base) in bases {
            for number in 0..count().min(100) {
                let mut bytes = base.clone();
                match kind {
                    "table" => {
                        let len = entry * phdrs(base).len();
                        dice.mutate(&mut bytes[header..], len);
                    }
                    "cut" => bytes.truncate(dice.below(if number % 2 == 0 { 512 } else { base.len() + 1 })),
                    _ => dice.mutate(&mut bytes, header),
                }
                let tree = match kind {
                    "dynamic" => alone(&bytes).file("ld", &loader),
                    "loader" => alone(&dynamic).file("ld", &bytes),
                    _ => alone(&bytes),
                };
                let note = format!("m-{machine}-{kind}-{number}");
                all.push(Mutant { note, tree, ran: mutant::trap(machine).1 });
            }
        }
    }
    all
}

#[test]
#[ignore = "needs other machines' kernels; see the module documentation"]
fn other_kernels_agree() {
    let directory = std::path::PathBuf::from(std::env::var("IMGARCH_ASK").expect("IMGARCH_ASK names a directory"));
    let mut wrong = Vec::new();
    for (name, node, builders) in other_nodes() {
        let page = node.page_size.known().expect("known above") as usize;
        let answers = std::fs::read_to_string(directory.join(format!("{name}.answers"))).ok();
        for Mutant { note: case, tree, ran } in mutants(&builders, page) {
            let place = directory.join(name).join(&case);
            let Some(answers) = &answers else {
                std::fs::create_dir_all(place.join("root")).expect("creating the directory");
                tree.write(&place.join("root"));
                std::fs::write(place.join("argv"), tree.argv.join("\n")).expect("writing the call");
                continue;
            };
            let start = format!("{case} ");
            let line = answers.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or("no answer");
            let answer = line.strip_prefix("errno ").unwrap_or(line);
            let outcome = execve(&tree.rootfs(), &tree.exec(), &node);
            if !is_predicted(&outcome, answer, ran) {
                wrong.push(format!("{name} {case}: kernel {answer}, model {outcome:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
