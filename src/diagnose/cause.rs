//! The table of possible causes of a failure: one row per suspect, with commands that confirm it and steps that fix it.
//! `rank` orders the suspects; nothing here depends on messages.

use super::step::{Anywhere, INSTALL, OnMachine, Privileged, Rebuild, SCAN, Step, ThroughCluster, UNINSTALL};
use crate::exec::CauseKind;

/// How likely a suspect is the cause. Ordered, the likeliest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Likelihood {
    Unlikely,
    Possible,
    Likely,
    /// The image's bytes and the node's facts prove it, or the message has no other meaning.
    Certain,
}

impl Likelihood {
    pub fn word(self) -> &'static str {
        match self {
            Likelihood::Unlikely => "unlikely",
            Likelihood::Possible => "possible",
            Likelihood::Likely => "likely",
            Likelihood::Certain => "certain",
        }
    }
}

/// The texts about a suspect.
#[derive(Debug)]
pub struct SuspectRow {
    pub suspect: Suspect,
    /// Stable, kebab-case, as JSON shows it. Causes of one kind share it.
    pub name: &'static str,
    /// One sentence: lower case, no period.
    pub sentence: &'static str,
    /// Commands that confirm or rule it out.
    pub check: &'static [Step],
    /// Commands and steps that fix it, the quickest first.
    pub cure: &'static [Step],
}

macro_rules! suspects {
    ($($suspect:ident $name:literal, $sentence:literal, [$($check:expr),*], [$($cure:expr),*];)*) => {
        /// A possible cause of a failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Suspect { $($suspect),* }

        /// Every suspect.
        pub const SUSPECTS: &[SuspectRow] = &[$(SuspectRow {
            suspect: Suspect::$suspect, name: $name, sentence: $sentence, check: &[$($check),*], cure: &[$($cure),*],
        }),*];
    };
}

suspects! {
    WrongArchitecture "foreign-architecture",
        "the program is for another architecture than the node",
        [SCAN],
        [Rebuild];
    NotAProgram "not-a-program",
        "the file is not a program: a script without `#!`, an empty file, an error page or a Git LFS pointer",
        [SCAN],
        [Anywhere("start the script with `#!/bin/sh`, or copy the program to that path, and rebuild")];
    LibraryAsProgram "library-as-program",
        "the file is a shared library, not a program",
        [SCAN],
        [Anywhere("start the program instead; if the file is meant to be one, link it with a dynamic loader: -pie, without -shared")];
    CorruptProgram "corrupt-program",
        "the program's ELF headers are damaged, or its linker or packer wrote headers that the kernel rejects",
        [SCAN],
        [Anywhere("rebuild it without strip, packers or patchelf, or download it again and verify its checksum")];
    ForeignInterpreter "foreign-interpreter",
        "the script's interpreter is a program for another architecture",
        [SCAN],
        [Rebuild];
    No32Bit "no-32-bit",
        "the program is 32-bit, and the node runs only 64-bit programs",
        [SCAN, ThroughCluster("imgarch nodes"), OnMachine("lscpu | grep op-mode   # on the machine that runs it")],
        [Anywhere("publish a 64-bit build, or keep the workload off these nodes with nodeAffinity")];
    MissingLoader "missing-loader",
        "the dynamic loader that the program names is not in the image: a glibc program on a musl base, or the reverse",
        [SCAN],
        [Anywhere("build against the base image's libc, link statically, or use a base image with that libc")];
    MissingInterpreter "missing-interpreter",
        "the script's first line names an interpreter that is not in the image",
        [SCAN],
        [Anywhere("install the interpreter, or name one that the image has")];
    MissingScript "missing-script",
        "the file given to the shell or interpreter is not in the image",
        [SCAN],
        [Anywhere("copy it to that path, or fix the path in ENTRYPOINT, CMD or `command:`; relative paths start at WORKDIR")];
    NotAJar "not-a-jar",
        "the file given to java is not a jar",
        [SCAN],
        [Anywhere("check what the file is: a failed download, a Git LFS pointer, a program")];
    ShebangOptions "options-in-first-line",
        "the script's first line gives its interpreter several options, which Linux passes as one argument",
        [SCAN],
        [Anywhere("keep one option there, or set options in the script itself (set -eu); with GNU env: #!/usr/bin/env -S bash -e")];
    RefusedOption "refused-option",
        "a wrapper or shell on the start path rejects one of its options",
        [SCAN],
        [Anywhere("pass each option as a separate word, and only options that this version of the program has")];
    UnsupportedArchitecture "foreign-architecture",
        "a script, installer or program has nothing for this machine's architecture and refuses it",
        [SCAN],
        [Anywhere("build for a platform that it supports (--platform), or use a release that supports this one")];
    RefusedArchitecture "refused-architecture",
        "the entry script ends itself on this architecture",
        [SCAN],
        [Anywhere("let the script support the architecture, or publish no image for that platform")];
    ShellDialect "shell-dialect",
        "the script uses syntax of bash, and its shell is another one",
        [SCAN],
        [Anywhere("start it with `#!/bin/bash` and install bash, or write it for sh")];
    BadConfiguration "bad-configuration",
        "a supervisor or scheduler rejects its configuration",
        [SCAN],
        [Anywhere("fix the configuration at the line that the scan names")];
    BinaryAsScript "binary-given-to-shell",
        "a shell is given a program to read as a script",
        [SCAN],
        [Anywhere("start the program directly, not as an argument of a shell, or use `sh -c`")];
    CarriageReturn "script-crlf",
        "the script has Windows line endings: the kernel looks for an interpreter whose name ends in a carriage return",
        [Anywhere("git ls-files --eol | grep crlf   # in the source tree: lists files with Windows line endings"), SCAN],
        [Anywhere("convert its line endings (dos2unix), keep them with `*.sh text eol=lf` in .gitattributes, and rebuild")];
    EmulatorOutside "emulator-outside",
        "the node's emulator is registered without the F flag, so the kernel looks for it inside the image",
        [
            ThroughCluster("kubectl debug node/{node} -it --profile=general --image=busybox -- sh -c 'cat /host/proc/sys/fs/binfmt_misc/qemu-*'   # flags must contain F"),
            OnMachine("cat /proc/sys/fs/binfmt_misc/qemu-*   # on the node: flags must contain F")
        ],
        [
            ThroughCluster("kubectl debug node/{node} -it --profile=sysadmin --image=tonistiigi/binfmt -- /usr/bin/binfmt --install all"),
            Privileged(INSTALL, "on the node")
        ];
    EmulatorMissing "emulator-missing",
        "the build runs programs for another architecture on a machine without an emulator for them",
        [OnMachine("imgarch doctor")],
        [
            Privileged(INSTALL, "installs emulators"),
            Anywhere("or build with FROM --platform=$BUILDPLATFORM and cross-compile, or use a native builder")
        ];
    EmulatorNotRegistered "emulator-missing",
        "the kernel refused to register an emulator, so programs for another architecture do not start",
        [OnMachine("imgarch doctor")],
        [
            Anywhere("sudo modprobe binfmt_misc && sudo mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc   # on the machine that runs the containers"),
            Privileged(INSTALL, "needs Linux 4.8 or newer")
        ];
    BadLoader "bad-loader",
        "the program's dynamic loader is for another architecture, or is not a loader",
        [SCAN],
        [Anywhere("use the loader and the libraries of one base image for the program's architecture")];
    Truncated "truncated",
        "the program, its loader or a library is truncated",
        [SCAN],
        [Anywhere("find the build step that wrote it, and compare its size with the original")];
    NodeCopy "node-copy",
        "the node's copy of the image is damaged; the registry's copy is intact",
        [
            ThroughCluster("kubectl debug node/{node} -it --profile=sysadmin --image=busybox -- chroot /host sh -c 'mkdir -p /run/copy && ctr -n k8s.io images mount {image} /run/copy && sha256sum /run/copy{path}; ctr -n k8s.io images unmount /run/copy'"),
            ThroughCluster("kubectl debug node/{node} -it --profile=sysadmin --image=busybox -- chroot /host podman image mount {image}   # on CRI-O")
        ],
        [
            ThroughCluster("kubectl debug node/{node} -it --profile=sysadmin --image=busybox -- chroot /host crictl rmi {image}"),
            Anywhere("kubectl delete pod {pod}   # pulls the image again")
        ];
    MissingProgram "missing-program",
        "the image has no file at that path",
        [SCAN],
        [Anywhere("fix `command:` or ENTRYPOINT, or copy the program there; a volume mounted over its directory also hides it")];
    NothingToStart "nothing-to-start",
        "neither the image nor the pod names a program to start",
        [SCAN],
        [Anywhere("add ENTRYPOINT or CMD to the Dockerfile, or `command:` to the pod")];
    EmptyEntrypoint "empty-entrypoint",
        "the first word of ENTRYPOINT or `command:` is empty",
        [SCAN],
        [Anywhere("remove the empty word; an unset variable in a template often leaves one")];
    MountedOver "mounted-over",
        "the program is below /proc, /sys or /dev, where the engine mounts its own file system",
        [SCAN],
        [Anywhere("copy it to a directory that engines do not mount over: /usr/local/bin")];
    MissingUser "missing-user",
        "the user or group to run as is not in the image's /etc/passwd or /etc/group",
        [SCAN],
        [Anywhere("create the user and group in the image (RUN adduser, RUN addgroup), or use numeric IDs: USER 1000:1000, `runAsUser: 1000`")];
    RunAsNonRoot "run-as-non-root",
        "the pod may not run as root, and the image's USER is root or a name that the kubelet cannot look up",
        [SCAN],
        [Anywhere("end the Dockerfile with a numeric user: USER 1000:1000, or set `runAsUser: 1000` in the pod")];
    BadWorkingDirectory "bad-working-directory",
        "the working directory is relative, is not a directory, or cannot be entered by the user",
        [SCAN],
        [Anywhere("set WORKDIR, or `workingDir:`, to the absolute path of a directory that is in the image or that the runtime can create")];
    RelativePath "relative-path",
        "the program is found through a relative directory in PATH, which most runtimes refuse",
        [SCAN],
        [Anywhere("give the program's full path, or use only absolute directories in PATH")];
    NotOnPath "not-on-path",
        "no directory on the container's PATH contains the program",
        [SCAN],
        [Anywhere("install it, give its full path, or fix PATH")];
    NotExecutable "not-executable",
        "the file cannot be executed: it has no execute bit, or it is a directory",
        [SCAN],
        [Anywhere("set the execute bit in the build: COPY --chmod=0755"), Anywhere("RUN chmod +x {path}")];
    NoExecMount "noexec-mount",
        "the file, its interpreter or its loader is on a volume mounted noexec, or is not executable",
        [Anywhere("kubectl get pod {pod} -o jsonpath='{.spec.volumes}'")],
        [Anywhere("run it from the image's own file system")];
    Capabilities "file-capabilities",
        "the file has capabilities that its container is not granted",
        [Anywhere("getcap {path}   # inside the image")],
        [Anywhere("remove them from the file in the build (setcap -r), or grant them: securityContext.capabilities.add")];
    ScriptNesting "script-nesting",
        "scripts name scripts as their interpreters, more than five levels deep",
        [SCAN],
        [Anywhere("name the last interpreter in the first script")];
    FileBusy "file-busy",
        "another process has the program open for writing: it was copied into place and started immediately",
        [Anywhere("kubectl logs {pod} --previous")],
        [Anywhere("write it under another name and rename it, or copy the program into the image in the build")];
    NoPlatform "no-platform",
        "the image has nothing for the node's platform",
        [Anywhere("imgarch scan {image}")],
        [Rebuild];
    PinnedToOne "pinned-to-one-platform",
        "the reference is pinned to one platform's manifest, not to the index",
        [Anywhere("imgarch scan {image}")],
        [Anywhere("docker buildx imagetools inspect {tagged}   # shows the digest of the index first"), Anywhere("pin the digest of the index, not of one platform's manifest")];
    MetadataDisagrees "metadata-disagrees",
        "the image's config and its index name different platforms, so containerd unpacked nothing",
        [Anywhere("imgarch scan {image}")],
        [Rebuild];
    OldKernel "old-kernel",
        "the program's libc needs a newer kernel than the node has",
        [ThroughCluster("kubectl get node {node} -o jsonpath='{.status.nodeInfo.kernelVersion}'"), OnMachine("uname -r   # on the node")],
        [Anywhere("update the node's kernel, or use a base image with an older libc")];
    CpuLevel "cpu-level",
        "the program needs a newer CPU than the node has",
        [SCAN, ThroughCluster("imgarch nodes"), OnMachine("lscpu | grep -E 'Model name|Flags'   # on the machine that runs it")],
        [Anywhere("in a virtual machine, choose another CPU type: host, or x86-64-v3 instead of kvm64 or qemu64"), Anywhere("build for the oldest CPU it must run on (x86-64-v1, armv8-a), use a base image for that CPU, or restrict the nodes by instance type")];
    PageSize "page-size",
        "the program is built for smaller memory pages than the node's kernel uses",
        [ThroughCluster("kubectl debug node/{node} -it --profile=general --image=debian:stable-slim -- getconf PAGESIZE"), OnMachine("getconf PAGESIZE   # on the node"), Anywhere("imgarch scan {image} --target {target},page=64k")],
        [Anywhere("link with -z max-page-size=65536, configure jemalloc with --with-lg-page=16, or use a 4K kernel")];
    MissingLibrary "missing-library",
        "a library that the program needs is not in the image, or only for another architecture",
        [SCAN],
        [Anywhere("install the package that contains the library for this platform")];
    ForeignLibrary "foreign-library",
        "a library or extension module is for another architecture, or is not a library",
        [SCAN],
        [Anywhere("install it on, or for, the target platform; do not copy node_modules, site-packages or a jar's native parts from a host")];
    OldLibc "old-libc",
        "the program was linked against a newer libc than the image has",
        [SCAN],
        [Anywhere("build on the base image that it runs on, or use a newer base image")];
    MixedLibc "mixed-libc",
        "the program was linked against a different libc or library version than the image has",
        [SCAN],
        [Anywhere("build on the base image that it runs on")];
    StaticTls "mixed-libc",
        "a library needs thread-local storage that the loader reserves only at the start: it is loaded too late",
        [SCAN],
        [Anywhere("load it first: LD_PRELOAD={path}"), Anywhere("with glibc 2.33 or newer, reserve more: GLIBC_TUNABLES=glibc.rtld.optional_static_tls=65536"), Anywhere("build the library without -ftls-model=initial-exec; libgomp, jemalloc and tcmalloc use it, mostly on arm64")];
    ModuleVersion "foreign-package",
        "a native module was built for another version of the runtime that loads it",
        [SCAN],
        [Anywhere("install or rebuild it in the image with the runtime that runs it (npm rebuild, pip install --force-reinstall, gem pristine), or use one version of the runtime in all stages; do not copy it from a host")];
    ForeignPackage "foreign-package",
        "a package with native code was installed for another platform",
        [SCAN],
        [Anywhere("run the package manager's install inside the build, for the target platform; keep node_modules in .dockerignore")];
    EmulatedLoader "emulated-loader",
        "the program runs under an emulator, and the image lacks the loader of its architecture",
        [SCAN],
        [Rebuild];
    Emulator "emulator",
        "the program dies under emulation",
        [
            ThroughCluster("kubectl debug node/{node} -it --profile=general --image=busybox -- sh -c 'cat /host/proc/sys/fs/binfmt_misc/qemu-*'   # the emulators of the node"),
            OnMachine("imgarch doctor")
        ],
        [
            Anywhere("build and run it on a native node, or install a newer emulator:"),
            ThroughCluster("kubectl debug node/{node} -it --profile=sysadmin --image=tonistiigi/binfmt -- /usr/bin/binfmt --uninstall 'qemu-*'"),
            ThroughCluster("kubectl debug node/{node} -it --profile=sysadmin --image=tonistiigi/binfmt -- /usr/bin/binfmt --install all"),
            Privileged(UNINSTALL, "on the machine that runs it"),
            Privileged(INSTALL, "on the machine that runs it")
        ];
    WrapperFallback "wrapper-fallback",
        "the program's launcher fell back to `/bin/sh FILE` after the kernel refused the file, which is for another architecture or not a program",
        [SCAN],
        [Rebuild];
    OutOfMemory "out-of-memory",
        "the kernel killed the program because memory ran out; architecture is not the cause",
        [Anywhere("kubectl describe pod {pod}")],
        [Anywhere("raise its memory limit: resources.limits.memory in Kubernetes, mem_limit in Compose, --memory for docker run")];
    NodeLimits "node-limits",
        "at its start, the program needs addresses or memory that not every node has",
        [SCAN],
        [Anywhere("raise limits on address space (ulimit -v), and use a kernel with 48-bit addresses"), Anywhere("link it again with the linker's default addresses and without huge zeroed segments")];
    Undecided "undecided",
        "a fact that decides whether the program starts is not known",
        [Anywhere("imgarch scan {image} --target {target} --explain")],
        [Anywhere("state what is missing with --target, for example --target linux/arm64,aarch32=no,page=64k")];
    ProgramItself "program-itself",
        "the program started and then failed on its own; architecture is not the cause",
        [Anywhere("kubectl logs {pod} --previous")],
        [Anywhere("see its log")];
}

impl Suspect {
    pub fn row(self) -> &'static SuspectRow {
        SUSPECTS.iter().find(|row| row.suspect == self).expect("the macro makes a row for each suspect")
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The suspect for the cause of a judged start.
    pub fn from_cause(kind: CauseKind) -> Suspect {
        use CauseKind::*;
        match kind {
            ForeignArchitecture => Suspect::WrongArchitecture,
            CauseKind::RefusedArchitecture => Suspect::RefusedArchitecture,
            NoAarch32 | NoIa32 | NoX32 | NoCompat => Suspect::No32Bit,
            NotAProgram | NotElf | ForeignFormat | EmptyFile | ErrorPage | LfsPointer | NoShebang | ScriptBom
            | ScriptBlank | EmptyShebang | LongShebang => Suspect::NotAProgram,
            CauseKind::LibraryAsProgram => Suspect::LibraryAsProgram,
            CorruptElf | RefusedHeader | BadPropertyNote | NoLoadSegment | BadSegments | BadEntry => {
                Suspect::CorruptProgram
            }
            CauseKind::Truncated | TruncatedLoader => Suspect::Truncated,
            ScriptCrlf | CauseKind::CarriageReturn => Suspect::CarriageReturn,
            ShebangOption => Suspect::ShebangOptions,
            BadOption => Suspect::RefusedOption,
            CauseKind::BadConfiguration => Suspect::BadConfiguration,
            CauseKind::ShellDialect => Suspect::ShellDialect,
            CauseKind::BinaryAsScript => Suspect::BinaryAsScript,
            CauseKind::MissingInterpreter => Suspect::MissingInterpreter,
            CauseKind::MissingScript | MissingModule => Suspect::MissingScript,
            BadScript => Suspect::NotAJar,
            TooManyInterpreters | TooManyHandlers => Suspect::ScriptNesting,
            MissingHandlerInterpreter | MissingHandlerLoader => Suspect::EmulatorOutside,
            CauseKind::MissingLoader => Suspect::MissingLoader,
            CauseKind::BadLoader | BadLoaderPath | ForeignLoader => Suspect::BadLoader,
            CauseKind::MissingLibrary => Suspect::MissingLibrary,
            CauseKind::ForeignLibrary | BrokenLibrary => Suspect::ForeignLibrary,
            SymbolVersion => Suspect::OldLibc,
            MissingSymbol => Suspect::MixedLibc,
            NoCommand => Suspect::NothingToStart,
            CauseKind::EmptyEntrypoint => Suspect::EmptyEntrypoint,
            UnknownUser => Suspect::MissingUser,
            RootRefused => Suspect::RunAsNonRoot,
            RelativeWorkingDir | BadWorkingDir => Suspect::BadWorkingDirectory,
            CauseKind::MissingProgram | MissingFile | MissingDirectory | NotADirectory | SymlinkLoop | NameTooLong => {
                Suspect::MissingProgram
            }
            CauseKind::MountedOver => Suspect::MountedOver,
            NotInPath => Suspect::NotOnPath,
            RelativeInPath => Suspect::RelativePath,
            CauseKind::NotExecutable | NeedsOverride | IsDirectory | NotAFile | NotSearchable => Suspect::NotExecutable,
            BadCapabilities | CapabilitiesNotGranted | CapabilitiesNeeded => Suspect::Capabilities,
            CauseKind::CpuLevel | CpuBaseline | CpuInstruction | DistributionLevel => Suspect::CpuLevel,
            CauseKind::PageSize => Suspect::PageSize,
            AddressSpace | LowAddress | Memory => Suspect::NodeLimits,
            UserUnknown | NotRead | HandlerUnknown | LibraryUnknown | CodeUnsearched | NodeUnknown => {
                Suspect::Undecided
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suspect_has_a_check_a_cure_and_a_sentence() {
        let mut sentences: Vec<&str> = SUSPECTS.iter().map(|row| row.sentence).collect();
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), SUSPECTS.len());
        for row in SUSPECTS {
            assert!(!row.check.is_empty() && !row.cure.is_empty(), "{}", row.name);
            assert!(
                row.sentence.starts_with(|c: char| c.is_lowercase()) && !row.sentence.ends_with('.'),
                "{}",
                row.name
            );
            assert_eq!(row.suspect.row().sentence, row.sentence);
        }
    }
}
