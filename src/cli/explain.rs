//! `imgarch explain CODE`: what a finding means and its cure, from the table of codes.

use std::io::Write;

use super::CliError;
use crate::judge::code::{CODES, Code, CodeRow};
use crate::judge::purpose;
use crate::lint::{self, Fixable, RULES, Rule};

/// Explains one code, or lists them all.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// A finding's code, as in `error[entrypoint-wrong-arch]`; none lists all.
    code: Option<String>,
    /// As a Markdown page of all codes, for a repository's documentation.
    #[arg(long, conflicts_with = "code")]
    markdown: bool,
}

pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    match &args.code {
        _ if args.markdown => write_markdown(out)?,
        None => write_list(out)?,
        Some(name) => match (Code::parse(name), lint::Code::parse(name)) {
            (Some(code), _) => write_row(code.row(), out)?,
            (None, Some(code)) => write_rule(code.rule(), out)?,
            (None, None) => return Err(unknown(name)),
        },
    }
    Ok(0)
}

fn unknown(name: &str) -> CliError {
    let names = CODES.iter().map(|row| row.name).chain(RULES.iter().map(|rule| rule.name));
    let near = names.filter(|known| known.contains(name) || name.contains(known));
    let near: Vec<&str> = near.collect();
    let hint = if near.is_empty() { "imgarch explain".to_string() } else { format!("imgarch explain {}", near[0]) };
    CliError::Usage { text: format!("there is no finding code {name:?}"), hint: Some(hint) }
}

fn write_row(row: &CodeRow, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{} ({})\n", row.name, row.severity.word())?;
    writeln!(out, "  what   {}", row.title)?;
    writeln!(out, "  why    {}", row.why)?;
    writeln!(out, "  cure   {}", row.cure)?;
    if row.code == Code::ForeignOnPurpose {
        writeln!(out, "\n  rules, each of which --off NAME switches off:")?;
        for (name, why) in purpose::rule_names() {
            writeln!(out, "    {name:18} {why}")?;
        }
    }
    Ok(())
}

/// A rule of `imgarch lint`.
fn write_rule(rule: &Rule, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{} ({}, lint)\n", rule.name, rule.severity.word())?;
    writeln!(out, "  what   {}", rule.title)?;
    writeln!(out, "  help   {}", rule.help)?;
    let fix = match rule.fixable {
        Fixable::Safely => "imgarch lint --fix rewrites it where that is safe",
        Fixable::Unsafely => "imgarch lint --fix --unsafe rewrites it",
        Fixable::No => "by hand",
    };
    writeln!(out, "  fix    {fix}\n  off    # imgarch ignore={}", rule.name)
}

fn write_list(out: &mut dyn Write) -> std::io::Result<()> {
    for row in CODES {
        writeln!(out, "{:32} {:8} {}", row.name, row.severity.word(), row.title)?;
    }
    writeln!(out, "\nrules of imgarch lint:")?;
    for rule in RULES {
        writeln!(out, "{:32} {:8} {}", rule.name, rule.severity.word(), rule.title)?;
    }
    Ok(())
}

/// Each code under a heading of its own, so that links to `#code` find it.
fn write_markdown(out: &mut dyn Write) -> std::io::Result<()> {
    for row in CODES {
        writeln!(out, "### {}\n", row.name)?;
        writeln!(out, "*{}*: {}. {}.\n", row.severity.word(), row.title, row.why)?;
        writeln!(out, "What to do: {}.\n", row.cure)?;
    }
    Ok(())
}
