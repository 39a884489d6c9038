//! Modules that an installed runtime loads later. They are judged like files that are loaded at start: by missing
//! libraries, and by symbol versions that the image's libraries lack.

use std::collections::{HashMap, HashSet};

use crate::inspect::FileKind;
use crate::judge::code::{Code, Severity};
use crate::judge::facts::libraries::Lack;
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::runtimes::{OnNamed, RuntimeKind};
use crate::judge::facts::siblings::{fits_libc, is_engine, package_directory, python_package};
use crate::judge::files::{FileRuleInput, foreign};
use crate::judge::finding::Finding;

/// The origin of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ModuleOwner {
    /// The runtime or the distribution, whose packages only recommend what such modules need.
    Distribution,
    /// The application.
    Application,
}

/// Directories that distributions' package managers own.
const DISTRIBUTION: &[&str] = &["/usr/lib/", "/usr/lib64/", "/usr/share/", "/usr/libexec/", "/lib/", "/lib64/"];
/// Directories of the runtimes' own modules, in any location.
const OWN: &[&str] = &["/lib-dynload/", "/erlang/lib/", "/R/library/", "/pgxs/"];

/// A package whose broken modules are this many times its sound ones does not work.
pub const MOST: usize = 8;
/// Libraries of hardware and of threads for which packages have one of several back ends. They try to load each.
const BACK_ENDS: &[&str] = &[
    "libOpenCL.so",
    "libamdhip64.so",
    "libcublas.so",
    "libcudart.so",
    "libgomp.so",
    "libhsa-runtime64.so",
    "libiomp5.so",
    "libomp.so",
    "libtbb.so",
    "libvulkan.so",
    "libze_loader.so",
];

/// The files of a package for one platform.
#[derive(Debug, Default)]
struct ModulePackage<'a> {
    /// How many modules can be loaded, and how many cannot.
    sound: usize,
    broken: usize,
    /// Whether a module that a language imports can be loaded.
    has_import: bool,
    /// How many files need each library.
    needed: HashMap<&'a str, usize>,
    /// The names of the addons of Node.js that can be loaded in this image.
    addons: HashSet<&'a str>,
}

impl ModulePackage<'_> {
    /// Whether it has modules that can be loaded, and not only a few.
    fn works(&self) -> bool {
        self.sound > 0 && self.broken < MOST * self.sound
    }

    fn needing(&self, library: &str) -> usize {
        self.needed.get(library).copied().unwrap_or_default()
    }
}

/// The packages with modules, by their directory and the fit of their files; read on first use.
#[derive(Default)]
pub struct ModulePackages<'a>(Option<HashMap<(&'a str, Fit), ModulePackage<'a>>>);

impl<'a> ModulePackages<'a> {
    fn package<'s>(
        &'s mut self,
        files: &FileRuleInput<'a>,
        program: &'s JudgedProgram<'_>,
    ) -> Option<&'s ModulePackage<'s>> {
        let package = package_directory(&program.path)?;
        let all: &'s HashMap<(&'s str, Fit), ModulePackage<'s>> = self.0.get_or_insert_with(|| read(files));
        all.get(&(package, program.fit))
    }

    /// Whether a package has a library as a plug-in: no file of it needs the library, nothing imports it by its name, and
    /// another module is imported and can be loaded.
    pub fn has_plugin(&mut self, files: &FileRuleInput<'a>, program: &JudgedProgram<'_>) -> bool {
        let soname = program.elf.dynamic.as_ref().and_then(|dynamic| dynamic.soname.as_deref());
        let soname = soname.unwrap_or(program.name());
        let package = if is_imported(program) { None } else { self.package(files, program) };
        package.is_some_and(|package| package.needing(soname) == 0 && package.has_import)
    }

    /// Whether a package works without a module that lacks the library `name`: it is a plug-in, or the only one of
    /// several back ends that needs the library. Seen with openvino, whose plug-in for GPUs needs libOpenCL.so.1, and
    /// with numba, which tries three thread pools.
    fn does_without(&mut self, files: &FileRuleInput<'a>, program: &JudgedProgram<'_>, name: &str) -> bool {
        let needs = |library: &str| {
            program.elf.dynamic.as_ref().is_some_and(|dynamic| dynamic.needed.iter().any(|needed| needed == library))
        };
        let is_back_end = |package: &ModulePackage<'_>| {
            BACK_ENDS.iter().any(|start| name.starts_with(start))
                && needs(name)
                && package.needing(name) == 1
                && package.has_import
        };
        // If nearly all of a package is broken, its plug-ins are errors too.
        let works = self.package(files, program).is_some_and(ModulePackage::works);
        works && (self.has_plugin(files, program) || self.package(files, program).is_some_and(is_back_end))
    }

    /// Whether a package has several builds of an addon, another of which can be loaded: zeromq 6 has one for each C
    /// library and version of Node.js, and tries them.
    fn has_another_build(&mut self, files: &FileRuleInput<'a>, program: &JudgedProgram<'_>) -> bool {
        program.path.ends_with(".node")
            && self.package(files, program).is_some_and(|package| package.addons.contains(program.name()))
    }
}

fn read<'a>(files: &FileRuleInput<'a>) -> HashMap<(&'a str, Fit), ModulePackage<'a>> {
    let mut all: HashMap<_, ModulePackage<'a>> = HashMap::new();
    for program in &files.programs.all {
        let Some(directory) = package_directory(&program.path) else { continue };
        let package = all.entry((directory, program.fit)).or_default();
        for library in program.elf.dynamic.iter().flat_map(|dynamic| &dynamic.needed) {
            *package.needed.entry(library).or_default() += 1;
        }
        if !is_module(program) {
            continue;
        }
        if files.libraries.lack(program).is_some() {
            package.broken += 1;
            continue;
        }
        package.sound += 1;
        package.has_import |= is_imported(program);
        if program.path.ends_with(".node") && fits_libc(program, &files.programs.libcs) {
            package.addons.insert(program.name());
        }
    }
    all
}

fn is_module(program: &JudgedProgram<'_>) -> bool {
    program.path.ends_with(".so") || program.path.ends_with(".node")
}

/// Whether a language imports the module by its name. Libraries are loaded by path or needed by other files.
fn is_imported(program: &JudgedProgram<'_>) -> bool {
    is_module(program) && !program.name().starts_with("lib")
}

/// The finding on a module of `runtime`, if it cannot be loaded.
pub fn judge<'a>(
    files: &FileRuleInput<'a>,
    packages: &mut ModulePackages<'a>,
    program: &JudgedProgram<'_>,
    runtime: RuntimeKind,
) -> Option<Finding> {
    let lack = lack(files, program)?;
    let missing = match &lack {
        Lack::Library { name, .. } if !is_vendored(name) => Some(name.as_str()),
        Lack::Library { .. } | Lack::Unsearched { .. } | Lack::Version { .. } => None,
    };
    let severity = match severity(files, packages, program, runtime, missing) {
        Severity::Warning if packages.has_another_build(files, program) => Severity::Note,
        other => other,
    };
    let severity = match lack {
        Lack::Unsearched { .. } => severity.min(Severity::Warning),
        // The package is damaged: no other place can have the library.
        Lack::Library { ref name, .. } if is_vendored(name) && severity == Severity::Warning => Severity::Error,
        Lack::Library { .. } | Lack::Version { .. } => severity,
    };
    let mut finding =
        lacking(files, program, &lack, (Code::ExtensionMissingLibrary, &format!("a module of {runtime}")));
    finding.severity = severity;
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.extend(files.interpreter(runtime));
    finding.reached_by.push(program.path.clone());
    Some(finding)
}

/// What a module or program needs and cannot find. A library in a directory that a script of the image names counts as
/// found: the script may add the directory to the search.
pub fn lack(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> Option<Lack> {
    let lack = files.libraries.lack(program)?;
    if let Lack::Unsearched { path, .. } = &lack {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory).as_bytes();
        let is_named = |kind: &FileKind| {
            let text: &[u8] = match kind {
                FileKind::Script(script) => &script.text,
                FileKind::Config(text) => text,
                _ => return false,
            };
            !directory.is_empty() && text.windows(directory.len()).any(|window| window == directory)
        };
        if files.rootfs.files_with_facts().any(|view| view.fact.is_some_and(is_named)) {
            return None;
        }
    }
    Some(lack)
}

/// The finding on a file that lacks a library or a symbol version. `what`: `a module of Python`.
pub fn lacking(
    files: &FileRuleInput<'_>,
    program: &JudgedProgram<'_>,
    lack: &Lack,
    (code, what): (Code, &str),
) -> Finding {
    let needs = |needed_by: &str, name: &str| match needed_by == program.path {
        true => format!("{what} needs {name}"),
        false => format!("{what} needs {needed_by}, which needs {name}"),
    };
    let (message, expected) = match lack {
        Lack::Library { name, needed_by, other } => {
            let other = other.as_ref().map_or_else(String::new, |other| format!("; it has {other}"));
            (format!("{}, which is not in the image{other}", needs(needed_by, name)), name.clone())
        }
        Lack::Unsearched { name, needed_by, path } => (
            format!("{}, which is only in {path}, where the loader does not search", needs(needed_by, name)),
            name.clone(),
        ),
        Lack::Version { version, library, wanted_by, newest } => {
            let newest = newest.as_ref().map_or_else(String::new, |newest| format!(", whose newest is {newest}"));
            (
                format!(
                    "{what} cannot be loaded: {wanted_by} was linked against {version}; the image has {library}{newest}"
                ),
                version.clone(),
            )
        }
    };
    let mut finding = foreign(files, program, code, message);
    finding.expected = expected;
    match lack {
        Lack::Version { .. } => {
            finding.hint = vec![
                "build the file in the stage or on the base image that it runs on, or use a base image that is at least as new"
                    .to_string(),
            ];
        }
        Lack::Unsearched { path, .. } => {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            finding.hint = vec![format!(
                "add {directory} to /etc/ld.so.conf.d and run ldconfig, or set LD_LIBRARY_PATH={directory}"
            )];
        }
        Lack::Library { .. } if is_engine(&program.path) => {
            finding.hint = vec![
                "add the engine for this image's OpenSSL to binaryTargets in schema.prisma, or run prisma generate in the final stage"
                    .to_string(),
            ];
        }
        Lack::Library { other: Some(_), .. } => {
            finding.hint = vec![
                "build the file on the base image that it runs on: the image has another version of the library"
                    .to_string(),
            ];
        }
        Lack::Library { other: None, .. } => {}
    }
    finding
}

/// Whether a library was copied into its wheel: `libgfortran-040039e1.so.5.0.0` in `numpy.libs`. Its name contains eight
/// digits of its hash. Source: auditwheel's repair.py `copylib`.
fn is_vendored(name: &str) -> bool {
    let Some((stem, _)) = name.split_once(".so") else { return false };
    stem.split('-').skip(1).any(|part| {
        let hash = part.split('.').next().unwrap_or_default();
        hash.len() == 8 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn severity<'a>(
    files: &FileRuleInput<'a>,
    packages: &mut ModulePackages<'a>,
    program: &JudgedProgram<'_>,
    runtime: RuntimeKind,
    missing: Option<&str>,
) -> Severity {
    let on_named = runtime.row().on_named;
    match if files.reach.names_module(&program.path) { on_named } else { OnNamed::NamesNone } {
        OnNamed::Ends | OnNamed::Lacks => return Severity::Error,
        OnNamed::NamesNone => {}
    }
    match owner(files, program, runtime) {
        ModuleOwner::Distribution => Severity::Note,
        // A plug-in is only loaded if its dependencies are installed.
        ModuleOwner::Application if program.path.contains("/plugins/") => Severity::Note,
        ModuleOwner::Application if missing.is_some_and(|name| packages.does_without(files, program, name)) => {
            Severity::Note
        }
        // Other modules of the package load: it may work without this one.
        ModuleOwner::Application if packages.package(files, program).is_some_and(ModulePackage::works) => {
            Severity::Warning
        }
        ModuleOwner::Application => Severity::Error,
    }
}

/// Whether the application brought a module, and not the runtime or the distribution.
pub fn is_applications(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, runtime: RuntimeKind) -> bool {
    owner(files, program, runtime) == ModuleOwner::Application
}

fn owner(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, runtime: RuntimeKind) -> ModuleOwner {
    let path = &program.path;
    let is_distribution = DISTRIBUTION.iter().any(|place| path.starts_with(place));
    if OWN.iter().any(|place| path.contains(place)) || files.reach.is_home(path) {
        return ModuleOwner::Distribution;
    }
    if path.contains("/node_modules/") && !path.starts_with("/usr/share/") {
        return ModuleOwner::Application;
    }
    if let Some((place, _)) = python_package(path) {
        // Debian's own packages are in this directory; pip uses other directories there, and site-packages elsewhere.
        let is_debian = place == "/usr/lib/python3/dist-packages/";
        let is_installed = !is_distribution || has_record(files, program);
        return if is_installed && !is_debian { ModuleOwner::Application } else { ModuleOwner::Distribution };
    }
    if is_distribution {
        return ModuleOwner::Distribution;
    }
    match runtime {
        RuntimeKind::DotNet if files.reach.is_application(path) => return ModuleOwner::Application,
        // Tools that freeze a program copy modules that it may not load.
        // They always load Python itself.
        RuntimeKind::Python if files.reach.is_application(path) => {
            return match program.name().starts_with("libpython") {
                true => ModuleOwner::Application,
                false => ModuleOwner::Distribution,
            };
        }
        _ => {}
    }
    // An OTP release contains its own virtual machine, and only the modules that its application needs.
    if files.reach.interpreter(runtime).is_some_and(|host| files.reach.release_of(host).is_some()) {
        return ModuleOwner::Application;
    }
    // Modules from the layer and the prefix of the runtime itself are its optional parts: `/usr/local` of
    // `/usr/local/bin/php`. Images of one layer contain everything else in it, too.
    let interpreter = files.reach.interpreter(runtime);
    let prefix = interpreter.and_then(|path| Some(path.rsplit_once('/')?.0.rsplit_once('/')?.0));
    let is_outside = prefix.is_some_and(|prefix| !prefix.is_empty() && !is_below(path, prefix));
    let host_layer = interpreter.and_then(|path| files.rootfs.resolve(path).ok()).map(|id| files.rootfs.view(id).layer);
    let is_packaged = ["/gems/", "/bundle/", "/site-library/", "/perl5/", "/usr/local/lib/lua/"]
        .iter()
        .any(|place| path.contains(place));
    if is_packaged || is_outside || host_layer.is_some_and(|layer| program.layer > layer) {
        ModuleOwner::Application
    } else {
        ModuleOwner::Distribution
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether the package of a module has a `RECORD`, which pip and uv write. Source: PEP 376, 627.
fn has_record(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> bool {
    let Some((place, name)) = python_package(&program.path) else { return false };
    let Ok(id) = files.rootfs.resolve(place) else { return false };
    let plain = |name: &str| name.replace('-', "_").to_ascii_lowercase();
    let start = format!("{}-", plain(name));
    files.rootfs.children(id).any(|view| {
        let info = String::from_utf8_lossy(view.name).into_owned();
        info.ends_with(".dist-info")
            && plain(&info).starts_with(&start)
            && files.rootfs.resolve(format!("{place}{info}/RECORD")).is_ok()
            && files.rootfs.resolve(format!("{place}{info}/INSTALLER")).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_a_wheel_have_a_hash_in_their_name() {
        for name in ["libgfortran-040039e1.so.5.0.0", "libopenblas64_p-r0-17488984.3.23.dev.so"] {
            assert!(is_vendored(name), "{name}");
        }
        for name in ["libpq.so.5", "libvips-cpp.so.42", "libgstreamer-1.0.so.0", "libfoo-deadbeefs.so"] {
            assert!(!is_vendored(name), "{name}");
        }
    }
}
