//! Splits a function into basic blocks with their successors, and finds the blocks that every call passes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::{Bound, Range};

use foldhash::fast::FixedState;

use super::graph::{Edges, post_order};
use crate::platform::CpuFeature;

/// Maximum number of instructions that are decoded per function.
const FUNCTION: usize = 1 << 18;

/// Maximum number of comparisons for finding the joins of one function.
const JOIN_STEPS: usize = 1 << 20;

/// One decoded instruction.
#[derive(Debug)]
pub struct DecodedStep {
    /// The address after it.
    pub next: u64,
    pub flow: InstructionFlow,
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

/// The address and length of a decoded instruction, and its index in [`FunctionSteps::details`].
#[derive(Clone, Copy, Debug)]
struct Located {
    at: u64,
    length: u32,
    detail: u32,
}

/// The index of an instruction that only continues at the next one, as most do.
const PLAIN: u32 = u32::MAX;

/// What an instruction does besides continuing at the next one.
#[derive(Debug)]
struct Detail {
    flow: InstructionFlow,
    needs: Option<CpuFeature>,
    test: Option<Test>,
}

/// The instructions of a function, in runs of consecutive ones.
#[derive(Debug, Default)]
struct FunctionSteps {
    list: Vec<Located>,
    details: Vec<Detail>,
    /// The variables that are written, each with the lowest address of an instruction that does.
    stores: HashMap<u64, u64, FixedState>,
    /// The indexes of a run's instructions in `list`, by the address of the first.
    runs: BTreeMap<u64, Range<usize>>,
}

impl FunctionSteps {
    fn push(&mut self, at: u64, step: &DecodedStep) {
        if let Some(variable) = step.stores {
            let first = self.stores.entry(variable).or_insert(at);
            *first = (*first).min(at);
        }
        let length = u32::try_from(step.next.wrapping_sub(at)).unwrap_or(u32::MAX);
        let is_plain = step.flow == InstructionFlow::Next && step.needs.is_none();
        let detail = if is_plain { PLAIN } else { u32::try_from(self.details.len()).unwrap_or(PLAIN) };
        if !is_plain {
            self.details.push(Detail { flow: step.flow, needs: step.needs, test: step.test });
        }
        self.list.push(Located { at, length, detail });
    }

    /// The index of the instruction at `at`, if it has been decoded.
    fn position(&self, at: u64) -> Option<usize> {
        let (_, run) = self.runs.range(..=at).next_back()?;
        let found = self.list[run.clone()].binary_search_by_key(&at, |step| step.at).ok()?;
        Some(run.start + found)
    }

    /// The index of the instruction at `at`, which usually follows the one with this index.
    fn position_after(&self, index: usize, at: u64) -> Option<usize> {
        let is_next = self.list.get(index + 1).is_some_and(|step| step.at == at);
        if is_next { Some(index + 1) } else { self.position(at) }
    }

    /// The first run that starts after `at`.
    fn run_after(&self, at: u64) -> Option<u64> {
        self.runs.range((Bound::Excluded(at), Bound::Unbounded)).next().map(|(start, _)| *start)
    }
}

/// The control flow after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionFlow {
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

/// Decodes the instructions of a path one by one, and tracks the registers' values along it. A clone decodes a path that
/// branches off.
pub trait Decode: Clone {
    /// The instruction at `address`. `None` if the bytes are not an instruction.
    fn step(&mut self, code: &[u8], address: u64) -> Option<DecodedStep>;
    /// A jump to another function.
    fn tail_call(&self, target: u64) -> InstructionFlow;
}

/// The code around a function, provided by the search.
pub trait SurroundingCode<'b> {
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
pub enum CodeEvent {
    /// The instruction at this address needs the feature.
    Needs(CpuFeature, u64),
    /// A call or a tail jump, with its first arguments.
    Calls(Callee, [Callee; 2]),
}

#[derive(Debug, Default)]
pub struct CodeBlock {
    /// In the order of execution.
    pub events: Vec<CodeEvent>,
    pub end: BlockEnd,
}

impl CodeBlock {
    /// The arguments of its calls.
    pub fn calls(&self) -> impl Iterator<Item = [Callee; 2]> {
        self.events.iter().filter_map(|event| match event {
            CodeEvent::Calls(_, arguments) => Some(*arguments),
            CodeEvent::Needs(..) => None,
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlockEnd {
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
pub struct CodeFunction {
    pub entry: u64,
    /// By the address of the first instruction, in ascending order.
    pub blocks: Vec<(u64, CodeBlock)>,
    /// Whether it queries the CPU, so that any of its branches may depend on the result.
    pub queries_cpu: bool,
    /// Instructions decoded.
    pub cost: usize,
    pub is_partial: bool,
}

impl CodeFunction {
    /// Decodes the function at `entry`, following its jumps, at most `budget` instructions. `decoder` knows no values.
    pub fn decode<'b>(
        entry: u64,
        decoder: impl Decode,
        code: &mut dyn SurroundingCode<'b>,
        budget: usize,
    ) -> CodeFunction {
        let limit = budget.min(FUNCTION);
        let mut steps = FunctionSteps::default();
        let mut leaders: HashSet<u64, FixedState> = HashSet::from_iter([entry]);
        let mut pending = VecDeque::from([(entry, decoder)]);
        let mut function = CodeFunction { entry, blocks: Vec::new(), queries_cpu: false, cost: 0, is_partial: false };
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
                if let InstructionFlow::Jump(target) = step.flow
                    && target != entry
                    && code.is_function_start(target)
                {
                    step.flow = decoder.tail_call(target);
                }
                function.cost += 1;
                function.queries_cpu |= step.queries_cpu;
                let (next, flow) = (step.next, step.flow);
                steps.push(at, &step);
                let targets: [Option<u64>; 2] = match flow {
                    InstructionFlow::Next => [None, None],
                    InstructionFlow::Call { callee, .. } if code.never_returns(callee) => break,
                    InstructionFlow::Call { .. } => [None, None],
                    InstructionFlow::Jump(target) => [Some(target), None],
                    InstructionFlow::Branch { target, .. } => [Some(target), Some(next)],
                    InstructionFlow::Leave { .. } | InstructionFlow::Return | InstructionFlow::Trap => break,
                };
                for target in targets.into_iter().flatten() {
                    if leaders.insert(target) {
                        pending.push_back((target, decoder.clone()));
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
        let mut leaders: Vec<u64> = leaders.into_iter().collect();
        leaders.sort_unstable();
        function.form_blocks(&steps, &leaders, code);
        function
    }

    /// `leaders` are the addresses at which blocks start, in ascending order.
    fn form_blocks<'b>(&mut self, steps: &FunctionSteps, leaders: &[u64], code: &mut dyn SurroundingCode<'b>) {
        self.blocks.reserve(leaders.len());
        for (number, leader) in leaders.iter().enumerate() {
            let (mut block, mut at, mut position) = (CodeBlock::default(), *leader, steps.position(*leader));
            let mut following = leaders[number + 1..].iter().copied().peekable();
            loop {
                let Some((index, step)) = position.map(|index| (index, steps.list[index])) else {
                    // What follows was not decoded, so it may return.
                    block.end = if self.is_partial { BlockEnd::Leave } else { BlockEnd::Dead };
                    break;
                };
                let next = at.wrapping_add(u64::from(step.length));
                if let Some(detail) = steps.details.get(step.detail as usize) {
                    block.events.extend(detail.needs.map(|feature| CodeEvent::Needs(feature, at)));
                    if self.ends_block(&mut block, (at, next), detail, steps, code) {
                        break;
                    }
                }
                at = next;
                while following.next_if(|leader| *leader < at).is_some() {}
                if following.peek() == Some(&at) {
                    block.end = BlockEnd::Goto(at);
                    break;
                }
                position = steps.position_after(index, at);
            }
            self.blocks.push((*leader, block));
        }
    }

    /// Adds what an instruction does to its block. Returns whether the block ends with it. `at` and `next` are its
    /// address and the one after it.
    fn ends_block<'b>(
        &self,
        block: &mut CodeBlock,
        (at, next): (u64, u64),
        detail: &Detail,
        steps: &FunctionSteps,
        code: &mut dyn SurroundingCode<'b>,
    ) -> bool {
        match detail.flow {
            InstructionFlow::Next => return false,
            InstructionFlow::Call { callee, arguments } => {
                block.events.push(CodeEvent::Calls(callee, arguments));
                return code.never_returns(callee);
            }
            InstructionFlow::Jump(target) => block.end = BlockEnd::Goto(target),
            InstructionFlow::Branch { target, is_guard } => {
                let is_first =
                    |test: &Test| !self.queries_cpu && steps.stores.get(&test.variable).is_none_or(|store| *store > at);
                let decided = detail.test.filter(is_first).and_then(|test| {
                    let is_equal = match (code.initial(test.variable, test.size)?, test.with) {
                        (value, Compared::Number(number)) => value == number,
                        // A variable that nothing has set yet.
                        (0, Compared::Returned) => false,
                        (_, Compared::Returned) => return None,
                    };
                    Some(if is_equal == test.is_taken_if_equal { target } else { next })
                });
                let branch = BlockEnd::Branch { taken: target, other: next, is_guard: is_guard || self.queries_cpu };
                block.end = decided.map_or(branch, BlockEnd::Goto);
            }
            InstructionFlow::Leave { callee, arguments } => {
                block.events.push(CodeEvent::Calls(callee, arguments));
                block.end = if code.never_returns(callee) { BlockEnd::Dead } else { BlockEnd::Leave };
            }
            InstructionFlow::Return => block.end = BlockEnd::Leave,
            InstructionFlow::Trap => {}
        }
        true
    }

    fn index(&self, start: u64) -> Option<usize> {
        self.blocks.binary_search_by_key(&start, |(start, _)| *start).ok()
    }

    /// The block that starts at this address.
    pub fn block(&self, start: u64) -> Option<&CodeBlock> {
        Some(&self.blocks[self.index(start)?].1)
    }

    /// The indexes of the blocks that may follow a block.
    fn successors(&self, block: usize) -> [Option<usize>; 2] {
        match self.blocks[block].1.end {
            BlockEnd::Goto(next) => [self.index(next), None],
            BlockEnd::Branch { taken, other, .. } => [self.index(taken), self.index(other)],
            BlockEnd::Leave | BlockEnd::Dead => [None, None],
        }
    }

    /// For each block, the next one that every path to the function's exit passes. Paths that never return are ignored.
    /// `None` if this takes more than [`JOIN_STEPS`].
    /// Source: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm", on the reversed graph.
    fn joins(&self) -> Option<Vec<Option<usize>>> {
        let leaves = |block: &CodeBlock| block.end == BlockEnd::Leave;
        let any = self.blocks.iter().any(|(_, block)| leaves(block));
        let exit = self.blocks.len();
        let next = |node: usize| {
            let to = self.successors(node);
            // If no block returns, every block without a successor is an exit.
            let is_exit = leaves(&self.blocks[node].1) || (!any && to == [None, None]);
            if is_exit { [Some(exit), None] } else { to }
        };
        let next: Vec<[Option<usize>; 2]> = (0..exit).map(next).collect();
        let edges = next.iter().enumerate().flat_map(|(from, to)| to.iter().flatten().map(move |to| (*to, from)));
        let order = post_order(exit, &Edges::new(exit + 1, edges));
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
                let known = next[node].iter().flatten().copied().filter(|to| join[*to] != usize::MAX);
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
        let found = |node: &usize| Some(*node).filter(|node| *node < exit);
        (steps <= JOIN_STEPS).then(|| join[..exit].iter().map(found).collect())
    }

    /// The blocks that every call passes, and those that a call may pass regardless of the CPU.
    pub fn reach(&self) -> CodeReach {
        let joins = self.joins();
        let is_partial = joins.is_none();
        let joins = joins.unwrap_or_else(|| vec![None; self.blocks.len()]);
        let entry = self.index(self.entry);
        let certain: Vec<usize> =
            std::iter::successors(entry, |block| joins[*block]).take(self.blocks.len() + 1).collect();
        let (mut probable, mut pending) = (vec![false; self.blocks.len()], Vec::from_iter(entry));
        while let Some(block) = pending.pop() {
            if std::mem::replace(&mut probable[block], true) {
                continue;
            }
            match self.blocks[block].1.end {
                BlockEnd::Branch { is_guard: true, .. } => pending.extend(joins[block]),
                _ => pending.extend(self.successors(block).into_iter().flatten()),
            }
        }
        CodeReach { certain, probable, is_partial }
    }
}

/// Blocks of a function, by their indexes.
#[derive(Debug)]
pub struct CodeReach {
    /// In the order of execution.
    pub certain: Vec<usize>,
    /// For each block, whether a call may pass it.
    probable: Vec<bool>,
    /// Whether the blocks that every call passes are unknown, except the first one.
    pub is_partial: bool,
}

impl CodeReach {
    /// The blocks that a call may pass, except those that every call passes, in the order of their addresses.
    pub fn others(&self) -> impl Iterator<Item = usize> {
        let mut others = self.probable.clone();
        self.certain.iter().for_each(|block| others[*block] = false);
        (0..others.len()).filter(move |block| others[*block])
    }
}
