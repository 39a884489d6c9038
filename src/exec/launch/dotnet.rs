//! Models .NET's host: the application that `dotnet` is given, its settings and the shared framework that they name.
//! Exit codes and messages are those of .NET Core 3.1 and, where they differ, of .NET 8. Source: .NET's
//! "host-error-codes", "framework-version-resolution", "apphost".

use serde::Deserialize;

use crate::exec::environment::variable;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::kernel::mounts;
use crate::exec::kernel::why::describe;
use crate::exec::launch::interpret::{is_known, kept_text};
use crate::exec::launch::walk::{Ran, StartWalk};
use crate::exec::log::{Link, Log};
use crate::exec::outcome::lossy;
use crate::exec::{Cause, CauseKind, Death, Outcome};
use crate::image::{NodeKind, ResolveError};
use crate::inspect::FileKind;

/// Options of the host whose value is the next word. Source: `dotnet --help`.
const VALUED: &[&str] = &[
    "--additionalprobingpath",
    "--additional-deps",
    "--depsfile",
    "--fx-version",
    "--runtimeconfig",
    "--roll-forward",
    "--roll-forward-on-no-candidate-fx",
];
/// Options and variables that select other versions of a framework.
const ROLLING: &[&str] = &["--fx-version", "--roll-forward", "--roll-forward-on-no-candidate-fx"];
const ROLLING_VARIABLES: &[&str] = &["DOTNET_ROLL_FORWARD", "DOTNET_ROLL_FORWARD_ON_NO_CANDIDATE_FX"];

/// `X.runtimeconfig.json`, as far as it names frameworks.
#[derive(Debug, Default, Deserialize)]
struct RuntimeConfig {
    #[serde(default, rename = "runtimeOptions")]
    options: MuxerOptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MuxerOptions {
    framework: Option<Framework>,
    #[serde(default)]
    frameworks: Vec<Framework>,
    roll_forward: Option<serde_json::Value>,
    roll_forward_on_no_candidate_fx: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Framework {
    name: String,
    #[serde(default)]
    version: String,
}

/// Parses major, minor and patch of a version. Text after a dash is ignored.
fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('-').next()?.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next().flatten().unwrap_or(0), parts.next().flatten().unwrap_or(0)))
}

impl ExecMachine<'_> {
    /// Follows `dotnet X.dll`. `None` if it runs, or is a command of the SDK.
    pub(super) fn follow_dotnet(&self, log: &mut Log, ran: &Ran, walk: &StartWalk) -> Option<Outcome> {
        let mut words = ran.argv.iter().skip(1).peekable();
        let is_exec = words.next_if(|word| *word == "exec").is_some();
        let mut options = Vec::new();
        while let Some(word) = words.next_if(|word| word.starts_with('-')) {
            options.push(word.as_str());
            if VALUED.contains(&word.as_str()) {
                words.next();
            }
        }
        let app = words.next().filter(|app| app.ends_with(".dll") && is_known(app))?;
        let dies = |code, kind, text| {
            Some(Outcome::Dies { death: Death::Exit(code), at: app.clone(), cause: Cause { kind, text } })
        };
        let id = match self.cwd.walk(self.rootfs, app.as_bytes(), &|_| true) {
            Ok(id) => id,
            Err(ResolveError::Unread(_)) => return log.open_end(app.as_str(), "it was not read"),
            Err(_) if walk.is_open || mounts::is_made(self.rootfs, app) => {
                return log.open_end(app.as_str(), "it is not in the image");
            }
            Err(_) => {
                let code = if is_exec { 129 } else { 145 };
                log.says.push(match is_exec {
                    true => format!("The application to execute does not exist: '{app}'"),
                    false => format!("The application '{app}' does not exist."),
                });
                return dies(code, CauseKind::MissingScript, format!("dotnet needs {app}, which does not exist"));
            }
        };
        if let Some(
            kind @ (FileKind::Elf(_)
            | FileKind::Empty
            | FileKind::Html
            | FileKind::LfsPointer
            | FileKind::Script(_)
            | FileKind::Text(_)),
        ) = self.kind(id)
        {
            log.says.push(format!("System.BadImageFormatException: Could not load file or assembly '{app}'."));
            let text = format!("{app} is {}, not a .NET assembly", describe(Some(kind)));
            let cause = Cause { kind: CauseKind::BadScript, text };
            return Some(Outcome::Dies { death: Death::Signal(6), at: app.clone(), cause });
        }
        if options.contains(&"--runtimeconfig") || walk.is_open {
            return None;
        }
        let path = lossy(&self.rootfs.path(id));
        let settings = format!("{}.runtimeconfig.json", path.strip_suffix(".dll").unwrap_or(&path));
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let Ok(file) = self.rootfs.resolve(&settings) else {
            if self.rootfs.resolve(format!("{directory}/libhostpolicy.so")).is_ok() {
                return None;
            }
            log.says.push(format!(
                "A fatal error was encountered. The library 'libhostpolicy.so' required to execute the application was \
                 not found in '{directory}/'."
            ));
            let text = format!("{settings} does not exist; dotnet needs it to find the framework of {app}");
            return dies(131, CauseKind::MissingScript, text);
        };
        let settings: RuntimeConfig = serde_json::from_str(&kept_text(self.kind(file)?)?).ok()?;
        let is_rolling = options.iter().any(|option| ROLLING.contains(&option.split('=').next().unwrap_or(option)))
            || ROLLING_VARIABLES.iter().any(|name| variable(&walk.env, name).is_some());
        self.lacking_framework(log, app, &settings.options, is_rolling)
    }

    /// Ends dotnet if the host's directory lacks a shared framework that the application names.
    fn lacking_framework(&self, log: &mut Log, app: &str, options: &MuxerOptions, is_rolling: bool) -> Option<Outcome> {
        let host = log.steps.iter().rev().find(|step| step.link != Link::Loader)?.path.clone()?;
        let shared = format!("{}/shared", host.rsplit_once('/')?.0);
        self.rootfs.resolve(&shared).ok()?;
        let is_rolling =
            is_rolling || options.roll_forward.is_some() || options.roll_forward_on_no_candidate_fx.is_some();
        for framework in options.framework.iter().chain(&options.frameworks) {
            let directory = self.rootfs.resolve(format!("{shared}/{}", framework.name)).ok();
            let found: Vec<String> = directory
                .into_iter()
                .flat_map(|id| self.rootfs.children(id))
                .filter(|view| view.kind == NodeKind::Directory)
                .map(|view| lossy(view.name))
                .collect();
            let wanted = version(&framework.version);
            // By default, a later minor version is accepted, but no other major version.
            let serves = |own: &String| match (version(own), wanted) {
                (Some(own), Some(wanted)) if !is_rolling => own.0 == wanted.0 && own >= wanted,
                (Some(_) | None, Some(_) | None) => true,
            };
            if found.iter().any(serves) {
                continue;
            }
            let (name, version) = (&framework.name, &framework.version);
            log.says.push("You must install or update .NET to run this application.".to_string());
            log.says.push(format!("Framework: '{name}', version '{version}'"));
            let text = match found.is_empty() {
                true => format!("{app} needs {name} {version}, which is not in the image"),
                false => format!("{app} needs {name} {version}, but the image has {}", found.join(", ")),
            };
            let cause = Cause { kind: CauseKind::MissingLibrary, text };
            return Some(Outcome::Dies { death: Death::Exit(150), at: app.to_string(), cause });
        }
        None
    }

    /// Ends the launcher of an application that does not contain .NET, if the image has none.
    pub(super) fn lacking_runtime(&self, log: &mut Log, ran: &Ran, walk: &StartWalk) -> Option<Outcome> {
        let started = log.steps.iter().rev().find(|step| step.link != Link::Loader)?.path.clone()?;
        let assembly = self.rootfs.resolve(format!("{started}.dll")).ok()?;
        let is_assembly = matches!(self.kind(assembly), Some(FileKind::Pe(pe)) if pe.is_dotnet);
        let is_launcher = is_assembly && self.rootfs.resolve(format!("{started}.runtimeconfig.json")).is_ok();
        let mut hosts = self.rootfs.named(b"libhostfxr.so");
        if !is_launcher || walk.is_open || hosts.next().is_some() {
            return None;
        }
        log.says.push("You must install .NET to run this application.".to_string());
        let text = format!("{} starts {started}.dll with .NET, which is not in the image", ran.argv[0]);
        let cause = Cause { kind: CauseKind::MissingLibrary, text };
        Some(Outcome::Dies { death: Death::Exit(131), at: started, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::version;
    use crate::exec::tests::{call, short, tree};
    use crate::exec::{Exec, trace};
    use crate::inspect::elf_builder::ElfBuilder;
    use crate::platform::{Arch, Node};

    const HOST: &str = "usr/share/dotnet/dotnet";
    const CORE: &str = r#"{"runtimeOptions":{"framework":{"name":"Microsoft.NETCore.App","version":"8.0.0"}}}"#;

    fn assembly() -> Vec<u8> {
        let mut bytes = vec![0; 0x400];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x80;
        bytes[0x80..0x84].copy_from_slice(b"PE\0\0");
        bytes[0x84..0x86].copy_from_slice(&0x14c_u16.to_le_bytes());
        bytes[0x94..0x96].copy_from_slice(&0xe0_u16.to_le_bytes());
        bytes[0x98..0x9a].copy_from_slice(&0x10b_u16.to_le_bytes());
        bytes[0x98 + 92] = 16;
        bytes[0x98 + 96 + 14 * 8 + 1] = 0x20;
        bytes
    }

    fn run(words: &[&str], host: &[&str], files: &[(&str, &str)], variable: &str) -> String {
        let (own, assembly) = (ElfBuilder::amd64().build(), assembly());
        let mut all: Vec<(&str, u16, &[u8])> =
            vec![("app/X", 0o755, &own), ("bin/sh", 0o755, &own), ("bin/fetch", 0o755, &own)];
        all.extend(host.iter().map(|path| (*path, 0o755, own.as_slice())));
        all.extend(files.iter().map(|(path, text)| {
            let bytes = if path.ends_with(".dll") && text.is_empty() { &assembly } else { text.as_bytes() };
            (*path, 0o644, bytes)
        }));
        let env = vec!["PATH=/usr/share/dotnet:/bin".to_string(), variable.to_string()];
        let call = Exec { env, working_dir: "/app".into(), ..call(words) };
        short(&trace(&tree(&all), &call, &Node::plain(Arch::Amd64)).outcome)
    }

    /// An image with .NET 8.0.1 that starts `words` with these settings.
    fn with(words: &[&str], settings: &str, variable: &str) -> String {
        let host = [HOST, "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/libcoreclr.so"];
        run(words, &host, &[("app/X.dll", ""), ("app/X.runtimeconfig.json", settings)], variable)
    }

    #[test]
    fn the_application_and_its_settings_are_to_be_there() {
        let dll = [("app/X.dll", "")];
        assert_eq!(with(&["dotnet", "X.dll", "--urls", "http://+:80"], CORE, "A="), "runs");
        assert_eq!(with(&["dotnet", "exec", "/app/X.dll"], CORE, "A="), "runs");
        assert_eq!(with(&["dotnet", "run", "Y.dll"], CORE, "A="), "runs");
        assert_eq!(with(&["dotnet", "Y.dll"], CORE, "A="), "exit 145 missing-script");
        assert_eq!(with(&["dotnet", "exec", "Y.dll"], CORE, "A="), "exit 129 missing-script");
        assert_eq!(with(&["dotnet", "--roll-forward", "Major", "Y.dll"], CORE, "A="), "exit 145 missing-script");
        assert_eq!(run(&["dotnet", "X.dll"], &[HOST], &dll, "A="), "exit 131 missing-script");
        let own = [HOST, "app/libhostpolicy.so"];
        assert_eq!(run(&["dotnet", "X.dll"], &own, &dll, "A="), "runs");
        assert_eq!(run(&["dotnet", "X.dll"], &[HOST], &[("app/X.dll", "<html></html>")], "A="), "signal 6 bad-script");
        let made = ["sh", "-c", "fetch Y.dll; exec dotnet Y.dll"];
        assert_eq!(with(&made, CORE, "A="), "runs");
    }

    #[test]
    fn the_framework_of_the_settings_is_to_be_there() {
        let dotnet = ["dotnet", "X.dll"];
        let lacks = "exit 150 missing-library";
        assert_eq!(with(&dotnet, &CORE.replace("8.0.0", "8.0.2"), "A="), lacks);
        assert_eq!(with(&dotnet, &CORE.replace("8.0.0", "6.0.0"), "A="), lacks);
        assert_eq!(with(&dotnet, &CORE.replace("8.0.0", "6.0.0"), "DOTNET_ROLL_FORWARD=Major"), "runs");
        assert_eq!(with(&dotnet, &CORE.replace("NETCore", "AspNetCore"), "A="), lacks);
        let rolling = CORE
            .replace("8.0.0", "6.0.0")
            .replace(r#"{"runtimeOptions":{"#, r#"{"runtimeOptions":{"rollForward":"Major","#);
        assert_eq!(with(&dotnet, &rolling, "A="), "runs");
        assert_eq!(with(&dotnet, "{", "A="), "runs");
        assert_eq!(version("8.0.0-preview.1.2"), Some((8, 0, 0)));
    }

    #[test]
    fn a_launcher_needs_a_runtime() {
        let files = [("app/X.dll", ""), ("app/X.runtimeconfig.json", CORE)];
        assert_eq!(run(&["/app/X"], &[], &files, "A="), "exit 131 missing-library");
        assert_eq!(run(&["/app/X"], &["app/libhostfxr.so"], &files, "A="), "runs");
        assert_eq!(run(&["/app/X"], &["usr/lib/dotnet/host/fxr/8.0.1/libhostfxr.so"], &files, "A="), "runs");
        assert_eq!(run(&["/app/X"], &[], &files[..1], "A="), "runs");
    }
}
