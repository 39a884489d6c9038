//! `imgarch doctor`: reports what this machine lacks to build for other platforms, and the commands that fix it.

use std::io::Write;

use super::outputs::AnswerFormat;
use super::{CliError, Environment, interrupt};
use crate::platform::Platform;
use crate::rebuild::{self, Docker, Power, Remedy, State, ThisMachine, survey_this_machine};
use crate::report::rebuild as report;

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
    /// Builder to examine [default: the current builder].
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

pub fn run(args: &DoctorArgs, environment: &Environment, out: &mut dyn Write) -> Result<u8, CliError> {
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
            survey_this_machine(&docker, args.builder.as_deref(), &platforms, &environment.temporary);
        rebuild::prove(&mut machine, &docker, &platforms, directory.path());
        (machine, notes)
    };
    let (mut machine, mut notes) = survey();
    let mut checks = rebuild::examine(&machine, &platforms);
    if args.fix {
        for check in checks.iter().filter(|check| check.state == State::Missing) {
            let is_named = privileged.iter().any(|platform| platform.to_string() == check.subject);
            if let Some(remedy) = check.remedies.iter().find(|remedy| is_allowed(remedy, is_named)) {
                fix(&docker, remedy, out)?;
            }
        }
        (machine, notes) = survey();
        checks = rebuild::examine(&machine, &platforms);
    }
    match args.format {
        AnswerFormat::Text => report::doctor_text(&checks, &notes, out)?,
        AnswerFormat::Json => report::doctor_json(&checks, &notes, out)?,
    }
    Ok(u8::from(checks.iter().any(|check| check.state == State::Missing)))
}

fn is_allowed(remedy: &Remedy, is_named: bool) -> bool {
    match remedy.power {
        Power::Plain => true,
        Power::Privileged => is_named,
        Power::ByHand => false,
    }
}

fn fix(docker: &dyn Docker, remedy: &Remedy, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "running: {}", remedy.command)?;
    out.flush()?;
    let failed = |cause: String| CliError::Unknown {
        text: format!("{}: {cause}", remedy.command),
        hint: Some(remedy.text.clone()),
    };
    match docker.status(&remedy.command) {
        Ok(Some(0)) => Ok(()),
        Ok(code) => Err(failed(code.map_or("killed by a signal".to_string(), |code| format!("exit code {code}")))),
        Err(error) => Err(failed(error.to_string())),
    }
}
