//! A plain file that is not an image: a program, a release archive or a package. It is checked against the platforms
//! that the user, its name or its metadata states.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::keeping::counted;
use super::layers::ReportedReader;
use super::model::{ImageReport, PlatformReport, Problem};
use super::{Options, Watch};
use crate::image::{ImageError, LayerError, Limits, RootFs, raise_memory};
use crate::inspect::FileKind;
use crate::judge::shipped::{self, Aim, NameClaim, Shipped, ShippedJudgement, Stated, claim, disagreement};
use crate::package::{self, Package, PackageFormat};
use crate::platform::{Platform, Target};
use crate::source::{Origin, SourceError};

/// A file that has been read.
pub struct ReadFile {
    name: String,
    package: Package<FileKind>,
}

/// Whether the file at `path` is an image archive.
pub fn holds_image(path: &Path, options: &Options) -> Result<bool, Problem> {
    let mut file = open(path)?;
    Ok(package::holds_image(&mut file, &options.limits))
}

/// Reads the file at `path`.
pub fn read(path: &Path, options: &Options, watch: &Arc<dyn Watch>) -> Result<ReadFile, Problem> {
    let file = open(path)?;
    let size = file.metadata().map_err(|cause| unreadable(path, cause))?.len();
    let limits = Limits { memory: options.limits.memory.renewed(), ..options.limits.clone() };
    watch.expect(size);
    let mut reader = ReportedReader { reader: Box::new(file), watch: Arc::clone(watch), deadline: options.deadline };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = package::read(&mut reader, &name, size, &limits, &mut counted(options.depth(), &limits));
    let package = read.map_err(|cause| {
        let hint = matches!(cause, LayerError::TooMuchMemory(_)).then(raise_memory);
        Problem::new(format!("{}: {cause}", path.display()), hint)
    })?;
    Ok(ReadFile { name: path.display().to_string(), package })
}

fn open(path: &Path) -> Result<File, Problem> {
    crate::source::open_regular(path).map_err(|error| {
        let error = ImageError::from(error);
        Problem::new(error.to_string(), error.hint())
    })
}

fn unreadable(path: &Path, cause: std::io::Error) -> Problem {
    Problem::new(SourceError::File { path: path.to_path_buf(), cause }.to_string(), None)
}

/// Judges a file that has been read, and adds the result to its report.
pub fn judge(read: ReadFile, options: &Options, report: &mut ImageReport) {
    let ReadFile { name, package } = read;
    let mut rootfs: RootFs<FileKind> = RootFs::bounded(options.limits.memory.limit());
    let Package { format, packing, contents, declared, unread } = package;
    for contents in contents {
        rootfs.apply(Arc::new(contents));
    }
    let packed = packing.map_or(String::new(), |packing| format!(", {}", packing.name()));
    report.origin = Origin::local(&format!("{}{packed}", format.name()));
    if format == PackageFormat::Single && !is_program(&rootfs) {
        let text = format!(
            "{name} is not an image archive, an OCI layout, a root file system, a program, a release archive or a \
             package"
        );
        report.problems.push(Problem::new(text, None));
        return;
    }
    for lost in unread {
        let place = if lost.path.is_empty() { name.clone() } else { format!("{name}: {}", lost.path) };
        report.problems.push(Problem::new(format!("{place}: {}", lost.why), None));
    }
    if rootfs.left_out() > 0 {
        report
            .problems
            .push(Problem::new(format!("{name} contains more entries than can be read"), Some(raise_memory())));
    }
    let aims = Aims::from_name(&name, format, declared.as_deref(), &rootfs, options);
    let shipped = Shipped { rootfs: &rootfs, rules_off: &options.rules_off };
    if let Some((name, declared)) = &aims.contradiction {
        report.findings.push(disagreement(name, declared));
    }
    match aims.stated {
        Aimed::At(all) => {
            let others = if aims.are_alternatives { all.as_slice() } else { &[] };
            for aim in &all {
                let judged = shipped::judge(&shipped, aim, others);
                add(report, aim.claim.platform(), judged, rootfs.entries());
            }
        }
        Aimed::Any(stated_by) => {
            let judged = shipped::judge_any(&shipped, name.to_ascii_lowercase().ends_with(".whl"), &stated_by);
            add(report, None, judged, rootfs.entries());
            report.platforms.iter_mut().for_each(|platform| platform.is_data_only = true);
        }
        Aimed::Nowhere => {
            let judged = shipped::judge_by_paths(&shipped);
            let is_java = judged.programs == 0 && is_jar(&name, &rootfs);
            add(report, None, judged, rootfs.entries());
            if is_java {
                // Bytecode runs on every platform.
                let platform = report.platforms.last_mut().expect("one was added");
                platform.is_data_only = true;
                platform.findings.clear();
            }
        }
    }
}

fn add(report: &mut ImageReport, platform: Option<Platform>, judged: ShippedJudgement, entries: usize) {
    let ShippedJudgement { agreement, findings, programs, architectures, undecided, guess } = judged;
    let hint = guess.map(|guess| format!("most of its programs are for {guess}; check it with --platform {guess}"));
    let problems = undecided.map(|why| Problem::new(why, hint)).into_iter().collect();
    report.platforms.push(PlatformReport {
        agreement,
        findings,
        programs,
        architectures,
        problems,
        entries,
        ..PlatformReport::new(platform, None)
    });
}

/// The platforms that a file is checked against.
struct Aims {
    stated: Aimed,
    /// A file for one of them does not need to fit the others.
    are_alternatives: bool,
    /// The file's name and its metadata, if they name different platforms.
    contradiction: Option<(Aim, Aim)>,
}

enum Aimed {
    At(Vec<Aim>),
    /// Any platform; the value is the source of that claim.
    Any(String),
    Nowhere,
}

impl Aims {
    fn from_name(
        name: &str,
        format: PackageFormat,
        declared: Option<&str>,
        rootfs: &RootFs<FileKind>,
        options: &Options,
    ) -> Aims {
        let (mut stated, stated_by) = stated(name, rootfs);
        let own = declared.map(|declared| (claim::of_package(declared), "its metadata"));
        // Names of these packages need not contain an architecture, so such a word may mean something else.
        let is_loose =
            matches!(&stated, Stated::Platforms(claims) if claims.iter().all(|claim| claim.archs.is_empty()));
        if (format == PackageFormat::PkgInfo || is_loose)
            && own.as_ref().is_some_and(|(own, _)| *own != Stated::Nothing)
        {
            stated = Stated::Nothing;
        }
        let named = aims(&stated, &stated_by);
        let declared = own.as_ref().map_or_else(Vec::new, |(stated, by)| aims(stated, by));
        let contradiction = match (named.as_slice(), declared.as_slice()) {
            ([name], [declared]) => {
                let allows = |arch| name.claim.archs.is_empty() || name.claim.archs.contains(arch);
                let is_contradicted = declared.claim.archs.first().is_some_and(|arch| !allows(arch));
                is_contradicted.then(|| (name.clone(), declared.clone()))
            }
            _ => None,
        };
        let given = given(options);
        // If several are given, one of them may be the file's own.
        let is_own = |aim: &&Aim| {
            named.iter().chain(&declared).any(|own| own.claim.platform().is_some_and(|own| is_same(&own, aim)))
        };
        let chosen: Vec<Aim> = given.iter().filter(is_own).cloned().collect();
        let is_given = !given.is_empty();
        let is_any = stated == Stated::Any
            || (stated == Stated::Nothing && own.as_ref().is_some_and(|(own, _)| *own == Stated::Any));
        // Several targets belong to a project: a file that names none of them is for one of them.
        let is_given_alone = !options.platforms.is_empty() || given.len() == 1;
        let stated = match (is_given && !is_any, chosen.is_empty()) {
            (true, false) if given.len() > 1 => Aimed::At(chosen),
            (true, _) => Aimed::At(given),
            (false, _) => match (stated, own) {
                (Stated::Any, _) => Aimed::Any(stated_by),
                (Stated::Platforms(_), _) => Aimed::At(fixed(named, format)),
                (Stated::Nothing, Some((Stated::Any, by))) => Aimed::Any(by.to_string()),
                (Stated::Nothing, Some((Stated::Platforms(_), _))) => Aimed::At(declared),
                (Stated::Nothing, _) => Aimed::Nowhere,
            },
        };
        Aims { stated, are_alternatives: !is_given_alone, contradiction }
    }
}

fn is_same(own: &Platform, aim: &Aim) -> bool {
    aim.claim.platform().is_some_and(|given| given.os == own.os && given.architecture == own.architecture)
}

fn aims(stated: &Stated, stated_by: &str) -> Vec<Aim> {
    match stated {
        Stated::Platforms(claims) => claims
            .iter()
            .map(|claim| Aim { claim: claim.clone(), node: None, stated_by: stated_by.to_string() })
            .collect(),
        Stated::Nothing | Stated::Any => Vec::new(),
    }
}

/// Packages of Linux distributions and AppImages are for Linux, even if their names do not state it.
fn fixed(mut aims: Vec<Aim>, format: PackageFormat) -> Vec<Aim> {
    let is_linux =
        matches!(format, PackageFormat::AppImage | PackageFormat::Deb | PackageFormat::Rpm | PackageFormat::PkgInfo);
    for aim in aims.iter_mut().filter(|_| is_linux) {
        aim.claim.system = aim.claim.system.or(Some(shipped::System::Linux));
    }
    aims
}

/// The platforms and targets of the user.
fn given(options: &Options) -> Vec<Aim> {
    if options.platforms.is_empty() {
        let of_target = |target: &Target| Aim {
            claim: NameClaim::of_platform(&target.platform),
            node: Some(target.node.clone()),
            stated_by: format!("--target {}", target.name),
        };
        return options.targets.iter().map(of_target).collect();
    }
    let of_platform = |platform: &Platform| Aim {
        claim: NameClaim::of_platform(platform),
        node: Target::of_platform(platform).map(|target| target.node),
        stated_by: "--platform".to_string(),
    };
    options.platforms.iter().map(of_platform).collect()
}

/// The platforms in a file's name or in the directories of its path, and where they come from.
fn stated(name: &str, rootfs: &RootFs<FileKind>) -> (Stated, String) {
    let mut components = name.rsplit('/').filter(|component| !matches!(*component, "" | "." | ".."));
    let file = components.next().unwrap_or(name);
    let stated = claim::of_name(file);
    if stated != Stated::Nothing {
        return (stated, "its name".to_string());
    }
    if file.to_ascii_lowercase().ends_with(".whl") || has_wheel(rootfs) {
        return (claim::of_wheel_tags(&wheel_tags(rootfs)), "its WHEEL file".to_string());
    }
    // `target/aarch64-unknown-linux-musl/release/tool`
    let directory = components.take(DIRECTORIES).map(claim::of_directory).find(|stated| *stated != Stated::Nothing);
    (directory.unwrap_or(Stated::Nothing), "its directory".to_string())
}

/// Number of directories above a file that may name its platform.
const DIRECTORIES: usize = 3;

fn has_wheel(rootfs: &RootFs<FileKind>) -> bool {
    rootfs.files_with_facts().any(|view| matches!(view.fact, Some(FileKind::Wheel(_))))
}

fn wheel_tags(rootfs: &RootFs<FileKind>) -> Vec<String> {
    let tags = rootfs.files_with_facts().filter_map(|view| match view.fact {
        Some(FileKind::Wheel(tags)) => Some(tags.iter().cloned()),
        _ => None,
    });
    tags.flatten().collect()
}

fn is_jar(name: &str, rootfs: &RootFs<FileKind>) -> bool {
    let name = name.to_ascii_lowercase();
    [".jar", ".war", ".ear"].iter().any(|end| name.ends_with(end)) || rootfs.resolve("/META-INF/MANIFEST.MF").is_ok()
}

/// Whether the only file is one that a machine executes or loads.
fn is_program(rootfs: &RootFs<FileKind>) -> bool {
    rootfs.files_with_facts().any(|view| match view.fact {
        Some(FileKind::Elf(_) | FileKind::Pe(_) | FileKind::MachO(_)) => true,
        Some(FileKind::Script(script)) => script.zip.is_some(),
        _ => false,
    })
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
