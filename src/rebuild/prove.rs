//! Tests which platforms a builder can run, with a one-step build that runs a tiny program. The builder's own list
//! cannot be trusted: it may have been set by hand, or name an emulator that was removed since.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::docker::{BUILD_LIMIT, CommandLine, CommandOutput, Docker};
use super::emulator::{self, Emulator};
use super::machine::{BuildHost, Proof, Support};
use super::tool::BuildTool;
use crate::host;
use crate::platform::{Arch, Fact, Platform};

/// Runs a program on the builder for each of `platforms` that it claims to support, unless it ran on the kernel of the
/// builder, or an emulator there has a known fault. `directory` must be empty.
pub fn prove(machine: &mut BuildHost, docker: &dyn Docker, platforms: &[Platform], directory: &Path) {
    for platform in platforms {
        let Some((program, exit_code)) = claimed(machine, platform).and_then(host::tiny_program) else { continue };
        let proof = match write_context(&program, directory) {
            Ok(()) => {
                let name = machine.builder.as_ref().map_or("", |builder| builder.name.as_str());
                match docker.output(&command(machine.tool, name, platform, directory), BUILD_LIMIT) {
                    Ok(output) => read(&output, exit_code),
                    Err(error) => Proof::Unknown(error.to_string()),
                }
            }
            Err(error) => Proof::Unknown(error.to_string()),
        };
        machine.proofs.push((platform.clone(), proof));
    }
}

/// Returns the architecture of a platform that needs a test.
fn claimed(machine: &BuildHost, platform: &Platform) -> Option<Arch> {
    let builder = machine.builder.as_ref().ok()?;
    let arch = platform.arch().filter(|_| platform.os == "linux")?;
    let is_claimed = !matches!(builder.support(platform), Support::Foreign);
    // BuildKit's image has emulators, so a program that this machine's kernel refuses may still run.
    let is_known = machine.proofs.iter().any(|(known, _)| known == platform)
        || (machine.builds_here(builder) && machine.tried.contains(&(arch, Fact::Known(true))))
        || matches!(emulator::judge_emulator(machine, builder, arch), Emulator::Broken(..));
    (is_claimed && !is_known).then_some(arch)
}

const DOCKERFILE: &str = "FROM scratch\nCOPY program /program\nRUN [\"/program\"]\n";

fn write_context(program: &[u8], directory: &Path) -> io::Result<()> {
    let path = directory.join("program");
    fs::write(&path, program)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    fs::write(directory.join("Dockerfile"), DOCKERFILE)
}

/// Returns the build command. It uses no cache and no network, and leaves no image.
fn command(tool: BuildTool, builder: &str, platform: &Platform, directory: &Path) -> CommandLine {
    let (platform, directory) = (platform.to_string(), directory.display().to_string());
    let common = ["--platform", &platform, "--no-cache", "--network", "none"];
    let words: Vec<&str> = match tool {
        BuildTool::Docker => {
            let output = ["--progress", "plain", "--provenance=false", "--output", "type=cacheonly"];
            [&["buildx", "build", "--builder", builder][..], &common, &output].concat()
        }
        // The program does not exit with 0, so the build ends without an image.
        BuildTool::Podman | BuildTool::Buildah => [&["build"][..], &common].concat(),
    };
    CommandLine::new([tool.name()].into_iter().chain(words).chain([directory.as_str()]))
}

/// What BuildKit, and podman and buildah, write before a program's exit code.
const ENDINGS: [&str; 2] = ["did not complete successfully: exit code: ", "while running runtime: exit status "];

/// What the runtimes write before the reason why a program did not start: runc, then crun.
const REFUSALS: [&str; 2] = ["exec /program: ", "exec container process `/program`: "];

/// Parses the result. The program exits with a specific nonzero code, which the builder reports.
fn read(output: &CommandOutput, exit_code: u8) -> Proof {
    fn after<'a>(line: &'a str, words: &[&str]) -> Option<&'a str> {
        words.iter().find_map(|words| line.split_once(words)).map(|(_, rest)| rest)
    }
    let lines = output.stderr.lines().chain(output.stdout.lines());
    let ended = lines.clone().filter_map(|line| after(line, &ENDINGS)).next_back();
    let code = ended.map(|code| code.trim().chars().take_while(char::is_ascii_digit).collect::<String>());
    match code.as_deref().map(str::parse::<u8>) {
        Some(Ok(code)) if code == exit_code => Proof::Ran,
        Some(Ok(code)) => {
            let reason = lines.clone().find_map(|line| after(line, &REFUSALS));
            // podman and buildah also report 1 if the runtime itself failed.
            let is_of_runtime = code == 1 && lines.clone().any(|line| line.contains(ENDINGS[1]));
            match reason {
                Some(reason) => Proof::Refused(reason.to_string()),
                None if is_of_runtime => Proof::Unknown(output.error_line()),
                None => Proof::Refused(format!("exit code {code}")),
            }
        }
        Some(Err(_)) | None => Proof::Unknown(output.error_line()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::super::machine::{BuildClient, BuilderNode, BuildxBuilder, Daemon, ImageStore};
    use super::super::tool::Driver;
    use super::*;

    /// Output of BuildKit in Docker 28.5, without and with a handler for the platform.
    const REFUSED: &str = "#5 [2/2] RUN [\"/program\"]\n#5 0.173 exec /program: exec format error\n#5 ERROR: process \"/program\" did not complete successfully: exit code: 255\nERROR: failed to build: failed to solve: process \"/program\" did not complete successfully: exit code: 255\n";
    const RAN: &str = "#5 [2/2] RUN [\"/program\"]\n#5 ERROR: process \"/program\" did not complete successfully: exit code: 42\nERROR: failed to solve: process \"/program\" did not complete successfully: exit code: 42\n";
    const BROKEN: &str = "ERROR: failed to solve: no space left on device\n";

    struct Builds<'a> {
        stderr: &'a str,
        asked: Mutex<Vec<String>>,
    }

    impl Docker for Builds<'_> {
        fn output(&self, line: &CommandLine, _: Duration) -> io::Result<CommandOutput> {
            self.asked.lock().unwrap().push(line.to_string());
            Ok(CommandOutput { code: Some(1), stdout: String::new(), stderr: self.stderr.to_string() })
        }

        fn status(&self, line: &CommandLine, _: Option<&str>) -> io::Result<Option<i32>> {
            panic!("unexpected command: {line}")
        }
    }

    fn machine(platforms: &[&str]) -> BuildHost {
        let node = BuilderNode {
            name: "n".into(),
            endpoint: "tcp://far:1234".into(),
            status: "running".into(),
            buildkit: String::new(),
            platforms: platforms.iter().map(|text| Platform::parse(text).unwrap()).collect(),
            by_hand: Vec::new(),
            error: None,
        };
        BuildHost {
            tool: BuildTool::Docker,
            client: Ok(BuildClient::Docker("28".into())),
            daemon: Err("none".into()),
            buildx: Ok("0.29".into()),
            builder: Ok(BuildxBuilder { name: "b".into(), driver: Driver::Remote, nodes: vec![node] }),
            has_own_builder: false,
            handlers: None,
            tried: Vec::new(),
            proofs: Vec::new(),
        }
    }

    #[test]
    fn a_claim_is_accepted_if_a_program_ran() {
        let directory = tempfile::tempdir().unwrap();
        let arm64 = Platform::parse("linux/arm64").unwrap();
        let unknown = Proof::Unknown("failed to solve: no space left on device".to_string());
        for (stderr, expected) in
            [(REFUSED, Proof::Refused("exec format error".to_string())), (RAN, Proof::Ran), (BROKEN, unknown)]
        {
            let mut machine = machine(&["linux/amd64", "linux/arm64"]);
            let docker = Builds { stderr, asked: Mutex::default() };
            prove(&mut machine, &docker, &[arm64.clone(), arm64.clone()], directory.path());
            assert_eq!(machine.proofs, [(arm64.clone(), expected)]);
            let command = format!(
                "docker buildx build --builder b --platform linux/arm64 --no-cache --network none --progress plain --provenance=false --output type=cacheonly {}",
                directory.path().display()
            );
            assert_eq!(*docker.asked.lock().unwrap(), [command]);
        }
        assert_eq!(fs::read(directory.path().join("program")).unwrap(), host::tiny_program(Arch::Arm64).unwrap().0);
    }

    #[test]
    fn what_the_kernel_refuses_is_proved_on_the_builder_that_lists_it() {
        let directory = tempfile::tempdir().unwrap();
        let arm64 = Platform::parse("linux/arm64").unwrap();
        let mut here = machine(&["linux/amd64", "linux/arm64"]);
        let builder = here.builder.as_mut().unwrap();
        (builder.driver, builder.nodes[0].endpoint) = (Driver::Docker, "default".into());
        let (version, arch, store) = ("28".to_string(), Some(Arch::Amd64), ImageStore::Containerd);
        here.daemon = Ok(Daemon { version, arch, store, is_desktop: false, is_here: true });
        for (tried, proofs) in [(Fact::Known(false), 1), (Fact::Unknown, 1), (Fact::Known(true), 0)] {
            // The list is stale: no handler is registered any more.
            let mut machine =
                BuildHost { handlers: Some(Vec::new()), tried: vec![(Arch::Arm64, tried)], ..here.clone() };
            let docker = Builds { stderr: REFUSED, asked: Mutex::default() };
            prove(&mut machine, &docker, std::slice::from_ref(&arm64), directory.path());
            assert_eq!(machine.proofs.len(), proofs, "{tried:?}");
        }
    }

    /// Output of podman 4.3 and buildah 1.28 with runc.
    #[test]
    fn podman_and_buildah_report_it_in_other_words() {
        let said = |stderr: &str| {
            read(&CommandOutput { code: Some(1), stdout: String::new(), stderr: stderr.to_string() }, 42)
        };
        let refused = "exec /program: exec format error\nError: building at STEP \"RUN /program\": while running runtime: exit status 1\n";
        assert_eq!(said(refused), Proof::Refused("exec format error".to_string()));
        assert_eq!(
            said("Error: building at STEP \"RUN /program\": while running runtime: exit status 42\n"),
            Proof::Ran
        );
        let line = command(BuildTool::Podman, "podman", &Platform::parse("linux/arm64").unwrap(), Path::new("/d"));
        assert_eq!(line.to_string(), "podman build --platform linux/arm64 --no-cache --network none /d");
    }

    #[test]
    fn platforms_that_are_not_claimed_or_have_no_program_are_not_built() {
        let directory = tempfile::tempdir().unwrap();
        let docker = Builds { stderr: "", asked: Mutex::default() };
        let mut machine = machine(&["linux/amd64", "linux/mips64le"]);
        let platforms = ["linux/arm64", "linux/mips64le", "windows/amd64"].map(|text| Platform::parse(text).unwrap());
        prove(&mut machine, &docker, &platforms, directory.path());
        assert!(machine.proofs.is_empty() && docker.asked.lock().unwrap().is_empty());
    }
}
