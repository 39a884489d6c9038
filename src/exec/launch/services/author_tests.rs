//! Services of the image's author that cannot start.

use super::check;

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
