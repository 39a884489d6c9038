//! What is read from real shapes of entry scripts.

use super::*;

/// The commands, one a line: words joined by blanks, `@` for "$@", `?` for unknown, two blanks before nested ones.
fn check(text: &str, expected: &[&str]) {
    let env = ["HOME=/root".to_string(), "OPTS=-a -b".to_string()];
    let arguments = ["/entry.sh", "serve", "-v"].map(str::to_string);
    let commands = commands(text, &Scope { arguments: &arguments, env: &env }).map(|commands| {
        let show = |word: &Word| match word {
            Word::Known(text) => text.clone(),
            Word::Arguments => "@".to_string(),
            Word::Unknown => "?".to_string(),
        };
        let line = |command: &Command| {
            let words: Vec<String> = command.words.iter().map(show).collect();
            format!("{}{}", if command.is_nested { "  " } else { "" }, words.join(" "))
        };
        commands.iter().map(line).collect::<Vec<_>>()
    });
    assert_eq!(commands.as_deref(), Some(expected.iter().map(|line| line.to_string()).collect::<Vec<_>>().as_slice()));
}

#[test]
fn the_pattern_of_official_images_ends_in_its_arguments() {
    let text = "#!/bin/sh\nset -e\n\n# first arg is an option\nif [ \"${1#-}\" != \"$1\" ] || [ \"${1%.conf}\" != \"$1\" ]; then\n\tset -- redis-server \"$@\"\nfi\nif [ \"$1\" = 'redis-server' -a \"$(id -u)\" = '0' ]; then\n\tfind . \\! -user redis -exec chown redis '{}' +\n\texec gosu redis \"$0\" \"$@\"\nfi\nexec \"$@\"\n";
    let expected = [
        "set -e",
        "  [ ? != serve ]",
        "  [ ? != serve ]",
        "  set -- redis-server @",
        "  [ serve = redis-server -a ? = 0 ]",
        "  find . ! -user redis -exec chown redis {} +",
        "  exec gosu redis /entry.sh @",
        "exec @",
    ];
    check(text, &expected);
}

#[test]
fn functions_cases_loops_and_here_documents_are_not_the_top_level() {
    check("f() {\n  rm x\n}\nf\nexec /app\n", &["  rm x", "f", "exec /app"]);
    check("case \"$1\" in\n  a|b) one ;;\n  *) two\nesac\nthree\n", &["  one", "  two", "three"]);
    check("for x in a b; do echo $x; done\nexec app", &["  echo ?", "exec app"]);
    check("cat <<EOF > f\nexec \"wrong\nEOF\nexec app\n", &["cat", "exec app"]);
    check("( cd x && y )\nz\n", &["  cd x", "  y", "z"]);
}

#[test]
fn words_are_known_where_the_image_or_the_script_says_them() {
    check("exec $HOME/app ${X:-one} ${HOME}/b \"$1\" '$2'", &["exec /root/app one /root/b serve $2"]);
    check("A=/opt\nexec $A/app $B", &["A=/opt", "exec /opt/app ?"]);
    check("A=$(which app)\nexec $A", &["?", "exec ?"]);
    check("if true; then A=1; fi\nexec app$A", &["  true", "  A=1", "exec app?".replace("app?", "?").as_str()]);
    check("exec app $OPTS", &["exec app ?"]);
    check("exec app > /dev/null 2>&1 \\\n  -x", &["exec app -x"]);
}

#[test]
fn a_text_that_does_not_end_is_not_read() {
    let read = |text| commands(text, &Scope { arguments: &[], env: &[] });
    assert_eq!(read("exec 'app"), None);
    assert_eq!(read("if true; then exec app"), None);
    assert_eq!(read("cat <<E\nexec app\n"), None);
}

proptest::proptest! {
    /// Image content is hostile: no text makes the reader panic or hang.
    #[test]
    fn no_text_is_too_odd_to_be_read(text in "[ -~\\n\\t]{0,80}", words in "((if|case|for|in|esac|fi|done|do|then|\\{|\\}|\\(|\\)|;;|<<E|E|'|\\$\\(|`|\"|a=1|exec|\\$@|&&|\\|) ?\\n?){0,24}") {
        let arguments = ["/e".to_string()];
        for text in [&text, &words] {
            commands(text, &Scope { arguments: &arguments, env: &[] });
        }
    }
}
