//! What can be behind a symptom: one row a suspect, with how to be sure of it and what cures it.
//! Ranking them is `rank`'s; nothing here knows a message.

use crate::scan::rebuild_command;

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

/// What is told of a suspect. `{image}`, `{target}`, `{platform}`, `{path}`, `{node}` and `{pod}` stand for the case's own;
/// where one is not known its name in capitals is shown, for the reader to fill in.
#[derive(Debug)]
pub struct SuspectRow {
    pub suspect: Suspect,
    /// Stable, kebab-case, as JSON shows it.
    pub name: &'static str,
    pub sentence: &'static str,
    /// Commands that tell whether it is so.
    pub check: &'static [&'static str],
    /// Commands and steps that mend it, the quickest first.
    pub cure: &'static [&'static str],
}

macro_rules! suspects {
    ($($suspect:ident $name:literal, $sentence:literal, [$($check:literal),*], [$($cure:literal),*];)*) => {
        /// What can be the matter.
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
        "the file is no program: a script without `#!`, an empty file, an error page or a Git LFS pointer",
        ["imgarch scan {image} --target {target}"],
        ["begin the script with `#!/bin/sh`, or copy the program itself to {path}, and build again"];
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
    CarriageReturn "script-crlf",
        "the script has Windows line ends: its interpreter is looked for with a carriage return in its name",
        ["imgarch scan {image} --target {target}"],
        ["sed -i 's/\\r$//' SCRIPT, add `*.sh text eol=lf` to .gitattributes, and build again"];
    EmulatorOutside "emulator-outside",
        "the node's emulator is registered without the F flag, so it is looked for inside the image",
        ["cat /proc/sys/fs/binfmt_misc/qemu-*   # on the node: flags must hold F"],
        ["docker run --privileged --rm tonistiigi/binfmt --install all   # on the node"];
    EmulatorMissing "emulator-missing",
        "the build runs another architecture's programs on a machine without an emulator for them",
        ["imgarch doctor"],
        ["build with FROM --platform=$BUILDPLATFORM and cross-compile, use a native builder, or: docker run --privileged --rm tonistiigi/binfmt --install all"];
    BadLoader "bad-loader",
        "the program's dynamic loader is for another architecture, or is no loader",
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
        ["mend `command:` or ENTRYPOINT, or copy the program there; a volume mounted over its directory hides it too"];
    NotOnPath "not-on-path",
        "no directory on the container's PATH has such a program",
        ["imgarch scan {image} --target {target}"],
        ["install it, give its full path, or mend PATH"];
    NotExecutable "not-executable",
        "the file may not be executed: its mode has no x bit, or it is a directory",
        ["imgarch scan {image} --target {target}"],
        ["COPY --chmod=0755, or RUN chmod +x {path}"];
    NoExecMount "noexec-mount",
        "the file, its interpreter or its loader lies on a volume that is mounted noexec, or is not executable",
        ["kubectl get pod {pod} -o jsonpath='{.spec.volumes}'"],
        ["run it from the image's own file system"];
    Capabilities "file-capabilities",
        "the file asks for capabilities that the container may not have",
        ["getcap {path}   # inside the image"],
        ["setcap -r {path} in the build, or add the capability to securityContext.capabilities.add"];
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
        ["pin the index's digest instead: docker buildx imagetools inspect TAG"];
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
        "a library or extension module is for another architecture, or is no library",
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
        "what starts the program fell back to `/bin/sh FILE` after the kernel refused it: it is for another architecture, or no program",
        ["imgarch scan {image} --target {target}"],
        ["{rebuild}"];
    OutOfMemory "out-of-memory",
        "the kernel killed it for want of memory; not a matter of architecture",
        ["kubectl describe pod {pod}"],
        ["raise resources.limits.memory"];
    ProgramItself "program-itself",
        "the program started and failed by itself; not a matter of architecture",
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
}

/// The case's own names, for commands that can be pasted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub image: Option<String>,
    /// Where the image was read, as a report tells it; a registry where it was not.
    pub origin: Option<String>,
    /// As `--target` takes it.
    pub target: Option<String>,
    pub platform: Option<String>,
    pub path: Option<String>,
    pub node: Option<String>,
    /// With its namespace, as kubectl takes it: `app-1 -n shop`.
    pub pod: Option<String>,
}

impl Names {
    /// Fills a row's text in; what is not known stands there in capitals.
    pub fn fill(&self, text: &str) -> String {
        let platform = self.platform.as_deref().unwrap_or("PLATFORM");
        let rebuild = Some(match &self.image {
            Some(image) => rebuild_command(image, self.origin.as_deref().unwrap_or("registry"), platform),
            None => format!("imgarch rebuild IMAGE --platform {platform}"),
        });
        let holes = [
            ("{rebuild}", &rebuild, "REBUILD"),
            ("{image}", &self.image, "IMAGE"),
            ("{target}", &self.target, "TARGET"),
            ("{platform}", &self.platform, "PLATFORM"),
            ("{path}", &self.path, "FILE"),
            ("{node}", &self.node, "NODE"),
            ("{pod}", &self.pod, "POD"),
        ];
        holes.iter().fold(text.to_string(), |text, (hole, value, capitals)| {
            text.replace(hole, value.as_deref().unwrap_or(capitals))
        })
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
    fn what_is_not_known_stands_in_capitals() {
        let names = Names { image: Some("app:1".into()), ..Names::default() };
        assert_eq!(names.fill("imgarch scan {image} --target {target}"), "imgarch scan app:1 --target TARGET");
    }
}
