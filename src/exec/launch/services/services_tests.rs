//! Supervisors and the programs that they start.

use crate::exec::tests::{short, tree};
use crate::exec::{Certainty, Exec, Trace, trace};
use crate::inspect::elf_builder::ElfBuilder;
use crate::platform::{Arch, Node};

pub(super) fn run(words: &[&str], extra: &[(&str, u16, &str)]) -> Trace {
    run_with(words, extra, &[])
}

/// A program for another architecture, in its own directory.
fn other_server() -> Vec<u8> {
    ElfBuilder::arm64().build()
}

/// `server`: the content of /opt/web/server. If it is empty, the file does not exist.
fn run_with(words: &[&str], extra: &[(&str, u16, &str)], server: &[u8]) -> Trace {
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
        "bin/busybox",
        "sbin/openrc",
        "usr/sbin/runit-init",
        "usr/sbin/runsv",
        "usr/bin/run-parts",
        "usr/bin/supercronic",
    ];
    let mut files: Vec<(&str, u16, &[u8])> = programs.iter().map(|path| (*path, 0o755, app.as_slice())).collect();
    files.push(("foreign", 0o755, &foreign));
    files.extend((!server.is_empty()).then_some(("opt/web/server", 0o755, server)));
    files.push(("usr/bin/supervisord", 0o755, b"#!/usr/bin/python3\nmain()\n"));
    files.push(("usr/bin/pm2-runtime", 0o755, b"#!/usr/bin/node\nmain()\n"));
    files.extend(extra.iter().map(|(path, mode, text)| (*path, *mode, text.as_bytes())));
    let argv = words.iter().map(|word| word.to_string()).collect();
    let env = vec!["PATH=/usr/sbin:/usr/bin:/bin".to_string()];
    let call = Exec { argv, env, working_dir: "/srv".into(), ..Exec::default() };
    trace(&tree(&files), &call, &Node::plain(Arch::Amd64))
}

pub(super) fn check(words: &[&str], extra: &[(&str, u16, &str)], expected: &[&str]) {
    check_with(words, extra, &[], expected);
}

fn check_with(words: &[&str], extra: &[(&str, u16, &str)], server: &[u8], expected: &[&str]) {
    let trace = run_with(words, extra, server);
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
fn supervisord_needs_the_users_of_its_programs() {
    let with = |user: &str| {
        let conf = format!("[supervisord]\nnodaemon=true\n[program:a]\nuser={user}\ncommand=/app\n");
        let files = [
            ("etc/supervisord.conf", 0o644, conf.as_str()),
            ("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n"),
        ];
        short(&run(&["/usr/bin/supervisord", "-n"], &files).outcome)
    };
    assert_eq!((with("web").as_str(), with("33").as_str()), ("runs", "runs"));
    assert_eq!(with("none"), "exit 2 unknown-user");
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
    let healthy = ("etc/systemd/system/multi-user.target.wants/a.service", 0o644, "[Service]\nExecStart=/app\n");
    let drop_in = ("etc/systemd/system/a.service.d/10-run.conf", 0o644, "[Service]\nExecStart=\nExecStart=/foreign\n");
    let text = "/etc/systemd/system/a.service.d/10-run.conf:3 ENOEXEC foreign-architecture";
    check(&["/usr/lib/systemd/systemd"], &[healthy, drop_in], &[text]);
    let of_link = ("etc/systemd/system/multi-user.target.wants/a.service", 0o644, "[Service]\nExecStart=/foreign\n");
    let of_admin = ("etc/systemd/system/a.service", 0o644, "[Service]\nExecStart=/app\n");
    check(&["/usr/lib/systemd/systemd"], &[of_link, of_admin], &[]);
    let pre = ("etc/systemd/system/a.service", 0o644, "[Service]\nExecStartPre=/foreign\nExecStart=\nExecStart=/app\n");
    let text = "/etc/systemd/system/a.service:2 ENOEXEC foreign-architecture";
    check(&["/usr/lib/systemd/systemd"], &[of_link, pre], &[text]);
    let of_vendor = ("usr/lib/systemd/system/a.service.d/10-run.conf", 0o644, drop_in.2);
    let overridden = (drop_in.0, 0o644, "[Service]\nEnvironment=MODE=x\n");
    check(&["/usr/lib/systemd/systemd"], &[healthy, of_vendor, overridden], &[]);
    let instance =
        ("etc/systemd/system/multi-user.target.wants/b@foreign.service", 0o644, "[Service]\nExecStart=/%i\n");
    check(&["/usr/lib/systemd/systemd"], &[instance], &[&format!("/{}:2 ENOEXEC foreign-architecture", instance.0)]);
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

#[test]
fn a_service_whose_program_is_not_in_the_image_cannot_start() {
    let conf = |text| ("etc/supervisord.conf", 0o644, text);
    let missing = ["/etc/supervisord.conf:2 ENOENT missing-program"];
    check(&["/usr/bin/supervisord"], &[conf("[program:web]\ncommand=/srv/none\n")], &missing);
    check(&["/usr/bin/supervisord"], &[conf("[program:web]\nautostart = False\ncommand=/srv/none\n")], &[]);
    check(&["/usr/bin/supervisord"], &[conf("[program:web]\ncommand=/dev/fd/3\n")], &[]);
    let unit = ("etc/systemd/system/multi-user.target.wants/a.service", 0o644, "[Service]\nExecStart=/srv/none\n");
    let missing = ["/etc/systemd/system/multi-user.target.wants/a.service:2 ENOENT missing-program"];
    check(&["/usr/lib/systemd/systemd"], &[unit], &missing);
    let service = ("etc/s6/web/run", 0o755, "#!/bin/sh\nexec /srv/none\n");
    check(&["/usr/bin/s6-svscan", "/etc/s6"], &[service], &["/etc/s6/web/run:1 exit 127 missing-file"]);
    // An earlier program may have created it.
    let entry = ("e", 0o755, "#!/bin/bash\n/app init\nexec /usr/bin/supervisord\n");
    let trace = run(&["/e"], &[entry, conf("[program:web]\ncommand=/srv/none\n")]);
    assert!(trace.risks.iter().all(|risk| risk.certainty == Certainty::Possible) && trace.risks.len() == 1);
    let pm2 = |words: &[&str], files: &[(&str, u16, &str)], expected: &[&str]| check(words, files, expected);
    pm2(&["pm2-runtime", "dist/main.js"], &[], &["pm2:1 exit 1 missing-script"]);
    pm2(&["pm2-runtime", "dist/main.js"], &[("srv/dist/main.js", 0o644, "x")], &[]);
}

#[test]
fn a_service_starts_in_its_own_directory() {
    let foreign = other_server();
    let conf = "[program:web]\ndirectory=/opt/web\ncommand=./server\n";
    let conf = ("etc/supervisord.conf", 0o644, conf);
    // supervisord does not find it: "can't find command './server'".
    check_with(&["/usr/bin/supervisord"], &[conf], &foreign, &["/etc/supervisord.conf:3 ENOENT missing-program"]);
    let conf = "[program:web]\ndirectory=/opt/web\ncommand=sh -c ./server\n";
    let conf = ("etc/supervisord.conf", 0o644, conf);
    check_with(
        &["/usr/bin/supervisord"],
        &[conf],
        &foreign,
        &["/etc/supervisord.conf:3 exit 126 foreign-architecture"],
    );
    let include = ("etc/supervisord.conf", 0o644, "[include]\nfiles = own/*/*.conf\n[program:a]\ncommand=/app\n");
    let included = ("etc/own/x/a.conf", 0o644, "[program:web]\ncommand=/foreign\n");
    let expected = ["/etc/own/x/a.conf:2 ENOEXEC foreign-architecture"];
    check(&["/usr/bin/supervisord"], &[include, included], &expected);
    let include = ("etc/supervisor/supervisord.conf", 0o644, "[include]\nfiles = own/*/*.conf\n");
    let included = ("etc/supervisor/own/x/a.conf", 0o644, "[program:web]\ncommand=/foreign\n");
    let expected = ["/etc/supervisor/own/x/a.conf:2 ENOEXEC foreign-architecture"];
    check(&["/usr/bin/supervisord"], &[include, included], &expected);
    let app = "module.exports = { apps: [{ cwd: '/opt/web', script: './server', interpreter: 'none' }] }\n";
    let expected = ["/srv/ecosystem.config.js:1 ENOEXEC foreign-architecture"];
    check_with(
        &["pm2-runtime", "ecosystem.config.js"],
        &[("srv/ecosystem.config.js", 0o644, app)],
        &foreign,
        &expected,
    );
    for words in [&["foreman", "start", "-d", "/opt/web"][..], &["foreman", "start", "-f", "/opt/web/Procfile"]] {
        let file = ("opt/web/Procfile", 0o644, "web: ./server\nworker: /app\n");
        check_with(words, &[file], &foreign, &["/opt/web/Procfile:1 exit 126 foreign-architecture"]);
    }
    let file = ("srv/Procfile", 0o644, "web: /foreign\nworker: /app\n");
    check(&["foreman", "start", "worker"], &[file], &[]);
    let (file, env) = (("srv/Procfile", 0o644, "web: $BIN -x\n"), ("srv/.env", 0o644, "BIN=/foreign\n"));
    check(&["foreman", "start"], &[file, env], &["/srv/Procfile:1 exit 126 foreign-architecture"]);
    check(&["foreman", "run", "/foreign"], &[file], &["CMD:1 ENOEXEC foreign-architecture"]);
}

#[test]
fn init_programs_start_the_programs_in_their_tables_and_scripts() {
    let table = "::sysinit:/app\ntty1::respawn:/foreign\n# x::respawn:/foreign\n::ctrlaltdel:/foreign\n";
    let table = |more: &str| format!("{table}{more}");
    let with = |more: &str, expected: &[&str]| {
        check(&["busybox", "init"], &[("etc/inittab", 0o644, &table(more))], expected);
    };
    with("", &[]);
    with("::respawn:/foreign -x\n", &["/etc/inittab:5 ENOEXEC foreign-architecture"]);
    with("::respawn:/app && /foreign\n", &["/etc/inittab:5 exit 126 foreign-architecture"]);
    with("::respawn:/sbin/getty 38400 tty2\n", &[]);
    let openrc = |script: &str, expected: &[&str]| {
        let files = [("etc/runlevels/default/web", 0o755, script), ("etc/conf.d/web", 0o644, "SERVER=/foreign\n")];
        check(&["/sbin/openrc", "default"], &files, expected);
    };
    let foreign = "/etc/runlevels/default/web:3 exit 126 foreign-architecture";
    openrc("#!/sbin/openrc-run\nname=web\ncommand=/foreign\n", &[foreign]);
    openrc("#!/sbin/openrc-run\nname=web\ncommand=\"$SERVER\"\n", &[foreign]);
    openrc("#!/sbin/openrc-run\ndepend() { need net; }\nstart() {\n  ebegin x\n  /foreign\n}\n", &[foreign]);
    openrc("#!/sbin/openrc-run\nname=web\ncommand=/app\nstop() {\n /foreign\n}\n", &[]);
    let needs = ("etc/runlevels/default/web", 0o755, "#!/sbin/openrc-run\ncommand=/app\ndepend() {\n  need db\n}\n");
    let needed = ("etc/init.d/db", 0o755, "#!/sbin/openrc-run\ncommand=/foreign\n");
    check(&["/sbin/openrc"], &[needs, needed], &["/etc/init.d/db:2 exit 126 foreign-architecture"]);
}

#[test]
fn my_init_runs_its_scripts_runits_services_and_the_calls_command() {
    let init = ("sbin/my_init", 0o755, "#!/usr/bin/python3 -u\nimport os\n");
    let with = |words: &[&str], file: (&str, u16, &str), expected: &[&str]| {
        let words: Vec<&str> = std::iter::once("/sbin/my_init").chain(words.iter().copied()).collect();
        check(&words, &[init, file], expected);
    };
    let run = ("etc/service/web/run", 0o755, "#!/bin/sh\nexec /foreign\n");
    with(&[], run, &["/etc/service/web/run:1 exit 126 foreign-architecture"]);
    with(&["--skip-runit", "--", "/app"], run, &[]);
    let script = ("etc/my_init.d/1.sh", 0o755, "#!/bin/sh\r\n/app\r\n");
    with(&["--quiet"], script, &["/etc/my_init.d/1.sh:1 ENOENT script-crlf"]);
    with(&["--", "/foreign"], ("x", 0o644, ""), &["CMD:1 ENOEXEC foreign-architecture"]);
}

#[test]
fn s6_rc_starts_the_services_in_its_bundle() {
    let own = [
        ("init", 0o755, "#!/bin/sh -e\nexec /package/admin/s6-overlay/libexec/preinit\n"),
        ("package/admin/s6-overlay/x", 0o644, ""),
        ("etc/s6-overlay/s6-rc.d/web/type", 0o644, "longrun\n"),
        ("etc/s6-overlay/s6-rc.d/web/run", 0o755, "#!/bin/sh\nexec /foreign\n"),
        ("etc/s6-overlay/s6-rc.d/own/type", 0o644, "bundle\n"),
    ];
    let web = "/etc/s6-overlay/s6-rc.d/web/run:1 exit 126 foreign-architecture";
    let with = |file: &str, expected: &[&str]| {
        let files: Vec<_> = own.into_iter().chain([(file, 0o644, "")]).collect();
        check(&["/init"], &files, expected);
    };
    with("etc/s6-overlay/s6-rc.d/user/contents.d/web", &[web]);
    with("etc/s6-overlay/s6-rc.d/user/contents.d/own", &[]);
    with("x", &[web]);
}

#[test]
fn a_service_gets_a_variable_that_only_a_user_sets() {
    let entry = "#!/bin/sh\nif [ -z \"$USER\" ]; then\n  export USER=git\nfi\nexec /usr/bin/s6-svscan /etc/s6\n";
    let service = |program: &str| format!("#!/bin/bash\nexec chpst -u $USER {program} web\n");
    check(&["/e"], &[("e", 0o755, entry), ("etc/s6/web/run", 0o755, &service("/app"))], &[]);
    let trace = run(&["/e"], &[("e", 0o755, entry), ("etc/s6/web/run", 0o755, &service("/foreign"))]);
    assert!(trace.risks.iter().any(|risk| risk.by == "/etc/s6/web/run"), "{trace:#?}");
}

#[test]
fn supervisord_expands_its_variables() {
    let with = |conf: &str, expected: &[&str]| {
        check(&["/usr/bin/supervisord", "-c", "/srv/sv.conf"], &[("srv/sv.conf", 0o644, conf)], expected);
    };
    let line = ["/srv/sv.conf:2 ENOEXEC foreign-architecture"];
    with("[program:foreign]\ncommand=/%(program_name)s -p %(process_num)02d\n", &line);
    with("[program:web]\ncommand=%(here)s/../foreign\n", &line);
    with("[program:web]\ncommand=/app %(ENV_PATH)s 100%%\n", &[]);
    let shared = "[program:web]\ncommand=sh -c 'exec $X'\n[supervisord]\nenvironment=X=\"/foreign\"\n";
    with(shared, &["/srv/sv.conf:2 exit 126 foreign-architecture"]);
}

#[test]
fn units_pull_in_the_units_that_they_require() {
    let own = |name: &str| format!("etc/systemd/system/{name}");
    let wants = own("multi-user.target.wants/a.service");
    let with = |name: &str, text: &str, first: &str, expected: &[&str]| {
        let name = own(name);
        check(&["/usr/lib/systemd/systemd"], &[(&wants, 0o644, first), (&name, 0o644, text)], expected);
    };
    let foreign = "[Service]\nExecStart=/foreign\n";
    let at = ["/etc/systemd/system/b.service:2 ENOEXEC foreign-architecture"];
    with("b.service", foreign, "[Unit]\nRequires=b.service\n[Service]\nExecStart=/app\n", &at);
    with("b.service", foreign, "[Unit]\nAfter=b.service\n[Service]\nExecStart=/app\n", &[]);
    with(
        "x",
        "",
        "[Service]\nExecStart=@/foreign other -x\n",
        &["/etc/systemd/system/multi-user.target.wants/a.service:2 ENOEXEC foreign-architecture"],
    );
    // A unit that the administrator masked.
    with("a.service", "", foreign, &[]);
    let timer = own("timers.target.wants/b.timer");
    let files = [(timer.as_str(), 0o644, "[Timer]\nOnBootSec=1\n"), ("etc/systemd/system/b.service", 0o644, foreign)];
    check(&["/usr/lib/systemd/systemd"], &files, &at);
    let text = "[Service]\nEnvironmentFile=-/etc/default/a\nExecStart=/bin/sh -c \"exec ${BIN}\"\n";
    let files = [(wants.as_str(), 0o644, text), ("etc/default/a", 0o644, "BIN=/foreign\n")];
    let at = ["/etc/systemd/system/multi-user.target.wants/a.service:3 exit 126 foreign-architecture"];
    check(&["/usr/lib/systemd/systemd"], &files, &at);
}

#[test]
fn tables_and_directories_of_schedulers_are_read() {
    let foreign = "* * * * * root /foreign\n";
    // Debian's cron ignores a name with a dot; BusyBox's reads only the directory that it is given.
    check(&["cron", "-f"], &[("etc/cron.d/old.bak", 0o644, foreign)], &[]);
    let job = ("etc/start.d/1-job", 0o755, "/foreign\n");
    check(
        &["/usr/sbin/runsv", "/etc/sv/web"],
        &[("etc/sv/web/run", 0o755, "#!/bin/sh\nexec /foreign\n")],
        &["/etc/sv/web/run:1 exit 126 foreign-architecture"],
    );
    check(&["run-parts", "/etc/start.d"], &[job], &["/etc/start.d/1-job:1 ENOEXEC no-shebang"]);
    check(
        &["supercronic", "/srv/crontab"],
        &[("srv/crontab", 0o644, "*/5 * * * * /foreign\n")],
        &["/srv/crontab:1 exit 126 foreign-architecture"],
    );
    let monitrc = ("srv/monitrc", 0o600, "set daemon 30\ninclude /etc/monit/own/*.cfg\n");
    let included = ("etc/monit/own/a.cfg", 0o600, "check program a with path \"/foreign -x\"\n");
    check(
        &["monit", "-I", "-c", "/srv/monitrc"],
        &[monitrc, included],
        &["/etc/monit/own/a.cfg:1 ENOEXEC foreign-architecture"],
    );
}

#[test]
fn no_service_uses_up_the_budget_of_the_others() {
    let fan = "#!/bin/sh\nf() {\n  f \"$@\" x\n  f \"$@\" y\n}\nf\n";
    let files: Vec<(String, &str)> = (0..9)
        .map(|at| (format!("etc/s6/a{at}/run"), fan))
        .chain([("etc/s6/web/run".to_string(), "#!/bin/sh\nexec /foreign\n")])
        .collect();
    let files: Vec<(&str, u16, &str)> = files.iter().map(|(path, text)| (path.as_str(), 0o755, *text)).collect();
    let trace = run(&["/usr/bin/s6-svscan", "/etc/s6"], &files);
    assert!(trace.risks.iter().any(|risk| risk.by == "/etc/s6/web/run"), "{:?}", trace.risks);
}

/// The line that supervisord prints when it refuses its configuration; empty if it starts.
fn refusal(words: &[&str], extra: &[(&str, u16, &str)]) -> String {
    let trace = run(words, extra);
    match short(&trace.outcome).as_str() {
        "runs" => String::new(),
        "exit 2 missing-directory" => trace.says.last().cloned().unwrap_or_default(),
        other => other.to_string(),
    }
}

#[test]
fn supervisord_needs_the_directories_that_its_configuration_names() {
    // Every answer was seen with supervisord 4.2.
    let text = |own: &str| format!("[supervisord]\nnodaemon=true\n{own}\n[program:a]\ncommand=/app\n");
    let direct = ["supervisord", "-n", "-c", "/etc/sv.conf"];
    let of = |own: &str, call: &[&str]| refusal(call, &[("etc/sv.conf", 0o644, own), ("var/log/x", 0o644, "")]);
    let program = |line: &str| of(&format!("{}{line}\n", text("")), &direct);
    let own = |line: &str| of(&text(line), &direct);
    let log = "Error: The directory named as part of the path /none/a.log does not exist";
    let in_section = format!("{log} in section 'program:a' (file: '/etc/sv.conf')");
    assert_eq!(program("stdout_logfile=/none/a.log"), in_section);
    assert_eq!(program("stderr_logfile=/none/a.log"), in_section);
    assert_eq!(program("autostart=false\nstderr_logfile=/none/a.log"), in_section);
    assert_eq!(own("logfile=/none/a.log"), log);
    assert_eq!(own("pidfile=/none/a.log"), log);
    assert_eq!(own("childlogdir=/none"), "Error: /none is not an existing directory");
    assert_eq!(own("directory=/none"), "Error: /none is not an existing directory");
    let socket = "Error: Cannot open an HTTP server: socket.error reported errno.ENOENT (2)";
    assert_eq!(own("[unix_http_server]\nfile=/none/s.sock"), socket);
    for line in ["NONE", "AUTO", "syslog", "/dev/stdout", "/proc/1/fd/1", "/var/log/a.log", "a.log", "/srv/a"] {
        assert_eq!(program(&format!("stdout_logfile={line}")), "", "{line}");
    }
    assert_eq!(own("logfile=/dev/null\npidfile=/run/s.pid"), "");
    let option = ["supervisord", "-n", "-c", "/etc/sv.conf", "-l", "/dev/null"];
    assert_eq!(of(&text("logfile=/none/a.log"), &option), "");
}

#[test]
fn a_script_may_create_the_directories_first() {
    let conf = "[supervisord]\n[program:a]\ncommand=/app\nstdout_logfile=/none/a.log\n";
    let after = |script: &str| {
        let script = format!("#!/bin/sh\n{script}\nexec supervisord -n -c /etc/sv.conf\n");
        refusal(
            &["/entry.sh"],
            &[("etc/sv.conf", 0o644, conf), ("entry.sh", 0o755, &script), ("bin/mkdir", 0o755, "#!/bin/sh\n")],
        )
    };
    assert!(after("echo start").starts_with("Error: The directory"));
    assert_eq!(after("mkdir -p /none"), "");
    assert_eq!(after("make() { mkdir -p \"$1\"; }\nfor d in /a /none; do make $d; done"), "");
    assert_eq!(after("/app"), "");
}

#[test]
fn supervisord_does_not_start_a_service_in_a_missing_directory() {
    let supervised = |directory: &str, expected: &[&str]| {
        let conf = format!("[supervisord]\n[program:a]\ncommand=/app\ndirectory={directory}\n");
        check(&["supervisord", "-c", "/etc/sv.conf"], &[("etc/sv.conf", 0o644, &conf)], expected);
    };
    supervised("/etc", &[]);
    // The working directory, which the runtime creates.
    supervised("/srv", &[]);
    let exits = ["/etc/sv.conf:3 exit 127 missing-directory"];
    supervised("/none", &exits);
    supervised("/app", &exits);
    supervised("none", &exits);
}

#[path = "author_tests.rs"]
mod author;
