//! The programs that print messages, and the sources of their texts.

macro_rules! speakers {
    ($($variant:ident $name:literal, $source:literal;)*) => {
        /// The program or service that prints a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Speaker { $($variant),* }

        impl Speaker {
            pub fn name(self) -> &'static str {
                match self { $(Speaker::$variant => $name),* }
            }

            /// The source files or kinds of reports from which the texts were taken.
            #[cfg_attr(not(test), expect(dead_code, reason = "tests check that each speaker has one"))]
            pub fn source(self) -> &'static str {
                match self { $(Speaker::$variant => $source),* }
            }
        }
    };
}

speakers! {
    Runtime "the runtime", "runc libcontainer/init_linux.go, standard_init_linux.go; Go syscall.Exec";
    OldRunc "runc before 1.1", "runc libcontainer/generic_error.go and standard_init_linux.go of 1.0";
    Runc "runc", "runc libcontainer/standard_init_linux.go; Go os/exec/lp_unix.go";
    Crun "crun", "crun src/libcrun/container.c, utils.c, error.c";
    Gvisor "gVisor", "gVisor runsc/boot/loader.go; Cloud Run's log of a failed start";
    Youki "youki", "youki libcontainer/src/workload/default.rs";
    Podman "podman", "podman libpod/define/errors.go";
    PodmanPull "podman, CRI-O", "containers/image internal/manifest; containers/common libimage/pull.go";
    Apptainer "Apptainer", "apptainer pkg/image/sif.go";
    HomeAssistant "Home Assistant", "supervisor supervisor/addons/model.py";
    Snowflake "Snowflake", "errors of Snowpark Container Services, as users report them";
    Docker "docker", "moby daemon/create.go, daemon/containerd, distribution/pull_v2.go";
    Containerd "containerd", "containerd core/images/image.go, internal/cri";
    Crane "crane, kaniko", "go-containerregistry pkg/v1/remote/descriptor.go";
    BuildKit "BuildKit", "buildkit solver/llbsolver, executor/runcexecutor, frontend/dockerfile/linter";
    Buildah "buildah", "buildah imagebuildah/stage_executor.go, run_linux.go";
    Windows "Windows", "hcsshim internal/hcs/errors.go; winerror.h ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH";
    Fargate "AWS Fargate", "stopped reasons of ECS tasks";
    Fly "Fly.io", "Fly.io's init, as its logs show it";
    Lambda "AWS Lambda", "errors of the Lambda runtime interface";
    Azure "Azure", "Container Instances and Container Apps deployment errors";
    CloudRun "Cloud Run", "gcloud run deploy errors and revision logs";
    Kubelet "kubelet", "kubernetes pkg/kubelet/kuberuntime, images";
    Kernel "the kernel", "arch/x86/kernel/traps.c, fs/binfmt_elf.c, mm/oom_kill.c";
    Qemu "QEMU", "qemu linux-user/elfload.c, signal.c, main.c";
    Rosetta "Rosetta", "reports of Docker Desktop, Colima and Lima users";
    OrbStack "OrbStack", "OrbStack's own explanation of a missing loader";
    Box64 "Box64", "box64 src/core.c, src/librarian";
    Fex "FEX", "FEX Source/Tools/FEXInterpreter";
    Glibc "glibc", "glibc elf/dl-load.c, dl-reloc.c, dl-lookup.c, rtld.c, sysdeps/x86/dl-prop.h, dl-hwcap-check.h";
    Musl "musl", "musl ldso/dynlink.c";
    Jemalloc "jemalloc", "jemalloc src/pages.c";
    Go "Go", "Go runtime/asm_amd64.s, os_linux_arm.go; os/exec; syscall";
    Jvm "the JVM", "OpenJDK os_linux.cpp, NativeLibraries.java, ProcessBuilder.java";
    JavaLibrary "a Java library", "snappy-java, sqlite-jdbc, jna, netty, rocksdbjni, leveldbjni loaders";
    GraalVm "GraalVM", "GraalVM substratevm CPUFeatureAccessImpl.java";
    DotNet ".NET", "dotnet runtime vm/cgensys, corehost, System.Diagnostics.Process";
    NodeJs "Node.js", "node lib/internal/errors.js, libuv uv-errno";
    Npm "npm", "npm-install-checks; the loaders of native packages on npm";
    Esbuild "esbuild", "esbuild lib/npm/node-platform.ts";
    Sharp "sharp", "sharp lib/sharp.js";
    Rollup "rollup", "rollup native.js";
    NextJs "Next.js", "next packages/next/src/build/swc";
    Prisma "Prisma", "prisma packages/client engines";
    Sass "node-sass", "node-sass lib/errors.js";
    Playwright "Playwright", "playwright packages/playwright-core/src/server/registry/dependencies.ts";
    Bun "bun", "bun src/crash_handler.zig, src/cli.zig";
    Python "Python", "CPython Modules/_posixsubprocess.c, Python/dynload_shlib.c, importlib";
    Pip "pip", "pip src/pip/_internal/operations/prepare.py";
    NumPy "NumPy", "numpy numpy/_core/src/common/npy_cpu_features.c; numpy/__init__.py";
    TensorFlow "TensorFlow", "tensorflow core/platform/cpu_feature_guard.cc";
    MongoDb "MongoDB", "docker-library/mongo docker-entrypoint.sh";
    CpuCheck "a program's CPU check", "ClickHouse main.cpp, Qt qsimd.cpp, Chromium, polars _cpu_check.py, jaxlib cpu_feature_guard.c, Intel oneMKL and compilers, NVIDIA entrypoint.d";
    Ruby "Ruby", "Ruby errno; bundler lib/bundler/definition.rb";
    Php "PHP", "php-src main/php_ini.c, ext/standard/dl.c, Zend/zend_extensions.c";
    Server "a server", "postgres src/backend/utils/fmgr/dfmgr.c; nginx src/core/nginx.c; httpd modules/mappers/mod_so.c; MariaDB sql/sql_plugin.cc";
    Language "a language runtime", "R src/library/base/R/library.R; Lua src/lauxlib.c";
    Perl "Perl", "perl doio.c (Can't exec), util.c (handshake)";
    Erlang "Erlang", "otp erts/etc/unix/erlexec.c";
    Rust "Rust", "Rust std::io::Error";
    Terraform "Terraform", "terraform internal/providercache, go-plugin";
    Linker "the linker", "binutils bfd/elflink.c, ld/ldmain.c; lld ELF/InputFiles.cpp";
    Dpkg "dpkg", "dpkg src/main/archives.c; rpm lib/depends.c";
    Env "env", "coreutils src/env.c; busybox coreutils/env.c";
    Bash "bash", "bash execute_cmd.c, shell.c, error.c";
    Dash "dash", "dash src/exec.c, parser.c";
    Busybox "busybox", "busybox shell/ash.c";
    Shell "a shell", "dash src/exec.c; busybox shell/ash.c; zsh Src/exec.c; fish src/exec.cpp";
    MacOs "macOS", "xnu errno 86, as zsh and bash print it";
    Tini "tini", "tini src/tini.c";
    DumbInit "dumb-init", "dumb-init dumb-init.c";
    Catatonit "catatonit", "catatonit catatonit.c";
    Gosu "gosu, su-exec", "gosu main.go; su-exec su-exec.c";
    S6 "s6", "skalibs exec.c; s6 src/supervision/s6-supervise.c";
    Runit "runit", "runit src/runsv.c, chpst.c";
    Supervisord "supervisord", "supervisor/process.py, options.py";
    Systemd "systemd", "systemd src/core/exec-invoke.c, service.c";
    Coreutils "coreutils", "coreutils timeout.c, nohup.c, chroot.c, nice.c";
    Engine "an engine", "docker ps, docker compose, conmon, kubectl describe";
    Ci "a CI service", "GitHub Actions runner, GitLab Runner";
    Program "a program", "strerror(3)";
}

impl std::fmt::Display for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
