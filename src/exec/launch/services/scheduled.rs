//! Reads cron's tables and Procfiles. Source: crontab(5); Procfile as foreman reads it.

use super::{Service, entries, from_cwd, is_executable, is_file, option, text_of};
use crate::exec::environment::variable;
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
                // run-parts ignores other names. Source: run-parts(8).
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

/// Returns a Procfile's processes. Words after `start` select some of them. Source: foreman(1), honcho's and overmind's
/// help.
pub(super) fn procfile(machine: &Machine<'_>, argv: &[String], env: &[String]) -> Option<Vec<Service>> {
    let named = option(argv, &["--procfile", "-f"]);
    let named = named.or_else(|| variable(env, "OVERMIND_PROCFILE").map(str::to_string));
    let root = option(argv, &["--root", "--app-root", "-d"]);
    let own = root.as_deref().map_or_else(|| "Procfile".to_string(), |root| format!("{root}/Procfile"));
    let path = from_cwd(machine, &named.unwrap_or(own));
    let text = text_of(machine, &path)?;
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let chosen: Vec<&String> = argv.iter().skip_while(|word| *word != "start").skip(1).collect();
    let processes = || text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name);
    let is_chosen = |name: &str| {
        let is_one = |word: &&&String| processes().any(|name| name == word.as_str());
        let mut named = chosen.iter().filter(is_one).peekable();
        named.peek().is_none() || named.any(|word| *word == name)
    };
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        let (_, command) = line.split_once(':').filter(|(name, _)| is_name(name) && is_chosen(name))?;
        let mut service = Service::of_shell(command.trim(), &path, at + 1);
        service.working_dir = path.rsplit_once('/').map(|(directory, _)| directory.to_string());
        Some(service)
    });
    Some(lines.collect())
}
