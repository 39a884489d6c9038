//! Modules for a version of their runtime that the image does not have: the runtime looks elsewhere, or refuses them.

use crate::inspect::ModuleInterface;
use crate::judge::code::{Code, Severity};
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::facts::siblings::package_directory;
use crate::judge::facts::versions::{Versioned, nginx_of, node_of, php_of, wanted};
use crate::judge::files::{FileRuleInput, foreign};
use crate::judge::finding::Finding;
use crate::judge::rules::modules;
use crate::judge::rules::prebuilds::is_prebuilt;

/// The finding on a module of `runtime` for another version of it.
pub fn judge(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, runtime: RuntimeKind) -> Option<Finding> {
    let kind = runtime.row().versions?;
    let interface = program.elf.interface;
    let version = wanted(kind, &program.path, interface);
    let other = version.as_ref().and_then(|version| Some((version, files.reach.versions().without(kind, version)?)));
    let Some((version, own)) = other else { return threads(files, program) };
    let is_stated = interface.is_some();
    if is_prebuilt(&program.path) || has_own(files, program, (kind, version.as_str()), own.iter()) {
        return None;
    }
    let severity = severity(files, program, runtime, kind)?;
    let own: Vec<String> = own.iter().map(|own| shown(kind, own)).collect();
    let (is, own) = (shown(kind, version), own.join(", "));
    let result = if is_stated { "refuses it" } else { "does not look for it there" };
    let message = format!("a module of {runtime} is for {is}; this image has {own}, which {result}");
    let compared = (format!("for {is}"), own);
    Some(for_another_version(files, program, runtime, message, compared).severity(severity))
}

/// A finding about a module for another version of its runtime. `compared`: what it is for, and what the image has.
pub(super) fn for_another_version(
    files: &FileRuleInput<'_>,
    program: &JudgedProgram<'_>,
    runtime: RuntimeKind,
    message: String,
    compared: (String, String),
) -> Finding {
    let mut finding = foreign(files, program, Code::PackageOtherPlatform, message);
    (finding.is, finding.expected) = compared;
    finding.hint = vec![format!(
        "install the module with the version of {runtime} that the final stage has, or use one version in all stages"
    )];
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.extend(files.interpreter(runtime));
    finding.reached_by.push(program.path.clone());
    finding
}

/// A version for people: `Node.js 16 (NODE_MODULE_VERSION 93)`.
fn shown(kind: Versioned, version: &str) -> String {
    match kind {
        Versioned::Node => node_of(version).map(|major| format!("Node.js {major}")),
        Versioned::Php => php_of(version).map(|release| format!("PHP {release}")),
        Versioned::Nginx => return nginx_of(version).unwrap_or_default(),
        Versioned::Ruby | Versioned::Perl | Versioned::Lua | Versioned::Postgres => None,
    }
    .map_or_else(|| format!("{} {version}", kind.noun()), |release| format!("{release} ({} {version})", kind.noun()))
}

/// A module for thread-safe PHP in the directory of another, or the reverse. PHP's own directory states which it is.
fn threads(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>) -> Option<Finding> {
    let Some(ModuleInterface::Php { is_zts, .. }) = program.elf.interface else { return None };
    let directory = program.path.rsplit_once('/')?.0;
    // Debian's directory of thread-safe modules ends in `-zts`.
    let name = directory.rsplit('/').next()?;
    let is_stated = name.contains("zts") || directory.starts_with("/usr/lib/php/");
    let is_threaded = name.contains("zts") && !name.contains("non-zts");
    if !is_stated || is_zts == is_threaded || !files.reach.names_module(&program.path) {
        return None;
    }
    let kind = |is_zts: bool| if is_zts { "thread-safe PHP (ZTS)" } else { "PHP without thread safety (NTS)" };
    let message = format!(
        "a module of PHP is for {}; it is in the directory of {}, which refuses it",
        kind(is_zts),
        kind(is_threaded)
    );
    let mut finding = foreign(files, program, Code::PackageOtherPlatform, message);
    (finding.is, finding.expected) = (format!("for {}", kind(is_zts)), kind(is_threaded).to_string());
    finding.hint =
        vec!["build the module with the phpize and php-config of the PHP that the final stage has".to_string()];
    finding.reached_by = files.chain.to_vec();
    finding.reached_by.push(program.path.clone());
    Some(finding)
}

/// `None`: not reported, because nothing is known to load it.
fn severity(
    files: &FileRuleInput<'_>,
    program: &JudgedProgram<'_>,
    runtime: RuntimeKind,
    kind: Versioned,
) -> Option<Severity> {
    let is_named = files.reach.names_module(&program.path);
    match kind {
        // Their configuration names every module that they load.
        Versioned::Php | Versioned::Nginx => is_named.then_some(Severity::Error),
        Versioned::Postgres if is_named => Some(Severity::Error),
        Versioned::Postgres => Some(Severity::Warning),
        Versioned::Node | Versioned::Ruby | Versioned::Perl | Versioned::Lua => {
            modules::is_applications(files, program, runtime).then_some(Severity::Error)
        }
    }
}

/// Whether the same module is also there for a version that the image has.
fn has_own<'v>(
    files: &FileRuleInput<'_>,
    program: &JudgedProgram<'_>,
    (kind, version): (Versioned, &str),
    mut own: impl Iterator<Item = &'v String>,
) -> bool {
    let is_there =
        |path: String| path != program.path && files.programs.at(&path).is_some_and(|other| other.fit <= Fit::Compat);
    own.any(|own| is_there(program.path.replace(&format!("/{version}"), &format!("/{own}"))))
        // PHP's API directories differ in more than the date.
        || files.programs.runnable().any(|other| {
            other.fit <= Fit::Compat
                && other.name() == program.name()
                && other.path != program.path
                && package_directory(&other.path) == package_directory(&program.path)
                && fits(files, other, kind)
        })
}

/// Whether the runtime loads a module, as far as its version shows. A module of Node.js without one uses Node-API.
fn fits(files: &FileRuleInput<'_>, module: &JudgedProgram<'_>, kind: Versioned) -> bool {
    if files.reach.module_of(&module.path).and_then(|(runtime, _)| runtime.row().versions) != Some(kind) {
        return false;
    }
    match wanted(kind, &module.path, module.elf.interface) {
        Some(version) => files.reach.versions().without(kind, &version).is_none(),
        None => kind == Versioned::Node,
    }
}
