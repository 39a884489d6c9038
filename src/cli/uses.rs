//! Uses of images, by pods, workloads and manifests, judged into one report: each on the nodes where it runs or may run.

use std::path::PathBuf;
use std::sync::Arc;

use super::progress::Progress;
use super::{CliError, Terminal, cache, opening, targets};
use crate::kube::object::NodeObject;
use crate::kube::{Nodes, Survey, Use, manifest};
use crate::platform::Target;
use crate::report::escape::plural;
use crate::scan::{self, CallOverride, Options, Report, Watch};

/// A rendered chart of the largest projects has some 10 MiB.
const MANIFEST_BYTES: u64 = 64 << 20;
/// Users of an image that are named; the rest is counted.
const SHOWN_USERS: usize = 3;

/// Judges every use. `base` holds what is common to all: platforms, rules, limits.
pub fn judge(
    sources: &opening::SourceArgs,
    terminal: &Terminal,
    uses: &[Use],
    nodes: &Nodes,
    base: &Options,
) -> Result<Report, CliError> {
    let opener = opening::Opener::new(sources)?;
    let progress = Arc::new(Progress::new(terminal));
    let watch: Arc<dyn Watch> = progress.clone();
    let mut report = Report::default();
    for one in uses {
        let groups = one.groups.iter().filter_map(|index| nodes.groups.get(*index));
        let on_nodes = groups.map(|group| Target { name: targets::title(group, nodes), ..group.target.clone() });
        let targets: Vec<Target> = base.targets.iter().cloned().chain(on_nodes).collect();
        let call = CallOverride { entrypoint: one.command.clone(), args: one.args.clone() };
        let platforms = one.platform.iter().chain(&base.platforms).cloned().collect();
        let options = Options { targets, call, platforms, ..base.clone() };
        let mut found = scan::scan(std::slice::from_ref(&one.image), &|name| opener.open(name), &options, &watch);
        for image in &mut found.images {
            let users = format!("used by {}", users(one));
            image.note = Some(image.note.take().map_or_else(|| users.clone(), |note| format!("{users}; {note}")));
        }
        report.images.append(&mut found.images);
    }
    progress.finish();
    cache::trim(base, terminal);
    Ok(report)
}

fn users(one: &Use) -> String {
    let named = one.used_by.iter().take(SHOWN_USERS).cloned().collect::<Vec<_>>().join("; ");
    match one.used_by.len().saturating_sub(SHOWN_USERS) {
        0 => named,
        more => format!("{named}; and {}", plural(more, "other")),
    }
}

/// What manifests want to run, on those of the nodes that the scheduler may give them; without nodes, each platform of an
/// image is judged as it is declared.
pub fn of_manifests(
    files: &[PathBuf],
    terminal: &Terminal,
    objects: &[NodeObject],
    nodes: &Nodes,
) -> Result<Vec<Use>, CliError> {
    let variable = |name: &str| std::env::var(name).ok();
    let mut survey = Survey::default();
    for file in files {
        let text = targets::read_text(file, MANIFEST_BYTES)?;
        let name = if file.as_os_str() == "-" { "standard input".to_string() } else { file.display().to_string() };
        let read = manifest::read(&name, &text, &variable).map_err(|error| CliError::usage(error.to_string()))?;
        if read.workloads.is_empty() {
            terminal.notes(&[format!("{name} runs no image: {} read", plural(read.others, "object"))]);
        }
        for workload in &read.workloads {
            survey.add_workload(workload, objects, nodes);
        }
    }
    homeless(&survey, terminal);
    Ok(survey.uses())
}

/// Workloads that no node may run are said: they are not judged.
pub fn homeless(survey: &Survey, terminal: &Terminal) {
    let notes: Vec<String> =
        survey.homeless.iter().map(|(title, why)| format!("{title} may run on no node: {why}")).collect();
    terminal.notes(&notes);
}
