//! Surveys the build tools of this machine.

use std::path::Path;

use super::survey::{detect, survey_containers};
use super::tool::{BuildTool, Driver};
use super::{BuildHost, Docker, KernelFacts, survey};
use crate::host;
use crate::platform::Platform;

/// Queries the program that builds and this machine's kernel: which emulators are registered, and whether they run a
/// program. Without a `tool`, uses docker, or podman or buildah if docker is not installed. Also returns notes about
/// what could not be tested.
pub fn survey_this_machine(
    docker: &dyn Docker,
    tool: Option<BuildTool>,
    builder: Option<&str>,
    platforms: &[Platform],
    temporary: &Path,
) -> (BuildHost, Vec<String>) {
    let (handlers, mut notes) = host::emulators();
    let handlers = notes.is_empty().then_some(handlers);
    let mut tried = Vec::new();
    for arch in platforms.iter().filter(|platform| platform.os == "linux").filter_map(Platform::arch) {
        match host::try_program(arch, temporary) {
            Some(Ok(fact)) => tried.push((arch, fact)),
            Some(Err(error)) => notes.push(format!("could not test whether {arch} programs run here: {error}")),
            None => {}
        }
    }
    let (hostname, release) = host::names();
    let kernel = KernelFacts { handlers, tried, hostname, release };
    let machine = match tool.unwrap_or_else(|| detect(docker)) {
        BuildTool::Docker => survey(docker, builder, kernel),
        BuildTool::Podman => survey_containers(docker, Driver::Podman, kernel, platforms),
        BuildTool::Buildah => survey_containers(docker, Driver::Buildah, kernel, platforms),
    };
    (machine, notes)
}
