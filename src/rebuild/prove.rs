//! Proves what a builder claims. A list of platforms may have been set by hand, or be older than the emulator that was
//! removed since: so a program of the platform is run on the builder, by a build of one step.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::docker::{Answer, CommandLine, Docker};
use super::machine::{Machine, Proof, Way};
use crate::host;
use crate::platform::{Arch, Platform};

/// Runs a program of each of `platforms` on the builder, where it claims the platform and this machine's kernel does not
/// answer for it. `folder` is empty.
pub fn prove(machine: &mut Machine, docker: &dyn Docker, platforms: &[Platform], folder: &Path) {
    for platform in platforms {
        let Some((program, exit_code)) = claimed(machine, platform).and_then(host::tiny_program) else { continue };
        let proof = match write_context(&program, folder) {
            Ok(()) => {
                let name = machine.builder.as_ref().map_or("", |builder| builder.name.as_str());
                match docker.ask(&command(name, platform, folder)) {
                    Ok(answer) => read(&answer, exit_code),
                    Err(error) => Proof::Unknown(error.to_string()),
                }
            }
            Err(error) => Proof::Unknown(error.to_string()),
        };
        machine.proofs.push((platform.clone(), proof));
    }
}

/// The architecture of a platform that is to be proved.
fn claimed(machine: &Machine, platform: &Platform) -> Option<Arch> {
    let builder = machine.builder.as_ref().ok()?;
    let arch = platform.arch().filter(|_| platform.os == "linux")?;
    let is_claimed = !matches!(builder.way(platform), Way::Foreign);
    let is_here = machine.daemon.as_ref().is_ok_and(|daemon| daemon.is_here) && builder.is_at_daemon();
    let is_known = machine.proofs.iter().any(|(known, _)| known == platform)
        || (is_here && machine.tried.iter().any(|(tried, _)| *tried == arch));
    (is_claimed && !is_known).then_some(arch)
}

const DOCKERFILE: &str = "FROM scratch\nCOPY program /program\nRUN [\"/program\"]\n";

fn write_context(program: &[u8], folder: &Path) -> io::Result<()> {
    let path = folder.join("program");
    fs::write(&path, program)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    fs::write(folder.join("Dockerfile"), DOCKERFILE)
}

/// Nothing of an earlier build counts, nothing is kept, and no network is needed.
fn command(builder: &str, platform: &Platform, folder: &Path) -> CommandLine {
    let (platform, folder) = (platform.to_string(), folder.display().to_string());
    let words = ["buildx", "build", "--builder", builder, "--platform", &platform, "--no-cache", "--network", "none"];
    let output = ["--progress", "plain", "--provenance=false", "--output", "type=cacheonly", &folder];
    CommandLine::docker(words.into_iter().chain(output))
}

/// The program ends with a code of its own, which is no success: BuildKit says which it was.
fn read(answer: &Answer, exit_code: u8) -> Proof {
    let ended = answer.stderr.lines().chain(answer.stdout.lines());
    let ended = ended.filter_map(|line| line.split_once("did not complete successfully: exit code: ")).next_back();
    let code = ended.map(|(_, code)| code.trim().chars().take_while(char::is_ascii_digit).collect::<String>());
    match code.as_deref().map(str::parse::<u8>) {
        Some(Ok(code)) if code == exit_code => Proof::Ran,
        Some(Ok(code)) => {
            let said = answer.stderr.lines().find_map(|line| line.split_once("exec /program: ").map(|(_, why)| why));
            Proof::Refused(said.map_or(format!("exit code {code}"), str::to_string))
        }
        Some(Err(_)) | None => Proof::Unknown(answer.complaint()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::machine::{Builder, BuilderNode, Client};
    use super::*;

    /// BuildKit of Docker 28.5, without and with a handler for the platform.
    const REFUSED: &str = "#5 [2/2] RUN [\"/program\"]\n#5 0.173 exec /program: exec format error\n#5 ERROR: process \"/program\" did not complete successfully: exit code: 255\nERROR: failed to build: failed to solve: process \"/program\" did not complete successfully: exit code: 255\n";
    const RAN: &str = "#5 [2/2] RUN [\"/program\"]\n#5 ERROR: process \"/program\" did not complete successfully: exit code: 42\nERROR: failed to solve: process \"/program\" did not complete successfully: exit code: 42\n";
    const BROKEN: &str = "ERROR: failed to solve: no space left on device\n";

    struct Builds<'a> {
        stderr: &'a str,
        asked: RefCell<Vec<String>>,
    }

    impl Docker for Builds<'_> {
        fn ask(&self, line: &CommandLine) -> io::Result<Answer> {
            self.asked.borrow_mut().push(line.to_string());
            Ok(Answer { code: Some(1), stdout: String::new(), stderr: self.stderr.to_string() })
        }

        fn pass(&self, line: &CommandLine) -> io::Result<Option<i32>> {
            panic!("nobody sees {line}")
        }
    }

    fn machine(platforms: &[&str]) -> Machine {
        let node = BuilderNode {
            name: "n".into(),
            endpoint: "tcp://far:1234".into(),
            status: "running".into(),
            buildkit: String::new(),
            platforms: platforms.iter().map(|text| Platform::parse(text).unwrap()).collect(),
            by_hand: Vec::new(),
            error: None,
        };
        Machine {
            client: Ok(Client::Docker("28".into())),
            daemon: Err("none".into()),
            buildx: Ok("0.29".into()),
            builder: Ok(Builder { name: "b".into(), driver: "remote".into(), nodes: vec![node] }),
            handlers: None,
            tried: Vec::new(),
            proofs: Vec::new(),
        }
    }

    #[test]
    fn a_claim_is_believed_when_a_program_ran() {
        let folder = tempfile::tempdir().unwrap();
        let arm64 = Platform::parse("linux/arm64").unwrap();
        let unknown = Proof::Unknown("failed to solve: no space left on device".to_string());
        for (stderr, expected) in
            [(REFUSED, Proof::Refused("exec format error".to_string())), (RAN, Proof::Ran), (BROKEN, unknown)]
        {
            let mut machine = machine(&["linux/amd64", "linux/arm64"]);
            let docker = Builds { stderr, asked: RefCell::default() };
            prove(&mut machine, &docker, &[arm64.clone(), arm64.clone()], folder.path());
            assert_eq!(machine.proofs, [(arm64.clone(), expected)]);
            let command = format!(
                "docker buildx build --builder b --platform linux/arm64 --no-cache --network none --progress plain --provenance=false --output type=cacheonly {}",
                folder.path().display()
            );
            assert_eq!(*docker.asked.borrow(), [command]);
        }
        assert_eq!(fs::read(folder.path().join("program")).unwrap(), host::tiny_program(Arch::Arm64).unwrap().0);
    }

    #[test]
    fn what_nobody_claims_and_what_has_no_program_is_not_built() {
        let folder = tempfile::tempdir().unwrap();
        let docker = Builds { stderr: "", asked: RefCell::default() };
        let mut machine = machine(&["linux/amd64", "linux/mips64le"]);
        let platforms = ["linux/arm64", "linux/mips64le", "windows/amd64"].map(|text| Platform::parse(text).unwrap());
        prove(&mut machine, &docker, &platforms, folder.path());
        assert!(machine.proofs.is_empty() && docker.asked.borrow().is_empty());
    }
}
