//! `imgarch doctor`: reports what this machine lacks to build for other platforms, and the commands that fix it.

use std::io::Write;

use super::outputs::AnswerFormat;
use super::{CliError, Environment, Terminal, interrupt};
use crate::platform::Platform;
use crate::rebuild::{
    self, BuildTool, Check, CheckState, CommandLine, Docker, Power, Remedy, ThisMachine, survey_this_machine,
};
use crate::report::doctor as report;

/// What to examine, and whether to fix it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  imgarch doctor
  imgarch doctor --platform linux/arm64 --platform linux/s390x
  imgarch doctor --fix
  imgarch doctor --fix --privileged linux/arm64")]
pub struct DoctorArgs {
    /// Platform to build for; repeatable [default: linux/amd64 and linux/arm64].
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<String>,
    /// Program that builds: docker (with buildx), podman or buildah [default: docker, or podman or buildah if docker is
    /// not installed].
    #[arg(long, value_name = "TOOL", value_parser = BuildTool::parse)]
    with: Option<BuildTool>,
    /// buildx builder to examine [default: the current builder].
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
    /// Show and run the commands that fix the problems; privileged commands need --privileged.
    #[arg(long)]
    fix: bool,
    /// With --fix: also run the privileged command that installs the emulator for this platform; repeatable.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", requires = "fix")]
    privileged: Vec<String>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
    format: AnswerFormat,
}

pub fn run(
    args: &DoctorArgs,
    environment: &Environment,
    terminal: &Terminal,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let parse = |text: &String| Platform::parse(text).map_err(|error| CliError::usage(error.to_string()));
    let mut platforms = args.platform.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let privileged = args.privileged.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    if platforms.is_empty() {
        platforms.extend(["linux/amd64", "linux/arm64"].iter().filter_map(|text| Platform::parse(text).ok()));
    }
    let more: Vec<Platform> = privileged.iter().filter(|named| !platforms.contains(named)).cloned().collect();
    platforms.extend(more);
    let docker = ThisMachine;
    let directory = interrupt::TemporaryDirectory::new()?;
    let survey = || {
        let (mut machine, notes) =
            survey_this_machine(&docker, args.with, args.builder.as_deref(), &platforms, &environment.temporary);
        rebuild::prove(&mut machine, &docker, &platforms, directory.path());
        (machine, notes)
    };
    let (mut machine, mut notes) = survey();
    let mut checks = rebuild::examine(&machine, &platforms);
    let mut failed = Vec::new();
    let mut done: Vec<CommandLine> = Vec::new();
    // A fix can uncover the next problem: a builder is selected, and then has to be started.
    while let Some(remedy) = next_remedy(&checks, &privileged, &done).filter(|_| args.fix) {
        done.push(remedy.command.clone());
        if let Some(note) = fix(&docker, &remedy, out)? {
            failed.push(note);
        }
        (machine, notes) = survey();
        checks = rebuild::examine(&machine, &platforms);
    }
    notes.extend(failed);
    match args.format {
        AnswerFormat::Text => {
            let tool = args.with.map(|tool| ["--with".to_string(), tool.name().to_string()]);
            let builder = args.builder.clone().map(|name| ["--builder".to_string(), name]);
            let platforms = args.platform.iter().map(|platform| ["--platform".to_string(), platform.clone()]);
            let options: Vec<String> = tool.into_iter().chain(builder).chain(platforms).flatten().collect();
            report::text(&checks, &notes, &options, terminal.unbroken_if_piped(), out)?;
        }
        AnswerFormat::Json => report::json(&checks, &notes, out)?,
    }
    Ok(u8::from(checks.iter().any(|check| check.state == CheckState::Missing)))
}

/// Returns the first command that fixes a problem, may be run, and was not run before.
fn next_remedy(checks: &[Check], privileged: &[Platform], done: &[CommandLine]) -> Option<Remedy> {
    let missing = checks.iter().filter(|check| check.state == CheckState::Missing);
    let mut allowed = missing.filter_map(|check| {
        let is_named = privileged.iter().any(|platform| platform.to_string() == check.subject);
        let is_new = |remedy: &&Remedy| is_allowed(remedy, is_named) && !done.contains(&remedy.command);
        check.remedies.iter().find(is_new)
    });
    allowed.next().cloned()
}

fn is_allowed(remedy: &Remedy, is_named: bool) -> bool {
    match remedy.power {
        Power::Plain => true,
        Power::Privileged => is_named,
        Power::ByHand => false,
    }
}

/// Runs the command. Returns a note if it failed, because the other problems can still be fixed.
fn fix(docker: &dyn Docker, remedy: &Remedy, out: &mut dyn Write) -> Result<Option<String>, CliError> {
    writeln!(out, "running: {}", remedy.command)?;
    out.flush()?;
    let cause = match docker.status(&remedy.command, None) {
        Ok(Some(0)) => return Ok(None),
        Ok(code) => code.map_or("killed by a signal".to_string(), |code| format!("exit code {code}")),
        Err(error) => error.to_string(),
    };
    Ok(Some(format!("{} failed: {cause}", remedy.command)))
}
