//! `imgarch scan -f`: adds the images that manifests and Compose files run.

use std::path::{Path, PathBuf};

use super::work::Work;
use super::{CliError, Environment, Terminal, targets};
use crate::kube::compose::ComposeSurroundings;
use crate::kube::manifest::{ManifestFile, WorkloadManifest};
use crate::kube::object::NodeObject;
use crate::kube::{ImageUse, ManifestError, Nodes, Survey, manifest};
use crate::platform::Target;
use crate::report::ReportFormat;
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
    could_not_tell(file, text, hint)
}

/// Reports a Compose file whose services are all built, so no image of it was scanned.
fn only_builds(file: &str, images: &[String]) -> ImageReport {
    let text = format!(
        "{file} names no image: its {} built",
        match images.len() {
            1 => "service is".to_string(),
            number => format!("{number} services are"),
        }
    );
    could_not_tell(file, text, format!("build it, then scan what it built: imgarch scan {}", images.join(" ")))
}

fn could_not_tell(file: &str, text: String, hint: String) -> ImageReport {
    let mut report = ImageReport::new(file, Origin::Unopened);
    report.problems.push(Problem::new(text, Some(hint)));
    report
}

/// A file, or several Compose files that make one project.
pub(super) struct FileGroup<T> {
    /// For messages.
    pub name: String,
    /// The paths of a project are relative to the first file.
    pub files: Vec<PathBuf>,
    pub content: T,
}

/// Reads files of Kubernetes objects or Compose services. The Compose files among them make one project: as with
/// `docker compose -f`, later ones override earlier ones.
pub(super) fn read_all(
    files: &[PathBuf],
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Vec<FileGroup<WorkloadManifest>>, CliError> {
    let refuse = |error: ManifestError, hint: Option<String>| CliError::Usage { text: error.to_string(), hint };
    let mut groups: Vec<FileGroup<(ManifestFile, Option<String>)>> = Vec::new();
    for file in files {
        let text = targets::read_text(file, MANIFEST_BYTES).map_err(|error| not_a_format(file, error))?;
        let name = if file.as_os_str() == "-" { "standard input".to_string() } else { file.display().to_string() };
        let hint = hint_for(&text);
        let parsed = manifest::parse(&name, &text).map_err(|error| refuse(error, hint.clone()))?;
        let project = groups.iter_mut().find(|group| group.content.0.is_compose()).filter(|_| parsed.is_compose());
        let Some(project) = project else {
            groups.push(FileGroup { name, files: vec![file.clone()], content: (parsed, hint) });
            continue;
        };
        if project.files[0].parent() != file.parent() {
            let known = &project.name;
            terminal
                .note(&format!("{name} overrides {known}, as with docker compose -f; scan separate projects alone"));
        }
        project.content.0.override_with(parsed);
        project.name = format!("{}, {name}", project.name);
        project.files.push(file.clone());
    }
    let variable = |name: &str| environment.text(name);
    let read = |group: FileGroup<(ManifestFile, Option<String>)>| {
        let FileGroup { name, files, content: (file, hint) } = group;
        let directory = files[0].parent().map(Path::to_path_buf).unwrap_or_default();
        let directory_name = directory_name(&files[0]);
        let outside = ComposeSurroundings { variable: &variable, directory, directory_name, read: &read_other };
        let content = file.read(&outside).map_err(|error| refuse(error, hint))?;
        terminal.notes(&content.notes);
        Ok(FileGroup { name, files, content })
    };
    groups.into_iter().map(read).collect()
}

/// The name of the directory in which a file is.
fn directory_name(file: &Path) -> String {
    let absolute = std::path::absolute(file).unwrap_or_default();
    absolute.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Adds a hint to the error if the name of a format was given as a manifest, as `-f json` is in other tools.
fn not_a_format(file: &Path, error: CliError) -> CliError {
    let format = file.to_str().filter(|name| ReportFormat::names().contains(name));
    match format {
        Some(name) => CliError::Usage {
            text: error.to_string(),
            hint: Some(format!("-f names a manifest; for the output use --format {name}")),
        },
        None => error,
    }
}

/// What a manifest that is a template of one needs first.
fn hint_for(text: &str) -> Option<String> {
    let render = "render the template first: helm template CHART | imgarch scan -f -";
    text.contains("{{").then(|| render.to_string())
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
    ) -> Result<Vec<ImageUse>, CliError> {
        let mut survey = Survey::default();
        for FileGroup { name, content: read, .. } in read_all(self.files, environment, terminal)? {
            if !read.unread.is_empty() {
                unread.push(names_unread(&name, &read.unread));
            } else if read.workloads.is_empty() && !read.built.is_empty() {
                unread.push(only_builds(&name, &read.built));
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
