//! Writes the checks of `imgarch doctor` as text and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::{plural, visible};
use super::terminal::{Screen, fill, fill_command};
use crate::rebuild::{Check, CheckState, CommandLine, Power, Remedy};

/// Version of the JSON document. Fields can be added, but are never renamed or removed.
const SCHEMA: u32 = 1;

/// Column of the checks' texts, after the state and the subject.
const TEXT_COLUMN: usize = 32;

/// Writes the checks of `imgarch doctor`. Commands have their own lines, so that they can be pasted. `options` selects
/// the builder and the platforms that were examined.
pub fn text(
    checks: &[Check],
    notes: &[String],
    options: &[String],
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    for check in checks {
        let word = match check.state {
            CheckState::Good => "ok",
            CheckState::Slow => "could be better",
            CheckState::Missing => "missing",
        };
        let text = visible(&check.text);
        match screen.is_narrow() {
            true => {
                writeln!(out, "{}", fill("", &format!("{word}: {}", check.subject), 4, screen.width))?;
                writeln!(out, "{}", fill("  ", &text, 2, screen.width))?;
            }
            false => {
                let lead = format!("{word:15}  {:14} ", check.subject);
                writeln!(out, "{}", fill(&lead, &text, TEXT_COLUMN, screen.width))?;
            }
        }
        for remedy in &check.remedies {
            let power = match remedy.power {
                Power::Plain => "",
                Power::Privileged => " (privileged)",
                Power::ByHand => " (by hand)",
            };
            writeln!(out, "{}", fill("    ", &format!("{}{power}:", visible(&remedy.text)), 4, screen.width))?;
            writeln!(out, "{}", fill_command(&visible(&remedy.command.to_string()), 8, screen.width))?;
        }
    }
    for note in notes {
        writeln!(out, "{}", fill("note: ", &visible(note), 6, screen.width))?;
    }
    let missing: Vec<&Check> = checks.iter().filter(|check| check.state == CheckState::Missing).collect();
    if missing.is_empty() {
        return writeln!(out, "{}", fill("", "this machine can build for these platforms", 0, screen.width));
    }
    let subject = |power: Power| {
        let is_one = |check: &&&Check| check.remedies.iter().any(|remedy| remedy.power == power);
        missing.iter().find(is_one).map(|check| check.subject.clone())
    };
    let fix = |more: &[&str]| {
        let words = ["imgarch", "doctor"].into_iter().chain(options.iter().map(String::as_str)).chain(["--fix"]);
        Some(CommandLine::new(words.chain(more.iter().copied())).to_string())
    };
    let (text, command) = match (subject(Power::Plain), subject(Power::Privileged)) {
        (Some(_), None) => ("this runs the commands that are not marked", fix(&[])),
        (None, Some(platform)) => ("this runs the privileged command", fix(&["--privileged", &platform])),
        (Some(_), Some(platform)) => (
            "this runs the unmarked commands and, because of --privileged, the privileged one",
            fix(&["--privileged", &platform]),
        ),
        (None, None) => ("the commands must be run by hand", None),
    };
    let end = if command.is_some() { ":" } else { "" };
    let text = format!("{}; {text}{end}", plural(missing.len(), "problem"));
    writeln!(out, "{}", fill("", &text, 0, screen.width))?;
    match command {
        Some(command) => writeln!(out, "{}", fill_command(&visible(&command), 4, screen.width)),
        None => Ok(()),
    }
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
        CheckState::Good => "good",
        CheckState::Slow => "slow",
        CheckState::Missing => "missing",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_wrapped_and_commands_have_their_own_lines() {
        let words = ["docker", "run", "--privileged", "--rm", "tonistiigi/binfmt", "--install", "arm64"];
        let command = CommandLine(words.map(str::to_string).to_vec());
        let text = "install an emulator in the kernel of this machine, until it is restarted".to_string();
        let remedies = vec![Remedy { command, text, power: Power::Privileged }];
        let text = "no node runs its programs, and none of them has an emulator for it".to_string();
        let check = Check { subject: "linux/arm64".to_string(), state: CheckState::Missing, text, remedies };
        let shown_with = |options: &[String], width| {
            let mut out = Vec::new();
            let notes = ["binfmt_misc is not mounted".to_string()];
            let screen = Screen { width, color: false };
            super::text(std::slice::from_ref(&check), &notes, options, screen, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let shown = |width| shown_with(&[], width);
        insta::assert_snapshot!(format!("{}\n{}", shown(80), shown(40)));
        assert_eq!(shown(usize::MAX).lines().count(), 6);
        let podman = ["--with", "podman"].map(str::to_string);
        assert!(
            shown_with(&podman, 80).ends_with("\n    imgarch doctor --with podman --fix --privileged linux/arm64\n")
        );
    }
}
