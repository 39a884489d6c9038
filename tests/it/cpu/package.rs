//! A package under test: what is installed, and the program that uses its native code once.

use super::run::Machine;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    Bookworm,
    Trixie,
    Sid,
}

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Suite::Bookworm => "bookworm",
            Suite::Trixie => "trixie",
            Suite::Sid => "sid",
        }
    }
}

/// The program to start.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// A program with its arguments.
    Program(&'static [&'static str]),
    /// A script for Python 3.11.
    Python(&'static str),
    /// A script for Node.js.
    Node(&'static str),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    pub name: &'static str,
    pub machine: Machine,
    pub suite: Suite,
    pub debian: &'static [&'static str],
    pub pip: &'static [&'static str],
    pub npm: &'static [&'static str],
    pub start: Start,
    /// Whether it is tested without `IMGARCH_CPU`.
    pub is_small: bool,
}

use Machine::X86_64;
use Start::{Node, Program, Python};

/// Debian packages for Python, and the system libraries that native modules need.
const PYTHON: &[&str] = &["python3", "libgomp1", "libstdc++6"];
pub const NODE: &[&str] = &["nodejs"];

pub const fn debian(
    name: &'static str,
    suite: Suite,
    debian: &'static [&'static str],
    words: &'static [&'static str],
) -> Package {
    Package { name, machine: X86_64, suite, debian, pip: &[], npm: &[], start: Program(words), is_small: false }
}

/// The same package on another machine.
pub const fn on(machine: Machine, package: Package) -> Package {
    Package { machine, ..package }
}

pub const fn pip(name: &'static str, machine: Machine, pip: &'static [&'static str], code: &'static str) -> Package {
    Package {
        name,
        machine,
        suite: Suite::Bookworm,
        debian: PYTHON,
        pip,
        npm: &[],
        start: Python(code),
        is_small: false,
    }
}

/// A program in a wheel.
pub const fn wheel(name: &'static str, pip: &'static [&'static str], words: &'static [&'static str]) -> Package {
    Package {
        name,
        machine: X86_64,
        suite: Suite::Bookworm,
        debian: PYTHON,
        pip,
        npm: &[],
        start: Program(words),
        is_small: false,
    }
}

pub const fn npm(name: &'static str, machine: Machine, npm: &'static [&'static str], code: &'static str) -> Package {
    Package { name, machine, suite: Suite::Bookworm, debian: NODE, pip: &[], npm, start: Node(code), is_small: false }
}

/// A program in an npm package.
pub const fn binary(
    name: &'static str,
    machine: Machine,
    npm: &'static [&'static str],
    words: &'static [&'static str],
) -> Package {
    Package {
        name,
        machine,
        suite: Suite::Bookworm,
        debian: NODE,
        pip: &[],
        npm,
        start: Program(words),
        is_small: false,
    }
}

pub const fn small(package: Package) -> Package {
    Package { is_small: true, ..package }
}
