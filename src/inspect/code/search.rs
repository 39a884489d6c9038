//! Searches from the roots along direct calls. Each function is decoded and summarised once.

use std::cell::{Cell, OnceCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use foldhash::fast::FixedState;

use super::binary::{ElfBinary, Pointer};
use super::blocks::{CodeEvent, CodeFunction, SurroundingCode};
use super::calls::{CallEnd, callback};
use super::decoder::CodeDecoder;
use super::layout::DecodedArch;
use super::steps::{Callee, Decode, FunctionSteps, InstructionFlow};
use super::{CodeNeeds, CodeRoot, CodeUse, arm, arm64, spread, x86};
use crate::platform::CpuFeature;

/// Number of instructions within which a function must turn out to never return.
const NEVER_RETURNS: usize = 48;
/// Maximum number of entries of a Python module's slot table.
const SLOTS: u64 = 16;
/// Maximum number of instructions of a `main` that only calls a runtime, such as Rust's.
const STUB: usize = 24;

/// What a function does on each call, and what it probably does.
#[derive(Debug)]
struct Body {
    /// In the order of execution.
    certain: Vec<CodeEvent>,
    probable: Vec<CodeEvent>,
}

/// A function that is probably called, or whose certain part has been followed.
struct PendingFunction {
    /// An index into [`CodeSearch::roots`].
    root: usize,
    body: Rc<Body>,
    is_called: bool,
}

thread_local! {
    /// The memory of the last search, so that it is allocated once.
    static STEPS: Cell<FunctionSteps> = Cell::default();
}

pub struct CodeSearch<'b> {
    binary: &'b ElfBinary<'b>,
    roots: Vec<CodeRoot>,
    /// Functions that are certainly called, and those whose calls have been followed at all.
    called: HashSet<u64, FixedState>,
    reached: HashSet<u64, FixedState>,
    pending: VecDeque<PendingFunction>,
    /// How functions of this file end, by their addresses.
    ends: HashMap<u64, CallEnd, FixedState>,
    /// How calls end.
    call_ends: HashMap<Callee, CallEnd, FixedState>,
    /// How the C library's functions in a static program end, if they do not simply return.
    known: OnceCell<HashMap<u64, CallEnd, FixedState>>,
    /// The functions that an entry point passes to the C library as `main`.
    mains: HashSet<u64, FixedState>,
    /// The instructions of the function that was decoded last.
    steps: FunctionSteps,
    budget: DecodeBudget,
    left: usize,
    needs: CodeNeeds,
}

/// Maximum number of instructions that are decoded.
#[derive(Clone, Copy, Debug)]
pub struct DecodeBudget {
    /// In functions that are certainly called. If they have more, the search is partial.
    pub certain: usize,
    /// In functions that are probably called.
    pub probable: usize,
}

impl<'b> CodeSearch<'b> {
    pub fn new(binary: &'b ElfBinary<'b>, budget: DecodeBudget) -> CodeSearch<'b> {
        let (roots, called, reached, pending, ends, call_ends, known, mains, needs) = Default::default();
        let (steps, left) = (STEPS.take(), budget.certain);
        CodeSearch {
            binary,
            roots,
            called,
            reached,
            pending,
            ends,
            call_ends,
            known,
            mains,
            steps,
            budget,
            left,
            needs,
        }
    }

    /// Searches from the function at `address`, which the runtime calls.
    pub fn enter(&mut self, root: CodeRoot, address: u64) {
        let is_entry = root == CodeRoot::Entry;
        self.roots.push(root);
        let root = self.roots.len() - 1;
        self.follow(root, address);
        if is_entry {
            for main in self.handed_over(address) {
                self.mains.insert(main);
                self.follow(root, main);
                let (inner, is_rust) = self.stub_of(main);
                for inner in inner {
                    if is_rust {
                        self.follow(root, inner);
                    }
                    self.suppose(root, inner);
                }
            }
        }
    }

    /// Follows the calls that are always made, in the order of execution.
    fn follow(&mut self, root: usize, address: u64) {
        let mut stack: Vec<(Rc<Body>, usize)> = self.call(root, address).into_iter().map(|body| (body, 0)).collect();
        while let Some((body, position)) = stack.last_mut() {
            let Some(event) = body.certain.get(*position).copied() else {
                stack.pop();
                continue;
            };
            *position += 1;
            match event {
                CodeEvent::Needs(feature, address) => self.keep(root, feature, address, true),
                CodeEvent::Calls(callee, arguments) => {
                    for target in self.targets(callee, arguments).into_iter().rev() {
                        stack.extend(self.call(root, target).map(|body| (body, 0)));
                    }
                }
            }
        }
    }

    /// The body of a function that is certainly called, unless it has been followed.
    fn call(&mut self, root: usize, address: u64) -> Option<Rc<Body>> {
        if !self.called.insert(address) {
            return None;
        }
        let body = Rc::new(self.body(address, true)?);
        self.reached.insert(address);
        self.pending.push_back(PendingFunction { root, body: body.clone(), is_called: false });
        Some(body)
    }

    /// Queues a function that is probably called.
    fn suppose(&mut self, root: usize, address: u64) {
        if self.left > 0
            && self.reached.insert(address)
            && let Some(body) = self.body(address, false)
        {
            self.pending.push_back(PendingFunction { root, body: Rc::new(body), is_called: true });
        }
    }

    /// Follows the calls that are probably made.
    fn follow_probable(&mut self) {
        self.left = self.budget.probable;
        while let Some(PendingFunction { root, body, is_called }) = self.pending.pop_front() {
            let certain = if is_called { &body.certain[..] } else { &[] };
            for event in certain.iter().chain(&body.probable) {
                match *event {
                    CodeEvent::Needs(feature, address) => self.keep(root, feature, address, false),
                    CodeEvent::Calls(callee, arguments) => {
                        for target in self.targets(callee, arguments) {
                            self.suppose(root, target);
                        }
                    }
                }
            }
        }
    }

    fn keep(&mut self, root: usize, feature: CpuFeature, address: u64, is_certain: bool) {
        let map = if is_certain { &mut self.needs.certain } else { &mut self.needs.probable };
        let order = u32::try_from(map.len()).unwrap_or(u32::MAX);
        let (binary, roots) = (self.binary, &self.roots);
        map.entry(feature).or_insert_with(|| CodeUse {
            order,
            address: binary.machine.plain(address),
            mnemonic: binary
                .code(address)
                .map_or(String::new(), |code| CodeDecoder::mnemonic(binary.machine, code, address)),
            root: roots[root].clone(),
            symbol: None,
        });
    }

    pub fn finish(mut self) -> CodeNeeds {
        let binary = self.binary;
        if binary.machine == DecodedArch::X86 {
            let found = spread::spread(&binary.segments());
            self.roots.push(CodeRoot::Everywhere);
            for (feature, address) in found {
                self.keep(self.roots.len() - 1, feature, address, true);
            }
        }
        self.follow_probable();
        let CodeNeeds { certain, probable, .. } = &mut self.needs;
        probable.retain(|feature, _| !certain.contains_key(feature));
        for found in certain.values_mut().chain(probable.values_mut()) {
            found.symbol = binary.function(found.address).map(str::to_string);
        }
        STEPS.set(self.steps);
        self.needs
    }

    fn decode(&mut self, entry: u64) -> CodeFunction {
        let budget = self.left;
        let mut steps = std::mem::take(&mut self.steps);
        let decoder = CodeDecoder::new(self.binary.machine).of_function();
        let decoder = if self.mains.contains(&entry) { decoder.of_main() } else { decoder };
        let function = CodeFunction::decode(entry, decoder, self, budget, &mut steps);
        self.steps = steps;
        // A call costs something even if it leads to bytes that are not an instruction.
        self.left = self.left.saturating_sub(function.cost.max(1));
        function
    }

    /// Decodes a function. `None` if the budget is used up.
    fn body(&mut self, entry: u64, is_certain: bool) -> Option<Body> {
        if self.left == 0 {
            self.needs.is_partial |= is_certain;
            return None;
        }
        let function = self.decode(entry);
        let reach = function.reach();
        self.needs.is_partial |= is_certain && (function.is_partial || reach.is_partial);
        let events = |block: usize| function.blocks[block].1.events.iter().copied();
        Some(Body {
            certain: reach.certain.iter().copied().flat_map(events).collect(),
            probable: reach.others().flat_map(events).collect(),
        })
    }

    /// The functions of this file that a call reaches.
    fn targets(&self, callee: Callee, arguments: [Callee; 2]) -> Vec<u64> {
        match self.resolve(callee) {
            Some(Pointer::Here(address)) => vec![address],
            // Python calls the functions in the module's definition.
            Some(Pointer::Import("PyModuleDef_Init")) => {
                self.argument(arguments[0]).map_or(Vec::new(), |def| self.exec_slots(def))
            }
            Some(Pointer::Import(name)) => {
                let called = callback(name).and_then(|index| self.argument(*arguments.get(index)?));
                called.filter(|called| self.binary.code(*called).is_some()).into_iter().collect()
            }
            None => Vec::new(),
        }
    }

    /// The address in this file that an argument points to.
    fn argument(&self, argument: Callee) -> Option<u64> {
        match argument {
            Callee::At(address) => Some(address),
            Callee::Slot(slot) => match self.binary.pointer(slot)? {
                Pointer::Here(address) => Some(address),
                Pointer::Import(_) => None,
            },
            Callee::Unknown => None,
        }
    }

    fn resolve(&self, callee: Callee) -> Option<Pointer<'b>> {
        let address = match callee {
            Callee::Unknown => return None,
            Callee::Slot(slot) => return self.binary.pointer(slot),
            Callee::At(address) => address,
        };
        match stub_slot(self.binary, address) {
            Some(slot) => self.binary.pointer(slot),
            None => Some(Pointer::Here(address)),
        }
    }

    /// `Py_mod_create` and `Py_mod_exec` of a PyModuleDef. Source: CPython's Include/moduleobject.h.
    fn exec_slots(&self, def: u64) -> Vec<u64> {
        // PyModuleDef has nine words before `m_slots`. A slot is an integer, padded to a word, and a pointer.
        let word = self.binary.word_size();
        let here = |address: u64| match self.binary.pointer(address) {
            Some(Pointer::Here(value)) => Some(value),
            _ => None,
        };
        let Some(slots) = here(def.wrapping_add(9 * word)) else { return Vec::new() };
        let entry = |index: u64| {
            let at = slots.checked_add(index * 2 * word)?;
            Some((self.binary.word(at)?, at + word))
        };
        (0..SLOTS)
            .map_while(entry)
            .take_while(|(id, _)| *id != 0)
            .filter(|(id, _)| *id <= 2)
            .filter_map(|(_, at)| here(at))
            .collect()
    }

    /// The `main` that an entry point passes to `__libc_start_main` as the first argument.
    fn handed_over(&mut self, entry: u64) -> Vec<u64> {
        let function = self.decode(entry);
        let first = function.block(entry).and_then(|block| block.calls().next());
        let main = first.and_then(|arguments| self.argument(arguments[0]));
        // The argument may be a text, if the entry point is not the usual one.
        let is_function = |main: &u64| !self.binary.lists_functions() || self.binary.is_function_start(*main);
        main.filter(|main| self.binary.code(*main).is_some() && is_function(main)).into_iter().collect()
    }

    /// The functions that a short `main` passes to its language's runtime, and whether that is Rust's, which calls its
    /// one function always. Rust's `main` passes the function's address, or that of a closure on the stack which holds it.
    fn stub_of(&mut self, main: u64) -> (Vec<u64>, bool) {
        let function = self.decode(main);
        if function.cost > STUB || function.blocks.len() > 1 {
            return (Vec::new(), false);
        }
        let mut inner = self.constants(main, function.cost);
        let (mut is_rust, events) = (false, function.blocks.iter().flat_map(|(_, block)| &block.events));
        for event in events {
            if let CodeEvent::Calls(callee, arguments) = event {
                inner.extend(self.argument(arguments[0]));
                is_rust |= self.is_rust_closure(*arguments);
                let called = match self.resolve(*callee) {
                    Some(Pointer::Here(called)) => called,
                    Some(Pointer::Import(name)) => {
                        is_rust |= name.contains("lang_start");
                        continue;
                    }
                    None => continue,
                };
                inner.retain(|address| *address != called);
                is_rust |= self.binary.function(called).is_some_and(|name| name.contains("lang_start"));
                is_rust |= self.passes_rust_closure(called);
            }
        }
        inner.retain(|inner| *inner != main && self.binary.is_function_start(*inner));
        inner.sort_unstable();
        inner.dedup();
        is_rust &= inner.len() == 1;
        (inner, is_rust)
    }

    /// Whether a short function passes a closure to Rust's runtime, as `std::rt::lang_start` does in a program that was
    /// compiled without optimisation.
    fn passes_rust_closure(&mut self, address: u64) -> bool {
        let function = self.decode(address);
        let mut calls = function.blocks.iter().flat_map(|(_, block)| block.calls());
        function.cost <= STUB && calls.any(|arguments| self.is_rust_closure(arguments))
    }

    /// Whether the second argument is the vtable of the closure that `std::rt::lang_start` makes of a program's `main`:
    /// nothing to drop, the size and alignment of a pointer, and three functions, of which the last two are the same.
    /// Source: Rust's `library/std/src/rt.rs` and rustc's `vtable.rs`.
    fn is_rust_closure(&self, arguments: [Callee; 2]) -> bool {
        let Some(vtable) = self.argument(arguments[1]) else { return false };
        let word = self.binary.word_size();
        let at = |index: u64| vtable.checked_add(index * word);
        let number = |index: u64| self.binary.initial(at(index)?, word);
        let function = |index: u64| match self.binary.pointer(at(index)?)? {
            Pointer::Here(address) => self.binary.is_function_start(address).then_some(address),
            Pointer::Import(_) => None,
        };
        let header = [0, 1, 2].map(number);
        let functions = [3, 4, 5].map(function);
        header == [Some(0), Some(word), Some(word)]
            && functions[0].is_some()
            && functions[1] == functions[2]
            && functions[1].is_some()
    }

    /// The constants in the registers, and those that are stored, in a run of instructions.
    fn constants(&self, start: u64, count: usize) -> Vec<u64> {
        let mut decoder = CodeDecoder::new(self.binary.machine);
        let (mut at, mut found) = (start, Vec::new());
        for _ in 0..count {
            let Some(bytes) = self.binary.code(at) else { break };
            let Some(step) = decoder.step(&mut decoder.run(bytes, at)) else { break };
            found.extend(decoder.constants(bytes, at));
            at = step.next;
        }
        found
    }

    /// How a function of this file ends, if its code up to the first branch shows it.
    fn end_of(&mut self, start: u64, depth: usize) -> CallEnd {
        if let Some(known) = self.ends.get(&start) {
            return *known;
        }
        self.ends.insert(start, CallEnd::Returns);
        let end = self.known_end(start).unwrap_or_else(|| self.search_end(start, depth));
        self.ends.insert(start, end);
        end
    }

    fn known_end(&self, start: u64) -> Option<CallEnd> {
        if !self.binary.is_static_program() {
            return None;
        }
        let ends = || {
            let ends = self.binary.named_functions().map(|(address, name)| (address, CallEnd::of_name(name)));
            ends.filter(|(_, end)| *end != CallEnd::Returns).collect()
        };
        self.known.get_or_init(ends).get(&start).copied()
    }

    fn search_end(&mut self, start: u64, depth: usize) -> CallEnd {
        let mut decoder = CodeDecoder::new(self.binary.machine);
        let mut run = self.binary.code(start).map(|code| decoder.run(code, start));
        let mut function_end = self.binary.function_after(start);
        for _ in 0..NEVER_RETURNS {
            let Some(step) = run.as_mut().and_then(|run| decoder.step(run)) else { break };
            self.left = self.left.saturating_sub(1);
            match step.flow {
                InstructionFlow::Next => {}
                InstructionFlow::Jump(target) => {
                    run = self.binary.code(target).map(|code| decoder.run(code, target));
                    function_end = self.binary.function_after(target);
                }
                InstructionFlow::Call { callee, arguments } | InstructionFlow::Leave { callee, arguments } => {
                    let end = match self.resolve(callee) {
                        Some(Pointer::Import(name)) => CallEnd::of_name(name),
                        Some(Pointer::Here(target)) if depth < 3 => self.end_of(target, depth + 1),
                        Some(Pointer::Here(_)) | None => CallEnd::Returns,
                    };
                    match end {
                        CallEnd::Returns | CallEnd::ReturnsHandle => {}
                        CallEnd::ByStatus if arguments[0] == Callee::At(0) => return CallEnd::Succeeds,
                        CallEnd::ByStatus | CallEnd::Never => return CallEnd::Never,
                        CallEnd::Succeeds => return CallEnd::Succeeds,
                    }
                    if matches!(step.flow, InstructionFlow::Leave { .. }) {
                        break;
                    }
                    // Nothing follows a call that never returns.
                    if function_end == Some(step.next) {
                        return CallEnd::Never;
                    }
                }
                InstructionFlow::Trap => return CallEnd::Never,
                InstructionFlow::Return | InstructionFlow::Branch { .. } => break,
            }
        }
        CallEnd::Returns
    }
}

impl<'b> SurroundingCode<'b> for CodeSearch<'b> {
    fn bytes(&self, address: u64) -> Option<&'b [u8]> {
        self.binary.code(address)
    }

    fn is_function_start(&self, address: u64) -> bool {
        self.binary.is_function_start(address)
    }

    fn function_after(&self, address: u64) -> Option<u64> {
        self.binary.function_after(address)
    }

    fn call_end(&mut self, callee: Callee) -> CallEnd {
        if callee == Callee::Unknown {
            return CallEnd::Returns;
        }
        if let Some(known) = self.call_ends.get(&callee) {
            return *known;
        }
        let end = match self.resolve(callee) {
            Some(Pointer::Import(name)) => CallEnd::of_name(name),
            Some(Pointer::Here(address)) => self.end_of(address, 0),
            None => CallEnd::Returns,
        };
        self.call_ends.insert(callee, end);
        end
    }

    fn initial(&self, variable: u64, size: u64) -> Option<u64> {
        self.binary.initial(variable, size)
    }
}

/// The slot through which a PLT entry at `address` jumps.
fn stub_slot(binary: &ElfBinary<'_>, address: u64) -> Option<u64> {
    let code = binary.code(address)?;
    match binary.machine {
        DecodedArch::X86 => x86::stub(code, address),
        DecodedArch::Arm64 => arm64::stub(code, address),
        DecodedArch::Arm => arm::stub(code, address),
    }
}
