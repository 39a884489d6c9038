//! Supervisors and what they start.

use crate::exec::tests::{short, tree};
use crate::exec::{Certainty, Exec, Trace, trace};
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

fn run(words: &[&str], extra: &[(&str, u16, &str)]) -> Trace {
    let (app, foreign) = (ElfBuilder::amd64().build(), ElfBuilder::arm64().build());
    let programs = [
        "usr/bin/s6-svscan",
        "usr/bin/runsvdir",
        "usr/bin/python3",
        "usr/sbin/cron",
        "usr/lib/systemd/systemd",
        "bin/sh",
        "bin/bash",
        "usr/bin/chpst",
        "usr/bin/node",
        "usr/bin/foreman",
        "usr/bin/monit",
        "command/execlineb",
        "app",
        "usr/bin/sleep",
    ];
    let mut files: Vec<(&str, u16, &[u8])> = programs.iter().map(|path| (*path, 0o755, app.as_slice())).collect();
    files.push(("foreign", 0o755, &foreign));
    files.push(("usr/bin/supervisord", 0o755, b"#!/usr/bin/python3\nmain()\n"));
    files.push(("usr/bin/pm2-runtime", 0o755, b"#!/usr/bin/node\nmain()\n"));
    files.extend(extra.iter().map(|(path, mode, text)| (*path, *mode, text.as_bytes())));
    let argv = words.iter().map(|word| word.to_string()).collect();
    let env = vec!["PATH=/usr/sbin:/usr/bin:/bin".to_string()];
    let call = Exec { argv, env, working_dir: "/srv".into(), ..Exec::default() };
    trace(&tree(&files), &call, &Node::plain(Arch::Amd64))
}

fn check(words: &[&str], extra: &[(&str, u16, &str)], expected: &[&str]) {
    let trace = run(words, extra);
    let risks: Vec<String> =
        trace.risks.iter().map(|risk| format!("{}:{} {}", risk.by, risk.line, short(&risk.outcome))).collect();
    assert_eq!(risks, expected, "{trace:#?}");
    assert!(
        trace.outcome.is_alive() && trace.risks.iter().all(|risk| risk.certainty == Certainty::Certain),
        "{trace:#?}"
    );
}

#[test]
fn a_scan_directorys_run_needs_a_first_line() {
    let s6 = |run: &str, expected: &[&str]| {
        check(&["/usr/bin/s6-svscan", "/etc/s6"], &[("etc/s6/web/run", 0o755, run)], expected)
    };
    s6("#!/bin/sh\nexec /app\n", &[]);
    s6("exec /app\n", &["/etc/s6/web/run:1 ENOEXEC no-shebang"]);
    s6("\n#!/bin/sh\nexec /app\n", &["/etc/s6/web/run:1 ENOEXEC script-blank"]);
    s6("#!/bin/sh\nexec /foreign\n", &["/etc/s6/web/run:1 exit 126 foreign-architecture"]);
    s6("#!/bin/sh\r\nexec /app\r\n", &["/etc/s6/web/run:1 ENOENT script-crlf"]);
    let runit = |run: &str, expected: &[&str]| {
        check(&["/usr/bin/runsvdir", "-P", "/etc/service"], &[("etc/service/web/run", 0o755, run)], expected);
    };
    runit("#!/bin/sh\nexec 2>&1\nexec chpst -u web /app\n", &[]);
    runit(
        "#!/bin/sh\nexec 2>&1\nexec chpst -u web /foreign\n",
        &["/etc/service/web/run:1 exit 111 foreign-architecture"],
    );
}

#[test]
fn supervisords_programs_are_started_with_their_includes() {
    let main = (
        "etc/supervisor/supervisord.conf",
        0o644,
        "[supervisord]\nnodaemon=true\n[include]\nfiles = /etc/supervisor/conf.d/*.conf\n",
    );
    let with = |conf: &str, expected: &[&str]| {
        check(&["/usr/bin/supervisord", "-n"], &[main, ("etc/supervisor/conf.d/web.conf", 0o644, conf)], expected);
    };
    with("[program:web]\ncommand=/app --port 80\nautorestart=true\n", &[]);
    with(
        "[program:web]\ncommand=/foreign --port 80\n",
        &["/etc/supervisor/conf.d/web.conf:2 ENOEXEC foreign-architecture"],
    );
    with("[program:web]\nautostart=false\ncommand=/foreign\n", &[]);
    with(
        "[program:web]\ncommand=bash -c \"sleep 1 && /foreign\"\n",
        &["/etc/supervisor/conf.d/web.conf:2 exit 126 foreign-architecture"],
    );
    let named = [("srv/s.conf", 0o644, "x"), ("etc/own/supervisord.conf", 0o644, "[program:a]\ncommand=/foreign\n")];
    check(
        &["supervisord", "-c", "/etc/own/supervisord.conf"],
        &named,
        &["/etc/own/supervisord.conf:2 ENOEXEC foreign-architecture"],
    );
}

#[test]
fn units_tables_and_process_files_name_programs() {
    let unit = (
        "etc/systemd/system/multi-user.target.wants/a.service",
        0o644,
        "[Service]\nExecStartPre=-/foreign\nExecStart=/foreign run\n",
    );
    let text = "/etc/systemd/system/multi-user.target.wants/a.service:3 ENOEXEC foreign-architecture";
    check(&["/usr/lib/systemd/systemd"], &[unit], &[text]);
    let table =
        ("etc/cron.d/backup", 0o644, "# comment\nPATH=/bin\n* * * * * root /foreign >> /log 2>&1\n@daily root /app\n");
    check(&["cron", "-f"], &[table], &["/etc/cron.d/backup:3 exit 126 foreign-architecture"]);
    check(
        &["foreman", "start"],
        &[("srv/Procfile", 0o644, "web: /app\nworker: exec /foreign\n")],
        &["/srv/Procfile:2 exit 126 foreign-architecture"],
    );
    let pm2 = ("srv/ecosystem.config.js", 0o644, "module.exports = {\n apps: [{\n  script: '/foreign',\n }],\n}\n");
    check(
        &["pm2-runtime", "ecosystem.config.js"],
        &[pm2],
        &["/srv/ecosystem.config.js:3 ENOEXEC foreign-architecture"],
    );
}

#[test]
fn s6_overlay_runs_its_scripts_services_and_the_calls_command() {
    let init = ("init", 0o755, "#!/bin/sh -e\nexec /package/admin/s6-overlay/libexec/preinit\n");
    let overlay = ("package/admin/s6-overlay/x", 0o644, "");
    let contenv = ("command/with-contenv", 0o755, "#!/command/execlineb -S0\n");
    let check = |files: &[(&str, u16, &str)], words: &[&str], expected: &[&str]| {
        let files: Vec<_> = [init, overlay, contenv].into_iter().chain(files.iter().copied()).collect();
        let words: Vec<&str> = std::iter::once("/init").chain(words.iter().copied()).collect();
        check(&words, &files, expected);
    };
    check(
        &[("etc/services.d/web/run", 0o755, "#!/command/with-contenv bash\nexec /foreign\n")],
        &[],
        &["/etc/services.d/web/run:1 exit 126 foreign-architecture"],
    );
    check(&[("etc/cont-init.d/1", 0o755, "#!/bin/sh\r\n")], &[], &["/etc/cont-init.d/1:1 ENOENT script-crlf"]);
    let rc = [
        ("etc/s6-overlay/s6-rc.d/web/type", 0o644, "longrun\n"),
        ("etc/s6-overlay/s6-rc.d/web/run", 0o755, "#!/command/execlineb -P\nfdmove -c 2 1\n/foreign\n"),
    ];
    check(&rc, &[], &["/etc/s6-overlay/s6-rc.d/web/run:1 exit 126 foreign-architecture"]);
    check(&[], &["/foreign"], &["CMD:1 ENOEXEC foreign-architecture"]);
    check(&[], &["/app"], &[]);
}
