//! Splits a function into basic blocks with their successors, and finds the blocks that every call passes.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::{Bound, Range};

use crate::platform::CpuFeature;

/// Maximum number of instructions that are decoded per function.
const FUNCTION: usize = 1 << 18;

/// Maximum number of comparisons for finding the joins of one function.
const JOIN_STEPS: usize = 1 << 20;

/// One decoded instruction.
#[derive(Debug)]
pub struct Step {
    /// The address after it.
    pub next: u64,
    pub flow: Flow,
    pub needs: Option<CpuFeature>,
    /// Whether it reads the CPU's features: `cpuid`, `xgetbv`, an ID register.
    pub queries_cpu: bool,
    /// For a branch: the comparison that decides it, if it compares a variable with a number.
    pub test: Option<Test>,
    /// The variable that it writes.
    pub stores: Option<u64>,
}

/// What a variable is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    Number(u64),
    /// A pointer or a handle that a call returned.
    Returned,
}

/// Whether a variable equals something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// The address of the variable.
    pub variable: u64,
    /// Its size in bytes.
    pub size: u64,
    pub with: Compared,
    /// Whether the branch is taken if they are equal, or if they are not.
    pub is_taken_if_equal: bool,
}

/// The instructions of a function, in runs of consecutive ones.
#[derive(Debug, Default)]
struct Steps {
    list: Vec<(u64, Step)>,
    /// The indexes of a run's instructions in `list`, by the address of the first.
    runs: BTreeMap<u64, Range<usize>>,
}

impl Steps {
    /// The index of the instruction at `at`, if it has been decoded.
    fn position(&self, at: u64) -> Option<usize> {
        let (_, run) = self.runs.range(..=at).next_back()?;
        let found = self.list[run.clone()].binary_search_by_key(&at, |(address, _)| *address).ok()?;
        Some(run.start + found)
    }

    /// The index of the instruction at `at`, which usually follows the one with this index.
    fn position_after(&self, index: usize, at: u64) -> Option<usize> {
        let is_next = self.list.get(index + 1).is_some_and(|(address, _)| *address == at);
        if is_next { Some(index + 1) } else { self.position(at) }
    }

    /// The first run that starts after `at`.
    fn run_after(&self, at: u64) -> Option<u64> {
        self.runs.range((Bound::Excluded(at), Bound::Unbounded)).next().map(|(start, _)| *start)
    }
}

/// The control flow after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Next,
    Jump(u64),
    /// A conditional branch. `is_guard`: its condition may depend on a CPU check.
    Branch {
        target: u64,
        is_guard: bool,
    },
    Call {
        callee: Callee,
        arguments: [Callee; 2],
    },
    /// A jump through memory or a register.
    Leave {
        callee: Callee,
        arguments: [Callee; 2],
    },
    Return,
    /// Never continues: `ud2`, `hlt`, `brk`.
    Trap,
}

/// The target of a call or a tail jump, or a pointer that is passed as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    At(u64),
    /// The pointer stored at this address.
    Slot(u64),
    Unknown,
}

/// Decodes the instructions of a path one by one, and tracks the registers' values along it.
pub trait Decode {
    /// Forgets the registers' values.
    fn reset(&mut self);
    /// A decoder for a path that branches off here.
    fn fork(&self) -> Box<dyn Decode>;
    /// The instruction at `address`. `None` if the bytes are not an instruction.
    fn step(&mut self, code: &[u8], address: u64) -> Option<Step>;
    /// A jump to another function.
    fn tail_call(&self, target: u64) -> Flow;
    fn mnemonic(&self, code: &[u8], address: u64) -> String;
}

/// The code around a function, provided by the search.
pub trait Code<'b> {
    fn bytes(&self, address: u64) -> Option<&'b [u8]>;
    /// Whether a function starts at `address`.
    fn is_function_start(&self, address: u64) -> bool;
    /// The start of the first function after `address`.
    fn function_after(&self, address: u64) -> Option<u64>;
    fn never_returns(&mut self, callee: Callee) -> bool;
    /// The value that a variable has when the file has been loaded.
    fn initial(&self, variable: u64, size: u64) -> Option<u64>;
}

/// What a block does that matters to the search.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The instruction at this address needs the feature.
    Needs(CpuFeature, u64),
    /// A call or a tail jump, with its first arguments.
    Calls(Callee, [Callee; 2]),
}

#[derive(Debug, Default)]
pub struct Block {
    /// In the order of execution.
    pub events: Vec<Event>,
    pub end: End,
}

impl Block {
    /// The arguments of its calls.
    pub fn calls(&self) -> impl Iterator<Item = [Callee; 2]> {
        self.events.iter().filter_map(|event| match event {
            Event::Calls(_, arguments) => Some(*arguments),
            Event::Needs(..) => None,
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    Goto(u64),
    Branch {
        taken: u64,
        other: u64,
        is_guard: bool,
    },
    /// Returns to the caller, or jumps to code that is not followed.
    Leave,
    /// Never continues.
    #[default]
    Dead,
}

#[derive(Debug)]
pub struct Function {
    pub entry: u64,
    pub blocks: BTreeMap<u64, Block>,
    /// Whether it queries the CPU, so that any of its branches may depend on the result.
    pub queries_cpu: bool,
    /// Instructions decoded.
    pub cost: usize,
    pub is_partial: bool,
}

impl Function {
    /// Decodes the function at `entry`, following its jumps, at most `budget` instructions.
    pub fn decode<'b>(entry: u64, decoder: &mut dyn Decode, code: &mut dyn Code<'b>, budget: usize) -> Function {
        let limit = budget.min(FUNCTION);
        let (mut steps, mut leaders) = (Steps::default(), BTreeSet::from([entry]));
        decoder.reset();
        let mut pending = VecDeque::from([(entry, decoder.fork())]);
        let mut function = Function { entry, blocks: BTreeMap::new(), queries_cpu: false, cost: 0, is_partial: false };
        // A block is decoded with the values of the first path that leads to it.
        while let Some((start, mut decoder)) = pending.pop_front() {
            if steps.position(start).is_some() {
                continue;
            }
            let first = steps.list.len();
            let mut at = start;
            // Where the run may reach decoded code or another function.
            let (mut decoded, mut function_end) = (steps.run_after(start), code.function_after(start));
            loop {
                if decoded.is_some_and(|decoded| at >= decoded) {
                    if steps.position(at).is_some() {
                        break;
                    }
                    decoded = steps.run_after(at);
                }
                if function.cost >= limit {
                    function.is_partial = true;
                    break;
                }
                if function_end.is_some_and(|end| at >= end) {
                    if code.is_function_start(at) {
                        break;
                    }
                    function_end = code.function_after(at);
                }
                let Some(mut step) = code.bytes(at).and_then(|bytes| decoder.step(bytes, at)) else { break };
                if let Flow::Jump(target) = step.flow
                    && target != entry
                    && code.is_function_start(target)
                {
                    step.flow = decoder.tail_call(target);
                }
                function.cost += 1;
                function.queries_cpu |= step.queries_cpu;
                let (next, flow) = (step.next, step.flow);
                steps.list.push((at, step));
                let targets: [Option<u64>; 2] = match flow {
                    Flow::Next => [None, None],
                    Flow::Call { callee, .. } if code.never_returns(callee) => break,
                    Flow::Call { .. } => [None, None],
                    Flow::Jump(target) => [Some(target), None],
                    Flow::Branch { target, .. } => [Some(target), Some(next)],
                    Flow::Leave { .. } | Flow::Return | Flow::Trap => break,
                };
                for target in targets.into_iter().flatten() {
                    if leaders.insert(target) {
                        pending.push_back((target, decoder.fork()));
                    }
                }
                if targets[0].is_some() {
                    break;
                }
                at = next;
            }
            if steps.list.len() > first {
                steps.runs.insert(start, first..steps.list.len());
            }
        }
        function.form_blocks(&steps, &leaders, code);
        function
    }

    fn form_blocks<'b>(&mut self, steps: &Steps, leaders: &BTreeSet<u64>, code: &mut dyn Code<'b>) {
        let mut first_store = HashMap::new();
        for (at, step) in &steps.list {
            if let Some(variable) = step.stores {
                let first = first_store.entry(variable).or_insert(*at);
                *first = (*first).min(*at);
            }
        }
        for leader in leaders {
            let (mut block, mut at, mut position) = (Block::default(), *leader, steps.position(*leader));
            let leader_after = |at: u64| leaders.range((Bound::Excluded(at), Bound::Unbounded)).next().copied();
            let mut end = leader_after(at);
            loop {
                let Some((index, step)) = position.map(|index| (index, &steps.list[index].1)) else {
                    // What follows was not decoded, so it may return.
                    block.end = if self.is_partial { End::Leave } else { End::Dead };
                    break;
                };
                block.events.extend(step.needs.map(|feature| Event::Needs(feature, at)));
                match step.flow {
                    Flow::Next => {}
                    Flow::Call { callee, arguments } => {
                        block.events.push(Event::Calls(callee, arguments));
                        if code.never_returns(callee) {
                            break;
                        }
                    }
                    Flow::Jump(target) => {
                        block.end = End::Goto(target);
                        break;
                    }
                    Flow::Branch { target, is_guard } => {
                        let is_first = |test: &Test| {
                            !self.queries_cpu && first_store.get(&test.variable).is_none_or(|store| *store > at)
                        };
                        let decided = step.test.filter(is_first).and_then(|test| {
                            let is_equal = match (code.initial(test.variable, test.size)?, test.with) {
                                (value, Compared::Number(number)) => value == number,
                                // A variable that nothing has set yet.
                                (0, Compared::Returned) => false,
                                (_, Compared::Returned) => return None,
                            };
                            Some(if is_equal == test.is_taken_if_equal { target } else { step.next })
                        });
                        let branch =
                            End::Branch { taken: target, other: step.next, is_guard: is_guard || self.queries_cpu };
                        block.end = decided.map_or(branch, End::Goto);
                        break;
                    }
                    Flow::Leave { callee, arguments } => {
                        block.events.push(Event::Calls(callee, arguments));
                        block.end = if code.never_returns(callee) { End::Dead } else { End::Leave };
                        break;
                    }
                    Flow::Return => {
                        block.end = End::Leave;
                        break;
                    }
                    Flow::Trap => break,
                }
                at = step.next;
                if end.is_some_and(|end| at >= end) {
                    if leaders.contains(&at) {
                        block.end = End::Goto(at);
                        break;
                    }
                    end = leader_after(at);
                }
                position = steps.position_after(index, at);
            }
            self.blocks.insert(*leader, block);
        }
    }

    fn successors(&self, block: u64) -> [Option<u64>; 2] {
        match self.blocks.get(&block).map(|block| block.end) {
            Some(End::Goto(next)) => [Some(next), None],
            Some(End::Branch { taken, other, .. }) => [Some(taken), Some(other)],
            Some(End::Leave | End::Dead) | None => [None, None],
        }
    }

    /// For each block, the next one that every path to the function's exit passes. Paths that never return are ignored.
    /// `None` if this takes more than [`JOIN_STEPS`].
    /// Source: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm", on the reversed graph.
    fn joins(&self) -> Option<BTreeMap<u64, u64>> {
        let starts: Vec<u64> = self.blocks.keys().copied().collect();
        let index: BTreeMap<u64, usize> = starts.iter().enumerate().map(|(index, start)| (*start, index)).collect();
        let leaves = |block: &Block| block.end == End::Leave;
        let any = self.blocks.values().any(leaves);
        let exit = starts.len();
        let mut next: Vec<Vec<usize>> = Vec::with_capacity(exit + 1);
        for (start, block) in &self.blocks {
            let mut to: Vec<usize> =
                self.successors(*start).into_iter().flatten().filter_map(|to| index.get(&to).copied()).collect();
            // If no block returns, every block without a successor is an exit.
            if leaves(block) || (!any && to.is_empty()) {
                to.push(exit);
            }
            next.push(to);
        }
        next.push(Vec::new());
        let mut before = vec![Vec::new(); exit + 1];
        for (from, to) in next.iter().enumerate() {
            to.iter().for_each(|to| before[*to].push(from));
        }
        let order = post_order(exit, &before);
        let mut rank = vec![usize::MAX; exit + 1];
        order.iter().enumerate().for_each(|(position, node)| rank[*node] = position);
        let mut join = vec![usize::MAX; exit + 1];
        join[exit] = exit;
        let (mut has_changed, mut steps) = (true, 0);
        while has_changed {
            if steps > JOIN_STEPS {
                return None;
            }
            has_changed = false;
            for node in order.iter().rev().copied().filter(|node| *node != exit) {
                let known = next[node].iter().copied().filter(|to| join[*to] != usize::MAX);
                let found = known.reduce(|mut a, mut b| {
                    while a != b && steps <= JOIN_STEPS {
                        let lower = if rank[a] < rank[b] { &mut a } else { &mut b };
                        *lower = join[*lower];
                        steps += 1;
                    }
                    a
                });
                if let Some(found) = found.filter(|found| join[node] != *found) {
                    join[node] = found;
                    has_changed = true;
                }
            }
        }
        let is_block = |node: usize| node != usize::MAX && node != exit;
        let joins = (0..exit).filter(|node| is_block(join[*node])).map(|node| (starts[node], starts[join[node]]));
        (steps <= JOIN_STEPS).then(|| joins.collect())
    }

    /// The blocks that every call passes, and those that a call may pass regardless of the CPU.
    pub fn reach(&self) -> Reach {
        let joins = self.joins();
        let is_partial = joins.is_none();
        let joins = joins.unwrap_or_default();
        let certain: Vec<u64> = std::iter::successors(Some(self.entry), |block| joins.get(block).copied())
            .take(self.blocks.len() + 1)
            .collect();
        let (mut probable, mut pending) = (BTreeSet::new(), vec![self.entry]);
        while let Some(block) = pending.pop() {
            if !probable.insert(block) {
                continue;
            }
            match self.blocks.get(&block).map(|block| block.end) {
                Some(End::Branch { is_guard: true, .. }) => pending.extend(joins.get(&block)),
                _ => pending.extend(self.successors(block).into_iter().flatten()),
            }
        }
        Reach { certain, probable, is_partial }
    }
}

#[derive(Debug)]
pub struct Reach {
    /// In the order of execution.
    pub certain: Vec<u64>,
    pub probable: BTreeSet<u64>,
    /// Whether the blocks that every call passes are unknown, except the first one.
    pub is_partial: bool,
}

fn post_order(root: usize, edges: &[Vec<usize>]) -> Vec<usize> {
    let (mut order, mut seen, mut stack) = (Vec::new(), vec![false; edges.len()], vec![(root, 0)]);
    seen[root] = true;
    while let Some((node, child)) = stack.pop() {
        match edges[node].get(child) {
            Some(next) => {
                stack.push((node, child + 1));
                if !seen[*next] {
                    seen[*next] = true;
                    stack.push((*next, 0));
                }
            }
            None => order.push(node),
        }
    }
    order
}
