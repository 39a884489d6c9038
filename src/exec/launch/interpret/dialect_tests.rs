//! The language of dash and of BusyBox's ash. Every answer was seen with dash 0.5.12, BusyBox 1.35 and bash 5.2.

use super::super::tests::{FOREIGN, bash, run_with, summary};
use crate::exec::{Followed, Outcome};

fn dash(script: &str, expected: &str) {
    let text = format!("#!/usr/bin/dash\n{script}\n");
    let trace = run_with(&[("e", 0o755, &text)], &["/e"], &[]);
    assert_eq!(summary(&trace), expected, "{script}\n{trace:#?}");
}

const REFUSED: &str = "exit 2 shell-dialect";

#[test]
fn a_syntax_error_ends_dash_after_the_commands_before_it() {
    for text in [
        "x=(a b)\nexec /app",
        "f() {\n  local -a x=(a)\n}\nexec /app",
        "read x <<< /app\nexec $x",
        "cat <(echo a)\nexec /app",
        "for ((i=0; i<1; i++)); do :; done\nexec /app",
        "case a in a) : ;& b) : ;; esac\nexec /app",
        "function f() {\n  exec /app\n}\nf",
    ] {
        dash(text, REFUSED);
        let trace = run_with(&[("e", 0o755, &format!("#!/bin/bash\n{text}\n"))], &["/e"], &[]);
        assert_eq!(trace.outcome, Outcome::Runs, "{text}");
    }
    dash("exec /app\nx=(a)", "runs");
    dash("exec /foreign\nx=(a)", FOREIGN);
    dash("if false; then x=(a); fi\nexec /app", REFUSED);
}

#[test]
fn a_bad_substitution_ends_dash_when_it_is_expanded() {
    for text in ["echo ${X^^}", "echo ${X:1}", "echo ${X/a/b}", "echo ${!X}", "echo ${X[0]}", "Y=\"${X[@]}\""] {
        dash(&format!("X=abc\n{text}\nexec /app"), REFUSED);
        bash(&format!("X=abc\n{text}\nexec /app"), &[], "runs");
    }
    dash("if false; then echo ${X^^}; fi\nexec /app", "runs");
    dash("echo ${X:-a} ${X#a} ${#X}\nexec /app", "runs");
}

#[test]
fn dash_lacks_builtins_and_options_of_bash() {
    let lacks = "exit 127 shell-dialect";
    dash("set -e\nsource /etc/app.sh\nexec /app", lacks);
    dash("set -e\n[[ -n a ]]\nexec /app", lacks);
    dash("set -e\ndeclare x=1\nexec /app", lacks);
    dash("set -euo pipefail\nexec /app", REFUSED);
    dash("set -e\ntrap 'echo x' ERR\nexec /app", "exit 1 shell-dialect");
    dash("f() { local -r x=1; exec /app; }\nf", REFUSED);
    // Without -e, it goes on, as if the test had failed.
    dash("if [[ -n a ]]; then exec /foreign; fi\nexec /app", "runs");
    dash("if [ a == a ]; then exec /foreign; fi\nexec /app", "runs");
    dash("set -e\nif [[ -n a ]]; then :; fi\nexec /app", "runs");
}

#[test]
fn dash_runs_the_body_of_a_function_that_the_keyword_defines() {
    dash("function f {\n  exec /app\n}\nf", "runs");
    dash("function f {\n  echo\n}\nexec /app", REFUSED);
    dash("set -e\nfunction f {\n  exec /app\n}\nf", "exit 127 shell-dialect");
    bash("function f {\n  exec /foreign\n}\nf", &[], FOREIGN);
}

#[test]
fn another_shell_is_not_judged_by_the_language_of_dash() {
    let trace = run_with(&[("e", 0o755, "#!/bin/sh\nx=(/app)\nexec \"${x[0]}\"\n")], &["/e"], &[]);
    assert_eq!((&trace.outcome, &trace.followed), (&Outcome::Runs, &Followed::Full));
}

#[test]
fn carriage_returns_end_a_shell_that_cannot_parse_the_script() {
    dash("if true; then\r\n  echo\r\nfi\r\nexec /app\r", "exit 2 carriage-return");
    let files = [
        ("e", 0o755, "#!/usr/bin/dash\n. /opt/lib.sh\nexec /app\n"),
        ("opt/lib.sh", 0o644, "if true; then\r\n:\r\nfi\r\n"),
    ];
    assert_eq!(summary(&run_with(&files, &["/e"], &[])), "exit 2 carriage-return");
}

#[test]
fn dash_goes_on_in_path_after_a_file_that_the_kernel_refuses() {
    dash("PATH=/srv/bin:/usr/bin\ncp /app /tmp/x\nexec /app", "runs");
    dash("PATH=/srv/bin\nexec tool", FOREIGN);
    let files = |shell: &str| format!("#!{shell}\nPATH=/srv/bin:/opt/bin\nexec tool\n");
    let tool = ("opt/bin/tool", 0o755, "#!/bin/sh\nexec /app\n");
    assert_eq!(summary(&run_with(&[("e", 0o755, &files("/usr/bin/dash")), tool], &["/e"], &[])), "runs");
    assert_eq!(summary(&run_with(&[("e", 0o755, &files("/bin/bash")), tool], &["/e"], &[])), FOREIGN);
}

#[test]
fn files_that_are_not_there_end_the_command_that_opens_them() {
    dash("exec >>/usr/log/out 2>&1\nexec /app", "exit 2 missing-directory");
    // A volume may be mounted there.
    dash("exec >>/data/log/out 2>&1\nexec /app", "runs");
    dash("echo >/srv/log/out\nexec /app", "runs");
    bash("set -e\n/app >/usr/log/out\nexec /app", &[], "exit 1 missing-directory");
    bash("/app >/srv/log/out\nexec /app", &[], "runs");
    bash("set -e\nmkdir -p /srv/log\n/app >/srv/log/out\nexec /app", &[], "runs");
    dash("set -e\n/app </srv/seed.sql\nexec /app", "exit 2 missing-file");
    dash(". /srv/lib.sh\nexec /app", "exit 2 missing-script");
    bash(". /srv/lib.sh\nexec /app", &[], "runs");
    bash("set -e\n. /srv/lib.sh\nexec /app", &[], "exit 1 missing-script");
    // Users mount settings.
    dash(". /srv/app.env\nexec /app", "runs");
    dash("[ -f /srv/lib.sh ] && . /srv/lib.sh\nexec /app", "runs");
}

#[test]
fn read_splits_at_its_own_separators() {
    let env = ("etc/app", 0o644, "# c\nBIN=/foreign\n");
    let script = "#!/bin/bash\nwhile IFS='=' read -r key value; do\n  case \"$key\" in ''|\\#*) continue ;; esac\n  export \"$key=$value\"\ndone < /etc/app\nexec \"$BIN\"\n";
    assert_eq!(summary(&run_with(&[("e", 0o755, script), env], &["/e"], &[])), FOREIGN);
    bash("IFS=: read -r a b <<< '/app:/foreign'\nexec \"$b\"", &[], FOREIGN);
    bash("IFS=, read -ra all <<< '/app,/foreign'\nexec \"${all[1]}\"", &[], FOREIGN);
    bash("read -r a b <<< '  /app   /foreign  '\nexec \"$b\"", &[], FOREIGN);
}
