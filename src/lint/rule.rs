//! The table of lint rules. Messages, help, `explain`, SARIF and the documentation read it.

use std::fmt;

pub use crate::judge::code::Severity;

/// A rule's stable name. Its kebab-case text is what ignore comments, JSON and `explain` use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleName {
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
    PlatformWithoutStage,
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

/// A rule, as messages, `explain` and the documentation show it.
#[derive(Debug)]
pub struct LintRule {
    pub code: RuleName,
    pub name: &'static str,
    /// The default severity. A finding may have a lower one.
    pub severity: Severity,
    /// One-line summary of the problem.
    pub title: &'static str,
    /// Why it breaks another architecture, and what to write instead.
    pub help: &'static str,
    pub fixable: Fixable,
    /// Names of the same rule in other tools. Ignore comments may use them.
    pub also: &'static [&'static str],
}

/// What `--fix` can do about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixable {
    /// `--fix` rewrites at least some cases. The build of the platform that worked stays the same, byte for
    /// byte.
    Safely,
    /// Only `--fix --unsafe` rewrites it, because the rewrite guesses the author's intent.
    Unsafely,
    No,
}

use Fixable::*;
use RuleName::*;
use Severity::*;

/// Source: Dockerfile reference ("Automatic platform ARGs in the global scope", "FROM"), BuildKit's build checks,
/// hadolint's rules, the compose-spec's build section, docker/build-push-action's inputs.
#[rustfmt::skip]
pub const RULES: &[LintRule] = &[
    LintRule { code: HardCodedArch, name: "hard-coded-arch", severity: Error, fixable: Safely, also: &[],
        title: "a download or file name contains one architecture's name",
        help: "Every platform's build gets this architecture's file, and its programs fail with exec format error on \
               the others. Declare `ARG TARGETARCH` in the stage and use ${TARGETARCH} in the name. If the project \
               spells it differently (x86_64, aarch64, x64), map it with `case \"$TARGETARCH\" in amd64) ... ;; arm64) \
               ... ;; *) exit 1 ;; esac`. Verify each architecture's file with its own checksum." },
    LintRule { code: FromPlatformConstant, name: "from-platform-constant", severity: Error, fixable: Unsafely,
        also: &["DL3029", "FromPlatformFlagConstDisallowed"],
        title: "FROM --platform names one platform",
        help: "Every build uses this platform for the stage, so a final stage made from it puts foreign programs into \
               the images of the other platforms. Remove the flag to build for the target, or write \
               --platform=$BUILDPLATFORM if the stage cross-compiles." },
    LintRule { code: FinalStageOnBuildPlatform, name: "final-stage-on-build-platform", severity: Error, fixable: Safely, also: &[],
        title: "the final stage is built for the build machine's platform",
        help: "$BUILDPLATFORM is the machine that builds the image, not the one that runs it: every platform of the \
               index gets the build machine's programs. Use it only for earlier stages that cross-compile." },
    LintRule { code: NativeBuildOnBuildPlatform, name: "native-build-on-build-platform", severity: Error, fixable: Unsafely, also: &[],
        title: "a stage on the build platform compiles for that platform, and the image gets the result",
        help: "A stage with --platform=$BUILDPLATFORM runs on the build machine. Its compiler produces programs for \
               the build machine unless it is given a target. Declare `ARG TARGETOS TARGETARCH` and pass them to the \
               compiler (GOARCH=$TARGETARCH, xx-cargo, a cross compiler), or remove --platform." },
    LintRule { code: RedundantTargetPlatform, name: "redundant-target-platform", severity: Note, fixable: Safely,
        also: &["RedundantTargetPlatform"],
        title: "FROM --platform=$TARGETPLATFORM is the default",
        help: "A stage without --platform is built for the target platform, so the flag has no effect. Remove it." },
    LintRule { code: BuildArchConstant, name: "build-arch-constant", severity: Error, fixable: No, also: &[],
        title: "a build tool is set to a constant architecture",
        help: "The tool builds for this architecture in every platform's build. Derive it from TARGETARCH, or leave it \
               out and build in a stage for the target platform." },
    LintRule { code: GoarchConstant, name: "goarch-constant", severity: Error, fixable: Safely, also: &[],
        title: "GOARCH is a constant",
        help: "Go compiles for this architecture in every platform's build. Write GOARCH=$TARGETARCH after `ARG \
               TARGETARCH`." },
    LintRule { code: CargoTargetConstant, name: "cargo-target-constant", severity: Error, fixable: Unsafely, also: &[],
        title: "Cargo's target is a constant",
        help: "Cargo compiles for this triple in every platform's build. Derive the triple from TARGETARCH (amd64: \
               x86_64-unknown-linux-musl, arm64: aarch64-unknown-linux-musl), or leave it out and build in a stage for \
               the target platform." },
    LintRule { code: NpmArchConstant, name: "npm-arch-constant", severity: Error, fixable: No, also: &[],
        title: "npm installs one architecture's native modules",
        help: "npm downloads this architecture's prebuilt modules in every platform's build. Remove the option, or \
               derive it from TARGETARCH (amd64: x64, arm64: arm64, 386: ia32)." },
    LintRule { code: PipPlatformConstant, name: "pip-platform-constant", severity: Error, fixable: Unsafely, also: &[],
        title: "pip installs one architecture's wheels",
        help: "pip downloads this platform's wheels in every platform's build. Remove --platform, or derive it from \
               TARGETARCH (amd64: manylinux_2_28_x86_64, arm64: manylinux_2_28_aarch64)." },
    LintRule { code: TargetArgUndeclared, name: "target-arg-undeclared", severity: Error, fixable: Safely, also: &[],
        title: "a stage uses an automatic platform argument that it does not declare",
        help: "TARGETARCH and the other automatic platform arguments are set in a stage only after `ARG TARGETARCH` in \
               that stage. An ARG before the first FROM does not count. Until then they are empty, and names that \
               contain them are wrong on every platform." },
    LintRule { code: TargetArgDefault, name: "target-arg-default", severity: Error, fixable: Safely, also: &[],
        title: "a default overrides the builder's value of an automatic platform argument",
        help: "BuildKit sets TARGETARCH only if the ARG has no default. With a default, every platform's build uses \
               the default." },
    LintRule { code: DpkgAddArchitecture, name: "dpkg-add-architecture", severity: Warning, fixable: No, also: &[],
        title: "a constant foreign architecture is added to dpkg",
        help: "The packages of this architecture are foreign on every other platform. To cross-compile, derive the \
               architecture from TARGETARCH and add it in a $BUILDPLATFORM stage. For the image itself, install the \
               native packages." },
    LintRule { code: AptArchConstant, name: "apt-arch-constant", severity: Error, fixable: Safely, also: &[],
        title: "an apt source is limited to one architecture",
        help: "On other platforms apt finds no packages in this source, or installs this architecture's. \
               Write [arch=$(dpkg --print-architecture)], or leave arch= out." },
    LintRule { code: SingleArchBase, name: "single-arch-base", severity: Error, fixable: Safely, also: &["InvalidBaseImagePlatform"],
        title: "the base image is for one architecture only",
        help: "Images such as amd64/alpine and arm64v8/alpine, and tags that name an architecture, contain one \
               platform only: every other platform's build fails or gets foreign programs. Name the multi-platform \
               image (alpine), and let the builder choose the platform." },
    LintRule { code: SinglePlatformDigest, name: "single-platform-digest", severity: Error, fixable: Unsafely, also: &[],
        title: "a digest pins one platform's manifest, not the index",
        help: "Every platform's build or pull gets this one platform's image. Pin the digest of the index, \
               which `docker buildx imagetools inspect` prints first." },
    LintRule { code: PlatformWithoutStage, name: "platform-without-stage", severity: Error, fixable: No, also: &[],
        title: "a platform that is built has no stage of its own",
        help: "FROM or COPY --from chooses a stage by TARGETARCH, and the project builds a platform for which there is none: that build fails. \
               Add the stage, or do not build the platform." },
    LintRule { code: HostBuiltCopy, name: "host-built-copy", severity: Error, fixable: Safely, also: &[],
        title: "a program built outside the Dockerfile is copied into every platform's image",
        help: "The file in the build context is a program for one architecture. Build it in a stage, or keep one file \
               per architecture and copy bin/app-${TARGETARCH}." },
    LintRule { code: CrlfScript, name: "crlf-script", severity: Error, fixable: No, also: &[],
        title: "a script that the image starts has Windows line endings",
        help: "The kernel reads the carriage return as part of the interpreter's name: the start fails with \"no such \
               file or directory\" or exec format error. Convert the file, and add `*.sh text eol=lf` to \
               .gitattributes so that a checkout does not convert it back." },
    LintRule { code: CopiedEntrypointNotExecutable, name: "copied-entrypoint-not-executable", severity: Error, fixable: No, also: &[],
        title: "a file that the image starts is not executable",
        help: "COPY keeps the mode of the file in the build context, which a checkout takes from git, and the start \
               fails with \"permission denied\". Write COPY --chmod=755, or set the mode in git: `git update-index \
               --chmod=+x FILE`." },
    LintRule { code: UnameAtBuild, name: "uname-at-build", severity: Warning, fixable: Unsafely, also: &[],
        title: "the build asks the kernel for the architecture",
        help: "`uname -m` reports the machine that runs the build step: the build machine in a $BUILDPLATFORM stage, \
               and the 64-bit kernel in a 32-bit stage (linux/arm/v7 on arm64 reports aarch64). TARGETARCH is the \
               architecture of the image." },
    LintRule { code: NativeCpuFlags, name: "native-cpu-flags", severity: Warning, fixable: No, also: &[],
        title: "the compiler targets the build machine's CPU",
        help: "-march=native and target-cpu=native use instructions that another machine of the same architecture may \
               lack: the program dies there with SIGILL. Name a level that every node supports (-march=x86-64-v2, \
               -mcpu=neoverse-n1)." },
    LintRule { code: WorkflowPlatforms, name: "workflow-platforms", severity: Warning, fixable: Unsafely, also: &[],
        title: "an image is pushed from CI without naming its platforms",
        help: "The image is built for the runner's own platform only. List every platform (platforms: \
               linux/amd64,linux/arm64)." },
    LintRule { code: WorkflowQemu, name: "workflow-qemu", severity: Warning, fixable: Unsafely, also: &[],
        title: "several platforms are built on one runner without emulation",
        help: "RUN steps for a foreign platform fail with exec format error. Add docker/setup-qemu-action before the \
               build, or build each platform on a native runner (ubuntu-24.04-arm)." },
    LintRule { code: ComposePlatforms, name: "compose-platforms", severity: Note, fixable: No, also: &[],
        title: "a service with a build section names no platforms",
        help: "`docker compose build --push` builds the image for this machine's platform only. List build.platforms \
               if the image is shared." },
    LintRule { code: ComposePlatformConstant, name: "compose-platform-constant", severity: Warning, fixable: Unsafely, also: &[],
        title: "a service is bound to one platform",
        help: "On other machines it runs under emulation, or fails with exec format error if there is none. Remove \
               `platform` if the image supports the machine's own platform." },
    LintRule { code: BakePlatforms, name: "bake-platforms", severity: Warning, fixable: No, also: &[],
        title: "a bake target that is pushed names no platforms",
        help: "The image is built for the builder's own platform only. Set platforms = [\"linux/amd64\", \
               \"linux/arm64\"] in the target or in a target that it inherits from." },
];

impl RuleName {
    pub fn rule(self) -> &'static LintRule {
        RULES.iter().find(|rule| rule.code == self).expect("every Code has a row; a test walks them all")
    }

    pub fn name(self) -> &'static str {
        self.rule().name
    }

    /// Returns the rule with this name, or with this name in another tool. Names are not case-sensitive.
    pub fn parse(text: &str) -> Option<RuleName> {
        let is_it = |rule: &&LintRule| {
            rule.name.eq_ignore_ascii_case(text) || rule.also.iter().any(|name| name.eq_ignore_ascii_case(text))
        };
        RULES.iter().find(is_it).map(|rule| rule.code)
    }
}

impl fmt::Display for RuleName {
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
                assert_eq!(RuleName::parse(&name.to_uppercase()), Some(rule.code), "{name}");
            }
        }
        assert_eq!(RuleName::parse("DL3008"), None);
    }

    #[test]
    fn a_title_is_a_clause_and_help_is_sentences() {
        for rule in RULES {
            assert!(!rule.title.ends_with('.') && rule.title.len() < 100, "{}", rule.name);
            assert!(rule.help.ends_with('.') && !rule.help.contains("  "), "{}", rule.name);
        }
    }
}
