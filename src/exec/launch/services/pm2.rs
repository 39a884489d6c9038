//! Reads PM2's ecosystem files, as far as they are plain text, and the script on its command line. Source: PM2's
//! documentation, "Ecosystem File", and its lib/Common.js.

use super::{SupervisedService, from_cwd, option, text_of, words_of};
use crate::exec::environment::{DEFAULT_PATH, variable};
use crate::exec::kernel::binfmt::ExecMachine;

/// Maximum number of objects of one file that are examined.
const MAX_OBJECTS: usize = 512;
/// Maximum number of lines of a YAML file that are read.
const MAX_LINES: usize = 4096;
/// Interpreters, by the extension of a script's name.
const INTERPRETERS: &[(&str, &str)] = &[
    (".js", "node"),
    (".cjs", "node"),
    (".mjs", "node"),
    (".py", "python"),
    (".rb", "ruby"),
    (".sh", "bash"),
    (".php", "php"),
    (".pl", "perl"),
];

/// The values of one object in the file.
#[derive(Debug, Default)]
struct App {
    script: Option<(String, usize)>,
    interpreter: Option<String>,
    cwd: Option<String>,
    args: String,
}

pub(super) fn services(machine: &ExecMachine<'_>, argv: &[String], env: &[String]) -> Option<Vec<SupervisedService>> {
    let operands = || argv.iter().skip(1).filter(|word| !word.starts_with('-') && *word != "start");
    let is_config = |word: &&String| {
        [".config.js", ".config.cjs", ".config.mjs", ".json", ".yml", ".yaml"].iter().any(|end| word.ends_with(end))
    };
    let Some(name) = operands().find(is_config) else {
        let script = (operands().next()?.clone(), 1);
        let args = argv.iter().skip_while(|word| *word != "--").skip(1).cloned().collect::<Vec<_>>().join(" ");
        let app = App { script: Some(script), interpreter: option(argv, &["--interpreter"]), cwd: None, args };
        return Some(started(machine, app, "pm2", env).into_iter().collect());
    };
    let path = from_cwd(machine, name);
    let text = text_of(machine, &path)?;
    let is_yaml = [".yml", ".yaml"].iter().any(|end| path.ends_with(end));
    let apps = if is_yaml { yaml_apps(&text) } else { apps(&text) };
    Some(apps.into_iter().filter_map(|app| started(machine, app, &path, env)).collect())
}

/// Returns the objects that name a script, in the order in which they end.
fn apps(text: &str) -> Vec<App> {
    let (mut open, mut found) = (vec![App::default()], Vec::new());
    let (mut rest, mut line) = (text, 1);
    let mut key = "";
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '{' => {
                open.push(App::default());
                1
            }
            '}' => {
                found.extend(open.pop().filter(|app| app.script.is_some()));
                1
            }
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' | '\'' | '`' => {
                let inside = &rest[1..];
                let end = inside.find(c).unwrap_or(inside.len());
                let value = &inside[..end];
                if !is_key(&inside[(end + 1).min(inside.len())..]) {
                    note(open.last_mut(), key, value, line);
                    key = "";
                } else {
                    key = value;
                }
                (end + 2).min(rest.len())
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                key = if is_key(&rest[end..]) { &rest[..end] } else { "" };
                end
            }
            c => c.len_utf8(),
        };
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
        if open.len() > MAX_OBJECTS || found.len() > MAX_OBJECTS {
            break;
        }
    }
    found
}

/// Returns the applications in a YAML file: each begins with `-`. Keys of nested mappings are indented further.
fn yaml_apps(text: &str) -> Vec<App> {
    let mut found: Vec<(App, usize)> = Vec::new();
    for (at, line) in text.lines().enumerate().take(MAX_LINES) {
        let line = line.split(" #").next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        let item = line.trim_start().strip_prefix("- ");
        let rest = item.unwrap_or(line).trim_start();
        let column = line.len() - rest.len();
        let (Some((key, value)), false) = (rest.split_once(':'), rest.starts_with('#')) else { continue };
        match (item, found.last()) {
            // An item of a list within an application.
            (Some(_), Some((_, own))) if indent >= *own => continue,
            (Some(_), _) => found.push((App::default(), column)),
            (None, Some((_, own))) if indent == *own => {}
            (None, _) => continue,
        }
        let app = found.last_mut().map(|(app, _)| app);
        note(app, key.trim().trim_matches(['"', '\'']), value.trim().trim_matches(['"', '\'']), at + 1);
    }
    found.into_iter().map(|(app, _)| app).filter(|app| app.script.is_some()).collect()
}

/// Whether a word is a key, by the text after it.
fn is_key(after: &str) -> bool {
    after.trim_start().starts_with(':')
}

fn note(app: Option<&mut App>, key: &str, value: &str, line: usize) {
    let Some(app) = app.filter(|_| !value.contains("${")) else { return };
    match key {
        "script" => app.script = Some((value.to_string(), line)),
        "interpreter" | "exec_interpreter" => app.interpreter = Some(value.to_string()),
        "cwd" => app.cwd = Some(value.to_string()),
        "args" => app.args = value.to_string(),
        _ => {}
    }
}

/// PM2 runs a script with the interpreter for its extension, and other files directly. A name without a directory may
/// be a command on PATH.
fn started(machine: &ExecMachine<'_>, app: App, by: &str, env: &[String]) -> Option<SupervisedService> {
    let (script, line) = app.script?;
    let directory = app.cwd.map(|cwd| from_cwd(machine, &cwd));
    let words = words_of(&script);
    let script = words.first().filter(|_| script.contains(char::is_whitespace)).unwrap_or(&script).clone();
    let local = match &directory {
        Some(directory) if !script.starts_with('/') => {
            format!("{}/{}", directory.trim_end_matches('/'), script.trim_start_matches("./"))
        }
        _ => from_cwd(machine, &script),
    };
    let is_there = |path: &str| machine.rootfs.resolve(path).is_ok();
    let path = variable(env, "PATH").unwrap_or(DEFAULT_PATH);
    let is_command = !script.contains('/')
        && !is_there(&local)
        && path.split(':').any(|place| is_there(&format!("{place}/{script}")));
    let by_end = INTERPRETERS.iter().find(|(end, _)| script.ends_with(end)).map(|(_, name)| name.to_string());
    let interpreter = app.interpreter.or(by_end).filter(|name| name != "none" && !is_command);
    let program = if is_command { script } else { local };
    let mut argv: Vec<String> = interpreter.into_iter().chain([program]).collect();
    argv.extend(words.into_iter().skip(1));
    argv.extend(words_of(&format!("x {}", app.args)).into_iter().skip(1));
    let mut service = SupervisedService::of_words(argv, by, line);
    service.working_dir = directory;
    Some(service)
}

#[cfg(test)]
mod tests {
    use super::{apps, yaml_apps};

    #[test]
    fn applications_in_yaml_are_items_of_a_list() {
        let text = "# all\napps:\n  - name: a\n    script: ./bin/a # ours\n    env:\n      script: no\n    args: '-x'\n  - script: \"b.js\"\n    \
                    cwd: /srv\n    watch:\n      - lib: x\n  - name: c\n";
        let found: Vec<String> = yaml_apps(text)
            .into_iter()
            .map(|app| {
                let (script, line) = app.script.unwrap();
                format!("{script}:{line} {:?} {}", app.cwd, app.args)
            })
            .collect();
        assert_eq!(found, ["./bin/a:4 None -x", "b.js:8 Some(\"/srv\") "]);
    }

    #[test]
    fn each_object_with_a_script_is_an_app() {
        let text = "module.exports = { // {\n apps: [{ name: 'a:b', script: './a', env: { PORT: '1', script_x: '2' },\n \
                    \"args\": \"-x\" },\n /* script: 'no' */ {\n cwd: \"/srv\", interpreter: 'none', script: `b.js` }] }";
        let found: Vec<String> = apps(text)
            .into_iter()
            .map(|app| {
                let (script, line) = app.script.unwrap();
                format!("{script}:{line} {:?} {:?} {}", app.interpreter, app.cwd, app.args)
            })
            .collect();
        assert_eq!(found, ["./a:2 None None -x", "b.js:5 Some(\"none\") Some(\"/srv\") "]);
    }
}
