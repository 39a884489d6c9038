//! Messages from the field, as engines, runtimes, kernels, shells, loaders, languages and CI services write them, with the
//! expected first suspect and its likelihood. The tables are grouped by the program that prints the message.

use super::cause::Likelihood::{self, *};
use super::cause::Suspect::{self, *};
use super::rank::{Circumstances, rank};
use super::recognise::recognise;

type Row = (&'static str, Suspect, Likelihood);

/// Messages of runc in the container's own log, by version. 175 to 228 are the line numbers in its releases.
const RUNC: &[Row] = &[
    ("standard_init_linux.go:175: exec user process caused \"exec format error\"", WrongArchitecture, Likely),
    ("standard_init_linux.go:190: exec user process caused \"no such file or directory\"", CarriageReturn, Likely),
    ("standard_init_linux.go:207: exec user process caused \"permission denied\"", NoExecMount, Likely),
    ("standard_init_linux.go:211: exec user process caused \"exec format error\"", WrongArchitecture, Likely),
    ("standard_init_linux.go:211: exec user process caused \"operation not permitted\"", Capabilities, Likely),
    ("standard_init_linux.go:219: exec user process caused: exec format error", WrongArchitecture, Likely),
    ("standard_init_linux.go:228: exec user process caused: exec format error", WrongArchitecture, Likely),
    ("standard_init_linux.go:228: exec user process caused: no such file or directory", CarriageReturn, Likely),
    ("standard_init_linux.go:228: exec user process caused: accessing a corrupted shared library", BadLoader, Certain),
    ("exec /app: exec format error", WrongArchitecture, Likely),
    ("exec /usr/local/bin/app: no such file or directory", MissingLoader, Likely),
    ("exec /entrypoint.sh: no such file or directory", CarriageReturn, Likely),
    ("exec /docker-entrypoint.sh: exec format error", WrongArchitecture, Likely),
    ("exec /x: permission denied", NoExecMount, Likely),
    ("exec /badinterp: accessing a corrupted shared library", BadLoader, Certain),
    ("exec /x: input/output error", Truncated, Likely),
    ("exec /n6: too many levels of symbolic links", ScriptNesting, Likely),
    ("exec /capd: operation not permitted", Capabilities, Likely),
    ("exec /usr/bin/app: text file busy", FileBusy, Certain),
    ("exec /a/b: not a directory", MissingProgram, Likely),
    ("exec /a: file name too long", MissingProgram, Likely),
];

/// Messages of crun, in plain text and in the JSON that podman and CRI-O request.
const CRUN: &[Row] = &[
    ("exec container process `/app`: Exec format error", WrongArchitecture, Likely),
    ("exec container process (missing dynamic library?) `/app`: No such file or directory", MissingLoader, Likely),
    ("exec container process `/usr/local/bin/python`: Exec format error", WrongArchitecture, Likely),
    ("exec container process `/badinterp`: Accessing a corrupted shared library", BadLoader, Certain),
    ("exec container process `/x`: Input/output error", Truncated, Likely),
    ("exec container process `/n6`: Too many levels of symbolic links", ScriptNesting, Likely),
    (
        "{\"msg\":\"exec container process `/app`: Exec format error\",\"level\":\"error\",\"time\":\"2026-01-14T08:02:11.108Z\"}",
        WrongArchitecture,
        Likely,
    ),
    (
        "{\"msg\":\"exec container process (missing dynamic library?) `/app`: No such file or directory\",\"level\":\"error\",\"time\":\"2026-01-14T08:02:11Z\"}",
        MissingLoader,
        Likely,
    ),
    ("exec container process `/entry.sh`: Exec format error", ForeignInterpreter, Likely),
];

/// Messages before the container starts: those of runc and crun, wrapped by every front end.
const CREATE: &[Row] = &[
    (
        "container_linux.go:349: starting container process caused \"exec: \\\"/x\\\": stat /x: no such file or directory\"",
        MissingProgram,
        Certain,
    ),
    (
        "container_linux.go:380: starting container process caused: exec: \"app\": executable file not found in $PATH: unknown",
        NotOnPath,
        Certain,
    ),
    (
        "runc create failed: unable to start container process: exec: \"/x\": stat /x: no such file or directory",
        MissingProgram,
        Certain,
    ),
    (
        "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"/x\": stat /x: no such file or directory: unknown.",
        MissingProgram,
        Certain,
    ),
    (
        "docker: Error response from daemon: OCI runtime create failed: container_linux.go:367: starting container process caused: exec: \"/x\": permission denied: unknown.",
        NotExecutable,
        Certain,
    ),
    (
        "OCI runtime create failed: runc create failed: unable to start container process: exec: \"/unpackerr\": permission denied: unknown",
        NotExecutable,
        Certain,
    ),
    (
        "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"/bin\": is a directory: permission denied",
        NotExecutable,
        Certain,
    ),
    (
        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"bash\": executable file not found in $PATH: unknown",
        ProgramItself,
        Likely,
    ),
    (
        "Error: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"/app\": stat /app: no such file or directory: unknown",
        MissingProgram,
        Certain,
    ),
    (
        "Error: failed to start container \"app\": Error response from daemon: OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"serve\": executable file not found in $PATH: unknown",
        NotOnPath,
        Certain,
    ),
    ("exec: \"app\": cannot run executable found relative to current directory", NotOnPath, Certain),
    ("container create failed: executable file `/x` not found: No such file or directory", MissingProgram, Certain),
    (
        "Error: container create failed: time=\"2026-01-14T08:02:11Z\" level=error msg=\"runc create failed: unable to start container process: error during container init: exec: \\\"/x\\\": stat /x: no such file or directory\"",
        MissingProgram,
        Certain,
    ),
    (
        "Error: crun: executable file `/x` not found: No such file or directory: OCI runtime attempted to invoke a command that was not found",
        MissingProgram,
        Certain,
    ),
    (
        "Error: crun: executable file `app` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
        NotOnPath,
        Certain,
    ),
    ("Error: crun: open executable: Permission denied: OCI permission denied", NotExecutable, Certain),
    (
        "Error: crun: the path `/x` exists but it is not executable: Permission denied: OCI permission denied",
        NotExecutable,
        Certain,
    ),
    ("crun: open executable: Operation not permitted", NotExecutable, Certain),
    (
        "Error: runc: runc create failed: unable to start container process: exec: \"/x\": permission denied: OCI permission denied",
        NotExecutable,
        Certain,
    ),
];

/// Pull errors, and warnings of engines.
const PULLS: &[Row] = &[
    (
        "web.1.x  web:2  node3  Rejected 5 seconds ago  \"no suitable node (unsupported platform on 2 nodes)\"",
        NoPlatform,
        Certain,
    ),
    ("no matching manifest for linux/arm64/v8 in the manifest list entries", NoPlatform, Certain),
    ("docker: no matching manifest for linux/amd64 in the manifest list entries.", NoPlatform, Certain),
    (
        "Error response from daemon: no matching manifest for linux/arm64/v8 in the manifest list entries: no match for platform in manifest: not found",
        NoPlatform,
        Certain,
    ),
    (
        "Failed to pull image \"app:1\": rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/app:1\": no match for platform in manifest: not found",
        NoPlatform,
        Certain,
    ),
    (
        "Failed to pull image \"app:1\": failed to pull and unpack image \"docker.io/library/app:1\": failed to resolve reference: no match for platform in manifest sha256:9f2c41: not found",
        NoPlatform,
        Certain,
    ),
    ("no image found in image index for architecture \"arm64\", variant \"v8\", OS \"linux\"", NoPlatform, Certain),
    (
        "Error: choosing an image from manifest list docker://app:1: no image found in manifest list for architecture \"arm64\", variant \"v8\", OS \"linux\"",
        NoPlatform,
        Certain,
    ),
    (
        "Error: choosing image instance: no image found in manifest list for architecture arm64, OS linux",
        NoPlatform,
        Certain,
    ),
    ("ERROR: no match for platform in manifest: not found", NoPlatform, Certain),
    ("ERROR: failed to solve: app:1: no match for platform in manifest: not found", NoPlatform, Certain),
    (
        "WARNING: The requested image's platform (linux/arm64) does not match the detected host platform (linux/amd64/v4) and no specific platform was requested",
        WrongArchitecture,
        Likely,
    ),
    (
        "WARNING: image platform (linux/arm64/v8) does not match the expected platform (linux/amd64)",
        WrongArchitecture,
        Likely,
    ),
    (
        "image with reference app:1 was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)",
        WrongArchitecture,
        Likely,
    ),
    (
        "image with reference app:1 was found but does not provide the specified platform (linux/arm64)",
        NoPlatform,
        Certain,
    ),
    (
        "failed to create containerd container: error unpacking image: failed to extract layer: parent snapshot sha256:51e0 does not exist: not found",
        MetadataDisagrees,
        Likely,
    ),
];

/// Shells and programs that start programs.
const SHELLS: &[Row] = &[
    ("bash: /srv/server: No such file or directory", MissingProgram, Likely),
    ("/docker-entrypoint.d/10-app.sh: line 1: \u{feff}#!/bin/sh: not found", NotAProgram, Likely),
    (
        "time=\"2026-03-01T10:00:00Z\" msg=\"clone failed\" err=\"exec: \\\"git\\\": executable file not found in $PATH\"",
        NotOnPath,
        Likely,
    ),
    ("bash: ./app: cannot execute binary file: Exec format error", WrongArchitecture, Likely),
    ("bash: line 1: ./app: cannot execute binary file: Exec format error", WrongArchitecture, Likely),
    ("/bin/sh: /usr/local/bin/app: cannot execute binary file", WrongArchitecture, Likely),
    ("-bash: /usr/local/bin/app: cannot execute binary file: Exec format error", WrongArchitecture, Likely),
    ("sh: 1: ./app: Exec format error", WrongArchitecture, Likely),
    ("/bin/sh: 1: /app: Exec format error", WrongArchitecture, Likely),
    ("zsh: exec format error: ./app", WrongArchitecture, Likely),
    ("fish: Failed to execute process '/app'. Reason: exec: Exec format error", WrongArchitecture, Likely),
    ("ash: /app: Exec format error", WrongArchitecture, Likely),
    ("/app: line 1: syntax error: unterminated quoted string", WrongArchitecture, Likely),
    ("/app: 1: Syntax error: Unterminated quoted string", WrongArchitecture, Likely),
    ("/app: 1: Syntax error: \"(\" unexpected", WrongArchitecture, Likely),
    ("/app: 2: Syntax error: \")\" unexpected", WrongArchitecture, Likely),
    ("/app: 1: Syntax error: word unexpected (expecting \")\")", WrongArchitecture, Likely),
    ("/usr/bin/app: line 1: syntax error: unexpected \"(\"", WrongArchitecture, Likely),
    ("/usr/bin/app: line 2: syntax error: unexpected word (expecting \")\")", WrongArchitecture, Likely),
    ("/app: 1: \u{7f}ELF\u{2}\u{1}\u{1}: not found", WrongArchitecture, Likely),
    ("/app: line 1: \u{7f}ELF: command not found", WrongArchitecture, Likely),
    ("/app: line 1: $'\\177ELF\\002\\001\\001': command not found", WrongArchitecture, Likely),
    ("bash: ./run.sh: /bin/sh^M: bad interpreter: No such file or directory", CarriageReturn, Certain),
    ("/usr/bin/env: ‘bash\\r’: No such file or directory", CarriageReturn, Certain),
    ("/usr/bin/env: 'bash\\r': No such file or directory", CarriageReturn, Certain),
    ("env: can't execute 'bash\r': No such file or directory", CarriageReturn, Certain),
    ("env: 'python3\r': No such file or directory", CarriageReturn, Certain),
    ("/entrypoint.sh: line 2: $'\\r': command not found", CarriageReturn, Certain),
    ("/entrypoint.sh: 2: set: Illegal option -", CarriageReturn, Certain),
    ("/entrypoint.sh: set: line 2: illegal option -", CarriageReturn, Certain),
    (": invalid option name.sh: line 2: set: pipefail", CarriageReturn, Certain),
    ("/entrypoint.sh: line 3: cd\r: not found", CarriageReturn, Certain),
    ("exec /entrypoint.sh\r: no such file or directory", CarriageReturn, Certain),
    ("bash: ./run.sh: /usr/local/bin/python: bad interpreter: No such file or directory", MissingInterpreter, Likely),
    ("bash: line 1: ./app: cannot execute: required file not found", MissingLoader, Likely),
    ("/bin/sh: ./app: cannot execute: required file not found", MissingLoader, Likely),
    ("sh: k6: not found", NotOnPath, Likely),
    ("/bin/sh: k6: not found", NotOnPath, Likely),
    ("/bin/sh: 1: k6: not found", NotOnPath, Likely),
    ("bash: k6: command not found", NotOnPath, Likely),
    ("sh: 1: /app: Accessing a corrupted shared library", BadLoader, Certain),
    ("bash: ./app: Accessing a corrupted shared library", BadLoader, Certain),
    ("sh: 1: /app: Permission denied", NotExecutable, Likely),
    ("/bin/sh: /entrypoint.sh: Permission denied", NotExecutable, Likely),
    ("[FATAL tini (7)] exec /app failed: Exec format error", WrongArchitecture, Likely),
    ("[FATAL tini (7)] exec /app failed: No such file or directory", MissingLoader, Likely),
    ("[dumb-init] /app: Exec format error", WrongArchitecture, Likely),
    ("[dumb-init] /app: No such file or directory", MissingLoader, Likely),
    ("error: exec: \"/app\": permission denied", NotExecutable, Certain),
    ("su-exec: /app: Exec format error", WrongArchitecture, Likely),
    ("s6-supervise app: warning: unable to spawn ./run: Exec format error", NotAProgram, Likely),
    ("s6-overlay-suexec: fatal: unable to exec /init: Exec format error", WrongArchitecture, Likely),
    ("supervisor: couldn't exec /app: ENOEXEC", WrongArchitecture, Likely),
    ("env: ‘/app’: Exec format error", WrongArchitecture, Likely),
    ("timeout: failed to run command ‘/app’: Exec format error", WrongArchitecture, Likely),
    ("nohup: failed to run command '/app': Exec format error", WrongArchitecture, Likely),
    ("xargs: /app: Exec format error", WrongArchitecture, Likely),
];

/// Languages, and their libraries that start programs.
const LANGUAGES: &[Row] = &[
    ("fork/exec /usr/local/bin/app: exec format error", WrongArchitecture, Likely),
    ("panic: fork/exec /app: no such file or directory", MissingLoader, Likely),
    (
        "{\"errorType\":\"Runtime.InvalidEntrypoint\",\"errorMessage\":\"RequestId: 1 Error: fork/exec /lambda-entrypoint.sh: exec format error\"}",
        WrongArchitecture,
        Likely,
    ),
    ("Error: fork/exec /lambda-entrypoint.sh: exec format error Runtime.InvalidEntrypoint", WrongArchitecture, Likely),
    ("OSError: [Errno 8] Exec format error: '/usr/local/bin/tool'", WrongArchitecture, Likely),
    ("OSError: [Errno 8] Exec format error", WrongArchitecture, Likely),
    ("Error: spawn /app/bin/tool ENOEXEC", WrongArchitecture, Likely),
    ("Error: spawn Unknown system error -8", WrongArchitecture, Likely),
    ("    errno: -8, code: 'Unknown system error -8', syscall: 'spawn'", WrongArchitecture, Likely),
    ("Error: Exec format error (os error 8)", WrongArchitecture, Likely),
    ("Os { code: 8, kind: Uncategorized, message: \"Exec format error\" }", WrongArchitecture, Likely),
    ("java.io.IOException: Cannot run program \"/app/tool\": error=8, Exec format error", WrongArchitecture, Likely),
    ("Cannot run program \"/app/tool\": Exec failed, error: 8 (Exec format error)", WrongArchitecture, Likely),
    ("Errno::ENOEXEC: Exec format error - /app/tool", WrongArchitecture, Likely),
    (
        "java.lang.UnsatisfiedLinkError: /tmp/librocksdbjni.so: cannot open shared object file: No such file or directory (Possible cause: can't load AMD 64 .so on a AARCH64 platform)",
        ForeignLibrary,
        Certain,
    ),
    (
        "java.lang.UnsatisfiedLinkError: /tmp/libx.so: wrong ELF class: ELFCLASS32 (Possible cause: can't load IA 32 .so on a AMD 64 platform)",
        ForeignLibrary,
        Certain,
    ),
    ("Error: /app/node_modules/bcrypt/lib/binding/bcrypt_lib.node: invalid ELF header", ForeignLibrary, Certain),
    ("Uncaught exception: Error: spawn ENOEXEC", WrongArchitecture, Likely),
    (
        "Error: /app/node_modules/better-sqlite3/build/Release/better_sqlite3.node: cannot open shared object file: No such file or directory",
        MissingLibrary,
        Likely,
    ),
    (
        "ImportError: /usr/lib/python3/_x.cpython-312-x86_64-linux-gnu.so: cannot open shared object file: No such file or directory",
        MissingLibrary,
        Likely,
    ),
    ("ImportError: /app/_x.so: wrong ELF class: ELFCLASS32", ForeignLibrary, Certain),
    ("You installed esbuild for another platform than the one you're currently using.", ForeignPackage, Certain),
    ("Error: Could not load the \"sharp\" module using the linux-arm64 runtime", ForeignPackage, Certain),
    (
        "Error: Cannot find module @rollup/rollup-linux-arm64-gnu. npm has a bug related to optional dependencies",
        ForeignPackage,
        Certain,
    ),
    ("Error: Cannot find module '@swc/core-linux-arm64-gnu'", ForeignPackage, Likely),
    ("Error: Cannot find module '../lightningcss.linux-arm64-gnu.node'", ForeignPackage, Likely),
    (
        "Error: The package \"@esbuild/linux-arm64\" could not be found, and is needed by esbuild.",
        ForeignPackage,
        Certain,
    ),
    (
        "Unhandled exception. System.DllNotFoundException: Unable to load shared library 'libSkiaSharp' or one of its dependencies.",
        MissingLibrary,
        Likely,
    ),
];

/// Loaders, CPUs, page sizes, emulators.
const LOADERS: &[Row] = &[
    ("Fatal glibc error: CPU does not support x86-64-v2", CpuLevel, Certain),
    ("Fatal glibc error: CPU does not support x86-64-v3", CpuLevel, Certain),
    ("Fatal glibc error: CPU does not support APX", CpuLevel, Certain),
    ("./app: CPU ISA level is lower than required", CpuLevel, Certain),
    ("/app: /lib/libx.so: CPU ISA level is lower than required", CpuLevel, Certain),
    ("Fatal glibc error: CPU lacks ISA 3.00 support (POWER9 or later required)", CpuLevel, Certain),
    ("Fatal glibc error: CPU lacks float128 support (POWER 9 or later required)", CpuLevel, Certain),
    ("Fatal glibc error: CPU lacks VXE support (z14 or later required)", CpuLevel, Certain),
    ("Fatal glibc error: CPU lacks VXRS_EXT2 support (z15 or later required)", CpuLevel, Certain),
    ("This program can only be run on AMD64 processors with v3 microarchitecture support.", CpuLevel, Certain),
    ("This program can only run on ARM64 processors with LSE support.", CpuLevel, Certain),
    ("runtime: this CPU has no VFPv3 floating point hardware, so it cannot run", CpuLevel, Certain),
    ("runtime: this CPU has no floating point hardware, so it cannot run", CpuLevel, Certain),
    ("Illegal instruction (core dumped)", CpuLevel, Likely),
    ("SIGILL: illegal instruction", CpuLevel, Likely),
    (
        "fatal error: unexpected signal during runtime execution [signal SIGILL: illegal instruction code=0x1]",
        CpuLevel,
        Likely,
    ),
    ("# SIGILL (0x4) at pc=0x0000ffff, pid=1, tid=7", CpuLevel, Likely),
    ("Fatal Python error: Illegal instruction", CpuLevel, Likely),
    ("<jemalloc>: Unsupported system page size", PageSize, Certain),
    (
        "error while loading shared libraries: /usr/lib/libvips.so.42: ELF load command alignment not page-aligned",
        PageSize,
        Certain,
    ),
    (
        "error while loading shared libraries: libcef.so: ELF load command address/offset not page-aligned",
        PageSize,
        Certain,
    ),
    (
        "/app: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory",
        MissingLibrary,
        Likely,
    ),
    ("error while loading shared libraries: libz.so.1: wrong ELF class: ELFCLASS32", ForeignLibrary, Certain),
    ("error while loading shared libraries: /usr/lib/libssl.so.3: file too short", Truncated, Likely),
    (
        "error while loading shared libraries: libz.so.1: ELF file data encoding not little-endian",
        ForeignLibrary,
        Certain,
    ),
    ("error while loading shared libraries: libz.so.1: invalid ELF header", ForeignLibrary, Certain),
    ("/app: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by /app)", OldLibc, Certain),
    ("/app: /lib64/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by /app)", OldLibc, Certain),
    ("/app: symbol lookup error: /app: undefined symbol: EVP_MD_CTX_new, version OPENSSL_3.0.0", MixedLibc, Likely),
    (
        "ERROR: ld.so: object '/usr/lib/libjemalloc.so.2' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.",
        ForeignLibrary,
        Possible,
    ),
    (
        "Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /app)",
        MixedLibc,
        Likely,
    ),
    ("Error loading shared library libgcc_s.so.1: No such file or directory (needed by /app)", MissingLibrary, Likely),
    ("Error loading shared library /usr/lib/libfoo.so: Exec format error (needed by /app)", ForeignLibrary, Certain),
    ("Error relocating /app: __fprintf_chk: symbol not found", MixedLibc, Likely),
    (
        "qemu-aarch64-static: Could not open '/lib/ld-linux-aarch64.so.1': No such file or directory",
        MissingLoader,
        Likely,
    ),
    ("qemu-x86_64: Could not open '/lib64/ld-linux-x86-64.so.2': No such file or directory", MissingLoader, Likely),
    ("rosetta error: failed to open elf at /lib64/ld-linux-x86-64.so.2", MissingLoader, Likely),
    ("/app: Invalid ELF image for this architecture", WrongArchitecture, Likely),
    ("qemu: Unsupported syscall: 434", Emulator, Possible),
    (
        "qemu-arm-static: Unable to reserve 0xffff0000 bytes of virtual address space at 0x1000 (File exists)",
        Emulator,
        Likely,
    ),
    ("error: this program requires AVX2 but the CPU does not support it", CpuLevel, Certain),
    ("Host system is missing dependencies to run browsers.", MissingLibrary, Likely),
    ("qemu: uncaught target signal 11 (Segmentation fault) - core dumped", Emulator, Likely),
    ("qemu: uncaught target signal 4 (Illegal instruction) - core dumped", CpuLevel, Likely),
    ("Segmentation fault (core dumped)", ProgramItself, Possible),
];

/// Logs of BuildKit and services, with prefixes, colours and timestamps before the message.
const BUILDS: &[Row] = &[
    ("#12 0.213 exec /bin/sh: exec format error", EmulatorMissing, Likely),
    (
        "#12 [linux/arm64 2/5] RUN apk add curl\n#12 0.213 exec /bin/sh: exec format error\n#12 ERROR: process \"/bin/sh -c apk add curl\" did not complete successfully: exit code: 255",
        EmulatorMissing,
        Likely,
    ),
    (
        "ERROR: process \"/dev/.buildkit_qemu_emulator /bin/sh -c apt-get update\" did not complete successfully: exit code: 139",
        Emulator,
        Likely,
    ),
    ("2026-01-14T08:02:11.1080000Z #12 0.213 exec /bin/sh: exec format error", EmulatorMissing, Likely),
    ("2026-01-14T08:02:11.1080000Z \u{1b}[31mexec /app: exec format error\u{1b}[0m", WrongArchitecture, Likely),
    ("##[error]exec /app: exec format error", WrongArchitecture, Likely),
    ("::error::exec /usr/local/bin/app: exec format error", WrongArchitecture, Likely),
    ("app-1  | exec /app: exec format error", WrongArchitecture, Likely),
    ("app_1  | standard_init_linux.go:228: exec user process caused: exec format error", WrongArchitecture, Likely),
    ("2026-01-14T08:02:11.108123456Z stderr F exec /app: exec format error", WrongArchitecture, Likely),
    (
        "{\"log\":\"exec /app: exec format error\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-14T08:02:11Z\"}",
        WrongArchitecture,
        Likely,
    ),
    (
        "Jan 14 08:02:11 node1 systemd[1]: app.service: Failed to execute /usr/local/bin/app: Exec format error",
        WrongArchitecture,
        Likely,
    ),
    ("app.service: Failed at step EXEC spawning /usr/local/bin/app: Exec format error", WrongArchitecture, Likely),
    (
        "    Message:     failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/app\": permission denied: unknown",
        NotExecutable,
        Certain,
    ),
    (
        "  Warning  Failed     3s (x2 over 18s)  kubelet  Error: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"serve\": executable file not found in $PATH: unknown",
        NotOnPath,
        Certain,
    ),
    (
        "  Warning  Failed  12s  kubelet  Failed to pull image \"app:1\": rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/app:1\": no match for platform in manifest: not found",
        NoPlatform,
        Certain,
    ),
    ("Liveness probe failed: exec /probe: exec format error", WrongArchitecture, Likely),
    (
        "ERROR: failed to solve: process \"/bin/sh -c ./configure\" did not complete successfully: exit code: 132",
        CpuLevel,
        Possible,
    ),
    (
        "ERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
        ProgramItself,
        Likely,
    ),
    (
        "error: failed to solve: executor failed running [/bin/sh -c apk add curl]: exit code: 255",
        EmulatorMissing,
        Possible,
    ),
];

#[test]
fn every_message_from_the_field_leads_to_its_suspect() {
    let mut wrong = Vec::new();
    let tables = [RUNC, CRUN, CREATE, PULLS, SHELLS, LANGUAGES, LOADERS, BUILDS];
    for (log, suspect, likelihood) in tables.into_iter().flatten() {
        let ranked = rank(&recognise(log), &Circumstances::default());
        let found = ranked.first().map(|first| (first.suspect, first.likelihood));
        if found != Some((*suspect, *likelihood)) {
            wrong.push(format!("{log:?}\n    wants {suspect:?} {likelihood:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
