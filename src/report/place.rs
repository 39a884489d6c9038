//! Where a finding is, for formats that want a file and a line: the Dockerfile's line where it is known, else the path
//! in the image below the image's name, which is a file of no repository but tells people where to look.

use super::Style;
use super::escape::visible;
use super::fingerprint::subject;
use crate::judge::finding::Finding;
use crate::scan::{ImageReport, PlatformReport};

/// A file and a line in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Relative, with `/` between its parts.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    pub is_dockerfile: bool,
}

/// The place of a finding, or of the whole image where there is none.
pub fn of(
    image: &ImageReport,
    platform: Option<&PlatformReport>,
    finding: Option<&Finding>,
    style: &Style<'_>,
) -> Place {
    if let Some(dockerfile) = style.dockerfile {
        let layer = finding.and_then(|finding| platform?.layers.get(finding.layer?));
        let line = layer.and_then(|layer| layer.dockerfile_line).unwrap_or(1);
        let path = dockerfile.trim_start_matches("./").trim_start_matches('/').to_string();
        return Place { path, line, is_dockerfile: true };
    }
    let name = subject(&image.name);
    let name = name.trim_start_matches(['/', '.']);
    let name = if name.is_empty() || name == "-" { "image" } else { name };
    let path = format!("{name}{}", finding.and_then(|finding| finding.path.as_deref()).unwrap_or_default());
    Place { path: visible(&path), line: 1, is_dockerfile: false }
}

/// `ELF x86-64, static; expected AArch64`, or nothing.
pub fn nature(finding: &Finding) -> String {
    match (finding.is.as_str(), finding.expected.as_str()) {
        ("", _) => String::new(),
        (is, "") => is.to_string(),
        (is, expected) => format!("{is}; expected {expected}"),
    }
}

/// The facts on a finding as names and values, in the order in which people ask for them.
pub fn facts(platform: Option<&PlatformReport>, finding: &Finding, files: usize) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if files > 1 {
        let group = finding.group.as_deref().unwrap_or_default();
        facts.push(("files", format!("{files} in {group}")));
    }
    let mut say = |name, value: String| {
        if !value.is_empty() {
            facts.push((name, visible(&value)));
        }
    };
    say("file", finding.path.clone().unwrap_or_default());
    say("is", nature(finding));
    say("reached by", finding.reached_by.join(" -> "));
    if let Some((rule, why)) = &finding.purpose {
        say("foreign on purpose", format!("{why} ({rule})"));
    }
    if let Some((name, value)) = platform.zip(finding.layer).and_then(|(p, layer)| super::table::came_in_with(p, layer))
    {
        debug_assert_eq!(name, "came in with");
        say("came in with", value);
    }
    if let Some(shown) = finding.shown.first() {
        let code = shown.exit_code.map_or_else(String::new, |code| format!(" (exit {code}; {})", shown.frontend));
        say("nodes will show", format!("{}{code}", shown.text));
    }
    facts
}
