//! Splits a function into basic blocks with their successors, and finds the blocks that every call passes.

use std::collections::VecDeque;

use super::calls::CallEnd;
use super::graph::{Edges, post_order};
use super::steps::{BranchGuard, Callee, Compared, Decode, Detail, FunctionSteps, InstructionFlow, Test};
use crate::platform::CpuFeature;

/// Maximum number of instructions that are decoded per function.
const FUNCTION: usize = 1 << 18;

/// Maximum number of comparisons for finding the joins of one function.
const JOIN_STEPS: usize = 1 << 20;

/// The code around a function, provided by the search.
pub trait SurroundingCode<'b> {
    fn bytes(&self, address: u64) -> Option<&'b [u8]>;
    /// Whether a function starts at `address`.
    fn is_function_start(&self, address: u64) -> bool;
    /// The start of the first function after `address`.
    fn function_after(&self, address: u64) -> Option<u64>;
    fn call_end(&mut self, callee: Callee) -> CallEnd;
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

impl BlockEnd {
    /// How a block ends with a call that passes this first argument. `None` if the call returns.
    fn after_call(end: CallEnd, argument: Callee) -> Option<BlockEnd> {
        match end {
            CallEnd::Returns | CallEnd::ReturnsHandle => None,
            CallEnd::Never => Some(BlockEnd::Dead),
            // A program that refuses to run passes a status other than 0.
            CallEnd::ByStatus if matches!(argument, Callee::At(status) if status != 0) => Some(BlockEnd::Dead),
            CallEnd::ByStatus => Some(BlockEnd::Exit),
            CallEnd::Succeeds => Some(BlockEnd::Leave),
        }
    }
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
    /// Returns to the caller, jumps to code that is not followed, or starts another program.
    Leave,
    /// Ends the program, perhaps after it has done its work.
    Exit,
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
    /// The parameters that are pointers or numbers, one bit each.
    numbers: u8,
    /// Instructions decoded.
    pub cost: usize,
    pub is_partial: bool,
}

impl CodeFunction {
    /// Decodes the function at `entry`, following its jumps, at most `budget` instructions. `decoder` knows no values.
    /// `steps` may contain another function's.
    pub fn decode<'b>(
        entry: u64,
        decoder: impl Decode,
        code: &mut dyn SurroundingCode<'b>,
        budget: usize,
        steps: &mut FunctionSteps,
    ) -> CodeFunction {
        let limit = budget.min(FUNCTION);
        steps.restart(entry);
        let mut pending = VecDeque::from([(entry, decoder)]);
        let mut function =
            CodeFunction { entry, blocks: Vec::new(), queries_cpu: false, numbers: 0, cost: 0, is_partial: false };
        // A block is decoded with the values of the first path that leads to it.
        while let Some((start, mut decoder)) = pending.pop_front() {
            let mut at = start;
            let Some(mut run) = code.bytes(start).map(|bytes| decoder.run(bytes, start)) else { continue };
            let mut function_end = code.function_after(start);
            while steps.position(at).is_none() {
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
                let Some(mut step) = decoder.step(&mut run) else { break };
                if let InstructionFlow::Jump(target) = step.flow
                    && target != entry
                    && code.is_function_start(target)
                {
                    step.flow = decoder.tail_call(target);
                }
                function.cost += 1;
                function.queries_cpu |= step.queries_cpu;
                function.numbers |= step.numbers;
                let (next, flow) = (step.next, step.flow);
                steps.push(at, &step);
                let targets: [Option<u64>; 2] = match flow {
                    InstructionFlow::Next => [None, None],
                    InstructionFlow::Call { callee, .. } => {
                        match code.call_end(callee) {
                            CallEnd::Never | CallEnd::ByStatus | CallEnd::Succeeds => break,
                            CallEnd::ReturnsHandle => decoder.returned_handle(),
                            CallEnd::Returns => {}
                        }
                        [None, None]
                    }
                    InstructionFlow::Jump(target) => [Some(target), None],
                    InstructionFlow::Branch { target, .. } => [Some(target), Some(next)],
                    InstructionFlow::Leave { .. } | InstructionFlow::Return | InstructionFlow::Trap => break,
                };
                for target in targets.into_iter().flatten() {
                    if steps.leaders.insert(target) && steps.position(target).is_none() {
                        pending.push_back((target, decoder.clone()));
                    }
                }
                if targets[0].is_some() {
                    break;
                }
                at = next;
            }
        }
        let mut leaders: Vec<u64> = steps.leaders.iter().copied().collect();
        leaders.sort_unstable();
        function.form_blocks(steps, &leaders, code);
        function
    }

    /// `leaders` are the addresses at which blocks start, in ascending order.
    fn form_blocks<'b>(&mut self, steps: &FunctionSteps, leaders: &[u64], code: &mut dyn SurroundingCode<'b>) {
        self.blocks.reserve(leaders.len());
        for (number, leader) in leaders.iter().enumerate() {
            let (mut block, mut at, mut position) = (CodeBlock::default(), *leader, steps.position(*leader));
            let mut following = leaders[number + 1..].iter().copied().peekable();
            loop {
                let Some((index, step)) = position.map(|index| (index, steps.at(index))) else {
                    // What follows was not decoded, so it may return.
                    block.end = if self.is_partial { BlockEnd::Leave } else { BlockEnd::Dead };
                    break;
                };
                let next = at.wrapping_add(u64::from(step.length));
                if let Some(detail) = steps.detail(step) {
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
                let end = BlockEnd::after_call(code.call_end(callee), arguments[0]);
                block.end = end.unwrap_or_default();
                return end.is_some();
            }
            InstructionFlow::Jump(target) => block.end = BlockEnd::Goto(target),
            InstructionFlow::Branch { target, guard } => {
                let is_first =
                    |test: &Test| !self.queries_cpu && steps.first_store(test.variable).is_none_or(|store| store > at);
                let decided = detail.test.filter(is_first).and_then(|test| {
                    let is_equal = match (code.initial(test.variable, test.size)?, test.with) {
                        (value, Compared::Number(number)) => value == number,
                        // A variable that nothing has set yet.
                        (0, Compared::Returned) => false,
                        (_, Compared::Returned) => return None,
                    };
                    Some(if is_equal == test.is_taken_if_equal { target } else { next })
                });
                let is_guard = self.queries_cpu
                    || match guard {
                        BranchGuard::Never => false,
                        BranchGuard::Perhaps => true,
                        BranchGuard::Parameter(index) => self.numbers >> index & 1 == 0,
                    };
                let branch = BlockEnd::Branch { taken: target, other: next, is_guard };
                block.end = decided.map_or(branch, BlockEnd::Goto);
            }
            InstructionFlow::Leave { callee, arguments } => {
                block.events.push(CodeEvent::Calls(callee, arguments));
                block.end = BlockEnd::after_call(code.call_end(callee), arguments[0]).unwrap_or(BlockEnd::Leave);
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
            BlockEnd::Leave | BlockEnd::Exit | BlockEnd::Dead => [None, None],
        }
    }

    /// For each block, the next one that every path to the function's exit passes. Paths that never return are ignored,
    /// except those that may end the program after it has done its work.
    /// `None` if this takes more than [`JOIN_STEPS`].
    /// Source: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm", on the reversed graph.
    fn joins(&self) -> Option<Vec<Option<usize>>> {
        let leaves = |block: &CodeBlock| match block.end {
            BlockEnd::Leave | BlockEnd::Exit => true,
            BlockEnd::Goto(_) | BlockEnd::Branch { .. } | BlockEnd::Dead => false,
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_exits_with_an_error_refuses_and_another_has_done_its_work() {
        let end = |end: CallEnd, status: Callee| BlockEnd::after_call(end, status);
        assert_eq!(end(CallEnd::ByStatus, Callee::At(1)), Some(BlockEnd::Dead));
        assert_eq!(end(CallEnd::ByStatus, Callee::At(0)), Some(BlockEnd::Exit));
        assert_eq!(end(CallEnd::ByStatus, Callee::Unknown), Some(BlockEnd::Exit));
        assert_eq!(end(CallEnd::Never, Callee::At(0)), Some(BlockEnd::Dead));
        assert_eq!(end(CallEnd::Succeeds, Callee::Unknown), Some(BlockEnd::Leave));
        assert_eq!(end(CallEnd::Returns, Callee::At(0)), None);
    }

    #[test]
    fn what_follows_a_cpu_check_whose_other_path_ends_the_program_does_not_count() {
        let others = |end: BlockEnd, is_guard: bool| {
            let block = |start: u64, end: BlockEnd| (start, CodeBlock { events: Vec::new(), end });
            let branch = BlockEnd::Branch { taken: 2, other: 1, is_guard };
            let function = CodeFunction {
                entry: 0,
                blocks: vec![block(0, branch), block(1, end), block(2, BlockEnd::Leave)],
                queries_cpu: false,
                numbers: 0,
                cost: 3,
                is_partial: false,
            };
            let reach = function.reach();
            (reach.certain.clone(), reach.others().collect::<Vec<_>>())
        };
        assert_eq!(others(BlockEnd::Exit, true), (vec![0], vec![]));
        assert_eq!(others(BlockEnd::Exit, false), (vec![0], vec![1, 2]));
        // A program that refuses to run on an older CPU.
        assert_eq!(others(BlockEnd::Dead, true), (vec![0, 2], vec![]));
    }
}
