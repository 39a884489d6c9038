//! The rules, one row each: messages, help, `explain`, SARIF and the docs read this table. It never looks at a file.

use std::fmt;

pub use crate::judge::code::Severity;

/// A rule's stable name. Its kebab-case text is what ignore comments, JSON and `explain` use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    HardCodedArch,
    FromPlatformConstant,
    FinalStageOnBuildPlatform,
    NativeBuildOnBuildPlatform,
    RedundantTargetPlatform,
    GoarchConstant,
    BuildArchConstant,
    CargoTargetConstant,
    NpmArchConstant,
    PipPlatformConstant,
    TargetArgUndeclared,
    TargetArgDefault,
    DpkgAddArchitecture,
    AptArchConstant,
    SingleArchBase,
    SinglePlatformDigest,
    HostBuiltCopy,
    CrlfScript,
    CopiedEntrypointNotExecutable,
    UnameAtBuild,
    NativeCpuFlags,
    WorkflowPlatforms,
    WorkflowQemu,
    ComposePlatforms,
    ComposePlatformConstant,
    BakePlatforms,
}

/// What is known of a rule wherever it is shown.
#[derive(Debug)]
pub struct Rule {
    pub code: Code,
    pub name: &'static str,
    /// The usual weight; a finding may weigh less where it matters less.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// Why it breaks another architecture, and what to write instead.
    pub help: &'static str,
    /// Whether a rewrite exists, and of which kind.
    pub fixable: Fixable,
    /// Names of the same complaint in other tools, which their ignore comments may use.
    pub also: &'static [&'static str],
}

/// What `--fix` can do about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixable {
    /// At least some cases are rewritten by `--fix`: the platform that worked stays the same, byte for byte.
    Safely,
    /// Only by `--fix --unsafe`: the rewrite is a guess at what was meant.
    Unsafely,
    No,
}

use Code::*;
use Fixable::*;
use Severity::*;

/// Source: Dockerfile reference ("Automatic platform ARGs in the global scope", "FROM"), BuildKit's build checks,
/// hadolint's rules, the compose-spec's build section, docker/build-push-action's inputs.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    Rule { code: HardCodedArch, name: "hard-coded-arch", severity: Error, fixable: Safely, also: &[],
        title: "a download or file name holds one architecture's name",
        help: "Every platform's build takes this architecture's file, and its programs end in exec format error on the others. \
               Declare `ARG TARGETARCH` in the stage and put ${TARGETARCH} into the name; where the project spells it otherwise \
               (x86_64, aarch64, x64), map it by `case \"$TARGETARCH\" in amd64) ... ;; arm64) ... ;; *) exit 1 ;; esac`. \
               Verify each architecture's file by a checksum of its own." },
    Rule { code: FromPlatformConstant, name: "from-platform-constant", severity: Error, fixable: Unsafely,
        also: &["DL3029", "FromPlatformFlagConstDisallowed"],
        title: "FROM --platform names one platform",
        help: "The stage is this platform's in every build, so a final stage made from it puts foreign programs under the other platforms' names. \
               Leave the flag out to build for the target; write --platform=$BUILDPLATFORM for a stage that cross-compiles." },
    Rule { code: FinalStageOnBuildPlatform, name: "final-stage-on-build-platform", severity: Error, fixable: Safely, also: &[],
        title: "the final stage is built for the build machine's platform",
        help: "$BUILDPLATFORM is the machine that builds, not the one that runs the image: every platform of the index gets the builder's programs. \
               Only earlier stages, which cross-compile, may use it." },
    Rule { code: NativeBuildOnBuildPlatform, name: "native-build-on-build-platform", severity: Error, fixable: Unsafely, also: &[],
        title: "a stage on the build platform compiles for itself, and the image takes the result",
        help: "A stage with --platform=$BUILDPLATFORM runs on the build machine; its compiler makes the build machine's programs unless it is told \
               the target. Declare `ARG TARGETOS TARGETARCH` and pass them on (GOARCH=$TARGETARCH, xx-cargo, a cross compiler), or leave --platform out." },
    Rule { code: RedundantTargetPlatform, name: "redundant-target-platform", severity: Note, fixable: Safely,
        also: &["RedundantTargetPlatform"],
        title: "FROM --platform=$TARGETPLATFORM is the default",
        help: "A stage without --platform is built for the target's platform, so the flag changes nothing. Leave it out." },
    Rule { code: BuildArchConstant, name: "build-arch-constant", severity: Error, fixable: No, also: &[],
        title: "a build tool is given one architecture",
        help: "The tool builds for this architecture in every platform's build. Choose it by TARGETARCH, or leave it out and build in the \
               target's own stage." },
    Rule { code: GoarchConstant, name: "goarch-constant", severity: Error, fixable: Safely, also: &[],
        title: "GOARCH is a constant",
        help: "Go compiles for this architecture in every platform's build. Write GOARCH=$TARGETARCH after `ARG TARGETARCH`." },
    Rule { code: CargoTargetConstant, name: "cargo-target-constant", severity: Error, fixable: Unsafely, also: &[],
        title: "Cargo's target is a constant",
        help: "Cargo compiles for this triple in every platform's build. Choose the triple by TARGETARCH (amd64: x86_64-unknown-linux-musl, \
               arm64: aarch64-unknown-linux-musl), or leave it out and build in the target's own stage." },
    Rule { code: NpmArchConstant, name: "npm-arch-constant", severity: Error, fixable: No, also: &[],
        title: "npm installs one architecture's native modules",
        help: "npm fetches this CPU's prebuilt modules in every platform's build. Leave the option out, or choose it by TARGETARCH \
               (amd64: x64, arm64: arm64, 386: ia32)." },
    Rule { code: PipPlatformConstant, name: "pip-platform-constant", severity: Error, fixable: Unsafely, also: &[],
        title: "pip installs one architecture's wheels",
        help: "pip fetches this platform's wheels in every platform's build. Leave --platform out, or choose it by TARGETARCH \
               (amd64: manylinux_2_28_x86_64, arm64: manylinux_2_28_aarch64)." },
    Rule { code: TargetArgUndeclared, name: "target-arg-undeclared", severity: Error, fixable: Safely, also: &[],
        title: "an automatic platform argument is used in a stage that does not declare it",
        help: "TARGETARCH and its kin exist in a stage only after `ARG TARGETARCH` in that stage (an ARG before the first FROM does not count); \
               until then they are empty, and names made of them are wrong on every platform." },
    Rule { code: TargetArgDefault, name: "target-arg-default", severity: Error, fixable: Safely, also: &[],
        title: "a default hides the builder's value of an automatic platform argument",
        help: "BuildKit gives TARGETARCH its value only where the ARG has no default: with one, every platform's build sees the default." },
    Rule { code: DpkgAddArchitecture, name: "dpkg-add-architecture", severity: Warning, fixable: No, also: &[],
        title: "a foreign architecture is added to dpkg by name",
        help: "The packages of this architecture are foreign on every other platform. For cross-compilation, add the target's by name from \
               TARGETARCH in a $BUILDPLATFORM stage; for the image itself, install the native packages." },
    Rule { code: AptArchConstant, name: "apt-arch-constant", severity: Error, fixable: Safely, also: &[],
        title: "an apt source is limited to one architecture",
        help: "On other platforms apt finds no package there, or installs this architecture's. \
               Write [arch=$(dpkg --print-architecture)], or leave arch= out." },
    Rule { code: SingleArchBase, name: "single-arch-base", severity: Error, fixable: Safely, also: &[],
        title: "the base image is one architecture's",
        help: "amd64/alpine, arm64v8/alpine and tags with an architecture hold one platform: every other platform's build fails or takes foreign \
               programs. Name the multi-platform image (alpine), and let the builder choose." },
    Rule { code: SinglePlatformDigest, name: "single-platform-digest", severity: Error, fixable: Unsafely, also: &[],
        title: "a digest pins one platform's manifest, not the index",
        help: "Every platform's build or pull gets this one platform's image. Pin the digest of the index, \
               which `docker buildx imagetools inspect` prints first." },
    Rule { code: HostBuiltCopy, name: "host-built-copy", severity: Error, fixable: Safely, also: &[],
        title: "a program built outside the Dockerfile is copied into every platform's image",
        help: "The file in the build context is one architecture's program. Build it in a stage, or keep one file for each architecture \
               and copy bin/app-${TARGETARCH}." },
    Rule { code: CrlfScript, name: "crlf-script", severity: Error, fixable: No, also: &[],
        title: "a script that the image starts has Windows line ends",
        help: "The kernel takes the carriage return for a part of the interpreter's name: the start ends in \"no such file or directory\" or \
               exec format error. Convert the file, and write `*.sh text eol=lf` into .gitattributes so that no checkout brings them back." },
    Rule { code: CopiedEntrypointNotExecutable, name: "copied-entrypoint-not-executable", severity: Error, fixable: No, also: &[],
        title: "a file that the image starts is not executable",
        help: "COPY keeps the mode of the file in the build context, which a checkout takes from git, and the start ends in \
               \"permission denied\". Write COPY --chmod=755, or set the mode in git: `git update-index --chmod=+x FILE`." },
    Rule { code: UnameAtBuild, name: "uname-at-build", severity: Warning, fixable: Unsafely, also: &[],
        title: "the architecture is asked of the kernel that builds",
        help: "`uname -m` tells the machine that runs the build step: the build machine's in a $BUILDPLATFORM stage, and the 64-bit kernel's in a \
               32-bit stage (linux/arm/v7 on arm64 says aarch64). TARGETARCH is what the image is for." },
    Rule { code: NativeCpuFlags, name: "native-cpu-flags", severity: Warning, fixable: No, also: &[],
        title: "the compiler is told to use the build machine's CPU",
        help: "-march=native and target-cpu=native use instructions that another machine of the same architecture may lack: it dies with SIGILL. \
               Name a level that every node has (-march=x86-64-v2, -mcpu=neoverse-n1)." },
    Rule { code: WorkflowPlatforms, name: "workflow-platforms", severity: Warning, fixable: Unsafely, also: &[],
        title: "an image is pushed from CI without naming its platforms",
        help: "The image is only for the runner's own platform. Name them all (platforms: linux/amd64,linux/arm64)." },
    Rule { code: WorkflowQemu, name: "workflow-qemu", severity: Warning, fixable: Unsafely, also: &[],
        title: "several platforms are built on one runner without emulation",
        help: "RUN steps of a foreign platform end in exec format error. Add docker/setup-qemu-action before the build, or build each platform on \
               a native runner (ubuntu-24.04-arm)." },
    Rule { code: ComposePlatforms, name: "compose-platforms", severity: Note, fixable: No, also: &[],
        title: "a service that is built names no platforms",
        help: "`docker compose build --push` makes the image for this machine's platform only. List build.platforms where the image is shared." },
    Rule { code: ComposePlatformConstant, name: "compose-platform-constant", severity: Warning, fixable: Unsafely, also: &[],
        title: "a service is bound to one platform",
        help: "On other machines it runs under emulation, or ends in exec format error where there is none. Leave `platform` out \
               where the image has the machine's own platform." },
    Rule { code: BakePlatforms, name: "bake-platforms", severity: Warning, fixable: No, also: &[],
        title: "a bake target that is pushed names no platforms",
        help: "The image is only for the builder's own platform. Set platforms = [\"linux/amd64\", \"linux/arm64\"] in the target or in one it inherits." },
];

impl Code {
    pub fn rule(self) -> &'static Rule {
        RULES.iter().find(|rule| rule.code == self).expect("every Code has a row; a test walks them all")
    }

    pub fn name(self) -> &'static str {
        self.rule().name
    }

    /// The rule that an ignore comment or `explain` means: by its own name, or by another tool's. Case does not matter.
    pub fn parse(text: &str) -> Option<Code> {
        let is_it = |rule: &&Rule| {
            rule.name.eq_ignore_ascii_case(text) || rule.also.iter().any(|name| name.eq_ignore_ascii_case(text))
        };
        RULES.iter().find(is_it).map(|rule| rule.code)
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

    #[test]
    fn every_name_reads_back_as_its_rule() {
        for rule in RULES {
            for name in [rule.name].iter().chain(rule.also) {
                assert_eq!(Code::parse(&name.to_uppercase()), Some(rule.code), "{name}");
            }
        }
        assert_eq!(Code::parse("DL3008"), None);
    }

    #[test]
    fn a_title_is_a_clause_and_help_is_sentences() {
        for rule in RULES {
            assert!(!rule.title.ends_with('.') && rule.title.len() < 100, "{}", rule.name);
            assert!(rule.help.ends_with('.') && !rule.help.contains("  "), "{}", rule.name);
        }
    }
}
