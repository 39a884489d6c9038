//! Faults in services: the programs that entry scripts finally run, and the files that runtimes and console scripts
//! need.

use super::*;
use Bytes::{ForeignSample, Text};
use Put::{File, Gone};

const WRONG: &str = "entrypoint-wrong-arch";

pub const POSTGRES: &[Fault] = &[fault(
    "the server, after gosu and the script again",
    &[File("usr/lib/postgresql/15/bin/postgres", 0o755, ForeignSample)],
    &[],
    (WRONG, "/usr/lib/postgresql/15/bin/postgres"),
)];
pub const REDIS: &[Fault] = &[fault(
    "gosu for another architecture",
    &[File("usr/sbin/gosu", 0o755, ForeignSample)],
    &[],
    (WRONG, "/usr/sbin/gosu"),
)];
pub const NGINX: &[Fault] =
    &[fault("the server", &[File("usr/sbin/nginx", 0o755, ForeignSample)], &[], (WRONG, "/usr/sbin/nginx"))];
pub const HTTPD: &[Fault] =
    &[fault("the server", &[File("usr/sbin/apache2", 0o755, ForeignSample)], &[], (WRONG, "/usr/sbin/apache2"))];
pub const RELEASE: &[Fault] = &[fault(
    "the builder's virtual machine",
    &[File("app/erts-13.1.5/bin/erlexec", 0o755, ForeignSample)],
    &[],
    (WRONG, "/app/erts-13.1.5/bin/erlexec"),
)];
pub const GRAFANA: &[Fault] = &[fault(
    "the server, below the home directory",
    &[File("usr/share/grafana/bin/grafana", 0o755, ForeignSample)],
    &[],
    (WRONG, "/usr/share/grafana/bin/grafana"),
)];
pub const AIRFLOW: &[Fault] = &[fault(
    "a console script without its package",
    &[Gone("opt/airflow/venv/lib/python3.11/site-packages/airflow")],
    &["/opt/airflow/venv/bin/airflow", "scheduler"],
    ("entrypoint-not-found", "/opt/airflow/venv/bin/airflow"),
)];
pub const NPM: &[Fault] = &[
    fault(
        "a command that the production install omits",
        &[File("package.json", 0o644, Text("{\"scripts\": {\"start\": \"nodemon server.js\"}}\n"))],
        &[],
        ("entrypoint-not-found", "nodemon"),
    ),
    fault(
        "a project without the script",
        &[File("package.json", 0o644, Text("{\"scripts\": {\"dev\": \"node check.js\"}}\n"))],
        &[],
        ("entrypoint-not-found", "/package.json"),
    ),
];
pub const RAILS: &[Fault] =
    &[fault("bundler's Ruby", &[File("usr/bin/ruby3.1", 0o755, ForeignSample)], &[], (WRONG, "/usr/bin/ruby3.1"))];
