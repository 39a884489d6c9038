//! Real shells, wrappers and interpreters: their messages and exit codes if the program that they run does not start.

use super::*;

#[test]
fn shells_and_wrappers_end_as_predicted() {
    let Some(node) = node("wrappers").filter(|_| has("wrappers", &[Need::Debian])) else { return };
    let foreign = elf::ElfBuilder::arm64().build();
    let native = elf::ElfBuilder::amd64().build();
    let base = || {
        let tree = Tree::call(&[]).file("foreign", &foreign).file("app", &native).mode("plain", &native, 0o644);
        let tree = with_host_program(with_host_program(tree, "/bin/sh"), "/bin/bash");
        with_host_program(with_host_program(tree, "/usr/bin/env"), "/usr/bin/timeout")
    };
    let script = |text: &str| base().file("e", text).argv(&["/e", "/foreign"]);
    let call = |words: &[&str]| base().argv(words);
    for shell in ["/bin/sh", "/bin/bash"] {
        check(&call(&[shell, "-c", "/foreign"]), &node, "exit 126");
        check(&call(&[shell, "-c", "/none"]), &node, "exit 127");
        check(&call(&[shell, "-c", "none"]), &node, "exit 127");
        check(&call(&[shell, "-c", "exec /app"]), &node, "runs");
        check(&call(&[shell, "-c", "/plain"]), &node, "exit 126");
    }
    check(&call(&["/bin/sh", "-c", "exec /foreign"]), &node, "exit 126");
    check(&call(&["/bin/sh", "-c", "exec /none"]), &node, "exit 127");
    check(&call(&["/bin/sh", "/none.sh"]), &node, "exit 2");
    check(&call(&["/usr/bin/env", "/app"]), &node, "runs");
    check(&call(&["/usr/bin/env", "/none"]), &node, "exit 127");
    check(&call(&["/usr/bin/env", "A=1", "/plain"]), &node, "exit 126");
    check(&call(&["/usr/bin/timeout", "5", "/none"]), &node, "exit 127");
    check(&script("#!/bin/sh\nset -e\n: one\nexec \"$@\"\n"), &node, "exit 126");
    check(&script("#!/bin/bash\nexec /app\n"), &node, "runs");
    check(&script("#!/bin/sh -e\n/foreign\nexec /app\n"), &node, "exit 126");
    check(&script("#!/bin/sh\n/foreign\nexec /app\n"), &node, "runs");
    check(&script("#!/bin/sh\ntrue && exec /foreign\n"), &node, "exit 126");
}

#[test]
fn one_argument_of_several_options_is_refused_as_predicted() {
    let needs = [Need::Debian, Need::Busybox];
    let Some(node) = node("options").filter(|_| has("options", &needs)) else { return };
    let native = elf::ElfBuilder::amd64().build();
    let tree = Tree::call(&[]).file("app", &native);
    let programs = ["/bin/sh", "/bin/bash", "/usr/bin/env", "/bin/busybox"];
    let base = programs.iter().fold(tree, |tree, program| with_host_program(tree, program));
    let line = |line: &str| base.clone().file("e", format!("{line}\nexec /app\n").as_bytes()).argv(&["/e"]);
    for (first, end) in [
        ("#!/bin/sh -e -u", "exit 2"),
        ("#!/bin/sh -e\r", "exit 2"),
        ("#!/bin/sh --posix -e", "exit 2"),
        ("#!/bin/sh -o pipefail", "exit 2"),
        ("#!/bin/sh -eu", "runs"),
        ("#!/bin/bash -eu -o pipefail", "exit 1"),
        ("#!/bin/bash -e\r", "exit 1"),
        ("#!/bin/bash -euo pipefail", "exit 2"),
        ("#!/bin/bash -eu ", "runs"),
        ("#!/usr/bin/env -i sh", "exit 125"),
        ("#!/usr/bin/env -iS /bin/sh -e", "runs"),
    ] {
        check(&line(first), &node, end);
    }
    let call = |words: &[&str]| base.clone().argv(words);
    check(&call(&["/bin/busybox", "sh", "-e -u", "/e"]), &node, "exit 2");
    check(&call(&["/bin/bash", "/app"]), &node, "exit 126");
    check(&call(&["/bin/sh", "-c", "/none || exit 3"]), &node, "exit 3");
}

/// Wrappers that each look up programs in their own way, each asked to run every one of these words.
#[test]
fn init_wrappers_end_as_predicted() {
    let Some(node) = node("init wrappers") else { return };
    if !has("init wrappers", &[Need::Debian, Need::DumbInit, Need::Runit]) {
        return;
    }
    let (native, foreign) = (elf::ElfBuilder::amd64().build(), mutant::program(elf::ElfBuilder::arm64(), 4096));
    let base = Tree::call(&[])
        .file("native", &native)
        .file("foreign", &foreign)
        .mode("plain", &native, 0o644)
        .mode("usr/bin/xpath", &native, 0o644)
        .directory("dir")
        .file("noint", "#!/no/such\n")
        .file("text", "exit 0\n")
        .file("etc/passwd", "root:x:0:0::/:/bin/sh\n")
        .file("etc/group", "root:x:0:\n");
    let programs = ["/bin/sh", "/bin/bash", "/usr/bin/dumb-init", "/usr/bin/chpst", "/usr/bin/setpriv", "/usr/bin/env"];
    let base = programs.iter().fold(base, |tree, program| with_host_program(tree, program));
    let calls: &[(&[&str], [&str; 8])] = &[
        (&["/usr/bin/dumb-init", "--"], ["exit 2"; 8]),
        (&["/usr/bin/chpst", "-u", "root"], ["exit 111"; 8]),
        (
            &["/usr/bin/setpriv", "--reuid=0"],
            ["", "exit 127", "exit 127", "exit 126", "exit 126", "exit 126", "exit 127", "exit 126"],
        ),
        (&["/usr/bin/env"], ["", "exit 127", "exit 127", "exit 126", "exit 126", "exit 126", "exit 127", "exit 126"]),
        (
            &["/bin/sh", "-c", "exec \"$0\""],
            ["exit 126", "exit 127", "exit 127", "exit 126", "exit 126", "exit 126", "exit 127", "exit 127"],
        ),
        (
            &["/bin/sh", "-c", "\"$0\""],
            ["exit 126", "exit 127", "exit 127", "exit 126", "exit 127", "exit 126", "exit 127", "exit 127"],
        ),
        (
            &["/bin/bash", "-c", "exec \"$0\""],
            ["exit 126", "exit 127", "exit 127", "exit 126", "exit 126", "exit 126", "exit 127", "exit 126"],
        ),
        (
            &["/bin/bash", "-c", "\"$0\""],
            ["exit 126", "exit 127", "exit 127", "exit 126", "exit 126", "exit 126", "exit 127", "exit 126"],
        ),
    ];
    let words = ["/foreign", "/none", "none", "/plain", "xpath", "/dir", "/noint", "/native/x"];
    for (start, ends) in calls {
        for (word, end) in words.iter().zip(ends) {
            // How /bin/sh interprets a program's bytes depends on those bytes.
            let reads_bytes = *word == "/foreign" && !end.starts_with("exit 1");
            if !reads_bytes {
                check(&base.clone().argv(&[start, [*word].as_slice()].concat()), &node, end);
            }
        }
        check(&base.clone().argv(&[start, ["/native"].as_slice()].concat()), &node, "runs");
        if start[0] != "/usr/bin/chpst" {
            check(&base.clone().argv(&[start, ["/text"].as_slice()].concat()), &node, "runs");
        }
    }
}

/// Wrappers of coreutils, util-linux and findutils, which every Debian has.
#[test]
fn everyday_wrappers_end_as_predicted() {
    let Some(node) = node("everyday").filter(|_| has("everyday", &[Need::Debian])) else { return };
    let native = elf::ElfBuilder::amd64().build();
    let base = Tree::call(&[])
        .file("native", &native)
        .mode("plain", &native, 0o644)
        .directory("dir")
        .directory("tmp")
        .file("dev/null", "")
        .file("noint", "#!/no/such\n");
    // Each with its exit code for a missing program and for one that may not be executed.
    let calls: &[(&[&str], i32, i32)] = &[
        (&["/usr/bin/nice", "-n", "5"], 127, 126),
        (&["/usr/bin/nohup"], 127, 126),
        (&["/usr/bin/timeout", "-k", "1", "5"], 127, 126),
        (&["/usr/bin/setsid", "-w"], 127, 126),
        (&["/usr/bin/ionice", "-c", "3"], 127, 126),
        (&["/usr/bin/unshare", "--fork"], 127, 126),
        (&["/usr/bin/chrt", "-o", "0"], 127, 126),
        (&["/usr/bin/taskset", "-c", "0"], 127, 126),
        (&["/usr/bin/prlimit", "--nofile=100"], 127, 126),
        (&["/usr/sbin/chroot", "/"], 127, 126),
        (&["/usr/bin/flock", "-w", "1", "/tmp/lock"], 69, 69),
        (&["/usr/bin/xargs", "-n", "1"], 127, 126),
    ];
    for (start, missing, refused) in calls {
        let tree = with_host_program(base.clone(), start[0]);
        let with = |word: &str| tree.clone().argv(&[start, [word].as_slice()].concat());
        // The tests' program exits with 42, which xargs counts as a failure.
        if !start[0].ends_with("xargs") {
            check(&with("/native"), &node, "runs");
        }
        for word in ["/none", "none", "/noint"] {
            check(&with(word), &node, &format!("exit {missing}"));
        }
        for word in ["/plain", "/dir", "/native/x"] {
            check(&with(word), &node, &format!("exit {refused}"));
        }
    }
}

#[test]
fn a_command_for_flocks_shell_is_followed() {
    let Some(node) = node("flock").filter(|_| has("flock", &[Need::Debian])) else { return };
    let native = elf::ElfBuilder::amd64().build();
    let base = Tree::call(&[]).file("native", &native).directory("tmp");
    let base = with_host_program(with_host_program(base, "/bin/sh"), "/usr/bin/flock");
    let call = |text: &str| base.clone().argv(&["/usr/bin/flock", "/tmp/lock", "-c", text]);
    check(&call("/native"), &node, "runs");
    check(&call("/none"), &node, "exit 127");
    check(&call("none"), &node, "exit 127");
}

#[test]
fn glibcs_execvp_passes_a_foreign_program_to_the_shell() {
    let Some(node) = node("fallback").filter(|_| has("fallback", &[Need::Debian])) else { return };
    let tree =
        Tree::call(&["/usr/bin/env", "/foreign"]).file("foreign", mutant::program(elf::ElfBuilder::arm64(), 4096));
    let tree = with_host_program(with_host_program(tree, "/bin/sh"), "/usr/bin/env");
    let (answer, _) = real::run_alone(&tree);
    // How the shell interprets a program's bytes depends on those bytes: a syntax error is 2, a missing command 127.
    assert!(matches!(answer, Answer::Exit(2 | 127)), "{answer}");
    assert_eq!(expected(&judge(&tree, &node).outcome), "exit 2");
}
