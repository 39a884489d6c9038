//! What a node does with the call that starts a container, step by step: a model of Linux's execve and of what comes
//! right after it, held to the answers of real kernels by the tests. Pure: it knows files only as `inspect` saw them.
//! Not modelled, because no image tells: `noexec` mounts, security modules, file capabilities, files open for writing.

pub(crate) mod access;
mod after;
pub(crate) mod binfmt;
mod elf;
mod isa;
pub(crate) mod lookup;
mod map;
mod misc;

use std::cell::{Cell, RefCell};

use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::judge::{Cause, Errno, Exec, Outcome};
use crate::platform::compat::{self, Kernel, Needs};
use crate::platform::{Fact, Node};

use access::Who;
use binfmt::{Asked, Assumed, Machine};

/// What happens to a call, and the way there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub outcome: Outcome,
    /// The files on the way, in the order in which they are opened.
    pub steps: Vec<Step>,
    /// What speaks against a call that starts, without proving that it fails: a note, a page size that is not known.
    pub doubts: Vec<Cause>,
    /// The lines that loaders, shells and emulators on the way print on standard error.
    pub says: Vec<String>,
}

/// One file on the way to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The path as the one before names it.
    pub typed: String,
    /// The file that it leads to, links followed. `None` where it leads nowhere, or out of the image.
    pub path: Option<String>,
    /// "ELF x86-64, dynamic", "script for /bin/sh".
    pub what: String,
    pub link: Link,
}

/// How a step was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The call itself names it.
    Call,
    /// The `#!` line of the step before.
    Shebang,
    /// PT_INTERP of the step before.
    Loader,
    /// The binfmt_misc handler of this name.
    Handler(String),
}

/// What execve does with `call` on `node`, and what happens right after.
pub fn execve(rootfs: &RootFs<FileKind>, call: &Exec, node: &Node) -> Outcome {
    trace(rootfs, call, node).outcome
}

/// [`execve`] with the way that led to its outcome. A property of the node that is not known makes the outcome unknown
/// only where it changes it.
pub fn trace(rootfs: &RootFs<FileKind>, call: &Exec, node: &Node) -> Trace {
    let kernel = compat::kernel(node.arch);
    let (base, asked) = run(rootfs, call, node, kernel, None);
    let open = |needs: Needs| needs.met(node) == Fact::Unknown;
    let needs = [Needs::Ia32, Needs::X32, Needs::Aarch32, Needs::Compat];
    let flips = needs
        .iter()
        .zip(asked.needs)
        .filter(|(needs, asked)| *asked && open(**needs))
        .map(|(needs, _)| Flip::Needs(*needs));
    let kernel_flip = (asked.kernel && node.kernel == Fact::Unknown).then_some(Flip::Kernel);
    for flip in flips.chain(kernel_flip) {
        let (other, _) = run(rootfs, call, node, kernel, Some(flip));
        if other.outcome != base.outcome {
            let at = base.steps.last().map_or_else(String::new, |step| step.typed.clone());
            let cause = Cause { code: "node-unknown", text: flip.question().to_string() };
            return Trace { outcome: Outcome::Unknown { at, cause }, ..base };
        }
    }
    base
}

/// A property that is not known, taken the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flip {
    Needs(Needs),
    Kernel,
}

impl Flip {
    fn question(self) -> &'static str {
        match self {
            Flip::Needs(needs) => needs.question(),
            Flip::Kernel => {
                "whether this node's kernel is 6.17 or newer is not known, and older ones refuse that many program headers"
            }
        }
    }
}

fn assume(node: &Node, kernel: &Kernel, flip: Option<Flip>) -> Assumed {
    let has = |needs: Needs, usual: bool| needs.met(node).known().unwrap_or(usual ^ (flip == Some(Flip::Needs(needs))));
    Assumed {
        ia32: has(Needs::Ia32, true),
        x32: has(Needs::X32, false),
        aarch32: has(Needs::Aarch32, true),
        compat: has(Needs::Compat, true),
        is_before_6_17: node.kernel.known().map_or(flip != Some(Flip::Kernel), |version| version < (6, 17)),
        page: node.page_size.known().unwrap_or(kernel.page_sizes[0]),
        asked: Cell::new(Asked::default()),
    }
}

/// One run with every property of the node taken one way or the other.
fn run(
    rootfs: &RootFs<FileKind>,
    call: &Exec,
    node: &Node,
    kernel: &'static Kernel,
    flip: Option<Flip>,
) -> (Trace, Asked) {
    let assumed = assume(node, kernel, flip);
    let end = |outcome| (Trace { outcome, steps: Vec::new(), doubts: Vec::new(), says: Vec::new() }, Asked::default());
    let who = match Who::parse(&call.user, rootfs) {
        Ok(who) => who,
        Err(access::NoSuchUser(text)) => {
            let at = call.user.clone();
            return end(Outcome::Fails { errno: Errno::ENOENT, at, cause: Cause { code: "unknown-user", text } });
        }
    };
    let cwd = rootfs.resolve(&call.working_dir).unwrap_or(rootfs.root());
    let (steps, doubts, says) = (RefCell::default(), RefCell::default(), RefCell::default());
    let machine = Machine { rootfs, node, kernel, who, cwd, assumed, steps, doubts, says };
    let outcome = match lookup::program(&machine, call) {
        Err(outcome) => outcome,
        Ok(path) => {
            let argv: Vec<Vec<u8>> = call.argv.iter().map(|word| word.clone().into_bytes()).collect();
            machine.run(&path, &argv, &call.env, Link::Call)
        }
    };
    let asked = machine.assumed.asked.get();
    let (steps, doubts) = (machine.steps.into_inner(), machine.doubts.into_inner());
    let says = machine.says.into_inner();
    (Trace { outcome, steps, doubts, says }, asked)
}

#[cfg(test)]
#[path = "exec/tests.rs"]
pub(crate) mod tests;
