//! What shells read before their text, and builtins that change what a name runs. Each was seen with bash 5.2 and
//! dash 0.5.12.

use crate::exec::tests::{short, tree};
use crate::exec::{Exec, Followed, Trace, trace};
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

/// Runs a call in an image with /opt/app (native) and /opt/foreign, and root's home /root.
fn run(extra: &[(&str, u16, &str)], env: &[&str], words: &[&str]) -> Trace {
    let (app, foreign) = (ElfBuilder::amd64().build(), ElfBuilder::arm64().build());
    let names = [
        "bin/bash",
        "bin/sh",
        "usr/bin/gosu",
        "usr/bin/chown",
        "usr/bin/mkdir",
        "usr/bin/env",
        "opt/app",
        "usr/bin/python3",
    ];
    let mut files: Vec<(&str, u16, &[u8])> = names.iter().map(|name| (*name, 0o755, app.as_slice())).collect();
    files.push(("opt/foreign", 0o755, &foreign));
    files.push(("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n"));
    files.extend(extra.iter().map(|(path, mode, text)| (*path, *mode, text.as_bytes())));
    let argv = words.iter().map(|word| word.to_string()).collect();
    let env = std::iter::once("PATH=/usr/bin:/bin").chain(env.iter().copied()).map(str::to_string).collect();
    let call = Exec { argv, env, working_dir: "/".into(), ..Exec::default() };
    trace(&tree(&files), &call, &Node::plain(Arch::Amd64))
}

fn check(extra: &[(&str, u16, &str)], words: &[&str], expected: &str) {
    let trace = run(extra, &[], words);
    let open = if trace.followed == Followed::Full { "" } else { " in part" };
    assert_eq!(format!("{}{open}", short(&trace.outcome)), expected, "{words:?}\n{trace:#?}");
}

const FOREIGN: &str = "exit 126 foreign-architecture";

#[test]
fn a_login_shell_reads_profiles() {
    let profile = [("etc/profile", 0o644, "PATH=$PATH:/opt\n")];
    for shell in ["sh", "bash"] {
        check(&profile, &[shell, "-lc", "app"], "runs");
        check(&profile, &[shell, "-lc", "foreign"], FOREIGN);
        check(&profile, &[shell, "-c", "app"], "exit 127 not-in-path");
    }
    check(&profile, &["bash", "--login", "-c", "foreign"], FOREIGN);
    let script = ("e", 0o755, "#!/bin/bash -l\nexec app\n");
    check(&[script, ("root/.bash_profile", 0o644, "PATH=$PATH:/opt\n")], &["/e"], "runs");
    check(&[script, ("root/.profile", 0o644, "PATH=$PATH:/opt\n")], &["/e"], "runs");
    check(&[script, ("root/.bashrc", 0o644, "PATH=$PATH:/opt\n")], &["/e"], "exit 127 not-in-path");
    let files = [("own.sh", 0o644, "PATH=$PATH:/opt\n"), ("e", 0o755, "#!/bin/bash\nexec foreign\n")];
    let trace = run(&files, &["BASH_ENV=/own.sh"], &["/e"]);
    assert_eq!(short(&trace.outcome), FOREIGN);
}

#[test]
fn an_alias_replaces_a_name() {
    check(&[], &["sh", "-c", "alias run='/opt/app -x'\nrun"], "runs");
    check(&[], &["sh", "-c", "alias run=/opt/foreign\nrun"], FOREIGN);
    check(&[], &["bash", "-c", "shopt -s expand_aliases\nalias run=/opt/foreign\nrun"], FOREIGN);
    check(&[], &["bash", "-c", "alias run=/opt/app\nrun"], "exit 127 not-in-path");
    check(&[], &["sh", "-c", "alias run=/opt/app\nunalias run\nrun"], "exit 127 not-in-path");
}

#[test]
fn a_failed_exec_ends_bash_unless_execfail_is_set() {
    check(&[], &["bash", "-c", "exec /none\nexec /opt/app"], "exit 127 missing-file");
    check(&[], &["bash", "-c", "shopt -s execfail\nexec /none\nexec /opt/app"], "runs");
    check(&[], &["bash", "-c", "shopt -s execfail\nexec /none\nexec /opt/foreign"], FOREIGN);
}

#[test]
fn a_directory_that_does_not_exist_fails_cd() {
    check(&[], &["bash", "-c", "cd /srv/none && exec /opt/app"], "exit 1 missing-directory");
    check(&[], &["sh", "-c", "cd /srv/none && exec /opt/app"], "exit 2 missing-directory");
    check(&[], &["sh", "-c", "cd /srv/none || exit 3; exec /opt/app"], "exit 3 missing-directory");
    check(&[], &["sh", "-c", "cd /srv/none || true; exec /opt/app"], "runs");
    check(&[], &["sh", "-c", "mkdir -p /srv/none && cd /srv/none && exec /opt/app"], "runs");
    check(&[], &["sh", "-c", "cd /opt && exec ./foreign"], FOREIGN);
}

#[test]
fn variables_of_a_file_that_was_not_kept_are_unknown() {
    let script = ("e", 0o755, "#!/bin/sh\n. /opt/settings.txt\nexec $BIN\n");
    check(&[script, ("opt/settings.txt", 0o644, "BIN=/opt/foreign\n")], &["/e"], FOREIGN);
    let long = format!("BIN=/opt/app\n{}", "# a long comment\n".repeat(100));
    check(&[script, ("opt/settings.txt", 0o644, &long)], &["/e"], "runs in part");
    check(
        &[("e", 0o755, "#!/bin/sh\n. /x.env\nexec $BIN\n"), ("x.env", 0o644, "BIN=/opt/foreign\n")],
        &["/e"],
        FOREIGN,
    );
}

#[test]
fn a_program_runs_with_the_rights_of_the_user_that_a_wrapper_changes_to() {
    let script = "#!/bin/sh\nexec /opt/app\n";
    let denied = "exit 1 not-executable";
    check(&[("srv/e", 0o700, script)], &["gosu", "web", "/srv/e"], denied);
    check(&[("srv/e", 0o755, script)], &["gosu", "web", "/srv/e"], "runs");
    // The owner may execute it.
    check(&[("srv/e", 0o700, script)], &["sh", "-c", "chown web /srv/e; exec gosu web /srv/e"], "runs");
}

#[test]
fn an_interpreter_must_be_able_to_read_its_script() {
    let script = "#!/bin/sh\nexec /opt/app\n";
    check(&[("srv/e", 0o711, script)], &["gosu", "web", "/srv/e"], "exit 2 not-searchable");
    check(&[("srv/e", 0o711, script)], &["gosu", "root", "/srv/e"], "runs");
    check(&[("srv/e", 0o600, script)], &["gosu", "web", "bash", "/srv/e"], "exit 126 not-searchable");
    check(&[("srv/e.py", 0o600, "print()\n")], &["gosu", "web", "python3", "/srv/e.py"], "exit 2 not-searchable");
    check(&[("srv/e.py", 0o644, "print()\n")], &["gosu", "web", "python3", "/srv/e.py"], "runs");
}

#[test]
fn programs_that_a_script_quotes_are_judged() {
    let script = |program: &str| format!("#!/usr/bin/python3\nimport os\nos.execv('{program}', ['x'])\n");
    check(&[("e", 0o755, &script("/opt/app"))], &["/e"], "runs");
    assert!(!run(&[("e", 0o755, &script("/opt/foreign"))], &[], &["/e"]).outcome.is_alive());
    let both = "#!/usr/bin/python3\nfor arch in ['/opt/app', '/opt/foreign']: pass\n";
    check(&[("e", 0o755, both)], &["/e"], "runs");
}

#[test]
fn a_blank_is_part_of_a_name() {
    let text = |word: &str| run(&[], &[], &["sh", "-c", word]).outcome.cause().unwrap().text.clone();
    let there = "which is part of the name, and no file has that name; /opt/app exists";
    assert_eq!(text("\" /opt/app\""), format!("\" /opt/app\" begins with a blank, {there}"));
    assert_eq!(text("\"/opt/app \""), format!("\"/opt/app \" ends with a blank, {there}"));
}

#[test]
fn a_script_that_starts_itself_is_not_a_pass() {
    let trace = run(&[("e", 0o755, "#!/usr/bin/env A=1 sh\nexec /opt/app\n")], &[], &["/e"]);
    assert!(matches!(trace.outcome, crate::exec::Outcome::Unknown { .. }), "{trace:#?}");
}
