//! Explains the rules of diagnostics: finding codes, rules of `imgarch lint`, and parts that could not be read.

use crate::judge::code::{CODES, Code, Severity};
use crate::lint::{self, RULES};

/// The command that reported a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportingCommand {
    Scan,
    Lint,
}

impl ReportingCommand {
    pub fn name(self) -> &'static str {
        match self {
            ReportingCommand::Scan => "imgarch",
            ReportingCommand::Lint => "imgarch lint",
        }
    }
}

/// URL of the project. The documentation of rules is below it.
pub const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// The rule of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleId {
    /// Part of an image could not be read or verified.
    CouldNotTell,
    Scan(Code),
    /// Part of a file could not be checked.
    NotChecked,
    Lint(lint::RuleName),
}

impl RuleId {
    /// Returns all rules of a tool. The rule for unread parts comes last.
    pub fn all(tool: ReportingCommand) -> Vec<RuleId> {
        match tool {
            ReportingCommand::Scan => {
                CODES.iter().map(|row| RuleId::Scan(row.code)).chain([RuleId::CouldNotTell]).collect()
            }
            ReportingCommand::Lint => {
                RULES.iter().map(|rule| RuleId::Lint(rule.code)).chain([RuleId::NotChecked]).collect()
            }
        }
    }

    /// Returns the rule with this name, or the lint rule that has this name in another tool. Lint rule names are not
    /// case-sensitive.
    pub fn parse(name: &str) -> Option<RuleId> {
        let mut all = RuleId::all(ReportingCommand::Scan).into_iter().chain(RuleId::all(ReportingCommand::Lint));
        let lint = || lint::RuleName::parse(name).map(RuleId::Lint);
        all.find(|rule| rule.name() == name).or_else(lint)
    }

    /// The stable name in kebab case.
    pub fn name(self) -> &'static str {
        match self {
            RuleId::CouldNotTell => "could-not-tell",
            RuleId::Scan(code) => code.name(),
            RuleId::NotChecked => "not-checked",
            RuleId::Lint(code) => code.name(),
        }
    }

    /// Whether the rule reports a missing fact, which is not a finding.
    pub fn is_unread(self) -> bool {
        match self {
            RuleId::CouldNotTell | RuleId::NotChecked => true,
            RuleId::Scan(_) | RuleId::Lint(_) => false,
        }
    }

    /// The default severity.
    pub fn severity(self) -> Severity {
        match self {
            RuleId::CouldNotTell | RuleId::NotChecked => Severity::Error,
            RuleId::Scan(code) => code.row().severity,
            RuleId::Lint(code) => code.rule().severity,
        }
    }

    /// The title: one clause, lower case, no period.
    pub fn title(self) -> &'static str {
        match self {
            RuleId::CouldNotTell => "part of the image could not be read or verified",
            RuleId::Scan(code) => code.row().title,
            RuleId::NotChecked => "part of the file could not be checked",
            RuleId::Lint(code) => code.rule().title,
        }
    }

    /// The consequences, in sentences.
    pub fn why(self) -> String {
        match self {
            RuleId::CouldNotTell => "A fact that decides the verdict is missing. The check has not passed.".to_string(),
            RuleId::Scan(code) => sentence(code.row().why),
            RuleId::NotChecked => {
                "The result for this part of the file is unknown. The check has not passed.".to_string()
            }
            RuleId::Lint(code) => sentence(code.rule().help),
        }
    }

    /// How to fix it, in a sentence; `None` if [`RuleId::why`] includes it.
    pub fn cure(self) -> Option<String> {
        match self {
            RuleId::CouldNotTell | RuleId::NotChecked => {
                Some("Fix the cause that the message names, then run again.".into())
            }
            RuleId::Scan(code) => Some(sentence(code.row().cure)),
            RuleId::Lint(_) => None,
        }
    }

    /// URL of its documentation.
    pub fn help_uri(self) -> String {
        let page = match self {
            RuleId::CouldNotTell | RuleId::Scan(_) => "codes",
            RuleId::NotChecked | RuleId::Lint(_) => "lint-rules",
        };
        format!("{HOME}/blob/main/docs/{page}.md#{}", self.name())
    }
}

/// Names that stay lower case at the start of a sentence, where they are formatted as code.
const LITERALS: &[&str] = &["execve", "imgarch", "npm", "pip", "dpkg", "apt"];

/// Converts a clause of the tables to a sentence, with a capital letter or a name in backquotes first, and a period.
pub fn sentence(clause: &str) -> String {
    let first = clause.split(' ').next().unwrap_or_default();
    let end = if clause.ends_with(['.', '!', '?']) { "" } else { "." };
    match LITERALS.contains(&first) {
        true => format!("`{first}`{}{end}", &clause[first.len()..]),
        false => format!("{}{end}", capitalized(clause)),
    }
}

pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_reads_back_and_is_explained_in_sentences() {
        for rule in [ReportingCommand::Scan, ReportingCommand::Lint].into_iter().flat_map(RuleId::all) {
            for text in [sentence(rule.title()), rule.why()].into_iter().chain(rule.cure()) {
                let is_lower = text.starts_with(|c: char| !c.is_uppercase() && c != '`' && c != '$' && c != '-');
                assert!(!is_lower && text.ends_with('.'), "{}: {text}", rule.name());
            }
        }
        for rule in [ReportingCommand::Scan, ReportingCommand::Lint].into_iter().flat_map(RuleId::all) {
            assert_eq!(RuleId::parse(rule.name()), Some(rule));
        }
        assert_eq!(RuleId::parse("DL3029"), Some(RuleId::Lint(lint::RuleName::FromPlatformConstant)));
        assert_eq!(sentence("execve returns an error"), "`execve` returns an error.");
        assert_eq!(sentence("imgarch could not determine it"), "`imgarch` could not determine it.");
        assert_eq!(sentence("see the cause"), "See the cause.");
    }
}
