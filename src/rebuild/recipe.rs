//! Reads how an image is built: the bake target or the Dockerfile, as far as a plan needs it.

use std::path::{Path, PathBuf};

use super::bake::{self, BakeTarget};
use super::docker::BUILD_LIMIT;
use super::plan::{DockerfileFacts, LintError};
use super::tool::BuildTool;
use super::{BuildHost, Docker};
use crate::files;
use crate::judge::code::Severity;
use crate::lint::{self, Outside, Position, SourceFormat, host_files};
use crate::oci::Reference;

/// Maximum size of a Dockerfile or bake file, in bytes.
const FILE_LIMIT: u64 = 4 << 20;

/// The user's build arguments.
#[derive(Clone, Debug, Default)]
pub struct RecipeRequest {
    /// A directory or a URL. Defaults to the bake file's context, or the working directory.
    pub context: Option<String>,
    pub dockerfile: Option<PathBuf>,
    pub bake: Option<BakeChoice>,
    /// Options for the builder.
    pub extra: Vec<String>,
}

/// Why the build instructions of the image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    #[error("{command}: {cause}")]
    Buildx { command: String, cause: String },
    #[error(transparent)]
    Bake(#[from] bake::BakeError),
    #[error("the build context {0} is not a directory")]
    Context(String),
    #[error("{}: {cause}", path.display())]
    Dockerfile { path: PathBuf, cause: std::io::Error },
}

/// How the image is built, and facts about its Dockerfile.
#[derive(Debug, Default)]
pub struct RecipeSource {
    pub bake: Option<BakeTarget>,
    /// The context of a build without a bake file.
    pub context: String,
    /// Options for the builder.
    pub extra: Vec<String>,
    pub recipe: DockerfileFacts,
}

/// Reads the Dockerfile, or lets buildx resolve the bake file. Without buildx, only the target's name is known.
pub fn read_recipe(
    args: &RecipeRequest,
    reference: &Reference,
    docker: &dyn Docker,
    machine: &BuildHost,
) -> Result<RecipeSource, RecipeError> {
    let context = args.context.clone().unwrap_or_else(|| ".".to_string());
    let mut source = RecipeSource { context, extra: args.extra.clone(), ..RecipeSource::default() };
    if let Some(choice) = bake_choice(args) {
        if machine.tool != BuildTool::Docker {
            return Err(RecipeError::Bake(bake::BakeError::NotBuildx(machine.tool)));
        }
        if let BakeChoice::File(file) = &choice {
            source.extra.splice(0..0, ["--file".to_string(), file.clone()]);
        }
        source.bake = Some(resolve(&choice, &source.extra, reference, docker, machine)?);
    }
    if let (Some(target), Some(context)) = (&mut source.bake, &args.context) {
        source.extra.extend(["--set".to_string(), format!("{}.context={context}", target.name)]);
        target.context = context.clone();
    }
    source.recipe = recipe(args, &source, machine.tool)?;
    Ok(source)
}

/// The bake target or file that `--bake` or the options for buildx name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BakeChoice {
    Target(String),
    File(String),
    /// The options for buildx name the file.
    Default,
}

impl BakeChoice {
    /// Parses the value of `--bake`: a file, or the name of a target.
    pub fn parse(name: &str) -> BakeChoice {
        match is_bake_file(name) || Path::new(name).is_file() {
            true => BakeChoice::File(name.to_string()),
            false => BakeChoice::Target(name.to_string()),
        }
    }
}

fn is_bake_file(name: &str) -> bool {
    matches!(
        lint::format_of(Path::new(name), ""),
        Some(SourceFormat::BakeHcl | SourceFormat::BakeJson | SourceFormat::Compose)
    )
}

fn bake_choice(args: &RecipeRequest) -> Option<BakeChoice> {
    if let Some(choice) = &args.bake {
        return Some(choice.clone());
    }
    let has_extension = |name: &str| [".hcl", ".json"].iter().any(|extension| name.ends_with(extension));
    let file = option_value(&args.extra, &["--file", "-f"]).filter(|name| is_bake_file(name) || has_extension(name))?;
    args.dockerfile.is_none().then_some(file).map(|_| BakeChoice::Default)
}

fn resolve(
    choice: &BakeChoice,
    extra: &[String],
    reference: &Reference,
    docker: &dyn Docker,
    machine: &BuildHost,
) -> Result<BakeTarget, RecipeError> {
    let name = if let BakeChoice::Target(name) = choice { Some(name.as_str()) } else { None };
    if machine.buildx.is_err() {
        return Ok(BakeTarget { name: name.unwrap_or("default").to_string(), ..BakeTarget::default() });
    }
    let query = |names: &[&str]| {
        let command = bake::print_command(extra, names);
        match docker.output(&command, BUILD_LIMIT) {
            Ok(output) => Ok((command, output)),
            Err(error) => Err(RecipeError::Buildx { command: command.to_string(), cause: error.to_string() }),
        }
    };
    let (mut command, mut output) = query(name.as_slice())?;
    // A bake file may lack a group or target called "default".
    if name.is_none() && !output.is_success() && output.error_line().contains("find target default") {
        let names = bake_targets(extra);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !names.is_empty() {
            (command, output) = query(&names)?;
        }
    }
    if !output.is_success() {
        return Err(RecipeError::Buildx { command: command.to_string(), cause: output.error_line() });
    }
    Ok(bake::choose(&output.stdout, reference)?)
}

/// Returns all targets of the bake files that the options name.
fn bake_targets(extra: &[String]) -> Vec<String> {
    let named = option_values(extra, &["--file", "-f"]);
    let texts = named.filter_map(|file| files::read_regular_text(Path::new(&file), FILE_LIMIT).ok());
    texts.flat_map(|text| lint::bake_targets(&text)).collect()
}

/// Returns the first value of an option among the arguments after `--`.
pub fn option_value(extra: &[String], names: &[&str]) -> Option<String> {
    option_values(extra, names).next()
}

fn option_values(extra: &[String], names: &[&str]) -> impl Iterator<Item = String> {
    extra.iter().enumerate().filter_map(|(at, word)| {
        if names.contains(&word.as_str()) {
            return extra.get(at + 1).cloned();
        }
        let (name, value) = word.split_once('=')?;
        names.contains(&name).then(|| value.to_string())
    })
}

/// Reads and lints the Dockerfile. If it cannot be read here, for example because the context is a URL, there are no
/// lint errors.
fn recipe(args: &RecipeRequest, source: &RecipeSource, tool: BuildTool) -> Result<DockerfileFacts, RecipeError> {
    let unread = DockerfileFacts { runs_on_target: true, lint: Vec::new() };
    let (context, named, stage) = match &source.bake {
        Some(target) => (
            &target.context,
            target.dockerfile.as_ref().map(|file| Path::new(&target.context).join(file)),
            target.stage.clone(),
        ),
        None => {
            let named =
                args.dockerfile.clone().or_else(|| option_value(&source.extra, &["--file", "-f"]).map(PathBuf::from));
            (&source.context, named, option_value(&source.extra, &["--target"]))
        }
    };
    if let Some(text) = source.bake.as_ref().and_then(|target| target.inline.as_deref()) {
        return Ok(linted(Path::new("dockerfile-inline"), text, Path::new(context), stage));
    }
    // Only buildx can read a context from a URL or from stdin.
    let is_elsewhere =
        context == "-" || context.contains("://") || context.starts_with("git@") || context.starts_with("github.com/");
    if is_elsewhere || named.as_deref() == Some(Path::new("-")) {
        return Ok(unread);
    }
    if !Path::new(context).is_dir() {
        return Err(RecipeError::Context(context.clone()));
    }
    // podman and buildah prefer a Containerfile.
    let usual = match tool {
        BuildTool::Docker => ["Dockerfile"].as_slice(),
        BuildTool::Podman | BuildTool::Buildah => &["Containerfile", "Dockerfile"],
    };
    let usual = usual.iter().map(|name| Path::new(context).join(name));
    let path = named.or_else(|| usual.clone().find(|path| path.exists()));
    let path = path.unwrap_or_else(|| Path::new(context).join("Dockerfile"));
    let read = files::read_named_text(&path, FILE_LIMIT);
    let text = read.map_err(|cause| RecipeError::Dockerfile { path: path.clone(), cause })?;
    Ok(linted(&path, &text, Path::new(context), stage))
}

fn linted(path: &Path, text: &str, context: &Path, stage: Option<String>) -> DockerfileFacts {
    let files = |pattern: &str| host_files(context, path, pattern);
    let outside = Outside { files: &files, target: stage.clone(), ..Outside::nothing() };
    let linted = lint::lint(path, text, SourceFormat::Dockerfile, &outside);
    let errors = linted.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let lint = errors.map(|finding| {
        let line = Position::from_offset(text, finding.span.start).line;
        let fix = if finding.fix.is_some() { "; imgarch lint shows the fix" } else { "" };
        let text = format!("{}:{line}: {} [{}]{fix}", path.display(), finding.message, finding.code);
        LintError { text, right_for: finding.right_for }
    });
    DockerfileFacts { runs_on_target: lint::runs_on_target(text, stage.as_deref()), lint: lint.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_may_be_given_twice_and_with_an_equals_sign() {
        let extra = ["--file=a.hcl", "--push", "-f", "b.json", "--file"].map(str::to_string);
        assert_eq!(option_values(&extra, &["--file", "-f"]).collect::<Vec<_>>(), ["a.hcl", "b.json"]);
        assert_eq!(option_value(&extra, &["--file", "-f"]).as_deref(), Some("a.hcl"));
        assert_eq!(option_value(&extra, &["--target"]), None);
    }
}
