//! supervisord's and monit's configuration. Source: supervisord's documentation, "Configuration File"; monit(1).

use super::refusals::refused_value;
use super::sections::{Expansions, IniSection, sections};
use super::supervisord::{CheckedDirectory, Configuration, DIRECTORIES};
use super::{
    MAX_FILES, SupervisedService, control_file, entries, from_cwd, matching, option, text_at, text_of, words_of,
};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpret::{UNKNOWN, fits};
use crate::exec::launch::made::MadePaths;

/// The paths where supervisord looks for its file. Source: supervisor/options.py `default_configfile`.
const CONFIG_PATHS: &[&str] =
    &["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf", "/etc/supervisord/supervisord.conf"];

/// Maximum number of processes of one program that are followed.
const MAX_PROCESSES: usize = 8;
pub(super) fn supervisord(
    machine: &ExecMachine<'_>,
    argv: &[String],
    env: &[String],
    made: &MadePaths,
) -> Option<Configuration> {
    let main = match option(argv, &["--configuration", "-c"]) {
        Some(path) => from_cwd(machine, &path),
        None => {
            let local = ["supervisord.conf", "etc/supervisord.conf"].map(|name| from_cwd(machine, name));
            let paths = local.into_iter().chain(CONFIG_PATHS.iter().map(|path| path.to_string()));
            let exists = |path: &String| made.may_have(path) || machine.rootfs.resolve(path).is_ok();
            paths.into_iter().find(exists)?
        }
    };
    let mut sections = sections(&text_at(machine, made, &main)?, &main);
    let directory = main.rsplit_once('/').map_or("", |(directory, _)| directory);
    let of_file = Expansions::of_section(env, directory, None);
    let (mut included, mut unread) = (Vec::new(), Vec::new());
    for section in sections.iter().filter(|section| section.name == "include") {
        for (_, value, _) in section.keys.iter().filter(|(key, ..)| key == "files") {
            for pattern in of_file.expand(value).split_whitespace() {
                let pattern = if pattern.starts_with('/') { pattern.into() } else { format!("{directory}/{pattern}") };
                let written = made.matching(|path| fits_path(&pattern, path));
                let found = matching(machine, &pattern).into_iter().map(|(path, _)| path);
                let found: Vec<String> = found.filter(|path| !written.contains(path)).chain(written.clone()).collect();
                for path in found {
                    match text_at(machine, made, &path) {
                        Some(text) => included.extend(self::sections(&text, &path)),
                        // What it starts is not known.
                        None => unread.push(SupervisedService::of_words(vec![UNKNOWN.to_string()], &path, 1)),
                    }
                }
            }
        }
    }
    sections.extend(included);
    let of_all = sections.iter().find(|section| section.name == "supervisord");
    let shared = of_all.map_or_else(Vec::new, |section| section.environment(&of_file));
    unread.extend(programs(&sections, env, &shared));
    let refused = refused_value(&sections, env);
    Some(Configuration { services: unread, directories: directories(&sections, argv, env), refused })
}

/// Whether a path matches a pattern whose wildcards match no slash.
fn fits_path(pattern: &str, path: &str) -> bool {
    let parts = || pattern.split('/').zip(path.split('/'));
    pattern.split('/').count() == path.split('/').count()
        && parts().all(|(part, name)| part == name || fits(part, name))
}

/// The directories that supervisord needs when it reads its configuration, also those of services that it does not
/// start.
fn directories(sections: &[IniSection], argv: &[String], env: &[String]) -> Vec<CheckedDirectory> {
    let mut found = Vec::new();
    for section in sections {
        let kind = section.name.split(':').next().unwrap_or_default();
        let here = section.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let expansions = Expansions::of_section(env, here, section.name.split_once(':').map(|(_, program)| program));
        for row in DIRECTORIES.iter().filter(|row| row.sections.contains(&kind) && option(argv, row.options).is_none())
        {
            let Some((_, value, line)) = section.value(row.key) else { continue };
            let value = expansions.expand(value);
            found.push(CheckedDirectory {
                row,
                value,
                section: section.name.clone(),
                by: section.path.clone(),
                line: *line,
            });
        }
    }
    found
}

fn programs(sections: &[IniSection], env: &[String], shared: &[String]) -> Vec<SupervisedService> {
    let mut services = Vec::new();
    for section in sections {
        let starts = ["program:", "eventlistener:", "fcgi-program:"];
        let Some(program) = starts.iter().find_map(|start| section.name.strip_prefix(start)) else { continue };
        let is_started = section
            .value("autostart")
            .is_none_or(|(_, value, _)| !matches!(&*value.to_ascii_lowercase(), "false" | "off" | "no" | "0"));
        let Some((_, command, line)) = section.value("command").filter(|_| is_started) else { continue };
        let here = section.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let number = |key: &str| section.value(key).and_then(|(_, value, _)| value.parse::<usize>().ok());
        let (first, count) = (number("numprocs_start").unwrap_or(0), number("numprocs").unwrap_or(1));
        // Without its number in the command, all processes are alike.
        let distinct = if command.contains("process_num") { count.min(MAX_PROCESSES) } else { 1 };
        for process in 0..distinct {
            let number = first.saturating_add(process);
            let expansions = Expansions { number, count, ..Expansions::of_section(env, here, Some(program)) };
            let mut service = SupervisedService::of_words(words_of(&expansions.expand(command)), &section.path, *line);
            service.env = shared.iter().cloned().chain(section.environment(&expansions)).collect();
            service.working_dir = section.value("directory").map(|(_, value, _)| expansions.expand(value));
            service.user = section.value("user").map(|(_, value, _)| expansions.expand(value));
            services.push(service);
        }
    }
    services
}

/// `start program = "..."` and `check program NAME with path "..."`, in the control file and those that it includes.
pub(super) fn monit(machine: &ExecMachine<'_>, argv: &[String]) -> Option<Vec<SupervisedService>> {
    let mut files: Vec<String> = control_file(machine, argv).into_iter().collect();
    for directory in ["/etc/monit.d", "/etc/monit/conf.d", "/etc/monit/conf-enabled"] {
        files.extend(entries(machine, directory).into_iter().map(|(path, _)| path));
    }
    let mut services = Vec::new();
    let mut at = 0;
    while let Some(path) = files.get(at).filter(|_| at < MAX_FILES).cloned() {
        at += 1;
        let Some(text) = text_of(machine, &path) else {
            if at == 1 {
                return None;
            }
            continue;
        };
        for (line_at, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(pattern) = line.strip_prefix("include ") {
                let found = matching(machine, pattern.trim()).into_iter().map(|(path, _)| path);
                let new: Vec<String> = found.filter(|path| !files.contains(path)).collect();
                files.extend(new);
            }
            let starts = ["start program", "start ", "restart program", "exec "];
            let named = starts.iter().find_map(|start| line.strip_prefix(start));
            let checked =
                || line.strip_prefix("check program ").and_then(|rest| rest.split_once(" path ")).map(|it| it.1);
            let Some(rest) = named.or_else(checked) else { continue };
            let rest = rest.trim_start_matches([' ', '=']);
            let quoted = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
            let Some(command) = quoted.or_else(|| rest.starts_with('/').then_some(rest)) else { continue };
            services.push(SupervisedService::of_words(words_of(command), &path, line_at + 1));
        }
    }
    (at > 0).then_some(services)
}

#[cfg(test)]
mod tests {
    use super::super::sections::split_outside_quotes;
    use super::*;

    #[test]
    fn expansions_come_from_the_environment_and_the_section() {
        let env = ["BIN=/srv/app".to_string()];
        let expansions = Expansions::of_section(&env, "/etc", Some("web"));
        let check = |text: &str, expected: &str| assert_eq!(expansions.expand(text), expected, "{text}");
        check("%(ENV_BIN)s/%(program_name)s -n %(process_num)02d %(here)s/x 100%%", "/srv/app/web -n 00 /etc/x 100%");
        check("%(ENV_NONE)s/x", &format!("{UNKNOWN}/x"));
    }

    #[test]
    fn a_comma_in_quotes_does_not_end_a_variable() {
        assert_eq!(split_outside_quotes("A=\"x,B='y\",C='1,2',D=3"), ["A=\"x,B='y\"", "C='1,2'", "D=3"]);
    }
}
