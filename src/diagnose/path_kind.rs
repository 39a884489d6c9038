//! What a file is for, as far as its path shows: a script, a shell, a program, or data.

pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or("")
}

/// Start scripts of popular base images. They begin with `#!` and have Unix line endings, so they are not at fault.
const BASE_SCRIPTS: &[&str] = &[
    "lambda-entrypoint.sh",
    "docker-entrypoint.sh",
    "docker-php-entrypoint",
    "ros_entrypoint.sh",
    "nvidia_entrypoint.sh",
    "__cacert_entrypoint.sh",
    "docker-entrypoint",
    "dockerd-entrypoint.sh",
    "docker-php-entrypoint.sh",
    "kibana-docker",
    "container-entrypoint",
    "catalina.sh",
    "jenkins.sh",
    "jenkins-agent",
    "kc.sh",
    "start-notebook.sh",
    "s6-overlay-suexec",
];

pub fn is_base_script(path: Option<&str>) -> bool {
    path.is_some_and(|path| BASE_SCRIPTS.contains(&base_name(path)) || path.starts_with("/opt/bitnami/scripts/"))
}

/// Whether the name is of a script, which the kernel starts with the interpreter of its first line.
pub fn is_script(path: Option<&str>) -> bool {
    let name = base_name(path.unwrap_or(""));
    // Programs of Tekton and others also have this name.
    if name == "entrypoint" && path.is_some_and(|path| path.contains("/bin/")) {
        return false;
    }
    [".sh", ".bash", ".py", ".rb", ".pl", ".js"].iter().any(|end| name.ends_with(end))
        || name.contains("entrypoint")
        || matches!(name, "run" | "finish") && path.is_some_and(is_of_service)
}

/// Whether the file `run` or `finish` is a service's script for s6 or runit.
fn is_of_service(path: &str) -> bool {
    const DIRECTORIES: &[&str] = &["/s6/", "/s6-", "/service/", "/services.d/", "/sv/", "/runit/"];
    DIRECTORIES.iter().any(|directory| path.contains(directory))
}

pub fn is_shell(path: Option<&str>) -> bool {
    path.is_some_and(|path| matches!(base_name(path), "sh" | "bash" | "dash" | "ash" | "busybox"))
}

/// Whether the path is in a directory that a CI service mounts into the containers of its jobs.
pub fn is_of_job(path: &str) -> bool {
    ["/__w/", "/__t/", "/github/", "/builds/", "/codebuild/"].iter().any(|directory| path.starts_with(directory))
}

/// Whether a message is of a script that a CI service, a workflow engine or git wrote for a step, rather than of a file in
/// the image.
pub fn is_of_job_script(line: &str) -> bool {
    const SCRIPTS: &[&str] = &["/_temp/", "@tmp/durable-", "/durable-", ".command.sh", "hooks/", "postinstall: "];
    SCRIPTS.iter().any(|script| line.contains(script))
}

/// Whether a shell starts the path as a program, rather than reads it.
pub fn is_program(path: &str) -> bool {
    path.starts_with("./") || path.contains("/bin/") || path.contains("/sbin/")
}

/// Whether the path is of settings, state or devices, which are not started.
pub fn is_data(path: &str) -> bool {
    const DIRECTORIES: &[&str] = &["/etc/", "/proc/", "/sys/", "/dev/", "/var/log/", "/run/secrets/"];
    const ENDINGS: &[&str] = &[
        ".conf",
        ".cfg",
        ".cnf",
        ".ini",
        ".env",
        ".json",
        ".yaml",
        ".yml",
        ".toml",
        ".xml",
        ".properties",
        ".txt",
        ".log",
        ".pid",
        ".lock",
        ".key",
        ".pem",
        ".crt",
        ".sql",
        ".db",
        ".csv",
        ".md",
        ".html",
        ".tar",
        ".gz",
        ".zip",
        ".zst",
        ".xz",
        ".bz2",
        ".dump",
        ".bak",
        ".sock",
        ".socket",
    ];
    let is_started = path.contains("/init.d/") || path.contains("/s6-overlay/") || path.contains("/services.d/");
    // `.bashrc` and the like are read by shells.
    base_name(path).starts_with('.')
        || (DIRECTORIES.iter().any(|directory| path.starts_with(directory)) && !is_started && !is_script(Some(path)))
        || ENDINGS.iter().any(|ending| path.ends_with(ending))
}
