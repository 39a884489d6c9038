//! Texts that people paste into threads: several lines, wrapped by a tool, with other lines of the log.

use super::cause::Suspect::{self, *};
use super::rank::{Circumstances, rank};
use super::reader::read_text;

/// Texts with the expected first suspect. `None`: nothing is blamed on the image.
const THREADS: &[(&str, Option<Suspect>)] = &[
    // Runtimes and engines.
    (
        "WARNING: The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8) and no specific platform was requested\nOperationalError: connection to server at \"db\" failed\napi-1 exited with code 1",
        None,
    ),
    (
        "WARNING: The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8) and no specific platform was requested\n8f14e45fceea167a5a36dedd4bea2543",
        Some(WrongArchitecture),
    ),
    (
        "! db The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8) and no specific platform was requested 0.0s\n ✔ Container api Created 0.1s\ndependency failed to start: container db is unhealthy",
        Some(WrongArchitecture),
    ),
    ("/lib/ld-linux-armhf.so.3: No such file or directory", Some(MissingLoader)),
    ("/bin/sh: 1: /app/server: Text file busy", Some(FileBusy)),
    ("cp: cannot create regular file '/usr/local/bin/app': Text file busy", None),
    (
        "docker: Error response from daemon: image with reference app:1 was found but its platform (linux/amd64) does not match the specified platform (linux/arm64).\nSee 'docker run --help'.",
        Some(WrongArchitecture),
    ),
    ("[pod/api-6d9f/api] exec /usr/local/bin/docker-entrypoint.sh: exec format error", Some(WrongArchitecture)),
    ("ros-1  | exec /ros_entrypoint.sh: exec format error\nros-1 exited with code 255", Some(WrongArchitecture)),
    (
        "minio  | exec /usr/bin/docker-entrypoint.sh: exec format error\nminio exited with code 1",
        Some(WrongArchitecture),
    ),
    ("db_1   | standard_init_linux.go:178: exec user process caused \"exec format error\"", Some(WrongArchitecture)),
    ("exec /app/start.sh: exec format error", Some(ForeignInterpreter)),
    ("failed to start shim: start failed: exec: \"/pause\": exec format error: unknown", Some(WrongArchitecture)),
    (
        "ch-run[121666]: error: can't execve(2): /sbin/ldconfig: Exec format error (ch_core.c:549 8)",
        Some(WrongArchitecture),
    ),
    ("lxc-start: u1: start.c: start: 2197 Exec format error - Failed to exec \"/sbin/init\"", Some(WrongArchitecture)),
    (
        "{container_linux.go:370: starting container process caused: exec: \"./manage.py\": permission denied: unknown",
        Some(NotExecutable),
    ),
    ("Error response from daemon: No command specified.", Some(NothingToStart)),
    ("crun: executable file `gunicorn` not found in $PATH: No such file or directory", Some(NotOnPath)),
    ("api-1  | exec ./entrypoint.sh: no such file or directory", Some(CarriageReturn)),
    ("Application failed to start: failed to load /app/main: exec format error", Some(WrongArchitecture)),
    (
        "restart  Back-off restarting failed container\nLast State: Terminated\n  Reason: Error\n  Exit Code: 132",
        Some(CpuLevel),
    ),
    ("2e5c app \"/app\" 5 minutes ago Exited (132) 4 minutes ago", Some(CpuLevel)),
    (
        "INFO: container failed with non-zero exit code: container failed with non-zero exit code: 132 (exit code 132)",
        Some(CpuLevel),
    ),
    // Pulls and platforms.
    (
        "Error response from daemon: image with reference app:1 was found but does not match the specified platform: wanted linux/arm64, actual: linux/amd64",
        Some(WrongArchitecture),
    ),
    (
        "! web The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8) and no specific platform was requested 0.0s",
        Some(WrongArchitecture),
    ),
    (
        "failed to deploy project: no matching manifest for linux/arm64/v8 in the manifest list entries",
        Some(NoPlatform),
    ),
    (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'",
        Some(NoPlatform),
    ),
    (
        "ERROR: Failed to provision revision for container app 'web'. Error details: Field 'template.containers.web.image' is invalid with details: 'Invalid value: \"r.example/app:1\": image OS/Arc must be linux/amd64 but found linux/arm64';",
        Some(NoPlatform),
    ),
    (
        "Revision 'app-00001' is not ready: Cloud Run does not support image 'r.example/app': Container manifest type 'application/vnd.oci.image.index.v1+json' must support amd64/linux.",
        Some(NoPlatform),
    ),
    ("ctr: no match for platform in manifest: not found", Some(NoPlatform)),
    (
        "error building image: no child with platform linux/arm64 in index index.docker.io/library/app:1",
        Some(NoPlatform),
    ),
    (
        "Failed to pull image \"mcr.example/windows/nanoserver:ltsc2022\": a Windows version 10.0.20348-based image is incompatible with a 10.0.17763 host",
        Some(NoPlatform),
    ),
    // Lambda.
    ("Error: fork/exec /var/task/bootstrap: exec format error\nRuntime.InvalidEntrypoint", Some(WrongArchitecture)),
    (
        "{\"errorType\":\"Runtime.InvalidEntrypoint\",\"errorMessage\":\"RequestId: 2 Error: fork/exec /var/runtime/bootstrap: no such file or directory\"}",
        Some(MissingLoader),
    ),
    (
        "Unable to import module 'handler': libcrypto.so.1.1: cannot open shared object file: No such file or directory",
        Some(MissingLibrary),
    ),
    (
        "Runtime.ImportModuleError: Unable to import module 'main': No module named 'psycopg2._psycopg'",
        Some(ForeignPackage),
    ),
    (
        "Unable to import module 'app': /var/task/numpy/_core/_multiarray_umath.so: invalid ELF header",
        Some(ForeignLibrary),
    ),
    // Supervisors.
    (
        "s6-supervise web (child): warning: unable to spawn ./run (waiting 60 seconds): Exec format error",
        Some(NotAProgram),
    ),
    ("/init: 37: exec: s6-overlay-suexec: Exec format error", Some(WrongArchitecture)),
    (
        "/command/s6-overlay-suexec: line 0: ?: not found\n/command/s6-overlay-suexec: line 1:ELF: not found\n/command/s6-overlay-suexec: line 2: syntax error: unexpected \")\"",
        Some(WrongArchitecture),
    ),
    ("2021-01-15 08:43:49,037 INFO spawnerr: can't find command 'php-fpm'", Some(NotOnPath)),
    (
        "2016-08-16 07:53:38,721 INFO exited: web (exit status 127; not expected)\n2016-08-16 07:53:40 INFO gave up: web entered FATAL state",
        Some(NotOnPath),
    ),
    ("2022 INFO spawnerr: couldn't exec /app/worker: EACCES", Some(NoExecMount)),
    ("runsv api: fatal: unable to start ./run: file does not exist", Some(CarriageReturn)),
    ("error: exec failed: exec format error", Some(WrongArchitecture)),
    ("su-exec: /usr/bin/redis-server: Exec format error", Some(WrongArchitecture)),
    // Shells.
    (
        "/root/ovnkube.sh: line 1082: /usr/bin/ovnkube-identity: cannot execute binary file: Exec format error",
        Some(WrongArchitecture),
    ),
    ("sh: ./server: not found", Some(MissingLoader)),
    ("/bin/sh: 1: ./main: not found", Some(MissingLoader)),
    ("/docker-entrypoint.sh: line 12: /docker-entrypoint.d/40-app.sh: not found", Some(CarriageReturn)),
    ("/bin/sh: /usr/local/bin/helper: Permission denied", Some(NotExecutable)),
    ("entrypoint.sh: 3: exec: gunicorn: not found", Some(NotOnPath)),
    ("/usr/bin/env: ‘python’: No such file or directory", Some(MissingInterpreter)),
    ("env: can't execute 'bash': No such file or directory", Some(MissingInterpreter)),
    ("env: can't execute 'python3\r': No such file or directory", Some(CarriageReturn)),
    ("zsh: bad CPU type in executable: ./kind", Some(WrongArchitecture)),
    ("/entrypoint.sh: line 4: syntax error near unexpected token `$'do\\r''", Some(CarriageReturn)),
    (
        "bash : ./deploy : impossible d'exécuter le fichier binaire : Erreur de format pour exec()",
        Some(WrongArchitecture),
    ),
    ("bash: ./kubectl: バイナリファイルを実行できません: 実行形式エラー", Some(WrongArchitecture)),
    ("OSError: [Errno 8] Ошибка формата выполняемого файла: '/opt/tool'", Some(WrongArchitecture)),
    ("bash: ./app: no se puede ejecutar fichero binario: Formato de ejecutable incorrecto", Some(WrongArchitecture)),
    // CPU and pages.
    (
        "mongo  | WARNING: MongoDB 5.0+ requires a CPU with AVX support, and your current system does not appear to have that!\nmongo  | see https://jira.mongodb.org/browse/SERVER-54407\nmongo exited with code 132",
        Some(CpuLevel),
    ),
    (
        "ERROR: This container was built for CPUs supporting at least the AVX instruction set, but\n       the CPU detected was Intel(R) Xeon(R) CPU X3470",
        Some(CpuLevel),
    ),
    ("warn: CPU lacks AVX support, strange crashes may occur. Reinstall Bun or use *-baseline build:", Some(CpuLevel)),
    (
        "kernel: traps: clickhouse[812] trap invalid opcode ip:aaaa sp:7ffe error:0 in clickhouse[400000+1000]",
        Some(CpuLevel),
    ),
    ("app.service: Main process exited, code=dumped, status=4/ILL", Some(CpuLevel)),
    ("INFO exited: api (terminated by SIGILL; not expected)", Some(CpuLevel)),
    (
        "redis | <jemalloc>: Unsupported system page size\nredis | <jemalloc>: Unsupported system page size",
        Some(PageSize),
    ),
    ("Error: PageSize configuration is wrong: configured with 4096, but got 16384", Some(PageSize)),
    // Packages.
    (
        "Error: 'darwin-arm64v8' binaries cannot be used on the 'linux-x64' platform. Please remove the 'node_modules/sharp' directory and run 'npm install' on the 'linux-x64' platform.",
        Some(ForeignPackage),
    ),
    (
        "PrismaClientInitializationError: Prisma Client could not locate the Query Engine for runtime \"linux-arm64-openssl-3.0.x\".",
        Some(ForeignPackage),
    ),
    (
        "Error: Cannot find module @rollup/rollup-linux-x64-musl. npm has a bug related to optional dependencies",
        Some(ForeignPackage),
    ),
    ("ERROR: torch-2.1-cp311-cp311-linux_aarch64.whl is not a supported wheel on this platform.", Some(ForeignPackage)),
    (
        "System.DllNotFoundException: Unable to load shared library 'libgdiplus' or one of its dependencies.",
        Some(MissingLibrary),
    ),
    ("java.lang.UnsatisfiedLinkError: no netty_tcnative_linux_aarch_64 in java.library.path", Some(MissingLibrary)),
    (
        "dpkg: error processing archive /tmp/chrome.deb (--install):\n package architecture (amd64) does not match system (arm64)",
        Some(WrongArchitecture),
    ),
    // Emulators.
    ("rosetta error: futex(FUTEX_LOCK_PI_PRIVATE) failure: 35", Some(Emulator)),
    (
        "assertion failed [!mmap_result.is_error && x]: Could not mmap data for the VMTracker slab allocator: 12\n(VMAllocationTracker.cpp:318 init)",
        Some(Emulator),
    ),
    (
        "OrbStack ERROR: Dynamic loader not found: /lib64/ld-linux-x86-64.so.2\n\nThis usually means that you're running an x86 program on an arm64 OS without multi-arch libraries.",
        Some(MissingLoader),
    ),
    (
        "#9 41.2 qemu: uncaught target signal 11 (Segmentation fault) - core dumped\n#9 41.3 Segmentation fault (core dumped)\nERROR: failed to solve: process \"/dev/.buildkit_qemu_emulator /bin/sh -c npm ci\" did not complete successfully: exit code: 139",
        Some(Emulator),
    ),
    // Unrelated to the image.
    (
        "ERROR: failed to solve: process \"/dev/.buildkit_qemu_emulator /bin/sh -c pip install x\" did not complete successfully: exit code: 1",
        None,
    ),
    ("   Loaded: error (Reason: Exec format error)", None),
    ("Failed to start app.service: Exec format error", None),
    ("web-1 exited with code 137", None),
    ("db-1 exited with code 255", None),
    ("Error: Process completed with exit code 1.", None),
    ("exec /sql/query: error near SELECT", None),
    ("failed to load /etc/app/config.yaml: no such file or directory", None),
    ("open /lib64/data: permission denied", None),
    ("fatal: could not read Username: No such device or address", None),
    ("npm ERR! code ENOENT\nnpm ERR! syscall open\nnpm ERR! path /app/package.json", None),
    ("env: production\nfile not found: /srv/x", None),
    ("Cannot find module './utils'", None),
    ("ModuleNotFoundError: No module named 'app.models'", None),
    ("Error: listen EACCES: permission denied 0.0.0.0:80", None),
    ("invalid reference format", None),
];

#[test]
fn pasted_logs_lead_to_their_cause() {
    let mut wrong = Vec::new();
    for (log, expected) in THREADS {
        let content = read_text(log);
        let ranked = rank(&content.symptoms, &Circumstances { goes_on: content.goes_on, ..Circumstances::default() });
        let first = ranked.first().map(|first| first.suspect);
        let is_right = match expected {
            Some(suspect) => first == Some(*suspect),
            None => matches!(first, None | Some(ProgramItself | OutOfMemory)),
        };
        if !is_right {
            wrong.push(format!("{log:?}\n    wants {expected:?}, found {first:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), THREADS.len(), wrong.join("\n"));
}
