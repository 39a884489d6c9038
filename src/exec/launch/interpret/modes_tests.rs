//! Owners and modes that a script changes, and the environment and the words that its wrappers add.

use super::{FOREIGN, bash, run_with, sh, summary};

const DENIED: &str = "exit 1 not-executable";

/// Runs a script with a program that is only for its owner, and a file that is not executable.
fn check(script: &str, expected: &str) {
    let files = [
        ("e", 0o755, format!("#!/bin/sh\nset -e\n{script}\n")),
        ("own/run", 0o700, "#!/bin/sh\nexec /app\n".to_string()),
        ("text/run", 0o644, "#!/bin/sh\nexec /app\n".to_string()),
        ("etc/group", 0o644, "root:x:0:\nweb:x:33:\n".to_string()),
    ];
    let files: Vec<(&str, u16, &str)> = files.iter().map(|(path, mode, text)| (*path, *mode, text.as_str())).collect();
    let trace = run_with(&files, &["/e"], &[]);
    assert_eq!(summary(&trace), expected, "{script}\n{trace:#?}");
}

#[test]
fn a_mode_that_the_script_sets_decides() {
    check("exec gosu web /app", "runs");
    for change in ["chmod 700", "chmod o-x", "chmod go=", "chmod -v 0600"] {
        check(&format!("{change} /app\nexec gosu web /app"), DENIED);
    }
    check("chmod 700 /srv\nexec gosu web /srv/app", "exit 1 not-searchable");
    check("chmod -R go-rwx /srv\nchmod 755 /srv\nexec gosu web /srv/app", DENIED);
    check("chmod 600 /app\nexec /app", "exit 126 not-executable");
    check("exec /text/run", "exit 126 not-executable");
    for change in ["chmod +x", "chmod a+x", "chmod u=rwx", "chmod 755"] {
        check(&format!("{change} /text/run\nexec /text/run"), "runs");
    }
    check("chmod -R a+rx /own\nexec gosu web /own/run", "runs");
    check("exec gosu web /own/run", DENIED);
    // It is not known which files these change.
    check("chmod \"$MODE\" /own/run\nexec gosu web /own/run", "runs");
    check("chmod a+rx \"$FILE\"\nexec gosu web /own/run", DENIED);
    check("find /own -exec chmod a+rx {} +\nexec gosu web /own/run", "runs");
    check("find /own -name '*.sh' -exec chmod a+rx {} +\nexec gosu web /own/run", DENIED);
    check("find /own -newer /x -exec chmod a+rx {} +\nexec gosu web /own/run", "runs");
    check("echo /text/run | xargs chmod 755\nexec /text/run", "runs to /text/run");
    check("if [ -n \"$OPEN\" ]; then chmod a+rx /own/run; else chmod 700 /own/run; fi\nexec gosu web /own/run", DENIED);
}

#[test]
fn an_owner_that_the_script_sets_decides() {
    for change in ["chown web", "chown -R web:web", "chown 33", "chgrp -R web"] {
        let expected = if change.starts_with("chgrp") { DENIED } else { "runs" };
        check(&format!("{change} /own/run\nexec gosu web /own/run"), expected);
    }
    check("chown root /own/run\nexec gosu web /own/run", DENIED);
    check("chown none /own/run\nexec /app", "exit 1 unknown-user");
    check("useradd none\nchown none /own/run\nexec /app", "runs");
    check("chown \"${APP_USER:-web}\" /own/run\nexec gosu web /own/run", "runs");
}

#[test]
fn sudo_searches_its_own_path() {
    let run = |defaults: &str, script: &str| {
        let script = format!("#!/bin/sh\nexport PATH=/srv/bin:$PATH\n{script}\n");
        let files = [("e", 0o755, script.as_str()), ("etc/sudoers", 0o440, defaults)];
        summary(&run_with(&files, &["/e"], &["APP=/foreign"]))
    };
    let secure = "Defaults secure_path=\"/usr/bin:/bin\"\n";
    assert_eq!(run(secure, "exec sudo -u web tool"), "exit 1 not-in-path");
    assert_eq!(run("root ALL=(ALL) ALL\n", "exec sudo tool"), "exit 2 foreign-architecture");
    assert_eq!(run(secure, "exec sudo /app"), "runs");
    assert_eq!(run(secure, "exec sudo sh -c 'exec ${APP:-/app}'"), "runs");
    assert_eq!(run(secure, "exec sudo -E sh -c 'exec ${APP:-/app}'"), FOREIGN);
    assert_eq!(run(secure, "exec sudo APP=/srv/foreign sh -c 'exec ${APP:-/app}'"), FOREIGN);
}

#[test]
fn xargs_adds_the_words_of_its_input() {
    sh("set -e\necho /foreign | xargs -n1 env", &[], "exit 123 foreign-architecture");
    sh("set -e\necho /app | xargs -n1 env", &[], "runs");
    sh("set -e\nprintf '%s\\n' /app /foreign | xargs -I{} sh -c 'exec {}'", &[], "exit 123 foreign-architecture");
    sh("exec xargs -n1 env", &[], "runs to env");
}

#[test]
fn a_background_job_of_bash_is_followed() {
    bash("coproc JOB { /foreign; }\nwait $JOB_PID", &[], FOREIGN);
    bash("coproc /foreign --x\nwait", &[], FOREIGN);
    bash("coproc JOB { /app; }\nwait", &[], "runs");
}

#[test]
fn bash_knows_what_it_was_built_for() {
    let release = ("etc/os-release", 0o644, "ID=debian\n");
    let run = |script: &str| {
        let script = format!("#!/bin/bash\nexec /opt/{script}\n");
        summary(&run_with(&[("e", 0o755, &script), release], &["/e"], &[]))
    };
    for script in ["$HOSTTYPE", "$OSTYPE", "${MACHTYPE}"] {
        assert_eq!(run(script), "exit 127 missing-file", "{script}");
    }
    assert_eq!(run("$HOSTNAME"), "runs to /e:2");
}

#[test]
fn a_program_that_installs_nothing_does_not_excuse_a_missing_one() {
    sh("/app migrate\nexec none", &[], "exit 127 not-in-path");
    sh("/app install\nexec none", &[], "runs to none");
    sh("/app migrate\nexec /opt/none", &[], "runs to /opt/none");
    sh("/app | /app\n(/app)\n/app &\nexec none", &[], "exit 127 not-in-path");
    sh("eval \"$(/app)\"\nexec none", &[], "runs to none");
    sh("/app wget x\nexec none", &[], "runs to none");
}

#[test]
fn run_parts_ignores_names_with_dots() {
    let run = |name: &str, options: &str| {
        let path = format!("parts/{name}");
        let script = format!("#!/bin/sh\nrun-parts {options} /parts\nexec /app\n");
        let files = [("e", 0o755, script.as_str()), (path.as_str(), 0o755, "#!/bin/sh\n/app\n")];
        summary(&run_with(&files, &["/e"], &[]))
    };
    assert_eq!(run("a", ""), "runs");
    assert_eq!(run("a.sh", ""), "runs risk 2:exit 1 bad-configuration");
    assert_eq!(run("a.sh", "--regex '\\.sh$'"), "runs");
    assert_eq!(run("a.disabled", ""), "runs");
}

#[test]
fn every_command_of_a_launcher_is_judged() {
    sh("exec concurrently '/app --x' /foreign", &[], "exit 126 foreign-architecture");
    sh("exec concurrently '/app --x' '/app --y'", &[], "runs to concurrently");
}

#[test]
fn a_script_that_ends_because_a_file_is_not_executable_names_it() {
    for test in [
        "[ -x /text/run ] || exit 1",
        "test -x /text/run || { echo no; exit 3; }",
        "if [ ! -x /text/run ]; then\nexit 1\nfi",
    ] {
        let code = if test.contains('3') { 3 } else { 1 };
        check(&format!("{test}\nexec /app"), &format!("exit {code} not-executable"));
    }
    check("chmod +x /text/run\n[ -x /text/run ] || exit 1\nexec /app", "runs");
    check("[ -x /text/run ] || exit 0\nexec /app", "runs");
    check("[ -x /text/run ] && exec /text/run\nexec /app", "runs");
    check("[ -x /app ] || exit 1\nexec /app", "runs");
}
