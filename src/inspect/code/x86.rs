//! Decodes x86-64 instructions: their targets, the features that they need, and whether a condition may depend on a CPU
//! check.

mod features;

use iced_x86::{ConditionCode, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::steps::{BranchGuard, Callee, Compared, DecodedStep, InstructionFlow, Test};
pub use features::needs;

/// What is known about a register's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum X86Value {
    #[default]
    Unknown,
    /// An address or number in the code.
    Constant(u64),
    /// The pointer stored at this address.
    Slot(u64),
    /// The number of this many bytes stored at this address.
    Variable(u64, u8),
    /// What a call returned, perhaps a CPU flag.
    Returned,
    /// What a call returned that never depends on the CPU, such as an object, or the number of arguments of `main`.
    Handle,
    /// The function's parameter with this index, perhaps a CPU flag.
    Parameter(u8),
    /// Read from memory outside the stack, where programs store CPU flags, or computed from such a value.
    Memory,
}

impl X86Value {
    /// Whether it may be a CPU flag, or computed from one.
    fn is_doubtful(self) -> bool {
        matches!(self, X86Value::Slot(_) | X86Value::Variable(..) | X86Value::Memory | X86Value::Returned)
    }

    fn pointer(self) -> Callee {
        match self {
            X86Value::Constant(address) => Callee::At(address),
            X86Value::Slot(slot) => Callee::Slot(slot),
            X86Value::Unknown
            | X86Value::Variable(..)
            | X86Value::Returned
            | X86Value::Handle
            | X86Value::Parameter(_)
            | X86Value::Memory => Callee::Unknown,
        }
    }

    /// The address and size of the variable that it was read from.
    fn variable(self) -> Option<(u64, u64)> {
        match self {
            X86Value::Slot(address) => Some((address, 8)),
            X86Value::Variable(address, size) => Some((address, u64::from(size))),
            X86Value::Unknown
            | X86Value::Constant(_)
            | X86Value::Returned
            | X86Value::Handle
            | X86Value::Parameter(_)
            | X86Value::Memory => None,
        }
    }
}

/// The kind of instruction that set the flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flags {
    /// It may be a CPU check.
    #[default]
    Doubtful,
    /// A comparison or arithmetic: of pointers, or of a value that never depends on the CPU.
    Plain,
    /// A 64-bit comparison of a parameter with a number.
    Parameter(u8),
    /// A 32-bit comparison of a parameter: if the sign decides, as of the 64-bit one, otherwise perhaps a CPU check.
    Word(u8),
    /// A comparison with zero of what a call returned: of an error code if the sign bit decides.
    Sign,
}

/// Maximum bytes between a container's pointer and its end, which are in the same object.
const CONTAINER: u64 = 64;

#[derive(Clone, Default)]
pub struct X86Decoder {
    values: [X86Value; 16],
    flags: Flags,
    /// The comparison of a variable that set the flags: its address, its size, and what it was compared with.
    compared: Option<(u64, u64, Compared)>,
}

/// Reads instructions from `code`, which starts at `address`.
pub fn reader(code: &[u8], address: u64) -> iced_x86::Decoder<'_> {
    iced_x86::Decoder::with_ip(64, code, address, iced_x86::DecoderOptions::NONE)
}

fn decode(code: &[u8], address: u64) -> Option<Instruction> {
    let instruction = reader(code, address).decode();
    (!instruction.is_invalid()).then_some(instruction)
}

fn index(register: Register) -> Option<usize> {
    let full = register.full_register();
    (full.is_gpr64()).then(|| full as usize - Register::RAX as usize)
}

impl X86Decoder {
    fn value(&self, register: Register) -> X86Value {
        index(register).map_or(X86Value::Unknown, |index| self.values[index])
    }

    fn set(&mut self, register: Register, value: X86Value) {
        if let Some(index) = index(register) {
            self.values[index] = value;
        }
    }

    /// Whether an operand is memory outside the stack.
    fn reads_memory(instruction: &Instruction) -> bool {
        let kinds = [instruction.op0_kind(), instruction.op1_kind(), instruction.op2_kind(), instruction.op3_kind()];
        let is_on_stack = matches!(instruction.memory_base(), Register::RSP | Register::RBP);
        kinds.contains(&OpKind::Memory) && !is_on_stack
    }

    /// The variable and the number that a comparison compares.
    fn comparison(&self, instruction: &Instruction) -> Option<(u64, u64, Compared)> {
        let is_register = |op: u32| instruction.op_kind(op) == OpKind::Register;
        if instruction.mnemonic() == Mnemonic::Cmp && is_register(0) && is_register(1) {
            let pair = [instruction.op0_register(), instruction.op1_register()].map(|register| self.value(register));
            return match pair {
                [X86Value::Slot(address), X86Value::Returned | X86Value::Handle]
                | [X86Value::Returned | X86Value::Handle, X86Value::Slot(address)] => {
                    Some((address, 8, Compared::Returned))
                }
                _ => None,
            };
        }
        let immediate = matches!(
            instruction.op1_kind(),
            OpKind::Immediate8
                | OpKind::Immediate32
                | OpKind::Immediate8to32
                | OpKind::Immediate8to64
                | OpKind::Immediate32to64
        );
        let is_self_test = instruction.mnemonic() == Mnemonic::Test
            && instruction.op1_kind() == OpKind::Register
            && instruction.op0_register() == instruction.op1_register();
        let (address, size) = match instruction.op0_kind() {
            OpKind::Register => self.value(instruction.op0_register()).variable()?,
            OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                (instruction.ip_rel_memory_address(), instruction.memory_size().size() as u64)
            }
            _ => return None,
        };
        let number = match instruction.mnemonic() {
            Mnemonic::Test if is_self_test => Compared::Number(0),
            Mnemonic::Cmp if immediate => {
                Compared::Number(instruction.immediate(1) & u64::MAX >> (64 - 8 * size.clamp(1, 8)))
            }
            _ => return None,
        };
        Some((address, size, number))
    }

    /// Whether a pointer in a variable is compared with an address next to the variable: a C++ map or list is empty, or
    /// ends, if its pointer leads back to itself.
    fn is_own_end(&self, instruction: &Instruction) -> bool {
        let pair = [instruction.op0_register(), instruction.op1_register()].map(|register| self.value(register));
        matches!(pair, [X86Value::Slot(slot), X86Value::Constant(end)] if slot.abs_diff(end) <= CONTAINER)
    }

    /// Updates the flags and the destination after an instruction that does not branch.
    fn note(&mut self, instruction: &Instruction) {
        let mnemonic = instruction.mnemonic();
        let is_memory = Self::reads_memory(instruction);
        let register = |decoder: &X86Decoder, op: u32| {
            let is_register = instruction.op_kind(op) == OpKind::Register;
            is_register.then(|| decoder.value(instruction.op_register(op)))
        };
        let count = instruction.op_count();
        let is_tainted = |decoder: &X86Decoder| {
            is_memory || (0..count).any(|op| register(decoder, op).is_some_and(X86Value::is_doubtful))
        };
        let size = if instruction.op_kind(0) == OpKind::Register {
            instruction.op0_register().size()
        } else {
            instruction.memory_size().size()
        };
        let keeps_flags = matches!(
            mnemonic,
            Mnemonic::Mov
                | Mnemonic::Lea
                | Mnemonic::Movzx
                | Mnemonic::Movsx
                | Mnemonic::Movsxd
                | Mnemonic::Push
                | Mnemonic::Pop
        );
        if !keeps_flags {
            self.compared = None;
        }
        match mnemonic {
            Mnemonic::Test | Mnemonic::Cmp => {
                self.compared = self.comparison(instruction);
                let is_bits = mnemonic == Mnemonic::Test && instruction.op1_kind() != OpKind::Register;
                // A CPU check compares with a number, never two values with each other.
                let is_pair = mnemonic == Mnemonic::Cmp
                    && size == 8
                    && instruction.op1_kind() == OpKind::Register
                    && (!matches!(self.value(instruction.op1_register()), X86Value::Constant(_))
                        || self.is_own_end(instruction));
                let is_handle = (0..count).any(|op| register(self, op) == Some(X86Value::Handle));
                let parameter = match register(self, 0) {
                    Some(X86Value::Parameter(index)) if !is_bits => Some(index),
                    _ => None,
                };
                let is_zero =
                    mnemonic == Mnemonic::Test || instruction.try_immediate(1).is_ok_and(|number| number == 0);
                // A local variable may contain what a branch on a CPU flag has set.
                self.flags = match (size, parameter) {
                    _ if is_pair || is_handle => Flags::Plain,
                    // The sign of a byte or of 16 bits may be a flag among others.
                    (4 | 8, _) if is_zero && !is_bits && register(self, 0) == Some(X86Value::Returned) => Flags::Sign,
                    (8, Some(index)) => Flags::Parameter(index),
                    (4, Some(index)) => Flags::Word(index),
                    _ => Flags::Doubtful,
                };
                return;
            }
            Mnemonic::Bt => {
                self.flags = Flags::Doubtful;
                return;
            }
            Mnemonic::Add | Mnemonic::Sub | Mnemonic::Inc | Mnemonic::Dec => {
                let is_pair = count > 1 && instruction.op_kind(1) == OpKind::Register;
                self.flags = if is_tainted(self) || !is_pair { Flags::Doubtful } else { Flags::Plain };
            }
            Mnemonic::Mov
            | Mnemonic::Lea
            | Mnemonic::Movzx
            | Mnemonic::Movsx
            | Mnemonic::Movsxd
            | Mnemonic::Push
            | Mnemonic::Pop => {}
            _ => self.flags = Flags::Doubtful,
        }
        if count == 0 || instruction.op_kind(0) != OpKind::Register {
            return;
        }
        let value = match mnemonic {
            Mnemonic::Lea if instruction.is_ip_rel_memory_operand() => {
                X86Value::Constant(instruction.ip_rel_memory_address())
            }
            Mnemonic::Lea => X86Value::Unknown,
            Mnemonic::Mov => match instruction.op1_kind() {
                OpKind::Register => self.value(instruction.op1_register()),
                OpKind::Immediate32 | OpKind::Immediate64 | OpKind::Immediate32to64 => {
                    X86Value::Constant(instruction.immediate(1))
                }
                OpKind::Memory if instruction.is_ip_rel_memory_operand() && size == 8 => {
                    X86Value::Slot(instruction.ip_rel_memory_address())
                }
                OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                    X86Value::Variable(instruction.ip_rel_memory_address(), instruction.memory_size().size() as u8)
                }
                OpKind::Memory if is_memory => X86Value::Memory,
                _ => X86Value::Unknown,
            },
            Mnemonic::Movzx if instruction.is_ip_rel_memory_operand() => {
                X86Value::Variable(instruction.ip_rel_memory_address(), instruction.memory_size().size() as u8)
            }
            Mnemonic::Xor if instruction.op0_register() == instruction.op1_register() => X86Value::Constant(0),
            Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd if !is_tainted(self) => {
                register(self, 1).unwrap_or_default()
            }
            // Bits of a parameter.
            Mnemonic::And | Mnemonic::Or | Mnemonic::Xor | Mnemonic::Shr | Mnemonic::Not
                if (0..count).any(|op| matches!(register(self, op), Some(X86Value::Parameter(_)))) =>
            {
                X86Value::Memory
            }
            _ if is_tainted(self) => X86Value::Memory,
            _ => X86Value::Unknown,
        };
        self.set(instruction.op0_register(), value);
    }

    /// A call keeps rbx, rbp and r12 to r15. Source: x86-64 psABI, "Registers".
    fn forget_call(&mut self) {
        for (register, value) in self.values.iter_mut().enumerate() {
            if !matches!(register, 3 | 5 | 12..=15) {
                *value = if register == 0 { X86Value::Returned } else { X86Value::Unknown };
            }
        }
    }

    /// The constants in the registers, and the one that the instruction at `address` stores.
    pub fn constants(&self, code: &[u8], address: u64) -> Vec<u64> {
        let constant = |value: &X86Value| match value {
            X86Value::Constant(value) => Some(*value),
            X86Value::Unknown
            | X86Value::Slot(_)
            | X86Value::Variable(..)
            | X86Value::Returned
            | X86Value::Handle
            | X86Value::Parameter(_)
            | X86Value::Memory => None,
        };
        let stored = decode(code, address).filter(|found| found.mnemonic() == Mnemonic::Mov);
        let stored = stored.filter(|found| found.op1_kind() == OpKind::Immediate32to64);
        self.values.iter().filter_map(constant).chain(stored.map(|found| found.immediate(1))).collect()
    }

    pub fn arguments(&self) -> [Callee; 2] {
        [Register::RDI, Register::RSI].map(|register| self.value(register).pointer())
    }

    fn callee(&self, instruction: &Instruction) -> Callee {
        match instruction.op0_kind() {
            OpKind::NearBranch64 => Callee::At(instruction.near_branch_target()),
            OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                Callee::Slot(instruction.ip_rel_memory_address())
            }
            OpKind::Register => self.value(instruction.op0_register()).pointer(),
            _ => Callee::Unknown,
        }
    }

    fn test(&self, instruction: &Instruction) -> Option<Test> {
        let (variable, size, with) = self.compared?;
        let is_taken_if_equal = match instruction.condition_code() {
            ConditionCode::e => true,
            ConditionCode::ne => false,
            _ => return None,
        };
        Some(Test { variable, size, with, is_taken_if_equal })
    }

    fn guard(&self, instruction: &Instruction) -> BranchGuard {
        use ConditionCode::{a, ae, b, be, e, ge, l, ne, ns, s};
        let condition = instruction.condition_code();
        match self.flags {
            Flags::Doubtful => BranchGuard::Perhaps,
            Flags::Plain => BranchGuard::Never,
            Flags::Word(_) if matches!(condition, e | ne | a | ae | b | be) => BranchGuard::Perhaps,
            Flags::Parameter(index) | Flags::Word(index) => BranchGuard::Parameter(index),
            Flags::Sign => BranchGuard::perhaps(!matches!(condition, s | ns | l | ge)),
        }
    }

    /// The parameters that an instruction uses as a pointer or in arithmetic. A comparison with a number is neither.
    fn numbers(&self, instruction: &Instruction) -> u8 {
        let bit = |register: Register| match self.value(register) {
            X86Value::Parameter(index) => 1 << index,
            _ => 0,
        };
        let is_pair = matches!(instruction.mnemonic(), Mnemonic::Add | Mnemonic::Sub | Mnemonic::Imul | Mnemonic::Cmp)
            && instruction.op_kind(1) == OpKind::Register
            && ![0, 1].iter().any(|op| matches!(self.value(instruction.op_register(*op)), X86Value::Constant(_)));
        let pair = if is_pair { bit(instruction.op0_register()) | bit(instruction.op1_register()) } else { 0 };
        bit(instruction.memory_base()) | bit(instruction.memory_index()) | pair
    }

    /// Knows that a function is decoded from its start. Source: x86-64 psABI, "Parameter Passing".
    pub fn enter(&mut self) {
        use Register::{R8, R9, RCX, RDI, RDX, RSI};
        for (index, register) in [RDI, RSI, RDX, RCX, R8, R9].into_iter().enumerate() {
            self.set(register, X86Value::Parameter(index as u8));
        }
    }

    /// Knows that the function that is decoded is a program's `main`.
    pub fn enter_main(&mut self) {
        self.set(Register::RDI, X86Value::Handle);
    }

    /// Knows that what the last call returned does not depend on the CPU.
    pub fn returned_handle(&mut self) {
        self.set(Register::RAX, X86Value::Handle);
    }
}

impl X86Decoder {
    /// The next instruction. `None` if the bytes are not an instruction.
    #[inline]
    pub fn step(&mut self, reader: &mut iced_x86::Decoder<'_>) -> Option<DecodedStep> {
        let instruction = reader.decode();
        if instruction.is_invalid() {
            return None;
        }
        let (test, numbers) = (self.test(&instruction), self.numbers(&instruction));
        let flow = match instruction.flow_control() {
            FlowControl::Next | FlowControl::XbeginXabortXend => {
                self.note(&instruction);
                InstructionFlow::Next
            }
            FlowControl::UnconditionalBranch => InstructionFlow::Jump(instruction.near_branch_target()),
            FlowControl::ConditionalBranch if instruction.op0_kind() == OpKind::NearBranch64 => {
                InstructionFlow::Branch { target: instruction.near_branch_target(), guard: self.guard(&instruction) }
            }
            FlowControl::Call if instruction.mnemonic() == Mnemonic::Syscall => {
                self.values = Default::default();
                InstructionFlow::Next
            }
            FlowControl::Call | FlowControl::IndirectCall => {
                let (callee, arguments) = (self.callee(&instruction), self.arguments());
                self.forget_call();
                (self.flags, self.compared) = (Flags::Doubtful, None);
                InstructionFlow::Call { callee, arguments }
            }
            FlowControl::IndirectBranch => {
                InstructionFlow::Leave { callee: self.callee(&instruction), arguments: self.arguments() }
            }
            FlowControl::Return => InstructionFlow::Return,
            FlowControl::ConditionalBranch | FlowControl::Interrupt | FlowControl::Exception => InstructionFlow::Trap,
        };
        let flow = if instruction.mnemonic() == Mnemonic::Hlt { InstructionFlow::Trap } else { flow };
        let queries_cpu = matches!(instruction.mnemonic(), Mnemonic::Cpuid | Mnemonic::Xgetbv);
        let is_store = instruction.op0_kind() == OpKind::Memory
            && instruction.is_ip_rel_memory_operand()
            && !matches!(instruction.mnemonic(), Mnemonic::Test | Mnemonic::Cmp);
        let stores = is_store.then(|| instruction.ip_rel_memory_address());
        let (next, needs) = (instruction.next_ip(), needs(&instruction));
        Some(DecodedStep { next, flow, needs, queries_cpu, test, stores, numbers })
    }
}

pub fn mnemonic(code: &[u8], address: u64) -> String {
    decode(code, address).map_or(String::new(), |found| format!("{:?}", found.mnemonic()).to_lowercase())
}

const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// The slot of a PLT entry: `[endbr64] [bnd] jmp *slot(%rip)`.
pub fn stub(code: &[u8], address: u64) -> Option<u64> {
    let (code, address) = match code.strip_prefix(&ENDBR64) {
        Some(code) => (code, address.wrapping_add(ENDBR64.len() as u64)),
        None => (code, address),
    };
    // Most functions start with another byte, which is quicker to see than by decoding it: the prefixes bnd, notrack and
    // rex.w, and the opcode.
    if !matches!(code.first()?, 0xf2 | 0x3e | 0x48 | 0xff) {
        return None;
    }
    let jump = decode(code, address)?;
    let is_jump = jump.flow_control() == FlowControl::IndirectBranch && jump.is_ip_rel_memory_operand();
    is_jump.then(|| jump.ip_rel_memory_address())
}
