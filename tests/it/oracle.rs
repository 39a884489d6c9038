//! Compares the model of execve with the answers of eight real kernels: rebuilds every row of
//! testdata/oracle/answers.tsv in code, and judges it for each of the eight nodes.

use crate::kit::cases::{ANSWERS, case};
use imgarch::exec::{Death, Outcome, execve};
use imgarch::platform::{Arch, Fact, Node};

/// The kernels of the table's columns, as nodes.
fn node(column: &str) -> Node {
    let arm64 = |aarch32: bool, page: u64| Node {
        aarch32: Fact::Known(aarch32),
        page_size: Fact::Known(page),
        kernel: Fact::Known((6, 12)),
        ..Node::plain(Arch::Arm64)
    };
    let plain = |arch: Arch, page: u64| Node {
        page_size: Fact::Known(page),
        kernel: Fact::Known((6, 12)),
        ..Node::plain(arch)
    };
    match column {
        "x86_64-host" => Node { kernel: Fact::Known((6, 18)), ..plain(Arch::Amd64, 4096) },
        "arm64-a72" => arm64(true, 4096),
        "arm64-only" => arm64(false, 4096),
        "arm64-16k" => arm64(true, 16384),
        "armv7" => plain(Arch::Arm, 4096),
        "ppc64le" => plain(Arch::Ppc64le, 65536),
        "s390x" => plain(Arch::S390x, 4096),
        "riscv64" => plain(Arch::Riscv64, 4096),
        other => panic!("no node {other}"),
    }
}

fn own_name(node: &Node) -> &'static str {
    match node.arch {
        Arch::Amd64 => "amd64",
        Arch::Arm64 => "arm64",
        Arch::Arm => "armv7",
        Arch::Ppc64le => "ppc64le",
        Arch::S390x => "s390x",
        Arch::Riscv64 => "riscv64",
        other => panic!("no kernel for {other}"),
    }
}

/// The table's words for an outcome. A program that runs ends like the table's own.
fn answer(outcome: &Outcome, expected: &str) -> String {
    match outcome {
        Outcome::Runs if matches!(expected, "exit 0" | "signal 4" | "signal 5") => expected.to_string(),
        Outcome::Runs => "runs".to_string(),
        Outcome::Emulated { .. } => "emulated".to_string(),
        Outcome::Fails { errno, .. } => errno.to_string(),
        Outcome::Dies { death: Death::Signal(number), .. } => format!("signal {number}"),
        // Any of them is correct.
        Outcome::Dies { death: Death::AnyOf { usual, others }, .. } => {
            let is_expected = |number: &&u8| expected == format!("signal {number}");
            format!("signal {}", others.iter().find(is_expected).unwrap_or(usual))
        }
        Outcome::Dies { death: Death::Exit(code), .. } => format!("exit {code}"),
        Outcome::Unknown { cause, .. } => format!("unknown: {}", cause.text),
    }
}

#[test]
fn the_model_agrees_with_each_of_eight_kernels() {
    let mut lines = ANSWERS.lines();
    let columns: Vec<&str> = lines.next().expect("a header").split('\t').skip(2).collect();
    assert_eq!(columns.len(), 8);
    let (mut asked, mut wrong) = (0, Vec::new());
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        for (column, expected) in columns.iter().zip(&fields[2..]).filter(|(_, expected)| **expected != "-") {
            let node = node(column);
            let tree = case(fields[0], own_name(&node));
            let outcome = execve(&tree.rootfs(), &tree.exec(), &node);
            let said = answer(&outcome, expected);
            asked += 1;
            if said != *expected || must_die(fields[0], expected) && outcome == Outcome::Runs {
                wrong.push(format!("{} on {column}: the kernel {expected}, the model {outcome:?}", fields[0]));
            }
        }
    }
    assert_eq!(asked, 848, "number of cells in the table");
    assert!(wrong.is_empty(), "{} of {asked} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// In rows whose program traps, signal 4 or 5 is that trap. In all others, a signal means that the kernel killed the
/// program.
fn must_die(case: &str, expected: &str) -> bool {
    expected.starts_with("signal") && (!case.starts_with("elf-align") || expected == "signal 11")
}
