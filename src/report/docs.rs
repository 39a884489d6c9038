//! Generates documentation pages from tables: finding codes and rules of `imgarch lint`.

use super::rules::{ReportingCommand, RuleId, sentence};
use crate::judge::code::Code;
use crate::judge::facts::purpose;
use crate::lint::{self, Fixable};

/// Generates `docs/codes.md`. Each code has its own heading as a link target.
pub fn codes() -> String {
    let mut page = "# Finding codes\n\nA finding of `imgarch scan` has one of these codes. `imgarch explain CODE` shows the same text.\n\
                    This page is generated: `imgarch explain --markdown > docs/codes.md`.\n"
        .to_string();
    for rule in RuleId::all(ReportingCommand::Scan) {
        page.push_str(&section(rule));
        if rule == RuleId::Scan(Code::ForeignOnPurpose) {
            page.push_str("\nEach of these reasons can be disabled with `--off NAME`:\n\n");
            for (name, why) in purpose::rule_names() {
                page.push_str(&format!("- `{name}`: {why}\n"));
            }
        }
    }
    page
}

/// Generates `docs/lint-rules.md`.
pub fn lint_rules() -> String {
    let mut page = "# Rules of imgarch lint\n\nA finding of `imgarch lint` has one of these codes. `imgarch explain CODE` shows the same text.\n\
                    This page is generated: `imgarch explain --markdown=lint > docs/lint-rules.md`.\n\n\
                    The comment `# imgarch ignore=CODE` above an instruction disables a rule there;\n\
                    `# imgarch global ignore=CODE` disables it for the file.\n"
        .to_string();
    for rule in RuleId::all(ReportingCommand::Lint) {
        page.push_str(&section(rule));
        if let RuleId::Lint(code) = rule {
            page.push_str(&lint_details(code));
        }
    }
    page
}

fn section(rule: RuleId) -> String {
    let mut section = format!("\n## {}\n\n", rule.name());
    section.push_str(&format!("*{}*. {} {}\n", capitalized_severity(rule), sentence(rule.title()), rule.why()));
    if let Some(cure) = rule.cure() {
        section.push_str(&format!("\nWhat to do: {cure}\n"));
    }
    section
}

fn capitalized_severity(rule: RuleId) -> String {
    super::rules::capitalized(rule.severity().word())
}

fn lint_details(code: lint::RuleName) -> String {
    let rule = code.rule();
    let fix = match rule.fixable {
        Fixable::Safely => "`imgarch lint --fix` rewrites it where that is safe.",
        Fixable::Unsafely => "`imgarch lint --fix --unsafe` rewrites it.",
        Fixable::No => "There is no automatic rewrite.",
    };
    let also = match rule.also {
        [] => String::new(),
        names => format!(" Ignore comments for {} count too.", names.join(" and ")),
    };
    format!("\n{fix}{also}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set to write the pages instead of comparing them.
    const UPDATE: &str = "IMGARCH_UPDATE_DOCS";

    #[test]
    fn the_generated_pages_are_up_to_date() {
        for (name, page) in [("codes", codes()), ("lint-rules", lint_rules())] {
            let path = format!("{}/docs/{name}.md", env!("CARGO_MANIFEST_DIR"));
            if std::env::var_os(UPDATE).is_some() {
                std::fs::write(&path, &page).unwrap();
            }
            let written = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(written == page, "docs/{name}.md is out of date: {UPDATE}=1 cargo test --lib generated_pages");
        }
    }

    #[test]
    fn every_rule_has_the_heading_that_its_help_uri_names() {
        for (tool, page) in [(ReportingCommand::Scan, codes()), (ReportingCommand::Lint, lint_rules())] {
            for rule in RuleId::all(tool) {
                let uri = rule.help_uri();
                let (file, anchor) = uri.rsplit_once('#').unwrap();
                assert!(file.ends_with(if tool == ReportingCommand::Scan {
                    "/docs/codes.md"
                } else {
                    "/docs/lint-rules.md"
                }));
                assert!(page.contains(&format!("\n## {anchor}\n")), "{uri}");
            }
        }
    }
}
