//! Inputs of the rules on files, and helpers that build their findings.

use std::collections::BTreeSet;

use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::judge::code::{Code, Severity};
use crate::judge::facts::libraries::Libraries;
use crate::judge::facts::named::{NamedBy, NamedUse};
use crate::judge::facts::programs::{JudgedProgram, Programs};
use crate::judge::facts::purpose::{ForeignFile, PurposeFormat};
use crate::judge::facts::reach::ReachFacts;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::siblings;
use crate::judge::facts::tokens::Libc;
use crate::judge::finding::Finding;
use crate::platform::Node;

/// Inputs of the rules on files.
pub struct FileRuleInput<'a> {
    pub rootfs: &'a RootFs<FileKind>,
    pub programs: &'a Programs<'a>,
    pub reach: &'a ReachFacts,
    pub libraries: &'a Libraries<'a>,
    pub node: &'a Node,
    /// Names of purpose rules that the user disabled.
    pub rules_off: &'a BTreeSet<String>,
    /// The steps of the start: `ENTRYPOINT ["app"]`, `/usr/local/bin/app`.
    pub chain: &'a [String],
    /// The words of the call.
    pub argv: &'a [String],
    /// The image's own environment, as `KEY=VALUE`.
    pub env: &'a [String],
    /// Findings on the start itself, which are not repeated.
    pub reported: &'a [Finding],
}

/// The view of a program that purpose rules read.
pub fn suspect<'a>(program: &'a JudgedProgram<'a>) -> ForeignFile<'a> {
    ForeignFile { path: &program.path, platform: program.platform.as_ref(), format: PurposeFormat::Elf(program) }
}

/// Turns a finding into the note that a file is foreign on purpose.
pub fn purposeful(mut finding: Finding, name: &'static str, why: &str) -> Finding {
    finding.purpose = Some((name.into(), why.to_string()));
    finding.group = Some(name.to_string());
    finding.hint.clear();
    finding
}

impl FileRuleInput<'_> {
    /// Whether a finding on the start already names this file.
    pub fn is_reported(&self, path: &str) -> bool {
        self.reported.iter().any(|finding| finding.path.as_deref() == Some(path))
    }

    /// The severity for an unusable file that is named this way.
    pub fn named_severity(&self, by: &NamedBy) -> Severity {
        match by.used {
            NamedUse::Needed => Severity::Error,
            NamedUse::Preloaded if self.programs.libcs == [Libc::Musl] => Severity::Error,
            NamedUse::Preloaded | NamedUse::PreloadFile | NamedUse::Optional => Severity::Warning,
        }
    }

    /// The interpreter of a runtime, unless it is already a step of the chain.
    pub fn interpreter(&self, runtime: RuntimeKind) -> Option<String> {
        let host = self.reach.interpreter(runtime)?;
        (!self.chain.iter().any(|step| step == host)).then(|| host.to_string())
    }
}

/// A finding on a program of the tree.
pub fn foreign(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, code: Code, message: String) -> Finding {
    let mut finding =
        Finding::new(code, message).at(&program.path, program.layer).is(program.elf.describe(), files.node.arch.name());
    finding.group = group(&program.path);
    if matches!(code, Code::ForeignCalled | Code::ForeignExtension) {
        finding.reached_by = files.chain.to_vec();
    }
    finding
}

/// The group of a path: its npm or Python package, else its directory.
pub fn group(path: &str) -> Option<String> {
    if let Some(package) = siblings::package_directory(path) {
        return Some(package.to_string());
    }
    let (directory, _) = path.rsplit_once('/')?;
    Some(if directory.is_empty() { "/".to_string() } else { directory.to_string() })
}

/// The worst severity among findings.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}
