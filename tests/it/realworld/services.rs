//! Trees of services, each with an entry script that does the same as that of the official image: users, first starts,
//! directories of scripts, variables from files, supervisors.

use super::expected::{Tree, arm64};
use super::faults::{Bytes, Put};
use Bytes::{Native, Text};
use Put::{File, Link};

const TRUE: &str = "usr/bin/true";
const OWN: &str = "usr/local/bin/docker-entrypoint.sh";
const ENTRY: &str = "/usr/local/bin/docker-entrypoint.sh";

/// The users that the packages' own scripts create.
const USERS: Put = File(
    "etc/passwd",
    0o644,
    Text(
        "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/bash\nmysql:x:998:998::/nonexistent:/bin/false\nredis:x:997:997::/var/lib/redis:/bin/false\nrabbitmq:x:996:996::/var/lib/rabbitmq:/bin/sh\ngit:x:1000:1000::/data/git:/bin/bash\n",
    ),
);

const POSTGRES: &[Put] = &[
    USERS,
    File(OWN, 0o755, Text(include_str!("services/postgres.sh"))),
    File(
        "docker-entrypoint-initdb.d/10-role.sh",
        0o755,
        Text("#!/bin/bash\nset -e\npsql -v ON_ERROR_STOP=1 -c 'select 1'\n"),
    ),
    File("docker-entrypoint-initdb.d/20-tables.sql", 0o644, Text("create table a (b int);\n")),
];

const MARIADB: &[Put] = &[USERS, File(OWN, 0o755, Text(include_str!("services/mariadb.sh")))];
const REDIS: &[Put] = &[USERS, File(OWN, 0o755, Text(include_str!("services/redis.sh")))];

const NGINX: &[Put] = &[
    File(OWN, 0o755, Text(include_str!("services/nginx.sh"))),
    File("docker-entrypoint.d/10-listen-on-ipv6.sh", 0o755, Text(include_str!("services/nginx-ipv6.sh"))),
    File("docker-entrypoint.d/15-resolvers.envsh", 0o755, Text(include_str!("services/nginx-templates.envsh"))),
];

const HTTPD: &[Put] = &[File("usr/local/bin/apache2-foreground", 0o755, Text(include_str!("services/httpd.sh")))];

const PHP_FPM: &[Put] = &[
    File(OWN, 0o755, Text(include_str!("services/php.sh"))),
    File("docker-entrypoint.d/50-cache.sh", 0o755, Text("#!/bin/sh\nset -e\nphp -r 'echo 1;'\n")),
];

const WORDPRESS: &[Put] = &[
    File(OWN, 0o755, Text(include_str!("services/wordpress.sh"))),
    File("usr/local/bin/apache2-foreground", 0o755, Text(include_str!("services/httpd.sh"))),
    File("usr/src/wordpress/index.php", 0o644, Text("<?php\n")),
    File("usr/src/wordpress/wp-content/themes/one/style.css", 0o644, Text("a {}\n")),
];

const RABBITMQ: &[Put] = &[USERS, File(OWN, 0o755, Text(include_str!("services/rabbitmq.sh")))];

const RELEASE: &[Put] = &[
    File("app/bin/hello", 0o755, Text(include_str!("services/release.sh"))),
    File("app/releases/start_erl.data", 0o644, Text("13.1.5 0.1.0\n")),
    File("app/releases/COOKIE", 0o600, Text("SECRET\n")),
    File("app/releases/0.1.0/env.sh", 0o755, Text("#!/bin/sh\nexport RELEASE_DISTRIBUTION=none\n")),
    File("app/releases/0.1.0/elixir", 0o755, Text(include_str!("services/release-elixir.sh"))),
    File("app/erts-13.1.5/bin/erl", 0o755, Text(include_str!("services/release-erl.sh"))),
    File("app/erts-13.1.5/bin/erlexec", 0o755, Native("usr/lib/erlang/erts-13.1.5/bin/erlexec")),
    File("app/erts-13.1.5/bin/beam.smp", 0o755, Native("usr/lib/erlang/erts-13.1.5/bin/beam.smp")),
    File("app/erts-13.1.5/bin/run_erl", 0o755, Native("usr/lib/erlang/erts-13.1.5/bin/run_erl")),
    File("app/lib/hello-0.1.0/priv/hello_nif.so", 0o755, Native("usr/lib/aarch64-linux-gnu/libz.so.1.2.13")),
];

const GITEA: &[Put] = &[
    USERS,
    File("usr/bin/entrypoint", 0o755, Text(include_str!("services/gitea.sh"))),
    File("etc/s6/gitea/run", 0o755, Text(include_str!("services/gitea-run.sh"))),
    File("etc/s6/gitea/setup", 0o755, Text(include_str!("services/gitea-setup.sh"))),
    File("etc/s6/gitea/finish", 0o755, Text("#!/bin/bash\nexit 0\n")),
    File("etc/s6/openssh/run", 0o755, Text(include_str!("services/gitea-ssh.sh"))),
    File("etc/s6/openssh/setup", 0o755, Text("#!/bin/bash\nif [ ! -d /data/ssh ]; then mkdir -p /data/ssh; fi\n")),
    File("etc/s6/.s6-svscan/finish", 0o755, Text("#!/bin/bash\nexit 0\n")),
    File("app/gitea/gitea", 0o755, Native(TRUE)),
    File(
        "usr/local/bin/gitea",
        0o755,
        Text("#!/bin/bash\nset -euo pipefail\nexec -a \"$0\" /app/gitea/gitea \"$@\"\n"),
    ),
];

const GRAFANA: &[Put] = &[
    File("run.sh", 0o755, Text(include_str!("services/grafana.sh"))),
    File("usr/share/grafana/bin/grafana", 0o755, Native(TRUE)),
    File("usr/share/grafana/bin/grafana-server", 0o755, Native(TRUE)),
    File("etc/grafana/grafana.ini", 0o644, Text("[paths]\ndata = /var/lib/grafana\n")),
];

/// A virtual environment as uv and pip create it, with the console script that the entry script starts.
const AIRFLOW: &[Put] = &[
    File("entrypoint", 0o755, Text(include_str!("services/airflow.sh"))),
    Link("opt/airflow/venv/bin/python", "/usr/bin/python3.11"),
    Link("opt/airflow/venv/bin/python3", "python"),
    File("opt/airflow/venv/pyvenv.cfg", 0o644, Text("home = /usr/bin\nversion = 3.11.2\n")),
    File("opt/airflow/venv/lib/python3.11/site-packages/airflow/__main__.py", 0o644, Text("def main(): pass\n")),
    File("opt/airflow/venv/bin/airflow", 0o755, Text(CONSOLE)),
];

const CONSOLE: &str = "#!/opt/airflow/venv/bin/python\n# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom airflow.__main__ import main\nif __name__ == '__main__':\n    sys.exit(main())\n";

const JUPYTER: &[Put] = &[
    USERS,
    File("usr/local/bin/start.sh", 0o755, Text(include_str!("services/jupyter.sh"))),
    File("usr/local/bin/run-hooks.sh", 0o755, Text(include_str!("services/jupyter-hooks.sh"))),
    File("usr/local/bin/before-notebook.d/10-log.sh", 0o755, Text("#!/bin/bash\n_log \"before\"\n")),
    Link("usr/local/bin/start-notebook.d", "before-notebook.d"),
    File("usr/local/lib/python3.11/dist-packages/jupyter_core/command.py", 0o644, Text("def main(): pass\n")),
    File(
        "usr/local/bin/jupyter",
        0o755,
        Text(
            "#!/usr/bin/python3.11\nimport sys\nfrom jupyter_core.command import main\nif __name__ == '__main__':\n    sys.exit(main())\n",
        ),
    ),
];

const LARAVEL: &[Put] = &[
    Link("usr/bin/php", "php8.2"),
    File("usr/local/bin/start.sh", 0o755, Text(include_str!("services/laravel.sh"))),
    File("var/www/html/artisan", 0o755, Text("#!/usr/bin/env php\n<?php\n")),
    File(
        "etc/supervisor/conf.d/app.conf",
        0o644,
        Text(
            "[program:php-fpm]\ncommand=/usr/sbin/php-fpm8.2 -F\n\n[program:queue]\ncommand=php /var/www/html/artisan queue:work\n",
        ),
    ),
];

/// A server that npm starts through a script of the project.
const NPM: &[Put] = &[
    Link("usr/local/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js"),
    File(
        "usr/local/lib/node_modules/npm/bin/npm-cli.js",
        0o755,
        Text("#!/usr/bin/env node\nrequire('../lib/cli.js')(process)\n"),
    ),
    File(
        "package.json",
        0o644,
        Text(
            "{\"name\": \"app\", \"scripts\": {\"prestart\": \"node check.js\", \"start\": \"NODE_ENV=production next start\"}}\n",
        ),
    ),
    File("check.js", 0o644, Text("process.exit(0)\n")),
    Link("node_modules/.bin/next", "../next/dist/bin/next"),
    File("node_modules/next/dist/bin/next", 0o755, Text("#!/usr/bin/env node\nrequire('x')\n")),
];

const RAILS: &[Put] = &[File(
    "usr/local/bin/docker-entrypoint",
    0o755,
    Text(
        "#!/bin/bash -e\nif [ \"${@: -2:1}\" == \"./bin/rails\" ] && [ \"${@: -1:1}\" == \"server\" ]; then\n  ./bin/rails db:prepare\nfi\nexec \"${@}\"\n",
    ),
)];

pub const TREES: &[Tree] = &[
    Tree { made: POSTGRES, cmd: &["postgres"], ..arm64("postgres-service", &["postgresql-15", "gosu"], ENTRY) },
    Tree { made: MARIADB, cmd: &["mariadbd"], ..arm64("mariadb-service", &["mariadb-server", "gosu"], ENTRY) },
    Tree { made: REDIS, cmd: &["redis-server"], ..arm64("redis-service", &["redis-server", "gosu"], ENTRY) },
    Tree { made: NGINX, cmd: &["nginx", "-g", "daemon off;"], ..arm64("nginx-service", &["nginx-light"], ENTRY) },
    Tree { made: HTTPD, ..arm64("httpd-service", &["apache2"], "/usr/local/bin/apache2-foreground") },
    Tree { made: PHP_FPM, cmd: &["php-fpm8.2", "-F"], ..arm64("php-fpm-service", &["php-cli", "php-fpm"], ENTRY) },
    Tree {
        made: WORDPRESS,
        cmd: &["apache2-foreground"],
        ..arm64("wordpress-like", &["apache2", "libapache2-mod-php", "php-mysql"], ENTRY)
    },
    Tree {
        made: RABBITMQ,
        cmd: &["rabbitmq-server"],
        ..arm64("rabbitmq-service", &["rabbitmq-server", "gosu"], ENTRY)
    },
    Tree { made: RELEASE, cmd: &["start"], ..arm64("mix-release", &["erlang-base"], "/app/bin/hello") },
    Tree { made: GITEA, ..arm64("gitea-like", &["s6", "gosu", "git", "openssh-server"], "/usr/bin/entrypoint") },
    Tree { made: GRAFANA, ..arm64("grafana-like", &["curl"], "/run.sh") },
    Tree {
        made: AIRFLOW,
        cmd: &["--", "/entrypoint", "scheduler"],
        ..arm64("airflow-like", &["python3", "dumb-init"], "/usr/bin/dumb-init")
    },
    Tree {
        made: JUPYTER,
        cmd: &["-g", "--", "start.sh", "jupyter", "lab"],
        ..arm64("jupyter-like", &["python3", "tini", "sudo"], "/usr/bin/tini")
    },
    Tree { made: LARAVEL, ..arm64("laravel-like", &["php-cli", "php-fpm", "supervisor"], "/usr/local/bin/start.sh") },
    Tree { made: NPM, cmd: &["start"], ..arm64("npm-start", &["nodejs"], "/usr/local/bin/npm") },
    Tree {
        made: RAILS,
        cmd: &["bundle", "exec", "puma"],
        ..arm64("rails-like", &["ruby", "bundler", "puma"], "/usr/local/bin/docker-entrypoint")
    },
];
