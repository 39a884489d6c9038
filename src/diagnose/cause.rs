//! What can be behind a symptom: one row a suspect, with how to be sure of it and what cures it.
//! Ranking them is `rank`'s; nothing here knows a message.

use crate::exec::CauseKind;
use crate::scan::rebuild_command;
use crate::source::{ImageRef, Origin};

/// How sure a suspect is. Ordered, the surest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Likelihood {
    Unlikely,
    Possible,
    Likely,
    /// The image's bytes and the node's facts say it, or the message can mean nothing else.
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

/// What is reported of a suspect. `{image}`, `{tagged}`, `{target}`, `{platform}`, `{path}`, `{node}` and `{pod}` stand for
/// the case's own; a line with one that is not known is left out.
#[derive(Debug)]
pub struct SuspectRow {
    pub suspect: Suspect,
    /// Stable, kebab-case, as JSON shows it.
    pub name: &'static str,
    pub sentence: &'static str,
    /// Commands that confirm or rule it out.
    pub check: &'static [&'static str],
    /// Commands and steps that fix it, the quickest first.
    pub cure: &'static [&'static str],
}

macro_rules! suspects {
    ($($suspect:ident $name:literal, $sentence:literal, [$($check:literal),*], [$($cure:literal),*];)*) => {
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
        ["imgarch scan {image} --target {target}"],
        ["{rebuild}"];
    NotAProgram "not-a-program",
        "the file is not a program: a script without `#!`, an empty file, an error page or a Git LFS pointer",
        ["imgarch scan {image} --target {target}"],
        ["begin the script with `#!/bin/sh`, or copy the program itself there, and build again"];
    LibraryAsProgram "library-as-program",
        "the file is a shared library, not a program",
        ["imgarch scan {image} --target {target}"],
        ["start the program itself; if it is one, link it with its loader: -pie without -shared"];
    CorruptProgram "corrupt-program",
        "the program's ELF headers are damaged, or the tool that linked or packed it wrote ones that the kernel refuses",
        ["imgarch scan {image} --target {target}"],
        ["build it again without strip, packers or patchelf, or download it again and check its checksum"];
    ForeignInterpreter "foreign-interpreter",
        "the script's interpreter is a program for another architecture",
        ["imgarch scan {image} --target {target}"],
        ["{rebuild}"];
    No32Bit "no-32-bit",
        "a 32-bit program on a node that runs 64-bit programs only",
        ["imgarch scan {image} --target {target}", "imgarch nodes"],
        ["publish a 64-bit build, or keep the workload off these nodes with nodeAffinity"];
    MissingLoader "missing-loader",
        "the dynamic loader that the program names is not in the image: a glibc program on a musl base, or the reverse",
        ["imgarch scan {image} --target {target}"],
        ["build against the base image's libc, link statically, or use a base image with that libc"];
    MissingInterpreter "missing-interpreter",
        "the script's first line names an interpreter that is not in the image",
        ["imgarch scan {image} --target {target}"],
        ["install the interpreter, or name one that the image has"];
    MissingScript "missing-script",
        "the file that the shell or interpreter is given is not in the image",
        ["imgarch scan {image} --target {target}"],
        ["copy it there, or fix the path in ENTRYPOINT, CMD or `command:`; a relative path starts at WORKDIR"];
    NotAJar "not-a-jar",
        "the file that java is given is not a jar",
        ["imgarch scan {image} --target {target}"],
        ["find out what the file is: a failed download, a Git LFS pointer, a program"];
    ShebangOptions "options-in-first-line",
        "the script's first line gives its interpreter several options, which Linux passes as one argument",
        ["imgarch scan {image} --target {target}"],
        ["keep one option there, or put them in the script: set -eu; with GNU's env: #!/usr/bin/env -S bash -e"];
    RefusedOption "refused-option",
        "a wrapper or shell on the start path refuses an option that it is given",
        ["imgarch scan {image} --target {target}"],
        ["give each option as a word of its own, and only those that this version of the program has"];
    BinaryAsScript "binary-given-to-shell",
        "a shell is given a program to read as if it were a script",
        ["imgarch scan {image} --target {target}"],
        ["start the program by its own path in ENTRYPOINT, without `sh` before it, or use `sh -c`"];
    CarriageReturn "script-crlf",
        "the script has Windows line ends: its interpreter is looked for with a carriage return in its name",
        ["git ls-files --eol | grep crlf   # in the sources: lists files with Windows line ends", "imgarch scan {image} --target {target}"],
        ["give the script Unix line ends (dos2unix), add `*.sh text eol=lf` to .gitattributes, and build again"];
    EmulatorOutside "emulator-outside",
        "the node's emulator is registered without the F flag, so it is looked for inside the image",
        ["cat /proc/sys/fs/binfmt_misc/qemu-*   # on the node: flags must hold F"],
        ["docker run --privileged --rm tonistiigi/binfmt --install all   # on the node"];
    EmulatorMissing "emulator-missing",
        "the build runs another architecture's programs on a machine without an emulator for them",
        ["imgarch doctor"],
        ["build with FROM --platform=$BUILDPLATFORM and cross-compile, use a native builder, or: docker run --privileged --rm tonistiigi/binfmt --install all"];
    BadLoader "bad-loader",
        "the program's dynamic loader is for another architecture, or is not a loader",
        ["imgarch scan {image} --target {target}"],
        ["take loader and libraries from one base image of the program's architecture"];
    Truncated "truncated",
        "the program or its loader is cut short",
        ["imgarch scan {image} --target {target}"],
        ["find the build step that wrote it, and compare its size with the original"];
    NodeCopy "node-copy",
        "the node's copy of the image is damaged while the registry's is whole",
        [
            "kubectl debug node/{node} -it --image=busybox -- chroot /host sh -c 'mkdir -p /run/copy && ctr -n k8s.io images mount {image} /run/copy && sha256sum /run/copy{path}; ctr -n k8s.io images unmount /run/copy'",
            "kubectl debug node/{node} -it --image=busybox -- chroot /host podman image mount {image}   # on CRI-O"
        ],
        [
            "kubectl debug node/{node} -it --image=busybox -- chroot /host crictl rmi {image}",
            "kubectl delete pod {pod}   # pulls afresh"
        ];
    MissingProgram "missing-program",
        "the image has no such file at that path",
        ["imgarch scan {image} --target {target}"],
        ["fix `command:` or ENTRYPOINT, or copy the program there; a volume mounted over its directory hides it too"];
    NothingToStart "nothing-to-start",
        "neither the image nor the pod names a program to start",
        ["imgarch scan {image} --target {target}"],
        ["add ENTRYPOINT or CMD to the Dockerfile, or `command:` to the pod"];
    EmptyEntrypoint "empty-entrypoint",
        "the first word of ENTRYPOINT or `command:` is empty",
        ["imgarch scan {image} --target {target}"],
        ["remove the empty word; an unset variable in a template often leaves one"];
    MountedOver "mounted-over",
        "the program lies below /proc, /sys or /dev, where the engine mounts a file system of its own",
        ["imgarch scan {image} --target {target}"],
        ["copy it to a directory that engines do not mount over: /usr/local/bin"];
    MissingUser "missing-user",
        "the image's USER, or the group in it, is not in its /etc/passwd or /etc/group",
        ["imgarch scan {image} --target {target}"],
        ["create it in the build (RUN adduser, RUN addgroup), or use numbers: USER 1000:1000, `runAsUser: 1000`"];
    RunAsNonRoot "run-as-non-root",
        "the pod may not run as root, and the image's USER is root or a name that the kubelet cannot look up",
        ["imgarch scan {image} --target {target}"],
        ["end the Dockerfile with a number: USER 1000:1000, or set `runAsUser: 1000` in the pod"];
    BadWorkingDirectory "bad-working-directory",
        "the working directory is relative, is not a directory, or may not be entered by the user",
        ["imgarch scan {image} --target {target}"],
        ["make WORKDIR, or `workingDir:`, an absolute path of a directory, or of one that can be created"];
    RelativePath "relative-path",
        "the program is found by a relative directory of PATH, which most runtimes refuse",
        ["imgarch scan {image} --target {target}"],
        ["give the program's full path, or use absolute directories only in PATH"];
    NotOnPath "not-on-path",
        "no directory on the container's PATH has such a program",
        ["imgarch scan {image} --target {target}"],
        ["install it, give its full path, or fix PATH"];
    NotExecutable "not-executable",
        "the file may not be executed: its mode has no x bit, or it is a directory",
        ["imgarch scan {image} --target {target}"],
        ["COPY --chmod=0755 sets the mode in the Dockerfile", "RUN chmod +x {path}"];
    NoExecMount "noexec-mount",
        "the file, its interpreter or its loader lies on a volume that is mounted noexec, or is not executable",
        ["kubectl get pod {pod} -o jsonpath='{.spec.volumes}'"],
        ["run it from the image's own file system"];
    Capabilities "file-capabilities",
        "the file asks for capabilities that the container may not have",
        ["getcap {path}   # inside the image"],
        ["remove them in the build (setcap -r), or add the capability to securityContext.capabilities.add"];
    ScriptNesting "script-nesting",
        "scripts whose interpreters are scripts, more than five deep",
        ["imgarch scan {image} --target {target}"],
        ["name the last interpreter in the first script"];
    FileBusy "file-busy",
        "something has the program open for writing: it was copied into place and started at once",
        ["kubectl logs {pod} --previous"],
        ["write under another name and rename, or build the program into the image"];
    NoPlatform "no-platform",
        "the image has nothing for the node's platform",
        ["imgarch scan {image}"],
        ["{rebuild}"];
    PinnedToOne "pinned-to-one-platform",
        "the reference is pinned to one platform's manifest, not to the index",
        ["imgarch scan {image}"],
        ["pin the index's digest instead, which this shows: docker buildx imagetools inspect {tagged}", "pin the digest of the index, not that of one platform's manifest"];
    MetadataDisagrees "metadata-disagrees",
        "the image's config names another platform than its index, so containerd unpacked nothing",
        ["imgarch scan {image}"],
        ["{rebuild}"];
    CpuLevel "cpu-level",
        "the program needs a newer CPU than the node has",
        ["imgarch scan {image} --target {target}", "imgarch nodes"],
        ["build for the oldest CPU (x86-64-v1, armv8-a), take a base image for it, or narrow the nodes by instance type"];
    PageSize "page-size",
        "the program is built for smaller memory pages than the node's kernel uses",
        ["getconf PAGESIZE   # on the node", "imgarch scan {image} --target {target},page=64k"],
        ["link with -z max-page-size=65536, configure jemalloc with --with-lg-page=16, or use a 4K kernel"];
    MissingLibrary "missing-library",
        "a library that the program needs is not in the image, or only for another architecture",
        ["imgarch scan {image} --target {target}"],
        ["install the package that holds it for this platform"];
    ForeignLibrary "foreign-library",
        "a library or extension module is for another architecture, or is not a library",
        ["imgarch scan {image} --target {target}"],
        ["install it on, or for, the target platform; do not copy node_modules, site-packages or jars' natives from a host"];
    OldLibc "old-libc",
        "the program was linked against a newer libc than the image has",
        ["imgarch scan {image} --target {target}"],
        ["build on the base image that it runs on, or use a newer base image"];
    MixedLibc "mixed-libc",
        "the program was linked against another libc or library version than the image has",
        ["imgarch scan {image} --target {target}"],
        ["build on the base image that it runs on"];
    ForeignPackage "foreign-package",
        "a package with native code was installed for another platform",
        ["imgarch scan {image} --target {target}"],
        ["run the package manager's install inside the build, for the target platform; keep node_modules in .dockerignore"];
    EmulatedLoader "emulated-loader",
        "the program runs under an emulator, and the image lacks the loader of its architecture",
        ["imgarch scan {image} --target {target}"],
        ["{rebuild}"];
    Emulator "emulator",
        "the program dies under emulation",
        ["imgarch doctor"],
        ["build and run it on a native node; or a newer emulator: docker run --privileged --rm tonistiigi/binfmt --uninstall 'qemu-*' and --install all"];
    WrapperFallback "wrapper-fallback",
        "what starts the program fell back to `/bin/sh FILE` after the kernel refused it: it is for another architecture, or not a program",
        ["imgarch scan {image} --target {target}"],
        ["{rebuild}"];
    OutOfMemory "out-of-memory",
        "the kernel killed it because memory ran out; architecture is not the cause",
        ["kubectl describe pod {pod}"],
        ["raise resources.limits.memory"];
    NodeLimits "node-limits",
        "the program asks for addresses or memory at its start that not every node has",
        ["imgarch scan {image} --target {target}"],
        ["link it again with the linker's default addresses and without huge zeroed segments"];
    Undecided "undecided",
        "a fact that decides whether the program starts is not known",
        ["imgarch scan {image} --target {target} --explain"],
        ["state what is missing with --target, for example --target linux/arm64,aarch32=no,page=64k"];
    ProgramItself "program-itself",
        "the program started and failed by itself; architecture is not the cause",
        ["kubectl logs {pod} --previous"],
        ["see its log"];
}

impl Suspect {
    pub fn row(self) -> &'static SuspectRow {
        SUSPECTS.iter().find(|row| row.suspect == self).expect("the macro makes a row for each suspect")
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The suspect that a judged call's cause stands for.
    pub fn from_cause(kind: CauseKind) -> Suspect {
        use CauseKind::*;
        match kind {
            ForeignArchitecture => Suspect::WrongArchitecture,
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
            CauseKind::MissingProgram | MissingFile | NotADirectory | SymlinkLoop | NameTooLong => {
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
            UserUnknown | NotRead | HandlerUnknown | LibraryUnknown | NodeUnknown => Suspect::Undecided,
        }
    }
}

/// The case's own names, for commands that can be pasted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub image: Option<String>,
    /// Where the image was read; `None`: it was not, and a registry is assumed.
    pub origin: Option<Origin>,
    /// As `--target` takes it.
    pub target: Option<String>,
    pub platform: Option<String>,
    pub path: Option<String>,
    pub node: Option<String>,
    /// With its namespace, as kubectl takes it: `app-1 -n shop`.
    pub pod: Option<String>,
}

/// Where no message, pod or option names the image.
pub const FIND_IMAGE: &str = "add --image to get commands; docker ps -a lists the images";

impl Names {
    fn origin(&self, image: &str) -> Origin {
        let assumed = || match ImageRef::parse(image).reference() {
            Some(reference) => Origin::Registry { reference, mirror: None },
            None => Origin::Unopened,
        };
        match &self.origin {
            // The node's digest is how a registry's image was read; the name is what is rebuilt.
            None | Some(Origin::Registry { .. }) => assumed(),
            Some(origin) => origin.clone(),
        }
    }

    /// Fills a row's text in; `None` where it needs a name that is not known.
    pub fn fill(&self, text: &str) -> Option<String> {
        // Without a target, a scan judges every platform.
        let text = match self.target {
            None if !text.contains("{target},") => text.replace(" --target {target}", ""),
            _ => text.to_string(),
        };
        // A digest without a tag cannot be rebuilt in place.
        let is_tagged = |image: &&String| {
            image.split_once('@').is_none_or(|(name, _)| name.rsplit('/').next().is_some_and(|last| last.contains(':')))
        };
        let rebuild = self.image.as_ref().filter(is_tagged).map(|image| match &self.platform {
            Some(platform) => rebuild_command(image, &self.origin(image), platform),
            None => format!("imgarch rebuild {}", image.split('@').next().unwrap_or(image)),
        });
        let tagged = self.image.as_ref().map(|image| image.split('@').next().unwrap_or(image).to_string());
        let holes = [
            ("{rebuild}", &rebuild),
            ("{image}", &self.image),
            ("{tagged}", &tagged),
            ("{target}", &self.target),
            ("{platform}", &self.platform),
            ("{path}", &self.path),
            ("{node}", &self.node),
            ("{pod}", &self.pod),
        ];
        holes
            .iter()
            .filter(|(hole, _)| text.contains(hole))
            .try_fold(text.clone(), |text, (hole, value)| Some(text.replace(hole, value.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suspect_has_a_check_a_cure_and_a_name_of_its_own() {
        let mut names: Vec<&str> = SUSPECTS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SUSPECTS.len());
        for row in SUSPECTS {
            assert!(!row.check.is_empty() && !row.cure.is_empty(), "{}", row.name);
            assert!(
                row.sentence.starts_with(|c: char| c.is_lowercase()) && !row.sentence.ends_with('.'),
                "{}",
                row.name
            );
            assert_eq!(row.suspect.row().name, row.name);
        }
    }

    #[test]
    fn no_filled_in_line_has_a_placeholder() {
        const WORDS: &[&str] = &[
            "RUN",
            "COPY",
            "FROM",
            "USER",
            "CMD",
            "PATH",
            "WORKDIR",
            "ENTRYPOINT",
            "PAGESIZE",
            "CPU",
            "ELF",
            "LFS",
            "GNU",
        ];
        let some = |text: &str| Some(text.to_string());
        let names = Names {
            image: some("user/app:1"),
            origin: None,
            target: some("linux/arm64"),
            platform: some("linux/arm64"),
            path: some("/app"),
            node: some("n1"),
            pod: some("app-1 -n shop"),
        };
        for line in SUSPECTS.iter().flat_map(|row| row.check.iter().chain(row.cure)) {
            let filled = names.fill(line).unwrap();
            let words = filled.split(|c: char| c.is_whitespace() || "'\"`=,:;.()".contains(c));
            let is_placeholder = |word: &&str| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase());
            let found: Vec<&str> = words.filter(is_placeholder).filter(|word| !WORDS.contains(word)).collect();
            assert!(
                found.is_empty() && !filled.contains(['{', '}']) || filled.contains("jsonpath"),
                "{filled}: {found:?}"
            );
        }
    }

    #[test]
    fn a_line_that_needs_an_unknown_name_is_left_out() {
        let names = Names { image: Some("app:1@sha256:12".into()), ..Names::default() };
        let filled = |text| names.fill(text);
        assert_eq!(filled("imgarch scan {image} --target {target}").unwrap(), "imgarch scan app:1@sha256:12");
        assert_eq!(filled("inspect {tagged}").unwrap(), "inspect app:1");
        assert_eq!(filled("imgarch scan {image} --target {target},page=64k"), None);
        assert_eq!(filled("kubectl logs {pod} --previous"), None);
        assert_eq!(Names::default().fill("{rebuild}"), None);
        assert_eq!(filled("{rebuild}").unwrap(), "imgarch rebuild app:1");
        assert_eq!(Names::default().fill("see its log").unwrap(), "see its log");
    }
}
