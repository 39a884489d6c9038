//! Checks the code of the files that a process maps against the node's CPU. An instruction that the CPU does not have
//! ends the process with SIGILL, exit code 132.

use std::collections::BTreeMap;

use crate::exec::kernel::binfmt::LoadedProgram;
use crate::exec::loader::Loaded;
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::inspect::code::{CodeNeeds, CodeRoot, CodeUse};
use crate::platform::{CpuFeature, Fact, Node};

/// Source: signal(7), x86 and Arm.
const SIGILL: u8 = 4;

/// What a partial search means.
pub(crate) const UNSEARCHED: &str = "its startup code is too large to search to its end";

/// An instruction that the node's CPU does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lacking<'c> {
    pub feature: CpuFeature,
    pub at: &'c CodeUse,
    /// Whether it is executed every time the file is loaded or started.
    pub is_certain: bool,
    /// Whether only some CPUs of the node's level lack it.
    pub is_disputed: bool,
}

/// The first instruction that the node's CPU is known to lack: certain ones first, then in the order of execution. If
/// there is none, the first certain one that common CPUs of its level lack.
pub(crate) fn lacking<'c>(needs: &'c CodeNeeds, node: &Node) -> Option<Lacking<'c>> {
    let lacks = |feature: &CpuFeature| node.features.has(*feature, node.isa) == Fact::Known(false);
    let first = |map: &'c BTreeMap<CpuFeature, CodeUse>| {
        map.iter().filter(|(feature, _)| lacks(feature)).min_by_key(|(_, at)| at.order)
    };
    let found = |(feature, at): (&CpuFeature, &'c CodeUse), is_certain: bool, is_disputed: bool| Lacking {
        feature: *feature,
        at,
        is_certain,
        is_disputed,
    };
    let disputed = || {
        let often = needs.certain.iter().filter(|(feature, _)| node.features.often_lacks(**feature, node.isa));
        often.min_by_key(|(_, at)| at.order)
    };
    let certain = first(&needs.certain).map(|at| found(at, true, false));
    let probable = || first(&needs.probable).map(|at| found(at, false, false));
    certain.or_else(probable).or_else(|| disputed().map(|at| found(at, false, true)))
}

/// Whether the node's CPU is known to lack a feature that the unread part of a partial search may need.
pub(crate) fn is_undecided(needs: &CodeNeeds, node: &Node) -> bool {
    let lacks = |feature: &CpuFeature| node.features.has(*feature, node.isa) == Fact::Known(false);
    needs.is_partial && CpuFeature::ALL.iter().any(|feature| feature.arch() == node.arch && lacks(feature))
}

/// The result of checking the code of a process's files.
#[derive(Debug)]
pub(crate) enum CodeCheck {
    /// SIGILL before or in `main`, or unknown because a file's code was not searched to its end.
    Ends(Outcome),
    /// SIGILL on a path that is probably taken.
    Doubt(Cause),
}

/// Checks the code of a started program and of everything mapped for it. `loaded` is `None` for a static program.
pub(crate) fn check(started: &LoadedProgram<'_>, loaded: Option<&Loaded<'_>>, node: &Node) -> Option<CodeCheck> {
    let own = [(lossy(&started.path), started.elf)];
    let mapped = loaded.map_or(&[][..], |loaded| &loaded.objects);
    // A loader runs the constructors of the libraries first, those that it mapped last before the others.
    let mapped = mapped.iter().rev().map(|object| (lossy(&object.path), object.elf));
    let (mut found, mut unsearched) = (Vec::new(), None);
    for (path, elf) in mapped.chain(own) {
        let Some(needs) = elf.code.as_deref() else { continue };
        if is_undecided(needs, node) {
            unsearched.get_or_insert_with(|| path.clone());
        }
        found.extend(lacking(needs, node).map(|lacking| (path, lacking)));
    }
    let certain = found.iter().find(|(_, lacking)| lacking.is_certain);
    if let (None, Some(at)) = (certain, unsearched) {
        let text = format!("{UNSEARCHED}; whether this node's CPU executes all of it is not known");
        return Some(CodeCheck::Ends(Outcome::Unknown { at, cause: Cause { kind: CauseKind::CodeUnsearched, text } }));
    }
    let (path, first) = certain.or(found.first())?;
    let cause = Cause { kind: CauseKind::CpuInstruction, text: first.text(path, node) };
    match first.is_certain {
        true => Some(CodeCheck::Ends(Outcome::Dies { death: Death::Signal(SIGILL), at: path.clone(), cause })),
        false => Some(CodeCheck::Doubt(cause)),
    }
}

impl Lacking<'_> {
    /// "/usr/bin/mongod: vxorps at 0x1a2b3c in main (AVX), reached from its entry".
    pub fn text(&self, path: &str, node: &Node) -> String {
        let CodeUse { address, mnemonic, root, symbol, order: _ } = self.at;
        let symbol = symbol.as_ref().map_or(String::new(), |symbol| format!(" in {symbol}"));
        let reached = match root {
            CodeRoot::Entry => "reached from its entry point".to_string(),
            CodeRoot::Constructor => "reached from a constructor".to_string(),
            CodeRoot::Module(name) => format!("reached from {name}"),
            CodeRoot::Everywhere => "which all of its code was compiled for".to_string(),
        };
        let feature = self.feature;
        let level = match node.isa {
            Fact::Known(isa) if self.is_disputed => format!("not every {isa} CPU has it"),
            Fact::Known(isa) => format!("this node is {isa}"),
            Fact::Unknown => "this node lacks it".to_string(),
        };
        format!("{path}: {mnemonic} at {address:#x}{symbol} needs {feature}, {reached}; {level}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exec::tests::{call, short};
    use crate::exec::{Trace, trace};
    use crate::image::{Contents, EntryKind, LayerMember, merge};
    use crate::inspect::elf_builder::ElfBuilder;
    use crate::inspect::{FileKind, inspect};
    use crate::platform::{Arch, Isa};

    fn needs(certain: &[CpuFeature], probable: &[CpuFeature]) -> CodeNeeds {
        let found = |feature: &CpuFeature| {
            let at = CodeUse {
                address: 0x10,
                mnemonic: "op".into(),
                root: CodeRoot::Constructor,
                symbol: Some("f".into()),
                order: 0,
            };
            (*feature, at)
        };
        CodeNeeds {
            certain: certain.iter().map(found).collect(),
            probable: probable.iter().map(found).collect(),
            is_partial: false,
        }
    }

    fn node(level: u8) -> Node {
        Node { isa: Fact::Known(Isa::X86(level)), ..Node::plain(Arch::Amd64) }
    }

    #[test]
    fn a_certain_instruction_precedes_a_probable_one() {
        let needs = needs(&[CpuFeature::Avx2], &[CpuFeature::Sse41]);
        let found = lacking(&needs, &node(1)).expect("v1 lacks both");
        assert_eq!((found.feature, found.is_certain), (CpuFeature::Avx2, true));
        assert_eq!(
            found.text("/app", &node(1)),
            "/app: op at 0x10 in f needs AVX2, reached from a constructor; this node is x86-64-v1"
        );
        assert_eq!(lacking(&needs, &node(3)), None);
    }

    #[test]
    fn a_feature_outside_all_levels_counts_only_if_the_node_is_known_to_lack_it() {
        let needs = needs(&[CpuFeature::Aesni], &[]);
        assert_eq!(lacking(&needs, &node(1)), None);
        let mut without = node(1);
        without.features.absent.insert(CpuFeature::Aesni);
        assert!(lacking(&needs, &without).is_some());
    }

    fn trace_of(needs: CodeNeeds, node: &Node) -> Trace {
        let bytes = ElfBuilder::amd64().build();
        let mut kind = inspect(b"app", bytes.len() as u64, true, &mut &bytes[..]);
        let FileKind::Elf(elf) = &mut kind else { panic!("an ELF file") };
        elf.code = Some(Box::new(needs));
        let mut contents = Contents::default();
        contents.push(&LayerMember::plain(b"app", EntryKind::File, 0o755), Some(kind));
        trace(&merge([Arc::new(contents)]), &call(&["/app"]), node)
    }

    #[test]
    fn a_program_that_always_executes_it_dies_of_sigill_and_one_that_probably_does_is_doubted() {
        let certain = trace_of(needs(&[CpuFeature::Avx], &[]), &node(2));
        assert_eq!(short(&certain.outcome), "signal 4 cpu-instruction");
        let probable = trace_of(needs(&[], &[CpuFeature::Avx]), &node(2));
        assert_eq!((short(&probable.outcome).as_str(), probable.doubts.len()), ("runs", 1));
        let healthy = trace_of(needs(&[CpuFeature::Avx], &[]), &node(3));
        assert_eq!((short(&healthy.outcome).as_str(), healthy.doubts.len()), ("runs", 0));
    }

    #[test]
    fn a_search_that_did_not_end_is_undecided_if_the_node_lacks_anything() {
        let outcome_of = |certain: &[CpuFeature], node: &Node| {
            let partial = CodeNeeds { is_partial: true, ..needs(certain, &[]) };
            short(&trace_of(partial, node).outcome)
        };
        assert_eq!(outcome_of(&[], &node(2)), "unknown code-unsearched");
        assert_eq!(outcome_of(&[CpuFeature::Sse41], &node(2)), "unknown code-unsearched");
        // What was found decides.
        assert_eq!(outcome_of(&[CpuFeature::Avx], &node(2)), "signal 4 cpu-instruction");
        // Nothing is known to be lacking.
        assert_eq!(outcome_of(&[], &node(4)), "runs");
        assert_eq!(outcome_of(&[], &Node::plain(Arch::Amd64)), "runs");
        // A search of code that is only probably executed does not decide a start.
        assert_eq!(short(&trace_of(needs(&[], &[]), &node(2)).outcome), "runs");
    }

    #[test]
    fn a_feature_beyond_the_level_that_the_node_has_is_not_lacking() {
        let needs = needs(&[CpuFeature::Avx], &[]);
        let mut sandy_bridge = node(2);
        assert!(lacking(&needs, &sandy_bridge).is_some());
        sandy_bridge.features.present.insert(CpuFeature::Avx);
        assert_eq!(lacking(&needs, &sandy_bridge), None);
    }

    #[test]
    fn an_unknown_cpu_lacks_nothing() {
        assert_eq!(lacking(&needs(&[CpuFeature::Avx2], &[]), &Node::plain(Arch::Amd64)), None);
    }
}
