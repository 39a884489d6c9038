//! Tables that cron ignores, units that systemd refuses, and services that a script writes.

use super::super::tests::{check, run};
use crate::exec::Followed;
use crate::exec::tests::short;

#[test]
fn cron_ignores_tables_that_others_can_write_or_that_do_not_end_in_a_newline() {
    let cron = |mode, text: &str, expected: &[&str]| check(&["cron", "-f"], &[("etc/cron.d/a", mode, text)], expected);
    let ignored = ["/etc/cron.d/a:1 exit 1 bad-configuration"];
    cron(0o644, "@reboot root /app\n", &[]);
    cron(0o664, "@reboot root /app\n", &ignored);
    cron(0o644, "@reboot root /app", &ignored);
    cron(0o644, "@reboot root date +%F && /app\n", &ignored);
    cron(0o644, "@reboot root /app --date \\%F && /app\n", &[]);
    cron(0o644, "@reboot root /app\r\n", &["/etc/cron.d/a:1 exit 127 carriage-return"]);
    cron(0o644, "@reboot root '/app --x'\n", &["/etc/cron.d/a:1 exit 127 missing-file"]);
    cron(0o644, "@reboot root test -x /opt/none && /opt/none\n", &[]);
    let spool = |mode, expected: &[&str]| {
        check(&["cron", "-f"], &[("var/spool/cron/crontabs/root", mode, "@reboot /app\n")], expected);
    };
    spool(0o600, &[]);
    spool(0o644, &["/var/spool/cron/crontabs/root:1 exit 1 bad-configuration"]);
}

#[test]
fn names_with_dots_are_ignored() {
    let table = "@reboot root /app\n";
    let debian = |name: &str, expected: &[&str]| check(&["cron", "-f"], &[(name, 0o644, table)], expected);
    debian("etc/cron.d/app.cron", &["/etc/cron.d/app.cron:1 exit 1 bad-configuration"]);
    debian("etc/cron.d/app.disabled", &[]);
    debian("etc/cron.d/.placeholder", &[]);
}

#[test]
fn monit_refuses_a_file_that_others_may_read() {
    let monit = |mode, expected: &str| {
        let trace = run(&["monit", "-I", "-c", "/m"], &[("m", mode, "set daemon 30\n")]);
        assert_eq!(short(&trace.outcome), expected);
    };
    monit(0o600, "runs");
    monit(0o700, "runs");
    monit(0o644, "exit 1 bad-configuration");
}

#[test]
fn supercronic_has_fields_for_seconds_and_years() {
    let table = |text: &str, expected: &[&str]| {
        check(&["supercronic", "/srv/crontab"], &[("srv/crontab", 0o644, text)], expected);
    };
    let at = ["/srv/crontab:1 exit 126 foreign-architecture"];
    for text in
        ["*/5 * * * * /foreign", "0 0 * * MON-FRI 2030 /foreign", "*/10 * * * * * * /foreign", "@hourly /foreign"]
    {
        table(&format!("{text}\n"), &at);
    }
    table("* * * * * * * /app\r\n", &[]);
    table("* * * * * root /app\n", &["/srv/crontab:1 exit 127 not-in-path"]);
}

#[test]
fn systemd_refuses_units_whose_settings_lead_nowhere() {
    let unit = |own: &str, expected: &str| {
        let path = "etc/systemd/system/multi-user.target.wants/a.service";
        let text = format!("[Service]\n{own}\n");
        let trace = run(&["/usr/lib/systemd/systemd"], &[(path, 0o644, &text)]);
        let risks: Vec<String> = trace.risks.iter().map(|risk| short(&risk.outcome)).collect();
        assert_eq!(risks.join(" "), expected, "{own}");
    };
    // Every answer was seen with systemd 252.
    unit("ExecStart=/app\nWorkingDirectory=/none", "exit 200 missing-directory");
    unit("ExecStart=/app\nWorkingDirectory=-/none", "");
    unit("ExecStart=/app\nEnvironmentFile=/etc/none", "exit 1 bad-configuration");
    unit("ExecStart=/app\nEnvironmentFile=-/etc/none", "");
    unit("ExecStart=/app\nEnvironmentFile=/run/late", "");
    unit("ExecStart=$BIN/app", "exit 1 bad-configuration");
    unit("ExecStart=./app", "exit 1 bad-configuration");
    unit("ExecStart=/app\n[Unit]\nRequires=none.service", "exit 1 bad-configuration");
    unit("ExecStart=/app\n[Unit]\nWants=none.service", "");
}

#[test]
fn services_that_a_script_writes_are_followed() {
    let entry = |script: &str, expected: &[&str]| {
        let text = format!("#!/bin/sh\nset -e\n{script}\n");
        let tool = |path| (path, 0o755, "#!/bin/sh\n:\n");
        let tools = ["bin/mkdir", "bin/cat", "bin/chmod", "bin/tee", "bin/sed", "bin/ln"].map(tool);
        let files: Vec<(&str, u16, &str)> =
            tools.into_iter().chain([("e", 0o755, text.as_str()), ("etc/cron.d/.keep", 0o644, "")]).collect();
        check(&["/e"], &files, expected);
    };
    let run = |body: &str, rest: &str| {
        format!("mkdir -p /service/web\ncat > /service/web/run <<END\n{body}\nEND\n{rest}\nexec runsvdir /service")
    };
    let at = |what: &str| format!("/service/web/run:1 {what}");
    let good = "#!/bin/sh\nexec /app";
    entry(&run(good, "chmod +x /service/web/run"), &[]);
    entry(&run("#!/bin/sh\nexec /foreign", "chmod 755 /service/web/run"), &[&at("exit 126 foreign-architecture")]);
    entry(&run(good, ""), &[&at("EACCES not-executable")]);
    entry(&run("exec /app", "chmod +x /service/web/run"), &[&at("ENOEXEC no-shebang")]);
    entry(&run("#!/usr/bin/fish\nexec /app", "chmod +x /service/web/run"), &[&at("ENOENT missing-interpreter")]);
    let conf = |bin: &str| {
        format!(
            "printf '%s\\n' '[supervisord]' '[program:a]' 'command={bin}' > /etc/s.conf\nexec supervisord -c /etc/s.conf"
        )
    };
    entry(&conf("/app"), &[]);
    entry(&conf("/foreign"), &["/etc/s.conf:3 ENOEXEC foreign-architecture"]);
    entry(
        "echo '@reboot root /foreign' > /etc/cron.d/a\nexec cron -f",
        &["/etc/cron.d/a:1 exit 126 foreign-architecture"],
    );
    // A link that the script makes to a directory that is not there.
    entry("mkdir -p /s\nln -s /etc/sv/none /s/web\nexec runsvdir /s", &["/etc/sv/none/run:1 ENOENT missing-program"]);
}

#[test]
fn supervisord_refuses_values_that_it_cannot_read() {
    let refused = |conf: &str| {
        let trace = run(&["/usr/bin/supervisord", "-c", "/srv/sv.conf"], &[("srv/sv.conf", 0o644, conf)]);
        short(&trace.outcome)
    };
    // Every answer was seen with supervisord 4.2.
    for own in [
        "command=/app %Y",
        "command=/app %(program)s",
        "command=/app\nnumprocs=2",
        "command=/app\nautorestart=maybe",
        "command=/app\npriority=high",
        "command=/app\nstopsignal=FOO",
        "command=/app\nenvironment=A=\"x\",B",
        "autostart=true",
        "command=/app\n[group:g]\nprograms=web,none",
        "command=/app\n[program:b]\nautostart=false\ncommand=/app %(none)s",
    ] {
        assert_eq!(refused(&format!("[program:web]\n{own}\n")), "exit 2 bad-configuration", "{own}");
    }
    for own in [
        "command=/app %(ENV_HOME)s %(host_node_name)s",
        "command=/app\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d",
        "command=/app\nautorestart=unexpected\nstopsignal=SIGQUIT\nautostart=True",
        "command=/app\nenvironment=A=\"x,y\",B=z,",
        "command=/app\n[group:g]\nprograms=web",
    ] {
        assert_eq!(refused(&format!("[program:web]\n{own}\n")), "runs", "{own}");
    }
}

/// supervisord 4.2 refuses a variable that is not set, but a user may set it: the image alone does not decide.
#[test]
fn a_variable_of_supervisord_that_the_image_does_not_set_is_for_the_user() {
    let conf = "[program:web]\ncommand=%(ENV_WEB)s -x\n";
    let trace = run(&["/usr/bin/supervisord", "-c", "/srv/sv.conf"], &[("srv/sv.conf", 0o644, conf)]);
    assert_eq!(short(&trace.outcome), "runs");
    assert!(matches!(trace.followed, Followed::Partial { .. }), "{trace:#?}");
}
