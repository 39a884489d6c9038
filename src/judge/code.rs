//! The table of finding codes, one row each. Help, `imgarch explain`, SARIF rules, docs/codes.md and the tests read it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The severity of a finding. Reports use this order, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Severity {
    Note,
    Warning,
    Error,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Severity, String> {
        [Severity::Note, Severity::Warning, Severity::Error]
            .into_iter()
            .find(|severity| severity.word() == text)
            .ok_or_else(|| format!("unknown severity {text:?}; expected error, warning or note"))
    }
}

/// A row of the table, as `imgarch explain` shows it.
#[derive(Debug)]
pub struct CodeRow {
    pub code: Code,
    /// Stable, kebab-case; users write it in ignore lists.
    pub name: &'static str,
    /// The usual severity; some findings raise or lower it.
    pub severity: Severity,
    /// One-line summary of the problem.
    pub title: &'static str,
    /// The effect on the node.
    pub why: &'static str,
    /// How to fix it.
    pub cure: &'static str,
}

macro_rules! codes {
    ($($code:ident $name:literal $severity:ident, $title:literal, $why:literal, $cure:literal;)*) => {
        /// A kind of finding. Codes are never removed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Code { $($code),* }

        /// Every code, in the order in which findings of equal severity are shown.
        pub const CODES: &[CodeRow] = &[
            $(CodeRow { code: Code::$code, name: $name, severity: Severity::$severity, title: $title, why: $why, cure: $cure }),*
        ];
    };
}

codes! {
    EntrypointWrongArch "entrypoint-wrong-arch" Error,
        "the program that the container starts is for another architecture",
        "execve returns ENOEXEC: the container's log shows `exec format error` and the pod ends in CrashLoopBackOff",
        "build this platform from source for TARGETARCH, or copy the file that was built for it";
    EntrypointNotFound "entrypoint-not-found" Error,
        "the program that the container starts is not in the image",
        "the runtime refuses to create the container: `no such file or directory` or `executable file not found in $PATH`",
        "copy the program into the image at that path, or fix ENTRYPOINT, CMD or PATH";
    EntrypointNotExecutable "entrypoint-not-executable" Error,
        "the program that the container starts is not executable",
        "the runtime refuses to create the container: `permission denied`",
        "set the execute bit in the build: COPY --chmod=0755, or RUN chmod +x";
    EntrypointNotAProgram "entrypoint-not-a-program" Error,
        "the file that the container starts is not a Linux program",
        "execve returns ENOEXEC: the container's log shows `exec format error`",
        "copy the program to that path: check what the file is and which build step wrote it";
    EntrypointBadScript "entrypoint-bad-script" Error,
        "the script that the container starts cannot be run by the kernel",
        "the kernel reads the first line byte for byte: a carriage return, a byte order mark or a missing interpreter ends in `no such file or directory` or `exec format error`, and several options are one argument, which shells refuse",
        "end the first line (`#!/bin/sh`) with a line feed only, and install that interpreter in the image";
    EntrypointNoLoader "entrypoint-no-loader" Error,
        "the dynamic loader that the container's program names is not in the image",
        "execve returns ENOENT although the program exists: the log shows `no such file or directory`",
        "use a base image with that libc, or link the program statically";
    EntrypointBadLoader "entrypoint-bad-loader" Error,
        "the dynamic loader of the container's program does not match it",
        "execve returns ELIBBAD, EIO or EACCES: `accessing a corrupted shared library`",
        "use the loader and the libraries of one base image for the program's architecture";
    EntrypointMissingLibrary "entrypoint-missing-library" Error,
        "the container's program needs a library that the image does not have, or has only for another architecture",
        "the loader ends the program with exit code 127: `error while loading shared libraries`",
        "install the package that contains the library for this platform";
    EntrypointCpuLevel "entrypoint-cpu-level" Error,
        "the container's program needs a newer CPU than the target has",
        "the program ends with exit code 127 (`CPU ISA level is lower than required`), 132 (illegal instruction) or 1",
        "build for the oldest CPU it must run on, give the virtual machine another CPU type (host or x86-64-v3 instead of kvm64), or restrict the nodes";
    EntrypointDies "entrypoint-dies" Error,
        "the container's program starts and is killed immediately",
        "the kernel kills it with a signal and no message: exit code 139",
        "see the cause: a truncated file, or one linked for smaller memory pages than the node's";
    EntrypointFails "entrypoint-fails" Error,
        "the container's program cannot be started",
        "execve returns an error",
        "see the cause";
    EntrypointCapabilities "entrypoint-capabilities" Error,
        "the container's program has file capabilities that its container is not granted",
        "execve returns EPERM: the container's log shows `operation not permitted`",
        "grant them (docker run --cap-add, securityContext.capabilities.add), or remove them from the file: setcap -r";
    EntrypointUnknown "entrypoint-unknown" Warning,
        "imgarch could not determine whether the container's program starts",
        "a fact that the verdict depends on is missing",
        "state what is missing with --target, for example --target linux/arm64,aarch32=no,page=64k";
    EntrypointCpuDoubt "entrypoint-cpu-doubt" Warning,
        "the container's program may need a newer CPU or smaller pages than the target has",
        "the file suggests it but does not prove it",
        "build for the oldest CPU and the largest page size it must run on, or state the target";
    ScriptLineFails "script-line-fails" Note,
        "a line of a script on the entry chain would fail, and the script continues",
        "the line has no effect; scripts often call programs that are optional",
        "install what the line calls, or remove the line";
    WhollyAnotherArchitecture "wholly-another-architecture" Error,
        "every program in the image is for an architecture that neither the index nor the config declares",
        "nothing in the image starts on the platform it is labelled for: `exec format error`",
        "the build ran for the wrong platform: remove platform constants from FROM, and build this platform again";
    Mislabelled "mislabelled" Error,
        "the files agree with one another, but not with the platform they are published for",
        "nodes of the published platform pull this image and cannot run it: `exec format error`",
        "publish it under the platform its files are for, and build the platform that the index promises";
    MetadataDisagrees "metadata-disagrees" Warning,
        "index and config name different platforms; the files fit the index",
        "engines that check the config reject such an image or unpack it incorrectly; the programs themselves would run",
        "rebuild with docker buildx build --platform, which sets both to the same platform";
    ReleaseWrongPlatform "release-wrong-platform" Error,
        "a release file or package contains a program for a platform other than its own",
        "anyone who installs it gets `exec format error`, or a library that does not load",
        "build it for that platform, or rename the file after the platform of its program";
    ForeignLibrary "foreign-library" Error,
        "a library that the container's program loads is for another architecture",
        "the loader rejects it and ends the program, or the import fails at run time",
        "install the library for this platform";
    ForeignOnPath "foreign-on-path" Error,
        "a program on PATH is for another architecture",
        "any program that calls it gets `exec format error`",
        "download or build it for TARGETARCH";
    ForeignExtension "foreign-extension" Error,
        "an extension module of an installed language runtime is for another architecture",
        "importing or requiring it fails at run time: `cannot open shared object file`, `invalid ELF header`",
        "install the package on, or for, the target platform; do not copy node_modules or site-packages from a host";
    ForeignCalled "foreign-called" Error,
        "a program that a script on the entry chain or a health check calls is for another architecture",
        "the script fails at that line: `exec format error`",
        "download or build it for TARGETARCH";
    CalledNotAProgram "called-not-a-program" Error,
        "a file that a script on the entry chain or a health check calls is not a Linux program",
        "the script fails at that line: `exec format error`, `not found`, or a syntax error from a shell that tries to run it as a script",
        "check what the file is: a failed download, a Git LFS pointer, a macOS or Windows program";
    BrokenExtension "broken-extension" Error,
        "an extension module of an installed language runtime is not a Linux library",
        "importing or requiring it fails at run time: `invalid ELF header`, `file too short`",
        "install the package on the image's own platform; check what the file is: a Git LFS pointer, a failed download, a macOS build";
    ExtensionCpuLevel "extension-cpu-level" Error,
        "a module of an installed language runtime needs a newer CPU than the target has",
        "loading it ends the process: illegal instruction, exit code 132",
        "install a build of the package for older CPUs or an older version of it, give the virtual machine another CPU type (host or x86-64-v3 instead of kvm64), or keep the workload off such nodes";
    ProgramNoLoader "program-no-loader" Error,
        "a program's dynamic loader is not in the image: it was built for another C library",
        "any program that calls it gets `no such file or directory`, although the file exists",
        "use a build for this image's C library, or link it statically";
    ProgramMissingLibrary "program-missing-library" Warning,
        "a program that something in the image starts needs a library or a symbol version that the image does not have",
        "its loader ends it with exit code 127 or 1: `error while loading shared libraries`, `version ... not found`",
        "install the package that contains the library for this platform in the final stage";
    ForeignConfigured "foreign-configured" Error,
        "a program or library that configuration or the environment names is for another architecture",
        "the program that reads the configuration fails when it runs or loads the file: `exec format error`, `cannot open shared object file`",
        "install the file for this platform, or remove it from the configuration";
    BrokenConfigured "broken-configured" Error,
        "a file that configuration or the environment names is not a Linux program or library, or a module that a server loads is missing",
        "the program that reads the configuration fails when it runs or loads the file: `exec format error`, `invalid ELF header`, `file too short`, `cannot open shared object file`",
        "check what the file is: a failed download, a Git LFS pointer, a macOS or Windows program";
    ExtensionMissingLibrary "extension-missing-library" Error,
        "an extension module of an installed language runtime needs a library or a symbol version that the image does not have",
        "importing or requiring it fails at run time: `cannot open shared object file`, `version ... not found`",
        "install the package that contains the library for this platform in the final stage";
    PackagePartMissing "package-part-missing" Warning,
        "a package's native part is in another package for each platform, or is built on installation, and is not there",
        "the package looks for its native part, finds none and throws when it is loaded",
        "install with optional dependencies and scripts on, or for, the target platform: npm ci --include=optional, npm rebuild";
    PackageOtherPlatform "package-other-platform" Error,
        "a package is installed only as its build for another platform",
        "the package looks for its native part for this platform, finds none and throws when it is loaded",
        "install dependencies in the build for the target platform: npm ci or pip install on the image's own platform";
    JarWithoutPlatform "jar-without-platform" Error,
        "a Java or .NET archive has native parts, but none for this platform",
        "the native part fails to load: UnsatisfiedLinkError; some libraries fall back to slow code, others stop",
        "use a version of the library that supports the platform";
    ForeignFile "foreign-file" Warning,
        "a program or library for another architecture, not known to be used",
        "it fails if anything runs it",
        "leave it out of this platform's image, or ignore this path if it is intended";
    BadProgramOnPath "bad-program-on-path" Warning,
        "a file on PATH has the execute bit, but no Linux kernel runs it",
        "any program that calls it gets `exec format error`",
        "check what the file is: a failed download, a Git LFS pointer, a macOS or Windows program";
    HealthcheckFails "healthcheck-fails" Warning,
        "the HEALTHCHECK command cannot run",
        "the container is reported unhealthy although it works",
        "fix the command, or install its program for this platform";
    NoPlatformForTarget "no-platform-for-target" Error,
        "the index has no entry that a target's engine would pull",
        "the node cannot pull it: ErrImagePull, `no match for platform in manifest`",
        "build the platform and add it to the index: docker buildx build --platform, or leave the node out";
    SinglePlatformIndex "single-platform-index" Note,
        "the index lists only one platform",
        "an index is easily mistaken for a multi-platform image; nodes of other architectures find no match in it",
        "build the other platforms: docker buildx build --platform linux/amd64,linux/arm64";
    DigestPinsPlatform "digest-pins-platform" Note,
        "the digest names one platform's manifest, not the index",
        "an engine that pulls it serves it to every node, whatever its architecture",
        "pin the digest of the index, which `docker buildx imagetools inspect` shows first";
    PlatformAbsent "platform-absent" Note,
        "the index lists a platform whose content is not stored here",
        "an engine keeps only the platforms that it pulled; this one was not read",
        "scan the image from its registry to read every platform";
    ForeignOnPurpose "foreign-on-purpose" Note,
        "a file for another architecture that is there on purpose",
        "it is data, a sibling of one for this platform, or part of a cross toolchain",
        "nothing to do";
    NoPrograms "no-programs" Warning,
        "no program was found in the image",
        "there is nothing to judge, which is not the same as clean",
        "if the image is meant to hold data only, ignore this code for it";
    NothingStarts "nothing-starts" Note,
        "the image sets neither ENTRYPOINT nor CMD",
        "a runtime refuses to create a container from it unless it is given a command",
        "name the program with --entrypoint to have it judged";
    HardLinkAcrossLayers "hard-link-across-layers" Warning,
        "a layer has a hard link to a file that does not come earlier in the same layer",
        "docker, containerd and podman on overlayfs, their usual driver, unpack each layer into its own directory and fail: `link ...: no such file or directory`; other drivers unpack it if the file is in a lower layer; no driver does if the file comes later in the same layer, which is an error",
        "build the image with a tool that writes the linked file into each layer that links to it, or copy the file instead of linking it";
    OddLayer "odd-layer" Warning,
        "a layer's archive contains something that engines reject or skip",
        "an engine may fail to unpack the layer, or unpack less than the image's builder intended",
        "rebuild the layer, with names that stay within the root and no bytes after the compressed stream";
    HardLinkToNothing "hard-link-to-nothing" Error,
        "a layer has a hard link to a file that is in no layer below it",
        "engines fail to unpack such a layer",
        "rebuild the image";
}

impl Code {
    /// This code's row.
    pub fn row(self) -> &'static CodeRow {
        CODES.iter().find(|row| row.code == self).expect("the macro writes a row for each code")
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    pub fn parse(name: &str) -> Option<Code> {
        CODES.iter().find(|row| row.name == name).map(|row| row.code)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_a_unique_stable_name_and_help() {
        let names: BTreeSet<&str> = CODES.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), CODES.len());
        for row in CODES {
            assert_eq!(Code::parse(row.name), Some(row.code));
            assert!(row.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", row.name);
            for text in [row.title, row.why, row.cure] {
                assert!(text.len() > 10 && !text.ends_with('.'), "{}: {text}", row.name);
            }
        }
    }

    #[test]
    fn severities_read_back() {
        for severity in [Severity::Note, Severity::Warning, Severity::Error] {
            assert_eq!(severity.word().parse(), Ok(severity));
        }
        assert!("fatal".parse::<Severity>().is_err());
        assert!(Severity::Error > Severity::Warning && Severity::Warning > Severity::Note);
    }
}
