//! `imgarch scan -f`: adds the images that manifests and Compose files run.

use std::path::{Path, PathBuf};

use super::work::Work;
use super::{CliError, Environment, Terminal, targets};
use crate::kube::compose::Outside;
use crate::kube::object::NodeObject;
use crate::kube::{Nodes, Survey, Use, manifest};
use crate::platform::Target;
use crate::report::escape::plural;
use crate::scan::{ImageReport, Problem};
use crate::source::Origin;

/// The maximum size of a manifest. Rendered charts of the largest projects have about 10 MiB.
const MANIFEST_BYTES: u64 = 64 << 20;

/// Reads a file that a Compose file refers to.
fn read_other(path: &Path) -> Result<String, String> {
    if path.as_os_str() == "-" {
        return Err("stdin is not a file of the project".to_string());
    }
    targets::read_text(path, MANIFEST_BYTES).map_err(|error| error.to_string())
}

/// How many objects a message names. The rest are counted.
const NAMED_OBJECTS: usize = 10;

/// Reports a file that names images which imgarch does not read, so whether they run is unknown.
fn names_unread(file: &str, objects: &[String]) -> ImageReport {
    let named = objects.iter().take(NAMED_OBJECTS).cloned().collect::<Vec<_>>().join(", ");
    let more = match objects.len().saturating_sub(NAMED_OBJECTS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let verb = if objects.len() == 1 { "names" } else { "name" };
    let text = format!("{} {verb} images that imgarch does not read: {named}{more}", plural(objects.len(), "object"));
    let hint = "render the manifest with its values filled in, or scan these images by name".to_string();
    let mut report = ImageReport::new(file, Origin::Unopened);
    report.problems.push(Problem::new(text, Some(hint)));
    report
}

/// Files of Kubernetes objects or Compose services, and the targets for what they run.
pub struct Manifests<'a> {
    pub files: &'a [PathBuf],
    pub targets: &'a [String],
}

impl Manifests<'_> {
    /// Adds each image that the files run, with its command, on the nodes where the scheduler may place it. Returns the
    /// nodes, and the targets that are not nodes.
    pub fn add_to(
        &self,
        work: &mut Work,
        environment: &Environment,
        terminal: &Terminal,
    ) -> Result<(Nodes, Vec<Target>), CliError> {
        if self.files.is_empty() {
            return Ok(Default::default());
        }
        let (mut objects, mut others) = (Vec::new(), Vec::new());
        for text in self.targets {
            match targets::objects_of_text(text, environment)? {
                Some(nodes) => objects.extend(nodes),
                None => others.extend(targets::of_text(text, environment)?.targets),
            }
        }
        let nodes = crate::kube::nodes::group(&objects);
        let mut unread = Vec::new();
        work.add_uses(self.uses(&objects, &nodes, environment, terminal, &mut unread)?);
        work.add_unread(unread);
        Ok((nodes, others))
    }

    /// Returns what the manifests run. Without nodes, each platform that satisfies a pod's constraints is judged as
    /// declared. `unread` receives a report for each file that names images which are not read.
    fn uses(
        &self,
        objects: &[NodeObject],
        nodes: &Nodes,
        environment: &Environment,
        terminal: &Terminal,
        unread: &mut Vec<ImageReport>,
    ) -> Result<Vec<Use>, CliError> {
        let variable = |name: &str| environment.text(name);
        let mut survey = Survey::default();
        for file in self.files {
            let text = targets::read_text(file, MANIFEST_BYTES)?;
            let name = if file.as_os_str() == "-" { "standard input".to_string() } else { file.display().to_string() };
            let directory = file.parent().map(Path::to_path_buf).unwrap_or_default();
            let outside = Outside { variable: &variable, directory, read: &read_other };
            let read = manifest::read(&name, &text, &outside).map_err(|error| CliError::usage(error.to_string()))?;
            terminal.notes(&read.notes);
            if !read.unread.is_empty() {
                unread.push(names_unread(&name, &read.unread));
            } else if read.workloads.is_empty() {
                terminal.note(&format!("{name} does not run an image: {} read", plural(read.others, "object")));
            }
            for workload in &read.workloads {
                survey.add_workload(workload, objects, nodes);
            }
        }
        for (title, why) in &survey.homeless {
            terminal.note(&format!("{title} cannot run on any node: {why}"));
        }
        Ok(survey.uses())
    }
}
