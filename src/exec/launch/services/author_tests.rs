//! Services of the image's author that cannot start.

use super::{check, run};
use crate::exec::tests::short;

#[test]
fn a_service_directory_needs_a_run_file() {
    let runit = |files: &[(&str, u16, &str)], expected: &[&str]| check(&["runsvdir", "/etc/service"], files, expected);
    let missing = ["/etc/service/web/run:1 ENOENT missing-program"];
    runit(&[("etc/service/web/run.sh", 0o755, "#!/bin/sh\nexec /app\n")], &missing);
    runit(&[("etc/service/web/down", 0o644, "")], &[]);
    runit(&[("etc/service/web/finish", 0o755, "#!/bin/sh\n:\n")], &missing);
    runit(&[("etc/service/README", 0o644, "x\n")], &[]);
    // Other directories fail as services, too, but are not meant to be one.
    runit(&[("etc/service/ld.so.conf.d/libc.conf", 0o644, "/usr/local/lib\n")], &[]);
}

#[test]
fn a_unit_of_the_images_author_needs_its_program() {
    let unit = |text: &str, expected: &[&str]| {
        let wants = "etc/systemd/system/multi-user.target.wants/a.service";
        check(&["/usr/lib/systemd/systemd"], &[(wants, 0o644, text)], expected);
    };
    let missing = ["/etc/systemd/system/multi-user.target.wants/a.service:2 ENOENT missing-program"];
    unit("[Service]\nExecStart=/opt/none\n", &missing);
    unit("[Unit]\nConditionPathExists=/opt/none\n[Service]\nExecStart=/opt/none\n", &[]);
    unit("[Service]\nExecStart=-/opt/none\n", &[]);
    unit("[Service]\nExecStart=/bin/sh -c \"X=/app; exec $${X}\"\n", &[]);
}

#[test]
fn anacron_starts_the_jobs_of_its_table() {
    let anacron = |words: &[&str], expected: &[&str]| {
        let table = ("etc/anacrontab", 0o644, "SHELL=/bin/sh\n1 5 job exec /foreign\n");
        check(words, &[table, ("usr/sbin/anacron", 0o755, "#!/bin/sh\n:\n")], expected);
    };
    anacron(&["anacron", "-d"], &["/etc/anacrontab:2 exit 126 foreign-architecture"]);
    anacron(&["anacron", "-u", "cron.daily"], &[]);
}

/// Runs an entry script with the tools that it needs.
fn after_script(script: &str, extra: &[(&str, u16, &str)], expected: &[&str]) {
    let entry = format!("#!/bin/sh\n{script}\n");
    let tool = |path| (path, 0o755, "#!/bin/sh\n:\n");
    let tools = ["bin/ln", "bin/cp", "bin/mkdir", "usr/bin/basename", "usr/bin/crontab"].map(tool);
    let files: Vec<(&str, u16, &str)> =
        tools.into_iter().chain([("e", 0o755, &*entry)]).chain(extra.iter().copied()).collect();
    check(&["/e"], &files, expected);
}

#[test]
fn services_that_a_script_links_or_copies_are_started() {
    let boot = ("boot/1", 0o755, "#!/bin/sh\nmkdir -p /service\nln -sf /etc/sv/web /service/web\n");
    let run = |text| [("etc/sv/web/run", 0o755, text), boot];
    let (good, foreign) = ("#!/bin/sh\nexec /app\n", "#!/bin/sh\nexec /foreign\n");
    let broken = ["/etc/sv/web/run:1 exit 126 foreign-architecture"];
    for script in [
        "mkdir -p /service && ln -s /etc/sv/web /service/\nexec runsvdir /service",
        "mkdir /service\nfor s in web; do ln -sfn \"/etc/sv/$s\" \"/service/$s\"; done\nexec runsvdir -P /service",
        "mkdir /s; for d in /etc/sv/w*; do ln -s \"$d\" /s/$(basename \"$d\"); done\nexec s6-svscan /s",
        "cp -r /etc/sv /run/scan\nexec s6-svscan /run/scan",
        "mkdir /s\ncp -r /etc/sv/. /s\nexec s6-svscan /s",
        "/boot/1\nexec runsvdir /service",
        "for f in /boot/*; do [ -x $f ] && $f; done\nexec runsvdir /service",
        "[ \"${WEB:-1}\" = 1 ] && mkdir /s && ln -s /etc/sv/web /s/web\nexec s6-svscan /s",
    ] {
        after_script(script, &run(good), &[]);
        after_script(script, &run(foreign), &broken);
        after_script(script, &run("exec /app\n"), &["/etc/sv/web/run:1 ENOEXEC no-shebang"]);
    }
}

#[test]
fn a_finish_script_runs_when_its_service_ends() {
    let finish = |text, expected: &[&str]| {
        let run = ("etc/s6/web/run", 0o755, "#!/bin/sh\nexec /app\n");
        check(&["s6-svscan", "/etc/s6"], &[run, ("etc/s6/web/finish", 0o755, text)], expected);
    };
    finish("#!/bin/sh\nexec /app\n", &[]);
    finish("#!/bin/sh\nexec /foreign\n", &["/etc/s6/web/finish:1 exit 126 foreign-architecture"]);
    finish("exec /app\n", &["/etc/s6/web/finish:1 ENOEXEC no-shebang"]);
    // A service may create what it needs.
    finish("#!/bin/sh\nexec /none\n", &[]);
}

#[test]
fn crons_jobs_have_its_path_and_their_users() {
    let job = |line: &str, expected: &[&str]| {
        let table = ("etc/cron.d/web", 0o644, &*format!("{line}\n"));
        let passwd = ("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\nweb:x:9:9::/:/bin/sh\n");
        check(
            &["/usr/sbin/cron", "-f"],
            &[table, passwd, ("usr/sbin/tool", 0o755, "#!/bin/sh\n:\n"), ("opt/web/server", 0o755, "#!/bin/sh\n:\n")],
            expected,
        );
    };
    job("@daily root /usr/sbin/tool", &[]);
    job("@daily root tool", &["/etc/cron.d/web:1 exit 127 not-in-path"]);
    job("PATH=/usr/sbin:/bin\n@daily root tool", &[]);
    job("* * * * * root PATH=/usr/sbin:$PATH; tool", &[]);
    job("@daily root none", &["/etc/cron.d/web:1 exit 127 not-in-path"]);
    job("@daily root server", &["/etc/cron.d/web:1 exit 127 not-in-path"]);
    job("PATH=/bin:/opt/web\n@daily root server", &[]);
    job("@daily web /usr/sbin/tool", &[]);
    job("@daily other /usr/sbin/tool", &["/etc/cron.d/web:1 exit 1 unknown-user"]);
    job("@daily /usr/sbin/tool", &["/etc/cron.d/web:1 exit 1 unknown-user"]);
    job("SHELL=/bin/bash\n@daily root /usr/sbin/tool", &[]);
    job("SHELL=/bin/zsh\n@daily root /usr/sbin/tool", &["/etc/cron.d/web:2 ENOENT missing-program"]);
}

#[test]
fn crontab_installs_the_table_that_cron_reads() {
    let table = |job| [("app/crontab", 0o644, job), ("usr/sbin/tool", 0o755, "#!/bin/sh\n:\n")];
    let script = "crontab /app/crontab\nexec cron -f";
    after_script(script, &table("* * * * * /usr/sbin/tool\n"), &[]);
    after_script(script, &table("* * * * * exec /foreign\n"), &["/app/crontab:1 exit 126 foreign-architecture"]);
    after_script(script, &table("* * * * * tool\n"), &["/app/crontab:1 exit 127 not-in-path"]);
    after_script("export > /etc/environment\ncrontab /app/crontab\nexec cron", &table("* * * * * tool\n"), &[]);
}

#[test]
fn numbers_of_supervisords_processes_are_padded() {
    let with = |command: &str, expected: &[&str]| {
        let conf = format!("[supervisord]\n[program:a]\nnumprocs=2\nprocess_name=%(process_num)s\ncommand={command}\n");
        check(
            &["supervisord", "-c", "/etc/sv.conf"],
            &[("etc/sv.conf", 0o644, &conf), ("a_01", 0o755, "exec\n"), ("a_00", 0o755, "#!/bin/sh\n:\n")],
            expected,
        );
    };
    with("/a_%(process_num)02d", &["/etc/sv.conf:5 ENOEXEC no-shebang"]);
}

#[test]
fn interpreters_start_the_program_that_their_code_names() {
    let of = |words: &[&str], text: &str, expected: bool| {
        let files = [("srv/a.py", 0o644, text), ("srv/b/__main__.py", 0o644, text), ("srv/c.js", 0o644, text)];
        let outcome = short(&run(words, &files).outcome);
        assert_eq!(outcome != "runs", expected, "{words:?} {text} {outcome}");
    };
    for (text, expected) in [
        ("import subprocess\nsubprocess.run(['/foreign', 'x'])\n", true),
        ("import os\nos.system('/foreign --once')\n", true),
        ("import subprocess\nsubprocess.run(['/app'])\n", false),
        ("import subprocess\nsubprocess.run(['/foreign' if x else '/app'])\n", false),
    ] {
        of(&["python3", "/srv/a.py"], text, expected);
        of(&["python3", "/srv/b"], text, expected);
        of(&["python3", "-m", "b"], text, expected);
        of(&["python3", "-c", text], "", expected);
    }
    of(&["node", "/srv/c.js"], "require('child_process').spawn('/foreign')\n", true);
    of(&["node", "-e", "require('child_process').spawn(`/foreign`)"], "", true);
}
