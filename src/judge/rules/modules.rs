//! Modules that an installed runtime loads later. They are judged like files that are loaded at start: by missing
//! libraries, and by symbol versions that the image's libraries lack.

use std::collections::HashSet;

use crate::judge::code::{Code, Severity};
use crate::judge::facts::libraries::Lack;
use crate::judge::facts::programs::{Fit, Program};
use crate::judge::facts::runtimes::{self, OnNamed};
use crate::judge::facts::siblings::{package_directory, python_package};
use crate::judge::files::{Files, foreign};
use crate::judge::finding::Finding;

/// The origin of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The runtime or the distribution, whose packages only recommend what such modules need.
    Distribution,
    /// The application.
    Application,
}

/// Directories that distributions' package managers own.
const DISTRIBUTION: &[&str] = &["/usr/lib/", "/usr/lib64/", "/usr/share/", "/usr/libexec/", "/lib/", "/lib64/"];
/// Directories of the runtimes' own modules, in any location.
const OWN: &[&str] = &["/lib-dynload/", "/erlang/lib/", "/R/library/", "/pgxs/"];

/// Packages that have a loadable module, with the fit of that module; computed on first use.
#[derive(Default)]
pub struct SoundPackages(Option<HashSet<(String, Fit)>>);

impl SoundPackages {
    /// Whether the package of a module that cannot be loaded has another one that can.
    fn contains(&mut self, files: &Files<'_>, program: &Program<'_>) -> bool {
        let Some(package) = package_directory(&program.path) else { return false };
        let all = self.0.get_or_insert_with(|| {
            let is_module = |other: &&Program<'_>| other.path.ends_with(".so") || other.path.ends_with(".node");
            let sound =
                files.programs.all.iter().filter(is_module).filter(|other| files.libraries.lack(other).is_none());
            sound.filter_map(|other| Some((package_directory(&other.path)?.to_string(), other.fit))).collect()
        });
        all.contains(&(package.to_string(), program.fit))
    }
}

/// The finding on a module of `runtime`, if it cannot be loaded.
pub fn judge(files: &Files<'_>, sound: &mut SoundPackages, program: &Program<'_>, runtime: &str) -> Option<Finding> {
    let lack = files.libraries.lack(program)?;
    let severity = severity(files, sound, program, runtime);
    let (message, expected) = match &lack {
        Lack::Library { name, needed_by } if *needed_by == program.path => {
            (format!("a module of {runtime} needs {name}, which is not in the image"), name.clone())
        }
        Lack::Library { name, needed_by } => (
            format!("a module of {runtime} needs {needed_by}, which needs {name}, which is not in the image"),
            name.clone(),
        ),
        Lack::Version { version, library, wanted_by, newest } => {
            let newest = newest.as_ref().map_or_else(String::new, |newest| format!(", whose newest is {newest}"));
            (
                format!(
                    "a module of {runtime} cannot be loaded: {wanted_by} was linked against {version}; the image has {library}{newest}"
                ),
                version.clone(),
            )
        }
    };
    let mut finding = foreign(files, program, Code::ExtensionMissingLibrary, message).severity(severity);
    finding.expected = expected;
    if let Lack::Version { .. } = lack {
        finding.hint = vec![
            "build the module in the stage or on the base image that it runs on, or use a base image that is at least as new"
                .to_string(),
        ];
    }
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.extend(files.interpreter(runtime));
    finding.reached_by.push(program.path.clone());
    Some(finding)
}

fn severity(files: &Files<'_>, sound: &mut SoundPackages, program: &Program<'_>, runtime: &str) -> Severity {
    let named = runtimes::row(runtime).filter(|_| files.reach.names_module(&program.path));
    match named.map_or(OnNamed::NamesNone, |row| row.on_named) {
        OnNamed::Ends | OnNamed::Lacks => return Severity::Error,
        OnNamed::NamesNone => {}
    }
    match owner(files, program, runtime) {
        Owner::Distribution => Severity::Note,
        // A plug-in is only loaded if its dependencies are installed.
        Owner::Application if program.path.contains("/plugins/") => Severity::Note,
        // Other modules of the package load: it may work without this one.
        Owner::Application if sound.contains(files, program) => Severity::Warning,
        Owner::Application => Severity::Error,
    }
}

fn owner(files: &Files<'_>, program: &Program<'_>, runtime: &str) -> Owner {
    let path = &program.path;
    let is_distribution = DISTRIBUTION.iter().any(|place| path.starts_with(place));
    if OWN.iter().any(|place| path.contains(place)) || files.reach.is_home(path) {
        return Owner::Distribution;
    }
    if path.contains("/node_modules/") && !path.starts_with("/usr/share/") {
        return Owner::Application;
    }
    if let Some((place, _)) = python_package(path) {
        // Debian's own packages are in this directory; pip uses other directories there, and site-packages elsewhere.
        let is_debian = place == "/usr/lib/python3/dist-packages/";
        let is_installed = !is_distribution || has_record(files, program);
        return if is_installed && !is_debian { Owner::Application } else { Owner::Distribution };
    }
    if is_distribution {
        return Owner::Distribution;
    }
    // Modules from the layer of the runtime itself are its optional parts.
    let host = files.reach.interpreter(runtime).and_then(|path| files.rootfs.resolve(path).ok());
    let host_layer = host.map(|id| files.rootfs.view(id).layer);
    let is_packaged = ["/gems/", "/bundle/", "/site-library/", "/perl5/"].iter().any(|place| path.contains(place));
    if is_packaged || host_layer.is_some_and(|layer| program.layer > layer) {
        Owner::Application
    } else {
        Owner::Distribution
    }
}

/// Whether the package of a module has a `RECORD`, which pip and uv write. Source: PEP 376, 627.
fn has_record(files: &Files<'_>, program: &Program<'_>) -> bool {
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
