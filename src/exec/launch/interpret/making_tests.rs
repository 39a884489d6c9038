//! Texts on stdin, questions for programs, and directories that a script makes.

use super::{FOREIGN, bash, run_with, sh, summary};

#[test]
fn a_directory_that_a_script_makes_can_be_entered() {
    sh("mkdir -p /data && cd /data && exec /foreign", &[], FOREIGN);
    sh("mkdir -p /data && cd /data && exec /app", &[], "runs");
    sh("/app\ncd /data && exec /foreign", &[], FOREIGN);
}

#[test]
fn a_shell_reads_known_commands_from_stdin() {
    sh("bash -s -- a <<END\nexec /foreign\nEND", &[], FOREIGN);
    sh("sh <<END\n/app\nEND", &[], "runs");
    sh("echo /foreign | sh -e", &[], FOREIGN);
    sh("sh -s", &[], "runs to sh");
}

#[test]
fn a_script_that_ends_without_a_program_it_asks_for_fails() {
    let missing = |code: u8| format!("exit {code} not-in-path");
    sh("command -v none || { echo none; exit 3; }\nexec /app", &[], &missing(3));
    sh("if ! command -v none >/dev/null 2>&1; then exit 1; fi\nexec /app", &[], &missing(1));
    bash("type none || exit 1\nexec /app", &[], &missing(1));
    sh("command -v none && exec none\nexec /app", &[], "runs");
    sh("command -v none && none", &[], "runs");
    sh("command -v none || echo absent\nwhile true; do sleep 9; done", &[], "runs");
    // An engine mounts them.
    sh("command -v nvidia-smi || exit 1\nexec /app", &[], "runs to /e:2");
}

#[test]
fn a_discarded_message_is_no_note() {
    for (script, notes) in [("cd /none 2>/dev/null", 0), ("cd /none >/dev/null 2>&1", 0), ("cd /none", 1)] {
        let trace = run_with(&[("e", 0o755, &format!("#!/bin/bash\n{script}\nexec /app\n"))], &["/e"], &[]);
        assert_eq!((summary(&trace).as_str(), trace.doubts.len()), ("runs", notes), "{script}\n{trace:#?}");
    }
}

#[test]
fn a_copied_or_linked_program_is_followed() {
    let tools = ["ln", "cp", "mktemp"].map(|tool| format!("usr/bin/{tool}"));
    let run = |script: &str, expected: &str| {
        let entry = format!("#!/bin/sh\n{script}\n");
        let mut files = vec![("e", 0o755, &*entry)];
        files.extend(tools.iter().map(|tool| (tool.as_str(), 0o755, "#!/app\n")));
        let trace = run_with(&files, &["/e"], &[]);
        assert_eq!(summary(&trace), expected, "{script}\n{trace:#?}");
    };
    run("cp /foreign /tmp/x\nexec /tmp/x", FOREIGN);
    run("cp /app /tmp/x\nexec /tmp/x", "runs");
    run("mkdir -p /tmp/x\ncp -a /srv /tmp/x/\nexec /tmp/x/srv/app", "runs");
    run("mkdir -p /tmp/x\ncp -a /srv /tmp/x/\nexec /tmp/x/srv/foreign", FOREIGN);
    run("cp -r /srv/. /tmp/y\nexec /tmp/y/app", "runs");
    run("ln -sf /foreign /usr/bin/new\nexec new", FOREIGN);
    run("ln -s /app /usr/bin/new\nexec new", "runs");
    run("ln -s /foreign /usr/bin/cat\nexec cat", "runs");
    run("t=$(mktemp)\necho exec /app >$t\nexec sh $t", "runs to sh");
}

#[test]
fn options_of_known_arguments_are_read() {
    let read = |args: &[&str], expected: &str| {
        let script = "while getopts :ab:c o; do\n case $o in\n a) X=1;;\n b) BIN=$OPTARG;;\n c) set -- ;;\n :|?) exit 2;;\n esac\ndone\nshift $((OPTIND - 1))\nexec ${BIN:-$1}";
        sh(script, args, expected);
    };
    read(&["-a", "-b", "/foreign", "x"], FOREIGN);
    read(&["-ab/foreign", "x"], FOREIGN);
    read(&["-a", "--", "/foreign"], FOREIGN);
    read(&["-b", "/app", "/foreign"], "runs");
    read(&["-z"], "runs to /e:7");
    read(&["-b"], "runs to /e:7");
}

#[test]
fn the_last_text_of_a_script_that_refuses_the_architecture_is_shown() {
    let says = |script: &str| {
        let script = format!("#!/bin/sh\n{script}\nexec /app\n");
        run_with(&[("e", 0o755, script.as_str())], &["/e"], &[]).says.join("|")
    };
    let is_foreign = "[ \"$(uname -m)\" = aarch64 ] ||";
    assert_eq!(says(&format!("{is_foreign} {{ echo \"no $(uname -m)\" >&2; exit 1; }}")), "no x86_64");
    assert_eq!(says(&format!("echo start; echo x >/tmp/x; echo y >/dev/null; {is_foreign} exit 1")), "start");
    assert_eq!(says(&format!("echo \"$(cat /proc/x)\"; {is_foreign} exit 1")), "");
}
