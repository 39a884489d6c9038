//! A cluster's overview for the one who must act on it: what fails now, what will, what could not be told. And as JSON: the
//! scan's report with the overview beside its images.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::escape::{plural, visible};
use super::terminal::{Color, fill};
use super::{Style, json};
use crate::diagnose::overview::{Failing, Overview, Place, Trouble, Untold};
use crate::scan::Report;

/// Columns of the labels on the left.
const LABEL: usize = 7;
/// Names of workloads and nodes that stand in a line; the rest is counted.
const NAMED: usize = 3;

/// Writes the overview. `exit_code` is the run's: what the API forbade counts, which a report does not know.
pub fn text(overview: &Overview, exit_code: u8, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    let lead = format!(
        "{} in {}, {}, {}: {}",
        plural(overview.nodes, "node"),
        plural(overview.groups, "group"),
        plural(overview.pods, "pod"),
        plural(overview.workloads, "workload"),
        plural(overview.images, "image")
    );
    writeln!(out, "{lead}\n")?;
    for one in &overview.troubles {
        trouble(one, style, out)?;
    }
    for failing in &overview.others {
        let head = format!("{}: {}", failing.used_by, pods(failing));
        heading("OTHER", Color::Yellow, &head, style, out)?;
        pair("why", "its image starts on its nodes: something else fails it", style, out)?;
        command("do", &format!("imgarch diagnose {} -n {}", failing.subject, failing.namespace), out)?;
        writeln!(out)?;
    }
    for one in &overview.untold {
        untold(one, style, out)?;
    }
    for (workload, why) in &overview.homeless {
        heading("NOWHERE", Color::Yellow, workload, style, out)?;
        pair("why", &format!("no node may run it: {why}"), style, out)?;
        writeln!(out)?;
    }
    for line in &overview.unread {
        heading("UNREAD", Color::Yellow, line, style, out)?;
    }
    if !overview.unread.is_empty() {
        writeln!(out)?;
    }
    writeln!(out, "{}   exit {exit_code}", counts(overview))
}

/// "5 of 8 images start wherever they run or may run; 2 do not, 1 could not be told".
fn counts(overview: &Overview) -> String {
    let mut rest = Vec::new();
    match overview.troubled {
        0 => {}
        1 => rest.push("1 does not".to_string()),
        more => rest.push(format!("{more} do not")),
    }
    if overview.unknown > 0 {
        rest.push(format!("{} could not be told", overview.unknown));
    }
    let rest = if rest.is_empty() { String::new() } else { format!("; {}", rest.join(", ")) };
    format!("{} of {} start wherever they run or may run{rest}", overview.healthy, plural(overview.images, "image"))
}

fn trouble(one: &Trouble, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    let when = if one.now.is_empty() { "WILL FAIL" } else { "FAILS NOW" };
    let users = match one.now.as_slice() {
        [] => named(&one.used_by, "; "),
        now => {
            now.iter().map(|failing| format!("{}: {}", failing.used_by, pods(failing))).collect::<Vec<_>>().join("; ")
        }
    };
    heading(when, Color::Red, &users, style, out)?;
    let digest = one.digest.as_ref().map_or_else(String::new, |digest| format!(" ({})", digest.short()));
    let digest = if one.image.contains("@sha256:") { String::new() } else { digest };
    pair("image", &format!("{}{digest}", one.image), style, out)?;
    pair("on", &places(&one.places), style, out)?;
    pair("why", &one.why, style, out)?;
    if !one.shown.is_empty() {
        pair("shows", &one.shown, style, out)?;
    }
    let mut label = "do";
    for failing in one.now.iter().take(1) {
        command(label, &format!("imgarch diagnose {} -n {}", failing.subject, failing.namespace), out)?;
        label = "";
    }
    for (index, line) in one.act.iter().enumerate() {
        match index {
            0 => pair(label, line, style, out)?,
            _ => command(label, line, out)?,
        }
        label = "";
    }
    writeln!(out)
}

fn untold(one: &Untold, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    heading("UNKNOWN", Color::Yellow, &named(&one.used_by, "; "), style, out)?;
    pair("image", &one.image, style, out)?;
    pair("why", &one.why, style, out)?;
    if let Some(hint) = &one.hint {
        pair("do", hint, style, out)?;
    }
    writeln!(out)
}

fn pods(failing: &Failing) -> String {
    format!("{} of {}, {}", failing.failing, plural(failing.of, "pod"), failing.state)
}

fn places(places: &[Place]) -> String {
    let of = |place: &Place| match place.nodes.as_slice() {
        [] => place.target.clone(),
        nodes => format!("{}: {}", place.target, named(nodes, ", ")),
    };
    places.iter().map(of).collect::<Vec<_>>().join("; ")
}

fn named(names: &[String], between: &str) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(between);
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown}{between}and {more} more"),
    }
}

fn heading(word: &str, color: Color, text: &str, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    let word = style.screen().paint(word, color);
    writeln!(out, "{}", fill(&format!("{word}  "), &visible(text), LABEL + 4, style.width))
}

fn pair(label: &str, text: &str, style: &Style<'_>, out: &mut dyn Write) -> io::Result<()> {
    style.screen().pair(label, &visible(text), LABEL, out)
}

/// Commands stay whole, so that they can be pasted.
fn command(label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {label:LABEL$}  {}", visible(text))
}

/// The scan's report with `cluster` beside its images, as `imgarch schema` has it.
pub fn json(
    overview: &Overview,
    server: &str,
    report: &Report,
    exit_code: u8,
    style: &Style<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut value = json::value(report, style)?;
    value["exit_code"] = json!(exit_code);
    value["cluster"] = json!({
        "server": server,
        "nodes": overview.nodes,
        "groups": overview.groups,
        "pods": overview.pods,
        "workloads": overview.workloads,
        "images": {
            "all": overview.images,
            "healthy": overview.healthy,
            "troubled": overview.troubled,
            "unknown": overview.unknown,
        },
        "troubles": overview.troubles.iter().map(trouble_json).collect::<Vec<_>>(),
        "others": overview.others.iter().map(failing_json).collect::<Vec<_>>(),
        "unknown": overview.untold.iter().map(|one| json!({
            "used_by": one.used_by, "image": one.image, "why": one.why, "hint": one.hint,
        })).collect::<Vec<_>>(),
        "homeless": overview.homeless.iter().map(|(workload, why)| json!({"workload": workload, "why": why})).collect::<Vec<_>>(),
        "unread": overview.unread,
    });
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)
}

fn trouble_json(one: &Trouble) -> Value {
    json!({
        "when": if one.now.is_empty() { "next" } else { "now" },
        "used_by": one.used_by,
        "image": one.image,
        "digest": one.digest.as_ref().map(ToString::to_string),
        "failing": one.now.iter().map(failing_json).collect::<Vec<_>>(),
        "on": one.places.iter().map(|place| json!({"target": place.target, "nodes": place.nodes})).collect::<Vec<_>>(),
        "why": one.why,
        "shown": (!one.shown.is_empty()).then_some(&one.shown),
        "hint": one.act,
    })
}

fn failing_json(one: &Failing) -> Value {
    json!({
        "used_by": one.used_by, "state": one.state, "failing": one.failing, "of": one.of,
        "namespace": one.namespace, "pod": one.pod,
    })
}
