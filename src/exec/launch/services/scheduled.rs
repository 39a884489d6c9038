//! cron's tables, Procfiles and PM2's ecosystem files. Source: crontab(5); Procfile as foreman reads it; PM2's
//! documentation, "Ecosystem File".

use super::{Service, entries, is_executable, is_file, text_of, words_of};
use crate::exec::kernel::binfmt::Machine;

pub(super) fn cron(machine: &Machine<'_>) -> Option<Vec<Service>> {
    let mut services = Vec::new();
    let mut tables: Vec<(String, bool)> = vec![("/etc/crontab".to_string(), true)];
    tables.extend(entries(machine, "/etc/cron.d").into_iter().map(|(path, _)| (path, true)));
    for directory in ["/var/spool/cron/crontabs", "/etc/crontabs", "/var/spool/cron"] {
        tables.extend(
            entries(machine, directory)
                .into_iter()
                .filter(|(_, id)| is_file(machine, *id))
                .map(|(path, _)| (path, false)),
        );
    }
    for (path, has_user) in tables {
        let Some(text) = text_of(machine, &path) else { continue };
        services.extend(table(&text, &path, has_user));
    }
    for period in ["hourly", "daily", "weekly", "monthly", "15min"] {
        for parent in ["/etc/cron", "/etc/periodic/"] {
            let directory =
                if parent == "/etc/cron" { format!("{parent}.{period}") } else { format!("{parent}{period}") };
            for (path, _) in entries(machine, &directory) {
                // run-parts takes no other names. Source: run-parts(8).
                let name = path.rsplit('/').next().unwrap_or("");
                let is_taken = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
                if is_taken && is_executable(machine, &path) {
                    services.push(Service::of_words(vec![path.clone()], &path, 1));
                }
            }
        }
    }
    Some(services)
}

fn table(text: &str, path: &str, has_user: bool) -> Vec<Service> {
    let mut services = Vec::new();
    let mut env = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let first = line.split_whitespace().next().unwrap_or("");
        if let Some((name, value)) =
            line.split_once('=').filter(|(name, _)| name.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        {
            env.push(format!("{}={}", name.trim(), value.trim().trim_matches(['"', '\''])));
            continue;
        }
        let fields = if first.starts_with('@') { 1 } else { 5 } + usize::from(has_user);
        let mut rest = line;
        for _ in 0..fields {
            rest = rest.trim_start();
            rest = rest.find(char::is_whitespace).map_or("", |end| &rest[end..]);
        }
        // An unescaped % ends the command.
        let command = rest.trim().split('%').next().unwrap_or("");
        if !command.is_empty() {
            let mut service = Service::of_shell(command, path, at + 1);
            service.env.clone_from(&env);
            services.push(service);
        }
    }
    services
}

pub(super) fn procfile(machine: &Machine<'_>, argv: &[String]) -> Option<Vec<Service>> {
    let at = argv.iter().position(|word| word == "-f" || word == "--procfile");
    let name = at.and_then(|at| argv.get(at + 1)).map_or("Procfile", String::as_str);
    let path = beside(machine, name);
    let text = text_of(machine, &path)?;
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        let (name, command) = line.split_once(':').filter(|(name, _)| is_name(name))?;
        let _ = name;
        Some(Service::of_shell(command.trim(), &path, at + 1))
    });
    Some(lines.collect())
}

/// The `script` of each app, where it is plain text.
pub(super) fn pm2(machine: &Machine<'_>, argv: &[String]) -> Option<Vec<Service>> {
    let named = argv
        .iter()
        .skip(1)
        .find(|word| word.ends_with(".config.js") || word.ends_with(".json") || word.ends_with(".config.cjs"));
    let name = match named {
        Some(name) => name.clone(),
        None => {
            let script = argv.iter().skip(1).find(|word| !word.starts_with('-') && *word != "start")?;
            return Some(vec![started(beside(machine, script), None, "pm2", 1)]);
        }
    };
    let path = beside(machine, &name);
    let text = text_of(machine, &path)?;
    let value = |line: &str, key: &str| -> Option<String> {
        let rest = line.split_once(key)?.1.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
        rest[1..].split(quote).next().map(str::to_string)
    };
    let interpreter = text.lines().find_map(|line| value(line, "interpreter"));
    let scripts = text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, value(line, "script")?)));
    Some(scripts.map(|(line, script)| started(beside(machine, &script), interpreter.clone(), &path, line)).collect())
}

/// PM2 runs what is JavaScript with node, and the rest by itself.
fn started(script: String, interpreter: Option<String>, by: &str, line: usize) -> Service {
    let is_javascript = [".js", ".cjs", ".mjs"].iter().any(|end| script.ends_with(end));
    let words = match interpreter {
        Some(interpreter) if interpreter != "none" => vec![interpreter, script],
        _ if is_javascript => vec!["node".to_string(), script],
        _ => words_of(&script),
    };
    Service::of_words(words, by, line)
}

fn beside(machine: &Machine<'_>, name: &str) -> String {
    if name.starts_with('/') {
        return name.to_string();
    }
    let cwd = String::from_utf8_lossy(&machine.cwd.path(machine.rootfs)).into_owned();
    format!("{}/{}", cwd.trim_end_matches('/'), name.trim_start_matches("./"))
}
