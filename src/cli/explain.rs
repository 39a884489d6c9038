//! `imgarch explain CODE`: explains a finding and its cure, from the table of codes.

use std::io::Write;

use super::{CliError, Terminal};
use crate::judge::code::{CODES, Code, CodeRow};
use crate::judge::facts::purpose;
use crate::lint::{Fixable, LintRule, RULES};
use crate::report::docs;
use crate::report::rules::RuleId;

/// Explains one code, or lists them all.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// Code of a finding, as in `error[entrypoint-wrong-arch]`, or words to search for [default: list all codes].
    #[arg(value_name = "CODE|WORD")]
    code: Vec<String>,
    /// Print a documentation page as Markdown: all codes, or all rules of `imgarch lint`.
    #[arg(long, value_name = "PAGE", conflicts_with = "code", num_args = 0..=1, require_equals = true,
        default_missing_value = "codes")]
    markdown: Option<DocumentPage>,
}

/// Documentation pages that are generated from tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DocumentPage {
    Codes,
    Lint,
}

pub fn run(args: &ExplainArgs, terminal: &Terminal, out: &mut dyn Write) -> Result<u8, CliError> {
    match args.markdown {
        Some(DocumentPage::Codes) => out.write_all(docs::codes().as_bytes())?,
        Some(DocumentPage::Lint) => out.write_all(docs::lint_rules().as_bytes())?,
        None => terminal.wrap(out, |out| explain(args, out))?,
    }
    Ok(0)
}

fn explain(args: &ExplainArgs, out: &mut dyn Write) -> Result<(), CliError> {
    if args.code.is_empty() {
        return Ok(write_list(out)?);
    }
    let name = args.code.join(" ");
    match RuleId::parse(&name) {
        None => search(&name, out),
        Some(RuleId::Scan(code)) => Ok(write_row(code.row(), out)?),
        Some(RuleId::Lint(code)) => Ok(write_rule(code.rule(), out)?),
        Some(rule @ (RuleId::CouldNotTell | RuleId::NotChecked)) => Ok(write_unread(rule, out)?),
    }
}

/// Writes the explanation of a code for a missing fact.
fn write_unread(rule: RuleId, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{} ({})\n", rule.name(), rule.severity().word())?;
    writeln!(out, "  what   {}", rule.title())?;
    writeln!(out, "  why    {}", rule.why())?;
    rule.cure().map_or(Ok(()), |cure| writeln!(out, "  cure   {cure}"))
}

/// Lists the codes and rules whose texts contain every word.
fn search(text: &str, out: &mut dyn Write) -> Result<(), CliError> {
    let words: Vec<String> = text.to_lowercase().split_whitespace().map(str::to_string).collect();
    let has_all = |texts: [&str; 4]| {
        let texts = texts.join(" ").to_lowercase();
        !words.is_empty() && words.iter().all(|word| texts.contains(word))
    };
    let mut found = Vec::new();
    for row in CODES.iter().filter(|row| has_all([row.name, row.title, row.why, row.cure])) {
        found.push((row.name, row.severity, row.title));
    }
    for rule in RULES.iter().filter(|rule| has_all([rule.name, rule.title, rule.help, ""])) {
        found.push((rule.name, rule.severity, rule.title));
    }
    if found.is_empty() {
        return Err(CliError::Usage {
            text: format!("unknown finding code {text:?}, and no explanation contains it"),
            hint: Some("list all codes: imgarch explain".to_string()),
        });
    }
    for (name, severity, title) in found {
        writeln!(out, "{name:32} {:8} {title}", severity.word())?;
    }
    Ok(())
}

fn write_row(row: &CodeRow, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{} ({})\n", row.name, row.severity.word())?;
    writeln!(out, "  what   {}", row.title)?;
    writeln!(out, "  why    {}", row.why)?;
    writeln!(out, "  cure   {}", row.cure)?;
    if row.code == Code::ForeignOnPurpose {
        writeln!(out, "\n  rules; --off NAME disables one:")?;
        for (name, why) in purpose::rule_names() {
            writeln!(out, "    {name:18} {why}")?;
        }
    }
    Ok(())
}

/// Writes the explanation of an `imgarch lint` rule.
fn write_rule(rule: &LintRule, out: &mut dyn Write) -> std::io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(words: &[&str]) -> Result<String, String> {
        explained_in(words, crate::report::PIPED_WIDTH)
    }

    fn explained_in(words: &[&str], width: usize) -> Result<String, String> {
        let args = ExplainArgs { code: words.iter().map(|word| word.to_string()).collect(), markdown: None };
        let terminal = Terminal { width, color: false, progress: false, is_utf8: true, quiet: false };
        let mut out = Vec::new();
        run(&args, &terminal, &mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn words_find_every_code_that_explains_them() {
        let found = explained(&["carriage", "return"]).unwrap();
        assert!(found.contains("entrypoint-bad-script") && !found.contains("no-programs"), "{found}");
        assert!(explained(&["foreign-file"]).unwrap().starts_with("foreign-file (warning)"));
        assert!(explained(&["no", "such", "word", "zzz"]).unwrap_err().contains("zzz"));
    }

    #[test]
    fn lines_are_wrapped_between_words_on_a_terminal() {
        let narrow = explained_in(&["entrypoint-wrong-arch"], 40).unwrap();
        assert!(narrow.lines().all(|line| line.len() <= 40), "{narrow}");
        let words = |text: &str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        assert_eq!(words(&narrow), words(&explained(&["entrypoint-wrong-arch"]).unwrap()));
        let wide = explained_in(&["entrypoint-wrong-arch"], 80).unwrap();
        assert!(wide.contains("\n         "), "{wide}");
    }
}
