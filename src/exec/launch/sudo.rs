//! The environment that sudo gives a command. Source: sudoers(5), "Command environment".

use crate::exec::environment::variable;
use crate::exec::kernel::access::config;
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::walk::StartWalk;
use crate::exec::outcome::lossy;

/// Variables that sudo keeps. Source: sudo's `env_check` and `env_keep` of version 1.9, and those that it sets itself.
const KEPT: &[&str] = &[
    "COLORTERM",
    "COLORS",
    "DISPLAY",
    "HOME",
    "HOSTNAME",
    "KRB5CCNAME",
    "LANG",
    "LANGUAGE",
    "LINGUAS",
    "LOGNAME",
    "LS_COLORS",
    "MAIL",
    "PATH",
    "SHELL",
    "TERM",
    "TZ",
    "USER",
    "USERNAME",
    "XAUTHORITY",
];
/// Maximum number of files of /etc/sudoers.d that are read.
const MAX_FILES: usize = 64;

/// The defaults in sudo's configuration.
#[derive(Debug, PartialEq, Eq)]
struct SudoDefaults {
    secure_path: Option<String>,
    resets: bool,
    keeps: Vec<String>,
}

impl SudoDefaults {
    /// Parses the lines that apply to every command.
    fn parse(text: &str) -> SudoDefaults {
        let mut found = SudoDefaults { secure_path: None, resets: true, keeps: Vec::new() };
        for line in text.lines() {
            let Some(settings) = line.trim().strip_prefix("Defaults").filter(|rest| rest.starts_with([' ', '\t']))
            else {
                continue;
            };
            for setting in settings.split(',').map(str::trim) {
                let value = || setting.split_once('=').map_or("", |(_, value)| value).trim().trim_matches('"');
                let name = setting.split(['=', '+', '-', ' ']).next().unwrap_or_default();
                match name {
                    "secure_path" => found.secure_path = Some(value().to_string()).filter(|path| !path.is_empty()),
                    "!secure_path" => found.secure_path = None,
                    "env_reset" => found.resets = true,
                    "!env_reset" => found.resets = false,
                    "env_keep" => found.keeps.extend(value().split_whitespace().map(str::to_string)),
                    _ => {}
                }
            }
        }
        found
    }

    fn keeps(&self, name: &str) -> bool {
        let is_kept = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern,
        };
        !self.resets || KEPT.contains(&name) || name.starts_with("LC_") || self.keeps.iter().any(is_kept)
    }
}

impl ExecMachine<'_> {
    /// Changes the environment as sudo does before it searches for the command. `argv` is sudo's own name and its
    /// arguments.
    pub(super) fn enter_sudo(&self, argv: &[String], walk: &mut StartWalk) {
        // Without its configuration, it starts nothing, and a configuration that was not kept is not known.
        let Some(main) = config(self.rootfs, "/etc/sudoers") else { return };
        let mut text = main;
        if let Ok(directory) = self.rootfs.resolve("/etc/sudoers.d") {
            let names = self.rootfs.children(directory).take(MAX_FILES).map(|child| lossy(child.name));
            let mut names: Vec<String> = names.filter(|name| !name.contains(['.', '~'])).collect();
            names.sort();
            for name in names {
                text.push('\n');
                text.push_str(&config(self.rootfs, &format!("/etc/sudoers.d/{name}")).unwrap_or_default());
            }
        }
        let defaults = SudoDefaults::parse(&text);
        let options = || argv.iter().skip(1).take_while(|word| word.starts_with('-') && *word != "--");
        let keeps_all = options().any(|word| word == "--preserve-env" || !word.starts_with("--") && word.contains('E'));
        let listed: Vec<&str> = options()
            .filter_map(|word| word.strip_prefix("--preserve-env="))
            .flat_map(|list| list.split(','))
            .collect();
        if !keeps_all {
            let name = |line: &String| line.split('=').next().unwrap_or_default().to_string();
            walk.env.retain(|line| defaults.keeps(&name(line)) || listed.contains(&name(line).as_str()));
        }
        if let Some(path) = defaults.secure_path {
            walk.env.retain(|line| !line.starts_with("PATH="));
            walk.env.push(format!("PATH={path}"));
        } else if variable(&walk.env, "PATH").is_none() {
            walk.env.push("PATH=/usr/bin:/bin:/usr/sbin:/sbin".to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SudoDefaults;

    #[test]
    fn defaults_are_those_for_every_command() {
        let text = "Defaults\tenv_reset\nDefaults secure_path=\"/usr/bin:/bin\", env_keep += \"A B_*\"\n\
                    Defaults:web secure_path=/none\nroot ALL=(ALL:ALL) ALL\n#Defaults !env_reset\n";
        let defaults = SudoDefaults::parse(text);
        assert_eq!(defaults.secure_path.as_deref(), Some("/usr/bin:/bin"));
        let kept = ["A", "B_C", "LC_ALL", "PATH", "APP", "AB"].map(|name| defaults.keeps(name));
        assert_eq!(kept, [true, true, true, true, false, false]);
        assert!(SudoDefaults::parse("Defaults !env_reset\n").keeps("APP"));
    }
}
