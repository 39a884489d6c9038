//! Scripts and the programs that they start.

use super::{MAX_BYTES, MAX_STEPS};
use crate::exec::tests::{short, tree};
use crate::exec::{Exec, Followed, Trace, cost, trace};
use crate::image::RootFs;
use crate::inspect::FileKind;
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

/// An image and a call. /app, /srv/app and the tools run; /foreign, /srv/bin/tool and /srv/foreign are for another
/// architecture.
fn image(extra: &[(&str, u16, &str)], words: &[&str], env: &[&str]) -> (RootFs<FileKind>, Exec) {
    let (app, foreign) = (ElfBuilder::amd64().build(), ElfBuilder::arm64().build());
    let tools = "cat chmod chown chgrp dirname basename find sort readlink id uname mkdir sleep gosu dpkg getconf run-parts env tini sh dash bash grep \
                 ls tail sed tr awk cut chpst useradd sudo xargs concurrently";
    let paths: Vec<String> = tools.split_whitespace().map(|tool| format!("usr/bin/{tool}")).collect();
    let mut files: Vec<(&str, u16, &[u8])> = paths.iter().map(|path| (path.as_str(), 0o755, app.as_slice())).collect();
    for path in ["bin/sh", "bin/bash", "app", "srv/app"] {
        files.push((path, 0o755, &app));
    }
    for path in ["foreign", "srv/bin/tool", "srv/foreign"] {
        files.push((path, 0o755, &foreign));
    }
    files.push(("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n"));
    files.extend(extra.iter().map(|(path, mode, text)| (*path, *mode, text.as_bytes())));
    let argv = words.iter().map(|word| word.to_string()).collect();
    let env = std::iter::once("PATH=/usr/bin:/bin").chain(env.iter().copied()).map(str::to_string).collect();
    (tree(&files), Exec { argv, env, working_dir: "/".into(), ..Exec::default() })
}

pub(super) fn run_with(extra: &[(&str, u16, &str)], words: &[&str], env: &[&str]) -> Trace {
    let (rootfs, call) = image(extra, words, env);
    trace(&rootfs, &call, &Node::plain(Arch::Amd64))
}

pub(super) fn run(script: &str, args: &[&str]) -> Trace {
    let words: Vec<&str> = std::iter::once("/e").chain(args.iter().copied()).collect();
    run_with(&[("e", 0o755, script)], &words, &[])
}

/// The outcome, and where following stopped.
pub(super) fn summary(trace: &Trace) -> String {
    let risks: Vec<String> =
        trace.risks.iter().map(|risk| format!(" risk {}:{}", risk.line, short(&risk.outcome))).collect();
    let partial = match &trace.followed {
        Followed::Full => String::new(),
        Followed::Partial { at, .. } => format!(" to {at}"),
    };
    format!("{}{partial}{}", short(&trace.outcome), risks.concat())
}

pub(super) fn sh(script: &str, args: &[&str], expected: &str) {
    let trace = run(&format!("#!/bin/sh\n{script}\n"), args);
    assert_eq!(summary(&trace), expected, "{script}\n{trace:#?}");
}

pub(super) fn bash(script: &str, args: &[&str], expected: &str) {
    let trace = run(&format!("#!/bin/bash\n{script}\n"), args);
    assert_eq!(summary(&trace), expected, "{script}\n{trace:#?}");
}

pub(super) const FOREIGN: &str = "exit 126 foreign-architecture";

#[test]
fn arrays_have_names_as_keys() {
    let table = "declare -A M=([web]=/foreign [job]=/app)\n";
    bash(&format!("{table}exec \"${{M[$1]}}\""), &["web"], FOREIGN);
    bash(&format!("{table}exec \"${{M[$1]}}\""), &["job"], "runs");
    bash("declare -A M\nM[a]=/foreign\nM[$1]+=/x\nunset 'M[b]'\nexec ${M[a]}", &["b"], FOREIGN);
    bash("declare -A M=([a]=/foreign)\nfor k in \"${!M[@]}\"; do exec \"${M[$k]}\"; done", &[], FOREIGN);
    bash("declare -A M=([a]=1)\n[[ -v M[b] ]] && exec /foreign\nexec /app ${#M[@]}", &[], "runs");
    bash("declare -A M=([a]=1)\nexec \"${M[b]:-/foreign}\"", &[], FOREIGN);
}

#[test]
fn names_are_taken_out_of_texts_and_directories() {
    sh("exec $(echo '@D@/foreign' | sed 's#@D@#/srv#')", &[], FOREIGN);
    let table = ("etc/default/app", 0o644, "port=1\nbin=/foreign\n");
    for command in [
        "sed -n 's/^bin=//p' /etc/default/app",
        "grep ^bin= /etc/default/app | cut -d= -f2",
        "awk -F= '$1==\"bin\"{print $2}' /etc/default/app",
    ] {
        let script = format!("#!/bin/sh\nexec \"$({command})\"\n");
        let trace = run_with(&[("e", 0o755, &script), table], &["/e"], &[]);
        assert_eq!(summary(&trace), FOREIGN, "{command}\n{trace:#?}");
    }
    let (old, new) =
        (("opt/app-9/run", 0o755, "#!/bin/sh\nexec /app\n"), ("opt/app-10/run", 0o755, "#!/bin/sh\nexec /foreign\n"));
    let script = "#!/bin/sh\nexec \"$(ls -d /opt/app-*/ | sort -V | tail -n 1)run\"\n";
    let trace = run_with(&[("e", 0o755, script), old, new], &["/e"], &[]);
    assert_eq!(summary(&trace), FOREIGN, "{trace:#?}");
    // A file that sed changed is no longer known.
    let script =
        "#!/bin/sh\nsed -i s/foreign/app/ /etc/default/app\nexec \"$(sed -n 's/^bin=//p' /etc/default/app)\"\n";
    let trace = run_with(&[("e", 0o755, script), table], &["/e"], &[]);
    assert_eq!(summary(&trace), "runs to /e:3", "{trace:#?}");
}

#[test]
fn a_user_must_exist_unless_the_script_adds_one() {
    sh("exec chpst -u web /app", &[], "runs");
    sh("exec chpst -u none /app", &[], "exit 111 unknown-user");
    sh("exec chpst -u 33:33 /app", &[], "runs");
    sh("useradd none\nexec chpst -u none /app", &[], "runs");
    sh("exec gosu \"$RUN_AS\" /app", &[], "runs");
    sh("exec gosu none:none /app", &[], "exit 1 unknown-user");
}

#[test]
fn functions_are_called_with_arguments_and_set_variables() {
    sh("f() { :; }\nf x\nexec /app", &[], "runs");
    sh("log() { echo \"$@\"; }\nlog \"starting up\"\nexec /foreign", &[], FOREIGN);
    sh("add() { x=\"$1\"; PATH=\"${x}:$PATH\"; }\nadd /srv/bin\nexec tool", &[], FOREIGN);
    sh("main () {\n  exec \"$1\"\n}\nmain /foreign", &[], FOREIGN);
    sh("f() { return 1; }\nif f; then exec /foreign; fi\nexec /app", &[], "runs");
    sh("f() { set -- a b; shift; }\nf\nexec \"$@\"", &["/foreign"], FOREIGN);
    bash("function f { local p=/app; p=/foreign; }\np=/app\nf\nexec \"$p\"", &[], "runs");
    sh("x() { x; }\nx\nexec /app", &[], "runs to /e:2");
}

#[test]
fn arguments_are_shifted_set_and_sorted_by_case() {
    let options =
        "while [ $# -gt 0 ]; do case \"$1\" in --) shift; break;; -*) shift;; *) break;; esac; done\nexec \"$@\"";
    sh(options, &["-v", "--", "/foreign"], FOREIGN);
    sh(options, &["-v", "/app"], "runs");
    sh("if [ \"${1#-}\" != \"$1\" ]; then set -- /foreign \"$@\"; fi\nexec \"$@\"", &["-x"], FOREIGN);
    sh("case \"$1\" in\n  serve|run) shift; exec /foreign \"$@\" ;;\n  *) exec \"$@\" ;;\nesac", &["run"], FOREIGN);
    sh("case \"$1\" in\n  serve|run) exec /foreign ;;\n  *) exec \"$@\" ;;\nesac", &["/app"], "runs");
    bash("CLI=(\"$@\")\nexec \"${CLI[@]}\"", &["/foreign"], FOREIGN);
    bash(
        "CLI=()\nwhile [[ $# -gt 0 ]]; do CLI+=(\"$1\"); shift; done\nexec \"${CLI[@]:1}\"",
        &["x", "/foreign"],
        FOREIGN,
    );
    bash("[[ \"$1\" == run* ]] && exec /foreign\nexec /app", &["running"], FOREIGN);
}

#[test]
fn variables_have_defaults_and_parts() {
    sh("exec ${APP:-/foreign}", &[], FOREIGN);
    sh("APP=/app\nexec ${APP:-/foreign}", &[], "runs");
    sh(": \"${APP:=/foreign}\"\nexec \"$APP\"", &[], FOREIGN);
    sh("p=/srv/foreign.sh\nexec \"${p%.sh}\"", &[], FOREIGN);
    sh("p=/x/foreign\nexec \"/${p##*/}\"", &[], FOREIGN);
    bash("p=/app\nexec \"${p/app/foreign}\"", &[], FOREIGN);
    sh("eval \"exec /$1\"", &["foreign"], FOREIGN);
    sh("cmd=\"/foreign -x\"\nexec $cmd", &[], FOREIGN);
}

#[test]
fn branches_of_an_unknown_condition_are_distinguished() {
    // All programs that it may start are broken, or the only one is.
    sh("if read x; then exec /foreign; else exec /srv/foreign; fi", &[], FOREIGN);
    sh("if read x; then exec \"$x\"; fi\nexec /foreign", &[], FOREIGN);
    // One of two.
    sh("if read x; then exec /foreign; fi\nexec /app", &[], "runs risk 2:exit 126 foreign-architecture");
    // An image's own environment decides.
    sh("if [ -z \"$LOCAL\" ]; then exec /foreign; else exec /app; fi", &[], FOREIGN);
    let script = "#!/bin/sh\nif [ -n \"$KIND\" ]; then exec /foreign; fi\nexec /app\n";
    assert_eq!(summary(&run_with(&[("e", 0o755, script)], &["/e"], &["KIND=x"])), FOREIGN);
    // A usage error is not a start.
    sh("if [ -z \"$PASSWORD\" ]; then echo missing; exit 1; fi\nexec /foreign", &[], FOREIGN);
    sh("until grep x /proc/y; do sleep 1; done\nexec /foreign", &[], FOREIGN);
}

#[test]
fn a_script_that_ends_itself_on_this_architecture_only_refuses_it() {
    let refused = "exit 1 refused-architecture";
    sh("case \"$(uname -m)\" in aarch64) exec /app;; *) echo no >&2; exit 1;; esac", &[], refused);
    sh("set -e\nif [ \"$(uname -m)\" != aarch64 ]; then exit 1; fi\nexec /app", &[], refused);
    sh("[ \"$(uname -m)\" = aarch64 ] || exit 1\nexec /app", &[], refused);
    // It ends itself on every machine, or depends on what the user sets.
    sh("exit 1", &[], "runs to /e:2");
    sh("[ -n \"$URL\" ] || exit 1\nexec /app", &[], "runs");
    sh("case \"$(uname -m)\" in x86_64) exec /app;; *) exit 1;; esac", &[], "runs");
}

#[test]
fn tools_with_a_known_answer_answer() {
    sh("exec \"$(dirname \"$0\")/foreign\"", &[], FOREIGN);
    sh("cd \"$(dirname \"$(readlink -f \"$0\")\")\"\nexec ./foreign", &[], FOREIGN);
    sh("[ \"$(id -u)\" = 0 ] && exec /foreign\nexec /app", &[], FOREIGN);
    sh("case \"$(uname -m)\" in x86_64) exec /foreign;; esac\nexec /app", &[], FOREIGN);
    sh("if command -v gosu >/dev/null; then exec /foreign; fi\nexec /app", &[], FOREIGN);
    sh("if ! command -v nothing >/dev/null 2>&1; then exec /foreign; fi\nexec /app", &[], FOREIGN);
    sh("exec \"$(cat /etc/start)\"", &[], "runs to /e:2");
    bash("x=$(dpkg --print-architecture)\n[ $x = amd64 ] && exec /foreign", &[], FOREIGN);
}

#[test]
fn a_wrapper_that_changes_the_user_runs_the_script_again() {
    let script = "set -e\nif [ \"$1\" = /app ] && [ \"$(id -u)\" = 0 ]; then\n  find . -user x -exec chown web '{}' +\n  exec gosu web \"$0\" \"$@\"\nfi\nexec /foreign";
    sh(script, &["/app"], FOREIGN);
    sh(&script.replace("exec /foreign", "exec \"$@\""), &["/app"], "runs");
}

#[test]
fn files_of_a_directory_are_run_in_turn() {
    let each = "#!/bin/sh\nset -e\nfor f in /hooks/*; do\n  case \"$f\" in\n    *.sh) if [ -x \"$f\" ]; then \"$f\"; else . \"$f\"; fi ;;\n  esac\ndone\nexec /app\n";
    let hooks =
        |mode: u16, text: &str| summary(&run_with(&[("e", 0o755, each), ("hooks/1.sh", mode, text)], &["/e"], &[]));
    assert_eq!(hooks(0o755, "#!/bin/sh\necho hi\n"), "runs");
    assert_eq!(hooks(0o755, "#!/bin/sh\nset -e\n/foreign\n"), FOREIGN);
    assert_eq!(hooks(0o755, "#!/bin/sh\r\necho hi\r\n"), "exit 127 script-crlf");
    assert_eq!(hooks(0o644, "/foreign\n"), FOREIGN);
    let piped = "#!/bin/sh\nset -e\nfind /hooks -follow -type f -print | sort -V | while read -r f; do\n  if [ -x \"$f\" ]; then \"$f\"; fi\ndone\nexec /app\n";
    let hooks = |text: &str| summary(&run_with(&[("e", 0o755, piped), ("hooks/1.sh", 0o755, text)], &["/e"], &[]));
    assert_eq!(hooks("#!/bin/sh\n/foreign || exit 1\n"), "exit 1 foreign-architecture");
    assert_eq!(hooks("#!/bin/sh\necho hi\n"), "runs");
    let parts = "#!/bin/sh\nset -e\nrun-parts --exit-on-error /hooks\nexec /app\n";
    assert_eq!(
        summary(&run_with(&[("e", 0o755, parts), ("hooks/1", 0o755, "#!/bin/sh\r\n")], &["/e"], &[])),
        "exit 1 script-crlf"
    );
}

#[test]
fn a_sourced_file_defines_its_functions() {
    let with = |lib: &str, script: &str| {
        summary(&run_with(&[("e", 0o755, script), ("opt/lib.sh", 0o644, lib)], &["/e", "/foreign"], &[]))
    };
    assert_eq!(with("run() { exec \"$@\"; }\n", "#!/bin/bash\n. /opt/lib.sh\nrun \"$@\"\n"), FOREIGN);
    assert_eq!(
        with("run() { exec \"$@\"; }\n", "#!/bin/bash\nsource \"$(dirname \"$0\")opt/lib.sh\"\nrun \"$@\"\n"),
        FOREIGN
    );
    // A file that is not in the image may define any function.
    assert_eq!(with("", "#!/bin/sh\n. /none/lib.sh\nhelp_me\nexec /app\n"), "runs");
}

#[test]
fn background_jobs_count_if_they_are_waited_for() {
    sh("/foreign &\nwait", &[], FOREIGN);
    sh("trap 'kill 0' TERM\n/foreign &\nPID=$!\nwait $PID", &[], FOREIGN);
    sh("/app &\nwait", &[], "runs");
    sh("while true; do /foreign; sleep 1; done", &[], FOREIGN);
    sh("until /foreign; do sleep 1; done", &[], FOREIGN);
    sh("while :; do /app; sleep 1; done", &[], "runs");
}

#[test]
fn subshells_pipes_and_documents_are_followed() {
    sh("( exec /foreign )", &[], FOREIGN);
    sh("( cd /srv && exec ./foreign )", &[], FOREIGN);
    // A `cd` to a file fails and changes nothing.
    sh("cd /srv; cd ./foreign || exec ./foreign", &[], FOREIGN);
    sh("cat > /tmp/c <<EOF\nx=$HOME\nEOF\nexec /foreign", &[], FOREIGN);
    sh("set -e\nx=$(/foreign)\nexec /app", &[], FOREIGN);
    sh("if read _ 2>/dev/null <&3 ; then\n exec 3<&-\nfi\nexec /foreign", &[], FOREIGN);
    sh("exec >/tmp/log 2>&1\nexec /foreign", &[], FOREIGN);
}

#[test]
fn a_text_with_a_syntax_error_is_followed_to_the_error() {
    sh("if true; then\nexec /app", &[], "runs to /e:4");
    sh("exec /foreign\nfi", &[], FOREIGN);
}

#[test]
fn hostile_scripts_end_within_their_budget() {
    let cycle = "#!/bin/sh\n/e \"$@\" a; /e \"$@\" b; /e c\n";
    let double = format!("#!/bin/sh\nX=xxxxxxxx\n{}exec /app\n", "X=$X$X\n".repeat(200));
    let forks = format!(
        "#!/bin/sh\n{}exec \"$A1$B2\"\n",
        (0..200).map(|at| format!("if read x; then A{at}=$x; B{at}=1; fi\n")).collect::<String>()
    );
    let loops =
        "#!/bin/sh\nwhile read x; do while read y; do while read z; do a=$a$x$y$z; done; done; done\nexec /app\n";
    let fan = format!(
        "#!/bin/bash\n{}\n",
        (0..30).map(|at| format!("f{at}() {{ f{} a$1; f{} b$1; }}\n", at + 1, at + 1)).collect::<String>()
            + "f0\nexec /app"
    );
    let args = format!("#!/bin/sh\n{}exec \"$@\"\n", "set -- \"$@\" \"$@\" x\n".repeat(100));
    let evil = "#!/bin/sh\ne() { eval \"e $1\"; }\ne x\n".to_string();
    let globs = format!("#!/bin/sh\n{}", "for f in /*/*/*; do echo $f; done\n".repeat(200));
    // A value of 64 KiB, and words that contain it.
    let long = format!("#!/bin/bash\nX=xxxxxxxxxxxxxxxx\n{}", "X=$X$X\n".repeat(12));
    let many = format!("{long}Y={}\nexec /app\n", "$X".repeat(15_000));
    let split = format!("{long}exec /app {}\n", "$X ".repeat(15_000));
    let replaced = format!("{long}Y=${{X//x/$X}}\nexec /app\n");
    let printed = format!("{long}Y=$(for i in 1 2 3; do printf \"$X%s\" {}; done)\nexec /app\n", "a ".repeat(900));
    let trimmed = format!(
        "#!/bin/bash\nX={}\n{}exec /app\n",
        "x".repeat(1000),
        format!("Y=${{X%%{}y}}\n", "*x".repeat(450)).repeat(50)
    );
    let long = format!("#!/bin/bash\nX={}\nX=$X$X$X$X$X$X$X$X\n", "ab".repeat(2000));
    let matched = format!("{long}{}exec /app\n", "[[ $X =~ (a|b)*b(a|b){280}c ]] && exit\n".repeat(180));
    let filters = [
        "grep -E '(a|b)*b(a|b){280}c'",
        "sed 's/a.*c\\|a/d/g'",
        &format!("sed '{}'", "p;".repeat(60)),
        &format!("sed 's/.*/{}/'", "&".repeat(3000)),
        &format!("tr '{}' x", "cdefghi".repeat(400)),
    ];
    let filtered = filters.map(|filter| format!("{long}{}exec /app\n", format!("Y=$(echo $X | {filter})\n").repeat(9)));
    let classes = format!("{long}{}exec /app\n", format!("Y=${{X%%{}}}\n", "[".repeat(5000)).repeat(10));
    let scripts =
        [cycle, &double, &forks, loops, &fan, &args, &evil, &globs, &many, &split, &replaced, &printed, &trimmed];
    for script in scripts.into_iter().chain([&*matched, &classes]).chain(filtered.iter().map(String::as_str)) {
        let (rootfs, call) = image(&[("e", 0o755, script)], &["/e", "x"], &[]);
        let node = Node::plain(Arch::Amd64);
        let (steps, bytes) = cost(&rootfs, &call, &node);
        // The last step may exceed the budget.
        assert!(steps <= 2 * MAX_STEPS, "{steps} steps: {}", &script[..script.len().min(200)]);
        assert!(bytes <= 2 * MAX_BYTES, "{bytes} bytes: {}", &script[..script.len().min(200)]);
        let trace = trace(&rootfs, &call, &node);
        assert!(trace.outcome.is_alive() || trace.outcome.cause().is_some());
    }
}

#[test]
fn a_script_that_tests_whether_it_is_a_link_knows_its_directory() {
    let release = "SELF=$(readlink \"$0\" || true)\nif [ -z \"$SELF\" ]; then SELF=\"$0\"; fi\n\
                   ROOT=\"$(CDPATH='' cd \"$(dirname \"$SELF\")\" && pwd -P)\"\nexec \"$ROOT/foreign\"";
    sh(release, &[], FOREIGN);
    sh(&release.replace("/foreign", "/app"), &[], "runs");
}

#[test]
fn a_field_of_a_files_lines_is_read() {
    let release = "V=\"$(cut -d' ' -f2 /srv/releases/start_erl.data)\"\nexec \"/srv/releases/$V/tool\"";
    let run = |script: &str| {
        let files = [
            ("e", 0o755, format!("#!/bin/sh\n{script}\n")),
            ("usr/bin/cut", 0o755, "#!/bin/sh\n".to_string()),
            ("srv/releases/start_erl.data", 0o644, "13.1.5 0.1.0\n".to_string()),
            ("srv/releases/0.1.0/tool", 0o755, "#!/bin/sh\nexec /foreign\n".to_string()),
        ];
        let files: Vec<(&str, u16, &str)> =
            files.iter().map(|(path, mode, text)| (*path, *mode, text.as_str())).collect();
        summary(&run_with(&files, &["/e"], &[]))
    };
    assert_eq!(run(release), FOREIGN);
    assert_eq!(run(&release.replace("-d' ' -f2", "-d ' ' -f 2")), FOREIGN);
    assert_eq!(run("V=\"$(echo a:0.1.0 | cut -d: -f2)\"\nexec \"/srv/releases/$V/tool\""), FOREIGN);
}

#[test]
fn a_variable_may_have_another_name() {
    let bash = |text: &str, expected: &str| {
        let files = [("e", 0o755, format!("#!/bin/bash\n{text}\n"))];
        let files: Vec<(&str, u16, &str)> =
            files.iter().map(|(path, mode, text)| (*path, *mode, text.as_str())).collect();
        assert_eq!(summary(&run_with(&files, &["/e"], &[])), expected, "{text}");
    };
    let start = "start() { local -n words=$1; exec \"${words[@]}\"; }\n";
    bash(&format!("{start}own=(/foreign x)\nstart own"), FOREIGN);
    bash(&format!("{start}own=(/app x)\nstart own"), "runs");
    bash("name() { local -n out=$1; out=/app; }\nname own\nexec \"$own\"", "runs to /e:4");
}

#[test]
fn the_first_file_that_a_pattern_matches_is_known() {
    let run = |text: &str| {
        let files = [
            ("e", 0o755, format!("#!/bin/sh\n{text}\n")),
            ("bin/ls", 0o755, "#!/bin/sh\n".to_string()),
            ("bin/head", 0o755, "#!/bin/sh\n".to_string()),
            ("opt/own-1.2/tool", 0o755, "#!/bin/sh\nexec /foreign\n".to_string()),
        ];
        let files: Vec<(&str, u16, &str)> =
            files.iter().map(|(path, mode, text)| (*path, *mode, text.as_str())).collect();
        summary(&run_with(&files, &["/e"], &["PATH=/usr/bin:/bin"]))
    };
    assert_eq!(run("exec \"$(ls /opt/own-*/tool | head -n 1)\""), FOREIGN);
    assert_eq!(run("tool=$(ls -1 /opt/own-*/tool | head -1)\nexec $tool"), FOREIGN);
}

#[test]
fn a_regular_expression_decides_and_sets_its_groups() {
    bash("#!/bin/bash\n[[ $1 =~ -w|--wait ]] || exit 3\nexec /foreign\n", &["--wait"], "exit 126 foreign-architecture");
    bash("#!/bin/bash\n[[ no =~ ^(yes|true)$ ]] && exec /app\nexec /foreign\n", &[], "exit 126 foreign-architecture");
    bash(
        "#!/bin/bash\n[[ /foreign:8 =~ ^(.*):([0-9]+)$ ]]\nexec \"${BASH_REMATCH[1]}\"\n",
        &[],
        "exit 126 foreign-architecture",
    );
    bash(
        "#!/bin/bash\nshopt -s nocasematch\nif [[ YES =~ ^yes$ ]]; then exec /foreign; fi\nexec /app\n",
        &[],
        "exit 126 foreign-architecture",
    );
    bash("#!/bin/bash\nprintf -v bin '/%s' foreign\nexec \"$bin\"\n", &[], "exit 126 foreign-architecture");
}

/// Each line was run by bash 5.2, with `false` in place of /foreign.
#[test]
fn options_of_the_shell_are_set_and_unset() {
    let outcome = |script: &str| short(&run(&format!("#!/bin/bash\n{script}\nexec /app\n"), &[]).outcome);
    for stops in ["set -o errexit", "set -uo errexit", "set -eo pipefail", "set +e\nset -e", "set -u\nset -e -u"] {
        assert_eq!(outcome(&format!("{stops}\n/foreign")), FOREIGN, "{stops}");
    }
    for continues in [
        "set -o errexit\nset +o errexit",
        "set -o pipefail",
        "set -uo pipefail",
        "set -e\nset +uo errexit",
        "set -ux",
        ":",
    ] {
        assert_eq!(outcome(&format!("{continues}\n/foreign")), "runs", "{continues}");
    }
    for holds in [
        "[[ YES =~ ^yes$ ]]",
        "[[ YES == y* ]]",
        "[[ start == [S-T]TART ]]",
        "! [[ YES != yes ]]",
        "case YES in yes) true;; *) false;; esac",
    ] {
        assert_eq!(outcome(&format!("shopt -s nocasematch\nif {holds}; then exec /foreign; fi")), FOREIGN, "{holds}");
        for unset in ["shopt -s nocasematch\nshopt -u nocasematch", "shopt -s nullglob", ":"] {
            assert_eq!(outcome(&format!("{unset}\nif {holds}; then exec /foreign; fi")), "runs", "{unset} {holds}");
        }
    }
    assert_eq!(outcome("shopt -s nocasematch\nif [ YES = yes ]; then exec /foreign; fi"), "runs");
}

/// Each line was run by bash 5.2.
#[test]
fn only_exported_variables_reach_a_program() {
    let child = "exec bash -c 'exec \"${A:-/app}\"'";
    for exports in
        ["declare -x A=/foreign", "A=/foreign\ndeclare -x A", "declare -x \"A=/foreign\"", "typeset -x A=/foreign"]
    {
        bash(&format!("{exports}\n{child}"), &[], FOREIGN);
    }
    for keeps in ["declare A=/foreign", "readonly A=/foreign", "typeset A=/foreign", "A=/foreign"] {
        bash(&format!("{keeps}\n{child}"), &[], "runs");
    }
}

#[test]
fn a_script_that_costs_much_is_followed_with_less_detail() {
    let checks: String = (0..150).map(|at| format!("check V{at} \"${{V{at}:-}}\"\n")).collect();
    let script = format!(
        "#!/bin/bash\ncheck() {{\n  if [ -n \"$(date)\" ]; then export \"$1=a$2\"; else export \"$1=b$2\"; fi\n  case $2 in a) x=1;; *) \
         x=2;; esac\n}}\n{checks}exec \"$@\"\n"
    );
    let trace = run(&script, &["/foreign"]);
    assert_eq!(short(&trace.outcome), "exit 126 foreign-architecture", "{:?}", trace.followed);
}

#[test]
fn run_parts_passes_no_text_to_a_shell() {
    let job = ("etc/start.d/1-job", 0o755, "/app\n");
    let entry = ("e", 0o755, "#!/bin/sh\nset -e\nrun-parts --exit-on-error /etc/start.d\nexec /app\n");
    assert_eq!(summary(&run_with(&[entry, job], &["/e"], &[])), "exit 1 no-shebang");
}

#[test]
fn type_refuses_options() {
    let script = "if type \"$1\" >/dev/null 2>&1; then exec \"$@\"; fi\nexec /foreign \"$@\"\n";
    bash(script, &["--help"], FOREIGN);
    bash("type -p none --help >/dev/null || exec /foreign\n", &[], FOREIGN);
}

#[test]
fn popd_returns_to_the_directory_that_pushd_left() {
    bash("cd /etc\npushd / >/dev/null\npopd >/dev/null\ncd ..\nexec ./foreign\n", &[], FOREIGN);
}

#[path = "making_tests.rs"]
mod making;
#[path = "modes_tests.rs"]
mod modes;
