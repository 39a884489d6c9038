//! Searches from the roots along direct calls. Each function is decoded and summarised once.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use super::binary::{Binary, Pointer};
use super::blocks::{Block, Callee, Code, Decode, Event, Flow, Function};
use super::layout::Machine;
use super::{CodeNeeds, CodeUse, Root, arm, arm64, spread, x86};
use crate::platform::CpuFeature;

/// Maximum depth of calls that are followed.
const DEPTH: usize = 96;
/// Number of instructions within which a function must turn out to never return.
const NEVER_RETURNS: usize = 48;
/// Maximum number of entries of a Python module's slot table.
const SLOTS: u64 = 16;
/// Maximum number of instructions of a `main` that only calls a runtime, such as Rust's.
const STUB: usize = 24;

/// Functions that do not return. Source: C11 7.22.4, the Itanium C++ ABI, glibc.
const NEVER: &[&str] = &[
    "exit",
    "_exit",
    "_Exit",
    "quick_exit",
    "abort",
    "__stack_chk_fail",
    "__assert_fail",
    "__fortify_fail",
    "__chk_fail",
    "longjmp",
    "__longjmp_chk",
    "_Unwind_Resume",
    "__cxa_throw",
    "__cxa_rethrow",
    "__cxa_bad_cast",
    "__cxa_throw_bad_array_new_length",
    "__cxa_pure_virtual",
    "_ZSt9terminatev",
    "pthread_exit",
    "err",
    "errx",
    "Py_FatalError",
    "_Py_FatalErrorFunc",
];

/// The CPU features that a function and its callees need, each with the address of the first instruction, in the order
/// in which they are executed.
#[derive(Debug, Default)]
struct Summary {
    certain: Vec<(CpuFeature, u64)>,
    probable: Vec<(CpuFeature, u64)>,
}

/// Adds the features that are not known yet.
fn add_all(known: &mut Vec<(CpuFeature, u64)>, more: &[(CpuFeature, u64)]) {
    for (feature, address) in more {
        if !known.iter().any(|(other, _)| other == feature) {
            known.push((*feature, *address));
        }
    }
}

pub struct Search<'b> {
    binary: &'b Binary<'b>,
    decoder: Box<dyn Decode>,
    summaries: HashMap<u64, Rc<Summary>>,
    in_work: BTreeSet<u64>,
    never: HashMap<u64, bool>,
    left: usize,
    needs: CodeNeeds,
}

impl<'b> Search<'b> {
    pub fn new(binary: &'b Binary<'b>, budget: usize) -> Search<'b> {
        let decoder: Box<dyn Decode> = match binary.machine {
            Machine::X86 => Box::new(x86::Decoder::default()),
            Machine::Arm64 => Box::new(arm64::Decoder::default()),
            Machine::Arm => Box::new(arm::Decoder::default()),
        };
        let (summaries, in_work, never) = Default::default();
        Search { binary, decoder, summaries, in_work, never, left: budget, needs: CodeNeeds::default() }
    }

    /// Searches from the function at `address`, which the runtime calls.
    pub fn enter(&mut self, root: &Root, address: u64) {
        let summary = self.sum_up(address, 0);
        self.keep(root, &summary, true);
        if *root == Root::Entry {
            for main in self.handed_over(address) {
                let summary = self.sum_up(main, 0);
                self.keep(root, &summary, true);
                for inner in self.stub_of(main) {
                    let summary = self.sum_up(inner, 0);
                    self.keep(root, &summary, false);
                }
            }
        }
    }

    fn keep(&mut self, root: &Root, summary: &Summary, is_certain: bool) {
        let (binary, decoder) = (self.binary, &self.decoder);
        let found = |address: u64, order: usize| CodeUse {
            order: u32::try_from(order).unwrap_or(u32::MAX),
            address: binary.machine.plain(address),
            mnemonic: binary.code(address).map_or(String::new(), |code| decoder.mnemonic(code, address)),
            root: root.clone(),
            symbol: None,
        };
        for (feature, address) in &summary.certain {
            let map = if is_certain { &mut self.needs.certain } else { &mut self.needs.probable };
            let order = map.len();
            map.entry(*feature).or_insert_with(|| found(*address, order));
        }
        for (feature, address) in &summary.probable {
            let order = self.needs.probable.len();
            self.needs.probable.entry(*feature).or_insert_with(|| found(*address, order));
        }
    }

    pub fn finish(mut self) -> CodeNeeds {
        let binary = self.binary;
        if binary.machine == Machine::X86 {
            let found = spread::spread(&binary.segments());
            self.keep(&Root::Everywhere, &Summary { certain: found, probable: Vec::new() }, true);
        }
        let CodeNeeds { certain, probable, .. } = &mut self.needs;
        probable.retain(|feature, _| !certain.contains_key(feature));
        for found in certain.values_mut().chain(probable.values_mut()) {
            found.symbol = binary.function(found.address).map(str::to_string);
        }
        self.needs
    }

    fn decode(&mut self, entry: u64) -> Function {
        let mut decoder = std::mem::replace(&mut self.decoder, Box::new(x86::Decoder::default()));
        let budget = self.left;
        let function = Function::decode(entry, decoder.as_mut(), self, budget);
        self.decoder = decoder;
        self.left -= function.cost.min(self.left);
        self.needs.is_partial |= function.is_partial;
        function
    }

    fn sum_up(&mut self, entry: u64, depth: usize) -> Rc<Summary> {
        if let Some(summary) = self.summaries.get(&entry) {
            return summary.clone();
        }
        if self.left == 0 || depth > DEPTH {
            self.needs.is_partial = true;
            return Rc::default();
        }
        if !self.in_work.insert(entry) {
            return Rc::default();
        }
        let function = self.decode(entry);
        let reach = function.reach();
        let mut summary = Summary::default();
        let others = reach.probable.iter().filter(|start| !reach.certain.contains(start));
        for start in reach.certain.iter().chain(others) {
            let Some(block) = function.blocks.get(start) else { continue };
            let is_certain = reach.certain.contains(start);
            for event in &block.events {
                match event {
                    Event::Needs(feature, address) => {
                        let known = if is_certain { &mut summary.certain } else { &mut summary.probable };
                        add_all(known, &[(*feature, *address)]);
                    }
                    Event::Calls(callee, arguments) => {
                        for target in self.targets(*callee, *arguments) {
                            let inner = self.sum_up(target, depth + 1);
                            let known = if is_certain { &mut summary.certain } else { &mut summary.probable };
                            add_all(known, &inner.certain);
                            add_all(&mut summary.probable, &inner.probable);
                        }
                    }
                }
            }
        }
        self.in_work.remove(&entry);
        let summary = Rc::new(summary);
        self.summaries.insert(entry, summary.clone());
        summary
    }

    /// The functions of this file that a call reaches.
    fn targets(&self, callee: Callee, arguments: [Callee; 2]) -> Vec<u64> {
        match self.resolve(callee) {
            Some(Pointer::Here(address)) => vec![address],
            // Python calls the functions in the module's definition.
            Some(Pointer::Import("PyModuleDef_Init")) => {
                self.argument(arguments[0]).map_or(Vec::new(), |def| self.exec_slots(def))
            }
            Some(Pointer::Import(_)) | None => Vec::new(),
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
        let first = function.blocks.get(&entry).and_then(|block| block.calls().next());
        let main = first.and_then(|arguments| self.argument(arguments[0]));
        // The argument may be a text, if the entry point is not the usual one.
        let is_function = |main: &u64| !self.binary.lists_functions() || self.binary.is_function_start(*main);
        main.filter(|main| self.binary.code(*main).is_some() && is_function(main)).into_iter().collect()
    }

    /// The function that a short `main`, such as Rust's, passes to its language's runtime.
    fn stub_of(&mut self, main: u64) -> Vec<u64> {
        let function = self.decode(main);
        if function.cost > STUB || function.blocks.len() > 1 {
            return Vec::new();
        }
        let calls = function.blocks.values().flat_map(Block::calls);
        let pointers = calls.filter_map(|arguments| self.argument(arguments[0]));
        pointers.filter(|inner| self.binary.is_function_start(*inner)).collect()
    }

    fn shows_no_return(&mut self, start: u64, depth: usize) -> bool {
        if let Some(known) = self.never.get(&start) {
            return *known;
        }
        self.never.insert(start, false);
        let mut decoder = std::mem::replace(&mut self.decoder, Box::new(x86::Decoder::default()));
        decoder.reset();
        let mut at = start;
        let mut answer = false;
        for _ in 0..NEVER_RETURNS {
            let Some(step) = self.binary.code(at).and_then(|bytes| decoder.step(bytes, at)) else { break };
            self.left = self.left.saturating_sub(1);
            match step.flow {
                Flow::Next => at = step.next,
                Flow::Jump(target) => at = target,
                Flow::Call { callee, .. } | Flow::Leave { callee, .. } => {
                    let is_call = matches!(step.flow, Flow::Call { .. });
                    match self.resolve(callee) {
                        Some(Pointer::Import(name)) if is_never(name) => {
                            answer = true;
                            break;
                        }
                        Some(Pointer::Here(target)) if depth < 3 => {
                            std::mem::swap(&mut self.decoder, &mut decoder);
                            let ends = self.shows_no_return(target, depth + 1);
                            std::mem::swap(&mut self.decoder, &mut decoder);
                            if ends {
                                answer = true;
                                break;
                            }
                        }
                        _ => {}
                    }
                    if !is_call {
                        break;
                    }
                    at = step.next;
                }
                Flow::Trap => {
                    answer = true;
                    break;
                }
                Flow::Return | Flow::Branch { .. } => break,
            }
        }
        self.decoder = decoder;
        self.never.insert(start, answer);
        answer
    }
}

impl<'b> Code<'b> for Search<'b> {
    fn bytes(&self, address: u64) -> Option<&'b [u8]> {
        self.binary.code(address)
    }

    fn is_function_start(&self, address: u64) -> bool {
        self.binary.is_function_start(address)
    }

    fn never_returns(&mut self, callee: Callee) -> bool {
        match self.resolve(callee) {
            Some(Pointer::Import(name)) => is_never(name),
            Some(Pointer::Here(address)) => self.shows_no_return(address, 0),
            None => false,
        }
    }

    fn initial(&self, variable: u64, size: u64) -> Option<u64> {
        self.binary.initial(variable, size)
    }
}

fn is_never(name: &str) -> bool {
    NEVER.contains(&name) || name.starts_with("_ZSt") && name.contains("__throw_")
}

/// The slot through which a PLT entry at `address` jumps.
fn stub_slot(binary: &Binary<'_>, address: u64) -> Option<u64> {
    let code = binary.code(address)?;
    match binary.machine {
        Machine::X86 => x86::stub(code, address),
        Machine::Arm64 => arm64::stub(code, address),
        Machine::Arm => arm::stub(code, address),
    }
}
