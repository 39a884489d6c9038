//! Exit statuses and signals, and messages that only look like an exec failure.

use super::message_table;

#[rustfmt::skip]
message_table! { UNRELATED:
    Systemd Unrelated, "Loaded: error (Reason: Exec format error)",
        "   Loaded: error (Reason: Exec format error)";
    Systemd Unrelated, "Loaded: bad-setting (Reason: ",
        "Loaded: bad-setting (Reason: Unit app.service has a bad unit file setting.)";
    Systemd Unrelated, "Failed to load environment files: ",
        "app.service: Failed to load environment files: No such file or directory";
    Systemd Unrelated, "is not loaded properly: Exec format error",
        "Failed to start app.service: Unit app.service is not loaded properly: Exec format error.";
    Systemd Unrelated, "Failed to {=verb} {=unit}.service: Exec format error",
        "Failed to restart app.service: Exec format error";
    Systemd Unrelated, "Failed to {=verb} unit: {text}: Exec format error",
        "Failed to enable unit: File app.service: Exec format error";
    Systemd Unrelated, "Failed to load unit: Exec format error",
        "Failed to load unit: Exec format error";
    Systemd Unrelated, "Failed to get unit file state for {=unit}: Exec format error",
        "Failed to get unit file state for app.service: Exec format error";
    Systemd Unrelated, "Executable path is not absolute",
        "/lib/systemd/system/app.service:18: Executable path is not absolute: app --serve";
    Systemd Unrelated, ".service:{#line}: {reason}",
        "systemd[1]: /etc/systemd/system/app.service:3: Exec format error";
    // The engine's own runtime.
    Runc Unrelated, "runc did not terminate successfully: {reason}",
        "OCI runtime create failed: unable to retrieve OCI runtime error: runc did not terminate successfully: exit status 127: unknown";
    Gvisor Unrelated, "fork/exec /proc/self/exe: operation not permitted",
        "runsc: cannot create gofer process: gofer: fork/exec /proc/self/exe: operation not permitted";
    Runc Unrelated, "fork/exec /proc/self/exe: no such file or directory",
        "fork/exec /proc/self/exe: no such file or directory";
    Program Unrelated, "OS error code {#code}: {text}",
        "OS error code   8:  Exec format error";
    // Virtual machines and their disks.
    Qemu Unrelated, "qemu-system-{=arch}: {reason}",
        "qemu-system-x86_64: Could not open 'disk.img': No such file or directory";
    Qemu Unrelated, "qemu-img: {reason}",
        "qemu-img: Could not open 'disk.qcow2': No such file or directory";
    Qemu Unrelated, "qemu-nbd: {reason}",
        "qemu-nbd: Could not open 'disk.qcow2': No such file or directory";
    // A module that was built for another kernel.
    Kernel Unrelated, "could not insert {module}: Exec format error",
        "modprobe: ERROR: could not insert 'overlay': Exec format error";
    Kernel Unrelated, "insert module {module}: {reason}",
        "systemd-modules-load[580]: Failed to insert module 'nvhda': Exec format error";
    Kernel Unrelated, "insmod: can't insert {module}: {reason}",
        "insmod: can't insert '/lib/modules/5.10.110/wireguard.ko': Exec format error";
    // A program on a machine with Windows.
    Windows Unrelated, "executable file not found in %PATH%",
        "exec: \"avr-gcc\": executable file not found in %PATH%";
    // The tools of a build, which make and the scripts of packages call.
    Program Unrelated, "make: {command}: Command not found",
        "make: cmake: Command not found";
    Program Unrelated, "make[{#level}]: {command}: Command not found",
        "make[2]: /opt/rh/devtoolset-9/root/usr/bin/gcc: Command not found";
    Npm Unrelated, "npm ERR! sh: {command}: not found",
        "npm ERR! sh: husky: not found";
    Npm Unrelated, "npm error sh: {command}: not found",
        "npm error sh: husky: not found";
    Ci Unrelated, "remote: {=hook}: line {#line}: {command}: command not found",
        "remote: hooks/pre-receive: line 7: shellcheck: command not found";
    Go Unrelated, "C compiler {=compiler} not found: {reason}",
        "cgo: C compiler \"aarch64-linux-gnu-gcc\" not found: exec: \"aarch64-linux-gnu-gcc\": executable file not found in $PATH";
    Program Unrelated, "unsupported {text}skipping",
        "warning: unsupported architecture riscv64 in the matrix, skipping";
    Program Unrelated, "unsupported {text}ignoring",
        "warning: unsupported platform linux/s390x, ignoring";
    // Of a host that Ansible manages.
    Python Unrelated, "The module interpreter '{interpreter}' was not found",
        "fatal: [pi]: FAILED! => {\"msg\": \"The module interpreter '/usr/bin/python' was not found.\", \"module_stderr\": \"/bin/sh: 1: /usr/bin/python: not found\"}";
    Npm Unrelated, "npm warn EBADPLATFORM {text}",
        "npm warn EBADPLATFORM Unsupported platform for @rollup/rollup-darwin-arm64@4.22.0: wanted {\"os\":\"darwin\",\"cpu\":\"arm64\"}";
    Runc Unrelated, "Are you trying to mount a directory onto a file (or vice-versa)?",
        "error mounting \"/a\" to rootfs at \"/b\": not a directory: Are you trying to mount a directory onto a file (or vice-versa)?";
    TensorFlow Unrelated, "Could not load dynamic library '{library}'; dlerror: ",
        "W tensorflow/stream_executor/platform/default/dso_loader.cc:64] Could not load dynamic library 'libcudart.so.11.0'; dlerror: libcudart.so.11.0: cannot open shared object file: No such file or directory";
    Coreutils Unrelated, "cannot create regular file {path}: {reason}",
        "cp: cannot create regular file '/usr/local/bin/app': Text file busy";
    Program Unrelated, "wasm{text}illegal instruction",
        "wasm trap: illegal instruction";
    Program Unrelated, "illegal instruction{text}wasm",
        "RuntimeError: illegal instruction: unreachable executed in wasm function 12";
    // Helpers that a client or an engine calls on its own machine.
    Docker Unrelated, "exec: \"docker-credential-{helper}\": executable file not found",
        "error getting credentials - err: exec: \"docker-credential-desktop\": executable file not found in $PATH, out: ``";
    Program Unrelated, "getting credentials: exec: {helper}",
        "Unable to connect to the server: getting credentials: exec: \"aws\": executable file not found in $PATH";
    Program Unrelated, "failed to retrieve access token: exec: {helper}",
        "print credential failed with error: Failed to retrieve access token: exec: \"gke-gcloud-auth-plugin\": executable file not found in $PATH";
    Program Unrelated, "exec: executable {helper} not found",
        "error: exec: executable kubelogin not found";
    Program Unrelated, "exec: \"kubectl-{plugin}\": executable file not found",
        "error: exec: \"kubectl-oidc_login\": executable file not found in $PATH";
    Program Unrelated, "exec: \"aws-iam-authenticator\": executable file not found",
        "E1102 10:00:00 plugin: exec: \"aws-iam-authenticator\": executable file not found in $PATH";
    Program Unrelated, "exec: \"gke-gcloud-auth-plugin\": executable file not found",
        "E1102 10:00:00 plugin: exec: \"gke-gcloud-auth-plugin\": executable file not found in $PATH";
    // Instructions of virtual machines for contracts.
    Program Unrelated, "transaction{text}illegal instruction",
        "transaction 0x1f reverted: illegal instruction";
    Program Unrelated, "contract{text}illegal instruction",
        "contract call failed at 0x2a: illegal instruction 0xfe";
    Program Unrelated, "Program {id} failed: illegal instruction",
        "Program 4Zx1mYb failed: illegal instruction";
    // The rights of the container, not of the file.
    Gosu Unrelated, "su-exec: setgroups({=id}): {reason}",
        "su-exec: setgroups(1000): Operation not permitted";
    Gosu Unrelated, "su-exec: setgid({=id}): {reason}",
        "su-exec: setgid(1000): Operation not permitted";
    Gosu Unrelated, "su-exec: setuid({=id}): {reason}",
        "su-exec: setuid(1000): Operation not permitted";
    // Helpers of engines.
    Podman Unrelated, "cannot set up namespace using {helper}",
        "Error: cannot set up namespace using \"newuidmap\": exec: \"newuidmap\": executable file not found in $PATH";
    Program Unrelated, "exec: \"apparmor_parser\": executable file not found",
        "exec: \"apparmor_parser\": executable file not found in $PATH";
    Program Unrelated, "exec: \"newuidmap\": executable file not found",
        "exec: \"newuidmap\": executable file not found in $PATH";
    Program Unrelated, "exec: \"newgidmap\": executable file not found",
        "exec: \"newgidmap\": executable file not found in $PATH";
    Program Unrelated, "exec: \"fuse-overlayfs\": executable file not found",
        "exec: \"fuse-overlayfs\": executable file not found in $PATH";
    Program Unrelated, "exec: \"slirp4netns\": executable file not found",
        "exec: \"slirp4netns\": executable file not found in $PATH";
    Program Unrelated, "exec: \"conmon\": executable file not found",
        "exec: \"conmon\": executable file not found in $PATH";
    Program Unrelated, "exec: \"containerd-shim-runc-v2\": executable file not found",
        "exec: \"containerd-shim-runc-v2\": executable file not found in $PATH";
    Program Unrelated, "exec: \"nvidia-container-runtime\": executable file not found",
        "exec: \"nvidia-container-runtime\": executable file not found in $PATH";
    Docker Unrelated, "failed to start daemon: {reason}",
        "failed to start daemon: Error initializing network controller: exec: \"iptables\": executable file not found in $PATH";
    Npm Unrelated, "SKIPPING OPTIONAL DEPENDENCY: ",
        "npm WARN notsup SKIPPING OPTIONAL DEPENDENCY: Unsupported platform for fsevents@1.2.9: wanted {\"os\":\"darwin\",\"arch\":\"any\"} (current: {\"os\":\"linux\",\"arch\":\"x64\"})";
    // yarn leaves optional packages of other platforms out.
    Npm Unrelated, "info {=package}: The {text} is incompatible with this module",
        "info fsevents@1.2.13: The platform \"linux\" is incompatible with this module.";
    Npm Unrelated, "warning {=package}: The {text} is incompatible with this module",
        "warning @next/swc-win32-x64-msvc@13.0.0: The CPU architecture \"arm64\" is incompatible with this module.";
    Npm Unrelated, "npm warn notsup {text}",
        "npm warn notsup Unsupported platform for fsevents@2.3.3: wanted {\"os\":\"darwin\"}";
    // The libraries of the host's driver.
    Runc Unrelated, "nvidia-container-cli: {reason}",
        "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory";
    Glibc Unrelated, "libcuda.so: cannot open shared object file",
        "Could not load library libcudnn_cnn_infer.so.8. Error: libcuda.so: cannot open shared object file: No such file";
    Glibc Unrelated, "libcuda.so.{#version}: cannot open shared object file",
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory";
    Glibc Unrelated, "libnvidia-{=name}: cannot open shared object file",
        "libnvidia-ml.so.1: cannot open shared object file: No such file or directory";
    Glibc Unrelated, "failed to map segment from shared object: Cannot allocate memory",
        "error while loading shared libraries: libx.so.1: failed to map segment from shared object: Cannot allocate memory";
    Jvm Unrelated, "already loaded in another classloader",
        "java.lang.UnsatisfiedLinkError: Native Library /app/libx.so already loaded in another classloader";
}

#[rustfmt::skip]
message_table! { TABLE:
    Program Exec(ENOEXEC), "exec format error: {/path}",
        "zsh: exec format error: ./app";
    Program Exec(ENOEXEC), "{path}: Exec format error",
        "sh: 1: ./app: Exec format error";
    Program Exec(ENOEXEC), "Exec format error",
        "Exec format error";
    // Node.js and Go name the error where they have no path.
    Program Exec(ENOEXEC), "ENOEXEC",
        "{\"errno\":-8,\"code\":\"ENOEXEC\",\"syscall\":\"spawn\"}";
    Lambda EntrypointInvalid, "Runtime.InvalidEntrypoint",
        "{\"errorType\":\"Runtime.InvalidEntrypoint\",\"errorMessage\":\"RequestId: 1 Error: ProcessSpawnFailed\"}";
    Kernel Exec(ENOEXEC), "request_module: runaway loop modprobe binfmt-464c",
        "request_module: runaway loop modprobe binfmt-464c";
    Kernel PolicyDenied, "avc:  denied  { execute } {text} name=\"{path}\" ",
        "type=AVC msg=audit(1665420973.105:11631): avc:  denied  { execute } for  pid=87017 comm=\"runc:[2:INIT]\" name=\"app\" dev=\"sda1\" tclass=file permissive=0";
    Kernel PolicyDenied, "avc:  denied  { execute_no_trans } {text} path=\"{path}\" ",
        "avc:  denied  { execute_no_trans } for  pid=1 comm=\"sh\" path=\"/usr/local/bin/app\" dev=\"overlay\" tclass=file permissive=0";
    Kernel PolicyDenied, "apparmor=\"DENIED\" operation=\"exec\" {text} name=\"{path}\" ",
        "audit: type=1400 audit(1.033:9): apparmor=\"DENIED\" operation=\"exec\" profile=\"docker-default\" name=\"/usr/bin/app\" pid=894 comm=\"bash\"";
    Kernel IllegalInstruction, "trap invalid opcode",
        "traps: app[4711] trap invalid opcode ip:55d0c3a4 sp:7ffd0 error:0 in app[55d0c000+1000]";
    Kernel IllegalInstruction, "unhandled signal 4 code",
        "app[812]: unhandled signal 4 code 0x1 at 0x0000003fb5c1e0d4";
    Kernel IllegalInstruction, "undefined instruction: pc=",
        "app (812): undefined instruction: pc=b6f1a3c4";
    Systemd IllegalInstruction, "Signal: 4 (ILL)",
        "Signal: 4 (ILL)";
    Program IllegalInstruction, "crashed by signal: 4,",
        "7:M 30 Nov 2026 10:00:00.000 # Redis 7.4.1 crashed by signal: 4, si_code: 2";
    Systemd IllegalInstruction, "with signal 4/ILL",
        "systemd-coredump[812]: Process 811 (app) of user 0 terminated abnormally with signal 4/ILL, processing...";
    Jvm IllegalInstruction, "SIGILL (0x4)",
        "#  SIGILL (0x4) at pc=0x0000ffff8c3b2a10, pid=1, tid=7";
    Supervisord IllegalInstruction, "by SIGILL",
        "INFO exited: app (terminated by SIGILL; not expected)";
    // Of a debugger's stop and of Go's crash dump.
    Program IllegalInstruction, "signal SIGILL: illegal instruction",
        "* thread #1, name = 'app', stop reason = signal SIGILL: illegal instruction";
    Program IllegalInstruction, "signal SIGILL",
        "App [api:0] exited with code [0] via signal SIGILL";
    Program IllegalInstruction, "signal: SIGILL",
        "Process exited with signal: SIGILL";
    // Chromium's crash handler.
    Program IllegalInstruction, "Received signal 4 ILL_",
        "Received signal 4 ILL_ILLOPN 55d0c3a4b1c2";
    Program IllegalInstruction, "signal 4: Illegal instruction",
        "*** Signal 4: Illegal instruction ***";
    Program IllegalInstruction, "signal [SIGILL]",
        "App name:api id:0 exited with code [132] via signal [SIGILL]";
    Program IllegalInstruction, "signal: 'SIGILL'",
        "Error: Command failed: /app/tool { code: null, killed: false, signal: 'SIGILL' }";
    Program IllegalInstruction, "sent SIGILL",
        "[1] [ERROR] Worker (pid:7) was sent SIGILL!";
    Program IllegalInstruction, "on signal 4",
        "[alert] 1#1: worker process 8 exited on signal 4 (core dumped)";
    Program IllegalInstruction, "by signal 4",
        "DAMN ! worker 1 (pid: 7) died, killed by signal 4 :( trying respawn ...";
    Program IllegalInstruction, "got signal 4",
        "10:00:00 UTC - mysqld got signal 4 ;";
    Systemd IllegalInstruction, "status=4/ILL",
        "app.service: Main process exited, code=dumped, status=4/ILL";
    Python IllegalInstruction, "Signals.SIGILL",
        "subprocess.CalledProcessError: Command '['/app/tool']' died with <Signals.SIGILL: 4>.";
    Go IllegalInstruction, "SIGILL: illegal instruction",
        "SIGILL: illegal instruction";
    // An interpreter's own illegal instruction follows these words.
    Shell IllegalInstruction, "Illegal instruction$",
        "/app/start: line 3: 14 Illegal instruction";
    Shell IllegalInstruction, "Illegal instruction (",
        "Illegal instruction (core dumped)";
    Shell IllegalInstruction, "(Illegal instruction)",
        "The build process died, signal: 4 (illegal instruction)";
    Bash IllegalInstruction, "Illegal instruction  ",
        "/entrypoint.sh: line 9:    14 Illegal instruction     (core dumped) /app";
    Shell IllegalInstruction, "Illegal instruction: ",
        "Caught signal 4 (Illegal instruction: illegal operand)";
    Ruby IllegalInstruction, "Illegal instruction at 0x{=address}",
        "/app/run.rb:3: [BUG] Illegal instruction at 0x0000ffff8c3b2a10";
    Bun IllegalInstruction, "Illegal instruction at address 0x{=address}",
        "panic(main thread): Illegal instruction at address 0x3A1B2C";
    Shell IllegalInstruction, "illegal hardware instruction",
        "zsh: illegal hardware instruction (core dumped)  ./app";
    Shell SegmentationFault, "Segmentation fault",
        "/entrypoint.sh: line 9:    14 Segmentation fault      (core dumped) /app";
    // docker inspect and the kubelet also print `false`.
    Kernel OutOfMemory, "OOMKilled$",
        "      Reason:       OOMKilled";
    Engine OutOfMemory, "OOMKilled\": true",
        "            \"OOMKilled\": true,";
    Engine OutOfMemory, "OOMKilled\":true",
        "{\"Status\":\"exited\",\"OOMKilled\":true,\"ExitCode\":137}";
    Kubelet OutOfMemory, "OOMKilled  ",
        "web-7d4b9c-abcde   0/1     OOMKilled   3 (20s ago)   5m";
    Kubelet OutOfMemory, "OOMKilled (",
        "container app terminated: OOMKilled (exit code 137)";
    Kernel OutOfMemory, "Out of memory: Killed process",
        "Out of memory: Killed process 4711 (java) total-vm:4000000kB";
    BuildKit BuildStepFailed, "did not complete successfully: exit code: {#exit}",
        "ERROR: process \"/bin/sh -c ./configure\" did not complete successfully: exit code: 255";
    Buildah BuildStepFailed, "building at STEP \"{step}\": while running runtime: exit status {#exit}",
        "Error: building at STEP \"RUN dnf -y install git\": while running runtime: exit status 1";
    BuildKit BuildStepFailed, "executor failed running [{command}]: exit code: {#exit}",
        "error: failed to solve: executor failed running [/bin/sh -c apk add curl]: exit code: 255";
    Docker BuildStepFailed, "returned a non-zero code: {#exit}",
        "The command '/bin/sh -c apk add curl' returned a non-zero code: 132";
    Supervisord Exited, "(exit status {#exit}; not expected)",
        "INFO exited: app (exit status 127; not expected)";
    Engine Exited, "exited with status {#exit}",
        "conmon 25f8a89e <ninfo>: container 11593 exited with status 132";
    Engine Exited, "exited with code {#exit}",
        "api-1 exited with code 132";
    Engine Exited, "exited with exit code {#exit}",
        "container \"app\" exited with exit code 132";
    Engine Exited, "exitCode={#exit}",
        "container die 305264c3d123 (exitCode=132, image=app:1)";
    CloudRun Exited, "Container called exit({#exit})",
        "Container called exit(132).";
    Engine Exited, "exitCode: {#exit}",
        "        exitCode: 132";
    Engine Exited, "exitCode\": {#exit}",
        "            \"ExitCode\": 132,";
    Engine Exited, "exitCode\":{#exit}",
        "{\"name\":\"app\",\"exitCode\":132,\"reason\":\"Error\"}";
    Engine Exited, "Restarting ({#exit}) ",
        "305264c3d123   mongo:latest   \"docker-entrypoint.s…\"   2 weeks ago   Restarting (132) 37 seconds ago";
    Engine Exited, "Exited ({#exit})",
        "305264c3d123   app:1   \"/app\"   2 hours ago   Exited (127) 2 hours ago";
    Engine Exited, "Exit Code: {#exit}",
        "      Exit Code:    132";
    Supervisord Exited, "command failed ({#exit})",
        "[supervisor  ] could not load 'logmonitor.dep': command failed (126)";
    Engine Exited, "(exit code {#exit})",
        "ERROR: task 3628403e failed (exit code 132)";
    Ci Exited, "Process completed with exit code {#exit}",
        "##[error]Process completed with exit code 126.";
    Engine Exited, "with exit code {#exit}",
        "Container app has terminated with exit code 132";
    Ci Exited, "Job failed: exit code {#exit}",
        "ERROR: Job failed: exit code 127";
    Ci Exited, "exit status {#exit}",
        "exit status 132";
    Kubelet BackOff, "Back-off restarting failed container",
        "Back-off restarting failed container app in pod app-1_shop(1234)";
    Kubelet BackOff, "restarting failed container=",
        "back-off 5m0s restarting failed container=app pod=app-1_shop(1234)";
}
