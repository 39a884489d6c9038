//! Messages of runtimes that could not start a program.

use super::message_table;

#[rustfmt::skip]
message_table! { TABLE:
    OldRunc errno, "exec user process caused \"{errno}\"",
        "standard_init_linux.go:211: exec user process caused \"exec format error\"";
    OldRunc errno, "exec user process caused: {errno}",
        "standard_init_linux.go:228: exec user process caused: exec format error";
    Lambda errno, "Launch error: fork/exec {path}: {errno}",
        "IMAGE Launch error: fork/exec /entry_script.sh: exec format error Entrypoint: [/entry_script.sh] Cmd: [app.handler] WorkingDir: [/var/task]";
    Go errno, "fork/exec {path}: {errno}",
        "fork/exec /lambda-entrypoint.sh: exec format error";
    Crun errno, "exec container process (missing dynamic library?) `{path}`: {errno}",
        "{\"msg\":\"exec container process (missing dynamic library?) `/app`: No such file or directory\",\"level\":\"error\"}";
    Crun errno, "exec container process `{path}`: {errno}",
        "exec container process `/usr/local/bin/python`: Exec format error";
    Gvisor Exec(ENOEXEC), "failed to load {path}: exec format error",
        "terminated: Application failed to start: failed to load /usr/bin/java: exec format error";
    Gvisor errno, "Application failed to start: failed to load {path}: {errno}",
        "terminated: Application failed to start: failed to load /app/server: no such file or directory";
    Gvisor NotOnPath, "Application failed to start: failed to find executable {path}: {reason}",
        "Application failed to start: failed to find executable serve: no such file or directory";
    // Before the container starts.
    Runc NotOnPath, "exec: \"{path}\": executable file not found in",
        "OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"app\": executable file not found in $PATH: unknown";
    Runc ProgramNotFound, "exec: \"{path}\": stat {file}: no such file or directory",
        "container_linux.go:380: starting container process caused: exec: \"/app\": stat /app: no such file or directory";
    Runc NotExecutable, "exec: \"{path}\": stat {file}: permission denied",
        "unable to start container process: exec: \"/root/app\": stat /root/app: permission denied";
    Runc ProgramNotFound, "exec: \"{path}\": stat {file}: not a directory",
        "unable to start container process: exec: \"/app/run\": stat /app/run: not a directory";
    Runc NotExecutable, "exec: \"{path}\": permission denied",
        "OCI runtime create failed: runc create failed: unable to start container process: exec: \"/unpackerr\": permission denied: unknown";
    Runc NotExecutable, "exec: \"{path}\": is a directory",
        "runc create failed: unable to start container process: exec: \"/app\": is a directory: unknown";
    Runc ProgramNotFound, "exec: \"{path}\": no such file or directory",
        "unable to start container process: exec: \"/app\": no such file or directory";
    Runc errno, "exec: \"{path}\": {errno}",
        "container_linux.go:349: starting container process caused \"exec: \\\"/app\\\": exec format error\"";
    Runc NotOnPath, "exec: {=path}: executable file not found in",
        "Error: failed to start container \"web\": exec: nginx: executable file not found in $PATH";
    Runc NotOnPath, "cannot run executable found relative to current directory",
        "exec: \"app\": cannot run executable found relative to current directory";
    Crun NotOnPath, "executable file `{path}` not found in",
        "Error: crun: executable file `app` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found";
    Crun ProgramNotFound, "executable file `{path}` not found",
        "container create failed: executable file `/app` not found: No such file or directory";
    Crun ProgramNotFound, "cannot find `{path}` in $PATH",
        "crun: cannot find `app` in $PATH: No such file or directory";
    Crun NotExecutable, "the path `{path}` exists but it is not executable",
        "crun: the path `/app` exists but it is not executable: Permission denied";
    Crun NotExecutable, "the path `{path}` is not a regular file",
        "crun: the path `/app` is not a regular file";
    Crun NotExecutable, "open executable: ",
        "Error: crun: open executable: Permission denied: OCI permission denied";
    Youki errno, "failed to execvp err={errno}",
        "ERROR libcontainer::workload::default: failed to execvp err=ENOEXEC filename=\"/app\" args=[\"/app\"]";
    Youki errno, "error '{errno}' executing '{path}' with args",
        "error 'ENOEXEC: Exec format error' executing '\"/app\"' with args '[\"/app\"]'";
    Youki NotOnPath, "executable '{=path}' not found in $PATH",
        "executable 'serve' not found in $PATH";
    Youki NotExecutable, "executable '{path}' at path '{file}' does not have correct permissions",
        "executable '/app' at path '\"/app\"' does not have correct permissions";
    Youki errno, "failed to execvp: {errno}",
        "ERROR libcontainer::process::init::process: failed to execvp: ENOEXEC: Exec format error";
    // podman adds the same words to every error of the runtime about a missing file, or about missing rights.
    Podman ProgramNotFound, "Error: OCI runtime attempted to invoke a command that was not found",
        "Error: OCI runtime attempted to invoke a command that was not found";
    Podman NotExecutable, "Error: OCI permission denied",
        "Error: OCI permission denied";
    Docker NoCommand, "Error response from daemon: No command specified",
        "docker: Error response from daemon: No command specified.";
    Crun NoCommand, "executable path not specified",
        "crun: executable path not specified";
    Docker NoCommand, "no command specified",
        "Error: failed to generate container spec: no command specified";
    Podman NoCommand, "no command or entrypoint provided",
        "Error: no command or entrypoint provided, and no CMD or ENTRYPOINT from image";
    Runc UserMissing, "unable to find user {=user}: no matching entries in passwd file",
        "unable to start container process: error during container init: unable to find user app: no matching entries in passwd file";
    Runc UserMissing, "unable to find group {=user}: no matching entries in group file",
        "Error: unable to find group staff: no matching entries in group file";
    Podman UserMissing, "unable to get gid {=user} from group file: no matching entries in group file",
        "Error: creating temporary passwd file for container c03c4adc71d6: unable to get gid nogroup from group file: no matching entries in group file";
    S6 UserMissing, "s6-envuidgid: fatal: unknown user: {=user}",
        "s6-envuidgid: fatal: unknown user: ghost";
    Runit UserMissing, "chpst: fatal: unknown user/group: {=user}",
        "chpst: fatal: unknown user/group: ghost";
    Gosu UserMissing, "su-exec: getpwnam({=user}): {reason}",
        "su-exec: getpwnam(ghost): No such file or directory";
    Coreutils UserMissing, "user {=user} does not exist or the user entry does not contain",
        "su: user ghost does not exist or the user entry does not contain all the required fields";
    Supervisord UserMissing, "Invalid user name {=user} in section",
        "Error: Invalid user name ghost in section 'program:app' (file: '/etc/supervisor/supervisord.conf')";
    Kubelet RootRefused, "container has runAsNonRoot and image will run as root",
        "Error: container has runAsNonRoot and image will run as root (pod: \"web-1_shop(1234)\", container: app)";
    Kubelet RootRefused, "container has runAsNonRoot and image has non-numeric user ({=user})",
        "Error: container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root (pod: \"web-1_shop(1234)\", container: app)";
    Kubelet RootRefused, "container's runAsUser breaks non-root policy",
        "Error: container's runAsUser breaks non-root policy (pod: \"web-1_shop(1234)\", container: app)";
    Runc WorkingDirRefused, "container init: mkdir {path}: {reason}",
        "unable to start container process: error during container init: mkdir /etc/passwd/x: not a directory: unknown";
    Runc WorkingDirRefused, "chdir to cwd (\"{path}\") set in config.json failed: {reason}",
        "unable to start container process: error during container init: chdir to cwd (\"/root/app\") set in config.json failed: permission denied: unknown";
    Runc WorkingDirRefused, "Cwd must be an absolute path",
        "runc run failed: Cwd must be an absolute path";
    Crun WorkingDirRefused, "chdir to `{path}`: {reason}",
        "crun: chdir to `/app`: Not a directory";
    Crun WorkingDirRefused, "chdir `{path}`: {reason}",
        "crun: chdir `/app`: Permission denied";
    Podman WorkingDirRefused, "workdir \"{path}\" does not exist on container",
        "Error: workdir \"/srv/app\" does not exist on container c03c4adc71d6";
    Podman WorkingDirRefused, "workdir \"{path}\" exists on container {=id}, but is not a directory",
        "Error: workdir \"/app\" exists on container c03c4adc71d6, but is not a directory";
    Podman WorkingDirRefused, "detecting workdir \"{path}\" on container",
        "Error: detecting workdir \"/etc/passwd/x\" on container c03c4adc71d6: stat /merged/etc/passwd/x: not a directory";
    Lambda WorkingDirRefused, "Runtime.InvalidWorkingDir",
        "INIT_REPORT Init Duration: 0.4 ms Phase: init Status: error Error Type: Runtime.InvalidWorkingDir";
    CloudRun EntrypointInvalid, "Application exec likely failed",
        "terminated: Application exec likely failed";
    Fly errno, "failed to spawn command: {path}: {errno}",
        "[info] ERROR Error: failed to spawn command: /app/server: Exec format error (os error 8)";
    Lambda ProgramNotFound, "Couldn't find valid bootstrap(s): [{paths}]",
        "IMAGE Launch error: Couldn't find valid bootstrap(s): [/var/runtime/bootstrap /opt/bootstrap] Entrypoint: [] Cmd: [app.handler] WorkingDir: [/var/task]";
    Containerd UserMissing, "mount callback failed on {path}: no users found",
        "ctr: mount callback failed on /tmp/containerd-mount812: no users found";
    Containerd UserMissing, "mount callback failed on {path}: no groups found",
        "ctr: mount callback failed on /tmp/containerd-mount812: no groups found";
    Containerd UserMissing, "failed to get user by username: no users found",
        "Error: failed to generate spec: failed to get user by username: no users found";
}
