//! Writes nodes and CPU profiles as tables or JSON. Uncertain facts are marked as such.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::escape::{plural, visible};
use super::terminal::{Cell, Screen, fill, grid};
use crate::kube::{Nodes, NodesAlike};
use crate::platform::profile::{Emulation, ProfileClaim};
use crate::platform::{Arch, Fact, Isa, Node, Profile, Target, target};

/// Version of the JSON documents.
const SCHEMA: u32 = 1;

/// The output format of `imgarch nodes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum NodesFormat {
    Table,
    Json,
}

/// Writes a cluster's groups, the largest first.
pub fn groups(nodes: &Nodes, format: NodesFormat, width: usize, out: &mut dyn Write) -> io::Result<()> {
    if format == NodesFormat::Json {
        let groups: Vec<Value> = nodes.groups.iter().map(group_json).collect();
        let skipped = |(name, reason): &(String, String)| json!({"node": name, "reason": reason});
        let skipped: Vec<Value> = nodes.skipped.iter().map(skipped).collect();
        return json_lines(&json!({"schema": SCHEMA, "groups": groups, "skipped": skipped}), out);
    }
    match groups_table(nodes, width) {
        Some(table) => writeln!(out, "{table}")?,
        None => nodes.groups.iter().try_for_each(|group| group_lines(group, width, out))?,
    }
    for (name, reason) in &nodes.skipped {
        writeln!(out, "not judged: {}: {}", visible(name), visible(reason))?;
    }
    let all: usize = nodes.groups.iter().map(|group| group.nodes.len()).sum();
    writeln!(out, "\n{} in {}; ? means unknown", plural(all, "node"), plural(nodes.groups.len(), "group"))
}

/// From this width in columns, a table is easier to read than a list.
const WIDE: usize = 110;

fn groups_table(nodes: &Nodes, width: usize) -> Option<String> {
    let head = ["nodes", "target", "arch", "level", "pages", "32-bit", "kernel", "runtime", "names"];
    let rows = nodes.groups.iter().map(|group| {
        let node = &group.target.node;
        let label = group.profile.map_or_else(String::new, |row| format!(" ({})", row.label));
        [
            group.nodes.len().to_string(),
            format!("{}{label}", group.target.name),
            node.arch.to_string(),
            level(node.isa),
            pages(node.page_size),
            narrow(node),
            group.kernel.clone(),
            group.runtime.clone(),
            names(group),
        ]
    });
    table(&head, rows, width)
}

/// Writes a group for a narrow screen: the node count and facts, then names.
fn group_lines(group: &NodesAlike, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let node = &group.target.node;
    let mut facts = vec![node.arch.to_string(), format!("level {}", level(node.isa))];
    facts.push(format!("{} pages", pages(node.page_size)));
    facts.push(format!("32-bit {}", narrow(node)));
    let head = format!("{:<5} {}  ", group.nodes.len(), visible(&group.target.name));
    writeln!(out, "{}", fill(&head, &facts.join(", "), INDENT, width))?;
    let label = group.profile.map_or("", |row| row.label).to_string();
    for text in [label, group.kernel.clone(), group.runtime.clone(), names(group)] {
        if !text.is_empty() {
            writeln!(out, "{}", fill(&" ".repeat(INDENT), &visible(&text), INDENT, width))?;
        }
    }
    Ok(())
}

/// Indent of the lines below a group's or a profile's first line, in columns.
const INDENT: usize = 6;

/// Returns the first node's name, and how many more there are.
fn names(group: &NodesAlike) -> String {
    match group.nodes.as_slice() {
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
        [] => String::new(),
    }
}

/// Writes targets without a cluster, such as this machine.
pub fn targets(targets: &[Target], format: NodesFormat, width: usize, out: &mut dyn Write) -> io::Result<()> {
    if format == NodesFormat::Json {
        let targets: Vec<Value> = targets.iter().map(target_json).collect();
        return json_lines(&json!({"schema": SCHEMA, "targets": targets}), out);
    }
    for target in targets {
        let head = ["target", "arch", "level", "pages", "32-bit", "emulates"];
        let node = &target.node;
        let row = [
            target.name.clone(),
            node.arch.to_string(),
            level(node.isa),
            pages(node.page_size),
            narrow(node),
            emulated(target),
        ];
        match grid_lines(&head, [row.clone()], width) {
            Some(table) => writeln!(out, "{table}\n")?,
            None => {
                for (name, value) in head.iter().zip(&row) {
                    writeln!(out, "{}", fill(&format!("  {name:8}  "), &visible(value), 12, width))?;
                }
                writeln!(out)?;
            }
        }
        writeln!(out, "as a target: {}", target::text(target))?;
    }
    Ok(())
}

/// Writes every profile with its facts and their source.
pub fn profiles(profiles: &[Profile], format: NodesFormat, width: usize, out: &mut dyn Write) -> io::Result<()> {
    if format == NodesFormat::Json {
        let rows: Vec<Value> = profiles.iter().map(profile_json).collect();
        return json_lines(&json!({"schema": SCHEMA, "profiles": rows}), out);
    }
    match profiles_table(profiles, width) {
        Some(table) => writeln!(out, "{table}")?,
        None => profiles.iter().try_for_each(|row| profile_lines(row, width, out))?,
    }
    let note = "a fact in (brackets)? is reported but not verified, and counts as unknown; ? means unknown; the level \
                of a family with several CPUs is the lowest of theirs";
    writeln!(out, "\n{}", fill("", note, 0, width))
}

fn profiles_table(profiles: &[Profile], width: usize) -> Option<String> {
    let head = ["profile", "machine", "arch", "level", "pages", "32-bit Arm", "source"];
    let rows = profiles.iter().map(|row| {
        [
            row.name.to_string(),
            row.label.to_string(),
            row.arch.to_string(),
            claim(row.isa, |isa| isa.to_string()),
            pages_claim(row),
            aarch32(row),
            row.source.to_string(),
        ]
    });
    table(&head, rows, width)
}

/// Writes a profile for a narrow screen.
fn profile_lines(row: &Profile, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let facts = format!("{}, level {}, {} pages", row.arch, claim(row.isa, |isa| isa.to_string()), pages_claim(row));
    let narrow = if row.arch == Arch::Arm64 { format!(", 32-bit Arm {}", aarch32(row)) } else { String::new() };
    writeln!(out, "{}", fill(&format!("{}  ", row.name), &format!("{facts}{narrow}"), INDENT, width))?;
    for text in [row.label.to_string(), format!("source: {}", row.source)] {
        writeln!(out, "{}", fill(&" ".repeat(INDENT), &text, INDENT, width))?;
    }
    Ok(())
}

fn aarch32(row: &Profile) -> String {
    match row.arch {
        Arch::Arm64 => claim(row.aarch32, |yes| if yes { "yes" } else { "no" }.to_string()),
        _ => "-".to_string(),
    }
}

fn group_json(group: &NodesAlike) -> Value {
    let mut value = target_json(&group.target);
    value["nodes"] = json!(group.nodes);
    value["instance_type"] = json!(group.instance_type);
    value["profile"] = json!(group.profile.map(|row| row.name));
    value["kernel_release"] = json!(group.kernel);
    value["runtime"] = json!(group.runtime);
    value["os_image"] = json!(group.os_image);
    value["level_source"] = json!((!group.level_source.is_empty()).then_some(&group.level_source));
    value
}

fn target_json(target: &Target) -> Value {
    let node = &target.node;
    json!({
        "name": target.name,
        "target": target::text(target),
        "platform": target.platform.to_string(),
        "architecture": node.arch.oci(),
        "page_size": node.page_size.known(),
        "aarch32": if node.arch == Arch::Arm64 { json!(node.aarch32.known()) } else { Value::Null },
        "ia32": if node.arch == Arch::Amd64 { json!(node.ia32.known()) } else { Value::Null },
        "level": node.isa.known().map(|isa| isa.to_string()),
        "handlers": node.handlers.iter().map(|handler| &handler.name).collect::<Vec<_>>(),
    })
}

fn profile_json(row: &Profile) -> Value {
    fn fact<T: Copy>(claim: ProfileClaim<T>, show: impl Fn(T) -> Value) -> Value {
        match claim {
            ProfileClaim::Verified(value) => json!({"value": show(value), "verified": true}),
            ProfileClaim::Unverified(value) => json!({"value": show(value), "verified": false}),
            ProfileClaim::Open => Value::Null,
        }
    }
    json!({
        "name": row.name,
        "aliases": row.aliases,
        "label": row.label,
        "architecture": row.arch.oci(),
        "level": fact(row.isa, |isa| json!(isa.to_string())),
        "aarch32": fact(row.aarch32, |yes| json!(yes)),
        "page_size": fact(row.page_size, |bytes| json!(bytes)),
        "emulation": match row.emulation {
            Emulation::None => Value::Null,
            Emulation::Rosetta => json!(["rosetta"]),
            Emulation::Qemu => json!(["qemu"]),
            Emulation::RosettaAndQemu => json!(["rosetta", "qemu"]),
        },
        "instance_families": row.families,
        "source": row.source,
    })
}

fn claim<T: Copy>(claim: ProfileClaim<T>, show: impl Fn(T) -> String) -> String {
    match claim {
        ProfileClaim::Verified(value) => show(value),
        ProfileClaim::Unverified(value) => format!("({})?", show(value)),
        ProfileClaim::Open => "?".to_string(),
    }
}

fn pages_claim(row: &Profile) -> String {
    match row.page_size {
        ProfileClaim::Open => pages(Node::plain(row.arch).page_size),
        known => claim(known, |bytes| pages(Fact::Known(bytes))),
    }
}

fn level(isa: Fact<Isa>) -> String {
    isa.known().map_or_else(|| "?".to_string(), |isa| isa.to_string())
}

fn pages(size: Fact<u64>) -> String {
    size.known().map_or_else(|| "?".to_string(), |bytes| format!("{}K", bytes >> 10))
}

/// Returns whether 32-bit programs run, for the two architectures where that varies.
fn narrow(node: &Node) -> String {
    let fact = match node.arch {
        Arch::Arm64 => node.aarch32,
        Arch::Amd64 => node.ia32,
        _ => return "-".to_string(),
    };
    match fact.known() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    }
    .to_string()
}

fn emulated(target: &Target) -> String {
    match target.node.handlers.as_slice() {
        [] => "-".to_string(),
        handlers => handlers.iter().map(|handler| handler.name.as_str()).collect::<Vec<_>>().join(" "),
    }
}

/// Returns a table; `None` on a screen where a list is easier to read.
fn table<const N: usize>(
    head: &[&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: usize,
) -> Option<String> {
    if width < WIDE { None } else { grid_lines(head, rows, width) }
}

fn grid_lines<const N: usize>(
    head: &[&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    width: usize,
) -> Option<String> {
    let head = head.iter().map(|name| Cell::new(*name)).collect();
    let rows = rows.into_iter().map(|row| row.iter().map(|text| Cell::new(visible(text))).collect());
    let all: Vec<Vec<Cell>> = [head].into_iter().chain(rows).collect();
    Some(grid(&all, Screen { width, color: false })?.join("\n"))
}

fn json_lines(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::PROFILES;

    /// Returns all profiles, written for `width` columns.
    fn written(width: usize) -> String {
        let mut out = Vec::new();
        profiles(PROFILES, NodesFormat::Table, width, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn profiles_fit_a_narrow_screen_and_a_wide_one() {
        for width in [80, 140] {
            for line in written(width).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
        let narrow = written(80);
        assert!(narrow.contains("graviton4  arm64, level armv9-a, ? pages, 32-bit Arm no\n"), "{narrow}");
        assert!(narrow.contains("      source: Google Compute Engine docs, CPU platforms\n"), "{narrow}");
    }
}
