//! execline scripts: sequences of words, in which each program starts the next. Source: the execline language,
//! skarnet.org.

/// Programs of execline and s6 that exec the rest of their words, with the number of words that they use themselves.
const CHAINS: &[(&str, usize)] = &[
    ("cd", 1),
    ("s6-cd", 1),
    ("emptyenv", 0),
    ("export", 2),
    ("unexport", 1),
    ("fdmove", 2),
    ("fdclose", 1),
    ("redirfd", 2),
    ("importas", 2),
    ("import", 1),
    ("define", 2),
    ("multidefine", 1),
    ("with-contenv", 0),
    ("s6-setuidgid", 1),
    ("s6-envuidgid", 1),
    ("s6-softlimit", 0),
    ("s6-notifyoncheck", 0),
    ("s6-setsid", 0),
    ("s6-envdir", 1),
    ("umask", 1),
    ("exec", 0),
    ("nice", 0),
    ("env", 0),
];
/// Programs that run a block first and then the rest.
const BLOCKS: &[&str] =
    &["foreground", "background", "if", "ifelse", "ifte", "pipeline", "backtick", "trap", "loopwhilex", "tryexec"];

/// Whether an argument of execlineb is its script. Debian's /usr/bin/execlineb is itself a script that starts execlineb.
pub(in crate::exec::launch) fn is_script(word: &str) -> bool {
    !word.starts_with('-') && !word.ends_with("/execlineb")
}

/// Returns the commands of a script, each with its line: those in blocks, and the one that the script execs.
pub(in crate::exec::launch) fn commands(text: &str) -> Vec<(Vec<String>, usize)> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    chain(&tokens, &mut found, 0);
    found
}

fn chain(tokens: &[(String, usize)], found: &mut Vec<(Vec<String>, usize)>, depth: usize) {
    let mut rest = tokens;
    let mut directory: Option<&str> = None;
    while let Some(((word, line), after)) = rest.split_first() {
        let base = word.rsplit('/').next().unwrap_or(word);
        if BLOCKS.contains(&base) && depth < 8 {
            let mut after = skip_options(after);
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
                chain(&inner[..end], found, depth + 1);
                after = inner.get(end + 1..).unwrap_or_default();
                blocks += 1;
            }
            rest = after;
        } else if let Some((name, takes)) = CHAINS.iter().find(|(name, _)| *name == base) {
            let words = skip_options(after);
            if matches!(*name, "cd" | "s6-cd") {
                directory = words.first().map(|(word, _)| word.as_str());
            }
            rest = words.get(*takes..).unwrap_or_default();
        } else {
            let mut words: Vec<String> = rest.iter().map(|(word, _)| word.clone()).collect();
            if let Some(directory) = directory.filter(|_| words[0].contains('/') && !words[0].starts_with('/')) {
                words[0] = format!("{}/{}", directory.trim_end_matches('/'), words[0].trim_start_matches("./"));
            }
            found.push((words, *line));
            return;
        }
    }
}

fn skip_options(tokens: &[(String, usize)]) -> &[(String, usize)] {
    let options = tokens.iter().take_while(|(word, _)| word.starts_with('-')).count();
    &tokens[options..]
}

/// Returns the end of the block that was opened.
fn closing(tokens: &[(String, usize)]) -> usize {
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

fn tokens(text: &str) -> Vec<(String, usize)> {
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
    use super::commands;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> = commands(text).into_iter().map(|(words, _)| words.join(" ")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_chain_ends_in_the_program_that_it_becomes() {
        check("#!/command/execlineb -P\nfdmove -c 2 1\ns6-setuidgid app\n/srv/app -x \"a b\"\n", &["/srv/app -x a b"]);
        check("with-contenv\nforeground { /bin/a b }\nif { /bin/c } exec d\n", &["/bin/a b", "/bin/c", "d"]);
        check("export A b\ncd /srv/app\n./server -x", &["/srv/app/server -x"]);
        check("/etc/s6-overlay/scripts/init", &["/etc/s6-overlay/scripts/init"]);
        check("foreground { a", &["a"]);
    }
}
