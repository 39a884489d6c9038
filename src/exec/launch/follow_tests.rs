//! Wrappers, shells and entry scripts. Exit codes and messages are those of Debian 12's builds. Cases that only follow
//! a call further were not run.

use crate::exec::tests::{short, tree};
use crate::exec::{Exec, Followed, Trace, trace};
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

const GLIBC: &str = "lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "lib/ld-musl-x86_64.so.1";

/// An image with wrappers and shells of a libc, /app (native) and /foreign (arm64).
fn image(loader: &str, extra: &[(&str, u16, &[u8])], words: &[&str]) -> Trace {
    let program = ElfBuilder::amd64().pie().interp(&format!("/{loader}")).build();
    let soname = if loader == GLIBC { "ld-linux-x86-64.so.2" } else { "libc.musl-x86_64.so.1" };
    let loader_file = ElfBuilder::amd64().soname(soname).build();
    let (app, foreign) = (ElfBuilder::amd64().build(), ElfBuilder::arm64().build());
    let names = [
        "usr/bin/tini",
        "usr/bin/env",
        "usr/bin/dumb-init",
        "usr/bin/gosu",
        "usr/bin/su-exec",
        "usr/bin/node",
        "usr/bin/java",
        "usr/bin/python3",
        "usr/bin/xargs",
        "usr/bin/flock",
        "usr/bin/chroot",
        "usr/bin/su",
        "bin/bash",
    ];
    let mut files: Vec<(&str, u16, &[u8])> = names.iter().map(|name| (*name, 0o755, program.as_slice())).collect();
    files.push(if loader == GLIBC { ("bin/sh", 0o755, &program) } else { ("bin/busybox", 0o755, &program) });
    files.extend([(loader, 0o755, loader_file.as_slice()), ("app", 0o755, &app), ("foreign", 0o755, &foreign)]);
    files.extend(extra);
    let argv = words.iter().map(|word| word.to_string()).collect();
    let call = Exec { argv, env: vec!["PATH=/usr/bin:/bin".into()], working_dir: "/".into(), ..Exec::default() };
    trace(&tree(&files), &call, &Node::plain(Arch::Amd64))
}

fn check(trace: &Trace, expected: &str, says: &str) {
    assert_eq!((short(&trace.outcome).as_str(), trace.says.join("\n").as_str()), (expected, says), "{trace:?}");
}

fn partial(at: &str, why: &str) -> Followed {
    Followed::Partial { at: at.to_string(), why: why.to_string() }
}

fn glibc(words: &[&str], expected: &str, says: &str) {
    check(&image(GLIBC, &[], words), expected, says);
}

#[test]
fn a_wrapper_starts_its_command_or_reports_why_not() {
    glibc(&["tini", "--", "/app"], "runs", "");
    glibc(
        &["tini", "--", "/none"],
        "exit 127 missing-file",
        "[FATAL tini (7)] exec /none failed: No such file or directory",
    );
    glibc(&["dumb-init", "none"], "exit 2 not-in-path", "[dumb-init] none: No such file or directory");
    glibc(&["env", "A=1", "none"], "exit 127 not-in-path", "env: 'none': No such file or directory");
    glibc(&["gosu", "root", "none"], "exit 1 not-in-path", "error: exec: \"none\": executable file not found in $PATH");
    glibc(
        &["gosu", "root", "/none"],
        "exit 1 missing-file",
        "error: exec: \"/none\": stat /none: no such file or directory",
    );
    glibc(&["gosu", "root", "/foreign"], "exit 1 foreign-architecture", "error: exec failed: exec format error");
    glibc(&["tini", "--", "env", "/app"], "runs", "");
}

#[test]
fn a_wrapper_that_waits_has_its_own_exit_code() {
    let none = "No such file or directory";
    glibc(&["xargs", "none"], "exit 127 not-in-path", &format!("xargs: none: {none}"));
    glibc(&["xargs", "/foreign"], "exit 123 foreign-architecture", "/foreign: 1: Syntax error: \"(\" unexpected");
    glibc(&["xargs", "sh", "-c", "exec /none"], "exit 123 missing-file", "sh: 1: exec: /none: not found");
    glibc(&["flock", "/l", "/none"], "exit 69 missing-file", &format!("flock: failed to execute /none: {none}"));
    glibc(&["flock", "/l", "-c", "/none"], "exit 127 missing-file", "/bin/sh: 1: /none: not found");
    glibc(&["chroot", "/", "/app"], "runs", "");
    let elsewhere = image(GLIBC, &[], &["chroot", "/srv", "/app"]);
    assert_eq!(elsewhere.followed, partial("chroot", "it changes to /srv first"));
    let su = image(GLIBC, &[], &["su", "root", "-c", "/none"]);
    assert_eq!(su.followed, partial("su", "the user root is not in the image's /etc/passwd"));
}

#[test]
fn glibcs_fallback_hides_the_exec_format_error_and_musl_has_none() {
    let syntax = "/foreign: 1: Syntax error: \"(\" unexpected";
    glibc(&["tini", "--", "/foreign"], "exit 2 foreign-architecture", syntax);
    glibc(&["env", "/foreign"], "exit 2 foreign-architecture", syntax);
    let text = image(GLIBC, &[("text", 0o755, b"exec /app\n")], &["tini", "/text"]);
    check(&text, "runs", "");
    assert_eq!(text.steps.last().map(|step| step.typed.as_str()), Some("/app"), "{text:?}");
    let musl = image(MUSL, &[], &["su-exec", "root", "/foreign"]);
    check(&musl, "exit 1 foreign-architecture", "su-exec: /foreign: Exec format error");
}

#[test]
fn shells_end_with_126_or_127_and_name_the_line() {
    glibc(&["sh", "-c", "/foreign"], "exit 126 foreign-architecture", "sh: 1: /foreign: Exec format error");
    glibc(&["sh", "-c", "exec /none"], "exit 127 missing-file", "sh: 1: exec: /none: not found");
    glibc(&["bash", "-c", "none -x"], "exit 127 not-in-path", "bash: line 1: none: command not found");
    glibc(
        &["bash", "-c", "true && exec /foreign"],
        "exit 126 foreign-architecture",
        "bash: line 1: /foreign: cannot execute binary file: Exec format error\nbash: line 1: /foreign: Success",
    );
    glibc(&["sh", "-c", "exec \"$0\" \"$@\"", "/app", "x"], "runs", "");
    // Options with a value, and commands from stdin.
    glibc(&["bash", "-O", "extglob", "-c", "/app"], "runs", "");
    glibc(&["bash", "--rcfile", "/none", "-c", "/app"], "runs", "");
    assert_eq!(
        image(GLIBC, &[], &["sh", "-s", "x"]).followed,
        partial("sh", "it reads its commands from standard input")
    );
    let says = "/foreign: line 1: syntax error: unexpected \"(\"";
    check(&image(MUSL, &[], &["busybox", "sh", "-c", "/foreign"]), "exit 2 foreign-architecture", says);
}

#[test]
fn an_entry_script_is_followed_to_its_arguments() {
    let script = b"#!/bin/sh\nset -e\nif [ \"$1\" = app ]; then chown x .; fi\nexec \"$@\"\n";
    let with = |words: &[&str]| image(GLIBC, &[("entry.sh", 0o755, script)], words);
    check(&with(&["/entry.sh", "/app"]), "runs", "");
    check(
        &with(&["/entry.sh", "/foreign"]),
        "exit 126 foreign-architecture",
        "/entry.sh: 4: exec: /foreign: Exec format error",
    );
    let last = with(&["/entry.sh", "tini", "/app", "-x"]);
    assert_eq!((&last.followed, last.steps.last().map(|step| step.typed.as_str())), (&Followed::Full, Some("/app")));
}

#[test]
fn an_earlier_command_counts_if_errors_end_the_script() {
    let run = |text: &str| {
        let trace = image(GLIBC, &[("e", 0o755, text.as_bytes())], &["/e"]);
        (short(&trace.outcome), trace.doubts.iter().map(|doubt| doubt.code()).collect::<Vec<_>>())
    };
    let ends = ("exit 126 foreign-architecture".to_string(), vec![]);
    assert_eq!(run("#!/bin/sh -e\n/foreign\nexec /app\n"), ends);
    assert_eq!(run("#!/bin/sh\nset -eu\n/foreign\nexec /app\n"), ends);
    assert_eq!(run("#!/bin/sh\n/foreign\nexec /app\n"), ("runs".to_string(), vec!["foreign-architecture"]));
    assert_eq!(run("#!/bin/sh -e\n/foreign || true\nexec /app\n"), ("runs".to_string(), vec![]));
    // A file that an earlier command may have created is not missing.
    assert_eq!(run("#!/bin/sh\n/app\nexec /made\n"), ("runs".to_string(), vec!["missing-program"]));
}

#[test]
fn a_relative_program_is_searched_for_in_the_scripts_directory() {
    let run = |text: &str| {
        let app = ElfBuilder::amd64().build();
        let files: &[(&str, u16, &[u8])] = &[
            ("e", 0o755, text.as_bytes()),
            ("d/x/readme", 0o644, b""),
            ("x/readme", 0o644, b""),
            ("usr/bin/dirname", 0o755, &app),
        ];
        let trace = image(GLIBC, files, &["/e"]);
        (short(&trace.outcome), trace.followed)
    };
    let is_directory = ("exit 126 is-directory".to_string(), Followed::Full);
    assert_eq!(run("#!/bin/sh\ncd /d\nexec ../foreign\n").0, "exit 126 foreign-architecture");
    assert_eq!(run("#!/bin/sh\ncd /d\ncd ..\nexec ./app\n"), ("runs".to_string(), Followed::Full));
    // The container's working directory contains a directory of that name.
    assert_eq!(run("#!/bin/sh\nexec ./x\n"), is_directory);
    assert_eq!(run("#!/bin/sh\ncd \"$(dirname \"$0\")\"\nexec ./x\n"), is_directory);
    assert_eq!(run("#!/bin/sh\ntest -d /d && cd /d\nexec ./x\n"), is_directory);
    let (outcome, followed) = run("#!/bin/sh\ncd \"$HERE\"\nexec tini ./x\n");
    assert_eq!(outcome, "runs");
    assert!(matches!(followed, Followed::Partial { .. }), "{followed:?}");
}

#[test]
fn a_decision_at_run_time_is_reported_with_its_line() {
    let followed = |text: &str, words: &[&str]| image(GLIBC, &[("e", 0o755, text.as_bytes())], words).followed;
    assert_eq!(
        followed("#!/bin/sh\nread -r program\nexec $program\n", &["/e"]),
        partial("/e:3", "starts a program whose name is only known at run time")
    );
    assert_eq!(followed("#!/bin/sh\nif true; then exec /app; fi\n", &["/e"]), Followed::Full);
    let set = "#!/bin/sh\nif x; then set -- /app \"$@\"; fi\nexec \"$@\"\n";
    assert_eq!(followed(set, &["/e", "/app"]), Followed::Full);
    assert_eq!(followed("", &["node", "-e", "1"]), partial("node", "-e passes it the code to run"));
}

#[test]
fn interpreters_need_the_file_that_they_are_given() {
    glibc(&["java", "-jar", "/x.jar"], "exit 1 missing-script", "Error: Unable to access jarfile /x.jar");
    let elf = image(GLIBC, &[], &["java", "-jar", "/foreign"]);
    check(&elf, "exit 1 bad-script", "Error: Invalid or corrupt jarfile /foreign");
    glibc(&["node", "x.js"], "exit 1 missing-script", "Error: Cannot find module '/x.js'");
    check(&image(GLIBC, &[("x.js", 0o644, b"1")], &["node", "x"]), "runs", "");
    glibc(&["sh", "/none.sh"], "exit 2 missing-script", "sh: 0: cannot open /none.sh: No such file");
    let opens = "python3: can't open file '/x.py': [Errno 2] No such file or directory";
    glibc(&["python3", "/x.py"], "exit 2 missing-script", opens);
}

#[test]
fn a_directory_is_a_program_by_the_file_that_its_interpreter_looks_for() {
    let with = |file: &str, words: &[&str]| image(GLIBC, &[(file, 0o644, b"1")], words);
    check(&with("d/index.js", &["node", "d"]), "runs", "");
    check(&with("d/package.json", &["node", "/d"]), "runs", "");
    check(&with("d/main.js", &["node", "/d/"]), "exit 1 missing-script", "Error: Cannot find module '/d'");
    check(&with("d.js/x", &["node", "/d"]), "exit 1 missing-script", "Error: Cannot find module '/d'");
    check(&with("d/__main__.py", &["python3", "/d"]), "runs", "");
    let says = "python3: can't find '__main__' module in '/d'";
    check(&with("d/main.py", &["python3", "/d"]), "exit 1 missing-script", says);
}

#[test]
fn a_word_that_a_shebang_puts_before_the_script_depends_on_run_time() {
    let trace = image(GLIBC, &[("e", 0o755, b"#!/bin/sh none\nexec /app\n")], &["/e"]);
    assert_eq!((short(&trace.outcome).as_str(), trace.followed), ("runs", partial("none", "it is not in the image")));
    glibc(&["sh", "none"], "exit 2 missing-script", "sh: 0: cannot open none: No such file");
}

#[test]
fn options_that_a_first_line_passes_as_one_argument_are_rejected() {
    let run =
        |loader: &str, line: &str| image(loader, &[("e", 0o755, format!("{line}\nexec /app\n").as_bytes())], &["/e"]);
    let dash = "/bin/sh: 0: Illegal option - ";
    check(&run(GLIBC, "#!/bin/sh -e -u"), "exit 2 shebang-option", dash);
    check(&run(GLIBC, "#!/bin/sh -e\r"), "exit 2 shebang-option", "/bin/sh: 0: Illegal option -\r");
    check(&run(GLIBC, "#!/bin/sh -o pipefail"), "exit 2 shebang-option", "/bin/sh: 0: Illegal option -o /e");
    check(&run(GLIBC, "#!/bin/sh --posix -e"), "exit 2 shebang-option", "/bin/sh: 0: Illegal option --");
    let bash = "/bin/bash: - : invalid option";
    check(&run(GLIBC, "#!/bin/bash -eu -o pipefail"), "exit 1 shebang-option", bash);
    check(&run(GLIBC, "#!/bin/bash -l -e"), "exit 2 shebang-option", bash);
    check(&run(GLIBC, "#!/bin/bash --posix -e"), "exit 2 shebang-option", "/bin/bash: --posix -e: invalid option");
    let names = "/bin/bash: line 0: /bin/bash: /e: invalid option name";
    check(&run(GLIBC, "#!/bin/bash -euo pipefail"), "exit 2 shebang-option", names);
    let env = "/usr/bin/env: invalid option -- ' '\n/usr/bin/env: use -[v]S to pass options in shebang lines\nTry \
               '/usr/bin/env --help' for more information.";
    check(&run(GLIBC, "#!/usr/bin/env -i sh"), "exit 125 shebang-option", env);
    for whole in ["#!/bin/sh -eu", "#!/bin/bash -e ", "#!/usr/bin/env -S sh -e -u", "#!/usr/bin/env -iS /bin/sh -e"] {
        check(&run(GLIBC, whole), "runs", "");
    }
    glibc(&["bash", "-e -u", "/e"], "exit 1 bad-option", "bash: - : invalid option");
}

#[test]
fn a_first_line_that_env_reads_is_at_fault_itself() {
    let run =
        |loader: &str, line: &str| image(loader, &[("e", 0o755, format!("{line}\nexec /app\n").as_bytes())], &["/e"]);
    let split = "\n/usr/bin/env: use -[v]S to pass options in shebang lines";
    let crlf = run(GLIBC, "#!/usr/bin/env bash\r");
    check(&crlf, "exit 127 carriage-return", &format!("/usr/bin/env: 'bash\\r': No such file or directory{split}"));
    let options = run(GLIBC, "#!/usr/bin/env bash -e");
    check(&options, "exit 127 shebang-option", &format!("/usr/bin/env: 'bash -e': No such file or directory{split}"));
    for trace in [crlf, options] {
        assert!(matches!(&trace.outcome, crate::exec::Outcome::Dies { at, .. } if at == "/e"), "{trace:?}");
    }
    check(&run(GLIBC, "#!/usr/bin/env -S bash -e"), "runs", "");
    let nope = "/usr/bin/env: 'nope': No such file or directory";
    check(&run(GLIBC, "#!/usr/bin/env nope"), "exit 127 not-in-path", nope);
    // Other lines of a script with carriage returns.
    let body = image(GLIBC, &[("e", 0o755, b"#!/bin/sh\nexec app\r\n")], &["/e"]);
    check(&body, "exit 127 carriage-return", "/e: 2: exec: app\r: not found");
}

#[test]
fn bash_searches_path_for_a_script() {
    let script: &[(&str, u16, &[u8])] = &[("usr/bin/start", 0o644, b"#!/bin/sh\nexec /foreign\n")];
    let run = |words: &[&str]| short(&image(GLIBC, script, words).outcome);
    assert_eq!(run(&["bash", "start"]), "exit 126 foreign-architecture");
    assert_eq!(run(&["sh", "start"]), "exit 2 missing-script");
    assert_eq!(run(&["bash", "none"]), "exit 127 missing-script");
    let binary = "/bin/bash: /bin/bash: cannot execute binary file";
    check(&image(GLIBC, &[], &["bash", "bash"]), "exit 126 binary-as-script", binary);
}

#[test]
fn busyboxs_env_splits_no_string() {
    let call = |words: &[&str]| image(MUSL, &[], words);
    check(&call(&["busybox", "env", "-S", "sh -e"]), "exit 1 bad-option", "env: unrecognized option: S");
    check(&call(&["busybox", "env", "-i", "/app"]), "runs", "");
    check(&call(&["busybox", "sh", "-e -u"]), "exit 2 bad-option", "sh: illegal option - ");
}

#[test]
fn a_shell_does_not_read_a_program_as_a_script() {
    glibc(&["sh", "/app"], "exit 2 binary-as-script", "/app: 1: Syntax error: \"(\" unexpected");
    glibc(&["bash", "-e", "/foreign"], "exit 126 binary-as-script", "/foreign: /foreign: cannot execute binary file");
    let wasm = image(GLIBC, &[("m", 0o644, b"\0asm\x01\0\0\0")], &["bash", "/m"]);
    check(&wasm, "exit 126 binary-as-script", "/m: /m: cannot execute binary file");
    let musl = image(MUSL, &[], &["busybox", "sh", "/app"]);
    check(&musl, "exit 2 binary-as-script", "/app: line 1: syntax error: unexpected \"(\"");
    check(&image(GLIBC, &[("t.txt", 0o644, b"exec /app\n")], &["sh", "/t.txt"]), "runs", "");
    let long = format!("{}exec /app\n", "# a long comment\n".repeat(100));
    let text = image(GLIBC, &[("t.txt", 0o644, long.as_bytes())], &["sh", "/t.txt"]);
    assert!(
        matches!((&text.outcome, &text.followed), (crate::exec::Outcome::Runs, Followed::Partial { .. })),
        "{text:?}"
    );
}

#[test]
fn a_failure_that_exit_follows_ends_the_script() {
    let run = |text: &str| {
        let trace = image(GLIBC, &[], &["sh", "-c", text]);
        (short(&trace.outcome), trace.says.join("\n"))
    };
    let ends = |outcome: &str, says: &str| (outcome.to_string(), says.to_string());
    let foreign = "sh: 1: /foreign: Exec format error";
    assert_eq!(run("/foreign || exit 1"), ends("exit 1 foreign-architecture", foreign));
    assert_eq!(run("/foreign -x || exit"), ends("exit 126 foreign-architecture", foreign));
    assert_eq!(run("curl -f http://localhost/ || exit 1"), ends("exit 1 not-in-path", "sh: 1: curl: not found"));
    assert_eq!(run("/app && /foreign || exit 3; /app"), ends("exit 3 foreign-architecture", foreign));
    assert_eq!(run("/foreign && /app || exit 3"), ends("exit 3 foreign-architecture", foreign));
    for goes_on in [
        "/app || exit 1",
        "/foreign || exit 0",
        "/foreign || /app || exit 1",
        "! /foreign || exit 1",
        "/foreign | /app || exit 1",
        "test -f /none || exit 1",
        "set -e; ! /foreign; /app",
        "! /foreign",
    ] {
        assert_eq!(run(goes_on).0, "runs", "{goes_on}");
    }
}

#[test]
fn a_script_below_an_engines_mount_depends_on_run_time_and_the_images_is_hidden() {
    for words in [["sh", "/dev/stdin"], ["sh", "/proc/self/fd/3"], ["python3", "/dev/fd/3"]] {
        let trace = image(GLIBC, &[], &words);
        assert!(matches!((&*short(&trace.outcome), &trace.followed), ("runs", Followed::Partial { .. })), "{trace:?}");
    }
    let hidden = image(GLIBC, &[("dev/shm/s", 0o755, b"#!/bin/sh\nexec /app\n")], &["sh", "/dev/shm/s"]);
    check(&hidden, "exit 2 missing-script", "sh: 0: cannot open /dev/shm/s: No such file");
}

#[test]
fn java_needs_one_entry_of_its_class_path() {
    let run = |words: &[&str]| {
        let trace = image(GLIBC, &[("srv/lib/a.jar", 0o644, b"PK"), ("a.jar", 0o644, b"PK")], words);
        (short(&trace.outcome), trace.says.join("\n"))
    };
    let says = "Error: Could not find or load main class org.a.B".to_string();
    let missing = ("exit 1 missing-script".to_string(), says);
    assert_eq!(run(&["java", "-Xmx1g", "-cp", "/none.jar:/gone/*", "org.a.B", "x"]), missing);
    for healthy in ["/none.jar:/srv/lib/*", "/srv/lib/a.jar", "a.jar", "."] {
        assert_eq!(run(&["java", "-cp", healthy, "org.a.B"]), ("runs".to_string(), String::new()), "{healthy}");
    }
    for other in [&["java", "-cp", "/none.jar", "-m", "a/a.B"][..], &["java", "-cp", "/none.jar", "@args"]] {
        assert_eq!(run(other).0, "runs", "{other:?}");
    }
}

#[test]
fn programs_that_change_the_user_start_a_shell_or_the_command() {
    let passwd: (&str, u16, &[u8]) = (
        "etc/passwd",
        0o644,
        b"root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/bin/bash\nbot:x:34:34::/:/usr/sbin/nologin\n",
    );
    let loader = ElfBuilder::amd64().pie().interp(&format!("/{GLIBC}")).build();
    let with = |words: &[&str], expected: &str| {
        let names = ["usr/bin/runuser", "usr/bin/sudo", "usr/bin/start-stop-daemon"];
        let mut files: Vec<(&str, u16, &[u8])> = names.iter().map(|name| (*name, 0o755, loader.as_slice())).collect();
        files.push(passwd);
        let trace = image(GLIBC, &files, words);
        assert!(short(&trace.outcome).ends_with(expected), "{words:?} {trace:?}");
        assert_eq!(trace.followed, Followed::Full, "{words:?}");
    };
    let foreign = " foreign-architecture";
    with(&["su", "web", "-c", "exec /foreign"], foreign);
    with(&["su", "bot", "-c", "exec /app"], " bad-configuration");
    with(&["su", "-s", "/bin/sh", "bot", "-c", "exec /app"], "runs");
    with(&["su", "-s", "/bin/sh", "web", "-c", "exec /app"], "runs");
    with(&["runuser", "-l", "web", "-c", "/foreign"], foreign);
    with(&["runuser", "-u", "web", "--", "/foreign"], foreign);
    with(&["sudo", "-E", "-u", "web", "A=b", "/app"], "runs");
    with(&["env", "-C", "/usr", "../foreign"], foreign);
    let none = image(GLIBC, &[passwd], &["su", "none", "-c", "/app"]);
    assert_eq!(short(&none.outcome), "exit 1 unknown-user");
    let none = image(GLIBC, &[], &["su", "none", "-c", "/app"]);
    assert_eq!(none.followed, partial("su", "the user none is not in the image's /etc/passwd"));
}
