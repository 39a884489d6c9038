//! What a node does with the call that starts a container, step by step: a model of Linux's execve and of what comes
//! right after it, held to the answers of real kernels by the tests. Pure: it knows files only as `inspect` saw them.
//! Not modelled, because no image tells: `noexec` mounts, security modules, files open for writing. Of capabilities it
//! knows a file's own and the node's bounding set.

mod after;
mod cause;
pub(crate) mod cpu;
pub(crate) mod kernel;
pub(crate) mod launch;
pub(crate) mod loader;
pub mod messages;
pub mod outcome;

pub use cause::{Cause, CauseKind};
pub use outcome::{Death, Errno, Exec, Outcome};

use std::cell::{Cell, RefCell};

use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::platform::compat::{self, Kernel, Needs};
use crate::platform::{Capabilities, Fact, Node};

use kernel::access::{self, Who};
use kernel::binfmt::{Asked, Assumed, Machine};
use kernel::cwd::Cwd;
use launch::follow::{Ran, Walk};
use launch::lookup;

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
    pub ends: Ends,
    /// What a runtime's search comes to that is made as root, as crun's is, where nothing could be executed.
    pub as_root: AsRoot,
}

/// A search for the program as root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AsRoot {
    #[default]
    FindsNothing,
    Finds(String),
    /// Why the last file of that name was refused, and the errno.
    Refuses(CauseKind, Errno),
}

/// How far a trace saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ends {
    /// To the program itself.
    #[default]
    Seen,
    /// To here: what comes next is decided at run time, and why.
    DecidedAtRunTime(String),
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
    /// The wrapper or script of this name starts it.
    Command(String),
}

/// What execve does with `call` on `node`, and what happens right after, up to the program's own code. A wrapper or shell
/// that starts counts as the program: what it starts in its turn is for [`trace`].
pub fn execve(rootfs: &RootFs<FileKind>, call: &Exec, node: &Node) -> Outcome {
    ask(rootfs, call, node, Reach::Program).outcome
}

/// The whole way of `call` on `node`: [`execve`], then through wrappers, shells and entry scripts to the program that the
/// call is for, as far as the image tells.
pub fn trace(rootfs: &RootFs<FileKind>, call: &Exec, node: &Node) -> Trace {
    ask(rootfs, call, node, Reach::Chain)
}

/// How far a call is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Program,
    Chain,
}

/// What is asked of the model.
struct Question<'q> {
    rootfs: &'q RootFs<FileKind>,
    call: &'q Exec,
    node: &'q Node,
    kernel: &'static Kernel,
    reach: Reach,
}

/// A property of the node that is not known makes the outcome unknown only where it changes it.
fn ask(rootfs: &RootFs<FileKind>, call: &Exec, node: &Node, reach: Reach) -> Trace {
    let question = Question { rootfs, call, node, kernel: compat::kernel(node.arch), reach };
    let (base, asked) = run(&question, None);
    let open = |needs: Needs| needs.met(node) == Fact::Unknown;
    let needs = [Needs::Ia32, Needs::X32, Needs::Aarch32, Needs::Compat];
    let flips = needs
        .iter()
        .zip(asked.needs)
        .filter(|(needs, asked)| *asked && open(**needs))
        .map(|(needs, _)| Flip::Needs(*needs));
    let kernel_flip = (asked.kernel && node.kernel == Fact::Unknown).then_some(Flip::Kernel);
    for flip in flips.chain(kernel_flip) {
        let (other, _) = run(&question, Some(flip));
        if other.outcome != base.outcome {
            let at = base.steps.last().map_or_else(String::new, |step| step.typed.clone());
            let cause = Cause { kind: CauseKind::NodeUnknown, text: flip.question().to_string() };
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
fn run(question: &Question<'_>, flip: Option<Flip>) -> (Trace, Asked) {
    let Question { rootfs, call, node, kernel, reach } = *question;
    let (who, refusal) = match Who::parse(&call.user, rootfs) {
        Ok(who) => (who, None),
        Err(access::NoSuchUser(text)) => (Who::Unknown, Some(text)),
    };
    let (cwd, no_cwd) = match Cwd::parse(rootfs, &call.working_dir) {
        Ok(cwd) => (cwd, None),
        Err(outcome) => (Cwd::root(rootfs), Some(outcome)),
    };
    let overrides = node.bounding.contains(Capabilities::DAC_OVERRIDE);
    let who = if who == Who::Root && !overrides { Who::User { uid: 0, gids: vec![0] } } else { who };
    let machine = |who: Who| Machine {
        rootfs,
        overrides: Cell::new(overrides),
        node,
        kernel,
        who,
        cwd: cwd.clone(),
        assumed: assume(node, kernel, flip),
        steps: RefCell::default(),
        doubts: RefCell::default(),
        says: RefCell::default(),
        ends: RefCell::default(),
    };
    let as_root = machine(Who::Root);
    let machine = machine(who);
    let outcome = match (refusal, no_cwd, lookup::program(&machine, call)) {
        (Some(text), ..) => {
            let cause = Cause { kind: CauseKind::UnknownUser, text };
            Outcome::Fails { errno: Errno::ENOENT, at: call.user.clone(), cause }
        }
        (None, Some(outcome), _) | (None, None, Err(outcome)) => outcome,
        (None, None, Ok(path)) => start(&machine, &path, call, reach),
    };
    let is_failure = matches!(outcome, Outcome::Fails { .. });
    let as_root = if is_failure { lookup::as_root(&as_root, call) } else { AsRoot::default() };
    let asked = machine.assumed.asked.get();
    let (steps, doubts) = (machine.steps.into_inner(), machine.doubts.into_inner());
    let (says, ends) = (machine.says.into_inner(), machine.ends.into_inner());
    (Trace { outcome, steps, doubts, says, ends, as_root }, asked)
}

fn start(machine: &Machine<'_>, path: &[u8], call: &Exec, reach: Reach) -> Outcome {
    let argv: Vec<Vec<u8>> = call.argv.iter().map(|word| word.clone().into_bytes()).collect();
    match reach {
        Reach::Chain => {
            let walk = Walk { env: call.env.clone(), depth: 0, is_open: false };
            machine.walk(path, &argv, &walk, Link::Call)
        }
        Reach::Program => match machine.start(path, &argv, &call.env, Link::Call) {
            Ok(Ran { emulated: Some(by), .. }) => Outcome::Emulated { by },
            Ok(_) => Outcome::Runs,
            Err(outcome) => outcome,
        },
    }
}

#[cfg(test)]
pub(crate) mod tests;
