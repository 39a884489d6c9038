//! Reads cron's tables and Procfiles. Source: crontab(5); Procfile as foreman reads it.

use super::refusals::{ServiceFault, ignored_name, ignored_table, with_fault};
use super::{SupervisedService, entries, from_cwd, is_executable, is_file, option, text_at, text_of};
use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::made::MadePaths;
use crate::exec::launch::run_parts::RunParts;
use crate::exec::log::Certainty;

pub(super) fn cron(machine: &ExecMachine<'_>, argv: &[String], made: &MadePaths) -> Option<Vec<SupervisedService>> {
    let name = argv.first()?.rsplit('/').next()?;
    if name == "supercronic" {
        let path = from_cwd(machine, argv.iter().skip(1).rfind(|word| !word.starts_with('-'))?);
        // It also removes carriage returns.
        let text: String = text_at(machine, made, &path)?.lines().map(|line| format!("{line}\n")).collect();
        return Some(table(&text, &path, TableStyle::Supercronic));
    }
    if name == "anacron" {
        return anacron(machine, argv);
    }
    let mut services = Vec::new();
    // The tables of the image's author come before those of its packages.
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
    let is_debians = name == "cron";
    let is_read = |path: &String| {
        !is_debians || RunParts::Debianutils.takes(&base(path)) || RunParts::Debianutils.ignores(&base(path))
    };
    let own = entries(machine, "/etc/cron.d").into_iter().map(|(path, _)| path).filter(is_read);
    let mut tables: Vec<(String, bool)> = own.map(|path| (path, true)).collect();
    if let Some(directory) = option(argv, &["-c"]).filter(|_| name == "crond") {
        tables.extend(entries(machine, &directory).into_iter().map(|(path, _)| (path, false)));
    }
    for directory in ["/var/spool/cron/crontabs", "/etc/crontabs", "/var/spool/cron"] {
        tables.extend(
            entries(machine, directory)
                .into_iter()
                .filter(|(_, id)| is_file(machine, *id))
                .map(|(path, _)| (path, false)),
        );
    }
    for directory in ["/etc/cron.d", "/var/spool/cron/crontabs", "/etc/crontabs"] {
        let entries = made.entries(machine.rootfs, directory).into_iter();
        tables.extend(entries.filter(|entry| entry.is_sure).map(|entry| (entry.source, directory == "/etc/cron.d")));
    }
    tables.push(("/etc/crontab".to_string(), true));
    for (path, has_user) in tables {
        let Some(text) = text_at(machine, made, &path) else { continue };
        let jobs = table(&text, &path, if has_user { TableStyle::System } else { TableStyle::OfUser });
        let is_spool = path.starts_with("/var/spool/cron/");
        // Other crons are less strict.
        let is_misnamed = path.starts_with("/etc/cron.d/") && RunParts::Debianutils.ignores(&base(&path));
        let fault = match is_debians {
            true if is_misnamed => Some(ignored_name(&path, "cron")),
            true => ignored_table(machine, &path, is_spool),
            false => None,
        };
        services.extend(with_fault(jobs, fault));
    }
    // A table starts these, with its own PATH. Source: Debian's and Alpine's tables.
    let text = text_of(machine, "/etc/crontab").unwrap_or_default();
    let path = text.lines().rev().find_map(|line| line.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let parts = RunParts::of(machine);
    for period in ["hourly", "daily", "weekly", "monthly", "15min"] {
        for parent in ["/etc/cron", "/etc/periodic/"] {
            let directory =
                if parent == "/etc/cron" { format!("{parent}.{period}") } else { format!("{parent}{period}") };
            for (file, _) in entries(machine, &directory) {
                let is_ignored = parts.ignores_program(machine, &file);
                let is_taken = parts.takes(&base(&file));
                if (is_taken || is_ignored) && is_executable(machine, &file) {
                    let service = SupervisedService::of_words(vec![file.clone()], &file, 1);
                    let fault = is_ignored.then(|| ignored_name(&file, "run-parts"));
                    services.push(SupervisedService { env: vec![format!("PATH={path}")], fault, ..service });
                }
            }
        }
    }
    Some(services)
}

/// Returns the jobs of /etc/anacrontab. `-u` and `-T` start none. Source: anacron(8), anacrontab(5).
fn anacron(machine: &ExecMachine<'_>, argv: &[String]) -> Option<Vec<SupervisedService>> {
    let starts_none =
        |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains(['u', 'T', 'V', 'h']);
    if argv.iter().skip(1).any(starts_none) {
        return Some(Vec::new());
    }
    let path = option(argv, &["-t"]).unwrap_or_else(|| "/etc/anacrontab".to_string());
    let text = text_of(machine, &path)?;
    let mut env = Vec::new();
    let mut services = Vec::new();
    for (at, line) in text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let mut fields = line.split_whitespace();
        if let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.trim().contains(char::is_whitespace))
        {
            env.push(format!("{}={}", name.trim(), value.trim()));
        } else if fields.by_ref().take(3).count() == 3 {
            let command = fields.collect::<Vec<_>>().join(" ");
            let service = SupervisedService::of_shell(&command, &path, at + 1);
            services.push(SupervisedService { env: env.clone(), ..service });
        }
    }
    services.retain(|service| service.command != super::ServiceCommand::Shell(String::new()));
    Some(services)
}

/// Returns the files of the directory that run-parts is called with.
pub(super) fn run_parts(machine: &ExecMachine<'_>, argv: &[String]) -> Option<Vec<SupervisedService>> {
    let words = || argv.iter().skip(1);
    let directory = from_cwd(machine, words().rfind(|word| !word.starts_with('-'))?);
    machine.rootfs.resolve(&directory).ok()?;
    let takes_all = words().any(|word| word.starts_with("--regex") || word == "--lsbsysinit");
    let parts = RunParts::of(machine);
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
    let found: Vec<String> = entries(machine, &directory).into_iter().map(|(path, _)| path).collect();
    let found: Vec<String> = found.into_iter().filter(|path| is_executable(machine, path)).collect();
    let is_taken = |path: &String| takes_all || parts.takes(&base(path));
    let mut services: Vec<SupervisedService> = found
        .iter()
        .filter(|path| is_taken(path))
        .map(|path| SupervisedService::of_words(vec![path.clone()], path, 1).before())
        .collect();
    // If it runs another file, its author knows the rule for names.
    if let Some(path) = found.iter().find(|path| parts.ignores_program(machine, path)).filter(|_| services.is_empty()) {
        let service = SupervisedService::of_words(vec![path.clone()], path, 1);
        services.push(SupervisedService { fault: Some(ignored_name(path, "run-parts")), ..service });
    }
    Some(services)
}

/// Splits a job's command at the first `%` that is not escaped. What follows is the command's input. Source: crontab(5).
fn command_of(text: &str) -> (String, Option<String>) {
    let mut command = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'%') => command.extend(chars.next()),
            '%' => return (command.trim_end_matches(' ').to_string(), Some(chars.collect())),
            c => command.push(c),
        }
    }
    (command, None)
}

/// What precedes the command in a line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TableStyle {
    /// Five fields.
    OfUser,
    /// Five fields and the user.
    System,
    /// Five fields, and perhaps one of years, or of seconds and years. Source: supercronic's README.
    Supercronic,
}

impl TableStyle {
    /// The number of words before the command.
    fn fields(self, line: &str) -> usize {
        let is_field = |word: &&str| {
            let letters = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun"];
            let others = ["jul", "aug", "sep", "oct", "nov", "dec"];
            let mut parts = word.split([',', '-', '/', '#']).map(str::to_ascii_lowercase);
            parts.all(|part| {
                let part = part.trim_end_matches(['l', 'w']);
                part.is_empty()
                    || part.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '?'))
                    || letters.contains(&part)
                    || others.contains(&part)
            })
        };
        match self {
            _ if line.starts_with('@') => 1 + usize::from(self == TableStyle::System),
            TableStyle::OfUser => 5,
            TableStyle::System => 6,
            TableStyle::Supercronic => line.split_whitespace().take(7).take_while(is_field).count().max(5),
        }
    }
}

fn table(text: &str, path: &str, style: TableStyle) -> Vec<SupervisedService> {
    let mut services = Vec::new();
    let mut env = Vec::new();
    // A carriage return is a part of the command.
    for (at, line) in text.split_terminator('\n').enumerate() {
        let line = line.trim_matches([' ', '\t']);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((name, value)) =
            line.split_once('=').filter(|(name, _)| name.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        {
            env.push(format!("{}={}", name.trim(), value.trim().trim_matches(['"', '\''])));
            continue;
        }
        let fields = style.fields(line);
        let mut rest = line;
        for _ in 0..fields {
            rest = rest.trim_start();
            rest = rest.find(char::is_whitespace).map_or("", |end| &rest[end..]);
        }
        let user = line.split_whitespace().nth(fields - 1).filter(|_| style == TableStyle::System);
        let (command, input) = command_of(rest.trim_matches([' ', '\t']));
        let command = command.as_str();
        // Without a user, the program is taken for one, and nothing is left.
        if !command.is_empty() || user.is_some_and(|user| user.starts_with('/')) {
            let mut service = SupervisedService::of_shell(command, path, at + 1);
            service.env.clone_from(&env);
            service.user = user.filter(|user| *user != "root").map(str::to_string);
            // cron does not check the shell that the table names.
            let has_shell = env.iter().any(|line| line.starts_with("SHELL="));
            service.missing = has_shell.then_some(Certainty::Certain);
            if input.is_some_and(|input| input.contains("&&") || input.contains('/') || input.contains(';')) {
                let text = format!("the command at line {} ends at its first %, which is not written \\%", at + 1);
                service.fault = Some(ServiceFault::of_configuration(text));
            }
            services.push(service);
        }
    }
    services
}

/// Returns a Procfile's processes. Words after `start` select some of them. Source: foreman(1), honcho's and overmind's
/// help.
pub(super) fn procfile(machine: &ExecMachine<'_>, argv: &[String], env: &[String]) -> Option<Vec<SupervisedService>> {
    let named = option(argv, &["--procfile", "-f"]);
    let named = named.or_else(|| variable(env, "OVERMIND_PROCFILE").map(str::to_string));
    let root = option(argv, &["--root", "--app-root", "-d"]);
    let own = root.as_deref().map_or_else(|| "Procfile".to_string(), |root| format!("{root}/Procfile"));
    let named = named.or_else(|| argv.iter().skip(1).find(|word| word.ends_with("Procfile")).cloned());
    let path = from_cwd(machine, &named.unwrap_or(own));
    if let Some(at) = argv.iter().position(|word| word == "run") {
        let command = argv[at + 1..].iter().skip_while(|word| word.starts_with('-') || word.ends_with("Procfile"));
        let service = SupervisedService::of_words(command.cloned().collect(), "CMD", 1);
        return Some(vec![service]);
    }
    let text = text_of(machine, &path)?;
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    // foreman reads its variables before it knows the Procfile's directory. Seen with foreman 0.87.
    let is_foreman = argv.first().is_some_and(|name| name.rsplit('/').next() == Some("foreman"));
    let settings = match (is_foreman, root.as_deref()) {
        (true, root) => from_cwd(machine, &format!("{}/.env", root.unwrap_or("."))),
        (false, _) => format!("{directory}/.env"),
    };
    let settings = text_of(machine, &settings);
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
        let mut service = SupervisedService::of_shell(command.trim(), &path, at + 1);
        service.working_dir = Some(directory.to_string());
        service.env = settings.as_deref().map(dotenv).unwrap_or_default();
        Some(service)
    });
    Some(lines.collect())
}

/// Returns the variables of a `.env` file.
fn dotenv(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.trim().trim_start_matches("export ").split_once('='));
    lines.map(|(name, value)| format!("{}={}", name.trim(), value.trim().trim_matches(['"', '\'']))).collect()
}
