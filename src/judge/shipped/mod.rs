//! Whether every program in a plain file is for the platform of that file. Pure. Nothing is started from such a file,
//! and its libraries are elsewhere: only platforms are compared.

pub mod claim;
mod native;

use std::collections::{BTreeMap, BTreeSet};

pub use claim::{NameClaim, Stated, System};
use native::{MachineCode, NativeFile, PlatformFit};

use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::judge::code::{Code, Severity};
use crate::judge::facts::libraries::Libraries;
use crate::judge::facts::programs::Programs;
use crate::judge::facts::purpose;
use crate::judge::facts::siblings::Siblings;
use crate::judge::finding::{self, Finding};
use crate::judge::labels::Agreement;
use crate::platform::{Arch, Node, Platform};

/// A platform that a file is checked against.
#[derive(Clone, Debug)]
pub struct Aim {
    pub claim: NameClaim,
    /// The machine, if a target describes one.
    pub node: Option<Node>,
    /// Where the platform comes from: `its name`, `--platform`.
    pub stated_by: String,
}

/// One file.
pub struct Shipped<'a> {
    pub rootfs: &'a RootFs<FileKind>,
    /// Names of disabled purpose rules.
    pub rules_off: &'a BTreeSet<String>,
}

/// The verdict on one file.
#[derive(Debug)]
pub struct ShippedJudgement {
    pub agreement: Agreement,
    pub findings: Vec<Finding>,
    /// Number of programs and libraries in machine code.
    pub programs: usize,
    pub architectures: BTreeMap<Arch, usize>,
    /// Why the file cannot be called healthy, although no problem is known.
    pub undecided: Option<String>,
    /// The platform that most of its programs are for.
    pub guess: Option<Platform>,
}

/// Rules that describe the file itself, whatever is next to it: such a file is not a program of the package.
const BY_NATURE: &[&str] = &[
    "object-file",
    "core-dump",
    "device-code",
    "static-library",
    "debug-file",
    "test-data",
    "windows-launcher",
    "wine",
    "firmware",
];

impl Aim {
    /// `linux/arm64`, or the part of it that is known.
    pub fn shown(&self) -> String {
        let arch = self.claim.archs.first().map(|arch| arch.oci());
        let os = self.claim.system.map(|system| system.os().unwrap_or("another system"));
        match (os, arch, self.claim.platform()) {
            (Some(_), Some(_), Some(platform)) => platform.to_string(),
            (Some(os), Some(arch), None) => format!("{os}/{arch}"),
            (Some(os), None, _) => os.to_string(),
            (None, Some(arch), _) => arch.to_string(),
            (None, None, _) => "any platform".to_string(),
        }
    }

    fn machine(&self) -> Option<Node> {
        self.node.clone().or_else(|| self.claim.archs.first().map(|arch| Node::plain(*arch)))
    }
}

/// Judges a file for one of its platforms. `aims` are all of them: programs for another one of them are expected.
pub fn judge(shipped: &Shipped<'_>, aim: &Aim, aims: &[Aim]) -> ShippedJudgement {
    let node = aim.machine();
    let programs = Programs::collect(shipped.rootfs, node.as_ref().unwrap_or(&Node::plain(Arch::Amd64)));
    let natives = NativeFile::all(shipped.rootfs, &programs);
    let libraries = Libraries::from_rootfs(shipped.rootfs, &programs, &[]);
    let siblings = node.as_ref().map(|node| Siblings::from_rootfs(shipped.rootfs, &programs, &libraries, node.arch));
    let mut judged = ShippedJudgement::from_natives(&natives);
    let (mut own, mut compatible, mut foreign) = (0, Vec::new(), Vec::new());
    for native in &natives {
        let rule = native
            .suspect()
            .zip(siblings.as_ref())
            .and_then(|(suspect, siblings)| purpose::purpose(&suspect, siblings, shipped.rules_off));
        let is_data = rule.is_some_and(|rule| BY_NATURE.contains(&rule.name));
        match native.fit(&aim.claim, node.as_ref()) {
            PlatformFit::Own => own += 1,
            PlatformFit::Compatible if is_data => {}
            PlatformFit::Compatible => compatible.push(native),
            PlatformFit::Foreign if is_data => {
                judged.findings.extend(rule.map(|rule| on_purpose(native, rule.name, rule.why)))
            }
            PlatformFit::Foreign => foreign.push((native, rule)),
        }
    }
    let is_anothers = |native: &NativeFile<'_>| {
        aims.iter().any(|other| native.fit(&other.claim, other.machine().as_ref()) == PlatformFit::Own)
    };
    if own == 0 && compatible.is_empty() && foreign.is_empty() {
        if natives.is_empty() {
            judged.findings.push(Finding::new(Code::NoPrograms, "no program was found in the file"));
        }
        judged.agreement = if natives.is_empty() { Agreement::NoPrograms } else { Agreement::Fits };
        // Firmware and debug files for the same platform are the purpose of such a package.
        let is_own = |native: &NativeFile<'_>| native.arch().is_some_and(|arch| aim.claim.archs.contains(&arch));
        if !natives.iter().all(is_own) {
            judged.undecided = Some("it contains only programs for other platforms, which look like data".to_string());
        }
    } else if own == 0 {
        let all: Vec<&NativeFile<'_>> =
            compatible.iter().copied().chain(foreign.iter().map(|(native, _)| *native)).collect();
        let are_others = aims.len() > 1 && all.iter().all(|native| is_anothers(native));
        if are_others {
            judged.undecided =
                Some(format!("{} names several platforms, but nothing in it is for {}", aim.stated_by, aim.shown()));
        } else {
            judged.findings.push(wholly(aim, &all, foreign.is_empty()));
        }
        judged.agreement = Agreement::WhollyForeign;
    } else {
        foreign.retain(|(native, _)| !is_anothers(native));
        judged.agreement = if foreign.is_empty() { Agreement::Fits } else { Agreement::Mixed };
        for (native, rule) in foreign {
            judged.findings.push(match rule {
                Some(rule) => on_purpose(native, rule.name, rule.why),
                None => partly(aim, native),
            });
        }
    }
    if aim.claim.archs.is_empty() && judged.programs > 0 && judged.agreement != Agreement::WhollyForeign {
        judged.undecided = Some(format!("{} names no architecture", aim.stated_by));
    }
    finding::sort(&mut judged.findings);
    judged
}

/// Judges a file whose platform is not known: each program is checked against the platform in its own directories and
/// name.
pub fn judge_by_paths(shipped: &Shipped<'_>) -> ShippedJudgement {
    let programs = Programs::collect(shipped.rootfs, &Node::plain(Arch::Amd64));
    let natives = NativeFile::all(shipped.rootfs, &programs);
    let mut judged = ShippedJudgement::from_natives(&natives);
    let mut unnamed = 0;
    for native in &natives {
        match claim::path_allows(&native.path, native.system(), native.arch()) {
            Some(true) => {}
            Some(false) if is_loaded_by_path(&native.path) => judged.findings.push(misplaced(native)),
            Some(false) | None => unnamed += 1,
        }
    }
    judged.agreement = match natives.is_empty() {
        true => Agreement::NoPrograms,
        false if judged.findings.is_empty() => Agreement::Fits,
        false => Agreement::Mixed,
    };
    if natives.is_empty() {
        judged.findings.push(Finding::new(Code::NoPrograms, "no program was found in the file"));
    } else if unnamed > 0 {
        judged.undecided = Some("its name does not state its platform".to_string());
    }
    judged
}

/// Judges a file that claims any platform: programs in it are data, but those of a wheel are loaded.
pub fn judge_any(shipped: &Shipped<'_>, is_wheel: bool, stated_by: &str) -> ShippedJudgement {
    let mut judged = judge_by_paths(shipped);
    let programs = Programs::collect(shipped.rootfs, &Node::plain(Arch::Amd64));
    let natives = NativeFile::all(shipped.rootfs, &programs);
    judged.undecided = None;
    judged.findings.retain(|finding| finding.code != Code::NoPrograms);
    let is_bound = |native: &&NativeFile<'_>| {
        let is_elf = matches!(native.code, MachineCode::Elf(_));
        is_elf && claim::path_allows(&native.path, native.system(), native.arch()) != Some(true)
    };
    if is_wheel && let Some(native) = natives.iter().find(is_bound) {
        let message = format!("{stated_by} claims any platform, but it contains a library for {}", native.shown());
        let finding = Finding::new(Code::ReleaseWrongPlatform, message).severity(Severity::Warning);
        judged.findings.push(at(finding, native, "any platform"));
    }
    judged
}

/// The file's name and its own metadata name different platforms.
pub fn disagreement(name: &Aim, declared: &Aim) -> Finding {
    let message =
        format!("{} claims {}, but {} claims {}", name.stated_by, name.shown(), declared.stated_by, declared.shown());
    // A package manager refuses it on the platform of its name.
    let finding = Finding::new(Code::MetadataDisagrees, message).severity(Severity::Error);
    let mut finding = finding.is(declared.shown(), name.shown());
    finding.hint = vec!["rebuild the package, or rename the file to match its contents".to_string()];
    finding
}

impl ShippedJudgement {
    fn from_natives(natives: &[NativeFile<'_>]) -> ShippedJudgement {
        let architectures = native::count(natives);
        let mut kinds: BTreeMap<(Option<System>, Arch), usize> = BTreeMap::new();
        for native in natives {
            if let Some(arch) = native.arch() {
                *kinds.entry((native.system(), arch)).or_default() += 1;
            }
        }
        let most = kinds.iter().max_by_key(|(_, count)| **count);
        let guess = most.and_then(|((system, arch), _)| {
            NameClaim { system: *system, archs: vec![*arch], variant: None }.platform()
        });
        let (agreement, findings) = (Agreement::Fits, Vec::new());
        ShippedJudgement { agreement, findings, programs: natives.len(), architectures, undecided: None, guess }
    }
}

/// Java, Python and Node.js load a library from the directory that names its platform.
fn is_loaded_by_path(path: &str) -> bool {
    let is_library =
        path.contains(".so") || path.ends_with(".node") || path.ends_with(".dll") || path.ends_with(".dylib");
    is_library
        && (path.contains("prebuilds/") || path.contains("native") || path.contains("/lib/") || path.contains(".jar!/"))
}

fn misplaced(native: &NativeFile<'_>) -> Finding {
    let message = format!("its path names another platform, but it is for {}", native.shown());
    at(Finding::new(Code::ReleaseWrongPlatform, message), native, "")
}

/// One finding for all programs.
fn wholly(aim: &Aim, natives: &[&NativeFile<'_>], all_run: bool) -> Finding {
    let kinds: BTreeSet<String> = natives.iter().map(|native| native.shown()).collect();
    let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
    let programs = match natives {
        [_] => "the only program in it is".to_string(),
        all => format!("all {} programs in it are", all.len()),
    };
    let message = format!("{} claims {}, but {programs} for {kinds}", aim.stated_by, aim.shown());
    let mut finding = Finding::new(Code::ReleaseWrongPlatform, message).is(kinds, aim.shown());
    if let [native] = natives {
        finding.path = Some(native.path.clone());
    }
    // Some processors and systems run them, others do not.
    let is_arm = natives.iter().any(|native| native.arch() == Some(Arch::Arm));
    if all_run && !is_arm { finding.severity(Severity::Warning) } else { finding }
}

fn partly(aim: &Aim, native: &NativeFile<'_>) -> Finding {
    let shown = native.shown();
    let message = format!("it is {shown}, in a file for {} ({})", aim.shown(), aim.stated_by);
    let finding = at(Finding::new(Code::ReleaseWrongPlatform, message), native, &aim.shown());
    // A path that names the program's own platform is intentional; a program in a nested archive is not started from
    // it.
    let names_itself = claim::path_allows(&native.path, native.system(), native.arch()) == Some(true);
    if names_itself || native.path.contains("!/") { finding.severity(Severity::Warning) } else { finding }
}

fn on_purpose(native: &NativeFile<'_>, rule: &'static str, why: &str) -> Finding {
    let mut finding = at(Finding::new(Code::ForeignOnPurpose, "foreign on purpose"), native, "");
    finding.purpose = Some((rule.into(), why.to_string()));
    finding.hint.clear();
    finding
}

fn at(mut finding: Finding, native: &NativeFile<'_>, expected: &str) -> Finding {
    finding.path = Some(native.path.clone());
    finding.group = native.path.rsplit_once('/').map(|(directory, _)| directory.to_string());
    finding.is(native.shown(), expected)
}

#[cfg(test)]
#[path = "shipped_tests.rs"]
mod tests;
