//! Starts that are certain to fail on the CPU of the published platform.

use crate::exec::{Link, Trace};
use crate::judge::code::{Code, Severity};
use crate::judge::facts::programs::Programs;
use crate::judge::finding::Finding;
use crate::platform::{Arch, Fact, Isa, Node};

/// Tag_CPU_arch of ARMv7. Source: abi-aa, addenda32.
const V7: u8 = 10;

/// Turns the doubt about an ARMv7 program on an ARMv6 node into an error: such a program uses MOVW, DMB or VFPv3
/// registers at every start, and an ARM1176 raises SIGILL on them.
pub fn harden(findings: &mut [Finding], trace: &Trace, programs: &Programs<'_>, node: &Node) {
    let is_v6 = matches!(node.isa, Fact::Known(Isa::Arm(version)) if version <= 6);
    if node.arch != Arch::Arm || !is_v6 {
        return;
    }
    let program = trace.steps.iter().rfind(|step| step.link != Link::Loader).and_then(|step| step.path.as_deref());
    let Some(program) = program.and_then(|path| programs.at(path)) else { return };
    if program.elf.isa.arm.and_then(|attributes| attributes.cpu_arch).is_none_or(|arch| arch < V7) {
        return;
    }
    for finding in findings.iter_mut().filter(|finding| finding.code == Code::EntrypointCpuDoubt) {
        if finding.severity == Severity::Warning {
            let cure = Code::EntrypointCpuLevel.row().cure.to_string();
            (finding.code, finding.severity, finding.hint) = (Code::EntrypointCpuLevel, Severity::Error, vec![cure]);
            (finding.path, finding.layer) = (Some(program.path.clone()), Some(program.layer));
        }
    }
}
