//! Real shells, wrappers and interpreters: what they say and how they end where what they start does not.

use super::*;

#[test]
fn shells_and_wrappers_end_and_say_as_foreseen() {
    let Some(node) = node("wrappers") else { return };
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
fn glibcs_execvp_hands_a_foreign_program_to_the_shell() {
    let Some(node) = node("fallback") else { return };
    let tree =
        Tree::call(&["/usr/bin/env", "/foreign"]).file("foreign", mutant::program(elf::ElfBuilder::arm64(), 4096));
    let tree = with_host_program(with_host_program(tree, "/bin/sh"), "/usr/bin/env");
    let (answer, _) = real::run_alone(&tree);
    // What the shell makes of a program's bytes hangs on them: a syntax error is 2, a command not found 127.
    assert!(matches!(answer, Answer::Exit(2 | 127)), "{answer}");
    assert_eq!(expected(&judge(&tree, &node).outcome), "exit 2");
}
