//! Variables that a shell sets itself.

use super::ScriptInterpreter;
use super::expand::Looked;
use super::state::ShellState;
use super::text::{HOLE, SOFT};
use crate::exec::kernel::access::config;
use crate::platform::Arch;

/// What Debian's bash is built for. Source: the strings of version 5.2 for each architecture.
const BUILDS: &[(Arch, &str, &str)] =
    &[(Arch::Amd64, "x86_64", "pc"), (Arch::Arm64, "aarch64", "unknown"), (Arch::I386, "i686", "pc")];

impl ScriptInterpreter<'_, '_, '_> {
    /// The value of a variable that nothing in the script or the image's configuration sets.
    pub(super) fn own_variable(&self, state: &ShellState, name: &str) -> Looked {
        let hole = || Looked::Text(HOLE.to_string());
        match name {
            "PWD" => state.cwd.as_ref().map_or_else(hole, |cwd| Looked::Text(cwd.to_string())),
            "UID" | "EUID" if self.kind.is_bash() => Looked::Text(self.user_number()),
            "HOSTTYPE" | "OSTYPE" | "MACHTYPE" if self.kind.is_bash() => {
                self.build_type(name).map_or_else(hole, Looked::Text)
            }
            "BASH_SOURCE" => Looked::List(vec![self.source.path.clone()]),
            "IFS" => Looked::Text(" \t\n".to_string()),
            "HOME" => Looked::Text(self.home()),
            "HOSTNAME" | "RANDOM" | "SECONDS" | "LINENO" | "PPID" | "BASHPID" | "FUNCNAME" | "OLDPWD" | "SHLVL"
            | "SHELLOPTS" | "BASHOPTS" | "OPTARG" | "OPTIND" | "REPLY" | "PIPESTATUS" | "BASH_REMATCH" | "TERM"
            | "EPOCHSECONDS" | "_" => hole(),
            "BASH" | "BASH_VERSION" | "BASH_VERSINFO" if self.kind.is_bash() => hole(),
            _ if state.has_unknown_variables => hole(),
            // A user may set it.
            _ => Looked::Text(SOFT.to_string()),
        }
    }

    /// `HOSTTYPE`, `OSTYPE` or `MACHTYPE`. `None` if it depends on who built bash.
    fn build_type(&self, name: &str) -> Option<String> {
        let release = config(self.machine.rootfs, "/etc/os-release");
        let release = release.or_else(|| config(self.machine.rootfs, "/usr/lib/os-release")).unwrap_or_default();
        let is = |id: &str| release.lines().any(|line| line == format!("ID={id}"));
        let (_, host, vendor) = BUILDS.iter().find(|(arch, ..)| *arch == self.arch)?;
        match name {
            "HOSTTYPE" => Some(host.to_string()),
            _ if is("alpine") => None,
            "OSTYPE" => Some("linux-gnu".to_string()),
            _ if is("debian") || is("ubuntu") => Some(format!("{host}-{vendor}-linux-gnu")),
            _ => None,
        }
    }
}
