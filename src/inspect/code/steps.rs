//! The instructions of a function, by address.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use crate::platform::CpuFeature;

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
    /// The function's parameters that it uses as a pointer or in arithmetic, one bit each. A CPU flag is only compared.
    pub numbers: u8,
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
pub struct Located {
    pub at: u64,
    pub length: u32,
    detail: u32,
}

/// The index of an instruction that only continues at the next one, as most do.
const PLAIN: u32 = u32::MAX;

/// What an instruction does besides continuing at the next one.
#[derive(Debug)]
pub struct Detail {
    pub flow: InstructionFlow,
    pub needs: Option<CpuFeature>,
    pub test: Option<Test>,
}

/// The instructions of a function, in the order in which they were decoded. One value is reused for all functions of a
/// file, so that its memory is allocated once.
#[derive(Debug, Default)]
pub struct FunctionSteps {
    list: Vec<Located>,
    details: Vec<Detail>,
    /// The variables that are written, each with the lowest address of an instruction that does.
    stores: HashMap<u64, u64, FixedState>,
    places: PlaceTable,
    /// The addresses at which blocks start.
    pub leaders: HashSet<u64, FixedState>,
}

impl FunctionSteps {
    #[inline]
    pub fn push(&mut self, at: u64, step: &DecodedStep) {
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
        self.places.insert(at, self.list.len());
        self.list.push(Located { at, length, detail });
    }

    /// The index of the instruction at `at`, if it has been decoded.
    #[inline]
    pub fn position(&self, at: u64) -> Option<usize> {
        self.places.get(at)
    }

    /// The index of the instruction at `at`, which usually follows the one with this index.
    #[inline]
    pub fn position_after(&self, index: usize, at: u64) -> Option<usize> {
        let is_next = self.list.get(index + 1).is_some_and(|step| step.at == at);
        if is_next { Some(index + 1) } else { self.position(at) }
    }

    pub fn at(&self, index: usize) -> Located {
        self.list[index]
    }

    /// What an instruction does besides continuing at the next one.
    pub fn detail(&self, step: Located) -> Option<&Detail> {
        self.details.get(step.detail as usize)
    }

    /// The lowest address of an instruction that writes the variable.
    pub fn first_store(&self, variable: u64) -> Option<u64> {
        self.stores.get(&variable).copied()
    }

    /// Starts another function. It takes time in proportion to the instructions of the previous one.
    pub fn restart(&mut self, entry: u64) {
        self.places.restart(entry, self.list.iter().map(|step| step.at));
        self.list.clear();
        self.details.clear();
        clear_map(&mut self.stores);
        if self.leaders.capacity() > REUSED_MAP {
            self.leaders = HashSet::default();
        }
        self.leaders.clear();
        self.leaders.insert(entry);
    }
}

/// Bytes of code from a function's entry on whose places are in an array.
const NEAR: u64 = 1 << 16;

/// Maximum capacity of a map that is used again. Clearing a map takes time in proportion to its capacity.
const REUSED_MAP: usize = 1 << 10;

/// The indexes of a function's instructions, by address.
#[derive(Debug, Default)]
struct PlaceTable {
    entry: u64,
    /// For each byte from the entry on: the index of the instruction there, or [`NOWHERE`].
    near: Vec<u32>,
    far: HashMap<u64, u32, FixedState>,
}

const NOWHERE: u32 = u32::MAX;

impl PlaceTable {
    fn offset(&self, at: u64) -> Option<usize> {
        let offset = at.wrapping_sub(self.entry);
        (offset < NEAR).then_some(offset as usize)
    }

    fn get(&self, at: u64) -> Option<usize> {
        let place = match self.offset(at) {
            Some(offset) => self.near.get(offset).copied(),
            None => self.far.get(&at).copied(),
        };
        place.filter(|place| *place != NOWHERE).map(|place| place as usize)
    }

    fn insert(&mut self, at: u64, place: usize) {
        let place = u32::try_from(place).unwrap_or(NOWHERE);
        match self.offset(at) {
            Some(offset) => {
                if offset >= self.near.len() {
                    self.near.resize(offset + 1, NOWHERE);
                }
                self.near[offset] = place;
            }
            None => _ = self.far.insert(at, place),
        }
    }

    /// Forgets the places of these addresses, which are all that were inserted.
    fn restart(&mut self, entry: u64, inserted: impl Iterator<Item = u64>) {
        for at in inserted {
            if let Some(place) = self.offset(at).and_then(|offset| self.near.get_mut(offset)) {
                *place = NOWHERE;
            }
        }
        clear_map(&mut self.far);
        self.entry = entry;
    }
}

fn clear_map<V>(map: &mut HashMap<u64, V, FixedState>) {
    if map.capacity() > REUSED_MAP {
        *map = HashMap::default();
    } else {
        map.clear();
    }
}

/// Whether the condition of a branch may depend on a CPU check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchGuard {
    Never,
    Perhaps,
    /// It compares the function's parameter with this index, which is a CPU flag if the function only compares it.
    Parameter(u8),
}

impl BranchGuard {
    pub fn perhaps(is_guard: bool) -> BranchGuard {
        if is_guard { BranchGuard::Perhaps } else { BranchGuard::Never }
    }
}

/// The control flow after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionFlow {
    Next,
    Jump(u64),
    Branch {
        target: u64,
        guard: BranchGuard,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    At(u64),
    /// The pointer stored at this address.
    Slot(u64),
    Unknown,
}

/// Decodes the instructions of a path one by one, and tracks the registers' values along it. A clone decodes a path that
/// branches off.
pub trait Decode: Clone {
    /// A place in the code, from which instructions are read one after another.
    type Run<'b>;

    /// `code` starts at `address`.
    fn run<'b>(&self, code: &'b [u8], address: u64) -> Self::Run<'b>;
    /// The next instruction. `None` if the bytes are not an instruction.
    fn step(&mut self, run: &mut Self::Run<'_>) -> Option<DecodedStep>;
    /// Knows that what the last call returned does not depend on the CPU.
    fn returned_handle(&mut self);
    /// A jump to another function.
    fn tail_call(&self, target: u64) -> InstructionFlow;
}
