//! What this machine has to build with, as `imgarch doctor` and `imgarch rebuild` both ask it, and the two formats in
//! which both answer.

use crate::host;
use crate::platform::Platform;
use crate::rebuild::{self, Docker, Kernel, Machine};

/// How a plan or doctor's findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AnswerFormat {
    Text,
    Json,
}

/// Asks docker, and this machine's kernel: which emulators are registered, and whether they run a program.
pub fn machine_and_notes(docker: &dyn Docker, builder: Option<&str>, platforms: &[Platform]) -> (Machine, Vec<String>) {
    let (handlers, mut notes) = host::emulators();
    let handlers = notes.is_empty().then_some(handlers);
    let mut tried = Vec::new();
    for arch in platforms.iter().filter(|platform| platform.os == "linux").filter_map(Platform::arch) {
        match host::try_program(arch) {
            Some(Ok(fact)) => tried.push((arch, fact)),
            Some(Err(error)) => notes.push(format!("whether {arch} programs run here could not be tried: {error}")),
            None => {}
        }
    }
    let (hostname, release) = host::names();
    (rebuild::survey(docker, builder, Kernel { handlers, tried, hostname, release }), notes)
}
