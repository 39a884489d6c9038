//! Models how a node handles the call that starts a container: Linux's execve and the steps right after it. The tests
//! check the model against real kernels. Pure: it only knows files as `inspect` describes them. Not modelled, because
//! images do not record them: `noexec` mounts, security modules, files open for writing. The only capabilities that it
//! knows are a file's own and the node's bounding set.

mod after;
mod cause;
pub(crate) mod cpu;
pub(crate) mod environment;
pub(crate) mod kernel;
pub(crate) mod launch;
pub(crate) mod loader;
mod log;
pub mod messages;
pub mod outcome;

pub use self::log::{AsRoot, Certainty, Followed, Link, OpenedFile, Risk, Trace};
pub use cause::{Cause, CauseKind};
pub(crate) use kernel::why::describe as describe_kind;
pub(crate) use launch::interpret::UNKNOWN_TEXT;
pub use outcome::{Death, Errno, Exec, Outcome, RootRefusal};

use std::rc::Rc;

use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::platform::compat::{self, KernelCompat, LoaderNeed};
use crate::platform::{Capabilities, Fact, Node};

use self::log::{Asked, Log};
use kernel::access::{self, Who};
use kernel::assumed::{Flip, assume};
use kernel::binfmt::ExecMachine;
use kernel::cwd::Cwd;
use launch::lookup;
use launch::walk::{Ran, StartWalk};

/// Returns the result of `call` on `node`: of execve and of the steps after it, up to the program's own code. A wrapper
/// or shell that starts counts as the program; [`trace`] also follows what it starts.
pub fn execve(rootfs: &RootFs<FileKind>, call: &Exec, node: &Node) -> Outcome {
    evaluate(rootfs, call, node, FollowDepth::Program).outcome
}

/// Follows `call` on `node` through [`execve`], wrappers, shells and entry scripts to the program that the call is for,
/// as far as the image determines it.
pub fn trace(rootfs: &RootFs<FileKind>, call: &Exec, node: &Node) -> Trace {
    evaluate(rootfs, call, node, FollowDepth::Chain)
}

/// How far to follow a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FollowDepth {
    Program,
    Chain,
}

/// The input of the model.
struct ExecQuestion<'q> {
    rootfs: &'q RootFs<FileKind>,
    call: &'q Exec,
    node: &'q Node,
    kernel: &'static KernelCompat,
    reach: FollowDepth,
}

/// Runs the model. An unknown node property makes the outcome unknown only if it changes the outcome.
fn evaluate(rootfs: &RootFs<FileKind>, call: &Exec, node: &Node, reach: FollowDepth) -> Trace {
    let question = ExecQuestion { rootfs, call, node, kernel: compat::kernel(node.arch), reach };
    let (base, asked) = run(&question, None);
    let open = |needs: LoaderNeed| needs.met(node) == Fact::Unknown;
    let needs = [LoaderNeed::Ia32, LoaderNeed::X32, LoaderNeed::Aarch32, LoaderNeed::Compat];
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

/// Runs the model once, with a value assumed for every unknown node property.
fn run(question: &ExecQuestion<'_>, flip: Option<Flip>) -> (Trace, Asked) {
    let (outcome, as_root, log) = run_logged(question, flip);
    let Log { steps, doubts, says, followed, risks, visited, tried, arguments, lines, asked, .. } = log;
    (Trace { outcome, steps, doubts, says, followed, risks, visited, tried, arguments, lines, as_root }.shown(), asked)
}

fn run_logged(question: &ExecQuestion<'_>, flip: Option<Flip>) -> (Outcome, AsRoot, Log) {
    let ExecQuestion { rootfs, call, node, kernel, reach } = *question;
    if let Some(refused) = &call.refused {
        let cause = Cause { kind: CauseKind::RootRefused, text: refused.to_string() };
        let at = call.argv.first().cloned().unwrap_or_default();
        let outcome = Outcome::Fails { errno: Errno::EPERM, at, cause };
        return (outcome, AsRoot::default(), Log::default());
    }
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
    let who = who.joined_to(&call.groups);
    let machine = |who: Who| ExecMachine {
        rootfs,
        node,
        kernel,
        who,
        cwd: cwd.clone(),
        changes: Rc::default(),
        assumed: assume(node, kernel, flip),
    };
    let as_root = machine(Who::Root);
    let machine = machine(who);
    let mut log = Log { overrides, ..Log::default() };
    let outcome = match (refusal, no_cwd, lookup::program(&machine, &mut log, call)) {
        (Some(text), ..) => {
            let cause = Cause { kind: CauseKind::UnknownUser, text };
            Outcome::Fails { errno: Errno::ENOENT, at: call.user.clone(), cause }
        }
        (None, Some(outcome), _) | (None, None, Err(outcome)) => outcome,
        (None, None, Ok(path)) => start(&machine, &mut log, &path, call, reach),
    };
    let is_failure = matches!(outcome, Outcome::Fails { .. });
    let as_root = if is_failure { lookup::as_root(&as_root, &mut Log::default(), call) } else { AsRoot::default() };
    (outcome, as_root, log)
}

/// Returns the cost of following `call`: the interpreter's steps and bytes.
#[cfg(test)]
fn cost(rootfs: &RootFs<FileKind>, call: &Exec, node: &Node) -> (usize, usize) {
    let question = ExecQuestion { rootfs, call, node, kernel: compat::kernel(node.arch), reach: FollowDepth::Chain };
    let (_, _, log) = run_logged(&question, None);
    (log.budget.steps, log.budget.bytes)
}

fn start(machine: &ExecMachine<'_>, log: &mut Log, path: &[u8], call: &Exec, reach: FollowDepth) -> Outcome {
    let argv: Vec<Vec<u8>> = call.argv.iter().map(|word| word.clone().into_bytes()).collect();
    match reach {
        FollowDepth::Chain => {
            let walk = StartWalk {
                env: call.env.clone(),
                depth: 0,
                is_open: false,
                keeps_programs: false,
                user: None,
                has_new_accounts: false,
                has_new_directories: false,
                has_new_modes: false,
                has_new_environment: false,
                made: Rc::default(),
                stdin: None,
                image_path: None,
            };
            let outcome = machine.walk(log, path, &argv, &walk, Link::Call);
            let is_open = matches!(log.followed, Followed::Partial { .. }) && !log.has_program;
            // Where following stops, the words of the call indicate what the container is for.
            match outcome {
                Outcome::Runs if is_open => machine.unfollowed(log, call, &walk).unwrap_or(Outcome::Runs),
                outcome => outcome,
            }
        }
        FollowDepth::Program => match machine.start(log, path, &argv, &call.env, Link::Call) {
            Ok(Ran { emulated: Some(by), .. }) => Outcome::Emulated { by },
            Ok(_) => Outcome::Runs,
            Err(outcome) => outcome,
        },
    }
}

#[cfg(test)]
pub(crate) mod tests;
