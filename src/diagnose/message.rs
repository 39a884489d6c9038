//! The messages by which engines, runtimes, kernels, shells, loaders and language run-times say that a program could not
//! start: one row each. Parsers, help and tests read the table; what follows from a message is `cause`'s.

use crate::exec::Errno;

/// What a message says, whoever says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sign {
    /// execve answered this.
    Exec(Errno),
    /// execve answered ETXTBSY.
    FileBusy,
    /// The runtime found no such file before it called execve.
    ProgramNotFound,
    /// The runtime found no such name on PATH.
    NotOnPath,
    /// The runtime found the file but may not execute it.
    NotExecutable,
    /// No entry of the index fits the node.
    NoPlatformInIndex,
    /// An engine's warning, or refusal, that image and machine differ.
    PlatformMismatch,
    /// containerd skipped the unpacking: the config names another platform than the index.
    UnpackSkipped,
    /// A shell took a program for a script: what called it fell back to `/bin/sh FILE` after ENOEXEC.
    ProgramReadAsScript,
    /// The interpreter or loader that a file names is not there.
    InterpreterMissing,
    /// A shell found the file but may not execute it.
    ShellDenied,
    /// bash could not start what a script's first line names.
    BadInterpreter,
    /// A carriage return at the end of a script's line.
    CarriageReturn,
    /// A shell found no such command.
    CommandNotFound,
    LibraryMissing,
    /// A library for another architecture, or none at all.
    LibraryForeign,
    LibraryTruncated,
    /// The libc in the image is older than the program wants.
    SymbolVersion,
    /// A symbol is missing: often a glibc program with musl's loader.
    SymbolMissing,
    /// The CPU lacks what the program needs, and it says so.
    CpuLevel,
    /// The kernel's pages are larger than the program was built for.
    PageSize,
    /// QEMU or Rosetta runs the program but does not find its loader.
    EmulatedLoaderMissing,
    /// The emulator does not take the program.
    EmulatorRefuses,
    /// The program died under the emulator.
    EmulatorCrash,
    /// A package of native code was installed for another platform.
    PackageForeign,
    IllegalInstruction,
    SegmentationFault,
    /// A build step ended with this exit code.
    BuildStepFailed,
    /// The kubelet waits before the next try: something else says why.
    BackOff,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Literal text and `{holes}`, see `pattern`. `{errno}` holds an error's text, which decides the sign.
    pub pattern: &'static str,
    /// `None`: the `{errno}` hole says it.
    pub sign: Option<Sign>,
    pub speaker: &'static str,
    /// A line as it was seen.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests match each pattern against it"))]
    pub example: &'static str,
}

macro_rules! messages {
    ($($speaker:literal $sign:expr, $pattern:literal, $example:literal;)*) => {
        /// Every message, the more telling before the more general: the first that matches a line is taken.
        pub const MESSAGES: &[Message] =
            &[$(Message { pattern: $pattern, sign: $sign, speaker: $speaker, example: $example }),*];
    };
}

use Sign::*;

/// Error texts as Go (lower case) and glibc print them. Source: include/uapi/asm-generic/errno*.h; Go zerrors.
pub const ERRNO_TEXTS: &[(&str, Sign)] = &[
    ("exec format error", Exec(Errno::ENOEXEC)),
    ("no such file or directory", Exec(Errno::ENOENT)),
    ("permission denied", Exec(Errno::EACCES)),
    ("accessing a corrupted shared library", Exec(Errno::ELIBBAD)),
    ("input/output error", Exec(Errno::EIO)),
    ("too many levels of symbolic links", Exec(Errno::ELOOP)),
    ("operation not permitted", Exec(Errno::EPERM)),
    ("text file busy", FileBusy),
    ("argument list too long", Exec(Errno::E2BIG)),
    ("cannot allocate memory", Exec(Errno::ENOMEM)),
    ("not a directory", Exec(Errno::ENOTDIR)),
    ("file name too long", Exec(Errno::ENAMETOOLONG)),
];

// Sources: runc libcontainer (generic_error.go, standard_init_linux.go, init_linux.go) by tag; crun container.c, error.c;
// moby daemon/create.go, daemon/internal/distribution; containerd core/images; containers/image internal/manifest;
// kubelet kuberuntime_manager.go; glibc elf/, sysdeps/**/dl-hwcap-check.h; musl ldso/dynlink.c; Go runtime/asm_*.s;
// OpenJDK os_linux.cpp; QEMU linux-user; bash execute_cmd.c; dash; jemalloc pages.c.
#[rustfmt::skip]
messages! {
    "runc before 1.0.0-rc91" None, "standard_init_linux.go:{line}: exec user process caused \"{errno}\"",
        "standard_init_linux.go:211: exec user process caused \"exec format error\"";
    "runc before 1.1" None, "standard_init_linux.go:{line}: exec user process caused: {errno}",
        "standard_init_linux.go:228: exec user process caused: exec format error";
    "AWS Lambda" Some(Exec(Errno::ENOEXEC)), "Runtime.InvalidEntrypoint",
        "{\"errorType\":\"Runtime.InvalidEntrypoint\",\"errorMessage\":\"RequestId: 1 Error: fork/exec /lambda-entrypoint.sh: exec format error\"}";
    "a Go program" None, "fork/exec {path}: {errno}",
        "fork/exec /lambda-entrypoint.sh: exec format error";
    "crun" None, "exec container process (missing dynamic library?) `{path}`: {errno}",
        "{\"msg\":\"exec container process (missing dynamic library?) `/app`: No such file or directory\",\"level\":\"error\"}";
    "crun" None, "exec container process `{path}`: {errno}",
        "exec container process `/usr/local/bin/python`: Exec format error";
    // Before the container starts.
    "runc" Some(NotOnPath), "exec: \"{path}\": executable file not found in",
        "OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"app\": executable file not found in $PATH: unknown";
    "runc" Some(ProgramNotFound), "exec: \"{path}\": stat {file}: no such file or directory",
        "container_linux.go:380: starting container process caused: exec: \"/app\": stat /app: no such file or directory";
    "runc" Some(NotExecutable), "exec: \"{path}\": permission denied",
        "OCI runtime create failed: runc create failed: unable to start container process: exec: \"/unpackerr\": permission denied: unknown";
    "runc" Some(NotExecutable), "exec: \"{path}\": is a directory",
        "runc create failed: unable to start container process: exec: \"/app\": is a directory: unknown";
    "runc" Some(ProgramNotFound), "exec: \"{path}\": no such file or directory",
        "unable to start container process: exec: \"/app\": no such file or directory";
    "runc" None, "exec: \"{path}\": {errno}",
        "container_linux.go:349: starting container process caused \"exec: \\\"/app\\\": exec format error\"";
    "runc" Some(NotOnPath), "cannot run executable found relative to current directory",
        "exec: \"app\": cannot run executable found relative to current directory";
    "crun" Some(NotOnPath), "executable file `{path}` not found in",
        "Error: crun: executable file `app` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found";
    "crun" Some(ProgramNotFound), "executable file `{path}` not found",
        "container create failed: executable file `/app` not found: No such file or directory";
    "crun" Some(NotExecutable), "the path `{path}` exists but it is not executable",
        "crun: the path `/app` exists but it is not executable: Permission denied";
    "crun" Some(NotExecutable), "the path `{path}` is not a regular file",
        "crun: the path `/app` is not a regular file";
    "crun" Some(NotExecutable), "open executable: ",
        "Error: crun: open executable: Permission denied: OCI permission denied";
    "podman" Some(ProgramNotFound), "OCI runtime attempted to invoke a command that was not found",
        "Error: OCI runtime attempted to invoke a command that was not found";
    "podman" Some(NotExecutable), "OCI permission denied",
        "Error: OCI permission denied";
    // Pulls, and what engines say of platforms.
    "docker" Some(NoPlatformInIndex), "no matching manifest for {node} in the manifest list entries",
        "no matching manifest for linux/arm64/v8 in the manifest list entries";
    "containerd" Some(NoPlatformInIndex), "no match for platform in manifest",
        "Failed to pull image \"app:1\": rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/app:1\": no match for platform in manifest: not found";
    "podman, CRI-O" Some(NoPlatformInIndex), "no image found in image index for architecture \"{node}\"",
        "no image found in image index for architecture \"arm64\", variant \"v8\", OS \"linux\"";
    "podman, CRI-O" Some(NoPlatformInIndex), "no image found in manifest list for architecture",
        "choosing an image from manifest list docker://app: no image found in manifest list for architecture arm64, OS linux";
    "containerd" Some(UnpackSkipped), "parent snapshot {snapshot} does not exist",
        "failed to create containerd container: error unpacking image: parent snapshot sha256:51e0 does not exist: not found";
    "docker" Some(PlatformMismatch), "requested image's platform ({image}) does not match the detected host platform ({node})",
        "WARNING: The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8) and no specific platform was requested";
    "docker" Some(PlatformMismatch), "was found but its platform ({image}) does not match the specified platform ({node})",
        "image with reference app:1 was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)";
    "docker" Some(NoPlatformInIndex), "was found but does not provide {node}",
        "image with reference app:1 was found but does not provide the specified platform (linux/arm64)";
    "podman" Some(PlatformMismatch), "image platform ({image}) does not match the expected platform ({node})",
        "WARNING: image platform (linux/arm64/v8) does not match the expected platform (linux/amd64)";
    // Emulators.
    "QEMU" Some(EmulatedLoaderMissing), "qemu-{arch}: Could not open '{path}'",
        "qemu-aarch64-static: Could not open '/lib/ld-linux-aarch64.so.1': No such file or directory";
    "Rosetta" Some(EmulatedLoaderMissing), "rosetta error: failed to open elf at {path}",
        "rosetta error: failed to open elf at /lib64/ld-linux-x86-64.so.2";
    "Rosetta" Some(EmulatorRefuses), "rosetta error: {text}",
        "rosetta error: unable to mmap __TEXT: 12";
    "QEMU" Some(EmulatorRefuses), "Invalid ELF image for this architecture",
        "/app: Invalid ELF image for this architecture";
    "QEMU" Some(IllegalInstruction), "qemu: uncaught target signal 4",
        "qemu: uncaught target signal 4 (Illegal instruction) - core dumped";
    "QEMU" Some(EmulatorCrash), "qemu: uncaught target signal {signal}",
        "qemu: uncaught target signal 11 (Segmentation fault) - core dumped";
    "BuildKit" Some(EmulatorCrash), ".buildkit_qemu_emulator",
        "ERROR: process \"/dev/.buildkit_qemu_emulator /bin/sh -c apt-get update\" did not complete successfully: exit code: 139";
    // CPU and pages.
    "glibc" Some(CpuLevel), "CPU ISA level is lower than required",
        "./app: CPU ISA level is lower than required";
    "glibc" Some(CpuLevel), "Fatal glibc error: CPU does not support {level}",
        "Fatal glibc error: CPU does not support x86-64-v2";
    "glibc" Some(CpuLevel), "Fatal glibc error: CPU lacks {level}",
        "Fatal glibc error: CPU lacks VXE support (z14 or later required)";
    "Go" Some(CpuLevel), "This program can only be run on AMD64 processors with {level} microarchitecture support",
        "This program can only be run on AMD64 processors with v3 microarchitecture support.";
    "Go" Some(CpuLevel), "This program can only run on ARM64 processors with {level} support",
        "This program can only run on ARM64 processors with LSE support.";
    "Go" Some(CpuLevel), "runtime: this CPU has no {level} hardware",
        "runtime: this CPU has no VFPv3 floating point hardware, so it cannot run";
    "jemalloc" Some(PageSize), "<jemalloc>: Unsupported system page size",
        "<jemalloc>: Unsupported system page size";
    "glibc" Some(PageSize), "ELF load command alignment not page-aligned",
        "error while loading shared libraries: /usr/lib/libvips.so.42: ELF load command alignment not page-aligned";
    "glibc" Some(PageSize), "ELF load command address/offset not page-aligned",
        "error while loading shared libraries: libcef.so: ELF load command address/offset not page-aligned";
    "glibc" Some(PageSize), "ELF load command address/offset not properly aligned",
        "error while loading shared libraries: libcef.so: ELF load command address/offset not properly aligned";
    // Libraries.
    "the JVM" Some(LibraryForeign), "Possible cause: can't load {found} .so on a {node} platform",
        "java.lang.UnsatisfiedLinkError: /tmp/librocksdbjni.so: /tmp/librocksdbjni.so: cannot open shared object file: No such file or directory (Possible cause: can't load AMD 64 .so on a AARCH64 platform)";
    "the JVM" Some(LibraryForeign), "Possible cause: architecture word width mismatch",
        "java.lang.UnsatisfiedLinkError: /tmp/libx.so: wrong ELF class: ELFCLASS32 (Possible cause: architecture word width mismatch)";
    "glibc" Some(LibraryForeign), "{path}: wrong ELF class: {class}",
        "error while loading shared libraries: libz.so.1: wrong ELF class: ELFCLASS32";
    "glibc" Some(LibraryForeign), "{path}: invalid ELF header",
        "Error: /app/node_modules/bcrypt/lib/binding/bcrypt_lib.node: invalid ELF header";
    "glibc" Some(LibraryForeign), "{path}: ELF file data encoding not",
        "error while loading shared libraries: libz.so.1: ELF file data encoding not little-endian";
    "glibc" Some(LibraryTruncated), "{path}: file too short",
        "error while loading shared libraries: /usr/lib/libssl.so.3: file too short";
    "glibc" Some(LibraryMissing), "error while loading shared libraries: {path}: cannot open shared object file",
        "/app: error while loading shared libraries: libssl.so.1.1: cannot open shared object file: No such file or directory";
    "glibc" Some(LibraryForeign), "object '{path}' from LD_PRELOAD cannot be preloaded",
        "ERROR: ld.so: object '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.";
    "glibc" Some(SymbolVersion), "version `{version}' not found (required by {path})",
        "/app: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by /app)";
    "glibc" Some(LibraryMissing), "{path}: cannot open shared object file",
        "ImportError: libGL.so.1: cannot open shared object file: No such file or directory";
    "musl" Some(LibraryForeign), "Error loading shared library {path}: Exec format error",
        "Error loading shared library /usr/lib/libfoo.so: Exec format error (needed by /app)";
    "musl" Some(LibraryMissing), "Error loading shared library {path}: No such file or directory",
        "Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /app)";
    "musl" Some(SymbolMissing), "Error relocating {path}: {symbol}: symbol not found",
        "Error relocating /app: __fprintf_chk: symbol not found";
    "glibc" Some(SymbolMissing), "symbol lookup error: {path}: undefined symbol",
        "/app: symbol lookup error: /app: undefined symbol: EVP_MD_CTX_new, version OPENSSL_3.0.0";
    "esbuild" Some(PackageForeign), "You installed esbuild for another platform",
        "You installed esbuild for another platform than the one you're currently using.";
    "sharp" Some(PackageForeign), "Could not load the \"sharp\" module using the {runtime} runtime",
        "Error: Could not load the \"sharp\" module using the linux-arm64 runtime";
    "rollup" Some(PackageForeign), "Cannot find module @rollup/rollup-{runtime}",
        "Error: Cannot find module @rollup/rollup-linux-arm64-gnu. npm has a bug related to optional dependencies";
    "Node.js" Some(PackageForeign), "Cannot find module '{module}-linux-{runtime}'",
        "Error: Cannot find module '@rollup/rollup-linux-arm64-gnu'";
    "Node.js" Some(PackageForeign), "Cannot find module '{module}.linux-{runtime}'",
        "Error: Cannot find module '../lightningcss.linux-arm64-gnu.node'";
    "esbuild" Some(PackageForeign), "The package \"@esbuild/{runtime}\" could not be found",
        "Error: The package \"@esbuild/linux-arm64\" could not be found, and is needed by esbuild.";
    ".NET" Some(LibraryMissing), "Unable to load shared library '{path}'",
        "System.DllNotFoundException: Unable to load shared library 'libSkiaSharp' or one of its dependencies.";
    "Node.js" Some(Exec(Errno::ENOEXEC)), "spawn {path} ENOEXEC",
        "Error: spawn /app/bin/tool ENOEXEC";
    "Node.js" Some(Exec(Errno::ENOEXEC)), "Unknown system error -8",
        "Error: spawn Unknown system error -8";
    // Shells and what wraps programs.
    "a shell" Some(CarriageReturn), "env: {path}\\r",
        "/usr/bin/env: ‘bash\\r’: No such file or directory";
    "bash" Some(CarriageReturn), "{path}^M: bad interpreter",
        "bash: ./run.sh: /bin/sh^M: bad interpreter: No such file or directory";
    "bash" Some(CarriageReturn), "$'\\r': command not found",
        "/entrypoint.sh: line 2: $'\\r': command not found";
    "dash" Some(CarriageReturn), "set: Illegal option -$",
        "/entrypoint.sh: 2: set: Illegal option -";
    "busybox" Some(CarriageReturn), "set: line {line}: illegal option -$",
        "/entrypoint.sh: set: line 2: illegal option -";
    "bash" Some(CarriageReturn), "set: {option}\\r: invalid option name",
        "/entrypoint.sh: line 2: set: pipefail\\r: invalid option name";
    // A terminal has carried the cursor back to the line's beginning.
    "bash" Some(CarriageReturn), ": invalid option name.sh: line {line}: set: ",
        ": invalid option name.sh: line 2: set: pipefail";
    "a shell" Some(CarriageReturn), "\\r: not found",
        "/entrypoint.sh: line 3: cd\\r: not found";
    "bash" Some(BadInterpreter), "{path}: bad interpreter: No such file or directory",
        "bash: ./run.sh: /usr/local/bin/python: bad interpreter: No such file or directory";
    "bash" Some(InterpreterMissing), "{path}: cannot execute: required file not found",
        "bash: line 1: ./app: cannot execute: required file not found";
    "bash" Some(Exec(Errno::ENOEXEC)), "{path}: cannot execute binary file: Exec format error",
        "bash: ./app: cannot execute binary file: Exec format error";
    "bash" Some(Exec(Errno::ENOEXEC)), "{path}: cannot execute binary file",
        "/bin/sh: /usr/local/bin/app: cannot execute binary file";
    "dash" Some(ProgramReadAsScript), "{path}: {line}: Syntax error: {token} unexpected",
        "/app: 2: Syntax error: \")\" unexpected";
    "busybox" Some(ProgramReadAsScript), "{path}: {line}: syntax error: unexpected {token}",
        "/app: line 1: syntax error: unexpected \"(\"";
    "a shell" Some(ProgramReadAsScript), "{path}: {line}: syntax error: unterminated quoted string",
        "/app: line 1: syntax error: unterminated quoted string";
    "a shell" Some(ProgramReadAsScript), "syntax error: unterminated quoted string",
        "syntax error: unterminated quoted string";
    "bash" Some(ProgramReadAsScript), "$'\\177ELF",
        "/app: line 1: $'\\177ELF\\002\\001\\001': command not found";
    "a shell" Some(ProgramReadAsScript), "\u{7f}ELF",
        "/app: line 1: \u{7f}ELF: not found";
    "tini" None, "[FATAL tini ({pid})] exec {path} failed: {errno}",
        "[FATAL tini (7)] exec /app failed: Exec format error";
    "dumb-init" None, "[dumb-init] {path}: {errno}",
        "[dumb-init] /app: Exec format error";
    "gosu" None, "exec {path} failed: {errno}",
        "error: exec /app failed: exec format error";
    "supervisord" Some(Exec(Errno::ENOEXEC)), "couldn't exec {path}: ENOEXEC",
        "supervisor: couldn't exec /app: ENOEXEC";
    "Python" Some(Exec(Errno::ENOEXEC)), "[Errno 8] Exec format error: '{path}'",
        "OSError: [Errno 8] Exec format error: '/usr/local/bin/tool'";
    "Rust" Some(Exec(Errno::ENOEXEC)), "Exec format error (os error 8)",
        "Error: Exec format error (os error 8)";
    "a shell" Some(ShellDenied), "sh: {line}: {path}: Permission denied",
        "/bin/sh: 1: /app: Permission denied";
    "a shell" Some(ShellDenied), "sh: {path}: Permission denied",
        "/bin/sh: /entrypoint.sh: Permission denied";
    "bash" Some(ShellDenied), "bash: {path}: Permission denied",
        "bash: line 1: /app: Permission denied";
    "a shell" Some(CommandNotFound), "/bin/sh: 1: {path}: not found",
        "/bin/sh: 1: k6: not found";
    "a shell" Some(CommandNotFound), "sh: {path}: not found",
        "sh: k6: not found";
    "bash" Some(CommandNotFound), "{path}: command not found",
        "bash: line 1: k6: command not found";
    "the runtime" None, "exec {path}: {errno}",
        "exec /usr/local/bin/app: exec format error";
    "a shell" Some(Exec(Errno::ELIBBAD)), "{path}: Accessing a corrupted shared library",
        "sh: 1: /app: Accessing a corrupted shared library";
    "a program" Some(Exec(Errno::ENOEXEC)), "{path}: Exec format error",
        "sh: 1: ./app: Exec format error";
    "a program" Some(Exec(Errno::ENOEXEC)), "Exec format error",
        "Exec format error";
    // What is left of a death.
    "BuildKit" Some(BuildStepFailed), "did not complete successfully: exit code: {exit}",
        "ERROR: process \"/bin/sh -c ./configure\" did not complete successfully: exit code: 255";
    "BuildKit" Some(BuildStepFailed), "executor failed running [{command}]: exit code: {exit}",
        "error: failed to solve: executor failed running [/bin/sh -c apk add curl]: exit code: 255";
    "the JVM" Some(IllegalInstruction), "SIGILL (0x4)",
        "#  SIGILL (0x4) at pc=0x0000ffff8c3b2a10, pid=1, tid=7";
    "a shell" Some(IllegalInstruction), "Illegal instruction",
        "/entrypoint.sh: line 9:    14 Illegal instruction     (core dumped) /app";
    "a shell" Some(SegmentationFault), "Segmentation fault",
        "/entrypoint.sh: line 9:    14 Segmentation fault      (core dumped) /app";
    "kubelet" Some(BackOff), "Back-off restarting failed container",
        "Back-off restarting failed container app in pod app-1_shop(1234)";
    "kubelet" Some(BackOff), "restarting failed container=",
        "back-off 5m0s restarting failed container=app pod=app-1_shop(1234)";
}
