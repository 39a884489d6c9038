//! Writes the checks of `imgarch doctor` as text and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::{plural, visible};
use crate::rebuild::{Check, Power, Remedy, State};

/// Version of the JSON document. Fields can be added, but are never renamed or removed.
const SCHEMA: u32 = 1;

/// Writes the checks of `imgarch doctor`.
pub fn text(checks: &[Check], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    for check in checks {
        let word = match check.state {
            State::Good => "ok",
            State::Slow => "could be better",
            State::Missing => "missing",
        };
        writeln!(out, "{:15}  {:14} {}", word, check.subject, visible(&check.text))?;
        for remedy in &check.remedies {
            let power = match remedy.power {
                Power::Plain => "",
                Power::Privileged => " (privileged)",
                Power::ByHand => " (by hand)",
            };
            writeln!(
                out,
                "{:15}  {:14}   {}{power}: {}",
                "",
                "",
                visible(&remedy.command.to_string()),
                visible(&remedy.text)
            )?;
        }
    }
    for note in notes {
        writeln!(out, "note: {}", visible(note))?;
    }
    let missing: Vec<&Check> = checks.iter().filter(|check| check.state == State::Missing).collect();
    if missing.is_empty() {
        return writeln!(out, "this machine can build for these platforms");
    }
    let subject = |power: Power| {
        let is_one = |check: &&&Check| check.remedies.iter().any(|remedy| remedy.power == power);
        missing.iter().find(is_one).map(|check| check.subject.clone())
    };
    let fix = match (subject(Power::Plain), subject(Power::Privileged)) {
        (Some(_), None) => "imgarch doctor --fix runs the commands that are not (by hand)".to_string(),
        (None, Some(platform)) => format!("imgarch doctor --fix --privileged {platform} runs the privileged command"),
        (Some(_), Some(platform)) => {
            format!(
                "imgarch doctor --fix runs the unmarked commands, and with --privileged {platform} the privileged one"
            )
        }
        (None, None) => "the commands must be run by hand".to_string(),
    };
    writeln!(out, "{}; {}", plural(missing.len(), "problem"), visible(&fix))
}

#[derive(Serialize)]
pub struct WireCheck {
    subject: String,
    state: &'static str,
    text: String,
    remedies: Vec<WireRemedy>,
}

#[derive(Serialize)]
struct WireRemedy {
    command: Vec<String>,
    text: String,
    power: &'static str,
}

pub fn wire_check(check: &Check) -> WireCheck {
    let state = match check.state {
        State::Good => "good",
        State::Slow => "slow",
        State::Missing => "missing",
    };
    let remedy = |remedy: &Remedy| WireRemedy {
        command: remedy.command.0.clone(),
        text: remedy.text.clone(),
        power: match remedy.power {
            Power::Plain => "plain",
            Power::Privileged => "privileged",
            Power::ByHand => "by-hand",
        },
    };
    let remedies = check.remedies.iter().map(remedy).collect();
    WireCheck { subject: check.subject.clone(), state, text: check.text.clone(), remedies }
}

#[derive(Serialize)]
struct WireDoctor<'a> {
    schema: u32,
    checks: Vec<WireCheck>,
    notes: &'a [String],
}

pub fn json(checks: &[Check], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    let wire = WireDoctor { schema: SCHEMA, checks: checks.iter().map(wire_check).collect(), notes };
    serde_json::to_writer_pretty(&mut *out, &wire)?;
    writeln!(out)
}
