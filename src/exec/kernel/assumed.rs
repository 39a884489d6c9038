//! The node properties that the kernel's loaders depend on, and the values that one run of the model assumes for
//! unknown ones.

use crate::exec::log::Asked;
use crate::platform::Node;
use crate::platform::compat::{KernelCompat, LoaderNeed};

/// The node properties in one run of the model, with values assumed for unknown ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assumed {
    pub aarch32: bool,
    pub ia32: bool,
    pub x32: bool,
    pub compat: bool,
    pub is_before_6_17: bool,
    pub page: u64,
}

/// Answers the loaders' queries about the node, and records which properties were queried.
pub(crate) struct AssumedFacts<'f> {
    pub assumed: &'f Assumed,
    pub asked: &'f mut Asked,
}

impl AssumedFacts<'_> {
    /// Whether the node has what a loader needs.
    pub(crate) fn has(&mut self, needs: LoaderNeed) -> bool {
        let (index, answer) = match needs {
            LoaderNeed::Nothing => return true,
            LoaderNeed::Ia32 => (0, self.assumed.ia32),
            LoaderNeed::X32 => (1, self.assumed.x32),
            LoaderNeed::Aarch32 => (2, self.assumed.aarch32),
            LoaderNeed::Compat => (3, self.assumed.compat),
        };
        self.asked.needs[index] = true;
        answer
    }

    pub(crate) fn page(&self) -> u64 {
        self.assumed.page
    }

    /// Kernels before 6.17 refuse a program header table larger than a page.
    pub(crate) fn bounds_table_by_page(&mut self) -> bool {
        self.asked.kernel = true;
        self.assumed.is_before_6_17
    }
}

/// An unknown property to assume the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flip {
    Needs(LoaderNeed),
    Kernel,
}

impl Flip {
    pub(crate) fn question(self) -> &'static str {
        match self {
            Flip::Needs(needs) => needs.question(),
            Flip::Kernel => {
                "this node's kernel may be older than 6.17, and such kernels refuse that many program headers"
            }
        }
    }
}

/// Assumes values for the node's unknown properties. `flip` inverts one of them.
pub(crate) fn assume(node: &Node, kernel: &KernelCompat, flip: Option<Flip>) -> Assumed {
    let has =
        |needs: LoaderNeed, usual: bool| needs.met(node).known().unwrap_or(usual ^ (flip == Some(Flip::Needs(needs))));
    Assumed {
        ia32: has(LoaderNeed::Ia32, true),
        x32: has(LoaderNeed::X32, false),
        aarch32: has(LoaderNeed::Aarch32, true),
        compat: has(LoaderNeed::Compat, true),
        is_before_6_17: node.kernel.known().map_or(flip != Some(Flip::Kernel), |version| version < (6, 17)),
        page: node.page_size.known().unwrap_or(kernel.page_sizes[0]),
    }
}
