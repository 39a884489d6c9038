//! execline scripts: sequences of words, in which each program starts the next. Source: the execline language,
//! skarnet.org.

use std::collections::BTreeMap;

use crate::exec::environment::variable;

/// A word and its line.
type Token = (String, usize);

/// A program that execs the rest of its words.
struct ChainProgram {
    name: &'static str,
    /// Options with a value.
    valued: &'static [&'static str],
    /// The number of words that it uses itself.
    takes: usize,
}

const fn row(name: &'static str, valued: &'static [&'static str], takes: usize) -> ChainProgram {
    ChainProgram { name, valued, takes }
}

const LIMITS: &[&str] = &["-a", "-c", "-d", "-f", "-l", "-m", "-o", "-p", "-r", "-s", "-t"];

/// Programs of execline and s6 that exec the rest of their words.
const CHAINS: &[ChainProgram] = &[
    row("cd", &[], 1),
    row("s6-cd", &[], 1),
    row("emptyenv", &[], 0),
    row("export", &[], 2),
    row("unexport", &[], 1),
    row("fdmove", &[], 2),
    row("fdclose", &[], 1),
    row("redirfd", &[], 2),
    row("importas", &["-D", "-d"], 2),
    row("import", &["-D", "-d"], 1),
    row("define", &["-d"], 2),
    row("multidefine", &["-d"], 1),
    row("with-contenv", &[], 0),
    row("s6-setuidgid", &[], 1),
    row("s6-envuidgid", &[], 1),
    row("s6-softlimit", LIMITS, 0),
    row("s6-notifyoncheck", &["-3", "-s", "-T", "-t", "-w", "-n", "-c"], 0),
    row("s6-setsid", &[], 0),
    row("s6-envdir", &["-c"], 1),
    row("umask", &[], 1),
    row("exec", &["-a"], 0),
    row("nice", &["-n"], 0),
    row("env", &["-u", "-C"], 0),
];
/// Programs that run a block first and then the rest.
const BLOCKS: &[&str] =
    &["foreground", "background", "if", "ifelse", "ifte", "pipeline", "backtick", "trap", "loopwhilex", "tryexec"];

/// Whether an argument of execlineb is its script. Debian's /usr/bin/execlineb is itself a script that starts execlineb.
pub(in crate::exec::launch) fn is_script(word: &str) -> bool {
    !word.starts_with('-') && !word.ends_with("/execlineb")
}

/// Returns the commands of a script, each with its line: those in blocks, and the one that the script execs. Variables
/// whose value is known are replaced.
pub(in crate::exec::launch) fn commands(text: &str, env: &[String]) -> Vec<ExeclineCommand> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    chain(&tokens, &mut found, &mut Variables { env, own: BTreeMap::new(), user: None }, 0);
    found
}

/// Maximum length of a word after its variables are replaced: Linux's PATH_MAX.
const MAX_WORD: usize = 4096;

/// The variables of a script, and of the environment from which it imports others.
struct Variables<'e> {
    env: &'e [String],
    own: BTreeMap<String, String>,
    /// The user that `s6-setuidgid` changed to.
    user: Option<String>,
}

/// A command of a script, its line, and the user that it runs as.
#[derive(Clone, Debug)]
pub(in crate::exec::launch) struct ExeclineCommand {
    pub words: Vec<String>,
    pub line: usize,
    pub user: Option<String>,
}

impl Variables<'_> {
    /// Reads `define NAME VALUE`, `importas NAME VARIABLE` and `import NAME`.
    fn define(&mut self, program: &str, options: &[Token], words: &[Token]) {
        let word = |at: usize| words.get(at).map(|(word, _)| word.clone());
        let default = options.windows(2).find(|pair| pair[0].0 == "-D").map(|pair| pair[1].0.clone());
        let value = match program {
            "define" => word(1),
            "importas" => word(1).and_then(|name| variable(self.env, &name).map(str::to_string)).or(default),
            "import" => word(0).and_then(|name| variable(self.env, &name).map(str::to_string)).or(default),
            _ => return,
        };
        if let (Some(name), Some(value)) = (word(0), value) {
            let value = self.replaced(&value);
            self.own.insert(name, value);
        }
    }

    /// A word with the values of its variables. A word that would become longer than [`MAX_WORD`] keeps the names.
    fn replaced(&self, word: &str) -> String {
        let mut text = word.to_string();
        for (name, value) in &self.own {
            let count = text.matches('$').count();
            if text.len() + count * value.len() > MAX_WORD {
                continue;
            }
            text = text.replace(&format!("${{{name}}}"), value);
            if text == format!("${name}") || text.starts_with(&format!("${name}/")) {
                text = format!("{value}{}", &text[1 + name.len()..]);
            }
        }
        text
    }
}

fn chain(tokens: &[Token], found: &mut Vec<ExeclineCommand>, variables: &mut Variables<'_>, depth: usize) {
    let mut rest = tokens;
    let mut directory: Option<String> = None;
    while let Some(((word, line), after)) = rest.split_first() {
        let base = word.rsplit('/').next().unwrap_or(word);
        if BLOCKS.contains(&base) && depth < 8 {
            let (_, mut after) = options(after, &[]);
            let mut blocks = 0;
            while let Some(((open, _), inner)) = after.split_first().filter(|((word, _), _)| word == "{" || blocks == 0)
            {
                if open != "{" {
                    after = inner;
                    if inner.is_empty() {
                        break;
                    }
                    continue;
                }
                let end = closing(inner);
                let user = variables.user.clone();
                chain(&inner[..end], found, variables, depth + 1);
                variables.user = user;
                after = inner.get(end + 1..).unwrap_or_default();
                blocks += 1;
            }
            rest = after;
        } else if let Some(program) = CHAINS.iter().find(|program| program.name == base) {
            let (options, words) = options(after, program.valued);
            variables.define(program.name, options, words);
            if program.name == "s6-setuidgid" {
                variables.user = words.first().map(|(word, _)| variables.replaced(word));
            }
            if matches!(program.name, "cd" | "s6-cd") {
                directory = words.first().map(|(word, _)| variables.replaced(word));
            }
            rest = words.get(program.takes..).unwrap_or_default();
        } else {
            let mut words: Vec<String> = rest.iter().map(|(word, _)| variables.replaced(word)).collect();
            if let Some(directory) = directory.as_ref().filter(|_| words[0].contains('/') && !words[0].starts_with('/'))
            {
                words[0] = format!("{}/{}", directory.trim_end_matches('/'), words[0].trim_start_matches("./"));
            }
            found.push(ExeclineCommand { words, line: *line, user: variables.user.clone() });
            return;
        }
    }
}

/// Splits off the options, of which some have a value.
fn options<'t>(tokens: &'t [Token], valued: &[&str]) -> (&'t [Token], &'t [Token]) {
    let mut at = 0;
    while let Some((word, _)) = tokens.get(at).filter(|(word, _)| word.starts_with('-')) {
        at += if valued.contains(&word.as_str()) { 2 } else { 1 };
    }
    tokens.split_at(at.min(tokens.len()))
}

/// Returns the end of the block that was opened.
fn closing(tokens: &[Token]) -> usize {
    let mut open = 1usize;
    for (at, (word, _)) in tokens.iter().enumerate() {
        open = match word.as_str() {
            "{" => open + 1,
            "}" => open - 1,
            _ => open,
        };
        if open == 0 {
            return at;
        }
    }
    tokens.len()
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        let (mut word, mut is_open, mut quoted) = (String::new(), false, false);
        for c in line.chars() {
            match c {
                '"' => {
                    quoted = !quoted;
                    is_open = true;
                }
                '#' if !quoted && !is_open => break,
                c if c.is_whitespace() && !quoted => {
                    if std::mem::take(&mut is_open) {
                        tokens.push((std::mem::take(&mut word), at + 1));
                    }
                }
                c => {
                    is_open = true;
                    word.push(c);
                }
            }
        }
        if is_open {
            tokens.push((word, at + 1));
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::{MAX_WORD, commands};

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> =
            commands(text, &["DIR=/srv".to_string()]).into_iter().map(|command| command.words.join(" ")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_chain_ends_in_the_program_that_it_becomes() {
        check("#!/command/execlineb -P\nfdmove -c 2 1\ns6-setuidgid app\n/srv/app -x \"a b\"\n", &["/srv/app -x a b"]);
        check("with-contenv\nforeground { /bin/a b }\nif { /bin/c } exec d\n", &["/bin/a b", "/bin/c", "d"]);
        check("export A b\ncd /srv/app\n./server -x", &["/srv/app/server -x"]);
        check("/etc/s6-overlay/scripts/init", &["/etc/s6-overlay/scripts/init"]);
        check("foreground { a", &["a"]);
        check("importas -D /app BIN BIN\nfdmove -c 2 1\n$BIN -x", &["/app -x"]);
        check("importas -i D DIR\ncd $D\n./app $OTHER", &["/srv/app $OTHER"]);
        let bomb: String = (1..64).map(|at| format!("define N{at} ${{N{}}}${{N{}}}\n", at - 1, at - 1)).collect();
        let words = commands(&format!("define N0 {}\n{bomb}/app ${{N63}}", "x".repeat(64)), &[]);
        assert!(words[0].words.iter().all(|word| word.len() <= MAX_WORD));
        check("define N app\ns6-softlimit -o 1024\ns6-notifyoncheck -n 3\n/srv/${N}", &["/srv/app"]);
    }
}
