//! The commands that xargs runs: its own words, followed by words of its input.

use crate::exec::kernel::binfmt::ExecMachine;
use crate::exec::launch::interpret::{UNKNOWN, kept_text};
use crate::exec::launch::services::from_cwd;
use crate::exec::launch::walk::{Caller, Ran, StartWalk};
use crate::exec::launch::wrapper::Wrapped;
use crate::exec::launch::written::known_text;
use crate::exec::log::Log;
use crate::exec::outcome::Outcome;

/// Maximum number of commands of one xargs that are followed.
const MAX_COMMANDS: usize = 16;

impl ExecMachine<'_> {
    /// Follows the commands of xargs. `None` if they run.
    pub(super) fn follow_xargs(
        &self,
        log: &mut Log,
        (ran, wrapped): (&Ran, Wrapped),
        caller: Caller<'_>,
        walk: &StartWalk,
    ) -> Option<Outcome> {
        // Without a command, it prints its input.
        wrapped.command.first()?;
        let input = self.input_of_xargs(&ran.argv, walk);
        for command in commands(&ran.argv, &wrapped, input.as_deref()) {
            let name = command.first()?.clone();
            let outcome = self.run_command(log, &name, &command, caller, walk);
            if !outcome.is_alive() {
                return Some(outcome);
            }
        }
        None
    }

    /// The text that xargs reads. `None` if it is not known.
    fn input_of_xargs(&self, argv: &[String], walk: &StartWalk) -> Option<String> {
        let file = argv.iter().enumerate().find_map(|(at, word)| match word.as_str() {
            "-a" | "--arg-file" => argv.get(at + 1).cloned(),
            _ => word.strip_prefix("--arg-file=").map(str::to_string),
        });
        let Some(file) = file else {
            return Some(walk.stdin.as_ref()?.iter().map(|line| format!("{line}\n")).collect());
        };
        let path = from_cwd(self, &file);
        if let Some(written) = walk.made.written(self.rootfs, &path) {
            return known_text(&written);
        }
        kept_text(self.kind(self.rootfs.resolve(&path).ok()?)?)
    }
}

/// The command lines for an input.
fn commands(argv: &[String], wrapped: &Wrapped, input: Option<&str>) -> Vec<Vec<String>> {
    let own = &argv[..argv.len() - wrapped.command.len().min(argv.len())];
    let value = |name: &str| {
        own.iter().enumerate().find_map(|(at, word)| {
            let rest = word.strip_prefix(name)?;
            if rest.is_empty() { own.get(at + 1).cloned() } else { Some(rest.to_string()) }
        })
    };
    let by_line = wrapped.replaced.is_some()
        || value("-L").is_some()
        || value("-d").is_some_and(|end| end == "\\n" || end == "\n");
    let is_other = own.iter().any(|word| word == "-0" || word == "--null") || value("-d").is_some() && !by_line;
    let items: Option<Vec<String>> = input.filter(|_| !is_other).map(|text| match by_line {
        true => text.lines().filter(|line| !line.is_empty()).map(str::to_string).collect(),
        false => text.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_string()).collect(),
    });
    let with = |items: &[String]| match &wrapped.replaced {
        Some(text) => wrapped.command.iter().map(|word| word.replace(text, &items[0])).collect::<Vec<_>>(),
        None => wrapped.command.iter().chain(items).cloned().collect(),
    };
    // Words after the text of `sh -c` do not change what the shell runs.
    let has_text = wrapped.command.iter().any(|word| word == "-c") && wrapped.replaced.is_none();
    let Some(items) = items else { return vec![if has_text { with(&[]) } else { with(&[UNKNOWN.to_string()]) }] };
    let count = match (&wrapped.replaced, value("-n").or_else(|| value("-L"))) {
        (Some(_), _) => 1,
        (None, count) => count.and_then(|count| count.parse().ok()).unwrap_or(usize::MAX),
    };
    items.chunks(count.max(1)).take(MAX_COMMANDS).map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::{UNKNOWN, commands};
    use crate::exec::launch::wrapper::{parse, wrapper};

    #[test]
    fn words_of_the_input_follow_the_command() {
        let check = |call: &str, input: Option<&str>, expected: &[&str]| {
            let argv: Vec<String> = call.split(' ').map(str::to_string).collect();
            let (row, style) = wrapper("xargs", false).unwrap();
            let lines: Vec<String> =
                commands(&argv, &parse(row, style, &argv), input).iter().map(|line| line.join(" ")).collect();
            assert_eq!(lines, expected, "{call}");
        };
        check("xargs app", Some("a b\nc\n"), &["app a b c"]);
        check("xargs -n 1 app -x", Some("a b\n"), &["app -x a", "app -x b"]);
        check("xargs -n1 -r app", Some("a b\n"), &["app a", "app b"]);
        check("xargs -I{} app -f {}", Some("a b\nc\n"), &["app -f a b", "app -f c"]);
        check("xargs -a /list env", Some("/app\n"), &["env /app"]);
        check("xargs -r app", Some(""), &[]);
        check("xargs app", None, &[&format!("app {UNKNOWN}")]);
        check("xargs sh -c x", None, &["sh -c x"]);
    }
}
