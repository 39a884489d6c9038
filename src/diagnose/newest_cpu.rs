//! What an illegal instruction can be on a node whose CPU has every level of its architecture.

use super::cause::{Likelihood, Suspect};
use super::message::Sign;
use super::rank::Ranked;
use super::symptom::Symptom;
use crate::platform::{Fact, Isa, Node};

/// The newest level of x86-64.
const NEWEST: Isa = Isa::X86(4);

/// Why such a program probably ended itself, in lower case.
pub const WHY: &str = "the node's CPU has every level up to x86-64-v4, so the program probably ended itself";

pub const CURE: &str = "look in its log for a failed assertion or a panic (compilers write ud2 where a program must not get), \
                        and for code beyond x86-64-v4: AMX, AVX10, another vendor's instructions";

pub fn has_every_level(node: &Node) -> bool {
    node.isa == Fact::Known(NEWEST)
}

/// Whether the messages report an illegal instruction, and no program names what its CPU lacks.
pub fn is_unexplained(symptoms: &[Symptom]) -> bool {
    symptoms.iter().any(|symptom| symptom.sign == Sign::IllegalInstruction)
        && !symptoms.iter().any(|symptom| symptom.sign == Sign::CpuLevel)
}

/// Suspects the program before the node's CPU.
pub fn doubt_cpu(ranked: &mut Vec<Ranked>) {
    let is_cpu = |entry: &&mut Ranked| entry.suspect == Suspect::CpuLevel;
    let Some(cpu) = ranked.iter_mut().find(is_cpu) else { return };
    cpu.likelihood = cpu.likelihood.min(Likelihood::Possible);
    ranked.retain(|entry| entry.suspect != Suspect::ProgramItself);
    let program = Ranked { suspect: Suspect::ProgramItself, likelihood: Likelihood::Likely, why: WHY.to_string() };
    ranked.push(program);
    ranked.sort_by_key(|entry| std::cmp::Reverse(entry.likelihood));
}
