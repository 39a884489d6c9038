//! supervisord's and monit's configuration. Source: supervisord's documentation, "Configuration File"; monit(1).

use super::{Service, entries, from_cwd, matching, option, text_of, words_of};
use crate::exec::kernel::binfmt::Machine;

/// The paths where supervisord looks for its file. Source: supervisor/options.py `default_configfile`.
const CONFIG_PATHS: &[&str] =
    &["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf", "/etc/supervisord/supervisord.conf"];

/// One `[section]` with its keys, values and line numbers.
struct Section {
    name: String,
    keys: Vec<(String, String, usize)>,
}

pub(super) fn supervisord(machine: &Machine<'_>, argv: &[String]) -> Option<Vec<Service>> {
    let main = match option(argv, &["--configuration", "-c"]) {
        Some(path) => from_cwd(machine, &path),
        None => {
            let local = ["supervisord.conf", "etc/supervisord.conf"].map(|name| from_cwd(machine, name));
            let paths = local.into_iter().chain(CONFIG_PATHS.iter().map(|path| path.to_string()));
            paths.into_iter().find(|path| machine.rootfs.resolve(path).is_ok())?
        }
    };
    let sections = sections(&text_of(machine, &main)?);
    let mut services = programs(&sections, &main);
    let directory = main.rsplit_once('/').map_or("", |(directory, _)| directory);
    for section in sections.iter().filter(|section| section.name == "include") {
        for (_, value, _) in section.keys.iter().filter(|(key, ..)| key == "files") {
            for pattern in value.split_whitespace() {
                let pattern = pattern.replace("%(here)s", directory);
                let pattern = if pattern.starts_with('/') { pattern } else { format!("{directory}/{pattern}") };
                for (path, _) in matching(machine, &pattern) {
                    if let Some(text) = text_of(machine, &path) {
                        services.extend(programs(&self::sections(&text), &path));
                    }
                }
            }
        }
    }
    Some(services)
}

fn programs(sections: &[Section], path: &str) -> Vec<Service> {
    let is_program = |section: &&Section| {
        ["program:", "eventlistener:", "fcgi-program:"].iter().any(|start| section.name.starts_with(start))
    };
    let mut services = Vec::new();
    for section in sections.iter().filter(is_program) {
        let key = |name: &str| section.keys.iter().find(|(key, ..)| key == name);
        let is_started = key("autostart")
            .is_none_or(|(_, value, _)| !matches!(&*value.to_ascii_lowercase(), "false" | "off" | "no" | "0"));
        let Some((_, command, line)) = key("command").filter(|_| is_started) else { continue };
        let environment = key("environment").map_or("", |(_, value, _)| value.as_str());
        let env = split_outside_quotes(environment).into_iter().filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let value = value.trim_matches(['"', '\'']);
            (!value.contains('%')).then(|| format!("{name}={value}"))
        });
        let mut service = Service::of_words(words_of(&command.replace("%%", "%")), path, *line);
        service.env = env.collect();
        service.working_dir = key("directory").map(|(_, value, _)| value.clone());
        // `%(ENV_HOME)s` and similar values are only known at run time.
        if !command.contains("%(") {
            services.push(service);
        }
    }
    services
}

/// Splits at the commas that are not in quotes.
fn split_outside_quotes(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut open) = (Vec::new(), 0, None);
    for (at, c) in text.char_indices() {
        match (c, open) {
            ('"' | '\'', None) => open = Some(c),
            (quote, Some(opening)) if quote == opening => open = None,
            (',', None) => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let is_continued = line.starts_with([' ', '\t']);
        let line = line.split(" ;").next().unwrap_or("").trim();
        if line.is_empty() || line.starts_with([';', '#']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push(Section { name: name.trim().to_string(), keys: Vec::new() });
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        match (is_continued, section.keys.last_mut(), line.split_once(['=', ':'])) {
            (true, Some((_, value, _)), _) => {
                value.push(' ');
                value.push_str(line);
            }
            (_, _, Some((key, value))) => section.keys.push((key.trim().to_string(), value.trim().to_string(), at + 1)),
            _ => {}
        }
    }
    sections
}

/// `start program = "..."`
pub(super) fn monit(machine: &Machine<'_>) -> Option<Vec<Service>> {
    let mut files: Vec<String> = ["/etc/monitrc", "/etc/monit/monitrc"]
        .iter()
        .filter(|path| machine.rootfs.resolve(path).is_ok())
        .map(|path| path.to_string())
        .collect();
    for directory in ["/etc/monit.d", "/etc/monit/conf.d", "/etc/monit/conf-enabled"] {
        files.extend(entries(machine, directory).into_iter().map(|(path, _)| path));
    }
    if files.is_empty() {
        return None;
    }
    let mut services = Vec::new();
    for path in files {
        for (at, line) in text_of(machine, &path).unwrap_or_default().lines().enumerate() {
            let line = line.trim();
            let Some(rest) = line.strip_prefix("start program").or_else(|| line.strip_prefix("start ")) else {
                continue;
            };
            let Some(command) =
                rest.trim_start_matches([' ', '=']).strip_prefix('"').and_then(|rest| rest.split('"').next())
            else {
                continue;
            };
            services.push(Service::of_words(words_of(command), &path, at + 1));
        }
    }
    Some(services)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_quotes_does_not_end_a_variable() {
        assert_eq!(split_outside_quotes("A=\"x,B='y\",C='1,2',D=3"), ["A=\"x,B='y\"", "C='1,2'", "D=3"]);
    }
}
