//! `imgarch workflow`: writes a CI file for the repository.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::settings::{ConfigArgs, Settings, Typed};
use super::{CliError, Environment, opening};
use crate::platform::Platform;
use crate::platform::target::{self, TargetText};
use crate::workflow::{self, Project, Service, Shape};

/// Which CI service to write for, and what to build.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  imgarch workflow github > .github/workflows/image.yml
  imgarch workflow github --write --platform linux/amd64 --platform linux/arm64
  imgarch workflow gitlab --simple --image registry.gitlab.com/user/app
  imgarch workflow dockerfile --entrypoint /app")]
pub struct WorkflowArgs {
    /// The CI service, or `dockerfile` for the build step that verifies the final stage.
    #[arg(value_enum, default_value_t = ServiceArg::Github)]
    service: ServiceArg,
    /// Registry and repository of the image; without it, made from git's remote `origin`.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// A platform to build; repeatable. Without it those of the targets, or linux/amd64 and linux/arm64.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<String>,
    /// A node that the image must run on, as for `imgarch scan`; repeatable. Defaults to the targets of the project.
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// The Dockerfile; without it the one that is found.
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// The build context.
    #[arg(long, value_name = "DIR", default_value = ".")]
    context: String,
    /// The branch whose image is `latest`; without it, the one that `origin` has as its default.
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Use one job that emulates foreign platforms, instead of a runner for each platform.
    #[arg(long)]
    simple: bool,
    /// With `dockerfile`: follow the start of this program; repeat for each argument.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Write the file to the path that the service reads. An existing file is not overwritten.
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ServiceArg {
    Github,
    Gitlab,
    Dockerfile,
}

pub fn run(args: &WorkflowArgs, environment: &Environment, out: &mut dyn Write) -> Result<u8, CliError> {
    let service = match args.service {
        ServiceArg::Github => Service::Github,
        ServiceArg::Gitlab => Service::Gitlab,
        ServiceArg::Dockerfile if args.write => {
            return Err(CliError::Usage {
                text: "--write does not support `dockerfile`".to_string(),
                hint: Some("copy the two parts of the output into the Dockerfile".to_string()),
            });
        }
        ServiceArg::Dockerfile => {
            write!(out, "{}", workflow::build_step(env!("CARGO_PKG_VERSION"), &args.entrypoint))?;
            return Ok(0);
        }
    };
    if !args.entrypoint.is_empty() {
        return Err(CliError::usage("--entrypoint requires `imgarch workflow dockerfile`"));
    }
    let usage = |error: String| CliError::Usage { text: error, hint: None };
    let mut platforms = Vec::new();
    for text in &args.platform {
        platforms.push(Platform::parse(text).map_err(|error| usage(error.to_string()))?);
    }
    let typed = Typed { targets: args.target.clone(), ..Typed::default() };
    let settings = Settings::load(&args.config, typed, &opening::SourceArgs::default(), environment)?;
    let targets = targets(&super::targets::within(&settings.targets.value, &platforms), environment)?;
    if platforms.is_empty() {
        for (platform, _) in &targets {
            if !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
    }
    if platforms.is_empty() {
        platforms.extend(["linux/amd64", "linux/arm64"].iter().filter_map(|text| Platform::parse(text).ok()));
    }
    let image = match &args.image {
        Some(image) => image.clone(),
        None => git(&["remote", "get-url", "origin"]).and_then(|url| image_of_remote(&url)).ok_or_else(|| {
            CliError::Usage {
                text: "cannot infer the image name: git remote \"origin\" is not on a known host".to_string(),
                hint: Some("name it: --image ghcr.io/user/app".to_string()),
            }
        })?,
    };
    let branch = args.branch.clone().or_else(|| {
        let head = git(&["symbolic-ref", "--short", "refs/remotes/origin/HEAD"])?;
        head.split_once('/').map(|(_, branch)| branch.to_string())
    });
    let project = Project {
        image,
        dockerfile: dockerfile(args)?,
        context: args.context.clone(),
        platforms,
        targets,
        branch: branch.unwrap_or_else(|| "main".to_string()),
        imgarch: env!("CARGO_PKG_VERSION").to_string(),
        shape: if args.simple { Shape::Simple } else { Shape::Matrix },
    };
    let text = workflow::write(service, &project).map_err(|error| usage(error.to_string()))?;
    if !args.write {
        out.write_all(text.as_bytes())?;
        return Ok(0);
    }
    let path = Path::new(service.path());
    let failed = |error: std::io::Error| CliError::Unknown { text: format!("{}: {error}", path.display()), hint: None };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    super::write::create(path, text.as_bytes()).map_err(failed)?;
    writeln!(out, "wrote {}", path.display())?;
    Ok(0)
}

/// Returns the platforms of the targets, each with the text of its target. The workflow cannot reach a cluster or this
/// machine when it runs, so their targets are replaced with platforms.
fn targets(texts: &[String], environment: &Environment) -> Result<Vec<(Platform, String)>, CliError> {
    let mut found: Vec<(Platform, String)> = Vec::new();
    for text in texts {
        let is_lasting = matches!(target::parse(text), Ok(TargetText::Given(_)));
        for target in super::targets::of_text(text, environment)?.targets {
            let text = if is_lasting { text.clone() } else { target.platform.to_string() };
            if !found.iter().any(|(platform, known)| *platform == target.platform && *known == text) {
                found.push((target.platform, text));
            }
        }
    }
    Ok(found)
}

/// Returns the output of git. `None` if git is not installed, fails or prints nothing.
fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_string();
    (!text.is_empty()).then_some(text)
}

/// Returns the image of a remote: `ghcr.io/user/app` for `git@github.com:User/App.git`, and GitLab's own registry for
/// GitLab.
fn image_of_remote(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let (host, path) = rest.split_once(['/', ':'])?;
    let path = path.trim_end_matches('/').trim_end_matches(".git").to_ascii_lowercase();
    let registry = match host {
        "github.com" => "ghcr.io",
        "gitlab.com" => "registry.gitlab.com",
        _ => return None,
    };
    (path.contains('/')).then(|| format!("{registry}/{path}"))
}

/// The Dockerfile that was named, or the usual one.
fn dockerfile(args: &WorkflowArgs) -> Result<String, CliError> {
    let found = match &args.file {
        Some(file) => Some(file.clone()),
        None => ["Dockerfile", "Containerfile", "docker/Dockerfile", "build/Dockerfile"]
            .iter()
            .map(|name| Path::new(&args.context).join(name))
            .find(|path| path.is_file()),
    };
    let found = found.ok_or_else(|| CliError::Usage {
        text: format!("no Dockerfile was found in {}", args.context),
        hint: Some("name it: --file path/to/Dockerfile".to_string()),
    })?;
    Ok(found.strip_prefix(".").unwrap_or(&found).display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_names_the_image() {
        for (url, image) in [
            ("git@github.com:User/App.git", Some("ghcr.io/user/app")),
            ("https://github.com/user/app", Some("ghcr.io/user/app")),
            ("https://token@github.com/user/app.git", Some("ghcr.io/user/app")),
            ("ssh://git@gitlab.com/group/sub/app.git", Some("registry.gitlab.com/group/sub/app")),
            ("https://example.com/user/app", None),
            ("/srv/git/app", None),
        ] {
            assert_eq!(image_of_remote(url).as_deref(), image, "{url}");
        }
    }
}
